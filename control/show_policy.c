/* SPDX-License-Identifier: BSD-3-Clause */
/* show: what is configured for IKE and IPsec. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "dscp.h"
#include "show_priv.h"

static const char *ike_name(enum algo_ike_kind kind, unsigned id, uint16_t bits)
{
	const struct algo_ike *a = algo_ike_get(kind, (uint16_t)id, bits);

	return a ? a->name : NULL;
}

static void policies(struct show *s, bool only_default)
{
	json_t *list = set_array(s->out, "policies");

	for (unsigned i = 0; s->c->running && i < s->c->running->n_ike_policy; i++) {
		const struct cfg_ike_policy *p = &s->c->running->ike_policy[i];
		if (only_default && !p->builtin)
			continue;
		const struct algo_ike *group = algo_ike_get(ALGO_IKE_GROUP, (uint16_t)p->group, 0);
		json_t *o = json_object();

		set_int(o, "priority", p->priority);
		set_str(o, "encryption", ike_name(ALGO_IKE_ENCR, p->encr, p->key_bits));
		set_int(o, "key_bits", p->key_bits);
		set_str(o, "hash", ike_name(ALGO_IKE_PRF, p->hash, 0));
		set_str(o, "authentication", config_auth_name(p->auth));
		set_int(o, "group", p->group);
		if (group)
			set_int(o, "group_bits", group->key_bits);
		set_int(o, "lifetime", p->lifetime_s);
		set_flag(o, "default", p->builtin);
		json_array_append_new(list, o);
	}
	show_answer(s);
}

void show_policy(struct show *s)
{
	policies(s, false);
}

/* USAB-14: empty where there are policies of the operator's, or the default ones are off. */
void show_default_policy(struct show *s)
{
	policies(s, true);
}

static json_t *identity_object(const struct cfg_identity *m, const char *fvrf)
{
	static const char *const type[] = {[CFG_ID_ADDRESS] = "address",
		[CFG_ID_FQDN] = "fqdn",
		[CFG_ID_USER_FQDN] = "user-fqdn",
		[CFG_ID_KEY_ID] = "key-id",
		[CFG_ID_DN] = "dn"};
	char text[CV_PREFIX_STR];
	json_t *o = json_object();

	set_str(o, "type", type[m->type]);
	set_str(o, "value", m->type == CFG_ID_ADDRESS ? cv_prefix_str(&m->addr, text) : m->text);
	set_flag(o, "domain", m->domain);
	set_str(o, "vrf", m->type == CFG_ID_ADDRESS ? fvrf : NULL);
	return o;
}

/* SAFENET-T3: "serial2/0 (10.20.0.1:global)". */
static void set_binding(json_t *o, const struct cfg_binding *b)
{
	const struct cfg_vrf *vrf = b->if_ref ? b->if_ref->vrf_ref : b->vrf_ref;
	const struct cv_addr *a = b->if_ref ? (b->if_ref->n_addr ? &b->if_ref->addr[0].addr : NULL) : &b->addr;
	char text[CV_ADDR_STR], buf[256];

	if (!b->interface && !cv_addr_bits(&b->addr))
		return;
	snprintf(buf, sizeof(buf), "%s%s%s:%s%s", b->interface ? b->interface : "", b->interface ? " (" : "",
		a ? cv_addr_str(a, text) : "no address", vrf ? vrf->name : "global", b->interface ? ")" : "");
	set_str(o, "local_address", buf);
}

static void set_names(json_t *o, const char *key, const char *const *name, unsigned n)
{
	json_t *a = set_array(o, key);

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(a, json_string(name[i]));
}

/* DN-T4: as the operator wrote them, but for case and blanks. */
void show_identity(struct show *s)
{
	json_t *list = set_array(s->out, "identities");

	for (unsigned i = 0; s->c->running && i < s->c->running->n_identity; i++) {
		const struct certmap_identity *id = &s->c->running->identity[i];
		json_t *o = json_object(), *lines = set_array(o, "lines");
		char text[CERTMAP_TEXT_MAX];

		set_str(o, "name", id->name);
		for (unsigned j = 0; j < id->n_line; j++) {
			json_t *l = json_object();
			set_str(l, "type", id->line[j].kind == CERTMAP_ID_DN ? "dn" : "fqdn");
			set_str(l, "value", certmap_id_line_text(&id->line[j], text));
			json_array_append_new(lines, l);
		}
		json_array_append_new(list, o);
	}
	show_answer(s);
}

