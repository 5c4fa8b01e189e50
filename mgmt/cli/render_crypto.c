/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions and IKE. Words and order of fields: spec/50 1.3, spec/20 1.3, spec/10 1.3. */
#include <string.h>

#include "render.h"

/* "host A" for one address, else address and mask (MON-19). */
static void flow_end(FILE *out, const json_t *flow, const char *key)
{
	char addr[64], mask[64];
	const char *prefix = jtext(flow, key, "");

	prefix_parts(prefix, addr, mask);
	if (strcmp(mask, "255.255.255.255") == 0 || strcmp(mask, "128") == 0)
		fprintf(out, " host %s", addr);
	else
		fprintf(out, " %s/%s", addr, mask);
}

static void flow_direction(FILE *out, const json_t *flow, const char *key, const char *title)
{
	const json_t *d = json_object_get(flow, key);

	fprintf(out, "        %s %lld drop %lld life (KB/Sec) %lld/%lld\n", title, jint(d, "packets"), jint(d, "drops"),
		jint(d, "life_kb"), jint(d, "life_seconds"));
}

static void session_flow(FILE *out, const json_t *flow, bool detail)
{
	fprintf(out, "  IPSEC FLOW: %s %s", jtext(flow, "action", "permit"), jtext(flow, "protocol", "ip"));
	flow_end(out, flow, "local");
	flow_end(out, flow, "remote");
	fprintf(out, "\n        Active SAs: %lld, origin: %s\n", jint(flow, "active_sas"),
		jtext(flow, "origin", "crypto map"));
	if (detail) {
		flow_direction(out, flow, "in", "Inbound:  #pkts dec'ed");
		flow_direction(out, flow, "out", "Outbound: #pkts enc'ed");
	}
}

static void session_ike(FILE *out, const json_t *sa, bool detail)
{
	char life[48];

	fprintf(out, "  %s SA: local %s/%lld remote %s/%lld %s\n", jint(sa, "version") == 2 ? "IKEv2" : "IKEv1",
		jtext(sa, "local", "?"), jint(sa, "local_port"), jtext(sa, "remote", "?"), jint(sa, "remote_port"),
		jtext(sa, "state", "?"));
	if (detail)
		fprintf(out, "        Capabilities:%s connid:%lld lifetime:%s\n", jtext(sa, "capabilities", "(none)"),
			jint(sa, "conn_id"), hms(jint(sa, "lifetime"), life));
}

static void session(FILE *out, const json_t *s, bool detail)
{
	size_t i;
	json_t *v;
	char age[48];

	fprintf(out, "\nInterface: %s\n", jtext(s, "interface", "(none)"));
	if (detail && json_object_get(s, "uptime"))
		fprintf(out, "Uptime: %s\n", hms(jint(s, "uptime"), age));
	fprintf(out, "Session status: %s\n", jtext(s, "status", "?"));
	fprintf(out, "Peer: %s port %lld", jtext(s, "peer", jtext(s, "peer_name", "?")), jint(s, "port"));
	if (detail)
		fprintf(out, " fvrf: %s ivrf: %s", jvrf(s, "fvrf"), jvrf(s, "ivrf"));
	fputc('\n', out);
	if (json_object_get(s, "description"))
		fprintf(out, "  Desc: %s\n", jtext(s, "description", ""));
	if (detail)
		fprintf(out, "  Phase1_id: %s\n", jtext(s, "phase1_id", "(none)"));
	if (json_object_get(s, "last_failure"))
		fprintf(out, "  Last failure: %s, %s ago\n", jtext(s, "last_failure", ""),
			hms(jint(s, "last_failure_age"), age));
	json_array_foreach (json_object_get(s, "ike_sas"), i, v)
		session_ike(out, v, detail);
	json_array_foreach (json_object_get(s, "flows"), i, v)
		session_flow(out, v, detail);
}

RENDERER(render_session)
{
	bool detail = jflag(request, "detail");
	size_t i;
	json_t *s;

	fprintf(out, "Crypto session current status%s\n", detail ? ", detail" : "");
	if (json_object_get(result, "dataplane"))
		fprintf(out, "The dataplane is %s.\n", jtext(result, "dataplane", "?"));
	json_array_foreach (json_object_get(result, "sessions"), i, s)
		session(out, s, detail);
}

