/* SPDX-License-Identifier: BSD-3-Clause */
/* Policies and SAs as control changes them: decisions, bindings, transactions, held packets, several workers. */
#include "ipsec_rig.h"

#include <pthread.h>
#include <time.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "fib.h"

static struct cv_spd spd1 = {.spd_id = RIG_SPD, .n_if = 1, .if_id = {RIG_IF}};

static void rule(struct cv_spd_rule *r, uint32_t id, uint32_t entry, enum cv_spd_action action, uint32_t flags)
{
	*r = (struct cv_spd_rule){.spd_id = RIG_SPD,
		.rule_id = id,
		.prio = (uint64_t)entry << 32 | id,
		.action = action,
		.flags = flags,
		.vrf_id = CV_VRF_ANY};
	rig_sel(&r->sel, "10.1.0.0", "10.1.255.255", "10.2.0.0", "10.2.255.255");
}

static void out_sa(struct cv_sa *sa, uint32_t index, uint32_t rule_id)
{
	rig_sa(sa, CV_SA_OUT, RIG_GCM, CV_AF_INET, index);
	sa->rule_id = rule_id;
}

/* SPI of an outgoing ESP packet, 0 when nothing came out. */
static uint32_t spi_sent(struct rte_mbuf *m)
{
	if (!m || !(pkt_meta(m)->flags & PKT_F_PROTECTED)) {
		rte_pktmbuf_free(m);
		return 0;
	}
	uint32_t spi = rte_be_to_cpu_32(*rte_pktmbuf_mtod_offset(m, uint32_t *, 20));
	rte_pktmbuf_free(m);
	return spi;
}

static struct rte_mbuf *udp(void)
{
	return rig_udp(CV_AF_INET, 100, false, 1);
}

static bool bypassed(struct rte_mbuf *m)
{
	bool yes = m && !(pkt_meta(m)->flags & PKT_F_PROTECTED);
	rte_pktmbuf_free(m);
	return yes;
}

/* 1 when a clear packet from the other side may enter. */
static unsigned clear_in(struct rte_mbuf *m, uint32_t flags)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}};
	pkt_meta(m)->flags = flags;
	pkt_meta(m)->l4_off = 20; /* as ip_input found it */
	pkt_meta(m)->l4_proto = 17;
	ipsec_check_clear(worker_main(), &v);
	if (v.n)
		rte_pktmbuf_free(m);
	return v.n;
}

static void turn_round(struct rte_mbuf *m)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	struct rte_udp_hdr *u = (void *)(ip + 1);
	RTE_SWAP(ip->src_addr, ip->dst_addr);
	RTE_SWAP(u->src_port, u->dst_port);
}

static void actions_of_rules(void **state)
{
	(void)state;
	struct cv_spd_rule r;
	assert_true(bypassed(rig_out(udp()))); /* no policy at all */
	assert_false(ipsec_on_interface(RIG_IF));
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_SET, &spd1), 0);
	assert_true(ipsec_on_interface(RIG_IF));
	assert_false(ipsec_on_interface(RIG_IF + 1));
	assert_true(bypassed(rig_out(udp()))); /* no match = clear (IPSEC-27) */
	rule(&r, 1, 10, CV_SPD_DISCARD, 0);
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_RULE_SET, &r), 0);
	assert_null(rig_out(udp()));
	rig_assert_dropped(DROP_SPD_DISCARD, 1);
	rule(&r, 1, 10, CV_SPD_BYPASS, 0);
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_RULE_SET, &r), 0);
	assert_true(bypassed(rig_out(udp())));
	rule(&r, 1, 10, CV_SPD_PROTECT, CV_RULE_NO_ACQUIRE);
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_RULE_SET, &r), 0);
	assert_null(rig_out(udp())); /* never in clear (IPSEC-31) */
	rig_assert_dropped(DROP_NO_SA, 1);
	struct cv_spd_rule_ref ref = {RIG_SPD, 1};
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_RULE_DEL, &ref), 0);
	assert_true(bypassed(rig_out(udp())));
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_RULE_DEL, &ref), CV_ERR_NOT_FOUND);
}

/* A deny line leaves its own entry only: a later entry may still protect (IPSEC-27, O1). */
static void a_skip_line_leaves_one_entry(void **state)
{
	(void)state;
	struct cv_spd_rule deny, same, later;
	rule(&deny, 1, 10, CV_SPD_BYPASS, CV_RULE_SKIP_ENTRY);
	rule(&same, 2, 10, CV_SPD_DISCARD, 0);
	rule(&later, 3, 20, CV_SPD_PROTECT, CV_RULE_NO_ACQUIRE);
	const struct rig_cmd c[] = {
		{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &deny}, {CV_CMD_SPD_RULE_SET, &same}};
	assert_int_equal(rig_transaction(false, c, 3), 0);
	assert_true(bypassed(rig_out(udp())));
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_RULE_SET, &later), 0);
	assert_null(rig_out(udp()));
	rig_assert_dropped(DROP_NO_SA, 1);
}

