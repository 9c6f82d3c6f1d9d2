// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl image publish in rings, image rings and image rollout: what is asked for, what is said, what is refused at once. */
#include "cmocka_all.h"
#include "server.h"

#include "base/util.h"
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void holds(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in: %s", part, text);
}

#define SIDES                                                                         \
	"\"boots\": {\"new\": {\"steady\": 3, \"failed\": 1, \"median_ms\": 41500}, " \
	"\"old\": {\"steady\": 0, \"failed\": 0, \"median_ms\": null}}, "             \
	"\"rule\": {\"min_boots\": 4, \"drop\": 25, \"wait_s\": 3600, \"brake\": \"back\"}, \"hint\": \"do this\""
#define RINGS(dry)                                                                                                                      \
	OK("{\"dry_run\": " dry                                                                                                         \
	   ", \"rollout\": \"lab@3\", \"image\": \"lab\", \"from\": \"lab@2\", \"state\": \"running\", "                                \
	   "\"began_ms\": 1798131600000, \"began_by\": \"anna\", \"persistent\": true, \"back\": false, \"steps\": ["                   \
	   "{\"who\": \"ring canary\", \"machines\": 1, \"have\": 1, \"begun_ms\": 1798131600000}, "                                    \
	   "{\"who\": \"50 % of all\", \"machines\": 7, \"have\": 0, \"at_ms\": 1798135200000}, "                                       \
	   "{\"who\": \"all\", \"machines\": 9, \"have\": 0}], \"machines\": ["                                                         \
	   "{\"name\": \"pc-1\", \"ring\": \"canary\", \"image\": \"lab@2\", \"step\": 1, \"standing\": \"gets\", \"running\": true}, " \
	   "{\"name\": \"pc-2\", \"ring\": null, \"image\": \"lab@2\", \"step\": 3, \"standing\": \"later\", \"running\": false}, "     \
	   "{\"name\": \"pc-3\", \"ring\": null, \"image\": \"lab@1\", \"step\": null, \"standing\": \"keeps-disk\"}, "                 \
	   "{\"name\": \"pc-4\", \"ring\": null, \"image\": \"lab@9\", \"step\": 2, \"standing\": \"newer\"}, "                         \
	   "{\"name\": \"pc-5\", \"ring\": null, \"image\": \"lab@2\", \"step\": 2, \"standing\": \"chosen\"}, "                        \
	   "{\"name\": \"pc-6\", \"ring\": null, \"image\": \"lab@3\", \"step\": 2, \"standing\": \"has\"}], " SIDES                    \
	   "}")

static void test_publish_in_rings(void **state)
{
	struct server server = { .answers = { RINGS("true"), RINGS("false"), RINGS("false") } };
	long long at_ms = 0;
	const char *at;
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "image publish lab@3 --ring canary --then 25%,late@+8h,100% --persistent --dry-run",
			   &code);
	assert_int_equal(code, EXIT_DONE);
	holds(said, "begins at once");
	holds(said, "begins at 2026-12-24 18:00:00, unless the brake stops it");
	holds(said, "begins when step 2 has proven itself (after 1 h, and 4 boots)");
	holds(said, "gets it at its next boot (it runs: outdated until then)");
	holds(said, "gets it at its first boot after step 3 begins");
	holds(said, "keeps lab@1: there is data on its disk");
	holds(said, "1 machine with data on its disk: --persistent includes them");
	holds(said, "keeps lab@9, which it was given to test");
	holds(said, "keeps lab@2, as a person said");
	free(said);
	said = server_said(&server, "image publish lab@3 --then 100% --at +1h", &code);
	assert_int_equal(code, EXIT_DONE);
	holds(said, "begun 2026-12-24 17:00:00");
	holds(said, "running");
	free(said);
	said = server_said(&server, "image rings lab", &code);
	holds(said, "lab@3: 3 of 4 got to a steady system, half of them within 41.5 s");
	holds(said, "lab@2: none yet");
	holds(said, "puts machines back");
	free(said);
	server_stop(&server);
	holds(server.asked[0], "POST /api/v1/images/lab%403/publish");
	holds(server.asked[0], "\"steps\":[{\"ring\":\"canary\"},{\"percent\":25},{\"ring\":\"late\",\"at_ms\":1");
	holds(server.asked[0], "{\"percent\":100}]");
	holds(server.asked[0], "\"persistent\":true");
	holds(server.asked[0], "\"dry_run\":true");
	at = strstr(server.asked[1], "\"at_ms\":");
	assert_non_null(at);
	at_ms = atoll(at + strlen("\"at_ms\":"));
	assert_in_range(at_ms, time_unix_ms() + 3500000, time_unix_ms() + 3700000);
	holds(server.asked[1], "\"dry_run\":false");
	holds(server.asked[2], "GET /api/v1/images/lab/rollout ");
}

