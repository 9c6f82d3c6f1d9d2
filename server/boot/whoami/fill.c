// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Templates of who-am-i volumes: see fill.h.
 *
 * YAML is followed line by line, as far as it takes to know what a placeholder stands in:
 *
 *     key: {name}             a plain scalar: quoted as a whole, "pc-001"
 *     - echo {name} >>/x      likewise, "echo pc-001 >>/x"
 *     "...{name}..."          as it is; so are '...', # comments
 *     key: |                  a block: its lines are text, up to one that is indented no more than the key
 *     - a plain scalar        as it is: it goes on in the next line, so it cannot be quoted
 *       of several lines {name}
 */
#include "fill.h"

#include "base/crc32c.h"
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { NOWHERE = -2 };

static const char *const names[FILL_VARS] = {
	[FILL_NAME] = "name",	  [FILL_WINDOWS_NAME] = "windows-name",
	[FILL_MAC] = "mac",	  [FILL_UUID] = "uuid",
	[FILL_SERIAL] = "serial", [FILL_PRODUCT] = "product",
	[FILL_IP] = "ip",	  [FILL_GROUP] = "group",
	[FILL_IMAGE] = "image",	  [FILL_VERSION] = "version",
	[FILL_SERVER] = "server", [FILL_INSTANCE] = "instance",
	[FILL_BRACE] = "brace",
};

struct fill {
	const char *text;
	size_t len;
	const struct fill_values *values;
	struct buf *out;
	unsigned line; /* of what is being looked at, from 1 */
	struct reason *why;
	/* YAML */
	char quote;    /* inside '...' or "..."; 0: not */
	unsigned flow; /* depth of [ and { */
	int block;     /* lines indented more than this are text of a block; or NOWHERE */
	int goes_on;   /* lines indented more than this continue a plain scalar; or NOWHERE */
	int open;      /* the column of "key:" or "-" whose value has not come yet; or NOWHERE */
};

const char *fill_clean(const char *value, char *out, size_t out_size)
{
	size_t n = 0;

	for (; *value && n + 1 < out_size; value++, n++)
		out[n] = isalnum((unsigned char)*value) && (unsigned char)*value < 128 ? *value :
			 strchr(" ._:@/+,=-", *value)				       ? *value :
											 '_';
	out[n] = '\0';
	return out;
}

void fill_windows_name(const char *name, char out[FILL_WINDOWS_NAME_TEXT])
{
	const size_t most = FILL_WINDOWS_NAME_TEXT - 1;
	size_t len = strlen(name);
	bool digits = strspn(name, "0123456789") == len;

	if (len <= (digits ? most - 3 : most))
		snprintf(out, FILL_WINDOWS_NAME_TEXT, "%s%s", digits ? "PC-" : "", name);
	else /* what is cut differs by the sum of the whole */
		snprintf(out, FILL_WINDOWS_NAME_TEXT, "%.8s-%06x", name, crc32c(0, name, len) & 0xffffff);
}

/* ---- placeholders ---- */

/* How long the placeholder is that begins at text[at]; 0: none does. ${name} and {{name}} are somebody else's. */
static size_t placeholder_at(const struct fill *f, size_t at)
{
	size_t end = at + 1;

	if (f->text[at] != '{' || (at && (f->text[at - 1] == '$' || f->text[at - 1] == '{')))
		return 0;
	if (end >= f->len || !islower((unsigned char)f->text[end]))
		return 0;
	while (end < f->len && (islower((unsigned char)f->text[end]) || isdigit((unsigned char)f->text[end]) ||
				f->text[end] == '-' || f->text[end] == '_'))
		end++;
	return end < f->len && f->text[end] == '}' ? end + 1 - at : 0;
}

