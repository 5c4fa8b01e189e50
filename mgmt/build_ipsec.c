/* SPDX-License-Identifier: BSD-3-Clause */
/* Transform sets and crypto maps. */
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "cv_addr.h"

/* The manuals' list of transforms, or one name for the usual pairs. */
static bool suite(struct build *b, const struct lyd_node *set, struct algo_suite *s)
{
	const struct lyd_node *name = tree_child(set, "algorithm");

	if (name && !algo_suite_by_name(lyd_get_value(name), s))
		return build_fail(b, name, "\"%s\" is not built in", lyd_get_value(name));
	for (const struct lyd_node *t = NULL; (t = tree_next(set, "transform", t));) {
		const char *why = algo_suite_add(s, lyd_get_value(t));
		if (why)
			return build_fail(b, t, "%s: %s", lyd_get_value(t), why);
	}
	return true;
}

static bool transform_sets(struct build *b, const struct lyd_node *ipsec)
{
	b->c->transform_set = config_alloc(b->c, tree_count(ipsec, "transform-set"), sizeof(*b->c->transform_set));
	for (const struct lyd_node *n = NULL; (n = tree_next(ipsec, "transform-set", n));) {
		struct cfg_transform_set *t = &b->c->transform_set[b->c->n_transform_set++];
		if (!suite(b, n, &t->suite))
			return false;
		t->name = build_text(b, n, "name");
		t->transport = strcmp(tree_text(n, "mode"), "transport") == 0;
		t->esn = tree_flag(n, "esn");
	}
	return true;
}

enum cfg_df_bit build_df_bit(const char *name)
{
	if (!name)
		return CFG_DF_DEFAULT;
	return strcmp(name, "set") == 0 ? CFG_DF_SET : strcmp(name, "clear") == 0 ? CFG_DF_CLEAR : CFG_DF_COPY;
}

enum cfg_fragment build_fragment(const char *name)
{
	if (!name)
		return CFG_FRAG_DEFAULT;
	return strcmp(name, "after-encryption") == 0 ? CFG_FRAG_AFTER : CFG_FRAG_BEFORE;
}

/* unset: where neither of the two is given. */
static uint32_t replay_window(const struct lyd_node *n, uint32_t unset)
{
	const struct lyd_node *replay = tree_child(n, "replay");

	if (tree_child(replay, "disable"))
		return 0;
	return tree_child(replay, "window-size") ? (uint32_t)tree_number(replay, "window-size") : unset;
}

static bool session_key(struct build *b, const struct lyd_node *n, struct cfg_session_key *k)
{
	const struct lyd_node *cipher = tree_child(n, "cipher"), *auth = tree_child(n, "authenticator");

	const struct lyd_node *ah = tree_child(n, "ah"), *ah_auth = tree_child(ah, "authenticator");

	k->spi = (uint32_t)tree_number(n, "spi");
	k->ah_spi = (uint32_t)tree_number(ah, "spi");
	return (!cipher || build_secret(b, cipher, true, &k->cipher, &k->cipher_len)) &&
	       (!auth || build_secret(b, auth, true, &k->auth, &k->auth_len)) &&
	       (!ah_auth || build_secret(b, ah_auth, true, &k->ah_auth, &k->ah_auth_len));
}

/* NULL, and true, when the entry has no session keys. */
static bool manual(struct build *b, const struct lyd_node *n, const struct cfg_manual **out)
{
	const struct lyd_node *keys = tree_child(n, "session-key");
	struct cfg_manual *m;

	if (!keys)
		return true;
	m = config_alloc(b->c, 1, sizeof(*m));
	*out = m;
	return session_key(b, tree_child(keys, "inbound"), &m->in) &&
	       session_key(b, tree_child(keys, "outbound"), &m->out);
}

/* What entries of maps and profiles have in common. */
static void policy(struct build *b, const struct lyd_node *n, struct cfg_map_entry *e)
{
	const struct lyd_node *life = tree_child(n, "lifetime");

	e->transform_set = build_names(b, n, "transform-set", &e->n_transform_set);
	e->pfs = build_group(tree_text(n, "pfs"));
	e->addke = config_alloc(b->c, tree_count(n, "pfs-additional-group"), sizeof(*e->addke));
	for (const struct lyd_node *l = NULL; (l = tree_next(n, "pfs-additional-group", l)); e->n_addke++)
		e->addke[e->n_addke] = build_group(lyd_get_value(l));
	e->lifetime_s = (uint32_t)tree_number(life, "seconds");
	e->lifetime_kb = tree_number(life, "kilobytes");
	e->replay_window = replay_window(n, CFG_REPLAY_GLOBAL);
	e->idle_s = (uint32_t)tree_number(n, "idle-time");
	e->ike_profile = build_text(b, n, "ike-profile");
}

/* A template: what an entry has that knows no peer. */
static void template(struct build *b, const struct lyd_node *n, struct cfg_map_entry *e)
{
	policy(b, n, e);
	e->seq = (uint32_t)tree_number(n, "sequence");
	e->description = build_text(b, n, "description");
	e->acl = build_text(b, n, "access-list");
	e->identity = build_text(b, n, "identity");
}

