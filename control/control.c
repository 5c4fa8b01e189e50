/* SPDX-License-Identifier: BSD-3-Clause */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "control_priv.h"
#include "cv_log.h"
#include "if_rates.h"
#include "ike_capture.h"
#include "virtual_access.h"

#define DEFAULT_SOCKET "/run/culvert/dataplane.sock"
#define DEFAULT_RUN_DIR "/run/culvert"
#define VAULT_RECORDS 16384u
#define STOP_POLL_MS 20
#define STOP_MAX_MS 1500 /* for the answers of the peers to our deletes */

static const struct dpclient_ops dp_ops = {
	.vault_fd = host_vault_fd,
	.up = sync_up,
	.down = sync_down,
	.event = host_event,
	.packet = host_packet,
};

static void free_parts(struct control *c)
{
	c->vault_frozen = true;
	ike_free(c->ike);
	aaa_free(c->aaa);
	child_table_free(c->children);
	session_table_free(c->sessions);
	virtual_access_free(c->virtual_access);
	if_rates_free(c->if_rates);
	show_base_free(c->base);
	event_history_free(c->events);
	if (c->vault)
		cv_vault_close(c->vault, c->graceful); /* peers have been told: nothing to find again */
	ids_close(c->ids);
	desired_free(c->desired);
	config_unref(c->running);
	free(c->spi);
	peer_names_free(c->peer_names);
	free(c->run_dir);
	free(c);
}

/* libuv reads it when the pool starts, that is at the first piece of work. */
static void size_pool(unsigned threads)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", threads ? threads : uv_available_parallelism());
	setenv("UV_THREADPOOL_SIZE", text, threads != 0);
}

static int make_parts(struct control *c, const struct control_opts *opts)
{
	struct dpclient_opts dp = {.path = opts->dataplane_socket ? opts->dataplane_socket : DEFAULT_SOCKET,
		.timeout_ms = opts->reply_timeout_ms};
	char path[4096];

	c->run_dir = strdup(opts->run_dir ? opts->run_dir : DEFAULT_RUN_DIR);
	if (!c->run_dir || (mkdir(c->run_dir, 0750) && errno != EEXIST))
		return -1;
	snprintf(path, sizeof(path), "%s/ids.json", c->run_dir);
	c->ids = ids_open(path);
	c->vault = cv_vault_create(VAULT_RECORDS);
	c->events = event_history_new();
	c->children = child_table_new(c);
	c->sessions = session_table_new(c);
	c->virtual_access = virtual_access_new(c);
	c->if_rates = if_rates_new();
	c->spi = spi_memory_new();
	c->peer_names = peer_names_new();
	c->aaa = aaa_new(&aaa_net_ops, c);
	c->ike = ike_new(&host_ike_ops, c);
	if (!c->events || !c->vault || !c->children || !c->sessions || !c->virtual_access || !c->spi ||
		!c->peer_names || !c->aaa || !c->ike)
		return -1;
	c->dp = dpclient_new(c->loop, &dp, &dp_ops, c);
	return c->dp ? 0 : -1;
}

struct control *control_new(uv_loop_t *loop, const struct control_opts *opts)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = loop;
	c->vault_back = -1;
	c->started_ms = host_now_ms(c);
	size_pool(opts->pk_threads);
	if (make_parts(c, opts)) {
		int err = errno;

		free_parts(c);
		errno = err;
		return NULL;
	}
	uv_timer_init(loop, &c->sync_timer);
	c->sync_timer.data = c;
	c->handles = 1;
	host_start(c);
	return c;
}

struct cv_config *control_running(struct control *c)
{
	return c->running;
}

/* ---- the end ---- */

void control_maybe_free(struct control *c)
{
	void (*cb)(void *arg) = c->stop_cb;
	void *arg = c->stop_arg;

	if (!c->stopping || c->handles || c->n_jobs)
		return;
	free_parts(c);
	if (cb)
		cb(arg);
}

static void handle_closed(uv_handle_t *h)
{
	struct control *c = h->data;

	c->handles--;
	control_maybe_free(c);
}

/* The dataplane client is gone and with it every reply that could still call into IKE. */
static void dp_closed(void *arg)
{
	struct control *c = arg;

	c->dp = NULL;
	uv_close((uv_handle_t *)&c->sync_timer, handle_closed);
}

static uint64_t ike_sas_left(struct control *c)
{
	json_t *stats = ike_show_stats(c->ike);
	uint64_t n = (uint64_t)json_integer_value(json_object_get(stats, "sas"));

	json_decref(stats);
	return n;
}

static void stop_poll(uv_timer_t *t)
{
	struct control *c = t->data;
	bool late = host_now_ms(c) >= c->stop_deadline_ms;

	if ((!late && c->graceful && ike_sas_left(c)) || c->n_jobs)
		return; /* work on the pool refers to us: it is always waited for */
	uv_timer_stop(t);
	/* without the prepare handle nothing enters IKE any more but replies that fail now, which says nothing about
	 * what they were to answer: the dataplane may have done it, and the next culvertd asks it */
	c->vault_frozen = !c->graceful;
	uv_close((uv_handle_t *)&c->prepare, handle_closed);
	uv_close((uv_handle_t *)&c->ike_timer, handle_closed);
	aaa_net_close(c);
	peer_names_close(c);
	dpclient_close(c->dp, dp_closed, c);
}

void control_stop(struct control *c, bool graceful, void (*cb)(void *arg), void *arg)
{
	if (c->apply.cfg && !c->apply.started)
		apply_end(c, "culvertd is stopping");
	c->stopping = true;
	trace_end(c);
	ike_capture_end(c, "culvertd is stopping");
	c->graceful = graceful;
	c->stop_cb = cb;
	c->stop_arg = arg;
	c->stop_deadline_ms = host_now_ms(c) + (graceful ? STOP_MAX_MS : 0);
	if (graceful)
		ike_clear(c->ike, &(struct ike_match){.fvrf = -1, .ivrf = -1});
	uv_timer_start(&c->sync_timer, stop_poll, 0, STOP_POLL_MS);
}
