/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_arp.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_esp.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_udp.h>

#define GEN_BURST 32u
#define GEN_RING 2048u
#define GEN_FLIGHT 4608u /* more than can be under way: two rings of the memif, one vector, what waits to be sent */
#define GEN_TEMPLATES (GEN_FLIGHT + GEN_TUNNELS_MAX)
#define GEN_STAMPS 16384u /* power of two, above GEN_TEMPLATES */
#define GEN_DRAIN_S 0.1
#define GEN_LINK_S 10.0 /* for the gateway to connect its end */

#define IP_LEN(frame) ((frame)-RTE_ETHER_HDR_LEN)
const struct gen_size gen_sizes[] = {
	{"64", 1, {IP_LEN(64)}},
	{"imix", 12,
		{IP_LEN(64), IP_LEN(570), IP_LEN(64), IP_LEN(64), IP_LEN(570), IP_LEN(64), IP_LEN(1518), IP_LEN(64),
			IP_LEN(570), IP_LEN(64), IP_LEN(64), IP_LEN(570)}},
	{"1420", 1, {1420}},
};
const unsigned gen_n_sizes = RTE_DIM(gen_sizes);

static struct {
	struct rte_mempool *pool;
	uint16_t port[2];
	/* As many as the gateway, the memif client, brings rings for, which is what its port was given as rx_queues:
	 * the driver lets a queue without a ring of its own read the first queue's ring again. */
	uint16_t n_q;
	/* Packets to send, in order, from port tx to the other one. Sent by reference: their contents never change. */
	struct rte_mbuf *load[GEN_TEMPLATES];
	unsigned n_load, tx;
	bool encrypted; /* what comes back is ESP: its sequence number tells which packet it was */
	unsigned n_tunnels;
	struct rte_mbuf *recorded[2][GEN_TEMPLATES]; /* by generation of the SAs */
	unsigned n_recorded[2];
	/* of the trial that runs, when it looks at latencies */
	struct gen_histogram *latency;
	uint64_t sent, unmatched;
	uint64_t stamp[GEN_STAMPS]; /* TSC, of the last packets sent: by number of the packet */
	struct {
		uint32_t spi, seq; /* of the first packet that came back by this SA */
		uint64_t first;	   /* which packet of its tunnel that was */
		uint64_t next;	   /* after the last that came back */
	} tunnel[GEN_TUNNELS_MAX];
} g;

static int open_port(const struct gen_opts *o, unsigned i)
{
	char name[16], args[256];
	struct rte_eth_conf conf = {0};
	(void)snprintf(name, sizeof(name), "net_memif%u", i);
	(void)snprintf(args, sizeof(args),
		"role=server,id=0,bsize=2048,rsize=11,socket=%s/gen%u.sock,socket-abstract=no", o->memif_dir, i);
	/* What a generator that was killed has left behind would keep this one from listening. */
	char path[160];
	(void)snprintf(path, sizeof(path), "%s/gen%u.sock", o->memif_dir, i);
	if (unlink(path) != 0 && errno != ENOENT)
		return -errno;
	int rc = rte_eal_hotplug_add("vdev", name, args);
	if (rc)
		return rc;
	rc = rte_eth_dev_get_port_by_name(name, &g.port[i]);
	if (!rc)
		rc = rte_eth_dev_configure(g.port[i], g.n_q, g.n_q, &conf);
	for (uint16_t q = 0; q < g.n_q && !rc; q++)
		rc = rte_eth_rx_queue_setup(g.port[i], q, GEN_RING, SOCKET_ID_ANY, NULL, g.pool);
	for (uint16_t q = 0; q < g.n_q && !rc; q++)
		rc = rte_eth_tx_queue_setup(g.port[i], q, GEN_RING, SOCKET_ID_ANY, NULL);
	return rc ? rc : rte_eth_dev_start(g.port[i]);
}

