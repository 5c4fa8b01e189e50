/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of manual entries: session keys that fit the transform set, SPIs that fit each other (IPSEC-66..70). */
#include <string.h>

#include "config_priv.h"

static int check_key(struct config_check *k, const struct cfg_map_entry *e, const char *dir, const char *leaf,
	size_t have, size_t want)
{
	if (have == want)
		return 0;
	return check_fail(k, PATH_ENTRY "/session-key/%s/%s: %zu hexadecimal digits; the transform set needs %zu",
		ENTRY_PATH(e), dir, leaf, 2 * have, 2 * want);
}

static int check_keys(struct config_check *k, const struct cfg_map_entry *e, const char *dir,
	const struct cfg_session_key *key, struct algo_suite s)
{
	const struct algo_encr *encr = algo_encr_get(s.encr);
	const struct algo_integ *integ = algo_integ_get(encr ? s.integ : s.ah);
	const struct algo_integ *outer = encr ? algo_integ_get(s.ah) : NULL;
	int r = check_key(k, e, dir, "cipher", key->cipher_len, encr ? encr->key_len : 0);

	r = r ? r : check_key(k, e, dir, "authenticator", key->auth_len, integ ? integ->key_len : 0);
	if (!r && !outer != !key->ah_spi)
		return check_fail(k, PATH_ENTRY "/session-key/%s/ah: %s", ENTRY_PATH(e), dir,
			outer ? "missing; the transform set has AH around ESP" : "only with AH and ESP in one set");
	return r ? r : check_key(k, e, dir, "ah/authenticator", key->ah_auth_len, outer ? outer->key_len : 0);
}

static int check_manual_set(struct config_check *k, const struct cfg_map_entry *e)
{
	const struct cfg_transform_set *t = e->ts_ref[0];
	const struct algo_encr *encr = algo_encr_get(t->suite.encr);
	const struct algo_integ *ah = algo_integ_get(t->suite.ah);

	if ((encr && encr->salt_len) || (ah && ah->salt_len))
		return check_fail(k,
			PATH_ENTRY
			"/transform-set: '%s' has a counter mode (CTR, GCM, GMAC, ChaCha20), which must never meet "
			"the same key again (RFC 4106 section 2); esp-aes with esp-sha256-hmac, or ah-sha256-hmac",
			ENTRY_PATH(e), t->name);
	if (t->esn)
		return check_fail(k,
			PATH_ENTRY
			"/transform-set: '%s' has extended sequence numbers, which need IKE (RFC 4303 2.2.1)",
			ENTRY_PATH(e), t->name);
	return 0;
}

#define SPI_LOW(spi) ((spi) & (CV_SA_MAX - 1))
static int check_spi(struct config_check *k, const struct cfg_map_entry *e, const char *leaf, uint32_t spi)
{
	if (SPI_LOW(spi) >= 256 && SPI_LOW(spi) <= MANUAL_SPI_MAX)
		return 0;
	return check_fail(k,
		PATH_ENTRY "/session-key/inbound/%s: %u; an inbound SPI is 256..%u, or that plus a multiple of %u",
		ENTRY_PATH(e), leaf, spi, MANUAL_SPI_MAX, CV_SA_MAX);
}

int config_check_manual(struct config_check *k, const struct cfg_map_entry *e)
{
	const struct cfg_manual *m = e->manual;
	int r;

	if (e->n_peer != 1 || e->n_transform_set != 1 || cfg_peer_host(e, 0))
		return check_fail(k,
			PATH_ENTRY
			"/session-key: a manual entry has one peer and one transform set (IPSEC-67), the peer by its "
			"address",
			ENTRY_PATH(e));
	if (e->per_host || e->auto_start || e->pfs)
		return check_fail(k,
			PATH_ENTRY "/session-key: not with level per-host, auto-start or pfs, which are IKE's",
			ENTRY_PATH(e));
	(void)((r = check_spi(k, e, "spi", m->in.spi)) ||
		(r = m->in.ah_spi ? check_spi(k, e, "ah/spi", m->in.ah_spi) : 0) || (r = check_manual_set(k, e)) ||
		(r = check_keys(k, e, "inbound", &m->in, e->ts_ref[0]->suite)) ||
		(r = check_keys(k, e, "outbound", &m->out, e->ts_ref[0]->suite)));
	return r;
}

#define SPI_PAIRS ((MANUAL_SPI_MAX + 1) / 2)
static int claim_spi(struct config_check *k, const struct cfg_map_entry **user, const struct cfg_map_entry *e,
	const char *leaf, uint32_t spi)
{
	const struct cfg_map_entry **u = &user[SPI_LOW(spi) / 2];

	if (*u)
		return check_fail(k,
			PATH_ENTRY
			"/session-key/inbound/%s: %u is too close to one of crypto map %s entry %u; inbound SPIs, of "
			"AH and of ESP, must differ in more than the last bit",
			ENTRY_PATH(e), leaf, spi, (*u)->map->name, (*u)->seq);
	*u = e;
	return 0;
}

/* An inbound SPI is an index; the two of a pair belong together. */
int config_check_manual_spis(struct config_check *k)
{
	static const struct cfg_map_entry *user[SPI_PAIRS];
	int r = 0;

	memset(user, 0, sizeof(user));
	for (unsigned i = 0; i < k->c->n_map; i++)
		for (unsigned j = 0; !r && j < k->c->map[i].n_entry; j++) {
			const struct cfg_map_entry *e = &k->c->map[i].entry[j];

			if (e->manual)
				r = claim_spi(k, user, e, "spi", e->manual->in.spi);
			if (!r && e->manual && e->manual->in.ah_spi)
				r = claim_spi(k, user, e, "ah/spi", e->manual->in.ah_spi);
		}
	return r;
}
