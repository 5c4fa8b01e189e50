/* SPDX-License-Identifier: BSD-3-Clause */
#include "host_route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cv_log.h"
#include "fib.h"
#include "host.h"
#include "host_mroute.h"
#include "mfib.h"

#define BUFFER_SIZE 32768u
#define EVENTS_ROOM (64 << 20) /* bytes: some hundred thousand routes may change while main is busy */
#define BATCH 2048u	       /* messages in one transaction */
#define SWEEP_PART 4096u       /* prefixes looked at in one */
#define WALK_PAUSE_MS 1000u    /* between two walks through everything */

/* One batch of one namespace. */
struct batch {
	struct host_ns *ns;
	unsigned n; /* messages */
	bool failed;
	uint64_t now_ms;
};

/* ---- one message ---- */

static void take_route(struct batch *b, const struct host_route *r)
{
	const struct cv_route *have = fib_host_route(r->route.vrf_id, &r->route.prefix);
	char text[128] = "";

	if (have && have->tag < r->metric) {
		b->ns->shadowed = true;
		return;
	}
	if (have && have->tag > r->metric)
		b->ns->shadowed = true;
	if (fib_host_route_set(&r->route, b->ns->walk_number, text) != 0) {
		b->failed = true;
		cv_warn("host", "a route of the kernel is left out: %s", text);
	}
}

/* The kernel has one route less. Another of a higher metric may take its place: only a walk tells. */
static void lose_route(struct batch *b, const struct host_route *r)
{
	const struct cv_route *have = fib_host_route(r->route.vrf_id, &r->route.prefix);

	if (!have || have->tag != r->metric)
		return;
	fib_host_route_del(r->route.vrf_id, &r->route.prefix);
	b->ns->walk_due |= b->ns->shadowed;
}

static int on_message(const struct nlmsghdr *h, void *arg)
{
	struct batch *b = arg;
	struct host_route r;

	b->n++;
	if (host_mroute_message(b->ns, h))
		return MNL_CB_OK;
	if ((h->nlmsg_type != RTM_NEWROUTE && h->nlmsg_type != RTM_DELROUTE) || !host_route_read(b->ns, h, &r) ||
		r.route.n_nh == 0) {
		/* If it is in place of one that was ours, only a walk tells: its VRF is not known any more. */
		b->ns->walk_due |= h->nlmsg_type == RTM_NEWROUTE && (h->nlmsg_flags & NLM_F_REPLACE) && !b->ns->walk;
		return MNL_CB_OK;
	}
	if (h->nlmsg_type == RTM_NEWROUTE)
		take_route(b, &r);
	else
		lose_route(b, &r);
	return MNL_CB_OK;
}

/* ---- reading ---- */

/* Until there is no more, or the batch is full. Returns what mnl_cb_run() did at last: MNL_CB_STOP when the kernel says
 * that a walk is done; -1 with errno, which is EAGAIN when there is nothing left. */
static int read_batch(struct batch *b, struct mnl_socket *nl)
{
	static char buffer[BUFFER_SIZE] __attribute__((aligned(8)));
	int rc = MNL_CB_OK;

	while (rc == MNL_CB_OK && b->n < BATCH) {
		ssize_t len = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));

		rc = len < 0 ? -1 : mnl_cb_run(buffer, (size_t)len, 0, 0, on_message, b);
	}
	return rc;
}

