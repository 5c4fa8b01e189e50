/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SA table and its transactions. What a command needs (keys expanded, headers prebuilt) is made when it is staged,
 * so that key material is nowhere else; prepare() only checks ids against the shadow view; publish() stores pointers.
 */
#include "sa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_udp.h>

#include "addr_hash.h"
#include "cv_array.h"
#include "flow_change.h"
#include "idmap.h"
#include "ipsec.h"
#include "sa_limit.h"
#include "sa_owner.h"
#include "spd.h"
#include "tunnel.h"

#define OUTER_TTL 64
#define SA_ALIGN (2u * RTE_CACHE_LINE_SIZE) /* CPUs fetch lines in pairs: the two hot ones are one */
/* Rekey this many sequence numbers before the last one (RFC 4303 3.3.3): some ten seconds at the highest rates. */
#define SEQ_MARGIN (UINT64_C(1) << 28)

struct sa **sa_table;

struct op {
	uint16_t type;
	struct sa *sa; /* ADD: the new SA. UPDATE: made in prepare */
	struct cv_sa_ref ref;
	struct cv_sa_update update;
};

static struct {
	struct op *op;
	uint32_t n, cap;
	bool sync;
	struct idmap shadow; /* index -> SA as it will be; GONE = removed. In a SYNC: only what was named */
} txn;

static char gone_mark;
#define GONE ((struct sa *)(void *)&gone_mark)

static struct idmap by_rule; /* rule_id -> index + 1 as a pointer: newest published outbound SA */
static uint64_t order;
static uint32_t count;

int sa_init(void)
{
	sa_table = rte_zmalloc("sa_table", CV_SA_MAX * sizeof(*sa_table), RTE_CACHE_LINE_SIZE);
	return sa_table ? 0 : -ENOMEM;
}

uint32_t sa_count(void)
{
	return count;
}

uint32_t sa_rule_first(uint32_t rule_id)
{
	return rule_id < IDMAP_MAX ? (uint32_t)(uintptr_t)idmap_get(&by_rule, rule_id) : CV_SA_NONE;
}

/* ---- objects ---- */

static void sa_free(void *arg)
{
	struct sa *sa = arg;
	if (sa->state && --sa->state->refs == 0) {
		ipsec_crypto()->session_destroy((struct crypto_session *)(uintptr_t)sa->session);
		rte_free(sa->state);
	}
	cv_secret_zero(sa, sizeof(*sa)); /* the salt is key material */
	rte_free(sa);
}

static int fail(char *text, enum cv_err err, const char *what, uint32_t index)
{
	snprintf(text, 128, "sa %u: %s", index, what);
	return err;
}

static bool af_ok(uint8_t af)
{
	return af == CV_AF_INET || af == CV_AF_INET6;
}

static const char *wrong(const struct cv_sa *c)
{
	if (c->index == CV_SA_NONE || c->index >= CV_SA_MAX || c->spi < 256)
		return "index or SPI out of range";
	if (c->dir != CV_SA_IN && c->dir != CV_SA_OUT)
		return "no such direction";
	if (c->dir == CV_SA_IN && (c->spi & (CV_SA_MAX - 1u)) != c->index)
		return "inbound SPI does not carry the index";
	if (!af_ok(c->src.af) || c->src.af != c->dst.af)
		return "outer addresses of different families";
	if (c->n_sel < 1 || c->n_sel > CV_SA_SEL_MAX)
		return "number of selectors";
	for (unsigned i = 0; i < c->n_sel; i++)
		if (!af_ok(c->sel[i].src.lo.af) || c->sel[i].src.lo.af != c->sel[i].dst.lo.af)
			return "selector of mixed families";
	if (c->front_vrf >= CV_VRF_MAX || c->inside_vrf >= CV_VRF_MAX || c->rule_id >= IDMAP_MAX)
		return "VRF or rule out of range";
	if (c->tunnel_if >= CV_IF_MAX)
		return "tunnel interface out of range";
	if (c->replay_window > REPLAY_WINDOW_MAX)
		return "replay window too large";
	if (c->key_len != algo_key_len(c->encr, c->integ))
		return "key length does not fit the algorithm";
	return NULL;
}

