/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows that were learned before the last changes (flow_change.h): which of them are still good. */
#include "fast.h"

static inline bool within(const struct flow_change *c, int end, uint64_t addr)
{
	return addr >= c->lo[end] && addr <= c->hi[end];
}

/* May the change have an effect on the way of what the SA sends? */
static bool route_of_sa(const struct flow_change *c, uint32_t index)
{
	const struct sa *sa = sa_get(index);
	uint32_t dst;
	uint64_t dst6;
	if (!sa || sa->dir != CV_SA_OUT || sa->front_vrf != c->id)
		return !sa || sa->dir != CV_SA_OUT;
	if (sa->outer_af != c->af)
		return false;
	if (c->af == CV_AF_INET6) {
		memcpy(&dst6, sa->tmpl + offsetof(struct rte_ipv6_hdr, dst_addr), sizeof(dst6));
		return within(c, 0, rte_be_to_cpu_64(dst6));
	}
	memcpy(&dst, sa->tmpl + offsetof(struct rte_ipv4_hdr, dst_addr), sizeof(dst));
	return within(c, 0, rte_be_to_cpu_32(dst));
}

/* Where a flow is from and to, as changes have addresses. */
struct ends {
	uint8_t af;
	uint64_t src, dst;
};

static struct ends ends_of(const struct fast_way *way)
{
	if (!(way->key.rest & FAST_SIX))
		return (struct ends){
			CV_AF_INET, rte_bswap32((uint32_t)way->key.addr), rte_bswap32((uint32_t)(way->key.addr >> 32))};
	const uint64_t *a = ((const struct fast_line *)(const void *)way)->addr6.w;
	return (struct ends){CV_AF_INET6, rte_bswap64(a[0]), rte_bswap64(a[2])};
}

static bool concerns(const struct flow_change *c, const struct fast_way *way, struct ends e)
{
	const uint32_t from = (uint32_t)way->key.from;
	const bool protect = FAST_KIND(way->verdict) == FAST_PROTECT;
	switch ((enum flow_change_kind)c->kind) {
	case FLOW_CHANGE_ADJ:
		return FAST_ADJ(way->verdict) == c->id;
	case FLOW_CHANGE_SA:
		return from == (FAST_DECAPPED | c->id) || (protect && FAST_SA(way->verdict) == c->id);
	case FLOW_CHANGE_ROUTE: /* the source counts where it is judged (urpf.h) */
		return (c->af == e.af && (within(c, 0, e.dst) || within(c, 0, e.src))) ||
		       (protect && route_of_sa(c, FAST_SA(way->verdict)));
	case FLOW_CHANGE_POLICY:
		return c->af == e.af &&
		       ((within(c, 0, e.src) && within(c, 1, e.dst)) || (within(c, 0, e.dst) && within(c, 1, e.src)));
	default:
		return true;
	}
}

uint64_t fast_renew(struct fast_worker *f, struct fast_way *way)
{
	const struct flow_changes *log = &f->changes;
	const uint32_t learned = (uint32_t)(way->key.rest >> 32);
	const struct ends e = ends_of(way);
	bool good = f->generation - learned <= FLOW_CHANGES_KEPT && (int32_t)(learned + 1 - log->since) >= 0;
	for (uint32_t n = learned + 1; good && n != f->generation + 1; n++)
		good = !concerns(&log->change[n % FLOW_CHANGES_KEPT], way, e);
	if (!good) {
		if (way->key.rest & FAST_SIX)
			*(struct fast_line *)(void *)way = (struct fast_line){0};
		else
			*way = (struct fast_way){0};
		return 0;
	}
	way->key.rest = (uint32_t)way->key.rest | (uint64_t)f->generation << 32;
	return way->verdict;
}
