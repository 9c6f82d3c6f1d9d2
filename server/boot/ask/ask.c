// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checking what a machine said: see ask.h. All of it came over the network, and may be from anybody. Only the MAC must
 * be there and right (only a MAC identifies); whatever else is unusable is ignored, because firmware is full of nonsense.
 */
#include "ask.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { ASK_ATTEMPT_MAX = 999999 };

/* "10.0.0.7", "10.0.0.7:41000", "fd00::7", "[fd00::7]:41000" -> the address alone; "" for anything else. */
static void ask_host(const char *text, char host[PARSE_ENDPOINT_TEXT])
{
	struct endpoint endpoint;
	struct in6_addr addr;

	host[0] = '\0';
	if (inet_pton(AF_INET, text, &addr) == 1 || inet_pton(AF_INET6, text, &addr) == 1)
		snprintf(host, PARSE_ENDPOINT_TEXT, "%s", text);
	else if (parse_endpoint(text, &endpoint))
		endpoint_format_host(&endpoint, host);
}

static void ask_identity(const struct boot_ask *ask, struct asker *asker)
{
	char text[2 * SERIAL_TEXT];

	if (!parse_uuid(ask->uuid, asker->uuid) || parse_uuid_is_placeholder(asker->uuid))
		asker->uuid[0] = '\0';
	parse_clean_text(ask->serial, asker->serial, sizeof(asker->serial));
	if (parse_serial_is_placeholder(asker->serial))
		asker->serial[0] = '\0';
	snprintf(text, sizeof(text), "%s %s", ask->manufacturer, ask->product);
	parse_clean_text(text, asker->product, sizeof(asker->product));
}

static void ask_error(const char *error, char out[32])
{
	size_t len = strlen(error);

	out[0] = '\0';
	if (len > 31)
		return;
	for (size_t i = 0; i < len; i++)
		if (!isxdigit((unsigned char)error[i]) && error[i] != 'x')
			return;
	memcpy(out, error, len + 1);
}

/* Only what a menu of ours can have offered. */
static void ask_choose(const char *choose, char out[NAME_MAX_TEXT + 8])
{
	bool named = !strncmp(choose, "image:", 6) || !strncmp(choose, "entry:", 6);

	if ((named && image_name_valid(choose + 6)) || !strcmp(choose, "disk") || !strcmp(choose, "local"))
		snprintf(out, NAME_MAX_TEXT + 8, "%.*s", NAME_MAX_TEXT + 7, choose);
}

static enum told ask_told(const char *text)
{
	return !strcmp(text, "1") ? TOLD_ON : !strcmp(text, "0") ? TOLD_OFF : TOLD_UNKNOWN;
}

/* The others: once each, and none that is no MAC. */
static void ask_cards(const struct boot_ask *ask, struct asker *asker)
{
	char text[sizeof(ask->cards)], mac[PARSE_MAC_TEXT], *rest = text, *one;
	size_t len = 0;

	snprintf(text, sizeof(text), "%s", ask->cards);
	while ((one = strsep(&rest, ","))) {
		if (!parse_mac(one, mac) || !strcmp(mac, asker->mac) || strstr(asker->cards, mac) ||
		    len + PARSE_MAC_TEXT + 1 > sizeof(asker->cards))
			continue;
		len += (size_t)snprintf(asker->cards + len, sizeof(asker->cards) - len, "%s%s", len ? "," : "", mac);
	}
}

static void ask_hardware(const struct boot_ask *ask, struct asker *asker)
{
	parse_clean_text(ask->board_serial, asker->board_serial, sizeof(asker->board_serial));
	if (parse_serial_is_placeholder(asker->board_serial))
		asker->board_serial[0] = '\0';
	asker->secure_boot = ask_told(ask->secure_boot);
	asker->setup_mode = ask_told(ask->setup_mode);
	ask_cards(ask, asker);
}

bool ask_check(const struct boot_ask *ask, struct asker *asker, struct reason *reason)
{
	uint64_t attempt = 0;
	char shown[2 * sizeof(ask->mac)];

	memset(asker, 0, sizeof(*asker));
	snprintf(asker->base_url, sizeof(asker->base_url), "%s", ask->base_url);
	ask_host(ask->client, asker->client);
	ask_host(ask->server, asker->server);
	if (parse_u64(ask->attempt, 0, ASK_ATTEMPT_MAX, &attempt))
		asker->attempt = (unsigned)attempt;
	if (!strcmp(ask->platform, "pcbios"))
		asker->platform = PLATFORM_BIOS;
	else if (!strcmp(ask->platform, "efi"))
		asker->platform = PLATFORM_EFI;
	ask_error(ask->error, asker->error);
	ask_choose(ask->choose, asker->choose);
	ask_identity(ask, asker);
	if (parse_mac(ask->mac, asker->mac)) {
		ask_hardware(ask, asker);
		return true;
	}
	parse_clean_text(ask->mac, shown, sizeof(shown));
	if (shown[0])
		reason_set(reason,
			   "mac=%s is not the MAC address of a network card: six pairs of hex digits are expected",
			   shown);
	else
		reason_set(reason,
			   "mac= is missing: the MAC address of the network card in use is what identifies a machine");
	return false;
}
