/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cycles per packet of the pipeline, in one process and on one core: frames made in memory, from ether_input to the
 * transmit buffers, for plain forwarding, ESP out and ESP in (AES-128-GCM). Everything is compared with what was
 * measured in the same run: "floor" is the bare one-shot GCM call on data of the same size. Making the frames and the
 * null device's transmit are not part of the figures.
 *
 * bench_pipeline [--json FILE] [--vector N] [--runs N] [--way plain|esp-out|esp-in] [--size 64|imix|1420] [--sas N]
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
#define FRAMES 8192u /* of one round: enough that 1000 SAs see several each */
#define RUNS 101     /* the fastest of these counts, vector by vector */

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
static uint32_t only_sas;		 /* 0: 1 and 1000 */

static void die(const char *what)
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

/* n rules, each with a pair of SAs of the same key, so that our own output can be fed back in. */
static void tunnels(uint32_t n)
{
	for (size_t i = 0; i < N_MODS; i++)
		if (mods[i] == &spd_module || mods[i] == &sa_module)
			mods[i]->sync();
	struct cv_spd spd = {.spd_id = 1, .n_if = n ? 1 : 0, .if_id = {WAN}};
	stage(&spd_module, CV_CMD_SPD_SET, &spd);
	for (uint32_t k = 0; k < n; k++) {
		struct cv_spd_rule r = {.spd_id = 1,
			.rule_id = k + 1,
			.prio = (uint64_t)(k + 1) << 32,
			.action = CV_SPD_PROTECT,
			.vrf_id = CV_VRF_ANY};
		selector(k, &r.sel);
		stage(&spd_module, CV_CMD_SPD_RULE_SET, &r);
		for (uint32_t dir = CV_SA_OUT; dir <= CV_SA_IN; dir++) {
			struct cv_sa sa = {.index = 2 * k + (dir == CV_SA_OUT ? 3 : 2),
				.dir = (uint8_t)dir,
				.mode = 1,
				.ipproto = 50,
				.encr = CV_ENCR_AES128_GCM16,
				.rule_id = k + 1,
				.n_sel = 1,
				.replay_window = 1024,
				.key_len = 20};
			sa.spi = 0x40000000u + 2 * k + 2; /* what the inbound one carries */
			addr(&sa.src, dir == CV_SA_OUT ? "192.0.2.1" : "192.0.2.2");
			addr(&sa.dst, dir == CV_SA_OUT ? "192.0.2.2" : "192.0.2.1");
			selector(k, &sa.sel[0]);
			memset(sa.key, (int)(k + 1), sizeof(sa.key));
			stage(&sa_module, CV_CMD_SA_ADD, &sa);
		}
	}
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

/* ---- measuring ---- */

struct result {
	double total; /* cycles per packet, without making frames and without the device's transmit */
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

/* All frames once, vector by vector. */
static void one_round(uint32_t port, struct result *best)
{
	for (uint32_t i = 0; i < FRAMES; i += vector) {
		struct rte_mbuf *pkts[DP_VEC];
		if (rte_pktmbuf_alloc_bulk(dp_pool(), pkts, vector))
			die("no buffers");
		for (uint32_t k = 0; k < vector; k++)
			fill_mbuf(pkts[k], frame[i + k].data, frame[i + k].len);
		memset(w->stats->stage, 0, sizeof(w->stats->stage));
		uint64_t t = rte_rdtsc();
		ether_input(w, port, pkts, vector);
		tx_flush(w);
		keep_fastest(&best[i / vector], rte_rdtsc() - t);
	}
}

/*
 * Every vector of a round has its own frames, SAs and cache misses, but is never the same twice where the machine is
 * shared: the fastest of several runs is taken for each vector, and the vectors are summed.
 */
static struct result measure(uint32_t port, uint32_t n_sa)
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
	}
	for (uint32_t v = 0; v < FRAMES / vector; v++) {
		sum.total += best[v].total / FRAMES;
		for (int s = 0; s < STAGE_COUNT; s++)
			sum.stage[s] += best[v].stage[s] / FRAMES;
	}
	return sum;
}

/* ---- floor ---- */

