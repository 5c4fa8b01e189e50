/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MOBIKE (RFC 4555): the end that set up the IKE SA decides which addresses it uses and tells the other; keys and SPIs
 * stay. As that end we move when our own address changes, when the peer stops answering at one of several addresses,
 * and when a NAT between us has changed its mind. As the other end we follow, and let IPsec SAs follow once the peer
 * has shown that it can be reached there (3.7); when our own address changes we tell it from the new one (3.6). Only
 * tunnel mode can move.
 */
#include <string.h>

#include "v2_int.h"

/* ---- IKE_AUTH ---- */

static void enc_addr(struct v2_enc *e, const struct cv_addr *a)
{
	if (a->af == CV_AF_INET6)
		v2_enc_notify(e, V2_N_ADDITIONAL_IP6_ADDRESS, a->b, 16);
	else
		v2_enc_notify(e, V2_N_ADDITIONAL_IP4_ADDRESS, a->b, 4);
}

/* The addresses at which this end can be reached beside the one in use. Returns how many. */
static unsigned enc_others(struct v2_sa *sa, struct v2_enc *e)
{
	struct ike *ike = sa->sa.ike;
	struct cv_addr a[V2_OTHER_MAX];
	unsigned n = ike->ops.local_addrs && sa->sa.entry
			     ? ike->ops.local_addrs(ike->ctx, sa->sa.entry, sa->sa.path.vrf, a, V2_OTHER_MAX)
			     : 0;
	unsigned others = 0;
	for (unsigned i = 0; i < n; i++)
		if (!cv_addr_eq(&a[i], &sa->sa.path.local)) {
			enc_addr(e, &a[i]);
			others++;
		}
	return others;
}

void v2_enc_mobike(struct v2_sa *sa, struct v2_enc *e)
{
	if (!sa->sa.profile->mobike || (!sa->sa.initiator && !sa->sa.mobike))
		return;
	v2_enc_notify(e, V2_N_MOBIKE_SUPPORTED, NULL, 0);
	enc_others(sa, e);
}

void v2_others_set(struct v2_sa *sa, const struct cv_addr *other, unsigned n)
{
	if (n && !sa->other)
		sa->other = calloc(V2_OTHER_MAX, sizeof(*sa->other));
	sa->n_other = sa->other ? n : 0;
	if (sa->n_other)
		memcpy(sa->other, other, n * sizeof(*other));
}

/* A list replaces the one before; a message without any of the notifies says nothing: false. */
static bool take_others(struct v2_sa *sa, const struct v2_msg *m)
{
	struct cv_addr other[V2_OTHER_MAX];
	unsigned n_other = 0;
	bool list = false;
	for (unsigned i = 0; i < m->n_notify; i++) {
		const struct v2_notify *n = &m->notify[i];
		bool v6 = n->type == V2_N_ADDITIONAL_IP6_ADDRESS;
		struct cv_addr a = {.af = v6 ? CV_AF_INET6 : CV_AF_INET};
		list |= n->type == V2_N_NO_ADDITIONAL_ADDRESSES;
		if ((n->type != V2_N_ADDITIONAL_IP4_ADDRESS && !v6) || n->data.len != (v6 ? 16u : 4u))
			continue;
		memcpy(a.b, n->data.p, n->data.len);
		list = true;
		if (n_other < V2_OTHER_MAX)
			other[n_other++] = a;
	}
	if (list)
		v2_others_set(sa, other, n_other);
	return list;
}

void v2_take_mobike(struct v2_sa *sa, const struct v2_msg *m)
{
	if (!sa->sa.profile->mobike || !v2_find_notify(m, V2_N_MOBIKE_SUPPORTED))
		return;
	sa->sa.mobike = true;
	sa->sa.movable = sa->sa.initiator;
	take_others(sa, m);
}

/* ---- the end that decides ---- */

static bool nat_traversal(const struct v2_sa *sa)
{
	return sa->sa.natt && sa->sa.profile && sa->sa.profile->nat_traversal;
}

static void queue_update(struct v2_sa *sa)
{
	struct v2_task *t;
	TAILQ_FOREACH (t, &sa->tasks, link)
		if (t->update)
			return;
	t = v2_task_new(&v2_info_task);
	t->update = true;
	v2_task_queue_first(sa, t);
}

static void start_moving(struct v2_sa *sa)
{
	sa->moving = true;
	v2_requests_again(sa);
	queue_update(sa);
}

/* The other end is there: the children follow. */
static void arrived(struct v2_sa *sa)
{
	sa->moving = false;
	ike_keepalive_arm(&sa->sa);
	ike_sa_moved(&sa->sa);
}

/* To the end that decides: these are our addresses, and the one that this comes from is in use. */
static void queue_addresses(struct v2_sa *sa)
{
	struct v2_task *t;
	TAILQ_FOREACH (t, &sa->tasks, link)
		if (t->addresses)
			return;
	t = v2_task_new(&v2_info_task);
	t->addresses = true;
	v2_task_queue_first(sa, t);
}

