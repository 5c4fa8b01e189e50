/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "acl.h"
#include "conn.h"
#include "cv_addr.h"
#include "fib.h"
#include "iface.h"
#include "ipsec.h"
#include "nat.h"
#include "neigh.h"
#include "port.h"
#include "qos.h"
#include "sa.h"
#include "tunnel_hop.h"
#include "vrf.h"

#define CHANGE_RULE 300000u /* of unrelated_change() */
#define CHANGE_SA (CV_SA_MAX - 2u)

const char *const traffic_name[N_TRAFFIC] = {"64", "imix", "1420"};
const char *const suite_name[N_SUITES] = {"aes-gcm", "aes-cbc-sha256", "chacha20"};

struct frame frame[FRAMES_MAX];
uint32_t n_frames = FRAMES_USUAL;
struct worker *the_worker;
static unsigned change_turn; /* of unrelated_change(); 0: nothing of it is there */
static struct feature have;  /* of network() */

/* Inner IP packet lengths: a 64-byte frame carries 50; IMIX frames 64, 570, 1518 as 7:4:1; 1420 is a packet size. */
static const uint16_t imix[12] = {50, 556, 50, 50, 556, 50, 1504, 50, 556, 50, 556, 50};

void die(const char *what)
{
	fprintf(stderr, "bench_pipeline: %s\n", what);
	exit(1);
}

uint16_t packet_len(enum traffic t, uint32_t i)
{
	return t == T64 ? 50 : t == T1420 ? 1420 : imix[i % 12];
}

/* ---- configuration: the real modules ---- */

static const struct dp_module *const mods[] = {&vrf_module, &acl_module, &iface_module, &tunnel_hop_module, &fib_module,
	&spd_module, &sa_module, &qos_module, &conn_module, &nat_module};
#define N_MODS (sizeof(mods) / sizeof(mods[0]))

static void stage(const struct dp_module *m, uint16_t type, const void *body)
{
	char text[128] = "";
	if (m->stage(type, body, text))
		die(text);
}

static void commit(void)
{
	char text[128] = "";
	for (size_t i = 0; i < N_MODS; i++)
		if (mods[i]->prepare && mods[i]->prepare(text))
			die(text);
	for (size_t i = 0; i < N_MODS; i++)
		mods[i]->publish();
	iface_refresh(); /* line protocol of the tunnel */
	dp_defer_run();
}

static void addr(struct cv_addr *a, const char *s)
{
	if (cv_addr_parse(s, a))
		die(s);
}

/* An access list of this number: the last of its lines permits all, the others deny hosts that send nothing. */
static void list(uint32_t id, uint32_t lines)
{
	if (lines)
		stage(&acl_module, CV_CMD_ACL_SET, &(struct cv_acl){id, id * RULES_MAX});
	for (uint32_t k = 0; k < lines; k++) {
		struct cv_acl_line l = {.ref = {id, id * RULES_MAX + k + 1}, .seq = k + 1, .permit = k + 1 == lines};
		cv_selector_any(&l.sel, CV_AF_INET);
		if (!l.permit) {
			addr(&l.sel.src.lo, "10.200.0.0");
			l.sel.src.lo.b[2] = (uint8_t)(k >> 8);
			l.sel.src.lo.b[3] = (uint8_t)k;
			l.sel.src.hi = l.sel.src.lo;
		}
		stage(&acl_module, CV_CMD_ACL_LINE_SET, &l);
	}
}

static void interface(uint32_t id, const char *ip, const char *ip6)
{
	const uint32_t lines = id == LAN ? have.lines : 0;
	struct cv_if c = {.if_id = id, .type = CV_IF_ETHERNET, .port_id = id, .mtu = 1600, .admin_up = 1};
	struct cv_if_addr a = {.if_id = id};
	snprintf(c.name, sizeof(c.name), "if%u", id);
	list(id, lines);
	c.acl_in[0] = (uint16_t)(lines ? id : 0);
	c.inspect = have.inspect && id == LAN ? CV_INSPECT_IN : 0;
	c.nat = !have.nat ? 0 : id == LAN ? CV_NAT_INSIDE : CV_NAT_OUTSIDE;
	stage(&iface_module, CV_CMD_IF_SET, &c);
	if (cv_ifaddr_parse(ip, &a.addr, &a.plen))
		die(ip);
	stage(&iface_module, CV_CMD_IF_ADDR_ADD, &a);
	if (cv_ifaddr_parse(ip6, &a.addr, &a.plen))
		die(ip6);
	stage(&iface_module, CV_CMD_IF_ADDR_ADD, &a);
}

