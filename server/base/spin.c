// SPDX-License-Identifier: GPL-2.0-or-later
/* To stay awake or to sleep: see spin.h. */
#include "base/spin.h"

void spin_init(struct spin *spin)
{
	*spin = (struct spin){ .trust = SPIN_TRUST_MIN };
}

static void spin_learn(struct spin *spin, uint64_t began_ns)
{
	if (spin->in_vain)
		spin->in_vain = false;
	else if (!spin->polling && began_ns - spin->ended_ns > SPIN_SHORT_NS)
		spin->trust = SPIN_TRUST_MIN;
	else if (spin->trust < SPIN_TRUST_MAX)
		spin->trust++;
}

bool spin_worked(struct spin *spin, uint64_t began_ns, uint64_t now_ns)
{
	spin_learn(spin, began_ns);
	spin->ended_ns = now_ns;
	spin->polling = spin->trust > 0;
	return spin->polling;
}

bool spin_go_on(struct spin *spin, uint64_t now_ns)
{
	if (now_ns - spin->ended_ns <= SPIN_NS)
		return true;
	spin->trust -= SPIN_FAILURE;
	spin->in_vain = true;
	spin->polling = false;
	return false;
}
