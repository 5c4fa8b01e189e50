/* SPDX-License-Identifier: BSD-3-Clause */
/* SESSION_STATUS lines (MON-24..29): what the log says for the events of the engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cfgbuild.h"
#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"

struct fixture {
	uv_loop_t loop;
	struct control *c;
	char dir[64];
	int log, saved; /* our file in place of stderr; stderr */
	bool stopped;
	struct ike_path path;
	struct ike_event ev;
};

static void on_applied(void *arg, const char *err)
{
	(void)arg;
	if (err)
		fail_msg("%s", err);
}

/* MON-T2: front VRF name10, inside VRF name20, a described peer 10.6.6.1. */
static struct cv_config *config(void)
{
	struct cv_config *c = cfgbuild_gateway();

	c->vrf[c->n_vrf++].name = "name10";
	c->vrf[c->n_vrf++].name = "name20";
	c->interface[1].vrf = "name10";
	c->keyring[0].vrf = "name10";
	c->route[0].vrf = "name10";
	c->ike_profile[c->n_ike_profile++] =
		(struct cfg_ike_profile){.name = "p", .version = CFG_IKEV2, .vrf = "name20"};
	c->map[0].entry[0].ike_profile = "p";
	c->peer[c->n_peer].description = "SJC24-2-VPN-Gateway";
	assert_int_equal(cv_addr_parse("10.6.6.1", &c->peer[c->n_peer++].addr), 0);
	assert_int_equal(cv_addr_parse("10.6.6.1", &c->map[0].entry[0].peer[0]), 0);
	return c;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct control_opts opts = {.dataplane_socket = "/nonexistent/socket", .run_dir = f->dir};
	struct cv_config *cfg = config();
	char err[CFG_ERR_MAX], file[] = "/tmp/culvert-log-XXXXXX";

