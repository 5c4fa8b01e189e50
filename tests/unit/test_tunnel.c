/* SPDX-License-Identifier: BSD-3-Clause */
/* Tunnel interfaces: which SA they send by, line protocol, and what they refuse. */
#include "ipsec_rig.h"

#include <rte_ip.h>

#include "cv_addr.h"
#include "events.h"
#include "fib.h"
#include "keepalive.h"
#include "tunnel.h"
#include "tunnel_hop.h"

#define TUNNEL 9u
#define OTHER 10u

static struct dp_if tunnel, other;

static void make_tunnel(struct dp_if *ifp, uint32_t id, uint8_t af)
{
	*ifp = (struct dp_if){.id = id,
		.type = CV_IF_TUNNEL,
		.up = true,
		.mtu = 1500,
		.tunnel = {.mode = CV_TUNNEL_IPSEC, .inner_af = af, .flags = CV_TUNNEL_F_PROTECTED}};
	rig_interface(ifp);
}

static int fresh(void **state)
{
	rig_fresh(state);
	rig_n_tunnel_changes = 0;
	memset(worker_main()->stats->ifc, 0, sizeof(worker_main()->stats->ifc));
	make_tunnel(&tunnel, TUNNEL, CV_AF_INET);
	make_tunnel(&other, OTHER, CV_AF_INET);
	rig_protect_all();
	return 0;
}

static void add_sa(enum cv_sa_dir dir, uint32_t index)
{
	struct cv_sa sa;

	rig_sa(&sa, dir, RIG_GCM, CV_AF_INET, index);
	sa.tunnel_if = TUNNEL;
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &sa), 0);
}

static void del_sa(uint32_t index)
{
	const struct cv_sa_ref ref = {index, 0x12340000u + index};

	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_DEL, &ref), 0);
}

/* A packet as route() leaves it. */
static struct rte_mbuf *routed(uint8_t af, uint32_t if_id, uint32_t len)
{
	struct rte_mbuf *m = rig_udp(af, len, true, len);
	struct pkt_meta *meta = pkt_meta(m);

	meta->if_tx = if_id;
	meta->adj = FIB_WORD(FIB_TUNNEL, if_id);
	meta->flags = af == CV_AF_INET6 ? PKT_F_IP6 : 0;
	return m;
}

static unsigned send_in(struct rte_mbuf *m, struct pkt_vec *outer)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}};

	outer->n = 0;
	tunnel_output(worker_main(), &v, outer);
	assert_int_equal(v.n, 0);
	return outer->n;
}

static void free_vec(struct pkt_vec *v)
{
	rte_pktmbuf_free_bulk(v->pkt, v->n);
	v->n = 0;
}

/* VTI-1, 19: the SA is the tunnel's, no policy is asked; a rekey, make before break, is not seen by the line. */
static void line_follows_the_sa(void **state)
{
	struct pkt_vec outer;

	(void)state;
	assert_false(tunnel_line(&tunnel));
	add_sa(CV_SA_OUT, 2);
	assert_true(tunnel_line(&tunnel));
	assert_int_equal(rig_n_tunnel_changes, 1);
	assert_int_equal(send_in(routed(CV_AF_INET, TUNNEL, 100), &outer), 1);
	assert_int_equal(pkt_meta(outer.pkt[0])->sa, 2);
	assert_true(pkt_meta(outer.pkt[0])->flags & PKT_F_PROTECTED);
	free_vec(&outer);
	add_sa(CV_SA_OUT, 4);
	del_sa(2);
	assert_true(tunnel_line(&tunnel));
	assert_int_equal(rig_n_tunnel_changes, 1);
	assert_int_equal(send_in(routed(CV_AF_INET, TUNNEL, 100), &outer), 1);
	assert_int_equal(pkt_meta(outer.pkt[0])->sa, 4);
	free_vec(&outer);
	assert_int_equal(worker_main()->stats->ifc[TUNNEL].tx_packets, 2);
	assert_int_equal(worker_main()->stats->ifc[TUNNEL].tx_bytes, 200);
	del_sa(4);
	assert_false(tunnel_line(&tunnel));
	assert_int_equal(rig_n_tunnel_changes, 2);
	assert_int_equal(send_in(routed(CV_AF_INET, TUNNEL, 100), &outer), 0);
	rig_assert_dropped(DROP_TUNNEL_DOWN, 1);
	assert_int_equal(worker_main()->stats->ifc[TUNNEL].tx_drops, 1);
}

/* The SA that a packet of this worker leaves by. */
static uint32_t sa_of_worker(unsigned worker)
{
	struct pkt_vec v = {.n = 1, .pkt = {routed(CV_AF_INET, TUNNEL, 100)}}, outer = {0};
	uint32_t sa;

	tunnel_output(dp_workers[worker], &v, &outer);
	assert_int_equal(outer.n, 1);
	sa = pkt_meta(outer.pkt[0])->sa;
	free_vec(&outer);
	return sa;
}

