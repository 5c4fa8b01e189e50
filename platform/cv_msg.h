/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The messages of the channel between culvertd (control) and culvert-dataplane. This header is the only thing the two
 * share besides the statistics segment (cv_stats.h). All integers in host byte order except where a comment says
 * otherwise; addresses in network order. Messages travel by value in rte_rings in a memfd (cv_chan.h).
 *
 * Rules: the dataplane trusts nothing (every length, id and enum is checked in one place, dataplane/command.c);
 * every command is answered by exactly one CV_REPLY with the same seq; commands between TXN_BEGIN and TXN_COMMIT take
 * effect together or not at all. A transaction begun with CV_TXN_SYNC names the whole desired state: at its commit,
 * every object that it did not name is swept, and objects that are named unchanged are left alone (counters, sequence
 * numbers and replay windows go on).
 */
#ifndef CV_MSG_H
#define CV_MSG_H

#include "cv_types.h"

#define CV_MSG_VERSION 18u
#define CV_MSG_SIZE 2048u /* one element of the command and event rings */
#define CV_PKT_MAX 9600u  /* longest IP packet that can be punted or injected */

enum cv_msg_type {
	CV_MSG_NONE = 0,
	/* commands, control -> dataplane */
	CV_CMD_HELLO = 1, /* struct cv_cmd_hello; answered with CV_REPLY carrying struct cv_hello_info */
	CV_CMD_TXN_BEGIN, /* struct cv_cmd_txn */
	CV_CMD_TXN_COMMIT,
	CV_CMD_TXN_ABORT,
	CV_CMD_PLATFORM_SET, /* struct cv_platform */
	CV_CMD_VRF_SET,	     /* struct cv_vrf */
	CV_CMD_VRF_DEL,
	CV_CMD_PORT_ATTACH, /* struct cv_port */
	CV_CMD_PORT_DETACH,
	CV_CMD_IF_SET, /* struct cv_if */
	CV_CMD_IF_DEL,
	CV_CMD_IF_ADDR_ADD, /* struct cv_if_addr */
	CV_CMD_IF_ADDR_DEL,
	CV_CMD_ROUTE_SET, /* struct cv_route */
	CV_CMD_ROUTE_DEL,
	CV_CMD_SPD_SET, /* struct cv_spd: creates an empty SPD or binds it to interfaces */
	CV_CMD_SPD_DEL,
	CV_CMD_SPD_RULE_SET, /* struct cv_spd_rule */
	CV_CMD_SPD_RULE_DEL,
	CV_CMD_ACL_SET, /* struct cv_acl: creates an empty access list */
	CV_CMD_ACL_DEL,
	CV_CMD_ACL_LINE_SET, /* struct cv_acl_line */
	CV_CMD_ACL_LINE_DEL, /* struct cv_acl_line_ref */
	CV_CMD_SA_ADD,	     /* struct cv_sa */
	CV_CMD_SA_DEL,	     /* struct cv_sa_ref */
	CV_CMD_SA_KEEP,	     /* struct cv_sa_ref; in a SYNC transaction: this SA stays as it is */
	CV_CMD_SA_UPDATE,    /* struct cv_sa_update: new outer endpoint (NAT mapping change), other treatment of DF */
	CV_CMD_DUMP,	     /* struct cv_cmd_dump; reply: struct cv_dump_reply, repeat with its cursor */
	CV_CMD_TRACE,	     /* struct cv_cmd_trace: record the next N packets; records come as CV_EVT_TRACE */
	CV_CMD_CAPTURE,	     /* struct cv_cmd_capture: pcapng capture on an interface */
	CV_CMD_CLEAR,	     /* struct cv_cmd_clear: counters, neighbours */
	CV_CMD_HOLD_DROP,    /* struct cv_cmd_hold_drop: negotiation failed, drop packets held for a rule */
	CV_CMD_FAIL_AT, /* struct cv_cmd_fail_at: fault injection for tests; refused unless started with --test-faults
			 */
	CV_CMD_QOS_CLASS_SET,  /* struct cv_qos_class */
	CV_CMD_QOS_CLASS_DEL,  /* struct cv_qos_class_ref */
	CV_CMD_QOS_RULE_SET,   /* struct cv_qos_rule */
	CV_CMD_QOS_RULE_DEL,   /* struct cv_qos_rule_ref */
	CV_CMD_QOS_ATTACH_SET, /* struct cv_qos_attach: a policy map on an interface */
	CV_CMD_QOS_ATTACH_DEL, /* its slot, 32 bits */
	CV_CMD_TUNNEL_HOP_SET, /* struct cv_tunnel_hop */
	CV_CMD_TUNNEL_HOP_DEL, /* struct cv_tunnel_hop_ref */
	CV_CMD_CONN_SET,       /* struct cv_conn_limits: of the connection table */
	CV_CMD_CONN_DEL,       /* 32 bits, 0: back to what there was before any was set */
	CV_CMD_NAT_RULE_SET,   /* struct cv_nat_rule */
	CV_CMD_NAT_RULE_DEL,   /* its id, 32 bits */
	CV_CMD_NAT_STATIC_SET, /* struct cv_nat_static */
	CV_CMD_NAT_STATIC_DEL, /* its id, 32 bits */
	CV_CMD_PROFILE,	       /* struct cv_cmd_profile: count cycles by stage, or stop it */
	CV_CMD_MROUTE_SET,     /* struct cv_mroute */
	CV_CMD_MROUTE_DEL,     /* struct cv_mroute_ref */
	/* dataplane -> control */
	CV_REPLY = 128,	  /* struct cv_reply */
	CV_EVT_ACQUIRE,	  /* struct cv_evt_acquire */
	CV_EVT_SA_EXPIRE, /* struct cv_evt_sa_expire */
	CV_EVT_SA_PEER,	  /* struct cv_evt_sa_peer: authenticated packet came from a new address/port (RFC 3948, MOBIKE)
			   */
	CV_EVT_LINK,	  /* struct cv_evt_link */
	CV_EVT_INVALID_SPI, /* struct cv_evt_invalid_spi; rate limited by the dataplane */
	CV_EVT_TRACE,	    /* struct cv_evt_trace */
	CV_EVT_PATH_MTU,    /* struct cv_evt_path_mtu */
	CV_EVT_SA_RESOURCE, /* struct cv_evt_sa_resource: a worker would like an SA of its own (RFC 9611) */
	CV_EVT_ACL_LOG,	    /* struct cv_evt_acl_log */
};

