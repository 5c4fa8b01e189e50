/* SPDX-License-Identifier: BSD-3-Clause */
/* show vtemplate: virtual templates, the IKE profiles that name them, and the interfaces cloned from them (VTI-22, 23).
 */
#include <string.h>

#include "cv_addr.h"
#include "show_priv.h"
#include "virtual_access.h"

struct clones {
	struct control *c;
	const char *template;
	json_t *list;
};

static void add_clone(void *arg, const struct virtual_access_info *i)
{
	struct clones *x = arg;
	json_t *o;

	if (strcmp(i->template, x->template))
		return;
	o = json_object();
	set_str(o, "name", i->interface->name);
	set_str(o, "ike_profile", i->ike_profile);
	set_addr(o, "source", &i->path->local);
	set_addr(o, "destination", &i->path->remote);
	set_int(o, "port", i->path->rport);
	if (i->inner.af)
		set_addr(o, "inner_address", &i->inner);
	set_str(o, "vrf", i->interface->vrf);
	set_int(o, "sa_pairs", i->n_pair);
	json_array_append_new(x->list, o);
}

static json_t *template_object(struct control *c, const struct cfg_interface *t)
{
	json_t *o = interface_entry(c, t), *profiles = set_array(o, "ike_profiles");
	struct clones x = {.c = c, .template = t->name, .list = set_array(o, "clones")};

	for (unsigned i = 0; i < c->running->n_ike_profile; i++) {
		const struct cfg_ike_profile *p = &c->running->ike_profile[i];

		if (p->virtual_template && !strcmp(p->virtual_template, t->name))
			json_array_append_new(profiles, json_string(p->name));
	}
	virtual_access_each(c->virtual_access, add_clone, &x);
	return o;
}

void show_vtemplate(struct show *s)
{
	const struct cv_config *cfg = s->c->running;
	json_t *list = set_array(s->out, "templates");

	for (unsigned i = 0; cfg && i < cfg->n_interface; i++)
		if (cfg->interface[i].type == CFG_IF_TEMPLATE)
			json_array_append_new(list, template_object(s->c, &cfg->interface[i]));
	show_answer(s);
}
