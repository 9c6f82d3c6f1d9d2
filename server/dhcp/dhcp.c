// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DHCP by dnsmasq: prepares its files, starts it, keeps its host file in step with the inventory.
 *
 * Threads: dhcp_start and dhcp_stop run on the main thread and wait for the loop; the supervisor and `status` live on the
 * loop; the host file is written by one inventory job at a time (`refreshing`, `again`: under the mutex).
 */
#include "dhcp/dhcp.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"
#include "dhcp/dnsmasq_config.h"
#include "dhcp/network.h"
#include "dhcp/supervisor.h"
#include "inventory/inventory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DISCOVER_MS = 2500, READY_MS = 5000, PATH_BYTES = 1024, TEXT_MAX_BYTES = 4 << 20, FIRST_DELAY_MS = 500, LONGEST_DELAY_MS = 30000 };

struct dhcp {
	struct dhcp_config config;
	struct dhcp_network networks[DHCP_INTERFACES_MAX];
	struct supervisor *supervisor; /* the loop's */
	char hosts_path[PATH_BYTES];
	struct buf hosts; /* what was written last; the job's */
	struct inventory_job job;
	struct loop_msg hangup; /* to the loop: the host file has changed */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t wake;
	enum supervisor_state state;
	char line[512]; /* dnsmasq's last words */
	unsigned restarts;
	int pid;
	bool refreshing, again, hanging_up, stopping, freed;
};

/* ---- files ---- */

static int write_file(const char *path, const struct buf *text, char *reason, size_t reason_size)
{
	char temporary[PATH_BYTES + 8];
	int fd, err = 0;

	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, buf_text(text), text->len) != (ssize_t)text->len || fchmod(fd, 0644) || rename(temporary, path)) {
		err = errno ? -errno : -EIO;
		snprintf(reason, reason_size, "cannot write %s: %s", path, strerror(-err));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

static int make_directory(const char *path, char *reason, size_t reason_size)
{
	if ((mkdir(path, 0755) && errno != EEXIST) || chmod(path, 0755)) {
		snprintf(reason, reason_size, "cannot make %s: %s", path, strerror(errno));
		return -errno;
	}
	return 0;
}

/* The TFTP folder of one interface: links to the boot files, and boot.ipxe with this interface's address. */
static int make_tftp_root(struct dhcp *d, const struct dhcp_network *network, char *reason, size_t reason_size)
{
	char root[PATH_BYTES], path[PATH_BYTES + 64], target[PATH_BYTES], url[512], address[INET_ADDRSTRLEN];
	struct buf script;
	int err;

	snprintf(root, sizeof(root), "%s/tftp/%s", d->config.runtime_dir, network->name);
	err = make_directory(root, reason, reason_size);
	for (const struct dnsmasq_boot_file *file = dnsmasq_boot_files; !err && file->tag; file++) {
		snprintf(target, sizeof(target), "%s/%s", d->config.ipxe_dir, file->file);
		snprintf(path, sizeof(path), "%s/%s", root, file->file);
		if (access(target, R_OK)) {
			snprintf(reason, reason_size, "the boot file %s is missing; apt install %s, or name another folder with --ipxe-dir", target,
				 file->package);
			return -ENOENT;
		}
		unlink(path);
		if (symlink(target, path)) {
			err = -errno;
			snprintf(reason, reason_size, "cannot make %s: %s", path, strerror(errno));
		}
	}
	if (err)
		return err;
	inet_ntop(AF_INET, &network->address, address, sizeof(address));
	snprintf(url, sizeof(url), "http://%s:%u", d->config.advertise ? d->config.advertise : address, d->config.http_port);
	snprintf(path, sizeof(path), "%s/boot.ipxe", root);
	buf_init(&script, 1 << 16);
	err = d->config.first_script ? d->config.first_script(d->config.first_script_arg, url, &script) : 0;
	if (err)
		snprintf(reason, reason_size, "cannot make boot.ipxe: %s", strerror(-err));
	else
		err = write_file(path, &script, reason, reason_size);
	buf_fini(&script);
	return err;
}

/* May this user walk down to path? Its folders must be open to others (or to root, who may everything). */
static bool reachable(const char *path)
{
	char part[PATH_BYTES];
	struct stat st;

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (stat(part, &st) || !(st.st_mode & S_IXOTH))
			return false;
		*slash = '/';
	}
	return stat(part, &st) == 0 && (st.st_mode & S_IXOTH);
}