struct cv_msg_hdr {
	uint16_t version; /* CV_MSG_VERSION */
	uint16_t type;	  /* enum cv_msg_type */
	uint32_t len;	  /* bytes of header and body that are valid, <= CV_MSG_SIZE */
	uint64_t seq;	  /* command: chosen by control, strictly increasing. event: dataplane's own counter */
};

struct cv_msg {
	struct cv_msg_hdr h;
	uint8_t body[CV_MSG_SIZE - sizeof(struct cv_msg_hdr)];
};

enum cv_err {
	CV_OK = 0,
	CV_ERR_VERSION = 1, /* message version not spoken */
	CV_ERR_MALFORMED,   /* length or enum out of range */
	CV_ERR_NOT_FOUND,   /* refers to an object that does not exist */
	CV_ERR_EXISTS,	    /* id in use by a different object */
	CV_ERR_IN_USE,	    /* still referenced */
	CV_ERR_NO_MEMORY,   /* a bounded table is full */
	CV_ERR_UNSUPPORTED, /* algorithm, device or mode not available here */
	CV_ERR_DEVICE,	    /* the driver refused (text says why) */
	CV_ERR_STATE,	    /* not allowed now (no transaction open, ...) */
	CV_ERR_INJECTED,    /* CV_CMD_FAIL_AT hit */
};

/* In cv_reply.value of a refused CV_CMD_TXN_COMMIT: the command that could not be carried out, by its type and the id
 * its body begins with; 0 when no single one is to blame. */
#define CV_BLAME(type, id) ((uint32_t)(type) << 24 | ((id)&0xffffffu))

struct cv_reply {
	uint32_t err;	/* enum cv_err */
	uint32_t cmd;	/* enum cv_msg_type of the command answered */
	uint32_t value; /* command-specific */
	uint32_t data_len;
	char text[128]; /* for people: why, empty when err is 0 */
	uint8_t data[1536];
};

struct cv_cmd_hello {
	uint32_t pid;
	uint32_t pad;
};

#define CV_CAN_AH 1u
#define CV_CAN_TRANSPORT 2u
#define CV_CAN_ESN 4u
#define CV_CAN_BUNDLE 8u
#define CV_CAN_IPCOMP 16u
struct cv_hello_info {
	uint64_t instance;    /* random; a new value means the dataplane restarted and lost all state */
	uint32_t max_workers; /* lcores available for workers */
	uint32_t ipsec_caps;  /* CV_CAN_* */
	uint64_t encr_caps;   /* bit per enum cv_encr value: what this dataplane can do in ESP */
	uint64_t integ_caps;  /* bit per enum cv_integ value */
	char version[32];
	char provider[32]; /* e.g. "mb 1.3.0 AVX512" */
};

#define CV_TXN_SYNC 1u
struct cv_cmd_txn {
	uint32_t flags;
	uint32_t pad;
};

enum cv_poll_mode { CV_POLL_ADAPTIVE = 0, CV_POLL_BUSY = 1 };
struct cv_platform {
	uint32_t workers; /* active workers, 1..max_workers */
	uint32_t poll_mode;
};

struct cv_vrf {
	uint32_t vrf_id; /* 1..CV_VRF_MAX-1 */
	char name[CV_NAME_MAX];
};

struct cv_port {
	uint32_t port_id; /* chosen by control, 0..CV_PORT_MAX-1; not the DPDK port number */
	char name[CV_NAME_MAX];
	char devargs[256];	   /* PCI address or vdev string: "0000:03:00.0", "net_af_packet0,iface=veth1" */
	uint16_t rx_queues;	   /* 0 = one per worker, as far as the device can */
	uint16_t rx_desc, tx_desc; /* 0 = default */
	uint16_t mtu;		   /* 0 = leave; ENOTSUP of a driver is not an error */
};

enum cv_if_type { CV_IF_ETHERNET = 1, CV_IF_VLAN = 2, CV_IF_LOOPBACK = 3, CV_IF_TUNNEL = 4 };

