// SPDX-License-Identifier: GPL-2.0-or-later
/* Negotiation of operational keys: see negotiate.h. */
#include "iscsi/login/negotiate.h"

#include "base/buf.h"
#include "base/parse.h"
#include "base/util.h"
#include "iscsi/wire/keys.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum kind {
	KIND_DIGEST,	  /* list; we take None and CRC32C */
	KIND_AND,	  /* Yes when both say so */
	KIND_OR,	  /* Yes when one says so */
	KIND_MIN,	  /* the smaller number */
	KIND_MAX,	  /* the larger number */
	KIND_DECLARED,	  /* the initiator's own; no answer (§6.2.1) */
	KIND_TEXT,	  /* declared; not interesting */
	KIND_REPORTING,	  /* TaskReporting: a list of which we take RFC3720 */
	KIND_CONSTANT_NO, /* §13.25: obsolete markers */
	KIND_REJECTED,	  /* §13.25: obsolete marker intervals */
	KIND_ELSEWHERE,	  /* login.c, security.c or discovery.c reads it */
};

enum {
	LEADING_ONLY = 1,     /* §13: LO, only in the first login of a session */
	NOT_IN_DISCOVERY = 2, /* irrelevant when SessionType=Discovery */
	FULL_ONLY = 4,	      /* FFPO */
};

#define AT(field) offsetof(struct iscsi_params, field)

static const struct rule {
	const char *name;
	enum kind kind;
	unsigned when;
	uint32_t min, max; /* range of values that are legal at all */
	uint32_t ours;	   /* what goes into the result function */
	size_t offset;	   /* of the result in struct iscsi_params */
} rules[] = {
	/* RFC 7143 §13.1 to §13.24 */
	{ "HeaderDigest", KIND_DIGEST, 0, 0, 0, 0, AT(header_digest) },
	{ "DataDigest", KIND_DIGEST, 0, 0, 0, 0, AT(data_digest) },
	{ "MaxConnections", KIND_MIN, LEADING_ONLY | NOT_IN_DISCOVERY, 1, 65535, 1, AT(max_connections) },
	{ "SendTargets", KIND_ELSEWHERE, FULL_ONLY, 0, 0, 0, 0 },
	{ "TargetName", KIND_ELSEWHERE, 0, 0, 0, 0, 0 },
	{ "InitiatorName", KIND_ELSEWHERE, 0, 0, 0, 0, 0 },
	{ "InitiatorAlias", KIND_TEXT, 0, 0, 0, 0, 0 },
	{ "InitialR2T", KIND_OR, LEADING_ONLY | NOT_IN_DISCOVERY, 0, 0, 0, AT(initial_r2t) },
	{ "ImmediateData", KIND_AND, LEADING_ONLY | NOT_IN_DISCOVERY, 0, 0, 1, AT(immediate_data) },
	{ "MaxRecvDataSegmentLength", KIND_DECLARED, 0, 512, MAX_BURST, 0, AT(max_send_data) },
	{ "MaxBurstLength", KIND_MIN, LEADING_ONLY | NOT_IN_DISCOVERY, 512, MAX_BURST, MAX_BURST, AT(max_burst) },
	{ "FirstBurstLength", KIND_MIN, LEADING_ONLY | NOT_IN_DISCOVERY, 512, MAX_BURST, MAX_FIRST_BURST,
	  AT(first_burst) },
	{ "DefaultTime2Wait", KIND_MAX, LEADING_ONLY, 0, 3600, 0, AT(time2wait) },
	/* ErrorRecoveryLevel 0: nothing is retained. */
	{ "DefaultTime2Retain", KIND_MIN, LEADING_ONLY, 0, 3600, 0, AT(time2retain) },
	{ "MaxOutstandingR2T", KIND_MIN, LEADING_ONLY | NOT_IN_DISCOVERY, 1, 65535, MAX_R2TS, AT(max_r2ts) },
	{ "DataPDUInOrder", KIND_OR, LEADING_ONLY | NOT_IN_DISCOVERY, 0, 0, 1, AT(pdu_in_order) },
	{ "DataSequenceInOrder", KIND_OR, LEADING_ONLY | NOT_IN_DISCOVERY, 0, 0, 1, AT(sequence_in_order) },
	{ "ErrorRecoveryLevel", KIND_MIN, LEADING_ONLY, 0, 2, 0, AT(error_recovery_level) },
	{ "SessionType", KIND_ELSEWHERE, LEADING_ONLY, 0, 0, 0, 0 },
	/* 1: RFC 7143; 2 would be RFC 7144. */
	{ "iSCSIProtocolLevel", KIND_MIN, LEADING_ONLY | NOT_IN_DISCOVERY, 0, 31, 1, AT(protocol_level) },
	{ "TaskReporting", KIND_REPORTING, LEADING_ONLY | NOT_IN_DISCOVERY, 0, 0, 0, 0 },
	{ "AuthMethod", KIND_ELSEWHERE, 0, 0, 0, 0, 0 },
	{ "CHAP_A", KIND_ELSEWHERE, 0, 0, 0, 0, 0 },
	{ "CHAP_I", KIND_ELSEWHERE, 0, 0, 0, 0, 0 },
	{ "CHAP_C", KIND_ELSEWHERE, 0, 0, 0, 0, 0 },
	{ "CHAP_N", KIND_ELSEWHERE, 0, 0, 0, 0, 0 },
	{ "CHAP_R", KIND_ELSEWHERE, 0, 0, 0, 0, 0 },
	/* §13.25 */
	{ "IFMarker", KIND_CONSTANT_NO, 0, 0, 0, 0, 0 },
	{ "OFMarker", KIND_CONSTANT_NO, 0, 0, 0, 0, 0 },
	{ "IFMarkInt", KIND_REJECTED, 0, 0, 0, 0, 0 },
	{ "OFMarkInt", KIND_REJECTED, 0, 0, 0, 0, 0 },
};

