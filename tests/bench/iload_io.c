// SPDX-License-Identifier: GPL-2.0-or-later
/* PDUs of iload, out and in, with their digests: see iload.h. */
#include "iload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

/* ---- CRC32C ---- */
static uint32_t crctab[256];
static bool hwcrc;

void crc_init(void)
{
	for (int i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++)
			c = c & 1 ? 0x82f63b78u ^ (c >> 1) : c >> 1;
		crctab[i] = c;
	}
#ifdef __x86_64__
	hwcrc = __builtin_cpu_supports("sse4.2");
#endif
}
#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_hw(uint32_t c, const uint8_t *p, size_t n)
{
	uint64_t c8 = c, v;
	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&v, p, 8);
		c8 = _mm_crc32_u64(c8, v);
	}
	for (c = c8; n; n--)
		c = _mm_crc32_u8(c, *p++);
	return c;
}
#endif
static uint32_t crc_upd(uint32_t c, const uint8_t *p, size_t n)
{
#ifdef __x86_64__
	if (hwcrc)
		return crc_hw(c, p, n);
#endif
	while (n--)
		c = crctab[(c ^ *p++) & 255] ^ (c >> 8);
	return c;
}

static void put_crc(uint8_t *p, uint32_t c)
{
	c = ~c;
	p[0] = c;
	p[1] = c >> 8;
	p[2] = c >> 16;
	p[3] = c >> 24;
}

/* ---- sending ---- */
void flush_out(struct session *s)
{
	while (s->qn) {
		struct iovec v[96];
		int nv = 0;
		size_t want = 0, skip = s->qoff;
		for (uint32_t i = 0; i < s->qn && nv + 3 <= 96; i++) {
			struct out_pdu *g = &s->q[(s->qh + i) & (s->qcap - 1)];

			struct {
				const void *p;
				size_t n;
			} part[3] = { { g->h, g->hlen }, { g->d, g->dlen }, { g->t, g->tlen } };

			for (int k = 0; k < 3; k++) {
				if (skip >= part[k].n) {
					skip -= part[k].n;
					continue;
				}
				v[nv].iov_base = (char *)part[k].p + skip;
				v[nv].iov_len = part[k].n - skip;
				want += v[nv++].iov_len;
				skip = 0;
			}
		}
		struct msghdr m = { .msg_iov = v, .msg_iovlen = nv };
		ssize_t r = sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno != EAGAIN) {
			lost(s, strerror(errno));
			return;
		}
		size_t left = r > 0 ? r : 0;
		s->qoff += left;
		while (s->qn) {
			struct out_pdu *g = &s->q[s->qh & (s->qcap - 1)];
			size_t l = (size_t)g->hlen + g->dlen + g->tlen;
			if (s->qoff < l)
				break;
			s->qoff -= l;
			s->qh++;
			s->qn--;
		}
		if (r < 0 || (size_t)r < want)
			break;
	}
	bool w = s->qn > 0;
	if (w != s->want_out) {
		struct epoll_event e = { .events = EPOLLIN | (w ? EPOLLOUT : 0), .data.ptr = s };
		epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e);
		s->want_out = w;
	}
}

/* Queues a PDU: 48-byte header h, then d (which must stay in place until sent). */
void push(struct session *s, const uint8_t *h, const uint8_t *d, uint32_t dlen)
{
	if (s->qn == s->qcap) {
		uint32_t nc = s->qcap ? s->qcap * 2 : 64;
		struct out_pdu *nq = malloc(nc * sizeof(*nq));
		for (uint32_t i = 0; i < s->qn; i++)
			nq[i] = s->q[(s->qh + i) & (s->qcap - 1)];
		free(s->q);
		s->q = nq;
		s->qcap = nc;
		s->qh = 0;
	}
	struct out_pdu *g = &s->q[(s->qh + s->qn++) & (s->qcap - 1)];
	memcpy(g->h, h, BHS);
	p24(g->h + 5, dlen);
	g->hlen = BHS;
	g->d = d;
	g->dlen = dlen;
	g->tlen = 0;
	bool ff = s->state > S_LOGIN;
	if (ff && s->hd) {
		put_crc(g->h + BHS, crc_upd(~0u, g->h, BHS));
		g->hlen += 4;
	}
	uint32_t pad = -dlen & 3;
	memset(g->t, 0, pad);
	g->tlen = pad;
	if (ff && s->dd && dlen) {
		put_crc(g->t + pad, crc_upd(crc_upd(~0u, d, dlen), g->t, pad));
		g->tlen += 4;
	}
}

