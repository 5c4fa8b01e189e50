/* SPDX-License-Identifier: BSD-3-Clause */
/* IPComp with DEFLATE (RFC 3173, 2394): streams made by another zlib, what is left alone, what is refused, and whole
 * packets through ESP in both modes (IPSEC-19). */
#define ALLOW_EXPERIMENTAL_API
#include "ipsec_rig.h"

#include <zlib.h>

#include "iphdr.h"

#define CPI 0x1234u

/* bytes 0..63 three times, then "culvert " twenty times; raw DEFLATE by Python's zlib at level 6 */
static const uint8_t foreign[] = {0x63, 0x60, 0x64, 0x62, 0x66, 0x61, 0x65, 0x63, 0xe7, 0xe0, 0xe4, 0xe2, 0xe6, 0xe1,
	0xe5, 0xe3, 0x17, 0x10, 0x14, 0x12, 0x16, 0x11, 0x15, 0x13, 0x97, 0x90, 0x94, 0x92, 0x96, 0x91, 0x95, 0x93,
	0x57, 0x50, 0x54, 0x52, 0x56, 0x51, 0x55, 0x53, 0xd7, 0xd0, 0xd4, 0xd2, 0xd6, 0xd1, 0xd5, 0xd3, 0x37, 0x30,
	0x34, 0x32, 0x36, 0x31, 0x35, 0x33, 0xb7, 0xb0, 0xb4, 0xb2, 0xb6, 0xb1, 0xb5, 0xb3, 0x67, 0x18, 0x60, 0xfd,
	0xc9, 0xa5, 0x39, 0x65, 0xa9, 0x45, 0x25, 0x0a, 0x83, 0x95, 0x06, 0x00};
#define FOREIGN_LEN 352u

static void foreign_clear(uint8_t *out)
{
	for (unsigned i = 0; i < FOREIGN_LEN; i++)
		out[i] = (uint8_t)(i < 192 ? i % 64 : (unsigned)"culvert "[(i - 192) % 8]);
}

static uint8_t buf[20000];

static uint32_t load(const void *stream, size_t len, uint8_t next, uint16_t cpi)
{
	const uint8_t head[IPCOMP_HDR_LEN] = {next, 0, (uint8_t)(cpi >> 8), (uint8_t)cpi};
	memcpy(buf, head, sizeof(head));
	memcpy(buf + sizeof(head), stream, len);
	return (uint32_t)(sizeof(head) + len);
}

static void takes_foreign_streams(void **state)
{
	(void)state;
	struct ipcomp *z = ipcomp_new();
	uint8_t want[FOREIGN_LEN], next;
	assert_non_null(z);
	foreign_clear(want);
	for (int i = 0; i < 3; i++) { /* the context is as new after each */
		uint32_t len = load(foreign, sizeof(foreign), IPPROTO_IPIP, CPI);
		assert_int_equal(ipcomp_unpack(z, buf, len, sizeof(buf), CPI, &next), FOREIGN_LEN);
		assert_int_equal(next, IPPROTO_IPIP);
		assert_memory_equal(buf, want, FOREIGN_LEN);
	}
	/* the well-known CPI of DEFLATE is always right (RFC 3173 3.3), another one never */
	uint32_t len = load(foreign, sizeof(foreign), IPPROTO_IPIP, CV_CPI_DEFLATE);
	assert_int_equal(ipcomp_unpack(z, buf, len, sizeof(buf), CPI, &next), FOREIGN_LEN);
	len = load(foreign, sizeof(foreign), IPPROTO_IPIP, CPI + 1);
	assert_int_equal(ipcomp_unpack(z, buf, len, sizeof(buf), CPI, &next), 0);
	/* not twice (RFC 3173 2.1), not cut short */
	len = load(foreign, sizeof(foreign), IPPROTO_COMP, CPI);
	assert_int_equal(ipcomp_unpack(z, buf, len, sizeof(buf), CPI, &next), 0);
	for (size_t n = 0; n < sizeof(foreign); n++) {
		len = load(foreign, n, IPPROTO_IPIP, CPI);
		assert_int_equal(ipcomp_unpack(z, buf, len, sizeof(buf), CPI, &next), 0);
	}
	for (uint32_t n = 0; n <= IPCOMP_HDR_LEN; n++)
		assert_int_equal(ipcomp_unpack(z, buf, n, sizeof(buf), CPI, &next), 0);
	ipcomp_free(z);
}

