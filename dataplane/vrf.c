/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* VRFs are few and change seldom: a transaction that touches them works on a copy of the whole table. */
struct vrf_table {
	struct {
		bool exists;
		bool named; /* by the SYNC transaction in progress */
		char name[CV_NAME_MAX];
	} vrf[CV_VRF_MAX];
};

static struct vrf_table initial = {.vrf[CV_VRF_GLOBAL] = {.exists = true, .name = "global"}};
static struct vrf_table *running = &initial;
static struct vrf_table *staged; /* NULL = unchanged */
static bool syncing;

static struct vrf_table *staged_table(void)
{
	if (!staged) {
		staged = malloc(sizeof(*staged));
		if (staged)
			*staged = *running;
	}
	return staged;
}

static const struct vrf_table *view(void)
{
	return staged ? staged : running;
}

bool vrf_exists(uint32_t vrf_id)
{
	return vrf_id < CV_VRF_MAX && view()->vrf[vrf_id].exists;
}

const char *vrf_name(uint32_t vrf_id)
{
	return vrf_exists(vrf_id) ? view()->vrf[vrf_id].name : "";
}

bool vrf_changing(void)
{
	return staged != NULL;
}

static int vrf_set(const struct cv_vrf *cmd, char *text)
{
	struct vrf_table *t = staged_table();

	if (!t)
		return CV_ERR_NO_MEMORY;
	if (cmd->vrf_id == CV_VRF_GLOBAL || cmd->vrf_id >= CV_VRF_MAX) {
		snprintf(text, 128, "VRF id %u is out of range 1..%u", cmd->vrf_id, CV_VRF_MAX - 1);
		return CV_ERR_MALFORMED;
	}
	t->vrf[cmd->vrf_id].exists = true;
	t->vrf[cmd->vrf_id].named = true;
	snprintf(t->vrf[cmd->vrf_id].name, CV_NAME_MAX, "%.*s", CV_NAME_MAX - 1, cmd->name);
	return 0;
}

static int vrf_del(const struct cv_vrf *cmd, char *text)
{
	struct vrf_table *t = staged_table();

	if (!t)
		return CV_ERR_NO_MEMORY;
	if (cmd->vrf_id == CV_VRF_GLOBAL || !vrf_exists(cmd->vrf_id)) {
		snprintf(text, 128, "there is no VRF %u to delete", cmd->vrf_id);
		return CV_ERR_NOT_FOUND;
	}
	t->vrf[cmd->vrf_id].exists = false;
	return 0;
}

static int vrf_stage(uint16_t type, const void *body, char *text)
{
	return type == CV_CMD_VRF_SET ? vrf_set(body, text) : vrf_del(body, text);
}

static void vrf_sync(void)
{
	struct vrf_table *t = staged_table();

	for (uint32_t i = 0; t && i < CV_VRF_MAX; i++)
		t->vrf[i].named = false;
	syncing = true;
}

/* Whether interfaces and routes still use a VRF that goes is asked by their own prepare(), which comes later. */
static int vrf_prepare(char *text)
{
	(void)text;
	if (!syncing)
		return 0;
	if (!staged)
		return CV_ERR_NO_MEMORY;
	for (uint32_t i = CV_VRF_GLOBAL + 1; i < CV_VRF_MAX; i++)
		staged->vrf[i].exists = staged->vrf[i].named;
	return 0;
}

static void vrf_publish(void)
{
	if (staged) {
		if (running != &initial)
			free(running);
		running = staged;
	}
	staged = NULL;
	syncing = false;
}

static void vrf_abort(void)
{
	free(staged);
	staged = NULL;
	syncing = false;
}

const struct dp_module vrf_module = {
	.name = "vrf",
	.stage = vrf_stage,
	.sync = vrf_sync,
	.prepare = vrf_prepare,
	.publish = vrf_publish,
	.abort = vrf_abort,
};
