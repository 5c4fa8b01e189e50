/* SPDX-License-Identifier: BSD-3-Clause */
/* RADIUS: messages against the example of RFC 2865 7.1, and the client against a server of our own (VRF-34, VRF-53). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "aaa.h"
#include "cv_addr.h"
#include "ikecrypto.h"

static const uint8_t secret[] = "xyzzy5461";
#define SECRET secret, sizeof(secret) - 1

/* ---- a server ---- */

struct reply {
	uint8_t p[RADIUS_MSG_MAX];
	size_t len;
	bool with_ma;
};

static void attr(struct reply *r, uint8_t type, const void *value, size_t len)
{
	r->p[r->len] = type;
	r->p[r->len + 1] = (uint8_t)(len + 2);
	memcpy(r->p + r->len + 2, value, len);
	r->len += len + 2;
}

static void begin(struct reply *r, uint8_t code, uint8_t id)
{
	static const uint8_t zeros[16];
	*r = (struct reply){.len = 20, .with_ma = true};
	r->p[0] = code;
	r->p[1] = id;
	attr(r, 80, zeros, 16);
}

static void pair(struct reply *r, const char *text)
{
	uint8_t v[260] = {0, 0, 0, 9, 1, (uint8_t)(strlen(text) + 2)};
	memcpy(v + 6, text, strlen(text));
	attr(r, 26, v, 6 + strlen(text));
}

/* RFC 2868 3.5 from the server's side. */
static void tunnel_password(struct reply *r, const uint8_t auth[16], const char *key)
{
	uint8_t v[64] = {1, 0x80, 0x17}, cover[16];
	size_t n = strlen(key), len = (n + 1 + 15) / 16 * 16;
	v[3] = (uint8_t)n;
	memcpy(v + 4, key, n);
	for (size_t at = 0; at < len; at += 16) {
		struct ikec_iov first[] = {{SECRET}, {auth, 16}, {v + 1, 2}},
				later[] = {{SECRET}, {v + 3 + at - 16, 16}};
		assert_int_equal(at ? ikec_hash(IKE_PRF_HMAC_MD5, later, 2, cover)
				    : ikec_hash(IKE_PRF_HMAC_MD5, first, 3, cover),
			0);
		for (int i = 0; i < 16; i++)
			v[3 + at + (size_t)i] ^= cover[i];
	}
	attr(r, 69, v, 3 + len);
}

static void finish(struct reply *r, const uint8_t auth[16], const uint8_t *key, size_t key_len)
{
	r->p[2] = (uint8_t)(r->len >> 8);
	r->p[3] = (uint8_t)r->len;
	memcpy(r->p + 4, auth, 16);
	struct ikec_iov whole = {r->p, r->len};
	if (r->with_ma)
		assert_int_equal(ikec_prf(IKE_PRF_HMAC_MD5, key, key_len, &whole, 1, r->p + 22), 0);
	struct ikec_iov iov[] = {{r->p, r->len}, {key, key_len}};
	uint8_t response[16];
	assert_int_equal(ikec_hash(IKE_PRF_HMAC_MD5, iov, 2, response), 0);
	memcpy(r->p + 4, response, 16);
}

/* ---- messages ---- */

static const uint8_t rfc_auth[16] = {
	0x0f, 0x40, 0x3f, 0x94, 0x73, 0x97, 0x80, 0x57, 0xbd, 0x83, 0xd5, 0xcb, 0x98, 0xf4, 0x22, 0x7a};

static const uint8_t *find(const uint8_t *msg, size_t len, uint8_t type)
{
	for (size_t at = 20; at < len; at += msg[at + 1])
		if (msg[at] == type)
			return msg + at;
	return NULL;
}

