/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nothing leaks between VRFs (VRF-1, VRF-2, VRF-9). Random routes, policies and SAs over many VRFs that all use the
 * same addresses; random packets through the whole pipeline, plain and through tunnels; a model that looks for every
 * packet through plain lists says where it must come out, and nothing may come out anywhere else.
 *
 * Built twice: with all customers on VLANs of one port, which the pipeline serves, and (UNTAGGED) with a port each,
 * fewer of them, which the fast path serves, too (fast.h).
 */
#include "vrf_model.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_ip.h>

#include "cv_addr.h"
#include "pipeline.h"
#include "port.h"
#include "stages.h"

#define ROUNDS 150u
#define BURSTS 60u
#define BURST 32u

static unsigned seed;

#define FLOWS 32u
static struct packet known[FLOWS]; /* flows that packets were of */

/* ---- packets ---- */

struct tag {
	uint32_t vrf, serial;
};

/* Half of them near the middle of a rule that has an SA, so that tunnels are busy. */
static void new_packet(struct packet *p)
{
	uint8_t af = some_af();
	const struct rule *r = &model.rule[below(RULES)];

	*p = (struct packet){.vrf = below(4) ? 1 + below(CUSTOMERS) : VRF_FRONT(below(FRONTS)),
		.src = some_addr(af),
		.dst = some_addr(af),
		.sport = (uint16_t)below(3),
		.dport = (uint16_t)below(3)};
	if (!r->has_sa || below(8) == 0)
		return;
	p->src = r->c.sel.src.lo;
	p->dst = r->c.sel.dst.hi;
	p->src.b[p->src.af == CV_AF_INET ? 3 : 15] ^= (uint8_t)(below(4) == 0);
	p->src.b[0] = p->dst.b[0] = 20; /* a rule may be about everything */
	if (below(4))
		p->vrf = r->c.vrf_id;
}

/* Most are of a flow seen before, or of the same in another VRF: caches that know them must tell those apart. */
static void some_packet(struct packet *p)
{
	static uint32_t serial;
	struct packet *flow = &known[below(FLOWS)];

	if (!flow->src.af || below(4) == 0)
		new_packet(flow);
	else if (below(4) == 0)
		flow->vrf = below(4) ? 1 + below(CUSTOMERS) : VRF_FRONT(below(FRONTS));
	*p = *flow;
	p->serial = serial++;
}

static unsigned vlan_in(const uint8_t *frame)
{
	return TAGGED ? (unsigned)(frame[14] << 8 | frame[15]) & 0xfff : 0;
}

static unsigned header_len(const uint8_t *ip)
{
	return *ip >> 4 == 4 ? 20 : 40;
}

static struct tag *tag_of(uint8_t *ip)
{
	return (struct tag *)(void *)(ip + header_len(ip) + 8);
}

static struct rte_mbuf *frame(const struct packet *p)
{
	char src[CV_ADDR_STR], dst[CV_ADDR_STR];
	struct rte_mbuf *m = env_udp(cv_addr_str(&p->src, src), cv_addr_str(&p->dst, dst), p->sport, p->dport,
		sizeof(struct tag) + below(100));
	const struct tag t = {p->vrf, p->serial};

	memcpy(tag_of(rte_pktmbuf_mtod(m, uint8_t *)), &t, sizeof(t));
	return m;
}

/* Put a link-layer header in front: to the n-th customer or front of a kind. */
static void put_header(struct rte_mbuf *m, unsigned port, unsigned n)
{
	bool ip6 = *rte_pktmbuf_mtod(m, uint8_t *) >> 4 == 6;
	uint8_t *l2 = (uint8_t *)rte_pktmbuf_prepend(m, L2_LEN);

	memcpy(l2, (uint8_t[]){2, 0, 0, 0, 1, (uint8_t)port, 2, 0, 0, 0, 2, 99}, 12);
	if (TAGGED)
		memcpy(l2 + 12, (uint8_t[]){0x81, 0x00, (uint8_t)(vlan_of(n) >> 8), (uint8_t)vlan_of(n)}, 4);
	memcpy(l2 + L2_LEN - 2, ip6 ? (uint8_t[]){0x86, 0xdd} : (uint8_t[]){0x08, 0x00}, 2);
}

