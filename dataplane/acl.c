/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transaction notes its commands; prepare() gives each list that they concern a successor, with the lines of the old
 * one and the changes, and compiles it; publish() swaps one pointer. Numbers of counters are unique in the box: one
 * that is given up is set to zero when no worker can count with it any more.
 */
#include "acl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl_log.h"
#include "cv_array.h"
#include "worker.h"

struct line {
	struct spd_rule rule;
	uint32_t order; /* of the commands: the last one about a counter is in force */
	bool gone;
};

struct acl {
	uint32_t id, counter;
	uint32_t n, cap;
	struct line *line; /* once compiled: by counter, without those that are gone */
	struct spd_class *class;
};

/* What workers see. */
struct acl_view {
	struct {
		const struct spd_class *class;
		uint32_t counter;
	} by_id[CV_ACL_MAX];
};

struct op {
	uint16_t type;
	union {
		struct cv_acl acl;
		struct cv_acl_line line;
	} u;
};

static const struct acl_view no_lists;
static const struct acl_view *view = &no_lists;
static struct acl *live[CV_ACL_MAX];

static struct {
	struct op *op;
	uint32_t n, cap;
	bool sync, open, removes;     /* open: list[] is filled in */
	struct acl *list[CV_ACL_MAX]; /* an object of live[] = unchanged */
	struct acl_view *view;
} txn;

const struct spd_class *acl_class(uint32_t acl_id)
{
	return acl_id < CV_ACL_MAX ? __atomic_load_n(&view, __ATOMIC_ACQUIRE)->by_id[acl_id].class : NULL;
}

uint32_t acl_counter(uint32_t acl_id)
{
	return acl_id < CV_ACL_MAX ? __atomic_load_n(&view, __ATOMIC_ACQUIRE)->by_id[acl_id].counter : 0;
}

bool acl_prepared(uint32_t acl_id)
{
	return acl_id < CV_ACL_MAX && (txn.open ? txn.list[acl_id] : live[acl_id]) != NULL;
}

bool acl_changing(void)
{
	return txn.open && txn.removes;
}

static void acl_free(void *arg)
{
	struct acl *a = arg;

	spd_class_free(a->class);
	free(a->line);
	free(a);
}

static int fail(char *text, enum cv_err err, const char *what, uint32_t id)
{
	snprintf(text, 128, "access list: %s %u", what, id);
	return err;
}

/* ---- stage ---- */

static int acl_stage(uint16_t type, const void *body, char *text)
{
	struct op *p = cv_array_room(txn.op, txn.n, &txn.cap, sizeof(*p));

	if (!p)
		return fail(text, CV_ERR_NO_MEMORY, "no memory for change", txn.n);
	txn.op = p;
	struct op *o = &txn.op[txn.n];

	*o = (struct op){.type = type};
	switch (type) {
	case CV_CMD_ACL_SET:
		o->u.acl = *(const struct cv_acl *)body;
		break;
	case CV_CMD_ACL_DEL: /* the id alone */
		memcpy(&o->u.acl.acl_id, body, sizeof(o->u.acl.acl_id));
		break;
	case CV_CMD_ACL_LINE_SET:
		o->u.line = *(const struct cv_acl_line *)body;
		break;
	case CV_CMD_ACL_LINE_DEL:
		o->u.line.ref = *(const struct cv_acl_line_ref *)body;
		break;
	default:
		return fail(text, CV_ERR_MALFORMED, "unexpected command", type);
	}
	txn.n++;
	return CV_OK;
}

static void acl_sync(void)
{
	txn.sync = true;
}

/* ---- prepare ---- */

/* The transaction's own version of a list; NULL when out of memory. */
static struct acl *own(uint32_t id)
{
	struct acl *old = txn.list[id];

	if (old && old != live[id])
		return old;
	struct acl *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->id = id;
	if (old) {
		a->counter = old->counter;
		a->n = a->cap = old->n;
		a->line = malloc((old->n + 1) * sizeof(*a->line));
		if (!a->line) {
			free(a);
			return NULL;
		}
		if (old->n)
			memcpy(a->line, old->line, old->n * sizeof(*a->line));
	}
	return txn.list[id] = a;
}