int gen_traffic_open(const struct gen_opts *o)
{
	g.pool = rte_pktmbuf_pool_create(
		"gen", 3 * GEN_TEMPLATES + 8 * GEN_RING - 1, 256, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	if (!g.pool)
		return -ENOMEM;
	g.n_q = (uint16_t)o->workers;
	int rc = open_port(o, 0);
	return rc ? rc : open_port(o, 1);
}

int gen_traffic_wait_link(void)
{
	double hz = (double)rte_get_tsc_hz();
	for (unsigned i = 0; i < 2; i++) {
		uint64_t start = rte_rdtsc();
		struct rte_eth_link link = {0};
		while (rte_eth_link_get_nowait(g.port[i], &link) == 0 && link.link_status != RTE_ETH_LINK_UP) {
			if ((double)(rte_rdtsc() - start) / hz > GEN_LINK_S)
				return -ETIMEDOUT;
			rte_delay_us_sleep(10000);
		}
	}
	return 0;
}

static void drop_all(struct rte_mbuf **list, unsigned *n)
{
	rte_pktmbuf_free_bulk(list, *n);
	*n = 0;
}

/* Payload: the number of the template, by which a packet that comes back in clear is told from others. */
static struct rte_mbuf *udp_packet(uint16_t ip_len, unsigned tunnel, unsigned flow, uint32_t number)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(g.pool);
	if (!m)
		return NULL;
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, (uint16_t)(sizeof(*eth) + ip_len));
	if (!eth) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memset(eth, 0, sizeof(*eth) + ip_len);
	rte_ether_addr_copy(&gen_gw_mac[0], &eth->dst_addr);
	rte_ether_addr_copy(&gen_mac[0], &eth->src_addr);
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	*ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(ip_len),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 1, (flow >> 8) & 0xff, flow & 0xff)),
		.dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 2, (tunnel >> 8) & 0xff, tunnel & 0xff))};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	udp->src_port = rte_cpu_to_be_16(1024);
	udp->dst_port = rte_cpu_to_be_16(9);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(ip_len - sizeof(*ip)));
	memcpy(udp + 1, &number, sizeof(number));
	return m;
}

int gen_traffic_load(enum gen_mode mode, const struct gen_size *size, unsigned n_sa)
{
	drop_all(g.load, &g.n_load);
	g.tx = 0;
	g.n_tunnels = n_sa;
	g.encrypted = mode == GEN_ESP_OUT;
	if (mode == GEN_ESP_IN) {
		memcpy(g.load, g.recorded[0], g.n_recorded[0] * sizeof(g.load[0]));
		g.n_load = g.n_recorded[0];
		for (unsigned i = 0; i < g.n_load; i++)
			rte_mbuf_refcnt_update(g.load[i], 1);
		g.tx = 1;
		return g.n_load ? 0 : -ENODATA;
	}
	/* Whole rounds of the tunnels, so that packet k of a trial is always for tunnel k % n_sa. */
	const unsigned n = (GEN_FLIGHT + n_sa - 1) / n_sa * n_sa;
	for (g.n_load = 0; g.n_load < n; g.n_load++) {
		unsigned k = g.n_load;
		struct rte_mbuf *m = udp_packet(size->ip_len[k % size->n], k % n_sa, k % 64, k);
		if (!m)
			return -ENOMEM;
		g.load[k] = m;
	}
	return 0;
}

void gen_traffic_switch(unsigned i, unsigned generation)
{
	for (unsigned k = i; k < g.n_load && k < g.n_recorded[generation]; k += g.n_tunnels) {
		rte_mbuf_refcnt_update(g.recorded[generation][k], 1);
		rte_pktmbuf_free(g.load[k]);
		g.load[k] = g.recorded[generation][k];
	}
}

