/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mempool.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "fwd_env.h"
#include "acl.h"
#include "conn.h"
#include "cv_addr.h"
#include "fast.h"
#include "fib.h"
#include "host.h"
#include "iface.h"
#include "ipsec.h"
#include "mfib.h"
#include "nat.h"
#include "neigh.h"
#include "pipeline.h"
#include "port.h"
#include "qos.h"
#include "slowpath.h"
#include "track.h"
#include "tunnel_hop.h"
#include "tx.h"
#include "vrf.h"

struct env_slow env_slow[ENV_SLOW_MAX];
unsigned env_n_slow;

static struct port ports[CV_PORT_MAX];
static const struct dp_module *const modules[] = {&vrf_module, &acl_module, &iface_module, &tunnel_hop_module,
	&fib_module, &mfib_module, &spd_module, &sa_module, &qos_module, &conn_module, &nat_module};
#define N_MODULES (sizeof(modules) / sizeof(modules[0]))

void dp_slow(struct worker *w, struct rte_mbuf *m, enum slow_reason why)
{
	if (env_n_slow == ENV_SLOW_MAX)
		dp_drop1(w, m, DROP_SLOW_FULL);
	else
		env_slow[env_n_slow++] = (struct env_slow){m, why};
}

/* The leak checker does not look into DPDK's memory, from which alone the crypto contexts are reached. */
static void env_release(void)
{
	for (uint32_t i = 0; i <= dp_n_workers; i++) {
		ipsec_worker_destroy(dp_workers[i]->ipsec);
		dp_workers[i]->ipsec = NULL;
	}
}

static void worker_equip(uint32_t i)
{
	struct worker *w = dp_workers[i];

	w->tx = tx_worker_create(i, SOCKET_ID_ANY);
	w->ipsec = ipsec_worker_create(i, SOCKET_ID_ANY);
	w->fast = fast_worker_create(FAST_FLOWS_MAX, SOCKET_ID_ANY);
	assert_non_null(w->tx);
	assert_non_null(w->ipsec);
	assert_non_null(w->fast);
}

void env_init(void)
{
	env_init_workers(0);
}

void env_init_workers(uint32_t n)
{
	char *argv[] = {
		"test", "--no-huge", "--no-pci", "--no-shconf", "-l0", "-m256", "--log-level=4", "--no-telemetry"};

	assert_true(rte_eal_init(8, argv) >= 0);
	assert_int_equal(dp_frame_init(&(struct frame_conf){.n_workers = n, .n_mbufs = 4096}), 0);
	assert_int_equal(neigh_init(), 0);
	assert_int_equal(fib_init(1u << 16), 0);
	assert_int_equal(ipsec_init(), 0);
	for (uint32_t i = 0; i <= n; i++)
		worker_equip(i);
	assert_int_equal(atexit(env_release), 0);
	dp_clock_update();
}

void env_ports(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		ports[i] = (struct port){.port_id = i, .up = true, .mac = {2, 0, 0, 0, 1, (uint8_t)i}};
		for (uint16_t k = 0; k < CV_WRITERS; k++)
			ports[i].tx[k] = (struct port_tx){.queue = k, .owner = k};
		port_views[i] = &ports[i];
	}
}

struct worker *env_worker(void)
{
	return dp_workers[0];
}

void env_stage(uint16_t type, const void *body, int want)
{
	char text[128] = "";
	const struct dp_module *m = type <= CV_CMD_VRF_DEL	    ? &vrf_module
				    : type <= CV_CMD_IF_ADDR_DEL    ? &iface_module
				    : type <= CV_CMD_ROUTE_DEL	    ? &fib_module
				    : type <= CV_CMD_SPD_RULE_DEL   ? &spd_module
				    : type <= CV_CMD_ACL_LINE_DEL   ? &acl_module
				    : type <= CV_CMD_SA_UPDATE	    ? &sa_module
				    : type <= CV_CMD_QOS_ATTACH_DEL ? &qos_module
				    : type <= CV_CMD_TUNNEL_HOP_DEL ? &tunnel_hop_module
				    : type <= CV_CMD_CONN_DEL	    ? &conn_module
				    : type <= CV_CMD_NAT_STATIC_DEL ? &nat_module
								    : &mfib_module;
	int rc = m->stage(type, body, text);

	if (rc != want)
		fail_msg("command %u answered %d (%s), not %d", type, rc, text, want);
}

