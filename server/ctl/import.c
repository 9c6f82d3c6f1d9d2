// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl image import. */
#include "ctl/image.h"

#include "base/util.h"
#include "ctl/client.h"
#include "ctl/job.h"
#include "ctl/table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Begins an import and follows it. Takes body. */
static json_t *do_import(const struct ctl *ctl, const char *path, json_t *body)
{
	return ctl_do_job(ctl, path, body, "import");
}

/* What is no file of the server's is sent to it: a pipe, and with --url any file. */
static int send_image(const struct ctl *ctl, const char *file)
{
	const char *slash = strrchr(file, '/');
	bool input = !strcmp(file, "-");
	struct stat st;
	json_t *body, *status;
	int code, fd = input ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		return ctl_fail("", "%s: %s", file, strerror(errno));
	body = json_pack("{s:s, s:s, s:b}", "upload",
			 input ? "standard input" :
			 slash ? slash + 1 :
				 file,
			 "name", ctl->options[OPTION_NAME], "default", ctl->options[OPTION_DEFAULT] != NULL);
	if (S_ISREG(st.st_mode) && !input)
		json_object_set_new(body, "size_bytes", json_integer(st.st_size));
	status = ctl_send_job(ctl, "/api/v1/images", body, "import", fd);
	code = status ? finish_import(ctl, status) : EXIT_REFUSED;
	json_decref(status);
	if (!input)
		close(fd);
	return code;
}

/* Standard input that no path leads to. */
static bool is_pipe(const char *text)
{
	struct stat st;

	return !strcmp(text, "-") && !fstat(STDIN_FILENO, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
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
		ctl_fail("for example: curl -L URL | sanbootctl image import - --name NAME",
			 "%s: an import reads a file, or standard input", text);
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
		ctl_fail("for example: cat PIPE | sanbootctl image import - --name NAME",
			 "%s is neither a file nor a disk: send what comes from it", text);
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
	if (ctl->url || is_pipe(ctl->args[0]))
		return send_image(ctl, ctl->args[0]);
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
