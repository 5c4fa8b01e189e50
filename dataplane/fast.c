/* SPDX-License-Identifier: BSD-3-Clause */
#include "fast.h"

#include <rte_ether.h>
#include <rte_malloc.h>

#include "esp.h"
#include "fib.h"
#include "neigh.h"
#include "trace.h"
#include "tx.h"

#define PREFETCH_AHEAD 4u
#define ROOM 64u /* in front of a frame: outer headers, and what wide stores run over */

struct fast_worker *fast_worker_create(uint32_t flows, int socket)
{
	const uint32_t lines = flows / FAST_WAYS;
	struct fast_worker *f =
		rte_zmalloc_socket("fast_worker", sizeof(*f) + lines * sizeof(f->line[0]), RTE_CACHE_LINE_SIZE, socket);
	if (f != NULL)
		f->line_mask = lines - 1;
	return f;
}

/* ---- parse ---- */

/* One buffer that nobody else holds, with room on both sides. */
static inline bool buffer_ok(const struct rte_mbuf *m)
{
	uint64_t rearm; /* data_off, refcnt, nb_segs, port */
	memcpy(&rearm, &m->rearm_data, sizeof(rearm));
	uint32_t off = (uint16_t)rearm;
	return (rearm >> 16 & 0xffffffff) == 0x00010001 && off >= ROOM && RTE_MBUF_DIRECT(m) &&
	       off + m->data_len + ESP_TAIL_ROOM <= m->buf_len;
}

/* To the port of ESP in UDP, that is, or of IKE. */
static inline bool is_natt(struct ip4_words h, const uint8_t *ip)
{
	uint16_t port;
	memcpy(&port, ip + sizeof(struct rte_ipv4_hdr) + 2, sizeof(port));
	return port == FAST_NATT_PORT && ip4_proto(h) == IPPROTO_UDP;
}

/* The i-th packet of the vector is the k-th that may be ESP for us. */
static inline uint16_t take_esp(struct fast_worker *f, struct rte_mbuf *m, uint32_t i, uint32_t k, const uint8_t *ip)
{
	uint32_t spi;
	memcpy(&spi, ip + fast_esp_off(ip), sizeof(spi)); /* behind a packet there is room to read */
	rte_prefetch0(&sa_table[rte_be_to_cpu_32(spi) & (CV_SA_MAX - 1u)]);
	f->esp_at[k] = (uint16_t)i;
	f->esp[k] = m;
	return FAST_TAKEN;
}

/* Sort a vector into slots, ESP and packets for the pipeline (where[]). Returns the bytes of the first two. */
static uint64_t parse(struct fast_worker *f, const struct dp_if *ifp, struct rte_mbuf *const *pkts, unsigned n)
{
	const uint64_t mac = mac48(ifp->mac);
	const uint32_t from = ifp->id;
	uint32_t n_slot = 0, n_esp = 0, longest = 0;
	uint64_t bytes = 0;
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		if (i + PREFETCH_AHEAD < n) {
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + PREFETCH_AHEAD], void *));
			rte_prefetch0(pkt_meta(pkts[i + PREFETCH_AHEAD]));
		}
		uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *), *ip = p + sizeof(struct rte_ether_hdr);
		const struct ip4_words h = ip4_load(ip); /* the buffer is longer than this, whatever is in it */
		uint32_t have = m->data_len - (uint32_t)sizeof(struct rte_ether_hdr);
		uint32_t len = rte_bswap16((uint16_t)(h.a >> 16));
		uint16_t type;
		memcpy(&type, p + 12, sizeof(type));
		f->where[i] = FAST_PIPELINE;
		if (unlikely(mac48(p) != mac || type != RTE_BE16(RTE_ETHER_TYPE_IPV4) || !buffer_ok(m) ||
			     m->data_len < sizeof(struct rte_ether_hdr) || len < FAST_IP_MIN || len > have))
			continue;
		if (unlikely(!fast_header_ok(
			    h, (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)))
			continue;
		if (fast_to_clamp(f, h, ip)) { /* what follows may be of the same flow */
			while (++i < n)
				f->where[i] = FAST_PIPELINE;
			break;
		}
		const bool natt = is_natt(h, ip);
		if (unlikely(natt)) {
			f->where[i] = take_esp(f, m, i, n_esp++, ip);
		} else if (fast_flow_ok(h)) {
			longest = RTE_MAX(longest, len);
			f->where[i] = (uint16_t)n_slot;
			fast_slot_fill(f, &f->slot[n_slot++], m, ip, h, from, len);
		} else if (ip4_proto(h) == IPPROTO_ESP) {
			f->where[i] = take_esp(f, m, i, n_esp++, ip);
		} else {
			continue;
		}
		bytes += m->pkt_len;
	}
	f->n_slot = f->n_clear = n_slot;
	f->n_esp = n_esp;
	f->longest = longest;
	return bytes;
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

