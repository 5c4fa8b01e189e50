/* SPDX-License-Identifier: BSD-3-Clause */
/* Children: pairs of IPsec SAs between negotiation and the host; and what an ACL permits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ike_internal.h"
#include "ike_private.h"

struct ike_child *ike_child_new(struct ike_sa *sa, size_t size)
{
	struct ike *ike = sa->ike;
	struct ike_child *c = calloc(1, size);
	if (!c)
		return NULL;
	c->sa = sa;
	c->p.path = sa->path;
	if (ike->ops.alloc_spi(ike->ctx, &c->p.spi_in, &c->p.index_in) != 0) {
		free(c);
		return NULL;
	}
	c->has_spi = true;
	TAILQ_INSERT_TAIL(&sa->children, c, link);
	return c;
}

int ike_child_bundle(struct ike_child *c)
{
	struct ike *ike = c->sa->ike;
	return c->p.ah_index_in ? 0 : ike->ops.alloc_spi(ike->ctx, &c->p.ah_spi_in, &c->p.ah_index_in);
}

void ike_child_unbundle(struct ike_child *c)
{
	struct ike *ike = c->sa->ike;
	if (c->p.ah_index_in)
		ike->ops.free_spi(ike->ctx, c->p.ah_index_in);
	c->p.ah_index_in = c->p.ah_spi_in = c->p.ah_spi_out = 0;
}

void ike_note(const struct ike_sa *sa, const struct ike_child_params *cp, bool error, const char *fmt, ...)
{
	struct ike_note n = {.error = error, .path = &sa->path, .ike_id = sa->id};
	char text[512], id_text[IKE_ID_MAX + 1];
	struct ike_id local, peer;
	va_list ap;
	if (!ike_wants_notes(sa->ike))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n.text = text;
	n.spi_in = cp ? cp->spi_in : 0;
	n.spi_out = cp ? cp->spi_out : 0;
	if (sa->profile)
		n.ivrf = config_inside_vrf(sa->profile, sa->path.vrf);
	sa->v->ids(sa, &local, &peer);
	n.peer_id = peer.len ? ike_id_str(&peer, id_text, sizeof(id_text)) : NULL;
	sa->ike->ops.note(sa->ike->ctx, &n);
}

void ike_note_chosen(const struct ike_sa *sa, const struct ike_child_params *cp, const char *by)
{
	char suite[ALGO_SUITE_STR];
	if (ike_wants_notes(sa->ike))
		ike_note(sa, cp, false, "%s chose %s in %s mode%s for crypto map %s %u", by,
			algo_suite_name(cp->suite, suite), cp->transport ? "transport" : "tunnel",
			cp->esn ? " with ESN" : "", cp->entry->map->name, cfg_entry_place(cp->entry));
}

static void life_fire(struct ike *ike, struct ike_timer *t)
{
	struct ike_child *c = IKE_CONTAINER(t, struct ike_child, life);
	if (ike_now(ike) >= c->hard_ms) {
		ike_note(c->sa, &c->p, false, "SA 0x%08x has lived its %u seconds: deleted", c->p.spi_in,
			c->p.lifetime_s);
		c->sa->v->child_delete(c);
		return;
	}
	ike_timer_set(ike, t, c->hard_ms);
	if (c->state != IKE_CHILD_ESTABLISHED)
		return;
	ike_note(c->sa, &c->p, false, "SA 0x%08x comes to the end of its %u seconds: to be renewed", c->p.spi_in,
		c->p.lifetime_s);
	c->sa->v->child_rekey(c);
}

void ike_child_arm(struct ike_child *c)
{
	uint64_t now = ike_now(c->sa->ike);
	c->life.fire = life_fire;
	/* a restored child may be past its soft limit: renew it at once */
	uint64_t soft = c->soft_ms > now ? c->soft_ms : now;
	ike_timer_set(c->sa->ike, &c->life, soft < c->hard_ms ? soft : c->hard_ms);
}

static void child_up(struct ike_child *c)
{
	struct ike *ike = c->sa->ike;
	uint64_t now = ike_now(ike), hard = c->p.lifetime_s * 1000ull;
	c->state = IKE_CHILD_ESTABLISHED;
	c->established_ms = now;
	c->hard_ms = now + hard;
	c->soft_ms = now + ike_soft_ms(hard, c->p.initiator);
	ike_child_arm(c);
	if (c->p.rekey)
		ike->stats.child_rekeyed++;
	else
		ike->stats.child_established++;
	struct ike_req *req = c->req;
	c->req = NULL;
	if (req)
		ike_req_done(req, 0, NULL);
}

