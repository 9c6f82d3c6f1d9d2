// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz harness: everything that turns text into values. What is accepted must survive being written and read again. */
#include "base/log.h"
#include "base/parse.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_endpoint(const char *text)
{
	struct endpoint first, second;
	char out[PARSE_ENDPOINT_TEXT], again[PARSE_ENDPOINT_TEXT];

	if (!parse_endpoint(text, &first))
		return;
	endpoint_format(&first, out);
	if (!parse_endpoint(out, &second) || strcmp(endpoint_format(&second, again), out))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), mac[PARSE_MAC_TEXT], again[PARSE_MAC_TEXT], uuid[PARSE_UUID_TEXT], escaped[64];
	uint64_t value;
	unsigned percent;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	parse_u64(text, 0, UINT64_MAX, &value);
	parse_number(text, 0, UINT64_MAX, &value);
	parse_size(text, &value);
	parse_percent(text, &percent);
	if (parse_mac(text, mac) && (!parse_mac(mac, again) || strcmp(mac, again)))
		abort();
	if (parse_uuid(text, uuid))
		parse_uuid_is_placeholder(uuid);
	parse_serial_is_placeholder(text);
	check_endpoint(text);
	log_escape(escaped, sizeof(escaped), (const char *)data, size);
	free(text);
	return 0;
}
