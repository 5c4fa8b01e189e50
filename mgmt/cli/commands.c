/* SPDX-License-Identifier: BSD-3-Clause */
#include "commands.h"
#include "render.h"

/* clang-format off */
#define FLAG(word, help) {word, NULL, NULL, help, CLI_FLAG, false, NULL}
#define WITH(word, what, help, type) {word, NULL, what, help, type, false, NULL}
#define NEEDS(word, what, help, type) {word, NULL, what, help, type, true, NULL}
#define POS(key, what, help, type) {NULL, key, what, help, type, false, NULL}
#define NEEDS_POS(key, what, help, type) {NULL, key, what, help, type, true, NULL}
#define END {0}
/* clang-format on */

static const struct cli_arg detail_interface[] = {
	FLAG("brief", "One line for each interface"),
	POS("interface", "NAME", "Only this interface", CLI_NAME),
	END,
};
static const struct cli_arg on_interface[] = {
	WITH("interface", "NAME", "Only on this interface", CLI_NAME),
	END,
};
static const struct cli_arg in_vrf[] = {
	WITH("vrf", "NAME", "The table of this VRF; default: the global table", CLI_NAME),
	END,
};
static const struct cli_arg show_session[] = {
	FLAG("detail", "With counters and lifetimes"),
	WITH("local", "ADDRESS", "Only sessions with this local address", CLI_TEXT),
	WITH("remote", "ADDRESS", "Only sessions with this peer", CLI_TEXT),
	WITH("fvrf", "NAME", "Only sessions with this front VRF", CLI_NAME),
	WITH("ivrf", "NAME", "Only sessions with this inside VRF", CLI_NAME),
	END,
};
static const struct cli_arg show_ipsec_sa[] = {
	FLAG("detail", "With all counters"),
	FLAG("address", "Only the SAs, by front VRF and peer"),
	FLAG("identity", "Only the flows, without their SAs"),
	WITH("peer", "ADDRESS", "Only SAs with this peer", CLI_TEXT),
	WITH("map", "NAME", "Only SAs of this crypto map", CLI_NAME),
	WITH("interface", "NAME", "Only SAs of this interface", CLI_NAME),
	WITH("vrf", "NAME", "Only SAs with this inside VRF; with 'peer', this front VRF", CLI_NAME),
	END,
};
static const struct cli_arg show_detail[] = {
	FLAG("detail", "With everything that is known"),
	END,
};
static const struct cli_arg show_map[] = {
	{"tag", "map", "NAME", "Only this map", CLI_NAME, false, NULL},
	WITH("interface", "NAME", "Only the map of this interface", CLI_NAME),
	END,
};
static const struct cli_arg show_set[] = {
	WITH("tag", "NAME", "Only this transform set", CLI_NAME),
	END,
};
static const struct cli_arg show_acl[] = {
	POS("name", "NAME", "Only this access list", CLI_NAME),
	END,
};
static const struct cli_arg show_pubkey[] = {
	WITH("name", "NAME", "Only keys of this peer, printed whole", CLI_TEXT),
	WITH("address", "ADDRESS", "Only keys of this peer, printed whole", CLI_TEXT),
	END,
};
static const struct cli_arg show_certificates[] = {
	POS("name", "NAME", "Only this trust point", CLI_NAME),
	END,
};
static const struct cli_arg show_peer[] = {
	POS("address", "ADDRESS", "Only this peer", CLI_TEXT),
	END,
};
static const struct cli_arg show_proposal[] = {
	POS("name", "NAME", "Only this proposal", CLI_NAME),
	END,
};
static const struct cli_arg show_class_map[] = {
	POS("name", "NAME", "Only this class map", CLI_NAME),
	END,
};
static const struct cli_arg show_policy_map[] = {
	POS("name", "NAME", "Only this policy map", CLI_NAME),
	END,
};
static const struct cli_arg show_policy_map_interface[] = {
	POS("interface", "NAME", "Only this interface", CLI_NAME),
	FLAG("input", "Only what comes in"),
	FLAG("output", "Only what leaves"),
	END,
};
static const struct cli_arg show_drops[] = {
	FLAG("all", "Also reasons for which nothing was dropped"),
	END,
};
static const struct cli_arg show_counters[] = {
	FLAG("all", "Also those that are zero"),
	END,
};
static const struct cli_arg show_running[] = {
	WITH("path", "PATH", "Only what is below this YANG path", CLI_PATH),
	FLAG("xml", "As XML"),
	END,
};
static const struct cli_arg clear_session[] = {
	WITH("local", "ADDRESS", "Sessions with this local address", CLI_TEXT),
	WITH("remote", "ADDRESS", "Sessions with this peer", CLI_TEXT),
	WITH("port", "PORT", "Sessions with this port of the peer", CLI_NUMBER),
	WITH("fvrf", "NAME", "Sessions with this front VRF", CLI_NAME),
	WITH("ivrf", "NAME", "Sessions with this inside VRF", CLI_NAME),
	END,
};
static const struct cli_arg clear_sa[] = {
	FLAG("counters", "Only set the counters of SAs to zero"),
	WITH("peer", "ADDRESS", "SAs with this peer", CLI_TEXT),
	WITH("map", "NAME", "SAs of this crypto map", CLI_NAME),
	WITH("entry", "SEQUENCE", "SAs of the crypto map's entry with this number", CLI_NUMBER),
	WITH("spi", "SPI", "The SA with this SPI", CLI_TEXT),
	WITH("vrf", "NAME", "SAs with this inside VRF; with 'peer', this front VRF", CLI_NAME),
	END,
};
static const struct cli_arg clear_isakmp[] = {
	WITH("remote", "ADDRESS", "IKE SAs with this peer", CLI_TEXT),
	END,
};
static const struct cli_arg trace_args[] = {
	POS("packets", "COUNT", "How many packets, 1 to 1000; default 1", CLI_NUMBER),
	WITH("interface", "NAME", "Only packets received on this interface", CLI_NAME),
	END,
};
static const struct cli_arg capture_args[] = {
	NEEDS("interface", "NAME", "The interface", CLI_NAME),
	NEEDS("file", "NAME", "File in the capture directory of the dataplane, pcapng", CLI_TEXT),
	WITH("packets", "COUNT", "Stop after this many packets", CLI_NUMBER),
	WITH("snaplen", "BYTES", "Keep only the first bytes of each packet", CLI_NUMBER),
	END,
};
static const struct cli_arg capture_stop[] = {
	NEEDS("interface", "NAME", "The interface", CLI_NAME),
	END,
};
static const struct cli_arg ike_capture_start[] = {
	{NULL, "start", "NAME", "A directory of this name is made for it", CLI_NAME, true, NULL},
	WITH("peer", "ADDRESS", "Only messages with this peer, or with peers of this prefix", CLI_TEXT),
	WITH("packets", "COUNT", "End after this many messages; default 1000", CLI_NUMBER),
	WITH("seconds", "SECONDS", "End after this time; default 600", CLI_NUMBER),
	WITH("kilobytes", "KILOBYTES", "End at this size; default 10240", CLI_NUMBER),
	END,
};
static const struct cli_arg ike_capture_wipe[] = {
	{NULL, "wipe", "NAME", "The capture", CLI_NAME, true, NULL},
	FLAG("all", "Remove its messages, too"),
	END,
};
static const struct cli_arg config_show[] = {
	POS("source", "SOURCE", "candidate (default), running, startup, or the number of an older one", CLI_TEXT),
	WITH("path", "PATH", "Only what is below this YANG path", CLI_PATH),
	FLAG("xml", "As XML"),
	END,
};
static const struct cli_arg config_load[] = {
	NEEDS_POS("file", "FILE", "JSON or XML; - reads standard input", CLI_FILE),
	FLAG("merge", "Add to the candidate in place of replacing it"),
	END,
};
static const struct cli_arg config_set[] = {
	NEEDS_POS("path", "PATH", "YANG path, prefixes and key names may be left out: interfaces/interface[lan]/mtu",
		CLI_PATH),
	POS("value", "VALUE", "The value; none for list entries", CLI_TEXT),
	END,
};
static const struct cli_arg config_delete[] = {
	NEEDS_POS("path", "PATH", "YANG path", CLI_PATH),
	END,
};
static const struct cli_arg config_validate[] = {
	POS("file", "FILE", "Check this file in place of the candidate; - reads standard input", CLI_FILE),
	END,
};
static const struct cli_arg config_diff[] = {
	WITH("rollback", "NUMBER", "What 'config rollback NUMBER' would change", CLI_NUMBER),
	END,
};
static const struct cli_arg config_commit[] = {
	{"confirmed", NULL, "SECONDS",
		"Return to the present configuration unless another commit follows in time; default 600",
		CLI_OPT_NUMBER, false, "600"},
	END,
};
static const struct cli_arg config_rollback[] = {
	NEEDS_POS("number", "NUMBER", "How many commits back; 1 is the one before the last", CLI_NUMBER),
	END,
};
static const struct cli_arg log_level[] = {
	NEEDS_POS("level", "LEVEL", "error, warning, notice, info or debug", CLI_TEXT),
	END,
};
static const struct cli_arg fail_at[] = {
	NEEDS_POS("nth", "NUMBER", "Which command", CLI_NUMBER),
	END,
};

