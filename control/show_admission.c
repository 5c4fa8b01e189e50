/* SPDX-License-Identifier: BSD-3-Clause */
/* show and clear: call admission (CAC-20..22). */
#include "show_priv.h"

void show_call_admission(struct show *s)
{
	struct ike_cac_stats st;

	ike_cac_stats(s->c->ike, &st);
	set_int(s->out, "charge", st.charge);
	set_int(s->out, "limit", st.charge_limit);
	set_int(s->out, "rejected", st.in.rejected + st.out.rejected);
	set_int(s->out, "accepted", st.in.accepted + st.out.accepted);
	set_int(s->out, "unscaled", st.unscaled);
	show_answer(s);
}

static void direction(json_t *out, const char *key, uint64_t accepted, uint64_t rejected)
{
	json_t *o = json_object();

	set_int(o, "requests", accepted + rejected);
	set_int(o, "accepted", accepted);
	set_int(o, "rejected", rejected);
	json_object_set_new(out, key, o);
}

void show_crypto_admission(struct show *s)
{
	struct ike_cac_stats st;
	json_t *o = json_object();

	ike_cac_stats(s->c->ike, &st);
	set_int(s->out, "resource_limit", st.charge_limit);
	set_int(s->out, "max_ike_sas", st.sa_limit);
	set_int(s->out, "max_in_negotiation", st.negotiation_limit);
	set_int(s->out, "total", (uint64_t)st.active + st.negotiating);
	set_int(s->out, "active", st.active);
	set_int(s->out, "negotiating", st.negotiating);
	direction(s->out, "incoming", st.in.accepted, st.in.rejected);
	direction(s->out, "outgoing", st.out.accepted, st.out.rejected);
	set_int(o, "total", st.rsrc_low + st.by_sa_limit);
	set_int(o, "rsrc_low", st.rsrc_low);
	set_int(o, "sa_limit", st.by_sa_limit);
	json_object_set_new(s->out, "rejected", o);
	show_answer(s);
}

void clear_crypto_admission(struct show *s)
{
	ike_cac_clear(s->c->ike);
	show_answer(s);
}
