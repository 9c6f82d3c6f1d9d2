// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Boot files, read-only, whole or in part: those of --ipxe-dir for UEFI HTTP boot, those of --boot-files for entries. A
 * name may hold anything that a file's can; only ".." is refused. Links are followed wherever they lead: what the
 * administrator linked there (Debian links ipxe.efi to /boot) is meant to be served. On HTTP's workers.
 */
#include "base/log.h"
#include "base/util.h"
#include "boot/boot.h"
#include "dhcp/autoexec.h"
#include "dhcp/ipxe_files.h"
#include "http/routes.h"
#include "http/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0 with the descriptor of a regular file, or -errno. */
static int open_file(const char *root, const char *name, int *fd, struct stat *st)
{
	char path[4096];
	int opened, err = 0;

	if (http_text_path_climbs(name))
		return -ENOENT;
	if (snprintf(path, sizeof(path), "%s/%s", root, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	/* A FIFO must not make us wait. */
	opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (opened < 0)
		return -errno;
	if (fstat(opened, st))
		err = -errno;
	else if (!S_ISREG(st->st_mode))
		err = -EISDIR;
	if (err)
		close(opened);
	else
		*fd = opened;
	return err;
}

/*
 * ctime, which no tool can set back: the tag changes with whatever changes the file. Two tags that are the same belong
 * to the same bytes, so what was begun can be resumed.
 */
static void describe(const struct stat *st, struct range_file *file)
{
	int64_t now_s = time_unix_ms() / 1000;

	file->bytes = (uint64_t)st->st_size;
	file->modified_s = st->st_mtim.tv_sec < now_s - 1 ? st->st_mtim.tv_sec : RANGE_DATE_UNKNOWN;
	snprintf(file->etag, sizeof(file->etag), "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 ".%lx\"", (uint64_t)st->st_ino,
		 (uint64_t)st->st_size, (uint64_t)st->st_ctim.tv_sec, (unsigned long)st->st_ctim.tv_nsec);
}

/* Takes fd. */
static void reply_file(struct request *request, int fd, const struct stat *st)
{
	struct reply *reply = &request->reply;
	uint64_t first = 0, len = (uint64_t)st->st_size;
	struct range_file file;
	enum range_answer answer;

	describe(st, &file);
	answer = range_choose(&request->range_ask, &file, !strcmp(request->method, "GET"), &first, &len);
	/* Of what is not modified libmicrohttpd sends the length alone, which must be the file's (RFC 9110 §8.6). */
	if (answer == RANGE_WHOLE || answer == RANGE_PART || answer == RANGE_NOT_MODIFIED) {
		memcpy(reply->etag, file.etag, sizeof(reply->etag));
		if (file.modified_s != RANGE_DATE_UNKNOWN)
			range_format_date(file.modified_s, reply->modified);
		reply->fd = fd;
		reply->fd_first = first;
		reply->fd_bytes = len;
		reply->type = answer == RANGE_NOT_MODIFIED ? NULL : "application/octet-stream";
		reply->status = answer;
	} else {
		close(fd);
	}
	if (answer == RANGE_PART)
		snprintf(reply->content_range, sizeof(reply->content_range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
			 first, first + len - 1, file.bytes);
	if (answer == RANGE_OUTSIDE)
		snprintf(reply->content_range, sizeof(reply->content_range), "bytes */%" PRIu64, file.bytes);
	if (answer == RANGE_CHANGED)
		reply_error(request, 412, "fetch it from its beginning", "the file has changed");
	else if (answer == RANGE_OUTSIDE)
		reply_error(request, 416, "", "the file has only %" PRIu64 " bytes", file.bytes);
}

/* Why not, for who asks. */
static void refuse_file(struct request *request, int err, const char *name, const char *hint)
{
	if (err == -EACCES)
		reply_error(request, 403, "on the server: chmod o+r the file, and o+x the folders above it",
			    "the server may not read the boot file %.200s", name);
	else if (err == -EISDIR)
		reply_error(request, 404, hint, "the boot file %.200s is no file, but a folder or a device", name);
	else if (err == -ENOENT || err == -ENOTDIR || err == -ELOOP || err == -ENAMETOOLONG)
		reply_error(request, 404, hint, "there is no boot file %.200s", name);
	else
		reply_errno(request, err, "", "try again later");
}

/*
 * What a newer iPXE that came by HTTP looks for beside itself, and one that a shim started needs. The site's own file
 * goes first.
 */
static void reply_autoexec(struct request *request)
{
	struct reply *reply = &request->reply;
	char url[sizeof(request->base_url) + 16];

	snprintf(url, sizeof(url), "%s/boot.ipxe", request->base_url);
	dhcp_make_autoexec(&reply->body, url, request->base_url);
	reply->status = reply->body.failed ? 500 : 200;
	reply->type = "text/plain; charset=utf-8";
}

/* The folder of a file under /ipxe/: sets/NAME/FILE is that of a set, and *name becomes FILE. */
static const char *ipxe_root(const struct http *http, const char **name)
{
	for (unsigned i = 0; i < http->set_count; i++) {
		size_t len = strlen(http->sets[i].name);
		const char *of_set = *name + strlen(BOOT_SETS);

		if (strncmp(*name, BOOT_SETS, strlen(BOOT_SETS)) || strncmp(of_set, http->sets[i].name, len) ||
		    of_set[len] != '/')
			continue;
		*name = of_set + len + 1;
		return http->sets[i].directory;
	}
	return http->ipxe_dir;
}

void handle_ipxe_file(struct request *request)
{
	const char *name = request->path + strlen(IPXE_PATH), *slash = strrchr(name, '/');
	const char *last = slash ? slash + 1 : name;
	struct stat st;
	const char *root = ipxe_root(request->http, &name);
	int fd, err = open_file(root, name, &fd, &st);

	if (err == -ENOENT && !strcmp(last, "autoexec.ipxe") && !http_text_path_climbs(name)) {
		err = open_file(root, last, &fd, &st);
		if (err == -ENOENT) {
			reply_autoexec(request);
			return;
		}
	}
	if (err) {
		refuse_file(request, err, name, "boot files come from --ipxe-dir (package ipxe)");
		return;
	}
	reply_file(request, fd, &st);
	/* Who goes on in the middle has been seen at the beginning. */
	if (request->reply.fd >= 0 && !request->reply.fd_first)
		boot_seen_fetch(request->http->config.boot, request->client, last);
}

void handle_boot_file(struct request *request)
{
	const char *name = request->path + strlen(BOOT_FILES_PATH);
	char shown[256];
	struct stat st;
	int fd, err = open_file(request->http->boot_files, name, &fd, &st);

	if (!err) {
		reply_file(request, fd, &st);
		return;
	}
	log_warning("http: %s asks for the boot file %s in %s: %s", request->client,
		    log_escape(shown, sizeof(shown), name, strlen(name)), request->http->boot_files, strerror(-err));
	refuse_file(request, err, name, "it is looked for in --boot-files");
}
