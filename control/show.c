/* SPDX-License-Identifier: BSD-3-Clause */
/* control_show() and control_do(): finding the handler, and what handlers share. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "show_priv.h"
#include "virtual_access.h"

/* ---- JSON ---- */

void set_str(json_t *o, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(o, key, json_string(value));
}

void set_int(json_t *o, const char *key, uint64_t value)
{
	json_object_set_new(o, key, json_integer((json_int_t)value));
}

void set_flag(json_t *o, const char *key, bool value)
{
	if (value)
		json_object_set_new(o, key, json_true());
}

void set_addr(json_t *o, const char *key, const struct cv_addr *a)
{
	char text[CV_ADDR_STR];

	if (a && cv_addr_bits(a))
		set_str(o, key, cv_addr_str(a, text));
}

void set_vrf(const struct control *c, json_t *o, const char *key, uint32_t vrf_id)
{
	set_str(o, key, host_vrf_name(c, vrf_id));
}

json_t *set_array(json_t *o, const char *key)
{
	json_t *a = json_array();

	json_object_set_new(o, key, a);
	return a;
}

const char *range_text(const struct cv_range *r, char buf[static 2 * 46 + 2])
{
	char lo[CV_ADDR_STR], hi[CV_ADDR_STR];
	struct cv_prefix p;

	if (cv_range_to_prefix(r, &p))
		return cv_prefix_str(&p, buf);
	snprintf(buf, 2 * 46 + 2, "%s-%s", cv_addr_str(&r->lo, lo), cv_addr_str(&r->hi, hi));
	return buf;
}

const char *proto_text(uint8_t proto, char buf[static 8])
{
	snprintf(buf, 8, proto ? "%u" : "ip", proto);
	return buf;
}

/* ---- arguments ---- */

const char *arg_str(const struct show *s, const char *key)
{
	return json_string_value(json_object_get(s->req, key));
}

bool arg_flag(const struct show *s, const char *key)
{
	return json_is_true(json_object_get(s->req, key));
}

long arg_int(const struct show *s, const char *key, long max)
{
	const json_t *v = json_object_get(s->req, key);
	const char *text = json_string_value(v);
	char *end;
	long n;

	if (!v)
		return -1;
	if (json_is_integer(v))
		n = (long)json_integer_value(v);
	else if (!text || !*text || (n = strtol(text, &end, 0), *end))
		return -2;
	return n < 0 || n > max ? -2 : n;
}

int arg_addr(struct show *s, const char *key, struct cv_addr *out)
{
	const char *text = arg_str(s, key);

	memset(out, 0, sizeof(*out));
	if (!text || !cv_addr_parse(text, out))
		return 0;
	show_error(s, "%s '%s' is not an address", key, text);
	return -EINVAL;
}

int arg_vrf(struct show *s, const char *key, int *vrf_id)
{
	const char *name = arg_str(s, key);

	*vrf_id = -1;
	if (!name)
		return 0;
	if (!strcmp(name, "global")) {
		*vrf_id = CV_VRF_GLOBAL;
		return 0;
	}
	for (unsigned i = 0; s->c->running && i < s->c->running->n_vrf; i++)
		if (!strcmp(s->c->running->vrf[i].name, name))
			*vrf_id = (int)s->c->running->vrf[i].id;
	if (*vrf_id >= 0)
		return 0;
	show_error(s, "no VRF named '%s'", name);
	return -EINVAL;
}

int arg_interface(struct show *s, const struct cfg_interface **ifc)
{
	const char *name = arg_str(s, "interface");

	*ifc = NULL;
	for (unsigned i = 0; name && s->c->running && i < s->c->running->n_interface; i++)
		if (!strcmp(s->c->running->interface[i].name, name))
			*ifc = &s->c->running->interface[i];
	if (name && !*ifc)
		*ifc = virtual_access_by_name(s->c->virtual_access, name);
	if (!name || *ifc)
		return 0;
	show_error(s, "no interface named '%s'", name);
	return -EINVAL;
}

/* ---- answering ---- */

void show_answer(struct show *s)
{
	s->cb(s->arg, s->out, s->rest);
	json_decref(s->req);
	free(s);
}

