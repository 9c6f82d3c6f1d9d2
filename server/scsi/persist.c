// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is kept over a restart, as one small blob that somebody else stores: see persist.h.
 *
 *     header (magic, version, CRC of the rest, its length), then records: type, LUN, length, content
 *
 * Mode parameters of each logical unit, and its registrations and reservation while APTPL is active. One save at a time
 * is under way; those who come meanwhile wait for the next, which covers what they changed.
 */
#include "scsi/persist.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/util.h"
#include "scsi/reservations.h"

enum { BLOB_MAGIC = 0x53425052, BLOB_VERSION = 1, BLOB_MAX = 8 << 20 };

struct blob_header {
	struct be32 magic, version, crc, length;
};

/*
 * RECORD_UNIT comes first of those of its LUN, and says by its serial number which unit they are of; there is none where
 * a unit has no serial number of its own.
 */
enum record_type { RECORD_MODE = 1, RECORD_REGISTRATION = 2, RECORD_RESERVATION = 3, RECORD_UNIT = 4 };

struct record {
	struct be16 type, lun;
	struct be32 length;
};

struct mode_record {
	uint8_t wce, d_sense, swp, threshold_enabled;
	struct be32 threshold_count;
};

struct registration_record {
	struct be64 key;
	uint8_t holder, all_target_ports;
	char port_name[]; /* the rest, without NUL */
};

bool persist_possible(const struct scsi_target *target)
{
	return target->save != NULL;
}

/* ---- saving ---- */

static void put_record(struct buf *buf, enum record_type type, const struct scsi_lu *lu, size_t len)
{
	struct record record = { .type = be16_put((uint16_t)type), .lun = be16_put((uint16_t)lu->number) };

	record.length = be32_put((uint32_t)len);
	buf_add(buf, &record, sizeof(record));
}

static void put_lu(struct buf *buf, const struct scsi_lu *lu)
{
	const struct mode_values *m = &lu->saved_mode;
	const struct reservations *r = &lu->reservations;
	struct mode_record mode = { m->wce, m->d_sense, m->swp, m->threshold_enabled, be32_put(m->threshold_count) };

	if (lu->serial[0]) {
		put_record(buf, RECORD_UNIT, lu, strlen(lu->serial));
		buf_add_string(buf, lu->serial);
	}
	put_record(buf, RECORD_MODE, lu, sizeof(mode));
	buf_add(buf, &mode, sizeof(mode));
	if (!r->aptpl)
		return;
	for (unsigned i = 0; i < r->count; i++) {
		const struct registrant *who = &r->registrants[i];
		struct registration_record record = { .key = be64_put(who->key),
						      .holder = r->holder == (int)i,
						      .all_target_ports = who->all_target_ports };

		put_record(buf, RECORD_REGISTRATION, lu, sizeof(record) + strlen(who->port_name));
		buf_add(buf, &record, sizeof(record));
		buf_add_string(buf, who->port_name);
	}
	put_record(buf, RECORD_RESERVATION, lu, 1);
	buf_add(buf, &r->type, 1);
}

static void tell(struct save_waiter *waiters, int err)
{
	struct save_waiter *next;

	for (; waiters; waiters = next) {
		next = waiters->next;
		waiters->done(waiters, err);
	}
}

static void persist_write(struct scsi_target *target);

static void on_written(void *arg, int err)
{
	struct scsi_target *target = arg;
	struct save_waiter *waiters = target->waiters_now;

	assert(target->saving);
	if (err)
		log_error("target %s: cannot keep reservations and mode parameters: %s", target->name, strerror(-err));
	scsi_target_enter(target);
	target->saving = false;
	target->waiters_now = NULL;
	tell(waiters, err);
	if (target->save_again && !target->saving)
		persist_write(target);
	scsi_target_leave(target);
}

