/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The forwarding tables against brute force: random prefixes of both families added and removed in transactions, some
 * of which are aborted, in several tables of one arena (trie.h), and the same through the module that resolves
 * gateways (fib.h). After each transaction random addresses, near the prefixes, must give what a linear search gives.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "../unit/fwd_env.h"
#include "cv_addr.h"
#include "fib.h"
#include "neigh.h"
#include "trie.h"

#define TABLES 3u
#define PREFIXES 300u
#define ROUNDS 150u
#define PROBES 200u

static unsigned seed;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(((uint64_t)random() << 16 ^ (uint64_t)random()) % n);
}

/* ---- the trie alone ---- */

struct ref_prefix {
	struct trie_key key;
	unsigned plen;
	uint32_t value;
};

struct ref_table {
	unsigned n;
	struct ref_prefix p[PREFIXES];
	uint32_t root;
};

static struct ref_table tables[TABLES], saved[TABLES];

static void mask(struct trie_key *k, unsigned plen)
{
	for (unsigned bit = plen; bit < 128; bit++)
		k->b[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
}

/* Few different bytes, so that prefixes nest, share paths and part late. */
static struct trie_key random_key(unsigned bits)
{
	static const uint8_t bytes[] = {0, 1, 2, 127, 128, 254, 255, 10};
	struct trie_key k = {.q = {0, 0}};

	for (unsigned i = 0; i < bits / 8; i++)
		k.b[i] = below(8) ? bytes[below(below(4) ? 3 : 8)] : (uint8_t)below(256);
	return k;
}

static int ref_find(const struct ref_table *t, const struct trie_key *k, unsigned plen)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->p[i].plen == plen && memcmp(t->p[i].key.b, k->b, 16) == 0)
			return (int)i;
	return -1;
}

static bool covers(const struct ref_prefix *p, const struct trie_key *k)
{
	struct trie_key m = *k;

	mask(&m, p->plen);
	return memcmp(m.b, p->key.b, 16) == 0;
}

static const struct ref_prefix *ref_lookup(const struct ref_table *t, const struct trie_key *k, int max_plen)
{
	const struct ref_prefix *best = NULL;

	for (unsigned i = 0; i < t->n; i++)
		if ((int)t->p[i].plen <= max_plen && covers(&t->p[i], k) && (!best || t->p[i].plen > best->plen))
			best = &t->p[i];
	return best;
}

static void random_set(struct ref_table *t, unsigned bits)
{
	struct ref_prefix p = {.key = random_key(bits), .plen = below(bits + 1), .value = 1 + below(1000000)};

	if (t->n && below(2)) { /* along an existing prefix, parting from it late */
		p.key = t->p[below(t->n)].key;
		p.key.b[below(bits / 8)] ^= (uint8_t)(1u << below(8));
	}
	mask(&p.key, p.plen);
	int i = ref_find(t, &p.key, p.plen);

	if (i < 0 && t->n == PREFIXES)
		return;
	t->p[i < 0 ? (int)t->n++ : i] = p;
	assert_int_equal(trie_set(&t->root, &p.key, p.plen, p.value), 0);
}

static void random_del(struct ref_table *t)
{
	if (t->n == 0)
		return;
	unsigned i = below(t->n);
	struct ref_prefix p = t->p[i];

	t->p[i] = t->p[--t->n];
	const struct ref_prefix *cover = ref_lookup(t, &p.key, (int)p.plen - 1);
	bool near = cover && cover->plen >= trie_same_node(p.plen);

	assert_int_equal(trie_del(&t->root, &p.key, p.plen, near ? cover->value : 0, near ? cover->plen : 0), 0);
}

/* An address inside or beside a prefix of the table, or any. */
static struct trie_key probe(const struct ref_table *t, unsigned bits)
{
	struct trie_key k = random_key(bits);

	if (t->n && below(4)) {
		const struct ref_prefix *p = &t->p[below(t->n)];
		unsigned whole = p->plen / 8;

		memcpy(k.b, p->key.b, whole);
		if (below(3) == 0 && whole)
			k.b[whole - 1] ^= (uint8_t)(1u << below(8));
	}
	return k;
}

