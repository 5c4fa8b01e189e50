/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cycles per packet of the pipeline, in one process and on one core: frames made in memory, from ether_input to the
 * transmit buffers, for plain forwarding, ESP out and ESP in (AES-128-GCM). Everything is compared with what was
 * measured in the same run, turn by turn: "floor" is the bare one-shot GCM call on data of the same size. Making the
 * frames and the null device's transmit are not part of the figures. usage() says how it is told what to do.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <intel-ipsec-mb.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_udp.h>

#include "cv_addr.h"
#include "fast.h"
#include "fib.h"
#include "iface.h"
#include "ipsec.h"
#include "neigh.h"
#include "pipeline.h"
#include "port.h"
#include "tx.h"
#include "vrf.h"

#define LAN 1u
#define WAN 2u
#define FRAMES 16384u /* of one round: enough that 1000 SAs see several each, and 10000 one at least */
#define RULES_MAX 20000u
#define CHANGE_EVERY 1024u /* packets: at 10 million packets a second some 10,000 changes a second */
#define RUNS 60		   /* the fastest of these counts, vector by vector */

enum traffic { T64, TIMIX, T1420, N_TRAFFIC };
static const char *const traffic_name[] = {"64", "imix", "1420"};
enum way { PLAIN, OUT, IN, N_WAYS };
static const char *const way_name[] = {"plain", "esp-out", "esp-in"};

/* Inner IP packet lengths: a 64-byte frame carries 50; IMIX frames 64, 570, 1518 as 7:4:1; 1420 is a packet size. */
static const uint16_t imix[12] = {50, 556, 50, 50, 556, 50, 1504, 50, 556, 50, 556, 50};

struct frame {
	uint16_t len;
	uint8_t *data;
};
static struct frame frame[FRAMES];
static struct worker *w;
static IMB_MGR *mgr;
static uint32_t vector = 64;
static unsigned runs = RUNS;
static const char *only_way, *only_size; /* NULL: all */
static uint32_t only_sas;		 /* 0: 1, 1000 and 10000 */
static uint32_t only_rules;		 /* rules in front of those that the traffic matches */
static unsigned change_turn;		 /* of unrelated_change(); 0: nothing of it is there */
static bool quick, count_only, hugepages, changes;

static __attribute__((noreturn)) void die(const char *what)
{
	fprintf(stderr, "bench_pipeline: %s\n", what);
	exit(1);
}

static uint16_t packet_len(enum traffic t, uint32_t i)
{
	return t == T64 ? 50 : t == T1420 ? 1420 : imix[i % 12];
}

/* ---- configuration: the real modules ---- */

static const struct dp_module *const mods[] = {&vrf_module, &iface_module, &fib_module, &spd_module, &sa_module};
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

static void interface(uint32_t id, const char *ip)
{
	struct cv_if c = {.if_id = id, .type = CV_IF_ETHERNET, .port_id = id, .mtu = 1600, .admin_up = 1};
	struct cv_if_addr a = {.if_id = id};
	snprintf(c.name, sizeof(c.name), "if%u", id);
	if (cv_ifaddr_parse(ip, &a.addr, &a.plen))
		die(ip);
	stage(&iface_module, CV_CMD_IF_SET, &c);
	stage(&iface_module, CV_CMD_IF_ADDR_ADD, &a);
}

static void neighbour(uint32_t if_id, const char *ip, uint8_t last)
{
	struct neigh_news n = {
		.if_id = if_id, .mac = {2, 0, 0, 0, 2, last}, .solicited = true, .override = true, .create = true};
	addr(&n.addr, ip);
	neigh_learn(w, &n);
}

static struct port ports[3];

static void port_make(uint32_t id, const char *vdev)
{
	uint16_t eth;
	struct rte_eth_conf conf = {0};
	if (rte_eth_dev_get_port_by_name(vdev, &eth) || rte_eth_dev_configure(eth, 1, 1, &conf) ||
		rte_eth_rx_queue_setup(eth, 0, 64, SOCKET_ID_ANY, NULL, dp_pool()) ||
		rte_eth_tx_queue_setup(eth, 0, 64, SOCKET_ID_ANY, NULL) || rte_eth_dev_start(eth))
		die("null device");
	ports[id] = (struct port){
		.port_id = id, .dpdk_id = eth, .n_rxq = 1, .n_txq = 1, .up = true, .mac = {2, 0, 0, 0, 1, (uint8_t)id}};
	port_views[id] = &ports[id];
}

