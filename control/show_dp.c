/* SPDX-License-Identifier: BSD-3-Clause */
/* show: version, dataplane, interfaces, neighbours, routes, drops. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "if_rates.h"
#include "show_priv.h"
#include "virtual_access.h"

/* ---- version, dataplane ---- */

static const char *sync_text(const struct control *c)
{
	static const char *const name[] = {[SYNC_NONE] = "not pushed",
		[SYNC_BUSY] = "being pushed",
		[SYNC_DONE] = "in force",
		[SYNC_FAILED] = "refused"};

	return name[c->sync];
}

static json_t *dataplane_object(const struct control *c)
{
	const struct cv_stats_segment *seg = dpclient_stats(c->dp);
	json_t *o = json_object();
	char instance[32];

	set_str(o, "state", dpclient_is_up(c->dp) ? "up" : "down");
	set_str(o, "configuration", sync_text(c));
	set_str(o, "push_error", c->push_error);
	if (!dpclient_is_up(c->dp))
		return o;
	set_str(o, "version", c->info.version);
	set_str(o, "provider", c->info.provider);
	set_int(o, "max_workers", c->info.max_workers);
	snprintf(instance, sizeof(instance), "%016llx", (unsigned long long)c->info.instance);
	set_str(o, "instance", instance);
	if (seg) {
		set_int(o, "uptime", seg->heartbeat);
		set_int(o, "workers", seg->n_workers);
	}
	return o;
}

void show_version(struct show *s)
{
	struct control *c = s->c;

	set_str(s->out, "version", CULVERT_VERSION);
	set_str(s->out, "hostname", c->running ? c->running->hostname : NULL);
	set_int(s->out, "uptime", (host_now_ms(c) - c->started_ms) / 1000);
	json_object_set_new(s->out, "dataplane", dataplane_object(c));
	show_answer(s);
}

void show_dataplane(struct show *s)
{
	json_decref(s->out);
	s->out = dataplane_object(s->c);
	set_int(s->out, "objects", s->c->desired ? s->c->desired->n_obj : 0);
	set_int(s->out, "ipsec_sa_pairs", child_count(s->c->children));
	show_answer(s);
}

void show_engine(struct show *s)
{
	json_t *list = set_array(s->out, "engines"), *o, *algs;

	if (!dpclient_is_up(s->c->dp)) {
		set_str(s->out, "dataplane", "down");
		show_answer(s);
		return;
	}
	o = json_object();
	set_str(o, "name", s->c->info.provider);
	set_str(o, "type", "software");
	set_str(o, "state", "active");
	algs = set_array(o, "algorithms");
	for (int a = 1; a < CV_ENCR_MAX; a++)
		if (s->c->info.encr_caps & (1ull << a))
			json_array_append_new(algs, json_string(algo_encr_get((enum cv_encr)a)->name));
	for (int a = 1; a < CV_INTEG_MAX; a++)
		if (s->c->info.integ_caps & (1ull << a))
			json_array_append_new(algs, json_string(algo_integ_get((enum cv_integ)a)->name));
	json_array_append_new(list, o);
	show_answer(s);
}

/* ---- interfaces ---- */

static void hops_array(json_t *list, const struct cfg_tunnel *t)
{
	for (unsigned i = 0; i < t->n_hop; i++) {
		json_t *o = json_object();

		set_addr(o, "address", &t->hop[i].next_hop);
		set_addr(o, "nbma_address", &t->hop[i].nbma);
		set_flag(o, "multicast", t->hop[i].multicast);
		json_array_append_new(list, o);
	}
}

