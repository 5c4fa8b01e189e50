/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv2 proposals and traffic selectors: what we offer, what we accept (RFC 7296 2.7, 2.9, 3.3). */
#include <errno.h>
#include <string.h>

#include "v2_int.h"

#define OFFER_MAX 40

struct offer {
	struct v2_proposal p;
	struct v2_transform t[OFFER_MAX];
};

static void add(struct offer *o, uint8_t type, uint16_t id, uint16_t key_bits)
{
	if (o->p.n < OFFER_MAX)
		o->t[o->p.n++] = (struct v2_transform){.type = type, .id = id, .key_bits = key_bits};
}

/* Additional key exchanges by transform type; NONE = none of that type. */
static void add_addke(struct offer *o, const enum ike_group *g, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (g[i])
			add(o, (uint8_t)(V2_T_ADDKE1 + i), g[i], 0);
}

/* The half of a configured proposal with or without AEAD ciphers: the two never share a proposal (RFC 5282 8). */
static bool build_offer(const struct cfg_ike_proposal *c, bool aead, struct offer *o)
{
	memset(o, 0, sizeof(*o));
	o->p.proto = V2_PROTO_IKE;
	for (unsigned i = 0; i < c->n_encr; i++)
		if ((ikec_tag_len(c->encr[i].encr) != 0) == aead)
			add(o, V2_T_ENCR, c->encr[i].encr, c->encr[i].key_bits);
	if (!o->p.n || (!aead && !c->n_integ))
		return false;
	for (unsigned i = 0; i < c->n_prf; i++)
		add(o, V2_T_PRF, c->prf[i], 0);
	for (unsigned i = 0; !aead && i < c->n_integ; i++)
		add(o, V2_T_INTEG, c->integ[i], 0);
	for (unsigned i = 0; i < c->n_group; i++)
		add(o, V2_T_DH, c->group[i], 0);
	add_addke(o, c->addke, c->n_addke);
	return true;
}

void v2_enc_ike_sa(struct v2_enc *e, const struct cfg_ike_profile *p, const uint8_t *spi, size_t spi_len)
{
	struct offer o[2 * V2_PROPOSAL_MAX];
	unsigned n = 0;
	for (unsigned i = 0; i < p->n_proposal && n + 2 <= V2_PROPOSAL_MAX; i++)
		for (int aead = 1; aead >= 0; aead--)
			n += build_offer(p->proposal_ref[i], aead, &o[n]);
	v2_enc_begin(e, V2_PL_SA);
	for (unsigned i = 0; i < n; i++) {
		o[i].p.num = (uint8_t)(i + 1);
		o[i].p.spi = (struct v2_view){spi, spi_len};
		v2_enc_proposal(e, &o[i].p, o[i].t, i + 1 == n);
	}
	v2_enc_end(e);
}

enum ike_group v2_first_group(const struct cfg_ike_profile *p)
{
	return p->n_proposal && p->proposal_ref[0]->n_group ? p->proposal_ref[0]->group[0] : IKE_GROUP_NONE;
}

bool v2_group_offered(const struct cfg_ike_profile *p, uint16_t g)
{
	for (unsigned i = 0; i < p->n_proposal; i++)
		for (unsigned k = 0; k < p->proposal_ref[i]->n_group; k++)
			if (p->proposal_ref[i]->group[k] == g)
				return true;
	return false;
}

static bool has(const struct v2_sa_pl *sa, const struct v2_proposal *p, uint8_t type, uint16_t id, uint16_t key_bits)
{
	for (unsigned i = 0; i < p->n; i++) {
		const struct v2_transform *t = &sa->transform[p->first + i];
		if (t->type == type && t->id == id && t->key_bits == key_bits && !t->strange)
			return true;
	}
	return false;
}

static bool has_type(const struct v2_sa_pl *sa, const struct v2_proposal *p, uint8_t type)
{
	for (unsigned i = 0; i < p->n; i++)
		if (sa->transform[p->first + i].type == type)
			return true;
	return false;
}

/* A proposal must be understood as a whole: a transform type that we do not know forbids it (RFC 7296 3.3.6). */
static bool known_types(const struct v2_sa_pl *sa, const struct v2_proposal *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (sa->transform[p->first + i].type == 0 || sa->transform[p->first + i].type > V2_T_ADDKE7)
			return false;
	return true;
}

