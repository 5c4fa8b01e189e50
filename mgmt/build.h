/* SPDX-License-Identifier: BSD-3-Clause */
/* From a validated configuration tree to the plain structures of control/config.h. Loop thread. */
#ifndef MGMT_BUILD_H
#define MGMT_BUILD_H

#include "config.h"
#include "model.h"
#include "secrets.h"

/*
 * Build and resolve. tree: validated, with its default nodes. Warnings (legacy values, risky choices) go to warn, which
 * may be NULL. secrets: opens type 6 values; NULL = no master key. Returns a configuration with one reference, or NULL
 * with err naming the node.
 */
struct cv_config *build_config(const struct lyd_node *tree, const struct secrets *secrets,
	void (*warn)(void *arg, const char *text), void *arg, struct model_err *err);

/* build_tree.c: reading a tree. All of them accept NULL for the node. */

struct build {
	struct cv_config *c;
	struct model_err *err;
	const struct secrets *secrets;
	void (*warn)(void *arg, const char *text);
	void *arg;
	bool failed;
};
const struct lyd_node *tree_child(const struct lyd_node *node, const char *name);
/* The next sibling called name, starting with the first child; prev = NULL to start. */
const struct lyd_node *tree_next(const struct lyd_node *parent, const char *name, const struct lyd_node *prev);
unsigned tree_count(const struct lyd_node *parent, const char *name);
const struct lyd_node *tree_top(const struct lyd_node *tree, const char *module, const char *name);
const char *tree_text(const struct lyd_node *node, const char *name); /* NULL when absent */
uint64_t tree_number(const struct lyd_node *node, const char *name);  /* 0 when absent */
bool tree_flag(const struct lyd_node *node, const char *name);	      /* false when absent */
const char *build_text(struct build *b, const struct lyd_node *node, const char *name);
/* Record an error at a node; returns false. Only the first one is kept. */
bool build_fail(struct build *b, const struct lyd_node *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Parse the value of a leaf; false with the error recorded. */
bool build_addr(struct build *b, const struct lyd_node *leaf, struct cv_addr *out);
bool build_prefix(struct build *b, const struct lyd_node *leaf, struct cv_prefix *out);
/* The values of a leaf-list as strings of the configuration. */
const char **build_names(struct build *b, const struct lyd_node *node, const char *name, unsigned *n);
/*
 * The octets of a secret leaf, in clear or type 6, hexadecimal or text: *out belongs to the configuration, or is NULL
 * when it is type 6 of a foreign master key, which is a warning that names the leaf and the ciphertext (T6KEY-17, 18).
 */
bool build_secret(struct build *b, const struct lyd_node *leaf, bool hex, const uint8_t **out, size_t *len);
uint8_t build_dscp(const char *value);		   /* a name, or a number 0..63 */
uint8_t build_protocol(const char *name, bool v6); /* a name of an access list's protocol, or a number; "ip" = 0 */
enum ike_group build_group(const char *name);	   /* "group14"; NULL = NONE */
/* NULL = DEFAULT. */
enum cfg_df_bit build_df_bit(const char *name);
enum cfg_fragment build_fragment(const char *name);

/* build_net.c, build_pki.c, build_aaa.c, build_qos.c, build_firewall.c, build_multicast.c, build_ike.c, build_ipsec.c:
 * one part each; false after build_fail. */
bool build_network(struct build *b, const struct lyd_node *tree);
bool build_pki(struct build *b, const struct lyd_node *tree);
bool build_aaa(struct build *b, const struct lyd_node *tree);
bool build_qos(struct build *b, const struct lyd_node *tree);
bool build_firewall(struct build *b, const struct lyd_node *tree);
bool build_multicast(struct build *b, const struct lyd_node *tree);
bool build_ike(struct build *b, const struct lyd_node *tree);
bool build_ipsec(struct build *b, const struct lyd_node *tree);

#endif
