/* SPDX-License-Identifier: BSD-3-Clause */
#include "child.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"
#include "cv_secret.h"
#include "ikecrypto.h"

#define PAIRS (CV_SA_MAX / 2) /* numbers 1..PAIRS-1: index 0 does not exist */
#define REUSE_MS 10000u	      /* a freed number rests, so that late packets of the old SA meet nothing */

struct child_table {
	struct control *c;
	struct child *child[PAIRS];
	uint8_t state[PAIRS]; /* enum pair_state */
	/* Free numbers in the order in which they were freed. */
	uint32_t free[PAIRS];
	uint64_t freed_ms[PAIRS];
	uint32_t head, n_free;
	unsigned n_held;
	TAILQ_HEAD(child_list, child) linger;
};

enum pair_state { PAIR_FREE = 0, PAIR_RESERVED, PAIR_USED };

static uint64_t now_ms(const struct child_table *t)
{
	return host_now_ms(t->c);
}

/* ---- numbers ---- */

static void number_free(struct child_table *t, uint32_t k)
{
	t->state[k] = PAIR_FREE;
	if (k < CHILD_MANUAL_MAX)
		return; /* never IKE's */
	t->free[(t->head + t->n_free++) % PAIRS] = k;
	t->freed_ms[k] = now_ms(t);
}

static int number_take(struct child_table *t, uint32_t *k)
{
	while (t->n_free) {
		uint32_t n = t->free[t->head];

		if (t->freed_ms[n] && now_ms(t) - t->freed_ms[n] < REUSE_MS)
			return -ENOSPC;
		t->head = (t->head + 1) % PAIRS;
		t->n_free--;
		if (t->state[n] != PAIR_FREE)
			continue; /* a restored pair took it out of turn */
		*k = n;
		return 0;
	}
	return -ENOSPC;
}

struct child_table *child_table_new(struct control *c)
{
	struct child_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->c = c;
	TAILQ_INIT(&t->linger);
	for (uint32_t k = CHILD_MANUAL_MAX; k < PAIRS; k++)
		t->free[t->n_free++] = k;
	return t;
}

int child_alloc_spi(void *ctx, uint32_t *spi, uint32_t *index)
{
	struct child_table *t = ((struct control *)ctx)->children;
	uint32_t k, high;

	if (number_take(t, &k))
		return -ENOSPC;
	t->state[k] = PAIR_RESERVED;
	do
		ikec_random(&high, sizeof(high));
	while (!(high >> CV_SA_INDEX_BITS));
	*index = 2 * k;
	*spi = (high & ~(CV_SA_MAX - 1)) | *index;
	return 0;
}

void child_free_spi(void *ctx, uint32_t index)
{
	struct child_table *t = ((struct control *)ctx)->children;

	if (index / 2 < PAIRS && t->state[index / 2] == PAIR_RESERVED)
		number_free(t, index / 2);
}

/* ---- the table ---- */

struct child *child_get(struct child_table *t, uint32_t id)
{
	return id < PAIRS ? t->child[id] : NULL;
}

struct child *child_by_ref(struct child_table *t, const struct cv_sa_ref *ref)
{
	struct child *ch = child_get(t, ref->index / 2);

	if (!ch || ref->spi != (ref->index == child_index(ch, CHILD_OUT) ? ch->spi_out : ch->spi_in))
		return NULL;
	return ch;
}

struct child *child_next(struct child_table *t, uint32_t after)
{
	for (uint32_t k = after + 1; k < PAIRS; k++)
		if (t->child[k])
			return t->child[k];
	return NULL;
}

unsigned child_count(const struct child_table *t)
{
	return t->n_held;
}

static void drop_out(struct child *ch)
{
	if (ch->out)
		cv_secret_zero(ch->out, sizeof(*ch->out));
	free(ch->out);
	ch->out = NULL;
}

static void child_destroy(struct child_table *t, struct child *ch)
{
	drop_out(ch);
	t->child[ch->id] = NULL;
	number_free(t, ch->id);
	free(ch);
}

/* Freed once IKE, the linger time and every reply are through with it. */
static void child_put(struct child_table *t, struct child *ch)
{
	if (ch->released && !ch->pending && !ch->halves && !ch->linger_until_ms)
		child_destroy(t, ch);
}

