/* SPDX-License-Identifier: BSD-3-Clause */
/* Policies from control: staged as lists of what it said, compiled in prepare, published as one view. Main. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "cv_array.h"
#include "flow_change.h"
#include "iface.h"
#include "qos_policy.h"
#include "worker.h"

const struct qos_view *qos_view_current;

/* Objects of one kind that begin with `words` numbers, sorted by these. */
struct list {
	size_t size;
	uint32_t words;
	uint32_t n, cap;
	uint8_t *v;
};
enum kind { CLASSES, RULES, ATTACHES, KINDS };
#define NO_OBJECTS                                                                                                     \
	{                                                                                                              \
		[CLASSES] = {.size = sizeof(struct cv_qos_class), .words = 2},                                         \
		[RULES] = {.size = sizeof(struct cv_qos_rule), .words = 2},                                            \
		[ATTACHES] = {.size = sizeof(struct cv_qos_attach), .words = 1},                                       \
	}
static struct list running[KINDS] = NO_OBJECTS;
static struct list staged[KINDS] = NO_OBJECTS;
static bool staging;

/* What is published, and what is to be: by policy number (sorted), by slot. */
struct compiled {
	uint32_t n_policy;
	struct named {
		uint32_t id;
		struct qos_policy *policy;
	} * policy;
	struct qos_attach *attach[CV_QOS_SLOTS];
	struct qos_view *view;
};
static struct compiled now, next;

/* ---- lists ---- */

