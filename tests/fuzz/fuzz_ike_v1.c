/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target: IKEv1 messages. The first byte chooses what the rest is: the payloads of a decrypted message with
 * everything that reads them (the padded chain), or a datagram to an engine that answers a peer's main mode.
 */
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "ike.h"
#include "v1_msg.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cv_config *cfg;
static struct cv_addr local, remote;
static uint64_t now;

/* ---- the readers ---- */

static void read_sa(struct v1_span body)
{
	struct v1_span props = v1_sa_props(body);
	struct v1_prop p;
	struct v1_trans t;
	struct v1_p1_attrs a1;
	struct v1_p2_attrs a2;
	while (v1_prop_next(&props, &p))
		while (v1_trans_next(&p.transforms, &t)) {
			v1_p1_attrs_read(t.attrs, &a1);
			v1_p2_attrs_read(t.attrs, &a2);
		}
}

static void read_id(struct v1_span body)
{
	struct v1_id id = v1_id_read(body);
	struct cv_range r;
	if (v1_id_to_range(&id, &r) && cv_addr_cmp(&r.lo, &r.hi) > 0)
		abort(); /* what the caller relies on */
}

static void read_attributes(struct v1_span body)
{
	struct v1_cfg_msg m = v1_cfg_read(body);
	struct v1_attr a;
	size_t seen = 0;
	while (v1_attr_next(&m.attrs, &a)) {
		if (a.data.p < body.p || a.data.p + a.data.len > body.p + body.len)
			abort();
		seen += a.data.len;
	}
	if (seen > body.len)
		abort();
}

static void read_payload(const struct v1_payload *p)
{
	struct v1_notify_msg n;
	struct v1_delete_msg d;
	switch (p->type) {
	case V1_PL_SA:
		read_sa(p->body);
		break;
	case V1_PL_ID:
		read_id(p->body);
		break;
	case V1_PL_NOTIFY:
		n = v1_notify_read(p->body);
		if (n.spi.p < p->body.p || n.data.p + n.data.len != p->body.p + p->body.len)
			abort();
		break;
	case V1_PL_DELETE:
		d = v1_delete_read(p->body);
		if ((size_t)d.n * d.spi_len != d.spis.len)
			abort();
		break;
	case V1_PL_ATTR:
		read_attributes(p->body);
		break;
	default:
		break;
	}
}

static void chain(const uint8_t *data, size_t size)
{
	struct v1_hdr h = {0};
	struct v1_msg m;
	if (size == 0)
		return;
	h.next = data[0];
	/* a copy of its own size, so that the sanitizer sees every byte read beyond it */
	uint8_t *copy = malloc(size - 1 ? size - 1 : 1);
	memcpy(copy, data + 1, size - 1);
	if (v1_chain_parse(&h, copy, size - 1, true, &m) == 0) {
		if (m.chain.len > size - 1)
			abort();
		for (unsigned i = 0; i < m.n; i++)
			read_payload(&m.pl[i]);
	}
	free(copy);
}

/* ---- an engine ---- */

static uint64_t op_now(void *ctx)
{
	(void)ctx;
	return now;
}
static void op_send(void *ctx, const struct ike_path *path, bool natt, const void *data, size_t len)
{
	(void)ctx, (void)path, (void)natt, (void)data, (void)len;
}
static void op_pk_run(void *ctx, void (*work)(void *job), void (*done)(void *job), void *job)
{
	(void)ctx;
	work(job);
	done(job);
}
static bool op_entry_serves(void *ctx, const struct ike_path *path, const struct cfg_map_entry *entry)
{
	(void)ctx, (void)path;
	return entry == &cfg->map->entry[0];
}
static void op_event(void *ctx, const struct ike_event *ev)
{
	(void)ctx, (void)ev;
}

static const struct ike_ops ops = {
	.now_ms = op_now, .send = op_send, .pk_run = op_pk_run, .entry_serves = op_entry_serves, .event = op_event};

static void datagrams(const uint8_t *data, size_t size)
{
	struct ike_path path = {.local = local, .remote = remote, .lport = 500, .rport = 500};
	struct ike *ike = ike_new(&ops, NULL);
	ike_set_config(ike, cfg);
	while (size >= 2) {
		size_t len = (size_t)data[0] << 8 | data[1];
		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		ike_input(ike, &path, false, data, len);
		now += 100;
		ike_run_timers(ike);
		data += len;
		size -= len;
	}
	ike_free(ike);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char err[CFG_ERR_MAX];
	(void)argc, (void)argv;
	cv_addr_parse("192.0.2.1", &local);
	cv_addr_parse("192.0.2.2", &remote);
	cfg = config_new();
	cfg->ike_enabled = true;
	cfg->acl = config_alloc(cfg, 1, sizeof(*cfg->acl));
	cfg->n_acl = 1;
	cfg->acl->name = "flows";
	cfg->acl->line = config_alloc(cfg, 1, sizeof(*cfg->acl->line));
	cfg->acl->n_line = 1;
	cfg->acl->line->seq = 10;
	cfg->acl->line->permit = true;
	cv_selector_any(&cfg->acl->line->sel, CV_AF_INET);
	cfg->keyring = config_alloc(cfg, 1, sizeof(*cfg->keyring));
	cfg->n_keyring = 1;
	cfg->keyring->name = "keys";
	cfg->keyring->psk = config_alloc(cfg, 1, sizeof(*cfg->keyring->psk));
	cfg->keyring->n_psk = 1;
	cfg->keyring->psk->peer.addr.af = CV_AF_INET;
	cfg->keyring->psk->key = config_secret(cfg, "secret", 6);
	cfg->keyring->psk->key_len = 6;
	cfg->ike_profile = config_alloc(cfg, 1, sizeof(*cfg->ike_profile));
	cfg->n_ike_profile = 1;
	cfg->ike_profile->name = "p";
	cfg->ike_profile->version = CFG_IKEV1;
	cfg->ike_profile->lifetime_s = 86400;
	cfg->ike_profile->nat_traversal = true;
	cfg->ike_profile->aggressive_psk = true;
	cfg->ike_profile->fragment_size = 1280;
	cfg->transform_set = config_alloc(cfg, 1, sizeof(*cfg->transform_set));
	cfg->n_transform_set = 1;
	cfg->transform_set->name = "ts";
	cfg->transform_set->suite = (struct algo_suite){.encr = CV_ENCR_AES128_GCM16};
	cfg->map = config_alloc(cfg, 1, sizeof(*cfg->map));
	cfg->n_map = 1;
	cfg->map->name = "vpn";
	struct cfg_map_entry *e = config_alloc(cfg, 1, sizeof(*e));
	cfg->map->entry = e;
	cfg->map->n_entry = 1;
	e->seq = 10;
	e->acl = "flows";
	e->ike_profile = "p";
	e->peer = &remote;
	e->n_peer = 1;
	e->transform_set = config_alloc(cfg, 1, sizeof(*e->transform_set));
	e->transform_set[0] = "ts";
	e->n_transform_set = 1;
	if (config_resolve(cfg, err, NULL, NULL))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		datagrams(data + 1, size - 1);
	else
		chain(data + 1, size - 1);
	return 0;
}
