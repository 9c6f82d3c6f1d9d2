/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sanbootctl image publish in rings, and what would come of publishing. Private to the folder. */
#ifndef CTL_ROLLOUT_H
#define CTL_ROLLOUT_H

#include "ctl/ctl.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* --ring, --then and --at, which is at_ms (0: none), as the body of a publication. NULL: they are wrong (said). */
json_t *ctl_rollout_body(const struct ctl *ctl, int64_t at_ms);
/* A rollout that has begun, or would; and publishing that would. */
void ctl_print_rollout(const struct ctl *ctl, const json_t *answer);
void ctl_print_try(const struct ctl *ctl, const json_t *answer);

#endif
