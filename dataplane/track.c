/* SPDX-License-Identifier: BSD-3-Clause */
#include "track.h"

#include <rte_tcp.h>

#include "conn.h"
#include "fib.h"
#include "iphdr.h"
#include "multicast.h"
#include "nat.h"
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

static bool is_outside(const struct dp_if *ifp)
{
	return ifp && ifp->nat == CV_NAT_OUTSIDE;
}

static bool is_outward(const struct dp_if *rx, const struct dp_if *tx)
{
	return rx && rx->nat == CV_NAT_INSIDE && is_outside(tx);
}

static bool to_group(const struct conn_tuple *t)
{
	return t->af == CV_AF_INET6 ? ip6_is_multicast(t->dst) : (t->dst[0] & 0xf0) == 0xe0;
}

/* Does what the packet says begin a connection? Errors are about one that should be there, and RST ends it. */
static bool begins(const struct rte_mbuf *m, const struct conn_tuple *t, enum conn_what what)
{
	return what == CONN_PACKET && !(tcp_flags(m, what) & RTE_TCP_RST_FLAG) &&
	       !(t->sport == CONN_ECHO_PORT && (t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6));
}

/* ---- translation of a packet whose connection is known ---- */

/* What a packet of this direction is on the other side. */
static struct conn_tuple beyond(const struct conn *c, unsigned dir)
{
	return conn_tuple_mirror(&c->tuple[!dir]);
}

static bool has_other_destination(const struct conn *c, unsigned dir)
{
	return (c->flags & CV_CONN_F_NAT) &&
	       (memcmp(c->tuple[dir].dst, c->tuple[!dir].src, 16) != 0 || c->tuple[dir].dport != c->tuple[!dir].sport);
}

static bool has_other_source(const struct conn *c, unsigned dir)
{
	return has_other_destination(c, !dir);
}

static void translate(struct rte_mbuf *m, const struct conn *c, unsigned dir)
{
	struct pkt_meta *meta = pkt_meta(m);
	const struct conn_tuple to = beyond(c, dir);
	struct conn_tuple is;
	const enum conn_what what = conn_tuple_read(m, &is);

	if (what == CONN_NONE)
		return;
	conn_tuple_write(m, what, &is, &to);
	meta->flow_hash = 0;
	meta->flags |= PKT_F_TRANSLATED;
}

void track_restore(struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	const struct dp_if *tx = iface_get(meta->if_tx);
	struct conn_tuple is, back;
	unsigned dir;

	if (!(meta->flags & PKT_F_TRANSLATED) || !tx || conn_tuple_read(m, &is) != CONN_PACKET)
		return;
	/* an answer to it would come in by where it was to leave */
	back = conn_tuple_mirror(&is);
	back.vrf = (uint16_t)tx->vrf_id;
	const struct conn *c = conn_find(&back, &dir);

	if (!c)
		return;
	conn_tuple_write(m, CONN_PACKET, &is, &c->tuple[!dir]);
	meta->vrf = c->tuple[!dir].vrf;
	meta->flags &= ~PKT_F_TRANSLATED;
}

/* ---- input ---- */

/* Does it matter for what comes in by the interface whether it belongs to a connection, so that fragments have to be
 * put together? */
static bool matters(const struct dp_if *ifp)
{
	return ifp && (ifp->inspect || ifp->nat || ifp->acl_in[0] || ifp->acl_in[1]);
}

/* ESP and AH to this router are most of what comes in by an outside interface, and no business of ours; the rest of
 * what is addressed to it may be for whoever hides behind the address. */
