/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ikecrypto.h"
#include "unhex.h"

static void expect_hex(const uint8_t *got, const char *hex)
{
	uint8_t want[1024];
	size_t n = unhex(hex, want);
	assert_memory_equal(got, want, n);
}

/* RFC 2202 and RFC 4231 test case 2 (key "Jefe"): the data in two pieces, to prove the gathering. */
static void hmac_vectors(void **state)
{
	(void)state;
	static const struct {
		enum ike_prf prf;
		const char *out;
	} t[] = {
		{IKE_PRF_HMAC_MD5, "750c783e6ab0b503eaa86e310a5db738"},
		{IKE_PRF_HMAC_SHA1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{IKE_PRF_HMAC_SHA256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{IKE_PRF_HMAC_SHA384, "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
				      "8e2240ca5e69e2c78b3239ecfab21649"},
		{IKE_PRF_HMAC_SHA512, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
				      "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
	};
	const struct ikec_iov iov[2] = {{"what do ya want ", 16}, {"for nothing?", 12}};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint8_t out[IKEC_PRF_MAX];
		assert_int_equal(ikec_prf(t[i].prf, "Jefe", 4, iov, 2, out), 0);
		expect_hex(out, t[i].out);
		assert_int_equal(ikec_prf_len(t[i].prf) * 2, strlen(t[i].out));
	}
	assert_int_equal(ikec_prf((enum ike_prf)99, "k", 1, iov, 1, (uint8_t[IKEC_PRF_MAX]){0}), -ENOTSUP);
}

/* RFC 4231 test case 6 (key longer than the block) and RFC 2202 test case 1 truncated to 96 bits. */
static void integ_and_long_key(void **state)
{
	uint8_t key[131], out[IKEC_PRF_MAX], k20[20];
	const struct ikec_iov data = {"Test Using Larger Than Block-Size Key - Hash Key First", 54};
	const struct ikec_iov hi = {"Hi There", 8};
	(void)state;
	memset(key, 0xaa, sizeof(key));
	memset(k20, 0x0b, sizeof(k20));
	assert_int_equal(ikec_prf(IKE_PRF_HMAC_SHA256, key, 131, &data, 1, out), 0);
	expect_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	assert_int_equal(ikec_integ(IKE_INTEG_HMAC_SHA1_96, k20, &hi, 1, out), 0);
	expect_hex(out, "b617318655057264e28bc0b6");
	assert_int_equal(ikec_integ_len(IKE_INTEG_HMAC_SHA1_96), 12);
	assert_int_equal(ikec_integ_len(IKE_INTEG_HMAC_SHA512_256), 32);
	assert_int_equal(ikec_integ_key_len(IKE_INTEG_HMAC_SHA384_192), 48);
}

/* RFC 7296 2.13 written out by hand for three blocks. */
static void prf_plus_is_the_chain(void **state)
{
	uint8_t out[80], t1[32], t2[32], t3[32], n;
	(void)state;
	assert_int_equal(ikec_prf_plus(IKE_PRF_HMAC_SHA256, "key", 3, "seed", 4, out, sizeof(out)), 0);
	n = 1;
	assert_int_equal(ikec_prf(IKE_PRF_HMAC_SHA256, "key", 3, (struct ikec_iov[]){{"seed", 4}, {&n, 1}}, 2, t1), 0);
	n = 2;
	assert_int_equal(
		ikec_prf(IKE_PRF_HMAC_SHA256, "key", 3, (struct ikec_iov[]){{t1, 32}, {"seed", 4}, {&n, 1}}, 3, t2), 0);
	n = 3;
	assert_int_equal(
		ikec_prf(IKE_PRF_HMAC_SHA256, "key", 3, (struct ikec_iov[]){{t2, 32}, {"seed", 4}, {&n, 1}}, 3, t3), 0);
	assert_memory_equal(out, t1, 32);
	assert_memory_equal(out + 32, t2, 32);
	assert_memory_equal(out + 64, t3, 16);
	uint8_t big[255 * 32 + 1];
	assert_int_equal(ikec_prf_plus(IKE_PRF_HMAC_SHA256, "key", 3, "seed", 4, big, sizeof(big)), -EINVAL);
}

/* SHA-1 of "abc" (RFC 3174) and SHA-256 of "abc" (FIPS 180-4 example). */
static void hashes_of_abc(void **state)
{
	uint8_t out[64];
	const struct ikec_iov iov[2] = {{"a", 1}, {"bc", 2}};
	(void)state;
	assert_int_equal(ikec_sha1(iov, 2, out), 0);
	expect_hex(out, "a9993e364706816aba3e25717850c26c9cd0d89d");
	assert_int_equal(ikec_hash(IKE_PRF_HMAC_SHA256, iov, 2, out), 0);
	expect_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 3602 case 1: AES-128-CBC, one block. */
static void cbc_vector(void **state)
{
	uint8_t key[16], iv[16], data[17] = "Single block msg";
	(void)state;
	unhex("06a9214036b8a15b512e03d534120006", key);
	unhex("3dafba429d9eb430b422da802c9fac41", iv);
	assert_int_equal(ikec_cbc(IKE_ENCR_AES_CBC, true, key, 16, iv, data, 16), 0);
	expect_hex(data, "e353779c1079aeb82708942dbe77181a");
	assert_int_equal(ikec_cbc(IKE_ENCR_AES_CBC, false, key, 16, iv, data, 16), 0);
	assert_memory_equal(data, "Single block msg", 16);
	assert_int_equal(ikec_cbc(IKE_ENCR_AES_CBC, true, key, 16, iv, data, 15), -EINVAL);
	assert_int_equal(ikec_cbc(IKE_ENCR_AES_CBC, true, key, 15, iv, data, 16), -ENOTSUP);
}

/* Test case 4 of the GCM specification (McGrew, Viega), the nonce split into salt and IV as RFC 5282 does. */
static void gcm_vector(void **state)
{
	uint8_t key[20], nonce[12], aad[20], data[60], tag[16], plain[60];
	(void)state;
	unhex("feffe9928665731c6d6a8f9467308308", key);
	unhex("cafebabefacedbaddecaf888", nonce);
	memcpy(key + 16, nonce, 4);
	unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad);
	unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5"
	      "aa"
	      "0de657ba637b39",
		data);
	memcpy(plain, data, 60);
	assert_int_equal(ikec_aead(IKE_ENCR_AES_GCM16, true, key, 20, nonce + 4, aad, 20, data, 60, tag), 0);
	expect_hex(data,
		"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051b"
		"a30b396a0aac973d58e091");
	expect_hex(tag, "5bc94fbc3221a5db94fae95ae7121a47");
	uint8_t copy[60];
	memcpy(copy, data, 60);
	assert_int_equal(ikec_aead(IKE_ENCR_AES_GCM16, false, key, 20, nonce + 4, aad, 20, data, 60, tag), 0);
	assert_memory_equal(data, plain, 60);
	tag[3] ^= 1;
	assert_int_equal(ikec_aead(IKE_ENCR_AES_GCM16, false, key, 20, nonce + 4, aad, 20, copy, 60, tag), -EBADMSG);
}

/* RFC 4434 4 and RFC 4615 4: keys of 16, 10 and 18 bytes, the data in uneven pieces. */
static void aes_prf_vectors(void **state)
{
	(void)state;
	static const struct {
		enum ike_prf prf;
		size_t key_len;
		const char *out;
	} t[] = {
		{IKE_PRF_AES128_XCBC, 16, "47f51b4564966215b8985c63055ed308"},
		{IKE_PRF_AES128_XCBC, 10, "0fa087af7d866e7653434e602fdde835"},
		{IKE_PRF_AES128_XCBC, 18, "8cd3c93ae598a9803006ffb67c40e9e4"},
		{IKE_PRF_AES128_CMAC, 16, "980ae87b5f4c9c5214f5b6a8455e4c2d"},
		{IKE_PRF_AES128_CMAC, 10, "290d9e112edb09ee141fcf64c0b72f3d"},
		{IKE_PRF_AES128_CMAC, 18, "84a348a4a45d235babfffc0d2b4da09a"},
	};
	uint8_t key[18], data[20], out[IKEC_PRF_MAX];
	unhex("000102030405060708090a0b0c0d0e0fedcb", key);
	unhex("000102030405060708090a0b0c0d0e0f10111213", data);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const struct ikec_iov iov[3] = {{data, 3}, {NULL, 0}, {data + 3, 17}};
		assert_int_equal(ikec_prf(t[i].prf, key, t[i].key_len, iov, 3, out), 0);
		expect_hex(out, t[i].out);
		assert_int_equal(ikec_prf_len(t[i].prf), 16);
	}
	/* RFC 3566 4.6, test cases 1 and 3: no data, and whole blocks only */
	const struct ikec_iov none = {data, 0}, block = {data, 16};
	assert_int_equal(ikec_integ(IKE_INTEG_AES_XCBC_96, key, &none, 1, out), 0);
	expect_hex(out, "75f0251d528ac01c4573dfd5");
	assert_int_equal(ikec_integ(IKE_INTEG_AES_XCBC_96, key, &block, 1, out), 0);
	expect_hex(out, "d2a246fa349b68a79998a439");
	assert_int_equal(ikec_integ_len(IKE_INTEG_AES_CMAC_96), 12);
	assert_int_equal(ikec_integ_key_len(IKE_INTEG_AES_CMAC_96), 16);
}

