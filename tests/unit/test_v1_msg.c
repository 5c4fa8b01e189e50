/* SPDX-License-Identifier: BSD-3-Clause */
/* ISAKMP reading and writing: round trips, and a table of messages that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cv_addr.h"
#include "v1_msg.h"

static const struct v1_hdr hdr = {.icookie = {1, 2, 3, 4, 5, 6, 7, 8}, .exchange = V1_EX_MAIN, .msgid = 0x01020304};

static unsigned reparse(struct v1_out *o, struct v1_msg *m)
{
	struct v1_hdr h;
	assert_int_equal(v1_out_finish(o), 0);
	unsigned err = v1_hdr_parse(o->buf, o->len, &h);
	if (err)
		return err;
	return v1_chain_parse(&h, o->buf + V1_HDR_LEN, h.len - V1_HDR_LEN, false, m);
}

static void sa_round_trip(void **state)
{
	(void)state;
	struct v1_out o;
	struct v1_msg m;
	v1_out_start(&o, &hdr);
	v1_out_begin(&o, V1_PL_SA);
	v1_out_u32(&o, 1);
	v1_out_u32(&o, 1);
	size_t p = v1_out_prop(&o, false, 1, V1_PROTO_ESP, "\xca\xfe\xba\xbe", 4, 2);
	for (unsigned i = 0; i < 2; i++) {
		size_t t = v1_out_trans(&o, i == 0, (uint8_t)(i + 1), 12);
		v1_out_attr(&o, V1_P2_LIFE_TYPE, V1_LIFE_SECONDS);
		v1_out_attr(&o, V1_P2_LIFE, 3600);
		v1_out_attr(&o, V1_P2_LIFE_TYPE, V1_LIFE_KB);
		v1_out_attr(&o, V1_P2_LIFE, 4608000);
		v1_out_attr(&o, V1_P2_ENCAP, V1_ENCAP_TUNNEL);
		v1_out_attr(&o, V1_P2_KEY_LEN, 128 + 128 * i);
		v1_out_attr(&o, V1_P2_GROUP, 14);
		v1_out_sub_end(&o, t);
	}
	v1_out_sub_end(&o, p);
	v1_out_end(&o);
	v1_out_payload(&o, V1_PL_VENDOR, "hello", 5);
	assert_int_equal(reparse(&o, &m), 0);
	assert_int_equal(m.n, 2);
	assert_int_equal(m.h.msgid, 0x01020304);
	struct v1_span props = v1_sa_props(v1_find(&m, V1_PL_SA, 0)->body);
	struct v1_prop pr;
	struct v1_trans tr;
	assert_true(v1_prop_next(&props, &pr));
	assert_int_equal(pr.proto, V1_PROTO_ESP);
	assert_int_equal(pr.spi.len, 4);
	assert_memory_equal(pr.spi.p, "\xca\xfe\xba\xbe", 4);
	for (unsigned i = 0; i < 2; i++) {
		struct v1_p2_attrs a;
		assert_true(v1_trans_next(&pr.transforms, &tr));
		assert_int_equal(tr.num, i + 1);
		v1_p2_attrs_read(tr.attrs, &a);
		assert_int_equal(a.life_s, 3600);
		assert_int_equal(a.life_kb, 4608000); /* variable form */
		assert_int_equal(a.key_bits, 128 + 128 * i);
		assert_int_equal(a.group, 14);
		assert_false(a.unknown);
	}
	assert_false(v1_trans_next(&pr.transforms, &tr));
	assert_false(v1_prop_next(&props, &pr));
	assert_memory_equal(v1_find(&m, V1_PL_VENDOR, 0)->body.p, "hello", 5);
	assert_null(v1_find(&m, V1_PL_VENDOR, 1));
}