static void network(void)
{
	port_make(LAN, "net_null0");
	port_make(WAN, "net_null1");
	interface(LAN, "10.1.0.1/16");
	interface(WAN, "192.0.2.1/24");
	struct cv_route r = {.n_nh = 1};
	r.nh[0] = (struct cv_nexthop){.type = CV_NH_GATEWAY, .weight = 1, .if_id = WAN};
	addr(&r.nh[0].gw, "192.0.2.2");
	if (cv_prefix_parse("10.64.0.0/10", &r.prefix))
		die("prefix");
	stage(&fib_module, CV_CMD_ROUTE_SET, &r);
	commit();
	neighbour(WAN, "192.0.2.2", 2);
	neighbour(LAN, "10.1.0.5", 5);
}

/* Remote network k: 10.64.0.0 + 256 k. */
static void remote_net(uint32_t k, struct cv_range *r)
{
	uint32_t lo = 10u << 24 | 64u << 16 | k << 8;
	for (int i = 0; i < 4; i++) {
		r->lo.b[i] = (uint8_t)(lo >> (24 - 8 * i));
		r->hi.b[i] = (uint8_t)((lo | 255u) >> (24 - 8 * i));
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
		.spd_id = 1, .rule_id = FRAMES + k + 1, .prio = k + 1, .action = CV_SPD_DISCARD, .vrf_id = CV_VRF_ANY};
	selector(k, &r.sel);
	addr(&r.sel.src.lo, "10.2.0.0");
	addr(&r.sel.src.hi, "10.2.255.255");
	stage(&spd_module, CV_CMD_SPD_RULE_SET, &r);
}

/* An SA for remote network k. The peer's has the same key, so that our output can be fed back
 * in. */
static void sa_stage(uint32_t index, uint32_t k, uint32_t rule_id, enum cv_sa_dir dir)
{
	struct cv_sa sa = {.index = index,
		.dir = (uint8_t)dir,
		.mode = 1,
		.ipproto = 50,
		.encr = CV_ENCR_AES128_GCM16,
		.rule_id = rule_id,
		.n_sel = 1,
		.replay_window = 1024,
		.key_len = 20};
	sa.spi = 0x40000000u + (index & ~1u); /* what the inbound one carries */
	addr(&sa.src, dir == CV_SA_OUT ? "192.0.2.1" : "192.0.2.2");
	addr(&sa.dst, dir == CV_SA_OUT ? "192.0.2.2" : "192.0.2.1");
	selector(k, &sa.sel[0]);
	memset(sa.key, (int)(k + 1), sizeof(sa.key));
	stage(&sa_module, CV_CMD_SA_ADD, &sa);
}

/* n rules, each with a pair of SAs of the same key, so that our own output can be fed back in; in front of them as many
 * idle rules. */
static void tunnels(uint32_t n, uint32_t idle)
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
		struct cv_spd_rule r = {.spd_id = 1,
			.rule_id = k + 1,
			.prio = (uint64_t)(k + 1) << 32,
			.action = CV_SPD_PROTECT,
			.vrf_id = CV_VRF_ANY};
		selector(k, &r.sel);
		stage(&spd_module, CV_CMD_SPD_RULE_SET, &r);
		sa_stage(2 * k + 3, k, k + 1, CV_SA_OUT);
		sa_stage(2 * k + 2, k, k + 1, CV_SA_IN);
	}
	commit();
}

