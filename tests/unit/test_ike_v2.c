/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv2, two engines against each other: setting up, refusals, and the loss of each message (RFC 7296). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "ike_env.h"

static void start(void (*tweak)(struct cv_config *c, int host))
{
	p = pair_new(CFG_IKEV2, tweak);
}

/* One proposal for the profile of a host. */
static struct cfg_ike_proposal *one_proposal(struct cv_config *c, enum ike_encr encr, uint16_t bits,
	enum ike_integ integ, enum ike_prf prf, enum ike_group group)
{
	struct cfg_ike_proposal *q = config_alloc(c, 4, sizeof(*q));
	c->ike_proposal = q;
	c->n_ike_proposal = 1;
	q->name = "q";
	q->encr = config_alloc(c, 4, sizeof(*q->encr));
	q->encr[0] = (struct cfg_ike_encr){encr, bits};
	q->n_encr = 1;
	q->integ = config_alloc(c, 4, sizeof(*q->integ));
	q->integ[0] = integ;
	q->n_integ = integ != IKE_INTEG_NONE;
	q->prf = config_alloc(c, 4, sizeof(*q->prf));
	q->prf[0] = prf;
	q->n_prf = 1;
	q->group = config_alloc(c, 4, sizeof(*q->group));
	q->group[0] = group;
	q->n_group = 1;
	c->ike_profile->proposal = config_alloc(c, 1, sizeof(char *));
	c->ike_profile->proposal[0] = "q";
	c->ike_profile->n_proposal = 1;
	return q;
}

/* ---- the plain case ---- */

static void init_and_auth(void **state)
{
	(void)state;
	start(NULL);
	pair_acquire(p, 0, 0);
	assert_string_equal(pair_show(p, 0, "state"), "init-sent");
	pair_run(p, 25);
	assert_string_equal(pair_show(p, 0, "state"), "auth-sent");
	pair_run(p, 975);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(pair_show(p, i, "state"), "established");
		assert_int_equal(pair_n_sas(p, i), 1);
		assert_int_equal(pair_events(p, i, IKE_EVT_UP), 1);
		assert_string_equal(pair_show(p, i, "nat_t"), "false");
		assert_int_equal(pair_stat(p, i, "half_open"), 0);
	}
	assert_string_equal(pair_show(p, 0, "role"), "initiator");
	assert_string_equal(pair_show(p, 1, "role"), "responder");
	assert_string_equal(pair_show(p, 0, "peer_id"), "192.0.2.2");
	assert_true(pair_children_agree(p, 1));
	struct pair_child *c = pair_newest(p, 0);
	assert_int_equal(c->p.rule_id, 100);
	assert_true(algo_suite_equal(c->p.suite, (struct algo_suite){.encr = CV_ENCR_AES128_GCM16}));
	assert_int_equal(c->keys.len, 20);
	assert_false(c->p.udp_encap);
	assert_int_equal(p->n_ike, 4);
	pair_run(p, 600000); /* nothing more while nobody needs anything */
	assert_int_equal(p->n_ike, 4);
}

static uint8_t last_header[28];

static bool remember_header(struct pair *net, int from, unsigned n, const uint8_t *data, size_t len)
{
	struct ike_sa_name name;
	struct ike_wire_keys k;
	(void)len;
	memcpy(last_header, data, sizeof(last_header));
	/* who sends knows the SA from the first message on, and the keys when there is something to decrypt */
	assert_true(ike_sa_of_message(net->h[from].ike, data, len, &name));
	assert_true(n < 2 || ike_wire_keys(net->h[from].ike, &name, &k));
	return true;
}

