/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine: version, interfaces, neighbours, routes, drops, trace, capture. */
#include <string.h>

#include "render.h"

static void dataplane_lines(FILE *out, const json_t *d)
{
	char up[48];

	if (strcmp(jtext(d, "state", "down"), "up") == 0) {
		fprintf(out, "dataplane: up, version %s, uptime %s, %lld workers\n", jtext(d, "version", "?"),
			hms(jint(d, "uptime"), up), jint(d, "workers"));
		fprintf(out, "crypto provider: %s\n", jtext(d, "provider", "?"));
	} else {
		fprintf(out, "dataplane: down\n");
	}
	if (json_object_get(d, "configuration"))
		fprintf(out, "configuration in the dataplane: %s\n", jtext(d, "configuration", "?"));
	if (json_object_get(d, "push_error"))
		fprintf(out, "last push: %s\n", jtext(d, "push_error", ""));
}

RENDERER(render_version)
{
	char up[48];

	(void)request;
	fprintf(out, "Culvert %s on %s\n", jtext(result, "version", "?"), jtext(result, "hostname", "?"));
	fprintf(out, "culvertd uptime: %s\n", hms(jint(result, "uptime"), up));
	dataplane_lines(out, json_object_get(result, "dataplane"));
}

RENDERER(render_dataplane)
{
	(void)request;
	dataplane_lines(out, result);
	fprintf(out, "objects: %lld, pairs of IPsec SAs: %lld\n", jint(result, "objects"),
		jint(result, "ipsec_sa_pairs"));
}

RENDERER(render_engine)
{
	size_t i, k;
	json_t *e, *a;

	(void)request;
	json_array_foreach (json_object_get(result, "engines"), i, e) {
		fprintf(out, "crypto engine name: %s\n", jtext(e, "name", "?"));
		fprintf(out, "crypto engine type: %s\n", jtext(e, "type", "?"));
		fprintf(out, "             state: %s\n", jtext(e, "state", "?"));
		json_array_foreach (json_object_get(e, "algorithms"), k, a)
			fprintf(out, "%s%s\n", k ? "                    " : "        transforms: ", jstring(a));
	}
}

/* A word or a number. */
static void value(FILE *out, const json_t *v)
{
	if (json_is_string(v))
		fputs(json_string_value(v), out);
	else
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
}

static void tunnel_lines(FILE *out, const json_t *t)
{
	const json_t *hop;
	size_t k;

	if (!t)
		return;
	if (json_object_get(t, "source"))
		fprintf(out, "  Tunnel source %s", jtext(t, "source", "?"));
	if (json_object_get(t, "source_interface"))
		fprintf(out, " (%s)", jtext(t, "source_interface", ""));
	if (json_object_get(t, "destination"))
		fprintf(out, ", destination %s\n", jtext(t, "destination", "?"));
	else if (json_object_get(t, "source"))
		fputc('\n', out);
	json_array_foreach (json_object_get(t, "next_hops"), k, hop)
		fprintf(out, "  Next hop %s, NBMA address %s%s\n", jtext(hop, "address", "?"),
			jtext(hop, "nbma_address", "?"), jflag(hop, "multicast") ? ", multicast" : "");
	fprintf(out, "  Tunnel protocol/transport %s, tunnel VRF: %s\n", jtext(t, "protocol", "?"), jvrf(t, "vrf"));
	if (json_object_get(t, "key"))
		fprintf(out, "  Key 0x%llX, sequencing %s\n", jint(t, "key"),
			jflag(t, "sequence") ? "enabled" : "disabled");
	else
		fprintf(out, "  Key disabled, sequencing %s\n", jflag(t, "sequence") ? "enabled" : "disabled");
	if (json_object_get(t, "ttl")) {
		fputs("  Tunnel TTL ", out);
		value(out, json_object_get(t, "ttl"));
		fputs(", DSCP ", out);
		value(out, json_object_get(t, "dscp"));
		fputc('\n', out);
	}
	fprintf(out, "  Checksumming of packets %s\n", jflag(t, "checksum") ? "enabled" : "disabled");
	if (json_object_get(t, "keepalive"))
		fprintf(out, "  Keepalive set (%lld sec), retries %lld\n", jint(t, "keepalive"),
			jint(t, "keepalive_retries"));
	else
		fputs("  Keepalive not set\n", out);
	if (json_object_get(t, "profile"))
		fprintf(out, "  Tunnel protection via IPsec (profile \"%s\")%s\n", jtext(t, "profile", ""),
			jflag(t, "responder_only") ? ", never initiates" : "");
}

static void urpf_line(FILE *out, const char *family, const json_t *u)
{
	if (u)
		fprintf(out, "  %s verify source reachable-via %s%s\n", family, jtext(u, "reachable_via", "?"),
			jflag(u, "allow_default") ? ", allow default" : "");
}