/* What is between the two ends of a tunnel interface. */
enum cv_tunnel_mode {
	CV_TUNNEL_IPSEC = 1, /* the interface's one pair of SAs, any to any, of one inner family (VTI-4, 8, 17) */
	CV_TUNNEL_GRE,	     /* RFC 2784, 2890: both families */
	CV_TUNNEL_IPIP,	     /* the inner packet itself: RFC 2003 (IPv4), RFC 4213 (IPv6) */
};
#define CV_TUNNEL_F_PROTECTED 1u /* outer packets go by the SAs of the tunnel, and come by no other way */
#define CV_TUNNEL_F_KEY 2u	 /* GRE: with a key, and only those with this key are ours */
#define CV_TUNNEL_F_CHECKSUM 4u	 /* GRE: send a checksum; one that comes is checked anyway */
#define CV_TUNNEL_F_SEQUENCE 8u	 /* GRE: send sequence numbers; drop what comes late or without one */
#define CV_TUNNEL_F_DSCP 32u
#define CV_TUNNEL_F_MULTIPOINT 16u /* GRE: several other ends, struct cv_tunnel_hop says where; dst is zero */
struct cv_tunnel {
	uint8_t mode;		   /* enum cv_tunnel_mode */
	uint8_t inner_af;	   /* CV_AF_* of what it carries; CV_AF_NONE = both (GRE) */
	uint8_t flags;		   /* CV_TUNNEL_F_* */
	uint8_t ttl;		   /* of outer packets, 0 = that inside; GRE, IPIP */
	uint32_t front_vrf;	   /* where outer packets are routed (VTI-15) */
	uint32_t key;		   /* CV_TUNNEL_F_KEY; host order */
	struct cv_addr src, dst;   /* outer addresses of what we send */
	uint16_t keepalive_s;	   /* GRE over IPv4: seconds between keepalives, 0 = none */
	uint8_t keepalive_retries; /* without an answer, then line protocol is down */
	uint8_t dscp;		   /* CV_TUNNEL_F_DSCP: of outer packets, 0..63; else that inside */
};
/* Where an address behind a multipoint tunnel is (DMVPN-1, NHRP's mapping). */
struct cv_tunnel_hop_ref {
	uint32_t if_id;
	struct cv_addr next_hop; /* inside: a neighbour on the tunnel */
};
#define CV_TUNNEL_HOP_MULTICAST 1u /* gets a copy of every multicast packet that is sent into the tunnel */
struct cv_tunnel_hop {
	struct cv_tunnel_hop_ref ref;
	struct cv_addr outer; /* destination of outer packets, of the family of the tunnel's source */
	uint32_t rule_id;     /* CV_TUNNEL_F_PROTECTED: the rule whose SAs are for this address; else 0 */
	uint32_t flags;	      /* CV_TUNNEL_HOP_* */
};
/* Unicast reverse path forwarding (VRF-10): how a source address is judged. 0 = it is not. */
#define CV_URPF_STRICT 1u /* a route back by the interface the packet came in by ("rx") */
#define CV_URPF_LOOSE 2u  /* a route back by any interface ("any") */
#define CV_URPF_MODE 3u
#define CV_URPF_ALLOW_DEFAULT 4u /* a default route is a route back, too */
/* The interface as the Linux host sees it: a network device that the dataplane makes. */
#define CV_HOST_DEVICE_MAX 16u /* IFNAMSIZ */
struct cv_host {
	uint8_t enabled;
	uint8_t pad[3];
	char device[CV_HOST_DEVICE_MAX]; /* its name */
	char netns[CV_NAME_MAX]; /* network namespace it is made in, as ip-netns names it; "" = the dataplane's own */
};
struct cv_if {
	uint32_t if_id;
	uint32_t type;	    /* enum cv_if_type */
	uint32_t port_id;   /* ETHERNET */
	uint32_t parent_id; /* VLAN: if_id of the ethernet interface */
	uint16_t vlan_id;   /* VLAN: 1..4094 */
	uint16_t mtu;	    /* IP MTU, 68..9216 */
	uint32_t vrf_id;
	uint8_t admin_up;
	uint8_t has_mac;
	uint8_t mac[6];	      /* when has_mac; otherwise the device's own */
	uint8_t urpf4, urpf6; /* CV_URPF_* for packets that come in by it */
	uint8_t inspect;      /* CV_INSPECT_* */
	uint8_t nat;	      /* CV_NAT_* */
	uint16_t mtu4, mtu6;  /* of one family, no more than mtu; 0 = mtu */
	uint16_t mss4, mss6;  /* largest TCP segment that connections through it may announce; 0 = any, CV_MSS_AUTO */
	char name[CV_NAME_MAX];
	struct cv_tunnel tunnel; /* TUNNEL */
	struct cv_host host;
	/* access lists that packets pass on their way in and out, for IPv4 and IPv6; 0 = none */
	uint16_t acl_in[2], acl_out[2];
};

#define CV_MSS_AUTO UINT16_MAX /* what fits the paths to both ends */

/* Stateful inspection: the packets whose connections are remembered, so that answers pass inbound access lists. */
#define CV_INSPECT_IN 1u  /* what comes in by the interface */
#define CV_INSPECT_OUT 2u /* what leaves by it */
/* The sides of network address translation that an interface is on; 0 = none. */
enum cv_nat_side { CV_NAT_INSIDE = 1, CV_NAT_OUTSIDE = 2 };

/*
 * Source translation of what goes from an inside to an outside interface (RFC 2663): many connections share an address.
 * Rules are looked at by seq; the first whose access list permits the packet translates it, and what none permits keeps
 * its address. IPv4.
 */
#define CV_NAT_MAX 1024u /* ids of rules, and of static entries: 1..CV_NAT_MAX-1 */
struct cv_nat_rule {
	uint32_t rule_id;
	uint32_t seq;
	uint32_t vrf_id; /* of the inside interface */
	uint32_t if_id;	 /* to the address of this interface; 0 = to one of first..last */
	uint16_t acl_id;
	uint8_t pad[6];
	struct cv_addr first, last;
};
/* An inside address that is known outside by another one, always; or one port of it. Begun from either side. */
struct cv_nat_static {
	uint32_t static_id;
	uint32_t vrf_id;		  /* of the inside interface */
	uint32_t if_id;			  /* known by the address of this interface; 0 = by global */
	uint16_t local_port, global_port; /* host order; 0 = all */
	uint8_t proto;			  /* TCP or UDP with ports, else 0 = all */
	uint8_t pad[7];
	struct cv_addr local, global;
};