/* RFC 9611: each worker by its own SA, by that for all while it has none, by any when there is no such. */
static void workers_have_their_own_sas(void **state)
{
	struct cv_sa sa;

	(void)state;
	for (unsigned i = 0; i < 3; i++) { /* SA 2 for all, 4 and 6 for workers 1 and 2 */
		rig_sa(&sa, CV_SA_OUT, RIG_GCM, CV_AF_INET, 2 + 2 * i);
		sa.tunnel_if = TUNNEL;
		sa.flags |= CV_SA_F_PER_RESOURCE;
		sa.resource = (uint8_t)i;
		assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &sa), 0);
		for (unsigned w = 0; w <= 2; w++)
			assert_int_equal(sa_of_worker(w), w && w <= i ? 2 + 2 * w : 2);
	}
	rig_clear();
	sa_events_poll(); /* before they had one, both have asked, each once */
	assert_int_equal(rig_n_events, 3);
	for (unsigned i = 0; i < rig_n_events; i++)
		assert_int_equal(rig_event[i].h.type, CV_EVT_SA_RESOURCE);
	del_sa(4);
	assert_int_equal(sa_of_worker(1), 2);
	del_sa(2);
	assert_int_equal(sa_of_worker(1), 6);
	assert_true(tunnel_line(&tunnel));
	del_sa(6);
	assert_false(tunnel_line(&tunnel));
}

/* VTI-8, VTI-T12 */
static void carries_one_family(void **state)
{
	struct pkt_vec outer;

	(void)state;
	add_sa(CV_SA_OUT, 2);
	assert_int_equal(send_in(routed(CV_AF_INET6, TUNNEL, 100), &outer), 0);
	rig_assert_dropped(DROP_TUNNEL_FAMILY, 1);
}

/* VTI-41: never into itself, and not for ever through others. */
static void leads_not_into_itself(void **state)
{
	struct pkt_vec outer;
	struct rte_mbuf *m = routed(CV_AF_INET, TUNNEL, 100);

	(void)state;
	add_sa(CV_SA_OUT, 2);
	assert_int_equal(send_in(m, &outer), 1);
	m = outer.pkt[0];
	pkt_meta(m)->if_tx = TUNNEL;
	pkt_meta(m)->adj = FIB_WORD(FIB_TUNNEL, TUNNEL);
	assert_int_equal(send_in(m, &outer), 0);
	rig_assert_dropped(DROP_TUNNEL_LOOP, 1);
	m = routed(CV_AF_INET, TUNNEL, 100);
	pkt_meta(m)->tunnels = 4;
	assert_int_equal(send_in(m, &outer), 0);
	rig_assert_dropped(DROP_TUNNEL_LOOP, 2);
}

/* The tunnel's MTU counts where the way out would take more. */
static void keeps_to_its_mtu(void **state)
{
	struct pkt_vec outer;

	(void)state;
	add_sa(CV_SA_OUT, 2);
	tunnel.mtu = 600;
	assert_int_equal(send_in(routed(CV_AF_INET, TUNNEL, 601), &outer), 0);
	assert_int_equal(rig_n_slow, 1);
	assert_int_equal(rig_slow_why[0], SLOW_ICMP_MTU);
	assert_int_equal(pkt_meta(rig_slow_pkt[0])->mtu, 600);
	assert_int_equal(send_in(routed(CV_AF_INET, TUNNEL, 600), &outer), 1);
	free_vec(&outer);
}

static uint16_t mtu_of(uint32_t if_id, uint8_t af)
{
	const struct cv_addr dst = {.af = af};

	return tunnel_mtu(FIB_TUNNEL_WORD(if_id, 0), &dst);
}

