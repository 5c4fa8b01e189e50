/* SPDX-License-Identifier: BSD-3-Clause */
/* Random routers over many VRFs, and the model of each. */
#include "vrf_model.h"

#include <stdio.h>
#include <string.h>

#include "algo.h"
#include "cv_addr.h"

/* Few different values: whatever is right in one VRF exists in many others. */
struct cv_addr some_addr(uint8_t af)
{
	struct cv_addr a = {.af = af};
	unsigned n = af == CV_AF_INET ? 4 : 16;

	a.b[0] = 20;
	a.b[1] = (uint8_t)below(2);
	a.b[n - 2] = (uint8_t)below(2);
	a.b[n - 1] = (uint8_t)below(8);
	return a;
}

uint8_t some_af(void)
{
	return below(3) ? CV_AF_INET : CV_AF_INET6;
}

static struct cv_prefix some_prefix(uint8_t af)
{
	struct cv_prefix p = {.addr = some_addr(af)};
	unsigned bits = cv_addr_bits(&p.addr);

	p.len = (uint8_t)(below(3) ? bits - below(6) : 8 * below(3));
	cv_prefix_mask(&p);
	return p;
}

static void route_command(const struct route *r)
{
	struct cv_route c = {.vrf_id = r->vrf, .prefix = r->prefix, .distance = 1, .origin = 1, .n_nh = 1};
	bool front = r->to_front || r->vrf == CV_VRF_GLOBAL || (r->vrf > CUSTOMERS && r->vrf < FIRST_FAR) ||
		     r->vrf == VRF_FAR(0) || r->vrf > VRF_FAR(CUSTOMERS);
	unsigned last = r->to_front ? 2 + r->gateway : front ? LAN_GATEWAY_MAC : 2;
	char gw[64];

	snprintf(gw, sizeof(gw),
		r->prefix.addr.af == CV_AF_INET ? (front ? "192.0.2.%u" : "10.0.0.%u")
						: (front ? "2001:db8::%x" : "fd00::%x"),
		last);
	c.nh[0] = (struct cv_nexthop){.type = CV_NH_GATEWAY,
		.weight = 1,
		.vrf_id = r->to_front ? VRF_FRONT(r->front) : r->vrf}; /* VRF-12, VRF-50 */
	assert_int_equal(cv_addr_parse(gw, &c.nh[0].gw), 0);
	env_stage(CV_CMD_ROUTE_SET, &c, 0);
}

static void add_route(uint32_t vrf, bool near)
{
	struct route r = {.vrf = vrf, .prefix = some_prefix(some_af())};

	for (unsigned i = 0; i < model.n_route; i++)
		if (model.route[i].vrf == vrf && !memcmp(&model.route[i].prefix, &r.prefix, sizeof(r.prefix)))
			return;
	bool front = vrf == CV_VRF_GLOBAL || vrf > CUSTOMERS;

	r.to_front = near && (front || below(3));
	r.front = vrf == CV_VRF_GLOBAL ? 0 : front ? vrf - CUSTOMERS : below(FRONTS);
	r.gateway = below(PEERS);
	assert_true(model.n_route < ROUTES);
	model.route[model.n_route++] = r;
	route_command(&r);
}