/* VRF-43: 2147483 s travels as 0x0020C49B. An eight-byte duration is clipped, a longer one refused by being unknown. */
static void lifetimes(void **state)
{
	(void)state;
	static const uint8_t cisco[] = {0x80, 11, 0, 1, 0, 12, 0, 4, 0x00, 0x20, 0xC4, 0x9B};
	static const uint8_t huge[] = {0x80, 11, 0, 1, 0, 12, 0, 8, 0, 0, 1, 0, 0, 0, 0, 0};
	static const uint8_t untyped[] = {0, 12, 0, 4, 0, 0, 1, 0};
	static const uint8_t odd[] = {0x80, 77, 0, 1};
	struct v1_p1_attrs a;
	v1_p1_attrs_read((struct v1_span){cisco, sizeof(cisco)}, &a);
	assert_int_equal(a.life_s, 2147483);
	assert_false(a.unknown);
	v1_p1_attrs_read((struct v1_span){huge, sizeof(huge)}, &a);
	assert_int_equal(a.life_s, UINT32_MAX);
	v1_p1_attrs_read((struct v1_span){untyped, sizeof(untyped)}, &a);
	assert_true(a.unknown);
	v1_p1_attrs_read((struct v1_span){odd, sizeof(odd)}, &a);
	assert_true(a.unknown);
}

static void id_ranges(void **state)
{
	(void)state;
	static const struct {
		const char *lo, *hi;
		uint8_t type;
	} t[] = {{"192.0.2.7", "192.0.2.7", V1_ID_IPV4}, {"192.0.2.0", "192.0.2.255", V1_ID_IPV4_SUBNET},
		{"0.0.0.0", "255.255.255.255", V1_ID_IPV4_SUBNET}, {"192.0.2.3", "192.0.2.9", V1_ID_IPV4_RANGE},
		{"2001:db8::1", "2001:db8::1", V1_ID_IPV6},
		{"2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", V1_ID_IPV6_SUBNET},
		{"2001:db8::1", "2001:db8::7", V1_ID_IPV6_RANGE}};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct v1_out o;
		struct v1_msg m;
		struct cv_range r, back;
		assert_int_equal(cv_addr_parse(t[i].lo, &r.lo), 0);
		assert_int_equal(cv_addr_parse(t[i].hi, &r.hi), 0);
		v1_out_start(&o, &hdr);
		v1_out_id_range(&o, &r, 17, 500);
		assert_int_equal(reparse(&o, &m), 0);
		struct v1_id id = v1_id_read(v1_find(&m, V1_PL_ID, 0)->body);
		assert_int_equal(id.type, t[i].type);
		assert_int_equal(id.proto, 17);
		assert_int_equal(id.port, 500);
		assert_true(v1_id_to_range(&id, &back));
		assert_true(cv_addr_eq(&r.lo, &back.lo));
		assert_true(cv_addr_eq(&r.hi, &back.hi));
	}
	static const uint8_t holes[] = {192, 0, 2, 0, 255, 0, 255, 0}, crossed[] = {10, 0, 0, 9, 10, 0, 0, 1};
	struct v1_id id = {V1_ID_IPV4_SUBNET, 0, 0, {holes, 8}};
	struct cv_range r;
	assert_false(v1_id_to_range(&id, &r));
	id = (struct v1_id){V1_ID_IPV4_RANGE, 0, 0, {crossed, 8}};
	assert_false(v1_id_to_range(&id, &r));
	id = (struct v1_id){V1_ID_FQDN, 0, 0, {holes, 8}};
	assert_false(v1_id_to_range(&id, &r));
}

static void notify_delete(void **state)
{
	(void)state;
	struct v1_out o;
	struct v1_msg m;
	v1_out_start(&o, &hdr);
	v1_out_notify(&o, V1_PROTO_ISAKMP, V1_N_R_U_THERE, "0123456789abcdef", 16, "\0\0\0\7", 4);
	static const uint8_t del[] = {0, 0, 0, 1, V1_PROTO_ESP, 4, 0, 2, 1, 1, 1, 1, 2, 2, 2, 2};
	v1_out_payload(&o, V1_PL_DELETE, del, sizeof(del));
	assert_int_equal(reparse(&o, &m), 0);
	struct v1_notify_msg n = v1_notify_read(v1_find(&m, V1_PL_NOTIFY, 0)->body);
	assert_int_equal(n.type, V1_N_R_U_THERE);
	assert_int_equal(n.spi.len, 16);
	assert_memory_equal(n.data.p, "\0\0\0\7", 4);
	struct v1_delete_msg d = v1_delete_read(v1_find(&m, V1_PL_DELETE, 0)->body);
	assert_int_equal(d.n, 2);
	assert_int_equal(d.spi_len, 4);
	assert_int_equal(d.spis.len, 8);
}

