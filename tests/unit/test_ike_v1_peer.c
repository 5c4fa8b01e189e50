/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv1, two engines against each other: peers that die, peers in a list, peers behind a NAT. */
#include "ike_v1_env.h"

#include <stdlib.h>

/* ---- DPD ---- */

static enum cfg_dpd_mode dpd_mode;

static void tweak_dpd(struct cv_config *c, int host)
{
	c->ike_profile->dpd_mode = host ? CFG_DPD_OFF : dpd_mode;
	c->ike_profile->dpd_interval_s = 10;
	c->ike_profile->dpd_retry_s = 2;
}

/* DPD-T1, DPD-T2, DPD-2, DPD-5, DPD-9, DPD-10: asked every 10 s; cut off: five probes 2 s apart, then everything to
 * that peer goes. */
static void dpd_periodic(void **state)
{
	(void)state;
	dpd_mode = CFG_DPD_PERIODIC;
	start(tweak_dpd);
	bring_up();
	uint64_t sent = pair_stat(p, 0, "dpd_sent");
	pair_run(p, 100000);
	assert_in_range(pair_stat(p, 0, "dpd_sent") - sent, 9, 11);
	assert_int_equal(pair_n_sas(p, 0), 1);
	p->cut = true;
	sent = pair_stat(p, 0, "dpd_sent");
	pair_run(p, 21000);
	assert_int_equal(pair_stat(p, 0, "dpd_sent") - sent, 5);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_DOWN), "peer not responding");
	assert_int_equal(pair_stat(p, 0, "dpd_dead"), 1);
}

static void tweak_30_20(struct cv_config *c, int host)
{
	c->ike_profile->dpd_mode = host ? CFG_DPD_OFF : CFG_DPD_PERIODIC;
	c->ike_profile->dpd_interval_s = 30;
	c->ike_profile->dpd_retry_s = 20;
}

/* DPD-T3, DPD-4: the second number is seconds between retries; dead after five times that. */
static void dpd_retry_interval(void **state)
{
	(void)state;
	start(tweak_30_20);
	bring_up();
	pair_run(p, 30500);
	assert_int_equal(pair_stat(p, 0, "dpd_sent"), 1);
	p->cut = true;
	pair_run(p, 29500); /* the next question is due 30 s after the answer */
	uint64_t sent = pair_stat(p, 0, "dpd_sent");
	pair_run(p, 95000);
	assert_int_equal(pair_n_sas(p, 0), 1);
	assert_in_range(pair_stat(p, 0, "dpd_sent") - sent, 4, 5);
	pair_run(p, 10000);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_DOWN), "peer not responding");
}

/* Lost answers that come to an end before the fifth: the count starts anew (DPD-11). */
static void dpd_recovers(void **state)
{
	(void)state;
	dpd_mode = CFG_DPD_PERIODIC;
	start(tweak_dpd);
	bring_up();
	for (unsigned i = 0; i < 5; i++) {
		p->cut = true;
		pair_run(p, 12000);
		assert_true(atoi(pair_show(p, 0, "dpd_misses")) >= 1);
		p->cut = false;
		pair_run(p, 5000);
		assert_string_equal(pair_show(p, 0, "dpd_misses"), "0");
	}
	assert_int_equal(pair_n_sas(p, 0), 1);
	assert_true(pair_children_agree(p, 1));
}

/* DPD-T7: inbound traffic is a sign of life. */
static void dpd_traffic(void **state)
{
	(void)state;
	dpd_mode = CFG_DPD_PERIODIC;
	start(tweak_dpd);
	bring_up();
	p->traffic_ms = 500;
	pair_run(p, 100000);
	assert_int_equal(pair_stat(p, 0, "dpd_sent"), 0);
}

/* DPD-T4: on demand nothing is sent on an idle link, and detection follows traffic. */
static void dpd_on_demand(void **state)
{
	(void)state;
	dpd_mode = CFG_DPD_ON_DEMAND;
	start(tweak_dpd);
	bring_up();
	unsigned n = p->n_ike;
	pair_run(p, 300000);
	assert_int_equal(p->n_ike, n);
	p->cut = true;
	pair_run(p, 60000);
	assert_int_equal(pair_n_sas(p, 0), 1);
	p->traffic_ms = 500;
	pair_run(p, 15000);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_DOWN), "peer not responding");
}

/* DPD-T5, IPSEC-48: the first peer of the list is dead, the second answers. */
static void tweak_peers(struct cv_config *c, int host)
{
	if (host)
		return;
	c->map->entry->n_peer = 2;
	c->map->entry->peer[1] = c->map->entry->peer[0];
	assert_int_equal(cv_addr_parse("192.0.2.99", &c->map->entry->peer[0]), 0);
}