static const struct cli_arg show_history[] = {
	WITH("remote", "ADDRESS", "Only events with this peer", CLI_TEXT),
	END,
};
static const struct cli_arg debug_level[] = {
	NEEDS_POS("area", "AREA", "isakmp, ikev2, ipsec or engine", CLI_TEXT),
	FLAG("detail", "With more detail"),
	FLAG("error", "Only what failed"),
	END,
};
static const struct cli_arg debug_area[] = {
	NEEDS_POS("area", "AREA", "isakmp, ikev2, ipsec or engine", CLI_TEXT),
	END,
};
static const struct cli_arg debug_unmatched[] = {
	POS("area", "AREA", "Only this area; default: all", CLI_TEXT),
	END,
};
static const struct cli_arg debug_condition[] = {
	WITH("peer", "ADDRESS", "Only this peer; a prefix for all in it", CLI_TEXT),
	WITH("hostname", "NAME", "Only the peer that calls itself so", CLI_TEXT),
	WITH("group", "NAME", "Only peers of this group", CLI_TEXT),
	WITH("username", "NAME", "Only this user", CLI_TEXT),
	WITH("fvrf", "NAME", "Only this front VRF", CLI_NAME),
	WITH("ivrf", "NAME", "Only this inside VRF", CLI_NAME),
	WITH("spi", "SPI", "Only the flow with this SPI, both directions", CLI_TEXT),
	WITH("connid", "NUMBER", "Only the flow with this connection id, 1 to 32766", CLI_NUMBER),
	WITH("flowid", "NUMBER", "Only the flow with this flow id, 1 to 32766", CLI_NUMBER),
	WITH("engine-id", "NUMBER", "The engine of connid or flowid", CLI_NUMBER),
	FLAG("reset", "Forget all conditions; debugging must be off"),
	END,
};
static const struct cli_arg generate_rsa[] = {
	FLAG("general-keys", "One pair for everything (the default)"),
	FLAG("usage-keys", "One pair to sign with, and one to decrypt with"),
	{"label", "name", "NAME", "Its name; default: that of the router", CLI_NAME, false, NULL},
	WITH("modulus", "BITS", "2048 to 8192; default 3072", CLI_NUMBER),
	END,
};
static const struct cli_arg zeroize_rsa[] = {
	POS("name", "NAME", "Its name; default: that of the router", CLI_NAME),
	END,
};
static const struct cli_arg master_key[] = {
	POS("text", "TEXT", "The master key; asked for when it is left out", CLI_REST),
	END,
};