/* A rule, a route or an SA that no traffic has to do with comes or goes. */
static void unrelated_change(void)
{
	static const uint32_t rule = RULES_MAX, index = 2 * FRAMES + 2;
	struct cv_route route = {.n_nh = 1};
	const bool comes = change_turn / 3 % 2 == 0;
	if (change_turn % 3 == 0 && comes)
		idle_rule(rule);
	else if (change_turn % 3 == 0)
		stage(&spd_module, CV_CMD_SPD_RULE_DEL,
			&(struct cv_spd_rule_ref){.spd_id = 1, .rule_id = FRAMES + rule + 1});
	else if (change_turn % 3 == 1) {
		route.nh[0] = (struct cv_nexthop){.type = CV_NH_GATEWAY, .weight = 1, .if_id = WAN};
		addr(&route.nh[0].gw, "192.0.2.2");
		if (cv_prefix_parse("10.3.0.0/24", &route.prefix))
			die("prefix");
		struct cv_route_ref ref = {.prefix = route.prefix};
		stage(&fib_module, comes ? CV_CMD_ROUTE_SET : CV_CMD_ROUTE_DEL, comes ? (void *)&route : &ref);
	} else if (comes) {
		sa_stage(index, 0, 0, CV_SA_IN);
	} else {
		stage(&sa_module, CV_CMD_SA_DEL, &(struct cv_sa_ref){.index = index, .spi = 0x40000000u + index});
	}
	change_turn++;
	commit();
}

/* ---- frames ---- */

static void frames_free(void)
{
	for (uint32_t i = 0; i < FRAMES; i++) {
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
	return 10u << 24 | 64u << 16 | k << 8 | 9u;
}

static void frames_clear(enum traffic t, uint32_t n_sa)
{
	uint8_t p[2048];
	frames_free();
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint16_t len = packet_len(t, i);
		clear_packet(p, len, LOCAL_HOST, remote_host(i % n_sa));
		frame_put(i, LAN, p, len);
	}
}

static void fill_mbuf(struct rte_mbuf *m, const void *data, uint16_t len)
{
	char *d = rte_pktmbuf_append(m, len);
	if (!d)
		die("frame too long");
	memcpy(d, data, len);
}

/* What the peer would send: an ESP packet made from RFC 4303 and RFC 4106, not by the code under test. */
static uint16_t esp_make(uint8_t *p, uint32_t k, uint32_t seq, const uint8_t *inner, uint16_t len)
{
	struct gcm_key_data key;
	struct gcm_context_data ctx;
	uint8_t raw[16], nonce[12] = {0};
	uint16_t pad = (uint16_t)(RTE_ALIGN_CEIL(len + 2u, 4u) - 2u - len), body = (uint16_t)(len + pad + 2);
	uint16_t total = (uint16_t)(20 + 8 + 8 + body + 16);
	struct rte_ipv4_hdr *ip = (void *)p;
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16(total),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_ESP,
		.src_addr = RTE_BE32(0xc0000202),
		.dst_addr = RTE_BE32(0xc0000201)};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	uint32_t head[2] = {rte_cpu_to_be_32(0x40000000u + 2 * k + 2), rte_cpu_to_be_32(seq)};
	memcpy(p + 20, head, 8);
	memset(p + 28, 0, 8);
	memcpy(p + 32, &seq, 4);
	memcpy(p + 36, inner, len);
	for (uint16_t i = 0; i < pad; i++)
		p[36 + len + i] = (uint8_t)(i + 1);
	p[36 + len + pad] = (uint8_t)pad;
	p[36 + len + pad + 1] = IPPROTO_IPIP;
	memset(raw, (int)(k + 1), sizeof(raw));
	memset(nonce, (int)(k + 1), 4);
	memcpy(nonce + 4, p + 28, 8);
	IMB_AES128_GCM_PRE(mgr, raw, &key);
	IMB_AES128_GCM_ENC(mgr, &key, &ctx, p + 36, p + 36, body, nonce, p + 20, 8, p + 36 + body, 16);
	return total;
}

static void frames_esp(enum traffic t, uint32_t n_sa)
{
	uint8_t inner[2048], p[2048];
	frames_free();
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint16_t len = packet_len(t, i);
		clear_packet(inner, len, remote_host(i % n_sa), LOCAL_HOST);
		frame_put(i, WAN, p, esp_make(p, i % n_sa, 1 + i / n_sa, inner, len));
	}
}

/* ---- floor ---- */

/* Bare one-shot calls, in place, nonce and AAD ready, rotating over n_keys keys and as many buffers as a vector. */
struct floor {
	bool encrypt;
	enum traffic traffic;
	uint32_t n_keys;
	struct gcm_key_data *key;
	uint64_t best[FRAMES]; /* by vector */
};

