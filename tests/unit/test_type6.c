/* SPDX-License-Identifier: BSD-3-Clause */
/* Type 6 ciphertexts: T6KEY-1, T6KEY-9, T6KEY-23, T6KEY-24. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "type6.h"

static uint8_t key[TYPE6_KEY_LEN], other[TYPE6_KEY_LEN];

static void test_derive(void **state)
{
	uint8_t again[TYPE6_KEY_LEN];

	(void)state;
	assert_int_equal(type6_derive("testkey 123", 11, key), 0);
	assert_int_equal(type6_derive("testkey 123", 11, again), 0);
	assert_memory_equal(key, again, sizeof(key)); /* T6KEY-19: another machine opens it */
	assert_int_equal(type6_derive("testkey 124", 11, other), 0);
	assert_memory_not_equal(key, other, sizeof(key));
}

static void test_round_trip(void **state)
{
	uint8_t plain[TYPE6_PLAIN_MAX + 1], secret[TYPE6_PLAIN_MAX + 1];
	char text[TYPE6_TEXT_MAX], second[TYPE6_TEXT_MAX];
	size_t len;

	(void)state;
	memset(secret, 's', sizeof(secret));
	for (size_t n = 1; n <= TYPE6_PLAIN_MAX; n++) {
		assert_int_equal(type6_seal(key, secret, n, text), 0);
		assert_true(strlen(text) < TYPE6_TEXT_MAX);
		assert_true(type6_is(text));
		assert_int_equal(type6_open(key, text, plain, &len), 0);
		assert_int_equal(len, n);
		assert_memory_equal(plain, secret, n);
		assert_int_equal(plain[n], 0);
	}
	assert_int_equal(type6_seal(key, secret, TYPE6_PLAIN_MAX + 1, text), -EINVAL);
	assert_int_equal(type6_seal(key, secret, 0, text), -EINVAL);
	/* T6KEY-23, T6KEY-24: salted; one printable token after the "6 " */
	assert_int_equal(type6_seal(key, "cisco", 5, text), 0);
	assert_int_equal(type6_seal(key, "cisco", 5, second), 0);
	assert_string_not_equal(text, second);
	assert_true(strncmp(text, "6 ", 2) == 0);
	for (const char *p = text + 2; *p; p++)
		assert_true(*p > ' ' && *p < 127);
}

/* T6KEY-9: every change of the ciphertext, and every other key, is noticed. */
static void test_integrity(void **state)
{
	uint8_t plain[TYPE6_PLAIN_MAX + 1];
	char text[TYPE6_TEXT_MAX], bad[TYPE6_TEXT_MAX];
	size_t len;

	(void)state;
	assert_int_equal(type6_seal(key, "cisco123", 8, text), 0);
	assert_int_equal(type6_open(other, text, plain, &len), -EBADMSG);
	for (size_t i = 2; text[i]; i++)
		for (int bit = 0; bit < 6; bit++) {
			static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
			memcpy(bad, text, sizeof(bad));
			bad[i] = digits[(size_t)(strchr(digits, bad[i]) - digits) ^ (1u << bit)];
			assert_int_not_equal(type6_open(key, bad, plain, &len), 0);
		}
	memcpy(bad, text, sizeof(bad));
	bad[strlen(bad) - 4] = 0;
	assert_int_not_equal(type6_open(key, bad, plain, &len), 0);
}

static void test_form(void **state)
{
	static const char *const clear[] = {"cisco", "", "6", "6 ", "6 cisco", "6 AAAA",
		"7 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "6 AQ=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"6  AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};

	(void)state;
	for (unsigned i = 0; i < sizeof(clear) / sizeof(clear[0]); i++)
		assert_false(type6_is(clear[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_derive),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_integrity),
		cmocka_unit_test(test_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
