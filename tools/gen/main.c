/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <rte_eal.h>
#include <rte_errno.h>

static const char *const mode_name[GEN_MODE_MAX] = {"plain", "esp-out", "esp-in"};

static const char usage[] =
	"usage: culvert-gen [options]\n"
	"\n"
	"Drive a running culvert-dataplane over two memif ports and find the highest rate it forwards without\n"
	"loss (RFC 2544, section 26.1), for plain forwarding and for ESP in each direction. The dataplane must\n"
	"have no other client: culvert-gen configures it over its control socket.\n"
	"\n"
	"  --dataplane PATH    control socket of the dataplane (/run/culvert/dataplane.sock)\n"
	"  --memif-dir DIR     where the memif sockets go (/run/culvert)\n"
	"  --mode LIST         plain,esp-out,esp-in (all)\n"
	"  --size LIST         64,imix,1420 (all): 64-byte frames; 7:4:1 of 64, 570, 1518; 1420-byte IP packets\n"
	"  --alg NAME          ESP transform (aes128-gcm16)\n"
	"  --sas N             tunnels, 1 to 4096 (1)\n"
	"  --workers N         worker cores of the gateway (1)\n"
	"  --trial SECONDS     length of one trial (2)\n"
	"  --resolution PART   end of the search, as a fraction of the rate (0.01)\n"
	"  --rate PPS          one trial at this rate instead of a search\n"
	"  --json FILE         write the results there too\n"
	"  --lcore N           core of the generator (0)\n"
	"  --help, --version\n";

