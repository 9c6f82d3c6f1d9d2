/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries: what a machine can boot besides its disk (installers, tools), one NAME.conf each in a folder of the
 * site's. What a file may hold: ipxe-scripts/README.md. Any thread, but for the life cycle. Private to boot/.
 */
#ifndef BOOT_ENTRY_H
#define BOOT_ENTRY_H

#include "boot/boot.h"

enum {
	ENTRY_TITLE_TEXT = 64,
	ENTRY_PLACE_TEXT = 200,
	ENTRY_LINE_TEXT = 1000,
	ENTRY_FILES_MAX = 16,
	ENTRY_CONF_MAX = 16384,
};

enum entry_kind { ENTRY_LINUX, ENTRY_WINDOWS, ENTRY_CHAIN };

struct entry {
	char name[NAME_MAX_TEXT];
	char title[ENTRY_TITLE_TEXT];
	enum entry_kind kind;
	char kernel[ENTRY_PLACE_TEXT]; /* linux: a URL, or a path below boot-files/; windows: wimboot likewise */
	char shim[ENTRY_PLACE_TEXT];   /* linux: its distribution's, for Secure Boot; "": none */
	char files[ENTRY_FILES_MAX][ENTRY_PLACE_TEXT]; /* initrds; or what wimboot is given, in the order of the file */
	unsigned file_count;
	char cmdline[ENTRY_LINE_TEXT];
	char url[ENTRY_PLACE_TEXT]; /* chain */
	bool disk;		    /* the machine's disk is hooked */
	bool menu;		    /* menus offer it */
};

struct entries;

int entries_new(struct entries **entries); /* none in it */
void entries_free(struct entries *entries);
/* Takes those of a folder in the place of all earlier ones. NULL: none. */
void entries_load(struct entries *entries, const char *folder);
bool entries_find(struct entries *entries, const char *name, struct entry *entry);
/* In order of name. */
void entries_each(struct entries *entries, void (*each)(void *arg, const struct entry *entry), void *arg);
void entries_each_problem(struct entries *entries, void (*each)(void *arg, const struct boot_problem *problem),
			  void *arg);
/* "a, b", or "none". */
void entries_names(struct entries *entries, char *out, size_t out_size);

/* One file's text. False: problem says which line (0: the whole) and why; its file stays as it is. Pure. */
bool entry_parse(const char *name, const char *text, size_t len, struct entry *entry, struct boot_problem *problem);
/* http, https, tftp, ftp or nfs, and nothing that could be taken for iPXE's language. */
bool entry_url_valid(const char *url);

#endif
