// SPDX-License-Identifier: GPL-2.0-or-later
/* DHCP options: see options.h, and dhcp_option_valid in dhcp.h. */
#include "dhcp/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { VALUES_MAX = 8, VALUE_TEXT = 254 };

static const struct {
	const char *flag, *dnsmasq, *expected;
} kinds[] = {
	[DHCP_OPTION_ROUTER] = { "--dhcp-router", "option:router",
				 "IPv4 addresses, such as 10.0.0.254 or eth1:10.0.0.254, or none" },
	[DHCP_OPTION_DNS] = { "--dhcp-dns", "option:dns-server",
			      "IPv4 addresses, such as 10.0.0.2,10.0.0.3 or eth1:10.0.0.2, or none" },
	[DHCP_OPTION_NTP] = { "--dhcp-ntp", "option:ntp-server",
			      "IPv4 addresses, such as 10.0.0.2 or eth1:10.0.0.2, or none" },
	[DHCP_OPTION_DOMAIN] = { "--dhcp-domain", "option:domain-name",
				 "domain names, such as lab.example.org or eth1:lab.example.org, or none" },
};

/* A text taken apart. */
struct values {
	char interface[IF_NAMESIZE]; /* "" all */
	char list[VALUES_MAX][VALUE_TEXT];
	unsigned count; /* 0: none */
};

/* Letters, digits and inner hyphens in labels of 1 to 63. */
static bool valid_domain(const char *name)
{
	while (true) {
		size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

		if (len == 0 || len > 63 || name[0] == '-' || name[len - 1] == '-')
			return false;
		if (!name[len])
			return true;
		if (name[len] != '.')
			return false;
		name += len + 1;
	}
}

static bool valid_value(enum dhcp_option_kind kind, const char *value)
{
	struct in_addr address;

	if (kind == DHCP_OPTION_DOMAIN)
		return valid_domain(value);
	return inet_pton(AF_INET, value, &address) == 1 && address.s_addr;
}

static bool take_apart(enum dhcp_option_kind kind, const char *text, struct values *values)
{
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	memset(values, 0, sizeof(*values));
	if (colon && (len == 0 || len >= sizeof(values->interface)))
		return false;
	memcpy(values->interface, text, len);
	text += colon ? len + 1 : 0;
	if (!strcmp(text, "none"))
		return true;
	do {
		char *value;

		text += strspn(text, " ");
		len = strcspn(text, ", ");
		if (values->count == VALUES_MAX || len >= VALUE_TEXT)
			return false;
		value = values->list[values->count];
		memcpy(value, text, len);
		if (!valid_value(kind, value))
			return false;
		values->count++;
		text += len + strspn(text + len, " ");
	} while (*text++ == ',');
	return text[-1] == '\0';
}

bool dhcp_option_valid(enum dhcp_option_kind kind, const char *text, const char **expected)
{
	struct values values;

	*expected = kinds[kind].expected;
	return take_apart(kind, text, &values);
}

/* What was said of each kind on each interface: an option of config, or none. */
struct chosen {
	const char *text[sizeof(kinds) / sizeof(kinds[0])][DHCP_INTERFACES_MAX + 1]; /* the last: on all */
};

static int find_interface(const struct dhcp_config *config, const char *name, unsigned *index)
{
	for (unsigned i = 0; i < config->interface_count; i++)
		if (!strcmp(config->interfaces[i], name)) {
			*index = i;
			return 0;
		}
	return -ENOENT;
}

static int say_twice(const char *flag, const char *a, const char *b, struct reason *reason)
{
	return reason_refuse(reason, -EINVAL,
			     "%s %s and %s %s say two things about one: name several in one line, separated by commas",
			     flag, a, flag, b);
}