/* IPSEC-30, IPSEC-78: what should have been protected is refused in clear, with source and destination swapped. */
static void clear_packets_are_checked_mirrored(void **state)
{
	(void)state;
	struct cv_spd_rule r;
	rule(&r, 1, 10, CV_SPD_PROTECT, 0);
	r.sel.proto = 17;
	r.sel.dport_lo = r.sel.dport_hi = 53;
	const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}};
	assert_int_equal(rig_transaction(false, c, 2), 0);
	struct rte_mbuf *m = udp();
	assert_int_equal(clear_in(m, 0), 1); /* as written: not what comes from the other side */
	m = udp();
	turn_round(m);
	assert_int_equal(clear_in(m, 0), 0);
	rig_assert_dropped(DROP_SPD_CLEAR_IN, 1);
	m = udp();
	turn_round(m);
	assert_int_equal(clear_in(m, PKT_F_DECAPPED), 1); /* it was protected */
	m = udp();
	turn_round(m);
	pkt_meta(m)->if_rx = RIG_IF + 1;
	assert_int_equal(clear_in(m, 0), 1); /* another interface */
	m = udp();
	turn_round(m);
	rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, 20)->dst_port = RTE_BE16(500);
	rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, 20)->src_port = RTE_BE16(53);
	assert_int_equal(clear_in(m, PKT_F_LOCAL), 1); /* IKE to ourselves */
}

/* IPSEC-30: the later fragments of UDP to ourselves have no ports, and may belong to IKE or to ESP in UDP. They are
 * believed when they are whole; nothing that is not for us profits from it. */
static void later_fragments_of_udp_to_ourselves_are_checked_whole(void **state)
{
	(void)state;
	struct cv_spd_rule r;
	rule(&r, 1, 10, CV_SPD_PROTECT, 0);
	const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}};
	assert_int_equal(rig_transaction(false, c, 2), 0);
	static const struct {
		uint16_t frag;
		uint32_t flags;
		unsigned enters;
	} cases[] = {{0, PKT_F_LOCAL, 0}, {1, PKT_F_LOCAL, 0}, {2, PKT_F_LOCAL, 1}, {2, 0, 0}};
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		struct rte_mbuf *m = udp();
		turn_round(m);
		pkt_meta(m)->frag = cases[i].frag;
		assert_int_equal(clear_in(m, cases[i].flags), cases[i].enters);
	}
}

static struct rte_mbuf *udp_between(uint32_t src, uint32_t dst)
{
	struct rte_mbuf *m = udp();
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	ip->src_addr = rte_cpu_to_be_32(src);
	ip->dst_addr = rte_cpu_to_be_32(dst);
	return m;
}

/* IPSEC-34, IPSEC-T2: a narrow flow inside a wide one has its own SA only while its entry comes first. */
static void the_narrow_flow_needs_the_lower_number(void **state)
{
	(void)state;
	for (unsigned swapped = 0; swapped < 2; swapped++) {
		struct cv_spd_rule narrow, wide;
		struct cv_sa sa1, sa2;
		rule(&narrow, 1, swapped ? 20 : 10, CV_SPD_PROTECT, 0);
		rule(&wide, 2, swapped ? 10 : 20, CV_SPD_PROTECT, 0);
		rig_sel(&narrow.sel, "10.1.1.0", "10.1.1.255", "172.16.1.0", "172.16.1.255");
		rig_sel(&wide.sel, "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255");
		out_sa(&sa1, 21, 1);
		out_sa(&sa2, 22, 2);
		const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &narrow},
			{CV_CMD_SPD_RULE_SET, &wide}, {CV_CMD_SA_ADD, &sa1}, {CV_CMD_SA_ADD, &sa2}};
		assert_int_equal(rig_transaction(true, c, 5), 0);
		assert_int_equal(spi_sent(rig_out(udp_between(0x0a010105, 0xac100105))), swapped ? sa2.spi : sa1.spi);
		assert_int_equal(spi_sent(rig_out(udp_between(0x0a020005, 0xac110005))), sa2.spi);
	}
}

/* VRF-7: equal flows of two inside VRFs are different policies. */
static void the_vrf_is_a_selector(void **state)
{
	(void)state;
	struct cv_spd_rule a, b;
	struct cv_sa sa1, sa2;
	rule(&a, 1, 10, CV_SPD_PROTECT, 0);
	rule(&b, 2, 20, CV_SPD_PROTECT, 0);
	a.vrf_id = 11;
	b.vrf_id = 12;
	out_sa(&sa1, 21, 1);
	out_sa(&sa2, 22, 2);
	sa1.inside_vrf = 11;
	sa2.inside_vrf = 12;
	const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &a}, {CV_CMD_SPD_RULE_SET, &b},
		{CV_CMD_SA_ADD, &sa1}, {CV_CMD_SA_ADD, &sa2}};
	assert_int_equal(rig_transaction(false, c, 5), 0);
	for (uint32_t vrf = 11; vrf <= 13; vrf++) {
		struct rte_mbuf *m = udp();
		pkt_meta(m)->vrf = vrf;
		m = rig_out(m);
		if (vrf == 13)
			assert_true(bypassed(m));
		else
			assert_int_equal(spi_sent(m), vrf == 11 ? sa1.spi : sa2.spi);
	}
}