/* The manuals' "Last input 00:00:05, output never", in seconds exact to five. */
static void ago(FILE *out, const char *what, const json_t *o, const char *key)
{
	char text[48];

	fprintf(out, "%s %s", what, json_object_get(o, key) ? hms(jint(o, key), text) : "never");
}

static void rate(FILE *out, const json_t *i, const char *way)
{
	const json_t *o = json_object_get(i, way);

	fprintf(out, "  5 minute %s rate %lld bits/sec, %lld packets/sec\n", way, jint(o, "bits_per_second"),
		jint(o, "packets_per_second"));
}

/* How much it carries, of what it is worth (VTI-T1). */
static void rate_lines(FILE *out, const json_t *i)
{
	const json_t *in = json_object_get(i, "input"), *output = json_object_get(i, "output"),
		     *queue = json_object_get(i, "output_queue");

	if (!in)
		return;
	if (json_object_get(in, "bandwidth_kbps")) {
		fprintf(out, "  Tunnel transmit bandwidth %lld (kbps), txload %lld/255\n",
			jint(output, "bandwidth_kbps"), jint(output, "load"));
		fprintf(out, "  Tunnel receive bandwidth %lld (kbps), rxload %lld/255\n", jint(in, "bandwidth_kbps"),
			jint(in, "load"));
	}
	ago(out, "  Last input", in, "last_s");
	ago(out, ", output", output, "last_s");
	ago(out, "\n  Last clearing of \"show interface\" counters", i, "cleared_s");
	fprintf(out, "\n  Queueing strategy: %s\n", jtext(i, "queueing", "fifo"));
	fprintf(out, "  Output queue: %lld/%lld (size/max); Total output drops: %lld\n", jint(queue, "size"),
		jint(queue, "max"), jint(i, "tx_drops"));
	rate(out, i, "input");
	rate(out, i, "output");
}

static void interface_block(FILE *out, const json_t *i)
{
	const json_t *tunnel = json_object_get(i, "tunnel");
	const char *link = jtext(i, "link", "down");
	size_t k;
	json_t *a;

	fprintf(out, "%s is %s, line protocol is %s\n", jtext(i, "name", "?"),
		strcmp(jtext(i, "admin", "up"), "down") == 0 ? "administratively down"
		: tunnel				     ? "up"
							     : link,
		link);
	fprintf(out, "  Hardware is %s", jtext(i, "type", "?"));
	if (json_object_get(i, "driver"))
		fprintf(out, " (%s)", jtext(i, "driver", ""));
	if (json_object_get(i, "mac"))
		fprintf(out, ", address is %s", jtext(i, "mac", ""));
	fputc('\n', out);
	if (json_object_get(i, "device"))
		fprintf(out, "  Device: %s\n", jtext(i, "device", ""));
	if (json_object_get(i, "parent"))
		fprintf(out, "  Encapsulation 802.1Q, VLAN id %lld on %s\n", jint(i, "vlan_id"),
			jtext(i, "parent", "?"));
	if (json_object_get(i, "description"))
		fprintf(out, "  Description: %s\n", jtext(i, "description", ""));
	if (json_object_get(i, "template"))
		fprintf(out, "  Cloned from %s\n", jtext(i, "template", "?"));
	json_array_foreach (json_object_get(i, "addresses"), k, a)
		fprintf(out, "  Internet address is %s\n", jstring(a));
	fprintf(out, "  MTU %lld bytes", jint(i, "mtu"));
	if (jint(i, "speed_mbps"))
		fprintf(out, ", BW %lld Mbit/s", jint(i, "speed_mbps"));
	fputc('\n', out);
	if (tunnel)
		fputs("  Encapsulation TUNNEL\n", out);
	if (json_object_get(i, "transport_mtu"))
		fprintf(out, "  Tunnel transport MTU %lld bytes\n", jint(i, "transport_mtu"));
	static const char *const family[2][3] = {
		{"IP", "mtu_ipv4", "tcp_mss_ipv4"}, {"IPv6", "mtu_ipv6", "tcp_mss_ipv6"}};
	for (unsigned f = 0; f < 2; f++) {
		if (jint(i, family[f][1]))
			fprintf(out, "  %s MTU %lld bytes\n", family[f][0], jint(i, family[f][1]));
		if (json_is_string(json_object_get(i, family[f][2])))
			fprintf(out, "  %s TCP MSS adjusted to the path MTU\n", family[f][0]);
		else if (jint(i, family[f][2]))
			fprintf(out, "  %s TCP MSS adjusted to %lld bytes\n", family[f][0], jint(i, family[f][2]));
	}
	if (json_object_get(i, "vrf") || json_object_get(i, "crypto_map"))
		fprintf(out, "  VRF: %s, crypto map: %s\n", jvrf(i, "vrf"), jtext(i, "crypto_map", "(none)"));
	if (json_object_get(i, "host_device"))
		fprintf(out, "  Host device: %s%s%s\n", jtext(i, "host_device", "?"),
			json_object_get(i, "host_namespace") ? ", network namespace " : "",
			jtext(i, "host_namespace", ""));
	static const struct {
		const char *key, *text;
	} list[] = {{"access_list_ipv4_in", "Inbound  access list"}, {"access_list_ipv4_out", "Outgoing access list"},
		{"access_list_ipv6_in", "Inbound  IPv6 access list"},
		{"access_list_ipv6_out", "Outgoing IPv6 access list"}};
	for (unsigned l = 0; l < sizeof(list) / sizeof(list[0]); l++)
		if (json_object_get(i, list[l].key))
			fprintf(out, "  %s is %s\n", list[l].text, jtext(i, list[l].key, "?"));
	if (json_object_get(i, "nat"))
		fprintf(out, "  Address translation: %s\n", jtext(i, "nat", "?"));
	if (json_object_get(i, "inspect"))
		fprintf(out, "  Inspection: %s\n", jtext(i, "inspect", "?"));
	urpf_line(out, "IP", json_object_get(i, "reverse_path_ipv4"));
	urpf_line(out, "IPv6", json_object_get(i, "reverse_path_ipv6"));
	tunnel_lines(out, tunnel);
	rate_lines(out, i);
	fprintf(out, "     %lld packets input, %lld bytes, %lld errors, %lld drops\n", jint(i, "rx_packets"),
		jint(i, "rx_bytes"), jint(i, "rx_errors"), jint(i, "rx_drops"));
	fprintf(out, "     %lld packets output, %lld bytes, %lld errors, %lld drops\n", jint(i, "tx_packets"),
		jint(i, "tx_bytes"), jint(i, "tx_errors"), jint(i, "tx_drops"));
}

