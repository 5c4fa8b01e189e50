/* SPDX-License-Identifier: BSD-3-Clause */
/* VRFs, interfaces, static routes and access lists. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "cv_addr.h"
#include "cv_msg.h"
#include "dscp.h"

#define IPPROTO_NUM_ICMP 1
#define IPPROTO_NUM_ICMPV6 58

static bool vrfs(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *top = tree_top(tree, "culvert-vrf", "vrfs");
	unsigned n = tree_count(top, "vrf");

	b->c->vrf = config_alloc(b->c, n, sizeof(*b->c->vrf));
	for (const struct lyd_node *v = NULL; (v = tree_next(top, "vrf", v));) {
		struct cfg_vrf *vrf = &b->c->vrf[b->c->n_vrf++];
		vrf->name = build_text(b, v, "name");
		vrf->description = build_text(b, v, "description");
		vrf->host_namespace = build_text(b, v, "host-namespace");
	}
	return true;
}

static bool addresses(struct build *b, const struct lyd_node *ip, struct cfg_interface *i)
{
	if (!ip || !tree_flag(ip, "enabled"))
		return true;
	for (const struct lyd_node *a = NULL; (a = tree_next(ip, "address", a));) {
		struct cfg_if_addr *addr = &i->addr[i->n_addr++];
		if (!build_addr(b, tree_child(a, "ip"), &addr->addr))
			return false;
		addr->plen = (uint8_t)tree_number(a, "prefix-length");
	}
	return true;
}

static bool interface_type(struct build *b, const struct lyd_node *n, struct cfg_interface *i)
{
	static const struct {
		const char *name;
		enum cfg_if_type type;
	} types[] = {{"iana-if-type:ethernetCsmacd", CFG_IF_ETHERNET}, {"iana-if-type:l2vlan", CFG_IF_VLAN},
		{"iana-if-type:softwareLoopback", CFG_IF_LOOPBACK}, {"iana-if-type:tunnel", CFG_IF_TUNNEL},
		{"culvert-tunnel:virtual-template", CFG_IF_TEMPLATE}};
	const char *type = tree_text(n, "type");

	for (unsigned t = 0; t < sizeof(types) / sizeof(types[0]); t++)
		if (strcmp(types[t].name, type) == 0) {
			i->type = types[t].type;
			return true;
		}
	return build_fail(b, tree_child(n, "type"), "\"%s\" is not valid; valid: %s, %s, %s, %s, %s", type,
		types[0].name, types[1].name, types[2].name, types[3].name, types[4].name);
}

static bool mac(struct build *b, const struct lyd_node *n, struct cfg_interface *i)
{
	const char *text = tree_text(n, "mac-address");
	unsigned m[6];

	if (!text)
		return true;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
		return build_fail(b, tree_child(n, "mac-address"), "not a MAC address");
	for (unsigned k = 0; k < 6; k++)
		i->mac[k] = (uint8_t)m[k];
	i->has_mac = true;
	if (i->mac[0] & 1)
		return build_fail(b, tree_child(n, "mac-address"), "a group address; an interface needs a unicast one");
	return true;
}

static enum cfg_tunnel_mode tunnel_mode(const char *name)
{
	static const struct {
		const char *name;
		enum cfg_tunnel_mode mode;
	} modes[] = {{"ipsec-ipv6", CFG_TUNNEL_IPSEC_IPV6}, {"gre-ipv4", CFG_TUNNEL_GRE_IPV4},
		{"gre-ipv6", CFG_TUNNEL_GRE_IPV6}, {"gre-multipoint-ipv4", CFG_TUNNEL_MGRE_IPV4},
		{"gre-multipoint-ipv6", CFG_TUNNEL_MGRE_IPV6}, {"ipip", CFG_TUNNEL_IPIP},
		{"ipv6ip", CFG_TUNNEL_IPV6IP}};

	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, name) == 0)
			return modes[i].mode;
	return CFG_TUNNEL_IPSEC_IPV4;
}

static bool tunnel_hops(struct build *b, const struct lyd_node *n, struct cfg_tunnel *t)
{
	t->hop = config_alloc(b->c, tree_count(n, "next-hop"), sizeof(*t->hop));
	for (const struct lyd_node *hop = NULL; (hop = tree_next(n, "next-hop", hop));) {
		struct cfg_tunnel_hop *h = &t->hop[t->n_hop++];

		h->multicast = tree_flag(hop, "multicast");
		if (!build_addr(b, tree_child(hop, "address"), &h->next_hop) ||
			!build_addr(b, tree_child(hop, "nbma-address"), &h->nbma))
			return false;
	}
	return true;
}

static bool tunnel(struct build *b, const struct lyd_node *n, struct cfg_interface *i)
{
	const struct lyd_node *source = tree_child(n, "source-address"), *protection = tree_child(n, "protection");
	const char *dscp = tree_text(n, "dscp"), *ttl = tree_text(n, "ttl");
	struct cfg_tunnel *t;

	if (!n)
		return true;
	i->tunnel = t = config_alloc(b->c, 1, sizeof(*t));
	t->mode = tunnel_mode(tree_text(n, "mode"));
	t->has_key = tree_child(n, "key");
	t->key = (uint32_t)tree_number(n, "key");
	t->checksum = tree_flag(n, "checksum");
	t->sequence = tree_flag(n, "sequence");
	t->ttl = (uint8_t)(ttl ? strtoul(ttl, NULL, 10) : 0); /* "inherit" is 0 */
	t->has_dscp = dscp && strcmp(dscp, "inherit");
	if (t->has_dscp)
		t->dscp = build_dscp(dscp);
	t->transmit_kbps = (uint32_t)tree_number(n, "transmit-bandwidth");
	t->receive_kbps = (uint32_t)tree_number(n, "receive-bandwidth");
	t->keepalive_s = (uint16_t)tree_number(tree_child(n, "keepalive"), "interval");
	t->keepalive_retries = (uint8_t)tree_number(tree_child(n, "keepalive"), "retries");
	t->source_if = build_text(b, n, "source-interface");
	t->vrf = build_text(b, n, "vrf");
	t->profile = build_text(b, protection, "profile");
	t->shared = tree_child(protection, "shared");
	t->no_initiate = protection && !tree_flag(protection, "initiate");
	return (!source || build_addr(b, source, &t->source)) &&
	       (!tree_child(n, "destination") || build_addr(b, tree_child(n, "destination"), &t->destination)) &&
	       tunnel_hops(b, n, t);
}

