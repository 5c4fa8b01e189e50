/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * show crypto session: IKE SAs and IPsec SAs between the same two ends as one session (MON-1..4), configured flows
 * without an SA (MON-16), and configured sessions that are down, with the reason of the last failure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "show_priv.h"

struct sessions {
	struct show *s;
	json_t *by_key;	 /* "fvrf|ivrf|local|lport|remote|rport" -> session */
	json_t *by_pair; /* "fvrf|ivrf|remote" -> session: any port, for configured flows */
	json_t *rules;	 /* rule ids that a session lists */
	struct cv_addr local, remote;
	int fvrf, ivrf;
};

struct endpoints {
	uint32_t fvrf, ivrf;
	struct cv_addr local, remote;
	uint16_t lport, rport;
};

static bool wanted(const struct sessions *x, const struct endpoints *e)
{
	return (!cv_addr_bits(&x->local) || cv_addr_eq(&x->local, &e->local)) &&
	       (!cv_addr_bits(&x->remote) || cv_addr_eq(&x->remote, &e->remote)) &&
	       (x->fvrf < 0 || (uint32_t)x->fvrf == e->fvrf) && (x->ivrf < 0 || (uint32_t)x->ivrf == e->ivrf);
}

static void pair_key(char buf[static 160], const struct endpoints *e)
{
	char remote[CV_ADDR_STR];

	snprintf(buf, 160, "%u|%u|%s", e->fvrf, e->ivrf, cv_addr_str(&e->remote, remote));
}

/* Interfaces are found by the local address: that is where the tunnel ends. A tunnel interface is known by both ends.
 */
static const char *interface_of(const struct control *c, const struct endpoints *e)
{
	const char *name = NULL;

	for (unsigned i = 0; c->running && i < c->running->n_interface; i++) {
		const struct cfg_interface *ifc = &c->running->interface[i];
		const struct cfg_vrf *front = config_front_vrf(ifc);

		if ((front ? front->id : CV_VRF_GLOBAL) != e->fvrf || !path_if_has(ifc, &e->local))
			continue;
		if (ifc->tunnel && cv_addr_eq(&ifc->tunnel->destination, &e->remote))
			return ifc->name;
		if (!ifc->tunnel && !name)
			name = ifc->name;
	}
	return name;
}

static json_t *session_new(struct sessions *x, const struct endpoints *e)
{
	struct control *c = x->s->c;
	char key[160];
	json_t *o = json_object();

	set_str(o, "interface", interface_of(c, e));
	set_addr(o, "peer", &e->remote);
	set_int(o, "port", e->rport);
	set_addr(o, "local", &e->local);
	set_vrf(c, o, "fvrf", e->fvrf);
	set_vrf(c, o, "ivrf", e->ivrf);
	set_str(o, "description", session_description(c, &e->remote));
	set_array(o, "ike_sas");
	set_array(o, "flows");
	pair_key(key, e);
	json_object_set(x->by_pair, key, o);
	json_array_append_new(x->s->list, o);
	return o;
}

static json_t *session_get(struct sessions *x, const struct endpoints *e)
{
	char key[200], local[CV_ADDR_STR], remote[CV_ADDR_STR];
	json_t *o;

	snprintf(key, sizeof(key), "%u|%u|%s|%u|%s|%u", e->fvrf, e->ivrf, cv_addr_str(&e->local, local), e->lport,
		cv_addr_str(&e->remote, remote), e->rport);
	o = json_object_get(x->by_key, key);
	if (o)
		return o;
	o = session_new(x, e);
	json_object_set(x->by_key, key, o);
	return o;
}

/* ---- IKE SAs ---- */

static uint64_t get_int(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static bool get_addr(const json_t *o, const char *key, struct cv_addr *a)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text && !cv_addr_parse(text, a);
}

static json_t *ike_sa_object(const json_t *sa, bool active)
{
	static const char *const copied[] = {"version", "local", "local_port", "remote", "remote_port"};
	json_t *o = json_object();

	for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
		json_object_set(o, copied[i], json_object_get(sa, copied[i]));
	set_str(o, "state", active ? "Active" : "Inactive");
	set_str(o, "capabilities", json_is_true(json_object_get(sa, "nat_t")) ? "N" : "");
	json_object_set(o, "conn_id", json_object_get(sa, "id"));
	json_object_set(o, "lifetime", json_object_get(sa, "remaining"));
	return o;
}

static bool is_active(const json_t *sa)
{
	const char *phase = json_string_value(json_object_get(sa, "phase"));

	return phase && !strcmp(phase, "established");
}

