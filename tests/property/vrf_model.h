/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many VRFs that all use the same addresses, as plain lists: what a router with random routes, policies and SAs has to
 * do with a packet (vrf_model.c), and that router (vrf_config.c).
 *
 * The router plays both ends of every tunnel, in VRFs that have nothing to do with each other:
 *
 *   port 0: customer v, VLAN v     | port 1: front f, VLAN 1+f  ~~ carried over by the test ~~  port 2: far front f,
 *   10.0.0.1/24, all of them equal | 192.0.2.1/24, all equal                                    192.0.2.2, .3, ...
 *                                                                                     port 3: far customer v, VLAN v
 *
 * Front 0 is the global table, the others are VRFs (VRF-3, VRF-15: the same local address in several of them).
 */
#ifndef TESTS_PROPERTY_VRF_MODEL_H
#define TESTS_PROPERTY_VRF_MODEL_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../unit/fwd_env.h"

#ifdef UNTAGGED
#define TAGGED 0
#define CUSTOMERS 9u
#define FRONTS 3u
enum { PORT_LAN = 0, PORT_FRONT = 10, PORT_FAR_FRONT = 13, PORT_FAR_LAN = 16, PORTS = 26 };
#else
#define TAGGED 1
#define CUSTOMERS 40u
#define FRONTS 5u
enum { PORT_LAN, PORT_FRONT, PORT_FAR_FRONT, PORT_FAR_LAN, PORTS };
#endif
#define PEERS 3u
#define ROUTES 1500u
#define RULES_PER_FRONT 40u
#define RULES (FRONTS * RULES_PER_FRONT)

#define L2_LEN (TAGGED ? 18u : 14u)
#define IF_LAN(v) (v)
#define IF_FRONT(f) (100u + (f))
#define IF_FAR_FRONT(f) (200u + (f))
#define IF_FAR_LAN(v) (300u + (v))
#define IF_PARENT(port) (4000u + (port))

#define FIRST_FAR (CUSTOMERS + FRONTS)
/* VRF ids. Near: customers 1.., fronts 0 and behind the customers. Far: each its own, behind all near ones. */
#define VRF_CUSTOMER(v) (v)
#define VRF_FRONT(f) ((f) ? CUSTOMERS + (f) : CV_VRF_GLOBAL)
#define VRF_FAR(near_vrf) (FIRST_FAR + (near_vrf))
#define VRFS (2u * FIRST_FAR)

#define OUT_INDEX(rule) (1u + (rule))
#define IN_INDEX(rule) (5000u + (rule))
#define LAN_GATEWAY_MAC 251u

static inline uint32_t below(uint32_t n)
{
	return (uint32_t)(((uint64_t)random() << 16 ^ (uint64_t)random()) % n);
}

struct route {
	uint32_t vrf;
	struct cv_prefix prefix;
	bool to_front; /* through a tunnel's interface; else to the gateway in the VRF's own LAN */
	uint32_t front, gateway;
};

struct rule {
	struct cv_spd_rule c;
	uint32_t front, peer;
	bool has_sa;
	struct cv_selector in_sel; /* what the far end accepts from the tunnel, as that end writes it */
	uint32_t spi;
};

struct model {
	struct route route[ROUTES];
	unsigned n_route;
	struct rule rule[RULES]; /* those of a front in the order of evaluation */
};
extern struct model model;

struct packet {
	uint32_t vrf; /* where it enters: a customer's or a front's */
	struct cv_addr src, dst;
	uint16_t sport, dport;
	uint32_t serial;
};

/* Where a packet has to be seen. */
struct expected {
	enum { LOST, NO_ROUTE, ACQUIRE, SENT, TUNNELLED } what;
	unsigned port, vlan, mac;
	const struct rule *rule;
	bool carried, seen;
};

static inline unsigned gateway_mac(uint32_t front, uint32_t gateway)
{
	return front * 16 + gateway;
}

/* Where the n-th customer or front of a kind is: base is one of the ports above. */
static inline unsigned port_of(unsigned base, unsigned n)
{
	return TAGGED ? base : base + n;
}

static inline unsigned vlan_of(unsigned n)
{
	return TAGGED ? 1 + n : 0;
}

/* Where a packet that enters by a customer's interface has to go; one in clear that enters by a front's; and one that
 * was tunnelled by this rule when it is out of the tunnel at the far end. */
struct expected model_forward(const struct packet *p);
struct expected model_from_front(uint32_t front, const struct packet *p);
struct expected model_far(const struct rule *rule, const struct packet *p);

/* An address, or a family, that something may be of: few different ones. */
struct cv_addr some_addr(uint8_t af);
uint8_t some_af(void);
/* Another router, and a model of it. */
void configure(void);
/* While traffic runs: some routes of some VRFs go, others come, some SAs go. */
void change(void);

#endif