static void virtual_template(struct build *b, const struct lyd_node *n, struct cfg_interface *i)
{
	if (!n)
		return;
	i->tunnel = config_alloc(b->c, 1, sizeof(*i->tunnel));
	i->tunnel->mode = tunnel_mode(tree_text(n, "mode"));
	i->tunnel->vrf = build_text(b, n, "vrf");
	i->tunnel->profile = build_text(b, n, "profile");
	i->tunnel->no_initiate = true; /* VTI-29 */
}

static struct cfg_urpf urpf(const struct lyd_node *n)
{
	const char *via = tree_text(n, "reachable-via");

	return (struct cfg_urpf){.mode = !via || strcmp(via, "off") == 0 ? CFG_URPF_OFF
					 : strcmp(via, "rx") == 0	 ? CFG_URPF_STRICT
									 : CFG_URPF_LOOSE,
		.allow_default = tree_flag(n, "allow-default")};
}

static struct cfg_access_group access_group(struct build *b, const struct lyd_node *n)
{
	return (struct cfg_access_group){.in = build_text(b, n, "in"), .out = build_text(b, n, "out")};
}

static uint8_t inspection(const char *way)
{
	if (!way)
		return 0;
	return (strcmp(way, "out") ? CFG_INSPECT_IN : 0) | (strcmp(way, "in") ? CFG_INSPECT_OUT : 0);
}

