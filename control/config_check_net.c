/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of VRFs, interfaces, routes and access lists: everything the dataplane would refuse, said with its YANG path.
 */
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"
#include "cv_addr.h"
#include "cv_msg.h"

static int check_limits(struct config_check *k)
{
	const struct cv_config *c = k->c;

	if (c->n_vrf >= CV_VRF_MAX)
		return check_fail(k, "/culvert-vrf:vrfs: %u VRFs; at most %u", c->n_vrf, CV_VRF_MAX - 1);
	if (c->n_interface >= CV_IF_MAX)
		return check_fail(
			k, "/ietf-interfaces:interfaces: %u interfaces; at most %u", c->n_interface, CV_IF_MAX - 1);
	if (c->n_acl >= CV_ACL_MAX)
		return check_fail(
			k, "/culvert-acl:access-lists: %u access lists; at most %u", c->n_acl, CV_ACL_MAX - 1);
	if (c->workers > CV_WORKER_MAX)
		return check_fail(k, PATH_SYSTEM "/workers: %u; 0 (all) to %u", c->workers, CV_WORKER_MAX);
	return 0;
}

/* ---- interfaces ---- */

static int check_ethernet(struct config_check *k, const struct cfg_interface *i, unsigned *n_port)
{
	const struct cfg_interface *o = k->c->interface;

	if (!i->device || !*i->device)
		return check_fail(k,
			PATH_IF
			"/culvert-platform:device: an ethernet interface needs one; a PCI address or a vdev string",
			i->name);
	if (strlen(i->device) >= sizeof(((struct cv_port *)0)->devargs))
		return check_fail(k, PATH_IF "/culvert-platform:device: longer than %zu characters", i->name,
			sizeof(((struct cv_port *)0)->devargs) - 1);
	for (; o < i; o++)
		if (o->type == CFG_IF_ETHERNET && o->device && !strcmp(o->device, i->device))
			return check_fail(k, PATH_IF "/culvert-platform:device: '%s' already belongs to interface '%s'",
				i->name, i->device, o->name);
	if (++*n_port > CV_PORT_MAX)
		return check_fail(k, PATH_IF ": more than %u ethernet interfaces", i->name, CV_PORT_MAX);
	return 0;
}

static int check_vlan(struct config_check *k, const struct cfg_interface *i)
{
	const struct cfg_interface *o = k->c->interface;

	if (!i->parent_ref)
		return check_fail(
			k, PATH_IF "/culvert-platform:parent: a VLAN interface needs an ethernet interface", i->name);
	if (i->parent_ref->type != CFG_IF_ETHERNET)
		return check_fail(
			k, PATH_IF "/culvert-platform:parent: '%s' is not an ethernet interface", i->name, i->parent);
	if (i->vlan_id < 1 || i->vlan_id > 4094)
		return check_fail(k, PATH_IF "/culvert-platform:vlan-id: %u; 1..4094", i->name, i->vlan_id);
	for (; o < i; o++)
		if (o->type == CFG_IF_VLAN && o->parent_ref == i->parent_ref && o->vlan_id == i->vlan_id)
			return check_fail(k,
				PATH_IF "/culvert-platform:vlan-id: %u on '%s' already belongs to interface '%s'",
				i->name, i->vlan_id, i->parent, o->name);
	return 0;
}

static int check_if_addr(struct config_check *k, const struct cfg_interface *i, const struct cfg_if_addr *a)
{
	char text[CV_ADDR_STR];

	cv_addr_str(&a->addr, text);
	if (!cv_addr_bits(&a->addr) || cv_addr_is_zero(&a->addr) || a->plen < 1 || a->plen > cv_addr_bits(&a->addr))
		return check_fail(
			k, PATH_IF "/address[ip='%s']: not a host address with its prefix length", i->name, text);
	if (a->addr.af == CV_AF_INET6 && i->mtu && i->mtu < 1280)
		return check_fail(
			k, PATH_IF "/culvert-platform:mtu: %u; IPv6 needs at least 1280 (RFC 8200)", i->name, i->mtu);
	for (const struct cfg_interface *o = k->c->interface; o <= i; o++) {
		for (unsigned j = 0; o->vrf_ref == i->vrf_ref && j < o->n_addr; j++) {
			if (&o->addr[j] == a)
				return 0;
			if (cv_addr_eq(&o->addr[j].addr, &a->addr))
				return check_fail(k,
					PATH_IF "/address[ip='%s']: already the address of interface '%s' in the same "
						"VRF",
					i->name, text, o->name);
		}
	}
	return 0;
}

