/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PRFs of IKE that are made of AES: AES-XCBC-PRF-128 (RFC 3566, 4434) and AES-CMAC-PRF-128 (RFC 4493, 4615). Used
 * by ikecrypto.c, which is the interface to them. Any thread.
 */
#ifndef CRYPTO_IKEAESMAC_H
#define CRYPTO_IKEAESMAC_H

#include "ikecrypto.h"

#define IKEC_AESMAC_LEN 16 /* bytes of output and of the key */

static inline bool ikec_aesmac_is(enum ike_prf prf)
{
	return prf == IKE_PRF_AES128_XCBC || prf == IKE_PRF_AES128_CMAC;
}
/* A key of any length; out[IKEC_AESMAC_LEN]. 0 or -EIO. */
int ikec_aesmac_prf(
	enum ike_prf prf, const void *key, size_t key_len, const struct ikec_iov *iov, int n_iov, uint8_t *out);

#endif
