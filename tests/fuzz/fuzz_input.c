/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dataplane's input: arbitrary frames through ether_input and everything behind it, on workers' stages and main's
 * handlers, with two ports, a VLAN in a second VRF, routes, an SPD and a pair of SAs, and now and then inspection and
 * address translation. Nothing may crash, and no packet buffer may be lost.
 *
 * Input: a sequence of frames, each: one byte of flags, two bytes of length (big endian, 11 bits), then the frame.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mempool.h>

#include "acl.h"
#include "conn.h"
#include "cv_addr.h"
#include "fast.h"
#include "fib.h"
#include "host_mroute.h"
#include "iface.h"
#include "ipsec.h"
#include "mfib.h"
#include "nat.h"
#include "neigh.h"
#include "pipeline.h"
#include "port.h"
#include "slow.h"
#include "slowpath.h"
#include "trace.h"
#include "tx.h"
#include "vrf.h"

#define BUFFERS 4096u
#define KEPT_MAX 1600u /* in reassembly, with neighbours, held for SAs */

#define F_PORT 1u     /* which port */
#define F_TO_US 2u    /* put our MAC in front */
#define F_CHECKSUM 4u /* make the IPv4 header checksum right */
#define F_TIME 8u     /* half a second passes */
#define F_TRACE 16u   /* trace the packet */
#define F_TRACK 32u   /* from now on connections are inspected and translated; or no more */

/* The leak checker does not see DPDK's memory, where the pointers are; this target counts packet buffers instead. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
static struct port ports[2];
static uint64_t now_ms;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_input: %s\n", what);
	abort();
}

static void stage(const struct dp_module *m, uint16_t type, const void *body)
{
	char text[128] = "";

	must(m->stage(type, body, text) == 0, text);
}

static void interface(const struct cv_if *c, const char *a4, const char *a6)
{
	const char *text[] = {a4, a6};

	stage(&iface_module, CV_CMD_IF_SET, c);
	for (int i = 0; i < 2; i++) {
		struct cv_if_addr a = {.if_id = c->if_id};

		must(cv_ifaddr_parse(text[i], &a.addr, &a.plen) == 0, "address");
		stage(&iface_module, CV_CMD_IF_ADDR_ADD, &a);
	}
}

static void route(const char *prefix, const char *gw)
{
	struct cv_route r = {.n_nh = 1, .nh[0] = {.type = CV_NH_GATEWAY, .weight = 1}};

	must(cv_prefix_parse(prefix, &r.prefix) == 0 && cv_addr_parse(gw, &r.nh[0].gw) == 0, "route");
	stage(&fib_module, CV_CMD_ROUTE_SET, &r);
}

/* From either interface to the other one. */
static void group_route(const char *group, uint32_t if_in)
{
	struct cv_mroute r = {.if_in = if_in, .n_out = 1, .out[0] = {.if_id = 3 - if_in, .ttl = 1}};

	must(cv_addr_parse(group, &r.ref.group) == 0, "group");
	stage(&mfib_module, CV_CMD_MROUTE_SET, &r);
}

static void selector(struct cv_selector *s)
{
	cv_selector_any(s, CV_AF_INET);
	must(cv_addr_parse("10.2.0.0", &s->dst.lo) == 0 && cv_addr_parse("10.2.255.255", &s->dst.hi) == 0, "selector");
}