static void vrf_pair(struct table *t, const json_t *sa)
{
	table_cell(t, "%s/%s", jtext(sa, "fvrf", ""), jtext(sa, "ivrf", ""));
}

static void ike_detail(FILE *out, const json_t *sa)
{
	char a[48], b[48];
	const json_t *m = json_object_get(sa, "messages");

	fprintf(out, "\nconn-id %lld: %s/%lld - %s/%lld, %s\n", jint(sa, "id"), jtext(sa, "local", "?"),
		jint(sa, "local_port"), jtext(sa, "remote", "?"), jint(sa, "remote_port"), jtext(sa, "role", "?"));
	fprintf(out, "  Profile: %s, local id: %s, remote id: %s\n", jtext(sa, "profile", "(none)"),
		jtext(sa, "local_id", "(none)"), jtext(sa, "remote_id", "(none)"));
	fprintf(out, "  Encr: %s, PRF: %s, Hash: %s, DH group: %s, Auth: %s\n", jtext(sa, "encr", "-"),
		jtext(sa, "prf", "-"), jtext(sa, "integ", "-"), jtext(sa, "group", "-"), jtext(sa, "auth", "-"));
	if (json_object_get(sa, "peer_auth"))
		fprintf(out, "  Peer auth: %s, certificate: %s\n", jtext(sa, "peer_auth", "-"),
			jtext(sa, "peer_certificate", "(none)"));
	if (*jtext(sa, "additional_groups", ""))
		fprintf(out, "  Additional key exchanges: %s\n", jtext(sa, "additional_groups", ""));
	if (json_object_get(sa, "ppk"))
		fprintf(out, "  PPK: %s\n", jflag(sa, "ppk") ? "used" : "not used");
	if (json_object_get(sa, "certificate_map") || json_object_get(sa, "peer_group"))
		fprintf(out, "  Certificate map: %s, group: %s\n", jtext(sa, "certificate_map", "(none)"),
			jtext(sa, "peer_group", "(none)"));
	fprintf(out, "  Life/Active Time: %lld/%lld sec, remaining %s, last heard %s ago\n", jint(sa, "lifetime"),
		jint(sa, "established"), hms(jint(sa, "remaining"), a), hms(jint(sa, "last_heard"), b));
	fprintf(out, "  Initiator spi: %s, responder spi: %s, rekeys: %lld\n", jtext(sa, "spi_i", "-"),
		jtext(sa, "spi_r", "-"), jint(sa, "rekeys"));
	fprintf(out, "  NAT-T: %s%s%s\n", jflag(sa, "nat_t") ? "in use" : "not in use",
		jflag(sa, "nat_local") ? ", NAT found inside" : "",
		jflag(sa, "nat_remote") ? ", NAT found outside" : "");
	fprintf(out, "  Messages: %lld sent, %lld received, %lld retransmitted, %lld bad\n", jint(m, "sent"),
		jint(m, "received"), jint(m, "retransmits"), jint(m, "bad"));
}

static void ike_details(FILE *out, const json_t *result)
{
	size_t i;
	json_t *sa;

	json_array_foreach (json_object_get(result, "sas"), i, sa)
		ike_detail(out, sa);
}

RENDERER(render_isakmp_sa)
{
	static const char *const titles[] = {"f_vrf/i_vrf", "dst", "src", "state", "conn-id", "slot", "status"};
	struct table *t = table_new(7, titles, "    --. ");
	size_t i;
	json_t *sa;

	json_array_foreach (json_object_get(result, "sas"), i, sa) {
		bool initiator = strcmp(jtext(sa, "role", ""), "initiator") == 0;
		vrf_pair(t, sa);
		table_cell(t, "%s", jtext(sa, initiator ? "remote" : "local", "?"));
		table_cell(t, "%s", jtext(sa, initiator ? "local" : "remote", "?"));
		table_cell(t, "%s", jtext(sa, "state", "?"));
		table_cell(t, "%lld", jint(sa, "id"));
		table_cell(t, "0");
		table_cell(t, "%s", jflag(sa, "deleted") ? "ACTIVE (deleted)" : "ACTIVE");
	}
	table_print(t, out);
	if (jflag(request, "detail"))
		ike_details(out, result);
}

