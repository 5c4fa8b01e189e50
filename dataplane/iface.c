/* SPDX-License-Identifier: BSD-3-Clause */
#include "iface.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "announce.h"
#include "conn.h"
#include "cv_addr.h"
#include "fib.h"
#include "flow_change.h"
#include "host.h"
#include "host_route.h"
#include "neigh.h"
#include "port.h"
#include "track.h"
#include "tunnel.h"
#include "vrf.h"

#define MTU_MIN 68u
#define MTU_MAX 9216u

static struct iface_view no_interfaces;
const struct iface_view *iface_view_current = &no_interfaces;

/*
 * A transaction works on an array of interfaces: NULL = none, an object of the published view = unchanged so far, any
 * other = a private copy. A SYNC transaction starts from nothing; what turns out equal to the running object at prepare
 * is the running object again.
 */
static struct {
	bool open;
	bool ports_changed; /* a port or a tunnel came, went or changed: derive everything again at the next chance */
	struct dp_if *by_id[CV_IF_MAX];
	struct iface_view *view; /* built by prepare */
} staged;

static void staging_open(void)
{
	if (staged.open)
		return;
	for (uint32_t i = 0; i < CV_IF_MAX; i++)
		staged.by_id[i] = (struct dp_if *)(uintptr_t)iface_view_current->by_id[i];
	staged.open = true;
}

static bool is_private(uint32_t id)
{
	return staged.by_id[id] && staged.by_id[id] != iface_view_current->by_id[id];
}

const struct dp_if *iface_staged(uint32_t if_id)
{
	if (if_id >= CV_IF_MAX)
		return NULL;
	return staged.open ? staged.by_id[if_id] : iface_view_current->by_id[if_id];
}

/* A copy of the interface that may be written, made when there is none yet. NULL = out of memory. */
static struct dp_if *writable(uint32_t id)
{
	if (is_private(id))
		return staged.by_id[id];
	struct dp_if *copy = calloc(1, sizeof(*copy));

	if (copy && staged.by_id[id])
		memcpy(copy, staged.by_id[id], sizeof(*copy));
	if (copy)
		staged.by_id[id] = copy;
	return copy;
}

static void staged_remove(uint32_t id)
{
	if (is_private(id))
		free(staged.by_id[id]);
	staged.by_id[id] = NULL;
}

/* ---- staging ---- */

static int if_set(const struct cv_if *cmd, char *text)
{
	const char *wrong = cmd->if_id == 0 || cmd->if_id >= CV_IF_MAX				    ? "id"
			    : cmd->type < CV_IF_ETHERNET || cmd->type > CV_IF_TUNNEL		    ? "type"
			    : cmd->type == CV_IF_ETHERNET && cmd->port_id >= CV_PORT_MAX	    ? "port"
			    : cmd->type == CV_IF_VLAN && (cmd->vlan_id == 0 || cmd->vlan_id > 4094) ? "VLAN id"
			    : cmd->mtu < MTU_MIN || cmd->mtu > MTU_MAX				    ? "MTU"
			    : cmd->has_mac && (cmd->mac[0] & 1) ? "MAC address (it is a group address)"
								: NULL;

	if (wrong) {
		snprintf(text, 128, "interface %u: %s out of range", cmd->if_id, wrong);
		return CV_ERR_MALFORMED;
	}
	struct dp_if *ifp = writable(cmd->if_id);

	if (!ifp)
		return CV_ERR_NO_MEMORY;
	ifp->id = cmd->if_id;
	ifp->cfg = *cmd;
	return 0;
}

static int if_del(uint32_t if_id, char *text)
{
	if (!iface_staged(if_id)) {
		snprintf(text, 128, "there is no interface %u", if_id);
		return CV_ERR_NOT_FOUND;
	}
	staged_remove(if_id);
	return 0;
}

