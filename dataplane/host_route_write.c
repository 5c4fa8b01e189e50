/* SPDX-License-Identifier: BSD-3-Clause */
/* Culvert's configured routes in the kernel's table: what programs on the host send finds its device, and routing
 * daemons have something to redistribute. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "cv_addr.h"
#include "cv_log.h"
#include "fib.h"
#include "host_route.h"
#include "neigh.h"

#define REQUEST_MAX 256u
#define METRIC(distance) ((uint32_t)(distance) << 24) /* where FRR looks for the distance of a kernel route */

/* The interface by which packets leave: of several, the first. 0 = none. */
static uint32_t way_out(uint32_t word)
{
	word = fib_pick(word, 0);
	switch (FIB_KIND(word)) {
	case FIB_ADJ:
		return adj_table[FIB_NUM(word)].if_id;
	case FIB_GLEAN:
		return FIB_NUM(word);
	case FIB_TUNNEL:
		return FIB_TUNNEL_IF(word);
	default:
		return 0;
	}
}

void host_route_tell(const struct cv_route *r, uint32_t word, bool add)
{
	const uint32_t if_id = way_out(word);
	struct host_ns *ns;
	const uint32_t ifindex = host_index(if_id, &ns);
	const bool v4 = r->prefix.addr.af == CV_AF_INET, blackhole = FIB_KIND(word) == FIB_BLACKHOLE;
	char buf[REQUEST_MAX], text[CV_PREFIX_STR];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	uint32_t gw_vrf;

	if (!ifindex || blackhole)
		return;
	h->nlmsg_type = add ? RTM_NEWROUTE : RTM_DELROUTE;
	h->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(h, sizeof(*rtm));

	gw_vrf = r->nh[0].vrf_id;
	*rtm = (struct rtmsg){.rtm_family = v4 ? AF_INET : AF_INET6,
		.rtm_dst_len = r->prefix.len,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_CULVERT,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
		.rtm_flags = RTNH_F_ONLINK};
	mnl_attr_put(h, RTA_DST, v4 ? 4 : 16, r->prefix.addr.b);
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	mnl_attr_put_u32(h, RTA_PRIORITY, METRIC(r->distance));
	if (r->nh[0].type == CV_NH_GATEWAY && gw_vrf == r->vrf_id)
		mnl_attr_put(h, RTA_GATEWAY, v4 ? 4 : 16, r->nh[0].gw.b);
	else
		rtm->rtm_flags = 0;
	int rc = host_ns_ask(ns, h);

	if (rc != 0 && (add || rc != -ESRCH))
		cv_warn("host", "route %s: %s", cv_prefix_str(&r->prefix, text), strerror(-rc));
}
