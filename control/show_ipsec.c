/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * show crypto ipsec sa: interfaces, their flows, the SAs of each. What is listed is gathered and sorted first, by
 * number; the text is made in slices, with turns of the loop between them (control_rest).
 */
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "cv_array.h"
#include "show_priv.h"

/* A pair of SAs, or a configured flow that has none. */
struct item {
	uint32_t spd_id, rule_id;
	uint32_t id;		       /* of the pair; 0 = none */
	uint32_t flow;		       /* pairs of one flow have the same number */
	const struct cv_selector *sel; /* while items are gathered and sorted */
};

/* The sequence number that the dataplane knows of an SA. */
struct sequence {
	uint32_t index;
	uint64_t seq;
};

struct sas {
	struct control_rest rest; /* first */
	struct control *c;
	struct cv_addr peer;
	char *map;
	char *interface;
	int vrf; /* inside; with a peer the front one, as in `clear crypto sa` */
	struct item *item;
	unsigned n, cap, at;
	uint32_t spd_open; /* the interface being written, 0 = none */
	struct sequence *sequence;
	unsigned n_sequence, cap_sequence;
};

/* ---- gathering ---- */

static bool rule_wanted(const struct sas *x, const struct rule_ref *r)
{
	return (!x->map || !strcmp(x->map, r->entry->map->name)) &&
	       (!x->interface || !strcmp(rule_interface(x->c, r)->name, x->interface)) &&
	       (x->vrf < 0 || (uint32_t)x->vrf == (cv_addr_bits(&x->peer) ? r->fvrf : r->ivrf));
}

static struct item *add(struct sas *x, const struct rule_ref *r)
{
	x->item = cv_array_need(x->item, x->n, &x->cap, sizeof(*x->item));
	x->item[x->n] = (struct item){.spd_id = r->spd_id, .rule_id = r->rule_id};
	return &x->item[x->n++];
}

static bool entry_names_peer(const struct cfg_map_entry *e, const struct cv_addr *peer)
{
	for (unsigned i = 0; i < e->n_peer; i++)
		if (cv_addr_eq(&e->peer[i], peer))
			return true;
	return false;
}

static int by_flow(const void *pa, const void *pb)
{
	const struct item *a = pa, *b = pb;
	int d;

	if (a->spd_id != b->spd_id)
		return a->spd_id < b->spd_id ? -1 : 1;
	if (a->rule_id != b->rule_id)
		return a->rule_id < b->rule_id ? -1 : 1;
	d = a->sel && b->sel ? memcmp(a->sel, b->sel, sizeof(*a->sel)) : 0;
	return d ? d : a->id < b->id ? -1 : a->id > b->id;
}

static bool same_flow(const struct item *a, const struct item *b)
{
	return a->rule_id == b->rule_id && a->sel && b->sel && !memcmp(a->sel, b->sel, sizeof(*a->sel));
}

/* Configured flows without an SA are listed, too (as in MON-16: what is missing is visible). */
static void gather(struct sas *x)
{
	const struct desired *d = x->c->desired;
	bool *listed = calloc(d ? d->n_rule + 1 : 1, sizeof(*listed));

	if (!listed)
		abort();
	for (const struct child *ch = child_next(x->c->children, 0); ch; ch = child_next(x->c->children, ch->id)) {
		const struct rule_ref *r = desired_rule(d, ch->rule_id);
		struct item *i;

		if (!r || !ch->n_sel || !rule_wanted(x, r) ||
			(cv_addr_bits(&x->peer) && !cv_addr_eq(&x->peer, &ch->path.remote)))
			continue;
		i = add(x, r);
		i->id = ch->id;
		i->sel = &ch->sel[0];
		listed[r - d->rule] = true;
	}
	for (unsigned i = 0; d && i < d->n_rule; i++)
		if (!listed[i] && rule_wanted(x, &d->rule[i]) &&
			(!cv_addr_bits(&x->peer) || entry_names_peer(d->rule[i].entry, &x->peer)))
			add(x, &d->rule[i]);
	if (x->n)
		qsort(x->item, x->n, sizeof(*x->item), by_flow);
	for (unsigned i = 1; i < x->n; i++)
		x->item[i].flow = x->item[i - 1].flow + !same_flow(&x->item[i], &x->item[i - 1]);
	for (unsigned i = 0; i < x->n; i++)
		x->item[i].sel = NULL; /* its pair may be gone when its turn comes */
	free(listed);
}

