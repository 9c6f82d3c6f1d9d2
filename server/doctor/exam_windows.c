// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which Windows is on a disk, and what its registry says of how it starts. (Nothing of this was seen with a real one: key
 * names are those that Microsoft documents.)
 */
#include "doctor/exam.h"

#include <stdio.h>
#include <string.h>

#define CONFIG "/Windows/System32/config/"
#define NET_CLASS "\\Control\\Class\\{4d36e972-e325-11ce-bfc1-08002be10318}"

static bool is_windows(const struct exam_part *part)
{
	return part->looked_into && part->fs.kind == FS_NTFS && tree_has(&part->tree, CONFIG "SYSTEM");
}

/* Keys of the control set that it boots with. */
static void windows_key(const struct exam_windows *windows, const char *key, char out[EXAM_PATH])
{
	snprintf(out, EXAM_PATH, "\\ControlSet%03u%.200s", windows->control_set, key);
}

bool exam_windows_value(const struct exam_windows *windows, const char *key, const char *name, char value[EXAM_PATH])
{
	char full[EXAM_PATH];

	windows_key(windows, key, full);
	return hive_value(&windows->system, full, name, value);
}

static void see_card(void *arg, const char *name)
{
	struct exam_windows *windows = arg;
	char key[EXAM_PATH], value[EXAM_PATH], service[EXAM_PATH];

	/* What has a bus is a card; the rest are Windows' own miniports. */
	snprintf(key, sizeof(key), NET_CLASS "\\%.60s", name);
	if (windows->cards_looked_at++ == EXAM_CARDS_MAX || !exam_windows_value(windows, key, "BusType", value))
		return;
	windows->cards++;
	snprintf(key, sizeof(key), NET_CLASS "\\%.60s\\Ndi", name);
	if (!exam_windows_value(windows, key, "Service", service))
		return;
	snprintf(key, sizeof(key), "\\Services\\%.100s", service);
	if (exam_windows_value(windows, key, "Start", value) && !strcmp(value, "0"))
		windows->cards_at_boot++;
	else
		snprintf(windows->card, sizeof(windows->card), "%.60s", service);
}

static void look_at_system(struct exam_windows *windows)
{
	char value[EXAM_PATH], key[EXAM_PATH];

	windows->control_set = 1;
	if (hive_value(&windows->system, "\\Select", "Current", value) && value[0] >= '1' && value[0] <= '9' &&
	    !value[1])
		windows->control_set = (unsigned)(value[0] - '0');
	windows_key(windows, NET_CLASS, key);
	hive_each_key(&windows->system, key, see_card, windows);
}

struct first_bytes {
	char bytes[4];
	size_t have;
};

static bool take_first(void *arg, const void *data, size_t len)
{
	struct first_bytes *first = arg;

	for (size_t i = 0; i < len && first->have < sizeof(first->bytes); i++)
		first->bytes[first->have++] = ((const char *)data)[i];
	return first->have < sizeof(first->bytes);
}

static bool is_hibernated(const struct tree *tree)
{
	struct first_bytes first = { .have = 0 };

	if (tree_stream(tree, "/hiberfil.sys", take_first, &first) || first.have < sizeof(first.bytes))
		return false;
	return !memcmp(first.bytes, "hibr", 4) || !memcmp(first.bytes, "HIBR", 4) || !memcmp(first.bytes, "RSTR", 4);
}

void exam_look_windows(struct exam *exam)
{
	struct exam_windows *windows = &exam->windows;

	windows->system.fd = windows->software.fd = -1;
	for (unsigned i = 0; i < exam->part_count && !windows->part; i++) {
		if (is_windows(&exam->parts[i]))
			windows->part = &exam->parts[i];
	}
	if (!windows->part)
		return;
	snprintf(exam->system, sizeof(exam->system), "Windows");
	windows->hibernated = is_hibernated(&windows->part->tree);
	hive_open(&windows->part->tree, CONFIG "SYSTEM", &windows->system);
	hive_open(&windows->part->tree, CONFIG "SOFTWARE", &windows->software);
	look_at_system(windows);
	if (hive_value(&windows->software, "\\Microsoft\\Windows NT\\CurrentVersion", "ProductName",
		       windows->product) &&
	    windows->product[0])
		snprintf(exam->system, sizeof(exam->system), "%.80s", windows->product);
}

void exam_windows_fini(struct exam_windows *windows)
{
	hive_close(&windows->system);
	hive_close(&windows->software);
}
