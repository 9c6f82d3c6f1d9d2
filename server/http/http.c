// SPDX-License-Identifier: GPL-2.0-or-later
/* The endpoint as a whole: started with its table of routes, asked for its addresses, stopped. Main thread. */
#include "http/http.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/secret.h"
#include "base/util.h"
#include "http/auth.h"
#include "http/core.h"
#include "http/listen.h"
#include "http/routes.h"
#include "http/serve.h"
#include "http/stream.h"
#include "http/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STOP_GRACE_MS = 2000 };

/* ---- listeners ---- */

static struct listener *add_listener(struct http *http, unsigned serves)
{
	struct listener *listener = &http->listeners[http->listener_count];

	if (http->listener_count == HTTP_LISTENERS_MAX)
		return NULL;
	*listener = (struct listener){ .http = http, .fd = -1, .serves = serves };
	http->listener_count++;
	return listener;
}

static int add_tcp(struct http *http, const char *flag, const struct endpoint *wanted, unsigned serves,
		   struct reason *reason)
{
	struct listener *listener = add_listener(http, serves);
	int err;

	if (!listener)
		return reason_refuse(reason, -E2BIG, "%s is given more than %d times", flag, HTTP_LISTENERS_MAX - 1);
	err = listen_tcp(flag, wanted, &listener->fd, &listener->endpoint, reason);
	if (!err)
		endpoint_format(&listener->endpoint, listener->address);
	return err;
}

/* The same address for --http and --web is one listener that serves both. */
static bool share_listener(struct http *http, const struct http_config *config, const struct endpoint *web)
{
	for (unsigned i = 0; i < config->boot_endpoint_count; i++) {
		const struct endpoint *boot = &config->boot_endpoints[i];

		if (endpoint_port(web) && boot->len == web->len && !memcmp(&boot->addr, &web->addr, web->len)) {
			http->listeners[i].serves |= SERVES_WEB;
			return true;
		}
	}
	return false;
}

static int listen_all(struct http *http, const struct http_config *config, struct reason *reason)
{
	unsigned serves = SERVES_BOOT | (config->web_endpoint_count ? 0 : SERVES_WEB);
	struct listener *control;
	int err = 0;

	for (unsigned i = 0; i < config->boot_endpoint_count && !err; i++)
		err = add_tcp(http, "--http", &config->boot_endpoints[i], serves, reason);
	for (unsigned i = 0; i < config->web_endpoint_count && !err; i++)
		if (!share_listener(http, config, &config->web_endpoints[i]))
			err = add_tcp(http, "--web", &config->web_endpoints[i], SERVES_WEB, reason);
	if (err || !http->control_path)
		return err;
	control = add_listener(http, SERVES_CONTROL);
	if (!control)
		return reason_refuse(reason, -E2BIG, "--http and --web are given more than %d times",
				     HTTP_LISTENERS_MAX - 1);
	snprintf(control->address, sizeof(control->address), "%s", http->control_path);
	return listen_control(http->control_path, &control->fd, reason);
}

static int serve_all(struct http *http, struct reason *reason)
{
	for (unsigned i = 0; i < http->listener_count; i++) {
		int err = serve_start(&http->listeners[i]);

		if (err)
			return reason_refuse(
				reason, err,
				"%s: libmicrohttpd does not start; is the limit of open files (ulimit -n) too low?",
				http->listeners[i].address);
	}
	return 0;
}

static int start_threads(struct http *http, struct reason *reason)
{
	const unsigned workers[POOL_CLASSES] = { [POOL_SLOW] = HTTP_WORKERS };
	int err = pool_new(workers, &http->pool);

	if (!err)
		err = watch_start(http);
	if (!err)
		err = streams_start(http);
	return err ? reason_refuse(reason, err, "cannot start the threads of HTTP: %s", strerror(-err)) : 0;
}

/* ---- the first login ---- */

static void make_setup_url(struct http *http)
{
	const struct listener *web = NULL;
	struct endpoint address;
	char text[PARSE_ENDPOINT_TEXT];

	for (unsigned i = 0; i < http->listener_count && !web; i++)
		if (http->listeners[i].serves & SERVES_WEB)
			web = &http->listeners[i];
	if (!web || http_auth_has_password(http))
		return;
	listen_public_address(&web->endpoint, &address);
	secret_text(http->setup_token, HTTP_SETUP_TOKEN);
	snprintf(http->setup_url, sizeof(http->setup_url), "http://%s/setup?token=%s", endpoint_format(&address, text),
		 http->setup_token);
}

const char *http_setup_url(const struct http *http)
{
	struct http *mutable = (struct http *)(uintptr_t)http;
	bool valid;

	pthread_mutex_lock(&mutable->lock);
	valid = http->setup_token[0];
	pthread_mutex_unlock(&mutable->lock);
	return valid ? http->setup_url : "";
}

const char *http_address(const struct http *http)
{
	return http->listener_count ? http->listeners[0].address : "";
}

int http_start(const struct http_config *config, struct http **http, struct reason *reason)
{
	struct http *made = http_new(config, routes);
	int err;

	if (!made)
		return reason_refuse(reason, -ENOMEM, "out of memory");
	err = listen_all(made, config, reason);
	if (!err)
		err = start_threads(made, reason);
	if (!err) {
		make_setup_url(made);
		err = serve_all(made, reason);
	}
	if (err) {
		http_stop(made);
		return err;
	}
	*http = made;
	return 0;
}

/* ---- the end ---- */

static void close_listeners(struct http *http)
{
	for (unsigned i = 0; i < http->listener_count; i++) {
		struct listener *listener = &http->listeners[i];

		serve_quiesce(listener);
		if (listener->fd < 0)
			continue;
		if (listener->serves & SERVES_CONTROL)
			unlink(http->control_path);
		close(listener->fd);
		listener->fd = -1;
	}
}

void http_stop(struct http *http)
{
	uint64_t until = time_monotonic_ms() + STOP_GRACE_MS;

	close_listeners(http);
	pthread_mutex_lock(&http->lock);
	http->stopping = true; /* from here on nothing is suspended any more */
	streams_end(http);
	pthread_cond_signal(&http->watch_wake);
	pthread_mutex_unlock(&http->lock);
	if (http->watching)
		pthread_join(http->watch_thread, NULL); /* has resumed all that waited */
	while (atomic_load(&http->in_hand) && time_monotonic_ms() < until)
		usleep(2000);
	for (unsigned i = 0; i < http->listener_count; i++)
		serve_stop(&http->listeners[i]);
	pool_free(http->pool);
	if (http->feeding)
		pthread_join(http->events_thread, NULL);
	pthread_mutex_lock(&http->lock);
	http->config.boot = NULL;
	http_unref(http);
}
