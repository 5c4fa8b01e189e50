/* SPDX-License-Identifier: BSD-3-Clause */
/* The command tree: parsing, abbreviation, completion, splitting; renderers on answers that are complete, thin or odd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "commands.h"
#include "render.h"

static char err[CLI_ERR_MAX];

static const struct cli_command *parse(const char *line, json_t **request)
{
	static char copy[1024];
	const char *token[CLI_TOKENS_MAX];

	snprintf(copy, sizeof(copy), "%s", line);
	int n = cli_split(copy, token);
	assert_true(n >= 0);
	return cli_parse(token, (unsigned)n, request, err);
}

/* line must be understood as this request. */
static void expect(const char *line, const char *json)
{
	json_t *request, *wanted = json_loads(json, 0, NULL);

	assert_non_null(wanted);
	if (!parse(line, &request))
		fail_msg("\"%s\": %s", line, err);
	if (!json_equal(request, wanted)) {
		char *text = json_dumps(request, JSON_SORT_KEYS);
		fail_msg("\"%s\": %s", line, text);
	}
	json_decref(request);
	json_decref(wanted);
}

static void refuse(const char *line, const char *says)
{
	json_t *request;

	if (parse(line, &request))
		fail_msg("\"%s\": accepted", line);
	assert_null(request);
	if (!strstr(err, says))
		fail_msg("\"%s\": %s", line, err);
}

static void test_parse(void **state)
{
	(void)state;
	expect("show crypto session", "{\"show\": \"crypto session\"}");
	expect("show crypto session detail remote 192.0.2.2",
		"{\"show\": \"crypto session\", \"detail\": true, \"remote\": \"192.0.2.2\"}");
	expect("show ip route vrf red", "{\"show\": \"ip route\", \"vrf\": \"red\"}");
	expect("show interfaces lan", "{\"show\": \"interfaces\", \"interface\": \"lan\"}");
	expect("show interfaces brief", "{\"show\": \"interfaces\", \"brief\": true}");
	expect("show crypto map tag vpn", "{\"show\": \"crypto map\", \"map\": \"vpn\"}");
	expect("config set 'interfaces/interface[lan]/description' \"two words\"",
		"{\"config\": \"set\", \"path\": \"interfaces/interface[lan]/description\", \"value\": \"two words\"}");
	expect("config commit", "{\"config\": \"commit\"}");
	expect("config commit confirmed", "{\"config\": \"commit\", \"confirmed\": \"600\"}");
	expect("config commit confirmed 30", "{\"config\": \"commit\", \"confirmed\": \"30\"}");
	expect("config rollback 3", "{\"config\": \"rollback\", \"number\": \"3\"}");
	expect("config load f.json merge", "{\"config\": \"load\", \"file\": \"f.json\", \"merge\": true}");
	expect("clear crypto session remote 10.0.0.1 fvrf red",
		"{\"clear\": \"crypto session\", \"remote\": \"10.0.0.1\", \"fvrf\": \"red\"}");
	expect("trace 10 interface wan", "{\"do\": \"trace\", \"packets\": \"10\", \"interface\": \"wan\"}");
	expect("capture stop interface wan", "{\"do\": \"capture\", \"stop\": true, \"interface\": \"wan\"}");
	expect("test fail-at 2", "{\"do\": \"fail-at\", \"nth\": \"2\"}");
}

static void test_abbreviation(void **state)
{
	(void)state;
	expect("sh cry ses det", "{\"show\": \"crypto session\", \"detail\": true}");
	expect("sh cr ips sa", "{\"show\": \"crypto ipsec sa\"}");
	expect("sh ip r", "{\"show\": \"ip route\"}"); /* "ip" is exact, though "ipv6" starts with it */
	expect("cl cr sa", "{\"clear\": \"crypto sa\"}");
	expect("conf comm conf 5", "{\"config\": \"commit\", \"confirmed\": \"5\"}");
	refuse("sh crypto is", "incomplete");
	refuse("c", "ambiguous");
	refuse("sh i", "ambiguous \"i\"; valid: interfaces, ip, ipv6");
	refuse("sh crypto i sa", "ambiguous");
	/* a name is not an abbreviation of a keyword that comes later */
	expect("show interfaces br", "{\"show\": \"interfaces\", \"interface\": \"br\"}");
}

