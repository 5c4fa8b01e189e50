/* SPDX-License-Identifier: BSD-3-Clause */
#include "debug.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cv_addr.h"

#define ID_MAX 32766u

const char *debug_area_name(enum debug_area area)
{
	static const char *const name[DEBUG_AREAS] = {"isakmp", "ikev2", "ipsec", "engine"};

	return name[area];
}

static bool has_context(const struct debug_ctx *c)
{
	return c && (cv_addr_bits(&c->peer) || c->peer_id || c->fvrf || c->ivrf || c->spi[0] || c->spi[1] ||
			    c->conn[0] || c->conn[1]);
}

static bool same_text(const char *a, const char *b)
{
	return a && !strcasecmp(a, b);
}

static bool matches(const struct debug_cond *k, const struct debug_ctx *c)
{
	switch (k->type) {
	case DEBUG_PEER:
		return c->peer.af == k->peer.addr.af && cv_prefix_contains(&k->peer, &c->peer);
	case DEBUG_HOSTNAME:
	case DEBUG_GROUP:
	case DEBUG_USERNAME:
		return same_text(c->peer_id, k->text);
	case DEBUG_FVRF:
		return same_text(c->fvrf, k->text);
	case DEBUG_IVRF:
		return same_text(c->ivrf, k->text);
	case DEBUG_SPI:
		return c->spi[0] == k->number || c->spi[1] == k->number;
	case DEBUG_CONNID:
	case DEBUG_FLOWID:
		return k->number && (c->conn[0] == k->number || c->conn[1] == k->number);
	}
	return false;
}

bool debug_matches(const struct debug *d, const struct debug_ctx *ctx, bool unmatched)
{
	if (!d->n_cond)
		return true;
	if (!has_context(ctx))
		return unmatched;
	for (unsigned i = 0; i < d->n_cond; i++)
		if (matches(&d->cond[i], ctx))
			return true;
	return false;
}

bool debug_passes(
	const struct debug *d, enum debug_area area, enum debug_level level, bool error, const struct debug_ctx *ctx)
{
	enum debug_level on = d->level[area];

	/* an area that is on prints everything; errors only, errors only (CDBG-10, 11) */
	if (on == DEBUG_OFF || (on == DEBUG_ERROR && !error) || (on > DEBUG_ERROR && !error && level > on))
		return false;
	return debug_matches(d, ctx, d->unmatched[area]);
}

static bool in_range(const struct debug_cond *c)
{
	if (c->type == DEBUG_CONNID || c->type == DEBUG_FLOWID)
		return c->number >= 1 && c->number <= ID_MAX;
	return c->type != DEBUG_SPI || c->number != 0;
}

int debug_add(struct debug *d, const struct debug_cond *cond)
{
	for (unsigned i = 0; i < d->n_cond; i++)
		if (!memcmp(&d->cond[i], cond, sizeof(*cond)))
			return -EEXIST;
	if (!in_range(cond))
		return -EINVAL;
	if (d->n_cond == DEBUG_CONDITIONS_MAX)
		return -ENOSPC;
	d->cond[d->n_cond++] = *cond;
	return 0;
}

void debug_reset(struct debug *d)
{
	memset(d->cond, 0, sizeof(d->cond));
	d->n_cond = 0;
	memset(d->unmatched, 0, sizeof(d->unmatched));
}

bool debug_any_area(const struct debug *d)
{
	for (unsigned a = 0; a < DEBUG_AREAS; a++)
		if (d->level[a] != DEBUG_OFF)
			return true;
	return false;
}

static json_t *cond_value(const struct debug_cond *k)
{
	char text[CV_PREFIX_STR], id[32];

	switch (k->type) {
	case DEBUG_PEER:
		return json_string(k->peer.len == cv_addr_bits(&k->peer.addr) ? cv_addr_str(&k->peer.addr, text)
									      : cv_prefix_str(&k->peer, text));
	case DEBUG_SPI:
		snprintf(id, sizeof(id), "0x%08x", k->number);
		return json_string(id);
	case DEBUG_CONNID:
	case DEBUG_FLOWID:
		snprintf(id, sizeof(id), "%u:%u", k->number, k->engine);
		return json_string(id);
	default:
		return json_string(k->text);
	}
}

json_t *debug_show(const struct debug *d)
{
	static const char *const type[] = {[DEBUG_PEER] = "peers",
		[DEBUG_HOSTNAME] = "hostnames",
		[DEBUG_GROUP] = "groups",
		[DEBUG_USERNAME] = "usernames",
		[DEBUG_FVRF] = "fvrfs",
		[DEBUG_IVRF] = "ivrfs",
		[DEBUG_SPI] = "spis",
		[DEBUG_CONNID] = "connids",
		[DEBUG_FLOWID] = "flowids"};
	static const char *const level[] = {"off", "error", "on", "detail"};
	json_t *o = json_object(), *areas = json_object(), *unmatched = json_object();
	bool on = d->n_cond != 0;

	for (unsigned a = 0; a < DEBUG_AREAS; a++) {
		json_object_set_new(areas, debug_area_name(a), json_string(level[d->level[a]]));
		json_object_set_new(unmatched, debug_area_name(a), json_boolean(d->unmatched[a]));
		on |= d->unmatched[a];
	}
	json_object_set_new(o, "conditional", json_boolean(on)); /* CDBG-7 */
	json_object_set_new(o, "areas", areas);
	json_object_set_new(o, "unmatched", unmatched);
	for (unsigned i = 0; i < d->n_cond; i++) {
		const char *key = type[d->cond[i].type];
		json_t *list = json_object_get(o, key);

		if (!list)
			json_object_set_new(o, key, list = json_array());
		json_array_append_new(list, cond_value(&d->cond[i]));
	}
	return o;
}