static json_t *tunnel_object(const struct cfg_tunnel *t)
{
	static const char *const mode[] = {[CFG_TUNNEL_IPSEC_IPV4] = "IPsec/IP",
		[CFG_TUNNEL_IPSEC_IPV6] = "IPsec/IPv6",
		[CFG_TUNNEL_GRE_IPV4] = "GRE/IP",
		[CFG_TUNNEL_GRE_IPV6] = "GRE/IPv6",
		[CFG_TUNNEL_MGRE_IPV4] = "multi-GRE/IP",
		[CFG_TUNNEL_MGRE_IPV6] = "multi-GRE/IPv6",
		[CFG_TUNNEL_IPIP] = "IP/IP",
		[CFG_TUNNEL_IPV6IP] = "IPv6/IP"};
	json_t *o = json_object();

	set_str(o, "protocol", mode[t->mode]);
	if (t->source.af) /* not of a template */
		set_addr(o, "source", &t->source);
	set_str(o, "source_interface", t->source_if);
	if (t->destination.af)
		set_addr(o, "destination", &t->destination);
	set_flag(o, "responder_only", t->no_initiate);
	set_str(o, "vrf", t->vrf);
	set_str(o, "profile", t->profile);
	if (config_is_multipoint(t))
		hops_array(set_array(o, "next_hops"), t);
	if (t->mode == CFG_TUNNEL_IPSEC_IPV4 || t->mode == CFG_TUNNEL_IPSEC_IPV6)
		return o;
	if (t->ttl)
		set_int(o, "ttl", t->ttl);
	else
		set_str(o, "ttl", "inherit");
	if (t->has_dscp)
		set_dscp_value(o, "dscp", t->dscp);
	else
		set_str(o, "dscp", "inherit");
	if (t->has_key)
		set_int(o, "key", t->key);
	if (t->keepalive_s) {
		set_int(o, "keepalive", t->keepalive_s);
		set_int(o, "keepalive_retries", t->keepalive_retries);
	}
	set_flag(o, "checksum", t->checksum);
	set_flag(o, "sequence", t->sequence);
	return o;
}

static void set_urpf(json_t *o, const char *key, const struct cfg_urpf *u)
{
	json_t *r;

	if (!u->mode)
		return;
	json_object_set_new(o, key, r = json_object());
	set_str(r, "reachable_via", u->mode == CFG_URPF_STRICT ? "rx" : "any");
	set_flag(r, "allow_default", u->allow_default);
}

static void if_config(const struct cfg_interface *i, json_t *o)
{
	static const char *const type[] = {[CFG_IF_ETHERNET] = "ethernet",
		[CFG_IF_VLAN] = "vlan",
		[CFG_IF_LOOPBACK] = "loopback",
		[CFG_IF_TUNNEL] = "tunnel",
		[CFG_IF_TEMPLATE] = "virtual-template"};
	static const char *const nat[] = {NULL, "inside", "outside"};
	static const char *const inspect[] = {NULL, "in", "out", "both"};
	json_t *addresses;

	set_str(o, "name", i->name);
	set_str(o, "type", type[i->type]);
	set_str(o, "description", i->description);
	set_str(o, "admin", i->enabled ? "up" : "down");
	set_str(o, "device", i->device);
	set_int(o, "mtu", i->mtu ? i->mtu : 1500);
	const struct {
		const char *key;
		uint16_t value;
	} family[] = {
		{"mtu_ipv4", i->mtu4}, {"mtu_ipv6", i->mtu6}, {"tcp_mss_ipv4", i->mss4}, {"tcp_mss_ipv6", i->mss6}};
	for (unsigned k = 0; k < 4; k++)
		if (family[k].value == CV_MSS_AUTO && k > 1)
			set_str(o, family[k].key, "auto");
		else if (family[k].value)
			set_int(o, family[k].key, family[k].value);
	set_str(o, "parent", i->parent);
	if (i->type == CFG_IF_VLAN)
		set_int(o, "vlan_id", i->vlan_id);
	set_str(o, "vrf", i->vrf);
	if (i->tunnel)
		json_object_set_new(o, "tunnel", tunnel_object(i->tunnel));
	else
		set_str(o, "crypto_map", i->crypto_map);
	set_str(o, "access_list_ipv4_in", i->acl4.in);
	set_str(o, "access_list_ipv4_out", i->acl4.out);
	set_str(o, "access_list_ipv6_in", i->acl6.in);
	set_str(o, "access_list_ipv6_out", i->acl6.out);
	set_str(o, "nat", nat[i->nat]);
	set_str(o, "inspect", inspect[i->inspect & (CFG_INSPECT_IN | CFG_INSPECT_OUT)]);
	set_urpf(o, "reverse_path_ipv4", &i->urpf4);
	set_urpf(o, "reverse_path_ipv6", &i->urpf6);
	if (config_has_host_device(i)) {
		set_str(o, "host_device", config_host_device(i));
		set_str(o, "host_namespace", i->vrf_ref ? i->vrf_ref->host_namespace : NULL);
	}
	addresses = set_array(o, "addresses");
	for (unsigned j = 0; j < i->n_addr; j++) {
		char addr[CV_ADDR_STR], text[CV_ADDR_STR + 8];

		snprintf(text, sizeof(text), "%s/%u", cv_addr_str(&i->addr[j].addr, addr), i->addr[j].plen);
		json_array_append_new(addresses, json_string(text));
	}
}