static const char *not_done(const struct cv_sa *c)
{
	if (c->ipproto == IPPROTO_AH && c->flags & CV_SA_F_UDP_ENCAP)
		return "AH does not pass a NAT (RFC 3948 section 1)";
	if (c->ipproto == IPPROTO_AH && c->cpi)
		return "compression is for ESP";
	if (c->outer_index && c->flags & CV_SA_F_BUNDLED)
		return "bundles are two SAs deep";
	return NULL;
}

/*
 * Outer IPv6: one flow label for all packets of an SA, so that routers which spread by it keep them on one path (RFC
 * 6437, RFC 6438); per inner flow it would show how many there are. Never 0, which says nothing.
 */
static uint32_t flow_label(const struct sa_conf *c, uint32_t spi)
{
	uint32_t h = addr_hash(&c->dst, addr_hash(&c->src, spi));
	h = (h ^ h >> 12) & RTE_IPV6_HDR_FL_MASK;
	return h ? h : 1;
}

static uint8_t outer_length(const struct sa_conf *c)
{
	return (uint8_t)((c->src.af == CV_AF_INET ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr)) +
			 (c->flags & CV_SA_F_UDP_ENCAP ? sizeof(struct rte_udp_hdr) : 0));
}

/* Outer IP, UDP and SPI as they go on the wire; lengths, ID, TOS and checksum are filled in per packet. */
static void template_build(struct sa *sa)
{
	const struct sa_conf *c = &sa->conf;
	uint8_t *p = sa->tmpl;
	uint8_t proto = c->flags & CV_SA_F_UDP_ENCAP ? IPPROTO_UDP : c->ipproto;
	memset(sa->tmpl, 0, sizeof(sa->tmpl));
	sa->mtu = sa->route = UINT64_MAX; /* of no generation */
	if (c->src.af == CV_AF_INET) {
		struct rte_ipv4_hdr *ip = (void *)p;
		ip->version_ihl = RTE_IPV4_VHL_DEF;
		ip->time_to_live = OUTER_TTL;
		ip->next_proto_id = proto;
		memcpy(&ip->src_addr, c->src.b, 4);
		memcpy(&ip->dst_addr, c->dst.b, 4);
		sa->cksum = rte_raw_cksum(ip, sizeof(*ip));
		p += sizeof(*ip);
	} else {
		struct rte_ipv6_hdr *ip = (void *)p;
		ip->vtc_flow = rte_cpu_to_be_32(6u << 28 | flow_label(c, sa->spi));
		ip->proto = proto;
		ip->hop_limits = OUTER_TTL;
		memcpy(ip->src_addr, c->src.b, 16);
		memcpy(ip->dst_addr, c->dst.b, 16);
		p += sizeof(*ip);
	}
	if (c->flags & CV_SA_F_UDP_ENCAP) {
		struct rte_udp_hdr *udp = (void *)p;
		udp->src_port = rte_cpu_to_be_16(c->udp_src);
		udp->dst_port = rte_cpu_to_be_16(c->udp_dst);
		p += sizeof(*udp);
	}
	uint32_t spi = rte_cpu_to_be_32(sa->spi);
	memcpy(p, &spi, sizeof(spi));
}

static void inbound_build(struct sa *sa)
{
	const struct sa_conf *c = &sa->conf;
	memset(sa->tmpl, 0, sizeof(sa->tmpl));
	memcpy(sa->in.local, c->dst.b, 16);
	memcpy(sa->in.remote, c->src.b, 16);
	sa->in.replay = sa->state->replay;
	sa->replay_mask = sa->state->replay->mask;
	sa->in.outer = c->outer_index;
	sa->in.tunnel = c->tunnel_if;
	sa->local_generation = UINT32_MAX; /* of no generation */
	sa->udp_peer = c->udp_src;
	const struct flow_sel *s = &sa->sel[0];
	if (sa->n_sel != 1 || s->af != CV_AF_INET || s->proto || !s->any_ports)
		return;
	sa->in.sel_local = (uint32_t)s->src_lo;
	sa->in.sel_local_span = (uint32_t)(s->src_hi - s->src_lo);
	sa->in.sel_remote = (uint32_t)s->dst_lo;
	sa->in.sel_remote_span = (uint32_t)(s->dst_hi - s->dst_lo);
	sa->flags |= SA_F_SEL4;
}

static enum sa_iv iv_source(const struct algo_encr *encr)
{
	if (encr->icv_len)
		return SA_IV_AEAD;
	if (encr->iv_len == 0)
		return SA_IV_NONE;
	return encr->salt_len ? SA_IV_CTR : SA_IV_RANDOM;
}

