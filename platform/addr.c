/* SPDX-License-Identifier: BSD-3-Clause */
#include "cv_addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROTO_ICMP 1
#define PROTO_ICMPV6 58

int cv_addr_parse(const char *s, struct cv_addr *out)
{
	struct cv_addr a = {.af = strchr(s, ':') != NULL ? CV_AF_INET6 : CV_AF_INET};
	if (inet_pton(a.af == CV_AF_INET6 ? AF_INET6 : AF_INET, s, a.b) != 1)
		return -EINVAL;
	*out = a;
	return 0;
}

/* Digits only, no sign, no space, no leading zeros beyond "0". */
static int parse_plen(const char *s, unsigned max, uint8_t *out)
{
	size_t n = strlen(s);
	if (n == 0 || n > 3 || strspn(s, "0123456789") != n || (n > 1 && s[0] == '0'))
		return -EINVAL;
	unsigned long v = strtoul(s, NULL, 10);
	if (v > max)
		return -EINVAL;
	*out = (uint8_t)v;
	return 0;
}

int cv_ifaddr_parse(const char *s, struct cv_addr *addr, uint8_t *plen)
{
	char text[CV_PREFIX_STR];
	size_t n = strlen(s);
	if (n >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, n + 1);
	char *slash = strchr(text, '/');
	if (slash != NULL)
		*slash = '\0';
	struct cv_addr a;
	uint8_t len;
	if (cv_addr_parse(text, &a) != 0)
		return -EINVAL;
	len = (uint8_t)cv_addr_bits(&a);
	if (slash != NULL && parse_plen(slash + 1, cv_addr_bits(&a), &len) != 0)
		return -EINVAL;
	*addr = a;
	*plen = len;
	return 0;
}

int cv_prefix_parse(const char *s, struct cv_prefix *out)
{
	struct cv_prefix p, masked;
	memset(&p, 0, sizeof(p));
	if (cv_ifaddr_parse(s, &p.addr, &p.len) != 0)
		return -EINVAL;
	masked = p;
	cv_prefix_mask(&masked);
	if (!cv_addr_eq(&masked.addr, &p.addr))
		return -EINVAL;
	*out = p;
	return 0;
}

const char *cv_addr_str(const struct cv_addr *a, char buf[static CV_ADDR_STR])
{
	int af = a->af == CV_AF_INET6 ? AF_INET6 : AF_INET;
	if (cv_addr_bits(a) == 0 || inet_ntop(af, a->b, buf, CV_ADDR_STR) == NULL)
		(void)snprintf(buf, CV_ADDR_STR, "-");
	return buf;
}

const char *cv_prefix_str(const struct cv_prefix *p, char buf[static CV_PREFIX_STR])
{
	char a[CV_ADDR_STR];
	(void)snprintf(buf, CV_PREFIX_STR, "%s/%u", cv_addr_str(&p->addr, a), p->len);
	return buf;
}

/* A prefix where it is one, else "lo-hi". Returns bytes printed. */
static size_t range_str(const struct cv_range *r, char *buf, size_t size)
{
	struct cv_prefix p;
	char lo[CV_PREFIX_STR], hi[CV_ADDR_STR];
	if (cv_range_to_prefix(r, &p))
		return (size_t)snprintf(buf, size, "%s", cv_prefix_str(&p, lo));
	return (size_t)snprintf(buf, size, "%s-%s", cv_addr_str(&r->lo, lo), cv_addr_str(&r->hi, hi));
}

static size_t ports_str(const char *name, uint16_t lo, uint16_t hi, char *buf, size_t size)
{
	if (lo == 0 && hi == 65535)
		return 0;
	if (lo == hi)
		return (size_t)snprintf(buf, size, " %s %u", name, lo);
	return (size_t)snprintf(buf, size, " %s %u-%u", name, lo, hi);
}

const char *cv_selector_str(const struct cv_selector *s, char buf[static CV_SELECTOR_STR])
{
	size_t n = range_str(&s->src, buf, CV_SELECTOR_STR);
	n += (size_t)snprintf(buf + n, CV_SELECTOR_STR - n, " -> ");
	n += range_str(&s->dst, buf + n, CV_SELECTOR_STR - n);
	if (s->proto != 0)
		n += (size_t)snprintf(buf + n, CV_SELECTOR_STR - n, " proto %u", s->proto);
	n += ports_str("sport", s->sport_lo, s->sport_hi, buf + n, CV_SELECTOR_STR - n);
	(void)ports_str("dport", s->dport_lo, s->dport_hi, buf + n, CV_SELECTOR_STR - n);
	return buf;
}

static size_t addr_bytes(const struct cv_addr *a)
{
	return cv_addr_bits(a) / 8;
}

bool cv_addr_eq(const struct cv_addr *a, const struct cv_addr *b)
{
	return a->af == b->af && memcmp(a->b, b->b, addr_bytes(a)) == 0;
}

int cv_addr_cmp(const struct cv_addr *a, const struct cv_addr *b)
{
	return memcmp(a->b, b->b, addr_bytes(a));
}

bool cv_addr_is_zero(const struct cv_addr *a)
{
	static const uint8_t zero[16];
	return memcmp(a->b, zero, addr_bytes(a)) == 0;
}

/* The bits of byte i that belong to a prefix of len bits. */
static uint8_t mask_byte(unsigned len, unsigned i)
{
	if (len >= 8 * (i + 1))
		return 0xff;
	return len <= 8 * i ? 0 : (uint8_t)(0xff << (8 - (len - 8 * i)));
}