static void newest_sa_that_covers_the_flow_is_used(void **state)
{
	(void)state;
	struct cv_spd_rule r;
	struct cv_sa wide, narrow, newer;
	rule(&r, 1, 10, CV_SPD_PROTECT, 0);
	out_sa(&wide, 31, 1);
	out_sa(&narrow, 32, 1);
	out_sa(&newer, 33, 1);
	narrow.n_sel = 1;
	rig_sel(&narrow.sel[0], "10.1.0.5", "10.1.0.5", "10.2.0.9", "10.2.0.9");
	const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}, {CV_CMD_SA_ADD, &wide}};
	assert_int_equal(rig_transaction(false, c, 3), 0);
	assert_int_equal(spi_sent(rig_out(udp())), wide.spi);
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &narrow), 0);
	assert_int_equal(spi_sent(rig_out(udp())), narrow.spi);
	struct rte_mbuf *other = udp();
	rte_pktmbuf_mtod(other, struct rte_ipv4_hdr *)->src_addr = RTE_BE32(0x0a010006);
	assert_int_equal(spi_sent(rig_out(other)), wide.spi);
	/* make before break: the new one is used from its publication on, the old ones may go */
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &newer), 0);
	assert_int_equal(spi_sent(rig_out(udp())), newer.spi);
	struct cv_sa_ref del = {31, wide.spi};
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_DEL, &del), 0);
	assert_int_equal(spi_sent(rig_out(udp())), newer.spi);
	del = (struct cv_sa_ref){33, newer.spi};
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_DEL, &del), 0);
	assert_int_equal(spi_sent(rig_out(udp())), narrow.spi);
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_DEL, &del), CV_ERR_NOT_FOUND);
}

/* A rule that is edited keeps its SAs; so does one that only changes its place. */
static void changed_rules_keep_their_sas(void **state)
{
	(void)state;
	struct cv_spd_rule r;
	struct cv_sa sa;
	rule(&r, 1, 10, CV_SPD_PROTECT, 0);
	out_sa(&sa, 41, 1);
	const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}, {CV_CMD_SA_ADD, &sa}};
	assert_int_equal(rig_transaction(false, c, 3), 0);
	r.prio = UINT64_C(99) << 32;
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_RULE_SET, &r), 0);
	assert_int_equal(spi_sent(rig_out(udp())), sa.spi);
	rig_sel(&r.sel, "10.0.0.0", "10.255.255.255", "10.0.0.0", "10.255.255.255");
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_RULE_SET, &r), 0);
	assert_int_equal(spi_sent(rig_out(udp())), sa.spi);
}

/* ---- transactions ---- */

static void sync_keeps_what_is_named_and_sweeps_the_rest(void **state)
{
	(void)state;
	struct cv_spd_rule r, r2;
	struct cv_sa keep, drop;
	rule(&r, 1, 10, CV_SPD_PROTECT, 0);
	rule(&r2, 2, 20, CV_SPD_PROTECT, 0);
	out_sa(&keep, 51, 1);
	out_sa(&drop, 52, 2);
	const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}, {CV_CMD_SPD_RULE_SET, &r2},
		{CV_CMD_SA_ADD, &keep}, {CV_CMD_SA_ADD, &drop}};
	assert_int_equal(rig_transaction(false, c, 5), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(spi_sent(rig_out(udp())), keep.spi);
	const struct sa *before = sa_get(51);
	const struct spd_rule *rule_before = spd_rule_get(1);
	struct cv_sa_ref ref = {51, keep.spi};
	const struct rig_cmd sync[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}, {CV_CMD_SA_KEEP, &ref}};
	assert_int_equal(rig_transaction(true, sync, 3), 0);
	assert_ptr_equal(sa_get(51), before); /* the same object: sequence numbers go on */
	assert_ptr_equal(spd_rule_get(1), rule_before);
	assert_int_equal(before->state->seq, 5);
	assert_null(sa_get(52));
	assert_null(spd_rule_get(2));
	assert_int_equal(sa_count(), 1);
	assert_int_equal(spi_sent(rig_out(udp())), keep.spi);
	ref.spi++;
	assert_int_equal(rig_transaction(true, sync, 3), CV_ERR_NOT_FOUND);
	assert_ptr_equal(sa_get(51), before); /* nothing happened */
	assert_int_equal(rig_transaction(true, NULL, 0), 0);
	assert_int_equal(sa_count(), 0);
	assert_false(ipsec_on_interface(RIG_IF));
}