static bool is_gcm(uint16_t encr)
{
	return encr >= CV_ENCR_AES128_GCM8 && encr <= CV_ENCR_AES256_GCM16;
}

static enum sa_kind kind_of(const struct sa_conf *c)
{
	if (c->ipproto == IPPROTO_AH)
		return SA_AH;
	if (c->mode == CV_SA_TRANSPORT)
		return SA_ESP_TRANSPORT;
	if (c->cpi)
		return SA_ESP_COMP;
	return is_gcm(c->encr) && !(c->flags & CV_SA_F_ESN) ? SA_ESP_PLAIN : SA_ESP_TUNNEL;
}

/* Everything that follows from conf and dir. */
static void sa_derive(struct sa *sa)
{
	const struct sa_conf *c = &sa->conf;
	const struct algo_encr *encr = algo_encr_get(c->encr);
	const struct algo_integ *integ = algo_integ_get(c->integ);
	sa->iv_len = (uint8_t)(encr ? encr->iv_len : integ->iv_len);
	sa->iv = (uint8_t)(encr ? iv_source(encr) : SA_IV_NONE);
	sa->kind = (uint8_t)kind_of(c);
	sa->icv_len = (uint8_t)(integ ? integ->icv_len : encr->icv_len);
	sa->pad_mask = (uint8_t)(encr ? encr->block - 1 : 0);
	sa->outer_af = c->src.af;
	sa->outer_len = outer_length(c);
	sa->flags = 0;
	if (c->soft_bytes || c->hard_bytes)
		sa->flags |= SA_F_BYTE_LIMIT;
	if (sa->dir == CV_SA_IN && (c->soft_packets || c->hard_packets))
		sa->flags |= SA_F_PACKET_LIMIT;
	if (c->flags & CV_SA_F_UDP_ENCAP)
		sa->flags |= SA_F_UDP;
	if (c->flags & CV_SA_F_ESN)
		sa->flags |= SA_F_ESN;
	if (c->outer_index)
		sa->flags |= SA_F_NESTED;
	if (c->flags & CV_SA_F_SET_DF)
		sa->flags |= SA_F_DF_SET;
	if (c->flags & CV_SA_F_CLEAR_DF)
		sa->flags |= SA_F_DF_CLEAR;
	if (sa->dir == CV_SA_OUT)
		template_build(sa);
	else
		inbound_build(sa);
}

static uint64_t limit(uint64_t v)
{
	return v ? v : UINT64_MAX;
}

static struct sa_state *state_new(const struct cv_sa *c)
{
	const uint32_t window = c->flags & CV_SA_F_NO_REPLAY ? 0
				: c->replay_window	     ? c->replay_window
							     : REPLAY_WINDOW_DEFAULT;
	const size_t words = c->dir == CV_SA_IN ? replay_size(window) - sizeof(struct replay) : 0;
	struct sa_state *st = rte_zmalloc("sa_state", sizeof(*st) + words, RTE_CACHE_LINE_SIZE);
	if (!st)
		return NULL;
	st->refs = 1;
	st->owner = SA_NOBODYS;
	st->soft_bytes = limit(c->soft_bytes);
	st->hard_bytes = limit(c->hard_bytes);
	st->soft_packets = limit(c->soft_packets);
	st->hard_packets = limit(c->hard_packets);
	if (c->dir == CV_SA_IN) {
		st->replay = sa_window(st);
		replay_init(st->replay, window);
	} else {
		const uint64_t last = c->flags & CV_SA_F_ESN ? UINT64_MAX : UINT32_MAX;
		st->soft_seq = RTE_MIN(limit(c->soft_packets), last - SEQ_MARGIN);
		st->hard_seq = RTE_MIN(limit(c->hard_packets), last);
	}
	return st;
}

/* A pair with one selector each and a window of 1024 packets, beside its keys and what the allocator adds (64 bytes a
 * piece). */
_Static_assert(
	2 * (sizeof(struct sa) + sizeof(struct flow_sel) + sizeof(struct sa_state)) + 64 * sizeof(uint64_t) + 4 * 64 <=
		2048,
	"the aim of the dataplane's memory per pair of SAs");

static size_t sa_size(uint32_t n_sel)
{
	return sizeof(struct sa) + n_sel * sizeof(struct flow_sel);
}

