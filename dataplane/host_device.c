/* SPDX-License-Identifier: BSD-3-Clause */
#include "host_device.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cv_addr.h"
#include "cv_log.h"

#define REQUEST_MAX 512u
#define LINK_LOCAL_PLEN 64u

uint32_t host_device_index(const struct host_ns *ns, const char *name)
{
	int back = host_ns_enter(ns);

	if (back == -2)
		return 0;
	uint32_t index = if_nametoindex(name);

	host_ns_leave(back);
	return index;
}

/* Inside the namespace. -1 with errno. */
static int open_tun(struct host_device *d)
{
	struct ifreq ifr = {.ifr_name = "cvhost%d", .ifr_flags = (short)((d->tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI)};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (ioctl(fd, TUNSETIFF, &ifr) == 0) {
		d->ifindex = if_nametoindex(ifr.ifr_name);
		return fd;
	}
	int err = errno;

	close(fd);
	errno = err;
	return -1;
}

struct host_device *host_device_make(const struct cv_host *cfg, bool tap, char *text)
{
	struct host_device *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->cfg = *cfg;
	d->tap = tap;
	d->fd = -1;
	d->link = true; /* as the kernel has it */
	d->ns = host_ns_get(cfg->netns);
	int back = d->ns ? host_ns_enter(d->ns) : -2;

	if (back != -2) {
		d->fd = open_tun(d);
		int err = errno;

		host_ns_leave(back);
		errno = err;
	}
	if (d->fd >= 0)
		return d;
	(void)snprintf(text, 128, "host device %s%s%s: %s", cfg->device, cfg->netns[0] ? " in namespace " : "",
		cfg->netns, strerror(errno));
	host_device_free(d);
	return NULL;
}

void host_device_free(struct host_device *d)
{
	if (d->fd >= 0)
		close(d->fd);
	if (d->ns)
		host_ns_put(d->ns);
	free(d);
}

static void ask(struct host_device *d, struct nlmsghdr *request, const char *what)
{
	int rc = host_ns_ask(d->ns, request);

	if (rc != 0)
		cv_warn("host", "device %s: %s: %s", d->cfg.device, what, strerror(-rc));
}

static struct nlmsghdr *link_request(char *buf, const struct host_device *d)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = RTM_NEWLINK;
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));

	ifi->ifi_index = (int)d->ifindex;
	return h;
}

/* Its name, and no addresses of the kernel's own making: the link-local one is the interface's. */
static void give_name(struct host_device *d)
{
	char buf[REQUEST_MAX];
	struct nlmsghdr *h = link_request(buf, d);

	mnl_attr_put_strz(h, IFLA_IFNAME, d->cfg.device);
	struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC), *inet6 = mnl_attr_nest_start(h, AF_INET6);

	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, inet6);
	mnl_attr_nest_end(h, spec);
	ask(d, h, "name");
	d->named = true;
}

/* Router advertisements are for daemons that hear them, not for the kernel, which would take addresses and routes that
 * are none of Culvert's. */
static void heed_no_routers(struct host_device *d)
{
	char path[64];
	int back = host_ns_enter(d->ns);

	if (back == -2)
		return;
	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", d->cfg.device);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	d->no_routers = fd >= 0 && write(fd, "0", 1) == 1;
	if (!d->no_routers)
		cv_warn("host", "device %s: %s: %s: no router advertisements for it", d->cfg.device, path,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	host_ns_leave(back);
}

static void set_link(struct host_device *d, const struct dp_if *ifp)
{
	char buf[REQUEST_MAX];
	struct nlmsghdr *h = link_request(buf, d);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);

	/* It has no address before its port is there. */
	const bool new_mac = d->tap && memcmp(d->mac, ifp->mac, ETH_ALEN) != 0;

	if (d->mtu == ifp->mtu && d->up == ifp->up && !new_mac)
		return;
	/* ARP and ND are Culvert's: the kernel sends to every neighbour alike. */
	ifi->ifi_flags = (ifp->up ? IFF_UP : 0u) | IFF_NOARP;
	ifi->ifi_change = IFF_UP | IFF_NOARP;
	mnl_attr_put_u32(h, IFLA_MTU, ifp->mtu);
	if (new_mac)
		mnl_attr_put(h, IFLA_ADDRESS, ETH_ALEN, ifp->mac);
	if (ifp->up && !d->up)
		d->n_addr = 0; /* IPv6 ones went when it went down */
	ask(d, h, "link");
	d->mtu = ifp->mtu;
	d->up = ifp->up;
	memcpy(d->mac, ifp->mac, ETH_ALEN);
}

static void set_carrier(struct host_device *d, const struct dp_if *ifp)
{
	int carrier = ifp->link;

	if (d->link == ifp->link)
		return;
	if (ioctl(d->fd, TUNSETCARRIER, &carrier) != 0)
		cv_warn("host", "device %s: carrier: %s", d->cfg.device, strerror(errno));
	d->link = ifp->link;
}

static void change_addr(struct host_device *d, const struct cv_if_addr *a, bool add)
{
	const bool v4 = a->addr.af == CV_AF_INET;
	char buf[REQUEST_MAX];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = add ? RTM_NEWADDR : RTM_DELADDR;
	h->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(h, sizeof(*ifa));

	*ifa = (struct ifaddrmsg){.ifa_family = v4 ? AF_INET : AF_INET6,
		.ifa_prefixlen = a->plen,
		.ifa_flags = v4 ? 0 : IFA_F_NODAD,
		.ifa_index = d->ifindex};
	mnl_attr_put(h, IFA_LOCAL, v4 ? 4 : 16, a->addr.b);
	mnl_attr_put(h, IFA_ADDRESS, v4 ? 4 : 16, a->addr.b);
	ask(d, h, add ? "new address" : "old address");
}

static bool has(const struct cv_if_addr *list, uint32_t n, const struct cv_if_addr *a)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i].plen == a->plen && cv_addr_eq(&list[i].addr, &a->addr))
			return true;
	return false;
}

static void set_addresses(struct host_device *d, const struct dp_if *ifp)
{
	struct cv_if_addr want[IFACE_ADDR_MAX + 1];
	uint32_t n = ifp->n_addr;

	memcpy(want, ifp->addr, n * sizeof(want[0]));
	if (ifp->link_local[0]) {
		want[n] = (struct cv_if_addr){.addr.af = CV_AF_INET6, .plen = LINK_LOCAL_PLEN};
		memcpy(want[n++].addr.b, ifp->link_local, sizeof(ifp->link_local));
	}
	for (uint32_t i = 0; i < d->n_addr; i++)
		if (!has(want, n, &d->addr[i]))
			change_addr(d, &d->addr[i], false);
	for (uint32_t i = 0; i < n; i++)
		if (!has(d->addr, d->n_addr, &want[i]))
			change_addr(d, &want[i], true);
	memcpy(d->addr, want, n * sizeof(want[0]));
	d->n_addr = n;
}

void host_device_set_up(struct host_device *d, const struct dp_if *ifp)
{
	if (!d->named) {
		give_name(d);
		heed_no_routers(d);
	}
	set_carrier(d, ifp);
	set_link(d, ifp);
	if (ifp->up)
		set_addresses(d, ifp);
}