#define SHOW(words, help, args, render)                                                                                \
	{                                                                                                              \
		"show " words, "show", words, NULL, help, args, render, NULL, false                                    \
	}

const struct cli_command cli_commands[] = {
	SHOW("version", "Versions and uptime of both processes", NULL, render_version),
	SHOW("vtemplate", "Virtual templates, and the interfaces of the sessions cloned from them", NULL,
		render_vtemplate),
	SHOW("interfaces", "Interfaces: state, addresses, counters", detail_interface, render_interfaces),
	SHOW("arp", "IPv4 neighbours", on_interface, render_neighbours),
	SHOW("nd", "IPv6 neighbours", on_interface, render_neighbours),
	SHOW("ip route", "IPv4 routes", in_vrf, render_routes),
	SHOW("ip nat translations", "Translated connections, and static translations", NULL, render_nat_translations),
	SHOW("ip inspect sessions", "Connections that are inspected", NULL, render_inspect_sessions),
	SHOW("ip mroute", "IPv4 multicast routes, and what they have forwarded", in_vrf, render_mroutes),
	SHOW("ipv6 mroute", "IPv6 multicast routes, and what they have forwarded", in_vrf, render_mroutes),
	SHOW("ipv6 route", "IPv6 routes", in_vrf, render_routes),
	SHOW("crypto session", "Crypto sessions: peers, IKE SAs, flows", show_session, render_session),
	SHOW("crypto session history", "What happened to sessions", show_history, render_session_history),
	SHOW("crypto ipsec sa", "IPsec SAs with their flows and counters", show_ipsec_sa, render_ipsec_sa),
	SHOW("crypto ipsec transform-set", "Transform sets", show_set, render_transform_set),
	SHOW("crypto ipsec security-association lifetime", "Lifetimes of SAs whose map entry sets none", NULL,
		render_sa_lifetime),
	SHOW("crypto ipsec security-association replay", "Replay windows, for all and by map entry", NULL,
		render_sa_replay),
	SHOW("crypto ipsec security-association idle-time", "When idle SAs go, for all and by map entry", NULL,
		render_sa_idle_time),
	SHOW("crypto isakmp sa", "IKEv1 SAs", show_detail, render_isakmp_sa),
	SHOW("crypto isakmp policy", "IKEv1 policies, with the built-in ones", NULL, render_isakmp_policy),
	SHOW("crypto isakmp profile", "IKE profiles", NULL, render_isakmp_profile),
	SHOW("crypto identity", "Crypto identities: who may use map entries", NULL, render_identity),
	SHOW("crypto isakmp key", "Keyrings and whom their keys are for", NULL, render_isakmp_key),
	SHOW("crypto key mypubkey rsa", "RSA keys of ours: the public halves, for peers to enter", NULL,
		render_mypubkey),
	SHOW("crypto key pubkey-chain rsa", "RSA public keys of peers, entered by hand or learned", show_pubkey,
		render_pubkey_chain),
	SHOW("crypto ca certificates", "Certificates of trust points: ours, and those of CAs", show_certificates,
		render_certificates),
	SHOW("crypto isakmp peer", "IKE peers and their descriptions", show_peer, render_isakmp_peer),
	{"show crypto isakmp peers", "show", "crypto isakmp peer", NULL, "The same as show crypto isakmp peer",
		show_peer, render_isakmp_peer, NULL, false},
	SHOW("crypto ikev2 proposal", "What IKEv2 offers and takes, with the built-in proposals", show_proposal,
		render_ikev2_proposal),
	SHOW("crypto ikev2 sa", "IKEv2 SAs", show_detail, render_ikev2_sa),
	SHOW("crypto map", "Crypto maps", show_map, render_crypto_map),
	SHOW("access-lists", "Access lists", show_acl, render_access_lists),
	SHOW("crypto engine qos", "Queues in front of the crypto engine", NULL, render_engine_qos),
	SHOW("class-map", "Class maps", show_class_map, render_class_map),
	SHOW("policy-map", "Policy maps", show_policy_map, render_policy_map),
	SHOW("policy-map interface", "Policy maps in force, with the counters of their classes",
		show_policy_map_interface, render_policy_map_interface),
	SHOW("crypto engine", "What encrypts, and which algorithms it can do", NULL, render_engine),
	SHOW("aaa servers", "RADIUS servers: which answer, and what they said", NULL, render_aaa_servers),
	SHOW("call admission statistics", "Calls admitted and refused, and the load", NULL, render_call_admission),
	SHOW("crypto call admission statistics", "IKE SAs against their limits; requests admitted and refused", NULL,
		render_crypto_admission),
	SHOW("crypto isakmp default policy", "The built-in IKEv1 policies, while they are in use", NULL,
		render_isakmp_policy),
	SHOW("crypto ipsec default transform-set", "The built-in transform sets", NULL, render_transform_set),
	SHOW("crypto debug-condition", "What debugging is limited to", NULL, render_debug_condition),
	SHOW("crypto ike stats", "Counters of the IKE engine", NULL, render_ike_stats),
	SHOW("crypto ike capture",
		"Captures of IKE with its keys: the running one, and those whose keys are to be wiped", NULL,
		render_ike_capture),
	SHOW("dataplane", "State of the dataplane and of what was pushed to it", NULL, render_dataplane),
	SHOW("drops", "Dropped packets by reason", show_drops, render_drops),
	SHOW("counters", "Fragmentation, path MTU and what else happened to packets", show_counters, render_counters),
	SHOW("workers", "Worker cores: load and queues", NULL, render_workers),
	SHOW("workers profile", "Cycles of each worker by stage, while the profile ran", NULL, render_workers_profile),
	SHOW("running-config", "The running configuration, secrets hidden", show_running, render_text),
	{"clear crypto session", "clear", "crypto session", NULL, "Remove IKE and IPsec SAs of sessions", clear_session,
		render_cleared, "This removes all IKE and IPsec SAs.", false},
	{"clear crypto sa", "clear", "crypto sa", NULL, "Remove IPsec SAs", clear_sa, render_cleared,
		"This removes all IPsec SAs.", false},
	{"clear crypto isakmp", "clear", "crypto isakmp", NULL, "Remove IKE SAs; of IKEv1 without their IPsec SAs",
		clear_isakmp, render_cleared, "This removes all IKE SAs.", false},
	{"clear crypto call admission statistics", "clear", "crypto call admission statistics", NULL,
		"Set the counters of call admission control to zero", NULL, NULL, NULL, false},
	{"clear counters", "clear", "counters", NULL, "Set counters to zero", on_interface, NULL, NULL, false},
	{"clear access-list counters", "clear", "access-list counters", NULL, "Set the matches of access lists to zero",
		show_acl, NULL, NULL, false},
	{"clear ip nat translations", "clear", "ip nat translations", NULL, "Forget translated connections", NULL,
		render_cleared, NULL, false},
	{"clear ip inspect sessions", "clear", "ip inspect sessions", NULL,
		"Forget connections: their answers meet access lists again", NULL, render_cleared, NULL, false},
	{"clear arp", "clear", "arp", NULL, "Forget IPv4 neighbours", on_interface, render_cleared, NULL, false},
	{"clear nd", "clear", "nd", NULL, "Forget IPv6 neighbours", on_interface, render_cleared, NULL, false},
	{"config show", "config", "show", NULL, "Print a configuration, secrets hidden", config_show, render_text, NULL,
		false},
	{"config load", "config", "load", NULL, "Read a file into the candidate", config_load, NULL, NULL, false},
	{"config set", "config", "set", NULL, "Change the candidate", config_set, NULL, NULL, false},
	{"config delete", "config", "delete", NULL, "Remove something from the candidate", config_delete, NULL, NULL,
		false},
	{"config discard", "config", "discard", NULL, "Make the candidate the running configuration again", NULL, NULL,
		NULL, false},
	{"config validate", "config", "validate", NULL, "Check the candidate or a file", config_validate, render_valid,
		NULL, false},
	{"config diff", "config", "diff", NULL, "What a commit would change", config_diff, render_diff, NULL, false},
	{"config commit", "config", "commit", NULL, "Make the candidate the running configuration, all or nothing",
		config_commit, render_commit, NULL, false},
	{"config rollback", "config", "rollback", NULL, "Commit an older configuration", config_rollback, render_commit,
		NULL, false},
	{"config save", "config", "save", NULL, "Write the running configuration to the startup file", NULL, NULL, NULL,
		false},
	{"config history", "config", "history", NULL, "Committed configurations, newest first", NULL, render_history,
		NULL, false},
	{"config status", "config", "status", NULL, "Uncommitted changes, pending confirmation", NULL, render_status,
		NULL, false},
	{"clear crypto session history", "clear", "crypto session history", NULL, "Forget what happened to sessions",
		NULL, NULL, NULL, false},
	{"debug crypto condition unmatched", "do", "debug unmatched", NULL,
		"With conditions: print also what cannot be told to belong to any peer", debug_unmatched, NULL, NULL,
		false},
	{"debug crypto condition", "do", "debug condition", NULL,
		"Limit debugging; each call adds a condition, a message fits when it fits one", debug_condition, NULL,
		NULL, false},
	{"debug crypto", "do", "debug", NULL, "Log messages and events of IKE and IPsec", debug_level, NULL, NULL,
		false},
	{"no debug crypto", "do", "debug", "off", "Stop debugging", debug_area, NULL, NULL, false},
	{"crypto key generate rsa", "config", "generate-rsa", NULL, "Make an RSA key pair and name it in the candidate",
		generate_rsa, render_generated, NULL, false},
	{"crypto key zeroize rsa", "config", "zeroize-rsa", NULL, "Wipe an RSA key pair that the router has made",
		zeroize_rsa, NULL, "This cannot be undone.", false},
	{"key config-key password-encryption", "config", "master-key", NULL,
		"Set or change the master key of encrypted secrets; asks for what it needs to know", master_key, NULL,
		NULL, false},
	{"no key config-key password-encryption", "config", "master-key", "remove",
		"Remove the master key: encrypted secrets become unusable", NULL, NULL, NULL, false},
	{"password logging", "config", "password-logging", NULL, "Log what happens to encrypted secrets", NULL, NULL,
		NULL, false},
	{"no password logging", "config", "password-logging", "off", "Stop logging what happens to encrypted secrets",
		NULL, NULL, NULL, false},
	{"trace", "do", "trace", NULL, "Follow the next packets through the dataplane", trace_args, render_trace, NULL,
		false},
	{"capture start", "do", "capture", NULL, "Capture packets of an interface to a file", capture_args,
		render_capture, NULL, false},
	{"capture stop", "do", "capture", "stop", "End a capture", capture_stop, render_capture, NULL, false},
	{"capture ike start", "do", "ike capture", NULL,
		"Capture messages of IKE, and the keys that decrypt them, to files", ike_capture_start,
		render_ike_capture_started, NULL, false},
	{"capture ike stop", "do", "ike capture", "stop", "End a capture of IKE", NULL, NULL, NULL, false},
	{"capture ike wipe", "do", "ike capture", NULL, "Overwrite and remove the keys of a capture of IKE",
		ike_capture_wipe, NULL, NULL, false},
	{"profile workers start", "do", "workers profile", "start", "Begin to count the cycles of workers by stage",
		NULL, NULL, NULL, false},
	{"profile workers stop", "do", "workers profile", "stop", "End it; 'show workers profile' keeps the figures",
		NULL, NULL, NULL, false},
	{"log-level", "do", "log-level", NULL, "How much culvertd logs, until it ends", log_level, NULL, NULL, false},
	{"test fail-at", "do", "fail-at", NULL, "Fault injection for tests", fail_at, NULL, NULL, true},
};
const unsigned cli_n_commands = sizeof(cli_commands) / sizeof(cli_commands[0]);