static void a_failed_transaction_changes_nothing(void **state)
{
	(void)state;
	struct cv_spd_rule r, r2;
	struct cv_sa sa, bad;
	rule(&r, 1, 10, CV_SPD_PROTECT, 0);
	out_sa(&sa, 61, 1);
	const struct rig_cmd good[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}, {CV_CMD_SA_ADD, &sa}};
	assert_int_equal(rig_transaction(false, good, 3), 0);
	/* every place in which the transaction can stop */
	rule(&r2, 1, 10, CV_SPD_DISCARD, 0);
	out_sa(&bad, 62, 77); /* a rule that is not there */
	struct cv_sa_ref del = {61, sa.spi};
	const struct rig_cmd half[] = {{CV_CMD_SPD_RULE_SET, &r2}, {CV_CMD_SA_DEL, &del}, {CV_CMD_SA_ADD, &bad}};
	assert_int_equal(rig_transaction(false, half, 3), CV_ERR_NOT_FOUND);
	assert_int_equal(spi_sent(rig_out(udp())), sa.spi);
	bad = sa;
	bad.spi = 0x999;
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &bad), CV_ERR_EXISTS);
	struct cv_spd other = {.spd_id = 2, .n_if = 1, .if_id = {RIG_IF}};
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_SET, &other), CV_ERR_EXISTS);
	r2.spd_id = 9;
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_RULE_SET, &r2), CV_ERR_NOT_FOUND);
	assert_int_equal(spi_sent(rig_out(udp())), sa.spi);
	/* the same id twice in one transaction: the last one counts, the first leaves nothing behind */
	rule(&r2, 1, 10, CV_SPD_DISCARD, 0);
	const struct rig_cmd twice[] = {{CV_CMD_SPD_RULE_SET, &r2}, {CV_CMD_SPD_RULE_SET, &r}};
	assert_int_equal(rig_transaction(false, twice, 2), 0);
	assert_int_equal(spi_sent(rig_out(udp())), sa.spi);
	uint32_t id = RIG_SPD;
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_DEL, &id), 0);
	assert_true(bypassed(rig_out(udp())));
	assert_null(spd_rule_get(1));
}

static void malformed_sas_are_refused(void **state)
{
	(void)state;
	struct cv_sa sa;
	static const struct {
		int err;
		uint8_t mode, proto, encr;
		uint32_t spi, flags, index;
		uint16_t key_len, n_sel;
	} bad[] = {
		{CV_ERR_MALFORMED, 1, 17, CV_ENCR_AES128_GCM16, 0x12340048, 0, 72, 20, 1},
		{CV_ERR_MALFORMED, 1, 51, CV_ENCR_AES128_GCM16, 0x12340048, 0, 72, 20, 1},
		{CV_ERR_MALFORMED, 1, 50, CV_ENCR_MAX, 0x12340048, 0, 72, 20, 1},
		{CV_ERR_MALFORMED, 1, 50, CV_ENCR_AES128_GCM16, 0x12340048, 0, 72, 19, 1},
		{CV_ERR_MALFORMED, 1, 50, CV_ENCR_AES128_GCM16, 0x12340049, 0, 72, 20, 1},
		{CV_ERR_MALFORMED, 1, 50, CV_ENCR_AES128_GCM16, 0x12340048, 0, 0, 20, 1},
		{CV_ERR_MALFORMED, 1, 50, CV_ENCR_AES128_GCM16, 0x12340048, 0, 72, 20, 0},
		{CV_ERR_MALFORMED, 1, 50, CV_ENCR_AES128_GCM16, 0x12340048, 0, 72, 20, 5},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rig_sa(&sa, CV_SA_IN, RIG_GCM, CV_AF_INET, 72);
		sa.mode = bad[i].mode;
		sa.ipproto = bad[i].proto;
		sa.encr = bad[i].encr;
		sa.spi = bad[i].spi;
		sa.flags = bad[i].flags;
		sa.index = bad[i].index;
		sa.key_len = bad[i].key_len;
		sa.n_sel = bad[i].n_sel;
		assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &sa), bad[i].err);
	}
	assert_int_equal(sa_count(), 0);
}

static void a_moved_sa_goes_on_counting(void **state)
{
	(void)state;
	struct cv_spd_rule r;
	struct cv_sa sa;
	rule(&r, 1, 10, CV_SPD_PROTECT, 0);
	out_sa(&sa, 81, 1);
	const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}, {CV_CMD_SA_ADD, &sa}};
	assert_int_equal(rig_transaction(false, c, 3), 0);
	assert_int_equal(spi_sent(rig_out(udp())), sa.spi);
	struct cv_sa_update u = {
		.ref = {81, sa.spi}, .src = sa.src, .udp_src = 4500, .udp_dst = 1024, .flags = CV_SA_F_UDP_ENCAP};
	rig_addr(&u.dst, "198.51.100.7");
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_UPDATE, &u), 0);
	struct rte_mbuf *m = rig_out(udp());
	assert_non_null(m);
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	assert_int_equal(ip->dst_addr, RTE_BE32(0xc6336407));
	assert_int_equal(ip->next_proto_id, 17);
	assert_int_equal(rte_be_to_cpu_16(((const struct rte_udp_hdr *)(ip + 1))->dst_port), 1024);
	assert_int_equal(rte_be_to_cpu_32(*rte_pktmbuf_mtod_offset(m, uint32_t *, 32)), 2); /* sequence number */
	rte_pktmbuf_free(m);
	assert_int_equal(sa_count(), 1);
}

