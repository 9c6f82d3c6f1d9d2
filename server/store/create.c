// SPDX-License-Identifier: GPL-2.0-or-later
/* An image of zeroes, for an installation. A file with one hole, whatever its size; see enter.h for how it gets in. */
#include "store/store.h"

#include "store/enter.h"
#include "store/hash.h"
#include "store/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SIZE_MIN = 1 << 20 };

static int check_size(uint64_t size_bytes, struct reason *reason)
{
	if (size_bytes < SIZE_MIN || size_bytes > STORE_SIZE_MAX)
		return reason_refuse(reason, -EINVAL,
				     "a disk has 1 MiB at least and 16 TiB at most: say for example 64G");
	if (size_bytes % 512)
		return reason_refuse(reason, -EINVAL, "a disk has whole blocks of 512 bytes: %llu bytes are none",
				     (unsigned long long)size_bytes);
	return 0;
}

static int fill(int fd, uint64_t size_bytes, struct image_version *version, struct reason *reason)
{
	/* By its data only, of which there is none: to hash terabytes of zeroes takes hours. */
	int err =
		ftruncate(fd, (off_t)size_bytes) ? -errno : hash_file(fd, size_bytes, HASH_DATA, NULL, version->sha256);

	if (err)
		return reason_refuse(reason, err, "%llu bytes cannot be a file here: %s",
				     (unsigned long long)size_bytes, strerror(-err));
	return enter_seal_file(fd, size_bytes, version, reason);
}

int store_create_image(struct store *store, const char *name, uint64_t size_bytes, const char *actor,
		       struct image_version *version, struct reason *reason)
{
	struct enter entry = { .version = version, .actor = actor, .new_image = true, .to_test = true };
	struct policy policy;
	char tmp[PATH_MAX];
	int fd, err = store_check_image_name(store, name, reason);

	if (!err)
		err = check_size(size_bytes, reason);
	if (!err && store_get_policy(store, &policy))
		err = reason_refuse(reason, -EIO, "the policy could not be read");
	if (!err)
		err = store_check_space(store, &policy, 0, reason);
	if (err)
		return err;
	fd = enter_make_file(store, "create", ".raw", tmp, reason);
	if (fd < 0)
		return fd;
	*version = (struct image_version){ .source = "nothing: an empty disk, for an installation" };
	snprintf(version->image, sizeof(version->image), "%s", name);
	entry.tmp = tmp;
	err = fill(fd, size_bytes, version, reason);
	if (!err)
		err = enter_version(store, &entry, reason);
	store_unlink(tmp);
	close(fd);
	return err;
}
