/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packet-crypto providers: the interface between the ESP code and whatever does the arithmetic (design section 4).
 * The session is created on the main lcore and read by workers; a context is per worker lcore. Errors: negative errno.
 *
 * `mb` (intel-ipsec-mb called directly) is synchronous: collect returns everything that submit took, and run() does
 * both. The interface is a burst one so that asynchronous hardware (cryptodev, later) fits behind it without a change
 * to the ESP code.
 */
#ifndef CRYPTO_PROVIDER_H
#define CRYPTO_PROVIDER_H

#include "algo.h"

struct crypto_session; /* keys of one SA, expanded; cache aligned; zeroed when freed */
struct crypto_ctx;     /* per worker */

enum crypto_status { CRYPTO_OK = 0, CRYPTO_AUTH_FAILED = 1, CRYPTO_ERROR = 2 };

/*
 * One operation on one contiguous packet; data is what is encrypted: payload, padding, trailer. AEAD: aad is SPI and
 * sequence number (with ESN 64 bits of it), nonce the 12 bytes salt + IV. All else: nonce is the IV as the cipher wants
 * it (CTR: the whole first counter block; AES-GMAC in AH: salt + IV), and the ICV is computed over auth_len bytes from
 * auth on. The provider
 * writes the ICV when encrypting and compares it in constant time when decrypting; 16 bytes from icv on are readable.
 */
struct crypto_op {
	const struct crypto_session *session;
	uint8_t *data; /* start of the area to encrypt or decrypt, in place */
	uint8_t *icv;  /* where the ICV is or goes; inbound it may be a copy */
	uint32_t data_len;
	uint32_t status; /* enum crypto_status, filled in by the provider */
	/* Aligned, so that the wide loads inside a cipher find each in one store of ours and in one cache line. */
	uint8_t nonce[16] __attribute__((aligned(16)));
	union {
		uint8_t aad[16];
		uint32_t auth_len;
	};
	uint8_t *auth; /* start of the ESP header; AH: of the packet as the ICV sees it. Not needed for AES-GCM */
};

/* What a session is for. The key is only read during the call. */
struct crypto_conf {
	enum cv_encr encr; /* NONE: AH */
	enum cv_integ integ;
	bool esn;	    /* sequence numbers of 64 bits: AAD of 12 bytes */
	bool encrypt;	    /* outbound: encrypt, write the ICV; else check it and decrypt */
	const uint8_t *key; /* in cv_sa.key order; salts are the caller's business and ignored */
	size_t key_len;
};

struct crypto_provider {
	const char *name;
	/* Bit per enum cv_encr, bit per enum cv_integ. */
	void (*capabilities)(uint64_t *encr, uint64_t *integ);
	/* -ENOTSUP: cannot do these algorithms. -EINVAL: key of a wrong length. */
	int (*session_create)(const struct crypto_conf *conf, struct crypto_session **out);
	void (*session_destroy)(struct crypto_session *s);
	struct crypto_ctx *(*ctx_create)(void);
	void (*ctx_destroy)(struct crypto_ctx *c);
	/* Take up to n operations; returns how many were taken. Mixes algorithms freely. Operations, keys and packets
	 * stay put until they come back from collect. */
	unsigned (*submit)(struct crypto_ctx *c, struct crypto_op **ops, unsigned n);
	/* Return finished operations, in submit order per SA. */
	unsigned (*collect)(struct crypto_ctx *c, struct crypto_op **ops, unsigned max);
	/* Synchronous providers; else NULL: submit and collect in one, of up to 512 operations that lie in a
	 * row. True when all are CRYPTO_OK. */
	bool (*run)(struct crypto_ctx *c, struct crypto_op *op, unsigned n);
	/* 16 bytes nobody can predict, for a CBC IV (RFC 3602 section 3): a generator of the context, no system call.
	 */
	void (*random16)(struct crypto_ctx *c, uint8_t out[16]);
	/* One line for people: "mb 1.3.0 AVX512". */
	const char *(*describe)(void);
};

const struct crypto_provider *crypto_provider_mb(void);

#endif
