// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sanbootctl image import, imports, cancel. The server imports by itself: whoever is interrupted while he follows an
 * import (Ctrl-C, a terminal that is closed) has it canceled, for nothing is to become an image that nobody waits for.
 */
#include "ctl/image.h"

#include "base/util.h"
#include "ctl/client.h"
#include "ctl/table.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POLL_MS = 200 };

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

/* ---- import ---- */

/* Says how it ended; an exit code. */
static int finish_import(const struct ctl *ctl, const json_t *status)
{
	json_t *warning;
	size_t i;

	if (ctl->json)
		client_print(status);
	if (strcmp(get_text(status, "stage"), "done"))
		return ctl_fail("", "%s", get_text(status, "text"));
	json_array_foreach(json_object_get(status, "warnings"), i, warning)
		fprintf(stderr, "warning: %s\n", json_string_value(warning));
	if (ctl->json)
		return EXIT_DONE;
	printf("%s is %s\n", get_text(status, "version"),
	       json_array_size(json_object_get(status, "changes")) ? "sealed" : "imported");
	if (json_is_false(json_object_get(status, "published")))
		printf("new machines get it after: sanbootctl image publish %s\n", get_text(status, "version"));
	return EXIT_DONE;
}

static bool has_ended(const json_t *status)
{
	const char *stage = get_text(status, "stage");

	return !strcmp(stage, "done") || !strcmp(stage, "failed");
}

/* Once: what comes of it is what the next look says. */
static void cancel_interrupted(const struct ctl *ctl, const char *path)
{
	json_t *answer;

	interrupted = 0;
	fputs("\ncanceling the import\n", stderr);
	if (!client_call(ctl, "DELETE", path, NULL, &answer))
		fputs("it may go on: see sanbootctl image imports\n", stderr);
	json_decref(answer);
}

/* Follows an import until it has ended: its last state; NULL where it could not be asked for (said). */
static json_t *follow_import(const struct ctl *ctl, int64_t id)
{
	struct progress progress = { .quiet = ctl->json };
	json_t *status;
	char path[64];

	snprintf(path, sizeof(path), "/api/v1/imports/%lld", (long long)id);
	while (client_call(ctl, "GET", path, NULL, &status)) {
		if (has_ended(status))
			break;
		ctl_progress_show(&progress, (unsigned)get_number(status, "percent"),
				  get_text(status, "text")[0] ? get_text(status, "text") : get_text(status, "stage"));
		json_decref(status);
		if (!interrupted)
			usleep(POLL_MS * 1000);
		if (interrupted)
			cancel_interrupted(ctl, path);
	}
	ctl_progress_end(&progress);
	return status;
}

/* Begins an import and follows it. Takes body. */
static json_t *do_import(const struct ctl *ctl, const char *path, json_t *body)
{
	struct sigaction before[array_len(signals)];
	json_t *answer, *status = NULL;
	int64_t id;

	catch_signals(before);
	if (client_call(ctl, "POST", path, body, &answer)) {
		id = get_number(answer, "import");
		json_decref(answer);
		status = follow_import(ctl, id);
	}
	restore_signals(before);
	return status;
}

int ctl_import_image(const struct ctl *ctl, const char *path)
{
	json_t *status = do_import(ctl, "/api/v1/images",
				   json_pack("{s:s, s:s, s:b}", "path", path, "name", ctl->options[OPTION_NAME],
					     "default", ctl->options[OPTION_DEFAULT] != NULL));
	int code = status ? finish_import(ctl, status) : EXIT_REFUSED;

	json_decref(status);
	return code;
}

int ctl_import_image_for_volume(const struct ctl *ctl, const char *path, const char *name,
				char version[IMAGE_VERSION_TEXT])
{
	json_t *status = do_import(ctl, "/api/v1/images",
				   json_pack("{s:s, s:s, s:b}", "path", path, "name", name, "volume", true));
	int code = EXIT_REFUSED;

	if (status && !strcmp(get_text(status, "stage"), "done")) {
		snprintf(version, IMAGE_VERSION_TEXT, "%s", get_text(status, "version"));
		code = EXIT_DONE;
	} else if (status) {
		ctl_fail("", "%s", get_text(status, "text"));
	}
	json_decref(status);
	return code;
}