/* Appends its value; len: of the placeholder. */
static int put_value(struct fill *f, size_t at, size_t len)
{
	char shown[64];

	for (unsigned var = 0; var < FILL_VARS; var++) {
		if (strlen(names[var]) != len - 2 || memcmp(names[var], f->text + at + 1, len - 2))
			continue;
		if (var == FILL_BRACE)
			buf_add(f->out, "{", 1);
		else if (f->values && f->values->value[var])
			buf_add_string(f->out, f->values->value[var]);
		return 0;
	}
	return reason_refuse(f->why, -EINVAL,
			     "there is no placeholder %s; where this is to be text, write {brace} for the {",
			     log_escape(shown, sizeof(shown), f->text + at, len > 40 ? 40 : len));
}

/* From at to end, as it is but for placeholders; escape: inside quotes that are ours. */
static int put_range(struct fill *f, size_t at, size_t end, bool escape)
{
	while (at < end) {
		size_t len = placeholder_at(f, at);
		int err = len ? put_value(f, at, len) : 0;

		if (err)
			return err;
		if (!len && escape && (f->text[at] == '"' || f->text[at] == '\\'))
			buf_add(f->out, "\\", 1);
		if (!len)
			buf_add(f->out, f->text + at, 1);
		at += len ? len : 1;
	}
	return 0;
}

static bool has_placeholder(const struct fill *f, size_t at, size_t end)
{
	for (; at < end; at++)
		if (placeholder_at(f, at))
			return true;
	return false;
}

/* ---- YAML: a line ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The column of the first character that is no space; -1: the line is empty. */
static int indentation(const struct fill *f, size_t at, size_t end)
{
	size_t begin = at;

	while (at < end && f->text[at] == ' ')
		at++;
	for (size_t rest = at; rest < end; rest++)
		if (!is_blank(f->text[rest]))
			return (int)(at - begin);
	return -1;
}

static size_t line_end(const struct fill *f, size_t at)
{
	const char *end = memchr(f->text + at, '\n', f->len - at);

	return end ? (size_t)(end - f->text) : f->len;
}

/* "# ...", at the begin of a token. */
static bool is_comment(const struct fill *f, size_t at)
{
	return f->text[at] == '#' && (!at || is_blank(f->text[at - 1]) || f->text[at - 1] == '\n');
}

/* ": ", or ":" at the end of the line, or in front of what ends a scalar of a flow. */
static bool is_colon(const struct fill *f, size_t at, size_t end)
{
	return f->text[at] == ':' &&
	       (at + 1 >= end || is_blank(f->text[at + 1]) || (f->flow && strchr(",[]{}", f->text[at + 1])));
}

/* Where the plain scalar ends that begins at at. */
static size_t plain_end(const struct fill *f, size_t at, size_t end)
{
	size_t stop = at;

	while (stop < end) {
		size_t len = placeholder_at(f, stop);

		if (!len && (is_colon(f, stop, end) || (stop > at && is_comment(f, stop)) ||
			     (f->flow && strchr(",[]{}", f->text[stop]))))
			break;
		stop += len ? len : 1;
	}
	while (stop > at && is_blank(f->text[stop - 1]))
		stop--;
	return stop;
}

/* "|", ">-", "|2+": the header of a block, and nothing behind it but a comment. */
static bool is_block_header(const struct fill *f, size_t at, size_t end)
{
	if (f->flow || (f->text[at] != '|' && f->text[at] != '>'))
		return false;
	for (at++; at < end && strchr("+-0123456789", f->text[at]); at++)
		;
	while (at < end && is_blank(f->text[at]))
		at++;
	return at == end || is_comment(f, at);
}

/* Does the line behind end, or one after empty ones, belong to a plain scalar of this column? */
static bool next_goes_on(const struct fill *f, size_t end, int column)
{
	while (end < f->len) {
		size_t begin = end + 1, stop;
		int indent;

		if (begin >= f->len)
			return false;
		stop = line_end(f, begin);
		indent = indentation(f, begin, stop);
		if (indent >= 0)
			return indent > column && f->text[begin + (size_t)indent] != '#';
		end = stop;
	}
	return false;
}

