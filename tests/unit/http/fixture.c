// SPDX-License-Identifier: GPL-2.0-or-later
/* A running endpoint, and a raw client: see fixture.h. */
#include "fixture.h"

#include "base/log.h"
#include "base/util.h"
#include "cmocka_all.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_TIMEOUT_MS = 30000, FIXTURE_DESCRIPTORS = 4096 };

static void fake_facts(void *arg, struct http_facts *facts)
{
	static const struct dhcp_lease leases[] = {
		{ "52:54:00:00:01:01", "10.0.0.7", "pc-001", 5000 },
		{ "52:54:00:00:01:01", "10.0.0.8", "pc-001", 9000 },
		{ "02:00:00:00:00:09", "10.0.0.9", "", 0 },
	};

	(void)arg;
	*facts = (struct http_facts){ .version = "test", .started_ms = 1, .portal_count = 1 };
	parse_endpoint("127.0.0.1:3260", &facts->portals[0]);
	facts->dhcp = (struct dhcp_status){ .mode = DHCP_FULL,
					    .state = "up",
					    .pid = 7,
					    .restarts = 2,
					    .message = "it said \"so\"",
					    .interfaces = { "br0" },
					    .interface_count = 1,
					    .tftp = true,
					    .files[0].name = { "undionly.kpxe", "", "", "arm64-sb/snponly-shim.efi" },
					    .files[0].shim[3] = { "arm64-sb/snponly-shim.efi", "arm64-sb/snponly.efi",
								  .ca_2023 = true },
					    .sets = { "old" },
					    .set_count = 1,
					    .files[1].name = { "", "", "snponly.efi", "" },
					    .leases = malloc(sizeof(leases)),
					    .lease_count = array_len(leases) };
	memcpy(facts->dhcp.leases, leases, sizeof(leases));
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	if (!file)
		abort();
	fputs(text, file);
	fclose(file);
}

/* Both ends of a connection are ours, and sessions usually may have 1024 descriptors. */
static void room_for_descriptors(void)
{
	struct rlimit files;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_cur < FIXTURE_DESCRIPTORS)
		files.rlim_cur = files.rlim_max < FIXTURE_DESCRIPTORS ? files.rlim_max : FIXTURE_DESCRIPTORS;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
}

int fixture_start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct endpoint loopback;
	struct http_config config = { .boot_endpoints = &loopback, .boot_endpoint_count = 1, .facts = fake_facts };
	char path[128];
	struct reason reason = { "" };

	room_for_descriptors();
	snprintf(f->dir, sizeof(f->dir), "/tmp/unit-http.XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	log_init(LOG_LEVEL_ERROR, false);
	snprintf(path, sizeof(path), "%s/inventory.db", f->dir);
	if (inventory_open(path, &f->inventory, &reason)) {
		fprintf(stderr, "%s\n", reason.text);
		return -1;
	}
	snprintf(f->control, sizeof(f->control), "%s/control.sock", f->dir);
	snprintf(f->ipxe_dir, sizeof(f->ipxe_dir), "%s/ipxe", f->dir);
	mkdir(f->ipxe_dir, 0755);
	write_file(f->ipxe_dir, "undionly.kpxe", "BOOTFILE");
	write_file(f->dir, "secret.txt", "SECRET");
	snprintf(f->boot_files, sizeof(f->boot_files), "%s/boot-files", f->dir);
	mkdir(f->boot_files, 0755);
	write_file(f->boot_files, "kernel", "KERNEL");
	write_file(f->boot_files, ".hidden", "HIDDEN");
	snprintf(path, sizeof(path), "%s/deep", f->boot_files);
	mkdir(path, 0755);
	write_file(path, "boot.wim", "WIM");
	memset(&fake_boot, 0, sizeof(fake_boot));
	fake_boot.inventory = f->inventory;
	parse_endpoint("127.0.0.1:0", &loopback);
	config.inventory = f->inventory;
	config.control_path = f->control;
	config.ipxe_dir = f->ipxe_dir;
	config.sets[0] = (struct dhcp_boot_set){ "old", f->boot_files };
	config.set_count = 1;
	config.boot_files = f->boot_files;
	config.trusted_proxies.count = network_parse("127.0.0.2", &config.trusted_proxies.list[0]);
	if (http_start(&config, &f->http, &reason)) {
		fprintf(stderr, "%s\n", reason.text);
		return -1;
	}
	snprintf(f->address, sizeof(f->address), "%s", http_address(f->http));
	*state = f;
	return 0;
}