/* RFC 3686 6, test vectors 1 and 3 (more than two blocks, the last one not whole). */
static void ctr_vectors(void **state)
{
	uint8_t key[20], iv[8], data[37] = "Single block msg";
	(void)state;
	unhex("ae6852f8121067cc4bf7a5765577f39e00000030", key);
	unhex("0000000000000000", iv);
	assert_int_equal(ikec_crypt(IKE_ENCR_AES_CTR, true, key, 20, iv, data, 16), 0);
	expect_hex(data, "e4095d4fb7a7b3792d6175a3261311b8");
	assert_int_equal(ikec_crypt(IKE_ENCR_AES_CTR, false, key, 20, iv, data, 16), 0);
	assert_memory_equal(data, "Single block msg", 16);
	unhex("7691be035e5020a8ac6e618529f9a0dc00e0017b", key);
	unhex("27777f3f4a1786f0", iv);
	for (unsigned i = 0; i < 36; i++)
		data[i] = (uint8_t)i;
	assert_int_equal(ikec_crypt(IKE_ENCR_AES_CTR, true, key, 20, iv, data, 36), 0);
	expect_hex(data, "c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f");
	assert_int_equal(ikec_crypt(IKE_ENCR_AES_CTR, true, key, 3, iv, data, 36), -ENOTSUP);
}