/* An address, or the name of a host (IPSEC-50): YANG lets nothing else through. */
static void peer(struct build *b, const char *text, struct cfg_map_entry *e, unsigned of)
{
	unsigned i = e->n_peer++;

	if (cv_addr_parse(text, &e->peer[i]) == 0)
		return;
	if (!e->peer_host)
		e->peer_host = config_alloc(b->c, of, sizeof(*e->peer_host));
	e->peer_host[i] = config_strdup(b->c, text);
}

static bool entry(struct build *b, const struct lyd_node *n, struct cfg_map_entry *e)
{
	template(b, n, e);
	e->dynamic_map = build_text(b, n, "dynamic-map");
	e->per_host = strcmp(tree_text(n, "level"), "per-host") == 0;
	e->auto_start = tree_flag(n, "auto-start");
	e->default_peer = tree_flag(n, "default-peer");
	e->idle_to_default = tree_flag(n, "idle-to-default");
	e->peer = config_alloc(b->c, tree_count(n, "peer"), sizeof(*e->peer));
	for (const struct lyd_node *p = NULL; (p = tree_next(n, "peer", p));)
		peer(b, lyd_get_value(p), e, tree_count(n, "peer"));
	return manual(b, n, &e->manual);
}

static int by_sequence(const void *a, const void *b)
{
	uint32_t x = ((const struct cfg_map_entry *)a)->seq, y = ((const struct cfg_map_entry *)b)->seq;

	return x < y ? -1 : x > y;
}

static bool maps(struct build *b, const struct lyd_node *ipsec)
{
	b->c->map = config_alloc(b->c, tree_count(ipsec, "crypto-map"), sizeof(*b->c->map));
	for (const struct lyd_node *n = NULL; (n = tree_next(ipsec, "crypto-map", n));) {
		struct cfg_crypto_map *m = &b->c->map[b->c->n_map++];
		m->name = build_text(b, n, "name");
		m->local_address = build_text(b, n, "local-address");
		m->ike_profile = build_text(b, n, "ike-profile");
		m->entry = config_alloc(b->c, tree_count(n, "entry"), sizeof(*m->entry));
		for (const struct lyd_node *e = NULL; (e = tree_next(n, "entry", e));)
			if (!entry(b, e, &m->entry[m->n_entry++]))
				return false;
		if (m->n_entry)
			qsort(m->entry, m->n_entry, sizeof(*m->entry), by_sequence);
	}
	return true;
}

static void dynamic_maps(struct build *b, const struct lyd_node *ipsec)
{
	b->c->dynamic_map = config_alloc(b->c, tree_count(ipsec, "dynamic-map"), sizeof(*b->c->dynamic_map));
	for (const struct lyd_node *n = NULL; (n = tree_next(ipsec, "dynamic-map", n));) {
		struct cfg_dynamic_map *d = &b->c->dynamic_map[b->c->n_dynamic_map++];

		d->name = build_text(b, n, "name");
		d->entry = config_alloc(b->c, tree_count(n, "entry"), sizeof(*d->entry));
		for (const struct lyd_node *e = NULL; (e = tree_next(n, "entry", e));)
			template(b, e, &d->entry[d->n_entry++]);
		if (d->n_entry)
			qsort(d->entry, d->n_entry, sizeof(*d->entry), by_sequence);
	}
}

static bool profiles(struct build *b, const struct lyd_node *ipsec)
{
	b->c->ipsec_profile = config_alloc(b->c, tree_count(ipsec, "profile"), sizeof(*b->c->ipsec_profile));
	for (const struct lyd_node *n = NULL; (n = tree_next(ipsec, "profile", n));) {
		struct cfg_ipsec_profile *p = &b->c->ipsec_profile[b->c->n_ipsec_profile++];

		p->name = build_text(b, n, "name");
		p->description = build_text(b, n, "description");
		policy(b, n, &p->policy);
	}
	return true;
}

bool build_ipsec(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *ipsec = tree_top(tree, "culvert-ipsec", "ipsec");
	const struct lyd_node *life = tree_child(ipsec, "lifetime"), *sa = tree_child(ipsec, "security-association");

	if (!ipsec)
		return true;
	b->c->ipsec_lifetime_s = (uint32_t)tree_number(life, "seconds");
	b->c->ipsec_lifetime_kb = tree_number(life, "kilobytes");
	b->c->replay_window = replay_window(sa, CFG_REPLAY_DEFAULT);
	b->c->idle_s = (uint32_t)tree_number(sa, "idle-time");
	b->c->df_bit = build_df_bit(tree_text(ipsec, "df-bit"));
	b->c->fragment = build_fragment(tree_text(ipsec, "fragmentation"));
	b->c->no_default_transform_set = !tree_flag(ipsec, "default-transform-sets");
	dynamic_maps(b, ipsec);
	return transform_sets(b, ipsec) && maps(b, ipsec) && profiles(b, ipsec);
}