static bool is_url(const char *text)
{
	size_t letters = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	return letters > 1 && !strncmp(text + letters, "://", 3);
}

bool ctl_find_image_file(const char *text, char path[PATH_MAX])
{
	const char *file = strcmp(text, "-") ? text : "/dev/stdin";
	struct stat st;

	if (is_url(text)) {
		ctl_fail("for example: curl -L -o /var/tmp/image URL; then import /var/tmp/image",
			 "%s: an import reads a file of the server's own: download it first", text);
		return false;
	}
	if (stat(file, &st)) {
		ctl_fail("", "%s: %s", text, strerror(errno));
		return false;
	}
	if (S_ISDIR(st.st_mode)) {
		ctl_fail("", "%s is a folder: name the file in it that holds the disk", text);
		return false;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		ctl_fail("for example: zcat disk.raw.gz >/var/tmp/disk.raw; then import /var/tmp/disk.raw",
			 "%s is neither a file nor a disk, and an import reads more than once: write it to a file "
			 "first",
			 text);
		return false;
	}
	if (realpath(file, path))
		return true;
	ctl_fail("", "%s: %s", text, strerror(errno));
	return false;
}

int run_image_import(const struct ctl *ctl)
{
	char path[PATH_MAX];

	if (!ctl->options[OPTION_NAME]) {
		ctl_fail("for example: sanbootctl image import debian.qcow2 --name debian",
			 "say what to call it: --name NAME");
		return EXIT_USAGE;
	}
	if (ctl->url)
		return ctl_fail("copy the file to the server and run sanbootctl there, without --url",
				"an import reads a file of the server's own");
	return ctl_find_image_file(ctl->args[0], path) ? ctl_import_image(ctl, path) : EXIT_REFUSED;
}

int run_image_seal(const struct ctl *ctl)
{
	char *path = client_path("images", ctl->args[0], "seal", NULL);
	json_t *status = do_import(ctl, path, NULL), *change;
	int code = status ? finish_import(ctl, status) : EXIT_REFUSED;
	size_t i;

	if (code == EXIT_DONE && !ctl->json) {
		json_array_foreach(json_object_get(status, "changes"), i, change)
			printf("  %s\n", json_string_value(change));
	}
	json_decref(status);
	free(path);
	return code;
}

/* ---- the others' ---- */

static void print_imports(const json_t *imports)
{
	struct table *table = table_new("NUMBER", "IMAGE", "STATE", "DONE", "FILE", "WHAT IT DOES", NULL);
	json_t *status;
	size_t i;

	json_array_foreach(imports, i, status) {
		const char *version = get_text(status, "version");
		char number[TABLE_TEXT], percent[TABLE_TEXT];

		snprintf(number, sizeof(number), "%lld", (long long)get_number(status, "import"));
		snprintf(percent, sizeof(percent), "%lld %%", (long long)get_number(status, "percent"));
		table_add(table, number);
		table_add(table, version[0] ? version : get_text(status, "name"));
		table_add(table, get_text(status, "stage"));
		table_add(table, percent);
		table_add(table, get_text(status, "source"));
		table_add(table, get_text(status, "text"));
	}
	table_print(table);
}

int run_image_imports(const struct ctl *ctl)
{
	json_t *answer;
	int code = client_do(ctl, "GET", "/api/v1/imports", NULL, &answer);

	if (code == EXIT_DONE && !ctl->json) {
		if (json_array_size(json_object_get(answer, "imports")))
			print_imports(json_object_get(answer, "imports"));
		else
			puts("nothing was imported since sanbootd started");
	}
	json_decref(answer);
	return code;
}

int run_image_cancel(const struct ctl *ctl)
{
	char *path = client_path("imports", ctl->args[0], NULL);

	return client_act(ctl, "DELETE", path, NULL, "canceled; nothing of it stays");
}