static int check_if_map(struct config_check *k, const struct cfg_interface *i)
{
	unsigned n = 0;

	if (!i->map_ref || i->tunnel)
		return 0;
	if (i->type == CFG_IF_LOOPBACK)
		return check_fail(k,
			PATH_IF
			"/culvert-ipsec:crypto-map: no packet leaves through a loopback; apply the map to the outside "
			"interface and name the loopback as the map's local-address",
			i->name);
	for (unsigned j = 0; j < k->c->n_interface; j++)
		n += k->c->interface[j].map_ref == i->map_ref;
	if (n > CV_SPD_IF_MAX)
		return check_fail(k, PATH_IF "/culvert-ipsec:crypto-map: map '%s' is on %u interfaces; at most %u",
			i->name, i->crypto_map, n, CV_SPD_IF_MAX);
	if (!i->n_addr && !i->map_ref->local_ref)
		check_warn(k,
			PATH_IF
			"/culvert-ipsec:crypto-map: the interface has no address, so the map cannot negotiate here",
			i->name);
	return 0;
}

static bool same_host_namespace(const struct cfg_interface *a, const struct cfg_interface *b)
{
	const char *x = a->vrf_ref ? a->vrf_ref->host_namespace : "", *y = b->vrf_ref ? b->vrf_ref->host_namespace : "";

	return !strcmp(x, y);
}

/* What Linux takes as the name of a network device: dev_valid_name(). */
static bool host_device_ok(const char *name)
{
	size_t n = strlen(name);

	for (size_t j = 0; j < n; j++)
		if (name[j] <= ' ' || name[j] > '~' || strchr("/:", name[j]))
			return false;
	return n > 0 && n < CV_HOST_DEVICE_MAX && strcmp(name, ".") && strcmp(name, "..") && strcmp(name, "lo");
}

static int check_host_device(struct config_check *k, const struct cfg_interface *i)
{
	const char *name = config_host_device(i);

	if (!config_has_host_device(i))
		return 0;
	if (!host_device_ok(name))
		return check_fail(k,
			PATH_IF "/culvert-platform:host-device: '%s' is no name that Linux gives to a device; 1..%u "
				"characters without '/', ':' and blanks, and not 'lo'",
			i->name, name, CV_HOST_DEVICE_MAX - 1);
	for (const struct cfg_interface *o = k->c->interface; o < i; o++)
		if (config_has_host_device(o) && same_host_namespace(o, i) && !strcmp(config_host_device(o), name))
			return check_fail(k,
				PATH_IF
				"/culvert-platform:host-device: '%s' is already what interface '%s' is called on "
				"the host",
				i->name, name, o->name);
	return 0;
}

static int check_family_mtu(struct config_check *k, const struct cfg_interface *i, const char *family, uint16_t mtu)
{
	const uint16_t most = i->mtu ? i->mtu : i->parent_ref && i->parent_ref->mtu ? i->parent_ref->mtu : 1500;

	return mtu <= most ? 0
			   : check_fail(k, PATH_IF "/ietf-ip:%s/mtu: %u is more than the interface's own MTU of %u",
				     i->name, family, mtu, most);
}

/* A list without a line of the family denies all of it, which may not be what was meant. */
static void check_filter(
	struct config_check *k, const struct cfg_interface *i, const struct cfg_acl *a, uint8_t af, const char *way)
{
	for (unsigned j = 0; a && j < a->n_line; j++)
		if (a->line[j].permit && a->line[j].sel.src.lo.af == af)
			return;
	if (a)
		check_warn(k,
			PATH_IF "/culvert-acl:access-group/%s/%s: '%s' permits nothing of this family, so everything "
				"is dropped",
			i->name, af == CV_AF_INET ? "ipv4" : "ipv6", way, a->name);
}

