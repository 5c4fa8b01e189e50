/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers of RADIUS servers: as they come, and once more under good authenticators, which a server that is wrong or
 * hostile has. What comes out lies inside its bounds.
 */
#include <stdint.h>
#include <string.h>

#include "ikecrypto.h"
#include "radius.h"

static const uint8_t secret[] = "secret", auth[RADIUS_AUTH_LEN] = "an authenticator";

/* Message-Authenticator where there is room for one, then the Response Authenticator. */
static void sign(uint8_t *msg, size_t len)
{
	struct ikec_iov whole = {msg, len};
	memcpy(msg + 4, auth, sizeof(auth));
	if (len >= 38 && msg[20] == 80 && msg[21] == 18) {
		memset(msg + 22, 0, 16);
		if (ikec_prf(IKE_PRF_HMAC_MD5, secret, sizeof(secret), &whole, 1, msg + 22))
			__builtin_trap();
	}
	uint8_t digest[RADIUS_AUTH_LEN];
	struct ikec_iov iov[] = {{msg, len}, {secret, sizeof(secret)}};
	if (ikec_hash(IKE_PRF_HMAC_MD5, iov, 2, digest))
		__builtin_trap();
	memcpy(msg + 4, digest, sizeof(digest));
}

static void read_it(const uint8_t *msg, size_t len)
{
	struct radius_answer a;
	if (radius_answer_read(msg, len, len > 1 ? msg[1] : 0, auth, secret, sizeof(secret), false, &a))
		return;
	if (a.key_len > sizeof(a.key) || a.n_dns > RADIUS_DNS_MAX ||
		strnlen(a.domain, sizeof(a.domain)) >= sizeof(a.domain))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t msg[RADIUS_MSG_MAX];
	if (size > sizeof(msg))
		size = sizeof(msg);
	memcpy(msg, data, size);
	read_it(msg, size);
	if (size < 20)
		return 0;
	msg[0] = 2;
	msg[2] = (uint8_t)(size >> 8);
	msg[3] = (uint8_t)size;
	sign(msg, size);
	read_it(msg, size);
	return 0;
}
