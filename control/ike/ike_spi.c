/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Invalid SPIs (spec/30 ISPI, RFC 7296 2.21.4): a peer sends on an IPsec SA that we do not have. Over an IKE SA with it
 * we say so, in the form that every implementation acts on: a delete of that SPI, which makes the peer remove the SA
 * and negotiate a new one for its next packet (ISPI-3). The notify INVALID_SPI, which means the same, is understood
 * when it comes from a peer, but strongSwan and libreswan ignore it.
 */
#include <netinet/in.h>

#include "ike_internal.h"
#include "v1_internal.h"
#include "v2_int.h"

/* Just being installed. */
static bool ours(const struct ike_sa *sa, uint8_t proto, uint32_t spi)
{
	const struct ike_child *c;

	TAILQ_FOREACH (c, &sa->children, link)
		if ((c->p.spi_in == spi && ike_child_proto(&c->p) == proto) ||
			(c->p.ah_index_in && c->p.ah_spi_in == spi && proto == V1_PROTO_AH))
			return true;
	return false;
}

bool ike_invalid_spi(struct ike *ike, const struct ike_path *path, uint8_t ipproto, uint32_t spi)
{
	const uint8_t proto = ipproto == IPPROTO_AH ? V1_PROTO_AH : V1_PROTO_ESP; /* the same in both versions */
	struct ike_sa *sa = NULL;
	bool told = false;

	ike_enter(ike);
	while (!told && (sa = ike_sa_next_by_addr(ike, path->vrf, &path->remote, sa))) {
		if (sa->dead || sa->phase != IKE_PHASE_ESTABLISHED || !cv_addr_eq(&sa->path.local, &path->local) ||
			ours(sa, proto, spi))
			continue;
		if (sa->v == &ike_v1)
			v1_send_delete_child(v1_of(sa), proto, spi);
		else
			v2_send_delete(v2_of(sa), proto, spi);
		told = true;
	}
	ike_leave(ike);
	return told;
}