static void request(void **state)
{
	(void)state;
	static const uint8_t hidden[] = {
		0x0d, 0xbe, 0x70, 0x8d, 0x93, 0xd4, 0x13, 0xce, 0x31, 0x96, 0xe4, 0x3f, 0x78, 0x2a, 0x0a, 0xee};
	struct radius_query q = {.user = "nemo", .password = (const uint8_t *)"arctangent", .password_len = 10};
	uint8_t out[RADIUS_MSG_MAX], ma[16], want[16];
	assert_int_equal(cv_addr_parse("192.168.1.16", &q.nas), 0);
	assert_int_equal(cv_addr_parse("198.51.100.7", &q.calling), 0);
	size_t len = radius_request(&q, 0, rfc_auth, SECRET, out);
	assert_true(len > 56);
	assert_int_equal(out[0], 1);
	assert_int_equal(out[2] << 8 | out[3], len);
	assert_memory_equal(find(out, len, 1), "\x01\x06nemo", 6);
	assert_memory_equal(find(out, len, 2), "\x02\x12", 2);
	assert_memory_equal(find(out, len, 2) + 2, hidden, 16);
	assert_memory_equal(find(out, len, 4), "\x04\x06\xc0\xa8\x01\x10", 6);
	assert_memory_equal(find(out, len, 31),
		"\x1f\x0e"
		"198.51.100.7",
		14);
	assert_int_equal(find(out, len, 6)[5], 2);
	assert_int_equal(out[20], 80); /* first, as CVE-2024-3596 wants it */
	memcpy(ma, out + 22, 16);
	memset(out + 22, 0, 16);
	struct ikec_iov iov = {out, len};
	assert_int_equal(ikec_prf(IKE_PRF_HMAC_MD5, SECRET, &iov, 1, want), 0);
	assert_memory_equal(ma, want, 16);
	q.outbound = true;
	len = radius_request(&q, 0, rfc_auth, SECRET, out);
	assert_int_equal(find(out, len, 6)[5], 5); /* AGGR-8 */
	static uint8_t longer[RADIUS_PASSWORD_MAX + 1];
	q.password = longer;
	q.password_len = RADIUS_PASSWORD_MAX;
	assert_true(radius_request(&q, 0, rfc_auth, SECRET, out) > 0);
	q.password_len++;
	assert_int_equal(radius_request(&q, 0, rfc_auth, SECRET, out), 0);
}

static void answer_of_the_rfc(void **state)
{
	(void)state;
	static const uint8_t accept[] = {0x02, 0x00, 0x00, 0x26, 0x86, 0xfe, 0x22, 0x0e, 0x76, 0x24, 0xba, 0x2a, 0x10,
		0x05, 0xf6, 0xbf, 0x9b, 0x55, 0xe0, 0xb2, 0x06, 0x06, 0x00, 0x00, 0x00, 0x01, 0x0f, 0x06, 0x00, 0x00,
		0x00, 0x00, 0x0e, 0x06, 0xc0, 0xa8, 0x01, 0x03};
	struct radius_answer a;
	assert_int_equal(radius_answer_read(accept, sizeof(accept), 0, rfc_auth, SECRET, false, &a), 0);
	assert_true(a.accepted);
	assert_int_equal(radius_answer_read(accept, sizeof(accept), 0, rfc_auth, SECRET, true, &a), -EBADMSG);
	assert_int_equal(radius_answer_read(accept, sizeof(accept), 1, rfc_auth, SECRET, false, &a), -EBADMSG);
	assert_int_equal(
		radius_answer_read(accept, sizeof(accept), 0, rfc_auth, secret, sizeof(secret), false, &a), -EBADMSG);
}