/* RFC 8439 2.8.2, the nonce split into salt and IV as RFC 7634 does. */
static void chacha_vector(void **state)
{
	static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for "
				   "the future, sunscreen would be it.";
	uint8_t key[36], iv[8], aad[12], data[sizeof(text)], tag[16];
	size_t n = sizeof(text) - 1;
	(void)state;
	memcpy(data, text, n);
	unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f07000000", key);
	unhex("4041424344454647", iv);
	unhex("50515253c0c1c2c3c4c5c6c7", aad);
	assert_int_equal(ikec_aead(IKE_ENCR_CHACHA20_POLY1305, true, key, sizeof(key), iv, aad, 12, data, n, tag), 0);
	expect_hex(data, "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
			 "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
			 "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
			 "3ff4def08e4b7a9de576d26586cec64b6116");
	expect_hex(tag, "1ae10b594f09e26a7e902ecbd0600691");
	assert_int_equal(ikec_aead(IKE_ENCR_CHACHA20_POLY1305, false, key, sizeof(key), iv, aad, 12, data, n, tag), 0);
	assert_memory_equal(data, text, n);
	assert_int_equal(ikec_key_len(IKE_ENCR_CHACHA20_POLY1305, 0), 36);
	assert_int_equal(ikec_aead(IKE_ENCR_AES_CBC, true, key, 32, iv, aad, 12, data, n, tag), -ENOTSUP);
}

/* The shorter tags are the beginning of the long one (RFC 5282 5), and are checked. */
static void gcm_short_tags(void **state)
{
	static const struct {
		enum ike_encr encr;
		size_t len;
	} t[] = {{IKE_ENCR_AES_GCM8, 8}, {IKE_ENCR_AES_GCM12, 12}};
	uint8_t key[20] = {1}, iv[8] = {2}, full[16];
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint8_t data[20] = {3}, want[20] = {3}, tag[16] = {0};
		assert_int_equal(ikec_aead(IKE_ENCR_AES_GCM16, true, key, 20, iv, "aad", 3, want, 20, full), 0);
		assert_int_equal(ikec_aead(t[i].encr, true, key, 20, iv, "aad", 3, data, 20, tag), 0);
		assert_memory_equal(data, want, 20);
		assert_memory_equal(tag, full, t[i].len);
		assert_int_equal(tag[t[i].len], 0);
		assert_int_equal(ikec_tag_len(t[i].encr), t[i].len);
		tag[t[i].len - 1] ^= 1;
		assert_int_equal(ikec_aead(t[i].encr, false, key, 20, iv, "aad", 3, data, 20, tag), -EBADMSG);
	}
}

