// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Running qemu-img: see convert.h.
 *
 * The child gets the input as descriptor 3 and the output as 4, and opens them again as /dev/fd/3 and /dev/fd/4: that
 * asks for permission on the file itself, not on the folders above it. So the output, in a folder that only we may
 * enter, is writable for all while it is made; and an input that "nobody" may not read is copied first by our caller.
 * An image that talks qemu-img into opening other files then finds only what the whole world may read, and nowhere to
 * send it. The format is explicit, the backing file explicitly none.
 *
 * Between fork and exec only system calls: other threads may hold locks.
 */
#include "store/convert.h"

#include "base/log.h"
#include "base/util.h"
#include "store/convert_words.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	NOBODY = 65534,
	CHILD_IN = 3,
	CHILD_OUT = 4,
	SAFE_FD = 10, /* where our own copies wait, clear of 0 to 4 */
	POLL_MS = 50,
	OUTPUT_TEXT = 16384,
	MEMORY_MAX = 2, /* GiB of address space */
	EXIT_NO_EXEC = 126,
	CHECK_LEAKS = 3, /* exit codes of qemu-img check */
	CHECK_UNSUPPORTED = 63,
};

bool convert_can_read(const struct stat *st)
{
	return geteuid() != 0 || (st->st_mode & S_IROTH);
}

/* ---- the child ---- */

static _Noreturn void child_die(const char *what)
{
	static const char text[] = "sanbootd: cannot run qemu-img: ";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0 || write(STDERR_FILENO, what, strlen(what)) < 0)
		_exit(EXIT_NO_EXEC);
	_exit(EXIT_NO_EXEC);
}

