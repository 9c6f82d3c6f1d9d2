// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: dnsmasq's lease file, in which machines choose their names: what comes out of a line must be JSON. And
 * IPv6 router solicitations.
 */
#include "dhcp/files.h"
#include "dhcp/router.h"
#include "lines.h"

#include <assert.h>
#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_line(void *arg, char *line)
{
	struct buf json;
	json_t *lease;

	(void)arg;
	buf_init(&json, 4096);
	if (files_lease_json(line, &json)) {
		assert(!json.failed);
		lease = json_loads(buf_text(&json), 0, NULL);
		assert(json_string_length(json_object_get(lease, "address")) >= 7);
		assert(json_integer_value(json_object_get(lease, "expires_ms")) >= 0);
		json_decref(lease);
	}
	buf_fini(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	each_line(data, size, read_line, NULL);
	no_router_valid(data, size, 255);
	return 0;
}