static void if_counters(struct control *c, const struct cfg_interface *i, json_t *o)
{
	const struct cv_stats_segment *seg = dpclient_stats(c->dp);
	const struct stats_base *base = show_base(c);
	const struct cv_if_counters *b = base ? &base->ifc[i->id % CV_IF_MAX] : NULL;
	struct cv_if_counters n;

	if (!seg)
		return;
	sum_if_counters(seg, i->id, &n);
#define COUNTER(field) set_int(o, #field, n.field - (b ? b->field : 0))
	COUNTER(rx_packets);
	COUNTER(rx_bytes);
	COUNTER(rx_errors);
	COUNTER(rx_drops);
	COUNTER(tx_packets);
	COUNTER(tx_bytes);
	COUNTER(tx_errors);
	COUNTER(tx_drops);
#undef COUNTER
	if (base && base->cleared_ms[i->id % CV_IF_MAX])
		set_int(o, "cleared_s", (host_now_ms(c) - base->cleared_ms[i->id % CV_IF_MAX]) / 1000);
	if_rates_show(c, i, o);
	show_output_queue(c, i, o);
}

static void on_if(void *arg, const void *entry, size_t size)
{
	const struct cv_if_entry *e = entry;
	struct show *s = arg;
	const struct cfg_interface *i = size >= sizeof(*e) ? if_by_id(s->c, e->if_id) : NULL;
	char mac[18], driver[sizeof(e->driver) + 1];
	json_t *o;
	size_t n;

	json_array_foreach (s->list, n, o) {
		if (!i || strcmp(i->name, json_string_value(json_object_get(o, "name"))))
			continue;
		set_str(o, "link", e->link_up ? "up" : "down");
		set_int(o, "mtu", e->mtu);
		if (e->transport_mtu)
			set_int(o, "transport_mtu", e->transport_mtu);
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", e->mac[0], e->mac[1], e->mac[2], e->mac[3],
			e->mac[4], e->mac[5]);
		if (i->type == CFG_IF_ETHERNET || i->type == CFG_IF_VLAN) {
			set_str(o, "mac", mac);
			set_int(o, "speed_mbps", e->speed_mbps);
		}
		snprintf(driver, sizeof(driver), "%.*s", (int)sizeof(e->driver), e->driver);
		set_str(o, "driver", driver);
	}
}

json_t *interface_entry(struct control *c, const struct cfg_interface *i)
{
	json_t *o = json_object();

	if_config(i, o);
	if (i->id) /* not of a template */
		if_counters(c, i, o);
	return o;
}

struct with_clones {
	struct show *s;
	const struct cfg_interface *only;
};

static void add_clone(void *arg, const struct virtual_access_info *i)
{
	struct with_clones *x = arg;
	json_t *o;

	if (x->only && x->only != i->interface)
		return;
	o = interface_entry(x->s->c, i->interface);
	set_str(o, "template", i->template);
	json_array_append_new(x->s->list, o);
}

void show_interfaces(struct show *s)
{
	const struct cv_config *cfg = s->c->running;
	const struct cfg_interface *only;

	if (arg_interface(s, &only))
		return;
	s->list = set_array(s->out, "interfaces");
	for (unsigned i = 0; cfg && i < cfg->n_interface; i++)
		if (only ? only == &cfg->interface[i] : cfg->interface[i].type != CFG_IF_TEMPLATE)
			json_array_append_new(s->list, interface_entry(s->c, &cfg->interface[i]));
	struct with_clones x = {.s = s, .only = only};

	virtual_access_each(s->c->virtual_access, add_clone, &x);
	show_dump(s, CV_DUMP_IF, 0, on_if);
}

/* ---- neighbours ---- */

