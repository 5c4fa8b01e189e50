/* SPDX-License-Identifier: BSD-3-Clause */
#include "fast_six.h"

#include <rte_ether.h>
#include <rte_malloc.h>

#include "esp.h"
#include "fib.h"
#include "neigh.h"
#include "trace.h"
#include "tx.h"

struct fast_worker *fast_worker_create(uint32_t flows, int socket)
{
	const uint32_t lines = flows / FAST_WAYS;
	struct fast_worker *f =
		rte_zmalloc_socket("fast_worker", sizeof(*f) + lines * sizeof(f->line[0]), RTE_CACHE_LINE_SIZE, socket);
	if (f != NULL) {
		f->line_mask = lines - 1;
		f->wide = __builtin_cpu_supports("avx2");
	}
	return f;
}

/* ---- look-up ---- */

static inline bool key_equal(const struct fast_key *a, const struct fast_key *b)
{
	return a->addr == b->addr && a->from == b->from && a->rest == b->rest;
}

/* The same flow, whatever the generation. */
static inline bool flow_equal(const struct fast_key *a, const struct fast_key *b)
{
	return a->addr == b->addr && a->from == b->from && (uint32_t)a->rest == (uint32_t)b->rest;
}

/* The other line that a flow may be in. */
static inline struct fast_line *other_line(const struct fast_worker *f, const struct fast_line *line)
{
	return (struct fast_line *)(uintptr_t)&f->line[(size_t)(line - f->line) ^ 1u];
}

/* The way that flow k, of IPv4, has in this line, whatever the generation; NULL: none. */
static inline struct fast_way *way_of(const struct fast_worker *f, uint32_t k, struct fast_line *line)
{
	struct fast_way *way = line->way;
	if (unlikely(way[0].key.rest & FAST_SIX)) /* there is no second one */
		return NULL;
	for (uint32_t i = 0; i < FAST_WAYS; i++)
		if (flow_equal(&way[i].key, &f->slot[k].key))
			return &way[i];
	return NULL;
}

/* The verdict about the flow of slot k, which is not in the first way as it is. */
static __rte_noinline uint64_t look_further(struct fast_worker *f, uint32_t k)
{
	const struct fast_key *key = &f->slot[k].key;
	struct fast_line *line = f->slot_line[k];
	if (likely(key_equal(&line->way[1].key, key) && !(line->way[0].key.rest & FAST_SIX)))
		return line->way[1].verdict;
	struct fast_way *way = way_of(f, k, line);
	if (!way && !(way = way_of(f, k, other_line(f, line))))
		return 0;
	return way->key.rest == key->rest ? way->verdict : fast_renew(f, way);
}

/* Returns the bits in which verdicts differ. */
static uint64_t look_up(struct fast_worker *f)
{
	uint64_t differ = 0, first = 0;
	for (uint32_t i = 0; i < f->n_slot; i++) {
		struct fast_way *slot = &f->slot[i];
		const struct fast_way *way = f->slot_line[i]->way;
		slot->verdict = likely(key_equal(&way[0].key, &slot->key)) ? way[0].verdict : look_further(f, i);
		if (i == 0)
			first = slot->verdict;
		differ |= slot->verdict ^ first;
	}
	return differ;
}

/* The same, with one comparison for each. */
FAST_WIDE static uint64_t look_up_wide(struct fast_worker *f)
{
	uint64_t differ = 0, first = 0;
	for (uint32_t i = 0; i < f->n_slot; i++) {
		const struct fast_way *way = f->slot_line[i]->way;
		const __m256i same = _mm256_cmpeq_epi64(wide_load(&f->slot[i]), wide_load(&way[0]));
		/* the three words of the key */
		const uint64_t verdict = likely((wide_mask(same) & 7u) == 7u) ? way[0].verdict : look_further(f, i);
		f->slot[i].verdict = verdict;
		if (i == 0)
			first = verdict;
		differ |= verdict ^ first;
	}
	return differ;
}

