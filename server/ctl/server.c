// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl status, policy, password. */
#include "base/util.h"
#include "ctl/client.h"
#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { LEASES_SHOWN = 10 };

static void print_space(const json_t *space)
{
	char images[TABLE_TEXT], children[TABLE_TEXT], free_text[TABLE_TEXT], total[TABLE_TEXT];

	print_field("golden images", "%s", table_bytes(images, get_number(space, "images_bytes")));
	print_field("machines' own", "%s", table_bytes(children, get_number(space, "children_bytes")));
	print_field("free", "%s of %s", table_bytes(free_text, get_number(space, "free_bytes")),
		    table_bytes(total, get_number(space, "total_bytes")));
}

/* "12 system, 3 data (4.0 GiB)": how many of each kind, and what they take beyond their images. */
static void print_volumes(const json_t *volumes, const json_t *snapshots, const json_t *sharing)
{
	char line[256] = "", saved[TABLE_TEXT], full[TABLE_TEXT];
	const char *kind;
	json_t *use;
	size_t len = 0;

	json_object_foreach((json_t *)(uintptr_t)volumes, kind, use) {
		char bytes[TABLE_TEXT];
		long long count = get_number(use, "count");

		if (count && len < sizeof(line))
			len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%lld %s%s%s%s", len ? ", " : "",
						count, kind, get_number(use, "bytes") ? " (" : "",
						get_number(use, "bytes") ?
							table_bytes(bytes, get_number(use, "bytes")) :
							"",
						get_number(use, "bytes") ? ")" : "");
	}
	if (len)
		print_field("volumes", "%s", line);
	if (get_number(snapshots, "count"))
		print_field("snapshots", "%lld, %s", (long long)get_number(snapshots, "count"),
			    table_bytes(saved, get_number(snapshots, "bytes")));
	if (get_number(sharing, "saved_bytes"))
		print_field("saved", "%s of the %s that a full copy for each would take (%lld %%)",
			    table_bytes(saved, get_number(sharing, "saved_bytes")),
			    table_bytes(full, get_number(sharing, "full_copies_bytes")),
			    (long long)get_number(sharing, "saved_percent"));
}

/* Addresses that were given to hosts that are not enrolled: some of them by name. */
static void print_leases(const json_t *leases)
{
	unsigned others = 0;
	json_t *lease;
	size_t i;

	json_array_foreach(leases, i, lease)
		others += !json_is_string(json_object_get(lease, "machine"));
	if (!json_array_size(leases))
		return;
	print_field("leases", "%u of machines, %u of others", (unsigned)json_array_size(leases) - others, others);
	others = 0;
	json_array_foreach(leases, i, lease) {
		const char *name = get_text(lease, "name");

		if (json_is_string(json_object_get(lease, "machine")))
			continue;
		if (others++ == LEASES_SHOWN) {
			print_field("", "... and more: sanbootctl --json status");
			break;
		}
		print_field("", "%s %s%s%s", get_text(lease, "address"), get_text(lease, "mac"), name[0] ? " " : "",
			    name);
	}
}

/* What machines are told to load, and what Secure Boot needs there. */
static void print_boot_files(const json_t *dhcp)
{
	const char *name = "boot files";
	json_t *file;
	size_t i;

	json_array_foreach(json_object_get(dhcp, "boot_files"), i, file) {
		const char *secure_boot = get_text(file, "secure_boot"), *set = get_text(file, "set");

		print_field(name, "%s%s%s: %s%s%s", get_text(file, "machines"), set[0] ? " of the set " : "", set,
			    get_text(file, "file"), secure_boot[0] ? "; Secure Boot " : "", secure_boot);
		name = "";
	}
	json_array_foreach(json_object_get(dhcp, "missing_boot_files"), i, file) {
		print_field(name, "%s: none (%s)", get_text(file, "machines"), get_text(file, "source"));
		name = "";
	}
}

/* A file of the site's that was refused. */
static void print_problem(const char *name, const json_t *problem)
{
	char line[24] = "";

	if (get_number(problem, "line"))
		snprintf(line, sizeof(line), ":%lld", (long long)get_number(problem, "line"));
	print_field(name, "%s%s: %s", get_text(problem, "file"), line, get_text(problem, "reason"));
}

