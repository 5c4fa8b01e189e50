/* SPDX-License-Identifier: BSD-3-Clause */
/* culvert-dataplane: brings everything up, then is the main lcore's loop. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <rte_ethdev.h>

#include "acl_log.h"
#include "capture.h"
#include "command.h"
#include "cv_chan.h"
#include "cv_log.h"
#include "eal.h"
#include "fib.h"
#include "fast.h"
#include "host.h"
#include "host_route.h"
#include "ipsec.h"
#include "neigh.h"
#include "port.h"
#include "profile.h"
#include "punt.h"
#include "qos.h"
#include "slow.h"
#include "slowpath.h"
#include "stats.h"
#include "trace.h"
#include "tx.h"

#define TICK_MS 10u
#define CLIENT_MS 2u	   /* how often the socket is looked at */
#define IDLE_NAP_NS 200000 /* main has nothing to do */
#define FIB_NODES (1u << 17)

static volatile sig_atomic_t stop_signal;

static void on_signal(int sig)
{
	stop_signal = sig;
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &sa, NULL);
	(void)sigaction(SIGHUP, &sa, NULL);
}

/* Report which step failed; for use in a chain of steps. */
static int step(const char *what, int rc)
{
	if (rc != 0)
		cv_err("main", "%s: %s", what, strerror(-rc));
	return rc;
}

static int make_worker_state(uint32_t flows)
{
	for (uint32_t i = 0; i <= dp_n_workers; i++) {
		struct worker *w = dp_workers[i];
		w->tx = tx_worker_create(i, SOCKET_ID_ANY);
		w->ipsec = ipsec_worker_create(i, SOCKET_ID_ANY);
		w->fast = fast_worker_create(flows, SOCKET_ID_ANY);
		if (w->tx == NULL || w->ipsec == NULL || w->fast == NULL)
			return -ENOMEM;
	}
	return 0;
}

static void free_worker_state(void)
{
	for (uint32_t i = 0; i <= dp_n_workers; i++) {
		ipsec_worker_destroy(dp_workers[i]->ipsec);
		dp_workers[i]->ipsec = NULL;
	}
}

static int bring_up(const struct options *o, struct cv_stats_segment *stats)
{
	struct frame_conf frame = {.stats = stats, .n_workers = o->workers, .n_mbufs = eal_packet_buffers(o)};
	stats_fill_names(stats);
	int rc = step("packet buffers", dp_frame_init(&frame));
	if (rc == 0)
		rc = step("neighbour tables", neigh_init());
	if (rc == 0)
		rc = step("route tables", fib_init(FIB_NODES));
	if (rc == 0)
		rc = step("IPsec tables", ipsec_init());
	if (rc == 0)
		rc = step("worker state", make_worker_state(eal_flows(o)));
	if (rc == 0)
		rc = step("slow path", slow_init());
	if (rc == 0)
		rc = step("inject ring", punt_init());
	if (rc == 0)
		rc = step("capture directory", capture_init(o->capture_dir));
	if (rc != 0)
		return rc;
	struct command_conf command = {.instance = stats->instance, .test_faults = o->test_faults};
	command_init(&command);
	workers_set_active(o->workers, CV_POLL_ADAPTIVE);
	return step("workers", workers_launch());
}

static void look_for_client(struct cv_chan_server *server)
{
	int changed;
	struct cv_chan *ch = cv_chan_server_poll(server, &changed);
	if (!changed)
		return;
	punt_attach(ch);
	command_attach(ch);
	cv_notice("channel", ch != NULL ? "control process attached" : "control process gone; forwarding goes on");
}

static void send_trace(const struct cv_evt_trace *t)
{
	static struct cv_msg msg;
	msg.h.type = CV_EVT_TRACE;
	msg.h.len = sizeof(msg.h) + sizeof(*t);
	memcpy(msg.body, t, sizeof(*t));
	dp_event(&msg);
}

static void tick(struct worker *w, uint64_t now_ms)
{
	fwd_tick(w, now_ms);
	ipsec_tick(w, now_ms);
	port_tick(now_ms);
	acl_log_tick(now_ms);
	trace_collect(send_trace);
}

/* Rounds until a signal says stop. */
static void main_loop(struct cv_chan_server *server)
{
	struct worker *w = worker_main();
	uint64_t next_tick = 0, next_client = 0;
	while (!stop_signal) {
		uint64_t now = dp_now_ms();
		w->tsc = rte_rdtsc();
		profile_round(w);
		dp_clock_update();
		if (now >= next_client) {
			look_for_client(server);
			next_client = now + CLIENT_MS;
		}
		unsigned work = command_poll() + inject_poll(w) + slow_poll(w) + host_poll(w) + host_routes_poll(now) +
				qos_run(w, false);
		if (now >= next_tick) {
			tick(w, now);
			next_tick = now + TICK_MS;
		}
		capture_poll();
		tx_flush(w);
		dp_defer_run();
		if (punt_take_dirty())
			cv_chan_server_kick(server);
		if (work == 0) {
			struct timespec ts = {.tv_nsec = IDLE_NAP_NS};
			(void)nanosleep(&ts, NULL);
		}
	}
}

/* culvertd gives up root for this user where it exists (its group then is the one to let in). */
#define DEFAULT_GROUP "culvert"

static struct cv_chan_server *open_channel(const struct options *o)
{
	const char *group = o->socket_group;
	char dir[108];
	if (group == NULL && getgrnam(DEFAULT_GROUP) != NULL)
		group = DEFAULT_GROUP;
	(void)snprintf(dir, sizeof(dir), "%s", o->socket);
	char *slash = strrchr(dir, '/');
	if (slash != NULL && slash != dir) {
		*slash = '\0';
		(void)mkdir(dir, 0755);
	}
	return cv_chan_server_open(o->socket, group);
}

static int run(const struct options *o)
{
	struct cv_chan_server *server = open_channel(o);
	if (server == NULL) {
		cv_err("main", "socket %s: %s", o->socket, strerror(errno));
		return EXIT_FAILURE;
	}
	int rc = eal_start(o);
	if (rc == 0) {
		rc = bring_up(o, cv_chan_server_stats(server));
		if (rc == 0) {
			cv_notice("main", "culvert-dataplane %s ready: %u workers, crypto %s, socket %s",
				CULVERT_VERSION, dp_n_workers, ipsec_crypto()->describe(), o->socket);
			main_loop(server);
			cv_notice("main", "signal %d: stopping", (int)stop_signal);
			host_close_all();
			port_close_all();
			workers_stop();
			free_worker_state();
		}
		eal_end();
	}
	cv_chan_server_close(server);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct options o;
	int rc = options_parse(argc, argv, &o);
	if (rc != 0)
		return rc > 0 ? EXIT_SUCCESS : 2;
	cv_log_open("culvert-dataplane", o.syslog, (enum cv_log_level)o.log_level);
	catch_signals();
	return run(&o);
}
