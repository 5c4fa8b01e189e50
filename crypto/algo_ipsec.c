/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The algorithms of ESP and AH. Numbers: IKEv2 transforms from IANA ikev2-parameters; IPsec DOI transform and
 * authentication numbers from IANA isakmp-registry (RFC 2407, 3602, 3686, 4106, 4543, 4868).
 */
#include <stdio.h>
#include <string.h>

#include "algo.h"

#define IPPROTO_ESP_NUM 50u
#define IPPROTO_AH_NUM 51u
#define AES_CBC_V1 12u
#define AES_DEFAULT_BITS 128u /* RFC 3602 5.3 */

#define AES(bits, sym, token, manual, salt, iv, icv, pad, num2, num1)                                                  \
	{                                                                                                              \
		.id = CV_ENCR_AES##bits##_##sym, .name = "aes" #bits "-" token, .manual_name = manual,                 \
		.key_len = bits / 8, .salt_len = salt, .iv_len = iv, .icv_len = icv, .block = pad, .v2 = num2,         \
		.key_bits = bits, .v1 = num1                                                                           \
	}
#define AES_SIZES(sym, token, m128, m192, m256, salt, iv, icv, pad, num2, num1)                                        \
	AES(128, sym, token, m128, salt, iv, icv, pad, num2, num1),                                                    \
		AES(192, sym, token, m192, salt, iv, icv, pad, num2, num1),                                            \
		AES(256, sym, token, m256, salt, iv, icv, pad, num2, num1)

static const struct algo_encr encr_rows[] = {
	{.id = CV_ENCR_NULL, .name = "null", .manual_name = "esp-null", .block = 4, .v2 = 11, .v1 = 11},
	{.id = CV_ENCR_DES,
		.name = "des",
		.manual_name = "esp-des",
		.key_len = 8,
		.iv_len = 8,
		.block = 8,
		.v2 = 2,
		.v1 = 2,
		.legacy = true},
	{.id = CV_ENCR_3DES,
		.name = "3des",
		.manual_name = "esp-3des",
		.key_len = 24,
		.iv_len = 8,
		.block = 8,
		.v2 = 3,
		.v1 = 3,
		.legacy = true},
	AES_SIZES(CBC, "cbc", "esp-aes", "esp-aes 192", "esp-aes 256", 0, 16, 0, 16, 12, AES_CBC_V1),
	AES_SIZES(CTR, "ctr", "esp-ctr 128", "esp-ctr 192", "esp-ctr 256", 4, 8, 0, 4, 13, 13),
	AES_SIZES(GCM8, "gcm8", "esp-gcm8 128", "esp-gcm8 192", "esp-gcm8 256", 4, 8, 8, 4, 18, 18),
	AES_SIZES(GCM12, "gcm12", "esp-gcm12 128", "esp-gcm12 192", "esp-gcm12 256", 4, 8, 12, 4, 19, 19),
	AES_SIZES(GCM16, "gcm16", "esp-gcm 128", "esp-gcm 192", "esp-gcm 256", 4, 8, 16, 4, 20, 20),
	AES_SIZES(GMAC, "gmac", "esp-gmac 128", "esp-gmac 192", "esp-gmac 256", 4, 8, 16, 4, 21, 23),
	{.id = CV_ENCR_CHACHA20_POLY1305,
		.name = "chacha20-poly1305",
		.manual_name = "esp-chacha20-poly1305",
		.key_len = 32,
		.salt_len = 4,
		.iv_len = 8,
		.icv_len = 16,
		.block = 4,
		.v2 = 28},
};

#define HMAC(sym, token, manual, key, icv, num2, num1, ah, old)                                                        \
	{                                                                                                              \
		.id = CV_INTEG_##sym, .name = token, .esp_name = "esp-" manual, .ah_name = "ah-" manual,               \
		.key_len = key, .icv_len = icv, .v2 = num2, .v1_auth = num1, .v1_ah = ah, .legacy = old                \
	}
#define GMAC(bits, num2, num1)                                                                                         \
	{                                                                                                              \
		.id = CV_INTEG_AES##bits##_GMAC, .name = "aes" #bits "-gmac", .ah_name = "ah-gmac " #bits,             \
		.key_len = bits / 8, .salt_len = 4, .iv_len = 8, .icv_len = 16, .v2 = num2, .v1_auth = num1,           \
		.v1_ah = num1                                                                                          \
	}