void show_profile(struct show *s)
{
	json_t *list = set_array(s->out, "profiles");

	for (unsigned i = 0; s->c->running && i < s->c->running->n_ike_profile; i++) {
		const struct cfg_ike_profile *p = &s->c->running->ike_profile[i];
		json_t *o = json_object(), *a;

		set_str(o, "name", p->name);
		set_str(o, "description", p->description);
		set_int(o, "version", p->version);
		set_str(o, "vrf", p->vrf);
		set_binding(o, &p->local);
		set_flag(o, "default", p->builtin);
		a = set_array(o, "identities");
		for (unsigned j = 0; j < p->n_match; j++)
			json_array_append_new(a, identity_object(&p->match[j], p->match_fvrf));
		set_names(o, "keyrings", p->keyring, p->n_keyring);
		set_names(o, "certificate_maps", p->match_cert, p->n_match_cert);
		set_names(o, "trust_points", p->trust_point, p->trust_all ? 0 : p->n_trust_point);
		set_str(o, "client_group", p->client_group);
		a = set_array(o, "proposals");
		for (unsigned j = 0; p->version == CFG_IKEV2 && j < p->n_proposal; j++)
			json_array_append_new(a, json_string(p->proposal[j]));
		json_array_append_new(list, o);
	}
	show_answer(s);
}

/* Whose keys there are; never the keys. */
void show_key(struct show *s)
{
	json_t *list = set_array(s->out, "keyrings");

	for (unsigned i = 0; s->c->running && i < s->c->running->n_keyring; i++) {
		const struct cfg_keyring *k = &s->c->running->keyring[i];
		json_t *o = json_object(), *keys;

		set_str(o, "name", k->name);
		set_str(o, "description", k->description);
		set_str(o, "vrf", k->vrf);
		set_binding(o, &k->local);
		keys = set_array(o, "keys");
		for (unsigned j = 0; j < k->n_psk; j++) {
			json_t *p = json_object();
			char text[CV_PREFIX_STR];

			if (k->psk[j].hostname)
				set_str(p, "hostname", k->psk[j].hostname);
			else
				set_str(p, "address", cv_prefix_str(&k->psk[j].peer, text));
			set_flag(p, "unusable", k->psk[j].sealed);
			json_array_append_new(keys, p);
		}
		json_array_append_new(list, o);
	}
	show_answer(s);
}

/* ---- peers: those with a description, and those that are there (MON-T1) ---- */

struct peers {
	struct show *s;
	json_t *index;
	struct cv_addr only; /* af NONE = all */
};

static void peer_add(struct peers *x, const struct cv_addr *a, uint64_t port)
{
	struct show *s = x->s;
	json_t *index = x->index;
	char text[CV_ADDR_STR], key[CV_ADDR_STR + 8];
	json_t *o;

	cv_addr_str(a, text);
	snprintf(key, sizeof(key), "%s %u", text, (unsigned)port);
	if (json_object_get(index, key) || (cv_addr_bits(&x->only) && !cv_addr_eq(&x->only, a)))
		return;
	o = json_object();
	set_str(o, "peer", text);
	set_int(o, "port", port);
	set_str(o, "description", session_description(s->c, a));
	if (session_description(s->c, a)) {
		json_t *flags = set_array(o, "flags");

		json_array_append_new(flags, json_string("PEER_POLICY"));
	}
	json_object_set(index, key, o);
	json_object_set_new(index, text, json_true());
	json_array_append_new(s->list, o);
}

static void peer_of(void *arg, const struct ike_sa_name *name)
{
	struct peers *x = arg;
	struct ike_sa_brief b;

	if (ike_sa_brief(x->s->c->ike, name, &b))
		peer_add(x, &b.path.remote, b.path.rport);
}

void show_peer(struct show *s)
{
	struct peers x = {.s = s};
	const struct cv_config *cfg = s->c->running;

	if (arg_addr(s, "address", &x.only))
		return;
	x.index = json_object();
	s->list = set_array(s->out, "peers");
	ike_for_each_sa(s->c->ike, 0, peer_of, &x);
	for (unsigned i = 0; cfg && i < cfg->n_peer; i++) {
		char text[CV_ADDR_STR];

		if (!json_object_get(x.index, cv_addr_str(&cfg->peer[i].addr, text)))
			peer_add(&x, &cfg->peer[i].addr, 500);
	}
	json_decref(x.index);
	show_answer(s);
}

/* ---- transform sets ---- */