static void test_errors(void **state)
{
	(void)state;
	refuse("", "incomplete; next: show, clear, config");
	refuse("shw", "unknown word \"shw\"; valid: show");
	refuse("show crypto nothing", "valid: session, ipsec, isakmp, identity, key, ca, ikev2, map");
	refuse("show version now", "unexpected \"now\"");
	refuse("show ip route vrf", "vrf needs a value: NAME");
	refuse("config rollback", "needs NUMBER");
	refuse("config rollback x", "valid: a number");
	refuse("config load", "needs FILE");
	refuse("capture start interface wan", "needs file NAME");
	/* what only tests use is not offered */
	assert_null(strstr(err, "fail-at"));
	refuse("nonsense", "valid: ");
	assert_null(strstr(err, "test"));
}

static void test_split(void **state)
{
	char a[] = "  one  'two words' \"a \\\" quote\" th\\ ree # comment";
	char b[] = "open 'quote", c[] = "", d[] = "''", e[200];
	const char *t[CLI_TOKENS_MAX];

	(void)state;
	assert_int_equal(cli_split(a, t), 4);
	assert_string_equal(t[0], "one");
	assert_string_equal(t[1], "two words");
	assert_string_equal(t[2], "a \" quote");
	assert_string_equal(t[3], "th ree");
	assert_int_equal(cli_split(b, t), -1);
	assert_int_equal(cli_split(c, t), 0);
	assert_int_equal(cli_split(d, t), 1);
	assert_string_equal(t[0], "");
	for (unsigned i = 0; i < sizeof(e) - 1; i++)
		e[i] = i % 2 ? ' ' : 'x';
	e[sizeof(e) - 1] = 0;
	assert_int_equal(cli_split(e, t), -1); /* more words than there is room for */
}

static bool follows(const char *line, const char *word)
{
	static char copy[256];
	const char *token[CLI_TOKENS_MAX];
	struct cli_next next[64];

	snprintf(copy, sizeof(copy), "%s", line);
	int n = cli_split(copy, token);
	unsigned m = cli_follow(token, (unsigned)n, next, 64);
	for (unsigned i = 0; i < m; i++)
		if (strcmp(next[i].word, word) == 0)
			return true;
	return false;
}

static void test_completion(void **state)
{
	(void)state;
	assert_true(follows("", "show"));
	assert_true(follows("", "trace"));
	assert_false(follows("", "test"));
	assert_true(follows("show", "crypto"));
	assert_false(follows("show", "session"));
	assert_true(follows("sh cry", "ipsec"));
	assert_true(follows("show crypto session", "detail"));
	assert_true(follows("show crypto session", "<cr>"));
	assert_false(follows("show crypto session detail", "detail")); /* each once */
	assert_true(follows("show crypto session remote", "ADDRESS"));
	assert_false(follows("show crypto session remote", "detail"));
	assert_true(follows("config load", "FILE"));
	assert_false(follows("config load", "<cr>"));
	assert_true(follows("config load x", "merge"));
	assert_true(follows("config set", "PATH"));
	assert_true(follows("config set x", "VALUE"));
	assert_false(follows("show nothing", "<cr>"));
}

/* Whatever '?' offers comes with an explanation. */
static void test_help(void **state)
{
	static const char *const lines[] = {"", "show", "show ip", "show crypto", "show crypto isakmp", "clear",
		"clear crypto", "config", "capture", "show crypto session"};

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char copy[64];
		const char *token[CLI_TOKENS_MAX];
		struct cli_next next[64];
		snprintf(copy, sizeof(copy), "%s", lines[i]);
		int n = cli_split(copy, token);
		unsigned m = cli_follow(token, (unsigned)n, next, 64);
		assert_true(m > 0);
		for (unsigned k = 0; k < m; k++)
			if (strlen(next[k].help) < 3)
				fail_msg("no help for \"%s %s\"", lines[i], next[k].word);
	}
}

