/* SPDX-License-Identifier: BSD-3-Clause */
/* Pairs of SAs that IKE negotiates: the messages that bring them into the dataplane and out of it. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "child_priv.h"
#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"
#include "cv_secret.h"
#include "temporary.h"
#include "virtual_access.h"

/* ---- messages ---- */

/* As responder IKE does not know the rule: it is the first one of the entry, applied where the packet came in, that
 * covers what was negotiated (IPSEC-36). */
static uint32_t rule_for(const struct control *c, const struct ike_child_params *p)
{
	unsigned n;
	const struct entry_rule *of = desired_rules_of(c->desired, p->entry, &n);

	for (unsigned i = 0; i < n; i++) {
		const struct rule_ref *r = desired_rule(c->desired, of[i].rule_id);

		if (r && r->fvrf == p->path.vrf && path_if_has(r->local, &p->path.local) && p->n_sel &&
			cv_selector_contains(&r->line->sel, &p->sel[0]))
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

/* The tunnel interface whose pair it is, 0 = none. */
static uint32_t tunnel_of(const struct child *ch)
{
	const struct rule_ref *r = desired_rule(ch->c->desired, ch->rule_id);

	return r ? r->tunnel_if : 0;
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
	sa->outer_index = ch->ah ? child_index(ch->ah, out ? CHILD_OUT : CHILD_IN) : 0;
	sa->ipproto = ch->suite.encr ? IPPROTO_ESP : IPPROTO_AH;
	sa->encr = ch->suite.encr;
	sa->integ = ch->suite.encr ? ch->suite.integ : ch->suite.ah;
	sa->flags = ch->egress | (ch->udp_encap ? CV_SA_F_UDP_ENCAP : 0) | (ch->esn ? CV_SA_F_ESN : 0) |
		    (ch->replay_window ? 0 : CV_SA_F_NO_REPLAY) | (ch->bundled ? CV_SA_F_BUNDLED : 0) |
		    (ch->per_resource ? CV_SA_F_PER_RESOURCE : 0);
	sa->resource = out ? ch->resource : 0;
	sa->replay_window = ch->replay_window;
	sa->front_vrf = ch->path.vrf;
	sa->inside_vrf = ch->ivrf;
	sa->rule_id = ch->rule_id;
	sa->tunnel_if = tunnel_of(ch);
	sa->src = out ? ch->path.local : ch->path.remote;
	sa->dst = out ? ch->path.remote : ch->path.local;
	sa->udp_src = out ? ch->path.lport : ch->path.rport;
	sa->udp_dst = out ? ch->path.rport : ch->path.lport;
	sa->n_sel = (uint16_t)ch->n_sel;
	memcpy(sa->sel, ch->sel, ch->n_sel * sizeof(sa->sel[0]));
	if (ch->suite.comp)
		sa->cpi = out ? ch->cpi_out : ch->cpi_in;
	if (!ch->bundled) /* those of ESP inside are reached first */
		set_limits(sa, ch);
}

static void send_del(struct child *ch, unsigned half)
{
	struct cv_sa_ref ref = {.index = child_index(ch, half), .spi = half == CHILD_OUT ? ch->spi_out : ch->spi_in};

	if (ch->halves & half)
		dpclient_command(ch->c->dp, CV_CMD_SA_DEL, &ref, sizeof(ref), NULL, NULL);
	ch->halves &= (uint8_t)~half;
}

/* Of both pairs of a bundle; outbound the inner one first, so that nothing leaves with AH or ESP alone. */
static void send_del_both(struct child *ch, unsigned half)
{
	send_del(ch, half);
	if (ch->ah)
		send_del(ch->ah, half);
}

/* To both areas: what there is, and who encrypts for it. */
static void debug_installed(const struct child *ch)
{
	const enum debug_level *on = ch->c->debug.level;
	char suite[ALGO_SUITE_STR];

	if (on[DEBUG_IPSEC] == DEBUG_OFF && on[DEBUG_ENGINE] == DEBUG_OFF)
		return;
	algo_suite_name(ch->suite, suite);
	if (ch->err) {
		debug_child(DEBUG_IPSEC, true, ch, "not installed: %s", strerror(-ch->err));
		debug_child(DEBUG_ENGINE, true, ch, "%s refused by %s: %s", suite, ch->c->info.provider,
			strerror(-ch->err));
		return;
	}
	debug_child(DEBUG_IPSEC, false, ch, "%s%s: %s, %s mode%s, %u seconds, %llu kilobytes, replay window %u",
		ch->halves & CHILD_OUT ? "installed" : "installed inbound", ch->ah ? ", AH around ESP" : "", suite,
		ch->transport ? "transport" : "tunnel", ch->udp_encap ? " in UDP" : "", ch->lifetime_s,
		(unsigned long long)ch->lifetime_kb, ch->replay_window);
	debug_child(DEBUG_ENGINE, false, ch, "%s by %s", suite, ch->c->info.provider);
}

static void all_answered(struct child *ch)
{
	struct child_table *t = ch->c->children;
	void (*cb)(void *arg, int err) = ch->cb;

	debug_installed(ch);
	if (ch->err) { /* all or nothing */
		send_del_both(ch, CHILD_OUT);
		send_del_both(ch, CHILD_IN);
	} else if ((cb || ch->manual) && !ch->released) {
		session_child(ch->c->sessions, ch, true);
	}
	ch->cb = NULL;
	ch->pending++; /* cb may release the pair */
	if (cb)
		cb(ch->arg, ch->err);
	ch->pending--;
	if (ch->ah)
		child_put(t, ch->ah);
	child_put(t, ch);
}

/* The pair that IKE knows counts the answers to all of a bundle, so it is not freed before the other one. */
static struct child *head_of(struct child *ch)
{
	return ch->bundled ? ch->esp : ch;
}

static void pending_add(struct child *ch)
{
	ch->pending++;
	if (ch->bundled)
		ch->esp->pending++;
}

static void half_answered(struct child *ch, unsigned half, int err, const struct cv_reply *rep)
{
	struct child *head = head_of(ch);

	if (err) {
		ch->halves &= (uint8_t)~half;
		if (!head->err)
			head->err = err == -EREMOTEIO && rep->err == CV_ERR_UNSUPPORTED ? -ENOTSUP : err;
		cv_warn("control", "IPsec SA 0x%08x: %s", half == CHILD_OUT ? ch->spi_out : ch->spi_in,
			rep ? (rep->text[0] ? rep->text : dp_err_str(rep->err)) : "no dataplane");
	}
	if (head != ch)
		ch->pending--;
	if (--head->pending == 0)
		all_answered(head);
}

static void in_answered(void *arg, int err, const struct cv_reply *rep)
{
	half_answered(arg, CHILD_IN, err, rep);
}

static void out_answered(void *arg, int err, const struct cv_reply *rep)
{
	half_answered(arg, CHILD_OUT, err, rep);
}

static void send_add(struct child *ch, unsigned half, const struct cv_sa *sa,
	void (*answered)(void *arg, int err, const struct cv_reply *rep))
{
	pending_add(ch);
	ch->halves |= (uint8_t)half;
	ch->seen |= (uint8_t)half;
	child_counters_begin(ch, half);
	/* cannot fail: the caller has looked that there is a connection */
	dpclient_command(ch->c->dp, CV_CMD_SA_ADD, sa, sizeof(*sa), answered, ch);
}

/* ---- ike_ops ---- */

struct child *child_from_params(struct control *c, uint32_t id, const struct ike_child_params *p)
{
	unsigned n_sel = p->n_sel <= CV_SA_SEL_MAX ? p->n_sel : CV_SA_SEL_MAX;
	struct child *ch = calloc(1, sizeof(*ch) + n_sel * sizeof(ch->sel[0]));

	if (!ch)
		return NULL;
	ch->c = c;
	ch->id = id;
	ch->spi_in = p->spi_in;
	ch->spi_out = p->spi_out;
	ch->path = p->path;
	ch->ivrf = config_inside_vrf(p->entry->profile_ref, p->path.vrf);
	ch->udp_encap = p->udp_encap;
	ch->initiator = p->initiator;
	ch->suite = p->suite;
	if (p->suite.encr)
		ch->suite.ah = CV_INTEG_NONE; /* of a bundle: child_bundle() */
	ch->esn = p->esn;
	ch->cpi_in = p->cpi_in;
	ch->cpi_out = p->cpi_out;
	ch->transport = p->transport;
	ch->per_resource = p->per_resource;
	ch->resource = p->resource;
	ch->n_sel = n_sel;
	memcpy(ch->sel, p->sel, ch->n_sel * sizeof(ch->sel[0]));
	ch->lifetime_s = p->lifetime_s;
	ch->lifetime_kb = p->lifetime_kb;
	ch->replay_window = p->entry->replay_window;
	ch->added_ms = ch->active_ms = host_now_ms(c);
	if (!cfg_entry_is_dynamic(p->entry)) /* else it will be a temporary rule */
		ch->rule_id = desired_rule(c->desired, p->rule_id) ? p->rule_id : rule_for(c, p);
	ch->egress = egress_flags(ch);
	return ch;
}

bool child_bundle(struct child *esp, uint32_t id, const struct ike_child_params *p)
{
	const size_t size = sizeof(*esp) + esp->n_sel * sizeof(esp->sel[0]);
	struct child *ah = malloc(size);

	if (!ah)
		return false;
	memcpy(ah, esp, size);
	ah->id = id;
	ah->spi_in = p->ah_spi_in;
	ah->spi_out = p->ah_spi_out;
	ah->suite = (struct algo_suite){.ah = p->suite.ah};
	ah->transport = ah->bundled = true;
	ah->esp = esp;
	esp->ah = ah;
	return true;
}

void child_path_mtu(struct child_table *t, uint32_t fvrf, const struct cv_addr *remote, uint16_t mtu)
{
	for (struct child *ch = child_first_with(t, fvrf, remote); ch; ch = child_next_with(ch))
		ch->path_mtu = mtu;
}

/* A rekey is no traffic: the new pair of a flow is as idle as the old one (IDLE-1). Nor does it change the path. */
static void inherit(struct child_table *t, struct child *ch)
{
	uint64_t quiet = UINT64_MAX;

	const struct child *o = child_first_with(t, ch->path.vrf, &ch->path.remote);
	for (; o; o = child_next_with(o)) {
		if (o == ch || o->bundled)
			continue;
		ch->path_mtu = o->path_mtu;
		if (o->rule_id == ch->rule_id && o->n_sel == ch->n_sel &&
			!memcmp(o->sel, ch->sel, ch->n_sel * sizeof(ch->sel[0])) && child_quiet_s(o) < quiet)
			quiet = child_quiet_s(o);
	}
	if (quiet != UINT64_MAX)
		ch->active_ms = ch->added_ms - quiet * 1000;
}

void child_install(struct child *ch, const uint8_t *in, const uint8_t *out, uint16_t key_len, bool inbound_only)
{
	struct cv_sa sa;

	fill_common(&sa, ch, CV_SA_IN);
	sa.key_len = key_len;
	memcpy(sa.key, in, key_len);
	send_add(ch, CHILD_IN, &sa, in_answered);
	fill_common(&sa, ch, CV_SA_OUT);
	sa.key_len = key_len;
	memcpy(sa.key, out, key_len);
	if (inbound_only) {
		ch->out = malloc(sizeof(sa));
		if (!ch->out)
			abort();
		*ch->out = sa;
	} else {
		send_add(ch, CHILD_OUT, &sa, out_answered);
	}
	cv_secret_zero(&sa, sizeof(sa));
}

static bool reserved(const struct child_table *t, uint32_t id)
{
	return id < CHILD_PAIRS && t->state[id] == PAIR_RESERVED;
}

int child_add(void *ctx, const struct ike_child_params *p, struct ike_child_keys *keys, uint32_t *child_id,
	void (*cb)(void *arg, int err), void *arg)
{
	struct control *c = ctx;
	struct child_table *t = c->children;
	uint32_t id = p->index_in / 2, ah_id = p->ah_index_in / 2;
	struct child *ch;

	if (!dpclient_is_up(c->dp))
		return -ENOTCONN;
	if (!reserved(t, id) || keys->len > CV_SA_KEY_MAX || keys->ah_len > CV_SA_KEY_MAX ||
		(keys->ah_len && !reserved(t, ah_id)))
		return -EINVAL;
	ch = child_from_params(c, id, p);
	if (!ch)
		return -ENOMEM;
	if (cfg_entry_is_dynamic(p->entry)) {
		temporary_take(c, ch, p);
		ch->egress = egress_flags(ch);
	}
	if (!ch->rule_id) { /* the configuration has changed under the negotiation */
		free(ch);
		return -ENOENT;
	}
	if (keys->ah_len && !child_bundle(ch, ah_id, p)) {
		temporary_put(c, ch->rule_id);
		free(ch);
		return -ENOMEM;
	}
	child_table_put(t, ch);
	if (p->rekey)
		inherit(t, ch);
	*child_id = id;
	ch->cb = cb;
	ch->arg = arg;
	if (ch->ah) /* first: the inner SA names the outer one */
		child_install(ch->ah, keys->ah_in, keys->ah_out, keys->ah_len, p->inbound_only);
	child_install(ch, keys->in, keys->out, keys->len, p->inbound_only);
	cv_secret_zero(keys, sizeof(*keys));
	return 0;
}

static void activated(void *arg, int err, const struct cv_reply *rep)
{
	struct child *ch = arg;
	struct control *c = ch->c;
	uint32_t id = head_of(ch)->id;

	half_answered(ch, CHILD_OUT, err, rep);
	ch = child_get(c->children, id);
	if (err && ch && !ch->released)
		ike_child_expire(c->ike, id, true);
}

static void activate(struct child *ch)
{
	struct cv_sa *sa = ch->out;

	if (!sa)
		return;
	sa->src = ch->path.local; /* the peer may have moved meanwhile */
	sa->dst = ch->path.remote;
	sa->udp_src = ch->path.lport;
	sa->udp_dst = ch->path.rport;
	send_add(ch, CHILD_OUT, sa, activated);
	child_drop_out(ch);
}

void child_activate(void *ctx, uint32_t child_id)
{
	struct control *c = ctx;
	struct child *ch = child_get(c->children, child_id);

	if (!ch || !dpclient_is_up(c->dp))
		return;
	if (ch->ah)
		activate(ch->ah);
	activate(ch);
}

/* Out of IKE's hands: no more sending, receiving for linger_ms. Perhaps it is gone afterwards. */
static void release(struct child_table *t, struct child *ch, uint32_t linger_ms)
{
	struct child *before;

	debug_child(DEBUG_IPSEC, false, ch, "removed%s", linger_ms ? ", still received for a moment" : "");
	ch->released = true;
	child_drop_out(ch);
	send_del(ch, CHILD_OUT);
	if (!linger_ms || !(ch->halves & CHILD_IN)) {
		send_del(ch, CHILD_IN);
		child_put(t, ch);
		return;
	}
	ch->linger_until_ms = host_now_ms(t->c) + linger_ms;
	TAILQ_FOREACH_REVERSE(before, &t->linger, child_list, link)
	if (before->linger_until_ms <= ch->linger_until_ms)
		break;
	if (before)
		TAILQ_INSERT_AFTER(&t->linger, before, ch, link);
	else
		TAILQ_INSERT_HEAD(&t->linger, ch, link);
}

void child_del(void *ctx, uint32_t child_id, uint32_t linger_ms)
{
	struct control *c = ctx;
	struct child *ch = child_get(c->children, child_id), *ah = ch ? ch->ah : NULL;
	uint32_t rule_id = ch ? ch->rule_id : 0;

	if (!ch || ch->released || ch->bundled)
		return;
	c->children->n_held--;
	session_child(c->sessions, ch, false);
	release(c->children, ch, linger_ms);
	if (ah)
		release(c->children, ah, linger_ms);
	temporary_put(c, rule_id);
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

	for (; ch; ch = ch->ah) {
		ch->path = *path;
		child_rehash(c->children, ch);
		ch->udp_encap = udp_encap;
		send_update(ch, CHILD_IN);
		send_update(ch, CHILD_OUT);
		virtual_access_moved(c->virtual_access, ch);
	}
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