/* Up to the closing quote, or the end of the line: then the next one is inside, too. */
static int put_quoted(struct fill *f, size_t *at, size_t end)
{
	size_t begin = *at, stop = begin;

	while (stop < end && f->quote) {
		if (f->text[stop] == '\\' && f->quote == '"' && stop + 1 < end)
			stop += 2;
		else if (f->text[stop] == f->quote && f->quote == '\'' && stop + 1 < end && f->text[stop + 1] == '\'')
			stop += 2;
		else if (f->text[stop++] == f->quote)
			f->quote = 0;
	}
	*at = stop;
	return put_range(f, begin, stop, false);
}

/* A plain scalar: a value, or a key. column: of the node that it is. */
static int put_plain(struct fill *f, size_t *at, size_t end, int column)
{
	size_t begin = *at, stop = plain_end(f, begin, end), behind = stop;
	bool quoted, key;
	int err;

	while (behind < end && is_blank(f->text[behind]))
		behind++;
	key = behind < end && is_colon(f, behind, end);
	quoted = has_placeholder(f, begin, stop);
	if (!f->flow && !key && behind == end && next_goes_on(f, end, column)) {
		f->goes_on = column;
		quoted = false;
	}
	if (quoted)
		buf_add(f->out, "\"", 1);
	err = put_range(f, begin, stop, quoted);
	if (quoted)
		buf_add(f->out, "\"", 1);
	*at = stop;
	return err;
}

/* "[", "{", and within them "," and what closes them. */
static bool is_flow(struct fill *f, size_t at)
{
	char c = f->text[at];

	if (c == '[' || c == '{')
		f->flow++;
	else if (!f->flow || !strchr("]},", c))
		return false;
	else if (c != ',')
		f->flow--;
	return true;
}

/* An anchor, an alias, a tag: a word. */
static size_t word_end(const struct fill *f, size_t at, size_t end)
{
	while (at < end && !is_blank(f->text[at]) && !(f->flow && strchr(",[]{}", f->text[at])))
		at++;
	return at;
}

/* A colon comes behind: what began at begin is a key, and a block or a scalar behind it belongs to that column. */
static void note_key(const struct fill *f, size_t column, size_t at, size_t end, int *node)
{
	while (at < end && is_blank(f->text[at]))
		at++;
	if (at < end && is_colon(f, at, end))
		*node = (int)column;
}

/* "- ", "? ", ": "; in JSON ":" behind a quoted key, too. */
static bool is_indicator(const struct fill *f, size_t at, size_t end)
{
	char c = f->text[at];

	if (c != '-' && c != '?' && c != ':')
		return false;
	return at + 1 >= end || is_blank(f->text[at + 1]) || (c == ':' && at && strchr("\"'", f->text[at - 1]));
}

/* What is no scalar and begins at at: where it ends. 0: it is a scalar. */
static size_t other_token_end(struct fill *f, size_t at, size_t end, int *node, size_t line_begin)
{
	if (is_blank(f->text[at]))
		return at + 1;
	if (is_comment(f, at))
		return end;
	if (strchr("!&", f->text[at]))
		return word_end(f, at, end);
	if (is_indicator(f, at, end)) {
		if (f->text[at] != ':')
			*node = (int)(at - line_begin);
		f->open = *node;
		return at + 1;
	}
	f->open = NOWHERE;
	if (is_block_header(f, at, end)) {
		f->block = *node;
		return end;
	}
	if (!placeholder_at(f, at) && is_flow(f, at))
		return at + 1;
	return f->text[at] == '*' ? word_end(f, at, end) : 0;
}

