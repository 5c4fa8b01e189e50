/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tunnel interfaces. A protected one is negotiated like any crypto map entry: it gets a map of its own, NAME-head-0,
 * with one entry that covers everything the tunnel carries and is started at once, and a copy of its IKE profile, so
 * that the IKE SA is bound to the tunnel (VTI-9) and has the tunnel's VRF as inside VRF (VTI-14). Nobody refers to
 * either by name; show commands print them.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"
#include "cv_addr.h"

#define NAME_SIZE 160

const struct cfg_ipsec_profile *config_ipsec_profile(const struct cv_config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_ipsec_profile; i++)
		if (!strcmp(c->ipsec_profile[i].name, name))
			return &c->ipsec_profile[i];
	return NULL;
}

static const struct cfg_ike_profile *ike_profile(const struct cv_config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_ike_profile; i++)
		if (!strcmp(c->ike_profile[i].name, name))
			return &c->ike_profile[i];
	return NULL;
}

static bool is_ipsec(const struct cfg_tunnel *t)
{
	return t->mode == CFG_TUNNEL_IPSEC_IPV4 || t->mode == CFG_TUNNEL_IPSEC_IPV6;
}

bool config_is_multipoint(const struct cfg_tunnel *t)
{
	return t->mode == CFG_TUNNEL_MGRE_IPV4 || t->mode == CFG_TUNNEL_MGRE_IPV6;
}

static bool is_gre(const struct cfg_tunnel *t)
{
	return t->mode == CFG_TUNNEL_GRE_IPV4 || t->mode == CFG_TUNNEL_GRE_IPV6 || config_is_multipoint(t);
}

const struct cv_addr *config_tunnel_end(const struct cfg_tunnel *t, unsigned n)
{
	if (config_is_multipoint(t))
		return n < t->n_hop ? &t->hop[n].nbma : NULL;
	return n ? NULL : &t->destination;
}

static bool ends_at(const struct cfg_tunnel *t, const struct cv_addr *a)
{
	const struct cv_addr *end;

	for (unsigned n = 0; (end = config_tunnel_end(t, n)); n++)
		if (cv_addr_eq(end, a))
			return true;
	return false;
}

/* The family of outer packets. */
static uint8_t outer_af(const struct cfg_tunnel *t)
{
	return t->mode == CFG_TUNNEL_IPSEC_IPV6 || t->mode == CFG_TUNNEL_GRE_IPV6 || t->mode == CFG_TUNNEL_MGRE_IPV6
		       ? CV_AF_INET6
		       : CV_AF_INET;
}

/* CV_AF_NONE = it carries both. */
static uint8_t inner_af(const struct cfg_tunnel *t)
{
	if (is_gre(t))
		return CV_AF_NONE;
	return t->mode == CFG_TUNNEL_IPV6IP ? CV_AF_INET6 : outer_af(t);
}

/* The protocol of outer packets before IPsec; 0 = there are none, any protocol is inside. */
static uint8_t carrier(const struct cfg_tunnel *t)
{
	if (is_ipsec(t))
		return 0;
	return is_gre(t) ? IPPROTO_GRE : t->mode == CFG_TUNNEL_IPIP ? IPPROTO_IPIP : IPPROTO_IPV6;
}

/* The source address, where an interface is named; references are not resolved yet. */
static void find_source(const struct cv_config *c, struct cfg_tunnel *t)
{
	for (unsigned i = 0; t->source_if && i < c->n_interface; i++)
		for (unsigned n = 0; !strcmp(c->interface[i].name, t->source_if) && n < c->interface[i].n_addr; n++)
			if (c->interface[i].addr[n].addr.af == outer_af(t) && !t->source.af)
				t->source = c->interface[i].addr[n].addr;
}

/* What the one pair of SAs with an end carries: everything (VTI-17), or the tunnel's own packets. */
static struct cfg_acl *carried(struct cv_config *c, const struct cfg_interface *i, const struct cv_addr *end)
{
	const struct cfg_tunnel *t = i->tunnel;
	struct cv_selector *sel;
	struct cfg_acl *acl = config_alloc(c, 1, sizeof(*acl));

