// SPDX-License-Identifier: GPL-2.0-or-later
/* The running endpoint as what all of http/ shares: made, counted, freed. http.c starts and stops what is in it. */
#include "http/core.h"

#include "base/util.h"
#include "http/limiter.h"
#include "http/vendors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void http_ref(struct http *http)
{
	http->refs++;
}

void http_unref(struct http *http)
{
	bool last = --http->refs == 0;

	pthread_mutex_unlock(&http->lock);
	if (!last)
		return;
	pthread_cond_destroy(&http->watch_wake);
	pthread_cond_destroy(&http->streams_wake);
	pthread_mutex_destroy(&http->lock);
	pthread_mutex_destroy(&http->vendors_lock);
	vendors_free(http->vendors);
	limiter_free(http->limiter);
	free(http->control_path);
	free(http->ipxe_dir);
	for (unsigned i = 0; i < http->set_count; i++)
		free(http->sets[i].directory);
	free(http->boot_files);
	free(http);
}

static bool copy_sets(struct http *http, const struct http_config *config)
{
	bool copied = true;

	for (; http->set_count < config->set_count; http->set_count++) {
		const struct dhcp_boot_set *from = &config->sets[http->set_count];

		snprintf(http->sets[http->set_count].name, DHCP_SET_TEXT, "%s", from->name);
		http->sets[http->set_count].directory = strdup(from->directory);
		copied = copied && http->sets[http->set_count].directory;
	}
	return copied;
}

struct http *http_new(const struct http_config *config, const struct route *routes)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return NULL;
	http->config = *config;
	http->config.boot_endpoints = http->config.web_endpoints = NULL;
	http->config.control_path = http->config.ipxe_dir = http->config.boot_files = NULL;
	http->routes = routes;
	http->refs = 1;
	http->started_ms = time_monotonic_ms();
	pthread_mutex_init(&http->lock, NULL);
	pthread_mutex_init(&http->vendors_lock, NULL);
	cond_init_monotonic(&http->watch_wake);
	cond_init_monotonic(&http->streams_wake);
	http->control_path = config->control_path ? strdup(config->control_path) : NULL;
	http->ipxe_dir = strdup(config->ipxe_dir ? config->ipxe_dir : "/nonexistent");
	http->boot_files = strdup(config->boot_files && config->boot_files[0] ? config->boot_files : "/nonexistent");
	http->limiter = limiter_new();
	if (!copy_sets(http, config) || !http->limiter || !http->ipxe_dir || !http->boot_files ||
	    (config->control_path && !http->control_path)) {
		pthread_mutex_lock(&http->lock);
		http_unref(http);
		return NULL;
	}
	return http;
}