/* A small packet that would become a large one, for any claim of its sender: never more than fits. */
static void bombs_are_bounded(void **state)
{
	(void)state;
	static uint8_t zeros[1000000], stream[20000];
	struct ipcomp *z = ipcomp_new();
	const size_t sizes[] = {100, 1500, IPCOMP_OUT_MAX, IPCOMP_OUT_MAX + 1, 100000, sizeof(zeros)};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		z_stream s = {.next_in = zeros, .avail_in = (uInt)sizes[i], .next_out = stream};
		s.avail_out = sizeof(stream);
		assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
		assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
		size_t len = sizeof(stream) - s.avail_out;
		deflateEnd(&s);
		const uint32_t rooms[] = {64, 1500, 2048, sizeof(buf)};
		for (size_t r = 0; r < sizeof(rooms) / sizeof(rooms[0]); r++) {
			uint8_t next;
			memset(buf, 0xee, sizeof(buf));
			uint32_t max = rooms[r] < IPCOMP_OUT_MAX ? rooms[r] : IPCOMP_OUT_MAX;
			uint32_t in = load(stream, len, IPPROTO_IPIP, CPI);
			uint32_t end = max > in ? max : in;
			uint32_t out = ipcomp_unpack(z, buf, in, rooms[r], CPI, &next);
			assert_int_equal(out, sizes[i] <= max ? sizes[i] : 0);
			for (size_t k = end; k < sizeof(buf); k++)
				assert_int_equal(buf[k], 0xee);
		}
	}
	ipcomp_free(z);
}

static void garbage_is_refused_in_bounds(void **state)
{
	(void)state;
	struct ipcomp *z = ipcomp_new();
	uint8_t next;
	srandom(3173);
	for (int i = 0; i < 20000; i++) {
		uint32_t n = (uint32_t)(random() % 300), room = (uint32_t)(random() % 2000);
		memset(buf, 0xee, 4096);
		load(foreign, sizeof(foreign), IPPROTO_IPIP, CPI);
		uint32_t flips = 1u + (uint32_t)(random() % 4);
		while (flips--)
			buf[IPCOMP_HDR_LEN + (size_t)random() % sizeof(foreign)] ^= (uint8_t)(1u << random() % 8);
		uint32_t len = i % 2 ? IPCOMP_HDR_LEN + sizeof(foreign) : IPCOMP_HDR_LEN + n % sizeof(foreign);
		uint32_t out = ipcomp_unpack(z, buf, len, room, CPI, &next);
		assert_true(out <= room);
		for (size_t k = room > 400 ? room : 400; k < 4096; k++)
			assert_int_equal(buf[k], 0xee);
	}
	ipcomp_free(z);
}

/* RFC 3173 2.2: never longer than it was; what comes back is what went in. */
static void never_expands(void **state)
{
	(void)state;
	static uint8_t before[IPCOMP_OUT_MAX];
	struct ipcomp *z = ipcomp_new();
	unsigned packed = 0;
	bool tried;
	srandom(2394);
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t len = 1u + (uint32_t)random() % (i % 10 ? 1600u : IPCOMP_OUT_MAX);
		uint32_t variety = 1u + (uint32_t)random() % 256u;
		for (uint32_t k = 0; k < len; k++)
			before[k] = (uint8_t)((uint32_t)random() % variety);
		memcpy(buf, before, len);
		buf[len] = 0xee;
		uint32_t n = ipcomp_pack(z, 2 * i, buf, len, IPPROTO_UDP, CPI, &tried), out = len;
		uint8_t next = IPPROTO_UDP;
		assert_true(n < len && buf[len] == 0xee);
		assert_true(n == 0 || tried);
		if (len < IPCOMP_THRESHOLD)
			assert_true(n == 0 && !tried);
		if (n) {
			packed++;
			out = ipcomp_unpack(z, buf, n, sizeof(buf), CPI, &next);
		}
		assert_int_equal(out, len);
		assert_int_equal(next, IPPROTO_UDP);
		assert_memory_equal(buf, before, len);
	}
	assert_true(packed > 1000);
	ipcomp_free(z);
}

