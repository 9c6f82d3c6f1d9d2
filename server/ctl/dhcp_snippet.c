// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sanbootctl dhcp-snippet: what to put into the DHCP server that a site already has. In the templates @A is the
 * server's address, @U its base URL, @B, @I, @X and @R the boot files of BIOS, UEFI IA32, x64 and arm64.
 *
 * Common to all: a client that is iPXE already gets the script (else iPXE would load itself for ever), by HTTP where it can;
 * everybody else gets the iPXE for its architecture (option 93), as a URL where the firmware said HTTPClient, which
 * then has to come back as option 60.
 */
#include "ctl/client.h"
#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>

// Text with macros in it, laid out as what it says.
// clang-format off
#define ISC_HTTP(arch, file)                                          \
	"    } elsif option client-arch = " arch " {\n"               \
	"        option vendor-class-identifier \"HTTPClient\";\n" \
	"        filename \"@U/ipxe/" file "\";\n"

static const char isc[] =
	"# ISC dhcpd: into dhcpd.conf, outside of all subnets.\n"
	"option client-arch code 93 = unsigned integer 16;\n"
	"option space ipxe;\n"
	"option ipxe-encap-opts code 175 = encapsulate ipxe;\n"
	"option ipxe.http code 19 = unsigned integer 8;\n"
	"option ipxe.no-pxedhcp code 176 = unsigned integer 8;\n"
	"class \"sanbootd\" {\n"
	"    match if substring(option vendor-class-identifier, 0, 9) = \"PXEClient\"\n"
	"          or substring(option vendor-class-identifier, 0, 10) = \"HTTPClient\";\n"
	"    next-server @A;\n"
	"    if exists user-class and option user-class = \"iPXE\" {\n"
	"        option ipxe.no-pxedhcp 1;\n"
	"        if exists ipxe.http {\n"
	"            filename \"@U/boot.ipxe\";\n"
	"        } else {\n"
	"            filename \"boot.ipxe\";\n"
	"        }\n"
	"    } elsif option client-arch = 00:00 {\n"
	"        filename \"@B\";\n"
	"    } elsif option client-arch = 00:06 {\n"
	"        filename \"@I\";\n"
	"    } elsif option client-arch = 00:07 or option client-arch = 00:09 {\n"
	"        filename \"@X\";\n"
	"    } elsif option client-arch = 00:0b {\n"
	"        filename \"@R\";\n" ISC_HTTP("00:0f", "@I") ISC_HTTP("00:10", "@X") ISC_HTTP("00:13", "@R")
	"    }\n"
	"}\n";

#define KEA_CLASS(name, test, file)                                                                                  \
	"      { \"name\": \"sanbootd-" name "\", \"test\": \"" test " and not member('sanbootd-ipxe')\",\n" \
	"        \"next-server\": \"@A\", \"boot-file-name\": \"" file "\" },\n"
#define KEA_HTTP(name, arch, file, comma)                                                                  \
	"      { \"name\": \"sanbootd-http-" name "\",\n"                                              \
	"        \"test\": \"option[93].hex == " arch " and not member('sanbootd-ipxe')\",\n"       \
	"        \"boot-file-name\": \"@U/ipxe/" file "\",\n"                                          \
	"        \"option-data\": [ { \"name\": \"vendor-class-identifier\", \"data\": \"HTTPClient\" } ] }" comma "\n"

