/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of routes, and the handlers that it names. Private to the folder. */
#ifndef HTTP_ROUTES_H
#define HTTP_ROUTES_H

#include "http/request.h"

/* Who may: anybody; or a logged-in person, a token or the control socket. */
enum access { ACCESS_PUBLIC, ACCESS_LOGIN };

enum run {
	RUN_NOW,    /* on libmicrohttpd's thread: must not block */
	RUN_WORKER, /* on a worker, with the connection suspended */
	RUN_LATER,  /* begins something and returns; request_finish is called, at any time, from any thread */
};

#define BOOT_FILES_PATH "/boot-files/"

struct route {
	const char *method;
	const char *pattern; /* "{}" matches one segment, which becomes a parameter; "*" at the end all that follows */
	unsigned serves;     /* on which listeners */
	enum access access;
	enum run run;
	void (*handle)(struct request *request);
};

/*
 * The route for a method and a path; parameters are copied into the request. NULL, and the answer is set: 404, 405 with
 * Allow, 414 where a segment is longer than any name. HEAD finds GET's route unless that one is RUN_LATER.
 */
const struct route *route_find(struct request *request, const char *method, const char *path);

/* pages.c */
void handle_index(struct request *request);
void handle_asset(struct request *request);
void handle_login_page(struct request *request);
void handle_setup_page(struct request *request);
void handle_health(struct request *request);
void handle_ipxe_file(struct request *request);
void handle_boot_file(struct request *request);
/* boot_paths.c */
void handle_first_script(struct request *request);
void handle_boot(struct request *request);
void handle_boot_taken(struct request *request);
/* auth.c */
void handle_login(struct request *request);
void handle_logout(struct request *request);
void handle_setup(struct request *request);
void handle_password(struct request *request);
void handle_token_create(struct request *request);
void handle_token_delete(struct request *request);
/* api_server.c */
void handle_status(struct request *request);
void handle_policy_get(struct request *request);
void handle_policy_set(struct request *request);
void handle_events(struct request *request);
/* api_images.c */
void handle_images(struct request *request);
void handle_image(struct request *request);
void handle_image_import(struct request *request);
void handle_import(struct request *request);
void handle_image_publish(struct request *request);
void handle_image_default(struct request *request);
void handle_image_remove(struct request *request);
/* api_machines.c */
void handle_machines(struct request *request);
void handle_machine(struct request *request);
void handle_waiting(struct request *request);
/* api_actions.c */
void handle_approve(struct request *request);
void handle_deny(struct request *request);
void handle_machine_set(struct request *request);
void handle_machine_remove(struct request *request);
void handle_machine_release(struct request *request);
void handle_machine_reset(struct request *request);
void handle_machine_swap(struct request *request);
void handle_machine_mac_add(struct request *request);
void handle_machine_mac_remove(struct request *request);
/* api_groups.c */
void handle_groups(struct request *request);
void handle_group(struct request *request);
void handle_group_add(struct request *request);
void handle_group_set(struct request *request);
void handle_group_remove(struct request *request);
/* api_volumes.c */
void handle_volumes(struct request *request);
void handle_volume(struct request *request);
void handle_volume_create(struct request *request);
void handle_volume_set(struct request *request);
void handle_volume_attach(struct request *request);
void handle_volume_detach(struct request *request);
void handle_volume_remove(struct request *request);
void handle_machine_snapshots(struct request *request);
void handle_machine_snapshot(struct request *request);
void handle_machine_restore(struct request *request);
void handle_machine_snapshot_remove(struct request *request);
void handle_volume_snapshots(struct request *request);
void handle_volume_snapshot(struct request *request);
void handle_volume_restore(struct request *request);
void handle_volume_snapshot_remove(struct request *request);
void handle_volume_copy(struct request *request);
/* metrics.c */
void handle_metrics(struct request *request);

#endif
