// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who gets a version (enum version_state), what is noted about it, and when it is to be published. A version that is not
 * published has published = 0 and its state in unpublished; one that is has its place in the order.
 */
#include "inventory/db.h"
#include "inventory/rollout.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define PLAN_MAX_MS ((int64_t)10 * 366 * 24 * 3600 * 1000)

static const char *const state_words[] = {
	[VERSION_DRAFT] = "draft", [VERSION_TEST] = "test", [VERSION_PUBLISHED] = "published", [VERSION_RETIRED] = "retired"
};

const char *version_state_name(enum version_state state)
{
	return state_words[state];
}

bool version_state_parse(const char *text, enum version_state *state)
{
	for (unsigned i = 0; i < sizeof(state_words) / sizeof(state_words[0]); i++) {
		if (!strcmp(state_words[i], text)) {
			*state = (enum version_state)i;
			return true;
		}
	}
	return false;
}

int version_check_given(const struct image_version *v, struct reason *reason)
{
	if (v->state == VERSION_DRAFT)
		return reason_refuse(reason, -ESTALE,
				     "%s@%u is a draft, which nobody gets: sanbootctl image set %s@%u state=test lets "
				     "those have it that name it",
				     v->image, v->number, v->image, v->number);
	if (v->state == VERSION_RETIRED)
		return reason_refuse(
			reason, -ESTALE,
			"%s@%u is retired, and nobody new gets it: name another version, or take it back with: "
			"sanbootctl image set %s@%u state=test",
			v->image, v->number, v->image, v->number);
	return 0;
}

bool version_is_outdated(const struct image_version *v)
{
	bool to_test = v->state == VERSION_DRAFT || v->state == VERSION_TEST;

	return v->newest && v->newest != v->number && (!to_test || v->number < v->newest);
}

/* ---- publishing ---- */

struct others {
	const struct image_version *version;
	unsigned machines;
};

static int count_others(void *arg, const struct image_version *version)
{
	struct others *others = arg;

	if (!strcmp(version->image, others->version->image) && version->number != others->version->number)
		others->machines += version->machines;
	return 0;
}

static int refuse_retired(const struct image_version *v, struct reason *reason)
{
	if (v->state != VERSION_RETIRED)
		return 0;
	return reason_refuse(reason, -ESTALE,
			     "%s@%u is retired: take it back first with: sanbootctl image set %s@%u state=test",
			     v->image, v->number, v->image, v->number);
}

int version_publish_by(struct inventory_tx *tx, int64_t id, const char *actor, struct published *published,
		       struct reason *reason)
{
	struct image_version *v = &published->version;
	struct others others = { .version = v };
	int err = version_by_id(tx, id, v);

	if (!err)
		err = refuse_retired(v, reason);
	if (!err)
		err = rollout_check_publish(tx, v, reason);
	if (!err)
		err = version_publish(tx, id);
	if (!err)
		err = rollout_note_published(tx, v, &published->ends_rollout);
	if (!err)
		err = version_each(tx, count_others, &others);
	if (!err)
		err = version_find(tx, v->image, 0, &published->newest);
	if (err)
		return err;
	published->others = others.machines;
	return event_add(tx, "info", "image-published", actor, 0, v->image,
			 "%s@%u is published; new machines get %s@%u; %u machine%s on other versions%s", v->image,
			 v->number, v->image, published->newest.number, others.machines,
			 others.machines == 1 ? " stays" : "s stay",
			 published->ends_rollout ? " until the next boot, as its rollout is done" : "");
}

/* ---- states ---- */

/* New machines must not be without an image, or get another one, because one was taken away. */
static int refuse_last(struct inventory_tx *tx, const struct image_version *v, struct reason *reason)
{
	struct query q;
	int64_t others;
	int err;

	if (!v->is_newest)
		return 0;
	query_begin(&q, tx,
		    "SELECT count(*) FROM image_version AS other JOIN image_version AS it ON other.image_id = it.image_id "
		    "WHERE it.id = ? AND other.id <> it.id AND other.published > 0");
	query_bind(&q, v->id);
	err = query_number(&q, &others);
	if (err)
		return err;
	if (others || v->is_default)
		return reason_refuse(reason, -EINVAL,
				     "new machines get %s@%u: first publish another version (sanbootctl image publish "
				     "%s@V)%s",
				     v->image, v->number, v->image,
				     others ?
					     "" :
					     ", or make another image the default one (sanbootctl image default NAME)");
	return 0;
}