	f->log = mkstemp(file);
	unlink(file);
	f->saved = dup(STDERR_FILENO);
	dup2(f->log, STDERR_FILENO);
	snprintf(f->dir, sizeof(f->dir), "/tmp/culvert-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	uv_loop_init(&f->loop);
	f->c = control_new(&f->loop, &opts);
	assert_non_null(f->c);
	if (config_resolve(cfg, err, NULL, NULL))
		fail_msg("%s", err);
	assert_int_equal(control_apply(f->c, cfg, on_applied, NULL), 0);
	config_unref(cfg);
	cv_log_set_level(CV_LOG_NOTICE);
	f->path.vrf = f->c->running->vrf[0].id;
	assert_int_equal(cv_addr_parse("192.0.2.1", &f->path.local), 0);
	assert_int_equal(cv_addr_parse("10.6.6.1", &f->path.remote), 0);
	f->path.lport = f->path.rport = 500;
	f->ev = (struct ike_event){.path = &f->path,
		.entry = &f->c->running->map[0].entry[0],
		.sa = (const struct ike_sa *)f, /* an identity, never followed */
		.peer_id = "10.5.5.2"};
	*state = f;
	return 0;
}

static void on_stopped(void *arg)
{
	((struct fixture *)arg)->stopped = true;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char path[512];

	control_stop(f->c, false, on_stopped, f);
	while (!f->stopped)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	dup2(f->saved, STDERR_FILENO);
	close(f->saved);
	close(f->log);
	snprintf(path, sizeof(path), "%s/ids.json", f->dir);
	unlink(path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void event(struct fixture *f, enum ike_event_type type, const char *reason)
{
	f->ev.type = type;
	f->ev.reason = reason;
	session_ike_event(f->c->sessions, &f->ev);
}

/* How often text is in the log so far. */
static unsigned logged(struct fixture *f, const char *text)
{
	off_t len = lseek(f->log, 0, SEEK_END);
	char *all = calloc(1, (size_t)len + 1);
	unsigned n = 0;

	assert_true(pread(f->log, all, (size_t)len, 0) == len);
	for (const char *p = all; (p = strstr(p, text)); p++)
		n++;
	free(all);
	return n;
}

/* MON-T2, MON-25: all five parts, two messages. */
static void up_and_down(void **state)
{
	struct fixture *f = *state;

	event(f, IKE_EVT_UP, NULL);
	session_run(f->c->sessions);
	assert_int_equal(logged(f, "%CRYPTO-5-SESSION_STATUS: Crypto session is UP.  Peer 10.6.6.1:500  fvrf=name10  "
				   "ivrf=name20  Description: SJC24-2-VPN-Gateway  Id: 10.5.5.2\n"),
		1);
	event(f, IKE_EVT_DOWN, "peer not responding");
	session_run(f->c->sessions);
	assert_int_equal(logged(f, "Crypto session is DOWN.  Peer 10.6.6.1:500  fvrf=name10  ivrf=name20  Description: "
				   "SJC24-2-VPN-Gateway  Id: 10.5.5.2  Reason: peer not responding\n"),
		1);
	assert_int_equal(logged(f, "SESSION_STATUS"), 2);
}

/* MON-26: parts without a value are left out. */
static void absent_parts(void **state)
{
	struct fixture *f = *state;

	f->path.vrf = 0;
	f->path.remote.b[3] = 9;
	f->ev.entry = NULL;
	f->ev.peer_id = "ezvpn"; /* MON-T1 */
	event(f, IKE_EVT_UP, NULL);
	session_run(f->c->sessions);
	assert_int_equal(logged(f, "Crypto session is UP.  Peer 10.6.6.9:500  Id: ezvpn\n"), 1);
}

/* MON-28, MON-T6: a rekey, also one that swaps the SAs within one turn, says nothing. */
static void rekey_is_silent(void **state)
{
	struct fixture *f = *state;

	event(f, IKE_EVT_UP, NULL);
	session_run(f->c->sessions);
	event(f, IKE_EVT_REKEYED, NULL);
	session_run(f->c->sessions);
	event(f, IKE_EVT_DOWN, NULL);
	event(f, IKE_EVT_UP, NULL);
	session_run(f->c->sessions);
	assert_int_equal(logged(f, "SESSION_STATUS"), 1);
}

/* MON-3: both sides initiated at once; one SA loses and ends without an event. One UP, one DOWN all the same. */
static void duplicate_sas(void **state)
{
	struct fixture *f = *state;
	uint64_t wait;

	event(f, IKE_EVT_UP, NULL);
	event(f, IKE_EVT_UP, NULL);
	session_run(f->c->sessions);
	event(f, IKE_EVT_DOWN, "deleted by peer");
	wait = session_run(f->c->sessions);
	assert_int_equal(logged(f, "session is DOWN"), 0);
	assert_true(wait != UINT64_MAX); /* it will ask the engine, which has none */
	for (uint64_t until = uv_hrtime() + 10000000000ull; !logged(f, "session is DOWN") && uv_hrtime() < until;)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(logged(f, "session is DOWN"), 1);
	assert_int_equal(logged(f, "session is UP"), 1);
	assert_int_equal(session_run(f->c->sessions), UINT64_MAX);
}

/* MON-10, MON-T7: two peers behind one NAT are two sessions with one description. */
static void nat_sharing(void **state)
{
	struct fixture *f = *state;

	f->path.rport = 4500;
	event(f, IKE_EVT_UP, NULL);
	f->path.rport = 30001;
	event(f, IKE_EVT_UP, NULL);
	session_run(f->c->sessions);
	assert_int_equal(logged(f, "session is UP"), 2);
	assert_int_equal(logged(f, "Description: SJC24-2-VPN-Gateway"), 2);
	event(f, IKE_EVT_DOWN, NULL);
	session_run(f->c->sessions);
	assert_int_equal(logged(f, "session is DOWN"), 1);
	assert_int_equal(logged(f, "session is DOWN.  Peer 10.6.6.1:30001"), 1);
}

static void moved_peer_stays_one_session(void **state)
{
	struct fixture *f = *state;

	event(f, IKE_EVT_UP, NULL);
	session_run(f->c->sessions);
	f->path.rport = 40000;
	event(f, IKE_EVT_PEER_MOVED, NULL);
	event(f, IKE_EVT_DOWN, NULL);
	session_run(f->c->sessions);
	assert_int_equal(logged(f, "SESSION_STATUS"), 2);
	assert_int_equal(logged(f, "session is DOWN.  Peer 10.6.6.1:40000"), 1);
}

/* MON-29: a flood is cut, and the cut is counted. */
static void flood_is_limited(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 1000; i++) {
		f->path.rport = (uint16_t)(1000 + i);
		event(f, IKE_EVT_UP, NULL);
	}
	session_run(f->c->sessions);
	assert_in_range(logged(f, "session is UP"), 200, 300);
	for (uint64_t until = uv_hrtime() + 10000000000ull; !logged(f, "were suppressed") && uv_hrtime() < until;) {
		f->path.rport++;
		event(f, IKE_EVT_UP, NULL);
		session_run(f->c->sessions);
	}
	assert_int_equal(logged(f, "messages were suppressed"), 1);
}

/* Design promise 8: the reason of the last failure, until the session is up. */
static void failures_are_remembered(void **state)
{
	struct fixture *f = *state;
	uint64_t at = 0;

	assert_null(session_last_failure(f->c->sessions, f->ev.entry, &f->path.remote, &at));
	event(f, IKE_EVT_FAILED, "no proposal chosen");
	assert_string_equal(
		session_last_failure(f->c->sessions, f->ev.entry, &f->path.remote, &at), "no proposal chosen");
	assert_true(at > 0);
	event(f, IKE_EVT_UP, NULL);
	assert_null(session_last_failure(f->c->sessions, f->ev.entry, &f->path.remote, &at));
	/* a stranger's failure is logged, but not kept */
	f->path.remote.b[3] = 77;
	event(f, IKE_EVT_FAILED, "authentication failed");
	assert_null(session_last_failure(f->c->sessions, f->ev.entry, &f->path.remote, &at));
	assert_int_equal(logged(f, "authentication failed"), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(up_and_down),
		TEST(absent_parts),
		TEST(rekey_is_silent),
		TEST(duplicate_sas),
		TEST(nat_sharing),
		TEST(moved_peer_stays_one_session),
		TEST(flood_is_limited),
		TEST(failures_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