int env_commit(void)
{
	char text[128] = "";
	int rc = 0;

	for (unsigned i = 0; i < N_MODULES && !rc; i++)
		rc = modules[i]->prepare ? modules[i]->prepare(text) : 0;
	if (rc) {
		env_abort();
		return rc;
	}
	for (unsigned i = 0; i < N_MODULES; i++)
		modules[i]->publish();
	dp_defer_run();
	return 0;
}

void env_abort(void)
{
	for (unsigned i = 0; i < N_MODULES; i++)
		modules[i]->abort();
	dp_defer_run();
}

void env_sync(void)
{
	for (unsigned i = 0; i < N_MODULES; i++)
		modules[i]->sync();
}

void env_vrf(uint32_t id)
{
	struct cv_vrf v = {.vrf_id = id};

	snprintf(v.name, sizeof(v.name), "vrf%u", id);
	env_stage(CV_CMD_VRF_SET, &v, 0);
}

static void if_set(const struct cv_if *proto, const char *addr)
{
	struct cv_if c = *proto;

	c.mtu = 1500;
	c.admin_up = 1;
	snprintf(c.name, sizeof(c.name), "if%u", c.if_id);
	env_stage(CV_CMD_IF_SET, &c, 0);
	if (addr)
		env_addr(c.if_id, addr);
}

void env_eth(uint32_t if_id, uint32_t port, uint32_t vrf, const char *addr)
{
	if_set(&(struct cv_if){.if_id = if_id, .type = CV_IF_ETHERNET, .port_id = port, .vrf_id = vrf}, addr);
}

void env_vlan(uint32_t if_id, uint32_t parent, uint16_t vlan, uint32_t vrf, const char *addr)
{
	if_set(&(struct cv_if){.if_id = if_id, .type = CV_IF_VLAN, .parent_id = parent, .vlan_id = vlan, .vrf_id = vrf},
		addr);
}

void env_addr(uint32_t if_id, const char *addr)
{
	struct cv_if_addr a = {.if_id = if_id};

	assert_int_equal(cv_ifaddr_parse(addr, &a.addr, &a.plen), 0);
	env_stage(CV_CMD_IF_ADDR_ADD, &a, 0);
}

void env_urpf(uint32_t if_id, uint8_t v4, uint8_t v6)
{
	struct cv_if c = iface_get(if_id)->cfg;

	c.urpf4 = v4;
	c.urpf6 = v6;
	env_stage(CV_CMD_IF_SET, &c, 0);
}

void env_sizes(uint32_t if_id, uint16_t mtu4, uint16_t mtu6, uint16_t mss4, uint16_t mss6)
{
	struct cv_if c = iface_get(if_id)->cfg;

	c.mtu4 = mtu4;
	c.mtu6 = mtu6;
	c.mss4 = mss4;
	c.mss6 = mss6;
	env_stage(CV_CMD_IF_SET, &c, 0);
}

void env_acl(uint32_t acl_id, uint32_t counter)
{
	struct cv_acl a = {.acl_id = acl_id, .counter = counter};

	env_stage(CV_CMD_ACL_SET, &a, 0);
}

static void range_of(const char *text, struct cv_range *r)
{
	struct cv_selector any;
	struct cv_prefix p;

	cv_selector_any(&any, text[3] == '6' ? CV_AF_INET6 : CV_AF_INET);
	if (!strncmp(text, "any", 3)) {
		*r = any.src;
		return;
	}
	assert_int_equal(cv_prefix_parse(text, &p), 0);
	cv_prefix_to_range(&p, r);
}

