/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv2: what must not be taken, what ends an IKE SA, and deletes that cross (RFC 7296 1.4.1, 2.5, 2.21). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "v2_int.h"

#include "cv_addr.h"
#include "ike_env.h"

static void pfs(struct cv_config *c, int host)
{
	(void)host;
	c->map->entry->pfs = IKE_GROUP_CURVE25519;
}

static struct v2_sa *sa_of(int host)
{
	return v2_of(TAILQ_FIRST(&p->h[host].ike->sas));
}

static void deliver(int from, const uint8_t *data, size_t len)
{
	struct ike_path path = {.lport = IKE_PORT, .rport = IKE_PORT};
	path.local = p->h[!from].addr;
	path.remote = p->h[from].addr;
	ike_input(p->h[!from].ike, &path, false, data, len);
}

/* ---- RFC 7296 2.5: unknown payloads ---- */

#define UNKNOWN 200
static uint8_t flags_of_unknown;

/* The answer to IKE_SA_INIT gets one more payload behind its last. */
static bool with_unknown(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	uint8_t bad[4096];
	(void)q;
	if (from != 1 || data[18] != V2_IKE_SA_INIT || n > 100)
		return true;
	memcpy(bad, data, len);
	size_t at = IKE_HDR_LEN, next = 16;
	while (bad[next]) {
		next = at;
		at += v2_get16(bad + at + 2);
	}
	assert_int_equal(at, len);
	bad[next] = UNKNOWN;
	memcpy(bad + len, (uint8_t[]){0, flags_of_unknown, 0, 4}, 4);
	bad[26] = (uint8_t)((len + 4) >> 8);
	bad[27] = (uint8_t)(len + 4);
	deliver(1, bad, len + 4);
	return false;
}

/*
 * One that is critical makes a message be rejected, answers as well as requests; others are passed over, and it takes
 * IKE_AUTH to find that the peer has not sent them.
 */
static void critical_payload_in_an_answer(void **state)
{
	(void)state;
	for (int critical = 0; critical < 2; critical++) {
		p = pair_new(CFG_IKEV2, NULL);
		flags_of_unknown = critical ? 0x80 : 0;
		p->filter = with_unknown;
		pair_acquire(p, 0, 0);
		pair_run(p, 1000);
		assert_string_equal(pair_show(p, 0, "state"), critical ? "init-sent" : "");
		assert_int_equal(pair_stat(p, 1, "auth_failed"), !critical);
		teardown(NULL);
	}
}

/* ---- RFC 7296 2.21.3: INVALID_SYNTAX ---- */

static unsigned answered;

/* Host 1 finds every CREATE_CHILD_SA malformed, and is of the opinion that this is the end of the IKE SA. */
static bool finds_it_malformed(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	struct v2_msg m;
	struct v2_answer *a;
	(void)n;
	if (from || v2_parse_header(data, len, &m) != 0 || m.h.exchange != V2_CREATE_CHILD_SA)
		return true;
	struct v2_sa *sa = sa_of(1);
	if (v2_request_is(sa, m.h.msgid, &a) != V2_REQUEST_NEW)
		return false;
	answered++;
	m.path = &sa->sa.path;
	ike_enter(q->h[1].ike);
	v2_respond_notify(sa, v2_answer_open(sa, &m), V2_N_INVALID_SYNTAX, NULL, 0);
	ike_sa_destroy(&sa->sa, "invalid syntax");
	ike_leave(q->h[1].ike);
	return false;
}

static void rekey_ike(int host)
{
	ike_enter(p->h[host].ike);
	v2_sa_rekey(&sa_of(host)->sa);
	ike_leave(p->h[host].ike);
}