/* ---- an SA ---- */

static int by_index(const void *pa, const void *pb)
{
	const struct sequence *a = pa, *b = pb;

	return a->index < b->index ? -1 : a->index > b->index;
}

static unsigned ah_size(const struct algo_integ *i, bool v6)
{
	unsigned ah = 12 + (i ? i->iv_len + i->icv_len : 0), align = v6 ? 8 : 4;

	return (ah + align - 1) / align * align;
}

/*
 * The largest packet before encapsulation that needs no fragments: in transport mode the packet with its own header.
 * RFC 4303 2 and 4302 2.2: padding to the cipher's block, an AH of a multiple of 4 (IPv6: 8) bytes.
 */
static unsigned inner_mtu(const struct child *ch, unsigned path_mtu)
{
	const struct algo_encr *e = algo_encr_get(ch->suite.encr);
	const struct algo_integ *i = algo_integ_get(e ? ch->suite.integ : ch->suite.ah);
	bool v6 = ch->path.local.af == CV_AF_INET6;
	unsigned ip = v6 ? 40 : 20, outer = ip + (ch->udp_encap ? 8 : 0), own = ch->transport ? ip : 0;

	if (!e) {
		outer += ah_size(i, v6);
		return path_mtu > outer ? path_mtu - outer + own : 0;
	}
	if (ch->ah)
		outer += ah_size(algo_integ_get(ch->ah->suite.ah), v6);
	outer += 8 + e->iv_len + (i ? i->icv_len : e->icv_len);
	if (path_mtu < outer + e->block)
		return 0;
	return (path_mtu - outer) / e->block * e->block - 2 + own;
}

/* pcp: the entry of compression beside that of ESP, which it shares its life with; its SPI is the CPI. */
static void write_sa(struct sas *x, struct show_text *t, const struct child *ch, const struct rule_ref *r,
	enum cv_sa_dir dir, bool pcp)
{
	const struct algo_encr *encr = algo_encr_get(ch->suite.encr);
	struct algo_suite suite = ch->suite;
	struct sequence key = {.index = 2 * ch->id + (dir == CV_SA_OUT)};
	const struct sequence *seq =
		x->n_sequence ? bsearch(&key, x->sequence, x->n_sequence, sizeof(key), by_index) : NULL;
	char text[ALGO_SUITE_STR];
	struct cv_sa_counters n, shown;

	suite.comp = ALGO_COMP_NONE; /* has an entry of its own */
	child_counters(ch, dir, &n);
	child_counters_shown(ch, dir, &shown);
	text_open(t, NULL, '{');
	text_str(t, "direction", dir == CV_SA_IN ? "inbound" : "outbound");
	text_str(t, "protocol", pcp ? "pcp" : encr ? "esp" : "ah");
	if (pcp)
		text_int(t, "spi", dir == CV_SA_IN ? ch->cpi_in : ch->cpi_out);
	else
		text_int(t, "spi", dir == CV_SA_IN ? ch->spi_in : ch->spi_out);
	text_str(t, "transform", pcp ? "comp-deflate" : algo_suite_manual(suite, text));
	text_str(t, "mode", ch->transport ? "Transport" : "Tunnel");
	text_flag(t, "udp_encaps", ch->udp_encap);
	text_flag(t, "esn", ch->esn);
	if (ch->per_resource)
		text_int(t, "worker", ch->resource);
	text_int(t, "slot", 0);
	text_int(t, "conn_id", key.index); /* VRF-49: consecutive */
	text_str(t, "crypto_map", r->entry->map->name);
	text_str(t, "engine", x->c->info.provider);
	if (!ch->manual) { /* those have no end */
		text_int(t, "life_kb", child_life_kb(ch, &n));
		text_int(t, "life_seconds", child_life_s(ch));
	}
	text_int(t, "iv_size", encr ? encr->iv_len : 0);
	text_int(t, "replay_window", ch->replay_window);
	if (child_idle_limit(ch)) {
		text_int(t, "idle_limit", child_idle_limit(ch));
		text_str(t, "idle_source", r->entry->idle_own ? "map" : "global");
	}
	text_int(t, "idle_seconds", child_quiet_s(ch));
	text_int(t, "packets", shown.packets);
	text_int(t, "bytes", shown.bytes);
	text_int(t, "replay_drops", shown.replay_drops);
	text_int(t, "auth_errors", shown.auth_errors);
	text_int(t, "other_errors", shown.other_errors);
	text_str(t, "status", ch->released ? "DELETING" : "ACTIVE");
	if (seq)
		text_int(t, "sequence", seq->seq);
	text_close(t, '}');
}

