/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of sanbootd as data: the file, the flags, the help and the reload come from one table. Private to config.c.
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "config.h"

#define CONFIG_DEFAULT_FILE "/etc/sanbootd/sanbootd.conf"

enum { CONFIG_THREADS_MAX = 256 };

struct kind;

struct option {
	const char *name;
	const char *argument;		   /* NULL: a flag without a value, in the file "yes" or "no" */
	const struct kind *kind;	   /* of its value; NULL: --config, which is no key of the file */
	size_t offset, size;		   /* of its member */
	size_t count;			   /* offset of the list's length; 0: it is given once, the last one counts */
	enum dhcp_option_kind dhcp_option; /* of one of DHCP's */
	const char *environment;	   /* the variable that has its default */
	const char *standard;		   /* its default */
	const char *otherwise;		   /* in words, where that is not a value */
	bool live;			   /* a reload puts a change in force; else it takes a restart */
	const char *help;
};

extern const struct option config_options[]; /* ends without a name */

const struct option *config_option(const char *name, size_t len); /* NULL: there is none */
/*
 * Takes a value from one of the sources, which are the defaults, the file, the flags. Of an option that may be given
 * several times the first value of a source takes the place of what earlier sources said; seen, 0 at first, says of which
 * options the source has spoken. NULL, or what was expected.
 */
const char *config_take(struct config *config, const struct option *option, const char *value, uint64_t *seen);
uint64_t config_memory_bytes(void);

#endif
