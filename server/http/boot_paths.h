/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a machine asks. Private to the folder. */
#ifndef HTTP_BOOT_PATHS_H
#define HTTP_BOOT_PATHS_H

#include "boot/boot.h"
#include "http/request.h"

/* The question of GET /boot, out of a request's arguments. */
void boot_paths_make_ask(const struct request *request, struct boot_ask *ask);
/* The outcomes of boot/ that /metrics counts; index into http->boot_outcomes. */
const char *boot_paths_outcome_name(unsigned index);

#endif