/* Issue 4, decrypted capture: both ends name the same keys for a message, and none for a stranger's. */
static void keys_for_a_capture(void **state)
{
	struct ike_wire_keys k[2];
	struct ike_sa_name name;
	(void)state;
	start(NULL);
	p->filter = remember_header;
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	for (int i = 0; i < 2; i++) {
		assert_true(ike_sa_of_message(p->h[i].ike, last_header, sizeof(last_header), &name));
		assert_true(ike_wire_keys(p->h[i].ike, &name, &k[i]));
		assert_false(ike_sa_of_message(p->h[i].ike, last_header, sizeof(last_header) - 1, &name));
	}
	assert_memory_equal(&k[0], &k[1], sizeof(k[0]));
	assert_int_equal(k[0].version, 2);
	assert_true(k[0].e_len && memcmp(k[0].ei, k[0].er, k[0].e_len));
	assert_memory_equal(k[0].spi_i, last_header, 8);
	last_header[0] ^= 1;
	for (int i = 0; i < 2; i++)
		assert_false(ike_sa_of_message(p->h[i].ike, last_header, sizeof(last_header), &name));
}

static void second_line(struct cv_config *c, int i)
{
	struct cfg_acl *a = c->acl;
	a->line[1] = a->line[0];
	a->line[1].seq = 20;
	a->line[1].sel.src.lo.b[1] = a->line[1].sel.src.hi.b[1] = (uint8_t)(20 + i + 1);
	a->line[1].sel.dst.lo.b[1] = a->line[1].sel.dst.hi.b[1] = (uint8_t)(20 + 2 - i);
	a->n_line = 2;
}

static void pfs_lines(struct cv_config *c, int i)
{
	second_line(c, i);
	c->map->entry->pfs = IKE_GROUP_ECP256;
}

/* The second flow of the peer comes over the same IKE SA, with a Diffie-Hellman exchange of its own (IPSEC-53). */
static void second_child(void **state)
{
	(void)state;
	start(second_line);
	bring_up();
	pair_acquire(p, 0, 1);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 2));
	assert_int_equal(pair_n_sas(p, 0), 1);
	assert_int_equal(p->n_ike, 6);
}

static void second_child_pfs(void **state)
{
	(void)state;
	start(pfs_lines);
	bring_up();
	pair_acquire(p, 1, 1); /* the responder of the IKE SA asks for it */
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 2));
	assert_int_equal(pair_n_sas(p, 1), 1);
}

/* Both flows wanted at once: one with IKE_AUTH, the other waits for the SA. */
static void two_wishes(void **state)
{
	(void)state;
	start(second_line);
	pair_acquire(p, 0, 0);
	pair_acquire(p, 0, 1);
	pair_acquire(p, 0, 1);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 2));
	assert_int_equal(pair_n_sas(p, 0), 1);
}

