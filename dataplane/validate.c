/* SPDX-License-Identifier: BSD-3-Clause */
#include "validate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "algo.h"
#include "cv_addr.h"
#include "replay.h"

#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_AH 51
#define IF_MTU_MIN 68u /* RFC 791 */
#define IPV6_MTU_MIN 1280u
#define IF_MTU_MAX 9216u
#define RULE_ID_MAX ((1u << 24) - 1)
#define SPI_MIN 256u /* RFC 4303 2.1: 1..255 are reserved */

/* Write the reason and fail: for use as `return bad(text, ...)`. */
static enum cv_err __attribute__((format(printf, 2, 3))) bad(char *text, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, VALIDATE_TEXT, fmt, ap);
	va_end(ap);
	return CV_ERR_MALFORMED;
}

/* A terminated, not empty name of printable characters without space, quote or slash. */
static bool name_ok(const char *s, size_t size)
{
	size_t n = strnlen(s, size);
	if (n == 0 || n == size)
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\'')
			return false;
	return true;
}

static unsigned addr_bits(const struct cv_addr *a)
{
	return a->af == CV_AF_INET ? 32u : a->af == CV_AF_INET6 ? 128u : 0u;
}

/* A known family, and nothing behind an IPv4 address: tables compare all 16 bytes. */
static bool addr_ok(const struct cv_addr *a)
{
	static const uint8_t zero[12];
	return a->af == CV_AF_INET6 || (a->af == CV_AF_INET && memcmp(a->b + 4, zero, sizeof(zero)) == 0);
}

static bool prefix_ok(const struct cv_prefix *p)
{
	if (!addr_ok(&p->addr) || p->len > addr_bits(&p->addr))
		return false;
	for (unsigned bit = p->len; bit < addr_bits(&p->addr); bit++)
		if ((p->addr.b[bit / 8] & (0x80u >> (bit % 8))) != 0)
			return false;
	return true;
}

static bool range_ok(const struct cv_range *r)
{
	return addr_ok(&r->lo) && addr_ok(&r->hi) && r->lo.af == r->hi.af &&
	       memcmp(r->lo.b, r->hi.b, addr_bits(&r->lo) / 8) <= 0;
}

static bool selector_ok(const struct cv_selector *s)
{
	return range_ok(&s->src) && range_ok(&s->dst) && s->src.lo.af == s->dst.lo.af && s->sport_lo <= s->sport_hi &&
	       s->dport_lo <= s->dport_hi;
}

static bool if_id_ok(uint32_t id)
{
	return id >= 1 && id < CV_IF_MAX;
}

static bool flag_ok(uint8_t v)
{
	return v <= 1;
}

static enum cv_err check_txn(const void *body, char *text)
{
	const struct cv_cmd_txn *c = body;
	return (c->flags & ~CV_TXN_SYNC) == 0 ? CV_OK : bad(text, "unknown transaction flags 0x%x", c->flags);
}

static enum cv_err check_platform(const void *body, char *text)
{
	const struct cv_platform *c = body;
	if (c->poll_mode != CV_POLL_ADAPTIVE && c->poll_mode != CV_POLL_BUSY)
		return bad(text, "unknown poll mode %u", c->poll_mode);
	return c->workers >= 1 ? CV_OK : bad(text, "at least one worker is needed");
}

static enum cv_err check_vrf_id(uint32_t id, char *text)
{
	return id >= 1 && id < CV_VRF_MAX ? CV_OK : bad(text, "VRF id %u is not in 1..%u", id, CV_VRF_MAX - 1);
}

static enum cv_err check_vrf(const void *body, char *text)
{
	const struct cv_vrf *c = body;
	if (!name_ok(c->name, sizeof(c->name)))
		return bad(text, "VRF name is empty, too long or has odd characters");
	return check_vrf_id(c->vrf_id, text);
}

static enum cv_err check_vrf_del(const void *body, char *text)
{
	return check_vrf_id(*(const uint32_t *)body, text);
}

/* Drivers that may be created by name: a vdev can open files and sockets, so the list is closed. */
static bool devargs_ok(const char *s, size_t size)
{
	static const char *const vdev[] = {"net_af_packet", "net_af_xdp", "net_memif", "net_null", "net_pcap",
		"net_ring", "net_tap", "net_virtio_user", "net_vhost"};
	size_t n = strnlen(s, size);
	if (n == 0 || n == size)
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	for (size_t i = 0; i < sizeof(vdev) / sizeof(vdev[0]); i++)
		if (strncmp(s, vdev[i], strlen(vdev[i])) == 0)
			return true;
	/* A PCI address: domain:bus:device.function, with or without the domain, then maybe ",options". */
	unsigned d, b, dev, fn;
	int end = 0;
	if (sscanf(s, "%4x:%2x:%2x.%1x%n", &d, &b, &dev, &fn, &end) == 4 ||
		sscanf(s, "%2x:%2x.%1x%n", &b, &dev, &fn, &end) == 3)
		return s[end] == '\0' || s[end] == ',';
	return false;
}