static void child_drop_privileges(void)
{
	struct rlimit memory = { (rlim_t)MEMORY_MAX << 30, (rlim_t)MEMORY_MAX << 30 }, none = { 0, 0 };

	setrlimit(RLIMIT_AS, &memory);
	setrlimit(RLIMIT_CORE, &none);
	nice(10);
	/* No network. Some systems do not allow that, and it is not the only protection. */
	if (unshare(CLONE_NEWNET) && geteuid() != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET)) { /* goes on with it */
	}
	if (geteuid() == 0) {
		if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
			child_die("privileges could not be dropped");
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static _Noreturn void child_exec(char *const argv[], int in, int out, int stdout_fd, int stderr_fd, pid_t parent)
{
	static char *const environment[] = { (char *)(uintptr_t) "LC_ALL=C", (char *)(uintptr_t) "PATH=/usr/bin:/bin",
					     NULL };
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (null < 0 || dup2(stderr_fd, STDERR_FILENO) < 0 || dup2(stdout_fd, STDOUT_FILENO) < 0 ||
	    dup2(null, STDIN_FILENO) < 0)
		_exit(EXIT_NO_EXEC);
	if (dup2(in, CHILD_IN) < 0 || (out >= 0 && dup2(out, CHILD_OUT) < 0))
		child_die("descriptors");
	close_range(out >= 0 ? CHILD_OUT + 1 : CHILD_OUT, ~0u, 0);
	child_drop_privileges();
	/* After the change of user, which clears it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(EXIT_NO_EXEC);
	execve(argv[0], argv, environment);
	child_die(argv[0]);
}

/* ---- the parent ---- */

struct output {
	int fd;	       /* -1: closed */
	bool keep_end; /* of what does not fit its end stays, otherwise its beginning */
	size_t len;
	char text[OUTPUT_TEXT];
};

struct child {
	pid_t pid;
	struct output out, err;
};

static int child_start(char *const argv[], int in, int out, struct child *child)
{
	int pipe_out[2] = { -1, -1 }, pipe_err[2] = { -1, -1 }, high[4] = { -1, -1, -1, -1 };
	pid_t self = getpid(), pid = -1;
	int err = 0;

	if (pipe2(pipe_out, O_CLOEXEC) || pipe2(pipe_err, O_CLOEXEC))
		err = -errno;
	if (!err) {
		int low[4] = { in, out, pipe_out[1], pipe_err[1] };

		for (int i = 0; i < 4 && !err; i++) {
			high[i] = low[i] < 0 ? -1 : fcntl(low[i], F_DUPFD_CLOEXEC, SAFE_FD);
			if (low[i] >= 0 && high[i] < 0)
				err = -errno;
		}
	}
	if (!err) {
		pid = fork();
		if (pid == 0)
			child_exec(argv, high[0], high[1], high[2], high[3], self);
		if (pid < 0)
			err = -errno;
	}
	for (int i = 0; i < 4; i++) {
		if (high[i] >= 0)
			close(high[i]);
	}
	if (pipe_out[1] >= 0)
		close(pipe_out[1]);
	if (pipe_err[1] >= 0)
		close(pipe_err[1]);
	if (err) {
		if (pipe_out[0] >= 0)
			close(pipe_out[0]);
		if (pipe_err[0] >= 0)
			close(pipe_err[0]);
		return err;
	}
	child->pid = pid;
	child->out = (struct output){ .fd = pipe_out[0], .keep_end = out >= 0 };
	child->err = (struct output){ .fd = pipe_err[0] };
	return 0;
}

/* Takes what is there. */
static void output_read(struct output *output)
{
	char data[256];
	ssize_t n = read(output->fd, data, sizeof(data));
	size_t room;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		close(output->fd);
		output->fd = -1;
		return;
	}
	room = sizeof(output->text) - 1 - output->len;
	if (output->keep_end && (size_t)n > room) {
		size_t drop = (size_t)n - room;

		memmove(output->text, output->text + drop, output->len - drop);
		output->len -= drop;
		room = (size_t)n;
	}
	n = (ssize_t)min_u64((uint64_t)n, room);
	memcpy(output->text + output->len, data, (size_t)n);
	output->len += (size_t)n;
	output->text[output->len] = '\0';
}

/* "    (12.34/100%)\r(12.50/100%)\r" -> 12 */
static unsigned progress_percent(const char *text)
{
	const char *open = strrchr(text, '(');
	unsigned long percent;

	/* The last one may be cut in two. */
	while (open && open > text && !strstr(open, "/100%")) {
		do
			open--;
		while (open > text && *open != '(');
	}
	if (!open || *open != '(' || !strstr(open, "/100%"))
		return 0;
	percent = strtoul(open + 1, NULL, 10);
	return percent > 100 ? 100 : (unsigned)percent;
}

/* Follows the child to its end. Its wait status, or -ECANCELED: progress said stop, and it was killed. */
static int child_follow(struct child *child, const struct progress *progress, int *status)
{
	bool canceled = false;

	while (child->out.fd >= 0 || child->err.fd >= 0) {
		struct pollfd fds[2] = { { .fd = child->out.fd, .events = POLLIN },
					 { .fd = child->err.fd, .events = POLLIN } };

		if (poll(fds, 2, POLL_MS) > 0) {
			if (fds[0].revents)
				output_read(&child->out);
			if (fds[1].revents)
				output_read(&child->err);
		}
		if (!canceled && progress && !progress->step(progress->arg, progress_percent(child->out.text))) {
			canceled = true;
			kill(child->pid, SIGKILL);
		}
	}
	while (waitpid(child->pid, status, 0) < 0 && errno == EINTR)
		;
	return canceled ? -ECANCELED : 0;
}

/* 0 and the exit code, -ECANCELED, or -EIO with a sentence. */
static int run(char *const argv[], const struct convert *how, int out, struct child *child, int *code,
	       struct reason *reason)
{
	int status = 0, err = child_start(argv, how->in, out, child);

	if (err)
		return reason_refuse(reason, -EIO, "qemu-img could not be started: %s", strerror(-err));
	err = child_follow(child, how->progress, &status);
	if (err)
		return err;
	if (WIFSIGNALED(status))
		return reason_refuse(reason, -EIO, "qemu-img was killed by signal %d (too little memory?)",
				     WTERMSIG(status));
	*code = WEXITSTATUS(status);
	return 0;
}

static void source_json(const struct convert *how, char *json, size_t size)
{
	const char *extra = "";

	/* The true size, which Hyper-V's footers keep; the geometry beside it may end before the last partition. */
	if (how->format == FORMAT_VHD)
		extra = ",\"force_size_calc\":\"current_size\"";
	else if (how->format == FORMAT_QCOW2 || how->format == FORMAT_VMDK)
		extra = ",\"backing\":null";
	snprintf(json, size, "json:{\"driver\":\"%s\"%s,\"file\":{\"driver\":\"file\",\"filename\":\"/dev/fd/%d\"}}",
		 probe_format_driver(how->format), extra, CHILD_IN);
}

int convert_check(const struct convert *how, struct reason *reason)
{
	char json[256], check[] = "check";
	char *argv[] = { (char *)(uintptr_t)how->qemu_img, check, json, NULL };
	struct child child;
	int code, err;

	source_json(how, json, sizeof(json));
	err = run(argv, how, -1, &child, &code, reason);
	if (err || !code || code == CHECK_LEAKS || code == CHECK_UNSUPPORTED)
		return err;
	/* What it found is in the one, that it found something in the other. */
	return convert_explain(how->format,
			       strstr(child.out.text, "ERROR") || !child.err.text[0] ? child.out.text : child.err.text,
			       -EUCLEAN, reason);
}

/* What qemu-img prints of the source as JSON: its member of that name, 0 where there is none. 0 or -errno; child: its words. */
static int ask_number(const struct convert *how, char *const options[2], const char *member, struct child *child,
		      uint64_t *number, struct reason *reason)
{
	char json[256], output[] = "--output=json";
	char *argv[] = { (char *)(uintptr_t)how->qemu_img, options[0], output, json, options[1], NULL };
	json_t *root, *value;
	int code, err;

	source_json(how, json, sizeof(json));
	err = run(argv, how, -1, child, &code, reason);
	if (err)
		return err;
	root = code ? NULL : json_loads(child->out.text, 0, NULL);
	value = json_object_get(root, member);
	*number = json_is_integer(value) && json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
	json_decref(root);
	return 0;
}

int convert_size(const struct convert *how, uint64_t *size_bytes, struct reason *reason)
{
	char info[] = "info";
	char *const options[] = { info, NULL };
	struct child child;
	uint64_t size;
	int err = ask_number(how, options, "virtual-size", &child, &size, reason);

	if (err)
		return err;
	if (!size)
		return convert_explain(how->format, child.err.text, -EUCLEAN, reason);
	*size_bytes = size;
	return 0;
}

int convert_measure(const struct convert *how, uint64_t *needed_bytes, struct reason *reason)
{
	char measure[] = "measure", format[] = "-Oraw";
	char *const options[] = { measure, format };
	struct child child;

	/* An older one cannot say it of every format (0): then the file system is watched while it converts. */
	return ask_number(how, options, "required", &child, needed_bytes, reason);
}

int convert_run(const struct convert *how, struct reason *reason)
{
	char json[256], output[32], unit[16];
	const char *const args[] = { how->qemu_img, "convert", "-p",   "-n", "--target-is-zero", "-S", unit, "-O",
				     "raw",	    json,      output, NULL };
	char *argv[array_len(args)];
	struct child child;
	int code, err;

	source_json(how, json, sizeof(json));
	snprintf(output, sizeof(output), "/dev/fd/%d", CHILD_OUT);
	snprintf(unit, sizeof(unit), "%d", STORE_HOLE_BYTES);
	for (size_t i = 0; i < array_len(args); i++)
		argv[i] = (char *)(uintptr_t)args[i];
	/* See the top: only while the child runs, in a folder that it cannot enter. */
	if (fchmod(how->out, 0666))
		return reason_refuse(reason, -EIO, "could not be prepared: %s", strerror(errno));
	err = run(argv, how, how->out, &child, &code, reason);
	fchmod(how->out, 0600);
	if (err || !code)
		return err;
	return convert_explain(how->format, child.err.text, -EIO, reason);
}
