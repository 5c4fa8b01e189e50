/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The channel: a local stream socket on which the dataplane hands its client three file descriptors (SCM_RIGHTS):
 *   1. the ring memfd: commands down, events up, packets up, packets down. A fresh one for every client, so a client
 *      that died in the middle of an enqueue cannot have left a ring in a bad state;
 *   2. the statistics memfd, sealed: clients can only map it for reading. The same one for every client;
 *   3. an eventfd that the dataplane writes when it has put something into an upward ring, for the client's loop;
 * and in the other direction the client may leave one descriptor, its vault (cv_vault.h), which the dataplane keeps
 * open without looking at it and gives back as a fourth descriptor to the next client.
 * One client at a time: a new client replaces an old one whose socket is closed; while the old one lives, a second is
 * refused. Only a peer with the dataplane's own uid, or root, or the group given to --socket-group is accepted.
 */
#ifndef CV_CHAN_H
#define CV_CHAN_H

#include "cv_msg.h"
#include "cv_stats.h"

#define CV_CHAN_CMD_SLOTS 4096u
#define CV_CHAN_EVT_SLOTS 4096u
#define CV_CHAN_PKT_SLOTS 1024u

struct cv_chan; /* one end of an attached channel */

/* ---- either end, after attach. Not thread safe: one producer and one consumer thread per ring and process. ---- */

/*
 * Put one message into the ring towards the other end. msg->h.len says how many bytes matter; version is filled in.
 * Returns 0, -ENOBUFS when the ring is full, -EMSGSIZE when h.len is out of range. Never blocks.
 */
int cv_chan_send(struct cv_chan *ch, struct cv_msg *msg);

/* Take one message from the ring of the other end. Returns 1 with *msg filled, 0 when empty, -EPROTO when the element
 * is not a valid message (version or length); the element is consumed. The ring's copy is zeroed. */
int cv_chan_recv(struct cv_chan *ch, struct cv_msg *msg);

/* Same for packets: up from the dataplane, down from the control process. Only CV_PKT_HDR + len bytes are copied. */
int cv_chan_send_pkt(struct cv_chan *ch, const struct cv_pkt *pkt);
int cv_chan_recv_pkt(struct cv_chan *ch, struct cv_pkt *pkt);

/* True once the peer wrote ring indexes that cannot be: recv then says empty and send says full, for ever. */
bool cv_chan_broken(const struct cv_chan *ch);

void cv_chan_close(struct cv_chan *ch);

/* ---- dataplane end (main lcore only) ---- */

struct cv_chan_server;

/* Listen on a unix socket at path (mode 0660, group if not NULL), create the statistics memfd. Returns NULL with errno.
 */
struct cv_chan_server *cv_chan_server_open(const char *path, const char *group);
struct cv_stats_segment *cv_chan_server_stats(struct cv_chan_server *s);
/*
 * Poll for a new or a lost client; never blocks. Returns the attached channel or NULL. *changed is set to 1 when the
 * answer differs from the last call's. The channel belongs to the server.
 */
struct cv_chan *cv_chan_server_poll(struct cv_chan_server *s, int *changed);
/* Wake the client: call once after a batch of sends. */
void cv_chan_server_kick(struct cv_chan_server *s);
void cv_chan_server_close(struct cv_chan_server *s);

/* ---- control end ---- */

/*
 * Connect, receive the descriptors, map the rings. vault_fd: descriptor to leave with the dataplane, or -1. On success
 * *vault_back is the descriptor an earlier client left (owned by the caller), or -1; when one comes back, vault_fd is
 * not taken over. Returns 0 or -errno (-ECONNREFUSED/-ENOENT: no dataplane, -EBUSY: another client, -EPROTO: version).
 */
int cv_chan_connect(const char *path, int vault_fd, struct cv_chan **ch, int *vault_back);
/* Leave another vault in place of the one the dataplane holds (when the one it gave back cannot be used). 0 or -errno;
 * vault_fd stays the caller's. */
int cv_chan_leave_vault(struct cv_chan *ch, int vault_fd);
/* Readable when something arrived (clear it by reading 8 bytes). */
int cv_chan_event_fd(const struct cv_chan *ch);
/* Readable with EOF when the dataplane goes away. */
int cv_chan_socket_fd(const struct cv_chan *ch);
const struct cv_stats_segment *cv_chan_stats(const struct cv_chan *ch);

#endif
