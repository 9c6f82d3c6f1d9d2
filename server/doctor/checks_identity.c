// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checks of a Linux: what must differ between machines and is in the image, and what the running system does to the network
 * card that it booted from.
 */
#include "doctor/exam.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

enum {
	LINE_TEXT = 512,
	FILES_MAX = 24, /* of one folder that are read */
};

/* A file's text, for one question. False: it is not there, or cannot be read. */
static bool read_file(const struct exam *exam, const char *path, struct buf *text)
{
	buf_init(text, EXAM_TEXT_MAX);
	return !tree_read(&exam->lin.root, path, text);
}

/* Its first line that is no comment, without blanks around it; "" where there is none. */
static void first_line(const char *text, char *out, size_t size)
{
	char line[LINE_TEXT];

	out[0] = '\0';
	while (!out[0] && exam_next_line(&text, line, sizeof(line))) {
		const char *at = line + strspn(line, " \t\r");
		size_t len = strcspn(at, "#\r");

		while (len && at[len - 1] == ' ')
			len--;
		snprintf(out, size, "%.*s", (int)min_u64(len, size - 1), at);
	}
}

/* ---- files of a folder that hold some text ---- */

struct folder_search {
	const struct exam *exam;
	const char *folder, *suffix;
	bool (*wanted)(const char *text);
	char found[EXAM_PATH]; /* the first one */
	unsigned left;
};

static void search_file(void *arg, const char *name)
{
	struct folder_search *search = arg;
	size_t len = strlen(name), suffix = strlen(search->suffix);
	char path[EXAM_PATH];
	struct buf text;

	if (search->found[0] || !search->left || len < suffix || strcmp(name + len - suffix, search->suffix) ||
	    snprintf(path, sizeof(path), "%s%s", search->folder, name) >= (int)sizeof(path))
		return;
	search->left--;
	if (read_file(search->exam, path, &text) && search->wanted(buf_text(&text)))
		snprintf(search->found, sizeof(search->found), "%s", path);
	buf_fini(&text);
}

/* The first file of a folder with that ending whose text is wanted. */
static bool find_in_folder(const struct exam *exam, const char *folder, const char *suffix,
			   bool (*wanted)(const char *text), struct exam_detail *detail)
{
	struct folder_search search = {
		.exam = exam, .folder = folder, .suffix = suffix, .wanted = wanted, .left = FILES_MAX
	};

	tree_list(&exam->lin.root, folder, search_file, &search);
	if (search.found[0] && detail)
		exam_detail_set(detail, 0, "%.150s", search.found);
	return search.found[0];
}

/* ---- who am I ---- */

static bool machine_id_set(const struct exam *exam, struct exam_detail *detail)
{
	char id[64];
	struct buf text;
	bool found = read_file(exam, "/etc/machine-id", &text);

	(void)detail;
	first_line(buf_text(&text), id, sizeof(id));
	buf_fini(&text);
	return found && id[0] && strcmp(id, "uninitialized");
}

/* systemd takes it for the machine's own where /etc/machine-id is empty (machine-id-setup(5)). */
static bool dbus_id_set(const struct exam *exam, struct exam_detail *detail)
{
	char id[64];
	struct buf text;
	bool found;

	if (machine_id_set(exam, detail))
		return false;
	found = read_file(exam, "/var/lib/dbus/machine-id", &text);
	first_line(buf_text(&text), id, sizeof(id));
	buf_fini(&text);
	return found && id[0] && strcmp(id, "uninitialized");
}

static void add_host_key(void *arg, const char *name)
{
	struct exam_detail *detail = arg;
	size_t len = strlen(name);

	if (!strncmp(name, "ssh_host_", 9) && len > 4 && !strcmp(name + len - 4, "_key"))
		exam_detail_add(detail, 0, name);
}

static bool host_keys(const struct exam *exam, struct exam_detail *detail)
{
	tree_list(&exam->lin.root, "/etc/ssh/", add_host_key, detail);
	return detail->text[0][0];
}

static bool makes_keys(const char *text)
{
	return strstr(text, "ssh-keygen") != NULL;
}

/* Debian's sshd makes none by itself: only its package's installation does. */
static bool no_host_keys_ever(const struct exam *exam, struct exam_detail *detail)
{
	if (!exam->lin.dpkg || !exam->lin.has[PACKAGE_SSH_SERVER] || exam->lin.has[PACKAGE_CLOUD_INIT] ||
	    host_keys(exam, detail))
		return false;
	return !find_in_folder(exam, "/etc/systemd/system/ssh.service.d/", ".conf", makes_keys, NULL) &&
	       !find_in_folder(exam, "/etc/systemd/system/", ".service", makes_keys, NULL);
}

