/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of transform sets and crypto maps, and of what only shows when map, interface, profile and keys meet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"
#include "cv_addr.h"

static int check_transform_set(struct config_check *k, const struct cfg_transform_set *t)
{
	const char *why = algo_suite_wrong(t->suite);
	char path[192];

	snprintf(path, sizeof(path), PATH_TS, t->name);
	if (why)
		return check_fail(k,
			"%s: %s; valid: one of ah-*, or an esp-* cipher with an esp-*-hmac, or esp-gcm, esp-gmac or "
			"esp-chacha20-poly1305 alone, or AH and ESP (IPSEC-18)",
			path, why);
	return config_check_legacy(k, algo_suite_legacy(t->suite), false, path,
		"esp-gcm 256, esp-gcm 128, or esp-aes 256 with esp-sha256-hmac");
}

/* ---- one entry ---- */

/* As every peer before it. */
static bool same_family(const struct cfg_map_entry *e, unsigned peer)
{
	for (unsigned i = 0; i < peer; i++)
		if (!cfg_peer_host(e, i) && e->peer[i].af != e->peer[peer].af)
			return false;
	return true;
}

static int check_needed(struct config_check *k, const struct cfg_map_entry *e)
{
	if (!e->acl_ref && !cfg_entry_is_dynamic(e)) /* IPSEC-60 */
		return check_fail(k,
			PATH_ENTRY "/access-list: missing; the entry needs one, as all do that name a peer",
			ENTRY_PATH(e));
	if (!e->n_peer && (!config_profile_selects(e->profile_ref) || e->auto_start))
		return check_fail(k,
			PATH_ENTRY "/peer: missing; the entry needs at least one, or a profile with match-identity or "
				   "match-certificate that waits for peers with dynamic addresses",
			ENTRY_PATH(e));
	if (e->n_transform_set < 1 || e->n_transform_set > 6)
		return check_fail(k,
			PATH_ENTRY "/transform-set: %u, and the default ones are switched off; 1..6, best first",
			ENTRY_PATH(e), e->n_transform_set);
	for (unsigned i = 0; i < e->n_peer; i++)
		if (!cfg_peer_host(e, i) &&
			(!cv_addr_bits(&e->peer[i]) || cv_addr_is_zero(&e->peer[i]) || !same_family(e, i)))
			return check_fail(k, PATH_ENTRY "/peer[%u]: peers are host addresses of one family",
				ENTRY_PATH(e), i + 1);
	return 0;
}

#define WINDOWS "64, 128, 256, 512, 1024, 2048, 4096, 8192, or disable"
static bool window_ok(uint32_t n)
{
	return !n || (n >= 64 && n <= 8192 && !(n & (n - 1)));
}

static bool idle_ok(uint32_t s)
{
	return s >= 60 && s <= 86400;
}

static int check_values(struct config_check *k, const struct cfg_map_entry *e)
{
	char path[192];

	if (e->lifetime_s && (e->lifetime_s < 30 || e->lifetime_s > 86400))
		return check_fail(k, PATH_ENTRY "/lifetime/seconds: %u; 30..86400", ENTRY_PATH(e), e->lifetime_s);
	if (e->lifetime_kb && (e->lifetime_kb < 1024 || e->lifetime_kb > UINT32_MAX))
		return check_fail(k, PATH_ENTRY "/lifetime/kilobytes: %llu; 1024..%u", ENTRY_PATH(e),
			(unsigned long long)e->lifetime_kb, UINT32_MAX);
	if (!window_ok(e->replay_window))
		return check_fail(k, PATH_ENTRY "/replay/window-size: %u; " WINDOWS, ENTRY_PATH(e), e->replay_window);
	if (!e->replay_window)
		check_warn(k, PATH_ENTRY "/replay: disabled, replayed packets will be accepted", ENTRY_PATH(e));
	if (e->idle_own && !idle_ok(e->idle_s))
		return check_fail(k, PATH_ENTRY "/idle-time: %u; 60..86400", ENTRY_PATH(e), e->idle_s);
	if (e->pfs == IKE_GROUP_NONE)
		return 0;
	snprintf(path, sizeof(path), PATH_ENTRY "/pfs", ENTRY_PATH(e));
	return config_check_group(k, e->pfs, path);
}

