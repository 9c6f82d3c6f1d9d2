/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one place where text becomes a number, a size, an address or an identity. All of it is strict: the whole text
 * must match, nothing is skipped, and the output is written only on success. Any thread.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { PARSE_MAC_TEXT = 18, PARSE_UUID_TEXT = 37, PARSE_ENDPOINT_TEXT = INET6_ADDRSTRLEN + 9 };

/* Decimal digits only, min <= value <= max. */
bool parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value);
/* "0x1f" or "31", as RFC 7143 §6.1 writes numerical values. */
bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);
/* Bytes: digits, then nothing or one of K M G T (powers of 1024), optionally followed by "iB" or "B". */
bool parse_size(const char *text, uint64_t *bytes);
/* "17%" -> 17, 0 to 100. */
bool parse_percent(const char *text, unsigned *percent);

/*
 * Twelve hex digits as people and switches write them: in pairs with ':', '-' or '.' between them, in fours with '.' or ':'
 * (Cisco's 5254.0012.3456), or without; written to mac as "52:54:00:12:34:56" (lower case).
 * Multicast addresses and 00:00:00:00:00:00 are refused: no NIC has them.
 */
bool parse_mac(const char *text, char mac[PARSE_MAC_TEXT]);
/* 8-4-4-4-12 hex digits, written in lower case. */
bool parse_uuid(const char *text, char uuid[PARSE_UUID_TEXT]);
/*
 * True for the UUIDs that vendors put in every board: all 0, all f, 03000200-0400-0500-0006-000700080009 and the like.
 */
bool parse_uuid_is_placeholder(const char *uuid);
/* True for serial numbers that identify nothing: empty, "To be filled by O.E.M.", "Default string", "0", "None"... */
bool parse_serial_is_placeholder(const char *serial);

/* A socket address with its length, as bind(2) wants it. */
struct endpoint {
	struct sockaddr_storage addr;
	socklen_t len;
};

/* "10.0.0.1:3260", "[::]:8080"; numeric only; port 0 allowed. */
bool parse_endpoint(const char *text, struct endpoint *endpoint);
/* The opposite. Returns out. An IPv4-mapped IPv6 address is shown as IPv4. */
const char *endpoint_format(const struct endpoint *endpoint, char out[PARSE_ENDPOINT_TEXT]);
/* Only the address, without the port. Returns out. */
const char *endpoint_format_host(const struct endpoint *endpoint, char out[PARSE_ENDPOINT_TEXT]);
uint16_t endpoint_port(const struct endpoint *endpoint);

/* Without the white space at both ends; in place. */
char *parse_trim(char *text);
/* "KEY = VALUE" cut in two, both trimmed; in place. False: there is no '='. */
bool parse_assignment(char *text, char **key, char **value);

/* Copies text for people: printable ASCII is kept, all else becomes '?', spaces at the ends go, too long is cut. */
void parse_clean_text(const char *text, char *out, size_t out_size);

#endif
