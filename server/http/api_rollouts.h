/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rollouts, as the API shows them. Private to the folder; on workers. */
#ifndef HTTP_API_ROLLOUTS_H
#define HTTP_API_ROLLOUTS_H

#include "http/request.h"

/* POST /images/{image}/publish with "steps": begins a rollout of image@number, or only says what it would be. Answers. */
void api_begin_rollout(struct request *request, const char *image, unsigned number);
/* The same without steps, "dry_run": what publishing would change, now or at_ms (-1: now). Answers. */
void api_try_publish(struct request *request, const char *image, unsigned number, int64_t at_ms);

#endif
