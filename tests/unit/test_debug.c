/* SPDX-License-Identifier: BSD-3-Clause */
/* Conditional debugging: CDBG-T1..T5; the history of sessions. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cv_addr.h"
#include "debug.h"
#include "event_history.h"

static int add(struct debug *d, enum debug_cond_type type, const char *text, uint32_t number)
{
	struct debug_cond k;

	memset(&k, 0, sizeof(k));
	k.type = type;
	k.number = number;
	k.engine = type == DEBUG_CONNID ? 1 : 0;
	if (type == DEBUG_PEER)
		assert_int_equal(cv_prefix_parse(text, &k.peer), 0);
	else if (text)
		strncpy(k.text, text, sizeof(k.text) - 1);
	return debug_add(d, &k);
}

static bool peer_passes(const struct debug *d, enum debug_area area, const char *peer, bool error)
{
	struct debug_ctx ctx = {0};

	assert_int_equal(cv_addr_parse(peer, &ctx.peer), 0);
	return debug_passes(d, area, DEBUG_ON, error, &ctx);
}

static bool has_only(json_t *o, const char *key, size_t n, const char *first)
{
	json_t *list = json_object_get(o, key);

	return json_array_size(list) == n && (!n || !strcmp(json_string_value(json_array_get(list, 0)), first));
}

/* CDBG-T1, T2 (CDBG-1, CDBG-4, CDBG-5, CDBG-6, CDBG-7, CDBG-9). */
static void cdbg_t1_t2(void **state)
{
	static const struct debug_ctx nobody;
	struct debug d = {0};
	json_t *o;

	(void)state;
	assert_int_equal(add(&d, DEBUG_CONNID, NULL, 2000), 0);
	assert_int_equal(add(&d, DEBUG_PEER, "10.1.1.1", 0), 0);
	assert_int_equal(add(&d, DEBUG_PEER, "10.1.1.2", 0), 0);
	assert_int_equal(add(&d, DEBUG_PEER, "10.1.1.3", 0), 0);
	for (unsigned a = 0; a < DEBUG_AREAS; a++)
		d.unmatched[a] = true;
	o = debug_show(&d);
	assert_true(json_is_true(json_object_get(o, "conditional")));
	assert_true(json_is_true(json_object_get(json_object_get(o, "unmatched"), "isakmp")));
	assert_true(json_is_true(json_object_get(json_object_get(o, "unmatched"), "ipsec")));
	assert_true(json_is_true(json_object_get(json_object_get(o, "unmatched"), "engine")));
	assert_true(has_only(o, "peers", 3, "10.1.1.1"));
	assert_true(has_only(o, "connids", 1, "2000:1"));
	json_decref(o);
	/* no area is on: nothing */
	assert_false(peer_passes(&d, DEBUG_ISAKMP, "10.1.1.1", false));
	assert_false(debug_any_area(&d));
	for (unsigned a = 0; a < DEBUG_AREAS; a++)
		d.level[a] = DEBUG_ON;
	assert_true(peer_passes(&d, DEBUG_ISAKMP, "10.1.1.1", false));
	assert_true(peer_passes(&d, DEBUG_IPSEC, "10.1.1.3", false));
	assert_false(peer_passes(&d, DEBUG_ISAKMP, "10.1.1.9", false));
	assert_true(debug_passes(&d, DEBUG_ENGINE, DEBUG_ON, false, &nobody));
	assert_true(debug_passes(&d, DEBUG_ENGINE, DEBUG_ON, false, NULL));
	d.unmatched[DEBUG_ENGINE] = false;
	assert_false(debug_passes(&d, DEBUG_ENGINE, DEBUG_ON, false, &nobody));
	memset(d.level, 0, sizeof(d.level));
	debug_reset(&d);
	o = debug_show(&d);
	assert_false(json_is_true(json_object_get(o, "conditional")));
	assert_false(json_is_true(json_object_get(json_object_get(o, "unmatched"), "isakmp")));
	assert_null(json_object_get(o, "peers"));
	assert_null(json_object_get(o, "connids"));
	json_decref(o);
}

/* CDBG-T3 (CDBG-3): either SPI names the flow. */
static void cdbg_t3_spi(void **state)
{
	struct debug d = {.level = {[DEBUG_IPSEC] = DEBUG_ON}};
	const struct debug_ctx a = {.spi = {0x1000, 0x2000}}, b = {.spi = {0x3000, 0x4000}};

	(void)state;
	assert_int_equal(add(&d, DEBUG_SPI, NULL, 0x1000), 0);
	assert_true(debug_passes(&d, DEBUG_IPSEC, DEBUG_ON, false, &a));
	assert_false(debug_passes(&d, DEBUG_IPSEC, DEBUG_ON, false, &b));
	debug_reset(&d);
	assert_int_equal(add(&d, DEBUG_SPI, NULL, 0x2000), 0);
	assert_true(debug_passes(&d, DEBUG_IPSEC, DEBUG_ON, false, &a));
}

