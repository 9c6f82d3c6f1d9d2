// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sanbootd: builds the parts, hands them to each other, runs until a signal, tears down in reverse.
 *
 * Threads: this one only waits for signals. I/O loops ("io-N") own connections and targets; the "control" loop
 * sequences boots and supervises dnsmasq; workers, the inventory's threads and HTTP's are made by their modules.
 */
#include "base/fd_table.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/util.h"
#include "boot/boot.h"
#include "config.h"
#include "dhcp/dhcp.h"
#include "dhcp/status.h"
#include "disk/disk.h"
#include "http/http.h"
#include "inventory/inventory.h"
#include "iscsi/server.h"
#include "provider.h"
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { DRAIN_MS = 5000 };

struct daemon {
	struct config config;
	struct dhcp_boot_set sets[DHCP_SETS_MAX]; /* as config names them */
	char set_names[DHCP_SETS_MAX][DHCP_SET_TEXT], set_list[DHCP_SETS_MAX * (DHCP_SET_TEXT + 2)];
	struct loop **loops; /* I/O loops */
	unsigned loop_count;
	struct loop *control;
	struct pool *pool;
	struct disk_env *disk_env;
	struct store *store;
	struct inventory *inventory;
	struct boot *boot;
	struct provider provider;
	struct http *http;
	struct dhcp *_Atomic dhcp;
	int64_t started_ms;
	struct reason reason; /* why the start failed */
};

/* ---- the parts, in the order in which they are built; each returns 0 or has set reason ---- */

static int fail(struct daemon *d, const char *what, int err)
{
	return reason_refuse(&d->reason, err, "%s: %s", what, strerror(-err));
}

static int make_directory(struct daemon *d, const char *path, mode_t mode)
{
	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return 0;
	return reason_refuse(
		&d->reason, -errno,
		"cannot make the directory %s: %s; make it, or name another with --state-dir and --runtime-dir", path,
		strerror(errno));
}

static int start_loop(struct daemon *d, unsigned index, const char *name, struct loop **loop)
{
	int err;

	*loop = loop_new(index);
	err = *loop ? loop_start(*loop, name) : -ENOMEM;
	return err ? fail(d, "cannot start an I/O loop", err) : 0;
}

static int start_threads(struct daemon *d)
{
	/*
	 * Reads and writes may wait for a disk, so there are more of them than cores; an opening disk waits in slow,
	 * beside imports.
	 */
	static const unsigned workers[POOL_CLASSES] = {
		[POOL_READ] = 16, [POOL_WRITE] = 8, [POOL_SYNC] = DISK_SYNC_WORKERS, [POOL_SLOW] = 16
	};
	char name[16];
	int err;

	d->loops = calloc(d->config.threads, sizeof(struct loop *));
	if (!d->loops)
		return fail(d, "cannot start", -ENOMEM);
	for (; d->loop_count < d->config.threads; d->loop_count++) {
		snprintf(name, sizeof(name), "io-%u", d->loop_count);
		err = start_loop(d, d->loop_count, name, &d->loops[d->loop_count]);
		if (err)
			return err;
	}
	err = start_loop(d, d->loop_count, "control", &d->control);
	if (err)
		return err;
	err = pool_new(workers, &d->pool);
	if (err)
		return fail(d, "cannot start the workers", err);
	err = disk_env_new(d->pool, d->loops, d->loop_count, &d->disk_env);
	if (!err)
		err = disk_env_set_cache(d->disk_env, d->config.cache_bytes);
	return err ? fail(d, "cannot prepare the disks", err) : 0;
}

/* After each commit; the inventory's thread. */
static void on_inventory_change(void *arg)
{
	struct daemon *d = arg;
	struct dhcp *dhcp = atomic_load(&d->dhcp);

	if (dhcp)
		dhcp_refresh(dhcp);
}

static int start_inventory(struct daemon *d)
{
	int err = store_open(d->config.state_dir, d->pool, &d->store, &d->reason);

	if (err)
		return err;
	err = inventory_open(store_inventory_path(d->store), &d->inventory, &d->reason);
	if (err)
		return err;
	inventory_on_change(d->inventory, on_inventory_change, d);
	return store_attach(d->store, d->inventory, &d->reason);
}

/* Texts of the configuration that are several things; it stays as it is until the end. */
static void split_boot_sets(struct daemon *d)
{
	size_t len = 0;

	for (unsigned i = 0; i < d->config.boot_file_set_count; i++) {
		dhcp_boot_set_parse(d->config.boot_file_sets[i], d->set_names[i], &d->sets[i].directory);
		d->sets[i].name = d->set_names[i];
		len += (size_t)snprintf(d->set_list + len, sizeof(d->set_list) - len, "%s%s", i ? ", " : "",
					d->set_names[i]);
	}
}

