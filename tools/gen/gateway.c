/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cv_addr.h"
#include "cv_secret.h"

#define GEN_REPLY_TIMEOUT_S 20

const struct rte_ether_addr gen_gw_mac[2] = {{{0x02, 0xcf, 0, 0, 1, 1}}, {{0x02, 0xcf, 0, 0, 2, 1}}};
const struct rte_ether_addr gen_mac[2] = {{{0x02, 0xcf, 0, 0, 1, 2}}, {{0x02, 0xcf, 0, 0, 2, 2}}};

/* What answers are there. -EPROTO once a command was refused, else 0. */
static int poll_replies(struct gen_gateway *gw)
{
	struct cv_msg m;
	while (cv_chan_recv(gw->ch, &m) == 1) {
		if (m.h.type != CV_REPLY)
			continue;
		struct cv_reply r;
		memcpy(&r, m.body, sizeof(r));
		if (r.err && !gw->failed[0])
			(void)snprintf(gw->failed, sizeof(gw->failed), "command %u: error %u %s", r.cmd, r.err, r.text);
		gw->answered = m.h.seq;
	}
	return gw->failed[0] ? -EPROTO : 0;
}

static int take_replies(struct gen_gateway *gw, uint64_t until)
{
	struct timespec nap = {0, 200000};
	for (unsigned tries = 0; tries < GEN_REPLY_TIMEOUT_S * 5000; tries++) {
		int rc = poll_replies(gw);
		if (gw->answered >= until)
			return rc;
		(void)nanosleep(&nap, NULL);
	}
	(void)snprintf(gw->failed, sizeof(gw->failed), "no answer from the dataplane");
	return -ETIMEDOUT;
}

static int command(struct gen_gateway *gw, enum cv_msg_type type, const void *body, size_t len)
{
	struct cv_msg m = {.h = {.type = (uint16_t)type, .len = (uint32_t)(sizeof(m.h) + len), .seq = ++gw->seq}};
	if (len)
		memcpy(m.body, body, len);
	int rc = cv_chan_send(gw->ch, &m);
	cv_secret_zero(&m, sizeof(m));
	if (rc)
		return rc;
	/* Answers wait in a bounded ring too: collect them before it can fill up. */
	if (++gw->unanswered < CV_CHAN_CMD_SLOTS / 4)
		return 0;
	gw->unanswered = 0;
	return take_replies(gw, gw->seq);
}

int gen_gateway_open(const struct gen_opts *o, struct gen_gateway **out)
{
	struct gen_gateway *gw = calloc(1, sizeof(*gw));
	if (!gw)
		return -ENOMEM;
	int vault = -1;
	gw->o = o;
	int rc = cv_chan_connect(o->dataplane_socket, -1, &gw->ch, &vault);
	if (rc) {
		free(gw);
		return rc;
	}
	struct cv_cmd_hello h = {0};
	rc = command(gw, CV_CMD_HELLO, &h, sizeof(h));
	if (!rc)
		rc = take_replies(gw, gw->seq);
	*out = gw;
	return rc;
}

static struct cv_addr ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct cv_addr){.af = CV_AF_INET, .b = {a, b, c, d}};
}

static int push_interface(struct gen_gateway *gw, unsigned i)
{
	struct cv_port port = {.port_id = i, .rx_queues = (uint16_t)gw->o->workers, .rx_desc = 2048, .tx_desc = 2048};
	(void)snprintf(port.name, sizeof(port.name), "gen%u", i);
	(void)snprintf(port.devargs, sizeof(port.devargs),
		"net_memif%u,role=client,id=0,bsize=2048,rsize=11,socket=%s/gen%u.sock,socket-abstract=no", i,
		gw->o->memif_dir, i);
	struct cv_if ifc = {
		.if_id = i + 1, .type = CV_IF_ETHERNET, .port_id = i, .mtu = 1600, .admin_up = 1, .has_mac = 1};
	memcpy(ifc.mac, gen_gw_mac[i].addr_bytes, sizeof(ifc.mac));
	(void)snprintf(ifc.name, sizeof(ifc.name), "gen%u", i);
	struct cv_if_addr a = {.if_id = i + 1, .addr = ip4(192, 168, (uint8_t)(i + 1), 1), .plen = 24};
	int rc = command(gw, CV_CMD_PORT_ATTACH, &port, sizeof(port));
	if (!rc)
		rc = command(gw, CV_CMD_IF_SET, &ifc, sizeof(ifc));
	return rc ? rc : command(gw, CV_CMD_IF_ADDR_ADD, &a, sizeof(a));
}

