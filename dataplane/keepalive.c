/* SPDX-License-Identifier: BSD-3-Clause */
#include "keepalive.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>

#include "fib.h"
#include "gre.h"
#include "pipeline.h"
#include "trace.h"
#include "tunnel.h"
#include "worker.h"

static struct {
	uint64_t due_ms;
	uint32_t unanswered; /* sent since one came back */
	uint16_t interval_s; /* that due_ms was reckoned with; 0 = none was sent yet */
	bool lost;
	bool heard; /* workers set it, main clears it */
} state[CV_IF_MAX];

void keepalive_heard(uint32_t if_id)
{
	__atomic_store_n(&state[if_id].heard, true, __ATOMIC_RELAXED);
}

bool keepalive_lost(uint32_t if_id)
{
	return state[if_id].lost;
}

/* What comes back: from the other end to us. Sequence numbers are the tunnel's own business. */
static uint32_t write_answer(uint8_t *p, const struct cv_tunnel *t)
{
	struct cv_tunnel plain = *t;
	struct rte_ipv4_hdr *ip = (void *)p;

	plain.flags &= CV_TUNNEL_F_KEY | CV_TUNNEL_F_CHECKSUM;
	const uint32_t len = sizeof(*ip) + gre_length(plain.flags);

	*ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.type_of_service = 0xc0, /* CS6, network control (RFC 4594 3.1) */
		.total_length = rte_cpu_to_be_16((uint16_t)len),
		.time_to_live = 255,
		.next_proto_id = IPPROTO_GRE};
	memcpy(&ip->src_addr, t->dst.b, 4);
	memcpy(&ip->dst_addr, t->src.b, 4);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	gre_write(p + sizeof(*ip), &plain, CV_AF_NONE, 0, 0);
	return len;
}

static void ask(struct worker *w, const struct dp_if *ifp)
{
	struct rte_mbuf *m = dp_alloc();

	if (!m) {
		w->stats->drops[DROP_NO_MBUF]++;
		return;
	}
	m->data_len = (uint16_t)write_answer(rte_pktmbuf_mtod(m, uint8_t *), &ifp->tunnel);
	m->pkt_len = m->data_len;
	pkt_meta(m)->vrf = ifp->vrf_id;
	pkt_meta(m)->flags = PKT_F_LOCAL_OUT;
	tunnel_send(w, ifp, m);
}

static void set_lost(uint32_t if_id, bool lost)
{
	if (state[if_id].lost != lost)
		iface_tunnel_changed();
	state[if_id].lost = lost;
}

static void tick_one(struct worker *w, const struct dp_if *ifp, uint64_t now_ms)
{
	const uint16_t interval = ifp->up ? ifp->tunnel.keepalive_s : 0;

	if (interval != state[ifp->id].interval_s) { /* new, or no longer: nothing is known to be lost */
		state[ifp->id].interval_s = interval;
		state[ifp->id].unanswered = 0;
		state[ifp->id].due_ms = now_ms;
		set_lost(ifp->id, false);
	}
	if (!interval)
		return;
	if (__atomic_exchange_n(&state[ifp->id].heard, false, __ATOMIC_RELAXED)) {
		state[ifp->id].unanswered = 0;
		set_lost(ifp->id, false);
	}
	if (now_ms < state[ifp->id].due_ms)
		return;
	if (state[ifp->id].unanswered >= ifp->tunnel.keepalive_retries)
		set_lost(ifp->id, true);
	else
		state[ifp->id].unanswered++;
	state[ifp->id].due_ms = now_ms + interval * UINT64_C(1000);
	ask(w, ifp);
}

void keepalive_tick(struct worker *w, uint64_t now_ms)
{
	const struct iface_view *v = iface_view();

	for (uint32_t i = 1; i < CV_IF_MAX; i++)
		if (v->by_id[i] && v->by_id[i]->type == CV_IF_TUNNEL)
			tick_one(w, v->by_id[i], now_ms);
}

bool keepalive_is_request(const struct rte_mbuf *m, const struct cv_tunnel *t)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	struct gre_header h;

	return p[0] == RTE_IPV4_VHL_DEF && p[9] == IPPROTO_GRE && t->src.af == CV_AF_INET &&
	       !memcmp(p + 12, t->src.b, 4) && !memcmp(p + 16, t->dst.b, 4) &&
	       gre_read(p + 20, rte_pktmbuf_data_len(m) - 20u, &h) && h.inner_af == CV_AF_NONE;
}
