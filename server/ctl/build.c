// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sanbootctl image build debian: runs the compiled-in build script as a process of our own, shows its progress, and has
 * the result imported. Everything it leaves lies in one temporary directory, which is removed at the end, however it ends.
 *
 * The directory is not readable by others but may be passed through: sanbootd may run as another user, and the name
 * cannot be guessed.
 */
#include "base/assets.h"
#include "base/util.h"
#include "ctl/client.h"
#include "ctl/image.h"
#include "ctl/table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOTES_MAX = 8, LINE_BYTES = 1024 };

struct build {
	const struct ctl *ctl;
	char dir[512], script[544], out[640];
	char notes[NOTES_MAX][LINE_BYTES];
	unsigned note_count;
	struct progress progress;
};

/* The script's process group, for the signal handler. */
static volatile sig_atomic_t child_group;
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
	if (child_group > 0)
		kill(-child_group, SIGTERM);
}

static int check_options(const struct ctl *ctl)
{
	const char *initramfs = ctl->options[OPTION_INITRAMFS];
	static const char name_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	if (!ctl->options[OPTION_NAME]) {
		ctl_fail("for example: sanbootctl image build debian --name debian",
			 "say what to call it: --name NAME");
		return EXIT_USAGE;
	}
	if (ctl->options[OPTION_NAME][strspn(ctl->options[OPTION_NAME], name_characters)] ||
	    strlen(ctl->options[OPTION_NAME]) > 60) {
		ctl_fail("for example --name debian", "--name '%s': letters, digits, '-', '_' and '.'",
			 ctl->options[OPTION_NAME]);
		return EXIT_USAGE;
	}
	if (initramfs && strcmp(initramfs, "initramfs-tools") && strcmp(initramfs, "dracut")) {
		ctl_fail("for example --initramfs dracut", "--initramfs '%s': initramfs-tools or dracut", initramfs);
		return EXIT_USAGE;
	}
	if (ctl->url)
		return ctl_fail("run sanbootctl on the server, without --url",
				"an image is built on the server itself");
	if (geteuid() != 0)
		return ctl_fail("sudo sanbootctl image build debian ...",
				"building an image needs root: it makes device nodes and files of other owners");
	return EXIT_DONE;
}

static bool write_script(const char *path)
{
	const struct asset *script = asset_find(assets_golden, "build-debian.sh");
	int fd = script ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700) : -1;
	bool written = fd >= 0 && write(fd, script->data, script->len) == (ssize_t)script->len;

	if (fd >= 0)
		close(fd);
	return written;
}

static int prepare(struct build *build)
{
	const char *work = build->ctl->options[OPTION_WORK];

	char where[PATH_MAX] = "/var/tmp";

	/* Absolute: sanbootd is told the path of the result. */
	if (work && ((mkdir(work, 0755) && errno != EEXIST) || !realpath(work, where)))
		return ctl_fail("", "--work %s: %s", work, strerror(errno));
	if (snprintf(build->dir, sizeof(build->dir), "%s/sanbootctl-build.XXXXXX", where) >= (int)sizeof(build->dir)) {
		build->dir[0] = '\0';
		return ctl_fail("", "--work %s: the path is too long", work);
	}
	if (!mkdtemp(build->dir) || chmod(build->dir, 0711)) {
		int err = errno;

		build->dir[0] = '\0';
		return ctl_fail("say where with --work DIR", "%s: %s", where, strerror(err));
	}
	snprintf(build->script, sizeof(build->script), "%s/build", build->dir);
	snprintf(build->out, sizeof(build->out), "%s/%.64s.raw", build->dir, build->ctl->options[OPTION_NAME]);
	if (!write_script(build->script))
		return ctl_fail("say where with --work DIR", "%s: %s", build->script, strerror(errno));
	return EXIT_DONE;
}

static void clean_up(struct build *build)
{
	if (!build->dir[0])
		return;
	unlink(build->script);
	unlink(build->out);
	if (rmdir(build->dir) && errno != ENOENT)
		fprintf(stderr, "sanbootctl: %s was not removed: %s\n", build->dir, strerror(errno));
}

