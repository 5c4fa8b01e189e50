/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration that is about to be resolved, and what is said of it: for tests of refusals and warnings. */
#ifndef CONFIG_REFUSAL_H
#define CONFIG_REFUSAL_H

#include "cfgbuild.h"

#define ENTRY "/culvert-ipsec:ipsec/crypto-map[name='vpn']/entry[sequence='10']"

struct config_refusal {
	struct cv_config *c;
	char err[CFG_ERR_MAX];
	char warnings[8192]; /* a line each */
};

/* Set up and take down a test of its own with the sample gateway: the test's *state is a struct config_refusal. */
int config_refusal_setup(void **state);
int config_refusal_teardown(void **state);
#define CONFIG_TEST(f) cmocka_unit_test_setup_teardown(f, config_refusal_setup, config_refusal_teardown)

/* config_resolve() with f's places for the error and the warnings. */
int config_refusal_resolve(struct config_refusal *f);

void assert_contains(const char *text, const char *part);
/* The commit is refused and the message starts with the path and says `why` somewhere. */
void assert_refused(struct config_refusal *f, const char *path, const char *why);
/* The commit is taken, and one of its warnings says this. */
void assert_warns(struct config_refusal *f, const char *part);

#endif
