/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that a closed disk of ours consists of, opened for qemu-img in its box: the topmost first, each as its header
 * names the next, only in children/ and images/. Private to store/.
 */
#ifndef STORE_CHAIN_H
#define STORE_CHAIN_H

#include "base/reason.h"
#include "store/convert.h"
#include "store/private.h"

/*
 * A file of children/ or images/ and all that it stands on. "nobody" may read them until chain_close (the folders above them
 * stay shut). 0 or -errno with a sentence, and then nothing is open.
 */
int chain_open(struct store *store, const char *folder, const char *file, const char *format,
	       struct convert_chain *chain, struct reason *reason);
void chain_close(struct convert_chain *chain);

#endif