static enum cfg_nat_side nat_side(const char *side)
{
	return !side ? CFG_NAT_NONE : strcmp(side, "inside") ? CFG_NAT_OUTSIDE : CFG_NAT_INSIDE;
}

static uint16_t segment_size(const struct lyd_node *mss, const char *family)
{
	const char *text = tree_text(mss, family);

	return !text ? 0 : strcmp(text, "auto") ? (uint16_t)strtoul(text, NULL, 10) : CV_MSS_AUTO;
}

/* host_path: what an interface has that does not say it. */
static bool one_interface(struct build *b, const struct lyd_node *n, struct cfg_interface *i, bool host_path)
{
	const struct lyd_node *v4 = tree_child(n, "ipv4"), *v6 = tree_child(n, "ipv6");
	const struct lyd_node *verify = tree_child(n, "verify-source"), *mss = tree_child(n, "tcp-adjust-mss");
	const struct lyd_node *group = tree_child(n, "access-group");

	i->name = build_text(b, n, "name");
	i->description = build_text(b, n, "description");
	i->enabled = tree_flag(n, "enabled");
	i->device = build_text(b, n, "device");
	i->rx_queues = (uint16_t)tree_number(n, "rx-queues");
	i->rx_desc = (uint16_t)tree_number(n, "rx-descriptors");
	i->tx_desc = (uint16_t)tree_number(n, "tx-descriptors");
	i->parent = build_text(b, n, "parent");
	i->vlan_id = (uint16_t)tree_number(n, "vlan-id");
	i->mtu = (uint16_t)tree_number(n, "mtu");
	i->vrf = build_text(b, n, "vrf");
	i->crypto_map = build_text(b, n, "crypto-map");
	i->df_bit = build_df_bit(tree_text(n, "ipsec-df-bit"));
	i->fragment = build_fragment(tree_text(n, "ipsec-fragmentation"));
	i->urpf4 = urpf(tree_child(verify, "ipv4"));
	i->urpf6 = urpf(tree_child(verify, "ipv6"));
	i->acl4 = access_group(b, tree_child(group, "ipv4"));
	i->acl6 = access_group(b, tree_child(group, "ipv6"));
	i->host_path = tree_child(n, "host-path") ? tree_flag(n, "host-path") : host_path;
	i->host_device = build_text(b, n, "host-device");
	i->mtu4 = (uint16_t)tree_number(v4, "mtu");
	i->mtu6 = (uint16_t)tree_number(v6, "mtu");
	i->mss4 = segment_size(mss, "ipv4");
	i->mss6 = segment_size(mss, "ipv6");
	virtual_template(b, tree_child(n, "virtual-template"), i);
	i->inspect = inspection(tree_text(n, "inspect"));
	i->nat = nat_side(tree_text(n, "nat"));
	i->policy_in = build_text(b, tree_child(n, "service-policy"), "input");
	i->policy_out = build_text(b, tree_child(n, "service-policy"), "output");
	i->output_rate = (uint32_t)tree_number(tree_child(n, "service-policy"), "output-rate");
	i->addr = config_alloc(b->c, tree_count(v4, "address") + tree_count(v6, "address"), sizeof(*i->addr));
	return interface_type(b, n, i) && tunnel(b, tree_child(n, "tunnel"), i) && mac(b, n, i) &&
	       addresses(b, v4, i) && addresses(b, v6, i);
}

#define DEFAULT_MTU 1500u

static uint16_t mtu_of(const struct cv_config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_interface; i++)
		if (strcmp(c->interface[i].name, name) == 0)
			return c->interface[i].mtu;
	return 0;
}