/* Every command can be written out in full, is documented, and has a unique name and working help. */
static void test_table(void **state)
{
	(void)state;
	for (unsigned i = 0; i < cli_n_commands; i++) {
		const struct cli_command *c = &cli_commands[i];
		char line[512];
		json_t *request;
		assert_true(strlen(c->help) > 3);
		int n = snprintf(line, sizeof(line), "%s", c->words);
		for (const struct cli_arg *a = c->args; a && (a->word || a->what); a++) {
			assert_true(strlen(a->help) > 3);
			if (a->word)
				n += snprintf(line + n, sizeof(line) - (size_t)n, " %s", a->word);
			if (a->type != CLI_FLAG)
				n += snprintf(line + n, sizeof(line) - (size_t)n, " 7");
		}
		if (parse(line, &request) != c)
			fail_msg("\"%s\": %s", line, err);
		json_decref(request);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(cli_commands[k].words, c->words);
	}
}

static char *rendered(cli_render render, const char *json, const char *request_json)
{
	char *text = NULL;
	size_t len;
	json_t *result = json_loads(json, 0, NULL), *request = json_loads(request_json, 0, NULL);
	FILE *out = open_memstream(&text, &len);

	assert_non_null(result);
	assert_non_null(request);
	render(out, result, request);
	fclose(out);
	json_decref(result);
	json_decref(request);
	return text;
}

static void shows(cli_render render, const char *json, const char *request, const char *const *lines)
{
	char *text = rendered(render, json, request);

	if (!text) {
		fail_msg("nothing rendered");
		return;
	}
	for (const char *line = *lines; line; line = *++lines)
		if (!strstr(text, line))
			fail_msg("missing \"%.200s\" in:\n%s", line, text);
	free(text);
}

static void shows_not(cli_render render, const char *json, const char *request, const char *line)
{
	char *text = rendered(render, json, request);

	assert_non_null(text);
	assert_null(strstr(text, line));
	free(text);
}

/* MON-T3, MON-T4 */
static void test_render_session(void **state)
{
	static const char answer[] =
		"{\"sessions\": [{\"interface\": \"Tunnel0\", \"status\": \"UP-ACTIVE\", \"peer\": \"10.1.1.3\", "
		"\"port\": 500,"
		"\"description\": \"my peer\", \"phase1_id\": \"10.1.1.3\", \"ike_sas\": [{\"version\": 1, \"local\": "
		"\"10.1.1.4\","
		"\"local_port\": 500, \"remote\": \"10.1.1.3\", \"remote_port\": 500, \"state\": \"Active\", "
		"\"conn_id\": 3,"
		"\"lifetime\": 79384}], \"flows\": [{\"action\": \"permit\", \"protocol\": \"47\", \"local\": "
		"\"10.1.1.4/32\","
		"\"remote\": \"10.1.1.3/32\", \"active_sas\": 0, \"origin\": \"crypto map\"}, {\"action\": \"permit\","
		"\"protocol\": \"ip\", \"local\": \"10.10.10.0/24\", \"remote\": \"10.30.30.0/24\", \"active_sas\": 4,"
		"\"in\": {\"packets\": 4, \"drops\": 0, \"life_kb\": 4605665, \"life_seconds\": 2949},"
		"\"out\": {\"packets\": 4, \"drops\": 1, \"life_kb\": 4605665, \"life_seconds\": 2949}}]}]}";
	static const char *const brief[] = {"Crypto session current status\n", "Interface: Tunnel0\n",
		"Session status: UP-ACTIVE\n", "Peer: 10.1.1.3 port 500\n",
		"SA: local 10.1.1.4/500 remote 10.1.1.3/500 Active\n",
		"IPSEC FLOW: permit 47 host 10.1.1.4 host 10.1.1.3\n", "Active SAs: 0, origin: crypto map\n",
		"IPSEC FLOW: permit ip 10.10.10.0/255.255.255.0 10.30.30.0/255.255.255.0\n", "Active SAs: 4", NULL};
	static const char *const detail[] = {"fvrf: (none) ivrf: (none)", "Desc: my peer", "Phase1_id: 10.1.1.3",
		"connid:3 lifetime:22:03:04", "#pkts dec'ed 0 drop 0 life (KB/Sec) 0/0",
		"Inbound:  #pkts dec'ed 4 drop 0 life (KB/Sec) 4605665/2949",
		"Outbound: #pkts enc'ed 4 drop 1 life (KB/Sec) 4605665/2949", NULL};

	(void)state;
	shows(render_session, answer, "{}", brief);
	shows(render_session, answer, "{\"detail\": true}", detail);
}

