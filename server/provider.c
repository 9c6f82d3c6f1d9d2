// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The seam between iscsi/ and boot/: see provider.h. A call that has to translate its answer keeps a small struct with
 * the asker's function until the answer comes; without memory for it the asker is told so at once.
 */
#include "provider.h"

#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOGIN_OUT_OF_RESOURCES = 0x0302 }; /* RFC 7143 §11.13.5 */

static enum iscsi_auth convert_auth(enum auth_kind auth)
{
	switch (auth) {
	case AUTH_NONE:
		return ISCSI_AUTH_NONE;
	case AUTH_MUTUAL:
		return ISCSI_AUTH_MUTUAL;
	default:
		return ISCSI_AUTH_CHAP;
	}
}

static void copy_credential(struct iscsi_credential *to, const struct boot_credential *from)
{
	to->boot = from->boot;
	to->pending = from->pending;
	to->auth = convert_auth(from->auth);
	snprintf(to->user, sizeof(to->user), "%s", from->user);
	snprintf(to->secret, sizeof(to->secret), "%s", from->secret);
	snprintf(to->reverse_user, sizeof(to->reverse_user), "%s", from->reverse_user);
	snprintf(to->reverse_secret, sizeof(to->reverse_secret), "%s", from->reverse_secret);
}

static void copy_session(struct boot_session *to, const struct iscsi_session_info *from)
{
	*to = (struct boot_session){
		.machine_id = (int64_t)from->key,
		.ipxe = from->ipxe,
		.since_ms = from->since_unix_ms,
		.boot = from->boot,
		.bytes_read = from->bytes_read,
		.bytes_written = from->bytes_written,
		.commands = from->commands,
		.heard_ms = from->heard_unix_ms,
	};
	snprintf(to->initiator, sizeof(to->initiator), "%s", from->initiator);
	snprintf(to->address, sizeof(to->address), "%s", from->address);
	snprintf(to->portal, sizeof(to->portal), "%s", from->portal);
}

/* ---- boot's targets, for iscsi ---- */

struct find {
	void (*found)(void *arg, const struct iscsi_access *access);
	void *arg;
};

static void provider_found(void *arg, const struct boot_access *from)
{
	struct find *find = arg;
	struct iscsi_access access = { .key = (uint64_t)from->machine_id };

	access.login_status = from->login_status;
	access.auth = convert_auth(from->auth);
	access.many = from->many;
	reason_set(&access.reason, "%s", from->reason.text);
	snprintf(access.iqn, sizeof(access.iqn), "%s", from->iqn);
	snprintf(access.initiator, sizeof(access.initiator), "%s", from->initiator);
	copy_credential(&access.credentials[0], &from->current);
	copy_credential(&access.credentials[1], &from->pending);
	find->found(find->arg, &access);
	explicit_bzero(&access, sizeof(access));
	free(find);
}

static void provider_find(void *arg, const char *iqn, const char *initiator, struct loop *reply_loop,
			  void (*found)(void *found_arg, const struct iscsi_access *access), void *found_arg)
{
	struct provider *provider = arg;
	struct find *find = alloc_or_abort(sizeof(*find));

	*find = (struct find){ found, found_arg };
	boot_target_find(provider->boot, iqn, initiator, reply_loop, provider_found, find);
}

static void provider_list(void *arg, const char *initiator, struct loop *reply_loop,
			  void (*each)(void *each_arg, const char *iqn, int err), void *each_arg)
{
	struct provider *provider = arg;

	boot_target_list(provider->boot, initiator, reply_loop, each, each_arg);
}

static void provider_begin(void *arg, uint64_t key, uint64_t boot, struct loop *reply_loop,
			   void (*begun)(void *begun_arg, int err, const char *reason), void *begun_arg)
{
	struct provider *provider = arg;

	boot_target_begin(provider->boot, (int64_t)key, boot, reply_loop, begun, begun_arg);
}

