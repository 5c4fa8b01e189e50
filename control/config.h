/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration as the control process uses it: plain structures, built by mgmt/ from the validated YANG tree and
 * immutable once handed over. Strings and arrays belong to the cv_config and live until config_unref. References
 * between objects are names in mgmt's hands and are resolved to pointers by config_resolve(), which is the last check:
 * an error there names the YANG path.
 */
#ifndef CONTROL_CONFIG_H
#define CONTROL_CONFIG_H

#include "algo.h"
#include "certmap.h"
#include "cv_types.h"
#include "pki.h"

#define CFG_ERR_MAX 512

struct cfg_vrf {
	const char *name;
	const char *description;
	const char *host_namespace; /* of its interfaces' host devices; NULL = they have none */
	uint32_t id;		    /* filled in by control: stable across commits and restarts */
};

/* DF bit of outer packets, and where what does not fit is fragmented (FRAG-3, 4, 9). */
enum cfg_df_bit { CFG_DF_DEFAULT = 0, CFG_DF_COPY, CFG_DF_SET, CFG_DF_CLEAR };
enum cfg_fragment { CFG_FRAG_DEFAULT = 0, CFG_FRAG_BEFORE, CFG_FRAG_AFTER };

/* A template is no interface, but what those are cloned from that sessions get (virtual_access.h, VTI-22). */
enum cfg_if_type { CFG_IF_ETHERNET = 1, CFG_IF_VLAN, CFG_IF_LOOPBACK, CFG_IF_TUNNEL, CFG_IF_TEMPLATE };
struct cfg_if_addr {
	struct cv_addr addr;
	uint8_t plen;
};

/* Unicast RPF (VRF-10): which routes back to a source make it believed. */
enum cfg_urpf_mode { CFG_URPF_OFF = 0, CFG_URPF_STRICT, CFG_URPF_LOOSE };
struct cfg_urpf {
	enum cfg_urpf_mode mode;
	bool allow_default; /* a default route is one */
};

struct cfg_acl;
/* Access lists of an interface and one address family; NULL = none. */
struct cfg_access_group {
	const char *in, *out;
	const struct cfg_acl *in_ref, *out_ref; /* resolved */
};

enum cfg_tunnel_mode {
	CFG_TUNNEL_IPSEC_IPV4 = 1,
	CFG_TUNNEL_IPSEC_IPV6,
	CFG_TUNNEL_GRE_IPV4, /* over IPv4 */
	CFG_TUNNEL_GRE_IPV6,
	CFG_TUNNEL_MGRE_IPV4, /* multipoint: its next hops say where */
	CFG_TUNNEL_MGRE_IPV6,
	CFG_TUNNEL_IPIP,  /* IPv4 in IPv4 (RFC 2003) */
	CFG_TUNNEL_IPV6IP /* IPv6 in IPv4 (RFC 4213) */
};
/* A neighbour on a multipoint tunnel: its address there, and in the network outside (DMVPN-1). */
struct cfg_tunnel_hop {
	struct cv_addr next_hop, nbma;
	bool multicast; /* gets a copy of every multicast packet */
	unsigned entry; /* resolved: of the tunnel's own map, where it is protected */
};
/* Where a tunnel interface leads, and what protects it (VTI-16); of a template without source and destination. */
struct cfg_tunnel {
	enum cfg_tunnel_mode mode;
	const char *source_if;	    /* NULL = source is given */
	struct cv_addr source;	    /* source_if: filled in by config_resolve() */
	struct cv_addr destination; /* none: multipoint */
	struct cfg_tunnel_hop *hop;
	unsigned n_hop;
	const char *vrf;		  /* that routes outer packets; NULL = global (VTI-15) */
	const char *profile;		  /* of IPsec; NULL = no protection */
	bool shared;			  /* refused (VTI-12) */
	bool no_initiate;		  /* the peer begins (VTI-29) */
	bool has_key, checksum, sequence; /* GRE */
	uint32_t key;
	uint8_t ttl;   /* of outer packets, 0 = that inside; not of IPsec tunnels */
	bool has_dscp; /* else outer packets have the DSCP inside */
	uint8_t dscp;
	uint32_t transmit_kbps, receive_kbps; /* what it is worth; limits nothing. 0 = not said */
	uint16_t keepalive_s;		      /* between keepalives, 0 = none */
	uint8_t keepalive_retries;
	const struct cfg_vrf *vrf_ref;
};

#define CFG_INSPECT_IN 1u
#define CFG_INSPECT_OUT 2u
enum cfg_nat_side { CFG_NAT_NONE = 0, CFG_NAT_INSIDE, CFG_NAT_OUTSIDE };

