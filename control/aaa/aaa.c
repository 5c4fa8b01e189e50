/* SPDX-License-Identifier: BSD-3-Clause */
#include "aaa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "cv_log.h"
#include "cv_secret.h"
#include "ikecrypto.h"

struct question {
	uint64_t number; /* 0 = free */
	unsigned server[CFG_AAA_GROUP_MAX], n_server, at;
	unsigned left;	/* repeats */
	bool desperate; /* all servers were dead: each gets its chance */
	uint8_t id;
	uint8_t auth[RADIUS_AUTH_LEN];
	uint64_t due_ms;
	/* copies: the caller does not wait */
	struct radius_query q;
	char user[RADIUS_TEXT_MAX + 1];
	uint8_t password[RADIUS_PASSWORD_MAX];
	uint8_t msg[RADIUS_MSG_MAX];
	size_t len;
	aaa_done *done;
	void *arg;
};

struct server {
	uint64_t dead_until_ms; /* 0 = alive */
	uint8_t next_id;
	uint64_t requests, repeats, accepts, rejects, timeouts, bad;
	uint64_t rtt_ms; /* of the last answer */
};

struct aaa {
	struct aaa_ops ops;
	void *ctx;
	struct cv_config *cfg; /* one reference; NULL before the first */
	struct server *server; /* one for each of cfg->radius_server */
	struct question *asked[AAA_ASKED_MAX];
	unsigned n_asked;
	uint64_t last_number;
};

struct aaa *aaa_new(const struct aaa_ops *ops, void *ctx)
{
	struct aaa *a = calloc(1, sizeof(*a));
	if (a) {
		a->ops = *ops;
		a->ctx = ctx;
	}
	return a;
}

static void forget(struct aaa *a, struct question **slot)
{
	cv_secret_zero(*slot, sizeof(**slot));
	free(*slot);
	*slot = NULL;
	a->n_asked--;
}

void aaa_free(struct aaa *a)
{
	if (!a)
		return;
	for (unsigned i = 0; i < AAA_ASKED_MAX; i++)
		if (a->asked[i])
			forget(a, &a->asked[i]);
	config_unref(a->cfg);
	free(a->server);
	free(a);
}

static uint64_t now(const struct aaa *a)
{
	return a->ops.now_ms(a->ctx);
}

static const struct cfg_radius_server *conf(const struct aaa *a, unsigned i)
{
	return &a->cfg->radius_server[i];
}

static struct question **find(struct aaa *a, uint64_t number)
{
	for (unsigned i = 0; number && i < AAA_ASKED_MAX; i++)
		if (a->asked[i] && a->asked[i]->number == number)
			return &a->asked[i];
	return NULL;
}

/* Tell the one who asked. Its slot is free by then: it may ask again. */
static void end(struct aaa *a, struct question **slot, enum aaa_verdict verdict, const struct radius_answer *answer)
{
	aaa_done *done = (*slot)->done;
	void *arg = (*slot)->arg;
	forget(a, slot);
	done(arg, verdict, answer);
}

/* ---- sending ---- */

static bool dead(const struct aaa *a, unsigned server)
{
	return a->server[server].dead_until_ms > now(a);
}

static bool id_taken(const struct aaa *a, unsigned server, uint8_t id)
{
	for (unsigned i = 0; i < AAA_ASKED_MAX; i++)
		if (a->asked[i] && a->asked[i]->len && a->asked[i]->id == id &&
			a->asked[i]->server[a->asked[i]->at] == server)
			return true;
	return false;
}

static void transmit(struct aaa *a, struct question *q)
{
	unsigned server = q->server[q->at];
	a->ops.send(a->ctx, server, q->msg, q->len);
	q->due_ms = now(a) + conf(a, server)->timeout_s * 1000u;
}

