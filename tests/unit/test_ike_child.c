/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What children are negotiated, two engines against each other, both versions of IKE: AH (IPSEC-11, IPSEC-17),
 * transport mode (IPSEC-21), extended sequence numbers (RFC 4304), several kinds of transform sets in one entry
 * (IPSEC-22, 49). And what must not end them (ISPI-11).
 */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "ike_env.h"

#define AH(i)                                                                                                          \
	{                                                                                                              \
		.ah = CV_INTEG_##i                                                                                     \
	}
#define ESP(e)                                                                                                         \
	{                                                                                                              \
		.encr = CV_ENCR_##e                                                                                    \
	}

/* The transform sets of the two hosts, ended by a set without a name. */
static const struct cfg_transform_set *sets[2];
static bool between_peers; /* the flow is that between the two ends themselves */
static const enum cfg_ike_version versions[] = {CFG_IKEV1, CFG_IKEV2};

static void tweak(struct cv_config *c, int host)
{
	struct cfg_map_entry *e = c->map->entry;
	unsigned n = 0;

	c->allow_legacy = true;
	for (; sets[host][n].name; n++) {
		c->transform_set[n] = sets[host][n];
		e->transform_set[n] = sets[host][n].name;
	}
	c->n_transform_set = e->n_transform_set = n;
	if (between_peers) {
		struct cv_selector *s = &c->acl->line[0].sel;
		struct cv_addr left, right;

		assert_int_equal(cv_addr_parse("192.0.2.1", &left), 0);
		assert_int_equal(cv_addr_parse("192.0.2.2", &right), 0);
		s->src.lo = s->src.hi = host ? right : left;
		s->dst.lo = s->dst.hi = host ? left : right;
	}
}

/* Negotiate from host 0; returns its newest pair, NULL when none came up. */
static struct pair_child *negotiate(enum cfg_ike_version version, const struct cfg_transform_set *left,
	const struct cfg_transform_set *right, bool peers)
{
	sets[0] = left;
	sets[1] = right;
	between_peers = peers;
	p = pair_new(version, tweak);
	pair_acquire(p, 0, 0);
	pair_run(p, 3000);
	if (!pair_n_children(p, 0))
		return NULL;
	assert_true(pair_children_agree(p, 1));
	const struct pair_child *l = pair_newest(p, 0), *r = pair_newest(p, 1);
	assert_int_equal(l->p.esn, r->p.esn);
	assert_int_equal(l->p.transport, r->p.transport);
	return pair_newest(p, 0);
}

/* Every AH there is, with keys of its length, renewed and closed again: AH SPIs are named as such in all messages. */
static void every_ah(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 2; v++)
		for (unsigned i = CV_INTEG_NONE + 1; i < CV_INTEG_MAX; i++) {
			const struct cfg_transform_set t[] = {
				{.name = "t", .suite = {.ah = (uint8_t)i}}, {.name = NULL}};
			if (versions[v] == CFG_IKEV1 && !algo_integ_get(i)->v1_ah)
				continue;
			struct pair_child *c = negotiate(versions[v], t, t, false);
			assert_non_null(c);
			assert_true(algo_suite_equal(c->p.suite, t->suite));
			assert_int_equal(c->keys.len, algo_key_len(CV_ENCR_NONE, i));
			ike_child_expire(p->h[0].ike, c->id, false);
			pair_run(p, 60000);
			assert_true(pair_children_agree(p, 1));
			assert_int_equal(pair_stat(p, 0, "child_rekeyed"), 1);
			ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, true);
			pair_run(p, 60000);
			assert_int_equal(pair_n_children(p, 1), 0);
			teardown(NULL);
		}
}

/* AES-CMAC has no number in IKEv1: an entry with nothing else says so. */
static void no_number_in_v1(void **state)
{
	const struct cfg_transform_set t[] = {{.name = "t", .suite = AH(AES_CMAC_96)}, {.name = NULL}};

	(void)state;
	assert_null(negotiate(CFG_IKEV1, t, t, false));
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "no transform set that IKEv1 can negotiate");
}