RENDERER(render_ikev2_sa)
{
	static const char *const titles[] = {"Tunnel-id", "Local", "Remote", "fvrf/ivrf", "Status"};
	struct table *t = table_new(5, titles, "-    ");
	size_t i;
	json_t *sa;

	json_array_foreach (json_object_get(result, "sas"), i, sa) {
		table_cell(t, "%lld", jint(sa, "id"));
		table_cell(t, "%s/%lld", jtext(sa, "local", "?"), jint(sa, "local_port"));
		table_cell(t, "%s/%lld", jtext(sa, "remote", "?"), jint(sa, "remote_port"));
		table_cell(t, "%s/%s", jvrf(sa, "fvrf"), jvrf(sa, "ivrf"));
		table_cell(t, "%s", jtext(sa, "state", "?"));
	}
	table_print(t, out);
	if (jflag(request, "detail"))
		ike_details(out, result);
}

/* The long names of the manual's policy listing (IKE-T1, IKE-T2). */
static const char *hash_name(const char *hash)
{
	static const struct {
		const char *name, *text;
	} names[] = {{"md5", "Message Digest 5"}, {"sha1", "Secure Hash Standard"},
		{"sha256", "Secure Hash Standard 2 (256 bit)"}, {"sha384", "Secure Hash Standard 2 (384 bit)"},
		{"sha512", "Secure Hash Standard 2 (512 bit)"}};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(hash, names[i].name) == 0)
			return names[i].text;
	return hash;
}

static void policy_cipher(FILE *out, const json_t *p)
{
	const char *encr = jtext(p, "encryption", "?");

	if (strncmp(encr, "aes", 3) == 0)
		fprintf(out, "        encryption algorithm:   AES - Advanced Encryption Standard (%lld bit keys).\n",
			jint(p, "key_bits"));
	else if (strcmp(encr, "3des") == 0)
		fprintf(out, "        encryption algorithm:   Three key triple DES\n");
	else
		fprintf(out, "        encryption algorithm:   %s\n", encr);
}

RENDERER(render_isakmp_policy)
{
	size_t i;
	json_t *p;

	(void)request;
	fprintf(out, "Global IKE policy\n");
	json_array_foreach (json_object_get(result, "policies"), i, p) {
		const char *auth = jtext(p, "authentication", "?");
		if (jflag(p, "default"))
			fprintf(out, "Default protection suite\n");
		else
			fprintf(out, "Protection suite of priority %lld\n", jint(p, "priority"));
		policy_cipher(out, p);
		fprintf(out, "        hash algorithm:         %s\n", hash_name(jtext(p, "hash", "?")));
		fprintf(out, "        authentication method:  %s\n",
			strcmp(auth, "pre-share") == 0 ? "Pre-Shared Key" : auth);
		fprintf(out, "        Diffie-Hellman group:   #%lld (%lld bit)\n", jint(p, "group"),
			jint(p, "group_bits"));
		fprintf(out, "        lifetime:               %lld seconds, no volume limit\n", jint(p, "lifetime"));
	}
}

static void names(FILE *out, const char *title, const json_t *list, const char *none)
{
	size_t i;
	json_t *n;

	fprintf(out, "   %s:", title);
	json_array_foreach (list, i, n)
		fprintf(out, " %s", jstring(n));
	fprintf(out, "%s\n", json_array_size(list) ? "" : none);
}