/* An MTU nobody wrote: a VLAN sub-interface follows its parent. */
static void default_mtus(struct cv_config *c)
{
	for (unsigned i = 0; i < c->n_interface; i++)
		if (!c->interface[i].mtu && !c->interface[i].parent)
			c->interface[i].mtu = DEFAULT_MTU;
	for (unsigned i = 0; i < c->n_interface; i++)
		if (!c->interface[i].mtu)
			c->interface[i].mtu = mtu_of(c, c->interface[i].parent);
}

static bool interfaces(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *top = tree_top(tree, "ietf-interfaces", "interfaces");
	bool host_path = tree_flag(tree_top(tree, "culvert-platform", "platform"), "host-path");

	b->c->interface = config_alloc(b->c, tree_count(top, "interface"), sizeof(*b->c->interface));
	for (const struct lyd_node *n = NULL; (n = tree_next(top, "interface", n));)
		if (!one_interface(b, n, &b->c->interface[b->c->n_interface++], host_path))
			return false;
	default_mtus(b->c);
	return true;
}

static bool next_hop(struct build *b, const struct lyd_node *n, struct cfg_nexthop *nh)
{
	const struct lyd_node *gw = tree_child(n, "next-hop-address");

	nh->interface = build_text(b, n, "outgoing-interface");
	nh->global = tree_flag(n, "global");
	nh->vrf = build_text(b, n, "gateway-vrf");
	nh->weight = (uint8_t)tree_number(n, "weight");
	if (!nh->weight)
		nh->weight = 1;
	nh->type = gw ? CFG_NH_GATEWAY : CFG_NH_INTERFACE;
	if (!gw && !nh->interface)
		return build_fail(b, n, "the next hop needs next-hop-address, outgoing-interface or both");
	if (nh->global && !gw)
		return build_fail(b, tree_child(n, "global"), "'global' needs a next-hop-address (VRF-12)");
	if (nh->vrf && !gw)
		return build_fail(b, tree_child(n, "gateway-vrf"), "'gateway-vrf' needs a next-hop-address (VRF-50)");
	return !gw || build_addr(b, gw, &nh->gw);
}

static bool next_hops(struct build *b, const struct lyd_node *n, struct cfg_route *r)
{
	const struct lyd_node *list = tree_child(n, "next-hop-list");

	r->n_nh = list ? tree_count(list, "next-hop") : 1;
	if (!r->n_nh)
		return build_fail(b, list, "the list has no next hop");
	r->nh = config_alloc(b->c, r->n_nh, sizeof(*r->nh));
	if (tree_text(n, "special-next-hop")) {
		r->nh[0].type = CFG_NH_BLACKHOLE;
		r->nh[0].weight = 1;
		return true;
	}
	if (!list)
		return next_hop(b, n, &r->nh[0]);
	unsigned i = 0;
	for (const struct lyd_node *h = NULL; (h = tree_next(list, "next-hop", h));)
		if (!next_hop(b, h, &r->nh[i++]))
			return false;
	return true;
}

/*
 * The destination as it is written. Bits behind the length are a slip of the hand more often than not (USAB-35); the
 * standard's own types would drop them without a word.
 */
static bool destination(struct build *b, const struct lyd_node *leaf, bool six, struct cv_prefix *out)
{
	const char *text = lyd_get_value(leaf);
	char meant[CV_PREFIX_STR];

	if (cv_ifaddr_parse(text, &out->addr, &out->len) || (out->addr.af == CV_AF_INET6) != six)
		return build_fail(b, leaf, "\"%s\" is not valid; valid: a prefix such as %s", text,
			six ? "2001:db8::/32" : "192.0.2.0/24");
	cv_prefix_mask(out);
	cv_prefix_str(out, meant);
	if (strcmp(text, meant) != 0)
		return build_fail(b, leaf,
			"\"%s\" is not valid: a destination has no bits set behind its length, and is written %s", text,
			meant);
	return true;
}