int version_set_state(struct inventory_tx *tx, int64_t id, enum version_state state, const char *actor,
		      struct reason *reason)
{
	struct image_version v;
	struct query q;
	int err = version_by_id(tx, id, &v);

	if (err)
		return err;
	if (state == VERSION_PUBLISHED)
		return reason_refuse(reason, -EINVAL, "publish it with: sanbootctl image publish %s@%u", v.image,
				     v.number);
	if (v.state == state)
		return 0;
	if (state == VERSION_DRAFT && (v.machines || v.volumes))
		return reason_refuse(
			reason, -EINVAL,
			"%u machines and %u volumes have %s@%u, and nobody has a draft: retired lets them keep "
			"it",
			v.machines, v.volumes, v.image, v.number);
	err = refuse_last(tx, &v, reason);
	if (!err)
		err = rollout_check_unused(tx, &v, reason);
	if (err)
		return err;
	query_begin(
		&q, tx,
		"UPDATE image_version SET published = 0, unpublished = ?, publish_at_ms = CASE WHEN ?1 = 3 THEN 0 ELSE "
		"publish_at_ms END WHERE id = ?");
	query_bind(&q, state);
	query_bind(&q, id);
	err = query_run(&q);
	return err ? err :
		     event_add(tx, "info", "image-state", actor, 0, v.image, "%s@%u is %s now, and was %s%s", v.image,
			       v.number, version_state_name(state), version_state_name(v.state),
			       v.publish_at_ms && state == VERSION_RETIRED ?
				       "; it will not be published as was planned" :
				       "");
}

int version_set_note(struct inventory_tx *tx, int64_t id, const char *note, const char *actor, struct reason *reason)
{
	struct image_version v;
	struct query q;
	int err = version_by_id(tx, id, &v);

	if (err)
		return err;
	if (strlen(note) >= sizeof(v.note))
		return reason_refuse(reason, -EINVAL, "a note has at most %zu bytes", sizeof(v.note) - 1);
	query_begin(&q, tx, "UPDATE image_version SET note = ? WHERE id = ?");
	query_bind_text(&q, note, sizeof(v.note));
	query_bind(&q, id);
	err = query_run(&q);
	return err ? err : event_add(tx, "info", "image-note", actor, 0, v.image, "%s@%u: %s", v.image, v.number, note);
}

/* ---- plans ---- */

static int set_plan(struct inventory_tx *tx, int64_t id, int64_t at_ms, const char *actor)
{
	struct query q;

	query_begin(&q, tx, "UPDATE image_version SET publish_at_ms = ?, publish_by = ? WHERE id = ?");
	query_bind(&q, at_ms);
	query_bind_text(&q, actor, ACTOR_TEXT);
	query_bind(&q, id);
	return query_run(&q);
}

int version_plan(struct inventory_tx *tx, int64_t id, int64_t at_ms, const char *actor, struct reason *reason)
{
	struct image_version v;
	time_t at = (time_t)(at_ms / 1000);
	char text[32];
	struct tm local;
	int err = version_by_id(tx, id, &v);

	if (err)
		return err;
	if (!at_ms && !v.publish_at_ms)
		return reason_refuse(reason, -ENOENT, "nothing is planned for %s@%u", v.image, v.number);
	if (at_ms && at_ms <= tx->now_ms)
		return reason_refuse(reason, -EINVAL,
				     "that time is over: publish %s@%u now (without a time), or name a later one",
				     v.image, v.number);
	if (at_ms > tx->now_ms + PLAN_MAX_MS)
		return reason_refuse(reason, -EINVAL, "that time is more than ten years away");
	err = at_ms ? refuse_retired(&v, reason) : 0;
	if (!err)
		err = set_plan(tx, id, at_ms, at_ms ? actor : "");
	if (err)
		return err;
	if (!at_ms)
		return event_add(tx, "info", "image-plan", actor, 0, v.image, "%s@%u is not published as was planned",
				 v.image, v.number);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %Z", localtime_r(&at, &local));
	return event_add(tx, "info", "image-plan", actor, 0, v.image, "%s@%u is to be published at %s", v.image,
			 v.number, text);
}