/* What the command says about the SA itself. */
static void sa_take(struct sa *sa, const struct cv_sa *c)
{
	sa->spi = c->spi;
	sa->index = c->index;
	sa->dir = c->dir;
	sa->front_vrf = c->front_vrf;
	sa->inside_vrf = c->inside_vrf;
	sa->rule_id = c->rule_id;
	sa->n_sel = (uint8_t)c->n_sel;
	for (unsigned i = 0; i < c->n_sel; i++)
		flow_sel_from(&c->sel[i], &sa->sel[i]);
	sa->conf = (struct sa_conf){.src = c->src,
		.dst = c->dst,
		.flags = c->flags,
		.outer_index = c->outer_index,
		.tunnel_if = c->tunnel_if,
		.replay_window = c->replay_window,
		.soft_bytes = c->soft_bytes,
		.hard_bytes = c->hard_bytes,
		.soft_packets = c->soft_packets,
		.hard_packets = c->hard_packets,
		.udp_src = c->udp_src,
		.udp_dst = c->udp_dst,
		.path_mtu = c->path_mtu,
		.cpi = c->cpi,
		.mode = c->mode,
		.ipproto = c->ipproto,
		.encr = c->encr,
		.integ = c->integ,
		.resource = c->resource};
}

static int sa_make(const struct cv_sa *c, struct sa **out, char *text)
{
	const char *why = algo_pair_wrong(c->ipproto, c->encr, c->integ);
	if (!why)
		why = wrong(c);
	if (why)
		return fail(text, CV_ERR_MALFORMED, why, c->index);
	why = not_done(c);
	if (why)
		return fail(text, CV_ERR_UNSUPPORTED, why, c->index);
	struct sa *sa = rte_zmalloc("sa", sa_size(c->n_sel), SA_ALIGN);
	struct crypto_session *session = NULL;
	int err = ipsec_crypto()->session_create(&(struct crypto_conf){.encr = c->encr,
							 .integ = c->integ,
							 .esn = c->flags & CV_SA_F_ESN,
							 .encrypt = c->dir == CV_SA_OUT,
							 .key = c->key,
							 .key_len = c->key_len},
		&session);
	struct sa_state *st = state_new(c);
	if (!sa || err || !st) {
		ipsec_crypto()->session_destroy(session);
		rte_free(st);
		rte_free(sa);
		return err == -ENOTSUP
			       ? fail(text, CV_ERR_UNSUPPORTED, "the crypto engine cannot do this algorithm", c->index)
			       : fail(text, CV_ERR_NO_MEMORY, "cannot create", c->index);
	}
	sa->session = session;
	sa->state = st;
	sa_take(sa, c);
	sa_derive(sa);
	sa_limit_start(sa);
	const struct algo_encr *encr = algo_encr_get(c->encr);
	const struct algo_integ *integ = algo_integ_get(c->integ);
	if (encr && encr->salt_len)
		memcpy(&sa->salt, c->key + encr->key_len, sizeof(sa->salt));
	else if (integ && integ->salt_len)
		memcpy(&sa->salt, c->key + integ->key_len, sizeof(sa->salt));
	*out = sa;
	return CV_OK;
}

/* A new version of an SA with another outer endpoint; sequence numbers, window and keys are the same objects. */
static struct sa *sa_moved(const struct sa *old, const struct cv_sa_update *u)
{
	struct sa *sa = rte_malloc("sa", sa_size(old->n_sel), SA_ALIGN);
	if (!sa)
		return NULL;
	memcpy(sa, old, sa_size(old->n_sel));
	sa->state->refs++;
	sa->conf.src = u->src;
	sa->conf.dst = u->dst;
	sa->conf.udp_src = u->udp_src;
	sa->conf.udp_dst = u->udp_dst;
	const uint32_t change = CV_SA_F_UDP_ENCAP | CV_SA_F_EGRESS;
	sa->conf.flags = (sa->conf.flags & ~change) | (u->flags & change);
	sa_derive(sa);
	return sa;
}

/* ---- stage ---- */