static int find_addr(const struct dp_if *ifp, const struct cv_if_addr *a)
{
	for (uint32_t i = 0; i < ifp->n_addr; i++)
		if (ifp->addr[i].plen == a->plen && cv_addr_eq(&ifp->addr[i].addr, &a->addr))
			return (int)i;
	return -1;
}

static bool addr_valid(const struct cv_if_addr *a)
{
	const uint8_t *b = a->addr.b;

	if (a->addr.af == CV_AF_INET)
		return a->plen <= 32 && b[0] != 0 && b[0] != 127 && b[0] < 224;
	return a->addr.af == CV_AF_INET6 && a->plen <= 128 && b[0] != 0xff && !cv_addr_is_zero(&a->addr);
}

static int addr_change(uint16_t type, const struct cv_if_addr *cmd, char *text)
{
	if (!iface_staged(cmd->if_id)) {
		snprintf(text, 128, "there is no interface %u", cmd->if_id);
		return CV_ERR_NOT_FOUND;
	}
	if (!addr_valid(cmd)) {
		snprintf(text, 128, "interface %u: not an address an interface can have", cmd->if_id);
		return CV_ERR_MALFORMED;
	}
	struct dp_if *ifp = writable(cmd->if_id);
	int i = ifp ? find_addr(ifp, cmd) : -1;

	if (!ifp)
		return CV_ERR_NO_MEMORY;
	if (type == CV_CMD_IF_ADDR_DEL) {
		if (i < 0)
			return CV_ERR_NOT_FOUND;
		ifp->n_addr--;
		memmove(&ifp->addr[i], &ifp->addr[i + 1], (ifp->n_addr - (uint32_t)i) * sizeof(ifp->addr[0]));
		memset(&ifp->addr[ifp->n_addr], 0, sizeof(ifp->addr[0]));
		return 0;
	}
	if (i >= 0)
		return 0;
	if (ifp->n_addr == IFACE_ADDR_MAX) {
		snprintf(text, 128, "interface %u has %u addresses already", cmd->if_id, IFACE_ADDR_MAX);
		return CV_ERR_NO_MEMORY;
	}
	ifp->addr[ifp->n_addr++] = *cmd;
	return 0;
}

static int iface_stage(uint16_t type, const void *body, char *text)
{
	uint32_t id;

	staging_open();
	switch (type) {
	case CV_CMD_IF_SET:
		return if_set(body, text);
	case CV_CMD_IF_DEL:
		memcpy(&id, body, sizeof(id));
		return if_del(id, text);
	default:
		return addr_change(type, body, text);
	}
}

static void iface_sync(void)
{
	staging_open();
	for (uint32_t i = 0; i < CV_IF_MAX; i++)
		staged_remove(i);
}

/* ---- prepare ---- */

static bool has_ipv6(const struct dp_if *ifp)
{
	for (uint32_t i = 0; i < ifp->n_addr; i++)
		if (ifp->addr[i].addr.af == CV_AF_INET6)
			return true;
	return false;
}

/* Modified EUI-64 of the MAC (RFC 4291 2.5.6 and appendix A). */
static void mac_identifier(const uint8_t m[6], uint8_t id[8])
{
	memcpy(id, (const uint8_t[8]){m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]}, 8);
}

/* Of its own end: the IPv4 source (RFC 4213 3.7). Of an IPv6 one both halves count, since the ends often differ in one
 * only; the second is turned so that equal halves do not cancel out. */
static void tunnel_identifier(const struct cv_addr *src, uint8_t id[8])
{
	if (src->af == CV_AF_INET) {
		memcpy(id + 4, src->b, 4);
		return;
	}
	for (unsigned i = 0; i < 8; i++)
		id[i] = src->b[i] ^ src->b[8 + (i + 3) % 8];
}

