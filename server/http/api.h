/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the API share. Private to the folder; on workers. */
#ifndef HTTP_API_H
#define HTTP_API_H

#include "boot/boot.h"
#include "http/request.h"

/* Runs a read or write job and answers where it fails (what: "the machines could not be read"). */
bool api_read(struct request *request, struct inventory_job *job, const char *what);
/* "" where the member is missing or not a string. */
const char *api_text(const json_t *body, const char *key);
/* What main knows; to be freed. */
void api_get_facts(struct http *http, struct http_facts *facts);
void api_facts_free(struct http_facts *facts);
/* The portals with wildcard addresses replaced by one under which this host is reached. */
json_t *api_portals(const struct http_facts *facts);
enum api_path { API_PATH_IMPORT, API_PATH_EXPORT };

/* May this request name that file of the server's? -EINVAL, -EPERM with a sentence. Blocks. */
int api_check_path(const struct request *request, const char *path, enum api_path use, struct reason *reason);
/* The image that the path names: NAME or NAME@V, number 0 where there is none. Answers 400 where it is neither. */
bool api_parse_image(struct request *request, char name[NAME_MAX_TEXT], unsigned *number);
/* 404 */
void api_reply_no_image(struct request *request);
/* A string, number or boolean (yes, no) as text; false for anything else. */
bool api_scalar_text(const json_t *value, char *out, size_t out_size);
/*
 * Sets one key of what the path names. 0 or -errno with why; after success reason may say what to do next. One that
 * sets a name puts it in the path's place (request->params[0]), for the keys that follow.
 */
typedef int api_set_key(struct request *request, const char *key, const char *text, struct reason *reason);
/* Would all of them be taken? 0 or -errno with why; NULL where one that is refused leaves nothing behind. */
typedef int api_rehearse(struct request *request, const struct boot_setting *settings, unsigned count,
			 struct reason *reason);
/*
 * Sets what the body names, all of it or nothing: several are rehearsed first, and size, which cannot be, is the first that is
 * set. Keys may be written as people do (boot-once) or as answers have them (boot_once); true and false are yes and no, null takes a
 * value away. 0 or -errno; said: why, or all that was said to do next; "" before. Answers nothing.
 */
int api_set_keys(struct request *request, api_rehearse *rehearse, api_set_key *set, struct reason *said);
/* The body's keys in the same way, for whoever has more to do than to set them. False: said says why. */
struct api_settings;
struct api_settings *api_settings_take(struct request *request, struct reason *said);
const struct boot_setting *api_settings_list(const struct api_settings *settings, unsigned *count);
void api_settings_free(struct api_settings *settings);

#endif