_Static_assert(array_len(rules) <= 32, "struct negotiation keeps one bit for each rule");

void negotiation_init(struct negotiation *negotiation)
{
	*negotiation = (struct negotiation){ .params = {
						     .initial_r2t = 1,
						     .immediate_data = 1,
						     .max_send_data = DEFAULT_RECV_DATA,
						     .max_burst = 262144,
						     .first_burst = 65536,
						     .max_r2ts = 1,
						     .time2wait = 2,
						     .time2retain = 20,
						     .max_connections = 1,
						     .pdu_in_order = 1,
						     .sequence_in_order = 1,
						     .protocol_level = 1,
					     } };
}

static uint32_t *result_of(struct iscsi_params *params, const struct rule *rule)
{
	return (uint32_t *)(void *)((char *)params + rule->offset);
}

/* §6.2.1: an answer that the list does not have is Reject. */
static void negotiate_digest(const struct rule *rule, const char *value, uint32_t *result, struct buf *reply)
{
	char item[KEY_VALUE_MAX + 1];

	/* §6.2.1: the first of the offered values that we support */
	while (keys_list_next(&value, item, sizeof(item))) {
		bool crc = !strcmp(item, "CRC32C");

		if (crc || !strcmp(item, "None")) {
			*result = crc;
			keys_add(reply, rule->name, item);
			return;
		}
	}
	keys_add(reply, rule->name, "Reject");
}

static void negotiate_bool(const struct rule *rule, const char *value, uint32_t *result, struct buf *reply)
{
	bool yes = !strcmp(value, "Yes");

	if (!yes && strcmp(value, "No")) {
		keys_add(reply, rule->name, "Reject");
		return;
	}
	*result = rule->kind == KIND_AND ? yes && rule->ours : yes || rule->ours;
	keys_add(reply, rule->name, *result ? "Yes" : "No");
}

static void negotiate_number(const struct rule *rule, const char *value, uint32_t *result, struct buf *reply)
{
	uint64_t offered;

	/* §6.2.2: outside the key's range, or no number at all */
	if (!parse_number(value, rule->min, rule->max, &offered)) {
		keys_add(reply, rule->name, "Reject");
		return;
	}
	*result = (uint32_t)(rule->kind == KIND_MIN ? min_u64(offered, rule->ours) : max_u64(offered, rule->ours));
	keys_add_number(reply, rule->name, *result);
}

