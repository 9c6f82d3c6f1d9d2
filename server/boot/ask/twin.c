// SPDX-License-Identifier: GPL-2.0-or-later
/* Known hardware behind an unknown MAC, and what speaks against it: see twin.h. */
#include "twin.h"

#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static char *twin_text(struct asker *asker, enum hardware_id id)
{
	return id == HARDWARE_UUID ? asker->uuid : asker->serial;
}

int twin_clean(struct inventory_tx *tx, struct asker *asker)
{
	int err = 0;

	for (int id = HARDWARE_UUID; id <= HARDWARE_SERIAL && !err; id++) {
		char *text = twin_text(asker, (enum hardware_id)id);
		bool shared = false;

		err = hardware_is_shared(tx, (enum hardware_id)id, text, &shared);
		if (shared)
			text[0] = '\0';
	}
	return err;
}

/* Both are known, and they are not the same. */
static bool twin_differs(const char *a, const char *b)
{
	return a[0] && b[0] && strcmp(a, b);
}

/*
 * Why asker is not this machine, although both have the same text; false: it may be. Another UUID says nothing: a machine
 * that keeps its serial number may have got a new board.
 */
static bool twin_contradicts(const struct asker *asker, enum hardware_id id, const struct machine *machine,
			     int64_t running_id, char why[192])
{
	if (machine->id == running_id)
		snprintf(why, 192, "machine %s has it too, and runs", machine->name);
	else if (id == HARDWARE_UUID && twin_differs(asker->serial, machine->serial))
		snprintf(why, 192, "machine %s has it too, and the serial number %.60s", machine->name,
			 machine->serial);
	else if (twin_differs(asker->product, machine->product))
		snprintf(why, 192, "machine %s has it too, and is a %.80s", machine->name, machine->product);
	else
		return false;
	return true;
}

static int twin_find_by(struct inventory_tx *tx, struct asker *asker, enum hardware_id id, int64_t running_id,
			struct twin_proof *proof, struct machine *machine, bool *found)
{
	struct machine candidate;
	char *text = twin_text(asker, id), why[sizeof(proof->why)] = "several machines have it";
	int err = -ENOENT;

	if (text[0])
		err = id == HARDWARE_UUID ? machine_by_uuid(tx, text, &candidate) :
					    machine_by_serial(tx, text, &candidate);
	if (!err && !twin_contradicts(asker, id, &candidate, running_id, why)) {
		*machine = candidate;
		*found = true;
		return 0;
	}
	if (err && err != -ENOTUNIQ)
		return err == -ENOENT ? 0 : err;
	snprintf(proof->text, sizeof(proof->text), "%s", text);
	memcpy(proof->why, why, sizeof(why));
	text[0] = '\0';
	return 0;
}

/* ---- network cards ---- */

/* Another real UUID is another machine, unless the serial number says that it is the same with a new board. */
static bool twin_card_contradicts(const struct asker *asker, const struct machine *machine, int64_t running_id)
{
	bool same_serial = asker->serial[0] && !strcmp(asker->serial, machine->serial);
	char why[sizeof(((struct twin_proof *)0)->why)];

	return (twin_differs(asker->uuid, machine->uuid) && !same_serial) ||
	       twin_contradicts(asker, HARDWARE_UUID, machine, running_id, why);
}

/* The MAC at *list, which goes on behind it; false: no more. */
static bool next_card(const char **list, char card[PARSE_MAC_TEXT])
{
	size_t len = strcspn(*list, ",");

	if (!len || len >= PARSE_MAC_TEXT)
		return false;
	memcpy(card, *list, len);
	card[len] = '\0';
	*list += len + ((*list)[len] == ',');
	return true;
}

static int twin_try_card(struct asker *asker, int err, int64_t running_id, const struct machine *candidate,
			 struct machine *machine, bool *found)
{
	if (err)
		return err == -ENOENT || err == -ENOTUNIQ ? 0 : err;
	*found = !twin_card_contradicts(asker, candidate, running_id);
	if (*found)
		*machine = *candidate;
	return 0;
}

static int twin_find_by_card(struct inventory_tx *tx, struct asker *asker, int64_t running_id, struct machine *machine,
			     bool *found, char card[PARSE_MAC_TEXT])
{
	const char *list = asker->cards;
	struct machine candidate;
	bool shared = false;
	int err = 0;

	while (!err && !*found && next_card(&list, card)) {
		err = machine_identify(tx, card, "", &candidate, &shared);
		err = twin_try_card(asker, err, running_id, &candidate, machine, found);
	}
	if (err || *found)
		return err;
	memcpy(card, asker->mac, PARSE_MAC_TEXT);
	err = machine_by_card(tx, card, &candidate);
	return twin_try_card(asker, err, running_id, &candidate, machine, found);
}

struct card_search {
	const char *cards;
	char *card;
};

static int find_card(void *arg, const char *mac)
{
	struct card_search *search = arg;

	if (!strstr(search->cards, mac))
		return 0;
	memcpy(search->card, mac, PARSE_MAC_TEXT);
	return 1;
}

int twin_find_card(struct inventory_tx *tx, const struct machine *machine, const char *mac, const char *cards,
		   char card[PARSE_MAC_TEXT])
{
	struct card_search search = { .cards = cards, .card = card };
	int err;

	card[0] = '\0';
	if (strstr(machine->cards, mac)) {
		memcpy(card, mac, PARSE_MAC_TEXT);
		return 0;
	}
	err = machine_each_mac(tx, machine->id, MAC_OWN, find_card, &search);
	return err < 0 ? err : 0;
}

int twin_find(struct inventory_tx *tx, struct asker *asker, int64_t running_id, struct twin_proofs *proofs,
	      struct machine *machine, bool *found, char card[PARSE_MAC_TEXT])
{
	int err = 0;

	*found = false;
	card[0] = '\0';
	for (int id = HARDWARE_UUID; id <= HARDWARE_SERIAL && !err && !*found; id++)
		err = twin_find_by(tx, asker, (enum hardware_id)id, running_id, &proofs->of[id], machine, found);
	if (!err && !*found)
		err = twin_find_by_card(tx, asker, running_id, machine, found, card);
	if (!*found)
		card[0] = '\0';
	return err;
}

bool twin_has_proof(const struct twin_proofs *proofs)
{
	return proofs->of[HARDWARE_UUID].text[0] || proofs->of[HARDWARE_SERIAL].text[0];
}

int twin_learn(struct inventory_tx *tx, const struct asker *asker, const struct twin_proofs *proofs)
{
	int err = 0;

	for (int id = HARDWARE_UUID; id <= HARDWARE_SERIAL && !err; id++) {
		const struct twin_proof *proof = &proofs->of[id];
		bool known = false;

		if (!proof->text[0])
			continue;
		err = hardware_is_shared(tx, (enum hardware_id)id, proof->text, &known);
		if (err || known)
			continue;
		err = hardware_set_shared(tx, (enum hardware_id)id, proof->text);
		if (!err)
			err = event_add(tx, "warning", "hardware-shared", "machine", 0, "",
					"the %s %s of %s (%s) identifies nobody: %s. It does not count from now on",
					id == HARDWARE_UUID ? "UUID" : "serial number", proof->text, asker->mac,
					asker->product[0] ? asker->product : "an unknown product", proof->why);
	}
	return err;
}
