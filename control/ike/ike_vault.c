/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vault record of an established SA. Layout: shared part, version's part, then each child (shared, version's).
 * The record never leaves this machine's memory, so integers are in host order; references to the configuration are
 * names. Times are absolute on the monotonic clock, which a restarted process shares.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cv_vault.h"
#include "ike_internal.h"
#include "ike_private.h"

#define RECORD_MAGIC 0x39454b49u /* "IKE9": bump the digit when the layout changes */
#define RECORD_FIRST 4096u	 /* bytes: most SAs have one child */
#define RESUME_MS 2000		 /* what fell due while there was no process happens a little after the restore */

void ike_put(struct ike_wbuf *w, const void *data, size_t len)
{
	if (w->bad || len > w->size - w->len) {
		w->bad = true;
		return;
	}
	memcpy(w->p + w->len, data, len);
	w->len += len;
}

void ike_put_u8(struct ike_wbuf *w, uint8_t v)
{
	ike_put(w, &v, sizeof(v));
}

void ike_put_u32(struct ike_wbuf *w, uint32_t v)
{
	ike_put(w, &v, sizeof(v));
}

void ike_put_u64(struct ike_wbuf *w, uint64_t v)
{
	ike_put(w, &v, sizeof(v));
}

void ike_put_blob(struct ike_wbuf *w, const void *data, size_t len)
{
	ike_put_u32(w, (uint32_t)len);
	if (len)
		ike_put(w, data, len);
}

void ike_get(struct ike_rbuf *r, void *out, size_t len)
{
	if (r->bad || len > r->len - r->off) {
		r->bad = true;
		memset(out, 0, len);
		return;
	}
	memcpy(out, r->p + r->off, len);
	r->off += len;
}

uint8_t ike_get_u8(struct ike_rbuf *r)
{
	uint8_t v;
	ike_get(r, &v, sizeof(v));
	return v;
}

uint32_t ike_get_u32(struct ike_rbuf *r)
{
	uint32_t v;
	ike_get(r, &v, sizeof(v));
	return v;
}

uint64_t ike_get_u64(struct ike_rbuf *r)
{
	uint64_t v;
	ike_get(r, &v, sizeof(v));
	return v;
}

const uint8_t *ike_get_blob(struct ike_rbuf *r, size_t *len, size_t max)
{
	size_t n = ike_get_u32(r);
	*len = 0;
	if (r->bad || n > max || n > r->len - r->off) {
		r->bad = true;
		return NULL;
	}
	*len = n;
	r->off += n;
	return r->p + r->off - n;
}

void ike_put_id(struct ike_wbuf *w, const struct ike_id *id)
{
	ike_put_u8(w, id->type);
	ike_put_blob(w, id->data, id->len);
}

void ike_get_id(struct ike_rbuf *r, struct ike_id *id)
{
	size_t len;
	id->type = ike_get_u8(r);
	const uint8_t *p = ike_get_blob(r, &len, IKE_ID_MAX);
	id->len = (uint16_t)len;
	if (p)
		memcpy(id->data, p, len);
}

static void put_entry(struct ike_wbuf *w, const struct cfg_map_entry *e)
{
	const char *name = e && e->map ? e->map->name : "";
	ike_put_blob(w, name, strlen(name));
	ike_put_u32(w, e ? e->seq : 0);
}

static const struct cfg_map_entry *get_entry(const struct ike *ike, struct ike_rbuf *r)
{
	char name[256];
	size_t len;
	const uint8_t *p = ike_get_blob(r, &len, sizeof(name) - 1);
	uint32_t seq = ike_get_u32(r);
	if (r->bad || !len || memchr(p, 0, len))
		return NULL;
	memcpy(name, p, len);
	name[len] = 0;
	return config_entry_find(ike->cfg, name, seq);
}

static void put_child(struct ike_wbuf *w, const struct ike_child *c)
{
	put_entry(w, c->p.entry);
	ike_put_u32(w, c->child_id);
	ike_put_u32(w, c->p.rule_id);
	ike_put_u32(w, c->p.spi_in);
	ike_put_u32(w, c->p.spi_out);
	ike_put_u32(w, c->p.index_in);
	ike_put_u32(w, c->p.ah_spi_in);
	ike_put_u32(w, c->p.ah_spi_out);
	ike_put_u32(w, c->p.ah_index_in);
	ike_put_u8(w, c->p.suite.encr);
	ike_put_u8(w, c->p.suite.integ);
	ike_put_u8(w, c->p.suite.ah);
	ike_put_u8(w, c->p.suite.comp);
	ike_put_u32(w, (uint32_t)c->p.cpi_in << 16 | c->p.cpi_out);
	ike_put_u8(w, (uint8_t)(c->p.udp_encap | c->p.initiator << 1 | c->p.rekey << 2 | c->p.inbound_only << 3 |
				c->p.esn << 4 | c->p.transport << 5));
	ike_put_u8(w, (uint8_t)c->state);
	ike_put_u8(w, (uint8_t)c->p.n_sel);
	ike_put(w, c->p.sel, c->p.n_sel * sizeof(c->p.sel[0]));
	ike_put_u32(w, c->p.lifetime_s);
	ike_put_u64(w, c->p.lifetime_kb);
	ike_put_u64(w, c->established_ms);
	ike_put_u64(w, c->soft_ms);
	ike_put_u64(w, c->hard_ms);
	ike_put_u32(w, c->rekeys);
	if (c->sa->v->child_serialize)
		c->sa->v->child_serialize(c, w);
}