static int start_targets(struct daemon *d)
{
	struct boot_config boot = {
		.inventory = d->inventory,
		.store = d->store,
		.disk_env = d->disk_env,
		.pool = d->pool,
		.loop = d->control,
		.iqn_prefix = d->config.iqn_prefix,
		.advertise = d->config.advertise[0] ? d->config.advertise : NULL,
		.ipxe_scripts = d->config.ipxe_scripts,
		.entries = d->config.entries,
		.templates = d->config.templates,
		.boot_file_sets = d->set_list,
	};
	struct iscsi_server_config iscsi = {
		.loops = d->loops,
		.loop_count = d->loop_count,
		.endpoints = d->config.iscsi.list,
		.endpoint_count = d->config.iscsi.count,
		.provider = &d->provider.iscsi,
		.advertise = boot.advertise,
	};
	struct endpoint bound[CONFIG_ENDPOINTS_MAX];
	int err = boot_new(&boot, &d->boot);

	if (err)
		return d->reason.text[0] ? err : fail(d, "cannot prepare the boot scripts", err);
	provider_init(&d->provider);
	d->provider.boot = d->boot;
	d->provider.inventory = d->inventory;
	err = iscsi_server_start(&iscsi, &d->provider.server, &d->reason);
	if (err)
		return err;
	boot_set_portals(d->boot, bound, iscsi_server_endpoints(d->provider.server, bound, CONFIG_ENDPOINTS_MAX));
	boot_set_runtime(d->boot, &d->provider.runtime, endpoint_port(&bound[0]));
	return 0;
}

/* For the API; HTTP's threads. */
static void get_facts(void *arg, struct http_facts *facts)
{
	struct daemon *d = arg;
	struct dhcp *dhcp = atomic_load(&d->dhcp);

	*facts = (struct http_facts){ .version = SANBOOTD_VERSION, .started_ms = d->started_ms };
	facts->portal_count = iscsi_server_endpoints(d->provider.server, facts->portals, HTTP_PORTALS_MAX);
	if (dhcp)
		dhcp_get_status(dhcp, &facts->dhcp);
}

static void lend_folders(const struct config_folders *from, struct http_folders *to)
{
	for (to->count = 0; to->count < from->count; to->count++)
		to->list[to->count] = from->list[to->count];
}

static void lend_proxies(const struct config_networks *from, struct http_proxies *to)
{
	for (to->count = 0; to->count < from->count; to->count++)
		to->list[to->count] = from->list[to->count];
}

static int start_http(struct daemon *d)
{
	char control[CONFIG_PATH_MAX + 16];
	struct http_config http = {
		.boot = d->boot,
		.inventory = d->inventory,
		.store = d->store,
		.disk_env = d->disk_env,
		.boot_endpoints = d->config.http.list,
		.boot_endpoint_count = d->config.http.count,
		.web_endpoints = d->config.web.list,
		.web_endpoint_count = d->config.web.count,
		.control_path = control,
		.ipxe_dir = d->config.ipxe_dir,
		.set_count = d->config.boot_file_set_count,
		.boot_files = d->config.boot_files,
		.facts = get_facts,
		.facts_arg = d,
	};

	lend_folders(&d->config.import_dirs, &http.import_dirs);
	lend_folders(&d->config.export_dirs, &http.export_dirs);
	lend_proxies(&d->config.trusted_proxies, &http.trusted_proxies);
	memcpy(http.sets, d->sets, sizeof(http.sets));
	snprintf(control, sizeof(control), "%s/control.sock", d->config.runtime_dir);
	return http_start(&http, &d->http, &d->reason);
}

static int first_script(void *arg, const char *base_url, struct buf *script)
{
	struct daemon *d = arg;

	return boot_first_script(d->boot, base_url, script);
}

/* On the control loop. */
static void dhcp_seen(void *arg, const struct dhcp_seen *seen)
{
	struct daemon *d = arg;
	bool file = seen->kind == DHCP_SEEN_FILE;

	boot_seen_dhcp(d->boot, seen->mac, file ? STAGE_BOOT_FILE : STAGE_DHCP, file ? seen->file : seen->address,
		       seen->at_ms);
}

/*
 * DHCP's loop: the server has another address. What has to follow is the main thread's, which waits for signals; this one is
 * blocked everywhere.
 */