/* First of our transforms of a type that the peer offers as well. */
static const struct v2_transform *common(
	const struct offer *o, uint8_t type, const struct v2_sa_pl *sa, const struct v2_proposal *p)
{
	for (unsigned i = 0; i < o->p.n; i++)
		if (o->t[i].type == type && has(sa, p, type, o->t[i].id, o->t[i].key_bits))
			return &o->t[i];
	return NULL;
}

static bool offered(const struct offer *o, uint8_t type, uint16_t id)
{
	for (unsigned i = 0; i < o->p.n; i++)
		if (o->t[i].type == type && o->t[i].id == id)
			return true;
	return false;
}

/* Each additional key exchange that we demand, and no other; NONE stands for none (RFC 9370 2.2.2). */
static bool match_addke(
	const struct cfg_ike_proposal *c, const struct v2_sa_pl *sa, const struct v2_proposal *p, struct v2_suite *out)
{
	unsigned n = c->n_addke;
	if (!known_types(sa, p) || has_type(sa, p, V2_T_ESN))
		return false;
	for (unsigned i = 0; i < CFG_ADDKE_MAX; i++) {
		uint8_t type = (uint8_t)(V2_T_ADDKE1 + i);
		if (i < n ? !has(sa, p, type, c->addke[i], 0)
			  : has_type(sa, p, type) && !has(sa, p, type, IKE_GROUP_NONE, 0))
			return false;
		out->addke[i] = i < n ? c->addke[i] : IKE_GROUP_NONE;
	}
	out->n_addke = (uint8_t)n;
	return true;
}

static bool match_ike(const struct offer *o, const struct cfg_ike_proposal *c, bool aead, const struct v2_sa_pl *sa,
	const struct v2_proposal *p, uint16_t ke_group, struct v2_suite *out)
{
	const struct v2_transform *encr = common(o, V2_T_ENCR, sa, p), *prf = common(o, V2_T_PRF, sa, p),
				  *dh = common(o, V2_T_DH, sa, p), *integ = common(o, V2_T_INTEG, sa, p);
	if (p->proto != V2_PROTO_IKE || !match_addke(c, sa, p, out) || !encr || !prf || !dh)
		return false;
	/* an AEAD proposal may name integrity NONE, nothing else (RFC 7296 3.3) */
	if (aead ? has_type(sa, p, V2_T_INTEG) && !has(sa, p, V2_T_INTEG, IKE_INTEG_NONE, 0) : !integ)
		return false;
	out->encr = encr->id;
	out->key_bits = encr->key_bits;
	out->prf = prf->id;
	out->integ = aead ? IKE_INTEG_NONE : integ->id;
	out->group = dh->id;
	if (offered(o, V2_T_DH, ke_group) && has(sa, p, V2_T_DH, ke_group, 0))
		out->group = ke_group; /* saves a round trip */
	return true;
}

int v2_choose_ike(const struct cfg_ike_profile *p, const struct v2_sa_pl *offer, uint16_t ke_group,
	struct v2_suite *out, struct v2_proposal *chosen)
{
	struct offer o;
	for (unsigned i = 0; i < p->n_proposal; i++)
		for (int aead = 1; aead >= 0; aead--) {
			if (!build_offer(p->proposal_ref[i], aead, &o))
				continue;
			for (unsigned k = 0; k < offer->n; k++)
				if (match_ike(&o, p->proposal_ref[i], aead, offer, &offer->prop[k], ke_group, out)) {
					*chosen = offer->prop[k];
					return 0;
				}
		}
	return -ENOENT;
}

void v2_enc_ike_chosen(struct v2_enc *e, const struct v2_suite *s, uint8_t num, const uint8_t *spi, size_t spi_len)
{
	struct offer o = {.p = {.num = num, .proto = V2_PROTO_IKE, .spi = {spi, spi_len}}};
	add(&o, V2_T_ENCR, s->encr, s->key_bits);
	add(&o, V2_T_PRF, s->prf, 0);
	if (s->integ)
		add(&o, V2_T_INTEG, s->integ, 0);
	add(&o, V2_T_DH, s->group, 0);
	add_addke(&o, s->addke, s->n_addke);
	v2_enc_begin(e, V2_PL_SA);
	v2_enc_proposal(e, &o.p, o.t, true);
	v2_enc_end(e);
}

/* ---- children ---- */

