/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cv_addr.h"
#include "cv_log.h"
#include "show_text.h"

static void on_tick(uv_timer_t *t)
{
	(void)t;
}

void router_start(struct fixture *f, struct router *r)
{
	struct control_opts opts = {.dataplane_socket = r->sock, .run_dir = r->dir, .reply_timeout_ms = 5000};

	r->c = control_new(&f->loop, &opts);
	assert_non_null(r->c);
	r->stopped = false;
}

bool bundled;

int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	bundled = false;
	cv_log_set_level(CV_LOG_ERR);
	uv_loop_init(&f->loop);
	uv_timer_init(&f->loop, &f->tick);
	uv_timer_start(&f->tick, on_tick, 2, 2);
	for (int i = 0; i < 2; i++) {
		snprintf(f->r[i].dir, sizeof(f->r[i].dir), "/tmp/culvert-test-XXXXXX");
		const char *dir = mkdtemp(f->r[i].dir);

		assert_non_null(dir);
		snprintf(f->r[i].sock, sizeof(f->r[i].sock), "%s/dp.sock", dir);
	}
	*state = f;
	return 0;
}

static void on_stopped(void *arg)
{
	((struct router *)arg)->stopped = true;
}

void router_stop(struct fixture *f, struct router *r, bool graceful)
{
	control_stop(r->c, graceful, on_stopped, r);
	WAIT(f, r->stopped);
	r->c = NULL;
}

int teardown(void **state)
{
	struct fixture *f = *state;
	char path[512];

	for (int i = 0; i < 2; i++) {
		if (f->r[i].c)
			router_stop(f, &f->r[i], false);
		if (f->r[i].dp)
			fakedp_free(f->r[i].dp);
		snprintf(path, sizeof(path), "%s/ids.json", f->r[i].dir);
		unlink(path);
		rmdir(f->r[i].dir);
	}
	uv_close((uv_handle_t *)&f->tick, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0); /* nothing of control is left on the loop */
	free(f);
	return 0;
}

/* ---- applying ---- */

struct applied {
	bool done;
	char err[1024];
};

static void on_applied(void *arg, const char *err)
{
	struct applied *a = arg;

	a->done = true;
	snprintf(a->err, sizeof(a->err), "%s", err ? err : "");
}

static struct applied applied;

static void resolve(struct cv_config *cfg)
{
	char err[CFG_ERR_MAX];

	if (config_resolve(cfg, err, NULL, NULL))
		fail_msg("%s", err);
}

static void apply_start(struct router *r, struct cv_config *cfg)
{
	memset(&applied, 0, sizeof(applied));
	assert_int_equal(control_apply(r->c, cfg, on_applied, &applied), 0);
	config_unref(cfg);
}

static const char *apply_wait(struct fixture *f)
{
	WAIT(f, applied.done);
	return applied.err;
}

void apply_held(struct fixture *f, struct router *r, struct cv_config *cfg)
{
	resolve(cfg);
	fakedp_hold_commit(r->dp, true);
	apply_start(r, cfg);
	WAIT(f, fakedp_holds(r->dp));
}

const char *apply_let_go(struct fixture *f, struct router *r)
{
	fakedp_hold_commit(r->dp, false);
	return apply_wait(f);
}

const char *apply_resolved(struct fixture *f, struct router *r, struct cv_config *cfg)
{
	apply_start(r, cfg);
	return apply_wait(f);
}

const char *apply(struct fixture *f, struct router *r, struct cv_config *cfg)
{
	resolve(cfg);
	return apply_resolved(f, r, cfg);
}

struct fakedp_state state_of(struct router *r)
{
	struct fakedp_state s;

	fakedp_state(r->dp, &s);
	return s;
}

