/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses of host names, by c-ares on the loop: the host's hosts file first, then DNS. Nothing blocks, and no thread
 * of the public-key pool is kept waiting for a name server that does not answer. Loop thread.
 */
#ifndef CONTROL_RESOLVER_H
#define CONTROL_RESOLVER_H

#include <uv.h>

#include "config.h"
#include "cv_types.h"

#define RESOLVER_ADDR_MAX 8u /* addresses of a name beyond these are not looked at */

struct resolver;
/*
 * n addresses in the order of the answer, both families, and for how many seconds they hold (0 = nobody says). err:
 * NULL, or why there are none (static text).
 */
typedef void resolver_done(void *arg, const char *err, const struct cv_addr *addr, unsigned n, uint32_t ttl_s);

/* NULL when out of memory. */
struct resolver *resolver_new(uv_loop_t *loop);
/* The name servers to ask from the next question on; n 0 = those of the host (resolv.conf). At most 8 count. */
void resolver_servers(struct resolver *r, const struct cfg_name_server *server, unsigned n);
/* done() is called once, perhaps before this returns. host is copied. */
void resolver_ask(struct resolver *r, const char *host, resolver_done *done, void *arg);
/* Open questions are answered with an error at once. closed() follows when nothing of it is left on the loop. */
void resolver_close(struct resolver *r, void (*closed)(void *arg), void *arg);

#endif