void child_table_free(struct child_table *t)
{
	if (!t)
		return;
	for (uint32_t k = 1; k < PAIRS; k++) {
		if (!t->child[k])
			continue;
		drop_out(t->child[k]);
		free(t->child[k]);
	}
	free(t);
}

/* ---- counters ---- */

static void slot_counters(const struct cv_stats_segment *s, uint32_t index, struct cv_sa_counters *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned w = 0; s && w < CV_WRITERS && w <= s->n_workers; w++) {
		const struct cv_sa_counters *c = &s->writer[w].sa[index];

		out->packets += c->packets;
		out->bytes += c->bytes;
		out->replay_drops += c->replay_drops;
		out->auth_errors += c->auth_errors;
		out->other_errors += c->other_errors;
		if (c->last_used_s > out->last_used_s)
			out->last_used_s = c->last_used_s;
	}
}

/* A slot that the dataplane has cleared since counts from zero. */
static uint64_t since(uint64_t now, uint64_t base)
{
	return now >= base ? now - base : now;
}

static void subtract(struct cv_sa_counters *n, const struct cv_sa_counters *base)
{
	n->packets = since(n->packets, base->packets);
	n->bytes = since(n->bytes, base->bytes);
	n->replay_drops = since(n->replay_drops, base->replay_drops);
	n->auth_errors = since(n->auth_errors, base->auth_errors);
	n->other_errors = since(n->other_errors, base->other_errors);
}

void child_counters(const struct child *ch, enum cv_sa_dir dir, struct cv_sa_counters *out)
{
	unsigned out_half = dir == CV_SA_OUT;

	slot_counters(dpclient_stats(ch->c->dp), child_index(ch, out_half ? CHILD_OUT : CHILD_IN), out);
	subtract(out, &ch->base[out_half]);
}

void child_counters_shown(const struct child *ch, enum cv_sa_dir dir, struct cv_sa_counters *out)
{
	child_counters(ch, dir, out);
	subtract(out, &ch->cleared[dir == CV_SA_OUT]);
}

uint64_t child_life_kb(const struct child *ch, const struct cv_sa_counters *n)
{
	uint64_t used = n->bytes / 1024;

	return used < ch->lifetime_kb ? ch->lifetime_kb - used : 0;
}

uint64_t child_life_s(const struct child *ch)
{
	uint64_t age = (host_now_ms(ch->c) - ch->added_ms) / 1000;

	return age < ch->lifetime_s ? ch->lifetime_s - age : 0;
}

static uint32_t idle_s(void *ctx, uint32_t child_id, enum cv_sa_dir dir)
{
	struct control *c = ctx;
	const struct cv_stats_segment *s = dpclient_stats(c->dp);
	struct child *ch = child_get(c->children, child_id);
	struct cv_sa_counters n;

	if (!ch || !s)
		return UINT32_MAX;
	child_counters(ch, dir, &n);
	if (!n.packets)
		return UINT32_MAX;
	return s->heartbeat > n.last_used_s ? (uint32_t)(s->heartbeat - n.last_used_s) : 0;
}

uint32_t child_idle_s(void *ctx, uint32_t child_id)
{
	return idle_s(ctx, child_id, CV_SA_IN);
}

uint32_t child_out_idle_s(void *ctx, uint32_t child_id)
{
	return idle_s(ctx, child_id, CV_SA_OUT);
}

uint32_t child_idle_limit(const struct child *ch)
{
	const struct rule_ref *r = desired_rule(ch->c->desired, ch->rule_id);

	return r ? r->entry->idle_s : 0;
}

uint64_t child_quiet_s(const struct child *ch)
{
	uint64_t age = (host_now_ms(ch->c) - ch->active_ms) / 1000;
	uint32_t in = idle_s(ch->c, ch->id, CV_SA_IN), out = idle_s(ch->c, ch->id, CV_SA_OUT);
	uint32_t quiet = in < out ? in : out;

	return quiet < age ? quiet : age;
}

/* ---- messages ---- */

/* As responder IKE does not know the rule: it is the first one of the entry, applied where the packet came in, that
 * covers what was negotiated (IPSEC-36). */