static void check(const struct ref_table *t, unsigned bits)
{
	struct trie_key key[PROBES];
	uint32_t root[PROBES], value[PROBES];

	for (unsigned i = 0; i < PROBES; i++) {
		key[i] = probe(t, bits);
		root[i] = t->root;
	}
	trie_lookup_bulk(root, key, value, PROBES);
	for (unsigned i = 0; i < PROBES; i++) {
		const struct ref_prefix *want = ref_lookup(t, &key[i], (int)bits);

		if (value[i] != (want ? want->value : 0))
			fail_msg("seed %u: bulk look-up gave %u, not %u", seed, value[i], want ? want->value : 0);
		assert_int_equal(trie_lookup(t->root, &key[i], 0), value[i]);
	}
}

static void now_free(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

static void run_trie(unsigned bits)
{
	memset(tables, 0, sizeof(tables));
	uint32_t before = trie_nodes();

	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned changes = 1 + below(below(10) ? 8 : 150), grow = 2 + round % 100 / 20;

		memcpy(saved, tables, sizeof(saved));
		trie_begin();
		for (unsigned c = 0; c < changes; c++) {
			struct ref_table *t = &tables[below(TABLES)];

			if (below(6) < grow)
				random_set(t, bits);
			else
				random_del(t);
		}
		if (below(4) == 0) {
			trie_abort();
			memcpy(tables, saved, sizeof(tables));
		} else {
			/* Readers that still hold the old roots see the old tables until they are freed. */
			for (unsigned t = 0; t < TABLES; t++)
				check(&saved[t], bits);
			trie_commit(now_free);
		}
		for (unsigned t = 0; t < TABLES; t++)
			check(&tables[t], bits);
	}
	trie_begin();
	for (unsigned t = 0; t < TABLES; t++)
		while (tables[t].n)
			random_del(&tables[t]);
	trie_commit(now_free);
	for (unsigned t = 0; t < TABLES; t++)
		assert_int_equal(tables[t].root, TRIE_NONE);
	assert_int_equal(trie_nodes(), before); /* nothing lost, nothing freed twice */
}

static void test_trie_ipv4(void **state)
{
	(void)state;
	run_trie(32);
}

static void test_trie_ipv6(void **state)
{
	(void)state;
	run_trie(128);
}

/* ---- routes through the module ---- */

#define VRFS 3u
#define ROUTES 150u

static struct {
	unsigned n;
	struct cv_route r[ROUTES];
} model, model_saved;

static struct cv_prefix random_prefix(uint8_t af)
{
	struct cv_prefix p = {.addr.af = af, .len = (uint8_t)below(af == CV_AF_INET ? 33 : 129)};
	struct trie_key k = random_key(af == CV_AF_INET ? 32 : 128);

	/* Away from 10.9/16 and fd09::/16, where the interfaces are. */
	k.b[0] = af == CV_AF_INET ? 20 : 0x20;
	memcpy(p.addr.b, k.b, 16);
	if (p.len < 8)
		p.len = 8;
	cv_prefix_mask(&p);
	return p;
}

static void change_route(void)
{
	uint8_t af = below(2) ? CV_AF_INET : CV_AF_INET6;

	if (model.n && below(3) == 0) {
		unsigned i = below(model.n);
		struct cv_route_ref ref = {.vrf_id = model.r[i].vrf_id, .prefix = model.r[i].prefix};

		model.r[i] = model.r[--model.n];
		env_stage(CV_CMD_ROUTE_DEL, &ref, 0);
		return;
	}
	struct cv_route r = {.vrf_id = below(VRFS), .prefix = random_prefix(af), .n_nh = 1};

	/* Gateways in the connected subnets of VRF 0 (VRF-12), found recursively or by name of the interface. */
	r.nh[0] = (struct cv_nexthop){.type = CV_NH_GATEWAY, .weight = 1, .if_id = below(2), .vrf_id = 0};
	char gw[64];

	snprintf(gw, sizeof(gw), af == CV_AF_INET ? "10.9.0.%u" : "fd09::%x", 2 + below(200));
	assert_int_equal(cv_addr_parse(gw, &r.nh[0].gw), 0);
	for (unsigned i = 0; i < model.n; i++) {
		if (model.r[i].vrf_id == r.vrf_id && memcmp(&model.r[i].prefix, &r.prefix, sizeof(r.prefix)) == 0) {
			model.r[i] = r;
			env_stage(CV_CMD_ROUTE_SET, &r, 0);
			return;
		}
	}
	if (model.n == ROUTES)
		return;
	model.r[model.n++] = r;
	env_stage(CV_CMD_ROUTE_SET, &r, 0);
}

