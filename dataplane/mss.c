/* SPDX-License-Identifier: BSD-3-Clause */
#include "mss.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#include "esp.h"
#include "events.h"
#include "fib.h"
#include "sa.h"
#include "spd.h"
#include "trace.h"
#include "worker.h"

#define OPT_END 0u
#define OPT_NOP 1u
#define OPT_MSS 2u
#define OPT_MSS_LEN 4u
#define HEADERS4 40u /* of a TCP segment without options (RFC 9293 3.7.1) */
#define HEADERS6 60u

static uint16_t limit_of(const struct iface_view *view, uint32_t if_id, bool ip6)
{
	const struct dp_if *ifp = if_id < CV_IF_MAX ? view->by_id[if_id] : NULL;

	return !ifp ? 0 : ip6 ? ifp->mss6 : ifp->mss4;
}

/* The lower one of two limits of which 0 is none. */
static uint16_t lower(uint16_t a, uint16_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* The largest packet that fits the way to one of the ends, by an interface whose crypto map, if it has one, is asked as
 * for a packet that goes there. 0: it is not known. */
static uint16_t way_mtu(struct worker *w, struct rte_mbuf *m, uint32_t if_id, const struct cv_addr *end, bool out)
{
	uint16_t mtu = fib_path_mtu(pkt_meta(m)->vrf, end);
	struct spd_verdict v = {0};

	if (spd_on_interface(if_id))
		spd_match_uncached(w->index, out, m, &v);
	const struct sa *sa = v.action == CV_SPD_PROTECT ? sa_get(v.sa) : NULL;

	return sa && sa->dir == CV_SA_OUT ? lower(mtu, esp_inner_mtu(sa, fib_generation())) : mtu;
}

/* What fits the ways to both ends (CV_MSS_AUTO). */
static uint16_t fitting(struct worker *w, struct rte_mbuf *m, bool ip6)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	const uint32_t size = ip6 ? 16 : 4, headers = ip6 ? HEADERS6 : HEADERS4;
	struct cv_addr src = {.af = ip6 ? CV_AF_INET6 : CV_AF_INET}, dst = src;

	memcpy(src.b, ip + (ip6 ? 8 : 12), size);
	memcpy(dst.b, ip + (ip6 ? 24 : 16), size);
	const uint16_t mtu = lower(way_mtu(w, m, meta->if_rx, &src, false), way_mtu(w, m, meta->if_tx, &dst, true));

	return (uint16_t)(mtu > headers ? mtu - headers : 0);
}

/* The limit of a segment's two interfaces, 0 = none. */
static uint16_t limit(struct worker *w, struct rte_mbuf *m, const struct iface_view *view, bool ip6)
{
	const uint16_t in = limit_of(view, pkt_meta(m)->if_rx, ip6), out = limit_of(view, pkt_meta(m)->if_tx, ip6);
	uint16_t least = lower(in == CV_MSS_AUTO ? 0 : in, out == CV_MSS_AUTO ? 0 : out);

	return in == CV_MSS_AUTO || out == CV_MSS_AUTO ? lower(least, fitting(w, m, ip6)) : least;
}

/* Where the option's value is in n bytes of options, NULL when there is none. */
static uint8_t *mss_value(uint8_t *o, uint32_t n)
{
	for (uint32_t i = 0; i < n && o[i] != OPT_END;) {
		uint32_t size = o[i] == OPT_NOP ? 1 : i + 1 < n ? o[i + 1] : 0;

		if (size == 0 || i + size > n || (size == 1 && o[i] != OPT_NOP))
			return NULL;
		if (o[i] == OPT_MSS && size == OPT_MSS_LEN)
			return o + i + 2;
		i += size;
	}
	return NULL;
}

/* A 16-bit field at an odd offset is in two words of the checksum: the difference is that of its bytes' places. RFC
 * 1624, equation 3. */
static void replace(struct rte_tcp_hdr *tcp, uint8_t *field, uint16_t value)
{
	const bool odd = (field - (uint8_t *)tcp) & 1;
	uint16_t old, new = rte_cpu_to_be_16(value);

	memcpy(&old, field, sizeof(old));
	memcpy(field, &new, sizeof(new));
	uint32_t sum = (uint16_t)~tcp->cksum;

	sum += (uint16_t) ~(odd ? rte_bswap16(old) : old);
	sum += odd ? rte_bswap16(new) : new;
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	tcp->cksum = (uint16_t)~sum;
}

void mss_clamp(struct worker *w, struct rte_mbuf *m, const struct iface_view *view)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const uint32_t off = meta->l4_off, len = rte_pktmbuf_data_len(m);

	if (meta->l4_proto != IPPROTO_TCP || meta->frag > 1 || off + sizeof(struct rte_tcp_hdr) > len)
		return;
	struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, off);
	const uint32_t head = (tcp->data_off >> 4) * 4u;

	if (!(tcp->tcp_flags & RTE_TCP_SYN_FLAG) || head < sizeof(*tcp) || off + head > len)
		return;
	const bool ip6 = meta->flags & PKT_F_IP6;
	uint8_t *value = mss_value((uint8_t *)(tcp + 1), head - (uint32_t)sizeof(*tcp));
	const uint16_t most = value ? limit(w, m, view, ip6) : 0;

	if (!most || ((uint32_t)value[0] << 8 | value[1]) <= most)
		return;
	trace_step(m, "mss", "%u lowered to %u", (unsigned)(value[0] << 8 | value[1]), most);
	replace(tcp, value, most);
	w->stats->events[EVENT_MSS_CLAMPED]++;
}