static bool routes_of(struct build *b, const struct lyd_node *proto, const struct lyd_node *family, bool six)
{
	for (const struct lyd_node *n = NULL; (n = tree_next(family, "route", n));) {
		struct cfg_route *r = &b->c->route[b->c->n_route++];
		r->vrf = build_text(b, proto, "vrf");
		r->distance = (uint8_t)tree_number(n, "distance");
		r->tag = (uint32_t)tree_number(n, "tag");
		if (!destination(b, tree_child(n, "destination-prefix"), six, &r->prefix) ||
			!next_hops(b, tree_child(n, "next-hop"), r))
			return false;
	}
	return true;
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(tree_text(*(const struct lyd_node *const *)a, "vrf"),
		tree_text(*(const struct lyd_node *const *)b, "vrf"));
}

/* One instance for each VRF. Not a "must" of the model: libyang would look at every pair of thousands. */
static bool one_instance_each(struct build *b, const struct lyd_node *top)
{
	const struct lyd_node **proto =
		config_alloc(b->c, tree_count(top, "control-plane-protocol"), sizeof(struct lyd_node *));
	unsigned n = 0;

	for (const struct lyd_node *p = NULL; (p = tree_next(top, "control-plane-protocol", p));)
		if (tree_text(p, "vrf"))
			proto[n++] = p;
	if (n)
		qsort(proto, n, sizeof(proto[0]), text_cmp);
	for (unsigned i = 1; i < n; i++)
		if (!text_cmp(&proto[i - 1], &proto[i]))
			return build_fail(b, tree_child(proto[i], "vrf"),
				"another instance already holds the static routes of this VRF");
	return true;
}

static bool routes(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *top = tree_child(tree_top(tree, "ietf-routing", "routing"), "control-plane-protocols");
	const struct lyd_node *p;
	unsigned n = 0;

	for (p = NULL; (p = tree_next(top, "control-plane-protocol", p));) {
		const struct lyd_node *st = tree_child(p, "static-routes");
		n += tree_count(tree_child(st, "ipv4"), "route") + tree_count(tree_child(st, "ipv6"), "route");
	}
	if (!one_instance_each(b, top))
		return false;
	b->c->route = config_alloc(b->c, n, sizeof(*b->c->route));
	for (p = NULL; (p = tree_next(top, "control-plane-protocol", p));) {
		const struct lyd_node *st = tree_child(p, "static-routes");
		if (!routes_of(b, p, tree_child(st, "ipv4"), false) || !routes_of(b, p, tree_child(st, "ipv6"), true))
			return false;
	}
	return true;
}

static bool acl_end(struct build *b, const struct lyd_node *line, const char *name, struct cv_range *r)
{
	struct cv_prefix p;

	if (strcmp(tree_text(line, name), "any") == 0) {
		r->lo.af = CV_AF_NONE; /* the family of the other end, decided below */
		return true;
	}
	if (!build_prefix(b, tree_child(line, name), &p))
		return false;
	cv_prefix_to_range(&p, r);
	return true;
}

static void acl_any(struct cv_range *r, uint8_t af)
{
	struct cv_selector any;

	cv_selector_any(&any, af);
	if (r->lo.af == CV_AF_NONE)
		*r = any.src;
}

uint8_t build_protocol(const char *name, bool v6)
{
	static const struct {
		const char *name;
		uint8_t number;
	} known[] = {{"ip", 0}, {"tcp", 6}, {"udp", 17}, {"gre", 47}, {"esp", 50}, {"ah", 51}};

	if (strcmp(name, "icmp") == 0)
		return v6 ? IPPROTO_NUM_ICMPV6 : IPPROTO_NUM_ICMP;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i].name) == 0)
			return known[i].number;
	return (uint8_t)strtoul(name, NULL, 10);
}

static void ports(const struct lyd_node *n, uint16_t *lo, uint16_t *hi)
{
	*lo = 0;
	*hi = UINT16_MAX;
	if (!n)
		return;
	*lo = *hi = (uint16_t)tree_number(n, "lower");
	if (tree_child(n, "upper"))
		*hi = (uint16_t)tree_number(n, "upper");
}