static void addresses_moved(void *arg)
{
	(void)arg;
	kill(getpid(), SIGUSR1);
}

/* What the configuration says of DHCP; its texts are borrowed. */
static void fill_dhcp_config(struct daemon *d, const struct config *from, struct dhcp_config *dhcp_config)
{
	struct endpoint http;

	*dhcp_config = (struct dhcp_config){
		.mode = from->dhcp.mode,
		.interface_count = from->dhcp.interface_count,
		.range_count = from->dhcp.range_count,
		.option_count = from->dhcp.option_count,
		.force = from->dhcp.force,
		.ipxe_dir = d->config.ipxe_dir,
		.state_dir = d->config.state_dir,
		.runtime_dir = d->config.runtime_dir,
		.advertise = d->config.advertise[0] ? d->config.advertise : NULL,
		.first_script = first_script,
		.first_script_arg = d,
		.seen = dhcp_seen,
		.seen_arg = d,
		.moved = addresses_moved,
		.inventory = d->inventory,
		.loop = d->control,
	};
	dhcp_config->set_count = d->config.boot_file_set_count;
	memcpy(dhcp_config->sets, d->sets, sizeof(dhcp_config->sets));
	for (unsigned i = 0; i < from->dhcp.interface_count; i++)
		dhcp_config->interfaces[i] = from->dhcp.interfaces[i];
	for (unsigned i = 0; i < from->dhcp.range_count; i++)
		dhcp_config->ranges[i] = from->dhcp.ranges[i];
	for (unsigned i = 0; i < from->dhcp.option_count; i++)
		dhcp_config->options[i] =
			(struct dhcp_option){ from->dhcp.options[i].kind, from->dhcp.options[i].text };
	if (parse_endpoint(http_address(d->http), &http))
		dhcp_config->http_port = endpoint_port(&http);
}

/* Also with --dhcp off: SIGHUP may switch it on, and with interfaces it serves TFTP. */
static int start_dhcp(struct daemon *d)
{
	struct dhcp *dhcp = NULL;
	struct dhcp_config dhcp_config;
	int err;

	fill_dhcp_config(d, &d->config, &dhcp_config);
	err = dhcp_start(&dhcp_config, &dhcp, &d->reason);
	if (!err)
		atomic_store(&d->dhcp, dhcp);
	return err;
}

static int start(struct daemon *d)
{
	int err = make_directory(d, d->config.state_dir, 0750);

	split_boot_sets(d);
	d->started_ms = time_unix_ms();
	if (!err)
		err = make_directory(d, d->config.runtime_dir, 0755);
	if (!err)
		err = start_threads(d);
	if (!err)
		err = start_inventory(d);
	if (!err)
		err = start_targets(d);
	if (!err)
		err = start_http(d);
	if (!err)
		err = start_dhcp(d);
	return err;
}

/* ---- tearing down: whatever has been built, in reverse ---- */

static void post_semaphore(void *arg)
{
	sem_post(arg);
}

static void stop_targets(struct daemon *d)
{
	sem_t stopped;

	if (!d->provider.server)
		return;
	boot_stopping(d->boot);
	sem_init(&stopped, 0, 0);
	iscsi_server_stop(d->provider.server, DRAIN_MS, post_semaphore, &stopped);
	while (sem_wait(&stopped) && errno == EINTR)
		;
	sem_destroy(&stopped);
	iscsi_server_free(d->provider.server);
}

static void stop(struct daemon *d)
{
	struct dhcp *dhcp = atomic_exchange(&d->dhcp, NULL);

	if (d->http)
		http_stop(d->http);
	if (dhcp)
		dhcp_stop(dhcp);
	stop_targets(d);
	if (d->store)
		store_stop_jobs(d->store);
	if (d->boot)
		boot_free(d->boot);
	/* An import in progress writes to the inventory; and only the store's lock keeps another server away from that. */
	if (d->store)
		store_stop(d->store);
	if (d->inventory)
		inventory_close(d->inventory);
	if (d->store)
		store_close(d->store);
	pool_free(d->pool);
	if (d->control)
		loop_stop(d->control);
	for (unsigned i = 0; i < d->loop_count; i++)
		loop_stop(d->loops[i]);
	loop_free(d->control);
	for (unsigned i = 0; i < d->loop_count; i++)
		loop_free(d->loops[i]);
	/* Messages of the disks may have been in the loops' mailboxes until now. */
	if (d->disk_env)
		disk_env_free(d->disk_env);
	free(d->loops);
}

/* ---- running ---- */

