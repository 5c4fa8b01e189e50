/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target: IKEv1 messages. The first byte chooses what the rest is: the payloads of a decrypted message with
 * everything that reads them (the padded chain), or datagrams to an engine that answers a peer: preshared keys, RSA
 * signatures, RSA encrypted nonces, keys from AAA, in main and aggressive mode. A datagram behind the first, one that
 * does not begin with an SA payload, gets the cookie of the engine's last answer for an empty one of its own: no input
 * could foresee it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "cv_addr.h"
#include "ike.h"
#include "pki_make.h"
#include "v1_msg.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cv_config *cfg;
static struct cv_addr local, remote, other; /* remote has keys here, the other in AAA */
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
static uint8_t last_cookie[V1_COOKIE_LEN];
static void op_send(void *ctx, const struct ike_path *path, bool natt, const void *data, size_t len)
{
	(void)ctx, (void)path, (void)natt;
	if (len >= V1_HDR_LEN)
		memcpy(last_cookie, (const uint8_t *)data + V1_COOKIE_LEN, V1_COOKIE_LEN);
}
static void op_pk_run(void *ctx, bool brief, void (*work)(void *job), void (*done)(void *job), void *job)
{
	(void)ctx, (void)brief;
	work(job);
	done(job);
}
static bool op_entry_serves(void *ctx, const struct ike_path *path, const struct cfg_map_entry *entry)
{
	(void)ctx, (void)path;
	return entry->map == cfg->map;
}
static void op_event(void *ctx, const struct ike_event *ev)
{
	(void)ctx, (void)ev;
}

static aaa_done *asked;
static void *asked_arg;
static uint64_t op_aaa_ask(
	void *ctx, const struct cfg_aaa_group *g, const struct radius_query *q, aaa_done *done, void *arg)
{
	(void)ctx, (void)g, (void)q;
	if (asked)
		return 0;
	asked = done;
	asked_arg = arg;
	return 1;
}
static void op_aaa_cancel(void *ctx, uint64_t number)
{
	(void)ctx, (void)number;
	asked = NULL;
}
/* AAA knows a key for everybody. */
static void aaa_speaks(void)
{
	struct radius_answer a = {.key = "fuzz", .key_len = 4};
	aaa_done *done = asked;
	asked = NULL;
	if (done)
		done(asked_arg, AAA_ACCEPT, &a);
}

static const struct ike_ops ops = {.now_ms = op_now,
	.send = op_send,
	.pk_run = op_pk_run,
	.entry_serves = op_entry_serves,
	.event = op_event,
	.aaa_ask = op_aaa_ask,
	.aaa_cancel = op_aaa_cancel};

static void one_datagram(struct ike *ike, const struct ike_path *path, const uint8_t *data, size_t len)
{
	static const uint8_t none[V1_COOKIE_LEN];
	uint8_t *copy = malloc(len ? len : 1);
	memcpy(copy, data, len);
	if (len >= V1_HDR_LEN && copy[2 * V1_COOKIE_LEN] != V1_PL_SA &&
		!memcmp(copy + V1_COOKIE_LEN, none, V1_COOKIE_LEN))
		memcpy(copy + V1_COOKIE_LEN, last_cookie, V1_COOKIE_LEN);
	ike_input(ike, path, false, copy, len);
	free(copy);
}

static void datagrams(const struct cv_addr *from, const uint8_t *data, size_t size)
{
	struct ike_path path = {.local = local, .remote = *from, .lport = 500, .rport = 500};
	struct ike *ike = ike_new(&ops, NULL);
	ike_set_config(ike, cfg);
	while (size >= 2) {
		size_t len = (size_t)data[0] << 8 | data[1];
		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		one_datagram(ike, &path, data, len);
		aaa_speaks();
		now += 100;
		ike_run_timers(ike);
		data += len;
		size -= len;
	}
	ike_free(ike);
	asked = NULL;
}

/* One key for everything: ours, the peer's, that of a certificate which is its own CA; 1024 bits are quicker. */
static void add_rsa(void)
{
	static const char *ca;
	uint8_t *der = NULL;
	EVP_PKEY *key = pkim_key("RSA1024");
	X509 *x = pkim_cert(&(struct pkim_cert){.subject = "/O=Fuzz/CN=gw", .san = "IP:192.0.2.2"}, key, NULL, NULL);
	ca = pkim_write_certs("gw.pem", &x, 1);
	cfg->trust_point = config_alloc(cfg, 1, sizeof(*cfg->trust_point));
	cfg->n_trust_point = 1;
	cfg->trust_point->name = "fuzz";
	cfg->trust_point->files = (struct pki_files){.ca = &ca, .n_ca = 1, .certificate = ca};
	cfg->trust_point->files.key = pkim_write_key("gw.key", key, 0600);
	cfg->rsa_pair = config_alloc(cfg, 1, sizeof(*cfg->rsa_pair));
	cfg->n_rsa_pair = 1;
	cfg->rsa_pair->name = "fuzz";
	cfg->rsa_pair->file = cfg->trust_point->files.key;
	cfg->keyring->rsa = config_alloc(cfg, 1, sizeof(*cfg->keyring->rsa));
	cfg->keyring->n_rsa = 1;
	cfg->keyring->rsa->name = "peer";
	cfg->keyring->rsa->addr = remote;
	cfg->keyring->rsa->der_len = (size_t)i2d_PUBKEY(key, &der);
	cfg->keyring->rsa->der = der;
	atexit(pkim_cleanup);
	EVP_PKEY_free(key);
	X509_free(x);
}