static int check_additional(struct config_check *k, const struct cfg_map_entry *e)
{
	char path[192];

	snprintf(path, sizeof(path), PATH_ENTRY "/pfs-additional-group", ENTRY_PATH(e));
	if (e->n_addke && !e->pfs)
		return check_fail(k, "%s: needs pfs", path);
	if (e->n_addke && e->profile_ref->version != CFG_IKEV2)
		return check_fail(k, "%s: IKEv2 only, and profile %s is not", path, e->profile_ref->name);
	return config_check_additional(k, e->addke, e->n_addke, &e->pfs, 1, path);
}

/* 0.0.0.0/0 or ::/0. */
static bool range_is_any(const struct cv_range *r)
{
	unsigned n = cv_addr_bits(&r->lo) / 8;

	for (unsigned i = 0; i < n; i++)
		if (r->lo.b[i] != 0 || r->hi.b[i] != 0xff)
			return false;
	return true;
}

static int by_selector(const void *a, const void *b)
{
	const struct cfg_acl_line *x = *(const struct cfg_acl_line *const *)a,
				  *y = *(const struct cfg_acl_line *const *)b;

	return memcmp(&x->sel, &y->sel, sizeof(x->sel));
}

/* Lines that differ in their DSCP only have a pair of SAs each, which in IKEv1 would be one pair and its successors. */
static int check_dscp(struct config_check *k, const struct cfg_map_entry *e)
{
	const struct cfg_acl *a = e->acl_ref;
	const struct cfg_acl_line **line;
	unsigned n = 0;

	if (e->profile_ref->version != CFG_IKEV1)
		return 0;
	line = config_alloc(k->c, a->n_line, sizeof(struct cfg_acl_line *));
	for (unsigned i = 0; i < a->n_line; i++)
		if (a->line[i].permit && a->line[i].dscp)
			line[n++] = &a->line[i];
	if (n < 2)
		return 0;
	qsort(line, n, sizeof(line[0]), by_selector);
	for (unsigned i = 1; i < n; i++)
		if (!by_selector(&line[i - 1], &line[i]))
			return check_fail(k,
				PATH_ENTRY
				"/access-list: '%s' lines %u and %u differ in their DSCP only, which IKEv1 cannot "
				"negotiate; put the values into one line, or use IKEv2",
				ENTRY_PATH(e), e->acl, line[i - 1]->seq, line[i]->seq);
	return 0;
}

static int check_entry_acl(struct config_check *k, const struct cfg_map_entry *e)
{
	bool permits = false, denied = false, warned = false;

	if (e->map->tunnel || e->map->template)
		return 0;

	if (!e->acl_ref) {
		check_warn(k,
			PATH_ENTRY "/access-list: missing; peers may propose any flow, and nothing is protected "
				   "before they do (IPSEC-59)",
			ENTRY_PATH(e));
		return 0;
	}
	for (unsigned i = 0; i < e->acl_ref->n_line; i++) {
		const struct cfg_acl_line *l = &e->acl_ref->line[i];

		permits |= l->permit;
		denied |= !l->permit;
		if (!l->permit || warned || (!range_is_any(&l->sel.src) && !range_is_any(&l->sel.dst)))
			continue;
		check_warn(k,
			PATH_ENTRY
			"/access-list: '%s' line %u permits `any`%s: everything it covers, routing protocols, "
			"NTP and ping included, is dropped unless it comes protected (IPSEC-37)",
			ENTRY_PATH(e), e->acl, l->seq, denied ? "" : " with no deny line before it");
		warned = true;
	}
	if (!e->acl_ref->n_line)
		check_warn(k, PATH_ENTRY "/access-list: '%s' is empty, so all traffic is dropped (IPSEC-59, IPSEC-60)",
			ENTRY_PATH(e), e->acl);
	else if (!permits)
		check_warn(k, PATH_ENTRY "/access-list: '%s' permits nothing, so the entry protects nothing",
			ENTRY_PATH(e), e->acl);
	return e->manual ? 0 : check_dscp(k, e);
}

