/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a machine said of itself in GET /boot, checked and cleaned. Pure functions, any thread. Private to boot/. */
#ifndef BOOT_ASK_H
#define BOOT_ASK_H

#include "base/reason.h"
#include "boot/boot.h"

enum ask_platform { PLATFORM_UNKNOWN, PLATFORM_BIOS, PLATFORM_EFI };

struct asker {
	char mac[PARSE_MAC_TEXT];
	char uuid[PARSE_UUID_TEXT];	/* "" where it is missing, malformed or a placeholder */
	char serial[SERIAL_TEXT];	/* likewise */
	char product[SERIAL_TEXT];	/* manufacturer and product, for people */
	char error[32];			/* errno of a failed sanboot: hex digits and 'x' only; "" none */
	char choose[NAME_MAX_TEXT + 8]; /* of its menu: disk, local, image:NAME, entry:NAME; "" nothing */
	char board_serial[SERIAL_TEXT]; /* for people */
	enum told secure_boot, setup_mode;
	char cards[CARDS_TEXT]; /* MACs of its other network cards, by commas */
	unsigned attempt;	/* how often its script has asked again */
	enum ask_platform platform;
	char client[PARSE_ENDPOINT_TEXT]; /* its address without a port; "" where the caller did not know */
	char server[PARSE_ENDPOINT_TEXT]; /* the address that it reached, without a port */
	char base_url[128];
};

/*
 * False: not to be answered with a boot, and why, as a sentence for its screen. asker then still holds what can be used
 * for asking again (base_url, attempt, platform).
 */
bool ask_check(const struct boot_ask *ask, struct asker *asker, struct reason *reason);

#endif