/* The IKE SA is over, for the end that hears of it as well; with the next packet there is another. */
static void told_of_invalid_syntax(void **state)
{
	(void)state;
	for (int ike = 0; ike < 2; ike++) {
		p = pair_new(CFG_IKEV2, NULL);
		bring_up();
		answered = 0;
		p->filter = finds_it_malformed;
		if (ike)
			rekey_ike(0);
		else
			ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, false);
		pair_run(p, 1000);
		assert_int_equal(answered, 1);
		assert_string_equal(pair_reason(p, 0, IKE_EVT_DOWN), "invalid syntax");
		assert_int_equal(pair_n_children(p, 0), 0);
		p->filter = NULL;
		bring_up();
		teardown(NULL);
	}
}

static uint16_t told;

static void build_without_selectors(struct v2_sa *sa, struct v2_task *t, struct v2_enc *e)
{
	(void)t;
	v2_enc_child_sa(sa->sa.ike, e, sa->sa.entry, 0x12345678, IKE_GROUP_NONE);
	v2_enc_blob(e, V2_PL_NONCE, "a nonce of more than sixteen bytes", 34);
}

static void take_answer(struct v2_sa *sa, struct v2_task *t, struct v2_msg *m)
{
	const struct v2_notify *err = v2_find_error(m);
	told = err ? err->type : 0;
	v2_task_free(sa, t);
}

static void send_at_once(struct v2_sa *sa, struct v2_task *t)
{
	v2_task_send(sa, t);
}

static const struct v2_task_ops without_selectors = {
	.name = "CREATE_CHILD_SA without selectors",
	.exchange = V2_CREATE_CHILD_SA,
	.start = send_at_once,
	.build = build_without_selectors,
	.response = take_answer,
};

/* A request that lacks a payload is answered so, and ends the IKE SA at this end; the other is told once more. */
static void malformed_request(void **state)
{
	(void)state;
	p = pair_new(CFG_IKEV2, NULL);
	bring_up();
	ike_enter(p->h[0].ike);
	v2_task_queue(sa_of(0), v2_task_new(&without_selectors));
	ike_leave(p->h[0].ike);
	pair_run(p, 1000);
	assert_int_equal(told, V2_N_INVALID_SYNTAX);
	assert_string_equal(pair_reason(p, 1, IKE_EVT_DOWN), "invalid syntax");
	for (int h = 0; h < 2; h++) {
		assert_int_equal(pair_n_sas(p, h), 0);
		assert_int_equal(pair_n_children(p, h), 0);
	}
}

/* ---- RFC 7296 1.4.1: deletes that cross ---- */

static size_t answer_len[2]; /* of the last INFORMATIONAL answer of host 0; of an empty one */
static unsigned lost_deletes;

/* Host 0's delete of the pair that it has renewed gets lost at first. */
static bool lose_deletes(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)n;
	if (from || data[18] != V2_INFORMATIONAL)
		return true;
	if (data[19] & V2_FLAG_RESPONSE) {
		answer_len[0] = len;
		return true;
	}
	lost_deletes++;
	return false;
}

/* Both ends delete the pair that has been replaced: neither answer may name it. */
static void deletes_cross(void **state)
{
	(void)state;
	p = pair_new(CFG_IKEV2, pfs);
	bring_up();
	uint32_t old[2] = {pair_newest(p, 0)->id, pair_newest(p, 1)->id};
	p->filter = lose_deletes;
	ike_child_expire(p->h[0].ike, old[0], false);
	pair_run(p, 200);
	assert_int_equal(lost_deletes, 1);
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .child_id = old[1]};
	assert_int_equal(ike_clear(p->h[1].ike, &m), 1);
	pair_run(p, 100);
	size_t crossed = answer_len[0];
	assert_true(crossed > 0);
	/* one that does not cross is named in the answer: 12 bytes more, and nothing else is in it */
	p->filter = NULL;
	pair_run(p, 20000);
	assert_true(pair_children_agree(p, 1));
	p->filter = lose_deletes;
	m.child_id = pair_newest(p, 1)->id;
	assert_int_equal(ike_clear(p->h[1].ike, &m), 1);
	pair_run(p, 100);
	assert_true(answer_len[0] >= crossed + 12);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(critical_payload_in_an_answer),
		cmocka_unit_test(told_of_invalid_syntax),
		T(malformed_request),
		T(deletes_cross),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