/* AGGR-9: attribute 69, or the vendor's pair; only for ESP that IKE makes. */
static void tunnel_attributes(void **state)
{
	(void)state;
	struct radius_answer a;
	struct reply r;
	const char *const keys[] = {
		"k", "cisco123", "fifteen octets.", "sixteen octets..", "a longer key than one block of sixteen"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		begin(&r, 2, 7);
		attr(&r, 64, "\x01\0\0\x09", 4);
		attr(&r, 65, "\x01\0\0\x01", 4);
		tunnel_password(&r, rfc_auth, keys[i]);
		finish(&r, rfc_auth, SECRET);
		assert_int_equal(radius_answer_read(r.p, r.len, 7, rfc_auth, SECRET, true, &a), 0);
		assert_int_equal(a.key_len, strlen(keys[i]));
		assert_memory_equal(a.key, keys[i], a.key_len);
	}
	begin(&r, 2, 7);
	pair(&r, "ipsec:tunnel-password=cisco123");
	pair(&r, "ipsec:key-exchange=ike");
	pair(&r, "ipsec:dns-servers=10.0.0.1 10.0.0.2 nonsense 10.0.0.3");
	pair(&r, "ipsec:default-domain=example.com");
	attr(&r, 8, "\x0a\x01\x02\x03", 4);
	finish(&r, rfc_auth, SECRET);
	assert_int_equal(radius_answer_read(r.p, r.len, 7, rfc_auth, SECRET, true, &a), 0);
	assert_int_equal(a.key_len, 8);
	assert_memory_equal(a.key, "cisco123", 8);
	assert_int_equal(a.n_dns, 3);
	assert_string_equal(a.domain, "example.com");
	assert_int_equal(a.address.b[3], 3);
	const char *const other[] = {"ipsec:key-exchange=none", NULL};
	begin(&r, 2, 7);
	pair(&r, "ipsec:tunnel-password=cisco123");
	pair(&r, other[0]);
	finish(&r, rfc_auth, SECRET);
	assert_int_equal(radius_answer_read(r.p, r.len, 7, rfc_auth, SECRET, true, &a), 0);
	assert_int_equal(a.key_len, 0);
	begin(&r, 2, 7);
	pair(&r, "ipsec:tunnel-password=cisco123");
	attr(&r, 64, "\x01\0\0\x03", 4); /* L2TP */
	finish(&r, rfc_auth, SECRET);
	assert_int_equal(radius_answer_read(r.p, r.len, 7, rfc_auth, SECRET, true, &a), 0);
	assert_int_equal(a.key_len, 0);
}

/* Whatever is changed on the way, the answer is not believed; and no length is. */
static void forged(void **state)
{
	(void)state;
	struct radius_answer a;
	struct reply r, x;
	begin(&r, 3, 7);
	tunnel_password(&r, rfc_auth, "cisco123");
	finish(&r, rfc_auth, SECRET);
	assert_int_equal(radius_answer_read(r.p, r.len, 7, rfc_auth, SECRET, true, &a), 0);
	assert_false(a.accepted);
	assert_int_equal(a.key_len, 0); /* of a refusal nothing is taken */
	for (size_t i = 0; i < r.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			x = r;
			x.p[i] ^= (uint8_t)(1 << bit);
			assert_int_equal(radius_answer_read(x.p, x.len, 7, rfc_auth, SECRET, false, &a), -EBADMSG);
		}
	for (size_t len = 0; len < r.len; len++)
		assert_int_equal(radius_answer_read(r.p, len, 7, rfc_auth, SECRET, true, &a), -EBADMSG);
	/* the server itself may be wrong: attributes of length 0, 1, or beyond the end, under good authenticators */
	for (uint8_t bad = 0; bad < 255; bad++) {
		begin(&r, 2, 7);
		size_t at = r.len;
		attr(&r, 8, "\x0a\x01\x02\x03", 4);
		r.p[at + 1] = bad;
		finish(&r, rfc_auth, SECRET);
		int rc = radius_answer_read(r.p, r.len, 7, rfc_auth, SECRET, true, &a);
		assert_int_equal(rc, bad == 6 || bad == 4 ? rc : -EBADMSG);
	}
}

/* ---- the client ---- */

static struct world {
	uint64_t now;
	unsigned n_sent;
	struct {
		unsigned server;
		uint8_t p[RADIUS_MSG_MAX];
		size_t len;
	} sent[64];
	enum aaa_verdict verdict;
	unsigned n_done;
	struct cv_config *cfg;
	struct aaa *aaa;
} w;

