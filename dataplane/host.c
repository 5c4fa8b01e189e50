/* SPDX-License-Identifier: BSD-3-Clause */
#include "host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <rte_ether.h>

#include "cv_addr.h"
#include "cv_log.h"
#include "fib.h"
#include "filter.h"
#include "host_device.h"
#include "host_mroute.h"
#include "host_route.h"
#include "link.h"
#include "neigh_send.h"
#include "pipeline.h"
#include "trace.h"
#include "tunnel.h"
#include "worker.h"

#define READY_MAX 32	 /* devices looked at in one round */
#define DEVICE_BURST 32u /* packets of one device in one round */

static struct host_device *device[CV_IF_MAX], *staged[CV_IF_MAX];
static int poll_fd = -1;
static uint32_t n_devices;

/* ---- devices come and go ---- */

static bool is_same(const struct host_device *d, const struct dp_if *ifp)
{
	return d && d->tap == iface_has_port(ifp) && memcmp(&d->cfg, &ifp->cfg.host, sizeof(d->cfg)) == 0;
}

/* A device of this name that is not ours to take away. */
static bool name_taken(const struct host_device *d)
{
	uint32_t index = host_device_index(d->ns, d->cfg.device);

	for (uint32_t i = 1; index && i < CV_IF_MAX; i++)
		if (device[i] && device[i]->ns == d->ns && device[i]->ifindex == index)
			return false;
	return index;
}

int host_prepare(const struct dp_if *ifp, char *text)
{
	if (!ifp->host || is_same(device[ifp->id], ifp) || is_same(staged[ifp->id], ifp))
		return 0;
	if (poll_fd < 0)
		poll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct host_device *d = host_device_make(&ifp->cfg.host, iface_has_port(ifp), text);

	if (!d)
		return CV_ERR_DEVICE;
	if (name_taken(d)) {
		(void)snprintf(text, 128, "the host has a device called %s already", d->cfg.device);
		host_device_free(d);
		return CV_ERR_DEVICE;
	}
	staged[ifp->id] = d;
	return 0;
}

void host_abort(void)
{
	for (uint32_t i = 1; i < CV_IF_MAX; i++) {
		if (staged[i])
			host_device_free(staged[i]);
		staged[i] = NULL;
	}
}

static void take_away(uint32_t if_id)
{
	host_device_free(device[if_id]); /* leaves the epoll set by being closed */
	device[if_id] = NULL;
	host_multicast_families[if_id] = 0;
	n_devices--;
}

static void put_in(uint32_t if_id)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u32 = if_id};

	device[if_id] = staged[if_id];
	staged[if_id] = NULL;
	n_devices++;
	host_routes_tell_all();
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, device[if_id]->fd, &e) != 0)
		cv_err("host", "device %s is not heard: %s", device[if_id]->cfg.device, strerror(errno));
}

void host_publish(void)
{
	const struct iface_view *v = iface_view();

	/* First those that go: another may get its name. */
	for (uint32_t i = 1; i < CV_IF_MAX; i++)
		if (device[i] && (staged[i] || !v->by_id[i] || !v->by_id[i]->host))
			take_away(i);
	for (uint32_t i = 1; i < CV_IF_MAX; i++) {
		if (staged[i])
			put_in(i);
		if (device[i])
			host_device_set_up(device[i], v->by_id[i]);
	}
}

void host_close_all(void)
{
	for (uint32_t i = 1; i < CV_IF_MAX; i++)
		if (device[i])
			take_away(i);
}

bool host_device_kept(uint32_t if_id)
{
	const struct dp_if *ifp = iface_staged(if_id);

	return ifp && ifp->host && device[if_id] && !staged[if_id];
}

bool host_device_stays(uint32_t if_id)
{
	return host_device_kept(if_id) && iface_staged(if_id)->up;
}

/* Route messages come by the hundred thousand, and most name the device that the one before did. */
const struct dp_if *host_by_index(const struct host_ns *ns, uint32_t ifindex)
{
	static uint32_t last;

	if (device[last] && device[last]->ns == ns && device[last]->ifindex == ifindex)
		return iface_get(last);
	for (uint32_t i = 1; i < CV_IF_MAX; i++)
		if (device[i] && device[i]->ns == ns && device[i]->ifindex == ifindex) {
			last = i;
			return iface_get(i);
		}
	return NULL;
}

