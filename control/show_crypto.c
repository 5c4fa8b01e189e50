/* SPDX-License-Identifier: BSD-3-Clause */
/* show: crypto ipsec sa, and the IKE SAs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "show_priv.h"

/* ---- IKE SAs: the engine knows everything but the names of VRFs ---- */

static void vrf_to_name(const struct control *c, json_t *sa, const char *key)
{
	uint32_t id = (uint32_t)json_integer_value(json_object_get(sa, key));

	json_object_del(sa, key);
	set_vrf(c, sa, key, id);
}

static void ike_sas(struct show *s, int version)
{
	json_t *sas = ike_show_sas(s->c->ike, version), *sa;
	size_t i;

	json_array_foreach (sas, i, sa) {
		vrf_to_name(s->c, sa, "fvrf");
		vrf_to_name(s->c, sa, "ivrf");
		if (json_object_get(sa, "peer_id"))
			json_object_set(sa, "remote_id", json_object_get(sa, "peer_id"));
		json_object_del(sa, "peer_id");
	}
	json_object_set_new(s->out, "sas", sas);
	show_answer(s);
}

void show_isakmp_sa(struct show *s)
{
	ike_sas(s, 1);
}

void show_ikev2_sa(struct show *s)
{
	ike_sas(s, 2);
}

void show_ike_stats(struct show *s)
{
	json_t *stats = ike_show_stats(s->c->ike);

	spi_show(s->c->spi, stats);
	json_object_set_new(s->out, "stats", stats);
	show_answer(s);
}

/* ---- IPsec SAs ---- */

struct sa_filter {
	struct cv_addr peer;
	const char *map;
	const struct cfg_interface *ifc;
	int vrf; /* inside; with a peer the front one, as in `clear crypto sa` */
};