/* Of the connection table. Seconds. */
#define CV_CONN_MAX (1u << 20)
#define CV_CONN_TIMEOUT_MAX 864000u
struct cv_conn_limits {
	uint32_t zero;	      /* there is one such object */
	uint32_t max_entries; /* 1..CV_CONN_MAX */
	/* without a packet for so long a connection is forgotten: 1..CV_CONN_TIMEOUT_MAX */
	uint32_t tcp_s;	    /* open TCP */
	uint32_t tcp_syn_s; /* not open yet */
	uint32_t tcp_fin_s; /* closed by both ends, or reset */
	uint32_t udp_s;
	uint32_t icmp_s;  /* echo */
	uint32_t other_s; /* other protocols */
	/*
	 * More than `high` connections that nobody has answered yet, or begun within a minute: each new one costs the
	 * oldest that nobody has answered its place, until there are no more than `low`. 0 = no limit.
	 */
	uint32_t half_open_high, half_open_low;
	uint32_t minute_high, minute_low;
};

struct cv_if_addr {
	uint32_t if_id;
	struct cv_addr addr; /* host address */
	uint8_t plen;
	uint8_t pad[3];
};

#define CV_NH_MAX 8u
enum cv_nh_type { CV_NH_GATEWAY = 1, CV_NH_INTERFACE = 2, CV_NH_BLACKHOLE = 3 };
struct cv_nexthop {
	uint8_t type;	/* enum cv_nh_type */
	uint8_t weight; /* 1..255 */
	uint16_t pad;
	uint32_t if_id;	 /* INTERFACE; GATEWAY: 0 = resolve gw in vrf_id recursively */
	uint32_t vrf_id; /* where gw is resolved: VRF-12 "global" next hops */
	struct cv_addr gw;
};
struct cv_route {
	uint32_t vrf_id;
	struct cv_prefix prefix;
	uint32_t tag; /* opaque to the dataplane, shown to operators */
	uint8_t distance;
	uint8_t origin; /* control's code for static, RRI, ...; opaque */
	uint16_t n_nh;
	struct cv_nexthop nh[CV_NH_MAX];
};
/* cv_route.origin of routes that the dataplane has from the Linux host: which protocol gave them to its kernel. */
enum cv_host_origin { CV_ORIGIN_KERNEL = 16, CV_ORIGIN_OSPF, CV_ORIGIN_BGP, CV_ORIGIN_RIP, CV_ORIGIN_ISIS };
struct cv_route_ref {
	uint32_t vrf_id;
	struct cv_prefix prefix;
};

/*
 * Multicast routes (VTI-4): where packets to a group go that come in by the expected interface. Of two that fit, the
 * one that names the source is used.
 */
#define CV_MROUTE_MAX 4096u /* at once, of all VRFs; counters (cv_stats.h) 1..CV_MROUTE_MAX-1 */
#define CV_MROUTE_OUT_MAX 32u
struct cv_mroute_ref {
	uint32_t vrf_id;
	struct cv_addr group;  /* not one that stays on its link */
	struct cv_addr source; /* all zero: any */
};
struct cv_mroute_out {
	uint32_t if_id;
	uint8_t ttl; /* 1..255: packets that come with a TTL or hop limit above it leave here */
	uint8_t pad[3];
};
struct cv_mroute {
	struct cv_mroute_ref ref;
	uint32_t if_in;
	uint32_t n_out; /* 0..CV_MROUTE_OUT_MAX; 0 = such packets go nowhere */
	struct cv_mroute_out out[CV_MROUTE_OUT_MAX];
};

/*
 * A security policy database. Rules are ordered by prio, lowest first; the first match decides (IPSEC-27..29, 41).
 * A rule is written for the outbound direction; inbound clear packets are matched with source and destination swapped
 * (IPSEC-28, 30). No match = bypass (IPSEC-27).
 */
#define CV_SPD_IF_MAX 64u
struct cv_spd {
	uint32_t spd_id; /* 1.. */
	uint32_t n_if;
	uint32_t if_id[CV_SPD_IF_MAX]; /* interfaces it is applied to (IPSEC-42, 73); an interface has at most one */
};

enum cv_spd_action { CV_SPD_BYPASS = 1, CV_SPD_DISCARD = 2, CV_SPD_PROTECT = 3 };
#define CV_RULE_NO_ACQUIRE 1u /* dynamic and manual entries: drop instead of asking for an SA (IPSEC-31) */
#define CV_RULE_PER_HOST 2u   /* one SA per host pair (IPSEC-52) */
#define CV_RULE_SKIP_ENTRY 4u /* an ACL "deny" line: leave this map entry, go on with the next entry (IPSEC-27, O1) */
struct cv_spd_rule {
	uint32_t spd_id;
	uint32_t rule_id; /* unique in the box, 1..2^24-1 */
	uint64_t prio;	  /* place of the map entry << 32 | ACL line; the high half groups the lines of one entry */
	uint32_t action;
	uint32_t flags;
	uint32_t vrf_id; /* inside VRF as selector (VRF-7); CV_VRF_ANY for every VRF */
	uint32_t pad;
	struct cv_selector sel;
	/*
	 * Bit per DSCP value (RFC 2474) that a packet may have, 0 = any. Not part of sel: no selector of an SA has it,
	 * and IKE cannot negotiate it (RFC 4301 4.4.1.1).
	 */
	uint64_t dscp;
};
#define CV_VRF_ANY UINT32_MAX
struct cv_spd_rule_ref {
	uint32_t spd_id;
	uint32_t rule_id;
};

