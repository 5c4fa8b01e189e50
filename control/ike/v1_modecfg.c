/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mode configuration (draft-dukes-ike-mode-cfg-02; IKE-58..62, VRF-33, 46): inner address and settings for a peer, from
 * a pool of the configuration, asked for (respond) or not (initiate); and the same as the one who asks. The address
 * belongs to the SA, goes over to its successor with the same peer, and back to the pool with the last of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

/* ---- pools: how many SAs hold each address ---- */

struct ike_pool {
	struct ike_pool *next;
	char name[64];
	uint32_t first, n;
	uint8_t held[];
};

static uint32_t ip4(const struct cv_addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}

static struct cv_addr addr_of(uint32_t ip)
{
	return (struct cv_addr){
		.af = CV_AF_INET, .b = {(uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8), (uint8_t)ip}};
}

static struct ike_pool *pool_of(struct ike *ike, const struct cfg_pool *c)
{
	struct ike_pool *p;
	uint32_t first = ip4(&c->first), n = ip4(&c->last) - first + 1;
	for (p = ike->pools; p; p = p->next)
		if (strcmp(p->name, c->name) == 0 && p->first == first && p->n == n)
			return p;
	p = calloc(1, sizeof(*p) + n);
	if (!p)
		return NULL;
	snprintf(p->name, sizeof(p->name), "%s", c->name);
	p->first = first;
	p->n = n;
	p->next = ike->pools;
	ike->pools = p;
	return p;
}

void ike_pools_free(struct ike *ike)
{
	struct ike_pool *p;
	while ((p = ike->pools)) {
		ike->pools = p->next;
		free(p);
	}
}

/* To the pool that it is from: others may have the same addresses (VRF-52). */
void v1_modecfg_release(struct v1_sa *v)
{
	if (v->gave_from)
		v->gave_from->held[ip4(&v->gave) - v->gave_from->first]--;
	v->gave_from = NULL;
	v->gave = (struct cv_addr){0};
	v->gave_by_aaa = false;
}

bool v1_modecfg_hold(struct v1_sa *v, const struct cv_addr *a)
{
	const struct cfg_ike_profile *c = v->sa.profile;
	struct ike_pool *p = c && c->pool_ref ? pool_of(v->sa.ike, c->pool_ref) : NULL;
	if (!p || ip4(a) - p->first >= p->n || p->held[ip4(a) - p->first] == UINT8_MAX)
		return false;
	p->held[ip4(a) - p->first]++;
	v->gave = *a;
	v->gave_from = p;
	return true;
}

/* The address that an AAA server has given, or the peer already has over an older SA, else a free one. */
static bool allocate(struct v1_sa *v)
{
	struct ike_sa *o = NULL;
	if (v->gave.af)
		return true;
	if (v->given && v->given->address.af) {
		v->gave = v->given->address;
		v->gave_by_aaa = true;
		return true;
	}
	if (!v->sa.profile->pool_ref) {
		cv_notice("ike", "IKEv1: no inner address for the peer: neither its server gives one nor a pool");
		return false;
	}
	while ((o = ike_sa_next_by_addr(v->sa.ike, v->sa.path.vrf, &v->sa.peer, o)))
		if (o != &v->sa && v1_same_peer(o, &v->sa) && v1_of(o)->gave.af && v1_modecfg_hold(v, &v1_of(o)->gave))
			return true;
	struct ike_pool *p = pool_of(v->sa.ike, v->sa.profile->pool_ref);
	for (uint32_t i = 0; p && i < p->n; i++)
		if (!p->held[i]) {
			struct cv_addr a = addr_of(p->first + i);
			return v1_modecfg_hold(v, &a);
		}
	cv_notice("ike", "IKEv1: address pool %s is used up", v->sa.profile->pool);
	return false;
}

/* ---- server ---- */

static void put_settings(struct v1_sa *v, struct v1_out *o)
{
	const struct cfg_ike_profile *p = v->sa.profile;
	static const uint8_t host[4] = {255, 255, 255, 255};
	const struct v1_given *g = v->given;
	if (!allocate(v))
		return;
	v1_out_attr_bytes(o, V1_CFG_IP4_ADDRESS, v->gave.b, 4);
	v1_out_attr_bytes(o, V1_CFG_IP4_NETMASK, host, 4);
	const struct cv_addr *dns = g && g->n_dns ? g->dns : p->config_dns;
	const char *domain = g && g->domain[0] ? g->domain : p->config_domain;
	for (unsigned i = 0; i < (g && g->n_dns ? g->n_dns : p->n_config_dns); i++)
		v1_out_attr_bytes(o, V1_CFG_IP4_DNS, dns[i].b, 4);
	if (domain)
		v1_out_attr_bytes(o, V1_CFG_DEFAULT_DOMAIN, domain, strlen(domain));
}

/* ---- both ---- */

void v1_modecfg_start(struct v1_sa *v)
{
	struct v1_cfg_out c;
	bool ask = v->sa.profile->config_request;
	v1_cfg_begin(v, &c, ask ? V1_CFG_REQUEST : V1_CFG_SET, NULL);
	if (!c.trx)
		return;
	if (ask)
		for (uint16_t t = V1_CFG_IP4_ADDRESS; t <= V1_CFG_IP4_NBNS; t++)
			v1_out_attr_bytes(&c.o, t, NULL, 0);
	else
		put_settings(v, &c.o);
	v1_cfg_send(v, &c);
}

static void done(struct v1_sa *v)
{
	v->config_done = true;
	if (v->sa.state == V1_CONF_ADDR)
		v1_cfg_next(v);
	else
		ike_sa_save(&v->sa);
}

void v1_modecfg_unanswered(struct v1_sa *v)
{
	cv_notice("ike", "IKEv1: the peer does not answer mode configuration");
	if (v->sa.profile->config_initiate)
		v1_modecfg_release(v);
	done(v); /* IKE-62: a delay, no more */
}

static void take(struct v1_sa *v, const struct v1_cfg_msg *m)
{
	struct v1_attr a;
	if (v1_cfg_find(m, V1_CFG_IP4_ADDRESS, &a) && a.data.len == 4) {
		v->got = (struct cv_addr){.af = CV_AF_INET};
		memcpy(v->got.b, a.data.p, 4);
	}
}

void v1_modecfg_answer(struct v1_sa *v, const struct v1_cfg_msg *m)
{
	if (m->type == V1_CFG_REPLY)
		take(v, m);
	done(v);
}

void v1_modecfg_asked(struct v1_sa *v, const struct v1_cfg_msg *m)
{
	const struct cfg_ike_profile *p = v->sa.profile;
	struct v1_cfg_out c;
	bool set = m->type == V1_CFG_SET;
	if (v->sa.state == V1_CONF_XAUTH || !p || !(set ? p->config_request : p->config_respond)) {
		v->sa.ike->stats.rx_unexpected++; /* not before the login; not what this profile does */
		return;
	}
	v1_cfg_begin(v, &c, set ? V1_CFG_ACK : V1_CFG_REPLY, m);
	if (!c.trx)
		return;
	if (set) {
		take(v, m);
		v1_out_attr_bytes(&c.o, V1_CFG_IP4_ADDRESS, NULL, 0);
	} else {
		put_settings(v, &c.o);
	}
	if (v1_cfg_send(v, &c) && (set || v->sa.state == V1_QM_IDLE))
		done(v);
}
