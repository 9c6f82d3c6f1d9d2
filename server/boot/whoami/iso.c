// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See iso.h. libisofs keeps messages and settings for the whole process, so one image is made at a time, which takes
 * about a millisecond; its own thread writes into a pipe that we read.
 */
#define LIBISOFS_WITHOUT_LIBBURN
#include "iso.h"

#include "base/buf.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <libisofs/libisofs.h>

enum { ISO_BYTES_MAX = 16 << 20 };

static pthread_mutex_t iso_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards libisofs */

/* In the order in which they are given. */
static int add_file(IsoDir *root, const struct iso_file *file)
{
	unsigned char *data = malloc(file->len ? file->len : 1);
	IsoStream *stream;
	IsoFile *node;
	int code;

	if (!data)
		return -ENOMEM;
	memcpy(data, file->data, file->len);
	code = iso_memory_stream_new(data, file->len, &stream);
	if (code < 0) {
		free(data);
		return -ENOMEM;
	}
	code = iso_tree_add_new_file(root, file->name, stream, &node);
	if (code < 0) {
		iso_stream_unref(stream);
		return -EINVAL;
	}
	iso_node_set_permissions(ISO_NODE(node), S_IRUSR | S_IRGRP | S_IROTH);
	return 0;
}

/*
 * relaxed_vol_atts: without it "cidata" becomes "CIDATA", and nobody is told. The others are for names: level 3
 * and lower case for whoever reads neither Rock Ridge nor Joliet.
 */
static int set_options(IsoWriteOpts *options)
{
	int ok = iso_write_opts_set_iso_level(options, 3) >= 0 && iso_write_opts_set_rockridge(options, 1) >= 0 &&
		 iso_write_opts_set_joliet(options, 1) >= 0 && iso_write_opts_set_relaxed_vol_atts(options, 1) >= 0 &&
		 iso_write_opts_set_replace_mode(options, 0, 0, 1, 1) >= 0 &&
		 iso_write_opts_set_default_uid(options, 0) >= 0 && iso_write_opts_set_default_gid(options, 0) >= 0 &&
		 iso_write_opts_set_output_charset(options, "UTF-8") >= 0 &&
		 iso_write_opts_set_tail_blocks(options, 0) >= 0;

	return ok ? 0 : -EINVAL;
}

static int read_all(struct burn_source *source, struct buf *out)
{
	unsigned char block[ISO_BLOCK];
	int got;

	while ((got = source->read_xt(source, block, sizeof(block))) > 0)
		buf_add(out, block, (size_t)got);
	return got < 0 ? -EIO : out->failed ? -ENOMEM : 0;
}

static int write_image(IsoImage *image, struct buf *out)
{
	struct burn_source *source;
	IsoWriteOpts *options;
	int err;

	if (iso_write_opts_new(&options, 0) < 0)
		return -ENOMEM;
	err = set_options(options);
	if (!err && iso_image_create_burn_source(image, options, &source) < 0)
		err = -EIO;
	if (!err) {
		err = read_all(source, out);
		source->free_data(source);
		free(source);
	}
	iso_write_opts_free(options);
	return err;
}

static int make(const char *label, const struct iso_file *files, unsigned count, struct buf *out)
{
	IsoImage *image;
	int err = 0;

	if (iso_image_new(label, &image) < 0)
		return -ENOMEM;
	iso_image_set_volume_id(image, label);
	for (unsigned i = 0; i < count && !err; i++)
		err = add_file(iso_image_get_root(image), &files[i]);
	if (!err)
		err = write_image(image, out);
	iso_image_unref(image);
	return err;
}

int whoami_iso_make(const char *label, const struct iso_file *files, unsigned count, char **iso, size_t *len)
{
	char never[] = "NEVER", nobody[] = "";
	struct buf out;
	int err;

	buf_init(&out, ISO_BYTES_MAX);
	pthread_mutex_lock(&iso_mutex);
	err = iso_init() < 0 ? -ENOMEM : 0;
	if (!err) {
		iso_set_msgs_severities(never, never, nobody);
		char charset[] = "UTF-8";
		iso_set_local_charset(charset, 0);
		err = make(label, files, count, &out);
		iso_finish();
	}
	pthread_mutex_unlock(&iso_mutex);
	*len = out.len;
	*iso = err ? NULL : buf_take(&out);
	buf_fini(&out);
	return err || *iso ? err : -ENOMEM;
}