	acl->name = i->crypto_map;
	acl->line = config_alloc(c, 1, sizeof(*acl->line));
	acl->n_line = 1;
	acl->line[0].seq = 1;
	acl->line[0].permit = true;
	sel = &acl->line[0].sel;
	cv_selector_any(sel, outer_af(t));
	sel->proto = carrier(t);
	if (!is_ipsec(t)) {
		sel->src.lo = sel->src.hi = t->source;
		sel->dst.lo = sel->dst.hi = *end;
	}
	return acl;
}

/* The profile's policy for this other end. */
static void make_entry(struct cv_config *c, struct cfg_map_entry *e, const struct cfg_interface *i,
	const struct cfg_ipsec_profile *p, const struct cv_addr *end)
{
	*e = p->policy;
	e->seq = 65535;
	e->peer = config_alloc(c, 1, sizeof(*e->peer));
	e->peer[0] = *end;
	e->n_peer = 1;
	e->acl_ref = carried(c, i, end);
	e->acl = e->acl_ref->name;
	e->auto_start = !i->tunnel->no_initiate; /* VTI-18, DMVPN-8 */
}

#define NUMBERS 65536u

/* The number below the place 65535 of the entry for this address: where it is, or a free one. It follows from the
 * address, so that entries keep theirs while others come and go; SAs are known by it. at: of each number, 1 + its
 * entry. */
static uint32_t number_of(const struct cfg_map_entry *entry, const uint32_t *at, const struct cv_addr *end)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (unsigned i = 0; i < sizeof(end->b); i++)
		h = (h ^ end->b[i]) * 16777619u;
	h = (h >> 16 ^ h) % NUMBERS;
	while (!h || (at[h] && !cv_addr_eq(&entry[at[h] - 1].peer[0], end)))
		h = (h + 1) % NUMBERS;
	return h;
}

static int by_seq(const void *pa, const void *pb)
{
	const struct cfg_map_entry *a = pa, *b = pb;

	return (a->seq > b->seq) - (a->seq < b->seq);
}

/* An entry for each address outside; next hops at the same one share it. */
static void add_hop_entries(
	struct cv_config *c, struct cfg_crypto_map *m, const struct cfg_interface *i, const struct cfg_ipsec_profile *p)
{
	struct cfg_tunnel *t = i->tunnel;
	uint32_t *at = calloc(NUMBERS, sizeof(*at));

	if (!at)
		abort();
	m->entry = config_alloc(c, t->n_hop, sizeof(*m->entry));
	for (unsigned n = 0; n < t->n_hop; n++) {
		const uint32_t number = number_of(m->entry, at, &t->hop[n].nbma);

		if (at[number])
			continue;
		make_entry(c, &m->entry[m->n_entry], i, p, &t->hop[n].nbma);
		m->entry[m->n_entry].seq = 65535u << CFG_PLACE_SHIFT | number;
		at[number] = ++m->n_entry;
	}
	qsort(m->entry, m->n_entry, sizeof(*m->entry), by_seq);
	for (unsigned k = 0; k < m->n_entry; k++)
		at[m->entry[k].seq % NUMBERS] = k + 1;
	for (unsigned n = 0; n < t->n_hop; n++)
		t->hop[n].entry = at[number_of(m->entry, at, &t->hop[n].nbma)] - 1;
	free(at);
}

static void add_entries(struct cv_config *c, struct cfg_crypto_map *m, const struct cfg_interface *i,
	const struct cfg_ipsec_profile *p, const char *ike)
{
	if (config_is_multipoint(i->tunnel)) {
		add_hop_entries(c, m, i, p);
	} else {
		m->entry = config_alloc(c, 1, sizeof(*m->entry));
		m->n_entry = 1;
		make_entry(c, m->entry, i, p, &i->tunnel->destination);
	}
	for (unsigned k = 0; k < m->n_entry; k++)
		m->entry[k].ike_profile = ike;
}