/* Between the WAN's addresses; what goes to the remote networks is routed into it. */
static void tunnel_interface(void)
{
	struct cv_if c = {.if_id = TUNNEL, .type = CV_IF_TUNNEL, .mtu = 1500, .admin_up = 1, .name = "tunnel"};
	struct cv_if_addr a = {.if_id = TUNNEL};
	c.tunnel = (struct cv_tunnel){.mode = have.tunnel,
		.inner_af = have.tunnel == CV_TUNNEL_GRE ? CV_AF_NONE : CV_AF_INET,
		.flags = have.protected ? CV_TUNNEL_F_PROTECTED : 0,
		.ttl = 64};
	addr(&c.tunnel.src, "192.0.2.1");
	addr(&c.tunnel.dst, "192.0.2.2");
	stage(&iface_module, CV_CMD_IF_SET, &c);
	if (cv_ifaddr_parse("10.255.0.1/30", &a.addr, &a.plen))
		die("tunnel");
	stage(&iface_module, CV_CMD_IF_ADDR_ADD, &a);
}

/* On all that leaves by the WAN: a policer that is never reached, or a priority class with queues. */
static void policy_map(void)
{
	const uint64_t much = CV_QOS_RATE_MAX;
	for (uint32_t i = 0; i < 2; i++) {
		struct cv_qos_class c = {.policy_id = 1,
			.class_no = i,
			.set_dscp = CV_QOS_DSCP_KEEP,
			.weight = 1,
			.queue_limit = 4 * DP_VEC,
			.fair_queues = 1};
		if (i == 1 && have.policy == POLICY_PRIORITY) {
			c.priority = much;
			c.priority_burst = CV_QOS_BURST_MAX;
		} else if (i == 1) {
			c.police = (struct cv_police){.mode = CV_POLICE_TWO_COLOURS,
				.action = {CV_POLICE_TRANSMIT, CV_POLICE_DROP, CV_POLICE_DROP},
				.cir = much,
				.burst = CV_QOS_BURST_MAX};
		}
		stage(&qos_module, CV_CMD_QOS_CLASS_SET, &c);
	}
	struct cv_qos_rule r = {.policy_id = 1, .class_no = 1};
	cv_selector_any(&r.sel, CV_AF_INET);
	r.sel.proto = IPPROTO_UDP;
	stage(&qos_module, CV_CMD_QOS_RULE_SET, &r);
	stage(&qos_module, CV_CMD_QOS_ATTACH_SET,
		&(struct cv_qos_attach){.slot = 1,
			.if_id = WAN,
			.policy_id = 1,
			.dir = CV_QOS_OUTPUT,
			.flags = have.policy == POLICY_PRIORITY ? CV_QOS_F_QUEUES : 0});
}

/* Every source of the LAN gets one of its addresses that no host has: a crypto map there still wants its packets. */
static void translation(void)
{
	struct cv_nat_rule r = {.rule_id = 1, .seq = 1, .acl_id = TUNNEL};
	addr(&r.first, "10.1.200.1");
	r.last = r.first;
	list(TUNNEL, 1);
	stage(&nat_module, CV_CMD_NAT_RULE_SET, &r);
}

static void neighbour(uint32_t if_id, const char *ip, uint8_t last)
{
	struct neigh_news n = {
		.if_id = if_id, .mac = {2, 0, 0, 0, 2, last}, .solicited = true, .override = true, .create = true};
	addr(&n.addr, ip);
	neigh_learn(the_worker, &n);
}

static struct port ports[3];

