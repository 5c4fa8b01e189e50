/* SPDX-License-Identifier: BSD-3-Clause */
#include "nd.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "cv_addr.h"
#include "fib.h"
#include "host.h"
#include "link.h"
#include "neigh.h"
#include "neigh_send.h"
#include "worker.h"

#define ND_RS 133u
#define ND_RA 134u
#define ND_NS 135u
#define ND_NA 136u
#define ROUTER_MSG_MIN 8u /* bytes of a solicitation of routers (RFC 4861 4.1) */
#define OPT_SLLA 1u	  /* source link-layer address */
#define OPT_TLLA 2u	  /* target link-layer address */
#define NA_ROUTER 0x80000000u
#define NA_SOLICITED 0x40000000u
#define NA_OVERRIDE 0x20000000u

struct nd_msg { /* neighbour solicitation and advertisement have the same shape (RFC 4861 4.3, 4.4) */
	uint8_t type, code;
	uint16_t checksum;
	uint32_t flags;
	uint8_t target[16];
} __rte_packed; /* behind an Ethernet header nothing is aligned */
struct nd_opt {
	uint8_t type, len; /* len in units of 8 bytes */
	uint8_t mac[6];
};

static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};

/* ff02::1:ffXX:XXXX (RFC 4291 2.7.1) */
static void solicited_node(const uint8_t target[16], uint8_t out[16])
{
	static const uint8_t head[13] = {0xff, 0x02, [11] = 1, [12] = 0xff};

	memcpy(out, head, 13);
	memcpy(out + 13, target + 13, 3);
}

static void multicast_mac(const uint8_t group[16], uint8_t mac[6])
{
	mac[0] = mac[1] = 0x33;
	memcpy(mac + 2, group + 12, 4);
}

static struct rte_mbuf *nd_build(struct worker *w, const uint8_t src[16], const uint8_t dst[16],
	const struct nd_msg *msg, const struct nd_opt *opt)
{
	struct rte_mbuf *m = dp_alloc();
	unsigned len = sizeof(struct rte_ipv6_hdr) + sizeof(*msg) + (opt ? sizeof(*opt) : 0);
	uint8_t *p = m ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len) : NULL;

	if (!p) {
		w->stats->drops[DROP_NO_MBUF]++;
		rte_pktmbuf_free(m);
		return NULL;
	}
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)p;
	struct nd_msg *nd = (struct nd_msg *)(ip + 1);

	memset(ip, 0, sizeof(*ip));
	ip->vtc_flow = rte_cpu_to_be_32(0x6u << 28);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(len - sizeof(*ip)));
	ip->proto = IPPROTO_ICMPV6;
	ip->hop_limits = 255;
	memcpy(ip->src_addr, src, 16);
	memcpy(ip->dst_addr, dst, 16);
	memcpy(nd, msg, sizeof(*nd));
	if (opt)
		memcpy(nd + 1, opt, sizeof(*opt));
	nd->checksum = 0;
	nd->checksum = rte_ipv6_udptcp_cksum(ip, nd);
	pkt_meta(m)->flags = PKT_F_IP6 | PKT_F_LOCAL_OUT | PKT_F_BYPASS;
	return m;
}

void nd_solicit(struct worker *w, const struct dp_if *ifp, const struct cv_addr *target, const uint8_t *mac)
{
	struct nd_msg msg = {.type = ND_NS};
	struct nd_opt opt = {.type = OPT_SLLA, .len = 1};
	struct cv_addr own;
	uint8_t group[16], group_mac[6];

	if (!iface_source(ifp, CV_AF_INET6, target, &own))
		return;
	memcpy(msg.target, target->b, 16);
	memcpy(opt.mac, ifp->mac, 6);
	solicited_node(target->b, group);
	multicast_mac(group, group_mac);
	struct rte_mbuf *m = nd_build(w, own.b, mac ? target->b : group, &msg, &opt);

	if (m)
		link_send(w, ifp, mac ? mac : group_mac, RTE_ETHER_TYPE_IPV6, m);
}

void nd_announce(struct worker *w, const struct dp_if *ifp, const struct cv_addr *own)
{
	struct nd_msg msg = {.type = ND_NA, .flags = rte_cpu_to_be_32(NA_ROUTER | NA_OVERRIDE)};
	struct nd_opt opt = {.type = OPT_TLLA, .len = 1};
	uint8_t mac[6];

	memcpy(msg.target, own->b, 16);
	memcpy(opt.mac, ifp->mac, 6);
	multicast_mac(all_nodes, mac);
	struct rte_mbuf *m = nd_build(w, own->b, all_nodes, &msg, &opt);

	if (m)
		link_send(w, ifp, mac, RTE_ETHER_TYPE_IPV6, m);
}

/* The link-layer address option of this type. False when an option is malformed (RFC 4861 7.1: drop the packet);
 * *mac stays NULL when there is none. */
static bool find_option(const uint8_t *p, unsigned len, uint8_t type, const uint8_t **mac)
{
	*mac = NULL;
	while (len >= 2) {
		unsigned opt_len = p[1] * 8u;

		if (opt_len == 0 || opt_len > len)
			return false;
		if (p[0] == type)
			*mac = p + 2;
		p += opt_len;
		len -= opt_len;
	}
	return len == 0;
}

