/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The templates in force: those of ipxe-scripts/, compiled in, and those that a site put in the place of some of
 * them. A site's template that is broken is refused, and the built-in one goes on serving. Any thread, but for the
 * life cycle. Private to boot/.
 */
#ifndef BOOT_TEMPLATES_H
#define BOOT_TEMPLATES_H

#include "script.h"

struct templates;

/* With the built-in ones. -EINVAL: one of them is broken, logged. */
int templates_new(struct templates **templates);
void templates_free(struct templates *templates);
/*
 * Takes those of a folder in the place of what an earlier call took: *.ipxe of a name that there is, *.part of
 * any. A folder that does not exist has none. NULL: none.
 */
void templates_load(struct templates *templates, const char *folder);
/* In order of name: the files in force, by their path; what was refused. */
void templates_each(struct templates *templates, void (*each)(void *arg, const char *file), void *arg);
void templates_each_problem(struct templates *templates, void (*each)(void *arg, const struct boot_problem *problem),
			    void *arg);
/*
 * 0, or -EINVAL, -ENOMEM: logged (script_make). Where a site's template fails with these values the built-in one
 * is used.
 */
int templates_render(struct templates *templates, const char *template, const struct script_values *values,
		     struct buf *script);

#endif
