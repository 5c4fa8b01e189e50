/* SPDX-License-Identifier: BSD-3-Clause */
/* show: the IKE SAs, slice by slice, and what the engine counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "cv_array.h"
#include "show_priv.h"

/* ---- IKE SAs: the engine knows everything but the names of VRFs ---- */

struct ike_list {
	struct control_rest rest; /* first */
	struct control *c;
	struct ike_sa_name *name;
	unsigned n, cap, at;
};

static void vrf_to_name(const struct control *c, json_t *sa, const char *key)
{
	uint32_t id = (uint32_t)json_integer_value(json_object_get(sa, key));

	json_object_del(sa, key);
	set_vrf(c, sa, key, id);
}

static void add_name(void *arg, const struct ike_sa_name *name)
{
	struct ike_list *x = arg;

	x->name = cv_array_need(x->name, x->n, &x->cap, sizeof(*x->name));
	x->name[x->n++] = *name;
}

static bool ike_list_next(struct control_rest *rest, struct show_text *t)
{
	struct ike_list *x = (struct ike_list *)rest;
	size_t until = t->len + SHOW_SLICE;

	for (; x->at < x->n && t->len < until; x->at++) {
		json_t *sa = ike_show_sa(x->c->ike, &x->name[x->at]);

		if (!sa) /* gone meanwhile */
			continue;
		vrf_to_name(x->c, sa, "fvrf");
		vrf_to_name(x->c, sa, "ivrf");
		if (json_object_get(sa, "peer_id"))
			json_object_set(sa, "remote_id", json_object_get(sa, "peer_id"));
		json_object_del(sa, "peer_id");
		text_json(t, NULL, sa);
		json_decref(sa);
	}
	return x->at < x->n;
}

static void ike_list_free(struct control_rest *rest)
{
	struct ike_list *x = (struct ike_list *)rest;

	free(x->name);
	free(x);
}

static void ike_sas(struct show *s, int version)
{
	struct ike_list *x = malloc(sizeof(*x));

	if (!x)
		abort();
	*x = (struct ike_list){.rest = {"sas", ike_list_next, ike_list_free}, .c = s->c};
	ike_for_each_sa(s->c->ike, version, add_name, x);
	s->rest = &x->rest;
	show_answer(s);
}

void show_isakmp_sa(struct show *s)
{
	ike_sas(s, 1);
}

void show_ikev2_sa(struct show *s)
{
	ike_sas(s, 2);
}

void show_ike_stats(struct show *s)
{
	json_t *stats = ike_show_stats(s->c->ike);

	spi_show(s->c->spi, stats);
	json_object_set_new(s->out, "stats", stats);
	show_answer(s);
}
