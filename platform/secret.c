/* SPDX-License-Identifier: BSD-3-Clause */
#include "cv_secret.h"

#include <stdint.h>
#include <string.h>

void cv_secret_zero(void *p, size_t len)
{
	explicit_bzero(p, len);
}

int cv_secret_cmp(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;
	for (size_t i = 0; i < len; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	return diff;
}