/* The user that dnsmasq runs as: its own, unless the state directory is closed to it. NULL: ours. */
static const struct passwd *choose_user(const struct dhcp *d, const char *leases)
{
	const struct passwd *user;

	if (geteuid() != 0)
		return NULL;
	user = getpwnam("dnsmasq");
	if (!user)
		user = getpwnam("nobody");
	if (user && reachable(leases) && reachable(d->config.runtime_dir))
		return user;
	log_warning("dnsmasq runs as root: a folder above %s or %s is closed to the user %s; chmod o+x opens it", leases, d->config.runtime_dir,
		    user ? user->pw_name : "dnsmasq");
	return NULL;
}

static int prepare_leases(const struct dhcp *d, const struct passwd **user, char *reason, size_t reason_size)
{
	char folder[PATH_BYTES], leases[PATH_BYTES + 8];
	int err;

	snprintf(folder, sizeof(folder), "%s/dnsmasq", d->config.state_dir);
	snprintf(leases, sizeof(leases), "%s/leases", folder);
	err = make_directory(folder, reason, reason_size);
	/* Others may pass through the state directory, not list it. */
	if (!err && geteuid() == 0)
		chmod(d->config.state_dir, 0751);
	*user = choose_user(d, folder);
	if (err || !*user)
		return err;
	if (chown(folder, (*user)->pw_uid, (*user)->pw_gid) || (chown(leases, (*user)->pw_uid, (*user)->pw_gid) && errno != ENOENT)) {
		snprintf(reason, reason_size, "cannot give %s to the user %s: %s", folder, (*user)->pw_name, strerror(errno));
		return -errno;
	}
	return 0;
}

/* ---- the host file ---- */

static void on_hangup(struct loop_msg *msg)
{
	struct dhcp *d = container_of(msg, struct dhcp, hangup);

	pthread_mutex_lock(&d->mutex);
	d->hanging_up = false;
	pthread_cond_broadcast(&d->wake);
	pthread_mutex_unlock(&d->mutex);
	if (d->supervisor)
		supervisor_signal(d->supervisor, SIGHUP);
}

static int refresh_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct dhcp *d = container_of(job, struct dhcp, job);
	struct buf text;
	char reason[PATH_BYTES + 64];
	int err;

	buf_init(&text, TEXT_MAX_BYTES);
	err = dnsmasq_make_hosts(tx, &text);
	if (err) {
		log_error("dnsmasq's host file: %s", strerror(-err));
	} else if (text.len != d->hosts.len || memcmp(buf_text(&text), buf_text(&d->hosts), text.len)) {
		err = write_file(d->hosts_path, &text, reason, sizeof(reason));
		if (err) {
			log_error("%s", reason);
		} else {
			buf_fini(&d->hosts);
			d->hosts = text;
			buf_init(&text, TEXT_MAX_BYTES);
			pthread_mutex_lock(&d->mutex);
			if (!d->hanging_up) {
				d->hanging_up = true;
				loop_post(d->config.loop, &d->hangup);
			}
			pthread_mutex_unlock(&d->mutex);
		}
	}
	buf_fini(&text);
	return err;
}

static void refresh_done(struct inventory_job *job, int err)
{
	struct dhcp *d = container_of(job, struct dhcp, job);
	bool again;

	(void)err;
	pthread_mutex_lock(&d->mutex);
	again = d->again && !d->stopping;
	d->again = false;
	d->refreshing = again;
	pthread_cond_broadcast(&d->wake);
	pthread_mutex_unlock(&d->mutex);
	if (again)
		inventory_read(d->config.inventory, job);
}

