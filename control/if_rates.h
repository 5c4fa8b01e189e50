/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much interfaces carry: rates over the last five minutes and when the last packet went in and out, for show
 * (VTI-T1). The counters of all interfaces are looked at every few seconds; workers are not disturbed. Loop thread.
 */
#ifndef CONTROL_IF_RATES_H
#define CONTROL_IF_RATES_H

#include <jansson.h>
#include <stdint.h>

struct control;
struct cfg_interface;
struct if_rates;

struct if_rates *if_rates_new(void);
void if_rates_free(struct if_rates *r);
/* Look, when it is time. Milliseconds until the next look, UINT64_MAX = there is no dataplane. */
uint64_t if_rates_run(struct control *c);
/* "input" and "output": rates in bits and packets a second; seconds since the last packet, left out when there was
 * none; what a tunnel is worth, in kbit/s, and how much of that is used, in 255ths, at least 1. */
void if_rates_show(struct control *c, const struct cfg_interface *i, json_t *o);

#endif
