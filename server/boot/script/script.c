// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Scripts from templates: see script.h and ipxe-scripts/README.md.
 *
 * iPXE's language has no quoting. A line is split at white space; then `||`, `&&` and `;` standing alone separate
 * commands, a word that begins with `#` starts a comment, a word that begins with `-` is an option, `${` expands a
 * setting, and a backslash at the end joins lines. So nothing can be escaped, only kept out: words are checked against
 * a short list of characters, texts have all others replaced.
 *
 * A template may be a site's own: whatever its bytes are, it is refused with its line, or makes a script.
 */
#include "script.h"

#include "base/log.h"
#include "base/util.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SCRIPT_NESTING = 2, SCRIPT_WORD_MAX = 255, SCRIPT_LINE_MAX = 4095, SCRIPT_LIST_MAX = 64 };

enum var_kind {
	KIND_WORD,
	KIND_WORDS, /* several */
	KIND_URL,   /* a word that may also have what URLs have */
	KIND_TEXT,  /* for people */
	KIND_LINE,  /* what an administrator wrote: several words */
	KIND_SWITCH,
};

static const struct {
	const char *name;
	enum var_kind kind;
	unsigned list; /* not 0: the line stands there once for each item; lists with the same number go together */
} vars[SCRIPT_VARS] = {
	[VAR_BASE] = { "base", KIND_WORD, 0 },
	[VAR_SERVER] = { "server", KIND_WORD, 0 },
	[VAR_PORT] = { "port", KIND_WORD, 0 },
	[VAR_IQN] = { "iqn", KIND_WORD, 0 },
	[VAR_INITIATOR] = { "initiator", KIND_WORD, 0 },
	[VAR_NAME] = { "name", KIND_WORD, 0 },
	[VAR_IMAGE] = { "image", KIND_WORD, 0 },
	[VAR_USER] = { "user", KIND_WORD, 0 },
	[VAR_SECRET] = { "secret", KIND_WORD, 0 },
	[VAR_REVERSE_USER] = { "reverse_user", KIND_WORD, 0 },
	[VAR_REVERSE_SECRET] = { "reverse_secret", KIND_WORD, 0 },
	[VAR_MAC] = { "mac", KIND_WORD, 0 },
	[VAR_NUMBER] = { "number", KIND_WORD, 0 },
	[VAR_ATTEMPT] = { "attempt", KIND_WORD, 0 },
	[VAR_SECONDS] = { "seconds", KIND_WORD, 0 },
	[VAR_PLACE] = { "place", KIND_WORD, 0 },
	[VAR_QUEUE] = { "queue", KIND_WORD, 0 },
	[VAR_NO_GATEWAY] = { "no_gateway", KIND_SWITCH, 0 },
	[VAR_AGAIN] = { "again", KIND_SWITCH, 0 },
	[VAR_BIOS] = { "bios", KIND_SWITCH, 0 },
	[VAR_EFI] = { "efi", KIND_SWITCH, 0 },
	[VAR_WHERE] = { "where", KIND_TEXT, 0 },
	[VAR_SINCE] = { "since", KIND_TEXT, 0 },
	[VAR_REASON] = { "reason", KIND_TEXT, 0 },
	[VAR_URIS] = { "uris", KIND_WORDS, 0 },
	[VAR_CD] = { "cd", KIND_WORDS, 0 },
	[VAR_TOKEN] = { "token", KIND_WORD, 0 },
	[VAR_ENTRY] = { "entry", KIND_WORD, 0 },
	[VAR_TITLE] = { "title", KIND_TEXT, 0 },
	[VAR_KERNEL] = { "kernel", KIND_URL, 0 },
	[VAR_SHIM] = { "shim", KIND_URL, 0 },
	[VAR_CMDLINE] = { "cmdline", KIND_LINE, 0 },
	[VAR_URL] = { "url", KIND_URL, 0 },
	[VAR_INITRD] = { "initrd", KIND_URL, 1 },
	[VAR_FILE] = { "file", KIND_URL, 2 },
	[VAR_FILE_NAME] = { "file_name", KIND_WORD, 2 },
	[VAR_ITEM] = { "item", KIND_WORD, 3 },
	[VAR_ITEM_TITLE] = { "item_title", KIND_TEXT, 3 },
	[VAR_DEFAULT] = { "default", KIND_WORD, 0 },
	[VAR_TIMEOUT] = { "timeout", KIND_WORD, 0 },
};