/* fe80::/64 with what identifies this end of the link; none without IPv6, or where there is nothing to be made of. */
static void make_link_local(struct dp_if *ifp)
{
	uint8_t id[8] = {0};
	const bool tunnel = ifp->type == CV_IF_TUNNEL && !cv_addr_is_zero(&ifp->tunnel.src);

	memset(ifp->link_local, 0, sizeof(ifp->link_local));
	if (!has_ipv6(ifp) || !(tunnel || iface_has_port(ifp)))
		return;
	if (tunnel)
		tunnel_identifier(&ifp->tunnel.src, id);
	else
		mac_identifier(ifp->mac, id);
	ifp->link_local[0] = 0xfe;
	ifp->link_local[1] = 0x80;
	memcpy(ifp->link_local + 8, id, sizeof(id));
}

static bool has_list(const struct dp_if *ifp)
{
	return ifp->acl_in[0] || ifp->acl_in[1] || ifp->acl_out[0] || ifp->acl_out[1];
}

static uint32_t first_ipv4(const struct dp_if *ifp)
{
	uint32_t a = 0;

	for (uint32_t i = 0; i < ifp->n_addr && !a; i++)
		if (ifp->addr[i].addr.af == CV_AF_INET)
			memcpy(&a, ifp->addr[i].addr.b, sizeof(a));
	return a;
}

/* What follows from the configuration of the interface (and of its parent) and from its port. */
static void derive(struct dp_if *ifp)
{
	const struct cv_if *cfg = &ifp->cfg;
	const struct cv_if *eth = cfg->type == CV_IF_VLAN ? &staged.by_id[cfg->parent_id]->cfg : cfg;

	ifp->vrf_id = cfg->vrf_id;
	ifp->type = (uint8_t)cfg->type;
	const struct port *port = iface_has_port(ifp) ? port_worker_view(eth->port_id) : NULL;

	ifp->mtu = cfg->mtu;
	ifp->mtu4 = cfg->mtu4;
	ifp->mtu6 = cfg->mtu6;
	ifp->mss4 = cfg->mss4;
	ifp->mss6 = cfg->mss6;
	ifp->tunnel = cfg->tunnel;
	ifp->host = cfg->host.enabled;
	ifp->urpf4 = cfg->urpf4;
	ifp->urpf6 = cfg->urpf6;
	memcpy(ifp->acl_in, cfg->acl_in, sizeof(ifp->acl_in));
	memcpy(ifp->acl_out, cfg->acl_out, sizeof(ifp->acl_out));
	ifp->inspect = cfg->inspect;
	ifp->nat = cfg->nat;
	ifp->addr4 = first_ipv4(ifp);
	ifp->stages_only = has_list(ifp) || ifp->inspect || ifp->nat;
	ifp->vlan_id = cfg->type == CV_IF_VLAN ? cfg->vlan_id : 0;
	ifp->port_id = iface_has_port(ifp) ? eth->port_id : 0;
	memset(ifp->mac, 0, sizeof(ifp->mac));
	if (cfg->has_mac)
		memcpy(ifp->mac, cfg->mac, 6);
	else if (eth->has_mac)
		memcpy(ifp->mac, eth->mac, 6);
	else if (port)
		memcpy(ifp->mac, port->mac, 6);
	ifp->up = cfg->admin_up && eth->admin_up && (port || !iface_has_port(ifp));
	ifp->link = ifp->up && (port ? port->up : cfg->type != CV_IF_TUNNEL || tunnel_line(ifp));
	make_link_local(ifp);
}

static int check_one(uint32_t id, char *text)
{
	const struct cv_if *cfg = &staged.by_id[id]->cfg;
	const struct dp_if *parent = cfg->type == CV_IF_VLAN ? iface_staged(cfg->parent_id) : NULL;

	if (!vrf_exists(cfg->vrf_id)) {
		snprintf(text, 128, "interface %u is in VRF %u, which does not exist", id, cfg->vrf_id);
		return CV_ERR_NOT_FOUND;
	}
	if (cfg->type == CV_IF_TUNNEL && !vrf_exists(cfg->tunnel.front_vrf)) {
		snprintf(text, 128, "interface %u: VRF %u of its outer packets does not exist", id,
			cfg->tunnel.front_vrf);
		return CV_ERR_NOT_FOUND;
	}
	if (cfg->type == CV_IF_VLAN && (!parent || parent->cfg.type != CV_IF_ETHERNET)) {
		snprintf(text, 128, "interface %u: parent %u is not an Ethernet interface", id, cfg->parent_id);
		return CV_ERR_NOT_FOUND;
	}
	const uint16_t list[] = {cfg->acl_in[0], cfg->acl_in[1], cfg->acl_out[0], cfg->acl_out[1]};

	for (unsigned k = 0; k < 4; k++)
		if (list[k] && !acl_prepared(list[k])) {
			snprintf(text, 128, "interface %u: there is no access list %u", id, list[k]);
			return CV_ERR_NOT_FOUND;
		}
	return 0;
}