const struct dp_if *host_first(const struct host_ns *ns)
{
	const struct dp_if *first = NULL;

	for (uint32_t i = 1; i < CV_IF_MAX; i++)
		if (device[i] && device[i]->ns == ns && iface_get(i) &&
			(!first || iface_get(i)->vrf_id < first->vrf_id))
			first = iface_get(i);
	return first;
}

uint32_t host_index(uint32_t if_id, struct host_ns **ns)
{
	*ns = device[if_id] ? device[if_id]->ns : NULL;
	return device[if_id] ? device[if_id]->ifindex : 0;
}

/* ---- to the host ---- */

/* The device of the interface it came in by; out of a tunnel that changed its VRF, or made here: of the interface that
 * has the address. */
static const struct host_device *device_for(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const struct dp_if *ifp = iface_get(meta->if_rx);
	const bool ip6 = meta->flags & PKT_F_IP6;
	struct cv_addr dst = {.af = ip6 ? CV_AF_INET6 : CV_AF_INET};

	if (ifp && ifp->vrf_id == meta->vrf)
		return device[ifp->id];
	memcpy(dst.b, rte_pktmbuf_mtod_offset(m, const uint8_t *, ip6 ? 24 : 16), ip6 ? 16 : 4);
	uint32_t word = fib_lookup(meta->vrf, &dst);

	return FIB_KIND(word) == FIB_LOCAL ? device[FIB_NUM(word)] : NULL;
}

/* Ethernet header that the kernel takes for its own device's. */
static bool put_ethernet(struct rte_mbuf *m, const struct host_device *d, bool ip6)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	const bool everybody = !ip6 && ip[16] == 0xff, to_group = ip6 ? ip[24] == 0xff : ip[16] >= 224;
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)rte_pktmbuf_prepend(m, sizeof(*eth));

	if (!eth)
		return false;
	*eth = (struct rte_ether_hdr){.src_addr.addr_bytes = {RTE_ETHER_LOCAL_ADMIN_ADDR},
		.ether_type = ip6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) : RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	if (everybody)
		memset(&eth->dst_addr, 0xff, sizeof(eth->dst_addr));
	else if (to_group)
		link_group_mac(ip6 ? CV_AF_INET6 : CV_AF_INET, ip + (ip6 ? 24 : 16), eth->dst_addr.addr_bytes);
	else
		memcpy(&eth->dst_addr, d->mac, sizeof(eth->dst_addr));
	return true;
}

bool host_input(struct worker *w, struct rte_mbuf *m)
{
	const struct host_device *d = device_for(m);

	if (!d)
		return false;
	trace_step(m, "host", "to %s", d->cfg.device);
	if ((d->tap && !put_ethernet(m, d, pkt_meta(m)->flags & PKT_F_IP6)) ||
		write(d->fd, rte_pktmbuf_mtod(m, const void *), rte_pktmbuf_data_len(m)) < 0) {
		dp_drop1(w, m, DROP_HOST_DEVICE);
		return true;
	}
	trace_end(m, "host", "taken");
	rte_pktmbuf_free(m);
	return true;
}

bool host_router_input(struct worker *w, struct rte_mbuf *m)
{
	const struct host_device *d = device_for(m);

	return d && d->no_routers && host_input(w, m);
}

/* ---- from the host ---- */

static bool to_link(struct rte_mbuf *m)
{
	if (pkt_meta(m)->flags & PKT_F_IP6) {
		const uint8_t *dst = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->dst_addr;

		return ip6_is_multicast(dst) || ip6_is_link_local(dst);
	}
	uint32_t dst = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *)->dst_addr;

	return ip4_is_multicast(dst) || dst == UINT32_MAX;
}

/* In clear, as policy has allowed. */
static void put_on_link(struct worker *w, const struct dp_if *ifp, struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	const bool ip6 = pkt_meta(m)->flags & PKT_F_IP6;
	uint8_t mac[6];
	struct cv_addr dst = {.af = CV_AF_INET6};

	if (ip6 && !ip6_is_multicast(ip + 24)) {
		memcpy(dst.b, ip + 24, 16);
		neigh_send(w, ifp, &dst, m);
		return;
	}
	if (!ip6 && ip[16] == 0xff)
		memset(mac, 0xff, sizeof(mac));
	else
		link_group_mac(ip6 ? CV_AF_INET6 : CV_AF_INET, ip + (ip6 ? 24 : 16), mac);
	link_send(w, ifp, mac, ip6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4, m);
}

