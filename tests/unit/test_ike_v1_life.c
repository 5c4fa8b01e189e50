/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv1, two engines against each other: loss of messages, rekeying under traffic, deletes and restarts. */
#include "ike_v1_env.h"
#include "ike_internal.h"

/* ---- loss ---- */

/* Each of the nine messages lost once, and each lost twice in a row. */
static void every_message_lost(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 9; n++) {
		start(NULL);
		up_without(n);
		pair_run(p, 60000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_n_sas(p, 0), 1);
		assert_int_equal(pair_n_sas(p, 1), 1);
		assert_int_equal(p->h[0].acquire_failures, 0);
		teardown(NULL);
	}
}

static void rough_network(void **state)
{
	(void)state;
	unsigned ok = 0;
	for (unsigned seed = 1; seed <= 60; seed++) {
		start(NULL);
		p->rng = seed;
		p->loss = 20;
		p->dup = 20;
		p->jitter = 300;
		pair_acquire(p, 0, 0);
		bool came_up = pair_until(p, two_agree, 120000);
		ok += came_up;
		p->loss = 0;
		pair_run(p, 120000);
		/* whatever happened: both ends see the same */
		if (!pair_children_agree(p, pair_n_children(p, 0)))
			fail_msg("seed %u: the ends disagree", seed);
		teardown(NULL);
	}
	assert_true(ok >= 55);
}

static void duplicates(void **state)
{
	(void)state;
	start(NULL);
	p->dup = 100;
	bring_up();
	pair_run(p, 60000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_stat(p, 1, "sa_responded"), 1);
}

static void silent_peer(void **state)
{
	(void)state;
	start(NULL);
	p->cut = true;
	pair_acquire(p, 0, 0);
	pair_run(p, 300000);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "peer not responding");
	assert_int_equal(p->h[0].acquire_failures, 1);
}

static bool cut_after_4(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)from, (void)data, (void)len;
	return n < 4;
}

static void half_open_goes(void **state)
{
	(void)state;
	start(NULL);
	p->filter = cut_after_4;
	pair_acquire(p, 0, 0);
	pair_run(p, 200);
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_stat(p, 1, "half_open"), 1);
	pair_run(p, 300000);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_int_equal(pair_stat(p, 1, "half_open"), 0);
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "negotiation timed out");
}

/* Both ends begin at once: two phase 1 SAs, of which both ends keep the same one; traffic flows all the time. */
static void both_at_once(void **state)
{
	(void)state;
	for (unsigned apart = 0; apart < 60; apart += 7) {
		start(NULL);
		pair_acquire(p, 0, 0);
		if (apart)
			pair_run(p, apart);
		pair_acquire(p, 1, 0);
		pair_run(p, 5000);
		p->traffic_ms = 20;
		pair_run(p, 120000);
		assert_int_equal(p->h[0].esp_no_sa + p->h[1].esp_no_sa, 0);
		assert_int_equal(p->h[0].esp_unknown + p->h[1].esp_unknown, 0);
		assert_int_equal(pair_n_sas(p, 0), 1);
		assert_int_equal(pair_n_sas(p, 1), 1);
		char spi[32];
		strcpy(spi, pair_show(p, 0, "spi_i"));
		assert_string_equal(pair_show(p, 1, "spi_i"), spi);
		teardown(NULL);
	}
}

/* ---- rekeying under traffic ---- */

static void rekey_loses_nothing(void **state)
{
	(void)state;
	start(tweak_short);
	bring_up();
	traffic_for(3600000);
	nothing_lost();
	assert_true(pair_stat(p, 0, "child_rekeyed") >= 10);
	assert_true(pair_events(p, 0, IKE_EVT_REKEYED) >= 3);
	assert_int_equal(pair_events(p, 0, IKE_EVT_UP), 1);
	assert_int_equal(pair_events(p, 1, IKE_EVT_UP), 1);
	assert_int_equal(pair_events(p, 0, IKE_EVT_DOWN), 0);
	assert_int_equal(pair_events(p, 1, IKE_EVT_DOWN), 0);
	/* old pairs and old phase 1 SAs are gone */
	pair_run(p, 15000);
	assert_true(pair_n_children(p, 0) <= 2);
	assert_in_range(pair_n_sas(p, 0), 1, 2);
}

