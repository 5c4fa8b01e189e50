/* SPDX-License-Identifier: BSD-3-Clause */
/* What debug crypto ipsec and debug crypto engine print: IPsec SAs that come and go, and who encrypts for them. */
#include <stdarg.h>
#include <stdio.h>

#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"

static const char *vrf_text(const struct control *c, uint32_t id)
{
	const char *name = host_vrf_name(c, id);

	return name ? name : "global";
}

static void print(enum debug_area area, const char *about, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	cv_notice("debug", "%s: %s%s%s", debug_area_name(area), about, *about ? ": " : "", text);
}

void debug_child(enum debug_area area, bool error, const struct child *ch, const char *fmt, ...)
{
	const struct control *c = ch->c;
	struct debug_ctx ctx = {.peer = ch->path.remote,
		.spi = {ch->spi_in, ch->spi_out},
		.conn = {child_index(ch, CHILD_IN), child_index(ch, CHILD_OUT)}};
	char about[CV_ADDR_STR + 64], remote[CV_ADDR_STR];
	va_list ap;

	if (c->debug.level[area] == DEBUG_OFF)
		return;
	ctx.fvrf = vrf_text(c, ch->path.vrf);
	ctx.ivrf = vrf_text(c, ch->ivrf);
	if (!debug_passes(&c->debug, area, DEBUG_ON, error, &ctx))
		return;
	snprintf(about, sizeof(about), "SAs 0x%08x (in) and 0x%08x (out) with %s", ch->spi_in, ch->spi_out,
		cv_addr_str(&ch->path.remote, remote));
	va_start(ap, fmt);
	print(area, about, fmt, ap);
	va_end(ap);
}

void debug_engine(const struct control *c, enum debug_level level, bool error, const char *fmt, ...)
{
	va_list ap;

	if (!debug_passes(&c->debug, DEBUG_ENGINE, level, error, NULL))
		return;
	va_start(ap, fmt);
	print(DEBUG_ENGINE, "", fmt, ap);
	va_end(ap);
}

void debug_invalid_spi(const struct control *c, const struct cv_evt_invalid_spi *e, const char *what)
{
	struct debug_ctx ctx = {.peer = e->src, .spi = {e->spi}};
	char remote[CV_ADDR_STR];

	if (c->debug.level[DEBUG_IPSEC] == DEBUG_OFF)
		return;
	ctx.fvrf = vrf_text(c, e->front_vrf);
	if (debug_passes(&c->debug, DEBUG_IPSEC, DEBUG_ON, true, &ctx))
		cv_notice("debug", "%s: invalid SPI 0x%08x from %s: %s", debug_area_name(DEBUG_IPSEC), e->spi,
			cv_addr_str(&e->src, remote), what);
}

bool debug_wants_notes(void *ctx)
{
	return ((const struct control *)ctx)->debug.level[DEBUG_IPSEC] != DEBUG_OFF;
}

void debug_note(void *ctx, const struct ike_note *n)
{
	const struct control *c = ctx;
	struct debug_ctx about = {.peer = n->path->remote,
		.peer_id = n->peer_id,
		.fvrf = vrf_text(c, n->path->vrf),
		.ivrf = vrf_text(c, n->ivrf),
		.spi = {n->spi_in, n->spi_out},
		.conn = {(uint32_t)n->ike_id}};
	char remote[CV_ADDR_STR];

	if (debug_passes(&c->debug, DEBUG_IPSEC, DEBUG_ON, n->error, &about))
		cv_notice("debug", "%s: negotiation with %s, IKE SA %llu: %s", debug_area_name(DEBUG_IPSEC),
			cv_addr_str(&n->path->remote, remote), (unsigned long long)n->ike_id, n->text);
}
