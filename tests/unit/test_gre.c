/* SPDX-License-Identifier: BSD-3-Clause */
/* The GRE header: what is written can be read, as RFC 2784 and RFC 2890 draw it; what is malformed is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gre.h"

#define PAYLOAD 61u /* an odd number: the checksum pads */

static void round_trips(void **state)
{
	uint8_t b[GRE_HEAD_MAX + PAYLOAD];
	struct gre_header h;

	(void)state;
	for (unsigned flags = 0; flags < 16; flags++) {
		const struct cv_tunnel t = {.flags = (uint8_t)flags, .key = 0x01020304};
		const uint32_t len = gre_length(t.flags);

		memset(b, 0x5a, sizeof(b));
		gre_write(b, &t, flags & 1 ? CV_AF_INET6 : CV_AF_INET, 0xfffffffe, PAYLOAD);
		assert_true(gre_read(b, len + PAYLOAD, &h));
		assert_int_equal(h.len, len);
		assert_int_equal(h.inner_af, flags & 1 ? CV_AF_INET6 : CV_AF_INET);
		assert_int_equal(h.has_key, (flags & CV_TUNNEL_F_KEY) != 0);
		assert_int_equal(h.has_seq, (flags & CV_TUNNEL_F_SEQUENCE) != 0);
		if (h.has_key)
			assert_int_equal(h.key, t.key);
		if (h.has_seq)
			assert_int_equal(h.seq, 0xfffffffe);
		for (uint32_t n = 0; n < len; n++)
			assert_false(gre_read(b, n, &h));
		b[len + 7] ^= 1; /* only a checksum sees that */
		assert_int_equal(gre_read(b, len + PAYLOAD, &h), !(flags & CV_TUNNEL_F_CHECKSUM));
	}
}

/* Field by field: C, K and S, checksum, key, number in this order. */
static void is_as_drawn(void **state)
{
	static const uint8_t want[] = {
		0xb0, 0x00, 0x08, 0x00, 0x45, 0xf5, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x03};
	const struct cv_tunnel t = {.flags = CV_TUNNEL_F_CHECKSUM | CV_TUNNEL_F_KEY | CV_TUNNEL_F_SEQUENCE, .key = 7};
	uint8_t b[sizeof(want) + 2] = {[sizeof(want)] = 0x02, 0x00};

	(void)state;
	gre_write(b, &t, CV_AF_INET, 3, 2);
	assert_memory_equal(b, want, sizeof(want));
}

/* Type 0 with nothing behind the header: what comes back of a keepalive. */
static void knows_keepalives(void **state)
{
	static const uint8_t want[] = {0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07};
	const struct cv_tunnel t = {.flags = CV_TUNNEL_F_KEY, .key = 7};
	struct gre_header h;
	uint8_t b[sizeof(want)];

	(void)state;
	gre_write(b, &t, CV_AF_NONE, 0, 0);
	assert_memory_equal(b, want, sizeof(want));
	assert_true(gre_read(b, sizeof(b), &h));
	assert_int_equal(h.inner_af, CV_AF_NONE);
}

static void refuses(void **state)
{
	static const uint8_t bad[][4] = {
		{0x40, 0, 0x08, 0x00}, /* routing (RFC 1701) */
		{0x08, 0, 0x08, 0x00}, /* strict source route */
		{0x00, 1, 0x08, 0x00}, /* version 1: PPTP */
		{0x00, 0, 0x88, 0x0b}, /* PPP inside */
	};
	struct gre_header h;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(gre_read(bad[i], sizeof(bad[i]), &h));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(is_as_drawn),
		cmocka_unit_test(knows_keepalives),
		cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