static void next_peer(void **state)
{
	(void)state;
	start(tweak_peers);
	pair_acquire(p, 0, 0);
	assert_true(pair_until(p, two_agree, 300000));
	assert_int_equal(p->h[0].acquire_failures, 0);
}

static void tweak_three(struct cv_config *c, int host)
{
	tweak_dpd(c, host);
	if (host)
		return;
	c->map->entry->n_peer = 3;
	assert_int_equal(cv_addr_parse("192.0.2.3", &c->map->entry->peer[1]), 0);
	assert_int_equal(cv_addr_parse("192.0.2.4", &c->map->entry->peer[2]), 0);
}

static const char *alive;
static bool with_the_living(struct pair *q)
{
	return strcmp(pair_show(q, 0, "remote"), alive) == 0 && pair_children_agree(q, 1);
}

/*
 * DPD-T5, DPD-T6, DPD-12, PREF-6: the peers of the list die one after the other; each time the next one is taken, and
 * at the end the first again. 20 s to find out; no time is lost with one that is known to be dead.
 */
static void list_goes_round(void **state)
{
	(void)state;
	static const char *const order[] = {"192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.2"};
	dpd_mode = CFG_DPD_PERIODIC;
	start(tweak_three);
	bring_up();
	p->traffic_ms = 500;
	for (unsigned i = 1; i < 4; i++) {
		pair_run(p, 30000);
		alive = order[i];
		assert_int_equal(cv_addr_parse(alive, &p->h[1].addr), 0);
		pair_reboot(p, 1);
		if (!pair_until(p, with_the_living, 30000))
			fail_msg("peer %s was not taken", alive);
	}
}

/* IPSEC-T10: the first peer is dead, the second serves; the first comes back and begins: it is the one last heard from,
 * and traffic goes there. */
static void first_peer_returns(void **state)
{
	(void)state;
	dpd_mode = CFG_DPD_PERIODIC;
	start(tweak_three);
	assert_int_equal(cv_addr_parse("192.0.2.3", &p->h[1].addr), 0);
	pair_acquire(p, 0, 0);
	assert_true(pair_until(p, two_agree, 300000));
	assert_true(cv_addr_eq(&pair_newest(p, 0)->p.path.remote, &p->h[1].addr));
	assert_int_equal(cv_addr_parse("192.0.2.2", &p->h[1].addr), 0);
	pair_reboot(p, 1);
	pair_acquire(p, 1, 0);
	pair_run(p, 2000);
	assert_int_equal(pair_n_children(p, 0), 2);
	assert_true(cv_addr_eq(&pair_newest(p, 0)->p.path.remote, &p->h[1].addr));
}

static bool with_default;
static void tweak_default(struct cv_config *c, int host)
{
	tweak_three(c, host);
	c->map->entry->default_peer = !host && with_default;
}

/* The first peer of three is dead, the second one serves. */
static const struct cfg_map_entry *second_serves(bool default_peer)
{
	const struct cfg_map_entry *e;

	with_default = default_peer;
	dpd_mode = CFG_DPD_PERIODIC;
	start(tweak_default);
	assert_int_equal(cv_addr_parse("192.0.2.3", &p->h[1].addr), 0);
	pair_acquire(p, 0, 0);
	assert_true(pair_until(p, two_agree, 300000));
	e = p->h[0].cfg->map->entry;
	assert_true(ike_current_peer(p->h[0].ike, e) == &e->peer[1]);
	return e;
}

/* PREF-4, PREF-5, PREF-T1: after the current peer has died the default one is asked first, else the next of the list.
 */
static void default_peer_after_a_failure(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct cfg_map_entry *e = second_serves(i == 1);

		p->cut = true;
		pair_run(p, 60000);
		assert_string_equal(pair_reason(p, 0, IKE_EVT_DOWN), "peer not responding");
		assert_true(ike_current_peer(p->h[0].ike, e) == &e->peer[i ? 0 : 2]);
		if (!i)
			pair_free(p);
	}
}

/* IDLE-7, PREF-8, PREF-T2, PREF-T5: whom the entry asks after its tunnel was idle. */
static void default_peer_after_idleness(void **state)
{
	const struct cfg_map_entry *e = second_serves(true);

	(void)state;
	ike_peer_idle(p->h[0].ike, e);
	assert_true(ike_current_peer(p->h[0].ike, e) == &e->peer[1]);
	p->h[0].cfg->map->entry->idle_to_default = true;
	ike_peer_idle(p->h[0].ike, e);
	assert_true(ike_current_peer(p->h[0].ike, e) == &e->peer[0]);
}

