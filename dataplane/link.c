/* SPDX-License-Identifier: BSD-3-Clause */
#include "link.h"

#include <string.h>

#include <rte_ether.h>

#include "tx.h"

void link_send(struct worker *w, const struct dp_if *ifp, const uint8_t dst[6], uint16_t type, struct rte_mbuf *m)
{
	uint16_t tag[2] = {rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(ifp->vlan_id)};
	uint16_t be_type = rte_cpu_to_be_16(type);
	unsigned len = ifp->vlan_id ? 18 : 14;
	uint8_t *l2 = (uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)len);

	if (!l2) {
		dp_drop1(w, m, DROP_NO_MBUF);
		return;
	}
	memcpy(l2, dst, 6);
	memcpy(l2 + 6, ifp->mac, 6);
	if (ifp->vlan_id)
		memcpy(l2 + 12, tag, 4);
	memcpy(l2 + len - 2, &be_type, 2);
	pkt_meta(m)->if_tx = ifp->id;
	tx_frame(w, ifp->port_id, m);
}