static enum cv_err check_port(const void *body, char *text)
{
	const struct cv_port *c = body;
	if (c->port_id >= CV_PORT_MAX)
		return bad(text, "port id %u is not below %u", c->port_id, CV_PORT_MAX);
	if (!name_ok(c->name, sizeof(c->name)))
		return bad(text, "port name is empty, too long or has odd characters");
	if (!devargs_ok(c->devargs, sizeof(c->devargs)))
		return bad(text, "device is neither a PCI address nor a virtual device that is allowed");
	if (c->rx_queues > 64 || c->rx_desc > 32768 || c->tx_desc > 32768)
		return bad(text, "too many queues or descriptors");
	if (c->mtu != 0 && (c->mtu < IF_MTU_MIN || c->mtu > IF_MTU_MAX))
		return bad(text, "MTU %u is not in %u..%u", c->mtu, IF_MTU_MIN, IF_MTU_MAX);
	return CV_OK;
}

static enum cv_err check_port_del(const void *body, char *text)
{
	uint32_t id = *(const uint32_t *)body;
	return id < CV_PORT_MAX ? CV_OK : bad(text, "port id %u is not below %u", id, CV_PORT_MAX);
}

static enum cv_err check_tunnel(const struct cv_tunnel *t, char *text)
{
	if (t->mode < CV_TUNNEL_IPSEC || t->mode > CV_TUNNEL_IPIP)
		return bad(text, "unknown tunnel mode %u", t->mode);
	const uint8_t anywhere = CV_TUNNEL_F_PROTECTED | (t->mode == CV_TUNNEL_IPSEC ? 0 : CV_TUNNEL_F_DSCP);

	if ((t->flags & ~63u) != 0 || (t->mode != CV_TUNNEL_GRE && (t->flags & ~anywhere) != 0) || t->dscp > 63)
		return bad(text, "tunnel flags 0x%x, DSCP %u", t->flags, t->dscp);
	if (t->mode == CV_TUNNEL_GRE ? t->inner_af != CV_AF_NONE
				     : t->inner_af != CV_AF_INET && t->inner_af != CV_AF_INET6)
		return bad(text, "address family %u inside the tunnel", t->inner_af);
	if (t->front_vrf >= CV_VRF_MAX)
		return bad(text, "VRF id %u is not below %u", t->front_vrf, CV_VRF_MAX);
	const bool multipoint = t->flags & CV_TUNNEL_F_MULTIPOINT;

	if (!addr_ok(&t->src) || !addr_ok(&t->dst) || t->src.af != t->dst.af ||
		(multipoint && !cv_addr_is_zero(&t->dst)))
		return bad(text, "outer addresses of the tunnel");
	if (t->keepalive_s && (t->mode != CV_TUNNEL_GRE || t->src.af != CV_AF_INET || multipoint ||
				      t->flags & CV_TUNNEL_F_PROTECTED || t->keepalive_retries < 1))
		return bad(text, "keepalives of this tunnel");
	if (multipoint && t->flags & CV_TUNNEL_F_SEQUENCE)
		return bad(text, "sequence numbers are between two ends");
	return CV_OK;
}

static enum cv_err check_tunnel_hop_ref(const void *body, char *text)
{
	const struct cv_tunnel_hop_ref *c = body;

	if (!if_id_ok(c->if_id))
		return bad(text, "interface id %u is not in 1..%u", c->if_id, CV_IF_MAX - 1);
	return addr_ok(&c->next_hop) ? CV_OK : bad(text, "next hop of a tunnel");
}

static enum cv_err check_tunnel_hop(const void *body, char *text)
{
	const struct cv_tunnel_hop *c = body;

	if (!addr_ok(&c->outer) || cv_addr_is_zero(&c->outer) || (c->flags & ~CV_TUNNEL_HOP_MULTICAST))
		return bad(text, "outer address or flags of a tunnel's next hop");
	if (c->rule_id > RULE_ID_MAX)
		return bad(text, "rule id %u is not in 0..%u", c->rule_id, RULE_ID_MAX);
	return check_tunnel_hop_ref(&c->ref, text);
}

static enum cv_err check_mroute_ref(const void *body, char *text)
{
	const struct cv_mroute_ref *c = body;
	static const struct cv_addr any;

	if (c->vrf_id >= CV_VRF_MAX)
		return bad(text, "VRF id %u is not in 0..%u", c->vrf_id, CV_VRF_MAX - 1);
	if (!addr_ok(&c->group) || !cv_addr_is_multicast(&c->group) ||
		cv_multicast_stays_on_link(c->group.af, c->group.b))
		return bad(text, "multicast route to what is no group, or one that stays on its link");
	if (memcmp(&c->source, &any, sizeof(any)) != 0 &&
		(!addr_ok(&c->source) || c->source.af != c->group.af || cv_addr_is_multicast(&c->source)))
		return bad(text, "source of a multicast route");
	return CV_OK;
}

static enum cv_err check_mroute(const void *body, char *text)
{
	const struct cv_mroute *c = body;

	if (!if_id_ok(c->if_in) || c->n_out > CV_MROUTE_OUT_MAX)
		return bad(text, "incoming interface of a multicast route, or number of outgoing ones");
	for (uint32_t i = 0; i < c->n_out; i++)
		if (!if_id_ok(c->out[i].if_id) || c->out[i].if_id == c->if_in || !c->out[i].ttl)
			return bad(text, "outgoing interface or TTL of a multicast route");
	return check_mroute_ref(&c->ref, text);
}

static bool urpf_ok(uint8_t how)
{
	uint8_t mode = how & CV_URPF_MODE;

	return !how ||
	       ((mode == CV_URPF_STRICT || mode == CV_URPF_LOOSE) && !(how & ~(CV_URPF_MODE | CV_URPF_ALLOW_DEFAULT)));
}