static bool is_multicast(const uint8_t a[16])
{
	return a[0] == 0xff;
}

/* A solicitation is only learned from when the source is on this link: link-local, or on a connected subnet. */
static bool is_neighbour(const struct dp_if *ifp, const struct cv_addr *a)
{
	bool link_local = a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;

	return link_local || fib_lookup(ifp->vrf_id, a) == FIB_WORD(FIB_GLEAN, ifp->id);
}

static void advertise(struct worker *w, const struct dp_if *ifp, const struct cv_addr *to, const uint8_t target[16])
{
	static const uint8_t unspecified[16];
	bool to_all = memcmp(to->b, unspecified, 16) == 0; /* the asker has no address yet */
	uint32_t flags = NA_ROUTER | NA_OVERRIDE | (to_all ? 0 : NA_SOLICITED);
	struct nd_msg msg = {.type = ND_NA, .flags = rte_cpu_to_be_32(flags)};
	struct nd_opt opt = {.type = OPT_TLLA, .len = 1};
	uint8_t mac[6];

	memcpy(msg.target, target, 16);
	memcpy(opt.mac, ifp->mac, 6);
	struct rte_mbuf *m = nd_build(w, target, to_all ? all_nodes : to->b, &msg, &opt);

	if (!m)
		return;
	multicast_mac(all_nodes, mac);
	if (to_all)
		link_send(w, ifp, mac, RTE_ETHER_TYPE_IPV6, m);
	else
		neigh_send(w, ifp, to, m);
}

static void solicitation(struct worker *w, const struct dp_if *ifp, const struct cv_addr *src, const struct nd_msg *nd,
	const uint8_t *mac)
{
	struct cv_addr target = {.af = CV_AF_INET6};
	struct neigh_news news = {.if_id = ifp->id, .addr = *src, .override = true, .create = true};

	memcpy(target.b, nd->target, 16);
	if (is_multicast(target.b) || !(iface_owns(ifp, &target) || fib_is_local(ifp->vrf_id, &target)))
		return;
	if (mac && !(mac[0] & 1) && is_neighbour(ifp, src) && !cv_addr_is_zero(src)) {
		memcpy(news.mac, mac, 6);
		neigh_learn(w, &news);
	}
	if (cv_addr_is_zero(src) || is_neighbour(ifp, src))
		advertise(w, ifp, src, target.b);
}

static void advertisement(
	struct worker *w, const struct dp_if *ifp, bool multicast, const struct nd_msg *nd, const uint8_t *mac)
{
	uint32_t flags = rte_be_to_cpu_32(nd->flags);
	struct neigh_news news = {.if_id = ifp->id, .addr = {.af = CV_AF_INET6}};

	memcpy(news.addr.b, nd->target, 16);
	if (!mac || (mac[0] & 1) || is_multicast(nd->target) || (multicast && (flags & NA_SOLICITED)))
		return;
	memcpy(news.mac, mac, 6);
	news.solicited = flags & NA_SOLICITED;
	news.override = flags & NA_OVERRIDE;
	neigh_learn(w, &news);
}

static void nd_handle(
	struct worker *w, const struct dp_if *ifp, const struct rte_ipv6_hdr *ip, const struct nd_msg *nd, unsigned len)
{
	bool solicit = nd->type == ND_NS;
	struct cv_addr src = {.af = CV_AF_INET6};
	const uint8_t *mac;

	memcpy(src.b, ip->src_addr, 16);
	if (!find_option((const uint8_t *)(nd + 1), len - sizeof(*nd), solicit ? OPT_SLLA : OPT_TLLA, &mac))
		return;
	if (solicit)
		solicitation(w, ifp, &src, nd, mac);
	else
		advertisement(w, ifp, is_multicast(ip->dst_addr), nd, mac);
}

void nd_input(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const struct dp_if *ifp = iface_get(meta->if_rx);
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
	const struct nd_msg *nd = rte_pktmbuf_mtod_offset(m, const struct nd_msg *, meta->l4_off);
	unsigned len = rte_pktmbuf_data_len(m) - meta->l4_off;
	const bool of_routers = nd->type == ND_RS || nd->type == ND_RA;
	const bool tunnel = ifp && ifp->type == CV_IF_TUNNEL;

	/* RFC 4861 7.1: hop limit 255 proves that it was sent on this link; what came out of an SA was, if the tunnel
	 * is the link. */
	if (!ifp || len < (of_routers ? ROUTER_MSG_MIN : sizeof(*nd)) || ip->hop_limits != 255 || nd->code != 0 ||
		((meta->flags & PKT_F_DECAPPED) && !tunnel)) {
		dp_drop1(w, m, DROP_IP_MALFORMED);
		return;
	}
	if (of_routers && host_router_input(w, m))
		return;
	if ((nd->type == ND_NS || nd->type == ND_NA) && iface_has_port(ifp))
		nd_handle(w, ifp, ip, nd, len);
	rte_pktmbuf_free(m);
}
