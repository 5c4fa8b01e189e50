/* SPDX-License-Identifier: BSD-3-Clause */
/* debug crypto, its conditions, and the history of sessions; what they print of messages and events. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cv_addr.h"
#include "cv_log.h"
#include "show_priv.h"

/* ---- what happens ---- */

static const char *vrf_text(const struct control *c, uint32_t id)
{
	const char *name = host_vrf_name(c, id);

	return name ? name : "global";
}

void debug_message_context(const struct control *c, const struct ike_path *path, const uint8_t *data, size_t len,
	struct ike_sa_brief *brief, struct debug_ctx *ctx)
{
	struct ike_sa_name name;

	*ctx = (struct debug_ctx){.peer = path->remote, .fvrf = vrf_text(c, path->vrf)};
	if (!ike_sa_of_message(c->ike, data, len, &name) || !ike_sa_brief(c->ike, &name, brief))
		return;
	ctx->peer_id = brief->peer_id[0] ? brief->peer_id : NULL;
	ctx->ivrf = vrf_text(c, brief->ivrf);
	ctx->conn[0] = (uint32_t)brief->id;
}

void debug_message(struct control *c, const struct ike_path *path, bool out, const uint8_t *data, size_t len)
{
	enum debug_area area = len > 17 && data[17] >> 4 == 2 ? DEBUG_IKEV2 : DEBUG_ISAKMP;
	struct ike_sa_brief brief;
	struct debug_ctx ctx;
	char local[CV_ADDR_STR], remote[CV_ADDR_STR];

	if (c->debug.level[area] < DEBUG_ON || len < 28)
		return;
	debug_message_context(c, path, data, len, &brief, &ctx);
	if (!debug_passes(&c->debug, area, DEBUG_ON, false, &ctx))
		return;
	cv_notice("debug", "%s: %s %s:%u -> %s:%u exchange %u flags 0x%02x message %u, %zu bytes",
		debug_area_name(area), out ? "sending" : "received",
		cv_addr_str(out ? &path->local : &path->remote, local), out ? path->lport : path->rport,
		cv_addr_str(out ? &path->remote : &path->local, remote), out ? path->rport : path->lport, data[18],
		data[19], (unsigned)data[20] << 24 | (unsigned)data[21] << 16 | (unsigned)data[22] << 8 | data[23],
		len);
}

void debug_event(struct control *c, const struct ike_event *ev)
{
	static const char *const name[] = {[IKE_EVT_UP] = "up",
		[IKE_EVT_DOWN] = "down",
		[IKE_EVT_FAILED] = "failed",
		[IKE_EVT_REKEYED] = "rekeyed",
		[IKE_EVT_PEER_MOVED] = "peer moved",
		[IKE_EVT_REFUSED] = "refused"};
	bool error = ev->type == IKE_EVT_FAILED || ev->type == IKE_EVT_REFUSED;
	struct debug_ctx ctx = {.peer_id = ev->peer_id};
	char text[CV_ADDR_STR];

	if (!debug_any_area(&c->debug))
		return;
	if (ev->path) {
		ctx.peer = ev->path->remote;
		ctx.fvrf = vrf_text(c, ev->path->vrf);
	}
	if (ev->entry)
		ctx.ivrf = vrf_text(
			c, config_inside_vrf(ev->entry->profile_ref, ev->path ? ev->path->vrf : CV_VRF_GLOBAL));
	enum debug_area area = ev->entry && ev->entry->profile_ref->version == CFG_IKEV1 ? DEBUG_ISAKMP : DEBUG_IKEV2;
	bool either = !ev->entry && debug_passes(&c->debug, DEBUG_ISAKMP, DEBUG_ON, error, &ctx);
	if (either || debug_passes(&c->debug, area, DEBUG_ON, error, &ctx))
		cv_notice("debug", "%s: session with %s %s%s%s", ev->entry ? debug_area_name(area) : "ike",
			ev->path ? cv_addr_str(&ev->path->remote, text) : "unknown", name[ev->type],
			ev->reason ? ": " : "", ev->reason ? ev->reason : "");
}

/* ---- operator ---- */

void show_session_history(struct show *s)
{
	struct cv_addr remote;
	json_t *events, *e;
	size_t i;

	if (arg_addr(s, "remote", &remote))
		return;
	events = event_history_show(s->c->events, cv_addr_bits(&remote) ? &remote : NULL);
	json_array_foreach (events, i, e) {
		uint32_t vrf = (uint32_t)json_integer_value(json_object_get(e, "fvrf"));

		json_object_del(e, "fvrf");
		set_vrf(s->c, e, "fvrf", vrf);
	}
	json_object_set_new(s->out, "events", events);
	show_answer(s);
}