static struct iscsi_lun to_iscsi(const struct boot_lun *from)
{
	struct iscsi_lun lun = {
		.number = from->number,
		.volume = (uint64_t)from->volume_id,
		.disk = from->disk,
		.type = from->cdrom ? ISCSI_LUN_CDROM : ISCSI_LUN_DISK,
		.read_only = volume_kind_is_read_only(from->kind),
		.physical_512 = from->physical_512,
	};

	_Static_assert(sizeof(from->serial) <= sizeof(lun.serial), "a serial number fits");
	memcpy(lun.serial, from->serial, sizeof(from->serial));
	return lun;
}

/* What boot needs to close or grow it. */
static struct boot_lun to_boot(const struct iscsi_lun *from)
{
	return (struct boot_lun){ .number = from->number, .volume_id = (int64_t)from->volume, .disk = from->disk };
}

struct opening {
	void (*opened)(void *arg, const struct iscsi_lun *luns, unsigned count, uint16_t login_status,
		       const char *reason);
	void *arg;
};

static void provider_opened(void *arg, const struct boot_lun *luns, unsigned count, uint16_t login_status,
			    const char *reason)
{
	struct opening *opening = arg;
	struct iscsi_lun list[ISCSI_LUNS];

	for (unsigned i = 0; i < count; i++)
		list[i] = to_iscsi(&luns[i]);
	opening->opened(opening->arg, list, count, login_status, reason);
	free(opening);
}

static void provider_open(void *arg, uint64_t key, uint64_t boot, struct loop *loop,
			  void (*opened)(void *opened_arg, const struct iscsi_lun *luns, unsigned count,
					 uint16_t login_status, const char *reason),
			  void *opened_arg)
{
	struct provider *provider = arg;
	struct opening *opening = alloc_or_abort(sizeof(*opening));

	*opening = (struct opening){ opened, opened_arg };
	boot_target_open(provider->boot, (int64_t)key, boot, loop, provider_opened, opening);
}

struct opening_lun {
	void (*opened)(void *arg, const struct iscsi_lun *lun, int err, const char *reason);
	void *arg;
};

static void provider_opened_lun(void *arg, const struct boot_lun *lun, const char *reason)
{
	struct opening_lun *opening = arg;
	struct iscsi_lun opened;

	if (lun)
		opened = to_iscsi(lun);
	opening->opened(opening->arg, lun ? &opened : NULL, lun ? 0 : -EIO, reason);
	free(opening);
}

static void provider_open_lun(void *arg, uint64_t key, unsigned lun, struct loop *loop,
			      void (*opened)(void *opened_arg, const struct iscsi_lun *lun, int err,
					     const char *reason),
			      void *opened_arg)
{
	struct provider *provider = arg;
	struct opening_lun *opening = alloc_or_abort(sizeof(*opening));

	*opening = (struct opening_lun){ opened, opened_arg };
	boot_target_open_lun(provider->boot, (int64_t)key, lun, loop, provider_opened_lun, opening);
}

static void provider_close(void *arg, uint64_t key, const struct iscsi_lun *luns, unsigned count, struct loop *loop,
			   void (*closed)(void *closed_arg), void *closed_arg)
{
	struct provider *provider = arg;
	struct boot_lun list[ISCSI_LUNS];

	(void)key;
	(void)loop;
	for (unsigned i = 0; i < count; i++)
		list[i] = to_boot(&luns[i]);
	boot_target_close(provider->boot, list, count, closed, closed_arg);
}

static void provider_close_lun(void *arg, uint64_t key, const struct iscsi_lun *lun, struct loop *loop,
			       void (*closed)(void *closed_arg), void *closed_arg)
{
	provider_close(arg, key, lun, 1, loop, closed, closed_arg);
}