/*
 * An access list: lines are tried in the order of their sequence, the first match decides, and what matches none is
 * denied. A line is written as for the packets it is held against. Later fragments show no ports: a permit line with
 * ports matches them by addresses and protocol, a deny line with ports does not (RFC 1858 says what that is worth).
 */
struct cv_acl {
	uint32_t acl_id;  /* 1..CV_ACL_MAX-1 */
	uint32_t counter; /* of packets that matched no line, 1..CV_ACL_COUNTERS-1 */
};
struct cv_acl_line_ref {
	uint32_t acl_id;
	uint32_t counter; /* what the line is known by in the box, 1..CV_ACL_COUNTERS-1: counts packets it matched */
};
struct cv_acl_line {
	struct cv_acl_line_ref ref;
	uint32_t seq; /* place in the list */
	uint32_t permit;
	struct cv_selector sel;
	uint32_t log;  /* 1: flows that it decides about are told of (CV_EVT_ACL_LOG), where the list filters */
	uint64_t dscp; /* bit per value (RFC 2474) that a packet may have, 0 = any */
};

/*
 * A policy map: classes, of which number 0 is class-default and has to be there, and the rules that say which packets
 * are whose. Rules are looked at by group, then by line; the first that matches decides, unless it has
 * CV_RULE_SKIP_ENTRY: then the next group goes on. No match = class 0.
 */
#define CV_QOS_CLASSES 65u			/* class-default and 64 others (LLQ-7) */
#define CV_QOS_SLOTS 512u			/* policy maps on interfaces at once; slots 1..CV_QOS_SLOTS-1 */
#define CV_QOS_RATE_MAX UINT64_C(1000000000000) /* bits per second */
#define CV_QOS_BURST_MAX UINT32_C(512000000)	/* bytes */
#define CV_QOS_LIMIT_MAX 65536u
#define CV_QOS_FLOWS_MAX 4096u

enum cv_police_mode {
	CV_POLICE_OFF = 0,
	CV_POLICE_TWO_COLOURS, /* one rate and one burst: conform, or exceed */
	CV_POLICE_SINGLE_RATE, /* RFC 2697 */
	CV_POLICE_TWO_RATE,    /* RFC 2698 */
};
enum cv_colour { CV_CONFORM = 0, CV_EXCEED, CV_VIOLATE, CV_COLOURS };
enum cv_police_action { CV_POLICE_TRANSMIT = 1, CV_POLICE_DROP, CV_POLICE_SET_DSCP };
struct cv_police {
	uint8_t mode; /* enum cv_police_mode; colour blind */
	uint8_t pad;
	uint8_t action[CV_COLOURS]; /* enum cv_police_action */
	uint8_t dscp[CV_COLOURS];   /* CV_POLICE_SET_DSCP: 0..63 */
	uint64_t cir, pir;	    /* bits per second of IP packets; pir: TWO_RATE */
	uint32_t burst;		    /* CBS, bytes */
	uint32_t excess_burst;	    /* EBS (SINGLE_RATE) or PBS (TWO_RATE), bytes */
};
struct cv_qos_class_ref {
	uint32_t policy_id; /* 1.. */
	uint32_t class_no;  /* 0..CV_QOS_CLASSES-1 */
};
#define CV_QOS_DSCP_KEEP 255u
#define CV_DSCPS 64u
#define CV_WRED_WEIGHT_MAX 16u
/* Random early detection of a queue (RFC 2309, RFC 2597): by DSCP, average packets from which and at which packets are
 * dropped, and of how many one is just below max. */
struct cv_wred_curve {
	uint32_t min, max; /* min < max */
	uint32_t denominator;
};
struct cv_wred {
	uint8_t weight; /* of a new value in the average: 2^-weight; 0 = there is no random early detection */
	uint8_t ecn;	/* packets that can be marked are, rather than dropped (RFC 3168) */
	uint8_t pad[2];
	struct cv_wred_curve curve[CV_DSCPS];
};
struct cv_qos_class {
	uint32_t policy_id;
	uint32_t class_no;
	struct cv_police police;
	uint8_t set_dscp; /* CV_QOS_DSCP_KEEP = as it is */
	uint8_t pad[3];
	/* queues; every class has all of it, whether the policy has queues or not */
	uint32_t weight;	 /* of classes without priority, against each other */
	uint64_t priority;	 /* bits per second; 0 = not a priority class */
	uint64_t shape;		 /* bits per second; 0 = as fast as it goes */
	uint32_t priority_burst; /* bytes */
	uint32_t shape_burst;
	uint32_t queue_limit; /* packets, of each worker; 1..CV_QOS_LIMIT_MAX */
	uint32_t fair_queues; /* flows that take turns; 1..CV_QOS_FLOWS_MAX; priority classes: 1 */
	struct cv_wred wred;  /* not of priority classes */
};
struct cv_qos_rule_ref {
	uint32_t policy_id;
	uint32_t rule_no;
};
struct cv_qos_rule {
	uint32_t policy_id;
	uint32_t rule_no;
	uint32_t group, line;
	uint32_t class_no;
	uint32_t flags; /* CV_RULE_SKIP_ENTRY */
	uint32_t if_id; /* came in by this interface; 0 = any */
	uint32_t pad;
	uint64_t dscp; /* bit per value, 0 = any */
	struct cv_selector sel;
};
enum cv_qos_dir { CV_QOS_INPUT = 1, CV_QOS_OUTPUT = 2 };
#define CV_QOS_F_QUEUES 1u /* OUTPUT: packets wait in the queues of their classes; else they are policed and go on */
struct cv_qos_attach {
	uint32_t slot; /* of its counters (cv_stats.h); 1..CV_QOS_SLOTS-1 */
	uint32_t if_id;
	uint32_t policy_id;
	uint16_t dir; /* enum cv_qos_dir; an interface has at most one in each direction */
	uint16_t flags;
	uint64_t rate; /* bits per second of everything that leaves; 0 = as fast as it goes. With CV_QOS_F_QUEUES */
};

