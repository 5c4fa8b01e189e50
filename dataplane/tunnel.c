/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel_priv.h"

#include <rte_ip.h>

#include "cv_addr.h"
#include "esp.h"
#include "fib.h"
#include "gre.h"
#include "keepalive.h"
#include "pmtu.h"
#include "worker.h"

#define MTU_UNKNOWN 1500u /* no route to the other end: the packet is dropped there, by name */

struct tunnel_state tunnel_states[CV_IF_MAX + TUNNEL_HOPS_MAX];

/* ---- line protocol ---- */

/* Which of the SAs, newest first, each worker sends by; that for all of them. */
static uint32_t share_out(struct tunnel_state *t, uint32_t newest)
{
	uint32_t own[CV_WRITERS] = {0}, common = CV_SA_NONE;
	bool per_resource = false;

	for (uint32_t i = newest; i; i = sa_get(i)->next_in_rule) {
		const struct sa_conf *c = &sa_get(i)->conf;

		if (!c->resource && !common)
			common = i;
		if (c->resource && !own[c->resource])
			own[c->resource] = i;
		per_resource |= (c->flags & CV_SA_F_PER_RESOURCE) != 0;
	}
	for (unsigned w = 0; w < CV_WRITERS; w++)
		__atomic_store_n(&t->own[w], own[w], __ATOMIC_RELEASE);
	__atomic_store_n(&t->per_resource, per_resource, __ATOMIC_RELEASE);
	return common ? common : newest;
}

static void use_sa(struct tunnel_state *t, uint32_t sa_index)
{
	sa_index = share_out(t, sa_index);

	bool was = t->sa != CV_SA_NONE;
	const struct sa *sa = sa_get(sa_index);
	uint16_t fits = sa ? esp_inner_max(sa, MTU_UNKNOWN) : 0;

	__atomic_store_n(&t->sa, sa_index, __ATOMIC_RELEASE);
	__atomic_store_n(&t->seen, false, __ATOMIC_RELAXED); /* a new session may begin to count anew */
	if (was != (sa_index != CV_SA_NONE))
		iface_tunnel_changed();
	if (fits && fits != t->fits) { /* what leads through the tunnel has another MTU now */
		t->fits = fits;
		fib_generation_bump();
	}
}

void tunnel_use_sa(uint32_t if_id, uint32_t rule_id, uint32_t sa_index)
{
	uint32_t hop = tunnel_hop_of_rule(rule_id, 0);

	if (!hop)
		use_sa(&tunnel_states[if_id], sa_index);
	for (; hop; hop = tunnel_hop_of_rule(rule_id, hop))
		use_sa(&tunnel_states[CV_IF_MAX + hop], sa_index);
}

void tunnel_use_hop(uint32_t slot)
{
	const uint32_t rule_id = tunnel_hops[slot].conf.rule_id;

	tunnel_states[CV_IF_MAX + slot] = (struct tunnel_state){0};
	if (rule_id)
		use_sa(&tunnel_states[CV_IF_MAX + slot], sa_rule_first(rule_id));
}

bool tunnel_line(const struct dp_if *ifp)
{
	const struct cv_tunnel *t = &ifp->tunnel;
	uint32_t word;

	if (tunnel_is_multipoint(t))
		return fib_is_local(t->front_vrf, &t->src);
	if (t->flags & CV_TUNNEL_F_PROTECTED)
		return tunnel_states[ifp->id].sa != CV_SA_NONE;
	word = fib_lookup(t->front_vrf, &t->dst);
	return !keepalive_lost(ifp->id) && fib_is_local(t->front_vrf, &t->src) && word &&
	       FIB_KIND(word) != FIB_BLACKHOLE && word != FIB_WORD(FIB_TUNNEL, ifp->id);
}

bool tunnel_lines_changed(void)
{
	static uint32_t seen;
	const struct iface_view *v = iface_view();

	if (fib_generation() == seen)
		return false;
	seen = fib_generation();
	for (uint32_t i = 1; i < CV_IF_MAX; i++)
		if (v->by_id[i] && v->by_id[i]->type == CV_IF_TUNNEL && v->by_id[i]->up &&
			v->by_id[i]->link != tunnel_line(v->by_id[i]))
			return true;
	return false;
}

static bool leads_to(const struct dp_if *ifp, const struct cv_addr *dst)
{
	if (!tunnel_is_multipoint(&ifp->tunnel))
		return cv_addr_eq(&ifp->tunnel.dst, dst);
	return tunnel_hop_at(ifp->id, dst);
}