struct cfg_interface {
	const char *name;
	const char *description;
	enum cfg_if_type type;
	bool enabled;
	const char *device; /* ETHERNET: PCI address or vdev string */
	uint16_t rx_queues, rx_desc, tx_desc;
	const char *parent; /* VLAN */
	uint16_t vlan_id;
	uint16_t mtu; /* 0 = 1500 */
	bool has_mac;
	uint8_t mac[6];
	const char *vrf; /* NULL = global */
	struct cfg_if_addr *addr;
	unsigned n_addr;
	const char *crypto_map;	   /* NULL = none (IPSEC-42); of a protected tunnel: its own (config_tunnel.c) */
	struct cfg_tunnel *tunnel; /* TUNNEL, TEMPLATE */
	enum cfg_df_bit df_bit;	   /* after config_resolve() never DEFAULT */
	enum cfg_fragment fragment;
	struct cfg_urpf urpf4, urpf6; /* of what comes in by it */
	struct cfg_access_group acl4, acl6;
	bool host_path;		 /* the Linux host has a device for it */
	const char *host_device; /* what it is called there; NULL = like the interface */
	uint16_t mtu4, mtu6;	 /* of one family; 0 = mtu */
	uint16_t mss4, mss6;	 /* limit of what TCP connections through it announce; 0 = none, CV_MSS_AUTO */
	uint8_t inspect;	 /* CFG_INSPECT_*: whose connections are remembered */
	enum cfg_nat_side nat;
	const char *policy_in, *policy_out; /* policy maps; NULL = none */
	uint32_t output_rate;		    /* kbit/s of what the output policy lets out; 0 = as fast as it goes */
	/* resolved */
	const struct cfg_policy_map *policy_in_ref, *policy_out_ref;
	uint32_t policy_in_slot, policy_out_slot; /* filled in by control */
	uint32_t id;
	const struct cfg_vrf *vrf_ref;
	const struct cfg_interface *parent_ref;
	const struct cfg_crypto_map *map_ref;
};

/* Has it a device on the host, and what is that called? After config_resolve(). */
static inline bool config_has_host_device(const struct cfg_interface *i)
{
	return i->host_path && (!i->vrf_ref || i->vrf_ref->host_namespace);
}
static inline const char *config_host_device(const struct cfg_interface *i)
{
	return i->host_device ? i->host_device : i->name;
}

enum cfg_nh_type { CFG_NH_GATEWAY = 1, CFG_NH_INTERFACE, CFG_NH_BLACKHOLE };
struct cfg_nexthop {
	enum cfg_nh_type type;
	struct cv_addr gw;
	const char *interface; /* INTERFACE, or GATEWAY with an explicit interface; else NULL */
	bool global;	       /* gateway resolved in the global table (VRF-12) */
	const char *vrf;       /* gateway resolved in this VRF (VRF-50); NULL = see global */
	uint8_t weight;
	const struct cfg_interface *if_ref;
	const struct cfg_vrf *vrf_ref; /* resolved: where the gateway is looked up; NULL = the global table */
};
struct cfg_route {
	const char *vrf;
	struct cv_prefix prefix;
	uint8_t distance;
	uint32_t tag;
	struct cfg_nexthop *nh;
	unsigned n_nh;
	const struct cfg_vrf *vrf_ref;
};

struct cfg_acl_line {
	uint32_t seq;
	bool permit;
	bool log;
	struct cv_selector sel; /* IPSEC-7 */
	uint64_t dscp;		/* bit per value; 0 = any. IKE knows nothing of it. */
	const char *remark;
	uint32_t counter; /* of packets that it matched: filled in by control when the list is asked */
};
struct cfg_acl {
	const char *name;	   /* or its number */
	struct cfg_acl_line *line; /* ascending seq */
	unsigned n_line;
	/* resolved: something asks the dataplane about it (as opposed to crypto maps, whose SPDs have lines of their
	 * own) */
	bool asked;
	/* filled in by control when it is asked: its number, and the counter of what matches no line */
	uint32_t id, counter;
};

/* What finds the packets of a class (LLQ-5). */
struct cfg_class_map {
	const char *name;
	const char *description;
	bool match_any; /* else all kinds that are given have to match */
	bool every;	/* every packet */
	const char **acl;
	unsigned n_acl;
	uint64_t dscp, precedence; /* bit per DSCP; 0 = not asked */
	const char **interface;
	unsigned n_interface;
	struct cfg_protocol {
		uint8_t proto4, proto6; /* IP protocol of each family; 0 = any */
		bool ip4, ip6;		/* families */
		const char *name;
	} * protocol;
	unsigned n_protocol;
	const struct cfg_acl **acl_ref;
	const struct cfg_interface **interface_ref;
};

