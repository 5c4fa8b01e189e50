/* SPDX-License-Identifier: BSD-3-Clause */
/* Path MTUs: what routers on the way say is believed when it quotes a packet of ours, reaches the sources inside as the
 * size that fits with the SA's overhead, and is forgotten in time (RFC 1191, RFC 8201, RFC 4301 8.2). */
#include "ipsec_rig.h"

#include <rte_ip.h>
#include <rte_udp.h>

#include "events.h"
#include "fib.h"
#include "frag.h"
#include "pmtu.h"
#include "tunnel.h"

#define FRONT 9u

static struct cv_sa out;

/* An outbound SA, and one packet sent on it: returned, as the router on the way got it. */
static struct rte_mbuf *sent(uint8_t outer_af, bool natt)
{
	rig_sa(&out, CV_SA_OUT, RIG_GCM, outer_af, 4);
	out.front_vrf = FRONT;
	out.flags = natt ? CV_SA_F_UDP_ENCAP : 0;
	rig_mtu = 1500;
	rig_protect_all();
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &out), 0);
	struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, 1000, true, 1));
	assert_non_null(m);
	return m;
}

/* The message a router would send about m if it had been `len` bytes long, quoting the first `quoted` of them. */
static struct rte_mbuf *too_big(const struct rte_mbuf *m, uint16_t len, uint16_t quoted, uint32_t mtu)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v4 = p[0] >> 4 == 4;
	uint32_t hdr = v4 ? 20 : 40;
	uint8_t b[1600] = {0};
	b[0] = v4 ? 0x45 : 0x60;
	uint8_t *icmp = b + hdr;
	icmp[0] = v4 ? 3 : 2;
	icmp[1] = v4 ? 4 : 0;
	uint32_t be = rte_cpu_to_be_32(mtu);
	memcpy(icmp + 4, &be, 4);
	memcpy(icmp + 8, p, quoted);
	uint16_t total = rte_cpu_to_be_16((uint16_t)(v4 ? len : len - 40));
	memcpy(icmp + 8 + (v4 ? 2 : 4), &total, 2);
	struct rte_mbuf *r = rig_packet(b, hdr + 8u + quoted);
	*pkt_meta(r) = (struct pkt_meta){
		.vrf = FRONT, .l4_off = (uint16_t)hdr, .l4_proto = v4 ? 1 : 58, .flags = v4 ? 0 : PKT_F_IP6};
	return r;
}

static bool believed(struct rte_mbuf *icmp)
{
	bool yes = pmtu_input(worker_main(), icmp);
	rte_pktmbuf_free(icmp);
	return yes;
}

/* The largest inner packet with DF that still goes out, found by asking. */
static uint32_t largest(void)
{
	for (uint32_t len = 1500; len > 400; len--) {
		struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, len, true, len));
		bool fits = m != NULL;
		uint16_t said = fits ? 0 : pkt_meta(rig_slow_pkt[rig_n_slow - 1])->mtu;
		rte_pktmbuf_free(m);
		if (fits)
			return len;
		assert_int_equal(rig_slow_why[rig_n_slow - 1], SLOW_ICMP_MTU);
		assert_true(said < len);
	}
	return 0;
}

static uint16_t learned(void)
{
	return pmtu_get(FRONT, &out.dst);
}

/* The clock only goes forward, so that every call is looked at. */
static void later(uint64_t ms)
{
	static uint64_t calls;
	pmtu_tick(worker_main(), dp_now_ms() + ms + 2000 * calls++);
}

/* Nothing that a test has learned is left to the next one. */
static void forget(void)
{
	later(2 * PMTU_AGE_MS);
	assert_int_equal(learned(), 0);
	rig_reset();
}

static void learned_and_told_inside(void **state)
{
	(void)state;
	struct rte_mbuf *m = sent(CV_AF_INET, false);
	assert_int_equal(largest(), 1446); /* 1500 - 20 - 8 - 8 - 16, to a multiple of 4, less the trailer */
	rig_clear();
	assert_true(believed(too_big(m, 1500, 28, 1400)));
	assert_int_equal(learned(), 1400);
	assert_int_equal(rig_n_events, 1);
	assert_int_equal(rig_event[0].h.type, CV_EVT_PATH_MTU);
	assert_int_equal(((const struct cv_evt_path_mtu *)rig_event[0].body)->mtu, 1400);
	assert_int_equal(largest(), 1346);
	assert_int_equal(pkt_meta(rig_slow_pkt[0])->mtu, 1346); /* FRAG-10: the source is told what fits */
	rig_clear();
	assert_true(believed(too_big(m, 1500, 28, 1450))); /* late: never up */
	assert_int_equal(learned(), 1400);
	assert_true(believed(too_big(m, 1400, 28, 1300)));
	assert_int_equal(learned(), 1300);
	rte_pktmbuf_free(m);
	forget();
}