/* A tenth of the messages lost, some repeated, all shuffled, for two hours of rekeying. */
static void rekey_under_loss(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 5; seed++) {
		start(tweak_short);
		bring_up();
		p->rng = seed;
		p->loss = 10;
		p->dup = 10;
		p->jitter = 200;
		traffic_for(7200000);
		if (p->h[0].esp_sent != p->h[1].esp_received || p->h[1].esp_sent != p->h[0].esp_received)
			fail_msg("seed %u: lost %d and %d", seed, (int)(p->h[0].esp_sent - p->h[1].esp_received),
				(int)(p->h[1].esp_sent - p->h[0].esp_received));
		nothing_lost();
		assert_true(pair_n_children(p, 0) <= 3);
		assert_in_range(pair_n_sas(p, 0), 1, 3);
		teardown(NULL);
	}
}

/* Both ends renew the same pair in the same moment, again and again. */
static void crossing_rekeys(void **state)
{
	(void)state;
	start(NULL);
	bring_up();
	p->traffic_ms = 50;
	for (unsigned round = 0; round < 20; round++) {
		for (int i = 0; i < 2; i++)
			ike_child_expire(p->h[i].ike, pair_newest(p, i)->id, false);
		pair_run(p, 90000);
		assert_in_range(pair_n_children(p, 0), 1, 2);
		assert_int_equal(pair_n_children(p, 0), pair_n_children(p, 1));
	}
	traffic_for(1000);
	nothing_lost();
}

/* Volume: the dataplane says soft, then hard (IPSEC-51). */
static void kilobytes(void **state)
{
	(void)state;
	start(NULL);
	bring_up();
	uint32_t first = pair_newest(p, 0)->id;
	p->traffic_ms = 50;
	ike_child_expire(p->h[0].ike, first, false);
	pair_run(p, 10000);
	assert_int_not_equal(pair_newest(p, 0)->id, first);
	assert_int_equal(pair_n_children(p, 0), 1);
	traffic_for(60000);
	nothing_lost();
	ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, true);
	pair_run(p, 1000);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_int_equal(pair_n_children(p, 1), 0); /* the peer was told */
}

/* A rekey that cannot be agreed on leaves the old pair alone until its end. */
static void rekey_refused(void **state)
{
	(void)state;
	start(tweak_short);
	bring_up();
	p->h[1].cfg->map->entry->pfs = IKE_GROUP_ECP256;
	p->h[0].cfg->map->entry->pfs = IKE_GROUP_MODP2048;
	uint32_t id = pair_newest(p, 0)->id;
	p->traffic_ms = 50;
	pair_run(p, 290000);
	assert_int_equal(pair_newest(p, 0)->id, id);
	assert_int_equal(p->h[0].esp_no_sa, 0);
	/* put right in time: the next attempt succeeds */
	p->h[1].cfg->map->entry->pfs = p->h[0].cfg->map->entry->pfs = IKE_GROUP_NONE;
	traffic_for(60000);
	nothing_lost();
}

/* ---- a peer that is slow to take what it is sent ---- */

#define EXCHANGE_QUICK 32

static struct {
	size_t len;
	uint8_t data[2048];
} held[64];
static unsigned n_held, n_quick[2];

/* Host 1 reads nothing after message 1 of a quick mode, and does not repeat its own. */
static bool not_read(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)n;
	if (data[18] == EXCHANGE_QUICK)
		n_quick[who]++;
	if (who || n_quick[0] < 2)
		return !who || n_quick[1] < 2;
	assert_true(n_held < 64 && len <= sizeof(held[0].data));
	memcpy(held[n_held].data, data, len);
	held[n_held++].len = len;
	return false;
}

static void stop_reading(void)
{
	n_held = n_quick[0] = n_quick[1] = 0;
	p->filter = not_read;
}

static void read_all(void)
{
	p->filter = NULL;
	for (unsigned i = 0; i < n_held; i++)
		from(0, held[i].data, held[i].len);
}

static uint32_t first_id; /* of the pair that is renewed */

/* Does host 0 send on the new pair? */
static bool sends_on_new(void)
{
	return pair_newest(p, 0)->id != first_id;
}

static void renew_slowly(uint64_t ms)
{
	start(NULL);
	bring_up();
	stop_reading();
	first_id = pair_newest(p, 0)->id;
	ike_child_expire(p->h[0].ike, first_id, false);
	pair_run(p, ms);
	assert_false(sends_on_new());
}

/* RFC 2409 5.5 has no acknowledgement of message 3: the old pair is used until an answer tells that it has been read.
 */