static int check_interface(struct config_check *k, const struct cfg_interface *i, unsigned *n_port)
{
	int r = 0;

	switch (i->type) {
	case CFG_IF_ETHERNET:
		r = check_ethernet(k, i, n_port);
		break;
	case CFG_IF_VLAN:
		r = check_vlan(k, i);
		break;
	case CFG_IF_LOOPBACK:
		break;
	case CFG_IF_TUNNEL:
		r = config_check_tunnel(k, i);
		break;
	case CFG_IF_TEMPLATE:
		r = config_check_template(k, i);
		break;
	default:
		return check_fail(
			k, PATH_IF "/type: unknown; ethernet, vlan, loopback, tunnel or virtual-template", i->name);
	}
	if (!r && i->mtu && (i->mtu < 68 || i->mtu > 9216))
		return check_fail(k, PATH_IF "/culvert-platform:mtu: %u; 68..9216", i->name, i->mtu);
	if (!r && i->type == CFG_IF_VLAN && i->mtu && i->parent_ref->mtu && i->mtu > i->parent_ref->mtu)
		return check_fail(k, PATH_IF "/culvert-platform:mtu: %u is more than the %u of '%s'", i->name, i->mtu,
			i->parent_ref->mtu, i->parent);
	(void)(r || (r = check_family_mtu(k, i, "ipv4", i->mtu4)) || (r = check_family_mtu(k, i, "ipv6", i->mtu6)));
	for (unsigned j = 0; !r && j < i->n_addr; j++)
		r = check_if_addr(k, i, &i->addr[j]);
	check_filter(k, i, i->acl4.in_ref, CV_AF_INET, "in");
	check_filter(k, i, i->acl4.out_ref, CV_AF_INET, "out");
	check_filter(k, i, i->acl6.in_ref, CV_AF_INET6, "in");
	check_filter(k, i, i->acl6.out_ref, CV_AF_INET6, "out");
	if (!r)
		r = check_host_device(k, i);
	return r ? r : check_if_map(k, i);
}

/* ---- routes ---- */

struct route_path {
	const char *vrf;
	char prefix[CV_PREFIX_STR];
};

static int check_nexthop(
	struct config_check *k, const struct cfg_route *rt, const struct cfg_nexthop *nh, const struct route_path *p)
{
	const struct cfg_vrf *in = nh->vrf_ref;

	if (nh->type == CFG_NH_BLACKHOLE)
		return rt->n_nh == 1 ? 0
				     : check_fail(k, PATH_ROUTE "/next-hop: blackhole excludes other next hops", p->vrf,
					       p->prefix);
	if (nh->type == CFG_NH_INTERFACE && !nh->if_ref)
		return check_fail(k, PATH_ROUTE "/next-hop: an interface is needed", p->vrf, p->prefix);
	if (nh->type == CFG_NH_GATEWAY && (nh->gw.af != rt->prefix.addr.af || cv_addr_is_zero(&nh->gw)))
		return check_fail(k, PATH_ROUTE "/next-hop: the gateway must be a host address of the prefix's family",
			p->vrf, p->prefix);
	if (nh->if_ref && nh->if_ref->type == CFG_IF_TEMPLATE)
		return check_fail(k,
			PATH_ROUTE "/next-hop/outgoing-interface: '%s' is a template; nothing leaves by it", p->vrf,
			p->prefix, nh->interface);
	if (nh->if_ref && nh->if_ref->vrf_ref != in)
		return check_fail(k,
			PATH_ROUTE "/next-hop/interface: '%s' is in VRF '%s', the next hop is looked up in '%s'; name "
				   "the interface's as gateway-vrf, or mark it global, to leave through another table",
			p->vrf, p->prefix, nh->interface, nh->if_ref->vrf ? nh->if_ref->vrf : "global",
			in ? in->name : "global");
	return 0;
}

struct route_key {
	const struct cfg_vrf *vrf;
	const struct cv_prefix *prefix;
};

static int route_key_cmp(const void *a, const void *b)
{
	const struct route_key *x = a, *y = b;

	if (x->vrf != y->vrf)
		return x->vrf < y->vrf ? -1 : 1;
	return memcmp(x->prefix, y->prefix, sizeof(*x->prefix));
}

static int check_route_duplicates(struct config_check *k)
{
	struct cv_config *c = k->c;
	struct route_key *key = config_alloc(c, c->n_route, sizeof(*key));
	char text[CV_PREFIX_STR];

	for (unsigned i = 0; i < c->n_route; i++)
		key[i] = (struct route_key){c->route[i].vrf_ref, &c->route[i].prefix};
	if (c->n_route)
		qsort(key, c->n_route, sizeof(*key), route_key_cmp);
	for (unsigned i = 1; i < c->n_route; i++)
		if (!route_key_cmp(&key[i - 1], &key[i]))
			return check_fail(k, PATH_ROUTE ": defined twice; one route with several next hops instead",
				key[i].vrf ? key[i].vrf->name : "", cv_prefix_str(key[i].prefix, text));
	return 0;
}