/* Bare one-shot calls, in place, nonce and AAD ready, rotating over n_keys keys and as many buffers as a vector;
 * timed as the pipeline is: the fastest run of each vector. */
static double floor_run(enum traffic t, bool encrypt, uint32_t n_keys)
{
	static uint8_t buf[DP_VEC][2048] __rte_aligned(64);
	struct gcm_key_data *key = rte_malloc("floor", n_keys * sizeof(*key), 64);
	struct gcm_context_data ctx;
	uint8_t iv[16] = {1}, aad[16] = {2}, tag[16], raw[16] = {3};
	static uint64_t best[FRAMES];
	double sum = 0;
	if (!key)
		die("memory");
	memset(best, 0xff, sizeof(best));
	for (uint32_t i = 0; i < n_keys; i++) {
		memcpy(raw, &i, sizeof(i));
		IMB_AES128_GCM_PRE(mgr, raw, &key[i]);
	}
	for (unsigned run = 0; run < runs; run++) {
		for (uint32_t i = 0; i < FRAMES; i += vector) {
			uint64_t start = rte_rdtsc();
			for (uint32_t k = 0; k < vector; k++) {
				uint64_t len = RTE_ALIGN_CEIL(packet_len(t, i + k) + 2u, 4u);
				struct gcm_key_data *gk = &key[(i + k) % n_keys];
				if (encrypt)
					IMB_AES128_GCM_ENC(mgr, gk, &ctx, buf[k], buf[k], len, iv, aad, 8, tag, 16);
				else
					IMB_AES128_GCM_DEC(mgr, gk, &ctx, buf[k], buf[k], len, iv, aad, 8, tag, 16);
			}
			uint64_t cycles = rte_rdtsc() - start;
			best[i / vector] = RTE_MIN(best[i / vector], cycles);
		}
	}
	for (uint32_t v = 0; v < FRAMES / vector; v++)
		sum += (double)best[v] / FRAMES;
	rte_free(key);
	return sum;
}

/* ---- report ---- */

static FILE *json;
static bool json_first = true;

static void report(enum way way, enum traffic t, uint32_t n_sa, const struct result *r, double floor, double plain)
{
	static const char *const names[] = {
#define X(sym, name) name,
		STAGES(X)
#undef X
	};
	printf("%-8s %5u %6s %8.1f", way_name[way], way == PLAIN ? 0 : n_sa, traffic_name[t], r->total);
	if (way == PLAIN)
		printf(" %8s %7s %7.2f ", "-", "-", 1.0);
	else
		printf(" %8.1f %7.2f %7.2f ", floor, r->total / floor, r->total / plain);
	for (int s = 0; s < STAGE_COUNT; s++)
		if (r->stage[s] >= 0.05 && s != STAGE_TX)
			printf(" %s %.1f", names[s], r->stage[s]);
	printf("\n");
	if (!json)
		return;
	fprintf(json, "%s\n  {\"way\": \"%s\", \"sas\": %u, \"traffic\": \"%s\", \"cycles\": %.2f, \"plain\": %.2f",
		json_first ? "" : ",", way_name[way], way == PLAIN ? 0 : n_sa, traffic_name[t], r->total, plain);
	json_first = false;
	if (way != PLAIN)
		fprintf(json, ", \"floor\": %.2f, \"ratio_floor\": %.3f", floor, r->total / floor);
	fprintf(json, ", \"stages\": {");
	for (int s = 0, first = 1; s < STAGE_COUNT; s++)
		if (r->stage[s] >= 0.05) {
			fprintf(json, "%s\"%s\": %.2f", first ? "" : ", ", names[s], r->stage[s]);
			first = 0;
		}
	fprintf(json, "}}");
}

static bool wanted(enum way way, enum traffic t)
{
	return (!only_way || !strcmp(only_way, way_name[way])) && (!only_size || !strcmp(only_size, traffic_name[t]));
}