static bool child_saved(const struct ike_child *c)
{
	return c->child_id && c->state >= IKE_CHILD_ESTABLISHED && c->p.entry;
}

static void put_sa(struct ike_wbuf *w, const struct ike_sa *sa)
{
	const struct ike_child *c;
	unsigned n = 0;
	ike_put_u32(w, RECORD_MAGIC);
	ike_put_u8(w, (uint8_t)sa->v->major);
	ike_put_u8(w, (uint8_t)(sa->initiator | sa->natt << 1 | sa->nat_local << 2 | sa->nat_remote << 3 |
				sa->encap << 4 | sa->mobike << 5 | sa->movable << 6));
	ike_put_u8(w, (uint8_t)sa->phase);
	ike_put_u32(w, (uint32_t)sa->state);
	ike_put(w, sa->spi_i, IKE_SPI_LEN);
	ike_put(w, sa->spi_r, IKE_SPI_LEN);
	ike_put(w, &sa->path, sizeof(sa->path));
	ike_put(w, &sa->peer, sizeof(sa->peer));
	put_entry(w, sa->entry);
	ike_put_u64(w, sa->created_ms);
	ike_put_u64(w, sa->established_ms);
	ike_put_u64(w, sa->soft_ms);
	ike_put_u64(w, sa->hard_ms);
	ike_put_u32(w, sa->rekeys);
	ike_proof_put(w, sa);
	sa->v->serialize(sa, w);
	TAILQ_FOREACH (c, &sa->children, link)
		n += child_saved(c);
	ike_put_u32(w, n);
	TAILQ_FOREACH (c, &sa->children, link)
		if (child_saved(c))
			put_child(w, c);
}

/* The record of an SA in *out, which the caller zeroes and frees. Its length, 0 when it has no place in the vault. */
static size_t record_of(const struct ike_sa *sa, uint8_t **out)
{
	*out = NULL;
	for (size_t size = RECORD_FIRST; size; size = size < CV_VAULT_RECORD_MAX ? 4 * size : 0) {
		struct ike_wbuf w = {.size = size < CV_VAULT_RECORD_MAX ? size : CV_VAULT_RECORD_MAX};
		w.p = malloc(w.size);
		if (!w.p)
			return 0;
		put_sa(&w, sa);
		if (!w.bad) {
			*out = w.p;
			return w.len;
		}
		cv_secret_zero(w.p, w.len);
		free(w.p);
	}
	return 0;
}

void ike_sa_save(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	if (sa->dead || !sa->established_ms)
		return;
	if (sa->phase == IKE_PHASE_CLOSING || !sa->entry) { /* not worth coming back for */
		if (sa->vault_rec >= 0)
			ike->ops.vault_free(ike->ctx, sa->vault_rec);
		sa->vault_rec = -1;
		return;
	}
	uint8_t *buf;
	size_t len = record_of(sa, &buf);
	if (!len) {
		/* a stale record would make a restarted process reuse message ids: none is better */
		cv_warn("ike", "SA %llu is too large for its vault record; it will not survive a restart",
			(unsigned long long)sa->id);
		if (sa->vault_rec >= 0)
			ike->ops.vault_free(ike->ctx, sa->vault_rec);
		sa->vault_rec = -1;
	} else {
		int rec = ike->ops.vault_write(ike->ctx, sa->vault_rec, buf, len);
		if (rec >= 0)
			sa->vault_rec = rec;
		else
			cv_warn("ike", "cannot write the vault: %s", strerror(-rec));
	}
	cv_secret_zero(buf, len);
	free(buf);
}

