/* SPDX-License-Identifier: BSD-3-Clause */
#include "track.h"

#include <rte_tcp.h>

#include "conn.h"
#include "fib.h"
#include "iphdr.h"
#include "reass.h"
#include "trace.h"
#include "worker.h"

/* A packet with what it says about its connection. */
struct told {
	struct rte_mbuf *m;
	struct conn_tuple tuple;
	enum conn_what what;
};

static uint8_t tcp_flags(const struct rte_mbuf *m, enum conn_what what)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);

	if (what != CONN_PACKET || meta->l4_proto != IPPROTO_TCP ||
		meta->l4_off + sizeof(struct rte_tcp_hdr) > rte_pktmbuf_data_len(m))
		return 0;
	return rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, meta->l4_off)->tcp_flags;
}

static bool is_first(uint8_t tcp)
{
	return (tcp & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) == RTE_TCP_SYN_FLAG;
}

/* ---- input ---- */

/* Does it matter for what comes in by the interface whether it belongs to a connection, so that fragments have to be
 * put together? */
static bool matters(const struct dp_if *ifp)
{
	return ifp && (ifp->inspect || ifp->acl_in[0] || ifp->acl_in[1]);
}

/* ESP and AH to this router are most of what comes in by an outside interface, and no business of ours. */
static bool of_no_concern(const struct pkt_meta *meta)
{
	return FIB_KIND(meta->adj) == FIB_LOCAL;
}

static void note(struct rte_mbuf *m, const struct told *t)
{
	struct pkt_meta *meta = pkt_meta(m);
	const uint8_t tcp = tcp_flags(m, t->what);
	unsigned dir = 0;
	struct conn *c = conn_find(&t->tuple, &dir);

	if (!c || (dir && is_first(tcp))) /* a SYN alone answers nothing */
		return;
	if (t->what == CONN_PACKET)
		conn_seen(c, dir, tcp);
	meta->conn = c->index << 1 | dir;
	if (dir && (c->flags & CV_CONN_F_INSPECT))
		meta->flags |= PKT_F_ANSWER;
	trace_step(m, "connection", "%u, %s", c->index, dir ? "answer" : "from its originator");
}

void track_input(struct worker *w, struct pkt_vec *v, const struct iface_view *view)
{
	struct stage_mark mark = stage_begin(w);
	const uint32_t total = v->n;
	struct told told[DP_VEC];
	uint32_t keep = 0, n = 0;

	for (uint32_t i = 0; i < total; i++) {
		struct rte_mbuf *m = v->pkt[i];
		struct pkt_meta *meta = pkt_meta(m);

		meta->conn = 0;
		meta->flags &= ~(PKT_F_TRACKED | PKT_F_ANSWER);
		if (of_no_concern(meta)) {
			v->pkt[keep++] = m;
			continue;
		}
		if (unlikely(meta->frag) && matters(view->by_id[meta->if_rx])) {
			dp_slow(w, m, SLOW_CONN);
			continue;
		}
		v->pkt[keep++] = m;
		told[n].m = m;
		told[n].what = meta->frag ? CONN_NONE : conn_tuple_read(m, &told[n].tuple);
		if (told[n].what)
			conn_prefetch(&told[n++].tuple);
	}
	v->n = keep;
	for (uint32_t i = 0; i < n; i++)
		note(told[i].m, &told[i]);
	stage_end(w, STAGE_TRACK, total, mark);
}

/* ---- output ---- */

static bool inspected(const struct dp_if *rx, const struct dp_if *tx)
{
	return (rx && (rx->inspect & CV_INSPECT_IN)) || (tx && (tx->inspect & CV_INSPECT_OUT));
}

/* Does what the packet says begin a connection? Errors are about one that should be there, and RST ends it. */
static bool begins(const struct rte_mbuf *m, const struct conn_tuple *t, enum conn_what what)
{
	const bool group = t->af == CV_AF_INET6 ? ip6_is_multicast(t->dst) : (t->dst[0] & 0xf0) == 0xe0;

	return what == CONN_PACKET && !group && !(tcp_flags(m, what) & RTE_TCP_RST_FLAG) &&
	       !(t->sport == CONN_ECHO_PORT && (t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6));
}

bool track_output(struct worker *w, struct rte_mbuf *m, const struct iface_view *view)
{
	struct pkt_meta *meta = pkt_meta(m);
	struct conn_tuple t;

	if (likely(meta->conn) || !inspected(view->by_id[meta->if_rx], view->by_id[meta->if_tx])) {
		meta->flags |= PKT_F_TRACKED;
		return true;
	}
	if (likely(!meta->frag) && !begins(m, &t, conn_tuple_read(m, &t))) {
		meta->flags |= PKT_F_TRACKED;
		return true;
	}
	trace_step(m, "connection", "%s", meta->frag ? "fragment, to main" : "new, to main");
	dp_slow(w, m, SLOW_CONN);
	return false;
}

/* ---- main ---- */

/* The way the first fragment came, with the whole packet. */
static void go_on_whole(struct worker *w, struct rte_mbuf *m)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}};

	if (pkt_meta(m)->flags & PKT_F_DECAPPED)
		ip_input_inner(w, &v);
	else
		ip_input(w, &v);
}

static bool begin(const struct rte_mbuf *m, const struct conn_tuple *t)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	struct conn new = {.tuple = {*t, conn_tuple_mirror(t)},
		.flags = CV_CONN_F_INSPECT,
		.if_in = meta->if_rx,
		.if_out = meta->if_tx};
	const struct dp_if *tx = iface_get(meta->if_tx);

	if (tx)
		new.tuple[1].vrf = (uint16_t)tx->vrf_id;
	return conn_add(&new) != NULL;
}

void track_slow(struct worker *w, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	struct pkt_vec v = {.n = 1, .pkt = {m}};
	struct conn_tuple t;
	unsigned dir;

	if (meta->frag) {
		m = reass_input(w, m);
		if (m)
			go_on_whole(w, m);
		return;
	}
	/* the one before it may have been of the same connection */
	if (conn_tuple_read(m, &t) == CONN_PACKET && !conn_find(&t, &dir) && !begin(m, &t)) {
		dp_drop1(w, m, DROP_CONN_FULL);
		return;
	}
	meta->flags |= PKT_F_TRACKED;
	ip_forward(w, &v);
}

static bool stays(const struct conn *c)
{
	return inspected(iface_get(c->if_in), iface_get(c->if_out));
}

void track_if_changed(void)
{
	conn_judge(stays);
}
