// SPDX-License-Identifier: GPL-2.0-or-later
/* The golden image doctor: looks once, then asks every check of the tables. See doctor.h. */
#include "doctor/doctor.h"

#include "base/util.h"
#include "doctor/exam.h"

#include <stdio.h>
#include <string.h>

const char *doctor_severity_name(enum doctor_severity severity)
{
	static const char *const names[] = { [DOCTOR_HINT] = "hint",
					     [DOCTOR_CLASH] = "clones-clash",
					     [DOCTOR_RISK] = "risk",
					     [DOCTOR_STOPS] = "stops-boot" };

	return names[severity];
}

bool doctor_stops_boot(const struct doctor_report *report)
{
	for (unsigned i = 0; i < report->count; i++) {
		if (report->findings[i].severity == DOCTOR_STOPS)
			return true;
	}
	return false;
}

/* A sentence with {1} and {2} in it. */
static void write_sentence(char *out, size_t size, const char *sentence, const struct exam_detail *detail)
{
	size_t len = 0;

	while (*sentence && len + 1 < size) {
		bool hole = sentence[0] == '{' && (sentence[1] == '1' || sentence[1] == '2') && sentence[2] == '}';

		if (hole) {
			const char *text = detail->text[sentence[1] - '1'];

			/* Of the image, and so of anybody. */
			for (; *text && len + 1 < size; text++)
				out[len++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
			sentence += 3;
		} else {
			out[len++] = *sentence++;
		}
	}
	out[len] = '\0';
}

/* The worst first, otherwise in the tables' order. */
static void insert_finding(struct doctor_report *report, const struct exam_check *check,
			   const struct exam_detail *detail)
{
	struct doctor_finding *list = report->findings;
	unsigned at = report->count;

	if (report->count == DOCTOR_FINDINGS_MAX)
		return;
	while (at && list[at - 1].severity < check->severity)
		at--;
	memmove(&list[at + 1], &list[at], (report->count - at) * sizeof(*list));
	report->count++;
	list[at].code = check->code;
	list[at].severity = check->severity;
	list[at].sealable = check->sealable;
	write_sentence(list[at].what, sizeof(list[at].what), check->what, detail);
	write_sentence(list[at].todo, sizeof(list[at].todo), check->todo, detail);
}

static void run_checks(const struct exam *exam, struct doctor_report *report)
{
	static const struct exam_check *const tables[] = { exam_disk_checks, exam_linux_checks, exam_identity_checks,
							   exam_windows_checks };

	for (size_t t = 0; t < array_len(tables); t++) {
		for (const struct exam_check *check = tables[t]; check->code; check++) {
			struct exam_detail detail = { .text = { "" } };

			if ((check->system == EXAM_LINUX && !exam->lin.part) ||
			    (check->system == EXAM_WINDOWS && !exam->windows.part))
				continue;
			if (check->found(exam, &detail))
				insert_finding(report, check, &detail);
		}
	}
}

static void describe_parts(const struct exam *exam, struct doctor_report *report)
{
	static const char *const states[] = {
		[FS_CLEAN] = "clean", [FS_UNCLEAN] = "not unmounted", [FS_DAMAGED] = "damaged", [FS_UNTOLD] = "not known"
	};

	for (unsigned i = 0; i < exam->part_count; i++) {
		const struct exam_part *part = &exam->parts[i];
		struct doctor_part *described = &report->parts[report->part_count++];
		bool has_state = fs_has_files(part->fs.kind) || part->fs.kind == FS_FAT;

		*described = (struct doctor_part){ .looked_into = part->looked_into, .bytes = part->bytes };
		snprintf(described->name, sizeof(described->name), "%s", part->name);
		snprintf(described->holds, sizeof(described->holds), "%s", fs_kind_name(part->fs.kind));
		snprintf(described->state, sizeof(described->state), "%s", has_state ? states[part->fs.state] : "");
	}
}

void exam_report(const struct exam *exam, struct doctor_report *report)
{
	memset(report, 0, sizeof(*report));
	run_checks(exam, report);
	describe_parts(exam, report);
	snprintf(report->system, sizeof(report->system), "%s", exam->system);
	if (exam->lin.has[PACKAGE_OPEN_ISCSI])
		snprintf(report->iscsi, sizeof(report->iscsi), "open-iscsi%s%s", exam->lin.iscsi_version[0] ? " " : "",
			 exam->lin.iscsi_version);
}

void doctor_check(int fd, uint64_t size, struct doctor_report *report)
{
	uint64_t began_ms = time_monotonic_ms();
	struct exam *exam = exam_new(fd, size);

	exam_report(exam, report);
	exam_free(exam);
	report->took_ms = (unsigned)(time_monotonic_ms() - began_ms);
}
