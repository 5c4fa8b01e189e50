/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cv_addr.h"

static struct cv_addr addr(const char *s)
{
	struct cv_addr a;
	assert_int_equal(cv_addr_parse(s, &a), 0);
	return a;
}

static struct cv_range range(const char *lo, const char *hi)
{
	struct cv_range r = {addr(lo), addr(hi)};
	return r;
}

static void addresses_parse_and_print(void **state)
{
	(void)state;
	static const char *const good[] = {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1",
		"fe80::1:2:3:4", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
	static const char *const bad[] = {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", " 1.2.3.4", "1.2.3.4 ", "01x", ":",
		"2001:db8::1::2", "12345::", "1.2.3.4/24", "host"};
	char buf[CV_ADDR_STR];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct cv_addr a = addr(good[i]);
		assert_string_equal(cv_addr_str(&a, buf), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cv_addr a = {.af = 99};
		assert_int_equal(cv_addr_parse(bad[i], &a), -EINVAL);
		assert_int_equal(a.af, 99);
	}
	struct cv_addr none = {0};
	assert_string_equal(cv_addr_str(&none, buf), "-");
}

static void prefixes_refuse_host_bits(void **state)
{
	(void)state;
	static const char *const bad[] = {"192.0.2.1/24", "0.0.0.1/0", "2001:db8::1/64", "192.0.2.0/33", "::/129",
		"192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/+8", "192.0.2.0/08", "192.0.2.0/24/3", "192.0.2.0/ 24", "/24",
		"192.0.2.0/1234", "192.0.2.0/24x"};
	char buf[CV_PREFIX_STR];
	struct cv_prefix p;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cv_prefix_parse(bad[i], &p), -EINVAL);
	assert_int_equal(cv_prefix_parse("192.0.2.128/25", &p), 0);
	assert_string_equal(cv_prefix_str(&p, buf), "192.0.2.128/25");
	assert_int_equal(cv_prefix_parse("192.0.2.5", &p), 0);
	assert_string_equal(cv_prefix_str(&p, buf), "192.0.2.5/32");
	assert_int_equal(cv_prefix_parse("2001:db8:0:8000::/49", &p), 0);
	assert_string_equal(cv_prefix_str(&p, buf), "2001:db8:0:8000::/49");
	assert_int_equal(cv_prefix_parse("::1", &p), 0);
	assert_int_equal(p.len, 128);
	struct cv_addr a;
	uint8_t plen;
	assert_int_equal(cv_ifaddr_parse("192.0.2.1/24", &a, &plen), 0);
	assert_int_equal(plen, 24);
	assert_string_equal(cv_addr_str(&a, buf), "192.0.2.1");
}

/* Every length of both families, against a bit-by-bit reference. */
static void prefix_arithmetic_agrees_with_bits(void **state)
{
	(void)state;
	for (int fam = 0; fam < 2; fam++) {
		for (unsigned len = 0; len <= (fam ? 128u : 32u); len++) {
			struct cv_prefix p = {
				.addr = fam ? addr("a5a5:5a5a:ffff:0:1234:5678:9abc:def1") : addr("165.90.255.1"),
				.len = (uint8_t)len};
			struct cv_addr orig = p.addr;
			struct cv_range r;
			struct cv_prefix back;
			cv_prefix_to_range(&p, &r);
			cv_prefix_mask(&p);
			for (unsigned bit = 0; bit < cv_addr_bits(&p.addr); bit++) {
				unsigned m = 0x80u >> (bit % 8), i = bit / 8;
				assert_int_equal(p.addr.b[i] & m, bit < len ? orig.b[i] & m : 0);
				assert_int_equal(r.lo.b[i] & m, bit < len ? orig.b[i] & m : 0);
				assert_int_equal(r.hi.b[i] & m, bit < len ? orig.b[i] & m : m);
				struct cv_addr other = orig;
				other.b[i] ^= (uint8_t)m;
				assert_int_equal(cv_prefix_contains(&p, &other), bit >= len);
				assert_int_equal(cv_range_has(&r, &other), bit >= len);
			}
			assert_true(cv_range_to_prefix(&r, &back));
			assert_int_equal(back.len, len);
			assert_true(cv_addr_eq(&back.addr, &p.addr));
		}
	}
}

