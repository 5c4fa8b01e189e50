/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipsec_rig.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "cv_addr.h"
#include "fib.h"
#include "iface.h"
#include "trace.h"
#include "tunnel.h"

struct rte_mbuf *rig_slow_pkt[RIG_RECORDED];
enum slow_reason rig_slow_why[RIG_RECORDED];
unsigned rig_n_slow;
struct rte_mbuf *rig_forwarded[RIG_RECORDED];
unsigned rig_n_forwarded;
struct cv_msg rig_event[RIG_RECORDED];
unsigned rig_n_events;
uint16_t rig_mtu = 9000;

/* ---- in place of the rest of the process ---- */

static struct iface_view interfaces;
const struct iface_view *iface_view_current = &interfaces;
unsigned rig_n_tunnel_changes;

void iface_tunnel_changed(void)
{
	rig_n_tunnel_changes++;
}

void rig_interface(const struct dp_if *ifp)
{
	interfaces.by_id[ifp->id] = ifp;
	memset(interfaces.tunnel_first, 0, sizeof(interfaces.tunnel_first));
	if (ifp->type == CV_IF_TUNNEL)
		tunnel_enlist(&interfaces, ifp);
}

const struct dp_if *iface_staged(uint32_t if_id)
{
	return interfaces.by_id[if_id];
}

uint32_t fib_generation_current;
int32_t trace_wanted;
struct cv_addr rig_gateway_changed;

void fib_if_changed(uint32_t if_id)
{
	(void)if_id;
}

void fib_gateway_changed(uint32_t vrf_id, const struct cv_addr *gateway)
{
	(void)vrf_id;
	rig_gateway_changed = *gateway;
}

uint32_t fib_lookup(uint32_t vrf_id, const struct cv_addr *a)
{
	(void)vrf_id;
	(void)a;
	return FIB_WORD(FIB_ADJ, 5);
}

bool fib_is_local(uint32_t vrf_id, const struct cv_addr *a)
{
	(void)vrf_id;
	return a->b[0] == 192 && a->b[3] == 1;
}

uint16_t fib_path_mtu(uint32_t vrf_id, const struct cv_addr *dst)
{
	(void)vrf_id;
	(void)dst;
	return rig_mtu;
}

void dp_slow(struct worker *w, struct rte_mbuf *m, enum slow_reason why)
{
	(void)w;
	assert_true(rig_n_slow < RIG_RECORDED);
	rig_slow_why[rig_n_slow] = why;
	rig_slow_pkt[rig_n_slow++] = m;
}

void dp_event(struct cv_msg *msg)
{
	assert_true(rig_n_events < RIG_RECORDED);
	rig_event[rig_n_events++] = *msg;
}

void ip_forward(struct worker *w, struct pkt_vec *v)
{
	(void)w;
	for (uint32_t i = 0; i < v->n; i++) {
		assert_true(rig_n_forwarded < RIG_RECORDED);
		rig_forwarded[rig_n_forwarded++] = v->pkt[i];
	}
	v->n = 0;
}

void trace_step_slow(struct rte_mbuf *m, const char *stage, const char *fmt, ...)
{
	(void)m;
	(void)stage;
	(void)fmt;
}

void trace_end_slow(struct rte_mbuf *m, const char *stage, const char *note)
{
	(void)m;
	(void)stage;
	(void)note;
}

/* ---- set-up ---- */

/* The leak checker does not look into DPDK's memory, from which alone the crypto contexts are reached. */
static void rig_release(void)
{
	for (uint32_t i = 0; i <= dp_n_workers; i++) {
		ipsec_worker_destroy(dp_workers[i]->ipsec);
		dp_workers[i]->ipsec = NULL;
	}
}

