/* SPDX-License-Identifier: BSD-3-Clause */
#include "fakedp.h"

#include <assert.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OBJ_MAX 512

struct obj {
	uint16_t type; /* of its SET command */
	uint16_t len, key;
	bool named;
	_Alignas(8) uint8_t body[1024];
};

struct fakedp {
	char path[108];
	pthread_t thread;
	pthread_mutex_t lock;
	bool stop, cut, mute, hold;
	bool holding; /* held is a commit that waits */
	struct cv_msg held;
	uint64_t no_encr, no_integ; /* what the crypto engine cannot do */
	struct cv_chan_server *srv;
	struct cv_chan *ch;
	struct fakedp *peer;
	uint64_t instance;
	struct obj obj[OBJ_MAX];
	unsigned n_obj;
	struct cv_msg staged[OBJ_MAX];
	unsigned n_staged;
	bool in_txn, sync, poisoned;
	unsigned fail_at, vanish_at;
	struct fakedp_state st;
	char last[4096];
	struct cv_pkt pkt, to_peer[32]; /* waiting to be punted by us */
	unsigned n_to_peer;
	struct cv_msg events[8];
	unsigned n_events;
};

static const struct kind {
	uint16_t set, del, key;
	const char *name;
} kinds[] = {
	{CV_CMD_PLATFORM_SET, 0, 0, "platform"}, {CV_CMD_VRF_SET, CV_CMD_VRF_DEL, 4, "vrf"},
	{CV_CMD_PORT_ATTACH, CV_CMD_PORT_DETACH, 4, "port"}, {CV_CMD_IF_SET, CV_CMD_IF_DEL, 4, "if"},
	{CV_CMD_IF_ADDR_ADD, CV_CMD_IF_ADDR_DEL, sizeof(struct cv_if_addr), "addr"},
	{CV_CMD_TUNNEL_HOP_SET, CV_CMD_TUNNEL_HOP_DEL, sizeof(struct cv_tunnel_hop_ref), "hop"},
	{CV_CMD_ROUTE_SET, CV_CMD_ROUTE_DEL, sizeof(struct cv_route_ref), "route"},
	{CV_CMD_MROUTE_SET, CV_CMD_MROUTE_DEL, sizeof(struct cv_mroute_ref), "mroute"},
	{CV_CMD_SPD_SET, CV_CMD_SPD_DEL, 4, "spd"},
	{CV_CMD_SPD_RULE_SET, CV_CMD_SPD_RULE_DEL, sizeof(struct cv_spd_rule_ref), "rule"},
	{CV_CMD_QOS_CLASS_SET, CV_CMD_QOS_CLASS_DEL, sizeof(struct cv_qos_class_ref), "class"},
	{CV_CMD_QOS_RULE_SET, CV_CMD_QOS_RULE_DEL, sizeof(struct cv_qos_rule_ref), "qos-rule"},
	{CV_CMD_QOS_ATTACH_SET, CV_CMD_QOS_ATTACH_DEL, 4, "policy"},
	{CV_CMD_SA_ADD, CV_CMD_SA_DEL, 8, "sa"}, /* index and SPI */
};

static const struct kind *kind_of(uint16_t type, bool *del)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].set == type || kinds[i].del == type) {
			*del = kinds[i].del == type;
			return &kinds[i];
		}
	return NULL;
}

static struct obj *find(struct fakedp *f, uint16_t set, const void *key, size_t len)
{
	for (unsigned i = 0; i < f->n_obj; i++)
		if (f->obj[i].type == set && !memcmp(f->obj[i].body, key, len))
			return &f->obj[i];
	return NULL;
}

static void drop(struct fakedp *f, struct obj *o)
{
	*o = f->obj[--f->n_obj];
}

static void update_sa(struct cv_sa *sa, const struct cv_sa_update *u)
{
	const uint32_t change = CV_SA_F_UDP_ENCAP | CV_SA_F_EGRESS;

	sa->src = u->src;
	sa->dst = u->dst;
	sa->udp_src = u->udp_src;
	sa->udp_dst = u->udp_dst;
	sa->flags = (sa->flags & ~change) | (u->flags & change);
}