static void dh_kat(enum ike_group g, const char *i_priv, const char *i_pub, const char *r_priv, const char *r_pub,
	const char *shared)
{
	uint8_t buf[IKEC_DH_PUB_MAX], secret[IKEC_DH_PUB_MAX];
	struct ikec_dh *i, *r;
	size_t n;
	assert_int_equal(ikec_dh_from_private(g, buf, unhex(i_priv, buf), &i), 0);
	assert_int_equal(ikec_dh_from_private(g, buf, unhex(r_priv, buf), &r), 0);
	expect_hex(ikec_dh_pub(i), i_pub);
	expect_hex(ikec_dh_pub(r), r_pub);
	assert_int_equal(ikec_dh_shared(i, ikec_dh_pub(r), ikec_group_pub_len(g), secret, &n), 0);
	expect_hex(secret, shared);
	assert_int_equal(n * 2, strlen(shared));
	memset(secret, 0, sizeof(secret));
	assert_int_equal(ikec_dh_shared(r, ikec_dh_pub(i), ikec_group_pub_len(g), secret, &n), 0);
	expect_hex(secret, shared);
	ikec_dh_free(i);
	ikec_dh_free(r);
}

/* RFC 5903 section 8.1 */
static void ecp256_vector(void **state)
{
	(void)state;
	dh_kat(IKE_GROUP_ECP256, "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
		"DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180"
		"5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3",
		"C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53",
		"D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63"
		"56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB",
		"D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE");
}