#define SET(var) (1ull << (var))
#define ASKER (SET(VAR_BASE) | SET(VAR_MAC) | SET(VAR_ATTEMPT) | SET(VAR_SECONDS))
#define TARGET (SET(VAR_SERVER) | SET(VAR_PORT) | SET(VAR_IQN) | SET(VAR_INITIATOR) | SET(VAR_URIS))

/*
 * Words that a template is always given: another one needs {{?...}}. A template that is not here is not checked
 * for that.
 */
static const struct {
	const char *template;
	uint64_t vars;
} given[] = {
	{ "boot.ipxe", SET(VAR_BASE) },
	{ "error.ipxe", ASKER },
	{ "denied.ipxe", ASKER },
	{ "local.ipxe", ASKER | SET(VAR_NAME) },
	{ "menu.ipxe", ASKER | SET(VAR_NAME) | SET(VAR_DEFAULT) },
	{ "sanboot.ipxe", ASKER | TARGET | SET(VAR_NAME) | SET(VAR_IMAGE) },
	{ "entry-linux.ipxe", ASKER | SET(VAR_NAME) | SET(VAR_ENTRY) | SET(VAR_KERNEL) },
	{ "entry-windows.ipxe", ASKER | SET(VAR_NAME) | SET(VAR_ENTRY) | SET(VAR_KERNEL) },
	{ "entry-chain.ipxe", ASKER | SET(VAR_NAME) | SET(VAR_URL) },
	{ "wait-entry.ipxe", ASKER | SET(VAR_NAME) },
	{ "wait-approval.ipxe", ASKER },
	{ "wait-conflict.ipxe", ASKER | SET(VAR_NAME) },
	{ "wait-failed.ipxe", ASKER | SET(VAR_NAME) },
	{ "wait-full.ipxe", ASKER },
	{ "wait-image.ipxe", ASKER },
	{ "wait-neighbour.ipxe", ASKER },
	{ "wait-running.ipxe", ASKER | SET(VAR_NAME) },
	{ "wait-shared.ipxe", ASKER },
	{ "wait-space.ipxe", ASKER },
	{ "wait-swap.ipxe", ASKER | SET(VAR_NAME) },
	{ "wait-turn.ipxe", ASKER | SET(VAR_NAME) | SET(VAR_PLACE) | SET(VAR_QUEUE) },
};

_Static_assert(SCRIPT_VARS <= 64, "a set of variables is a uint64_t");

/* One run over a template. values NULL: only checks. */
struct render {
	const struct script_source *source;
	const struct script_values *values;
	struct buf *out;
	const char *file;
	unsigned line, depth;
	uint64_t always; /* checking: words that are set whatever the machine */
	struct boot_problem *problem;
};

static int render_file(struct render *r, const char *file);

static int render_complain(const struct render *r, const char *what, const char *name, size_t name_len)
{
	char shown[64];

	snprintf(r->problem->file, sizeof(r->problem->file), "%s", r->file);
	r->problem->line = r->line;
	return reason_refuse(&r->problem->why, -EINVAL, "%s: %s", what,
			     log_escape(shown, sizeof(shown), name, name_len));
}

/* ---- values ---- */

static bool char_is_harmless(char c, const char *also)
{
	return isascii((unsigned char)c) && (isalnum((unsigned char)c) || (c && strchr(also, c)));
}

