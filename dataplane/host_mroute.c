/* SPDX-License-Identifier: BSD-3-Clause */
#include "host_mroute.h"

#include <libmnl/libmnl.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "cv_addr.h"
#include "cv_log.h"
#include "host_route.h"
#include "mfib.h"

uint8_t host_multicast_families[CV_IF_MAX];

/* ---- routes ---- */

/* Ways out by other devices than ours are not ours to send by (the register interface of PIM is one). */
static void add_ways(const struct host_ns *ns, struct cv_mroute *r, const struct nlattr *list)
{
	const struct rtnexthop *h = mnl_attr_get_payload(list);
	int left = mnl_attr_get_payload_len(list);

	for (; RTNH_OK(h, left); left -= RTNH_ALIGN(h->rtnh_len), h = RTNH_NEXT(h)) {
		const struct dp_if *ifp = host_by_index(ns, (uint32_t)h->rtnh_ifindex);

		if (!ifp || ifp->vrf_id != r->ref.vrf_id || ifp->id == r->if_in || !h->rtnh_hops ||
			r->n_out == CV_MROUTE_OUT_MAX)
			continue;
		r->out[r->n_out++] = (struct cv_mroute_out){.if_id = ifp->id, .ttl = h->rtnh_hops};
	}
}

/* Group and source. False: not of a route that can be followed: not resolved yet, of another table, of no group. */
static bool read_key(const struct nlmsghdr *h, struct cv_mroute_ref *key, const struct nlattr **attr)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(h);
	const bool v4 = rtm->rtm_family == RTNL_FAMILY_IPMR;
	const uint8_t af = v4 ? CV_AF_INET : CV_AF_INET6;

	if ((rtm->rtm_flags & RTNH_F_UNRESOLVED) || mnl_attr_parse(h, sizeof(*rtm), host_route_note_attr, attr) < 0)
		return false;
	uint32_t table = attr[RTA_TABLE] ? mnl_attr_get_u32(attr[RTA_TABLE]) : rtm->rtm_table;

	if (table != (v4 ? RT_TABLE_DEFAULT : RT_TABLE_MAIN) || !attr[RTA_DST] || !attr[RTA_SRC] ||
		!host_route_addr(attr[RTA_DST], af, &key->group) || !host_route_addr(attr[RTA_SRC], af, &key->source) ||
		!cv_addr_is_multicast(&key->group) || cv_multicast_stays_on_link(af, key->group.b))
		return false;
	if (cv_addr_is_zero(&key->source))
		key->source = (struct cv_addr){0}; /* any */
	return true;
}

static void take_route(struct host_ns *ns, const struct nlmsghdr *h)
{
	struct cv_mroute r = {0};
	const struct nlattr *attr[RTA_MAX + 1] = {NULL};
	char text[128] = "";

	if (!read_key(h, &r.ref, attr) || !attr[RTA_IIF])
		return;
	const struct dp_if *in = host_by_index(ns, mnl_attr_get_u32(attr[RTA_IIF]));

	if (!in)
		return;
	r.ref.vrf_id = in->vrf_id;
	r.if_in = in->id;
	if (attr[RTA_MULTIPATH])
		add_ways(ns, &r, attr[RTA_MULTIPATH]);
	if (mfib_host_set(&r, ns->walk_number, text) != 0)
		cv_warn("host", "a multicast route of the kernel is left out: %s", text);
}

static bool comes_in_there(const struct host_ns *ns, const struct cv_mroute *r)
{
	struct host_ns *of;

	return host_index(r->if_in, &of) && of == ns;
}

struct lost {
	const struct host_ns *ns;
	struct cv_mroute_ref key;
};

static bool is_lost(void *arg, const struct cv_mroute *r, uint32_t named)
{
	const struct lost *lost = arg;

	(void)named;
	return cv_addr_eq(&r->ref.group, &lost->key.group) && cv_addr_eq(&r->ref.source, &lost->key.source) &&
	       comes_in_there(lost->ns, r);
}

/* When a daemon ends, the interfaces of its routes are lost before the routes, which name none any more. */
static void lose_route(const struct host_ns *ns, const struct nlmsghdr *h)
{
	struct lost lost = {.ns = ns};
	const struct nlattr *attr[RTA_MAX + 1] = {NULL};

	if (read_key(h, &lost.key, attr))
		mfib_host_sweep(is_lost, &lost);
}

/* ---- what the kernel does on a device ---- */

static void take_netconf(const struct host_ns *ns, const struct nlmsghdr *h)
{
	const struct netconfmsg *n = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_MAX + 1] = {NULL};

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*n) || (n->ncm_family != AF_INET && n->ncm_family != AF_INET6) ||
		mnl_attr_parse(h, sizeof(*n), host_route_note_attr, attr) < 0 || !attr[NETCONFA_IFINDEX] ||
		!attr[NETCONFA_MC_FORWARDING])
		return;
	const struct dp_if *ifp = host_by_index(ns, mnl_attr_get_u32(attr[NETCONFA_IFINDEX]));
	const uint8_t bit = n->ncm_family == AF_INET ? 1 : 2;

	if (!ifp)
		return;
	if (mnl_attr_get_u32(attr[NETCONFA_MC_FORWARDING]))
		__atomic_fetch_or(&host_multicast_families[ifp->id], bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&host_multicast_families[ifp->id], (uint8_t)~bit, __ATOMIC_RELAXED);
}

bool host_mroute_message(struct host_ns *ns, const struct nlmsghdr *h)
{
	const bool route = h->nlmsg_type == RTM_NEWROUTE || h->nlmsg_type == RTM_DELROUTE;
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type == RTM_NEWNETCONF) {
		take_netconf(ns, h);
		return true;
	}
	if (!route || mnl_nlmsg_get_payload_len(h) < sizeof(*rtm) ||
		(rtm->rtm_family != RTNL_FAMILY_IPMR && rtm->rtm_family != RTNL_FAMILY_IP6MR))
		return false;
	if (h->nlmsg_type == RTM_NEWROUTE)
		take_route(ns, h);
	else
		lose_route(ns, h);
	return true;
}

static bool not_named(void *arg, const struct cv_mroute *r, uint32_t named)
{
	const struct host_ns *ns = arg;

	return named != ns->walk_number && comes_in_there(ns, r);
}

void host_mroute_sweep(struct host_ns *ns)
{
	mfib_host_sweep(not_named, ns);
}
