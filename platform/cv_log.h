/* SPDX-License-Identifier: BSD-3-Clause */
/* Log lines for people, to stderr or syslog. Never called on a worker lcore. Never given a key. */
#ifndef CV_LOG_H
#define CV_LOG_H

enum cv_log_level { CV_LOG_ERR = 3, CV_LOG_WARNING = 4, CV_LOG_NOTICE = 5, CV_LOG_INFO = 6, CV_LOG_DEBUG = 7 };

/* Open the log. ident is a static string. to_syslog 0: stderr with timestamps. Levels above max are dropped. */
void cv_log_open(const char *ident, int to_syslog, enum cv_log_level max);
void cv_log_set_level(enum cv_log_level max);
/* One line; module is a short token ("ike", "port"). Thread safe. */
void cv_log(enum cv_log_level level, const char *module, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define cv_err(mod, ...) cv_log(CV_LOG_ERR, mod, __VA_ARGS__)
#define cv_warn(mod, ...) cv_log(CV_LOG_WARNING, mod, __VA_ARGS__)
#define cv_notice(mod, ...) cv_log(CV_LOG_NOTICE, mod, __VA_ARGS__)
#define cv_info(mod, ...) cv_log(CV_LOG_INFO, mod, __VA_ARGS__)
#define cv_debug(mod, ...) cv_log(CV_LOG_DEBUG, mod, __VA_ARGS__)

#endif
