/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MOBIKE (RFC 4555) between two engines: tunnels whose ends change their addresses, keys and SPIs staying what they
 * are.
 */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "cv_addr.h"
#include "ike_internal.h"
#include "v2_int.h"

#include "ike_env.h"

static bool mobike[2], transport;

static void tweak(struct cv_config *c, int i)
{
	c->ike_profile->mobike = mobike[i];
	c->ike_profile->dpd_mode = CFG_DPD_PERIODIC;
	c->ike_profile->dpd_interval_s = 10;
	c->ike_profile->n_match = 1;
	c->ike_profile->match = config_alloc(c, 1, sizeof(*c->ike_profile->match));
	c->ike_profile->match->type = CFG_ID_ADDRESS; /* whoever it is */
	c->ike_profile->match->addr.addr.af = CV_AF_INET;
	if (transport) {
		struct cv_selector *s = &c->acl->line->sel;
		c->transform_set[0].transport = true;
		cv_addr_parse(i ? "192.0.2.2" : "192.0.2.1", &s->src.lo);
		cv_addr_parse(i ? "192.0.2.1" : "192.0.2.2", &s->dst.lo);
		s->src.hi = s->src.lo;
		s->dst.hi = s->dst.lo;
	}
}

static void start(bool left, bool right)
{
	mobike[0] = left;
	mobike[1] = right;
	p = pair_new(CFG_IKEV2, tweak);
	p->moves = true;
}

static void up(void)
{
	pair_acquire(p, 0, 0);
	pair_run(p, 2000);
	assert_true(pair_children_agree(p, 1));
	p->traffic_ms = 50;
}

static int finish(void **state)
{
	transport = false;
	return teardown(state);
}

/* Host i now has this address; its configuration says so. */
static void readdress(int i, const char *addr)
{
	struct pair_host *h = &p->h[i];
	assert_int_equal(cv_addr_parse(addr, &h->addr), 0);
	pair_reconfigure(p, i, CFG_IKEV2, tweak);
}

/* The SA and its only child are those of before, now between these addresses, and traffic passes both ways. */
static void moved_to(uint32_t spi, const char *local, const char *remote, bool encap)
{
	struct cv_addr l, r;
	assert_int_equal(cv_addr_parse(local, &l), 0);
	assert_int_equal(cv_addr_parse(remote, &r), 0);
	assert_true(pair_children_agree(p, 1));
	for (int i = 0; i < 2; i++) {
		const struct pair_child *c = pair_newest(p, i);
		assert_int_equal(i ? c->p.spi_out : c->p.spi_in, spi);
		assert_true(cv_addr_eq(&c->p.path.local, i ? &r : &l));
		assert_true(cv_addr_eq(&c->p.path.remote, i ? &l : &r));
		assert_int_equal(c->p.udp_encap, encap);
		assert_int_equal(pair_n_sas(p, i), 1);
		/* 0 where the process is another one */
		assert_in_range(pair_stat(p, i, "sa_established"), 0, 1);
		assert_in_range(pair_stat(p, i, "child_established"), 0, 1);
		assert_int_equal(pair_stat(p, i, "child_rekeyed"), 0);
	}
	unsigned sent = p->h[0].esp_sent + p->h[1].esp_sent, got = p->h[0].esp_received + p->h[1].esp_received;
	pair_run(p, 2000);
	assert_in_range(p->h[0].esp_received + p->h[1].esp_received - got, 76, 84);
	assert_in_range(p->h[0].esp_sent + p->h[1].esp_sent - sent, 78, 82);
	assert_int_equal(p->h[0].esp_unknown + p->h[1].esp_unknown + p->h[0].esp_no_sa + p->h[1].esp_no_sa, 0);
}

static void negotiated(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		start(i & 1, i & 2);
		up();
		for (int h = 0; h < 2; h++) {
			assert_string_equal(pair_show(p, h, "mobike"), i == 3 ? "true" : "false");
			/* RFC 4555 3.3: an initiator that may move goes to port 4500 at once */
			assert_string_equal(pair_show(p, h, "local_port"), i & 1 ? "4500" : "500");
		}
		assert_false(pair_newest(p, 0)->p.udp_encap);
		finish(NULL);
	}
}

