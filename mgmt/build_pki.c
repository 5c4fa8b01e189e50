/* SPDX-License-Identifier: BSD-3-Clause */
/* Trust points. */
#include <string.h>

#include "build.h"

static enum pki_revocation revocation(const char *name)
{
	if (name && strcmp(name, "required") == 0)
		return PKI_REVOCATION_REQUIRED;
	return name && strcmp(name, "none") == 0 ? PKI_REVOCATION_NONE : PKI_REVOCATION_IF_PRESENT;
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
		t->files.crl = build_names(b, n, "crl", &t->files.n_crl);
		t->files.revocation = revocation(tree_text(n, "revocation-check"));
	}
	return true;
}