static bool terminated(const char *s, size_t size)
{
	return strnlen(s, size) < size;
}

/* Both are parts of paths that are opened with privileges. */
static enum cv_err check_host(const struct cv_host *h, char *text)
{
	if (!flag_ok(h->enabled))
		return bad(text, "flags are 0 or 1");
	if (!h->enabled)
		return CV_OK;
	if (!name_ok(h->device, sizeof(h->device)) || strpbrk(h->device, "/:%") || h->device[0] == '.')
		return bad(text, "host device has no name that Linux takes");
	if (!terminated(h->netns, sizeof(h->netns)) || strchr(h->netns, '/') || h->netns[0] == '.')
		return bad(text, "host device in a network namespace of no valid name");
	return CV_OK;
}

static enum cv_err check_if(const void *body, char *text)
{
	const struct cv_if *c = body;
	if (!if_id_ok(c->if_id))
		return bad(text, "interface id %u is not in 1..%u", c->if_id, CV_IF_MAX - 1);
	if (!name_ok(c->name, sizeof(c->name)))
		return bad(text, "interface name is empty, too long or has odd characters");
	if (c->mtu < IF_MTU_MIN || c->mtu > IF_MTU_MAX)
		return bad(text, "MTU %u is not in %u..%u", c->mtu, IF_MTU_MIN, IF_MTU_MAX);
	if ((c->mtu4 && c->mtu4 < IF_MTU_MIN) || c->mtu4 > c->mtu || (c->mtu6 && c->mtu6 < IPV6_MTU_MIN) ||
		c->mtu6 > c->mtu)
		return bad(text, "MTU of a family is more than %u, or too small", c->mtu);
	if (c->vrf_id >= CV_VRF_MAX)
		return bad(text, "VRF id %u is not below %u", c->vrf_id, CV_VRF_MAX);
	if (!flag_ok(c->admin_up) || !flag_ok(c->has_mac))
		return bad(text, "flags are 0 or 1");
	if (!urpf_ok(c->urpf4) || !urpf_ok(c->urpf6))
		return bad(text, "unknown kind of reverse path check");
	if (c->has_mac && (c->mac[0] & 1) != 0)
		return bad(text, "a multicast MAC address");
	if (c->inspect & ~(CV_INSPECT_IN | CV_INSPECT_OUT))
		return bad(text, "unknown way to inspect %u", c->inspect);
	if (c->nat > CV_NAT_OUTSIDE)
		return bad(text, "unknown side of translation %u", c->nat);
	for (unsigned i = 0; i < 2; i++)
		if (c->acl_in[i] >= CV_ACL_MAX || c->acl_out[i] >= CV_ACL_MAX)
			return bad(text, "access list id is not below %u", CV_ACL_MAX);
	enum cv_err host = check_host(&c->host, text);

	if (host != CV_OK)
		return host;
	switch (c->type) {
	case CV_IF_ETHERNET:
		return c->port_id < CV_PORT_MAX ? CV_OK
						: bad(text, "port id %u is not below %u", c->port_id, CV_PORT_MAX);
	case CV_IF_VLAN:
		if (c->vlan_id < 1 || c->vlan_id > 4094)
			return bad(text, "VLAN id %u is not in 1..4094", c->vlan_id);
		return if_id_ok(c->parent_id) && c->parent_id != c->if_id
			       ? CV_OK
			       : bad(text, "parent interface id %u", c->parent_id);
	case CV_IF_LOOPBACK:
		return CV_OK;
	case CV_IF_TUNNEL:
		return check_tunnel(&c->tunnel, text);
	default:
		return bad(text, "unknown interface type %u", c->type);
	}
}

static enum cv_err check_if_del(const void *body, char *text)
{
	uint32_t id = *(const uint32_t *)body;
	return if_id_ok(id) ? CV_OK : bad(text, "interface id %u is not in 1..%u", id, CV_IF_MAX - 1);
}

static enum cv_err check_if_addr(const void *body, char *text)
{
	const struct cv_if_addr *c = body;
	if (!if_id_ok(c->if_id))
		return bad(text, "interface id %u is not in 1..%u", c->if_id, CV_IF_MAX - 1);
	if (!addr_ok(&c->addr) || c->plen > addr_bits(&c->addr))
		return bad(text, "address family or prefix length");
	return CV_OK;
}

static enum cv_err check_nexthop(const struct cv_nexthop *nh, char *text)
{
	if (nh->weight == 0)
		return bad(text, "a next hop's weight is 1..255");
	if (nh->vrf_id >= CV_VRF_MAX)
		return bad(text, "VRF id %u is not below %u", nh->vrf_id, CV_VRF_MAX);
	switch (nh->type) {
	case CV_NH_GATEWAY:
		if (nh->if_id != 0 && !if_id_ok(nh->if_id))
			return bad(text, "interface id %u", nh->if_id);
		return addr_ok(&nh->gw) ? CV_OK : bad(text, "gateway address");
	case CV_NH_INTERFACE:
		return if_id_ok(nh->if_id) ? CV_OK : bad(text, "interface id %u", nh->if_id);
	case CV_NH_BLACKHOLE:
		return CV_OK;
	default:
		return bad(text, "unknown next hop type %u", nh->type);
	}
}

