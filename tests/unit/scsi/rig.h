/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A target over a fake disk, and a transport that hands it one command after the other. */
#ifndef TEST_RIG_H
#define TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/free_list.h"
#include "fake_disk.h"
#include "scsi/lu.h"
#include "scsi/target.h"

enum { RIG_NEXUSES = 3, RIG_BLOCKS = 65536, RIG_IN_MAX = 4 << 20 };

struct rig {
	struct fake_disk *fake;	  /* LUN 0's */
	struct fake_disk *second; /* of whatever else the test adds; run with the other; may be NULL */
	unsigned lun;		  /* of rig_run */
	/* A restart adds second again, under that number. 0: it does not. */
	unsigned second_lun;
	struct scsi_lun_config second_config;
	struct scsi_target *target;
	struct free_list tasks;
	struct scsi_nexus *nexus[RIG_NEXUSES];
	/* what the target had saved; the answer waits while hold_saves */
	uint8_t saved[65536];
	size_t saved_len;
	unsigned saves;
	bool hold_saves;
	int save_result;
	void (*save_done)(void *arg, int err);
	void *save_done_arg;
	unsigned hook_calls;
};

/* One command and what came of it. */
struct cmd {
	struct scsi_task task;
	struct iovec out[4];
	unsigned done; /* how often done came */
	bool released;
};

/* The sense of the last rig_run, taken apart. */
struct answer {
	enum scsi_status status;
	uint8_t key;
	uint16_t code;
	bool has_information;
	uint64_t information;
	bool has_field, in_cdb, has_bit;
	unsigned byte, bit;
	uint8_t *in; /* RIG_IN_MAX, until the next rig_run of this rig */
	size_t in_len;
};

void rig_init(struct rig *rig, uint64_t blocks, bool with_save);
/* Starts again over the same disk with what was saved, nexuses logged in anew; unit attentions are there. */
void rig_restart(struct rig *rig);
void rig_fini(struct rig *rig);
int rig_setup(void **state); /* RIG_BLOCKS, with save, unit attentions taken */
int rig_teardown(void **state);
void rig_take_attentions(struct rig *rig);
void rig_login(struct rig *rig, unsigned nexus);
void rig_finish_save(struct rig *rig);

/* A command in its parts: prepare (decode), execute, release. */
void cmd_prepare(struct rig *rig, struct cmd *cmd, unsigned nexus, const void *cdb, size_t cdb_len);
void cmd_prepare_lun(struct rig *rig, struct cmd *cmd, unsigned nexus, unsigned lun, const void *cdb, size_t cdb_len);
void cmd_out(struct cmd *cmd, const void *data, size_t len);
/* READ(10) and WRITE(10) of one block; data is borrowed. */
void cmd_prepare_read(struct rig *rig, struct cmd *cmd, unsigned nexus, uint32_t lba);
void cmd_prepare_write(struct rig *rig, struct cmd *cmd, unsigned nexus, uint32_t lba, const uint8_t *data);
void cmd_execute(struct cmd *cmd);
void cmd_release(struct cmd *cmd);

/* The whole of it: sends out (len bytes), runs the disk until it is done, returns the answer. */
struct answer rig_run_lun(struct rig *rig, unsigned nexus, unsigned lun, const void *cdb, size_t cdb_len,
			  const void *out, size_t out_len);
struct answer rig_run(struct rig *rig, unsigned nexus, const void *cdb, size_t cdb_len, const void *out,
		      size_t out_len);
struct answer answer_of(const struct scsi_task *task);

#define CDB(...) (const uint8_t[16]){ __VA_ARGS__ }, 16
#define RUN(rig, nexus, ...) rig_run(rig, nexus, CDB(__VA_ARGS__), NULL, 0)

#define assert_good(a) assert_int_equal((a).status, SCSI_GOOD)
void check_sense(struct answer a, unsigned key, unsigned code);
#define assert_sense(a, key, code) check_sense(a, key, code)
/* ILLEGAL REQUEST, INVALID FIELD IN CDB, at byte (and bit, unless -1) */
void check_cdb_field(struct answer a, unsigned byte, int bit);
void check_parameter_field(struct answer a, unsigned byte, int bit);

uint64_t get_be(const uint8_t *p, unsigned bytes);
void put_be(uint8_t *p, unsigned bytes, uint64_t x);

#endif