static json_t *ident(const struct cv_range *r, uint8_t proto, uint16_t port_lo, uint16_t port_hi)
{
	char text[2 * 46 + 2];
	json_t *o = json_object();

	set_str(o, "prefix", range_text(r, text));
	set_int(o, "protocol", proto);
	set_int(o, "port", port_lo || port_hi != UINT16_MAX ? port_lo : 0);
	return o;
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

/* The interface's member of s->list, made when it is the first of its SPD. */
static json_t *interface_object(struct show *s, json_t *index, const struct rule_ref *r)
{
	const struct cfg_interface *i = rule_interface(s->c, r);
	char key[16];
	json_t *o;

	snprintf(key, sizeof(key), "%u", r->spd_id);
	o = json_object_get(index, key);
	if (o)
		return o;
	o = json_object();
	set_str(o, "interface", i->name);
	set_str(o, "crypto_map", r->entry->map->name);
	set_addr(o, "local_address", path_if_addr(r->local, r->entry->peer[0].af));
	set_array(o, "flows");
	json_object_set_new(index, key, o);
	json_array_append(s->list, o);
	return o;
}

static void flow_base(struct show *s, json_t *o, const struct rule_ref *r, const struct cv_selector *sel)
{
	json_t *flags;

	set_vrf(s->c, o, "protected_vrf", r->ivrf); /* VRF-16 */
	set_vrf(s->c, o, "front_vrf", r->fvrf);
	json_object_set_new(o, "local_ident", ident(&sel->src, sel->proto, sel->sport_lo, sel->sport_hi));
	json_object_set_new(o, "remote_ident", ident(&sel->dst, sel->proto, sel->dport_lo, sel->dport_hi));
	set_dscp(o, r->line->dscp);
	set_addr(o, "current_peer", &r->entry->peer[0]);
	set_int(o, "current_peer_port", 500);
	flags = set_array(o, "flags");
	json_array_append_new(flags, json_string("origin_is_acl"));
	set_int(o, "path_mtu", media_mtu(rule_interface(s->c, r)));
	set_int(o, "media_mtu", media_mtu(rule_interface(s->c, r)));
	set_str(o, "df_bit", df_text(rule_interface(s->c, r)));
	set_str(o, "fragmentation", fragment_text(rule_interface(s->c, r)));
	set_array(o, "sas");
}

static void add_int(json_t *o, const char *key, uint64_t n)
{
	set_int(o, key, (uint64_t)json_integer_value(json_object_get(o, key)) + n);
}

/* A packet is encrypted when the SA has a cipher that does, and digested when it is authenticated. */
static void add_counters(
	json_t *o, struct algo_suite s, const struct cv_sa_counters *in, const struct cv_sa_counters *out)
{
	const struct algo_encr *e = algo_encr_get(s.encr);
	bool gmac = s.encr >= CV_ENCR_AES128_GMAC && s.encr <= CV_ENCR_AES256_GMAC;
	bool crypt = e && s.encr != CV_ENCR_NULL && !gmac;
	bool digest = (e && e->icv_len) || s.integ || s.ah;

	add_int(o, "pkts_encaps", out->packets);
	add_int(o, "pkts_encrypt", crypt ? out->packets : 0);
	add_int(o, "pkts_digest", digest ? out->packets : 0);
	add_int(o, "pkts_decaps", in->packets);
	add_int(o, "pkts_decrypt", crypt ? in->packets : 0);
	add_int(o, "pkts_verify", digest ? in->packets : 0);
	add_int(o, "pkts_compressed", out->compressed);
	add_int(o, "pkts_compr_failed", out->comp_failed);
	add_int(o, "pkts_not_compressed", s.comp ? out->packets - out->compressed - out->comp_failed : 0);
	add_int(o, "pkts_decompressed", in->compressed);
	add_int(o, "pkts_decompress_failed", in->comp_failed);
	add_int(o, "pkts_not_decompressed", s.comp ? in->packets - in->compressed : 0);
	add_int(o, "send_errors", out->other_errors + out->auth_errors);
	add_int(o, "recv_errors", in->other_errors + in->auth_errors + in->replay_drops);
	add_int(o, "replay_errors", in->replay_drops);
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

/* What goes wrong with AH of a bundle is wrong with the flow; a packet of it is counted by ESP inside. */
static void add_bundled(json_t *o, const struct cv_sa_counters *in, const struct cv_sa_counters *out)
{
	struct cv_sa_counters n_in = *in, n_out = *out;

	n_in.packets = n_out.packets = 0;
	add_counters(o, (struct algo_suite){0}, &n_in, &n_out);
}

static json_t *sa_object(struct show *s, const struct child *ch, const struct rule_ref *r, enum cv_sa_dir dir)
{
	const struct algo_encr *encr = algo_encr_get(ch->suite.encr);
	struct algo_suite suite = ch->suite;
	char text[ALGO_SUITE_STR];
	struct cv_sa_counters n, shown;
	json_t *o = json_object();

	suite.comp = ALGO_COMP_NONE; /* has an entry of its own */

	child_counters(ch, dir, &n);
	child_counters_shown(ch, dir, &shown);
	set_str(o, "direction", dir == CV_SA_IN ? "inbound" : "outbound");
	set_str(o, "protocol", encr ? "esp" : "ah");
	set_int(o, "spi", dir == CV_SA_IN ? ch->spi_in : ch->spi_out);
	set_str(o, "transform", algo_suite_manual(suite, text));
	set_str(o, "mode", ch->transport ? "Transport" : "Tunnel");
	set_flag(o, "udp_encaps", ch->udp_encap);
	set_flag(o, "esn", ch->esn);
	set_int(o, "slot", 0);
	set_int(o, "conn_id", 2 * ch->id + (dir == CV_SA_OUT)); /* VRF-49: consecutive */
	set_str(o, "crypto_map", r->entry->map->name);
	set_str(o, "engine", s->c->info.provider);
	if (!ch->manual) { /* those have no end */
		set_int(o, "life_kb", child_life_kb(ch, &n));
		set_int(o, "life_seconds", child_life_s(ch));
	}
	set_int(o, "iv_size", encr ? encr->iv_len : 0);
	set_int(o, "replay_window", ch->replay_window);
	if (child_idle_limit(ch)) {
		set_int(o, "idle_limit", child_idle_limit(ch));
		set_str(o, "idle_source", r->entry->idle_own ? "map" : "global");
	}
	set_int(o, "idle_seconds", child_quiet_s(ch));
	set_int(o, "packets", shown.packets);
	set_int(o, "bytes", shown.bytes);
	set_int(o, "replay_drops", shown.replay_drops);
	set_int(o, "auth_errors", shown.auth_errors);
	set_int(o, "other_errors", shown.other_errors);
	set_str(o, "status", ch->released ? "DELETING" : "ACTIVE");
	return o;
}

/* With compression: its entry beside that of ESP, which it shares its life with; its SPI is the CPI. */
static void add_sa(struct show *s, json_t *sas, const struct child *ch, const struct rule_ref *r, enum cv_sa_dir dir)
{
	json_t *esp = sa_object(s, ch, r, dir), *pcp = ch->suite.comp ? json_deep_copy(esp) : NULL;

	json_array_append_new(sas, esp);
	if (!pcp)
		return;
	set_str(pcp, "protocol", "pcp");
	set_int(pcp, "spi", dir == CV_SA_IN ? ch->cpi_in : ch->cpi_out);
	set_str(pcp, "transform", "comp-deflate");
	json_array_append_new(sas, pcp);
}

static void flow_add_child(struct show *s, json_t *o, const struct rule_ref *r, const struct child *ch)
{
	struct cv_sa_counters in, out;
	json_t *sas = json_object_get(o, "sas");

	child_counters_shown(ch, CV_SA_IN, &in);
	child_counters_shown(ch, CV_SA_OUT, &out);
	if (ch->bundled)
		add_bundled(o, &in, &out);
	else
		add_counters(o, ch->suite, &in, &out);
	if (ch->path_mtu)
		set_int(o, "path_mtu", ch->path_mtu);
	if (!ch->bundled)
		set_int(o, "ip_mtu", inner_mtu(ch, (unsigned)json_integer_value(json_object_get(o, "path_mtu"))));
	set_addr(o, "current_peer", &ch->path.remote);
	set_int(o, "current_peer_port", ch->path.rport);
	set_addr(o, "local_endpoint", &ch->path.local);
	set_addr(o, "remote_endpoint", &ch->path.remote);
	if (ch->halves & CHILD_IN)
		add_sa(s, sas, ch, r, CV_SA_IN);
	if (ch->halves & CHILD_OUT) {
		if (!ch->bundled)
			set_int(o, "current_outbound_spi", ch->spi_out);
		add_sa(s, sas, ch, r, CV_SA_OUT);
	}
}

static bool rule_wanted(struct show *s, const struct sa_filter *f, const struct rule_ref *r)
{
	return (!f->map || !strcmp(f->map, r->entry->map->name)) && (!f->ifc || rule_interface(s->c, r) == f->ifc) &&
	       (f->vrf < 0 || (uint32_t)f->vrf == (cv_addr_bits(&f->peer) ? r->fvrf : r->ivrf));
}

static void child_flows(struct show *s, const struct sa_filter *f, json_t *interfaces, json_t *flows)
{
	for (const struct child *ch = child_next(s->c->children, 0); ch; ch = child_next(s->c->children, ch->id)) {
		const struct rule_ref *r = desired_rule(s->c->desired, ch->rule_id);
		char key[CV_SELECTOR_STR + 16], sel[CV_SELECTOR_STR];
		json_t *o;

		if (!r || !ch->n_sel || !rule_wanted(s, f, r) ||
			(cv_addr_bits(&f->peer) && !cv_addr_eq(&f->peer, &ch->path.remote)))
			continue;
		snprintf(key, sizeof(key), "%u|%s", r->rule_id, cv_selector_str(&ch->sel[0], sel));
		o = json_object_get(flows, key);
		if (!o) {
			o = json_object();
			flow_base(s, o, r, &ch->sel[0]);
			json_object_set_new(flows, key, o);
			json_array_append(json_object_get(interface_object(s, interfaces, r), "flows"), o);
			snprintf(key, sizeof(key), "%u", r->rule_id);
			json_object_set_new(flows, key, json_true());
		}
		flow_add_child(s, o, r, ch);
	}
}

static bool entry_names_peer(const struct cfg_map_entry *e, const struct cv_addr *peer)
{
	for (unsigned i = 0; i < e->n_peer; i++)
		if (cv_addr_eq(&e->peer[i], peer))
			return true;
	return false;
}

/* Configured flows without an SA (MON-16 applies here too: what is missing is visible). */
static void idle_flows(struct show *s, const struct sa_filter *f, json_t *interfaces, json_t *flows)
{
	static const struct cv_sa_counters none;

	for (unsigned i = 0; s->c->desired && i < s->c->desired->n_rule; i++) {
		const struct rule_ref *r = &s->c->desired->rule[i];
		char key[16];
		json_t *o;

		snprintf(key, sizeof(key), "%u", r->rule_id);
		if (json_object_get(flows, key) || !rule_wanted(s, f, r) ||
			(cv_addr_bits(&f->peer) && !entry_names_peer(r->entry, &f->peer)))
			continue;
		o = json_object();
		flow_base(s, o, r, &r->line->sel);
		add_counters(o, (struct algo_suite){0}, &none, &none);
		set_int(o, "current_outbound_spi", 0);
		json_array_append_new(json_object_get(interface_object(s, interfaces, r), "flows"), o);
	}
}

/* The sequence numbers that the dataplane knows, by the number of the SA, until the dump has ended. */
#define SEQUENCES "sequences"

static void on_sa(void *arg, const void *entry, size_t size)
{
	struct show *s = arg;
	struct cv_sa_entry e;
	char key[16];

	if (size < sizeof(e))
		return;
	memcpy(&e, entry, sizeof(e)); /* alignment */
	snprintf(key, sizeof(key), "%u", e.ref.index);
	set_int(json_object_get(s->out, SEQUENCES), key, e.seq);
}

static void add_sequences(struct show *s)
{
	const json_t *seq = json_object_get(s->out, SEQUENCES);
	json_t *ifc, *flow, *sa, *n;
	size_t i, k, m;
	char key[16];

	json_array_foreach (s->list, i, ifc)
		json_array_foreach (json_object_get(ifc, "flows"), k, flow)
			json_array_foreach (json_object_get(flow, "sas"), m, sa) {
				snprintf(key, sizeof(key), "%u",
					(unsigned)json_integer_value(json_object_get(sa, "conn_id")));
				n = json_object_get(seq, key);
				if (n)
					json_object_set(sa, "sequence", n);
			}
	json_object_del(s->out, SEQUENCES);
}

void show_ipsec_sa(struct show *s)
{
	struct sa_filter f = {.map = arg_str(s, "map")};
	json_t *interfaces, *flows;

	if (arg_addr(s, "peer", &f.peer) || arg_interface(s, &f.ifc) || arg_vrf(s, "vrf", &f.vrf))
		return;
	if (!dpclient_is_up(s->c->dp))
		set_str(s->out, "dataplane", "down");
	s->list = set_array(s->out, "interfaces");
	interfaces = json_object();
	flows = json_object();
	child_flows(s, &f, interfaces, flows);
	idle_flows(s, &f, interfaces, flows);
	json_decref(flows);
	json_decref(interfaces);
	if (!arg_flag(s, "detail") || !dpclient_is_up(s->c->dp)) {
		show_answer(s);
		return;
	}
	json_object_set_new(s->out, SEQUENCES, json_object());
	s->finish = add_sequences;
	show_dump(s, CV_DUMP_SA, 0, on_sa);
}
