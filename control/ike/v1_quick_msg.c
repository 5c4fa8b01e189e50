/* SPDX-License-Identifier: BSD-3-Clause */
/* What quick mode negotiates (RFC 2407 4.4.4, 4.5, 4.6; RFC 4106 8): proposals, lifetimes, flows, keys. */
#include <errno.h>
#include <string.h>

#include "v1_internal.h"

#define DEFAULT_LIFE_S 28800u /* RFC 2407 4.5 */
#define LEAST_LIFE_S 60u      /* shorter ones are the peer's own to renew */
#define SPI_MIN 256u	      /* below: reserved (RFC 4303 2.1) */

static uint16_t encap_of(const struct v1_sa *v, bool transport)
{
	if (!v->sa.encap)
		return transport ? V1_ENCAP_TRANSPORT : V1_ENCAP_TUNNEL;
	if (v->natt_draft)
		return transport ? V1_ENCAP_UDP_TRANSPORT_DRAFT : V1_ENCAP_UDP_TUNNEL_DRAFT;
	return transport ? V1_ENCAP_UDP_TRANSPORT : V1_ENCAP_UDP_TUNNEL;
}

/* Transport mode is for flows between the peers (IPSEC-21). */
static bool may_transport(const struct v1_qm *q, const struct cfg_transform_set *t, const struct ike_child_params *p)
{
	return t->transport && ike_flow_is_peers(&p->sel[0], &q->sa->sa.path);
}

static uint16_t group_v1(enum ike_group g)
{
	const struct algo_ike *row = g == IKE_GROUP_NONE ? NULL : algo_ike_get(ALGO_IKE_GROUP, g, 0);
	return row ? row->v1 : 0;
}

static enum ike_group group_from_v1(uint16_t number)
{
	const struct algo_ike *row;
	for (size_t i = 0; (row = algo_ike_row(ALGO_IKE_GROUP, i)); i++)
		if (row->v1 == number && number)
			return (enum ike_group)row->id;
	return IKE_GROUP_NONE;
}

static void be32(uint8_t out[4], uint32_t v)
{
	out[0] = (uint8_t)(v >> 24);
	out[1] = (uint8_t)(v >> 16);
	out[2] = (uint8_t)(v >> 8);
	out[3] = (uint8_t)v;
}

/* ---- offer and answer ---- */

/* The protocols of a set, outermost first: its proposals, which share one number (RFC 2408 4.2). */
static unsigned protos_of(struct algo_suite s, uint8_t proto[V1_PARTS_MAX])
{
	unsigned n = 0;
	if (s.ah != CV_INTEG_NONE)
		proto[n++] = V1_PROTO_AH;
	if (s.encr != CV_ENCR_NONE)
		proto[n++] = V1_PROTO_ESP;
	if (s.comp != ALGO_COMP_NONE)
		proto[n++] = V1_PROTO_IPCOMP;
	return n;
}

static uint8_t transform_id(struct algo_suite s, uint8_t proto)
{
	if (proto == V1_PROTO_IPCOMP)
		return s.comp;
	return (uint8_t)(proto == V1_PROTO_AH ? algo_integ_get(s.ah)->v1_ah : algo_encr_get(s.encr)->v1);
}

static void put_transform_attrs(
	const struct v1_qm *q, struct v1_out *o, const struct cfg_transform_set *t, uint8_t proto)
{
	const struct algo_encr *encr = proto == V1_PROTO_ESP ? algo_encr_get(t->suite.encr) : NULL;
	const struct algo_integ *integ = algo_integ_get(encr ? t->suite.integ : t->suite.ah);
	const struct ike_child_params *p = &q->child->c.p;
	v1_out_attr(o, V1_P2_LIFE_TYPE, V1_LIFE_SECONDS);
	v1_out_attr(o, V1_P2_LIFE, p->lifetime_s);
	if (p->lifetime_kb) {
		v1_out_attr(o, V1_P2_LIFE_TYPE, V1_LIFE_KB);
		v1_out_attr(o, V1_P2_LIFE, p->lifetime_kb > UINT32_MAX ? UINT32_MAX : (uint32_t)p->lifetime_kb);
	}
	v1_out_attr(o, V1_P2_ENCAP, encap_of(q->sa, may_transport(q, t, p)));
	if (proto == V1_PROTO_IPCOMP)
		return;
	if (integ)
		v1_out_attr(o, V1_P2_AUTH, integ->v1_auth);
	if (encr && encr->key_bits)
		v1_out_attr(o, V1_P2_KEY_LEN, encr->key_bits);
	if (q->group != IKE_GROUP_NONE)
		v1_out_attr(o, V1_P2_GROUP, group_v1(q->group));
	if (t->esn)
		v1_out_attr(o, V1_P2_ESN, 1); /* RFC 4304 section 2 */
}

