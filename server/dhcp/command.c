// SPDX-License-Identifier: GPL-2.0-or-later
/* dnsmasq's command line: see command.h. */
#include "dhcp/command.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *find_program(const char *const *places)
{
	for (; *places; places++)
		if (!access(*places, X_OK))
			return *places;
	return NULL;
}

static const char *find_dnsmasq(struct reason *reason)
{
	static const char *const places[] = { "/usr/sbin/dnsmasq", "/usr/local/sbin/dnsmasq", NULL };
	const char *found = find_program(places);

	if (!found)
		reason_set(reason, "dnsmasq is not installed; apt install dnsmasq-base, or start with --dhcp off");
	return found;
}

int dnsmasq_command_make(const char *conf_path, const struct passwd *user, struct command_line *line,
			 struct reason *reason)
{
	static const char *const setpriv_places[] = { "/usr/bin/setpriv", "/bin/setpriv", NULL };
	const char *dnsmasq = find_dnsmasq(reason), *setpriv = find_program(setpriv_places), **argv = line->argv;

	if (!dnsmasq)
		return -ENOENT;
	if (!setpriv)
		return reason_refuse(reason, -ENOENT, "setpriv is not installed; apt install util-linux");
	memset(line, 0, sizeof(*line));
	*argv++ = setpriv;
	*argv++ = "--pdeathsig";
	*argv++ = "TERM";
	if (user) {
		snprintf(line->texts[0], COMMAND_TEXT, "--reuid=%u", user->pw_uid);
		snprintf(line->texts[1], COMMAND_TEXT, "--regid=%u", user->pw_gid);
		*argv++ = line->texts[0];
		*argv++ = line->texts[1];
		*argv++ = "--clear-groups";
		*argv++ = "--inh-caps=-all,+net_admin,+net_raw,+net_bind_service";
		*argv++ = "--ambient-caps=-all,+net_admin,+net_raw,+net_bind_service";
	}
	snprintf(line->texts[2], COMMAND_TEXT, "--conf-file=%s", conf_path);
	*argv++ = dnsmasq;
	*argv++ = "--keep-in-foreground";
	*argv++ = "--pid-file=";
	*argv++ = line->texts[2];
	/*
	 * As root it must not change its group either: the kernel takes the parent-death signal from who changes his
	 * credentials.
	 */
	if (!user) {
		*argv++ = "--user=root";
		*argv++ = "--group=root";
	}
	return 0;
}

/* Everything that it says, and its status as waitpid gives it. */
static int run(char *const argv[], char *said, size_t said_size, int *status)
{
	posix_spawn_file_actions_t actions;
	int ends[2], err;
	size_t len = 0;
	ssize_t got;
	char rest[512];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	err = -posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	while (!err && (got = read(ends[0], rest, sizeof(rest))) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		for (ssize_t i = 0; i < got && len < said_size - 1; i++)
			said[len++] = rest[i];
	}
	said[len] = '\0';
	close(ends[0]);
	while (!err && waitpid(pid, status, 0) < 0)
		err = errno == EINTR ? 0 : -errno;
	return err;
}

int dnsmasq_command_test(const char *conf_path, struct reason *reason)
{
	char conf[COMMAND_TEXT], said[512], shown[sizeof(said) * 4];
	const char *dnsmasq = find_dnsmasq(reason), *words;
	char *argv[] = { (char *)(uintptr_t)dnsmasq, (char *)(uintptr_t) "--test", conf, NULL };
	int err, status = 0;

	if (!dnsmasq)
		return -ENOENT;
	snprintf(conf, sizeof(conf), "--conf-file=%s", conf_path);
	err = run(argv, said, sizeof(said), &status);
	if (err)
		return reason_refuse(reason, err, "cannot run %s: %s", dnsmasq, strerror(-err));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	/* Its first line may be an empty one. */
	words = said + strspn(said, "\n");
	log_escape(shown, sizeof(shown), words, strcspn(words, "\n"));
	return reason_refuse(reason, -EINVAL, "dnsmasq refuses its configuration: %s", shown);
}
