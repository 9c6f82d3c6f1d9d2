// SPDX-License-Identifier: GPL-2.0-or-later
/* Records and their rows: see record.h. */
#include "inventory/record.h"

void record_read(struct query *q, const struct field *table, void *record)
{
	for (; table->column; table++) {
		if (table->kind == FIELD_TEXT)
			query_text(q, (char *)record + table->offset, table->size);
		else
			field_put(table, record, query_int(q)); /* NULL reads as 0 */
	}
}

static void bind_field(struct query *q, const struct field *field, const void *record)
{
	if (field->kind == FIELD_TEXT) {
		query_bind_text(q, (const char *)record + field->offset, field->size);
		return;
	}
	if (field->kind == FIELD_REFERENCE && !field_get(field, record))
		query_bind_null(q);
	else
		query_bind(q, field_get(field, record));
}

void record_bind_insert(struct query *q, const struct field *table, const void *record)
{
	for (const struct field *field = table + 1; field->column; field++)
		bind_field(q, field, record);
}

void record_bind_update(struct query *q, const struct field *table, const void *record)
{
	for (const struct field *field = table + 1; field->column; field++) {
		if (field->right != FIELD_FIXED)
			bind_field(q, field, record);
	}
}
