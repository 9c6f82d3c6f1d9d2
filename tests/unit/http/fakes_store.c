// SPDX-License-Identifier: GPL-2.0-or-later
/* store/ as http/ sees it, and what of boot/ hands on to it. */
#include "fixture.h"

#include "doctor/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job_status fake_import;

int store_import(struct store *store, const char *path, const char *name, enum import_use use, const char *actor,
		 uint64_t *id, struct reason *reason)
{
	(void)store;
	if (strstr(path, "missing"))
		return reason_refuse(reason, -ENOENT, "%s: there is no such file", path);
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "import %s as %s%s by %s", path, name,
		 use == IMPORT_AS_DEFAULT  ? " default" :
		 use == IMPORT_FOR_VOLUMES ? " for volumes" :
					     "",
		 actor);
	fake_import = (struct job_status){
		.id = 7, .stage = JOB_CONVERTING, .percent = 42, .seconds_left = -1, .text = "converting"
	};
	snprintf(fake_import.name, sizeof(fake_import.name), "%s", name);
	*id = 7;
	return 0;
}

int store_seal_version(struct store *store, const struct image_version *version, const char *actor, uint64_t *id,
		       struct reason *reason)
{
	(void)store;
	(void)reason;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "seal %s@%u by %s", version->image, version->number,
		 actor);
	*id = 7;
	return 0;
}

/* Two findings, the second of which stops the boot of what is called "stops". */
static void fake_report(const char *name, struct doctor_report *report)
{
	*report = (struct doctor_report){ .count = 2, .part_count = 2, .took_ms = 5 };
	report->findings[0] = (struct doctor_finding){ .code = "machine-id",
						       .severity = DOCTOR_CLASH,
						       .sealable = true,
						       .what = "It has one.",
						       .todo = "Empty it." };
	report->findings[1] =
		(struct doctor_finding){ .code = "cd", .severity = strstr(name, "stops") ? DOCTOR_STOPS : DOCTOR_HINT };
	report->parts[0] = (struct doctor_part){ .name = "partition 1", .holds = "ext4", .state = "clean", .bytes = 9 };
	report->parts[1] = (struct doctor_part){ .name = "LVM a/b", .holds = "unknown" };
}

int store_check_version(struct store *store, const struct image_version *version, struct doctor_report *report,
			struct reason *reason)
{
	(void)store;
	(void)reason;
	fake_report(version->image, report);
	return 0;
}

int store_check_file(const char *path, struct doctor_report *report, struct reason *reason)
{
	if (strstr(path, "missing"))
		return reason_refuse(reason, -ENOENT, "%s: there is no such file", path);
	fake_report(path, report);
	return 0;
}

int store_job_status(struct store *store, uint64_t id, struct job_status *status)
{
	(void)store;
	if (id != 7)
		return -ENOENT;
	*status = fake_import;
	return 0;
}

unsigned store_job_list(struct store *store, struct job_status list[JOBS_KEPT])
{
	(void)store;
	list[0] = fake_import;
	return fake_import.id ? 1 : 0;
}

int store_job_cancel(struct store *store, uint64_t id, const char *actor, struct reason *reason)
{
	(void)store;
	if (id != 7)
		return reason_refuse(reason, -ENOENT, "there is no import %llu", (unsigned long long)id);
	if (fake_import.stage == JOB_DONE)
		return reason_refuse(reason, -EALREADY, "import 7 is done");
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "cancel import 7 by %s", actor);
	fake_import.stage = JOB_FAILED;
	fake_import.canceled = true;
	return 0;
}

int store_upload(struct store *store, const char *file, const char *name, uint64_t size_bytes, enum import_use use,
		 const char *actor, uint64_t *id, struct reason *reason)
{
	(void)store;
	(void)use;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "upload %s of %lld as %s by %s", file,
		 (long long)size_bytes, name, actor);
	fake_import = (struct job_status){ .id = 7, .kind = JOB_UPLOAD, .stage = JOB_RECEIVING, .seconds_left = -1 };
	*id = 7;
	return fake_finish(reason);
}

int store_upload_write(struct store *store, uint64_t id, uint64_t offset, const void *data, size_t len,
		       struct reason *reason)
{
	(void)store;
	(void)data;
	if (id != 7)
		return reason_refuse(reason, -ENOENT, "there is no import");
	if (offset != fake_import.bytes_done)
		return reason_refuse(reason, -ESTALE, "go on from there");
	fake_import.bytes_done += len;
	return 0;
}