static void print_status(const struct ctl *ctl, const json_t *status)
{
	const json_t *machines = json_object_get(status, "machines"), *images = json_object_get(status, "images"),
		     *dhcp = json_object_get(status, "dhcp");
	const char *image = get_text(images, "default");
	long long uptime = get_number(status, "uptime_s");
	json_t *portal;
	size_t i;

	(void)ctl;
	print_field("sanbootd", "%s, up %lld d %lld h %lld min", get_text(status, "version"), uptime / 86400,
		    uptime / 3600 % 24, uptime / 60 % 60);
	print_field("http", "%s", get_text(status, "http"));
	json_array_foreach(json_object_get(status, "portals"), i, portal)
		print_field(i ? "" : "iscsi", "%s", json_string_value(portal));
	print_field("dhcp", "%s%s%s", get_text(dhcp, "mode"), get_text(dhcp, "state")[0] ? ", " : "",
		    get_text(dhcp, "state"));
	/* dnsmasq's own words, where it does not run though it should. */
	if (!strcmp(get_text(dhcp, "state"), "backing-off"))
		print_field("", "%s", get_text(dhcp, "message"));
	print_boot_files(dhcp);
	print_leases(json_object_get(dhcp, "leases"));
	print_field("machines", "%lld: %lld running, %lld off, %lld failed", (long long)get_number(machines, "total"),
		    (long long)get_number(machines, "running"), (long long)get_number(machines, "off"),
		    (long long)get_number(machines, "failed"));
	print_field("waiting", "%lld", (long long)get_number(status, "waiting"));
	print_field("new machines", "%s%s%s", get_text(status, "enrol"), image[0] ? ", from " : ", no image yet",
		    image);
	print_volumes(json_object_get(status, "volumes"), json_object_get(status, "snapshots"),
		      json_object_get(status, "sharing"));
	print_space(json_object_get(status, "space"));
	json_array_foreach(json_object_get(status, "entries"), i, portal)
		print_field(i ? "" : "entries", "%s: %s", get_text(portal, "name"), get_text(portal, "title"));
	json_array_foreach(json_object_get(status, "templates"), i, portal)
		print_field(i ? "" : "own scripts", "%s", json_string_value(portal));
	json_array_foreach(json_object_get(status, "problems"), i, portal)
		print_problem(i ? "" : "not used", portal);
	json_array_foreach(json_object_get(status, "warnings"), i, portal)
		print_field("warning", "%s", json_string_value(portal));
	if (!image[0])
		puts("\nmake a golden image with: sanbootctl image build debian --name debian");
}

int run_status(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("status", NULL), NULL, print_status);
}

/* ---- policy ---- */

/* Behind the rules, one of which was set just now. */
static void print_retention_next(const json_t *next)
{
	char bytes[TABLE_TEXT], at[TABLE_TEXT];
	long long due = get_number(next, "due");

	printf("\n%lld thing%s (%s) go%s by these rules after %s: sanbootctl retention show lists %s; until then a rule "
	       "can be taken back\n",
	       due, due == 1 ? "" : "s", table_bytes(bytes, get_number(next, "due_bytes")), due == 1 ? "es" : "",
	       table_time(at, get_number(next, "not_before_ms")), due == 1 ? "it" : "them");
}

static void print_policy(const struct ctl *ctl, const json_t *policy)
{
	const char *key;
	json_t *value;

	(void)ctl;
	json_object_foreach((json_t *)(uintptr_t)policy, key, value) {
		if (json_is_object(value))
			print_retention_next(value);
		else if (json_is_integer(value))
			printf("%s=%lld\n", key, (long long)json_integer_value(value));
		else
			printf("%s=%s\n", key, json_string_value(value) ? json_string_value(value) : "");
	}
}

int run_policy_show(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("policy", NULL), NULL, print_policy);
}

int run_policy_set(const struct ctl *ctl)
{
	json_t *body = client_assignments(ctl, 0);

	return body ? client_show(ctl, "PATCH", client_path("policy", NULL), body, print_policy) : EXIT_USAGE;
}

/* ---- access ---- */

/* A line of standard input, not shown on a terminal. */
static bool read_secret(const char *prompt, char *out, size_t out_size)
{
	bool terminal = isatty(STDIN_FILENO);
	struct termios shown, hidden;
	bool got;

	if (terminal) {
		fprintf(stderr, "%s: ", prompt);
		terminal = !tcgetattr(STDIN_FILENO, &shown);
		hidden = shown;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	}
	got = fgets(out, (int)out_size, stdin);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
		fputc('\n', stderr);
	}
	if (got)
		out[strcspn(out, "\r\n")] = '\0';
	return got;
}

int run_password(const struct ctl *ctl)
{
	char password[300], again[300];
	json_t *body;

	if (!read_secret("New administrator password", password, sizeof(password)))
		return ctl_fail("type it, or send it on standard input", "no password was given");
	if (isatty(STDIN_FILENO) && (!read_secret("Once more", again, sizeof(again)) || strcmp(password, again)))
		return ctl_fail("", "the two are not the same; nothing was changed");
	body = json_pack("{s:s}", "password", password);
	explicit_bzero(password, sizeof(password));
	explicit_bzero(again, sizeof(again));
	return client_act(ctl, "POST", client_path("password", NULL), body,
			  "set; the pages ask for it, and all earlier logins ended");
}
