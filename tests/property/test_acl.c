/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Access lists of interfaces against brute force: random lists that change all the time, in both families, with
 * ports, ICMP types, DSCP and fragments, on several interfaces; vectors of mixed packets. Which packets are left, in
 * which order, and what each line has counted is what looking at every line in turn says.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <rte_byteorder.h>

#include "../unit/fwd_env.h"
#include "acl.h"
#include "cv_addr.h"
#include "filter.h"
#include "iface.h"

#define LISTS 4u
#define LINES 40u /* of a list at most */
#define INTERFACES 3u
#define ROUNDS 600u

static unsigned seed = 20261122;

struct list {
	uint32_t n;
	struct cv_acl_line line[LINES];
};
static struct list lists[LISTS + 1];			       /* 1..LISTS */
static uint16_t in[INTERFACES + 1][2], out[INTERFACES + 1][2]; /* 1..INTERFACES */
static uint64_t expected[CV_ACL_COUNTERS];
static bool counter_used[CV_ACL_COUNTERS];

static uint32_t below(uint32_t n)
{
	return (uint32_t)random() % n;
}

static uint32_t denied_counter(uint32_t list)
{
	return 60000 + list;
}

static void some_addr(uint8_t af, struct cv_addr *a)
{
	const unsigned n = af == CV_AF_INET ? 4 : 16;

	*a = (struct cv_addr){.af = af};
	a->b[0] = af == CV_AF_INET ? 10 : 0x20;
	a->b[1] = (uint8_t)below(2);
	a->b[n - 1] = (uint8_t)(1 + below(6));
}

static void some_range(uint8_t af, struct cv_range *r)
{
	const unsigned n = af == CV_AF_INET ? 4 : 16;

	some_addr(af, &r->lo);
	r->hi = r->lo;
	const unsigned keep = below(3) == 0 ? 0 : below(2) ? 2 : n;

	memset(r->lo.b + keep, 0, n - keep);
	memset(r->hi.b + keep, 0xff, n - keep);
}

static const uint8_t protos[] = {6, 17, 1, 58, 50};

static uint32_t free_counter(void)
{
	uint32_t c;

	do
		c = 1 + below(2000);
	while (counter_used[c]);
	counter_used[c] = true;
	return c;
}

static void some_line(uint32_t list, uint32_t seq, struct cv_acl_line *l)
{
	const uint8_t af = below(2) ? CV_AF_INET : CV_AF_INET6;

	*l = (struct cv_acl_line){.ref = {list, free_counter()}, .seq = seq, .permit = below(3) != 0};
	some_range(af, &l->sel.src);
	some_range(af, &l->sel.dst);
	l->sel.sport_hi = l->sel.dport_hi = UINT16_MAX;
	if (below(3)) {
		l->sel.proto = protos[below(sizeof(protos))];
		if (below(2) && l->sel.proto != 50) {
			l->sel.sport_lo = (uint16_t)below(8);
			l->sel.sport_hi = (uint16_t)(l->sel.sport_lo + below(1500));
		}
		if (below(2) && (l->sel.proto == 6 || l->sel.proto == 17)) {
			l->sel.dport_lo = (uint16_t)below(8);
			l->sel.dport_hi = (uint16_t)(l->sel.dport_lo + below(4));
		}
	}
	l->dscp = below(4) ? 0 : UINT64_C(1) << below(4);
}

/* ---- changes ---- */

static void take_line(struct list *l, uint32_t i)
{
	const struct cv_acl_line_ref ref = l->line[i].ref;

	env_stage(CV_CMD_ACL_LINE_DEL, &ref, 0);
	counter_used[ref.counter] = false;
	expected[ref.counter] = 0;
	memmove(&l->line[i], &l->line[i + 1], (--l->n - i) * sizeof(l->line[0]));
}

static void put_line(uint32_t id)
{
	struct list *l = &lists[id];
	uint32_t seq = 1 + below(100000), at = 0;

	while (at < l->n && l->line[at].seq < seq)
		at++;
	if (at < l->n && l->line[at].seq == seq)
		return;
	memmove(&l->line[at + 1], &l->line[at], (l->n++ - at) * sizeof(l->line[0]));
	some_line(id, seq, &l->line[at]);
	env_stage(CV_CMD_ACL_LINE_SET, &l->line[at], 0);
}

static void change_lists(void)
{
	for (uint32_t n = below(6); n; n--) {
		const uint32_t id = 1 + below(LISTS);

		if (lists[id].n && below(2))
			take_line(&lists[id], below(lists[id].n));
		else if (lists[id].n < LINES)
			put_line(id);
	}
	if (below(4) == 0) {
		const uint32_t i = 1 + below(INTERFACES);
		struct cv_if c = iface_get(i)->cfg;

		for (int f = 0; f < 2; f++) {
			in[i][f] = c.acl_in[f] = (uint16_t)below(LISTS + 1);
			out[i][f] = c.acl_out[f] = (uint16_t)below(LISTS + 1);
		}
		env_stage(CV_CMD_IF_SET, &c, 0);
	}
	assert_int_equal(env_commit(), 0);
}

/* ---- packets ---- */

struct packet {
	uint8_t af, proto, dscp;
	uint16_t frag;
	struct cv_addr src, dst;
	uint16_t sport, dport;
	uint32_t if_id;
};

static void some_packet(struct packet *p)
{
	*p = (struct packet){.af = below(2) ? CV_AF_INET : CV_AF_INET6,
		.proto = protos[below(sizeof(protos))],
		.frag = below(4) ? 0 : (uint16_t)(1 + below(2)),
		.dscp = (uint8_t)below(4),
		.sport = (uint16_t)(below(2) ? below(10) : below(3000)),
		.dport = (uint16_t)below(10),
		.if_id = 1 + below(INTERFACES)};
	some_addr(p->af, &p->src);
	some_addr(p->af, &p->dst);
	if (p->proto == 58 && below(3) == 0)
		p->sport = (uint16_t)((135 + below(2)) << 8);
}

