/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What iscsi/ is told by whoever runs it, for it does not know what a machine is: who may log in where, what opens, and
 * when it may be closed. A target here is a "key" (a positive number that never means another target) and its IQN.
 *
 * The first successful login with the secret of a pending boot starts that boot: sessions of earlier boots are ended,
 * their writes have finished or never will, reservations are cleared, provider->begin makes it the current boot, then
 * open.
 */
#ifndef ISCSI_PROVIDER_H
#define ISCSI_PROVIDER_H

#include "base/parse.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;
struct loop;

enum { ISCSI_NAME_MAX = 223, ISCSI_SECRET_MAX = 255, ISCSI_CREDENTIALS = 2, ISCSI_SESSIONS_PER_BOOT = 8 };

enum iscsi_auth { ISCSI_AUTH_NONE, ISCSI_AUTH_CHAP, ISCSI_AUTH_MUTUAL };

/* One boot that may log in, and with what. */
struct iscsi_credential {
	uint64_t boot;	      /* grows with each boot of a machine; 0: none */
	bool pending;	      /* its first login begins it */
	enum iscsi_auth auth; /* the rule that this boot began under, and keeps; pending: the target's */
	char user[64], secret[ISCSI_SECRET_MAX + 1];
	char reverse_user[64], reverse_secret[ISCSI_SECRET_MAX + 1]; /* mutual */
};

/* What the provider knows of a target that a login named. */
struct iscsi_access {
	uint64_t key; /* 0: refused */
	/*
	 * refused: RFC 7143 §11.13.5 status, e.g. 0x0203 not found, 0x0202 forbidden, 0x0301 service unavailable;
	 * reason for the log
	 */
	uint16_t login_status;
	struct reason reason;
	char iqn[ISCSI_NAME_MAX + 1];
	enum iscsi_auth auth; /* for a boot that begins */
	/*
	 * Under auth none: a login by iPXE (ISID qualifier, see iscsi_is_ipxe) uses the pending boot where there is
	 * one, others the current boot, or the pending one where there is no current.
	 */
	struct iscsi_credential credentials[ISCSI_CREDENTIALS]; /* current, pending; boot 0 where there is none */
	/* The only initiator name that may log in; "" any. */
	char initiator[ISCSI_NAME_MAX + 1];
	bool many; /* different initiators at once (access=many); a boot then has no bound of its own */
};

enum { ISCSI_LUNS = 256, ISCSI_SERIAL_MAX = 64 };
enum iscsi_lun_type { ISCSI_LUN_DISK, ISCSI_LUN_CDROM };

/* A logical unit of an open target: a volume under a number. */
struct iscsi_lun {
	unsigned number; /* 0 to 255 */
	uint64_t volume; /* what the provider knows it by; only handed back */
	struct disk *disk;
	enum iscsi_lun_type type;
	bool read_only;	   /* write-protected towards initiators; a read-only disk and a CD-ROM are anyway */
	bool physical_512; /* a physical block is said to be a logical one (512n), not 4096 bytes (512e) */
	/*
	 * The unit's own serial number and the seed of its identifiers, which it keeps under whatever number and at
	 * whatever target. "": the target's (what its IQN ends in), with the number behind it unless that is 0.
	 */
	char serial[ISCSI_SERIAL_MAX + 1];
};

struct iscsi_session_info {
	uint64_t key, boot;
	char initiator[ISCSI_NAME_MAX + 1];
	char address[PARSE_ENDPOINT_TEXT];
	char portal[PARSE_ENDPOINT_TEXT]; /* the address of ours that it reached */
	bool ipxe;
	int64_t since_unix_ms;
	uint64_t bytes_read, bytes_written, commands;
	int64_t heard_unix_ms; /* when anything came from it last */
};

