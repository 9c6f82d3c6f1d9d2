// SPDX-License-Identifier: GPL-2.0-or-later
/* A beat as text, and whose it is. See beat_record.h. What is parsed may be anybody's bytes. */
#include "store/beat_record.h"

#include "base/parse.h"
#include "base/secret.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEX "0123456789abcdef"

static const char *const states[] = {
	[BEAT_STARTING] = "starting", [BEAT_SERVING] = "serving", [BEAT_STOPPED] = "stopped"
};

void beat_record_format(const struct beat_record *record, char out[BEAT_BYTES])
{
	char text[BEAT_BYTES + 1];
	int len = snprintf(text, sizeof(text),
			   "sanbootd-beat 1\nterm %llu\ncount %llu\nstate %s\ntoken %s\nboot-id %s\npid-space %llu\n"
			   "pid %llu\nstarted %llu\nhost %s\n",
			   (unsigned long long)record->term, (unsigned long long)record->count, states[record->state],
			   record->token, record->boot_id, (unsigned long long)record->pid_space,
			   (unsigned long long)record->pid, (unsigned long long)record->started, record->host);

	memset(out, ' ', BEAT_BYTES);
	memcpy(out, text, (size_t)len);
	out[BEAT_BYTES - 1] = '\n';
}

/* ---- reading ---- */

/* The value of the line "KEY VALUE" at *at, ended by a NUL in place; NULL where the line is another one. */
static char *next_value(char **at, const char *key)
{
	size_t len = strlen(key);
	char *line = *at, *end = strchr(line, '\n');

	if (!end || strncmp(line, key, len) || line[len] != ' ')
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line + len + 1;
}

static bool next_number(char **at, const char *key, uint64_t *number)
{
	const char *value = next_value(at, key);

	return value && parse_u64(value, 0, INT64_MAX, number);
}

/* min to max characters, all of set (NULL: printable ones without a space). */
static bool next_text(char **at, const char *key, const char *set, size_t min, size_t max, char *out)
{
	const char *value = next_value(at, key);
	size_t len = value ? strlen(value) : 0;

	if (!value || len < min || len > max)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (set ? !strchr(set, value[i]) : value[i] <= ' ' || value[i] > '~')
			return false;
	}
	memcpy(out, value, len + 1);
	return true;
}

static bool next_state(char **at, enum beat_state *state)
{
	const char *value = next_value(at, "state");

	for (size_t i = 0; value && i < array_len(states); i++) {
		if (!strcmp(value, states[i])) {
			*state = (enum beat_state)i;
			return true;
		}
	}
	return false;
}

bool beat_record_parse(const void *data, size_t size, struct beat_record *record)
{
	char text[BEAT_BYTES + 1], again[BEAT_BYTES], *at = text;
	struct beat_record r = { 0 };
	const char *version;

	if (size != BEAT_BYTES || memchr(data, 0, size))
		return false;
	memcpy(text, data, size);
	text[size] = '\0';
	version = next_value(&at, "sanbootd-beat");
	if (!version || strcmp(version, "1") != 0 || !next_number(&at, "term", &r.term) ||
	    !next_number(&at, "count", &r.count) || !next_state(&at, &r.state) ||
	    !next_text(&at, "token", HEX, BEAT_TOKEN_CHARS, BEAT_TOKEN_CHARS, r.token) ||
	    !next_text(&at, "boot-id", NULL, 1, BEAT_ID_CHARS, r.boot_id) ||
	    !next_number(&at, "pid-space", &r.pid_space) || !next_number(&at, "pid", &r.pid) ||
	    !next_number(&at, "started", &r.started) || !next_text(&at, "host", NULL, 1, BEAT_HOST_CHARS, r.host))
		return false;
	/* Leading zeroes, other padding: not ours. */
	beat_record_format(&r, again);
	if (memcmp(again, data, size) != 0)
		return false;
	*record = r;
	return true;
}

int beat_record_compare(const struct beat_record *a, const struct beat_record *b)
{
	int order = (a->term > b->term) - (a->term < b->term);

	if (!order)
		order = strcmp(a->token, b->token);
	return order ? order : (a->count > b->count) - (a->count < b->count);
}

/* ---- processes ---- */

/* The beginning of a file of /proc; "" where there is none. */
static void read_proc(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, text, size - 1);

	text[len > 0 ? len : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* When a process began (proc(5), stat: the 22nd field); 0: unknown. The second one is its name, with any bytes in it. */
static uint64_t process_started(uint64_t pid)
{
	enum { FIELDS_BEHIND_NAME = 20 };
	char path[48], text[1024], *at;
	uint64_t ticks = 0;

	snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	read_proc(path, text, sizeof(text));
	at = strrchr(text, ')');
	for (int i = 0; at && i < FIELDS_BEHIND_NAME; i++)
		at = strchr(at + 1, ' ');
	if (!at)
		return 0;
	at[1 + strspn(at + 1, "0123456789")] = '\0';
	return parse_u64(at + 1, 0, INT64_MAX, &ticks) ? ticks : 0;
}

static void copy_word(char *out, size_t max, const char *text)
{
	size_t len = 0;

	for (; text[len] > ' ' && text[len] <= '~' && len < max; len++)
		out[len] = text[len];
	out[len] = '\0';
	if (!len)
		snprintf(out, max + 1, "unknown");
}

void beat_record_describe_self(struct beat_record *record)
{
	unsigned char token[BEAT_TOKEN_CHARS / 2];
	char text[256];
	struct stat st;

	*record = (struct beat_record){ .pid = (uint64_t)getpid(), .started = process_started((uint64_t)getpid()) };
	secret_bytes(token, sizeof(token));
	secret_hex(record->token, token, sizeof(token));
	read_proc("/proc/sys/kernel/random/boot_id", text, sizeof(text));
	copy_word(record->boot_id, BEAT_ID_CHARS, text);
	if (!stat("/proc/self/ns/pid", &st))
		record->pid_space = st.st_ino;
	if (gethostname(text, sizeof(text)))
		text[0] = '\0';
	text[sizeof(text) - 1] = '\0';
	copy_word(record->host, BEAT_HOST_CHARS, text);
}

enum beat_life beat_record_life(const struct beat_record *record)
{
	struct beat_record self;
	uint64_t started;

	beat_record_describe_self(&self);
	/* A pid says something only where it was given: not in another container, nor after the host has started again. */
	if (!strcmp(self.boot_id, "unknown") || strcmp(self.boot_id, record->boot_id) != 0 || !self.pid_space ||
	    self.pid_space != record->pid_space || !record->pid || record->pid > INT32_MAX)
		return BEAT_UNKNOWN;
	if (kill((pid_t)record->pid, 0) && errno == ESRCH)
		return BEAT_DEAD;
	started = process_started(record->pid);
	if (!started || !record->started)
		return BEAT_UNKNOWN;
	return started == record->started ? BEAT_ALIVE : BEAT_DEAD;
}
