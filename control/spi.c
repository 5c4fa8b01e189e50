/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery from invalid SPIs (spec/30 ISPI). The peer is told over the IKE SA there is; without one nothing happens,
 * unless the operator has switched recovery on: then a negotiation is started (ISPI-2). What unauthenticated packets
 * can cause is bounded (ISPI-5): the dataplane passes on a few a second, only configured peers are negotiated with, and
 * each of them only now and then.
 */
#include <stdlib.h>

#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"

#define HOLD_OFF_MS 10000u /* between two answers to one peer */
#define REMEMBERED 256u	   /* peers */

/* The last answer to a peer: a table of fixed size, in which a flood of sources can only overwrite itself. */
struct spi_memory {
	struct answered {
		struct cv_addr remote;
		uint32_t vrf;
		uint64_t at_ms;
	} peer[REMEMBERED];
	uint64_t events, told, initiated, suppressed;
};

struct spi_memory *spi_memory_new(void)
{
	return calloc(1, sizeof(struct spi_memory));
}

void spi_show(const struct spi_memory *s, json_t *o)
{
	json_object_set_new(o, "invalid_spi_reported", json_integer((json_int_t)s->events));
	json_object_set_new(o, "invalid_spi_told", json_integer((json_int_t)s->told));
	json_object_set_new(o, "invalid_spi_initiated", json_integer((json_int_t)s->initiated));
	json_object_set_new(o, "invalid_spi_suppressed", json_integer((json_int_t)s->suppressed));
}

static struct answered *slot_of(struct spi_memory *s, uint32_t vrf, const struct cv_addr *remote)
{
	uint32_t h = 2166136261u ^ vrf;

	for (size_t i = 0; i < sizeof(remote->b); i++)
		h = (h ^ remote->b[i]) * 16777619u;
	return &s->peer[h % REMEMBERED];
}

static bool names_peer(const struct cfg_map_entry *e, const struct cv_addr *remote)
{
	for (unsigned i = 0; i < e->n_peer; i++)
		if (cv_addr_eq(&e->peer[i], remote))
			return true;
	return false;
}

/* The first flow configured with this peer, NULL = it is nobody we know. */
static const struct rule_ref *flow_with(const struct control *c, uint32_t vrf, const struct cv_addr *remote)
{
	for (unsigned i = 0; c->desired && i < c->desired->n_rule; i++)
		if (c->desired->rule[i].fvrf == vrf && names_peer(c->desired->rule[i].entry, remote))
			return &c->desired->rule[i];
	return NULL;
}

static void log_packet(const struct cv_evt_invalid_spi *e, uint8_t proto)
{
	char src[CV_ADDR_STR], dst[CV_ADDR_STR];

	cv_notice("control",
		"%%CRYPTO-4-RECVD_PKT_INV_SPI: rec'd IPSEC packet has invalid spi for destaddr=%s, prot=%u, "
		"spi=0x%X(%u), "
		"srcaddr=%s",
		cv_addr_str(&e->dst, dst), proto, e->spi, e->spi, cv_addr_str(&e->src, src));
}

void spi_invalid(struct control *c, const struct cv_evt_invalid_spi *e)
{
	const uint8_t proto = e->proto;
	struct ike_path path = {.vrf = e->front_vrf, .local = e->dst, .remote = e->src};
	struct answered *a = slot_of(c->spi, e->front_vrf, &e->src);
	uint64_t now = host_now_ms(c);
	const struct rule_ref *r;

	c->spi->events++;
	log_packet(e, proto);
	if (a->at_ms && a->vrf == e->front_vrf && cv_addr_eq(&a->remote, &e->src) && now - a->at_ms < HOLD_OFF_MS) {
		c->spi->suppressed++;
		debug_invalid_spi(c, e, "nothing is done: it was answered less than ten seconds ago");
		return;
	}
	r = flow_with(c, e->front_vrf, &e->src);
	if (ike_invalid_spi(c->ike, &path, proto, e->spi)) {
		c->spi->told++;
		debug_invalid_spi(c, e, "the peer is told over its IKE SA");
	} else if (c->running->invalid_spi_recovery && r) {
		c->spi->initiated++;
		debug_invalid_spi(c, e, "there is no IKE SA: one is negotiated");
		ike_acquire(c->ike, r->entry, r->rule_id, &r->line->sel, NULL);
	} else {
		debug_invalid_spi(c, e,
			r ? "dropped: there is no IKE SA, and invalid-spi-recovery is off"
			  : "dropped: no peer of the configuration");
		return; /* ISPI-1: nothing is sent */
	}
	*a = (struct answered){.remote = e->src, .vrf = e->front_vrf, .at_ms = now};
}