static void begin_sa(struct v1_out *o)
{
	v1_out_begin(o, V1_PL_SA);
	v1_out_u32(o, 1);
	v1_out_u32(o, 1);
}

static size_t begin_prop(const struct v1_qm *q, struct v1_out *o, bool more, uint8_t num, uint8_t proto, uint8_t n,
	struct algo_suite suite)
{
	const struct ike_child_params *p = &q->child->c.p;
	uint8_t spi[4];
	if (proto == V1_PROTO_IPCOMP) { /* RFC 3173 4.1: the CPI is the SPI */
		be32(spi, ike_child_cpi(p));
		return v1_out_prop(o, more, num, proto, spi + 2, 2, n);
	}
	be32(spi, proto == V1_PROTO_AH && ike_suite_bundle(suite) ? p->ah_spi_in : p->spi_in);
	return v1_out_prop(o, more, num, proto, spi, 4, n);
}

/* IKEv1 has a number for all of it. */
static bool offerable(const struct cfg_transform_set *t)
{
	const struct algo_encr *encr = algo_encr_get(t->suite.encr);
	const struct algo_integ *integ = algo_integ_get(t->suite.integ), *ah = algo_integ_get(t->suite.ah);
	return (!ah || (ah->v1_ah && ah->v1_auth)) && (!encr || (encr->v1 && (!integ || integ->v1_auth)));
}

/* Transform sets of one protocol that follow each other are one proposal, so that the order stays (IPSEC-49); a bundle
 * has a number of its own. */
static unsigned same_proto(const struct cfg_transform_set *const *t, unsigned n)
{
	uint8_t first[V1_PARTS_MAX] = {0}, next[V1_PARTS_MAX] = {0};
	unsigned k = 1;
	if (protos_of(t[0]->suite, first) > 1)
		return 1;
	while (k < n && protos_of(t[k]->suite, next) == 1 && next[0] == first[0])
		k++;
	return k;
}

static void put_prop(const struct v1_qm *q, struct v1_out *o, bool more, uint8_t num, uint8_t proto,
	const struct cfg_transform_set *const *t, unsigned n)
{
	size_t prop = begin_prop(q, o, more, num, proto, (uint8_t)n, t[0]->suite);
	for (unsigned i = 0; i < n; i++) {
		size_t at = v1_out_trans(o, i + 1 < n, (uint8_t)(i + 1), transform_id(t[i]->suite, proto));
		put_transform_attrs(q, o, t[i], proto);
		v1_out_sub_end(o, at);
	}
	v1_out_sub_end(o, prop);
}

bool v1_quick_offer(const struct v1_qm *q, struct v1_out *o)
{
	const struct cfg_map_entry *e = q->child->c.p.entry;
	const struct cfg_transform_set *set[IKE_SETS_MAX], *t[IKE_SETS_MAX];
	const unsigned sets = ike_entry_sets(q->sa->sa.ike, e, set);
	unsigned n = 0;
	uint8_t num = 0;
	for (unsigned i = 0; i < sets; i++)
		if (offerable(set[i]))
			t[n++] = set[i];
	if (!n)
		return false;
	begin_sa(o);
	for (unsigned first = 0, k; first < n; first += k) {
		uint8_t proto[V1_PARTS_MAX];
		unsigned parts = protos_of(t[first]->suite, proto);
		k = same_proto(t + first, n - first);
		num++;
		for (unsigned i = 0; i < parts; i++)
			put_prop(q, o, i + 1 < parts || first + k < n, num, proto[i], t + first, k);
	}
	v1_out_end(o);
	return true;
}

