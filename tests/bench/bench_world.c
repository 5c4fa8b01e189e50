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
#include "cv_addr.h"
#include "fib.h"
#include "iface.h"
#include "ipsec.h"
#include "neigh.h"
#include "port.h"
#include "sa.h"
#include "vrf.h"

#define CHANGE_RULE 300000u /* of unrelated_change() */
#define CHANGE_SA (CV_SA_MAX - 2u)

const char *const traffic_name[N_TRAFFIC] = {"64", "imix", "1420"};
const char *const suite_name[N_SUITES] = {"aes-gcm", "aes-cbc-sha256", "chacha20"};

struct frame frame[FRAMES_MAX];
uint32_t n_frames = FRAMES_USUAL;
struct worker *the_worker;
static unsigned change_turn; /* of unrelated_change(); 0: nothing of it is there */

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

static const struct dp_module *const mods[] = {
	&vrf_module, &acl_module, &iface_module, &fib_module, &spd_module, &sa_module};
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
		if (mods[i]->prepare(text))
			die(text);
	for (size_t i = 0; i < N_MODS; i++)
		mods[i]->publish();
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

static void interface(uint32_t id, const char *ip, uint32_t lines)
{
	struct cv_if c = {.if_id = id, .type = CV_IF_ETHERNET, .port_id = id, .mtu = 1600, .admin_up = 1};
	struct cv_if_addr a = {.if_id = id};
	snprintf(c.name, sizeof(c.name), "if%u", id);
	if (cv_ifaddr_parse(ip, &a.addr, &a.plen))
		die(ip);
	list(id, lines);
	c.acl_in[0] = c.acl_out[0] = (uint16_t)(lines ? id : 0);
	stage(&iface_module, CV_CMD_IF_SET, &c);
	stage(&iface_module, CV_CMD_IF_ADDR_ADD, &a);
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

static void route(const char *prefix, uint32_t if_id, const char *gw)
{
	struct cv_route r = {.n_nh = 1};
	r.nh[0] = (struct cv_nexthop){.type = CV_NH_GATEWAY, .weight = 1, .if_id = if_id};
	addr(&r.nh[0].gw, gw);
	if (cv_prefix_parse(prefix, &r.prefix))
		die(prefix);
	stage(&fib_module, CV_CMD_ROUTE_SET, &r);
}

void network(uint32_t lines)
{
	interface(LAN, "10.1.0.1/16", lines);
	interface(WAN, "192.0.2.1/24", lines);
	route("10.64.0.0/10", WAN, "192.0.2.2");
	commit();
	neighbour(WAN, "192.0.2.2", 2);
	neighbour(LAN, "10.1.0.5", 5);
}

/* Remote network k: 10.64.0.0 + 32 k. */
#define NET(k) ((10u << 24 | 64u << 16) + 32u * (k))
static void remote_net(uint32_t k, struct cv_range *r)
{
	const uint32_t lo = NET(k), hi = lo | 31u;
	for (int i = 0; i < 4; i++) {
		r->lo.b[i] = (uint8_t)(lo >> (24 - 8 * i));
		r->hi.b[i] = (uint8_t)(hi >> (24 - 8 * i));
	}
	r->lo.af = r->hi.af = CV_AF_INET;
}

static void selector(uint32_t k, struct cv_selector *s)
{
	memset(s, 0, sizeof(*s));
	addr(&s->src.lo, "10.1.0.0");
	addr(&s->src.hi, "10.1.255.255");
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

/* An SA for remote network k. The peer's has the same key. */
static void sa_stage(
	enum suite suite, uint32_t index, uint32_t k, uint32_t rule_id, enum cv_sa_dir dir, uint32_t window)
{
	struct cv_sa sa = {.index = index,
		.dir = (uint8_t)dir,
		.mode = CV_SA_TUNNEL,
		.ipproto = IPPROTO_ESP,
		.encr = suite == SUITE_GCM	? CV_ENCR_AES128_GCM16
			: suite == SUITE_CHACHA ? CV_ENCR_CHACHA20_POLY1305
						: CV_ENCR_AES128_CBC,
		.integ = suite == SUITE_CBC ? CV_INTEG_HMAC_SHA256_128 : 0,
		.flags = window ? 0 : CV_SA_F_NO_REPLAY,
		.rule_id = rule_id,
		.n_sel = 1,
		.replay_window = window};
	sa.spi = 0x40000000u + (index & ~1u); /* what the inbound one carries */
	addr(&sa.src, dir == CV_SA_OUT ? "192.0.2.1" : "192.0.2.2");
	addr(&sa.dst, dir == CV_SA_OUT ? "192.0.2.2" : "192.0.2.1");
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
	struct cv_spd spd = {.spd_id = 1, .n_if = n ? 1 : 0, .if_id = {WAN}};
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

static void frame_put(uint32_t i, uint32_t port, const void *ip, uint16_t len)
{
	uint8_t *d = malloc(len + 14u);
	if (!d)
		die("memory");
	memcpy(d, ports[port].mac, 6);
	memcpy(d + 6, (const uint8_t[]){2, 0, 0, 0, 2, 9, 8, 0}, 8);
	memcpy(d + 14, ip, len);
	frame[i] = (struct frame){.len = (uint16_t)(len + 14), .data = d};
}

static void clear_packet(uint8_t *p, uint16_t len, uint32_t src, uint32_t dst)
{
	memset(p, 0x5a, len);
	struct rte_ipv4_hdr *ip = (void *)p;
	struct rte_udp_hdr *udp = (void *)(p + 20);
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16(len),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(src),
		.dst_addr = rte_cpu_to_be_32(dst)};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*udp = (struct rte_udp_hdr){RTE_BE16(1000), RTE_BE16(2000), rte_cpu_to_be_16((uint16_t)(len - 20)), 0};
}

#define LOCAL_HOST (10u << 24 | 1u << 16 | 5u)
static uint32_t remote_host(uint32_t k)
{
	return NET(k) | 9u;
}

void frames_clear(enum traffic t, uint32_t n_sa)
{
	uint8_t p[2048];
	frames_free();
	for (uint32_t i = 0; i < n_frames; i++) {
		uint16_t len = packet_len(t, i);
		clear_packet(p, len, LOCAL_HOST, remote_host(i % n_sa));
		frame_put(i, LAN, p, len);
	}
}

void frames_esp(enum suite suite, enum traffic t, uint32_t n_sa)
{
	uint8_t inner[2048], p[2048];
	frames_free();
	for (uint32_t i = 0; i < n_frames; i++) {
		uint16_t len = packet_len(t, i);
		clear_packet(inner, len, remote_host(i % n_sa), LOCAL_HOST);
		frame_put(i, WAN, p, esp_make(suite, p, i % n_sa, 1 + i / n_sa, inner, len));
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
