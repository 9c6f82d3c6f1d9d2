// SPDX-License-Identifier: GPL-2.0-or-later
/* How long a boot may stay at each stage, why boots usually stop there, and what to do about it: see timeline.h. */
#include "timeline.h"

#include "base/util.h"

#include <string.h>

static const struct {
	int64_t limit_ms; /* for the next stage to come; 0: no limit */
	const char *why, *hint;
} stages[STAGES] = {
	[STAGE_DHCP] = {
		TIMELINE_FILE_MS,
		"its firmware asked for an address and fetched no boot file: TFTP (UDP port 69) is filtered on the "
		"way, the file for its kind of firmware is missing, or another server gave it one",
		"look at its screen; let TFTP through the firewall; sanbootctl status names missing boot files",
	},
	[STAGE_BOOT_FILE] = {
		TIMELINE_SCRIPT_MS,
		"it got its boot file and never asked for its script: its iPXE cannot reach this server by HTTP, or "
		"the file does not run on this machine",
		"look at its screen; let the HTTP port through the firewall, or try another iPXE (--ipxe-dir); with "
		"Secure Boot a signed shim is needed",
	},
	[STAGE_SCRIPT] = {
		TIMELINE_LOGIN_MS,
		"iPXE cannot reach the iSCSI portal: its TCP port (3260) is filtered on the way, or the script names "
		"an address that the machine cannot reach (--advertise)",
		"look at its screen; let TCP port 3260 through the firewall; check --advertise",
	},
	[STAGE_IPXE_LOGIN] = {
		TIMELINE_READ_MS,
		"iPXE logged in and reads nothing: it was stopped at its prompt, or it cannot hand the drive to this "
		"firmware",
		"look at its screen; try another iPXE (--ipxe-dir)",
	},
	[STAGE_FIRST_READ] = { TIMELINE_SILENCE_MS, "", "" },
	[STAGE_LOADER_DONE] = {
		TIMELINE_KERNEL_MS,
		"the loader ran, and no kernel logged in: the image's initramfs has no iSCSI or no driver for this "
		"network card, or the loader waits at a menu or a prompt; or it is an entry, an installer say, that needs "
		"minutes until it logs in",
		"look at its screen; see \"Preparing an image of your own\" in the README",
	},
	[STAGE_KERNEL_LOGIN] = {
		TIMELINE_UNSTEADY_MS,
		"the system's session does not last: something in the image takes the network card down that it "
		"booted from (NetworkManager, networkd, ifupdown), or the network loses packets",
		"leave that network card alone in the image; the machine's events say how its sessions ended",
	},
};

const char *timeline_why(enum stage stage)
{
	return (unsigned)stage < array_len(stages) && stages[stage].why ? stages[stage].why : "";
}

const char *timeline_hint(enum stage stage, const char *why)
{
	if (stage == STAGE_KERNEL_LOGIN && strstr(why, TIMELINE_WAITS))
		return "bring that portal back, or switch the machine off and on: its next script leaves out what did not answer "
		       "(sanbootctl machine set NAME multipath=yes offers it again)";
	return (unsigned)stage < array_len(stages) && stages[stage].hint ? stages[stage].hint : "";
}

int64_t timeline_limit_ms(enum stage stage)
{
	return (unsigned)stage < array_len(stages) ? stages[stage].limit_ms : 0;
}
