// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which files of the server a request may name. Whoever has the control socket may read and write them anyway; over the network
 * only what lies in folders that the configuration names.
 */
#include "http/api.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool is_inside(const char *path, const char *folder)
{
	char real[PATH_MAX];
	size_t len;

	if (!realpath(folder, real))
		return false;
	len = strlen(real);
	return !strncmp(path, real, len) && (path[len] == '/' || !strcmp(real, "/"));
}

/* What a path leads to: of a file that is to be made, where its folder is. */
static bool resolve(const char *path, enum api_path use, char real[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	size_t len;

	if (strlen(path) >= PATH_MAX || path[0] != '/')
		return false;
	if (use == API_PATH_IMPORT)
		return realpath(path, real);
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	if (!realpath(folder[0] ? folder : "/", real))
		return false;
	len = strlen(real);
	if (len + strlen(slash) >= PATH_MAX)
		return false;
	strcpy(real + len, slash);
	return true;
}

int api_check_path(const struct request *request, const char *path, enum api_path use, struct reason *reason)
{
	const struct http_config *config = &request->http->config;
	const struct http_folders *allowed = use == API_PATH_IMPORT ? &config->import_dirs : &config->export_dirs;
	const char *key = use == API_PATH_IMPORT ? "import-dir" : "export-dir";
	char real[PATH_MAX];

	if (path[0] != '/')
		return reason_refuse(reason, -EINVAL, "path must be the absolute path of a file on the server");
	if (request->serves & SERVES_CONTROL)
		return 0;
	for (unsigned i = 0; i < allowed->count && resolve(path, use, real); i++)
		if (is_inside(real, allowed->list[i]))
			return 0;
	if (!allowed->count)
		return reason_refuse(
			reason, -EPERM,
			"over the network no file of the server may be named: set %s = FOLDER in sanbootd.conf, or "
			"run sanbootctl on the server",
			key);
	return reason_refuse(reason, -EPERM, "that file is in none of the folders that %s allows", key);
}