/* "in force", "refused", ...: what show dataplane says. */
static void on_answer(void *arg, json_t *answer, struct control_rest *rest)
{
	struct show_text t = {0};

	if (rest) {
		text_open(&t, NULL, '[');
		while (rest->next(rest, &t))
			continue;
		text_close(&t, ']');
		json_t *list = json_loadb(t.p, t.len, 0, NULL);
		assert_non_null(list);
		json_object_set_new(answer, rest->key, list);
		rest->free(rest);
		text_free(&t);
	}
	*(json_t **)arg = answer;
}

json_t *ask(struct fixture *f, struct router *r, const char *request, bool show)
{
	json_t *req = json_loads(request, 0, NULL), *answer = NULL;

	assert_non_null(req);
	if (show)
		control_show(r->c, req, on_answer, &answer);
	else
		control_do(r->c, req, on_answer, &answer);
	json_decref(req);
	WAIT(f, answer);
	return answer;
}

bool in_force(struct fixture *f, struct router *r)
{
	json_t *a = ask(f, r, "{\"show\": \"dataplane\"}", true);
	const char *text = json_string_value(json_object_get(a, "configuration"));
	bool yes = text && !strcmp(text, "in force");

	json_decref(a);
	return yes;
}

void start_with_gateway(struct fixture *f, struct router *r)
{
	r->dp = fakedp_new(r->sock);
	router_start(f, r);
	assert_string_equal(apply(f, r, cfgbuild_gateway()), "");
	WAIT(f, in_force(f, r));
}

/* ---- two routers ---- */

static void with_bundle(struct cv_config *c)
{
	struct cfg_ike_profile *p = &c->ike_profile[c->n_ike_profile++];

	*p = (struct cfg_ike_profile){.name = "v1",
		.version = CFG_IKEV1,
		.lifetime_s = 86400,
		.nat_traversal = true,
		.nat_keepalive_s = 20,
		.dpd_mode = CFG_DPD_OFF};
	c->map[0].entry[0].ike_profile = "v1";
	c->transform_set[0].suite = (struct algo_suite){
		.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128, .ah = CV_INTEG_HMAC_SHA512_256};
}

struct cv_config *side(int n)
{
	struct cv_config *c = cfgbuild_gateway();
	const char *addr[] = {"192.0.2.1/24", "192.0.2.2/24"}, *peer[] = {"192.0.2.2", "192.0.2.1"},
		   *lan[] = {"10.1.0.0/24", "10.2.0.0/24"}, *inside[] = {"10.1.0.1/24", "10.2.0.1/24"};

	c->interface[0].n_addr = c->interface[1].n_addr = 0;
	cfgbuild_addr(c, &c->interface[0], inside[n]);
	cfgbuild_addr(c, &c->interface[1], addr[n]);
	c->n_route = 0;
	cfgbuild_route(c, "0.0.0.0/0", peer[n]);
	c->acl[0].n_line = 0;
	cfgbuild_line(&c->acl[0], 10, true, lan[n], lan[!n]);
	assert_int_equal(cv_addr_parse(peer[n], &c->map[0].entry[0].peer[0]), 0);
	assert_int_equal(cv_prefix_parse(peer[n], &c->keyring[0].psk[0].peer), 0);
	if (bundled)
		with_bundle(c);
	return c;
}

void start_with(struct fixture *f, struct cv_config *left, struct cv_config *right)
{
	struct cv_config *config[] = {left, right};

	for (int i = 0; i < 2; i++) {
		f->r[i].dp = fakedp_new(f->r[i].sock);
		router_start(f, &f->r[i]);
		assert_string_equal(apply(f, &f->r[i], config[i]), "");
		WAIT(f, in_force(f, &f->r[i]));
	}
	fakedp_connect(f->r[0].dp, f->r[1].dp);
}

void start_both(struct fixture *f)
{
	start_with(f, side(0), side(1));
}

void trigger(struct router *r)
{
	trigger_rule(r, 0);
}

