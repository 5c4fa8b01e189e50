/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A control process by hand: attaches to a dataplane and sends the commands that it reads, one a line, from standard
 * input. For tests of the dataplane alone, and for looking at a running one. Stops with exit code 1 at the first answer
 * that is not the expected one.
 *
 *   expect N                      the next command must be answered with error N (cv_msg.h, enum cv_err)
 *   hello | begin | sync | commit | abort
 *   workers N [busy]
 *   vrf ID NAME | vrf-del ID
 *   port ID NAME DEVARGS [MTU] | port-del ID
 *   if ID NAME PORT [MTU [VRF]] | vlan ID NAME PARENT TAG [MTU [VRF]] | loopback ID NAME [VRF] | if-del ID
 *   addr IF ADDRESS/LEN | addr-del IF ADDRESS/LEN
 *   route VRF PREFIX GATEWAY | route-if VRF PREFIX IF | blackhole VRF PREFIX | route-del VRF PREFIX
 *   fail-at N | capture IF N FILE | trace N
 *   dump if|neigh|fib|worker|sa|spd [SCOPE]
 *   events MS                     print events that arrive within so many milliseconds
 *   drops | counters IF | heartbeat
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cv_addr.h"
#include "cv_chan.h"

#define REPLY_TIMEOUT_MS 15000

static struct cv_chan *ch;
static uint64_t seq;
static unsigned expected;
static const char *line;
static struct cv_msg in;

static void __attribute__((noreturn)) die(const char *why)
{
	(void)fprintf(stderr, "chan_probe: %s: %s\n", line, why);
	exit(1);
}