static bool of_no_concern(const struct pkt_meta *meta, const struct dp_if *rx)
{
	return FIB_KIND(meta->adj) == FIB_LOCAL &&
	       (!is_outside(rx) || meta->l4_proto == IPPROTO_ESP || meta->l4_proto == IPPROTO_AH);
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
		const struct dp_if *rx = view->by_id[meta->if_rx];

		meta->conn = 0;
		meta->flags &= ~(PKT_F_TRACKED | PKT_F_ANSWER | PKT_F_TRANSLATED);
		if (of_no_concern(meta, rx)) {
			v->pkt[keep++] = m;
			continue;
		}
		if (unlikely(meta->frag) && matters(rx)) {
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

/* A packet from outside that is of no connection: does it begin one? False: it is taken. */
static bool from_outside(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	struct conn_tuple t;
	const enum conn_what what = conn_tuple_read(m, &t);

	if (meta->flags & PKT_F_IP6)
		return true;
	if (begins(m, &t, what) && nat_is_static(&t)) {
		dp_slow(w, m, SLOW_CONN);
		return false;
	}
	if (FIB_KIND(meta->adj) == FIB_LOCAL || !nat_owns(t.dst))
		return true;
	dp_drop1(w, m, DROP_NAT_UNKNOWN); /* it would be routed back to where it came from */
	return false;
}

void track_translate(struct worker *w, struct pkt_vec *v, const struct iface_view *view, struct pkt_vec *changed)
{
	const uint32_t total = v->n;

	v->n = changed->n = 0;
	for (uint32_t i = 0; i < total; i++) {
		struct rte_mbuf *m = v->pkt[i];
		struct pkt_meta *meta = pkt_meta(m);
		const struct conn *c = meta->conn ? conn_at(meta->conn >> 1) : NULL;
		const unsigned dir = meta->conn & 1;

		if (c && has_other_destination(c, dir)) {
			translate(m, c, dir);
			meta->vrf = c->tuple[!dir].vrf;
			meta->flags &= ~PKT_F_LOCAL;
			changed->pkt[changed->n++] = m;
		} else if (c || !is_outside(view->by_id[meta->if_rx]) || from_outside(w, m)) {
			v->pkt[v->n++] = m;
		}
	}
}

/* ---- output ---- */

static bool inspected(const struct dp_if *rx, const struct dp_if *tx)
{
	return (rx && (rx->inspect & CV_INSPECT_IN)) || (tx && (tx->inspect & CV_INSPECT_OUT));
}

/* Its sender will be told that its hops have run out, and it is not to hear of an address that it does not know. */
static bool ends_here(const struct rte_mbuf *m)
{
	return !(pkt_meta((struct rte_mbuf *)(uintptr_t)m)->flags & PKT_F_IP6) &&
	       rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *)->time_to_live <= 1;
}

bool track_output(struct worker *w, struct rte_mbuf *m, const struct iface_view *view)
{
	struct pkt_meta *meta = pkt_meta(m);
	const struct dp_if *rx = view->by_id[meta->if_rx], *tx = view->by_id[meta->if_tx];
	const bool outward = is_outward(rx, tx) && !(meta->flags & PKT_F_IP6);
	struct conn_tuple t;

	if (outward && ends_here(m))
		return true;
	meta->flags |= PKT_F_TRACKED;
	if (likely(meta->conn)) {
		const struct conn *c = conn_at(meta->conn >> 1);

		if (is_outside(tx) && has_other_source(c, meta->conn & 1))
			translate(m, c, meta->conn & 1);
		return true;
	}
	if (!outward && !inspected(rx, tx))
		return true;
	const enum conn_what what = meta->frag ? CONN_NONE : conn_tuple_read(m, &t);
	const bool wanted = !meta->frag && outward && nat_wants(w, m, &t);

	if (!meta->frag && !wanted && !inspected(rx, tx))
		return true;
	/* nobody answers a group, so that a stream to one is only something to remember when it is translated */
	if (meta->frag || ((wanted || !to_group(&t)) && begins(m, &t, what))) {
		trace_step(m, "connection", "%s", meta->frag ? "fragment, to main" : "new, to main");
		meta->flags &= ~PKT_F_TRACKED;
		dp_slow(w, m, SLOW_CONN);
		return false;
	}
	if (!wanted)
		return true;
	dp_drop1(w, m, DROP_NAT_UNKNOWN);
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

/* The connection that a packet begins. if_tx 0: it came from outside, to a static entry, and is not routed yet. */
static enum drop_reason begin(
	struct worker *w, struct rte_mbuf *m, const struct conn_tuple *t, uint32_t if_tx, struct conn **c)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const struct dp_if *rx = iface_get(meta->if_rx), *tx = if_tx ? iface_get(if_tx) : NULL;
	struct conn new = {.tuple = {*t, conn_tuple_mirror(t)}, .if_in = meta->if_rx, .if_out = if_tx};
	enum drop_reason why = DROP_NONE;

	new.flags = inspected(rx, tx) ? CV_CONN_F_INSPECT : 0;
	if (tx)
		new.tuple[1].vrf = (uint16_t)tx->vrf_id;
	if (!if_tx)
		why = nat_begin_in(&new);
	else if (is_outward(rx, tx) && t->af == CV_AF_INET)
		why = nat_begin_out(w, m, tx, &new);
	if (why)
		return why;
	*c = conn_add(&new);
	return *c ? DROP_NONE : DROP_CONN_FULL;
}

void track_slow(struct worker *w, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	struct pkt_vec v = {.n = 1, .pkt = {m}};
	enum drop_reason why = DROP_NONE;
	struct conn_tuple t;
	unsigned dir = 0;

	if (meta->frag) {
		m = reass_input(w, m);
		if (m)
			go_on_whole(w, m);
		return;
	}
	if (conn_tuple_read(m, &t) != CONN_PACKET) {
		dp_drop1(w, m, DROP_IP_MALFORMED);
		return;
	}
	/* the one before it may have been of the same connection */
	struct conn *c = conn_find(&t, &dir);

	if (!c)
		why = begin(w, m, &t, is_outside(iface_get(meta->if_rx)) && nat_is_static(&t) ? 0 : meta->if_tx, &c);
	if (why) {
		dp_drop1(w, m, why);
		return;
	}
	if (c->flags & CV_CONN_F_NAT) {
		translate(m, c, dir);
		meta->vrf = dir || has_other_destination(c, 0) ? c->tuple[!dir].vrf : meta->vrf;
	}
	meta->conn = 0;
	meta->flags |= PKT_F_TRACKED;
	if (to_group(&t)) { /* one copy of several: it has its way */
		meta->adj = multicast_copy_word(m);
		ip_forward_routed(w, &v);
	} else {
		ip_forward(w, &v);
	}
}

/* Is it still asked for by what it began with? */
static bool stays(const struct conn *c)
{
	const bool is_inspected =
		!(c->flags & CV_CONN_F_INSPECT) || inspected(iface_get(c->if_in), iface_get(c->if_out));

	return is_inspected && (!(c->flags & CV_CONN_F_NAT) || nat_stays(c));
}

void track_changed(void)
{
	conn_judge(stays);
}
