// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the file system itself can do: FILES threads, each overwriting 4 KiB somewhere in a file of its own of BYTES and
 * waiting for fdatasync, for SECONDS. The files stay in DIR for the next time. Prints one JSON object.
 *
 *	bare_sync DIR FILES BYTES SECONDS
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

enum { BLOCK = 4096, FILES_MAX = 4096 };

static struct worker {
	pthread_t thread;
	int fd;
	unsigned seed;
} workers[FILES_MAX];
static long blocks; /* of a file */
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
		off_t at = (off_t)(rand_r(&w->seed) % blocks) * BLOCK;

		if (pwrite(w->fd, block, sizeof(block), at) != sizeof(block) || fdatasync(w->fd))
			abort();
		if (atomic_load(&running))
			atomic_fetch_add(&done, 1);
	}
	return NULL;
}

/* Written once, so that all later writes overwrite. */
static int open_written(const char *dir, int number)
{
	static char zeroes[BLOCK * 16];
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/bare.%d", dir, number);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		abort();
	if (lseek(fd, 0, SEEK_END) < blocks * BLOCK)
		for (off_t at = 0; at < blocks * BLOCK; at += (off_t)sizeof(zeroes))
			if (pwrite(fd, zeroes, sizeof(zeroes), at) != sizeof(zeroes))
				abort();
	return fd;
}

int main(int argc, char **argv)
{
	int files = argc == 5 ? atoi(argv[2]) : 0;
	double began;

	blocks = argc == 5 ? atol(argv[3]) / BLOCK : 0;
	if (files < 1 || files > FILES_MAX || blocks < 16) {
		fprintf(stderr, "usage: bare_sync DIR FILES BYTES SECONDS\n");
		return 2;
	}
	for (int i = 0; i < files; i++) {
		workers[i].fd = open_written(argv[1], i);
		workers[i].seed = (unsigned)i;
	}
	sync();
	for (int i = 0; i < files; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			abort();
	usleep(200000);
	began = seconds();
	atomic_store(&running, true);
	usleep((useconds_t)(atof(argv[4]) * 1e6));
	atomic_store(&running, false);
	printf("{\"iops\":%.1f}\n", (double)atomic_load(&done) / (seconds() - began));
	atomic_store(&over, true);
	for (int i = 0; i < files; i++)
		pthread_join(workers[i].thread, NULL);
	return 0;
}