static int get_child(struct ike_sa *sa, struct ike_rbuf *r)
{
	struct ike_child *c = calloc(1, sa->v->child_size);
	if (!c)
		return -ENOMEM;
	c->sa = sa;
	TAILQ_INSERT_TAIL(&sa->children, c, link);
	c->p.path = sa->path;
	c->p.entry = get_entry(sa->ike, r);
	c->child_id = ike_get_u32(r);
	c->p.rule_id = ike_get_u32(r);
	c->p.spi_in = ike_get_u32(r);
	c->p.spi_out = ike_get_u32(r);
	c->p.index_in = ike_get_u32(r);
	c->p.ah_spi_in = ike_get_u32(r);
	c->p.ah_spi_out = ike_get_u32(r);
	c->p.ah_index_in = ike_get_u32(r);
	c->p.suite.encr = ike_get_u8(r);
	c->p.suite.integ = ike_get_u8(r);
	c->p.suite.ah = ike_get_u8(r);
	c->p.suite.comp = ike_get_u8(r);
	uint32_t cpis = ike_get_u32(r);
	c->p.cpi_in = (uint16_t)(cpis >> 16);
	c->p.cpi_out = (uint16_t)cpis;
	uint8_t flags = ike_get_u8(r);
	c->p.udp_encap = flags & 1;
	c->p.initiator = flags & 2;
	c->p.rekey = flags & 4;
	c->p.inbound_only = flags & 8;
	c->p.esn = flags & 16;
	c->p.transport = flags & 32;
	c->state = ike_get_u8(r);
	c->p.n_sel = ike_get_u8(r);
	if (c->p.n_sel > CV_SA_SEL_MAX || c->state > IKE_CHILD_DELETING || algo_suite_wrong(c->p.suite))
		return -EPROTO;
	ike_get(r, c->p.sel, c->p.n_sel * sizeof(c->p.sel[0]));
	c->p.lifetime_s = ike_get_u32(r);
	c->p.lifetime_kb = ike_get_u64(r);
	c->established_ms = ike_get_u64(r);
	c->soft_ms = ike_get_u64(r);
	c->hard_ms = ike_get_u64(r);
	c->rekeys = ike_get_u32(r);
	if (sa->v->child_restore && sa->v->child_restore(c, r) != 0)
		return -EPROTO;
	/* an exchange that was under way is lost with the process: the soft timer, long past, starts it again */
	if (c->state == IKE_CHILD_REKEYING)
		c->state = IKE_CHILD_ESTABLISHED;
	return r->bad || !c->p.entry || !c->child_id ? -EPROTO : 0;
}

static int get_sa(struct ike_sa *sa, struct ike_rbuf *r)
{
	uint8_t flags = ike_get_u8(r);
	sa->initiator = flags & 1;
	sa->natt = flags & 2;
	sa->nat_local = flags & 4;
	sa->nat_remote = flags & 8;
	sa->encap = flags & 16;
	sa->mobike = flags & 32;
	sa->movable = flags & 64;
	sa->phase = ike_get_u8(r);
	sa->state = (int)ike_get_u32(r);
	ike_get(r, sa->spi_i, IKE_SPI_LEN);
	ike_get(r, sa->spi_r, IKE_SPI_LEN);
	ike_get(r, &sa->path, sizeof(sa->path));
	ike_get(r, &sa->peer, sizeof(sa->peer));
	sa->entry = get_entry(sa->ike, r);
	sa->created_ms = ike_get_u64(r);
	sa->established_ms = ike_get_u64(r);
	sa->soft_ms = ike_get_u64(r);
	sa->hard_ms = ike_get_u64(r);
	sa->rekeys = ike_get_u32(r);
	ike_proof_get(r, sa);
	if (r->bad || !sa->entry || !sa->entry->profile_ref || ike_version_of(sa->entry) != sa->v)
		return -EPROTO;
	sa->profile = sa->entry->profile_ref;
	if (sa->v->restore(sa, r) != 0)
		return -EPROTO;
	for (uint32_t n = ike_get_u32(r); n && !r->bad; n--) {
		int err = get_child(sa, r);
		if (err)
			return err;
	}
	return r->bad || r->off != r->len ? -EPROTO : 0;
}

/* Undo a restore that failed: nothing of it is known to host or peer. */
static void discard(struct ike_sa *sa)
{
	struct ike_child *c;
	TAILQ_FOREACH (c, &sa->children, link)
		c->child_id = 0;
	sa->vault_rec = -1;
	sa->established_ms = 0;
	ike_sa_destroy(sa, NULL);
}

int ike_restore(struct ike *ike, int rec, const void *data, size_t len)
{
	struct ike_rbuf r = {.p = data, .len = len};
	const struct ike_version *v;
	struct ike_child *c;
	if (ike_get_u32(&r) != RECORD_MAGIC || !ike->cfg)
		return -EPROTO;
	uint8_t major = ike_get_u8(&r);
	v = major == 1 ? &ike_v1 : major == 2 ? &ike_v2 : NULL;
	if (r.bad || !v || !v->restore_new)
		return -EPROTO;
	ike_enter(ike);
	struct ike_sa *sa = v->restore_new(ike);
	int err = sa ? get_sa(sa, &r) : -ENOMEM;
	if (err) {
		if (sa)
			discard(sa);
		ike_leave(ike);
		return err;
	}
	sa->vault_rec = rec;
	uint64_t now = ike_now(ike);
	if (sa->soft_ms <= now)
		sa->soft_ms = now + RESUME_MS;
	ike_sa_resume(sa);
	TAILQ_FOREACH (c, &sa->children, link) {
		ike_child_index(c);
		c->lost |= c->p.inbound_only; /* its outbound keys died with the process: make another pair */
		if (c->lost || c->soft_ms <= now)
			c->soft_ms = now + RESUME_MS;
		ike_child_arm(c);
	}
	ike->stats.restored++;
	ike_leave(ike);
	return 0;
}
