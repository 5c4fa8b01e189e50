/* SPDX-License-Identifier: BSD-3-Clause */
/* control_apply(): a new configuration takes effect everywhere or nowhere. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control_priv.h"
#include "cv_log.h"
#include "temporary.h"
#include "virtual_access.h"

void apply_end(struct control *c, const char *err)
{
	struct apply a = c->apply;

	memset(&c->apply, 0, sizeof(c->apply));
	if (err) {
		ids_rollback(c->ids);
		desired_free(a.desired);
		config_unref(a.cfg);
	}
	a.cb(a.arg, err);
}

void apply_adopt(struct control *c, struct cv_config *cfg, struct desired *desired, bool installed)
{
	struct cv_config *old = c->running;
	struct desired *old_desired = c->desired;

	c->running = cfg;
	c->desired = desired;
	c->installed = installed ? desired : NULL;
	ids_commit(c->ids);
	peer_names_config(c, cfg);
	/* IKE asks path_local_addr() and entry_serves() about the new configuration while it switches */
	aaa_net_config(c, cfg);
	ike_set_config(c->ike, cfg);
	virtual_access_adopted(c->virtual_access, old_desired);
	child_left(c->children, true);
	child_egress(c->children);
	session_config(c->sessions);
	idle_config(c);
	desired_free(old_desired);
	config_unref(old);
}

static void committed(void *arg, int err, const char *text)
{
	struct control *c = arg;
	bool syncing = c->sync == SYNC_BUSY;

	if (err) {
		child_left(c->children, false);
		if (syncing)
			c->sync = SYNC_FAILED;
		if (syncing && dpclient_is_up(c->dp)) /* the running configuration is still to be pushed */
			uv_timer_start(&c->sync_timer, sync_retry, 0, 0);
		apply_end(c, text);
		return;
	}
	apply_adopt(c, c->apply.cfg, c->apply.desired, true);
	if (syncing)
		sync_done(c);
	else
		manual_install(c);
	apply_end(c, NULL);
}

/* The dataplane holds the running configuration: only the difference travels. */
static struct dp_txn *difference(struct control *c, const struct desired *d)
{
	struct dp_txn *txn = dp_txn_new(0);
	struct dp_steps steps;

	desired_diff(c->installed, d, &steps);
	child_leave(c->children, d, txn);
	for (unsigned i = 0; i < steps.n; i++)
		dp_txn_add(txn, steps.step[i].type, steps.step[i].body, steps.step[i].len, steps.step[i].label);
	cv_info("control", "commit: %u objects of %u change", steps.n, d->n_obj);
	dp_steps_free(&steps);
	return txn;
}

/* 0, or the error written. */
static int build(struct control *c, char err[static CFG_ERR_MAX])
{
	struct apply *a = &c->apply;
	int r;

	ids_begin(c->ids);
	a->desired = desired_build(a->cfg, c->ids, control_max_workers(c), err);
	if (!a->desired)
		return -EINVAL;
	temporary_carry(c, a->desired, a->cfg);
	r = ids_save(c->ids);
	if (r)
		snprintf(err, CFG_ERR_MAX, "ids.json cannot be written: %s", strerror(-r));
	return r;
}

void apply_run(struct control *c)
{
	struct apply *a = &c->apply;
	char err[CFG_ERR_MAX];
	struct dp_txn *txn;

	if (!a->cfg || a->started || c->sync == SYNC_BUSY)
		return;
	a->started = true;
	if (build(c, err)) {
		apply_end(c, err);
		return;
	}
	if (!dpclient_is_up(c->dp) || !c->running) { /* accepted, and pushed when there is a dataplane */
		apply_adopt(c, a->cfg, a->desired, false);
		apply_end(c, NULL);
		sync_start(c);
		return;
	}
	if (c->sync == SYNC_DONE) {
		txn = difference(c, a->desired);
	} else { /* the running configuration could not be pushed; this one may */
		uv_timer_stop(&c->sync_timer);
		c->sync = SYNC_BUSY;
		txn = sync_transaction(c, a->desired);
	}
	dp_txn_commit(c->dp, txn, committed, c);
}

int control_apply(struct control *c, struct cv_config *cfg, void (*cb)(void *arg, const char *err), void *arg)
{
	if (c->apply.cfg || c->stopping)
		return -EBUSY;
	c->apply = (struct apply){.cfg = config_ref(cfg), .cb = cb, .arg = arg};
	apply_run(c);
	return 0;
}