/*
 * What one SA does to a packet: ESP encrypts with encr and authenticates with integ, AH authenticates with integ. An
 * AEAD or GMAC cipher brings its own authentication: integ is then CV_INTEG_NONE. Key layout in cv_sa: cipher key, its
 * salt (GCM, GMAC, ChaCha20-Poly1305, CTR: 4 bytes), integrity key, its salt (GMAC in AH: 4 bytes); that is the order
 * of KEYMAT (RFC 7296 2.17). Sizes, names and protocol numbers: crypto/algo.h.
 */
enum cv_encr {
	CV_ENCR_NONE = 0, /* AH */
	CV_ENCR_NULL,	  /* RFC 2410 */
	CV_ENCR_DES,
	CV_ENCR_3DES,
	CV_ENCR_AES128_CBC,
	CV_ENCR_AES192_CBC,
	CV_ENCR_AES256_CBC,
	CV_ENCR_AES128_CTR, /* RFC 3686 */
	CV_ENCR_AES192_CTR,
	CV_ENCR_AES256_CTR,
	CV_ENCR_AES128_GCM8, /* RFC 4106 */
	CV_ENCR_AES192_GCM8,
	CV_ENCR_AES256_GCM8,
	CV_ENCR_AES128_GCM12,
	CV_ENCR_AES192_GCM12,
	CV_ENCR_AES256_GCM12,
	CV_ENCR_AES128_GCM16,
	CV_ENCR_AES192_GCM16,
	CV_ENCR_AES256_GCM16,
	CV_ENCR_AES128_GMAC, /* RFC 4543: authentication only */
	CV_ENCR_AES192_GMAC,
	CV_ENCR_AES256_GMAC,
	CV_ENCR_CHACHA20_POLY1305, /* RFC 7634 */
	CV_ENCR_MAX
};
enum cv_integ {
	CV_INTEG_NONE = 0,
	CV_INTEG_HMAC_MD5_96,
	CV_INTEG_HMAC_SHA1_96,
	CV_INTEG_HMAC_SHA256_128,
	CV_INTEG_HMAC_SHA384_192,
	CV_INTEG_HMAC_SHA512_256,
	CV_INTEG_AES_XCBC_96,
	CV_INTEG_AES_CMAC_96,
	CV_INTEG_AES128_GMAC, /* RFC 4543, AH only; ESP has it as a cipher */
	CV_INTEG_AES192_GMAC,
	CV_INTEG_AES256_GMAC,
	CV_INTEG_MAX
};

enum cv_sa_mode { CV_SA_TUNNEL = 1, CV_SA_TRANSPORT = 2 };
enum cv_sa_dir { CV_SA_OUT = 1, CV_SA_IN = 2 };
#define CV_SA_F_UDP_ENCAP 1u /* RFC 3948 */
#define CV_SA_F_ESN 2u	     /* extended sequence numbers (RFC 4303 2.2.1) */
#define CV_SA_F_NO_REPLAY 4u /* window 0 */
#define CV_SA_F_COPY_DF 8u
#define CV_SA_F_CLEAR_DF 16u
#define CV_SA_F_SET_DF 32u
/* Outer part of a bundle: outbound, no rule uses it directly; inbound, what is inside must be for another SA. */
#define CV_SA_F_BUNDLED 64u
/* One of several SAs with the same selectors (RFC 9611): workers without one of their own ask for it. */
#define CV_SA_F_PER_RESOURCE 256u
#define CV_SA_F_FRAG_AFTER 128u /* outbound: fragment the encrypted packet, not the clear one (FRAG-11) */
/* What of them follows the egress interface's configuration and may change during the SA's life. */
#define CV_SA_F_EGRESS (CV_SA_F_COPY_DF | CV_SA_F_CLEAR_DF | CV_SA_F_SET_DF | CV_SA_F_FRAG_AFTER)
#define CV_SA_KEY_MAX 128u
#define CV_CPI_DEFLATE 2u /* the well-known CPI (RFC 2394 3): where none is negotiated */
#define CV_SA_SEL_MAX 4u

