/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An unknown MAC in hardware that looks known: is it that machine? Boards of one make often share a UUID or a serial
 * number. What speaks against it outweighs that: the machine has another serial number or another product, or it runs
 * just now. Then the shared text identifies nobody, which is learnt. A network card of a known machine in the same hardware says
 * as much, and what speaks against it, too. Inside a job. Private to boot/ask/.
 */
#ifndef BOOT_TWIN_H
#define BOOT_TWIN_H

#include "ask.h"
#include "inventory/inventory.h"

/* What has turned out to be no identity, and why, for an event; text "": nothing. */
struct twin_proof {
	char text[SERIAL_TEXT];
	char why[192];
};

struct twin_proofs {
	struct twin_proof of[HARDWARE_SERIAL + 1]; /* by enum hardware_id */
};

/* Takes out of asker what is known to be no identity. */
int twin_clean(struct inventory_tx *tx, struct asker *asker);
/*
 * The machine that asker's hardware may be. running_id: one of which is known that it runs; 0: of none. What is proven is
 * taken out of asker and added to proofs. *found false: none. card: the network card that says so; "": its UUID or serial.
 */
int twin_find(struct inventory_tx *tx, struct asker *asker, int64_t running_id, struct twin_proofs *proofs,
	      struct machine *machine, bool *found, char card[PARSE_MAC_TEXT]);
/* Is mac a card of this machine: one that it has told of itself, or beside one of its own in cards? card: which of them; "": no. */
int twin_find_card(struct inventory_tx *tx, const struct machine *machine, const char *mac, const char *cards,
		   char card[PARSE_MAC_TEXT]);
bool twin_has_proof(const struct twin_proofs *proofs);
/* Learns what is proven, with an event each. Inside a write job. */
int twin_learn(struct inventory_tx *tx, const struct asker *asker, const struct twin_proofs *proofs);

#endif
