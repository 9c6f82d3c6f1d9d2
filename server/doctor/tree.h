/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files in a file system of somebody else's disk: FAT by fat.h, others by grub-fstest in a box, one process for each
 * question (some milliseconds). Links are followed inside the file system. Private to doctor/.
 */
#ifndef DOCTOR_TREE_H
#define DOCTOR_TREE_H

#include "base/buf.h"
#include "doctor/fat.h"

/* What all trees of one disk share. */
struct tree_source {
	int fd;		   /* of the disk */
	bool may_open;	   /* nobody's box may (base/box.h) */
	bool no_tool;	   /* grub-fstest is not installed: noticed when it is needed */
	bool out_of_time;  /* noticed likewise */
	unsigned runs;	   /* processes that may still be started */
	uint64_t until_ms; /* time_monotonic_ms: no more questions after that */
};

struct tree {
	struct tree_source *source;
	struct fat *fat;  /* NULL: by grub-fstest */
	char device[112]; /* GRUB's: "loop0,gpt2", "lvm/vg-root" */
	char prefix[64];  /* before each path: a subvolume of btrfs, "/@" */
};

enum { TREE_FILE_MAX = 16 << 20 };

/* Enough of everything for one look at a disk. */
void tree_source_init(struct tree_source *source, int fd);
/* What grub-fstest says of the whole disk: its devices, a line each. 0 or -EIO. */
int tree_list_devices(struct tree_source *source, struct buf *lines);
/*
 * A file's content, at most the buffer's limit; path begins with '/'. 0; -ENOENT: it is not there; -EIO: the file system
 * cannot be looked into.
 */
int tree_read(const struct tree *tree, const char *path, struct buf *content);
/* The same as text, behind what the buffer has; "" where it is not there. 0 or -EIO. */
int tree_read_text(const struct tree *tree, const char *path, struct buf *text);
/* Piece by piece, until take says false. */
int tree_stream(const struct tree *tree, const char *path, bool (*take)(void *arg, const void *data, size_t len),
		void *arg);
bool tree_has(const struct tree *tree, const char *path);
/* Does GRUB know this file system? (Of one that it does not know it lists folders as empty, without a word.) */
bool tree_can_look(const struct tree *tree);
/*
 * Calls each for every name of a folder, which is given with a '/' behind; folders in it with a '/' behind; names with blanks come in parts. None where the
 * folder is not there. 0 or -EIO.
 */
int tree_list(const struct tree *tree, const char *folder, void (*each)(void *arg, const char *name), void *arg);

#endif