/* Begin with the server whose turn it is; false when it cannot be asked. */
static bool begin(struct aaa *a, struct question *q)
{
	unsigned server = q->server[q->at], tries = 0;
	const struct cfg_radius_server *c = conf(a, server);
	struct server *s = &a->server[server];
	q->len = 0;
	if (!c->key.p)
		return false; /* sealed with a foreign master key (T6KEY-13) */
	do {
		q->id = s->next_id++;
	} while (id_taken(a, server, q->id) && ++tries < 256);
	ikec_random(q->auth, sizeof(q->auth));
	q->len = tries < 256 ? radius_request(&q->q, q->id, q->auth, c->key.p, c->key.len, q->msg) : 0;
	if (!q->len)
		return false;
	q->left = c->retransmit;
	s->requests++;
	transmit(a, q);
	return true;
}

/* The next server that may be asked, from q->at on. */
static bool begin_next(struct aaa *a, struct question *q)
{
	for (; q->at < q->n_server; q->at++)
		if ((q->desperate || !dead(a, q->server[q->at])) && begin(a, q))
			return true;
	return false;
}

uint64_t aaa_ask(
	struct aaa *a, const struct cfg_aaa_group *g, const struct radius_query *query, aaa_done *done, void *arg)
{
	size_t name = strlen(query->user);
	unsigned slot = 0;
	while (slot < AAA_ASKED_MAX && a->asked[slot])
		slot++;
	if (slot == AAA_ASKED_MAX || !name || name > RADIUS_TEXT_MAX || query->password_len > RADIUS_PASSWORD_MAX)
		return 0;
	struct question *q = calloc(1, sizeof(*q));
	if (!q)
		return 0;
	q->q = *query;
	memcpy(q->user, query->user, name);
	memcpy(q->password, query->password, query->password_len);
	q->q.user = q->user;
	q->q.password = q->password;
	q->q.nas_id = a->cfg->hostname;
	q->done = done;
	q->arg = arg;
	q->desperate = true;
	for (; q->n_server < g->n_server; q->n_server++) {
		q->server[q->n_server] = g->server_index[q->n_server];
		q->desperate &= dead(a, g->server_index[q->n_server]);
	}
	a->asked[slot] = q;
	a->n_asked++;
	if (!begin_next(a, q)) {
		forget(a, &a->asked[slot]);
		return 0;
	}
	q->number = ++a->last_number;
	return q->number;
}

void aaa_cancel(struct aaa *a, uint64_t number)
{
	struct question **slot = find(a, number);
	if (slot)
		forget(a, slot);
}

/* ---- answers and silence ---- */

void aaa_input(struct aaa *a, unsigned server, const uint8_t *data, size_t len)
{
	struct radius_answer answer;
	if (!a->cfg || server >= a->cfg->n_radius_server || len < 2)
		return;
	struct server *s = &a->server[server];
	const struct cfg_radius_server *c = conf(a, server);
	for (unsigned i = 0; i < AAA_ASKED_MAX; i++) {
		struct question *q = a->asked[i];
		if (!q || q->server[q->at] != server || q->id != data[1])
			continue;
		if (radius_answer_read(
			    data, len, q->id, q->auth, c->key.p, c->key.len, c->need_message_authenticator, &answer))
			break;
		s->dead_until_ms = 0;
		s->rtt_ms = now(a) - (q->due_ms - c->timeout_s * 1000u);
		*(answer.accepted ? &s->accepts : &s->rejects) += 1;
		end(a, &a->asked[i], answer.accepted ? AAA_ACCEPT : AAA_REJECT, &answer);
		radius_answer_zero(&answer);
		return;
	}
	s->bad++; /* late, foreign or forged: the right one may still come */
}

static void silent(struct aaa *a, struct question **slot)
{
	struct question *q = *slot;
	unsigned server = q->server[q->at];
	struct server *s = &a->server[server];
	char text[CV_ADDR_STR];
	if (q->left) {
		q->left--;
		s->repeats++;
		transmit(a, q);
		return;
	}
	s->timeouts++;
	if (a->cfg->aaa_dead_s && !dead(a, server)) {
		cv_warn("aaa", "%%RADIUS-4-RADIUS_DEAD: server %s (%s) does not answer: not asked for %u seconds",
			conf(a, server)->name, cv_addr_str(&conf(a, server)->addr, text), a->cfg->aaa_dead_s);
		s->dead_until_ms = now(a) + a->cfg->aaa_dead_s * 1000u;
	}
	q->at++;
	if (!begin_next(a, q))
		end(a, slot, AAA_NO_ANSWER, NULL);
}