static void esn(void **state)
{
	const struct cfg_transform_set with[] = {
		{.name = "t", .suite = ESP(AES128_GCM16), .esn = true}, {.name = NULL}};
	const struct cfg_transform_set without[] = {{.name = "t", .suite = ESP(AES128_GCM16)}, {.name = NULL}};
	const struct cfg_transform_set both[] = {{.name = "t", .suite = ESP(AES128_GCM16), .esn = true},
		{.name = "u", .suite = ESP(AES128_GCM16)}, {.name = NULL}};

	(void)state;
	for (unsigned v = 0; v < 2; v++) {
		assert_true(negotiate(versions[v], with, with, false)->p.esn);
		teardown(NULL);
		assert_false(negotiate(versions[v], without, without, false)->p.esn);
		teardown(NULL);
		assert_null(negotiate(versions[v], with, without, false));
		teardown(NULL);
		assert_null(negotiate(versions[v], without, with, false));
		teardown(NULL);
		assert_false(negotiate(versions[v], both, without, false)->p.esn);
		teardown(NULL);
		assert_true(negotiate(versions[v], with, both, false)->p.esn);
		teardown(NULL);
	}
}

/* IPSEC-21, IPSEC-T9: transport mode only between the peers themselves, whatever the transform set says. */
static void transport_mode(void **state)
{
	const struct cfg_transform_set transport[] = {
		{.name = "t", .suite = ESP(AES128_GCM16), .transport = true}, {.name = NULL}};
	const struct cfg_transform_set ah[] = {
		{.name = "t", .suite = AH(HMAC_SHA256_128), .transport = true}, {.name = NULL}};
	const struct cfg_transform_set tunnel[] = {{.name = "t", .suite = ESP(AES128_GCM16)}, {.name = NULL}};

	(void)state;
	for (unsigned v = 0; v < 2; v++) {
		assert_true(negotiate(versions[v], transport, transport, true)->p.transport);
		/* a successor is of the same kind */
		ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, false);
		pair_run(p, 60000);
		assert_true(pair_newest(p, 0)->p.transport);
		teardown(NULL);
		assert_true(negotiate(versions[v], ah, ah, true)->p.transport);
		teardown(NULL);
		assert_false(negotiate(versions[v], transport, transport, false)->p.transport);
		teardown(NULL);
		assert_false(negotiate(versions[v], tunnel, tunnel, true)->p.transport);
		teardown(NULL);
		/* tunnel mode carries it as well: who only prefers transport mode takes part */
		assert_false(negotiate(versions[v], tunnel, transport, true)->p.transport);
		teardown(NULL);
	}
	/* IKEv2 negotiates the mode apart: declined means tunnel mode (RFC 7296 1.3.1) */
	assert_false(negotiate(CFG_IKEV2, transport, tunnel, true)->p.transport);
	teardown(NULL);
	/* in IKEv1 it is part of the proposal */
	assert_null(negotiate(CFG_IKEV1, transport, tunnel, true));
}

/* AH and ESP side by side in one entry: the first one that both have (IPSEC-22, IPSEC-49). */
static void mixed_protocols(void **state)
{
	const struct cfg_transform_set left[] = {{.name = "a", .suite = ESP(AES256_GCM16)},
		{.name = "b", .suite = AH(HMAC_SHA512_256)}, {.name = "c", .suite = AH(HMAC_SHA256_128)},
		{.name = "d", .suite = ESP(AES128_GCM16)}, {.name = NULL}};
	const struct cfg_transform_set ah[] = {{.name = "a", .suite = AH(HMAC_SHA256_128)}, {.name = NULL}};
	const struct cfg_transform_set esp[] = {{.name = "a", .suite = ESP(AES128_GCM16)}, {.name = NULL}};

	(void)state;
	for (unsigned v = 0; v < 2; v++) {
		assert_true(algo_suite_equal(negotiate(versions[v], left, ah, false)->p.suite, ah->suite));
		teardown(NULL);
		assert_true(algo_suite_equal(negotiate(versions[v], left, esp, false)->p.suite, esp->suite));
		teardown(NULL);
		assert_true(algo_suite_equal(negotiate(versions[v], ah, left, false)->p.suite, ah->suite));
		teardown(NULL);
	}
}

