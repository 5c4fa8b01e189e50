/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipcomp.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

/*
 * 2 KiB of history and small tables, which stay in the cache and are quickly cleared for the next packet; what Linux
 * has in its own window. Any window may come in.
 */
#define PACK_WINDOW_BITS (-11)
#define PACK_MEM_LEVEL 5
#define UNPACK_WINDOW_BITS (-15)

#define GIVE_UP_AFTER 8u /* packets of an SA in a row that did not shrink */
#define REST 64u	 /* packets that then go as they are */
#define REMEMBERED 256u	 /* SAs by the low bits of half their index; two that share a place only cost some ratio */

struct ipcomp {
	z_stream pack, unpack;
	struct {
		uint8_t failed, rest;
	} history[REMEMBERED];
	uint8_t buf[IPCOMP_OUT_MAX];
};

/* The window is allocated when a stream first stops in its middle: let that be now. */
static bool prime(z_stream *s)
{
	uint8_t in[] = {0x00, 0x05, 0x00, 0xfa, 0xff, 'a'}, out[8]; /* five bytes announced, one there */
	s->next_in = in;
	s->avail_in = sizeof(in);
	s->next_out = out;
	s->avail_out = sizeof(out);
	return inflate(s, Z_SYNC_FLUSH) == Z_OK && inflateReset(s) == Z_OK;
}

struct ipcomp *ipcomp_new(void)
{
	struct ipcomp *z = calloc(1, sizeof(*z));
	if (!z)
		return NULL;
	if (deflateInit2(&z->pack, Z_BEST_SPEED, Z_DEFLATED, PACK_WINDOW_BITS, PACK_MEM_LEVEL, Z_DEFAULT_STRATEGY) !=
		Z_OK) {
		free(z);
		return NULL;
	}
	if (inflateInit2(&z->unpack, UNPACK_WINDOW_BITS) != Z_OK || !prime(&z->unpack)) {
		ipcomp_free(z);
		return NULL;
	}
	return z;
}

void ipcomp_free(struct ipcomp *z)
{
	if (!z)
		return;
	deflateEnd(&z->pack);
	inflateEnd(&z->unpack);
	free(z);
}

/* Into z->buf; the length, 0 when it would be more than max. */
static uint32_t squeeze(struct ipcomp *z, uint8_t *data, uint32_t len, uint32_t max)
{
	z_stream *s = &z->pack;
	if (deflateReset(s) != Z_OK)
		return 0;
	s->next_in = data;
	s->avail_in = len;
	s->next_out = z->buf;
	s->avail_out = max;
	return deflate(s, Z_FINISH) == Z_STREAM_END ? max - s->avail_out : 0;
}

uint32_t ipcomp_pack(
	struct ipcomp *z, uint32_t sa, uint8_t *data, uint32_t len, uint8_t next, uint16_t cpi, bool *tried)
{
	uint8_t *failed = &z->history[sa / 2 % REMEMBERED].failed, *rest = &z->history[sa / 2 % REMEMBERED].rest;
	*tried = false;
	if (len < IPCOMP_THRESHOLD || len > sizeof(z->buf))
		return 0;
	if (*rest) {
		--*rest;
		return 0;
	}
	*tried = true;
	uint32_t packed = squeeze(z, data, len, len - IPCOMP_HDR_LEN - 1u);
	if (!packed) {
		if (++*failed >= GIVE_UP_AFTER) { /* one more failure after the rest is enough for the next */
			*failed = GIVE_UP_AFTER - 1u;
			*rest = REST;
		}
		return 0;
	}
	*failed = 0;
	const uint8_t head[IPCOMP_HDR_LEN] = {next, 0, (uint8_t)(cpi >> 8), (uint8_t)cpi};
	memcpy(data, head, sizeof(head));
	memcpy(data + IPCOMP_HDR_LEN, z->buf, packed);
	return IPCOMP_HDR_LEN + packed;
}

uint32_t ipcomp_unpack(struct ipcomp *z, uint8_t *data, uint32_t len, uint32_t room, uint16_t cpi, uint8_t *next)
{
	z_stream *s = &z->unpack;
	if (len <= IPCOMP_HDR_LEN || len - IPCOMP_HDR_LEN > sizeof(z->buf))
		return 0;
	const uint32_t in = len - IPCOMP_HDR_LEN, max = room < IPCOMP_OUT_MAX ? room : IPCOMP_OUT_MAX;
	const uint16_t got = (uint16_t)(data[2] << 8 | data[3]);
	*next = data[0];
	if ((got != cpi && got != CV_CPI_DEFLATE) || *next == IPPROTO_COMP || inflateReset(s) != Z_OK)
		return 0;
	memcpy(z->buf, data + IPCOMP_HDR_LEN, in);
	s->next_in = z->buf;
	s->avail_in = in;
	s->next_out = data;
	s->avail_out = max;
	return inflate(s, Z_FINISH) == Z_STREAM_END ? max - s->avail_out : 0;
}