static bool initiator_name(const struct exam *exam, struct exam_detail *detail)
{
	char line[LINE_TEXT];
	const char *at;
	struct buf text;

	if (read_file(exam, "/etc/iscsi/initiatorname.iscsi", &text)) {
		at = buf_text(&text);
		while (exam_next_line(&at, line, sizeof(line))) {
			if (!strncmp(line, "InitiatorName=", 14) && line[14])
				exam_detail_set(detail, 0, "%.150s", line + 14);
		}
	}
	buf_fini(&text);
	return detail->text[0][0];
}

static bool host_name(const struct exam *exam, struct exam_detail *detail)
{
	struct buf text;

	read_file(exam, "/etc/hostname", &text);
	first_line(buf_text(&text), detail->text[0], sizeof(detail->text[0]));
	buf_fini(&text);
	return detail->text[0][0] && strncmp(detail->text[0], "localhost", 9);
}

static bool random_seed(const struct exam *exam, struct exam_detail *detail)
{
	static const char *const paths[] = { "/var/lib/systemd/random-seed", "/var/lib/urandom/random-seed" };

	for (size_t i = 0; i < array_len(paths) && !detail->text[0][0]; i++) {
		if (tree_has(&exam->lin.root, paths[i]))
			exam_detail_set(detail, 0, "%s", paths[i]);
	}
	return detail->text[0][0];
}

/* ---- names of network cards ---- */

static bool has_mac(const char *text)
{
	char line[LINE_TEXT];

	while (exam_next_line(&text, line, sizeof(line))) {
		const char *at = line + strspn(line, " \t");

		if (*at != '#' && (strstr(at, "ATTR{address}") || !strncmp(at, "MACAddress=", 11) ||
				   !strncmp(at, "PermanentMACAddress=", 20)))
			return true;
	}
	return false;
}

static bool cards_by_mac(const struct exam *exam, struct exam_detail *detail)
{
	return find_in_folder(exam, "/etc/udev/rules.d/", "-net.rules", has_mac, detail);
}

struct networkd {
	const struct exam *exam;
	struct exam_detail *detail;
	bool of_cloud_init;
	unsigned left; /* files that are looked into */
};

static bool ends_with(const char *name, const char *suffix)
{
	size_t len = strlen(name), tail = strlen(suffix);

	return len >= tail && !strcmp(name + len - tail, suffix);
}

/* cloud-init 22.4.2 writes 10-cloud-init-eth0.network with the MAC of the machine that it ran on, also where its network is off. */
static void look_at_networkd(void *arg, const char *name)
{
	struct networkd *look = arg;
	char path[EXAM_PATH];
	struct buf text;

	if (look->detail->text[0][0] || !look->left || exam_is_cloud_init_network(name) != look->of_cloud_init ||
	    (!ends_with(name, ".link") && !ends_with(name, ".network")))
		return;
	look->left--;
	snprintf(path, sizeof(path), "/etc/systemd/network/%s", name);
	if (read_file(look->exam, path, &text) && has_mac(buf_text(&text)))
		exam_detail_set(look->detail, 0, "%s", path);
	buf_fini(&text);
}

static bool networkd_by_mac(const struct exam *exam, struct exam_detail *detail)
{
	struct networkd look = { .exam = exam, .detail = detail, .left = FILES_MAX };

	tree_list(&exam->lin.root, "/etc/systemd/network/", look_at_networkd, &look);
	return detail->text[0][0];
}

static bool cloud_init_network(const struct exam *exam, struct exam_detail *detail)
{
	struct networkd look = { .exam = exam, .detail = detail, .of_cloud_init = true, .left = FILES_MAX };

	tree_list(&exam->lin.root, "/etc/systemd/network/", look_at_networkd, &look);
	return detail->text[0][0];
}

/* ---- who else configures the card that it booted from ---- */

static bool is_enabled(const struct exam *exam, const char *unit)
{
	char path[EXAM_PATH];

	snprintf(path, sizeof(path), "/etc/systemd/system/multi-user.target.wants/%s", unit);
	return tree_has(&exam->lin.root, path);
}

/* Those of `image build debian`, which keep every manager off the card. */
static bool is_kept_off(const struct exam *exam)
{
	return tree_has(&exam->lin.root, "/etc/initramfs-tools/scripts/init-bottom/sanbootd");
}