/* Receive packets, each by its customer or front (which[i]): those of one port in one burst. */
static void receive(unsigned base, struct rte_mbuf **m, const unsigned *which, unsigned n)
{
	for (unsigned port = base; port < PORTS; port++) {
		struct rte_mbuf *burst[BURST];
		unsigned k = 0;

		for (unsigned i = 0; i < n; i++)
			if (port_of(base, which[i]) == port) {
				put_header(m[i], port, which[i]);
				burst[k++] = m[i];
			}
		if (k)
			ether_input(env_worker(), port, burst, k);
	}
}

struct burst {
	unsigned n;
	struct packet p[BURST];
	struct expected e[BURST];
};

#define leak(fmt, ...) fail_msg("seed %u: " fmt, seed, ##__VA_ARGS__)

/* A frame in the clear: exactly where the model wants it, and once. */
static void check_clear_frame(struct burst *b, unsigned port, struct rte_mbuf *m)
{
	uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
	unsigned vlan = vlan_in(f), mac = f[5];
	struct tag t;

	memcpy(&t, tag_of(f + L2_LEN), sizeof(t));
	for (unsigned i = 0; i < b->n; i++) {
		struct expected *e = &b->e[i];

		if (b->p[i].serial != t.serial)
			continue;
		if (e->what != SENT || e->seen || e->port != port || e->vlan != vlan || e->mac != mac ||
			b->p[i].vrf != t.vrf)
			leak("packet %u of VRF %u came out of port %u VLAN %u to :%u; wanted %d: port %u VLAN %u to "
			     ":%u",
				t.serial, t.vrf, port, vlan, mac, (int)e->what, e->port, e->vlan, e->mac);
		e->seen = true;
		rte_pktmbuf_free(m);
		return;
	}
	leak("a packet that was not sent came out of port %u", port);
}

/* A frame of a tunnel: one of those that the model wants there; which one shows at the far end. */
static unsigned check_tunnel_frame(struct burst *b, unsigned port, const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *), *ip = f + L2_LEN;
	unsigned vlan = vlan_in(f), mac = f[5];
	uint32_t spi;

	memcpy(&spi, ip + header_len(ip), 4);
	spi = rte_be_to_cpu_32(spi);
	for (unsigned i = 0; i < b->n; i++) {
		struct expected *e = &b->e[i];

		if (e->what != TUNNELLED || e->carried || e->rule->spi != spi)
			continue;
		if (e->port != port || e->vlan != vlan || e->mac != mac)
			leak("SPI %08x left by port %u VLAN %u to :%u, wanted port %u VLAN %u to :%u", spi, port, vlan,
				mac, e->port, e->vlan, e->mac);
		e->carried = true;
		return i;
	}
	leak("a tunnel packet that was not wanted, SPI %08x", spi);
	return 0;
}

static unsigned count(const struct burst *b, int what)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->n; i++)
		n += (int)b->e[i].what == what;
	return n;
}

static unsigned slow_count(enum slow_reason why)
{
	unsigned n = 0;

	for (unsigned i = 0; i < env_n_slow; i++)
		n += env_slow[i].why == why;
	return n;
}

/* Nothing of the burst is missing, and main was told no more than it should be. */
static void check_end(const struct burst *b, unsigned invalid_spi)
{
	for (unsigned i = 0; i < b->n; i++)
		if (b->e[i].what == SENT && !b->e[i].seen)
			leak("packet %u of VRF %u is missing at port %u VLAN %u", b->p[i].serial, b->p[i].vrf,
				b->e[i].port, b->e[i].vlan);
	assert_int_equal(slow_count(SLOW_ICMP_UNREACH), count(b, NO_ROUTE));
	assert_int_equal(slow_count(SLOW_ACQUIRE), count(b, ACQUIRE));
	assert_int_equal(slow_count(SLOW_INVALID_SPI), invalid_spi);
	assert_int_equal(env_n_slow, count(b, NO_ROUTE) + count(b, ACQUIRE) + invalid_spi);
	env_drain();
}

static void collect_clear(struct burst *b)
{
	for (unsigned port = 0; port < PORTS; port++)
		for (struct rte_mbuf *m; (m = env_sent(port));)
			check_clear_frame(b, port, m);
}

static struct {
	unsigned sent, tunnelled, delivered, lost, strayed;
} total;