/* ---- a flow ---- */

#define FLOW_COUNTERS(X)                                                                                               \
	X(pkts_encaps)                                                                                                 \
	X(pkts_encrypt)                                                                                                \
	X(pkts_digest)                                                                                                 \
	X(pkts_decaps)                                                                                                 \
	X(pkts_decrypt)                                                                                                \
	X(pkts_verify)                                                                                                 \
	X(pkts_compressed)                                                                                             \
	X(pkts_compr_failed)                                                                                           \
	X(pkts_not_compressed)                                                                                         \
	X(pkts_decompressed)                                                                                           \
	X(pkts_decompress_failed)                                                                                      \
	X(pkts_not_decompressed)                                                                                       \
	X(send_errors)                                                                                                 \
	X(recv_errors)                                                                                                 \
	X(replay_errors)
struct flow_counters {
#define X(name) uint64_t name;
	FLOW_COUNTERS(X)
#undef X
};

/* What the pairs of a flow say about it as a whole. */
struct summary {
	struct flow_counters n;
	const struct child *newest; /* NULL = no pair */
	unsigned path_mtu, ip_mtu;
	uint32_t spi_out;
	bool has_spi_out;
};

/* A packet is encrypted when the SA has a cipher that does, and digested when it is authenticated. */
static void add_counters(
	struct flow_counters *n, struct algo_suite s, const struct cv_sa_counters *in, const struct cv_sa_counters *out)
{
	const struct algo_encr *e = algo_encr_get(s.encr);
	bool gmac = s.encr >= CV_ENCR_AES128_GMAC && s.encr <= CV_ENCR_AES256_GMAC;
	bool crypt = e && s.encr != CV_ENCR_NULL && !gmac;
	bool digest = (e && e->icv_len) || s.integ || s.ah;

	n->pkts_encaps += out->packets;
	n->pkts_encrypt += crypt ? out->packets : 0;
	n->pkts_digest += digest ? out->packets : 0;
	n->pkts_decaps += in->packets;
	n->pkts_decrypt += crypt ? in->packets : 0;
	n->pkts_verify += digest ? in->packets : 0;
	n->pkts_compressed += out->compressed;
	n->pkts_compr_failed += out->comp_failed;
	n->pkts_not_compressed += s.comp ? out->packets - out->compressed - out->comp_failed : 0;
	n->pkts_decompressed += in->compressed;
	n->pkts_decompress_failed += in->comp_failed;
	n->pkts_not_decompressed += s.comp ? in->packets - in->compressed : 0;
	n->send_errors += out->other_errors + out->auth_errors;
	n->recv_errors += in->other_errors + in->auth_errors + in->replay_drops;
	n->replay_errors += in->replay_drops;
}

static void sum_up(struct summary *sum, const struct child *ch)
{
	struct algo_suite suite = ch->suite;
	struct cv_sa_counters in, out;

	child_counters_shown(ch, CV_SA_IN, &in);
	child_counters_shown(ch, CV_SA_OUT, &out);
	if (ch->bundled) { /* what goes wrong with AH is wrong with the flow; a packet of it is counted by ESP inside */
		in.packets = out.packets = 0;
		suite = (struct algo_suite){0};
	}
	add_counters(&sum->n, suite, &in, &out);
	sum->newest = ch;
	if (ch->path_mtu)
		sum->path_mtu = ch->path_mtu;
	if (ch->bundled)
		return;
	sum->ip_mtu = inner_mtu(ch, sum->path_mtu);
	if (ch->halves & CHILD_OUT) {
		sum->spi_out = ch->spi_out;
		sum->has_spi_out = true;
	}
}

