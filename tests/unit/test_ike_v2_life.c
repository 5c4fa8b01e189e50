/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv2, two engines against each other: what happens in the life of an SA. Rekeying under traffic, both ends at once,
 * liveness, deletes, restarts of either process in the middle of things, changes of the configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "ike_internal.h"
#include "ike_env.h"
#include "ike_proposals.h"

/*
 * The whole suite runs three times, by its argument: the second time ("asynchronous") public-key work and the dataplane
 * take their time, the third time ("windows") several requests may be under way as well (RFC 7296 2.3), the fourth time
 * ("followups") every SA is made by three key exchanges, one after the other (RFC 9370).
 */
static unsigned async_ms;
static uint8_t window;
static bool followups;
static void (*further)(struct cv_config *c, int host);

static void with_window(struct cv_config *c, int host)
{
	if (further)
		further(c, host);
	if (followups)
		ike_proposal_three_exchanges(c);
	c->ike_profile->window_size = window;
}

static void start(void (*tweak)(struct cv_config *c, int host))
{
	further = tweak;
	p = pair_new(CFG_IKEV2, with_window);
	p->async_ms = async_ms;
}

static unsigned lost(void)
{
	return p->h[0].esp_unknown + p->h[1].esp_unknown + p->h[0].esp_no_sa + p->h[1].esp_no_sa;
}

/* Every ESP packet that was sent has arrived, bar those under way. */
static void nothing_lost(void)
{
	assert_int_equal(lost(), 0);
	for (int i = 0; i < 2; i++)
		assert_in_range(p->h[i].esp_sent - p->h[!i].esp_received, 0, 2 + p->delay_ms / p->traffic_ms);
}

static void soft(int host)
{
	ike_child_expire(p->h[host].ike, pair_newest(p, host)->id, false);
}

/* ---- the lifetime of an authentication (RFC 4478) ---- */

static void auth_600(struct cv_config *c, int host)
{
	c->ike_profile->auth_lifetime_s = host ? 600 : 0;
	c->ike_profile->lifetime_s = 200; /* rekeys do not renew it */
}

static bool one_sa_each(struct pair *pair)
{
	return pair_n_sas(pair, 0) == 1 && pair_n_sas(pair, 1) == 1;
}

/* The initiator authenticates again with another SA before the time is over, twice, and no packet is lost by it. */
static void authenticates_again(void **state)
{
	(void)state;
	start(auth_600);
	bring_up();
	p->delay_ms = 20;
	p->traffic_ms = 10;
	pair_run(p, 470000);
	assert_int_equal(pair_stat(p, 0, "sa_reauthenticated"), 0);
	pair_run(p, 590000 - 470000);
	assert_int_equal(pair_stat(p, 0, "sa_reauthenticated"), 1);
	assert_true(pair_until(p, one_sa_each, 10000));
	assert_true(pair_children_agree(p, 1));
	pair_run(p, 600000);
	assert_int_equal(pair_stat(p, 0, "sa_reauthenticated"), 2);
	assert_int_equal(pair_stat(p, 1, "sa_reauthenticated"), 0);
	assert_true(pair_stat(p, 0, "sa_rekeyed") > 2);
	assert_true(pair_until(p, one_sa_each, 10000));
	nothing_lost();
}

static bool drop_later_init(struct pair *pair, int from, unsigned n, const uint8_t *d, size_t len)
{
	(void)pair, (void)from, (void)len;
	return n < 4 || d[18] != 34;
}

/* A peer that does not: its SA ends when the time is over, rekeys or not. */
static void does_not_authenticate_again(void **state)
{
	(void)state;
	start(auth_600);
	bring_up();
	p->filter = drop_later_init;
	pair_run(p, 598000);
	assert_int_equal(pair_n_children(p, 1), 1);
	pair_run(p, 3000);
	assert_int_equal(pair_n_children(p, 1), 0);
	assert_string_equal(pair_reason(p, 1, IKE_EVT_DOWN), "the peer did not authenticate again in time");
}

/* ---- lifetimes ---- */

static void short_child(struct cv_config *c, int i)
{
	(void)i;
	c->map->entry->lifetime_s = 120;
}

