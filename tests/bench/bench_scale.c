/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * culvertd itself as a hub with many spokes: set up, held, rekeyed, and back after all spokes have lost power at once,
 * while an operator looks on. The hub is the program, with its configuration from a file, its socket and its pool; its
 * dataplane is this process, which has no packets, says yes to everything, and passes IKE between the ring and the
 * spokes: engines of Culvert in this process (tests/unit/ike_net.h) on the real clock, behind a network that queues.
 * culvertd has no UDP sockets of its own: its packets come through the ring.
 *
 * What is printed: sessions per second of the hub's CPU time and by the clock, that CPU time by thread, memory per
 * session as the kernel counts it, the vault included, the longest answer to `show`.
 *
 * usage: bench_scale [--json FILE] [--limit HALF-OPEN-MAX] CULVERTD [SESSIONS]
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit/ike_net.h"
#include "../unit/ike_proposals.h"
#include "cv_chan.h"
#include "udp.h"

#define IN_FLIGHT 256u /* sessions being set up at once where the rate is measured */
#define GIVE_UP_S 120  /* for each step */
#define WIRE 16384u    /* packets that the network between spokes and hub holds */
#define AT_ONCE 32u    /* spokes that do something between two looks at the ring */
#define SHOW_EVERY_MS 300
#define IKE_LIFE_S 7200u

static struct {
	char dir[64], path[128];
	pid_t pid;
	struct cv_chan_server *srv;
	struct cv_chan *ch;
	struct net *net;
	uint64_t jump_ms; /* what the spokes' clock is ahead */
	unsigned cursor;  /* whose timers are looked at next */
	unsigned sas;	  /* halves of pairs that the hub has in its dataplane */
	uint64_t lost;	  /* packets for which the network had no room */
	struct cv_pkt *wire[WIRE];
	unsigned wire_in, wire_out; /* both only grow */
	bool kick;		    /* something is in the ring that the hub has not been told of */
	uint16_t ip_id;
	/* the operator */
	int fd;
	uint64_t asked_ms, show_ms, shows, show_max_ms;
	char *answer;
	size_t len, size;
} b;

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "bench_scale: %s\n", what);
	exit(1);
}

static void cleanup(void)
{
	char cmd[96];
	if (b.pid > 0) {
		kill(b.pid, SIGKILL);
		waitpid(b.pid, NULL, 0);
	}
	if (b.dir[0]) {
		snprintf(cmd, sizeof(cmd), "rm -rf %s", b.dir);
		if (system(cmd) != 0)
			perror(cmd);
	}
}

/* ---- the hub's configuration ---- */

static void configuration(FILE *f, unsigned n, unsigned limit)
{
	fprintf(f, "{\"ietf-interfaces:interfaces\":{\"interface\":[{\"name\":\"wan\",\"type\":\"iana-if-type:"
		   "ethernetCsmacd\",\"culvert-platform:device\":\"net_null0\",\"culvert-ipsec:crypto-map\":\"vpn\","
		   "\"ietf-ip:ipv4\":{\"address\":[{\"ip\":\"192.0.2.1\",\"prefix-length\":24}]}}]},"
		   "\"ietf-routing:routing\":{\"control-plane-protocols\":{\"control-plane-protocol\":[{\"type\":"
		   "\"ietf-routing:static\",\"name\":\"s\",\"static-routes\":{\"ietf-ipv4-unicast-routing:ipv4\":{"
		   "\"route\":[{\"destination-prefix\":\"0.0.0.0/0\",\"next-hop\":{\"next-hop-address\":\"192.0.2.2\""
		   "}}]}}}]}},\"culvert-ike:ike\":{");
	if (limit)
		fprintf(f, "\"half-open-max\":%u,", limit);
	fprintf(f,
		"\"proposal\":[{\"name\":\"bench\",\"encryption\":[\"aes128-gcm16\"],\"prf\":[\"sha256\"],"
		"\"group\":[\"group31\"]}],\"keyring\":[{\"name\":\"k\",\"pre-shared-key\":[{\"name\":\"all\","
		"\"address\":\"0.0.0.0/0\",\"key\":\"secret\"}]}],\"profile\":[{\"name\":\"p\",\"version\":\"ikev2\","
		"\"proposal\":[\"bench\"],\"keyring\":[\"k\"]}]},\"culvert-acl:access-lists\":{\"access-list\":[");
	for (unsigned i = 1; i <= n; i++)
		fprintf(f,
			"%s{\"name\":\"a%u\",\"line\":[{\"sequence\":10,\"action\":\"permit\",\"source\":\"10.0.0.0/"
			"32\","
			"\"destination\":\"10.0.%u.%u/32\"}]}",
			i > 1 ? "," : "", i, i >> 8, i & 255);
	fputs("]},\"culvert-ipsec:ipsec\":{\"transform-set\":[{\"name\":\"ts\",\"algorithm\":\"aes128-gcm16\"}],"
	      "\"crypto-map\":[{\"name\":\"vpn\",\"entry\":[",
		f);
	for (unsigned i = 1; i <= n; i++)
		fprintf(f,
			"%s{\"sequence\":%u,\"access-list\":\"a%u\",\"peer\":[\"198.18.%u.%u\"],\"ike-profile\":\"p\","
			"\"transform-set\":[\"ts\"]}",
			i > 1 ? "," : "", i, i, i >> 8, i & 255);
	fputs("]}]}}\n", f);
}

