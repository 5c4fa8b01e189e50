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
	for (int id = CV_ENCR_NONE + 1; id < CV_ENCR_MAX; id++) {
		const struct algo_encr *a = algo_encr_get((enum cv_encr)id);
		assert_non_null(a);
		assert_int_equal(a->id, id);
		assert_ptr_equal(algo_encr_by_name(a->name), a);
		assert_ptr_equal(algo_encr_by_v2(a->v2, a->key_bits), a);
		if (a->v1)
			assert_ptr_equal(algo_encr_by_v1(a->v1, a->key_bits), a);
		assert_true(a->key_bits == 0 || a->key_len * 8 == a->key_bits);
		assert_int_equal(a->block % 4, 0);
	}
	for (int id = CV_INTEG_NONE + 1; id < CV_INTEG_MAX; id++) {
		const struct algo_integ *a = algo_integ_get((enum cv_integ)id);
		assert_non_null(a);
		assert_int_equal(a->id, id);
		assert_ptr_equal(algo_integ_by_name(a->name), a);
		assert_ptr_equal(algo_integ_by_v2(a->v2), a);
		if (a->v1_auth)
			assert_ptr_equal(algo_integ_by_v1_auth(a->v1_auth), a);
		if (a->v1_ah)
			assert_ptr_equal(algo_integ_by_v1_ah(a->v1_ah), a);
	}
	assert_null(algo_encr_get(CV_ENCR_NONE));
	assert_null(algo_encr_get(CV_ENCR_MAX));
	assert_null(algo_integ_get(CV_INTEG_NONE));
	assert_null(algo_integ_get(CV_INTEG_MAX));
	assert_null(algo_encr_by_name("aes128-gcm"));
	assert_null(algo_encr_by_v2(IKE_ENCR_AES_GCM16, 64));
	assert_null(algo_encr_by_v1(0, 0));
	assert_null(algo_integ_by_v1_auth(0));
	assert_null(algo_integ_by_v1_ah(0));
	assert_ptr_equal(algo_encr_by_v1(12, 0), algo_encr_get(CV_ENCR_AES128_CBC)); /* RFC 3602 5.3 */
}

/* IPSEC-17: names of the manuals; sizes and numbers as in the RFCs and the IANA registries. */
static void sizes_follow_the_rfcs(void **state)
{
	(void)state;
	static const struct {
		const char *name, *manual;
		uint16_t key, iv, icv, block, v2_encr, v1_esp, v2_integ, v1_auth;
		bool legacy;
	} row[] = {
		{"null-md5-96", "esp-null esp-md5-hmac", 16, 0, 12, 4, 11, 11, 1, 1, true},
		{"des-md5-96", "esp-des esp-md5-hmac", 24, 8, 12, 8, 2, 2, 1, 1, true},
		{"3des-sha1-96", "esp-3des esp-sha-hmac", 44, 8, 12, 8, 3, 3, 2, 2, true},
		{"aes128-cbc", "esp-aes", 16, 16, 0, 16, 12, 12, 0, 0, true},
		{"aes128-cbc-sha1-96", "esp-aes esp-sha-hmac", 36, 16, 12, 16, 12, 12, 2, 2, true},
		{"aes192-cbc-sha256-128", "esp-aes 192 esp-sha256-hmac", 56, 16, 16, 16, 12, 12, 12, 5, false},
		{"aes256-cbc-sha384-192", "esp-aes 256 esp-sha384-hmac", 80, 16, 24, 16, 12, 12, 13, 6, false},
		{"aes256-ctr-sha512-256", "esp-ctr 256 esp-sha512-hmac", 100, 8, 32, 4, 13, 13, 14, 7, false},
		{"aes128-ctr-aes-xcbc-96", "esp-ctr 128 esp-aes-xcbc", 36, 8, 12, 4, 13, 13, 5, 9, false},
		{"null-aes-cmac-96", "esp-null esp-aes-cmac", 16, 0, 12, 4, 11, 11, 8, 0, false},
		{"aes192-gcm8", "esp-gcm8 192", 28, 8, 8, 4, 18, 18, 0, 0, false},
		{"aes128-gcm12", "esp-gcm12 128", 20, 8, 12, 4, 19, 19, 0, 0, false},
		{"aes256-gcm16", "esp-gcm 256", 36, 8, 16, 4, 20, 20, 0, 0, false},
		{"aes256-gmac", "esp-gmac 256", 36, 8, 16, 4, 21, 23, 0, 0, false},
		{"chacha20-poly1305", "esp-chacha20-poly1305", 36, 8, 16, 4, 28, 0, 0, 0, false},
	};
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct algo_suite s;
		char text[ALGO_SUITE_STR];
		assert_true(algo_suite_by_name(row[k].name, &s));
		assert_string_equal(algo_suite_name(s, text), row[k].name);
		assert_string_equal(algo_suite_manual(s, text), row[k].manual);
		const struct algo_encr *e = algo_encr_get(s.encr);
		const struct algo_integ *i = algo_integ_get(s.integ);
		assert_int_equal(algo_key_len(s.encr, s.integ), row[k].key);
		assert_int_equal(e->iv_len, row[k].iv);
		assert_int_equal(i ? i->icv_len : e->icv_len, row[k].icv);
		assert_int_equal(e->block, row[k].block);
		assert_int_equal(e->v2, row[k].v2_encr);
		assert_int_equal(e->v1, row[k].v1_esp);
		assert_int_equal(i ? i->v2 : 0, row[k].v2_integ);
		assert_int_equal(i ? i->v1_auth : 0, row[k].v1_auth);
		assert_int_equal(algo_suite_legacy(s), row[k].legacy);
	}
}

