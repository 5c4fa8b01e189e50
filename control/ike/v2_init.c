/* SPDX-License-Identifier: BSD-3-Clause */
/* IKE_SA_INIT (RFC 7296 1.2, 2.6, 2.7, 2.23), both sides. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#define HALF_OPEN_MS 30000 /* a responder forgets a peer that does not authenticate */
#define INIT_TRIES_MAX 4   /* cookie and wrong group, each perhaps twice */
#define DOUBT_MIN_MS 20u   /* how long an answer that anybody can write waits for a better one */
#define DOUBT_MAX_MS 250u

/* ---- NAT detection (RFC 7296 2.23) ---- */

static void nat_hash(const struct v2_hdr *h, const struct cv_addr *a, uint16_t port, uint8_t out[20])
{
	uint8_t p[2] = {(uint8_t)(port >> 8), (uint8_t)port};
	struct ikec_iov iov[4] = {
		{h->spi_i, IKE_SPI_LEN}, {h->spi_r, IKE_SPI_LEN}, {a->b, a->af == CV_AF_INET6 ? 16u : 4u}, {p, 2}};
	if (ikec_sha1(iov, 4, out) != 0)
		memset(out, 0, 20);
}

void v2_enc_nat(struct v2_enc *e, const struct v2_hdr *h, const struct ike_path *path, bool force)
{
	uint8_t hash[20];
	if (force) /* a source that no address hashes to: the peer sees a NAT */
		ikec_random(hash, sizeof(hash));
	else
		nat_hash(h, &path->local, path->lport, hash);
	v2_enc_notify(e, V2_N_NAT_DETECTION_SOURCE_IP, hash, sizeof(hash));
	nat_hash(h, &path->remote, path->rport, hash);
	v2_enc_notify(e, V2_N_NAT_DETECTION_DESTINATION_IP, hash, sizeof(hash));
}

static bool nat_hash_found(const struct v2_msg *m, uint16_t type, const uint8_t hash[20], bool *any)
{
	for (unsigned i = 0; i < m->n_notify; i++) {
		if (m->notify[i].type != type)
			continue;
		*any = true;
		if (m->notify[i].data.len == 20 && memcmp(m->notify[i].data.p, hash, 20) == 0)
			return true;
	}
	return false;
}

bool v2_detect_nat(struct v2_sa *sa, const struct v2_msg *m, const struct ike_path *path, bool force)
{
	uint8_t hash[20];
	bool src = false, dst = false;
	nat_hash(&m->h, &path->remote, path->rport, hash);
	bool remote_ok = nat_hash_found(m, V2_N_NAT_DETECTION_SOURCE_IP, hash, &src);
	nat_hash(&m->h, &path->local, path->lport, hash);
	bool local_ok = nat_hash_found(m, V2_N_NAT_DETECTION_DESTINATION_IP, hash, &dst);
	if (!src || !dst)
		return false; /* the peer does not do NAT traversal */
	sa->sa.nat_remote = !remote_ok;
	sa->sa.nat_local = !local_ok || force;
	sa->sa.encap = sa->sa.nat_remote || sa->sa.nat_local;
	return true;
}

/* ---- answers without state: cookie demand, wrong group, no proposal ---- */

void v2_stateless_begin(struct v2_enc *e, uint8_t *buf, size_t size, const struct v2_msg *m)
{
	struct v2_hdr h = m->h;
	h.flags = V2_FLAG_RESPONSE;
	v2_enc_header(e, buf, size, &h);
}

void v2_stateless_send(struct ike *ike, const struct ike_path *path, bool natt, struct v2_enc *e)
{
	if (v2_enc_finish(e) != 0)
		return;
	ike->stats.tx_messages++;
	ike->ops.send(ike->ctx, path, natt, e->buf, e->len);
}

static void answer_stateless(struct ike *ike, const struct ike_path *path, bool natt, const struct v2_msg *m,
	uint16_t type, const void *data, size_t len)
{
	uint8_t buf[256];
	struct v2_enc e;
	v2_stateless_begin(&e, buf, sizeof(buf), m);
	v2_enc_notify(&e, type, data, len);
	v2_stateless_send(ike, path, natt, &e);
}

/* ---- responder ---- */

