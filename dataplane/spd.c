/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules and their transactions. Live state is a list of SPDs; a transaction notes its commands, prepare() applies them
 * to a shadow of that list (an SPD that is changed gets a successor, rule objects are shared) and compiles what
 * changed, publish() swaps one pointer. A rule that is set again unchanged keeps its object and so its SAs. One rule
 * more or less does not visit the others: pointers to them are copied, nothing else.
 */
#include "spd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_array.h"
#include "flow_change.h"
#include "hold.h"
#include "idmap.h"
#include "sa.h"

struct rules {
	uint32_t n, cap;
	struct spd_rule **r;
};

struct spd {
	struct cv_spd conf;
	struct rules all; /* in the order of evaluation */
	struct spd_class *class;
	/* until it is published */
	bool fresh;		 /* belongs to the transaction, not yet to the live list */
	struct spd *base;	 /* the live one that it succeeds; NULL = starts empty */
	struct rules gone, come; /* differences to base */
};

struct spd_list {
	uint32_t n, cap;
	struct spd **spd;
};

/* What workers see. */
struct spd_view {
	const struct spd_class *by_if[CV_IF_MAX];
};

struct op {
	uint16_t type;
	union {
		struct cv_spd spd;
		struct cv_spd_rule rule;
		struct cv_spd_rule_ref ref;
	} u;
};

uint32_t spd_generation;
static const struct spd_view *view;

static struct spd_list live;
static struct idmap rules; /* rule_id -> struct spd_rule, as published */

static struct {
	struct op *op;
	uint32_t n, cap;
	bool sync, prepared;
	struct spd_list list;
	struct idmap rules;	/* changes only; GONE = removed */
	struct spd_rule **made; /* objects of this transaction, room for one per command */
	uint32_t n_made;
	struct spd_view *view;
} txn;

static char gone_mark;
#define GONE ((struct spd_rule *)(void *)&gone_mark)

const struct spd_class *spd_on_interface(uint32_t if_id)
{
	const struct spd_view *v = __atomic_load_n(&view, __ATOMIC_ACQUIRE);
	return v && if_id < CV_IF_MAX ? v->by_if[if_id] : NULL;
}

const struct spd_rule *spd_rule_get(uint32_t rule_id)
{
	return rule_id < IDMAP_MAX ? idmap_get(&rules, rule_id) : NULL;
}

/* ---- lists ---- */

static bool list_add(struct spd_list *l, struct spd *s)
{
	struct spd **p = cv_array_room(l->spd, l->n, &l->cap, sizeof(*p));
	if (!p)
		return false;
	l->spd = p;
	l->spd[l->n++] = s;
	return true;
}

static int list_find(const struct spd_list *l, uint32_t spd_id)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->spd[i]->conf.spd_id == spd_id)
			return (int)i;
	return -1;
}

static bool rules_add(struct rules *l, struct spd_rule *r)
{
	struct spd_rule **p = cv_array_room(l->r, l->n, &l->cap, sizeof(*p));
	if (!p)
		return false;
	l->r = p;
	l->r[l->n++] = r;
	return true;
}

static void rules_free(struct rules *l)
{
	free(l->r);
	*l = (struct rules){0};
}

static void spd_free(void *arg)
{
	struct spd *s = arg;
	spd_class_free(s->class);
	rules_free(&s->all);
	rules_free(&s->gone);
	rules_free(&s->come);
	free(s);
}

static void rule_free(void *arg)
{
	struct spd_rule *r = arg;
	free(r->bind);
	free(r);
}

/* ---- stage ---- */

static int fail(char *text, enum cv_err err, const char *what, uint32_t id)
{
	snprintf(text, 128, "spd: %s %u", what, id);
	return err;
}

static bool range_ok(const struct cv_range *r, uint8_t af)
{
	return r->lo.af == af && r->hi.af == af && memcmp(r->lo.b, r->hi.b, sizeof(r->lo.b)) <= 0;
}

static bool rule_ok(const struct cv_spd_rule *c)
{
	uint8_t af = c->sel.src.lo.af;
	return (af == CV_AF_INET || af == CV_AF_INET6) && range_ok(&c->sel.src, af) && range_ok(&c->sel.dst, af) &&
	       c->sel.sport_lo <= c->sel.sport_hi && c->sel.dport_lo <= c->sel.dport_hi && c->rule_id > 0 &&
	       c->rule_id < IDMAP_MAX && c->action >= CV_SPD_BYPASS && c->action <= CV_SPD_PROTECT && c->flags < 8 &&
	       (c->vrf_id == CV_VRF_ANY || c->vrf_id < CV_VRF_MAX);
}

