// SPDX-License-Identifier: GPL-2.0-or-later
/* HTTP by libcurl: see client.h. */
#include "ctl/client.h"

#include "base/buf.h"
#include "ctl/table.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 256 << 20, CONNECT_TIMEOUT_S = 10, CALL_TIMEOUT_S = 150, LINE_MAX_BYTES = 1 << 20 };

struct exchange {
	CURL *curl;
	struct curl_slist *headers;
	char *url;
	char socket[256]; /* "" with --url */
	struct buf answer;
	/* a stream */
	void (*event)(void *arg, json_t *data);
	void *arg;
	long status;
};

static size_t take_answer(char *data, size_t size, size_t count, void *arg)
{
	struct exchange *exchange = arg;

	buf_add(&exchange->answer, data, size * count);
	return exchange->answer.failed ? 0 : size * count;
}

static void exchange_fini(struct exchange *exchange)
{
	curl_easy_cleanup(exchange->curl);
	curl_slist_free_all(exchange->headers);
	free(exchange->url);
	buf_fini(&exchange->answer);
}

static bool exchange_init(struct exchange *exchange, const struct ctl *ctl, const char *method, const char *path)
{
	struct buf url;
	char header[512];

	memset(exchange, 0, sizeof(*exchange));
	buf_init(&exchange->answer, ANSWER_MAX);
	buf_init(&url, 8192);
	exchange->curl = curl_easy_init();
	if (ctl->url) {
		buf_printf(&url, "%.*s%s",
			   (int)(strlen(ctl->url) - (ctl->url[0] && ctl->url[strlen(ctl->url) - 1] == '/')), ctl->url,
			   path);
	} else {
		buf_printf(&url, "http://localhost%s", path);
		snprintf(exchange->socket, sizeof(exchange->socket), "%s/control.sock", ctl->runtime_dir);
	}
	exchange->url = buf_take(&url);
	if (!exchange->curl || !exchange->url) {
		ctl_fail("", "out of memory");
		exchange_fini(exchange);
		return false;
	}
	curl_easy_setopt(exchange->curl, CURLOPT_URL, exchange->url);
	curl_easy_setopt(exchange->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(exchange->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(exchange->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(exchange->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (exchange->socket[0]) {
		curl_easy_setopt(exchange->curl, CURLOPT_UNIX_SOCKET_PATH, exchange->socket);
		curl_easy_setopt(exchange->curl, CURLOPT_PROXY, "");
	}
	if (ctl->url && ctl->token) {
		snprintf(header, sizeof(header), "Authorization: Bearer %s", ctl->token);
		exchange->headers = curl_slist_append(exchange->headers, header);
	}
	return true;
}

/* Why the control socket does not answer, asked again of the kernel: libcurl only says "could not connect". */
static int say_no_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err = ENAMETOOLONG;

	if (strlen(path) < sizeof(address.sun_path)) {
		memcpy(address.sun_path, path, strlen(path) + 1);
		err = fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0;
	}
	if (fd >= 0)
		close(fd);
	if (err == EACCES || err == EPERM)
		return ctl_fail("run it as root, or as a member of the group that the socket belongs to",
				"%s: not permitted", path);
	return ctl_fail("is sanbootd running? Start it (systemctl start sanbootd), or say where its socket is with "
			"--runtime-dir DIR",
			"%s: %s", path, err ? strerror(err) : "no answer");
}

static int say_curl(const struct exchange *exchange, CURLcode code)
{
	if (exchange->socket[0] && (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST))
		return say_no_socket(exchange->socket);
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
		return ctl_fail("is sanbootd running there, and its --http or --web address reachable from here?",
				"%s: %s", exchange->url, curl_easy_strerror(code));
	if (code == CURLE_OPERATION_TIMEDOUT)
		return ctl_fail("see sanbootd's log", "no answer in time");
	return ctl_fail("was sanbootd stopped? See its log", "%s", curl_easy_strerror(code));
}

/* The server's own words: {"error", "hint"}. One of a list ("index") is the caller's to say, where it asks for that. */
static int say_refusal(const struct exchange *exchange, json_t **refused)
{
	json_t *answer = json_loadb(buf_text(&exchange->answer), exchange->answer.len, 0, NULL);
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *hint = json_string_value(json_object_get(answer, "hint"));

	if (refused && error && json_is_integer(json_object_get(answer, "index"))) {
		*refused = answer;
		return EXIT_REFUSED;
	}
	if (error && exchange->status == 401)
		ctl_fail("make a token on the server (sanbootctl token create NAME) and give it with --token", "%s",
			 error);
	else if (error)
		ctl_fail(hint ? hint : "", "%s", error);
	else
		ctl_fail("is this a sanbootd?", "%s answered with HTTP status %ld", exchange->url, exchange->status);
	json_decref(answer);
	return EXIT_REFUSED;
}

/* body NULL: none; refused may be NULL. */
static bool call(const struct ctl *ctl, const char *method, const char *path, const char *type, const void *body,
		 size_t len, json_t **answer, json_t **refused)
{
	struct exchange exchange;
	CURLcode code;

	*answer = NULL;
	if (refused)
		*refused = NULL;
	if (!exchange_init(&exchange, ctl, method, path))
		return false;
	if (body) {
		exchange.headers = curl_slist_append(exchange.headers, type);
		/* Else it waits for a "100 Continue" that may not come. */
		exchange.headers = curl_slist_append(exchange.headers, "Expect:");
		curl_easy_setopt(exchange.curl, CURLOPT_POSTFIELDSIZE, (long)len);
		curl_easy_setopt(exchange.curl, CURLOPT_POSTFIELDS, body);
	}
	curl_easy_setopt(exchange.curl, CURLOPT_HTTPHEADER, exchange.headers);
	curl_easy_setopt(exchange.curl, CURLOPT_TIMEOUT, (long)CALL_TIMEOUT_S);
	curl_easy_setopt(exchange.curl, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(exchange.curl, CURLOPT_WRITEDATA, &exchange);
	code = curl_easy_perform(exchange.curl);
	curl_easy_getinfo(exchange.curl, CURLINFO_RESPONSE_CODE, &exchange.status);
	if (code != CURLE_OK) {
		say_curl(&exchange, code);
	} else if (exchange.status < 200 || exchange.status > 299) {
		say_refusal(&exchange, refused);
	} else {
		*answer = json_loadb(buf_text(&exchange.answer), exchange.answer.len, 0, NULL);
		if (!json_is_object(*answer)) {
			json_decref(*answer);
			*answer = NULL;
			ctl_fail("is this a sanbootd?", "%s answered with something else than JSON", exchange.url);
		}
	}
	exchange_fini(&exchange);
	return *answer;
}

bool client_call_list(const struct ctl *ctl, const char *method, const char *path, json_t *body, json_t **answer,
		      json_t **refused)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	bool worked;

	json_decref(body);
	worked = call(ctl, method, path, "Content-Type: application/json", text, text ? strlen(text) : 0, answer,
		      refused);
	free(text);
	return worked;
}

bool client_call(const struct ctl *ctl, const char *method, const char *path, json_t *body, json_t **answer)
{
	return client_call_list(ctl, method, path, body, answer, NULL);
}

bool client_put(const struct ctl *ctl, const char *path, const void *data, size_t len, json_t **answer)
{
	return call(ctl, "PUT", path, "Content-Type: application/octet-stream", data, len, answer, NULL);
}

int client_do(const struct ctl *ctl, const char *method, const char *path, json_t *body, json_t **answer)
{
	if (!client_call(ctl, method, path, body, answer))
		return EXIT_REFUSED;
	if (ctl->json)
		client_print(*answer);
	return EXIT_DONE;
}

int client_show(const struct ctl *ctl, const char *method, char *path, json_t *body,
		void (*show)(const struct ctl *ctl, const json_t *answer))
{
	json_t *answer;
	int code = client_do(ctl, method, path ? path : "", body, &answer);

	if (code == EXIT_DONE && !ctl->json)
		show(ctl, answer);
	json_decref(answer);
	free(path);
	return code;
}

int client_act(const struct ctl *ctl, const char *method, char *path, json_t *body, const char *done)
{
	json_t *answer;
	int code = client_do(ctl, method, path ? path : "", body, &answer);

	if (code == EXIT_DONE && !ctl->json) {
		puts(done);
		print_hint(answer);
	}
	json_decref(answer);
	free(path);
	return code;
}

char *client_path(const char *first, ...)
{
	struct buf path;
	va_list args;

	buf_init(&path, 8192);
	buf_add_string(&path, "/api/v1");
	va_start(args, first);
	for (const char *piece = first; piece; piece = va_arg(args, const char *)) {
		char *escaped = curl_easy_escape(NULL, piece, 0);

		buf_add_string(&path, "/");
		buf_add_string(&path, escaped ? escaped : "");
		curl_free(escaped);
	}
	va_end(args);
	return buf_take(&path);
}

json_t *client_assignments(const struct ctl *ctl, unsigned first)
{
	json_t *body = json_object();

	for (unsigned i = first; i < ctl->arg_count; i++) {
		size_t len = strcspn(ctl->args[i], "=");
		char key[64];

		if (!len || !ctl->args[i][len] || len >= sizeof(key)) {
			ctl_fail("for example: sanbootctl machine set pc-001 note=hello", "'%s' is not KEY=VALUE",
				 ctl->args[i]);
			json_decref(body);
			return NULL;
		}
		memcpy(key, ctl->args[i], len);
		key[len] = '\0';
		json_object_set_new(body, key, json_string(ctl->args[i] + len + 1));
	}
	return body;
}

void client_print(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* ---- event streams ---- */

/* The lines that are there: only "data:" is of interest, each of our messages has one. */
static void take_lines(struct exchange *exchange)
{
	const char *end;

	while ((end = exchange->answer.len ? memchr(exchange->answer.data, '\n', exchange->answer.len) : NULL)) {
		size_t len = (size_t)(end - exchange->answer.data);
		json_t *data = NULL;

		if (len > 6 && !strncmp(exchange->answer.data, "data: ", 6))
			data = json_loadb(exchange->answer.data + 6, len - 6, 0, NULL);
		if (json_object_get(data, "id"))
			exchange->event(exchange->arg, data);
		json_decref(data);
		buf_consume(&exchange->answer, len + 1);
	}
}

static size_t take_stream(char *data, size_t size, size_t count, void *arg)
{
	struct exchange *exchange = arg;

	buf_add(&exchange->answer, data, size * count);
	if (exchange->answer.failed)
		return 0;
	if (!exchange->status)
		curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &exchange->status);
	if (exchange->status == 200)
		take_lines(exchange);
	return size * count;
}

bool client_follow(const struct ctl *ctl, const char *path, bool quiet, void (*event)(void *arg, json_t *data),
		   void *arg)
{
	struct exchange exchange;
	CURLcode code;
	bool opened;

	if (!exchange_init(&exchange, ctl, "GET", path))
		return false;
	exchange.answer.limit = LINE_MAX_BYTES;
	exchange.event = event;
	exchange.arg = arg;
	exchange.headers = curl_slist_append(exchange.headers, "Accept: text/event-stream");
	curl_easy_setopt(exchange.curl, CURLOPT_HTTPHEADER, exchange.headers);
	curl_easy_setopt(exchange.curl, CURLOPT_WRITEFUNCTION, take_stream);
	curl_easy_setopt(exchange.curl, CURLOPT_WRITEDATA, &exchange);
	/* The server says at least every 15 s that it is there. */
	curl_easy_setopt(exchange.curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(exchange.curl, CURLOPT_LOW_SPEED_TIME, 60L);
	code = curl_easy_perform(exchange.curl);
	curl_easy_getinfo(exchange.curl, CURLINFO_RESPONSE_CODE, &exchange.status);
	opened = exchange.status == 200;
	if (!opened && !quiet) {
		if (code != CURLE_OK)
			say_curl(&exchange, code);
		else
			say_refusal(&exchange, NULL);
	}
	exchange_fini(&exchange);
	return opened;
}
