// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: what a peer says over HTTP, once libmicrohttpd has cut it into pieces: path, arguments, Cookie, Host,
 * Origin, body. One line of the input each; in the line of the arguments, '&' and '=' separate. Whatever it is, every
 * answer is JSON, every argument is valid UTF-8 without control characters, what counts as a host cannot mean anything
 * else, and a path that does not climb has no "..".
 */
#include "http/script_paths.h"
#include "http/request.h"
#include "http/routes.h"
#include "http/text.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_clean(const char *text)
{
	json_t *value = json_string(text);

	assert(value); /* jansson takes valid UTF-8 only */
	json_decref(value);
	for (; *text; text++)
		assert((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void add_args(struct request *request, char *line)
{
	char *rest = line;

	for (char *arg = strsep(&rest, "&"); arg; arg = strsep(&rest, "&")) {
		char *value = strchr(arg, '=');

		if (value)
			*value++ = '\0';
		request_add_arg(request, arg, value ? value : "", value ? strlen(value) : 0);
	}
	for (unsigned i = 0; i < request->arg_count; i++)
		check_clean(request->args[i].value);
}

static void check_ask(const struct request *request)
{
	struct boot_ask ask;

	http_make_ask(request, &ask);
	check_clean(ask.mac);
	check_clean(ask.serial);
	check_clean(ask.version);
}

static void check_route(struct request *request, const char *path)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PATCH", "DELETE", "BREW" };

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (route_find(request, methods[i], path)) {
			for (unsigned p = 0; p < REQUEST_PARAMS_MAX; p++)
				assert(!strchr(request->params[p], '/') &&
				       strlen(request->params[p]) < REQUEST_PARAM_TEXT);
		} else {
			json_t *answer = json_loads(buf_text(&request->reply.body), 0, NULL);

			assert(json_string_value(json_object_get(answer, "error")));
			json_decref(answer);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http http;
	struct request *request;
	char *text = malloc(size + 1), *rest = text;
	const char *lines[6];
	char cookie[64];
	json_t *body;

	memcpy(text, data, size);
	text[size] = '\0';
	for (int i = 0; i < 6; i++) {
		lines[i] = i < 5 ? strsep(&rest, "\n") : rest;
		if (!lines[i])
			lines[i] = "";
	}
	http.refs = 1 << 20; /* never freed */
	http.routes = routes;
	request = request_new(&http, SERVES_BOOT | SERVES_WEB | SERVES_CONTROL);
	check_route(request, lines[0]);
	if (lines[1][0])
		add_args(request, (char *)(uintptr_t)lines[1]);
	check_ask(request);
	if (http_text_cookie(lines[2], "sanbootd_session", cookie, sizeof(cookie)))
		assert(cookie[0] && !strchr(cookie, ';'));
	if (http_text_is_host(lines[3]))
		assert(!strpbrk(lines[3], "\"'<>/\\ @?#%") && !http_text_same_origin("null", lines[3]));
	http_text_same_origin(lines[4], lines[3]);
	if (!http_text_path_climbs(lines[4]))
		assert(strcmp(lines[4], "..") != 0 && strncmp(lines[4], "../", 3) != 0 && !strstr(lines[4], "/../"));
	buf_add_string(&request->body, lines[5]);
	body = request_json(request);
	assert(body ? json_is_object(body) : request->reply.status == 400);
	json_decref(body);
	request_unref(request);
	free(text);
	return 0;
}