static void provider_grow(void *arg, uint64_t key, const struct iscsi_lun *lun, uint64_t size_bytes, struct loop *loop,
			  void (*grown)(void *grown_arg, struct disk *disk, int err, const char *reason),
			  void *grown_arg)
{
	struct provider *provider = arg;
	struct boot_lun boot_lun = to_boot(lun);

	boot_target_grow(provider->boot, (int64_t)key, &boot_lun, size_bytes, loop, grown, grown_arg);
}

static bool provider_begin_needs_closed(void *arg, uint64_t key)
{
	struct provider *provider = arg;

	return boot_target_begin_needs_closed(provider->boot, (int64_t)key);
}

static void provider_session_began(void *arg, const struct iscsi_session_info *info)
{
	struct provider *provider = arg;
	struct boot_session session;

	copy_session(&session, info);
	boot_target_session(provider->boot, (int64_t)info->key, &session, NULL);
}

static void provider_session_ended(void *arg, const struct iscsi_session_info *info, const char *why)
{
	struct provider *provider = arg;
	struct boot_session session;

	copy_session(&session, info);
	boot_target_session(provider->boot, (int64_t)info->key, &session, why);
}

static void provider_first_read(void *arg, const struct iscsi_session_info *info)
{
	struct provider *provider = arg;

	boot_target_first_read(provider->boot, (int64_t)info->key, info->boot);
}

static void provider_login_refused(void *arg, uint64_t key, const char *iqn, const char *initiator, const char *address,
				   const char *why)
{
	struct provider *provider = arg;

	boot_target_refused(provider->boot, (int64_t)key, iqn, initiator, address, why);
}

/* ---- what scsi/ keeps over a restart ---- */

struct save {
	struct inventory_job job;
	int64_t machine_id;
	void (*done)(void *arg, int err);
	void *arg;
	size_t len;
	unsigned char blob[];
};

static int save_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct save *save = container_of(job, struct save, job);

	return machine_scsi_state_save(tx, save->machine_id, save->blob, save->len);
}

static void save_done(struct inventory_job *job, int err)
{
	struct save *save = container_of(job, struct save, job);

	save->done(save->arg, err);
	free(save);
}

static void provider_save_state(void *arg, uint64_t key, const void *blob, size_t len, struct loop *reply_loop,
				void (*done)(void *done_arg, int err), void *done_arg)
{
	struct provider *provider = arg;
	struct save *save = alloc_or_abort(sizeof(*save) + len);

	*save = (struct save){
		.job = { .run = save_run, .done = save_done, .loop = reply_loop },
		.machine_id = (int64_t)key,
		.done = done,
		.arg = done_arg,
		.len = len,
	};
	if (len)
		memcpy(save->blob, blob, len);
	inventory_write(provider->inventory, &save->job);
}

struct load {
	struct inventory_job job;
	int64_t machine_id;
	void (*loaded)(void *arg, const void *blob, size_t len);
	void *arg;
	void *blob;
	size_t len;
};

static int load_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct load *load = container_of(job, struct load, job);

	return machine_scsi_state_load(tx, load->machine_id, &load->blob, &load->len);
}

static void load_done(struct inventory_job *job, int err)
{
	struct load *load = container_of(job, struct load, job);

	if (err && err != -ENOENT)
		log_error("machine %lld: its reservations cannot be read back: %s", (long long)load->machine_id,
			  strerror(-err));
	load->loaded(load->arg, load->blob, load->len);
	free(load->blob);
	free(load);
}

static void provider_load_state(void *arg, uint64_t key, struct loop *reply_loop,
				void (*loaded)(void *loaded_arg, const void *blob, size_t len), void *loaded_arg)
{
	struct provider *provider = arg;
	struct load *load = alloc_or_abort(sizeof(*load));

	*load = (struct load){
		.job = { .run = load_run, .done = load_done, .loop = reply_loop },
		.machine_id = (int64_t)key,
		.loaded = loaded,
		.arg = loaded_arg,
	};
	inventory_read(provider->inventory, &load->job);
}

/* ---- iscsi's sessions, for boot ---- */

struct alive_check {
	void (*answered)(void *arg, bool alive, const struct boot_session *session);
	void *arg;
};

