/* SPDX-License-Identifier: BSD-3-Clause */
/* show and clear of connections and translations. */
#include <stdio.h>
#include <string.h>

#include "cv_addr.h"
#include "show_priv.h"

#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMPV6 58

static const char *protocol(uint8_t proto, char buf[static 8])
{
	switch (proto) {
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		return "icmp";
	case PROTO_TCP:
		return "tcp";
	case PROTO_UDP:
		return "udp";
	default:
		return proto_text(proto, buf);
	}
}

/* An end of a connection: ports where there are any, and the identifier of an echo as that of its originator. */
static void set_end(json_t *o, const char *key, const char *port_key, const struct cv_addr *a, uint16_t port, bool has)
{
	set_addr(o, key, a);
	if (has)
		set_int(o, port_key, port);
}

static void set_interface(struct show *s, json_t *o, const char *key, uint32_t if_id)
{
	const struct cfg_interface *i = if_by_id(s->c, if_id);

	set_str(o, key, i ? i->name : NULL);
}

static void on_connection(void *arg, const void *entry, size_t size)
{
	static const char *const state[] = {
		[CV_CONN_HALF_OPEN] = "half-open", [CV_CONN_OPEN] = "open", [CV_CONN_CLOSED] = "closed"};
	struct show *s = arg;
	struct cv_conn_entry e;
	json_t *o = json_object();
	char text[8];

	if (size < sizeof(e)) {
		json_decref(o);
		return;
	}
	memcpy(&e, entry, sizeof(e)); /* alignment */
	const bool ports = e.proto == PROTO_TCP || e.proto == PROTO_UDP;
	const bool echo = e.proto == PROTO_ICMP || e.proto == PROTO_ICMPV6;

	set_str(o, "protocol", protocol(e.proto, text));
	set_end(o, "source", echo ? "identifier" : "source_port", &e.src, e.src_port, ports || echo);
	set_end(o, "destination", "destination_port", &e.dst, e.dst_port, ports);
	set_vrf(s->c, o, "vrf", e.vrf_id);
	set_str(o, "state", e.state && e.state <= CV_CONN_CLOSED ? state[e.state] : NULL);
	set_interface(s, o, "interface_in", e.if_in);
	set_interface(s, o, "interface_out", e.if_out);
	set_int(o, "age", e.age_s);
	set_int(o, "expires", e.left_s);
	json_array_append_new(s->list, o);
}

void show_inspect_sessions(struct show *s)
{
	s->list = set_array(s->out, "sessions");
	show_dump(s, CV_DUMP_CONN, CV_CONN_F_INSPECT, on_connection);
}

void clear_inspect_sessions(struct show *s)
{
	clear_in_dataplane(s, &(struct cv_cmd_clear){.what = CV_CLEAR_CONN, .if_id = CV_CONN_F_INSPECT});
}

/* ---- translations ---- */

/* What the manuals call an end: "inside_global" and "inside_global_port". */
static void set_named(json_t *o, const char *name, const struct cv_addr *a, uint16_t port, bool has)
{
	char key[40];

	snprintf(key, sizeof(key), "%s_port", name);
	set_end(o, name, key, a, port, has);
}

static void on_translation(void *arg, const void *entry, size_t size)
{
	struct show *s = arg;
	struct cv_conn_entry e;
	char text[8];

	if (size < sizeof(e))
		return;
	memcpy(&e, entry, sizeof(e)); /* alignment */
	json_t *o = json_object();
	const bool ports = e.proto == PROTO_TCP || e.proto == PROTO_UDP, echo = e.proto == PROTO_ICMP;
	const bool from_inside = cv_addr_eq(&e.dst, &e.reply_src) && e.dst_port == e.reply_src_port;

	set_str(o, "protocol", protocol(e.proto, text));
	if (from_inside) {
		set_named(o, "inside_global", &e.reply_dst, e.reply_dst_port, ports || echo);
		set_named(o, "inside_local", &e.src, e.src_port, ports || echo);
		set_named(o, "outside", &e.dst, e.dst_port, ports);
	} else {
		set_named(o, "inside_global", &e.dst, e.dst_port, ports);
		set_named(o, "inside_local", &e.reply_src, e.reply_src_port, ports);
		set_named(o, "outside", &e.src, e.src_port, ports || echo);
	}
	set_vrf(s->c, o, "vrf", from_inside ? e.vrf_id : e.reply_vrf_id);
	set_int(o, "age", e.age_s);
	set_int(o, "expires", e.left_s);
	json_array_append_new(s->list, o);
}

static void add_static(struct show *s, const struct cfg_nat_static *n)
{
	json_t *o = json_object();
	char text[8];

	set_flag(o, "static", true);
	set_str(o, "name", n->name);
	if (n->proto)
		set_str(o, "protocol", protocol(n->proto, text));
	set_str(o, "inside_global_interface", n->interface);
	if (!n->interface)
		set_addr(o, "inside_global", &n->global);
	if (n->proto)
		set_int(o, "inside_global_port", n->global_port);
	set_named(o, "inside_local", &n->local, n->local_port, n->proto != 0);
	set_str(o, "vrf", n->vrf);
	json_array_append_new(s->list, o);
}

void show_nat_translations(struct show *s)
{
	const struct cv_config *c = s->c->running;

	s->list = set_array(s->out, "translations");
	for (unsigned i = 0; c && i < c->n_nat_static; i++)
		add_static(s, &c->nat_static[i]);
	show_dump(s, CV_DUMP_CONN, CV_CONN_F_NAT, on_translation);
}

void clear_nat_translations(struct show *s)
{
	clear_in_dataplane(s, &(struct cv_cmd_clear){.what = CV_CLEAR_CONN, .if_id = CV_CONN_F_NAT});
}
