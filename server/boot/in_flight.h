/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asynchronous calls whose answer has not been given: counted, so that whoever stops can wait for them. Any thread. */
#ifndef BOOT_IN_FLIGHT_H
#define BOOT_IN_FLIGHT_H

#include <pthread.h>

struct in_flight {
	pthread_mutex_t mutex; /* guards count */
	pthread_cond_t none;   /* count has become 0 */
	unsigned count;
};

void in_flight_init(struct in_flight *calls);
void in_flight_fini(struct in_flight *calls);
void in_flight_enter(struct in_flight *calls);
void in_flight_leave(struct in_flight *calls);
/* Until there are none. Blocks: not on a loop. */
void in_flight_wait(struct in_flight *calls);

#endif
