// SPDX-License-Identifier: GPL-2.0-or-later
/* What sealing changes: see seal.h. Debugfs stops at nothing, so a file that is not there may be removed. */
#include "doctor/seal.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

enum { LINE_TEXT = 512 };

/* Puts what edit->content is in the place of a file, which is root's. */
static void put_file(struct seal_edit *edit, const char *path, unsigned mode)
{
	buf_printf(&edit->commands,
		   "rm %s\nwrite " SEAL_CONTENT " %s\nsif %s mode 0100%03o\nsif %s uid 0\nsif %s gid 0\n", path, path,
		   path, mode, path, path);
}

static bool empty_machine_id(const struct exam *exam, struct seal_edit *edit)
{
	(void)exam;
	put_file(edit, "/etc/machine-id", 0444);
	return true;
}

/* It has its turn once the other is empty. */
static bool link_dbus_id(const struct exam *exam, struct seal_edit *edit)
{
	if (!tree_has(&exam->lin.root, "/var/lib/dbus/machine-id"))
		return false;
	buf_add_string(&edit->commands,
		       "rm /var/lib/dbus/machine-id\nsymlink /var/lib/dbus/machine-id /etc/machine-id\n");
	return true;
}

/* Names as they may be; others stay, and the check that follows says so. */
static bool is_plain_name(const char *name)
{
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(name);
}

static void remove_host_key(void *arg, const char *name)
{
	struct seal_edit *edit = arg;

	if (!strncmp(name, "ssh_host_", 9) && strstr(name, "_key") && is_plain_name(name))
		buf_printf(&edit->commands, "rm /etc/ssh/%s\n", name);
}

static bool remove_host_keys(const struct exam *exam, struct seal_edit *edit)
{
	tree_list(&exam->lin.root, "/etc/ssh/", remove_host_key, edit);
	return true;
}

/* debugfs makes no folders on the way, and says so where there is one already. */
static void make_folder(struct seal_edit *edit, const char *path)
{
	buf_printf(&edit->commands, "mkdir %s\n", path);
}

/* Debian's ssh.service tests its keys before it starts; others make them by themselves. */
static bool make_host_keys(const struct exam *exam, struct seal_edit *edit)
{
	if (!exam->lin.dpkg || !exam->lin.has[PACKAGE_SSH_SERVER])
		return false;
	make_folder(edit, "/etc/systemd/system/ssh.service.d");
	buf_add_string(&edit->content, "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\n"
				       "ExecStartPre=/usr/sbin/sshd -t\n");
	put_file(edit, "/etc/systemd/system/ssh.service.d/sanbootd-host-keys.conf", 0644);
	return true;
}

static bool generate_initiator_name(const struct exam *exam, struct seal_edit *edit)
{
	(void)exam;
	buf_add_string(&edit->content, "GenerateName=yes\n");
	put_file(edit, "/etc/iscsi/initiatorname.iscsi", 0600);
	return true;
}

static void remove_rules(void *arg, const char *name)
{
	struct seal_edit *edit = arg;
	size_t len = strlen(name);

	if (len > 10 && !strcmp(name + len - 10, "-net.rules") && is_plain_name(name))
		buf_printf(&edit->commands, "rm /etc/udev/rules.d/%s\n", name);
}

static bool remove_card_names(const struct exam *exam, struct seal_edit *edit)
{
	tree_list(&exam->lin.root, "/etc/udev/rules.d/", remove_rules, edit);
	return true;
}

static void remove_cloud_init_network(void *arg, const char *name)
{
	struct seal_edit *edit = arg;

	if (exam_is_cloud_init_network(name) && is_plain_name(name))
		buf_printf(&edit->commands, "rm /etc/systemd/network/%s\n", name);
}

static bool remove_cloud_init_networks(const struct exam *exam, struct seal_edit *edit)
{
	tree_list(&exam->lin.root, "/etc/systemd/network/", remove_cloud_init_network, edit);
	return true;
}

