/* SPDX-License-Identifier: BSD-3-Clause */
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "host_route.h"

#define DISTANCE_OTHER 150u

/* Who gave it to the kernel (RTPROT_*; FRR's numbers are its own, and in linux/rtnetlink.h), and the usual distances.
 */
static void judge_protocol(uint8_t protocol, struct cv_route *r)
{
	static const struct {
		uint8_t protocol, origin, distance;
	} known[] = {{RTPROT_BOOT, CV_ORIGIN_KERNEL, 1}, {RTPROT_STATIC, CV_ORIGIN_KERNEL, 1},
		{RTPROT_BGP, CV_ORIGIN_BGP, 20}, {RTPROT_EIGRP, CV_ORIGIN_KERNEL, 90},
		{RTPROT_OSPF, CV_ORIGIN_OSPF, 110}, {RTPROT_ISIS, CV_ORIGIN_ISIS, 115},
		{RTPROT_RIP, CV_ORIGIN_RIP, 120}};

	r->origin = CV_ORIGIN_KERNEL;
	r->distance = DISTANCE_OTHER;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].protocol == protocol) {
			r->origin = known[i].origin;
			r->distance = known[i].distance;
		}
}

int host_route_note_attr(const struct nlattr *a, void *data)
{
	const struct nlattr **table = data;

	if (mnl_attr_get_type(a) <= RTA_MAX)
		table[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

bool host_route_addr(const struct nlattr *a, uint8_t af, struct cv_addr *out)
{
	const size_t len = af == CV_AF_INET ? 4 : 16;

	*out = (struct cv_addr){.af = af};
	if (!a)
		return true;
	if (mnl_attr_get_payload_len(a) != len)
		return false;
	memcpy(out->b, mnl_attr_get_payload(a), len);
	return true;
}

/* RTA_VIA: a gateway of another family than the route's (struct rtvia). Only IPv6 for IPv4 is there (RFC 8950). */
static bool read_via(const struct nlattr *a, struct cv_addr *out)
{
	const struct rtvia *via = mnl_attr_get_payload(a);

	*out = (struct cv_addr){.af = CV_AF_INET6};
	if (mnl_attr_get_payload_len(a) != sizeof(*via) + 16 || via->rtvia_family != AF_INET6)
		return false;
	memcpy(out->b, via->rtvia_addr, 16);
	return true;
}

static bool read_gateway(const struct nlattr *a, uint8_t af, struct cv_addr *out)
{
	return a && mnl_attr_get_type(a) == RTA_VIA ? read_via(a, out) : host_route_addr(a, af, out);
}

/* One next hop over a device of ours; others are left out, a route over other devices is not ours to follow. gateway:
 * RTA_GATEWAY or RTA_VIA, NULL = none. */
static void add_nexthop(
	const struct host_ns *ns, struct cv_route *r, uint32_t ifindex, const struct nlattr *gateway, unsigned weight)
{
	const struct dp_if *ifp = host_by_index(ns, ifindex);
	struct cv_nexthop nh = {.type = gateway ? CV_NH_GATEWAY : CV_NH_INTERFACE,
		.weight = (uint8_t)(weight > UINT8_MAX ? UINT8_MAX : weight)};

	if (!ifp || r->n_nh == CV_NH_MAX || !read_gateway(gateway, r->prefix.addr.af, &nh.gw) ||
		(r->n_nh && ifp->vrf_id != r->vrf_id))
		return;
	if (!gateway)
		nh.gw = (struct cv_addr){0};
	nh.if_id = ifp->id;
	nh.vrf_id = r->vrf_id = ifp->vrf_id;
	r->nh[r->n_nh++] = nh;
}

static void add_multipath(const struct host_ns *ns, struct cv_route *r, const struct nlattr *list)
{
	const struct rtnexthop *h = mnl_attr_get_payload(list);
	int left = mnl_attr_get_payload_len(list);

	for (; RTNH_OK(h, left); left -= RTNH_ALIGN(h->rtnh_len), h = RTNH_NEXT(h)) {
		const struct nlattr *gateway = NULL;
		const struct rtattr *a = RTNH_DATA(h);
		int len = h->rtnh_len - (int)RTNH_LENGTH(0);

		for (; RTA_OK(a, len); a = RTA_NEXT(a, len))
			if (a->rta_type == RTA_GATEWAY || a->rta_type == RTA_VIA)
				gateway = (const struct nlattr *)a; /* the same layout under its older name */
		add_nexthop(ns, r, (uint32_t)h->rtnh_ifindex, gateway, h->rtnh_hops + 1u);
	}
}

/* Packets to it are dropped. It has no device of ours; what becomes of the interface that it is given becomes of it. */
static void add_discard(const struct host_ns *ns, struct cv_route *r)
{
	const struct dp_if *ifp = host_first(ns);

	if (!ifp)
		return;
	r->vrf_id = ifp->vrf_id;
	r->nh[r->n_nh++] =
		(struct cv_nexthop){.type = CV_NH_BLACKHOLE, .weight = 1, .if_id = ifp->id, .vrf_id = ifp->vrf_id};
}

static bool discards(uint8_t type)
{
	return type == RTN_BLACKHOLE || type == RTN_UNREACHABLE || type == RTN_PROHIBIT;
}

bool host_route_read(const struct host_ns *ns, const struct nlmsghdr *h, struct host_route *out)
{
	const struct nlattr *attr[RTA_MAX + 1] = {NULL};
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(h);
	struct cv_route *r = &out->route;

	memset(out, 0, sizeof(*out));
	if (mnl_nlmsg_get_payload_len(h) < sizeof(*rtm) ||
		(rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6) ||
		(rtm->rtm_type != RTN_UNICAST && !discards(rtm->rtm_type)) || rtm->rtm_tos || rtm->rtm_src_len ||
		(rtm->rtm_flags & RTM_F_CLONED) || rtm->rtm_protocol == RTPROT_CULVERT ||
		rtm->rtm_protocol == RTPROT_KERNEL || rtm->rtm_protocol == RTPROT_REDIRECT ||
		rtm->rtm_protocol == RTPROT_RA || mnl_attr_parse(h, sizeof(*rtm), host_route_note_attr, attr) < 0)
		return false;
	uint32_t table = attr[RTA_TABLE] ? mnl_attr_get_u32(attr[RTA_TABLE]) : rtm->rtm_table;

	r->prefix.len = rtm->rtm_dst_len;
	if (table != RT_TABLE_MAIN || rtm->rtm_dst_len > (rtm->rtm_family == AF_INET ? 32 : 128) ||
		!host_route_addr(attr[RTA_DST], rtm->rtm_family == AF_INET ? CV_AF_INET : CV_AF_INET6, &r->prefix.addr))
		return false;
	judge_protocol(rtm->rtm_protocol, r);
	out->metric = r->tag = attr[RTA_PRIORITY] ? mnl_attr_get_u32(attr[RTA_PRIORITY]) : 0;
	if (discards(rtm->rtm_type))
		add_discard(ns, r);
	else if (attr[RTA_MULTIPATH])
		add_multipath(ns, r, attr[RTA_MULTIPATH]);
	else if (attr[RTA_OIF])
		add_nexthop(ns, r, mnl_attr_get_u32(attr[RTA_OIF]),
			attr[RTA_GATEWAY] ? attr[RTA_GATEWAY] : attr[RTA_VIA], 1);
	return true;
}
