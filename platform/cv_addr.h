/* SPDX-License-Identifier: BSD-3-Clause */
/* Text and arithmetic for addresses, prefixes, ranges and selectors. Pure functions, any thread. */
#ifndef CV_ADDR_H
#define CV_ADDR_H

#include "cv_types.h"

#define CV_ADDR_STR 46
#define CV_PREFIX_STR 50
#define CV_SELECTOR_STR 256

/* Parse "192.0.2.1" or "2001:db8::1". Returns 0 or -EINVAL. */
int cv_addr_parse(const char *s, struct cv_addr *out);
/* Parse "192.0.2.0/24"; host bits set are refused with -EINVAL; no slash = host prefix. */
int cv_prefix_parse(const char *s, struct cv_prefix *out);
/* Parse "192.0.2.1/24" keeping host bits: an interface address. */
int cv_ifaddr_parse(const char *s, struct cv_addr *addr, uint8_t *plen);
/* Print into buf, return buf. */
const char *cv_addr_str(const struct cv_addr *a, char buf[static CV_ADDR_STR]);
const char *cv_prefix_str(const struct cv_prefix *p, char buf[static CV_PREFIX_STR]);
const char *cv_selector_str(const struct cv_selector *s, char buf[static CV_SELECTOR_STR]);

static inline unsigned cv_addr_bits(const struct cv_addr *a)
{
	return a->af == CV_AF_INET ? 32u : a->af == CV_AF_INET6 ? 128u : 0u;
}
bool cv_addr_eq(const struct cv_addr *a, const struct cv_addr *b);
/* memcmp order inside a family; families must be equal. */
int cv_addr_cmp(const struct cv_addr *a, const struct cv_addr *b);
bool cv_addr_is_zero(const struct cv_addr *a);
bool cv_prefix_contains(const struct cv_prefix *p, const struct cv_addr *a);
/* A multicast group (RFC 5771, RFC 4291 2.7). */
static inline bool cv_addr_is_multicast(const struct cv_addr *a)
{
	return a->af == CV_AF_INET6 ? a->b[0] == 0xff : a->af == CV_AF_INET && a->b[0] >> 4 == 0xe;
}
/* Does a group, 4 or 16 bytes, concern one link only, or nothing at all (RFC 5771 4, RFC 4291 2.7)? Routers keep what
 * is for it. */
static inline bool cv_multicast_stays_on_link(uint8_t af, const uint8_t *group)
{
	if (af == CV_AF_INET6)
		return (group[1] & 0xf) <= 2 || (group[1] & 0xf) == 0xf;
	return group[0] == 224 && group[1] == 0 && group[2] == 0;
}
void cv_prefix_mask(struct cv_prefix *p); /* clear host bits */
void cv_prefix_to_range(const struct cv_prefix *p, struct cv_range *r);
/* True and *p filled when the range is exactly one prefix. */
bool cv_range_to_prefix(const struct cv_range *r, struct cv_prefix *p);
bool cv_range_contains(const struct cv_range *outer, const struct cv_range *inner);
bool cv_range_has(const struct cv_range *r, const struct cv_addr *a);
/* Intersection; false when empty. */
bool cv_range_intersect(const struct cv_range *a, const struct cv_range *b, struct cv_range *out);
bool cv_selector_contains(const struct cv_selector *outer, const struct cv_selector *inner);
bool cv_selector_intersect(const struct cv_selector *a, const struct cv_selector *b, struct cv_selector *out);
/* Every address and port of the family: 0.0.0.0/0 or ::/0. */
void cv_selector_any(struct cv_selector *s, uint8_t af);
/* Swap source and destination; the ICMP type and code stay in the source port range. out may be s. */
void cv_selector_mirror(const struct cv_selector *s, struct cv_selector *out);

#endif
