// SPDX-License-Identifier: GPL-2.0-or-later
/* See whoami.h. */
#include "whoami.h"

#include "files.h"
#include "inventory/effective.h"
#include "iso.h"
#include "store/store.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STAMP_TEXT = 48 };

/* What the inventory knows of it. */
struct facts {
	int64_t machine_id;
	uint64_t number;
	struct machine machine;
	struct image_version version;
	char mac[PARSE_MAC_TEXT], address[PARSE_ENDPOINT_TEXT]; /* of this boot, else its own */
};

static int take_mac(void *arg, const char *mac)
{
	snprintf(arg, PARSE_MAC_TEXT, "%s", mac);
	return 1;
}

/* The card that it booted from is the one that counts. */
static int read_boot(struct inventory_tx *tx, struct facts *f)
{
	struct machine_boot current;
	int err = machine_each_mac(tx, f->machine.id, MAC_ANY, take_mac, f->mac);

	memcpy(f->address, f->machine.address, sizeof(f->address));
	if (err < 0)
		return err;
	err = machine_boot_current(tx, f->machine.id, &current);
	if (!err && current.number == f->number) {
		memcpy(f->mac, current.mac, sizeof(f->mac));
		if (!f->address[0])
			memcpy(f->address, current.address, sizeof(f->address));
	}
	explicit_bzero(&current, sizeof(current));
	return err == -ENOENT ? 0 : err;
}

static int read_facts(struct inventory_tx *tx, void *arg)
{
	struct facts *f = arg;
	int err = machine_by_id(tx, f->machine_id, &f->machine);

	if (!err)
		err = version_by_id(tx, f->machine.system.version_id, &f->version);
	return err ? err : read_boot(tx, f);
}

/* ---- values ---- */

