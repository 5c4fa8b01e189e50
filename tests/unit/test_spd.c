/* SPDX-License-Identifier: BSD-3-Clause */
/* Transactions of policies against a model of them: seeded random commands, some of which are refused. */
#include "ipsec_rig.h"

#define SPDS 3u
#define IDS 120u /* rule ids 1..IDS-1: few, so that they are changed, moved, removed and set back */
#define OPS 8u
#define ROUNDS 4000u

static unsigned seed = 20261121;

/* What the dataplane should hold. A rule with spd_id 0 is not there. */
struct model {
	bool spd[SPDS + 1];
	struct cv_spd_rule rule[IDS];
};

struct op {
	struct rig_cmd cmd;
	union {
		struct cv_spd spd;
		struct cv_spd_rule rule;
		struct cv_spd_rule_ref ref;
	} u;
};

static uint32_t below(uint32_t n)
{
	return (uint32_t)random() % n;
}

/* SPD k is on interface k, always. */
static void some_op(struct op *o)
{
	uint32_t spd = 1 + below(SPDS), id = 1 + below(IDS - 1), kind = below(40);
	memset(&o->u, 0, sizeof(o->u));
	o->cmd.body = &o->u;
	if (kind < 25) {
		o->cmd.type = CV_CMD_SPD_RULE_SET;
		o->u.rule = (struct cv_spd_rule){.spd_id = below(4) ? 1 + id % SPDS : spd,
			.rule_id = id,
			.prio = (uint64_t)below(3) << 32 | below(20),
			.action = 1 + below(3),
			.vrf_id = CV_VRF_ANY};
		rig_sel(&o->u.rule.sel, "10.1.0.0", "10.1.0.255", "10.2.0.0", "10.2.0.255");
		o->u.rule.sel.src.lo.b[3] = (uint8_t)below(4);
		if (below(2))
			o->u.rule.sel.src.hi.b[3] = (uint8_t)(o->u.rule.sel.src.lo.b[3] + below(2));
	} else if (kind < 36) {
		o->cmd.type = CV_CMD_SPD_RULE_DEL;
		o->u.ref = (struct cv_spd_rule_ref){.spd_id = 1 + id % SPDS, .rule_id = id};
	} else if (kind < 39) {
		o->cmd.type = CV_CMD_SPD_SET;
		o->u.spd = (struct cv_spd){.spd_id = spd, .n_if = 1, .if_id = {spd}};
	} else {
		o->cmd.type = CV_CMD_SPD_DEL;
		o->u.spd.spd_id = spd;
	}
}

/* False: refused. */
static bool model_apply(struct model *m, const struct op *o)
{
	const struct cv_spd_rule *r = &o->u.rule;
	switch (o->cmd.type) {
	case CV_CMD_SPD_RULE_SET:
		if (!m->spd[r->spd_id] || (m->rule[r->rule_id].spd_id && m->rule[r->rule_id].spd_id != r->spd_id))
			return false;
		m->rule[r->rule_id] = *r;
		return true;
	case CV_CMD_SPD_RULE_DEL:
		if (!m->spd[o->u.ref.spd_id] || m->rule[o->u.ref.rule_id].spd_id != o->u.ref.spd_id)
			return false;
		memset(&m->rule[o->u.ref.rule_id], 0, sizeof(*r));
		return true;
	case CV_CMD_SPD_SET:
		m->spd[o->u.spd.spd_id] = true;
		return true;
	default:
		if (!m->spd[o->u.spd.spd_id])
			return false;
		m->spd[o->u.spd.spd_id] = false;
		for (uint32_t id = 1; id < IDS; id++)
			if (m->rule[id].spd_id == o->u.spd.spd_id)
				memset(&m->rule[id], 0, sizeof(*r));
		return true;
	}
}

static bool refuses(const struct model *m, const struct op *o)
{
	struct model copy = *m;
	return !model_apply(&copy, o);
}

static bool before(const struct cv_spd_rule *a, const struct cv_spd_rule *b)
{
	return a->prio != b->prio ? a->prio < b->prio : a->rule_id < b->rule_id;
}