static enum cv_err check_route(const void *body, char *text)
{
	const struct cv_route *c = body;
	if (c->vrf_id >= CV_VRF_MAX)
		return bad(text, "VRF id %u is not below %u", c->vrf_id, CV_VRF_MAX);
	if (!prefix_ok(&c->prefix))
		return bad(text, "prefix: family, length or host bits");
	if (c->n_nh < 1 || c->n_nh > CV_NH_MAX)
		return bad(text, "%u next hops, not 1..%u", c->n_nh, CV_NH_MAX);
	for (unsigned i = 0; i < c->n_nh; i++) {
		enum cv_err err = check_nexthop(&c->nh[i], text);
		if (err != CV_OK)
			return err;
		if (c->nh[i].type == CV_NH_GATEWAY && c->nh[i].gw.af != c->prefix.addr.af)
			return bad(text, "gateway is not of the prefix's family");
	}
	return CV_OK;
}

static enum cv_err check_route_del(const void *body, char *text)
{
	const struct cv_route_ref *c = body;
	return c->vrf_id < CV_VRF_MAX && prefix_ok(&c->prefix) ? CV_OK : bad(text, "VRF id or prefix");
}

static enum cv_err check_spd(const void *body, char *text)
{
	const struct cv_spd *c = body;
	if (c->spd_id == 0)
		return bad(text, "SPD ids start at 1");
	if (c->n_if > CV_SPD_IF_MAX)
		return bad(text, "%u interfaces, at most %u", c->n_if, CV_SPD_IF_MAX);
	for (uint32_t i = 0; i < c->n_if; i++)
		if (!if_id_ok(c->if_id[i]))
			return bad(text, "interface id %u is not in 1..%u", c->if_id[i], CV_IF_MAX - 1);
	return CV_OK;
}

static enum cv_err check_spd_del(const void *body, char *text)
{
	return *(const uint32_t *)body != 0 ? CV_OK : bad(text, "SPD ids start at 1");
}

static enum cv_err check_rule_ref(uint32_t spd_id, uint32_t rule_id, char *text)
{
	if (spd_id == 0)
		return bad(text, "SPD ids start at 1");
	return rule_id >= 1 && rule_id <= RULE_ID_MAX ? CV_OK
						      : bad(text, "rule id %u is not in 1..%u", rule_id, RULE_ID_MAX);
}

static enum cv_err check_spd_rule(const void *body, char *text)
{
	const struct cv_spd_rule *c = body;
	if (c->action < CV_SPD_BYPASS || c->action > CV_SPD_PROTECT)
		return bad(text, "unknown action %u", c->action);
	if ((c->flags & ~(CV_RULE_NO_ACQUIRE | CV_RULE_PER_HOST | CV_RULE_SKIP_ENTRY)) != 0)
		return bad(text, "unknown rule flags 0x%x", c->flags);
	if (c->vrf_id >= CV_VRF_MAX && c->vrf_id != CV_VRF_ANY)
		return bad(text, "VRF id %u is not below %u", c->vrf_id, CV_VRF_MAX);
	if (!selector_ok(&c->sel))
		return bad(text, "selector: families differ, or a range runs backwards");
	return check_rule_ref(c->spd_id, c->rule_id, text);
}

static enum cv_err check_spd_rule_del(const void *body, char *text)
{
	const struct cv_spd_rule_ref *c = body;
	return check_rule_ref(c->spd_id, c->rule_id, text);
}

static enum cv_err check_acl_id(uint32_t id, char *text)
{
	return id >= 1 && id < CV_ACL_MAX ? CV_OK : bad(text, "access list id %u is not in 1..%u", id, CV_ACL_MAX - 1);
}

static enum cv_err check_acl_counter(uint32_t counter, char *text)
{
	return counter >= 1 && counter < CV_ACL_COUNTERS
		       ? CV_OK
		       : bad(text, "access list counter %u is not in 1..%u", counter, CV_ACL_COUNTERS - 1);
}

static enum cv_err check_acl(const void *body, char *text)
{
	const struct cv_acl *c = body;
	enum cv_err err = check_acl_id(c->acl_id, text);
	return err != CV_OK ? err : check_acl_counter(c->counter, text);
}

static enum cv_err check_acl_del(const void *body, char *text)
{
	return check_acl_id(*(const uint32_t *)body, text);
}

static enum cv_err check_acl_line_ref(const void *body, char *text)
{
	const struct cv_acl_line_ref *c = body;
	enum cv_err err = check_acl_id(c->acl_id, text);
	return err != CV_OK ? err : check_acl_counter(c->counter, text);
}

static enum cv_err check_acl_line(const void *body, char *text)
{
	const struct cv_acl_line *c = body;
	if (c->permit > 1 || c->log > 1)
		return bad(text, "flags are 0 or 1");
	if (!selector_ok(&c->sel))
		return bad(text, "selector: families differ, or a range runs backwards");
	return check_acl_line_ref(&c->ref, text);
}

static enum cv_err check_sa_ref(const void *body, char *text)
{
	const struct cv_sa_ref *c = body;
	if (c->index == CV_SA_NONE || c->index >= CV_SA_MAX)
		return bad(text, "SA index %u is not in 1..%u", c->index, CV_SA_MAX - 1);
	return c->spi >= SPI_MIN ? CV_OK : bad(text, "SPI 0x%x is reserved (RFC 4303 2.1)", c->spi);
}

