/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cv_log.h"
#include "options.h"

static struct options o;

/* Parse a line of words. */
static int parse(const char *line)
{
	static char copy[256];
	static char *argv[24];
	int argc = 0;
	(void)snprintf(copy, sizeof(copy), "culvert-dataplane %s", line);
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
		argv[argc++] = w;
	argv[argc] = NULL;
	optind = 0; /* start afresh (GNU) */
	return options_parse(argc, argv, &o);
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_string_equal(o.socket, DEFAULT_SOCKET);
	assert_int_equal(o.workers, 1);
	assert_int_equal(o.huge, HUGE_AUTO);
	assert_int_equal(o.log_level, CV_LOG_NOTICE);
	assert_false(o.test_faults);
	assert_null(o.capture_dir);
	assert_int_equal(o.n_eal_args, 0);
}

static void every_option(void **state)
{
	(void)state;
	assert_int_equal(
		parse("-s /x --socket-group g -w 3 -m 512 --no-huge --capture-dir /c --log-level debug --syslog "
		      "--test-faults -- --file-prefix=a -n 4"),
		0);
	assert_string_equal(o.socket, "/x");
	assert_string_equal(o.socket_group, "g");
	assert_string_equal(o.capture_dir, "/c");
	assert_int_equal(o.workers, 3);
	assert_int_equal(o.memory_mb, 512);
	assert_int_equal(o.huge, HUGE_NO);
	assert_int_equal(o.log_level, CV_LOG_DEBUG);
	assert_true(o.syslog && o.test_faults);
	assert_int_equal(o.n_eal_args, 3);
	assert_string_equal(o.eal_args[0], "--file-prefix=a");
	assert_int_equal(parse("--huge"), 0);
	assert_int_equal(o.huge, HUGE_YES);
}

static void lists_of_cpus(void **state)
{
	(void)state;
	static const char *const bad[] = {"3", "", "1-", "a", "1,,2", "4-2", "1,2,", "0-17", "99999,1", "-1,2", "0,1x"};
	char line[64];
	assert_int_equal(parse("--lcores 7,2-4,2"), 0);
	assert_int_equal(o.workers, 4);
	const uint32_t want[] = {7, 2, 3, 4, 2};
	assert_memory_equal(o.cpu, want, sizeof(want));
	assert_int_equal(parse("--lcores 0,0"), 0); /* main and worker share */
	assert_int_equal(o.workers, 1);
	assert_int_equal(parse("--lcores 0-16"), 0);
	assert_int_equal(o.workers, 16);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(line, sizeof(line), "--lcores=%s", bad[i]);
		assert_int_equal(parse(line), -1);
	}
}

static void what_is_wrong_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"--workers 0", "--workers 17", "--workers two", "-w 1x", "--memory 63",
		"--memory", "--log-level loud", "--no-such-option", "stray", "-w 2 stray -- -n 4"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i]), -1);
	assert_int_equal(parse("--version"), 1);
	assert_int_equal(parse("--help"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(every_option),
		cmocka_unit_test(lists_of_cpus),
		cmocka_unit_test(what_is_wrong_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
