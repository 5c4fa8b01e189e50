/* SPDX-License-Identifier: BSD-3-Clause */
#include "load.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define MIN_NS 100000000ull

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts = {0};

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static uint32_t share(uint64_t used, uint64_t of)
{
	uint64_t p = of ? used * 100 / of : 0;

	return p > 100 ? 100 : (uint32_t)p;
}

static uint32_t memory_used(void)
{
	unsigned long long total = 0, available = 0, huge = 0, huge_kb = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		(void)sscanf(line, "MemTotal: %llu", &total);
		(void)sscanf(line, "MemAvailable: %llu", &available);
		(void)sscanf(line, "HugePages_Total: %llu", &huge);
		(void)sscanf(line, "Hugepagesize: %llu", &huge_kb);
	}
	fclose(f);
	total -= huge * huge_kb < total ? huge * huge_kb : 0;
	return available < total ? share(total - available, total) : 0;
}

uint32_t load_read(struct load *l)
{
	struct load now = {.wall_ns = clock_ns(CLOCK_MONOTONIC),
		.loop_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID),
		.process_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
	uint64_t wall = now.wall_ns - l->wall_ns;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t used = memory_used(), loop, process;

	if (!l->wall_ns || wall < MIN_NS) {
		if (!l->wall_ns)
			*l = now;
		return used;
	}
	loop = share(now.loop_ns - l->loop_ns, wall);
	process = share(now.process_ns - l->process_ns, wall * (uint64_t)(cores > 0 ? cores : 1));
	*l = now;
	used = loop > used ? loop : used;
	return process > used ? process : used;
}