/* IPSEC-15, X-4: what leads through a tunnel is told what fits in the end; another suite says something else. */
static void says_what_fits(void **state)
{
	struct cv_sa sa;

	(void)state;
	rig_mtu = 1500;
	assert_int_equal(mtu_of(TUNNEL, CV_AF_INET), 1500); /* nothing to send by */
	assert_int_equal(tunnel_transport_mtu(&tunnel), 0);
	assert_int_equal(mtu_of(TUNNEL + 100, CV_AF_INET), 0);
	add_sa(CV_SA_OUT, 2);
	assert_int_equal(mtu_of(TUNNEL, CV_AF_INET), 1446); /* 20 + 8 + 8 + 16, and 2 in the last word */
	tunnel.tunnel.mode = CV_TUNNEL_GRE;
	tunnel.tunnel.src.af = CV_AF_INET;
	assert_int_equal(mtu_of(TUNNEL, CV_AF_INET), 1446 - 24); /* VTI-7 */
	tunnel.tunnel.mode = CV_TUNNEL_IPSEC;
	uint32_t generation = fib_generation();
	add_sa(CV_SA_OUT, 4);
	assert_int_equal(fib_generation(), generation);
	rig_sa(&sa, CV_SA_OUT, (struct algo_suite){.encr = CV_ENCR_NULL, .integ = CV_INTEG_HMAC_SHA256_128}, CV_AF_INET,
		6);
	sa.tunnel_if = TUNNEL;
	assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &sa), 0);
	assert_int_not_equal(fib_generation(), generation);
	assert_int_equal(mtu_of(TUNNEL, CV_AF_INET), 1454);
	tunnel.mtu = 1400;
	assert_int_equal(mtu_of(TUNNEL, CV_AF_INET), 1400);
	assert_int_equal(tunnel_transport_mtu(&tunnel), 1454); /* whatever its own limit is */
	tunnel.mtu = 1500;
	tunnel.mtu4 = 1300;
	assert_int_equal(mtu_of(TUNNEL, CV_AF_INET), 1300);
	assert_int_equal(mtu_of(TUNNEL, CV_AF_INET6), 1454);
	tunnel.mtu4 = 0;
	tunnel.tunnel = (struct cv_tunnel){.mode = CV_TUNNEL_GRE, .src.af = CV_AF_INET, .dst.af = CV_AF_INET};
	assert_int_equal(mtu_of(TUNNEL, CV_AF_INET), 1476);
	assert_int_equal(tunnel_transport_mtu(&tunnel), 1476);
	tunnel.up = false;
	assert_int_equal(tunnel_transport_mtu(&tunnel), 0);
}

/* Packets for other ways out are left to the caller, in order. */
static void takes_only_its_own(void **state)
{
	struct pkt_vec v = {.n = 3}, outer = {0};

	(void)state;
	add_sa(CV_SA_OUT, 2);
	for (unsigned i = 0; i < 3; i++)
		v.pkt[i] = routed(CV_AF_INET, TUNNEL, 100 + i);
	pkt_meta(v.pkt[0])->adj = pkt_meta(v.pkt[2])->adj = 5;
	struct rte_mbuf *first = v.pkt[0], *last = v.pkt[2];
	tunnel_output(worker_main(), &v, &outer);
	assert_int_equal(v.n, 2);
	assert_ptr_equal(v.pkt[0], first);
	assert_ptr_equal(v.pkt[1], last);
	assert_int_equal(outer.n, 1);
	free_vec(&v);
	free_vec(&outer);
}

/* What its inbound SA decrypts came in by the tunnel. */
static void receives(void **state)
{
	struct pkt_vec outer, inner = {0};
	struct cv_if_counters *c = &worker_main()->stats->ifc[TUNNEL];

	(void)state;
	add_sa(CV_SA_OUT, 2);
	struct cv_sa sa;
	rig_sa(&sa, CV_SA_IN, RIG_GCM, CV_AF_INET, 6);
	sa.spi = 0x12340002u; /* what the other end of SA 2 sends with */
	sa.index = 2;
	for (int up = 1; up >= 0; up--) {
		assert_int_equal(send_in(routed(CV_AF_INET, TUNNEL, 100), &outer), 1);
		struct rte_mbuf *m = outer.pkt[0];
		struct cv_sa_ref ref = {2, 0x12340002u};
		assert_int_equal(rig_command(&sa_module, CV_CMD_SA_DEL, &ref), 0);
		sa.tunnel_if = TUNNEL;
		assert_int_equal(rig_command(&sa_module, CV_CMD_SA_ADD, &sa), 0);
		tunnel.up = up;
		outer.n = 1;
		pkt_meta(m)->vrf = 0;
		ipsec_input(worker_main(), &outer, &inner);
		assert_int_equal(inner.n, up);
		if (up) {
			assert_int_equal(pkt_meta(inner.pkt[0])->if_rx, TUNNEL);
			assert_int_equal(inner.pkt[0]->pkt_len, 100);
			free_vec(&inner);
		}
		assert_int_equal(c->rx_packets, 1);
		assert_int_equal(c->rx_bytes, 100);
		assert_int_equal(rig_command(&sa_module, CV_CMD_SA_DEL, &ref), 0);
		tunnel.up = true;
		add_sa(CV_SA_OUT, 2);
	}
	rig_assert_dropped(DROP_IF_DOWN, 1);
}

/* ---- GRE and IP in IP ---- */

/* A tunnel to itself: what it sends comes back, as if from the other end. */
static void make_plain(uint8_t mode, uint8_t inner_af, uint8_t flags)
{
	tunnel = (struct dp_if){.id = TUNNEL,
		.type = CV_IF_TUNNEL,
		.up = true,
		.mtu = 1500,
		.vrf_id = 3,
		.tunnel = {.mode = mode, .inner_af = inner_af, .flags = flags, .ttl = 77, .key = 5}};
	rig_addr(&tunnel.tunnel.src, "192.0.2.1");
	rig_addr(&tunnel.tunnel.dst, "192.0.2.1");
	rig_interface(&tunnel);
}