const struct cli_group cli_groups[] = {
	{"show", "What the router is doing"},
	{"show ip", "IPv4"},
	{"show ip inspect", "Stateful inspection"},
	{"show ip nat", "Address translation"},
	{"clear ip nat", "Address translation"},
	{"clear ip", "IPv4"},
	{"clear ip inspect", "Stateful inspection"},
	{"show ipv6", "IPv6"},
	{"show crypto", "IKE and IPsec"},
	{"show crypto engine", "What encrypts, and the queues in front of it"},
	{"show policy-map", "Policy maps, and where they are in force"},
	{"show crypto isakmp default", "What applies when you write nothing"},
	{"show crypto ipsec default", "What applies when you write nothing"},
	{"show aaa", "Authentication and authorization servers"},
	{"show call", "Call admission control"},
	{"show call admission", "Call admission control"},
	{"show crypto call", "Call admission control for IKE"},
	{"show crypto call admission", "Call admission control for IKE"},
	{"clear crypto call", "Call admission control for IKE"},
	{"clear crypto call admission", "Call admission control for IKE"},
	{"show crypto ipsec", "IPsec SAs and transform sets"},
	{"show crypto key", "RSA keys: ours, and peers' public ones"},
	{"show crypto key mypubkey", "RSA keys of ours"},
	{"show crypto key pubkey-chain", "Public keys of peers"},
	{"show crypto ca", "Certificates"},
	{"show crypto isakmp", "IKEv1 SAs; policies, profiles, keys and peers of both versions"},
	{"show crypto ikev2", "IKEv2 SAs and proposals"},
	{"show crypto ike", "Both versions of IKE"},
	{"clear", "Remove SAs, counters, neighbours"},
	{"clear crypto", "IKE and IPsec"},
	{"clear access-list", "Access lists"},
	{"debug", "Log messages and events"},
	{"no debug", "Stop debugging"},
	{"crypto", "RSA keys of the router"},
	{"crypto key", "RSA keys of the router"},
	{"crypto key generate", "Make keys"},
	{"crypto key zeroize", "Wipe keys"},
	{"key", "The master key of encrypted secrets"},
	{"key config-key", "The master key of encrypted secrets"},
	{"password", "Encrypted secrets"},
	{"no", "Undo"},
	{"no key", "The master key of encrypted secrets"},
	{"no key config-key", "The master key of encrypted secrets"},
	{"no password", "Encrypted secrets"},
	{"config", "Read and change the configuration"},
	{"profile", "Where cycles go"},
	{"profile workers", "Cycles of workers by stage"},
	{"capture", "Packets of an interface, or messages of IKE with their keys, to a file"},
	{"capture ike", "Messages of IKE with the keys that decrypt them"},
};
const unsigned cli_n_groups = sizeof(cli_groups) / sizeof(cli_groups[0]);