struct init_job {
	struct ike_job j;
	enum ike_group group;
	uint8_t peer[IKEC_DH_PUB_MAX];
	size_t peer_len;
	struct ikec_dh *dh;
	uint8_t shared[IKEC_DH_PUB_MAX];
	size_t shared_len;
	int err;
	uint8_t proposal_num;
	struct v2_buf certreq; /* responder: key ids of the CAs to ask for */
	bool offer_nat;	       /* we do NAT traversal */
};

static void respond_work(struct ike_job *j)
{
	struct init_job *job = (struct init_job *)j;
	job->err = ikec_ke(job->group, &job->dh, job->peer, job->peer_len, job->shared, &job->shared_len);
}

static void half_open_fire(struct ike *ike, struct ike_timer *t)
{
	(void)ike;
	ike_sa_destroy(&IKE_CONTAINER(t, struct v2_sa, stage)->sa, "peer did not authenticate in time");
}

static void send_init_response(struct v2_sa *sa, const struct init_job *job)
{
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	struct v2_hdr h;
	v2_header(sa, &h, V2_IKE_SA_INIT, 0, true);
	v2_enc_header(&e, buf, sizeof(buf), &h);
	v2_enc_ike_chosen(&e, &sa->suite, job->proposal_num, NULL, 0);
	v2_enc_ke(&e, job->dh);
	v2_enc_blob(&e, V2_PL_NONCE, sa->setup->nr.b, sa->setup->nr.len);
	if (job->offer_nat)
		v2_enc_nat(&e, &h, &sa->sa.path, sa->sa.nat_local);
	v2_enc_certreq(&e, &job->certreq);
	if (sa->peer_frag)
		v2_enc_notify(&e, V2_N_IKEV2_FRAGMENTATION_SUPPORTED, NULL, 0);
	if (sa->setup->peer_hashes)
		v2_enc_hash_algorithms(&e);
	if (sa->setup->use_ppk)
		v2_enc_notify(&e, V2_N_USE_PPK, NULL, 0);
	if (sa->inter)
		v2_enc_notify(&e, V2_N_INTERMEDIATE_EXCHANGE_SUPPORTED, NULL, 0);
	v2_enc_methods_init(&e, sa);
	if (v2_enc_finish(&e) != 0) {
		ike_sa_destroy(&sa->sa, "cannot build a response");
		return;
	}
	v2_buf_set(&sa->setup->init_resp, buf, e.len);
	sa->peer_msgid = 1;
	ike_sa_send(&sa->sa, buf, e.len);
}

static void respond_done(struct ike_job *j)
{
	struct init_job *job = (struct init_job *)j;
	struct v2_sa *sa = j->sa ? v2_of(j->sa) : NULL;
	if (sa) {
		if (!job->err)
			job->err = v2_derive(sa, job->shared, job->shared_len, NULL, 0, 0, V2_EMPTY);
		if (job->err)
			ike_sa_destroy(&sa->sa, "bad Diffie-Hellman value from peer");
		else
			send_init_response(sa, job);
	}
	ikec_dh_free(job->dh);
	v2_buf_free(&job->certreq);
	cv_secret_zero(job->shared, sizeof(job->shared));
}

/*
 * Profiles that may answer this peer: those of entries that name it come first, then those that select by identity or
 * certificate (VRF-25, 39), which are not known yet. The first with a fitting proposal decides.
 */
static const struct cfg_ike_profile *choose_profile(struct ike *ike, const struct ike_path *path,
	const struct v2_sa_pl *offer, uint16_t ke_group, struct v2_suite *suite, struct v2_proposal *prop, bool *known)
{
	const struct cfg_map_entry *e[IKE_ENTRIES_MAX];
	const struct cfg_ike_profile *found = NULL;
	unsigned n = ike_entries_for(ike, &ike_v2, path, &path->remote, e, IKE_ENTRIES_MAX);
	*known = false;
	for (int by_id = 0; by_id < 2 && !found; by_id++)
		for (unsigned i = 0; i < n && !found; i++) {
			const struct cfg_ike_profile *p = e[i]->profile_ref;
			/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): resolved, never NULL (config.h) */
			if (by_id ? !config_profile_selects(p) : !ike_entry_has_peer(e[i], &path->remote))
				continue;
			*known = true;
			if (v2_choose_ike(p, offer, ke_group, suite, prop) == 0)
				found = p;
		}
	return found;
}