static uint32_t rule_for(const struct control *c, const struct ike_child_params *p)
{
	const struct desired *d = c->desired;

	for (unsigned i = 0; d && i < d->n_rule; i++) {
		const struct rule_ref *r = &d->rule[i];

		if (r->entry == p->entry && r->fvrf == p->path.vrf && path_if_has(r->local, &p->path.local) &&
			p->n_sel && cv_selector_contains(&r->line->sel, &p->sel[0]))
			return r->rule_id;
	}
	return 0;
}

#define KB 1024u
/* The soft limit leaves time for a rekey; a different one on each side keeps both from rekeying at once. */
static void set_limits(struct cv_sa *sa, const struct child *ch)
{
	sa->hard_bytes = ch->lifetime_kb * KB;
	sa->soft_bytes = sa->hard_bytes / 100 * (ch->initiator ? 80 : 90);
}

/* The interface that the pair's clear packets leave by decides about DF and fragments. */
static uint32_t egress_flags(const struct child *ch)
{
	const struct rule_ref *r = desired_rule(ch->c->desired, ch->rule_id);
	const struct cfg_interface *i = r && ch->c->running ? rule_interface(ch->c, r) : NULL;

	if (!i)
		return CV_SA_F_COPY_DF;
	return (i->df_bit == CFG_DF_SET		   ? CV_SA_F_SET_DF
		       : i->df_bit == CFG_DF_CLEAR ? CV_SA_F_CLEAR_DF
						   : CV_SA_F_COPY_DF) |
	       (i->fragment == CFG_FRAG_AFTER ? CV_SA_F_FRAG_AFTER : 0);
}

static void fill_common(struct cv_sa *sa, const struct child *ch, enum cv_sa_dir dir)
{
	bool out = dir == CV_SA_OUT;

	memset(sa, 0, sizeof(*sa));
	sa->index = child_index(ch, out ? CHILD_OUT : CHILD_IN);
	sa->pair_index = child_index(ch, out ? CHILD_IN : CHILD_OUT);
	sa->spi = out ? ch->spi_out : ch->spi_in;
	sa->dir = dir;
	sa->mode = ch->transport ? CV_SA_TRANSPORT : CV_SA_TUNNEL;
	sa->ipproto = ch->suite.encr ? IPPROTO_ESP : IPPROTO_AH;
	sa->encr = ch->suite.encr;
	sa->integ = ch->suite.encr ? ch->suite.integ : ch->suite.ah;
	sa->flags = ch->egress | (ch->udp_encap ? CV_SA_F_UDP_ENCAP : 0) | (ch->esn ? CV_SA_F_ESN : 0) |
		    (ch->replay_window ? 0 : CV_SA_F_NO_REPLAY);
	sa->replay_window = ch->replay_window;
	sa->front_vrf = ch->path.vrf;
	sa->inside_vrf = ch->ivrf;
	sa->rule_id = ch->rule_id;
	sa->src = out ? ch->path.local : ch->path.remote;
	sa->dst = out ? ch->path.remote : ch->path.local;
	sa->udp_src = out ? ch->path.lport : ch->path.rport;
	sa->udp_dst = out ? ch->path.rport : ch->path.lport;
	sa->n_sel = (uint16_t)ch->n_sel;
	memcpy(sa->sel, ch->sel, ch->n_sel * sizeof(sa->sel[0]));
	set_limits(sa, ch);
}

static void send_del(struct child *ch, unsigned half)
{
	struct cv_sa_ref ref = {.index = child_index(ch, half), .spi = half == CHILD_OUT ? ch->spi_out : ch->spi_in};

	if (ch->halves & half)
		dpclient_command(ch->c->dp, CV_CMD_SA_DEL, &ref, sizeof(ref), NULL, NULL);
	ch->halves &= (uint8_t)~half;
}

static void all_answered(struct child *ch)
{
	struct child_table *t = ch->c->children;
	void (*cb)(void *arg, int err) = ch->cb;

	if (ch->err) { /* all or nothing */
		send_del(ch, CHILD_OUT);
		send_del(ch, CHILD_IN);
	} else if ((cb || ch->manual) && !ch->released) {
		session_child(ch->c->sessions, ch, true);
	}
	ch->cb = NULL;
	ch->pending++; /* cb may release the pair */
	if (cb)
		cb(ch->arg, ch->err);
	ch->pending--;
	child_put(t, ch);
}