void env_acl_line(
	uint32_t acl_id, uint32_t counter, uint32_t seq, bool permit, uint8_t proto, const char *src, const char *dst)
{
	struct cv_acl_line l = {.ref = {acl_id, counter}, .seq = seq, .permit = permit, .sel.proto = proto};

	range_of(src, &l.sel.src);
	range_of(dst, &l.sel.dst);
	l.sel.sport_hi = l.sel.dport_hi = UINT16_MAX;
	env_stage(CV_CMD_ACL_LINE_SET, &l, 0);
}

uint64_t env_acl_count(uint32_t counter)
{
	return env_worker()->stats->acl[counter];
}

void env_filter(uint32_t if_id, uint16_t in, uint16_t out)
{
	struct cv_if c = iface_get(if_id)->cfg;

	c.acl_in[0] = c.acl_in[1] = in;
	c.acl_out[0] = c.acl_out[1] = out;
	env_stage(CV_CMD_IF_SET, &c, 0);
}

void env_inspect(uint32_t if_id, uint8_t how)
{
	struct cv_if c = iface_get(if_id)->cfg;

	c.inspect = how;
	env_stage(CV_CMD_IF_SET, &c, 0);
}

void env_nat(uint32_t if_id, enum cv_nat_side side)
{
	struct cv_if c = iface_get(if_id)->cfg;

	c.nat = (uint8_t)side;
	env_stage(CV_CMD_IF_SET, &c, 0);
}

void env_route(uint32_t vrf, const char *prefix, const char *gw, uint32_t if_id, uint32_t gw_vrf)
{
	struct cv_route r = {.vrf_id = vrf, .n_nh = 1};

	assert_int_equal(cv_prefix_parse(prefix, &r.prefix), 0);
	r.nh[0] = (struct cv_nexthop){.type = CV_NH_GATEWAY, .weight = 1, .if_id = if_id, .vrf_id = gw_vrf};
	assert_int_equal(cv_addr_parse(gw, &r.nh[0].gw), 0);
	env_stage(CV_CMD_ROUTE_SET, &r, 0);
}

void env_tunnel6(uint32_t if_id, const char *src, const char *dst, const char *addr)
{
	struct cv_if t = {.if_id = if_id,
		.type = CV_IF_TUNNEL,
		.mtu = 1400,
		.admin_up = 1,
		.name = "t",
		.tunnel = {.mode = CV_TUNNEL_IPIP, .inner_af = CV_AF_INET6, .ttl = 255}};

	assert_int_equal(cv_addr_parse(src, &t.tunnel.src), 0);
	assert_int_equal(cv_addr_parse(dst, &t.tunnel.dst), 0);
	env_stage(CV_CMD_IF_SET, &t, 0);
	env_addr(if_id, addr);
	assert_int_equal(env_commit(), 0);
	iface_tunnel_changed();
	iface_refresh(); /* its source is ours */
	assert_true(iface_get(if_id)->link);
	env_drain();
}

void env_neigh(uint32_t if_id, const char *addr, uint8_t last)
{
	struct neigh_news n = {
		.if_id = if_id, .mac = {2, 0, 0, 0, 2, last}, .solicited = true, .override = true, .create = true};

	assert_int_equal(cv_addr_parse(addr, &n.addr), 0);
	neigh_learn(env_worker(), &n);
}

/* ---- packets ---- */

static struct rte_mbuf *ip_packet(const char *src, const char *dst, uint8_t proto, unsigned l4_len)
{
	struct cv_addr s, d;
	struct rte_mbuf *m = dp_alloc();

	assert_non_null(m);
	assert_int_equal(cv_addr_parse(src, &s), 0);
	assert_int_equal(cv_addr_parse(dst, &d), 0);
	if (s.af == CV_AF_INET6) {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)rte_pktmbuf_append(m, (uint16_t)(40 + l4_len));

