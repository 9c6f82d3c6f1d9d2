/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Somebody else's program, over somebody else's bytes, as a child process that can do little: no privileges, no
 * network, no names but only the descriptors that it is given, bounded memory and time. All of it blocks; any thread
 * but a loop's.
 *
 * The child has files as descriptors 3, 4, ..., and opens them again as /dev/fd/3: that asks for permission on the file
 * itself, not on the folders above it, and as "nobody" (box_may_open).
 */
#ifndef BASE_BOX_H
#define BASE_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum {
	BOX_FILES = 12,
	BOX_FIRST = 3,	  /* the first file's number in the child */
	BOX_TEXT = 16384, /* kept of what it says on standard error */
	BOX_ARGS = 16,
};

/*
 * An argument that is this stands for the first file, as a name that can be resolved: some programs do that, and fail on
 * folders that they may not enter. The child has a /tmp of its own for it; where it may not make one, it is /dev/fd/3.
 */
extern const char box_name[];

struct box {
	const char *const *argv; /* NULL ends; argv[0] is an absolute path */
	int files[BOX_FILES];
	unsigned file_count;
	int input;	     /* its standard input; -1: nothing */
	const char *setting; /* "NAME=VALUE" of its environment; NULL: none but LC_ALL and PATH */
	unsigned memory_mib; /* of address space */
	unsigned timeout_ms; /* 0: none */
	/* What it prints, as it comes. False: that is enough, and it is killed. NULL: thrown away. */
	bool (*take)(void *arg, const void *data, size_t len);
	/* A few times a second; false: stop. May be NULL. */
	bool (*step)(void *arg);
	void *arg;
};

struct box_end {
	int code;	     /* exit status; -1: killed by a signal */
	int signal;	     /* that one; 0 */
	bool enough;	     /* take said so: code and signal mean nothing */
	size_t len;	     /* of text */
	char text[BOX_TEXT]; /* the beginning of its standard error */
};

/* May the child open this file? */
bool box_may_open(const struct stat *st);
/* 0: it ran, see *end; -ECANCELED: step; -ETIMEDOUT; or -errno: it could not be started. */
int box_run(const struct box *box, struct box_end *end);

#endif