/* Mode and sequence numbers survive a restart of the control process. */
static void restored(void **state)
{
	const struct cfg_transform_set t[] = {
		{.name = "t", .suite = AH(HMAC_SHA384_192), .transport = true, .esn = true}, {.name = NULL}};

	(void)state;
	for (unsigned v = 0; v < 2; v++) {
		assert_non_null(negotiate(versions[v], t, t, true));
		pair_restart(p, 0);
		pair_restart(p, 1);
		ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, false);
		pair_run(p, 60000);
		assert_true(pair_children_agree(p, 1));
		assert_true(pair_newest(p, 0)->p.transport && pair_newest(p, 0)->p.esn);
		assert_true(algo_suite_equal(pair_newest(p, 0)->p.suite, t->suite));
		teardown(NULL);
	}
}

static void put_spi(uint8_t *to, const char *field)
{
	uint64_t spi = strtoull(pair_show(p, 1, field), NULL, 16);

	for (unsigned i = 0; i < 8; i++)
		to[i] = (uint8_t)(spi >> (56 - 8 * i));
}

/* An INVALID_SPI about the SA that host 1 sends on, in clear, as anybody could send it who has seen the IKE SA's SPIs.
 */
static size_t clear_notify(uint8_t *b, enum cfg_ike_version version, uint32_t message_id)
{
	const uint32_t spi = pair_newest(p, 1)->p.spi_out;
	const uint8_t spi_be[4] = {(uint8_t)(spi >> 24), (uint8_t)(spi >> 16), (uint8_t)(spi >> 8), (uint8_t)spi};
	const bool v2 = version == CFG_IKEV2;
	const size_t len = 28 + (v2 ? 12 : 16);

	memset(b, 0, len);
	put_spi(b, "spi_i");
	put_spi(b + 8, "spi_r");
	b[16] = v2 ? 41 : 11;	  /* notify */
	b[17] = v2 ? 0x20 : 0x10; /* version */
	b[18] = v2 ? 37 : 5;	  /* informational */
	b[19] = v2 ? 0x08 : 0;	  /* host 0 was the initiator */
	b[20] = (uint8_t)(message_id >> 24);
	b[23] = (uint8_t)message_id;
	b[27] = (uint8_t)len;
	b[31] = (uint8_t)(len - 28);
	if (v2) {
		b[35] = 11; /* INVALID_SPI (RFC 7296 3.10.1) */
		memcpy(b + 36, spi_be, 4);
	} else {
		const uint8_t body[] = {
			0, 0, 0, 1, 3, 4, 0, 11}; /* DOI, ESP, size of an SPI, INVALID-SPI (RFC 2408 3.14.1) */

		memcpy(b + 32, body, sizeof(body));
		memcpy(b + 40, spi_be, 4);
	}
	return len;
}

/* ISPI-11: what does not come through the authenticated IKE SA changes nothing, whatever its message id. */
static void clear_notifies_are_ignored(void **state)
{
	const struct cfg_transform_set t[] = {{.name = "t", .suite = ESP(AES128_GCM16)}, {.name = NULL}};

	(void)state;
	for (unsigned v = 0; v < 2; v++) {
		assert_non_null(negotiate(versions[v], t, t, false));
		struct ike_path path = {.local = p->h[1].addr, .remote = p->h[0].addr, .lport = 500, .rport = 500};
		uint8_t b[64];

		for (uint32_t id = 0; id < 16; id++) {
			size_t len = clear_notify(b, versions[v], id << (versions[v] == CFG_IKEV1 ? 24 : 0));

			ike_input(p->h[1].ike, &path, false, b, len);
			pair_run(p, 500);
		}
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_n_sas(p, 1), 1);
		teardown(NULL);
	}
}

#define T(name) cmocka_unit_test_teardown(name, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {T(every_ah), T(no_number_in_v1), T(esn), T(transport_mode),
		T(mixed_protocols), T(restored), T(clear_notifies_are_ignored)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