static void dumps_name_everything_page_by_page(void **state)
{
	(void)state;
	enum { N = 100 };
	struct cv_spd_rule r;
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_SET, &spd1), 0);
	for (uint32_t i = 1; i <= N; i++) {
		struct cv_sa sa;
		rule(&r, i, i, CV_SPD_PROTECT, 0);
		out_sa(&sa, i + 10, i);
		const struct rig_cmd c[] = {{CV_CMD_SPD_RULE_SET, &r}, {CV_CMD_SA_ADD, &sa}};
		assert_int_equal(rig_transaction(false, c, 2), 0);
	}
	struct cv_cmd_dump req = {.kind = CV_DUMP_SA};
	struct cv_dump_reply out;
	uint32_t n = 0;
	do {
		sa_dump(&req, &out);
		const struct cv_sa_entry *e = (const void *)out.entries;
		for (uint32_t i = 0; i < out.n; i++, n++)
			assert_int_equal(e[i].ref.index, n + 11);
	} while ((req.cursor = out.next));
	assert_int_equal(n, N);
	req = (struct cv_cmd_dump){.kind = CV_DUMP_SPD, .scope = RIG_SPD};
	n = 0;
	do {
		spd_dump(&req, &out);
		const struct cv_spd_rule_entry *e = (const void *)out.entries;
		for (uint32_t i = 0; i < out.n; i++, n++)
			assert_int_equal(e[i].out_sa, e[i].rule_id + 10);
	} while ((req.cursor = out.next));
	assert_int_equal(n, N);
}

/* ---- held packets (IPSEC-31, IPSEC-32) ---- */

static void hold_one(void)
{
	unsigned before = rig_n_slow;
	assert_null(rig_out(udp()));
	assert_int_equal(rig_n_slow, before + 1);
	assert_int_equal(rig_slow_why[before], SLOW_ACQUIRE);
	rig_n_slow = before;
	hold_packet(worker_main(), rig_slow_pkt[before]);
}

static unsigned acquires(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < rig_n_events; i++)
		n += rig_event[i].h.type == CV_EVT_ACQUIRE;
	return n;
}

static void the_triggering_packet_goes_on_the_new_sa(void **state)
{
	(void)state;
	struct cv_spd_rule r;
	struct cv_sa sa;
	rule(&r, 1, 10, CV_SPD_PROTECT, 0);
	const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}};
	assert_int_equal(rig_transaction(false, c, 2), 0);
	uint64_t now = dp_now_ms();
	for (unsigned i = 0; i < HOLD_PER_RULE + 3; i++)
		hold_one();
	assert_int_equal(acquires(), 1);
	const struct cv_evt_acquire *e = (const void *)rig_event[0].body;
	assert_int_equal(e->rule_id, 1);
	assert_int_equal(e->spd_id, RIG_SPD);
	assert_int_equal(e->if_id, RIG_IF);
	assert_int_equal(e->proto, 17);
	assert_int_equal(e->sport, 1000);
	assert_int_equal(e->dport, 53);
	assert_int_equal(e->src.b[3], 5);
	assert_int_equal(e->dst.b[3], 9);
	assert_int_equal(hold_count(1), HOLD_PER_RULE);
	rig_assert_dropped(DROP_HOLD_FULL, 3);
	hold_tick(worker_main(), now + 500);
	assert_int_equal(acquires(), 1);
	hold_tick(worker_main(), now + HOLD_ACQUIRE_MS + 500);
	assert_int_equal(acquires(), 2);
	out_sa(&sa, 91, 1);
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &sa), 0);
	assert_int_equal(rig_n_forwarded, 0); /* not inside the transaction */
	hold_tick(worker_main(), now + 2000);
	assert_int_equal(rig_n_forwarded, HOLD_PER_RULE);
	assert_int_equal(hold_count(1), 0);
	for (unsigned i = 0; i < rig_n_forwarded; i++)
		assert_true(pkt_meta(rig_forwarded[i])->flags & PKT_F_LOCAL_OUT);
	assert_int_equal(spi_sent(rig_out(udp())), sa.spi);
}

static void held_packets_do_not_wait_for_ever(void **state)
{
	(void)state;
	struct cv_spd_rule r;
	rule(&r, 1, 10, CV_SPD_PROTECT, 0);
	const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}};
	assert_int_equal(rig_transaction(false, c, 2), 0);
	hold_one();
	hold_drop(worker_main(), 1); /* negotiation failed */
	rig_assert_dropped(DROP_HOLD_FAILED, 1);
	hold_one();
	hold_tick(worker_main(), dp_now_ms() + HOLD_TIMEOUT_MS + 1);
	rig_assert_dropped(DROP_HOLD_FAILED, 2);
	hold_one();
	struct cv_spd_rule_ref ref = {RIG_SPD, 1};
	assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_RULE_DEL, &ref), 0);
	hold_tick(worker_main(), dp_now_ms());
	rig_assert_dropped(DROP_HOLD_FAILED, 3);
	assert_int_equal(hold_count(1), 0);
}

