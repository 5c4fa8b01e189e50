/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"

#define BUCKETS 4096u
#define LOG_BURST 200u /* MON-29: lines at once ... */
#define LOG_PER_S 50u  /* ... and lines per second after that; the rest is counted and summed up */
#define ID_MAX 127     /* bytes of an identity that are logged */
#define AUDIT_MS 1000

/* MON-4. The ports tell peers behind one NAT apart. */
struct session_key {
	uint32_t fvrf, ivrf;
	struct cv_addr local, remote;
	uint16_t lport, rport;
};

struct session {
	LIST_ENTRY(session) link;
	TAILQ_ENTRY(session) dirty_link;
	struct session_key key;
	const struct ike_sa *sa; /* newest; an identity only, never followed */
	unsigned n_ike, n_child;
	bool up, dirty; /* up: as the log last said */
	bool doubt;	/* is there really an IKE SA left? */
	char *id;	/* NULL = not known */
	const char *reason;
};

struct session_table {
	struct control *c;
	LIST_HEAD(, session) bucket[BUCKETS];
	TAILQ_HEAD(, session) dirty;
	json_t *failure;      /* "map|seq|peer" -> [reason, at_ms] */
	uint64_t audit_at_ms; /* 0 = no session is in doubt */
	uint64_t refill_ms;
	unsigned tokens, suppressed;
};

struct session_table *session_table_new(struct control *c)
{
	struct session_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->c = c;
	t->failure = json_object();
	t->tokens = LOG_BURST;
	TAILQ_INIT(&t->dirty);
	for (unsigned i = 0; i < BUCKETS; i++)
		LIST_INIT(&t->bucket[i]);
	return t;
}

static void session_free(struct session *s)
{
	free(s->id);
	free(s);
}

void session_table_free(struct session_table *t)
{
	struct session *s;

	if (!t)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		while ((s = LIST_FIRST(&t->bucket[i]))) {
			LIST_REMOVE(s, link);
			session_free(s);
		}
	json_decref(t->failure);
	free(t);
}

/* ---- the table ---- */

static void key_of(struct session_key *k, const struct ike_path *p, uint32_t ivrf)
{
	memset(k, 0, sizeof(*k)); /* compared as bytes */
	k->fvrf = p->vrf;
	k->ivrf = ivrf;
	k->local = p->local;
	k->remote = p->remote;
	k->lport = p->lport;
	k->rport = p->rport;
}

static unsigned bucket_of(const struct session_key *k)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < sizeof(*k); i++)
		h = (h ^ ((const uint8_t *)k)[i]) * 16777619u;
	return h % BUCKETS;
}

static struct session *find(struct session_table *t, const struct session_key *k)
{
	struct session *s;

	LIST_FOREACH(s, &t->bucket[bucket_of(k)], link)
	if (!memcmp(&s->key, k, sizeof(*k)))
		return s;
	return NULL;
}

static struct session *find_or_new(struct session_table *t, const struct session_key *k)
{
	struct session *s = find(t, k);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->key = *k;
	LIST_INSERT_HEAD(&t->bucket[bucket_of(k)], s, link);
	return s;
}

static struct session *find_by_sa(struct session_table *t, const struct ike_sa *sa)
{
	struct session *s;

	for (unsigned i = 0; sa && i < BUCKETS; i++)
		LIST_FOREACH(s, &t->bucket[i], link)
	if (s->sa == sa)
		return s;
	return NULL;
}

static void mark(struct session_table *t, struct session *s)
{
	if (s->dirty)
		return;
	s->dirty = true;
	TAILQ_INSERT_TAIL(&t->dirty, s, dirty_link);
}

/*
 * The count of IKE SAs can be one too high: an SA that lost a race, or that was deleted while its children live on
 * (RFC 2408 4.3), ends without an event. So when the count alone says "up", ask the engine.
 */
static void doubt(struct session_table *t, struct session *s)
{
	if (!s->n_ike || s->doubt)
		return;
	s->doubt = true;
	if (!t->audit_at_ms)
		t->audit_at_ms = host_now_ms(t->c) + AUDIT_MS;
}

/* ---- failures ---- */

static void failure_key(char buf[static 256], const struct cfg_map_entry *e, const struct cv_addr *peer)
{
	char text[CV_ADDR_STR];

	snprintf(buf, 256, "%.128s|%u|%s", e->map->name, e->seq, cv_addr_str(peer, text));
}

const char *session_last_failure(
	const struct session_table *t, const struct cfg_map_entry *e, const struct cv_addr *peer, uint64_t *at_ms)
{
	const json_t *f;
	char key[256];

	if (!json_object_size(t->failure))
		return NULL;
	failure_key(key, e, peer);
	f = json_object_get(t->failure, key);
	if (!f)
		return NULL;
	*at_ms = (uint64_t)json_integer_value(json_array_get(f, 1));
	return json_string_value(json_array_get(f, 0));
}