static int key_cmp(const uint8_t *a, const uint8_t *b, uint32_t words)
{
	for (uint32_t i = 0; i < words; i++) {
		uint32_t x, y;

		memcpy(&x, a + 4 * i, 4);
		memcpy(&y, b + 4 * i, 4);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

/* The first place whose object is not below key. */
static uint32_t place(const struct list *l, const void *key, uint32_t words)
{
	uint32_t lo = 0, hi = l->n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (key_cmp(l->v + mid * l->size, key, words) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_at(const struct list *l, uint32_t at, const void *key)
{
	return at < l->n && !key_cmp(l->v + at * l->size, key, l->words);
}

static int list_set(struct list *l, const void *object)
{
	uint32_t at = place(l, object, l->words);

	if (!is_at(l, at, object)) {
		void *v = cv_array_room(l->v, l->n, &l->cap, l->size);

		if (!v)
			return CV_ERR_NO_MEMORY;
		l->v = v;
		memmove(l->v + (at + 1) * l->size, l->v + at * l->size, (l->n - at) * l->size);
		l->n++;
	}
	memcpy(l->v + at * l->size, object, l->size);
	return 0;
}

static int list_del(struct list *l, const void *key)
{
	uint32_t at = place(l, key, l->words);

	if (!is_at(l, at, key))
		return CV_ERR_NOT_FOUND;
	memmove(l->v + at * l->size, l->v + (at + 1) * l->size, (l->n - at - 1) * l->size);
	l->n--;
	return 0;
}

static int list_copy(struct list *to, const struct list *from)
{
	to->n = 0;
	if (to->cap < from->n) {
		void *v = realloc(to->v, from->n * from->size);

		if (!v)
			return CV_ERR_NO_MEMORY;
		to->v = v;
		to->cap = from->n;
	}
	if (from->n)
		memcpy(to->v, from->v, from->n * from->size);
	to->n = from->n;
	return 0;
}

/* The objects of a policy: returns the first, *n how many. */
static const void *of_policy(const struct list *l, uint32_t policy_id, uint32_t *n)
{
	uint32_t from = place(l, &policy_id, 1), to = from;

	while (to < l->n && !key_cmp(l->v + to * l->size, (const uint8_t *)&policy_id, 1))
		to++;
	*n = to - from;
	return l->v + from * l->size;
}

/* ---- staging ---- */

static int staging_open(void)
{
	int rc = 0;

	for (unsigned i = 0; !staging && !rc && i < KINDS; i++)
		rc = list_copy(&staged[i], &running[i]);
	staging = !rc;
	return rc;
}

static int qos_stage(uint16_t type, const void *body, char *text)
{
	int rc = staging_open();

	(void)text;
	if (rc)
		return rc;
	switch (type) {
	case CV_CMD_QOS_CLASS_SET:
		return list_set(&staged[CLASSES], body);
	case CV_CMD_QOS_CLASS_DEL:
		return list_del(&staged[CLASSES], body);
	case CV_CMD_QOS_RULE_SET:
		return list_set(&staged[RULES], body);
	case CV_CMD_QOS_RULE_DEL:
		return list_del(&staged[RULES], body);
	case CV_CMD_QOS_ATTACH_SET:
		return list_set(&staged[ATTACHES], body);
	default:
		return list_del(&staged[ATTACHES], body);
	}
}

static void qos_sync(void)
{
	staging = true;
	for (unsigned i = 0; i < KINDS; i++)
		staged[i].n = 0;
}

/* ---- policies ---- */

static void policy_free(void *arg)
{
	struct qos_policy *p = arg;

	if (!p)
		return;
	if (p->map)
		spd_class_free(p->map);
	free(p->rule);
	free(p->conf);
	rte_free(p);
}

static void rule_fill(struct spd_rule *r, const struct cv_qos_rule *c)
{
	*r = (struct spd_rule){.dscp = c->dscp ? c->dscp : UINT64_MAX,
		.rule_id = c->class_no,
		.vrf = c->if_id ? c->if_id : CV_VRF_ANY,
		.action = CV_SPD_PROTECT,
		.wide = !(c->flags & CV_RULE_SKIP_ENTRY), /* as access lists of interfaces do */
		.flags = c->flags & CV_RULE_SKIP_ENTRY,
		.prio = (uint64_t)c->group << 32 | c->line};
	flow_sel_from(&c->sel, &r->sel);
}

static int compile_rules(struct qos_policy *p)
{
	struct spd_rule **list = malloc((p->n_rule + 1) * sizeof(struct spd_rule *));

	p->rule = malloc((p->n_rule + 1) * sizeof(*p->rule));
	for (uint32_t i = 0; list && p->rule && i < p->n_rule; i++) {
		rule_fill(&p->rule[i], &p->conf[i]);
		list[i] = &p->rule[i];
	}
	if (list && p->rule && p->n_rule)
		p->map = spd_class_build(list, p->n_rule);
	free(list);
	return p->map || (p->rule && !p->n_rule) ? 0 : CV_ERR_NO_MEMORY;
}

static struct qos_policy *policy_build(
	const struct cv_qos_class *cls, uint32_t n_cls, const struct cv_qos_rule *rule, uint32_t n_rule)
{
	struct qos_policy *p = rte_zmalloc("qos_policy", sizeof(*p), RTE_CACHE_LINE_SIZE);

	if (!p)
		return NULL;
	for (uint32_t i = 0; i < CV_QOS_CLASSES; i++)
		p->cls[i].set_dscp = CV_QOS_DSCP_KEEP;
	for (uint32_t i = 0; i < n_cls; i++)
		p->cls[cls[i].class_no] = cls[i];
	p->n_class = n_cls ? cls[n_cls - 1].class_no + 1 : 0;
	p->n_rule = n_rule;
	p->conf = malloc((n_rule + 1) * sizeof(*p->conf));
	if (p->conf && n_rule)
		memcpy(p->conf, rule, n_rule * sizeof(*rule));
	if (!p->conf || compile_rules(p)) {
		policy_free(p);
		return NULL;
	}
	return p;
}

static struct qos_policy *policy_find(const struct compiled *c, uint32_t id)
{
	for (uint32_t i = 0; i < c->n_policy; i++)
		if (c->policy[i].id == id)
			return c->policy[i].policy;
	return NULL;
}

/* Of the first object of each policy that is staged: compile it, or keep it when it is as it was. */
static int policy_next(const struct cv_qos_class *first, char *text)
{
	const uint32_t id = first->policy_id;
	uint32_t n[2], was[2];
	const void *cls = of_policy(&staged[CLASSES], id, &n[0]), *rule = of_policy(&staged[RULES], id, &n[1]);
	const void *old_cls = of_policy(&running[CLASSES], id, &was[0]),
		   *old_rule = of_policy(&running[RULES], id, &was[1]);
	struct qos_policy *p = policy_find(&now, id);

	if (first->class_no) {
		snprintf(text, 128, "policy %u has no class 0", id);
		return CV_ERR_NOT_FOUND;
	}
	for (uint32_t i = 0; i < n[1]; i++)
		if (((const struct cv_qos_rule *)rule)[i].class_no >
			((const struct cv_qos_class *)cls)[n[0] - 1].class_no) {
			snprintf(text, 128, "a rule of policy %u names a class that is not there", id);
			return CV_ERR_NOT_FOUND;
		}
	if (!p || n[0] != was[0] || n[1] != was[1] || memcmp(cls, old_cls, n[0] * staged[CLASSES].size) ||
		memcmp(rule, old_rule, n[1] * staged[RULES].size))
		p = policy_build(cls, n[0], rule, n[1]);
	if (!p)
		return CV_ERR_NO_MEMORY;
	next.policy[next.n_policy++] = (struct named){id, p};
	return 0;
}

static int policies_build(char *text)
{
	const struct cv_qos_class *cls = (const void *)staged[CLASSES].v;
	int rc = 0;

	next.policy = calloc(staged[CLASSES].n + 1, sizeof(*next.policy));
	if (!next.policy)
		return CV_ERR_NO_MEMORY;
	for (uint32_t i = 0; !rc && i < staged[CLASSES].n; i++)
		if (!i || cls[i].policy_id != cls[i - 1].policy_id)
			rc = policy_next(&cls[i], text);
	return rc;
}

/* ---- attachments ---- */

static void attach_free(void *arg)
{
	struct qos_attach *a = arg;

	for (uint32_t i = 0; a && i < CV_WRITERS; i++)
		qos_sched_free(a->sched[i]);
	rte_free(a);
}

/* A worker that looked whether it is retired just before may still have it in its list: it has not in its next round.
 */
static void attach_free_later(void *arg)
{
	dp_defer(attach_free, arg);
}

static int make_queues(struct qos_attach *a)
{
	const struct qos_policy *p = a->policy;

	if (!(a->conf.flags & CV_QOS_F_QUEUES))
		return 0;
	qos_shared_init(&a->shared, p->cls, p->n_class, a->conf.rate, rte_get_tsc_hz(), rte_rdtsc());
	for (uint32_t i = 0; i <= dp_n_workers; i++) {
		a->sched[i] = qos_sched_create(
			p->cls, p->n_class, &a->shared, dp_workers[i]->stats->qos[a->conf.slot], rte_get_tsc_hz());
		if (!a->sched[i])
			return CV_ERR_NO_MEMORY;
	}
	return 0;
}

static struct qos_attach *attach_build(const struct cv_qos_attach *conf, const struct qos_policy *p)
{
	struct qos_attach *a = rte_zmalloc("qos_attach", sizeof(*a), RTE_CACHE_LINE_SIZE);

	if (!a)
		return NULL;
	a->conf = *conf;
	a->policy = p;
	for (uint32_t i = 0; i < p->n_class; i++)
		if (p->cls[i].police.mode)
			qos_meter_init(&a->meter[i], &p->cls[i].police, rte_get_tsc_hz(), rte_rdtsc());
	if (make_queues(a)) {
		attach_free(a);
		return NULL;
	}
	return a;
}

static int attach_next(const struct cv_qos_attach *conf, char *text)
{
	struct qos_policy *p = policy_find(&next, conf->policy_id);
	const struct qos_attach **at =
		conf->dir == CV_QOS_OUTPUT ? &next.view->out[conf->if_id] : &next.view->in[conf->if_id];
	struct qos_attach *a = now.attach[conf->slot];

	if (!p || !iface_staged(conf->if_id)) {
		snprintf(text, 128, "%s %u does not exist", p ? "interface" : "policy",
			p ? conf->if_id : conf->policy_id);
		return CV_ERR_NOT_FOUND;
	}
	if (*at) {
		snprintf(text, 128, "interface %u has a policy in this direction", conf->if_id);
		return CV_ERR_IN_USE;
	}
	if (!a || a->policy != p || memcmp(&a->conf, conf, sizeof(*conf)))
		a = attach_build(conf, p);
	if (!a)
		return CV_ERR_NO_MEMORY;
	next.attach[conf->slot] = a;
	*at = a;
	next.view->any_out |= conf->dir == CV_QOS_OUTPUT;
	next.view->any_in |= conf->dir == CV_QOS_INPUT;
	return 0;
}

static int qos_prepare(char *text)
{
	const struct cv_qos_attach *conf = (const void *)staged[ATTACHES].v;

	/* an interface may have gone from under its policy */
	int rc = staging || (iface_txn_in_progress() && running[ATTACHES].n) ? staging_open() : 0;

	if (rc || !staging)
		return rc;
	next.view = calloc(1, sizeof(*next.view));
	rc = next.view ? policies_build(text) : CV_ERR_NO_MEMORY;
	for (uint32_t i = 0; !rc && i < staged[ATTACHES].n; i++)
		rc = attach_next(&conf[i], text);
	return rc;
}

/* ---- publication ---- */

/* Queues that are still being emptied look at their classes. */
static void policy_free_later(void *arg)
{
	dp_defer(policy_free, arg);
}

/* Free what `mine` has and `other` has not: at once, or when no worker looks at it any more. */
static void let_go(struct compiled *mine, const struct compiled *other, bool at_once)
{
	for (uint32_t i = 0; i < mine->n_policy; i++) {
		if (policy_find(other, mine->policy[i].id) == mine->policy[i].policy)
			continue;
		if (at_once)
			policy_free(mine->policy[i].policy);
		else
			dp_defer(policy_free_later, mine->policy[i].policy);
	}
	for (uint32_t i = 0; i < CV_QOS_SLOTS; i++) {
		if (!mine->attach[i] || mine->attach[i] == other->attach[i])
			continue;
		if (at_once) {
			attach_free(mine->attach[i]);
			continue;
		}
		__atomic_store_n(&mine->attach[i]->retired, true, __ATOMIC_RELEASE);
		dp_defer(attach_free_later, mine->attach[i]);
	}
	if (mine->view && at_once)
		free(mine->view);
	else if (mine->view)
		dp_defer(free, mine->view);
	free(mine->policy);
	memset(mine, 0, sizeof(*mine));
}

static void qos_abort(void)
{
	let_go(&next, &now, true);
	staging = false;
}

static bool attached_as_before(void)
{
	return !memcmp(now.attach, next.attach, sizeof(now.attach));
}

/* A slot that comes into use: its counters are those of what was there long ago. */
static void counters_reset(void)
{
	for (uint32_t i = 0; i < CV_QOS_SLOTS; i++)
		for (uint32_t t = 0; next.attach[i] && !now.attach[i] && t <= dp_n_workers; t++)
			memset(dp_workers[t]->stats->qos[i], 0, sizeof(dp_workers[t]->stats->qos[i]));
}

static void qos_publish(void)
{
	if (!staging)
		return;
	bool any = next.view->any_in || next.view->any_out, same = attached_as_before();

	counters_reset();
	__atomic_store_n(&qos_view_current, any ? next.view : NULL, __ATOMIC_RELEASE);
	if (!same)
		flow_change_all(); /* flows that the fast path knows have not met the policy */
	struct compiled old = now;

	now = next;
	memset(&next, 0, sizeof(next));
	let_go(&old, &now, false);
	(void)qos_run(worker_main(), false); /* main's own queues of what is retired */
	for (unsigned i = 0; i < KINDS; i++) {
		struct list l = running[i];

		running[i] = staged[i];
		staged[i] = l;
	}
	staging = false;
}

const struct dp_module qos_module = {
	.name = "qos",
	.stage = qos_stage,
	.sync = qos_sync,
	.prepare = qos_prepare,
	.publish = qos_publish,
	.abort = qos_abort,
};