#define CHANGED(state, back)                                                                              \
	OK("{\"rollout\": \"lab@3\", \"from\": \"lab@2\", \"state\": \"" state "\", \"back\": " back ", " \
	   "\"hint\": \"do this\"}")

static void test_changes(void **state)
{
	struct server server = {
		.answers = { CHANGED("stopped", "false"), CHANGED("running", "false"), CHANGED("undone", "true"),
			     OK("{\"dry_run\": true, \"new_machines_get\": \"lab@3\", \"at_ms\": null, \"machines\": "
				"[{\"name\": \"pc-1\", \"ring\": null, \"image\": \"lab@2\", \"step\": null, "
				"\"standing\": \"outside\", \"running\": false}], \"hint\": \"nothing was changed\"}"),
			     OK("{\"published\": \"lab@3\", \"new_machines_get\": \"lab@3\", "
				"\"machines_on_other_versions\": 3, \"ends_rollout\": true}") }
	};
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "image rollout stop lab", &code);
	assert_int_equal(code, EXIT_DONE);
	holds(said, "the rollout of lab@3 is stopped");
	holds(said, "do this");
	free(said);
	free(server_said(&server, "image rollout resume lab", &code));
	said = server_said(&server, "image rollout undo lab", &code);
	holds(said, "go back to lab@2 at their next boot");
	free(said);
	said = server_said(&server, "image publish lab@3 --dry-run", &code);
	holds(said, "new machines would get lab@3");
	holds(said, "keeps lab@2 until it is reset");
	free(said);
	said = server_said(&server, "image publish lab@3", &code);
	holds(said, "gets it at the next boot");
	free(said);
	server_stop(&server);
	holds(server.asked[0], "POST /api/v1/images/lab/rollout/stop ");
	holds(server.asked[1], "POST /api/v1/images/lab/rollout/resume ");
	holds(server.asked[2], "POST /api/v1/images/lab/rollout/undo ");
	holds(server.asked[3], "{\"dry_run\":true}");
}

static void test_refused_without_asking(void **state)
{
	static const char *const lines[] = {
		"image publish lab@3 --then 25%,50%@soon",
		"image publish lab@3 --then 25%,,100%",
		"image publish lab@3 --then x%",
		"image publish lab@3 --then 25%,50%@",
		"image publish lab@3 --persistent",
		"image publish lab@3 --ring canary --at none",
		"image publish lab@3 --ring canary --at soon",
	};
	struct server nobody = { .dir = "/nonexistent" };

	(void)state;
	for (size_t i = 0; i < array_len(lines); i++)
		if (server_run(&nobody, lines[i]) != EXIT_USAGE)
			fail_msg("%s", lines[i]);
}

#define MACHINES                                                                                                           \
	OK("{\"machines\": [{\"name\": \"pc-1\", \"macs\": [], \"image\": \"lab@2\", \"outdated\": true, \"next_image\": " \
	   "\"lab@3\"}, {\"name\": \"pc-2\", \"macs\": [], \"image\": \"lab@1\", \"outdated\": true, \"next_image\": null}]}")

static void test_machines(void **state)
{
	struct server server = {
		.answers = { MACHINES, OK("{\"waiting\": []}"),
			     OK("{\"name\": \"pc-1\", \"image\": \"lab@2\", \"image_name\": \"lab\", \"outdated\": true, "
				"\"next_image\": \"lab@3\", \"effective\": {\"ring\": {\"value\": \"canary\", \"from\": "
				"\"group\", \"group\": \"lab\"}}}") }
	};
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "machine list", &code);
	assert_int_equal(code, EXIT_DONE);
	holds(said, "lab@2, gets lab@3");
	holds(said, "lab@1, outdated");
	free(said);
	said = server_said(&server, "machine show pc-1", &code);
	holds(said, "it gets lab@3 at its next boot");
	holds(said, "canary (group lab)");
	free(said);
	server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_publish_in_rings),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_refused_without_asking),
		cmocka_unit_test(test_machines),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
