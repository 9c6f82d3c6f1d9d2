// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Templates of iPXE scripts: see script.h.
 *
 * iPXE's language has no quoting. A line is split at white space; then `||`, `&&` and `;` standing alone separate
 * commands, a word that begins with `#` starts a comment, a word that begins with `-` is an option, `${` expands a
 * setting, and a backslash at the end joins lines. So nothing can be escaped, only kept out: words are checked against
 * a short list of characters, texts have all others replaced.
 */
#include "script.h"

#include "base/assets.h"
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SCRIPT_NESTING = 2, SCRIPT_NAME_MAX = 32, SCRIPT_WORD_MAX = 255 };

enum var_kind { KIND_WORD, KIND_TEXT, KIND_SWITCH };

static const struct {
	const char *name;
	enum var_kind kind;
} vars[SCRIPT_VARS] = {
	[VAR_BASE] = { "base", KIND_WORD },
	[VAR_SERVER] = { "server", KIND_WORD },
	[VAR_PORT] = { "port", KIND_WORD },
	[VAR_IQN] = { "iqn", KIND_WORD },
	[VAR_INITIATOR] = { "initiator", KIND_WORD },
	[VAR_NAME] = { "name", KIND_WORD },
	[VAR_IMAGE] = { "image", KIND_WORD },
	[VAR_USER] = { "user", KIND_WORD },
	[VAR_SECRET] = { "secret", KIND_WORD },
	[VAR_REVERSE_USER] = { "reverse_user", KIND_WORD },
	[VAR_REVERSE_SECRET] = { "reverse_secret", KIND_WORD },
	[VAR_MAC] = { "mac", KIND_WORD },
	[VAR_NUMBER] = { "number", KIND_WORD },
	[VAR_ATTEMPT] = { "attempt", KIND_WORD },
	[VAR_SECONDS] = { "seconds", KIND_WORD },
	[VAR_PLACE] = { "place", KIND_WORD },
	[VAR_QUEUE] = { "queue", KIND_WORD },
	[VAR_NO_GATEWAY] = { "no_gateway", KIND_SWITCH },
	[VAR_AGAIN] = { "again", KIND_SWITCH },
	[VAR_BIOS] = { "bios", KIND_SWITCH },
	[VAR_EFI] = { "efi", KIND_SWITCH },
	[VAR_WHERE] = { "where", KIND_TEXT },
	[VAR_SINCE] = { "since", KIND_TEXT },
	[VAR_REASON] = { "reason", KIND_TEXT },
};

/* One run over a template. values NULL: only checks. */
struct render {
	const struct script_values *values;
	struct buf *out;
	const char *file;
	unsigned line, depth;
};

static int render_file(struct render *r, const char *file);

static int render_complain(const struct render *r, const char *what, const char *name, size_t name_len)
{
	char shown[64];

	log_error("script %s line %u: %s: %s", r->file, r->line, what,
		  log_escape(shown, sizeof(shown), name, name_len));
	return -EINVAL;
}

