/* SPDX-License-Identifier: BSD-3-Clause */
/* Identities: ours, the peer's, what a profile matches (VRF-25), and the key that belongs to them (VRF-17..23). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ike_internal.h"

static void id_set(struct ike_id *id, uint8_t type, const void *data, size_t len)
{
	id->type = type;
	id->len = (uint16_t)(len < IKE_ID_MAX ? len : IKE_ID_MAX);
	memcpy(id->data, data, id->len);
}

static void id_addr(struct ike_id *id, const struct cv_addr *a)
{
	if (a->af == CV_AF_INET6)
		id_set(id, IKE_ID_IPV6_ADDR, a->b, 16);
	else
		id_set(id, IKE_ID_IPV4_ADDR, a->b, 4);
}

static bool id_from_cfg(const struct cfg_identity *c, struct ike_id *out)
{
	const char *text = c->text ? c->text : "";
	switch (c->type) {
	case CFG_ID_ADDRESS:
		if (!c->addr.addr.af)
			return false; /* "address" without a value: the local one */
		id_addr(out, &c->addr.addr);
		return true;
	case CFG_ID_FQDN:
		id_set(out, IKE_ID_FQDN, text, strlen(text));
		return true;
	case CFG_ID_USER_FQDN:
		id_set(out, IKE_ID_RFC822_ADDR, text, strlen(text));
		return true;
	case CFG_ID_KEY_ID:
		id_set(out, IKE_ID_KEY_ID, text, strlen(text));
		return true;
	case CFG_ID_DN:
		if (!c->dn)
			return false; /* the subject of our certificate: the version knows which */
		id_set(out, IKE_ID_DN, c->dn, c->dn_len);
		return true;
	case CFG_ID_NONE:
		break;
	}
	return false;
}

void ike_id_local(
	const struct cv_config *cfg, const struct cfg_ike_profile *p, const struct cv_addr *local, struct ike_id *out)
{
	struct cfg_identity host = {.type = CFG_ID_FQDN, .text = cfg->hostname};
	if (p && p->local_id.type != CFG_ID_NONE) {
		if (p->local_id.type == CFG_ID_FQDN && !p->local_id.text && cfg->hostname && id_from_cfg(&host, out))
			return;
		if (id_from_cfg(&p->local_id, out))
			return;
	} else {
		if (cfg->local_id.type == CFG_ID_FQDN && !cfg->local_id.text && cfg->hostname &&
			id_from_cfg(&host, out))
			return;
		if (id_from_cfg(&cfg->local_id, out))
			return;
	}
	id_addr(out, local);
}

int ike_id_own(const struct cv_config *cfg, const struct cfg_ike_profile *p, const struct cv_addr *local,
	const struct pki_tp *signs, struct ike_id *out)
{
	const struct cfg_identity *c = p && p->local_id.type != CFG_ID_NONE ? &p->local_id : &cfg->local_id;
	if (!signs || !(c->type == CFG_ID_NONE || (c->type == CFG_ID_DN && !c->dn))) {
		ike_id_local(cfg, p, local, out);
		return 0;
	}
	/* what a certificate proves in any case: its subject */
	struct pki_blob s = pki_tp_subject(signs);
	if (!s.len || s.len > IKE_ID_MAX)
		return -EINVAL;
	id_set(out, IKE_ID_DN, s.p, s.len);
	return 0;
}

void ike_tp_choose(struct pki_tp **own, const struct cfg_ike_profile *p, unsigned keys,
	unsigned (*rank)(const void *of, const struct pki_tp *tp), const void *of)
{
	struct pki_tp *best = NULL;
	unsigned best_rank = 0;
	for (unsigned i = 0; i < p->n_trust_point; i++) {
		if (!(keys & 1u << pki_tp_key(p->trust[i])))
			continue;
		unsigned r = rank(of, p->trust[i]);
		if (!best || r > best_rank) {
			best = p->trust[i];
			best_rank = r;
		}
	}
	pki_tp_unref(*own);
	*own = best ? pki_tp_ref(best) : NULL;
}

bool ike_id_addr(const struct ike_id *id, struct cv_addr *a)
{
	memset(a, 0, sizeof(*a));
	if (id->type == IKE_ID_IPV4_ADDR && id->len == 4)
		a->af = CV_AF_INET;
	else if (id->type == IKE_ID_IPV6_ADDR && id->len == 16)
		a->af = CV_AF_INET6;
	else
		return false;
	memcpy(a->b, id->data, id->len);
	return true;
}

/* Names compare without case; `domain`: text is what follows the first dot (host) or the @ (user). */
static bool name_matches(const struct cfg_identity *m, const struct ike_id *id, char sep)
{
	const char *name = (const char *)id->data;
	size_t len = id->len, want = strlen(m->text);
	if (m->domain) {
		const char *p = memchr(name, sep, len);
		if (!p)
			return false;
		len -= (size_t)(p + 1 - name);
		name = p + 1;
	}
	return len == want && strncasecmp(name, m->text, len) == 0;
}

/* VRF-25, CERTMAP-1: a group is also the first OU of a distinguished name. */
static bool ou_is(const struct ike_id *id, const char *group)
{
	char *ou = pki_dn_ou(id->data, id->len);
	bool same = ou && strcmp(ou, group) == 0;
	free(ou);
	return same;
}