/* Tunnel packets reach the far end: some by a front VRF that is not theirs, where their SPI means nothing (VRF-15). */
static void far_end(const struct burst *near, struct rte_mbuf **m, const unsigned *which, unsigned n)
{
	unsigned by[BURST], strays = 0;
	struct burst far = {.n = n};

	for (unsigned i = 0; i < n; i++) {
		const struct rule *rule = near->e[which[i]].rule;
		unsigned front = below(10) ? rule->front : below(FRONTS);

		for (unsigned k = 0; k < i; k++) /* an SA keeps the order of each flow, not that of several */
			if (near->e[which[k]].rule == rule)
				front = by[k];

		far.p[i] = near->p[which[i]];
		far.e[i] = model_far(rule, &far.p[i]);
		if (front != rule->front) {
			far.e[i].what = LOST;
			strays++;
		}
		by[i] = front;
		rte_pktmbuf_adj(m[i], (uint16_t)L2_LEN);
	}
	receive(PORT_FAR_FRONT, m, by, n);
	collect_clear(&far);
	total.tunnelled += n;
	total.delivered += count(&far, SENT);
	total.strayed += strays;
	check_end(&far, strays);
}

static void one_burst(void)
{
	struct rte_mbuf *in[2][BURST], *tunnel[BURST];
	unsigned by[2][BURST], n_in[2] = {0, 0}, which[BURST], n_tunnel = 0;
	struct burst b = {.n = 1 + below(BURST)};

	for (unsigned i = 0; i < b.n; i++) {
		struct packet *p = &b.p[i];

		some_packet(p);
		bool front = p->vrf == CV_VRF_GLOBAL || p->vrf > CUSTOMERS;
		unsigned f = p->vrf ? p->vrf - CUSTOMERS : 0;

		b.e[i] = front ? model_from_front(f, p) : model_forward(p);
		by[front][n_in[front]] = front ? f : p->vrf;
		in[front][n_in[front]++] = frame(p);
	}
	receive(PORT_LAN, in[0], by[0], n_in[0]);
	receive(PORT_FRONT, in[1], by[1], n_in[1]);
	for (unsigned port = PORT_FRONT; port <= port_of(PORT_FRONT, FRONTS - 1); port++)
		for (struct rte_mbuf *m; (m = env_sent(port));) {
			const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *) + L2_LEN;

			if (ip[*ip >> 4 == 4 ? 9 : 6] == IPPROTO_ESP) {
				which[n_tunnel] = check_tunnel_frame(&b, port, m);
				tunnel[n_tunnel++] = m;
			} else {
				check_clear_frame(&b, port, m);
			}
		}
	collect_clear(&b);
	assert_int_equal(n_tunnel, count(&b, TUNNELLED));
	total.sent += count(&b, SENT);
	total.lost += count(&b, LOST);
	check_end(&b, 0);
	far_end(&b, tunnel, which, n_tunnel);
}

/* VRF-1, VRF-2, VRF-3, VRF-7, VRF-9, VRF-11, VRF-12, VRF-13, VRF-14, VRF-15, VRF-50: what the head of this file says.
 */
static void test_no_leak(void **state)
{
	(void)state;
	env_worker()->profile = 1;
	for (unsigned round = 0; round < ROUNDS; round++) {
		configure();
		memset(known, 0, sizeof(known));
		for (unsigned i = 0; i < BURSTS; i++) {
			one_burst();
			if (i % 10 == 9)
				change();
		}
	}
	const uint64_t fast = env_worker()->stats->profile.stage[STAGE_FAST].packets;

	print_message(
		"%u in clear, %u through tunnels of which %u delivered, %u refused, %u strayed; %lu by the fast path\n",
		total.sent, total.tunnelled, total.delivered, total.lost, total.strayed, fast);
	/* Random input that never gets anywhere proves nothing. */
	assert_true(total.sent > 5000 && total.tunnelled > 5000 && total.delivered > 1000 && total.lost > 1000 &&
		    total.strayed > 200);
	assert_true(TAGGED || fast > 5000);
	assert_int_equal(env_mbufs(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_leak),
	};
	const char *s = getenv("CULVERT_TEST_SEED");

	seed = s ? (unsigned)strtoul(s, NULL, 10) : (unsigned)time(NULL);
	printf("seed %u (CULVERT_TEST_SEED repeats it)\n", seed);
	srandom(seed);
	env_init();
	env_ports(PORTS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
