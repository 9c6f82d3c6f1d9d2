/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a file to be imported is, told from its own bytes. Only what one file holds completely is let through;
 * everything else is refused by name, with what to do. Hostile bytes: every structure is bounded. Private to store/.
 */
#ifndef STORE_PROBE_H
#define STORE_PROBE_H

#include "base/reason.h"
#include "doctor/view.h"

enum image_format { FORMAT_RAW, FORMAT_QCOW2, FORMAT_VHD, FORMAT_VHDX, FORMAT_VMDK, FORMAT_VDI };

struct probe {
	enum image_format format;
	uint64_t size_bytes; /* of the disk inside: > 0, at most STORE_SIZE_MAX; not always a multiple of 512 */
};

/*
 * file_name: for its ending, which must not promise another format than the bytes are. 0 or -EINVAL, with a sentence in
 * reason that goes on after the file's name ("is a differencing VHD: ...").
 */
int probe_image(const struct view *view, const char *file_name, struct probe *probe, struct reason *reason);
/* probe_vdi.c: what begins like one, and how big the disk in it is. 0 or -EINVAL with a sentence. */
int probe_vdi(const struct view *view, uint64_t *size_bytes, struct reason *reason);
/* "raw", "qcow2", "VHD", ... for people. */
const char *probe_format_name(enum image_format format);
/* As qemu-img calls it. */
const char *probe_format_driver(enum image_format format);

#endif
