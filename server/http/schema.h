/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a JSON object holds, as data: from it come the check of bodies that are sent to us, and their description in
 * openapi.json. Private to the folder.
 */
#ifndef HTTP_SCHEMA_H
#define HTTP_SCHEMA_H

#include "inventory/field.h"

#include <jansson.h>
#include <stdbool.h>

struct request;

/* What a member may be; several of them, or-ed. */
enum schema_kind {
	TEXT = 1,
	NUMBER = 2, /* an integer */
	BOOL = 4,
	NOTHING = 8, /* null */
	OBJECT = 16, /* of */
	LIST = 32,   /* of objects; without `of`: of texts and numbers */
	MAP = 64,    /* an object with any keys, each an object of `of` */
	OPTIONAL = 128,
	SCALAR = TEXT | NUMBER | BOOL,
};

struct schema_member {
	const char *name; /* NULL ends */
	unsigned kinds;
	const struct schema *of;
	const char *help; /* NULL: its name says it */
};

struct schema {
	const char *name; /* in openapi.json; NULL: nothing is looked at */
	const struct schema_member *members;
	/* Fields of a record: those that are shown, or with `set` the keys that people may change. */
	const struct field *fields;
	bool set;
	bool open;	     /* other keys may be there, too: scalars */
	const char *example; /* of a body */
};

/*
 * Reads the body that a route takes into request->json, and checks its keys and their kinds. False, and 400 is
 * answered: it does not fit.
 */
bool schema_take_body(struct request *request);
/* {"error", "hint"}: schemas.c has it, as all that routes name. */
extern const struct schema schema_error;

/*
 * Calls `each` for every member, those of records included. Its member lives as long as the call.
 */
void schema_each(const struct schema *schema, void (*each)(void *arg, const struct schema_member *member), void *arg);

#endif
