// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls under way: see in_flight.h. */
#include "in_flight.h"

void in_flight_init(struct in_flight *calls)
{
	*calls = (struct in_flight){ 0 };
	pthread_mutex_init(&calls->mutex, NULL);
	pthread_cond_init(&calls->none, NULL);
}

void in_flight_fini(struct in_flight *calls)
{
	pthread_cond_destroy(&calls->none);
	pthread_mutex_destroy(&calls->mutex);
}

void in_flight_enter(struct in_flight *calls)
{
	pthread_mutex_lock(&calls->mutex);
	calls->count++;
	pthread_mutex_unlock(&calls->mutex);
}

void in_flight_leave(struct in_flight *calls)
{
	pthread_mutex_lock(&calls->mutex);
	if (--calls->count == 0)
		pthread_cond_broadcast(&calls->none);
	pthread_mutex_unlock(&calls->mutex);
}

void in_flight_wait(struct in_flight *calls)
{
	pthread_mutex_lock(&calls->mutex);
	while (calls->count)
		pthread_cond_wait(&calls->none, &calls->mutex);
	pthread_mutex_unlock(&calls->mutex);
}