/* RFC 3173 2.2: after some packets that did not shrink an SA rests from trying, and then looks again. */
static void rests_after_failures(void **state)
{
	(void)state;
	struct ipcomp *z = ipcomp_new();
	unsigned n_tried = 0;
	bool tried;
	srandom(1);
	for (int i = 0; i < 200; i++) {
		for (uint32_t k = 0; k < 400; k++)
			buf[k] = (uint8_t)random();
		assert_int_equal(ipcomp_pack(z, 6, buf, 400, IPPROTO_UDP, CPI, &tried), 0);
		n_tried += tried;
	}
	assert_in_range(n_tried, 8, 12);
	memset(buf, 0, 400);
	assert_true(ipcomp_pack(z, 8, buf, 400, IPPROTO_UDP, CPI, &tried) > 0); /* another SA */
	unsigned until = 0;
	do
		memset(buf, 0, 400);
	while (!ipcomp_pack(z, 6, buf, 400, IPPROTO_UDP, CPI, &tried) && ++until < 100);
	assert_in_range(until, 0, 64);
	for (int i = 0; i < 20; i++) { /* and compresses again */
		memset(buf, 0, 400);
		assert_true(ipcomp_pack(z, 6, buf, 400, IPPROTO_UDP, CPI, &tried) > 0);
	}
	ipcomp_free(z);
}

/* ---- through ESP ---- */

static struct rte_mbuf *in(struct rte_mbuf *m)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}}, inner = {0};
	bool v4 = rte_pktmbuf_mtod(m, const uint8_t *)[0] >> 4 == 4;
	assert_int_equal(v4 ? ip4_check(m) : ip6_check(m), DROP_NONE);
	ipsec_input(worker_main(), &v, &inner);
	return inner.n ? inner.pkt[0] : NULL;
}

static void pair_up(struct algo_suite suite, uint8_t outer, uint8_t inner, uint8_t mode, uint16_t cpi_in)
{
	struct cv_sa out, sa_in;
	rig_sa(&out, CV_SA_OUT, suite, outer, 4);
	out.mode = mode;
	out.rule_id = inner == CV_AF_INET ? RIG_RULE : RIG_RULE + 1;
	out.cpi = CPI;
	sa_in = out;
	sa_in.dir = CV_SA_IN;
	sa_in.rule_id = 0;
	sa_in.index = 5;
	sa_in.spi = out.spi = 0x12340005;
	sa_in.cpi = cpi_in;
	const struct rig_cmd c[] = {{CV_CMD_SA_ADD, &sa_in}, {CV_CMD_SA_ADD, &out}};
	rig_reset();
	rig_protect_all();
	assert_int_equal(rig_transaction(false, c, 2), 0);
}

/* A UDP packet of len bytes; text: one that shrinks. */
static struct rte_mbuf *packet(uint8_t af, uint32_t len, bool text, uint8_t mode)
{
	struct rte_mbuf *m = rig_udp(af, len, false, len);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t head = af == CV_AF_INET ? 28 : 48;
	const struct sa *sa = sa_get(4);
	for (uint32_t i = head; i < len; i++)
		p[i] = text ? (uint8_t) "culvert "[i % 8] : (uint8_t)random();
	if (mode == CV_SA_TRANSPORT && af == CV_AF_INET) {
		struct rte_ipv4_hdr *ip = (void *)p;
		memcpy(&ip->src_addr, sa->conf.src.b, 4);
		memcpy(&ip->dst_addr, sa->conf.dst.b, 4);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	} else if (mode == CV_SA_TRANSPORT) {
		memcpy(p + 8, sa->conf.src.b, 16);
		memcpy(p + 24, sa->conf.dst.b, 16);
	}
	return m;
}

static void trip(uint8_t af, uint8_t mode, uint32_t len, bool text)
{
	static uint8_t before[10000];
	const struct cv_sa_counters *out = &worker_main()->stats->sa[4], *got = &worker_main()->stats->sa[5];
	const uint64_t packed = out->compressed, unpacked = got->compressed;
	const uint32_t payload = mode == CV_SA_TUNNEL ? len : len - (af == CV_AF_INET ? 20 : 40);
	const bool shrinks = text && payload >= IPCOMP_THRESHOLD;
	struct rte_mbuf *m = packet(af, len, text, mode);
	memcpy(before, rte_pktmbuf_mtod(m, void *), len);
	m = rig_out(m);
	assert_non_null(m);
	if (text && len > 250)
		assert_true(m->pkt_len < len);
	m = in(m);
	assert_non_null(m);
	assert_int_equal(m->pkt_len, len);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), before, len);
	rte_pktmbuf_free(m);
	assert_int_equal(out->compressed - packed, shrinks);
	assert_int_equal(got->compressed - unpacked, shrinks);
}