static int check_route(struct config_check *k, struct cfg_route *rt)
{
	struct route_path p = {.vrf = rt->vrf ? rt->vrf : ""};
	struct cv_prefix masked = rt->prefix;
	int r = 0;

	cv_prefix_str(&rt->prefix, p.prefix);
	if (!cv_addr_bits(&rt->prefix.addr) || rt->prefix.len > cv_addr_bits(&rt->prefix.addr))
		return check_fail(k, PATH_ROUTE ": not a prefix", p.vrf, p.prefix);
	cv_prefix_mask(&masked);
	if (!cv_addr_eq(&masked.addr, &rt->prefix.addr))
		return check_fail(k, PATH_ROUTE ": bits beyond the prefix length are set", p.vrf, p.prefix);
	if (rt->n_nh < 1 || rt->n_nh > CV_NH_MAX)
		return check_fail(k, PATH_ROUTE "/next-hop: %u next hops; 1..%u", p.vrf, p.prefix, rt->n_nh, CV_NH_MAX);
	if (!rt->distance)
		rt->distance = 1;
	for (unsigned i = 0; !r && i < rt->n_nh; i++) {
		if (!rt->nh[i].weight)
			rt->nh[i].weight = 1;
		r = check_nexthop(k, rt, &rt->nh[i], &p);
	}
	return r;
}

/* ---- access lists ---- */

static bool ports_allowed(uint8_t proto)
{
	switch (proto) {
	case 1:	  /* ICMP: type and code */
	case 6:	  /* TCP */
	case 17:  /* UDP */
	case 58:  /* ICMPv6 */
	case 132: /* SCTP */
	case 136: /* UDP-Lite */
		return true;
	default:
		return false;
	}
}

static int check_acl_line(struct config_check *k, const struct cfg_acl *a, const struct cfg_acl_line *l)
{
	const struct cv_selector *s = &l->sel;
	bool all_ports = !s->sport_lo && s->sport_hi == UINT16_MAX && !s->dport_lo && s->dport_hi == UINT16_MAX;

	if (!cv_addr_bits(&s->src.lo) || s->src.lo.af != s->src.hi.af || s->src.lo.af != s->dst.lo.af ||
		s->dst.lo.af != s->dst.hi.af)
		return check_fail(k, PATH_ACL_LINE ": source and destination must be of one family", a->name, l->seq);
	if (cv_addr_cmp(&s->src.lo, &s->src.hi) > 0 || cv_addr_cmp(&s->dst.lo, &s->dst.hi) > 0 ||
		s->sport_lo > s->sport_hi || s->dport_lo > s->dport_hi)
		return check_fail(k, PATH_ACL_LINE ": a range whose end is before its start", a->name, l->seq);
	if (!all_ports && !ports_allowed(s->proto))
		return check_fail(k,
			PATH_ACL_LINE ": ports need a protocol that has them; tcp, udp, sctp, udplite, icmp, icmpv6",
			a->name, l->seq);
	return 0;
}

static int check_acl(struct config_check *k, const struct cfg_acl *a)
{
	int r = 0;

	for (unsigned i = 0; !r && i < a->n_line; i++) {
		if (!a->line[i].seq || (i && a->line[i].seq <= a->line[i - 1].seq))
			return check_fail(
				k, PATH_ACL_LINE ": line numbers start at 1 and ascend", a->name, a->line[i].seq);
		r = check_acl_line(k, a, &a->line[i]);
	}
	return r;
}

/* One namespace has one table, and cannot hold two VRFs'. */
static int check_vrf_namespace(struct config_check *k, const struct cfg_vrf *v)
{
	for (const struct cfg_vrf *o = k->c->vrf; v->host_namespace && o < v; o++)
		if (o->host_namespace && !strcmp(o->host_namespace, v->host_namespace))
			return check_fail(k, PATH_VRF "/host-namespace: '%s' is already that of VRF '%s'", v->name,
				v->host_namespace, o->name);
	return 0;
}

int config_check_network(struct config_check *k)
{
	struct cv_config *c = k->c;
	unsigned n_port = 0;
	int r = check_limits(k);

	for (unsigned i = 0; !r && i < c->n_vrf; i++)
		r = check_vrf_namespace(k, &c->vrf[i]);
	for (unsigned i = 0; !r && i < c->n_interface; i++)
		r = check_interface(k, &c->interface[i], &n_port);
	for (unsigned i = 0; !r && i < c->n_route; i++)
		r = check_route(k, &c->route[i]);
	if (!r)
		r = check_route_duplicates(k);
	if (!r)
		r = config_check_tunnel_paths(k);
	for (unsigned i = 0; !r && i < c->n_acl; i++)
		r = check_acl(k, &c->acl[i]);
	return r;
}
