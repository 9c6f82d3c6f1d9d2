// SPDX-License-Identifier: GPL-2.0-or-later
/* The decision for every combination of facts, against the rules said once more in prose and if. */
#include "boot/ask/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* server/design.md, "Which machine, which boot", as a person would say it. */
static enum decision expected(const struct decide_facts *f)
{
	/* "the kernel's neighbour table must show the claimed MAC for its address: otherwise no secret" */
	if (f->stranger)
		return DECIDE_WAIT_STRANGER;
	/* "a shared MAC names a machine only together with its UUID" */
	if (f->nameless)
		return DECIDE_WAIT_NAMELESS;
	if (f->known) {
		/* "A known MAC with another real UUID is held as a conflict" */
		if (f->conflict)
			return f->denied ? DECIDE_DENY : DECIDE_WAIT_CONFLICT;
		/* What needs no disk is not kept from booting by it. */
		if (f->want == WANT_LOCAL)
			return DECIDE_LOCAL;
		if (f->want == WANT_MENU)
			return DECIDE_MENU;
		if (f->want == WANT_ENTRY)
			return DECIDE_ENTRY;
		if (f->failed)
			return DECIDE_WAIT_FAILED;
		/* "An answer: the asker waits on its screen" */
		if (f->running)
			return DECIDE_WAIT_RUNNING;
		return f->want == WANT_ENTRY_DISK ? DECIDE_ENTRY_DISK : DECIDE_SERVE;
	}
	if (f->denied)
		return DECIDE_DENY;
	/* "An unknown MAC with a known UUID or serial is offered to a person as a swap, unless that machine runs" */
	if (f->twin && !f->running)
		return DECIDE_WAIT_SWAP;
	if (f->enrol == ENROL_DENY)
		return DECIDE_DENY;
	if (f->full)
		return DECIDE_WAIT_FULL;
	if (!f->image)
		return DECIDE_WAIT_IMAGE;
	if (f->enrol == ENROL_APPROVE)
		return DECIDE_WAIT_APPROVAL;
	return f->no_space ? DECIDE_WAIT_SPACE : DECIDE_ENROL;
}

static void test_all(void **state)
{
	unsigned seen[DECISIONS] = { 0 };

	(void)state;
	for (unsigned bits = 0; bits < 5u << 11; bits++) {
		for (int enrol = ENROL_AUTO; enrol <= ENROL_DENY; enrol++) {
			struct decide_facts f = {
				.stranger = bits & 1,
				.known = bits & 2,
				.conflict = bits & 4,
				.twin = bits & 8,
				.denied = bits & 16,
				.failed = bits & 32,
				.running = bits & 64,
				.full = bits & 128,
				.image = bits & 256,
				.no_space = bits & 512,
				.nameless = bits & 1024,
				.want = (enum decide_want)(bits >> 11),
				.enrol = (enum enrol_kind)enrol,
			};
			enum decision got = decide(&f);

			assert_int_equal(got, expected(&f));
			seen[got]++;
		}
	}
	for (int i = 0; i < DECIDE_WAIT_TURN; i++) /* the last one, which is not decided here */
		assert_true(seen[i] > 0);
}

/* Who gets a secret or a disk: stated on its own, because nothing matters more. */
static void test_secrets(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 5u << 11; bits++) {
		struct decide_facts f = {
			.stranger = bits & 1,
			.known = bits & 2,
			.conflict = bits & 4,
			.twin = bits & 8,
			.denied = bits & 16,
			.failed = bits & 32,
			.running = bits & 64,
			.full = bits & 128,
			.image = bits & 256,
			.no_space = bits & 512,
			.nameless = bits & 1024,
			.want = (enum decide_want)(bits >> 11),
		};
		enum decision got = decide(&f);

		if (decision_opens_disk(got))
			assert_true(f.known && !f.stranger && !f.nameless && !f.conflict && !f.failed && !f.running);
		if (got == DECIDE_ENROL)
			assert_true(!f.known && !f.stranger && !f.nameless && (!f.twin || f.running) && !f.denied &&
				    !f.full && f.image);
	}
}

static void test_rows(void **state)
{
	enum waiting_reason reason;
	unsigned rows = 0;

	(void)state;
	for (int i = 0; i < DECISIONS; i++)
		rows += decision_waiting_reason((enum decision)i, &reason);
	assert_int_equal(rows, 6);
	assert_false(decision_waiting_reason(DECIDE_SERVE, &reason));
	assert_false(decision_waiting_reason(DECIDE_DENY, &reason));
	assert_false(decision_waiting_reason(DECIDE_WAIT_RUNNING, &reason));
	assert_true(decision_waiting_reason(DECIDE_WAIT_SWAP, &reason));
	assert_int_equal(reason, WAIT_SWAP);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_all), cmocka_unit_test(test_secrets),
					    cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