/* RFC 7748 section 6.1 */
static void x25519_vector(void **state)
{
	(void)state;
	dh_kat(IKE_GROUP_CURVE25519, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
		"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
		"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
		"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
		"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/* RFC 7748 section 6.2 */
static void x448_vector(void **state)
{
	(void)state;
	dh_kat(IKE_GROUP_CURVE448,
		"9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8"
		"c0"
		"a598726b",
		"9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80"
		"e5"
		"32c41fa0",
		"1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10"
		"b6"
		"5173992d",
		"3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1"
		"c6"
		"7bf33609",
		"07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a50"
		"37"
		"514a879d");
}

static void all_groups_agree(void **state)
{
	static const enum ike_group g[] = {IKE_GROUP_MODP768, IKE_GROUP_MODP1024, IKE_GROUP_MODP1536,
		IKE_GROUP_MODP2048, IKE_GROUP_MODP3072, IKE_GROUP_MODP4096, IKE_GROUP_MODP6144, IKE_GROUP_MODP8192,
		IKE_GROUP_ECP256, IKE_GROUP_ECP384, IKE_GROUP_ECP521, IKE_GROUP_CURVE25519, IKE_GROUP_CURVE448};
	(void)state;
	for (size_t i = 0; i < sizeof(g) / sizeof(g[0]); i++) {
		struct ikec_dh *a, *b;
		uint8_t sa[IKEC_DH_PUB_MAX], sb[IKEC_DH_PUB_MAX];
		size_t na, nb, len = ikec_group_pub_len(g[i]);
		assert_int_equal(ikec_dh_new(g[i], &a), 0);
		assert_int_equal(ikec_dh_new(g[i], &b), 0);
		assert_int_equal(ikec_dh_group(a), g[i]);
		assert_memory_not_equal(ikec_dh_pub(a), ikec_dh_pub(b), len);
		assert_int_equal(ikec_dh_shared(a, ikec_dh_pub(b), len, sa, &na), 0);
		assert_int_equal(ikec_dh_shared(b, ikec_dh_pub(a), len, sb, &nb), 0);
		assert_int_equal(na, nb);
		assert_memory_equal(sa, sb, na);
		assert_int_equal(ikec_dh_shared(a, ikec_dh_pub(b), len - 1, sa, &na), -EINVAL);
		ikec_dh_free(a);
		ikec_dh_free(b);
	}
	struct ikec_dh *none;
	assert_int_equal(ikec_dh_new((enum ike_group)99, &none), -ENOTSUP);
}

/* RFC 6989 2.1, 2.3; RFC 8031 2: values an attacker would choose. */
static void bad_public_values(void **state)
{
	struct ikec_dh *dh;
	uint8_t v[IKEC_DH_PUB_MAX], s[IKEC_DH_PUB_MAX];
	size_t n;
	(void)state;
	assert_int_equal(ikec_dh_new(IKE_GROUP_MODP2048, &dh), 0);
	memset(v, 0, sizeof(v));
	assert_int_equal(ikec_dh_shared(dh, v, 256, s, &n), -EINVAL); /* 0 */
	v[255] = 1;
	assert_int_equal(ikec_dh_shared(dh, v, 256, s, &n), -EINVAL); /* 1 */
	memset(v, 0xff, sizeof(v));
	assert_int_equal(ikec_dh_shared(dh, v, 256, s, &n), -EINVAL); /* > p */
	ikec_dh_free(dh);
	assert_int_equal(ikec_dh_new(IKE_GROUP_ECP256, &dh), 0);
	memset(v, 1, sizeof(v));
	assert_int_equal(ikec_dh_shared(dh, v, 64, s, &n), -EINVAL); /* not on the curve */
	ikec_dh_free(dh);
	assert_int_equal(ikec_dh_new(IKE_GROUP_CURVE25519, &dh), 0);
	memset(v, 0, sizeof(v));
	assert_int_equal(ikec_dh_shared(dh, v, 32, s, &n), -EINVAL); /* small order */
	ikec_dh_free(dh);
	assert_int_equal(ikec_dh_new(IKE_GROUP_CURVE448, &dh), 0);
	assert_int_equal(ikec_dh_shared(dh, v, 56, s, &n), -EINVAL); /* small order */
	ikec_dh_free(dh);
}

/* No number is handed out twice: not over many lengths, and not by two processes after a fork. */
static void never_repeated(void (*draw)(void *out, size_t len))
{
	uint8_t got[300][300], mine[16], theirs[16];
	int p[2], status;
	for (size_t n = 8; n < 300; n++) {
		draw(got[n], n);
		for (size_t m = 8; m < n; m++)
			assert_memory_not_equal(got[n], got[m], 8);
	}
	draw(mine, 1); /* some are left over */
	assert_int_equal(pipe(p), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	draw(mine, sizeof(mine));
	if (!child)
		_exit(write(p[1], mine, sizeof(mine)) != sizeof(mine));
	assert_int_equal(read(p[0], theirs, sizeof(theirs)), sizeof(theirs));
	assert_memory_not_equal(mine, theirs, 8);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(p[0]);
	close(p[1]);
}

static void random_is_never_repeated(void **state)
{
	(void)state;
	never_repeated(ikec_random);
	never_repeated(ikec_random_secret);
}

/* A cipher is no cipher of another kind (RFC 7296 3.3.2). */
static void kinds_are_kept_apart(void **state)
{
	uint8_t key[36] = {0}, iv[16] = {0}, data[16] = {0}, tag[16];
	(void)state;
	assert_int_equal(ikec_crypt(IKE_ENCR_AES_GCM16, true, key, 16, iv, data, 16), -ENOTSUP);
	assert_int_equal(ikec_cbc(IKE_ENCR_AES_CTR, true, key, 16, iv, data, 16), -ENOTSUP);
	assert_int_equal(ikec_cbc(IKE_ENCR_AES_CBC, true, key, 20, iv, data, 16), -ENOTSUP);
	assert_int_equal(ikec_aead(IKE_ENCR_AES_CTR, true, key, 20, iv, NULL, 0, data, 16, tag), -ENOTSUP);
	assert_int_equal(ikec_aead(IKE_ENCR_CHACHA20_POLY1305, true, key, 20, iv, NULL, 0, data, 16, tag), -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_vectors),
		cmocka_unit_test(integ_and_long_key),
		cmocka_unit_test(prf_plus_is_the_chain),
		cmocka_unit_test(hashes_of_abc),
		cmocka_unit_test(cbc_vector),
		cmocka_unit_test(gcm_vector),
		cmocka_unit_test(gcm_short_tags),
		cmocka_unit_test(aes_prf_vectors),
		cmocka_unit_test(ctr_vectors),
		cmocka_unit_test(chacha_vector),
		cmocka_unit_test(ecp256_vector),
		cmocka_unit_test(x25519_vector),
		cmocka_unit_test(x448_vector),
		cmocka_unit_test(all_groups_agree),
		cmocka_unit_test(bad_public_values),
		cmocka_unit_test(random_is_never_repeated),
		cmocka_unit_test(kinds_are_kept_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
