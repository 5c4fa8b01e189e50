/* SPDX-License-Identifier: BSD-3-Clause */
#include "tx.h"

#include <stdio.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_ring.h>

#include "capture.h"
#include "port.h"
#include "trace.h"
#include "worker.h"

/* Where frames for queues of worker i are put by those who have no queue of their own. */
static struct rte_ring *handover_ring[CV_WRITERS];

struct tx_worker *tx_worker_create(uint32_t index, int socket)
{
	struct tx_worker *tx = rte_zmalloc_socket("tx", sizeof(*tx), RTE_CACHE_LINE_SIZE, socket);
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "handover%u", index);
	if (!tx || index >= CV_WRITERS)
		return NULL;
	tx->index = index;
	if (!handover_ring[index])
		handover_ring[index] = rte_ring_create(name, TX_HANDOVER, socket, RING_F_SC_DEQ);
	return handover_ring[index] ? tx : NULL;
}

/* Frames that no queue took: the last ones, so that order is kept for those that went. */
static void drop_rest(struct worker *w, struct rte_mbuf **pkt, unsigned n, enum drop_reason why)
{
	for (unsigned i = 0; i < n; i++) {
		struct cv_if_counters *c = &w->stats->ifc[pkt_meta(pkt[i])->if_tx];

		c->tx_packets--;
		c->tx_bytes -= pkt[i]->pkt_len;
		c->tx_drops++;
	}
	if (n)
		dp_drop(w, pkt, n, why);
}

static unsigned hand_over(struct worker *w, const struct port *port, const struct tx_buf *b)
{
	uint16_t owner = port->tx[w->index].owner;

	if (owner >= CV_WRITERS || !handover_ring[owner])
		return 0;
	for (uint32_t i = 0; i < b->n; i++)
		b->pkt[i]->port = (uint16_t)port->port_id; /* ours, not DPDK's: the owner looks it up */
	return rte_ring_mp_enqueue_burst(handover_ring[owner], (void *const *)b->pkt, b->n, NULL);
}

static void flush_port(struct worker *w, uint32_t port_id)
{
	struct tx_buf *b = &w->tx->port[port_id];
	const struct port *port = port_worker_view(port_id);
	unsigned sent = 0;

	w->tx->dirty &= ~(1u << port_id);
	if (!port) {
		drop_rest(w, b->pkt, b->n, DROP_NO_IF);
	} else if (port->tx[w->index].owner != w->index) {
		sent = hand_over(w, port, b);
		drop_rest(w, b->pkt + sent, b->n - sent, DROP_TX_FULL);
	} else {
		if (unlikely(capture_on(port_id)))
			capture_frames(port_id, b->pkt, b->n, true);
		sent = rte_eth_tx_burst(port->dpdk_id, port->tx[w->index].queue, b->pkt, (uint16_t)b->n);
		drop_rest(w, b->pkt + sent, b->n - sent, DROP_TX_FULL);
		w->stats->tx_packets += sent;
	}
	b->n = 0;
}

void tx_flush_port(struct worker *w, uint32_t port_id)
{
	struct stage_mark mark = stage_begin(w);
	uint32_t n = w->tx->port[port_id].n;

	flush_port(w, port_id);
	stage_end(w, STAGE_TX, n, mark);
}

void tx_frame(struct worker *w, uint32_t port_id, struct rte_mbuf *m)
{
	struct cv_if_counters *c = &w->stats->ifc[pkt_meta(m)->if_tx];

	c->tx_packets++;
	c->tx_bytes += m->pkt_len;
	trace_end(m, "tx", "sent");
	tx_put(w, port_id, m);
}

/* Frames of others for our queues; they are counted on their interface already. */
static void take_over(struct worker *w)
{
	struct rte_mbuf *pkt[TX_BURST];
	unsigned n = rte_ring_sc_dequeue_burst(handover_ring[w->index], (void **)pkt, TX_BURST, NULL);

	for (unsigned i = 0; i < n; i++) {
		const struct port *port = port_worker_view(pkt[i]->port);

		/* Not ours any more: passing it on could go round for ever. */
		if (port && port->tx[w->index].owner == w->index)
			tx_put(w, pkt[i]->port, pkt[i]);
		else
			drop_rest(w, &pkt[i], 1, DROP_TX_FULL);
	}
}

void tx_flush(struct worker *w)
{
	if (unlikely(!rte_ring_empty(handover_ring[w->index])))
		take_over(w);
	while (w->tx->dirty)
		tx_flush_port(w, (uint32_t)__builtin_ctz(w->tx->dirty));
}
