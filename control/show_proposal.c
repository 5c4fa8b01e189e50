/* SPDX-License-Identifier: BSD-3-Clause */
/* show crypto ikev2 proposal: what IKEv2 offers and takes, with the built-in ones. */
#include <string.h>

#include "show_priv.h"

static void add(json_t *list, enum algo_ike_kind kind, unsigned id, uint16_t bits)
{
	const struct algo_ike *a = algo_ike_get(kind, (uint16_t)id, bits);

	if (a)
		json_array_append_new(list, json_string(a->name));
}

static json_t *proposal(const struct cfg_ike_proposal *p)
{
	json_t *o = json_object(), *list;

	set_str(o, "name", p->name);
	set_flag(o, "default", p->builtin);
	list = set_array(o, "encryption");
	for (unsigned i = 0; i < p->n_encr; i++)
		add(list, ALGO_IKE_ENCR, p->encr[i].encr, p->encr[i].key_bits);
	list = set_array(o, "integrity");
	for (unsigned i = 0; i < p->n_integ; i++)
		add(list, ALGO_IKE_INTEG, p->integ[i], 0);
	list = set_array(o, "prf");
	for (unsigned i = 0; i < p->n_prf; i++)
		add(list, ALGO_IKE_PRF, p->prf[i], 0);
	list = set_array(o, "group");
	for (unsigned i = 0; i < p->n_group; i++)
		add(list, ALGO_IKE_GROUP, p->group[i], 0);
	list = set_array(o, "additional_group");
	for (unsigned i = 0; i < p->n_addke; i++)
		add(list, ALGO_IKE_GROUP, p->addke[i], 0);
	return o;
}

void show_proposal(struct show *s)
{
	const struct cv_config *c = s->c->running;
	const char *only = arg_str(s, "name");
	json_t *list = set_array(s->out, "proposals");

	for (unsigned i = 0; c && i < c->n_ike_proposal; i++)
		if (!only || !strcmp(only, c->ike_proposal[i].name))
			json_array_append_new(list, proposal(&c->ike_proposal[i]));
	show_answer(s);
}
