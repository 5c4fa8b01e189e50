/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets outside the replay window, or seen before, in the log (REPLAY-9): one message for each SA that has dropped
 * some since the last look, never one for each packet, and no more than a few at a time. A window that is too small for
 * how the network reorders shows here.
 */
#include <inttypes.h>
#include <string.h>

#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"

#define LOOK_MS 5000u
#define MESSAGES_MAX 16u /* of one look */

/* All packets that failed the check, of every SA there ever was. */
static uint64_t dropped(const struct cv_stats_segment *seg)
{
	uint64_t n = 0;
	unsigned d = 0;

	while (d < CV_DROP_MAX && strcmp(seg->drop_name[d], "esp-replay"))
		d++;
	for (unsigned w = 0; d < CV_DROP_MAX && w < CV_WRITERS && w <= seg->n_workers; w++)
		n += seg->writer[w].drops[d];
	return n;
}

static void tell(const struct child *ch, uint64_t n)
{
	char remote[CV_ADDR_STR], local[CV_ADDR_STR];

	cv_warn("control",
		"%%CRYPTO-4-PKT_REPLAY_ERR: decrypt: replay check failed connection id=%u, %" PRIu64
		" packets from %s to %s, spi=0x%08x, window %u",
		2 * ch->id, n, cv_addr_str(&ch->path.remote, remote), cv_addr_str(&ch->path.local, local), ch->spi_in,
		ch->replay_window);
}

static void look(struct control *c)
{
	unsigned told = 0;

	for (struct child *ch = child_next(c->children, 0); ch; ch = child_next(c->children, ch->id)) {
		struct cv_sa_counters n;

		child_counters(ch, CV_SA_IN, &n);
		if (n.replay_drops > ch->replay_told && told++ < MESSAGES_MAX)
			tell(ch, n.replay_drops - ch->replay_told);
		ch->replay_told = n.replay_drops;
	}
	if (told > MESSAGES_MAX)
		cv_warn("control", "%%CRYPTO-4-PKT_REPLAY_ERR: and on %u more connections", told - MESSAGES_MAX);
}

uint64_t replay_log_run(struct control *c)
{
	const struct cv_stats_segment *seg = dpclient_stats(c->dp);
	uint64_t now = host_now_ms(c), n;

	if (!seg || !child_count(c->children))
		return UINT64_MAX;
	if (now >= c->replay_at_ms) {
		c->replay_at_ms = now + LOOK_MS;
		n = dropped(seg);
		if (n != c->replay_dropped)
			look(c);
		c->replay_dropped = n;
	}
	return c->replay_at_ms - now;
}