void show_error(struct show *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_clear(s->out);
	if (s->rest)
		s->rest->free(s->rest);
	s->rest = NULL;
	set_str(s->out, "error", text);
	show_answer(s);
}

void show_plain_reply(void *arg, int err, const struct cv_reply *rep)
{
	struct show *s = arg;

	if (err == -EREMOTEIO)
		show_error(s, "%.*s%s%s", (int)sizeof(rep->text), rep->text, rep->text[0] ? "; " : "",
			dp_err_str(rep->err));
	else if (err)
		show_error(s, "the dataplane is not there");
	else
		show_answer(s);
}

static void dump_done(void *arg, int err)
{
	struct show *s = arg;

	if (err == -EREMOTEIO)
		show_error(s, "the dataplane refuses to list them");
	else if (err)
		show_error(s, "the dataplane went away");
	else {
		if (s->finish)
			s->finish(s);
		show_answer(s);
	}
}

void show_dump(
	struct show *s, enum cv_dump_kind kind, uint32_t scope, void (*each)(void *arg, const void *entry, size_t size))
{
	if (!dpclient_dump(s->c->dp, kind, scope, each, dump_done, s))
		return;
	set_str(s->out, "dataplane", "down");
	show_answer(s);
}

/* ---- what several handlers look up ---- */

const struct cfg_interface *if_by_id(const struct control *c, uint32_t if_id)
{
	for (unsigned i = 0; c->running && i < c->running->n_interface; i++)
		if (c->running->interface[i].id == if_id && if_id)
			return &c->running->interface[i];
	return virtual_access_by_id(c->virtual_access, if_id);
}

void sum_if_counters(const struct cv_stats_segment *seg, uint32_t if_id, struct cv_if_counters *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned w = 0; w < CV_WRITERS && w <= seg->n_workers; w++) {
		const struct cv_if_counters *i = &seg->writer[w].ifc[if_id % CV_IF_MAX];

		out->rx_packets += i->rx_packets;
		out->rx_bytes += i->rx_bytes;
		out->tx_packets += i->tx_packets;
		out->tx_bytes += i->tx_bytes;
		out->rx_errors += i->rx_errors;
		out->tx_errors += i->tx_errors;
		out->rx_drops += i->rx_drops;
		out->tx_drops += i->tx_drops;
	}
}

void sum_drops(const struct cv_stats_segment *seg, uint64_t out[static CV_DROP_MAX])
{
	memset(out, 0, CV_DROP_MAX * sizeof(*out));
	for (unsigned w = 0; w < CV_WRITERS && w <= seg->n_workers; w++)
		for (unsigned d = 0; d < CV_DROP_MAX; d++)
			out[d] += seg->writer[w].drops[d];
}

void sum_events(const struct cv_stats_segment *seg, uint64_t out[static CV_EVENT_MAX])
{
	memset(out, 0, CV_EVENT_MAX * sizeof(*out));
	for (unsigned w = 0; w < CV_WRITERS && w <= seg->n_workers; w++)
		for (unsigned e = 0; e < CV_EVENT_MAX; e++)
			out[e] += seg->writer[w].events[e];
}

uint64_t sum_acl(const struct cv_stats_segment *seg, uint32_t counter)
{
	uint64_t n = 0;

	for (unsigned w = 0; w < CV_WRITERS && w <= seg->n_workers; w++)
		n += seg->writer[w].acl[counter % CV_ACL_COUNTERS];
	return n;
}

const struct stats_base *show_base(const struct control *c)
{
	const struct cv_stats_segment *seg = dpclient_stats(c->dp);

	return c->base && seg && c->base->instance == seg->instance ? c->base : NULL;
}

void show_base_free(struct stats_base *b)
{
	free(b);
}

/* ---- dispatch ---- */

struct verb {
	const char *words;
	void (*run)(struct show *s);
};

