// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the file system itself can do: FILES threads, each overwriting 4 KiB somewhere in a file of its own and waiting for
 * fdatasync, for SECONDS. Prints one JSON object.
 *
 *	bare_sync DIR FILES SECONDS
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 4096, FILES_MAX = 4096 };

static struct worker {
	pthread_t thread;
	int fd;
	unsigned seed;
} workers[FILES_MAX];
static atomic_bool running, over;
static atomic_ulong done;

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	char block[BLOCK];

	memset(block, 'b', sizeof(block));
	while (!atomic_load(&over)) {
		off_t at = (off_t)(rand_r(&w->seed) % BLOCKS) * BLOCK;

		if (pwrite(w->fd, block, sizeof(block), at) != sizeof(block) || fdatasync(w->fd))
			abort();
		if (atomic_load(&running))
			atomic_fetch_add(&done, 1);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int files = argc == 4 ? atoi(argv[2]) : 0;
	static char zeroes[BLOCK * 16];
	double began;

	if (files < 1 || files > FILES_MAX) {
		fprintf(stderr, "usage: bare_sync DIR FILES SECONDS\n");
		return 2;
	}
	for (int i = 0; i < files; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/bare.%d", argv[1], i);
		workers[i].fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		workers[i].seed = (unsigned)i;
		if (workers[i].fd < 0 || unlink(path))
			abort();
		for (int b = 0; b < BLOCKS / 16; b++)
			if (write(workers[i].fd, zeroes, sizeof(zeroes)) != sizeof(zeroes))
				abort();
	}
	sync();
	for (int i = 0; i < files; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			abort();
	usleep(200000);
	began = seconds();
	atomic_store(&running, true);
	usleep((useconds_t)(atof(argv[3]) * 1e6));
	atomic_store(&running, false);
	printf("{\"iops\":%.1f}\n", (double)atomic_load(&done) / (seconds() - began));
	atomic_store(&over, true);
	for (int i = 0; i < files; i++)
		pthread_join(workers[i].thread, NULL);
	return 0;
}
