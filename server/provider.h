/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where iscsi/ and boot/ meet, which do not know each other: boot's targets as an iscsi_provider, iscsi's sessions as a
 * boot_runtime. Only types are changed here, nothing is decided.
 */
#ifndef PROVIDER_H
#define PROVIDER_H

#include "boot/boot.h"
#include "iscsi/server.h"

/* Filled in by main before either is used; both tables then take this struct as their arg. */
struct provider {
	struct boot *boot;
	struct iscsi_server *server;
	struct inventory *inventory;
	struct iscsi_provider iscsi;
	struct boot_runtime runtime;
};

/* Fills in the two tables. boot, server and inventory are set when they exist. */
void provider_init(struct provider *provider);

#endif