static const char *named(struct cv_config *c, const char *fmt, const char *a, const char *b)
	__attribute__((format(printf, 2, 0)));
static const char *named(struct cv_config *c, const char *fmt, const char *a, const char *b)
{
	char text[NAME_SIZE];

	snprintf(text, sizeof(text), fmt, a, b);
	return config_strdup(c, text);
}

/* The policy of one protected tunnel, in the room made for it. */
static int add_policy(struct config_check *k, struct cfg_interface *i)
{
	struct cv_config *c = k->c;
	const struct cfg_ipsec_profile *p = config_ipsec_profile(c, i->tunnel->profile);
	const char *ike = p && p->policy.ike_profile ? p->policy.ike_profile : DEFAULT_PROFILE_NAME;
	const struct cfg_ike_profile *from = ike_profile(c, ike);
	struct cfg_crypto_map *m = &c->map[c->n_map];
	struct cfg_ike_profile *own = &c->ike_profile[c->n_ike_profile];

	if (!p)
		return check_fail(k, PATH_TUNNEL "/protection/profile: no IPsec profile named '%.64s'", i->name,
			i->tunnel->profile);
	if (!from)
		return check_fail(k, PATH_IPSEC_PROFILE "/ike-profile: no profile named '%.64s'", p->name, ike);
	if (from->virtual_template)
		return check_fail(k,
			PATH_IPSEC_PROFILE
			"/ike-profile: '%.64s' names a virtual template, but tunnel '%s' uses it; an "
			"IKE SA serves one interface (VTI-9)",
			p->name, ike, i->name);
	if (from->vrf)
		return check_fail(k,
			PATH_IPSEC_PROFILE "/ike-profile: '%.64s' sets an inside VRF, but tunnel '%s' uses it; the "
					   "inside VRF of a tunnel is that of its interface (VTI-14)",
			p->name, ike, i->name);
	if (!config_tunnel_end(i->tunnel, 0)) /* nobody to protect anything for, yet */
		return 0;
	*own = *from;
	own->name = named(c, "%.64s@%s", ike, i->name);
	/* what IPsec has inside are the tunnel's packets, or those that carry them */
	own->vrf = is_ipsec(i->tunnel) ? i->vrf : i->tunnel->vrf;
	own->inside_global = !own->vrf;
	own->builtin = true;
	i->crypto_map = named(c, "%s-head-0%s", i->name, "");
	*m = (struct cfg_crypto_map){.name = i->crypto_map, .tunnel = i};
	add_entries(c, m, i, p, own->name);
	c->n_map++;
	c->n_ike_profile++;
	return 0;
}

static bool is_protected(const struct cfg_interface *i)
{
	return i->type == CFG_IF_TUNNEL && i->tunnel && i->tunnel->profile;
}

int config_add_tunnels(struct config_check *k)
{
	struct cv_config *c = k->c;
	unsigned n = 0;
	int r = 0;

	for (unsigned i = 0; i < c->n_interface; i++) {
		const struct cfg_interface *ifc = &c->interface[i];

		if (ifc->type == CFG_IF_TEMPLATE)
			continue;
		if (ifc->tunnel)
			find_source(c, ifc->tunnel);
		if (ifc->tunnel && ifc->crypto_map)
			return check_fail(k,
				PATH_IF "/culvert-ipsec:crypto-map: a tunnel has no crypto map; protect it with "
					"tunnel/protection, or apply the map to the interface its packets leave by",
				ifc->name);
		n += is_protected(ifc);
	}
	if (!n)
		return 0;
	c->map = config_grow(c, c->map, c->n_map, n, sizeof(*c->map));
	c->ike_profile = config_grow(c, c->ike_profile, c->n_ike_profile, n, sizeof(*c->ike_profile));
	for (unsigned i = 0; !r && i < c->n_interface; i++)
		if (is_protected(&c->interface[i]))
			r = add_policy(k, &c->interface[i]);
	return r;
}