void dhcp_refresh(struct dhcp *d)
{
	bool submit;

	if (d->config.mode != DHCP_FULL)
		return;
	pthread_mutex_lock(&d->mutex);
	submit = !d->refreshing && !d->stopping;
	d->again = d->refreshing;
	d->refreshing = d->refreshing || submit;
	pthread_mutex_unlock(&d->mutex);
	if (submit)
		inventory_read(d->config.inventory, &d->job);
}

/* ---- start and stop ---- */

static void on_state(void *arg, enum supervisor_state state, const char *line)
{
	struct dhcp *d = arg;
	bool was_up;

	pthread_mutex_lock(&d->mutex);
	was_up = d->state == SUPERVISOR_UP;
	d->state = state;
	snprintf(d->line, sizeof(d->line), "%s", line);
	if (d->supervisor) {
		d->restarts = supervisor_restarts(d->supervisor);
		d->pid = supervisor_pid(d->supervisor);
	}
	pthread_cond_broadcast(&d->wake);
	pthread_mutex_unlock(&d->mutex);
	if (state == SUPERVISOR_UP)
		log_info("dnsmasq is up");
	else if (was_up && state == SUPERVISOR_BACKING_OFF)
		log_error("dnsmasq went down and is being restarted: %s", line);
}

struct start_call {
	struct dhcp *d;
	struct supervisor_config config;
	int err;
};

static void start_on_loop(void *arg)
{
	struct start_call *call = arg;

	call->err = supervisor_new(&call->config, &call->d->supervisor);
	if (!call->err)
		supervisor_start(call->d->supervisor);
}

static const char *find_program(const char *const *places)
{
	for (; *places; places++)
		if (!access(*places, X_OK))
			return *places;
	return NULL;
}

static void deadline_in(struct timespec *deadline, unsigned ms)
{
	clock_gettime(CLOCK_REALTIME, deadline);
	deadline->tv_sec += ms / 1000;
	deadline->tv_nsec += (long)(ms % 1000) * 1000000;
	if (deadline->tv_nsec >= 1000000000) {
		deadline->tv_sec++;
		deadline->tv_nsec -= 1000000000;
	}
}

/* The first start decides: up, or refused with dnsmasq's own words. */
static int wait_until_up(struct dhcp *d, char *reason, size_t reason_size)
{
	struct timespec deadline;
	int err = 0;

	deadline_in(&deadline, READY_MS);
	pthread_mutex_lock(&d->mutex);
	while (d->state == SUPERVISOR_STARTING || d->state == SUPERVISOR_STOPPED)
		if (pthread_cond_timedwait(&d->wake, &d->mutex, &deadline))
			break;
	if (d->state != SUPERVISOR_UP) {
		err = -EIO;
		snprintf(reason, reason_size, "dnsmasq does not start: %s%s", d->line[0] ? d->line : "it says nothing",
			 strstr(d->line, "in use") ? "; another DHCP server runs on this host (ss -ulpn 'sport = :67' names it): stop it, or use --dhcp proxy or off" : "");
	}
	pthread_mutex_unlock(&d->mutex);
	return err;
}

