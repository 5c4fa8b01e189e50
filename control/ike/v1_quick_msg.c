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

static uint8_t proto_of(struct algo_suite s)
{
	return s.encr == CV_ENCR_NONE ? V1_PROTO_AH : V1_PROTO_ESP;
}

static uint8_t transform_id(struct algo_suite s)
{
	return (uint8_t)(s.encr == CV_ENCR_NONE ? algo_integ_get(s.ah)->v1_ah : algo_encr_get(s.encr)->v1);
}

static void put_transform_attrs(const struct v1_qm *q, struct v1_out *o, const struct cfg_transform_set *t)
{
	const struct algo_encr *encr = algo_encr_get(t->suite.encr);
	const struct algo_integ *integ = algo_integ_get(encr ? t->suite.integ : t->suite.ah);
	const struct ike_child_params *p = &q->child->c.p;
	v1_out_attr(o, V1_P2_LIFE_TYPE, V1_LIFE_SECONDS);
	v1_out_attr(o, V1_P2_LIFE, p->lifetime_s);
	if (p->lifetime_kb) {
		v1_out_attr(o, V1_P2_LIFE_TYPE, V1_LIFE_KB);
		v1_out_attr(o, V1_P2_LIFE, p->lifetime_kb > UINT32_MAX ? UINT32_MAX : (uint32_t)p->lifetime_kb);
	}
	v1_out_attr(o, V1_P2_ENCAP, encap_of(q->sa, may_transport(q, t, p)));
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

static size_t begin_prop(const struct v1_qm *q, struct v1_out *o, bool more, uint8_t num, uint8_t proto, uint8_t n)
{
	uint8_t spi[4];
	be32(spi, q->child->c.p.spi_in);
	return v1_out_prop(o, more, num, proto, spi, 4, n);
}

/* IKEv1 has a number for all of it, and it is one SA: AH together with ESP has none here. */
static bool offerable(const struct cfg_transform_set *t)
{
	const struct algo_encr *encr = algo_encr_get(t->suite.encr);
	const struct algo_integ *integ = algo_integ_get(encr ? t->suite.integ : t->suite.ah);
	if (!encr)
		return integ && integ->v1_ah && integ->v1_auth;
	return t->suite.ah == CV_INTEG_NONE && encr->v1 && (!integ || integ->v1_auth);
}

/* Transform sets of one protocol that follow each other are one proposal, so that the order stays (IPSEC-49). */
static unsigned same_proto(const struct cfg_transform_set *const *t, unsigned n)
{
	unsigned k = 1;
	while (k < n && proto_of(t[k]->suite) == proto_of(t[0]->suite))
		k++;
	return k;
}

bool v1_quick_offer(const struct v1_qm *q, struct v1_out *o)
{
	const struct cfg_map_entry *e = q->child->c.p.entry;
	const struct cfg_transform_set *t[16];
	unsigned n = 0;
	uint8_t num = 0;
	for (unsigned i = 0; i < e->n_transform_set && n < 16; i++)
		if (offerable(e->ts_ref[i]))
			t[n++] = e->ts_ref[i];
	if (!n)
		return false;
	begin_sa(o);
	for (unsigned first = 0, k; first < n; first += k) {
		k = same_proto(t + first, n - first);
		size_t prop = begin_prop(q, o, first + k < n, ++num, proto_of(t[first]->suite), (uint8_t)k);
		for (unsigned i = 0; i < k; i++) {
			const struct cfg_transform_set *set = t[first + i];
			size_t at = v1_out_trans(o, i + 1 < k, (uint8_t)(i + 1), transform_id(set->suite));
			put_transform_attrs(q, o, set);
			v1_out_sub_end(o, at);
		}
		v1_out_sub_end(o, prop);
	}
	v1_out_end(o);
	return true;
}

void v1_quick_answer(const struct v1_qm *q, struct v1_out *o)
{
	begin_sa(o);
	size_t prop = begin_prop(q, o, false, q->prop_num, proto_of(q->child->c.p.suite), 1);
	size_t t = v1_out_trans(o, false, q->trans_num, q->trans_id);
	v1_out_put(o, q->attrs, q->attrs_len);
	v1_out_sub_end(o, t);
	v1_out_sub_end(o, prop);
	v1_out_end(o);
}

/* False: something in it is not known. */
static bool suite_of(uint8_t proto, const struct v1_trans *t, const struct v1_p2_attrs *a, struct algo_suite *s)
{
	const struct algo_integ *integ = algo_integ_by_v1_auth(a->auth);
	const struct algo_encr *encr = algo_encr_by_v1(t->id, a->key_bits);
	if (a->unknown || a->esn > 1 || (a->auth && !integ))
		return false;
	if (proto == V1_PROTO_AH) {
		/* the transform and its attribute say the same (RFC 2407 4.4.3) */
		if (!integ || algo_integ_by_v1_ah(t->id) != integ)
			return false;
		*s = (struct algo_suite){.ah = (uint8_t)integ->id};
		return true;
	}
	if (proto != V1_PROTO_ESP || !encr)
		return false;
	*s = (struct algo_suite){.encr = (uint8_t)encr->id, .integ = (uint8_t)(integ ? integ->id : CV_INTEG_NONE)};
	return true;
}

/* The entry's transform set that a transform is: algorithms, sequence numbers, mode. */
static const struct cfg_transform_set *set_of(const struct v1_qm *q, const struct cfg_map_entry *e, uint8_t proto,
	const struct v1_trans *t, const struct v1_p2_attrs *a, const struct ike_child_params *cp, bool *transport,
	const char **why)
{
	struct algo_suite s;
	if (!suite_of(proto, t, a, &s))
		return NULL;
	*transport = a->encap == encap_of(q->sa, true);
	for (unsigned i = 0; i < e->n_transform_set; i++) {
		const struct cfg_transform_set *set = e->ts_ref[i];
		if (!algo_suite_equal(set->suite, s) || set->esn != (a->esn == 1))
			continue;
		/* tunnel mode carries every flow, also that of a transport mode set */
		if (*transport ? may_transport(q, set, cp) : !a->encap || a->encap == encap_of(q->sa, false))
			return set;
		*why = "encapsulation mode not acceptable";
	}
	return NULL;
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

/* A number that several proposals carry is a bundle (AH and ESP, compression): not for us. */
static bool bundled(struct v1_span props, uint8_t num)
{
	struct v1_prop p;
	unsigned n = 0;
	while (v1_prop_next(&props, &p))
		n += p.num == num;
	return n > 1;
}

static bool try_transform(struct v1_qm *q, const struct cfg_map_entry *e, const struct v1_prop *p,
	const struct v1_trans *t, bool has_ke, struct ike_child_params *cp, const char **why)
{
	struct v1_p2_attrs a;
	bool transport;
	v1_p2_attrs_read(t->attrs, &a);
	*why = "no proposal chosen";
	const struct cfg_transform_set *set = set_of(q, e, p->proto, t, &a, cp, &transport, why);
	if (!set || t->attrs.len > sizeof(q->attrs))
		return false;
	if (!pfs_ok(q, e, &a, has_ke, why))
		return false;
	q->prop_num = p->num;
	q->trans_num = t->num;
	q->trans_id = t->id;
	q->attrs_len = (uint16_t)t->attrs.len;
	memcpy(q->attrs, t->attrs.p, t->attrs.len);
	q->group = group_from_v1(a.group);
	cp->suite = set->suite;
	cp->esn = set->esn;
	cp->transport = transport;
	cp->spi_out = spi_of(p->spi);
	cut_lifetimes(q, cp, &a);
	return true;
}

unsigned v1_quick_choose(struct v1_qm *q, const struct cfg_map_entry *e, struct v1_span sa_body, bool has_ke,
	struct ike_child_params *cp, const char **why)
{
	struct v1_span all = v1_sa_props(sa_body), props = all;
	struct v1_prop p;
	struct v1_trans t;
	*why = "no proposal chosen";
	while (v1_prop_next(&props, &p)) {
		if (!spi_of(p.spi) || bundled(all, p.num))
			continue;
		while (v1_trans_next(&p.transforms, &t))
			if (try_transform(q, e, &p, &t, has_ke, cp, why))
				return 0;
	}
	return V1_N_NO_PROPOSAL_CHOSEN;
}

unsigned v1_quick_accept(struct v1_qm *q, struct v1_span sa_body, bool has_ke, const char **why)
{
	struct ike_child_params *cp = &q->child->c.p;
	struct v1_span props = v1_sa_props(sa_body);
	struct v1_prop p;
	struct v1_trans t;
	struct v1_p2_attrs a;
	*why = "answer is not one of the proposals";
	bool transport;
	if (!v1_prop_next(&props, &p) || props.len || !spi_of(p.spi) || !v1_trans_next(&p.transforms, &t) ||
		p.transforms.len)
		return V1_N_BAD_PROPOSAL_SYNTAX;
	v1_p2_attrs_read(t.attrs, &a);
	const struct cfg_transform_set *set = set_of(q, cp->entry, p.proto, &t, &a, cp, &transport, why);
	if (!set)
		return V1_N_NO_PROPOSAL_CHOSEN;
	if (a.group != group_v1(q->group) || has_ke != (q->group != IKE_GROUP_NONE))
		return V1_N_NO_PROPOSAL_CHOSEN;
	cp->suite = set->suite;
	cp->esn = set->esn;
	cp->transport = transport;
	cp->spi_out = spi_of(p.spi);
	cut_lifetimes(q, cp, &a);
	return 0;
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
	uint8_t proto = proto_of(p->suite);
	keys->len = (uint16_t)ike_suite_key_len(p->suite);
	if (!keys->len || keys->len > CV_SA_KEY_MAX)
		return -ENOTSUP;
	be32(spi, p->spi_in);
	int err = v1_keymat(&q->sa->k, gxy, proto, spi, ni, nr, keys->in, keys->len);
	be32(spi, p->spi_out);
	return err ? err : v1_keymat(&q->sa->k, gxy, proto, spi, ni, nr, keys->out, keys->len);
}