static struct v2_sa *half_open_new(
	struct ike *ike, const struct ike_path *path, bool natt, const struct v2_msg *m, const struct v2_suite *suite)
{
	struct v2_sa *sa = v2_sa_new(ike);
	if (!sa)
		return NULL;
	memcpy(sa->sa.spi_i, m->h.spi_i, IKE_SPI_LEN);
	ike_spi_new(ike, sa->sa.spi_r);
	sa->sa.path = *path;
	sa->sa.natt = natt;
	sa->sa.state = V2_INIT_RCVD;
	sa->suite = *suite;
	v2_nonce_take(&sa->setup->ni, m->nonce);
	v2_nonce_make(&sa->setup->nr);
	v2_buf_set(&sa->setup->init_req, m->raw, m->raw_len);
	ike_sa_link(&sa->sa);
	v2_set_timer(sa, &sa->stage, half_open_fire, HALF_OPEN_MS);
	ike->stats.sa_responded++;
	return sa;
}

static void respond_start(struct ike *ike, const struct ike_path *path, bool natt, const struct v2_msg *m,
	const struct cfg_ike_profile *p, const struct v2_suite *suite, uint8_t num)
{
	struct init_job *job = calloc(1, sizeof(*job));
	struct v2_sa *sa = job ? half_open_new(ike, path, natt, m, suite) : NULL;
	if (!sa) {
		free(job);
		return;
	}
	job->offer_nat = p->nat_traversal && v2_find_notify(m, V2_N_NAT_DETECTION_SOURCE_IP);
	if (job->offer_nat)
		v2_detect_nat(sa, m, path, p->force_encaps);
	v2_certreq_of(p, &job->certreq);
	sa->peer_frag = p->fragment_size && v2_find_notify(m, V2_N_IKEV2_FRAGMENTATION_SUPPORTED);
	v2_take_hash_algorithms(sa, m);
	sa->setup->use_ppk = v2_ppk_announced(p, m);
	if (v2_inter_wanted(p) && v2_find_notify(m, V2_N_INTERMEDIATE_EXCHANGE_SUPPORTED))
		v2_inter_begin(sa);
	v2_methods_begin(sa, p);
	job->j.brief = ikec_ke_is_brief(suite->group);
	job->j.work = respond_work;
	job->j.done = respond_done;
	job->group = suite->group;
	job->proposal_num = num;
	memcpy(job->peer, m->ke.p, m->ke.len);
	job->peer_len = m->ke.len;
	ike_job_run(ike, &sa->sa, &job->j);
}

/* A repeated first message: the same answer again, as long as the peer has not gone on. */
static bool repeated(struct ike *ike, const struct ike_path *path, const struct v2_msg *m)
{
	struct ike_sa *base = ike_sa_by_peer(ike, &ike_v2, m->h.spi_i, path);
	struct v2_sa *sa = base && !base->initiator ? v2_of(base) : NULL;
	if (!sa)
		return false;
	if (sa->sa.state == V2_INIT_RCVD && sa->setup->init_resp.p && sa->setup->init_req.len == m->raw_len &&
		memcmp(sa->setup->init_req.p, m->raw, m->raw_len) == 0) {
		ike->stats.rx_retransmits++;
		ike_sa_send(&sa->sa, sa->setup->init_resp.p, sa->setup->init_resp.len);
	}
	return true;
}