enum cfg_police_action { CFG_POLICE_TRANSMIT = 0, CFG_POLICE_DROP, CFG_POLICE_SET_DSCP };
struct cfg_police {
	uint64_t rate, peak_rate;		  /* bits per second; 0 = none */
	uint32_t burst, excess_burst, peak_burst; /* bytes; 0 = none, or the default */
	enum cfg_police_action action[3];	  /* conform, exceed, violate */
	uint8_t dscp[3];
};
#define CFG_CLASS_DEFAULT "class-default"
#define CFG_QUEUE_LIMIT 512u /* packets, where a class says nothing */
struct cfg_policy_class {
	const char *name;
	struct cfg_police police; /* rate 0 = not policed */
	bool has_dscp;
	uint8_t dscp; /* that packets get */
	/* queues; rates in kbit/s, 0 = not given */
	uint32_t priority, priority_burst;	/* burst: bytes */
	uint32_t bandwidth, percent, remaining; /* one of them at most; the two last ones in per cent */
	uint32_t shape;
	uint32_t queue_limit;
	bool fair_queue;
	struct cfg_wred {
		bool on, ecn;
		uint8_t weight;			      /* 0 = the default */
		struct cv_wred_curve curve[CV_DSCPS]; /* 0 = the default */
	} wred;
	uint32_t fair_queues;		 /* 0 = by the rate of the interface (LLQ-11) */
	const struct cfg_class_map *map; /* NULL = class-default */
};
struct cfg_policy_map {
	const char *name;
	const char *description;
	struct cfg_policy_class *cls; /* as written; after config_resolve() class-default is there, and first */
	unsigned n_cls;
	bool queues; /* a class has one */
	uint32_t id; /* filled in by control */
};

/* One IKEv1 policy (IKE-16). */
enum cfg_ike_auth { CFG_AUTH_PSK = 1, CFG_AUTH_RSA_SIG = 3, CFG_AUTH_RSA_ENCR = 4, CFG_AUTH_ECDSA_SIG = 9 };
struct cfg_ike_policy {
	uint32_t priority; /* 1..10000 */
	enum ike_encr encr;
	uint16_t key_bits;
	enum ike_prf hash; /* as PRF: HMAC of the hash */
	enum cfg_ike_auth auth;
	enum ike_group group;
	uint32_t lifetime_s; /* 60..86400 */
	bool builtin;	     /* a default policy, not written by the operator */
};

/* One IKEv2 proposal: any combination of its members is acceptable (RFC 7296 3.3). */
struct cfg_ike_encr {
	enum ike_encr encr;
	uint16_t key_bits;
};
#define CFG_ADDKE_MAX 7u
struct cfg_ike_proposal {
	const char *name;
	struct cfg_ike_encr *encr;
	unsigned n_encr;
	enum ike_integ *integ; /* empty for AEAD-only proposals */
	unsigned n_integ;
	enum ike_prf *prf;
	unsigned n_prf;
	enum ike_group *group;
	unsigned n_group;
	enum ike_group *addke; /* additional key exchanges (RFC 9370), at most CFG_ADDKE_MAX, all demanded */
	unsigned n_addke;
	bool builtin;
};

struct cfg_psk {
	struct cv_prefix peer; /* addr.af == CV_AF_NONE: selected by hostname */
	const char *hostname;
	const uint8_t *key; /* zeroed when the config is freed; never printed */
	size_t key_len;
	bool no_xauth; /* who has this key does not log in, whatever the profile says (IKE-56) */
	bool sealed;   /* type 6 of a foreign master key: key is NULL, the peer cannot authenticate (T6KEY-13, 17) */
};
/* What an RSA key is for (IKE-46). */
enum cfg_rsa_usage { CFG_RSA_GENERAL = 0, CFG_RSA_SIGNATURE, CFG_RSA_ENCRYPTION };
/* A peer's public key, entered by hand (VRF-21, IKE-45..47). */
struct cfg_rsa_public {
	const char *name;     /* of the entry */
	const char *hostname; /* the identity that selects it; NULL = the address does */
	struct cv_addr addr;  /* of the peer; with hostname: af NONE = not known, the peer has to begin */
	enum cfg_rsa_usage usage;
	const char *serial; /* of the peer, decimal, for people; NULL = none */
	const uint8_t *der; /* SubjectPublicKeyInfo */
	size_t der_len;
	struct pki_rsa *key; /* resolved; the configuration's own reference */
};
/* A pair of keys of our own (IKE-44): one for everything, or one for signatures and one for encryption. */
struct cfg_rsa_pair {
	const char *name;
	const char *file, *signature_file, *encryption_file; /* PEM */
	/* resolved: references of the configuration's, perhaps to the same key */
	struct pki_rsa *signs, *decrypts;
};
struct cfg_psk_index; /* of a keyring's keys by address: config_keys.c */

/* One local termination point (SAFENET-3): an interface, or an address with its VRF. Neither: everywhere. */
struct cfg_binding {
	const char *interface;
	struct cv_addr addr;
	const char *vrf; /* of addr; NULL = global */
	const struct cfg_interface *if_ref;
	const struct cfg_vrf *vrf_ref;
};

