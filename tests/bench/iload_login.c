// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections and logins of iload: see iload.h. */
#include "iload.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static void login_fail(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- login ---- */
static void key(char *b, int *n, const char *k, const char *f, ...)
{
	va_list a;
	va_start(a, f);
	*n += sprintf(b + *n, "%s=", k);
	*n += vsprintf(b + *n, f, a) + 1;
	va_end(a);
}

static void login_send(struct session *s, const char *txt, int n, int csg, int nsg, bool t)
{
	uint8_t h[BHS] = { 0x43, (t ? 0x80 : 0) | csg << 2 | (t ? nsg : 0) };
	memcpy(h + 8, s->isid, 6);
	p16(h + 14, s->tsih);
	p32(h + 16, s->id + 1);
	p32(h + 24, s->cmdsn);
	p32(h + 28, s->expstatsn);
	char *keep = n ? memcpy(malloc(n), txt, n) : NULL; /* few per session; lives with the process */
	s->textlen = 0;
	s->loginpdus++;
	push(s, h, (uint8_t *)keep, n);
	flush_out(s);
}

static void names(struct session *s, char *b, int *n)
{
	key(b, n, "InitiatorName", "%s", s->initiator);
	key(b, n, "SessionType", "Normal");
	key(b, n, "TargetName", "%s", s->target);
}

static void login_op(struct session *s, bool firstpdu)
{
	char b[2048];
	int n = 0;
	s->stage = 1;
	if (firstpdu)
		names(s, b, &n);
	key(b, &n, "HeaderDigest", opt.hd ? "CRC32C" : "None");
	key(b, &n, "DataDigest", opt.dd ? "CRC32C" : "None");
	key(b, &n, "InitialR2T", opt.ir2t ? "Yes" : "No");
	key(b, &n, "ImmediateData", opt.imm ? "Yes" : "No");
	key(b, &n, "MaxRecvDataSegmentLength", "%u", opt.mrdsl);
	key(b, &n, "MaxBurstLength", "%u", opt.mbl);
	key(b, &n, "FirstBurstLength", "%u", opt.fbl);
	key(b, &n, "MaxOutstandingR2T", "%u", opt.maxr2t);
	key(b, &n, "MaxConnections", "1");
	key(b, &n, "DataPDUInOrder", "Yes");
	key(b, &n, "DataSequenceInOrder", "Yes");
	key(b, &n, "ErrorRecoveryLevel", "0");
	key(b, &n, "DefaultTime2Wait", "2");
	key(b, &n, "DefaultTime2Retain", "0");
	login_send(s, b, n, 1, 3, true);
}

static const char *find(struct session *s, const char *k)
{
	size_t kl = strlen(k);
	for (uint32_t i = 0; i < s->textlen; i += strlen((char *)s->text + i) + 1)
		if (!strncmp((char *)s->text + i, k, kl) && s->text[i + kl] == '=')
			return (char *)s->text + i + kl + 1;
	return NULL;
}

static int unbin(const char *v, uint8_t *o, int cap) /* 0x.. or 0b.. */
{
	int n = 0;
	if (v[0] == '0' && (v[1] == 'b' || v[1] == 'B')) {
		gnutls_datum_t in = { (uint8_t *)v + 2, strlen(v + 2) }, data;
		if (gnutls_base64_decode2(&in, &data))
			return -1;
		n = (int)data.size <= cap ? (int)data.size : -1;
		if (n > 0)
			memcpy(o, data.data, n);
		gnutls_free(data.data);
		return n;
	}
	if (v[0] != '0' || (v[1] | 32) != 'x')
		return -1;
	for (v += 2; v[0] && v[1] && n < cap; v += 2) {
		unsigned x;
		if (sscanf(v, "%2x", &x) != 1)
			return -1;
		o[n++] = x;
	}
	return n;
}

static void chap_md5(int id, const char *sec, const uint8_t *ch, int n, uint8_t out[16])
{
	uint8_t id8 = id;
	gnutls_hash_hd_t md5;
	if (gnutls_hash_init(&md5, GNUTLS_DIG_MD5))
		die("no MD5");
	gnutls_hash(md5, &id8, 1);
	gnutls_hash(md5, sec, strlen(sec));
	gnutls_hash(md5, ch, n);
	gnutls_hash_deinit(md5, out);
}

static void hex(char *o, const uint8_t *p, int n)
{
	o += sprintf(o, "0x");
	while (n--)
		o += sprintf(o, "%02x", *p++);
}

static void login_fail(struct session *s, const char *f, ...)
{
	char m[256];
	va_list a;
	va_start(a, f);
	vsnprintf(m, sizeof(m), f, a);
	va_end(a);
	lost(s, m);
}

