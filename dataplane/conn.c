/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hash table with one writer. Chains are linked by numbers: a connection is in two of them, once for each direction.
 * A reader that stands on a connection which is being taken out goes on along its link, which stays as it is until all
 * readers have been quiescent. Memory is reserved once, for as many as there may ever be, and touched as it is needed.
 */
#include "conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#include <netinet/in.h>
#include <rte_byteorder.h>
#include <rte_prefetch.h>
#include <rte_tcp.h>

#include "worker.h"

#define BUCKETS (2u * CV_CONN_MAX)
#define TICK_SHARE 100u /* a tick looks at so large a part of the table: all of it in about a second */
#define TICK_LEAST 256u
#define SHED_MOST 64u /* half-open connections that one new one may cost */
#define MINUTE 60u

static const struct cv_conn_limits defaults = {.max_entries = 65536,
	.tcp_s = 3600,
	.tcp_syn_s = 30,
	.tcp_fin_s = 5,
	.udp_s = 60,
	.icmp_s = 10,
	.other_s = 300};

static struct conn *entry; /* CV_CONN_MAX; number 0 is not used */
static uint32_t *chain;	   /* BUCKETS: index << 1 | direction, 0 = end */
static uint64_t secret[4]; /* of the hash: which flows share a chain is nobody's to choose */
static uint32_t high;	   /* no number above this has been used */
static uint32_t count;
static struct cv_conn_limits limits, staged;
static bool is_staged;

/* Numbers that were taken out: `gone` collects them, `waiting` waits for the readers, `unused` may be given out. */
static uint32_t gone, waiting, unused;
/* Those that nobody has answered yet, in the order they came; some of them have been, and are found out later. */
static uint32_t half_oldest, half_newest, n_half;
static bool shedding;
static struct {
	uint32_t second, n[MINUTE], sum;
} rate;

/* ---- hash ---- */

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	const unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint32_t bucket_of(const struct conn_tuple *t)
{
	uint64_t w[5];

	memcpy(w, t, sizeof(w));
	uint64_t h = mix(w[0] ^ secret[0], w[1] ^ secret[1]);

	h = mix(h ^ w[2] ^ secret[2], w[3] ^ secret[3]);
	return (uint32_t)mix(h ^ w[4], secret[0] | 1) & (BUCKETS - 1);
}

void conn_prefetch(const struct conn_tuple *t)
{
	rte_prefetch0(&chain[bucket_of(t)]);
}

struct conn *conn_find(const struct conn_tuple *t, unsigned *dir)
{
	if (unlikely(!__atomic_load_n(&chain, __ATOMIC_ACQUIRE)))
		return NULL;
	for (uint32_t node = __atomic_load_n(&chain[bucket_of(t)], __ATOMIC_ACQUIRE); node;) {
		struct conn *c = &entry[node >> 1];

		if (conn_tuple_eq(&c->tuple[node & 1], t)) {
			*dir = node & 1;
			return c;
		}
		node = __atomic_load_n(&c->next[node & 1], __ATOMIC_ACQUIRE);
	}
	return NULL;
}

struct conn *conn_at(uint32_t index)
{
	return &entry[index];
}

static void link_in(struct conn *c, unsigned dir)
{
	uint32_t *head = &chain[bucket_of(&c->tuple[dir])];

	__atomic_store_n(&c->next[dir], *head, __ATOMIC_RELAXED);
	__atomic_store_n(head, c->index << 1 | dir, __ATOMIC_RELEASE);
}

static void unlink_from(struct conn *c, unsigned dir)
{
	const uint32_t node = c->index << 1 | dir;
	uint32_t *at = &chain[bucket_of(&c->tuple[dir])];

	while (*at && *at != node)
		at = &entry[*at >> 1].next[*at & 1];
	if (*at)
		__atomic_store_n(at, c->next[dir], __ATOMIC_RELEASE);
}

/* ---- state ---- */

static bool is_tcp(const struct conn *c)
{
	return c->tuple[0].proto == IPPROTO_TCP;
}

static bool is_half_open(const struct conn *c)
{
	const uint16_t s = __atomic_load_n(&c->state, __ATOMIC_RELAXED);

	return !(s & (is_tcp(c) ? CONN_S_OPEN : CONN_S_REPLY)) && !CONN_S_CLOSED(s);
}

static uint32_t timeout_of(const struct conn *c)
{
	const uint16_t s = __atomic_load_n(&c->state, __ATOMIC_RELAXED);

	switch (c->tuple[0].proto) {
	case IPPROTO_TCP:
		return CONN_S_CLOSED(s) ? limits.tcp_fin_s : s & CONN_S_OPEN ? limits.tcp_s : limits.tcp_syn_s;
	case IPPROTO_UDP:
		return limits.udp_s;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return limits.icmp_s;
	default:
		return limits.other_s;
	}
}