/* 0 or enum cv_err. check: only say whether it would do. */
static uint32_t execute(struct fakedp *f, const struct cv_msg *m, bool check)
{
	size_t len = m->h.len - sizeof(m->h);
	bool del;
	const struct kind *k = kind_of(m->h.type, &del);
	struct obj *o;

	if (m->h.type == CV_CMD_SA_KEEP || m->h.type == CV_CMD_SA_UPDATE) {
		o = find(f, CV_CMD_SA_ADD, m->body, 8);
		if (o && !check && m->h.type == CV_CMD_SA_KEEP) {
			o->named = true;
			f->st.kept++;
		}
		if (o && !check && m->h.type == CV_CMD_SA_UPDATE)
			update_sa((struct cv_sa *)o->body, (const struct cv_sa_update *)m->body);
		return o ? 0 : CV_ERR_NOT_FOUND;
	}
	if (!k || len < k->key)
		return CV_ERR_MALFORMED;
	o = find(f, k->set, m->body, k->key);
	if (del && !o)
		return CV_ERR_NOT_FOUND;
	if (check)
		return 0;
	if (del) {
		drop(f, o);
		f->st.changed++;
		return 0;
	}
	if (o && !memcmp(o->body, m->body, len)) {
		o->named = true;
		f->st.unchanged++;
		return 0;
	}
	f->st.changed++;
	if (!o)
		o = &f->obj[f->n_obj++];
	*o = (struct obj){.type = k->set, .len = (uint16_t)len, .key = k->key, .named = true};
	memcpy(o->body, m->body, len);
	return 0;
}

static void note(struct fakedp *f, const struct cv_msg *m)
{
	size_t len = strlen(f->last);
	bool del = false;
	const struct kind *k = kind_of(m->h.type, &del);

	snprintf(f->last + len, sizeof(f->last) - len, "%s%s ", del ? "-" : "",
		k			      ? k->name
		: m->h.type == CV_CMD_SA_KEEP ? "keep"
					      : "?");
}

static uint32_t commit(struct fakedp *f)
{
	f->in_txn = false;
	if (f->poisoned)
		return CV_ERR_STATE;
	f->st.commits++;
	f->st.syncs += f->sync;
	f->st.changed = f->st.unchanged = f->st.kept = 0;
	f->last[0] = '\0';
	for (unsigned i = 0; i < f->n_obj; i++)
		f->obj[i].named = !f->sync;
	for (unsigned i = 0; i < f->n_staged; i++) {
		execute(f, &f->staged[i], false);
		note(f, &f->staged[i]);
	}
	for (unsigned i = 0; i < f->n_obj;) {
		if (f->obj[i].named) {
			i++;
			continue;
		}
		drop(f, &f->obj[i]);
		f->st.changed++;
	}
	return 0;
}

/* false: the answer is that we are gone. */
static bool handle(struct fakedp *f, const struct cv_msg *m, struct cv_reply *r)
{
	struct cv_hello_info info = {.instance = f->instance,
		.max_workers = 2,
		.encr_caps = ~f->no_encr,
		.integ_caps = ~f->no_integ,
		.ipsec_caps = UINT32_MAX,
		.version = "fake",
		.provider = "none"};

	switch (m->h.type) {
	case CV_CMD_HELLO:
		memcpy(r->data, &info, sizeof(info));
		r->data_len = sizeof(info);
		return true;
	case CV_CMD_TXN_BEGIN:
		r->err = f->in_txn ? CV_ERR_STATE : 0;
		f->in_txn = true;
		f->poisoned = false;
		f->sync = ((const struct cv_cmd_txn *)(const void *)m->body)->flags & CV_TXN_SYNC;
		f->n_staged = 0;
		return true;
	case CV_CMD_TXN_COMMIT:
		r->err = f->in_txn ? commit(f) : CV_ERR_STATE;
		return true;
	case CV_CMD_TXN_ABORT:
		f->in_txn = false;
		f->st.aborts++;
		return true;
	case CV_CMD_DUMP: {
		const struct cv_cmd_dump *d = (const void *)m->body;
		struct cv_dump_reply *p = (void *)r->data;
		unsigned i = (unsigned)d->cursor, max = 8;

		r->data_len = offsetof(struct cv_dump_reply, entries);
		p->entry_size = sizeof(struct cv_sa_entry);
		for (; d->kind == CV_DUMP_SA && i < f->n_obj && p->n < max; i++) {
			const struct cv_sa *sa = (const void *)f->obj[i].body;
			struct cv_sa_entry e = {.ref = {sa->index, sa->spi}, .dir = sa->dir, .rule_id = sa->rule_id};

			if (f->obj[i].type != CV_CMD_SA_ADD)
				continue;
			memcpy(p->entries + p->n++ * sizeof(e), &e, sizeof(e));
		}
		p->next = d->kind == CV_DUMP_SA && i < f->n_obj ? i : 0;
		r->data_len += p->n * p->entry_size;
		return true;
	}
	case CV_CMD_HOLD_DROP:
		return true;
	case CV_CMD_PROFILE: {
		struct cv_stats_segment *seg = cv_chan_server_stats(f->srv);
		const bool on = ((const struct cv_cmd_profile *)m->body)->on != 0;

		seg->profile_number += on;
		seg->profile_end = on ? 0 : seg->profile_begin + 2500;
		return true;
	}
	default:
		break;
	}
	if (!f->in_txn) {
		r->err = execute(f, m, false);
		return true;
	}
	if (f->vanish_at && --f->vanish_at == 0)
		return false;
	if (f->fail_at && --f->fail_at == 0)
		r->err = CV_ERR_INJECTED;
	else
		r->err = m->h.type == CV_CMD_SA_DEL || m->h.type == CV_CMD_SA_KEEP ? execute(f, m, true) : 0;
	f->poisoned |= r->err != 0;
	if (f->n_staged < OBJ_MAX)
		f->staged[f->n_staged++] = *m;
	return true;
}

