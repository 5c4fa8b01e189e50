/* SPDX-License-Identifier: BSD-3-Clause */
/* ESP packets: known answers made by scapy, round trips, damage, replay, lifetimes, sizes. */
#define ALLOW_EXPERIMENTAL_API
#include "events.h"
#include "ipsec_rig.h"

#include <rte_ip.h>
#include <rte_udp.h>

#include "fib.h"
#include "unhex.h"

struct esp_vector {
	struct algo_suite suite;
	uint32_t spi, seq;
	bool natt;
	int outer;
	const char *key, *clear, *wire;
};
#include "esp_vectors.h"
#define N_VECTORS (sizeof(esp_vectors) / sizeof(esp_vectors[0]))

static void vector_sa(const struct esp_vector *v, enum cv_sa_dir dir, struct cv_sa *sa)
{
	rig_sa(sa, dir, v->suite, v->outer == 4 ? CV_AF_INET : CV_AF_INET6, 2);
	sa->spi = v->spi;
	sa->flags = v->natt ? CV_SA_F_UDP_ENCAP : 0;
	assert_int_equal(unhex(v->key, sa->key), sa->key_len);
}

static void decrypts_what_scapy_encrypted(void **state)
{
	(void)state;
	uint8_t wire[2000], clear[2000];
	for (size_t i = 0; i < N_VECTORS; i++) {
		struct cv_sa sa;
		vector_sa(&esp_vectors[i], CV_SA_IN, &sa);
		sa.replay_window = 64;
		assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &sa), 0);
		size_t n = unhex(esp_vectors[i].wire, wire), len = unhex(esp_vectors[i].clear, clear);
		struct rte_mbuf *m = rig_in(rig_packet(wire, n));
		assert_non_null(m);
		assert_int_equal(m->pkt_len, len);
		assert_memory_equal(rte_pktmbuf_mtod(m, void *), clear, len);
		assert_int_equal(pkt_meta(m)->flags & PKT_F_DECAPPED, PKT_F_DECAPPED);
		assert_int_equal(pkt_meta(m)->sa, 2);
		rte_pktmbuf_free(m);
		assert_int_equal(sa_get(2)->state->replay->top, esp_vectors[i].seq);
		rig_reset();
	}
}

/* GCM is deterministic once the IV is: the whole ESP part must come out the same. */
static void encrypts_what_scapy_encrypts(void **state)
{
	(void)state;
	uint8_t wire[2000], clear[2000];
	unsigned done = 0;
	for (size_t i = 0; i < N_VECTORS; i++) {
		const struct esp_vector *v = &esp_vectors[i];
		if (algo_encr_get(v->suite.encr)->salt_len == 0)
			continue;
		struct cv_sa sa;
		vector_sa(v, CV_SA_OUT, &sa);
		rig_protect_all();
		size_t n = unhex(v->wire, wire), len = unhex(v->clear, clear);
		sa.rule_id = clear[0] >> 4 == 4 ? RIG_RULE : RIG_RULE + 1;
		assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &sa), 0);
		sa_get(2)->state->seq = v->seq - 1u;
		struct rte_mbuf *m = rig_out(rig_packet(clear, len));
		assert_non_null(m);
		assert_int_equal(m->pkt_len, n);
		size_t off = (v->outer == 4 ? 20 : 40) + (v->natt ? 8 : 0);
		assert_memory_equal(rte_pktmbuf_mtod_offset(m, void *, off), wire + off, n - off);
		rte_pktmbuf_free(m);
		rig_reset();
		done++;
	}
	assert_true(done >= 9);
}

/* ---- round trips ---- */

static void check_outer(const struct rte_mbuf *m, const struct cv_sa *sa, uint8_t tos)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	bool udp = sa->flags & CV_SA_F_UDP_ENCAP;
	size_t ip_len = sa->src.af == CV_AF_INET ? 20 : 40;
	if (sa->src.af == CV_AF_INET) {
		const struct rte_ipv4_hdr *ip = (const void *)p;
		assert_int_equal(ip->version_ihl, 0x45);
		assert_int_equal(ip->type_of_service, tos);
		assert_int_equal(rte_be_to_cpu_16(ip->total_length), m->pkt_len);
		assert_int_equal(ip->time_to_live, 64);
		assert_int_equal(ip->next_proto_id, udp ? 17 : 50);
		assert_int_equal(rte_raw_cksum(ip, 20), 0xffff);
		assert_memory_equal(&ip->src_addr, sa->src.b, 4);
		assert_memory_equal(&ip->dst_addr, sa->dst.b, 4);
	} else {
		const struct rte_ipv6_hdr *ip = (const void *)p;
		assert_int_equal(rte_be_to_cpu_32(ip->vtc_flow) >> 20, 0x600u | tos);
		assert_int_equal(rte_be_to_cpu_16(ip->payload_len), m->pkt_len - 40);
		assert_int_equal(ip->hop_limits, 64);
		assert_int_equal(ip->proto, udp ? 17 : 50);
		assert_memory_equal(ip->src_addr, sa->src.b, 16);
		assert_memory_equal(ip->dst_addr, sa->dst.b, 16);
	}
	if (!udp)
		return;
	const struct rte_udp_hdr *u = (const void *)(p + ip_len);
	assert_int_equal(rte_be_to_cpu_16(u->src_port), sa->udp_src);
	assert_int_equal(rte_be_to_cpu_16(u->dst_port), sa->udp_dst);
	assert_int_equal(rte_be_to_cpu_16(u->dgram_len), m->pkt_len - ip_len);
	if (ip_len == 20)
		assert_int_equal(u->dgram_cksum, 0); /* RFC 3948 2.1 */
	else
		assert_int_equal(rte_ipv6_udptcp_cksum_verify((const void *)p, u), 0);
}

