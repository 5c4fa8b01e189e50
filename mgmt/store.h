/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The datastores: startup (a file), candidate (being edited) and running (what the router does). A commit is atomic: it
 * is applied whole and recorded, or everything stays as it was. Loop thread only.
 *
 * Files, all of mode 0600 because they hold secrets:
 *   startup_path             what a freshly booted router runs; written by store_save
 *   state_dir/history/N.cfg  the last 50 committed configurations
 *   state_dir/keys/          private keys that the router has made (store_generate_rsa)
 *   state_dir/master.key     the key of type 6 secrets (secrets.h), when the operator has set one
 *   run_dir/running.cfg      the running configuration, so that a restarted culvertd goes on with it
 *   run_dir/confirm.cfg      the configuration to return to when a commit is not confirmed in time
 */
#ifndef MGMT_STORE_H
#define MGMT_STORE_H

#include <uv.h>

#include "config.h"
#include "model.h"

struct store;

/* Names of the steps of a commit, for opts.fail. */
enum store_step { STORE_PREPARE = 1, STORE_APPLY, STORE_RECORD };

struct store_opts {
	uv_loop_t *loop;
	struct ly_ctx *ctx;
	const char *startup_path, *state_dir, *run_dir;
	/* control_apply() behind one argument: 0, then cb once; or a negative errno and no cb. */
	int (*apply)(void *apply_ctx, struct cv_config *cfg, void (*cb)(void *arg, const char *err), void *arg);
	/* control_warn() behind one argument; NULL = nothing to warn of. */
	void (*warn)(
		void *apply_ctx, const struct cv_config *cfg, void (*warn)(void *arg, const char *text), void *arg);
	void *apply_ctx;
	/* Fault injection by tests: a negative errno makes the step fail. NULL in production. */
	int (*fail)(void *apply_ctx, enum store_step step);
};

/* opts' strings are copied. NULL with err. */
struct store *store_new(const struct store_opts *opts, struct model_err *err);
/* Stops the timer; the uv handle is closed asynchronously, so run the loop once more before freeing it. */
void store_free(struct store *s);

/* err = NULL on success. result: facts for the operator, borrowed: {"changed", "serial", "warnings", ...}. */
typedef void (*store_cb)(void *arg, const struct model_err *err, const json_t *result);

/*
 * Bring up the configuration: the running one of a killed predecessor if the startup file has not changed since, else
 * the startup file (none: an empty configuration). cb with an error when it is not valid.
 */
void store_start(struct store *s, store_cb cb, void *arg);

/* Replace the candidate by text, or merge text into it. A candidate that would not be valid is refused. 0 or -EINVAL.
 */
int store_load(struct store *s, const char *text, bool merge, struct model_err *err);
int store_set(struct store *s, const char *path, const char *value, struct model_err *err);
int store_delete(struct store *s, const char *path, struct model_err *err);
/* The candidate becomes the running configuration again. */
int store_discard(struct store *s, struct model_err *err);
/* Check the candidate as a commit would, short of applying it. Warnings are appended to the array. */
int store_validate(struct store *s, json_t *warnings, struct model_err *err);
/* Check text without touching any datastore. */
int store_check_text(struct store *s, const char *text, json_t *warnings, struct model_err *err);

/*
 * Make the candidate the running configuration. confirm_s > 0: return to the present one unless another commit comes
 * within that many seconds. A commit that changes nothing confirms a pending one. cb may be called before the return.
 */
void store_commit(struct store *s, const char *user, uint32_t confirm_s, store_cb cb, void *arg);
/* Commit the configuration of n commits ago (1 = before the last one). */
void store_rollback(struct store *s, unsigned n, const char *user, store_cb cb, void *arg);
/*
 * Set, change or (text NULL) remove the master key (T6KEY-8..14); old: the present one, looked at only when there is
 * one and text is given. Secrets of running and candidate follow at once, the files soon after.
 */
void store_master_key(struct store *s, const char *old, const char *text, const char *user, store_cb cb, void *arg);
/*
 * Make an RSA key pair of bits, or with usage_keys one to sign and one to decrypt with (IKE-44), and name its files in
 * the candidate; name NULL: the router's. result: {"name", "bits", "files"}. One at a time; cb always, perhaps at once.
 */
void store_generate_rsa(struct store *s, const char *name, bool usage_keys, unsigned bits, store_cb cb, void *arg);
/* Wipe its files and take it out of the candidate. Refused while the running configuration uses them. */
int store_zeroize_rsa(struct store *s, const char *name, struct model_err *err);
bool store_have_master_key(const struct store *s);
void store_password_logging(struct store *s, bool on);
/* What an operator who looks at the configuration must be told (T6KEY-7), or NULL. */
const char *store_secret_notice(const struct store *s);
/* Write the running configuration to the startup file. Refused while a commit waits for confirmation. */
int store_save(struct store *s, struct model_err *err);

/* Texts with secrets hidden; model_text_free() them. which: "running", "candidate", "startup", or "0".."49". */
char *store_print(struct store *s, const char *which, const char *path, LYD_FORMAT format, struct model_err *err);
/* What a commit would change; with n >= 0, what store_rollback(n) would. NULL with err. */
json_t *store_diff(struct store *s, int n, struct model_err *err);
json_t *store_history(struct store *s);
/* {"changes", "confirm_seconds_left", "startup_differs"} */
json_t *store_status(struct store *s);
json_t *store_complete(struct store *s, const char *path);

#endif