static void test_render_ipsec_sa(void **state)
{
	static const char answer[] =
		"{\"interfaces\": [{\"interface\": \"wan\", \"crypto_map\": \"vpn\", \"local_address\": \"192.0.2.1\", "
		"\"flows\": [{"
		"\"protected_vrf\": \"red\", \"local_ident\": {\"prefix\": \"10.1.0.0/24\", \"protocol\": \"ip\"},"
		"\"remote_ident\": {\"prefix\": \"10.2.0.0/24\", \"protocol\": \"6\", \"port\": \"443\"},"
		"\"current_peer\": \"192.0.2.2\", \"current_peer_port\": 4500, \"flags\": [\"origin_is_acl\"],"
		"\"pkts_encaps\": 10, \"pkts_encrypt\": 11, \"pkts_digest\": 12, \"current_outbound_spi\": 4660, "
		"\"sas\": ["
		"{\"direction\": \"inbound\", \"protocol\": \"esp\", \"spi\": 305419896, \"transform\": \"esp-gcm "
		"128\","
		"\"mode\": \"Tunnel\", \"udp_encaps\": true, \"conn_id\": 5, \"life_kb\": 100, \"life_seconds\": 200,"
		"\"iv_size\": 8, \"replay_window\": 64, \"packets\": 7, \"bytes\": 700, \"replay_drops\": 2, "
		"\"auth_errors\": 3,"
		"\"other_errors\": 4, \"sequence\": 9}]}]}]}";
	static const char *const lines[] = {"interface: wan\n", "Crypto map tag: vpn, local addr 192.0.2.1",
		"protected vrf: red", "local  ident (addr/mask/prot/port): (10.1.0.0/255.255.255.0/0/0)",
		"remote ident (addr/mask/prot/port): (10.2.0.0/255.255.255.0/6/443)",
		"current_peer 192.0.2.2 port 4500", "PERMIT, flags={origin_is_acl,}",
		"#pkts encaps: 10, #pkts encrypt: 11, #pkts digest: 12", "current outbound spi: 0x1234(4660)",
		"inbound esp sas:\n      spi: 0x12345678(305419896)", "transform: esp-gcm 128 ,",
		"in use settings ={Tunnel UDP-Encaps, }", "remaining key lifetime (k/sec): (100/200)",
		"IV size: 8 bytes", "replay detection support: Y", "outbound pcp sas:", NULL};

	static const char *const by_address[] = {
		"fvrf/address: (none)/192.0.2.2\n   protocol: esp, inbound\n", "spi: 0x12345678(305419896)", NULL};
	static const char *const detail[] = {"protected vrf: red\n   front vrf: (none)\n",
		"#pkts: 7, bytes: 700, replay: 2, auth failed: 3, other errors: 4",
		"highest received sequence number: 9", NULL};

	(void)state;
	shows(render_ipsec_sa, answer, "{}", lines);
	shows(render_ipsec_sa, answer, "{\"address\": true}", by_address);
	shows(render_ipsec_sa, answer, "{\"detail\": true}", detail);
	shows_not(render_ipsec_sa, answer, "{\"identity\": true}", "spi: 0x12345678");
}

/* REPLAY-6, IDLE-4: the settings, for all and by entry. */
static void test_render_sa_settings(void **state)
{
	static const char *const replay[] = {"Security association replay: window size 1024 packets\n",
		"Crypto Map \"vpn\" 10: window size 64 packets\n", "Crypto Map \"vpn\" 20: disabled\n", NULL};
	static const char *const idle[] = {
		"Security association idle-time: disabled\n", "Crypto Map \"vpn\" 10: 600 seconds\n", NULL};

	(void)state;
	shows(render_sa_replay,
		"{\"window_size\": 1024, \"entries\": [{\"map\": \"vpn\", \"sequence\": 10, \"window_size\": 64},"
		"{\"map\": \"vpn\", \"sequence\": 20, \"window_size\": 0}]}",
		"{}", replay);
	shows(render_sa_idle_time,
		"{\"idle_time\": 0, \"entries\": [{\"map\": \"vpn\", \"sequence\": 10, \"idle_time\": 600}]}", "{}",
		idle);
}