/* Out and in again through two SAs with the same key. */
static void one_trip(const struct cv_sa *out, uint8_t inner_af, uint32_t len, uint32_t seed)
{
	static uint8_t before[10000];
	struct rte_mbuf *m = rig_udp(inner_af, len, false, seed);
	memcpy(before, rte_pktmbuf_mtod(m, void *), len);
	m = rig_out(m);
	assert_non_null(m);
	assert_int_equal(pkt_meta(m)->flags & PKT_F_PROTECTED, PKT_F_PROTECTED);
	check_outer(m, out, 0xb8);
	assert_int_equal(pkt_meta(m)->adj, FIB_WORD(FIB_ADJ, 5));
	assert_int_equal(pkt_meta(m)->vrf, out->front_vrf);
	m = rig_in(m);
	assert_non_null(m);
	assert_int_equal(pkt_meta(m)->vrf, 5);
	assert_int_equal(m->pkt_len, len);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), before, len);
	rte_pktmbuf_free(m);
}

static void pair(struct algo_suite suite, uint8_t outer_af, bool natt, struct cv_sa *out, struct cv_sa *in)
{
	rig_sa(out, CV_SA_OUT, suite, outer_af, 4);
	rig_sa(in, CV_SA_IN, suite, outer_af, 4);
	in->index = 5;
	in->spi = 0x12340005;
	out->spi = in->spi;
	in->front_vrf = out->front_vrf = 9;
	in->inside_vrf = 5;
	in->replay_window = 64;
	out->flags = in->flags = natt ? CV_SA_F_UDP_ENCAP : 0;
}

static void install(const struct cv_sa *out, const struct cv_sa *in)
{
	const struct rig_cmd c[] = {{CV_CMD_SA_ADD, in}, {CV_CMD_SA_ADD, out}};
	rig_protect_all();
	assert_int_equal(rig_transaction(false, c, 2), 0);
}

static void round_trips_in_every_combination(void **state)
{
	(void)state;
	struct algo_suite suite;
	for (unsigned n_suite = 0; rig_suite(n_suite, &suite); n_suite++)
		for (unsigned combo = n_suite % 8; combo < 8; combo += 8) {
			uint8_t inner = combo & 1 ? CV_AF_INET6 : CV_AF_INET;
			uint8_t outer = combo & 2 ? CV_AF_INET6 : CV_AF_INET;
			struct cv_sa out, in;
			pair(suite, outer, combo & 4, &out, &in);
			out.rule_id = inner == CV_AF_INET ? RIG_RULE : RIG_RULE + 1;
			rig_reset();
			rig_mtu = 9600;
			install(&out, &in);
			uint32_t min = inner == CV_AF_INET ? 20 : 40;
			for (uint32_t len = min; len < 180; len++)
				one_trip(&out, inner, len, len);
			for (uint32_t len = 180; len < 9000; len = len * 9 / 7 + 1)
				one_trip(&out, inner, len, len);
			one_trip(&out, inner, 9000, 1);
			uint64_t n = sa_get(4)->state->seq;
			assert_int_equal(worker_main()->stats->sa[5].packets, n);
			assert_int_equal(worker_main()->stats->sa[4].packets, n);
			memset(&worker_main()->stats->sa[4], 0, 2 * sizeof(worker_main()->stats->sa[4]));
		}
	rig_reset();
}

/* Chained and shared buffers are made one first. */
static void segmented_packets_are_joined(void **state)
{
	(void)state;
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	install(&out, &in);
	struct rte_mbuf *whole = rig_udp(CV_AF_INET, 1000, false, 1), *tail = dp_alloc(), *m;
	memcpy(rte_pktmbuf_append(tail, 400), rte_pktmbuf_mtod_offset(whole, char *, 600), 400);
	struct rte_mbuf *head = rig_packet(rte_pktmbuf_mtod(whole, void *), 600);
	assert_int_equal(rte_pktmbuf_chain(head, tail), 0);
	m = rig_out(head);
	assert_non_null(m);
	assert_int_equal(m->nb_segs, 1);
	m = rig_in(m);
	assert_non_null(m);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), rte_pktmbuf_mtod(whole, void *), 1000);
	rte_pktmbuf_free(m);
	/* somebody else still looks at this one: its bytes must stay */
	struct rte_mbuf *shared = rig_packet(rte_pktmbuf_mtod(whole, void *), 1000);
	rte_mbuf_refcnt_update(shared, 1);
	m = rig_out(shared);
	assert_non_null(m);
	assert_ptr_not_equal(m, shared);
	assert_memory_equal(rte_pktmbuf_mtod(shared, void *), rte_pktmbuf_mtod(whole, void *), 1000);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(shared);
	rte_pktmbuf_free(whole);
	rig_reset();
}

