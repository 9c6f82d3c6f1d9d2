/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an initramfs can do, by the names of the files in it. Private to doctor/. */
#ifndef DOCTOR_INITRAMFS_H
#define DOCTOR_INITRAMFS_H

#include "doctor/tree.h"

struct initramfs {
	bool told;	   /* all names in it were seen; else nothing below counts for missing */
	char why_not[120]; /* it was not: a part of a sentence */
	bool dracut;	   /* made by dracut; else by initramfs-tools or others */
	bool host_only;	   /* dracut's, for the machine it was made on */
	bool own_cmdline;  /* a command line for the kernel is in it, whose words are not seen */
	bool login;	   /* iscsistart or iscsid */
	bool tcp, ibft;	   /* kernel modules */
	bool modules;	   /* any at all: else the kernel has what it needs built in, perhaps */
	bool multipath;
	unsigned nic_count; /* drivers of network cards */
	char nics[200];	    /* their names, "e1000e, r8169"; cut where there are many */
};

void initramfs_look(const struct tree *tree, const char *path, struct initramfs *found);
/* For tests: one name of a file in it. */
void initramfs_add_name(void *initramfs, const char *name);

#endif