void port_make(uint32_t id, const char *vdev)
{
	uint16_t eth, n_txq = (uint16_t)(dp_n_workers + 1);
	struct rte_eth_conf conf = {0};
	ports[id] = (struct port){
		.port_id = id, .n_rxq = 1, .n_txq = n_txq, .up = true, .mac = {2, 0, 0, 0, 1, (uint8_t)id}};
	if (rte_eth_dev_get_port_by_name(vdev, &eth) || rte_eth_dev_configure(eth, 1, n_txq, &conf) ||
		rte_eth_rx_queue_setup(eth, 0, 64, SOCKET_ID_ANY, NULL, dp_pool()))
		die("null device");
	for (uint16_t i = 0; i < n_txq; i++) {
		if (rte_eth_tx_queue_setup(eth, i, 64, SOCKET_ID_ANY, NULL))
			die("null device");
		ports[id].tx[i] = (struct port_tx){.queue = i, .owner = i};
	}
	if (rte_eth_dev_start(eth))
		die("null device");
	ports[id].dpdk_id = eth;
	port_views[id] = &ports[id];
}

static struct rte_mbuf *sent[2 * DP_VEC];
static uint32_t n_sent;

static uint16_t keep(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	if (n_sent + n > RTE_DIM(sent))
		return 0; /* and what is dropped for it is noticed */
	memcpy(&sent[n_sent], pkts, n * sizeof(*pkts));
	n_sent += n;
	return n;
}

void ports_keep_frames(void)
{
	rte_eth_fp_ops[ports[LAN].dpdk_id].tx_pkt_burst = keep;
	rte_eth_fp_ops[ports[WAN].dpdk_id].tx_pkt_burst = keep;
}

void sent_free(void)
{
	rte_pktmbuf_free_bulk(sent, n_sent);
	n_sent = 0;
}

static void route(const char *prefix, uint32_t if_id, const char *gw)
{
	struct cv_route r = {.n_nh = 1};
	r.nh[0] = (struct cv_nexthop){.type = gw ? CV_NH_GATEWAY : CV_NH_INTERFACE, .weight = 1, .if_id = if_id};
	if (gw)
		addr(&r.nh[0].gw, gw);
	if (cv_prefix_parse(prefix, &r.prefix))
		die(prefix);
	stage(&fib_module, CV_CMD_ROUTE_SET, &r);
}

/* Remote network k where there are many: 32.0.0.0/24 and upwards, fd40::/48 and upwards. */
#define MANY_NET(k) ((32u << 24) + 256u * (k))
static void many_routes(void)
{
	char prefix[64];
	for (uint32_t k = 0; k < have.routes; k++) {
		const uint32_t net = MANY_NET(k);
		snprintf(prefix, sizeof(prefix), "%u.%u.%u.0/24", net >> 24, net >> 16 & 255, net >> 8 & 255);
		if (have.v6)
			snprintf(prefix, sizeof(prefix), "fd40:%x:%x::/48", k >> 16, k & 0xffff);
		route(prefix, WAN, have.v6 ? "fd00:2::2" : "192.0.2.2");
	}
}

void network(const struct feature *f)
{
	have = *f;
	for (size_t i = 0; i < N_MODS; i++)
		mods[i]->sync();
	interface(LAN, "10.1.0.1/16", "fd00:1::1/64");
	interface(WAN, "192.0.2.1/24", "fd00:2::1/64");
	if (have.tunnel)
		tunnel_interface();
	if (have.policy)
		policy_map();
	if (have.nat)
		translation();
	route("10.64.0.0/10", have.tunnel ? TUNNEL : WAN, have.tunnel ? NULL : "192.0.2.2");
	route("fd40::/16", WAN, "fd00:2::2");
	many_routes();
	commit();
	neighbour(WAN, "192.0.2.2", 2);
	neighbour(LAN, "10.1.0.5", 5);
	neighbour(WAN, "fd00:2::2", 2);
	neighbour(LAN, "fd00:1::5", 5);
}

/* Remote network k: 10.64.0.0 + 32 k. */
#define NET(k) ((10u << 24 | 64u << 16) + 32u * (k))
static void remote_net(uint32_t k, struct cv_range *r)
{
	const uint32_t lo = NET(k), hi = lo | 31u;
	if (have.v6) {
		addr(&r->lo, "fd40::");
		r->lo.b[4] = (uint8_t)(k >> 24);
		r->lo.b[5] = (uint8_t)(k >> 16);
		r->lo.b[6] = (uint8_t)(k >> 8);
		r->lo.b[7] = (uint8_t)k;
		r->hi = r->lo;
		memset(r->hi.b + 8, 0xff, 8);
		return;
	}
	for (int i = 0; i < 4; i++) {
		r->lo.b[i] = (uint8_t)(lo >> (24 - 8 * i));
		r->hi.b[i] = (uint8_t)(hi >> (24 - 8 * i));
	}
	r->lo.af = r->hi.af = CV_AF_INET;
}