static void transform_sets(struct show *s, bool only_default)
{
	json_t *list = set_array(s->out, "transform_sets");
	const char *tag = arg_str(s, "tag");

	for (unsigned i = 0; s->c->running && i < s->c->running->n_transform_set; i++) {
		const struct cfg_transform_set *t = &s->c->running->transform_set[i];
		char text[ALGO_SUITE_STR];
		json_t *o;

		if (only_default && !t->builtin)
			continue;
		if (tag && strcmp(tag, t->name) != 0)
			continue;
		o = json_object();
		set_str(o, "name", t->name);
		set_str(o, "transform", algo_suite_manual(t->suite, text));
		set_str(o, "algorithm", algo_suite_name(t->suite, text));
		set_str(o, "mode", t->transport ? "Transport" : "Tunnel");
		set_flag(o, "esn", t->esn);
		if (!control_can(s->c, t->suite))
			set_str(o, "warning", "not supported by the crypto engine, ignored");
		json_array_append_new(list, o);
	}
	show_answer(s);
}

void show_sa_lifetime(struct show *s)
{
	const struct cv_config *c = s->c->running;

	set_int(s->out, "life_kb", c ? c->ipsec_lifetime_kb : 0);
	set_int(s->out, "life_seconds", c ? c->ipsec_lifetime_s : 0);
	show_answer(s);
}

/* A member of an answer for each entry that says something of its own; NULL = it does not. */
static void own_settings(struct show *s, json_t *(*setting)(const struct cfg_map_entry *e))
{
	const struct cv_config *c = s->c->running;
	json_t *list = set_array(s->out, "entries");

	for (unsigned i = 0; c && i < c->n_map; i++)
		for (unsigned k = 0; k < c->map[i].n_entry; k++) {
			json_t *o = setting(&c->map[i].entry[k]);

			if (!o)
				continue;
			set_str(o, "map", c->map[i].name);
			set_int(o, "sequence", cfg_entry_place(&c->map[i].entry[k]));
			json_array_append_new(list, o);
		}
}

static json_t *window_of(const struct cfg_map_entry *e)
{
	json_t *o = e->replay_own ? json_object() : NULL;

	if (o)
		set_int(o, "window_size", e->replay_window);
	return o;
}

static json_t *idle_time_of(const struct cfg_map_entry *e)
{
	json_t *o = e->idle_own ? json_object() : NULL;

	if (o)
		set_int(o, "idle_time", e->idle_s);
	if (e->idle_to_default)
		set_flag(o, "idle_to_default", true);
	return o;
}

void show_sa_replay(struct show *s)
{
	const struct cv_config *c = s->c->running;

	set_int(s->out, "window_size", c ? c->replay_window : CFG_REPLAY_DEFAULT);
	own_settings(s, window_of);
	show_answer(s);
}

void show_sa_idle_time(struct show *s)
{
	const struct cv_config *c = s->c->running;

	set_int(s->out, "idle_time", c ? c->idle_s : 0);
	own_settings(s, idle_time_of);
	show_answer(s);
}

void show_transform_set(struct show *s)
{
	transform_sets(s, false);
}

void show_default_transform_set(struct show *s)
{
	transform_sets(s, true);
}

/* ---- access lists ---- */

static const char *end_text(const struct cv_range *r, char buf[static 128])
{
	char text[CV_ADDR_STR];
	struct cv_prefix p;

	if (!cv_range_to_prefix(r, &p))
		return range_text(r, buf);
	if (!p.len)
		return "any";
	if (p.len < cv_addr_bits(&p.addr))
		return cv_prefix_str(&p, buf);
	snprintf(buf, 128, "host %s", cv_addr_str(&p.addr, text));
	return buf;
}

static void set_ports(json_t *o, const char *key, uint16_t lo, uint16_t hi)
{
	char text[16];

	if (!lo && hi == UINT16_MAX)
		return;
	snprintf(text, sizeof(text), lo == hi ? "%u" : "%u-%u", lo, hi);
	set_str(o, key, text);
}

void set_dscp(json_t *o, uint64_t set)
{
	json_t *list = set ? set_array(o, "dscp") : NULL;
	char number[8];

	for (unsigned v = 0; set; v++, set >>= 1) {
		if (!(set & 1))
			continue;
		snprintf(number, sizeof(number), "%u", v);
		json_array_append_new(list, json_string(dscp_name(v) ? dscp_name(v) : number));
	}
}

/* Packets since the operator set the counters to zero. A counter that began anew since then is below its base. */
static uint64_t matches(const struct control *c, uint32_t counter)
{
	const struct stats_base *base = show_base(c);
	uint64_t n = sum_acl(dpclient_stats(c->dp), counter);

	return base && base->acl[counter] <= n ? n - base->acl[counter] : n;
}

