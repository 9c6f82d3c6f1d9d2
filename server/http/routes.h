/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a route is and which one a request takes; the table of them, and the handlers and schemas that it names. Private
 * to the folder. */
#ifndef HTTP_ROUTES_H
#define HTTP_ROUTES_H

#include "http/request.h"
#include "http/schema.h"

/*
 * Who may: anybody; anybody by a form, whose handler looks where it comes from; a logged-in person, the control socket, or
 * a token: a viewer's to look (GET), an operator's to change something; or only an administrator's.
 */
enum access { ACCESS_PUBLIC, ACCESS_FORM, ACCESS_LOGIN, ACCESS_ADMIN };

enum run {
	RUN_NOW,    /* on libmicrohttpd's thread: must not block */
	RUN_WORKER, /* on a worker, with the connection suspended */
	RUN_LATER,  /* begins something and returns; request_finish is called, at any time, from any thread */
};

#define BOOT_FILES_PATH "/boot-files/"
#define IPXE_PATH "/ipxe/"
#define API_PATH "/api/v1"

struct route {
	const char *method;
	const char *pattern; /* route_table.h says what it may hold */
	unsigned serves;     /* on which listeners */
	enum access access;
	enum run run;
	void (*handle)(struct request *request);
	/* of the API only */
	const struct schema *takes, *answer; /* schema_nothing: nothing is looked at; NULL: no route of the API */
	unsigned status;		     /* when all went well */
	const char *does;
};

/* route_table.c: ends without a pattern. Others than http.c take it from the endpoint (core.h). */
extern const struct route routes[];

/*
 * The route for a method and a path; parameters are copied into the request. NULL, and the answer is set: 404, 405 with
 * Allow, 414 where a segment is longer than any name. HEAD finds GET's route unless that one is RUN_LATER.
 */
const struct route *route_find(struct request *request, const char *method, const char *path);

#define ROUTE(method, path, serves, access, run, handle) void handle(struct request *request);
#define API(method, path, access, handle, takes, status, answer, does) \
	void handle(struct request *request);                          \
	extern const struct schema schema_##takes, schema_##answer;
#include "http/route_table.h"
#undef ROUTE
#undef API

#endif
