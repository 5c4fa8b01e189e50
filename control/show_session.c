/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * show crypto session: IKE SAs and IPsec SAs between the same two ends as one session (MON-1..4), configured flows
 * without an SA (MON-16), and configured sessions that are down, with the reason of the last failure.
 *
 * There may be ten thousand. What belongs to each session is gathered first, by name, and sorted; the text is made in
 * slices, with turns of the loop between them (control_rest), and leaves out what has gone meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "cv_array.h"
#include "show_priv.h"
#include "virtual_access.h"

struct endpoints {
	uint32_t fvrf, ivrf;
	struct cv_addr remote, local;
	uint16_t rport, lport;
};

enum item_kind { ITEM_IKE, ITEM_FAILURE, ITEM_CHILD, ITEM_FLOW }; /* in this order within a session */

/* One thing that a session lists. */
struct item {
	struct endpoints e;
	enum item_kind kind;
	struct ike_sa_name sa;	       /* IKE */
	uint32_t id;		       /* CHILD: its number; FLOW, FAILURE: the rule */
	uint32_t place;		       /* of the map entry: flows are listed in its order */
	uint32_t flow;		       /* CHILD: those of one flow have the same number */
	const struct cv_selector *sel; /* while items are gathered and sorted */
};

/* Where a tunnel ends: an interface is found by its own address, a tunnel interface by both. */
struct place {
	uint32_t fvrf;
	struct cv_addr local, remote; /* remote: all zero = no tunnel interface */
	unsigned order;
	const char *name;
};

struct sessions {
	struct control_rest rest; /* first */
	struct control *c;
	struct cv_config *cfg; /* a reference: names of interfaces */
	struct cv_addr local, remote;
	int fvrf, ivrf;
	struct item *item;
	unsigned n, cap, at, end; /* the session being written: up to end; at == end: none */
	bool open;
	bool *listed; /* while gathering, by place in desired->rule: a pair of it is listed */
	struct place *where;
	unsigned n_where;
};

/* ---- gathering ---- */

static bool wanted(const struct sessions *x, const struct endpoints *e)
{
	return (!cv_addr_bits(&x->local) || cv_addr_eq(&x->local, &e->local)) &&
	       (!cv_addr_bits(&x->remote) || cv_addr_eq(&x->remote, &e->remote)) &&
	       (x->fvrf < 0 || (uint32_t)x->fvrf == e->fvrf) && (x->ivrf < 0 || (uint32_t)x->ivrf == e->ivrf);
}

static struct endpoints endpoints_of(const struct ike_path *p, uint32_t ivrf)
{
	struct endpoints e;

	memset(&e, 0, sizeof(e)); /* compared as bytes */
	e.fvrf = p->vrf;
	e.ivrf = ivrf;
	e.remote = p->remote;
	e.local = p->local;
	e.rport = p->rport;
	e.lport = p->lport;
	return e;
}

static struct item *add(struct sessions *x, const struct endpoints *e, enum item_kind kind)
{
	x->item = cv_array_need(x->item, x->n, &x->cap, sizeof(*x->item));
	struct item *i = &x->item[x->n++];

	*i = (struct item){.e = *e, .kind = kind};
	return i;
}

static void add_ike_sa(void *arg, const struct ike_sa_name *name)
{
	struct sessions *x = arg;
	struct ike_sa_brief b;

	if (!ike_sa_brief(x->c->ike, name, &b))
		return;
	struct endpoints e = endpoints_of(&b.path, b.ivrf);

	if (wanted(x, &e))
		add(x, &e, ITEM_IKE)->sa = *name;
}

static void add_child(struct sessions *x, const struct child *ch)
{
	const struct rule_ref *r = desired_rule(x->c->desired, ch->rule_id);
	struct endpoints e = endpoints_of(&ch->path, ch->ivrf);
	struct item *i;

	if (!r || !ch->n_sel || !wanted(x, &e))
		return;
	i = add(x, &e, ITEM_CHILD);
	i->id = ch->id;
	i->place = cfg_entry_place(r->entry);
	i->sel = &ch->sel[0];
	x->listed[r - x->c->desired->rule] = true;
}

static int by_flow(const struct item *a, const struct item *b)
{
	int d = memcmp(&a->sel->src, &b->sel->src, sizeof(a->sel->src));

	return d ? d : memcmp(&a->sel->dst, &b->sel->dst, sizeof(a->sel->dst));
}