int rig_init(uint32_t n_workers)
{
	static char prefix[32];
	snprintf(prefix, sizeof(prefix), "--file-prefix=t%d", (int)getpid());
	char *argv[] = {(char *)"test", (char *)"--no-huge", (char *)"-m", (char *)"256", (char *)"--no-shconf",
		(char *)"--no-pci", (char *)"--no-telemetry", (char *)"--log-level=*:error", prefix,
		(char *)"--iova-mode=va", (char *)"--lcores=0", NULL};
	if (rte_eal_init(11, argv) < 0)
		return -1;
	int err = dp_frame_init(&(struct frame_conf){.n_workers = n_workers, .n_mbufs = 4096});
	if (!err)
		err = ipsec_init();
	for (uint32_t i = 0; !err && i <= n_workers; i++)
		if (!(dp_workers[i]->ipsec = ipsec_worker_create(i, SOCKET_ID_ANY)))
			err = -1;
	return err ? err : atexit(rig_release);
}

void rig_clear(void)
{
	rte_pktmbuf_free_bulk(rig_slow_pkt, rig_n_slow);
	rte_pktmbuf_free_bulk(rig_forwarded, rig_n_forwarded);
	rig_n_slow = rig_n_forwarded = rig_n_events = 0;
	memset(worker_main()->stats->drops, 0, sizeof(worker_main()->stats->drops));
	dp_defer_run();
}

static const struct dp_module *module_of(uint16_t type)
{
	return type >= CV_CMD_SPD_SET && type <= CV_CMD_SPD_RULE_DEL ? &spd_module : &sa_module;
}

int rig_transaction(bool sync, const struct rig_cmd *cmd, unsigned n)
{
	const struct dp_module *mods[] = {&spd_module, &sa_module};
	char text[128] = "";
	int err = 0;
	for (int i = 0; sync && i < 2; i++)
		mods[i]->sync();
	for (unsigned i = 0; !err && i < n; i++)
		err = module_of(cmd[i].type)->stage(cmd[i].type, cmd[i].body, text);
	for (int i = 0; !err && i < 2; i++)
		err = mods[i]->prepare(text);
	for (int i = 0; i < 2; i++) {
		if (err)
			mods[i]->abort();
		else
			mods[i]->publish();
	}
	if (err)
		print_message("(refused: %s)\n", text);
	dp_defer_run();
	return err;
}

int rig_command(const struct dp_module *mod, uint16_t type, const void *body)
{
	assert_ptr_equal(mod, module_of(type));
	return rig_transaction(false, &(struct rig_cmd){type, body}, 1);
}

void rig_reset(void)
{
	assert_int_equal(rig_transaction(true, NULL, 0), 0);
	rig_clear();
	rig_mtu = 9000;
	fib_generation_current++;
}

int rig_fresh(void **state)
{
	(void)state;
	rig_reset();
	return 0;
}

void rig_addr(struct cv_addr *a, const char *text)
{
	assert_int_equal(cv_addr_parse(text, a), 0);
}

void rig_sel(struct cv_selector *s, const char *src_lo, const char *src_hi, const char *dst_lo, const char *dst_hi)
{
	memset(s, 0, sizeof(*s));
	rig_addr(&s->src.lo, src_lo);
	rig_addr(&s->src.hi, src_hi);
	rig_addr(&s->dst.lo, dst_lo);
	rig_addr(&s->dst.hi, dst_hi);
	s->sport_hi = s->dport_hi = UINT16_MAX;
}

bool rig_suite(unsigned n, struct algo_suite *s)
{
	uint64_t encr, integ;
	ipsec_crypto()->capabilities(&encr, &integ);
	integ |= 1; /* NONE */
	for (unsigned e = 1; e < CV_ENCR_MAX; e++)
		for (unsigned i = 0; i < CV_INTEG_MAX; i++)
			if (encr >> e & 1 && integ >> i & 1 && !algo_pair_wrong(50, e, i) && n-- == 0) {
				*s = (struct algo_suite){.encr = (uint8_t)e, .integ = (uint8_t)i};
				return true;
			}
	return false;
}

void rig_sel_any(struct cv_selector *s, uint8_t af)
{
	cv_selector_any(s, af);
}