/* Type and code share the source port field (cv_types.h). */
static void icmp(const struct lyd_node *line, struct cv_selector *s)
{
	if (!tree_child(line, "icmp-type"))
		return;
	uint16_t type = (uint16_t)(tree_number(line, "icmp-type") << 8);
	bool has_code = tree_child(line, "icmp-code");
	uint16_t code = (uint16_t)tree_number(line, "icmp-code");
	s->sport_lo = (uint16_t)(type | code);
	s->sport_hi = (uint16_t)(type | (has_code ? code : 0xff));
}

uint8_t build_dscp(const char *value)
{
	int named = dscp_by_name(value);

	return (uint8_t)(named >= 0 ? (unsigned long)named : strtoul(value, NULL, 10));
}

static uint64_t dscp(const struct lyd_node *line)
{
	const struct lyd_node *tos = tree_child(line, "tos"), *precedence = tree_child(line, "precedence");
	uint64_t set = 0;

	if (tos || precedence)
		return (tos ? dscp_of_tos((unsigned)tree_number(line, "tos")) : UINT64_MAX) &
		       (precedence ? dscp_of_precedence((unsigned)tree_number(line, "precedence")) : UINT64_MAX);
	for (const struct lyd_node *n = NULL; (n = tree_next(line, "dscp", n));)
		set |= UINT64_C(1) << build_dscp(lyd_get_value(n));
	return set;
}

static bool acl_line(struct build *b, const struct lyd_node *n, struct cfg_acl_line *l)
{
	struct cv_selector *s = &l->sel;

	l->seq = (uint32_t)tree_number(n, "sequence");
	l->permit = strcmp(tree_text(n, "action"), "permit") == 0;
	l->log = tree_flag(n, "log");
	l->remark = build_text(b, n, "remark");
	if (!acl_end(b, n, "source", &s->src) || !acl_end(b, n, "destination", &s->dst))
		return false;
	uint8_t af = s->src.lo.af != CV_AF_NONE ? s->src.lo.af : s->dst.lo.af;
	if (af == CV_AF_NONE)
		af = CV_AF_INET;
	acl_any(&s->src, af);
	acl_any(&s->dst, af);
	s->proto = build_protocol(tree_text(n, "protocol"), af == CV_AF_INET6);
	ports(tree_child(n, "source-port"), &s->sport_lo, &s->sport_hi);
	ports(tree_child(n, "destination-port"), &s->dport_lo, &s->dport_hi);
	icmp(n, s);
	l->dscp = dscp(n);
	return true;
}

static int by_sequence(const void *a, const void *b)
{
	uint32_t x = ((const struct cfg_acl_line *)a)->seq, y = ((const struct cfg_acl_line *)b)->seq;

	return x < y ? -1 : x > y;
}

static bool access_lists(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *top = tree_top(tree, "culvert-acl", "access-lists");

	b->c->acl = config_alloc(b->c, tree_count(top, "access-list"), sizeof(*b->c->acl));
	for (const struct lyd_node *n = NULL; (n = tree_next(top, "access-list", n));) {
		struct cfg_acl *acl = &b->c->acl[b->c->n_acl++];
		acl->name = build_text(b, n, "name");
		acl->line = config_alloc(b->c, tree_count(n, "line"), sizeof(*acl->line));
		for (const struct lyd_node *l = NULL; (l = tree_next(n, "line", l));)
			if (!acl_line(b, l, &acl->line[acl->n_line++]))
				return false;
		if (acl->n_line)
			qsort(acl->line, acl->n_line, sizeof(*acl->line), by_sequence);
	}
	return true;
}

bool build_network(struct build *b, const struct lyd_node *tree)
{
	return vrfs(b, tree) && interfaces(b, tree) && routes(b, tree) && access_lists(b, tree);
}