/* IDLE-3: the limit by time, before that by volume and however busy. Twenty lifetimes of the child under traffic,
 * without a packet lost (design, promise 2). */
static void child_rekeys_lose_nothing(void **state)
{
	(void)state;
	start(short_child);
	bring_up();
	p->traffic_ms = 20;
	p->jitter = 30;
	pair_run(p, 20 * 120000);
	assert_true(pair_children_agree(p, 1));
	assert_true(pair_stat(p, 0, "child_rekeyed") >= 20);
	assert_int_equal(pair_n_sas(p, 0), 1);
	nothing_lost();
}

static void short_ike(struct cv_config *c, int i)
{
	(void)i;
	c->ike_profile->lifetime_s = 300;
	c->map->entry->lifetime_s = 170;
}

static void ike_rekeys_lose_nothing(void **state)
{
	(void)state;
	start(short_ike);
	bring_up();
	p->traffic_ms = 50;
	p->jitter = 30;
	pair_run(p, 20 * 300000);
	assert_true(pair_children_agree(p, 1));
	assert_true(pair_stat(p, 0, "sa_rekeyed") >= 20);
	assert_int_equal(pair_n_sas(p, 0), 1);
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_events(p, 0, IKE_EVT_DOWN), 0);
	nothing_lost();
}

/* One pair and one SA; after an outage, in which both ends start anew, there may be more pairs (RFC 7296 2.8). */
static bool settled(struct pair *q)
{
	bool outage = pair_events(q, 0, IKE_EVT_DOWN) || pair_events(q, 1, IKE_EVT_DOWN);
	unsigned n = outage ? pair_n_children(q, 0) : 1;
	return n && pair_children_agree(q, n) && pair_n_sas(q, 0) == 1 && pair_n_sas(q, 1) == 1;
}

/* The margin between soft and hard limit is longer than a request is repeated. */
static void lossy_lifetimes(struct cv_config *c, int i)
{
	(void)i;
	c->ike_profile->lifetime_s = 1500;
	c->map->entry->lifetime_s = 900;
}

/*
 * Losses, repetitions and reordering in every exchange. A request that is lost six times in a row ends the SA (the peer
 * is taken for dead): then packets may be lost, never otherwise.
 */
static void rekeys_on_a_bad_network(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 10; seed++) {
		start(lossy_lifetimes);
		bring_up();
		p->rng = seed;
		p->traffic_ms = 250;
		p->loss = 15;
		p->dup = 15;
		p->jitter = 300;
		pair_run(p, 10 * 1500000);
		p->loss = 0;
		if (!pair_until(p, settled, 60000))
			fail_msg("seed %u: %u/%u children, %u/%u SAs", seed, pair_n_children(p, 0),
				pair_n_children(p, 1), pair_n_sas(p, 0), pair_n_sas(p, 1));
		if (lost() && !pair_events(p, 0, IKE_EVT_DOWN) && !pair_events(p, 1, IKE_EVT_DOWN))
			fail_msg("seed %u: lost %u+%u without receiver, %u+%u without sender", seed,
				p->h[0].esp_unknown, p->h[1].esp_unknown, p->h[0].esp_no_sa, p->h[1].esp_no_sa);
		teardown(NULL);
	}
}

static void hard_expiry(void **state)
{
	(void)state;
	start(NULL);
	bring_up();
	ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, true);
	pair_run(p, 5000);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_int_equal(pair_n_children(p, 1), 0);
	assert_int_equal(pair_n_sas(p, 0), 1);
	pair_acquire(p, 1, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
}

/* ---- both ends at once (RFC 7296 2.8.1, 2.25) ---- */

/* The two soft expiries `gap` ms apart: crossing in every way a 10 ms path allows. */
static void child_collision(void **state)
{
	(void)state;
	for (unsigned gap = 0; gap <= 60; gap += 3)
		for (int first = 0; first < 2; first++) {
			start(NULL);
			bring_up();
			p->traffic_ms = 2;
			pair_run(p, 50);
			uint32_t id = pair_newest(p, !first)->id;
			soft(first);
			pair_run(p, gap);
			ike_child_expire(p->h[!first].ike, id, false);
			pair_run(p, 30000);
			if (!pair_children_agree(p, 1))
				fail_msg("gap %u first %d: %u/%u children", gap, first, pair_n_children(p, 0),
					pair_n_children(p, 1));
			nothing_lost();
			teardown(NULL);
		}
}