static void add_ike_sa(struct sessions *x, const json_t *sa)
{
	struct endpoints e = {.fvrf = (uint32_t)get_int(sa, "fvrf"),
		.ivrf = (uint32_t)get_int(sa, "ivrf"),
		.lport = (uint16_t)get_int(sa, "local_port"),
		.rport = (uint16_t)get_int(sa, "remote_port")};
	bool active = is_active(sa);
	json_t *o;

	if (!get_addr(sa, "local", &e.local) || !get_addr(sa, "remote", &e.remote) || !wanted(x, &e))
		return;
	o = session_get(x, &e);
	if (active) {
		set_str(o, "phase1_id", json_string_value(json_object_get(sa, "peer_id")));
		if (get_int(sa, "established") > get_int(o, "uptime"))
			set_int(o, "uptime", get_int(sa, "established"));
		set_flag(o, "active", true);
	}
	json_array_append_new(json_object_get(o, "ike_sas"), ike_sa_object(sa, active));
}

/* ---- flows ---- */

static void set_port(json_t *o, const char *key, uint16_t lo, uint16_t hi)
{
	if (lo || hi != UINT16_MAX)
		set_int(o, key, lo);
}

static json_t *direction_object(void)
{
	json_t *o = json_object();

	set_int(o, "packets", 0);
	set_int(o, "drops", 0);
	set_int(o, "life_kb", 0);
	set_int(o, "life_seconds", 0);
	return o;
}

static json_t *flow_new(json_t *session, const struct rule_ref *r, const struct cv_selector *sel)
{
	char text[2 * 46 + 2], proto[8];
	json_t *o = json_object();

	set_str(o, "action", "permit");
	set_str(o, "protocol", proto_text(sel->proto, proto));
	set_str(o, "local", range_text(&sel->src, text));
	set_port(o, "local_port", sel->sport_lo, sel->sport_hi);
	set_str(o, "remote", range_text(&sel->dst, text));
	set_port(o, "remote_port", sel->dport_lo, sel->dport_hi);
	set_int(o, "active_sas", 0);
	set_str(o, "origin", "crypto map"); /* MON-20 */
	set_str(o, "map", r->entry->map->name);
	set_int(o, "sequence", cfg_entry_place(r->entry));
	json_object_set_new(o, "in", direction_object());
	json_object_set_new(o, "out", direction_object());
	json_array_append_new(json_object_get(session, "flows"), o);
	return o;
}

/* Counters add up over the SAs of a flow; the life is that of the newest, which has most left (MON-3, 22). */
static void add_direction(json_t *d, const struct child *ch, enum cv_sa_dir dir)
{
	struct cv_sa_counters shown, total;

	child_counters_shown(ch, dir, &shown);
	child_counters(ch, dir, &total);
	set_int(d, "packets", get_int(d, "packets") + shown.packets);
	set_int(d, "drops", get_int(d, "drops") + shown.replay_drops + shown.auth_errors + shown.other_errors);
	if (ch->released || child_life_s(ch) < get_int(d, "life_seconds"))
		return;
	set_int(d, "life_kb", child_life_kb(ch, &total));
	set_int(d, "life_seconds", child_life_s(ch));
}

static void mark_rule(struct sessions *x, uint32_t rule_id)
{
	char key[16];

	snprintf(key, sizeof(key), "%u", rule_id);
	json_object_set_new(x->rules, key, json_true());
}

static bool rule_marked(const struct sessions *x, uint32_t rule_id)
{
	char key[16];

	snprintf(key, sizeof(key), "%u", rule_id);
	return json_object_get(x->rules, key) != NULL;
}

static json_t *find_flow(json_t *session, const struct rule_ref *r, const struct cv_selector *sel)
{
	json_t *flows = json_object_get(session, "flows"), *o;
	char src[2 * 46 + 2], dst[2 * 46 + 2];
	size_t i;

	range_text(&sel->src, src);
	range_text(&sel->dst, dst);
	json_array_foreach (flows, i, o) {
		if (get_int(o, "sequence") == cfg_entry_place(r->entry) &&
			!strcmp(json_string_value(json_object_get(o, "local")), src) &&
			!strcmp(json_string_value(json_object_get(o, "remote")), dst))
			return o;
	}
	return NULL;
}

