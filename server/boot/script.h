/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iPXE scripts from the templates in ipxe-scripts/ (compiled in). Any thread. Private to boot/.
 *
 *     {{name}}       the variable's value. A word (see the table in script.c) has to be made of harmless characters or
 *                    the script is not made at all; in a text, for people, what iPXE could understand is replaced
 *     {{?name}}...   at the start of a line: it is there only where the variable is set; {{!name}}: where it is not
 *     {{>file}}      a whole line: that file of ipxe-scripts/ stands here
 */
#ifndef BOOT_SCRIPT_H
#define BOOT_SCRIPT_H

#include "base/buf.h"

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
	SCRIPT_VARS
};

struct script_values {
	const char *value[SCRIPT_VARS]; /* borrowed; NULL or "": not set */
};

enum { SCRIPT_MAX = 16384 }; /* most bytes of a script */

/*
 * Every template at start: known variables, files that exist, the first line. 0 or -EINVAL, logged with file and line.
 */
int script_check_templates(void);
/*
 * 0, or -EINVAL (a word with a character that could be taken for iPXE's language, or a variable that is not set),
 * -ENOMEM; logged.
 */
int script_render(const char *template, const struct script_values *values, struct buf *script);

#endif
