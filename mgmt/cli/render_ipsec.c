/* SPDX-License-Identifier: BSD-3-Clause */
/* IPsec SAs, crypto maps, transform sets, access lists. Fields: spec/20 1.3 and 2.3. */
#include <stdlib.h>
#include <string.h>

#include "render.h"

static void ident(FILE *out, const char *title, const json_t *id)
{
	char addr[64], mask[64];
	const char *protocol = jtext(id, "protocol", "0");

	prefix_parts(jtext(id, "prefix", "?"), addr, mask);
	fprintf(out, "   %s ident (addr/mask/prot/port): (%s/%s/%s/%s)\n", title, addr, mask,
		strcmp(protocol, "ip") == 0 ? "0" : protocol, jtext(id, "port", "0"));
}

static void one_sa(FILE *out, const json_t *sa, const char *map, bool detail)
{
	long long spi = jint(sa, "spi");

	fprintf(out, "      spi: 0x%llX(%lld)\n", spi, spi);
	fprintf(out, "        transform: %s ,\n", jtext(sa, "transform", "?"));
	fprintf(out, "        in use settings ={%s%s, %s}\n", jtext(sa, "mode", "Tunnel"),
		jflag(sa, "udp_encaps") ? " UDP-Encaps" : "", jflag(sa, "esn") ? "ESN, " : "");
	fprintf(out, "        slot: %lld, conn id: %lld, flow_id: %lld, crypto map: %s\n", jint(sa, "slot"),
		jint(sa, "conn_id"), jint(sa, "conn_id"), jtext(sa, "crypto_map", map));
	fprintf(out, "        crypto engine type: %s\n", jtext(sa, "engine", "Software"));
	if (json_object_get(sa, "life_seconds"))
		fprintf(out, "        sa timing: remaining key lifetime (k/sec): (%lld/%lld)\n", jint(sa, "life_kb"),
			jint(sa, "life_seconds"));
	else
		fprintf(out, "        no sa timing\n");
	if (strcmp(jtext(sa, "protocol", "esp"), "esp") == 0)
		fprintf(out, "        IV size: %lld bytes\n", jint(sa, "iv_size"));
	fprintf(out, "        replay detection support: %s", jint(sa, "replay_window") ? "Y" : "N");
	if (jint(sa, "replay_window"))
		fprintf(out, "  replay window size: %lld", jint(sa, "replay_window"));
	if (detail) {
		fprintf(out, "\n        #pkts: %lld, bytes: %lld, replay: %lld, auth failed: %lld, other errors: %lld",
			jint(sa, "packets"), jint(sa, "bytes"), jint(sa, "replay_drops"), jint(sa, "auth_errors"),
			jint(sa, "other_errors"));
		if (json_object_get(sa, "sequence"))
			fprintf(out, "\n        %s sequence number: %lld",
				strcmp(jtext(sa, "direction", ""), "inbound") == 0 ? "highest received" : "last sent",
				jint(sa, "sequence"));
		fprintf(out, "\n        idle: %lld seconds", jint(sa, "idle_seconds"));
		if (jint(sa, "idle_limit"))
			fprintf(out, " of %lld (%s)", jint(sa, "idle_limit"), jtext(sa, "idle_source", "global"));
	}
	fprintf(out, "\n        Status: %s\n", jtext(sa, "status", "ACTIVE"));
}

static void sas_of(
	FILE *out, const json_t *flow, const char *direction, const char *protocol, const char *map, bool detail)
{
	size_t i;
	json_t *sa;

	fprintf(out, "\n     %s %s sas:\n", direction, protocol);
	json_array_foreach (json_object_get(flow, "sas"), i, sa)
		if (strcmp(jtext(sa, "direction", ""), direction) == 0 &&
			strcmp(jtext(sa, "protocol", "esp"), protocol) == 0)
			one_sa(out, sa, map, detail);
}

static void flow_counters(FILE *out, const json_t *f, bool detail)
{
	fprintf(out, "    #pkts encaps: %lld, #pkts encrypt: %lld, #pkts digest: %lld\n", jint(f, "pkts_encaps"),
		jint(f, "pkts_encrypt"), jint(f, "pkts_digest"));
	fprintf(out, "    #pkts decaps: %lld, #pkts decrypt: %lld, #pkts verify: %lld\n", jint(f, "pkts_decaps"),
		jint(f, "pkts_decrypt"), jint(f, "pkts_verify"));
	fprintf(out, "    #pkts compressed: %lld, #pkts decompressed: %lld\n", jint(f, "pkts_compressed"),
		jint(f, "pkts_decompressed"));
	fprintf(out, "    #pkts not compressed: %lld, #pkts compr. failed: %lld\n", jint(f, "pkts_not_compressed"),
		jint(f, "pkts_compr_failed"));
	fprintf(out, "    #pkts not decompressed: %lld, #pkts decompress failed: %lld\n",
		jint(f, "pkts_not_decompressed"), jint(f, "pkts_decompress_failed"));
	fprintf(out, "    #send errors %lld, #recv errors %lld\n", jint(f, "send_errors"), jint(f, "recv_errors"));
	if (detail)
		fprintf(out, "    #pkts replay failed (rcv): %lld\n", jint(f, "replay_errors"));
}