/* One transform set: ESP has a cipher, AH nothing but integrity (RFC 7296 3.3.3). */
static void child_offer(struct algo_suite s, bool esn, enum ike_group pfs, struct offer *o)
{
	const struct algo_encr *encr = algo_encr_get(s.encr);
	const struct algo_integ *integ = algo_integ_get(encr ? s.integ : s.ah);
	memset(o, 0, sizeof(*o));
	o->p.proto = encr ? V2_PROTO_ESP : V2_PROTO_AH;
	if (encr)
		add(o, V2_T_ENCR, encr->v2, encr->key_bits);
	if (integ)
		add(o, V2_T_INTEG, integ->v2, 0);
	if (pfs)
		add(o, V2_T_DH, pfs, 0);
	add(o, V2_T_ESN, esn, 0);
}

static void spi_bytes(uint32_t spi, uint8_t b[4])
{
	for (unsigned i = 0; i < 4; i++)
		b[i] = (uint8_t)(spi >> (24 - 8 * i));
}

void v2_enc_child_sa(
	const struct ike *ike, struct v2_enc *e, const struct cfg_map_entry *entry, uint32_t spi, enum ike_group pfs)
{
	const struct cfg_transform_set *set[IKE_SETS_MAX];
	const unsigned n = ike_entry_sets(ike, entry, set);
	uint8_t b[4];
	struct offer o;
	spi_bytes(spi, b);
	v2_enc_begin(e, V2_PL_SA);
	for (unsigned i = 0; i < n; i++) {
		child_offer(set[i]->suite, set[i]->esn, pfs, &o);
		add_addke(&o, entry->addke, pfs ? entry->n_addke : 0);
		o.p.num = (uint8_t)(i + 1);
		o.p.spi = (struct v2_view){b, 4};
		v2_enc_proposal(e, &o.p, o.t, i + 1 == n);
	}
	e->bad |= !n; /* the engine has changed since the wish was taken up */
	v2_enc_end(e);
}

void v2_enc_child_chosen(struct v2_enc *e, const struct v2_child *c)
{
	uint8_t b[4];
	struct offer o;
	spi_bytes(c->c.p.spi_in, b);
	const enum ike_group *addke = v2_follow_groups(c->task);
	child_offer(c->c.p.suite, c->c.p.esn, c->pfs, &o);
	add_addke(&o, addke, addke ? CFG_ADDKE_MAX : 0);
	o.p.num = c->proposal_num;
	o.p.spi = (struct v2_view){b, 4};
	v2_enc_begin(e, V2_PL_SA);
	v2_enc_proposal(e, &o.p, o.t, true);
	v2_enc_end(e);
}

void v2_enc_child_notifies(struct v2_enc *e, const struct v2_child *c)
{
	if (c->c.p.transport)
		v2_enc_notify(e, V2_N_USE_TRANSPORT_MODE, NULL, 0);
	if (c->c.p.cpi_in) {
		const uint8_t comp[3] = {(uint8_t)(c->c.p.cpi_in >> 8), (uint8_t)c->c.p.cpi_in, ALGO_COMP_DEFLATE};
		v2_enc_notify(e, V2_N_IPCOMP_SUPPORTED, comp, sizeof(comp));
	}
	v2_enc_notify(e, V2_N_ESP_TFC_PADDING_NOT_SUPPORTED, NULL, 0);
	v2_resource_enc(e, c);
}

/*
 * The group to use with this proposal: the entry's when it demands PFS (IPSEC-53), else what the peer wants, NONE when
 * it can do without. -1 = does not fit.
 */
static int choose_pfs(const struct cfg_map_entry *entry, const struct v2_sa_pl *sa, const struct v2_proposal *p,
	bool pfs_ok, uint16_t ke_group)
{
	if (!pfs_ok)
		return IKE_GROUP_NONE;
	if (entry->pfs)
		return has(sa, p, V2_T_DH, (uint16_t)entry->pfs, 0) ? (int)entry->pfs : -1;
	if (!has_type(sa, p, V2_T_DH))
		return IKE_GROUP_NONE;
	if (ke_group && has(sa, p, V2_T_DH, ke_group, 0) && ikec_group_pub_len(ke_group))
		return ke_group;
	if (has(sa, p, V2_T_DH, IKE_GROUP_NONE, 0))
		return IKE_GROUP_NONE;
	for (unsigned i = 0; i < p->n; i++) {
		const struct v2_transform *t = &sa->transform[p->first + i];
		if (t->type == V2_T_DH && ikec_group_pub_len(t->id))
			return t->id;
	}
	return -1;
}

