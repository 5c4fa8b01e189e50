/* SPDX-License-Identifier: BSD-3-Clause */
/* control_do(): clear and do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "cv_log.h"
#include "show_priv.h"
#include "virtual_access.h"

/* ---- clear crypto ---- */

static void answer_cleared(struct show *s, unsigned n)
{
	set_int(s->out, "cleared", n);
	show_answer(s);
}

void clear_session(struct show *s)
{
	struct ike_match m = {.fvrf = -1, .ivrf = -1};
	struct cv_addr local, remote;
	long port = arg_int(s, "port", UINT16_MAX);

	if (port == -2) {
		show_error(s, "port: 0..65535");
		return;
	}
	if (arg_addr(s, "local", &local) || arg_addr(s, "remote", &remote) || arg_vrf(s, "fvrf", &m.fvrf) ||
		arg_vrf(s, "ivrf", &m.ivrf))
		return;
	m.local = cv_addr_bits(&local) ? &local : NULL;
	m.remote = cv_addr_bits(&remote) ? &remote : NULL;
	m.rport = port > 0 ? (uint16_t)port : 0;
	answer_cleared(s, ike_clear(s->c->ike, &m));
}

void clear_isakmp(struct show *s)
{
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .alone = true};
	struct cv_addr remote;

	if (arg_addr(s, "remote", &remote))
		return;
	m.remote = cv_addr_bits(&remote) ? &remote : NULL;
	answer_cleared(s, ike_clear(s->c->ike, &m));
}

struct sa_selector {
	struct cv_addr peer;
	const char *map;
	int vrf, fvrf;
	long entry, spi; /* negative = any */
};

/* VRF 1.3: `peer` is qualified by the front VRF, `vrf` alone selects by the inside VRF. */
static bool selected(const struct control *c, const struct child *ch, const struct sa_selector *x)
{
	const struct rule_ref *r = desired_rule(c->desired, ch->rule_id);

	if (ch->released)
		return false;
	if (cv_addr_bits(&x->peer) && !cv_addr_eq(&x->peer, &ch->path.remote))
		return false;
	if (x->fvrf >= 0 && (uint32_t)x->fvrf != ch->path.vrf)
		return false;
	if (x->vrf >= 0 && (uint32_t)x->vrf != ch->ivrf)
		return false;
	if (x->map && (!r || strcmp(x->map, r->entry->map->name)))
		return false;
	if (x->entry >= 0 && (!r || cfg_entry_place(r->entry) != x->entry))
		return false;
	return x->spi < 0 || (uint32_t)x->spi == ch->spi_in || (uint32_t)x->spi == ch->spi_out;
}

void clear_sa(struct show *s)
{
	struct sa_selector x = {.map = arg_str(s, "map"),
		.fvrf = -1,
		.entry = arg_int(s, "entry", UINT16_MAX),
		.spi = arg_int(s, "spi", UINT32_MAX)};
	bool counters = arg_flag(s, "counters");
	struct control *c = s->c;
	unsigned n = 0;
	uint32_t id = 0;

	if (x.spi == -2) {
		show_error(s, "spi: a number, 0x for hexadecimal");
		return;
	}
	if (x.entry == -2) {
		show_error(s, "entry: the sequence number of a crypto map's entry, 1..65535");
		return;
	}
	if (arg_addr(s, "peer", &x.peer) || arg_vrf(s, "vrf", &x.vrf))
		return;
	if (cv_addr_bits(&x.peer)) {
		x.fvrf = x.vrf;
		x.vrf = -1;
	}
	for (struct child *ch; (ch = child_next(c->children, id));) {
		id = ch->id; /* the pair may be gone after the clear */
		if (!selected(c, ch, &x))
			continue;
		n += 2; /* SAs, not pairs */
		if (counters)
			child_counters_clear(ch);
		else if (ch->manual)
			child_del(c, child_ike_id(ch), 0);
		else
			ike_clear(c->ike, &(struct ike_match){.fvrf = -1, .ivrf = -1, .child_id = child_ike_id(ch)});
	}
	manual_install(c); /* IPSEC-71 */
	answer_cleared(s, n);
}

/* ---- clear counters, neighbours ---- */

static struct stats_base *base_for(struct control *c, const struct cv_stats_segment *seg)
{
	if (c->base && c->base->instance == seg->instance)
		return c->base;
	free(c->base);
	c->base = calloc(1, sizeof(*c->base));
	if (!c->base)
		abort();
	c->base->instance = seg->instance;
	return c->base;
}

static void base_acl(struct stats_base *b, const struct cv_stats_segment *seg, const struct cfg_acl *a)
{
	if (!a->asked)
		return;
	b->acl[a->counter] = sum_acl(seg, a->counter);
	for (unsigned i = 0; i < a->n_line; i++)
		b->acl[a->line[i].counter] = sum_acl(seg, a->line[i].counter);
}

struct cleared {
	struct control *c;
	const struct cfg_interface *only; /* NULL = all */
	const struct cv_stats_segment *seg;
	struct stats_base *base;
};

/* An interface, and the policy maps on it. */
static void base_interface(const struct cleared *x, const struct cfg_interface *i)
{
	static const enum cv_qos_dir dir[] = {CV_QOS_INPUT, CV_QOS_OUTPUT};

	if ((x->only && x->only != i) || !i->id)
		return;
	sum_if_counters(x->seg, i->id, &x->base->ifc[i->id % CV_IF_MAX]);
	x->base->cleared_ms[i->id % CV_IF_MAX] = host_now_ms(x->c);
	for (unsigned k = 0; k < 2; k++) {
		const struct cv_qos_attach *m = desired_policy_on(x->c->desired, i->id, dir[k]);

		if (m)
			sum_qos(x->seg, m->slot, x->base->qos[m->slot % CV_QOS_SLOTS]);
	}
}