static void flow(FILE *out, const json_t *f, const char *map, const json_t *request)
{
	const bool detail = jflag(request, "detail");
	static const char *const directions[] = {"inbound", "outbound"}, *const protocols[] = {"esp", "ah", "pcp"};
	long long spi = jint(f, "current_outbound_spi");
	size_t i;
	json_t *flag;

	fprintf(out, "\n   protected vrf: %s\n", jvrf(f, "protected_vrf"));
	if (detail || json_object_get(f, "front_vrf"))
		fprintf(out, "   front vrf: %s\n", jvrf(f, "front_vrf"));
	ident(out, "local ", json_object_get(f, "local_ident"));
	ident(out, "remote", json_object_get(f, "remote_ident"));
	fprintf(out, "   current_peer %s port %lld\n", jtext(f, "current_peer", "(none)"),
		jint(f, "current_peer_port"));
	fprintf(out, "     PERMIT, flags={");
	json_array_foreach (json_object_get(f, "flags"), i, flag)
		fprintf(out, "%s,", jstring(flag));
	fprintf(out, "}\n");
	flow_counters(out, f, detail);
	fprintf(out, "\n     local crypto endpt.: %s, remote crypto endpt.: %s\n", jtext(f, "local_endpoint", "?"),
		jtext(f, "remote_endpoint", "?"));
	fprintf(out, "     path mtu %lld, media mtu %lld", jint(f, "path_mtu"), jint(f, "media_mtu"));
	if (jint(f, "ip_mtu"))
		fprintf(out, ", ip mtu %lld", jint(f, "ip_mtu"));
	fprintf(out, "\n");
	if (detail)
		fprintf(out, "     df-bit %s, fragmentation %s\n", jtext(f, "df_bit", "copy"),
			jtext(f, "fragmentation", "before-encryption"));
	fprintf(out, "     current outbound spi: 0x%llX(%lld)\n", spi, spi);
	for (unsigned d = 0; d < 2 && !jflag(request, "identity"); d++)
		for (unsigned p = 0; p < 3; p++)
			sas_of(out, f, directions[d], protocols[p], map, detail);
}

/* An SA with whom it is shared. */
struct addressed {
	const json_t *flow, *sa;
	const char *map;
};

static int by_address(const void *a, const void *b)
{
	const struct addressed *x = a, *y = b;
	int r = strcmp(jvrf(x->flow, "front_vrf"), jvrf(y->flow, "front_vrf"));

	if (!r)
		r = strcmp(jtext(x->flow, "current_peer", ""), jtext(y->flow, "current_peer", ""));
	return r ? r : strcmp(jtext(x->sa, "protocol", "esp"), jtext(y->sa, "protocol", "esp"));
}

/* `address`: the SAs by front VRF and peer, then by protocol. */
static void by_addresses(FILE *out, const json_t *interfaces, bool detail)
{
	struct addressed *all = NULL;
	size_t i, k, m, n = 0;
	json_t *in, *f, *sa;

	json_array_foreach (interfaces, i, in)
		json_array_foreach (json_object_get(in, "flows"), k, f)
			json_array_foreach (json_object_get(f, "sas"), m, sa) {
				all = realloc(all, (n + 1) * sizeof(*all));
				if (!all)
					abort();
				all[n++] = (struct addressed){f, sa, jtext(in, "crypto_map", "?")};
			}
	if (n)
		qsort(all, n, sizeof(*all), by_address);
	for (i = 0; i < n; i++) {
		if (i == 0 ||
			strcmp(jtext(all[i].flow, "current_peer", ""), jtext(all[i - 1].flow, "current_peer", "")) ||
			strcmp(jvrf(all[i].flow, "front_vrf"), jvrf(all[i - 1].flow, "front_vrf")))
			fprintf(out, "%sfvrf/address: %s/%s\n", i ? "\n" : "", jvrf(all[i].flow, "front_vrf"),
				jtext(all[i].flow, "current_peer", "?"));
		fprintf(out, "   protocol: %s, %s\n", jtext(all[i].sa, "protocol", "esp"),
			jtext(all[i].sa, "direction", "?"));
		one_sa(out, all[i].sa, all[i].map, detail);
	}
	free(all);
}

