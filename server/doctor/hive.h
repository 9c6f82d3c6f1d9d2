/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hive of Windows' registry, read out of an image and asked by hivexsh in a box, a process for each question. hivexsh opens
 * a hive that was not closed without a word, so that is looked at first, by ourselves. Private to doctor/.
 */
#ifndef DOCTOR_HIVE_H
#define DOCTOR_HIVE_H

#include "doctor/tree.h"

enum hive_state {
	HIVE_MISSING,
	HIVE_UNREAD,  /* it could not be read, is no hive, or hivexsh is not installed */
	HIVE_UNCLEAN, /* its two sequence numbers differ: what is in its logs is not seen */
	HIVE_CLEAN,
};

struct hive {
	enum hive_state state;
	int fd; /* memory with a copy; -1: none */
	struct tree_source *source;
};

enum { HIVE_VALUE_TEXT = 256 };

void hive_open(const struct tree *tree, const char *path, struct hive *hive);
void hive_close(struct hive *hive);
/* What the first bytes of a hive say of it; UNREAD: it is none. */
enum hive_state hive_look(const uint8_t *head, size_t len);
/* A value as text, numbers in decimal; false: key or value are not there. key: "\Select", in any case. */
bool hive_value(const struct hive *hive, const char *key, const char *name, char value[HIVE_VALUE_TEXT]);
/* The names of a key's subkeys. */
void hive_each_key(const struct hive *hive, const char *key, void (*each)(void *arg, const char *name), void *arg);

#endif
