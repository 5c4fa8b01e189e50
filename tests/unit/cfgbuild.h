/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway's configuration for tests of control/: lan and wan, one crypto map with one entry, one key. */
#ifndef TESTS_CFGBUILD_H
#define TESTS_CFGBUILD_H

#include "config.h"

/*
 * Not resolved yet, so that a test can change what it is about first. Every array has room for CFGBUILD_SPARE more
 * elements.
 *   interfaces 0 lan 10.1.0.1/24, 1 wan 192.0.2.1/24 with map "vpn"
 *   routes     0 0.0.0.0/0 via 192.0.2.2
 *   acl        0 "site2": 10 permit 10.1.0.0/24 -> 10.2.0.0/24
 *   map        0 "vpn": entry 10, peer 192.0.2.2, transform set "gcm", no profile
 *   keyring    0 "keys": 192.0.2.2
 */
#define CFGBUILD_SPARE 4
struct cv_config *cfgbuild_gateway(void);
void cfgbuild_addr(struct cv_config *c, struct cfg_interface *i, const char *text);
/* Line seq of an access list from prefixes. */
void cfgbuild_line(struct cfg_acl *a, uint32_t seq, bool permit, const char *src, const char *dst);
struct cfg_map_entry *cfgbuild_entry(
	struct cv_config *c, struct cfg_crypto_map *m, uint32_t seq, const char *acl, const char *peer);
/* Asserts that the configuration is refused, with a message that begins with the path and says why. */
void cfgbuild_refused(struct cv_config *c, const char *path, const char *why);
void cfgbuild_route(struct cv_config *c, const char *prefix, const char *gw);

#endif
