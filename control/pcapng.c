/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcapng.h"

#include <string.h>

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_PACKET = 6 };
enum { OPT_END = 0, OPT_COMMENT = 1, OPT_IF_NAME = 2, OPT_EPB_FLAGS = 2, OPT_APPLICATION = 4 };
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINKTYPE_RAW 101 /* begins with an IPv4 or IPv6 header */

struct block {
	uint8_t *p;
	size_t len;
};

static void put(struct block *b, const void *data, size_t len)
{
	memcpy(b->p + b->len, data, len);
	b->len += len;
}

static void put16(struct block *b, uint16_t v)
{
	put(b, &v, sizeof(v));
}

static void put32(struct block *b, uint32_t v)
{
	put(b, &v, sizeof(v));
}

static void pad(struct block *b)
{
	static const uint8_t zero[4];

	put(b, zero, -b->len & 3);
}

static void option(struct block *b, uint16_t code, const void *data, size_t len)
{
	put16(b, code);
	put16(b, (uint16_t)len);
	put(b, data, len);
	pad(b);
}

static void begin(struct block *b, uint32_t type)
{
	put32(b, type);
	put32(b, 0); /* the length, at the end */
}

static void end(struct block *b)
{
	uint32_t total;

	put16(b, OPT_END);
	put16(b, 0);
	total = (uint32_t)b->len + 4;
	put32(b, total);
	memcpy(b->p + 4, &total, sizeof(total));
}

static size_t text_len(const char *text)
{
	size_t len = strlen(text);

	return len > PCAPNG_COMMENT_MAX ? PCAPNG_COMMENT_MAX : len;
}

size_t pcapng_header(uint8_t out[static PCAPNG_HEADER_MAX], const char *application, const char *interface)
{
	struct block s = {.p = out}, i;

	begin(&s, BLOCK_SECTION);
	put32(&s, BYTE_ORDER_MAGIC);
	put16(&s, 1); /* version 1.0 */
	put16(&s, 0);
	put(&s, &(int64_t){-1}, 8); /* length of the section: not known */
	option(&s, OPT_APPLICATION, application, text_len(application));
	end(&s);
	i = (struct block){.p = out + s.len};
	begin(&i, BLOCK_INTERFACE);
	put16(&i, LINKTYPE_RAW);
	put16(&i, 0);
	put32(&i, 0); /* packets are whole */
	option(&i, OPT_IF_NAME, interface, text_len(interface));
	end(&i);
	return s.len + i.len;
}

size_t pcapng_packet(
	uint8_t *out, uint64_t microseconds, bool outbound, const void *data, uint32_t len, const char *comment)
{
	struct block b = {.p = out};
	uint32_t flags = outbound ? 2 : 1;

	begin(&b, BLOCK_PACKET);
	put32(&b, 0); /* the interface */
	put32(&b, (uint32_t)(microseconds >> 32));
	put32(&b, (uint32_t)microseconds);
	put32(&b, len);
	put32(&b, len);
	put(&b, data, len);
	pad(&b);
	if (comment)
		option(&b, OPT_COMMENT, comment, text_len(comment));
	option(&b, OPT_EPB_FLAGS, &flags, sizeof(flags));
	end(&b);
	return b.len;
}
