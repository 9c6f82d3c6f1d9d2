// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl image publish --ring and --then, image rings, image rollout ...: see rollout.h. */
#include "ctl/rollout.h"

#include "base/parse.h"
#include "base/util.h"
#include "ctl/client.h"
#include "ctl/table.h"
#include "ctl/when.h"

#include <stdlib.h>
#include <string.h>

enum { WHO_TEXT = 128, SAID_TEXT = 160 };

/* ---- what is asked for ---- */

/* "25%", "canary"; with "@22:00", which is the next one after the step before. */
static json_t *step_of(char *text, int64_t *after_ms)
{
	char *at = strchr(text, '@');
	size_t len;
	unsigned percent;
	json_t *step;

	if (at)
		*at++ = '\0';
	len = strlen(text);
	if (!len || (text[len - 1] == '%' && !parse_percent(text, &percent))) {
		ctl_fail("for example: --then 25%,50%@22:00,100%",
			 len ? "--then: %s is no percentage" : "--then: a step is missing", text);
		return NULL;
	}
	step = text[len - 1] == '%' ? json_pack("{s:i}", "percent", (int)percent) : json_pack("{s:s}", "ring", text);
	if (!at)
		return step;
	if (!when_parse(at, *after_ms, after_ms)) {
		ctl_fail("for example: --then 25%,50%@22:00,100%, or \"50%@2027-01-04 06:00\", or 50%@+8h",
			 "--then: %s is no time", at);
		json_decref(step);
		return NULL;
	}
	json_object_set_new(step, "at_ms", json_integer(*after_ms));
	return step;
}

static bool add_steps(json_t *steps, const char *then, int64_t after_ms)
{
	char *text = strdup(then), *rest = text, *one;
	bool ok = text;

	while (ok && (one = strsep(&rest, ","))) {
		json_t *step = step_of(one, &after_ms);

		ok = step && !json_array_append_new(steps, step);
	}
	free(text);
	return ok;
}

json_t *ctl_rollout_body(const struct ctl *ctl, int64_t at_ms)
{
	const char *ring = ctl->options[OPTION_RING], *then = ctl->options[OPTION_THEN];
	json_t *steps = json_array();
	json_t *body =
		json_pack("{s:o, s:b, s:b}", "steps", steps, "persistent", ctl->options[OPTION_PERSISTENT] != NULL,
			  "dry_run", ctl->options[OPTION_DRY_RUN] != NULL);

	if (ring)
		json_array_append_new(steps, json_pack("{s:s}", "ring", ring));
	if (then && !add_steps(steps, then, at_ms ? at_ms : time_unix_ms())) {
		json_decref(body);
		return NULL;
	}
	if (at_ms && !json_object_get(json_array_get(steps, 0), "at_ms"))
		json_object_set_new(json_array_get(steps, 0), "at_ms", json_integer(at_ms));
	return body;
}

/* ---- what is said ---- */

static const char *wait_text(int64_t seconds, char out[TABLE_TEXT])
{
	if (!seconds)
		snprintf(out, TABLE_TEXT, "at once");
	else if (seconds % 86400 == 0)
		snprintf(out, TABLE_TEXT, "%lld d", (long long)(seconds / 86400));
	else if (seconds % 3600 == 0)
		snprintf(out, TABLE_TEXT, "%lld h", (long long)(seconds / 3600));
	else
		snprintf(out, TABLE_TEXT, "%lld min", (long long)(seconds / 60));
	return out;
}