static unsigned come_back(struct rte_mbuf *m, struct pkt_vec *inner)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}};

	inner->n = 0;
	pkt_meta(m)->tunnels = pkt_meta(m)->tunnel = 0;
	tunnel_input(worker_main(), &v, inner);
	return inner->n;
}

/* RFC 2784, 2890, 2003, 4213; RFC 6040: the class of service is outside too, and congestion met there comes in. */
static void goes_and_comes_back(void **state)
{
	static const struct {
		uint8_t mode, inner_af, flags, af, proto;
		uint32_t head;
	} t[] = {
		{CV_TUNNEL_GRE, 0, 0, CV_AF_INET, 47, 24},
		{CV_TUNNEL_GRE, 0, CV_TUNNEL_F_KEY | CV_TUNNEL_F_CHECKSUM | CV_TUNNEL_F_SEQUENCE, CV_AF_INET6, 47, 36},
		{CV_TUNNEL_IPIP, CV_AF_INET, 0, CV_AF_INET, 4, 20},
		{CV_TUNNEL_IPIP, CV_AF_INET6, 0, CV_AF_INET6, 41, 20},
	};
	struct pkt_vec outer, inner;

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		make_plain(t[i].mode, t[i].inner_af, t[i].flags);
		assert_true(tunnel_line(&tunnel));
		assert_int_equal(send_in(routed(t[i].af, TUNNEL, 200), &outer), 1);
		struct rte_mbuf *m = outer.pkt[0];
		uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
		assert_int_equal(m->pkt_len, 200 + t[i].head);
		assert_int_equal(p[1], 0xb8);
		assert_true(p[6] & 0x40); /* DF as inside */
		assert_int_equal(p[8], 77);
		assert_int_equal(p[9], t[i].proto);
		assert_int_equal(pkt_meta(m)->flags, PKT_F_LOCAL_OUT);
		assert_int_equal(come_back(m, &inner), 1);
		m = inner.pkt[0];
		assert_int_equal(m->pkt_len, 200);
		assert_int_equal(pkt_meta(m)->vrf, 3);
		assert_int_equal(pkt_meta(m)->if_rx, TUNNEL);
		free_vec(&inner);
	}
	assert_int_equal(worker_main()->stats->ifc[TUNNEL].rx_packets, 4);
}

/* TTL and DSCP of the tunnel's own, or those inside; ECN is always that inside (RFC 2983, RFC 6040 4.1), either family
 * outside. */
static void header_is_its_own_or_inherited(void **state)
{
	struct pkt_vec outer;

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		const bool own_ttl = i & 1, own_dscp = i & 2, v6 = i & 4;
		const uint8_t ecn = i & 8 ? 2 : 3, inner_ttl = 33;

		make_plain(CV_TUNNEL_IPIP, CV_AF_INET, own_dscp ? CV_TUNNEL_F_DSCP : 0);
		tunnel.tunnel.ttl = own_ttl ? 77 : 0;
		tunnel.tunnel.dscp = 10;
		if (v6) {
			rig_addr(&tunnel.tunnel.src, "2001:db8::1");
			rig_addr(&tunnel.tunnel.dst, "2001:db8::2");
		}
		rig_interface(&tunnel);
		struct rte_mbuf *m = routed(CV_AF_INET, TUNNEL, 200);
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

		ip->type_of_service = (uint8_t)(46 << 2 | ecn);
		ip->time_to_live = inner_ttl;
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		assert_int_equal(send_in(m, &outer), 1);
		const uint8_t *p = rte_pktmbuf_mtod(outer.pkt[0], const uint8_t *);
		const uint8_t tos = v6 ? (uint8_t)(p[0] << 4 | p[1] >> 4) : p[1];

		assert_int_equal(p[0] >> 4, v6 ? 6 : 4);
		assert_int_equal(tos, (own_dscp ? 10 : 46) << 2 | ecn);
		assert_int_equal(v6 ? p[7] : p[8], own_ttl ? 77 : inner_ttl);
		free_vec(&outer);
	}
}

/* RFC 6040 figure 4, every combination of both fields, both families inside: what comes in, or that it is dropped; and
 * those that nobody makes are counted. */
