/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that wait for an SA (IPSEC-31, 32). Main lcore only. A packet that matched a PROTECT rule without an SA is
 * held in a bounded queue per rule, control is asked for an SA (CV_EVT_ACQUIRE, at most once per rule and second while
 * packets wait), and when one is published the packets go through ip_forward again. Dropped: when a queue is full,
 * after HOLD_TIMEOUT_MS, when control says that negotiation failed, and when the rule goes away.
 */
#ifndef DATAPLANE_HOLD_H
#define DATAPLANE_HOLD_H

#include "dp.h"

#define HOLD_PER_RULE 16u
#define HOLD_TOTAL 1024u
#define HOLD_TIMEOUT_MS 30000u
#define HOLD_ACQUIRE_MS 1000u

/* SLOW_ACQUIRE: data at the IP header, meta rule, vrf and if_tx. Consumes m. */
void hold_packet(struct worker *w, struct rte_mbuf *m);
/* CV_CMD_HOLD_DROP. */
void hold_drop(struct worker *w, uint32_t rule_id);
/* An SA for the rule was published: its packets go on at the next hold_tick (the transaction is finished first). */
void hold_rule_ready(uint32_t rule_id);
/* The rule was removed: its packets are dropped at the next hold_tick. */
void hold_rule_gone(uint32_t rule_id);
/* Packets waiting for a rule. */
uint32_t hold_count(uint32_t rule_id);
/* Every ~10 ms: releases, acquires, time-outs. */
void hold_tick(struct worker *w, uint64_t now_ms);

#endif