static void step_when(const json_t *answer, const json_t *step, size_t number, char out[SAID_TEXT])
{
	const json_t *rule = json_object_get(answer, "rule");
	int64_t begun = get_number(step, "begun_ms"), at = get_number(step, "at_ms");
	char when[TABLE_TEXT], proven[TABLE_TEXT];

	if (begun && json_is_true(json_object_get(answer, "dry_run")))
		snprintf(out, SAID_TEXT, "begins at once");
	else if (begun)
		snprintf(out, SAID_TEXT, "begun %s%s%s", table_time(when, begun),
			 get_number(step, "proven_ms") ? ", proven " : "",
			 get_number(step, "proven_ms") ? table_time(proven, get_number(step, "proven_ms")) : "");
	else if (at)
		snprintf(out, SAID_TEXT, "begins at %s%s", table_time(when, at),
			 number ? ", unless the brake stops it" : "");
	else
		snprintf(out, SAID_TEXT, "begins when step %zu has proven itself (after %s, and %lld boots)", number,
			 wait_text(get_number(rule, "wait_s"), when), (long long)get_number(rule, "min_boots"));
}

static void print_steps(const json_t *answer)
{
	json_t *step;
	size_t i;

	json_array_foreach(json_object_get(answer, "steps"), i, step) {
		char when[SAID_TEXT];
		long long machines = get_number(step, "machines"), have = get_number(step, "have");

		step_when(answer, step, i, when);
		print_field(i ? "" : "steps", "%zu  %s, %lld%s machine%s, %lld ha%s it: %s", i + 1,
			    get_text(step, "who"), machines, i ? " more" : "", machines == 1 ? "" : "s", have,
			    have == 1 ? "s" : "ve", when);
	}
}

/* Those that a step reaches, and that get nothing. */
static void print_left_out(const json_t *answer)
{
	long long keep = 0;
	json_t *machine;
	size_t i;

	json_array_foreach(json_object_get(answer, "machines"), i, machine)
		keep += !strcmp(get_text(machine, "standing"), "keeps-disk");
	if (keep)
		print_field("left out", "%lld machine%s with data on %s: --persistent includes them, and a reset does",
			    keep, keep == 1 ? "" : "s", keep == 1 ? "its disk" : "their disks");
}

static void print_side(const char *name, const char *version, const json_t *side)
{
	long long steady = get_number(side, "steady"), boots = steady + get_number(side, "failed");

	if (!boots)
		print_field(name, "%s: none yet", version);
	else if (get_number(side, "median_ms"))
		print_field(name, "%s: %lld of %lld got to a steady system, half of them within %.1f s", version,
			    steady, boots, (double)get_number(side, "median_ms") / 1000);
	else
		print_field(name, "%s: %lld of %lld got to a steady system", version, steady, boots);
}

/* What becomes of a machine. */
static const char *fate(const json_t *answer, const json_t *machine, char out[SAID_TEXT])
{
	const char *standing = get_text(machine, "standing");
	const char *image = get_text(machine, "image");
	bool running = json_is_true(json_object_get(machine, "running"));
	bool settled = !get_text(answer, "rollout")[0] || !strcmp(get_text(answer, "state"), "undone") ||
		       !strcmp(get_text(answer, "state"), "replaced");
	const char *runs = running ? " (it runs: outdated until then)" : "";

	if (!strcmp(standing, "has"))
		snprintf(out, SAID_TEXT, "has it");
	else if (!strcmp(standing, "gets"))
		snprintf(out, SAID_TEXT, "gets it at its next boot%s", runs);
	else if (!strcmp(standing, "goes-back"))
		snprintf(out, SAID_TEXT, "goes back to %.60s at its next boot%s", get_text(answer, "from"), runs);
	else if (!strcmp(standing, "later"))
		snprintf(out, SAID_TEXT, "gets it at its first boot after step %lld begins",
			 (long long)get_number(machine, "step"));
	else if (!strcmp(standing, "keeps-disk"))
		snprintf(out, SAID_TEXT, "keeps %.60s: there is data on its disk (--persistent, or a reset)", image);
	else if (!strcmp(standing, "newer"))
		snprintf(out, SAID_TEXT, "keeps %.60s, which it was given to test", image);
	else if (!strcmp(standing, "chosen"))
		snprintf(out, SAID_TEXT, "keeps %.60s, as a person said", image);
	else
		snprintf(out, SAID_TEXT, settled ? "keeps %.60s until it is reset" : "keeps %.60s: no step reaches it",
			 image);
	return out;
}