static void interface_line(struct table *t, const json_t *i)
{
	const json_t *list = json_object_get(i, "addresses");
	const char *first = json_string_value(json_array_get(list, 0));

	table_cell(t, "%s", jtext(i, "name", "?"));
	table_cell(t, "%s%s", first ? first : "unassigned", json_array_size(list) > 1 ? " ..." : "");
	table_cell(t, "%s", jvrf(i, "vrf"));
	table_cell(t, "%s", jtext(i, "admin", "?"));
	table_cell(t, "%s", jtext(i, "link", "down"));
	table_cell(t, "%lld", jint(i, "mtu"));
	table_cell(t, "%lld", jint(i, "rx_packets"));
	table_cell(t, "%lld", jint(i, "tx_packets"));
}

RENDERER(render_interfaces)
{
	static const char *const titles[] = {
		"Interface", "Address", "VRF", "Admin", "Protocol", "MTU", "Input", "Output"};
	bool brief = jflag(request, "brief");
	struct table *t = brief ? table_new(8, titles, "     ---") : NULL;
	size_t i;
	json_t *v;

	json_array_foreach (json_object_get(result, "interfaces"), i, v) {
		if (brief)
			interface_line(t, v);
		else
			interface_block(out, v);
	}
	if (brief)
		table_print(t, out);
}

RENDERER(render_vtemplate)
{
	static const char *const titles[] = {"Interface", "IKE profile", "Peer", "Port", "Inner address", "SAs"};
	size_t i, k;
	json_t *t, *v;

	(void)request;
	json_array_foreach (json_object_get(result, "templates"), i, t) {
		const json_t *clones = json_object_get(t, "clones");
		struct table *rows = table_new(6, titles, "   - -");

		fprintf(out, "%s: type tunnel, VRF: %s, active clones: %zu\n", jtext(t, "name", "?"), jvrf(t, "vrf"),
			json_array_size(clones));
		tunnel_lines(out, json_object_get(t, "tunnel"));
		fprintf(out, "  IKE profiles:");
		json_array_foreach (json_object_get(t, "ike_profiles"), k, v)
			fprintf(out, " %s", jstring(v));
		fputc('\n', out);
		json_array_foreach (clones, k, v) {
			table_cell(rows, "%s", jtext(v, "name", "?"));
			table_cell(rows, "%s", jtext(v, "ike_profile", "?"));
			table_cell(rows, "%s", jtext(v, "destination", "?"));
			table_cell(rows, "%lld", jint(v, "port"));
			table_cell(rows, "%s", jtext(v, "inner_address", "-"));
			table_cell(rows, "%lld", 2 * jint(v, "sa_pairs"));
		}
		table_print(rows, out);
	}
}

