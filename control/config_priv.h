/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private to the configuration part of control/: the steps of config_resolve() and the YANG paths its messages name.
 * The paths are mgmt's; they stand here in one place so that a change of a module changes one line.
 */
#ifndef CONTROL_CONFIG_PRIV_H
#define CONTROL_CONFIG_PRIV_H

#include "config.h"

#define PATH_SYSTEM "/culvert-platform:platform"
#define PATH_VRF "/culvert-vrf:vrfs/vrf[name='%s']"
#define PATH_IF "/ietf-interfaces:interfaces/interface[name='%s']"
#define PATH_ROUTE                                                                                                     \
	"/ietf-routing:routing/control-plane-protocols/control-plane-protocol[culvert-vrf:vrf='%s']"                   \
	"/static-routes/route[destination-prefix='%s']"
#define PATH_ACL "/culvert-acl:access-lists/access-list[name='%s']"
#define PATH_ACL_LINE PATH_ACL "/line[sequence='%u']"
#define PATH_CLASS_MAP "/culvert-qos:qos/class-map[name='%s']"
#define PATH_POLICY_MAP "/culvert-qos:qos/policy-map[name='%s']"
#define PATH_NAT_RULE "/culvert-firewall:firewall/nat/source-rule[sequence='%u']"
#define PATH_NAT_STATIC "/culvert-firewall:firewall/nat/static[name='%s']"
#define PATH_CONNECTIONS "/culvert-firewall:firewall/connections"
#define PATH_CLASS PATH_POLICY_MAP "/class[name='%s']"
#define PATH_POLICY "/culvert-ike:ike/policy[priority='%u']"
#define PATH_PROPOSAL "/culvert-ike:ike/proposal[name='%s']"
#define PATH_KEYRING "/culvert-ike:ike/keyring[name='%s']"
#define PATH_TRUST_POINT "/culvert-pki:pki/trust-point[name='%s']"
#define PATH_RSA_PAIR "/culvert-pki:pki/rsa-key-pair[name='%s']"
#define PATH_RSA_PUBLIC PATH_KEYRING "/rsa-public-key[name='%s']"
#define PATH_CERT_MAP "/culvert-pki:pki/certificate-map[name='%s']"
#define PATH_PROFILE "/culvert-ike:ike/profile[name='%s']"
#define PATH_IPSEC "/culvert-ipsec:ipsec"
#define PATH_TS "/culvert-ipsec:ipsec/transform-set[name='%s']"
#define PATH_MAP "/culvert-ipsec:ipsec/crypto-map[name='%s']"
#define PATH_IPSEC_PROFILE "/culvert-ipsec:ipsec/profile[name='%s']"
#define PATH_TUNNEL PATH_IF "/culvert-tunnel:tunnel"
#define PATH_TEMPLATE PATH_IF "/culvert-tunnel:virtual-template"
#define PATH_ENTRY "%s" /* ENTRY_PATH() */
#define ENTRY_PATH_MAX 160

/* The path of a map entry, or of the dynamic map's entry that it came from. */
const char *config_entry_path(const struct cfg_map_entry *e, char buf[static ENTRY_PATH_MAX]);
#define ENTRY_PATH(e) config_entry_path((e), (char[ENTRY_PATH_MAX]){0})

#define MROUTE_PATH_MAX 224
/* The path of a multicast route. */
const char *config_mroute_path(const struct cfg_mroute *r, char buf[static MROUTE_PATH_MAX]);

/* Objects of one kind sorted by name: references are looked up in it, and duplicates are neighbours. */
struct name_index {
	const char *what; /* "access-list": for messages */
	struct name_slot {
		const char *name;
		void *obj;
	} * slot;
	unsigned n;
};

struct config_check {
	struct cv_config *c;
	char *err; /* CFG_ERR_MAX */
	void (*warn)(void *arg, const char *text);
	void *arg;
	struct name_index vrf, intf, acl, class_map, policy_map, proposal, keyring, profile, ts, map, ppk, cert_map,
		identity, radius_server, aaa_group;
};

