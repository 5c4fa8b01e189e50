/* SPDX-License-Identifier: BSD-3-Clause */
/* A new configuration under living SAs: what goes on, what ends (IPSEC-24, 75; a change touches what it changes). */
#include <stdlib.h>
#include <string.h>

#include "ike_internal.h"
#include "ike_private.h"

static bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool identity_eq(const struct cfg_identity *a, const struct cfg_identity *b)
{
	return a->type == b->type && a->domain == b->domain && str_eq(a->text, b->text) &&
	       cv_addr_eq(&a->addr.addr, &b->addr.addr) && a->addr.len == b->addr.len;
}

static bool ppks_same(const struct cfg_ike_profile *a, const struct cfg_ike_profile *b)
{
	if (a->ppk_mode != b->ppk_mode || a->n_ppk != b->n_ppk)
		return false;
	for (unsigned i = 0; i < a->n_ppk; i++) {
		const struct cfg_ppk *x = a->ppk_ref[i], *y = b->ppk_ref[i];
		if (!str_eq(x->id, y->id) || x->key.len != y->key.len || !x->key.p != !y->key.p ||
			(x->key.p && cv_secret_cmp(x->key.p, y->key.p, x->key.len) != 0))
			return false;
	}
	return true;
}

/* Who the peer is and how it is reached: what a running SA was authenticated against. */
static bool profile_same(const struct cfg_ike_profile *a, const struct cfg_ike_profile *b)
{
	if (!str_eq(a->name, b->name) || a->version != b->version ||
		!str_eq(a->virtual_template, b->virtual_template) ||
		(!a->virtual_template && !str_eq(a->vrf, b->vrf)) || /* VTI-35 */
		!str_eq(a->match_fvrf, b->match_fvrf) || a->n_match != b->n_match ||
		a->nat_traversal != b->nat_traversal || a->force_encaps != b->force_encaps ||
		!identity_eq(&a->local_id, &b->local_id) || a->local_auth != b->local_auth ||
		a->remote_auth != b->remote_auth || !ppks_same(a, b) || a->n_trust_point != b->n_trust_point ||
		!str_eq(a->client_group, b->client_group) || a->n_match_cert != b->n_match_cert)
		return false;
	for (unsigned i = 0; i < a->n_match_cert; i++)
		if (!certmap_same(a->match_cert_ref[i], b->match_cert_ref[i]))
			return false;
	for (unsigned i = 0; i < a->n_trust_point; i++)
		if (!str_eq(a->trust_point[i], b->trust_point[i]))
			return false;
	for (unsigned i = 0; i < a->n_match; i++)
		if (!identity_eq(&a->match[i], &b->match[i]))
			return false;
	return true;
}

static bool psk_same(const struct cv_config *old, const struct cv_config *cfg, const struct cfg_ike_profile *op,
	const struct cfg_ike_profile *np, const struct ike_sa *sa)
{
	const struct cfg_psk *a = ike_psk_of(old, op, sa), *b = ike_psk_of(cfg, np, sa);
	if (!a || !b)
		return !a == !b;
	return a->key_len == b->key_len && cv_secret_cmp(a->key, b->key, a->key_len) == 0;
}

/* The new object for an entry that still serves this SA, or NULL. */
static const struct cfg_map_entry *entry_after(
	struct ike *ike, const struct cv_config *old, const struct ike_sa *sa, const struct cfg_map_entry *e)
{
	const struct cfg_map_entry *n = config_entry_find(ike->cfg, e->map->name, e->seq);
	struct cv_addr local;
	uint32_t vrf;
	if (!n || !profile_same(e->profile_ref, n->profile_ref) ||
		!psk_same(old, ike->cfg, e->profile_ref, n->profile_ref, sa))
		return NULL;
	if (ike_entry_has_peer(e, &sa->peer) && !ike_entry_has_peer(n, &sa->peer))
		return NULL;
	if (n->map->template)
		return ike->ops.entry_serves(ike->ctx, &sa->path, n) ? n : NULL;
	if (ike->ops.local_addr(ike->ctx, n, &sa->peer, &local, &vrf) != 0 || vrf != sa->path.vrf ||
		(!cv_addr_eq(&local, &sa->path.local) && !sa->mobike))
		return NULL;
	return n;
}

