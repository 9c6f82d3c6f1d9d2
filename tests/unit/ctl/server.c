// SPDX-License-Identifier: GPL-2.0-or-later
/* A server that answers what a test says: see server.h. */
#include "server.h"

#include "cmocka_all.h"
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void *serve(void *arg)
{
	struct server *server = arg;

	for (int i = 0; i < SERVER_ANSWERS && server->answers[i]; i++) {
		int fd = accept(server->fd, NULL, NULL);
		size_t len = 0, want = 0;
		char *body;

		while (len < sizeof(server->asked[i]) - 1) {
			ssize_t n = recv(fd, server->asked[i] + len, sizeof(server->asked[i]) - 1 - len, 0);
			const char *length;

			if (n <= 0)
				break;
			len += (size_t)n;
			server->asked[i][len] = '\0';
			body = strstr(server->asked[i], "\r\n\r\n");
			length = strstr(server->asked[i], "Content-Length: ");
			want = length ? strtoul(length + 16, NULL, 10) : 0;
			if (body && len >= (size_t)(body + 4 - server->asked[i]) + want)
				break;
		}
		if (send(fd, server->answers[i], strlen(server->answers[i]), MSG_NOSIGNAL) < 0)
			perror("send");
		close(fd);
	}
	return NULL;
}

void server_start(struct server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(server->dir, "/tmp/unit-ctl.XXXXXX");
	assert_non_null(mkdtemp(server->dir));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", server->dir);
	server->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->fd, SERVER_ANSWERS), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

void server_stop(struct server *server)
{
	char path[128];

	pthread_join(server->thread, NULL);
	close(server->fd);
	snprintf(path, sizeof(path), "%s/control.sock", server->dir);
	unlink(path);
	rmdir(server->dir);
}

int server_run(struct server *server, const char *line)
{
	char text[512];
	char *argv[24] = { (char *)(uintptr_t) "sanbootctl", (char *)(uintptr_t) "--runtime-dir", server->dir };
	int argc = 3;

	snprintf(text, sizeof(text), "%s", line);
	for (char *word = strtok(text, " "); word && argc < 24; word = strtok(NULL, " "))
		argv[argc++] = word;
	return ctl_main(argc, argv);
}

char *server_said(struct server *server, const char *line, int *code)
{
	int out, kept;
	char *said = calloc(1, SERVER_SAID);
	FILE *file = tmpfile();

	assert_non_null(said);
	assert_non_null(file);
	fflush(stdout);
	out = dup(STDOUT_FILENO);
	kept = dup(STDERR_FILENO);
	dup2(fileno(file), STDOUT_FILENO);
	dup2(fileno(file), STDERR_FILENO);
	*code = server_run(server, line);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(kept, STDERR_FILENO);
	close(out);
	close(kept);
	rewind(file);
	said[fread(said, 1, SERVER_SAID - 1, file)] = '\0';
	fclose(file);
	return said;
}