static void close_server(struct fakedp *f)
{
	if (f->srv)
		cv_chan_server_close(f->srv);
	f->srv = NULL;
	f->ch = NULL;
	f->in_txn = f->holding = false;
}

/* A commit that is held back keeps everything behind it waiting. */
static bool next_command(struct fakedp *f, struct cv_msg *m)
{
	if (!f->holding && cv_chan_recv(f->ch, &f->held) <= 0)
		return false;
	f->holding = f->hold && f->held.h.type == CV_CMD_TXN_COMMIT;
	*m = f->held;
	return !f->holding;
}

static bool serve(struct fakedp *f)
{
	struct cv_msg m, out;
	bool busy = false;
	int changed = 0;

	f->ch = cv_chan_server_poll(f->srv, &changed);
	if (changed)
		f->in_txn = f->holding = false;
	while (f->ch && next_command(f, &m)) {
		struct cv_reply *r = (void *)out.body;

		memset(&out, 0, sizeof(out));
		busy = true;
		r->cmd = m.h.type;
		if (!handle(f, &m, r)) {
			close_server(f);
			return true;
		}
		if (f->mute && m.h.type == CV_CMD_SA_ADD &&
			((const struct cv_sa *)(const void *)m.body)->dir == CV_SA_OUT)
			continue;
		out.h.type = CV_REPLY;
		out.h.seq = m.h.seq;
		out.h.len = (uint32_t)(sizeof(out.h) + offsetof(struct cv_reply, data) + r->data_len);
		if (r->err)
			snprintf(r->text, sizeof(r->text), "fake refusal");
		cv_chan_send(f->ch, &out);
	}
	while (f->ch && cv_chan_recv_pkt(f->ch, &f->pkt) > 0) {
		busy = true;
		if (f->peer && !f->cut && f->peer->n_to_peer < 32)
			f->peer->to_peer[f->peer->n_to_peer++] = f->pkt;
	}
	for (unsigned i = 0; f->ch && i < f->n_to_peer; i++) {
		f->to_peer[i].vrf_id = 0;
		cv_chan_send_pkt(f->ch, &f->to_peer[i]);
		busy = true;
	}
	f->n_to_peer = 0;
	for (unsigned i = 0; f->ch && i < f->n_events; i++) {
		cv_chan_send(f->ch, &f->events[i]);
		busy = true;
	}
	if (f->ch)
		f->n_events = 0;
	if (busy)
		cv_chan_server_kick(f->srv);
	return busy;
}

/* Two connected ones hand packets to each other, so both threads take this lock. */
static pthread_mutex_t wire = PTHREAD_MUTEX_INITIALIZER;

