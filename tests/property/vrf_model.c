/* SPDX-License-Identifier: BSD-3-Clause */
/* Where packets have to come out: every question answered by going through plain lists. */
#include "vrf_model.h"

#include <netinet/in.h>

#include "cv_addr.h"

struct model model;

static const struct route *model_route(uint32_t vrf, const struct cv_addr *dst)
{
	const struct route *best = NULL;

	for (unsigned i = 0; i < model.n_route; i++) {
		const struct route *r = &model.route[i];

		if (r->vrf == vrf && cv_prefix_contains(&r->prefix, dst) && (!best || r->prefix.len > best->prefix.len))
			best = r;
	}
	return best;
}

static bool in_range(const struct cv_range *r, const struct cv_addr *a)
{
	return r->lo.af == a->af && cv_addr_cmp(a, &r->lo) >= 0 && cv_addr_cmp(a, &r->hi) <= 0;
}

static bool selects(const struct cv_selector *s, const struct packet *p)
{
	return in_range(&s->src, &p->src) && in_range(&s->dst, &p->dst) && (!s->proto || s->proto == IPPROTO_UDP) &&
	       p->sport >= s->sport_lo && p->sport <= s->sport_hi && p->dport >= s->dport_lo && p->dport <= s->dport_hi;
}

static struct packet mirrored(const struct packet *p)
{
	struct packet m = *p;

	m.src = p->dst;
	m.dst = p->src;
	m.sport = p->dport;
	m.dport = p->sport;
	return m;
}

/* The first rule of a front's policy for a flow of one VRF (VRF-7). */
static const struct rule *model_policy(uint32_t front, const struct packet *p)
{
	for (unsigned i = front * RULES_PER_FRONT; i < (front + 1) * RULES_PER_FRONT; i++) {
		const struct rule *r = &model.rule[i];

		if ((r->c.vrf_id == CV_VRF_ANY || r->c.vrf_id == p->vrf) && selects(&r->c.sel, p))
			return r;
	}
	return NULL;
}

static struct expected sent(unsigned base, unsigned n, unsigned mac)
{
	return (struct expected){.what = SENT, .port = port_of(base, n), .vlan = vlan_of(n), .mac = mac};
}

struct expected model_forward(const struct packet *p)
{
	const struct route *r = model_route(p->vrf, &p->dst);

	if (!r)
		return (struct expected){.what = NO_ROUTE};
	if (!r->to_front)
		return sent(PORT_LAN, p->vrf, p->vrf);
	const struct rule *rule = model_policy(r->front, p);
	uint32_t action = rule ? rule->c.action : CV_SPD_BYPASS;

	if (action == CV_SPD_DISCARD)
		return (struct expected){.what = LOST};
	if (action == CV_SPD_BYPASS)
		return sent(PORT_FRONT, r->front, gateway_mac(r->front, r->gateway));
	if (!rule->has_sa)
		return (struct expected){.what = ACQUIRE};
	/* VRF-11 step 4, VRF-13: by the peer's address in the front VRF, whatever the inside VRF says about it. */
	struct expected e = sent(PORT_FRONT, r->front, gateway_mac(r->front, rule->peer));

	e.what = TUNNELLED;
	e.rule = rule;
	return e;
}

/* A packet in clear on a front's interface: believed only if policy would let it out unprotected (IPSEC-30). */
struct expected model_from_front(uint32_t front, const struct packet *p)
{
	struct packet m = mirrored(p);
	const struct rule *rule = model_policy(front, &m);

	if (rule && rule->c.action != CV_SPD_BYPASS)
		return (struct expected){.what = LOST};
	return model_forward(p);
}

/* VRF-14: out of the tunnel, in the inside VRF of the far end. */
struct expected model_far(const struct rule *rule, const struct packet *p)
{
	struct packet m = mirrored(p);
	uint32_t inside = rule->c.vrf_id;

	if (!selects(&rule->in_sel, &m))
		return (struct expected){.what = LOST};
	const struct route *r = model_route(VRF_FAR(inside), &p->dst);

	if (!r)
		return (struct expected){.what = NO_ROUTE};
	if (inside == VRF_FRONT(rule->front))
		return sent(PORT_FAR_FRONT, rule->front, LAN_GATEWAY_MAC);
	return sent(PORT_FAR_LAN, inside, inside);
}
