/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of culvert-dataplane. */
#ifndef DATAPLANE_OPTIONS_H
#define DATAPLANE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "cv_types.h"

#define DEFAULT_SOCKET "/run/culvert/dataplane.sock"

struct options {
	const char *socket, *socket_group, *capture_dir;
	uint32_t workers;		 /* 1..CV_WORKER_MAX */
	uint32_t cpu[CV_WORKER_MAX + 1]; /* main's, then each worker's */
	uint32_t memory_mb;		 /* packet buffers and tables */
	enum { HUGE_AUTO, HUGE_NO, HUGE_YES } huge;
	int log_level;
	bool syslog, test_faults;
	char **eal_args; /* after "--" */
	int n_eal_args;
};

/* 0: go on; 1: done (--help, --version); -1: wrong, a message has been printed. */
int options_parse(int argc, char **argv, struct options *o);

#endif