int gen_gateway_post(struct gen_gateway *gw, enum cv_msg_type type, const void *body, size_t len)
{
	gw->unanswered = 0; /* command() must not wait */
	return command(gw, type, body, len);
}

int gen_gateway_answers(struct gen_gateway *gw, bool wait)
{
	return wait ? take_replies(gw, gw->seq) : poll_replies(gw) < 0 ? -EPROTO : 0;
}

/* Traffic runs 10.1/16 -> 10.2/16. It enters inside and leaves outside, except decapsulated packets, which enter
 * outside. */
void gen_gateway_route(enum gen_mode mode, struct cv_route *r)
{
	unsigned out = mode == GEN_ESP_IN ? 0 : 1;
	*r = (struct cv_route){
		.vrf_id = CV_VRF_GLOBAL, .prefix = {.addr = ip4(10, 2, 0, 0), .len = 16}, .distance = 1, .n_nh = 1};
	r->nh[0] = (struct cv_nexthop){
		.type = CV_NH_GATEWAY, .weight = 1, .if_id = out + 1, .gw = ip4(192, 168, (uint8_t)(out + 1), 2)};
}

static struct cv_selector flow(unsigned i)
{
	struct cv_selector s;
	cv_selector_any(&s, CV_AF_INET);
	struct cv_prefix net = {.addr = ip4(10, 1, 0, 0), .len = 16};
	cv_prefix_to_range(&net, &s.src);
	s.dst.lo = s.dst.hi = ip4(10, 2, (uint8_t)(i >> 8), (uint8_t)i);
	return s;
}

void gen_gateway_rule(enum gen_mode mode, unsigned i, struct cv_spd_rule *rule)
{
	struct cv_selector sel = flow(i), mirrored;
	cv_selector_mirror(&sel, &mirrored);
	*rule = (struct cv_spd_rule){.spd_id = GEN_SPD,
		.rule_id = i + 1,
		.prio = 2ull << 32 | (i + 1),
		.action = CV_SPD_PROTECT,
		.flags = CV_RULE_NO_ACQUIRE,
		.vrf_id = CV_VRF_ANY,
		.sel = mode == GEN_ESP_IN ? mirrored : sel};
}

/* The index of the SA that receives on an SPI is in its low bits; sender and receiver are the same box in turn. */
static uint32_t sa_number(unsigned i, unsigned generation)
{
	return i + 1 + generation * 2 * GEN_TUNNELS_MAX;
}

unsigned gen_gateway_tunnel(uint32_t spi)
{
	return ((spi & (CV_SA_MAX - 1)) - 1) % (2 * GEN_TUNNELS_MAX);
}

void gen_gateway_sa(const struct gen_gateway *gw, enum gen_mode mode, unsigned i, unsigned generation, struct cv_sa *sa)
{
	struct cv_spd_rule rule;
	bool in = mode == GEN_ESP_IN;
	uint32_t number = sa_number(i, generation);
	gen_gateway_rule(mode, i, &rule);
	*sa = (struct cv_sa){.index = number + (in ? 0 : CV_SA_MAX / 2),
		.spi = (1u << CV_SA_INDEX_BITS) | number,
		.dir = in ? CV_SA_IN : CV_SA_OUT,
		.mode = CV_SA_TUNNEL,
		.ipproto = 50,
		.encr = gw->o->suite.encr,
		.integ = gw->o->suite.integ,
		.flags = in ? CV_SA_F_NO_REPLAY : 0,
		.rule_id = rule.rule_id,
		.src = ip4(192, 168, 2, in ? 2 : 1),
		.dst = ip4(192, 168, 2, in ? 1 : 2),
		.n_sel = 1,
		.key_len = algo_key_len(gw->o->suite.encr, gw->o->suite.integ)};
	sa->sel[0] = rule.sel;
	for (unsigned k = 0; k < sa->key_len; k++) /* a published bench key, different for every SA */
		sa->key[k] = (uint8_t)(k * 7 + i * 13 + (i >> 8) + generation * 101);
}

