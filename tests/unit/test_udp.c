/* SPDX-License-Identifier: BSD-3-Clause */
/* IKE's packets: built ones can be taken apart again, checksums against RFC 1071 arithmetic, bad ones are refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cv_addr.h"
#include "udp.h"

static struct cv_pkt pkt;

static void path_make(struct ike_path *p, const char *local, const char *remote, uint16_t port)
{
	memset(p, 0, sizeof(*p));
	assert_int_equal(cv_addr_parse(local, &p->local), 0);
	assert_int_equal(cv_addr_parse(remote, &p->remote), 0);
	p->vrf = 7;
	p->lport = p->rport = port;
}

/* As the other side sees it. */
static void assert_seen(const struct ike_path *p, bool natt, const char *data)
{
	struct udp_in in;

	assert_int_equal(udp_parse(&pkt, &in), 0);
	assert_true(cv_addr_eq(&in.path.local, &p->remote));
	assert_true(cv_addr_eq(&in.path.remote, &p->local));
	assert_int_equal(in.path.lport, p->rport);
	assert_int_equal(in.path.rport, p->lport);
	assert_int_equal(in.path.vrf, 7);
	assert_int_equal(in.natt, natt);
	assert_int_equal(in.len, strlen(data));
	assert_memory_equal(in.data, data, in.len);
}

static void round_trips(void **state)
{
	static const char *const addr[][2] = {{"192.0.2.1", "198.51.100.9"}, {"2001:db8::1", "2001:db8:ffff::9"}};
	static const char *const text[] = {"", "x", "an odd number", "an even number"};
	struct ike_path p;

	(void)state;
	for (int a = 0; a < 2; a++)
		for (int t = 0; t < 4; t++)
			for (int natt = 0; natt < 2; natt++) {
				path_make(&p, addr[a][0], addr[a][1], natt ? 4500 : 500);
				assert_int_equal(udp_build(&pkt, &p, natt, text[t], strlen(text[t]), 1), 0);
				assert_int_equal(pkt.flags, CV_INJECT_BYPASS);
				assert_seen(&p, natt, text[t]);
			}
}

/* A datagram made by hand: 192.0.2.1:500 -> 192.0.2.2:500, payload 01 02 03. */
static void known_bytes(void **state)
{
	static const uint8_t expected[] = {0x45, 0, 0, 31, 0x12, 0x34, 0, 0, 64, 17, 0xe4, 0x96, 192, 0, 2, 1, 192, 0,
		2, 2, 0x01, 0xf4, 0x01, 0xf4, 0, 11, 0x73, 0xea, 1, 2, 3};
	static const uint8_t data[] = {1, 2, 3};
	struct ike_path p;

	(void)state;
	path_make(&p, "192.0.2.1", "192.0.2.2", 500);
	assert_int_equal(udp_build(&pkt, &p, false, data, sizeof(data), 0x1234), 0);
	assert_int_equal(pkt.len, sizeof(expected));
	assert_memory_equal(pkt.data, expected, sizeof(expected));
}

static void damaged_packets_are_refused(void **state)
{
	static const char *const addr[][2] = {{"192.0.2.1", "198.51.100.9"}, {"2001:db8::1", "2001:db8:ffff::9"}};
	struct ike_path p;
	struct udp_in in;

	(void)state;
	for (int a = 0; a < 2; a++) {
		path_make(&p, addr[a][0], addr[a][1], 500);
		assert_int_equal(udp_build(&pkt, &p, false, "hello", 5, 1), 0);
		pkt.data[pkt.len - 1] ^= 1;
		assert_int_equal(udp_parse(&pkt, &in), -EBADMSG);
		pkt.data[pkt.len - 1] ^= 1;
		for (uint16_t len = pkt.len; len-- > 0;) { /* cut short anywhere */
			struct cv_pkt cut = pkt;

			cut.len = len;
			assert_int_not_equal(udp_parse(&cut, &in), 0);
		}
	}
	memset(&pkt, 0xff, sizeof(pkt));
	pkt.len = CV_PKT_MAX;
	assert_int_equal(udp_parse(&pkt, &in), -EBADMSG);
	pkt.len = UINT16_MAX;
	assert_int_equal(udp_parse(&pkt, &in), -EBADMSG);
}

static void port_4500(void **state)
{
	struct ike_path p;
	struct udp_in in;

	(void)state;
	path_make(&p, "192.0.2.1", "192.0.2.2", 4500);
	assert_int_equal(udp_build(&pkt, &p, false, "\xff", 1, 1), 0); /* NAT keepalive */
	assert_int_equal(udp_parse(&pkt, &in), 1);
	assert_int_equal(udp_build(&pkt, &p, false, "\1\2\3\4ESP", 7, 1), 0); /* no marker */
	assert_int_equal(udp_parse(&pkt, &in), -EPROTO);
}

static void too_long(void **state)
{
	static uint8_t data[CV_PKT_MAX];
	struct ike_path p;

	(void)state;
	path_make(&p, "192.0.2.1", "192.0.2.2", 500);
	assert_int_equal(udp_build(&pkt, &p, false, data, CV_PKT_MAX - 28, 1), 0);
	assert_int_equal(udp_build(&pkt, &p, false, data, CV_PKT_MAX - 27, 1), -EMSGSIZE);
	assert_int_equal(udp_build(&pkt, &p, false, data, SIZE_MAX, 1), -EMSGSIZE);
	p.local.af = CV_AF_INET6;
	assert_int_equal(udp_build(&pkt, &p, false, data, 1, 1), -EAFNOSUPPORT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(known_bytes),
		cmocka_unit_test(damaged_packets_are_refused),
		cmocka_unit_test(port_4500),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