static void some_range(uint8_t af, struct cv_range *r)
{
	struct cv_prefix p = some_prefix(af);

	r->lo = r->hi = p.addr;
	for (unsigned bit = p.len; bit < cv_addr_bits(&p.addr); bit++)
		r->hi.b[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
}

static void some_selector(struct cv_selector *s)
{
	uint8_t af = some_af();

	memset(s, 0, sizeof(*s));
	some_range(af, &s->src);
	some_range(af, &s->dst);
	s->sport_hi = s->dport_hi = UINT16_MAX;
	if (below(4) == 0) {
		s->proto = IPPROTO_UDP;
		s->dport_hi = (uint16_t)(s->dport_lo = (uint16_t)below(3));
	}
}

static void mirror_selector(const struct cv_selector *s, struct cv_selector *m)
{
	*m = (struct cv_selector){.src = s->dst,
		.dst = s->src,
		.sport_lo = s->dport_lo,
		.sport_hi = s->dport_hi,
		.dport_lo = s->sport_lo,
		.dport_hi = s->sport_hi,
		.proto = s->proto};
}

/* Rules often copy the selectors of the one before: equal access lists, different inside VRFs (VRF-7). */
static void some_rule(uint32_t front, unsigned n)
{
	unsigned i = front * RULES_PER_FRONT + n;
	struct rule *r = &model.rule[i];

	*r = (struct rule){.front = front, .peer = below(PEERS)};
	r->c = (struct cv_spd_rule){.spd_id = 1 + front,
		.rule_id = 1 + i,
		.prio = (uint64_t)(10 + n) << 32 | 1,
		.action = below(5) ? CV_SPD_PROTECT : CV_SPD_BYPASS + below(2),
		.vrf_id = below(8) ? 1 + below(CUSTOMERS) : VRF_FRONT(front)};
	if (n && below(2))
		r->c.sel = model.rule[i - 1].c.sel;
	else
		some_selector(&r->c.sel);
	if (r->c.action != CV_SPD_PROTECT && below(4) == 0)
		r->c.vrf_id = CV_VRF_ANY;
	r->has_sa = r->c.action == CV_SPD_PROTECT && below(6);
	mirror_selector(&r->c.sel, &r->in_sel);
	if (below(8) == 0)
		some_selector(&r->in_sel);
	env_stage(CV_CMD_SPD_RULE_SET, &r->c, 0);
}

static void add_sas(unsigned i)
{
	struct rule *r = &model.rule[i];
	struct cv_sa out = {.index = OUT_INDEX(i),
		.spi = (1 + below(1000)) << CV_SA_INDEX_BITS | IN_INDEX(i),
		.dir = CV_SA_OUT,
		.mode = CV_SA_TUNNEL,
		.ipproto = 50,
		.encr = below(2) ? CV_ENCR_AES128_GCM16 : CV_ENCR_AES128_CBC,
		.front_vrf = VRF_FRONT(r->front),
		.inside_vrf = r->c.vrf_id,
		.rule_id = r->c.rule_id,
		.n_sel = 1,
		.sel[0] = r->c.sel};
	bool v6 = below(4) == 0; /* of the outer header, in any combination with the inner one */
	char peer[32];

	snprintf(peer, sizeof(peer), v6 ? "2001:db8::%x" : "192.0.2.%u", 2 + r->peer);
	assert_int_equal(cv_addr_parse(v6 ? "2001:db8::1" : "192.0.2.1", &out.src), 0);
	assert_int_equal(cv_addr_parse(peer, &out.dst), 0);
	out.integ = out.encr == CV_ENCR_AES128_CBC ? CV_INTEG_HMAC_SHA256_128 : CV_INTEG_NONE;
	out.key_len = algo_key_len(out.encr, out.integ);
	for (unsigned k = 0; k < out.key_len; k++)
		out.key[k] = (uint8_t)(i + k); /* a packet read with another tunnel's SA would fail */
	r->spi = out.spi;
	struct cv_sa in = out;

	in.index = IN_INDEX(i);
	in.dir = CV_SA_IN;
	in.front_vrf = VRF_FAR(out.front_vrf);
	in.inside_vrf = VRF_FAR(out.inside_vrf);
	in.rule_id = 0;
	in.sel[0] = r->in_sel;
	env_stage(CV_CMD_SA_ADD, &out, 0);
	env_stage(CV_CMD_SA_ADD, &in, 0);
}

static void interface(uint32_t if_id, unsigned base, unsigned n, uint32_t vrf, const char *addr)
{
	if (TAGGED)
		env_vlan(if_id, IF_PARENT(base), (uint16_t)vlan_of(n), vrf, addr);
	else
		env_eth(if_id, port_of(base, n), vrf, addr);
}

static void interfaces(void)
{
	for (uint32_t vrf = 1; vrf < VRFS; vrf++)
		env_vrf(vrf);
	for (unsigned port = 0; TAGGED && port < PORTS; port++)
		env_eth(IF_PARENT(port), port, CV_VRF_GLOBAL, NULL);
	for (unsigned v = 1; v <= CUSTOMERS; v++) {
		interface(IF_LAN(v), PORT_LAN, v, v, "10.0.0.1/24");
		env_addr(IF_LAN(v), "fd00::1/64");
		interface(IF_FAR_LAN(v), PORT_FAR_LAN, v, VRF_FAR(v), "10.0.0.1/24");
		env_addr(IF_FAR_LAN(v), "fd00::1/64");
	}
	for (unsigned f = 0; f < FRONTS; f++) {
		interface(IF_FRONT(f), PORT_FRONT, f, VRF_FRONT(f), "192.0.2.1/24");
		env_addr(IF_FRONT(f), "2001:db8::1/64");
		interface(IF_FAR_FRONT(f), PORT_FAR_FRONT, f, VRF_FAR(VRF_FRONT(f)), NULL);
		for (unsigned p = 0; p < PEERS; p++) {
			char text[64];

			snprintf(text, sizeof(text), "192.0.2.%u/24", 2 + p);
			env_addr(IF_FAR_FRONT(f), text);
			snprintf(text, sizeof(text), "2001:db8::%x/64", 2 + p);
			env_addr(IF_FAR_FRONT(f), text);
		}
	}
}

static void neighbour(uint32_t if_id, bool front, unsigned last, unsigned mac)
{
	char text[64];

	snprintf(text, sizeof(text), front ? "192.0.2.%u" : "10.0.0.%u", last);
	env_neigh(if_id, text, (uint8_t)mac);
	snprintf(text, sizeof(text), front ? "2001:db8::%x" : "fd00::%x", last);
	env_neigh(if_id, text, (uint8_t)mac);
}

static void neighbours(void)
{
	for (unsigned v = 1; v <= CUSTOMERS; v++) {
		neighbour(IF_LAN(v), false, 2, v);
		neighbour(IF_FAR_LAN(v), false, 2, v);
	}
	for (unsigned f = 0; f < FRONTS; f++) {
		for (unsigned p = 0; p < PEERS; p++)
			neighbour(IF_FRONT(f), true, 2 + p, gateway_mac(f, p));
		neighbour(IF_FAR_FRONT(f), true, LAN_GATEWAY_MAC, LAN_GATEWAY_MAC);
	}
}

void configure(void)
{
	memset(&model, 0, sizeof(model));
	env_sync();
	interfaces();
	for (uint32_t vrf = 0; vrf < VRFS; vrf++)
		for (unsigned n = below(16); n > 0; n--)
			add_route(vrf, vrf < FIRST_FAR);
	for (unsigned f = 0; f < FRONTS; f++) {
		struct cv_spd spd = {.spd_id = 1 + f, .n_if = 1, .if_id = {IF_FRONT(f)}};

		env_stage(CV_CMD_SPD_SET, &spd, 0);
		for (unsigned n = 0; n < RULES_PER_FRONT; n++)
			some_rule(f, n);
	}
	for (unsigned i = 0; i < RULES; i++)
		if (model.rule[i].has_sa)
			add_sas(i);
	assert_int_equal(env_commit(), 0);
	neighbours();
	env_drain();
}

void change(void)
{
	for (unsigned n = 20; n > 0; n--) {
		unsigned i = below(model.n_route);
		struct cv_route_ref ref = {.vrf_id = model.route[i].vrf, .prefix = model.route[i].prefix};

		model.route[i] = model.route[--model.n_route];
		env_stage(CV_CMD_ROUTE_DEL, &ref, 0);
	}
	for (unsigned n = 10; n > 0; n--) {
		uint32_t vrf = below(VRFS);

		add_route(vrf, vrf < FIRST_FAR);
	}
	struct rule *r = &model.rule[below(RULES)];

	if (r->has_sa) {
		unsigned i = r->c.rule_id - 1;
		struct cv_sa_ref out = {.index = OUT_INDEX(i), .spi = r->spi}, in = {IN_INDEX(i), r->spi};

		r->has_sa = false;
		env_stage(CV_CMD_SA_DEL, &out, 0);
		env_stage(CV_CMD_SA_DEL, &in, 0);
	}
	assert_int_equal(env_commit(), 0);
}