static bool spd_ok(const struct cv_spd *c)
{
	if (c->n_if > CV_SPD_IF_MAX || c->spd_id == 0)
		return false;
	for (uint32_t i = 0; i < c->n_if; i++)
		if (c->if_id[i] == 0 || c->if_id[i] >= CV_IF_MAX)
			return false;
	return true;
}

static int spd_stage(uint16_t type, const void *body, char *text)
{
	struct op o = {.type = type};
	struct op *p = cv_array_room(txn.op, txn.n, &txn.cap, sizeof(*p));
	if (!p)
		return fail(text, CV_ERR_NO_MEMORY, "no memory for change", txn.n);
	txn.op = p;
	switch (type) {
	case CV_CMD_SPD_SET:
		o.u.spd = *(const struct cv_spd *)body;
		if (!spd_ok(&o.u.spd))
			return fail(text, CV_ERR_MALFORMED, "malformed policy", o.u.spd.spd_id);
		break;
	case CV_CMD_SPD_DEL: /* the id alone */
		memcpy(&o.u.spd.spd_id, body, sizeof(o.u.spd.spd_id));
		break;
	case CV_CMD_SPD_RULE_SET:
		o.u.rule = *(const struct cv_spd_rule *)body;
		o.u.rule.pad = 0;
		if (!rule_ok(&o.u.rule))
			return fail(text, CV_ERR_MALFORMED, "malformed rule", o.u.rule.rule_id);
		break;
	case CV_CMD_SPD_RULE_DEL:
		o.u.ref = *(const struct cv_spd_rule_ref *)body;
		break;
	default:
		return fail(text, CV_ERR_MALFORMED, "unexpected command", type);
	}
	txn.op[txn.n++] = o;
	return CV_OK;
}

static void spd_sync(void)
{
	txn.sync = true;
}

/* ---- prepare ---- */

static struct spd_rule *shadow_rule(uint32_t rule_id)
{
	struct spd_rule *r = idmap_get(&txn.rules, rule_id);
	if (r)
		return r == GONE ? NULL : r;
	return txn.sync ? NULL : idmap_get(&rules, rule_id);
}

bool spd_rule_prepared(uint32_t rule_id)
{
	return rule_id < IDMAP_MAX && shadow_rule(rule_id) != NULL;
}

/* The transaction's own successor of an SPD. */
static struct spd *shadow_own(uint32_t i)
{
	struct spd *old = txn.list.spd[i];
	if (old->fresh)
		return old;
	struct spd *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->conf = old->conf;
	s->fresh = true;
	s->base = old;
	return txn.list.spd[i] = s;
}

static int apply_spd_set(const struct cv_spd *c, char *text)
{
	int i = list_find(&txn.list, c->spd_id);
	if (i >= 0) {
		if (!memcmp(&txn.list.spd[i]->conf, c, sizeof(*c)))
			return CV_OK;
		struct spd *s = shadow_own((uint32_t)i);
		if (!s)
			return fail(text, CV_ERR_NO_MEMORY, "no memory for policy", c->spd_id);
		s->conf = *c;
		return CV_OK;
	}
	struct spd *s = calloc(1, sizeof(*s));
	if (!s || !list_add(&txn.list, s)) {
		free(s);
		return fail(text, CV_ERR_NO_MEMORY, "no memory for policy", c->spd_id);
	}
	s->conf = *c;
	s->fresh = true;
	return CV_OK;
}

/* Those of a list that the transaction has not replaced are removed. */
static bool rules_forget(const struct rules *l)
{
	for (uint32_t k = 0; k < l->n; k++)
		if (shadow_rule(l->r[k]->rule_id) == l->r[k] && idmap_set(&txn.rules, l->r[k]->rule_id, GONE))
			return false;
	return true;
}

static int apply_spd_del(uint32_t spd_id, char *text)
{
	int i = list_find(&txn.list, spd_id);
	if (i < 0)
		return fail(text, CV_ERR_NOT_FOUND, "no policy", spd_id);
	struct spd *s = txn.list.spd[i];
	const struct spd *live_one = s->fresh ? s->base : s;
	if (!rules_forget(&s->come) || (live_one && !rules_forget(&live_one->all)))
		return fail(text, CV_ERR_NO_MEMORY, "no memory for policy", spd_id);
	txn.list.spd[i] = txn.list.spd[--txn.list.n];
	if (s->fresh)
		spd_free(s);
	return CV_OK;
}