static const struct {
	enum ike_encr encr;
	uint16_t bits;
	enum ike_integ integ;
	enum ike_prf prf;
	enum ike_group group;
	struct algo_suite esp;
} suites[] = {
	{IKE_ENCR_AES_CBC, 128, IKE_INTEG_HMAC_SHA256_128, IKE_PRF_HMAC_SHA256, IKE_GROUP_MODP2048,
		{.encr = CV_ENCR_AES128_CBC, .integ = CV_INTEG_HMAC_SHA256_128}},
	{IKE_ENCR_AES_CBC, 256, IKE_INTEG_HMAC_SHA512_256, IKE_PRF_HMAC_SHA512, IKE_GROUP_ECP521,
		{.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128}},
	{IKE_ENCR_AES_CBC, 192, IKE_INTEG_HMAC_SHA384_192, IKE_PRF_HMAC_SHA384, IKE_GROUP_ECP384,
		{.encr = CV_ENCR_AES192_GCM16}},
	{IKE_ENCR_AES_GCM16, 128, IKE_INTEG_NONE, IKE_PRF_HMAC_SHA256, IKE_GROUP_CURVE25519,
		{.encr = CV_ENCR_AES256_GCM16}},
	{IKE_ENCR_AES_GCM16, 256, IKE_INTEG_NONE, IKE_PRF_HMAC_SHA384, IKE_GROUP_MODP3072,
		{.encr = CV_ENCR_AES128_GCM16}},
	{IKE_ENCR_AES_GCM16, 192, IKE_INTEG_NONE, IKE_PRF_HMAC_SHA512, IKE_GROUP_MODP4096,
		{.encr = CV_ENCR_AES128_GCM16}},
	{IKE_ENCR_AES_GCM8, 256, IKE_INTEG_NONE, IKE_PRF_AES128_XCBC, IKE_GROUP_CURVE448,
		{.encr = CV_ENCR_AES128_GCM16}},
	{IKE_ENCR_AES_GCM12, 128, IKE_INTEG_NONE, IKE_PRF_AES128_CMAC, IKE_GROUP_ECP256,
		{.encr = CV_ENCR_AES128_GCM16}},
	{IKE_ENCR_CHACHA20_POLY1305, 0, IKE_INTEG_NONE, IKE_PRF_HMAC_SHA256, IKE_GROUP_CURVE25519,
		{.encr = CV_ENCR_AES128_GCM16}},
	{IKE_ENCR_AES_CTR, 256, IKE_INTEG_AES_CMAC_96, IKE_PRF_HMAC_SHA512, IKE_GROUP_ECP256,
		{.encr = CV_ENCR_AES128_GCM16}},
	{IKE_ENCR_AES_CBC, 128, IKE_INTEG_AES_XCBC_96, IKE_PRF_AES128_XCBC, IKE_GROUP_MODP8192,
		{.encr = CV_ENCR_AES128_GCM16}},
	{IKE_ENCR_3DES, 0, IKE_INTEG_HMAC_SHA1_96, IKE_PRF_HMAC_SHA1, IKE_GROUP_MODP768,
		{.encr = CV_ENCR_AES128_GCM16}},
};
static unsigned suite;

static void with_suite(struct cv_config *c, int i)
{
	(void)i;
	one_proposal(
		c, suites[suite].encr, suites[suite].bits, suites[suite].integ, suites[suite].prf, suites[suite].group);
	c->allow_legacy = true;
	c->transform_set->suite = suites[suite].esp;
	c->map->entry->pfs = suites[suite].group;
}

static void every_suite(void **state)
{
	(void)state;
	for (suite = 0; suite < sizeof(suites) / sizeof(suites[0]); suite++) {
		start(with_suite);
		bring_up();
		assert_true(algo_suite_equal(pair_newest(p, 0)->p.suite, suites[suite].esp));
		ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, false);
		pair_run(p, 10000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_stat(p, 0, "child_rekeyed"), 1);
		teardown(NULL);
	}
}

/* ---- refusals ---- */

static void other_key(struct cv_config *c, int i)
{
	if (i)
		c->keyring->psk->key = config_secret(c, "Secret", 6);
}

static void wrong_psk(void **state)
{
	(void)state;
	start(other_key);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "authentication failed");
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "authentication failed");
	assert_int_equal(p->h[0].acquire_failures, 1);
	assert_int_equal(pair_stat(p, 1, "half_open"), 0);
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
	assert_int_equal(pair_events(p, 1, IKE_EVT_UP), 0);
}

static void other_cipher(struct cv_config *c, int i)
{
	one_proposal(
		c, IKE_ENCR_AES_CBC, i ? 256 : 128, IKE_INTEG_HMAC_SHA256_128, IKE_PRF_HMAC_SHA256, IKE_GROUP_ECP256);
}

static void no_ike_proposal(void **state)
{
	(void)state;
	start(other_cipher);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "no proposal chosen");
	assert_int_equal(p->h[0].acquire_failures, 1);
	assert_int_equal(pair_stat(p, 1, "no_proposal_chosen"), 1);
}

static void other_transform(struct cv_config *c, int i)
{
	if (i)
		c->transform_set->suite =
			(struct algo_suite){.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128};
}