RENDERER(render_neighbours)
{
	static const char *const titles[] = {"Address", "Age", "Hardware Addr", "State", "Interface", "VRF"};
	struct table *t = table_new(6, titles, " -    ");
	size_t i;
	json_t *n;
	char age[48];

	(void)request;
	json_array_foreach (json_object_get(result, "neighbours"), i, n) {
		table_cell(t, "%s", jtext(n, "address", "?"));
		table_cell(t, "%s", json_object_get(n, "age") ? hms(jint(n, "age"), age) : "-");
		table_cell(t, "%s", jtext(n, "mac", "Incomplete"));
		table_cell(t, "%s", jtext(n, "state", "?"));
		table_cell(t, "%s", jtext(n, "interface", "?"));
		table_cell(t, "%s", jvrf(n, "vrf"));
	}
	table_print(t, out);
}

static char route_code(const char *source)
{
	static const struct {
		const char *source;
		char code;
	} codes[] = {{"connected", 'C'}, {"local", 'L'}, {"static", 'S'}, {"rri", 'R'}, {"kernel", 'K'}, {"ospf", 'O'},
		{"bgp", 'B'}, {"rip", 'P'}, {"isis", 'I'}};

	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(source, codes[i].source) == 0)
			return codes[i].code;
	return '?';
}

static void next_hop(FILE *out, const json_t *r, const json_t *h)
{
	const char *intf = jtext(h, "interface", NULL), *addr = jtext(h, "address", NULL);
	bool direct = strchr("CL", route_code(jtext(r, "source", ""))) != NULL;

	if (jflag(h, "blackhole")) {
		fprintf(out, " is discarded\n");
		return;
	}
	if (direct || !addr) {
		fprintf(out, " is directly connected, %s\n", intf ? intf : "?");
		return;
	}
	fprintf(out, " [%lld/0] via %s", jint(r, "distance"), addr);
	fprintf(out, "%s%s", intf ? ", " : "", intf ? intf : "");
	if (jflag(h, "global"))
		fprintf(out, " (global)");
	if (jtext(h, "gateway_vrf", NULL))
		fprintf(out, " (VRF %s)", jtext(h, "gateway_vrf", NULL));
	if (jint(h, "weight") > 1)
		fprintf(out, ", weight %lld", jint(h, "weight"));
	fputc('\n', out);
}

RENDERER(render_routes)
{
	size_t i, k;
	json_t *r, *h;

	(void)request;
	fprintf(out, "Codes: C - connected, L - local, S - static, R - reverse route injection,\n"
		     "       K - Linux host, and there by: O - OSPF, B - BGP, P - RIP, I - IS-IS\n\n");
	fprintf(out, "Routing Table: %s\n", jtext(result, "vrf", "global"));
	json_array_foreach (json_object_get(result, "routes"), i, r)
		json_array_foreach (json_object_get(r, "next_hops"), k, h) {
			if (k == 0)
				fprintf(out, "%c    %s", route_code(jtext(r, "source", "")), jtext(r, "prefix", "?"));
			else
				fprintf(out, "%*s", 5 + (int)strlen(jtext(r, "prefix", "?")), "");
			next_hop(out, r, h);
		}
}

/* A table of named counts and what each means. */
static void counts(FILE *out, const json_t *list, const char *const titles[3], const char *name, const char *count)
{
	struct table *t = table_new(3, titles, " - ");
	size_t i;
	json_t *c;

	json_array_foreach (list, i, c) {
		table_cell(t, "%s", jtext(c, name, "?"));
		table_cell(t, "%lld", jint(c, count));
		table_cell(t, "%s", jtext(c, "text", ""));
	}
	table_print(t, out);
}

RENDERER(render_counters)
{
	static const char *const titles[] = {"Counter", "Count", "Meaning"};

	(void)request;
	counts(out, json_object_get(result, "counters"), titles, "counter", "count");
}

RENDERER(render_drops)
{
	static const char *const titles[] = {"Reason", "Packets", "Meaning"};

	(void)request;
	counts(out, json_object_get(result, "drops"), titles, "reason", "packets");
}

RENDERER(render_trace)
{
	size_t i, k;
	json_t *p, *s;

	(void)request;
	json_array_foreach (json_object_get(result, "packets"), i, p) {
		fprintf(out, "Packet %zu: worker %lld, interface %s\n", i + 1, jint(p, "worker"),
			jtext(p, "interface", "?"));
		json_array_foreach (json_object_get(p, "steps"), k, s)
			fprintf(out, "  %-16s %s\n", jtext(s, "stage", "?"), jtext(s, "text", ""));
	}
	if (!json_array_size(json_object_get(result, "packets")))
		fprintf(out, "No packet was seen.\n");
}

RENDERER(render_capture)
{
	if (!jflag(request, "stop"))
		fprintf(out, "Capturing to %s\n", jtext(result, "file", jtext(request, "file", "?")));
}

RENDERER(render_cleared)
{
	(void)request;
	if (json_object_get(result, "cleared") && jint(result, "cleared") == 0)
		fprintf(out, "Nothing matched.\n");
}
