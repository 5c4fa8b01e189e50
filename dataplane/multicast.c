/* SPDX-License-Identifier: BSD-3-Clause */
#include "multicast.h"

#include "cv_addr.h"
#include "fib.h"
#include "host_mroute.h"
#include "iface.h"
#include "mfib.h"
#include "neigh.h"
#include "pipeline.h"
#include "trace.h"
#include "worker.h"

bool multicast_routable(struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);

	if (pkt_meta(m)->flags & PKT_F_IP6)
		return ip6_is_multicast(p + 24) && !cv_multicast_stays_on_link(CV_AF_INET6, p + 24);
	return p[16] >> 4 == 0xe && !cv_multicast_stays_on_link(CV_AF_INET, p + 16);
}

static uint32_t find(struct rte_mbuf *m, const struct mfib_ways **ways)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	const bool ip6 = pkt_meta(m)->flags & PKT_F_IP6;
	struct cv_addr group = {.af = ip6 ? CV_AF_INET6 : CV_AF_INET}, source = group;

	memcpy(source.b, p + (ip6 ? 8 : 12), ip6 ? 16 : 4);
	memcpy(group.b, p + (ip6 ? 24 : 16), ip6 ? 16 : 4);
	return mfib_find(pkt_meta(m)->vrf, &group, &source, ways);
}

static uint8_t hops_left(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, const uint8_t *)[pkt_meta(m)->flags & PKT_F_IP6 ? 7 : 8];
}

uint32_t multicast_copy_word(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const struct dp_if *tx = iface_get(meta->if_tx);
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	const bool ip6 = meta->flags & PKT_F_IP6;
	uint32_t adj, group;

	if (!tx)
		return 0;
	if (tx->type == CV_IF_TUNNEL)
		return FIB_TUNNEL_WORD(tx->id, 0);
	memcpy(&group, p + 16, sizeof(group));
	adj = ip6 ? neigh_find(tx->id, CV_AF_INET6, neigh_key6(p + 24))
		  : neigh_find(tx->id, CV_AF_INET, neigh_key4(group));
	return adj ? FIB_WORD(FIB_ADJ, adj) : 0;
}

uint32_t multicast_untabled_word(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const struct dp_if *ifp = iface_get(meta->if_rx);
	const bool held = meta->flags & PKT_F_SCHEDULED;
	struct cv_addr dst = {.af = CV_AF_INET6};

	if (!(meta->flags & PKT_F_IP6))
		return held ? multicast_copy_word(m) : FIB_WORD(FIB_BROADCAST, 0);
	memcpy(dst.b, rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->dst_addr, 16);
	if (!ip6_is_multicast(dst.b))
		return ifp && iface_owns(ifp, &dst) ? FIB_WORD(FIB_LOCAL, ifp->id) : 0;
	if (held)
		return multicast_copy_word(m);
	/* Neighbour discovery comes to multicast addresses; which ones are ours is looked at on main. So do the reports
	 * of those who listen to a group, to the group itself, with one hop. */
	if (meta->l4_proto == IPPROTO_ICMPV6 && ifp &&
		(cv_multicast_stays_on_link(CV_AF_INET6, dst.b) || hops_left(m) <= 1))
		return FIB_WORD(FIB_LOCAL, ifp->id);
	return FIB_WORD(FIB_BROADCAST, 0);
}

static bool is_open(uint32_t if_id)
{
	const struct dp_if *ifp = iface_get(if_id);

	return ifp && ifp->up && ifp->link;
}

/* NULL: no buffer is free, which is counted. */
static struct rte_mbuf *copy_of(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, dp_pool(), 0, UINT32_MAX);

	if (unlikely(!copy)) {
		w->stats->drops[DROP_NO_MBUF]++;
		return NULL;
	}
	*pkt_meta(copy) = *pkt_meta(m);
	pkt_meta(copy)->flags &= ~PKT_F_TRACED; /* one story is told: that of the last */
	return copy;
}

static void send_by(struct worker *w, struct rte_mbuf *m, uint32_t word, struct pkt_vec *out)
{
	pkt_meta(m)->adj = word;
	out->pkt[out->n++] = m;
	if (out->n == DP_VEC) {
		ip_forward_routed(w, out);
		out->n = 0;
	}
}