/* Outer addresses of one family, and ports where there is UDP encapsulation (RFC 3948). */
static enum cv_err check_outer(const struct cv_addr *src, const struct cv_addr *dst, uint32_t flags, uint16_t sport,
	uint16_t dport, char *text)
{
	if (!addr_ok(src) || !addr_ok(dst) || src->af != dst->af)
		return bad(text, "outer addresses are not of one family");
	if ((flags & CV_SA_F_UDP_ENCAP) != 0 && (sport == 0 || dport == 0))
		return bad(text, "UDP encapsulation without ports");
	return CV_OK;
}

#define SA_FLAGS                                                                                                       \
	(CV_SA_F_UDP_ENCAP | CV_SA_F_ESN | CV_SA_F_NO_REPLAY | CV_SA_F_EGRESS | CV_SA_F_BUNDLED | CV_SA_F_PER_RESOURCE)

static enum cv_err check_sa_numbers(const struct cv_sa *c, char *text)
{
	if (c->dir != CV_SA_OUT && c->dir != CV_SA_IN)
		return bad(text, "unknown direction %u", c->dir);
	if (c->dir == CV_SA_IN && (c->spi & (CV_SA_MAX - 1)) != c->index)
		return bad(text, "inbound SPI 0x%x does not carry index %u", c->spi, c->index);
	if (c->mode != CV_SA_TUNNEL && c->mode != CV_SA_TRANSPORT)
		return bad(text, "unknown mode %u", c->mode);
	const char *why = algo_pair_wrong(c->ipproto, c->encr, c->integ);
	if (why != NULL)
		return bad(text, "protocol %u, cipher %u, integrity %u: %s", c->ipproto, c->encr, c->integ, why);
	if (c->outer_index >= CV_SA_MAX || c->outer_index == c->index)
		return bad(text, "outer SA %u: itself, or not below %u", c->outer_index, CV_SA_MAX);
	if (c->ipproto == PROTO_AH && c->cpi != 0)
		return bad(text, "compression is for ESP");
	if (c->ipproto == PROTO_AH && (c->flags & CV_SA_F_UDP_ENCAP) != 0)
		return bad(text, "AH does not pass a NAT");
	if ((c->flags & ~SA_FLAGS) != 0)
		return bad(text, "unknown SA flags 0x%x", c->flags);
	if (c->replay_window > REPLAY_WINDOW_MAX)
		return bad(text, "replay window %u is over %u", c->replay_window, REPLAY_WINDOW_MAX);
	if (c->front_vrf >= CV_VRF_MAX || c->inside_vrf >= CV_VRF_MAX)
		return bad(text, "VRF id is not below %u", CV_VRF_MAX);
	if (c->rule_id > RULE_ID_MAX || c->pair_index >= CV_SA_MAX)
		return bad(text, "rule id or index of the pair");
	if (c->resource > CV_WORKER_MAX || (c->resource && c->dir != CV_SA_OUT))
		return bad(text, "worker %u", c->resource);
	if (c->key_len == 0 || c->key_len > CV_SA_KEY_MAX)
		return bad(text, "key length %u", c->key_len);
	if (c->path_mtu != 0 && c->path_mtu < IF_MTU_MIN)
		return bad(text, "path MTU %u", c->path_mtu);
	return CV_OK;
}

static enum cv_err check_sa(const void *body, char *text)
{
	const struct cv_sa *c = body;
	struct cv_sa_ref ref = {c->index, c->spi};
	enum cv_err err = check_sa_ref(&ref, text);
	if (err == CV_OK)
		err = check_sa_numbers(c, text);
	if (err == CV_OK)
		err = check_outer(&c->src, &c->dst, c->flags, c->udp_src, c->udp_dst, text);
	if (err != CV_OK)
		return err;
	if (c->n_sel < 1 || c->n_sel > CV_SA_SEL_MAX)
		return bad(text, "%u selectors, not 1..%u", c->n_sel, CV_SA_SEL_MAX);
	for (unsigned i = 0; i < c->n_sel; i++)
		if (!selector_ok(&c->sel[i]))
			return bad(text, "selector %u: families differ, or a range runs backwards", i);
	return CV_OK;
}

static enum cv_err check_sa_update(const void *body, char *text)
{
	const struct cv_sa_update *c = body;
	if ((c->flags & ~(CV_SA_F_UDP_ENCAP | CV_SA_F_EGRESS)) != 0)
		return bad(text, "unknown flags 0x%x", c->flags);
	enum cv_err err = check_sa_ref(&c->ref, text);
	return err != CV_OK ? err : check_outer(&c->src, &c->dst, c->flags, c->udp_src, c->udp_dst, text);
}

static enum cv_err check_dump(const void *body, char *text)
{
	const struct cv_cmd_dump *c = body;
	if (c->kind < CV_DUMP_NEIGH || c->kind > CV_DUMP_MROUTE)
		return bad(text, "unknown kind of dump %u", c->kind);
	if ((c->kind == CV_DUMP_FIB || c->kind == CV_DUMP_MROUTE) && c->scope >= CV_VRF_MAX)
		return bad(text, "VRF id %u is not below %u", c->scope, CV_VRF_MAX);
	return CV_OK;
}

static enum cv_err check_trace(const void *body, char *text)
{
	const struct cv_cmd_trace *c = body;
	if (c->n_packets > 1024)
		return bad(text, "at most 1024 packets");
	return c->if_id < CV_IF_MAX ? CV_OK : bad(text, "interface id %u", c->if_id);
}

