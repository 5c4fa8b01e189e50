/* SPDX-License-Identifier: BSD-3-Clause */
#include "icmp.h"

#include <rte_icmp.h>

#include "fib.h"
#include "host.h"
#include "iface.h"
#include "iphdr.h"
#include "nd.h"
#include "neigh_send.h"
#include "pipeline.h"
#include "pmtu.h"
#include "slowpath.h"
#include "trace.h"
#include "track.h"
#include "tunnel.h"
#include "worker.h"

#define TTL 64u
#define ERRORS_PER_S 1000u
#define ECHOS_PER_S 20000u
#define QUOTE4_MAX 548u	 /* so that the whole message is at most 576 bytes (RFC 1812 4.3.2.3) */
#define QUOTE6_MAX 1232u /* at most the minimum MTU of 1280 bytes (RFC 4443 2.4 c) */

enum { ICMP4_UNREACH = 3, ICMP4_TIME = 11, ICMP6_UNREACH = 1, ICMP6_TOO_BIG = 2, ICMP6_TIME = 3 };
enum { ICMP6_ECHO = 128, ICMP6_ECHO_REPLY = 129 };

/* Both kinds of error have the same layout. */
struct icmp_err_hdr {
	uint8_t type, code;
	uint16_t checksum;
	uint32_t value; /* IPv4: unused, then MTU; IPv6: MTU; network order */
} __rte_packed;		/* behind an Ethernet header nothing is aligned */

const struct icmp_error icmp_port_unreachable = {
	.type4 = ICMP4_UNREACH, .code4 = 3, .type6 = ICMP6_UNREACH, .code6 = 4};
const struct icmp_error icmp_reassembly_timeout = {.type4 = ICMP4_TIME, .code4 = 1, .type6 = ICMP6_TIME, .code6 = 1};

struct bucket {
	uint32_t per_s;
	uint64_t credit; /* thousandths of a message */
	uint64_t last_ms;
};
static struct bucket errors = {.per_s = ERRORS_PER_S}, echos = {.per_s = ECHOS_PER_S};

/* A tenth of a second's worth may come at once. */
static bool take(struct bucket *b)
{
	uint64_t now = dp_now_ms(), most = b->per_s * 100ull;

	b->credit += (now - b->last_ms) * b->per_s;
	b->last_ms = now;
	if (b->credit > most)
		b->credit = most;
	if (b->credit < 1000)
		return false;
	b->credit -= 1000;
	return true;
}

/* ---- sending ---- */

/* Send what this box made as an answer: by the VRF's routes, or straight to the link, or into the tunnel, for
 * link-local addresses. */
static void send_out(struct worker *w, struct rte_mbuf *m, const struct pkt_meta *cause)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
	const struct dp_if *ifp = iface_get(cause->if_rx);
	struct pkt_vec v = {.n = 1, .pkt = {m}};
	struct cv_addr dst = {.af = CV_AF_INET6};

	if (!(pkt_meta(m)->flags & PKT_F_IP6) || !ip6_is_link_local(ip->dst_addr)) {
		ip_forward(w, &v);
		return;
	}
	memcpy(dst.b, ip->dst_addr, 16);
	if (ifp && ifp->type == CV_IF_TUNNEL)
		tunnel_send(w, ifp, m);
	else if (ifp)
		neigh_send(w, ifp, &dst, m);
	else
		dp_drop1(w, m, DROP_NO_IF);
}

/* An address of ours in the VRF of the packet: of the interface it came in by, else of any (out of a tunnel). */
static bool own_address(const struct pkt_meta *meta, const struct cv_addr *towards, struct cv_addr *out)
{
	const struct iface_view *view = iface_view();
	const struct dp_if *rx = iface_get(meta->if_rx);

	if (rx && rx->vrf_id == meta->vrf && iface_source(rx, towards->af, towards, out))
		return true;
	for (uint32_t i = 1; i < CV_IF_MAX; i++) {
		const struct dp_if *ifp = view->by_id[i];

		if (ifp && ifp->up && ifp->vrf_id == meta->vrf && iface_source(ifp, towards->af, towards, out) &&
			!(out->af == CV_AF_INET6 && ip6_is_link_local(out->b)))
			return true;
	}
	return false;
}

/* ---- errors ---- */

/* The host believes no packet that has its own address as source: it hears of what went wrong from the other end. */
static bool error_source(struct rte_mbuf *m, const struct cv_addr *towards, struct cv_addr *out)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const bool ip6 = meta->flags & PKT_F_IP6;

	if (!(meta->flags & PKT_F_HOST))
		return own_address(meta, towards, out);
	*out = (struct cv_addr){.af = towards->af};
	memcpy(out->b, rte_pktmbuf_mtod_offset(m, const uint8_t *, ip6 ? 24 : 16), ip6 ? 16 : 4);
	return true;
}

