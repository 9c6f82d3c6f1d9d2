// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Running qemu-img: see convert.h.
 *
 * The child gets the input as descriptor 3 and the output as 4 (base/box.h). So the output, in a folder that only we may
 * enter, is writable for all while it is made; and an input that "nobody" may not read is copied first by our caller. The
 * format is explicit, the backing file explicitly none.
 */
#include "store/convert.h"

#include "base/box.h"
#include "base/buf.h"
#include "base/util.h"
#include "store/convert_words.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHILD_IN = BOX_FIRST,
	CHILD_OUT = BOX_FIRST + 1,
	OUTPUT_TEXT = 16384,
	MEMORY_MAX_MIB = 2048,
	CHECK_LEAKS = 3, /* exit codes of qemu-img check */
	CHECK_UNSUPPORTED = 63,
};

bool convert_can_read(const struct stat *st)
{
	return box_may_open(st);
}

/* ---- what it prints ---- */

struct output {
	const struct progress *progress;
	bool keep_end; /* of what does not fit its end stays, otherwise its beginning */
	size_t len;
	char text[OUTPUT_TEXT];
};

struct child {
	struct output out;
	struct box_end end;
};

/* Takes what is there. */
static bool output_take(void *arg, const void *data, size_t n)
{
	struct output *output = arg;
	const char *from = data;
	size_t room = sizeof(output->text) - 1 - output->len;

	if (output->keep_end && n > room) {
		size_t skip = n > sizeof(output->text) - 1 ? n - (sizeof(output->text) - 1) : 0, drop = n - skip - room;

		memmove(output->text, output->text + drop, output->len - drop);
		output->len -= drop;
		from += skip;
		n -= skip;
		room = n;
	}
	n = (size_t)min_u64(n, room);
	memcpy(output->text + output->len, from, n);
	output->len += n;
	output->text[output->len] = '\0';
	return true;
}

/* "    (12.34/100%)\r(12.50/100%)\r" -> 12 */
static unsigned progress_percent(const char *text)
{
	const char *open = strrchr(text, '(');
	unsigned long percent;

	/* The last one may be cut in two. */
	while (open && open > text && !strstr(open, "/100%")) {
		do
			open--;
		while (open > text && *open != '(');
	}
	if (!open || *open != '(' || !strstr(open, "/100%"))
		return 0;
	percent = strtoul(open + 1, NULL, 10);
	return percent > 100 ? 100 : (unsigned)percent;
}

static bool output_step(void *arg)
{
	const struct output *output = arg;

	return !output->progress || output->progress->step(output->progress->arg, progress_percent(output->text));
}

/* It gets these files. 0 and the exit code, -ECANCELED, or -EIO with a sentence. */
static int run_box(struct box *box, const struct progress *progress, bool keep_end, struct child *child, int *code,
		   struct reason *reason)
{
	int err;

	box->input = -1;
	box->memory_mib = MEMORY_MAX_MIB;
	box->take = output_take;
	box->step = output_step;
	box->arg = &child->out;
	child->out.progress = progress;
	child->out.keep_end = keep_end;
	child->out.len = 0;
	child->out.text[0] = '\0';
	err = box_run(box, &child->end);
	if (err == -ECANCELED)
		return err;
	if (err)
		return reason_refuse(reason, -EIO, "qemu-img could not be started: %s", strerror(-err));
	if (child->end.signal)
		return reason_refuse(reason, -EIO, "qemu-img was killed by signal %d (too little memory?)",
				     child->end.signal);
	*code = child->end.code;
	return 0;
}

static int run(char *const argv[], const struct convert *how, int out, struct child *child, int *code,
	       struct reason *reason)
{
	struct box box = { .argv = (const char *const *)argv,
			   .files = { how->in, out },
			   .file_count = out >= 0 ? 2 : 1 };

	return run_box(&box, how->progress, out >= 0, child, code, reason);
}

static void source_json(const struct convert *how, char *json, size_t size)
{
	const char *extra = "";

	/* The true size, which Hyper-V's footers keep; the geometry beside it may end before the last partition. */
	if (how->format == FORMAT_VHD)
		extra = ",\"force_size_calc\":\"current_size\"";
	else if (how->format == FORMAT_QCOW2 || how->format == FORMAT_VMDK)
		extra = ",\"backing\":null";
	snprintf(json, size, "json:{\"driver\":\"%s\"%s,\"file\":{\"driver\":\"file\",\"filename\":\"/dev/fd/%d\"}}",
		 probe_format_driver(how->format), extra, CHILD_IN);
}

int convert_check(const struct convert *how, struct reason *reason)
{
	char json[256], check[] = "check";
	char *argv[] = { (char *)(uintptr_t)how->qemu_img, check, json, NULL };
	struct child child;
	int code, err;

	source_json(how, json, sizeof(json));
	err = run(argv, how, -1, &child, &code, reason);
	if (err || !code || code == CHECK_LEAKS || code == CHECK_UNSUPPORTED)
		return err;
	/* What it found is in the one, that it found something in the other. */
	return convert_explain(how->format,
			       strstr(child.out.text, "ERROR") || !child.end.text[0] ? child.out.text : child.end.text,
			       -EUCLEAN, reason);
}