static void tunnel(void)
{
	struct cv_spd spd = {.spd_id = 1, .n_if = 1, .if_id = {2}};
	struct cv_spd_rule r = {.spd_id = 1, .rule_id = 1, .prio = 1, .action = CV_SPD_PROTECT, .vrf_id = CV_VRF_ANY};

	stage(&spd_module, CV_CMD_SPD_SET, &spd);
	selector(&r.sel);
	stage(&spd_module, CV_CMD_SPD_RULE_SET, &r);
	for (uint8_t dir = CV_SA_OUT; dir <= CV_SA_IN; dir++) {
		struct cv_sa sa = {.index = dir == CV_SA_OUT ? 3 : 2,
			.spi = 0x40000002,
			.dir = dir,
			.mode = 1,
			.ipproto = 50,
			.encr = CV_ENCR_AES128_GCM16,
			.rule_id = 1,
			.n_sel = 1,
			.replay_window = 64,
			.key_len = 20};

		must(cv_addr_parse(dir == CV_SA_OUT ? "192.0.2.1" : "192.0.2.2", &sa.src) == 0, "SA");
		must(cv_addr_parse(dir == CV_SA_OUT ? "192.0.2.2" : "192.0.2.1", &sa.dst) == 0, "SA");
		selector(&sa.sel[0]);
		memset(sa.key, 7, sizeof(sa.key));
		stage(&sa_module, CV_CMD_SA_ADD, &sa);
	}
}

static void neighbour(uint32_t if_id, const char *a)
{
	struct neigh_news n = {
		.if_id = if_id, .mac = {2, 0, 0, 0, 2, 2}, .solicited = true, .override = true, .create = true};

	must(cv_addr_parse(a, &n.addr) == 0, "neighbour");
	neigh_learn(worker_main(), &n);
}

static void commit(void)
{
	static const struct dp_module *const mods[] = {&vrf_module, &acl_module, &iface_module, &fib_module,
		&mfib_module, &spd_module, &sa_module, &conn_module, &nat_module};
	char text[128] = "";

	for (unsigned i = 0; i < sizeof(mods) / sizeof(mods[0]); i++)
		must(!mods[i]->prepare || mods[i]->prepare(text) == 0, text);
	for (unsigned i = 0; i < sizeof(mods) / sizeof(mods[0]); i++)
		mods[i]->publish();
}

/* What the interfaces make use of once they are inside and outside. */
static void translation(void)
{
	struct cv_acl_line line = {.ref = {.acl_id = 1, .counter = 1}, .seq = 1, .permit = 1};
	struct cv_nat_rule r = {.rule_id = 1, .seq = 1, .acl_id = 1, .if_id = 2};
	struct cv_nat_static s = {.static_id = 1, .local.af = CV_AF_INET, .global.af = CV_AF_INET};

	stage(&acl_module, CV_CMD_ACL_SET, &(struct cv_acl){.acl_id = 1, .counter = 2});
	cv_selector_any(&line.sel, CV_AF_INET);
	stage(&acl_module, CV_CMD_ACL_LINE_SET, &line);
	stage(&nat_module, CV_CMD_NAT_RULE_SET, &r);
	must(cv_addr_parse("10.1.0.2", &s.local) == 0 && cv_addr_parse("192.0.2.50", &s.global) == 0, "static");
	stage(&nat_module, CV_CMD_NAT_STATIC_SET, &s);
}

static void track(bool on)
{
	for (uint32_t id = 1; id <= 2; id++) {
		struct cv_if c = iface_get(id)->cfg;

		c.inspect = on ? CV_INSPECT_IN : 0;
		c.nat = on ? (uint8_t)id : 0;
		stage(&iface_module, CV_CMD_IF_SET, &c);
	}
	commit();
}

