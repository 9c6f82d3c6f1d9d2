// SPDX-License-Identifier: GPL-2.0-or-later
/* Text into values: see parse.h. */
#include "base/parse.h"

#include "base/util.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Digits of the base up to the first other character, which is left in *end. False: none, or too large. */
static bool parse_digits(const char *text, unsigned base, uint64_t *value, const char **end)
{
	const char *at = text;
	uint64_t v = 0;

	for (;; at++) {
		int digit = hex_digit(*at);

		if (digit < 0 || (unsigned)digit >= base)
			break;
		if (v > (UINT64_MAX - (unsigned)digit) / base)
			return false;
		v = v * base + (unsigned)digit;
	}
	if (at == text)
		return false;
	*value = v;
	*end = at;
	return true;
}

bool parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	const char *end;
	uint64_t v;

	if (!parse_digits(text, 10, &v, &end) || *end || v < min || v > max)
		return false;
	*value = v;
	return true;
}

bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	const char *end;
	uint64_t v;

	if (text[0] != '0' || (text[1] != 'x' && text[1] != 'X'))
		return parse_u64(text, min, max, value);
	if (!parse_digits(text + 2, 16, &v, &end) || *end || v < min || v > max)
		return false;
	*value = v;
	return true;
}

bool parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	const char *end, *unit;
	unsigned shift = 0;
	uint64_t v;

	if (!parse_digits(text, 10, &v, &end))
		return false;
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		end++;
		if (!strcasecmp(end, "iB"))
			end += 2;
	}
	if (!strcasecmp(end, "B"))
		end++;
	if (*end || v > UINT64_MAX >> shift)
		return false;
	*bytes = v << shift;
	return true;
}

bool parse_percent(const char *text, unsigned *percent)
{
	const char *end;
	uint64_t v;

	if (!parse_digits(text, 10, &v, &end) || strcmp(end, "%") || v > 100)
		return false;
	*percent = (unsigned)v;
	return true;
}

/* Does this stand between groups of so many digits? '-' between longer ones than pairs does not: machines are named so. */
static bool mac_separator(char c, size_t group)
{
	return c == ':' || c == '.' || (c == '-' && group == 2);
}

bool parse_mac(const char *text, char mac[PARSE_MAC_TEXT])
{
	enum { DIGITS = 12 };
	const size_t len = strlen(text);
	const size_t group = len == DIGITS ? DIGITS : len == DIGITS + 2 ? 4 : 2;
	unsigned char bytes[DIGITS / 2] = { 0 };
	const char *at = text;
	bool zero = true;

	if (len != DIGITS && len != DIGITS + 2 && len != DIGITS + 5)
		return false;
	for (size_t i = 0; i < DIGITS; i++) {
		int digit;

		if (i && i % group == 0 && (*at != text[group] || !mac_separator(*at++, group)))
			return false;
		digit = hex_digit(*at++);
		if (digit < 0)
			return false;
		bytes[i / 2] = (unsigned char)(bytes[i / 2] << 4 | digit);
		zero = zero && !digit;
	}
	if (zero || (bytes[0] & 1))
		return false;
	snprintf(mac, PARSE_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
		 bytes[5]);
	return true;
}

bool parse_uuid(const char *text, char uuid[PARSE_UUID_TEXT])
{
	if (strlen(text) != PARSE_UUID_TEXT - 1)
		return false;
	for (int i = 0; i < PARSE_UUID_TEXT - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : hex_digit(text[i]) < 0)
			return false;
	}
	for (int i = 0; i < PARSE_UUID_TEXT; i++)
		uuid[i] = (char)tolower((unsigned char)text[i]);
	return true;
}

bool parse_uuid_is_placeholder(const char *uuid)
{
	static const char *const known[] = {
		"03000200-0400-0500-0006-000700080009", /* AMI's default */
		"00020003-0004-0005-0006-000700080009", /* the same, in the other byte order */
		"12345678-1234-5678-90ab-cddeefaabbcc", /* Gigabyte */
		"fefefefe-fefe-fefe-fefe-fefefefefefe",
	};
	char first = uuid[0];
	bool same = true;

	for (const char *c = uuid; *c; c++)
		same = same && (*c == first || *c == '-');
	if (same)
		return true;
	for (size_t i = 0; i < array_len(known); i++)
		if (!strcasecmp(uuid, known[i]))
			return true;
	return false;
}