/* RFC 2407 4.4.3 and its registry: AH transforms have numbers of their own. */
/* USAB-9: group 2 is the one of 1024 bits, whatever the manual's prose says; 1, 2 and 5 are legacy. */
static void small_groups(void **state)
{
	static const unsigned bits[][2] = {{1, 768}, {2, 1024}, {5, 1536}};
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const struct algo_ike *g = algo_ike_get(ALGO_IKE_GROUP, (uint16_t)bits[i][0], 0);
		assert_non_null(g);
		assert_int_equal(g->key_bits, bits[i][1]);
		assert_true(g->legacy);
	}
	assert_false(algo_ike_get(ALGO_IKE_GROUP, 14, 0)->legacy);
}

static void ah_has_its_own_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *name, *manual;
		uint16_t key, v2, v1_ah, v1_auth;
	} row[] = {
		{"ah-md5-96", "ah-md5-hmac", 16, 1, 2, 1},
		{"ah-sha1-96", "ah-sha-hmac", 20, 2, 3, 2},
		{"ah-sha256-128", "ah-sha256-hmac", 32, 12, 5, 5},
		{"ah-sha512-256", "ah-sha512-hmac", 64, 14, 7, 7},
		{"ah-aes192-gmac", "ah-gmac 192", 28, 10, 12, 12},
	};
	struct algo_suite s;
	char text[ALGO_SUITE_STR];
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		assert_true(algo_suite_by_name(row[k].name, &s));
		assert_null(algo_suite_wrong(s));
		assert_string_equal(algo_suite_name(s, text), row[k].name);
		assert_string_equal(algo_suite_manual(s, text), row[k].manual);
		const struct algo_integ *i = algo_integ_get(s.ah);
		assert_int_equal(algo_key_len(CV_ENCR_NONE, i->id), row[k].key);
		assert_int_equal(i->v2, row[k].v2);
		assert_int_equal(i->v1_ah, row[k].v1_ah);
		assert_int_equal(i->v1_auth, row[k].v1_auth);
	}
	/* IPSEC-18: AH and ESP in one set */
	assert_true(algo_suite_by_name("ah-sha1-96+aes256-cbc-sha1-96", &s));
	assert_string_equal(algo_suite_manual(s, text), "ah-sha-hmac esp-aes 256 esp-sha-hmac");
	assert_string_equal(algo_suite_name(s, text), "ah-sha1-96+aes256-cbc-sha1-96");
}

