/* SPDX-License-Identifier: BSD-3-Clause */
/* AH, transport mode, extended sequence numbers and bundles: packets made by scapy, round trips, and what is refused.
 */
#define ALLOW_EXPERIMENTAL_API
#include "ipsec_rig.h"

#include <rte_ip.h>
#include <rte_udp.h>

#include "iphdr.h"
#include "unhex.h"

struct mode_vector {
	uint8_t ipproto, encr, integ, mode;
	int outer;
	uint64_t seq;
	bool esn, options;
	const char *key, *clear, *wire;
};
#include "mode_vectors.h"
#define N_VECTORS (sizeof(mode_vectors) / sizeof(mode_vectors[0]))

/* Like the input stage: header checks first, which say where ESP or AH is. */
static struct rte_mbuf *in(struct rte_mbuf *m)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}}, inner = {0};
	bool v4 = rte_pktmbuf_mtod(m, const uint8_t *)[0] >> 4 == 4;
	assert_int_equal(v4 ? ip4_check(m) : ip6_check(m), DROP_NONE);
	ipsec_input(worker_main(), &v, &inner);
	return inner.n ? inner.pkt[0] : NULL;
}

static void vector_sa(const struct mode_vector *v, enum cv_sa_dir dir, struct cv_sa *sa)
{
	const struct algo_suite suite = {.encr = v->encr, .integ = v->integ};
	rig_sa(sa, dir, suite, v->outer == 4 ? CV_AF_INET : CV_AF_INET6, 2);
	sa->ipproto = v->ipproto;
	sa->mode = v->mode;
	sa->flags = v->esn ? CV_SA_F_ESN : 0;
	sa->replay_window = 64;
	assert_int_equal(unhex(v->key, sa->key), sa->key_len);
}

static void takes_what_scapy_made(void **state)
{
	(void)state;
	uint8_t wire[2000], clear[2000];
	for (size_t i = 0; i < N_VECTORS; i++) {
		const struct mode_vector *v = &mode_vectors[i];
		struct cv_sa sa;
		vector_sa(v, CV_SA_IN, &sa);
		assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &sa), 0);
		sa_get(2)->state->replay->top = v->esn ? v->seq - 5 : 0;
		size_t n = unhex(v->wire, wire), len = unhex(v->clear, clear);
		struct rte_mbuf *m = in(rig_packet(wire, n));
		assert_non_null(m);
		assert_int_equal(m->pkt_len, len);
		assert_memory_equal(rte_pktmbuf_mtod(m, void *), clear, len);
		assert_int_equal(pkt_meta(m)->flags & PKT_F_DECAPPED, PKT_F_DECAPPED);
		rte_pktmbuf_free(m);
		assert_int_equal(sa_get(2)->state->replay->top, v->seq);
		/* once */
		m = rig_packet(wire, n);
		assert_null(in(m));
		rig_assert_dropped(DROP_ESP_REPLAY, 1);
		rig_reset();
	}
}

/* Where nothing is random the packet comes out the same, to the byte, but for a tunnel's own header. */
static void makes_what_scapy_makes(void **state)
{
	(void)state;
	uint8_t wire[2000], clear[2000];
	unsigned done = 0;
	for (size_t i = 0; i < N_VECTORS; i++) {
		const struct mode_vector *v = &mode_vectors[i];
		const struct algo_encr *encr = algo_encr_get(v->encr);
		if (encr && encr->iv_len == encr->block)
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
		const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
		if (v->mode == CV_SA_TRANSPORT) {
			assert_memory_equal(p, wire, n);
		} else if (v->ipproto == 50) {
			size_t off = v->outer == 4 ? 20 : 40;
			assert_memory_equal(p + off, wire + off, n - off);
		}
		rte_pktmbuf_free(m);
		rig_reset();
		done++;
	}
	assert_true(done > 25);
}

/* ---- round trips ---- */

static void between_peers(struct rte_mbuf *m, const struct cv_sa *sa)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	if (p[0] >> 4 == 4) {
		struct rte_ipv4_hdr *ip = (void *)p;
		memcpy(&ip->src_addr, sa->src.b, 4);
		memcpy(&ip->dst_addr, sa->dst.b, 4);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	} else {
		memcpy(p + 8, sa->src.b, 16);
		memcpy(p + 24, sa->dst.b, 16);
	}
}

static void trip(const struct cv_sa *out, uint8_t af, uint32_t len, uint32_t seed)
{
	static uint8_t before[10000];
	struct rte_mbuf *m = rig_udp(af, len, false, seed);
	if (out->mode == CV_SA_TRANSPORT)
		between_peers(m, out);
	memcpy(before, rte_pktmbuf_mtod(m, void *), len);
	m = rig_out(m);
	assert_non_null(m);
	m = in(m);
	assert_non_null(m);
	assert_int_equal(m->pkt_len, len);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), before, len);
	rte_pktmbuf_free(m);
}