/* "iface eth0 inet dhcp", but for lo. */
static bool has_iface(const char *text)
{
	char line[LINE_TEXT];

	while (exam_next_line(&text, line, sizeof(line))) {
		const char *at = line + strspn(line, " \t");

		if (!strncmp(at, "iface ", 6) && strncmp(at + 6, "lo ", 3) && !strstr(at, " manual"))
			return true;
	}
	return false;
}

static bool ifupdown(const struct exam *exam, struct exam_detail *detail)
{
	struct buf text;
	bool found;

	if (!tree_has(&exam->lin.root, "/usr/sbin/ifup") && !tree_has(&exam->lin.root, "/sbin/ifup"))
		return false;
	found = read_file(exam, "/etc/network/interfaces", &text) && has_iface(buf_text(&text));
	buf_fini(&text);
	if (found)
		exam_detail_set(detail, 0, "/etc/network/interfaces");
	return found || find_in_folder(exam, "/etc/network/interfaces.d/", "", has_iface, detail);
}

/* One that may match the card that the root is on, and lets go of it at a stop. */
static bool takes_card(const char *text)
{
	return strstr(text, "[Network]") && !strstr(text, "Unmanaged=yes") && !strstr(text, "KeepConfiguration=yes") &&
	       !strstr(text, "CriticalConnection=yes");
}

static bool networkd(const struct exam *exam, struct exam_detail *detail)
{
	return is_enabled(exam, "systemd-networkd.service") && !is_kept_off(exam) &&
	       find_in_folder(exam, "/etc/systemd/network/", ".network", takes_card, detail);
}

static bool is_not_critical(const char *text)
{
	return strstr(text, "ethernets:") && !strstr(text, "critical: true");
}

static bool netplan(const struct exam *exam, struct exam_detail *detail)
{
	return !is_kept_off(exam) && find_in_folder(exam, "/etc/netplan/", ".yaml", is_not_critical, detail);
}

static bool has_unmanaged(const char *text)
{
	return strstr(text, "unmanaged-devices") != NULL;
}

static bool network_manager(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return exam->lin.has[PACKAGE_NETWORK_MANAGER] && is_enabled(exam, "NetworkManager.service") &&
	       !is_kept_off(exam) && !find_in_folder(exam, "/etc/NetworkManager/conf.d/", ".conf", has_unmanaged, NULL);
}

/* ---- services ---- */

static bool turns_openssl_off(const char *text)
{
	return strstr(text, "OPENSSL_CONF=") != NULL;
}

/* With CHAP iscsid reads that file from the disk that is away at that moment: README.md, "Preparing an image". */
static bool openssl_hangs(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return exam->lin.dpkg && exam->lin.has[PACKAGE_OPEN_ISCSI] &&
	       tree_has(&exam->lin.root, "/etc/ssl/openssl.cnf") &&
	       !find_in_folder(exam, "/etc/systemd/system/iscsid.service.d/", ".conf", turns_openssl_off, NULL);
}

static bool has_datasources(const char *text)
{
	char line[LINE_TEXT];

	while (exam_next_line(&text, line, sizeof(line))) {
		if (!strncmp(line, "datasource_list:", 16))
			return true;
	}
	return false;
}

static bool cloud_init_searches(const struct exam *exam, struct exam_detail *detail)
{
	struct buf text;
	bool said;

	(void)detail;
	if (!exam->lin.has[PACKAGE_CLOUD_INIT] || tree_has(&exam->lin.root, "/etc/cloud/cloud-init.disabled"))
		return false;
	said = read_file(exam, "/etc/cloud/cloud.cfg", &text) && has_datasources(buf_text(&text));
	buf_fini(&text);
	return !said && !find_in_folder(exam, "/etc/cloud/cloud.cfg.d/", ".cfg", has_datasources, NULL);
}

/* What cloud-init did on the original it does not do again on a clone that has its id. */
static bool cloud_init_ran(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return exam->lin.has[PACKAGE_CLOUD_INIT] && tree_has(&exam->lin.root, "/var/lib/cloud/data/instance-id");
}