/* The same proposal for a spoke. */
static void tweak(struct cv_config *c, unsigned node)
{
	(void)node;
	(void)ike_proposal_lean(c);
	c->ike_profile->lifetime_s = IKE_LIFE_S;
	c->ipsec_lifetime_s = 86400; /* no pair comes to its end when the clock jumps */
}

/* ---- the dataplane ---- */

static void handle(const struct cv_msg *m, struct cv_reply *r)
{
	struct cv_hello_info info = {.instance = 1,
		.max_workers = 2,
		.encr_caps = UINT64_MAX,
		.integ_caps = UINT64_MAX,
		.ipsec_caps = UINT32_MAX,
		.version = "bench",
		.provider = "none"};
	switch (m->h.type) {
	case CV_CMD_HELLO:
		memcpy(r->data, &info, sizeof(info));
		r->data_len = sizeof(info);
		return;
	case CV_CMD_DUMP:
		r->data_len = offsetof(struct cv_dump_reply, entries);
		((struct cv_dump_reply *)(void *)r->data)->entry_size = sizeof(struct cv_sa_entry);
		return;
	case CV_CMD_SA_ADD:
		b.sas++;
		return;
	case CV_CMD_SA_DEL:
		b.sas--;
		return;
	default:
		return;
	}
}

static void serve_commands(void)
{
	struct cv_msg m, out;
	int n = 0;
	/* no more than the ring of the answers has room for */
	while (n++ < 1024 && cv_chan_recv(b.ch, &m) > 0) {
		struct cv_reply *r = (void *)out.body;
		memset(&out.h, 0, sizeof(out.h));
		memset(r, 0, sizeof(*r));
		r->cmd = m.h.type;
		handle(&m, r);
		out.h.type = CV_REPLY;
		out.h.seq = m.h.seq;
		out.h.len = (uint32_t)(sizeof(out.h) + offsetof(struct cv_reply, data) + r->data_len);
		if (cv_chan_send(b.ch, &out) != 0)
			die("no room for an answer");
		b.kick = true;
	}
}

static void serve_packets(void)
{
	struct cv_pkt pkt;
	struct udp_in in;
	while (cv_chan_recv_pkt(b.ch, &pkt) > 0)
		if (udp_parse(&pkt, &in) == 0)
			net_from_outside(b.net, &in.path, in.natt, in.data, in.len);
}

static void uplink(struct net *net, const struct ike_path *path, bool natt, const void *data, size_t len)
{
	struct cv_pkt pkt;
	(void)net;
	if (udp_build(&pkt, path, natt, data, len, ++b.ip_id) != 0)
		die("a packet that cannot be built");
	struct cv_pkt *copy = b.wire_in - b.wire_out < WIRE ? malloc(CV_PKT_HDR + pkt.len) : NULL;
	if (!copy) {
		b.lost++;
		return;
	}
	memcpy(copy, &pkt, CV_PKT_HDR + pkt.len);
	b.wire[b.wire_in++ % WIRE] = copy;
}

static void serve_wire(void)
{
	while (b.wire_out != b.wire_in && cv_chan_send_pkt(b.ch, b.wire[b.wire_out % WIRE]) == 0) {
		free(b.wire[b.wire_out++ % WIRE]);
		b.kick = true;
	}
}

