// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The two forms that work without scripts: the login and the first login. What they send is taken to the handler of the API, and
 * its answer is a page: the first one after it, or the form again with what was refused. With scripts, the pages use the API.
 */
#include "http/auth.h"
#include "http/routes.h"

#include "http/pages.h"
#include "http/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORM_VALUE_MAX = 1024 };

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	       c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 :
				      -1;
}

/* One value of application/x-www-form-urlencoded (WHATWG URL §5.1) up to '&'. False: too long, or a NUL in it. */
static bool decode_value(const char *from, char out[FORM_VALUE_MAX])
{
	size_t len = 0;

	for (; *from && *from != '&'; from++) {
		char c = *from == '+' ? ' ' : *from;

		if (c == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
			c = (char)(hex_digit(from[1]) << 4 | hex_digit(from[2]));
			from += 2;
		}
		if (!c || len + 1 >= FORM_VALUE_MAX)
			return false;
		out[len++] = c;
	}
	out[len] = '\0';
	return true;
}

/* A field of the form; "" where it is missing. */
static void form_value(struct request *request, const char *name, char out[FORM_VALUE_MAX])
{
	const char *at = buf_text(&request->body);
	const size_t len = strlen(name);

	out[0] = '\0';
	while (at && *at) {
		if (!strncmp(at, name, len) && at[len] == '=') {
			if (!decode_value(at + len + 1, out))
				out[0] = '\0';
			return;
		}
		at = strchr(at, '&');
		at += at != NULL;
	}
}

/* What the API's handler has answered becomes a page. */
static void answer_page(struct request *request, const char *page)
{
	char text[FORM_VALUE_MAX];
	json_t *said;
	const char *error, *hint;

	if (request->reply.status == 200) {
		reply_redirect(request, "./");
		return;
	}
	said = json_loadb(request->reply.body.data, request->reply.body.len, 0, NULL);
	error = json_string_value(json_object_get(said, "error"));
	hint = json_string_value(json_object_get(said, "hint"));
	snprintf(text, sizeof(text), "%s%s%s", error ? error : "that could not be done", hint && hint[0] ? " – " : "",
		 hint ? hint : "");
	reply_page_with_error(request, page, request->reply.status, text);
	json_decref(said);
}

static void take_body(struct request *request, json_t *body)
{
	json_decref(request->json);
	request->json = body;
}

void handle_login_form(struct request *request)
{
	char password[FORM_VALUE_MAX];

	form_value(request, "password", password);
	if (http_auth_check_form(request)) {
		take_body(request, json_pack("{s:s}", "password", password));
		handle_login(request);
	}
	explicit_bzero(password, sizeof(password));
	answer_page(request, "login.html");
}

void handle_setup_form(struct request *request)
{
	const char *token = request_arg(request, "token");
	char password[FORM_VALUE_MAX], again[FORM_VALUE_MAX];

	/* Gone meanwhile: no form would be taken. */
	if (!token || !http_auth_setup_token_fits(request->http, token)) {
		handle_setup_page(request);
		return;
	}
	form_value(request, "password", password);
	form_value(request, "again", again);
	if (!http_auth_check_form(request)) {
		;
	} else if (strcmp(password, again) != 0) {
		reply_error(request, 400, "", "the two are not the same");
	} else {
		take_body(request, json_pack("{s:s, s:s}", "token", token, "password", password));
		handle_setup(request);
	}
	explicit_bzero(password, sizeof(password));
	explicit_bzero(again, sizeof(again));
	answer_page(request, "setup.html");
}