struct cfg_keyring {
	const char *name;
	const char *description;
	const char *vrf; /* front VRF it is bound to (VRF-18); NULL = global */
	struct cfg_psk *psk;
	unsigned n_psk;
	struct cfg_rsa_public *rsa;
	unsigned n_rsa;
	struct cfg_binding local;
	const struct cfg_psk_index *index;
	const struct cfg_vrf *vrf_ref;
};

enum cfg_id_type { CFG_ID_NONE = 0, CFG_ID_ADDRESS, CFG_ID_FQDN, CFG_ID_USER_FQDN, CFG_ID_KEY_ID, CFG_ID_DN };
#define CFG_DN_MAX 256u /* longest distinguished name as DER */
struct cfg_identity {
	enum cfg_id_type type;
	bool domain;	       /* match: text is the domain part (VRF-25) */
	struct cv_prefix addr; /* ADDRESS; a host, or a range to match */
	const char *text;
	const uint8_t *dn; /* DN: DER; NULL in a local identity = the subject of our certificate */
	size_t dn_len;
};

/* One PKI: CAs, our certificate, CRLs. */
struct cfg_trust_point {
	const char *name;
	const char *description;
	struct pki_files files;
	struct pki_tp *tp; /* resolved: the files as read by config_resolve(); the configuration's own reference */
};

/* How an end of an IKEv2 SA authenticates. */
enum cfg_ike_method { CFG_METHOD_PSK = 0, CFG_METHOD_SIGNATURE };

enum cfg_ike_version { CFG_IKEV1 = 1, CFG_IKEV2 = 2 };
/* Who has to log in after phase 1: nobody, the peer, or we. */
enum cfg_xauth { CFG_XAUTH_OFF = 0, CFG_XAUTH_SERVER, CFG_XAUTH_CLIENT };
struct cfg_secret {
	const uint8_t *p; /* zeroed when the config is freed; NULL = none, or sealed with a foreign master key */
	size_t len;
};
/* A post-quantum preshared key (RFC 8784). */
struct cfg_ppk {
	const char *id;
	struct cfg_secret key;
};
enum cfg_ppk_mode { CFG_PPK_OFF = 0, CFG_PPK_OPTIONAL, CFG_PPK_REQUIRED };
/* Somebody who may log in (Xauth). */
struct cfg_user {
	const char *name;
	struct cfg_secret password;
};
/* Inner addresses to give to peers (IKE-60): first to last, IPv4. */
struct cfg_pool {
	const char *name;
	struct cv_addr first, last;
};
/* A RADIUS server (VRF-53). */
struct cfg_radius_server {
	const char *name;
	struct cv_addr addr, source; /* source: af 0 = the kernel's choice */
	uint16_t port;
	const char *interface; /* of the kernel; NULL = any */
	struct cfg_secret key;
	uint32_t timeout_s, retransmit;
	bool need_message_authenticator;
};
/* A name server to ask for the addresses of peers. */
struct cfg_name_server {
	struct cv_addr addr;
	uint16_t port;
};
#define CFG_AAA_GROUP_MAX 8u
struct cfg_aaa_group {
	const char *name;
	const char **server;
	unsigned n_server;
	unsigned server_index[CFG_AAA_GROUP_MAX]; /* resolved: into radius_server */
};
enum cfg_dpd_mode { CFG_DPD_OFF = 0, CFG_DPD_ON_DEMAND, CFG_DPD_PERIODIC };
struct cfg_ike_profile {
	const char *name;
	const char *description;
	bool builtin; /* the default profile of map entries that name none */
	enum cfg_ike_version version;
	const char **keyring; /* names; none = every keyring bound to the front VRF (VRF-23) */
	unsigned n_keyring;
	enum cfg_ike_method local_auth, remote_auth; /* IKEv2 */
	enum cfg_ppk_mode ppk_mode;		     /* IKEv2 */
	const char **ppk;			     /* ids; the first is ours to name as initiator */
	unsigned n_ppk;
	const char **trust_point; /* names; none = all of them, which config_resolve() then fills in */
	unsigned n_trust_point;
	bool trust_all;		      /* resolved: the operator named none */
	const char *rsa_pair;	      /* IKEv1: the key pair that peers know by hand; NULL = the first there is */
	const char *vrf;	      /* inside VRF (VRF-4); NULL = front VRF */
	const char *virtual_template; /* peers get an interface cloned from it (VTI-23), in its VRF; NULL = none */
	struct cfg_identity *match;   /* VRF-25; empty = never selected by identity, only by map entry and address */
	unsigned n_match;
	const char **match_cert; /* certificate maps (CERTMAP-3); as good as an identity that matches */
	unsigned n_match_cert;
	const char *client_group; /* group given to peers of this profile (CERTMAP-6); NULL = what they say */
	const char *match_fvrf;
	struct cfg_binding local;     /* SAFENET-2 */
	struct cfg_identity local_id; /* NONE = address */
	const char **proposal;	      /* IKEv2; empty = the built-in ones, which config_resolve() then fills in */
	unsigned n_proposal;	      /* after config_resolve() never 0 */
	uint32_t lifetime_s;
	enum cfg_dpd_mode dpd_mode;
	uint32_t dpd_interval_s, dpd_retry_s;
	bool aggressive;	  /* IKEv1: initiate aggressive mode (VRF-35) */
	bool aggressive_psk;	  /* IKEv1: aggressive mode with a preshared key is allowed, both roles */
	bool aggressive_sig;	  /* IKEv1: aggressive mode with signatures is allowed, both roles */
	bool nat_traversal;	  /* default true */
	bool force_encaps;	  /* act as if a NAT had been found */
	uint32_t nat_keepalive_s; /* 0 = off; default 20 */
	/* IKEv1: Xauth and mode configuration */
	enum cfg_xauth xauth;
	const char *xauth_user; /* CLIENT: what we log in with */
	struct cfg_secret xauth_password;
	const char *aaa_authentication; /* group that judges logins (VRF-34); NULL = ike/user */
	const char *aaa_authorization;	/* group that keeps preshared keys for aggressive mode (AGGR-7); NULL = none */
	struct cfg_secret aaa_password; /* of the profiles that the latter keeps (AGGR-8) */
	bool aaa_local;			/* ike/user judges when no server answers */
	const struct cfg_aaa_group *aaa_authentication_ref, *aaa_authorization_ref; /* resolved */
	bool config_request;	    /* ask the peer for an inner address */
	bool config_respond;	    /* give one to a peer that asks (IKE-59) */
	bool config_initiate;	    /* give one without being asked */
	const char *pool;	    /* where they come from */
	struct cv_addr *config_dns; /* IPv4 */
	unsigned n_config_dns;
	const char *config_domain;
	const struct cfg_pool *pool_ref; /* resolved */
	bool mobike;			 /* IKEv2: RFC 4555 */
	uint32_t auth_lifetime_s; /* IKEv2 responder: how long an authentication is good for (RFC 4478); 0 = for good */
	uint8_t per_resource;	  /* IKEv2: children beside the first of the same selectors (RFC 9611) */
	uint8_t window_size;	  /* IKEv2: requests of the peer taken at a time (RFC 7296 2.3); 0 is 1 */
	uint16_t fragment_size;	  /* IP packets of IKE beyond it are sent as IKE fragments; 0 = never */
	/* resolved */
	const struct cfg_keyring **keyring_ref;
	const struct cfg_ppk **ppk_ref;
	const struct certmap **match_cert_ref;
	struct pki_tp **trust;			 /* n_trust_point of them; owned by the configuration */
	const struct cfg_rsa_pair *rsa_pair_ref; /* NULL = there is none */
	const struct cfg_ike_proposal **proposal_ref;
	const struct cfg_vrf *vrf_ref;
	const struct cfg_vrf *match_fvrf_ref;
	bool inside_global; /* of a tunnel or template: without vrf_ref the inside VRF is the global one, not the front
			       VRF */
};
/* VRF-4, 5: the inside VRF of what the profile negotiates in a front VRF. */
uint32_t config_inside_vrf(const struct cfg_ike_profile *p, uint32_t fvrf);