static void child_ack(void *arg, int err)
{
	struct ike_child *c = arg;
	struct ike *ike = c->sa->ike;
	ike_enter(ike);
	c->cb_pending = false;
	if (!c->dead) {
		if (err) {
			ike->stats.child_failed++;
			cv_warn("ike", "IPsec SA 0x%08x refused by the dataplane: %s", c->p.spi_in, strerror(-err));
		} else {
			child_up(c);
		}
		c->installed(c, err);
	}
	ike_leave(ike);
}

void ike_child_install(struct ike_child *c, struct ike_child_keys *keys)
{
	struct ike *ike = c->sa->ike;
	c->state = IKE_CHILD_INSTALLING;
	c->cb_pending = true;
	c->has_spi = false; /* the host owns the SPI from here, also when it refuses */
	int err = ike->ops.child_add(ike->ctx, &c->p, keys, &c->child_id, child_ack, c);
	cv_secret_zero(keys, sizeof(*keys));
	if (err) {
		c->has_spi = true;
		child_ack(c, err);
	} else if (!c->dead && c->child_id) {
		ike_child_index(c);
	}
}

void ike_child_activate(struct ike_child *c)
{
	if (!c->p.inbound_only)
		return;
	c->p.inbound_only = false;
	c->sa->ike->ops.child_activate(c->sa->ike->ctx, c->child_id);
}

void ike_child_remove(struct ike_child *c, uint32_t linger_ms)
{
	struct ike *ike = c->sa->ike;
	if (c->dead)
		return;
	ike_enter(ike);
	c->dead = true;
	ike_timer_stop(ike, &c->life);
	ike_child_unindex(c);
	if (c->child_id)
		ike->ops.child_del(ike->ctx, c->child_id, linger_ms);
	else if (c->has_spi) {
		ike->ops.free_spi(ike->ctx, c->p.index_in);
		ike_child_unbundle(c);
	}
	if (c->sa->v->child_fini)
		c->sa->v->child_fini(c);
	TAILQ_REMOVE(&c->sa->children, c, link);
	TAILQ_INSERT_TAIL(&ike->dead_children, c, link);
	if (c->p.entry && c->p.entry->auto_start && c->state != IKE_CHILD_REKEYED)
		ike_auto_soon(ike);
	ike_leave(ike);
}

struct ike_child *ike_child_by_spi_out(struct ike_sa *sa, uint32_t spi)
{
	struct ike_child *c;
	TAILQ_FOREACH (c, &sa->children, link)
		if (c->p.spi_out == spi && spi)
			return c;
	return NULL;
}

struct ike_child *ike_child_by_spi_in(struct ike_sa *sa, uint32_t spi)
{
	struct ike_child *c;
	TAILQ_FOREACH (c, &sa->children, link)
		if (c->p.spi_in == spi && spi)
			return c;
	return NULL;
}

static bool range_is(const struct cv_range *r, const struct cv_addr *a)
{
	return cv_addr_eq(&r->lo, a) && cv_addr_eq(&r->hi, a);
}

bool ike_flow_is_peers(const struct cv_selector *sel, const struct ike_path *path)
{
	return range_is(&sel->src, &path->local) && range_is(&sel->dst, &path->remote);
}

unsigned ike_entry_sets(
	const struct ike *ike, const struct cfg_map_entry *e, const struct cfg_transform_set *set[static IKE_SETS_MAX])
{
	unsigned n = 0;
	for (unsigned i = 0; i < e->n_transform_set && n < IKE_SETS_MAX; i++)
		if (!ike->ops.suite_can || ike->ops.suite_can(ike->ctx, e->ts_ref[i]->suite))
			set[n++] = e->ts_ref[i];
	return n;
}

bool ike_entry_compresses(const struct cfg_map_entry *e)
{
	for (unsigned i = 0; i < e->n_transform_set; i++)
		if (e->ts_ref[i]->suite.comp)
			return true;
	return false;
}

uint32_t ike_entry_lifetime_s(const struct ike *ike, const struct cfg_map_entry *e)
{
	return e->lifetime_s ? e->lifetime_s : ike->cfg->ipsec_lifetime_s;
}

uint64_t ike_entry_lifetime_kb(const struct ike *ike, const struct cfg_map_entry *e)
{
	return e->lifetime_kb ? e->lifetime_kb : ike->cfg->ipsec_lifetime_kb;
}