/* ARP request to one of the generator's addresses, 192.168.x.2: turn it into the answer and send it back. */
static void answer_arp(unsigned i, struct rte_mbuf *m)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_arp_hdr *arp = (struct rte_arp_hdr *)(eth + 1);
	if (m->data_len < sizeof(*eth) + sizeof(*arp) || arp->arp_opcode != RTE_BE16(RTE_ARP_OP_REQUEST) ||
		arp->arp_data.arp_tip != rte_cpu_to_be_32(RTE_IPV4(192, 168, i + 1, 2))) {
		rte_pktmbuf_free(m);
		return;
	}
	rte_ether_addr_copy(&eth->src_addr, &eth->dst_addr);
	rte_ether_addr_copy(&gen_mac[i], &eth->src_addr);
	arp->arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
	arp->arp_data.arp_tha = arp->arp_data.arp_sha;
	arp->arp_data.arp_sha = gen_mac[i];
	uint32_t asked = arp->arp_data.arp_tip;
	arp->arp_data.arp_tip = arp->arp_data.arp_sip;
	arp->arp_data.arp_sip = asked;
	if (rte_eth_tx_burst(g.port[i], 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

/* Which packet of the trial came back as this ESP: the first of its SA that does is the next of its tunnel, and the
 * sequence number says how many lie between that and any other. UINT64_MAX: none. */
static uint64_t number_of_esp(const struct rte_esp_hdr *esp)
{
	uint32_t spi = rte_be_to_cpu_32(esp->spi), seq = rte_be_to_cpu_32(esp->seq);
	unsigned i = gen_gateway_tunnel(spi);
	if (i >= g.n_tunnels)
		return UINT64_MAX;
	if (g.tunnel[i].spi != spi) { /* an SA that is new counts from 1 */
		const bool renewed = g.tunnel[i].spi != 0;
		g.tunnel[i].spi = spi;
		g.tunnel[i].seq = renewed ? 1 : seq;
		g.tunnel[i].first = g.tunnel[i].next;
	}
	uint64_t k = g.tunnel[i].first + (uint32_t)(seq - g.tunnel[i].seq);
	g.tunnel[i].next = RTE_MAX(g.tunnel[i].next, k + 1);
	return k * g.n_tunnels + i;
}

/* The last packet sent that was of this template. */
static uint64_t number_of_clear(const struct rte_udp_hdr *udp)
{
	uint32_t template;
	memcpy(&template, udp + 1, sizeof(template));
	if (template >= g.n_load || g.sent == 0)
		return UINT64_MAX;
	uint64_t last = g.sent - 1;
	return last - (last % g.n_load + g.n_load - template) % g.n_load;
}

static void take_latency(const struct rte_mbuf *m, uint64_t now)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
	uint64_t k = UINT64_MAX;
	if (m->data_len >= RTE_ETHER_HDR_LEN + sizeof(*ip) + sizeof(struct rte_udp_hdr) + sizeof(uint32_t)) {
		if (ip->next_proto_id == IPPROTO_ESP && g.encrypted)
			k = number_of_esp((const struct rte_esp_hdr *)(ip + 1));
		else if (ip->next_proto_id == IPPROTO_UDP && !g.encrypted)
			k = number_of_clear((const struct rte_udp_hdr *)(ip + 1));
	}
	if (k < g.sent && g.sent - k < GEN_STAMPS)
		gen_histogram_add(g.latency, now - g.stamp[k % GEN_STAMPS]);
	else
		g.unmatched++;
}

/* Take what one queue of port i received; IPv4 packets are counted and kept in *keep (up to room), or freed. */
static unsigned receive_queue(unsigned i, uint16_t q, struct rte_mbuf **keep, unsigned *n_keep, unsigned room)
{
	struct rte_mbuf *pkt[GEN_BURST];
	unsigned counted = 0, n = rte_eth_rx_burst(g.port[i], q, pkt, GEN_BURST);
	const uint64_t now = n && g.latency ? rte_rdtsc() : 0;
	for (unsigned k = 0; k < n; k++) {
		uint16_t type = rte_pktmbuf_mtod(pkt[k], struct rte_ether_hdr *)->ether_type;
		if (type == RTE_BE16(RTE_ETHER_TYPE_ARP)) {
			answer_arp(i, pkt[k]);
			continue;
		}
		bool ours = type == RTE_BE16(RTE_ETHER_TYPE_IPV4);
		counted += ours;
		if (g.latency && ours && i != g.tx)
			take_latency(pkt[k], now);
		if (ours && keep && *n_keep < room)
			keep[(*n_keep)++] = pkt[k];
		else
			rte_pktmbuf_free(pkt[k]);
	}
	return counted;
}

static unsigned receive(unsigned i, struct rte_mbuf **keep, unsigned *n_keep, unsigned room)
{
	unsigned counted = 0;
	for (uint16_t q = 0; q < g.n_q; q++)
		counted += receive_queue(i, q, keep, n_keep, room);
	return counted;
}

static unsigned transmit(unsigned first, unsigned n)
{
	struct rte_mbuf *pkt[GEN_BURST];
	for (unsigned k = 0; k < n; k++) {
		pkt[k] = g.load[(first + k) % g.n_load];
		rte_mbuf_refcnt_update(pkt[k], 1);
	}
	uint16_t queue = (uint16_t)(first / GEN_BURST % g.n_q);
	unsigned sent = rte_eth_tx_burst(g.port[g.tx], queue, pkt, (uint16_t)n);
	for (unsigned k = sent; k < n; k++)
		rte_mbuf_refcnt_update(pkt[k], -1);
	return sent;
}

/* Send what is due; the time is noted before, so that the way into the device's ring counts. */
static void send_due(uint64_t due)
{
	if (due <= g.sent)
		return;
	const unsigned n = (unsigned)RTE_MIN(due - g.sent, (uint64_t)GEN_BURST);
	if (g.latency) {
		const uint64_t now = rte_rdtsc();
		for (unsigned k = 0; k < n; k++)
			g.stamp[(g.sent + k) % GEN_STAMPS] = now;
	}
	/* What the device did not take is owed and offered again: an overloaded receiver shows as loss or as a
	 * shortfall of sent packets, and the search treats both as failure. */
	g.sent += transmit((unsigned)(g.sent % g.n_load), n);
}

void gen_traffic_trial(
	double rate_pps, double seconds, struct gen_trial *t, struct gen_histogram *latency, struct gen_gateway *gw)
{
	double hz = (double)rte_get_tsc_hz();
	uint64_t start = rte_rdtsc(), end = start + (uint64_t)(seconds * hz), now, before = start, busy = 0;
	bool moved = false;
	*t = (struct gen_trial){.offered_pps = rate_pps};
	g.latency = latency;
	g.sent = g.unmatched = 0;
	memset(g.tunnel, 0, sizeof(g.tunnel));
	while ((now = rte_rdtsc()) < end) {
		busy += moved ? now - before : 0;
		before = now;
		const double elapsed = (double)(now - start) / hz;
		const uint64_t sent = g.sent, received = t->received;
		send_due(rate_pps > 0 ? (uint64_t)(elapsed * rate_pps) : g.sent + GEN_BURST);
		t->received += receive(!g.tx, NULL, NULL, 0);
		(void)receive(g.tx, NULL, NULL, 0);
		if (gw)
			gen_change_step(gw, elapsed);
		moved = g.sent != sent || t->received != received;
	}
	t->seconds = (double)(rte_rdtsc() - start) / hz;
	t->busy = (double)busy / (double)(before - start + 1);
	uint64_t quiet = rte_rdtsc();
	while ((double)(rte_rdtsc() - quiet) / hz < GEN_DRAIN_S) {
		unsigned n = receive(!g.tx, NULL, NULL, 0);
		if (n)
			quiet = rte_rdtsc();
		t->received += n;
		(void)receive(g.tx, NULL, NULL, 0);
	}
	t->sent = g.sent;
	t->unmatched = g.unmatched;
	g.latency = NULL;
}

/* The gateway's own ESP goes back to it: swap both ends of the Ethernet and the outer IP header (its checksum stays
 * right). */
static void turn_around(struct rte_mbuf *m)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	rte_ether_addr_copy(&gen_gw_mac[1], &eth->dst_addr);
	rte_ether_addr_copy(&gen_mac[1], &eth->src_addr);
	RTE_SWAP(ip->src_addr, ip->dst_addr);
}

int gen_traffic_record(unsigned generation)
{
	double hz = (double)rte_get_tsc_hz();
	struct rte_mbuf **recorded = g.recorded[generation];
	unsigned *n = &g.n_recorded[generation];
	drop_all(recorded, n);
	for (unsigned sent = 0; sent < g.n_load;) {
		uint64_t start = rte_rdtsc();
		sent += transmit(sent, RTE_MIN(GEN_BURST, g.n_load - sent));
		while (*n < sent && (double)(rte_rdtsc() - start) / hz < 1.0) {
			(void)receive(1, recorded, n, GEN_TEMPLATES);
			(void)receive(0, NULL, NULL, 0);
		}
		if (*n < sent || *n == 0)
			return -EIO;
	}
	for (unsigned i = 0; i < *n; i++)
		turn_around(recorded[i]);
	return 0;
}

void gen_traffic_close(void)
{
	drop_all(g.load, &g.n_load);
	for (unsigned i = 0; i < 2; i++) {
		drop_all(g.recorded[i], &g.n_recorded[i]);
		(void)rte_eth_dev_stop(g.port[i]);
		(void)rte_eth_dev_close(g.port[i]);
	}
}