/* ---- the operator ---- */

static bool operator_connect(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/culvertd.sock", b.dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
		b.fd = fd;
		return true;
	}
	close(fd);
	return false;
}

static void operator_ask(const char *what)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "{\"id\":1,\"show\":\"%s\"}\n", what);
	b.len = 0;
	b.asked_ms = now_ms();
	if (send(b.fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		die("culvertd has closed its socket");
}

/* True when an answer is complete. */
static bool operator_read(void)
{
	for (;;) {
		if (b.size - b.len < 65536) {
			b.size = b.size ? 2 * b.size : 1u << 20;
			b.answer = realloc(b.answer, b.size);
			if (!b.answer)
				die("out of memory");
		}
		ssize_t n = recv(b.fd, b.answer + b.len, b.size - b.len - 1, MSG_DONTWAIT);
		if (n == 0)
			die("culvertd has closed its socket");
		if (n < 0)
			return false;
		b.len += (size_t)n;
		if (b.answer[b.len - 1] != '\n')
			continue;
		b.answer[b.len] = 0;
		b.show_ms = now_ms() - b.asked_ms;
		b.show_max_ms = b.show_ms > b.show_max_ms ? b.show_ms : b.show_max_ms;
		b.shows++;
		b.asked_ms = 0;
		return true;
	}
}

/* ---- everything, once around ---- */

static void turn(void)
{
	int changed, status;
	b.ch = cv_chan_server_poll(b.srv, &changed);
	if (b.ch) {
		serve_commands();
		serve_packets();
		serve_wire();
	}
	b.net->now = now_ms() + b.jump_ms;
	unsigned to = b.cursor + AT_ONCE < b.net->n ? b.cursor + AT_ONCE : b.net->n;
	net_run_due(b.net, b.cursor, to);
	b.cursor = to < b.net->n ? to : 1;
	if (b.cursor == 1 && waitpid(b.pid, &status, WNOHANG) == b.pid) {
		b.pid = 0;
		die("culvertd has ended");
	}
	if (b.ch && b.kick)
		cv_chan_server_kick(b.srv);
	b.kick = false;
}

#define UNTIL(cond, each)                                                                                              \
	do {                                                                                                           \
		uint64_t until_ = now_ms() + GIVE_UP_S * 1000;                                                         \
		while (!(cond)) {                                                                                      \
			turn();                                                                                        \
			each;                                                                                          \
			if (now_ms() > until_)                                                                         \
				die("gave up waiting for " #cond);                                                     \
			struct timespec ts_ = {.tv_nsec = 200000};                                                     \
			nanosleep(&ts_, NULL);                                                                         \
		}                                                                                                      \
	} while (0)

static double ask_s(const char *what)
{
	operator_ask(what);
	UNTIL(operator_read(), );
	return (double)b.show_ms / 1000;
}

/* One counter of the engine in the hub. */
static json_int_t stat_of(const char *name)
{
	ask_s("crypto ike stats");
	json_t *o = json_loads(b.answer, 0, NULL);
	json_t *stats = json_object_get(json_object_get(o, "result"), "stats");
	json_t *v = json_object_get(stats, name);
	if (!json_is_integer(v))
		die("show crypto ike stats has another shape");
	json_int_t n = json_integer_value(v);
	json_decref(o);
	return n;
}

/* ---- what the kernel says about the hub ---- */

struct cost {
	double loop_s, pool_s,
		system_s; /* CPU of the loop's thread and of the pool's; system: of both, in the kernel */
	double wall_s;
};

static struct cost cost_now(void)
{
	char path[300];
	struct cost c = {.wall_s = (double)now_ms() / 1000};
	snprintf(path, sizeof(path), "/proc/%d/task", (int)b.pid);
	DIR *d = opendir(path);
	for (const struct dirent *e; d && (e = readdir(d));) {
		unsigned long user, sys;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)b.pid, e->d_name);
		FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) == 2) {
			double tick = (double)sysconf(_SC_CLK_TCK), s = (double)(user + sys) / tick;
			*(atoi(e->d_name) == b.pid ? &c.loop_s : &c.pool_s) += s;
			c.system_s += (double)sys / tick;
		}
		fclose(f);
	}
	if (d)
		closedir(d);
	return c;
}