static void add_child(struct sessions *x, const struct child *ch)
{
	const struct rule_ref *r = desired_rule(x->s->c->desired, ch->rule_id);
	struct endpoints e = {ch->path.vrf, ch->ivrf, ch->path.local, ch->path.remote, ch->path.lport, ch->path.rport};
	unsigned n = !!(ch->halves & CHILD_IN) + !!(ch->halves & CHILD_OUT);
	json_t *o, *flow;

	if (!r || !ch->n_sel || !wanted(x, &e))
		return;
	o = session_get(x, &e);
	flow = find_flow(o, r, &ch->sel[0]);
	if (!flow)
		flow = flow_new(o, r, &ch->sel[0]);
	set_int(flow, "active_sas", get_int(flow, "active_sas") + n); /* MON-17: SAs, not pairs */
	if (!ch->bundled) {					      /* ESP inside counts the packets of the flow */
		add_direction(json_object_get(flow, "in"), ch, CV_SA_IN);
		add_direction(json_object_get(flow, "out"), ch, CV_SA_OUT);
	}
	if (n == 2 && !ch->released)
		set_flag(o, "has_sa", true);
	mark_rule(x, ch->rule_id);
}

/* ---- what is configured and not there ---- */

static void set_failure(struct sessions *x, json_t *o, const struct rule_ref *r, const struct cv_addr *peer)
{
	uint64_t at = 0;
	const char *why = session_last_failure(x->s->c->sessions, r->entry, peer, &at);

	if (!why)
		return;
	set_str(o, "last_failure", why);
	set_int(o, "last_failure_age", (host_now_ms(x->s->c) - at) / 1000);
}

/* The sessions of this rule's peers that exist list its flow; when there is none, each peer is listed as down. */
static void add_rule(struct sessions *x, const struct rule_ref *r)
{
	struct endpoints e = {.fvrf = r->fvrf, .ivrf = r->ivrf, .lport = 500, .rport = 500};
	bool listed = rule_marked(x, r->rule_id);

	for (unsigned pass = 0; pass < 2 && !listed; pass++) { /* first those that exist */
		for (unsigned i = 0; i < r->entry->n_peer; i++) {
			const struct cv_addr *local = path_if_addr(r->local, r->entry->peer[i].af);
			char key[160];
			json_t *o;

			e.remote = r->entry->peer[i];
			e.local = local ? *local : (struct cv_addr){0};
			if (!wanted(x, &e))
				continue;
			pair_key(key, &e);
			o = json_object_get(x->by_pair, key);
			if (!o && pass)
				o = session_get(x, &e);
			if (!o)
				continue;
			flow_new(o, r, &r->line->sel);
			listed = true;
		}
	}
	for (unsigned i = 0; i < r->entry->n_peer; i++) {
		char key[160];

		e.remote = r->entry->peer[i];
		pair_key(key, &e);
		if (json_object_get(x->by_pair, key))
			set_failure(x, json_object_get(x->by_pair, key), r, &e.remote);
	}
}

/* MON-23. */
static void set_status(json_t *o)
{
	bool active = json_is_true(json_object_get(o, "active")), sa = json_is_true(json_object_get(o, "has_sa"));
	bool negotiating = json_array_size(json_object_get(o, "ike_sas")) != 0;

	json_object_del(o, "active");
	json_object_del(o, "has_sa");
	set_str(o, "status",
		active && sa  ? "UP-ACTIVE"
		: active      ? "UP-IDLE"
		: sa	      ? "UP-NO-IKE"
		: negotiating ? "DOWN-NEGOTIATING"
			      : "DOWN");
}

void show_session(struct show *s)
{
	struct sessions x = {.s = s};
	json_t *sas, *sa;
	size_t i;

	if (arg_addr(s, "local", &x.local) || arg_addr(s, "remote", &x.remote) || arg_vrf(s, "fvrf", &x.fvrf) ||
		arg_vrf(s, "ivrf", &x.ivrf))
		return;
	if (!dpclient_is_up(s->c->dp))
		set_str(s->out, "dataplane", "down");
	s->list = set_array(s->out, "sessions");
	x.by_key = json_object();
	x.by_pair = json_object();
	x.rules = json_object();
	sas = ike_show_sas(s->c->ike, 0);
	json_array_foreach (sas, i, sa)
		add_ike_sa(&x, sa);
	for (const struct child *ch = child_next(s->c->children, 0); ch; ch = child_next(s->c->children, ch->id))
		add_child(&x, ch);
	for (i = 0; s->c->desired && i < s->c->desired->n_rule; i++)
		add_rule(&x, &s->c->desired->rule[i]);
	json_array_foreach (s->list, i, sa)
		set_status(sa);
	json_decref(sas);
	json_decref(x.by_key);
	json_decref(x.by_pair);
	json_decref(x.rules);
	show_answer(s);
}