/* Is the flow of slot k, of IPv6, in this line, whatever the generation? */
static inline bool six_equal(const struct fast_worker *f, uint32_t k, const struct fast_line *line)
{
	const uint64_t *a = line->addr6.w, *b = f->slot6[k].w;
	return flow_equal(&line->six.key, &f->slot[k].key) &&
	       !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

static __rte_noinline uint64_t look_six(struct fast_worker *f, uint32_t k)
{
	struct fast_line *line = f->slot_line[k];
	if (unlikely(!six_equal(f, k, line)) && !six_equal(f, k, line = other_line(f, line)))
		return 0;
	return likely(line->six.key.rest == f->slot[k].key.rest) ? line->six.verdict : fast_renew(f, &line->six);
}

/* look_up() where some slots are of IPv6. */
static uint64_t look_up_mixed(struct fast_worker *f)
{
	uint64_t differ = 0, first = 0;
	for (uint32_t i = 0; i < f->n_slot; i++) {
		struct fast_way *slot = &f->slot[i];
		const struct fast_way *way = f->slot_line[i]->way;
		if (slot->key.rest & FAST_SIX)
			slot->verdict = look_six(f, i);
		else
			slot->verdict = key_equal(&way[0].key, &slot->key) ? way[0].verdict : look_further(f, i);
		if (i == 0)
			first = slot->verdict;
		differ |= slot->verdict ^ first;
	}
	return differ;
}

/* The same, with two comparisons for each of IPv6. */
FAST_WIDE static uint64_t look_up_mixed_wide(struct fast_worker *f)
{
	uint64_t differ = 0, first = 0;
	for (uint32_t i = 0; i < f->n_slot; i++) {
		const struct fast_line *line = f->slot_line[i];
		const bool six = f->slot[i].key.rest & FAST_SIX;
		const __m256i same = _mm256_cmpeq_epi64(wide_load(&f->slot[i]), wide_load(&line->six));
		const __m256i addr = _mm256_cmpeq_epi64(wide_load(&f->slot6[i]), wide_load(&line->addr6));
		const bool found = (wide_mask(same) & 7u) == 7u && (!six || wide_mask(addr) == WIDE_ALL);
		const uint64_t verdict = likely(found) ? line->six.verdict : six ? look_six(f, i) : look_further(f, i);
		f->slot[i].verdict = verdict;
		if (i == 0)
			first = verdict;
		differ |= verdict ^ first;
	}
	return differ;
}

static uint64_t look_up_all(struct fast_worker *f)
{
	if (unlikely(f->six))
		return f->wide ? look_up_mixed_wide(f) : look_up_mixed(f);
	return f->wide ? look_up_wide(f) : look_up(f);
}

/* ---- what the verdicts name ---- */

static inline const struct sa *sa_named(uint64_t verdict)
{
	return fast_sa(FAST_SA(verdict)); /* 0 where none is named */
}

/* Read the SAs, once: they may be replaced meanwhile. Ask for the first line of each, and for its counters, which are
 * needed so late that the nearest cache would only have to do without something else meanwhile. */
static void name_sas(struct worker *w, struct fast_worker *f)
{
	struct cv_sa_counters *counters = w->stats->sa;
	uint32_t how = 0;
	for (uint32_t i = 0; i < f->n_slot; i++) {
		const uint64_t v = f->slot[i].verdict;
		rte_prefetch0(f->slot_sa[i] = sa_named(v));
		rte_prefetch1(&counters[FAST_SA(v)]);
		if (likely(v >> 32 == how))
			continue;
		how = (uint32_t)(v >> 32);
		rte_prefetch0(&adj_table[FAST_ADJ(v)]);
	}
}

/* The longest packet that can go by this verdict, 0 when none can: what it names may be gone. */
static uint32_t longest(const struct fast_worker *f, uint64_t v, const struct sa *sa)
{
	const struct adj *a = &adj_table[FAST_ADJ(v)];
	if (FAST_KIND(v) == FAST_UNKNOWN || !__atomic_load_n(&a->ready, __ATOMIC_ACQUIRE) ||
		a->l2_len != sizeof(struct rte_ether_hdr))
		return 0;
	if (FAST_KIND(v) == FAST_FORWARD)
		return a->mtu;
	if (sa->dir != CV_SA_OUT)
		return 0;
	rte_prefetch0(&sa->state->seq);
	return esp_inner_mtu(sa, f->fib_generation);
}

/* Make slots from i to before `end` unknown that cannot go by their verdict, and all behind a packet that is too long:
 * returns false then. *good: cleared when there is one. */
static bool check_each(struct fast_worker *f, uint32_t i, uint32_t end, bool *good)
{
	uint64_t last = 0;
	uint32_t max = 0;
	for (uint32_t k = i; k < end; k++)
		esp_prefetch_sa(f->slot_sa[k]); /* kinds that need more of it than its first line */
	for (; i < end; i++) {
		if (unlikely(f->slot[i].verdict != last))
			max = longest(f, last = f->slot[i].verdict, f->slot_sa[i]);
		if (likely(f->slot_len[i] <= max))
			continue;
		*good = false;
		if (!max) {
			f->slot[i].verdict = 0;
			continue;
		}
		for (; i < f->n_slot; i++)
			f->slot[i].verdict = 0;
		return false;
	}
	return true;
}

static inline void range_add(struct fast_worker *f, uint32_t slot, uint32_t n, enum fast_range_kind kind)
{
	f->range[f->n_range++] = (struct fast_range){slot, n, kind};
}

/* Divide the slots by adjacency, and make those unknown that cannot go (check_each()). differ: the bits in which
 * verdicts do. True when all can go. */
static bool check(struct worker *w, struct fast_worker *f, uint64_t differ)
{
	bool good = true;
	f->n_range = 0;
	if (!differ && f->longest <= longest(f, f->slot[0].verdict, f->slot_sa[0] = sa_named(f->slot[0].verdict))) {
		range_add(f, 0, f->n_slot, FAST_RANGE_ONE);
		return true;
	}
	name_sas(w, f);
	for (uint32_t i = 0, n; i < f->n_slot; i += n) {
		const uint64_t v = f->slot[i].verdict;
		n = differ <= UINT32_MAX ? f->n_slot : 1;
		while (i + n < f->n_slot && f->slot[i + n].verdict >> 32 == v >> 32)
			n++;
		if (f->wide && n >= WIDE && FAST_KIND(v) == FAST_PROTECT && longest(f, v, f->slot_sa[i]) &&
			fast_many_good(f, i, n)) {
			range_add(f, i, n, FAST_RANGE_MANY);
			continue;
		}
		range_add(f, i, n, FAST_RANGE_ANY);
		if (!check_each(f, i, i + n, &good))
			break;
	}
	return good;
}

/* ---- forward ---- */

/* Slots from i on, before `end`, become frames, four at a time. Returns where the next is. */
FAST_WIDE_INLINE uint32_t frames_four(
	const struct fast_worker *f, uint32_t i, uint32_t end, __m128i l2, uint32_t if_id, bool six)
{
	for (; i + WIDE <= end; i += WIDE) {
		struct wide_mbufs v = wide_mbufs(f, i);
		const __m256i len = _mm256_cvtepu32_epi64(half_load(&f->slot_len[i]));
		for (uint32_t k = 0; k < WIDE; k++) {
			fast6_take_hop(v.ip[k], six);
			_mm_storeu_si128((__m128i *)(v.ip[k] - 16), l2);
		}
		wide_frames(&v, len, 0, if_id);
	}
	return i;
}

FAST_WIDE static uint32_t frames_wide(
	const struct fast_worker *f, uint32_t i, uint32_t end, __m128i l2, uint32_t if_id, bool six)
{
	return six ? frames_four(f, i, end, l2, if_id, true) : frames_four(f, i, end, l2, if_id, false);
}

/* n slots from i on go out by one adjacency as they are. */
static void forward(struct worker *w, uint32_t i, uint32_t n)
{
	struct fast_worker *f = w->fast;
	const struct adj *a = &adj_table[FAST_ADJ(f->slot[i].verdict)];
	const __m128i l2 = fast_l2(a);
	const uint32_t if_id = a->if_id;
	const bool six = FAST_IS_SIX(f->slot[i].verdict);
	struct cv_if_counters *c = &w->stats->ifc[if_id];
	uint32_t bytes = 0;
	for (uint32_t k = f->wide ? frames_wide(f, i, i + n, l2, if_id, six) : i; k < i + n; k++) {
		fast6_take_hop(f->slot_ip[k], six);
		fast_frame(f->slot_m[k], f->slot_ip[k], f->slot_len[k], l2, if_id);
	}
	for (uint32_t k = i; k < i + n; k++)
		bytes += f->slot_len[k];
	c->tx_packets += n;
	c->tx_bytes += bytes + n * sizeof(struct rte_ether_hdr);
	tx_put_bulk(w, a->port_id, &f->slot_m[i], n);
}

/* An adjacency that is sent to does not age. Shared between workers: written once a second only. */
static inline void adj_used(uint32_t adj, uint32_t now_s)
{
	struct adj *a = &adj_table[adj];
	if (unlikely(a->used != now_s))
		__atomic_store_n(&a->used, now_s, __ATOMIC_RELAXED);
}

/* Slots of a range, those with one verdict together; the unknown are left alone. Returns how many operations there are
 * then. */
static uint32_t send_range(struct worker *w, const struct fast_range *r, uint32_t n_op)
{
	struct fast_worker *f = w->fast;
	const uint32_t end = r->slot + r->n, now_s = dp_uptime_s();
	for (uint32_t i = r->slot, n; i < end; i += n) {
		const uint64_t v = f->slot[i].verdict;
		for (n = r->kind == FAST_RANGE_ANY ? 1 : r->n; i + n < end && f->slot[i + n].verdict == v;)
			n++;
		if (!v)
			continue;
		adj_used(FAST_ADJ(v), now_s);
		if (r->kind == FAST_RANGE_MANY)
			n_op = fast_out_many(w, i, n, n_op);
		else if (FAST_KIND(v) == FAST_PROTECT)
			n_op = fast_out(w, i, n, n_op);
		else
			forward(w, i, n);
	}
	return n_op;
}

static void send_known(struct worker *w)
{
	const struct fast_worker *f = w->fast;
	uint32_t n_op = 0;
	w->fast->n_run = 0;
	for (uint32_t r = 0; r < f->n_range; r++)
		n_op = send_range(w, &f->range[r], n_op);
	if (n_op)
		fast_out_finish(w, n_op);
}

/* ---- the stage ---- */

/* What nobody took, in order, to the start of pkts; their bytes are taken off *bytes. */
static unsigned leave(struct fast_worker *f, struct rte_mbuf **pkts, unsigned n, uint64_t *bytes)
{
	unsigned left = 0;
	for (unsigned i = 0; i < n; i++) {
		uint16_t at = f->where[i];
		if (at == FAST_TAKEN || (at != FAST_PIPELINE && f->slot[at].verdict))
			continue;
		if (at != FAST_PIPELINE)
			*bytes -= pkts[i]->pkt_len;
		f->learn[left] = at == FAST_PIPELINE ? 0 : (uint16_t)(at + 1u);
		pkts[left++] = pkts[i];
	}
	return left;
}

unsigned fast_input(struct worker *w, uint32_t port_id, struct rte_mbuf **pkts, unsigned n, const uint16_t **learn)
{
	static const uint16_t nothing[DP_VEC];
	const struct iface_view *view = iface_view();
	const struct iface_port_map *map = view->port[port_id];
	const struct dp_if *ifp = map ? view->by_id[map->untagged] : NULL;
	struct fast_worker *f = w->fast;
	*learn = nothing;
	if (unlikely(!f || !ifp || !ifp->up || ifp->stages_only || trace_armed()))
		return n;
	struct stage_mark mark = stage_begin(w);
	f->clamps = view->clamps;
	f->generation = flow_generation();
	f->fib_generation = fib_generation();
	if (unlikely(f->changes.upto != f->generation))
		flow_changes_read(&f->changes, f->generation);
	f->inner.n = f->n_op = 0;
	f->six = false;
	uint64_t bytes = fast_parse(f, ifp, pkts, n);
	if (f->n_esp)
		fast_in(w, ifp, &bytes);
	const bool all_known = check(w, f, look_up_all(f));
	if (f->n_op)
		fast_in_finish(w, ifp, all_known);
	unsigned left = all_known && f->n_clear + f->n_op == n ? 0 : leave(f, pkts, n, &bytes);
	w->stats->ifc[ifp->id].rx_packets += n - left;
	w->stats->ifc[ifp->id].rx_bytes += bytes;
	if (f->n_slot)
		send_known(w);
	stage_end(w, STAGE_FAST, n - left, mark);
	*learn = f->learn;
	f->open = true;
	if (f->inner.n)
		ip_input_inner(w, &f->inner);
	return left;
}

/* ---- learning ---- */

/* An IP packet about to be sent, of len bytes, and of a class: is it the one of slot k with a hop less? */
static bool same4(const struct fast_worker *f, uint32_t k, const uint8_t *ip)
{
	const struct fast_key *key = &f->slot[k].key;
	const struct ip4_words h = ip4_load(ip);
	return !(key->rest & FAST_SIX) && (h.b >> 32 | (uint64_t)h.dst << 32) == key->addr &&
	       ip4_proto(h) == (key->rest & 0xff);
}

static bool same6(const struct fast_worker *f, uint32_t k, const uint8_t *ip)
{
	const struct fast_key *key = &f->slot[k].key;
	return key->rest & FAST_SIX && !memcmp(ip + 8, &f->slot6[k], sizeof(f->slot6[k])) &&
	       fast6_proto(fast6_load(ip)) == (key->rest & 0xff);
}

/* Or is it what this SA makes of that one? Class and length are as they should be. */
static bool as_template(const struct sa *sa, const uint8_t *ip, bool v4)
{
	if (!v4)
		return sa->outer_af == CV_AF_INET6 && (ip[1] & 15) == (sa->tmpl[1] & 15) &&
		       !memcmp(ip + 2, sa->tmpl + 2, 2) && !memcmp(ip + 6, sa->tmpl + 6, sa->outer_len - 6 + 4);
	if (sa->outer_af != CV_AF_INET)
		return false;
	return !memcmp(ip + 8, sa->tmpl + 8, 2) && !memcmp(ip + 12, sa->tmpl + 12, 12) &&
	       !memcmp(ip + sa->outer_len, sa->tmpl + sa->outer_len, 4);
}

/* Is the IP packet the one of slot k with a hop less, or what an SA makes of it, and nothing else? */
static bool as_expected(
	const struct fast_worker *f, uint32_t k, const struct pkt_meta *meta, const uint8_t *ip, uint32_t len)
{
	const struct fast_key *key = &f->slot[k].key;
	const bool v4 = ip[0] == 0x45;
	const uint64_t a = fast6_load(ip);
	if ((!v4 && !fast6_is(a)) || ip_tos(ip) != (uint8_t)(key->rest >> 8) || meta->tunnels ||
		len != (v4 ? rte_bswap16((uint16_t)(a >> 16)) : fast6_len(a)))
		return false;
	if (!(meta->flags & PKT_F_PROTECTED))
		return len == f->slot_len[k] && (v4 ? same4(f, k, ip) : same6(f, k, ip)) &&
		       !(meta->flags & PKT_F_DECAPPED) == !(key->from & FAST_DECAPPED);
	const struct sa *sa = sa_get(meta->sa);
	return sa && fast_out_can(sa) && len == fast_out_len(sa, f->slot_len[k]) && as_template(sa, ip, v4);
}

/* Changes of interfaces void all flows, so that this is asked when one is learned only. */
static bool leaves_by_stages(const struct adj *a)
{
	const struct dp_if *ifp = iface_get(a->if_id);
	return !ifp || ifp->stages_only;
}

/* A way of this line that has no flow, NULL: there is none. */
static inline struct fast_way *free_way(struct fast_line *line)
{
	if (line->way[0].key.rest & FAST_SIX)
		return NULL;
	return !line->way[0].verdict ? &line->way[0] : !line->way[1].verdict ? &line->way[1] : NULL;
}

/* Where the flow of slot k goes: its place if it has one (twice in one vector), a free one, or that of another. */
static struct fast_way *place4(const struct fast_worker *f, uint32_t k)
{
	struct fast_line *line = f->slot_line[k], *other = other_line(f, line);
	struct fast_way *way = way_of(f, k, line);
	if (way || (way = way_of(f, k, other)) || (way = free_way(line)) || (way = free_way(other)))
		return way;
	if (line->way[0].key.rest & FAST_SIX)
		*line = (struct fast_line){0};
	return &line->way[fast_hash(&f->slot[k].key) >> 31 & 1u];
}

static struct fast_way *place6(const struct fast_worker *f, uint32_t k)
{
	struct fast_line *line = f->slot_line[k], *other = other_line(f, line);
	const bool here = six_equal(f, k, line), there = six_equal(f, k, other);
	const bool room = !(line->way[0].verdict | line->way[1].verdict),
		   room_there = !(other->way[0].verdict | other->way[1].verdict);
	if (there || (!here && !room && (room_there || fast_hash(&f->slot[k].key) >> 31 & 1u)))
		line = other;
	*line = (struct fast_line){.addr6 = f->slot6[k]};
	return &line->six;
}

void fast_learn(struct worker *w, struct rte_mbuf *m, uint32_t adj)
{
	struct fast_worker *f = w->fast;
	struct pkt_meta *meta = pkt_meta(m);
	const uint32_t k = meta->learn;
	const struct adj *a = &adj_table[adj];
	meta->flags &= ~PKT_F_LEARN;
	if (!f || !f->open || a->l2_len != sizeof(struct rte_ether_hdr) || leaves_by_stages(a))
		return;
	const struct fast_key *key = &f->slot[k].key;
	const bool six = key->rest & FAST_SIX;
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, sizeof(struct rte_ether_hdr));
	if (!as_expected(f, k, meta, ip, m->pkt_len - (uint32_t)sizeof(struct rte_ether_hdr)))
		return;
	*(six ? place6(f, k) : place4(f, k)) = (struct fast_way){.key = *key,
		.verdict = meta->flags & PKT_F_PROTECTED ? FAST_VERDICT(FAST_PROTECT, six, adj, meta->sa)
							 : FAST_VERDICT(FAST_FORWARD, six, adj, 0)};
}