static void through_esp(void **state)
{
	(void)state;
	const struct algo_suite suites[] = {
		RIG_GCM, RIG_CBC, {.encr = CV_ENCR_AES128_CTR, .integ = CV_INTEG_HMAC_SHA256_128}};
	for (unsigned s = 0; s < 3; s++)
		for (unsigned combo = 0; combo < 8; combo++) {
			uint8_t outer = combo & 1 ? CV_AF_INET6 : CV_AF_INET,
				inner = combo & 2 ? CV_AF_INET6 : CV_AF_INET;
			uint8_t mode = combo & 4 ? CV_SA_TRANSPORT : CV_SA_TUNNEL;
			if (mode == CV_SA_TRANSPORT)
				inner = outer;
			pair_up(suites[s], outer, inner, mode, CPI);
			for (uint32_t len = 50; len < 1400; len += 97)
				trip(inner, mode, len, true);
			for (uint32_t len = 50; len < 1400; len += 197)
				trip(inner, mode, len, false);
		}
	rig_reset();
}

/* FRAG-8: what does not fit is cut before it is compressed and encrypted, however small it would have become. */
static void cut_before_compression(void **state)
{
	struct pkt_vec v = {0}, bypass = {0}, outer = {0};
	uint32_t payload = 0;
	(void)state;
	pair_up(RIG_GCM, CV_AF_INET, CV_AF_INET, CV_SA_TUNNEL, CPI);
	rig_mtu = 1500;
	const struct cv_sa_counters *out = &worker_main()->stats->sa[4];
	const uint64_t packed = out->compressed;
	v.pkt[v.n++] = packet(CV_AF_INET, 1500, true, CV_SA_TUNNEL);
	ipsec_output(worker_main(), &v, &bypass, &outer);
	assert_int_equal(outer.n, 2);
	assert_int_equal(out->compressed - packed, 2);
	for (uint32_t i = 0; i < outer.n; i++) {
		assert_true(outer.pkt[i]->pkt_len < 300);
		struct rte_mbuf *m = in(outer.pkt[i]);
		assert_non_null(m);
		assert_true(m->pkt_len > 700);
		payload += m->pkt_len - 20;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(payload, 1480);
	rig_reset();
}

static void refused(void **state)
{
	(void)state;
	for (uint8_t mode = CV_SA_TUNNEL; mode <= CV_SA_TRANSPORT; mode++) {
		pair_up(RIG_GCM, CV_AF_INET, CV_AF_INET, mode, CPI + 1); /* the receiver expects another CPI */
		const uint64_t failed = worker_main()->stats->sa[5].comp_failed;
		struct rte_mbuf *m = rig_out(packet(CV_AF_INET, 1000, true, mode));
		assert_non_null(m);
		assert_null(in(m));
		rig_assert_dropped(DROP_IPCOMP, 1);
		assert_int_equal(worker_main()->stats->sa[5].comp_failed - failed, 1);
		rig_clear();
	}
	/* compression that was not agreed */
	pair_up(RIG_GCM, CV_AF_INET, CV_AF_INET, CV_SA_TUNNEL, 0);
	assert_null(in(rig_out(packet(CV_AF_INET, 1000, true, CV_SA_TUNNEL))));
	rig_assert_dropped(DROP_ESP_PAD, 1);
	struct cv_sa ah;
	rig_sa(&ah, CV_SA_OUT, (struct algo_suite){.integ = CV_INTEG_HMAC_SHA256_128}, CV_AF_INET, 8);
	ah.ipproto = 51;
	ah.cpi = CPI;
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &ah), CV_ERR_UNSUPPORTED);
	rig_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_foreign_streams),
		cmocka_unit_test(bombs_are_bounded),
		cmocka_unit_test(garbage_is_refused_in_bounds),
		cmocka_unit_test(never_expands),
		cmocka_unit_test(rests_after_failures),
		rig_test(through_esp),
		rig_test(cut_before_compression),
		rig_test(refused),
	};
	if (rig_init(0))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
