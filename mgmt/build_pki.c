/* SPDX-License-Identifier: BSD-3-Clause */
/* Trust points, certificate maps, crypto identities. */
#include <stdlib.h>
#include <string.h>

#include "build.h"

static enum pki_revocation revocation(const char *name)
{
	if (name && strcmp(name, "required") == 0)
		return PKI_REVOCATION_REQUIRED;
	return name && strcmp(name, "none") == 0 ? PKI_REVOCATION_NONE : PKI_REVOCATION_IF_PRESENT;
}

/* Words that YANG has checked; what it cannot: which operator goes with which field, dates, length. */
static bool criterion(struct build *b, const struct lyd_node *n, struct certmap_rule *r)
{
	enum certmap_field field;
	enum certmap_op op;
	const char *why = "unknown word";

	if (certmap_field_parse(tree_text(n, "field"), &field) && certmap_op_parse(tree_text(n, "operator"), &op))
		why = certmap_rule_init(r, field, op, tree_text(n, "value"));
	return !why || build_fail(b, n, "\"%s\" is not valid: %s", tree_text(n, "value"), why);
}

static int by_sequence(const void *a, const void *b)
{
	uint32_t x = ((const struct certmap_entry *)a)->seq, y = ((const struct certmap_entry *)b)->seq;

	return x < y ? -1 : x > y;
}

static bool cert_map(struct build *b, const struct lyd_node *n, struct certmap *m)
{
	struct certmap_entry *entry = config_alloc(b->c, tree_count(n, "entry"), sizeof(*entry));

	m->name = build_text(b, n, "name");
	m->entry = entry;
	for (const struct lyd_node *l = NULL; (l = tree_next(n, "entry", l));) {
		struct certmap_entry *e = &entry[m->n_entry++];
		struct certmap_rule *r = config_alloc(b->c, tree_count(l, "criterion"), sizeof(*r));
		e->seq = (uint32_t)tree_number(l, "sequence");
		e->rule = r;
		for (const struct lyd_node *x = NULL; (x = tree_next(l, "criterion", x)); e->n_rule++)
			if (!criterion(b, x, r++))
				return false;
	}
	if (m->n_entry)
		qsort(entry, m->n_entry, sizeof(*entry), by_sequence);
	return true;
}

static bool id_lines(struct build *b, const struct lyd_node *n, enum certmap_id_kind kind, struct certmap_id_line *l)
{
	const char *name = kind == CERTMAP_ID_DN ? "dn" : "fqdn", *why;

	for (const struct lyd_node *x = NULL; (x = tree_next(n, name, x));) {
		why = certmap_id_line_init(l++, kind, lyd_get_value(x));
		if (why)
			return build_fail(b, x, "\"%s\" is not valid: %s", lyd_get_value(x), why);
	}
	return true;
}

static bool identity(struct build *b, const struct lyd_node *n, struct certmap_identity *id)
{
	unsigned n_dn = tree_count(n, "dn");
	struct certmap_id_line *l;

	id->name = build_text(b, n, "name");
	id->n_line = n_dn + tree_count(n, "fqdn");
	id->line = l = config_alloc(b->c, id->n_line, sizeof(*l));
	return id_lines(b, n, CERTMAP_ID_DN, l) && id_lines(b, n, CERTMAP_ID_FQDN, l + n_dn);
}

static bool rules(struct build *b, const struct lyd_node *pki)
{
	const struct lyd_node *n;

	b->c->cert_map = config_alloc(b->c, tree_count(pki, "certificate-map"), sizeof(*b->c->cert_map));
	for (n = NULL; (n = tree_next(pki, "certificate-map", n));)
		if (!cert_map(b, n, &b->c->cert_map[b->c->n_cert_map++]))
			return false;
	b->c->identity = config_alloc(b->c, tree_count(pki, "identity"), sizeof(*b->c->identity));
	for (n = NULL; (n = tree_next(pki, "identity", n));)
		if (!identity(b, n, &b->c->identity[b->c->n_identity++]))
			return false;
	return true;
}

bool build_pki(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *pki = tree_top(tree, "culvert-pki", "pki");

	if (!pki)
		return true;
	b->c->trust_point = config_alloc(b->c, tree_count(pki, "trust-point"), sizeof(*b->c->trust_point));
	for (const struct lyd_node *n = NULL; (n = tree_next(pki, "trust-point", n));) {
		struct cfg_trust_point *t = &b->c->trust_point[b->c->n_trust_point++];
		t->name = build_text(b, n, "name");
		t->description = build_text(b, n, "description");
		t->files.ca = build_names(b, n, "ca-certificate", &t->files.n_ca);
		t->files.certificate = build_text(b, n, "certificate");
		t->files.key = build_text(b, n, "private-key");
		t->files.encryption_certificate = build_text(b, n, "encryption-certificate");
		t->files.encryption_key = build_text(b, n, "encryption-private-key");
		t->files.crl = build_names(b, n, "crl", &t->files.n_crl);
		t->files.revocation = revocation(tree_text(n, "revocation-check"));
	}
	b->c->rsa_pair = config_alloc(b->c, tree_count(pki, "rsa-key-pair"), sizeof(*b->c->rsa_pair));
	for (const struct lyd_node *n = NULL; (n = tree_next(pki, "rsa-key-pair", n));) {
		struct cfg_rsa_pair *r = &b->c->rsa_pair[b->c->n_rsa_pair++];
		r->name = build_text(b, n, "name");
		r->file = build_text(b, n, "general-key");
		r->signature_file = build_text(b, n, "signature-key");
		r->encryption_file = build_text(b, n, "encryption-key");
	}
	return rules(b, pki);
}