/* ---- what must be refused ---- */

static struct rte_mbuf *good_wire(uint32_t len)
{
	struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, len, false, len));
	assert_non_null(m);
	return m;
}

static struct rte_mbuf *copy_of(const struct rte_mbuf *m)
{
	struct rte_mbuf *c = rig_packet(rte_pktmbuf_mtod(m, void *), m->pkt_len);
	*pkt_meta(c) = *pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	return c;
}

static void every_flipped_bit_is_noticed(void **state)
{
	(void)state;
	for (int k = 0; k < 2; k++) {
		struct cv_sa out, in;
		pair(k ? RIG_CBC : RIG_GCM, CV_AF_INET, false, &out, &in);
		install(&out, &in);
		struct rte_mbuf *wire = good_wire(64);
		unsigned auth = 0, spi = 0, seq0 = 0;
		for (uint32_t bit = 20 * 8; bit < wire->pkt_len * 8; bit++) {
			struct rte_mbuf *m = copy_of(wire);
			rte_pktmbuf_mtod(m, uint8_t *)[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
			assert_null(rig_in(m));
			spi += bit < 24 * 8;
			seq0 += bit == 28 * 8 - 1; /* sequence number 1 becomes 0 */
			auth += bit >= 24 * 8;
		}
		rig_assert_dropped(DROP_ESP_AUTH, auth - seq0);
		rig_assert_dropped(DROP_ESP_REPLAY, seq0);
		assert_int_equal(rig_n_slow, spi);
		for (unsigned i = 0; i < rig_n_slow; i++)
			assert_int_equal(rig_slow_why[i], SLOW_INVALID_SPI);
		/* nothing of that moved the window: the good packet still goes, once */
		struct rte_mbuf *m = rig_in(copy_of(wire));
		assert_non_null(m);
		rte_pktmbuf_free(m);
		assert_null(rig_in(wire));
		rig_assert_dropped(DROP_ESP_REPLAY, seq0 + 1);
		assert_int_equal(worker_main()->stats->sa[5].auth_errors, auth - seq0);
		memset(&worker_main()->stats->sa[4], 0, 2 * sizeof(worker_main()->stats->sa[4]));
		rig_reset();
	}
}

/* REPLAY-T2, IPSEC-10: the check is there unless an SA has it off, which says so for itself alone. */
static void each_sa_has_its_own_replay_check(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		struct cv_sa out, in;
		pair(RIG_GCM, CV_AF_INET, false, &out, &in);
		in.flags |= k == 0 ? CV_SA_F_NO_REPLAY : 0;
		in.replay_window = k == 1 ? 64 : 0; /* 0: the default */
		install(&out, &in);
		struct rte_mbuf *wire = good_wire(64);
		for (unsigned times = 0; times < 3; times++) {
			struct rte_mbuf *m = rig_in(copy_of(wire));
			assert_int_equal(m != NULL, k == 0 || times == 0);
			rte_pktmbuf_free(m);
		}
		rte_pktmbuf_free(wire);
		rig_assert_dropped(DROP_ESP_REPLAY, k ? 2 : 0);
		rig_reset();
	}
}

/* IPSEC-23: SAs made by hand from unequal sets agree on nothing, and nothing comes through. */
static void unequal_sets_pass_nothing(void **state)
{
	static const struct algo_suite sets[] = {{.encr = CV_ENCR_AES128_GCM16}, {.encr = CV_ENCR_AES256_GCM16},
		{.encr = CV_ENCR_AES128_CBC, .integ = CV_INTEG_HMAC_SHA256_128},
		{.encr = CV_ENCR_AES128_CBC, .integ = CV_INTEG_HMAC_SHA1_96},
		{.encr = CV_ENCR_NULL, .integ = CV_INTEG_HMAC_SHA256_128}, {.encr = CV_ENCR_CHACHA20_POLY1305}};
	(void)state;
	for (unsigned i = 0; i < RTE_DIM(sets); i++)
		for (unsigned k = 0; k < RTE_DIM(sets); k++) {
			struct cv_sa out, in, other;
			pair(sets[i], CV_AF_INET, false, &out, &in);
			pair(sets[k], CV_AF_INET, false, &other, &in);
			install(&out, &in);
			/* the one that differs in encryption alone still authenticates, and finds no packet inside */
			struct rte_mbuf *m = rig_in(good_wire(100));
			assert_int_equal(m != NULL, i == k);
			rte_pktmbuf_free(m);
			rig_reset();
		}
}