/* ---- checks ---- */

/* VTI-T12. Transport mode is for traffic between the two ends, and a tunnel's is not. */
static int check_protection(struct config_check *k, const struct cfg_interface *i)
{
	const struct cfg_tunnel *t = i->tunnel;

	if (t->shared)
		return check_fail(
			k, PATH_TUNNEL "/protection/shared: not with this tunnel mode; leave it out (VTI-12)", i->name);
	if (!t->profile && is_ipsec(t))
		return check_fail(k,
			PATH_TUNNEL "/protection/profile: missing; this tunnel mode needs an IPsec profile", i->name);
	if (!is_ipsec(t))
		return 0;
	for (unsigned n = 0; n < i->map_ref->entry[0].n_transform_set; n++)
		if (i->map_ref->entry[0].ts_ref[n]->transport)
			return check_fail(k,
				PATH_TUNNEL "/protection/profile: transform set '%s' of profile '%s' is transport "
					    "mode; this tunnel mode needs tunnel mode (VTI-6)",
				i->name, i->map_ref->entry[0].ts_ref[n]->name, t->profile);
	return 0;
}

static bool share_an_end(const struct cfg_tunnel *a, const struct cfg_tunnel *b)
{
	const struct cv_addr *end;

	for (unsigned n = 0; (end = config_tunnel_end(a, n)); n++)
		if (ends_at(b, end))
			return true;
	return false;
}

/* Could a packet that comes be for either? A multipoint tunnel takes those from anyone that no other takes. Nor can IKE
 * tell two protected ones between the same ends apart. */
static bool same_packets(const struct cfg_tunnel *a, const struct cfg_tunnel *b)
{
	if (a->vrf_ref != b->vrf_ref || !cv_addr_eq(&a->source, &b->source))
		return false;
	if (a->profile && b->profile && share_an_end(a, b))
		return true;
	return carrier(a) == carrier(b) && a->has_key == b->has_key && a->key == b->key &&
	       config_is_multipoint(a) == config_is_multipoint(b) &&
	       (config_is_multipoint(a) || cv_addr_eq(&a->destination, &b->destination));
}

/* The other ends, each of which must be a host of the family of outer packets that is not this router. */
static int check_ends(struct config_check *k, const struct cfg_interface *i, uint8_t af)
{
	const struct cfg_tunnel *t = i->tunnel;
	const bool multipoint = config_is_multipoint(t);
	const struct cv_addr *end;
	char text[CV_ADDR_STR];

	if (multipoint && t->destination.af)
		return check_fail(k,
			PATH_TUNNEL
			"/destination: a multipoint tunnel has none (DMVPN-19); name next hops, or use mode "
			"gre-ipv4 or gre-ipv6",
			i->name);
	if (multipoint && t->sequence)
		return check_fail(
			k, PATH_TUNNEL "/sequence: not on a multipoint tunnel: numbers are between two ends", i->name);
	for (unsigned n = 0; (end = config_tunnel_end(t, n)); n++) {
		const char *why = end->af != af || cv_addr_is_zero(end)
					  ? "a host address of the family of the mode (VTI-8)"
				  : cv_addr_eq(&t->source, end) ? "is the tunnel's own source"
								: NULL;

		if (why && multipoint)
			return check_fail(k, PATH_TUNNEL "/next-hop[address='%s']/nbma-address: %s", i->name,
				cv_addr_str(&t->hop[n].next_hop, text), why);
		if (why)
			return check_fail(k, PATH_TUNNEL "/destination: %s", i->name, why);
	}
	for (unsigned n = 0; n < t->n_hop; n++)
		for (unsigned a = 0; a < i->n_addr; a++)
			if (cv_addr_eq(&i->addr[a].addr, &t->hop[n].next_hop))
				return check_fail(k,
					PATH_TUNNEL "/next-hop[address='%s']/address: is this router's own address on "
						    "the tunnel",
					i->name, cv_addr_str(&t->hop[n].next_hop, text));
	return 0;
}