static uint16_t media_mtu(const struct cfg_interface *i)
{
	return i->mtu ? i->mtu : 1500;
}

static const char *df_text(const struct cfg_interface *i)
{
	return i->df_bit == CFG_DF_SET ? "set" : i->df_bit == CFG_DF_CLEAR ? "clear" : "copy";
}

static const char *fragment_text(const struct cfg_interface *i)
{
	return i->fragment == CFG_FRAG_AFTER ? "after-encryption" : "before-encryption";
}

static void write_ident(struct show_text *t, const char *key, const struct cv_range *r, uint8_t proto, uint16_t port_lo,
	uint16_t port_hi)
{
	char text[2 * 46 + 2];

	text_open(t, key, '{');
	text_str(t, "prefix", range_text(r, text));
	text_int(t, "protocol", proto);
	text_int(t, "port", port_lo || port_hi != UINT16_MAX ? port_lo : 0);
	text_close(t, '}');
}

static void write_flow_base(struct sas *x, struct show_text *t, const struct rule_ref *r, const struct cv_selector *sel)
{
	const struct cfg_interface *ifc = rule_interface(x->c, r);

	text_str(t, "protected_vrf", host_vrf_name(x->c, r->ivrf)); /* VRF-16 */
	text_str(t, "front_vrf", host_vrf_name(x->c, r->fvrf));
	write_ident(t, "local_ident", &sel->src, sel->proto, sel->sport_lo, sel->sport_hi);
	write_ident(t, "remote_ident", &sel->dst, sel->proto, sel->dport_lo, sel->dport_hi);
	if (r->line->dscp) {
		json_t *o = json_object();

		set_dscp(o, r->line->dscp);
		text_json(t, "dscp", json_object_get(o, "dscp"));
		json_decref(o);
	}
	text_open(t, "flags", '[');
	text_str(t, NULL, "origin_is_acl");
	text_close(t, ']');
	text_int(t, "media_mtu", media_mtu(ifc));
	text_str(t, "df_bit", df_text(ifc));
	text_str(t, "fragmentation", fragment_text(ifc));
}

static void write_summary(struct show_text *t, const struct rule_ref *r, const struct summary *sum)
{
	const struct child *ch = sum->newest;

#define X(name) text_int(t, #name, sum->n.name);
	FLOW_COUNTERS(X)
#undef X
	text_addr(t, "current_peer", ch ? &ch->path.remote : &r->entry->peer[0]);
	text_int(t, "current_peer_port", ch ? ch->path.rport : 500);
	text_int(t, "path_mtu", sum->path_mtu);
	if (sum->has_spi_out || !ch)
		text_int(t, "current_outbound_spi", sum->spi_out);
	if (!ch)
		return;
	text_int(t, "ip_mtu", sum->ip_mtu);
	text_addr(t, "local_endpoint", &ch->path.local);
	text_addr(t, "remote_endpoint", &ch->path.remote);
}

/* The pair of an item; NULL = none, or it has gone. */
static const struct child *pair_of(const struct sas *x, const struct item *i)
{
	const struct child *ch = i->id ? child_get(x->c->children, i->id) : NULL;

	return ch && ch->n_sel && ch->rule_id == i->rule_id ? ch : NULL;
}

static void write_pairs(
	struct sas *x, struct show_text *t, const struct rule_ref *r, const struct item *i, const struct item *end)
{
	for (; i < end; i++) {
		const struct child *ch = pair_of(x, i);

		for (unsigned pcp = 0; ch && (ch->halves & CHILD_IN) && pcp <= (ch->suite.comp != ALGO_COMP_NONE);
			pcp++)
			write_sa(x, t, ch, r, CV_SA_IN, pcp);
		for (unsigned pcp = 0; ch && (ch->halves & CHILD_OUT) && pcp <= (ch->suite.comp != ALGO_COMP_NONE);
			pcp++)
			write_sa(x, t, ch, r, CV_SA_OUT, pcp);
	}
}