static struct floor *floor_make(enum traffic t, bool encrypt, uint32_t n_keys)
{
	static struct floor f;
	uint8_t raw[16] = {3};
	f = (struct floor){.encrypt = encrypt, .traffic = t, .n_keys = n_keys};
	f.key = rte_malloc("floor", n_keys * sizeof(*f.key), 64);
	if (!f.key || !n_keys)
		die("no keys, or no memory for them");
	memset(f.best, 0xff, sizeof(f.best));
	for (uint32_t i = 0; i < n_keys; i++) {
		memcpy(raw, &i, sizeof(i));
		IMB_AES128_GCM_PRE(mgr, raw, &f.key[i]);
	}
	return &f;
}

/* All frames' sizes once, vector by vector. */
static void floor_round(struct floor *f)
{
	static uint8_t buf[DP_VEC][2048] __rte_aligned(64);
	struct gcm_context_data ctx;
	uint8_t iv[16] = {1}, aad[16] = {2}, tag[16];
	uint64_t *best = f->best;
	for (uint32_t i = 0; i < FRAMES; i += vector, best++) {
		uint64_t start = rte_rdtsc();
		for (uint32_t k = 0; k < vector; k++) {
			uint64_t len = RTE_ALIGN_CEIL(packet_len(f->traffic, i + k) + 2u, 4u);
			struct gcm_key_data *gk = &f->key[(i + k) % f->n_keys];
			if (f->encrypt)
				IMB_AES128_GCM_ENC(mgr, gk, &ctx, buf[k], buf[k], len, iv, aad, 8, tag, 16);
			else
				IMB_AES128_GCM_DEC(mgr, gk, &ctx, buf[k], buf[k], len, iv, aad, 8, tag, 16);
		}
		uint64_t cycles = rte_rdtsc() - start;
		*best = RTE_MIN(*best, cycles);
	}
}

static double floor_end(struct floor *f)
{
	double sum = 0;
	for (uint32_t v = 0; v < FRAMES / vector; v++)
		sum += (double)f->best[v] / FRAMES;
	rte_free(f->key);
	return sum;
}

/* ---- measuring ---- */

struct result {
	double total; /* cycles per packet, without making frames and without the device's transmit */
	double floor; /* of the same traffic; 0: none */
	double stage[STAGE_COUNT];
};

static void windows_reset(uint32_t n_sa)
{
	for (uint32_t k = 0; k < n_sa; k++) {
		const struct sa *in = sa_get(2 * k + 2);
		if (in)
			replay_init(in->state->replay, 1024);
	}
}

/* The cycles of one vector, by stage; kept when they are the fewest that this vector took in any run. */
static void keep_fastest(struct result *best, uint64_t cycles)
{
	const struct cv_stage_counters *st = w->stats->stage;
	double total = (double)(cycles - st[STAGE_TX].cycles);
	if (best->total > 0 && best->total <= total)
		return;
	best->total = total;
	for (int s = 0; s < STAGE_COUNT; s++)
		best->stage[s] = (double)st[s].cycles;
}

/* What is measured. A function of its own, by whose name tests/bench/instructions counts what is inside. */
__rte_noinline void bench_measured(uint32_t port, struct rte_mbuf **pkts);
__rte_noinline void bench_measured(uint32_t port, struct rte_mbuf **pkts)
{
	ether_input(w, port, pkts, vector);
	tx_flush(w);
}

/* All frames once, vector by vector. */
static void one_round(uint32_t port, struct result *best)
{
	for (uint32_t i = 0; i < FRAMES; i += vector) {
		struct rte_mbuf *pkts[DP_VEC];
		if (rte_pktmbuf_alloc_bulk(dp_pool(), pkts, vector))
			die("no buffers");
		for (uint32_t k = 0; k < vector; k++)
			fill_mbuf(pkts[k], frame[i + k].data, frame[i + k].len);
		if (changes && i % CHANGE_EVERY == 0)
			unrelated_change();
		memset(w->stats->stage, 0, sizeof(w->stats->stage));
		uint64_t t = rte_rdtsc();
		bench_measured(port, pkts);
		keep_fastest(&best[i / vector], rte_rdtsc() - t);
	}
}

/*
 * Every vector of a round has its own frames, SAs and cache misses, but is never the same twice where the machine is
 * shared: the fastest of several runs is taken for each vector, and the vectors are summed. Floor and pipeline take
 * turns, so that both see the same weather.
 */
