/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a dataplane that we have just met hold the running configuration. Three cases: it has restarted (everything
 * is pushed, the children are negotiated again over the living IKE SAs); we have restarted (IKE SAs come back from the
 * vault, their SAs are named as kept); only the connection was lost (the same, without the vault). In all of them one
 * SYNC transaction names the whole desired state, so traffic that is not affected never stops.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_priv.h"
#include "control_priv.h"
#include "cv_log.h"
#include "cv_secret.h"
#include "temporary.h"

#define SYNC_RETRY_MS 3000

uint32_t control_max_workers(const struct control *c)
{
	return c->info.max_workers ? c->info.max_workers : 1;
}

/* ---- the vault ---- */

static void restore_records(struct control *c)
{
	static uint8_t buf[CV_VAULT_RECORD_MAX];
	unsigned n = 0, bad = 0;

	for (int rec = cv_vault_next(c->vault, -1); rec >= 0; rec = cv_vault_next(c->vault, rec)) {
		int len = cv_vault_read(c->vault, rec, buf, sizeof(buf));

		if (len >= 0 && !ike_restore(c->ike, rec, buf, (size_t)len)) {
			n++;
			continue;
		}
		bad++;
		cv_vault_free(c->vault, rec);
	}
	cv_secret_zero(buf, sizeof(buf));
	if (n || bad)
		cv_notice("control", "%u IKE SAs taken over from before the restart, %u could not be", n, bad);
}

