/* SPDX-License-Identifier: BSD-3-Clause */
/* Dead peer detection (RFC 3706; DPD-1..12), periodic or on demand, as the profile says. */
#include <string.h>

#include "v1_internal.h"

static void dpd_timer(struct ike *ike, struct ike_timer *t);

static uint32_t rd32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void send_seq(struct v1_sa *v, uint16_t type, uint32_t seq)
{
	uint8_t cookies[2 * V1_COOKIE_LEN],
		b[4] = {(uint8_t)(seq >> 24), (uint8_t)(seq >> 16), (uint8_t)(seq >> 8), (uint8_t)seq};
	memcpy(cookies, v1_cky_i(v), V1_COOKIE_LEN);
	memcpy(cookies + V1_COOKIE_LEN, v1_cky_r(v), V1_COOKIE_LEN);
	v1_notify(v, V1_PROTO_ISAKMP, type, cookies, sizeof(cookies), b, sizeof(b));
}

static bool wanted(const struct v1_sa *v)
{
	const struct cfg_ike_profile *p = v->sa.profile;
	return v->dpd && p && p->dpd_mode != CFG_DPD_OFF && p->dpd_interval_s && v->sa.state == V1_QM_IDLE &&
	       v->sa.phase == IKE_PHASE_ESTABLISHED;
}

/* When anything was last received from the peer: IKE, or ESP on any of its pairs. */
static uint64_t last_heard(const struct v1_sa *v)
{
	struct ike *ike = v->sa.ike;
	const struct ike_child *c;
	uint64_t at = v->sa.last_rx_ms, now = ike_now(ike);
	TAILQ_FOREACH (c, &v->sa.children, link) {
		uint32_t idle = c->child_id ? ike->ops.child_idle_s(ike->ctx, c->child_id) : UINT32_MAX;
		if (idle != UINT32_MAX && idle * 1000ull <= now && now - idle * 1000ull > at)
			at = now - idle * 1000ull;
	}
	return at;
}

/* DPD-3: on demand asks only while we send to the peer. */
static bool sending(const struct v1_sa *v)
{
	struct ike *ike = v->sa.ike;
	const struct ike_child *c;
	TAILQ_FOREACH (c, &v->sa.children, link)
		if (c->child_id && (!ike->ops.child_out_idle_s || ike->ops.child_out_idle_s(ike->ctx, c->child_id) <=
									  v->sa.profile->dpd_interval_s))
			return true;
	return false;
}

static void arm(struct v1_sa *v, uint64_t at)
{
	v->dpd_timer.fire = dpd_timer;
	ike_timer_set(v->sa.ike, &v->dpd_timer, at);
}

static void probe(struct v1_sa *v)
{
	v->sa.ike->stats.dpd_sent++;
	v->dpd_seq++;
	if (!v->dpd_misses)
		v->dpd_first = v->dpd_seq;
	v->dpd_misses++;
	send_seq(v, V1_N_R_U_THERE, v->dpd_seq);
	uint32_t retry = v->sa.profile->dpd_retry_s ? v->sa.profile->dpd_retry_s : 2; /* DPD-4 */
	arm(v, ike_now(v->sa.ike) + retry * 1000ull);
}

static void dpd_timer(struct ike *ike, struct ike_timer *t)
{
	struct v1_sa *v = IKE_CONTAINER(t, struct v1_sa, dpd_timer);
	uint64_t now = ike_now(ike);
	if (!wanted(v))
		return;
	uint64_t heard = last_heard(v), interval = v->sa.profile->dpd_interval_s * 1000ull;
	if (now - heard < interval) {
		v->dpd_misses = 0;
		arm(v, heard + interval);
	} else if (v->dpd_misses >= V1_DPD_TRIES) {
		ike->stats.dpd_dead++;
		ike_peer_dead(&v->sa);
		v1_fail(v, "peer not responding");
	} else if (v->dpd_misses || v->sa.profile->dpd_mode == CFG_DPD_PERIODIC || sending(v)) {
		probe(v);
	} else {
		arm(v, now + (interval < 1000 ? interval : 1000)); /* look again for traffic to send */
	}
}

void v1_dpd_start(struct v1_sa *v)
{
	if (!v->dpd_seq) {
		ikec_random(&v->dpd_seq, sizeof(v->dpd_seq));
		v->dpd_seq &= 0x7fffffff; /* RFC 3706 6.2: far from wrapping */
	}
	v->dpd_misses = 0;
	if (wanted(v))
		arm(v, v->sa.last_rx_ms + v->sa.profile->dpd_interval_s * 1000ull);
	else
		ike_timer_stop(v->sa.ike, &v->dpd_timer);
}

static bool names_this_sa(const struct v1_sa *v, struct v1_span spi)
{
	return spi.len == 2 * V1_COOKIE_LEN && memcmp(spi.p, v1_cky_i(v), V1_COOKIE_LEN) == 0 &&
	       memcmp(spi.p + V1_COOKIE_LEN, v1_cky_r(v), V1_COOKIE_LEN) == 0;
}

bool v1_dpd_ask(struct v1_sa *v, uint32_t *seq)
{
	if (!v->dpd || v->sa.state != V1_QM_IDLE || v->sa.phase != IKE_PHASE_ESTABLISHED)
		return false;
	*seq = ++v->dpd_seq;
	if (!v->asking)
		v->ask_first = *seq;
	v->asking = true;
	send_seq(v, V1_N_R_U_THERE, *seq);
	return true;
}

/* DPD-9: is it the answer to a probe or a question that is waiting, and not to an old one, replayed? */
static bool expected(struct v1_sa *v, uint32_t seq)
{
	bool probe = v->dpd_misses && seq - v->dpd_first <= v->dpd_seq - v->dpd_first;
	bool question = v->asking && seq - v->ask_first <= v->dpd_seq - v->ask_first;
	if (question) {
		v->ask_first = seq + 1;
		v->asking = seq != v->dpd_seq;
		v1_quick_answered(v, seq);
	}
	return probe || question;
}

bool v1_dpd_notify(struct v1_sa *v, const struct v1_notify_msg *n)
{
	if (n->data.len != 4 || !names_this_sa(v, n->spi))
		return false;
	uint32_t seq = rd32(n->data.p);
	if (n->type == V1_N_R_U_THERE_ACK)
		return expected(v, seq);
	if (v->dpd_peer_seen && (int32_t)(seq - v->dpd_peer_seq) < 0)
		return false;
	bool fresh = !v->dpd_peer_seen || seq != v->dpd_peer_seq;
	v->dpd_peer_seen = true;
	v->dpd_peer_seq = seq;
	send_seq(v, V1_N_R_U_THERE_ACK, seq);
	return fresh;
}