int config_check_tunnel(struct config_check *k, const struct cfg_interface *i)
{
	const struct cfg_tunnel *t = i->tunnel;
	const uint8_t af = t ? outer_af(t) : CV_AF_NONE, inside = t ? inner_af(t) : CV_AF_NONE;

	if (!t)
		return check_fail(k, PATH_TUNNEL ": missing; a tunnel interface needs one", i->name);
	int r = check_ends(k, i, af);

	if (r)
		return r;
	if (t->source_if && t->source.af != af)
		return check_fail(k, PATH_TUNNEL "/source-interface: '%s' has no address of the family of the mode",
			i->name, t->source_if);
	if (t->source.af != af || cv_addr_is_zero(&t->source))
		return check_fail(
			k, PATH_TUNNEL "/source-address: a host address of the family of the mode (VTI-8)", i->name);
	for (const struct cfg_interface *o = k->c->interface; o < i; o++)
		if (o->tunnel && same_packets(o->tunnel, t))
			return check_fail(k,
				PATH_TUNNEL "/%s: tunnel '%s' has the same source and %s; give one of them another "
					    "source%s",
				i->name, config_is_multipoint(t) ? "next-hop" : "destination", o->name,
				config_is_multipoint(t) ? "is multipoint with the same key, or both are protected to "
							  "the same address outside"
							: "destination",
				config_is_multipoint(t) ? " or key" : "");
	if (t->keepalive_s && (t->mode != CFG_TUNNEL_GRE_IPV4 || t->profile))
		return check_fail(k,
			PATH_TUNNEL "/keepalive: only of mode gre-ipv4 without protection (DMVPN-17); IPsec has "
				    "dead-peer detection (culvert-ike, dpd)",
			i->name);
	if (!is_gre(t) && (t->has_key || t->checksum || t->sequence))
		return check_fail(k, PATH_TUNNEL "/mode: key, checksum and sequence are GRE's", i->name);
	for (unsigned n = 0; inside && n < i->n_addr; n++)
		if (i->addr[n].addr.af != inside)
			return check_fail(k, PATH_TUNNEL "/mode: carries no address of this family (VTI-8)", i->name);
	return check_protection(k, i);
}

/* ---- a tunnel and a map to one peer (VTI-9) ---- */

struct shared_peer {
	struct config_check *k;
	const struct cfg_interface *tunnel;
	const struct cv_addr *end; /* of the tunnel */
};

/* Does the map end at the tunnel's source, too? */
static bool ends_at_source(const struct cv_config *c, const struct cfg_crypto_map *m, const struct cfg_tunnel *t)
{
	for (unsigned i = 0; i < c->n_interface; i++) {
		const struct cfg_interface *ifc = &c->interface[i];

		if (ifc->tunnel || ifc->vrf_ref != t->vrf_ref ||
			(m->local_ref ? m->local_ref != ifc : ifc->map_ref != m))
			continue;
		for (unsigned n = 0; n < ifc->n_addr; n++)
			if (cv_addr_eq(&ifc->addr[n].addr, &t->source))
				return true;
	}
	return false;
}

static bool warn_shared(void *arg, const struct cfg_map_entry *e)
{
	const struct shared_peer *x = arg;
	const struct cfg_tunnel *t = x->tunnel->tunnel;
	const struct cfg_ike_profile *p = x->tunnel->map_ref->entry[0].profile_ref;
	char peer[CV_ADDR_STR], local[CV_ADDR_STR];
	bool named = false;

	for (unsigned i = 0; i < e->n_peer; i++)
		named |= cv_addr_eq(&e->peer[i], x->end);
	if (named && !e->map->tunnel && e->profile_ref->version == p->version && ends_at_source(x->k->c, e->map, t))
		check_warn(x->k,
			PATH_ENTRY "/peer: %s is the other end of tunnel '%s', too, from the same address %s; an IKE "
				   "SA serves one of the two, and which one a peer that begins means cannot be known "
				   "(VTI-9): give one of them another local address, or another version of IKE",
			ENTRY_PATH(e), cv_addr_str(x->end, peer), x->tunnel->name, cv_addr_str(&t->source, local));
	return true;
}

