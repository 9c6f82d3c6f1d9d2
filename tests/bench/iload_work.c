// SPDX-License-Identifier: GPL-2.0-or-later
/* The work of iload: see iload.h. */
#include "iload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- data pattern: a block names its session, its address and its generation ---- */
static void fill(struct session *s, struct slot *k, bool check)
{
	uint32_t w = s->bs / 8;
	for (uint32_t i = 0; i < k->nblk; i++) {
		uint64_t lba = k->lba + i, *p = (uint64_t *)(k->buf + (uint64_t)i * s->bs);
		uint16_t *g = &s->gen[lba - s->lo];
		if (!check && (++*g == UNKNOWN || !*g))
			*g = 1;
		if (check && *g == UNKNOWN) {
			errors.unchecked++;
			continue;
		}
		if (check && !*g) { /* not ours: golden image, or zeros */
			if (!basemap && !basezero) {
				errors.unchecked++;
				continue;
			}
			bool ok;
			uint64_t off = lba * s->bs;
			if (basemap && off + s->bs <= baselen)
				ok = !memcmp(p, basemap + off, s->bs);
			else {
				ok = true;
				for (uint32_t j = 0; j < w; j++)
					ok &= !p[j];
			}
			errors.verified++;
			if (!ok) {
				errors.verify++;
				gripe(s, "lba %llu differs from the base image", (unsigned long long)lba);
			}
			continue;
		}
		uint64_t a = lba, b = (opt.seed << 48) ^ ((uint64_t)(opt.first + s->id) << 16) ^ *g,
			 x = (a + 1) * 0x9e3779b97f4a7c15ull ^ b * 0xd6e8feb86659fd93ull;
		if (!check) {
			p[0] = a;
			p[1] = b;
			for (uint32_t j = 2; j < w; j++)
				p[j] = x += 0xa0761d6478bd642full;
			continue;
		}
		bool ok = p[0] == a && p[1] == b;
		for (uint32_t j = 2; j < w; j++)
			ok &= p[j] == (x += 0xa0761d6478bd642full);
		errors.verified++;
		if (!ok) {
			errors.verify++;
			gripe(s, "lba %llu: want lba/tag %llx/%llx, got %llx/%llx", (unsigned long long)lba,
			      (long long)a, (long long)b, (long long)p[0], (long long)p[1]);
		}
	}
}

/* ---- buffers: a command has one only while bytes are in it, so that a thousand sessions fit into memory ---- */
static struct spare {
	struct spare *next;
} * free_list;

void buffer_take(struct slot *k)
{
	if (k->buf)
		return;
	k->buf = free_list ? (uint8_t *)free_list : malloc(maxop > 512 ? maxop : 512);
	if (!k->buf)
		die("out of memory");
	if (free_list)
		free_list = free_list->next;
}

static void buffer_give(struct slot *k)
{
	struct spare *spare = (struct spare *)k->buf;

	k->buf = NULL;
	if (!spare)
		return;
	spare->next = free_list;
	free_list = spare;
}

/* ---- SCSI commands ---- */
void data_out(struct session *s, struct slot *k, uint32_t off, uint32_t len, uint32_t ttt)
{
	const uint8_t *src = k->buf ? k->buf : payload;
	for (uint32_t sn = 0; len; sn++) {
		uint32_t c = len < s->tmrdsl ? len : s->tmrdsl;
		uint8_t h[BHS] = { 0x05, c == len ? 0x80 : 0 };
		if (opt.lun > 255) {
			h[8] = 0x40 | opt.lun >> 8;
		}
		h[9] = opt.lun;
		p32(h + 16, k->tag);
		p32(h + 20, ttt);
		p32(h + 28, s->expstatsn);
		p32(h + 36, sn);
		p32(h + 40, off);
		push(s, h, src + off, c);
		off += c;
		len -= c;
		k->sent += c;
	}
}

