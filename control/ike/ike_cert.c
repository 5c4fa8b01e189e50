/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a peer's certificate and name decide beyond who it is: which profile it gets by certificate map (CERTMAP-*), the
 * group it belongs to, and which crypto map entries it may use (DN-*).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike_internal.h"

#define PROOF_TEXT_MAX 600u /* of the vault record: a longer subject fits no identity anyway */

/* ---- certificate maps ---- */

/* The first map of the profile that the certificate fits (CERTMAP-3); sets sa->cert_map. */
static bool fits_profile(struct ike_sa *sa, const struct cfg_ike_profile *p, const struct certmap_cert *cert)
{
	char name[160];
	for (unsigned i = 0; i < p->n_match_cert; i++) {
		const struct certmap *m = p->match_cert_ref[i];
		const struct certmap_entry *e = certmap_match(m, cert);
		if (!e)
			continue;
		snprintf(name, sizeof(name), "%s %u", m->name, e->seq);
		free(sa->cert_map);
		sa->cert_map = strdup(name);
		sa->ike->stats.certmap_matched++;
		return true;
	}
	return false;
}

/* CERTMAP-8: maps are for peers that authenticate with a certificate; in IKEv1 the policy has said so already. */
static bool has_maps(const struct cfg_map_entry *e)
{
	const struct cfg_ike_profile *p = e->profile_ref;
	return p->n_match_cert && (p->version == CFG_IKEV1 || p->remote_auth == CFG_METHOD_SIGNATURE);
}

const struct cfg_map_entry *ike_entry_by_cert(struct ike_sa *sa, struct pki_blob cert)
{
	const struct cfg_map_entry *e[IKE_ENTRIES_MAX], *found = NULL;
	unsigned n = ike_entries_for(sa->ike, sa->v, &sa->path, &sa->path.remote, e, IKE_ENTRIES_MAX);
	struct pki_fields *f = NULL;
	struct certmap_cert view;
	for (unsigned i = 0; i < n && !found; i++) {
		if (!has_maps(e[i]))
			continue;
		if (!f) { /* a certificate that cannot be read fits nothing, and is refused when it is judged */
			f = pki_fields_new(cert);
			if (!f)
				break;
			view = certmap_cert_of(f);
		}
		if (fits_profile(sa, e[i]->profile_ref, &view))
			found = e[i];
	}
	if (f && !found)
		sa->ike->stats.certmap_no_match++;
	if (found)
		cv_info("ike", "certificate of the peer (subject %s) fits map %s: profile %s", f->subject,
			sa->cert_map ? sa->cert_map : "", found->profile_ref->name);
	pki_fields_free(f);
	return found;
}

bool ike_cert_fits(struct ike_sa *sa, struct pki_blob cert)
{
	struct pki_fields *f = sa->profile && sa->profile->n_match_cert ? pki_fields_new(cert) : NULL;
	if (!f)
		return false;
	struct certmap_cert view = certmap_cert_of(f);
	bool fits = fits_profile(sa, sa->profile, &view);
	sa->ike->stats.certmap_no_match += !fits;
	pki_fields_free(f);
	return fits;
}

/* ---- what has been proven ---- */

static char *text_of(const struct ike_id *id)
{
	return memchr(id->data, 0, id->len) ? NULL : strndup((const char *)id->data, id->len);
}

void ike_proof_take(struct ike_sa *sa, const struct pki_peer *cert, const struct ike_id *id)
{
	const struct pki_fields *f = cert ? pki_peer_fields(cert) : NULL;
	free(sa->peer_subject);
	free(sa->group);
	sa->peer_subject = f ? strdup(f->subject) : NULL;
	sa->name_proven |= f != NULL;
	if (sa->profile && sa->profile->client_group)
		sa->group = strdup(sa->profile->client_group);
	else if (id->type == IKE_ID_KEY_ID)
		sa->group = text_of(id);
	else
		sa->group = f && f->ou ? strdup(f->ou) : NULL;
	if (sa->group && sa->profile)
		cv_debug("ike", "profile %s assigns the peer the group %s", sa->profile->name, sa->group);
	if (cert && sa->profile && !sa->profile->n_keyring) /* CERTMAP-14: no error */
		cv_debug("ike", "profile %s has no keyring: no preshared key is looked for", sa->profile->name);
}

void ike_proof_copy(struct ike_sa *to, const struct ike_sa *from)
{
	ike_proof_free(to);
	to->peer_subject = from->peer_subject ? strdup(from->peer_subject) : NULL;
	to->cert_map = from->cert_map ? strdup(from->cert_map) : NULL;
	to->group = from->group ? strdup(from->group) : NULL;
	to->name_proven = from->name_proven;
}

void ike_proof_free(struct ike_sa *sa)
{
	free(sa->peer_subject);
	free(sa->cert_map);
	free(sa->group);
	sa->peer_subject = sa->cert_map = sa->group = NULL;
}

static void put_text(struct ike_wbuf *w, const char *text)
{
	size_t n = text ? strlen(text) : 0;
	ike_put_blob(w, text, n <= PROOF_TEXT_MAX ? n : 0);
}

static char *get_text(struct ike_rbuf *r)
{
	size_t n;
	const uint8_t *p = ike_get_blob(r, &n, PROOF_TEXT_MAX);
	return p && n ? strndup((const char *)p, n) : NULL;
}

void ike_proof_put(struct ike_wbuf *w, const struct ike_sa *sa)
{
	ike_put_u8(w, sa->name_proven);
	put_text(w, sa->peer_subject);
	put_text(w, sa->cert_map);
	put_text(w, sa->group);
}

void ike_proof_get(struct ike_rbuf *r, struct ike_sa *sa)
{
	sa->name_proven = ike_get_u8(r) == 1;
	sa->peer_subject = get_text(r);
	sa->cert_map = get_text(r);
	sa->group = get_text(r);
}

/* ---- crypto identities ---- */

bool ike_entry_allows(const struct ike_sa *sa, const struct cfg_map_entry *e)
{
	struct ike_id local, peer;
	if (!e || !e->identity)
		return true;
	sa->v->ids(sa, &local, &peer);
	char *fqdn = sa->name_proven && peer.type == IKE_ID_FQDN ? text_of(&peer) : NULL;
	bool ok = certmap_identity_allows(e->identity_ref, sa->peer_subject, fqdn);
	free(fqdn);
	return ok;
}

void ike_entry_barred(struct ike_sa *sa)
{
	struct ike_id local, peer;
	char text[IKE_ID_MAX + 1], addr[CV_ADDR_STR];
	sa->v->ids(sa, &local, &peer);
	sa->ike->stats.identity_refused++;
	cv_warn("ike", "%%CRYPTO-4-IKE_QUICKMODE_BAD_CERT: %s (%s, certificate %s): " IKE_BARRED,
		cv_addr_str(&sa->path.remote, addr), ike_id_str(&peer, text, sizeof(text)),
		sa->peer_subject ? sa->peer_subject : "none");
}
