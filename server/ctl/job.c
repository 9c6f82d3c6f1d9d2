// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Imports and exports, as sanbootctl follows them. The server does them by itself: whoever is interrupted while he follows one
 * (Ctrl-C, a terminal that is closed) has it canceled, for nothing is to become an image, or a file, that nobody waits for.
 */
#include "ctl/job.h"

#include "base/util.h"
#include "ctl/client.h"
#include "ctl/image.h"
#include "ctl/table.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 200, JOB_TEXT = 256, PIECE_BYTES = 1 << 20 };

/* ---- interrupts ---- */

/* The only thing that a signal handler may set. */
static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

/* The second one ends us as ever. What is ignored (nohup) stays so. */
static void catch_signals(struct sigaction before[array_len(signals)])
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	interrupted = 0;
	for (size_t i = 0; i < array_len(signals); i++) {
		if (!sigaction(signals[i], NULL, &before[i]) && before[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

static void restore_signals(const struct sigaction before[array_len(signals)])
{
	for (size_t i = 0; i < array_len(signals); i++)
		sigaction(signals[i], &before[i], NULL);
}

/* ---- following one ---- */

static bool has_ended(const json_t *status)
{
	const char *stage = get_text(status, "stage");

	return !strcmp(stage, "done") || !strcmp(stage, "failed");
}

/* Once: what comes of it is what the next look says. */
static void cancel_interrupted(const struct ctl *ctl, const char *path, const char *what)
{
	json_t *answer;

	interrupted = 0;
	fprintf(stderr, "\ncanceling the %s\n", what);
	if (!client_call(ctl, "DELETE", path, NULL, &answer))
		fputs("it may go on: see sanbootctl image jobs\n", stderr);
	json_decref(answer);
}

/* "converting from qcow2: 1.2 GiB of 8.0 GiB, 210.4 MiB/s, 33 s left" */
static const char *describe(const json_t *status, char text[JOB_TEXT])
{
	const char *does = get_text(status, "text")[0] ? get_text(status, "text") : get_text(status, "stage");
	char done[TABLE_TEXT], total[TABLE_TEXT], rate[TABLE_TEXT], left[TABLE_TEXT] = "";
	const json_t *seconds = json_object_get(status, "seconds_left");

	if (!get_number(status, "bytes_total") || !get_number(status, "bytes_per_s") || !json_is_integer(seconds)) {
		snprintf(text, JOB_TEXT, "%.200s", does);
		return text;
	}
	snprintf(left, sizeof(left), json_integer_value(seconds) < 120 ? "%lld s" : "%lld min",
		 (long long)(json_integer_value(seconds) < 120 ? json_integer_value(seconds) :
								 json_integer_value(seconds) / 60));
	snprintf(text, JOB_TEXT, "%.120s: %s of %s, %s/s, %s left", does,
		 table_bytes(done, get_number(status, "bytes_done")),
		 table_bytes(total, get_number(status, "bytes_total")),
		 table_bytes(rate, get_number(status, "bytes_per_s")), left);
	return text;
}

/* Until it has ended: its last state; NULL where it could not be asked for (said). */
static json_t *follow(const struct ctl *ctl, int64_t id, const char *what)
{
	struct progress progress = { .quiet = ctl->json };
	json_t *status;
	char path[64], text[JOB_TEXT];

	snprintf(path, sizeof(path), "/api/v1/%ss/%lld", what, (long long)id);
	while (client_call(ctl, "GET", path, NULL, &status)) {
		if (has_ended(status))
			break;
		ctl_progress_show(&progress, (unsigned)get_number(status, "percent"), describe(status, text));
		json_decref(status);
		if (!interrupted)
			usleep(POLL_MS * 1000);
		if (interrupted)
			cancel_interrupted(ctl, path, what);
	}
	ctl_progress_end(&progress);
	return status;
}

/* Fills data from fd as far as it goes: how much that is; -1 (said). */
static ssize_t read_piece(int fd, char *data, size_t size)
{
	size_t done = 0;

	while (done < size && !interrupted) {
		ssize_t n = read(fd, data + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			ctl_fail("", "it cannot be read: %s", strerror(errno));
			return -1;
		}
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* All of it, and that it was all. False: said. */
static bool send_all(const struct ctl *ctl, const char *base, int fd, struct progress *progress)
{
	char *data = malloc(PIECE_BYTES), path[128], text[64], done[TABLE_TEXT];
	uint64_t at = 0;
	json_t *answer;
	ssize_t len = data ? read_piece(fd, data, PIECE_BYTES) : -1;
	bool worked = len >= 0;

	while (worked && len > 0 && !interrupted) {
		snprintf(path, sizeof(path), "%s/data?offset=%llu", base, (unsigned long long)at);
		worked = client_put(ctl, path, data, (size_t)len, &answer);
		json_decref(answer);
		at += (uint64_t)len;
		snprintf(text, sizeof(text), "sending it: %s", table_bytes(done, (int64_t)at));
		ctl_progress_show(progress, 0, text);
		len = worked ? read_piece(fd, data, PIECE_BYTES) : 0;
		worked = worked && len >= 0;
	}
	free(data);
	if (!worked || interrupted)
		return false;
	snprintf(path, sizeof(path), "%s/end", base);
	worked = client_call(ctl, "POST", path, NULL, &answer);
	json_decref(answer);
	return worked;
}

json_t *ctl_send_job(const struct ctl *ctl, const char *path, json_t *body, const char *what, int fd)
{
	struct sigaction before[array_len(signals)];
	struct progress progress = { .quiet = ctl->json };
	json_t *answer, *status = NULL;
	char base[64];
	int64_t id;

	catch_signals(before);
	if (client_call(ctl, "POST", path, body, &answer)) {
		id = get_number(answer, what);
		json_decref(answer);
		snprintf(base, sizeof(base), "/api/v1/%ss/%lld", what, (long long)id);
		if (fd < 0 || send_all(ctl, base, fd, &progress)) {
			ctl_progress_end(&progress);
			status = follow(ctl, id, what);
		} else {
			ctl_progress_end(&progress);
			cancel_interrupted(ctl, base, what);
		}
	}
	restore_signals(before);
	return status;
}

json_t *ctl_do_job(const struct ctl *ctl, const char *path, json_t *body, const char *what)
{
	return ctl_send_job(ctl, path, body, what, -1);
}

/* ---- all of them ---- */

/* number: what it is called there. kinds: exports are among them. */
static void print_jobs(const json_t *jobs, const char *number, bool kinds)
{
	struct table *table = kinds ? table_new("NUMBER", "WHAT", "OF", "STATE", "DONE", "FILE", "WHAT IT DOES", NULL) :
				      table_new("NUMBER", "IMAGE", "STATE", "DONE", "FILE", "WHAT IT DOES", NULL);
	json_t *status;
	size_t i;

	json_array_foreach(jobs, i, status) {
		const char *version = get_text(status, "version");
		char percent[TABLE_TEXT], text[JOB_TEXT];

		snprintf(percent, sizeof(percent), "%lld %%", (long long)get_number(status, "percent"));
		table_add_number(table, get_number(status, number));
		if (kinds)
			table_add(table, get_text(status, "kind"));
		table_add(table, version[0] ? version : get_text(status, "name"));
		table_add(table, get_text(status, "stage"));
		table_add(table, percent);
		table_add(table, get_text(status, kinds ? "file" : "source"));
		table_add(table, has_ended(status) ? get_text(status, "text") : describe(status, text));
	}
	table_print(table);
}

static void show_jobs(const struct ctl *ctl, const json_t *answer)
{
	const json_t *jobs = json_object_get(answer, "jobs");

	(void)ctl;
	if (json_array_size(jobs))
		print_jobs(jobs, "job", true);
	else
		puts("nothing was imported or exported since sanbootd started");
}

int run_image_jobs(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("jobs", NULL), NULL, show_jobs);
}

static void show_imports(const struct ctl *ctl, const json_t *answer)
{
	const json_t *imports = json_object_get(answer, "imports");

	(void)ctl;
	if (json_array_size(imports))
		print_jobs(imports, "import", false);
	else
		puts("nothing was imported since sanbootd started");
}

int run_image_imports(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("imports", NULL), NULL, show_imports);
}

int run_image_cancel(const struct ctl *ctl)
{
	return client_act(ctl, "DELETE", client_path("jobs", ctl->args[0], NULL), NULL,
			  "canceled; nothing of it stays");
}

/* ---- exports ---- */

/* Where it is to be, with its whole path: the server has another working folder. */
static bool whole_path(const struct ctl *ctl, const char *file, char path[PATH_MAX])
{
	char here[PATH_MAX];
	int len;

	if (file[0] == '/' || ctl->url) {
		len = snprintf(path, PATH_MAX, "%s", file);
	} else {
		if (!getcwd(here, sizeof(here))) {
			ctl_fail("name the file with its whole path", "this folder has no name");
			return false;
		}
		len = snprintf(path, PATH_MAX, "%s/%s", here, file);
	}
	if (len < PATH_MAX)
		return true;
	ctl_fail("", "%.100s...: the name is too long", file);
	return false;
}

/* What its ending says, where nobody says more. */
static const char *format_of(const struct ctl *ctl, const char *file)
{
	const char *dot = strrchr(file, '.');

	if (ctl->options[OPTION_FORMAT])
		return ctl->options[OPTION_FORMAT];
	if (!dot || strchr(dot, '/'))
		return "";
	return strcmp(dot, ".img") ? dot + 1 : "raw";
}

/* kind: "image" or "machine". */
static int do_export(const struct ctl *ctl, const char *kind)
{
	const char *what = ctl->args[0], *file = ctl->args[1];
	char path[PATH_MAX];
	json_t *status;
	int code = EXIT_REFUSED;

	if (!whole_path(ctl, file, path))
		return EXIT_REFUSED;
	status = ctl_do_job(ctl, "/api/v1/exports",
			    json_pack("{s:s, s:s, s:s, s:b}", kind, what, "path", path, "format", format_of(ctl, file),
				      "force", ctl->options[OPTION_FORCE] != NULL),
			    "job");
	if (!status)
		return EXIT_REFUSED;
	if (ctl->json)
		client_print(status);
	if (strcmp(get_text(status, "stage"), "done")) {
		ctl_fail("", "%s", get_text(status, "text"));
	} else {
		if (!ctl->json)
			printf("%s was written to %s\n", get_text(status, "name"), get_text(status, "text"));
		code = EXIT_DONE;
	}
	json_decref(status);
	return code;
}

int run_image_export(const struct ctl *ctl)
{
	return do_export(ctl, "image");
}

int run_machine_export(const struct ctl *ctl)
{
	return do_export(ctl, "machine");
}
