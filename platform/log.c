/* SPDX-License-Identifier: BSD-3-Clause */
#include "cv_log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

static const char *log_ident = "culvert";
static atomic_int log_max = CV_LOG_NOTICE;
static int log_syslog;

void cv_log_open(const char *ident, int to_syslog, enum cv_log_level max)
{
	log_ident = ident;
	log_syslog = to_syslog;
	atomic_store(&log_max, (int)max);
	if (to_syslog)
		openlog(ident, LOG_PID, LOG_DAEMON);
}

void cv_log_set_level(enum cv_log_level max)
{
	atomic_store(&log_max, (int)max);
}

void cv_log(enum cv_log_level level, const char *module, const char *fmt, ...)
{
	if ((int)level > atomic_load(&log_max))
		return;
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (log_syslog) {
		syslog((int)level, "%s: %s", module, line);
		return;
	}
	struct timespec ts;
	struct tm tm;
	char when[32];
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	(void)localtime_r(&ts.tv_sec, &tm);
	(void)strftime(when, sizeof(when), "%F %T", &tm);
	(void)fprintf(stderr, "%s.%03ld %s %s: %s\n", when, ts.tv_nsec / 1000000, log_ident, module, line);
}