static void configure(void)
{
	struct cv_vrf vrf = {.vrf_id = 1, .name = "one"};

	stage(&vrf_module, CV_CMD_VRF_SET, &vrf);
	interface(&(struct cv_if){.if_id = 1, .type = CV_IF_ETHERNET, .port_id = 0, .mtu = 1500, .admin_up = 1},
		"10.1.0.1/16", "fd01::1/64");
	interface(&(struct cv_if){.if_id = 2, .type = CV_IF_ETHERNET, .port_id = 1, .mtu = 1400, .admin_up = 1},
		"192.0.2.1/24", "fd02::1/64");
	interface(&(struct cv_if){.if_id = 3,
			  .type = CV_IF_VLAN,
			  .parent_id = 1,
			  .vlan_id = 30,
			  .mtu = 1500,
			  .vrf_id = 1,
			  .admin_up = 1},
		"10.1.0.1/16", "fd01::1/64");
	route("10.2.0.0/16", "192.0.2.2");
	route("0.0.0.0/0", "192.0.2.2");
	route("::/0", "fd02::2");
	group_route("239.1.2.3", 1);
	group_route("239.1.2.4", 2);
	group_route("ff0e::1", 1);
	host_multicast_families[1] = 3; /* other groups are the kernel's */
	tunnel();
	translation();
	commit();
	neighbour(2, "192.0.2.2");
	neighbour(1, "10.1.0.2");
	neighbour(2, "fd02::2");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char *eal[] = {
		"fuzz", "--no-huge", "--no-pci", "--no-shconf", "-l0", "-m256", "--log-level=4", "--no-telemetry"};

	(void)argc;
	(void)argv;
	must(rte_eal_init(8, eal) >= 0, "EAL");
	must(dp_frame_init(&(struct frame_conf){.n_workers = 0, .n_mbufs = BUFFERS}) == 0, "frame");
	must(neigh_init() == 0 && fib_init(4096) == 0 && ipsec_init() == 0 && slow_init() == 0, "tables");
	worker_main()->tx = tx_worker_create(0, SOCKET_ID_ANY);
	worker_main()->ipsec = ipsec_worker_create(0, SOCKET_ID_ANY);
	worker_main()->fast = fast_worker_create(FAST_FLOWS_MAX, SOCKET_ID_ANY);
	must(worker_main()->tx && worker_main()->ipsec && worker_main()->fast, "worker");
	for (unsigned i = 0; i < 2; i++) {
		ports[i] = (struct port){.port_id = i,
			.up = true,
			.mac = {2, 0, 0, 0, 1, (uint8_t)i},
			.tx[0].owner = UINT16_MAX}; /* nobody sends: what is flushed is dropped */
		port_views[i] = &ports[i];
	}
	configure();
	now_ms = dp_now_ms();
	return 0;
}

static void fix_checksum(uint8_t *f, unsigned len)
{
	unsigned at = len > 18 && f[12] == 0x81 && f[13] == 0 ? 18 : 14;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(f + at);

	if (len < at + sizeof(*ip) || f[at - 2] != 8 || f[at - 1] != 0 || at + rte_ipv4_hdr_len(ip) > len)
		return;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, rte_ipv4_hdr_len(ip));
}

static void ignore_trace(const struct cv_evt_trace *t)
{
	(void)t;
}

static void run_frame(uint8_t flags, const uint8_t *data, unsigned len)
{
	struct worker *w = worker_main();
	struct rte_mbuf *m = rte_pktmbuf_alloc(dp_pool());
	uint8_t *f = m ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len) : NULL;

	must(f, "a packet buffer was lost");
	memcpy(f, data, len);
	if ((flags & F_TO_US) && len >= 6)
		memcpy(f, ports[flags & F_PORT].mac, 6);
	if (flags & F_CHECKSUM)
		fix_checksum(f, len);
	if (flags & F_TRACK)
		track(!iface_get(1)->nat);
	if (flags & F_TRACE)
		(void)trace_start(&(struct cv_cmd_trace){.n_packets = 1});
	w->tsc = rte_rdtsc();
	ether_input(w, flags & F_PORT, &m, 1);
	while (slow_poll(w))
		;
	if (flags & F_TIME) {
		now_ms += 500;
		fwd_tick(w, now_ms);
		ipsec_tick(w, now_ms);
		trace_collect(ignore_trace);
	}
	tx_flush(w);
	dp_defer_run();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size > 3) {
		unsigned len = (data[1] & 7u) << 8 | data[2];
		uint8_t flags = data[0];

		data += 3;
		size -= 3;
		len = len < size ? len : (unsigned)size;
		run_frame(flags, data, len);
		data += len;
		size -= len;
	}
	must(rte_mempool_in_use_count(dp_pool()) <= KEPT_MAX, "packet buffers are lost");
	return 0;
}