static void add_policies(void)
{
	static const enum cfg_ike_auth auth[] = {CFG_AUTH_RSA_ENCR, CFG_AUTH_RSA_SIG, CFG_AUTH_PSK};
	cfg->ike_policy = config_alloc(cfg, 3, sizeof(*cfg->ike_policy));
	cfg->n_ike_policy = 3;
	for (unsigned i = 0; i < 3; i++)
		cfg->ike_policy[i] = (struct cfg_ike_policy){.priority = 10 * (i + 1),
			.encr = IKE_ENCR_AES_CBC,
			.key_bits = 128,
			.hash = IKE_PRF_HMAC_SHA256,
			.auth = auth[i],
			.group = IKE_GROUP_ECP256,
			.lifetime_s = 86400};
}

static void add_aaa(void)
{
	static const char *server = "radius";
	cfg->radius_server = config_alloc(cfg, 1, sizeof(*cfg->radius_server));
	cfg->n_radius_server = 1;
	cfg->radius_server->name = server;
	cfg->radius_server->addr = remote;
	cfg->radius_server->port = 1812;
	cfg->radius_server->timeout_s = 5;
	cfg->radius_server->key = (struct cfg_secret){config_secret(cfg, "secret", 6), 6};
	cfg->aaa_group = config_alloc(cfg, 1, sizeof(*cfg->aaa_group));
	cfg->n_aaa_group = 1;
	cfg->aaa_group->name = "group";
	cfg->aaa_group->server = &server;
	cfg->aaa_group->n_server = 1;
	/* the other peer has no key here, so that its key is asked for */
	struct cfg_ike_profile *q = &cfg->ike_profile[1];
	static const char *ring = "none";
	*q = cfg->ike_profile[0];
	q->name = "q";
	q->keyring = &ring;
	q->n_keyring = 1;
	q->aaa_authorization = "group";
	q->aaa_password = (struct cfg_secret){config_secret(cfg, "cisco", 5), 5};
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char err[CFG_ERR_MAX];
	(void)argc, (void)argv;
	cv_addr_parse("192.0.2.1", &local);
	cv_addr_parse("192.0.2.2", &remote);
	cv_addr_parse("192.0.2.3", &other);
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
	cfg->keyring = config_alloc(cfg, 2, sizeof(*cfg->keyring));
	cfg->n_keyring = 2;
	cfg->keyring[1].name = "none";
	cfg->keyring->name = "keys";
	cfg->keyring->psk = config_alloc(cfg, 1, sizeof(*cfg->keyring->psk));
	cfg->keyring->n_psk = 1;
	cfg->keyring->psk->peer.addr.af = CV_AF_INET;
	cfg->keyring->psk->key = config_secret(cfg, "secret", 6);
	cfg->keyring->psk->key_len = 6;
	cfg->ike_profile = config_alloc(cfg, 2, sizeof(*cfg->ike_profile));
	cfg->n_ike_profile = 2;
	cfg->ike_profile->name = "p";
	cfg->ike_profile->version = CFG_IKEV1;
	cfg->ike_profile->lifetime_s = 86400;
	cfg->ike_profile->nat_traversal = true;
	cfg->ike_profile->aggressive_psk = true;
	cfg->ike_profile->aggressive_sig = true;
	cfg->ike_profile->fragment_size = 1280;
	cfg->transform_set = config_alloc(cfg, 1, sizeof(*cfg->transform_set));
	cfg->n_transform_set = 1;
	cfg->transform_set->name = "ts";
	cfg->transform_set->suite = (struct algo_suite){.encr = CV_ENCR_AES128_GCM16};
	cfg->map = config_alloc(cfg, 1, sizeof(*cfg->map));
	cfg->n_map = 1;
	cfg->map->name = "vpn";
	struct cfg_map_entry *e = config_alloc(cfg, 2, sizeof(*e));
	cfg->map->entry = e;
	cfg->map->n_entry = 2;
	e->seq = 10;
	e->acl = "flows";
	e->ike_profile = "p";
	e->peer = &remote;
	e->n_peer = 1;
	e->transform_set = config_alloc(cfg, 1, sizeof(*e->transform_set));
	e->transform_set[0] = "ts";
	e->n_transform_set = 1;
	e[1] = e[0];
	e[1].seq = 20;
	e[1].ike_profile = "q";
	e[1].peer = &other;
	cfg->allow_legacy = true;
	add_rsa();
	add_policies();
	add_aaa();
	if (config_resolve(cfg, err, NULL, NULL)) {
		fprintf(stderr, "%s\n", err);
		abort();
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		datagrams(data[0] & 2 ? &other : &remote, data + 1, size - 1);
	else
		chain(data + 1, size - 1);
	return 0;
}