/* May a responder choose the profile by what the peer is, and not by its address alone (VRF-26, CERTMAP-2)? */
static inline bool config_profile_selects(const struct cfg_ike_profile *p)
{
	return p->n_match || p->n_match_cert;
}

/* What an operator notes about a peer (MON-6..10): informational only, looked up by the address seen on the wire. */
struct cfg_peer {
	struct cv_addr addr;
	const char *description; /* 1..80 characters */
};

struct cfg_transform_set {
	const char *name;
	struct algo_suite suite;
	bool transport; /* for flows between the two peers themselves, else tunnel mode all the same (IPSEC-21) */
	bool esn;	/* extended sequence numbers are demanded */
	bool builtin;	/* a default set (USAB-15) */
};

#define CFG_REPLAY_GLOBAL UINT32_MAX
#define CFG_REPLAY_DEFAULT 1024u
/* Keys of one direction of a manual entry (IPSEC-68); zeroed when the config is freed; never printed. */
struct cfg_session_key {
	uint32_t spi; /* host order */
	const uint8_t *cipher, *auth;
	size_t cipher_len, auth_len; /* bytes; auth is AH's key when the transform set is AH alone */
	uint32_t ah_spi;	     /* of AH together with ESP; 0 = none */
	const uint8_t *ah_auth;
	size_t ah_auth_len;
};
struct cfg_manual {
	struct cfg_session_key in, out;
};