static void test_render_profile(void **state)
{
	static const char *const profile[] = {"Profile ended, 2.5 s, cycles of a 2500 MHz clock\n",
		"worker 1 (worker): 25.0 % busy, 200 packets, 50.0 a round, 100.0 cycles each\n",
		"  Stage   Packets  Vectors  Packets/Vector  Cycles/Packet   Share\n",
		"  fast        100        8            12.5          150.0  75.0 %\n",
		"  (loop)                                                   25.0 %\n", NULL};
	static const char *const none[] = {"Nothing was profiled: 'profile workers start' begins it.\n", NULL};

	(void)state;
	shows(render_workers_profile,
		"{\"profile\": \"ended\", \"seconds\": 2.5, \"tsc_hz\": 2500000000, \"workers\": ["
		"{\"worker\": 0, \"role\": \"main\", \"stages\": []},"
		"{\"worker\": 1, \"role\": \"worker\", \"busy_percent\": 25, \"packets\": 200, \"packets_per_round\": "
		"50, "
		"\"cycles_per_packet\": 100, \"other_percent\": 25, \"stages\": [{\"stage\": \"fast\", \"packets\": "
		"100, "
		"\"calls\": 8, \"packets_per_vector\": 12.5, \"cycles_per_packet\": 150, \"share_percent\": 75}]}]}",
		"{}", profile);
	shows(render_workers_profile, "{\"profile\": \"never begun\", \"workers\": []}", "{}", none);
}

static void test_render_net(void **state)
{
	static const char *const routes[] = {"Codes: C - connected", "Routing Table: red\n",
		"S    0.0.0.0/0 [1/0] via 10.0.0.1, wan", "\n               [1/0] via 10.0.0.2, wan",
		"C    10.1.0.0/24 is directly connected, lan", "S    10.9.0.0/16 is discarded", NULL};
	static const char *const lists[] = {"Extended IP access list 101\n",
		"    10 permit tcp 10.1.0.0 0.0.0.255 range 1000 2000 host 10.2.0.1 eq 443\n",
		"    20 deny ip any 2001:db8::/32 log (1 match)\n", "    (implicit) deny ip any any (12 matches)\n",
		NULL};
	static const char *const diff[] = {"+ /a/b = 1\n", "- /a/c = 2\n", "~ /a/d: 3 -> 4\n", "+ /a/e\n", NULL};

	(void)state;
	shows(render_routes,
		"{\"vrf\": \"red\", \"routes\": [{\"prefix\": \"0.0.0.0/0\", \"source\": \"static\", \"distance\": 1, "
		"\"next_hops\": ["
		"{\"address\": \"10.0.0.1\", \"interface\": \"wan\"}, {\"address\": \"10.0.0.2\", \"interface\": "
		"\"wan\"}]},"
		"{\"prefix\": \"10.1.0.0/24\", \"source\": \"connected\", \"next_hops\": [{\"interface\": \"lan\"}]},"
		"{\"prefix\": \"10.9.0.0/16\", \"source\": \"static\", \"next_hops\": [{\"blackhole\": true}]}]}",
		"{}", routes);
	shows(render_access_lists,
		"{\"access_lists\": [{\"name\": \"101\", \"lines\": [{\"sequence\": 10, \"action\": \"permit\", "
		"\"protocol\": \"tcp\","
		"\"source\": \"10.1.0.0/24\", \"source_port\": \"1000-2000\", \"destination\": \"host 10.2.0.1\","
		"\"destination_port\": \"443\"}, {\"sequence\": 20, \"action\": \"deny\", \"protocol\": \"ip\", "
		"\"source\": \"any\","
		"\"destination\": \"2001:db8::/32\", \"log\": true, \"matches\": 1}], \"implicit_deny\": 12}]}",
		"{}", lists);
	shows(render_diff,
		"{\"diff\": [{\"op\": \"create\", \"path\": \"/a/b\", \"value\": \"1\"}, {\"op\": \"delete\", "
		"\"path\": \"/a/c\","
		"\"value\": \"2\"}, {\"op\": \"replace\", \"path\": \"/a/d\", \"value\": \"4\", \"old\": \"3\"},"
		"{\"op\": \"create\", \"path\": \"/a/e\"}]}",
		"{}", diff);
}