static bool is_icmp_error(const struct rte_mbuf *m, const struct pkt_meta *meta)
{
	uint8_t proto = meta->flags & PKT_F_IP6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	uint8_t type;

	if (meta->l4_proto != proto)
		return false;
	if (meta->l4_off >= rte_pktmbuf_data_len(m))
		return true; /* cannot tell */
	type = *rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->l4_off);
	return meta->flags & PKT_F_IP6 ? type < 128 : type != 0 && type != 8 && (type < 13 || type > 18);
}

static bool may_answer(const struct rte_mbuf *m, const struct pkt_meta *meta, bool too_big)
{
	bool ours = (meta->flags & PKT_F_LOCAL_OUT) && !(meta->flags & PKT_F_HOST);

	if (meta->frag == 2 || ours || is_icmp_error(m, meta))
		return false;
	if (meta->flags & PKT_F_IP6) {
		const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
		bool group = (meta->flags & PKT_F_GROUP) || ip6_is_multicast(ip->dst_addr);

		return (!group || too_big) && !ip6_is_multicast(ip->src_addr) && !ip6_is_low(ip->src_addr);
	}
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);

	return !(meta->flags & PKT_F_GROUP) && !ip4_is_multicast(ip->dst_addr) && ip->dst_addr != UINT32_MAX &&
	       !ip4_bad_source(ip->src_addr);
}

static void fill_ipv4(
	struct rte_mbuf *r, const struct cv_addr *src, const struct cv_addr *dst, const struct icmp_error *e)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(r, struct rte_ipv4_hdr *);
	struct icmp_err_hdr *icmp = (struct icmp_err_hdr *)(ip + 1);

	memset(ip, 0, sizeof(*ip));
	ip->version_ihl = 0x45;
	ip->type_of_service = 0xc0; /* internetwork control (RFC 1812 4.3.2.5) */
	ip->total_length = rte_cpu_to_be_16(rte_pktmbuf_data_len(r));
	ip->time_to_live = TTL;
	ip->next_proto_id = IPPROTO_ICMP;
	memcpy(&ip->src_addr, src->b, 4);
	memcpy(&ip->dst_addr, dst->b, 4);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*icmp = (struct icmp_err_hdr){.type = e->type4, .code = e->code4, .value = rte_cpu_to_be_32(e->mtu)};
	icmp->checksum = (uint16_t)~rte_raw_cksum(icmp, rte_pktmbuf_data_len(r) - sizeof(*ip));
}

static void fill_ipv6(
	struct rte_mbuf *r, const struct cv_addr *src, const struct cv_addr *dst, const struct icmp_error *e)
{
	struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(r, struct rte_ipv6_hdr *);
	struct icmp_err_hdr *icmp = (struct icmp_err_hdr *)(ip + 1);

	memset(ip, 0, sizeof(*ip));
	ip->vtc_flow = rte_cpu_to_be_32(6u << 28);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(rte_pktmbuf_data_len(r) - sizeof(*ip)));
	ip->proto = IPPROTO_ICMPV6;
	ip->hop_limits = TTL;
	memcpy(ip->src_addr, src->b, 16);
	memcpy(ip->dst_addr, dst->b, 16);
	*icmp = (struct icmp_err_hdr){.type = e->type6, .code = e->code6, .value = rte_cpu_to_be_32(e->mtu)};
	icmp->checksum = rte_ipv6_udptcp_cksum(ip, icmp);
}

static void sender_of(const struct rte_mbuf *m, bool ip6, struct cv_addr *a)
{
	*a = (struct cv_addr){.af = ip6 ? CV_AF_INET6 : CV_AF_INET};
	memcpy(a->b, rte_pktmbuf_mtod_offset(m, const uint8_t *, ip6 ? 8 : 12), ip6 ? 16 : 4);
}

void icmp_error(struct worker *w, struct rte_mbuf *m, const struct icmp_error *e)
{
	const struct pkt_meta *meta = pkt_meta(m);
	bool ip6 = meta->flags & PKT_F_IP6;
	unsigned quote = rte_pktmbuf_data_len(m), most = ip6 ? QUOTE6_MAX : QUOTE4_MAX;
	unsigned hdr = (ip6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr)) + sizeof(struct icmp_err_hdr);
	struct cv_addr to, own;

	track_restore(m);
	quote = quote < most ? quote : most;
	sender_of(m, ip6, &to);
	if (!may_answer(m, meta, e->type6 == ICMP6_TOO_BIG) || !error_source(m, &to, &own) || !take(&errors))
		return;
	struct rte_mbuf *r = dp_alloc();
	uint8_t *p = r ? (uint8_t *)rte_pktmbuf_append(r, (uint16_t)(hdr + quote)) : NULL;

	if (!p) {
		w->stats->drops[DROP_NO_MBUF]++;
		rte_pktmbuf_free(r);
		return;
	}
	memcpy(p + hdr, rte_pktmbuf_mtod(m, const void *), quote);
	if (ip6)
		fill_ipv6(r, &own, &to, e);
	else
		fill_ipv4(r, &own, &to, e);
	pkt_meta(r)->vrf = meta->vrf;
	pkt_meta(r)->flags = PKT_F_LOCAL_OUT | (ip6 ? PKT_F_IP6 : 0);
	send_out(w, r, meta);
}