struct cfg_map_entry {
	uint32_t seq; /* 1..65535; place << 16 | number there, when from a dynamic map or for a tunnel's next hop */
	const char *dynamic_map; /* where it came from; before config_resolve(): what is to be put in its place */
	const char *description;
	const char *acl; /* NULL = a dynamic entry that takes any flow (IPSEC-59) */
	/*
	 * In order of preference (IPSEC-48); none = a dynamic entry. Of a peer by name (IPSEC-50) the address is what
	 * control has last learned: af 0 = nothing, and then config_peers_changed().
	 */
	struct cv_addr *peer;
	const char **peer_host; /* beside peer: NULL = an address; NULL = all are */
	unsigned n_peer;
	bool default_peer;	    /* the first is preferred again after another one has failed (PREF-1) ... */
	bool idle_to_default;	    /* ... and after another one's tunnel has ended for being idle (PREF-8) */
	const char **transform_set; /* 1..6 in order (IPSEC-49) */
	unsigned n_transform_set;
	enum ike_group pfs; /* NONE = not asked for (IPSEC-53) */
	enum ike_group
		*addke; /* with pfs, IKEv2: additional key exchanges (RFC 9370), at most CFG_ADDKE_MAX, all demanded */
	unsigned n_addke;
	uint32_t lifetime_s;  /* 0 = global */
	uint64_t lifetime_kb; /* 0 = global */
	bool per_host;
	const struct cfg_manual *manual; /* an ipsec-manual entry; NULL = IKE */
	bool auto_start;		 /* negotiate without waiting for traffic */
	uint32_t replay_window;		 /* packets; 0 = off; CFG_REPLAY_GLOBAL until config_resolve() */
	bool replay_own;		 /* replay_window is the entry's, not the global one (REPLAY-5) */
	uint32_t idle_s;		 /* 0 = idle SAs stay; config_resolve() fills in the global value */
	bool idle_own;			 /* idle_s is the entry's, not the global one (IDLE-5) */
	const char *ike_profile;	 /* NULL = the map's, else a profile-less IKEv2 default */
	const char *identity;		 /* crypto identity that the peer must satisfy (DN-4); NULL = any peer */
	/* resolved */
	const struct certmap_identity *identity_ref; /* NULL with a name: nobody satisfies it */
	const struct cfg_acl *acl_ref;
	const struct cfg_transform_set **ts_ref;
	const struct cfg_ike_profile *profile_ref; /* never NULL after config_resolve */
	const struct cfg_crypto_map *map;
};
/* NULL = it is named by its address. */
static inline const char *cfg_peer_host(const struct cfg_map_entry *e, unsigned peer)
{
	return e->peer_host ? e->peer_host[peer] : NULL;
}
/* A template for peers with unknown addresses (IPSEC-54); its access list may be missing (IPSEC-59). */
static inline bool cfg_entry_is_dynamic(const struct cfg_map_entry *e)
{
	return !e->n_peer && !e->manual;
}
#define CFG_PLACE_SHIFT 16
/* Rises in the order of evaluation (IPSEC-41). */
static inline uint32_t cfg_entry_order(uint32_t seq)
{
	return seq >> CFG_PLACE_SHIFT ? seq : seq << CFG_PLACE_SHIFT;
}
/* The sequence number that the operator sees in the crypto map. */
static inline uint32_t cfg_entry_place(const struct cfg_map_entry *e)
{
	return cfg_entry_order(e->seq) >> CFG_PLACE_SHIFT;
}

/* Templates that crypto maps include by name (IPSEC-56). */
struct cfg_dynamic_map {
	const char *name;
	struct cfg_map_entry *entry; /* ascending seq, without peers */
	unsigned n_entry;
};
struct cfg_crypto_map {
	const char *name;
	const char *local_address; /* interface (IPSEC-74), or NULL */
	const char *ike_profile;
	struct cfg_map_entry *entry; /* in the order of evaluation */
	unsigned n_entry;
	const struct cfg_interface *local_ref;
	const struct cfg_interface *tunnel;   /* whose only policy this is: any to any, no narrower (VTI-17) */
	const struct cfg_interface *template; /* for peers of one IKE profile: any flow, but one of each (VTI-26) */
};
/* Front VRF of what ends at this interface, NULL = global: a tunnel's is not that of its own packets. */
const struct cfg_vrf *config_front_vrf(const struct cfg_interface *i);
/* Has it several other ends, one at each of its next hops? */
bool config_is_multipoint(const struct cfg_tunnel *t);
/* Outside address of its n-th other end; NULL = that was all. */
const struct cv_addr *config_tunnel_end(const struct cfg_tunnel *t, unsigned n);

/* An IPsec profile: a policy without peer and access list, for tunnels (VTI-16). */
struct cfg_ipsec_profile {
	const char *name;
	const char *description;
	struct cfg_map_entry policy;
};

/* Call admission control for IKE (CAC-*). 0 = no limit. */
struct cfg_cac {
	uint32_t ike_sa;	 /* IKE SAs (CAC-7) */
	uint32_t in_negotiation; /* IKE SAs before authentication (CAC-10) */
	uint32_t charge;	 /* system resource limit, 1..100000 (CAC-16) */
	uint16_t scale;		 /* 0..1000, default 100 (CAC-17..19) */
	uint8_t poll_s;		 /* how often the load is read, 1..32 s, default 1 */
};

