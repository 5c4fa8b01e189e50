/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of IKEv1 share: one pair of engines, ways to set it up, and what must be true of it afterwards. */
#ifndef TESTS_IKE_V1_ENV_H
#define TESTS_IKE_V1_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cv_addr.h"
#include "ike_env.h"

#define V1_TEST(f) cmocka_unit_test_teardown(f, teardown)

void start(void (*tweak)(struct cv_config *c, int host));
/* n equal policies: aes256, sha256, ecp256, psk, a day. The built-in ones follow them. */
void policies(struct cv_config *c, unsigned n);
/* Only the first policy is left. */
void drop_builtin(struct pair *q);
/* A pair_until condition: one pair of SAs, the same at both ends. */
bool two_agree(struct pair *q);
/* Phase 1 lives 900 s, children 300 s. */
void tweak_short(struct cv_config *c, int host);
/* Let both ends send for so long. */
void traffic_for(uint64_t ms);
/* Every simulated packet since the start has arrived. */
void nothing_lost(void);
/* Hand a message to the other host as if `who` had sent it on port 500. */
void from(int who, const uint8_t *data, size_t len);
/* Message n, counted from 0, is lost: all is up within a minute nevertheless. */
void up_without(unsigned n);
/* For host 1 of a pair with nat set: the peer's address is the NAT's. */
void tweak_nat(struct cv_config *c, int host);
/* Both hosts have found the NAT and encapsulate in UDP. */
void encapsulated(void);
/* From now on keep the first max messages (at most 64), of one exchange type or, with 0, of any. */
void record(unsigned max, uint8_t exchange);
unsigned recorded(void);
/* What was kept comes again, once for each byte, which is XORed with mask; each time whole as well if asked for. */
void replay_damaged(uint8_t mask, bool whole);

#endif
