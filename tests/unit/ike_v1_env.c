/* SPDX-License-Identifier: BSD-3-Clause */
#include "ike_v1_env.h"

void start(void (*tweak)(struct cv_config *c, int host))
{
	p = pair_new(CFG_IKEV1, tweak);
}

void policies(struct cv_config *c, unsigned n)
{
	c->ike_policy = config_alloc(c, n, sizeof(*c->ike_policy));
	c->n_ike_policy = n;
	for (unsigned i = 0; i < n; i++)
		c->ike_policy[i] = (struct cfg_ike_policy){.priority = 10 * (i + 1),
			.encr = IKE_ENCR_AES_CBC,
			.key_bits = 256,
			.hash = IKE_PRF_HMAC_SHA256,
			.auth = CFG_AUTH_PSK,
			.group = IKE_GROUP_ECP256,
			.lifetime_s = 86400};
}

void drop_builtin(struct pair *q)
{
	for (int i = 0; i < 2; i++)
		q->h[i].cfg->n_ike_policy = 1;
}

bool two_agree(struct pair *q)
{
	return pair_children_agree(q, 1);
}

void tweak_short(struct cv_config *c, int host)
{
	(void)host;
	policies(c, 1);
	c->ike_policy[0].lifetime_s = 900;
	c->map->entry->lifetime_s = 300;
}

void traffic_for(uint64_t ms)
{
	p->traffic_ms = 50;
	pair_run(p, ms);
	p->traffic_ms = 0;
	pair_run(p, 100);
}

void nothing_lost(void)
{
	assert_int_equal(p->h[0].esp_no_sa + p->h[1].esp_no_sa, 0);
	assert_int_equal(p->h[0].esp_unknown + p->h[1].esp_unknown, 0);
	assert_int_equal(p->h[0].esp_sent, p->h[1].esp_received);
	assert_int_equal(p->h[1].esp_sent, p->h[0].esp_received);
	assert_true(p->h[0].esp_sent > 1000);
}

void from(int who, const uint8_t *data, size_t len)
{
	struct ike_path path = {.local = p->h[!who].addr, .remote = p->h[who].addr, .lport = 500, .rport = 500};
	ike_input(p->h[!who].ike, &path, false, data, len);
}

void up_without(unsigned n)
{
	p->filter = pair_lose_nth;
	p->drop_nth = n;
	pair_acquire(p, 0, 0);
	if (!pair_until(p, two_agree, 60000))
		fail_msg("message %u lost: not up after a minute", n);
}

void tweak_nat(struct cv_config *c, int host)
{
	if (host)
		assert_int_equal(cv_addr_parse("198.51.100.1", &c->map->entry->peer[0]), 0);
}

void encapsulated(void)
{
	for (int i = 0; i < 2; i++) {
		assert_string_equal(pair_show(p, i, "nat_t"), "true");
		assert_true(pair_newest(p, i)->p.udp_encap);
	}
}

#define EXCHANGE_AT 18u /* RFC 2408 3.1 */

static struct {
	uint8_t data[2048];
	size_t len;
	int from;
} seen[64];
static unsigned n_seen, max_seen;
static uint8_t seen_exchange;

static bool keep(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)n;
	if (n_seen < max_seen && len <= sizeof(seen[0].data) &&
		(!seen_exchange || data[EXCHANGE_AT] == seen_exchange)) {
		memcpy(seen[n_seen].data, data, len);
		seen[n_seen].len = len;
		seen[n_seen++].from = who;
	}
	return true;
}

void record(unsigned max, uint8_t exchange)
{
	assert_true(max <= sizeof(seen) / sizeof(seen[0]));
	n_seen = 0;
	max_seen = max;
	seen_exchange = exchange;
	p->filter = keep;
}

unsigned recorded(void)
{
	return n_seen;
}

void replay_damaged(uint8_t mask, bool whole)
{
	for (unsigned i = 0; i < n_seen; i++)
		for (size_t at = 0; at < seen[i].len; at++) {
			if (whole)
				from(seen[i].from, seen[i].data, seen[i].len);
			seen[i].data[at] ^= mask;
			from(seen[i].from, seen[i].data, seen[i].len);
			seen[i].data[at] ^= mask;
		}
}
