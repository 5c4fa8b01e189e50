/* SPDX-License-Identifier: BSD-3-Clause */
/* The provider "mb": its sessions, and the expansion of their keys. Private to mb.c and mb_key.c. */
#ifndef CRYPTO_MB_H
#define CRYPTO_MB_H

#include <intel-ipsec-mb.h>

#include "provider.h"

/* Expanded keys of an algorithm that goes through the job manager. */
struct mb_job_keys {
	uint8_t enc[15 * 16] __attribute__((aligned(16))); /* 14 rounds and the initial key, AES-256 */
	uint8_t dec[15 * 16] __attribute__((aligned(16)));
	uint64_t des[3][IMB_DES_KEY_SCHED_SIZE / 8]; /* enc and dec are the same schedule */
	const void *des3[3];			     /* what a 3DES job wants to see */
	uint8_t chacha[32];
	/* HMAC: hash state after the inner and outer pad. XCBC: K1 expanded, K2, K3. CMAC: key expanded, K1, K2. */
	uint8_t integ[11 * 16] __attribute__((aligned(16)));
	uint8_t sub1[64] __attribute__((aligned(16)));
	uint8_t sub2[64] __attribute__((aligned(16)));
};

struct crypto_session {
	aes_gcm_enc_dec_t gcm; /* AES-GCM: one call per packet. NULL: gmac_init or a job */
	aes_gmac_init_t gmac_init;
	aes_gmac_update_t gmac_update;
	aes_gmac_finalize_t gmac_finalize;
	uint16_t key_len; /* of the cipher */
	uint16_t icv_len;
	uint8_t aad_len;    /* SPI and sequence number: 8, with ESN 12; AH: none */
	uint8_t block_mask; /* what is encrypted is a multiple of this + 1 */
	bool encrypt;
	IMB_CIPHER_MODE cipher; /* job */
	IMB_HASH_ALG hash;	/* job */
	union {
		struct gcm_key_data gcm_key; /* GCM, GMAC */
		struct mb_job_keys job;
	} __attribute__((aligned(64)));
} __attribute__((aligned(64)));

/* Main: fill in what follows from the algorithms and keys of c; s is zeroed. The lengths have been checked. */
void mb_key_setup(IMB_MGR *mgr, const struct crypto_conf *c, struct crypto_session *s);

#endif
