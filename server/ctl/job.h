/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An import or export that is begun and followed to its end. Private to the folder. */
#ifndef CTL_JOB_H
#define CTL_JOB_H

#include "ctl/ctl.h"

#include <jansson.h>

/*
 * Posts body (taken) to path; the answer's member `what` ("import", "job") is the number of what has begun, and /api/v1/WHATs/N
 * how it goes on. Shows that until it has ended: its last state; NULL where it was refused or could not be asked for (said).
 */
json_t *ctl_do_job(const struct ctl *ctl, const char *path, json_t *body, const char *what);
/* The same, where all that fd gives is sent first, to /api/v1/WHATs/N/data. */
json_t *ctl_send_job(const struct ctl *ctl, const char *path, json_t *body, const char *what, int fd);

#endif
