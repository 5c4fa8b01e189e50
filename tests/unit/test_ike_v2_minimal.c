/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A minimal initiator (RFC 7815): it sets up one IKE SA with one child, answers every CREATE_CHILD_SA with
 * NO_ADDITIONAL_SAS, and begins anew when the SA is gone. Host 0 is one: what it would answer itself is kept from it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "v2_int.h"

#include "ike_env.h"

#define CHILD_S 600u
#define IKE_S 1500u

static unsigned asked; /* CREATE_CHILD_SA requests that it has seen */

static void configure(struct cv_config *c, int i)
{
	c->map->entry->lifetime_s = i ? CHILD_S : 86400; /* it does not care */
	c->ike_profile->lifetime_s = i ? IKE_S : 86400;
	c->ike_profile->dpd_mode = CFG_DPD_PERIODIC;
	c->ike_profile->dpd_interval_s = 30;
}

static bool minimal(struct pair *pair, int from, unsigned n, const uint8_t *data, size_t len)
{
	struct v2_msg m;
	(void)n;
	if (from != 1 || v2_parse_header(data, len, &m) != 0 || m.h.exchange != V2_CREATE_CHILD_SA ||
		m.h.flags & V2_FLAG_RESPONSE)
		return true;
	struct ike *ike = pair->h[0].ike;
	struct ike_sa *base = ike_sa_by_spi(ike, &ike_v2, m.h.flags & V2_FLAG_INITIATOR ? m.h.spi_r : m.h.spi_i);
	struct v2_answer *a;
	if (!base || v2_request_is(v2_of(base), m.h.msgid, &a) != V2_REQUEST_NEW)
		return false;
	asked++;
	m.path = &base->path;
	m.natt = base->natt;
	ike_enter(ike);
	v2_respond_notify(v2_of(base), v2_answer_open(v2_of(base), &m), V2_N_NO_ADDITIONAL_SAS, NULL, 0);
	ike_leave(ike);
	return false;
}

/*
 * The pair lives as long as its lifetime allows, with a few requests to rekey it and no more; when its time is over the
 * peer hears of it. It comes again with a first message, which takes the place of all that there was.
 */
static void refuses_everything_further(void **state)
{
	unsigned anew = 0;
	(void)state;
	p = pair_new(CFG_IKEV2, configure);
	p->filter = minimal;
	asked = 0;
	bring_up();
	for (unsigned s = 0; s < 4 * IKE_S; s += 10) {
		pair_run(p, 10000);
		if (pair_n_children(p, 0))
			continue;
		anew++;
		pair_reboot(p, 0);
		pair_acquire(p, 0, 0);
		pair_run(p, 1000);
		assert_true(pair_children_agree(p, 1));
	}
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_in_range(anew, 4 * IKE_S / CHILD_S - 1, 4 * IKE_S / CHILD_S);
	assert_in_range(asked, anew, 4 * anew);
	assert_int_equal(pair_stat(p, 1, "sa_established"), anew + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(refuses_everything_further, teardown)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