/* A plain file name: no slash, no leading dot, nothing odd; it is opened in the capture directory only. */
static enum cv_err check_capture(const void *body, char *text)
{
	const struct cv_cmd_capture *c = body;
	if (!if_id_ok(c->if_id))
		return bad(text, "interface id %u is not in 1..%u", c->if_id, CV_IF_MAX - 1);
	if (c->n_packets > 10000000)
		return bad(text, "at most 10,000,000 packets");
	if (c->n_packets == 0)
		return CV_OK;
	if (!name_ok(c->file, sizeof(c->file)) || strchr(c->file, '/') != NULL || c->file[0] == '.')
		return bad(text, "capture file is not a plain file name");
	return CV_OK;
}

static enum cv_err check_profile(const void *body, char *text)
{
	const struct cv_cmd_profile *c = body;
	return c->on <= 1 ? CV_OK : bad(text, "profile: 0 or 1");
}

static enum cv_err check_clear(const void *body, char *text)
{
	const struct cv_cmd_clear *c = body;
	if (c->what < CV_CLEAR_COUNTERS || c->what > CV_CLEAR_CONN)
		return bad(text, "unknown thing to clear %u", c->what);
	return c->if_id < CV_IF_MAX ? CV_OK : bad(text, "interface id %u", c->if_id);
}

static enum cv_err check_hold_drop(const void *body, char *text)
{
	const struct cv_cmd_hold_drop *c = body;
	return check_rule_ref(1, c->rule_id, text);
}

/* ---- policy maps ---- */

static bool qos_rate_ok(uint64_t bps)
{
	return bps >= 1 && bps <= CV_QOS_RATE_MAX;
}

static enum cv_err check_police(const struct cv_police *p, char *text)
{
	if (p->mode == CV_POLICE_OFF)
		return CV_OK;
	if (p->mode > CV_POLICE_TWO_RATE)
		return bad(text, "police mode %u", p->mode);
	if (!qos_rate_ok(p->cir) || (p->mode == CV_POLICE_TWO_RATE && (!qos_rate_ok(p->pir) || p->pir < p->cir)))
		return bad(text, "police rates out of range");
	if (p->burst == 0 || p->burst > CV_QOS_BURST_MAX || p->excess_burst > CV_QOS_BURST_MAX)
		return bad(text, "police burst out of range");
	for (unsigned i = 0; i < CV_COLOURS; i++)
		if (p->action[i] < CV_POLICE_TRANSMIT || p->action[i] > CV_POLICE_SET_DSCP || p->dscp[i] > 63)
			return bad(text, "police action of colour %u", i);
	return CV_OK;
}

static enum cv_err check_qos_class_del(const void *body, char *text)
{
	const struct cv_qos_class_ref *c = body;
	if (c->policy_id == 0 || c->class_no >= CV_QOS_CLASSES)
		return bad(text, "class %u of policy %u", c->class_no, c->policy_id);
	return CV_OK;
}

static enum cv_err check_wred(const struct cv_qos_class *c, char *text)
{
	const struct cv_wred *w = &c->wred;

	if (!w->weight)
		return CV_OK;
	if (w->weight > CV_WRED_WEIGHT_MAX || w->ecn > 1 || c->priority)
		return bad(text, "random early detection of class %u", c->class_no);
	for (unsigned i = 0; i < CV_DSCPS; i++)
		if (w->curve[i].min >= w->curve[i].max || w->curve[i].max > CV_QOS_LIMIT_MAX ||
			w->curve[i].denominator == 0 || w->curve[i].denominator > CV_QOS_LIMIT_MAX)
			return bad(text, "thresholds of class %u for DSCP %u", c->class_no, i);
	return CV_OK;
}

static enum cv_err check_qos_class(const void *body, char *text)
{
	const struct cv_qos_class *c = body;
	enum cv_err err = check_qos_class_del(body, text);
	if (err != CV_OK)
		return err;
	if (c->set_dscp > 63 && c->set_dscp != CV_QOS_DSCP_KEEP)
		return bad(text, "DSCP %u", c->set_dscp);
	if ((c->priority && (!qos_rate_ok(c->priority) || c->priority_burst == 0 || c->fair_queues != 1)) ||
		(c->shape && (!qos_rate_ok(c->shape) || c->shape_burst == 0)) || c->priority_burst > CV_QOS_BURST_MAX ||
		c->shape_burst > CV_QOS_BURST_MAX)
		return bad(text, "priority or shape of class %u", c->class_no);
	if (c->weight == 0 || c->queue_limit == 0 || c->queue_limit > CV_QOS_LIMIT_MAX || c->fair_queues == 0 ||
		c->fair_queues > CV_QOS_FLOWS_MAX)
		return bad(text, "queue of class %u", c->class_no);
	err = check_wred(c, text);
	return err == CV_OK ? check_police(&c->police, text) : err;
}

static enum cv_err check_qos_rule_del(const void *body, char *text)
{
	const struct cv_qos_rule_ref *r = body;
	return r->policy_id == 0 ? bad(text, "policy 0") : CV_OK;
}

static enum cv_err check_qos_rule(const void *body, char *text)
{
	const struct cv_qos_rule *r = body;
	enum cv_err err = check_qos_rule_del(body, text);
	if (err != CV_OK)
		return err;
	if (r->class_no >= CV_QOS_CLASSES || (r->flags & ~CV_RULE_SKIP_ENTRY) || r->if_id >= CV_IF_MAX)
		return bad(text, "rule %u of policy %u: class, flags or interface", r->rule_no, r->policy_id);
	if (!selector_ok(&r->sel))
		return bad(text, "rule %u of policy %u: selector", r->rule_no, r->policy_id);
	return CV_OK;
}