static void check_routes(void)
{
	for (unsigned i = 0; i < PROBES; i++) {
		uint8_t af = below(2) ? CV_AF_INET : CV_AF_INET6;
		uint32_t vrf = below(VRFS);
		struct cv_addr a = random_prefix(af).addr;
		const struct cv_route *best = NULL;

		for (unsigned j = 0; j < model.n; j++) {
			const struct cv_route *r = &model.r[j];

			if (r->vrf_id == vrf && cv_prefix_contains(&r->prefix, &a) &&
				(!best || r->prefix.len > best->prefix.len))
				best = r;
		}
		uint32_t w = fib_lookup(vrf, &a);

		if (FIB_KIND(w) != (best ? FIB_ADJ : FIB_NONE))
			fail_msg("seed %u: kind %d with%s a route", seed, (int)FIB_KIND(w), best ? "" : "out");
		if (best)
			assert_true(cv_addr_eq(&adj_table[FIB_NUM(w)].nexthop, &best->nh[0].gw));
	}
}

/* The dump must name every route once, whatever the size of the replies. */
static void check_dump(void)
{
	unsigned seen = 0;

	for (uint32_t vrf = 0; vrf < VRFS; vrf++) {
		struct cv_cmd_dump req = {.kind = CV_DUMP_FIB, .scope = vrf};
		struct cv_dump_reply rep;

		do {
			fib_dump(&req, &rep);
			for (unsigned i = 0; i < rep.n; i++) {
				struct cv_fib_entry e;

				memcpy(&e, rep.entries + i * rep.entry_size, sizeof(e));
				seen += e.route.origin != FIB_ORIGIN_LOCAL && e.route.origin != FIB_ORIGIN_CONNECTED;
				assert_int_equal(e.route.nh[0].if_id, 1);
			}
			req.cursor = rep.next;
		} while (rep.next);
	}
	assert_int_equal(seen, model.n);
}

static void test_routes(void **state)
{
	(void)state;
	for (uint32_t v = 1; v < VRFS; v++)
		env_vrf(v);
	env_eth(1, 0, 0, "10.9.0.1/24");
	env_addr(1, "fd09::1/64");
	assert_int_equal(env_commit(), 0);
	uint32_t nodes = trie_nodes();

	for (unsigned round = 0; round < ROUNDS; round++) {
		model_saved = model;
		for (unsigned c = 1 + below(10); c > 0; c--)
			change_route();
		if (below(4) == 0) {
			env_abort();
			model = model_saved;
		} else {
			assert_int_equal(env_commit(), 0);
		}
		check_routes();
		if (round % 20 == 0)
			check_dump();
	}
	env_sync();
	for (uint32_t v = 1; v < VRFS; v++)
		env_vrf(v);
	env_eth(1, 0, 0, "10.9.0.1/24");
	env_addr(1, "fd09::1/64");
	assert_int_equal(env_commit(), 0);
	model.n = 0;
	check_routes();
	assert_int_equal(trie_nodes(), nodes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trie_ipv4),
		cmocka_unit_test(test_trie_ipv6),
		cmocka_unit_test(test_routes),
	};
	const char *s = getenv("CULVERT_TEST_SEED");

	seed = s ? (unsigned)strtoul(s, NULL, 10) : (unsigned)time(NULL);
	printf("seed %u (CULVERT_TEST_SEED repeats it)\n", seed);
	srandom(seed);
	env_init();
	env_ports(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
