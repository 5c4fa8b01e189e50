/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's state as JSON: the words are those of docs/show.md. */
#include <stdio.h>
#include <string.h>

#include "ike_internal.h"

static void set_str(json_t *o, const char *key, const char *value)
{
	json_object_set_new(o, key, json_string(value ? value : ""));
}

static void set_int(json_t *o, const char *key, uint64_t value)
{
	json_object_set_new(o, key, json_integer((json_int_t)value));
}

static void set_addr(json_t *o, const char *key, const struct cv_addr *a)
{
	char buf[CV_ADDR_STR];
	set_str(o, key, cv_addr_str(a, buf));
}

static void set_spi(json_t *o, const char *key, const uint8_t *spi)
{
	static const char hex[] = "0123456789abcdef";
	char buf[2 * IKE_SPI_LEN + 1] = "";
	for (unsigned i = 0; i < IKE_SPI_LEN; i++) {
		buf[2 * i] = hex[spi[i] >> 4];
		buf[2 * i + 1] = hex[spi[i] & 15];
	}
	set_str(o, key, buf);
}

static uint64_t seconds_left(uint64_t now, uint64_t at)
{
	return at > now ? (at - now) / 1000 : 0;
}

static json_t *show_child(const struct ike_child *c, uint64_t now)
{
	json_t *o = json_object(), *sel = json_array();
	char buf[CV_SELECTOR_STR], alg[ALGO_SUITE_STR];
	set_int(o, "child_id", c->child_id);
	set_str(o, "state", ike_child_state_name(c->state));
	set_int(o, "spi_in", c->p.spi_in);
	set_int(o, "spi_out", c->p.spi_out);
	set_str(o, "alg", algo_suite_name(c->p.suite, alg));
	for (unsigned i = 0; i < c->p.n_sel; i++)
		json_array_append_new(sel, json_string(cv_selector_str(&c->p.sel[i], buf)));
	json_object_set_new(o, "selectors", sel);
	set_str(o, "map", c->p.entry && c->p.entry->map ? c->p.entry->map->name : "");
	set_int(o, "seq", c->p.entry ? cfg_entry_place(c->p.entry) : 0);
	set_int(o, "lifetime", c->p.lifetime_s);
	set_int(o, "lifetime_kb", c->p.lifetime_kb);
	set_int(o, "remaining", c->state >= IKE_CHILD_ESTABLISHED ? seconds_left(now, c->hard_ms) : 0);
	set_int(o, "established", c->established_ms ? (now - c->established_ms) / 1000 : 0);
	set_int(o, "rekeys", c->rekeys);
	json_object_set_new(o, "udp_encap", json_boolean(c->p.udp_encap));
	if (c->p.per_resource)
		set_int(o, "resource", c->p.resource);
	return o;
}

static void set_proof(json_t *o, const struct ike_sa *sa)
{
	if (sa->peer_subject)
		set_str(o, "peer_certificate", sa->peer_subject);
	if (sa->cert_map)
		set_str(o, "certificate_map", sa->cert_map);
	if (sa->group)
		set_str(o, "peer_group", sa->group);
}

static json_t *show_sa(const struct ike_sa *sa, uint64_t now)
{
	json_t *o = json_object(), *children = json_array(), *msgs = json_object();
	const struct ike_child *c;
	set_int(o, "id", sa->id);
	set_int(o, "version", sa->v->major);
	set_addr(o, "local", &sa->path.local);
	set_int(o, "local_port", sa->path.lport);
	set_addr(o, "remote", &sa->path.remote);
	set_int(o, "remote_port", sa->path.rport);
	set_int(o, "fvrf", sa->path.vrf);
	set_int(o, "ivrf", config_inside_vrf(sa->profile, sa->path.vrf));
	set_str(o, "profile", sa->profile ? sa->profile->name : NULL);
	set_str(o, "state", sa->v->state_name(sa));
	set_str(o, "phase",
		sa->phase == IKE_PHASE_ESTABLISHED ? "established"
		: sa->phase == IKE_PHASE_CLOSING   ? "closing"
						   : "half-open");
	set_str(o, "role", sa->initiator ? "initiator" : "responder");
	set_spi(o, "spi_i", sa->spi_i);
	set_spi(o, "spi_r", sa->spi_r);
	set_int(o, "established", sa->established_ms ? (now - sa->established_ms) / 1000 : 0);
	set_int(o, "lifetime", sa->hard_ms > sa->established_ms ? (sa->hard_ms - sa->established_ms) / 1000 : 0);
	/* one that has been replaced or is being deleted has none, though it is still there (USAB-34) */
	set_int(o, "remaining", sa->phase == IKE_PHASE_CLOSING ? 0 : seconds_left(now, sa->hard_ms));
	set_int(o, "rekeys", sa->rekeys);
	set_int(o, "last_heard", (now - sa->last_rx_ms) / 1000);
	json_object_set_new(o, "nat_t", json_boolean(sa->natt));
	json_object_set_new(o, "nat_local", json_boolean(sa->nat_local));
	json_object_set_new(o, "nat_remote", json_boolean(sa->nat_remote));
	set_int(msgs, "sent", sa->tx);
	set_int(msgs, "received", sa->rx);
	set_int(msgs, "retransmits", sa->retransmits);
	set_int(msgs, "bad", sa->bad);
	json_object_set_new(o, "messages", msgs);
	if (sa->v->ids) {
		struct ike_id local, peer;
		char text[IKE_ID_MAX + 1];
		sa->v->ids(sa, &local, &peer);
		set_str(o, "local_id", ike_id_str(&local, text, sizeof(text)));
		set_str(o, "peer_id", ike_id_str(&peer, text, sizeof(text)));
	}
	set_proof(o, sa);
	sa->v->show(sa, o);
	TAILQ_FOREACH (c, &sa->children, link)
		json_array_append_new(children, show_child(c, now));
	json_object_set_new(o, "children", children);
	return o;
}

