// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names in an initramfs: see cpio.h.
 *
 *     BETWEEN -> IN_HEADER -> IN_NAME -> SKIPS -> BETWEEN
 *        `-----------`-----------> FOREIGN
 */
#include "doctor/cpio.h"

#include "base/util.h"

#include <string.h>

enum {
	SIZE_AT = 54,
	NAME_SIZE_AT = 94,
	DIGITS = 8,
};

void cpio_init(struct cpio *cpio, void (*each)(void *arg, const char *name), void *arg)
{
	*cpio = (struct cpio){ .each = each, .arg = arg };
}

/* "00001a2b" */
static bool read_number(const char *digits, uint32_t *value)
{
	*value = 0;
	for (int i = 0; i < DIGITS; i++) {
		char c = digits[i];
		int digit = c >= '0' && c <= '9' ? c - '0' :
			    c >= 'a' && c <= 'f' ? c - 'a' + 10 :
			    c >= 'A' && c <= 'F' ? c - 'A' + 10 :
						   -1;

		if (digit < 0)
			return false;
		*value = *value << 4 | (uint32_t)digit;
	}
	return true;
}

static void take_header(struct cpio *cpio)
{
	uint32_t size, name_size;

	cpio->have = 0;
	cpio->state = CPIO_FOREIGN;
	if (!read_number(cpio->header + SIZE_AT, &size) || !read_number(cpio->header + NAME_SIZE_AT, &name_size) ||
	    !name_size || name_size > CPIO_NAME_MAX)
		return;
	/* The name is padded so that what follows lies at a multiple of 4 from the header. */
	cpio->name_bytes = name_size;
	cpio->file_bytes = align_up(CPIO_HEADER + name_size, 4) - CPIO_HEADER - name_size + align_up(size, 4);
	cpio->state = CPIO_IN_NAME;
}

static void take_name(struct cpio *cpio)
{
	cpio->name[cpio->name_bytes] = '\0';
	cpio->any = true;
	cpio->each(cpio->arg, cpio->name);
	cpio->have = 0;
	cpio->skip = cpio->file_bytes;
	cpio->state = cpio->skip ? CPIO_SKIPS : CPIO_BETWEEN;
}

/* Copies up to `whole` bytes of a part together; true: it is there. */
static bool gather(struct cpio *cpio, char *to, size_t whole, const uint8_t **data, size_t *len)
{
	size_t part = (size_t)min_u64(whole - cpio->have, *len);

	memcpy(to + cpio->have, *data, part);
	cpio->have += part;
	*data += part;
	*len -= part;
	return cpio->have == whole;
}

/* Every archive begins with this; so a header is foreign from its first wrong byte on. */
static bool starts_header(uint8_t c)
{
	return c == '0';
}

size_t cpio_push(struct cpio *cpio, const uint8_t *data, size_t len)
{
	size_t all = len;

	while (len && cpio->state != CPIO_FOREIGN) {
		if (cpio->state == CPIO_BETWEEN && !*data) {
			data++;
			len--;
		} else if (cpio->state == CPIO_BETWEEN) {
			cpio->state = starts_header(*data) ? CPIO_IN_HEADER : CPIO_FOREIGN;
		} else if (cpio->state == CPIO_IN_HEADER) {
			if (!gather(cpio, cpio->header, CPIO_HEADER, &data, &len))
				continue;
			if (memcmp(cpio->header, "070701", 6) && memcmp(cpio->header, "070702", 6))
				cpio->state = CPIO_FOREIGN;
			else
				take_header(cpio);
		} else if (cpio->state == CPIO_IN_NAME) {
			if (gather(cpio, cpio->name, cpio->name_bytes, &data, &len))
				take_name(cpio);
		} else {
			size_t part = (size_t)min_u64(cpio->skip, len);

			data += part;
			len -= part;
			cpio->skip -= part;
			if (!cpio->skip)
				cpio->state = CPIO_BETWEEN;
		}
	}
	return all - len;
}

bool cpio_is_whole(const struct cpio *cpio)
{
	return cpio->any && cpio->state == CPIO_BETWEEN;
}
