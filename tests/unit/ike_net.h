/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hub and its spokes: IKE engines in one process around a clock that the caller turns, with a network that delivers
 * in order and hosts that say yes to everything. For tests with many peers, and for the fuzzer, which changes what is
 * under way. Without cmocka: whatever cannot be is abort().
 *
 * Node 0 is the hub, 192.0.2.1; spoke n has 198.18.x.y. Each has a map "vpn" with an entry per peer.
 */
#ifndef TESTS_IKE_NET_H
#define TESTS_IKE_NET_H

#include "ike.h"

#define NET_EVENT_MAX 64u

struct net;

struct net_pkt {
	struct net_pkt *next;
	unsigned to;
	struct ike_path path; /* as the receiver sees it */
	bool natt;
	size_t len;
	uint8_t data[];
};

struct net_node {
	struct net *net;
	unsigned i;
	struct ike *ike;
	struct cv_config *cfg;
	struct cv_addr addr;
	uint32_t next_index, children; /* pairs installed now */
	size_t record;		       /* length of the longest vault record */
	uint32_t load;		       /* what the resource monitor says */
	unsigned events[IKE_EVT_REFUSED + 1];
	const char *reason;	 /* of the last event that had one */
	struct ike_path refused; /* of the last refusal */
};

struct net {
	uint64_t now;
	unsigned n;
	struct net_node *node;
	struct net_pkt *queue, **tail;
	unsigned sent, lost; /* lost: to nobody */
	/* Asked for each packet before it is queued; false = it is lost. May change the data. NULL = all pass. */
	bool (*filter)(struct net *net, unsigned from, uint8_t *data, size_t len);
	/* Asked when the engine of a node begins and ends to run, its call-backs left out: for measurements. May be
	 * NULL. */
	void (*span)(struct net *net, unsigned node, bool begin);
	/* Where packets to the hub go instead of to node 0: to a hub outside, which answers by net_from_outside(). */
	void (*uplink)(struct net *net, const struct ike_path *path, bool natt, const void *data, size_t len);
	void *arg;
};

/* n nodes; tweak (may be NULL) changes the configuration of a node before it is resolved. */
struct net *net_new(unsigned n, enum cfg_ike_version version, void (*tweak)(struct cv_config *c, unsigned node));
void net_free(struct net *net);
/* Deliver everything under way, and what that causes, at most `max` packets. */
void net_deliver(struct net *net, unsigned max);
/* Let this many milliseconds pass. */
void net_run(struct net *net, uint64_t ms);
/* Node i has traffic for its entry e. */
void net_acquire(struct net *net, unsigned i, unsigned e);
/* A packet of our own making, as if from path->remote, to node i. */
void net_inject(struct net *net, unsigned i, const struct ike_path *path, const uint8_t *data, size_t len);
/* A packet of a hub outside. False: there is no spoke at path->local. */
bool net_from_outside(struct net *net, const struct ike_path *path, bool natt, const uint8_t *data, size_t len);
/* Node i forgets everything, as when its power fails. */
void net_restart(struct net *net, unsigned i);
/* Run what is due by net->now, of nodes from..to-1. */
void net_run_due(struct net *net, unsigned from, unsigned to);
/* Change the configuration of node i: a new one with this tweak. */
void net_reconfigure(
	struct net *net, unsigned i, enum cfg_ike_version version, void (*tweak)(struct cv_config *c, unsigned node));

#endif
