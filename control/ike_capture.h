/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A decrypted capture of IKE: its messages in a pcapng file, and beside it the keys of their SAs in the two tables that
 * Wireshark and tshark read when the directory is their configuration directory. An administrator starts it, the
 * configuration must allow it, it ends by itself, and its keys are nowhere else. Files have mode 0600 in directories of
 * mode 0700 below the run directory; writing blocks the loop, which a file system in memory makes short. Loop thread.
 */
#ifndef CONTROL_IKE_CAPTURE_H
#define CONTROL_IKE_CAPTURE_H

#include "cv_msg.h"
#include "ike.h"

struct control;
struct ike_capture;

/* A message of IKE (data, len) within its IP packet; before the engine sees it when it came in. */
void ike_capture_message(struct control *c, const struct ike_path *path, bool out, const struct cv_pkt *pkt,
	const uint8_t *data, size_t len);
/* The engine has seen it: are there keys now? */
void ike_capture_seen(struct control *c, const uint8_t *data, size_t len);
/* Milliseconds until it wants to be called again, UINT64_MAX = none is running. Ends what has run for long enough. */
uint64_t ike_capture_run(struct control *c);
/* End a running one: why, for the log. */
void ike_capture_end(struct control *c, const char *why);

/* One line of a table of Wireshark, its newline included, of at most size bytes. Returns its length; 0: Wireshark has
 * no word for the algorithms. */
size_t ike_capture_line(const struct ike_wire_keys *k, char *out, size_t size);
/* What the two tables are called; index 0 for IKEv1. */
extern const char *const ike_capture_table[2];

#endif