static int derive_all(char *text)
{
	for (uint32_t i = 1; i < CV_IF_MAX; i++) {
		int rc = staged.by_id[i] ? check_one(i, text) : 0;

		if (rc)
			return rc;
	}
	for (uint32_t i = 1; i < CV_IF_MAX; i++) {
		const struct dp_if *old = iface_view_current->by_id[i];

		if (!staged.by_id[i])
			continue;
		struct dp_if *ifp = writable(i);

		if (!ifp)
			return CV_ERR_NO_MEMORY;
		derive(ifp);
		if (old && memcmp(old, ifp, sizeof(*ifp)) == 0) {
			free(ifp);
			staged.by_id[i] = (struct dp_if *)(uintptr_t)old;
		}
	}
	return 0;
}

typedef int (*prefix_fn)(uint32_t vrf_id, const struct cv_prefix *p, uint32_t word);

/* Every prefix that an interface puts into its VRF: own addresses while it is up, subnets while it has link. */
static int each_prefix(const struct dp_if *ifp, prefix_fn fn)
{
	int rc = 0;

	for (uint32_t i = 0; ifp && ifp->up && i < ifp->n_addr && !rc; i++) {
		const struct cv_if_addr *a = &ifp->addr[i];
		unsigned bits = cv_addr_bits(&a->addr);
		struct cv_prefix host = {.addr = a->addr, .len = (uint8_t)bits};
		struct cv_prefix subnet = {.addr = a->addr, .len = a->plen};
		struct cv_range range;

		if (a->addr.af == CV_AF_INET6 && a->addr.b[0] == 0xfe && (a->addr.b[1] & 0xc0) == 0x80)
			continue; /* link-local addresses belong to the link, not to the VRF */
		rc = fn(ifp->vrf_id, &host, FIB_WORD(FIB_LOCAL, ifp->id));
		if (rc || !ifp->link || ifp->type == CV_IF_LOOPBACK || a->plen == bits)
			continue;
		cv_prefix_mask(&subnet);
		rc = fn(ifp->vrf_id, &subnet, FIB_WORD(iface_has_port(ifp) ? FIB_GLEAN : FIB_TUNNEL, ifp->id));
		if (rc || a->addr.af == CV_AF_INET6 || a->plen > 30 || !iface_has_port(ifp))
			continue;
		cv_prefix_to_range(&subnet, &range);
		host.addr = range.hi;
		rc = fn(ifp->vrf_id, &host, FIB_WORD(FIB_BROADCAST, ifp->id));
	}
	return rc;
}

static int routes_update(void)
{
	int rc = 0;

	for (uint32_t i = 1; i < CV_IF_MAX && !rc; i++) {
		const struct dp_if *old = iface_view_current->by_id[i], *new = staged.by_id[i];

		if (old == new)
			continue;
		fib_if_changed(i);
		rc = each_prefix(old, fib_if_prefix_del);
		if (!rc)
			rc = each_prefix(new, fib_if_prefix_add);
	}
	return rc;
}

static void view_free(void *arg)
{
	struct iface_view *v = arg;

	for (uint32_t p = 0; p < CV_PORT_MAX; p++)
		free((void *)(uintptr_t)v->port[p]);
	free(v);
}

