/* SPDX-License-Identifier: BSD-3-Clause */
/* What the IKE engine needs of the world: clock, timers, packets, threads, the vault. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"
#include "if_rates.h"
#include "ike_capture.h"
#include "udp.h"
#include "virtual_access.h"

uint64_t host_now_ms(void *ctx)
{
	(void)ctx;
	return uv_hrtime() / 1000000;
}

const char *host_vrf_name(const struct control *c, uint32_t vrf_id)
{
	for (unsigned i = 0; c->running && i < c->running->n_vrf; i++)
		if (c->running->vrf[i].id == vrf_id)
			return c->running->vrf[i].name;
	return NULL;
}

/* ---- packets ---- */

static void host_send(void *ctx, const struct ike_path *path, bool natt, const void *data, size_t len)
{
	struct control *c = ctx;
	char text[CV_ADDR_STR];
	int r = udp_build(&c->out, path, natt, data, len, ++c->ip_id);

	debug_message(c, path, true, data, len);
	if (!r) {
		ike_capture_message(c, path, true, &c->out, data, len);
		r = dpclient_send_pkt(c->dp, &c->out);
	}
	if (r && r != -ENOTCONN) /* IKE sends again by itself */
		cv_info("control", "packet to %s: %s", cv_addr_str(&path->remote, text), strerror(-r));
}

void host_packet(void *ctx, const struct cv_pkt *pkt)
{
	struct control *c = ctx;
	struct udp_in in;
	int r;

	if (pkt->klass != CV_PUNT_IKE || !c->ike)
		return;
	r = udp_parse(pkt, &in);
	if (r < 0)
		cv_debug("control", "punted packet of %u bytes: %s", pkt->len, strerror(-r));
	else if (!r) {
		debug_message(c, &in.path, false, in.data, in.len);
		ike_capture_message(c, &in.path, false, pkt, in.data, in.len);
		ike_input(c->ike, &in.path, in.natt, in.data, in.len);
		ike_capture_seen(c, in.data, in.len);
	}
}

/* ---- events of the dataplane ---- */

static void on_acquire(struct control *c, const void *body)
{
	const struct cv_evt_acquire *a = body;
	const struct rule_ref *r = desired_rule(c->desired, a->rule_id);
	struct cv_selector trigger = {.src = {a->src, a->src},
		.dst = {a->dst, a->dst},
		.sport_lo = a->sport,
		.sport_hi = a->sport,
		.dport_lo = a->dport,
		.dport_hi = a->dport,
		.proto = a->proto};

	if (!r)
		return;
	if (r->entry->manual) { /* there is nothing to wait for (IPSEC-31) */
		struct cv_cmd_hold_drop drop = {.rule_id = a->rule_id};

		dpclient_command(c->dp, CV_CMD_HOLD_DROP, &drop, sizeof(drop), NULL, NULL);
		return;
	}
	c->acquire_rule = a->rule_id;
	ike_acquire(c->ike, r->entry, a->rule_id, &r->line->sel, &trigger);
	c->acquire_rule = 0;
}

static void on_expire(struct control *c, const void *body)
{
	const struct cv_evt_sa_expire *e = body;
	struct child *ch = child_by_ref(c->children, &e->ref);

	static const char *const limit[] = {
		[CV_EXPIRE_BYTES] = "kilobytes", [CV_EXPIRE_PACKETS] = "packets", [CV_EXPIRE_SEQ] = "sequence numbers"};

	if (ch)
		debug_child(DEBUG_IPSEC, false, ch, "SA 0x%08x %s its limit of %s: %s", e->ref.spi,
			e->hard ? "has reached" : "comes near",
			e->reason && e->reason < sizeof(limit) / sizeof(limit[0]) ? limit[e->reason] : "use",
			e->hard ? "deleted" : "to be renewed");
	if (ch && !ch->released)
		ike_child_expire(c->ike, child_ike_id(ch), e->hard);
}