void trigger_rule(struct router *r, unsigned n)
{
	struct cv_evt_acquire a = {.proto = 1, .sport = 8 << 8};
	struct cv_spd_rule rule;

	assert_true(fakedp_rule(r->dp, n, &rule));
	a.rule_id = rule.rule_id;
	a.spd_id = rule.spd_id;
	a.src = rule.sel.src.lo;
	a.dst = rule.sel.dst.lo;
	a.src.b[3] = a.dst.b[3] = 7;
	fakedp_event(r->dp, CV_EVT_ACQUIRE, &a, sizeof(a));
}

void assert_paired(struct router *a, struct router *b)
{
	struct cv_sa out, in;

	assert_true(fakedp_sa(a->dp, CV_SA_OUT, 0, &out));
	assert_true(fakedp_sa(b->dp, CV_SA_IN, 0, &in));
	assert_int_equal(out.spi, in.spi);
	assert_int_equal(out.encr, in.encr);
	assert_int_equal(out.integ, in.integ);
	assert_int_equal(out.key_len, in.key_len);
	assert_true(out.key_len > 0);
	assert_memory_equal(out.key, in.key, out.key_len);
	assert_true(cv_addr_eq(&out.src, &in.src));
	assert_true(cv_addr_eq(&out.dst, &in.dst));
	assert_int_equal(in.spi & (CV_SA_MAX - 1), in.index);
	assert_true(in.spi >> CV_SA_INDEX_BITS != 0);
	assert_int_equal(out.pair_index ^ 1, out.index);
	assert_true(out.rule_id != 0 && in.rule_id != 0);
	/* selectors are written as outbound on both sides */
	assert_true(cv_addr_eq(&out.sel[0].src.lo, &in.sel[0].dst.lo));
}

bool child_established(struct fixture *f, struct router *r)
{
	const char *what = bundled ? "{\"show\": \"crypto isakmp sa\"}" : "{\"show\": \"crypto ikev2 sa\"}";
	json_t *a = ask(f, r, what, true);
	json_t *child = json_array_get(json_object_get(json_array_get(json_object_get(a, "sas"), 0), "children"), 0);
	const char *text = json_string_value(json_object_get(child, "state"));
	bool yes = text && !strcmp(text, "established");

	json_decref(a);
	return yes;
}

void bring_up_with(struct fixture *f, struct cv_config *left, struct cv_config *right)
{
	start_with(f, left, right);
	trigger(&f->r[0]);
	WAIT(f, state_of(&f->r[0]).sas == 2 && state_of(&f->r[1]).sas == 2);
	WAIT(f, child_established(f, &f->r[0]) && child_established(f, &f->r[1]));
	assert_paired(&f->r[0], &f->r[1]);
	assert_paired(&f->r[1], &f->r[0]);
}

void bring_up(struct fixture *f)
{
	bring_up_with(f, side(0), side(1));
}

json_t *session0(struct fixture *f, struct router *r, json_t **answer)
{
	json_t *list;

	*answer = ask(f, r, "{\"show\": \"crypto session\", \"detail\": true}", true);
	list = json_object_get(*answer, "sessions");
	assert_int_equal(json_array_size(list), 1);
	return json_array_get(list, 0);
}

bool session_is(struct fixture *f, struct router *r, const char *status)
{
	json_t *answer, *s = session0(f, r, &answer);
	bool yes = !strcmp(json_string_value(json_object_get(s, "status")), status);

	json_decref(answer);
	return yes;
}

json_int_t ike_stat(struct fixture *f, struct router *r, const char *name)
{
	json_t *a = ask(f, r, "{\"show\": \"crypto ike stats\"}", true);
	json_int_t n = json_integer_value(json_object_get(json_object_get(a, "stats"), name));

	json_decref(a);
	return n;
}

size_t ike_sas(struct fixture *f, struct router *r)
{
	json_t *a = ask(f, r, "{\"show\": \"crypto ikev2 sa\"}", true);
	size_t n = json_array_size(json_object_get(a, "sas"));

	json_decref(a);
	return n;
}