static enum cv_err check_qos_attach_del(const void *body, char *text)
{
	uint32_t slot = *(const uint32_t *)body;
	return slot == 0 || slot >= CV_QOS_SLOTS ? bad(text, "slot %u", slot) : CV_OK;
}

static enum cv_err check_qos_attach(const void *body, char *text)
{
	const struct cv_qos_attach *a = body;
	enum cv_err err = check_qos_attach_del(body, text);
	if (err != CV_OK)
		return err;
	if (!if_id_ok(a->if_id) || a->policy_id == 0 || a->dir < CV_QOS_INPUT || a->dir > CV_QOS_OUTPUT ||
		(a->flags & ~CV_QOS_F_QUEUES) || (a->flags && a->dir != CV_QOS_OUTPUT) || a->rate > CV_QOS_RATE_MAX ||
		(a->rate && !a->flags))
		return bad(text, "slot %u: interface, policy or direction", a->slot);
	return CV_OK;
}

static enum cv_err check_nat_id(const void *body, char *text)
{
	const uint32_t id = *(const uint32_t *)body;
	return id >= 1 && id < CV_NAT_MAX ? CV_OK : bad(text, "translation %u is not in 1..%u", id, CV_NAT_MAX - 1);
}

static enum cv_err check_nat_rule(const void *body, char *text)
{
	const struct cv_nat_rule *r = body;
	if (r->vrf_id >= CV_VRF_MAX || r->acl_id == 0 || r->acl_id >= CV_ACL_MAX || r->if_id >= CV_IF_MAX)
		return bad(text, "translation rule %u: VRF, access list or interface", r->rule_id);
	if (!r->if_id && (r->first.af != CV_AF_INET || r->last.af != CV_AF_INET || !addr_ok(&r->first) ||
				 !addr_ok(&r->last) || memcmp(r->first.b, r->last.b, 4) > 0))
		return bad(text, "translation rule %u: pool", r->rule_id);
	return check_nat_id(body, text);
}

static enum cv_err check_nat_static(const void *body, char *text)
{
	const struct cv_nat_static *s = body;
	const bool ports = s->local_port && s->global_port, none = !s->local_port && !s->global_port;
	if (s->vrf_id >= CV_VRF_MAX || s->if_id >= CV_IF_MAX)
		return bad(text, "static translation %u: VRF or interface", s->static_id);
	if (s->local.af != CV_AF_INET || !addr_ok(&s->local) || s->global.af != CV_AF_INET || !addr_ok(&s->global))
		return bad(text, "static translation %u: addresses", s->static_id);
	if (s->proto ? !ports || (s->proto != PROTO_TCP && s->proto != PROTO_UDP) : !none)
		return bad(text, "static translation %u: ports", s->static_id);
	return check_nat_id(body, text);
}

static bool timeout_ok(uint32_t s)
{
	return s >= 1 && s <= CV_CONN_TIMEOUT_MAX;
}

static enum cv_err check_conn_limits(const void *body, char *text)
{
	const struct cv_conn_limits *c = body;
	if (c->zero || c->max_entries < 1 || c->max_entries > CV_CONN_MAX)
		return bad(text, "%u connections, not 1..%u", c->max_entries, CV_CONN_MAX);
	if (!timeout_ok(c->tcp_s) || !timeout_ok(c->tcp_syn_s) || !timeout_ok(c->tcp_fin_s) || !timeout_ok(c->udp_s) ||
		!timeout_ok(c->icmp_s) || !timeout_ok(c->other_s))
		return bad(text, "timeout of connections not in 1..%u", CV_CONN_TIMEOUT_MAX);
	if (c->half_open_low > c->half_open_high || c->minute_low > c->minute_high)
		return bad(text, "limit of connections: low above high");
	return CV_OK;
}