static void on_neighbour(void *arg, const void *entry, size_t size, uint8_t af)
{
	static const char *const state[] = {[CV_NEIGH_INCOMPLETE] = "incomplete",
		[CV_NEIGH_REACHABLE] = "reachable",
		[CV_NEIGH_STALE] = "stale",
		[CV_NEIGH_PROBE] = "probe"};
	const struct cv_neigh_entry *e = entry;
	const struct cfg_interface *i;
	struct show *s = arg;
	char mac[18];
	json_t *o;

	if (size < sizeof(*e) || e->addr.af != af)
		return;
	o = json_object();
	set_addr(o, "address", &e->addr);
	i = if_by_id(s->c, e->if_id);
	set_str(o, "interface", i ? i->name : NULL);
	set_str(o, "vrf", i ? i->vrf : NULL);
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", e->mac[0], e->mac[1], e->mac[2], e->mac[3],
		e->mac[4], e->mac[5]);
	if (e->state != CV_NEIGH_INCOMPLETE)
		set_str(o, "mac", mac);
	set_str(o, "state", e->state <= CV_NEIGH_PROBE ? state[e->state] : NULL);
	set_int(o, "age", e->age_s);
	json_array_append_new(s->list, o);
}

static void on_arp(void *arg, const void *entry, size_t size)
{
	on_neighbour(arg, entry, size, CV_AF_INET);
}

static void on_nd(void *arg, const void *entry, size_t size)
{
	on_neighbour(arg, entry, size, CV_AF_INET6);
}

void show_arp(struct show *s)
{
	s->list = set_array(s->out, "neighbours");
	show_dump(s, CV_DUMP_NEIGH, 0, on_arp);
}

void show_nd(struct show *s)
{
	s->list = set_array(s->out, "neighbours");
	show_dump(s, CV_DUMP_NEIGH, 0, on_nd);
}

/* ---- routes ---- */

#define ORIGIN_STATIC 1
#define ORIGIN_CONNECTED 254 /* the dataplane's own, made from interface addresses */
#define ORIGIN_LOCAL 255

static const char *origin_text(uint8_t origin)
{
	switch (origin) {
	case ORIGIN_STATIC:
		return "static";
	case CV_ORIGIN_KERNEL:
		return "kernel";
	case CV_ORIGIN_OSPF:
		return "ospf";
	case CV_ORIGIN_BGP:
		return "bgp";
	case CV_ORIGIN_RIP:
		return "rip";
	case CV_ORIGIN_ISIS:
		return "isis";
	case ORIGIN_CONNECTED:
		return "connected";
	case ORIGIN_LOCAL:
		return "local";
	default:
		return NULL;
	}
}

static json_t *nexthop_object(const struct control *c, const struct cv_nexthop *nh, uint32_t route_vrf)
{
	const struct cfg_interface *i = if_by_id(c, nh->if_id);
	json_t *o = json_object();

	set_flag(o, "blackhole", nh->type == CV_NH_BLACKHOLE);
	if (nh->type == CV_NH_GATEWAY)
		set_addr(o, "address", &nh->gw);
	set_str(o, "interface", i ? i->name : NULL);
	set_flag(o, "global", route_vrf != CV_VRF_GLOBAL && nh->vrf_id == CV_VRF_GLOBAL && nh->type == CV_NH_GATEWAY);
	if (route_vrf != nh->vrf_id && nh->vrf_id != CV_VRF_GLOBAL && nh->type == CV_NH_GATEWAY)
		set_str(o, "gateway_vrf", host_vrf_name(c, nh->vrf_id));
	set_int(o, "weight", nh->weight);
	return o;
}

static void on_route(void *arg, const void *entry, size_t size, uint8_t af)
{
	struct show *s = arg;
	struct cv_fib_entry e;
	char text[CV_PREFIX_STR];
	json_t *o, *nhs;

	if (size < sizeof(e))
		return;
	memcpy(&e, entry, sizeof(e)); /* alignment */
	if (e.route.prefix.addr.af != af)
		return;
	o = json_object();
	set_str(o, "prefix", cv_prefix_str(&e.route.prefix, text));
	set_str(o, "source", origin_text(e.route.origin));
	set_int(o, "distance", e.route.distance);
	set_int(o, "tag", e.route.tag);
	nhs = set_array(o, "next_hops");
	for (unsigned i = 0; i < e.route.n_nh && i < CV_NH_MAX; i++)
		json_array_append_new(nhs, nexthop_object(s->c, &e.route.nh[i], e.route.vrf_id));
	json_array_append_new(s->list, o);
}