static const char kea[] =
	"// Kea: merge these two lists into \"Dhcp4\" of kea-dhcp4.conf.\n"
	"{\n"
	"  \"Dhcp4\": {\n"
	"    \"option-def\": [\n"
	"      { \"space\": \"dhcp4\", \"name\": \"ipxe-encap-opts\", \"code\": 175, \"type\": \"empty\", \"encapsulate\": \"ipxe\" },\n"
	"      { \"space\": \"ipxe\", \"name\": \"http\", \"code\": 19, \"type\": \"uint8\" },\n"
	"      { \"space\": \"ipxe\", \"name\": \"no-pxedhcp\", \"code\": 176, \"type\": \"uint8\" }\n"
	"    ],\n"
	"    \"client-classes\": [\n"
	"      { \"name\": \"sanbootd-ipxe\", \"test\": \"option[77].hex == 'iPXE'\",\n"
	"        \"option-data\": [ { \"name\": \"ipxe-encap-opts\" }, { \"space\": \"ipxe\", \"name\": \"no-pxedhcp\", \"data\": \"1\" } ] },\n"
	"      { \"name\": \"sanbootd-ipxe-http\", \"test\": \"member('sanbootd-ipxe') and option[175].option[19].exists\",\n"
	"        \"boot-file-name\": \"@U/boot.ipxe\" },\n"
	"      { \"name\": \"sanbootd-ipxe-tftp\", \"test\": \"member('sanbootd-ipxe') and not option[175].option[19].exists\",\n"
	"        \"next-server\": \"@A\", \"boot-file-name\": \"boot.ipxe\" },\n" KEA_CLASS("bios", "option[93].hex == 0x0000", "@B")
		KEA_CLASS("efi32", "option[93].hex == 0x0006", "@I")
			KEA_CLASS("efi64", "(option[93].hex == 0x0007 or option[93].hex == 0x0009)", "@X")
				KEA_CLASS("arm64", "option[93].hex == 0x000b", "@R") KEA_HTTP("efi32", "0x000f", "@I", ",")
					KEA_HTTP("efi64", "0x0010", "@X", ",") KEA_HTTP("arm64", "0x0013", "@R", "")
	"    ]\n"
	"  }\n"
	"}\n";

#define DNSMASQ_LINES                                                \
	"dhcp-match=set:sb-ipxe,175\n"                               \
	"dhcp-userclass=set:sb-ipxe,iPXE\n"                          \
	"# 19 among the features that it lists: HTTP\n"              \
	"dhcp-match=set:sb-ipxe-http,175,19\n"                       \
	"dhcp-match=set:sb-bios,option:client-arch,0\n"              \
	"dhcp-match=set:sb-efi32,option:client-arch,6\n"             \
	"dhcp-match=set:sb-efi64,option:client-arch,7\n"             \
	"dhcp-match=set:sb-efi64,option:client-arch,9\n"             \
	"dhcp-match=set:sb-arm64,option:client-arch,11\n"            \
	"dhcp-match=set:sb-http-efi32,option:client-arch,15\n"       \
	"dhcp-match=set:sb-http-efi64,option:client-arch,16\n"       \
	"dhcp-match=set:sb-http-arm64,option:client-arch,19\n"       \
	"dhcp-vendorclass=set:sb-http,HTTPClient\n"                  \
	"dhcp-option-force=tag:!sb-ipxe,tag:sb-http,60,HTTPClient\n" \
	"dhcp-option-force=tag:sb-ipxe,encap:175,176,1b\n"           \
	"dhcp-boot=tag:sb-ipxe,tag:sb-ipxe-http,@U/boot.ipxe\n"      \
	"dhcp-boot=tag:sb-ipxe,tag:!sb-ipxe-http,boot.ipxe,,@A\n"    \
	"dhcp-boot=tag:!sb-ipxe,tag:sb-bios,@B,,@A\n"                \
	"dhcp-boot=tag:!sb-ipxe,tag:sb-efi32,@I,,@A\n"               \
	"dhcp-boot=tag:!sb-ipxe,tag:sb-efi64,@X,,@A\n"               \
	"dhcp-boot=tag:!sb-ipxe,tag:sb-arm64,@R,,@A\n"               \
	"dhcp-boot=tag:!sb-ipxe,tag:sb-http-efi32,@U/ipxe/@I\n"      \
	"dhcp-boot=tag:!sb-ipxe,tag:sb-http-efi64,@U/ipxe/@X\n"      \
	"dhcp-boot=tag:!sb-ipxe,tag:sb-http-arm64,@U/ipxe/@R\n"

static const char dnsmasq[] =
	"# dnsmasq: into a file in /etc/dnsmasq.d, then: systemctl restart dnsmasq\n" DNSMASQ_LINES;

static const char openwrt[] = "# OpenWrt: paste this into a shell of the router.\n"
			      "cat >>/etc/dnsmasq.conf <<'END'\n" DNSMASQ_LINES "END\n"
			      "service dnsmasq restart\n";

#define WINDOWS_POLICY(name, class)                                                                          \
	"Add-DhcpServerv4Class -Name 'sanbootd " name "' -Type Vendor -Data '" class "'\n"                   \
	"Add-DhcpServerv4Policy -Name 'sanbootd " name "' -ScopeId $scope -Condition And"                    \
	" -VendorClass EQ,'sanbootd " name "*' -UserClass NE,'sanbootd iPXE*'\n"
#define WINDOWS_VALUE(name, option, value)                                                                   \
	"Set-DhcpServerv4OptionValue -ScopeId $scope -PolicyName 'sanbootd " name "' -OptionId " option      \
	" -Value '" value "'\n"