/* The verdict about a flow that is not in the first way as it is. */
static uint64_t look_further(struct fast_worker *f, const struct fast_slot *s)
{
	struct fast_way *way = s->line->way;
	if (likely(key_equal(&way[1].key, &s->key)))
		return way[1].verdict;
	for (uint32_t i = 0; i < FAST_WAYS; i++)
		if (flow_equal(&way[i].key, &s->key))
			return way[i].key.rest == s->key.rest ? way[i].verdict : fast_renew(f, &way[i]);
	return 0;
}

/* True when all slots have one verdict. */
static bool look_up(struct fast_worker *f)
{
	uint64_t one = 0, all = ~UINT64_C(0);
	for (uint32_t i = 0; i < f->n_slot; i++) {
		struct fast_slot *s = &f->slot[i];
		const struct fast_way *way = s->line->way;
		if (likely(key_equal(&way[0].key, &s->key)))
			s->verdict = way[0].verdict;
		else
			s->verdict = look_further(f, s);
		one |= s->verdict;
		all &= s->verdict;
	}
	return one == all;
}

/* Ask for what the verdicts name, where it is not what the one before named. */
static void prefetch_named(struct worker *w, const struct fast_worker *f)
{
	uint64_t last = 0;
	bool sas = false;
	for (uint32_t i = 0; i < f->n_slot; i++) {
		uint64_t v = f->slot[i].verdict;
		if (likely(v == last))
			continue;
		last = v;
		rte_prefetch0(&adj_table[FAST_ADJ(v)]);
		if (FAST_KIND(v) == FAST_PROTECT) {
			rte_prefetch0(&sa_table[FAST_SA(v)]);
			rte_prefetch0(&w->stats->sa[FAST_SA(v)]);
			sas = true;
		}
	}
	last = 0;
	for (uint32_t i = 0; sas && i < f->n_slot; i++) {
		uint64_t v = f->slot[i].verdict;
		const struct sa *sa = v != last && FAST_KIND(v) == FAST_PROTECT ? sa_get(FAST_SA(v)) : NULL;
		last = v;
		if (sa)
			esp_prefetch_sa(sa);
	}
}

/* The longest packet that can go by this verdict, 0 when none can: what it names may be gone. */
static uint32_t longest(const struct fast_worker *f, uint64_t v)
{
	const struct adj *a = &adj_table[FAST_ADJ(v)];
	if (FAST_KIND(v) == FAST_UNKNOWN || !__atomic_load_n(&a->ready, __ATOMIC_ACQUIRE) ||
		a->l2_len != sizeof(struct rte_ether_hdr))
		return 0;
	if (FAST_KIND(v) == FAST_FORWARD)
		return a->mtu;
	const struct sa *sa = sa_get(FAST_SA(v));
	if (!sa || sa->dir != CV_SA_OUT)
		return 0;
	rte_prefetch0(sa->state);
	return esp_inner_mtu(sa, f->fib_generation);
}

/* Make slots unknown that cannot go by their verdict, and those behind a packet that is too long. one_verdict: all have
 * the same. True when all can go. */
static bool check(struct fast_worker *f, bool one_verdict)
{
	uint64_t last = 0;
	uint32_t max = 0;
	bool good = true;
	if (one_verdict && f->longest <= longest(f, f->slot[0].verdict))
		return true;
	for (uint32_t i = 0; i < f->n_slot; i++) {
		struct fast_slot *s = &f->slot[i];
		if (unlikely(s->verdict != last))
			max = longest(f, last = s->verdict);
		if (likely(s->len <= max))
			continue;
		good = false;
		if (!max) {
			s->verdict = 0;
			continue;
		}
		for (; i < f->n_slot; i++)
			f->slot[i].verdict = 0;
	}
	return good;
}

/* ---- forward ---- */

/* n slots from i on go out by one adjacency as they are. */
static void forward(struct worker *w, uint32_t i, uint32_t n)
{
	struct fast_slot *slot = &w->fast->slot[i];
	const struct adj *a = &adj_table[FAST_ADJ(slot->verdict)];
	const __m128i l2 = fast_l2(a);
	struct cv_if_counters *c = &w->stats->ifc[a->if_id];
	struct rte_mbuf *out[DP_VEC];
	uint64_t bytes = 0;
	for (uint32_t k = 0; k < n; k++) {
		struct fast_slot *s = &slot[k];
		fast_take_hop(s->ip);
		fast_frame(s->m, s->ip, s->len, l2, a->if_id);
		bytes += s->len + sizeof(struct rte_ether_hdr);
		out[k] = s->m;
	}
	c->tx_packets += n;
	c->tx_bytes += bytes;
	tx_put_bulk(w, a->port_id, out, n);
}