static void on_route4(void *arg, const void *entry, size_t size)
{
	on_route(arg, entry, size, CV_AF_INET);
}

static void on_route6(void *arg, const void *entry, size_t size)
{
	on_route(arg, entry, size, CV_AF_INET6);
}

struct sorted {
	struct cv_prefix prefix;
	json_t *route;
};

static int sorted_cmp(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;
	int r = cv_addr_cmp(&x->prefix.addr, &y->prefix.addr);

	return r ? r : x->prefix.len - y->prefix.len;
}

static void sort_routes(struct show *s)
{
	size_t n = json_array_size(s->list);
	struct sorted *order = calloc(n + 1, sizeof(*order));

	if (!order)
		abort();
	for (size_t i = 0; i < n; i++) {
		order[i].route = json_incref(json_array_get(s->list, i));
		cv_prefix_parse(json_string_value(json_object_get(order[i].route, "prefix")), &order[i].prefix);
	}
	qsort(order, n, sizeof(*order), sorted_cmp);
	json_array_clear(s->list);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(s->list, order[i].route);
	free(order);
}

static void show_routes(struct show *s, void (*each)(void *arg, const void *entry, size_t size))
{
	int vrf;

	if (arg_vrf(s, "vrf", &vrf))
		return;
	set_str(s->out, "vrf", arg_str(s, "vrf"));
	s->list = set_array(s->out, "routes");
	s->finish = sort_routes;
	show_dump(s, CV_DUMP_FIB, vrf < 0 ? CV_VRF_GLOBAL : (uint32_t)vrf, each);
}

void show_ip_route(struct show *s)
{
	show_routes(s, on_route4);
}

void show_ipv6_route(struct show *s)
{
	show_routes(s, on_route6);
}

/* ---- drops ---- */

void show_drops(struct show *s)
{
	const struct cv_stats_segment *seg = dpclient_stats(s->c->dp);
	const struct stats_base *base = show_base(s->c);
	bool all = arg_flag(s, "all");
	uint64_t sum[CV_DROP_MAX];
	json_t *list = set_array(s->out, "drops");

	if (!seg) {
		set_str(s->out, "dataplane", "down");
		show_answer(s);
		return;
	}
	sum_drops(seg, sum);
	for (unsigned d = 0; d < seg->n_drops && d < CV_DROP_MAX; d++) {
		uint64_t n = sum[d] - (base ? base->drops[d] : 0);
		json_t *o, *per;

		if ((!n && !all) || !seg->drop_name[d][0])
			continue;
		o = json_object();
		set_str(o, "reason", seg->drop_name[d]);
		set_str(o, "text", seg->drop_text[d]);
		set_int(o, "packets", n);
		per = set_array(o, "per_worker");
		for (unsigned w = 0; w < CV_WRITERS && w <= seg->n_workers; w++)
			json_array_append_new(per, json_integer((json_int_t)seg->writer[w].drops[d]));
		json_array_append_new(list, o);
	}
	show_answer(s);
}

/* ---- events ---- */

void show_counters(struct show *s)
{
	const struct cv_stats_segment *seg = dpclient_stats(s->c->dp);
	const struct stats_base *base = show_base(s->c);
	bool all = arg_flag(s, "all");
	uint64_t sum[CV_EVENT_MAX];
	json_t *list = set_array(s->out, "counters");

	if (!seg) {
		set_str(s->out, "dataplane", "down");
		show_answer(s);
		return;
	}
	sum_events(seg, sum);
	for (unsigned e = 0; e < seg->n_events && e < CV_EVENT_MAX; e++) {
		uint64_t n = sum[e] - (base ? base->events[e] : 0);
		json_t *o;

		if (!n && !all)
			continue;
		o = json_object();
		set_str(o, "counter", seg->event_name[e]);
		set_str(o, "text", seg->event_text[e]);
		set_int(o, "count", n);
		json_array_append_new(list, o);
	}
	show_answer(s);
}