static void provider_checked(void *arg, bool alive, const struct iscsi_session_info *info)
{
	struct alive_check *check = arg;
	struct boot_session session;

	if (info)
		copy_session(&session, info);
	check->answered(check->arg, alive, info ? &session : NULL);
	free(check);
}

static void provider_probe(void *arg, uint64_t key, unsigned timeout_ms, struct loop *reply_loop,
			   void (*answered)(void *answered_arg, bool alive, const struct boot_session *session),
			   void *answered_arg)
{
	struct provider *provider = arg;
	struct alive_check *check = alloc_or_abort(sizeof(*check));

	*check = (struct alive_check){ answered, answered_arg };
	iscsi_server_check_alive(provider->server, key, timeout_ms, reply_loop, provider_checked, check);
}

static void provider_release(void *arg, uint64_t key, const char *why, struct loop *reply_loop,
			     void (*released)(void *released_arg), void *released_arg)
{
	struct provider *provider = arg;

	iscsi_server_release(provider->server, key, why, reply_loop, released, released_arg);
}

struct sessions {
	void (*each)(void *arg, const struct boot_session *session, int err);
	void *arg;
};

static void provider_each_session(void *arg, const struct iscsi_session_info *info, int err)
{
	struct sessions *sessions = arg;
	struct boot_session session;

	if (info) {
		copy_session(&session, info);
		sessions->each(sessions->arg, &session, 0);
		return;
	}
	sessions->each(sessions->arg, NULL, err);
	free(sessions);
}

static void provider_sessions(void *arg, uint64_t key, struct loop *reply_loop,
			      void (*each)(void *each_arg, const struct boot_session *session, int err), void *each_arg)
{
	struct provider *provider = arg;
	struct sessions *sessions = alloc_or_abort(sizeof(*sessions));

	*sessions = (struct sessions){ each, each_arg };
	iscsi_server_sessions(provider->server, key, reply_loop, provider_each_session, sessions);
}

static void provider_resize(void *arg, uint64_t key, unsigned lun, uint64_t size_bytes, struct loop *reply_loop,
			    void (*resized)(void *resized_arg, int err, const char *reason), void *resized_arg)
{
	struct provider *provider = arg;

	iscsi_server_resize(provider->server, key, lun, size_bytes, reply_loop, resized, resized_arg);
}

static void provider_attach(void *arg, uint64_t key, unsigned lun, struct loop *reply_loop,
			    void (*attached)(void *attached_arg, int err, const char *reason), void *attached_arg)
{
	struct provider *provider = arg;

	iscsi_server_attach(provider->server, key, lun, reply_loop, attached, attached_arg);
}

static void provider_detach(void *arg, uint64_t key, unsigned lun, bool force, struct loop *reply_loop,
			    void (*detached)(void *detached_arg, int err, const char *reason), void *detached_arg)
{
	struct provider *provider = arg;

	iscsi_server_detach(provider->server, key, lun, force, reply_loop, detached, detached_arg);
}

void provider_init(struct provider *provider)
{
	provider->iscsi = (struct iscsi_provider){
		.arg = provider,
		.find = provider_find,
		.list = provider_list,
		.begin = provider_begin,
		.open = provider_open,
		.close = provider_close,
		.open_lun = provider_open_lun,
		.close_lun = provider_close_lun,
		.grow = provider_grow,
		.begin_needs_closed = provider_begin_needs_closed,
		.session_began = provider_session_began,
		.session_ended = provider_session_ended,
		.first_read = provider_first_read,
		.login_refused = provider_login_refused,
		.save_state = provider_save_state,
		.load_state = provider_load_state,
	};
	provider->runtime = (struct boot_runtime){
		.arg = provider,
		.probe = provider_probe,
		.release = provider_release,
		.sessions = provider_sessions,
		.resize = provider_resize,
		.attach = provider_attach,
		.detach = provider_detach,
	};
}