static void persist_write(struct scsi_target *target)
{
	struct blob_header *header, empty = { .magic = be32_put(BLOB_MAGIC), .version = be32_put(BLOB_VERSION) };
	struct buf buf;

	target->save_again = false;
	target->saving = true;
	target->waiters_now = target->waiters_next;
	target->waiters_next = NULL;
	buf_init(&buf, BLOB_MAX);
	buf_add(&buf, &empty, sizeof(empty));
	for (unsigned i = 0; i < SCSI_LUNS; i++)
		if (target->lus[i])
			put_lu(&buf, target->lus[i]);
	if (buf.failed) {
		on_written(target, -ENOMEM);
		buf_fini(&buf);
		return;
	}
	header = (struct blob_header *)buf.data;
	header->length = be32_put((uint32_t)(buf.len - sizeof(*header)));
	header->crc = be32_put(crc32c(0, buf.data + sizeof(*header), buf.len - sizeof(*header)));
	target->save(target->save_arg, buf.data, buf.len, on_written, target);
	buf_fini(&buf);
}

void persist_save(struct scsi_target *target, struct save_waiter *waiter)
{
	assert(persist_possible(target) || !waiter);
	if (!persist_possible(target))
		return;
	if (waiter) {
		waiter->next = target->waiters_next;
		target->waiters_next = waiter;
	}
	if (target->saving) {
		target->save_again = true;
		return;
	}
	scsi_target_enter(target);
	persist_write(target);
	scsi_target_leave(target);
}

/* ---- loading ---- */

static bool load_registration(struct reservations *r, const uint8_t *data, size_t len)
{
	const struct registration_record *record = (const struct registration_record *)data;
	char name[TRANSPORT_ID_MAX];
	size_t name_len;

	if (len <= sizeof(*record) || len - sizeof(*record) >= sizeof(name))
		return false;
	name_len = len - sizeof(*record);
	memcpy(name, record->port_name, name_len);
	name[name_len] = '\0';
	if (reservations_add(r, name, be64_get(record->key), record->all_target_ports))
		return false;
	if (record->holder)
		r->holder = (int)r->count - 1;
	r->aptpl = true;
	return true;
}

static bool load_record(struct scsi_lu *lu, unsigned type, const uint8_t *data, size_t len)
{
	const struct mode_record *m = (const struct mode_record *)data;

	switch (type) {
	case RECORD_MODE:
		if (len != sizeof(*m))
			return false;
		lu->saved_mode = (struct mode_values){ m->wce, m->d_sense, m->swp, m->threshold_enabled,
						       be32_get(m->threshold_count) };
		return true;
	case RECORD_REGISTRATION:
		return load_registration(&lu->reservations, data, len);
	case RECORD_RESERVATION:
		if (len != 1 || (data[0] && !pr_type_valid(data[0])))
			return false;
		lu->reservations.type = data[0];
		lu->reservations.aptpl = true;
		return true;
	default:
		return false;
	}
}

static bool load_all(struct scsi_lu *lu)
{
	const uint8_t *data = lu->target->saved;
	size_t left = lu->target->saved_len;
	const struct blob_header *header = (const struct blob_header *)data;
	bool mine = !lu->serial[0];

	if (left < sizeof(*header) || be32_get(header->magic) != BLOB_MAGIC ||
	    be32_get(header->version) != BLOB_VERSION)
		return false;
	data += sizeof(*header);
	left -= sizeof(*header);
	if (be32_get(header->length) != left || be32_get(header->crc) != crc32c(0, data, left))
		return false;
	while (left) {
		const struct record *record = (const struct record *)data;
		size_t len;

		if (left < sizeof(*record))
			return false;
		len = be32_get(record->length);
		data += sizeof(*record);
		left -= sizeof(*record);
		if (len > left)
			return false;
		if (be16_get(record->lun) != lu->number)
			;
		else if (be16_get(record->type) == RECORD_UNIT)
			mine = len == strlen(lu->serial) && !memcmp(data, lu->serial, len);
		else if (mine && !load_record(lu, be16_get(record->type), data, len))
			return false;
		data += len;
		left -= len;
	}
	return true;
}

/* A reservation must have who holds it, and the other way round. */
static bool load_is_consistent(const struct reservations *r)
{
	if (!r->type)
		return r->holder < 0;
	return r->count && (pr_type_is_all(r->type) ? r->holder < 0 : r->holder >= 0);
}

void persist_load(struct scsi_lu *lu)
{
	struct mode_values defaults = lu->saved_mode;

	if (!lu->target->saved)
		return;
	if (load_all(lu) && load_is_consistent(&lu->reservations))
		return;
	log_error("target %s: what was kept of reservations and mode parameters is damaged: starting without",
		  lu->target->name);
	reservations_clear(&lu->reservations);
	lu->saved_mode = defaults;
}