static struct result measure(uint32_t port, uint32_t n_sa, struct floor *f)
{
	static struct result best[FRAMES];
	struct result sum = {0};
	memset(best, 0, sizeof(best));
	for (unsigned run = 0; run < runs; run++) {
		uint64_t sent = w->stats->tx_packets;
		windows_reset(n_sa);
		one_round(port, best);
		if (w->stats->tx_packets - sent != FRAMES)
			die("packets were lost in the pipeline: the figures would be worthless");
		if (f)
			floor_round(f);
	}
	for (uint32_t v = 0; v < FRAMES / vector; v++) {
		sum.total += best[v].total / FRAMES;
		for (int s = 0; s < STAGE_COUNT; s++)
			sum.stage[s] += best[v].stage[s] / FRAMES;
	}
	sum.floor = f ? floor_end(f) : 0;
	return sum;
}

/* ---- report ---- */

static FILE *json;
static bool json_first = true;

static const char *const stage_names[] = {
#define X(sym, name) name,
	STAGES(X)
#undef X
};

static void head(void)
{
	printf("%-8s %5s %5s %6s %8s %8s %8s %7s %7s  cycles by stage\n", "way", "SAs", "rules", "size", "cycles",
		"floor", "overhead", "x floor", "x plain");
}

static void report_json(
	enum way way, enum traffic t, uint32_t n_sa, uint32_t n_rules, const struct result *r, double plain)
{
	fprintf(json,
		"%s\n  {\"way\": \"%s\", \"sas\": %u, \"rules\": %u, \"traffic\": \"%s\", \"cycles\": %.2f, "
		"\"plain\": %.2f",
		json_first ? "" : ",", way_name[way], n_sa, n_rules, traffic_name[t], r->total, plain);
	json_first = false;
	if (way != PLAIN)
		fprintf(json, ", \"floor\": %.2f, \"overhead\": %.2f, \"ratio_floor\": %.3f", r->floor,
			r->total - r->floor, r->total / r->floor);
	fprintf(json, ", \"stages\": {");
	for (int s = 0, first = 1; s < STAGE_COUNT; s++)
		if (r->stage[s] >= 0.05) {
			fprintf(json, "%s\"%s\": %.2f", first ? "" : ", ", stage_names[s], r->stage[s]);
			first = 0;
		}
	fprintf(json, "}}");
}

static void report(enum way way, enum traffic t, uint32_t n_sa, uint32_t n_rules, const struct result *r, double plain)
{
	printf("%-8s %5u %5u %6s %8.1f", way_name[way], n_sa, n_rules, traffic_name[t], r->total);
	if (way == PLAIN)
		printf(" %8s %8s %7s %7.2f ", "-", "-", "-", 1.0);
	else
		printf(" %8.1f %8.1f %7.2f %7.2f ", r->floor, r->total - r->floor, r->total / r->floor,
			r->total / plain);
	for (int s = 0; s < STAGE_COUNT; s++)
		if (r->stage[s] >= 0.05 && s != STAGE_TX)
			printf(" %s %.1f", stage_names[s], r->stage[s]);
	printf("\n");
	fflush(stdout);
	if (json)
		report_json(way, t, n_sa, n_rules, r, plain);
}

static bool wanted(enum way way, enum traffic t)
{
	return (!only_way || !strcmp(only_way, way_name[way])) && (!only_size || !strcmp(only_size, traffic_name[t]));
}

static void run_tunnels(uint32_t n_sa, uint32_t idle, const double *plain)
{
	tunnels(n_sa, idle);
	for (int t = 0; t < N_TRAFFIC; t++)
		for (int way = OUT; way <= IN; way++) {
			if (!wanted((enum way)way, (enum traffic)t) || (quick && t == TIMIX))
				continue;
			if (way == OUT)
				frames_clear((enum traffic)t, n_sa);
			else
				frames_esp((enum traffic)t, n_sa);
			struct floor *f = floor_make((enum traffic)t, way == OUT, n_sa);
			struct result r = measure(way == OUT ? LAN : WAN, n_sa, f);
			report((enum way)way, (enum traffic)t, n_sa, n_sa + idle, &r, plain[t]);
		}
}