void scsi(struct session *s, int kind, uint64_t lba, uint32_t nblk, bool fua, int internal)
{
	struct slot *k = s->slots;
	int idx = 0;
	while (k->used)
		k++, idx++;
	*k = (struct slot){ .used = true,
			    .kind = kind,
			    .seq = k->seq + 1,
			    .lba = lba,
			    .nblk = nblk,
			    .len = kind == FLUSH ? 0 : nblk * s->bs,
			    .t0 = now,
			    .buf = k->buf };
	k->tag = (uint32_t)k->seq << 16 | idx;
	if (k->tag == NOTAG)
		k->tag = ++k->seq << 16 | idx;
	k->capt = internal == S_CAP;
	if (k->capt)
		k->len = 32;
	if (opt.verify && kind == WRITE)
		buffer_take(k);
	uint8_t h[BHS] = { 0x01, 0x81 }, *c = h + 32; /* F, simple */
	if (opt.lun > 255) {
		h[8] = 0x40 | opt.lun >> 8;
	}
	h[9] = opt.lun;
	p32(h + 16, k->tag);
	p32(h + 20, k->len);
	p32(h + 24, s->cmdsn++);
	p32(h + 28, s->expstatsn);
	if (internal == S_CAP) {
		c[0] = 0x9e;
		c[1] = 0x10;
		p32(c + 10, 32);
		h[1] |= 0x40;
	} else if (internal) {
	} /* TEST UNIT READY */
	else if (kind == FLUSH)
		c[0] = 0x35;
	else {
		bool big = lba + nblk > 0xffffffffull || nblk > 0xffff;
		h[1] |= kind == READ ? 0x40 : 0x20;
		c[0] = (big ? 0x88 : 0x28) + (kind == WRITE ? 2 : 0);
		if (fua && kind == WRITE)
			c[1] = 8;
		if (big) {
			p64(c + 2, lba);
			p32(c + 10, nblk);
		} else {
			p32(c + 2, lba);
			p16(c + 7, nblk);
		}
	}
	s->inflight++;
	nout++;
	if (kind != WRITE) {
		push(s, h, NULL, 0);
		return;
	}
	if (opt.verify)
		fill(s, k, false);
	uint32_t lim = k->len < s->fbl ? k->len : s->fbl, imm = 0;
	if (s->imm)
		imm = lim < s->tmrdsl ? lim : s->tmrdsl;
	uint32_t unsol = s->initial_r2t ? imm : lim;
	if (unsol > imm)
		h[1] &= 0x7f; /* unsolicited Data-Out follows */
	push(s, h, k->buf ? k->buf : payload, imm);
	k->sent = imm;
	if (unsol > imm)
		data_out(s, k, imm, unsol - imm, NOTAG);
}

static bool overlaps(struct session *s, const struct trace_entry *o)
{
	for (int i = 0; i < opt.q; i++) {
		struct slot *k = &s->slots[i];
		if (k->used && k->kind != FLUSH && (k->kind == WRITE || o->kind == WRITE) && k->lba < o->lba + o->n &&
		    o->lba < k->lba + k->nblk)
			return true;
	}
	return false;
}

/* The next record of the trace; false: that was all. */
static bool next_record(struct session *s, struct trace_entry *o)
{
	for (;;) {
		const struct trace_entry *e;

		if (s->tpos == s->tr->n) {
			if (++s->loop >= opt.loops)
				return false;
			s->tpos = 0;
		}
		e = &s->tr->e[s->tpos++];
		*o = *e;
		o->lba = e->lba * opt.tunit / s->bs + (opt.partition ? s->lo : 0);
		o->n = (uint32_t)((uint64_t)e->n * opt.tunit / s->bs);
		if (o->kind == FLUSH || (o->n && o->lba >= s->lo && o->lba + o->n <= s->hi))
			return true;
		errors.badtrace++;
	}
}

static bool next_of_load(struct session *s, struct trace_entry *o)
{
	uint32_t blocks = opt.bs / s->bs;
	uint64_t places = (s->hi - s->lo) / blocks;
	bool reads = opt.mix == 100 || (opt.mix > 0 && rnd64(&s->rng) % 100 < (unsigned)opt.mix);

	if (opt.count && s->issued >= opt.count)
		return false;
	*o = (struct trace_entry){ .n = blocks, .kind = reads ? READ : WRITE, .fua = opt.fua };
	o->lba = s->lo + (opt.rnd ? rnd64(&s->rng) % places : s->seqpos++ % places) * blocks;
	if (opt.sync && s->issued % (opt.sync + 1) == opt.sync)
		o->kind = FLUSH;
	if (opt.rate > 0)
		s->next_due = t_start + (uint64_t)((double)s->issued * 1e9 / opt.rate);
	return true;
}

/* Prepares s->next; false: the session's work is over. */
static bool more(struct session *s)
{
	if (s->have_next)
		return true;
	s->next_due = 0;
	s->have_next = s->tr ? next_record(s, &s->next) : next_of_load(s, &s->next);
	return s->have_next;
}

void pump(struct session *s)
{
	bool running = phase == G_WARM || phase == G_RUN || (phase == G_SETUP && !opt.barrier);
	if (s->state != S_READY || !running || s->done) {
		if (s->qn)
			flush_out(s);
		return;
	}
	while (s->inflight < opt.q) {
		if (!more(s)) {
			if (!s->inflight) {
				s->done = true;
				s->t_done = now;
				nfinished++;
				times[2][hidx(now - t_start)]++;
			}
			break;
		}
		if (s->next_due > now) {
			if (s->next_due < next_due_all)
				next_due_all = s->next_due;
			break;
		}
		if ((int32_t)(s->maxcmdsn - s->cmdsn) < 0) {
			errors.winstall++;
			break;
		}
		if (opt.verify && overlaps(s, &s->next))
			break;
		s->have_next = false;
		s->issued++;
		scsi(s, s->next.kind, s->next.lba, s->next.n, s->next.fua, 0);
	}
	if (s->qn)
		flush_out(s);
}