void config_warn_shared_peers(struct config_check *k)
{
	for (unsigned i = 0; i < k->c->n_interface; i++) {
		struct shared_peer x = {.k = k, .tunnel = &k->c->interface[i]};

		for (unsigned n = 0; is_protected(x.tunnel) && (x.end = config_tunnel_end(x.tunnel->tunnel, n)); n++)
			config_peer_entries(k->c, x.end, warn_shared, &x);
	}
}

/* ---- loops ---- */

/* VTI-41. The longest configured prefix to an other end in the VRF of the outer packets. */
static const struct cfg_route *way_to(const struct cv_config *c, const struct cfg_tunnel *t, const struct cv_addr *end)
{
	const struct cfg_route *best = NULL;

	for (unsigned i = 0; i < c->n_route; i++) {
		const struct cfg_route *r = &c->route[i];

		if (r->vrf_ref == t->vrf_ref && cv_prefix_contains(&r->prefix, end) &&
			(!best || r->prefix.len > best->prefix.len))
			best = r;
	}
	return best;
}

/* The longest prefix that an interface of the VRF has for a; -1 = none. */
static int connected(
	const struct cv_config *c, const struct cfg_vrf *vrf, const struct cv_addr *a, const struct cfg_interface **by)
{
	int len = -1;

	for (unsigned i = 0; i < c->n_interface; i++) {
		const struct cfg_interface *ifc = &c->interface[i];

		for (unsigned n = 0; ifc->vrf_ref == vrf && n < ifc->n_addr; n++) {
			struct cv_prefix p = {.addr = ifc->addr[n].addr, .len = ifc->addr[n].plen};

			cv_prefix_mask(&p);
			if (p.len <= len || !cv_prefix_contains(&p, a))
				continue;
			len = p.len;
			*by = ifc;
		}
	}
	return len;
}

/* Does this next hop lead into the tunnel: named, or by a gateway behind it? */
static bool leads_into(const struct cv_config *c, const struct cfg_route *r, const struct cfg_nexthop *nh,
	const struct cfg_interface *tunnel)
{
	const struct cfg_interface *by = nh->if_ref;

	if (!by && nh->type == CFG_NH_GATEWAY)
		(void)connected(c, nh->global ? NULL : r->vrf_ref, &nh->gw, &by);
	return by == tunnel;
}

static int check_path(struct config_check *k, const struct cfg_interface *i, const struct cv_addr *end)
{
	const struct cfg_interface *by = NULL;
	const struct cfg_route *r = way_to(k->c, i->tunnel, end);
	int len = connected(k->c, i->tunnel->vrf_ref, end, &by);
	bool loop = by == i && (!r || len >= r->prefix.len);
	char text[CV_ADDR_STR];

	for (unsigned n = 0; r && r->prefix.len > len && n < r->n_nh; n++)
		loop |= leads_into(k->c, r, &r->nh[n], i);
	if (!loop)
		return 0;
	return check_fail(k,
		PATH_TUNNEL "/%s: the way to %s leads into this tunnel itself (VTI-41); add a more specific "
			    "route to it outside the tunnel",
		i->name, config_is_multipoint(i->tunnel) ? "next-hop" : "destination", cv_addr_str(end, text));
}

int config_check_tunnel_paths(struct config_check *k)
{
	int r = 0;

	for (unsigned i = 0; !r && i < k->c->n_interface; i++) {
		const struct cfg_interface *ifc = &k->c->interface[i];
		const struct cv_addr *end;

		for (unsigned n = 0; !r && ifc->type == CFG_IF_TUNNEL && (end = config_tunnel_end(ifc->tunnel, n)); n++)
			r = check_path(k, ifc, end);
	}
	return r;
}
