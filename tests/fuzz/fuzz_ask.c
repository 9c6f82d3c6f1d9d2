// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: what a machine says in GET /boot, from the query's values to the script. Whatever they are, iPXE must
 * read the same commands as with harmless values: as many lines, and in them as many separators, comments, options and
 * expansions.
 */
#include "boot/ask/ask.h"
#include "boot/script/templates.h"

#include "base/assets.h"
#include "base/log.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct shape {
	unsigned lines, separators, comments, options, expansions, joined;
};

static void shape_line(char *line, struct shape *shape)
{
	size_t len = strlen(line);

	shape->lines++;
	shape->joined += len > 0 && line[len - 1] == '\\';
	for (const char *at = line; (at = strstr(at, "${")); at++)
		shape->expansions++;
	for (char *save = NULL, *token = strtok_r(line, " \t\r\v\f", &save); token;
	     token = strtok_r(NULL, " \t\r\v\f", &save)) {
		shape->separators += !strcmp(token, "||") || !strcmp(token, "&&") || !strcmp(token, ";");
		shape->comments += token[0] == '#';
		/* An option is one only before the first other word; a text never comes first. */
		shape->options += !strncmp(token, "--", 2) && token == line;
	}
}

static struct shape shape_of(char *script)
{
	struct shape shape = { 0 };

	for (char *line = script, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		shape_line(line, &shape);
	}
	return shape;
}

static struct templates *built_in; /* the built-in ones, for as long as the program runs */

static bool render(const char *template, const struct script_values *values, struct shape *shape)
{
	struct buf script;
	char *text;

	buf_init(&script, SCRIPT_MAX);
	if (templates_render(built_in, template, values, &script)) {
		buf_fini(&script);
		return false;
	}
	if (strlen(buf_text(&script)) != script.len)
		abort();
	text = buf_take(&script);
	*shape = shape_of(text);
	free(text);
	return true;
}

/* The next piece of the input, up to a NUL. */
static void take(const uint8_t **data, size_t *size, char *out, size_t out_size)
{
	size_t len = 0;

	while (*size > 0) {
		uint8_t c = *(*data)++;

		(*size)--;
		if (c == '\0')
			break;
		if (len + 1 < out_size)
			out[len++] = (char)c;
	}
	out[len] = '\0';
}

static void check_asker(const struct asker *asker)
{
	char mac[PARSE_MAC_TEXT];

	if (!parse_mac(asker->mac, mac) || strcmp(mac, asker->mac))
		abort();
	for (const char *at = asker->serial; *at; at++)
		if (*at < 0x20 || *at >= 0x7f)
			abort();
	for (const char *at = asker->product; *at; at++)
		if (*at < 0x20 || *at >= 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const templates[] = { "sanboot.ipxe", "error.ipxe", "wait-running.ipxe",
						 "wait-approval.ipxe", "denied.ipxe" };
	struct boot_ask ask = { .base_url = "http://10.0.0.1:8080" };
	struct asker asker;
	char word[300];
	struct reason reason = { "" };

	log_set_level(LOG_LEVEL_ERROR);
	if (!built_in && templates_new(&built_in))
		abort();
	take(&data, &size, ask.mac, sizeof(ask.mac));
	take(&data, &size, ask.uuid, sizeof(ask.uuid));
	take(&data, &size, ask.serial, sizeof(ask.serial));
	take(&data, &size, ask.product, sizeof(ask.product));
	take(&data, &size, ask.error, sizeof(ask.error));
	take(&data, &size, ask.attempt, sizeof(ask.attempt));
	take(&data, &size, ask.client, sizeof(ask.client));
	take(&data, &size, ask.server, sizeof(ask.server));
	take(&data, &size, word, sizeof(word));
	if (ask_check(&ask, &asker, &reason))
		check_asker(&asker);
	for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++) {
		struct script_values plain = { .value = { [VAR_BASE] = "http://10.0.0.1:8080",
							  [VAR_SERVER] = "10.0.0.1",
							  [VAR_PORT] = "3260",
							  [VAR_IQN] = "iqn.x:y",
							  [VAR_INITIATOR] = "iqn.x:y:i",
							  [VAR_NAME] = "pc-001",
							  [VAR_IMAGE] = "a@1",
							  [VAR_MAC] = "52:54:00:00:00:01",
							  [VAR_NUMBER] = "1",
							  [VAR_ATTEMPT] = "1",
							  [VAR_SECONDS] = "5",
							  [VAR_WHERE] = "x",
							  [VAR_SINCE] = "x",
							  [VAR_REASON] = "x",
							  [VAR_URIS] = "iscsi:10.0.0.1::3260:0:iqn.x:y",
							  [VAR_USER] = "u",
							  [VAR_SECRET] = "s" } };
		struct script_values mean = plain;
		struct shape want, got;

		/* Not empty where the other is not: a line may depend on it. */
		mean.value[VAR_REASON] = reason.text[0] ? reason.text : ask.product[0] ? ask.product : "x";
		mean.value[VAR_WHERE] = ask.serial;
		mean.value[VAR_SINCE] = ask.uuid;
		mean.value[VAR_SERVER] = asker.server[0] ? asker.server : plain.value[VAR_SERVER];
		/* Most are refused, and each refusal is a line in the log. */
		if (strlen(word) % 16 == 0)
			mean.value[VAR_NAME] = word;
		if (!render(templates[i], &plain, &want))
			abort();
		if (render(templates[i], &mean, &got) && memcmp(&want, &got, sizeof(want)))
			abort();
	}
	return 0;
}