static void short_and_odd_lengths_are_refused(void **state)
{
	(void)state;
	struct cv_sa out, in;
	pair(RIG_CBC, CV_AF_INET, false, &out, &in);
	install(&out, &in);
	struct rte_mbuf *wire = good_wire(100);
	unsigned refused = 0;
	for (uint32_t cut = 1; cut <= wire->pkt_len - 20; cut++) {
		struct rte_mbuf *m = copy_of(wire);
		rte_pktmbuf_trim(m, (uint16_t)cut);
		rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *)->total_length = rte_cpu_to_be_16((uint16_t)m->pkt_len);
		assert_null(rig_in(m));
		refused++;
	}
	assert_int_equal(rig_drops(DROP_ESP_SHORT) + rig_drops(DROP_ESP_AUTH), refused);
	assert_true(rig_drops(DROP_ESP_AUTH) <= wire->pkt_len / 16);
	/* bytes behind the IP packet are no harm */
	struct rte_mbuf *m = copy_of(wire);
	memset(rte_pktmbuf_append(m, 6), 0xee, 6);
	m = rig_in(m);
	assert_non_null(m);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(wire);
	rig_reset();
}

static void keepalives_are_consumed(void **state)
{
	(void)state;
	static const uint8_t ka[] = {0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0x11, 0x94,
		0x11, 0x94, 0, 9, 0, 0, 0xff};
	assert_null(rig_in(rig_packet(ka, sizeof(ka))));
	rig_assert_dropped(DROP_NATT_KEEPALIVE, 1);
	rig_reset();
}

/* VRF-15: the front VRF is part of what finds an SA. */
static void other_addresses_and_vrfs_do_not_find_the_sa(void **state)
{
	(void)state;
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	install(&out, &in);
	struct rte_mbuf *wire = good_wire(100), *m = copy_of(wire);
	pkt_meta(m)->vrf = 8;
	assert_null(rig_in(m));
	m = copy_of(wire);
	rte_pktmbuf_mtod(m, uint8_t *)[19] = 77;
	assert_null(rig_in(m));
	assert_int_equal(rig_n_slow, 2);
	m = rig_in(wire);
	assert_non_null(m);
	rte_pktmbuf_free(m);
	rig_reset();
}

/* IPSEC-77: the inner packet must lie inside what was negotiated. */
static void inner_packets_must_match_the_selectors(void **state)
{
	(void)state;
	for (int k = 0; k < 4; k++) {
		struct cv_sa out, in;
		bool expect = k == 0 || k == 2;
		pair(RIG_GCM, CV_AF_INET, false, &out, &in);
		in.n_sel = 1;
		/* seen from the receiver: what it sends to is the sender's source */
		rig_sel(&in.sel[0], "10.2.0.0", "10.2.0.255", "10.1.0.0", k == 1 ? "10.1.0.4" : "10.1.0.255");
		if (k >= 2) {
			in.sel[0].proto = 17;
			in.sel[0].sport_lo = in.sel[0].sport_hi = k == 2 ? 53 : 54;
		}
		install(&out, &in);
		struct rte_mbuf *m = rig_in(good_wire(100));
		assert_int_equal(m != NULL, expect);
		rte_pktmbuf_free(m);
		rig_assert_dropped(DROP_SPD_SELECTOR, expect ? 0 : 1);
		rig_reset();
	}
}

static void congestion_marks_come_through(void **state)
{
	(void)state;
	/* RFC 6040 figure 4: rows inner Not-ECT, ECT(0), ECT(1), CE; columns outer in the order of the codes */
	static const uint8_t inner_code[4] = {0, 2, 1, 3};
	static const int want[4][4] = {/* outer 0, 1 (ECT1), 2 (ECT0), 3 (CE) */
		{0, 0, 0, -1}, {2, 1, 2, 3}, {1, 1, 1, 3}, {3, 3, 3, 3}};
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	install(&out, &in);
	for (int i = 0; i < 4; i++)
		for (uint8_t o = 0; o < 4; o++) {
			struct rte_mbuf *m = rig_udp(CV_AF_INET, 60, false, 3);
			struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
			ip->type_of_service = (uint8_t)(0xb8 | inner_code[i]);
			ip->hdr_checksum = 0;
			ip->hdr_checksum = rte_ipv4_cksum(ip);
			m = rig_out(m);
			assert_non_null(m);
			ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
			assert_int_equal(ip->type_of_service, 0xb8 | inner_code[i]);
			ip->type_of_service = (uint8_t)(0xb8 | o);
			m = rig_in(m);
			assert_int_equal(m != NULL, want[i][o] >= 0);
			if (!m)
				continue;
			ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
			assert_int_equal(ip->type_of_service, 0xb8 | want[i][o]);
			assert_int_equal(rte_raw_cksum(ip, 20), 0xffff);
			rte_pktmbuf_free(m);
		}
	rig_assert_dropped(DROP_ESP_ECN, 1);
	/* figure 4 marks five of the sixteen as unused: an operator can see them */
	assert_int_equal(worker_main()->stats->events[EVENT_ECN_UNUSED], 5);
	rig_reset();
}

/* ---- sizes (FRAG-1, 2, 9, 10) ---- */

