/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a stranger can send to UDP 500 and 4500. Two passes over one input: the whole engine, which takes it as the
 * first message of either version, with a configuration that lets it answer; and the inside of encrypted payloads,
 * which only an authenticated peer reaches, as chains of every IKEv2 payload. First byte of the input: the path.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "v2_msg.h"

static uint64_t now;
static struct cv_config *cfg;

static uint64_t op_now(void *ctx)
{
	(void)ctx;
	return now;
}

static void op_send(void *ctx, const struct ike_path *path, bool natt, const void *data, size_t len)
{
	(void)ctx, (void)path, (void)natt;
	static volatile uint8_t sink; /* every byte that leaves is read once: address errors show */
	for (size_t i = 0; i < len; i++)
		sink = ((const uint8_t *)data)[i];
	(void)sink;
}

/* Public-key work would make the fuzzer slow and finds nothing: it is never done, the SA waits and is forgotten. */
static void *jobs[64];
static void (*dones[64])(void *);
static unsigned n_jobs;

static void op_pk_run(void *ctx, bool brief, void (*work)(void *), void (*done)(void *), void *job)
{
	(void)ctx, (void)brief;
	if (n_jobs == 64) {
		work(job);
		done(job);
		return;
	}
	dones[n_jobs] = done;
	jobs[n_jobs++] = job;
}

static int op_alloc_spi(void *ctx, uint32_t *spi, uint32_t *index)
{
	(void)ctx, (void)spi, (void)index;
	return -1;
}

static int op_vault_write(void *ctx, int rec, const void *data, size_t len)
{
	(void)ctx, (void)rec, (void)data, (void)len;
	return 0;
}

static void op_vault_free(void *ctx, int rec)
{
	(void)ctx, (void)rec;
}

static void op_event(void *ctx, const struct ike_event *ev)
{
	(void)ctx, (void)ev;
}

static int op_local_addr(
	void *ctx, const struct cfg_map_entry *e, const struct cv_addr *remote, struct cv_addr *local, uint32_t *vrf)
{
	(void)ctx, (void)e, (void)remote;
	cv_addr_parse("192.0.2.1", local);
	*vrf = 0;
	return 0;
}

static bool op_entry_serves(void *ctx, const struct ike_path *path, const struct cfg_map_entry *entry)
{
	(void)ctx, (void)path;
	return entry->map == cfg->map;
}

static const struct ike_ops ops = {
	.now_ms = op_now,
	.send = op_send,
	.pk_run = op_pk_run,
	.alloc_spi = op_alloc_spi,
	.vault_write = op_vault_write,
	.vault_free = op_vault_free,
	.event = op_event,
	.local_addr = op_local_addr,
	.entry_serves = op_entry_serves,
};

static void profiles(struct cv_config *c)
{
	static const char *name[2] = {"one", "two"};
	c->ike_profile = config_alloc(c, 2, sizeof(*c->ike_profile));
	c->n_ike_profile = 2;
	for (unsigned i = 0; i < 2; i++) {
		c->ike_profile[i].name = name[i];
		c->ike_profile[i].version = i ? CFG_IKEV2 : CFG_IKEV1;
		c->ike_profile[i].lifetime_s = 3600;
		c->ike_profile[i].nat_traversal = true;
		c->ike_profile[i].keyring = config_alloc(c, 1, sizeof(char *));
		c->ike_profile[i].keyring[0] = "keys";
		c->ike_profile[i].n_keyring = 1;
	}
}

