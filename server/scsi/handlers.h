/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handlers that the opcode table names and that have no header of their own. Private to scsi/. */
#ifndef SCSI_HANDLERS_H
#define SCSI_HANDLERS_H

#include "scsi/task.h"

/* Byte 1 of UNMAP, and of WRITE SAME (SBC-3 §5.28, §5.45); NDOB only in the one of 16 bytes. */
enum { SBC_UNMAP_ANCHOR = 0x01, SBC_SAME_ANCHOR = 0x10, SBC_SAME_UNMAP = 0x08, SBC_SAME_NDOB = 0x01 };

/* inquiry.c, vpd.c: SPC-4 §6.6, §7.8 */
void spc_inquiry(struct task_state *st);
void vpd_inquiry(struct task_state *st);

/* identity.c */
/* lu may be NULL. */
void inquiry_put_vendor(const struct scsi_lu *lu, uint8_t vendor[8], uint8_t product[16]);
void inquiry_put_revision(uint8_t revision[4]);
/* Peripheral qualifier and device type of the addressed LUN. */
uint8_t inquiry_peripheral(const struct task_state *st);
/* The LU's unit serial number; its length. */
enum { INQUIRY_SERIAL_MAX = 128 };
size_t inquiry_serial(const struct scsi_lu *lu, char out[INQUIRY_SERIAL_MAX]);

/* spc.c */
void spc_test_unit_ready(struct task_state *st);
void spc_request_sense(struct task_state *st);
void spc_report_luns(struct task_state *st);
void spc_send_diagnostic(struct task_state *st);
void spc_receive_diagnostic(struct task_state *st);
void spc_prevent_allow(struct task_state *st);
void spc_log_sense(struct task_state *st);

/* report_opcodes.c */
void spc_report_opcodes(struct task_state *st);
void spc_report_task_management(struct task_state *st);

/* sbc.c */
void sbc_read_capacity_10(struct task_state *st);
void sbc_read_capacity_16(struct task_state *st);
void sbc_start_stop(struct task_state *st);
void sbc_synchronize_cache(struct task_state *st);
void sbc_prefetch(struct task_state *st);
void sbc_read_defects_10(struct task_state *st);
void sbc_read_defects_12(struct task_state *st);

/* sbc_read_write.c */
void sbc_read(struct task_state *st);
void sbc_write(struct task_state *st);
void sbc_write_and_verify(struct task_state *st);
void sbc_verify(struct task_state *st);

/* sbc_compare.c */
void sbc_compare_and_write(struct task_state *st);
void sbc_orwrite(struct task_state *st);

/* mmc.c */
void mmc_start_stop(struct task_state *st);
void mmc_get_configuration(struct task_state *st);
void mmc_get_event_status(struct task_state *st);
void mmc_mechanism_status(struct task_state *st);

/* mmc_disc.c */
void mmc_read_toc(struct task_state *st);
void mmc_read_disc_information(struct task_state *st);
void mmc_read_track_information(struct task_state *st);
void mmc_read_disc_structure(struct task_state *st);
void mmc_read_cd(struct task_state *st);
/* As much as no CD holds (80 minutes) is called a DVD. */
bool mmc_is_dvd(const struct scsi_lu *lu);

/* sbc_unmap.c */
void sbc_unmap(struct task_state *st);
void sbc_write_same(struct task_state *st);
void sbc_get_lba_status(struct task_state *st);

#endif