RENDERER(render_ipsec_sa)
{
	size_t i, k;
	json_t *in, *f;

	if (jflag(request, "address")) {
		by_addresses(out, json_object_get(result, "interfaces"), jflag(request, "detail"));
		return;
	}
	json_array_foreach (json_object_get(result, "interfaces"), i, in) {
		fprintf(out, "%sinterface: %s\n", i ? "\n" : "", jtext(in, "interface", "?"));
		fprintf(out, "    Crypto map tag: %s, local addr %s\n", jtext(in, "crypto_map", "?"),
			jtext(in, "local_address", "?"));
		json_array_foreach (json_object_get(in, "flows"), k, f)
			flow(out, f, jtext(in, "crypto_map", "?"), request);
	}
}

static void map_entry(FILE *out, const char *map, const json_t *e)
{
	size_t i;
	json_t *v;
	const char *pfs = jtext(e, "pfs", NULL);

	fprintf(out, "\nCrypto Map \"%s\" %lld %s\n", map, jint(e, "sequence"), jtext(e, "type", "ipsec-isakmp"));
	if (json_object_get(e, "dynamic_map"))
		fprintf(out, "        From dynamic map \"%s\" %lld\n", jtext(e, "dynamic_map", "?"),
			jint(e, "dynamic_sequence"));
	if (json_object_get(e, "description"))
		fprintf(out, "        Description: %s\n", jtext(e, "description", ""));
	json_array_foreach (json_object_get(e, "peers"), i, v)
		fprintf(out, "        Peer = %s%s\n", jstring(v), i == 0 && jflag(e, "default_peer") ? " default" : "");
	json_array_foreach (json_object_get(e, "peer_names"), i, v)
		fprintf(out, "        Name %s: %s%s%s, looked up again in %lld seconds\n", jtext(v, "name", "?"),
			jtext(v, "address", "no address"), json_object_get(v, "error") ? ", " : "",
			jtext(v, "error", ""), jint(v, "again_in"));
	if (json_object_get(e, "profile"))
		fprintf(out, "        Profile name: %s (IKEv%lld)\n", jtext(e, "profile", "default"),
			jint(e, "version"));
	fprintf(out, "        Extended IP access list %s\n", jtext(e, "access_list", "(none: any flow)"));
	json_array_foreach (json_object_get(e, "lines"), i, v)
		fprintf(out, "            %s\n", jstring(v));
	json_array_foreach (json_object_get(e, "temporary"), i, v)
		fprintf(out, "        Temporary: %s on %s\n", jtext(v, "flow", "?"), jtext(v, "interface", "?"));
	fprintf(out, "        Current peer: %s\n", jtext(e, "current_peer", "(none)"));
	if (json_object_get(e, "inbound_spi")) {
		fprintf(out, "        Inbound spi: %lld, outbound spi: %lld, keys: <hidden>\n", jint(e, "inbound_spi"),
			jint(e, "outbound_spi"));
	} else {
		fprintf(out, "        Security association lifetime: %lld kilobytes/%lld seconds\n", jint(e, "life_kb"),
			jint(e, "life_seconds"));
		fprintf(out, "        PFS (Y/N): %s\n", pfs ? "Y" : "N");
	}
	if (pfs)
		fprintf(out, "        DH group: %s\n", pfs);
	json_array_foreach (json_object_get(e, "pfs_additional"), i, v)
		fprintf(out, "        Additional group: %s\n", jstring(v));
	if (jint(e, "replay_window"))
		fprintf(out, "        Antireplay window size = %lld\n", jint(e, "replay_window"));
	else
		fprintf(out, "        Antireplay: disabled\n");
	if (jint(e, "idle_time"))
		fprintf(out, "        Security association idletime: %lld seconds%s\n", jint(e, "idle_time"),
			jflag(e, "idle_to_default") ? ", then the default peer" : "");
	if (jflag(e, "per_host"))
		fprintf(out, "        Security association level: per-host\n");
	fprintf(out, "        Transform sets={\n");
	json_array_foreach (json_object_get(e, "transform_sets"), i, v)
		fprintf(out, "                %s:  { %s } ,\n", jtext(v, "name", "?"), jtext(v, "transform", "?"));
	fprintf(out, "        }\n");
}

RENDERER(render_crypto_map)
{
	size_t i, k;
	json_t *m, *v;

	(void)request;
	json_array_foreach (json_object_get(result, "maps"), i, m) {
		const char *name = jtext(m, "name", "?");
		if (json_object_get(m, "local_address"))
			fprintf(out, "Crypto Map: \"%s\" local address: %s\n", name, jtext(m, "local_address", ""));
		json_array_foreach (json_object_get(m, "entries"), k, v)
			map_entry(out, name, v);
		fprintf(out, "        Interfaces using crypto map %s:\n", name);
		json_array_foreach (json_object_get(m, "interfaces"), k, v)
			fprintf(out, "                %s\n", jstring(v));
	}
}