static void configure(void)
{
	char err[CFG_ERR_MAX];
	struct cv_config *c = cfg = config_new();
	c->half_open_max = 1000;
	c->cookie_threshold = 2;
	c->puzzle_threshold = 3;
	c->puzzle_difficulty = 1;
	c->keyring = config_alloc(c, 1, sizeof(*c->keyring));
	c->n_keyring = 1;
	c->keyring->name = "keys";
	c->keyring->psk = config_alloc(c, 1, sizeof(*c->keyring->psk));
	c->keyring->n_psk = 1;
	c->keyring->psk->peer.addr.af = CV_AF_INET;
	c->keyring->psk->key = config_secret(c, "secret", 6);
	c->keyring->psk->key_len = 6;
	profiles(c);
	c->acl = config_alloc(c, 1, sizeof(*c->acl));
	c->n_acl = 1;
	c->acl->name = "flows";
	c->acl->line = config_alloc(c, 1, sizeof(*c->acl->line));
	c->acl->n_line = 1;
	c->acl->line->seq = 10;
	c->acl->line->permit = true;
	cv_selector_any(&c->acl->line->sel, CV_AF_INET);
	c->transform_set = config_alloc(c, 1, sizeof(*c->transform_set));
	c->n_transform_set = 1;
	c->transform_set->name = "ts";
	c->transform_set->suite = (struct algo_suite){.encr = CV_ENCR_AES128_GCM16};
	c->map = config_alloc(c, 1, sizeof(*c->map));
	c->n_map = 1;
	c->map->name = "vpn";
	c->map->entry = config_alloc(c, 2, sizeof(*c->map->entry));
	c->map->n_entry = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct cfg_map_entry *e = &c->map->entry[i];
		e->seq = i + 1;
		e->acl = "flows";
		e->ike_profile = c->ike_profile[i].name;
		e->peer = config_alloc(c, 1, sizeof(*e->peer));
		e->n_peer = 1;
		cv_addr_parse("192.0.2.2", e->peer);
		e->transform_set = config_alloc(c, 1, sizeof(char *));
		e->transform_set[0] = "ts";
		e->n_transform_set = 1;
	}
	if (config_resolve(c, err, NULL, NULL) != 0)
		abort();
}

static void inside(const uint8_t *data, size_t size)
{
	struct v2_msg m;
	const char *why;
	struct v2_sa_pl sa;
	struct v2_ts_pl ts;
	struct cv_selector sel;
	if (size < 1)
		return;
	memset(&m, 0, sizeof(m));
	m.raw = data + 1;
	m.raw_len = size - 1;
	if (v2_parse_payloads(&m, data[0], data + 1, size - 1, true, &why) != 0)
		return;
	v2_parse_sa(m.sa, &sa);
	if (v2_parse_ts(m.tsi, &ts) == 0)
		for (unsigned i = 0; i < ts.n; i++)
			cv_selector_any(&sel, ts.ts[i].range.lo.af);
	v2_find_error(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ike_path path = {.lport = 500, .rport = 500};
	struct ike *ike;
	if (size < 2)
		return 0;
	if (!cfg)
		configure();
	bool natt = data[0] & 1;
	cv_addr_parse("192.0.2.1", &path.local);
	cv_addr_parse(data[0] & 2 ? "192.0.2.2" : "203.0.113.1", &path.remote);
	if (natt)
		path.lport = path.rport = 4500;
	inside(data + 1, size - 1);
	now = 1000000;
	ike = ike_new(&ops, NULL);
	ike_set_config(ike, cfg);
	/* length in the header made right: otherwise nearly every input ends there */
	uint8_t *msg = malloc(size - 1);
	memcpy(msg, data + 1, size - 1);
	if (size - 1 >= 28) {
		msg[24] = msg[25] = 0;
		msg[26] = (uint8_t)((size - 1) >> 8);
		msg[27] = (uint8_t)(size - 1);
	}
	for (unsigned i = 0; i < 3; i++) /* repeated: the second and third meet what the first has left */
		ike_input(ike, &path, natt, msg, size - 1);
	now += 100000;
	ike_run_timers(ike);
	free(msg);
	for (unsigned i = 0; i < n_jobs; i++)
		dones[i](jobs[i]); /* the SA is gone: the engine frees the job */
	n_jobs = 0;
	ike_free(ike);
	return 0;
}