/* What a packet adds to the state. */
static uint16_t adds(uint16_t state, unsigned dir, uint8_t tcp)
{
	uint16_t add = dir ? CONN_S_REPLY : 0;

	if (tcp & RTE_TCP_RST_FLAG)
		add |= CONN_S_RST;
	if (tcp & RTE_TCP_FIN_FLAG)
		add |= dir ? CONN_S_FIN_REPLY : CONN_S_FIN;
	if (!dir && (state & CONN_S_REPLY) && (tcp & RTE_TCP_ACK_FLAG))
		add |= CONN_S_OPEN;
	return add;
}

void conn_seen(struct conn *c, unsigned dir, uint8_t tcp)
{
	const uint16_t state = __atomic_load_n(&c->state, __ATOMIC_RELAXED), add = adds(state, dir, tcp);
	const uint32_t now = dp_uptime_s();

	if (unlikely((state | add) != state))
		__atomic_fetch_or(&c->state, add, __ATOMIC_RELAXED);
	/* the originator uses its port again before we have forgotten the connection before */
	if (unlikely(CONN_S_CLOSED(state) && !dir && (tcp & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) == RTE_TCP_SYN_FLAG))
		__atomic_store_n(&c->state, 0, __ATOMIC_RELAXED);
	if (__atomic_load_n(&c->used_s, __ATOMIC_RELAXED) != now)
		__atomic_store_n(&c->used_s, now, __ATOMIC_RELAXED);
}

/* ---- those that nobody has answered ---- */

static void half_append(struct conn *c)
{
	c->older = half_newest;
	c->newer = 0;
	if (half_newest)
		entry[half_newest].newer = c->index;
	else
		half_oldest = c->index;
	half_newest = c->index;
	n_half++;
}

static void half_take(struct conn *c)
{
	if (!c->waits)
		return;
	c->waits = false;
	if (c->older)
		entry[c->older].newer = c->newer;
	else
		half_oldest = c->newer;
	if (c->newer)
		entry[c->newer].older = c->older;
	else
		half_newest = c->older;
	n_half--;
}

/* Connections begun in the last 60 seconds, this one included. */
static uint32_t rate_count(void)
{
	const uint32_t now = dp_uptime_s();

	for (uint32_t i = 0; i < MINUTE && rate.second != now; i++) {
		uint32_t *n = &rate.n[++rate.second % MINUTE];

		rate.sum -= *n;
		*n = 0;
	}
	rate.second = now;
	rate.n[now % MINUTE]++;
	return ++rate.sum;
}

static bool above(uint32_t n, uint32_t limit_high, uint32_t limit_low)
{
	return limit_high && n > (shedding ? limit_low : limit_high);
}

/* Make room for one that is about to come: the oldest that nobody has answered give way. */
static void shed(void)
{
	const uint32_t per_minute = rate_count();
	const bool too_fast = above(per_minute, limits.minute_high, limits.minute_low);

	for (unsigned i = 0; i < SHED_MOST; i++) {
		const bool too_many = above(n_half + 1, limits.half_open_high, limits.half_open_low);
		struct conn *c = &entry[half_oldest];

		shedding = too_many || too_fast;
		if (!half_oldest || !(too_many || (too_fast && i == 0)))
			return;
		if (is_half_open(c))
			conn_remove(c);
		else
			half_take(c);
	}
}

/* ---- in and out ---- */

static uint32_t number_take(void)
{
	uint32_t i = unused;

	if (i)
		unused = entry[i].newer;
	else if (high + 1 < CV_CONN_MAX)
		i = ++high;
	return i;
}

struct conn *conn_add(const struct conn *like)
{
	shed();
	const uint32_t i = count < limits.max_entries ? number_take() : 0;

	if (!i)
		return NULL;
	struct conn *c = &entry[i];

	*c = *like;
	c->index = i;
	c->state = 0;
	c->begun_s = c->used_s = dp_uptime_s();
	c->there = c->waits = true;
	half_append(c);
	count++;
	link_in(c, 1);
	link_in(c, 0);
	return c;
}

void conn_remove(struct conn *c)
{
	unlink_from(c, 0);
	unlink_from(c, 1);
	half_take(c);
	count--;
	c->there = false;
	c->newer = gone;
	gone = c->index;
}

static void readers_done(void *arg)
{
	(void)arg;
	while (waiting) {
		const uint32_t i = waiting;

		waiting = entry[i].newer;
		entry[i].newer = unused;
		unused = i;
	}
}

static void recycle(void)
{
	if (waiting || !gone)
		return;
	waiting = gone;
	gone = 0;
	dp_defer(readers_done, NULL);
}

static bool too_old(const struct conn *c)
{
	return dp_uptime_s() - __atomic_load_n(&c->used_s, __ATOMIC_RELAXED) >= timeout_of(c);
}

