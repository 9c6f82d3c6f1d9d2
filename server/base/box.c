// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program in a box: see box.h.
 *
 * A program that hostile bytes talk into opening other files finds only what the whole world may read, and nowhere to
 * send it. Between fork and exec only system calls: other threads may hold locks.
 */
#include "base/box.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	NOBODY = 65534,
	SAFE_FD = 10, /* where our own copies wait, clear of 0 to 4 */
	POLL_MS = 50,
	READ_BYTES = 65536,
	EXIT_NO_EXEC = 126,
	ENDS = 3, /* descriptors besides the files: standard input, output, error */
};

const char box_name[] = "/tmp/disk";

bool box_may_open(const struct stat *st)
{
	return geteuid() != 0 || (st->st_mode & S_IROTH);
}

/* ---- the child ---- */

static _Noreturn void child_die(const char *what)
{
	static const char text[] = "sanbootd: cannot run it: ";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0 || write(STDERR_FILENO, what, strlen(what)) < 0)
		_exit(EXIT_NO_EXEC);
	_exit(EXIT_NO_EXEC);
}

static void child_drop_privileges(unsigned memory_mib)
{
	struct rlimit memory = { (rlim_t)memory_mib << 20, (rlim_t)memory_mib << 20 }, none = { 0, 0 };

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

static bool child_needs_name(const struct box *box)
{
	for (unsigned i = 0; i < BOX_ARGS && box->argv[i]; i++) {
		if (box->argv[i] == box_name)
			return true;
	}
	return false;
}

/* A mount of the file alone, in an empty /tmp that nobody else sees. Before privileges go. */
static bool child_make_name(void)
{
	int file = open_tree(BOX_FIRST, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), place;

	if (file < 0 || unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=64k"))
		return false;
	place = open(box_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	return place >= 0 && !move_mount(file, "", AT_FDCWD, box_name, MOVE_MOUNT_F_EMPTY_PATH);
}

/* high: copies of the ends, then of the files. */
static _Noreturn void child_exec(const struct box *box, const int *high, pid_t parent)
{
	char *const environment[] = { (char *)(uintptr_t) "LC_ALL=C", (char *)(uintptr_t) "PATH=/usr/bin:/bin",
				      (char *)(uintptr_t)box->setting, NULL };
	char *argv[BOX_ARGS + 1] = { NULL };
	bool named = false;
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (null < 0 || dup2(high[2], STDERR_FILENO) < 0 || dup2(high[1], STDOUT_FILENO) < 0 ||
	    dup2(high[0] >= 0 ? high[0] : null, STDIN_FILENO) < 0)
		_exit(EXIT_NO_EXEC);
	for (unsigned i = 0; i < box->file_count; i++) {
		if (dup2(high[ENDS + i], BOX_FIRST + (int)i) < 0)
			child_die("descriptors");
	}
	close_range(BOX_FIRST + box->file_count, ~0u, 0);
	if (child_needs_name(box))
		named = child_make_name();
	for (unsigned i = 0; i < BOX_ARGS && box->argv[i]; i++)
		argv[i] = (char *)(uintptr_t)(box->argv[i] == box_name && !named ? "/dev/fd/3" : box->argv[i]);
	child_drop_privileges(box->memory_mib);
	/* After the change of user, which clears it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(EXIT_NO_EXEC);
	execve(argv[0], argv, environment);
	child_die(argv[0]);
}

/* ---- the parent ---- */

struct child {
	pid_t pid;
	int out, err; /* -1: closed */
};

static void close_all(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

static int child_start(const struct box *box, struct child *child)
{
	int pipes[4] = { -1, -1, -1, -1 }, high[ENDS + BOX_FILES], low[ENDS + BOX_FILES];
	unsigned count = ENDS + box->file_count;
	pid_t self = getpid(), pid = -1;
	int err = 0;

	if (pipe2(pipes, O_CLOEXEC) || pipe2(pipes + 2, O_CLOEXEC))
		err = -errno;
	low[0] = box->input;
	low[1] = pipes[1];
	low[2] = pipes[3];
	for (unsigned i = 0; i < box->file_count; i++)
		low[ENDS + i] = box->files[i];
	for (unsigned i = 0; i < count; i++) {
		high[i] = err || low[i] < 0 ? -1 : fcntl(low[i], F_DUPFD_CLOEXEC, SAFE_FD);
		if (!err && low[i] >= 0 && high[i] < 0)
			err = -errno;
	}
	if (!err) {
		pid = fork();
		if (pid == 0)
			child_exec(box, high, self);
		if (pid < 0)
			err = -errno;
	}
	close_all(high, count);
	close_all((int[]){ pipes[1], pipes[3] }, 2);
	if (err)
		close_all((int[]){ pipes[0], pipes[2] }, 2);
	else
		*child = (struct child){ .pid = pid, .out = pipes[0], .err = pipes[2] };
	return err;
}

/* What is there, at most len bytes; closes it at its end. */
static size_t read_some(int *fd, void *data, size_t len)
{
	ssize_t n = read(*fd, data, len);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		close(*fd);
		*fd = -1;
		return 0;
	}
	return (size_t)n;
}

static void child_kill(const struct child *child)
{
	kill(child->pid, SIGKILL);
}

/* Its output is taken; false: enough. */
static bool take_out(const struct box *box, struct child *child, char *data)
{
	size_t len = read_some(&child->out, data, READ_BYTES);

	return !len || !box->take || box->take(box->arg, data, len);
}

static void take_err(struct child *child, struct box_end *end, char *data)
{
	size_t len = read_some(&child->err, data, READ_BYTES);

	len = (size_t)min_u64(len, sizeof(end->text) - 1 - end->len);
	memcpy(end->text + end->len, data, len);
	end->len += len;
	end->text[end->len] = '\0';
}

/* Follows the child to its end. 0, or why it was killed. */
static int child_follow(const struct box *box, struct child *child, struct box_end *end, char *data)
{
	uint64_t until = time_monotonic_ms() + box->timeout_ms;
	int err = 0;

	while (child->out >= 0 || child->err >= 0) {
		struct pollfd fds[2] = { { .fd = child->out, .events = POLLIN },
					 { .fd = child->err, .events = POLLIN } };

		if (poll(fds, 2, POLL_MS) > 0) {
			if (fds[0].revents && !take_out(box, child, data) && !end->enough) {
				end->enough = true;
				child_kill(child);
			}
			if (fds[1].revents)
				take_err(child, end, data);
		}
		if (err || end->enough)
			continue;
		if (box->step && !box->step(box->arg))
			err = -ECANCELED;
		else if (box->timeout_ms && time_monotonic_ms() > until)
			err = -ETIMEDOUT;
		if (err)
			child_kill(child);
	}
	return err;
}

int box_run(const struct box *box, struct box_end *end)
{
	char *data = malloc(READ_BYTES);
	struct child child;
	int status = 0, err;

	if (!data)
		return -ENOMEM;
	end->code = -1;
	end->signal = 0;
	end->enough = false;
	end->len = 0;
	end->text[0] = '\0';
	err = child_start(box, &child);
	if (!err) {
		err = child_follow(box, &child, end, data);
		while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
			;
		if (WIFSIGNALED(status))
			end->signal = WTERMSIG(status);
		else
			end->code = WEXITSTATUS(status);
	}
	free(data);
	return err;
}
