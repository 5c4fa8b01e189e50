/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cv_secret.h"

static void zero_overwrites_every_byte(void **state)
{
	(void)state;
	uint8_t key[33];
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i + 1);
	cv_secret_zero(key, 32);
	for (size_t i = 0; i < 32; i++)
		assert_int_equal(key[i], 0);
	assert_int_equal(key[32], 33);
}

static void cmp_finds_a_difference_in_any_position(void **state)
{
	(void)state;
	uint8_t a[16] = {0}, b[16] = {0};
	assert_int_equal(cv_secret_cmp(a, b, sizeof(a)), 0);
	for (size_t i = 0; i < sizeof(a); i++) {
		b[i] = 0x80;
		assert_int_not_equal(cv_secret_cmp(a, b, sizeof(a)), 0);
		b[i] = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_overwrites_every_byte),
		cmocka_unit_test(cmp_finds_a_difference_in_any_position),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