static bool entry_has_peer(const struct cfg_map_entry *e, const struct cv_addr *peer)
{
	for (unsigned i = 0; i < e->n_peer; i++)
		if (cv_addr_eq(&e->peer[i], peer))
			return true;
	return false;
}

static bool may_log(struct session_table *t)
{
	uint64_t now = host_now_ms(t->c), add = (now - t->refill_ms) * LOG_PER_S / 1000;

	if (add) {
		t->tokens = add + t->tokens > LOG_BURST ? LOG_BURST : t->tokens + (unsigned)add;
		t->refill_ms = now;
	}
	if (!t->tokens) {
		t->suppressed++;
		return false;
	}
	t->tokens--;
	if (t->suppressed)
		cv_notice("session", "%%CRYPTO-5-SESSION_STATUS: %u messages were suppressed", t->suppressed);
	t->suppressed = 0;
	return true;
}

static void note_failure(struct session_table *t, const struct ike_event *ev)
{
	char key[256], text[CV_ADDR_STR];

	if (ev->entry && ev->path && entry_has_peer(ev->entry, &ev->path->remote)) {
		failure_key(key, ev->entry, &ev->path->remote);
		json_object_set_new(t->failure, key,
			json_pack("[sI]", ev->reason ? ev->reason : "unknown", (json_int_t)host_now_ms(t->c)));
	}
	if (may_log(t))
		cv_warn("session", "%%CRYPTO-4-IKE_FAILED: peer %s%s%s: %s",
			ev->path ? cv_addr_str(&ev->path->remote, text) : "unknown", ev->entry ? " crypto map " : "",
			ev->entry ? ev->entry->map->name : "", ev->reason ? ev->reason : "unknown");
}

static void forget_failure(struct session_table *t, const struct ike_event *ev)
{
	char key[256];

	if (!ev->entry || !ev->path || !json_object_size(t->failure))
		return;
	failure_key(key, ev->entry, &ev->path->remote);
	json_object_del(t->failure, key);
}

static bool still_configured(const struct cv_config *cfg, const char *key)
{
	char k[256];

	for (unsigned m = 0; m < cfg->n_map; m++)
		for (unsigned i = 0; i < cfg->map[m].n_entry; i++)
			for (unsigned p = 0; p < cfg->map[m].entry[i].n_peer; p++) {
				failure_key(k, &cfg->map[m].entry[i], &cfg->map[m].entry[i].peer[p]);
				if (!strcmp(k, key))
					return true;
			}
	return false;
}

void session_config(struct session_table *t)
{
	const char *key;
	json_t *v;
	void *tmp;

	json_object_foreach_safe(t->failure, tmp, key, v) if (!still_configured(t->c->running, key))
		json_object_del(t->failure, key);
}

/* ---- events ---- */

static uint32_t event_ivrf(const struct ike_event *ev)
{
	return config_inside_vrf(ev->entry ? ev->entry->profile_ref : NULL, ev->path->vrf);
}

static void set_identity(struct session *s, const struct ike_event *ev)
{
	s->sa = ev->sa;
	if (!ev->peer_id || (s->id && !strcmp(s->id, ev->peer_id)))
		return;
	free(s->id);
	s->id = strndup(ev->peer_id, ID_MAX);
}

static void moved(struct session_table *t, const struct ike_event *ev)
{
	struct session *s = find_by_sa(t, ev->sa);
	struct session_key k;

	if (!s)
		return;
	key_of(&k, ev->path, s->key.ivrf);
	LIST_REMOVE(s, link);
	s->key = k;
	LIST_INSERT_HEAD(&t->bucket[bucket_of(&k)], s, link);
}

/* USAB-13, USAB-19. */
static void tell_defaults(struct session_table *t, const struct ike_event *ev)
{
	const struct cv_config *cfg = t->c->running;
	const struct cfg_map_entry *e = ev->entry;

	if (!e || !cfg)
		return;
	if (e->profile_ref->version == CFG_IKEV1 && cfg->n_ike_policy && cfg->ike_policy[0].builtin && may_log(t))
		cv_info("session", "%%CRYPTO-6-IKMP_POLICY_DEFAULT: Using ISAKMP Default policies");
	if (e->n_transform_set && e->ts_ref[0]->builtin && may_log(t))
		cv_notice("session", "%%CRYPTO-5-IPSEC_DEFAULT_TRANSFORM: Using Default IPSec transform-set");
}

/* CAC-8. The engine bounds how often it says so. */
static void refused(const struct ike_event *ev)
{
	bool out = !strncmp(ev->reason, "outgoing", 8);
	char from[CV_ADDR_STR], to[CV_ADDR_STR];

	cv_warn("session", "%%CRYPTO-4-IKE_DENY_SA_REQ: IKE SA request from %s to %s denied: %s",
		cv_addr_str(out ? &ev->path->local : &ev->path->remote, from),
		cv_addr_str(out ? &ev->path->remote : &ev->path->local, to), ev->reason);
}