static int check_bundle(struct config_check *k, const struct cfg_map_entry *e)
{
	for (unsigned i = 0; i < e->n_transform_set && e->profile_ref->version == CFG_IKEV2; i++)
		if (e->ts_ref[i]->suite.encr && e->ts_ref[i]->suite.ah)
			return check_fail(k,
				PATH_ENTRY
				"/transform-set: '%s' has AH and ESP, which IKEv2 does not negotiate together "
				"(RFC 7296 1.2 has no bundles); a set with one of them, or an IKEv1 profile",
				ENTRY_PATH(e), e->ts_ref[i]->name);
	return 0;
}

static int check_entry(struct config_check *k, const struct cfg_map_entry *e)
{
	int r;

	if (!e->manual && !k->c->ike_enabled)
		check_warn(k,
			PATH_ENTRY ": IKE is off, so the entry will have no SA, and its traffic is dropped (IPSEC-1)",
			ENTRY_PATH(e));

	(void)((r = config_check_template_entry(k, e)) || (r = check_needed(k, e)) || (r = check_values(k, e)) ||
		(r = check_additional(k, e)) || (r = check_entry_acl(k, e)) ||
		(r = e->manual ? config_check_manual(k, e) : check_bundle(k, e)));
	return r;
}

/* ---- entries against each other ---- */

/* The inside VRF is a selector: entries with different ones never meet (VRF-7). */
static bool same_inside_vrf(const struct cfg_map_entry *a, const struct cfg_map_entry *b)
{
	return a->profile_ref->vrf_ref == b->profile_ref->vrf_ref;
}

static bool dscp_meet(const struct cfg_acl_line *a, const struct cfg_acl_line *b)
{
	return !a->dscp || !b->dscp || (a->dscp & b->dscp);
}

/* The first permit line of acl that overlaps the deny line, or NULL. */
static const struct cfg_acl_line *overlapping_permit(const struct cfg_acl *acl, const struct cfg_acl_line *deny)
{
	struct cv_selector both;

	for (unsigned i = 0; acl && i < acl->n_line; i++)
		if (acl->line[i].permit && dscp_meet(&acl->line[i], deny) &&
			cv_selector_intersect(&acl->line[i].sel, &deny->sel, &both))
			return &acl->line[i];
	return NULL;
}

/* IPSEC-35: a flow that entry i denies and a later entry permits. */
static void check_deny_overlap(struct config_check *k, const struct cfg_crypto_map *m, unsigned i)
{
	const struct cfg_map_entry *e = &m->entry[i];

	for (unsigned l = 0; e->acl_ref && l < e->acl_ref->n_line; l++) {
		const struct cfg_acl_line *deny = &e->acl_ref->line[l];

		for (unsigned j = i + 1; !deny->permit && j < m->n_entry; j++) {
			const struct cfg_map_entry *later = &m->entry[j];
			const struct cfg_acl_line *permit = overlapping_permit(later->acl_ref, deny);

			if (!permit || !same_inside_vrf(e, later))
				continue;
			check_warn(k,
				PATH_ENTRY
				"/access-list: deny line %u of '%s' overlaps permit line %u of '%s' in entry "
				"%u; such a combination is not supported (IPSEC-35): order the entries from "
				"specific to general instead",
				ENTRY_PATH(e), deny->seq, e->acl, permit->seq, later->acl, cfg_entry_place(later));
			return;
		}
	}
}

/* IPSEC-56: entry i is dynamic and a static one comes after it. */
static void check_dynamic_last(struct config_check *k, const struct cfg_crypto_map *m, unsigned i)
{
	for (unsigned j = i + 1; cfg_entry_is_dynamic(&m->entry[i]) && j < m->n_entry; j++)
		if (!cfg_entry_is_dynamic(&m->entry[j]) && same_inside_vrf(&m->entry[i], &m->entry[j])) {
			check_warn(k,
				PATH_ENTRY ": has no peers and comes before entry %u, which has; give it a higher "
					   "number, so that its flows do not take the other's traffic (IPSEC-56)",
				ENTRY_PATH(&m->entry[i]), cfg_entry_place(&m->entry[j]));
			return;
		}
}

