/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipsec.h"

#include <errno.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_udp.h>

#include "esp.h"
#include "pmtu.h"
#include "sa_event.h"

#define INVALID_SPI_PER_S 10u

const struct crypto_provider *ipsec_crypto(void)
{
	return crypto_provider_mb();
}

int ipsec_init(void)
{
	int err = sa_init();
	return err ? err : sa_event_init();
}

struct ipsec_worker *ipsec_worker_create(uint32_t index, int socket)
{
	struct ipsec_worker *iw = rte_zmalloc_socket("ipsec_worker", sizeof(*iw), RTE_CACHE_LINE_SIZE, socket);
	if (!iw)
		return NULL;
	iw->crypto = ipsec_crypto()->ctx_create();
	iw->cache = spd_cache_create(index);
	iw->comp = ipcomp_new();
	if (!iw->crypto || !iw->cache || !iw->comp) {
		ipsec_worker_destroy(iw);
		return NULL;
	}
	for (uint32_t i = 0; i < DP_VEC; i++)
		iw->ops[i] = &iw->op[i];
	return iw;
}

void ipsec_worker_destroy(struct ipsec_worker *iw)
{
	if (!iw)
		return;
	ipsec_crypto()->ctx_destroy(iw->crypto);
	spd_cache_destroy(iw->cache);
	ipcomp_free(iw->comp);
	cv_secret_zero(iw->op, sizeof(iw->op));
	rte_free(iw);
}

struct rte_mbuf *esp_writable_slow(struct rte_mbuf *m, uint16_t need)
{
	if (RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1 && rte_pktmbuf_linearize(m) == 0 &&
		rte_pktmbuf_tailroom(m) >= need)
		return m;
	struct rte_mbuf *copy = dp_alloc();
	if (!copy)
		return NULL;
	uint32_t len = rte_pktmbuf_pkt_len(m);
	if (rte_pktmbuf_tailroom(copy) < len + need) {
		rte_pktmbuf_free(copy);
		return NULL;
	}
	char *to = rte_pktmbuf_append(copy, (uint16_t)len);
	const char *from = rte_pktmbuf_read(m, 0, len, to);
	if (from != to)
		memcpy(to, from, len);
	*pkt_meta(copy) = *pkt_meta(m);
	rte_pktmbuf_free(m);
	return copy;
}

/* Tell control which packet came, unless it was told often enough this second (spec/30 SPI recovery). */
static void invalid_spi_event(const struct rte_mbuf *m)
{
	static uint64_t second;
	static uint32_t sent;
	uint64_t now = dp_now_ms() / 1000;
	if (now != second) {
		second = now;
		sent = 0;
	}
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t off = meta->l4_off;
	bool udp = meta->l4_proto == IPPROTO_UDP;
	if (sent >= INVALID_SPI_PER_S || rte_pktmbuf_data_len(m) < off + (udp ? 8u : 0u) + ESP_HDR_LEN)
		return;
	sent++;
	struct cv_msg msg = {
		.h = {.type = CV_EVT_INVALID_SPI, .len = sizeof(msg.h) + sizeof(struct cv_evt_invalid_spi)}};
	struct cv_evt_invalid_spi *e = (struct cv_evt_invalid_spi *)msg.body;
	e->front_vrf = meta->vrf;
	bool v4 = p[0] >> 4 == 4;
	e->src.af = e->dst.af = v4 ? CV_AF_INET : CV_AF_INET6;
	memcpy(e->src.b, p + (v4 ? 12 : 8), v4 ? 4 : 16);
	memcpy(e->dst.b, p + (v4 ? 16 : 24), v4 ? 4 : 16);
	if (udp) {
		e->udp_src = (uint16_t)(p[off] << 8 | p[off + 1]);
		e->udp_dst = (uint16_t)(p[off + 2] << 8 | p[off + 3]);
		off += 8;
	}
	e->proto = meta->l4_proto == IPPROTO_AH ? IPPROTO_AH : IPPROTO_ESP;
	if (e->proto == IPPROTO_AH) /* its SPI stands behind next header, length and reserved */
		off += 4;
	e->spi = (uint32_t)p[off] << 24 | (uint32_t)p[off + 1] << 16 | (uint32_t)p[off + 2] << 8 | p[off + 3];
	dp_event(&msg);
}

void ipsec_invalid_spi(struct worker *w, struct rte_mbuf *m)
{
	invalid_spi_event(m);
	dp_drop1(w, m, DROP_ESP_SPI);
}

void ipsec_tick(struct worker *w, uint64_t now_ms)
{
	sa_events_poll();
	hold_tick(w, now_ms);
	pmtu_tick(w, now_ms);
}

bool ipsec_on_interface(uint32_t if_id)
{
	return spd_on_interface(if_id) != NULL;
}