void session_ike_event(struct session_table *t, const struct ike_event *ev)
{
	struct session_key k;
	struct session *s;

	if (ev->type == IKE_EVT_FAILED) {
		note_failure(t, ev);
		return;
	}
	if (ev->type == IKE_EVT_REFUSED) {
		refused(ev);
		return;
	}
	if (ev->type == IKE_EVT_PEER_MOVED) {
		moved(t, ev);
		return;
	}
	key_of(&k, ev->path, event_ivrf(ev));
	s = find_or_new(t, &k);
	if (ev->type == IKE_EVT_UP) {
		s->n_ike++;
		tell_defaults(t, ev);
		forget_failure(t, ev);
	} else if (ev->type == IKE_EVT_DOWN && s->n_ike) {
		s->n_ike--;
	} else if (ev->type == IKE_EVT_REKEYED && !s->n_ike) {
		s->n_ike = 1; /* the peer moved in between */
	}
	if (ev->type == IKE_EVT_DOWN) {
		s->reason = ev->reason;
		doubt(t, s);
	} else {
		set_identity(s, ev);
	}
	mark(t, s);
}

void session_child(struct session_table *t, struct child *ch, bool up)
{
	struct session_key k;
	struct session *s;

	if (ch->counted == up)
		return;
	ch->counted = up;
	key_of(&k, &ch->path, ch->ivrf);
	s = find_or_new(t, &k);
	if (up)
		s->n_child++;
	else if (s->n_child && --s->n_child == 0)
		doubt(t, s);
	mark(t, s);
}

void session_adopt(struct session_table *t, struct child *ch)
{
	struct session_key k;
	struct session *s;

	session_child(t, ch, true);
	key_of(&k, &ch->path, ch->ivrf);
	s = find_or_new(t, &k);
	s->up = true;
	s->n_ike = 1; /* the one it was restored from */
}

/* ---- the log ---- */

const char *session_description(const struct control *c, const struct cv_addr *peer)
{
	for (unsigned i = 0; c->running && i < c->running->n_peer; i++)
		if (cv_addr_eq(&c->running->peer[i].addr, peer))
			return c->running->peer[i].description;
	return NULL;
}

/* MON-25, 26: parts without a value are left out. */
static void part(char *buf, size_t size, const char *label, const char *value)
{
	size_t len = strlen(buf);

	if (value && *value)
		snprintf(buf + len, size - len, "  %s%s", label, value);
}

static void log_status(struct session_table *t, const struct session *s)
{
	char text[512], peer[CV_ADDR_STR];

	if (!may_log(t))
		return;
	snprintf(text, sizeof(text), "%%CRYPTO-5-SESSION_STATUS: Crypto session is %s.  Peer %s:%u",
		s->up ? "UP" : "DOWN", cv_addr_str(&s->key.remote, peer), s->key.rport);
	part(text, sizeof(text), "fvrf=", host_vrf_name(t->c, s->key.fvrf));
	part(text, sizeof(text), "ivrf=", host_vrf_name(t->c, s->key.ivrf));
	part(text, sizeof(text), "Description: ", session_description(t->c, &s->key.remote));
	part(text, sizeof(text), "Id: ", s->id);
	if (!s->up)
		part(text, sizeof(text), "Reason: ", s->reason);
	cv_notice("session", "%s", text);
}

static void count_established(void *arg, const struct ike_path *path, uint32_t ivrf)
{
	struct session_key k;

	key_of(&k, path, ivrf);
	struct session *s = find(arg, &k);
	if (s && s->doubt)
		s->n_ike++;
}

/* Established IKE SAs, counted anew, for the sessions in doubt. */
static void recount(struct session_table *t)
{
	struct session *s;

	for (unsigned i = 0; i < BUCKETS; i++)
		LIST_FOREACH(s, &t->bucket[i], link)
	if (s->doubt)
		s->n_ike = 0;
	ike_for_each_established(t->c->ike, count_established, t);
}

static void audit(struct session_table *t)
{
	struct session *s;

	t->audit_at_ms = 0;
	recount(t);
	for (unsigned i = 0; i < BUCKETS; i++)
		LIST_FOREACH(s, &t->bucket[i], link)
	if (s->doubt) {
		s->doubt = false;
		mark(t, s);
	}
}

static void settle(struct session_table *t, struct session *s)
{
	bool up = s->n_ike || s->n_child;

	s->dirty = false;
	if (up != s->up) {
		s->up = up;
		log_status(t, s);
	}
	if (!up) {
		LIST_REMOVE(s, link);
		session_free(s);
	}
}

uint64_t session_run(struct session_table *t)
{
	uint64_t now = host_now_ms(t->c);
	struct session *s;

	if (t->audit_at_ms && now >= t->audit_at_ms)
		audit(t);
	while ((s = TAILQ_FIRST(&t->dirty))) {
		TAILQ_REMOVE(&t->dirty, s, dirty_link);
		settle(t, s);
	}
	return t->audit_at_ms ? t->audit_at_ms - now : UINT64_MAX;
}