/* The manuals' lists of transforms: any order, at most one of each type (IPSEC-17, IPSEC-18). */
static void transforms_add_up(void **state)
{
	struct algo_suite s = {0};
	char text[ALGO_SUITE_STR];

	(void)state;
	assert_null(algo_suite_add(&s, "esp-sha-hmac"));
	assert_null(algo_suite_add(&s, "esp-aes 192"));
	assert_null(algo_suite_add(&s, "ah-md5-hmac"));
	assert_null(algo_suite_wrong(s));
	assert_string_equal(algo_suite_manual(s, text), "ah-md5-hmac esp-aes 192 esp-sha-hmac");
	assert_non_null(algo_suite_add(&s, "esp-aes"));
	assert_non_null(algo_suite_add(&s, "esp-sha256-hmac"));
	assert_non_null(algo_suite_add(&s, "ah-sha-hmac"));
	assert_non_null(algo_suite_add(&s, "esp-seal"));
	assert_non_null(algo_suite_add(&s, "comp-lzs"));
	assert_null(algo_suite_add(&s, "comp-deflate")); /* IPSEC-19 */
	assert_non_null(algo_suite_add(&s, "comp-deflate"));
	assert_null(algo_suite_wrong(s));
	assert_string_equal(algo_suite_manual(s, text), "ah-md5-hmac esp-aes 192 esp-sha-hmac comp-deflate");
	assert_non_null(
		algo_suite_wrong((struct algo_suite){.ah = CV_INTEG_HMAC_SHA256_128, .comp = ALGO_COMP_DEFLATE}));
}

/* Every pair is either possible and found again by its name, or refused with a reason (IPSEC-18, RFC 8221). */
static void pairs_are_possible_or_explained(void **state)
{
	(void)state;
	unsigned good = 0;
	for (unsigned e = 0; e < CV_ENCR_MAX; e++)
		for (unsigned i = 0; i < CV_INTEG_MAX; i++) {
			struct algo_suite s = {.encr = (uint8_t)e, .integ = (uint8_t)i}, again;
			char text[ALGO_SUITE_STR];
			if (algo_suite_wrong(s))
				continue;
			good++;
			assert_true(algo_suite_by_name(algo_suite_name(s, text), &again));
			assert_true(algo_suite_equal(s, again));
			assert_true(algo_key_len(e, i) > 0 && algo_key_len(e, i) <= CV_SA_KEY_MAX);
		}
	/* 9 ciphers with 7 integrity algorithms, 5 of them also without, 13 that need none */
	assert_int_equal(good, 9 * 7 + 5 + 13);
	static const char *const bad[] = {"null", "aes128-ctr", "aes128-gcm16-sha1-96", "aes128-cbc-aes128-gmac", "",
		"ah-", "ah-sha1", "ah-sha1-96+", "ah-sha1-96+null", "aes128-cbc-", "aes128-cbc-sha1-96x", "sha1-96"};
	struct algo_suite s;
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		assert_false(algo_suite_by_name(bad[k], &s));
	assert_non_null(algo_suite_wrong((struct algo_suite){0}));
	assert_non_null(algo_pair_wrong(51, CV_ENCR_NULL, CV_INTEG_HMAC_SHA1_96));
	assert_non_null(algo_pair_wrong(51, CV_ENCR_NONE, CV_INTEG_NONE));
	assert_non_null(algo_pair_wrong(17, CV_ENCR_NONE, CV_INTEG_HMAC_SHA1_96));
	assert_non_null(algo_pair_wrong(50, CV_ENCR_MAX, CV_INTEG_NONE));
}

static void every_ike_row_is_found_by_every_key(void **state)
{
	(void)state;
	static const size_t count[] = {17, 7, 7, 16};
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
		cmocka_unit_test(small_groups),
		cmocka_unit_test(ah_has_its_own_numbers),
		cmocka_unit_test(transforms_add_up),
		cmocka_unit_test(pairs_are_possible_or_explained),
		cmocka_unit_test(every_ike_row_is_found_by_every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
