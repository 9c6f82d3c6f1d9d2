/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iload: a lean iSCSI load generator (RFC 7143, initiator side, ErrorRecoveryLevel 0).
 *
 * One thread, one epoll loop, sessions x queue depth, each session to one target or to its own. Random, sequential and
 * mixed loads; replay of a recorded trace; CHAP; digests; verification with a generation for each block. Every PDU's
 * order numbers, every status and every residual is checked; what is odd is counted, and the first few are printed. Exit
 * status 0: no error.
 *
 *	iload.c          options and phases: log in, warm up, run, drain, log out
 *	iload_login.c    connections and logins
 *	iload_work.c     what is asked next, commands, and what came of them; the pattern that verification expects
 *	iload_io.c       PDUs out and in
 *	iload_report.c   latencies, CPU time, the report
 *
 * A process has one load, so its state is global.
 */
#ifndef ILOAD_H
#define ILOAD_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BHS 48
#define RXBUF (512u << 10)
#define NHIST (64 * 60)
#define MAXPID 8
#define NOTAG 0xffffffffu
#define UNKNOWN 0xffff /* generation of a block whose write failed */

enum { READ, WRITE, FLUSH, NKIND };

enum { G_SETUP, G_WARM, G_RUN, G_DRAIN, G_LOGOUT };

enum { S_IDLE, S_CONNECT, S_LOGIN, S_TUR, S_CAP, S_READY, S_LOGOUT, S_DEAD };

enum { RX_HDR, RX_DATA, RX_TAIL };

struct trace_entry {
	uint64_t lba;
	uint32_t n; /* blocks */
	uint8_t kind;
	bool fua;
};

struct trace {
	struct trace_entry *e;
	size_t n;
};

struct slot { /* one outstanding command */
	bool used, capt;
	uint8_t kind;
	uint16_t seq; /* makes the task tag unique */
	uint32_t tag, nblk, len, got, sent, datasn, r2tsn;
	uint64_t lba, t0;
	uint8_t *buf; /* own buffer while it holds bytes, used when verifying */
};

struct out_pdu {
	uint8_t h[56];
	uint8_t hlen, tlen;
	uint32_t dlen;
	const uint8_t *d;
	uint8_t t[8];
};

struct session {
	int id, fd, state, stage, chapstep, loginpdus, turs;
	bool want_out, done, hd, dd, initial_r2t, imm;
	uint32_t cmdsn, maxcmdsn, expstatsn, tmrdsl, mbl, fbl, itt;
	bool statsn_known;
	uint8_t isid[6];
	uint16_t tsih;
	char target[256], initiator[256], user[64], secret[128];
	uint64_t t_conn, t_login, t_ready, t_done;
	uint32_t bs;
	uint64_t nblocks, lo, hi, seqpos;
	/* receive */
	uint8_t hdr[BHS + 1024 + 8], tail[8], text[16384];
	uint32_t have, need, dlen, dleft, tneed, textlen, crc;
	int rxs;
	uint8_t *sink;
	struct slot *rslot;
	/* send */
	struct out_pdu *q;
	uint32_t qcap, qh, qn;
	size_t qoff;
	/* work */
	struct slot *slots;
	int inflight;
	bool have_next;
	struct trace_entry next;
	uint64_t next_due, issued;
	size_t tpos;
	int loop;
	struct trace *tr;
	uint64_t rng;
	uint16_t *gen; /* per block generation, 0: not written by us */
};

struct op_stats {
	uint64_t n, bytes, sum, min, max, h[NHIST];
};

struct options {
	const char *host, *port, *target, *target_format, *initiator_format, *list, *user, *secret, *trace, *json,
		*base;
	int first, n, q, mix, lun, loginpar, loops, pids[MAXPID], npid, poll, verify, partition, barrier, trunc, quiet;
	int hd, dd, ir2t, imm, fua;
	uint32_t bs, mrdsl, mbl, fbl, maxr2t, tunit, sync;
	bool rnd, pass;
	uint64_t count, rlo, rhi, seed;
	double secs, warm, rate;
};

struct error_counts {
	uint64_t transport, login, status, residual, proto, shortdata, verify, reject, async, stuck, digest, busy,
		badtrace;
	/* not errors */
	uint64_t verified, unchecked, winstall;
};

struct cpu {
	double self, pid[MAXPID]; /* seconds used until now */
};

extern const char *const kind_name[NKIND];
extern struct options opt;
extern struct session *sessions;
extern struct error_counts errors;
extern struct op_stats stats[NKIND];
extern uint64_t times[3][NHIST]; /* ns until: logged in, ready, finished */
extern struct cpu cpu0, cpu1;
extern int epoll_fd, phase, nready, ndead, nlogging, nextlogin, nfinished, nout;
extern uint64_t now, t_begin, t_ready, t_start, t_end, t_mark, next_due_all;
extern uint8_t *rxbuf, *payload;
extern const uint8_t *basemap;
extern uint64_t baselen;
extern bool basezero;
extern uint32_t maxop, rxmax;

/* iload.c */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* Something odd: the first few are printed. */
void gripe(const struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t clock_ns(void);
uint64_t rnd64(uint64_t *state);
/* A format with one %d or %0Nd. */
void expand(char *out, size_t cap, const char *format, int number);

/* iload_login.c: opens connections as long as not too many log in. */
void connect_next(void);
void start_login(struct session *s);
void login_rsp(struct session *s);

/* iload_io.c */
void crc_init(void);
void flush_out(struct session *s);
/* Queues a PDU: 48-byte header h, then d (which must stay in place until sent). */
void push(struct session *s, const uint8_t *h, const uint8_t *d, uint32_t dlen);
void do_recv(struct session *s);
/* The connection is gone, or the session is of no more use. */
void lost(struct session *s, const char *why);

/* iload_work.c */
void scsi(struct session *s, int kind, uint64_t lba, uint32_t nblk, bool fua, int internal);
void data_out(struct session *s, struct slot *k, uint32_t off, uint32_t len, uint32_t ttt);
void complete(struct session *s, struct slot *k, int status, int rflags, uint32_t residual, uint32_t kcq);
/* Issues commands as long as depth, window and clock allow, then sends. */
void pump(struct session *s);
struct trace *load_trace(const char *path);
/* A buffer for the bytes of this command, of maxop. */
void buffer_take(struct slot *k);

/* iload_report.c */
unsigned hidx(uint64_t ns);
void cpu_take(struct cpu *cpu);
/* Prints and exits. */
void report(double secs) __attribute__((noreturn));

static inline void p16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void p24(uint8_t *p, uint32_t v)
{
	p[0] = v >> 16;
	p[1] = v >> 8;
	p[2] = v;
}

static inline void p32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
}

static inline void p64(uint8_t *p, uint64_t v)
{
	p32(p, v >> 32);
	p32(p + 4, v);
}

static inline uint32_t g24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t g32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, 4);
	return ntohl(v);
}

static inline uint64_t g64(const uint8_t *p)
{
	return (uint64_t)g32(p) << 32 | g32(p + 4);
}
#endif
