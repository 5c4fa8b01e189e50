/* SPDX-License-Identifier: BSD-3-Clause */
/* The dataplane's end of the channel while a control process is attached: events and packets up (dp.h: dp_event,
 * punt_packet), packets down. Main lcore only. */
#ifndef DATAPLANE_PUNT_H
#define DATAPLANE_PUNT_H

#include "cv_chan.h"
#include "worker.h"

/* A control process came (ch) or went (NULL). */
void punt_attach(struct cv_chan *ch);
/* Once, after dp_frame_init: the ring to the worker that routes injected packets. 0 or -errno. */
int punt_init(void);
/* Take injected packets off the ring and give them to a worker. Returns how many. */
unsigned inject_poll(struct worker *w);
/* True, once, when something was put into an upward ring since the last call: kick the client. */
bool punt_take_dirty(void);
/* A reply or other message of command.c. 0 or -errno of cv_chan_send. */
int punt_send(struct cv_msg *msg);

/* Is this a whole IPv4 or IPv6 packet, as the header says? For injected packets, which nobody else checked. */
bool inject_valid(const struct cv_pkt *pkt);

#endif