static int view_add(struct iface_view *v, const struct dp_if *ifp, char *text)
{
	struct iface_port_map *map = (struct iface_port_map *)(uintptr_t)v->port[ifp->port_id];

	v->by_id[ifp->id] = ifp;
	v->clamps |= ifp->mss4 || ifp->mss6;
	v->filters |= has_list(ifp);
	v->tracks |= ifp->inspect || ifp->nat;
	if (ifp->type == CV_IF_TUNNEL)
		tunnel_enlist(v, ifp);
	if (!iface_has_port(ifp))
		return 0;
	if (!map)
		v->port[ifp->port_id] = map = calloc(1, sizeof(*map));
	if (!map)
		return CV_ERR_NO_MEMORY;
	uint16_t *slot = ifp->vlan_id ? &map->vlan[ifp->vlan_id] : &map->untagged;

	if (*slot) {
		snprintf(text, 128, "interfaces %u and %u take the same frames (port %u, VLAN %u)", *slot, ifp->id,
			ifp->port_id, ifp->vlan_id);
		return CV_ERR_EXISTS;
	}
	*slot = (uint16_t)ifp->id;
	return 0;
}

static int view_build(char *text)
{
	staged.view = calloc(1, sizeof(*staged.view));
	if (!staged.view)
		return CV_ERR_NO_MEMORY;
	for (uint32_t i = 1; i < CV_IF_MAX; i++) {
		int rc = staged.by_id[i] ? view_add(staged.view, staged.by_id[i], text) : 0;

		if (rc)
			return rc;
	}
	return staged.view->tracks ? conn_open() : 0;
}

static int host_devices_make(char *text)
{
	int rc = 0;

	for (uint32_t i = 1; i < CV_IF_MAX && !rc; i++)
		if (is_private(i))
			rc = host_prepare(staged.by_id[i], text);
	return rc;
}

static int iface_prepare(char *text)
{
	if (!staged.open && (vrf_changing() || acl_changing()))
		staging_open();
	if (!staged.open)
		return 0;
	int rc = derive_all(text);

	if (!rc)
		rc = host_devices_make(text);
	if (!rc)
		host_routes_prepare();
	if (!rc)
		rc = view_build(text);
	if (!rc)
		rc = routes_update();
	return rc;
}

static void tell_link(const struct dp_if *ifp)
{
	struct cv_msg msg = {.h = {.type = CV_EVT_LINK, .len = sizeof(msg.h) + sizeof(struct cv_evt_link)}};
	struct cv_evt_link *e = (struct cv_evt_link *)msg.body;

	e->if_id = ifp->id;
	e->up = ifp->link;
	dp_event(&msg);
}

static void iface_publish(void)
{
	const struct iface_view *old = iface_view_current;

	if (!staged.open)
		return;
	__atomic_store_n(&iface_view_current, staged.view, __ATOMIC_RELEASE);
	for (uint32_t i = 1; i < CV_IF_MAX; i++) {
		const struct dp_if *was = old->by_id[i], *is = staged.view->by_id[i];

		if (was == is)
			continue;
		neigh_if_changed(was, is);
		if (is && was && is->link != was->link)
			tell_link(is);
		if (is && is->up && iface_has_port(is))
			port_want_mtu(is->port_id, is->mtu);
		if (is)
			announce_addresses(was, is);
		if (was)
			dp_defer(free, (void *)(uintptr_t)was);
	}
	flow_change_all();
	track_changed();
	host_publish();
	if (old != &no_interfaces)
		dp_defer(view_free, (void *)(uintptr_t)old);
	staged.view = NULL;
	staged.open = false;
}

static void iface_abort(void)
{
	if (!staged.open)
		return;
	host_abort();
	for (uint32_t i = 0; i < CV_IF_MAX; i++)
		staged_remove(i);
	if (staged.view)
		view_free(staged.view);
	staged.view = NULL;
	staged.open = false;
}