static void congestion_outside_comes_in(void **state)
{
	enum { NOT = 0, ECT1 = 1, ECT0 = 2, CE = 3, DROP = 4 };
	static const uint8_t want[4][4] = {/* inner, outer */
		[NOT] = {[NOT] = NOT, [ECT0] = NOT, [ECT1] = NOT, [CE] = DROP},
		[ECT0] = {[NOT] = ECT0, [ECT0] = ECT0, [ECT1] = ECT1, [CE] = CE},
		[ECT1] = {[NOT] = ECT1, [ECT0] = ECT1, [ECT1] = ECT1, [CE] = CE},
		[CE] = {[NOT] = CE, [ECT0] = CE, [ECT1] = CE, [CE] = CE}};
	static const bool unused[4][4] = {
		[NOT] = {[ECT0] = true, [ECT1] = true, [CE] = true}, [ECT1] = {[ECT0] = true}, [CE] = {[ECT1] = true}};
	const uint64_t *event = &worker_main()->stats->events[EVENT_ECN_UNUSED];
	struct pkt_vec outer, inner;

	(void)state;
	for (unsigned i = 0; i < 32; i++) {
		const uint8_t in = i & 3, out = i >> 2 & 3, af = i & 16 ? CV_AF_INET6 : CV_AF_INET;
		const uint64_t before = *event;

		make_plain(CV_TUNNEL_GRE, CV_AF_NONE, 0);
		struct rte_mbuf *m = routed(af, TUNNEL, 200);
		uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);

		if (af == CV_AF_INET6) {
			p[1] = (uint8_t)((p[1] & 0xcf) | in << 4);
		} else {
			p[1] = (uint8_t)((p[1] & ~3) | in);
			memset(p + 10, 0, 2);
			((struct rte_ipv4_hdr *)p)->hdr_checksum = rte_ipv4_cksum((struct rte_ipv4_hdr *)p);
		}
		assert_int_equal(send_in(m, &outer), 1);
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(outer.pkt[0], struct rte_ipv4_hdr *);
		assert_int_equal(ip->type_of_service & 3, in); /* 4.1, normal mode */
		ip->type_of_service = (uint8_t)((ip->type_of_service & ~3) | out);
		assert_int_equal(come_back(outer.pkt[0], &inner), want[in][out] == DROP ? 0 : 1);
		assert_int_equal(*event - before, unused[in][out]);
		if (want[in][out] == DROP)
			continue;
		p = rte_pktmbuf_mtod(inner.pkt[0], uint8_t *);
		assert_int_equal(af == CV_AF_INET6 ? p[1] >> 4 & 3 : p[1] & 3, want[in][out]);
		assert_true(af == CV_AF_INET6 || rte_ipv4_cksum((struct rte_ipv4_hdr *)p) == 0 ||
			    rte_raw_cksum(p, 20) == 0xffff);
		free_vec(&inner);
	}
}

static void refuses_other_keys_and_old_numbers(void **state)
{
	struct pkt_vec outer, inner;
	struct rte_mbuf *copy;

	(void)state;
	make_plain(CV_TUNNEL_GRE, 0, CV_TUNNEL_F_KEY | CV_TUNNEL_F_SEQUENCE);
	tunnel_use_sa(TUNNEL, RIG_RULE, CV_SA_NONE); /* counts anew */
	assert_int_equal(send_in(routed(CV_AF_INET, TUNNEL, 200), &outer), 1);
	copy = rig_packet(rte_pktmbuf_mtod(outer.pkt[0], void *), outer.pkt[0]->pkt_len);
	*pkt_meta(copy) = *pkt_meta(outer.pkt[0]);
	assert_int_equal(come_back(outer.pkt[0], &inner), 1);
	free_vec(&inner);
	assert_int_equal(come_back(copy, &inner), 0);
	rig_assert_dropped(DROP_TUNNEL_SEQUENCE, 1);
	assert_int_equal(send_in(routed(CV_AF_INET, TUNNEL, 200), &outer), 1);
	rte_pktmbuf_mtod(outer.pkt[0], uint8_t *)[27] ^= 1; /* the key */
	assert_int_equal(come_back(outer.pkt[0], &inner), 0);
	rig_assert_dropped(DROP_TUNNEL_UNKNOWN, 1);
}

/* What must come out of the tunnel's SA does not come in clear. */
static void refuses_clear_packets_of_a_protected_tunnel(void **state)
{
	struct pkt_vec outer, inner;

	(void)state;
	make_plain(CV_TUNNEL_GRE, 0, 0);
	assert_int_equal(send_in(routed(CV_AF_INET, TUNNEL, 200), &outer), 1);
	tunnel.tunnel.flags = CV_TUNNEL_F_PROTECTED;
	assert_int_equal(come_back(outer.pkt[0], &inner), 0);
	rig_assert_dropped(DROP_SPD_CLEAR_IN, 1);
}

