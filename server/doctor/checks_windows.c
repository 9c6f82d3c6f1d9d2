// SPDX-License-Identifier: GPL-2.0-or-later
/* Checks of a Windows, by its registry and its files. None was tried with a real one. */
#include "doctor/exam.h"

#include <stdio.h>
#include <string.h>

static bool hive_unclean(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return exam->windows.system.state == HIVE_UNCLEAN || exam->windows.software.state == HIVE_UNCLEAN;
}

static bool hive_unread(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return exam->windows.system.state == HIVE_UNREAD || exam->windows.software.state == HIVE_UNREAD;
}

static bool hibernated(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return exam->windows.hibernated;
}

static bool not_generalised(const struct exam *exam, struct exam_detail *detail)
{
	char state[HIVE_VALUE_TEXT];

	if (!hive_value(&exam->windows.software, "\\Microsoft\\Windows\\CurrentVersion\\Setup\\State", "ImageState",
			state))
		return false;
	exam_detail_set(detail, 0, "%.100s", state);
	return !strstr(state, "GENERALIZE");
}

/* A service's start is 0 (boot), 1 (system), 2, 3 or 4 (disabled). */
static bool service_start(const struct exam *exam, const char *service, char start[EXAM_PATH])
{
	char key[EXAM_PATH];

	snprintf(key, sizeof(key), "\\Services\\%s", service);
	return exam_windows_value(&exam->windows, key, "Start", start);
}

static bool iscsi_late(const struct exam *exam, struct exam_detail *detail)
{
	char start[EXAM_PATH];

	if (!service_start(exam, "iScsiPrt", start) || !strcmp(start, "0"))
		return false;
	exam_detail_set(detail, 0, "%.10s", start);
	return true;
}

static bool iscsi_disabled(const struct exam *exam, struct exam_detail *detail)
{
	char start[EXAM_PATH];

	(void)detail;
	return service_start(exam, "MSiSCSI", start) && !strcmp(start, "4");
}

static bool card_late(const struct exam *exam, struct exam_detail *detail)
{
	exam_detail_set(detail, 0, "%.100s", exam->windows.card);
	return exam->windows.card[0] && !exam->windows.cards_at_boot;
}

static bool many_cards(const struct exam *exam, struct exam_detail *detail)
{
	exam_detail_set(detail, 0, "%u", exam->windows.cards);
	return exam->windows.cards > 1;
}

static bool fast_startup(const struct exam *exam, struct exam_detail *detail)
{
	char value[EXAM_PATH];

	(void)detail;
	return exam_windows_value(&exam->windows, "\\Control\\Session Manager\\Power", "HiberbootEnabled", value) &&
	       strcmp(value, "0");
}

static bool any_windows(const struct exam *exam, struct exam_detail *detail)
{
	(void)exam;
	(void)detail;
	return true;
}

const struct exam_check exam_windows_checks[] = {
	{ "windows-hibernated", EXAM_WINDOWS, DOCTOR_STOPS, false, hibernated,
	  "Windows is hibernated in it: every clone would go on where the original stopped, on other hardware.",
	  "In the original: powercfg /h off, then shut it down." },
	{ "windows-iscsi-late", EXAM_WINDOWS, DOCTOR_RISK, false, iscsi_late,
	  "Windows starts its iSCSI driver (iScsiPrt, Start={1}) too late to find its disk by it.",
	  "Install Windows over iSCSI. Or, in the original: reg add HKLM\\SYSTEM\\CurrentControlSet\\Services\\iScsiPrt /v Start /t "
	  "REG_DWORD /d 0 /f." },
	{ "windows-iscsi-disabled", EXAM_WINDOWS, DOCTOR_RISK, false, iscsi_disabled,
	  "Windows' iSCSI service (MSiSCSI) is disabled.", "In the original: sc config msiscsi start= auto." },
	{ "windows-card-late", EXAM_WINDOWS, DOCTOR_RISK, false, card_late,
	  "No driver of a network card starts with Windows' boot ({1} does not): it would lose its disk.",
	  "Install Windows over iSCSI. Or, in the original: Start=0 for that service." },
	{ "windows-fast-startup", EXAM_WINDOWS, DOCTOR_RISK, false, fast_startup,
	  "Fast start-up is on: a shut-down leaves a hibernated kernel, and the next boot goes on with it.",
	  "In the original: powercfg /h off." },
	{ "windows-not-generalised", EXAM_WINDOWS, DOCTOR_CLASH, false, not_generalised,
	  "Windows was not generalised ({1}): all clones would have the same machine SID, and newer ones refuse each other's "
	  "log-ons.",
	  "In the original, last of all: sysprep /generalize /oobe /shutdown." },
	{ "windows-hive-unclean", EXAM_WINDOWS, DOCTOR_HINT, false, hive_unclean,
	  "Windows' registry was not closed in order: nothing is said about what is in there.",
	  "Shut the original down in order (not by fast start-up), and copy it again." },
	{ "windows-hive-unread", EXAM_WINDOWS, DOCTOR_HINT, false, hive_unread,
	  "Windows' registry could not be read: nothing is said about what is in there.",
	  "Install libhivex-bin on the server, which has hivexsh." },
	{ "windows-ghost-cards", EXAM_WINDOWS, DOCTOR_HINT, false, many_cards,
	  "Windows knows {1} network cards: some may be of machines that it was on before.",
	  "In the original: show hidden devices in the device manager, and remove those that are gone." },
	{ "windows-gateway", EXAM_WINDOWS, DOCTOR_HINT, false, any_windows,
	  "Windows keeps the gateway that the firmware names for its disk's connection, also where there is none.",
	  "If it boots slowly or not at all, and the server is in the machines' own network: sanbootctl machine set M "
	  "no-gateway=yes." },
	{ 0 },
};
