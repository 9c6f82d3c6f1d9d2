// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz harness: an entry's file. What is taken can be written into a script as it is, and no path of it climbs. */
#include "boot/script/entry.h"
#include "boot/script/script.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const char *place)
{
	if (strstr(place, "://")) {
		if (!entry_url_valid(place))
			abort();
	} else if (!script_word_valid(place) || place[0] == '/' || strstr(place, "..")) {
		/* "a..b" is a name like another; only whole parts climb. */
		if (place[0] == '/' || !strncmp(place, "../", 3) || strstr(place, "/..") || !script_word_valid(place))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_problem problem = { 0 };
	struct entry entry;

	if (size > ENTRY_CONF_MAX)
		return 0;
	if (!entry_parse("fuzz", (const char *)data, size, &entry, &problem)) {
		if (!problem.why.text[0])
			abort();
		return 0;
	}
	if (entry.file_count > ENTRY_FILES_MAX || !entry.title[0] || !script_line_valid(entry.cmdline))
		abort();
	if (entry.kernel[0])
		check_place(entry.kernel);
	for (unsigned i = 0; i < entry.file_count; i++)
		check_place(entry.files[i]);
	if ((entry.kind == ENTRY_CHAIN) != (entry.url[0] != '\0') || (entry.url[0] && !entry_url_valid(entry.url)))
		abort();
	if (entry.kind != ENTRY_CHAIN && !entry.kernel[0])
		abort();
	return 0;
}
