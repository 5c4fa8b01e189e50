/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transmission: per-port buffers of one worker, flushed when full and at the end of every loop. Where a device has
 * fewer transmit queues than there are workers, the frames go through a ring to the worker that owns a queue.
 */
#ifndef DATAPLANE_TX_H
#define DATAPLANE_TX_H

#include "worker.h"

#define TX_BURST 64u	  /* frames buffered per port */
#define TX_HANDOVER 1024u /* frames in one hand-over ring */

struct tx_buf {
	uint32_t n;
	struct rte_mbuf *pkt[TX_BURST];
};

/* What one worker has to send. Owned by that worker. */
struct tx_worker {
	uint32_t index; /* worker index, as in struct worker */
	uint32_t dirty; /* bit per port with something buffered */
	struct tx_buf port[CV_PORT_MAX];
};

/* Main: state for worker `index` (0 = main). Never freed. NULL when out of memory. */
struct tx_worker *tx_worker_create(uint32_t index, int socket);

/* Worker or main: queue one complete frame (data at the Ethernet header) on a port. meta->if_tx is counted. */
void tx_frame(struct worker *w, uint32_t port_id, struct rte_mbuf *m);
/* Worker or main: send what is buffered, and what others handed over. End of every loop. */
void tx_flush(struct worker *w);

/* Send what is buffered for one port. For tx_put(). */
void tx_flush_port(struct worker *w, uint32_t port_id);
/* Worker or main: queue a frame that the caller has counted. */
static inline void tx_put(struct worker *w, uint32_t port_id, struct rte_mbuf *m)
{
	struct tx_buf *b = &w->tx->port[port_id];

	b->pkt[b->n++] = m;
	w->tx->dirty |= 1u << port_id;
	if (b->n == TX_BURST)
		tx_flush_port(w, port_id);
}

/* The same for n of them. */
static inline void tx_put_bulk(struct worker *w, uint32_t port_id, struct rte_mbuf *const *pkts, unsigned n)
{
	struct tx_buf *b = &w->tx->port[port_id];

	while (n) {
		unsigned k = RTE_MIN(n, TX_BURST - b->n);

		memcpy(&b->pkt[b->n], pkts, k * sizeof(*pkts));
		b->n += k;
		w->tx->dirty |= 1u << port_id;
		if (b->n == TX_BURST)
			tx_flush_port(w, port_id);
		pkts += k;
		n -= k;
	}
}

#endif