static void selector(uint32_t k, struct cv_selector *s)
{
	memset(s, 0, sizeof(*s));
	addr(&s->src.lo, have.v6 ? "fd00:1::" : "10.1.0.0");
	addr(&s->src.hi, have.v6 ? "fd00:1::ffff" : "10.1.255.255");
	remote_net(k, &s->dst);
	s->sport_hi = s->dport_hi = UINT16_MAX;
}

/* Rule k of those nobody's traffic matches: another source network. */
static void idle_rule(uint32_t k)
{
	struct cv_spd_rule r = {
		.spd_id = 1, .rule_id = SAS_MAX + k + 1, .prio = k + 1, .action = CV_SPD_DISCARD, .vrf_id = CV_VRF_ANY};
	selector(k % SAS_MAX, &r.sel);
	addr(&r.sel.src.lo, "10.2.0.0");
	addr(&r.sel.src.hi, "10.2.255.255");
	stage(&spd_module, CV_CMD_SPD_RULE_SET, &r);
}

#define LIFETIME_BYTES (UINT64_C(1) << 50) /* as culvertd gives each SA one, but further away than any run gets */

/* An SA for remote network k. The peer's has the same key. */
static void sa_stage(
	enum suite suite, uint32_t index, uint32_t k, uint32_t rule_id, enum cv_sa_dir dir, uint32_t window)
{
	struct cv_sa sa = {.index = index,
		.dir = (uint8_t)dir,
		.mode = have.tunnel == CV_TUNNEL_GRE ? CV_SA_TRANSPORT : CV_SA_TUNNEL,
		.tunnel_if = have.tunnel ? TUNNEL : 0,
		.ipproto = IPPROTO_ESP,
		.encr = suite == SUITE_GCM	? CV_ENCR_AES128_GCM16
			: suite == SUITE_CHACHA ? CV_ENCR_CHACHA20_POLY1305
						: CV_ENCR_AES128_CBC,
		.integ = suite == SUITE_CBC ? CV_INTEG_HMAC_SHA256_128 : 0,
		.flags = (window ? 0 : CV_SA_F_NO_REPLAY) | (have.natt ? CV_SA_F_UDP_ENCAP : 0),
		.udp_src = have.natt ? 4500 : 0,
		.udp_dst = have.natt ? 4500 : 0,
		.rule_id = rule_id,
		.n_sel = 1,
		.soft_bytes = LIFETIME_BYTES / 10 * 9,
		.hard_bytes = LIFETIME_BYTES,
		.replay_window = window};
	sa.spi = 0x40000000u + (index & ~1u); /* what the inbound one carries */
	const char *us = have.outer6 ? "fd00:2::1" : "192.0.2.1", *peer = have.outer6 ? "fd00:2::2" : "192.0.2.2";
	addr(&sa.src, dir == CV_SA_OUT ? us : peer);
	addr(&sa.dst, dir == CV_SA_OUT ? peer : us);
	if (have.tunnel)
		cv_selector_any(&sa.sel[0], CV_AF_INET);
	else
		selector(k, &sa.sel[0]);
	sa.key_len = suite_key(suite, k, sa.key);
	stage(&sa_module, CV_CMD_SA_ADD, &sa);
}

static void rule(uint32_t k)
{
	struct cv_spd_rule r = {.spd_id = 1,
		.rule_id = k + 1,
		.prio = (uint64_t)(k + 1) << 32,
		.action = CV_SPD_PROTECT,
		.vrf_id = CV_VRF_ANY};
	selector(k, &r.sel);
	stage(&spd_module, CV_CMD_SPD_RULE_SET, &r);
}

void tunnels(enum suite suite, uint32_t n, uint32_t idle, uint32_t window)
{
	for (size_t i = 0; i < N_MODS; i++)
		if (mods[i] == &spd_module || mods[i] == &sa_module)
			mods[i]->sync();
	change_turn = 0;
	struct cv_spd spd = {.spd_id = 1, .n_if = n && !have.tunnel ? 1 : 0, .if_id = {WAN}};
	stage(&spd_module, CV_CMD_SPD_SET, &spd);
	for (uint32_t k = 0; n && k < idle; k++)
		idle_rule(k);
	for (uint32_t k = 0; k < n; k++) {
		rule(k);
		sa_stage(suite, 2 * k + 3, k, k + 1, CV_SA_OUT, window);
		sa_stage(suite, 2 * k + 2, k, k + 1, CV_SA_IN, window);
	}
	commit();
}