/* The end that set the tunnel up gets another address; messages and all are lost on the way now and then. */
static void initiator_moves(void **state)
{
	(void)state;
	for (unsigned loss = 0; loss < 40; loss += 10) {
		start(true, true);
		p->rng = loss + 3;
		up();
		uint32_t spi = pair_newest(p, 0)->p.spi_in;
		for (unsigned n = 0; n < 4; n++) {
			char addr[32];
			snprintf(addr, sizeof(addr), "192.0.2.%u", 10 + n);
			p->loss = loss;
			readdress(0, addr);
			pair_run(p, loss ? 20000 : 200);
			p->loss = 0;
			moved_to(spi, addr, "192.0.2.2", false);
		}
		assert_int_equal(pair_events(p, 1, IKE_EVT_PEER_MOVED) >= 4, 1);
		/* and it can be rekeyed where it is, by either end, and moved again */
		v2_sa_rekey(TAILQ_FIRST(&p->h[1].ike->sas));
		pair_run(p, 40000);
		readdress(0, "192.0.2.99");
		pair_run(p, 1000);
		assert_true(cv_addr_eq(&pair_newest(p, 1)->p.path.remote, &p->h[0].addr));
		finish(NULL);
	}
}

/*
 * The other end gets another address: it says so from there (RFC 4555 3.6), and the end that set the tunnel up decides
 * that this is where it is. Here, too, everything is lost now and then.
 */
static void responder_moves(void **state)
{
	(void)state;
	for (unsigned loss = 0; loss < 40; loss += 10) {
		start(true, true);
		p->rng = loss + 5;
		up();
		uint32_t spi = pair_newest(p, 0)->p.spi_in;
		for (unsigned n = 0; n < 4; n++) {
			char addr[32];
			snprintf(addr, sizeof(addr), "192.0.2.%u", 30 + n);
			p->loss = loss;
			readdress(1, addr);
			pair_run(p, loss ? 20000 : 200);
			p->loss = 0;
			moved_to(spi, "192.0.2.1", addr, false);
		}
		v2_sa_rekey(TAILQ_FIRST(&p->h[0].ike->sas)); /* who decides does not change by it */
		pair_run(p, 40000);
		readdress(1, "192.0.2.98");
		pair_run(p, 1000);
		assert_true(cv_addr_eq(&pair_newest(p, 0)->p.path.remote, &p->h[1].addr));
		assert_true(pair_children_agree(p, 1));
		finish(NULL);
	}
}

/* Both at once: what the one says is heard where the other no longer is, until liveness finds them together. */
static void both_move(void **state)
{
	(void)state;
	start(true, true);
	assert_int_equal(cv_addr_parse("198.51.100.2", &p->h[1].second), 0);
	up();
	uint32_t spi = pair_newest(p, 0)->p.spi_in;
	readdress(1, "192.0.2.30");
	readdress(0, "192.0.2.10");
	pair_run(p, 150000); /* by way of the second address, which has stayed */
	moved_to(spi, "192.0.2.10", "192.0.2.30", false);
}

/* Without MOBIKE at either end another address means another IKE SA. */
static void without_it_a_new_sa(void **state)
{
	(void)state;
	start(true, false);
	up();
	readdress(0, "192.0.2.10");
	pair_run(p, 400000); /* the other end is not told, for nothing leaves from the old address */
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_stat(p, 0, "sa_established"), 2);
}

