/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The targets of testd, and the provider that has them. */
#ifndef TESTD_H
#define TESTD_H

#include "disk/disk.h"
#include "iscsi/server.h"
#include "memory_disk.h"

#include <pthread.h>

enum { THREADS_MAX = 16, VOLUMES = 8 };

/* What is attached to a machine besides its own disk. */
struct volume {
	unsigned lun; /* 0: nothing */
	char kind[8], serial[ISCSI_SERIAL_MAX + 1];
	uint64_t size_bytes;
	void *memory; /* room for twice as much */
};

struct machine {
	const char *name;
	enum iscsi_auth auth, begun_under;
	bool many, listed, needs_closed, physical_512;
	uint16_t refused;      /* by find */
	uint16_t unopened;     /* by open */
	const char *initiator; /* the only one */
	uint64_t boot, pending;
	uint64_t size_bytes; /* once it has grown */
	void *memory;
	struct memory_gate gate;
	struct volume volumes[VOLUMES];
	void *state;
	size_t state_len;
};

struct testd {
	pthread_mutex_t mutex; /* guards machines */
	struct iscsi_server *server;
	struct disk_env *env;
	uint64_t size_bytes;
	unsigned in_use_ms;
	struct loop *loops[THREADS_MAX];
	unsigned loop_count;
	pthread_mutex_t stop_mutex;
	pthread_cond_t stop_cond;
	bool stopped;
};

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct machine *machine_of(uint64_t key);
/* arg: struct testd */
extern const struct iscsi_provider testd_provider;
/* This opens under that number from now on; 0 bytes: nothing does. */
void set_volume(struct testd *testd, struct machine *machine, unsigned lun, const char *kind, uint64_t size_bytes,
		const char *serial);
void init_gates(void);
/* key 0: of all. */
void open_gates(uint64_t key);
void free_machines(void);

#endif
