// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an initramfs can do: see initramfs.h.
 *
 * Archives as they are go through cpio.h at once. Where it goes on compressed, the rest is kept in memory, and a
 * decompressor in a box pours it into a second look; a compressed archive within that is not followed.
 */
#include "doctor/initramfs.h"

#include "base/box.h"
#include "base/util.h"
#include "doctor/cpio.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PACKED_MAX = 256 << 20,
	UNPACKED_MAX = 1 << 30, /* a bomb ends there */
	MEMORY_MIB = 512,
	TIMEOUT_MS = 15000,
};

struct packer {
	const char *name;
	size_t len;
	const char *magic;
	const char *argv[4];
};

static const struct packer packers[] = {
	{ "gzip", 2, "\x1f\x8b", { "/usr/bin/gzip", "-dc", NULL } },
	{ "zstd", 4, "\x28\xb5\x2f\xfd", { "/usr/bin/zstd", "-dcq", NULL } },
	{ "zstd", 4, "\x50\x2a\x4d\x18", { "/usr/bin/zstd", "-dcq", NULL } }, /* pzstd: a skippable frame first */
	{ "xz",
	  6,
	  "\xfd"
	  "7zXZ\0",
	  { "/usr/bin/xz", "-dc", NULL } },
	{ "lz4", 4, "\x02\x21\x4c\x18", { "/usr/bin/lz4", "-dc", NULL } },
	{ "lz4", 4, "\x04\x22\x4d\x18", { "/usr/bin/lz4", "-dc", NULL } },
	{ "bzip2", 3, "BZh", { "/usr/bin/bzip2", "-dc", NULL } },
	{ "xz", 3, "\x5d\0\0", { "/usr/bin/xz", "-dc", "--format=lzma", NULL } },
};

/* ---- names ---- */

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len >= end_len && !strcmp(name + len - end_len, end);
}

/* "iscsi_tcp" of "usr/lib/modules/6.1/.../iscsi_tcp.ko.xz" */
static bool is_module(const char *name, const char *module)
{
	const char *base = strrchr(name, '/');
	size_t len = strlen(module);

	base = base ? base + 1 : name;
	return !strncmp(base, module, len) && !strncmp(base + len, ".ko", 3);
}

static void add_nic(struct initramfs *found, const char *name)
{
	const char *base = strrchr(name, '/') + 1;
	int len = (int)strcspn(base, "."), have = (int)strlen(found->nics);

	found->nic_count++;
	if (have + len + 3 < (int)sizeof(found->nics))
		snprintf(found->nics + have, sizeof(found->nics) - (size_t)have, "%s%.*s", have ? ", " : "", len, base);
}

/* Drivers of cards that a machine may boot from; some of virtual machines lie beside "ethernet". */
static bool is_nic(const char *name)
{
	static const char *const others[] = { "virtio_net", "vmxnet3", "hv_netvsc", "xen-netfront" };

	if (!strstr(name, "/kernel/drivers/net/") || !strstr(name, ".ko"))
		return false;
	for (size_t i = 0; i < array_len(others); i++) {
		if (is_module(name, others[i]))
			return true;
	}
	return strstr(name, "/drivers/net/ethernet/") != NULL;
}

void initramfs_add_name(void *arg, const char *name)
{
	struct initramfs *found = arg;

	found->dracut |= strstr(name, "usr/lib/dracut/") || strstr(name, "usr/lib/dracut-") ||
			 ends_in(name, "initqueue/online") || !strncmp(name, "lib/dracut/", 11);
	found->host_only |= strstr(name, "dracut/hostonly-") != NULL;
	found->own_cmdline |= strstr(name, "etc/cmdline.d/") && ends_in(name, ".conf");
	found->login |= ends_in(name, "bin/iscsistart") || ends_in(name, "bin/iscsid");
	found->multipath |= ends_in(name, "bin/multipath");
	found->tcp |= is_module(name, "iscsi_tcp");
	found->ibft |= is_module(name, "iscsi_ibft");
	found->modules |= strstr(name, ".ko") != NULL;
	if (is_nic(name))
		add_nic(found, name);
}

/* ---- the compressed part ---- */

struct unpacked {
	struct cpio cpio;
	uint64_t bytes;
};

static bool take_unpacked(void *arg, const void *data, size_t len)
{
	struct unpacked *unpacked = arg;

	unpacked->bytes += len;
	return unpacked->bytes <= UNPACKED_MAX && cpio_push(&unpacked->cpio, data, len) == len;
}

static const struct packer *find_packer(int packed)
{
	char magic[8] = "";

	if (pread(packed, magic, sizeof(magic), 0) < 0)
		return NULL;
	for (size_t i = 0; i < array_len(packers); i++) {
		if (!memcmp(magic, packers[i].magic, packers[i].len))
			return &packers[i];
	}
	return NULL;
}

static void look_packed(int packed, struct initramfs *found)
{
	const struct packer *packer = find_packer(packed);
	struct unpacked *unpacked = calloc(1, sizeof(*unpacked));
	struct box_end *end = calloc(1, sizeof(*end));
	struct box box = { .input = packed,
			   .memory_mib = MEMORY_MIB,
			   .timeout_ms = TIMEOUT_MS,
			   .take = take_unpacked,
			   .arg = unpacked };

	if (!packer) {
		snprintf(found->why_not, sizeof(found->why_not), "it is compressed in a way that is not known here");
	} else if (!unpacked || !end) {
		snprintf(found->why_not, sizeof(found->why_not), "there is no memory");
	} else if (access(packer->argv[0], X_OK)) {
		snprintf(found->why_not, sizeof(found->why_not), "%s is not installed on the server", packer->name);
	} else {
		box.argv = packer->argv;
		cpio_init(&unpacked->cpio, initramfs_add_name, found);
		found->told = !lseek(packed, 0, SEEK_SET) && !box_run(&box, end) && !end->enough &&
			      cpio_is_whole(&unpacked->cpio);
		if (!found->told)
			snprintf(found->why_not, sizeof(found->why_not), "%s could not unpack all of it", packer->name);
	}
	free(unpacked);
	free(end);
}

/* ---- all of it ---- */

struct stream {
	struct cpio cpio;
	int packed; /* memory for what is compressed; -1: nothing yet */
	uint64_t packed_bytes;
	bool failed;
};

static bool keep(struct stream *stream, const uint8_t *data, size_t len)
{
	if (stream->packed < 0)
		stream->packed = memfd_create("initramfs", MFD_CLOEXEC);
	if (stream->packed < 0 || stream->packed_bytes + len > PACKED_MAX ||
	    write(stream->packed, data, len) != (ssize_t)len)
		stream->failed = true;
	stream->packed_bytes += len;
	return !stream->failed;
}

static bool take_stream(void *arg, const void *data, size_t len)
{
	struct stream *stream = arg;
	size_t taken = 0;

	if (stream->packed < 0)
		taken = cpio_push(&stream->cpio, data, len);
	return taken == len || keep(stream, (const uint8_t *)data + taken, len - taken);
}

void initramfs_look(const struct tree *tree, const char *path, struct initramfs *found)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	memset(found, 0, sizeof(*found));
	snprintf(found->why_not, sizeof(found->why_not), "it could not be read");
	if (!stream)
		return;
	cpio_init(&stream->cpio, initramfs_add_name, found);
	stream->packed = -1;
	if (!tree_stream(tree, path, take_stream, stream) && !stream->failed) {
		if (stream->packed >= 0)
			look_packed(stream->packed, found);
		else
			found->told = cpio_is_whole(&stream->cpio);
	}
	if (stream->packed >= 0)
		close(stream->packed);
	free(stream);
}
