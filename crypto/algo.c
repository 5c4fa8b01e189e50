/* SPDX-License-Identifier: BSD-3-Clause */
#include "algo.h"

#include <string.h>

/* IKEv1 numbers: IANA ipsec-registry, "Encryption Algorithm" and "Hash Algorithm" (RFC 2409 appendix A, 3602, 4868). */
static const struct algo_ike encr_rows[] = {
	{IKE_ENCR_3DES, 0, 5, "3des", "3des", true},
	{IKE_ENCR_AES_CBC, 128, 7, "aes128-cbc", "aes", false},
	{IKE_ENCR_AES_CBC, 192, 7, "aes192-cbc", "aes 192", false},
	{IKE_ENCR_AES_CBC, 256, 7, "aes256-cbc", "aes 256", false},
	{IKE_ENCR_AES_CTR, 128, 0, "aes128-ctr", "aes-ctr 128", false},
	{IKE_ENCR_AES_CTR, 192, 0, "aes192-ctr", "aes-ctr 192", false},
	{IKE_ENCR_AES_CTR, 256, 0, "aes256-ctr", "aes-ctr 256", false},
	{IKE_ENCR_AES_GCM8, 128, 0, "aes128-gcm8", "aes-gcm8 128", false},
	{IKE_ENCR_AES_GCM8, 192, 0, "aes192-gcm8", "aes-gcm8 192", false},
	{IKE_ENCR_AES_GCM8, 256, 0, "aes256-gcm8", "aes-gcm8 256", false},
	{IKE_ENCR_AES_GCM12, 128, 0, "aes128-gcm12", "aes-gcm12 128", false},
	{IKE_ENCR_AES_GCM12, 192, 0, "aes192-gcm12", "aes-gcm12 192", false},
	{IKE_ENCR_AES_GCM12, 256, 0, "aes256-gcm12", "aes-gcm12 256", false},
	{IKE_ENCR_AES_GCM16, 128, 0, "aes128-gcm16", "aes-gcm 128", false},
	{IKE_ENCR_AES_GCM16, 192, 0, "aes192-gcm16", "aes-gcm 192", false},
	{IKE_ENCR_AES_GCM16, 256, 0, "aes256-gcm16", "aes-gcm 256", false},
	{IKE_ENCR_CHACHA20_POLY1305, 0, 0, "chacha20-poly1305", "chacha20-poly1305", false},
};
static const struct algo_ike prf_rows[] = {
	{IKE_PRF_HMAC_MD5, 0, 1, "md5", "md5", true},
	{IKE_PRF_HMAC_SHA1, 0, 2, "sha1", "sha", true},
	{IKE_PRF_HMAC_SHA256, 0, 4, "sha256", "sha256", false},
	{IKE_PRF_HMAC_SHA384, 0, 5, "sha384", "sha384", false},
	{IKE_PRF_HMAC_SHA512, 0, 6, "sha512", "sha512", false},
	{IKE_PRF_AES128_XCBC, 0, 0, "aes-xcbc", "aes-xcbc", false},
	{IKE_PRF_AES128_CMAC, 0, 0, "aes-cmac", "aes-cmac", false},
};
static const struct algo_ike integ_rows[] = {
	{IKE_INTEG_HMAC_MD5_96, 0, 1, "md5-96", "md5", true},
	{IKE_INTEG_HMAC_SHA1_96, 0, 2, "sha1-96", "sha", true},
	{IKE_INTEG_HMAC_SHA256_128, 0, 4, "sha256-128", "sha256", false},
	{IKE_INTEG_HMAC_SHA384_192, 0, 5, "sha384-192", "sha384", false},
	{IKE_INTEG_HMAC_SHA512_256, 0, 6, "sha512-256", "sha512", false},
	{IKE_INTEG_AES_XCBC_96, 0, 0, "aes-xcbc-96", "aes-xcbc", false},
	{IKE_INTEG_AES_CMAC_96, 0, 0, "aes-cmac-96", "aes-cmac", false},
};
static const struct algo_ike group_rows[] = {
	{IKE_GROUP_MODP768, 768, 1, "modp768", "1", true},
	{IKE_GROUP_MODP1024, 1024, 2, "modp1024", "2", true},
	{IKE_GROUP_MODP1536, 1536, 5, "modp1536", "5", true},
	{IKE_GROUP_MODP2048, 2048, 14, "modp2048", "14", false},
	{IKE_GROUP_MODP3072, 3072, 15, "modp3072", "15", false},
	{IKE_GROUP_MODP4096, 4096, 16, "modp4096", "16", false},
	{IKE_GROUP_MODP6144, 6144, 17, "modp6144", "17", false},
	{IKE_GROUP_MODP8192, 8192, 18, "modp8192", "18", false},
	{IKE_GROUP_ECP256, 256, 19, "ecp256", "19", false},
	{IKE_GROUP_ECP384, 384, 20, "ecp384", "20", false},
	{IKE_GROUP_ECP521, 521, 21, "ecp521", "21", false},
	{IKE_GROUP_CURVE25519, 255, 0, "curve25519", "31", false},
	{IKE_GROUP_CURVE448, 448, 0, "curve448", "32", false},
	{IKE_GROUP_MLKEM512, 512, 0, "mlkem512", "35", false},
	{IKE_GROUP_MLKEM768, 768, 0, "mlkem768", "36", false},
	{IKE_GROUP_MLKEM1024, 1024, 0, "mlkem1024", "37", false},
};

static const struct {
	const struct algo_ike *row;
	size_t n;
} ike_tables[] = {
	[ALGO_IKE_ENCR] = {encr_rows, sizeof(encr_rows) / sizeof(encr_rows[0])},
	[ALGO_IKE_PRF] = {prf_rows, sizeof(prf_rows) / sizeof(prf_rows[0])},
	[ALGO_IKE_INTEG] = {integ_rows, sizeof(integ_rows) / sizeof(integ_rows[0])},
	[ALGO_IKE_GROUP] = {group_rows, sizeof(group_rows) / sizeof(group_rows[0])},
};
#define N_KINDS (sizeof(ike_tables) / sizeof(ike_tables[0]))

const struct algo_ike *algo_ike_get(enum algo_ike_kind kind, uint16_t id, uint16_t key_bits)
{
	if ((size_t)kind >= N_KINDS)
		return NULL;
	for (size_t i = 0; i < ike_tables[kind].n; i++) {
		const struct algo_ike *r = &ike_tables[kind].row[i];
		if (r->id == id && (kind != ALGO_IKE_ENCR || r->key_bits == key_bits))
			return r;
	}
	return NULL;
}

const struct algo_ike *algo_ike_by_name(enum algo_ike_kind kind, const char *name)
{
	if ((size_t)kind >= N_KINDS)
		return NULL;
	for (size_t i = 0; i < ike_tables[kind].n; i++)
		if (!strcmp(ike_tables[kind].row[i].name, name))
			return &ike_tables[kind].row[i];
	return NULL;
}

const struct algo_ike *algo_ike_row(enum algo_ike_kind kind, size_t n)
{
	return (size_t)kind < N_KINDS && n < ike_tables[kind].n ? &ike_tables[kind].row[n] : NULL;
}
