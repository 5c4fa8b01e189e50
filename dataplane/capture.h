/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packet capture per interface into pcapng files (CV_CMD_CAPTURE). Workers copy matching frames into a bounded ring,
 * main writes them to disk; when main cannot keep up, frames are missing from the file, never from the traffic. An
 * Ethernet interface's capture holds every frame of its port, a VLAN interface's those with its tag. One capture per
 * port at a time.
 */
#ifndef DATAPLANE_CAPTURE_H
#define DATAPLANE_CAPTURE_H

#include "dp.h"

struct capture;
extern struct capture *capture_by_port[CV_PORT_MAX];

/* Worker or main: is anything captured on this port? One load of a line that hardly ever changes. */
static inline bool capture_on(uint32_t port_id)
{
	return __atomic_load_n(&capture_by_port[port_id], __ATOMIC_RELAXED) != NULL;
}

/* Worker or main: copy what matches; data at the Ethernet header. The packets stay the caller's. Call where
 * capture_on(): after receiving (sent false), before transmitting (sent true). */
void capture_frames(uint32_t port_id, struct rte_mbuf *const *pkts, unsigned n, bool sent);

/* Main: directory for the files, NULL = captures are refused. 0 or -errno. */
int capture_init(const char *dir);
/* Main: start, or stop with n_packets 0. CV_OK or enum cv_err with text. */
enum cv_err capture_command(const struct cv_cmd_capture *req, char *text);
/* Main: the port goes away: end its capture, if there is one. */
void capture_stop(uint32_t port_id);
/* Main, every round: write what the workers copied; ends captures that have their number. */
void capture_poll(void);

#endif