void rig_sa(struct cv_sa *sa, enum cv_sa_dir dir, struct algo_suite suite, uint8_t outer_af, uint32_t index)
{
	memset(sa, 0, sizeof(*sa));
	sa->index = index;
	sa->spi = 0x12340000u + index;
	sa->dir = (uint8_t)dir;
	sa->mode = 1;
	sa->ipproto = 50;
	sa->encr = suite.encr;
	sa->integ = suite.integ;
	sa->rule_id = dir == CV_SA_OUT ? RIG_RULE : 0;
	rig_addr(&sa->src, outer_af == CV_AF_INET ? "192.0.2.1" : "2001:db8::1");
	rig_addr(&sa->dst, outer_af == CV_AF_INET ? "192.0.2.2" : "2001:db8::2");
	sa->udp_src = sa->udp_dst = 4500;
	sa->n_sel = 2;
	rig_sel_any(&sa->sel[0], CV_AF_INET);
	rig_sel_any(&sa->sel[1], CV_AF_INET6);
	sa->key_len = algo_key_len(suite.encr, suite.integ);
	for (unsigned i = 0; i < sa->key_len; i++)
		sa->key[i] = (uint8_t)(i + 1);
}

static void protect_rule(uint32_t id, uint8_t af, struct cv_spd_rule *r)
{
	*r = (struct cv_spd_rule){.spd_id = RIG_SPD,
		.rule_id = id,
		.prio = UINT64_C(10) << 32 | id,
		.action = CV_SPD_PROTECT,
		.vrf_id = CV_VRF_ANY};
	rig_sel_any(&r->sel, af);
}

void rig_protect_all(void)
{
	struct cv_spd spd = {.spd_id = RIG_SPD, .n_if = 1, .if_id = {RIG_IF}};
	struct cv_spd_rule r4, r6;
	protect_rule(RIG_RULE, CV_AF_INET, &r4);
	protect_rule(RIG_RULE + 1, CV_AF_INET6, &r6);
	const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd}, {CV_CMD_SPD_RULE_SET, &r4}, {CV_CMD_SPD_RULE_SET, &r6}};
	assert_int_equal(rig_transaction(false, c, 3), 0);
}

struct rte_mbuf *rig_packet(const void *bytes, size_t len)
{
	struct rte_mbuf *m = dp_alloc();
	assert_non_null(m);
	char *p = rte_pktmbuf_append(m, (uint16_t)len);
	assert_non_null(p);
	memcpy(p, bytes, len);
	pkt_meta(m)->if_tx = RIG_IF;
	pkt_meta(m)->if_rx = RIG_IF;
	return m;
}

static void fill_payload(uint8_t *p, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
}

struct rte_mbuf *rig_udp(uint8_t af, uint32_t len, bool df, uint32_t seed)
{
	static __thread uint8_t b[10000];
	memset(b, 0, 60);
	uint32_t ip_len = af == CV_AF_INET ? 20 : 40;
	struct cv_addr src, dst;
	rig_addr(&src, af == CV_AF_INET ? "10.1.0.5" : "2001:db8:1::5");
	rig_addr(&dst, af == CV_AF_INET ? "10.2.0.9" : "2001:db8:2::9");
	if (af == CV_AF_INET) {
		struct rte_ipv4_hdr *ip = (void *)b;
		ip->version_ihl = 0x45;
		ip->type_of_service = 0xb8;
		ip->total_length = rte_cpu_to_be_16((uint16_t)len);
		ip->packet_id = rte_cpu_to_be_16((uint16_t)seed);
		ip->fragment_offset = df ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0;
		ip->time_to_live = 60;
		ip->next_proto_id = 17;
		memcpy(&ip->src_addr, src.b, 4);
		memcpy(&ip->dst_addr, dst.b, 4);
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	} else {
		struct rte_ipv6_hdr *ip = (void *)b;
		ip->vtc_flow = rte_cpu_to_be_32(6u << 28 | 0xb8u << 20 | 0x12345);
		ip->payload_len = rte_cpu_to_be_16((uint16_t)(len - 40));
		ip->proto = 17;
		ip->hop_limits = 60;
		memcpy(ip->src_addr, src.b, 16);
		memcpy(ip->dst_addr, dst.b, 16);
	}
	fill_payload(b + ip_len, len - ip_len, seed);
	if (len >= ip_len + 8) { /* a known flow: ports 1000 -> 53 */
		struct rte_udp_hdr *udp = (void *)(b + ip_len);
		udp->src_port = RTE_BE16(1000);
		udp->dst_port = RTE_BE16(53);
		udp->dgram_len = rte_cpu_to_be_16((uint16_t)(len - ip_len));
	}
	return rig_packet(b, len);
}