static const struct algo_integ integ_rows[] = {
	HMAC(HMAC_MD5_96, "md5-96", "md5-hmac", 16, 12, 1, 1, 2, true),
	HMAC(HMAC_SHA1_96, "sha1-96", "sha-hmac", 20, 12, 2, 2, 3, true),
	HMAC(HMAC_SHA256_128, "sha256-128", "sha256-hmac", 32, 16, 12, 5, 5, false),
	HMAC(HMAC_SHA384_192, "sha384-192", "sha384-hmac", 48, 24, 13, 6, 6, false),
	HMAC(HMAC_SHA512_256, "sha512-256", "sha512-hmac", 64, 32, 14, 7, 7, false),
	HMAC(AES_XCBC_96, "aes-xcbc-96", "aes-xcbc", 16, 12, 5, 9, 9, false),
	HMAC(AES_CMAC_96, "aes-cmac-96", "aes-cmac", 16, 12, 8, 0, 0, false),
	GMAC(128, 9, 11),
	GMAC(192, 10, 12),
	GMAC(256, 11, 13),
};
#define N_ENCR (sizeof(encr_rows) / sizeof(encr_rows[0]))
#define N_INTEG (sizeof(integ_rows) / sizeof(integ_rows[0]))
_Static_assert(N_ENCR == CV_ENCR_MAX - 1, "a row per cipher, in order");
_Static_assert(N_INTEG == CV_INTEG_MAX - 1, "a row per integrity algorithm, in order");

const struct algo_encr *algo_encr_get(enum cv_encr id)
{
	return id > CV_ENCR_NONE && id < CV_ENCR_MAX ? &encr_rows[id - 1] : NULL;
}

const struct algo_integ *algo_integ_get(enum cv_integ id)
{
	return id > CV_INTEG_NONE && id < CV_INTEG_MAX ? &integ_rows[id - 1] : NULL;
}

const struct algo_encr *algo_encr_by_name(const char *name)
{
	for (size_t i = 0; i < N_ENCR; i++)
		if (!strcmp(encr_rows[i].name, name))
			return &encr_rows[i];
	return NULL;
}

const struct algo_integ *algo_integ_by_name(const char *name)
{
	for (size_t i = 0; i < N_INTEG; i++)
		if (!strcmp(integ_rows[i].name, name))
			return &integ_rows[i];
	return NULL;
}

const struct algo_encr *algo_encr_by_v2(uint16_t id, uint16_t key_bits)
{
	for (size_t i = 0; i < N_ENCR; i++)
		if (encr_rows[i].v2 == id && encr_rows[i].key_bits == key_bits)
			return &encr_rows[i];
	return NULL;
}

const struct algo_integ *algo_integ_by_v2(uint16_t id)
{
	for (size_t i = 0; i < N_INTEG; i++)
		if (integ_rows[i].v2 == id)
			return &integ_rows[i];
	return NULL;
}

const struct algo_encr *algo_encr_by_v1(uint16_t id, uint16_t key_bits)
{
	if (id == AES_CBC_V1 && key_bits == 0)
		key_bits = AES_DEFAULT_BITS;
	for (size_t i = 0; id && i < N_ENCR; i++)
		if (encr_rows[i].v1 == id && encr_rows[i].key_bits == key_bits)
			return &encr_rows[i];
	return NULL;
}

const struct algo_integ *algo_integ_by_v1_auth(uint16_t auth)
{
	for (size_t i = 0; auth && i < N_INTEG; i++)
		if (integ_rows[i].v1_auth == auth)
			return &integ_rows[i];
	return NULL;
}

const struct algo_integ *algo_integ_by_v1_ah(uint16_t id)
{
	for (size_t i = 0; id && i < N_INTEG; i++)
		if (integ_rows[i].v1_ah == id)
			return &integ_rows[i];
	return NULL;
}

uint16_t algo_key_len(enum cv_encr encr, enum cv_integ integ)
{
	const struct algo_encr *e = algo_encr_get(encr);
	const struct algo_integ *i = algo_integ_get(integ);
	return (uint16_t)((e ? e->key_len + e->salt_len : 0) + (i ? i->key_len + i->salt_len : 0));
}

const char *algo_pair_wrong(uint8_t ipproto, enum cv_encr encr, enum cv_integ integ)
{
	const struct algo_encr *e = algo_encr_get(encr);
	const struct algo_integ *i = algo_integ_get(integ);
	if ((encr != CV_ENCR_NONE && !e) || (integ != CV_INTEG_NONE && !i))
		return "unknown algorithm";
	if (ipproto == IPPROTO_AH_NUM)
		return e ? "AH does not encrypt" : !i ? "AH needs an integrity algorithm" : NULL;
	if (ipproto != IPPROTO_ESP_NUM)
		return "neither ESP nor AH";
	if (!e)
		return "ESP needs a cipher; the null cipher is one";
	if (e->icv_len && i)
		return "this cipher has its own authentication and takes no integrity algorithm";
	if (i && !i->esp_name)
		return "GMAC is a cipher in ESP, an integrity algorithm only in AH";
	if (e->id == CV_ENCR_NULL && !i)
		return "the null cipher needs an integrity algorithm (RFC 4303 section 3.2)";
	if (e->key_len && e->salt_len && !e->icv_len && !i)
		return "AES-CTR needs an integrity algorithm (RFC 3686 section 3)";
	return NULL;
}