/* ---- receiving ---- */
static struct slot *slot_of(struct session *s, uint32_t tag)
{
	uint32_t i = tag & 0xffff;
	struct slot *k = i < (uint32_t)opt.q ? &s->slots[i] : NULL;
	return k && k->used && k->tag == tag ? k : NULL;
}

static void statsn(struct session *s, uint32_t sn)
{
	if (s->statsn_known && sn != s->expstatsn) {
		errors.proto++;
		gripe(s, "StatSN %u, expected %u (opcode %02x)", sn, s->expstatsn, s->hdr[0]);
	}
	s->statsn_known = true;
	s->expstatsn = sn + 1;
}

static bool bad(struct session *s, const char *m)
{
	errors.proto++;
	lost(s, m);
	return false;
}

static bool pdu_begin(struct session *s) /* header is whole: where does the data go? */
{
	const uint8_t *h = s->hdr;
	uint8_t op = h[0] & 0x3f;
	s->dlen = s->dleft = g24(h + 5);
	s->sink = NULL;
	s->rslot = NULL;
	s->crc = ~0u;
	if (s->dlen > opt.mrdsl && s->state > S_LOGIN)
		return bad(s, "data segment longer than we declared");
	if (op != 0x23 && op != 0x3f) { /* window */
		uint32_t mx = g32(h + 32), ec = g32(h + 28);
		if ((int32_t)(mx - (ec - 1)) >= 0 && (!s->statsn_known || (int32_t)(mx - s->maxcmdsn) > 0))
			s->maxcmdsn = mx;
	}
	if (op == 0x25) {
		struct slot *k = s->rslot = slot_of(s, g32(h + 16));
		if (!k || k->kind == WRITE)
			return bad(s, "Data-In for no read of ours");
		if (g32(h + 40) != k->got || k->got + s->dlen > k->len)
			return bad(s, "Data-In out of order or beyond the buffer");
		if (g32(h + 36) != k->datasn++) {
			errors.proto++;
			gripe(s, "DataSN %u, expected %u", g32(h + 36), k->datasn - 1);
		}
		if (opt.verify || k->capt)
			buffer_take(k);
		if (k->buf)
			s->sink = k->buf + k->got;
		k->got += s->dlen;
	} else {
		if (s->state != S_LOGIN)
			s->textlen = 0;
		if (s->textlen + s->dlen >= sizeof(s->text))
			return bad(s, "text too long");
		s->sink = s->text + s->textlen;
	}
	return true;
}

static bool pdu_end(struct session *s)
{
	const uint8_t *h = s->hdr;
	uint8_t op = h[0] & 0x3f;
	struct slot *k;
	switch (op) {
	case 0x23:
		if (s->state != S_LOGIN)
			return bad(s, "login response outside login");
		s->textlen += s->dlen;
		statsn(s, g32(h + 24));
		s->maxcmdsn = g32(h + 32);
		login_rsp(s);
		break;
	case 0x25:
		if (!(h[1] & 1))
			break;
		statsn(s, g32(h + 24));
		complete(s, s->rslot, h[3], h[1] & 6, g32(h + 44), 0);
		break;
	case 0x21: {
		statsn(s, g32(h + 24));
		if (!(k = slot_of(s, g32(h + 16))))
			return bad(s, "response for no command of ours");
		const uint8_t *x = s->text + 2;
		uint32_t sl = s->dlen > 2 ? s->text[0] << 8 | s->text[1] : 0, kcq = 0; /* sense key, ASC, ASCQ */
		if (sl + 2 > s->dlen)
			sl = 0;
		if (sl >= 4 && (x[0] & 0x7f) >= 0x72)
			kcq = (x[1] & 15) << 16 | x[2] << 8 | x[3];
		else if (sl >= 14)
			kcq = (x[2] & 15) << 16 | x[12] << 8 | x[13];
		if (h[2]) {
			errors.status++;
			gripe(s, "iSCSI response %02x", h[2]);
		}
		complete(s, k, h[2] ? 0xff : h[3], h[1] & 0x1e, g32(h + 44), kcq);
		break;
	}
	case 0x31: {
		if (!(k = slot_of(s, g32(h + 16))) || k->kind != WRITE)
			return bad(s, "R2T for no write of ours");
		uint32_t off = g32(h + 40), len = g32(h + 44);
		if (g32(h + 36) != k->r2tsn++) {
			errors.proto++;
			gripe(s, "R2TSN %u", g32(h + 36));
		}
		if (!len || len > s->mbl || off + len > k->len || off != k->sent)
			return bad(s, "R2T out of order or out of bounds");
		data_out(s, k, off, len, g32(h + 20));
		break;
	}
	case 0x20:
		if (g32(h + 20) != NOTAG) {
			uint8_t r[BHS] = { 0x40, 0x80 };
			memcpy(r + 8, h + 8, 8);
			p32(r + 16, NOTAG);
			memcpy(r + 20, h + 20, 4);
			p32(r + 24, s->cmdsn);
			p32(r + 28, s->expstatsn);
			push(s, r, NULL, 0);
		}
		break;
	case 0x26:
		statsn(s, g32(h + 24));
		if (h[2]) {
			errors.proto++;
			gripe(s, "logout response %d", h[2]);
		}
		s->done = true;
		s->state = S_IDLE;
		nout--;
		break;
	case 0x32:
		statsn(s, g32(h + 24));
		errors.async++;
		gripe(s, "async event %d", h[36]);
		break;
	case 0x3f:
		statsn(s, g32(h + 24));
		errors.reject++;
		gripe(s, "reject, reason %02x", h[2]);
		break;
	default:
		return bad(s, "unknown opcode from target");
	}
	return s->state != S_DEAD;
}