static bool word_is_harmless(const char *word)
{
	size_t len = strlen(word);

	if (len == 0 || len > SCRIPT_WORD_MAX || word[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!(isascii((unsigned char)word[i]) && isalnum((unsigned char)word[i])) &&
		    !strchr("._:/@[]-", word[i]))
			return false;
	return true;
}

static void add_text(struct buf *out, const char *text)
{
	for (; *text; text++) {
		bool harmless = *text >= 0x20 && *text < 0x7f && !strchr("$\\|&;#{}`", *text);

		buf_add(out, harmless ? text : "_", 1);
	}
}

static int find_var(const char *name, size_t len)
{
	for (int i = 0; i < SCRIPT_VARS; i++)
		if (strlen(vars[i].name) == len && !memcmp(vars[i].name, name, len))
			return i;
	return -1;
}

static const char *value_of(const struct render *r, int var)
{
	const char *value = r->values ? r->values->value[var] : NULL;

	return value ? value : "";
}

static int render_var(struct render *r, const char *name, size_t len)
{
	int var = find_var(name, len);
	const char *value;

	if (var < 0 || vars[var].kind == KIND_SWITCH)
		return render_complain(r, "no such variable", name, len);
	if (!r->values)
		return 0;
	value = value_of(r, var);
	if (vars[var].kind == KIND_TEXT) {
		add_text(r->out, value);
		return 0;
	}
	/* Not the value: it may be a secret. */
	if (!word_is_harmless(value))
		return render_complain(r, "the value of this variable cannot stand in a script", name, len);
	buf_add_string(r->out, value);
	return 0;
}

/* What stands between "{{" and "}}"; *end is behind it. NULL: it does not end on this line. */
static const char *tag_end(const char *tag, const char *line_end, const char **end)
{
	for (const char *at = tag; at + 1 < line_end; at++) {
		if (at[0] != '}' || at[1] != '}')
			continue;
		*end = at + 2;
		return at;
	}
	return NULL;
}

/* The conditions at the start of a line. *keep: all hold; *at is behind them. */
static int render_conditions(struct render *r, const char **at, const char *line_end, bool *keep)
{
	*keep = true;
	while (line_end - *at > 3 && !memcmp(*at, "{{", 2) && ((*at)[2] == '?' || (*at)[2] == '!')) {
		const char *name = *at + 3, *next, *name_end = tag_end(name, line_end, &next);
		int var = name_end ? find_var(name, (size_t)(name_end - name)) : -1;

		if (var < 0)
			return render_complain(r, "no such variable", name, name_end ? (size_t)(name_end - name) : 0);
		if ((*value_of(r, var) != '\0') != ((*at)[2] == '?'))
			*keep = false;
		*at = next;
	}
	return 0;
}

static int render_include(struct render *r, const char *name, size_t len)
{
	char file[SCRIPT_NAME_MAX];

	if (len >= sizeof(file) || r->depth >= SCRIPT_NESTING)
		return render_complain(r, "cannot stand in another file", name, len);
	memcpy(file, name, len);
	file[len] = '\0';
	return render_file(r, file);
}

static int render_line(struct render *r, const char *at, const char *line_end)
{
	const char *next, *name_end;
	bool keep;
	int err = render_conditions(r, &at, line_end, &keep);

	if (err || (!keep && r->values))
		return err;
	if (line_end - at > 3 && !memcmp(at, "{{>", 3)) {
		name_end = tag_end(at + 3, line_end, &next);
		if (!name_end || next != line_end)
			return render_complain(r, "a file has to have a line of its own", at, (size_t)(line_end - at));
		return render_include(r, at + 3, (size_t)(name_end - at - 3));
	}
	while (at < line_end) {
		if (line_end - at < 2 || memcmp(at, "{{", 2)) {
			buf_add(r->out, at++, 1);
			continue;
		}
		name_end = tag_end(at + 2, line_end, &next);
		if (!name_end)
			return render_complain(r, "}} is missing", at, (size_t)(line_end - at));
		err = render_var(r, at + 2, (size_t)(name_end - at - 2));
		if (err)
			return err;
		at = next;
	}
	buf_add(r->out, "\n", 1);
	return 0;
}

static int render_file(struct render *r, const char *file)
{
	const struct asset *asset = asset_find(assets_ipxe, file);
	struct render outer = *r;
	int err = 0;

	if (!asset)
		return render_complain(r, "no such file in ipxe-scripts", file, strlen(file));
	r->file = file;
	r->line = 0;
	r->depth++;
	for (const char *at = (const char *)asset->data, *end = at + asset->len, *line_end; at < end && !err;
	     at = line_end + 1) {
		line_end = memchr(at, '\n', (size_t)(end - at));
		r->line++;
		if (!line_end)
			return render_complain(r, "the last line does not end", at, (size_t)(end - at));
		err = render_line(r, at, line_end);
	}
	r->file = outer.file;
	r->line = outer.line;
	r->depth = outer.depth;
	return err;
}

int script_check_templates(void)
{
	static const char first[] = "#!ipxe\n";

	for (const struct asset *asset = assets_ipxe; asset->name; asset++) {
		size_t len = strlen(asset->name);
		struct buf unused;
		struct render r = { .out = &unused, .file = asset->name };
		int err = 0;

		buf_init(&unused, SCRIPT_MAX);
		if (len > 5 && !strcmp(asset->name + len - 5, ".ipxe") &&
		    (asset->len < sizeof(first) - 1 || memcmp(asset->data, first, sizeof(first) - 1)))
			err = render_complain(&r, "the first line has to be", "#!ipxe", 6);
		if (!err)
			err = render_file(&r, asset->name);
		if (!err && unused.failed)
			err = render_complain(&r, "too long", asset->name, len);
		buf_fini(&unused);
		if (err)
			return err;
	}
	return 0;
}

int script_render(const char *template, const struct script_values *values, struct buf *script)
{
	struct render r = { .values = values, .out = script, .file = template };
	int err = render_file(&r, template);

	return err ? err : script->failed ? -ENOMEM : 0;
}