const struct dp_module iface_module = {
	.name = "iface",
	.stage = iface_stage,
	.sync = iface_sync,
	.prepare = iface_prepare,
	.publish = iface_publish,
	.abort = iface_abort,
};

/* ---- ports ---- */

void iface_port_changed(uint32_t port_id)
{
	(void)port_id;
	staged.ports_changed = true;
}

void iface_tunnel_changed(void)
{
	staged.ports_changed = true;
}

bool iface_txn_in_progress(void)
{
	return staged.open;
}

/* What a port change means for interfaces and routes is applied as a transaction of its own, not inside another. */
void iface_refresh(void)
{
	char text[128] = "";

	staged.ports_changed |= tunnel_lines_changed();
	if (!staged.ports_changed || staged.open || vrf_changing() || fib_txn_in_progress())
		return;
	staging_open();
	if (iface_prepare(text) == 0 && fib_module.prepare(text) == 0) {
		iface_publish();
		fib_module.publish();
		staged.ports_changed = false;
		return;
	}
	iface_abort();
	fib_module.abort();
}

/* ---- questions ---- */

bool iface_owns(const struct dp_if *ifp, const struct cv_addr *a)
{
	static const uint8_t none[16];

	if (a->af == CV_AF_INET6 && memcmp(a->b, none, 16) != 0 && memcmp(a->b, ifp->link_local, 16) == 0)
		return true;
	for (uint32_t i = 0; i < ifp->n_addr; i++)
		if (cv_addr_eq(&ifp->addr[i].addr, a))
			return true;
	return false;
}

static bool on_subnet(const struct cv_if_addr *mine, const struct cv_addr *a)
{
	struct cv_prefix p = {.addr = mine->addr, .len = mine->plen};

	cv_prefix_mask(&p);
	return cv_prefix_contains(&p, a);
}

bool iface_source(const struct dp_if *ifp, uint8_t af, const struct cv_addr *towards, struct cv_addr *out)
{
	const struct cv_if_addr *first = NULL;

	for (uint32_t i = 0; i < ifp->n_addr; i++) {
		const struct cv_if_addr *a = &ifp->addr[i];

		if (a->addr.af != af)
			continue;
		if (!first)
			first = a;
		if (towards && on_subnet(a, towards)) {
			*out = a->addr;
			return true;
		}
	}
	if (first)
		*out = first->addr;
	else if (af == CV_AF_INET6 && ifp->link_local[0]) {
		*out = (struct cv_addr){.af = CV_AF_INET6};
		memcpy(out->b, ifp->link_local, 16);
	} else
		return false;
	return true;
}

void iface_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out)
{
	const unsigned room = sizeof(out->entries) / sizeof(struct cv_if_entry);

	out->n = 0;
	out->next = 0;
	out->entry_size = sizeof(struct cv_if_entry);
	for (uint64_t i = req->cursor ? req->cursor : 1; i < CV_IF_MAX; i++) {
		const struct dp_if *ifp = iface_get((uint32_t)i);
		const struct port *port = ifp && iface_has_port(ifp) ? port_worker_view(ifp->port_id) : NULL;
		struct cv_if_entry e = {0};

		if (!ifp)
			continue;
		if (out->n == room) {
			out->next = i;
			return;
		}
		e.if_id = ifp->id;
		e.mtu = ifp->mtu;
		e.transport_mtu = ifp->type == CV_IF_TUNNEL ? tunnel_transport_mtu(ifp) : 0;
		e.link_up = ifp->link;
		e.admin_up = ifp->cfg.admin_up;
		memcpy(e.mac, ifp->mac, 6);
		e.speed_mbps = port ? port->speed_mbps : 0;
		snprintf(e.driver, sizeof(e.driver), "%s",
			port			      ? port->driver
			: ifp->type == CV_IF_LOOPBACK ? "loopback"
			: ifp->type == CV_IF_TUNNEL   ? "tunnel"
						      : "");
		memcpy(out->entries + out->n++ * sizeof(e), &e, sizeof(e));
	}
}