static void half_answered(struct child *ch, unsigned half, int err, const struct cv_reply *rep)
{
	if (err) {
		ch->halves &= (uint8_t)~half;
		if (!ch->err)
			ch->err = err == -EREMOTEIO && rep->err == CV_ERR_UNSUPPORTED ? -ENOTSUP : err;
		cv_warn("control", "IPsec SA 0x%08x: %s", half == CHILD_OUT ? ch->spi_out : ch->spi_in,
			rep ? (rep->text[0] ? rep->text : dp_err_str(rep->err)) : "no dataplane");
	}
	if (--ch->pending == 0)
		all_answered(ch);
}

static void in_answered(void *arg, int err, const struct cv_reply *rep)
{
	half_answered(arg, CHILD_IN, err, rep);
}

static void out_answered(void *arg, int err, const struct cv_reply *rep)
{
	half_answered(arg, CHILD_OUT, err, rep);
}

static void send_add(struct child *ch, unsigned half, const struct cv_sa *sa)
{
	ch->pending++;
	ch->halves |= (uint8_t)half;
	ch->seen |= (uint8_t)half;
	slot_counters(dpclient_stats(ch->c->dp), sa->index, &ch->base[half == CHILD_OUT]);
	/* cannot fail: the caller has looked that there is a connection */
	dpclient_command(ch->c->dp, CV_CMD_SA_ADD, sa, sizeof(*sa), half == CHILD_IN ? in_answered : out_answered, ch);
}

/* ---- ike_ops ---- */

static struct child *child_from_params(struct control *c, uint32_t id, const struct ike_child_params *p)
{
	struct child *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return NULL;
	ch->c = c;
	ch->id = id;
	ch->spi_in = p->spi_in;
	ch->spi_out = p->spi_out;
	ch->path = p->path;
	ch->ivrf = p->entry->profile_ref->vrf_ref ? p->entry->profile_ref->vrf_ref->id : p->path.vrf;
	ch->udp_encap = p->udp_encap;
	ch->initiator = p->initiator;
	ch->suite = p->suite;
	ch->esn = p->esn;
	ch->transport = p->transport;
	ch->n_sel = p->n_sel <= CV_SA_SEL_MAX ? p->n_sel : CV_SA_SEL_MAX;
	memcpy(ch->sel, p->sel, ch->n_sel * sizeof(ch->sel[0]));
	ch->lifetime_s = p->lifetime_s;
	ch->lifetime_kb = p->lifetime_kb;
	ch->replay_window = p->entry->replay_window;
	ch->added_ms = ch->active_ms = host_now_ms(c);
	ch->rule_id = desired_rule(c->desired, p->rule_id) ? p->rule_id : rule_for(c, p);
	ch->egress = egress_flags(ch);
	return ch;
}

void child_path_mtu(struct child_table *t, uint32_t fvrf, const struct cv_addr *remote, uint16_t mtu)
{
	for (struct child *ch = child_next(t, 0); ch; ch = child_next(t, ch->id))
		if (ch->path.vrf == fvrf && cv_addr_eq(&ch->path.remote, remote))
			ch->path_mtu = mtu;
}

/* A rekey is no traffic: the new pair of a flow is as idle as the old one (IDLE-1). Nor does it change the path. */
static void inherit(struct child_table *t, struct child *ch)
{
	uint64_t quiet = UINT64_MAX;

	for (const struct child *o = child_next(t, 0); o; o = child_next(t, o->id)) {
		if (o != ch && o->path.vrf == ch->path.vrf && cv_addr_eq(&o->path.remote, &ch->path.remote))
			ch->path_mtu = o->path_mtu;
		if (o != ch && o->rule_id == ch->rule_id && cv_addr_eq(&o->path.remote, &ch->path.remote) &&
			!memcmp(o->sel, ch->sel, sizeof(o->sel)) && child_quiet_s(o) < quiet)
			quiet = child_quiet_s(o);
	}
	if (quiet != UINT64_MAX)
		ch->active_ms = ch->added_ms - quiet * 1000;
}