void v2_init_request(struct ike *ike, const struct ike_path *path, bool natt, struct v2_msg *m)
{
	static const uint8_t zero[IKE_SPI_LEN];
	struct v2_sa_pl offer;
	struct v2_suite suite;
	struct v2_proposal prop;
	bool known;
	if (!(m->h.flags & V2_FLAG_INITIATOR) || m->h.msgid != 0 || memcmp(m->h.spi_r, zero, IKE_SPI_LEN) != 0 ||
		!m->sa.p || !m->ke.p || !m->nonce.p || m->ke.len > IKEC_DH_PUB_MAX) {
		ike->stats.rx_malformed++;
		return;
	}
	if (repeated(ike, path, m) || v2_cookie_demanded(ike, path, natt, m))
		return;
	if (m->critical) {
		answer_stateless(ike, path, natt, m, V2_N_UNSUPPORTED_CRITICAL_PAYLOAD, &m->critical, 1);
		return;
	}
	v2_parse_sa(m->sa, &offer);
	const struct cfg_ike_profile *p = choose_profile(ike, path, &offer, m->ke_group, &suite, &prop, &known);
	if (p && suite.n_addke && !v2_find_notify(m, V2_N_INTERMEDIATE_EXCHANGE_SUPPORTED))
		p = NULL; /* it offers what it cannot do */
	if (!p) {
		ike->stats.no_proposal_chosen++;
		ike_event(ike, IKE_EVT_FAILED, NULL, path, NULL, known ? "no proposal chosen" : "unknown peer");
		answer_stateless(ike, path, natt, m, V2_N_NO_PROPOSAL_CHOSEN, NULL, 0);
		return;
	}
	if (suite.group != m->ke_group || m->ke.len != ikec_group_pub_len(suite.group)) {
		uint8_t g[2] = {(uint8_t)(suite.group >> 8), (uint8_t)suite.group};
		answer_stateless(ike, path, natt, m, V2_N_INVALID_KE_PAYLOAD, g, 2);
		return;
	}
	if (!ike_cac_admit(ike, path, false))
		return;
	v2_cookie_spend(ike, m);
	respond_start(ike, path, natt, m, p, &suite, prop.num);
}

/* ---- initiator ---- */

void v2_init_send(struct v2_sa *sa)
{
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	struct v2_hdr h;
	const struct cfg_ike_profile *p = sa->sa.profile;
	v2_header(sa, &h, V2_IKE_SA_INIT, 0, false);
	v2_enc_header(&e, buf, sizeof(buf), &h);
	if (sa->setup->cookie_len)
		v2_enc_notify(&e, V2_N_COOKIE, sa->setup->cookie, sa->setup->cookie_len);
	if (sa->setup->solution_len)
		v2_enc_blob(&e, V2_PL_PS, sa->setup->solution, sa->setup->solution_len);
	v2_enc_ike_sa(&e, p, NULL, 0);
	v2_enc_ke(&e, sa->setup->dh);
	v2_enc_blob(&e, V2_PL_NONCE, sa->setup->ni.b, sa->setup->ni.len);
	if (p->nat_traversal)
		v2_enc_nat(&e, &h, &sa->sa.path, p->force_encaps);
	if (p->fragment_size)
		v2_enc_notify(&e, V2_N_IKEV2_FRAGMENTATION_SUPPORTED, NULL, 0);
	if (p->local_auth == CFG_METHOD_SIGNATURE || p->remote_auth == CFG_METHOD_SIGNATURE)
		v2_enc_hash_algorithms(&e);
	if (p->ppk_mode != CFG_PPK_OFF)
		v2_enc_notify(&e, V2_N_USE_PPK, NULL, 0);
	if (v2_inter_wanted(p))
		v2_enc_notify(&e, V2_N_INTERMEDIATE_EXCHANGE_SUPPORTED, NULL, 0);
	if (v2_enc_finish(&e) != 0) {
		ike_sa_destroy(&sa->sa, "proposal too long");
		return;
	}
	v2_buf_set(&sa->setup->init_req, buf, e.len);
	sa->sa.state = V2_INIT_SENT;
	sa->setup->init_sent_ms = ike_now(sa->sa.ike);
	v2_buf_set(&sa->setup->init.out, buf, e.len);
	v2_request_send(sa, &sa->setup->init);
}

static void initiate_work(struct ike_job *j)
{
	struct init_job *job = (struct init_job *)j;
	job->err = ikec_dh_new(job->group, &job->dh);
}

static void initiate_done(struct ike_job *j)
{
	struct init_job *job = (struct init_job *)j;
	struct v2_sa *sa = j->sa ? v2_of(j->sa) : NULL;
	if (!sa || job->err) {
		ikec_dh_free(job->dh);
		if (sa)
			ike_sa_destroy(&sa->sa, "Diffie-Hellman group not available");
		return;
	}
	ikec_dh_free(sa->setup->dh);
	sa->setup->dh = job->dh;
	v2_init_send(sa);
}

static void make_key_pair(struct v2_sa *sa)
{
	struct init_job *job = calloc(1, sizeof(*job));
	if (!job)
		abort();
	job->j.brief = ikec_ke_is_brief(sa->setup->want_group);
	job->j.work = initiate_work;
	job->j.done = initiate_done;
	job->group = sa->setup->want_group;
	sa->sa.state = V2_INIT_PREPARE;
	ike_job_run(sa->sa.ike, &sa->sa, &job->j);
}