static void round_trip(struct algo_suite suite, uint8_t ipproto, unsigned combo)
{
	uint8_t outer = combo & 1 ? CV_AF_INET6 : CV_AF_INET, inner = combo & 2 ? CV_AF_INET6 : CV_AF_INET;
	struct cv_sa out, sa_in;
	rig_sa(&out, CV_SA_OUT, suite, outer, 4);
	out.mode = combo & 4 ? CV_SA_TRANSPORT : CV_SA_TUNNEL;
	if (out.mode == CV_SA_TRANSPORT)
		inner = outer;
	out.ipproto = ipproto;
	out.flags = combo & 8 ? CV_SA_F_ESN : 0;
	out.rule_id = inner == CV_AF_INET ? RIG_RULE : RIG_RULE + 1;
	sa_in = out;
	sa_in.dir = CV_SA_IN;
	sa_in.rule_id = 0;
	sa_in.index = 5;
	sa_in.spi = out.spi = 0x12340005;
	sa_in.replay_window = 256;
	const struct rig_cmd c[] = {{CV_CMD_SA_ADD, &sa_in}, {CV_CMD_SA_ADD, &out}};
	rig_reset();
	rig_protect_all();
	assert_int_equal(rig_transaction(false, c, 2), 0);
	if (combo & 8) { /* across the end of the low half */
		sa_get(4)->state->seq = UINT32_MAX - 40u;
		sa_get(5)->state->replay->top = UINT32_MAX - 41u;
	}
	uint32_t len = inner == CV_AF_INET ? 28 : 48;
	for (int i = 0; i < 90; i++, len += (uint32_t)(random() % (i < 60 ? 4 : 280)))
		trip(&out, inner, len, len);
	if (combo & 8)
		assert_true(sa_get(5)->state->replay->top > UINT32_MAX);
}

/* IPSEC-17, 21: every algorithm of ESP and AH, both modes, all families, both lengths of sequence numbers. */
static void round_trips(void **state)
{
	(void)state;
	struct algo_suite suite;
	srandom(20261121);
	for (unsigned n = 0; rig_suite(n, &suite); n++)
		for (unsigned combo = 0; combo < 16; combo++)
			round_trip(suite, 50, combo);
	for (unsigned i = CV_INTEG_HMAC_MD5_96; i < CV_INTEG_MAX; i++)
		for (unsigned combo = 0; combo < 16; combo++)
			round_trip((struct algo_suite){.integ = (uint8_t)i}, 51, combo);
	rig_reset();
}

/* IPSEC-18: AH over ESP. The outer part alone, or the inner one alone, is not accepted. */
static void bundles(void **state)
{
	(void)state;
	struct cv_sa sa[4]; /* AH out, ESP out, AH in, ESP in */
	for (unsigned k = 0; k < 4; k++) {
		struct algo_suite suite = {.integ = CV_INTEG_HMAC_SHA1_96};
		if (k & 1)
			suite.encr = CV_ENCR_AES256_CBC;
		rig_sa(&sa[k], k < 2 ? CV_SA_OUT : CV_SA_IN, suite, CV_AF_INET, 10 + k);
		sa[k].ipproto = k & 1 ? 50 : 51;
		sa[k].mode = k & 1 ? CV_SA_TUNNEL : CV_SA_TRANSPORT;
		sa[k].flags = k & 1 ? 0 : CV_SA_F_BUNDLED;
		sa[k].outer_index = k & 1 ? 10 + k - 1 : 0;
		sa[k].spi = 0x12340000u + 12 + (k & 1); /* what the inbound ones carry */
		sa[k].rule_id = k < 2 ? RIG_RULE : 0;
	}
	const struct rig_cmd wrong[] = {{CV_CMD_SA_ADD, &sa[1]}};
	const struct rig_cmd c[] = {
		{CV_CMD_SA_ADD, &sa[0]}, {CV_CMD_SA_ADD, &sa[1]}, {CV_CMD_SA_ADD, &sa[2]}, {CV_CMD_SA_ADD, &sa[3]}};
	rig_protect_all();
	assert_int_equal(rig_transaction(false, wrong, 1), CV_ERR_NOT_FOUND);
	assert_int_equal(rig_transaction(false, c, 4), 0);
	assert_int_equal(sa_rule_first(RIG_RULE), 11);
	struct rte_mbuf *clear = rig_udp(CV_AF_INET, 100, false, 1), *m;
	uint8_t before[100];
	memcpy(before, rte_pktmbuf_mtod(clear, void *), 100);
	m = rig_out(clear);
	assert_non_null(m);
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	assert_int_equal(p[9], 51);
	assert_int_equal(p[20], 50); /* AH says that ESP follows */
	struct rte_mbuf *esp_only = rig_packet(p, m->pkt_len);
	m = in(m);
	assert_non_null(m);
	assert_int_equal(rte_pktmbuf_mtod(m, const uint8_t *)[9], 50);
	struct rte_mbuf *stripped = rig_packet(rte_pktmbuf_mtod(m, void *), m->pkt_len);
	assert_null(in(stripped)); /* the same ESP packet without AH around it */
	rig_assert_dropped(DROP_ESP_NESTING, 1);
	rte_pktmbuf_free(m);
	assert_null(in(esp_only)); /* a replay of the whole */
	rig_assert_dropped(DROP_ESP_REPLAY, 1);
	m = rig_out(rig_udp(CV_AF_INET, 100, false, 1));
	m = in(in(m));
	assert_non_null(m);
	assert_int_equal(m->pkt_len, 100);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), before, 100);
	rte_pktmbuf_free(m);
	/* without the outer part nothing leaves */
	const struct cv_sa_ref ah = {.index = 10, .spi = sa[0].spi};
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_DEL, &ah), 0);
	assert_null(rig_out(rig_udp(CV_AF_INET, 100, false, 1)));
	rig_assert_dropped(DROP_NO_SA, 1);
	rig_reset();
}