int fixture_stop(void **state)
{
	struct fixture *f = *state;
	char command[128];

	http_stop(f->http);
	fake_boot_answer_all();
	inventory_close(f->inventory);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	if (system(command))
		return -1;
	free(f);
	return 0;
}

/* ---- the client ---- */

int connect_to(struct fixture *fixture, enum via via)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct endpoint endpoint;
	int fd;

	if (via == VIA_CONTROL) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", fixture->control);
		return connect(fd, (struct sockaddr *)&un, sizeof(un)) ? -1 : fd;
	}
	if (!parse_endpoint(fixture->address, &endpoint))
		return -1;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (via == VIA_PROXY) {
		const struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };

		assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
	}
	return connect(fd, (struct sockaddr *)&endpoint.addr, endpoint.len) ? -1 : fd;
}

static void split(struct answer *answer, struct buf *got)
{
	char *end = got->data ? memmem(got->data, got->len, "\r\n\r\n", 4) : NULL;
	size_t head_len;

	if (!end || got->len < 12 || strncmp(got->data, "HTTP/1.", 7))
		return;
	answer->status = (unsigned)strtoul(got->data + 9, NULL, 10);
	head_len = (size_t)(end - got->data) + 2;
	answer->head = strndup(got->data, head_len);
	answer->body_len = got->len - head_len - 2;
	answer->body = malloc(answer->body_len + 1);
	memcpy(answer->body, end + 4, answer->body_len);
	answer->body[answer->body_len] = '\0';
}

struct answer send_raw(struct fixture *fixture, enum via via, const void *bytes, size_t len)
{
	struct answer answer = { 0 };
	uint64_t until = time_monotonic_ms() + ANSWER_TIMEOUT_MS;
	size_t sent = 0;
	struct buf got;
	int fd = connect_to(fixture, via);

	buf_init(&got, 16 << 20);
	while (fd >= 0 && time_monotonic_ms() < until) {
		struct pollfd p = { .fd = fd, .events = (short)(POLLIN | (sent < len ? POLLOUT : 0)) };
		char block[65536];
		ssize_t n;

		if (poll(&p, 1, 1000) < 0)
			break;
		if ((p.revents & POLLOUT) && sent < len) {
			n = send(fd, (const char *)bytes + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n > 0)
				sent += (size_t)n;
			else if (errno != EAGAIN)
				len = sent;
		}
		if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
			n = recv(fd, block, sizeof(block), MSG_DONTWAIT);
			if (n == 0 || (n < 0 && errno != EAGAIN))
				break;
			if (n > 0)
				buf_add(&got, block, (size_t)n);
		}
	}
	if (fd >= 0)
		close(fd);
	split(&answer, &got);
	buf_fini(&got);
	return answer;
}

struct answer ask(struct fixture *fixture, enum via via, const char *method, const char *path, const char *headers,
		  const char *body)
{
	struct answer answer;
	struct buf text;

	buf_init(&text, 8 << 20);
	buf_printf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s", method, path, fixture->address,
		   headers);
	if (body)
		buf_printf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
	buf_add_string(&text, "\r\n");
	if (body)
		buf_add_string(&text, body);
	answer = send_raw(fixture, via, text.data, text.len);
	buf_fini(&text);
	return answer;
}

