/* SPDX-License-Identifier: BSD-3-Clause */
#include "punt.h"

#include <errno.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ip.h>

#include "trace.h"

#define INJECT_RING 1024u
#define INJECT_BURST 64u

static struct cv_chan *chan;
static uint64_t event_seq;
static bool dirty;
static struct rte_ring *inject;

void punt_attach(struct cv_chan *ch)
{
	chan = ch;
}

int punt_init(void)
{
	if (dp_n_workers == 0)
		return 0;
	inject = rte_ring_create("inject", INJECT_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (inject == NULL)
		return -rte_errno;
	dp_workers[WORKER_MAIN + 1]->inject = inject; /* always active */
	return 0;
}

bool punt_take_dirty(void)
{
	bool was = dirty;
	dirty = false;
	return was;
}

int punt_send(struct cv_msg *msg)
{
	if (chan == NULL)
		return -ENOTCONN;
	int rc = cv_chan_send(chan, msg);
	dirty = dirty || rc == 0;
	return rc;
}

void dp_event(struct cv_msg *msg)
{
	msg->h.seq = ++event_seq;
	(void)punt_send(msg);
}

void punt_packet(struct worker *w, struct rte_mbuf *m, enum cv_punt_class klass)
{
	static struct cv_pkt pkt;
	uint32_t len = rte_pktmbuf_pkt_len(m);
	if (len > CV_PKT_MAX) {
		dp_drop1(w, m, DROP_PUNT_SIZE);
		return;
	}
	const struct pkt_meta *meta = pkt_meta(m);
	pkt.len = (uint16_t)len;
	pkt.klass = (uint8_t)klass;
	pkt.flags = 0;
	pkt.vrf_id = meta->vrf;
	pkt.if_id = meta->if_rx;
	const void *p = rte_pktmbuf_read(m, 0, len, pkt.data);
	if (p != pkt.data)
		memcpy(pkt.data, p, len);
	if (chan == NULL || cv_chan_send_pkt(chan, &pkt) != 0) {
		dp_drop1(w, m, DROP_PUNT_FULL);
		return;
	}
	dirty = true;
	trace_end(m, "punt", "to control");
	rte_pktmbuf_free(m);
}

static bool valid4(const struct cv_pkt *pkt)
{
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)pkt->data;
	return pkt->len >= sizeof(*ip) && rte_ipv4_hdr_len(ip) >= sizeof(*ip) && rte_ipv4_hdr_len(ip) <= pkt->len &&
	       rte_be_to_cpu_16(ip->total_length) == pkt->len;
}

static bool valid6(const struct cv_pkt *pkt)
{
	const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)pkt->data;
	return pkt->len >= sizeof(*ip) && rte_be_to_cpu_16(ip->payload_len) + sizeof(*ip) == pkt->len;
}

bool inject_valid(const struct cv_pkt *pkt)
{
	if (pkt->len == 0 || pkt->vrf_id >= CV_VRF_MAX || (pkt->flags & ~CV_INJECT_BYPASS) != 0)
		return false;
	unsigned version = pkt->data[0] >> 4;
	return version == 4 ? valid4(pkt) : version == 6 ? valid6(pkt) : false;
}

/* A validated packet becomes an mbuf that says: made here, leave its TTL alone. NULL: no buffer. */
static struct rte_mbuf *inject_mbuf(const struct cv_pkt *pkt)
{
	struct rte_mbuf *m = dp_alloc();
	if (m == NULL)
		return NULL;
	memcpy(rte_pktmbuf_append(m, pkt->len), pkt->data, pkt->len);
	struct pkt_meta *meta = pkt_meta(m);
	meta->vrf = pkt->vrf_id;
	meta->flags = PKT_F_LOCAL_OUT | ((pkt->flags & CV_INJECT_BYPASS) != 0 ? PKT_F_BYPASS : 0u);
	if (pkt->data[0] >> 4 == 6) {
		const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
		meta->flags |= PKT_F_IP6;
		meta->l4_proto = ip->proto;
		meta->l4_off = sizeof(*ip);
	} else {
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
		meta->l4_proto = ip->next_proto_id;
		meta->l4_off = rte_ipv4_hdr_len(ip);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
	return m;
}

unsigned inject_poll(struct worker *w)
{
	static struct cv_pkt pkt;
	unsigned n = 0;
	if (chan == NULL || inject == NULL)
		return 0;
	while (n < INJECT_BURST) {
		int rc = cv_chan_recv_pkt(chan, &pkt);
		if (rc == 0)
			break;
		n++;
		if (rc < 0 || !inject_valid(&pkt)) {
			w->stats->drops[DROP_INJECT_BAD]++;
			continue;
		}
		struct rte_mbuf *m = inject_mbuf(&pkt);
		if (m == NULL)
			w->stats->drops[DROP_NO_MBUF]++;
		else if (rte_ring_enqueue(inject, m) != 0)
			dp_drop1(w, m, DROP_SLOW_FULL);
	}
	return n;
}