/* What begins at *at, where a token may. node: the column of what a block or a scalar there would belong to. */
static int put_token(struct fill *f, size_t *at, size_t end, int *node, size_t line_begin)
{
	size_t begin = *at, stop = other_token_end(f, begin, end, node, line_begin);
	int err;

	if (stop) {
		*at = stop > begin ? stop : begin + 1;
		return put_range(f, begin, *at, false);
	}
	if (f->text[begin] == '"' || f->text[begin] == '\'') {
		f->quote = f->text[begin];
		buf_add(f->out, &f->quote, 1);
		++*at;
		err = put_quoted(f, at, end);
	} else {
		err = put_plain(f, at, end, *node);
		/* What ends a scalar and begins none, a colon behind rubbish say: it stays as it is. */
		if (!err && *at == begin)
			err = put_range(f, begin, ++*at, false);
	}
	note_key(f, begin - line_begin, *at, end, node);
	return err;
}

/* A line of a block, or one that continues a plain scalar, is text. */
static bool is_inside(int indent, int *column)
{
	if (*column == NOWHERE)
		return false;
	if (indent > *column)
		return true;
	*column = NOWHERE;
	return false;
}

static int put_yaml_line(struct fill *f, size_t begin, size_t end)
{
	int indent = indentation(f, begin, end), node = f->open != NOWHERE && indent > f->open ? f->open : -1, err = 0;
	size_t at = begin;

	if (f->quote)
		err = put_quoted(f, &at, end);
	else if (indent < 0 || is_inside(indent, &f->block) || is_inside(indent, &f->goes_on))
		return put_range(f, begin, end, false);
	else if (end - at >= 3 && !memcmp(f->text + at, "---", 3) && (end - at == 3 || is_blank(f->text[at + 3])))
		buf_add(f->out, "---", 3), at += 3;
	while (at < end && !err)
		err = put_token(f, &at, end, &node, begin);
	return err;
}

static int fill_yaml(struct fill *f)
{
	size_t at = 0;
	int err = 0;

	f->block = f->goes_on = f->open = NOWHERE;
	while (at < f->len && !err) {
		size_t end = line_end(f, at);

		err = put_yaml_line(f, at, end);
		if (err)
			break;
		if (end < f->len)
			buf_add(f->out, "\n", 1);
		at = end + 1;
		f->line++;
	}
	return err;
}

/* ---- whole files ---- */

static bool begins_with(const char *text, size_t len, const char *what)
{
	return len >= strlen(what) && !memcmp(text, what, strlen(what));
}

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len > end_len && !strcasecmp(name + len - end_len, end);
}

enum fill_kind fill_kind_of(const char *file, const char *text, size_t len)
{
	static const char *const yaml[] = { "meta-data", "network-config", "user-data", "vendor-data" };

	if (len && memchr(text, '\0', len))
		return FILL_NOT;
	if (ends_with(file, ".yaml") || ends_with(file, ".yml") || ends_with(file, ".json"))
		return FILL_YAML;
	for (size_t i = 0; i < sizeof(yaml) / sizeof(yaml[0]); i++) {
		if (strcmp(file, yaml[i]))
			continue;
		/* The other two may be scripts, archives, lists of URLs, ... */
		return i < 2 || begins_with(text, len, "#cloud-") || begins_with(text, len, "## template:") ||
				       begins_with(text, len, "{") ?
			       FILL_YAML :
			       FILL_TEXT;
	}
	return FILL_TEXT;
}

static int fill_lines(struct fill *f)
{
	size_t at = 0;
	int err = 0;

	while (at < f->len && !err) {
		size_t end = line_end(f, at);

		end += end < f->len;
		err = put_range(f, at, end, false);
		at = end;
		f->line += !err;
	}
	return err;
}

int fill_text(enum fill_kind kind, const char *text, size_t len, const struct fill_values *values, struct buf *out,
	      unsigned *line, struct reason *why)
{
	struct fill f = { .text = text, .len = len, .values = values, .out = out, .line = 1, .why = why };
	int err = 0;

	if (kind == FILL_NOT)
		buf_add(out, text, len);
	else
		err = kind == FILL_YAML ? fill_yaml(&f) : fill_lines(&f);
	if (err)
		*line = f.line;
	return err;
}