void conn_tick(void)
{
	static uint32_t at;

	for (uint32_t n = RTE_MIN(RTE_MAX(high / TICK_SHARE, TICK_LEAST), high); n; n--) {
		at = at >= high ? 1 : at + 1;
		struct conn *c = &entry[at];

		if (!c->there)
			continue;
		if (too_old(c))
			conn_remove(c);
		else if (c->waits && !is_half_open(c))
			half_take(c);
	}
	recycle();
}

void conn_judge(bool (*stays)(const struct conn *c))
{
	for (uint32_t i = 1; i <= high; i++)
		if (entry[i].there && !stays(&entry[i]))
			conn_remove(&entry[i]);
	recycle();
}

uint32_t conn_clear(uint16_t flags)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i <= high; i++)
		if (entry[i].there && (entry[i].flags & flags) == flags) {
			conn_remove(&entry[i]);
			n++;
		}
	recycle();
	return n;
}

uint32_t conn_count(void)
{
	return count;
}

uint32_t conn_half_open(void)
{
	return n_half;
}

static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int conn_open(void)
{
	uint32_t *c;

	if (chain)
		return CV_OK;
	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		return CV_ERR_NO_MEMORY;
	entry = entry ? entry : reserve(CV_CONN_MAX * sizeof(*entry));
	c = entry ? reserve(BUCKETS * sizeof(*chain)) : NULL;
	if (!c)
		return CV_ERR_NO_MEMORY;
	memset(c, 0, BUCKETS * sizeof(*c)); /* so that no worker is stopped by a page it is the first to touch */
	limits = limits.max_entries ? limits : defaults;
	__atomic_store_n(&chain, c, __ATOMIC_RELEASE);
	return CV_OK;
}

/* ---- limits ---- */

static int conn_stage(uint16_t type, const void *body, char *text)
{
	(void)text;
	staged = type == CV_CMD_CONN_SET ? *(const struct cv_conn_limits *)body : defaults;
	is_staged = true;
	return CV_OK;
}

static void conn_sync(void)
{
	staged = defaults;
	is_staged = true;
}

static void conn_publish(void)
{
	if (is_staged)
		limits = staged;
	is_staged = false;
}

static void conn_abort(void)
{
	is_staged = false;
}

const struct dp_module conn_module = {
	.name = "conn", .stage = conn_stage, .sync = conn_sync, .publish = conn_publish, .abort = conn_abort};

/* ---- show ---- */

static struct cv_addr addr_out(const struct conn_tuple *t, const uint8_t *b)
{
	struct cv_addr a = {.af = t->af};

	memcpy(a.b, b, sizeof(a.b));
	return a;
}

static void fill(struct cv_conn_entry *e, const struct conn *c)
{
	const struct conn_tuple *t = &c->tuple[0], *r = &c->tuple[1];
	const uint16_t s = __atomic_load_n(&c->state, __ATOMIC_RELAXED);
	const uint32_t now = dp_uptime_s(), idle = now - __atomic_load_n(&c->used_s, __ATOMIC_RELAXED);
	const uint32_t most = timeout_of(c);

	*e = (struct cv_conn_entry){.src = addr_out(t, t->src),
		.dst = addr_out(t, t->dst),
		.reply_src = addr_out(r, r->src),
		.reply_dst = addr_out(r, r->dst),
		.src_port = rte_be_to_cpu_16(t->sport),
		.dst_port = rte_be_to_cpu_16(t->dport),
		.reply_src_port = rte_be_to_cpu_16(r->sport),
		.reply_dst_port = rte_be_to_cpu_16(r->dport),
		.vrf_id = t->vrf,
		.reply_vrf_id = r->vrf,
		.flags = c->flags,
		.proto = t->proto,
		.state = is_tcp(c) && CONN_S_CLOSED(s) ? CV_CONN_CLOSED
			 : is_half_open(c)	       ? CV_CONN_HALF_OPEN
						       : CV_CONN_OPEN,
		.if_in = c->if_in,
		.if_out = c->if_out,
		.age_s = now - c->begun_s,
		.left_s = most > idle ? most - idle : 0};
}

void conn_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out)
{
	const unsigned room = sizeof(out->entries) / sizeof(struct cv_conn_entry);

	out->entry_size = sizeof(struct cv_conn_entry);
	for (uint64_t i = req->cursor ? req->cursor : 1; i <= high; i++) {
		const struct conn *c = &entry[i];

		if (!c->there || (c->flags & req->scope) != req->scope)
			continue;
		if (out->n == room) {
			out->next = i;
			return;
		}
		struct cv_conn_entry e;

		fill(&e, c);
		memcpy(out->entries + out->n++ * sizeof(e), &e, sizeof(e));
	}
}