static void *run(void *arg)
{
	struct fakedp *f = arg;

	for (;;) {
		bool busy = false, stop;

		pthread_mutex_lock(&wire);
		pthread_mutex_lock(&f->lock);
		stop = f->stop;
		if (f->srv && !stop)
			busy = serve(f);
		pthread_mutex_unlock(&f->lock);
		pthread_mutex_unlock(&wire);
		if (stop)
			return NULL;
		if (!busy)
			usleep(300);
	}
}

static void open_server(struct fakedp *f)
{
	unlink(f->path);
	f->srv = cv_chan_server_open(f->path, NULL);
	if (!f->srv)
		abort();
	cv_chan_server_stats(f->srv)->instance = f->instance;
	cv_chan_server_stats(f->srv)->n_workers = 2;
}

struct fakedp *fakedp_new(const char *path)
{
	static uint64_t next = 1000;
	struct fakedp *f = calloc(1, sizeof(*f));

	snprintf(f->path, sizeof(f->path), "%s", path);
	f->instance = next += 1000;
	pthread_mutex_init(&f->lock, NULL);
	open_server(f);
	pthread_create(&f->thread, NULL, run, f);
	return f;
}

void fakedp_free(struct fakedp *f)
{
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	pthread_mutex_lock(&wire);
	if (f->peer)
		f->peer->peer = NULL;
	pthread_mutex_unlock(&wire);
	close_server(f);
	unlink(f->path);
	free(f);
}

void fakedp_connect(struct fakedp *a, struct fakedp *b)
{
	pthread_mutex_lock(&wire);
	a->peer = b;
	b->peer = a;
	pthread_mutex_unlock(&wire);
}

#define LOCKED(f, code)                                                                                                \
	do {                                                                                                           \
		pthread_mutex_lock(&(f)->lock);                                                                        \
		code;                                                                                                  \
		pthread_mutex_unlock(&(f)->lock);                                                                      \
	} while (0)

void fakedp_down(struct fakedp *f)
{
	LOCKED(f, close_server(f));
}

void fakedp_up(struct fakedp *f, bool lose)
{
	LOCKED(f, {
		if (lose) {
			f->instance++;
			f->n_obj = 0;
		}
		open_server(f);
	});
}

void fakedp_fail_at(struct fakedp *f, unsigned n)
{
	LOCKED(f, f->fail_at = n);
}

void fakedp_vanish_at(struct fakedp *f, unsigned n)
{
	LOCKED(f, f->vanish_at = n);
}

void fakedp_engine(struct fakedp *f, uint64_t encr, uint64_t integ)
{
	LOCKED(f, (f->no_encr = ~encr, f->no_integ = ~integ));
}

void fakedp_hold_commit(struct fakedp *f, bool hold)
{
	LOCKED(f, f->hold = hold);
}

bool fakedp_holds(struct fakedp *f)
{
	bool holds;

	LOCKED(f, holds = f->holding);
	return holds;
}

void fakedp_mute(struct fakedp *f, bool mute)
{
	LOCKED(f, f->mute = mute);
}

void fakedp_cut(struct fakedp *f, bool cut)
{
	LOCKED(f, f->cut = cut);
}

void fakedp_event(struct fakedp *f, enum cv_msg_type type, const void *body, size_t len)
{
	LOCKED(f, {
		assert(f->n_events < sizeof(f->events) / sizeof(f->events[0])); /* the loop must turn in between */
		struct cv_msg *m = &f->events[f->n_events++];

		m->h.type = (uint16_t)type;
		m->h.len = (uint32_t)(sizeof(m->h) + len);
		memcpy(m->body, body, len);
	});
}

static unsigned count(const struct fakedp *f, uint16_t set)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->n_obj; i++)
		n += f->obj[i].type == set;
	return n;
}

void fakedp_state(struct fakedp *f, struct fakedp_state *out)
{
	LOCKED(f, {
		f->st.vrfs = count(f, CV_CMD_VRF_SET);
		f->st.ports = count(f, CV_CMD_PORT_ATTACH);
		f->st.ifs = count(f, CV_CMD_IF_SET);
		f->st.addrs = count(f, CV_CMD_IF_ADDR_ADD);
		f->st.routes = count(f, CV_CMD_ROUTE_SET);
		f->st.spds = count(f, CV_CMD_SPD_SET);
		f->st.rules = count(f, CV_CMD_SPD_RULE_SET);
		f->st.sas = count(f, CV_CMD_SA_ADD);
		*out = f->st;
	});
}

