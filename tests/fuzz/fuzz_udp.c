/* SPDX-License-Identifier: BSD-3-Clause */
/* Punted packets: whatever comes, udp_parse() stays inside it, and what it hands on lies inside it. */
#include <stdint.h>
#include <string.h>

#include "udp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cv_pkt pkt;
	struct udp_in in;

	if (size > CV_PKT_MAX)
		size = CV_PKT_MAX;
	memset(&pkt, 0, CV_PKT_HDR);
	memcpy(pkt.data, data, size);
	pkt.len = (uint16_t)size;
	if (!udp_parse(&pkt, &in) && (in.data < pkt.data || in.data + in.len > pkt.data + size))
		__builtin_trap();
	return 0;
}