static int spawn(struct dhcp *d, const struct passwd *user, char *reason, size_t reason_size)
{
	static const char *const dnsmasq_places[] = { "/usr/sbin/dnsmasq", "/usr/local/sbin/dnsmasq", NULL };
	static const char *const setpriv_places[] = { "/usr/bin/setpriv", "/bin/setpriv", NULL };
	const char *dnsmasq = find_program(dnsmasq_places), *setpriv = find_program(setpriv_places);
	char conf[PATH_BYTES], uid[24], gid[24];
	/* In order: setpriv, so that dnsmasq ends with us and has no more rights than DHCP takes. */
	const char *argv[16] = { setpriv, "--pdeathsig", "TERM" };
	unsigned argc = 3;
	struct start_call call = { .d = d };

	if (!dnsmasq) {
		snprintf(reason, reason_size, "dnsmasq is not installed; apt install dnsmasq-base, or start with --dhcp off");
		return -ENOENT;
	}
	if (!setpriv) {
		snprintf(reason, reason_size, "setpriv is not installed; apt install util-linux");
		return -ENOENT;
	}
	if (user) {
		snprintf(uid, sizeof(uid), "--reuid=%u", user->pw_uid);
		snprintf(gid, sizeof(gid), "--regid=%u", user->pw_gid);
		argv[argc++] = uid;
		argv[argc++] = gid;
		argv[argc++] = "--clear-groups";
		argv[argc++] = "--inh-caps=-all,+net_admin,+net_raw,+net_bind_service";
		argv[argc++] = "--ambient-caps=-all,+net_admin,+net_raw,+net_bind_service";
	}
	snprintf(conf, sizeof(conf), "--conf-file=%s/dnsmasq.conf", d->config.runtime_dir);
	argv[argc++] = dnsmasq;
	argv[argc++] = "--keep-in-foreground";
	argv[argc++] = "--pid-file=";
	argv[argc++] = conf;
	if (!user)
		argv[argc++] = "--user=root";
	call.config = (struct supervisor_config){
		.name = "dnsmasq",
		.argv = argv,
		.ready_text = "started, version",
		.first_delay_ms = FIRST_DELAY_MS,
		.longest_delay_ms = LONGEST_DELAY_MS,
		.loop = d->config.loop,
		.changed = on_state,
		.arg = d,
	};
	loop_call(d->config.loop, start_on_loop, &call);
	if (call.err) {
		snprintf(reason, reason_size, "cannot start dnsmasq: %s", strerror(-call.err));
		return call.err;
	}
	return wait_until_up(d, reason, reason_size);
}

static int check_alone(const struct dhcp *d, char *reason, size_t reason_size)
{
	for (unsigned i = 0; i < d->config.interface_count; i++) {
		char address[INET_ADDRSTRLEN];
		struct in_addr server;
		int found = dhcp_discover(&d->networks[i], DISCOVER_MS, &server);

		if (found < 0) {
			log_warning("cannot ask for other DHCP servers on %s: %s", d->networks[i].name, strerror(-found));
		} else if (found) {
			inet_ntop(AF_INET, &server, address, sizeof(address));
			snprintf(reason, reason_size,
				 "another DHCP server, %s, answers on %s; start with --dhcp proxy to work beside it, or with --dhcp-force to be a second one",
				 address, d->networks[i].name);
			return -EADDRINUSE;
		}
	}
	return 0;
}

static int prepare_files(struct dhcp *d, char *reason, size_t reason_size)
{
	char path[PATH_BYTES];
	struct buf text;
	int err;

	buf_init(&text, TEXT_MAX_BYTES);
	err = dnsmasq_make_config(&d->config, d->networks, &text, reason, reason_size);
	snprintf(path, sizeof(path), "%s/dnsmasq.conf", d->config.runtime_dir);
	if (!err)
		err = write_file(path, &text, reason, reason_size);
	buf_fini(&text);
	snprintf(path, sizeof(path), "%s/tftp", d->config.runtime_dir);
	if (!err)
		err = make_directory(path, reason, reason_size);
	for (unsigned i = 0; !err && i < d->config.interface_count; i++)
		err = make_tftp_root(d, &d->networks[i], reason, reason_size);
	if (!err && d->config.mode == DHCP_FULL) {
		err = inventory_read_wait(d->config.inventory, &d->job);
		d->job = (struct inventory_job){ .run = refresh_run, .done = refresh_done };
		if (err)
			snprintf(reason, reason_size, "cannot write %s: %s", d->hosts_path, strerror(-err));
	}
	return err;
}

