/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the file of an EFI program says of itself: for which machines it is, and who signed it (PE Format, Microsoft;
 * UEFI 2.10 §32.2.4). The signatures are read, not verified: that is the firmware's. Private to dhcp/.
 */
#ifndef DHCP_EFI_PROGRAM_H
#define DHCP_EFI_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* PE's numbers. */
enum efi_machine { EFI_MACHINE_I386 = 0x14c, EFI_MACHINE_X64 = 0x8664, EFI_MACHINE_ARM64 = 0xaa64 };

struct efi_program {
	unsigned machine; /* enum efi_machine, or another of PE's numbers */
	bool is_signed;
	bool ca_2011, ca_2023; /* by Microsoft, under its CA of that year: there may be several signatures */
};

/* False: that is no EFI program. */
bool efi_program_parse(const uint8_t *data, size_t len, struct efi_program *program);

#endif