static int apply_rule_set(const struct cv_spd_rule *c, char *text)
{
	int i = list_find(&txn.list, c->spd_id);
	if (i < 0)
		return fail(text, CV_ERR_NOT_FOUND, "no policy", c->spd_id);
	struct spd_rule *old = shadow_rule(c->rule_id);
	if (old && old->conf.spd_id != c->spd_id)
		return fail(text, CV_ERR_EXISTS, "another policy has rule", c->rule_id);
	if (old && !memcmp(&old->conf, c, sizeof(*c)))
		return CV_OK;
	struct spd *s = shadow_own((uint32_t)i);
	if (!s || (old && !rules_add(&s->gone, old)))
		return fail(text, CV_ERR_NO_MEMORY, "no room for rule", c->rule_id);
	struct spd_rule *published = idmap_get(&rules, c->rule_id), *r = NULL;
	if (published && !memcmp(&published->conf, c, sizeof(*c)))
		r = published; /* SYNC: named unchanged */
	else
		r = calloc(1, sizeof(*r));
	if (r && r != published)
		txn.made[txn.n_made++] = r;
	if (!r || idmap_set(&txn.rules, c->rule_id, r) || !rules_add(&s->come, r))
		return fail(text, CV_ERR_NO_MEMORY, "no room for rule", c->rule_id);
	if (r == published)
		return CV_OK;
	*r = (struct spd_rule){.rule_id = c->rule_id,
		.vrf = c->vrf_id,
		.action = c->action,
		.flags = c->flags,
		.prio = c->prio,
		.dscp = c->dscp ? c->dscp : UINT64_MAX,
		.wide = !(c->flags & CV_RULE_SKIP_ENTRY) && c->action != CV_SPD_BYPASS,
		.conf = *c};
	flow_sel_from(&c->sel, &r->sel);
	return CV_OK;
}

static int apply_rule_del(const struct cv_spd_rule_ref *ref, char *text)
{
	struct spd_rule *r = ref->rule_id < IDMAP_MAX ? shadow_rule(ref->rule_id) : NULL;
	int i = list_find(&txn.list, ref->spd_id);
	if (!r || i < 0 || r->conf.spd_id != ref->spd_id)
		return fail(text, CV_ERR_NOT_FOUND, "no rule", ref->rule_id);
	struct spd *s = shadow_own((uint32_t)i);
	if (!s || !rules_add(&s->gone, r) || idmap_set(&txn.rules, ref->rule_id, GONE))
		return fail(text, CV_ERR_NO_MEMORY, "no memory to remove rule", ref->rule_id);
	return CV_OK;
}

static int apply(const struct op *o, char *text)
{
	switch (o->type) {
	case CV_CMD_SPD_SET:
		return apply_spd_set(&o->u.spd, text);
	case CV_CMD_SPD_DEL:
		return apply_spd_del(o->u.spd.spd_id, text);
	case CV_CMD_SPD_RULE_SET:
		return apply_rule_set(&o->u.rule, text);
	default:
		return apply_rule_del(&o->u.ref, text);
	}
}

/* What the commands come to in the end: a rule may have been set, removed and set back. */
static void differences(struct spd *s)
{
	static uint64_t pass;
	uint32_t n = 0;
	pass++;
	for (uint32_t i = 0; i < s->gone.n; i++) {
		struct spd_rule *r = s->gone.r[i];
		if (!s->base || idmap_get(&rules, r->rule_id) != r || shadow_rule(r->rule_id) == r ||
			r->compiled == pass)
			continue;
		r->compiled = pass;
		s->gone.r[n++] = r;
	}
	s->gone.n = n;
	n = 0;
	for (uint32_t i = 0; i < s->come.n; i++) {
		struct spd_rule *r = s->come.r[i];
		bool stayed = s->base && idmap_get(&rules, r->rule_id) == r;
		if (stayed || shadow_rule(r->rule_id) != r || r->compiled == pass)
			continue;
		r->compiled = pass;
		s->come.r[n++] = r;
	}
	s->come.n = n;
	spd_rules_sort(s->gone.r, s->gone.n);
	spd_rules_sort(s->come.r, s->come.n);
}