static void refuse_router(const struct dhcp_config *config, const struct dhcp_network *networks, const char *text,
			  const char *value, unsigned index, struct reason *reason)
{
	char address[DHCP_NETWORK_TEXT];
	bool any = index == config->interface_count;
	struct buf have;

	buf_init(&have, sizeof(reason->text));
	for (unsigned i = any ? 0 : index; any ? i < config->interface_count : i == index; i++)
		buf_printf(&have, "%s%s", have.len ? ", " : "", dhcp_network_format(&networks[i], address));
	reason_set(reason, "--dhcp-router %s: %s is not in the network of %s (%s)", text, value,
		   any ? "any --interface" : config->interfaces[index], buf_text(&have));
	buf_fini(&have);
}

/* A router belongs where it can be reached. */
static int place_router(const struct dhcp_config *config, const struct dhcp_network *networks, const char *text,
			const struct values *values, unsigned *index, struct reason *reason)
{
	for (unsigned v = 0; v < values->count; v++) {
		struct in_addr router;

		inet_pton(AF_INET, values->list[v], &router);
		/* The first one says which network is meant. */
		for (unsigned i = 0; *index == config->interface_count && i < config->interface_count; i++)
			if (dhcp_network_has(&networks[i], router))
				*index = i;
		if (*index < config->interface_count && dhcp_network_has(&networks[*index], router))
			continue;
		refuse_router(config, networks, text, values->list[v], *index, reason);
		return -EINVAL;
	}
	return 0;
}

static int choose(const struct dhcp_config *config, const struct dhcp_network *networks,
		  const struct dhcp_option *option, struct chosen *chosen, struct reason *reason)
{
	unsigned index = config->interface_count;
	const char **place;
	struct values values;
	int err = 0;

	if (!take_apart(option->kind, option->text, &values))
		return reason_refuse(reason, -EINVAL, "%s %s: expected %s", kinds[option->kind].flag, option->text,
				     kinds[option->kind].expected);
	if (values.interface[0] && find_interface(config, values.interface, &index))
		return reason_refuse(reason, -EINVAL, "%s %s: %s is no --interface", kinds[option->kind].flag,
				     option->text, values.interface);
	if (option->kind == DHCP_OPTION_ROUTER)
		err = place_router(config, networks, option->text, &values, &index, reason);
	if (err)
		return err;
	place = &chosen->text[option->kind][index == config->interface_count ? DHCP_INTERFACES_MAX : index];
	if (*place)
		return say_twice(kinds[option->kind].flag, *place, option->text, reason);
	*place = option->text;
	return 0;
}

static void add_lines(enum dhcp_option_kind kind, const char *interface, const char *text, struct buf *out)
{
	struct values values;

	if (!take_apart(kind, text, &values) || !values.count)
		return;
	buf_printf(out, "dhcp-option=tag:%s,%s", interface, kinds[kind].dnsmasq);
	for (unsigned v = 0; v < (kind == DHCP_OPTION_DOMAIN ? 1 : values.count); v++)
		buf_printf(out, ",%s", values.list[v]);
	buf_add_string(out, "\n");
	if (kind != DHCP_OPTION_DOMAIN || values.count < 2)
		return;
	buf_printf(out, "dhcp-option=tag:%s,option:domain-search", interface);
	for (unsigned v = 0; v < values.count; v++)
		buf_printf(out, ",%s", values.list[v]);
	buf_add_string(out, "\n");
}

int options_add_config(const struct dhcp_config *config, const struct dhcp_network *networks, struct buf *text,
		       struct reason *reason)
{
	struct chosen chosen = { .text = { { NULL } } };

	for (unsigned i = 0; i < config->option_count; i++) {
		int err = choose(config, networks, &config->options[i], &chosen, reason);

		if (err)
			return err;
	}
	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (unsigned i = 0; i < config->interface_count; i++) {
			const char *value = chosen.text[k][i] ? chosen.text[k][i] : chosen.text[k][DHCP_INTERFACES_MAX];

			if (value)
				add_lines((enum dhcp_option_kind)k, config->interfaces[i], value, text);
		}
	return 0;
}