/* Format the error; returns -EINVAL. */
int check_fail(struct config_check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_warn(struct config_check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The object called name, or NULL. */
void *check_find(const struct name_index *ix, const char *name);

/* The steps, in this order. 0 or -EINVAL with the error written. */
void config_add_builtins(struct cv_config *c);	    /* config_defaults.c */
int config_add_dynamic(struct config_check *k);	    /* config_dynamic.c: what maps include from dynamic maps */
int config_add_tunnels(struct config_check *k);	    /* config_tunnel.c: policies and IKE profiles of tunnels */
int config_add_templates(struct config_check *k);   /* config_template.c: policies of profiles with a template */
void config_inherit(struct cv_config *c);	    /* config_defaults.c: values an entry or interface does not have */
int config_load_pki(struct config_check *k);	    /* config_pki.c: the files of trust points */
int config_load_rsa(struct config_check *k);	    /* config_rsa.c: key pairs, peers' public keys */
int config_index(struct config_check *k);	    /* config_resolve.c: names, duplicates */
int config_references(struct config_check *k);	    /* config_resolve.c: names to pointers */
int config_check_network(struct config_check *k);   /* config_check_net.c: VRFs, interfaces, routes, access lists */
int config_check_ike(struct config_check *k);	    /* config_check_ike.c: policies, proposals, keyrings, profiles */
int config_check_qos(struct config_check *k);	    /* config_qos.c: class maps and policy maps */
int config_check_firewall(struct config_check *k);  /* config_firewall.c: inspection, connections */
int config_check_multicast(struct config_check *k); /* config_multicast.c: multicast routes */
int config_check_aaa(struct config_check *k);	    /* config_aaa.c: servers, groups, and who asks them */
int config_check_crypto(struct config_check *k);    /* config_check_map.c: transform sets, maps */
void config_index_free(struct config_check *k);
void config_index_entries(struct cv_config *c); /* config_entries.c; everything else is resolved */
/* config_pki.c: names to p->trust; needs every trust point loaded. */
int config_trust_of(struct config_check *k, struct cfg_ike_profile *p);
/* config_rsa.c: the key pair of a profile. */
int config_pair_of(struct config_check *k, struct cfg_ike_profile *p);
/* config_pki.c: certificate maps of the resolved profiles: each in one profile only (CERTMAP-4). */
int config_check_cert_maps(struct config_check *k);

/* config_tunnel.c: what an interface of type tunnel needs, references resolved; loops of routes. */
int config_check_tunnel(struct config_check *k, const struct cfg_interface *i);
int config_check_tunnel_paths(struct config_check *k);
/* config_tunnel.c: maps and tunnels that IKE cannot tell apart; everything is resolved, and entries are indexed. */
void config_warn_shared_peers(struct config_check *k);

/* config_tunnel.c: NULL when there is none; before the references are resolved. */
const struct cfg_ipsec_profile *config_ipsec_profile(const struct cv_config *c, const char *name);
/* NULL = there is none of that name, nor of none. */
const struct cfg_policy_map *config_policy_map(const struct cv_config *c, const char *name);
/* config_template.c: what a virtual template needs. */
int config_check_template(struct config_check *k, const struct cfg_interface *i);
/* One IKE SA does not serve a template and something else (VTI-9). */
int config_check_template_entry(struct config_check *k, const struct cfg_map_entry *e);

/* config_check_manual.c: an entry with session keys, its transform sets and peers resolved; all of their SPIs. */
int config_check_manual(struct config_check *k, const struct cfg_map_entry *e);
int config_check_manual_spis(struct config_check *k);

/* A value that is unknown is refused, a legacy one only passes with allow-legacy and warns. valid: "sha256, sha384". */
int config_check_legacy(struct config_check *k, bool legacy, bool unknown, const char *path, const char *valid);
int config_check_group(struct config_check *k, enum ike_group g, const char *path);
/* Additional key exchanges beside those of `group`: known ones, none twice (RFC 9370 2.2.2). */
int config_check_additional(struct config_check *k, const enum ike_group *addke, unsigned n_addke,
	const enum ike_group *group, unsigned n_group, const char *path);

/* As config_psk_by_addr, with the front VRF as an object (NULL = global): usable before ids are given out. */
const struct cfg_psk *config_psk_lookup(const struct cv_config *c, const struct cfg_ike_profile *p,
	const struct cfg_vrf *fvrf, const struct cv_addr *local, const struct cv_addr *peer);
/* Is there a public key that this peer may be met with? */
bool config_rsa_lookup(const struct cv_config *c, const struct cfg_ike_profile *p, const struct cfg_vrf *fvrf,
	const struct cv_addr *local, const struct cv_addr *peer);
/* Make the keyring's index; -EINVAL when two keys are for the same peer. */
int config_index_keys(struct config_check *k, struct cfg_keyring *kr);

/* Inbound SPIs of manual entries: child.h says why. */
#define MANUAL_SPI_MAX 4095u

/* A copy of the array of n elements with room for extra more at its end. */
void *config_grow(struct cv_config *c, const void *array, unsigned n, unsigned extra, size_t size);

#define DEFAULT_IKE_LIFETIME_S 86400u
#define DEFAULT_PROFILE_NAME "default"
#define DEFAULT_TS_1 "#!default_transform_set_1"
#define DEFAULT_TS_0 "#!default_transform_set_0"

#endif