static bool listen_there(struct host_ns *ns)
{
	static const int room = EVENTS_ROOM, groups[] = {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_MROUTE,
						     RTNLGRP_IPV6_MROUTE, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF};

	ns->events = host_ns_socket(ns, SOCK_NONBLOCK);
	if (!ns->events)
		return false;
	if (setsockopt(mnl_socket_get_fd(ns->events), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0)
		cv_warn("host", "room for route changes: %s", strerror(errno));
	for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		(void)mnl_socket_setsockopt(
			ns->events, NETLINK_ADD_MEMBERSHIP, (void *)(uintptr_t)&groups[i], sizeof(groups[i]));
	ns->walk_due = true;
	return true;
}

/* Ask for all of a kind, of every family: routes of groups are among the routes. */
static void walk_ask(struct host_ns *ns, bool routes)
{
	char buffer[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);

	ns->walk_routes = routes;
	h->nlmsg_type = routes ? RTM_GETROUTE : RTM_GETNETCONF;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	/* both begin with the family, AF_UNSPEC */
	mnl_nlmsg_put_extra_header(h, routes ? sizeof(struct rtmsg) : sizeof(struct netconfmsg));
	if (mnl_socket_sendto(ns->walk, h, h->nlmsg_len) < 0)
		ns->walk_due = true;
}

static void walk_begin(struct host_ns *ns, uint64_t now_ms)
{
	ns->walk_not_before = now_ms + WALK_PAUSE_MS;
	ns->walk = host_ns_socket(ns, SOCK_NONBLOCK);
	if (!ns->walk)
		return;
	ns->walk_due = ns->shadowed = false;
	ns->walk_number++;
	walk_ask(ns, false);
}

static bool not_named(void *arg, const struct cv_route *r, uint32_t named)
{
	const struct host_ns *ns = arg;
	struct host_ns *of;

	return host_index(r->nh[0].if_id, &of) && of == ns && named != ns->walk_number;
}

/* done: the kernel has named them all, as far as it could. */
static void walk_end(struct host_ns *ns, bool done)
{
	mnl_socket_close(ns->walk);
	ns->walk = NULL;
	if (!done) {
		ns->walk_due = true;
		return;
	}
	ns->sweep = (struct fib_sweep){0};
	ns->sweeping = true;
	host_mroute_sweep(ns);
}

/* The kernel has dropped events. What the socket still holds is older than what a walk will find; and until all of it
 * is read the kernel goes on dropping, without saying so again. A new socket has neither: it is there before the walk.
 */
static void listen_anew(struct host_ns *ns)
{
	cv_notice("host", "route changes of the kernel were lost: looking at all of them again");
	mnl_socket_close(ns->events);
	ns->events = NULL;
	(void)listen_there(ns);
}

/* A walk and its sweep go before the events that came meanwhile: they are newer. */
static void read_namespace(struct batch *b)
{
	struct host_ns *ns = b->ns;

	if (!ns->events && !listen_there(ns))
		return;
	if (ns->sweeping) {
		ns->sweeping = fib_host_sweep_part(&ns->sweep, SWEEP_PART, not_named, ns);
		return;
	}
	if (ns->walk_due && !ns->walk && b->now_ms >= ns->walk_not_before)
		walk_begin(ns, b->now_ms);
	if (ns->walk) {
		int rc = read_batch(b, ns->walk);

		const bool over = rc == MNL_CB_STOP || (rc < 0 && errno != EAGAIN);

		if (over && !ns->walk_routes)
			walk_ask(ns, true);
		else if (over)
			walk_end(ns, rc == MNL_CB_STOP);
	} else if (read_batch(b, ns->events) < 0 && errno == ENOBUFS) {
		listen_anew(ns);
	}
}

static void apply_to(struct batch *b, const struct dp_module *m)
{
	char text[128] = "";

	if (m->prepare(text) == 0) {
		m->publish();
		return;
	}
	m->abort();
	cv_warn("host", "%u route changes of the kernel could not be followed: %s", b->n, text);
	b->ns->walk_due = true;
}

static void apply(struct batch *b)
{
	if (fib_txn_in_progress())
		apply_to(b, &fib_module);
	if (mfib_txn_in_progress())
		apply_to(b, &mfib_module);
}

static bool tell_due;

/* Routes without a device are those of an interface that may be another one now (host_first()). */
static void walk_all(void)
{
	for (struct host_ns *ns = host_ns_all; ns; ns = ns->next)
		ns->walk_due = true;
}

void host_routes_tell_all(void)
{
	tell_due = true;
	walk_all();
}

static void tell(const struct cv_route *route, uint32_t word)
{
	host_route_tell(route, word, true);
}

unsigned host_routes_poll(uint64_t now_ms)
{
	unsigned total = 0;

	if (tell_due && !fib_txn_in_progress() && !iface_txn_in_progress()) {
		tell_due = false;
		fib_configured_each(tell);
	}

	for (struct host_ns *ns = host_ns_all; ns; ns = ns->next) {
		struct batch b = {.ns = ns, .now_ms = now_ms};

		if (fib_txn_in_progress() || mfib_txn_in_progress() || iface_txn_in_progress())
			break;
		read_namespace(&b);
		apply(&b);
		total += b.n + ns->sweeping;
	}
	return total;
}

/* ---- devices that go ---- */

static bool over_lost_device(void *arg, const struct cv_route *r, uint32_t named)
{
	(void)arg;
	(void)named;
	for (unsigned i = 0; i < r->n_nh; i++)
		if (!host_device_stays(r->nh[i].if_id))
			return true;
	return false;
}

void host_routes_prepare(void)
{
	bool any = false;

	for (uint32_t i = 1; i < CV_IF_MAX; i++)
		any |= iface_get(i) && iface_get(i)->host && !host_device_stays(i);
	if (!any)
		return;
	fib_host_sweep(over_lost_device, NULL);
	walk_all();
}