/* A copy for each way out but the last, which takes the packet itself. Returns how many went. */
static uint32_t replicate(struct worker *w, struct rte_mbuf *m, const struct mfib_ways *y, struct pkt_vec *out)
{
	const uint8_t hops = hops_left(m);
	const struct mfib_out *last = NULL;
	uint32_t n = 0;

	for (const struct mfib_out *o = y->out; o < y->out + y->n_out; o++) {
		if (hops <= o->ttl || !is_open(o->if_id))
			continue;
		struct rte_mbuf *copy = last ? copy_of(w, m) : NULL;

		if (copy)
			send_by(w, copy, last->word, out);
		n += copy != NULL;
		last = o;
	}
	if (!last)
		return 0;
	send_by(w, m, last->word, out);
	return n + 1;
}

/* The host's daemons are asked, if there is one for this interface. */
static void ask_host(struct worker *w, struct rte_mbuf *m, enum slow_reason how, enum drop_reason nobody)
{
	const struct pkt_meta *meta = pkt_meta(m);

	if (host_multicast(meta->if_rx, meta->flags & PKT_F_IP6))
		dp_slow(w, m, how);
	else
		dp_drop1(w, m, nobody);
}

/* The kernel counts what its route would forward, and daemons look there for whether a stream still flows. With one hop
 * left it counts and does not forward. */
static void show_sample(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = copy_of(w, m);

	if (!copy)
		return;
	if (pkt_meta(copy)->flags & PKT_F_IP6) {
		rte_pktmbuf_mtod(copy, struct rte_ipv6_hdr *)->hop_limits = 1;
	} else {
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(copy, struct rte_ipv4_hdr *);

		ip->time_to_live = 1;
		ip->hdr_checksum = 0;
		ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, rte_ipv4_hdr_len(ip));
	}
	ask_host(w, copy, SLOW_MULTICAST, DROP_MULTICAST);
}

static void forward_one(struct worker *w, struct rte_mbuf *m, struct pkt_vec *out)
{
	struct pkt_meta *meta = pkt_meta(m);
	const struct mfib_ways *y;
	/* Reports of who listens may go to the group itself (RFC 2236 9). */
	const bool report = meta->l4_proto == IPPROTO_IGMP && !(meta->flags & PKT_F_IP6);
	const uint32_t slot = report ? 0 : find(m, &y);
	struct cv_mroute_counters *c = &w->stats->mroute[slot];

	if (!slot) {
		ask_host(w, m, report ? SLOW_LOCAL : SLOW_MULTICAST, DROP_MULTICAST);
		return;
	}
	if (y->if_in != meta->if_rx) {
		trace_step(m, "multicast", "expected by interface %u", y->if_in);
		c->wrong_if++;
		if (y->host) /* PIM asserts who forwards (RFC 7761 4.6) */
			ask_host(w, m, SLOW_MULTICAST, DROP_MULTICAST_RPF);
		else
			dp_drop1(w, m, DROP_MULTICAST_RPF);
		return;
	}
	c->packets++;
	c->bytes += m->pkt_len;
	trace_step(m, "multicast", "route %u, %u ways out", slot, y->n_out);
	/* What becomes of the flow is not what becomes of one copy; and it goes on as any routed packet. */
	meta->flags &= ~(PKT_F_LEARN | PKT_F_GROUP);
	if (y->host && unlikely(mfib_sample_due(slot)))
		show_sample(w, m);
	const uint32_t copies = replicate(w, m, y, out);

	c->copies += copies;
	if (!copies)
		dp_drop1(w, m, hops_left(m) <= 1 ? DROP_TTL : DROP_MULTICAST_PRUNED);
}

void multicast_forward(struct worker *w, struct pkt_vec *v)
{
	struct pkt_vec out;

	out.n = 0;
	for (unsigned i = 0; i < v->n; i++)
		forward_one(w, v->pkt[i], &out);
	if (out.n)
		ip_forward_routed(w, &out);
	v->n = 0;
}
