/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every path that is answered. No include guard: routes.h makes the list of handlers from it, route_table.c the table,
 * and from that come the check of what is sent (schema.c) and /api/v1/openapi.json (openapi.c).
 *
 * ROUTE(method, path, listeners, access, where it runs, handler): for machines, monitoring and pages
 * API(method, path under /api/v1, access, handler, what it takes, status, what it answers, what it does): schemas.c has
 * the schemas; a GET takes its query, everything else a body.
 *
 * "{name}" matches one segment, which becomes a parameter; "*" at the end all that follows. Literal paths stand before
 * patterns that would match them too.
 */
ROUTE("GET", "/boot", BOOT, PUBLIC, LATER, handle_boot)
ROUTE("GET", "/boot.ipxe", BOOT, PUBLIC, NOW, handle_first_script)
ROUTE("GET", "/boot/taken", BOOT, PUBLIC, LATER, handle_boot_taken)
ROUTE("GET", BOOT_FILES_PATH "*", BOOT, PUBLIC, WORKER, handle_boot_file)
ROUTE("GET", IPXE_PATH "*", BOOT, PUBLIC, WORKER, handle_ipxe_file)
ROUTE("GET", "/healthz", ANY, PUBLIC, WORKER, handle_health)
ROUTE("GET", "/metrics", ANY, PUBLIC, WORKER, handle_metrics)