void v2_readdress(struct ike_sa *base, const struct cv_addr *local)
{
	struct v2_sa *sa = v2_of(base);
	if (base->phase != IKE_PHASE_ESTABLISHED)
		return;
	base->path.local = *local;
	if (base->movable) {
		start_moving(sa);
	} else {
		sa->moving = true;
		v2_requests_again(sa);
		queue_addresses(sa);
	}
	ike_sa_save(base);
}

bool v2_mobike_failover(struct v2_sa *sa)
{
	struct ike *ike = sa->sa.ike;
	struct ike_path path = sa->sa.path;
	if (sa->sa.mobike && !sa->sa.movable && !sa->n_tried) { /* the other end needs its time to find another path */
		sa->n_tried++;
		v2_requests_again(sa);
		return true;
	}
	while (sa->sa.movable && sa->sa.entry && sa->n_tried < sa->n_other) {
		/* the address that failed takes the place of the one tried now: it may come back */
		struct cv_addr *next = &sa->other[sa->n_tried++];
		path.remote = *next;
		if (ike->ops.local_addr(ike->ctx, sa->sa.entry, &path.remote, &path.local, &path.vrf) != 0 ||
			path.vrf != sa->sa.path.vrf)
			continue;
		*next = sa->sa.path.remote;
		sa->sa.path = path;
		start_moving(sa);
		return true;
	}
	return false;
}

void v2_mobike_build(struct v2_sa *sa, struct v2_task *t, struct v2_enc *e)
{
	static const uint8_t none[sizeof(t->cookie2)];
	struct v2_hdr h;
	v2_header(sa, &h, V2_INFORMATIONAL, sa->next_msgid, false);
	t->sent_on = sa->sa.path;
	if (t->update)
		v2_enc_notify(e, V2_N_UPDATE_SA_ADDRESSES, NULL, 0);
	if (t->addresses && !enc_others(sa, e))
		v2_enc_notify(e, V2_N_NO_ADDITIONAL_ADDRESSES, NULL, 0);
	/* a liveness check also asks whether a NAT has changed its mapping (RFC 4555 3.8) */
	if (sa->sa.movable && (t->update || t->dpd) && nat_traversal(sa))
		v2_enc_nat(e, &h, &sa->sa.path, sa->sa.profile->force_encaps);
	if (memcmp(t->cookie2, none, sizeof(none)) != 0)
		v2_enc_notify(e, V2_N_COOKIE2, t->cookie2, sizeof(t->cookie2));
}

/* Has the address that the peer sees us at changed since it last said so? */
static bool mapping_changed(struct v2_sa *sa, const struct v2_msg *m)
{
	static const uint8_t unknown[sizeof(sa->seen_as)];
	const struct v2_notify *n = v2_find_notify(m, V2_N_NAT_DETECTION_DESTINATION_IP);
	if (!n || n->data.len != sizeof(sa->seen_as))
		return false;
	bool changed = memcmp(sa->seen_as, unknown, sizeof(unknown)) != 0 &&
		       memcmp(sa->seen_as, n->data.p, sizeof(sa->seen_as)) != 0;
	memcpy(sa->seen_as, n->data.p, sizeof(sa->seen_as));
	return changed;
}

static bool same_path(const struct ike_path *a, const struct ike_path *b)
{
	return cv_addr_eq(&a->local, &b->local) && cv_addr_eq(&a->remote, &b->remote) && a->lport == b->lport &&
	       a->rport == b->rport;
}

static void update_answered(struct v2_sa *sa, struct v2_task *t, const struct v2_msg *m)
{
	const struct v2_notify *err = v2_find_error(m);
	mapping_changed(sa, m);
	if (!same_path(&t->sent_on, &sa->sa.path)) {
		queue_update(sa); /* moved on meanwhile */
		return;
	}
	if (err) {
		cv_warn("ike", "the peer does not follow to a new address: %s", v2_notify_name(err->type));
		v2_mobike_failover(sa);
		return;
	}
	if (nat_traversal(sa))
		v2_detect_nat(sa, m, &sa->sa.path, sa->sa.profile->force_encaps);
	arrived(sa);
}

/* The end that decides knows our address: what we send goes out from there, whatever it decides. */
static void addresses_answered(struct v2_sa *sa, const struct v2_task *t)
{
	if (same_path(&t->sent_on, &sa->sa.path))
		arrived(sa);
	else if (sa->moving)
		queue_addresses(sa); /* changed once more meanwhile */
}

bool v2_mobike_response(struct v2_sa *sa, struct v2_task *t, const struct v2_msg *m)
{
	static const uint8_t none[sizeof(t->cookie2)];
	const struct v2_notify *n = v2_find_notify(m, V2_N_COOKIE2);
	if (t->update)
		update_answered(sa, t, m);
	else if (t->addresses)
		addresses_answered(sa, t);
	else if (t->dpd && sa->sa.movable && mapping_changed(sa, m))
		queue_update(sa);
	if (memcmp(t->cookie2, none, sizeof(none)) == 0)
		return !sa->sa.dead;
	if (!n || n->data.len != sizeof(t->cookie2) || cv_secret_cmp(n->data.p, t->cookie2, sizeof(t->cookie2)) != 0) {
		ike_sa_destroy(&sa->sa, "return routability check failed");
		return false;
	}
	if (same_path(&t->sent_on, &sa->sa.path))
		arrived(sa);
	return true;
}