/* Of the connection table; seconds. */
struct cfg_high_low {
	uint32_t high, low; /* 0 = no limit */
};
struct cfg_connections {
	uint32_t max_entries; /* 0 = as the dataplane has it */
	uint32_t tcp_s, tcp_syn_s, tcp_fin_s, udp_s, icmp_s, other_s;
	struct cfg_high_low half_open, one_minute;
};

/* What inside hosts begin gets another source (VTI-38). IPv4. */
struct cfg_nat_rule {
	uint32_t seq;
	const char *acl;
	const char *vrf;  /* of the inside interfaces; NULL = global */
	const char *pool; /* first..last; NULL = the address of interface */
	const char *interface;
	struct cv_addr first, last;
	const struct cfg_acl *acl_ref;
	const struct cfg_vrf *vrf_ref;
	const struct cfg_interface *if_ref;
};
struct cfg_nat_static {
	const char *name;
	const char *vrf;       /* of the inside address; NULL = global */
	const char *interface; /* whose address it is known by; NULL = global */
	struct cv_addr local, global;
	uint8_t proto; /* 0 = the whole address */
	uint16_t local_port, global_port;
	const struct cfg_vrf *vrf_ref;
	const struct cfg_interface *if_ref;
};

/* Where packets to a group go. */
struct cfg_mroute_out {
	const char *interface;
	uint8_t ttl; /* only what comes with more */
	const struct cfg_interface *ref;
};
struct cfg_mroute {
	const char *vrf; /* NULL = global */
	struct cv_addr group;
	struct cv_addr source; /* af 0 = any */
	const char *in;	       /* interface */
	struct cfg_mroute_out *out;
	unsigned n_out;
	const struct cfg_vrf *vrf_ref;
	const struct cfg_interface *in_ref;
};

#define CFG_PUZZLE_NEVER UINT32_MAX

struct cv_config {
	char *hostname;
	bool allow_legacy;
	unsigned workers; /* 0 = all the dataplane has */
	bool busy_poll;
	/* global IKE and IPsec parameters */
	bool ike_enabled;	   /* IKE-1, IKE-2 */
	bool invalid_spi_recovery; /* ISPI-2: negotiate with a peer that sends on an SPI we do not know */
	uint32_t cookie_rate; /* first messages a second above which cookies are demanded; 0 = whatever their rate */
	uint32_t cookie_threshold; /* half-open SAs above which cookies are demanded (RFC 7296 2.6) */
	uint32_t puzzle_threshold; /* ... and puzzles (RFC 8019); CFG_PUZZLE_NEVER */
	uint8_t puzzle_difficulty; /* zero bits that we ask for; 0 = the initiator chooses */
	uint8_t puzzle_solve_max;  /* zero bits at most that we work for as initiator; 0 = we solve none */
	uint32_t half_open_max;
	bool ike_capture; /* messages of IKE may be captured together with the keys that decrypt them */
	struct cfg_cac cac;
	struct cfg_connections connections;
	struct cfg_nat_rule *nat_rule; /* ascending seq */
	unsigned n_nat_rule;
	struct cfg_nat_static *nat_static;
	unsigned n_nat_static;
	struct cfg_mroute *mroute;
	unsigned n_mroute;
	bool no_default_policy;	       /* USAB-12 */
	bool no_default_transform_set; /* USAB-20 */
	uint32_t ipsec_lifetime_s;     /* IPSEC-51: 3600 */
	uint64_t ipsec_lifetime_kb;    /* 4608000 */
	uint32_t replay_window;	       /* packets; 0 = off */
	uint32_t idle_s;	       /* 60..86400; 0 = off (IDLE-2) */
	enum cfg_df_bit df_bit;
	enum cfg_fragment fragment;
	struct cfg_identity local_id;
	struct cfg_vrf *vrf;
	unsigned n_vrf;
	struct cfg_interface *interface;
	unsigned n_interface;
	struct cfg_route *route;
	unsigned n_route;
	struct cfg_acl *acl;
	unsigned n_acl;
	struct cfg_class_map *class_map;
	unsigned n_class_map;
	struct cfg_policy_map *policy_map;
	unsigned n_policy_map;
	uint32_t engine_rate;		   /* kbit/s that encryption does, for a warning (LLQ-12); 0 = not known */
	struct cfg_ike_policy *ike_policy; /* ascending priority, built-in ones last */
	unsigned n_ike_policy;
	struct cfg_ike_proposal *ike_proposal;
	unsigned n_ike_proposal;
	struct cfg_trust_point *trust_point;
	unsigned n_trust_point;
	struct cfg_rsa_pair *rsa_pair;
	unsigned n_rsa_pair;
	struct certmap *cert_map;
	unsigned n_cert_map;
	struct certmap_identity *identity;
	unsigned n_identity;
	struct cfg_keyring *keyring;
	unsigned n_keyring;
	struct cfg_ike_profile *ike_profile;
	unsigned n_ike_profile;
	struct cfg_ppk *ppk;
	unsigned n_ppk;
	struct cfg_user *user;
	unsigned n_user;
	struct cfg_name_server *name_server; /* none = those of the host */
	unsigned n_name_server;
	struct cfg_pool *pool;
	unsigned n_pool;
	struct cfg_radius_server *radius_server;
	unsigned n_radius_server;
	struct cfg_aaa_group *aaa_group;
	unsigned n_aaa_group;
	uint32_t aaa_dead_s; /* 0 = servers are never passed over */
	struct cfg_peer *peer;
	unsigned n_peer;
	struct cfg_transform_set *transform_set;
	unsigned n_transform_set;
	struct cfg_dynamic_map *dynamic_map;
	unsigned n_dynamic_map;
	struct cfg_crypto_map *map; /* those of tunnels last */
	unsigned n_map;
	struct cfg_ipsec_profile *ipsec_profile;
	unsigned n_ipsec_profile;
	struct cfg_entry_index *entry_index; /* config_resolve() */
	struct cfg_arena *arena;
	unsigned refs;
};