ROUTE("GET", "/", WEB, PUBLIC, WORKER, handle_index)
ROUTE("GET", "/app.css", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/app.js", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/data.js", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/fr.js", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/graph.js", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/lib.js", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/machines.js", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/pages/*", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/stream.js", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/upload.js", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/enter.js", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/icon.svg", WEB, PUBLIC, NOW, handle_asset)
ROUTE("GET", "/login", WEB, PUBLIC, WORKER, handle_login_page)
ROUTE("GET", "/setup", WEB, PUBLIC, WORKER, handle_setup_page)
ROUTE("POST", "/login", WEB, FORM, WORKER, handle_login_form)
ROUTE("POST", "/setup", WEB, FORM, WORKER, handle_setup_form)

API("POST", "/login", PUBLIC, handle_login, login, 200, user, "Log in as administrator: the answer sets a cookie")
API("POST", "/setup", PUBLIC, handle_setup, setup, 200, user, "Set the first password, with the one-time token")
API("POST", "/logout", LOGIN, handle_logout, nothing, 200, empty, "End this login")
API("POST", "/password", ADMIN, handle_password, login, 200, password_set, "Set the administrator's password")
API("GET", "/tokens", ADMIN, handle_tokens, nothing, 200, tokens,
    "API tokens: what each may do, and when it was used last")
API("POST", "/tokens", ADMIN, handle_token_create, token_new, 201, token, "Make an API token, which is shown once")
API("DELETE", "/tokens", ADMIN, handle_token_delete, token_end, 200, removed, "End an API token, by what it is")
API("DELETE", "/tokens/{token}", ADMIN, handle_token_revoke, nothing, 200, removed, "End an API token, by its number")

API("GET", "/openapi.json", LOGIN, handle_openapi, nothing, 200, any, "This document")
API("GET", "/status", LOGIN, handle_status, nothing, 200, status, "What runs, what waits, how much room there is")
API("GET", "/policy", LOGIN, handle_policy_get, nothing, 200, policy, "What happens to machines nobody has seen")
API("PATCH", "/policy", LOGIN, handle_policy_set, policy, 200, policy, "Change policies")
API("GET", "/retention", LOGIN, handle_retention, nothing, 200, retention,
    "What goes by itself by the rules of the policy: when, how much, and why the rest stays")
API("POST", "/retention", LOGIN, handle_retention_run, nothing, 200, retention_run, "Let what is due go now")
API("GET", "/events", LOGIN, handle_events, events_query, 200, events,
    "What happened, oldest first; with Accept: text/event-stream what happens from now on, too")
API("GET", "/activity", LOGIN, handle_activity, activity_query, 200, activity,
    "What went on: the last hour every ten seconds, or the last month every ten minutes")
API("GET", "/waiting", LOGIN, handle_waiting, nothing, 200, waiting_list, "Machines that wait for a person's word")
API("DELETE", "/waiting/{mac}", LOGIN, handle_waiting_forget, nothing, 200, removed,
    "Forget one that waits or was denied, by its MAC or number: when it asks again it is a stranger")

API("GET", "/groups", LOGIN, handle_groups, nothing, 200, groups, "Groups of machines")
API("POST", "/groups", LOGIN, handle_group_add, group_new, 200, group, "Make a group")
API("GET", "/groups/{group}", LOGIN, handle_group, nothing, 200, group, "A group")
API("PATCH", "/groups/{group}", LOGIN, handle_group_set, group_set, 200, group, "Change a group")
API("DELETE", "/groups/{group}", LOGIN, handle_group_remove, nothing, 200, removed, "Remove a group")

API("GET", "/images", LOGIN, handle_images, nothing, 200, images, "Golden images and their versions")
API("POST", "/images", LOGIN, handle_image_import, import_new, 202, import_begun,
    "Import a file of the server's, or what is sent (upload), as an image; its state is under /imports")
API("GET", "/imports", LOGIN, handle_imports, nothing, 200, imports, "The last imports, oldest first")
API("PUT", "/imports/{import}/data", LOGIN, handle_import_data, nothing, 200, import_received,
    "Send a piece of what is imported: its bytes are the body (1 MiB at most), ?offset=N says where the last piece ended")
API("POST", "/imports/{import}/end", LOGIN, handle_import_end, nothing, 200, import, "All of it was sent: import it")
API("GET", "/imports/{import}", LOGIN, handle_import, nothing, 200, import, "How far an import is")
API("DELETE", "/imports/{import}", LOGIN, handle_import_cancel, nothing, 200, import,
    "Cancel an import: nothing of it stays")
API("POST", "/images/empty", LOGIN, handle_image_create, image_new, 201, image_made,
    "Make an image of zeroes, to install into")
API("GET", "/jobs", LOGIN, handle_jobs, nothing, 200, jobs, "The last imports and exports, oldest first")
API("GET", "/jobs/{job}", LOGIN, handle_job, nothing, 200, job, "How far an import or export is")
API("DELETE", "/jobs/{job}", LOGIN, handle_job_cancel, nothing, 200, job, "Cancel it: nothing of it stays")
API("POST", "/exports", LOGIN, handle_export, export_new, 202, job_begun,
    "Write an image, or the disk of a machine that is off, to a file of the server's; its state is under /jobs")
API("GET", "/images/{image}", LOGIN, handle_image, nothing, 200, image, "An image, or with @VERSION one version")
API("DELETE", "/images/{image}", LOGIN, handle_image_remove, nothing, 200, removed,
    "Delete an image, or with @VERSION one version")
API("GET", "/images/{image}/check", LOGIN, handle_image_check, nothing, 200, check,
    "What would stop an image from booting as a clone, or with @VERSION one version")
API("GET", "/file-check", LOGIN, handle_file_check, file_query, 200, check,
    "The same of a raw disk that is a file of the server's")
API("POST", "/images/{image}/seal", LOGIN, handle_image_seal, nothing, 202, import_begun,
    "Make the next version of an image without what must differ between machines; its state is under /imports")
API("PATCH", "/images/{image}", LOGIN, handle_version_set, version_set, 200, image,
    "Set the state of a version, or the note about it")
API("POST", "/images/{image}/publish", LOGIN, handle_image_publish, publish, 200, published,
    "Make a version the one that new machines get, now or at a time; with steps, a rollout: some machines get it first")
API("GET", "/images/{image}/rollout", LOGIN, handle_rollout, nothing, 200, rollout,
    "The last rollout of an image: its steps, its machines, the boots that are compared")
API("POST", "/images/{image}/rollout/stop", LOGIN, handle_rollout_stop, nothing, 200, rollout,
    "Nobody else gets its version")
API("POST", "/images/{image}/rollout/resume", LOGIN, handle_rollout_resume, nothing, 200, rollout,
    "A stopped rollout goes on; boots until now do not count any more")
API("POST", "/images/{image}/rollout/undo", LOGIN, handle_rollout_undo, nothing, 200, rollout,
    "Machines that have its version go back at their next boot")
API("POST", "/images/{image}/default", LOGIN, handle_image_default, nothing, 200, image_default,
    "Make an image the one that new machines get")

API("GET", "/machines", LOGIN, handle_machines, machines_query, 200, machines,
    "All machines, or those that the query names, a page at a time")
API("POST", "/machines", LOGIN, handle_machines_add, machines_new, 201, machines_added,
    "Enrol machines before they are switched on: all of them, or none")
API("POST", "/machines/approve", LOGIN, handle_approve, approve, 200, approved, "Let waiting machines in")
API("POST", "/machines/deny", LOGIN, handle_deny, mac, 200, done, "Refuse a waiting machine")
API("GET", "/machines/{machine}", LOGIN, handle_machine, machine_query, 200, machine,
    "A machine, by its name or one of its MACs, with its boots and events")
API("PATCH", "/machines/{machine}", LOGIN, handle_machine_set, machine_set, 200, machine, "Change a machine")
API("DELETE", "/machines/{machine}", LOGIN, handle_machine_remove, machine_remove, 200, removed,
    "Put a machine into the trash, with the disk that it boots from")
API("GET", "/trash", LOGIN, handle_trash, nothing, 200, trash, "Machines that were removed, oldest first")
API("POST", "/trash/{entry}/restore", LOGIN, handle_trash_restore, trash_restore, 200, trash_restored,
    "Bring a machine back, by the name that it had or #ID")
API("DELETE", "/trash/{entry}", LOGIN, handle_trash_delete, nothing, 200, removed, "Delete it for good, with its disk")
API("POST", "/machines/{machine}/release", LOGIN, handle_machine_release, nothing, 200, done,
    "End the sessions of a machine")
API("POST", "/machines/{machine}/reset", LOGIN, handle_machine_reset, nothing, 200, done,
    "Give a machine an empty disk, of the newest published version")
API("POST", "/machines/{machine}/swap", LOGIN, handle_machine_swap, mac, 200, done,
    "Give a machine's disk to the hardware that replaces it")
API("POST", "/machines/{machine}/wake", LOGIN, handle_machine_wake, nothing, 200, woken,
    "Switch a machine on by Wake on LAN")
API("POST", "/machines/{machine}/promote", LOGIN, handle_machine_promote, promote, 201, promoted,
    "Make the next version of an image of what is on its disk")
API("POST", "/machines/{machine}/clone", LOGIN, handle_machine_clone, machine_clone, 201, machine_cloned,
    "Make another machine with what is on its disk, at once")
API("POST", "/machines/{machine}/maintenance", LOGIN, handle_maintenance_begin, maintenance_begin, 200,
    maintenance_done, "Let a machine work on the next version of an image; its own disk is put aside")
API("DELETE", "/machines/{machine}/maintenance", LOGIN, handle_maintenance_end, maintenance_end, 200, maintenance_done,
    "End that: what it has written becomes a version, a draft, and it has its own disk again")
API("POST", "/machines/{machine}/macs", LOGIN, handle_machine_mac_add, mac, 200, done, "Add a network card")
API("DELETE", "/machines/{machine}/macs/{mac}", LOGIN, handle_machine_mac_remove, nothing, 200, removed,
    "Remove a network card")
API("PATCH", "/machines/{machine}/macs/{mac}", LOGIN, handle_machine_mac_set, mac_set, 200, done,
    "Say whether a MAC is one of a dock or an adapter, which several machines use")
API("GET", "/machines/{machine}/snapshots", LOGIN, handle_machine_snapshots, nothing, 200, snapshots,
    "The snapshots of the disk that a machine boots from")
API("POST", "/machines/{machine}/snapshots", LOGIN, handle_machine_snapshot, snapshot_new, 201, snapshot_done,
    "Keep what is on its disk now, while it is off")
API("DELETE", "/machines/{machine}/snapshots/{label}", LOGIN, handle_machine_snapshot_remove, nothing, 200,
    snapshot_done, "Delete a snapshot")
API("POST", "/machines/{machine}/restore", LOGIN, handle_machine_restore, snapshot_new, 200, snapshot_done,
    "Go back to a snapshot; what is there now is kept as another one")

API("GET", "/volumes", LOGIN, handle_volumes, nothing, 200, volumes, "All volumes")
API("POST", "/volumes", LOGIN, handle_volume_create, volume_new, 201, volume, "Make a volume")
API("GET", "/volumes/{volume}", LOGIN, handle_volume, nothing, 200, volume,
    "A volume, by its name, #number, or MACHINE:LUN")
API("PATCH", "/volumes/{volume}", LOGIN, handle_volume_set, volume_set, 200, volume, "Change a volume")
API("DELETE", "/volumes/{volume}", LOGIN, handle_volume_remove, nothing, 200, removed, "Delete a volume")
API("POST", "/volumes/{volume}/attach", LOGIN, handle_volume_attach, attach, 200, volume, "Give a volume to a machine")
API("POST", "/volumes/{volume}/detach", LOGIN, handle_volume_detach, detach, 200, volume,
    "Take a volume from a machine")
API("GET", "/volumes/{volume}/snapshots", LOGIN, handle_volume_snapshots, nothing, 200, snapshots,
    "The snapshots of a volume")
API("POST", "/volumes/{volume}/snapshots", LOGIN, handle_volume_snapshot, snapshot_new, 201, snapshot_done,
    "Keep what is on it now, while it is off")
API("DELETE", "/volumes/{volume}/snapshots/{label}", LOGIN, handle_volume_snapshot_remove, nothing, 200, snapshot_done,
    "Delete a snapshot")
API("POST", "/volumes/{volume}/restore", LOGIN, handle_volume_restore, snapshot_new, 200, snapshot_done,
    "Go back to a snapshot; what is there now is kept as another one")
API("POST", "/volumes/{volume}/copy", LOGIN, handle_volume_copy, volume_copy, 201, volume,
    "Make another volume with the same on it")