		memset(ip, 0, 40 + l4_len);
		ip->vtc_flow = RTE_BE32(6u << 28);
		ip->payload_len = rte_cpu_to_be_16((uint16_t)l4_len);
		ip->proto = proto;
		ip->hop_limits = 64;
		memcpy(ip->src_addr, s.b, 16);
		memcpy(ip->dst_addr, d.b, 16);
		return m;
	}
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)rte_pktmbuf_append(m, (uint16_t)(20 + l4_len));

	memset(ip, 0, 20 + l4_len);
	ip->version_ihl = 0x45;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(20 + l4_len));
	ip->packet_id = RTE_BE16(7);
	ip->time_to_live = 64;
	ip->next_proto_id = proto;
	memcpy(&ip->src_addr, s.b, 4);
	memcpy(&ip->dst_addr, d.b, 4);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return m;
}

static void fill(uint8_t *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + 1);
}

struct rte_mbuf *env_udp(const char *src, const char *dst, uint16_t sport, uint16_t dport, unsigned payload)
{
	struct rte_mbuf *m = ip_packet(src, dst, IPPROTO_UDP, 8 + payload);
	void *ip = rte_pktmbuf_mtod(m, void *);
	bool ip6 = *(uint8_t *)ip >> 4 == 6;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)((uint8_t *)ip + (ip6 ? 40 : 20));

	udp->src_port = rte_cpu_to_be_16(sport);
	udp->dst_port = rte_cpu_to_be_16(dport);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(8 + payload));
	fill((uint8_t *)(udp + 1), payload);
	udp->dgram_cksum = ip6 ? rte_ipv6_udptcp_cksum(ip, udp) : rte_ipv4_udptcp_cksum(ip, udp);
	return m;
}

struct rte_mbuf *env_tcp(const char *src, const char *dst, uint8_t flags, const uint8_t *options, unsigned n)
{
	struct rte_mbuf *m = ip_packet(src, dst, IPPROTO_TCP, 20 + n);
	void *ip = rte_pktmbuf_mtod(m, void *);
	bool ip6 = *(uint8_t *)ip >> 4 == 6;
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)((uint8_t *)ip + (ip6 ? 40 : 20));

	tcp->src_port = RTE_BE16(40000);
	tcp->dst_port = RTE_BE16(80);
	tcp->sent_seq = RTE_BE32(0x12345678);
	tcp->data_off = (uint8_t)((20 + n) / 4 << 4);
	tcp->tcp_flags = flags;
	if (n)
		memcpy(tcp + 1, options, n);
	tcp->cksum = ip6 ? rte_ipv6_udptcp_cksum(ip, tcp) : rte_ipv4_udptcp_cksum(ip, tcp);
	return m;
}

struct rte_mbuf *env_echo(const char *src, const char *dst, unsigned payload)
{
	bool ip6 = strchr(src, ':') != NULL;
	struct rte_mbuf *m = ip_packet(src, dst, ip6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 8 + payload);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_icmp_hdr *icmp = (struct rte_icmp_hdr *)(p + (ip6 ? 40 : 20));

	icmp->icmp_type = ip6 ? 128 : 8;
	icmp->icmp_ident = RTE_BE16(0x1234);
	icmp->icmp_seq_nb = RTE_BE16(1);
	fill((uint8_t *)(icmp + 1), payload);
	icmp->icmp_cksum = ip6 ? rte_ipv6_udptcp_cksum((void *)p, icmp) : (uint16_t)~rte_raw_cksum(icmp, 8 + payload);
	return m;
}

void env_encapsulate6(struct rte_mbuf *m, const char *src, const char *dst)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)rte_pktmbuf_prepend(m, sizeof(*ip));
	struct cv_addr a;

	assert_non_null(ip);
	*ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16((uint16_t)m->pkt_len),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_IPV6};
	assert_int_equal(cv_addr_parse(src, &a), 0);
	memcpy(&ip->src_addr, a.b, 4);
	assert_int_equal(cv_addr_parse(dst, &a), 0);
	memcpy(&ip->dst_addr, a.b, 4);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