/* The first rule of an SPD that takes a flow from 10.1.0.host, 0 = none. */
static uint32_t model_lookup(const struct model *m, uint32_t spd, uint8_t host)
{
	const struct cv_spd_rule *best = NULL;
	for (uint32_t id = 1; id < IDS; id++) {
		const struct cv_spd_rule *r = &m->rule[id];
		if (r->spd_id == spd && r->sel.src.lo.b[3] <= host && host <= r->sel.src.hi.b[3] &&
			(!best || before(r, best)))
			best = r;
	}
	return best ? best->rule_id : 0;
}

static void check_lookups(const struct model *m, uint32_t spd)
{
	const struct spd_class *c = spd_on_interface(spd);
	assert_int_equal(c != NULL, m->spd[spd]);
	for (uint8_t host = 0; c && host < 8; host++) {
		const struct flow f = {.src = 0x0a010000u + host, .dst = 0x0a020001u, .af = CV_AF_INET, .proto = 17};
		const struct spd_rule *r = spd_class_lookup(c, &f);
		assert_int_equal(r ? r->rule_id : 0, model_lookup(m, spd, host));
	}
}

/* Every rule once, in the order of evaluation, as it was set last. */
static void check_dump(const struct model *m, uint32_t spd)
{
	static struct cv_dump_reply out;
	const struct cv_cmd_dump req = {.kind = CV_DUMP_SPD, .scope = spd};
	const struct cv_spd_rule_entry *e = (const void *)out.entries;
	uint32_t n = 0;
	spd_dump(&req, &out);
	for (uint32_t id = 1; id < IDS; id++) {
		const struct spd_rule *r = spd_rule_get(id);
		assert_int_equal(r != NULL, m->rule[id].spd_id != 0);
		if (r)
			assert_memory_equal(&r->conf, &m->rule[id], sizeof(r->conf));
		n += m->rule[id].spd_id == spd;
	}
	assert_int_equal(out.n, n);
	for (uint32_t i = 0; i + 1 < n; i++)
		assert_true(before(&m->rule[e[i].rule_id], &m->rule[e[i + 1].rule_id]));
}

/* All or nothing (IPSEC-29, 41 for the order): whatever a transaction did to the rules, what workers see afterwards is
 * the model, and what was refused has changed nothing. */
static void transactions_come_to_what_their_commands_say(void **state)
{
	(void)state;
	static struct model now, next;
	uint32_t refused = 0, synced = 0;
	srandom(seed);
	print_message("seed %u\n", seed);
	memset(&now, 0, sizeof(now));
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct op op[OPS];
		struct rig_cmd cmd[OPS];
		bool sync = below(20) == 0, ok = true;
		uint32_t n = 1 + below(OPS);
		next = now;
		if (sync)
			memset(&next, 0, sizeof(next));
		for (uint32_t i = 0; i < n; i++) {
			some_op(&op[i]);
			for (uint32_t tries = 0; tries < 6 && refuses(&next, &op[i]); tries++) /* most are good */
				some_op(&op[i]);
			cmd[i] = op[i].cmd;
			ok = ok && model_apply(&next, &op[i]);
		}
		assert_int_equal(rig_transaction(sync, cmd, n) == 0, ok);
		if (ok)
			now = next;
		refused += !ok;
		synced += sync && ok;
		for (uint32_t spd = 1; spd <= SPDS; spd++) {
			check_lookups(&now, spd);
			check_dump(&now, spd);
		}
	}
	print_message("%u of %u refused\n", refused, ROUNDS);
	assert_true(refused > ROUNDS / 20 && refused < ROUNDS / 20 * 19 && synced > 5);
}

static int setup(void **state)
{
	(void)state;
	return rig_init(0);
}

static int teardown(void **state)
{
	(void)state;
	return rig_transaction(true, NULL, 0);
}

/* The class of both families' headers (RFC 791, RFC 8200 3). */
static void dscp_of_headers(void **state)
{
	(void)state;
	assert_int_equal(flow_dscp((const uint8_t[]){0x45, 46 << 2 | 3}), 46);
	assert_int_equal(flow_dscp((const uint8_t[]){0x6b, 0xbf}), 46);
	assert_int_equal(flow_dscp((const uint8_t[]){0x60, 0x3f}), 0);
	assert_int_equal(flow_dscp((const uint8_t[]){0x6f, 0xcf}), 63);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seed = (unsigned)strtoul(argv[1], NULL, 0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dscp_of_headers),
		rig_test(transactions_come_to_what_their_commands_say),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
