/* SPDX-License-Identifier: BSD-3-Clause */
/* The dataplane's frame in a test process: EAL without huge pages, pool, FRAME_WORKERS' structs. No
 * threads. */
#ifndef TESTS_FRAME_ENV_H
#define TESTS_FRAME_ENV_H

#include <rte_eal.h>

#include "worker.h"

#ifndef FRAME_WORKERS
#define FRAME_WORKERS 1
#endif

/* For cmocka_run_group_tests: 0 or -1. */
static inline int frame_env_setup(void **state)
{
	char *argv[] = {
		"test", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "-l0", "-m96", "--log-level=4", NULL};
	const struct frame_conf conf = {.n_workers = FRAME_WORKERS, .n_mbufs = 4095};
	(void)state;
	return rte_eal_init(8, argv) >= 0 && dp_frame_init(&conf) == 0 ? 0 : -1;
}

#endif
