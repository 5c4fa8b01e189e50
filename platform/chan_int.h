/* SPDX-License-Identifier: BSD-3-Clause */
/* What chan.c, chan_server.c and chan_client.c share. Not for anyone else. */
#ifndef CV_CHAN_INT_H
#define CV_CHAN_INT_H

#include "cv_chan.h"

#include <rte_ring_elem.h>

#define CHAN_MAGIC 0x43564348u

enum chan_ring { CHAN_CMD, CHAN_EVT, CHAN_PKT_UP, CHAN_PKT_DOWN, CHAN_RINGS };

/*
 * The ring memfd: one page of indexes, then the elements of each ring on pages of their own. Nothing else is shared.
 * Each process has its own struct rte_ring (size, mask, sync type) on a private page mapped right in front of the
 * shared elements, so that DPDK's inline ring functions find the elements where they expect them, while the peer can
 * write nothing but elements and the two indexes, which are checked before use.
 */
struct chan_index {
	uint32_t prod __attribute__((aligned(64)));
	uint32_t cons __attribute__((aligned(64)));
};
struct chan_control {
	struct chan_index ring[CHAN_RINGS];
};

struct chan_end {
	struct rte_ring *ring;
	struct chan_index *shared;
	uint32_t elem_size;
	void *map; /* private page, then the shared elements */
	size_t map_len;
};

struct cv_chan {
	struct chan_end end[CHAN_RINGS];
	struct chan_control *control;
	bool broken; /* the peer wrote an impossible index */
	enum chan_ring tx_msg, rx_msg, tx_pkt, rx_pkt;
	/* control end only; -1 and NULL at the dataplane's end */
	int sock, event_fd;
	const struct cv_stats_segment *stats;
};

/* First message on the socket, dataplane -> control. With err 0 the descriptors come with it. */
struct chan_greeting {
	uint32_t magic, version;
	int32_t err;	/* 0 or an errno */
	uint32_t vault; /* 1: a fourth descriptor is a vault */
};

/* control -> dataplane, with one descriptor: keep this vault. */
struct chan_vault_msg {
	uint32_t magic, version;
};

#define CHAN_FDS_MAX 4u

/* Length of the ring memfd. */
size_t chan_rings_len(void);
/* Map the ring memfd. server: dataplane's end. NULL with errno. Does not take over fd. */
struct cv_chan *chan_map(int fd, bool server);

/* One message with up to CHAN_FDS_MAX descriptors. Returns bytes or -errno. */
int chan_send_fds(int sock, const void *data, size_t len, const int *fds, unsigned n_fds);
/* *n_fds: room in fds on entry, received on return; surplus descriptors are closed. 0 = end of file. */
int chan_recv_fds(int sock, void *data, size_t len, int *fds, unsigned *n_fds);

#endif
