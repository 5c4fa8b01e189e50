/* SPDX-License-Identifier: BSD-3-Clause */
#include "ike_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct pair *p;

int teardown(void **state)
{
	(void)state;
	if (p)
		pair_free(p);
	p = NULL;
	return 0;
}

void bring_up(void)
{
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
}