static uint64_t now_ms(void *ctx)
{
	(void)ctx;
	return w.now;
}

static int record(void *ctx, unsigned server, const void *data, size_t len)
{
	(void)ctx;
	if (w.n_sent < 64) {
		w.sent[w.n_sent].server = server;
		w.sent[w.n_sent].len = len;
		memcpy(w.sent[w.n_sent].p, data, len);
	}
	w.n_sent++;
	return server == 1 ? -ENETUNREACH : 0; /* as good as lost */
}

static void done(void *arg, enum aaa_verdict verdict, const struct radius_answer *a)
{
	(void)arg;
	assert_true((verdict == AAA_NO_ANSWER) == (a == NULL));
	w.verdict = verdict;
	w.n_done++;
}

static struct cv_config *servers(unsigned n)
{
	char err[CFG_ERR_MAX];
	struct cv_config *c = config_new();
	c->hostname = config_strdup(c, "gw");
	c->radius_server = config_alloc(c, n, sizeof(*c->radius_server));
	c->aaa_group = config_alloc(c, 1, sizeof(*c->aaa_group));
	c->n_radius_server = n;
	c->n_aaa_group = 1;
	c->aaa_dead_s = 60;
	c->aaa_group->name = "g";
	c->aaa_group->n_server = n;
	c->aaa_group->server = config_alloc(c, n, sizeof(char *));
	for (unsigned i = 0; i < n; i++) {
		static const char *const name[] = {"one", "two", "three"};
		struct cfg_radius_server *s = &c->radius_server[i];
		*s = (struct cfg_radius_server){.name = name[i],
			.port = 1812,
			.timeout_s = 5,
			.retransmit = 2,
			.need_message_authenticator = true,
			.key = {config_secret(c, secret, sizeof(secret) - 1), 9}};
		assert_int_equal(cv_addr_parse("192.0.2.1", &s->addr), 0);
		c->aaa_group->server[i] = name[i];
	}
	if (config_resolve(c, err, NULL, NULL))
		fail_msg("%s", err);
	return c;
}

static int client(void **state, unsigned n)
{
	static const struct aaa_ops ops = {.now_ms = now_ms, .send = record};
	(void)state;
	memset(&w, 0, sizeof(w));
	w.now = 1000000;
	w.cfg = servers(n);
	w.aaa = aaa_new(&ops, NULL);
	aaa_set_config(w.aaa, w.cfg);
	return 0;
}

static int client_1(void **state)
{
	return client(state, 1);
}

static int client_3(void **state)
{
	return client(state, 3);
}

static int close_client(void **state)
{
	(void)state;
	aaa_free(w.aaa);
	config_unref(w.cfg);
	return 0;
}

static uint64_t ask(void)
{
	struct radius_query q = {.user = "alice", .password = (const uint8_t *)"x", .password_len = 1};
	return aaa_ask(w.aaa, w.cfg->aaa_group, &q, done, NULL);
}

/* The server of message n answers it. */
static void answer(unsigned n, uint8_t code)
{
	struct reply r;
	begin(&r, code, w.sent[n].p[1]);
	finish(&r, w.sent[n].p + 4, SECRET);
	aaa_input(w.aaa, w.sent[n].server, r.p, r.len);
}

static long long shown(unsigned server, const char *key)
{
	json_t *list = aaa_show(w.aaa);
	long long v = json_integer_value(json_object_get(json_array_get(list, server), key));
	json_decref(list);
	return v;
}

static void pass(uint64_t ms)
{
	for (uint64_t end = w.now + ms; w.now < end;) {
		uint64_t wait = aaa_run(w.aaa);
		w.now = wait && wait < end - w.now ? w.now + wait : end;
	}
	aaa_run(w.aaa);
}

