/* SPDX-License-Identifier: BSD-3-Clause */
#include "ids.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_log.h"
#include "cv_msg.h"
#include "virtual_access.h"

/* Numbers [first, first + count). */
static const struct {
	const char *name;
	uint32_t first, count;
} range[ID_KINDS] = {
	[ID_VRF] = {"vrf", 1, CV_VRF_MAX - 1},
	[ID_PORT] = {"port", 0, CV_PORT_MAX},
	[ID_IF] = {"interface", 1, CV_IF_MAX - 1},
	[ID_SPD] = {"spd", 1, 65535},
	[ID_RULE] = {"rule", 1, VIRTUAL_ACCESS_RULE_MIN - 1}, /* those of sessions follow */
	[ID_ACL] = {"access-list", 1, CV_ACL_MAX - 1},
	[ID_ACL_COUNTER] = {"access-list-counter", 1, CV_ACL_COUNTERS - 1},
	[ID_QOS_POLICY] = {"qos-policy", 1, (1u << 24) - 1},
	[ID_QOS_SLOT] = {"qos-slot", 1, CV_QOS_SLOTS - 1},
};

/* New in this round, or asked for in it; anything else is a leftover of earlier rounds. */
enum mark { MARK_OLD = 0, MARK_KEPT = 1, MARK_NEW = 2 };

struct id_table {
	json_t *id;    /* key -> number */
	json_t *mark;  /* key -> enum mark, this round */
	uint8_t *used; /* bit per number */
	uint32_t next; /* where the search for a free one goes on, so that a freed number rests */
};

struct ids {
	char *path;
	struct id_table t[ID_KINDS];
};

static bool is_used(const struct id_table *t, uint32_t n)
{
	return t->used[n / 8] & (1u << (n % 8));
}

static void set_used(struct id_table *t, uint32_t n, bool used)
{
	if (used)
		t->used[n / 8] |= (uint8_t)(1u << (n % 8));
	else
		t->used[n / 8] &= (uint8_t) ~(1u << (n % 8));
}

static void table_load(struct ids *ids, enum id_kind k, const json_t *from)
{
	struct id_table *t = &ids->t[k];
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)from, key, v) {
		json_int_t id = json_integer_value(v);
		uint32_t n = (uint32_t)(id - range[k].first);

		if (!json_is_integer(v) || id < range[k].first || n >= range[k].count || is_used(t, n)) {
			cv_warn("control", "%s: %s '%s' has no usable number, it gets a new one", ids->path,
				range[k].name, key);
			continue;
		}
		set_used(t, n, true);
		json_object_set(t->id, key, v);
		if (n >= t->next)
			t->next = n + 1;
	}
}

struct ids *ids_open(const char *path)
{
	struct ids *ids = calloc(1, sizeof(*ids));
	json_error_t err;
	json_t *file;

	if (!ids)
		abort();
	for (int k = 0; k < ID_KINDS; k++) {
		ids->t[k].id = json_object();
		ids->t[k].mark = json_object();
		ids->t[k].used = calloc(range[k].count / 8 + 1, 1);
		if (!ids->t[k].id || !ids->t[k].mark || !ids->t[k].used)
			abort();
	}
	if (!path)
		return ids;
	ids->path = strdup(path);
	file = json_load_file(path, JSON_REJECT_DUPLICATES, &err);
	if (!file && json_error_code(&err) != json_error_cannot_open_file)
		cv_warn("control", "%s: %s; numbers start afresh", path, err.text);
	for (int k = 0; file && k < ID_KINDS; k++)
		table_load(ids, k, json_object_get(file, range[k].name));
	json_decref(file);
	return ids;
}

void ids_close(struct ids *ids)
{
	if (!ids)
		return;
	for (int k = 0; k < ID_KINDS; k++) {
		json_decref(ids->t[k].id);
		json_decref(ids->t[k].mark);
		free(ids->t[k].used);
	}
	free(ids->path);
	free(ids);
}

void ids_begin(struct ids *ids)
{
	for (int k = 0; k < ID_KINDS; k++)
		json_object_clear(ids->t[k].mark);
}

int ids_get(struct ids *ids, enum id_kind kind, const char *key, uint32_t *id)
{
	struct id_table *t = &ids->t[kind];
	json_t *known = json_object_get(t->id, key);

	if (known) {
		*id = (uint32_t)json_integer_value(known);
		if (!json_object_get(t->mark, key))
			json_object_set_new(t->mark, key, json_integer(MARK_KEPT));
		return 0;
	}
	for (uint32_t i = 0; i < range[kind].count; i++) {
		uint32_t n = (t->next + i) % range[kind].count;

		if (is_used(t, n))
			continue;
		set_used(t, n, true);
		t->next = n + 1;
		*id = range[kind].first + n;
		json_object_set_new(t->id, key, json_integer(*id));
		json_object_set_new(t->mark, key, json_integer(MARK_NEW));
		return 0;
	}
	return -ENOSPC;
}

int ids_claim(struct ids *ids, enum id_kind kind, const char *key, uint32_t id)
{
	struct id_table *t = &ids->t[kind];
	json_t *known = json_object_get(t->id, key);
	uint32_t n = id - range[kind].first;

	if (known) {
		if ((uint32_t)json_integer_value(known) != id)
			return -EBUSY;
		json_object_set_new(t->mark, key, json_integer(MARK_KEPT));
		return 0;
	}
	if (n >= range[kind].count || is_used(t, n))
		return -EBUSY;
	set_used(t, n, true);
	json_object_set_new(t->id, key, json_integer(id));
	json_object_set_new(t->mark, key, json_integer(MARK_KEPT));
	return 0;
}

void ids_release(struct ids *ids, enum id_kind kind, const char *key)
{
	struct id_table *t = &ids->t[kind];
	json_t *known = json_object_get(t->id, key);

	if (!known)
		return;
	set_used(t, (uint32_t)json_integer_value(known) - range[kind].first, false);
	json_object_del(t->mark, key);
	json_object_del(t->id, key);
}

int ids_save(struct ids *ids)
{
	char tmp[4096];
	json_t *file;
	int r = 0;

	if (!ids->path)
		return 0;
	file = json_object();
	for (int k = 0; k < ID_KINDS; k++)
		json_object_set(file, range[k].name, ids->t[k].id);
	snprintf(tmp, sizeof(tmp), "%s.new", ids->path);
	if (json_dump_file(file, tmp, JSON_INDENT(1) | JSON_SORT_KEYS) || rename(tmp, ids->path))
		r = errno ? -errno : -EIO;
	json_decref(file);
	return r;
}

/* Free every number whose mark is `mark`. */
static void drop_marked(struct ids *ids, enum mark mark)
{
	for (int k = 0; k < ID_KINDS; k++) {
		struct id_table *t = &ids->t[k];
		const char *key;
		void *tmp;
		json_t *v;

		json_object_foreach_safe(t->id, tmp, key, v)
		{
			if (json_integer_value(json_object_get(t->mark, key)) != mark)
				continue;
			set_used(t, (uint32_t)json_integer_value(v) - range[k].first, false);
			json_object_del(t->id, key);
		}
		json_object_clear(t->mark);
	}
	if (ids_save(ids))
		cv_warn("control", "%s: %s", ids->path, strerror(errno));
}

void ids_commit(struct ids *ids)
{
	drop_marked(ids, MARK_OLD);
}

void ids_rollback(struct ids *ids)
{
	drop_marked(ids, MARK_NEW);
}
