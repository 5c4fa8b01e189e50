/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: what an authenticated but hostile peer sends as IPComp (RFC 3173). The first two bytes choose how much
 * room there is. Nothing is written beyond it, and a packet that was compressed here comes back.
 */
#include <stdlib.h>
#include <string.h>

#include "ipcomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ipcomp *z;
	if (!z && !(z = ipcomp_new()))
		abort();
	if (size < 3 || size > IPCOMP_OUT_MAX)
		return 0;
	uint32_t len = (uint32_t)size - 2, room = len + (uint32_t)(data[0] << 8 | data[1]) % 12000u;
	uint8_t *p = malloc(room), next, was = 17;
	bool tried;
	memcpy(p, data + 2, len);
	if (ipcomp_unpack(z, p, len, room, 0x1234, &next) > (room < IPCOMP_OUT_MAX ? room : IPCOMP_OUT_MAX))
		abort();
	memcpy(p, data + 2, len);
	uint32_t packed = ipcomp_pack(z, (uint32_t)rand(), p, len, was, 0x1234, &tried);
	if (packed >= len && packed)
		abort();
	if (packed && (ipcomp_unpack(z, p, packed, room, 0x1234, &next) != len || next != was ||
			      memcmp(p, data + 2, len) != 0))
		abort();
	free(p);
	return 0;
}
