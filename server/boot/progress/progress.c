// SPDX-License-Identifier: GPL-2.0-or-later
/* What happens, passed on to those who follow boots: see progress.h; and what boot.h offers of it. */
#include "progress.h"

#include "base/util.h"
#include "boot/internal.h"
#include "sampler.h"
#include "stages.h"
#include "timeline.h"
#include "turns.h"
#include "warm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- life ---- */

int progress_new(struct boot *boot)
{
	boot->timeline = timeline_new();
	boot->turns = turns_new();
	boot->warm = warm_new(boot);
	boot->sampler = sampler_new(boot);
	if (boot->timeline && boot->turns && boot->warm && boot->sampler)
		boot->stages = stages_new(boot);
	return boot->stages ? 0 : -ENOMEM;
}

void progress_start(struct boot *boot)
{
	stages_start(boot->stages);
	sampler_start(boot->sampler);
	warm_start(boot->warm);
}

void progress_stop(struct boot *boot)
{
	stages_stop(boot->stages);
	sampler_stop(boot->sampler);
	warm_stop(boot->warm);
}

void progress_free(struct boot *boot)
{
	stages_free(boot->stages);
	sampler_free(boot->sampler);
	warm_free(boot->warm);
	turns_free(boot->turns);
	timeline_free(boot->timeline);
}

/* ---- events ---- */

void progress_script(struct boot *boot, int64_t machine_id, uint64_t number, const char *mac, const char *address,
		     const struct image_version *version, const struct portals_offer *offer)
{
	timeline_script(boot->timeline, machine_id, number, mac, address, offer, time_unix_ms());
	warm_script(boot->warm, machine_id, number, version);
	stages_changed(boot->stages);
}

static void progress_arrival(struct boot *boot, const char *key, enum stage stage, const char *detail, int64_t at_ms)
{
	char shown[STAGE_DETAIL_TEXT];

	parse_clean_text(detail, shown, sizeof(shown));
	timeline_arrival(boot->timeline, key, stage, shown, at_ms);
	stages_changed(boot->stages);
}

void progress_waits(struct boot *boot, int64_t machine_id, const char *mac, const char *why)
{
	if (machine_id)
		timeline_elsewhere(boot->timeline, machine_id);
	progress_arrival(boot, mac, STAGE_WAITED, why, time_unix_ms());
}

void progress_problem(struct boot *boot, int64_t machine_id, bool explains, const char *format, ...)
{
	char problem[256];
	va_list args;

	va_start(args, format);
	vsnprintf(problem, sizeof(problem), format, args);
	va_end(args);
	timeline_problem(boot->timeline, machine_id, problem, explains);
}

void progress_session(struct boot *boot, int64_t machine_id, const struct boot_session *session, const char *ended_why)
{
	turns_session(boot->turns, machine_id, !ended_why, time_monotonic_ms());
	if (!session->ipxe && ended_why)
		timeline_used(boot->timeline, machine_id, session->boot, session->bytes_read, session->bytes_written);
	if (!session->ipxe && !ended_why)
		timeline_reached(boot->timeline, machine_id, session->boot, session->portal);
	if (!ended_why) {
		timeline_session_began(boot->timeline, machine_id, session->boot, session->ipxe, session->address,
				       time_unix_ms());
		/* When iPXE's session was heard of last tells when the loader was done. */
		if (!session->ipxe)
			stages_ask_ipxe(boot, machine_id, session->boot);
	} else {
		sampler_session_ended(boot->sampler, session);
		timeline_session_ended(boot->timeline, machine_id, session->boot, session->ipxe, session->heard_ms,
				       ended_why);
	}
	stages_changed(boot->stages);
}

void progress_begun(struct boot *boot)
{
	sampler_boot_began(boot->sampler);
}

void progress_released(struct boot *boot, int64_t machine_id)
{
	turns_leave(boot->turns, machine_id);
}

void progress_removed(struct boot *boot, int64_t machine_id)
{
	timeline_forget(boot->timeline, machine_id);
	turns_leave(boot->turns, machine_id);
}

/* ---- what boot.h offers; any thread ---- */

void boot_seen_dhcp(struct boot *boot, const char *mac, enum stage stage, const char *detail, int64_t at_ms)
{
	char key[PARSE_MAC_TEXT];

	if (parse_mac(mac, key) && stage <= STAGE_BOOT_FILE)
		progress_arrival(boot, key, stage, detail, at_ms);
}

void boot_seen_fetch(struct boot *boot, const char *address, const char *file)
{
	progress_arrival(boot, address, STAGE_BOOT_FILE, file, time_unix_ms());
}

void boot_target_first_read(struct boot *boot, int64_t machine_id, uint64_t number)
{
	timeline_first_read(boot->timeline, machine_id, number, time_unix_ms());
	stages_changed(boot->stages);
}

unsigned boot_arriving(struct boot *boot, const char *mac, struct stage_record records[STAGE_WAITED + 1])
{
	return timeline_arriving(boot->timeline, mac, records);
}

unsigned boot_last_hour(struct boot *boot, struct activity out[BOOT_HOUR])
{
	_Static_assert((int)BOOT_HOUR == (int)SAMPLER_HOUR && (int)BOOT_HOUR_STEP_MS == (int)SAMPLER_STEP_MS,
		       "what is promised is what is kept");
	return sampler_hour(boot->sampler, out);
}

void boot_turns(struct boot *boot, unsigned *booting, unsigned *waiting)
{
	turns_count(boot->turns, time_monotonic_ms(), booting, waiting);
}

const char *boot_stage_hint(enum stage stage, const char *why)
{
	return timeline_hint(stage, why);
}