/* Index of the first rule from `at` on that does not come before r. */
static uint32_t lower_bound(const struct rules *l, uint32_t at, const struct spd_rule *r)
{
	uint32_t hi = l->n;
	while (at < hi) {
		uint32_t mid = (at + hi) / 2;
		if (spd_rule_order(l->r[mid], r) < 0)
			at = mid + 1;
		else
			hi = mid;
	}
	return at;
}

/* base without gone and with come, in order; copied in pieces. to has room. */
static void rules_merge(const struct spd *s, const struct rules *base, struct rules *to)
{
	uint32_t at = 0, g = 0, c = 0;
	while (g < s->gone.n || c < s->come.n) {
		bool go = c == s->come.n || (g < s->gone.n && spd_rule_order(s->gone.r[g], s->come.r[c]) <= 0);
		struct spd_rule *r = go ? s->gone.r[g++] : s->come.r[c++];
		uint32_t upto = lower_bound(base, at, r);
		if (upto > at)
			memcpy(to->r + to->n, base->r + at, (upto - at) * sizeof(*to->r));
		to->n += upto - at;
		at = upto + go;
		if (!go)
			to->r[to->n++] = r;
	}
	if (base->n > at)
		memcpy(to->r + to->n, base->r + at, (base->n - at) * sizeof(*to->r));
	to->n += base->n - at;
}

#define CHANGE_MAX_SHARE 8u /* when more than one rule in so many changes, a new table is cheaper */

static int spd_compile(struct spd *s, char *text)
{
	static const struct rules none;
	const struct rules *base = s->base ? &s->base->all : &none;
	differences(s);
	if (base->n - s->gone.n + s->come.n > SPD_RULES_MAX)
		return fail(text, CV_ERR_NO_MEMORY, "too many rules in policy", s->conf.spd_id);
	s->all.cap = base->n + s->come.n;
	s->all.r = malloc((s->all.cap + 1) * sizeof(*s->all.r));
	if (s->all.r) {
		rules_merge(s, base, &s->all);
		if (s->base && (s->gone.n + s->come.n) * CHANGE_MAX_SHARE <= base->n)
			s->class = spd_class_change(s->base->class, s->gone.r, s->gone.n, s->come.r, s->come.n);
		else
			s->class = spd_class_build(s->all.r, s->all.n);
	}
	return s->class ? CV_OK : fail(text, CV_ERR_NO_MEMORY, "no memory to compile policy", s->conf.spd_id);
}

static int view_build(char *text)
{
	txn.view = calloc(1, sizeof(*txn.view));
	if (!txn.view)
		return fail(text, CV_ERR_NO_MEMORY, "no memory for interfaces", CV_IF_MAX);
	for (uint32_t i = 0; i < txn.list.n; i++) {
		const struct spd *s = txn.list.spd[i];
		for (uint32_t k = 0; k < s->conf.n_if; k++) {
			const struct spd_class **slot = &txn.view->by_if[s->conf.if_id[k]];
			if (*slot)
				return fail(text, CV_ERR_EXISTS, "two policies on interface", s->conf.if_id[k]);
			*slot = s->class;
		}
	}
	return CV_OK;
}

static int spd_prepare(char *text)
{
	if (txn.n == 0 && !txn.sync)
		return CV_OK;
	txn.prepared = true;
	txn.made = calloc(txn.n + 1, sizeof(*txn.made));
	if (!txn.made)
		return fail(text, CV_ERR_NO_MEMORY, "no memory for changes", txn.n);
	for (uint32_t i = 0; !txn.sync && i < live.n; i++)
		if (!list_add(&txn.list, live.spd[i]))
			return fail(text, CV_ERR_NO_MEMORY, "no memory for policies", live.n);
	for (uint32_t i = 0; i < txn.n; i++) {
		int err = apply(&txn.op[i], text);
		if (err)
			return err;
	}
	for (uint32_t i = 0; i < txn.list.n; i++) {
		int err = txn.list.spd[i]->fresh ? spd_compile(txn.list.spd[i], text) : CV_OK;
		if (err)
			return err;
	}
	return view_build(text);
}

/* ---- publish and abort ---- */

static void txn_reset(void)
{
	txn.n = 0;
	txn.sync = txn.prepared = false;
	txn.view = NULL;
	txn.list.n = 0;
	txn.n_made = 0;
	free(txn.made);
	txn.made = NULL;
	idmap_clear(&txn.rules);
}