/* An adjacency that is sent to does not age. Shared between workers: written once a second only. */
static inline void adj_used(uint32_t adj, uint32_t now_s)
{
	struct adj *a = &adj_table[adj];
	if (unlikely(a->used != now_s))
		__atomic_store_n(&a->used, now_s, __ATOMIC_RELAXED);
}

/* Slots with one verdict are handled together: all slots perhaps. */
static void send_known(struct worker *w, bool one_verdict)
{
	struct fast_worker *f = w->fast;
	const uint32_t now_s = dp_uptime_s();
	uint32_t n_op = 0, n;
	f->n_run = 0;
	for (uint32_t i = 0; i < f->n_slot; i += n) {
		const uint64_t v = f->slot[i].verdict;
		for (n = one_verdict ? f->n_slot : 1; i + n < f->n_slot && f->slot[i + n].verdict == v;)
			n++;
		if (!v)
			continue;
		adj_used(FAST_ADJ(v), now_s);
		if (FAST_KIND(v) == FAST_FORWARD)
			forward(w, i, n);
		else
			n_op = fast_out(w, i, n, n_op);
	}
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
	uint64_t bytes = parse(f, ifp, pkts, n);
	if (f->n_esp)
		fast_in(w, ifp, &bytes);
	const bool one_verdict = look_up(f);
	if (!one_verdict)
		prefetch_named(w, f);
	const bool all_known = check(f, one_verdict);
	if (f->n_op)
		fast_in_finish(w, ifp);
	unsigned left = all_known && f->n_clear + f->n_op == n ? 0 : leave(f, pkts, n, &bytes);
	w->stats->ifc[ifp->id].rx_packets += n - left;
	w->stats->ifc[ifp->id].rx_bytes += bytes;
	if (f->n_slot)
		send_known(w, all_known && one_verdict);
	stage_end(w, STAGE_FAST, n - left, mark);
	*learn = f->learn;
	f->open = true;
	if (f->inner.n)
		ip_input_inner(w, &f->inner);
	return left;
}

/* ---- learning ---- */

/* Is the IP packet the one of the slot with a hop less, or what this SA makes of it? */
static bool as_expected(const struct fast_slot *s, const struct pkt_meta *meta, const uint8_t *ip, uint32_t len)
{
	const struct ip4_words h = ip4_load(ip);
	if ((h.a & 0xff) != 0x45 || (h.a >> 8 & 0xff) != (s->key.rest >> 8 & 0xff) ||
		rte_bswap16((uint16_t)(h.a >> 16)) != len || meta->tunnels)
		return false;
	if (!(meta->flags & PKT_F_PROTECTED))
		return len == s->len && (h.b >> 32 | (uint64_t)h.dst << 32) == s->key.addr &&
		       ip4_proto(h) == (s->key.rest & 0xff) &&
		       !(meta->flags & PKT_F_DECAPPED) == !(s->key.from & FAST_DECAPPED);
	const struct sa *sa = sa_get(meta->sa);
	return sa && fast_out_can(sa) && len == fast_out_len(sa, s->len) && !memcmp(ip + 8, sa->tmpl + 8, 2) &&
	       !memcmp(ip + 12, sa->tmpl + 12, 12) && !memcmp(ip + sa->outer_len, sa->tmpl + sa->outer_len, 4);
}

/* Changes of interfaces void all flows, so that this is asked when one is learned only. */
static bool leaves_by_stages(const struct adj *a)
{
	const struct dp_if *ifp = iface_get(a->if_id);
	return !ifp || ifp->stages_only;
}

void fast_learn(struct worker *w, struct rte_mbuf *m, uint32_t adj)
{
	struct fast_worker *f = w->fast;
	struct pkt_meta *meta = pkt_meta(m);
	const struct adj *a = &adj_table[adj];
	meta->flags &= ~PKT_F_LEARN;
	if (!f || !f->open || a->l2_len != sizeof(struct rte_ether_hdr) || leaves_by_stages(a))
		return;
	const struct fast_slot *s = &f->slot[meta->learn];
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, sizeof(struct rte_ether_hdr));
	if (!as_expected(s, meta, ip, m->pkt_len - (uint32_t)sizeof(struct rte_ether_hdr)))
		return;
	struct fast_way *way = s->line->way;
	uint32_t at = s->victim;
	if (flow_equal(&way[0].key, &s->key) || flow_equal(&way[1].key, &s->key)) /* twice in one vector */
		at = flow_equal(&way[1].key, &s->key);
	else if (!way[0].verdict || !way[1].verdict)
		at = way[0].verdict != 0;
	way[at] = (struct fast_way){.key = s->key,
		.verdict = meta->flags & PKT_F_PROTECTED ? FAST_VERDICT(FAST_PROTECT, adj, meta->sa)
							 : FAST_VERDICT(FAST_FORWARD, adj, 0)};
}