unsigned rig_parts, rig_longest;

/* Where a part belongs in the whole, in bytes behind the IP header; and the length of its headers. */
static uint32_t part_offset(const uint8_t *p, uint32_t *head)
{
	bool v4 = p[0] >> 4 == 4;
	*head = v4 ? 20 : 48;
	return v4 ? (uint32_t)(p[6] << 8 | p[7]) % 8192u * 8u : (uint32_t)(p[42] << 8 | p[43]) & ~7u;
}

static void header_of_whole(struct rte_mbuf *m, uint8_t next)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	if (p[0] >> 4 == 4) {
		struct rte_ipv4_hdr *ip = (void *)p;
		ip->total_length = rte_cpu_to_be_16((uint16_t)m->pkt_len);
		ip->fragment_offset = 0;
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		return;
	}
	p[6] = next;
	p[4] = (uint8_t)((m->pkt_len - 40) >> 8);
	p[5] = (uint8_t)(m->pkt_len - 40);
}

struct rte_mbuf *rig_join(struct rte_mbuf **part, unsigned n)
{
	const uint8_t *first = rte_pktmbuf_mtod(part[0], const uint8_t *);
	struct rte_mbuf *whole = rig_packet(first, first[0] >> 4 == 4 ? 20 : 40);
	uint8_t next = first[0] >> 4 == 4 ? first[9] : first[40];
	uint32_t at = 0;
	*pkt_meta(whole) = *pkt_meta(part[0]);
	for (unsigned i = 0; i < n; i++) {
		uint32_t head, off = part_offset(rte_pktmbuf_mtod(part[i], const uint8_t *), &head);
		uint32_t len = part[i]->pkt_len - head;
		assert_int_equal(off, at);
		memcpy(rte_pktmbuf_append(whole, (uint16_t)len), rte_pktmbuf_mtod_offset(part[i], uint8_t *, head),
			len);
		at += len;
	}
	header_of_whole(whole, next);
	pkt_meta(whole)->frag = 0;
	rte_pktmbuf_free_bulk(part, n);
	return whole;
}

struct rte_mbuf *rig_out(struct rte_mbuf *m)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}}, bypass = {0}, outer = {0};
	ipsec_output(worker_main(), &v, &bypass, &outer);
	assert_int_equal(v.n, 0);
	assert_true(!bypass.n || bypass.n + outer.n == 1);
	rig_parts = outer.n;
	rig_longest = 0;
	for (unsigned i = 0; i < outer.n; i++)
		rig_longest = RTE_MAX(rig_longest, outer.pkt[i]->pkt_len);
	if (outer.n > 1)
		return rig_join(outer.pkt, outer.n);
	return bypass.n ? bypass.pkt[0] : outer.n ? outer.pkt[0] : NULL;
}

struct rte_mbuf *rig_in(struct rte_mbuf *m)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}}, inner = {0};
	struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	meta->l4_off = p[0] >> 4 == 4 ? 20 : 40;
	meta->l4_proto = p[0] >> 4 == 4 ? p[9] : p[6];
	ipsec_input(worker_main(), &v, &inner);
	return inner.n ? inner.pkt[0] : NULL;
}

uint64_t rig_drops(enum drop_reason why)
{
	return worker_main()->stats->drops[why];
}
