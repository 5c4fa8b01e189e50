/* SPDX-License-Identifier: BSD-3-Clause */
#include "ike_proposals.h"

struct cfg_ike_proposal *ike_proposal_lean(struct cv_config *c)
{
	struct cfg_ike_proposal *o = c->ike_proposal = config_alloc(c, 3, sizeof(*o)); /* and the built-in ones */
	struct cfg_ike_profile *p = c->ike_profile;

	c->n_ike_proposal = 1;
	p->proposal = config_alloc(c, 1, sizeof(*p->proposal));
	o->name = p->proposal[0] = "lean";
	p->n_proposal = 1;
	o->encr = config_alloc(c, 1, sizeof(*o->encr));
	o->encr[o->n_encr++] = (struct cfg_ike_encr){.encr = IKE_ENCR_AES_GCM16, .key_bits = 128};
	o->prf = config_alloc(c, 1, sizeof(*o->prf));
	o->prf[o->n_prf++] = IKE_PRF_HMAC_SHA256;
	o->group = config_alloc(c, 1, sizeof(*o->group));
	o->group[o->n_group++] = IKE_GROUP_CURVE25519;
	return o;
}

static enum ike_group *two_more(struct cv_config *c)
{
	enum ike_group *g = config_alloc(c, 2, sizeof(*g));

	g[0] = IKE_GROUP_ECP256;
	g[1] = IKE_GROUP_CURVE448;
	return g;
}

void ike_proposal_three_exchanges(struct cv_config *c)
{
	struct cfg_ike_proposal *o = ike_proposal_lean(c);

	o->addke = two_more(c);
	o->n_addke = 2;
	for (unsigned i = 0; i < c->map->n_entry; i++) {
		c->map->entry[i].pfs = IKE_GROUP_CURVE25519;
		c->map->entry[i].addke = two_more(c);
		c->map->entry[i].n_addke = 2;
	}
}