#define WINDOWS_PXE(name, arch, file) \
	WINDOWS_POLICY(name, "PXEClient:Arch:" arch) WINDOWS_VALUE(name, "66", "@A") WINDOWS_VALUE(name, "67", file)
#define WINDOWS_HTTP(name, arch, file)                  \
	WINDOWS_POLICY(name, "HTTPClient:Arch:" arch)   \
	WINDOWS_VALUE(name, "60", "HTTPClient") WINDOWS_VALUE(name, "67", "@U/ipxe/" file)

static const char windows[] =
	"# Windows Server: into PowerShell on the DHCP server, with your scope in the next line.\n"
	"$scope = '10.0.0.0'\n"
	"Add-DhcpServerv4OptionDefinition -Name 'Boot vendor class' -OptionId 60 -Type String -ErrorAction SilentlyContinue\n"
	"Add-DhcpServerv4Class -Name 'sanbootd iPXE' -Type User -Data 'iPXE'\n"
	"Add-DhcpServerv4Policy -Name 'sanbootd iPXE' -ScopeId $scope -Condition Or -UserClass EQ,'sanbootd iPXE*'\n"
	WINDOWS_VALUE("iPXE", "66", "@A") WINDOWS_VALUE("iPXE", "67", "@U/boot.ipxe")
	WINDOWS_PXE("BIOS", "00000", "@B") WINDOWS_PXE("UEFI IA32", "00006", "@I")
	WINDOWS_PXE("UEFI x64", "00007", "@X") WINDOWS_PXE("UEFI 9", "00009", "@X")
	WINDOWS_PXE("UEFI arm64", "00011", "@R") WINDOWS_HTTP("HTTP IA32", "00015", "@I")
	WINDOWS_HTTP("HTTP x64", "00016", "@X") WINDOWS_HTTP("HTTP arm64", "00019", "@R");

#define ROUTEROS_MATCH(name, first, value, class)                                                            \
	"/ip dhcp-server option add name=sanbootd-" name " code=67 value=\"s'" value "'\"\n"                 \
	"/ip dhcp-server option sets add name=sanbootd-" name " options=" first ",sanbootd-" name "\n"       \
	"/ip dhcp-server matcher add name=sanbootd-" name " server=$server address-pool=$pool"               \
	" matching-type=substring " class " option-set=sanbootd-" name "\n"
#define ROUTEROS_PXE(name, arch, file)                                                                                 \
	ROUTEROS_MATCH(name, "sanbootd-server", file, "code=60 value=\"PXEClient:Arch:" arch "\"")
#define ROUTEROS_HTTP(name, arch, file) \
	ROUTEROS_MATCH(name, "sanbootd-httpclient", "@U/ipxe/" file, "code=60 value=\"HTTPClient:Arch:" arch "\"")

static const char routeros[] =
	"# RouterOS 7.16 or newer: into a terminal, with the names of your DHCP server and its pool in the next two lines, and\n"
	"# next-server=@A in your entry of /ip dhcp-server network. The matcher of iPXE has to stay the first one.\n"
	":global server \"dhcp1\"\n"
	":global pool \"dhcp_pool0\"\n"
	"/ip dhcp-server option add name=sanbootd-server code=66 value=\"s'@A'\"\n"
	"/ip dhcp-server option add name=sanbootd-httpclient code=60 value=\"s'HTTPClient'\"\n"
	ROUTEROS_MATCH("ipxe", "sanbootd-server", "@U/boot.ipxe", "code=77 value=\"iPXE\"")
	ROUTEROS_PXE("bios", "00000", "@B") ROUTEROS_PXE("efi32", "00006", "@I") ROUTEROS_PXE("efi64", "00007", "@X")
	ROUTEROS_PXE("efi64-9", "00009", "@X") ROUTEROS_PXE("arm64", "00011", "@R") ROUTEROS_HTTP("http-efi32", "00015", "@I")
	ROUTEROS_HTTP("http-efi64", "00016", "@X") ROUTEROS_HTTP("http-arm64", "00019", "@R");

// clang-format on
static const struct {
	const char *name, *text;
} templates[] = {
	{ "isc", isc },		{ "kea", kea },		{ "dnsmasq", dnsmasq },
	{ "windows", windows }, { "openwrt", openwrt }, { "routeros", routeros },
};

enum { WORD_TEXT = 128 };

