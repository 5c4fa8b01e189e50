/* SPDX-License-Identifier: BSD-3-Clause */
/* A crypto engine that cannot do all that is configured: warned of, shown, and not negotiated. */
#include <stdio.h>
#include <string.h>

#include "control_env.h"

#define NO_GCM (~(1ull << CV_ENCR_AES256_GCM16))

/* Side n, with AES-GCM and, second choice, AES-CBC; v1: by IKEv1. */
static struct cv_config *two_sets(int n, bool v1)
{
	bundled = v1;
	struct cv_config *c = side(n);

	c->transform_set[0].suite = (struct algo_suite){.encr = CV_ENCR_AES256_GCM16};
	c->transform_set[c->n_transform_set++] = (struct cfg_transform_set){
		.name = "cbc", .suite = {.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128}};
	c->map[0].entry[0].transform_set[c->map[0].entry[0].n_transform_set++] = "cbc";
	return c;
}

/* Its engine becomes another one: the dataplane goes and comes back with it. */
static void change_engine(struct fixture *f, struct router *r, uint64_t encr)
{
	fakedp_down(r->dp);
	WAIT(f, !in_force(f, r));
	fakedp_engine(r->dp, encr, UINT64_MAX);
	fakedp_up(r->dp, true);
	WAIT(f, in_force(f, r));
}

static void come_up_with(struct fixture *f, struct router *from, enum cv_encr encr)
{
	struct cv_sa sa;

	trigger(from);
	WAIT(f, state_of(&f->r[0]).sas == 2 && state_of(&f->r[1]).sas == 2);
	assert_true(fakedp_sa(from->dp, CV_SA_OUT, 0, &sa));
	assert_int_equal(sa.encr, encr);
	assert_paired(&f->r[0], &f->r[1]);
}

/* IKE-34, IKE-T3, USAB-T9: whoever begins, what one end cannot do is neither offered nor chosen. */
static void not_negotiated(struct fixture *f, bool v1, int begins)
{
	start_with(f, two_sets(0, v1), two_sets(1, v1));
	change_engine(f, &f->r[0], NO_GCM);
	come_up_with(f, &f->r[begins], CV_ENCR_AES256_CBC);
}

static void not_offered_v2(void **state)
{
	not_negotiated(*state, false, 0);
}

static void not_chosen_v2(void **state)
{
	not_negotiated(*state, false, 1);
}

static void not_offered_v1(void **state)
{
	not_negotiated(*state, true, 0);
}

static void not_chosen_v1(void **state)
{
	not_negotiated(*state, true, 1);
}

/* Neither is the default set that it cannot do (USAB-16, USAB-T9). */
static void default_sets(void **state)
{
	struct fixture *f = *state;
	struct cv_config *c[2];

	for (int i = 0; i < 2; i++) {
		c[i] = side(i);
		c[i]->map[0].entry[0].n_transform_set = 0;
	}
	start_with(f, c[0], c[1]);
	change_engine(f, &f->r[0], NO_GCM);
	come_up_with(f, &f->r[0], CV_ENCR_AES256_CBC);
}

/* Nothing is left to offer: nothing is sent, and the session says why. An engine that can do it ends that. */
static void nothing_left(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	json_t *answer, *s;
	const char *why = NULL;

	start_both(f);
	change_engine(f, r, NO_GCM);
	trigger(r);
	for (int i = 0; i < 2000 && !why; i++) {
		uv_run(&f->loop, UV_RUN_ONCE);
		s = session0(f, r, &answer);
		why = json_string_value(json_object_get(s, "last_failure"));
		if (why)
			assert_string_equal(why, "no transform set that the crypto engine can do");
		json_decref(answer);
	}
	assert_non_null(why);
	assert_int_equal(state_of(&f->r[1]).sas, 0);
	change_engine(f, r, UINT64_MAX);
	come_up_with(f, r, CV_ENCR_AES256_GCM16);
}

static void note_warning(void *arg, const char *text)
{
	char *all = arg;

	snprintf(all + strlen(all), 512 - strlen(all), "%s\n", text);
}

/* The warning of `show` beside a transform set; NULL = none. The answer is the caller's. */
static const char *shown(struct fixture *f, struct router *r, unsigned n, json_t **answer)
{
	*answer = ask(f, r, "{\"show\": \"crypto ipsec transform-set\"}", true);
	return json_string_value(
		json_object_get(json_array_get(json_object_get(*answer, "transform_sets"), n), "warning"));
}

/* IKE-33, IKE-34, IKE-35: warned of when configured, the set stays and is shown with the warning. */
static void warned_of(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	char text[512] = "";
	json_t *answer;

	start_with(f, two_sets(0, false), two_sets(1, false));
	control_warn(r->c, control_running(r->c), note_warning, text);
	assert_string_equal(text, "");
	assert_null(shown(f, r, 0, &answer));
	json_decref(answer);
	change_engine(f, r, NO_GCM);
	control_warn(r->c, control_running(r->c), note_warning, text);
	assert_string_equal(text,
		"/culvert-ipsec:ipsec/transform-set[name='gcm']: none cannot do it; it is ignored when "
		"negotiating (IKE-33)\n");
	assert_string_equal(shown(f, r, 0, &answer), "not supported by the crypto engine, ignored");
	json_decref(answer);
	assert_null(shown(f, r, 1, &answer));
	json_decref(answer);
}

/* Before a dataplane has come nobody knows what it cannot do. */
static void not_warned_of_without_dataplane(void **state)
{
	struct fixture *f = *state;
	char text[512] = "";

	router_start(f, &f->r[0]);
	assert_string_equal(apply(f, &f->r[0], side(0)), "");
	control_warn(f->r[0].c, control_running(f->r[0].c), note_warning, text);
	assert_string_equal(text, "");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(not_offered_v2),
		TEST(not_chosen_v2),
		TEST(not_offered_v1),
		TEST(not_chosen_v1),
		TEST(default_sets),
		TEST(nothing_left),
		TEST(warned_of),
		TEST(not_warned_of_without_dataplane),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
