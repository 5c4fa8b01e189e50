/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Xauth (draft-beaulieu-ike-xauth-02; IKE-55..57, VRF-37, 38, 45): a login by name and password after phase 1, from
 * either end. The server asks, the client replies, the server sets the status, the client acknowledges it. Who may log
 * in comes from ike/user, or is asked of AAA servers (v1_aaa.c), whose answer may take its time.
 */
#include <string.h>

#include "v1_internal.h"

#define REFUSED "Xauth: name or password refused"

/* ---- server ---- */

void v1_xauth_start(struct v1_sa *v)
{
	struct v1_cfg_out c;
	v1_cfg_begin(v, &c, V1_CFG_REQUEST, NULL);
	if (!c.trx)
		return;
	v1_out_attr_bytes(&c.o, V1_XAUTH_USER_NAME, NULL, 0);
	v1_out_attr_bytes(&c.o, V1_XAUTH_USER_PASSWORD, NULL, 0);
	v1_cfg_send(v, &c);
}

/* Also for an unknown name a password is compared, so that time does not tell names. */
static bool known_user(const struct cv_config *cfg, const char *name, struct v1_span password)
{
	static const uint8_t nobody[1];
	const struct cfg_secret none = {nobody, sizeof(nobody)}, *want = &none;
	bool found = false;
	for (unsigned i = 0; i < cfg->n_user; i++)
		if (strcmp(cfg->user[i].name, name) == 0 && cfg->user[i].password.p) {
			want = &cfg->user[i].password;
			found = true;
		}
	return password.len == want->len && cv_secret_cmp(password.p, want->p, want->len) == 0 && found;
}

/* why: NULL = the login is good. */
static void verdict(struct v1_sa *v, const char *why)
{
	struct v1_cfg_out c;
	bool ok = !why;
	v->xauth_ok = ok;
	v->xauth_why = why;
	v1_cfg_begin(v, &c, V1_CFG_SET, NULL);
	if (!c.trx)
		return;
	v1_out_attr(&c.o, V1_XAUTH_STATUS, ok);
	v1_cfg_send(v, &c);
}

static void login(struct v1_sa *v, const struct v1_cfg_msg *m)
{
	const struct cfg_ike_profile *p = v->sa.profile;
	struct v1_attr name, password;
	bool ok = v1_cfg_find(m, V1_XAUTH_USER_NAME, &name) && name.data.len && name.data.len < sizeof(v->xauth_user) &&
		  !memchr(name.data.p, 0, name.data.len) && v1_cfg_find(m, V1_XAUTH_USER_PASSWORD, &password);
	memset(v->xauth_user, 0, sizeof(v->xauth_user));
	if (ok)
		memcpy(v->xauth_user, name.data.p, name.data.len);
	if (!ok)
		verdict(v, REFUSED);
	else if (!p->aaa_authentication_ref)
		verdict(v, known_user(v->sa.ike->cfg, v->xauth_user, password.data) ? NULL : REFUSED);
	else {
		v->local_ok = p->aaa_local && known_user(v->sa.ike->cfg, v->xauth_user, password.data);
		if (!v1_aaa_login(v, password.data))
			v1_xauth_judged(v, AAA_NO_ANSWER);
	}
}

void v1_xauth_judged(struct v1_sa *v, enum aaa_verdict by)
{
	if (by == AAA_NO_ANSWER && !v->local_ok)
		verdict(v, V1_NO_AAA);
	else
		verdict(v, by == AAA_REJECT ? REFUSED : NULL);
}

void v1_xauth_answer(struct v1_sa *v, const struct v1_cfg_msg *m)
{
	if (m->type == V1_CFG_REPLY) {
		login(v, m);
	} else if (v->xauth_ok) {
		v->xauth_done = true;
		v1_cfg_next(v);
	} else {
		v->sa.ike->stats.auth_failed++;
		v1_fail(v, v->xauth_why);
	}
}

/* ---- client ---- */

static void reply(struct v1_sa *v, const struct v1_cfg_msg *m)
{
	struct v1_cfg_out c;
	struct v1_attr a;
	const struct cfg_ike_profile *p = v->sa.profile;
	v1_cfg_begin(v, &c, V1_CFG_REPLY, m);
	if (!c.trx)
		return;
	if (v1_cfg_find(m, V1_XAUTH_TYPE, &a))
		v1_out_attr(&c.o, V1_XAUTH_TYPE, 0); /* generic: the only one we have */
	v1_out_attr_bytes(&c.o, V1_XAUTH_USER_NAME, p->xauth_user, strlen(p->xauth_user));
	v1_out_attr_bytes(&c.o, V1_XAUTH_USER_PASSWORD, p->xauth_password.p, p->xauth_password.len);
	v1_cfg_send(v, &c);
	cv_secret_zero(&c, sizeof(c));
}

static void status(struct v1_sa *v, const struct v1_cfg_msg *m, bool ok)
{
	struct v1_cfg_out c;
	v1_cfg_begin(v, &c, V1_CFG_ACK, m);
	if (!c.trx)
		return;
	v1_out_attr_bytes(&c.o, V1_XAUTH_STATUS, NULL, 0);
	if (!v1_cfg_send(v, &c) || v->sa.state != V1_CONF_XAUTH)
		return;
	v->xauth_done = ok;
	if (ok) {
		v1_cfg_next(v);
	} else {
		v->sa.ike->stats.auth_failed++;
		v1_fail(v, REFUSED);
	}
}

bool v1_xauth_asked(struct v1_sa *v, const struct v1_cfg_msg *m)
{
	struct v1_attr a;
	bool set = m->type == V1_CFG_SET && v1_cfg_find(m, V1_XAUTH_STATUS, &a);
	if (!set && !v1_cfg_find(m, V1_XAUTH_USER_NAME, &a) && !v1_cfg_find(m, V1_XAUTH_USER_PASSWORD, &a))
		return false;
	if (!v->sa.profile || v->sa.profile->xauth != CFG_XAUTH_CLIENT || !v->sa.profile->xauth_password.p)
		v->sa.ike->stats.rx_unexpected++; /* nobody here logs in with this peer */
	else if (set)
		status(v, m, v1_cfg_find(m, V1_XAUTH_STATUS, &a) && a.value == 1);
	else
		reply(v, m);
	return true;
}