static void rules_retire(const struct rules *l)
{
	for (uint32_t k = 0; k < l->n; k++) {
		struct spd_rule *r = l->r[k];
		if (idmap_get(&rules, r->rule_id) == r)
			continue;
		if (!idmap_get(&rules, r->rule_id))
			hold_rule_gone(r->rule_id);
		dp_defer(rule_free, r);
	}
}

/* What became of an SPD of the old list: itself, its successor, or NULL = removed (or all of it is new). */
static struct spd *now_live(const struct spd *old)
{
	int now = list_find(&live, old->conf.spd_id);
	struct spd *s = now >= 0 ? live.spd[now] : NULL;
	return s == old || (s && s->base == old) ? s : NULL;
}

/* Rules of the old list that are not the published ones any more; SPDs that were succeeded or removed. */
static void retire(struct spd_list *old)
{
	for (uint32_t i = 0; i < old->n; i++) {
		struct spd *s = old->spd[i], *now = now_live(s);
		if (now == s)
			continue;
		rules_retire(now ? &now->gone : &s->all);
		if (now)
			spd_class_supersede(s->class, now->class);
		dp_defer(spd_free, s);
	}
}

static void tell_rules(const struct rules *l)
{
	for (uint32_t k = 0; k < l->n; k++)
		flow_change_policy(&l->r[k]->sel);
}

/* Which flows the transaction concerns. */
static void tell_changes(const struct spd_list *old)
{
	uint32_t n_succeeded = 0;
	for (uint32_t i = 0; i < live.n; i++) {
		const struct spd *s = live.spd[i];
		if (!s->fresh) {
			n_succeeded++;
		} else if (!s->base || memcmp(&s->conf, &s->base->conf, sizeof(s->conf))) {
			flow_change_all(); /* it is on other interfaces now */
			return;
		} else {
			n_succeeded++;
			tell_rules(&s->gone);
			tell_rules(&s->come);
		}
	}
	if (n_succeeded != old->n)
		flow_change_all();
}

/* Make `rules` say what the transaction decided. */
static void rules_commit(const struct spd_list *old)
{
	for (uint32_t i = 0; i < old->n; i++) {
		const struct spd *s = old->spd[i], *now = now_live(s);
		const struct rules *l = now ? &now->gone : &s->all; /* gone is empty where nothing has changed */
		for (uint32_t k = 0; k < l->n; k++)
			if (!shadow_rule(l->r[k]->rule_id))
				idmap_set(&rules, l->r[k]->rule_id, NULL);
	}
	for (uint32_t i = 0; i < live.n; i++) {
		const struct rules *l = &live.spd[i]->come;
		for (uint32_t k = 0; k < l->n; k++)
			idmap_set(&rules, l->r[k]->rule_id, l->r[k]);
	}
}

static void spd_publish(void)
{
	if (!txn.prepared) {
		txn_reset();
		return;
	}
	struct spd_list old = live;
	const struct spd_view *old_view = view;
	live = txn.list;
	txn.list = (struct spd_list){0};
	rules_commit(&old);
	/* SAs that already serve a changed rule are bound before workers can see the new object; an object that a later
	 * command of the same transaction replaced was never seen by anyone */
	for (uint32_t i = 0; i < txn.n_made; i++) {
		if (idmap_get(&rules, txn.made[i]->rule_id) == txn.made[i])
			spd_rule_rebind(txn.made[i]->rule_id);
		else
			free(txn.made[i]);
	}
	__atomic_store_n(&view, txn.view, __ATOMIC_RELEASE);
	__atomic_fetch_add(&spd_generation, 1, __ATOMIC_RELEASE);
	tell_changes(&old);
	retire(&old);
	for (uint32_t i = 0; i < live.n; i++) {
		struct spd *s = live.spd[i];
		s->fresh = false;
		s->base = NULL;
		rules_free(&s->gone);
		rules_free(&s->come);
	}
	free(old.spd);
	dp_defer(free, (void *)(uintptr_t)old_view);
	txn_reset();
}

static void spd_abort(void)
{
	for (uint32_t i = 0; i < txn.n_made; i++)
		free(txn.made[i]);
	for (uint32_t i = 0; i < txn.list.n; i++)
		if (txn.list.spd[i]->fresh)
			spd_free(txn.list.spd[i]);
	free(txn.view);
	txn_reset();
}