static void print_machines(const json_t *answer)
{
	const json_t *machines = json_object_get(answer, "machines");
	struct table *table;
	json_t *machine;
	size_t i;

	if (!json_array_size(machines))
		return;
	table = table_new("MACHINE", "RING", "IMAGE", "STEP", "WHAT", NULL);
	json_array_foreach(machines, i, machine) {
		char said[SAID_TEXT];

		table_add(table, get_text(machine, "name"));
		table_add(table, get_text(machine, "ring"));
		table_add(table, get_text(machine, "image"));
		if (get_number(machine, "step"))
			table_add_number(table, get_number(machine, "step"));
		else
			table_add(table, "");
		table_add(table, fate(answer, machine, said));
	}
	putchar('\n');
	table_print(table);
}

static void print_state(const json_t *answer)
{
	const char *state = get_text(answer, "state");
	char began[TABLE_TEXT], ended[TABLE_TEXT];

	print_field("rollout", "%s, from %s", get_text(answer, "rollout"), get_text(answer, "from"));
	if (json_is_true(json_object_get(answer, "dry_run")))
		return;
	print_field("state", "%s%s%s%s", state, get_number(answer, "ended_ms") ? " since " : "",
		    get_number(answer, "ended_ms") ? table_time(ended, get_number(answer, "ended_ms")) : "",
		    json_is_true(json_object_get(answer, "back")) ? "; machines that have it go back" : "");
	if (get_text(answer, "why")[0])
		print_field("why", "%s", get_text(answer, "why"));
	print_field("began", "%s, by %s", table_time(began, get_number(answer, "began_ms")),
		    get_text(answer, "began_by"));
}

void ctl_print_rollout(const struct ctl *ctl, const json_t *answer)
{
	const json_t *boots = json_object_get(answer, "boots"), *rule = json_object_get(answer, "rule");

	(void)ctl;
	print_state(answer);
	print_steps(answer);
	print_left_out(answer);
	if (json_is_true(json_object_get(answer, "persistent")))
		print_field("disks", "what is on a persistent disk becomes a snapshot before");
	print_side("boots", get_text(answer, "rollout"), json_object_get(boots, "new"));
	print_side("", get_text(answer, "from"), json_object_get(boots, "old"));
	print_field("brake", "%s when the share falls by more than %lld %%, or they take twice as long",
		    !strcmp(get_text(rule, "brake"), "back") ? "stops, and puts machines back," : "stops",
		    (long long)get_number(rule, "drop"));
	print_machines(answer);
	print_hint(answer);
}

void ctl_print_try(const struct ctl *ctl, const json_t *answer)
{
	char at[TABLE_TEXT];

	(void)ctl;
	printf("new machines would get %s", get_text(answer, "new_machines_get"));
	if (get_number(answer, "at_ms"))
		printf(" from %s on", table_time(at, get_number(answer, "at_ms")));
	putchar('\n');
	print_machines(answer);
	print_hint(answer);
}

/* ---- commands ---- */

int run_image_rings(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("images", ctl->args[0], "rollout", NULL), NULL, ctl_print_rollout);
}

static void print_changed(const struct ctl *ctl, const json_t *answer)
{
	(void)ctl;
	printf("the rollout of %s is %s\n", get_text(answer, "rollout"), get_text(answer, "state"));
	if (json_is_true(json_object_get(answer, "back")))
		printf("machines that have it go back to %s at their next boot\n", get_text(answer, "from"));
	print_hint(answer);
}

static int change(const struct ctl *ctl, const char *verb)
{
	return client_show(ctl, "POST", client_path("images", ctl->args[0], "rollout", verb, NULL), NULL,
			   print_changed);
}

int run_rollout_stop(const struct ctl *ctl)
{
	return change(ctl, "stop");
}

int run_rollout_resume(const struct ctl *ctl)
{
	return change(ctl, "resume");
}

int run_rollout_undo(const struct ctl *ctl)
{
	return change(ctl, "undo");
}
