/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_device.h"

#include <dirent.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "fast.h"
#include "ipsec.h"
#include "port.h"
#include "tx.h"

#define WINDOW_NS 100000000 /* by the clock on the wall; the workers' own time is what counts */
#define ENOUGH 0.2	    /* of a window that a worker has to have had */

struct device_worker {
	clockid_t clock;
	char device[24], path[64];
	uint64_t ns, packets; /* at the last look */
};
static struct device_worker workers[CV_WORKER_MAX];
static unsigned n_workers;

/* The clock of the time that another thread of this process has had: its name is as EAL gives it. */
static clockid_t thread_clock(unsigned lcore)
{
	char want[32], path[300], name[32];
	DIR *d = opendir("/proc/self/task");
	const struct dirent *e;
	long tid = 0;
	snprintf(want, sizeof(want), "rte-worker-%u\n", lcore);
	while (d && !tid && (e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		FILE *f = fopen(path, "re");
		if (f && fgets(name, sizeof(name), f) && !strcmp(name, want))
			tid = strtol(e->d_name, NULL, 10);
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	if (!tid)
		die("a worker's thread is not to be found");
	return (clockid_t)(~tid << 3 | 6); /* clock_getres(2): a thread's, by its id */
}

void device_start(unsigned n)
{
	n_workers = n;
	for (unsigned i = 1; i <= n; i++) {
		struct worker *one = dp_workers[i];
		one->tx = tx_worker_create(i, SOCKET_ID_ANY);
		one->ipsec = ipsec_worker_create(i, SOCKET_ID_ANY);
		one->fast = fast_worker_create(FAST_FLOWS_MAX, SOCKET_ID_ANY);
		if (!one->tx || !one->ipsec || !one->fast)
			die("initialisation of a worker");
	}
	workers_set_active(n, CV_POLL_BUSY);
	if (workers_launch())
		die("workers");
	for (unsigned i = 0; i < n; i++)
		workers[i].clock = thread_clock(dp_workers[i + 1]->lcore);
}

/* The frames that worker i is to get: with one tunnel all, else those of its own tunnels. */
static void save(const struct device_worker *d, uint32_t n_sa, unsigned i)
{
	struct frame *all = malloc(sizeof(frame));
	const uint32_t n = n_frames;
	if (!all)
		die("memory");
	memcpy(all, frame, sizeof(frame));
	if (n_sa > 1 && n_workers > 1) {
		n_frames = 0;
		for (uint32_t k = 0; k < n; k++)
			if (k % n_sa % n_workers == i)
				frame[n_frames++] = all[k];
	}
	frames_save(d->path);
	memcpy(frame, all, sizeof(frame));
	n_frames = n;
	free(all);
}

static void feed(unsigned i, uint32_t port_id, uint32_t n_sa)
{
	struct device_worker *d = &workers[i];
	static unsigned made;
	char args[128];
	uint16_t eth;
	const struct rte_eth_conf conf = {0};
	snprintf(d->device, sizeof(d->device), "net_pcap_bench%u", made++);
	snprintf(d->path, sizeof(d->path), "/tmp/bench-%d-%u.pcap", (int)getpid(), i);
	save(d, n_sa, i);
	snprintf(args, sizeof(args), "rx_pcap=%s,infinite_rx=1", d->path);
	if (rte_eal_hotplug_add("vdev", d->device, args) || rte_eth_dev_get_port_by_name(d->device, &eth) ||
		rte_eth_dev_configure(eth, 1, 1, &conf) ||
		rte_eth_rx_queue_setup(eth, 0, 512, SOCKET_ID_ANY, NULL, dp_pool()) ||
		rte_eth_tx_queue_setup(eth, 0, 512, SOCKET_ID_ANY, NULL) || rte_eth_dev_start(eth))
		die("pcap device");
	unlink(d->path); /* it has been read */
	const struct worker_rxqs q = {.n = 1, .q = {{.eth = eth, .queue = 0, .port_id = port_id}}};
	if (worker_set_rxqs(i + 1, &q))
		die("queue");
}

/* Nobody polls the device any more when this returns. */
static void unfeed(unsigned i)
{
	struct device_worker *d = &workers[i];
	const struct worker_rxqs none = {0};
	uint16_t eth;
	if (worker_set_rxqs(i + 1, &none))
		die("queue");
	const uint64_t loops = dp_workers[i + 1]->stats->loops;
	while (__atomic_load_n(&dp_workers[i + 1]->stats->loops, __ATOMIC_RELAXED) < loops + 2)
		usleep(100);
	if (rte_eth_dev_get_port_by_name(d->device, &eth) || rte_eth_dev_stop(eth) || rte_eth_dev_close(eth))
		die("pcap device");
}

/* Time and packets of a worker since the last look, in cycles per packet; FLT_MAX when it had too little time. The
 * clock is read before and after: what it went on meanwhile is counted. */
static double look(struct device_worker *d, const struct worker *one)
{
	struct timespec ts;
	uint64_t packets = __atomic_load_n(&one->stats->rx_packets, __ATOMIC_RELAXED);
	if (clock_gettime(d->clock, &ts))
		die("clock of a worker");
	uint64_t ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	const double had = (double)(ns - d->ns), moved = (double)(packets - d->packets);
	d->ns = ns;
	d->packets = packets;
	return had < ENOUGH * WINDOW_NS || moved < 1 ? DBL_MAX : had / 1e9 * (double)rte_get_tsc_hz() / moved;
}

double device_measure(uint32_t port_id, uint32_t n_sa, unsigned windows)
{
	double best[CV_WORKER_MAX], rate = 0;
	for (unsigned i = 0; i < n_workers; i++)
		feed(i, port_id, n_sa);
	const uint64_t sent = dp_workers[1]->stats->tx_packets;
	for (unsigned n = 0; n <= windows; n++) { /* the first is not counted */
		usleep(WINDOW_NS / 1000);
		dp_clock_update();
		for (unsigned i = 0; i < n_workers; i++) {
			double cycles = look(&workers[i], dp_workers[i + 1]);
			best[i] = n == 0 || cycles < best[i] ? (n ? cycles : DBL_MAX) : best[i];
		}
	}
	const uint64_t got = dp_workers[1]->stats->tx_packets - sent;
	for (unsigned i = 0; i < n_workers; i++) {
		unfeed(i);
		rate += 1 / best[i];
	}
	for (int i = 0; i < (int)CV_DROP_MAX; i++)
		if (dp_workers[1]->stats->drops[i])
			die("packets were dropped: the figures would be worthless");
	if (!got || rate <= 0)
		die("nothing was sent");
	return 1 / rate;
}