static const struct {
	uint32_t len; /* of the body, exactly */
	enum cv_err (*check)(const void *body, char *text);
	bool known;
} table[] = {
	[CV_CMD_HELLO] = {sizeof(struct cv_cmd_hello), NULL, true},
	[CV_CMD_TXN_BEGIN] = {sizeof(struct cv_cmd_txn), check_txn, true},
	[CV_CMD_TXN_COMMIT] = {0, NULL, true},
	[CV_CMD_TXN_ABORT] = {0, NULL, true},
	[CV_CMD_PLATFORM_SET] = {sizeof(struct cv_platform), check_platform, true},
	[CV_CMD_VRF_SET] = {sizeof(struct cv_vrf), check_vrf, true},
	[CV_CMD_VRF_DEL] = {sizeof(uint32_t), check_vrf_del, true},
	[CV_CMD_PORT_ATTACH] = {sizeof(struct cv_port), check_port, true},
	[CV_CMD_PORT_DETACH] = {sizeof(uint32_t), check_port_del, true},
	[CV_CMD_IF_SET] = {sizeof(struct cv_if), check_if, true},
	[CV_CMD_IF_DEL] = {sizeof(uint32_t), check_if_del, true},
	[CV_CMD_IF_ADDR_ADD] = {sizeof(struct cv_if_addr), check_if_addr, true},
	[CV_CMD_IF_ADDR_DEL] = {sizeof(struct cv_if_addr), check_if_addr, true},
	[CV_CMD_TUNNEL_HOP_SET] = {sizeof(struct cv_tunnel_hop), check_tunnel_hop, true},
	[CV_CMD_TUNNEL_HOP_DEL] = {sizeof(struct cv_tunnel_hop_ref), check_tunnel_hop_ref, true},
	[CV_CMD_MROUTE_SET] = {sizeof(struct cv_mroute), check_mroute, true},
	[CV_CMD_MROUTE_DEL] = {sizeof(struct cv_mroute_ref), check_mroute_ref, true},
	[CV_CMD_ROUTE_SET] = {sizeof(struct cv_route), check_route, true},
	[CV_CMD_ROUTE_DEL] = {sizeof(struct cv_route_ref), check_route_del, true},
	[CV_CMD_SPD_SET] = {sizeof(struct cv_spd), check_spd, true},
	[CV_CMD_SPD_DEL] = {sizeof(uint32_t), check_spd_del, true},
	[CV_CMD_SPD_RULE_SET] = {sizeof(struct cv_spd_rule), check_spd_rule, true},
	[CV_CMD_SPD_RULE_DEL] = {sizeof(struct cv_spd_rule_ref), check_spd_rule_del, true},
	[CV_CMD_ACL_SET] = {sizeof(struct cv_acl), check_acl, true},
	[CV_CMD_ACL_DEL] = {sizeof(uint32_t), check_acl_del, true},
	[CV_CMD_ACL_LINE_SET] = {sizeof(struct cv_acl_line), check_acl_line, true},
	[CV_CMD_ACL_LINE_DEL] = {sizeof(struct cv_acl_line_ref), check_acl_line_ref, true},
	[CV_CMD_SA_ADD] = {sizeof(struct cv_sa), check_sa, true},
	[CV_CMD_SA_DEL] = {sizeof(struct cv_sa_ref), check_sa_ref, true},
	[CV_CMD_SA_KEEP] = {sizeof(struct cv_sa_ref), check_sa_ref, true},
	[CV_CMD_SA_UPDATE] = {sizeof(struct cv_sa_update), check_sa_update, true},
	[CV_CMD_DUMP] = {sizeof(struct cv_cmd_dump), check_dump, true},
	[CV_CMD_TRACE] = {sizeof(struct cv_cmd_trace), check_trace, true},
	[CV_CMD_CAPTURE] = {sizeof(struct cv_cmd_capture), check_capture, true},
	[CV_CMD_PROFILE] = {sizeof(struct cv_cmd_profile), check_profile, true},
	[CV_CMD_CLEAR] = {sizeof(struct cv_cmd_clear), check_clear, true},
	[CV_CMD_HOLD_DROP] = {sizeof(struct cv_cmd_hold_drop), check_hold_drop, true},
	[CV_CMD_FAIL_AT] = {sizeof(struct cv_cmd_fail_at), NULL, true},
	[CV_CMD_QOS_CLASS_SET] = {sizeof(struct cv_qos_class), check_qos_class, true},
	[CV_CMD_QOS_CLASS_DEL] = {sizeof(struct cv_qos_class_ref), check_qos_class_del, true},
	[CV_CMD_QOS_RULE_SET] = {sizeof(struct cv_qos_rule), check_qos_rule, true},
	[CV_CMD_QOS_RULE_DEL] = {sizeof(struct cv_qos_rule_ref), check_qos_rule_del, true},
	[CV_CMD_QOS_ATTACH_SET] = {sizeof(struct cv_qos_attach), check_qos_attach, true},
	[CV_CMD_QOS_ATTACH_DEL] = {sizeof(uint32_t), check_qos_attach_del, true},
	[CV_CMD_CONN_SET] = {sizeof(struct cv_conn_limits), check_conn_limits, true},
	[CV_CMD_CONN_DEL] = {sizeof(uint32_t), NULL, true},
	[CV_CMD_NAT_RULE_SET] = {sizeof(struct cv_nat_rule), check_nat_rule, true},
	[CV_CMD_NAT_RULE_DEL] = {sizeof(uint32_t), check_nat_id, true},
	[CV_CMD_NAT_STATIC_SET] = {sizeof(struct cv_nat_static), check_nat_static, true},
	[CV_CMD_NAT_STATIC_DEL] = {sizeof(uint32_t), check_nat_id, true},
};

int validate_body_len(uint16_t type)
{
	return type < sizeof(table) / sizeof(table[0]) && table[type].known ? (int)table[type].len : -1;
}

enum cv_err validate_command(const struct cv_msg *msg, uint32_t max_workers, char *text)
{
	text[0] = '\0';
	if (msg->h.version != CV_MSG_VERSION) {
		(void)bad(text, "message version %u, this is %u", msg->h.version, CV_MSG_VERSION);
		return CV_ERR_VERSION;
	}
	uint16_t type = msg->h.type;
	if (validate_body_len(type) < 0)
		return bad(text, "unknown command %u", type);
	if (msg->h.len != sizeof(msg->h) + table[type].len)
		return bad(text, "command %u is %u bytes long, not %zu", type, msg->h.len,
			sizeof(msg->h) + table[type].len);
	enum cv_err err = table[type].check == NULL ? CV_OK : table[type].check(msg->body, text);
	if (err == CV_OK && type == CV_CMD_PLATFORM_SET) {
		const struct cv_platform *c = (const struct cv_platform *)msg->body;
		if (c->workers > max_workers)
			return bad(text, "%u workers, but there are lcores for %u", c->workers, max_workers);
	}
	return err;
}
