/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Key encapsulation as an additional key exchange (draft-ietf-ipsecme-ikev2-mlkem, RFC 9370): refused where OpenSSL has
 * no ML-KEM; and, with a stand-in for it (kem_provider.h), the way through EVP and through IKE.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ike_env.h"
#include "ike_proposals.h"
#include "ikecrypto.h"
#include "kem_provider.h"

static void with_kem(struct cv_config *c, int host)
{
	(void)host;
	ike_proposal_three_exchanges(c);
	c->ike_proposal->addke[1] = IKE_GROUP_MLKEM768;
	c->map->entry->addke[0] = IKE_GROUP_MLKEM768;
}

static void refused(void **state)
{
	struct cv_config *c = pair_config(0, CFG_IKEV2);
	char err[CFG_ERR_MAX];
	(void)state;
	if (ikec_group_pub_len(IKE_GROUP_MLKEM768)) { /* an OpenSSL that has it */
		config_unref(c);
		skip();
	}
	with_kem(c, 0);
	assert_int_not_equal(config_resolve(c, err, NULL, NULL), 0);
	assert_non_null(strstr(err, "/additional-group: group36 (mlkem768) is not in the linked OpenSSL 3."));
	assert_non_null(strstr(err, "available: group31"));
	config_unref(c);
}

/* The other sets of parameters stay unavailable: each is asked for by itself. */
static void stand_in(void **state)
{
	(void)state;
	if (ikec_group_pub_len(IKE_GROUP_MLKEM768))
		skip();
	assert_true(kem_provider_load());
	assert_int_equal(ikec_group_pub_len(IKE_GROUP_MLKEM768), 1184);
	assert_int_equal(ikec_group_answer_len(IKE_GROUP_MLKEM768), 1088);
	assert_int_equal(ikec_group_pub_len(IKE_GROUP_MLKEM512), 0);
	assert_int_equal(ikec_group_answer_len(IKE_GROUP_MLKEM1024), 0);
}

static void primitive(void **state)
{
	struct ikec_dh *i = NULL, *r = NULL, *none = NULL;
	uint8_t si[IKEC_DH_PUB_MAX], sr[IKEC_DH_PUB_MAX], bad[1184];
	size_t ni, nr;
	(void)state;
	assert_int_equal(ikec_ke(IKE_GROUP_MLKEM768, &i, NULL, 0, si, &ni), 0);
	assert_int_equal(ikec_dh_pub_len(i), 1184);
	assert_int_equal(ikec_ke(IKE_GROUP_MLKEM768, &r, ikec_dh_pub(i), 1184, sr, &nr), 0);
	assert_int_equal(ikec_dh_pub_len(r), 1088);
	assert_int_equal(ikec_ke(IKE_GROUP_MLKEM768, &i, ikec_dh_pub(r), 1088, si, &ni), 0);
	assert_int_equal(ni, 32);
	assert_int_equal(nr, 32);
	assert_memory_equal(si, sr, 32);
	/* wrong lengths, a key that the provider refuses, and an answer given to one who answered */
	assert_true(ikec_ke(IKE_GROUP_MLKEM768, &i, ikec_dh_pub(r), 1087, si, &ni) < 0);
	assert_true(ikec_ke(IKE_GROUP_MLKEM768, &none, ikec_dh_pub(i), 1183, si, &ni) < 0);
	memset(bad, 0, sizeof(bad));
	assert_true(ikec_ke(IKE_GROUP_MLKEM768, &none, bad, sizeof(bad), si, &ni) < 0);
	assert_null(none);
	assert_true(ikec_ke(IKE_GROUP_MLKEM768, &r, ikec_dh_pub(r), 1088, si, &ni) < 0);
	ikec_dh_free(i);
	ikec_dh_free(r);
}

/* IKE_INTERMEDIATE, and IKE_FOLLOWUP_KE of either end: the initiator sends a key, the responder a ciphertext. */
static void exchanges(void **state)
{
	(void)state;
	p = pair_new(CFG_IKEV2, with_kem);
	p->async_ms = 10;
	bring_up();
	p->traffic_ms = 20;
	assert_string_equal(pair_show(p, 0, "additional_groups"), "ecp256 mlkem768");
	for (int host = 0; host < 2; host++) {
		ike_child_expire(p->h[host].ike, pair_newest(p, host)->id, false);
		pair_run(p, 10000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_stat(p, 0, "child_rekeyed"), host + 1);
	}
	p->traffic_ms = 1000;
	pair_run(p, 86400ull * 950);
	assert_int_not_equal(pair_stat(p, 0, "sa_rekeyed") + pair_stat(p, 1, "sa_rekeyed"), 0);
	assert_string_equal(pair_show(p, 1, "additional_groups"), "ecp256 mlkem768");
	assert_true(pair_children_agree(p, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(refused), cmocka_unit_test(stand_in),
		cmocka_unit_test(primitive), cmocka_unit_test_teardown(exchanges, teardown)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