/* A rekey does not forget the path, another peer or VRF has its own. */
static void belongs_to_the_peer(void **state)
{
	(void)state;
	struct rte_mbuf *m = sent(CV_AF_INET, false);
	assert_true(believed(too_big(m, 1500, 28, 1400)));
	struct cv_sa next = out;
	next.index = 6;
	next.spi = 0x99990006;
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &next), 0);
	assert_int_equal(largest(), 1346);
	assert_int_equal(pmtu_get(FRONT + 1, &out.dst), 0);
	assert_int_equal(pmtu_get(FRONT, &out.src), 0);
	rte_pktmbuf_free(m);
	forget();
}

static void forged_messages_are_refused(void **state)
{
	(void)state;
	struct rte_mbuf *m = sent(CV_AF_INET, false), *icmp;
	uint8_t *q;
	static const struct {
		unsigned at; /* in the quoted packet */
		uint8_t change;
	} row[] = {{20, 1}, {23, 1}, {24, 0x40}, {9, 1}, {12, 1}, {16, 1}}; /* SPI, sequence, protocol, addresses */
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		icmp = too_big(m, 1500, 28, 1400);
		q = rte_pktmbuf_mtod_offset(icmp, uint8_t *, 28);
		q[row[i].at] ^= row[i].change;
		assert_false(believed(icmp));
	}
	assert_false(believed(too_big(m, 1300, 28, 1400))); /* it would have fitted */
	icmp = too_big(m, 1500, 28, 1400);
	pkt_meta(icmp)->vrf = FRONT + 1;
	assert_false(believed(icmp));
	for (uint16_t quoted = 0; quoted < 28; quoted++) /* cut short anywhere */
		assert_false(believed(too_big(m, 1500, quoted, 1400)));
	assert_int_equal(learned(), 0);
	assert_int_equal(largest(), 1446);
	assert_true(worker_main()->stats->events[EVENT_PMTU_REFUSED] >= 8);
	rte_pktmbuf_free(m);
	forget();
}

static void tiny_values_are_raised(void **state)
{
	(void)state;
	struct rte_mbuf *m = sent(CV_AF_INET, false);
	assert_true(believed(too_big(m, 1500, 28, 68)));
	assert_int_equal(learned(), 552);
	rte_pktmbuf_free(m);
	forget();
	m = sent(CV_AF_INET, false); /* RFC 1191 5: an old router says nothing */
	assert_true(believed(too_big(m, 1500, 28, 0)));
	assert_int_equal(learned(), 1492);
	rte_pktmbuf_free(m);
	forget();
	m = sent(CV_AF_INET6, false);
	assert_true(believed(too_big(m, 1500, 48, 600)));
	assert_int_equal(learned(), 1280);
	rte_pktmbuf_free(m);
	forget();
}

static void udp_encapsulation(void **state)
{
	(void)state;
	struct rte_mbuf *m = sent(CV_AF_INET, true);
	assert_true(believed(too_big(m, 1500, 28, 1400))); /* no more than the ports */
	assert_true(believed(too_big(m, 1500, 36, 1390))); /* SPI and sequence number as well */
	assert_int_equal(learned(), 1390);
	struct rte_mbuf *icmp = too_big(m, 1500, 36, 1380);
	rte_pktmbuf_mtod_offset(icmp, uint8_t *, 28)[28] ^= 1;
	assert_false(believed(icmp));
	icmp = too_big(m, 1500, 28, 1380);
	rte_pktmbuf_mtod_offset(icmp, uint8_t *, 28)[22] ^= 1; /* another port */
	assert_false(believed(icmp));
	rte_pktmbuf_free(m);
	forget();
}

/* FRAG-11: of an outer IPv6 packet that this box has cut, routers quote a part; the first one shows enough. */
static void quoted_part(void **state)
{
	(void)state;
	struct rte_mbuf *m = sent(CV_AF_INET6, false), *part[FRAG_MAX];
	assert_int_equal(frag_ipv6(worker_main(), m, 600, part, FRAG_MAX), 2);
	assert_false(believed(too_big(part[1], 1500, 56, 1400)));
	assert_false(believed(too_big(part[0], 1500, 55, 1400)));
	assert_int_equal(learned(), 0);
	assert_true(believed(too_big(part[0], 1500, 56, 1400)));
	assert_int_equal(learned(), 1400);
	rte_pktmbuf_free_bulk(part, 2);
	forget();
}