static bool piece_is_harmless(const char *word, size_t len, const char *also)
{
	if (len == 0 || len > SCRIPT_WORD_MAX || word[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!char_is_harmless(word[i], also))
			return false;
	return true;
}

bool script_word_valid(const char *word)
{
	return piece_is_harmless(word, strlen(word), "._:/@[]-");
}

/* Alone, "&&" would separate commands; inside a word that begins with a letter nothing does. */
bool script_url_valid(const char *url)
{
	return isalpha((unsigned char)url[0]) && piece_is_harmless(url, strlen(url), "._:/@[]-%?=&+,~");
}

static bool words_valid(const char *words)
{
	while (true) {
		size_t len = strcspn(words, " ");

		if (!piece_is_harmless(words, len, "._:/@[]-"))
			return false;
		if (!words[len])
			return true;
		words += len + 1;
	}
}

/* Expansions are the administrator's right; what would end the command, or join lines, is not meant. */
bool script_line_valid(const char *line)
{
	size_t len = strlen(line);

	if (len > SCRIPT_LINE_MAX || (len && line[len - 1] == '\\'))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return false;
	while (*line) {
		size_t word = strcspn(line, " ");

		if (*line == '#' || (word == 1 && *line == ';') ||
		    (word == 2 && (!memcmp(line, "||", 2) || !memcmp(line, "&&", 2))))
			return false;
		line += word;
		line += strspn(line, " ");
	}
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

/* The item with this index of a list; false where it has fewer. */
static bool list_item(const char *list, unsigned index, char *item, size_t size)
{
	for (; *list; index--) {
		size_t len = strcspn(list, "\n");

		if (!index) {
			snprintf(item, size, "%.*s", (int)len, list);
			return true;
		}
		list += len + (list[len] == '\n');
	}
	return false;
}

static bool value_fits(enum var_kind kind, const char *value)
{
	switch (kind) {
	case KIND_WORD:
		return script_word_valid(value);
	case KIND_WORDS:
		return words_valid(value);
	case KIND_URL:
		return script_url_valid(value);
	case KIND_LINE:
		return script_line_valid(value);
	default:
		return true;
	}
}

static bool kind_may_be_empty(int var)
{
	return vars[var].kind == KIND_TEXT || vars[var].kind == KIND_LINE || vars[var].list;
}

static int render_var(struct render *r, const char *name, size_t len, uint64_t set, int list, unsigned item)
{
	char one[SCRIPT_LINE_MAX + 2];
	int var = find_var(name, len);
	const char *value;

	if (var < 0 || vars[var].kind == KIND_SWITCH)
		return render_complain(r, "no such variable", name, len);
	if (vars[var].list && (list < 0 || vars[var].list != vars[list].list))
		return render_complain(r, "this list cannot stand on a line with another one", name, len);
	if (!r->values) {
		if (!(set & SET(var)) && !kind_may_be_empty(var))
			return render_complain(r, "not always set, so that its line has to begin with {{?...}}", name,
					       len);
		return 0;
	}
	value = value_of(r, var);
	if (vars[var].list && list_item(value, item, one, sizeof(one)))
		value = one;
	if (vars[var].kind == KIND_TEXT) {
		add_text(r->out, value);
		return 0;
	}
	/* Not the value: it may be a secret. */
	if (!value_fits(vars[var].kind, value))
		return render_complain(r, "the value of this variable cannot stand in a script", name, len);
	buf_add_string(r->out, value);
	return 0;
}

/* ---- lines ---- */

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

/* The conditions at the start of a line. *keep: all hold; *at is behind them; *set gains what they ask for. */
static int render_conditions(struct render *r, const char **at, const char *line_end, bool *keep, uint64_t *set)
{
	*keep = true;
	while (line_end - *at > 3 && !memcmp(*at, "{{", 2) && ((*at)[2] == '?' || (*at)[2] == '!')) {
		const char *name = *at + 3, *next, *name_end = tag_end(name, line_end, &next);
		int var = name_end ? find_var(name, (size_t)(name_end - name)) : -1;
		bool wanted = (*at)[2] == '?';

		if (var < 0)
			return render_complain(r, "no such variable", name,
					       (size_t)((name_end ? name_end : line_end) - name));
		if ((*value_of(r, var) != '\0') != wanted)
			*keep = false;
		if (wanted)
			*set |= SET(var);
		*at = next;
	}
	return 0;
}

static int render_include(struct render *r, const char *name, size_t len)
{
	char file[TEMPLATE_NAME_MAX];

	if (len >= sizeof(file) || r->depth >= SCRIPT_NESTING)
		return render_complain(r, "cannot stand in another file", name, len);
	memcpy(file, name, len);
	file[len] = '\0';
	return render_file(r, file);
}

/* The first list on the line; -1: none. */
static int line_list(const char *at, const char *line_end)
{
	const char *next, *name_end;

	for (; line_end - at > 3; at++) {
		int var;

		if (memcmp(at, "{{", 2) || !(name_end = tag_end(at + 2, line_end, &next)))
			continue;
		var = find_var(at + 2, (size_t)(name_end - at - 2));
		if (var >= 0 && vars[var].list)
			return var;
	}
	return -1;
}

static int render_pieces(struct render *r, const char *at, const char *line_end, uint64_t set, int list, unsigned item)
{
	const char *next, *name_end;
	int err;

	while (at < line_end) {
		if (line_end - at < 2 || memcmp(at, "{{", 2)) {
			buf_add(r->out, at++, 1);
			continue;
		}
		name_end = tag_end(at + 2, line_end, &next);
		if (!name_end)
			return render_complain(r, "}} is missing", at, (size_t)(line_end - at));
		err = render_var(r, at + 2, (size_t)(name_end - at - 2), set, list, item);
		if (err)
			return err;
		at = next;
	}
	buf_add(r->out, "\n", 1);
	return 0;
}

static int render_line(struct render *r, const char *at, const char *line_end)
{
	uint64_t set = r->always;
	const char *next, *name_end;
	char unused[SCRIPT_LINE_MAX + 2];
	bool keep;
	int err = render_conditions(r, &at, line_end, &keep, &set), list;

	if (err || (!keep && r->values))
		return err;
	if (line_end - at > 3 && !memcmp(at, "{{>", 3)) {
		name_end = tag_end(at + 3, line_end, &next);
		if (!name_end || next != line_end)
			return render_complain(r, "a file has to have a line of its own", at, (size_t)(line_end - at));
		return render_include(r, at + 3, (size_t)(name_end - at - 3));
	}
	list = line_list(at, line_end);
	if (list < 0 || !r->values)
		return render_pieces(r, at, line_end, set, list, 0);
	for (unsigned item = 0; !err && item < SCRIPT_LIST_MAX; item++) {
		if (!list_item(value_of(r, list), item, unused, sizeof(unused)))
			break;
		err = render_pieces(r, at, line_end, set, list, item);
	}
	return err;
}

/* ---- files ---- */

/* A NUL would hide the rest, a CR be part of the last word. */
static int check_bytes(const struct render *r, const char *line, const char *line_end)
{
	for (const char *at = line; at < line_end; at++)
		if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f)
			return render_complain(r,
					       *at == '\r' ? "lines end with CR and LF, iPXE needs LF alone" :
							     "a control character",
					       at, 1);
	return 0;
}

static int render_file(struct render *r, const char *file)
{
	struct render outer = *r;
	const char *text;
	size_t len;
	int err = 0;

	if (!r->source->find(r->source->arg, file, &text, &len))
		return render_complain(r, "no such file in ipxe-scripts", file, strlen(file));
	r->file = file;
	r->line = 0;
	r->depth++;
	for (const char *at = text, *end = text + len, *line_end; at < end && !err; at = line_end + 1) {
		line_end = memchr(at, '\n', (size_t)(end - at));
		r->line++;
		if (!line_end)
			return render_complain(r, "the last line does not end", at, (size_t)(end - at));
		err = check_bytes(r, at, line_end);
		if (!err)
			err = render_line(r, at, line_end);
	}
	r->file = outer.file;
	r->line = outer.line;
	r->depth = outer.depth;
	return err;
}

static uint64_t always_given(const char *template)
{
	for (size_t i = 0; i < array_len(given); i++)
		if (!strcmp(given[i].template, template))
			return given[i].vars;
	return ~0ull;
}

int script_check(const struct script_source *source, const char *template, struct boot_problem *problem)
{
	static const char first[] = "#!ipxe\n";
	struct buf unused;
	struct render r = {
		.source = source, .out = &unused, .file = template, .always = always_given(template), .problem = problem
	};
	size_t name = strlen(template), len;
	const char *text;
	int err = 0;

	*problem = (struct boot_problem){ 0 };
	buf_init(&unused, SCRIPT_MAX);
	if (!source->find(source->arg, template, &text, &len))
		err = render_complain(&r, "no such file in ipxe-scripts", template, name);
	else if (name > 5 && !strcmp(template + name - 5, ".ipxe") &&
		 (len < sizeof(first) - 1 || memcmp(text, first, sizeof(first) - 1))) {
		r.line = 1;
		err = render_complain(&r, "the first line has to be", "#!ipxe", 6);
	}
	if (!err)
		err = render_file(&r, template);
	if (!err && unused.failed)
		err = render_complain(&r, "too long", template, name);
	buf_fini(&unused);
	return err;
}

int script_make(const struct script_source *source, const char *template, const struct script_values *values,
		struct buf *script, struct boot_problem *problem)
{
	struct render r = {
		.source = source, .values = values, .out = script, .file = template, .always = ~0ull, .problem = problem
	};
	int err;

	*problem = (struct boot_problem){ 0 };
	err = render_file(&r, template);
	if (!err && script->failed) {
		snprintf(problem->file, sizeof(problem->file), "%s", template);
		err = reason_refuse(&problem->why, -ENOMEM, "the script is too long");
	}
	return err;
}