static void the_mtu_is_used_to_the_last_byte(void **state)
{
	(void)state;
	struct algo_suite suite;
	for (unsigned n_suite = 0; rig_suite(n_suite, &suite); n_suite++)
		for (unsigned combo = n_suite % 4; combo < 4; combo += 4) {
			struct cv_sa out, in;
			pair(suite, combo & 1 ? CV_AF_INET6 : CV_AF_INET, combo & 2, &out, &in);
			install(&out, &in);
			const struct algo_encr *encr = algo_encr_get(suite.encr);
			const struct algo_integ *integ = algo_integ_get(suite.integ);
			uint32_t fixed = (combo & 1 ? 40u : 20u) + (combo & 2 ? 8u : 0u) + 8u + encr->iv_len +
					 (integ ? integ->icv_len : encr->icv_len);
			for (rig_mtu = 1400; rig_mtu < 1417; rig_mtu++) {
				fib_generation_current++;
				uint32_t max = 0;
				for (uint32_t len = 1250; len < 1440; len++) {
					struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, len, true, len));
					if (!m)
						break;
					assert_true(m->pkt_len <= rig_mtu);
					max = len;
					rte_pktmbuf_free(m);
				}
				/* one byte more would not have fitted, and the source is told the largest size */
				assert_true(fixed + RTE_ALIGN_CEIL(max + 1u + 2u, (uint32_t)encr->block) > rig_mtu);
				assert_int_equal(rig_n_slow, 1);
				assert_int_equal(rig_slow_why[0], SLOW_ICMP_MTU);
				assert_int_equal(pkt_meta(rig_slow_pkt[0])->mtu, max);
				assert_int_equal(rig_slow_pkt[0]->pkt_len, max + 1);
				rig_clear();
			}
			rig_reset();
		}
}

static void path_mtu_of_the_sa_is_respected(void **state)
{
	(void)state;
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	out.path_mtu = 1300;
	rig_mtu = 1500;
	install(&out, &in);
	assert_null(rig_out(rig_udp(CV_AF_INET, 1300, true, 1)));
	assert_int_equal(rig_n_slow, 1);
	assert_true(pkt_meta(rig_slow_pkt[0])->mtu < 1300 - 50);
	rig_reset();
}

static void fragment_case(uint32_t flags, bool df, bool expect_parts)
{
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	out.flags |= flags;
	rig_mtu = 1500;
	install(&out, &in);
	struct pkt_vec v = {.n = 1, .pkt = {rig_udp(CV_AF_INET, 1500, df, 9)}}, bypass = {0}, outer = {0};
	ipsec_output(worker_main(), &v, &bypass, &outer);
	assert_int_equal(outer.n, expect_parts ? 2 : 0);
	assert_int_equal(rig_n_slow, expect_parts ? 0 : 1);
	uint32_t payload = 0;
	for (uint32_t i = 0; i < outer.n; i++) {
		assert_true(outer.pkt[i]->pkt_len <= 1500);
		struct rte_mbuf *m = rig_in(outer.pkt[i]);
		assert_non_null(m);
		const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
		assert_int_equal(rte_be_to_cpu_16(ip->fragment_offset) & RTE_IPV4_HDR_DF_FLAG, 0);
		assert_true(m->pkt_len > 700); /* of equal size, not one full and one tiny (FRAG-2) */
		payload += m->pkt_len - 20;
		rte_pktmbuf_free(m);
	}
	if (expect_parts)
		assert_int_equal(payload, 1480);
	rig_reset();
}

static void fragments_before_encryption(void **state)
{
	(void)state;
	/* FRAG-9, rows with pre-fragmentation on */
	fragment_case(CV_SA_F_CLEAR_DF, false, true);
	fragment_case(CV_SA_F_CLEAR_DF, true, true);
	fragment_case(CV_SA_F_SET_DF, false, true);
	fragment_case(CV_SA_F_SET_DF, true, false);
	fragment_case(CV_SA_F_COPY_DF, false, true);
	fragment_case(CV_SA_F_COPY_DF, true, false);
}

/* One row of FRAG-9 with fragmentation after encryption: encrypted whole and cut, or refused. */
static void after_case(uint32_t flags, uint8_t af, bool df, bool expect)
{
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	out.flags |= flags | CV_SA_F_FRAG_AFTER;
	out.rule_id = af == CV_AF_INET ? RIG_RULE : RIG_RULE + 1;
	rig_mtu = 1500;
	install(&out, &in);
	struct rte_mbuf *m = rig_out(rig_udp(af, 1500, df, 9));
	assert_int_equal(rig_parts, expect ? 2 : 0);
	assert_int_equal(rig_n_slow, !expect);
	assert_int_equal(worker_main()->stats->events[EVENT_FRAG_AFTER], expect);
	if (expect) {
		assert_true(m->pkt_len > 1500 && rig_longest <= 1500);
		m = rig_in(m);
		assert_non_null(m);
		assert_int_equal(m->pkt_len, 1500);
		rte_pktmbuf_free(m);
	} else {
		assert_int_equal(rig_slow_why[0], SLOW_ICMP_MTU);
	}
	memset(worker_main()->stats->events, 0, sizeof(worker_main()->stats->events));
	rig_reset();
}