void windows_reset(uint32_t n_sa)
{
	for (uint32_t k = 0; k < n_sa; k++) {
		const struct sa *in = sa_get(2 * k + 2);
		if (in)
			replay_init(in->state->replay, in->conf.replay_window);
	}
}

void unrelated_change(void)
{
	const bool comes = change_turn / 3 % 2 == 0;
	if (change_turn % 3 == 0 && comes) {
		idle_rule(CHANGE_RULE);
	} else if (change_turn % 3 == 0) {
		stage(&spd_module, CV_CMD_SPD_RULE_DEL,
			&(struct cv_spd_rule_ref){.spd_id = 1, .rule_id = SAS_MAX + CHANGE_RULE + 1});
	} else if (change_turn % 3 == 1 && comes) {
		route("10.3.0.0/24", WAN, "192.0.2.2");
	} else if (change_turn % 3 == 1) {
		struct cv_route_ref ref = {0};
		if (cv_prefix_parse("10.3.0.0/24", &ref.prefix))
			die("prefix");
		stage(&fib_module, CV_CMD_ROUTE_DEL, &ref);
	} else if (comes) {
		sa_stage(SUITE_GCM, CHANGE_SA, 0, 0, CV_SA_IN, 1024);
	} else {
		stage(&sa_module, CV_CMD_SA_DEL,
			&(struct cv_sa_ref){.index = CHANGE_SA, .spi = 0x40000000u + CHANGE_SA});
	}
	change_turn++;
	commit();
}

/* ---- frames ---- */

void frames_free(void)
{
	for (uint32_t i = 0; i < n_frames; i++) {
		free(frame[i].data);
		frame[i].data = NULL;
	}
}

static void frame_put(uint32_t i, uint32_t port, const uint8_t *ip, uint16_t len)
{
	const bool v6 = ip[0] >> 4 == 6;
	uint8_t *d = malloc(len + 14u);
	if (!d)
		die("memory");
	memcpy(d, ports[port].mac, 6);
	memcpy(d + 6, (const uint8_t[]){2, 0, 0, 0, 2, 9, v6 ? 0x86 : 8, v6 ? 0xdd : 0}, 8);
	memcpy(d + 14, ip, len);
	frame[i] = (struct frame){.len = (uint16_t)(len + 14), .data = d};
}

static void udp_header(uint8_t *p, uint16_t len)
{
	struct rte_udp_hdr *udp = (void *)p;
	*udp = (struct rte_udp_hdr){RTE_BE16(1000), RTE_BE16(2000), rte_cpu_to_be_16(len), 0};
}

static void ip4_header(uint8_t *p, uint16_t len, uint8_t proto, uint32_t src, uint32_t dst)
{
	struct rte_ipv4_hdr *ip = (void *)p;
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16(len),
		.time_to_live = 64,
		.next_proto_id = proto,
		.src_addr = rte_cpu_to_be_32(src),
		.dst_addr = rte_cpu_to_be_32(dst)};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

#define LOCAL_HOST (10u << 24 | 1u << 16 | 5u)
#define OUR_GATEWAY (192u << 24 | 2u << 8 | 1u)
#define THEIR_GATEWAY (192u << 24 | 2u << 8 | 2u)
static uint32_t remote_host(uint32_t k)
{
	return have.routes ? MANY_NET(k) | 9u : NET(k) | 9u;
}

static void address6(uint8_t *p, const char *text)
{
	struct cv_addr a;
	addr(&a, text);
	memcpy(p, a.b, 16);
}

/* But for its addresses. */
static void ip6_header(uint8_t *p, uint16_t len, uint8_t proto)
{
	*(struct rte_ipv6_hdr *)(void *)p = (struct rte_ipv6_hdr){.vtc_flow = RTE_BE32(6u << 28),
		.payload_len = rte_cpu_to_be_16((uint16_t)(len - 40)),
		.proto = proto,
		.hop_limits = 64};
}