/* Children first: a child whose entry is gone, or whose flow is no longer permitted, is told to the peer and removed.
 */
static void children_after(struct ike *ike, const struct cv_config *old, struct ike_sa *sa)
{
	struct ike_child *c, *nc;
	TAILQ_FOREACH_SAFE(c, &sa->children, link, nc)
	{
		const struct cfg_map_entry *n = c->p.entry ? entry_after(ike, old, sa, c->p.entry) : NULL;
		bool ok = n != NULL;
		for (unsigned i = 0; ok && i < c->p.n_sel; i++)
			ok = ike_acl_permits(n, &c->p.sel[i]);
		ok = ok && ike_entry_allows(sa, n);
		if (ok || !c->p.entry) {
			c->p.entry = n;
			continue;
		}
		/* deleted while its entry is still readable: the old configuration lives until the end of the switch */
		sa->v->child_delete(c);
		if (!c->dead)
			c->p.entry = NULL;
	}
}

static void readdress(struct ike *ike, struct ike_sa *sa)
{
	struct cv_addr local;
	uint32_t vrf;
	if (sa->mobike && sa->entry && ike->ops.local_addr(ike->ctx, sa->entry, &sa->peer, &local, &vrf) == 0 &&
		!cv_addr_eq(&local, &sa->path.local))
		sa->v->readdress(sa, &local);
}

static void sa_after(struct ike *ike, const struct cv_config *old, struct ike_sa *sa)
{
	const struct cfg_map_entry *e = sa->entry ? entry_after(ike, old, sa, sa->entry) : NULL;
	struct ike_child *c;
	if (sa->entry || sa->phase != IKE_PHASE_HALF_OPEN)
		children_after(ike, old, sa);
	TAILQ_FOREACH (c, &sa->children, link)
		if (!e && c->p.entry)
			e = c->p.entry; /* the entry it was made for is gone, another one uses it */
	if (sa->dead)
		return;
	if (!e && (sa->entry || sa->profile)) {
		sa->v->sa_delete(sa, "configuration changed");
		if (sa->dead)
			return;
	}
	/* e == NULL here: a half-open responder, or one that waits for the answer to its delete */
	sa->entry = e;
	sa->profile = e ? e->profile_ref : NULL;
	readdress(ike, sa);
	if (sa->v->config_changed)
		sa->v->config_changed(sa);
}

static void reqs_after(struct ike *ike)
{
	struct ike_req *r, *nr;
	TAILQ_FOREACH_SAFE(r, &ike->reqs, all, nr)
	{
		const struct cfg_map_entry *n = config_entry_find(ike->cfg, r->entry->map->name, r->entry->seq);
		if (n && n->n_peer > r->peer && ike_acl_permits(n, &r->sel))
			r->entry = n;
		else
			ike_req_drop(r, "configuration changed");
	}
}

/* Do the IKEv2 profiles that entries have differ in how their peers prove themselves? */
static bool mixed_auth(const struct cv_config *cfg)
{
	unsigned kinds = 0;
	for (unsigned m = 0; m < cfg->n_map; m++)
		for (unsigned i = 0; i < cfg->map[m].n_entry; i++) {
			const struct cfg_ike_profile *p = cfg->map[m].entry[i].profile_ref;
			if (p && p->version == CFG_IKEV2)
				kinds |= 1u << p->remote_auth;
		}
	return kinds & (kinds - 1);
}

void ike_set_config(struct ike *ike, struct cv_config *cfg)
{
	struct cv_config *old = ike->cfg;
	struct ike_sa *sa, *ns;
	ike_enter(ike);
	ike->cfg = config_ref(cfg);
	if (old) {
		/* wishes before SAs: an SA that ends would otherwise restart its wishes from the old configuration */
		reqs_after(ike);
		TAILQ_FOREACH_SAFE(sa, &ike->sas, all, ns)
		{
			if (sa->dead)
				continue;
			if (cfg->ike_enabled)
				sa_after(ike, old, sa);
			else
				sa->v->sa_delete(sa, "IKE disabled");
		}
	}
	ike_leave(ike);
	ike_cac_config(ike);
	ike->mixed_auth = mixed_auth(cfg);
	ike_peers_config(ike);
	ike_learned_free(ike);
	if (old)
		config_unref(old);
	ike_auto_soon(ike);
}