/* Why the packet that an unreachable is about is dropped, by its code (RFC 792; RFC 1812 5.2.7.1; RFC 4443 3.1). */
static enum drop_reason unreach_reason(const struct pkt_meta *meta)
{
	if (meta->icmp_code == 0)
		return DROP_NO_ROUTE;
	return meta->icmp_code == (meta->flags & PKT_F_IP6 ? 3 : 1) ? DROP_NEIGH_FAIL : DROP_SPD_DISCARD;
}

void icmp_slow_error(struct worker *w, struct rte_mbuf *m, enum slow_reason why)
{
	const struct pkt_meta *meta = pkt_meta(m);
	struct icmp_error e = {.type4 = ICMP4_TIME, .type6 = ICMP6_TIME};
	enum drop_reason reason = DROP_TTL;

	if (why == SLOW_ICMP_UNREACH) {
		e = (struct icmp_error){.type4 = ICMP4_UNREACH,
			.code4 = meta->icmp_code,
			.type6 = ICMP6_UNREACH,
			.code6 = meta->icmp_code};
		reason = unreach_reason(meta);
	} else if (why == SLOW_ICMP_MTU) {
		e = (struct icmp_error){.type4 = ICMP4_UNREACH, .code4 = 4, .type6 = ICMP6_TOO_BIG, .mtu = meta->mtu};
		reason = DROP_MTU_DF;
	}
	icmp_error(w, m, &e);
	dp_drop1(w, m, reason);
}

/* ---- echo ---- */

static void swap_bytes(uint8_t *a, uint8_t *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

/* The request itself becomes the reply: addresses swapped, type changed, checksum adjusted by the difference. */
static void echo_reply(struct worker *w, struct rte_mbuf *m)
{
	struct pkt_meta cause = *pkt_meta(m), *meta = pkt_meta(m);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	struct icmp_err_hdr *icmp = (struct icmp_err_hdr *)(p + meta->l4_off);
	bool ip6 = meta->flags & PKT_F_IP6;

	if (ip6) {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)p;

		swap_bytes(ip->src_addr, ip->dst_addr, 16);
		ip->hop_limits = TTL;
		icmp->type = ICMP6_ECHO_REPLY;
		icmp->checksum = 0;
		icmp->checksum = rte_ipv6_udptcp_cksum(ip, icmp);
	} else {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)p;
		unsigned len = rte_pktmbuf_data_len(m) - meta->l4_off;

		swap_bytes((uint8_t *)&ip->src_addr, (uint8_t *)&ip->dst_addr, 4);
		ip->time_to_live = TTL;
		ip->fragment_offset = 0;
		ip->hdr_checksum = 0;
		ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, rte_ipv4_hdr_len(ip));
		icmp->type = 0;
		icmp->checksum = 0;
		icmp->checksum = (uint16_t)~rte_raw_cksum(icmp, len);
	}
	*meta = (struct pkt_meta){.vrf = cause.vrf,
		.trace_id = cause.trace_id,
		.flags = PKT_F_LOCAL_OUT | (cause.flags & (PKT_F_IP6 | PKT_F_TRACED)),
		.l4_off = cause.l4_off,
		.l4_proto = cause.l4_proto};
	trace_step(m, "icmp", "echo reply");
	send_out(w, m, &cause);
}

static bool checksum_ok(const struct rte_mbuf *m, const struct pkt_meta *meta)
{
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->l4_off);
	unsigned len = rte_pktmbuf_data_len(m) - meta->l4_off;

	return meta->flags & PKT_F_IP6 ? ip_l4_sum_ok(m) : rte_raw_cksum(icmp, len) == 0xffff;
}

void icmp_input(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	bool ip6 = meta->flags & PKT_F_IP6;

	if (meta->l4_off + sizeof(struct icmp_err_hdr) > rte_pktmbuf_data_len(m) || !checksum_ok(m, meta)) {
		dp_drop1(w, m, DROP_IP_MALFORMED);
		return;
	}
	uint8_t type = *rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->l4_off);

	if (ip6 && type >= ND_TYPE_FIRST && type <= ND_TYPE_LAST)
		nd_input(w, m);
	else if (type == (ip6 ? ICMP6_TOO_BIG : ICMP4_UNREACH) && pmtu_input(w, m))
		rte_pktmbuf_free(m);
	else if (type != (ip6 ? ICMP6_ECHO : RTE_IP_ICMP_ECHO_REQUEST)) {
		if (!host_input(w, m)) /* answers to the host's own questions, and errors about what it sent */
			dp_drop1(w, m, DROP_LOCAL_UNKNOWN);
	} else if (ip6 && ip6_is_multicast(rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->dst_addr))
		dp_drop1(w, m, DROP_MULTICAST);
	else if (!take(&echos))
		dp_drop1(w, m, DROP_SLOW_RATE);
	else
		echo_reply(w, m);
}