void env_frame(uint32_t port, uint16_t vlan, const uint8_t dst[6], struct rte_mbuf *m)
{
	bool ip6 = *rte_pktmbuf_mtod(m, uint8_t *) >> 4 == 6;
	uint8_t *l2 = (uint8_t *)rte_pktmbuf_prepend(m, vlan ? 18 : 14);
	const uint8_t src[6] = {2, 0, 0, 0, 2, 99};

	memcpy(l2, dst, 6);
	memcpy(l2 + 6, src, 6);
	if (vlan)
		memcpy(l2 + 12, (uint8_t[]){0x81, 0x00, (uint8_t)(vlan >> 8), (uint8_t)vlan}, 4);
	memcpy(l2 + (vlan ? 16 : 12), ip6 ? (uint8_t[]){0x86, 0xdd} : (uint8_t[]){0x08, 0x00}, 2);
	ether_input(env_worker(), port, &m, 1);
}

void env_receive(uint32_t port, uint16_t vlan, struct rte_mbuf *m)
{
	env_frame(port, vlan, ports[port].mac, m);
}

/* ---- what came of it ---- */

unsigned env_sent_count(uint32_t port)
{
	return env_worker()->tx->port[port].n;
}

struct rte_mbuf *env_sent(uint32_t port)
{
	struct tx_buf *b = &env_worker()->tx->port[port];
	struct rte_mbuf *m = b->pkt[0];

	if (b->n == 0)
		return NULL;
	memmove(b->pkt, b->pkt + 1, --b->n * sizeof(b->pkt[0]));
	return m;
}

static void dispatch(const struct env_slow *s)
{
	struct worker *w = env_worker();

	switch (s->why) {
	case SLOW_NEIGH:
		neigh_slow(w, s->m);
		break;
	case SLOW_ARP:
		arp_input(w, s->m);
		break;
	case SLOW_LOCAL:
		local_input(w, s->m);
		break;
	case SLOW_ICMP_TTL:
	case SLOW_ICMP_UNREACH:
	case SLOW_ICMP_MTU:
		icmp_slow_error(w, s->m, s->why);
		break;
	case SLOW_MULTICAST:
		if (!host_input(w, s->m))
			dp_drop1(w, s->m, DROP_MULTICAST);
		break;
	case SLOW_CONN:
		track_slow(w, s->m);
		break;
	default:
		rte_pktmbuf_free(s->m);
	}
}

void env_run_slow(void)
{
	while (env_n_slow) {
		struct env_slow s = env_slow[0];

		memmove(env_slow, env_slow + 1, --env_n_slow * sizeof(env_slow[0]));
		dispatch(&s);
	}
}

bool env_sums_ok(const struct rte_ipv4_hdr *ip)
{
	const uint32_t len = rte_be_to_cpu_16(ip->total_length) - (uint32_t)sizeof(*ip);
	uint32_t sum = rte_raw_cksum(ip + 1, len);

	if (ip->next_proto_id == IPPROTO_TCP || ip->next_proto_id == IPPROTO_UDP)
		sum += rte_ipv4_phdr_cksum(ip, 0);
	else if (ip->next_proto_id != IPPROTO_ICMP)
		sum = UINT16_MAX;
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == UINT16_MAX && rte_raw_cksum(ip, sizeof(*ip)) == UINT16_MAX;
}

void env_drain(void)
{
	for (unsigned p = 0; p < CV_PORT_MAX; p++)
		for (struct rte_mbuf *m; (m = env_sent(p));)
			rte_pktmbuf_free(m);
	for (unsigned i = 0; i < env_n_slow; i++)
		rte_pktmbuf_free(env_slow[i].m);
	env_n_slow = 0;
}

uint64_t env_drops(enum drop_reason why)
{
	return env_worker()->stats->drops[why];
}

unsigned env_mbufs(void)
{
	return rte_mempool_in_use_count(dp_pool());
}

int env_teardown(void **state)
{
	(void)state;
	env_drain();
	env_sync();
	int rc = env_commit();

	env_drain();
	return rc || env_mbufs() != 0;
}

void env_two_ports(void)
{
	env_eth(1, 0, 0, "10.0.0.1/24");
	env_addr(1, "fd00::1/64");
	env_eth(2, 1, 0, "10.1.0.1/24");
	env_addr(2, "fd01::1/64");
}