struct found_entries {
	struct ike *ike;
	const struct ike_version *v;
	const struct ike_path *path;
	const struct cfg_map_entry **out;
	unsigned n, max;
};

static bool take_entry(void *arg, const struct cfg_map_entry *e)
{
	struct found_entries *f = arg;
	if (ike_version_of(e) == f->v && config_binding_has(&e->profile_ref->local, f->path->vrf, &f->path->local) &&
		f->ike->ops.entry_serves(f->ike->ctx, f->path, e))
		f->out[f->n++] = e;
	return f->n < f->max;
}

unsigned ike_entries_for(struct ike *ike, const struct ike_version *v, const struct ike_path *path,
	const struct cv_addr *peer, const struct cfg_map_entry **out, unsigned max)
{
	struct found_entries f = {.ike = ike, .v = v, .path = path, .out = out, .max = max};
	config_peer_entries(ike->cfg, peer, take_entry, &f);
	return f.n;
}

bool ike_entry_has_peer(const struct cfg_map_entry *e, const struct cv_addr *peer)
{
	for (unsigned i = 0; i < e->n_peer; i++)
		if (cv_addr_eq(&e->peer[i], peer))
			return true;
	return false;
}

bool ike_acl_permits(const struct cfg_map_entry *e, const struct cv_selector *sel)
{
	const struct cfg_acl *acl = e->acl_ref;
	struct cv_selector both;
	if (!acl)
		return cfg_entry_is_dynamic(e); /* IPSEC-59: any flow */
	for (unsigned i = 0; i < acl->n_line; i++) {
		const struct cfg_acl_line *l = &acl->line[i];
		if (l->permit && cv_selector_contains(&l->sel, sel)) /* of a tunnel no part of it (VTI-17) */
			return !e->map->tunnel || cv_selector_contains(sel, &l->sel);
		if (!l->permit && !l->dscp && cv_selector_intersect(&l->sel, sel, &both))
			return false;
	}
	return false;
}

static bool is_other_flow(const struct ike_sa *sa, const struct cfg_map_entry *e, const struct cv_selector *want)
{
	const struct ike_child *c;
	TAILQ_FOREACH (c, &sa->children, link)
		if (c->p.entry == e && c->p.n_sel && memcmp(&c->p.sel[0], want, sizeof(*want)) != 0)
			return true;
	return false;
}

/* VTI-26: a session has one flow, however often it is renewed. In IKEv1 its pairs may be of an older IKE SA. */
static bool has_other_flow(const struct ike_sa *sa, const struct cfg_map_entry *e, const struct cv_selector *want)
{
	struct ike_sa *o = NULL;
	if (sa->v != &ike_v1)
		return is_other_flow(sa, e, want);
	while ((o = ike_sa_next_by_addr(sa->ike, sa->path.vrf, &sa->peer, o)))
		if (o->v == sa->v && o->path.rport == sa->path.rport && is_other_flow(o, e, want))
			return true;
	return false;
}

const struct cfg_map_entry *ike_entry_for_flow(const struct ike_sa *sa, const struct cfg_map_entry *const *entry,
	unsigned n, const struct cv_selector *want, bool *barred)
{
	*barred = false;
	for (unsigned i = 0; i < 2 * n; i++) { /* IPSEC-46: static entries first */
		const struct cfg_map_entry *e = entry[i % n];
		if (cfg_entry_is_dynamic(e) != (i >= n) || e->profile_ref != sa->profile || !ike_acl_permits(e, want) ||
			!(ike_entry_has_peer(e, &sa->peer) || (config_profile_selects(sa->profile) && !e->map->tunnel)))
			continue;
		if (e->map->template && has_other_flow(sa, e, want))
			continue;
		if (ike_entry_allows(sa, e)) {
			*barred = false;
			return e;
		}
		*barred = true;
	}
	return NULL;
}

const char *ike_child_state_name(enum ike_child_state s)
{
	static const char *const name[] = {
		[IKE_CHILD_NEGOTIATING] = "negotiating",
		[IKE_CHILD_INSTALLING] = "installing",
		[IKE_CHILD_ESTABLISHED] = "established",
		[IKE_CHILD_REKEYING] = "rekeying",
		[IKE_CHILD_REKEYED] = "rekeyed",
		[IKE_CHILD_DELETING] = "deleting",
	};
	return name[s];
}