static void fragments_after_encryption(void **state)
{
	(void)state;
	/* FRAG-9, rows with pre-fragmentation off (FRAG-T4) */
	after_case(CV_SA_F_CLEAR_DF, CV_AF_INET, false, true);
	after_case(CV_SA_F_CLEAR_DF, CV_AF_INET, true, true);
	after_case(CV_SA_F_SET_DF, CV_AF_INET, false, true);
	after_case(CV_SA_F_SET_DF, CV_AF_INET, true, false);
	after_case(CV_SA_F_COPY_DF, CV_AF_INET, false, true);
	after_case(CV_SA_F_COPY_DF, CV_AF_INET, true, false);
	/* IPv6 is never fragmented on its way: as if DF were set, and only clear lets the outer packet be cut */
	after_case(CV_SA_F_COPY_DF, CV_AF_INET6, true, false);
	after_case(CV_SA_F_CLEAR_DF, CV_AF_INET6, true, true);
}

/* FRAG-11: the parts fit the way to the peer, not only the interface, whatever the outer family (RFC 4301 8.2). */
static void parts_fit_a_smaller_path(void **state)
{
	(void)state;
	for (unsigned combo = 0; combo < 4; combo++) {
		struct cv_sa out, in;
		pair(RIG_GCM, combo & 1 ? CV_AF_INET6 : CV_AF_INET, combo & 2, &out, &in);
		out.flags |= CV_SA_F_FRAG_AFTER;
		out.path_mtu = 1300;
		rig_mtu = 9000;
		install(&out, &in);
		struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, 4000, false, 9));
		assert_non_null(m);
		assert_int_equal(rig_parts, 4);
		assert_true(rig_longest <= 1300);
		m = rig_in(m);
		assert_non_null(m);
		assert_int_equal(m->pkt_len, 4000);
		rte_pktmbuf_free(m);
		rig_reset();
	}
}

/* More parts than a vector holds: the first ones go on their way early, none is longer than the path takes. */
static void a_vector_of_packets_to_cut(void **state)
{
	(void)state;
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	out.flags |= CV_SA_F_FRAG_AFTER;
	out.path_mtu = 1000;
	rig_mtu = 1500;
	install(&out, &in);
	struct pkt_vec v = {.n = 150}, bypass = {0}, outer = {0};
	for (uint32_t i = 0; i < v.n; i++)
		v.pkt[i] = rig_udp(CV_AF_INET, 1400, false, i);
	ipsec_output(worker_main(), &v, &bypass, &outer);
	assert_int_equal(outer.n + rig_n_forwarded, 300);
	for (uint32_t i = 0; i < outer.n; i++)
		assert_true(outer.pkt[i]->pkt_len <= 1000);
	for (unsigned i = 0; i < rig_n_forwarded; i++)
		assert_true(rig_forwarded[i]->pkt_len <= 1000);
	rte_pktmbuf_free_bulk(outer.pkt, outer.n);
	rig_reset();
}

/* RFC 6437, RFC 6438: one flow label for all packets of an SA, another one for another SA, none of them 0. */
static void one_flow_label_for_an_sa(void **state)
{
	uint32_t last = 0;
	(void)state;
	for (uint32_t k = 0; k < 8; k++) {
		struct cv_sa out, in;
		pair(RIG_GCM, CV_AF_INET6, k & 1, &out, &in);
		out.spi = in.spi += k << CV_SA_INDEX_BITS;
		install(&out, &in);
		uint32_t label = 0;
		for (uint32_t i = 0; i < 4; i++) {
			struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, 100 + i, false, i));
			uint32_t word = rte_be_to_cpu_32(rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *)->vtc_flow);
			assert_int_equal(word >> 20, 6u << 8 | 0xb8);
			assert_true(i == 0 || label == (word & RTE_IPV6_HDR_FL_MASK));
			label = word & RTE_IPV6_HDR_FL_MASK;
			m = rig_in(m);
			assert_non_null(m);
			rte_pktmbuf_free(m);
		}
		assert_true(label != 0 && label != last);
		last = label;
		rig_reset();
	}
}

/* FRAG-T6: what fits is left alone whatever is configured. */
static void what_fits_is_untouched(void **state)
{
	static const uint32_t flags[] = {
		0, CV_SA_F_FRAG_AFTER, CV_SA_F_CLEAR_DF, CV_SA_F_CLEAR_DF | CV_SA_F_FRAG_AFTER};
	(void)state;
	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct cv_sa out, in;
		pair(RIG_GCM, CV_AF_INET, false, &out, &in);
		out.flags |= flags[i];
		rig_mtu = 1500;
		install(&out, &in);
		struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, 1400, i & 1, 3));
		assert_non_null(m);
		m = rig_in(m);
		assert_non_null(m);
		assert_int_equal(m->pkt_len, 1400);
		rte_pktmbuf_free(m);
		rig_reset();
	}
}

/* The interface's setting reaches SAs that are up, and nothing else of them changes (FRAG-4). */
static void update_changes_only_the_treatment_of_df(void **state)
{
	(void)state;
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	rig_mtu = 1500;
	install(&out, &in);
	rte_pktmbuf_free(rig_out(rig_udp(CV_AF_INET, 100, false, 1)));
	struct cv_sa_update u = {.ref = {out.index, out.spi}, .src = out.src, .dst = out.dst, .flags = CV_SA_F_SET_DF};
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_UPDATE, &u), 0);
	struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, 100, false, 1));
	assert_non_null(m);
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	assert_int_equal(ip->fragment_offset, RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
	assert_int_equal(rte_pktmbuf_mtod(m, const uint8_t *)[27], 2); /* the sequence numbers go on */
	rte_pktmbuf_free(m);
	rig_reset();
}

