/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An inventory in a folder of its own, and jobs as one call. */
#ifndef TESTS_INVENTORY_FIXTURE_H
#define TESTS_INVENTORY_FIXTURE_H

#include "cmocka_all.h"

#include "inventory/inventory.h"

struct fixture {
	char dir[64];
	char path[96];
	struct inventory *inventory;
};

/* cmocka set-up and teardown: *state is a struct fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Closes and opens again. */
void fixture_reopen(struct fixture *f);

/* Runs run(tx, arg) as a write or read job and returns its result. */
int in_write(struct fixture *f, int (*run)(struct inventory_tx *tx, void *arg), void *arg);
int in_read(struct fixture *f, int (*run)(struct inventory_tx *tx, void *arg), void *arg);

/* A version of image "golden" that is published; its id. */
int64_t make_version(struct inventory_tx *tx, unsigned number);
/* A machine that is valid. n makes its name, IQN, child and MAC unique. */
struct machine make_machine(unsigned n, int64_t version_id);
void make_mac(char mac[PARSE_MAC_TEXT], unsigned n);

#endif