/* ---- building (mgmt/, loop thread) ---- */

/* An empty configuration with the defaults above; NULL when out of memory. One reference. */
struct cv_config *config_new(void);
/* Zeroed memory that lives as long as the configuration. Aborts when out of memory. */
void *config_alloc(struct cv_config *c, size_t n, size_t size);
char *config_strdup(struct cv_config *c, const char *s);
/* Secret memory: zeroed at the end. */
uint8_t *config_secret(struct cv_config *c, const void *data, size_t len);
/*
 * Add the built-in policies, proposals and the default profile, fill in defaults, resolve every reference and check
 * what YANG cannot say (IPSEC-18, 35, 38, legacy values, ...). Returns 0, or -EINVAL with err = "PATH: what is wrong;
 * what would be valid". Warnings are passed to warn (may be NULL), one call each. Call once per configuration.
 */
int config_resolve(
	struct cv_config *c, char err[static CFG_ERR_MAX], void (*warn)(void *arg, const char *text), void *arg);
struct cv_config *config_ref(struct cv_config *c);
void config_unref(struct cv_config *c); /* frees and zeroes secrets at the last reference */

/* As in the configuration: "rsa-sig". */
const char *config_auth_name(enum cfg_ike_auth auth);

/* ---- look-ups used by IKE (loop thread) ---- */

/*
 * The preshared key for a peer that reached the local address in front VRF fvrf: longest prefix, in the keyrings of the
 * profile that serve them (VRF-17..23, SAFENET-9). local NULL: keyrings bound to an address are not searched.
 */
const struct cfg_psk *config_psk_by_addr(const struct cv_config *c, const struct cfg_ike_profile *p, uint32_t fvrf,
	const struct cv_addr *local, const struct cv_addr *peer);
const struct cfg_psk *config_psk_by_name(const struct cv_config *c, const struct cfg_ike_profile *p, uint32_t fvrf,
	const struct cv_addr *local, const char *name);
/*
 * The public key entered by hand for a peer and a use, special keys before general ones (IKE-46): by its address, which
 * a key selected by name may have as well, or by its name.
 */
const struct cfg_rsa_public *config_rsa_by_addr(const struct cv_config *c, const struct cfg_ike_profile *p,
	uint32_t fvrf, const struct cv_addr *local, const struct cv_addr *peer, enum cfg_rsa_usage use);
const struct cfg_rsa_public *config_rsa_by_name(const struct cv_config *c, const struct cfg_ike_profile *p,
	uint32_t fvrf, const struct cv_addr *local, const char *name, enum cfg_rsa_usage use);
/* Is there a key for that use which only a name leads to? */
bool config_rsa_by_name_only(const struct cv_config *c, const struct cfg_ike_profile *p, uint32_t fvrf,
	const struct cv_addr *local, enum cfg_rsa_usage use);
/*
 * The map entries, manual ones left out, that name the peer's address or are open to peers by their identity (VRF-25,
 * 39): in the order of the configuration, until take() returns false.
 */
void config_peer_entries(const struct cv_config *c, const struct cv_addr *peer,
	bool (*take)(void *arg, const struct cfg_map_entry *e), void *arg);
/* Addresses of peers by name are other ones than before (the loop thread, of a configuration in force). */
void config_peers_changed(struct cv_config *c);
/* NULL when there is none. */
const struct cfg_map_entry *config_entry_find(const struct cv_config *c, const char *map, uint32_t seq);
/* Is something with this binding in service at a local address (SAFENET-1..8)? */
bool config_binding_has(const struct cfg_binding *b, uint32_t fvrf, const struct cv_addr *local);

#endif