struct ike_sa *v2_initiate(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path)
{
	enum ike_group g = v2_first_group(entry->profile_ref);
	struct v2_sa *sa = g ? v2_sa_new(ike) : NULL;
	if (!sa)
		return NULL;
	sa->sa.initiator = true;
	sa->sa.entry = entry;
	sa->sa.profile = entry->profile_ref;
	sa->sa.path = *path;
	ike_spi_new(ike, sa->sa.spi_i);
	v2_nonce_make(&sa->setup->ni);
	sa->setup->want_group = g;
	ike_sa_link(&sa->sa);
	make_key_pair(sa);
	return &sa->sa;
}

static void retry_init(struct v2_sa *sa, const struct v2_msg *m)
{
	const struct v2_notify *cookie = v2_find_notify(m, V2_N_COOKIE);
	const struct v2_notify *ke = v2_find_notify(m, V2_N_INVALID_KE_PAYLOAD);
	const struct v2_notify *puzzle = v2_find_notify(m, V2_N_PUZZLE);
	const struct v2_notify *err = v2_find_error(m);
	if (++sa->setup->init_tries > INIT_TRIES_MAX) {
		ike_sa_destroy(&sa->sa, "peer keeps refusing IKE_SA_INIT");
		return;
	}
	if (cookie && cookie->data.len > 0 && cookie->data.len <= sizeof(sa->setup->cookie)) {
		v2_cookie_take(sa, cookie->data, puzzle);
		return;
	}
	if (ke && ke->data.len == 2 && v2_group_offered(sa->sa.profile, v2_get16(ke->data.p)) &&
		v2_get16(ke->data.p) != sa->setup->want_group) {
		sa->setup->want_group = v2_get16(ke->data.p);
		v2_request_stop(sa, &sa->setup->init);
		make_key_pair(sa);
		return;
	}
	if (err) {
		if (err->type == V2_N_NO_PROPOSAL_CHOSEN)
			sa->sa.ike->stats.no_proposal_chosen++;
		ike_sa_destroy(&sa->sa, v2_notify_name(err->type));
		return;
	}
	ike_sa_destroy(&sa->sa, "invalid response from peer");
}

/*
 * A refusal, or the demand for a cookie or another group, is not authenticated, and whoever sees our message can be
 * faster than the peer (RFC 7296 2.4, 2.21.1). It waits as long as it took to come, so that the peer's own answer to
 * the same message goes before it; one at a time, so that many of them do not use up our tries.
 */
static void doubt_fire(struct ike *ike, struct ike_timer *t)
{
	struct v2_setup *s = IKE_CONTAINER(t, struct v2_setup, doubt);
	struct v2_buf b = s->doubted;
	struct v2_msg m;
	const char *why;
	(void)ike;
	s->doubted = (struct v2_buf){0};
	if (v2_parse_header(b.p, b.len, &m) == 0 &&
		v2_parse_payloads(&m, m.h.next, b.p + IKE_HDR_LEN, b.len - IKE_HDR_LEN, false, &why) == 0)
		retry_init(s->init.sa, &m);
	v2_buf_free(&b);
}

static void doubt(struct v2_sa *sa, const struct v2_msg *m)
{
	struct v2_setup *s = sa->setup;
	uint64_t took = ike_now(sa->sa.ike) - s->init_sent_ms;
	bool malformed = v2_find_notify(m, V2_N_PUZZLE) && !v2_find_notify(m, V2_N_COOKIE); /* RFC 8019 7.1.2 */
	if (s->doubted.p || s->puzzle || malformed) {
		sa->sa.ike->stats.rx_unexpected++;
		return;
	}
	v2_buf_set(&s->doubted, m->raw, m->raw_len);
	if (s->doubted.p)
		v2_set_timer(sa, &s->doubt, doubt_fire,
			took < DOUBT_MIN_MS   ? DOUBT_MIN_MS
			: took > DOUBT_MAX_MS ? DOUBT_MAX_MS
					      : took);
}