/* A group of this type that the peer offers, that we can, and that the child does not have already; NONE = none. */
static enum ike_group another_group(const struct v2_sa_pl *sa, const struct v2_proposal *p, uint8_t type, int pfs,
	const enum ike_group *taken, unsigned n)
{
	for (unsigned i = 0; i < p->n; i++) {
		const struct v2_transform *t = &sa->transform[p->first + i];
		bool had = t->id == pfs;
		for (unsigned k = 0; k < n; k++)
			had |= taken[k] == t->id;
		if (t->type == type && !t->strange && !had && ikec_group_pub_len(t->id))
			return t->id;
	}
	return IKE_GROUP_NONE;
}

/*
 * The additional key exchanges of a child: those that the entry demands, and what the peer insists on beside. They
 * stand on a first one (RFC 9370 2.2.2); IKE_AUTH has none.
 */
static bool choose_addke(const struct cfg_map_entry *entry, const struct v2_sa_pl *sa, const struct v2_proposal *p,
	bool pfs_ok, int pfs, enum ike_group out[CFG_ADDKE_MAX])
{
	for (unsigned i = 0; i < CFG_ADDKE_MAX; i++) {
		uint8_t type = (uint8_t)(V2_T_ADDKE1 + i);
		bool demanded = pfs_ok && i < entry->n_addke;
		out[i] = IKE_GROUP_NONE;
		if (demanded && has(sa, p, type, entry->addke[i], 0))
			out[i] = entry->addke[i];
		else if (pfs_ok && !demanded && has_type(sa, p, type) && !has(sa, p, type, IKE_GROUP_NONE, 0))
			out[i] = pfs ? another_group(sa, p, type, pfs, out, i) : IKE_GROUP_NONE;
		else if (!demanded)
			continue;
		if (!out[i])
			return false;
	}
	return true;
}

static bool match_child(const struct cfg_transform_set *t, const struct v2_sa_pl *sa, const struct v2_proposal *p)
{
	const struct algo_encr *encr = algo_encr_get(t->suite.encr);
	const struct algo_integ *integ = algo_integ_get(encr ? t->suite.integ : t->suite.ah);
	if (p->proto != (encr ? V2_PROTO_ESP : V2_PROTO_AH) || p->spi.len != 4 || !known_types(sa, p) ||
		(encr ? !has(sa, p, V2_T_ENCR, encr->v2, encr->key_bits) : has_type(sa, p, V2_T_ENCR)))
		return false;
	if (integ ? !has(sa, p, V2_T_INTEG, integ->v2, 0)
		  : has_type(sa, p, V2_T_INTEG) && !has(sa, p, V2_T_INTEG, IKE_INTEG_NONE, 0))
		return false;
	return has_type(sa, p, V2_T_ESN) ? has(sa, p, V2_T_ESN, t->esn, 0) : !t->esn;
}

static void take_child(struct v2_child *c, const struct cfg_transform_set *t, const struct v2_proposal *p)
{
	c->c.p.suite = t->suite;
	c->c.p.esn = t->esn;
	c->c.p.spi_out = v2_get32(p->spi.p);
}

int v2_choose_child(const struct ike *ike, const struct cfg_map_entry *entry, const struct v2_sa_pl *offer, bool pfs_ok,
	uint16_t ke_group, bool transport, struct v2_child *c, enum ike_group addke[CFG_ADDKE_MAX])
{
	const struct cfg_transform_set *set[IKE_SETS_MAX];
	const unsigned n = ike_entry_sets(ike, entry, set);
	for (unsigned i = 0; i < n; i++) {
		const struct cfg_transform_set *t = set[i];
		for (unsigned k = 0; k < offer->n; k++) {
			const struct v2_proposal *p = &offer->prop[k];
			if (!match_child(t, offer, p) || v2_get32(p->spi.p) < 256)
				continue;
			int pfs = choose_pfs(entry, offer, p, pfs_ok, ke_group);
			if (pfs < 0 || !choose_addke(entry, offer, p, pfs_ok, pfs, addke))
				continue;
			take_child(c, t, p);
			/* not answered means tunnel mode (RFC 7296 1.3.1) */
			c->c.p.transport = transport && t->transport;
			c->pfs = (enum ike_group)pfs;
			c->proposal_num = p->num;
			return 0;
		}
	}
	return -ENOENT;
}