void v1_quick_answer(const struct v1_qm *q, struct v1_out *o)
{
	begin_sa(o);
	for (unsigned i = 0; i < q->n_part; i++) {
		const struct v1_part *part = &q->part[i];
		size_t prop = begin_prop(q, o, i + 1 < q->n_part, q->prop_num, part->proto, 1, q->child->c.p.suite);
		size_t t = v1_out_trans(o, false, part->trans_num, part->trans_id);
		v1_out_put(o, part->attrs, part->attrs_len);
		v1_out_sub_end(o, t);
		v1_out_sub_end(o, prop);
	}
	v1_out_end(o);
}

/* The proposals of one number: what is to be had together. More than V1_PARTS_MAX are no bundle of ours. */
struct v1_group {
	uint8_t num;
	unsigned n, main; /* main: that of ESP, or of AH alone; it decides about mode, lifetimes and PFS */
	struct v1_prop p[V1_PARTS_MAX];
};

/* all: where rest is a part of. */
static bool group_next(struct v1_span all, struct v1_span *rest, struct v1_group *g)
{
	struct v1_prop p, o;
	while (v1_prop_next(rest, &p)) {
		struct v1_span walk = all;
		bool first = true;
		*g = (struct v1_group){.num = p.num};
		while (v1_prop_next(&walk, &o)) {
			if (o.num != p.num)
				continue;
			if (g->n == 0)
				first = o.transforms.p == p.transforms.p;
			if (g->n < V1_PARTS_MAX) {
				g->main = o.proto == V1_PROTO_ESP ? g->n : g->main;
				g->p[g->n] = o;
			}
			g->n++;
		}
		if (first)
			return true;
	}
	return false;
}

/* Is this transform of a protocol what the set has there? */
static bool says(
	const struct cfg_transform_set *set, uint8_t proto, const struct v1_trans *t, const struct v1_p2_attrs *a)
{
	const struct algo_integ *integ = algo_integ_by_v1_auth(a->auth);
	if (proto == V1_PROTO_IPCOMP)
		return t->id == set->suite.comp && !a->unknown;
	if (a->unknown || a->esn != set->esn || (a->auth && !integ))
		return false;
	if (proto == V1_PROTO_AH) /* the transform and its attribute say the same (RFC 2407 4.4.3) */
		return integ && algo_integ_by_v1_ah(t->id) == integ && set->suite.ah == integ->id;
	const struct algo_encr *encr = proto == V1_PROTO_ESP ? algo_encr_by_v1(t->id, a->key_bits) : NULL;
	return encr && set->suite.encr == encr->id && set->suite.integ == (integ ? integ->id : CV_INTEG_NONE);
}

/* What a set has in common with a group. */
struct v1_match {
	struct v1_trans t[V1_PARTS_MAX];
	struct v1_p2_attrs a; /* of the main part */
	bool transport;
};

static bool mode_ok(const struct v1_qm *q, const struct cfg_transform_set *set, const struct ike_child_params *cp,
	struct v1_match *m, const char **why)
{
	m->transport = m->a.encap == encap_of(q->sa, true);
	/* tunnel mode carries every flow, also that of a transport mode set */
	if (m->transport ? may_transport(q, set, cp) : !m->a.encap || m->a.encap == encap_of(q->sa, false))
		return true;
	*why = "encapsulation mode not acceptable";
	return false;
}

/* A part beside the main one. Around a tunnel of ESP, AH is one too for some, for others it has transport mode, which
 * is what it does; on the wire it is the same. */
static bool side_fits(const struct v1_qm *q, const struct cfg_transform_set *set, const struct v1_prop *p,
	const struct v1_p2_attrs *main, struct v1_trans *t)
{
	struct v1_span rest = p->transforms;
	struct v1_p2_attrs a;
	while (v1_trans_next(&rest, t)) {
		v1_p2_attrs_read(t->attrs, &a);
		if (says(set, p->proto, t, &a) && (!a.group || a.group == main->group) &&
			(!a.encap || a.encap == main->encap || a.encap == encap_of(q->sa, true)))
			return true;
	}
	return false;
}

static bool same_protos(const struct cfg_transform_set *set, const struct v1_group *g)
{
	uint8_t proto[V1_PARTS_MAX];
	unsigned n = protos_of(set->suite, proto), found = 0;
	for (unsigned i = 0; i < n && g->n == n; i++)
		for (unsigned k = 0; k < n; k++)
			found += g->p[k].proto == proto[i];
	return g->n == n && found == n;
}

