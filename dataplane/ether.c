/* SPDX-License-Identifier: BSD-3-Clause */
/* Input of frames (pipeline.h): to which interface and VRF a frame belongs, and whether it is for us. Worker. */
#include "pipeline.h"

#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "fast.h"
#include "iface.h"
#include "trace.h"
#include "worker.h"

#define PREFETCH_AHEAD 4u
#define NO_MAC UINT64_MAX

static void drop_rx(struct worker *w, const struct dp_if *ifp, struct rte_mbuf *m, enum drop_reason why)
{
	pkt_meta(m)->flags = 0; /* not filled in yet */
	if (ifp)
		w->stats->ifc[ifp->id].rx_drops++;
	dp_drop1(w, m, why);
}

/* What a frame says before its payload. */
struct frame {
	uint16_t type; /* network order */
	uint16_t l2_len;
	uint16_t vlan_id;
};

static bool frame_parse(const struct rte_mbuf *m, struct frame *f)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	*f = (struct frame){.type = eth->ether_type, .l2_len = sizeof(*eth)};
	if (unlikely(rte_pktmbuf_data_len(m) < sizeof(*eth)))
		return false;
	if (likely(f->type != rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN)))
		return true;
	if (rte_pktmbuf_data_len(m) < sizeof(*eth) + sizeof(struct rte_vlan_hdr))
		return false;
	const struct rte_vlan_hdr *tag = (const struct rte_vlan_hdr *)(eth + 1);

	f->vlan_id = rte_be_to_cpu_16(tag->vlan_tci) & 0xfff; /* 0: priority tag only */
	f->type = tag->eth_proto;
	f->l2_len += sizeof(*tag);
	return true;
}

/* Frames that are not plain good IP for us: ARP to main, everything else dropped. */
static void frame_other(struct worker *w, const struct dp_if *ifp, struct rte_mbuf *m, const struct frame *f)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (f->type != rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP)) {
		drop_rx(w, ifp, m, DROP_L2_UNKNOWN);
		return;
	}
	rte_pktmbuf_adj(m, f->l2_len);
	*meta = (struct pkt_meta){.vrf = ifp->vrf_id, .if_rx = ifp->id};
	dp_slow(w, m, SLOW_ARP);
}

static void frame_input(
	struct worker *w, const struct dp_if *ifp, struct rte_mbuf *m, const struct frame *f, struct pkt_vec *v)
{
	uint64_t dst = mac48(rte_pktmbuf_mtod(m, const void *));
	bool group = dst & 1;

	if (unlikely(!ifp->up)) {
		drop_rx(w, ifp, m, DROP_IF_DOWN);
		return;
	}
	if (unlikely(!group && dst != mac48(ifp->mac))) {
		drop_rx(w, ifp, m, DROP_L2_UNKNOWN);
		return;
	}
	if (unlikely(f->type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) &&
		     f->type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6))) {
		frame_other(w, ifp, m, f);
		return;
	}
	if (unlikely(m->nb_segs > 1 && rte_pktmbuf_linearize(m) != 0)) {
		drop_rx(w, ifp, m, DROP_IP_MALFORMED);
		return;
	}
	*pkt_meta(m) = (struct pkt_meta){.vrf = ifp->vrf_id, .if_rx = ifp->id, .flags = group ? PKT_F_GROUP : 0};
	m->data_off += f->l2_len;
	m->data_len -= f->l2_len;
	m->pkt_len -= f->l2_len;
	v->pkt[v->n++] = m;
}

/* A frame that is not of the usual kind: tagged, group address, not IP, not for us. */
static void frame_slow(struct worker *w, const struct iface_view *view, const struct iface_port_map *map,
	struct rte_mbuf *m, struct pkt_vec *v)
{
	struct frame f;

	if (!map || !frame_parse(m, &f)) {
		drop_rx(w, NULL, m, DROP_L2_UNKNOWN);
		return;
	}
	const struct dp_if *ifp = view->by_id[f.vlan_id == 0 ? map->untagged : map->vlan[f.vlan_id]];

	if (!ifp) {
		drop_rx(w, NULL, m, DROP_VLAN_UNKNOWN);
		return;
	}
	w->stats->ifc[ifp->id].rx_packets++;
	w->stats->ifc[ifp->id].rx_bytes += m->pkt_len;
	frame_input(w, ifp, m, &f, v);
}

/* An untagged frame of one buffer with IP in it, to the MAC of the interface (NO_MAC never is one). */
static inline bool frame_usual(const struct rte_mbuf *m, uint64_t mac)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t type;

	memcpy(&type, p + 12, sizeof(type));
	return mac48(p) == mac && (type == RTE_BE16(RTE_ETHER_TYPE_IPV4) || type == RTE_BE16(RTE_ETHER_TYPE_IPV6)) &&
	       m->nb_segs == 1 && rte_pktmbuf_data_len(m) >= sizeof(struct rte_ether_hdr);
}

static void ether_vector(struct worker *w, uint32_t port_id, struct rte_mbuf **pkts, const uint16_t *learn, unsigned n,
	struct pkt_vec *v)
{
	const struct iface_view *view = iface_view();
	const struct iface_port_map *map = view->port[port_id];
	const struct dp_if *ifp = map ? view->by_id[map->untagged] : NULL;
	const uint64_t mac = ifp && ifp->up ? mac48(ifp->mac) : NO_MAC;
	const struct pkt_meta fresh = {.vrf = ifp ? ifp->vrf_id : 0, .if_rx = ifp ? ifp->id : 0};
	uint64_t bytes = 0;
	uint32_t packets = 0;

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		if (i + PREFETCH_AHEAD < n) {
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + PREFETCH_AHEAD], void *));
			rte_prefetch0(pkt_meta(pkts[i + PREFETCH_AHEAD]));
		}
		if (unlikely(!frame_usual(m, mac))) {
			frame_slow(w, view, map, m, v);
			continue;
		}
		bytes += m->pkt_len;
		packets++;
		*pkt_meta(m) = fresh;
		fast_mark(pkt_meta(m), learn[i]);
		m->data_off += sizeof(struct rte_ether_hdr);
		m->data_len -= sizeof(struct rte_ether_hdr);
		m->pkt_len -= sizeof(struct rte_ether_hdr);
		v->pkt[v->n++] = m;
	}
	if (packets) {
		w->stats->ifc[ifp->id].rx_packets += packets;
		w->stats->ifc[ifp->id].rx_bytes += bytes;
	}
}

static void trace_received(struct pkt_vec *v)
{
	for (unsigned i = 0; i < v->n && trace_armed(); i++)
		trace_pick(v->pkt[i]);
}

/* All that the fast path does not know. */
static void long_way(struct worker *w, uint32_t port_id, struct rte_mbuf **pkts, const uint16_t *learn, unsigned n)
{
	struct stage_mark mark = stage_begin(w);
	struct pkt_vec v;

	v.n = 0; /* and no more: clearing the whole of it costs as much as a packet */
	ether_vector(w, port_id, pkts, learn, n, &v);
	if (unlikely(trace_armed()))
		trace_received(&v);
	stage_end(w, STAGE_ETHER_INPUT, n, mark);
	if (v.n)
		ip_input(w, &v);
}

void ether_input(struct worker *w, uint32_t port_id, struct rte_mbuf **pkts, unsigned n)
{
	const uint16_t *learn;

	n = fast_input(w, port_id, pkts, n, &learn);
	if (n)
		long_way(w, port_id, pkts, learn, n);
	fast_end(w);
}