struct result {
	enum gen_mode mode;
	unsigned size;
	double pps, cycles_per_packet;
	struct gen_trial last;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static int pick(const char *list, const char *(*name)(unsigned), unsigned n, uint32_t *bits)
{
	char *copy = strdup(list), *save = NULL;
	*bits = 0;
	for (char *word = copy ? strtok_r(copy, ",", &save) : NULL; word; word = strtok_r(NULL, ",", &save)) {
		unsigned i = 0;
		while (i < n && strcmp(word, name(i)) != 0)
			i++;
		if (i == n) {
			(void)fprintf(stderr, "culvert-gen: \"%s\" is not one of:", word);
			for (i = 0; i < n; i++)
				(void)fprintf(stderr, " %s", name(i));
			(void)fputc('\n', stderr);
			free(copy);
			return -EINVAL;
		}
		*bits |= 1u << i;
	}
	free(copy);
	return *bits ? 0 : -EINVAL;
}

static const char *nth_mode(unsigned i)
{
	return mode_name[i];
}

static const char *nth_size(unsigned i)
{
	return gen_sizes[i].name;
}

static int number(const char *opt, const char *text, double lo, double hi, double *out)
{
	char *end = NULL;
	*out = strtod(text, &end);
	if (end != text && !*end && *out >= lo && *out <= hi)
		return 0;
	(void)fprintf(stderr, "culvert-gen: --%s %s: not a number from %g to %g\n", opt, text, lo, hi);
	return -EINVAL;
}

static int parse(int argc, char **argv, struct gen_opts *o, const char **lcore)
{
	static const struct option opt[] = {{"dataplane", 1, 0, 'd'}, {"memif-dir", 1, 0, 'm'}, {"mode", 1, 0, 'o'},
		{"size", 1, 0, 's'}, {"alg", 1, 0, 'a'}, {"sas", 1, 0, 'n'}, {"workers", 1, 0, 'w'},
		{"trial", 1, 0, 't'}, {"resolution", 1, 0, 'r'}, {"rate", 1, 0, 'p'}, {"json", 1, 0, 'j'},
		{"lcore", 1, 0, 'l'}, {"help", 0, 0, 'h'}, {"version", 0, 0, 'v'}, {0, 0, 0, 0}};
	int c, which = 0, rc = 0;
	double x = 0;
	while (!rc && (c = getopt_long(argc, argv, "", opt, &which)) != -1) {
		const char *name = opt[which].name;
		switch (c) {
		case 'd':
			o->dataplane_socket = optarg;
			break;
		case 'm':
			o->memif_dir = optarg;
			break;
		case 'o':
			rc = pick(optarg, nth_mode, GEN_MODE_MAX, &o->modes);
			break;
		case 's':
			rc = pick(optarg, nth_size, gen_n_sizes, &o->sizes);
			break;
		case 'a':
			if (!algo_suite_by_name(optarg, &o->suite) || o->suite.ah != CV_INTEG_NONE) {
				(void)fprintf(stderr, "culvert-gen: --alg %s: no such ESP transform\n", optarg);
				rc = -EINVAL;
			}
			break;
		case 'n':
			rc = number(name, optarg, 1, 4096, &x);
			o->n_sa = (unsigned)x;
			break;
		case 'w':
			rc = number(name, optarg, 1, CV_WORKER_MAX, &x);
			o->workers = (unsigned)x;
			break;
		case 't':
			rc = number(name, optarg, 0.1, 600, &o->trial_s);
			break;
		case 'r':
			rc = number(name, optarg, 0.0001, 0.5, &o->resolution);
			break;
		case 'p':
			rc = number(name, optarg, 1, 1e9, &o->rate_pps);
			break;
		case 'j':
			o->json = optarg;
			break;
		case 'l':
			*lcore = optarg;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			exit(0);
		case 'v':
			(void)printf("culvert-gen %s\n", CULVERT_VERSION);
			exit(0);
		default:
			rc = -EINVAL;
		}
	}
	return rc;
}

static bool no_loss(const struct gen_trial *t)
{
	/* Everything asked for was sent, and all of that came back. */
	double wanted = t->offered_pps * t->seconds;
	return t->received == t->sent && (t->offered_pps <= 0 || (double)t->sent >= wanted * 0.999);
}

static void trial(struct gen_gateway *gw, double rate, double seconds, struct result *r)
{
	uint64_t c0, p0, c1, p1;
	gen_gateway_cycles(gw, &c0, &p0);
	gen_traffic_trial(rate, seconds, &r->last);
	gen_gateway_cycles(gw, &c1, &p1);
	r->cycles_per_packet = p1 > p0 ? (double)(c1 - c0) / (double)(p1 - p0) : 0;
	(void)fprintf(stderr, "    %-8s %-5s offered %8.3f Mpps  sent %8.3f  received %8.3f  lost %.4f %%\n",
		mode_name[r->mode], gen_sizes[r->size].name, rate / 1e6, (double)r->last.sent / r->last.seconds / 1e6,
		(double)r->last.received / r->last.seconds / 1e6,
		r->last.sent > r->last.received
			? 100.0 * (double)(r->last.sent - r->last.received) / (double)r->last.sent
			: 0.0);
}

/* More than was sent cannot come back: then the figures mean nothing. */
static int believe(const struct result *r)
{
	if (r->last.received <= r->last.sent)
		return 0;
	(void)fprintf(stderr, "culvert-gen: %" PRIu64 " packets came back of %" PRIu64 " sent\n", r->last.received,
		r->last.sent);
	return -EPROTO;
}

/* Binary search for the highest rate without loss. The flood in the beginning resolves ARP, warms caches and bounds it.
 */
static int search(struct gen_gateway *gw, const struct gen_opts *o, struct result *r)
{
	trial(gw, 1000, 0.3, r);
	trial(gw, 0, o->trial_s / 2, r);
	if (believe(r))
		return -EPROTO;
	double lo = 0, hi = (double)r->last.received / r->last.seconds * 1.1, rate = hi / 1.1;
	struct result best = *r;
	best.pps = 0;
	while (!interrupted && hi - lo > hi * o->resolution) {
		trial(gw, rate, o->trial_s, r);
		if (no_loss(&r->last)) {
			lo = rate;
			best = *r;
			best.pps = (double)r->last.received / r->last.seconds;
		} else {
			hi = rate;
		}
		rate = (lo + hi) / 2;
	}
	*r = best;
	return 0;
}

static int set_up(struct gen_gateway *gw, enum gen_mode mode)
{
	int rc = gen_gateway_setup(gw, mode);
	if (!rc && (rc = gen_traffic_wait_link()))
		(void)fprintf(stderr, "culvert-gen: the gateway did not connect to the memif ports\n");
	return rc;
}

static int measure(struct gen_gateway *gw, const struct gen_opts *o, struct result *r)
{
	const struct gen_size *size = &gen_sizes[r->size];
	int rc = 0;
	if (r->mode == GEN_ESP_IN) {
		rc = set_up(gw, GEN_ESP_OUT);
		if (!rc)
			rc = gen_traffic_load(GEN_ESP_OUT, size, o->n_sa);
		if (!rc) {
			trial(gw, 1000, 0.3, r); /* resolves ARP, so that nothing is missing in the record */
			rc = gen_traffic_record();
		}
		if (rc)
			(void)fprintf(stderr, "culvert-gen: could not record ESP packets (%s)\n", strerror(-rc));
	}
	if (!rc)
		rc = set_up(gw, r->mode);
	if (!rc)
		rc = gen_traffic_load(r->mode, size, o->n_sa);
	if (rc)
		return rc;
	if (o->rate_pps <= 0)
		return search(gw, o, r);
	trial(gw, 1000, 0.3, r);
	trial(gw, o->rate_pps, o->trial_s, r);
	r->pps = (double)r->last.received / r->last.seconds;
	return believe(r);
}

static const struct result *find(const struct result *r, unsigned n, enum gen_mode mode, unsigned size)
{
	for (unsigned i = 0; i < n; i++)
		if (r[i].mode == mode && r[i].size == size)
			return &r[i];
	return NULL;
}

static void report(const struct gen_opts *o, const struct result *r, unsigned n)
{
	json_t *rows = json_array();
	(void)printf("%-8s %-5s %6s %10s %10s %12s %12s\n", "mode", "size", "SAs",
		o->rate_pps > 0 ? "Mpps" : "NDR Mpps", "Gbit/s", "cycles/pkt", "of plain");
	for (unsigned i = 0; i < n; i++) {
		const struct gen_size *s = &gen_sizes[r[i].size];
		const struct result *plain = find(r, n, GEN_PLAIN, r[i].size);
		double bytes = 0, part = plain && plain->pps > 0 ? r[i].pps / plain->pps : 0;
		for (unsigned k = 0; k < s->n; k++)
			bytes += s->ip_len[k];
		bytes /= s->n;
		(void)printf("%-8s %-5s %6u %10.3f %10.3f %12.1f %11.1f%%\n", mode_name[r[i].mode], s->name, o->n_sa,
			r[i].pps / 1e6, r[i].pps * bytes * 8 / 1e9, r[i].cycles_per_packet, part * 100);
		json_array_append_new(
			rows, json_pack("{s:s, s:s, s:i, s:f, s:f, s:f, s:f}", "mode", mode_name[r[i].mode], "size",
				      s->name, "sas", (int)o->n_sa, "pps", r[i].pps, "inner_bytes", bytes,
				      "worker_cycles_per_packet", r[i].cycles_per_packet, "ratio_to_plain", part));
	}
	if (o->json && json_dump_file(rows, o->json, JSON_INDENT(2)))
		(void)fprintf(stderr, "culvert-gen: cannot write %s\n", o->json);
	json_decref(rows);
}

static int run(const struct gen_opts *o)
{
	struct result r[GEN_MODE_MAX * 8];
	unsigned n = 0;
	struct gen_gateway *gw = NULL;
	int rc = gen_traffic_open(o);
	if (rc) {
		(void)fprintf(
			stderr, "culvert-gen: cannot create the memif ports in %s: %s\n", o->memif_dir, strerror(-rc));
		return rc;
	}
	rc = gen_gateway_open(o, &gw);
	if (rc) {
		(void)fprintf(stderr, "culvert-gen: no dataplane at %s: %s\n", o->dataplane_socket, strerror(-rc));
		gen_traffic_close();
		return rc;
	}
	for (unsigned size = 0; size < gen_n_sizes && !rc; size++)
		for (unsigned mode = 0; mode < GEN_MODE_MAX && !rc && !interrupted; mode++)
			if ((o->sizes & (1u << size)) && (o->modes & (1u << mode))) {
				r[n] = (struct result){.mode = mode, .size = size};
				rc = measure(gw, o, &r[n]);
				n += rc == 0;
			}
	/* Our ends first: when the gateway takes its ends away, DPDK's interrupt thread disconnects ours, and closing
	 * them here meanwhile would free the same memory twice ("EAL: Error: Invalid memory"). */
	gen_traffic_close();
	gen_gateway_close(gw);
	report(o, r, n);
	return interrupted ? -EINTR : rc;
}

int main(int argc, char **argv)
{
	struct gen_opts o = {.dataplane_socket = "/run/culvert/dataplane.sock",
		.memif_dir = "/run/culvert",
		.suite = {.encr = CV_ENCR_AES128_GCM16},
		.n_sa = 1,
		.workers = 1,
		.trial_s = 2,
		.resolution = 0.01,
		.modes = (1u << GEN_MODE_MAX) - 1,
		.sizes = (1u << 3) - 1};
	const char *lcore = "0";
	if (parse(argc, argv, &o, &lcore)) {
		(void)fputs("Try 'culvert-gen --help'.\n", stderr);
		return 2;
	}
	char prefix[40];
	(void)snprintf(prefix, sizeof(prefix), "--file-prefix=culvert-gen-%d", (int)getpid());
	char *eal[] = {argv[0], "-l", (char *)(uintptr_t)lcore, "--no-pci", "--no-huge", "-m", "256", "--no-telemetry",
		"--log-level=4", prefix};
	if (rte_eal_init((int)RTE_DIM(eal), eal) < 0) {
		(void)fprintf(stderr, "culvert-gen: DPDK did not start: %s\n", rte_strerror(rte_errno));
		return 1;
	}
	struct sigaction sa = {.sa_handler = on_signal};
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	int rc = run(&o);
	(void)rte_eal_cleanup();
	return rc ? 1 : 0;
}