/* Any thread may call these; answers come on reply_loop. Arguments of answers are borrowed. */
struct iscsi_provider {
	void *arg;
	void (*find)(void *arg, const char *iqn, const char *initiator, struct loop *reply_loop,
		     void (*found)(void *found_arg, const struct iscsi_access *access), void *found_arg);
	/*
	 * SendTargets=All: the IQNs that this initiator may open (auth decides what it is told), passed one by one; then
	 * once NULL with err: 0, or -errno where those were not all.
	 */
	void (*list)(void *arg, const char *initiator, struct loop *reply_loop,
		     void (*each)(void *each_arg, const char *iqn, int err), void *each_arg);
	/*
	 * A pending boot had its first successful login: make it the current one, durably. The target's sessions are
	 * gone, its disk may be open or closed.
	 */
	void (*begin)(void *arg, uint64_t key, uint64_t boot, struct loop *reply_loop,
		      void (*begun)(void *begun_arg, int err, const char *reason), void *begun_arg);
	/*
	 * Open the disks of a target on loop, which owns it. opened: all that are there, LUN 0 among them, each number
	 * once; borrowed. One that cannot be opened is left out, unless it is LUN 0. count 0: refused, with status and
	 * reason.
	 */
	void (*open)(void *arg, uint64_t key, uint64_t boot, struct loop *loop,
		     void (*opened)(void *opened_arg, const struct iscsi_lun *luns, unsigned count,
				    uint16_t login_status, const char *reason),
		     void *opened_arg);
	/*
	 * The last session has ended and its grace is over: the target is freed; close the disks. luns is borrowed
	 * until closed, which runs on loop.
	 */
	void (*close)(void *arg, uint64_t key, const struct iscsi_lun *luns, unsigned count, struct loop *loop,
		      void (*closed)(void *closed_arg), void *closed_arg);
	/*
	 * One more, of a target that is open: iscsi_server_attach. opened: it, or NULL with -errno and a sentence. May
	 * be NULL: never asked, and iscsi_server_attach refuses.
	 */
	void (*open_lun)(void *arg, uint64_t key, unsigned lun, struct loop *loop,
			 void (*opened)(void *opened_arg, const struct iscsi_lun *lun, int err, const char *reason),
			 void *opened_arg);
	/*
	 * Nobody uses this one any more: close it. lun is borrowed until closed, which runs on loop. Needed where there
	 * is open_lun, or where grow may lose one.
	 */
	void (*close_lun)(void *arg, uint64_t key, const struct iscsi_lun *lun, struct loop *loop,
			  void (*closed)(void *closed_arg), void *closed_arg);
	/*
	 * Nobody uses lun's disk just now, and its commands wait: close it, grow it, open it again on loop. grown: the
	 * disk to go on with, of whatever size, and 0 or -errno with a sentence; disk NULL: it cannot be opened any
	 * more, and counts as closed. lun is borrowed until grown. May be NULL: never asked.
	 */
	void (*grow)(void *arg, uint64_t key, const struct iscsi_lun *lun, uint64_t size_bytes, struct loop *loop,
		     void (*grown)(void *grown_arg, struct disk *disk, int err, const char *reason), void *grown_arg);
	/*
	 * begin may give the target's disk another object: true if the disk must be closed before begin. Any thread,
	 * at once.
	 */
	bool (*begin_needs_closed)(void *arg, uint64_t key);
	/* For the inventory and the events: a session began (ended: why). Must not block. */
	void (*session_began)(void *arg, const struct iscsi_session_info *session);
	void (*session_ended)(void *arg, const struct iscsi_session_info *session, const char *why);
	void (*first_read)(void *arg, const struct iscsi_session_info *session); /* its first READ; may be NULL */
	void (*login_refused)(void *arg, uint64_t key, const char *iqn, const char *initiator, const char *address,
			      const char *why);
	/*
	 * What scsi/ must keep over a restart, by target; blob copied. saved: gives what was kept with the open answer
	 * through load.
	 */
	void (*save_state)(void *arg, uint64_t key, const void *blob, size_t len, struct loop *reply_loop,
			   void (*done)(void *, int err), void *done_arg);
	void (*load_state)(void *arg, uint64_t key, struct loop *reply_loop,
			   void (*loaded)(void *, const void *blob, size_t len), void *loaded_arg);
};

/* Whether an ISID is iPXE's: EN format (RFC 7143 §11.12.5), enterprise number 10019. Any thread. */
bool iscsi_is_ipxe(const uint8_t isid[6]);

#endif