json_t *ike_show_sas(struct ike *ike, int version)
{
	json_t *a = json_array();
	const struct ike_sa *sa;
	uint64_t now = ike_now(ike);
	TAILQ_FOREACH (sa, &ike->sas, all)
		if (!version || sa->v->major == (unsigned)version)
			json_array_append_new(a, show_sa(sa, now));
	return a;
}

void ike_for_each_sa(struct ike *ike, int version, void (*cb)(void *arg, const struct ike_sa_name *name), void *arg)
{
	const struct ike_sa *sa;
	TAILQ_FOREACH (sa, &ike->sas, all) {
		struct ike_sa_name name = {.version = (uint8_t)sa->v->major};
		memcpy(name.spi, ike_sa_local_spi(sa), IKE_SPI_LEN);
		if (!version || sa->v->major == (unsigned)version)
			cb(arg, &name);
	}
}

static const struct ike_sa *named(struct ike *ike, const struct ike_sa_name *name)
{
	return ike_sa_by_spi(ike, name->version == 1 ? &ike_v1 : &ike_v2, name->spi);
}

json_t *ike_show_sa(struct ike *ike, const struct ike_sa_name *name)
{
	const struct ike_sa *sa = named(ike, name);
	return sa ? show_sa(sa, ike_now(ike)) : NULL;
}

bool ike_sa_brief(struct ike *ike, const struct ike_sa_name *name, struct ike_sa_brief *out)
{
	const struct ike_sa *sa = named(ike, name);
	uint64_t now = ike_now(ike);
	if (!sa)
		return false;
	*out = (struct ike_sa_brief){.path = sa->path,
		.ivrf = config_inside_vrf(sa->profile, sa->path.vrf),
		.id = sa->id,
		.established_s = sa->established_ms ? (now - sa->established_ms) / 1000 : 0,
		.remaining_s = sa->phase == IKE_PHASE_CLOSING ? 0 : seconds_left(now, sa->hard_ms),
		.established = sa->phase == IKE_PHASE_ESTABLISHED,
		.natt = sa->natt};
	if (sa->v->ids) {
		struct ike_id local, peer;
		sa->v->ids(sa, &local, &peer);
		ike_id_str(&peer, out->peer_id, sizeof(out->peer_id));
	}
	return true;
}

bool ike_sa_of_message(struct ike *ike, const uint8_t *data, size_t len, struct ike_sa_name *out)
{
	if (len < IKE_HDR_LEN || (data[17] >> 4 != 1 && data[17] >> 4 != 2))
		return false;
	uint8_t spi[2][IKE_SPI_LEN]; /* initiator's, responder's */
	memcpy(spi, data, sizeof(spi));
	const struct ike_version *v = data[17] >> 4 == 1 ? &ike_v1 : &ike_v2;
	const struct ike_sa *sa = ike_sa_by_spi(ike, v, spi[0]);
	if (!sa || memcmp(sa->spi_i, spi[0], IKE_SPI_LEN) != 0)
		sa = ike_sa_by_spi(ike, v, spi[1]);
	if (!sa || memcmp(sa->spi_i, spi[0], IKE_SPI_LEN) != 0)
		return false;
	out->version = (uint8_t)v->major;
	memcpy(out->spi, ike_sa_local_spi(sa), IKE_SPI_LEN);
	return true;
}

bool ike_wire_keys(struct ike *ike, const struct ike_sa_name *name, struct ike_wire_keys *out)
{
	const struct ike_sa *sa = named(ike, name);
	memset(out, 0, sizeof(*out));
	if (!sa)
		return false;
	out->version = name->version;
	memcpy(out->spi_i, sa->spi_i, IKE_SPI_LEN);
	memcpy(out->spi_r, sa->spi_r, IKE_SPI_LEN);
	return sa->v->wire_keys(sa, out);
}

json_t *ike_show_stats(struct ike *ike)
{
	json_t *o = json_object();
#define X(name) set_int(o, #name, ike->stats.name);
	IKE_STATS(X)
#undef X
	set_int(o, "sas", ike->n_sas);
	set_int(o, "half_open", ike->n_half_open);
	return o;
}

void ike_for_each_established(
	struct ike *ike, void (*cb)(void *arg, const struct ike_path *path, uint32_t ivrf), void *arg)
{
	const struct ike_sa *sa;
	TAILQ_FOREACH (sa, &ike->sas, all)
		if (sa->phase == IKE_PHASE_ESTABLISHED)
			cb(arg, &sa->path, config_inside_vrf(sa->profile, sa->path.vrf));
}

void ike_for_each_child(struct ike *ike, void (*cb)(void *arg, const struct ike_child_info *info), void *arg)
{
	const struct ike_sa *sa;
	const struct ike_child *c;
	TAILQ_FOREACH (sa, &ike->sas, all)
		TAILQ_FOREACH (c, &sa->children, link) {
			struct ike_child_info info = {.child_id = c->child_id,
				.spi_in = c->p.spi_in,
				.spi_out = c->p.spi_out,
				.index_in = c->p.index_in,
				.params = &c->p,
				.sa = sa};
			if (c->child_id)
				cb(arg, &info);
		}
}
