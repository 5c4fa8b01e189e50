/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policies and where they are attached, as workers see them (qos.c), and how main makes them of what control says
 * (qos_config.c).
 */
#ifndef DATAPLANE_QOS_POLICY_H
#define DATAPLANE_QOS_POLICY_H

#include "qos.h"
#include "qos_meter.h"
#include "qos_sched.h"
#include "spd.h"

/* A policy map, compiled. Immutable once published. */
struct qos_policy {
	uint32_t n_class; /* highest number + 1 */
	struct cv_qos_class cls[CV_QOS_CLASSES];
	struct spd_class *map; /* NULL: everything is class 0. A rule's rule_id is the class */
	/* main only */
	uint32_t n_rule;
	struct cv_qos_rule *conf;
	struct spd_rule *rule;
};

struct qos_attach {
	struct cv_qos_attach conf;
	const struct qos_policy *policy;
	struct qos_meter meter[CV_QOS_CLASSES]; /* shared by all workers */
	struct qos_shared shared;
	struct qos_sched *sched[CV_WRITERS]; /* CV_QOS_F_QUEUES: of each worker */
	bool listed[CV_WRITERS];	     /* that worker looks at its queues; only it writes this */
	bool retired;			     /* main: it is not in force any more, send what waits */
};

/* The class of a packet. data at the IP header, meta set by ip_input. */
uint32_t qos_classify(const struct qos_policy *p, struct rte_mbuf *m);

#endif