void answer_free(struct answer *answer)
{
	free(answer->head);
	free(answer->body);
	*answer = (struct answer){ 0 };
}

char *answer_header(const struct answer *answer, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = answer->head; line && *line;) {
		const char *end = strstr(line, "\r\n");

		if (!end)
			break;
		if (!strncasecmp(line, name, len) && line[len] == ':')
			return strndup(line + len + 2, (size_t)(end - line) - len - 2);
		line = end + 2;
	}
	return NULL;
}

json_t *answer_json(const struct answer *answer)
{
	return answer->body ? json_loads(answer->body, 0, NULL) : NULL;
}

int inventory_do(struct fixture *fixture, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	return inventory_write_call(fixture->inventory, run, arg);
}

/* An image, two machines (the first one runs), three that wait. */
static int fill(struct inventory_tx *tx, void *arg)
{
	struct image_version version = {
		.number = 1, .state = VERSION_PUBLISHED, .size_bytes = 8 << 20, .created_ms = 1
	};
	struct waiting waiting = { .reason = WAIT_APPROVAL, .first_ms = time_unix_ms(), .seen_ms = time_unix_ms() };
	int err;

	(void)arg;
	strcpy(version.image, "debian");
	strcpy(version.file, "debian@1.raw");
	strcpy(version.format, "raw");
	strcpy(version.warnings, "no UEFI default loader");
	err = version_insert(tx, &version);
	for (int i = 1; i <= 2 && !err; i++) {
		struct machine machine = { .created_ms = 1,
					   .system = { .version_id = version.id, .backend = "files" } };
		struct machine_boot boot = { .issued_ms = 5 };
		char mac[PARSE_MAC_TEXT];

		snprintf(machine.name, sizeof(machine.name), "pc-%03d", i);
		snprintf(machine.iqn, sizeof(machine.iqn), "iqn.2026-11.test:sanbootd:m%d", i);
		snprintf(machine.system.object, sizeof(machine.system.object), "child%d", i);
		snprintf(mac, sizeof(mac), "52:54:00:00:01:%02x", i);
		err = machine_insert(tx, &machine, mac);
		boot.machine_id = machine.id;
		strcpy(boot.mac, mac);
		strcpy(boot.secret, "topsecrettopsecret");
		if (!err)
			err = machine_boot_issue(tx, &boot);
		if (!err)
			err = event_add(tx, "info", "enrolled", "machine", machine.id, machine.name, "%s enrolled",
					machine.name);
	}
	for (int i = 1; i <= 3 && !err; i++) {
		waiting.reason = i == 3 ? WAIT_CONFLICT : WAIT_APPROVAL;
		waiting.machine_id = i == 3 ? 1 : 0;
		snprintf(waiting.mac, sizeof(waiting.mac), "52:54:00:00:02:%02x", i);
		err = waiting_put(tx, &waiting, 64);
	}
	return err;
}

int fixture_start_filled(void **state)
{
	int err = fixture_start(state);

	if (err)
		return err;
	fake_boot.running = 1;
	return inventory_do(*state, fill, NULL);
}

json_t *api_get(struct fixture *f, const char *path)
{
	struct answer answer = ask(f, VIA_CONTROL, "GET", path, "", NULL);
	json_t *json = answer_json(&answer);

	assert_int_equal(answer.status, 200);
	assert_non_null(json);
	answer_free(&answer);
	return json;
}

/* A request that changes something: its status. */
unsigned api_change(struct fixture *f, const char *method, const char *path, const char *body)
{
	struct answer answer = ask(f, VIA_CONTROL, method, path, "", body);
	json_t *json = answer_json(&answer);
	unsigned status = answer.status;

	assert_non_null(json);
	if (status >= 400)
		assert_non_null(json_string_value(json_object_get(json, "error")));
	json_decref(json);
	answer_free(&answer);
	return status;
}

const char *text_of(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}
