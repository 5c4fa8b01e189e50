/* SPDX-License-Identifier: BSD-3-Clause */
/* IKE's packets as the dataplane carries them: whole IPv4 or IPv6 packets with a UDP header. Pure functions. */
#ifndef CONTROL_UDP_H
#define CONTROL_UDP_H

#include "cv_msg.h"
#include "ike.h"

#define UDP_PORT_IKE 500u
#define UDP_PORT_NATT 4500u

/*
 * Build the packet for one UDP payload. marker: four zero bytes before it (RFC 3948 2.2). ip_id: IPv4 identification
 * of this packet. 0 with pkt->len and data filled in, or -EMSGSIZE, -EAFNOSUPPORT.
 */
int udp_build(
	struct cv_pkt *pkt, const struct ike_path *path, bool marker, const void *data, size_t len, uint16_t ip_id);

struct udp_in {
	struct ike_path path; /* local is the packet's destination */
	bool natt;	      /* it came to port 4500; its marker is removed */
	const uint8_t *data;
	size_t len;
};
/*
 * Take a punted packet apart. Returns 0; 1 for something to ignore silently (a NAT keepalive); -EBADMSG when lengths or
 * checksum are wrong; -EPROTO when it is not for IKE (ESP on port 4500 without marker).
 */
int udp_parse(const struct cv_pkt *pkt, struct udp_in *out);

#endif
