/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Invalid SPIs (spec/30 ISPI, RFC 7296 2.21.4): a peer sends on an IPsec SA that we do not have. Over an IKE SA with it
 * we say so, in the form that every implementation acts on: a delete of that SPI, which makes the peer remove the SA
 * and negotiate a new one for its next packet (ISPI-3). The notify INVALID_SPI, which means the same, is understood
 * when it comes from a peer, but strongSwan and libreswan ignore it.
 */
#include "ike_internal.h"
#include "v1_internal.h"
#include "v2_int.h"

bool ike_invalid_spi(struct ike *ike, const struct ike_path *path, uint8_t proto, uint32_t spi)
{
	struct ike_sa *sa = NULL;
	bool told = false;

	ike_enter(ike);
	while (!told && (sa = ike_sa_next_by_addr(ike, path->vrf, &path->remote, sa))) {
		if (sa->dead || sa->phase != IKE_PHASE_ESTABLISHED || !cv_addr_eq(&sa->path.local, &path->local) ||
			ike_child_by_spi_in(sa, spi)) /* just being installed */
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