static void write_flow(
	struct sas *x, struct show_text *t, const struct rule_ref *r, const struct item *i, const struct item *end)
{
	struct summary sum = {.path_mtu = media_mtu(rule_interface(x->c, r))};

	for (const struct item *p = i; p < end; p++)
		if (pair_of(x, p))
			sum_up(&sum, pair_of(x, p));
	if (i->id && !sum.newest) /* all have gone */
		return;
	text_open(t, NULL, '{');
	write_flow_base(x, t, r, sum.newest ? &sum.newest->sel[0] : &r->line->sel);
	write_summary(t, r, &sum);
	text_open(t, "sas", '[');
	write_pairs(x, t, r, i, end);
	text_close(t, ']');
	text_close(t, '}');
}

/* ---- interfaces ---- */

static void close_interface(struct sas *x, struct show_text *t)
{
	if (!x->spd_open)
		return;
	text_close(t, ']');
	text_close(t, '}');
	x->spd_open = 0;
}

static void open_interface(struct sas *x, struct show_text *t, const struct rule_ref *r)
{
	if (x->spd_open == r->spd_id)
		return;
	close_interface(x, t);
	x->spd_open = r->spd_id;
	text_open(t, NULL, '{');
	text_str(t, "interface", rule_interface(x->c, r)->name);
	text_str(t, "crypto_map", r->entry->map->name);
	text_addr(t, "local_address", path_if_addr(r->local, r->entry->peer[0].af));
	text_open(t, "flows", '[');
}

static bool sas_next(struct control_rest *rest, struct show_text *t)
{
	struct sas *x = (struct sas *)rest;
	size_t until = t->len + SHOW_SLICE;

	while (x->at < x->n && t->len < until) {
		const struct item *i = &x->item[x->at], *end = i + 1;
		const struct rule_ref *r = desired_rule(x->c->desired, i->rule_id);

		while (end < x->item + x->n && end->flow == i->flow)
			end++;
		x->at = (unsigned)(end - x->item);
		if (!r) /* another configuration meanwhile */
			continue;
		open_interface(x, t, r);
		write_flow(x, t, r, i, end);
	}
	if (x->at < x->n)
		return true;
	close_interface(x, t);
	return false;
}

static void sas_free(struct control_rest *rest)
{
	struct sas *x = (struct sas *)rest;

	free(x->map);
	free(x->interface);
	free(x->item);
	free(x->sequence);
	free(x);
}

/* ---- the command ---- */

static void on_sa(void *arg, const void *entry, size_t size)
{
	struct sas *x = (struct sas *)((struct show *)arg)->rest;
	struct cv_sa_entry e;

	if (size < sizeof(e))
		return;
	memcpy(&e, entry, sizeof(e)); /* alignment */
	x->sequence = cv_array_need(x->sequence, x->n_sequence, &x->cap_sequence, sizeof(*x->sequence));
	x->sequence[x->n_sequence++] = (struct sequence){e.ref.index, e.seq};
}

static void sort_sequences(struct show *s)
{
	struct sas *x = (struct sas *)s->rest;

	if (x->n_sequence)
		qsort(x->sequence, x->n_sequence, sizeof(*x->sequence), by_index);
}

static char *copy(const char *s)
{
	char *t = s ? strdup(s) : NULL;

	if (s && !t)
		abort();
	return t;
}

void show_ipsec_sa(struct show *s)
{
	struct sas filter = {.rest = {"interfaces", sas_next, sas_free}, .c = s->c}, *x;
	const struct cfg_interface *ifc;

	if (arg_addr(s, "peer", &filter.peer) || arg_interface(s, &ifc) || arg_vrf(s, "vrf", &filter.vrf))
		return;
	if (!dpclient_is_up(s->c->dp))
		set_str(s->out, "dataplane", "down");
	x = malloc(sizeof(*x));
	if (!x)
		abort();
	*x = filter;
	x->map = copy(arg_str(s, "map"));
	x->interface = copy(ifc ? ifc->name : NULL);
	gather(x);
	s->rest = &x->rest;
	s->finish = sort_sequences;
	if (arg_flag(s, "detail") && dpclient_is_up(s->c->dp))
		show_dump(s, CV_DUMP_SA, 0, on_sa);
	else
		show_answer(s);
}