/* A packet that does not fit beside the header: its sender is told, or it is cut before it is encapsulated. */
static void leaves_room_for_its_header(void **state)
{
	struct pkt_vec outer;

	(void)state;
	make_plain(CV_TUNNEL_GRE, 0, 0);
	rig_mtu = 1500;
	assert_int_equal(send_in(routed(CV_AF_INET, TUNNEL, 1476), &outer), 1);
	free_vec(&outer);
	assert_int_equal(send_in(routed(CV_AF_INET, TUNNEL, 1477), &outer), 0);
	assert_int_equal(pkt_meta(rig_slow_pkt[0])->mtu, 1476);
	struct rte_mbuf *m = routed(CV_AF_INET, TUNNEL, 1477);
	rte_pktmbuf_mtod(m, uint8_t *)[6] = 0; /* may be cut */
	assert_int_equal(send_in(m, &outer), 2);
	assert_true(outer.pkt[0]->pkt_len <= 1500 && outer.pkt[1]->pkt_len <= 1500);
	free_vec(&outer);
}

/* ---- multipoint (DMVPN-1, DMVPN-25) ---- */

static struct cv_tunnel_hop hop_to(const char *next_hop, const char *outer, uint32_t flags)
{
	struct cv_tunnel_hop h = {.ref.if_id = TUNNEL, .flags = flags};

	rig_addr(&h.ref.next_hop, next_hop);
	rig_addr(&h.outer, outer);
	return h;
}

/* One transaction of one command. */
static int hop_command(uint16_t type, const void *body)
{
	const struct dp_module *m = &tunnel_hop_module;
	char text[128];
	int rc = m->stage(type, body, text);

	if (!rc)
		rc = m->prepare(text);
	if (rc)
		m->abort();
	else
		m->publish();
	dp_defer_run();
	return rc;
}

static void add_hop(const char *next_hop, const char *outer, uint32_t flags)
{
	const struct cv_tunnel_hop h = hop_to(next_hop, outer, flags);

	assert_int_equal(hop_command(CV_CMD_TUNNEL_HOP_SET, &h), 0);
}

static void no_hops(void)
{
	char text[128];

	tunnel_hop_module.sync();
	assert_int_equal(tunnel_hop_module.prepare(text), 0);
	tunnel_hop_module.publish();
	dp_defer_run();
}

static void make_multipoint(uint8_t flags)
{
	no_hops();
	make_plain(CV_TUNNEL_GRE, 0, flags | CV_TUNNEL_F_MULTIPOINT);
	memset(tunnel.tunnel.dst.b, 0, sizeof(tunnel.tunnel.dst.b));
	rig_interface(&tunnel);
}

static uint32_t slot_of(const char *next_hop)
{
	struct cv_addr a;

	rig_addr(&a, next_hop);
	return tunnel_hop_find(TUNNEL, &a);
}

/* The outer destination of the only packet in v, host order. */
static uint32_t sent_to(struct pkt_vec *v)
{
	assert_int_equal(v->n, 1);
	uint32_t dst = rte_be_to_cpu_32(rte_pktmbuf_mtod(v->pkt[0], const struct rte_ipv4_hdr *)->dst_addr);

	free_vec(v);
	return dst;
}

static struct rte_mbuf *routed_to(uint32_t dst, uint32_t hop)
{
	struct rte_mbuf *m = routed(CV_AF_INET, TUNNEL, 100);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	ip->dst_addr = rte_cpu_to_be_32(dst);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	pkt_meta(m)->adj = FIB_TUNNEL_WORD(TUNNEL, hop);
	return m;
}

/* The next hop that the route names, or the destination, says where outer packets go; one that nobody knows is a
 * reason to drop. */
static void finds_the_next_hop(void **state)
{
	struct pkt_vec outer, inner;

	(void)state;
	make_multipoint(CV_TUNNEL_F_KEY);
	assert_true(tunnel_line(&tunnel));
	add_hop("10.0.0.2", "198.51.100.2", 0);
	add_hop("10.0.0.3", "198.51.100.3", 0);
	send_in(routed_to(0x0a000002, 0), &outer);
	assert_int_equal(sent_to(&outer), 0xc6336402);
	send_in(routed_to(0x0a090909, slot_of("10.0.0.3")), &outer);
	assert_int_equal(sent_to(&outer), 0xc6336403);
	assert_int_equal(send_in(routed_to(0x0a000004, 0), &outer), 0);
	rig_assert_dropped(DROP_TUNNEL_HOP, 1);
	assert_int_equal(send_in(routed_to(0xe0000005, 0), &outer), 0); /* no one is to get multicast */
	rig_assert_dropped(DROP_TUNNEL_HOP, 2);
	/* from anyone, with the key */
	assert_int_equal(send_in(routed_to(0x0a000002, 0), &outer), 1);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(outer.pkt[0], struct rte_ipv4_hdr *);
	ip->dst_addr = ip->src_addr;
	ip->src_addr = rte_cpu_to_be_32(0xcb007109);
	assert_int_equal(come_back(outer.pkt[0], &inner), 1);
	assert_int_equal(pkt_meta(inner.pkt[0])->if_rx, TUNNEL);
	free_vec(&inner);
}