const struct exam_check exam_identity_checks[] = {
	{ "machine-id", EXAM_LINUX, DOCTOR_CLASH, true, machine_id_set,
	  "/etc/machine-id has an id: all clones would be the same machine for DHCP, the journal and others.",
	  "In the original, last of all: truncate -s 0 /etc/machine-id." },
	{ "dbus-machine-id", EXAM_LINUX, DOCTOR_CLASH, true, dbus_id_set,
	  "/var/lib/dbus/machine-id has an id, which systemd takes where /etc/machine-id is empty.",
	  "In the original: ln -sf /etc/machine-id /var/lib/dbus/machine-id." },
	{ "ssh-host-keys", EXAM_LINUX, DOCTOR_CLASH, true, host_keys,
	  "/etc/ssh has host keys ({1}): all clones would have the same ones, and each could pretend to be any other.",
	  "In the original: rm /etc/ssh/ssh_host_*, and let ssh-keygen -A run before sshd at a boot." },
	{ "initiator-name", EXAM_LINUX, DOCTOR_CLASH, true, initiator_name,
	  "/etc/iscsi/initiatorname.iscsi has a name ({1}): all clones would call themselves so.",
	  "In the original: GenerateName=yes in it instead." },
	{ "cards-by-mac", EXAM_LINUX, DOCTOR_CLASH, true, cards_by_mac,
	  "{1} names network cards by MAC address: a clone has others, and other names for them.",
	  "In the original: remove it." },
	{ "network-by-mac", EXAM_LINUX, DOCTOR_CLASH, false, networkd_by_mac,
	  "{1} matches network cards by MAC address: a clone has others.",
	  "In the original: match by Type= or Driver=." },
	{ "cloud-init-network", EXAM_LINUX, DOCTOR_CLASH, true, cloud_init_network,
	  "{1}, which cloud-init wrote for the original, matches network cards by MAC address: a clone has others.",
	  "In the original: remove it." },
	{ "openssl-hang", EXAM_LINUX, DOCTOR_RISK, true, openssl_hangs,
	  "With CHAP, iscsid reads /etc/ssl/openssl.cnf from the disk that is away at that moment, and hangs.",
	  "In the original: Environment=OPENSSL_CONF=/dev/null in /etc/systemd/system/iscsid.service.d/openssl.conf, under "
	  "[Service]. Not needed with auth=none." },
	{ "ifupdown", EXAM_LINUX, DOCTOR_RISK, false, ifupdown,
	  "{1} configures a network card (ifupdown): if it is the one that the disk is on, the disk may be gone.",
	  "In the original: only lo in it, or \"inet manual\"." },
	{ "networkd", EXAM_LINUX, DOCTOR_RISK, false, networkd,
	  "{1} lets systemd-networkd configure a network card: if it is the one that the disk is on, the disk may be gone.",
	  "In the original: KeepConfiguration=yes under [Network], or Unmanaged=yes under [Link]." },
	{ "netplan", EXAM_LINUX, DOCTOR_RISK, false, netplan,
	  "{1} configures a network card (netplan): if it is the one that the disk is on, the disk may be gone.",
	  "In the original: critical: true for it." },
	{ "network-manager", EXAM_LINUX, DOCTOR_RISK, false, network_manager,
	  "NetworkManager runs, and no device is unmanaged: it may take the card over that the disk is on.",
	  "In the original: unmanaged-devices= under [keyfile] in a file of /etc/NetworkManager/conf.d." },
	{ "ssh-without-keys", EXAM_LINUX, DOCTOR_HINT, true, no_host_keys_ever,
	  "There are no SSH host keys, and nothing makes them at a boot: sshd would not start.",
	  "In the original: ExecStartPre=/usr/bin/ssh-keygen -A in a drop-in of ssh.service." },
	{ "cloud-init-searches", EXAM_LINUX, DOCTOR_HINT, true, cloud_init_searches,
	  "cloud-init is there and asks for its data in every place that it knows; a boot may wait for that.",
	  "In the original: datasource_list: [NoCloud, None] in a file of /etc/cloud/cloud.cfg.d." },
	{ "cloud-init-ran", EXAM_LINUX, DOCTOR_HINT, false, cloud_init_ran,
	  "cloud-init has run in it: what it did once for the original it does again only for another instance id.",
	  "In the original: cloud-init clean." },
	{ "host-name", EXAM_LINUX, DOCTOR_HINT, false, host_name,
	  "/etc/hostname says {1}: clones are called so where nothing else names them.",
	  "In the original: rm /etc/hostname; the server tells each its own by DHCP." },
	{ "random-seed", EXAM_LINUX, DOCTOR_HINT, true, random_seed, "{1} is the same in all clones.",
	  "In the original, last of all: remove it." },
	{ 0 },
};
