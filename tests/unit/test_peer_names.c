/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers by host name (IPSEC-50), with a name server of our own on loopback, on the loop of the test. */
#include "control_env.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"

#define NAME "hub.example.test"

static struct {
	uv_udp_t udp;
	uint16_t port;
	bool silent;
	const char *address[3]; /* of NAME; [0] NULL = there is no such name */
	unsigned asked;		/* for its IPv4 addresses */
} dns;

/* The question's name as text. Returns the bytes that it takes, 0 = malformed. */
static size_t name_of(const uint8_t *p, size_t len, char *out)
{
	size_t at = 0;

	while (at < len && p[at]) {
		if (at + p[at] >= len || p[at] > 63 || at > 200)
			return 0;
		memcpy(out, p + at + 1, p[at]);
		out += p[at];
		*out++ = '.';
		at += p[at] + 1u;
	}
	out[at ? -1 : 0] = 0;
	return at + 1;
}

static size_t put_answer(uint8_t *p, const char *address)
{
	static const uint8_t head[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4}; /* of the name asked for, 60 s */

	memcpy(p, head, sizeof(head));
	assert_int_equal(inet_pton(AF_INET, address, p + sizeof(head)), 1);
	return sizeof(head) + 4;
}

static void on_question(uv_udp_t *u, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
	uint8_t out[512], *q = (uint8_t *)buf->base;
	char name[256] = "";
	size_t len = n > 17 ? name_of(q + 12, (size_t)n - 12, name) : 0;
	bool known, v4;

	(void)flags;
	if (!from || !len || dns.silent || 12 + len + 4 > (size_t)n)
		return;
	known = !strcmp(name, NAME) && dns.address[0];
	v4 = q[12 + len + 1] == 1;
	dns.asked += !strcmp(name, NAME) && v4;
	len += 12 + 4;
	memcpy(out, q, len);
	out[2] = 0x81;
	out[3] = known ? 0x80 : 0x83;
	memset(out + 6, 0, 6);
	for (unsigned i = 0; known && v4 && i < 3 && dns.address[i]; i++) {
		len += put_answer(out + len, dns.address[i]);
		out[7]++;
	}
	uv_buf_t reply = uv_buf_init((char *)out, (unsigned)len);
	assert_true(uv_udp_try_send(u, &reply, 1, from) > 0);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	static char data[1024];

	(void)h, (void)size;
	*buf = uv_buf_init(data, sizeof(data));
}

static int dns_setup(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int len = sizeof(a);
	struct fixture *f;

	memset(&dns, 0, sizeof(dns));
	setup(state);
	f = *state;
	uv_udp_init(&f->loop, &dns.udp);
	assert_int_equal(uv_udp_bind(&dns.udp, (const struct sockaddr *)&a, 0), 0);
	assert_int_equal(uv_udp_getsockname(&dns.udp, (struct sockaddr *)&a, &len), 0);
	dns.port = ntohs(a.sin_port);
	assert_int_equal(uv_udp_recv_start(&dns.udp, on_alloc, on_question), 0);
	return 0;
}

static int dns_teardown(void **state)
{
	uv_close((uv_handle_t *)&dns.udp, NULL);
	return teardown(state);
}

/* Side 0, which knows its first peer by name; the address that it had comes second, or not at all. */
static struct cv_config *named(bool second)
{
	struct cv_config *c = side(0);
	struct cfg_map_entry *e = &c->map[0].entry[0];
	struct cv_addr *peer = config_alloc(c, 2, sizeof(*peer));

	peer[1] = e->peer[0];
	e->peer = peer;
	e->n_peer = second ? 2 : 1;
	e->peer_host = config_alloc(c, 2, sizeof(*e->peer_host));
	e->peer_host[0] = NAME;
	c->name_server = config_alloc(c, 1, sizeof(*c->name_server));
	c->n_name_server = 1;
	c->name_server[0].port = dns.port;
	assert_int_equal(cv_addr_parse("127.0.0.1", &c->name_server[0].addr), 0);
	return c;
}

/* A text of the entry in show crypto map: of itself, or of its name. "" = it is not there. */
static const char *shown(struct fixture *f, const char *key, bool of_name)
{
	static char text[128];
	json_t *a = ask(f, &f->r[0], "{\"show\": \"crypto map\"}", true);
	json_t *map = json_array_get(json_object_get(a, "maps"), 0);
	json_t *e = json_array_get(json_object_get(map, "entries"), 0);
	const char *v = json_string_value(
		json_object_get(of_name ? json_array_get(json_object_get(e, "peer_names"), 0) : e, key));

	snprintf(text, sizeof(text), "%s", v ? v : "");
	json_decref(a);
	return text;
}

static bool is_at(struct fixture *f, const char *address)
{
	return !strcmp(shown(f, "address", true), address);
}

static void tunnel(struct fixture *f)
{
	trigger(&f->r[0]);
	WAIT(f, state_of(&f->r[0]).sas == 2 && state_of(&f->r[1]).sas == 2);
}