static int push_tunnel(struct gen_gateway *gw, enum gen_mode mode, unsigned i, unsigned generation)
{
	struct cv_spd_rule rule;
	struct cv_sa sa;
	gen_gateway_rule(mode, i, &rule);
	gen_gateway_sa(gw, mode, i, generation, &sa);
	int rc = command(gw, CV_CMD_SPD_RULE_SET, &rule, sizeof(rule));
	if (!rc)
		rc = command(gw, CV_CMD_SA_ADD, &sa, sizeof(sa));
	cv_secret_zero(&sa, sizeof(sa));
	return rc;
}

static int push_all(struct gen_gateway *gw, enum gen_mode mode, unsigned generation)
{
	struct cv_cmd_txn t = {.flags = CV_TXN_SYNC};
	struct cv_platform p = {.workers = gw->o->workers, .poll_mode = CV_POLL_BUSY};
	int rc = command(gw, CV_CMD_TXN_BEGIN, &t, sizeof(t));
	if (!rc)
		rc = command(gw, CV_CMD_PLATFORM_SET, &p, sizeof(p));
	for (unsigned i = 0; i < 2 && !rc; i++)
		rc = push_interface(gw, i);
	struct cv_route route;
	gen_gateway_route(mode, &route);
	if (!rc)
		rc = command(gw, CV_CMD_ROUTE_SET, &route, sizeof(route));
	if (mode != GEN_PLAIN && !rc) {
		struct cv_spd spd = {.spd_id = GEN_SPD, .n_if = 1, .if_id = {GEN_OUTSIDE_IF}};
		rc = command(gw, CV_CMD_SPD_SET, &spd, sizeof(spd));
		for (unsigned i = 0; i < gw->o->n_sa && !rc; i++)
			rc = push_tunnel(gw, mode, i, generation);
	}
	return rc ? rc : command(gw, CV_CMD_TXN_COMMIT, NULL, 0);
}

int gen_gateway_setup(struct gen_gateway *gw, enum gen_mode mode, unsigned generation)
{
	gw->failed[0] = 0;
	gw->unanswered = 0;
	gw->mode = mode;
	for (unsigned i = 0; i < GEN_TUNNELS_MAX; i++)
		gw->generation[i] = (uint8_t)generation;
	int rc = push_all(gw, mode, generation);
	if (!rc)
		rc = take_replies(gw, gw->seq);
	if (rc)
		(void)fprintf(stderr, "culvert-gen: the gateway refused its configuration: %s\n", gw->failed);
	return rc;
}

void gen_gateway_cycles(const struct gen_gateway *gw, uint64_t *busy_cycles, uint64_t *packets)
{
	const struct cv_stats_segment *s = cv_chan_stats(gw->ch);
	*busy_cycles = *packets = 0;
	for (unsigned i = 1; i < CV_WRITERS; i++) {
		*busy_cycles += s->writer[i].busy_cycles;
		*packets += s->writer[i].rx_packets;
	}
}

void gen_gateway_drops(const struct gen_gateway *gw, uint64_t drops[static CV_DROP_MAX])
{
	const struct cv_stats_segment *s = cv_chan_stats(gw->ch);
	memset(drops, 0, CV_DROP_MAX * sizeof(drops[0]));
	for (unsigned i = 0; i < CV_WRITERS; i++)
		for (unsigned k = 0; k < CV_DROP_MAX; k++)
			drops[k] += s->writer[i].drops[k];
}

const char *gen_gateway_drop_name(const struct gen_gateway *gw, unsigned reason)
{
	const struct cv_stats_segment *s = cv_chan_stats(gw->ch);
	return reason < s->n_drops && reason < CV_DROP_MAX ? s->drop_name[reason] : "";
}

void gen_gateway_close(struct gen_gateway *gw)
{
	struct cv_cmd_txn t = {.flags = CV_TXN_SYNC};
	(void)command(gw, CV_CMD_TXN_ABORT, NULL, 0); /* of a setup that failed half way; refused when there is none */
	(void)take_replies(gw, gw->seq);
	gw->failed[0] = 0;
	/* An empty SYNC transaction sweeps everything, the ports included. */
	if (!command(gw, CV_CMD_TXN_BEGIN, &t, sizeof(t)) && !command(gw, CV_CMD_TXN_COMMIT, NULL, 0) &&
		take_replies(gw, gw->seq))
		(void)fprintf(stderr, "culvert-gen: could not clear the gateway: %s\n", gw->failed);
	cv_chan_close(gw->ch);
	free(gw);
}