/* ---- what is refused ---- */

static void transport_is_for_the_peers_alone(void **state)
{
	(void)state;
	struct cv_sa out;
	rig_sa(&out, CV_SA_OUT, RIG_GCM, CV_AF_INET, 4);
	out.mode = CV_SA_TRANSPORT;
	rig_protect_all();
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &out), 0);
	assert_null(rig_out(rig_udp(CV_AF_INET, 100, false, 1))); /* IPSEC-21: not between the peers */
	struct rte_mbuf *m = rig_udp(CV_AF_INET, 100, false, 1);
	between_peers(m, &out);
	rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *)->fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG);
	assert_null(rig_out(m));
	rig_assert_dropped(DROP_ESP_MODE, 2);
	rig_reset();
}

/* FRAG-6, RFC 4303 3.3.4, RFC 8200 4.5: what does not fit is encrypted whole and cut afterwards by the box it comes
 * from; with IPv4 unless the packet says DF. */
static void large_transport_packets_are_cut_afterwards(void **state)
{
	static const struct {
		uint8_t af;
		bool df, goes;
	} cases[] = {{CV_AF_INET, false, true}, {CV_AF_INET, true, false}, {CV_AF_INET6, false, true}};
	(void)state;
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		struct cv_sa out;
		rig_sa(&out, CV_SA_OUT, RIG_GCM, cases[i].af, 4);
		out.mode = CV_SA_TRANSPORT;
		out.rule_id = cases[i].af == CV_AF_INET ? RIG_RULE : RIG_RULE + 1;
		rig_protect_all();
		assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &out), 0);
		rig_mtu = 1500;
		struct rte_mbuf *m = rig_udp(cases[i].af, 1500, cases[i].df, 1);
		between_peers(m, &out);
		m = rig_out(m);
		assert_int_equal(m != NULL, cases[i].goes);
		assert_int_equal(rig_n_slow, !cases[i].goes); /* else the source is told */
		if (m)
			assert_true(m->pkt_len > 1500 && rig_parts == 2 && rig_longest <= 1500);
		rte_pktmbuf_free(m);
		rig_reset();
	}
}

