/* SPDX-License-Identifier: BSD-3-Clause */
#include "ike_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct pair *p;

int teardown(void **state)
{
	(void)state;
	if (p)
		pair_free(p);
	p = NULL;
	return 0;
}

void bring_up(void)
{
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
}

static enum ike_group *two_more(struct cv_config *c)
{
	enum ike_group *g = config_alloc(c, 2, sizeof(*g));
	g[0] = IKE_GROUP_ECP256;
	g[1] = IKE_GROUP_CURVE448;
	return g;
}

void three_exchanges(struct cv_config *c)
{
	struct cfg_ike_proposal *o = c->ike_proposal = config_alloc(c, 3, sizeof(*o)); /* and the built-in ones */
	struct cfg_ike_profile *pr = c->ike_profile;
	c->n_ike_proposal = 1;
	pr->proposal = config_alloc(c, 1, sizeof(*pr->proposal));
	o->name = pr->proposal[pr->n_proposal++] = "followups";
	o->encr = config_alloc(c, 1, sizeof(*o->encr));
	o->encr[o->n_encr++] = (struct cfg_ike_encr){.encr = IKE_ENCR_AES_GCM16, .key_bits = 128};
	o->prf = config_alloc(c, 1, sizeof(*o->prf));
	o->prf[o->n_prf++] = IKE_PRF_HMAC_SHA256;
	o->group = config_alloc(c, 1, sizeof(*o->group));
	o->group[o->n_group++] = IKE_GROUP_CURVE25519;
	o->addke = two_more(c);
	o->n_addke = 2;
	for (unsigned i = 0; i < c->map->n_entry; i++) {
		c->map->entry[i].pfs = IKE_GROUP_CURVE25519;
		c->map->entry[i].addke = two_more(c);
		c->map->entry[i].n_addke = 2;
	}
}
