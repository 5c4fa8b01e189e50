/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The statistics segment: a memfd that the dataplane writes and everyone else maps read-only (sealed against writing).
 * Each worker writes only its own block with plain stores; the reader sums. No locks, no atomics: a reader may see a
 * counter one packet old, never a torn one (aligned 64-bit). Clearing counters is done by the reader (it remembers a
 * baseline), so workers are never disturbed.
 */
#ifndef CV_STATS_H
#define CV_STATS_H

#include "cv_msg.h"

#define CV_STATS_MAGIC 0x43565354u
#define CV_STATS_VERSION 8u
#define CV_DROP_MAX 128u
#define CV_STAGE_MAX 32u
#define CV_EVENT_MAX 64u
#define CV_WRITERS (CV_WORKER_MAX + 1) /* slot 0 is the main lcore, worker i is slot i + 1 */

struct cv_if_counters {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, rx_errors, tx_errors, rx_drops, tx_drops;
};

/* Packets and bytes through an SA: encaps or decaps by direction; errors counted under the drop reasons too. */
struct cv_sa_counters {
	uint64_t packets, bytes; /* bytes of the inner packet */
	uint64_t replay_drops, auth_errors;
	uint64_t other_errors; /* bad padding, selector mismatch, too big, ... */
	uint64_t last_used_s;  /* dataplane uptime in seconds at the last packet */
	/* IPComp: packets (de)compressed; those that did not shrink, or could not be decompressed */
	uint64_t compressed, comp_failed;
};

#define CV_QOS_DELAYS 6u
/* One class of a policy map on one interface. Bytes of IP packets, before encryption. */
struct cv_qos_counters {
	uint64_t packets, bytes; /* that were found to be of the class */
	uint64_t colour_packets[CV_COLOURS], colour_bytes[CV_COLOURS];
	uint64_t police_drops;
	uint64_t marked; /* DSCP set */
	/* queues */
	uint64_t sent_packets, sent_bytes;
	uint64_t queue_drops;	       /* the queue was full */
	uint64_t random_drops;	       /* early, at random */
	uint64_t ecn_marked;	       /* instead */
	uint64_t average;	       /* packets, of this worker: what random early detection goes by */
	uint64_t priority_drops;       /* above the rate of a priority class while others waited */
	uint64_t depth, depth_max;     /* packets, of this worker */
	uint64_t delay[CV_QOS_DELAYS]; /* packets that waited less than 10 us, 100 us, 1 ms, 10 ms, 100 ms; longer */
};

/* One multicast route. Packets as they came, whatever the number of copies. */
struct cv_mroute_counters {
	uint64_t packets, bytes;
	uint64_t copies;   /* sent */
	uint64_t wrong_if; /* packets that came in by another interface than expected */
	uint64_t former;   /* routes that have had these counters before this one; by main */
};

struct cv_stage_counters {
	uint64_t calls, packets, cycles; /* TSC cycles of the stage's own, without those of the stages it calls */
};

/* Where the cycles of a writer go while the profile is on (CV_CMD_PROFILE). Its writer begins it anew, in the first
 * round of its loop after a profile has begun; it keeps the figures of the last one. */
struct cv_profile {
	uint64_t number;		   /* which profile this is, as in the segment; 0: none yet */
	uint64_t rounds, packets;	   /* of the loop in which there was something to do; received */
	uint64_t busy_cycles, idle_cycles; /* TSC; main counts none */
	struct cv_stage_counters stage[CV_STAGE_MAX];
};

struct cv_writer_block {
	uint64_t loops, idle_loops, busy_cycles, idle_cycles; /* TSC cycles */
	uint64_t rx_packets, tx_packets;
	uint64_t drops[CV_DROP_MAX];
	uint64_t events[CV_EVENT_MAX]; /* what happened to packets other than being dropped */
	struct cv_profile profile;
	struct cv_if_counters ifc[CV_IF_MAX];
	struct cv_sa_counters sa[CV_SA_MAX];
	uint64_t acl[CV_ACL_COUNTERS]; /* packets that a line of an access list decided about */
	struct cv_qos_counters qos[CV_QOS_SLOTS][CV_QOS_CLASSES];
	struct cv_mroute_counters mroute[CV_MROUTE_MAX];
};

struct cv_stats_segment {
	uint32_t magic, version;
	uint64_t instance; /* as in cv_hello_info */
	uint64_t tsc_hz;
	uint64_t heartbeat; /* seconds of uptime, written by the main lcore */
	/* The newest profile: its number, counted from 1; when it began and ended, ms of uptime; 0: it is on. By main.
	 */
	uint64_t profile_number, profile_begin, profile_end;
	uint32_t n_drops, n_stages, n_workers, n_events;
	char drop_name[CV_DROP_MAX][32]; /* stable token, e.g. "esp-replay" */
	char drop_text[CV_DROP_MAX][96]; /* one line for people */
	char stage_name[CV_STAGE_MAX][24];
	char event_name[CV_EVENT_MAX][32]; /* stable token, e.g. "frag-before" */
	char event_text[CV_EVENT_MAX][96];
	struct cv_writer_block writer[CV_WRITERS]; /* sparse: pages exist once touched */
};

#endif
