// SPDX-License-Identifier: GPL-2.0-or-later
/* Makers of network cards, out of files as Debian's ieee-data has them. */
#include "cmocka_all.h"

#include "base/util.h"
#include "http/vendors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADING "Registry,Assignment,Organization Name,Organization Address\n"

static void put(const char *directory, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void clean(const char *directory)
{
	static const char *const names[] = { "oui.csv", "mam.csv", "oui36.csv", "iab.csv" };
	char path[128];

	for (size_t i = 0; i < array_len(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}

static void test_find(void **state)
{
	static const struct {
		const char *mac, *vendor;
	} cases[] = {
		{ "08:00:27:12:34:56", "PCS Systemtechnik GmbH" },
		{ "f4:bd:9e:00:00:01", "Cisco Systems, Inc" },
		{ "20:85:93:b1:23:45", "IOG Products LLC" },	/* of 28 bits, in the registry's own block */
		{ "20:85:93:00:00:01", NULL },			/* nobody has that part of it */
		{ "70:b3:d5:f2:f0:01", "TELEPLATFORMS" },	/* of 36 bits */
		{ "74:1a:e0:90:00:01", NULL },			/* somebody who would not be named */
		{ "00:50:c2:00:1f:ff", "JMBS Developpements" }, /* an older one of 36 bits */
		{ "0a:00:27:00:00:01", NULL },			/* not assigned by the IEEE, whatever stands there */
		{ "00:00:5e:00:53:01", NULL },
	};
	char directory[] = "/tmp/vendors-XXXXXX";
	struct vendors *vendors;

	(void)state;
	assert_non_null(mkdtemp(directory));
	put(directory, "oui.csv",
	    HEADING "MA-L,080027,PCS Systemtechnik GmbH,600 Suffold St Lowell MA US 01854 \n"
		    "MA-L,F4BD9E,\"Cisco Systems, Inc\",80 West Tasman Drive\n"
		    "MA-L,208593,IEEE Registration Authority,445 Hoes Lane\nMA-L,70B3D5,IEEE Registration Authority,\n"
		    "MA-L,0A0027,Nobody,\n");
	put(directory, "mam.csv", HEADING "MA-M,208593B,IOG Products LLC,9737 LURLINE AVENUE\nMA-M,741AE09,Private,\n");
	put(directory, "oui36.csv", HEADING "MA-S,70B3D5F2F,TELEPLATFORMS,\"Polbina st., 3/1 Moscow\"\n");
	put(directory, "iab.csv", HEADING "IAB,0050C2001,JMBS Developpements,\n");
	vendors = vendors_new(directory);
	assert_non_null(vendors);
	for (size_t i = 0; i < array_len(cases); i++) {
		const char *found = vendors_find(vendors, cases[i].mac);

		if (!cases[i].vendor)
			assert_null(found);
		else
			assert_string_equal(found ? found : "nobody", cases[i].vendor);
	}
	vendors_free(vendors);
	clean(directory);
}

/* Nothing there, or nothing that is meant: nothing is known, and nothing is lost. */
static void test_unfit(void **state)
{
	char directory[] = "/tmp/vendors-XXXXXX";
	struct vendors *vendors = vendors_new("/nonexistent");

	(void)state;
	assert_non_null(vendors);
	assert_null(vendors_find(vendors, "08:00:27:12:34:56"));
	vendors_free(vendors);

	assert_non_null(mkdtemp(directory));
	put(directory, "oui.csv",
	    HEADING "MA-L,0800,Too short\nMA-L\n\nMA-L,08002G,No number,\nMA-L,0800271234567,Too long,\n"
		    "MA-L,,Nothing,\nMA-L,001122,\"never ends\n");
	put(directory, "mam.csv", HEADING "MA-M,2085930,Somebody,\n");
	vendors = vendors_new(directory);
	assert_non_null(vendors);
	assert_null(vendors_find(vendors, "08:00:27:12:34:56"));
	assert_string_equal(vendors_find(vendors, "20:85:93:01:02:03"), "Somebody");
	vendors_free(vendors);
	clean(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_unfit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