int dhcp_start(const struct dhcp_config *config, struct dhcp **dhcp, char *reason, size_t reason_size)
{
	struct dhcp *d = calloc(1, sizeof(*d));
	const struct passwd *user = NULL;
	struct buf empty;
	int err = 0;

	if (!d)
		return -ENOMEM;
	d->config = *config;
	pthread_mutex_init(&d->mutex, NULL);
	pthread_cond_init(&d->wake, NULL);
	d->hangup.run = on_hangup;
	d->job = (struct inventory_job){ .run = refresh_run };
	buf_init(&d->hosts, TEXT_MAX_BYTES);
	buf_init(&empty, 0);
	snprintf(d->hosts_path, sizeof(d->hosts_path), "%s/dnsmasq.hosts", config->runtime_dir);
	for (unsigned i = 0; !err && i < config->interface_count; i++)
		err = dhcp_network_find(config->interfaces[i], &d->networks[i], reason, reason_size);
	/* Before the question to the network, which takes its time: whatever can be wrong here. */
	if (!err && config->mode == DHCP_FULL)
		err = write_file(d->hosts_path, &empty, reason, reason_size);
	if (!err)
		err = prepare_files(d, reason, reason_size);
	if (!err)
		err = prepare_leases(d, &user, reason, reason_size);
	if (!err && config->mode == DHCP_FULL && !config->force)
		err = check_alone(d, reason, reason_size);
	if (!err)
		err = spawn(d, user, reason, reason_size);
	if (err) {
		dhcp_stop(d);
		return err;
	}
	*dhcp = d;
	return 0;
}

static void stop_on_loop(void *arg)
{
	struct dhcp *d = arg;

	if (d->supervisor)
		supervisor_stop(d->supervisor);
}

static void on_freed(void *arg)
{
	struct dhcp *d = arg;

	pthread_mutex_lock(&d->mutex);
	d->freed = true;
	pthread_cond_broadcast(&d->wake);
	pthread_mutex_unlock(&d->mutex);
}

static void free_on_loop(void *arg)
{
	struct dhcp *d = arg;

	supervisor_free(d->supervisor, on_freed, d);
	d->supervisor = NULL;
}

void dhcp_stop(struct dhcp *d)
{
	pthread_mutex_lock(&d->mutex);
	d->stopping = true;
	while (d->refreshing || d->hanging_up)
		pthread_cond_wait(&d->wake, &d->mutex);
	pthread_mutex_unlock(&d->mutex);
	if (d->supervisor) {
		loop_call(d->config.loop, stop_on_loop, d);
		pthread_mutex_lock(&d->mutex);
		while (d->state != SUPERVISOR_STOPPED)
			pthread_cond_wait(&d->wake, &d->mutex);
		pthread_mutex_unlock(&d->mutex);
		loop_call(d->config.loop, free_on_loop, d);
		pthread_mutex_lock(&d->mutex);
		while (!d->freed)
			pthread_cond_wait(&d->wake, &d->mutex);
		pthread_mutex_unlock(&d->mutex);
	}
	buf_fini(&d->hosts);
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->mutex);
	free(d);
}

void dhcp_status(struct dhcp *d, struct buf *json)
{
	static const char *const modes[] = { [DHCP_OFF] = "off", [DHCP_PROXY] = "proxy", [DHCP_FULL] = "full" };

	pthread_mutex_lock(&d->mutex);
	buf_printf(json, "{\"mode\": \"%s\", \"state\": \"%s\", \"pid\": %d, \"restarts\": %u", modes[d->config.mode],
		   supervisor_state_name(d->state), d->pid, d->restarts);
	/* dnsmasq's words have been escaped to printable ASCII without backslashes other than our own \x; quotes are left to be seen to. */
	buf_add_string(json, ", \"message\": \"");
	for (const char *c = d->line; *c; c++)
		buf_printf(json, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	buf_add_string(json, "\"}");
	pthread_mutex_unlock(&d->mutex);
}