/* IPSEC-50, RTR-7, RTR-8: of the addresses of a name the first one that can be ours to reach is the peer's. */
static void tunnel_to_a_name(void **state)
{
	struct fixture *f = *state;

	dns.address[0] = "192.0.2.1"; /* our own */
	dns.address[1] = "192.0.2.2";
	dns.address[2] = "192.0.2.99";
	start_with(f, named(false), side(1));
	WAIT(f, is_at(f, "192.0.2.2"));
	assert_string_equal(shown(f, "name", true), NAME);
	tunnel(f);
	assert_paired(&f->r[0], &f->r[1]);
	assert_string_equal(shown(f, "current_peer", false), "192.0.2.2");
	assert_true(session_is(f, &f->r[0], "UP-ACTIVE"));
}

/* IPSEC-50: a preshared key that is kept under the name serves the peer that it leads to, whoever begins. */
static void key_of_the_name(void **state)
{
	struct fixture *f = *state;
	struct cv_config *left = named(false);

	dns.address[0] = "192.0.2.2";
	left->keyring[0].psk[0].peer = (struct cv_prefix){0};
	left->keyring[0].psk[0].hostname = NAME;
	start_with(f, left, side(1));
	WAIT(f, is_at(f, "192.0.2.2"));
	tunnel(f);
}

/* RTR-4, RTR-8: a name without an address is a peer that cannot be reached, which show says, and it is asked for again.
 */
static void name_that_does_not_exist(void **state)
{
	struct fixture *f = *state;
	json_t *answer, *s;

	start_with(f, named(false), side(1));
	WAIT(f, dns.asked);
	WAIT(f, *shown(f, "error", true));
	trigger(&f->r[0]);
	WAIT(f, ike_stat(f, &f->r[0], "acquires_failed") == 1);
	assert_int_equal(ike_sas(f, &f->r[0]), 0);
	s = session0(f, &f->r[0], &answer);
	assert_string_equal(json_string_value(json_object_get(s, "status")), "DOWN");
	assert_string_equal(json_string_value(json_object_get(s, "peer_name")), NAME);
	assert_string_equal(json_string_value(json_object_get(s, "last_failure")), "name of the peer has no address");
	json_decref(answer);
	dns.address[0] = "192.0.2.2";
	WAIT(f, is_at(f, "192.0.2.2")); /* five seconds later */
	assert_string_equal(shown(f, "error", true), "");
	tunnel(f);
}

/* IPSEC-48, IDLE-7, PREF-8: while the name has no address, the second peer is asked; and when that one's tunnel has
 * ended for being idle, the turn is the default peer's again. */
static void other_peer_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct cv_config *left = named(true);
	char err[CFG_ERR_MAX];

	left->map[0].entry[0].default_peer = left->map[0].entry[0].idle_to_default = true;
	start_with(f, left, side(1));
	WAIT(f, *shown(f, "error", true));
	tunnel(f);
	assert_string_equal(shown(f, "current_peer", false), "192.0.2.2");
	left = named(true);
	left->map[0].entry[0].default_peer = left->map[0].entry[0].idle_to_default = true;
	assert_int_equal(config_resolve(left, err, NULL, NULL), 0);
	left->map[0].entry[0].idle_s = 1; /* shorter than an operator may */
	assert_string_equal(apply_resolved(f, &f->r[0], left), "");
	assert_string_equal(shown(f, "current_peer", false), "192.0.2.2");
	WAIT(f, state_of(&f->r[0]).sas == 0);
	WAIT(f, !*shown(f, "current_peer", false));
}

/* RTR-8: a tunnel that is up keeps its address, across commits too; when it ends, the name is asked for again. */
static void peer_that_moves(void **state)
{
	struct fixture *f = *state;
	uint64_t until;

	dns.address[0] = "192.0.2.2";
	start_with(f, named(false), side(1));
	WAIT(f, is_at(f, "192.0.2.2"));
	tunnel(f);
	dns.address[0] = "192.0.2.77";
	assert_string_equal(apply(f, &f->r[0], named(false)), "");
	assert_true(is_at(f, "192.0.2.2"));
	assert_int_equal(state_of(&f->r[0]).sas, 2);
	until = uv_hrtime() + 5500000000ull; /* nobody is asked again sooner */
	while (uv_hrtime() < until)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_true(is_at(f, "192.0.2.2"));
	json_decref(ask(f, &f->r[0], "{\"clear\": \"crypto session\"}", false));
	WAIT(f, is_at(f, "192.0.2.77"));
}

/* A server that says nothing stops nothing: commits, tunnels to others, and the end. */
static void silent_server(void **state)
{
	struct fixture *f = *state;

	dns.silent = true;
	start_with(f, named(true), side(1));
	tunnel(f);
	assert_string_equal(apply(f, &f->r[0], side(0)), ""); /* the name is gone, its question still open */
	assert_int_equal(state_of(&f->r[0]).sas, 2);
	assert_string_equal(apply(f, &f->r[0], named(true)), "");
	assert_int_equal(state_of(&f->r[0]).sas, 2);
}

#define DNS_TEST(f) cmocka_unit_test_setup_teardown(f, dns_setup, dns_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DNS_TEST(tunnel_to_a_name),
		DNS_TEST(key_of_the_name),
		DNS_TEST(name_that_does_not_exist),
		DNS_TEST(other_peer_meanwhile),
		DNS_TEST(peer_that_moves),
		DNS_TEST(silent_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
