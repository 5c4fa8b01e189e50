/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asking AAA servers (VRF-34, 41, 53): which server, how often, for how long. It has no sockets and no clock of its own
 * (struct aaa_ops), blocks nothing, and holds at most AAA_ASKED_MAX questions; whoever asks when it is full is told
 * that nobody answers. Single thread (the loop).
 *
 * A server that leaves a question unanswered, repeats included, is dead for the configured time: questions go to the
 * next server of the group, and come back to dead ones only when all of the group are.
 */
#ifndef CONTROL_AAA_AAA_H
#define CONTROL_AAA_AAA_H

#include <jansson.h>

#include "config.h"
#include "radius.h"

#define AAA_ASKED_MAX 256u

enum aaa_verdict { AAA_ACCEPT = 1, AAA_REJECT, AAA_NO_ANSWER };
/* a is NULL with AAA_NO_ANSWER; it is zeroed afterwards. */
typedef void aaa_done(void *arg, enum aaa_verdict verdict, const struct radius_answer *a);

struct aaa_ops {
	uint64_t (*now_ms)(void *ctx); /* monotonic */
	/* One datagram to the server with this number in the configuration. An error counts as a lost packet. */
	int (*send)(void *ctx, unsigned server, const void *data, size_t len);
};

struct aaa;
struct aaa *aaa_new(const struct aaa_ops *ops, void *ctx); /* NULL = out of memory */
void aaa_free(struct aaa *a);				   /* nobody is told anything any more */
/* Another configuration. When its servers differ, open questions end with AAA_NO_ANSWER; returns whether they do. */
bool aaa_set_config(struct aaa *a, struct cv_config *cfg);
/*
 * Ask the servers of a group. done is called once, from aaa_input(), aaa_run() or aaa_set_config(), never from here.
 * Returns the number of the question, 0 when it cannot be asked.
 */
uint64_t aaa_ask(struct aaa *a, const struct cfg_aaa_group *g, const struct radius_query *q, aaa_done *done, void *arg);
void aaa_cancel(struct aaa *a, uint64_t number); /* 0 is nothing */
/* A datagram from the server with this number. */
void aaa_input(struct aaa *a, unsigned server, const uint8_t *data, size_t len);
/* Repeat and give up what is due. Milliseconds until the next time, UINT64_MAX = nothing is open. */
uint64_t aaa_run(struct aaa *a);
/* An array with an object for each server. */
json_t *aaa_show(const struct aaa *a);

#endif