/* Has the kernel forwarded it, from somebody else to a group? Then it leaves as what the workers forward does. */
static bool is_forwarded(struct rte_mbuf *m)
{
	const bool ip6 = pkt_meta(m)->flags & PKT_F_IP6;
	struct cv_addr src = {.af = ip6 ? CV_AF_INET6 : CV_AF_INET};

	memcpy(src.b, rte_pktmbuf_mtod_offset(m, const uint8_t *, ip6 ? 8 : 12), ip6 ? 16 : 4);
	return !cv_addr_is_zero(&src) && !(ip6 && ip6_is_link_local(src.b)) && !fib_is_local(pkt_meta(m)->vrf, &src);
}

/* No route decides on it, but the interface's policy does, or the tunnel that the interface is. */
static void send_to_link(struct worker *w, const struct dp_if *ifp, struct rte_mbuf *m)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}}, bypass = {.n = 0}, outer = {.n = 0};
	struct pkt_meta *meta = pkt_meta(m);

	meta->if_tx = ifp->id;
	if (iface_view()->filters && is_forwarded(m))
		filter_output(w, &v, iface_view(), ifp->type == CV_IF_TUNNEL);
	if (!v.n) {
		return;
	} else if (ifp->type == CV_IF_TUNNEL) {
		tunnel_send(w, ifp, m);
	} else if (!iface_has_port(ifp) || !ifp->up) {
		dp_drop1(w, m, DROP_HOST_SENT);
	} else if (ipsec_on_interface(ifp->id)) {
		ipsec_output(w, &v, &bypass, &outer);
	} else {
		put_on_link(w, ifp, m);
	}
	for (unsigned i = 0; i < bypass.n; i++)
		put_on_link(w, ifp, bypass.pkt[i]);
	if (outer.n)
		ip_forward(w, &outer);
}

static void send_packet(struct worker *w, const struct dp_if *ifp, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	struct pkt_vec v = {.n = 1, .pkt = {m}};
	const uint8_t version = rte_pktmbuf_data_len(m) ? *rte_pktmbuf_mtod(m, const uint8_t *) >> 4 : 0;
	struct cv_addr own;

	*meta = (struct pkt_meta){.vrf = ifp->vrf_id, .flags = PKT_F_LOCAL_OUT | PKT_F_HOST};
	/* A host speaks IPv6 on any link that is up; the interface does only when it has an address. */
	if ((version != 4 || ip4_check(m) != DROP_NONE) &&
		(version != 6 || ip6_check(m) != DROP_NONE || !iface_source(ifp, CV_AF_INET6, NULL, &own))) {
		dp_drop1(w, m, DROP_HOST_SENT);
		return;
	}
	trace_step(m, "host", "from the device of interface %u", ifp->id);
	if (to_link(m))
		send_to_link(w, ifp, m);
	else
		ip_forward(w, &v);
}

static unsigned read_device(struct worker *w, uint32_t if_id)
{
	const struct dp_if *ifp = iface_get(if_id);
	const struct host_device *d = device[if_id];
	unsigned n = 0;

	for (; d && ifp && n < DEVICE_BURST; n++) {
		struct rte_mbuf *m = dp_alloc();

		if (!m) {
			w->stats->drops[DROP_NO_MBUF]++;
			break;
		}
		ssize_t len = read(d->fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m) - DP_TAILROOM);

		if (len <= (d->tap ? RTE_ETHER_HDR_LEN : 0)) {
			rte_pktmbuf_free(m);
			break;
		}
		m->data_len = (uint16_t)len;
		m->pkt_len = (uint32_t)len;
		if (d->tap)
			rte_pktmbuf_adj(m, RTE_ETHER_HDR_LEN);
		send_packet(w, ifp, m);
	}
	return n;
}

unsigned host_poll(struct worker *w)
{
	struct epoll_event ready[READY_MAX];
	unsigned total = 0;

	if (!n_devices)
		return 0;
	int n = epoll_wait(poll_fd, ready, READY_MAX, 0);

	for (int i = 0; i < n; i++)
		total += read_device(w, ready[i].data.u32);
	return total;
}