const char *algo_suite_wrong(struct algo_suite s)
{
	const char *why = NULL;
	if (s.encr != CV_ENCR_NONE || s.integ != CV_INTEG_NONE)
		why = algo_pair_wrong(IPPROTO_ESP_NUM, s.encr, s.integ);
	else if (s.ah == CV_INTEG_NONE)
		why = "neither ESP nor AH";
	if (!why && s.comp != ALGO_COMP_NONE && s.encr == CV_ENCR_NONE)
		why = "compression is done inside ESP, and needs an ESP cipher";
	if (!why && s.ah != CV_INTEG_NONE)
		why = algo_pair_wrong(IPPROTO_AH_NUM, CV_ENCR_NONE, s.ah);
	return why;
}

bool algo_suite_legacy(struct algo_suite s)
{
	const struct algo_encr *e = algo_encr_get(s.encr);
	const struct algo_integ *i = algo_integ_get(s.integ), *ah = algo_integ_get(s.ah);
	return (e && (e->legacy || (!e->icv_len && !i && !ah))) || (i && i->legacy) || (ah && ah->legacy);
}

const char *algo_suite_name(struct algo_suite s, char buf[ALGO_SUITE_STR])
{
	const struct algo_encr *e = algo_encr_get(s.encr);
	const struct algo_integ *i = algo_integ_get(s.integ), *ah = algo_integ_get(s.ah);
	snprintf(buf, ALGO_SUITE_STR, "%s%s%s%s%s%s%s", ah ? "ah-" : "", ah ? ah->name : "", ah && e ? "+" : "",
		e ? e->name : "", i ? "-" : "", i ? i->name : "", s.comp ? "+deflate" : "");
	return buf;
}

const char *algo_suite_manual(struct algo_suite s, char buf[ALGO_SUITE_STR])
{
	const struct algo_encr *e = algo_encr_get(s.encr);
	const struct algo_integ *i = algo_integ_get(s.integ), *ah = algo_integ_get(s.ah);
	snprintf(buf, ALGO_SUITE_STR, "%s%s%s%s%s%s", ah ? ah->ah_name : "", ah && e ? " " : "",
		e ? e->manual_name : "", i ? " " : "", i && i->esp_name ? i->esp_name : "",
		s.comp ? " comp-deflate" : "");
	return buf;
}

const char *algo_suite_add(struct algo_suite *s, const char *transform)
{
	for (size_t i = 0; i < N_ENCR; i++)
		if (!strcmp(encr_rows[i].manual_name, transform)) {
			if (s->encr != CV_ENCR_NONE)
				return "a second ESP cipher";
			s->encr = (uint8_t)encr_rows[i].id;
			return NULL;
		}
	for (size_t i = 0; i < N_INTEG; i++) {
		const struct algo_integ *r = &integ_rows[i];
		if (r->esp_name && !strcmp(r->esp_name, transform)) {
			if (s->integ != CV_INTEG_NONE)
				return "a second ESP authentication";
			s->integ = (uint8_t)r->id;
			return NULL;
		}
		if (!strcmp(r->ah_name, transform)) {
			if (s->ah != CV_INTEG_NONE)
				return "a second AH transform";
			s->ah = (uint8_t)r->id;
			return NULL;
		}
	}
	if (!strcmp(transform, "comp-deflate")) {
		if (s->comp != ALGO_COMP_NONE)
			return "a second compression";
		s->comp = ALGO_COMP_DEFLATE;
		return NULL;
	}
	return "not a transform that is built in";
}

/* The longest cipher name that name starts with, and what follows it. */
static const struct algo_encr *leading_encr(const char *name, const char **rest)
{
	const struct algo_encr *best = NULL;
	for (size_t i = 0; i < N_ENCR; i++) {
		size_t n = strlen(encr_rows[i].name);
		if (!strncmp(encr_rows[i].name, name, n) && (name[n] == '-' || !name[n])) {
			best = &encr_rows[i];
			*rest = name + n;
		}
	}
	return best;
}

bool algo_suite_by_name(const char *name, struct algo_suite *out)
{
	struct algo_suite s = {0};
	if (!strncmp(name, "ah-", 3)) {
		char ah[32];
		size_t n = strcspn(name + 3, "+");
		if (n >= sizeof(ah))
			return false;
		memcpy(ah, name + 3, n);
		ah[n] = '\0';
		const struct algo_integ *i = algo_integ_by_name(ah);
		if (!i)
			return false;
		s.ah = (uint8_t)i->id;
		name += 3 + n;
		if (!*name) {
			*out = s;
			return true;
		}
		name++;
	}
	const struct algo_encr *e = leading_encr(name, &name);
	const struct algo_integ *i = e && *name ? algo_integ_by_name(name + 1) : NULL;
	if (!e || (*name && !i))
		return false;
	s.encr = (uint8_t)e->id;
	s.integ = (uint8_t)(i ? i->id : CV_INTEG_NONE);
	*out = s;
	return algo_suite_wrong(s) == NULL;
}
