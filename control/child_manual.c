/* SPDX-License-Identifier: BSD-3-Clause */
/* Pairs of manual entries: SPIs and keys are the operator's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "child_priv.h"
#include "control_priv.h"
#include "cv_secret.h"

/* The number that the operator's SPI asks for, 0 = it is taken. */
static uint32_t manual_number(const struct child_table *t, uint32_t spi_in)
{
	uint32_t id = (spi_in & (CV_SA_MAX - 1)) / 2;

	return id < CHILD_MANUAL_MAX && t->state[id] == PAIR_FREE ? id : 0;
}

static struct child *manual_new(struct child_table *t, const struct ike_child_params *p)
{
	const bool bundle = p->suite.encr && p->suite.ah;
	uint32_t id = manual_number(t, p->spi_in), ah_id = bundle ? manual_number(t, p->ah_spi_in) : 0;
	struct child *ch = id && (ah_id || !bundle) ? child_from_params(t->c, id, p) : NULL;

	if (!ch)
		return NULL;
	ch->manual = true;
	ch->odd = p->spi_in & 1;
	ch->replay_window = 0; /* IPSEC-10 */
	if (bundle && !child_bundle(ch, ah_id, p)) {
		free(ch);
		return NULL;
	}
	if (ch->ah)
		ch->ah->odd = p->ah_spi_in & 1;
	child_table_put(t, ch);
	return ch;
}

static uint16_t key_join(const struct cfg_session_key *k, uint8_t out[CV_SA_KEY_MAX])
{
	if (k->cipher_len)
		memcpy(out, k->cipher, k->cipher_len);
	if (k->auth_len)
		memcpy(out + k->cipher_len, k->auth, k->auth_len);
	return (uint16_t)(k->cipher_len + k->auth_len);
}

int child_add_manual(struct child_table *t, const struct ike_child_params *p, const struct cfg_manual *keys)
{
	struct child *ch = manual_new(t, p);
	uint8_t in[CV_SA_KEY_MAX], out[CV_SA_KEY_MAX];

	if (!ch)
		return -EBUSY;
	if (ch->ah)
		child_install(ch->ah, keys->in.ah_auth, keys->out.ah_auth, (uint16_t)keys->in.ah_auth_len, false);
	uint16_t len = key_join(&keys->in, in);
	key_join(&keys->out, out);
	child_install(ch, in, out, len, false);
	cv_secret_zero(in, sizeof(in));
	cv_secret_zero(out, sizeof(out));
	return 0;
}

void child_adopt_manual(struct child_table *t, const struct ike_child_params *p)
{
	for (struct child *ch = manual_new(t, p); ch; ch = ch->ah)
		ch->halves = CHILD_IN | CHILD_OUT; /* what of them is really there, the dump says */
}