/* Each transaction applies whole or not at all; what another outer address gets is another slot. */
static void next_hops_come_and_go(void **state)
{
	struct cv_tunnel_hop h = hop_to("10.0.0.2", "198.51.100.2", 0);
	struct pkt_vec outer;
	char text[128];

	(void)state;
	make_multipoint(0);
	add_hop("10.0.0.2", "198.51.100.2", 0);
	uint32_t first = slot_of("10.0.0.2");

	memset(&rig_gateway_changed, 0, sizeof(rig_gateway_changed));
	assert_int_equal(hop_command(CV_CMD_TUNNEL_HOP_SET, &h), 0);
	assert_int_equal(slot_of("10.0.0.2"), first); /* nothing new: routes are left alone */
	assert_int_equal(rig_gateway_changed.af, CV_AF_NONE);
	add_hop("10.0.0.2", "198.51.100.7", 0);
	assert_int_not_equal(slot_of("10.0.0.2"), first);
	assert_true(cv_addr_eq(&rig_gateway_changed, &h.ref.next_hop));
	send_in(routed_to(0x0a000002, 0), &outer);
	assert_int_equal(sent_to(&outer), 0xc6336407);
	/* aborted */
	assert_int_equal(tunnel_hop_module.stage(CV_CMD_TUNNEL_HOP_SET, &h, text), 0);
	assert_int_not_equal(tunnel_hop_staged(TUNNEL, &h.ref.next_hop), slot_of("10.0.0.2"));
	tunnel_hop_module.abort();
	assert_int_equal(tunnel_hop_staged(TUNNEL, &h.ref.next_hop), slot_of("10.0.0.2"));
	send_in(routed_to(0x0a000002, 0), &outer);
	assert_int_equal(sent_to(&outer), 0xc6336407);
	assert_int_equal(hop_command(CV_CMD_TUNNEL_HOP_DEL, &h.ref), 0);
	assert_int_equal(hop_command(CV_CMD_TUNNEL_HOP_DEL, &h.ref), CV_ERR_NOT_FOUND);
	assert_int_equal(slot_of("10.0.0.2"), 0);
	tunnel.tunnel.flags = 0; /* one other end: no next hops */
	assert_int_equal(hop_command(CV_CMD_TUNNEL_HOP_SET, &h), CV_ERR_NOT_FOUND);
	assert_int_equal(tunnel_hop_staged(TUNNEL, &h.ref.next_hop), 0);
}

/* As a routing protocol wants it: a copy for each next hop that is to get multicast, and for no other. */
static void copies_multicast(void **state)
{
	struct pkt_vec outer;
	unsigned seen = 0;

	(void)state;
	make_multipoint(0);
	add_hop("10.0.0.2", "198.51.100.2", CV_TUNNEL_HOP_MULTICAST);
	add_hop("10.0.0.3", "198.51.100.3", 0);
	add_hop("10.0.0.4", "198.51.100.4", CV_TUNNEL_HOP_MULTICAST);
	assert_int_equal(send_in(routed_to(0xe0000005, 0), &outer), 2);
	for (unsigned i = 0; i < 2; i++)
		seen += rte_pktmbuf_mtod(outer.pkt[i], const uint8_t *)[19];
	assert_int_equal(seen, 2 + 4);
	free_vec(&outer);
	const struct cv_tunnel_hop gone = hop_to("10.0.0.2", "198.51.100.2", 0);
	assert_int_equal(hop_command(CV_CMD_TUNNEL_HOP_DEL, &gone.ref), 0);
	send_in(routed_to(0xe0000005, 0), &outer);
	assert_int_equal(sent_to(&outer), 0xc6336404);
}

/* Protected: every next hop by the SAs of its own rule, and none in clear. */
static void each_next_hop_has_its_sa(void **state)
{
	struct cv_tunnel_hop h = hop_to("10.0.0.2", "198.51.100.2", 0);
	struct pkt_vec outer;

	(void)state;
	make_multipoint(CV_TUNNEL_F_PROTECTED);
	add_sa(CV_SA_OUT, 2);
	h.rule_id = RIG_RULE + 1; /* rig_protect_all(): another rule */
	assert_int_equal(hop_command(CV_CMD_TUNNEL_HOP_SET, &h), 0);
	assert_int_equal(send_in(routed_to(0x0a000002, 0), &outer), 0);
	rig_assert_dropped(DROP_TUNNEL_DOWN, 1);
	assert_true(tunnel_line(&tunnel));
	h = hop_to("10.0.0.3", "198.51.100.3", 0);
	h.rule_id = RIG_RULE;
	assert_int_equal(hop_command(CV_CMD_TUNNEL_HOP_SET, &h), 0); /* finds the SA that is there */
	assert_int_equal(send_in(routed_to(0x0a000003, 0), &outer), 1);
	assert_int_equal(pkt_meta(outer.pkt[0])->sa, 2);
	free_vec(&outer);
	add_sa(CV_SA_OUT, 4);
	assert_int_equal(send_in(routed_to(0x0a000003, 0), &outer), 1);
	assert_int_equal(pkt_meta(outer.pkt[0])->sa, 4);
	free_vec(&outer);
	del_sa(2);
	del_sa(4);
	assert_int_equal(send_in(routed_to(0x0a000003, 0), &outer), 0);
	rig_assert_dropped(DROP_TUNNEL_DOWN, 2);
	no_hops();
}