uint64_t aaa_run(struct aaa *a)
{
	uint64_t wait = UINT64_MAX, t = now(a);
	for (unsigned i = 0; a->n_asked && i < AAA_ASKED_MAX; i++) {
		if (a->asked[i] && a->asked[i]->due_ms <= t)
			silent(a, &a->asked[i]);
		if (a->asked[i] && a->asked[i]->due_ms - t < wait)
			wait = a->asked[i]->due_ms - t;
	}
	return wait;
}

/* ---- configuration ---- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_server(const struct cfg_radius_server *a, const struct cfg_radius_server *b)
{
	return same_text(a->name, b->name) && cv_addr_eq(&a->addr, &b->addr) && a->port == b->port &&
	       cv_addr_eq(&a->source, &b->source) && same_text(a->interface, b->interface) &&
	       a->key.len == b->key.len && (!a->key.len || cv_secret_cmp(a->key.p, b->key.p, a->key.len) == 0) &&
	       a->timeout_s == b->timeout_s && a->retransmit == b->retransmit &&
	       a->need_message_authenticator == b->need_message_authenticator;
}

static bool same_servers(const struct cv_config *a, const struct cv_config *b)
{
	if (!a || a->n_radius_server != b->n_radius_server)
		return false;
	for (unsigned i = 0; i < a->n_radius_server; i++)
		if (!same_server(&a->radius_server[i], &b->radius_server[i]))
			return false;
	return true;
}

bool aaa_set_config(struct aaa *a, struct cv_config *cfg)
{
	bool same = same_servers(a->cfg, cfg);
	for (unsigned i = 0; !same && i < AAA_ASKED_MAX; i++)
		if (a->asked[i])
			end(a, &a->asked[i], AAA_NO_ANSWER, NULL);
	if (!same) {
		free(a->server);
		a->server = calloc(cfg->n_radius_server ? cfg->n_radius_server : 1, sizeof(*a->server));
		if (!a->server)
			abort(); /* as everywhere that a configuration is switched */
	}
	config_ref(cfg);
	config_unref(a->cfg);
	a->cfg = cfg;
	return !same;
}

/* ---- show ---- */

static json_t *one(const struct aaa *a, unsigned i)
{
	const struct cfg_radius_server *c = conf(a, i);
	const struct server *s = &a->server[i];
	char addr[CV_ADDR_STR];
	unsigned open = 0;
	for (unsigned k = 0; k < AAA_ASKED_MAX; k++)
		open += a->asked[k] && a->asked[k]->server[a->asked[k]->at] == i;
	return json_pack("{s:s, s:s, s:i, s:s, s:I, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", c->name,
		"address", cv_addr_str(&c->addr, addr), "port", c->port, "state", dead(a, i) ? "dead" : "up",
		"dead_for_s", (json_int_t)(dead(a, i) ? (s->dead_until_ms - now(a) + 999) / 1000 : 0), "timeout_s",
		c->timeout_s, "retransmit", c->retransmit, "open", open, "requests", (json_int_t)s->requests, "repeats",
		(json_int_t)s->repeats, "accepts", (json_int_t)s->accepts, "rejects", (json_int_t)s->rejects,
		"timeouts", (json_int_t)s->timeouts, "bad_answers", (json_int_t)s->bad, "response_ms",
		(json_int_t)s->rtt_ms);
}

json_t *aaa_show(const struct aaa *a)
{
	json_t *list = json_array();
	for (unsigned i = 0; a->cfg && i < a->cfg->n_radius_server; i++)
		json_array_append_new(list, one(a, i));
	return list;
}