static void on_peer(struct control *c, const void *body)
{
	const struct cv_evt_sa_peer *p = body;
	struct child *ch = child_by_ref(c->children, &p->ref);

	if (ch && !ch->released)
		ike_peer_moved(c->ike, child_ike_id(ch), &p->addr, p->port);
}

static void on_resource(struct control *c, const void *body)
{
	const struct cv_evt_sa_resource *r = body;
	struct child *ch = child_by_ref(c->children, &r->ref);

	if (ch && !ch->released && r->resource && r->resource <= CV_WORKER_MAX)
		ike_child_resource(c->ike, child_ike_id(ch), (uint8_t)r->resource);
}

static void on_link(struct control *c, const void *body)
{
	const struct cv_evt_link *l = body;
	for (unsigned i = 0; c->running && i < c->running->n_interface; i++)
		if (c->running->interface[i].id == l->if_id)
			cv_notice("control", "interface %s: line protocol %s", c->running->interface[i].name,
				l->up ? "up" : "down");
}

static void on_invalid_spi(struct control *c, const void *body)
{
	spi_invalid(c, body);
}

static void on_path_mtu(struct control *c, const void *body)
{
	const struct cv_evt_path_mtu *e = body;
	char text[CV_ADDR_STR];

	if (e->mtu)
		cv_info("control", "path MTU to %s: %u", cv_addr_str(&e->dst, text), e->mtu);
	child_path_mtu(c->children, e->front_vrf, &e->dst, e->mtu);
}

static void on_trace(struct control *c, const void *body)
{
	do_trace_record(c, body);
}

static void on_acl_log(struct control *c, const void *body)
{
	acl_log_event(c, body);
}

void host_event(void *ctx, const struct cv_msg *m)
{
	static const struct {
		enum cv_msg_type type;
		size_t size;
		void (*handle)(struct control *c, const void *body);
	} event[] = {
		{CV_EVT_ACQUIRE, sizeof(struct cv_evt_acquire), on_acquire},
		{CV_EVT_SA_EXPIRE, sizeof(struct cv_evt_sa_expire), on_expire},
		{CV_EVT_SA_PEER, sizeof(struct cv_evt_sa_peer), on_peer},
		{CV_EVT_SA_RESOURCE, sizeof(struct cv_evt_sa_resource), on_resource},
		{CV_EVT_LINK, sizeof(struct cv_evt_link), on_link},
		{CV_EVT_INVALID_SPI, sizeof(struct cv_evt_invalid_spi), on_invalid_spi},
		{CV_EVT_TRACE, sizeof(struct cv_evt_trace), on_trace},
		{CV_EVT_PATH_MTU, sizeof(struct cv_evt_path_mtu), on_path_mtu},
		{CV_EVT_ACL_LOG, sizeof(struct cv_evt_acl_log), on_acl_log},
	};
	struct control *c = ctx;

	if (!c->running || c->stopping)
		return;
	for (size_t i = 0; i < sizeof(event) / sizeof(event[0]); i++)
		if (event[i].type == m->h.type && m->h.len >= sizeof(m->h) + event[i].size) {
			event[i].handle(c, m->body);
			return;
		}
	cv_debug("control", "event %u of %u bytes is not understood", m->h.type, m->h.len);
}

/* ---- the public-key pool ---- */

struct host_job {
	struct pk_job j;
	struct control *c;
	void (*work)(void *job);
	void (*done)(void *job);
	void *job;
	uint64_t since_ms;
};

static void pk_work(struct pk_job *pj)
{
	struct host_job *j = (struct host_job *)pj;

	j->work(j->job);
}

static void pk_done(struct pk_job *pj)
{
	struct host_job *j = (struct host_job *)pj;
	struct control *c = j->c;

	c->n_jobs--;
	debug_engine(c, DEBUG_DETAIL, false, "public-key work done after %llu ms in the pool; %u more",
		(unsigned long long)(host_now_ms(c) - j->since_ms), c->n_jobs);
	j->done(j->job);
	free(j);
	control_maybe_free(c);
}