static void renewed_with_a_slow_peer(void **state)
{
	(void)state;
	renew_slowly(20000);
	read_all();
	pair_run(p, 4000);
	assert_false(sends_on_new()); /* that could have been lost: a repeated message 2 would say so */
	pair_run(p, 2000);
	assert_true(sends_on_new());
	teardown(NULL);
	renew_slowly(20000); /* and a packet on the new pair leaves no doubt */
	read_all();
	p->traffic_ms = 50;
	pair_run(p, 500);
	assert_true(sends_on_new());
	traffic_for(60000);
	nothing_lost();
}

/* A peer that answers nothing at all, and one whose old pair goes: we do not wait for ever, or with nothing to use. */
static void renewed_without_an_answer(void **state)
{
	(void)state;
	renew_slowly(28000);
	pair_run(p, 4000);
	assert_true(sends_on_new());
	teardown(NULL);
	renew_slowly(10000);
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .child_id = first_id};
	assert_int_equal(ike_clear(p->h[0].ike, &m), 1);
	pair_run(p, 200);
	assert_true(sends_on_new());
}

static void begin_slowly(unsigned delay_ms, uint64_t ms)
{
	start(NULL);
	p->delay_ms = delay_ms;
	stop_reading();
	pair_acquire(p, 0, 0);
	pair_run(p, ms);
}

/* The first pair: a peer that was slow to answer message 1 is asked, and given more time. */
static void first_pair_of_a_slow_peer(void **state)
{
	(void)state;
	begin_slowly(10, 1000); /* a fast one is not */
	assert_int_equal(pair_n_children(p, 0), 1);
	teardown(NULL);
	begin_slowly(150, 4000);
	assert_int_equal(pair_n_children(p, 0), 0);
	read_all();
	pair_run(p, 600);
	assert_true(pair_children_agree(p, 1));
	teardown(NULL);
	begin_slowly(150, 8000); /* no answer */
	assert_int_equal(pair_n_children(p, 0), 1);
}

/* ---- deletes ---- */

static void clear_child(void **state)
{
	(void)state;
	start(NULL);
	bring_up();
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .child_id = pair_newest(p, 0)->id};
	assert_int_equal(ike_clear(p->h[0].ike, &m), 1);
	pair_run(p, 5000);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_int_equal(pair_n_children(p, 1), 0);
	assert_int_equal(pair_n_sas(p, 1), 1);
	bring_up(); /* over the same phase 1 SA */
	assert_int_equal(pair_stat(p, 1, "sa_responded"), 1);
}

static void clear_session(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(NULL);
		bring_up();
		struct ike_match m = {.fvrf = -1, .ivrf = -1};
		assert_int_equal(ike_clear(p->h[i].ike, &m), 1);
		pair_run(p, 5000);
		for (int h = 0; h < 2; h++) {
			assert_int_equal(pair_n_children(p, h), 0);
			assert_int_equal(pair_n_sas(p, h), 0);
			assert_int_equal(pair_events(p, h, IKE_EVT_DOWN), 1);
		}
		assert_string_equal(pair_reason(p, i, IKE_EVT_DOWN), "cleared by operator");
		teardown(NULL);
	}
}

/* VTI-T11, VTI-24: the IKE SA alone is deleted. Both ends keep the pair of SAs; traffic goes on by it. */
static void clear_ike_sa_alone(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(NULL);
		bring_up();
		struct ike_match m = {.fvrf = -1, .ivrf = -1, .alone = true};
		assert_int_equal(ike_clear(p->h[i].ike, &m), 1);
		traffic_for(60000);
		nothing_lost();
		assert_int_equal(pair_n_children(p, 0), 1);
		assert_true(pair_children_agree(p, 1));
		teardown(NULL);
	}
}

static bool has_a_successor(struct pair *pair)
{
	return pair_n_sas(pair, 0) == 2 && pair_stat(pair, 0, "sa_established") == 2;
}

static json_int_t of_sa(int host, unsigned i, const char *field)
{
	json_t *all = ike_show_sas(p->h[host].ike, 1);
	json_int_t n = json_integer_value(json_object_get(json_array_get(all, i), field));
	json_decref(all);
	return n;
}

