// SPDX-License-Identifier: GPL-2.0-or-later
/* Listening sockets: see listen.h. */
#include "http/listen.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 1024 };

static void say_why(int err, const char *flag, const struct endpoint *wanted, struct reason *reason)
{
	char text[PARSE_ENDPOINT_TEXT], host[PARSE_ENDPOINT_TEXT];
	unsigned port = endpoint_port(wanted);

	endpoint_format(wanted, text);
	endpoint_format_host(wanted, host);
	if (err == EADDRINUSE)
		reason_set(reason,
			   "%s %s: another process has this port; see which with: ss -ltnp 'sport = :%u'; or choose "
			   "another port",
			   flag, text, port);
	else if (err == EADDRNOTAVAIL)
		reason_set(reason, "%s %s: this host has no address %s; see which it has with: ip address", flag, text,
			   host);
	else if (err == EACCES)
		reason_set(reason, "%s %s: not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE", flag,
			   text);
	else
		reason_set(reason, "%s %s: %s", flag, text, strerror(err));
}

int listen_tcp(const char *flag, const struct endpoint *wanted, int *fd, struct endpoint *bound, struct reason *reason)
{
	const int on = 1;
	struct endpoint got = { .len = sizeof(got.addr) };
	int made = socket(wanted->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = 0;

	if (made < 0) {
		err = errno;
		goto out;
	}
	setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* [::] is IPv6 alone, so that 0.0.0.0 can stand beside it with the same port. */
	if (wanted->addr.ss_family == AF_INET6)
		setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(made, (const struct sockaddr *)&wanted->addr, wanted->len) || listen(made, LISTEN_BACKLOG) ||
	    getsockname(made, (struct sockaddr *)&got.addr, &got.len))
		err = errno;
out:
	if (err) {
		say_why(err, flag, wanted, reason);
		if (made >= 0)
			close(made);
		return -err;
	}
	*fd = made;
	*bound = got;
	return 0;
}

/* Removes a socket file on which nobody answers. */
static int remove_stale(const char *path, const struct sockaddr_un *address, struct reason *reason)
{
	struct stat st;
	int fd, err;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return reason_refuse(reason, -EEXIST,
				     "%s is there and is no socket; remove it, or choose another --runtime-dir", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
	close(fd);
	/* EAGAIN: somebody listens, and is busy. */
	if (err != ECONNREFUSED && err != ENOENT)
		return reason_refuse(reason, -EADDRINUSE,
				     "another sanbootd answers on %s; stop it, or choose another --runtime-dir", path);
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

int listen_control(const char *path, int *fd, struct reason *reason)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int made = -1, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return reason_refuse(
			reason, -ENAMETOOLONG,
			"%s: the path of a socket has at most %zu characters; choose a shorter --runtime-dir", path,
			sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	reason->text[0] = '\0';
	err = remove_stale(path, &address, reason);
	if (err)
		goto out;
	made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode of the socket is that of its file, less the umask: never wider than meant, not even for a moment. */
	if (made < 0 || fchmod(made, 0660) || bind(made, (const struct sockaddr *)&address, sizeof(address)) ||
	    chmod(path, 0660) || listen(made, LISTEN_BACKLOG))
		err = -errno;
out:
	if (err) {
		reason_default(reason, err, "control socket %s: %s", path, strerror(-err));
		if (made >= 0)
			close(made);
		return err;
	}
	*fd = made;
	return 0;
}

static bool is_wildcard(const struct endpoint *endpoint)
{
	if (endpoint->addr.ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&endpoint->addr)->sin6_addr);
	return ((const struct sockaddr_in *)&endpoint->addr)->sin_addr.s_addr == htonl(INADDR_ANY);
}

static void set_host(struct endpoint *endpoint, const struct sockaddr *host)
{
	if (host->sa_family == AF_INET6)
		((struct sockaddr_in6 *)&endpoint->addr)->sin6_addr =
			((const struct sockaddr_in6 *)(const void *)host)->sin6_addr;
	else
		((struct sockaddr_in *)&endpoint->addr)->sin_addr =
			((const struct sockaddr_in *)(const void *)host)->sin_addr;
}

static bool is_reachable(const struct ifaddrs *at, sa_family_t family)
{
	if (!at->ifa_addr || at->ifa_addr->sa_family != family || !(at->ifa_flags & IFF_UP) ||
	    (at->ifa_flags & IFF_LOOPBACK))
		return false;
	return family != AF_INET6 ||
	       !IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)at->ifa_addr)->sin6_addr);
}

void listen_public_address(const struct endpoint *bound, struct endpoint *address)
{
	struct sockaddr_in6 loopback6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in loopback4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ifaddrs *all = NULL;

	*address = *bound;
	if (!is_wildcard(bound))
		return;
	if (bound->addr.ss_family == AF_INET6)
		set_host(address, (const struct sockaddr *)&loopback6);
	else
		set_host(address, (const struct sockaddr *)&loopback4);
	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
		if (is_reachable(at, bound->addr.ss_family)) {
			set_host(address, at->ifa_addr);
			break;
		}
	}
	freeifaddrs(all);
}
