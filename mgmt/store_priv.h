/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by store.c (datastores) and store_commit.c (commits, confirmation, start). */
#ifndef MGMT_STORE_PRIV_H
#define MGMT_STORE_PRIV_H

#include <limits.h>

#include "history.h"
#include "secrets.h"
#include "store.h"

#define CONFIRM_RETRY_MS 2000u /* when the automatic return could not be applied */

/* One commit on its way. */
struct commit {
	struct store *s;
	struct lyd_node *tree; /* validated; becomes running */
	struct cv_config *cfg;
	json_t *result;
	uint32_t confirm_s;
	bool from_candidate; /* the candidate becomes the new running configuration too */
	store_cb cb;
	void *arg;
};

struct rsa_making;
struct store {
	struct store_opts o;
	char startup_path[PATH_MAX], running_path[PATH_MAX], confirm_path[PATH_MAX];
	struct lyd_node *candidate, *running;
	struct cv_config *running_cfg;
	struct history *history;
	uint64_t startup_sum; /* of the startup file the running configuration descends from */
	bool committing;
	struct secrets *secrets;
	char keys_dir[PATH_MAX];       /* of store_rsa.c */
	struct rsa_making *rsa_making; /* NULL = none are being made */
	uv_timer_t *wrap_timer;	       /* files to be encrypted: store_secrets.c */
	unsigned wrap_at;
	/* waiting for confirmation */
	uv_timer_t *timer;
	struct lyd_node *previous; /* NULL is an empty configuration: see pending */
	bool pending;
	uint64_t deadline_ms; /* boot time clock */
};

/* store.c */
int store_parse_new(struct store *s, const char *text, const struct lyd_node *base, bool merge, struct lyd_node **out,
	struct model_err *err);
int store_copy(const struct lyd_node *tree, struct lyd_node **out, struct model_err *err);
/* Validate in place and build; NULL with err. */
struct cv_config *store_build(struct store *s, struct lyd_node **tree, json_t *warnings, struct model_err *err);
void store_set_candidate(struct store *s, struct lyd_node *tree);
/* Encrypt what the tree wants encrypted; before it is built. */
int store_protect(struct store *s, struct lyd_node *tree, struct model_err *err);
/* Go through the files if there is something to do. */
void store_wrap_start(struct store *s);
/* Keys that are being made are nobody's any more. */
void store_rsa_abandon(struct store *s);
/* run_dir's copy of the running configuration. */
int store_write_running(struct store *s);
/* Commit tree, which it takes; the candidate stays what it is. */
void store_commit_tree(
	struct store *s, struct lyd_node *tree, const char *user, const char *comment, store_cb cb, void *arg);
uint64_t store_sum(const char *text);
uint64_t store_boottime_ms(void);
/* Identity of this boot; empty when unknown. */
void store_boot_id(char out[static 64]);

#endif