RENDERER(render_transform_set)
{
	size_t i;
	json_t *t;

	(void)request;
	json_array_foreach (json_object_get(result, "transform_sets"), i, t) {
		fprintf(out, "Transform set %s: { %s }\n", jtext(t, "name", "?"), jtext(t, "transform", "?"));
		fprintf(out, "   will negotiate = { %s, %s },\n", jtext(t, "mode", "Tunnel"),
			jflag(t, "esn") ? "ESN," : "");
		if (json_object_get(t, "warning"))
			fprintf(out, "   warning: %s\n", jtext(t, "warning", ""));
	}
}

RENDERER(render_sa_lifetime)
{
	(void)request;
	fprintf(out, "Security association lifetime: %lld kilobytes/%lld seconds\n", jint(result, "life_kb"),
		jint(result, "life_seconds"));
}

static void setting_value(FILE *out, long long value, const char *before, const char *unit)
{
	if (value)
		fprintf(out, "%s%lld %s\n", before, value, unit);
	else
		fprintf(out, "disabled\n");
}

/* What holds for all SAs, then the map entries that differ; 0 = disabled. before, unit: what stands around a value. */
static void setting(FILE *out, const json_t *result, const char *key, const char *before, const char *unit)
{
	size_t i;
	json_t *e;

	setting_value(out, jint(result, key), before, unit);
	json_array_foreach (json_object_get(result, "entries"), i, e) {
		fprintf(out, "  Crypto Map \"%s\" %lld: ", jtext(e, "map", "?"), jint(e, "sequence"));
		setting_value(out, jint(e, key), before, unit);
	}
}

RENDERER(render_sa_replay)
{
	(void)request;
	fprintf(out, "Security association replay: ");
	setting(out, result, "window_size", "window size ", "packets");
}

RENDERER(render_sa_idle_time)
{
	(void)request;
	fprintf(out, "Security association idle-time: ");
	setting(out, result, "idle_time", "", "seconds");
}

static void acl_end(FILE *out, const json_t *l, const char *addr, const char *port)
{
	char a[64], mask[64];
	const char *text = jtext(l, addr, "any");

	if (!strchr(text, '/') || strchr(text, ':')) {
		fprintf(out, " %s", text);
	} else { /* the manual's wildcard: the mask inverted */
		unsigned m[4] = {0};
		prefix_parts(text, a, mask);
		(void)sscanf(mask, "%u.%u.%u.%u", &m[0], &m[1], &m[2], &m[3]);
		fprintf(out, " %s %u.%u.%u.%u", a, 255 - m[0], 255 - m[1], 255 - m[2], 255 - m[3]);
	}
	text = jtext(l, port, NULL);
	if (!text)
		return;
	const char *dash = strchr(text, '-');
	if (dash)
		fprintf(out, " range %.*s %s", (int)(dash - text), text, dash + 1);
	else
		fprintf(out, " eq %s", text);
}

static void acl_matches(FILE *out, const json_t *o, const char *key)
{
	if (jint(o, key))
		fprintf(out, " (%lld match%s)", jint(o, key), jint(o, key) == 1 ? "" : "es");
	fputc('\n', out);
}

RENDERER(render_access_lists)
{
	size_t i, k, n;
	json_t *a, *l, *v;

	(void)request;
	json_array_foreach (json_object_get(result, "access_lists"), i, a) {
		fprintf(out, "Extended IP access list %s\n", jtext(a, "name", "?"));
		json_array_foreach (json_object_get(a, "lines"), k, l) {
			if (json_object_get(l, "remark"))
				fprintf(out, "    %lld remark %s\n", jint(l, "sequence"), jtext(l, "remark", ""));
			fprintf(out, "    %lld %s %s", jint(l, "sequence"), jtext(l, "action", "?"),
				jtext(l, "protocol", "ip"));
			acl_end(out, l, "source", "source_port");
			acl_end(out, l, "destination", "destination_port");
			json_array_foreach (json_object_get(l, "dscp"), n, v)
				fprintf(out, "%s %s", n ? "" : " dscp", jstring(v));
			fprintf(out, "%s", jflag(l, "log") ? " log" : "");
			acl_matches(out, l, "matches");
		}
		if (jint(a, "implicit_deny")) {
			fprintf(out, "    (implicit) deny ip any any");
			acl_matches(out, a, "implicit_deny");
		}
	}
}
