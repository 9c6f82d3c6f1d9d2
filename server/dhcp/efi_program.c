// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PE files of EFI: see efi_program.h.
 *
 *     0x3c  where the header is ->  "PE\0\0", machine, ..., optional header: magic, ..., data directories
 *                                   directory 4: where the certificate table is, and its length
 */
#include "dhcp/efi_program.h"

#include <string.h>

enum {
	PE_POINTER = 0x3c,
	PE_MACHINE = 4,	  /* behind the signature */
	PE_OPTIONAL = 24, /* behind the signature and the COFF header */
	PE32 = 0x10b,
	PE32_DIRECTORIES = 96,
	PE32_PLUS = 0x20b,
	PE32_PLUS_DIRECTORIES = 112,
	PE_CERTIFICATES = 4,
	PE_DIRECTORY_BYTES = 8,
};

/* Names of issuers, in a certificate as they are printed. */
static const char ca_2011[] = "Microsoft Corporation UEFI CA 2011", ca_2023[] = "Microsoft UEFI CA 2023";

static unsigned le16_at(const uint8_t *at)
{
	return at[0] | (unsigned)at[1] << 8;
}

static uint32_t le32_at(const uint8_t *at)
{
	return le16_at(at) | (uint32_t)le16_at(at + 2) << 16;
}

static void read_certificates(const uint8_t *data, size_t len, size_t first, size_t bytes, struct efi_program *program)
{
	if (!bytes || bytes > len || first > len - bytes)
		return;
	program->is_signed = true;
	program->ca_2011 = memmem(data + first, bytes, ca_2011, strlen(ca_2011));
	program->ca_2023 = memmem(data + first, bytes, ca_2023, strlen(ca_2023));
}

bool efi_program_parse(const uint8_t *data, size_t len, struct efi_program *program)
{
	size_t pe, directories, at;
	unsigned magic;

	*program = (struct efi_program){ 0 };
	if (len < PE_POINTER + 4 || memcmp(data, "MZ", 2))
		return false;
	pe = le32_at(data + PE_POINTER);
	if (len < PE_OPTIONAL + 2 || pe > len - PE_OPTIONAL - 2 || memcmp(data + pe, "PE\0\0", 4))
		return false;
	magic = le16_at(data + pe + PE_OPTIONAL);
	if (magic != PE32 && magic != PE32_PLUS)
		return false;
	program->machine = le16_at(data + pe + PE_MACHINE);
	directories = magic == PE32 ? PE32_DIRECTORIES : PE32_PLUS_DIRECTORIES;
	at = pe + PE_OPTIONAL + directories + PE_CERTIFICATES * PE_DIRECTORY_BYTES;
	/* The number of directories stands in front of them. */
	if (at + PE_DIRECTORY_BYTES <= len && le32_at(data + pe + PE_OPTIONAL + directories - 4) > PE_CERTIFICATES)
		read_certificates(data, len, le32_at(data + at), le32_at(data + at + 4), program);
	return true;
}