int v2_accept_child(const struct ike *ike, const struct cfg_map_entry *entry, const struct v2_sa_pl *answer,
	enum ike_group pfs, struct v2_child *c)
{
	const struct v2_proposal *p = &answer->prop[0];
	if (answer->n != 1 || p->spi.len != 4 || v2_get32(p->spi.p) < 256)
		return -EPROTO;
	if (pfs ? !has(answer, p, V2_T_DH, (uint16_t)pfs, 0)
		: has_type(answer, p, V2_T_DH) && !has(answer, p, V2_T_DH, IKE_GROUP_NONE, 0))
		return -EPROTO;
	for (unsigned i = 0; i < CFG_ADDKE_MAX; i++) {
		uint8_t type = (uint8_t)(V2_T_ADDKE1 + i);
		if (pfs && i < entry->n_addke ? !has(answer, p, type, entry->addke[i], 0)
					      : has_type(answer, p, type) && !has(answer, p, type, IKE_GROUP_NONE, 0))
			return -EPROTO;
	}
	const struct cfg_transform_set *set[IKE_SETS_MAX];
	const unsigned n = ike_entry_sets(ike, entry, set);
	for (unsigned i = 0; i < n; i++)
		if (match_child(set[i], answer, p)) {
			take_child(c, set[i], p);
			return 0;
		}
	return -EPROTO;
}

/* ---- traffic selectors ---- */

void v2_enc_child_ts(struct v2_enc *e, const struct cv_selector *sel, unsigned n, bool initiator)
{
	struct v2_ts local[CV_SA_SEL_MAX], remote[CV_SA_SEL_MAX];
	memset(local, 0, sizeof(local));
	memset(remote, 0, sizeof(remote));
	for (unsigned i = 0; i < n; i++) {
		local[i] = (struct v2_ts){sel[i].proto, sel[i].sport_lo, sel[i].sport_hi, sel[i].src};
		remote[i] = (struct v2_ts){sel[i].proto, sel[i].dport_lo, sel[i].dport_hi, sel[i].dst};
	}
	v2_enc_ts(e, V2_PL_TSI, initiator ? local : remote, n);
	v2_enc_ts(e, V2_PL_TSR, initiator ? remote : local, n);
}

bool v2_ts_pair(const struct v2_ts *local, const struct v2_ts *remote, struct cv_selector *out)
{
	if (local->range.lo.af != remote->range.lo.af ||
		(local->proto && remote->proto && local->proto != remote->proto))
		return false;
	memset(out, 0, sizeof(*out));
	out->src = local->range;
	out->dst = remote->range;
	out->sport_lo = local->lo;
	out->sport_hi = local->hi;
	out->dport_lo = remote->lo;
	out->dport_hi = remote->hi;
	out->proto = local->proto ? local->proto : remote->proto;
	return true;
}

/* ---- for people ---- */

static void transform_text(FILE *f, const struct v2_transform *t)
{
	static const struct {
		uint8_t type;
		enum algo_ike_kind kind;
		const char *name;
	} kind[] = {{V2_T_ENCR, ALGO_IKE_ENCR, "cipher"}, {V2_T_PRF, ALGO_IKE_PRF, "PRF"},
		{V2_T_INTEG, ALGO_IKE_INTEG, "integrity"}, {V2_T_DH, ALGO_IKE_GROUP, "group"}};
	for (unsigned i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		const struct algo_ike *row;
		if (kind[i].type != t->type)
			continue;
		row = algo_ike_get(kind[i].kind, t->id, t->key_bits);
		if (row)
			fprintf(f, " %s", row->name);
		else
			fprintf(f, " %s-%u%s%.0u", kind[i].name, t->id, t->key_bits ? "/" : "", t->key_bits);
	}
	if (t->type == V2_T_ESN && t->id)
		fputs(" ESN", f);
}

const char *v2_offer_text(const struct v2_sa_pl *offer, char *buf, size_t size)
{
	FILE *f = fmemopen(buf, size, "w"); /* ends what does not fit */
	if (!f) {
		snprintf(buf, size, "?");
		return buf;
	}
	for (unsigned i = 0; i < offer->n; i++) {
		const struct v2_proposal *p = &offer->prop[i];
		fprintf(f, "%s%u: %s", i ? "; " : "", p->num,
			p->proto == V2_PROTO_ESP  ? "ESP"
			: p->proto == V2_PROTO_AH ? "AH"
						  : "IKE");
		for (unsigned t = 0; t < p->n; t++)
			transform_text(f, &offer->transform[p->first + t]);
	}
	fclose(f);
	buf[size - 1] = 0;
	return buf;
}