/* The negotiation that nobody answers moves the list on as well, so that the next one need not ask the dead first. */
static void next_negotiation(void **state)
{
	(void)state;
	start(tweak_peers);
	pair_acquire(p, 0, 0);
	assert_true(pair_until(p, two_agree, 300000));
	struct ike_match m = {.fvrf = -1, .ivrf = -1};
	ike_clear(p->h[0].ike, &m);
	pair_run(p, 5000);
	assert_int_equal(pair_n_sas(p, 0), 0);
	bring_up(); /* within a second */
}

/* ---- NAT (RFC 3947) ---- */

static void nat(void **state)
{
	(void)state;
	p = pair_new(CFG_IKEV1, tweak_nat);
	p->nat = true;
	bring_up();
	encapsulated();
	assert_string_equal(pair_show(p, 0, "nat_local"), "true");
	assert_string_equal(pair_show(p, 0, "nat_remote"), "false");
	assert_string_equal(pair_show(p, 1, "nat_remote"), "true");
	assert_int_equal(pair_newest(p, 1)->p.path.rport, 14500);
	assert_int_equal(pair_newest(p, 0)->p.path.rport, 4500);
	/* keepalives of the side behind the NAT only */
	unsigned n0 = p->h[0].tx, n1 = p->h[1].tx;
	pair_run(p, 100000);
	assert_in_range(p->h[0].tx - n0, 4, 6);
	assert_int_equal(p->h[1].tx, n1);
	/* the mapping changes: an authenticated message from the new place moves everything there */
	p->nat_shift = 20000;
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .child_id = pair_newest(p, 0)->id};
	ike_clear(p->h[0].ike, &m);
	pair_run(p, 1000);
	bring_up();
	assert_string_equal(pair_show(p, 1, "remote_port"), "24500");
	assert_int_equal(pair_newest(p, 1)->p.path.rport, 24500);
}

/* A peer of the time of the drafts: whatever the vendor ids of RFC 3947 are, they do not arrive. */
static bool only_drafts(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	static const uint8_t rfc[8] = {0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45};
	uint8_t *on_the_wire = (uint8_t *)(uintptr_t)data;
	(void)q, (void)who;
	for (size_t i = 0; n < 2 && i + 8 <= len; i++)
		if (memcmp(data + i, rfc, sizeof(rfc)) == 0)
			on_the_wire[i] ^= 0xff;
	return true;
}

static bool saw_draft_nat_d;
static bool only_drafts_seen(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	/* message 3: KE, then a nonce whose next payload is NAT-D of the drafts */
	if (n == 2) {
		size_t ke = (size_t)data[30] << 8 | data[31];
		saw_draft_nat_d = 28 + ke < len && data[28 + ke] == 130;
	}
	return only_drafts(q, who, n, data, len);
}

/* VRF-44: drafts 02 and 03: their own payload numbers, the same effect. */
static void nat_drafts(void **state)
{
	(void)state;
	saw_draft_nat_d = false;
	p = pair_new(CFG_IKEV1, tweak_nat);
	p->nat = true;
	p->filter = only_drafts_seen;
	bring_up();
	assert_true(saw_draft_nat_d);
	encapsulated();
	assert_string_equal(pair_show(p, 1, "nat_remote"), "true");
	assert_int_equal(pair_newest(p, 1)->p.path.rport, 14500);
}

static void nat_rekey(void **state)
{
	(void)state;
	start(tweak_short);
	pair_free(p);
	p = pair_new(CFG_IKEV1, tweak_nat);
	p->nat = true;
	for (int i = 0; i < 2; i++) {
		p->h[i].cfg->map->entry->lifetime_s = 300;
		for (unsigned k = 0; k < p->h[i].cfg->n_ike_policy; k++)
			p->h[i].cfg->ike_policy[k].lifetime_s = 900;
	}
	bring_up();
	traffic_for(3600000);
	nothing_lost();
	assert_true(pair_events(p, 0, IKE_EVT_REKEYED) >= 3);
	assert_string_equal(pair_show(p, 0, "nat_t"), "true");
}

static void tweak_force(struct cv_config *c, int host)
{
	c->ike_profile->force_encaps = host == 0;
}

static void tweak_no_natt(struct cv_config *c, int host)
{
	tweak_nat(c, host);
	c->ike_profile->nat_traversal = host == 0;
}