/* The IKE SA is there although the child is refused (RFC 7296 1.2). */
static void no_esp_proposal(void **state)
{
	(void)state;
	start(other_transform);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_int_equal(pair_n_sas(p, 0), 1);
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "no proposal chosen");
	assert_int_equal(p->h[0].acquire_failures, 1);
	pair_acquire(p, 0, 0); /* again, this time in CREATE_CHILD_SA */
	pair_run(p, 1000);
	assert_int_equal(p->h[0].acquire_failures, 2);
	assert_int_equal(pair_n_sas(p, 0), 1);
}

static void wide_right(struct cv_config *c, int i)
{
	if (i) { /* 10.0.0.0/8 both ways at host 1 */
		struct cv_selector *s = &c->acl->line->sel;
		s->src.lo.b[1] = s->dst.lo.b[1] = 0;
		s->src.hi.b[1] = s->dst.hi.b[1] = s->src.hi.b[2] = s->dst.hi.b[2] = 255;
	}
}

/* IPSEC-36: a subset is accepted as asked for, a superset refused; so only one end can start. */
static void subset_and_superset(void **state)
{
	(void)state;
	start(wide_right);
	pair_acquire(p, 1, 0);
	pair_run(p, 1000);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "traffic selectors unacceptable");
	assert_int_equal(pair_stat(p, 0, "ts_unacceptable"), 1);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_newest(p, 1)->p.sel[0].src.hi.b[1], 2);
}

static void demand_pfs_right(struct cv_config *c, int i)
{
	second_line(c, i);
	if (i)
		c->map->entry->pfs = IKE_GROUP_ECP256;
}

/* IPSEC-53: a request without PFS is refused where it is demanded; IKE_AUTH cannot carry it and is let pass. */
static void pfs_demanded(void **state)
{
	(void)state;
	start(demand_pfs_right);
	bring_up();
	pair_acquire(p, 0, 1);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "no proposal chosen");
	pair_acquire(p, 1, 1);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 2));
}

static void dataplane_refuses(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(NULL);
		p->h[i].refuse_child = ENOMEM;
		pair_acquire(p, 0, 0);
		pair_run(p, 5000);
		assert_int_equal(pair_n_children(p, 0), 0);
		assert_int_equal(pair_n_children(p, 1), 0);
		assert_int_equal(p->h[0].acquire_failures, 1);
		teardown(NULL);
	}
}

/* IKE-36: the peer has made it by then, in IKE_AUTH or in an exchange of its own, and hears that it is gone. */
static void cleared_while_installing(void **state)
{
	(void)state;
	start(second_line);
	pair_clear_while_installing(p, 0);
	assert_int_equal(pair_n_sas(p, 1), 1);
	bring_up();
	pair_clear_while_installing(p, 1);
	assert_true(pair_children_agree(p, 1));
}

/* ---- negotiation of the group, cookies, limits ---- */

static void groups_differ(struct cv_config *c, int i)
{
	struct cfg_ike_proposal *q = one_proposal(c, IKE_ENCR_AES_GCM16, 256, IKE_INTEG_NONE, IKE_PRF_HMAC_SHA256,
		i ? IKE_GROUP_MODP2048 : IKE_GROUP_ECP256);
	if (i == 0)
		q->group[q->n_group++] = IKE_GROUP_MODP2048;
}

static void invalid_ke(void **state)
{
	(void)state;
	start(groups_differ);
	bring_up();
	assert_string_equal(pair_show(p, 0, "group"), "modp2048");
	assert_int_equal(p->n_ike, 6);
}

static void always_cookie(struct cv_config *c, int i)
{
	(void)i;
	c->cookie_threshold = 0;
}

static void cookie(void **state)
{
	(void)state;
	start(always_cookie);
	bring_up();
	assert_int_equal(pair_stat(p, 1, "cookies_sent"), 1);
	assert_int_equal(p->n_ike, 6);
}

