/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The master key and what it does to the secrets of a configuration tree (T6KEY-*). The key derived from the operator's
 * text is kept in a file of mode 0600 of its own, apart from every configuration; nothing ever prints it. Loop thread.
 */
#ifndef MGMT_SECRETS_H
#define MGMT_SECRETS_H

#include "model.h"
#include "type6.h"

struct secrets;

/* Reads the key at path if there is one. NULL with err. The path is copied. */
struct secrets *secrets_open(const char *path, struct model_err *err);
void secrets_close(struct secrets *s); /* zeroes */

bool secrets_have_key(const struct secrets *s);
/*
 * A first master key (old is not looked at) or another one: old must be the present one (T6KEY-35). Written to disk
 * with the present one beside it until secrets_settled(). 0 or -EINVAL with err, and nothing has changed.
 */
int secrets_change(struct secrets *s, const char *old, const char *text, struct model_err *err);
/* Forget the master key (T6KEY-12..14). */
int secrets_remove(struct secrets *s, struct model_err *err);
/* Is there still something on disk under the key before this one? */
bool secrets_unsettled(const struct secrets *s);
int secrets_settle_later(struct secrets *s); /* note on disk that files have to be gone through */
void secrets_settled(struct secrets *s);

/* Does the tree ask for type 6 (platform/password-encryption aes)? */
bool secrets_wanted(const struct lyd_node *tree);
/*
 * Make the secrets of tree what the master key says: in clear -> type 6 when seal is set (T6KEY-3, 15, 16); under the
 * key before this one -> under this one (T6KEY-8); any other type 6 secret stays as it is (T6KEY-11). Returns how many
 * were changed, or -EINVAL with err. One line per re-encrypted secret is logged (T6KEY-9).
 */
int secrets_protect(struct secrets *s, struct lyd_node *tree, bool seal, struct model_err *err);
/* A type 6 value in clear: as type6_open(); -ENOKEY without a master key. */
int secrets_reveal(const struct secrets *s, const char *value, uint8_t *out, size_t *len);

/* `password logging`: T6KEY-9's lines at the normal level of the log instead of the debugging one. */
void secrets_logging(struct secrets *s, bool on);

#endif