static long now_ms(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Wait for the dataplane's kick, at most until the deadline. False: too late. */
static bool wait_kick(long deadline)
{
	struct pollfd fds[2] = {
		{.fd = cv_chan_event_fd(ch), .events = POLLIN}, {.fd = cv_chan_socket_fd(ch), .events = POLLIN}};
	long left = deadline - now_ms();
	uint64_t n;
	if (left <= 0 || poll(fds, 2, (int)left) <= 0)
		return false;
	if (fds[1].revents != 0)
		die("the dataplane is gone");
	return read(fds[0].fd, &n, sizeof(n)) == (ssize_t)sizeof(n);
}

static void print_event(const struct cv_msg *m)
{
	if (m->h.type == CV_EVT_LINK) {
		const struct cv_evt_link *e = (const struct cv_evt_link *)m->body;
		(void)printf("event link if %u %s\n", e->if_id, e->up ? "up" : "down");
	} else if (m->h.type == CV_EVT_TRACE) {
		const struct cv_evt_trace *e = (const struct cv_evt_trace *)m->body;
		(void)printf("event trace %u if %u len %u:", e->id, e->if_id, e->pkt_len);
		for (uint32_t i = 0; i < e->n_steps; i++)
			(void)printf(" [%s] %s;", e->step[i].stage, e->step[i].note);
		(void)printf("\n");
	} else {
		(void)printf("event %u\n", m->h.type);
	}
}

static const struct cv_reply *wait_reply(void)
{
	long deadline = now_ms() + REPLY_TIMEOUT_MS;
	for (;;) {
		int rc = cv_chan_recv(ch, &in);
		if (rc < 0)
			die("not a message");
		if (rc == 0) {
			if (!wait_kick(deadline))
				die("no reply");
			continue;
		}
		if (in.h.type != CV_REPLY) {
			print_event(&in);
			continue;
		}
		if (in.h.seq != seq)
			die("reply to something else");
		return (const struct cv_reply *)in.body;
	}
}

static const struct cv_reply *command(uint16_t type, const void *body, size_t len)
{
	static struct cv_msg out;
	out.h.type = type;
	out.h.seq = ++seq;
	out.h.len = (uint32_t)(sizeof(out.h) + len);
	memcpy(out.body, body, len);
	if (cv_chan_send(ch, &out) != 0)
		die("ring is full");
	const struct cv_reply *r = wait_reply();
	(void)printf("%s: %s %s\n", line, r->err == 0 ? "ok" : "error", r->text);
	if (r->err != expected) {
		(void)fprintf(stderr, "chan_probe: %s: error %u (%s), expected %u\n", line, r->err, r->text, expected);
		exit(1);
	}
	expected = 0;
	return r;
}

static struct cv_prefix prefix(const char *s)
{
	struct cv_prefix p;
	if (s == NULL || cv_prefix_parse(s, &p) != 0)
		die("not a prefix");
	return p;
}

static uint32_t num(const char *s, uint32_t otherwise)
{
	return s == NULL ? otherwise : (uint32_t)strtoul(s, NULL, 0);
}

static void set_name(char *dst, const char *src)
{
	(void)snprintf(dst, CV_NAME_MAX, "%s", src == NULL ? "" : src);
}

static void route(char **a, enum cv_nh_type type)
{
	struct cv_route r = {.vrf_id = num(a[1], 0), .prefix = prefix(a[2]), .n_nh = 1, .distance = 1};
	r.nh[0] = (struct cv_nexthop){.type = (uint8_t)type, .weight = 1, .vrf_id = r.vrf_id};
	if (type == CV_NH_GATEWAY && cv_addr_parse(a[3] == NULL ? "" : a[3], &r.nh[0].gw) != 0)
		die("not an address");
	if (type == CV_NH_INTERFACE)
		r.nh[0].if_id = num(a[3], 0);
	(void)command(CV_CMD_ROUTE_SET, &r, sizeof(r));
}

static void addr(char **a, uint16_t type)
{
	struct cv_if_addr c = {.if_id = num(a[1], 0)};
	if (a[2] == NULL || cv_ifaddr_parse(a[2], &c.addr, &c.plen) != 0)
		die("not an address");
	(void)command(type, &c, sizeof(c));
}

static void interface(char **a, enum cv_if_type type)
{
	struct cv_if c = {.if_id = num(a[1], 0), .type = type, .admin_up = 1, .mtu = 1500};
	set_name(c.name, a[2]);
	if (type == CV_IF_LOOPBACK) {
		c.vrf_id = num(a[3], 0);
	} else if (type == CV_IF_VLAN) {
		c.parent_id = num(a[3], 0);
		c.vlan_id = (uint16_t)num(a[4], 0);
		c.mtu = (uint16_t)num(a[5], 1500);
		c.vrf_id = num(a[5] != NULL ? a[6] : NULL, 0);
	} else {
		c.port_id = num(a[3], 0);
		c.mtu = (uint16_t)num(a[4], 1500);
		c.vrf_id = num(a[4] != NULL ? a[5] : NULL, 0);
	}
	(void)command(CV_CMD_IF_SET, &c, sizeof(c));
}

static void print_entry(uint32_t kind, const uint8_t *p)
{
	char a[CV_PREFIX_STR], b[CV_ADDR_STR];
	if (kind == CV_DUMP_IF) {
		const struct cv_if_entry *e = (const void *)p;
		(void)printf("  if %u mtu %u link %u admin %u mac %02x:%02x:%02x:%02x:%02x:%02x speed %u driver %s\n",
			e->if_id, e->mtu, e->link_up, e->admin_up, e->mac[0], e->mac[1], e->mac[2], e->mac[3],
			e->mac[4], e->mac[5], e->speed_mbps, e->driver);
	} else if (kind == CV_DUMP_NEIGH) {
		const struct cv_neigh_entry *e = (const void *)p;
		(void)printf(
			"  neigh %s if %u state %u age %u\n", cv_addr_str(&e->addr, b), e->if_id, e->state, e->age_s);
	} else if (kind == CV_DUMP_FIB) {
		const struct cv_route *r = &((const struct cv_fib_entry *)(const void *)p)->route;
		(void)printf("  route %s origin %u", cv_prefix_str(&r->prefix, a), r->origin);
		for (unsigned i = 0; i < r->n_nh && i < CV_NH_MAX; i++)
			(void)printf(
				" [type %u if %u gw %s]", r->nh[i].type, r->nh[i].if_id, cv_addr_str(&r->nh[i].gw, b));
		(void)printf("\n");
	} else if (kind == CV_DUMP_WORKER) {
		const struct cv_worker_entry *e = (const void *)p;
		(void)printf("  worker %u lcore %u rxq %u:", e->worker, e->lcore, e->n_rxq);
		for (unsigned i = 0; i < e->n_rxq && i < 16; i++)
			(void)printf(" %u/%u", e->rxq[i].port_id, e->rxq[i].queue);
		(void)printf("\n");
	} else if (kind == CV_DUMP_SA) {
		const struct cv_sa_entry *e = (const void *)p;
		(void)printf(
			"  sa %u spi 0x%x dir %u seq %lu\n", e->ref.index, e->ref.spi, e->dir, (unsigned long)e->seq);
	} else {
		const struct cv_spd_rule_entry *e = (const void *)p;
		(void)printf("  rule %u action %u out_sa %u held %u\n", e->rule_id, e->action, e->out_sa, e->held);
	}
}

static void dump(char **a)
{
	static const char *const kinds[] = {"", "neigh", "fib", "sa", "if", "spd", "worker"};
	struct cv_cmd_dump c = {.scope = num(a[2], 0)};
	for (uint32_t i = 1; a[1] != NULL && i < 7; i++)
		if (strcmp(a[1], kinds[i]) == 0)
			c.kind = i;
	do {
		const struct cv_reply *r = command(CV_CMD_DUMP, &c, sizeof(c));
		struct cv_dump_reply d;
		memcpy(&d, r->data, sizeof(d));
		for (uint32_t i = 0; i < d.n && (i + 1) * d.entry_size <= sizeof(d.entries); i++)
			print_entry(c.kind, d.entries + (size_t)i * d.entry_size);
		c.cursor = d.next;
	} while (c.cursor != 0);
}

static void events(long ms)
{
	long deadline = now_ms() + ms;
	do {
		while (cv_chan_recv(ch, &in) == 1)
			print_event(&in);
	} while (wait_kick(deadline));
}

static void drops(void)
{
	const struct cv_stats_segment *s = cv_chan_stats(ch);
	for (uint32_t d = 0; d < s->n_drops; d++) {
		uint64_t n = 0;
		for (uint32_t w = 0; w <= s->n_workers; w++)
			n += s->writer[w].drops[d];
		if (n != 0)
			(void)printf("  drop %s %lu\n", s->drop_name[d], (unsigned long)n);
	}
}

static void event_counts(void)
{
	const struct cv_stats_segment *s = cv_chan_stats(ch);
	for (uint32_t e = 0; e < s->n_events; e++) {
		uint64_t n = 0;
		for (uint32_t w = 0; w <= s->n_workers; w++)
			n += s->writer[w].events[e];
		if (n != 0)
			(void)printf("  event %s %lu\n", s->event_name[e], (unsigned long)n);
	}
}

static void counters(uint32_t if_id)
{
	const struct cv_stats_segment *s = cv_chan_stats(ch);
	struct cv_if_counters sum = {0};
	for (uint32_t w = 0; w <= s->n_workers && if_id < CV_IF_MAX; w++) {
		const struct cv_if_counters *c = &s->writer[w].ifc[if_id];
		sum.rx_packets += c->rx_packets;
		sum.tx_packets += c->tx_packets;
		sum.rx_drops += c->rx_drops;
		sum.tx_drops += c->tx_drops;
	}
	(void)printf("  if %u rx %lu tx %lu rx_drops %lu tx_drops %lu\n", if_id, (unsigned long)sum.rx_packets,
		(unsigned long)sum.tx_packets, (unsigned long)sum.rx_drops, (unsigned long)sum.tx_drops);
}

static void hello(void)
{
	struct cv_cmd_hello c = {.pid = (uint32_t)getpid()};
	struct cv_hello_info i;
	memcpy(&i, command(CV_CMD_HELLO, &c, sizeof(c))->data, sizeof(i));
	(void)printf("  instance %016lx workers %u caps 0x%lx version %s provider %s\n", (unsigned long)i.instance,
		i.max_workers, (unsigned long)i.encr_caps, i.version, i.provider);
}

static void by_id(char **a, uint16_t type)
{
	uint32_t id = num(a[1], 0);
	(void)command(type, &id, sizeof(id));
}

static void port(char **a)
{
	struct cv_port c = {.port_id = num(a[1], 0), .mtu = (uint16_t)num(a[2] && a[3] ? a[4] : NULL, 0)};
	set_name(c.name, a[2]);
	(void)snprintf(c.devargs, sizeof(c.devargs), "%s", a[2] && a[3] ? a[3] : "");
	(void)command(CV_CMD_PORT_ATTACH, &c, sizeof(c));
}

static void vrf(char **a)
{
	struct cv_vrf c = {.vrf_id = num(a[1], 0)};
	set_name(c.name, a[2]);
	(void)command(CV_CMD_VRF_SET, &c, sizeof(c));
}

static void route_del(char **a)
{
	struct cv_route_ref c = {.vrf_id = num(a[1], 0), .prefix = prefix(a[2])};
	(void)command(CV_CMD_ROUTE_DEL, &c, sizeof(c));
}

static void txn_begin(uint32_t flags)
{
	struct cv_cmd_txn c = {.flags = flags};
	(void)command(CV_CMD_TXN_BEGIN, &c, sizeof(c));
}

static bool configure(char **a)
{
	if (strcmp(a[0], "workers") == 0) {
		struct cv_platform c = {
			.workers = num(a[1], 1), .poll_mode = a[1] && a[2] ? CV_POLL_BUSY : CV_POLL_ADAPTIVE};
		(void)command(CV_CMD_PLATFORM_SET, &c, sizeof(c));
	} else if (strcmp(a[0], "vrf") == 0)
		vrf(a);
	else if (strcmp(a[0], "vrf-del") == 0)
		by_id(a, CV_CMD_VRF_DEL);
	else if (strcmp(a[0], "port") == 0)
		port(a);
	else if (strcmp(a[0], "port-del") == 0)
		by_id(a, CV_CMD_PORT_DETACH);
	else if (strcmp(a[0], "if") == 0)
		interface(a, CV_IF_ETHERNET);
	else if (strcmp(a[0], "vlan") == 0)
		interface(a, CV_IF_VLAN);
	else if (strcmp(a[0], "loopback") == 0)
		interface(a, CV_IF_LOOPBACK);
	else if (strcmp(a[0], "if-del") == 0)
		by_id(a, CV_CMD_IF_DEL);
	else if (strcmp(a[0], "addr") == 0)
		addr(a, CV_CMD_IF_ADDR_ADD);
	else if (strcmp(a[0], "addr-del") == 0)
		addr(a, CV_CMD_IF_ADDR_DEL);
	else if (strcmp(a[0], "route") == 0)
		route(a, CV_NH_GATEWAY);
	else if (strcmp(a[0], "route-if") == 0)
		route(a, CV_NH_INTERFACE);
	else if (strcmp(a[0], "blackhole") == 0)
		route(a, CV_NH_BLACKHOLE);
	else if (strcmp(a[0], "route-del") == 0)
		route_del(a);
	else
		return false;
	return true;
}

static void operate(char **a)
{
	if (strcmp(a[0], "hello") == 0) {
		hello();
	} else if (strcmp(a[0], "begin") == 0) {
		txn_begin(0);
	} else if (strcmp(a[0], "sync") == 0) {
		txn_begin(CV_TXN_SYNC);
	} else if (strcmp(a[0], "commit") == 0) {
		(void)command(CV_CMD_TXN_COMMIT, "", 0);
	} else if (strcmp(a[0], "abort") == 0) {
		(void)command(CV_CMD_TXN_ABORT, "", 0);
	} else if (strcmp(a[0], "fail-at") == 0) {
		struct cv_cmd_fail_at c = {.nth = num(a[1], 0)};
		(void)command(CV_CMD_FAIL_AT, &c, sizeof(c));
	} else if (strcmp(a[0], "trace") == 0) {
		struct cv_cmd_trace c = {.n_packets = num(a[1], 0)};
		(void)command(CV_CMD_TRACE, &c, sizeof(c));
	} else if (strcmp(a[0], "capture") == 0) {
		struct cv_cmd_capture c = {.if_id = num(a[1], 0), .n_packets = num(a[1] ? a[2] : NULL, 0)};
		(void)snprintf(c.file, sizeof(c.file), "%s", a[1] && a[2] && a[3] ? a[3] : "");
		(void)command(CV_CMD_CAPTURE, &c, sizeof(c));
	} else if (strcmp(a[0], "dump") == 0) {
		dump(a);
	} else if (strcmp(a[0], "events") == 0) {
		events((long)num(a[1], 0));
	} else if (strcmp(a[0], "drops") == 0) {
		drops();
		event_counts();
	} else if (strcmp(a[0], "counters") == 0) {
		counters(num(a[1], 0));
	} else if (strcmp(a[0], "heartbeat") == 0) {
		(void)printf("  uptime %lu s\n", (unsigned long)cv_chan_stats(ch)->heartbeat);
	} else {
		die("unknown command");
	}
}

static void run_line(char *text)
{
	char copy[512], *argv[10] = {NULL}, *save = NULL;
	int n = 0;
	text[strcspn(text, "\n#")] = '\0';
	(void)snprintf(copy, sizeof(copy), "%s", text);
	line = copy;
	for (char *t = strtok_r(text, " \t", &save); t != NULL && n < 8; t = strtok_r(NULL, " \t", &save))
		argv[n++] = t;
	if (n == 0)
		return;
	if (strcmp(argv[0], "expect") == 0)
		expected = num(argv[1], 0);
	else if (!configure(argv))
		operate(argv);
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	char text[512];
	int back;
	if (argc != 2) {
		(void)fprintf(stderr, "usage: chan_probe SOCKET < COMMANDS\n");
		return 2;
	}
	line = argv[1];
	int rc = cv_chan_connect(argv[1], -1, &ch, &back);
	if (rc != 0)
		die(strerror(-rc));
	if (back >= 0)
		(void)close(back);
	while (fgets(text, sizeof(text), stdin) != NULL)
		run_line(text);
	cv_chan_close(ch);
	return 0;
}