static void collision_pfs(struct cv_config *c, int i)
{
	(void)i;
	c->map->entry->pfs = IKE_GROUP_CURVE25519;
}

/* A collision in which one of the messages is lost. */
static void child_collision_with_loss(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 10; n++)
		for (unsigned gap = 0; gap <= 20; gap += 10) {
			start(collision_pfs);
			bring_up();
			p->traffic_ms = 5;
			p->filter = pair_lose_nth;
			p->drop_nth = p->n_ike + n;
			soft(0);
			uint32_t id = pair_newest(p, 1)->id;
			pair_run(p, gap);
			ike_child_expire(p->h[1].ike, id, false);
			pair_run(p, 60000);
			if (!pair_children_agree(p, 1))
				fail_msg("message %u lost, gap %u: %u/%u children", n, gap, pair_n_children(p, 0),
					pair_n_children(p, 1));
			nothing_lost();
			teardown(NULL);
		}
}

/* The soft lifetime of the host's IKE SA runs out. */
static void soft_ike(int host)
{
	struct ike_sa *sa = TAILQ_FIRST(&p->h[host].ike->sas);
	ike_enter(p->h[host].ike);
	sa->v->sa_rekey(sa);
	ike_leave(p->h[host].ike);
}

static void ike_collision(void **state)
{
	(void)state;
	for (unsigned gap = 0; gap <= 60; gap += 3)
		for (int first = 0; first < 2; first++) {
			start(NULL);
			bring_up();
			p->traffic_ms = 2;
			soft_ike(first);
			pair_run(p, gap);
			soft_ike(!first);
			pair_run(p, 90000);
			if (!pair_children_agree(p, 1) || pair_n_sas(p, 0) != 1 || pair_n_sas(p, 1) != 1)
				fail_msg("gap %u first %d: %u/%u children, %u/%u SAs", gap, first,
					pair_n_children(p, 0), pair_n_children(p, 1), pair_n_sas(p, 0),
					pair_n_sas(p, 1));
			assert_int_equal(pair_events(p, 0, IKE_EVT_DOWN) + pair_events(p, 1, IKE_EVT_DOWN), 0);
			nothing_lost();
			/* the survivor works */
			soft(0);
			pair_run(p, 10000);
			assert_true(pair_children_agree(p, 1));
			teardown(NULL);
		}
}

static void ike_collision_with_loss(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 10; n++) {
		start(NULL);
		bring_up();
		p->traffic_ms = 10;
		p->filter = pair_lose_nth;
		p->drop_nth = p->n_ike + n;
		soft_ike(0);
		soft_ike(1);
		pair_run(p, 180000);
		if (!pair_children_agree(p, 1) || pair_n_sas(p, 0) != 1 || pair_n_sas(p, 1) != 1)
			fail_msg("message %u lost: %u/%u children, %u/%u SAs", n, pair_n_children(p, 0),
				pair_n_children(p, 1), pair_n_sas(p, 0), pair_n_sas(p, 1));
		nothing_lost();
		teardown(NULL);
	}
}

/* One end rekeys the child while the other rekeys the IKE SA (RFC 7296 2.25.2). */
static void child_meets_ike(void **state)
{
	(void)state;
	for (unsigned gap = 0; gap <= 40; gap += 4)
		for (int child = 0; child < 2; child++) {
			start(NULL);
			bring_up();
			p->traffic_ms = 5;
			soft(child);
			pair_run(p, gap);
			soft_ike(!child);
			pair_run(p, 90000);
			if (!pair_children_agree(p, 1) || pair_n_sas(p, 0) != 1 || pair_n_sas(p, 1) != 1)
				fail_msg("gap %u: %u/%u children, %u/%u SAs", gap, pair_n_children(p, 0),
					pair_n_children(p, 1), pair_n_sas(p, 0), pair_n_sas(p, 1));
			assert_int_equal(pair_stat(p, 0, "sa_rekeyed"), 1);
			assert_int_equal(pair_stat(p, child, "child_rekeyed"), 1);
			nothing_lost();
			teardown(NULL);
		}
}