static struct cost cost_since(struct cost from)
{
	struct cost c = cost_now();
	return (struct cost){
		c.loop_s - from.loop_s, c.pool_s - from.pool_s, c.system_s - from.system_s, c.wall_s - from.wall_s};
}

/* Resident memory, the vault's pages included, in kB. */
static long memory_kb(void)
{
	char path[64], line[256];
	long kb = 0, n;
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)b.pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Rss: %ld", &n) == 1)
			kb = n;
	if (f)
		fclose(f);
	return kb;
}

/* ---- steps ---- */

static void start_hub(const char *culvertd, unsigned sessions, unsigned limit)
{
	char config[128];
	snprintf(b.dir, sizeof(b.dir), "/tmp/culvert-scale-XXXXXX");
	if (!mkdtemp(b.dir))
		die("mkdtemp");
	atexit(cleanup);
	snprintf(b.path, sizeof(b.path), "%s/dataplane.sock", b.dir);
	snprintf(config, sizeof(config), "%s/startup.json", b.dir);
	FILE *f = fopen(config, "w");
	if (!f)
		die("cannot write the configuration");
	configuration(f, sessions, limit);
	fclose(f);
	b.srv = cv_chan_server_open(b.path, NULL);
	if (!b.srv)
		die("cannot open the channel");
	b.pid = fork();
	if (!b.pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM); /* whatever ends us */
		execl(culvertd, culvertd, "--foreground", "--log-level", "error", "--config", config, "--config-dir",
			b.dir, "--run-dir", b.dir, (char *)NULL);
		_exit(127);
	}
}

static unsigned up(void)
{
	unsigned n = 0;
	for (unsigned i = 1; i < b.net->n; i++)
		n += b.net->node[i].children == 1;
	return n;
}

static json_t *step_json(struct cost c, unsigned n)
{
	return json_pack("{s:f,s:f,s:f,s:f,s:f}", "per_cpu_second", n / (c.loop_s + c.pool_s), "per_second",
		n / c.wall_s, "loop_s", c.loop_s, "pool_s", c.pool_s, "system_s", c.system_s);
}

static void print_step(json_t *out, const char *name, struct cost c, unsigned n)
{
	printf("%-22s%8.0f /CPU s %8.0f /s   us each: loop %6.1f pool %6.1f, of both system %5.1f\n", name,
		n / (c.loop_s + c.pool_s), n / c.wall_s, c.loop_s / n * 1e6, c.pool_s / n * 1e6, c.system_s / n * 1e6);
	json_object_set_new(out, name, step_json(c, n));
}

static void take_id(void *arg, const struct ike_child_info *info)
{
	*(uint32_t *)arg = info->child_id;
}

static void rekey_child(unsigned i)
{
	uint32_t id = 0;
	ike_for_each_child(b.net->node[i].ike, take_id, &id);
	ike_child_expire(b.net->node[i].ike, id, false);
}

/* A window of sessions in the making, as large as keeps the hub busy. */
static void set_up_all(unsigned sessions)
{
	unsigned next = 1, done = 0;
	UNTIL(done == sessions, {
		done = up();
		while (next <= sessions && next - 1 - done < IN_FLIGHT)
			net_acquire(b.net, next++, 0);
	});
}

static void restart_all(unsigned sessions)
{
	uint64_t next_show = 0, next_ask = now_ms() + 1000;
	for (unsigned i = 1; i <= sessions; i++)
		net_restart(b.net, i);
	b.jump_ms = 0; /* their clocks start anew with them */
	b.net->now = now_ms();
	for (unsigned i = 1; i <= sessions; i++) {
		net_acquire(b.net, i, 0);
		if (i % AT_ONCE == 0)
			turn();
	}
	b.show_max_ms = b.shows = 0;
	UNTIL(up() == sessions, {
		if (b.asked_ms)
			operator_read();
		else if (now_ms() >= next_show) {
			operator_ask("crypto session");
			next_show = now_ms() + SHOW_EVERY_MS;
		}
		if (now_ms() >= next_ask) { /* a dataplane with traffic asks once a second */
			for (unsigned i = 1; i <= sessions; i++)
				if (!b.net->node[i].children)
					net_acquire(b.net, i, 0);
			next_ask = now_ms() + 1000;
		}
	});
	if (b.asked_ms)
		UNTIL(operator_read(), );
}