static void run_plain(double *plain)
{
	for (int t = 0; t < N_TRAFFIC; t++) {
		if (only_size && strcmp(only_size, traffic_name[t]))
			continue;
		tunnels(0, 0);
		frames_clear((enum traffic)t, 1);
		struct result r = measure(LAN, 0, NULL);
		plain[t] = r.total;
		if (wanted(PLAIN, (enum traffic)t))
			report(PLAIN, (enum traffic)t, 0, 0, &r, plain[t]);
	}
}

static void run_all(void)
{
	double plain[N_TRAFFIC] = {0};
	head();
	run_plain(plain);
	if (only_sas || only_rules) {
		uint32_t n_sa = only_sas ? only_sas : 1;
		run_tunnels(n_sa, only_rules > n_sa ? only_rules - n_sa : 0, plain);
		return;
	}
	run_tunnels(1, 0, plain);
	if (!quick)
		run_tunnels(1, 9999, plain);
	run_tunnels(1000, 0, plain);
	if (!quick)
		run_tunnels(10000, 0, plain);
}

/* For tests/bench/instructions: one way, one size, no clock. */
static void run_counted(void)
{
	uint32_t n_sa = only_sas ? only_sas : 1;
	static struct result best[FRAMES];
	enum way way = PLAIN;
	enum traffic t = T64;
	for (int i = 0; i < N_WAYS; i++)
		if (only_way && !strcmp(only_way, way_name[i]))
			way = (enum way)i;
	for (int i = 0; i < N_TRAFFIC; i++)
		if (only_size && !strcmp(only_size, traffic_name[i]))
			t = (enum traffic)i;
	tunnels(way == PLAIN ? 0 : n_sa, 0);
	if (way == IN)
		frames_esp(t, n_sa);
	else
		frames_clear(t, n_sa);
	one_round(way == IN ? WAN : LAN, best);
	if (w->stats->tx_packets != FRAMES)
		die("packets were lost in the pipeline: the figures would be worthless");
	printf("packets %u\n", FRAMES);
}

/* Hugepages where there are any, as the product does. */
static void eal_start(void)
{
	static char prefix[40];
	snprintf(prefix, sizeof(prefix), "--file-prefix=bench%d", (int)getpid());
	char huge[] = "--in-memory", none[] = "--no-huge", shconf[] = "--no-shconf", mem[] = "-m256",
	     mem_none[] = "-m512";
	char *base[] = {(char *)"bench", (char *)"--no-pci", (char *)"--no-telemetry", (char *)"--log-level=*:error",
		(char *)"--lcores=0", (char *)"--vdev=net_null0", (char *)"--vdev=net_null1", prefix, NULL, NULL, NULL,
		NULL};
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned free_pages = 0;
	if (f) {
		if (fscanf(f, "%u", &free_pages) != 1)
			free_pages = 0;
		fclose(f);
	}
	bool use = free_pages >= 144 && !count_only; /* valgrind cannot map them */
	base[8] = use ? huge : none;
	base[9] = use ? mem : mem_none;
	base[10] = use ? NULL : shconf;
	if (rte_eal_init(use ? 10 : 11, base) < 0)
		die("EAL");
	hugepages = use;
}

static const char usage[] =
	"bench_pipeline: cycles per packet of Culvert's pipeline, in one process on one core.\n"
	"Run it on a CPU of its own: taskset -c 1 bench_pipeline\n"
	"\n"
	"  --way plain|esp-out|esp-in  only this; esp-in checks sequence numbers (window 1024)\n"
	"  --size 64|imix|1420         only this: 64-byte frames, 7:4:1 of 64, 570 and 1518, 1420-byte packets\n"
	"  --sas N                     this many SA pairs (1..16384), each with a rule and one flow; default 1, 1000, "
	"10000\n"
	"  --rules N                   this many rules (up to 20000); those of the SAs come last; default 1 and 10000\n"
	"  --vector N                  packets that come in at once, up to 256; default 64\n"
	"  --runs N                    how often each vector is timed, the fastest time counts; default 60\n"
	"  --quick                     fewer runs, without IMIX and without 10000 SAs or rules\n"
	"  --changes                   while rules, routes and SAs come and go that the traffic has nothing to do "
	"with,\n"
	"                              one of them every 1024 packets\n"
	"  --json FILE                 also write the results there\n"
	"  --count                     no clock: send one round through bench_measured(), for an instruction counter\n"
	"  --help                      this\n"
	"\n"
	"cycles    TSC cycles per packet from ether_input to the transmit buffers: no device, no copying of frames\n"
	"floor     the bare one-shot AES-128-GCM call of intel-ipsec-mb: same sizes, same number of keys, same run\n"
	"overhead  cycles - floor: headers, routing, policy, SA, counters, memory\n"
	"plain     forwarding of the same packets without IPsec\n"
	"stages    what each stage takes of it by itself; crypto is the provider's call inside the pipeline\n";