static void ready(struct session *s)
{
	uint64_t lo = opt.rlo / s->bs, hi = opt.rhi ? opt.rhi / s->bs : s->nblocks;
	if (hi > s->nblocks)
		hi = s->nblocks;
	if (opt.partition) {
		uint64_t part = (hi - lo) / opt.n;
		lo += part * s->id;
		hi = lo + part;
	}
	s->lo = lo;
	s->hi = hi;
	if (!s->tr && (opt.bs % s->bs || opt.rlo % opt.bs || hi <= lo || hi - lo < opt.bs / s->bs)) {
		errors.proto++;
		lost(s, "region or block size does not fit the LUN, or the region does not begin with a block");
		return;
	}
	if (opt.pass)
		opt.count = (hi - lo) / (opt.bs / s->bs);
	if (opt.verify && !(s->gen = calloc(hi - lo, 2)))
		die("out of memory");
	s->state = S_READY;
	s->t_ready = t_ready = now;
	nready++;
	times[1][hidx(now - t_begin)]++;
	pump(s);
}

void complete(struct session *s, struct slot *k, int status, int rflags, uint32_t residual, uint32_t kcq)
{
	k->used = false;
	s->inflight--;
	nout--;
	if (s->state == S_TUR) {
		if (status && s->turs++ < 8)
			scsi(s, READ, 0, 0, false, S_TUR);
		else if (status) {
			lost(s, "unit does not get ready");
			return;
		} else {
			s->state = S_CAP;
			s->bs = 0;
			scsi(s, READ, 0, 0, false, S_CAP);
		}
		flush_out(s);
		return;
	}
	if (s->state == S_CAP) {
		if (status && s->turs++ < 8) {
			scsi(s, READ, 0, 0, false, S_CAP);
			flush_out(s);
			return;
		}
		if (status || k->got < 12) {
			lost(s, "READ CAPACITY(16) failed");
			return;
		}
		s->nblocks = g64(k->buf) + 1;
		s->bs = g32(k->buf + 8);
		k->capt = false;
		buffer_give(k);
		if (s->bs < 512 || s->bs > 65536) {
			lost(s, "odd block size");
			return;
		}
		ready(s);
		return;
	}
	if (status) {
		if (status == 0x08 || status == 0x28)
			errors.busy++;
		else
			errors.status++;
		gripe(s, "%s lba %llu+%u: status %02x sense %x/%02x/%02x", kind_name[k->kind],
		      (unsigned long long)k->lba, k->nblk, status, kcq >> 16, kcq >> 8 & 255, kcq & 255);
		if (opt.verify && k->kind == WRITE)
			memset(&s->gen[k->lba - s->lo], 0xff, k->nblk * 2);
	} else {
		if (rflags) {
			errors.residual++;
			gripe(s, "%s: residual flags %02x count %u on GOOD", kind_name[k->kind], rflags, residual);
		}
		if (k->kind == READ && k->got != k->len) {
			errors.shortdata++;
			gripe(s, "read: %u of %u bytes came", k->got, k->len);
		} else if (k->kind == READ && opt.verify)
			fill(s, k, true);
		if (k->kind == WRITE && k->sent != k->len) {
			errors.shortdata++;
			gripe(s, "write: target took %u of %u bytes and said GOOD", k->sent, k->len);
		}
	}
	buffer_give(k);
	if ((phase == G_RUN || !opt.barrier) && phase != G_DRAIN) {
		struct op_stats *t = &stats[k->kind];
		uint64_t d = now - k->t0;
		t->n++;
		t->bytes += k->len;
		t->sum += d;
		if (d > t->max)
			t->max = d;
		if (!t->min || d < t->min)
			t->min = d;
		t->h[hidx(d)]++;
		if (t_mark < now)
			t_mark = now;
	}
}

/* OP,LBA,BLOCKS,FUA with OP one of R, W, F; the first line names the columns. */
static bool parse_record(const char *line, struct trace_entry *entry)
{
	unsigned long long lba;
	unsigned blocks, fua;
	char op;

	if (sscanf(line, "%c,%llu,%u,%u", &op, &lba, &blocks, &fua) != 4 || !strchr("RWF", op))
		return false;
	*entry = (struct trace_entry){ .lba = lba,
				       .n = blocks,
				       .kind = op == 'R' ? READ :
					       op == 'W' ? WRITE :
							   FLUSH,
				       .fua = fua };
	return true;
}

struct trace *load_trace(const char *path)
{
	FILE *f = fopen(path, "r");
	struct trace *t = calloc(1, sizeof(*t));
	size_t room = 0;
	char line[256];

	if (!f || !t || !fgets(line, sizeof(line), f))
		die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (t->n == room) {
			room = room ? room * 2 : 4096;
			t->e = realloc(t->e, room * sizeof(*t->e));
			if (!t->e)
				die("out of memory");
		}
		if (!parse_record(line, &t->e[t->n]))
			die("%s: not OP,LBA,BLOCKS,FUA: %s", path, line);
		if ((uint64_t)t->e[t->n].n * opt.tunit > maxop)
			maxop = t->e[t->n].n * opt.tunit;
		t->n++;
	}
	fclose(f);
	if (!t->n)
		die("%s: empty", path);
	return t;
}
