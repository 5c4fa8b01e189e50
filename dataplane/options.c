/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_log.h"

#define MEMORY_MIN_MB 64u
#define MEMORY_DEFAULT_MB 256u
#define MEMORY_MAX_MB 65536u

enum { OPT_GROUP = 256, OPT_NO_HUGE, OPT_HUGE, OPT_CAPTURE, OPT_LOG, OPT_SYSLOG, OPT_FAULTS };

static const char usage[] =
	"Usage: culvert-dataplane [OPTION]... [-- EAL-ARGUMENT...]\n"
	"The packet half of the Culvert VPN router. culvertd tells it what to do over a local socket.\n"
	"\n"
	"  -s, --socket PATH        listen here for culvertd (" DEFAULT_SOCKET ")\n"
	"      --socket-group NAME  let this group connect too (culvert, where it exists)\n"
	"  -w, --workers N          worker threads, 1..16 (1)\n"
	"  -l, --lcores LIST        CPUs, e.g. 0,2-5: the first for the main thread, the others a worker each;\n"
	"                           a CPU may be named more than once\n"
	"  -m, --memory MB          memory for packet buffers and tables (256)\n"
	"      --huge, --no-huge    use huge pages or not; without either: when enough are free\n"
	"      --capture-dir DIR    where packet captures are written; without it they are refused\n"
	"      --log-level LEVEL    error, warning, notice, info or debug (notice)\n"
	"      --syslog             log to syslog instead of standard error\n"
	"      --test-faults        allow fault injection by the control process (tests only)\n"
	"  -h, --help               print this and exit\n"
	"  -V, --version            print the version and exit\n";

static const struct option longopts[] = {
	{"socket", required_argument, NULL, 's'},
	{"socket-group", required_argument, NULL, OPT_GROUP},
	{"workers", required_argument, NULL, 'w'},
	{"lcores", required_argument, NULL, 'l'},
	{"memory", required_argument, NULL, 'm'},
	{"huge", no_argument, NULL, OPT_HUGE},
	{"no-huge", no_argument, NULL, OPT_NO_HUGE},
	{"capture-dir", required_argument, NULL, OPT_CAPTURE},
	{"log-level", required_argument, NULL, OPT_LOG},
	{"syslog", no_argument, NULL, OPT_SYSLOG},
	{"test-faults", no_argument, NULL, OPT_FAULTS},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static int wrong(const char *what, const char *value)
{
	(void)fprintf(stderr, "culvert-dataplane: %s: %s\nTry 'culvert-dataplane --help'.\n", what, value);
	return -1;
}

/* Decimal number in lo..hi at *s; moves *s behind it. */
static int number(const char **s, unsigned long lo, unsigned long hi, uint32_t *out)
{
	char *end;
	if (**s < '0' || **s > '9')
		return -1;
	errno = 0;
	unsigned long v = strtoul(*s, &end, 10);
	if (errno != 0 || v < lo || v > hi)
		return -1;
	*s = end;
	*out = (uint32_t)v;
	return 0;
}

static int whole_number(const char *s, unsigned long lo, unsigned long hi, uint32_t *out)
{
	return number(&s, lo, hi, out) == 0 && *s == '\0' ? 0 : -1;
}

/* "0,2-5": fills cpu[], sets workers to one less than there are. */
static int parse_lcores(const char *s, struct options *o)
{
	uint32_t n = 0, lo, hi;
	for (;;) {
		if (number(&s, 0, CPU_SETSIZE - 1, &lo) != 0)
			return -1;
		hi = lo;
		if (*s == '-') {
			s++;
			if (number(&s, lo, CPU_SETSIZE - 1, &hi) != 0)
				return -1;
		}
		for (uint32_t c = lo; c <= hi; c++) {
			if (n > CV_WORKER_MAX)
				return -1;
			o->cpu[n++] = c;
		}
		if (*s == '\0')
			break;
		if (*s++ != ',')
			return -1;
	}
	if (n < 2)
		return -1;
	o->workers = n - 1;
	return 0;
}

/* Workers on CPUs of their own as far as there are enough, main on the one that is left; else they share. */
static void default_cpus(struct options *o)
{
	cpu_set_t set;
	uint32_t have[CPU_SETSIZE], n = 0;
	CPU_ZERO(&set);
	(void)sched_getaffinity(0, sizeof(set), &set);
	for (uint32_t c = 0; c < CPU_SETSIZE; c++)
		if (CPU_ISSET(c, &set))
			have[n++] = c;
	if (n == 0)
		have[n++] = 0;
	for (uint32_t i = 0; i <= o->workers; i++)
		o->cpu[i] = have[i % n];
}

static int parse_level(const char *s, int *out)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {{"error", CV_LOG_ERR}, {"warning", CV_LOG_WARNING}, {"notice", CV_LOG_NOTICE},
		{"info", CV_LOG_INFO}, {"debug", CV_LOG_DEBUG}};
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(s, levels[i].name) == 0) {
			*out = levels[i].level;
			return 0;
		}
	}
	return -1;
}

static int parse_one(int opt, struct options *o, bool *lcores)
{
	switch (opt) {
	case 's':
		o->socket = optarg;
		return 0;
	case OPT_GROUP:
		o->socket_group = optarg;
		return 0;
	case 'w':
		return whole_number(optarg, 1, CV_WORKER_MAX, &o->workers) == 0
			       ? 0
			       : wrong("--workers is 1..16, not", optarg);
	case 'l':
		*lcores = true;
		return parse_lcores(optarg, o) == 0 ? 0 : wrong("--lcores needs a list of 2..17 CPUs, not", optarg);
	case 'm':
		return whole_number(optarg, MEMORY_MIN_MB, MEMORY_MAX_MB, &o->memory_mb) == 0
			       ? 0
			       : wrong("--memory is 64..65536 megabytes, not", optarg);
	case OPT_HUGE:
		o->huge = HUGE_YES;
		return 0;
	case OPT_NO_HUGE:
		o->huge = HUGE_NO;
		return 0;
	case OPT_CAPTURE:
		o->capture_dir = optarg;
		return 0;
	case OPT_LOG:
		return parse_level(optarg, &o->log_level) == 0
			       ? 0
			       : wrong("--log-level is error, warning, notice, info or debug, not", optarg);
	case OPT_SYSLOG:
		o->syslog = true;
		return 0;
	case OPT_FAULTS:
		o->test_faults = true;
		return 0;
	case 'h':
		(void)fputs(usage, stdout);
		return 1;
	case 'V':
		(void)puts("culvert-dataplane " CULVERT_VERSION);
		return 1;
	default:
		(void)fputs("Try 'culvert-dataplane --help'.\n", stderr);
		return -1;
	}
}

int options_parse(int argc, char **argv, struct options *o)
{
	*o = (struct options){
		.socket = DEFAULT_SOCKET, .workers = 1, .memory_mb = MEMORY_DEFAULT_MB, .log_level = CV_LOG_NOTICE};
	bool lcores = false;
	int opt, rc = 0;
	while (rc == 0 && (opt = getopt_long(argc, argv, "+s:w:l:m:hV", longopts, NULL)) != -1)
		rc = parse_one(opt, o, &lcores);
	if (rc != 0)
		return rc;
	/* getopt stops at the first word that is no option; only what stands behind "--" is meant for the EAL. */
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
		return wrong("unexpected argument", argv[optind]);
	o->eal_args = argv + optind;
	o->n_eal_args = argc - optind;
	if (!lcores)
		default_cpus(o);
	return 0;
}
