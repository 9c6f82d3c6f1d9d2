/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a beat says (beat.h): text for people, of one length, so that a mount that still knows the length of the last
 * one reads all of this one. Any thread.
 */
#ifndef STORE_BEAT_RECORD_H
#define STORE_BEAT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BEAT_BYTES = 512, BEAT_TOKEN_CHARS = 32, BEAT_ID_CHARS = 36, BEAT_HOST_CHARS = 64 };

/* STOPPED: in order; the folder is free, and whoever served before that one does not any more. */
enum beat_state { BEAT_STARTING, BEAT_SERVING, BEAT_STOPPED };

struct beat_record {
	uint64_t term;	/* one more than that of the server before it */
	uint64_t count; /* of beats */
	enum beat_state state;
	char token[BEAT_TOKEN_CHARS + 1]; /* of this start of this server; hex */
	char boot_id[BEAT_ID_CHARS + 1];  /* of its host, or "unknown" */
	uint64_t pid_space;		  /* inode of its pid namespace; 0: unknown */
	uint64_t pid, started;		  /* in that; when it began, in ticks since the host did; 0: unknown */
	char host[BEAT_HOST_CHARS + 1];	  /* printable, without spaces */
};

/* Writes all of out; no NUL behind it. The record's texts must be as said above. */
void beat_record_format(const struct beat_record *record, char out[BEAT_BYTES]);
/* False, and nothing written, where it is not exactly what beat_record_format writes. */
bool beat_record_parse(const void *data, size_t size, struct beat_record *record);
/* More than 0: a is the later server, or the later beat of the same one. 0: the same beat. */
int beat_record_compare(const struct beat_record *a, const struct beat_record *b);

/* This process, STARTING, with a token of its own; term and count are 0. */
void beat_record_describe_self(struct beat_record *record);
/* What is known for certain of its process: something only of one on this host, in this pid namespace. */
enum beat_life { BEAT_UNKNOWN, BEAT_ALIVE, BEAT_DEAD };
enum beat_life beat_record_life(const struct beat_record *record);

#endif