/* From behind a NAT into the open and back: UDP encapsulation comes and goes with it. */
static void nat_comes_and_goes(void **state)
{
	(void)state;
	start(true, true);
	p->nat = true;
	up();
	uint32_t spi = pair_newest(p, 0)->p.spi_in;
	assert_true(pair_newest(p, 0)->p.udp_encap && pair_newest(p, 1)->p.udp_encap);
	p->nat = false;
	readdress(0, "192.0.2.10");
	pair_run(p, 500);
	moved_to(spi, "192.0.2.10", "192.0.2.2", false);
	p->nat = true;
	readdress(0, "192.0.2.11");
	pair_run(p, 500);
	assert_true(pair_newest(p, 0)->p.udp_encap && pair_newest(p, 1)->p.udp_encap);
	assert_int_equal(pair_newest(p, 0)->p.spi_in, spi);
	/* the NAT forgets its mapping: the liveness check finds out (RFC 4555 3.8) */
	pair_run(p, 20000);
	uint16_t before = pair_newest(p, 1)->p.path.rport;
	p->nat_shift += 7;
	p->traffic_ms = 0;
	pair_run(p, 30000);
	assert_int_equal(pair_newest(p, 1)->p.path.rport, before + 7);
	assert_int_equal(pair_stat(p, 1, "sa_established"), 1);
}

/* The peer's first address is dead; it has told of a second one. */
static void failover(void **state)
{
	(void)state;
	start(true, true);
	assert_int_equal(cv_addr_parse("198.51.100.2", &p->h[1].second), 0);
	up();
	uint32_t spi = pair_newest(p, 0)->p.spi_in;
	p->broken = p->h[1].addr;
	pair_run(p, 150000);
	moved_to(spi, "192.0.2.1", "198.51.100.2", false);
	/* ... and back */
	p->broken = p->h[1].second;
	pair_run(p, 150000);
	moved_to(spi, "192.0.2.1", "192.0.2.2", false);
	/* nowhere left to go */
	p->cut = true;
	pair_run(p, 400000);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_DOWN), "peer not responding");
}

/* Transport mode cannot move: the peer is told, and the SA stays where it was. */
static void transport_mode_stays(void **state)
{
	(void)state;
	transport = true;
	start(true, true);
	up();
	p->h[0].second = p->h[0].addr;
	struct ike_sa *sa = TAILQ_FIRST(&p->h[0].ike->sas);
	struct cv_addr other;
	cv_addr_parse("192.0.2.10", &other);
	p->h[0].addr = other;
	v2_readdress(sa, &other);
	pair_run(p, 1000);
	assert_true(cv_addr_eq(&pair_newest(p, 1)->p.path.remote, &p->h[0].second));
}

/* Who only claims to be there gets no traffic: the question to the new address is not answered (RFC 4555 3.7). */
static bool no_cookie2(struct pair *pair, int from, unsigned n, const uint8_t *d, size_t len)
{
	(void)n, (void)len;
	bool request = !(d[19] & 0x20);
	return !(from == 1 && request && pair->drop_nth); /* requests of the gateway do not get through */
}

static void return_routability(void **state)
{
	(void)state;
	start(true, true);
	up();
	p->filter = no_cookie2;
	p->drop_nth = 1;
	struct cv_addr before = p->h[0].addr;
	readdress(0, "192.0.2.10");
	pair_run(p, 3000);
	assert_true(cv_addr_eq(&pair_newest(p, 1)->p.path.remote, &before));
	p->drop_nth = 0;
	pair_run(p, 20000);
	assert_true(cv_addr_eq(&pair_newest(p, 1)->p.path.remote, &p->h[0].addr));
}

/* The control process of either end dies in the middle of it. */
static void restarts(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 4; which++)
		for (unsigned ms = 0; ms < 60; ms += 5) {
			bool responder = which & 2;
			start(true, true);
			up();
			uint32_t spi = pair_newest(p, 0)->p.spi_in;
			readdress(responder, responder ? "192.0.2.30" : "192.0.2.10");
			pair_run(p, ms);
			pair_restart(p, which & 1);
			pair_run(p, 40000);
			moved_to(spi, responder ? "192.0.2.1" : "192.0.2.10", responder ? "192.0.2.30" : "192.0.2.2",
				false);
			finish(NULL);
		}
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, finish)
	const struct CMUnitTest tests[] = {T(negotiated), T(initiator_moves), T(responder_moves), T(both_move),
		T(without_it_a_new_sa), T(nat_comes_and_goes), T(failover), T(transport_mode_stays),
		T(return_routability), T(restarts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