static void host_pk_run(void *ctx, bool brief, void (*work)(void *job), void (*done)(void *job), void *job)
{
	struct control *c = ctx;
	struct host_job *j = calloc(1, sizeof(*j));

	if (!j)
		abort();
	*j = (struct host_job){.j = {.brief = brief, .work = pk_work, .done = pk_done},
		.c = c,
		.work = work,
		.done = done,
		.job = job,
		.since_ms = host_now_ms(c)};
	c->n_jobs++;
	pk_pool_add(&c->pk_pool, &j->j);
	if (uv_is_closing((uv_handle_t *)&c->prepare)) /* no turn of the loop ends with on_prepare() any more */
		pk_pool_submit(&c->pk_pool);
}

/* ---- policy ---- */

static int host_local_addr(void *ctx, const struct cfg_map_entry *entry, const struct cv_addr *remote,
	struct cv_addr *local, uint32_t *vrf)
{
	return path_local_addr(ctx, entry, remote, local, vrf);
}

static unsigned host_local_addrs(
	void *ctx, const struct cfg_map_entry *entry, uint32_t vrf, struct cv_addr *out, unsigned max)
{
	return path_local_addrs(ctx, entry, vrf, out, max);
}

/* The map's tunnels end at path->local: it is on the interface that has it, or names that interface as local-address.
 */
static bool front_is(const struct cfg_interface *ifc, uint32_t vrf)
{
	const struct cfg_vrf *front = config_front_vrf(ifc);

	return (front ? front->id : CV_VRF_GLOBAL) == vrf;
}

/* Is it an address of an interface in the VRF? Peers of a virtual template may come to any (VTI-29). */
static bool is_own(const struct cv_config *cfg, const struct cfg_vrf *vrf, const struct cv_addr *a)
{
	for (unsigned i = 0; cfg && i < cfg->n_interface; i++)
		if (!cfg->interface[i].tunnel && cfg->interface[i].vrf_ref == vrf && path_if_has(&cfg->interface[i], a))
			return true;
	return false;
}

static bool host_entry_serves(void *ctx, const struct ike_path *path, const struct cfg_map_entry *entry)
{
	const struct control *c = ctx;
	const struct cv_config *cfg = c->running;
	const struct cfg_crypto_map *m = entry->map;

	if (m->template)
		return is_own(cfg, m->template->tunnel->vrf_ref, &path->local) && front_is(m->template, path->vrf);
	for (unsigned i = 0; cfg && i < cfg->n_interface; i++) {
		const struct cfg_interface *ifc = &cfg->interface[i];

		if ((m->local_ref ? m->local_ref == ifc : ifc->map_ref == m) && front_is(ifc, path->vrf) &&
			path_if_has(ifc, &path->local))
			return true;
	}
	return false;
}

static void host_acquire_failed(void *ctx, uint32_t rule_id)
{
	struct control *c = ctx;
	struct cv_cmd_hold_drop drop = {.rule_id = rule_id};

	dpclient_command(c->dp, CV_CMD_HOLD_DROP, &drop, sizeof(drop), NULL, NULL);
}

/* ---- the vault ---- */

static int host_vault_write(void *ctx, int rec, const void *data, size_t len)
{
	struct control *c = ctx;
	bool fresh = rec < 0;
	int r;

	if (!c->vault)
		return -ENODEV;
	if (c->vault_frozen && !fresh)
		return rec;
	if (fresh)
		rec = cv_vault_alloc(c->vault);
	if (rec < 0)
		return rec;
	r = cv_vault_write(c->vault, rec, data, len);
	if (r && fresh)
		cv_vault_free(c->vault, rec);
	return r ? r : rec;
}

static void host_vault_free(void *ctx, int rec)
{
	struct control *c = ctx;

	if (c->vault && !c->vault_frozen)
		cv_vault_free(c->vault, rec);
}

int host_vault_fd(void *ctx)
{
	const struct control *c = ctx;

	return c->vault ? cv_vault_fd(c->vault) : -1;
}

