/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A state directory with its store and inventory, and a folder for inputs beside it. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "cmocka_all.h"

#include "base/pool.h"
#include "store/private.h"
#include "store/store.h"

struct store_backend;

struct fixture {
	char dir[64]; /* holds "state" and the inputs */
	char state[96];
	struct pool *pool;
	struct inventory *inventory;
	struct store *store;
	const struct store_backend *const *backends; /* NULL: those that there are */
};

/* cmocka set-up and teardown: *state is a struct fixture. Teardown removes everything. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* The parts of it: a folder without a store, then with one. */
struct fixture *fixture_new(void);
void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);

int in_write(struct fixture *f, int (*run)(struct inventory_tx *tx, void *arg), void *arg);

/* DIR/NAME, in one of a few static buffers. */
const char *input(struct fixture *f, const char *name);
/* STATE/FOLDER/NAME, likewise. */
const char *in_state(struct fixture *f, const char *folder, const char *name);
void run_command(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* False, loudly, where a tool is missing: the test is then skipped. */
bool have_tool(const char *name);
void make_file(const char *path, const void *data, size_t len, uint64_t size);
/* A raw disk of size bytes with some blocks of data in it, different for each seed. */
void make_disk(const char *path, uint64_t size, unsigned seed);
/* How many entries a folder has. */
unsigned count_entries(const char *folder);
bool same_content(const char *a, const char *b);

/* Imports and waits for the end. */
/* Until the import has changed from *status. */
void import_wait(struct fixture *f, uint64_t id, struct job_status *status);
struct job_status import_for(struct fixture *f, const char *path, const char *name, enum import_use use);
/* For machines. */
struct job_status import_file(struct fixture *f, const char *path, const char *name);
/* The same, which must succeed; the version. */
struct image_version import_version(struct fixture *f, const char *path, const char *name);
struct image_version get_version(struct fixture *f, const char *image, unsigned number);
/* A machine with a fresh child of that version, file and row; its id. */
struct machine enrol(struct fixture *f, const struct image_version *version, unsigned n);
struct machine get_machine(struct fixture *f, int64_t id);
void put_machine(struct fixture *f, const struct machine *machine);

#endif