/* The responder of the rekey crosses it with a delete of the same child. */
static void rekey_meets_delete(void **state)
{
	(void)state;
	for (unsigned gap = 0; gap <= 40; gap += 5) {
		start(NULL);
		bring_up();
		soft(0);
		pair_run(p, gap);
		struct ike_match m = {.fvrf = -1, .ivrf = -1, .child_id = 1};
		ike_clear(p->h[1].ike, &m);
		pair_run(p, 20000);
		assert_int_equal(pair_n_children(p, 0), pair_n_children(p, 1));
		assert_true(pair_children_agree(p, pair_n_children(p, 0)));
		assert_int_equal(pair_n_sas(p, 0), 1);
		teardown(NULL);
	}
}

/* ---- liveness ---- */

static void periodic(struct cv_config *c, int i)
{
	(void)i;
	c->ike_profile->dpd_mode = CFG_DPD_PERIODIC;
	c->ike_profile->dpd_interval_s = 10;
	c->ike_profile->dpd_retry_s = 2;
}

static void on_demand(struct cv_config *c, int i)
{
	periodic(c, i);
	c->ike_profile->dpd_mode = CFG_DPD_ON_DEMAND;
}

static void dead_peer_detected(void **state)
{
	(void)state;
	start(periodic);
	bring_up();
	pair_run(p, 60000);
	assert_true(pair_stat(p, 0, "dpd_sent") + pair_stat(p, 1, "dpd_sent") >= 5);
	assert_int_equal(pair_n_sas(p, 0), 1);
	p->cut = true;
	pair_run(p, 40000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pair_n_sas(p, i), 0);
		assert_int_equal(pair_n_children(p, i), 0);
		assert_string_equal(pair_reason(p, i, IKE_EVT_DOWN), "peer not responding");
	}
	/* and it comes back with the traffic */
	p->cut = false;
	p->traffic_ms = 100;
	pair_run(p, 10000);
	assert_true(pair_n_children(p, 0) >= 1);
}

/* DPD-3: silence while nobody sends, a question when traffic goes out and nothing comes in. */
static void liveness_on_demand(void **state)
{
	(void)state;
	start(on_demand);
	bring_up();
	pair_run(p, 300000);
	assert_int_equal(pair_stat(p, 0, "dpd_sent"), 0);
	p->traffic_ms = 500;
	pair_run(p, 100000);
	assert_int_equal(pair_stat(p, 0, "dpd_sent"), 0); /* it hears the other's traffic */
	p->cut = true;
	pair_run(p, 60000);
	assert_true(pair_stat(p, 0, "dpd_sent") >= 1);
	assert_true(pair_stat(p, 0, "dpd_dead") >= 1);
}

/* INITIAL_CONTACT: a peer that came back from the dead replaces what we remember of it (VRF-42). */
static void reboot(void **state)
{
	(void)state;
	start(NULL);
	bring_up();
	pair_reboot(p, 0);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_string_equal(pair_reason(p, 1, IKE_EVT_DOWN), "initial contact from peer");
}

static void cleared(void **state)
{
	(void)state;
	start(NULL);
	bring_up();
	struct cv_addr other = {.af = CV_AF_INET, .b = {203, 0, 113, 9}};
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .remote = &other};
	assert_int_equal(ike_clear(p->h[0].ike, &m), 0);
	m.remote = &p->h[1].addr;
	assert_int_equal(ike_clear(p->h[0].ike, &m), 1);
	pair_run(p, 5000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pair_n_sas(p, i), 0);
		assert_int_equal(pair_n_children(p, i), 0);
		assert_int_equal(pair_events(p, i, IKE_EVT_DOWN), 1);
	}
}

/* ---- restarts ---- */