void login_rsp(struct session *s)
{
	const uint8_t *h = s->hdr;
	const char *v;
	char b[1024];
	int n = 0;
	if (h[36]) {
		login_fail(s, "login refused, class %d detail %d", h[36], h[37]);
		return;
	}
	if (h[1] & 0x40) {
		login_send(s, NULL, 0, s->stage, 0, false);
		return;
	} /* text goes on (C bit) */
	s->text[s->textlen] = 0;
	bool tr = h[1] & 0x80;
	int nsg = h[1] & 3;
	if (s->loginpdus > 12) {
		login_fail(s, "login does not end");
		return;
	}
	if (s->stage == 0) {
		uint8_t ch[512], r[16];
		int cl;
		char hx[200];
		switch (s->chapstep++) {
		case 0:
			if (!(v = find(s, "AuthMethod")) || strcmp(v, "CHAP")) {
				login_fail(s, "AuthMethod=%s, wanted CHAP", v ? v : "(none)");
				return;
			}
			key(b, &n, "CHAP_A", "5");
			login_send(s, b, n, 0, 0, false);
			return;
		case 1:
			if (!(v = find(s, "CHAP_I"))) {
				login_fail(s, "no CHAP_I");
				return;
			}
			int id = atoi(v);
			if (!(v = find(s, "CHAP_C")) || (cl = unbin(v, ch, sizeof(ch))) <= 0) {
				login_fail(s, "bad CHAP_C");
				return;
			}
			chap_md5(id, s->secret, ch, cl, r);
			hex(hx, r, 16);
			key(b, &n, "CHAP_N", "%s", s->user);
			key(b, &n, "CHAP_R", "%s", hx);
			login_send(s, b, n, 0, 1, true);
			return;
		default:
			if (!tr || nsg != 1) {
				login_fail(s, "target does not leave the security stage");
				return;
			}
			login_op(s, false);
			return;
		}
	}
	/* operational stage: defaults of RFC 7143 13 hold for what was not answered */
	if ((v = find(s, "HeaderDigest")))
		s->hd = !strcmp(v, "CRC32C");
	if ((v = find(s, "DataDigest")))
		s->dd = !strcmp(v, "CRC32C");
	if ((v = find(s, "InitialR2T")))
		s->initial_r2t = opt.ir2t || !strcmp(v, "Yes");
	if ((v = find(s, "ImmediateData")))
		s->imm = opt.imm && !strcmp(v, "Yes");
	if ((v = find(s, "MaxBurstLength")))
		s->mbl = strtoul(v, 0, 0) < opt.mbl ? strtoul(v, 0, 0) : opt.mbl;
	if ((v = find(s, "FirstBurstLength")))
		s->fbl = strtoul(v, 0, 0) < opt.fbl ? strtoul(v, 0, 0) : opt.fbl;
	if ((v = find(s, "MaxRecvDataSegmentLength")))
		s->tmrdsl = strtoul(v, 0, 0);
	if (!tr || nsg != 3) {
		login_send(s, NULL, 0, 1, 3, true);
		return;
	}
	if (s->hd != !!opt.hd || s->dd != !!opt.dd) {
		login_fail(s, "digests asked %d/%d, target chose %d/%d", opt.hd, opt.dd, s->hd, s->dd);
		return;
	}
	if (s->mbl < 512 || s->tmrdsl < 512 || s->fbl < 512) {
		login_fail(s, "bad negotiated length");
		return;
	}
	if (s->fbl > s->mbl)
		s->fbl = s->mbl;
	s->tsih = h[14] << 8 | h[15];
	s->t_login = now;
	nlogging--;
	times[0][hidx(now - s->t_conn)]++;
	s->state = S_TUR;
	scsi(s, READ, 0, 0, false, S_TUR);
}

void start_login(struct session *s)
{
	int err = 0;
	socklen_t l = sizeof(err);
	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &l);
	if (err) {
		lost(s, strerror(err));
		return;
	}
	s->state = S_LOGIN;
	s->want_out = true;
	s->rxs = RX_HDR;
	s->need = BHS;
	s->initial_r2t = true;
	s->imm = opt.imm;
	s->mbl = 262144;
	s->fbl = 65536;
	s->tmrdsl = 8192;
	if (s->user[0]) {
		char b[1024];
		int n = 0;
		names(s, b, &n);
		key(b, &n, "AuthMethod", "CHAP");
		s->stage = 0;
		login_send(s, b, n, 0, 0, false);
	} else
		login_op(s, true);
}

/*
 * As machines send: cubic, or reno where the kernel has no other. A server's bbr is not theirs, and on loopback its timers would run on
 * the core of the target, which acknowledges.
 */
static void send_as_machines_do(int fd)
{
	static const char *const names[] = { "cubic", "reno" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, names[i], (socklen_t)strlen(names[i])))
			return;
}

void connect_next(void)
{
	static struct addrinfo *ai;
	if (!ai) {
		struct addrinfo hi = { .ai_socktype = SOCK_STREAM };
		int e = getaddrinfo(opt.host, opt.port, &hi, &ai);
		if (e)
			die("%s: %s", opt.host, gai_strerror(e));
	}
	while (nextlogin < opt.n && nlogging < opt.loginpar) {
		struct session *s = &sessions[nextlogin++];
		int one = 1;
		s->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (s->fd < 0)
			die("socket: %s", strerror(errno));
		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		send_as_machines_do(s->fd);
		s->t_conn = clock_ns();
		s->state = S_CONNECT;
		nlogging++;
		s->cmdsn = 1;
		struct epoll_event e = { .events = EPOLLOUT, .data.ptr = s };
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &e);
		if (connect(s->fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS)
			lost(s, strerror(errno));
	}
}