/* ISPI-10: of AH around ESP the outer header is the one that is reported. */
static void invalid_spi_of_the_outer_header(void **state)
{
	(void)state;
	static const uint8_t bundle[] = {0x45, 0, 0, 68, 0, 1, 0, 0, 64, 51, 0, 0, 198, 51, 100, 9, 192, 0, 2,
		2, /* AH */
		50, 4, 0, 0, 0x01, 0x21, 0x4f, 0x0d, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* ESP */ 0xde,
		0xad, 0xbe, 0xef, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	assert_null(rig_in(rig_packet(bundle, sizeof(bundle))));
	assert_int_equal(rig_n_slow, 1);
	rig_n_slow = 0;
	ipsec_invalid_spi(worker_main(), rig_slow_pkt[0]);
	assert_int_equal(rig_n_events, 1);
	const struct cv_evt_invalid_spi *e = (const void *)rig_event[0].body;
	assert_int_equal(e->proto, 51);
	assert_int_equal(e->spi, 0x01214f0d);
}

static void invalid_spis_are_told_but_not_too_often(void **state)
{
	(void)state;
	static const uint8_t esp[] = {0x45, 0, 0, 60, 0, 1, 0, 0, 64, 50, 0, 0, 198, 51, 100, 9, 192, 0, 2, 2, 0xde,
		0xad, 0xbe, 0xef, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0};
	for (int i = 0; i < 100; i++) {
		assert_null(rig_in(rig_packet(esp, sizeof(esp))));
		assert_int_equal(rig_n_slow, 1);
		rig_n_slow = 0;
		ipsec_invalid_spi(worker_main(), rig_slow_pkt[0]);
	}
	rig_assert_dropped(DROP_ESP_SPI, 100);
	assert_true(rig_n_events >= 1 && rig_n_events <= 20);
	const struct cv_evt_invalid_spi *e = (const void *)rig_event[0].body;
	assert_int_equal(rig_event[0].h.type, CV_EVT_INVALID_SPI);
	assert_int_equal(e->spi, 0xdeadbeef);
	assert_int_equal(e->src.b[3], 9);
	assert_int_equal(e->udp_dst, 0);
}

/* ---- several workers on one SA ---- */

#define THREADS 3
#define ROUNDS 300
#define BATCH 16

static struct cv_sa t_out, t_in;
static uint32_t seq_seen[THREADS * ROUNDS * BATCH + 1];
static uint32_t delivered, disordered;

static void *one_worker(void *arg)
{
	struct worker *w = arg;
	uint32_t last_seq = 0;
	worker_online(w);
	for (int round = 0; round < ROUNDS; round++) {
		struct pkt_vec v = {.n = BATCH}, bypass = {0}, outer = {0}, inner = {0}, again = {0}, none = {0};
		for (int i = 0; i < BATCH; i++)
			v.pkt[i] = rig_udp(CV_AF_INET, 100, false, (uint32_t)i);
		ipsec_output(w, &v, &bypass, &outer);
		for (uint32_t i = 0; i < outer.n; i++) {
			struct rte_mbuf *m = outer.pkt[i];
			uint32_t seq = rte_be_to_cpu_32(*rte_pktmbuf_mtod_offset(m, uint32_t *, 24));
			__atomic_fetch_add(&seq_seen[seq], 1, __ATOMIC_RELAXED);
			if (seq <= last_seq)
				__atomic_store_n(&disordered, 1, __ATOMIC_RELAXED);
			last_seq = seq;
			pkt_meta(m)->l4_off = 20;
			pkt_meta(m)->l4_proto = 50;
			again.pkt[again.n] = rig_packet(rte_pktmbuf_mtod(m, void *), m->pkt_len);
			*pkt_meta(again.pkt[again.n++]) = *pkt_meta(m);
		}
		ipsec_input(w, &outer, &inner);
		for (uint32_t i = 0, id = 0; i < inner.n;
			i++) { /* the identification that rig_udp() gave it, and one */
			const uint32_t of =
				rte_be_to_cpu_16(*rte_pktmbuf_mtod_offset(inner.pkt[i], uint16_t *, 4)) + 1u;
			if (of <= id)
				__atomic_store_n(&disordered, 1, __ATOMIC_RELAXED);
			id = of;
		}
		ipsec_input(w, &again, &none); /* every packet a second time */
		__atomic_fetch_add(&delivered, inner.n + none.n, __ATOMIC_RELAXED);
		rte_pktmbuf_free_bulk(inner.pkt, inner.n);
		rte_pktmbuf_free_bulk(none.pkt, none.n);
		worker_quiescent(w);
	}
	worker_offline(w);
	return NULL;
}

/* Promise 1: one tunnel is not limited to one core. No number twice outbound, no packet twice inbound, and what a
 * worker sends or receives, which is every flow that its queues have, stays in order: its packets, and their numbers.
 */
static void several_workers_share_one_sa(void **state)
{
	(void)state;
	pthread_t t[THREADS];
	struct cv_spd_rule r;
	rule(&r, 1, 10, CV_SPD_PROTECT, 0);
	out_sa(&t_out, 4, 1);
	rig_sa(&t_in, CV_SA_IN, RIG_GCM, CV_AF_INET, 5);
	t_out.spi = t_in.spi;
	t_in.replay_window = REPLAY_WINDOW_MAX;
	const struct rig_cmd c[] = {
		{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}, {CV_CMD_SA_ADD, &t_in}, {CV_CMD_SA_ADD, &t_out}};
	assert_int_equal(rig_transaction(false, c, 4), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, one_worker, dp_workers[i + 1]), 0);
	/* meanwhile main goes on changing: the SA moves to and fro, other rules come and go */
	for (int i = 0; i < 50; i++) {
		struct cv_sa_update u = {.ref = {4, t_out.spi}, .src = t_out.src, .dst = t_out.dst};
		struct cv_spd_rule other;
		rule(&other, 2, 5 + (uint32_t)i % 2 * 20, CV_SPD_PROTECT, 0);
		rig_sel(&other.sel, "10.9.0.0", "10.9.0.255", "0.0.0.0", "255.255.255.255");
		assert_int_equal(rig_command(&sa_module, CV_CMD_SA_UPDATE, &u), 0);
		assert_int_equal(rig_command(&spd_module, CV_CMD_SPD_RULE_SET, &other), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(disordered, 0);
	for (uint32_t s = 1; s <= THREADS * ROUNDS * BATCH; s++)
		assert_int_equal(seq_seen[s], 1);
	uint64_t replays = 0, packets = 0;
	for (int i = 1; i <= THREADS; i++) {
		replays += dp_workers[i]->stats->sa[5].replay_drops;
		packets += dp_workers[i]->stats->sa[5].packets;
	}
	assert_int_equal(packets, delivered);
	assert_int_equal(packets + replays, 2u * THREADS * ROUNDS * BATCH);
	assert_true(delivered <= THREADS * ROUNDS * BATCH);
	/* only a thread that slept for a whole window loses packets */
	assert_true(delivered > THREADS * ROUNDS * BATCH * 9 / 10);
	assert_int_equal(sa_get(4)->state->seq, THREADS * ROUNDS * BATCH);
}

/* ---- an SA for each worker (RFC 9611) ---- */

#define WORKER_FLOWS 8

/* The SA that the packets of flow `port` of a worker leave by; 0 = none. */
static uint32_t spi_of_flow(struct worker *w, unsigned port)
{
	struct pkt_vec v = {.n = 1, .pkt = {udp()}}, bypass = {0}, outer = {0};
	struct rte_udp_hdr *u = rte_pktmbuf_mtod_offset(v.pkt[0], struct rte_udp_hdr *, 20);
	u->src_port = rte_cpu_to_be_16((uint16_t)(1000 + port));
	pkt_meta(v.pkt[0])->l4_off = 0;
	ipsec_output(w, &v, &bypass, &outer);
	assert_int_equal(bypass.n, 0);
	return outer.n ? spi_sent(outer.pkt[0]) : 0;
}

/* Every flow of a worker goes by this SA: so no flow is on two, and none can overtake itself. */
static void assert_worker_uses(unsigned worker, uint32_t spi)
{
	for (unsigned k = 0; k < 2 * WORKER_FLOWS; k++) /* the second time from the cache */
		assert_int_equal(spi_of_flow(dp_workers[worker], k % WORKER_FLOWS), spi);
}

static void resource_sa(struct cv_sa *sa, uint32_t index, uint8_t resource)
{
	out_sa(sa, index, 1);
	sa->spi = 1000 + index;
	sa->flags |= CV_SA_F_PER_RESOURCE;
	sa->resource = resource;
}

/* Workers that have asked since the last call: bit per number; what they sent by is `spi`. */
static uint32_t asked(uint32_t spi)
{
	uint32_t who = 0;
	rig_clear();
	sa_events_poll();
	for (unsigned i = 0; i < rig_n_events; i++) {
		const struct cv_evt_sa_resource *e = (const void *)rig_event[i].body;
		assert_int_equal(rig_event[i].h.type, CV_EVT_SA_RESOURCE);
		assert_int_equal(e->ref.spi, spi);
		assert_false(who & 1u << e->resource); /* once each */
		who |= 1u << e->resource;
	}
	return who;
}

/* Workers as threads would be: each with its own cache. Main takes what is for all and asks for nothing. */
static void a_worker_takes_its_own_sa(void **state)
{
	(void)state;
	struct cv_spd_rule r;
	struct cv_sa common, own2, own3, next2;
	rule(&r, 1, 10, CV_SPD_PROTECT, 0);
	resource_sa(&common, 4, 0);
	resource_sa(&own2, 6, 2);
	resource_sa(&own3, 8, 3);
	resource_sa(&next2, 10, 2);
	const struct rig_cmd c[] = {{CV_CMD_SPD_SET, &spd1}, {CV_CMD_SPD_RULE_SET, &r}, {CV_CMD_SA_ADD, &common}};
	assert_int_equal(rig_transaction(false, c, 3), 0);
	for (unsigned w = 0; w <= THREADS; w++)
		assert_worker_uses(w, common.spi);
	assert_int_equal(asked(common.spi), 1u << 1 | 1u << 2 | 1u << 3);
	for (unsigned w = 0; w <= THREADS; w++)
		assert_worker_uses(w, common.spi);
	assert_int_equal(asked(common.spi), 0); /* not again while nothing has changed */
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &own2), 0);
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &own3), 0);
	assert_worker_uses(0, common.spi);
	assert_worker_uses(1, common.spi);
	assert_worker_uses(2, own2.spi);
	assert_worker_uses(3, own3.spi);
	assert_int_equal(asked(common.spi), 1u << 1);
	/* a rekey: the newest of the worker's own */
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &next2), 0);
	assert_worker_uses(2, next2.spi);
	struct cv_sa_ref gone = {own2.index, own2.spi};
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_DEL, &gone), 0);
	assert_worker_uses(2, next2.spi);
	/* deleted: back to that for all, and asking */
	asked(common.spi);
	gone = (struct cv_sa_ref){next2.index, next2.spi};
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_DEL, &gone), 0);
	assert_worker_uses(2, common.spi);
	assert_int_equal(asked(common.spi), 1u << 2);
	/* without one for all, that of another worker will do: nothing waits, nothing leaves in clear */
	gone = (struct cv_sa_ref){common.index, common.spi};
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_DEL, &gone), 0);
	for (unsigned w = 0; w <= THREADS; w++)
		assert_worker_uses(w, own3.spi);
}