static bool is_swap(const char *line)
{
	char copy[LINE_TEXT], *rest, *word;
	int field = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (word = strtok_r(copy, " \t", &rest); word && *word != '#'; word = strtok_r(NULL, " \t", &rest)) {
		if (++field == 3)
			return !strcmp(word, "swap");
	}
	return false;
}

static bool comment_swap_out(const struct exam *exam, struct seal_edit *edit)
{
	const char *text = buf_text(&exam->lin.fstab);
	char line[LINE_TEXT];

	while (*text) {
		size_t len = strcspn(text, "\n");

		/* A line that is longer than any that mount(8) takes stays as it is. */
		snprintf(line, sizeof(line), "%.*s", (int)min_u64(len, sizeof(line) - 1), text);
		if (is_swap(line))
			buf_add_string(&edit->content, "# sealed: ");
		buf_add(&edit->content, text, len);
		buf_add_string(&edit->content, "\n");
		text += len + (text[len] == '\n');
	}
	put_file(edit, "/etc/fstab", 0644);
	return true;
}

static bool turn_openssl_off(const struct exam *exam, struct seal_edit *edit)
{
	(void)exam;
	make_folder(edit, "/etc/systemd/system/iscsid.service.d");
	buf_add_string(&edit->content, "[Service]\nEnvironment=OPENSSL_CONF=/dev/null\n");
	put_file(edit, "/etc/systemd/system/iscsid.service.d/sanbootd-openssl.conf", 0644);
	return true;
}

static bool name_datasources(const struct exam *exam, struct seal_edit *edit)
{
	(void)exam;
	buf_add_string(&edit->content, "datasource_list: [NoCloud, None]\n");
	put_file(edit, "/etc/cloud/cloud.cfg.d/99-sanbootd.cfg", 0644);
	return true;
}

static bool remove_seeds(const struct exam *exam, struct seal_edit *edit)
{
	(void)exam;
	buf_add_string(&edit->commands, "rm /var/lib/systemd/random-seed\nrm /var/lib/urandom/random-seed\n");
	return true;
}

const struct seal_change seal_changes[] = {
	{ "machine-id", empty_machine_id, "/etc/machine-id is empty: each clone makes its own at its first boot." },
	{ "machine-id", link_dbus_id, "/var/lib/dbus/machine-id is a link to /etc/machine-id." },
	{ "dbus-machine-id", link_dbus_id, "/var/lib/dbus/machine-id is a link to /etc/machine-id." },
	{ "ssh-host-keys", remove_host_keys, "The SSH host keys are removed from /etc/ssh." },
	{ "ssh-host-keys", make_host_keys,
	  "ssh.service makes host keys where there are none (ssh.service.d/sanbootd-host-keys.conf)." },
	{ "ssh-without-keys", make_host_keys,
	  "ssh.service makes host keys where there are none (ssh.service.d/sanbootd-host-keys.conf)." },
	{ "initiator-name", generate_initiator_name,
	  "/etc/iscsi/initiatorname.iscsi says GenerateName=yes: each clone makes its own." },
	{ "cards-by-mac", remove_card_names, "The names of network cards are removed from /etc/udev/rules.d." },
	{ "cloud-init-network", remove_cloud_init_networks,
	  "What cloud-init wrote about the original's network cards is removed from /etc/systemd/network." },
	{ "swap", comment_swap_out, "Swap is commented out in /etc/fstab." },
	{ "openssl-hang", turn_openssl_off,
	  "iscsid does without /etc/ssl/openssl.cnf (iscsid.service.d/sanbootd-openssl.conf)." },
	{ "cloud-init-searches", name_datasources,
	  "cloud-init asks for its data in no other place than NoCloud's (cloud.cfg.d/99-sanbootd.cfg)." },
	{ "random-seed", remove_seeds, "The random seed is removed." },
	{ 0 },
};
