/* SPDX-License-Identifier: BSD-3-Clause */
#include "slowpath.h"

#include "announce.h"
#include "conn.h"
#include "host.h"
#include "icmp.h"
#include "iface.h"
#include "iphdr.h"
#include "keepalive.h"
#include "neigh_send.h"
#include "pipeline.h"
#include "reass.h"
#include "tunnel.h"
#include "worker.h"

#define TICK_MS 100u
#define UDP_IKE 500u
#define UDP_IKE_NATT 4500u

static uint16_t udp_port(const struct rte_mbuf *m, const struct pkt_meta *meta)
{
	return rte_be_to_cpu_16(rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, meta->l4_off)->dst_port);
}

static bool udp_ok(const struct rte_mbuf *m, const struct pkt_meta *meta)
{
	const struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, meta->l4_off);
	unsigned len = rte_pktmbuf_data_len(m) - meta->l4_off;

	if (rte_pktmbuf_data_len(m) < meta->l4_off + sizeof(*udp) || rte_be_to_cpu_16(udp->dgram_len) < sizeof(*udp) ||
		rte_be_to_cpu_16(udp->dgram_len) > len)
		return false;
	return (udp->dgram_cksum == 0 && !(meta->flags & PKT_F_IP6)) || ip_l4_sum_ok(m);
}

static void udp_input(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);

	if (!udp_ok(m, meta)) {
		dp_drop1(w, m, DROP_IP_MALFORMED);
		return;
	}
	uint16_t port = udp_port(m, meta);

	if (port == UDP_IKE || port == UDP_IKE_NATT) {
		punt_packet(w, m, CV_PUNT_IKE);
		return;
	}
	if (host_input(w, m))
		return;
	icmp_error(w, m, &icmp_port_unreachable);
	dp_drop1(w, m, DROP_LOCAL_UNKNOWN);
}

static void deliver(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	bool ip6 = meta->flags & PKT_F_IP6;

	bool group = host_group(m);

	if (meta->l4_proto == (ip6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) && (ip6 || !group))
		icmp_input(w, m);
	else if (meta->l4_proto == IPPROTO_UDP && !group)
		udp_input(w, m);
	else if (!host_input(w, m))
		dp_drop1(w, m, DROP_LOCAL_UNKNOWN);
}

/* What came in fragments and is now for the first time seen whole: ESP goes through the same stages as any other, here
 * on main, and UDP is shown to policy, which had no ports to go by in the later fragments. */
static bool wants_input_again(const struct rte_mbuf *m)
{
	uint8_t proto = pkt_meta((struct rte_mbuf *)(uintptr_t)m)->l4_proto;

	return proto == IPPROTO_ESP || proto == IPPROTO_AH || proto == IPPROTO_UDP || tunnel_protocol(proto);
}

void local_input(struct worker *w, struct rte_mbuf *m)
{
	struct stage_mark mark = stage_begin(w);
	bool fragment = pkt_meta(m)->frag != 0;

	if (fragment)
		m = reass_input(w, m);
	if (m && fragment && wants_input_again(m)) {
		struct pkt_vec v = {.n = 1, .pkt = {m}};

		ip_input(w, &v);
	} else if (m) {
		deliver(w, m);
	}
	stage_end(w, STAGE_LOCAL, 1, mark);
}

void fwd_tick(struct worker *w, uint64_t now_ms)
{
	static uint64_t next_ms;

	iface_refresh();
	conn_tick();
	announce_tick(w, now_ms);
	keepalive_tick(w, now_ms);
	if (now_ms < next_ms)
		return;
	next_ms = now_ms + TICK_MS;
	neigh_tick(w, now_ms);
	reass_tick(w, now_ms);
}