/* culvertd of either host dies and returns after every single message of a rekey of child and IKE SA. */
static void restart_anywhere(void **state)
{
	(void)state;
	for (int die_host = 0; die_host < 2; die_host++)
		for (unsigned ike = 0; ike < 2; ike++)
			for (unsigned die_after = 0; die_after < 8; die_after++) {
				start(NULL);
				bring_up();
				p->traffic_ms = 20;
				if (ike)
					soft_ike(0);
				else
					soft(0);
				pair_run(p, 5 + 10 * die_after / 2);
				pair_restart(p, die_host);
				pair_run(p, 120000);
				if (!pair_children_agree(p, pair_n_children(p, 0)) || !pair_n_children(p, 0))
					fail_msg("host %d, %s, step %u: %u/%u children", die_host,
						ike ? "ike" : "child", die_after, pair_n_children(p, 0),
						pair_n_children(p, 1));
				/* and whatever state it is in, it can go on */
				soft(0);
				soft(1);
				pair_run(p, 60000);
				if (!pair_children_agree(p, pair_n_children(p, 0)))
					fail_msg("host %d, %s, step %u: stuck", die_host, ike ? "ike" : "child",
						die_after);
				teardown(NULL);
			}
}

static void restart_keeps_everything(void **state)
{
	(void)state;
	start(short_child);
	bring_up();
	p->traffic_ms = 20;
	for (unsigned i = 0; i < 10; i++) {
		pair_run(p, 47000);
		pair_restart(p, (int)(i & 1));
	}
	pair_run(p, 120000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_n_sas(p, 0), 1);
	nothing_lost();
}

#define MANY 100

static void many_flows(struct cv_config *c, int i)
{
	struct cfg_acl *a = c->acl;
	struct cfg_acl_line first = a->line[0];
	a->line = config_alloc(c, MANY, sizeof(*a->line));
	a->n_line = MANY;
	for (unsigned l = 0; l < MANY; l++) {
		struct cv_range *own = i ? &a->line[l].sel.dst : &a->line[l].sel.src;
		a->line[l] = first;
		a->line[l].seq = 10 * (l + 1);
		own->lo.b[3] = own->hi.b[3] = (uint8_t)l;
	}
}

/* The record of an IKE SA has room for as many children as it has. */
static void restart_keeps_many_children(void **state)
{
	(void)state;
	start(many_flows);
	for (unsigned l = 0; l < MANY; l++)
		pair_acquire(p, 0, l);
	pair_run(p, 20000);
	assert_true(pair_children_agree(p, MANY));
	pair_restart(p, 0);
	pair_restart(p, 1);
	pair_run(p, 60000);
	assert_true(pair_children_agree(p, MANY));
	assert_int_equal(pair_n_sas(p, 0), 1);
	for (unsigned k = 1; k < PAIR_CHILD_MAX; k++)
		if (p->h[1].child[k].used)
			ike_child_expire(p->h[1].ike, k, false);
	pair_run(p, 60000);
	assert_true(pair_children_agree(p, MANY));
	assert_int_equal(pair_stat(p, 1, "child_rekeyed"), MANY);
}

/* The dataplane of one host is gone: every pair is made anew over the living IKE SA. */
static void dataplane_restart(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(NULL);
		bring_up();
		pair_dataplane_restart(p, i);
		pair_run(p, 10000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_n_sas(p, 0), 1);
		assert_int_equal(pair_events(p, 0, IKE_EVT_UP), 1);
		teardown(NULL);
	}
}

/* ---- configuration ---- */

static void change(int host, void (*tweak)(struct cv_config *c, int host))
{
	pair_reconfigure(p, host, CFG_IKEV2, tweak);
}

static void new_transform(struct cv_config *c, int i)
{
	(void)i;
	c->transform_set->suite = (struct algo_suite){.encr = CV_ENCR_AES256_GCM16};
	c->map->entry->lifetime_s = 200;
}

static void new_key(struct cv_config *c, int i)
{
	(void)i;
	c->keyring->psk->key = config_secret(c, "another", 7);
	c->keyring->psk->key_len = 7;
}

static void new_peer(struct cv_config *c, int i)
{
	(void)i;
	c->map->entry->peer[0].b[3] = 99;
}

static void new_flow(struct cv_config *c, int i)
{
	(void)i;
	c->acl->line->sel.dst.lo.b[1] = c->acl->line->sel.dst.hi.b[1] = 77;
}