static int setup(void **state)
{
	(void)state;
	return rig_init(THREADS);
}

/* An empty SYNC transaction sweeps what the last test has left. */
static int teardown(void **state)
{
	(void)state;
	return rig_transaction(true, NULL, 0);
}

/* ---- many rules ---- */

#define MANY 10000u
#define CHANGES 50u

static void host_rule(struct cv_spd_rule *r, uint32_t id)
{
	rule(r, id, 1000, CV_SPD_DISCARD, 0);
	r->sel.src.lo.b[2] = r->sel.src.hi.b[2] = (uint8_t)(id >> 8);
	r->sel.src.lo.b[3] = r->sel.src.hi.b[3] = (uint8_t)id;
}

static struct rte_mbuf *from_host(uint32_t id)
{
	struct rte_mbuf *m = rig_udp(CV_AF_INET, 60, false, 1);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	ip->src_addr = rte_cpu_to_be_32(0x0a010000u | (id & 0xffffu));
	ip->dst_addr = rte_cpu_to_be_32(0x0a020001u);
	return m;
}

static bool discarded(uint32_t id)
{
	uint64_t before = rig_drops(DROP_SPD_DISCARD);
	rte_pktmbuf_free(rig_out(from_host(id)));
	return rig_drops(DROP_SPD_DISCARD) == before + 1;
}