static json_t *line_object(const struct control *c, const struct cfg_acl *a, const struct cfg_acl_line *l)
{
	json_t *o = json_object();
	char text[128], proto[8];

	set_int(o, "sequence", l->seq);
	set_str(o, "action", l->permit ? "permit" : "deny");
	set_str(o, "protocol", proto_text(l->sel.proto, proto));
	set_str(o, "source", end_text(&l->sel.src, text));
	set_ports(o, "source_port", l->sel.sport_lo, l->sel.sport_hi);
	set_str(o, "destination", end_text(&l->sel.dst, text));
	set_ports(o, "destination_port", l->sel.dport_lo, l->sel.dport_hi);
	set_dscp(o, l->dscp);
	set_flag(o, "log", l->log);
	set_str(o, "remark", l->remark);
	if (a->asked && dpclient_stats(c->dp))
		set_int(o, "matches", matches(c, l->counter));
	return o;
}

void show_access_lists(struct show *s)
{
	json_t *list = set_array(s->out, "access_lists");
	const char *only = arg_str(s, "name");

	for (unsigned i = 0; s->c->running && i < s->c->running->n_acl; i++) {
		const struct cfg_acl *a = &s->c->running->acl[i];
		json_t *o, *lines;

		if (only && strcmp(only, a->name))
			continue;
		o = json_object();
		set_str(o, "name", a->name);
		lines = set_array(o, "lines");
		for (unsigned j = 0; j < a->n_line; j++)
			json_array_append_new(lines, line_object(s->c, a, &a->line[j]));
		if (a->asked && dpclient_stats(s->c->dp))
			set_int(o, "implicit_deny", matches(s->c, a->counter));
		json_array_append_new(list, o);
	}
	show_answer(s);
}

/* ---- crypto maps ---- */

/* Entries that have pairs, with the newest of them: made once per request, because entries and pairs are many. */
struct entry_pair {
	const struct cfg_map_entry *entry;
	const struct child *ch;
};
struct entry_pairs {
	struct entry_pair *p;
	unsigned n;
};

static int pair_cmp(const void *a, const void *b)
{
	const struct entry_pair *x = a, *y = b;

	return x->entry < y->entry ? -1 : x->entry > y->entry;
}

static void pairs_collect(const struct control *c, struct entry_pairs *out)
{
	out->n = 0;
	out->p = calloc(child_count(c->children) + 1, sizeof(*out->p));
	if (!out->p)
		abort();
	for (const struct child *ch = child_next(c->children, 0); ch; ch = child_next(c->children, ch->id)) {
		const struct rule_ref *r = desired_rule(c->desired, ch->rule_id);

		if (r && !ch->released && !ch->bundled && out->n < child_count(c->children))
			out->p[out->n++] = (struct entry_pair){r->entry, ch};
	}
	qsort(out->p, out->n, sizeof(*out->p), pair_cmp);
}

/* Of the SAs that are up, else the one that is asked first. */
static const struct cv_addr *current_peer(
	const struct control *c, const struct entry_pairs *pairs, const struct cfg_map_entry *e)
{
	struct entry_pair key = {.entry = e};
	const struct entry_pair *p = bsearch(&key, pairs->p, pairs->n, sizeof(key), pair_cmp);

	return p ? &p->ch->path.remote : ike_current_peer(c->ike, e);
}

static void entry_lines(const struct cfg_acl *a, json_t *o)
{
	json_t *lines = set_array(o, "lines");

	for (unsigned i = 0; i < a->n_line; i++) {
		char text[CV_SELECTOR_STR], line[CV_SELECTOR_STR + 32];

		snprintf(line, sizeof(line), "%s %s%s", a->line[i].permit ? "permit" : "deny",
			cv_selector_str(&a->line[i].sel, text), a->line[i].dscp ? " (some DSCP)" : "");
		json_array_append_new(lines, json_string(line));
	}
}

/* The flows that peers have negotiated under a dynamic entry (IPSEC-57). */
static void entry_temporary(const struct control *c, const struct cfg_map_entry *e, json_t *o)
{
	json_t *list = set_array(o, "temporary");

	for (unsigned i = 0; i < c->desired->n_rule; i++) {
		const struct rule_ref *r = &c->desired->rule[i];
		char text[CV_SELECTOR_STR];
		json_t *t;

		if (!r->own || r->entry != e)
			continue;
		t = json_object();
		set_str(t, "flow", cv_selector_str(&r->line->sel, text));
		set_str(t, "interface", r->local->name);
		set_int(t, "pairs", r->users);
		json_array_append_new(list, t);
	}
}