bool tunnel_sent(uint32_t vrf, const struct cv_addr *src, const struct cv_addr *dst, uint8_t proto, const uint8_t *l4,
	uint32_t len)
{
	const struct iface_view *v = iface_view();

	for (uint32_t i = 1; i < CV_IF_MAX; i++) {
		const struct cv_tunnel *t = v->by_id[i] ? &v->by_id[i]->tunnel : NULL;

		if (!t || v->by_id[i]->type != CV_IF_TUNNEL || t->flags & CV_TUNNEL_F_PROTECTED ||
			t->front_vrf != vrf || !cv_addr_eq(&t->src, src) || !leads_to(v->by_id[i], dst))
			continue;
		if (t->mode == CV_TUNNEL_GRE ? proto == IPPROTO_GRE && gre_is_of(l4, len, t)
					     : proto == (t->inner_af == CV_AF_INET ? IPPROTO_IPIP : IPPROTO_IPV6))
			return true;
	}
	return false;
}

/* ---- what fits ---- */

uint32_t tunnel_head(const struct cv_tunnel *t)
{
	return (t->src.af == CV_AF_INET ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr)) +
	       (t->mode == CV_TUNNEL_GRE ? gre_length(t->flags) : 0);
}

/* Bytes that fit through an unprotected tunnel's way out, outer header included. */
static uint16_t outer_mtu(const struct cv_tunnel *t, const struct cv_addr *dst)
{
	uint16_t mtu = fib_path_mtu(t->front_vrf, dst), learned = pmtu_get(t->front_vrf, dst);

	if (mtu == 0)
		mtu = MTU_UNKNOWN;
	return learned && learned < mtu ? learned : mtu;
}

/* The largest inner packet that there is room for on the way to this other end. The SA is that of a protected tunnel.
 */
static uint16_t transport_mtu(const struct dp_if *ifp, const struct cv_addr *dst, const struct sa *sa, uint32_t head)
{
	const uint16_t fits = sa ? esp_inner_mtu(sa, fib_generation()) : outer_mtu(&ifp->tunnel, dst);

	return (uint16_t)(fits > head ? fits - head : 0);
}

uint16_t tunnel_inner_mtu(
	const struct dp_if *ifp, const struct cv_addr *dst, uint8_t af, const struct sa *sa, uint32_t head)
{
	return RTE_MIN(iface_mtu(ifp, af), transport_mtu(ifp, dst, sa, head));
}

uint16_t tunnel_mtu(uint32_t word, const struct cv_addr *dst)
{
	static __thread unsigned nesting; /* a tunnel that leads into itself carries nothing, but is asked */
	const struct dp_if *ifp = iface_get(FIB_TUNNEL_IF(word));
	const bool multipoint = ifp && tunnel_is_multipoint(&ifp->tunnel);
	const struct tunnel_state *t = &tunnel_states[FIB_TUNNEL_IF(word)];
	const struct cv_addr *outer;
	const struct sa *sa = NULL;
	uint32_t hop = FIB_TUNNEL_HOP(word);

	if (!ifp)
		return 0;
	if (multipoint && !hop && !(hop = tunnel_hop_find(ifp->id, dst)))
		return iface_mtu(ifp, dst->af);
	if (multipoint)
		t = &tunnel_states[CV_IF_MAX + hop];
	outer = multipoint ? &tunnel_hops[hop].conf.outer : &ifp->tunnel.dst;
	if (nesting == TUNNEL_NESTING_MAX || (ifp->tunnel.flags & CV_TUNNEL_F_PROTECTED && !(sa = tunnel_sa(t))))
		return iface_mtu(ifp, dst->af);
	nesting++;
	uint16_t mtu = tunnel_inner_mtu(
		ifp, outer, dst->af, sa, ifp->tunnel.mode == CV_TUNNEL_IPSEC ? 0 : tunnel_head(&ifp->tunnel));
	nesting--;
	return mtu;
}

uint16_t tunnel_transport_mtu(const struct dp_if *ifp)
{
	const struct cv_tunnel *t = &ifp->tunnel;
	const struct sa *sa = NULL;

	if (!ifp->up || tunnel_is_multipoint(t) ||
		(t->flags & CV_TUNNEL_F_PROTECTED && !(sa = tunnel_sa(&tunnel_states[ifp->id]))))
		return 0;
	return transport_mtu(ifp, &t->dst, sa, t->mode == CV_TUNNEL_IPSEC ? 0 : tunnel_head(t));
}