static json_t *run(unsigned sessions)
{
	json_t *out = json_object();
	struct cost from = cost_now();
	UNTIL(operator_connect(), );
	UNTIL((ask_s("dataplane"), strstr(b.answer, "in force")), );
	printf("%u tunnels: configuration in force after %.1f s\n", sessions, cost_since(from).wall_s);
	long before = memory_kb();
	from = cost_now();
	set_up_all(sessions);
	struct cost setup = cost_since(from);
	print_step(out, "set up", setup, sessions);
	double memory = (double)(memory_kb() - before) * 1024 / sessions;
	printf("memory per session    %8.0f bytes\n", memory);
	json_object_set_new(out, "memory_per_session", json_real(memory));
	from = cost_now();
	uint64_t held = now_ms() + 3000;
	UNTIL(now_ms() >= held, );
	struct cost hold = cost_since(from);
	printf("held                  %8.2f %% of a CPU\n", (hold.loop_s + hold.pool_s) / hold.wall_s * 100);
	static const char *const show[] = {"crypto session", "crypto ikev2 sa", "crypto ipsec sa", "crypto isakmp peer",
		"crypto map", "access-lists"};
	for (unsigned i = 0; i < sizeof(show) / sizeof(show[0]); i++) {
		from = cost_now();
		double s = ask_s(show[i]), cpu = cost_since(from).loop_s;
		printf("show %-20s%5.2f s, of it CPU %.2f s; %zu kB\n", show[i], s, cpu, b.len / 1024);
		json_object_set_new(out, show[i], json_pack("{s:f,s:f}", "s", s, "cpu_s", cpu));
	}
	from = cost_now();
	for (unsigned i = 1; i <= sessions; i++) {
		rekey_child(i);
		if (i % AT_ONCE == 0)
			turn();
	}
	UNTIL(stat_of("child_rekeyed") >= sessions, );
	print_step(out, "children rekeyed", cost_since(from), sessions);
	from = cost_now();
	b.jump_ms = IKE_LIFE_S * 900ull;
	b.net->now = now_ms() + b.jump_ms;
	UNTIL(stat_of("sa_rekeyed") >= sessions, );
	print_step(out, "IKE SAs rekeyed", cost_since(from), sessions);
	b.lost = 0;
	from = cost_now();
	restart_all(sessions);
	struct cost back = cost_since(from);
	print_step(out, "back after a restart", back, sessions);
	double ratio = back.wall_s / setup.wall_s;
	printf("that is %.2f s, %.2f of the time of the set-up; %llu packets found the network full; refused %lld, "
	       "cookies "
	       "%lld\n",
		back.wall_s, ratio, (unsigned long long)b.lost, (long long)stat_of("half_open_refused"),
		(long long)stat_of("cookies_sent"));
	printf("show crypto session meanwhile: %llu times, the longest %.2f s\n", (unsigned long long)b.shows,
		(double)b.show_max_ms / 1000);
	json_object_set_new(out, "restart_ratio", json_real(ratio));
	json_object_set_new(out, "show_in_storm_s", json_real((double)b.show_max_ms / 1000));
	json_object_set_new(out, "sessions", json_integer(sessions));
	return out;
}

int main(int argc, char **argv)
{
	const char *json = NULL, *culvertd = NULL;
	unsigned sessions = 10000, limit = 0;
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--json") && i + 1 < argc)
			json = argv[++i];
		else if (!strcmp(argv[i], "--limit") && i + 1 < argc)
			limit = (unsigned)atoi(argv[++i]);
		else if (!culvertd)
			culvertd = argv[i];
		else
			sessions = (unsigned)atoi(argv[i]);
	if (!culvertd || sessions < 2 || sessions > 16000) {
		fprintf(stderr,
			"usage: bench_scale [--json FILE] [--limit HALF-OPEN-MAX] CULVERTD [SESSIONS, 2 to 16000]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	start_hub(culvertd, sessions, limit);
	b.net = net_new(sessions + 1, CFG_IKEV2, tweak);
	b.net->uplink = uplink;
	json_t *out = run(sessions);
	int err = json ? json_dump_file(out, json, JSON_INDENT(1) | JSON_SORT_KEYS) : 0;
	json_decref(out);
	net_free(b.net);
	free(b.answer);
	return err != 0;
}
