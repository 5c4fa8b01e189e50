/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sequences of messages between two engines that hold the right keys: the fuzzer decides what happens next and what
 * becomes of a packet under way, so that the state machines are met from the inside. The first byte chooses the
 * version, whether IKE_INTERMEDIATE and post-quantum keys are in use, and whether there are children for each worker
 * and a lifetime of authentications; each pair of bytes after it is an operation
 * and its argument. Nothing may crash, leak or lose count: at the end every negotiation comes to its end by itself, and
 * the counts of admission control agree with the tables.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/ike_net.h"
#include "../unit/ike_proposals.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 200u

static struct {
	const uint8_t *p;
	size_t left;
	unsigned meddle; /* packets still to be meddled with */
	uint8_t kept[2][4096];
	size_t kept_len[2];
} in;

static uint8_t next(void)
{
	if (!in.left)
		return 0;
	in.left--;
	return *in.p++;
}

/* The fate of a packet: lost, changed in one octet, kept for later, or as it is. */
static bool on_the_way(struct net *net, unsigned from, uint8_t *data, size_t len)
{
	(void)net;
	if (len <= sizeof(in.kept[0])) {
		memcpy(in.kept[from & 1], data, len);
		in.kept_len[from & 1] = len;
	}
	if (!in.meddle)
		return true;
	in.meddle--;
	uint8_t how = next();
	if (how % 4 == 1)
		return false;
	if (how % 4 == 2 && len)
		data[(next() | (size_t)next() << 8) % len] ^= (uint8_t)(1u << (how >> 5));
	return true;
}

/* A packet of before once more, perhaps changed, from the place of the other or from nowhere. */
static void replay(struct net *net, uint8_t arg)
{
	unsigned from = arg & 1;
	struct ike_path path = {
		.local = net->node[!from].addr, .remote = net->node[from].addr, .lport = 500, .rport = 500};
	uint8_t copy[sizeof(in.kept[0])];
	size_t len = in.kept_len[from];
	if (!len)
		return;
	memcpy(copy, in.kept[from], len);
	if (arg & 2)
		copy[next() % len] ^= next();
	if (arg & 4)
		path.remote.b[3] ^= 0x80;
	net_inject(net, !from, &path, copy, len);
}

/*
 * IKEv2 with what may come between IKE_SA_INIT and IKE_AUTH: additional key exchanges, a post-quantum key; and with
 * puzzles before it. Rekeys and further children have additional key exchanges, too (IKE_FOLLOWUP_KE).
 */
static void layered(struct cv_config *c, unsigned node)
{
	struct cfg_ike_profile *p = c->ike_profile;
	c->puzzle_threshold = node ? CFG_PUZZLE_NEVER : 0;
	c->puzzle_difficulty = 2;
	ike_proposal_three_exchanges(c);
	c->ppk = config_alloc(c, 1, sizeof(*c->ppk));
	c->n_ppk = 1;
	c->ppk->id = node ? "spoke" : "hub"; /* unknown to the other: NO_PPK_AUTH is looked at */
	c->ppk->key.p = config_secret(c, "0123456789abcdef0123456789abcdef", 32);
	c->ppk->key.len = 32;
	p->ppk_mode = CFG_PPK_OPTIONAL;
	p->ppk = config_alloc(c, 1, sizeof(*p->ppk));
	p->ppk[p->n_ppk++] = c->ppk->id;
}

/* IKEv2 with children for each worker (RFC 9611) and an authentication that is to be renewed (RFC 4478). */
static void per_resource(struct cv_config *c, unsigned node)
{
	c->ike_profile->per_resource = node ? 3 : 2;
	c->ike_profile->auth_lifetime_s = node ? 0 : 300;
}

static void layered_per_resource(struct cv_config *c, unsigned node)
{
	layered(c, node);
	per_resource(c, node);
}

static void other_config(struct cv_config *c, unsigned node)
{
	(void)node;
	c->ike_profile->lifetime_s = 120;
	c->cac = (struct cfg_cac){.ike_sa = 1, .scale = 100, .poll_s = 1};
}

static void clear(struct net *net, uint8_t arg)
{
	struct ike_match m = {.fvrf = -1, .ivrf = -1};
	ike_clear(net->node[arg & 1].ike, &m);
}

static void step(struct net *net, enum cfg_ike_version version, uint8_t op, uint8_t arg)
{
	if (op > 250) {
		ike_child_resource(net->node[arg & 1].ike, 1u + (arg >> 3), 1u + (arg >> 1 & 3u));
		return;
	}
	switch (op % 11) {
	case 0:
		net_acquire(net, arg & 1, 0);
		break;
	case 1:
		net_deliver(net, 1u + arg % 8);
		break;
	case 2:
		net_run(net, 1u + arg * 10u);
		break;
	case 3:
		net_run(net, arg * 10000ull);
		break;
	case 4:
		in.meddle = 1u + arg % 4;
		break;
	case 5:
		replay(net, arg);
		break;
	case 6:
		clear(net, arg);
		break;
	case 7:
		ike_child_expire(net->node[arg & 1].ike, 1u + (arg >> 2), arg & 2);
		break;
	case 8:
		ike_children_lost(net->node[arg & 1].ike);
		break;
	case 9:
		net_reconfigure(net, arg & 1, version, arg & 2 ? other_config : NULL);
		break;
	default:
		ike_peer_moved(
			net->node[arg & 1].ike, 1u + (arg >> 2), &net->node[!(arg & 1)].addr, (uint16_t)(4000 + arg));
	}
}

/* What the gauges say is what the tables hold. */
static void check(const struct net *net)
{
	for (unsigned i = 0; i < net->n; i++) {
		struct ike_cac_stats s;
		unsigned active = 0, open = 0;
		size_t k;
		json_t *sas = ike_show_sas(net->node[i].ike, 0), *sa;
		ike_cac_stats(net->node[i].ike, &s);
		json_array_foreach (sas, k, sa) {
			const char *phase = json_string_value(json_object_get(sa, "phase"));
			active += strcmp(phase, "established") == 0;
			open += strcmp(phase, "half-open") == 0;
		}
		json_decref(sas);
		if (s.active < active || s.negotiating < open || s.active + s.negotiating > 1000)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	enum cfg_ike_version version = data[0] & 1 ? CFG_IKEV2 : CFG_IKEV1;
	memset(&in, 0, sizeof(in));
	in.p = data + 1;
	in.left = size - 1;
	static void (*const tweak[4])(struct cv_config *, unsigned) = {
		NULL, layered, per_resource, layered_per_resource};
	struct net *net = net_new(2, version, version == CFG_IKEV2 ? tweak[data[0] >> 1 & 3] : NULL);
	net->filter = on_the_way;
	for (unsigned n = 0; in.left && n < STEPS_MAX; n++) {
		uint8_t op = next(), arg = next();
		step(net, version, op, arg);
		check(net);
	}
	in.meddle = 0;
	net->filter = NULL;
	net_run(net, 400000); /* every retransmission and every patience ends */
	check(net);
	net_free(net);
	return 0;
}
