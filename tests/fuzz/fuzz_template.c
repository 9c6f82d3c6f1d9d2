// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: a template of a site's own, checked and made into a script. What the check lets through is made
 * with any values that this template is given; nothing of a value may become a line, a separator or an expansion
 * that the template does not have.
 */
#include "boot/script/script.h"

#include "base/log.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const char *text;
	size_t len;
};

/* The input is menu.ipxe, and whatever it includes. */
static bool find(const void *arg, const char *name, const char **text, size_t *len)
{
	const struct input *input = arg;

	if (strcmp(name, "menu.ipxe") && strcmp(name, "x.part"))
		return false;
	*text = input->text;
	*len = input->len;
	return true;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static char *make(const struct script_source *source, const struct script_values *values)
{
	struct boot_problem problem;
	struct buf script;
	int err;

	buf_init(&script, 1 << 22);
	err = script_make(source, "menu.ipxe", values, &script, &problem);
	if (err && !problem.why.text[0])
		abort();
	if (err) {
		buf_fini(&script);
		return NULL;
	}
	if (strlen(buf_text(&script)) != script.len)
		abort();
	/* An empty one has no memory to take. */
	buf_add(&script, "\n", 1);
	return buf_take(&script);
}

static void same_shape(const char *plain, const char *mean)
{
	static const char *const marks[] = { "\n", "||", "&&", ";", "${", "#", "\\", "`" };

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (count(plain, marks[i]) != count(mean, marks[i]))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { .text = (const char *)data, .len = size };
	struct script_source source = { .find = find, .arg = &input };
	struct script_values plain = { .value = { [VAR_BASE] = "http://10.0.0.1:8080",
						  [VAR_NAME] = "pc-001",
						  [VAR_MAC] = "52:54:00:00:00:01",
						  [VAR_ATTEMPT] = "1",
						  [VAR_SECONDS] = "5",
						  [VAR_DEFAULT] = "disk",
						  [VAR_ITEM] = "disk\nlocal\n",
						  [VAR_ITEM_TITLE] = "a\nb\n",
						  [VAR_TITLE] = "a",
						  [VAR_WHERE] = "b",
						  [VAR_SINCE] = "c",
						  [VAR_REASON] = "d" } };
	struct script_values mean = plain;
	struct boot_problem problem;
	char *one, *two;

	log_set_level(LOG_LEVEL_ERROR);
	if (size > TEMPLATE_MAX)
		return 0;
	if (script_check(&source, "menu.ipxe", &problem)) {
		if (!problem.file[0] || !problem.why.text[0])
			abort();
		return 0;
	}
	one = make(&source, &plain);
	if (!one)
		abort(); /* what the check lets through has to work */
	mean.value[VAR_TITLE] = "|| reboot ;";
	mean.value[VAR_WHERE] = "${net0/mac} \\";
	mean.value[VAR_SINCE] = "&& #\n`x`";
	mean.value[VAR_REASON] = "{{name}}\r\n;";
	mean.value[VAR_ITEM_TITLE] = "; || x\n${y}\n";
	two = make(&source, &mean);
	if (!two)
		abort();
	same_shape(one, two);
	free(one);
	free(two);
	return 0;
}
