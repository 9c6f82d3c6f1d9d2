// SPDX-License-Identifier: GPL-2.0-or-later
/* See flush_turn.h. */
#include "disk/flush_turn.h"

#include <assert.h>
#include <stddef.h>

void flush_turns_init(struct flush_turns *turns, unsigned limit)
{
	*turns = (struct flush_turns){ .limit = limit };
	turns->last = &turns->first;
}

bool flush_turn_take(struct flush_turns *turns, struct flush_turn *turn)
{
	if (turns->taken < turns->limit && !turns->first) {
		turns->taken++;
		return true;
	}
	turn->next = NULL;
	*turns->last = turn;
	turns->last = &turn->next;
	return false;
}

void flush_turn_give(struct flush_turns *turns)
{
	assert(turns->taken > 0);
	turns->taken--;
	/* One whose flush ends at once gives its turn back inside run: not one more on the stack for each. */
	if (turns->giving)
		return;
	turns->giving = true;
	while (turns->first && turns->taken < turns->limit) {
		struct flush_turn *turn = turns->first;

		turns->first = turn->next;
		if (!turns->first)
			turns->last = &turns->first;
		turns->taken++;
		turn->run(turn);
	}
	turns->giving = false;
}