/* One payload of a type with this body, in a message whose lengths are otherwise right. */
static void refused_bodies(void **state)
{
	(void)state;
	static const struct {
		uint8_t type, body[40];
		uint8_t len;
		unsigned want;
	} t[] = {
		{V1_PL_SA, {0, 0, 0, 1, 0, 0, 0}, 7, V1_N_PAYLOAD_MALFORMED},
		{V1_PL_SA, {0, 0, 0, 2, 0, 0, 0, 1}, 8, V1_N_DOI_NOT_SUPPORTED},
		{V1_PL_SA, {0, 0, 0, 1, 0, 0, 0, 2}, 8, V1_N_SITUATION_NOT_SUPPORTED},
		{V1_PL_SA, {0, 0, 0, 1, 0, 0, 0, 1}, 8, V1_N_BAD_PROPOSAL_SYNTAX}, /* no proposal */
		/* proposal longer than the payload; shorter than its header; a SPI that does not fit; a wrong transform
		   count */
		{V1_PL_SA, {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 1, 0, 0}, 16, V1_N_BAD_PROPOSAL_SYNTAX},
		{V1_PL_SA, {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 1, 1, 0, 0}, 16, V1_N_BAD_PROPOSAL_SYNTAX},
		{V1_PL_SA, {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 8, 1, 1, 4, 0}, 16, V1_N_BAD_PROPOSAL_SYNTAX},
		{V1_PL_SA, {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 16, 1, 1, 0, 2, 0, 0, 0, 8, 1, 1, 0, 0}, 24,
			V1_N_BAD_PROPOSAL_SYNTAX},
		/* a transform that announces another but is the last; an attribute cut short; a variable attribute too
		   long */
		{V1_PL_SA, {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 16, 1, 1, 0, 1, 3, 0, 0, 8, 1, 1, 0, 0}, 24,
			V1_N_BAD_PROPOSAL_SYNTAX},
		{V1_PL_SA, {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 18, 1, 1, 0, 1, 0, 0, 0, 10, 1, 1, 0, 0, 0x80, 1}, 26,
			V1_N_BAD_PROPOSAL_SYNTAX},
		{V1_PL_SA, {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 20, 1, 1, 0, 1, 0, 0, 0, 12, 1, 1, 0, 0, 0, 1, 0, 1}, 28,
			V1_N_BAD_PROPOSAL_SYNTAX},
		{V1_PL_NONCE, {1, 2, 3, 4, 5, 6, 7}, 7, V1_N_PAYLOAD_MALFORMED},
		{V1_PL_KE, {0}, 0, V1_N_PAYLOAD_MALFORMED}, {V1_PL_ID, {1, 0, 0}, 3, V1_N_PAYLOAD_MALFORMED},
		{V1_PL_ID, {V1_ID_IPV4, 0, 0, 0, 1, 2, 3}, 7, V1_N_INVALID_ID_INFORMATION},
		{V1_PL_ID, {V1_ID_IPV4_SUBNET, 0, 0, 0, 1, 2, 3, 4}, 8, V1_N_INVALID_ID_INFORMATION},
		{V1_PL_NOTIFY, {0, 0, 0, 1, 1, 0, 0}, 7, V1_N_PAYLOAD_MALFORMED},
		{V1_PL_NOTIFY, {0, 0, 0, 1, 1, 9, 0, 1, 1}, 9, V1_N_PAYLOAD_MALFORMED},
		{V1_PL_NOTIFY, {0, 0, 0, 9, 1, 0, 0, 1}, 8, V1_N_DOI_NOT_SUPPORTED},
		{V1_PL_DELETE, {0, 0, 0, 1, 3, 4, 0, 2, 1, 1, 1, 1}, 12, V1_N_PAYLOAD_MALFORMED},
		{V1_PL_DELETE, {0, 0, 0, 1, 3, 0, 0, 0}, 8, V1_N_PAYLOAD_MALFORMED},
		{V1_PL_HASH, {0}, 0, V1_N_PAYLOAD_MALFORMED}, {V1_PL_NAT_D, {0}, 0, V1_N_PAYLOAD_MALFORMED},
		{99, {0}, 4, V1_N_INVALID_PAYLOAD_TYPE},
		{V1_PL_PROPOSAL, {0}, 4, V1_N_INVALID_PAYLOAD_TYPE}, /* only inside an SA payload */
		{200, {0}, 4, 0},				     /* private: skipped */
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct v1_out o;
		struct v1_msg m;
		v1_out_start(&o, &hdr);
		v1_out_payload(&o, t[i].type, t[i].body, t[i].len);
		unsigned got = reparse(&o, &m);
		if (got != t[i].want)
			fail_msg("row %zu: got %s, want %s", i, v1_notify_name(got), v1_notify_name(t[i].want));
	}
}

