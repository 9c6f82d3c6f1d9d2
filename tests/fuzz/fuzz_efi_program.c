// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz harness: the headers and certificates of EFI programs. */
#include "dhcp/efi_program.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct efi_program program;

	if (!efi_program_parse(data, size, &program))
		assert(!program.machine && !program.is_signed);
	assert(program.is_signed || (!program.ca_2011 && !program.ca_2023));
	return 0;
}