static void off(struct cv_config *c, int i)
{
	(void)i;
	c->ike_enabled = false;
}

static void configuration_changes(void **state)
{
	(void)state;
	start(NULL);
	bring_up();
	p->traffic_ms = 20;
	/* the same again, and new parameters: nothing happens to what runs (IPSEC-24, design promise 4) */
	for (int i = 0; i < 2; i++) {
		change(i, NULL);
		change(i, new_transform);
	}
	pair_run(p, 1000);
	assert_int_equal(pair_events(p, 0, IKE_EVT_DOWN), 0);
	assert_true(algo_suite_equal(pair_newest(p, 0)->p.suite, (struct algo_suite){.encr = CV_ENCR_AES128_GCM16}));
	nothing_lost();
	/* the next rekey uses them */
	soft(0);
	pair_run(p, 10000);
	assert_true(algo_suite_equal(pair_newest(p, 0)->p.suite, (struct algo_suite){.encr = CV_ENCR_AES256_GCM16}));
	assert_int_equal(pair_newest(p, 0)->p.lifetime_s, 200);
	nothing_lost();
	p->traffic_ms = 0;
	/* the flow goes: the child goes, the IKE SA may stay */
	change(0, new_flow);
	pair_run(p, 10000);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_int_equal(pair_n_children(p, 1), 0);
}

/* Host 1 knows host 0 by its name alone. */
static const char *key_of_name;

static void keys_by_name(struct cv_config *c, int i)
{
	struct cfg_ike_profile *q = c->ike_profile;
	if (!i) {
		q->local_id = (struct cfg_identity){.type = CFG_ID_FQDN, .text = "spoke.example.org"};
		return;
	}
	c->keyring->psk->peer.addr.af = CV_AF_NONE;
	c->keyring->psk->hostname = "spoke.example.org";
	c->keyring->psk->key_len = strlen(key_of_name);
	c->keyring->psk->key = config_secret(c, key_of_name, strlen(key_of_name));
	q->match = config_alloc(c, 1, sizeof(*q->match));
	q->n_match = 1;
	q->match[0] = (struct cfg_identity){.type = CFG_ID_FQDN, .text = "spoke.example.org"};
}

/* A key that was found by the peer's identity changes: what it authenticated ends, as with one found by address. */
static void key_of_a_name_changes(void **state)
{
	(void)state;
	key_of_name = "secret";
	start(keys_by_name);
	bring_up();
	change(1, keys_by_name);
	pair_run(p, 5000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_events(p, 1, IKE_EVT_DOWN), 0);
	key_of_name = "another";
	change(1, keys_by_name);
	pair_run(p, 5000);
	assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 0);
}

static void configuration_ends_sas(void **state)
{
	static void (*const tweak[])(struct cv_config * c, int host) = {new_key, new_peer, off};
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		start(NULL);
		bring_up();
		change(0, tweak[i]);
		pair_run(p, 5000);
		assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
		assert_int_equal(pair_n_sas(p, 1), 0);
		if (tweak[i] != off)
			assert_int_equal(pair_n_sas(p, 0), 0);
		teardown(NULL);
	}
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {T(child_rekeys_lose_nothing), T(ike_rekeys_lose_nothing),
		T(rekeys_on_a_bad_network), T(hard_expiry), T(child_collision), T(child_collision_with_loss),
		T(ike_collision), T(ike_collision_with_loss), T(child_meets_ike), T(rekey_meets_delete),
		T(dead_peer_detected), T(liveness_on_demand), T(reboot), T(cleared), T(restart_anywhere),
		T(restart_keeps_everything), T(restart_keeps_many_children), T(dataplane_restart),
		T(configuration_changes), T(configuration_ends_sas), T(key_of_a_name_changes), T(authenticates_again),
		T(does_not_authenticate_again)};
	const char *variant = argc > 1 ? argv[1] : "at once";
	if (strcmp(variant, "at once") != 0)
		async_ms = 25;
	if (strcmp(variant, "windows") == 0)
		window = 8;
	followups = strcmp(variant, "followups") == 0;
	return cmocka_run_group_tests_name(variant, tests, NULL, NULL);
}