static void encapsulation_choice(void **state)
{
	(void)state;
	start(tweak_force);
	bring_up();
	assert_true(pair_newest(p, 0)->p.udp_encap);
	assert_true(pair_newest(p, 1)->p.udp_encap);
	teardown(NULL);
	start(tweak_no_natt);
	p->nat = true;
	bring_up();
	assert_false(pair_newest(p, 0)->p.udp_encap);
}

/* ---- fragments ---- */

static unsigned most, n_fragments;
static bool measure(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)who, (void)n;
	if (len + 32 > most)
		most = (unsigned)len + 32;
	n_fragments += len > 28 && data[16] == 132;
	return true;
}

static uint16_t size_of[2];
static void tweak_fragments(struct cv_config *c, int host)
{
	policies(c, 1);
	c->ike_policy[0].group = IKE_GROUP_MODP4096; /* public values of 512 bytes */
	c->map->entry->pfs = IKE_GROUP_MODP4096;
	c->ike_profile->fragment_size = size_of[host];
}

/* Everything after the first two messages stays within the size, in main and quick mode; in any order and with repeats.
 */
static void fragments(void **state)
{
	(void)state;
	size_of[0] = size_of[1] = 300;
	start(tweak_fragments);
	pair_acquire(p, 0, 0);
	pair_run(p, 15); /* messages 1 and 2 are under way: vendor ids */
	most = n_fragments = 0;
	p->filter = measure;
	p->dup = 30;
	p->jitter = 20;
	assert_true(pair_until(p, two_agree, 5000));
	assert_true(most <= 300);
	assert_true(n_fragments >= 12);
	/* and after a restart of the control process */
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .child_id = pair_newest(p, 0)->id};
	pair_restart(p, 1);
	ike_clear(p->h[0].ike, &m);
	pair_run(p, 5000);
	n_fragments = 0;
	pair_acquire(p, 1, 0);
	assert_true(pair_until(p, two_agree, 5000));
	assert_true(n_fragments >= 6);
	assert_true(most <= 300);
}

/* Only when both ends can. */
static void fragments_not_agreed(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		size_of[i] = 0;
		size_of[!i] = 300;
		start(tweak_fragments);
		n_fragments = 0;
		p->filter = measure;
		bring_up();
		assert_int_equal(n_fragments, 0);
		teardown(NULL);
	}
}

/* Fragments that belong to nothing, contradict each other or never end: bounded, and the session does not notice. */
static void fragments_malformed(void **state)
{
	(void)state;
	uint8_t m[28 + 8 + 200] = {[16] = 132, [17] = 0x10, [18] = 2};
	char spi[2][32];
	size_of[0] = size_of[1] = 300;
	start(tweak_fragments);
	bring_up();
	strcpy(spi[0], pair_show(p, 0, "spi_i"));
	strcpy(spi[1], pair_show(p, 0, "spi_r"));
	for (int i = 0; i < 16; i++) {
		char hex[3] = {spi[i / 8][i % 8 * 2], spi[i / 8][i % 8 * 2 + 1], 0};
		m[i] = (uint8_t)strtoul(hex, NULL, 16);
	}
	m[26] = (uint8_t)(sizeof(m) >> 8);
	m[27] = (uint8_t)sizeof(m);
	m[31] = 208;
	uint64_t before = pair_stat(p, 1, "rx_malformed");
	for (unsigned i = 0; i < 20000; i++) {
		m[33] = (uint8_t)(i / 700); /* id */
		m[34] = (uint8_t)(i * 7);   /* number */
		m[35] = i % 61 == 0;	    /* last */
		from(0, m, sizeof(m));
	}
	m[31] = 209; /* longer than the message */
	from(0, m, sizeof(m));
	assert_true(pair_stat(p, 1, "rx_malformed") > before);
	pair_run(p, 60000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_events(p, 1, IKE_EVT_DOWN), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		V1_TEST(dpd_periodic),
		V1_TEST(dpd_retry_interval),
		V1_TEST(dpd_recovers),
		V1_TEST(dpd_traffic),
		V1_TEST(dpd_on_demand),
		V1_TEST(next_peer),
		V1_TEST(list_goes_round),
		V1_TEST(first_peer_returns),
		V1_TEST(default_peer_after_a_failure),
		V1_TEST(default_peer_after_idleness),
		V1_TEST(next_negotiation),
		V1_TEST(nat),
		V1_TEST(nat_drafts),
		V1_TEST(nat_rekey),
		V1_TEST(encapsulation_choice),
		V1_TEST(fragments),
		V1_TEST(fragments_not_agreed),
		V1_TEST(fragments_malformed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