static void restore_child(void *arg, const struct ike_child_info *info)
{
	struct control *c = arg;

	child_restore(c->children, info);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What an earlier process left, once there is a configuration to restore it under. */
static void take_vault_back(struct control *c)
{
	int fd = c->vault_back;
	struct cv_vault *v;

	if (fd < 0)
		return;
	c->vault_back = -1;
	if (c->vault && same_file(fd, cv_vault_fd(c->vault))) { /* our own, after a lost connection */
		close(fd);
		return;
	}
	v = cv_vault_open(fd);
	if (!v) {
		cv_warn("control", "the vault of an earlier process is not readable: %s", strerror(errno));
		return;
	}
	cv_vault_close(c->vault, 1);
	c->vault = v;
	restore_records(c);
	ike_for_each_child(c->ike, restore_child, c);
}

/* ---- the transaction ---- */

struct dp_txn *sync_transaction(struct control *c, const struct desired *d)
{
	struct dp_txn *txn = dp_txn_new(CV_TXN_SYNC);
	struct dp_steps steps;

	desired_diff(NULL, d, &steps);
	for (unsigned i = 0; i < steps.n; i++)
		dp_txn_add(txn, steps.step[i].type, steps.step[i].body, steps.step[i].len, steps.step[i].label);
	dp_steps_free(&steps);
	child_keep(c->children, d, txn);
	return txn;
}

static void sync_failed(struct control *c, const char *why)
{
	c->sync = SYNC_FAILED;
	if (strcmp(c->push_error, why)) {
		snprintf(c->push_error, sizeof(c->push_error), "%s", why);
		cv_err("control", "the dataplane does not take the configuration: %s; trying again", why);
	}
	if (!c->stopping)
		uv_timer_start(&c->sync_timer, sync_retry, SYNC_RETRY_MS, 0);
	apply_run(c);
}

void sync_done(struct control *c)
{
	bool lost = c->new_instance;

	c->push_error[0] = '\0';
	c->sync = SYNC_DONE;
	c->synced_instance = c->info.instance;
	c->new_instance = false;
	cv_notice("control", "the dataplane holds the configuration (%u objects, %u IPsec SA pairs)", c->desired->n_obj,
		child_count(c->children));
	if (lost)
		ike_children_lost(c->ike);
	child_sync_end(c->children, lost);
	child_egress(c->children);
	manual_install(c);
}

static void sync_committed(void *arg, int err, const char *text)
{
	struct control *c = arg;

	if (err == -ECONNRESET)
		return; /* sync_down() has been or will be called */
	if (err) {
		child_left(c->children, false);
		sync_failed(c, text);
		return;
	}
	c->installed = c->desired;
	child_left(c->children, true);
	sync_done(c);
	apply_run(c);
}

static void on_sa(void *arg, const void *entry, size_t size)
{
	struct control *c = arg;

	if (size >= sizeof(struct cv_sa_entry))
		child_seen(c->children, entry);
}

static void on_sas_end(void *arg, int err)
{
	struct control *c = arg;
	char text[CFG_ERR_MAX];
	struct desired *d;

	if (err == -ECONNRESET)
		return;
	if (err) {
		sync_failed(c, "the dataplane cannot list its SAs");
		return;
	}
	/* again, because the number of workers is the dataplane's */
	ids_begin(c->ids);
	d = desired_build(c->running, c->ids, control_max_workers(c), text);
	if (d) /* within the round, or what sessions have would get new numbers */
		temporary_carry(c, d, c->running);
	if (!d || ids_save(c->ids)) {
		desired_free(d);
		sync_failed(c, d ? "ids.json cannot be written" : text);
		return;
	}
	ids_commit(c->ids);
	desired_free(c->desired);
	c->desired = d;
	dp_txn_commit(c->dp, sync_transaction(c, d), sync_committed, c);
}

void sync_start(struct control *c)
{
	if (!c->running || !dpclient_is_up(c->dp) || c->sync == SYNC_BUSY || c->stopping)
		return;
	uv_timer_stop(&c->sync_timer);
	c->sync = SYNC_BUSY;
	c->installed = NULL;
	take_vault_back(c);
	if (c->new_instance)
		child_forget_halves(c->children);
	manual_adopt(c);
	child_sync_begin(c->children);
	dpclient_dump(c->dp, CV_DUMP_SA, 0, on_sa, on_sas_end, c);
}

void sync_retry(uv_timer_t *t)
{
	sync_start(t->data);
}

/* ---- the connection ---- */

bool control_can(const struct control *c, struct algo_suite s)
{
	const struct cv_hello_info *i = &c->info;

	if (!i->instance)
		return true; /* no dataplane has come yet to say what it cannot */
	return (s.encr == CV_ENCR_NONE || i->encr_caps >> s.encr & 1) &&
	       (s.integ == CV_INTEG_NONE || i->integ_caps >> s.integ & 1) &&
	       (s.ah == CV_INTEG_NONE || (i->ipsec_caps & CV_CAN_AH && i->integ_caps >> s.ah & 1));
}

void control_warn(
	const struct control *c, const struct cv_config *cfg, void (*warn)(void *arg, const char *text), void *arg)
{
	char text[256];

	for (unsigned i = 0; cfg && i < cfg->n_transform_set; i++) {
		const struct cfg_transform_set *t = &cfg->transform_set[i];

		if (t->builtin || control_can(c, t->suite))
			continue;
		snprintf(text, sizeof(text), PATH_TS ": %s cannot do it; it is ignored when negotiating (IKE-33)",
			t->name, c->info.provider);
		warn(arg, text);
	}
}

static void log_warning(void *arg, const char *text)
{
	(void)arg;
	cv_warn("control", "%s", text);
}

void sync_up(void *ctx, const struct cv_hello_info *info, int vault_back)
{
	struct control *c = ctx;

	c->info = *info;
	c->vault_back = vault_back;
	c->new_instance = c->synced_instance && c->synced_instance != info->instance;
	c->sync = SYNC_NONE;
	cv_notice("control", "connected to dataplane %s, %s%s", info->version, info->provider,
		c->new_instance ? ", which has restarted" : "");
	debug_engine(c, DEBUG_ON, false,
		"the dataplane has come: provider %s, %d ciphers, %d integrity algorithms, %u workers", info->provider,
		__builtin_popcountll(info->encr_caps), __builtin_popcountll(info->integ_caps), control_max_workers(c));
	control_warn(c, c->running, log_warning, NULL);
	sync_start(c);
}

void sync_down(void *ctx)
{
	struct control *c = ctx;

	debug_engine(c, DEBUG_ON, true, "the dataplane has gone, and with it provider %s: no SA can be installed",
		c->info.provider);
	c->sync = SYNC_NONE;
	c->installed = NULL;
	uv_timer_stop(&c->sync_timer);
	if (c->vault_back >= 0)
		close(c->vault_back);
	c->vault_back = -1;
	apply_run(c);
}