static double cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Microseconds of main's time that one change takes; workers never wait for it. */
static double change(uint16_t type, const void *body)
{
	double start = cpu_us();
	assert_int_equal(rig_command(&spd_module, type, body), 0);
	return cpu_us() - start;
}

/*
 * 10,000 rules on an interface, more flows than the cache holds going on: a rule that is added or removed decides about
 * the very next packet, and nothing else changes. Prints what a change costs; timing is no condition.
 */
static void one_rule_of_ten_thousand(void **state)
{
	(void)state;
	struct cv_spd_rule *r = calloc(MANY, sizeof(*r));
	struct rig_cmd *c = calloc(MANY + 1, sizeof(*c));
	double total = 0, worst = 0;
	assert_non_null(r);
	assert_non_null(c);
	c[0] = (struct rig_cmd){CV_CMD_SPD_SET, &spd1};
	for (uint32_t i = 0; i < MANY; i++) {
		host_rule(&r[i], 100 + i);
		c[1 + i] = (struct rig_cmd){CV_CMD_SPD_RULE_SET, &r[i]};
	}
	assert_int_equal(rig_transaction(false, c, MANY + 1), 0);
	for (uint32_t id = 0; id < 40000; id += 7) /* fill the cache with both kinds */
		assert_int_equal(discarded(id), id >= 100 && id < 100 + MANY);
	for (uint32_t k = 0; k < CHANGES; k++) {
		uint32_t id = 100 + MANY + 1 + 13 * k;
		struct cv_spd_rule extra;
		struct cv_spd_rule_ref ref = {.spd_id = RIG_SPD, .rule_id = id};
		host_rule(&extra, id);
		assert_false(discarded(id));
		double add = change(CV_CMD_SPD_RULE_SET, &extra);
		assert_true(discarded(id));
		assert_false(discarded(id + 1));
		assert_true(discarded(100 + k));
		double del = change(CV_CMD_SPD_RULE_DEL, &ref);
		assert_false(discarded(id));
		assert_true(discarded(100 + k));
		total += add + del;
		worst = RTE_MAX(worst, RTE_MAX(add, del));
		dp_quiesce();
	}
	print_message(
		"%u rules: a change takes %.0f us on average, %.0f us at worst\n", MANY, total / (2 * CHANGES), worst);
	free(r);
	free(c);
	rig_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(actions_of_rules),
		rig_test(a_skip_line_leaves_one_entry),
		rig_test(clear_packets_are_checked_mirrored),
		rig_test(later_fragments_of_udp_to_ourselves_are_checked_whole),
		rig_test(the_narrow_flow_needs_the_lower_number),
		rig_test(the_vrf_is_a_selector),
		rig_test(newest_sa_that_covers_the_flow_is_used),
		rig_test(changed_rules_keep_their_sas),
		rig_test(sync_keeps_what_is_named_and_sweeps_the_rest),
		rig_test(a_failed_transaction_changes_nothing),
		rig_test(malformed_sas_are_refused),
		rig_test(a_moved_sa_goes_on_counting),
		rig_test(dumps_name_everything_page_by_page),
		rig_test(the_triggering_packet_goes_on_the_new_sa),
		rig_test(held_packets_do_not_wait_for_ever),
		rig_test(invalid_spi_of_the_outer_header),
		rig_test(invalid_spis_are_told_but_not_too_often),
		rig_test(one_rule_of_ten_thousand),
		rig_test(several_workers_share_one_sa),
		rig_test(a_worker_takes_its_own_sa),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
