/* SPDX-License-Identifier: BSD-3-Clause */
/* show aaa servers. */
#include "show_priv.h"

void show_aaa_servers(struct show *s)
{
	json_object_set_new(s->out, "servers", aaa_show(s->c->aaa));
	show_answer(s);
}