static void cookie_and_group(struct cv_config *c, int i)
{
	always_cookie(c, i);
	groups_differ(c, i);
}

static void cookie_with_invalid_ke(void **state)
{
	(void)state;
	start(cookie_and_group);
	bring_up();
	assert_true(pair_stat(p, 1, "cookies_sent") >= 1);
}

static void one_half_open(struct cv_config *c, int i)
{
	(void)i;
	c->half_open_max = 1;
	c->cookie_threshold = 100;
}

/* Strangers fill the half-open table; it empties by itself. */
static void half_open_limit(void **state)
{
	static uint8_t first[2048];
	static size_t first_len;
	(void)state;
	start(one_half_open);
	struct ike_path path = {.local = p->h[1].addr, .remote = p->h[0].addr, .lport = 500, .rport = 500};
	pair_acquire(p, 0, 0);
	assert_non_null(p->queue);
	first_len = p->queue->len;
	memcpy(first, p->queue->data, first_len);
	p->cut = true;
	for (uint8_t n = 0; n < 5; n++) {
		first[0] = (uint8_t)(0xa0 + n);
		ike_input(p->h[1].ike, &path, false, first, first_len);
	}
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_stat(p, 1, "half_open"), 1);
	assert_int_equal(
		pair_stat(p, 1, "cookies_sent"), 4); /* before a limit can be reached, addresses are to be proved */
	pair_run(p, 40000);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_int_equal(pair_stat(p, 1, "half_open"), 0);
}

/* ---- identities ---- */

static void by_name(struct cv_config *c, int i)
{
	static const char *const name[2] = {"left.example", "right.example"};
	struct cfg_ike_profile *q = c->ike_profile;
	q->local_id = (struct cfg_identity){.type = CFG_ID_FQDN, .text = name[i]};
	q->match = config_alloc(c, 1, sizeof(*q->match));
	q->match[0] = (struct cfg_identity){.type = CFG_ID_FQDN, .text = name[!i]};
	q->n_match = 1;
}

static void by_wrong_name(struct cv_config *c, int i)
{
	by_name(c, i);
	if (i)
		c->ike_profile->match[0].text = "somebody.else";
}

static void by_wrong_name_initiator(struct cv_config *c, int i)
{
	by_name(c, i);
	if (!i)
		c->ike_profile->match[0].text = "somebody.else";
}

/* A template in front of the entry for the peer, both good for what the peer asks. */
static void template_first_right(struct cv_config *c, int i)
{
	by_name(c, i);
	if (!i)
		return;
	struct cfg_map_entry *e = config_alloc(c, 2, sizeof(*e));
	e[0] = e[1] = c->map->entry[0];
	e[0].seq = e[1].seq - 1;
	e[0].n_peer = 0;
	c->map->entry = e;
	c->map->n_entry = 2;
}

/* IPSEC-46: an offer is held against the static entries first, then against the dynamic ones. */
static void static_entries_come_first(void **state)
{
	(void)state;
	start(template_first_right);
	bring_up();
	assert_int_equal(pair_newest(p, 1)->p.entry->n_peer, 1);
	assert_int_equal(pair_newest(p, 1)->p.entry->seq, p->h[1].cfg->map->entry[1].seq);
}

static void identities(void **state)
{
	(void)state;
	start(by_name);
	bring_up();
	assert_string_equal(pair_show(p, 1, "peer_id"), "left.example");
	assert_string_equal(pair_show(p, 1, "local_id"), "right.example");
	teardown(NULL);
	start(by_wrong_name);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 0);
	teardown(NULL);
	start(by_wrong_name_initiator);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	/* the responder believed it was up until it was told otherwise */
	assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 0);
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
}

/* ---- NAT (RFC 7296 2.23) ---- */