RENDERER(render_isakmp_profile)
{
	size_t i, k;
	json_t *p, *id;

	(void)request;
	json_array_foreach (json_object_get(result, "profiles"), i, p) {
		fprintf(out, "\nISAKMP PROFILE %s\n", jtext(p, "name", "?"));
		if (json_object_get(p, "description"))
			fprintf(out, "   Description: %s\n", jtext(p, "description", ""));
		fprintf(out, "   Version: %s, vrf: %s\n", jint(p, "version") == 1 ? "IKEv1" : "IKEv2", jvrf(p, "vrf"));
		fprintf(out, "   Identities matched are:\n");
		json_array_foreach (json_object_get(p, "identities"), k, id) {
			fprintf(out, "    %s %s", jtext(id, "type", "?"), jtext(id, "value", ""));
			fprintf(out, json_object_get(id, "vrf") ? " %s\n" : "\n", jtext(id, "vrf", ""));
		}
		fprintf(out, "   Certificate maps matched are:\n");
		json_array_foreach (json_object_get(p, "certificate_maps"), k, id)
			fprintf(out, "    %s\n", jstring(id));
		names(out, "keyring(s)", json_object_get(p, "keyrings"), " <all>");
		names(out, "trustpoint(s)", json_object_get(p, "trust_points"), " <all>");
		if (json_object_get(p, "client_group"))
			fprintf(out, "   client group: %s\n", jtext(p, "client_group", ""));
		fprintf(out, "   interface binding: %s\n", jtext(p, "local_address", "<none>"));
		if (json_array_size(json_object_get(p, "proposals")))
			names(out, "proposal(s)", json_object_get(p, "proposals"), "");
	}
}

RENDERER(render_identity)
{
	size_t i, k;
	json_t *id, *l;

	(void)request;
	json_array_foreach (json_object_get(result, "identities"), i, id) {
		fprintf(out, "crypto identity %s:\n", jtext(id, "name", "?"));
		json_array_foreach (json_object_get(id, "lines"), k, l)
			fprintf(out, "  %s %s\n", jtext(l, "type", "?"), jtext(l, "value", ""));
	}
}

RENDERER(render_isakmp_key)
{
	static const char *const titles[] = {"Keyring", "VRF", "Hostname/Address", "Preshared Key"};
	struct table *t = table_new(4, titles, "    ");
	size_t i, k;
	json_t *ring, *key;

	(void)request;
	json_array_foreach (json_object_get(result, "keyrings"), i, ring)
		json_array_foreach (json_object_get(ring, "keys"), k, key) {
			table_cell(t, "%s", jtext(ring, "name", "?"));
			table_cell(t, "%s", jvrf(ring, "vrf"));
			table_cell(t, "%s", jtext(key, "hostname", jtext(key, "address", "?")));
			table_cell(t, jflag(key, "unusable") ? "<type 6, not of this master key>" : "<hidden>");
		}
	table_print(t, out);
}

RENDERER(render_isakmp_peer)
{
	size_t i, k;
	json_t *p, *f;

	(void)request;
	json_array_foreach (json_object_get(result, "peers"), i, p) {
		fprintf(out, "Peer: %s Port: %lld\n", jtext(p, "peer", "?"), jint(p, "port"));
		if (json_object_get(p, "description"))
			fprintf(out, " Description: %s\n", jtext(p, "description", ""));
		fprintf(out, " flags:");
		json_array_foreach (json_object_get(p, "flags"), k, f)
			fprintf(out, " %s", jstring(f));
		fputc('\n', out);
	}
}

RENDERER(render_ikev2_proposal)
{
	size_t i;
	json_t *p;

	(void)request;
	json_array_foreach (json_object_get(result, "proposals"), i, p) {
		fprintf(out, "IKEv2 proposal %s%s\n", jtext(p, "name", "?"), jflag(p, "default") ? " (built in)" : "");
		names(out, "Encryption", json_object_get(p, "encryption"), " none");
		names(out, "Integrity", json_object_get(p, "integrity"), " none, by the cipher");
		names(out, "PRF", json_object_get(p, "prf"), " none");
		names(out, "DH group", json_object_get(p, "group"), " none");
		if (json_array_size(json_object_get(p, "additional_group")))
			names(out, "Additional key exchanges", json_object_get(p, "additional_group"), "");
	}
}

RENDERER(render_ike_stats)
{
	static const char *const titles[] = {"Counter", "Value"};
	struct table *t = table_new(2, titles, " -");
	const char *name;
	json_t *v;

	(void)request;
	json_object_foreach (json_object_get(result, "stats"), name, v) {
		table_cell(t, "%s", name);
		table_cell(t, "%lld", (long long)json_integer_value(v));
	}
	table_print(t, out);
}