/* In the child: does not return. */
static void exec_script(const struct build *build, int out)
{
	static const enum option passed[] = { OPTION_SUITE,	OPTION_SIZE, OPTION_PROFILE,
					      OPTION_INITRAMFS, OPTION_WORK, OPTION_MIRROR };
	char names[array_len(passed)][32];
	const char *argv[4 + 2 * array_len(passed) + 3] = { "bash", build->script, "--out", build->out };
	int null = open("/dev/null", O_RDONLY), n = 4;

	for (size_t i = 0; i < array_len(passed); i++) {
		if (!build->ctl->options[passed[i]])
			continue;
		snprintf(names[i], sizeof(names[i]), "--%s", option_name(passed[i]));
		argv[n++] = names[i];
		argv[n++] = build->ctl->options[passed[i]];
	}
	if (build->ctl->options[OPTION_MULTIPATH])
		argv[n++] = "--multipath";
	if (build->ctl->options[OPTION_CLOUD_INIT])
		argv[n++] = "--cloud-init";
	/* By environment: arguments can be seen by everybody. */
	if (build->ctl->options[OPTION_ROOT_PASSWORD])
		setenv("ROOT_PASSWORD", build->ctl->options[OPTION_ROOT_PASSWORD], 1);
	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	execvp("bash", (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* "progress PERCENT text" or "note text". */
static void take_line(struct build *build, char *line)
{
	unsigned percent;
	int text = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "progress %u %n", &percent, &text) == 1 && text)
		ctl_progress_show(&build->progress, percent > 100 ? 100 : percent, line + text);
	else if (!strncmp(line, "note ", 5) && build->note_count < NOTES_MAX)
		snprintf(build->notes[build->note_count++], LINE_BYTES, "%s", line + 5);
}

static int run_script(struct build *build)
{
	char line[LINE_BYTES];
	int ends[2], status = 0;
	FILE *from;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return ctl_fail("", "%s", strerror(errno));
	child = fork();
	if (child == 0)
		exec_script(build, ends[1]);
	close(ends[1]);
	from = child > 0 ? fdopen(ends[0], "r") : NULL;
	if (!from) {
		close(ends[0]);
		return ctl_fail("", "the build could not be started: %s", strerror(errno));
	}
	setpgid(child, child);
	child_group = child;
	if (interrupted)
		kill(-child, SIGTERM);
	while (fgets(line, sizeof(line), from))
		take_line(build, line);
	fclose(from);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	child_group = 0;
	ctl_progress_end(&build->progress);
	if (interrupted)
		return ctl_fail("", "interrupted; nothing was imported");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return ctl_fail("what went wrong stands above", "the image was not built");
	return EXIT_DONE;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* A build takes minutes, so whatever could refuse its result is checked first. */
static int ask_first(const struct ctl *ctl)
{
	json_t *status;

	if (!client_call(ctl, "GET", "/api/v1/status", NULL, &status))
		return EXIT_REFUSED;
	json_decref(status);
	return EXIT_DONE;
}

int run_image_build_debian(const struct ctl *ctl)
{
	struct build *build;
	int code = check_options(ctl);

	if (code == EXIT_DONE)
		code = ask_first(ctl);
	if (code != EXIT_DONE)
		return code;
	build = calloc(1, sizeof(*build));
	if (!build)
		return ctl_fail("", "out of memory");
	build->ctl = ctl;
	build->progress.quiet = ctl->json;
	catch_signals();
	code = prepare(build);
	if (code == EXIT_DONE)
		code = run_script(build);
	if (code == EXIT_DONE)
		code = ctl_import_image(ctl, build->out);
	/* On standard error: standard output is JSON where that was asked for. */
	for (unsigned i = 0; i < build->note_count && code == EXIT_DONE; i++) {
		char safe[LINE_BYTES];

		fprintf(stderr, "%s\n", printable(safe, sizeof(safe), build->notes[i]));
	}
	clean_up(build);
	free(build);
	return code;
}