static int sa_stage(uint16_t type, const void *body, char *text)
{
	struct op o = {.type = type};
	struct op *p = cv_array_room(txn.op, txn.n, &txn.cap, sizeof(*p));
	if (!p)
		return fail(text, CV_ERR_NO_MEMORY, "no memory for change", txn.n);
	txn.op = p;
	int err = CV_OK;
	switch (type) {
	case CV_CMD_SA_ADD:
		err = sa_make(body, &o.sa, text);
		if (!err)
			o.ref = (struct cv_sa_ref){.index = o.sa->index, .spi = o.sa->spi};
		break;
	case CV_CMD_SA_DEL:
	case CV_CMD_SA_KEEP:
		o.ref = *(const struct cv_sa_ref *)body;
		break;
	case CV_CMD_SA_UPDATE:
		o.update = *(const struct cv_sa_update *)body;
		o.ref = o.update.ref;
		if (!af_ok(o.update.src.af) || o.update.src.af != o.update.dst.af)
			err = fail(text, CV_ERR_MALFORMED, "outer addresses of different families", o.ref.index);
		break;
	default:
		err = fail(text, CV_ERR_MALFORMED, "unexpected command", type);
	}
	if (!err && (o.ref.index == CV_SA_NONE || o.ref.index >= CV_SA_MAX))
		err = fail(text, CV_ERR_MALFORMED, "index out of range", o.ref.index);
	if (!err)
		txn.op[txn.n++] = o;
	return err;
}

static void sa_sync(void)
{
	txn.sync = true;
}

/* ---- prepare ---- */

/* The SA of an index as this transaction leaves it so far. */
static struct sa *shadow(uint32_t index)
{
	struct sa *sa = idmap_get(&txn.shadow, index);
	if (sa)
		return sa == GONE ? NULL : sa;
	return txn.sync ? NULL : sa_table[index];
}

static int apply(struct op *o, char *text)
{
	struct sa *cur = shadow(o->ref.index), *next = GONE;
	if (o->type == CV_CMD_SA_ADD) {
		if (cur)
			return fail(text, CV_ERR_EXISTS, "index in use", o->ref.index);
		const struct sa *outer = o->sa->conf.outer_index ? shadow(o->sa->conf.outer_index) : o->sa;
		if (!outer || outer->dir != o->sa->dir)
			return fail(text, CV_ERR_NOT_FOUND, "its outer SA does not exist", o->ref.index);
		if (outer != o->sa && !(outer->conf.flags & CV_SA_F_BUNDLED))
			return fail(text, CV_ERR_STATE, "its outer SA is not one of a bundle", o->ref.index);
		if (o->sa->rule_id && !spd_rule_prepared(o->sa->rule_id))
			return fail(text, CV_ERR_NOT_FOUND, "its rule does not exist", o->ref.index);
		next = o->sa;
	} else {
		if (o->type == CV_CMD_SA_KEEP && !cur)
			cur = sa_table[o->ref.index];
		if (!cur || cur->spi != o->ref.spi)
			return fail(text, CV_ERR_NOT_FOUND, "no SA with this SPI", o->ref.index);
		if (o->type == CV_CMD_SA_KEEP)
			next = cur;
		if (o->type == CV_CMD_SA_UPDATE && !(next = o->sa = sa_moved(cur, &o->update)))
			return fail(text, CV_ERR_NO_MEMORY, "no memory", o->ref.index);
	}
	return idmap_set(&txn.shadow, o->ref.index, next) ? fail(text, CV_ERR_NO_MEMORY, "no memory", o->ref.index)
							  : CV_OK;
}

static int sa_prepare(char *text)
{
	for (uint32_t i = 0; i < txn.n; i++) {
		int err = apply(&txn.op[i], text);
		if (err)
			return err;
		/* room in the rule map now, so that publishing cannot fail */
		const struct sa *sa = txn.op[i].sa;
		if (sa && !idmap_get(&by_rule, sa->rule_id) && idmap_set(&by_rule, sa->rule_id, NULL))
			return fail(text, CV_ERR_NO_MEMORY, "no memory", sa->index);
	}
	return CV_OK;
}

/* ---- publish ---- */

static bool used_by_rule(const struct sa *sa)
{
	return sa->dir == CV_SA_OUT && !(sa->conf.flags & CV_SA_F_BUNDLED);
}

static void rule_link(struct sa *sa)
{
	sa->next_in_rule = sa_rule_first(sa->rule_id);
	idmap_set(&by_rule, sa->rule_id, (void *)(uintptr_t)sa->index);
}

static void rule_unlink(const struct sa *sa)
{
	uint32_t at = sa_rule_first(sa->rule_id);
	if (at == sa->index) {
		idmap_set(&by_rule, sa->rule_id, (void *)(uintptr_t)sa->next_in_rule);
		return;
	}
	while (at && sa_table[at]->next_in_rule != sa->index)
		at = sa_table[at]->next_in_rule;
	if (at)
		sa_table[at]->next_in_rule = sa->next_in_rule;
}