static void entry_transforms(const struct cfg_map_entry *e, json_t *o)
{
	json_t *list = set_array(o, "transform_sets");

	for (unsigned i = 0; i < e->n_transform_set; i++) {
		char text[ALGO_SUITE_STR];
		json_t *t = json_object();

		set_str(t, "name", e->ts_ref[i]->name);
		set_str(t, "transform", algo_suite_manual(e->ts_ref[i]->suite, text));
		set_str(t, "mode", e->ts_ref[i]->transport ? "Transport" : "Tunnel");
		json_array_append_new(list, t);
	}
}

static json_t *entry_object(const struct control *c, const struct entry_pairs *pairs, const struct cfg_map_entry *e)
{
	const struct cv_config *cfg = c->running;
	json_t *o = json_object(), *peers;
	char pfs[16];

	set_int(o, "sequence", cfg_entry_place(e));
	if (e->dynamic_map) {
		set_str(o, "dynamic_map", e->dynamic_map);
		set_int(o, "dynamic_sequence", e->seq & ((1u << CFG_PLACE_SHIFT) - 1));
	}
	set_str(o, "description", e->description);
	set_str(o, "type",
		e->manual		  ? "ipsec-manual"
		: cfg_entry_is_dynamic(e) ? "ipsec-isakmp dynamic"
					  : "ipsec-isakmp");
	if (e->manual) { /* the keys are nobody's to see */
		set_int(o, "inbound_spi", e->manual->in.spi);
		set_int(o, "outbound_spi", e->manual->out.spi);
	} else {
		set_str(o, "profile", e->profile_ref->name);
		set_str(o, "identity", e->identity);
		set_int(o, "version", e->profile_ref->version);
	}
	set_str(o, "inside_vrf", e->profile_ref->vrf);
	peers = set_array(o, "peers");
	for (unsigned i = 0; i < e->n_peer; i++) {
		char text[CV_ADDR_STR];

		json_array_append_new(
			peers, json_string(cfg_peer_host(e, i) ? cfg_peer_host(e, i) : cv_addr_str(&e->peer[i], text)));
	}
	if (e->peer_host)
		json_object_set_new(o, "peer_names", peer_names_show(c, e));
	if (e->default_peer)
		set_flag(o, "default_peer", true);
	set_addr(o, "current_peer", current_peer(c, pairs, e));
	set_str(o, "access_list", e->acl);
	if (e->acl_ref)
		entry_lines(e->acl_ref, o);
	if (cfg_entry_is_dynamic(e))
		entry_temporary(c, e, o);
	set_int(o, "life_kb", e->lifetime_kb ? e->lifetime_kb : cfg->ipsec_lifetime_kb);
	set_int(o, "life_seconds", e->lifetime_s ? e->lifetime_s : cfg->ipsec_lifetime_s);
	if (e->pfs != IKE_GROUP_NONE) {
		snprintf(pfs, sizeof(pfs), "group%u", (unsigned)e->pfs);
		set_str(o, "pfs", pfs);
		json_t *more = json_array();
		for (unsigned i = 0; i < e->n_addke; i++)
			json_array_append_new(more, json_sprintf("group%u", (unsigned)e->addke[i]));
		json_object_set_new(o, "pfs_additional", more);
	}
	entry_transforms(e, o);
	set_flag(o, "per_host", e->per_host);
	set_flag(o, "auto_start", e->auto_start);
	set_int(o, "replay_window", e->manual ? 0 : e->replay_window);
	if (e->idle_s && !e->manual)
		set_int(o, "idle_time", e->idle_s);
	return o;
}

void show_map(struct show *s)
{
	json_t *list = set_array(s->out, "maps");
	const struct cv_config *cfg = s->c->running;
	const char *only = arg_str(s, "map");
	const struct cfg_interface *ifc;
	struct entry_pairs pairs;

	if (arg_interface(s, &ifc))
		return;
	pairs_collect(s->c, &pairs);
	for (unsigned i = 0; cfg && i < cfg->n_map; i++) {
		const struct cfg_crypto_map *m = &cfg->map[i];
		json_t *o, *a;

		if ((only && strcmp(only, m->name)) || (ifc && ifc->map_ref != m))
			continue;
		o = json_object();
		set_str(o, "name", m->name);
		set_str(o, "local_address", m->local_address);
		a = set_array(o, "interfaces");
		for (unsigned j = 0; j < cfg->n_interface; j++)
			if (cfg->interface[j].map_ref == m)
				json_array_append_new(a, json_string(cfg->interface[j].name));
		a = set_array(o, "entries");
		for (unsigned j = 0; j < m->n_entry; j++)
			json_array_append_new(a, entry_object(s->c, &pairs, &m->entry[j]));
		json_array_append_new(list, o);
	}
	free(pairs.p);
	show_answer(s);
}