/* The set, with transform t of the group's main part. */
static bool match(const struct v1_qm *q, const struct cfg_transform_set *set, const struct v1_group *g,
	const struct v1_trans *t, const struct ike_child_params *cp, struct v1_match *m, const char **why)
{
	v1_p2_attrs_read(t->attrs, &m->a);
	if (!same_protos(set, g) || !says(set, g->p[g->main].proto, t, &m->a) || !mode_ok(q, set, cp, m, why))
		return false;
	for (unsigned i = 0; i < g->n; i++)
		if (i != g->main && !side_fits(q, set, &g->p[i], &m->a, &m->t[i]))
			return false;
	m->t[g->main] = *t;
	return true;
}

static uint32_t spi_of(struct v1_span s)
{
	uint32_t spi =
		s.len == 4 ? (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 | s.p[3] : 0;
	return spi >= SPI_MIN ? spi : 0;
}

/* IPSEC-53: demanded when configured, and then that group; otherwise any group we would configure ourselves. */
static bool pfs_ok(const struct v1_qm *q, const struct cfg_map_entry *e, const struct v1_p2_attrs *a, bool has_ke,
	const char **why)
{
	enum ike_group g = group_from_v1(a->group);
	const struct algo_ike *row = g == IKE_GROUP_NONE ? NULL : algo_ike_get(ALGO_IKE_GROUP, g, 0);
	if (e->pfs != IKE_GROUP_NONE && e->pfs != g) {
		*why = "perfect forward secrecy not offered as configured";
		return false;
	}
	if (!a->group && !has_ke)
		return true;
	*why = "perfect forward secrecy group not acceptable";
	return has_ke && row && ikec_group_pub_len(g) && (!row->legacy || q->sa->sa.ike->cfg->allow_legacy);
}

/* The shorter of what both want; none means no limit for volume and the DOI's default for time. */
static void cut_lifetimes(struct v1_qm *q, struct ike_child_params *p, const struct v1_p2_attrs *a)
{
	uint32_t s = a->life_s ? a->life_s : DEFAULT_LIFE_S;
	if (s < LEAST_LIFE_S)
		s = LEAST_LIFE_S;
	q->cut_lifetime = p->lifetime_s < s || (p->lifetime_kb && (!a->life_kb || p->lifetime_kb < a->life_kb));
	if (s < p->lifetime_s)
		p->lifetime_s = s;
	if (a->life_kb && (!p->lifetime_kb || a->life_kb < p->lifetime_kb))
		p->lifetime_kb = a->life_kb;
}

/* Two octets, or four with the upper ones zero (RFC 3173 4.1). 0 = none. */
static uint16_t cpi_of(struct v1_span s)
{
	if (s.len == 4 && !s.p[0] && !s.p[1])
		return (uint16_t)(s.p[2] << 8 | s.p[3]);
	return s.len == 2 ? (uint16_t)(s.p[0] << 8 | s.p[1]) : 0;
}

static bool spis_ok(const struct v1_group *g)
{
	for (unsigned i = 0; i < g->n && g->n <= V1_PARTS_MAX; i++)
		if (g->p[i].proto == V1_PROTO_IPCOMP ? !cpi_of(g->p[i].spi) : !spi_of(g->p[i].spi))
			return false;
	return g->n <= V1_PARTS_MAX;
}

/* What was agreed. */
static void take(struct v1_qm *q, const struct cfg_transform_set *set, const struct v1_group *g,
	const struct v1_match *m, struct ike_child_params *cp)
{
	cp->suite = set->suite;
	cp->esn = set->esn;
	cp->transport = m->transport;
	cp->spi_out = spi_of(g->p[g->main].spi);
	for (unsigned i = 0; i < g->n; i++)
		if (i != g->main && g->p[i].proto == V1_PROTO_AH)
			cp->ah_spi_out = spi_of(g->p[i].spi);
		else if (g->p[i].proto == V1_PROTO_IPCOMP)
			cp->cpi_out = cpi_of(g->p[i].spi);
	cp->cpi_in = cp->suite.comp ? ike_child_cpi(cp) : 0;
	cut_lifetimes(q, cp, &m->a);
}

/* Keep what the answer has to repeat. */
static bool keep_parts(struct v1_qm *q, const struct v1_group *g, const struct v1_match *m)
{
	q->prop_num = g->num;
	q->n_part = 0;
	for (unsigned i = 0; i < g->n; i++) {
		struct v1_part *part = &q->part[q->n_part++];
		if (m->t[i].attrs.len > sizeof(part->attrs))
			return false;
		*part = (struct v1_part){.proto = g->p[i].proto,
			.trans_num = m->t[i].num,
			.trans_id = m->t[i].id,
			.attrs_len = (uint16_t)m->t[i].attrs.len};
		memcpy(part->attrs, m->t[i].attrs.p, part->attrs_len);
	}
	return true;
}

static bool try_transform(struct v1_qm *q, const struct cfg_map_entry *e, const struct v1_group *g,
	const struct v1_trans *t, bool has_ke, struct ike_child_params *cp, const char **why)
{
	const struct cfg_transform_set *set[IKE_SETS_MAX];
	const unsigned n = ike_entry_sets(q->sa->sa.ike, e, set);
	struct v1_match m;
	*why = "no proposal chosen";
	for (unsigned i = 0; i < n; i++) {
		if (!match(q, set[i], g, t, cp, &m, why))
			continue;
		if (!pfs_ok(q, e, &m.a, has_ke, why) || !keep_parts(q, g, &m))
			return false;
		q->group = group_from_v1(m.a.group);
		take(q, set[i], g, &m, cp);
		return true;
	}
	return false;
}

unsigned v1_quick_choose(struct v1_qm *q, const struct cfg_map_entry *e, struct v1_span sa_body, bool has_ke,
	struct ike_child_params *cp, const char **why)
{
	struct v1_span all = v1_sa_props(sa_body), rest = all;
	struct v1_group g;
	struct v1_trans t;
	*why = "no proposal chosen";
	while (group_next(all, &rest, &g)) {
		if (!spis_ok(&g))
			continue;
		struct v1_span transforms = g.p[g.main].transforms;
		while (v1_trans_next(&transforms, &t))
			if (try_transform(q, e, &g, &t, has_ke, cp, why))
				return 0;
	}
	return V1_N_NO_PROPOSAL_CHOSEN;
}

static bool compresses(const struct v1_group *g)
{
	for (unsigned i = 0; i < g->n && g->n <= V1_PARTS_MAX; i++)
		if (g->p[i].proto == V1_PROTO_IPCOMP)
			return true;
	return false;
}

/* One group, and one transform of each of its parts. strongSwan repeats the proposal without IPComp behind the one with
 * it that it has chosen, as if it were still offering. */
static bool answer_sound(struct v1_span sa_body, struct v1_group *g, struct v1_trans *t)
{
	struct v1_span all = v1_sa_props(sa_body), rest = all;
	struct v1_group more;
	if (!group_next(all, &rest, g) || (group_next(all, &rest, &more) && !compresses(g)) || !spis_ok(g))
		return false;
	for (unsigned i = 0; i < g->n; i++) {
		struct v1_span transforms = g->p[i].transforms;
		struct v1_trans one;
		if (!v1_trans_next(&transforms, &one) || transforms.len)
			return false;
		if (i == g->main)
			*t = one;
	}
	return true;
}

unsigned v1_quick_accept(struct v1_qm *q, struct v1_span sa_body, bool has_ke, const char **why)
{
	struct ike_child_params *cp = &q->child->c.p;
	struct v1_group g;
	struct v1_trans t;
	struct v1_match m;
	*why = "answer is not one of the proposals";
	if (!answer_sound(sa_body, &g, &t))
		return V1_N_BAD_PROPOSAL_SYNTAX;
	const struct cfg_transform_set *set[IKE_SETS_MAX];
	const unsigned n = ike_entry_sets(q->sa->sa.ike, cp->entry, set);
	for (unsigned i = 0; i < n; i++) {
		if (!match(q, set[i], &g, &t, cp, &m, why))
			continue;
		if (m.a.group != group_v1(q->group) || has_ke != (q->group != IKE_GROUP_NONE))
			return V1_N_NO_PROPOSAL_CHOSEN;
		take(q, set[i], &g, &m, cp);
		return 0;
	}
	return V1_N_NO_PROPOSAL_CHOSEN;
}

/* ---- flows ---- */

static bool port_expressible(uint16_t lo, uint16_t hi)
{
	return (lo == 0 && hi == 65535) || (lo == hi && lo != 0);
}

bool v1_selector_expressible(const struct cv_selector *s)
{
	if (s->proto == 1 || s->proto == 58) /* ICMP type and code have no place in an ID payload */
		return s->sport_lo == 0 && s->sport_hi == 65535;
	return port_expressible(s->sport_lo, s->sport_hi) && port_expressible(s->dport_lo, s->dport_hi);
}

static void put_side(struct v1_out *o, const struct cv_selector *s, bool ours)
{
	uint16_t lo = ours ? s->sport_lo : s->dport_lo, hi = ours ? s->sport_hi : s->dport_hi;
	v1_out_id_range(o, ours ? &s->src : &s->dst, s->proto, lo == hi ? lo : 0);
}

void v1_put_selector(struct v1_out *o, const struct cv_selector *s, bool ours_first)
{
	put_side(o, s, ours_first);
	put_side(o, s, !ours_first);
}

static void port_range(uint16_t port, uint16_t *lo, uint16_t *hi)
{
	*lo = port;
	*hi = port ? port : 65535;
}

/* Without ID payloads the two IKE addresses are meant (RFC 2409 5.5). */
static void default_selector(const struct v1_sa *v, struct cv_selector *s)
{
	s->src.lo = s->src.hi = v->sa.path.local;
	s->dst.lo = s->dst.hi = v->sa.path.remote;
	s->sport_hi = s->dport_hi = 65535;
}

unsigned v1_get_selector(const struct v1_sa *v, const struct v1_msg *m, bool initiator, struct cv_selector *s)
{
	const struct v1_payload *ci = v1_find(m, V1_PL_ID, 0), *cr = v1_find(m, V1_PL_ID, 1);
	memset(s, 0, sizeof(*s));
	if (!ci) {
		default_selector(v, s);
		return 0;
	}
	if (!cr || v1_count(m, V1_PL_ID) != 2)
		return V1_N_INVALID_ID_INFORMATION;
	struct v1_id ours = v1_id_read(initiator ? ci->body : cr->body),
		     theirs = v1_id_read(initiator ? cr->body : ci->body);
	if (!v1_id_to_range(&ours, &s->src) || !v1_id_to_range(&theirs, &s->dst) || s->src.lo.af != s->dst.lo.af)
		return V1_N_INVALID_ID_INFORMATION;
	if (ours.proto != theirs.proto && ours.proto && theirs.proto)
		return V1_N_INVALID_ID_INFORMATION;
	s->proto = ours.proto ? ours.proto : theirs.proto;
	port_range(ours.port, &s->sport_lo, &s->sport_hi);
	port_range(theirs.port, &s->dport_lo, &s->dport_hi);
	return (ours.port || theirs.port) && !s->proto ? V1_N_INVALID_ID_INFORMATION : 0;
}

/* ---- keys ---- */

int v1_quick_keys(struct v1_qm *q, struct v1_span gxy, struct ike_child_keys *keys)
{
	const struct ike_child_params *p = &q->child->c.p;
	struct v1_span ni = v1_span_of(q->ni.p, q->ni.len), nr = v1_span_of(q->nr.p, q->nr.len);
	uint8_t spi[4];
	uint8_t proto = ike_child_proto(p);
	memset(keys, 0, sizeof(*keys));
	keys->len = (uint16_t)ike_suite_key_len(p->suite);
	if (!keys->len || keys->len > CV_SA_KEY_MAX)
		return -ENOTSUP;
	be32(spi, p->spi_in);
	int err = v1_keymat(&q->sa->k, gxy, proto, spi, ni, nr, keys->in, keys->len);
	be32(spi, p->spi_out);
	err = err ? err : v1_keymat(&q->sa->k, gxy, proto, spi, ni, nr, keys->out, keys->len);
	if (err || !ike_suite_bundle(p->suite))
		return err;
	/* each SA of a bundle has keys of its own: protocol and SPI go into them (RFC 2409 5.5) */
	keys->ah_len = algo_key_len(CV_ENCR_NONE, p->suite.ah);
	be32(spi, p->ah_spi_in);
	err = v1_keymat(&q->sa->k, gxy, V1_PROTO_AH, spi, ni, nr, keys->ah_in, keys->ah_len);
	be32(spi, p->ah_spi_out);
	return err ? err : v1_keymat(&q->sa->k, gxy, V1_PROTO_AH, spi, ni, nr, keys->ah_out, keys->ah_len);
}
