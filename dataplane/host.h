/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host path: an interface with struct cv_host has a network device on the Linux host as well, with the same
 * addresses, MTU and state: a tap for Ethernet and VLANs, a tun for the others. What comes to the router and is not for
 * Culvert itself (IKE, IPsec, tunnels, ARP, ND, echo requests) is written to it; what programs on the host send is read
 * from it and goes by Culvert's routes and policy, as the router's own packets do. Groups and link-local addresses,
 * which no route decides on, go out of the interface itself; policy is asked all the same.
 *
 * All on main but host_group().
 */
#ifndef DATAPLANE_HOST_H
#define DATAPLANE_HOST_H

#include "iface.h"
#include "iphdr.h"

/* In a transaction: see to it that the interface can have its device. 0, or enum cv_err with text. */
int host_prepare(const struct dp_if *ifp, char *text);
/* The transaction is given up: forget devices made for it. */
void host_abort(void);
/* The interfaces have changed (iface_view()): devices come, go, and are set up as their interfaces are. */
void host_publish(void);
/* In a transaction: will the interface have the device that it has now? And be up? */
bool host_device_kept(uint32_t if_id);
bool host_device_stays(uint32_t if_id);
/* Before the end of the process. */
void host_close_all(void);

/* A whole packet to this router, data at the IP header: give it to the host. False: there is no device for it, and m is
 * still the caller's. */
bool host_input(struct worker *w, struct rte_mbuf *m);
/* The same for a router solicitation or advertisement: the host's daemons hear it, its kernel does not heed it. */
bool host_router_input(struct worker *w, struct rte_mbuf *m);
/* Every round: send what the host has sent. Returns how many packets. */
unsigned host_poll(struct worker *w);

/* Worker or main: does m, received, with the header checked, go to a group on its link (224.0.0.0/24, ff02::/16), or
 * to everybody on it, and is there a host to hear it (VTI-4: routing protocols)? */
static inline bool host_group(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const struct dp_if *ifp = iface_get(meta->if_rx);

	if (!ifp || !ifp->host)
		return false;
	if (meta->flags & PKT_F_IP6) {
		const uint8_t *dst = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->dst_addr;

		return dst[0] == 0xff && (dst[1] & 0xf) == 2;
	}
	uint32_t dst = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *)->dst_addr;

	return (dst & RTE_BE32(0xffffff00)) == RTE_BE32(0xe0000000) || dst == UINT32_MAX;
}

#endif