struct words {
	char address[WORD_TEXT], url[WORD_TEXT + 16];
	char bios[WORD_TEXT], efi32[WORD_TEXT], efi64[WORD_TEXT], arm64[WORD_TEXT];
};

static const char *find_word(const struct words *words, char letter)
{
	switch (letter) {
	case 'A':
		return words->address;
	case 'U':
		return words->url;
	case 'B':
		return words->bios;
	case 'I':
		return words->efi32;
	case 'X':
		return words->efi64;
	case 'R':
		return words->arm64;
	default:
		return NULL;
	}
}

static void print_snippet(const char *text, const struct words *words)
{
	for (; *text; text++) {
		const char *word = *text == '@' ? find_word(words, text[1]) : NULL;

		if (word) {
			fputs(word, stdout);
			text++;
		} else {
			putchar(*text);
		}
	}
}

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* ADDR or ADDR:PORT, of characters that mean nothing in any of the templates. */
static bool set_server(struct words *words, const char *server)
{
	size_t host = strcspn(server, ":");
	const char *port = server[host] ? server + host + 1 : "8080";

	if (host == 0 || host >= WORD_TEXT || strspn(server, LETTERS_AND_DIGITS ".-") != host || server[0] == '-' ||
	    strlen(port) > 5 || strspn(port, "0123456789") != strlen(port) || atoi(port) < 1 || atoi(port) > 65535)
		return false;
	snprintf(words->address, sizeof(words->address), "%.*s", (int)host, server);
	snprintf(words->url, sizeof(words->url), "http://%s:%s", words->address, port);
	return true;
}

static void set_file(struct words *words, const char *machines, const char *file)
{
	char *to = !strcmp(machines, "BIOS")	  ? words->bios :
		   !strcmp(machines, "UEFI IA32") ? words->efi32 :
		   !strcmp(machines, "UEFI x64")  ? words->efi64 :
						    words->arm64;

	if (file[0] && strlen(file) < WORD_TEXT && strspn(file, LETTERS_AND_DIGITS "._/-") == strlen(file))
		snprintf(to, WORD_TEXT, "%s", file);
}

/* Where it listens, and which boot files it found. */
static int ask_server(const struct ctl *ctl, struct words *words)
{
	struct ctl quiet = *ctl;
	json_t *status, *file;
	const json_t *dhcp;
	const char *http;
	int code;
	size_t i;

	quiet.json = false;
	code = client_do(&quiet, "GET", "/api/v1/status", NULL, &status);
	if (code != EXIT_DONE)
		return code;
	http = get_text(status, "http");
	dhcp = json_object_get(status, "dhcp");
	json_array_foreach(json_object_get(dhcp, "boot_files"), i, file)
		set_file(words, get_text(file, "machines"), get_text(file, "file"));
	if (!json_is_true(json_object_get(dhcp, "tftp")))
		fputs("sanbootctl: sanbootd serves no TFTP, which all but iPXE and UEFI HTTP boot need\n"
		      "  it does with --dhcp off --interface NAME; or serve --ipxe-dir and /boot.ipxe by TFTP at its address\n",
		      stderr);
	if (!strncmp(http, "0.0.0.0:", 8) || !set_server(words, http))
		code = ctl_fail("say it with --server ADDR or --server ADDR:PORT",
				"sanbootd listens at %s: which address do the machines reach?", http);
	json_decref(status);
	return code;
}

int run_dhcp_snippet(const struct ctl *ctl)
{
	struct words words = {
		.bios = "undionly.kpxe", .efi32 = "ipxe-i386.efi", .efi64 = "snponly.efi", .arm64 = "ipxe-arm64.efi"
	};
	const char *server = ctl->options[OPTION_SERVER], *text = NULL;
	int code = EXIT_DONE;

	for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++)
		if (!strcmp(templates[i].name, ctl->args[0]))
			text = templates[i].text;
	if (!text) {
		ctl_fail("there are: isc, kea, dnsmasq, windows, openwrt, routeros", "no snippet for \"%s\"",
			 ctl->args[0]);
		return EXIT_USAGE;
	}
	if (!server) {
		code = ask_server(ctl, &words);
	} else if (!set_server(&words, server)) {
		ctl_fail("expected ADDR or ADDR:PORT, such as 10.0.0.1:8080", "--server %s is no address", server);
		code = EXIT_USAGE;
	}
	if (code == EXIT_DONE)
		print_snippet(text, &words);
	return code;
}
