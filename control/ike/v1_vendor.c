/* SPDX-License-Identifier: BSD-3-Clause */
/* What the peer can: vendor ids (RFC 2408 3.16), and whether there is a NAT between us (RFC 3947, its drafts 02 and
 * 03). */
#include <string.h>

#include "v1_internal.h"

static const struct {
	uint8_t id[20];
	bool rfc, draft, dpd, fragment, xauth, send;
	uint8_t len, fixed; /* to send; how much of it must be the same in the peer's; 0 = 16 */
} vendor[] = {
	{{0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28, 0xf2, 0x0e, 0x95, 0x45, 0x2f}, .rfc = true,
		.send = true}, /* RFC 3947 */
	{{0x7d, 0x94, 0x19, 0xa6, 0x53, 0x10, 0xca, 0x6f, 0x2c, 0x17, 0x9d, 0x92, 0x15, 0x52, 0x9d, 0x56},
		.draft = true, .send = true}, /* draft-ietf-ipsec-nat-t-ike-03 */
	{{0x90, 0xcb, 0x80, 0x91, 0x3e, 0xbb, 0x69, 0x6e, 0x08, 0x63, 0x81, 0xb5, 0xec, 0x42, 0x7b, 0x1f},
		.draft = true, .send = true}, /* -02, as implementations spell it */
	{{0xcd, 0x60, 0x46, 0x43, 0x35, 0xdf, 0x21, 0xf8, 0x7c, 0xfd, 0xb2, 0xfc, 0x68, 0xb6, 0xa4, 0x48},
		.draft = true}, /* -02, as the draft spells it */
	{{0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9, 0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57, 0x01, 0x00}, .dpd = true,
		.send = true, .fixed = 14}, /* RFC 3706, version 1.0 */
	{{0x09, 0x00, 0x26, 0x89, 0xdf, 0xd6, 0xb7, 0x12}, .xauth = true, .len = 8, .fixed = 8}, /* XAUTH */
	{{0x40, 0x48, 0xb7, 0xd5, 0x6e, 0xbc, 0xe8, 0x85, 0x25, 0xe7, 0xde, 0x7f, 0x00, 0xd6, 0xc2, 0xd3, 0x80, 0, 0,
		 0},
		.fragment = true, .len = 20}, /* "FRAGMENTATION", and which modes have it */
};
#define N_VENDOR (sizeof(vendor) / sizeof(vendor[0]))

static bool natt_wanted(const struct v1_sa *v)
{
	return v->sa.profile && v->sa.profile->nat_traversal;
}

static bool natt_agreed(const struct v1_sa *v)
{
	return v->natt_rfc || v->natt_draft;
}

static bool offered(const struct v1_sa *v, size_t i)
{
	const struct cfg_ike_profile *p = v->sa.profile;
	if (vendor[i].fragment)
		return p->fragment_size != 0;
	if (vendor[i].xauth)
		return p->xauth != CFG_XAUTH_OFF;
	return vendor[i].send && (vendor[i].dpd || natt_wanted(v));
}

void v1_put_vendors(const struct v1_sa *v, struct v1_out *o)
{
	for (size_t i = 0; i < N_VENDOR; i++)
		if (offered(v, i))
			v1_out_payload(o, V1_PL_VENDOR, vendor[i].id, vendor[i].len ? vendor[i].len : 16);
}

void v1_read_vendors(struct v1_sa *v, const struct v1_msg *m)
{
	const struct v1_payload *p;
	bool draft = false;
	for (unsigned n = 0; (p = v1_find(m, V1_PL_VENDOR, n)); n++)
		for (size_t i = 0; i < N_VENDOR; i++) {
			size_t least = vendor[i].xauth ? 8 : 16;
			if (p->body.len < least ||
				memcmp(p->body.p, vendor[i].id, vendor[i].fixed ? vendor[i].fixed : 16) != 0)
				continue;
			v->fragment |= vendor[i].fragment && v->sa.profile->fragment_size;
			v->dpd |= vendor[i].dpd;
			v->natt_rfc |= vendor[i].rfc && natt_wanted(v);
			draft |= vendor[i].draft && natt_wanted(v);
		}
	v->natt_draft = draft && !v->natt_rfc;
}

static const uint8_t *random_hash(uint8_t *buf)
{
	ikec_random(buf, IKEC_PRF_MAX);
	return buf;
}

/* NAT-D of the destination, then of the source (RFC 3947 3.2); a wrong source makes the peer see a NAT. */
void v1_put_nat_d(const struct v1_sa *v, struct v1_out *o)
{
	const struct ike_path *p = &v->sa.path;
	uint8_t type = v->natt_rfc ? V1_PL_NAT_D : V1_PL_NAT_D_DRAFT, h[IKEC_PRF_MAX];
	if (!natt_agreed(v))
		return;
	if (v1_nat_d(&v->k, v1_cky_i(v), v1_cky_r(v), &p->remote, p->rport, h) == 0)
		v1_out_payload(o, type, h, v->k.hash_len);
	if (v->sa.profile->force_encaps)
		v1_out_payload(o, type, random_hash(h), v->k.hash_len);
	else if (v1_nat_d(&v->k, v1_cky_i(v), v1_cky_r(v), &p->local, p->lport, h) == 0)
		v1_out_payload(o, type, h, v->k.hash_len);
}

static bool nat_d_is(const struct v1_sa *v, const struct v1_payload *p, const struct cv_addr *addr, uint16_t port)
{
	uint8_t h[IKEC_PRF_MAX];
	return p->body.len == v->k.hash_len && v1_nat_d(&v->k, v1_cky_i(v), v1_cky_r(v), addr, port, h) == 0 &&
	       memcmp(h, p->body.p, v->k.hash_len) == 0;
}

void v1_detect_nat(struct v1_sa *v, const struct v1_msg *m)
{
	struct ike_sa *sa = &v->sa;
	uint8_t type = v->natt_rfc ? V1_PL_NAT_D : V1_PL_NAT_D_DRAFT;
	const struct v1_payload *p;
	bool his = false;
	if (!natt_agreed(v) || v1_count(m, type) < 2) {
		v->natt_rfc = v->natt_draft = false;
		return;
	}
	sa->nat_local = !nat_d_is(v, v1_find(m, type, 0), &sa->path.local, sa->path.lport);
	for (unsigned i = 1; (p = v1_find(m, type, i)); i++)
		his |= nat_d_is(v, p, &sa->path.remote, sa->path.rport);
	sa->nat_remote = !his;
	sa->encap = sa->nat_local || sa->nat_remote || sa->profile->force_encaps;
}

void v1_natt_move(struct v1_sa *v)
{
	if (!v->sa.encap || v->sa.natt)
		return;
	v->sa.path.lport = v->sa.path.rport = IKE_NATT_PORT;
	v->sa.natt = true;
}