struct cv_sa {
	uint32_t index;	 /* 1..CV_SA_MAX-1, chosen by control; inbound: spi & (CV_SA_MAX-1) == index */
	uint32_t spi;	 /* host order, >= 256 */
	uint8_t dir;	 /* enum cv_sa_dir */
	uint8_t mode;	 /* enum cv_sa_mode */
	uint8_t ipproto; /* 50 ESP, 51 AH */
	uint8_t encr;	 /* enum cv_encr; AH: CV_ENCR_NONE */
	uint32_t flags;
	uint32_t replay_window; /* packets, up to 8192; inbound. 0 = default; off is CV_SA_F_NO_REPLAY */
	uint32_t front_vrf;	/* outer packets (VRF-2) */
	uint32_t inside_vrf;	/* inner packets */
	uint32_t rule_id;    /* outbound: packets of this rule use the SA; inbound: the rule it serves. newest wins */
	uint32_t pair_index; /* the SA of the other direction, 0 = none */
	uint32_t tunnel_if;  /* tunnel interface whose packets it carries, 0 = those that policy selects */
	/*
	 * Nested SAs (RFC 4301 4.4.2, AH over ESP): the SA of this direction that is applied outside this one, 0 =
	 * none. It has CV_SA_F_BUNDLED and exists before, or in the same transaction. Inbound: a packet of this SA that
	 * has not come out of that one is dropped.
	 */
	uint32_t outer_index;
	struct cv_addr src, dst;   /* outer header, as on the wire for this direction */
	uint16_t udp_src, udp_dst; /* host order, with CV_SA_F_UDP_ENCAP */
	uint16_t path_mtu;	   /* 0 = unknown: use the route's interface MTU */
	uint16_t n_sel;		   /* 1..CV_SA_SEL_MAX: negotiated selectors, written as outbound in both directions */
	struct cv_selector sel[CV_SA_SEL_MAX];
	uint64_t soft_bytes, hard_bytes; /* of the protected payload; 0 = none */
	uint64_t soft_packets, hard_packets;
	uint16_t key_len;
	uint8_t integ; /* enum cv_integ */
	/*
	 * Outbound: packets that worker resource - 1 has to send take this SA rather than another one of the rule with
	 * the same selectors; 0 = it is for every worker that has none (RFC 9611).
	 */
	uint8_t resource;
	/*
	 * ESP: payloads are compressed with DEFLATE before encryption (RFC 3173). Outbound the CPI that the peer
	 * expects, inbound ours; host order, 0 = no compression.
	 */
	uint16_t cpi;
	uint8_t pad2[2];
	uint8_t key[CV_SA_KEY_MAX]; /* zeroed by whoever copies it on */
};

struct cv_sa_ref {
	uint32_t index;
	uint32_t spi; /* must match, else CV_ERR_NOT_FOUND */
};

struct cv_sa_update {
	struct cv_sa_ref ref;
	struct cv_addr src, dst;
	uint16_t udp_src, udp_dst;
	uint32_t flags; /* CV_SA_F_UDP_ENCAP and CV_SA_F_EGRESS, as they are to be */
};

enum cv_dump_kind {
	CV_DUMP_NEIGH = 1,
	CV_DUMP_FIB = 2,
	CV_DUMP_SA = 3,
	CV_DUMP_IF = 4,
	CV_DUMP_SPD = 5,
	CV_DUMP_WORKER = 6,
	CV_DUMP_CONN = 7,
	CV_DUMP_MROUTE = 8
};
struct cv_cmd_dump {
	uint32_t kind;
	uint32_t scope;	 /* FIB: vrf_id; SPD: spd_id; else 0 */
	uint64_t cursor; /* 0 to start; then what the last reply gave */
};
/* In cv_reply.data; n entries of the kind's struct follow at once. */
struct cv_dump_reply {
	uint64_t next; /* 0 = that was all */
	uint32_t n;
	uint32_t entry_size;
	uint8_t entries[1512];
};
enum cv_neigh_state { CV_NEIGH_INCOMPLETE = 1, CV_NEIGH_REACHABLE, CV_NEIGH_STALE, CV_NEIGH_PROBE };
struct cv_neigh_entry {
	struct cv_addr addr;
	uint32_t if_id;
	uint8_t mac[6];
	uint16_t state;
	uint32_t age_s;
};
struct cv_fib_entry {
	struct cv_route route; /* nh[].if_id resolved */
};
struct cv_sa_entry {
	struct cv_sa_ref ref;
	uint8_t dir, mode, ipproto, encr;
	uint32_t rule_id;
	uint16_t flags;
	uint8_t integ;
	uint8_t pad;
	uint64_t seq; /* last sent, or highest received */
};
struct cv_if_entry {
	uint32_t if_id;
	uint16_t mtu;
	uint8_t link_up, admin_up;
	uint8_t mac[6];
	uint16_t transport_mtu; /* of a tunnel: the largest packet that its way has room for now; 0 = not known */
	uint32_t speed_mbps;
	char driver[32];
};
#define CV_CONN_F_INSPECT 1u /* answers pass inbound access lists */
#define CV_CONN_F_NAT 2u     /* translated */
enum cv_conn_state { CV_CONN_HALF_OPEN = 1, CV_CONN_OPEN, CV_CONN_CLOSED };
/* Addresses of the originator's packets as they came, and of the answers as they come. Ports in host order; ICMP echo:
 * the identifier in src_port, reply_dst_port. */
struct cv_conn_entry {
	struct cv_addr src, dst, reply_src, reply_dst;
	uint16_t src_port, dst_port, reply_src_port, reply_dst_port;
	uint16_t vrf_id, reply_vrf_id;
	uint16_t flags; /* CV_CONN_F_* */
	uint8_t proto;
	uint8_t state; /* enum cv_conn_state */
	uint32_t if_in, if_out;
	uint32_t age_s;	 /* since it began */
	uint32_t left_s; /* until it is forgotten, without another packet */
};
struct cv_worker_entry {
	uint32_t worker, lcore;
	uint32_t n_rxq;
	uint32_t pad;
	struct {
		uint16_t port_id, queue;
	} rxq[16];
};
struct cv_spd_rule_entry { /* CV_DUMP_SPD */
	uint32_t rule_id, action;
	uint64_t prio;
	uint32_t out_sa; /* newest outbound SA, 0 = none */
	uint32_t held;	 /* packets waiting for an SA */
};

struct cv_mroute_entry { /* CV_DUMP_MROUTE */
	struct cv_mroute route;
	uint32_t counter;   /* 1..CV_MROUTE_MAX-1 */
	uint32_t from_host; /* 1: the Linux host's, 0: configured */
};