/* ---- the end that follows ---- */

/* RFC 4555 3.9: the sender knows of no NAT and wants none. True: the addresses are as it wrote them. */
static bool nats_respected(const struct v2_msg *m)
{
	const struct v2_notify *n = v2_find_notify(m, V2_N_NO_NATS_ALLOWED);
	size_t alen = m->path->remote.af == CV_AF_INET6 ? 16 : 4;
	if (!n)
		return true;
	/* source address, destination address, source port, destination port, as it sent them */
	return n->data.len == 2 * alen + 4 && memcmp(n->data.p, m->path->remote.b, alen) == 0 &&
	       memcmp(n->data.p + alen, m->path->local.b, alen) == 0 &&
	       v2_get16(n->data.p + 2 * alen) == m->path->rport && v2_get16(n->data.p + 2 * alen + 2) == m->path->lport;
}

static bool tunnels_only(const struct v2_sa *sa)
{
	const struct ike_child *c;
	TAILQ_FOREACH (c, &sa->sa.children, link)
		if (c->p.transport)
			return false;
	return true;
}

static bool acceptable(const struct v2_sa *sa, const struct ike_path *path)
{
	const struct ike *ike = sa->sa.ike;
	return tunnels_only(sa) && sa->sa.entry && path->vrf == sa->sa.path.vrf &&
	       ike->ops.entry_serves(ike->ctx, path, sa->sa.entry);
}

/* Take the new addresses; the error notify instead, or 0. An update that a later one has overtaken is only answered. */
static uint16_t take_update(struct v2_sa *sa, const struct v2_msg *m, bool *moved)
{
	if (!nats_respected(m))
		return V2_N_UNEXPECTED_NAT_DETECTED;
	if (!acceptable(sa, m->path))
		return V2_N_UNACCEPTABLE_ADDRESSES;
	if (m->h.msgid < sa->update_msgid)
		return 0;
	sa->update_msgid = m->h.msgid;
	sa->sa.path = *m->path;
	sa->sa.natt = m->natt;
	if (sa->sa.profile && sa->sa.profile->nat_traversal)
		v2_detect_nat(sa, m, m->path, sa->sa.profile->force_encaps);
	ike_sa_link(&sa->sa);
	*moved = sa->moving = true;
	return 0;
}

/*
 * RFC 4555 3.6: the other end says its addresses, from one that is not in use. It would not if it could use that one:
 * we decide for it.
 */
static void peer_moved(struct v2_sa *sa, const struct ike_path *seen)
{
	struct ike *ike = sa->sa.ike;
	struct ike_path path = sa->sa.path;
	if (cv_addr_eq(&path.remote, &seen->remote) || !sa->sa.entry || !tunnels_only(sa))
		return;
	path.remote = seen->remote;
	path.rport = seen->rport;
	if (ike->ops.local_addr(ike->ctx, sa->sa.entry, &path.remote, &path.local, &path.vrf) != 0 ||
		path.vrf != sa->sa.path.vrf)
		return;
	sa->sa.path = path;
	ike_sa_link(&sa->sa);
	start_moving(sa);
}

bool v2_mobike_request(struct v2_sa *sa, const struct v2_msg *m, struct v2_enc *e)
{
	const struct v2_notify *cookie = v2_find_notify(m, V2_N_COOKIE2);
	bool moved = false;
	if (take_others(sa, m) && sa->sa.movable)
		peer_moved(sa, m->path);
	if (cookie && cookie->data.len >= 8 && cookie->data.len <= 64)
		v2_enc_notify(e, V2_N_COOKIE2, cookie->data.p, cookie->data.len);
	uint16_t error = 0;
	if (!sa->sa.movable && v2_find_notify(m, V2_N_UPDATE_SA_ADDRESSES))
		error = take_update(sa, m, &moved);
	if (error)
		v2_enc_notify(e, error, NULL, 0);
	if (!error && v2_find_notify(m, V2_N_NAT_DETECTION_SOURCE_IP) && sa->sa.profile &&
		sa->sa.profile->nat_traversal)
		v2_enc_nat(e, &m->h, m->path, sa->sa.profile->force_encaps);
	return moved;
}

/* Is it really there? Until that is known, nothing but this question goes to the new address. */
void v2_mobike_follow(struct v2_sa *sa)
{
	struct v2_task *t = v2_task_new(&v2_info_task);
	ikec_random(t->cookie2, sizeof(t->cookie2));
	v2_requests_again(sa);
	v2_task_queue_first(sa, t);
}

void v2_mobike_resume(struct v2_sa *sa)
{
	if (sa->moving && sa->sa.movable)
		queue_update(sa);
	else if (sa->moving) {
		v2_mobike_follow(sa);
		queue_addresses(sa); /* perhaps it was we who had moved */
	}
}