const struct dp_module spd_module = {
	.name = "spd",
	.stage = spd_stage,
	.sync = spd_sync,
	.prepare = spd_prepare,
	.publish = spd_publish,
	.abort = spd_abort,
};

/* ---- bindings ---- */

/* Is every flow of the rule also inside one negotiated selector? Then the selectors need not be looked at. */
static bool covers(const struct flow_sel *outer, const struct flow_sel *inner)
{
	return outer->af == inner->af && outer->src_lo <= inner->src_lo && outer->src_hi >= inner->src_hi &&
	       outer->dst_lo <= inner->dst_lo && outer->dst_hi >= inner->dst_hi &&
	       (outer->proto == 0 || outer->proto == inner->proto) &&
	       (outer->any_ports || (outer->sport_lo <= inner->sport_lo && outer->sport_hi >= inner->sport_hi &&
					    outer->dport_lo <= inner->dport_lo && outer->dport_hi >= inner->dport_hi));
}

static void binding_fill(struct spd_binding *b, const struct spd_rule *r, const struct sa *sa)
{
	b->sa = sa->index;
	b->n_sel = sa->n_sel;
	b->resource = sa->conf.resource;
	for (uint32_t i = 0; i < sa->n_sel; i++) {
		b->sel[i] = sa->sel[i];
		if (covers(&sa->sel[i], &r->sel)) {
			b->n_sel = 0;
			return;
		}
	}
}

/* Flows that went into an SA of the old list, and may go into another one now: those of SAs that are gone, and those
 * that have got a newer one in front. */
static void tell_rebound(const struct spd_bindings *old, const struct spd_bindings *set)
{
	for (uint32_t i = 0, k = 0; i < old->n; i++)
		if (set && k < set->n && set->b[k].sa == old->b[i].sa)
			k++;
		else
			flow_change_sa(old->b[i].sa);
}

void spd_rule_rebind(uint32_t rule_id)
{
	struct spd_rule *r = rule_id < IDMAP_MAX ? idmap_get(&rules, rule_id) : NULL;
	if (!r)
		return;
	uint32_t n = 0;
	for (uint32_t i = sa_rule_first(rule_id); i; i = sa_get(i)->next_in_rule)
		n++;
	struct spd_bindings *set = NULL, *old = r->bind;
	if (n) {
		set = calloc(1, sizeof(*set) + n * sizeof(set->b[0]));
		if (!set)
			rte_panic("spd: out of memory while publishing\n");
		for (uint32_t i = sa_rule_first(rule_id); i; i = sa_get(i)->next_in_rule) {
			const struct sa *sa = sa_get(i);
			if (__atomic_load_n(&sa->state->expired, __ATOMIC_RELAXED))
				continue;
			binding_fill(&set->b[set->n++], r, sa);
			set->per_resource |= (sa->conf.flags & CV_SA_F_PER_RESOURCE) != 0;
			__atomic_fetch_and(&sa->state->events, ~SA_EVENT_RESOURCE_BITS, __ATOMIC_RELAXED);
		}
	}
	__atomic_store_n(&r->bind, set, __ATOMIC_RELEASE);
	__atomic_fetch_add(&spd_generation, 1, __ATOMIC_RELEASE);
	if (old) {
		tell_rebound(old, set);
		dp_defer(free, old);
	}
	if (set && set->n)
		hold_rule_ready(rule_id);
}

/* ---- dump ---- */

void spd_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out)
{
	const uint32_t max = sizeof(out->entries) / sizeof(struct cv_spd_rule_entry);
	struct cv_spd_rule_entry *e = (struct cv_spd_rule_entry *)out->entries;
	uint64_t at = 0;
	out->n = 0;
	out->next = 0;
	out->entry_size = sizeof(*e);
	for (uint32_t i = 0; i < live.n; i++) {
		const struct spd *s = live.spd[i];
		if (req->scope && s->conf.spd_id != req->scope)
			continue;
		for (uint32_t k = 0; k < s->all.n; k++, at++) {
			if (at < req->cursor)
				continue;
			if (out->n == max) {
				out->next = at;
				return;
			}
			const struct spd_rule *r = s->all.r[k];
			e[out->n++] = (struct cv_spd_rule_entry){.rule_id = r->rule_id,
				.action = r->action,
				.prio = r->prio,
				.out_sa = r->bind && r->bind->n ? r->bind->b[0].sa : CV_SA_NONE,
				.held = hold_count(r->rule_id)};
		}
	}
}