/* An outer packet of a tunnel in clear, as it left: GRE with this key, or IP in IP. */
static struct rte_mbuf *left_tunnel(const char *dst, uint8_t proto, uint8_t key)
{
	uint8_t b[60] = {0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, proto};
	struct cv_addr src, to;

	rig_addr(&src, "198.51.100.1");
	rig_addr(&to, dst);
	memcpy(b + 12, src.b, 4);
	memcpy(b + 16, to.b, 4);
	memcpy(b + 20, (const uint8_t[]){0x20, 0, 0x08, 0, 0, 0, 0, key}, 8);
	return rig_packet(b, sizeof(b));
}

static bool said_about(const char *dst, uint8_t proto, uint8_t key, uint32_t mtu)
{
	struct rte_mbuf *m = left_tunnel(dst, proto, key);
	bool yes = believed(too_big(m, 1500, 28, mtu));

	rte_pktmbuf_free(m);
	return yes;
}

/* Of GRE and IP-in-IP tunnels in clear: what quotes their ends, protocol and key is believed, nothing else. A protected
 * one sends no such packets. */
static void tunnels_in_clear(void **state)
{
	static struct dp_if tunnel;
	struct cv_addr dst;

	(void)state;
	tunnel = (struct dp_if){.id = 9,
		.type = CV_IF_TUNNEL,
		.up = true,
		.mtu = 1500,
		.tunnel = {.mode = CV_TUNNEL_GRE, .flags = CV_TUNNEL_F_KEY, .key = 7, .front_vrf = FRONT}};
	rig_addr(&tunnel.tunnel.src, "198.51.100.1");
	rig_addr(&tunnel.tunnel.dst, "198.51.100.2");
	rig_addr(&dst, "198.51.100.2");
	rig_mtu = 1500;
	rig_interface(&tunnel);
	assert_int_equal(tunnel_mtu(FIB_TUNNEL_WORD(9, 0), &dst), 1500 - 28);
	assert_false(said_about("198.51.100.2", 47, 8, 1400));
	assert_false(said_about("198.51.100.3", 47, 7, 1400));
	assert_false(said_about("198.51.100.2", 4, 7, 1400));
	tunnel.tunnel.flags |= CV_TUNNEL_F_PROTECTED;
	assert_false(said_about("198.51.100.2", 47, 7, 1400));
	tunnel.tunnel.flags = CV_TUNNEL_F_KEY;
	assert_int_equal(pmtu_get(FRONT, &dst), 0);
	assert_true(said_about("198.51.100.2", 47, 7, 1400));
	assert_int_equal(pmtu_get(FRONT, &dst), 1400);
	assert_int_equal(tunnel_mtu(FIB_TUNNEL_WORD(9, 0), &dst), 1400 - 28);
	tunnel.tunnel = (struct cv_tunnel){.mode = CV_TUNNEL_IPIP,
		.inner_af = CV_AF_INET,
		.front_vrf = FRONT,
		.src = tunnel.tunnel.src,
		.dst = tunnel.tunnel.dst};
	assert_false(said_about("198.51.100.2", 41, 0, 1300));
	assert_true(said_about("198.51.100.2", 4, 0, 1300));
	assert_int_equal(tunnel_mtu(FIB_TUNNEL_WORD(9, 0), &dst), 1300 - 20);
	tunnel.type = CV_IF_LOOPBACK; /* not there for the tests that follow */
	forget();
}

static void ages(void **state)
{
	(void)state;
	struct rte_mbuf *m = sent(CV_AF_INET, false);
	assert_true(believed(too_big(m, 1500, 28, 1400)));
	rig_clear();
	later(PMTU_AGE_MS - 1000);
	assert_int_equal(learned(), 1400);
	later(PMTU_AGE_MS + 1000);
	assert_int_equal(learned(), 0);
	assert_int_equal(rig_n_events, 1);
	assert_int_equal(((const struct cv_evt_path_mtu *)rig_event[0].body)->mtu, 0);
	assert_int_equal(largest(), 1446);
	rte_pktmbuf_free(m);
	rig_reset();
}

int main(void)
{
	if (rig_init(0))
		return 1;
	const struct CMUnitTest tests[] = {
		rig_test(ages), /* first: its times are exact */
		rig_test(learned_and_told_inside),
		rig_test(belongs_to_the_peer),
		rig_test(forged_messages_are_refused),
		rig_test(tiny_values_are_raised),
		rig_test(udp_encapsulation),
		rig_test(quoted_part),
		rig_test(tunnels_in_clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