void cv_prefix_mask(struct cv_prefix *p)
{
	for (unsigned i = 0; i < addr_bytes(&p->addr); i++)
		p->addr.b[i] &= mask_byte(p->len, i);
}

bool cv_prefix_contains(const struct cv_prefix *p, const struct cv_addr *a)
{
	if (p->addr.af != a->af || p->len > cv_addr_bits(a))
		return false;
	for (unsigned i = 0; i < addr_bytes(a); i++)
		if (((p->addr.b[i] ^ a->b[i]) & mask_byte(p->len, i)) != 0)
			return false;
	return true;
}

void cv_prefix_to_range(const struct cv_prefix *p, struct cv_range *r)
{
	struct cv_prefix m = *p;
	cv_prefix_mask(&m);
	r->lo = m.addr;
	r->hi = m.addr;
	for (unsigned i = 0; i < addr_bytes(&m.addr); i++)
		r->hi.b[i] |= (uint8_t)~mask_byte(p->len, i);
}

bool cv_range_to_prefix(const struct cv_range *r, struct cv_prefix *p)
{
	if (r->lo.af != r->hi.af || cv_addr_bits(&r->lo) == 0)
		return false;
	unsigned len = 0, bits = cv_addr_bits(&r->lo);
	while (len < bits && ((r->lo.b[len / 8] ^ r->hi.b[len / 8]) & (0x80 >> (len % 8))) == 0)
		len++;
	struct cv_prefix c = {.addr = r->lo, .len = (uint8_t)len};
	struct cv_range back;
	cv_prefix_to_range(&c, &back);
	if (!cv_addr_eq(&back.lo, &r->lo) || !cv_addr_eq(&back.hi, &r->hi))
		return false;
	*p = c;
	return true;
}

bool cv_range_has(const struct cv_range *r, const struct cv_addr *a)
{
	return r->lo.af == a->af && cv_addr_cmp(&r->lo, a) <= 0 && cv_addr_cmp(a, &r->hi) <= 0;
}

bool cv_range_contains(const struct cv_range *outer, const struct cv_range *inner)
{
	return cv_range_has(outer, &inner->lo) && cv_range_has(outer, &inner->hi);
}

bool cv_range_intersect(const struct cv_range *a, const struct cv_range *b, struct cv_range *out)
{
	if (a->lo.af != b->lo.af)
		return false;
	struct cv_range r = {
		.lo = cv_addr_cmp(&a->lo, &b->lo) >= 0 ? a->lo : b->lo,
		.hi = cv_addr_cmp(&a->hi, &b->hi) <= 0 ? a->hi : b->hi,
	};
	if (cv_addr_cmp(&r.lo, &r.hi) > 0)
		return false;
	*out = r;
	return true;
}

bool cv_selector_contains(const struct cv_selector *outer, const struct cv_selector *inner)
{
	return (outer->proto == 0 || outer->proto == inner->proto) && cv_range_contains(&outer->src, &inner->src) &&
	       cv_range_contains(&outer->dst, &inner->dst) && outer->sport_lo <= inner->sport_lo &&
	       outer->sport_hi >= inner->sport_hi && outer->dport_lo <= inner->dport_lo &&
	       outer->dport_hi >= inner->dport_hi;
}

static bool ports_intersect(uint16_t alo, uint16_t ahi, uint16_t blo, uint16_t bhi, uint16_t *lo, uint16_t *hi)
{
	*lo = alo > blo ? alo : blo;
	*hi = ahi < bhi ? ahi : bhi;
	return *lo <= *hi;
}

bool cv_selector_intersect(const struct cv_selector *a, const struct cv_selector *b, struct cv_selector *out)
{
	struct cv_selector r;
	memset(&r, 0, sizeof(r));
	if (a->proto != 0 && b->proto != 0 && a->proto != b->proto)
		return false;
	r.proto = a->proto != 0 ? a->proto : b->proto;
	if (!cv_range_intersect(&a->src, &b->src, &r.src) || !cv_range_intersect(&a->dst, &b->dst, &r.dst))
		return false;
	if (!ports_intersect(a->sport_lo, a->sport_hi, b->sport_lo, b->sport_hi, &r.sport_lo, &r.sport_hi) ||
		!ports_intersect(a->dport_lo, a->dport_hi, b->dport_lo, b->dport_hi, &r.dport_lo, &r.dport_hi))
		return false;
	*out = r;
	return true;
}

void cv_selector_any(struct cv_selector *s, uint8_t af)
{
	struct cv_prefix all = {.addr = {.af = af}};
	memset(s, 0, sizeof(*s));
	cv_prefix_to_range(&all, &s->src);
	cv_prefix_to_range(&all, &s->dst);
	s->sport_hi = 65535;
	s->dport_hi = 65535;
}

void cv_selector_mirror(const struct cv_selector *s, struct cv_selector *out)
{
	struct cv_selector r = *s;
	r.src = s->dst;
	r.dst = s->src;
	/* Type and code of ICMP stay where they are: they do not belong to one of the two ends. */
	if (s->proto != PROTO_ICMP && s->proto != PROTO_ICMPV6) {
		r.sport_lo = s->dport_lo;
		r.sport_hi = s->dport_hi;
		r.dport_lo = s->sport_lo;
		r.dport_hi = s->sport_hi;
	}
	*out = r;
}