static int by_session(const void *pa, const void *pb)
{
	const struct item *a = pa, *b = pb;
	int d = memcmp(&a->e, &b->e, sizeof(a->e));

	if (d)
		return d;
	if (a->kind != b->kind)
		return (int)a->kind - (int)b->kind;
	if (a->place != b->place)
		return a->place < b->place ? -1 : 1;
	if (a->kind == ITEM_CHILD && (d = by_flow(a, b)))
		return d;
	return a->id < b->id ? -1 : a->id > b->id;
}

static void sort(struct sessions *x)
{
	if (x->n)
		qsort(x->item, x->n, sizeof(*x->item), by_session);
}

#define PAIR_LEN offsetof(struct endpoints, local) /* the two VRFs and the peer */

/* A session with the peer of e, from any address and port, among the first n items; NULL = there is none. */
static const struct endpoints *find_pair(const struct sessions *x, unsigned n, const struct endpoints *e)
{
	unsigned lo = 0, hi = n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (memcmp(&x->item[mid].e, e, PAIR_LEN) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && !memcmp(&x->item[lo].e, e, PAIR_LEN) ? &x->item[lo].e : NULL;
}

static void add_rule_item(struct sessions *x, const struct endpoints *e, enum item_kind kind, const struct rule_ref *r)
{
	struct endpoints copy = *e; /* it may lie in the array that grows */
	struct item *i = add(x, &copy, kind);

	i->id = r->rule_id;
	i->place = cfg_entry_place(r->entry);
}

/* Where a peer is. One whose name has no address (IPSEC-50) is told apart by the name. */
static struct cv_addr remote_of(const struct cfg_map_entry *e, unsigned peer)
{
	struct cv_addr a = e->peer[peer];
	const char *host = cv_addr_bits(&a) ? NULL : cfg_peer_host(e, peer);
	uint32_t h = 2166136261u;

	for (; host && *host; host++)
		h = (h ^ (uint8_t)*host) * 16777619u;
	if (host)
		memcpy(a.b, &h, sizeof(h));
	return a;
}

/* What the entry calls this peer; NULL = by its address. */
static const char *name_of(const struct cfg_map_entry *e, const struct cv_addr *remote)
{
	for (unsigned i = 0; e->peer_host && i < e->n_peer; i++) {
		struct cv_addr a = remote_of(e, i);

		if (!memcmp(&a, remote, sizeof(a)))
			return e->peer_host[i];
	}
	return NULL;
}

/* List the rule with each of its peers that has a session, or, as down, with each of them; to how many. n: the items
 * that are sorted. */
static unsigned add_to_peers(struct sessions *x, const struct rule_ref *r, bool listed, unsigned n, bool existing)
{
	struct endpoints e;
	unsigned found = 0;
	uint64_t at;

	memset(&e, 0, sizeof(e));
	e.fvrf = r->fvrf;
	e.ivrf = r->ivrf;
	e.lport = e.rport = 500;
	for (unsigned i = 0; i < r->entry->n_peer; i++) {
		const struct cv_addr *local = path_if_addr(r->local, r->entry->peer[i].af);

		e.remote = remote_of(r->entry, i);
		e.local = local ? *local : (struct cv_addr){0};
		const struct endpoints *there = existing ? find_pair(x, n, &e) : &e;

		if (!there || !wanted(x, &e))
			continue;
		found++;
		if (!listed)
			add_rule_item(x, there, ITEM_FLOW, r);
		if (session_last_failure(x->c->sessions, r->entry, &r->entry->peer[i], &at))
			add_rule_item(x, existing ? find_pair(x, n, &e) : &e, ITEM_FAILURE, r);
	}
	return found;
}

static void gather(struct sessions *x)
{
	const struct desired *d = x->c->desired;
	unsigned n;

	x->listed = calloc(d ? d->n_rule + 1 : 1, sizeof(*x->listed));
	if (!x->listed)
		abort();
	ike_for_each_sa(x->c->ike, 0, add_ike_sa, x);
	for (const struct child *ch = child_next(x->c->children, 0); ch; ch = child_next(x->c->children, ch->id))
		add_child(x, ch);
	sort(x);
	for (n = 0; n < x->n; n++) {
		struct item *i = &x->item[n];

		if (n && i->kind == ITEM_CHILD && i[-1].kind == ITEM_CHILD)
			i->flow = i[-1].flow + (i->place != i[-1].place || by_flow(i, i - 1));
	}
	for (unsigned i = 0; d && i < d->n_rule; i++)
		if (!add_to_peers(x, &d->rule[i], x->listed[i], n, true) && !x->listed[i])
			add_to_peers(x, &d->rule[i], false, n, false);
	sort(x);
	for (unsigned i = 0; i < x->n; i++)
		x->item[i].sel = NULL; /* its pair may be gone when its turn comes */
	free(x->listed);
	x->listed = NULL;
}

/* ---- interfaces ---- */

static int by_ends(const struct place *a, const struct place *b)
{
	int d = memcmp(&a->local, &b->local, sizeof(a->local));

	if (a->fvrf != b->fvrf)
		return a->fvrf < b->fvrf ? -1 : 1;
	return d ? d : memcmp(&a->remote, &b->remote, sizeof(a->remote));
}

static int by_place(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	int d = by_ends(a, b);

	return d ? d : a->order < b->order ? -1 : 1; /* of several, the first in the configuration */
}

static void add_place(struct sessions *x, const struct cfg_interface *i, const struct cv_addr *a, struct cv_addr remote)
{
	const struct cfg_vrf *front = config_front_vrf(i);

	x->where = realloc(x->where, (x->n_where + 1) * sizeof(*x->where));
	if (!x->where)
		abort();
	x->where[x->n_where] = (struct place){.fvrf = front ? front->id : CV_VRF_GLOBAL,
		.local = *a,
		.remote = remote,
		.order = x->n_where,
		.name = i->name};
	x->n_where++;
}

static void gather_interfaces(struct sessions *x)
{
	for (unsigned i = 0; x->cfg && i < x->cfg->n_interface; i++) {
		const struct cfg_interface *ifc = &x->cfg->interface[i];
		const struct cv_addr *end;

		for (unsigned j = 0; ifc->tunnel && (end = config_tunnel_end(ifc->tunnel, j)); j++)
			add_place(x, ifc, &ifc->tunnel->source, *end);
		for (unsigned j = 0; !ifc->tunnel && j < ifc->n_addr; j++)
			add_place(x, ifc, &ifc->addr[j].addr, (struct cv_addr){0});
	}
	if (x->n_where)
		qsort(x->where, x->n_where, sizeof(*x->where), by_place);
}

static const char *find_place(const struct sessions *x, const struct place *key)
{
	unsigned lo = 0, hi = x->n_where;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (by_ends(&x->where[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < x->n_where && !by_ends(&x->where[lo], key) ? x->where[lo].name : NULL;
}

static const char *interface_of(const struct sessions *x, const struct endpoints *e)
{
	const struct ike_path path = {
		.vrf = e->fvrf, .local = e->local, .remote = e->remote, .lport = e->lport, .rport = e->rport};
	struct place key = {.fvrf = e->fvrf, .local = e->local, .remote = e->remote};
	const char *name = virtual_access_of_path(x->c->virtual_access, &path);

	if (!name)
		name = find_place(x, &key);

	key.remote = (struct cv_addr){0};
	return name ? name : find_place(x, &key);
}

/* ---- a session but for its flows ---- */

static void write_ike_sa(struct show_text *t, const struct ike_sa_name *name, const struct ike_sa_brief *b)
{
	text_open(t, NULL, '{');
	text_int(t, "version", name->version);
	text_addr(t, "local", &b->path.local);
	text_int(t, "local_port", b->path.lport);
	text_addr(t, "remote", &b->path.remote);
	text_int(t, "remote_port", b->path.rport);
	text_str(t, "state", b->established ? "Active" : "Inactive");
	text_str(t, "capabilities", b->natt ? "N" : "");
	text_int(t, "conn_id", b->id);
	text_int(t, "lifetime", b->remaining_s);
	text_close(t, '}');
}

/* What the items of a session say about it as a whole. */
struct summary {
	bool active, negotiating, has_sa;
	uint64_t uptime, failed_at;
	char peer_id[sizeof(((struct ike_sa_brief *)0)->peer_id)];
	const char *failure, *name;
};

/* The pair of an item; NULL = it has gone. */
static const struct child *pair_of(const struct sessions *x, const struct item *i)
{
	const struct child *ch = child_get(x->c->children, i->id);

	return ch && ch->n_sel && cv_addr_eq(&ch->path.remote, &i->e.remote) ? ch : NULL;
}

static void sum_up(struct sessions *x, const struct item *i, struct summary *sum, struct show_text *t)
{
	const struct rule_ref *r = NULL;
	const struct child *ch;
	struct ike_sa_brief b;

	if (i->kind == ITEM_IKE && ike_sa_brief(x->c->ike, &i->sa, &b)) {
		write_ike_sa(t, &i->sa, &b);
		sum->negotiating = true;
		sum->active |= b.established;
		if (b.established && b.established_s >= sum->uptime) {
			sum->uptime = b.established_s;
			memcpy(sum->peer_id, b.peer_id, sizeof(sum->peer_id));
		}
	} else if (i->kind == ITEM_FAILURE && (r = desired_rule(x->c->desired, i->id))) {
		sum->failure = session_last_failure(x->c->sessions, r->entry, &i->e.remote, &sum->failed_at);
	} else if (i->kind == ITEM_CHILD && (ch = pair_of(x, i))) {
		sum->has_sa |= ch->halves == (CHILD_IN | CHILD_OUT) && !ch->released;
		r = desired_rule(x->c->desired, ch->rule_id);
	} else if (i->kind == ITEM_FLOW) {
		r = desired_rule(x->c->desired, i->id);
	}
	if (r && !sum->name)
		sum->name = name_of(r->entry, &i->e.remote);
}

/* MON-23. */
static const char *status_of(const struct summary *sum)
{
	return sum->active && sum->has_sa ? "UP-ACTIVE"
	       : sum->active		  ? "UP-IDLE"
	       : sum->has_sa		  ? "UP-NO-IKE"
	       : sum->negotiating	  ? "DOWN-NEGOTIATING"
					  : "DOWN";
}

static void open_session(struct sessions *x, struct show_text *t)
{
	const struct endpoints *e = &x->item[x->at].e;
	struct summary sum = {0};

	text_open(t, NULL, '{');
	text_str(t, "interface", interface_of(x, e));
	text_addr(t, "peer", &e->remote);
	text_int(t, "port", e->rport);
	text_addr(t, "local", &e->local);
	text_str(t, "fvrf", host_vrf_name(x->c, e->fvrf));
	text_str(t, "ivrf", host_vrf_name(x->c, e->ivrf));
	text_str(t, "description", session_description(x->c, &e->remote));
	text_open(t, "ike_sas", '[');
	for (x->end = x->at; x->end < x->n && !memcmp(&x->item[x->end].e, e, sizeof(*e)); x->end++)
		sum_up(x, &x->item[x->end], &sum, t);
	text_close(t, ']');
	if (sum.active)
		text_int(t, "uptime", sum.uptime);
	text_str(t, "peer_name", sum.name);
	text_str(t, "phase1_id", sum.peer_id);
	text_str(t, "status", status_of(&sum));
	if (sum.failure) {
		text_str(t, "last_failure", sum.failure);
		text_int(t, "last_failure_age", (host_now_ms(x->c) - sum.failed_at) / 1000);
	}
	text_open(t, "flows", '[');
}

/* ---- flows ---- */

/* Counters add up over the SAs of a flow; the life is that of the newest, which has most left (MON-3, 22). */
struct way {
	uint64_t packets, drops, life_kb, life_s;
};

static void add_way(struct way *w, const struct child *ch, enum cv_sa_dir dir)
{
	struct cv_sa_counters shown, total;

	child_counters_shown(ch, dir, &shown);
	child_counters(ch, dir, &total);
	w->packets += shown.packets;
	w->drops += shown.replay_drops + shown.auth_errors + shown.other_errors;
	if (ch->released || child_life_s(ch) < w->life_s)
		return;
	w->life_kb = child_life_kb(ch, &total);
	w->life_s = child_life_s(ch);
}

static void write_way(struct show_text *t, const char *key, const struct way *w)
{
	text_open(t, key, '{');
	text_int(t, "packets", w->packets);
	text_int(t, "drops", w->drops);
	text_int(t, "life_kb", w->life_kb);
	text_int(t, "life_seconds", w->life_s);
	text_close(t, '}');
}

static void write_port(struct show_text *t, const char *key, uint16_t lo, uint16_t hi)
{
	if (lo || hi != UINT16_MAX)
		text_int(t, key, lo);
}

static void write_flow(struct show_text *t, const struct rule_ref *r, const struct cv_selector *sel, unsigned n_sa,
	const struct way *in, const struct way *out)
{
	char text[2 * 46 + 2], proto[8];

	text_open(t, NULL, '{');
	text_str(t, "action", "permit");
	text_str(t, "protocol", proto_text(sel->proto, proto));
	text_str(t, "local", range_text(&sel->src, text));
	write_port(t, "local_port", sel->sport_lo, sel->sport_hi);
	text_str(t, "remote", range_text(&sel->dst, text));
	write_port(t, "remote_port", sel->dport_lo, sel->dport_hi);
	text_int(t, "active_sas", n_sa);
	text_str(t, "origin", "crypto map"); /* MON-20 */
	text_str(t, "map", r->entry->map->name);
	text_int(t, "sequence", cfg_entry_place(r->entry));
	write_way(t, "in", in);
	write_way(t, "out", out);
	text_close(t, '}');
}

/* The pairs of one flow, from x->at on. */
static void write_flow_of_pairs(struct sessions *x, struct show_text *t)
{
	struct way in = {0}, out = {0};
	const struct item *first = &x->item[x->at];
	const struct child *shown = NULL;
	unsigned n = 0;

	for (; x->at < x->end && x->item[x->at].kind == ITEM_CHILD && x->item[x->at].flow == first->flow; x->at++) {
		const struct child *ch = pair_of(x, &x->item[x->at]);

		if (!ch)
			continue;
		shown = shown ? shown : ch;
		n += !!(ch->halves & CHILD_IN) + !!(ch->halves & CHILD_OUT); /* MON-17: SAs, not pairs */
		if (ch->bundled) /* ESP inside counts the packets of the flow */
			continue;
		add_way(&in, ch, CV_SA_IN);
		add_way(&out, ch, CV_SA_OUT);
	}
	const struct rule_ref *r = shown ? desired_rule(x->c->desired, shown->rule_id) : NULL;

	if (r)
		write_flow(t, r, &shown->sel[0], n, &in, &out);
}

static void write_item(struct sessions *x, struct show_text *t)
{
	static const struct way none;
	const struct item *i = &x->item[x->at];
	const struct rule_ref *r;

	if (i->kind == ITEM_CHILD) {
		write_flow_of_pairs(x, t);
		return;
	}
	x->at++;
	if (i->kind == ITEM_FLOW && (r = desired_rule(x->c->desired, i->id)))
		write_flow(t, r, &r->line->sel, 0, &none, &none);
}

static bool sessions_next(struct control_rest *rest, struct show_text *t)
{
	struct sessions *x = (struct sessions *)rest;
	size_t until = t->len + SHOW_SLICE;

	while (x->at < x->n && t->len < until) {
		if (!x->open)
			open_session(x, t);
		x->open = true;
		write_item(x, t);
		if (x->at < x->end)
			continue;
		text_close(t, ']');
		text_close(t, '}');
		x->open = false;
	}
	return x->at < x->n;
}

static void sessions_free(struct control_rest *rest)
{
	struct sessions *x = (struct sessions *)rest;

	config_unref(x->cfg);
	free(x->item);
	free(x->where);
	free(x);
}

void show_session(struct show *s)
{
	struct sessions filter = {.rest = {"sessions", sessions_next, sessions_free}, .c = s->c}, *x;

	if (arg_addr(s, "local", &filter.local) || arg_addr(s, "remote", &filter.remote) ||
		arg_vrf(s, "fvrf", &filter.fvrf) || arg_vrf(s, "ivrf", &filter.ivrf))
		return;
	if (!dpclient_is_up(s->c->dp))
		set_str(s->out, "dataplane", "down");
	x = malloc(sizeof(*x));
	if (!x)
		abort();
	*x = filter;
	x->cfg = s->c->running ? config_ref(s->c->running) : NULL;
	gather(x);
	gather_interfaces(x);
	s->rest = &x->rest;
	show_answer(s);
}