/* last, before: the entries that use each access list, as a chain back from the last one; numbers from 1. */
static void check_shared_acl(
	struct config_check *k, const struct cfg_crypto_map *m, unsigned i, unsigned *last, unsigned *before)
{
	if (!m->entry[i].acl_ref)
		return;
	unsigned *at = &last[m->entry[i].acl_ref - k->c->acl];

	before[i] = *at;
	*at = i + 1;
	for (unsigned n = before[i], j; n && (j = n - 1, true); n = before[j])
		if (same_inside_vrf(&m->entry[j], &m->entry[i])) {
			check_warn(k,
				PATH_ENTRY "/access-list: '%s' is also used by entry %u, which takes all its traffic "
					   "(IPSEC-33)",
				ENTRY_PATH(&m->entry[i]), m->entry[i].acl, cfg_entry_place(&m->entry[j]));
			return;
		}
}

/* IPSEC-74: one set of SAs for all interfaces of the map has one front VRF. */
static int check_shared_vrf(struct config_check *k, const struct cfg_crypto_map *m, const struct cfg_interface *i)
{
	if (i->map_ref != m || i->vrf_ref == m->local_ref->vrf_ref)
		return 0;
	return check_fail(k,
		PATH_MAP
		"/local-address: '%s' is in VRF '%s', but interface '%s' that has the map is in '%s'; they must "
		"be in the same VRF",
		m->name, m->local_address, m->local_ref->vrf ? m->local_ref->vrf : "global", i->name,
		i->vrf ? i->vrf : "global");
}

static int check_map(struct config_check *k, const struct cfg_crypto_map *m)
{
	int r = 0;

	if (m->local_ref && !m->local_ref->n_addr)
		return check_fail(
			k, PATH_MAP "/local-address: interface '%s' has no address", m->name, m->local_address);
	for (unsigned i = 0; !r && m->local_ref && i < k->c->n_interface; i++)
		r = check_shared_vrf(k, m, &k->c->interface[i]);
	for (unsigned i = 0; !r && i < m->n_entry; i++) {
		const struct cfg_map_entry *e = &m->entry[i];
		uint32_t order = cfg_entry_order(e->seq);

		if (e->seq < 1 || (!e->dynamic_map && !m->tunnel && e->seq > 65535) ||
			(i && order <= cfg_entry_order(m->entry[i - 1].seq)))
			return check_fail(
				k, PATH_ENTRY ": sequence numbers are 1..65535, unique, and ascend", ENTRY_PATH(e));
		r = check_entry(k, &m->entry[i]);
	}
	if (m->tunnel || m->template) /* one entry, of its own */
		return r;
	unsigned *chain = calloc((size_t)k->c->n_acl + m->n_entry + 1, sizeof(*chain));

	for (unsigned i = 0; !r && chain && i < m->n_entry; i++) {
		check_deny_overlap(k, m, i);
		check_dynamic_last(k, m, i);
		check_shared_acl(k, m, i, chain, chain + k->c->n_acl);
	}
	free(chain);
	return r;
}

/* ---- maps on interfaces ---- */

static bool has_named_key(const struct cv_config *c, const struct cfg_vrf *fvrf)
{
	for (unsigned i = 0; i < c->n_keyring; i++)
		for (unsigned j = 0; c->keyring[i].vrf_ref == fvrf && j < c->keyring[i].n_psk; j++)
			if (c->keyring[i].psk[j].hostname)
				return true;
	return false;
}

static int check_own_address(struct config_check *k, const struct cfg_interface *i, const struct cfg_map_entry *e,
	const struct cv_addr *peer)
{
	char text[CV_ADDR_STR];

	for (unsigned j = 0; !i->tunnel && j < i->n_addr; j++)
		if (cv_addr_eq(&i->addr[j].addr, peer))
			return check_fail(k, PATH_ENTRY "/peer: %s is this router's own address on '%s'", ENTRY_PATH(e),
				cv_addr_str(peer, text), i->name);
	return 0;
}