/* The address at which the machine reached us: that of our end of the way to it. */
static void find_server(const struct boot *boot, const char *machine_address, char *out, size_t out_size)
{
	struct endpoint there, here = { .len = sizeof(here.addr) };
	char text[PARSE_ENDPOINT_TEXT];
	int fd;

	snprintf(out, out_size, "%s", boot->advertise);
	snprintf(text, sizeof(text), "%.45s:3260", machine_address);
	if (out[0] || !parse_endpoint(text, &there))
		return;
	fd = socket(there.addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (!connect(fd, (struct sockaddr *)&there.addr, there.len) &&
	    !getsockname(fd, (struct sockaddr *)&here.addr, &here.len))
		snprintf(out, out_size, "%s", endpoint_format_host(&here, text));
	close(fd);
}

struct values {
	char text[FILL_VARS][SERIAL_TEXT];
	struct fill_values list;
};

static void set_value(struct values *v, enum fill_var var, const char *value)
{
	v->list.value[var] = fill_clean(value, v->text[var], sizeof(v->text[var]));
}

static void make_values(const struct boot *boot, const struct facts *f, struct values *v)
{
	const char *short_id = strrchr(f->machine.iqn, ':');
	char text[256];

	*v = (struct values){ .list.value = { NULL } };
	set_value(v, FILL_NAME, f->machine.name);
	fill_windows_name(f->machine.name, text);
	set_value(v, FILL_WINDOWS_NAME, text);
	set_value(v, FILL_MAC, f->mac);
	set_value(v, FILL_UUID, f->machine.uuid);
	set_value(v, FILL_SERIAL, f->machine.serial);
	set_value(v, FILL_PRODUCT, f->machine.product);
	set_value(v, FILL_IP, f->address);
	set_value(v, FILL_GROUP, f->machine.group.name);
	set_value(v, FILL_IMAGE, f->version.image);
	snprintf(text, sizeof(text), "%u", f->version.number);
	set_value(v, FILL_VERSION, text);
	find_server(boot, f->address, text, sizeof(text));
	set_value(v, FILL_SERVER, text);
	snprintf(text, sizeof(text), "%s-%lld", short_id ? short_id + 1 : f->machine.iqn,
		 (long long)f->machine.instance);
	set_value(v, FILL_INSTANCE, text);
}

/* ---- making ---- */

static int make_iso(const struct whoami_files *files, const struct values *values, char **iso, size_t *len,
		    struct boot_problem *problem)
{
	const char *label = whoami_files_are_a_seed(files) ? "cidata" : "SANBOOTD";
	struct iso_file list[WHOAMI_FILES_MAX];
	size_t ends[WHOAMI_FILES_MAX];
	struct buf texts;
	int err;

	buf_init(&texts, WHOAMI_FILLED_BYTES);
	err = whoami_files_fill(files, &values->list, &texts, ends, problem);
	for (unsigned i = 0; i < files->count && !err; i++) {
		size_t begin = i ? ends[i - 1] : 0;

		list[i] = (struct iso_file){ files->list[i].name, buf_text(&texts) + begin, ends[i] - begin };
	}
	if (!err)
		err = whoami_iso_make(label, list, files->count, iso, len);
	buf_fini(&texts);
	return err;
}

static int refuse_problem(struct reason *reason, int err, const struct boot_problem *problem)
{
	char line[24] = "";

	if (!problem->why.text[0])
		return reason_refuse(reason, err, "who it is cannot be written: %s", strerror(-err));
	if (problem->line)
		snprintf(line, sizeof(line), ":%u", problem->line);
	return reason_refuse(reason, err, "%s%s: %.300s", problem->file, line, problem->why.text);
}

static void make_stamp(uint64_t number, bool cdrom, char stamp[STAMP_TEXT])
{
	snprintf(stamp, STAMP_TEXT, "boot %llu, %s", (unsigned long long)number, cdrom ? "cd-rom" : "disk");
}

/* A running machine keeps what it has, also when the server starts again. */
static bool is_there(struct boot *boot, uint64_t number, const struct volume *volume, bool *cdrom)
{
	char stamp[STAMP_TEXT];

	for (int i = 0; i < 2 && number; i++) {
		make_stamp(number, i, stamp);
		*cdrom = i;
		if (store_is_generated(boot->store, volume, stamp))
			return true;
	}
	return false;
}

static int make(struct boot *boot, const struct facts *facts, const struct volume *volume, bool *cdrom,
		struct reason *reason)
{
	struct boot_problem problem = { .line = 0 };
	struct whoami_files files;
	struct values values;
	char stamp[STAMP_TEXT], *iso = NULL;
	size_t len;
	int err = whoami_files_load(boot->templates_folder, effective_templates(&facts->machine), &files, &problem);

	if (!err) {
		make_values(boot, facts, &values);
		err = make_iso(&files, &values, &iso, &len, &problem);
	}
	if (err)
		err = refuse_problem(reason, err, &problem);
	*cdrom = whoami_files_are_for_windows(&files);
	make_stamp(facts->number, *cdrom, stamp);
	if (!err)
		err = store_generate_volume(boot->store, volume, stamp, iso, len, reason);
	free(iso);
	whoami_files_fini(&files);
	return err;
}

int whoami_prepare(struct boot *boot, int64_t machine_id, uint64_t number, const struct volume *volume, bool *cdrom,
		   struct reason *reason)
{
	struct facts facts = { .machine_id = machine_id, .number = number };
	int err;

	if (is_there(boot, number, volume, cdrom))
		return 0;
	err = inventory_read_call(boot->inventory, read_facts, &facts);
	if (err)
		return reason_refuse(reason, err, "the inventory cannot be read: %s", strerror(-err));
	if (!effective_templates(&facts.machine)[0])
		return reason_refuse(reason, -ENOENT, "%s has no templates any more", facts.machine.name);
	return make(boot, &facts, volume, cdrom, reason);
}

/* ---- are they sound? ---- */

static int check(const struct boot *boot, const char *templates, struct boot_problem *problem)
{
	struct whoami_files files;
	int err = whoami_files_load(boot->templates_folder, templates, &files, problem);

	if (!err)
		err = whoami_files_check(&files, problem);
	whoami_files_fini(&files);
	return err;
}

int whoami_check(struct boot *boot, const char *templates, struct reason *reason)
{
	struct boot_problem problem;
	int err = check(boot, templates, &problem);

	if (err == -ENOENT && !problem.line)
		return reason_refuse(reason, -EINVAL, "templates: %s", problem.why.text);
	return err ? refuse_problem(reason, -EINVAL, &problem) : 0;
}

struct each_problem {
	struct boot *boot;
	void (*each)(void *arg, const struct boot_problem *problem);
	void *arg;
};

static void tell_problem(void *arg, const char *name)
{
	struct each_problem *tell = arg;
	struct boot_problem problem;

	if (check(tell->boot, name, &problem))
		tell->each(tell->arg, &problem);
}

void whoami_each_problem(struct boot *boot, void (*each)(void *arg, const struct boot_problem *problem), void *arg)
{
	struct each_problem tell = { boot, each, arg };

	whoami_files_each_name(boot->templates_folder, tell_problem, &tell);
}

bool boot_templates_are_cdrom(struct boot *boot, const char *templates)
{
	struct boot_problem problem;
	struct whoami_files files;
	bool cdrom;

	cdrom = !whoami_files_load(boot->templates_folder, templates, &files, &problem) &&
		whoami_files_are_for_windows(&files);
	whoami_files_fini(&files);
	return cdrom;
}
