/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPsec in the dataplane: what the process (worker.c, slow.c, command.c) needs of it. The stages are in pipeline.h, the
 * modules in sa.h, spd.h and hold.h.
 */
#ifndef DATAPLANE_IPSEC_H
#define DATAPLANE_IPSEC_H

#include "hold.h"
#include "provider.h"
#include "sa.h"
#include "spd.h"
#include "worker.h"

/* Main, once, after rte_eal_init and before the first command: 0 or -errno. */
int ipsec_init(void);

/* Main: what worker `index` (0 = main) needs: crypto context, flow cache, scratch. NULL when out of memory. */
struct ipsec_worker *ipsec_worker_create(uint32_t index, int socket);
void ipsec_worker_destroy(struct ipsec_worker *iw);

/* The provider in use. */
const struct crypto_provider *ipsec_crypto(void);

/* Main, every ~10 ms: events of SAs, held packets. */
void ipsec_tick(struct worker *w, uint64_t now_ms);

/* Main, SLOW_INVALID_SPI: an ESP packet that no SA wanted, data at the outer IP header. Tells control (a few times a
 * second at most) and drops it as DROP_ESP_SPI. */
void ipsec_invalid_spi(struct worker *w, struct rte_mbuf *m);

#endif
