// SPDX-License-Identifier: GPL-2.0-or-later
/* Machines and volumes by what people call them: see inventory.h. */
#include "inventory/private.h"

#include "base/parse.h"

#include <errno.h>
#include <string.h>

int machine_find(struct inventory_tx *tx, const char *text, struct machine *machine)
{
	char mac[PARSE_MAC_TEXT];
	uint64_t id;

	if (text[0] == '#')
		return parse_u64(text + 1, 1, INT64_MAX, &id) ? machine_by_id(tx, (int64_t)id, machine) : -ENOENT;
	/* No machine's name is a MAC (machine_name_valid). */
	if (parse_mac(text, mac))
		return machine_by_mac(tx, mac, machine);
	return machine_by_name(tx, text, machine);
}

int volume_find(struct inventory_tx *tx, const char *text, struct volume *volume)
{
	const char *colon = strrchr(text, ':'); /* the last: a MAC has some, too */
	char name[NAME_MAX_TEXT];		/* the machine's, or its MAC or number */
	struct machine machine;
	uint64_t number;
	int err;

	/* No volume's name has a ':' (volume_name_valid). */
	if (!colon && text[0] == '#')
		return parse_u64(text + 1, 1, INT64_MAX, &number) ? volume_by_id(tx, (int64_t)number, volume) : -ENOENT;
	if (!colon)
		return volume_by_name(tx, text, volume);
	if (!parse_u64(colon + 1, 0, LUN_MAX, &number) || (size_t)(colon - text) >= sizeof(name))
		return -ENOENT;
	memcpy(name, text, (size_t)(colon - text));
	name[colon - text] = '\0';
	err = machine_find(tx, name, &machine);
	return err ? err : volume_by_lun(tx, machine.id, (unsigned)number, volume);
}