static void say_ready(struct daemon *d)
{
	struct endpoint bound;
	char iscsi[PARSE_ENDPOINT_TEXT];
	const char *setup = http_setup_url(d->http);

	iscsi_server_endpoints(d->provider.server, &bound, 1);
	endpoint_format(&bound, iscsi);
	printf("ready http=%s iscsi=%s control=%s/control.sock\n", http_address(d->http), iscsi, d->config.runtime_dir);
	fflush(stdout);
	sd_notifyf(0, "READY=1\nSTATUS=http %s, iscsi %s", http_address(d->http), iscsi);
	if (setup[0])
		log_info("first login: %s", setup);
}

/* Takes what the new configuration says of DHCP over into the one in force, or leaves both as they are. */
static void reload_dhcp(struct daemon *d, const struct config *fresh)
{
	struct dhcp_config dhcp_config;
	struct reason reason;

	fill_dhcp_config(d, fresh, &dhcp_config);
	if (dhcp_reload(d->dhcp, &dhcp_config, &reason)) {
		log_error("DHCP goes on as it was: %s", reason.text);
		return;
	}
	d->config.dhcp = fresh->dhcp;
}

/* SIGHUP: what can change without disturbing a session does; for the rest a restart is asked for. */
static void reload(struct daemon *d, int argc, char *const argv[])
{
	struct config *fresh = malloc(sizeof(*fresh));
	struct reason reason;
	struct buf names;

	if (!fresh)
		return;
	if (config_load(argc, argv, fresh, &reason) != CONFIG_RUN) {
		log_error("the configuration was not read again: %s", reason.text);
		free(fresh);
		return;
	}
	log_set_level(fresh->log_level);
	d->config.log_level = fresh->log_level;
	reload_dhcp(d, fresh);
	boot_reload(d->boot);
	buf_init(&names, 1024);
	if (config_needs_restart(&d->config, fresh, &names))
		log_warning("configuration read again; changes of %s need a restart, which running machines ride out",
			    buf_text(&names));
	else
		log_info("configuration read again");
	buf_fini(&names);
	free(fresh);
}

/* The same configuration, for addresses that the server has now. */
static void follow_addresses(struct daemon *d)
{
	struct dhcp_config dhcp_config;
	struct reason reason;

	fill_dhcp_config(d, &d->config, &dhcp_config);
	if (dhcp_reload(d->dhcp, &dhcp_config, &reason))
		inventory_event(
			d->inventory, "error", "address-changed", "server", 0, "",
			"the server has another address, and DHCP goes on as it was: %s. Change the configuration, "
			"then systemctl reload sanbootd",
			reason.text);
	else
		inventory_event(d->inventory, "info", "address-changed", "server", 0, "",
				"the server has another address; DHCP and boot files name it from now on");
}

static void run(struct daemon *d, const sigset_t *signals, int argc, char *const argv[])
{
	int caught;

	say_ready(d);
	while (sigwait(signals, &caught) == 0) {
		if (caught == SIGHUP) {
			sd_notify(0, "RELOADING=1");
			reload(d, argc, argv);
			sd_notify(0, "READY=1");
			continue;
		}
		if (caught == SIGUSR1) {
			follow_addresses(d);
			continue;
		}
		log_info("stopping: %s", strsignal(caught));
		break;
	}
	sd_notify(0, "STOPPING=1");
}

static int print_help(void)
{
	struct buf text;

	buf_init(&text, 1 << 16);
	config_help(&text);
	fputs(buf_text(&text), stdout);
	buf_fini(&text);
	return 0;
}

int main(int argc, char *argv[])
{
	struct daemon *d = calloc(1, sizeof(*d));
	sigset_t signals;
	int err;

	if (!d)
		return 1;
	switch (config_load(argc, argv, &d->config, &d->reason)) {
	case CONFIG_HELP:
		free(d);
		return print_help();
	case CONFIG_VERSION:
		printf("sanbootd %s\n", SANBOOTD_VERSION);
		free(d);
		return 0;
	case CONFIG_BAD:
		fprintf(stderr, "sanbootd: %s\n", d->reason.text);
		free(d);
		return 2;
	case CONFIG_RUN:
		break;
	}
	log_init(d->config.log_level, getenv("JOURNAL_STREAM") != NULL);
	umask(0027);
	/* Before any thread exists, so that all of them leave these signals to this one. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1); /* addresses_moved */
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd_table_prepare();
	err = start(d);
	if (err)
		log_error("%s", d->reason.text);
	else
		run(d, &signals, argc, argv);
	stop(d);
	free(d);
	return err ? 1 : 0;
}