int child_add(void *ctx, const struct ike_child_params *p, struct ike_child_keys *keys, uint32_t *child_id,
	void (*cb)(void *arg, int err), void *arg)
{
	struct control *c = ctx;
	struct child_table *t = c->children;
	uint32_t id = p->index_in / 2;
	struct child *ch;
	struct cv_sa sa;

	if (!dpclient_is_up(c->dp))
		return -ENOTCONN;
	if (id >= PAIRS || t->state[id] != PAIR_RESERVED || keys->len > CV_SA_KEY_MAX)
		return -EINVAL;
	ch = child_from_params(c, id, p);
	if (!ch)
		return -ENOMEM;
	if (!ch->rule_id) { /* the configuration has changed under the negotiation */
		free(ch);
		return -ENOENT;
	}
	t->state[id] = PAIR_USED;
	t->child[id] = ch;
	t->n_held++;
	if (p->rekey)
		inherit(t, ch);
	*child_id = id;
	ch->cb = cb;
	ch->arg = arg;
	fill_common(&sa, ch, CV_SA_IN);
	sa.key_len = keys->len;
	memcpy(sa.key, keys->in, keys->len);
	send_add(ch, CHILD_IN, &sa);
	fill_common(&sa, ch, CV_SA_OUT);
	sa.key_len = keys->len;
	memcpy(sa.key, keys->out, keys->len);
	if (p->inbound_only) {
		ch->out = malloc(sizeof(sa));
		if (!ch->out)
			abort();
		*ch->out = sa;
	} else {
		send_add(ch, CHILD_OUT, &sa);
	}
	cv_secret_zero(&sa, sizeof(sa));
	cv_secret_zero(keys, sizeof(*keys));
	return 0;
}

static void activated(void *arg, int err, const struct cv_reply *rep)
{
	struct child *ch = arg;
	struct control *c = ch->c;
	uint32_t id = ch->id;

	half_answered(ch, CHILD_OUT, err, rep);
	ch = child_get(c->children, id);
	if (err && ch && !ch->released)
		ike_child_expire(c->ike, id, true);
}

void child_activate(void *ctx, uint32_t child_id)
{
	struct control *c = ctx;
	struct child *ch = child_get(c->children, child_id);
	struct cv_sa *sa;

	if (!ch || !ch->out || !dpclient_is_up(c->dp))
		return;
	sa = ch->out;
	sa->src = ch->path.local; /* the peer may have moved meanwhile */
	sa->dst = ch->path.remote;
	sa->udp_src = ch->path.lport;
	sa->udp_dst = ch->path.rport;
	ch->pending++;
	ch->halves |= CHILD_OUT;
	ch->seen |= CHILD_OUT;
	slot_counters(dpclient_stats(c->dp), sa->index, &ch->base[1]);
	dpclient_command(c->dp, CV_CMD_SA_ADD, sa, sizeof(*sa), activated, ch);
	drop_out(ch);
}

void child_del(void *ctx, uint32_t child_id, uint32_t linger_ms)
{
	struct control *c = ctx;
	struct child *ch = child_get(c->children, child_id), *before;

	if (!ch || ch->released)
		return;
	ch->released = true;
	c->children->n_held--;
	session_child(c->sessions, ch, false);
	drop_out(ch);
	send_del(ch, CHILD_OUT);
	if (!linger_ms || !(ch->halves & CHILD_IN)) {
		send_del(ch, CHILD_IN);
		child_put(c->children, ch);
		return;
	}
	ch->linger_until_ms = host_now_ms(c) + linger_ms;
	TAILQ_FOREACH_REVERSE(before, &c->children->linger, child_list, link)
	if (before->linger_until_ms <= ch->linger_until_ms)
		break;
	if (before)
		TAILQ_INSERT_AFTER(&c->children->linger, before, ch, link);
	else
		TAILQ_INSERT_HEAD(&c->children->linger, ch, link);
}

uint64_t child_run_linger(struct child_table *t, uint64_t now)
{
	struct child *ch;

	while ((ch = TAILQ_FIRST(&t->linger))) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the analyzer does not follow TAILQ_REMOVE */
		if (ch->linger_until_ms > now)
			return ch->linger_until_ms - now;
		TAILQ_REMOVE(&t->linger, ch, link);
		ch->linger_until_ms = 0;
		send_del(ch, CHILD_IN);
		child_put(t, ch);
	}
	return UINT64_MAX;
}