void do_recv(struct session *s)
{
	for (int rounds = 0; rounds < 4; rounds++) {
		bool discard = opt.trunc && s->rxs == RX_DATA && !s->sink && !s->dd && s->dleft >= 8192;
		ssize_t r = discard ? recv(s->fd, rxbuf, s->dleft, MSG_DONTWAIT | MSG_TRUNC) :
				      recv(s->fd, rxbuf, rxmax, MSG_DONTWAIT);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (r <= 0) {
			if (s->state == S_IDLE) {
				epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
				return;
			}
			lost(s, r ? strerror(errno) : "target closed the connection");
			return;
		}
		now = clock_ns();
		uint8_t *p = rxbuf;
		size_t n = r;
		while (n || (s->rxs == RX_DATA && !s->dleft) || (s->rxs == RX_TAIL && !s->tneed)) {
			bool ff = s->state > S_LOGIN;
			size_t c;
			if (s->rxs == RX_HDR) {
				c = s->need - s->have < n ? s->need - s->have : n;
				memcpy(s->hdr + s->have, p, c);
				s->have += c;
				p += c;
				n -= c;
				if (s->have < s->need)
					break;
				uint32_t want = BHS + s->hdr[4] * 4 + (ff && s->hd ? 4 : 0);
				if (s->need < want) {
					s->need = want;
					continue;
				}
				if (ff && s->hd) {
					uint8_t e[4];
					put_crc(e, crc_upd(~0u, s->hdr, want - 4));
					if (memcmp(e, s->hdr + want - 4, 4)) {
						errors.digest++;
						lost(s, "header digest wrong");
						return;
					}
				}
				if (!pdu_begin(s))
					return;
				s->rxs = RX_DATA;
			} else if (s->rxs == RX_DATA) {
				c = s->dleft < n ? s->dleft : n;
				if (c && s->sink && !discard) {
					memcpy(s->sink, p, c);
					s->sink += c;
				}
				if (c && ff && s->dd)
					s->crc = crc_upd(s->crc, p, c);
				p += c;
				n -= c;
				s->dleft -= c;
				if (s->dleft)
					break;
				s->rxs = RX_TAIL;
				s->have = 0;
				s->tneed = (-s->dlen & 3) + (ff && s->dd && s->dlen ? 4 : 0);
			} else {
				c = s->tneed < n ? s->tneed : n;
				memcpy(s->tail + s->have, p, c);
				s->have += c;
				s->tneed -= c;
				p += c;
				n -= c;
				if (s->tneed)
					break;
				uint32_t pad = -s->dlen & 3;
				if (ff && s->dd && s->dlen) {
					uint8_t e[4];
					put_crc(e, crc_upd(s->crc, s->tail, pad));
					if (memcmp(e, s->tail + pad, 4)) {
						errors.digest++;
						gripe(s, "data digest wrong");
					}
				}
				s->rxs = RX_HDR;
				s->have = 0;
				s->need = BHS;
				if (!pdu_end(s))
					return;
			}
		}
		if (!discard && (size_t)r < rxmax &&
		    !(s->rxs == RX_DATA && opt.trunc && !s->sink && !s->dd && s->dleft >= 8192))
			break;
	}
	pump(s);
}

void lost(struct session *s, const char *why)
{
	if (s->state == S_DEAD)
		return;
	if (s->state < S_TUR) {
		nlogging--;
		errors.login++;
	} else
		errors.transport++;
	if (s->state == S_READY)
		nready--;
	gripe(s, "%s", why);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->state = S_DEAD;
	nout -= s->inflight;
	s->inflight = 0;
	s->qn = 0;
	ndead++;
	if (!s->done) {
		s->done = true;
		nfinished++;
	}
}