void v2_init_undoubt(struct v2_sa *sa)
{
	ike_timer_stop(sa->sa.ike, &sa->setup->doubt);
	v2_buf_free(&sa->setup->doubted);
}

static void shared_work(struct ike_job *j)
{
	struct init_job *job = (struct init_job *)j;
	job->err = ikec_dh_shared(job->dh, job->peer, job->peer_len, job->shared, &job->shared_len);
}

static void shared_done(struct ike_job *j)
{
	struct init_job *job = (struct init_job *)j;
	struct v2_sa *sa = j->sa ? v2_of(j->sa) : NULL;
	if (sa && (job->err || v2_derive(sa, job->shared, job->shared_len, NULL, 0, 0, V2_EMPTY) != 0))
		ike_sa_destroy(&sa->sa, "bad Diffie-Hellman value from peer");
	else if (sa)
		v2_inter_next(sa);
	ikec_dh_free(job->dh);
	cv_secret_zero(job->shared, sizeof(job->shared));
}

void v2_init_response(struct v2_sa *sa, struct v2_msg *m)
{
	static const uint8_t zero[IKE_SPI_LEN];
	struct v2_sa_pl answer;
	struct v2_suite suite;
	struct v2_proposal prop;
	if (!sa->sa.initiator || sa->sa.state != V2_INIT_SENT || m->h.msgid != 0) {
		sa->sa.ike->stats.rx_unexpected++;
		return;
	}
	if (!m->sa.p || !m->ke.p || !m->nonce.p) {
		doubt(sa, m);
		return;
	}
	v2_parse_sa(m->sa, &answer);
	if (m->critical || answer.n != 1 || v2_choose_ike(sa->sa.profile, &answer, m->ke_group, &suite, &prop) != 0 ||
		suite.group != m->ke_group || suite.group != sa->setup->want_group || m->ke.len > IKEC_DH_PUB_MAX ||
		(suite.n_addke && !v2_find_notify(m, V2_N_INTERMEDIATE_EXCHANGE_SUPPORTED)) ||
		memcmp(m->h.spi_r, zero, IKE_SPI_LEN) == 0) {
		/* off the path nobody knows our SPI, but on it anybody may answer: wait for a better answer */
		sa->sa.ike->stats.rx_unexpected++;
		return;
	}
	struct init_job *job = calloc(1, sizeof(*job));
	if (!job)
		return;
	v2_request_stop(sa, &sa->setup->init);
	v2_puzzle_forget(&sa->setup->puzzle); /* somebody had forged it: the peer has answered without */
	v2_init_undoubt(sa);
	sa->suite = suite;
	memcpy(sa->sa.spi_r, m->h.spi_r, IKE_SPI_LEN);
	v2_nonce_take(&sa->setup->nr, m->nonce);
	v2_buf_set(&sa->setup->init_resp, m->raw, m->raw_len);
	v2_take_hash_algorithms(sa, m);
	v2_choose_cert(sa, m);
	sa->setup->use_ppk = v2_ppk_announced(sa->sa.profile, m);
	if (v2_inter_wanted(sa->sa.profile) && v2_find_notify(m, V2_N_INTERMEDIATE_EXCHANGE_SUPPORTED))
		v2_inter_begin(sa);
	sa->peer_frag = sa->sa.profile->fragment_size && v2_find_notify(m, V2_N_IKEV2_FRAGMENTATION_SUPPORTED);
	sa->next_msgid = 1;
	sa->sa.state = V2_AUTH_SENT;
	bool natt = sa->sa.profile->nat_traversal && v2_detect_nat(sa, m, &sa->sa.path, sa->sa.profile->force_encaps);
	if (sa->sa.encap || (natt && sa->sa.profile->mobike)) { /* RFC 4555 3.3: there may be a NAT on a later path */
		sa->sa.path.lport = sa->sa.path.rport = IKE_NATT_PORT;
		sa->sa.natt = true;
	}
	ike_sa_link(&sa->sa);
	job->j.brief = ikec_ke_is_brief(ikec_dh_group(sa->setup->dh));
	job->j.work = shared_work;
	job->j.done = shared_done;
	job->dh = sa->setup->dh;
	sa->setup->dh = NULL;
	memcpy(job->peer, m->ke.p, m->ke.len);
	job->peer_len = m->ke.len;
	ike_job_run(sa->sa.ike, &sa->sa, &job->j);
}