static uint32_t number(const char *text, uint32_t max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (*end || v < 1 || v > max) {
		fprintf(stderr, "bench_pipeline: %s: a number from 1 to %u is wanted\n", text, max);
		exit(2);
	}
	return (uint32_t)v;
}

static const char *one_of(const char *text, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(text, names[i]))
			return text;
	fprintf(stderr, "bench_pipeline: %s: not known here; --help says what is\n", text);
	exit(2);
}

/* The path of the JSON file, NULL for none. */
static const char *arguments(int argc, char **argv)
{
	const char *path = NULL;
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
			fputs(usage, stdout);
			exit(0);
		} else if (!strcmp(a, "--quick")) {
			quick = true;
			runs = RUNS / 3;
		} else if (!strcmp(a, "--count")) {
			count_only = true;
		} else if (!strcmp(a, "--changes")) {
			changes = true;
		} else if (!value) {
			one_of(a, NULL, 0);
		} else {
			i++;
			if (!strcmp(a, "--json"))
				path = value;
			else if (!strcmp(a, "--vector"))
				vector = number(value, DP_VEC);
			else if (!strcmp(a, "--runs"))
				runs = number(value, 100000);
			else if (!strcmp(a, "--way"))
				only_way = one_of(value, way_name, N_WAYS);
			else if (!strcmp(a, "--size"))
				only_size = one_of(value, traffic_name, N_TRAFFIC);
			else if (!strcmp(a, "--sas"))
				only_sas = number(value, FRAMES);
			else if (!strcmp(a, "--rules"))
				only_rules = number(value, RULES_MAX);
			else
				one_of(a, NULL, 0);
		}
	}
	if (FRAMES % vector)
		die("the vector must divide 16384");
	return path;
}

static void start(void)
{
	eal_start();
	if (dp_frame_init(&(struct frame_conf){.n_workers = 0, .n_mbufs = 2048}) || neigh_init() ||
		fib_init(1u << 14) || ipsec_init())
		die("initialisation");
	w = worker_main();
	w->tx = tx_worker_create(0, SOCKET_ID_ANY);
	w->ipsec = ipsec_worker_create(0, SOCKET_ID_ANY);
	mgr = alloc_mb_mgr(0);
	w->fast = fast_worker_create(SOCKET_ID_ANY);
	if (!w->tx || !w->ipsec || !w->fast || !mgr)
		die("initialisation");
	init_mb_mgr_auto(mgr, NULL);
	dp_clock_update();
	network();
}

int main(int argc, char **argv)
{
	const char *path = arguments(argc, argv);
	start();
	if (count_only) {
		run_counted();
		frames_free();
		return 0;
	}
	printf("provider %s, TSC %.0f MHz, vector %u, hugepages %s; TSC cycles per packet, fastest of %u runs by "
	       "vector\n",
		ipsec_crypto()->describe(), (double)rte_get_tsc_hz() / 1e6, vector, hugepages ? "yes" : "no", runs);
	if (path && !(json = fopen(path, "we")))
		die(path);
	if (json)
		fprintf(json,
			"{\"provider\": \"%s\", \"tsc_hz\": %lu, \"vector\": %u, \"runs\": %u, \"hugepages\": %s, "
			"\"results\": [",
			ipsec_crypto()->describe(), (unsigned long)rte_get_tsc_hz(), vector, runs,
			hugepages ? "true" : "false");
	run_all();
	if (json && (fprintf(json, "\n]}\n") < 0 || fclose(json)))
		die("cannot write the results");
	frames_free();
	return 0;
}
