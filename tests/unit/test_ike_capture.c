/* SPDX-License-Identifier: BSD-3-Clause */
/* The decrypted capture of IKE (issue 4): what it writes. That tshark reads it is the lab's to prove. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ike_capture.h"
#include "pcapng.h"

static struct ike_wire_keys keys(
	uint8_t version, enum ike_encr encr, unsigned e_len, enum ike_integ integ, unsigned a_len)
{
	struct ike_wire_keys k = {.version = version,
		.spi_i = {1, 2, 3, 4, 5, 6, 7, 8},
		.spi_r = {0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8},
		.encr = encr,
		.integ = integ,
		.e_len = (uint16_t)e_len,
		.a_len = (uint16_t)a_len};

	memset(k.ei, 0xe1, e_len);
	memset(k.er, 0xe2, e_len);
	memset(k.ai, 0xa1, a_len);
	memset(k.ar, 0xa2, a_len);
	return k;
}

static void line_is(const struct ike_wire_keys *k, const char *want)
{
	char line[1024];
	size_t len = ike_capture_line(k, line, sizeof(line));

	assert_int_equal(len, strlen(want));
	assert_memory_equal(line, want, len);
}

static void tables(void **state)
{
	struct ike_wire_keys k = keys(1, IKE_ENCR_AES_CBC, 16, 0, 0);
	char line[1024];

	(void)state;
	line_is(&k, "0102030405060708,e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1\n");
	k = keys(2, IKE_ENCR_AES_CBC, 16, IKE_INTEG_HMAC_SHA1_96, 4);
	line_is(&k, "0102030405060708,f1f2f3f4f5f6f7f8,e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1,"
		    "e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2,\"AES-CBC-128 [RFC3602]\",a1a1a1a1,a2a2a2a2,"
		    "\"HMAC_SHA1_96 [RFC2404]\"\n");
	k = keys(2, IKE_ENCR_AES_GCM16, 20, IKE_INTEG_NONE, 0);
	line_is(&k, "0102030405060708,f1f2f3f4f5f6f7f8,e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1,"
		    "e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2,\"AES-GCM-128 with 16 octet ICV [RFC5282]\",,,"
		    "\"NONE [RFC4306]\"\n");
	/* what Wireshark has no word for, is no line; the longest keys fit */
	k = keys(2, IKE_ENCR_CHACHA20_POLY1305, 36, IKE_INTEG_NONE, 0);
	assert_int_equal(ike_capture_line(&k, line, sizeof(line)), 0);
	k = keys(2, IKE_ENCR_AES_CBC, 32, IKE_INTEG_AES_CMAC_96, 16);
	assert_int_equal(ike_capture_line(&k, line, sizeof(line)), 0);
	k = keys(2, IKE_ENCR_AES_CTR, 36, IKE_INTEG_HMAC_SHA512_256, IKE_WIRE_KEY_MAX);
	assert_true(ike_capture_line(&k, line, sizeof(line)) > 4 * IKE_WIRE_KEY_MAX);
	assert_non_null(memmem(line, sizeof(line), "AES-CTR-256", 11));
	/* never behind the end of the buffer */
	memset(line, '#', sizeof(line));
	assert_true(ike_capture_line(&k, line, 100) <= 100);
	assert_int_equal(line[100], '#');
}

static uint32_t u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Blocks one after the other, their length at both ends. Returns how many. */
static unsigned blocks(const uint8_t *p, size_t len)
{
	unsigned n = 0;

	for (; len; n++) {
		assert_true(len >= 12);
		uint32_t total = u32(p + 4);
		assert_true(total <= len && total % 4 == 0);
		assert_int_equal(u32(p + total - 4), total);
		p += total;
		len -= total;
	}
	return n;
}

static void pcapng(void **state)
{
	uint8_t head[PCAPNG_HEADER_MAX], packet[1500 + PCAPNG_PACKET_OVERHEAD], data[1500];
	char long_text[400];
	size_t n = pcapng_header(head, "culvertd", "ike");

	(void)state;
	memset(data, 0x45, sizeof(data));
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = 0;
	assert_int_equal(blocks(head, n), 2);
	assert_int_equal(u32(head), 0x0a0d0d0a);
	assert_int_equal(u32(head + 8), 0x1a2b3c4d);
	assert_true(pcapng_header(head, long_text, long_text) <= sizeof(head));
	for (uint32_t len = 1496; len <= 1500; len++) {
		n = pcapng_packet(packet, 0x1122334455667788, len % 2, data, len, len % 3 ? long_text : NULL);
		assert_true(n <= len + PCAPNG_PACKET_OVERHEAD);
		assert_int_equal(blocks(packet, n), 1);
		assert_int_equal(u32(packet), 6);
		assert_int_equal(u32(packet + 12), 0x11223344);
		assert_int_equal(u32(packet + 16), 0x55667788);
		assert_int_equal(u32(packet + 20), len);
		assert_int_equal(u32(packet + n - 12), len % 2 ? 2 : 1); /* the direction is the last option */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(tables), cmocka_unit_test(pcapng)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
