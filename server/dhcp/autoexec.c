// SPDX-License-Identifier: GPL-2.0-or-later
/* See autoexec.h. `dhcp` without a card stops at the first one that gets an address, wherever that is. */
#include "dhcp/autoexec.h"

enum { AUTOEXEC_CARDS = 4, AUTOEXEC_TIMEOUT_MS = 20000 };

void dhcp_make_autoexec(struct buf *script, const char *url, const char *from)
{
	buf_printf(script,
		   "#!ipxe\n"
		   ":again\n"
		   "isset ${netX/mac} && dhcp netX && chain --timeout %d --replace --autofree %s ||\n",
		   AUTOEXEC_TIMEOUT_MS, url);
	/* What one was told must not lead the next one astray. */
	for (int card = 0; card < AUTOEXEC_CARDS; card++)
		buf_printf(script,
			   "isset ${net%d/mac} && dhcp net%d && chain --timeout %d --replace --autofree %s || ifclose net%d "
			   "||\n",
			   card, card, AUTOEXEC_TIMEOUT_MS, url, card);
	buf_printf(script,
		   "echo SANBOOTD no boot.ipxe from %s; asking again in 5 seconds\n"
		   "sleep 5 ||\n"
		   "goto again\n",
		   from);
}