static bool one_matches(const struct cfg_identity *m, const struct ike_id *id)
{
	struct cv_addr a;
	switch (m->type) {
	case CFG_ID_ADDRESS:
		return ike_id_addr(id, &a) && a.af == m->addr.addr.af && cv_prefix_contains(&m->addr, &a);
	case CFG_ID_FQDN:
		return id->type == IKE_ID_FQDN && m->text && name_matches(m, id, '.');
	case CFG_ID_USER_FQDN:
		return id->type == IKE_ID_RFC822_ADDR && m->text && name_matches(m, id, '@');
	case CFG_ID_KEY_ID:
		if (id->type == IKE_ID_DN && m->text)
			return ou_is(id, m->text);
		return id->type == IKE_ID_KEY_ID && m->text && id->len == strlen(m->text) &&
		       memcmp(id->data, m->text, id->len) == 0;
	case CFG_ID_DN:
		return id->type == IKE_ID_DN && m->dn && pki_dn_eq(m->dn, m->dn_len, id->data, id->len);
	case CFG_ID_NONE:
		break;
	}
	return false;
}

bool ike_id_matches(const struct cfg_ike_profile *p, uint32_t fvrf, const struct ike_id *id)
{
	if (p->match_fvrf_ref && p->match_fvrf_ref->id != fvrf)
		return false;
	for (unsigned i = 0; i < p->n_match; i++)
		if (one_matches(&p->match[i], id))
			return true;
	return false;
}

bool ike_id_eq(const struct ike_id *a, const struct ike_id *b)
{
	return a->type == b->type && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

const char *ike_id_str(const struct ike_id *id, char *buf, size_t size)
{
	struct cv_addr a;
	char text[CV_ADDR_STR];
	char dn[PKI_NAME_MAX];
	if (id->type == IKE_ID_DN && pki_dn_text(id->data, id->len, dn)) {
		snprintf(buf, size, "%s", dn);
		return buf;
	}
	if (ike_id_addr(id, &a)) {
		snprintf(buf, size, "%s", cv_addr_str(&a, text));
		return buf;
	}
	size_t n = 0;
	for (size_t i = 0; i < id->len && n + 1 < size; i++)
		buf[n++] = id->data[i] >= 0x20 && id->data[i] < 0x7f ? (char)id->data[i] : '?';
	buf[n] = 0;
	return buf;
}

static const struct cfg_psk *psk_by_id(const struct cv_config *cfg, const struct cfg_ike_profile *p,
	const struct ike_path *path, const struct ike_id *id)
{
	char name[IKE_ID_MAX + 1];
	if (id->type != IKE_ID_FQDN && id->type != IKE_ID_RFC822_ADDR && id->type != IKE_ID_KEY_ID)
		return NULL;
	if (memchr(id->data, 0, id->len))
		return NULL;
	memcpy(name, id->data, id->len);
	name[id->len] = 0;
	return config_psk_by_name(cfg, p, path->vrf, &path->local, name);
}

struct named_peer {
	const struct cv_config *cfg;
	const struct cfg_ike_profile *p;
	const struct ike_path *path;
	const struct cv_addr *peer;
	const struct cfg_psk *psk;
};

static bool take_named(void *arg, const struct cfg_map_entry *e)
{
	struct named_peer *n = arg;
	for (unsigned i = 0; !n->psk && e->peer_host && i < e->n_peer; i++)
		if (e->peer_host[i] && cv_addr_eq(&e->peer[i], n->peer))
			n->psk = config_psk_by_name(n->cfg, n->p, n->path->vrf, &n->path->local, e->peer_host[i]);
	return !n->psk;
}

/* The key of the name that entries have for the peer at this address (IPSEC-50). */
static const struct cfg_psk *psk_by_peer_name(const struct cv_config *cfg, const struct cfg_ike_profile *p,
	const struct ike_path *path, const struct cv_addr *peer)
{
	struct named_peer n = {cfg, p, path, peer, NULL};
	config_peer_entries(cfg, peer, take_named, &n);
	return n.psk;
}

static const struct cfg_psk *psk_for(const struct cv_config *cfg, const struct cfg_ike_profile *p,
	const struct ike_path *path, const struct cv_addr *peer, const struct ike_id *id)
{
	const struct cfg_psk *psk = config_psk_by_addr(cfg, p, path->vrf, &path->local, peer);
	if (!psk && id)
		psk = psk_by_id(cfg, p, path, id);
	return psk ? psk : psk_by_peer_name(cfg, p, path, peer);
}

const struct cfg_psk *ike_psk_by_id(
	const struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path, const struct ike_id *id)
{
	return psk_by_id(ike->cfg, p, path, id);
}

const struct cfg_psk *ike_psk_for(const struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path,
	const struct cv_addr *peer, const struct ike_id *id)
{
	return psk_for(ike->cfg, p, path, peer, id);
}

const struct cfg_psk *ike_psk_of(const struct cv_config *cfg, const struct cfg_ike_profile *p, const struct ike_sa *sa)
{
	struct ike_id local, peer;
	sa->v->ids(sa, &local, &peer);
	const struct cfg_psk *psk = sa->name_proven ? psk_by_id(cfg, p, &sa->path, &peer) : NULL;
	return psk ? psk : psk_for(cfg, p, &sa->path, &sa->peer, &peer);
}