static const struct verb shows[] = {
	{"version", show_version},
	{"dataplane", show_dataplane},
	{"dataplane status", show_dataplane},
	{"crypto engine", show_engine},
	{"crypto engine brief", show_engine},
	{"interfaces", show_interfaces},
	{"vtemplate", show_vtemplate},
	{"arp", show_arp},
	{"nd", show_nd},
	{"ip route", show_ip_route},
	{"ipv6 route", show_ipv6_route},
	{"ip mroute", show_ip_mroute},
	{"ipv6 mroute", show_ipv6_mroute},
	{"drops", show_drops},
	{"counters", show_counters},
	{"workers", show_workers},
	{"workers profile", show_workers_profile},
	{"crypto session", show_session},
	{"crypto ipsec sa", show_ipsec_sa},
	{"crypto isakmp sa", show_isakmp_sa},
	{"crypto ikev2 sa", show_ikev2_sa},
	{"crypto ike stats", show_ike_stats},
	{"crypto ike capture", show_ike_capture},
	{"crypto isakmp policy", show_policy},
	{"crypto isakmp profile", show_profile},
	{"crypto identity", show_identity},
	{"crypto isakmp key", show_key},
	{"crypto key mypubkey rsa", show_mypubkey},
	{"crypto key pubkey-chain rsa", show_pubkey_chain},
	{"crypto ca certificates", show_certificates},
	{"crypto isakmp peer", show_peer},
	{"crypto ikev2 proposal", show_proposal},
	{"aaa servers", show_aaa_servers},
	{"call admission statistics", show_call_admission},
	{"crypto call admission statistics", show_crypto_admission},
	{"crypto isakmp default policy", show_default_policy},
	{"crypto ipsec default transform-set", show_default_transform_set},
	{"crypto session history", show_session_history},
	{"crypto debug-condition", show_debug_condition},
	{"crypto map", show_map},
	{"crypto ipsec transform-set", show_transform_set},
	{"crypto ipsec security-association lifetime", show_sa_lifetime},
	{"crypto ipsec security-association replay", show_sa_replay},
	{"crypto ipsec security-association idle-time", show_sa_idle_time},
	{"access-lists", show_access_lists},
	{"ip inspect sessions", show_inspect_sessions},
	{"ip nat translations", show_nat_translations},
	{"class-map", show_class_map},
	{"policy-map", show_policy_map},
	{"policy-map interface", show_policy_map_interface},
	{"crypto engine qos", show_engine_qos},
};

static const struct verb clears[] = {
	{"crypto session", clear_session},
	{"crypto sa", clear_sa},
	{"crypto session history", clear_session_history},
	{"crypto isakmp", clear_isakmp},
	{"crypto call admission statistics", clear_crypto_admission},
	{"counters", clear_counters},
	{"access-list counters", clear_access_list_counters},
	{"ip inspect sessions", clear_inspect_sessions},
	{"ip nat translations", clear_nat_translations},
	{"arp", clear_arp},
	{"nd", clear_nd},
};

static const struct verb dos[] = {
	{"trace", do_trace},
	{"capture", do_capture},
	{"workers profile", do_profile},
	{"ike capture", do_ike_capture},
	{"fail-at", do_fail_at},
	{"log-level", do_log_level},
	{"debug", do_debug},
	{"debug condition", do_debug_condition},
	{"debug unmatched", do_debug_unmatched},
};

static void dispatch(struct show *s, const char *kind, const struct verb *verbs, size_t n)
{
	const char *words = arg_str(s, kind);

	for (size_t i = 0; words && i < n; i++)
		if (!strcmp(verbs[i].words, words)) {
			verbs[i].run(s);
			return;
		}
	show_error(s, "%s '%s' is not known", kind, words ? words : "");
}

static struct show *request(struct control *c, const json_t *req, control_answer *cb, void *arg)
{
	struct show *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	*s = (struct show){.c = c, .req = json_deep_copy(req), .cb = cb, .arg = arg, .out = json_object()};
	return s;
}

void control_show(struct control *c, const json_t *req, control_answer *cb, void *arg)
{
	dispatch(request(c, req, cb, arg), "show", shows, sizeof(shows) / sizeof(shows[0]));
}

void control_do(struct control *c, const json_t *req, control_answer *cb, void *arg)
{
	struct show *s = request(c, req, cb, arg);

	if (json_object_get(req, "clear"))
		dispatch(s, "clear", clears, sizeof(clears) / sizeof(clears[0]));
	else
		dispatch(s, "do", dos, sizeof(dos) / sizeof(dos[0]));
}