/* What qemu-img prints of the source as JSON: its member of that name, 0 where there is none. 0 or -errno; child: its words. */
static int ask_number(const struct convert *how, char *const options[2], const char *member, struct child *child,
		      uint64_t *number, struct reason *reason)
{
	char json[256], output[] = "--output=json";
	char *argv[] = { (char *)(uintptr_t)how->qemu_img, options[0], output, json, options[1], NULL };
	json_t *root, *value;
	int code, err;

	source_json(how, json, sizeof(json));
	err = run(argv, how, -1, child, &code, reason);
	if (err)
		return err;
	root = code ? NULL : json_loads(child->out.text, 0, NULL);
	value = json_object_get(root, member);
	*number = json_is_integer(value) && json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
	json_decref(root);
	return 0;
}

int convert_size(const struct convert *how, uint64_t *size_bytes, struct reason *reason)
{
	char info[] = "info";
	char *const options[] = { info, NULL };
	struct child child;
	uint64_t size;
	int err = ask_number(how, options, "virtual-size", &child, &size, reason);

	if (err)
		return err;
	if (!size)
		return convert_explain(how->format, child.end.text, -EUCLEAN, reason);
	*size_bytes = size;
	return 0;
}

int convert_measure(const struct convert *how, uint64_t *needed_bytes, struct reason *reason)
{
	char measure[] = "measure", format[] = "-Oraw";
	char *const options[] = { measure, format };
	struct child child;

	/* An older one cannot say it of every format (0): then the file system is watched while it converts. */
	return ask_number(how, options, "required", &child, needed_bytes, reason);
}

int convert_run(const struct convert *how, struct reason *reason)
{
	char json[256], output[32], unit[16];
	const char *const args[] = { how->qemu_img, "convert", "-p",   "-n", "--target-is-zero", "-S", unit, "-O",
				     "raw",	    json,      output, NULL };
	char *argv[array_len(args)];
	struct child child;
	int code, err;

	source_json(how, json, sizeof(json));
	snprintf(output, sizeof(output), "/dev/fd/%d", CHILD_OUT);
	snprintf(unit, sizeof(unit), "%d", STORE_HOLE_BYTES);
	for (size_t i = 0; i < array_len(args); i++)
		argv[i] = (char *)(uintptr_t)args[i];
	/* See the top: only while the child runs, in a folder that it cannot enter. */
	if (fchmod(how->out, 0666))
		return reason_refuse(reason, -EIO, "could not be prepared: %s", strerror(errno));
	err = run(argv, how, how->out, &child, &code, reason);
	fchmod(how->out, 0600);
	if (err || !code)
		return err;
	return convert_explain(how->format, child.end.text, -EIO, reason);
}

/* ---- exports ---- */

enum { CHAIN_JSON = 2048 };

/* The files are 3, 4, ... in the child, in the order of the chain, and then what is made. */
static void chain_json(const struct convert_chain *chain, struct buf *json)
{
	for (unsigned i = 0; i < chain->count; i++)
		buf_printf(json, "%s{\"driver\":\"%s\",\"file\":{\"driver\":\"file\",\"filename\":\"/dev/fd/%u\"}%s",
			   i ? ",\"backing\":" : "json:", chain->raw[i] ? "raw" : "qcow2", BOX_FIRST + i,
			   i + 1 == chain->count && !chain->raw[i] ? ",\"backing\":null" : "");
	for (unsigned i = 0; i < chain->count; i++)
		buf_add_string(json, "}");
}

static void fill_box(const struct convert_export *how, const char *const *argv, bool with_out, struct box *box)
{
	*box = (struct box){ .argv = argv, .file_count = how->chain->count };
	memcpy(box->files, how->chain->files, how->chain->count * sizeof(box->files[0]));
	if (with_out)
		box->files[box->file_count++] = how->out;
}

int convert_measure_chain(const struct convert_export *how, uint64_t *needed_bytes, struct reason *reason)
{
	struct buf json;
	const char *argv[] = { how->qemu_img, "measure", "--output=json", "-Oraw", NULL, NULL };
	struct child child;
	json_t *root, *value;
	struct box box;
	int code, err;

	buf_init(&json, CHAIN_JSON);
	chain_json(how->chain, &json);
	argv[4] = buf_text(&json);
	fill_box(how, argv, false, &box);
	err = run_box(&box, how->progress, false, &child, &code, reason);
	buf_fini(&json);
	if (err)
		return err;
	root = code ? NULL : json_loads(child.out.text, 0, NULL);
	value = json_object_get(root, "required");
	*needed_bytes =
		json_is_integer(value) && json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
	json_decref(root);
	return 0;
}

int convert_export(const struct convert_export *how, struct reason *reason)
{
	char output[32], unit[16];
	const char *argv[14] = { how->qemu_img, "convert", "-p", "-S", unit, "-O", how->driver };
	unsigned n = 7;
	struct child child;
	struct buf json;
	struct box box;
	int code, err;

	buf_init(&json, CHAIN_JSON);
	chain_json(how->chain, &json);
	if (how->options[0]) {
		argv[n++] = "-o";
		argv[n++] = how->options;
	}
	argv[n++] = buf_text(&json);
	argv[n++] = output;
	snprintf(output, sizeof(output), "/dev/fd/%u", BOX_FIRST + how->chain->count);
	snprintf(unit, sizeof(unit), "%d", STORE_HOLE_BYTES);
	fill_box(how, argv, true, &box);
	/* Only while the child runs, and nobody else has it: it has no name yet, or one in a folder of ours. */
	if (fchmod(how->out, 0666)) {
		buf_fini(&json);
		return reason_refuse(reason, -EIO, "the new file could not be prepared: %s", strerror(errno));
	}
	err = run_box(&box, how->progress, true, &child, &code, reason);
	fchmod(how->out, 0600);
	buf_fini(&json);
	return err || !code ? err : convert_explain_export(child.end.text, -EIO, reason);
}