bool parse_serial_is_placeholder(const char *serial)
{
	static const char *const known[] = {
		"to be filled by o.e.m.",
		"to be filled by o.e.m",
		"default string",
		"system serial number",
		"none",
		"not specified",
		"not applicable",
		"n/a",
		"na",
		"unknown",
		"invalid",
		"oem",
		"o.e.m.",
		"empty",
		"123456789",
		"1234567890",
		"0123456789",
		"chassis serial number",
		"base board serial number",
		"xxxxxxxxxx",
		"not available",
	};
	size_t len = strlen(serial);
	bool same = true;

	while (len > 0 && serial[len - 1] == ' ')
		len--;
	for (size_t i = 1; i < len; i++)
		same = same && serial[i] == serial[0];
	if (len < 2 || same)
		return true;
	for (size_t i = 0; i < array_len(known); i++)
		if (strlen(known[i]) == len && !strncasecmp(serial, known[i], len))
			return true;
	return false;
}

bool parse_endpoint(const char *text, struct endpoint *endpoint)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN];
	struct endpoint made = { .len = 0 };
	uint64_t port;
	size_t len;
	bool six;

	if (!colon || !parse_u64(colon + 1, 0, 65535, &port))
		return false;
	six = text[0] == '[';
	len = (size_t)(colon - text);
	if (six) {
		if (len < 2 || colon[-1] != ']')
			return false;
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (six) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&made.addr;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		made.len = sizeof(*in6);
		if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
			return false;
	} else {
		struct sockaddr_in *in = (struct sockaddr_in *)&made.addr;

		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		made.len = sizeof(*in);
		if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
			return false;
	}
	*endpoint = made;
	return true;
}

const char *endpoint_format_host(const struct endpoint *endpoint, char out[PARSE_ENDPOINT_TEXT])
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&endpoint->addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&endpoint->addr;

	if (endpoint->addr.ss_family == AF_INET)
		inet_ntop(AF_INET, &in->sin_addr, out, PARSE_ENDPOINT_TEXT);
	else if (endpoint->addr.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], out, PARSE_ENDPOINT_TEXT);
	else if (endpoint->addr.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &in6->sin6_addr, out, PARSE_ENDPOINT_TEXT);
	else
		snprintf(out, PARSE_ENDPOINT_TEXT, "local");
	return out;
}

const char *endpoint_format(const struct endpoint *endpoint, char out[PARSE_ENDPOINT_TEXT])
{
	char host[PARSE_ENDPOINT_TEXT];

	endpoint_format_host(endpoint, host);
	if (strchr(host, ':'))
		snprintf(out, PARSE_ENDPOINT_TEXT, "[%.*s]:%u", INET6_ADDRSTRLEN, host, endpoint_port(endpoint));
	else
		snprintf(out, PARSE_ENDPOINT_TEXT, "%.*s:%u", INET6_ADDRSTRLEN, host, endpoint_port(endpoint));
	return out;
}

uint16_t endpoint_port(const struct endpoint *endpoint)
{
	if (endpoint->addr.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&endpoint->addr)->sin_port);
	if (endpoint->addr.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&endpoint->addr)->sin6_port);
	return 0;
}

char *parse_trim(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

bool parse_assignment(char *text, char **key, char **value)
{
	char *equals = strchr(text, '=');

	if (!equals)
		return false;
	*equals = '\0';
	*key = parse_trim(text);
	*value = parse_trim(equals + 1);
	return true;
}

void parse_clean_text(const char *text, char *out, size_t out_size)
{
	size_t len = 0;

	while (*text == ' ')
		text++;
	for (; *text && len + 1 < out_size; text++)
		out[len++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
	while (len > 0 && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
}
