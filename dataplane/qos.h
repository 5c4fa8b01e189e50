/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy maps on interfaces (VTI-36, LLQ-*; RFC 2474, 2597, 2697, 2698). What is routed to an interface with an output
 * policy is taken aside before it loses its hop and before any encryption (LLQ-17), and finds its class in the clear
 * packet. A tunnel without a policy of its own has that of the interface by which its outer packets leave (LLQ-13).
 * What this router sends of its own accord, IKE above all, and what is encrypted already, meets no output policy.
 *
 * Classes are found by the SPD's classifier (spd.h), where the place of the VRF has the interface a packet came in by.
 * Flows with a policy stay off the fast path (fast.h).
 */
#ifndef DATAPLANE_QOS_H
#define DATAPLANE_QOS_H

#include "dp.h"

struct qos_attach; /* a policy on an interface */

/* By interface; immutable. NULL where there is none. */
struct qos_view {
	const struct qos_attach *out[CV_IF_MAX], *in[CV_IF_MAX];
	bool any_out, any_in;
};
extern const struct qos_view *qos_view_current;
extern const struct dp_module qos_module;

/* Worker: the policies as published, NULL when there is none at all. Load once per vector. */
static inline const struct qos_view *qos_view(void)
{
	return __atomic_load_n(&qos_view_current, __ATOMIC_ACQUIRE);
}

/* Worker: the output policy for packets that are routed to this interface, NULL = none. v: not NULL. */
const struct qos_attach *qos_output_policy(const struct qos_view *v, uint32_t if_tx);
/* Packets with any of these flags meet no output policy. */
#define QOS_EXEMPT (PKT_F_PROTECTED | PKT_F_BYPASS | PKT_F_LOCAL_OUT | PKT_F_SCHEDULED)

/*
 * Worker: routed clear packets, data at the IP header, meta->scratch the policy (qos_output_policy). Takes every packet
 * of v: those that may go come back by ip_forward() with PKT_F_SCHEDULED, at once or, where the policy has queues, by
 * qos_run().
 */
void qos_output(struct worker *w, struct pkt_vec *v);

/*
 * Worker or main, every round, behind what takes packets in: send a burst of what waits, DP_BURST packets of all
 * interfaces together, those of priority classes first (LLQ-1, LLQ-2): they are encrypted and handed to the device
 * before the others, so that the burst under way when it comes is what a priority packet may have to wait for. all:
 * until nothing waits, whatever rates say. Returns how many.
 */
uint32_t qos_run(struct worker *w, bool all);

/* Worker: drop, or mark, what came in by interfaces with an input policy. one_if: all by that of the first. inner: came
 * out of an SA or a tunnel, and are judged only when meta->if_rx is a tunnel. Compacts v. */
void qos_input(struct worker *w, struct pkt_vec *v, bool one_if, bool inner);

#endif