void clear_session_history(struct show *s)
{
	event_history_clear(s->c->events);
	show_answer(s);
}

void show_debug_condition(struct show *s)
{
	json_decref(s->out);
	s->out = debug_show(&s->c->debug);
	show_answer(s);
}

static int area_of(const char *name)
{
	for (unsigned a = 0; name && a < DEBUG_AREAS; a++)
		if (!strcmp(name, debug_area_name(a)))
			return (int)a;
	return -1;
}

/* {"do": "debug", "area", "detail" | "error" | "off"} */
void do_debug(struct show *s)
{
	int area = area_of(arg_str(s, "area"));

	if (area < 0) {
		show_error(s, "area: isakmp, ikev2, ipsec or engine");
		return;
	}
	s->c->debug.level[area] = arg_flag(s, "off")	  ? DEBUG_OFF
				  : arg_flag(s, "error")  ? DEBUG_ERROR
				  : arg_flag(s, "detail") ? DEBUG_DETAIL
							  : DEBUG_ON;
	show_answer(s);
}

/* {"do": "debug unmatched", "area"}: none = isakmp, ikev2, ipsec and engine (CDBG-6) */
void do_debug_unmatched(struct show *s)
{
	const char *name = arg_str(s, "area");
	int area = area_of(name);

	if (name && area < 0) {
		show_error(s, "area: isakmp, ikev2, ipsec or engine");
		return;
	}
	for (int a = 0; a < DEBUG_AREAS; a++)
		if (!name || a == area)
			s->c->debug.unmatched[a] = true;
	show_answer(s);
}

static bool add_text(struct show *s, const char *key, enum debug_cond_type type, struct debug_cond *k)
{
	const char *text = arg_str(s, key);

	if (!text)
		return false;
	k->type = type;
	snprintf(k->text, sizeof(k->text), "%s", text);
	return true;
}

static bool add_number(struct show *s, const char *key, enum debug_cond_type type, struct debug_cond *k)
{
	long n = arg_int(s, key, UINT32_MAX), engine = arg_int(s, "engine-id", UINT16_MAX);

	if (n == -1)
		return false;
	k->type = type;
	k->number = n > 0 ? (uint32_t)n : 0;
	k->engine = engine > 0 ? (uint32_t)engine : 0;
	return true;
}

/* One condition of the request; CDBG-4: the next request adds another. */
void do_debug_condition(struct show *s)
{
	struct debug_cond k;
	const char *peer = arg_str(s, "peer");
	int r;

	memset(&k, 0, sizeof(k)); /* compared as bytes */
	if (arg_flag(s, "reset")) {
		if (debug_any_area(&s->c->debug))
			show_error(s, "debugging is on: without conditions it prints everything; turn it off first");
		else {
			debug_reset(&s->c->debug);
			show_answer(s);
		}
		return;
	}
	if (peer && (k.type = DEBUG_PEER, cv_prefix_parse(peer, &k.peer))) {
		show_error(s, "peer '%s' is no address and no prefix", peer);
		return;
	}
	if (!peer && !add_text(s, "hostname", DEBUG_HOSTNAME, &k) && !add_text(s, "group", DEBUG_GROUP, &k) &&
		!add_text(s, "username", DEBUG_USERNAME, &k) && !add_text(s, "fvrf", DEBUG_FVRF, &k) &&
		!add_text(s, "ivrf", DEBUG_IVRF, &k) && !add_number(s, "spi", DEBUG_SPI, &k) &&
		!add_number(s, "connid", DEBUG_CONNID, &k) && !add_number(s, "flowid", DEBUG_FLOWID, &k)) {
		show_error(
			s, "a condition is needed: peer, hostname, group, username, fvrf, ivrf, spi, connid, flowid");
		return;
	}
	r = debug_add(&s->c->debug, &k);
	if (r == -EINVAL)
		show_error(s, "out of range; valid: connid and flowid 1..32766, spi 1..0xffffffff");
	else if (r == -ENOSPC)
		show_error(s, "there are %u conditions already, which is the most there can be", DEBUG_CONDITIONS_MAX);
	else
		show_answer(s);
}