static void send_update(struct child *ch, unsigned half)
{
	bool out = half == CHILD_OUT;
	struct cv_sa_update u = {.ref = {.index = child_index(ch, half), .spi = out ? ch->spi_out : ch->spi_in},
		.src = out ? ch->path.local : ch->path.remote,
		.dst = out ? ch->path.remote : ch->path.local,
		.udp_src = out ? ch->path.lport : ch->path.rport,
		.udp_dst = out ? ch->path.rport : ch->path.lport,
		.flags = (ch->udp_encap ? CV_SA_F_UDP_ENCAP : 0) | ch->egress};

	if (ch->halves & half)
		dpclient_command(ch->c->dp, CV_CMD_SA_UPDATE, &u, sizeof(u), NULL, NULL);
}

void child_move(void *ctx, uint32_t child_id, const struct ike_path *path, bool udp_encap)
{
	struct control *c = ctx;
	struct child *ch = child_get(c->children, child_id);

	if (!ch)
		return;
	ch->path = *path;
	ch->udp_encap = udp_encap;
	send_update(ch, CHILD_IN);
	send_update(ch, CHILD_OUT);
}

void child_egress(struct child_table *t)
{
	for (struct child *ch = child_next(t, 0); ch; ch = child_next(t, ch->id)) {
		uint32_t now = egress_flags(ch);

		if (ch->released || now == ch->egress)
			continue;
		ch->egress = now;
		if (ch->out)
			ch->out->flags = (ch->out->flags & ~CV_SA_F_EGRESS) | now;
		send_update(ch, CHILD_OUT);
	}
}

/* ---- manual pairs ---- */

static struct child *manual_new(struct child_table *t, const struct ike_child_params *p)
{
	uint32_t id = (p->spi_in & (CV_SA_MAX - 1)) / 2;
	struct child *ch = id < CHILD_MANUAL_MAX && t->state[id] == PAIR_FREE ? child_from_params(t->c, id, p) : NULL;

	if (!ch)
		return NULL;
	ch->manual = true;
	ch->odd = p->spi_in & 1;
	ch->replay_window = 0; /* IPSEC-10 */
	t->state[id] = PAIR_USED;
	t->child[id] = ch;
	t->n_held++;
	return ch;
}

int child_add_manual(struct child_table *t, const struct ike_child_params *p, const struct cfg_manual *keys)
{
	struct child *ch = manual_new(t, p);
	struct cv_sa sa;

	if (!ch)
		return -EBUSY;
	for (unsigned half = CHILD_IN; half <= CHILD_OUT; half++) {
		const struct cfg_session_key *k = half == CHILD_IN ? &keys->in : &keys->out;

		fill_common(&sa, ch, half == CHILD_IN ? CV_SA_IN : CV_SA_OUT);
		sa.key_len = (uint16_t)(k->cipher_len + k->auth_len);
		if (k->cipher_len)
			memcpy(sa.key, k->cipher, k->cipher_len);
		if (k->auth_len)
			memcpy(sa.key + k->cipher_len, k->auth, k->auth_len);
		send_add(ch, half, &sa);
		cv_secret_zero(&sa, sizeof(sa));
	}
	return 0;
}

void child_adopt_manual(struct child_table *t, const struct ike_child_params *p)
{
	struct child *ch = manual_new(t, p);

	if (ch)
		ch->halves = CHILD_IN | CHILD_OUT; /* what of them is really there, the dump says */
}

/* ---- for child_sync.c ---- */

struct control *child_table_owner(const struct child_table *t)
{
	return t->c;
}

void child_adopt(struct child_table *t, uint32_t id, uint32_t index_in, const struct ike_child_params *p)
{
	struct child *ch;

	if (id >= PAIRS || index_in != 2 * id || t->child[id] || !(ch = child_from_params(t->c, id, p)))
		return;
	t->state[id] = PAIR_USED;
	t->child[id] = ch;
	t->n_held++;
	ch->halves = CHILD_IN | CHILD_OUT; /* what of them is really there, the dump says */
	session_adopt(t->c->sessions, ch);
}

void child_linger_check(struct child_table *t, struct child *ch)
{
	if (ch->halves || ch->pending)
		return;
	if (ch->linger_until_ms)
		TAILQ_REMOVE(&t->linger, ch, link);
	ch->linger_until_ms = 0;
	child_put(t, ch);
}