static void host_ike_event(void *ctx, const struct ike_event *ev)
{
	struct control *c = ctx;

	session_ike_event(c->sessions, ev);
	if (ev->entry && (ev->type == IKE_EVT_FAILED || ev->type == IKE_EVT_DOWN))
		peer_names_failed(c, ev->entry, ev->type == IKE_EVT_FAILED);
	event_history_add(c->events, ev, (uint64_t)time(NULL));
	debug_event(c, ev);
}

static uint64_t host_aaa_ask(
	void *ctx, const struct cfg_aaa_group *g, const struct radius_query *q, aaa_done *done, void *arg)
{
	return aaa_ask(((struct control *)ctx)->aaa, g, q, done, arg);
}

static void host_aaa_cancel(void *ctx, uint64_t number)
{
	aaa_cancel(((struct control *)ctx)->aaa, number);
}

static uint32_t host_load(void *ctx)
{
	return load_read(&((struct control *)ctx)->load);
}

static unsigned host_resources(void *ctx)
{
	const struct control *c = ctx;
	unsigned all = control_max_workers(c), n = c->running ? c->running->workers : 0;

	return n && n < all ? n : all;
}

static bool host_suite_can(void *ctx, struct algo_suite s)
{
	return control_can(ctx, s);
}

const struct ike_ops host_ike_ops = {
	.now_ms = host_now_ms,
	.send = host_send,
	.pk_run = host_pk_run,
	.alloc_spi = child_alloc_spi,
	.free_spi = child_free_spi,
	.child_add = child_add,
	.child_activate = child_activate,
	.child_del = child_del,
	.child_move = child_move,
	.child_idle_s = child_idle_s,
	.child_out_idle_s = child_out_idle_s,
	.acquire_failed = host_acquire_failed,
	.local_addr = host_local_addr,
	.local_addrs = host_local_addrs,
	.suite_can = host_suite_can,
	.resources = host_resources,
	.entry_serves = host_entry_serves,
	.load = host_load,
	.aaa_ask = host_aaa_ask,
	.aaa_cancel = host_aaa_cancel,
	.event = host_ike_event,
	.wants_notes = debug_wants_notes,
	.note = debug_note,
	.vault_write = host_vault_write,
	.vault_free = host_vault_free,
};

/* ---- timers ---- */

static void on_timer(uv_timer_t *t)
{
	struct control *c = t->data;

	ike_run_timers(c->ike);
}

/* Deal with what this turn has left, and sleep no longer than the next thing allows. */
static void run_due(struct control *c)
{
	uint64_t wait, idle = idle_run(c), replay = replay_log_run(c), names = peer_names_run(c),
		       capture = ike_capture_run(c), rates = if_rates_run(c), linger, aaa, access, ike;

	wait = session_run(c->sessions);
	wait = idle < wait ? idle : wait;
	wait = replay < wait ? replay : wait;
	wait = names < wait ? names : wait;
	wait = capture < wait ? capture : wait;
	wait = rates < wait ? rates : wait;
	linger = child_run_linger(c->children, host_now_ms(c));
	aaa = aaa_run(c->aaa);
	access = virtual_access_run(c->virtual_access);
	ike = ike_next_timeout(c->ike);
	wait = aaa < wait ? aaa : wait;
	wait = access < wait ? access : wait;
	wait = linger < wait ? linger : wait;
	wait = ike < wait ? ike : wait;
	if (wait == UINT64_MAX)
		uv_timer_stop(&c->ike_timer);
	else
		uv_timer_start(&c->ike_timer, on_timer, wait, 0);
}

/* Before the loop sleeps. */
static void on_prepare(uv_prepare_t *h)
{
	struct control *c = h->data;

	pk_pool_run(&c->pk_pool);
	run_due(c);
	pk_pool_submit(&c->pk_pool); /* what became due has made more */
}

int host_start(struct control *c)
{
	uv_timer_init(c->loop, &c->ike_timer);
	pk_pool_init(&c->pk_pool, c->loop);
	uv_prepare_init(c->loop, &c->prepare);
	c->ike_timer.data = c->prepare.data = c;
	c->handles += 2;
	return uv_prepare_start(&c->prepare, on_prepare);
}