static void run_tunnels(uint32_t n_sa, const double *plain)
{
	tunnels(n_sa);
	for (int t = 0; t < N_TRAFFIC; t++) {
		if (wanted(OUT, (enum traffic)t)) {
			double floor = floor_run((enum traffic)t, true, n_sa);
			frames_clear((enum traffic)t, n_sa);
			struct result r = measure(LAN, n_sa);
			report(OUT, (enum traffic)t, n_sa, &r, floor, plain[t]);
		}
		if (wanted(IN, (enum traffic)t)) {
			double floor = floor_run((enum traffic)t, false, n_sa);
			frames_esp((enum traffic)t, n_sa);
			struct result r = measure(WAN, n_sa);
			report(IN, (enum traffic)t, n_sa, &r, floor, plain[t]);
		}
	}
}

static void run_all(void)
{
	double plain[N_TRAFFIC];
	printf("%-8s %5s %6s %8s %8s %7s %7s  cycles by stage\n", "way", "SAs", "size", "cycles", "floor", "x floor",
		"x plain");
	for (int t = 0; t < N_TRAFFIC; t++) {
		tunnels(0);
		frames_clear((enum traffic)t, 1);
		struct result r = measure(LAN, 0);
		plain[t] = r.total;
		if (wanted(PLAIN, (enum traffic)t))
			report(PLAIN, (enum traffic)t, 0, &r, 0, plain[t]);
	}
	if (only_sas) {
		run_tunnels(only_sas, plain);
		return;
	}
	run_tunnels(1, plain);
	run_tunnels(1000, plain);
}

/* Hugepages where there are any, as the product does. */
static void eal_start(void)
{
	static char prefix[40];
	snprintf(prefix, sizeof(prefix), "--file-prefix=bench%d", (int)getpid());
	char huge[] = "--in-memory", none[] = "--no-huge", shconf[] = "--no-shconf", mem[] = "-m64",
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
	bool use = free_pages >= 48;
	base[8] = use ? huge : none;
	base[9] = use ? mem : mem_none;
	base[10] = use ? NULL : shconf;
	if (rte_eal_init(use ? 10 : 11, base) < 0)
		die("EAL");
	printf("hugepages: %s\n", use ? "yes" : "no");
}

int main(int argc, char **argv)
{
	const char *path = "bench_pipeline.json";
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json") && i + 1 < argc)
			path = argv[++i];
		else if (!strcmp(argv[i], "--vector") && i + 1 < argc)
			vector = (uint32_t)atoi(argv[++i]);
		else if (!strcmp(argv[i], "--runs") && i + 1 < argc)
			runs = (unsigned)atoi(argv[++i]);
		else if (!strcmp(argv[i], "--way") && i + 1 < argc)
			only_way = argv[++i];
		else if (!strcmp(argv[i], "--size") && i + 1 < argc)
			only_size = argv[++i];
		else if (!strcmp(argv[i], "--sas") && i + 1 < argc)
			only_sas = (uint32_t)atoi(argv[++i]);
		else
			die("usage: see the head of bench_pipeline.c");
	}
	if (runs < 1 || only_sas > FRAMES)
		die("runs from 1, SAs up to 8192");
	if (vector < 1 || vector > DP_VEC || FRAMES % vector)
		die("the vector must divide 8192 and be at most 256");
	eal_start();
	if (dp_frame_init(&(struct frame_conf){.n_workers = 0, .n_mbufs = 2048}) || neigh_init() ||
		fib_init(1u << 14) || ipsec_init())
		die("initialisation");
	w = worker_main();
	w->tx = tx_worker_create(0, SOCKET_ID_ANY);
	w->ipsec = ipsec_worker_create(0, SOCKET_ID_ANY);
	mgr = alloc_mb_mgr(0);
	if (!w->tx || !w->ipsec || !mgr)
		die("initialisation");
	init_mb_mgr_auto(mgr, NULL);
	dp_clock_update();
	network();
	printf("provider: %s, TSC %.0f MHz, vector %u, TSC cycles per packet, fastest of %u runs by vector\n",
		ipsec_crypto()->describe(), (double)rte_get_tsc_hz() / 1e6, vector, runs);
	json = fopen(path, "we");
	if (json)
		fprintf(json, "{\"provider\": \"%s\", \"tsc_hz\": %lu, \"vector\": %u, \"results\": [",
			ipsec_crypto()->describe(), (unsigned long)rte_get_tsc_hz(), vector);
	run_all();
	if (json) {
		fprintf(json, "\n]}\n");
		fclose(json);
	}
	frames_free();
	return 0;
}