static void ipv6_below_its_minimum_is_not_asked_to_shrink(void **state)
{
	(void)state;
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	out.rule_id = RIG_RULE + 1;
	rig_mtu = 1290;
	install(&out, &in);
	struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET6, 1280, false, 1));
	assert_non_null(m);
	assert_int_equal(rig_parts, 2); /* the outer packet is cut */
	rte_pktmbuf_free(m);
	assert_null(rig_out(rig_udp(CV_AF_INET6, 1281, false, 1)));
	assert_int_equal(rig_n_slow, 1);
	assert_int_equal(pkt_meta(rig_slow_pkt[0])->mtu, 1280);
	rig_reset();
}

static void df_bit_of_the_outer_header(void **state)
{
	(void)state;
	static const struct {
		uint32_t flags;
		bool inner, outer;
	} row[] = {{0, true, true}, {0, false, false}, {CV_SA_F_COPY_DF, true, true}, {CV_SA_F_COPY_DF, false, false},
		{CV_SA_F_SET_DF, false, true}, {CV_SA_F_SET_DF, true, true}, {CV_SA_F_CLEAR_DF, true, false},
		{CV_SA_F_CLEAR_DF, false, false}};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cv_sa out, in;
		pair(RIG_GCM, CV_AF_INET, false, &out, &in);
		out.flags |= row[i].flags;
		install(&out, &in);
		struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, 100, row[i].inner, 1));
		assert_non_null(m);
		uint16_t off = rte_be_to_cpu_16(rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *)->fragment_offset);
		assert_int_equal(off, row[i].outer ? RTE_IPV4_HDR_DF_FLAG : 0);
		rte_pktmbuf_free(m);
		rig_reset();
	}
}

/* ---- lifetimes ---- */

static void expect_expire(unsigned i, uint32_t index, bool hard, uint32_t reason)
{
	assert_true(i < rig_n_events);
	assert_int_equal(rig_event[i].h.type, CV_EVT_SA_EXPIRE);
	const struct cv_evt_sa_expire *e = (const void *)rig_event[i].body;
	assert_int_equal(e->ref.index, index);
	assert_int_equal(e->hard, hard);
	assert_int_equal(e->reason, reason);
}

static unsigned send_many(unsigned n)
{
	unsigned passed = 0;
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, 100, false, i));
		passed += m != NULL;
		rte_pktmbuf_free(m);
		sa_events_poll();
	}
	return passed;
}

static void packet_limits_end_an_outbound_sa(void **state)
{
	(void)state;
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	out.soft_packets = 5;
	out.hard_packets = 8;
	install(&out, &in);
	assert_int_equal(send_many(8), 8);
	assert_int_equal(rig_n_events, 1);
	expect_expire(0, 4, false, CV_EXPIRE_PACKETS);
	assert_int_equal(send_many(5), 0);
	assert_int_equal(rig_n_events, 2);
	expect_expire(1, 4, true, CV_EXPIRE_PACKETS);
	rig_assert_dropped(DROP_ESP_EXPIRED, 1);
	/* unbound from its rule: the packets after the first ask for a new SA */
	assert_int_equal(rig_n_slow, 4);
	assert_int_equal(rig_slow_why[0], SLOW_ACQUIRE);
	rig_reset();
}

static void byte_limits_end_both_directions(void **state)
{
	(void)state;
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	out.soft_bytes = 500;
	out.hard_bytes = 1000;
	in.soft_bytes = 300;
	in.hard_bytes = 600;
	install(&out, &in);
	unsigned passed = 0;
	for (unsigned i = 0; i < 12; i++) {
		struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, 100, false, i));
		if (m)
			m = rig_in(m);
		passed += m != NULL;
		rte_pktmbuf_free(m);
		sa_events_poll();
	}
	assert_int_equal(passed, 6);
	assert_int_equal(rig_n_events, 4);
	expect_expire(0, 5, false, CV_EXPIRE_BYTES);
	expect_expire(1, 4, false, CV_EXPIRE_BYTES);
	expect_expire(2, 5, true, CV_EXPIRE_BYTES);
	expect_expire(3, 4, true, CV_EXPIRE_BYTES);
	rig_reset();
}