/* RFC 4302 3.4: every covered bit counts, mutable fields do not, and no length is believed. */
static void damaged_ah_is_refused(void **state)
{
	(void)state;
	struct cv_sa out, sa_in;
	rig_sa(&out, CV_SA_OUT, (struct algo_suite){.integ = CV_INTEG_HMAC_SHA256_128}, CV_AF_INET, 4);
	out.ipproto = 51;
	sa_in = out;
	sa_in.dir = CV_SA_IN;
	sa_in.rule_id = 0;
	sa_in.index = 5;
	sa_in.spi = out.spi = 0x12340005;
	const struct rig_cmd c[] = {{CV_CMD_SA_ADD, &sa_in}, {CV_CMD_SA_ADD, &out}};
	rig_protect_all();
	assert_int_equal(rig_transaction(false, c, 2), 0);
	struct rte_mbuf *m = rig_out(rig_udp(CV_AF_INET, 60, false, 1));
	uint8_t wire[200];
	uint32_t len = m->pkt_len, off = 20 + 28;
	memcpy(wire, rte_pktmbuf_mtod(m, void *), len);
	rte_pktmbuf_free(m);
	unsigned auth = 0;
	for (uint32_t bit = off * 8; bit < len * 8; bit++) {
		wire[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		assert_null(in(rig_packet(wire, len)));
		wire[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		auth++;
	}
	rig_assert_dropped(DROP_ESP_AUTH, auth);
	for (unsigned cut = 1; cut < 50; cut++) { /* too long for the rest, or not as long as the algorithm says */
		wire[21] = (uint8_t)(wire[21] + cut);
		assert_null(in(rig_packet(wire, len)));
		wire[21] = (uint8_t)(wire[21] - cut);
	}
	assert_int_equal(
		worker_main()->stats->drops[DROP_AH_SHORT] + worker_main()->stats->drops[DROP_ESP_AUTH], auth + 49);
	assert_true(worker_main()->stats->drops[DROP_AH_SHORT] >= 48);
	/* another hop took from the TTL and marked congestion: as good as before */
	struct rte_ipv4_hdr *ip = (void *)wire;
	ip->time_to_live -= 7;
	ip->type_of_service ^= 0x10;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	m = in(rig_packet(wire, len));
	assert_non_null(m);
	rte_pktmbuf_free(m);
	rig_reset();
}

/* RFC 3948 3.1.2: behind a NAT the address in the checksum is not the one in the header any more. */
static void checksums_survive_a_nat(void **state)
{
	(void)state;
	struct cv_sa out, sa_in;
	rig_sa(&out, CV_SA_OUT, RIG_GCM, CV_AF_INET, 4);
	out.mode = CV_SA_TRANSPORT;
	out.flags = CV_SA_F_UDP_ENCAP;
	sa_in = out;
	sa_in.dir = CV_SA_IN;
	sa_in.rule_id = 0;
	sa_in.index = 5;
	sa_in.spi = out.spi = 0x12340005;
	const struct rig_cmd c[] = {{CV_CMD_SA_ADD, &sa_in}, {CV_CMD_SA_ADD, &out}};
	rig_protect_all();
	assert_int_equal(rig_transaction(false, c, 2), 0);
	struct rte_mbuf *m = rig_udp(CV_AF_INET, 101, false, 1);
	between_peers(m, &out);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	struct rte_udp_hdr *udp = (void *)(ip + 1);
	udp->dgram_cksum = 0;
	udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
	m = rig_out(m);
	assert_non_null(m);
	ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	assert_int_equal(ip->next_proto_id, 17);
	rig_addr(&sa_in.src, "203.0.113.9");
	memcpy(&ip->src_addr, sa_in.src.b, 4);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	m = in(m);
	assert_non_null(m);
	assert_int_equal(m->pkt_len, 101);
	ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	assert_int_equal(ip->next_proto_id, 17);
	assert_int_equal(rte_ipv4_udptcp_cksum_verify(ip, ip + 1), 0);
	rte_pktmbuf_free(m);
	rig_reset();
}

/* RFC 4303 appendix A2.2, against trying both neighbours: the candidate inside the window, or else the next ahead. */
static void extended_numbers_are_estimated(void **state)
{
	(void)state;
	struct replay *r = malloc(replay_size(1024));
	assert_non_null(r);
	replay_init(r, 1024);
	srandom(20261121);
	for (int i = 0; i < 200000; i++) {
		uint64_t near[] = {
			0, 1, 500, 1023, 1024, UINT32_MAX, UINT32_MAX - 1ull, 1ull << 32, (1ull << 32) + 700};
		uint64_t top = near[random() % 9] + (uint64_t)(random() % 3) * (1ull << 33) + (uint64_t)(random() % 40);
		int64_t step = random() % 4 ? random() % 2000 - 1023 : random();
		uint64_t seq = top + (uint64_t)step;
		if (step <= -1024 || (step < 0 && (uint64_t)-step >= top) || step >= (int64_t)UINT32_MAX - 1023)
			continue;
		r->top = top;
		assert_int_equal(replay_extend(r, (uint32_t)seq), seq);
	}
	r->top = 5;
	assert_int_equal(replay_extend(r, UINT32_MAX), 0); /* before the beginning */
	free(r);
}

static int setup(void **state)
{
	(void)state;
	return rig_init(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(takes_what_scapy_made, rig_fresh),
		cmocka_unit_test_setup(makes_what_scapy_makes, rig_fresh),
		cmocka_unit_test_setup(round_trips, rig_fresh),
		cmocka_unit_test_setup(bundles, rig_fresh),
		cmocka_unit_test_setup(transport_is_for_the_peers_alone, rig_fresh),
		cmocka_unit_test_setup(large_transport_packets_are_cut_afterwards, rig_fresh),
		cmocka_unit_test_setup(damaged_ah_is_refused, rig_fresh),
		cmocka_unit_test_setup(checksums_survive_a_nat, rig_fresh),
		cmocka_unit_test_setup(extended_numbers_are_estimated, rig_fresh),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