/* Order does not count. */
uint64_t fakedp_digest(struct fakedp *f)
{
	uint64_t sum = 0;

	LOCKED(f, {
		for (unsigned i = 0; i < f->n_obj; i++) {
			uint64_t h = 14695981039346656037u ^ f->obj[i].type;

			for (unsigned j = 0; j < f->obj[i].len; j++)
				h = (h ^ f->obj[i].body[j]) * 1099511628211u;
			sum += h;
		}
	});
	return sum;
}

bool fakedp_sa(struct fakedp *f, enum cv_sa_dir dir, unsigned n, struct cv_sa *out)
{
	bool found = false;
	uint32_t after = 0;

	pthread_mutex_lock(&f->lock);
	for (unsigned pick = 0; pick <= n; pick++) {
		const struct cv_sa *best = NULL;

		for (unsigned i = 0; i < f->n_obj; i++) {
			const struct cv_sa *sa = (const void *)f->obj[i].body;

			if (f->obj[i].type == CV_CMD_SA_ADD && sa->dir == dir && sa->index > after &&
				(!best || sa->index < best->index))
				best = sa;
		}
		found = best != NULL;
		if (!best)
			break;
		*out = *best;
		after = best->index;
	}
	pthread_mutex_unlock(&f->lock);
	return found;
}

/* The first object of this type that fits, by its body and what is wanted; *out is as large as the body. */
static bool first_that(struct fakedp *f, enum cv_msg_type type, bool (*fits)(const void *body, uint32_t *wanted),
	uint32_t wanted, void *out, size_t size)
{
	bool found = false;

	LOCKED(f, {
		for (unsigned i = 0; !found && i < f->n_obj; i++) {
			found = f->obj[i].type == type && fits(f->obj[i].body, &wanted);
			if (found)
				memcpy(out, f->obj[i].body, size);
		}
	});
	return found;
}

static bool is_nth_protect(const void *body, uint32_t *n)
{
	return ((const struct cv_spd_rule *)body)->action == CV_SPD_PROTECT && (*n)-- == 0;
}

static bool is_rule(const void *body, uint32_t *rule_id)
{
	return ((const struct cv_spd_rule *)body)->rule_id == *rule_id;
}

static bool is_if(const void *body, uint32_t *if_id)
{
	return ((const struct cv_if *)body)->if_id == *if_id;
}

static bool is_route_by(const void *body, uint32_t *if_id)
{
	const struct cv_route *r = body;

	return r->n_nh && r->nh[0].if_id == *if_id;
}

bool fakedp_rule(struct fakedp *f, unsigned n, struct cv_spd_rule *out)
{
	return first_that(f, CV_CMD_SPD_RULE_SET, is_nth_protect, n, out, sizeof(*out));
}

bool fakedp_rule_by_id(struct fakedp *f, uint32_t rule_id, struct cv_spd_rule *out)
{
	return first_that(f, CV_CMD_SPD_RULE_SET, is_rule, rule_id, out, sizeof(*out));
}

bool fakedp_if_by_id(struct fakedp *f, uint32_t if_id, struct cv_if *out)
{
	return first_that(f, CV_CMD_IF_SET, is_if, if_id, out, sizeof(*out));
}

bool fakedp_route_by(struct fakedp *f, uint32_t if_id, struct cv_route *out)
{
	return first_that(f, CV_CMD_ROUTE_SET, is_route_by, if_id, out, sizeof(*out));
}

static bool is_policy_on(const void *body, uint32_t *if_id)
{
	return ((const struct cv_qos_attach *)body)->if_id == *if_id;
}

bool fakedp_policy_on(struct fakedp *f, uint32_t if_id, struct cv_qos_attach *out)
{
	return first_that(f, CV_CMD_QOS_ATTACH_SET, is_policy_on, if_id, out, sizeof(*out));
}

void fakedp_last(struct fakedp *f, char *buf, size_t size)
{
	LOCKED(f, snprintf(buf, size, "%s", f->last));
}

struct cv_stats_segment *fakedp_stats(struct fakedp *f)
{
	return cv_chan_server_stats(f->srv);
}