static void ranges(void **state)
{
	(void)state;
	struct cv_range a = range("10.0.0.0", "10.0.0.255"), b = range("10.0.0.128", "10.0.1.5"), r;
	struct cv_prefix p;
	assert_true(cv_range_intersect(&a, &b, &r));
	assert_true(cv_range_to_prefix(&r, &p));
	assert_int_equal(p.len, 25);
	assert_false(cv_range_to_prefix(&b, &p));
	struct cv_range not_aligned = range("10.0.0.1", "10.0.0.2");
	assert_false(cv_range_to_prefix(&not_aligned, &p));
	struct cv_range far = range("10.0.1.0", "10.0.1.0"), six = range("::", "::1");
	assert_false(cv_range_intersect(&a, &far, &r));
	assert_false(cv_range_intersect(&a, &six, &r));
	assert_true(cv_range_contains(&b, &far));
	assert_false(cv_range_contains(&a, &b));
	assert_false(cv_range_contains(&a, &six));
}

static struct cv_selector any4(void)
{
	struct cv_selector s;
	cv_selector_any(&s, CV_AF_INET);
	return s;
}

static void selectors(void **state)
{
	(void)state;
	char buf[CV_SELECTOR_STR];
	struct cv_selector all = any4(), udp = any4(), r, m;
	assert_string_equal(cv_selector_str(&all, buf), "0.0.0.0/0 -> 0.0.0.0/0");
	udp.src = range("192.0.2.0", "192.0.2.255");
	udp.dst = range("198.51.100.1", "198.51.100.9");
	udp.proto = 17;
	udp.sport_lo = 1000;
	udp.sport_hi = 2000;
	udp.dport_lo = udp.dport_hi = 53;
	assert_string_equal(cv_selector_str(&udp, buf),
		"192.0.2.0/24 -> 198.51.100.1-198.51.100.9 proto 17 sport 1000-2000 dport 53");
	assert_true(cv_selector_contains(&all, &udp));
	assert_false(cv_selector_contains(&udp, &all));
	assert_true(cv_selector_intersect(&all, &udp, &r));
	assert_memory_equal(&r, &udp, sizeof(r));
	assert_true(cv_selector_intersect(&udp, &all, &r));
	assert_memory_equal(&r, &udp, sizeof(r));
	cv_selector_mirror(&udp, &m);
	assert_int_equal(m.dport_lo, 1000);
	assert_int_equal(m.sport_hi, 53);
	assert_memory_equal(&m.dst, &udp.src, sizeof(m.dst));
	cv_selector_mirror(&m, &m);
	assert_memory_equal(&m, &udp, sizeof(m));
	struct cv_selector tcp = udp;
	tcp.proto = 6;
	assert_false(cv_selector_intersect(&tcp, &udp, &r));
	struct cv_selector ports = udp;
	ports.sport_lo = 2001;
	ports.sport_hi = 65535;
	assert_false(cv_selector_intersect(&ports, &udp, &r));
	struct cv_selector echo = any4();
	echo.proto = 1;
	echo.sport_lo = echo.sport_hi = 8 << 8;
	cv_selector_mirror(&echo, &m);
	assert_int_equal(m.sport_lo, 8 << 8);
	assert_int_equal(m.dport_hi, 65535);
	struct cv_selector longest;
	cv_selector_any(&longest, CV_AF_INET6);
	longest.src = range("1111:2222:3333:4444:5555:6666:7777:8888", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1");
	longest.dst = longest.src;
	longest.proto = 255;
	longest.sport_lo = longest.dport_lo = 10000;
	longest.sport_hi = longest.dport_hi = 65534;
	assert_non_null(strstr(cv_selector_str(&longest, buf), "dport 10000-65534"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_parse_and_print),
		cmocka_unit_test(prefixes_refuse_host_bits),
		cmocka_unit_test(prefix_arithmetic_agrees_with_bits),
		cmocka_unit_test(ranges),
		cmocka_unit_test(selectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