/* USAB-34: what has been replaced stays listed for a while, with no time left; its successor has the higher id. */
static void replaced_stays_listed(void **state)
{
	(void)state;
	start(tweak_short);
	bring_up();
	assert_true(pair_until(p, has_a_successor, 3600000));
	pair_run(p, 500);
	for (int h = 0; h < 2; h++) {
		assert_int_equal(pair_n_sas(p, h), 2);
		unsigned newest = of_sa(h, 1, "id") > of_sa(h, 0, "id");
		assert_string_equal(pair_show(p, h, "phase"), newest ? "closing" : "established");
		assert_int_equal(of_sa(h, !newest, "remaining"), 0);
		assert_true(of_sa(h, newest, "remaining") > 800);
		assert_true(of_sa(h, !newest, "established") > of_sa(h, newest, "established"));
	}
	pair_run(p, 20000);
	for (int h = 0; h < 2; h++)
		assert_int_equal(pair_n_sas(p, h), 1);
}

static bool nothing_passes(struct pair *pair, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)pair, (void)from, (void)n, (void)data, (void)len;
	return false;
}

/* The successor of an IKE SA goes before its predecessor: that is in service again, and admission control counts it. */
static void successor_is_lost(void **state)
{
	struct ike_cac_stats s;

	(void)state;
	start(tweak_short);
	bring_up();
	assert_true(pair_until(p, has_a_successor, 3600000));
	ike_enter(p->h[0].ike);
	ike_sa_destroy(TAILQ_LAST(&p->h[0].ike->sas, ike_sa_list), NULL);
	ike_leave(p->h[0].ike);
	p->filter = nothing_passes;
	pair_run(p, 11000);
	ike_cac_stats(p->h[0].ike, &s);
	assert_string_equal(pair_show(p, 0, "phase"), "established");
	assert_int_equal(s.active, 1);
}

/* The peer reboots and begins anew: INITIAL-CONTACT clears the old SAs (VRF-42). */
static void initial_contact(void **state)
{
	(void)state;
	start(NULL);
	bring_up();
	pair_reboot(p, 0);
	pair_acquire(p, 0, 0);
	pair_run(p, 5000);
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_reason(p, 1, IKE_EVT_DOWN), "initial contact from the peer");
}

/* The responder reboots; the initiator's quick mode over the dead phase 1 SA gets no answer and it starts anew. */
static void peer_forgot(void **state)
{
	(void)state;
	start(NULL);
	bring_up();
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .child_id = pair_newest(p, 0)->id};
	ike_clear(p->h[0].ike, &m);
	pair_run(p, 5000);
	pair_reboot(p, 1);
	p->traffic_ms = 1000;
	assert_true(pair_until(p, two_agree, 200000));
}

/* ---- restarts ---- */

/* The control process of either end dies under traffic and finds its SAs again; later rekeys work. */
static void control_restart(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(tweak_short);
		bring_up();
		p->traffic_ms = 50;
		pair_run(p, 5000);
		pair_restart(p, i);
		assert_string_equal(pair_show(p, i, "state"), "QM_IDLE");
		assert_int_equal(pair_stat(p, i, "restored"), 1);
		traffic_for(3600000);
		nothing_lost();
		teardown(NULL);
	}
}

/* Restarts again and again, also in the middle of a rekey. */
static void many_restarts(void **state)
{
	(void)state;
	start(tweak_short);
	bring_up();
	p->traffic_ms = 50;
	for (unsigned n = 0; n < 60; n++) {
		pair_run(p, 37013);
		pair_restart(p, n & 1);
	}
	traffic_for(60000);
	nothing_lost();
}

static void dataplane_restart(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(NULL);
		bring_up();
		pair_dataplane_restart(p, i);
		pair_run(p, 5000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_n_sas(p, i), 1);
		traffic_for(60000);
		nothing_lost();
		teardown(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		V1_TEST(every_message_lost),
		V1_TEST(rough_network),
		V1_TEST(duplicates),
		V1_TEST(silent_peer),
		V1_TEST(half_open_goes),
		V1_TEST(both_at_once),
		V1_TEST(rekey_loses_nothing),
		V1_TEST(rekey_under_loss),
		V1_TEST(crossing_rekeys),
		V1_TEST(kilobytes),
		V1_TEST(rekey_refused),
		V1_TEST(clear_child),
		V1_TEST(clear_session),
		V1_TEST(clear_ike_sa_alone),
		V1_TEST(renewed_with_a_slow_peer),
		V1_TEST(renewed_without_an_answer),
		V1_TEST(first_pair_of_a_slow_peer),
		V1_TEST(replaced_stays_listed),
		V1_TEST(successor_is_lost),
		V1_TEST(initial_contact),
		V1_TEST(peer_forgot),
		V1_TEST(control_restart),
		V1_TEST(many_restarts),
		V1_TEST(dataplane_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