/* Those who send by the SAs of this one's rule take the newest. */
static void rebind(const struct sa *sa)
{
	spd_rule_rebind(sa->rule_id);
	if (sa->conf.tunnel_if)
		tunnel_use_sa(sa->conf.tunnel_if, sa->rule_id, sa_rule_first(sa->rule_id));
}

static void set_slot(uint32_t index, struct sa *sa)
{
	const struct sa *old = sa_table[index];
	__atomic_store_n(&sa_table[index], sa, __ATOMIC_RELEASE);
	if (old)
		flow_change_sa(index);
}

/* Take an SA out of use. The rule's bindings go first, so that no worker is sent to an empty slot. */
static void remove_published(struct sa *sa)
{
	if (used_by_rule(sa)) {
		rule_unlink(sa);
		rebind(sa);
	}
	if (sa_table[sa->index] == sa) {
		set_slot(sa->index, NULL);
		count--;
	}
	dp_defer(sa_free, sa);
}

/* New SAs and new versions first: make before break. */
static void publish_new(void)
{
	for (uint32_t i = 0; i < txn.n; i++) {
		struct sa *sa = txn.op[i].sa;
		if (!sa)
			continue;
		if (idmap_get(&txn.shadow, sa->index) != sa) {
			sa_free(sa); /* replaced by a later command of the same transaction, never seen by anyone */
			continue;
		}
		struct sa *old = sa_table[sa->index];
		if (old && old->state == sa->state) { /* moved: keeps its place among the rule's SAs */
			sa->next_in_rule = old->next_in_rule;
			sa->order = old->order;
			set_slot(sa->index, sa);
			dp_defer(sa_free, old);
			continue;
		}
		if (old)
			remove_published(old);
		sa->order = ++order;
		set_slot(sa->index, sa);
		count++;
		if (used_by_rule(sa)) {
			rule_link(sa);
			rebind(sa);
		}
	}
}

static void remove_named(void)
{
	for (uint32_t i = 0; i < txn.n; i++) {
		uint32_t index = txn.op[i].ref.index;
		if (idmap_get(&txn.shadow, index) == GONE && sa_table[index])
			remove_published(sa_table[index]);
	}
}

static void sweep(void)
{
	for (uint32_t i = 1; i < CV_SA_MAX; i++)
		if (sa_table[i] && !shadow(i))
			remove_published(sa_table[i]);
}

static void txn_reset(void)
{
	txn.n = 0;
	txn.sync = false;
	idmap_clear(&txn.shadow);
}

static void sa_publish(void)
{
	publish_new();
	remove_named();
	if (txn.sync)
		sweep();
	txn_reset();
}

static void sa_abort(void)
{
	for (uint32_t i = 0; i < txn.n; i++)
		if (txn.op[i].sa)
			sa_free(txn.op[i].sa);
	txn_reset();
}

const struct dp_module sa_module = {
	.name = "sa",
	.stage = sa_stage,
	.sync = sa_sync,
	.prepare = sa_prepare,
	.publish = sa_publish,
	.abort = sa_abort,
};

void sa_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out)
{
	const uint32_t max = sizeof(out->entries) / sizeof(struct cv_sa_entry);
	struct cv_sa_entry *e = (struct cv_sa_entry *)out->entries;
	out->n = 0;
	out->next = 0;
	out->entry_size = sizeof(*e);
	for (uint64_t i = req->cursor ? req->cursor : 1; i < CV_SA_MAX; i++) {
		const struct sa *sa = sa_table[i];
		if (!sa)
			continue;
		if (out->n == max) {
			out->next = i;
			return;
		}
		const struct sa_state *st = sa->state;
		e[out->n++] = (struct cv_sa_entry){.ref = {.index = sa->index, .spi = sa->spi},
			.dir = sa->dir,
			.mode = sa->conf.mode,
			.ipproto = sa->conf.ipproto,
			.encr = sa->conf.encr,
			.integ = sa->conf.integ,
			.flags = (uint16_t)sa->conf.flags,
			.rule_id = sa->rule_id,
			.seq = __atomic_load_n(sa->dir == CV_SA_OUT ? &st->seq : &st->replay->top, __ATOMIC_RELAXED)};
	}
}