/* ---- keepalives ---- */

/* A packet that was sent comes to the other end of the tunnel, which is this one. */
static struct rte_mbuf *take_forwarded(void)
{
	assert_int_equal(rig_n_forwarded, 1);
	rig_n_forwarded = 0;
	return rig_forwarded[0];
}

static void answer_one(void)
{
	struct pkt_vec inner;
	struct rte_mbuf *m = take_forwarded();

	assert_int_equal(come_back(m, &inner), 0); /* nothing for anyone else: the answer is on its way */
	m = take_forwarded();
	assert_int_equal(pkt_meta(m)->vrf, 0); /* where outer packets are routed: not that of the tunnel's own, 3 */
	assert_int_equal(pkt_meta(m)->flags & PKT_F_LOCAL_OUT, PKT_F_LOCAL_OUT);
	assert_int_equal(come_back(m, &inner), 0);
	assert_int_equal(rig_n_forwarded, 0);
}

/* Each is sent back by an end that knows nothing of it; line protocol goes after the configured number without an
 * answer, no sooner, and is back with the next one. */
static void keepalives(void **state)
{
	uint64_t now = 1000;

	(void)state;
	make_plain(CV_TUNNEL_GRE, 0, CV_TUNNEL_F_KEY | CV_TUNNEL_F_CHECKSUM | CV_TUNNEL_F_SEQUENCE);
	tunnel.tunnel.keepalive_s = 10;
	tunnel.tunnel.keepalive_retries = 3;
	for (unsigned i = 0; i < 5; i++, now += 10000) {
		keepalive_tick(worker_main(), now);
		keepalive_tick(worker_main(), now + 9999); /* none before its time */
		answer_one();
		assert_true(tunnel_line(&tunnel));
	}
	rig_n_tunnel_changes = 0;
	for (unsigned i = 0; i < 3; i++, now += 10000) {
		keepalive_tick(worker_main(), now);
		rte_pktmbuf_free(take_forwarded());
		assert_true(tunnel_line(&tunnel));
	}
	keepalive_tick(worker_main(), now);
	assert_false(tunnel_line(&tunnel));
	assert_int_equal(rig_n_tunnel_changes, 1);
	answer_one(); /* they go on meanwhile */
	keepalive_tick(worker_main(), now + 1);
	assert_true(tunnel_line(&tunnel));
	assert_int_equal(rig_n_tunnel_changes, 2);
	assert_int_equal(worker_main()->stats->drops[DROP_TUNNEL_MALFORMED], 0);
	tunnel.tunnel.keepalive_s = 0; /* switched off: nothing more is sent, nothing is lost */
	keepalive_tick(worker_main(), now + 60000);
	assert_int_equal(rig_n_forwarded, 0);
	assert_true(tunnel_line(&tunnel));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(goes_and_comes_back, fresh),
		cmocka_unit_test_setup(header_is_its_own_or_inherited, fresh),
		cmocka_unit_test_setup(congestion_outside_comes_in, fresh),
		cmocka_unit_test_setup(refuses_other_keys_and_old_numbers, fresh),
		cmocka_unit_test_setup(refuses_clear_packets_of_a_protected_tunnel, fresh),
		cmocka_unit_test_setup(leaves_room_for_its_header, fresh),
		cmocka_unit_test_setup(line_follows_the_sa, fresh),
		cmocka_unit_test_setup(workers_have_their_own_sas, fresh),
		cmocka_unit_test_setup(carries_one_family, fresh),
		cmocka_unit_test_setup(leads_not_into_itself, fresh),
		cmocka_unit_test_setup(keeps_to_its_mtu, fresh),
		cmocka_unit_test_setup(says_what_fits, fresh),
		cmocka_unit_test_setup(takes_only_its_own, fresh),
		cmocka_unit_test_setup(receives, fresh),
		cmocka_unit_test_setup(keepalives, fresh),
		cmocka_unit_test_setup(finds_the_next_hop, fresh),
		cmocka_unit_test_setup(next_hops_come_and_go, fresh),
		cmocka_unit_test_setup(copies_multicast, fresh),
		cmocka_unit_test_setup(each_next_hop_has_its_sa, fresh),
	};
	if (rig_init(2))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