static void base_clone(void *arg, const struct virtual_access_info *i)
{
	base_interface(arg, i->interface);
}

/* Workers are never disturbed: the reader remembers where it starts to count. */
void clear_counters(struct show *s)
{
	const struct cv_stats_segment *seg = dpclient_stats(s->c->dp);
	const struct cfg_interface *only;
	struct stats_base *b;

	if (arg_interface(s, &only))
		return;
	if (!seg) {
		show_error(s, "the dataplane is not there");
		return;
	}
	b = base_for(s->c, seg);
	struct cleared x = {.c = s->c, .only = only, .seg = seg, .base = b};

	for (unsigned i = 0; s->c->running && i < s->c->running->n_interface; i++)
		base_interface(&x, &s->c->running->interface[i]);
	virtual_access_each(s->c->virtual_access, base_clone, &x);
	if (!only) {
		sum_drops(seg, b->drops);
		sum_events(seg, b->events);
		for (unsigned i = 0; s->c->running && i < s->c->running->n_acl; i++)
			base_acl(b, seg, &s->c->running->acl[i]);
		for (uint32_t n = 1; n < CV_MROUTE_MAX; n++)
			sum_mroute(seg, n, &b->mroute[n]);
		for (struct child *ch = child_next(s->c->children, 0); ch; ch = child_next(s->c->children, ch->id))
			child_counters_clear(ch);
	}
	show_answer(s);
}

void clear_access_list_counters(struct show *s)
{
	const struct cv_stats_segment *seg = dpclient_stats(s->c->dp);
	const struct cv_config *cfg = s->c->running;
	const char *only = arg_str(s, "name");
	bool found = !only;

	if (!seg) {
		show_error(s, "the dataplane is not there");
		return;
	}
	for (unsigned i = 0; cfg && i < cfg->n_acl; i++) {
		if (only && strcmp(only, cfg->acl[i].name))
			continue;
		found = true;
		base_acl(base_for(s->c, seg), seg, &cfg->acl[i]);
	}
	if (found)
		show_answer(s);
	else
		show_error(s, "no access list named '%s'", only);
}

static void cleared(void *arg, int err, const struct cv_reply *rep)
{
	struct show *s = arg;

	if (!err)
		set_int(s->out, "cleared", rep->value);
	show_plain_reply(arg, err, rep);
}

void clear_in_dataplane(struct show *s, const struct cv_cmd_clear *cmd)
{
	if (dpclient_command(s->c->dp, CV_CMD_CLEAR, cmd, sizeof(*cmd), cleared, s))
		show_error(s, "the dataplane is not there");
}

/* The dataplane has one neighbour table for both families. */
void clear_arp(struct show *s)
{
	struct cv_cmd_clear cmd = {.what = CV_CLEAR_NEIGH};
	const struct cfg_interface *ifc;

	if (arg_interface(s, &ifc))
		return;
	cmd.if_id = ifc ? ifc->id : 0;
	clear_in_dataplane(s, &cmd);
}

void clear_nd(struct show *s)
{
	clear_arp(s);
}

/* ---- do capture, fail-at, log-level ---- */

void do_capture(struct show *s)
{
	struct cv_cmd_capture cmd = {0};
	long n = arg_int(s, "packets", 10000000), snaplen = arg_int(s, "snaplen", 65535);
	const char *file = arg_str(s, "file");
	const struct cfg_interface *ifc;
	bool stop = arg_flag(s, "stop");

	if (arg_interface(s, &ifc))
		return;
	if (!ifc || (!stop && (n < 1 || snaplen == -2 || !file || !*file || strlen(file) >= sizeof(cmd.file) ||
				      strchr(file, '/') || file[0] == '.'))) {
		show_error(s,
			"capture needs interface, file (a plain name) and packets 1..10000000, or interface and stop");
		return;
	}
	cmd.if_id = ifc->id;
	cmd.n_packets = stop ? 0 : (uint32_t)n;
	cmd.snaplen = snaplen > 0 ? (uint32_t)snaplen : 0;
	if (!stop)
		snprintf(cmd.file, sizeof(cmd.file), "%s", file);
	set_str(s->out, "file", cmd.file);
	if (dpclient_command(s->c->dp, CV_CMD_CAPTURE, &cmd, sizeof(cmd), show_plain_reply, s))
		show_error(s, "the dataplane is not there");
}

void do_fail_at(struct show *s)
{
	long n = arg_int(s, "nth", INT32_MAX);
	struct cv_cmd_fail_at cmd = {.nth = (uint32_t)n};

	if (n < 0)
		show_error(s, "nth: which command of the next transaction is to fail, 0 = none");
	else if (dpclient_command(s->c->dp, CV_CMD_FAIL_AT, &cmd, sizeof(cmd), show_plain_reply, s))
		show_error(s, "the dataplane is not there");
}

void do_log_level(struct show *s)
{
	static const char *const name[] = {[CV_LOG_ERR] = "error",
		[CV_LOG_WARNING] = "warning",
		[CV_LOG_NOTICE] = "notice",
		[CV_LOG_INFO] = "info",
		[CV_LOG_DEBUG] = "debug"};
	const char *level = arg_str(s, "level");

	for (int i = CV_LOG_ERR; level && i <= CV_LOG_DEBUG; i++)
		if (!strcmp(name[i], level)) {
			cv_log_set_level((enum cv_log_level)i);
			show_answer(s);
			return;
		}
	show_error(s, "level: error, warning, notice, info or debug");
}