static int list_set(const struct cv_acl *c, char *text)
{
	struct acl *a = own(c->acl_id);

	if (!a)
		return fail(text, CV_ERR_NO_MEMORY, "no memory for", c->acl_id);
	a->counter = c->counter;
	return CV_OK;
}

static int list_del(uint32_t id, char *text)
{
	if (id >= CV_ACL_MAX || !txn.list[id])
		return fail(text, CV_ERR_NOT_FOUND, "there is none of number", id);
	if (txn.list[id] != live[id])
		acl_free(txn.list[id]);
	txn.list[id] = NULL;
	return CV_OK;
}

static void rule_fill(struct spd_rule *r, const struct cv_acl_line *c)
{
	*r = (struct spd_rule){.rule_id = c->ref.counter,
		.vrf = CV_VRF_ANY,
		.action = c->permit ? CV_SPD_BYPASS : CV_SPD_DISCARD,
		.prio = c->seq,
		.dscp = c->dscp ? c->dscp : UINT64_MAX,
		.wide = c->permit,
		.flags = c->log ? ACL_LINE_LOG : 0};
	flow_sel_from(&c->sel, &r->sel);
}

static int line_change(const struct op *o, uint32_t order, char *text)
{
	const struct cv_acl_line *c = &o->u.line;
	struct acl *a = c->ref.acl_id < CV_ACL_MAX && txn.list[c->ref.acl_id] ? own(c->ref.acl_id) : NULL;

	if (!a)
		return fail(text, CV_ERR_NOT_FOUND, "no list for a line:", c->ref.acl_id);
	struct line *p = cv_array_room(a->line, a->n, &a->cap, sizeof(*p));

	if (!p)
		return fail(text, CV_ERR_NO_MEMORY, "no memory for lines of", a->id);
	a->line = p;
	struct line *l = &a->line[a->n++];

	rule_fill(&l->rule, c);
	l->order = order;
	l->gone = o->type == CV_CMD_ACL_LINE_DEL;
	return CV_OK;
}

static int apply(const struct op *o, uint32_t order, char *text)
{
	switch (o->type) {
	case CV_CMD_ACL_SET:
		return list_set(&o->u.acl, text);
	case CV_CMD_ACL_DEL:
		return list_del(o->u.acl.acl_id, text);
	default:
		return line_change(o, order, text);
	}
}

static int by_counter(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->rule.rule_id != y->rule.rule_id)
		return x->rule.rule_id < y->rule.rule_id ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Of the lines with one counter the last is in force. */
static void settle(struct acl *a)
{
	uint32_t keep = 0;

	if (a->n)
		qsort(a->line, a->n, sizeof(*a->line), by_counter);
	for (uint32_t i = 0; i < a->n; i++) {
		struct line *l = &a->line[i];
		const bool last = i + 1 == a->n || l[1].rule.rule_id != l->rule.rule_id;

		l->order = 0; /* older than any command of a later transaction */
		if (last && !l->gone)
			a->line[keep++] = *l;
	}
	a->n = keep;
}

static int compile(struct acl *a, char *text)
{
	settle(a);
	struct spd_rule **rule = malloc((a->n + 1) * sizeof(*rule));

	for (uint32_t i = 0; rule && i < a->n; i++)
		rule[i] = &a->line[i].rule;
	if (rule)
		spd_rules_sort(rule, a->n);
	a->class = rule ? spd_class_build(rule, a->n) : NULL;
	free(rule);
	return a->class ? CV_OK : fail(text, CV_ERR_NO_MEMORY, "no memory to compile", a->id);
}

/* False: it was in the set. */
static bool counter_take(struct acl_counters *c, uint32_t n)
{
	const bool first = !acl_counters_has(c, n);

	c->bit[n / 8] |= (uint8_t)(1u << n % 8);
	return first;
}

