// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makers of network cards: see vendors.h. One sorted list of assignments; the longest that fits counts, for a block of
 * 2^24 addresses that belongs to the registry itself has smaller ones in it.
 */
#include "http/vendors.h"

#include "base/buf.h"
#include "base/csv.h"
#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAC_BITS = 48,
	FILE_MAX = 32 << 20, /* bytes */
	ASSIGNMENT = 1,	     /* columns */
	ORGANISATION = 2,
};

struct assignment {
	uint64_t first; /* of its addresses */
	uint32_t name;	/* in names */
	unsigned char bits;
};

struct vendors {
	struct assignment *list;
	size_t count, room;
	struct buf names; /* one after the other, each with its NUL */
};

static int compare(const void *a, const void *b)
{
	const struct assignment *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x->bits > y->bits) - (x->bits < y->bits);
}

/* The registry's own name stands where a block was divided: it made nothing. */
static bool names_somebody(const char *name)
{
	return name[0] && strcmp(name, "Private") && strcmp(name, "IEEE Registration Authority");
}

static int add(struct vendors *vendors, const char *digits, const char *name)
{
	unsigned bits = 4 * (unsigned)strlen(digits);
	struct assignment made = { .name = (uint32_t)vendors->names.len, .bits = (unsigned char)bits };
	char *end;

	made.first = strtoull(digits, &end, 16);
	if (*end || !bits || bits > MAC_BITS || !names_somebody(name))
		return 0;
	made.first <<= MAC_BITS - bits;
	if (vendors->count == vendors->room) {
		size_t room = vendors->room ? 2 * vendors->room : 4096;
		struct assignment *grown = reallocarray(vendors->list, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		vendors->list = grown;
		vendors->room = room;
	}
	buf_add(&vendors->names, name, strlen(name) + 1);
	if (vendors->names.failed)
		return -ENOMEM;
	vendors->list[vendors->count++] = made;
	return 0;
}

static int read_rows(struct vendors *vendors, const char *path, const char *text, size_t len)
{
	struct reason reason = { "" };
	struct csv_row row;
	struct csv csv;
	int err;

	csv_begin(&csv, text, len);
	csv_row_init(&row);
	while ((err = csv_next(&csv, &row, &reason)) == 1) {
		if (row.count <= ORGANISATION)
			continue;
		err = add(vendors, row.fields[ASSIGNMENT], row.fields[ORGANISATION]);
		if (err)
			break;
	}
	csv_row_fini(&row);
	if (err == -EINVAL)
		log_warning("%s: %s; what follows is not used", path, reason.text);
	return err == -ENOMEM ? err : 0;
}

static int read_file(struct vendors *vendors, const char *path)
{
	struct buf text;
	char piece[65536];
	size_t got;
	FILE *file = fopen(path, "re");
	int err;

	if (!file)
		return 0;
	buf_init(&text, FILE_MAX);
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(&text, piece, got);
	fclose(file);
	err = text.failed ? 0 : read_rows(vendors, path, buf_text(&text), text.len);
	buf_fini(&text);
	return err;
}

struct vendors *vendors_new(const char *directory)
{
	static const char *const files[] = { "oui.csv", "mam.csv", "oui36.csv", "iab.csv" };
	struct vendors *vendors = calloc(1, sizeof(*vendors));

	if (!vendors)
		return NULL;
	buf_init(&vendors->names, FILE_MAX);
	for (size_t i = 0; i < array_len(files); i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
		if (read_file(vendors, path)) {
			vendors_free(vendors);
			return NULL;
		}
	}
	if (vendors->count)
		qsort(vendors->list, vendors->count, sizeof(*vendors->list), compare);
	return vendors;
}

void vendors_free(struct vendors *vendors)
{
	if (!vendors)
		return;
	buf_fini(&vendors->names);
	free(vendors->list);
	free(vendors);
}

static uint64_t number_of(const char *mac)
{
	uint64_t value = 0;

	for (; *mac; mac++) {
		if (*mac != ':')
			value = value << 4 | (uint64_t)(*mac <= '9' ? *mac - '0' : (*mac | 0x20) - 'a' + 10);
	}
	return value;
}

/* Of the assignments that begin at an address exactly; NULL where there is none. */
static const struct assignment *at(const struct vendors *vendors, uint64_t first, unsigned bits)
{
	const struct assignment wanted = { .first = first, .bits = (unsigned char)bits };

	return vendors->count ? bsearch(&wanted, vendors->list, vendors->count, sizeof(wanted), compare) : NULL;
}

const char *vendors_find(const struct vendors *vendors, const char *mac)
{
	static const unsigned sizes[] = { 36, 28, 24 };
	const uint64_t value = number_of(mac);

	if (value >> 40 & 2)
		return NULL;
	for (size_t i = 0; i < array_len(sizes); i++) {
		const struct assignment *found =
			at(vendors, value >> (MAC_BITS - sizes[i]) << (MAC_BITS - sizes[i]), sizes[i]);

		if (found)
			return buf_text(&vendors->names) + found->name;
	}
	return NULL;
}