/* Blanks and line ends count as one blank. */
static void shows_words(cli_render render, const char *json, const char *words)
{
	char *text = rendered(render, json, "{}"), *to = text;

	for (const char *from = text; *from; from++)
		if (!strchr(" \n", *from))
			*to++ = *from;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	*to = 0;
	assert_non_null(strstr(text, words));
	free(text);
}

/* CAC-T3, CAC-T4 (CAC-19, CAC-20, CAC-21): the manual's figures in the manual's words. */
static void test_render_admission(void **state)
{
	(void)state;
	shows(render_call_admission,
		"{\"charge\": 82, \"limit\": 1000, \"rejected\": 1430, \"accepted\": 0, \"unscaled\": 82}", "{}",
		(const char *const[]){"Total Call admission charges: 82, limit 1000\n",
			"Total calls rejected 1430, accepted 0\n", "Load metric: charge 82, unscaled 82%\n", NULL});
	shows_words(render_crypto_admission,
		"{\"resource_limit\": 90, \"max_ike_sas\": 0, \"max_in_negotiation\": 25, \"total\": 359, \"active\": "
		"338,"
		"\"negotiating\": 21, \"incoming\": {\"requests\": 1297, \"accepted\": 166, \"rejected\": 1131},"
		"\"outgoing\": {\"requests\": 1771, \"accepted\": 195, \"rejected\": 1576},"
		"\"rejected\": {\"total\": 2707, \"rsrc_low\": 1314, \"sa_limit\": 1393}}",
		"Crypto Call Admission Control Statistics "
		"--------------------------------------------------------------------- "
		"System Resource Limit: 90 Max IKE SAs: 0 Max in nego: 25 "
		"Total IKE SA Count: 359 active: 338 negotiating: 21 "
		"Incoming IKE Requests: 1297 accepted: 166 rejected: 1131 "
		"Outgoing IKE Requests: 1771 accepted: 195 rejected: 1576 "
		"Rejected IKE Requests: 2707 rsrc low: 1314 SA limit: 1393 -----");
}

/* Nothing an answer leaves out, or holds in another type, makes a renderer fall over. */
static void test_render_anything(void **state)
{
	static const char *const keys[] = {"sessions", "interfaces", "sas", "policies", "profiles", "keyrings", "peers",
		"maps", "transform_sets", "access_lists", "neighbours", "routes", "drops", "workers", "packets", "diff",
		"warnings", "history", "flows", "ike_sas", "entries", "lines", "next_hops", "children"};
	static const char *const values[] = {"[{}]", "[1]", "{}", "null", "\"x\"",
		("[{\"flows\": [{}], \"lines\": [{}], \"entries\": [{}],"
		 "\"sas\": [{}], \"next_hops\": [{}], \"keys\": [{}]}]")};

	(void)state;
	for (unsigned i = 0; i < cli_n_commands; i++) {
		if (!cli_commands[i].render)
			continue;
		free(rendered(cli_commands[i].render, "{}", "{}"));
		for (unsigned k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			for (unsigned v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
				char json[512];
				snprintf(json, sizeof(json), "{\"%s\": %s}", keys[k], values[v]);
				free(rendered(cli_commands[i].render, json, "{\"detail\": true, \"brief\": true}"));
			}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_abbreviation),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_render_session),
		cmocka_unit_test(test_render_ipsec_sa),
		cmocka_unit_test(test_render_sa_settings),
		cmocka_unit_test(test_render_profile),
		cmocka_unit_test(test_render_net),
		cmocka_unit_test(test_render_admission),
		cmocka_unit_test(test_render_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