static void refused_framing(void **state)
{
	(void)state;
	struct v1_out o;
	struct v1_msg m;
	struct v1_hdr h;
	v1_out_start(&o, &hdr);
	v1_out_payload(&o, V1_PL_VENDOR, "abcd", 4);
	assert_int_equal(v1_out_finish(&o), 0);
	assert_int_equal(v1_hdr_parse(o.buf, o.len, &h), 0);
	assert_int_equal(v1_hdr_parse(o.buf, V1_HDR_LEN - 1, &h), V1_N_PAYLOAD_MALFORMED);
	assert_int_equal(v1_hdr_parse(o.buf, o.len - 1, &h), V1_N_PAYLOAD_MALFORMED); /* length field beyond the data */
	o.buf[17] = 0x20;
	assert_int_equal(v1_hdr_parse(o.buf, o.len, &h), V1_N_INVALID_MAJOR_VERSION);
	o.buf[17] = 0x11;
	assert_int_equal(v1_hdr_parse(o.buf, o.len, &h), V1_N_INVALID_MINOR_VERSION);
	o.buf[17] = 0x10;
	o.buf[19] = 0x10;
	assert_int_equal(v1_hdr_parse(o.buf, o.len, &h), V1_N_INVALID_FLAGS);
	o.buf[19] = 0;
	assert_int_equal(v1_hdr_parse(o.buf, o.len, &h), 0);
	const uint8_t *body = o.buf + V1_HDR_LEN;
	assert_int_equal(v1_chain_parse(&h, body, 3, false, &m), V1_N_PAYLOAD_MALFORMED);
	assert_int_equal(v1_chain_parse(&h, body, 7, false, &m), V1_N_PAYLOAD_MALFORMED);
	o.buf[V1_HDR_LEN + 3] = 3; /* payload length below its own header */
	assert_int_equal(v1_chain_parse(&h, body, 8, false, &m), V1_N_PAYLOAD_MALFORMED);
	o.buf[V1_HDR_LEN + 3] = 7; /* trailing byte: fine as padding only */
	assert_int_equal(v1_chain_parse(&h, body, 8, false, &m), V1_N_PAYLOAD_MALFORMED);
	assert_int_equal(v1_chain_parse(&h, body, 8, true, &m), 0);
	assert_int_equal(m.chain.len, 7);
}

static void bounded(void **state)
{
	(void)state;
	static const uint8_t hundred[100];
	struct v1_out o;
	struct v1_msg m;
	v1_out_start(&o, &hdr);
	for (unsigned i = 0; i < V1_PAYLOADS_MAX + 1; i++)
		v1_out_payload(&o, V1_PL_VENDOR, "x", 1);
	assert_int_equal(reparse(&o, &m), V1_N_PAYLOAD_MALFORMED);
	v1_out_start(&o, &hdr);
	for (unsigned i = 0; i < 100; i++)
		v1_out_payload(&o, V1_PL_VENDOR, hundred, sizeof(hundred));
	assert_true(o.overflow);
	assert_int_not_equal(v1_out_finish(&o), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sa_round_trip), cmocka_unit_test(lifetimes),
		cmocka_unit_test(id_ranges), cmocka_unit_test(notify_delete), cmocka_unit_test(refused_bodies),
		cmocka_unit_test(refused_framing), cmocka_unit_test(bounded)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
