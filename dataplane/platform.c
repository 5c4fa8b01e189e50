/* SPDX-License-Identifier: BSD-3-Clause */
/* CV_CMD_PLATFORM_SET: how many workers are active, and how they wait. */
#include "command.h"
#include "cv_log.h"
#include "port.h"

static struct cv_platform want;
static bool staged;

static int stage(uint16_t type, const void *body, char *text)
{
	(void)type;
	(void)text;
	want = *(const struct cv_platform *)body;
	staged = true;
	return CV_OK;
}

static void publish(void)
{
	if (!staged)
		return;
	staged = false;
	uint32_t before = workers_active();
	/* A worker must be awake before it gets queues, and have none when it goes to sleep. */
	if (want.workers < before)
		port_assign_queues(want.workers);
	workers_set_active(want.workers, (enum cv_poll_mode)want.poll_mode);
	if (want.workers > before)
		port_assign_queues(want.workers);
	if (want.workers != before)
		cv_notice("platform", "%u of %u workers active", want.workers, dp_n_workers);
}

static void abort_txn(void)
{
	staged = false;
}

const struct dp_module platform_module = {
	.name = "platform",
	.stage = stage,
	.publish = publish,
	.abort = abort_txn,
};
