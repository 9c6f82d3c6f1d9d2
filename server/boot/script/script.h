/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iPXE scripts from templates: those of templates.h. Their language and variables: ipxe-scripts/README.md. Any thread.
 * Private to boot/.
 */
#ifndef BOOT_SCRIPT_H
#define BOOT_SCRIPT_H

#include "base/buf.h"
#include "boot/boot.h"

#include <stdint.h>

enum script_var {
	VAR_BASE,   /* http://10.0.0.1:8080 */
	VAR_SERVER, /* the host in the iSCSI URI */
	VAR_PORT,   /* its port */
	VAR_IQN,    /* the target */
	VAR_INITIATOR,
	VAR_NAME,  /* the machine */
	VAR_IMAGE, /* NAME@V */
	VAR_USER,
	VAR_SECRET,
	VAR_REVERSE_USER,
	VAR_REVERSE_SECRET,
	VAR_MAC,
	VAR_NUMBER,	/* on the waiting list */
	VAR_ATTEMPT,	/* the number of the next attempt */
	VAR_SECONDS,	/* until it asks again */
	VAR_PLACE,	/* in the queue of those who wait for their turn */
	VAR_QUEUE,	/* how many wait there */
	VAR_NO_GATEWAY, /* switches: set or not */
	VAR_AGAIN,
	VAR_BIOS,
	VAR_EFI,
	VAR_WHERE, /* texts */
	VAR_SINCE,
	VAR_REASON,
	VAR_URIS,  /* the disk's, one or more, with spaces between them */
	VAR_CD,	   /* of a CD that is to be booted, likewise */
	VAR_TOKEN, /* of a boot-once that this script uses up */
	VAR_ENTRY, /* an entry's name, and its parts */
	VAR_TITLE,
	VAR_KERNEL,
	VAR_SHIM,
	VAR_CMDLINE,
	VAR_URL,
	VAR_INITRD, /* lists from here on: their items end with '\n' */
	VAR_FILE,
	VAR_FILE_NAME,
	VAR_ITEM, /* of the menu: what is chosen, and what is shown */
	VAR_ITEM_TITLE,
	VAR_DEFAULT, /* words again: an item, milliseconds */
	VAR_TIMEOUT,
	SCRIPT_VARS
};

struct script_values {
	const char *value[SCRIPT_VARS]; /* borrowed; NULL or "": not set */
};

/* Most bytes of a script, of a template, of its name. */
enum { SCRIPT_MAX = 32768, TEMPLATE_MAX = 16384, TEMPLATE_NAME_MAX = 32 };

/*
 * Where a template's text comes from: false where there is none of this name. The text is borrowed for as long as
 * the source.
 */
struct script_source {
	bool (*find)(const void *arg, const char *name, const char **text, size_t *len);
	const void *arg;
};

/*
 * One template, whatever its variables will be: known variables, files that exist, the first line, and no word
 * that this template is not always given on a line without {{?...}}. 0, or -EINVAL and problem says where and why.
 */
int script_check(const struct script_source *source, const char *template, struct boot_problem *problem);
/*
 * 0; -EINVAL (a word with a character that could be taken for iPXE's language, or a variable that is not set),
 * -ENOMEM: problem says where and why.
 */
int script_make(const struct script_source *source, const char *template, const struct script_values *values,
		struct buf *script, struct boot_problem *problem);
/* May stand in a script as a word, as a URL, as several words of an administrator (an entry's command line). */
bool script_word_valid(const char *word);
bool script_url_valid(const char *url);
bool script_line_valid(const char *line);

#endif
