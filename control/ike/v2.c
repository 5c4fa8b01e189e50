/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv2 as the engine sees it. The exchanges themselves are not in the tree yet: messages are counted and ignored. */
#include "ike_internal.h"

static void input(struct ike *ike, const struct ike_path *path, bool natt, const uint8_t *data, size_t len)
{
	(void)path, (void)natt, (void)data, (void)len;
	ike->stats.rx_unknown_version++;
}

static struct ike_sa *initiate(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path)
{
	(void)ike, (void)entry, (void)path;
	return NULL;
}

const struct ike_version ike_v2 = {.major = 2, .input = input, .initiate = initiate};