static struct rte_mbuf *packet_make(const struct packet *p, bool leaving)
{
	struct rte_mbuf *m = dp_alloc();
	struct pkt_meta *meta = pkt_meta(m);
	const uint16_t head = p->af == CV_AF_INET ? 20 : 40;
	uint8_t *ip = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(head + 20));

	memset(ip, 0, head + 20u);
	if (p->af == CV_AF_INET) {
		ip[0] = 0x45;
		ip[1] = (uint8_t)(p->dscp << 2);
		ip[9] = p->proto;
		memcpy(ip + 12, p->src.b, 4);
		memcpy(ip + 16, p->dst.b, 4);
	} else {
		ip[0] = (uint8_t)(0x60 | p->dscp >> 2);
		ip[1] = (uint8_t)(p->dscp << 6);
		ip[6] = p->proto;
		memcpy(ip + 8, p->src.b, 16);
		memcpy(ip + 24, p->dst.b, 16);
	}
	uint16_t ports[2] = {rte_cpu_to_be_16(p->sport), rte_cpu_to_be_16(p->dport)};

	memcpy(ip + head, ports, sizeof(ports));
	*meta = (struct pkt_meta){
		.flags = p->af == CV_AF_INET ? 0 : PKT_F_IP6, .l4_proto = p->proto, .l4_off = head, .frag = p->frag};
	*(leaving ? &meta->if_tx : &meta->if_rx) = p->if_id;
	return m;
}

/* ---- the reference ---- */

static bool in_range(const struct cv_range *r, const struct cv_addr *a)
{
	return r->lo.af == a->af && memcmp(a->b, r->lo.b, 16) >= 0 && memcmp(a->b, r->hi.b, 16) <= 0;
}

static bool line_matches(const struct cv_acl_line *l, const struct packet *p)
{
	const struct cv_selector *s = &l->sel;
	const bool icmp = p->proto == 1 || p->proto == 58, ports = p->proto == 6 || p->proto == 17;
	const uint16_t sport = icmp || ports ? p->sport : 0, dport = ports ? p->dport : 0;

	if (!in_range(&s->src, &p->src) || !in_range(&s->dst, &p->dst) || (s->proto && s->proto != p->proto) ||
		(l->dscp && !(l->dscp >> p->dscp & 1)))
		return false;
	if (!s->sport_lo && s->sport_hi == UINT16_MAX && !s->dport_lo && s->dport_hi == UINT16_MAX)
		return true;
	if (p->frag == 2)
		return l->permit;
	return sport >= s->sport_lo && sport <= s->sport_hi && dport >= s->dport_lo && dport <= s->dport_hi;
}

/* Does it pass? Counts. */
static bool judge(const struct packet *p, uint32_t list)
{
	for (uint32_t i = 0; list && i < lists[list].n; i++) {
		const struct cv_acl_line *l = &lists[list].line[i];

		if (!line_matches(l, p))
			continue;
		expected[l->ref.counter]++;
		return l->permit;
	}
	if (!list || (p->proto == 58 && p->af == CV_AF_INET6 && p->frag == 0 &&
			     (p->sport >> 8 == 135 || p->sport >> 8 == 136)))
		return true;
	expected[denied_counter(list)]++;
	return false;
}

static void one_vector(uint32_t *passed, uint32_t *dropped)
{
	const bool leaving = below(2);
	struct rte_mbuf *want[DP_VEC];
	struct packet p;
	struct pkt_vec v = {.n = 1 + below(DP_VEC)};
	uint32_t n = 0;

	for (uint32_t i = 0; i < v.n; i++) {
		if (i == 0 || below(3)) /* flows repeat themselves */
			some_packet(&p);
		v.pkt[i] = packet_make(&p, leaving);
		if (judge(&p, (leaving ? out : in)[p.if_id][p.af == CV_AF_INET6]))
			want[n++] = v.pkt[i];
	}
	*dropped += v.n - n;
	*passed += n;
	if (leaving)
		filter_output(env_worker(), &v, iface_view(), false);
	else
		filter_input(env_worker(), &v, iface_view());
	assert_int_equal(v.n, n);
	for (uint32_t i = 0; i < n; i++) {
		assert_ptr_equal(v.pkt[i], want[i]);
		rte_pktmbuf_free(v.pkt[i]);
	}
}

static void agrees_with_brute_force(void **state)
{
	uint32_t passed = 0, dropped = 0;

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	env_sync();
	env_two_ports();
	env_vlan(3, 1, 30, 0, "10.3.0.1/24");
	for (uint32_t i = 1; i <= LISTS; i++)
		env_acl(i, denied_counter(i));
	assert_int_equal(env_commit(), 0);
	for (uint32_t r = 0; r < ROUNDS; r++) {
		change_lists();
		for (int i = 0; i < 4; i++)
			one_vector(&passed, &dropped);
		for (uint32_t c = 1; c < CV_ACL_COUNTERS; c++)
			if (env_acl_count(c) != expected[c])
				fail_msg("round %u: counter %u is %llu, not %llu", r, c,
					(unsigned long long)env_acl_count(c), (unsigned long long)expected[c]);
	}
	assert_true(passed > ROUNDS * 50 && dropped > ROUNDS * 50);
	assert_int_equal(env_drops(DROP_ACL_IN) + env_drops(DROP_ACL_OUT), dropped);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(agrees_with_brute_force, env_teardown),
	};

	if (argc > 1)
		seed = (unsigned)atoi(argv[1]);
	env_init();
	env_ports(2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