static void nat(void **state)
{
	(void)state;
	start(by_name); /* host 1 knows host 0 by its name only: its address is the NAT's */
	p->nat = true;
	bring_up();
	assert_string_equal(pair_show(p, 0, "nat_local"), "true");
	assert_string_equal(pair_show(p, 0, "nat_remote"), "false");
	assert_string_equal(pair_show(p, 1, "nat_remote"), "true");
	assert_string_equal(pair_show(p, 1, "remote_port"), "14500");
	assert_true(pair_newest(p, 0)->p.udp_encap && pair_newest(p, 1)->p.udp_encap);
	assert_int_equal(pair_newest(p, 1)->p.path.rport, 14500);
	unsigned n = p->n_ike;
	pair_run(p, 61000);
	assert_int_equal(p->n_ike - n, 3); /* keepalives, every 20 s, from behind the NAT only */
	/* the mapping changes: an authenticated message moves the SA and its children (RFC 7296 2.23) */
	p->nat_shift = 20000;
	ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, false);
	pair_run(p, 10000);
	assert_string_equal(pair_show(p, 1, "remote_port"), "24500");
	assert_int_equal(pair_newest(p, 1)->p.path.rport, 24500);
	assert_int_equal(pair_events(p, 1, IKE_EVT_PEER_MOVED), 1);
	assert_true(pair_children_agree(p, 1));
}

static void force(struct cv_config *c, int i)
{
	c->ike_profile->force_encaps = i == 0;
}

static void forced_encapsulation(void **state)
{
	(void)state;
	start(force);
	bring_up();
	assert_true(pair_newest(p, 0)->p.udp_encap && pair_newest(p, 1)->p.udp_encap);
	assert_string_equal(pair_show(p, 1, "nat_t"), "true");
}

static void no_natt(struct cv_config *c, int i)
{
	c->ike_profile->nat_traversal = i == 0;
}

static void nat_traversal_off(void **state)
{
	(void)state;
	start(no_natt);
	bring_up();
	assert_false(pair_newest(p, 0)->p.udp_encap);
}

/* ---- losses ---- */

static void each_message_lost(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 6; n++) {
		start(second_line);
		p->filter = pair_lose_nth;
		p->drop_nth = n;
		pair_acquire(p, 0, 0);
		pair_run(p, 3000);
		pair_acquire(p, 0, 1);
		pair_run(p, 4000);
		assert_true(pair_children_agree(p, 2));
		assert_int_equal(pair_n_sas(p, 0), 1);
		assert_int_equal(pair_n_sas(p, 1), 1);
		teardown(NULL);
	}
}

static void bad_network(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 30; seed++) {
		start(second_line);
		p->rng = seed;
		p->loss = 20;
		p->dup = 20;
		p->jitter = 200;
		pair_acquire(p, 0, 0);
		pair_acquire(p, 0, 1);
		pair_run(p, 60000);
		if (!pair_children_agree(p, 2))
			fail_msg("seed %u: not up", seed);
		teardown(NULL);
	}
}

static void dead_peer(void **state)
{
	(void)state;
	start(NULL);
	p->cut = true;
	pair_acquire(p, 0, 0);
	pair_run(p, 120000);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "peer not responding");
	assert_int_equal(p->h[0].acquire_failures, 1);
}

static void two_peers(struct cv_config *c, int i)
{
	if (i)
		return;
	struct cfg_map_entry *e = c->map->entry;
	e->peer[1] = e->peer[0];
	e->peer[0].b[3] = 77; /* nobody there */
	e->n_peer = 2;
}