static void verdicts(void **state)
{
	(void)state;
	assert_true(ask() > 0);
	assert_int_equal(w.n_sent, 1);
	answer(0, 2);
	assert_int_equal(w.n_done, 1);
	assert_int_equal(w.verdict, AAA_ACCEPT);
	answer(0, 2); /* once more: nobody has asked */
	assert_int_equal(w.n_done, 1);
	ask();
	answer(1, 3);
	assert_int_equal(w.verdict, AAA_REJECT);
	ask();
	answer(2, 11); /* a challenge, which nobody here can answer */
	assert_int_equal(w.verdict, AAA_REJECT);
	assert_int_equal(shown(0, "accepts"), 1);
	assert_int_equal(shown(0, "rejects"), 2);
	assert_int_equal(shown(0, "bad_answers"), 1);
	uint64_t n = ask();
	aaa_cancel(w.aaa, n);
	answer(3, 2);
	assert_int_equal(w.n_done, 3);
	assert_int_equal(aaa_run(w.aaa), UINT64_MAX);
}

/* The same octets again, then the next server, then nobody; and the dead are passed over until their time is over. */
static void silence(void **state)
{
	(void)state;
	assert_true(ask() > 0);
	pass(44999);
	assert_int_equal(w.n_done, 0);
	assert_int_equal(w.n_sent, 9);
	pass(1);
	assert_int_equal(w.verdict, AAA_NO_ANSWER);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(w.sent[i].server, i / 3);
		assert_memory_equal(w.sent[i].p, w.sent[i / 3 * 3].p, w.sent[i].len);
	}
	/* server 0 lives again first: it was the first to die */
	pass(30000);
	ask();
	assert_int_equal(w.sent[9].server, 0);
	answer(9, 2);
	assert_int_equal(w.verdict, AAA_ACCEPT);
	assert_int_equal(shown(0, "timeouts"), 1);
	assert_int_equal(shown(0, "repeats"), 2);
	assert_true(shown(2, "dead_for_s") > 0);
}

/* All are dead: they are asked nevertheless, or nobody would learn that they are back. */
static void all_dead(void **state)
{
	(void)state;
	ask();
	pass(15000);
	assert_int_equal(w.verdict, AAA_NO_ANSWER);
	assert_true(shown(0, "dead_for_s") > 0);
	ask();
	assert_int_equal(w.n_sent, 4);
	answer(3, 2);
	assert_int_equal(w.verdict, AAA_ACCEPT);
	assert_int_equal(shown(0, "dead_for_s"), 0);
}

/* Who asks when there are too many questions is told at once; a flood takes no more memory than that. */
static void bounded(void **state)
{
	(void)state;
	for (unsigned i = 0; i < AAA_ASKED_MAX; i++)
		assert_true(ask() > 0);
	assert_int_equal(ask(), 0);
	answer(5, 2);
	assert_true(ask() > 0);
	assert_int_equal(ask(), 0);
	pass(15000);
	assert_int_equal(w.n_done, AAA_ASKED_MAX + 1);
}

static void reconfigured(void **state)
{
	(void)state;
	ask();
	struct cv_config *same = servers(1), *other = servers(3);
	assert_false(aaa_set_config(w.aaa, same));
	assert_int_equal(w.n_done, 0);
	answer(0, 2);
	assert_int_equal(w.verdict, AAA_ACCEPT);
	ask();
	assert_true(aaa_set_config(w.aaa, other));
	assert_int_equal(w.verdict, AAA_NO_ANSWER);
	config_unref(same);
	config_unref(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request),
		cmocka_unit_test(answer_of_the_rfc),
		cmocka_unit_test(tunnel_attributes),
		cmocka_unit_test(forged),
		cmocka_unit_test_setup_teardown(verdicts, client_1, close_client),
		cmocka_unit_test_setup_teardown(silence, client_3, close_client),
		cmocka_unit_test_setup_teardown(all_dead, client_1, close_client),
		cmocka_unit_test_setup_teardown(bounded, client_1, close_client),
		cmocka_unit_test_setup_teardown(reconfigured, client_1, close_client),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
