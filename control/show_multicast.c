/* SPDX-License-Identifier: BSD-3-Clause */
/* show of multicast routes. */
#include <string.h>

#include "show_priv.h"

void sum_mroute(const struct cv_stats_segment *seg, uint32_t counter, struct cv_mroute_counters *out)
{
	*out = (struct cv_mroute_counters){0};
	for (unsigned w = 0; w < CV_WRITERS && w <= seg->n_workers; w++) {
		const struct cv_mroute_counters *c = &seg->writer[w].mroute[counter % CV_MROUTE_MAX];

		out->packets += c->packets;
		out->bytes += c->bytes;
		out->copies += c->copies;
		out->wrong_if += c->wrong_if;
		out->former += c->former;
	}
}

/* Since the operator set the counters to zero, if it is still the same route that has them. */
static void since_clear(const struct control *c, uint32_t counter, struct cv_mroute_counters *n)
{
	const struct stats_base *base = show_base(c);
	const struct cv_mroute_counters *from = base ? &base->mroute[counter % CV_MROUTE_MAX] : NULL;

	if (!from || from->former != n->former)
		return;
	n->packets -= from->packets;
	n->bytes -= from->bytes;
	n->copies -= from->copies;
	n->wrong_if -= from->wrong_if;
}

static void set_interface(const struct control *c, json_t *o, const char *key, uint32_t if_id)
{
	const struct cfg_interface *i = if_by_id(c, if_id);

	set_str(o, key, i ? i->name : NULL);
}

static void on_mroute(struct show *s, const struct cv_mroute_entry *e)
{
	const struct cv_stats_segment *seg = dpclient_stats(s->c->dp);
	const struct cv_mroute *r = &e->route;
	struct cv_mroute_counters n;
	json_t *o = json_object(), *outs;

	set_addr(o, "group", &r->ref.group);
	if (r->ref.source.af)
		set_addr(o, "source", &r->ref.source);
	set_str(o, "origin", e->from_host ? "host" : "static");
	set_interface(s->c, o, "incoming_interface", r->if_in);
	outs = set_array(o, "outgoing_interfaces");
	for (unsigned i = 0; i < r->n_out && i < CV_MROUTE_OUT_MAX; i++) {
		json_t *out = json_object();

		set_interface(s->c, out, "interface", r->out[i].if_id);
		set_int(out, "ttl_threshold", r->out[i].ttl);
		json_array_append_new(outs, out);
	}
	if (seg) {
		sum_mroute(seg, e->counter, &n);
		since_clear(s->c, e->counter, &n);
		set_int(o, "packets", n.packets);
		set_int(o, "bytes", n.bytes);
		set_int(o, "copies", n.copies);
		set_int(o, "wrong_interface", n.wrong_if);
	}
	json_array_append_new(s->list, o);
}

static void on_entry(void *arg, const void *entry, size_t size, uint8_t af)
{
	struct cv_mroute_entry e;

	if (size < sizeof(e))
		return;
	memcpy(&e, entry, sizeof(e)); /* alignment */
	if (e.route.ref.group.af == af)
		on_mroute(arg, &e);
}

static void on_entry4(void *arg, const void *entry, size_t size)
{
	on_entry(arg, entry, size, CV_AF_INET);
}

static void on_entry6(void *arg, const void *entry, size_t size)
{
	on_entry(arg, entry, size, CV_AF_INET6);
}

static void show_mroutes(struct show *s, void (*each)(void *arg, const void *entry, size_t size))
{
	int vrf;

	if (arg_vrf(s, "vrf", &vrf))
		return;
	set_str(s->out, "vrf", arg_str(s, "vrf"));
	s->list = set_array(s->out, "routes");
	show_dump(s, CV_DUMP_MROUTE, vrf < 0 ? CV_VRF_GLOBAL : (uint32_t)vrf, each);
}

void show_ip_mroute(struct show *s)
{
	show_mroutes(s, on_entry4);
}

void show_ipv6_mroute(struct show *s)
{
	show_mroutes(s, on_entry6);
}
