/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection table: what stateful inspection and NAT know about flows (RFC 2663, RFC 4787, RFC 5382). A connection
 * has the tuple of the packet that began it, and the tuple of the answers as they arrive; without translation one is
 * the mirror of the other.
 *
 * The two directions of a connection are received by whatever workers the device, or the SA, gives them to. So there is
 * one table for all: workers find connections in it and note what they see, without locks; main alone puts connections
 * in and takes them out, which makes what has to be unique, such as a translated port, a matter of one thread. The
 * first packet of a connection goes to main (SLOW_CONN) and on from there. What main takes out is used again after
 * every worker has passed a quiescent point: what conn_find() returns is good until the reader's next one.
 */
#ifndef DATAPLANE_CONN_H
#define DATAPLANE_CONN_H

#include "conn_tuple.h"

#define CONN_NODE_NONE 0u

/* What has been seen of a connection. */
#define CONN_S_REPLY 1u	    /* a packet the other way */
#define CONN_S_OPEN 2u	    /* TCP: the originator has acknowledged the answer */
#define CONN_S_FIN 4u	    /* TCP: a FIN of the originator ... */
#define CONN_S_FIN_REPLY 8u /* ... and of the responder */
#define CONN_S_RST 16u	    /* TCP */
#define CONN_S_CLOSED(s)                                                                                               \
	(((s)&CONN_S_RST) || ((s) & (CONN_S_FIN | CONN_S_FIN_REPLY)) == (CONN_S_FIN | CONN_S_FIN_REPLY))

struct conn {
	struct conn_tuple tuple[2]; /* of the originator's packets, and of the answers, as each arrives here */
	uint32_t next[2];	    /* in the chain of each: index << 1 | direction */
	uint32_t used_s;	    /* uptime of the last packet; any worker */
	uint16_t state;		    /* CONN_S_*; any worker */
	uint16_t flags;		    /* CV_CONN_F_* */
	uint32_t index;		    /* the same for as long as there are readers */
	/* main */
	uint32_t begun_s;
	uint32_t older, newer;	/* among those that are not open yet; newer: the next that waits to be free */
	uint32_t if_in, if_out; /* of the originator's packets */
	bool there;		/* in the table */
	bool waits;		/* among those that are not open yet */
} __rte_cache_aligned;

extern const struct dp_module conn_module;

/* Any thread: the connection one of whose tuples this is, and which one; NULL = none. */
struct conn *conn_find(const struct conn_tuple *t, unsigned *dir);
/* Any thread: the connection of a number that conn_find() has led to since the reader's last quiescent point. */
struct conn *conn_at(uint32_t index);
/* Any thread: bring what conn_find() will read closer. */
void conn_prefetch(const struct conn_tuple *t);
/* Worker or main: a packet of the connection has come. tcp_flags: of a TCP packet, else 0. */
void conn_seen(struct conn *c, unsigned dir, uint8_t tcp_flags);

/* Main: put in a connection; tuples, flags and interfaces are the caller's to give. Tuples must not be in the
 * table. NULL = it is full (DROP_CONN_FULL). */
struct conn *conn_add(const struct conn *like);
/* Main: take out a connection. */
void conn_remove(struct conn *c);
/* Main: take out those of which all of `flags` are set (0 = every one). Returns how many. */
uint32_t conn_clear(uint16_t flags);
/* Main, every few milliseconds: take out what is too old. */
void conn_tick(void);
/* Main: take out all that may not stay. */
void conn_judge(bool (*stays)(const struct conn *c));
/* Main: the table is wanted from now on. 0 or CV_ERR_NO_MEMORY. */
int conn_open(void);

/* Main: fill a CV_DUMP_CONN reply (struct cv_conn_entry), with those that have all flags of req->scope. */
void conn_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out);

/* Main: how many there are, and how many of them are not open yet. */
uint32_t conn_count(void);
uint32_t conn_half_open(void);

#endif