/* Far from a limit packets are not added up; near it each counts, as it does when there was nothing to skip. */
static void far_byte_limits_are_kept_too(void **state)
{
	(void)state;
	const uint64_t far = UINT64_C(4) << 30;
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	out.soft_bytes = in.soft_bytes = far;
	out.hard_bytes = in.hard_bytes = far + 200;
	uint64_t *sent = &worker_main()->stats->sa[4].bytes, *got = &worker_main()->stats->sa[5].bytes;
	*sent += far; /* by those that had their indexes before */
	*got += far;
	install(&out, &in);
	struct sa_state *out_st = sa_get(4)->state, *in_st = sa_get(5)->state;
	rte_pktmbuf_free(rig_in(rig_out(rig_udp(CV_AF_INET, 100, false, 0))));
	const uint64_t unasked = out_st->unasked;
	assert_true(unasked > 60000 && unasked < far / 65535 && in_st->unasked == unasked);
	assert_false(out_st->counting || in_st->counting);
	/* 65,534 packets later: 300 bytes are left until the first limit */
	*sent += far - 400;
	*got += far - 400;
	out_st->seq = unasked - 2;
	unsigned passed = 0;
	for (unsigned i = 0; i < 12; i++) {
		struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, 100, false, i));
		assert_int_equal(out_st->counting, i > 0);
		if (m)
			m = rig_in(m);
		passed += m != NULL;
		rte_pktmbuf_free(m);
		sa_events_poll();
		assert_int_equal(rig_n_events > 0, i >= 2);
	}
	assert_int_equal(passed, 5);
	assert_true(out_st->expired && in_st->expired);
	assert_int_equal(rig_n_events, 4);
	rig_reset();
}

/* The last sequence number is never passed: a number used twice would be a GCM nonce used twice. */
static void sequence_numbers_never_wrap(void **state)
{
	(void)state;
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, false, &out, &in);
	install(&out, &in);
	sa_get(4)->state->seq = UINT32_MAX - 3u;
	struct pkt_vec v = {.n = 10}, bypass = {0}, outer = {0};
	for (unsigned i = 0; i < 10; i++)
		v.pkt[i] = rig_udp(CV_AF_INET, 100, false, i);
	ipsec_output(worker_main(), &v, &bypass, &outer);
	assert_int_equal(outer.n, 3);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t seq = rte_be_to_cpu_32(*rte_pktmbuf_mtod_offset(outer.pkt[i], uint32_t *, 24));
		assert_int_equal(seq, UINT32_MAX - 2u + i);
	}
	rte_pktmbuf_free_bulk(outer.pkt, outer.n);
	rig_assert_dropped(DROP_ESP_SEQ, 7);
	sa_events_poll();
	assert_int_equal(rig_n_events, 2);
	expect_expire(0, 4, false, CV_EXPIRE_SEQ);
	expect_expire(1, 4, true, CV_EXPIRE_SEQ);
	rig_reset();
}

static void a_moved_peer_is_reported_once_by_the_newest_packet(void **state)
{
	(void)state;
	struct cv_sa out, in;
	pair(RIG_GCM, CV_AF_INET, true, &out, &in);
	install(&out, &in);
	struct rte_mbuf *first = good_wire(100), *second = good_wire(100), *m;
	rte_pktmbuf_mtod(second, struct rte_ipv4_hdr *)->src_addr = RTE_BE32(0xc6336401); /* 198.51.100.1 */
	rte_pktmbuf_mtod_offset(second, struct rte_udp_hdr *, 20)->src_port = RTE_BE16(33333);
	assert_non_null(m = rig_in(second));
	rte_pktmbuf_free(m);
	/* an older one from the old place says nothing */
	assert_non_null(m = rig_in(first));
	rte_pktmbuf_free(m);
	sa_events_poll();
	assert_int_equal(rig_n_events, 1);
	const struct cv_evt_sa_peer *e = (const void *)rig_event[0].body;
	assert_int_equal(rig_event[0].h.type, CV_EVT_SA_PEER);
	assert_int_equal(e->ref.index, 5);
	assert_int_equal(e->port, 33333);
	assert_int_equal(e->addr.b[0], 198);
	rig_reset();
}

static int setup(void **state)
{
	(void)state;
	return rig_init(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(decrypts_what_scapy_encrypted),
		rig_test(encrypts_what_scapy_encrypts),
		rig_test(round_trips_in_every_combination),
		rig_test(segmented_packets_are_joined),
		rig_test(every_flipped_bit_is_noticed),
		rig_test(each_sa_has_its_own_replay_check),
		rig_test(unequal_sets_pass_nothing),
		rig_test(short_and_odd_lengths_are_refused),
		rig_test(keepalives_are_consumed),
		rig_test(other_addresses_and_vrfs_do_not_find_the_sa),
		rig_test(inner_packets_must_match_the_selectors),
		rig_test(congestion_marks_come_through),
		rig_test(the_mtu_is_used_to_the_last_byte),
		rig_test(path_mtu_of_the_sa_is_respected),
		rig_test(fragments_before_encryption),
		rig_test(fragments_after_encryption),
		rig_test(parts_fit_a_smaller_path),
		rig_test(a_vector_of_packets_to_cut),
		rig_test(one_flow_label_for_an_sa),
		rig_test(what_fits_is_untouched),
		rig_test(update_changes_only_the_treatment_of_df),
		rig_test(ipv6_below_its_minimum_is_not_asked_to_shrink),
		rig_test(df_bit_of_the_outer_header),
		rig_test(packet_limits_end_an_outbound_sa),
		rig_test(byte_limits_end_both_directions),
		rig_test(far_byte_limits_are_kept_too),
		rig_test(sequence_numbers_never_wrap),
		rig_test(a_moved_peer_is_reported_once_by_the_newest_packet),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