/* IPSEC-48 */
static void next_peer(void **state)
{
	(void)state;
	start(two_peers);
	pair_acquire(p, 0, 0);
	pair_run(p, 120000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(p->h[0].acquire_failures, 0);
}

/* Both want it at the same moment: two IKE SAs are legal, traffic flows over a pair that both know. */
static void both_start(void **state)
{
	(void)state;
	start(NULL);
	p->traffic_ms = 100;
	pair_run(p, 10000);
	assert_true(pair_n_children(p, 0) >= 1);
	assert_int_equal(pair_n_children(p, 0), pair_n_children(p, 1));
	assert_true(pair_children_agree(p, pair_n_children(p, 0)));
	unsigned lost = p->h[0].esp_unknown + p->h[1].esp_unknown;
	pair_run(p, 10000);
	assert_int_equal(p->h[0].esp_unknown + p->h[1].esp_unknown, lost);
}

static void auto_entry(struct cv_config *c, int i)
{
	c->map->entry->auto_start = i == 0;
}

static void auto_start(void **state)
{
	(void)state;
	start(auto_entry);
	p->cut = true;
	pair_run(p, 30000);
	p->cut = false;
	pair_run(p, 120000);
	assert_true(pair_children_agree(p, 1));
	/* the peer takes it down: it comes back */
	struct ike_match all = {.fvrf = -1, .ivrf = -1};
	assert_int_equal(ike_clear(p->h[1].ike, &all), 1);
	pair_run(p, 20000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_events(p, 0, IKE_EVT_UP), 2);
}

/* ---- hostile input ---- */

static bool mutate(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	uint8_t copy[4096];
	struct ike_path path = {.local = q->h[!from].addr, .remote = q->h[from].addr, .lport = 500, .rport = 500};
	unsigned seed = n * 2654435761u + q->drop_nth;
	if (len < 28 || len > sizeof(copy))
		return true;
	for (unsigned k = 0; k < 20; k++) {
		memcpy(copy, data, len);
		seed = seed * 1103515245u + 12345u;
		/* spare the SPI of the sender: a forged first message would make a second, legal half-open SA */
		copy[16 + (seed >> 8) % (len - 16)] ^= (uint8_t)(1u << (seed >> 24) % 8);
		ike_input(q->h[!from].ike, &path, false, copy, len);
		ike_input(q->h[!from].ike, &path, false, copy, len - 1 - (seed >> 16) % 27);
	}
	return true;
}

/* Every message comes with twenty forged ones before it: what is encrypted must not be disturbed by them. */
static void forged_copies(void **state)
{
	(void)state;
	start(second_line);
	bring_up();
	p->filter = mutate;
	pair_acquire(p, 0, 1);
	pair_run(p, 2000);
	assert_true(pair_children_agree(p, 2));
	for (unsigned k = 0; k < 20; k++) {
		p->drop_nth = k * 7919;
		ike_child_expire(p->h[k & 1].ike, pair_newest(p, k & 1)->id, false);
		pair_run(p, 10000);
		assert_true(pair_children_agree(p, 2));
	}
	assert_int_equal(pair_n_sas(p, 0), 1);
	assert_true(pair_stat(p, 0, "rx_bad_integrity") > 50);
}

/* A repeated request is answered again with the same bytes, and done once (RFC 7296 2.1). */
static void repeated_requests(void **state)
{
	(void)state;
	start(second_line);
	p->dup = 100;
	pair_acquire(p, 0, 0);
	pair_acquire(p, 0, 1);
	pair_run(p, 2000);
	assert_true(pair_children_agree(p, 2));
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_true(pair_stat(p, 1, "rx_retransmits") >= 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {T(init_and_auth), T(keys_for_a_capture), T(second_child),
		T(second_child_pfs), T(two_wishes), T(every_suite), T(wrong_psk), T(no_ike_proposal),
		T(no_esp_proposal), T(subset_and_superset), T(pfs_demanded), T(dataplane_refuses),
		T(cleared_while_installing), T(invalid_ke), T(cookie), T(cookie_with_invalid_ke), T(half_open_limit),
		T(identities), T(nat), T(forced_encapsulation), T(nat_traversal_off), T(half_open_limit),
		T(static_entries_come_first), T(nat), T(forced_encapsulation), T(nat_traversal_off),
		T(each_message_lost), T(bad_network), T(dead_peer), T(next_peer), T(both_start), T(auto_start),
		T(forged_copies), T(repeated_requests)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
