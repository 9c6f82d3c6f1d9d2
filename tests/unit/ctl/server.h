/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server that answers what a test says, one connection after the other, and keeps what it was asked. */
#ifndef UNIT_CTL_SERVER_H
#define UNIT_CTL_SERVER_H

#include <pthread.h>

enum { SERVER_ANSWERS = 6, SERVER_SAID = 16384 };

struct server {
	char dir[64];
	int fd;
	pthread_t thread;
	const char *answers[SERVER_ANSWERS]; /* one connection each */
	char asked[SERVER_ANSWERS][4096];
};

#define OK(json) "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" json

void server_start(struct server *server);
/* Waits until all answers have been given. */
void server_stop(struct server *server);
/* Runs "sanbootctl --runtime-dir DIR WORDS...": the exit code. */
int server_run(struct server *server, const char *line);
/* The same: what it said, on both outputs. free(3). */
char *server_said(struct server *server, const char *line, int *code);

#endif
