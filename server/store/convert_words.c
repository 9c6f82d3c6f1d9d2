// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qemu-img's complaints in our words: see convert_words.h. What is in no table is called damaged, with its own words
 * behind, in which its names for the file are replaced.
 */
#include "store/convert_words.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 2048, QUOTED_TEXT = 200 };

#define CUT_OFF "is cut off or damaged: parts of its disk lie beyond its end. Copy it again, and compare the sizes"

/* The first that fits counts. */
static const struct saying {
	const char *part, *means;
} sayings[] = {
	{ "log that needs to be replayed",
	  "was not closed in order: its last changes are still in its log. Open it once in Hyper-V (Mount-VHD FILE, then "
	  "Dismount-VHD FILE), or run \"qemu-img check -r all FILE\" on it, and import it again" },
	{ "has been truncated", CUT_OFF },
	{ "has probably been truncated", CUT_OFF },
	{ "points after EOF", CUT_OFF },
	{ "exceeding the end of the file", CUT_OFF },
	{ "is outside image", CUT_OFF },
	{ "past the end of", CUT_OFF },
	{ "header too short", CUT_OFF },
	{ "No space left on device",
	  "could not be converted: the file system of the state directory is full. Make room, and import it again" },
	{ "Cannot allocate memory",
	  "could not be converted: qemu-img may use 2 GiB of memory, and this image makes it want more. Convert it by hand "
	  "(qemu-img convert -O qcow2 OLD NEW), and import the new file" },
	{ "nknown compression",
	  "is compressed in a way that this server's qemu-img does not know. Convert it where it was made (qemu-img "
	  "convert -O qcow2 OLD NEW)" },
	{ "nsupported",
	  "uses something that this server's qemu-img does not know. Convert it where it was made (qemu-img convert -O "
	  "qcow2 OLD NEW)" },
};

/* How an image of a format that is damaged is mended, by those who made it. */
static const char *const repairs[] = {
	[FORMAT_RAW] = "copy it again",
	[FORMAT_QCOW2] = "copy it again, or repair it (qemu-img check -r all FILE)",
	[FORMAT_VHD] = "copy it again, or open it once in Hyper-V (Mount-VHD FILE, then Dismount-VHD FILE)",
	[FORMAT_VHDX] = "copy it again, or open it once in Hyper-V (Mount-VHD FILE, then Dismount-VHD FILE)",
	[FORMAT_VMDK] = "copy it again, or repair it with VMware's tool (vmware-vdiskmanager -R FILE)",
	[FORMAT_VDI] = "copy it again, or clone it in VirtualBox (VBoxManage clonemedium OLD NEW)",
};

/* Where the JSON that begins here ends. */
static const char *skip_json(const char *at)
{
	unsigned depth = 0;

	at += strlen("json:");
	for (; *at; at++) {
		if (*at == '{')
			depth++;
		else if (*at == '}' && !--depth)
			return at + 1;
	}
	return at;
}

/* The first line without our descriptors and the JSON in which they were named: "Could not open it: ...". */
static void clean(const char *words, char *out, size_t size)
{
	static const char *const empty[] = { "qemu-img: ", "Could not open 'it': ", "ERROR: ", "ERROR " };
	const char *end = words + strcspn(words, "\r\n"), *from;
	struct buf text;

	buf_init(&text, WORDS_MAX);
	while (words < end) {
		if (!strncmp(words, "json:{", 6)) {
			words = skip_json(words) < end ? skip_json(words) : end;
			buf_add_string(&text, "it");
		} else if (!strncmp(words, "/dev/fd/", 8)) {
			words += 8 + strspn(words + 8, "0123456789");
			buf_add_string(&text, "it");
		} else {
			buf_add(&text, words++, 1);
		}
	}
	from = buf_text(&text);
	for (size_t i = 0; i < array_len(empty); i++) {
		if (!strncmp(from, empty[i], strlen(empty[i])))
			from += strlen(empty[i]);
	}
	log_escape(out, size, from, strlen(from));
	buf_fini(&text);
}

int convert_explain(enum image_format format, const char *words, int err, struct reason *reason)
{
	char quoted[QUOTED_TEXT];

	for (size_t i = 0; i < array_len(sayings); i++) {
		if (strstr(words, sayings[i].part))
			return reason_refuse(reason, err, "%s", sayings[i].means);
	}
	clean(words, quoted, sizeof(quoted));
	return reason_refuse(reason, err,
			     "is damaged or cut off, or no %s that qemu-img understands: %s. qemu-img says: %s",
			     probe_format_name(format), repairs[format], quoted[0] ? quoted : "nothing");
}

int convert_explain_export(const char *words, int err, struct reason *reason)
{
	char quoted[QUOTED_TEXT];

	if (strstr(words, "No space left on device"))
		return reason_refuse(reason, -ENOSPC,
				     "the file system that it was written to is full: make room, or name another folder");
	clean(words, quoted, sizeof(quoted));
	return reason_refuse(reason, err, "qemu-img could not write it: %s", quoted[0] ? quoted : "it says nothing");
}
