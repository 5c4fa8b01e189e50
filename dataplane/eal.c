/* SPDX-License-Identifier: BSD-3-Clause */
#include "eal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "cv_log.h"
#include "dp.h"
#include "fast.h"

#define ARGS_MAX 64
#define PREFIX "culvert-"
#define MBUFS_MIN 2048u
#define MBUFS_MAX 131072u

/* DPDK writes to a stream: cut it into lines and hand them to our log. */
static ssize_t log_write(void *cookie, const char *buf, size_t len)
{
	static char line[512];
	static size_t n;
	(void)cookie;
	for (size_t i = 0; i < len; i++) {
		if (buf[i] != '\n' && n < sizeof(line) - 1) {
			line[n++] = buf[i];
			continue;
		}
		line[n] = '\0';
		int level = rte_log_cur_msg_loglevel();
		if (n > 0)
			cv_log(level > 0 && level <= (int)RTE_LOG_ERR ? CV_LOG_ERR
				: level == (int)RTE_LOG_WARNING	      ? CV_LOG_WARNING
				: level == (int)RTE_LOG_DEBUG	      ? CV_LOG_DEBUG
								      : CV_LOG_INFO,
				"dpdk", "%s", line);
		n = 0;
	}
	return (ssize_t)len;
}

static void take_over_log(void)
{
	cookie_io_functions_t io = {.write = log_write};
	FILE *f = fopencookie(NULL, "w", io);
	if (f == NULL)
		return;
	(void)setvbuf(f, NULL, _IOLBF, 512);
	(void)rte_openlog_stream(f);
}

/* Megabytes of huge pages nobody uses, over all sizes. */
static uint64_t free_huge_mb(void)
{
	static const char root[] = "/sys/kernel/mm/hugepages";
	uint64_t mb = 0;
	DIR *d = opendir(root);
	struct dirent *e;
	while (d != NULL && (e = readdir(d)) != NULL) {
		static const char prefix[] = "hugepages-";
		char path[320], count[24];
		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		uint64_t kb = strtoull(e->d_name + strlen(prefix), NULL, 10);
		(void)snprintf(path, sizeof(path), "%s/%s/free_hugepages", root, e->d_name);
		FILE *f = fopen(path, "r");
		if (f == NULL)
			continue;
		if (fgets(count, sizeof(count), f) != NULL)
			mb += strtoull(count, NULL, 10) * kb / 1024;
		(void)fclose(f);
	}
	if (d != NULL)
		(void)closedir(d);
	return mb;
}

static bool use_huge(const struct options *o)
{
	if (o->huge != HUGE_AUTO)
		return o->huge == HUGE_YES;
	uint64_t mb = free_huge_mb();
	if (mb >= o->memory_mb)
		return true;
	cv_notice("eal", "%lu MB of huge pages free, %u wanted: going without", (unsigned long)mb, o->memory_mb);
	return false;
}

/* EAL keeps pointers to the arguments, and moves them about: static room for them and their text. */
struct args {
	int n;
	size_t used;
	char *v[ARGS_MAX];
	char text[8192];
};

static void __attribute__((format(printf, 2, 3))) add(struct args *a, const char *fmt, ...)
{
	va_list ap;
	size_t room = sizeof(a->text) - a->used;
	va_start(ap, fmt);
	int len = vsnprintf(a->text + a->used, room, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= room || a->n >= ARGS_MAX - 1) {
		cv_warn("eal", "too many arguments: one was left out");
		return;
	}
	a->v[a->n++] = a->text + a->used;
	a->used += (size_t)len + 1;
}

static void add_lcores(struct args *a, const struct options *o)
{
	char list[512];
	size_t n = 0;
	/* EAL's lcore i on CPU cpu[i]: so that several can share one. */
	for (uint32_t i = 0; i <= o->workers && n < sizeof(list); i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%u@%u", i > 0 ? "," : "", i, o->cpu[i]);
	add(a, "--lcores=%s", list);
	add(a, "--main-lcore=0");
}

/* No files that a killed process would leave behind and two instances would fight over. */
static void add_memory(struct args *a, const struct options *o)
{
	if (use_huge(o)) {
		add(a, "--in-memory");
		add(a, "--socket-mem=%u", o->memory_mb);
	} else {
		add(a, "--no-huge"); /* EAL does not take it together with --in-memory */
		add(a, "--no-shconf");
		add(a, "--iova-mode=va");
		add(a, "-m");
		add(a, "%u", o->memory_mb);
	}
}

/*
 * PCI: a device that does not exist as the only one allowed, because without a list EAL would take every
 * device that is bound to a userspace driver; ports come later, by name.
 */
static void add_defaults(struct args *a, const struct options *o)
{
	add(a, "culvert-dataplane");
	add(a, "--file-prefix=" PREFIX "%d", (int)getpid());
	add(a, "--no-telemetry");
	add(a, "--log-level=%s", o->log_level >= CV_LOG_DEBUG ? "*:info" : "*:warning");
	add_lcores(a, o);
	add_memory(a, o);
	if (access("/sys/bus/pci/devices", F_OK) == 0)
		add(a, "--allow=ffff:ff:1f.7");
	else
		add(a, "--no-pci");
}

/* EAL makes a directory per instance, even when it puts nothing there. Remove those of processes that are gone. */
static void remove_stale_dirs(void)
{
	static const char root[] = "/var/run/dpdk";
	DIR *d = opendir(root);
	struct dirent *e;
	while (d != NULL && (e = readdir(d)) != NULL) {
		char path[320], *end;
		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		long pid = strtol(e->d_name + strlen(PREFIX), &end, 10);
		if (*end != '\0' || pid <= 0 || pid > INT_MAX)
			continue;
		if (kill((pid_t)pid, 0) == 0 || errno != ESRCH)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", root, e->d_name);
		(void)rmdir(path); /* only when it is empty */
	}
	if (d != NULL)
		(void)closedir(d);
}

int eal_start(const struct options *o)
{
	static struct args a;
	take_over_log();
	remove_stale_dirs();
	add_defaults(&a, o);
	for (int i = 0; i < o->n_eal_args; i++)
		add(&a, "%s", o->eal_args[i]);
	if (rte_eal_init(a.n, a.v) < 0) {
		int err = rte_errno != 0 ? rte_errno : EINVAL;
		cv_err("eal", "DPDK does not start: %s", rte_strerror(err));
		return -err;
	}
	return 0;
}

uint32_t eal_packet_buffers(const struct options *o)
{
	uint64_t each =
		sizeof(struct rte_mbuf) + sizeof(struct pkt_meta) + DP_HEADROOM + CV_PKT_MAX + DP_TAILROOM + 128;
	uint64_t n = (uint64_t)o->memory_mb * 1024 * 1024 * 6 / 10 / each;
	return n < MBUFS_MIN ? MBUFS_MIN : n > MBUFS_MAX ? MBUFS_MAX : (uint32_t)n;
}

uint32_t eal_flows(const struct options *o)
{
	const uint64_t room = (uint64_t)o->memory_mb * 1024 * 1024 / 16 / (o->workers + 1) / sizeof(struct fast_way);
	uint32_t n = FAST_FLOWS_MIN;
	while (n < FAST_FLOWS_MAX && 2 * (uint64_t)n <= room)
		n *= 2;
	return n;
}

void eal_end(void)
{
	char dir[320];
	(void)snprintf(dir, sizeof(dir), "%s", rte_eal_get_runtime_dir());
	(void)rte_eal_cleanup();
	(void)rmdir(dir);
}