/* ESP at p, of len bytes with its IPv4 header, over IPv6 instead. Returns the length. */
static uint16_t over_ip6(uint8_t *p, uint16_t len)
{
	struct rte_ipv6_hdr *ip = (void *)p;
	memmove(p + 40, p + 20, len - 20u);
	ip6_header(p, (uint16_t)(len + 20), IPPROTO_ESP);
	address6(ip->src_addr, "fd00:2::2");
	address6(ip->dst_addr, "fd00:2::1");
	return (uint16_t)(len + 20);
}

/* Between the local host and the one in remote network k. */
static void clear_packet(uint8_t *p, uint16_t len, uint32_t k, bool from_remote)
{
	const uint32_t near = LOCAL_HOST, far = remote_host(k);
	memset(p, 0x5a, len);
	if (!have.v6) {
		ip4_header(p, len, IPPROTO_UDP, from_remote ? far : near, from_remote ? near : far);
		udp_header(p + 20, (uint16_t)(len - 20));
		return;
	}
	struct rte_ipv6_hdr *ip = (void *)p;
	struct cv_range net;
	ip6_header(p, len, IPPROTO_UDP);
	remote_net(k, &net);
	if (have.routes) {
		memmove(net.lo.b + 2, net.lo.b + 4, 4); /* the /48 of that number */
		memset(net.lo.b + 6, 0, 2);
	}
	net.lo.b[15] = 9;
	address6(from_remote ? ip->dst_addr : ip->src_addr, "fd00:1::5");
	memcpy(from_remote ? ip->src_addr : ip->dst_addr, net.lo.b, 16);
	udp_header(p + 40, (uint16_t)(len - 40));
}

void frames_clear(enum traffic t, uint32_t n_sa)
{
	uint8_t p[2048];
	frames_free();
	for (uint32_t i = 0; i < n_frames; i++) {
		uint16_t len = packet_len(t, i);
		const uint32_t far = have.routes ? (uint32_t)((uint64_t)i * have.routes / n_frames) : i % n_sa;
		clear_packet(p, len, far, false);
		frame_put(i, LAN, p, len);
	}
}

void frames_esp(enum suite suite, enum traffic t, uint32_t n_sa)
{
	uint8_t inner[2048], p[2048];
	frames_free();
	for (uint32_t i = 0; i < n_frames; i++) {
		uint16_t len = packet_len(t, i);
		clear_packet(inner, len, i % n_sa, true);
		len = esp_make(suite, p, i % n_sa, 1 + i / n_sa, inner, len);
		if (have.natt) { /* RFC 3948 */
			memmove(p + 28, p + 20, len - 20u);
			len = (uint16_t)(len + 8);
			ip4_header(p, len, IPPROTO_UDP, THEIR_GATEWAY, OUR_GATEWAY);
			udp_header(p + 20, (uint16_t)(len - 20));
			memcpy(p + 20, (const uint8_t[]){4500 >> 8, 4500 & 0xff, 4500 >> 8, 4500 & 0xff}, 4);
		}
		if (have.outer6)
			len = over_ip6(p, len);
		frame_put(i, WAN, p, len);
	}
}

void frames_tunnel(enum traffic t)
{
	const uint16_t gre = have.tunnel == CV_TUNNEL_GRE ? 4 : 0;
	uint8_t p[2048];
	frames_free();
	for (uint32_t i = 0; i < n_frames; i++) {
		uint16_t len = packet_len(t, i);
		clear_packet(p + 20 + gre, len, 0, true);
		len = (uint16_t)(len + 20 + gre);
		ip4_header(p, len, gre ? IPPROTO_GRE : IPPROTO_IPIP, THEIR_GATEWAY, OUR_GATEWAY);
		if (gre)
			memcpy(p + 20, (const uint8_t[]){0, 0, 8, 0}, 4);
		frame_put(i, WAN, p, len);
	}
}

void frames_save(const char *path)
{
	const uint32_t head[] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1}; /* pcap 2.4, Ethernet, this byte order */
	FILE *f = fopen(path, "we");
	bool good = f && fwrite(head, sizeof(head), 1, f) == 1;
	for (uint32_t i = 0; good && i < n_frames; i++) {
		const uint32_t record[] = {0, 0, frame[i].len, frame[i].len};
		good = fwrite(record, sizeof(record), 1, f) == 1 && fwrite(frame[i].data, frame[i].len, 1, f) == 1;
	}
	if (!good || fclose(f))
		die(path);
}
