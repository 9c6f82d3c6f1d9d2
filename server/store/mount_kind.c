// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * File systems that another host, or another mount of the same host, can have as well. Whether locks reach it there is
 * a matter of its version, its options and its servers, which cannot be asked for: so all of them are named here, and
 * what is not named counts as a disk of this host's.
 */
#include "store/mount_kind.h"

#include "base/util.h"

#include <stdint.h>
#include <sys/vfs.h>

static const struct {
	uint32_t f_type; /* <linux/magic.h>, and the sources of those that are not in Linux */
	const char *name;
} kinds[] = {
	{ 0x00006969, "NFS" },	  { 0xff534d42, "SMB" },    { 0xfe534d42, "SMB" },    { 0x0000517b, "SMB" },
	{ 0x01021997, "9p" },	  { 0x65735546, "FUSE" },   { 0x00c36400, "CephFS" }, { 0x01161970, "GFS2" },
	{ 0x7461636f, "OCFS2" },  { 0x5346414f, "AFS" },    { 0x6b414653, "AFS" },    { 0x73757245, "Coda" },
	{ 0x0bd00bd0, "Lustre" }, { 0x47504653, "GPFS" },   { 0x19830326, "BeeGFS" }, { 0x20030528, "OrangeFS" },
	{ 0x786f4256, "vboxsf" }, { 0xbacbacbc, "vmhgfs" }, { 0x7c7c6673, "prl_fs" },
};

static const char *kind_name(uint64_t f_type)
{
	/* The field is signed, and on some machines wider than the number. */
	for (size_t i = 0; i < array_len(kinds); i++) {
		if (kinds[i].f_type == (uint32_t)f_type)
			return kinds[i].name;
	}
	return NULL;
}

const char *mount_kind_of(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) ? NULL : kind_name((uint64_t)fs.f_type);
}