/* From any address of the interface: which one IKE uses depends on the route. */
static bool key_at(const struct cv_config *c, const struct cfg_interface *end, const struct cfg_map_entry *e,
	const struct cv_addr *peer)
{
	const struct cfg_vrf *front = config_front_vrf(end);

	if (end->tunnel)
		return config_psk_lookup(c, e->profile_ref, front, &end->tunnel->source, peer);
	for (unsigned n = 0; n < end->n_addr; n++)
		if (config_psk_lookup(c, e->profile_ref, front, &end->addr[n].addr, peer))
			return true;
	return config_psk_lookup(c, e->profile_ref, front, NULL, peer) != NULL;
}

/* IKE-31: without a key the peer cannot be authenticated. Keys by hostname are only known when the peer shows its
 * identity. */
static int check_applied_entry(
	struct config_check *k, const struct cfg_interface *i, const struct cfg_map_entry *e, bool named_key)
{
	const struct cfg_interface *end = e->map->local_ref ? e->map->local_ref : i;
	const struct cfg_vrf *front = config_front_vrf(i);
	char text[CV_ADDR_STR];
	int r = 0;

	const struct cfg_ike_profile *p = e->profile_ref;
	bool keyless = p->version == CFG_IKEV2 && p->local_auth == CFG_METHOD_SIGNATURE &&
		       p->remote_auth == CFG_METHOD_SIGNATURE;
	for (unsigned j = 0; !r && j < e->n_peer; j++) {
		if (cfg_peer_host(e, j)) /* who knows where that is? */
			continue;
		r = check_own_address(k, i, e, &e->peer[j]);
		if (r || e->manual || keyless || named_key || key_at(k->c, end, e, &e->peer[j]) ||
			config_rsa_lookup(k->c, p, front, NULL, &e->peer[j]))
			continue;
		check_warn(k,
			PATH_ENTRY "/peer: no preshared key for %s in a keyring of front VRF '%s'%s%s, so IKE cannot "
				   "authenticate it",
			ENTRY_PATH(e), cv_addr_str(&e->peer[j], text), front ? front->name : "global",
			e->profile_ref->n_keyring ? " named by profile " : "",
			e->profile_ref->n_keyring ? e->profile_ref->name : "");
	}
	return r;
}

int config_check_crypto(struct config_check *k)
{
	struct cv_config *c = k->c;
	int r = 0;

	if (c->ipsec_lifetime_s < 30 || c->ipsec_lifetime_s > 86400)
		return check_fail(k, "/culvert-ipsec:ipsec/lifetime/seconds: %u; 30..86400", c->ipsec_lifetime_s);
	if (c->ipsec_lifetime_kb < 1024 || c->ipsec_lifetime_kb > UINT32_MAX)
		return check_fail(k, "/culvert-ipsec:ipsec/lifetime/kilobytes: %llu; 1024..%u",
			(unsigned long long)c->ipsec_lifetime_kb, UINT32_MAX);
	if (!window_ok(c->replay_window))
		return check_fail(
			k, PATH_IPSEC "/security-association/replay/window-size: %u; " WINDOWS, c->replay_window);
	if (c->idle_s && !idle_ok(c->idle_s))
		return check_fail(k, PATH_IPSEC "/security-association/idle-time: %u; 60..86400", c->idle_s);
	for (unsigned i = 0; !r && i < c->n_transform_set; i++)
		r = check_transform_set(k, &c->transform_set[i]);
	for (unsigned i = 0; !r && i < c->n_map; i++)
		r = check_map(k, &c->map[i]);
	if (!r)
		r = config_check_manual_spis(k);
	for (unsigned i = 0; !r && i < c->n_interface; i++) {
		const struct cfg_interface *ifc = &c->interface[i];
		bool named_key = ifc->map_ref && has_named_key(c, config_front_vrf(ifc));

		for (unsigned j = 0; !r && ifc->map_ref && j < ifc->map_ref->n_entry; j++)
			r = check_applied_entry(k, ifc, &ifc->map_ref->entry[j], named_key);
	}
	return r;
}