static const char *negotiate_one(struct negotiation *negotiation, const struct rule *rule, const char *value,
				 struct buf *reply)
{
	uint32_t *result = result_of(&negotiation->params, rule);
	uint64_t declared;

	switch (rule->kind) {
	case KIND_DIGEST:
		negotiate_digest(rule, value, result, reply);
		break;
	case KIND_AND:
	case KIND_OR:
		negotiate_bool(rule, value, result, reply);
		break;
	case KIND_MIN:
	case KIND_MAX:
		negotiate_number(rule, value, result, reply);
		break;
	case KIND_DECLARED:
		/* A declaration has no answer, so a wrong one cannot be rejected politely. */
		if (!parse_number(value, rule->min, rule->max, &declared))
			return "MaxRecvDataSegmentLength out of range";
		*result = (uint32_t)declared;
		break;
	case KIND_REPORTING:
		keys_add(reply, rule->name, keys_list_has(value, "RFC3720") ? "RFC3720" : "Reject");
		break;
	case KIND_CONSTANT_NO:
		keys_add(reply, rule->name, "No");
		break;
	case KIND_REJECTED:
		keys_add(reply, rule->name, "Reject");
		break;
	case KIND_TEXT:
	case KIND_ELSEWHERE:
		break;
	}
	return NULL;
}

static const struct rule *find_rule(const char *name)
{
	for (size_t i = 0; i < array_len(rules); i++)
		if (!strcmp(rules[i].name, name))
			return &rules[i];
	return NULL;
}

static const char *negotiate_key(struct negotiation *negotiation, enum negotiate_phase phase, const char *name,
				 const char *value, struct buf *reply)
{
	const struct rule *rule = find_rule(name);
	uint32_t bit;

	if (!rule) {
		/* §6.2: also X- keys. Bounded, so that the answer always fits into 8192 bytes. */
		if (++negotiation->unknown > 64)
			return "too many unknown keys";
		keys_add(reply, name, "NotUnderstood");
		return NULL;
	}
	bit = 1u << (rule - rules);
	if (phase == NEGOTIATE_FULL && (rule->when & LEADING_ONLY))
		return "a key that only the login may have";
	if (phase == NEGOTIATE_LOGIN && (rule->when & FULL_ONLY))
		return "a key that only the full feature phase may have";
	/* §6.2: a key is negotiated once */
	if (phase == NEGOTIATE_LOGIN && rule->kind != KIND_ELSEWHERE && (negotiation->seen & bit))
		return "a key that was negotiated before";
	negotiation->seen |= bit;
	if (negotiation->discovery && (rule->when & NOT_IN_DISCOVERY)) {
		keys_add(reply, name, "Irrelevant");
		return NULL;
	}
	return negotiate_one(negotiation, rule, value, reply);
}

const char *negotiate(struct negotiation *negotiation, enum negotiate_phase phase, const char *text, size_t len,
		      struct buf *reply)
{
	char name[KEY_NAME_MAX + 1];
	const char *value, *first_burst = NULL, *wrong = NULL;
	struct iscsi_params *params = &negotiation->params;

	for (size_t at = 0; !wrong && keys_next(text, len, &at, name, &value);) {
		/* §13.14: it must not exceed MaxBurstLength, which may come after it. */
		if (!strcmp(name, "FirstBurstLength"))
			first_burst = value;
		else
			wrong = negotiate_key(negotiation, phase, name, value, reply);
	}
	if (first_burst && !wrong) {
		uint64_t offered;
		char bounded[32];

		if (parse_number(first_burst, 512, MAX_BURST, &offered) && offered > params->max_burst) {
			snprintf(bounded, sizeof(bounded), "%u", params->max_burst);
			first_burst = bounded;
		}
		wrong = negotiate_key(negotiation, phase, "FirstBurstLength", first_burst, reply);
	}
	params->first_burst = (uint32_t)min_u64(params->first_burst, params->max_burst);
	return wrong;
}