struct cv_cmd_trace {
	uint32_t n_packets; /* 0 = stop; at most 1024 */
	uint32_t if_id;	    /* received on; 0 = any */
};

struct cv_cmd_capture {
	uint32_t if_id;
	uint32_t n_packets; /* 0 = stop; at most 10,000,000 */
	uint32_t snaplen;   /* 0 = whole packets */
	char file[64];	    /* plain name, no slash; written in the dataplane's capture directory */
};

struct cv_cmd_profile {
	uint32_t on; /* 1: begin a new one, 0: end it; the figures stay in the statistics (cv_stats.h) */
};

enum cv_clear_what { CV_CLEAR_COUNTERS = 1, CV_CLEAR_NEIGH = 2, CV_CLEAR_CONN = 3 };
struct cv_cmd_clear {
	uint32_t what;
	uint32_t if_id; /* NEIGH: 0 = all. CONN: CV_CONN_F_* that they have; 0 = all */
};
struct cv_cmd_hold_drop {
	uint32_t rule_id;
};
struct cv_cmd_fail_at {
	uint32_t nth; /* fail the nth command from now inside the next transaction (1 = first), 0 = off */
};

/* A packet matched a PROTECT rule that has no usable SA (IPSEC-31). Sent once per rule and second while packets wait.
 */
struct cv_evt_acquire {
	uint32_t rule_id;
	uint32_t spd_id;
	uint32_t if_id; /* egress */
	uint32_t inside_vrf;
	uint8_t proto;
	uint8_t pad[3];
	uint16_t sport, dport; /* host order; ICMP: type << 8 | code in sport */
	struct cv_addr src, dst;
};

/* Outbound: packets of worker resource - 1 took this SA for want of one of its own. */
struct cv_evt_sa_resource {
	struct cv_sa_ref ref;
	uint32_t resource;
};

enum cv_expire_reason { CV_EXPIRE_BYTES = 1, CV_EXPIRE_PACKETS = 2, CV_EXPIRE_SEQ = 3 };
struct cv_evt_sa_expire {
	struct cv_sa_ref ref;
	uint32_t hard; /* 0 = soft: rekey; 1 = hard: the dataplane has stopped using it */
	uint32_t reason;
};

struct cv_evt_sa_peer {
	struct cv_sa_ref ref; /* inbound SA */
	struct cv_addr addr;
	uint16_t port;
	uint16_t pad;
};

struct cv_evt_link {
	uint32_t if_id;
	uint32_t up;
};

struct cv_evt_invalid_spi {
	uint32_t spi;
	uint32_t front_vrf;
	struct cv_addr src, dst;
	uint16_t udp_src, udp_dst; /* 0 = plain ESP */
	uint8_t proto;		   /* 50 or 51 */
	uint8_t pad[3];
};

/* The path MTU of outer packets to a peer changed. */
struct cv_evt_path_mtu {
	uint32_t front_vrf;
	struct cv_addr dst;
	uint16_t mtu; /* 0 = nothing learned any more: that of the interface */
	uint16_t pad;
};

/* Packets of one flow that a line of an access list decided about; rate limited by the dataplane. */
struct cv_evt_acl_log {
	uint32_t counter; /* of the line; 0 = packets of flows that there was no room for */
	uint8_t proto;
	uint8_t pad[3];
	uint64_t packets; /* since this flow was told of before */
	struct cv_addr src, dst;
	uint16_t sport, dport; /* host order; ICMP: type << 8 | code in sport */
	uint32_t pad2;
};

#define CV_TRACE_STEPS 24
struct cv_evt_trace {
	uint32_t id; /* same for all parts of one packet */
	uint32_t n_steps;
	uint64_t tsc_start;
	uint32_t if_id; /* received on */
	uint32_t pkt_len;
	uint8_t head[128]; /* first bytes as received, up to pkt_len */
	struct {
		uint32_t tsc; /* since tsc_start */
		char stage[20];
		char note[40];
	} step[CV_TRACE_STEPS];
};

/*
 * Packets through the punt (up) and inject (down) rings. An element is this header followed by a whole IPv4 or IPv6
 * packet, reassembled, starting at its IP header; element size CV_PKT_ELEM.
 */
enum cv_punt_class {
	CV_PUNT_IKE = 1, /* UDP 500, or UDP 4500 with the non-ESP marker still in place */
};
#define CV_INJECT_BYPASS 1u /* do not apply the SPD: IKE (RFC 4301 4.4.1, RFC 7296 2.23) */
struct cv_pkt {
	uint16_t len;  /* bytes of data */
	uint8_t klass; /* enum cv_punt_class */
	uint8_t flags;
	uint32_t vrf_id;
	uint32_t if_id; /* punt: received on; inject: 0 */
	uint32_t pad;
	uint8_t data[CV_PKT_MAX];
};
#define CV_PKT_HDR offsetof(struct cv_pkt, data)

_Static_assert(sizeof(struct cv_msg) == CV_MSG_SIZE, "ring element");
_Static_assert(sizeof(struct cv_pkt) % 4 == 0, "rte_ring element size");
_Static_assert(sizeof(struct cv_reply) <= sizeof(((struct cv_msg *)0)->body), "reply fits");
_Static_assert(sizeof(struct cv_dump_reply) <= sizeof(((struct cv_reply *)0)->data), "dump fits");
_Static_assert(sizeof(struct cv_sa) <= sizeof(((struct cv_msg *)0)->body), "SA fits");
_Static_assert(sizeof(struct cv_evt_trace) <= sizeof(((struct cv_msg *)0)->body), "trace fits");

#endif
