/* SPDX-License-Identifier: BSD-3-Clause */
#include "urpf.h"

#include "fib.h"
#include "iphdr.h"
#include "neigh.h"
#include "worker.h"

/* Do packets with this route word leave by the interface? if_id 0: by any. */
static bool leads_out(uint32_t word, uint32_t if_id)
{
	switch (FIB_KIND(word)) {
	case FIB_ADJ:
		return !if_id || adj_table[FIB_NUM(word)].if_id == if_id;
	case FIB_GLEAN:
		return !if_id || FIB_NUM(word) == if_id;
	case FIB_TUNNEL:
		return !if_id || FIB_TUNNEL_IF(word) == if_id;
	case FIB_GROUP:
		for (unsigned i = 0; i < FIB_GROUP_BUCKETS; i++)
			if (leads_out(fib_groups[FIB_NUM(word)].bucket[i], if_id))
				return true;
		return false;
	default:
		return false;
	}
}

static bool accepts(const struct dp_if *ifp, uint8_t how, const struct cv_addr *src)
{
	unsigned plen;
	uint32_t word = fib_lookup_plen(ifp->vrf_id, src, &plen);

	return (plen || (how & CV_URPF_ALLOW_DEFAULT)) &&
	       leads_out(word, (how & CV_URPF_MODE) == CV_URPF_STRICT ? ifp->id : 0);
}

bool urpf_accepts4(const struct dp_if *ifp, uint32_t src)
{
	struct cv_addr a = {.af = CV_AF_INET};

	if (likely(!ifp->urpf4))
		return true;
	memcpy(a.b, &src, sizeof(src));
	return accepts(ifp, ifp->urpf4, &a);
}

bool urpf_accepts6(const struct dp_if *ifp, const uint8_t src[static 16])
{
	struct cv_addr a = {.af = CV_AF_INET6};

	if (!ifp->urpf6 || ip6_is_link_local(src) || ip6_is_low(src))
		return true;
	memcpy(a.b, src, sizeof(a.b));
	return accepts(ifp, ifp->urpf6, &a);
}

/* The interface whose setting judges a packet that came in by it, NULL = none does. */
static const struct dp_if *judge(uint32_t if_rx, bool inner)
{
	const struct dp_if *ifp = if_rx ? iface_get(if_rx) : NULL;

	if (!ifp || !(ifp->urpf4 | ifp->urpf6) || (inner && ifp->type != CV_IF_TUNNEL))
		return NULL;
	return ifp;
}

void urpf_check(struct worker *w, struct pkt_vec *v, bool one_if, bool inner)
{
	uint32_t last_if = pkt_meta(v->pkt[0])->if_rx;
	const struct dp_if *ifp = judge(last_if, inner);
	unsigned keep = 0;

	if (likely(one_if && !ifp))
		return;
	for (unsigned i = 0; i < v->n; i++) {
		struct rte_mbuf *m = v->pkt[i];
		const struct pkt_meta *meta = pkt_meta(m);

		if (meta->if_rx != last_if)
			ifp = judge(last_if = meta->if_rx, inner);
		if (!ifp ||
			(meta->flags & PKT_F_IP6
					? urpf_accepts6(ifp, rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->src_addr)
					: urpf_accepts4(
						  ifp, rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *)->src_addr))) {
			v->pkt[keep++] = m;
			continue;
		}
		w->stats->ifc[ifp->id].rx_drops++;
		dp_drop1(w, m, DROP_URPF);
	}
	v->n = keep;
}
