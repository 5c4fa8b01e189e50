/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "algo.h"

/* Every id has exactly one row, whose names and protocol numbers lead back to it. */
static void every_esp_row_is_found_by_every_key(void **state)
{
	(void)state;
	for (int id = CV_ESP_NONE + 1; id < CV_ESP_ALG_MAX; id++) {
		const struct algo_esp *a = algo_esp_get((enum cv_esp_alg)id);
		assert_non_null(a);
		assert_int_equal(a->id, id);
		assert_ptr_equal(algo_esp_by_name(a->name), a);
		assert_ptr_equal(algo_esp_by_v2(a->v2_encr, a->v2_key_bits, a->v2_integ), a);
		assert_ptr_equal(algo_esp_by_v1(a->v1_esp_id, a->v2_key_bits, a->v1_auth), a);
		assert_int_equal(a->cipher_key_len * 8, a->v2_key_bits);
		assert_true(algo_esp_key_len(a) <= CV_SA_KEY_MAX);
	}
	assert_null(algo_esp_get(CV_ESP_NONE));
	assert_null(algo_esp_get(CV_ESP_ALG_MAX));
	assert_null(algo_esp_by_name("aes128-gcm"));
	assert_null(algo_esp_by_v2(IKE_ENCR_AES_GCM16, 128, IKE_INTEG_HMAC_SHA1_96));
	assert_null(algo_esp_by_v1(12, 128, 0));
}

/* Sizes and numbers as printed in RFC 4106, 3602, 2404, 4868 and the IANA registries. */
static void sizes_follow_the_rfcs(void **state)
{
	(void)state;
	const struct algo_esp *g = algo_esp_by_name("aes256-gcm16");
	assert_non_null(g);
	assert_int_equal(algo_esp_key_len(g), 36);
	assert_int_equal(g->iv_len, 8);
	assert_int_equal(g->icv_len, 16);
	assert_int_equal(g->block, 4);
	assert_int_equal(g->v2_encr, 20);
	assert_int_equal(g->v1_esp_id, 20);
	assert_string_equal(g->manual_name, "esp-gcm 256");
	const struct algo_esp *s1 = algo_esp_by_name("aes128-cbc-sha1-96");
	assert_non_null(s1);
	assert_int_equal(algo_esp_key_len(s1), 36);
	assert_int_equal(s1->icv_len, 12);
	assert_int_equal(s1->v2_integ, 2);
	assert_int_equal(s1->v1_auth, 2);
	assert_true(s1->legacy);
	assert_string_equal(s1->manual_name, "esp-aes esp-sha-hmac");
	const struct algo_esp *s2 = algo_esp_by_name("aes192-cbc-sha256-128");
	assert_non_null(s2);
	assert_int_equal(algo_esp_key_len(s2), 24 + 32);
	assert_int_equal(s2->icv_len, 16);
	assert_int_equal(s2->block, 16);
	assert_int_equal(s2->v2_integ, 12);
	assert_int_equal(s2->v1_auth, 5);
	assert_false(s2->legacy);
}

static void every_ike_row_is_found_by_every_key(void **state)
{
	(void)state;
	static const size_t count[] = {17, 7, 7, 13};
	for (int k = ALGO_IKE_ENCR; k <= ALGO_IKE_GROUP; k++) {
		enum algo_ike_kind kind = (enum algo_ike_kind)k;
		size_t n = 0;
		for (const struct algo_ike *r; (r = algo_ike_row(kind, n)); n++) {
			assert_ptr_equal(algo_ike_get(kind, r->id, r->key_bits), r);
			assert_ptr_equal(algo_ike_by_name(kind, r->name), r);
		}
		assert_int_equal(n, count[k]);
		assert_null(algo_ike_by_name(kind, "rot13"));
		assert_null(algo_ike_get(kind, 999, 0));
	}
	assert_null(algo_ike_get(ALGO_IKE_ENCR, IKE_ENCR_AES_CBC, 64));
	assert_int_equal(algo_ike_by_name(ALGO_IKE_ENCR, "aes256-cbc")->v1, 7);
	assert_int_equal(algo_ike_by_name(ALGO_IKE_PRF, "sha256")->v1, 4);
	assert_int_equal(algo_ike_by_name(ALGO_IKE_GROUP, "modp1024")->id, 2);
	assert_true(algo_ike_by_name(ALGO_IKE_GROUP, "modp1024")->legacy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_esp_row_is_found_by_every_key),
		cmocka_unit_test(sizes_follow_the_rfcs),
		cmocka_unit_test(every_ike_row_is_found_by_every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
