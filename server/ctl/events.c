// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl events. */
#include "ctl/client.h"
#include "ctl/table.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EVENTS_DEFAULT = 50, RETRIES_MAX = 60 };

struct follower {
	const struct ctl *ctl;
	int64_t last_id;
	int64_t machine_id; /* 0: all */
};

static void print_event(const struct ctl *ctl, const json_t *event)
{
	char at[TABLE_TEXT], object[128], kind[64], text[2048];
	const char *level = get_text(event, "level");

	if (ctl->json) {
		json_dumpf(event, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	printf("%s  %-7s  %-14s  %-15s  %s\n", table_time(at, get_number(event, "at_ms")), level,
	       printable(kind, sizeof(kind), get_text(event, "kind")),
	       printable(object, sizeof(object), get_text(event, "object")),
	       printable(text, sizeof(text), get_text(event, "text")));
}

static void take_event(void *arg, json_t *event)
{
	struct follower *follower = arg;

	follower->last_id = get_number(event, "id");
	if (follower->machine_id && get_number(event, "machine_id") != follower->machine_id)
		return;
	print_event(follower->ctl, event);
	fflush(stdout);
}

/* Until interrupted; a restart of sanbootd is waited for, a while. */
static int follow(struct follower *follower)
{
	unsigned retries = 0;

	for (;;) {
		char path[96];
		bool opened;

		snprintf(path, sizeof(path), "/api/v1/events?after=%lld", (long long)follower->last_id);
		opened = client_follow(follower->ctl, path, retries > 0 && retries < RETRIES_MAX, take_event, follower);
		if (!opened && (!retries || retries >= RETRIES_MAX))
			return EXIT_REFUSED;
		retries = opened ? 1 : retries + 1;
		sleep(1);
	}
}

/* The number of --machine, so that its events can be told in the stream; 0 and said where there is none. */
static int64_t find_machine(const struct ctl *ctl)
{
	char *path = client_path("machines", ctl->options[OPTION_MACHINE], NULL);
	json_t *machine = NULL;
	int64_t id = 0;

	if (path && client_call(ctl, "GET", path, NULL, &machine))
		id = get_number(machine, "id");
	json_decref(machine);
	free(path);
	return id;
}

/* Prints what has happened; the id of the last in *last_id. */
static int list_events(const struct ctl *ctl, bool lines, int64_t *last_id)
{
	const unsigned max = ctl->numbers[OPTION_MAX];
	const char *machine = ctl->options[OPTION_MACHINE];
	char *escaped = machine ? curl_easy_escape(NULL, machine, 0) : NULL;
	json_t *answer, *event;
	char path[512];
	size_t i;

	snprintf(path, sizeof(path), "/api/v1/events?max=%u%s%s", max ? max : EVENTS_DEFAULT,
		 escaped ? "&machine=" : "", escaped ? escaped : "");
	curl_free(escaped);
	if (!client_call(ctl, "GET", path, NULL, &answer))
		return EXIT_REFUSED;
	if (ctl->json && !lines)
		client_print(answer);
	json_array_foreach(json_object_get(answer, "events"), i, event) {
		if (!ctl->json || lines)
			print_event(ctl, event);
		*last_id = get_number(event, "id");
	}
	json_decref(answer);
	fflush(stdout);
	return EXIT_DONE;
}

int run_events(const struct ctl *ctl)
{
	bool following = ctl->options[OPTION_FOLLOW] != NULL;
	struct follower follower = { .ctl = ctl };
	int code;

	if (following && ctl->options[OPTION_MACHINE]) {
		follower.machine_id = find_machine(ctl);
		if (!follower.machine_id)
			return EXIT_REFUSED;
	}
	code = list_events(ctl, following, &follower.last_id);
	return code == EXIT_DONE && following ? follow(&follower) : code;
}