/* What lists count with. False: a number is used twice. */
static bool counters_of(struct acl *const *list, struct acl_counters *c)
{
	bool unique = true;

	memset(c, 0, sizeof(*c));
	for (uint32_t id = 1; id < CV_ACL_MAX; id++) {
		const struct acl *a = list[id];

		if (!a)
			continue;
		unique &= counter_take(c, a->counter);
		for (uint32_t i = 0; i < a->n; i++)
			unique &= counter_take(c, a->line[i].rule.rule_id);
	}
	return unique;
}

static int view_build(char *text)
{
	struct acl_counters used;

	if (!counters_of(txn.list, &used))
		return fail(text, CV_ERR_EXISTS, "two count with one number, of lists up to", CV_ACL_MAX - 1);
	txn.view = calloc(1, sizeof(*txn.view));
	if (!txn.view)
		return fail(text, CV_ERR_NO_MEMORY, "no memory for lists up to", CV_ACL_MAX - 1);
	for (uint32_t id = 1; id < CV_ACL_MAX; id++) {
		const struct acl *a = txn.list[id];

		txn.removes |= live[id] && !a;
		if (!a)
			continue;
		txn.view->by_id[id].class = a->class;
		txn.view->by_id[id].counter = a->counter;
	}
	return CV_OK;
}

static int acl_prepare(char *text)
{
	int err = CV_OK;

	if (!txn.n && !txn.sync)
		return CV_OK;
	txn.open = true;
	if (!txn.sync)
		memcpy(txn.list, live, sizeof(live));
	for (uint32_t i = 0; !err && i < txn.n; i++)
		err = apply(&txn.op[i], i + 1, text);
	for (uint32_t id = 1; !err && id < CV_ACL_MAX; id++)
		if (txn.list[id] && txn.list[id] != live[id])
			err = compile(txn.list[id], text);
	return err ? err : view_build(text);
}

/* ---- publish and abort ---- */

static void txn_over(void)
{
	txn.n = 0;
	txn.sync = txn.open = txn.removes = false;
	txn.view = NULL;
	memset(txn.list, 0, sizeof(txn.list));
}

/* Nobody counts with these any more. */
static void counters_zero(void *arg)
{
	struct acl_counters *c = arg;

	for (uint32_t n = 0; n < CV_ACL_COUNTERS; n++) {
		if (!acl_counters_has(c, n))
			continue;
		for (uint32_t w = 0; w < CV_WRITERS; w++)
			if (dp_workers[w])
				dp_workers[w]->stats->acl[n] = 0;
	}
	acl_log_forget(c);
	free(c);
}

/* What of `was` is in use no more. */
static void counters_retire(struct acl_counters *was)
{
	struct acl_counters now;
	uint8_t any = 0;

	(void)counters_of(live, &now);
	for (uint32_t i = 0; i < sizeof(now.bit); i++)
		any |= was->bit[i] &= (uint8_t)~now.bit[i];
	if (any)
		dp_defer(counters_zero, was);
	else
		free(was);
}

static void acl_publish(void)
{
	struct acl_counters *was = txn.open ? malloc(sizeof(*was)) : NULL;
	const struct acl_view *old = view;

	if (!txn.open)
		return;
	if (was)
		(void)counters_of(live, was);
	__atomic_store_n(&view, txn.view, __ATOMIC_RELEASE);
	__atomic_fetch_add(&spd_generation, 1, __ATOMIC_RELEASE);
	for (uint32_t id = 1; id < CV_ACL_MAX; id++) {
		if (live[id] == txn.list[id])
			continue;
		if (live[id])
			dp_defer(acl_free, live[id]);
		live[id] = txn.list[id];
	}
	if (was)
		counters_retire(was);
	if (old != &no_lists)
		dp_defer(free, (void *)(uintptr_t)old);
	txn_over();
}

static void acl_abort(void)
{
	for (uint32_t id = 1; id < CV_ACL_MAX && txn.open; id++)
		if (txn.list[id] && txn.list[id] != live[id])
			acl_free(txn.list[id]);
	free(txn.view);
	txn_over();
}

const struct dp_module acl_module = {
	.name = "acl",
	.stage = acl_stage,
	.sync = acl_sync,
	.prepare = acl_prepare,
	.publish = acl_publish,
	.abort = acl_abort,
};