/* CDBG-T4 (CDBG-10, CDBG-11). */
static void cdbg_t4_errors(void **state)
{
	struct debug d = {.level = {[DEBUG_IPSEC] = DEBUG_ERROR}};

	(void)state;
	assert_false(peer_passes(&d, DEBUG_IPSEC, "10.1.1.1", false));
	assert_true(peer_passes(&d, DEBUG_IPSEC, "10.1.1.1", true));
	assert_false(peer_passes(&d, DEBUG_ISAKMP, "10.1.1.1", true));
	d.level[DEBUG_IPSEC] = DEBUG_ON;
	assert_true(peer_passes(&d, DEBUG_IPSEC, "10.1.1.1", false));
	assert_false(debug_passes(&d, DEBUG_IPSEC, DEBUG_DETAIL, false, NULL));
	d.level[DEBUG_IPSEC] = DEBUG_DETAIL;
	assert_true(debug_passes(&d, DEBUG_IPSEC, DEBUG_DETAIL, false, NULL));
}

/* CDBG-T5 (CDBG-2); names and VRFs. */
static void cdbg_t5_subnet(void **state)
{
	struct debug d = {.level = {[DEBUG_ISAKMP] = DEBUG_ON}};
	const struct debug_ctx named = {.peer_id = "GW.example", .fvrf = "red", .ivrf = "blue"};

	(void)state;
	assert_int_equal(add(&d, DEBUG_PEER, "10.2.0.0/16", 0), 0);
	assert_true(peer_passes(&d, DEBUG_ISAKMP, "10.2.9.9", false));
	assert_false(peer_passes(&d, DEBUG_ISAKMP, "10.3.0.1", false));
	assert_false(debug_passes(&d, DEBUG_ISAKMP, DEBUG_ON, false, &named));
	static const struct {
		enum debug_cond_type type;
		const char *fits, *other;
	} by[] = {{DEBUG_HOSTNAME, "gw.example", "gw2.example"}, {DEBUG_FVRF, "red", "blue"},
		{DEBUG_IVRF, "blue", "red"}};
	for (unsigned i = 0; i < 3; i++) {
		debug_reset(&d);
		assert_int_equal(add(&d, by[i].type, by[i].other, 0), 0);
		assert_false(debug_passes(&d, DEBUG_ISAKMP, DEBUG_ON, false, &named));
		assert_int_equal(add(&d, by[i].type, by[i].fits, 0), 0);
		assert_true(debug_passes(&d, DEBUG_ISAKMP, DEBUG_ON, false, &named));
	}
}

/* CDBG-13, CDBG-16. */
static void cdbg_limits(void **state)
{
	struct debug d = {0};

	(void)state;
	assert_int_equal(add(&d, DEBUG_CONNID, NULL, 0), -EINVAL);
	assert_int_equal(add(&d, DEBUG_CONNID, NULL, 32767), -EINVAL);
	assert_int_equal(add(&d, DEBUG_FLOWID, NULL, 32767), -EINVAL);
	for (unsigned i = 1; i <= DEBUG_CONDITIONS_MAX; i++)
		assert_int_equal(add(&d, DEBUG_CONNID, NULL, i), 0);
	assert_int_equal(add(&d, DEBUG_CONNID, NULL, 1), -EEXIST);
	assert_int_equal(add(&d, DEBUG_CONNID, NULL, 1000), -ENOSPC);
}

static void event(struct event_history *h, enum ike_event_type type, uint8_t last, const char *reason, uint64_t at)
{
	struct ike_path path = {.remote = {.af = CV_AF_INET, .b = {192, 0, 2, last}}, .rport = 500};
	struct ike_event ev = {.type = type, .path = &path, .reason = reason};

	event_history_add(h, &ev, at);
}

static void history_of_sessions(void **state)
{
	static const char why[] = "no proposal chosen";
	struct event_history *h = event_history_new();
	struct cv_addr one = {.af = CV_AF_INET, .b = {192, 0, 2, 1}};
	json_t *a;

	(void)state;
	assert_non_null(h);
	event(h, IKE_EVT_UP, 1, NULL, 1000000000);
	event(h, IKE_EVT_UP, 2, NULL, 1000000001);
	event(h, IKE_EVT_DOWN, 1, "peer not responding", 1000000002);
	for (unsigned i = 0; i < 5; i++)
		event(h, IKE_EVT_FAILED, 1, why, 1000000003 + i);
	a = event_history_show(h, &one);
	assert_int_equal(json_array_size(a), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(a, 0), "time")), "2001-09-09T01:46:40Z");
	assert_string_equal(json_string_value(json_object_get(json_array_get(a, 1), "reason")), "peer not responding");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(a, 2), "count")), 5);
	json_decref(a);
	/* bounded, whoever knocks: the oldest go */
	for (unsigned i = 0; i < 3 * HISTORY_EVENTS; i++)
		event(h, i & 1 ? IKE_EVT_UP : IKE_EVT_DOWN, 3, NULL, 1000000010);
	a = event_history_show(h, NULL);
	assert_int_equal(json_array_size(a), HISTORY_EVENTS);
	json_decref(a);
	a = event_history_show(h, &one);
	assert_int_equal(json_array_size(a), 0);
	json_decref(a);
	event_history_clear(h);
	a = event_history_show(h, NULL);
	assert_int_equal(json_array_size(a), 0);
	json_decref(a);
	event_history_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cdbg_t1_t2),
		cmocka_unit_test(cdbg_t3_spi),
		cmocka_unit_test(cdbg_t4_errors),
		cmocka_unit_test(cdbg_t5_subnet),
		cmocka_unit_test(cdbg_limits),
		cmocka_unit_test(history_of_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
