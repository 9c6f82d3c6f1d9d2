// SPDX-License-Identifier: GPL-2.0-or-later
/* PERSISTENT RESERVE IN (SPC-4 §6.15), and the TransportID of an iSCSI initiator port (§7.6.4.6). */
#include <string.h>

#include "base/be.h"
#include "base/util.h"
#include "scsi/reservations.h"

struct pr_in_header {
	struct be32 generation, length;
};

/* SPC-4 §6.15.3 */
struct pr_reservation {
	struct be64 key;
	uint8_t obsolete1[4], reserved, scope_type, obsolete2[2];
};

/* SPC-4 §6.15.4 */
struct pr_capabilities {
	struct be16 length;
	uint8_t flags2, flags3, types[2], reserved[2];
};

/* SPC-4 §6.15.5 */
struct pr_full_status {
	struct be64 key;
	uint8_t reserved1[4], flags, scope_type, reserved2[4];
	struct be16 relative_target_port;
	struct be32 additional_length;
};

enum {
	CAPABLE_CRH = 0x10,
	CAPABLE_SIP = 0x08,
	CAPABLE_ATP = 0x04,
	CAPABLE_PTPL = 0x01,
	CAPABLE_TMV = 0x80,
	CAPABLE_PTPL_ACTIVE = 0x01,
	FULL_ALL_TG_PT = 0x02,
	FULL_R_HOLDER = 0x01,
	TRANSPORT_ISCSI_PORT = 0x45, /* FORMAT CODE 01b, protocol 5h */
	TRANSPORT_HEADER = 4,
	TRANSPORT_ID_MIN = 24,
};

static void put_header(uint8_t *out, const struct reservations *r, size_t length)
{
	struct pr_in_header header = { be32_put(r->generation), be32_put((uint32_t)length) };

	memcpy(out, &header, sizeof(header));
}

void pr_in_read_keys(struct task_state *st)
{
	const struct reservations *r = &st->lu->reservations;
	uint8_t *out = task_buffer(st, sizeof(struct pr_in_header) + SCSI_REGISTRANTS_MAX * sizeof(struct be64));
	size_t len = sizeof(struct pr_in_header);

	if (!out)
		return;
	for (unsigned i = 0; i < r->count; i++) {
		struct be64 key = be64_put(r->registrants[i].key);

		memcpy(out + len, &key, sizeof(key));
		len += sizeof(key);
	}
	put_header(out, r, len - sizeof(struct pr_in_header));
	task_data(st, len);
}

void pr_in_read_reservation(struct task_state *st)
{
	const struct reservations *r = &st->lu->reservations;
	struct pr_reservation reservation = { .scope_type = r->type };
	uint8_t *out = task_buffer(st, sizeof(struct pr_in_header) + sizeof(reservation));
	size_t len = sizeof(struct pr_in_header);

	if (!out)
		return;
	if (r->type) {
		/* The key is 0 where all registrants hold it: SPC-4 §6.15.3.2. */
		if (r->holder >= 0)
			reservation.key = be64_put(r->registrants[r->holder].key);
		memcpy(out + len, &reservation, sizeof(reservation));
		len += sizeof(reservation);
	}
	put_header(out, r, len - sizeof(struct pr_in_header));
	task_data(st, len);
}

void pr_in_report_capabilities(struct task_state *st)
{
	struct pr_capabilities *out = task_buffer(st, sizeof(*out));

	if (!out)
		return;
	out->length = be16_put(sizeof(*out));
	out->flags2 = CAPABLE_CRH | CAPABLE_SIP | CAPABLE_ATP;
	if (persist_possible(st->target))
		out->flags2 |= CAPABLE_PTPL;
	out->flags3 = CAPABLE_TMV;
	if (st->lu->reservations.aptpl)
		out->flags3 |= CAPABLE_PTPL_ACTIVE;
	out->types[0] = 0xea; /* WR_EX_AR, EX_AC_RO, WR_EX_RO, EX_AC, WR_EX */
	out->types[1] = 0x01; /* EX_AC_AR */
	task_data(st, sizeof(*out));
}

void pr_in_read_full_status(struct task_state *st)
{
	const struct reservations *r = &st->lu->reservations;
	size_t each = sizeof(struct pr_full_status) + TRANSPORT_ID_MAX, len = sizeof(struct pr_in_header);
	uint8_t *out = task_buffer(st, len + SCSI_REGISTRANTS_MAX * each);

	if (!out)
		return;
	for (unsigned i = 0; i < r->count; i++) {
		const struct registrant *who = &r->registrants[i];
		struct pr_full_status d = { .key = be64_put(who->key),
					    .relative_target_port = be16_put(SCSI_TARGET_PORT) };
		size_t id_len = transport_id_encode(who->port_name, out + len + sizeof(d));

		if (reservations_is_holder(r, (int)i)) {
			d.flags |= FULL_R_HOLDER;
			d.scope_type = r->type;
		}
		if (who->all_target_ports) {
			d.flags |= FULL_ALL_TG_PT;
			d.relative_target_port = be16_put(0);
		}
		d.additional_length = be32_put((uint32_t)id_len);
		memcpy(out + len, &d, sizeof(d));
		len += sizeof(d) + id_len;
	}
	put_header(out, r, len - sizeof(struct pr_in_header));
	task_data(st, len);
}

/* ---- TransportID ---- */

size_t transport_id_encode(const char *port_name, uint8_t out[TRANSPORT_ID_MAX])
{
	size_t name_len = strnlen(port_name, TRANSPORT_ID_MAX - TRANSPORT_HEADER - 1);
	size_t len = max_u64(align_up(TRANSPORT_HEADER + name_len + 1, 4), TRANSPORT_ID_MIN);
	struct be16 additional = be16_put((uint16_t)(len - TRANSPORT_HEADER));

	memset(out, 0, len);
	out[0] = TRANSPORT_ISCSI_PORT;
	memcpy(out + 2, &additional, sizeof(additional));
	memcpy(out + TRANSPORT_HEADER, port_name, name_len);
	return len;
}

size_t transport_id_decode(const uint8_t *data, size_t len, char *name)
{
	size_t additional, name_len;

	if (len < TRANSPORT_ID_MIN || data[0] != TRANSPORT_ISCSI_PORT)
		return 0;
	additional = (size_t)data[2] << 8 | data[3];
	if (additional % 4 || additional < TRANSPORT_ID_MIN - TRANSPORT_HEADER || additional > len - TRANSPORT_HEADER ||
	    additional >= TRANSPORT_ID_MAX - TRANSPORT_HEADER)
		return 0;
	name_len = strnlen((const char *)data + TRANSPORT_HEADER, additional);
	/* It ends with a NUL, and names a port: a device name, ",i,0x" and the ISID. */
	if (name_len == additional || !name_len || !memmem(data + TRANSPORT_HEADER, name_len, ",i,0x", 5))
		return 0;
	memcpy(name, data + TRANSPORT_HEADER, name_len + 1);
	return TRANSPORT_HEADER + additional;
}