int store_upload_end(struct store *store, uint64_t id, struct reason *reason)
{
	(void)store;
	if (id != 7)
		return reason_refuse(reason, -ENOENT, "there is no import");
	fake_import.kind = JOB_IMPORT;
	fake_import.stage = JOB_QUEUED;
	return 0;
}

int store_create_image(struct store *store, const char *name, uint64_t size_bytes, const char *actor,
		       struct image_version *version, struct reason *reason)
{
	(void)store;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "create %s of %llu by %s", name,
		 (unsigned long long)size_bytes, actor);
	*version = (struct image_version){ .number = 1, .state = VERSION_TEST, .size_bytes = size_bytes };
	snprintf(version->image, sizeof(version->image), "%.63s", name);
	return fake_finish(reason);
}

struct export_format {
	const char *name;
};

const struct export_format *store_export_format(const char *name)
{
	static const struct export_format vhdx = { "vhdx" };

	return strcmp(name, "vhdx") ? NULL : &vhdx;
}

const char *store_export_formats(void)
{
	return "vhdx";
}

static int begin_export(const char *what, const struct store_export *how, uint64_t *id, struct reason *reason)
{
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "export %s to %s as %s%s by %s", what, how->path,
		 how->format->name, how->force ? " by force" : "", how->actor);
	fake_import = (struct job_status){ .id = 7,
					   .kind = JOB_EXPORT,
					   .stage = JOB_CONVERTING,
					   .percent = 50,
					   .bytes_total = 100,
					   .bytes_done = 50,
					   .bytes_per_s = 10,
					   .seconds_left = 5 };
	*id = 7;
	return fake_finish(reason);
}

int store_export_version(struct store *store, const struct image_version *version, const struct store_export *how,
			 uint64_t *id, struct reason *reason)
{
	(void)store;
	return begin_export(version->image, how, id, reason);
}

int boot_export(struct boot *boot, const char *machine, const struct store_export *how, uint64_t *job,
		struct reason *reason)
{
	(void)boot;
	return begin_export(machine, how, job, reason);
}

void boot_look_at_plans(struct boot *boot)
{
	(void)boot;
	fake_boot.looked_at_plans++;
}

int store_remove_version(struct store *store, int64_t version_id, const char *actor, struct reason *reason)
{
	(void)store;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "remove version %lld by %s", (long long)version_id,
		 actor);
	return fake_finish(reason);
}

uint64_t store_version_allocated(struct store *store, const struct image_version *version)
{
	(void)store;
	return version->size_bytes / 4;
}

int store_volume_info(struct store *store, const struct volume *volume, const struct image_version *version,
		      struct volume_info *info)
{
	(void)store;
	if (!volume->object[0]) {
		*info = (struct volume_info){ .virtual_bytes = version->size_bytes, .clean = true, .format = "raw" };
		snprintf(info->path, sizeof(info->path), "/state/images/%s", version->file);
		return 0;
	}
	if (strstr(volume->object, "missing")) {
		*info = (struct volume_info){ .format = "qcow2" };
		return -ENOENT;
	}
	*info = (struct volume_info){ .format = "qcow2" };
	snprintf(info->path, sizeof(info->path), "/state/children/%s", volume->object);
	if (fake_boot.child_err)
		return fake_boot.child_err;
	info->virtual_bytes = 2ULL << 30;
	info->allocated_bytes = 5 << 20;
	info->clean = true;
	return 0;
}

int store_get_space(struct store *store, const struct policy *policy, struct store_space *space)
{
	(void)store;
	(void)policy;
	if (fake_boot.space_err)
		return fake_boot.space_err;
	*space = (struct store_space){ .total_bytes = 100ULL << 30,
				       .free_bytes = 60ULL << 30,
				       .reserve_bytes = 5ULL << 30,
				       .images_bytes = 1 << 30,
				       .volumes_bytes = 20 << 20 };
	return 0;
}

void store_each_warning(struct store *store, void (*each)(void *arg, const char *text), void *arg)
{
	(void)store;
	each(arg, "/state is on a file system of the kind NFS");
}

void store_get_read_set_info(const struct store *store, const struct image_version *version, struct read_set_info *info)
{
	(void)store;
	*info = (struct read_set_info){ .boots = 3, .needed_bytes = version->size_bytes / 8 };
}
