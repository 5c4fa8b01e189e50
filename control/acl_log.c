/* SPDX-License-Identifier: BSD-3-Clause */
/* What lines with `log` of access lists have decided about, in the log: the dataplane (acl_log.h there) counts by flow
 * and bounds how often it tells. */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>

#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"

static const struct cfg_acl_line *line_of(const struct cv_config *c, uint32_t counter, const struct cfg_acl **acl)
{
	for (unsigned i = 0; i < c->n_acl; i++) {
		*acl = &c->acl[i];
		for (unsigned j = 0; c->acl[i].asked && j < c->acl[i].n_line; j++)
			if (c->acl[i].line[j].counter == counter)
				return &c->acl[i].line[j];
	}
	return NULL;
}

/* What stands behind an address: the port, or, with the destination, type and code of ICMP. */
static const char *suffix(const struct cv_evt_acl_log *e, bool source, char text[static 16])
{
	const bool icmp = e->proto == IPPROTO_ICMP || e->proto == IPPROTO_ICMPV6;

	text[0] = 0;
	if (e->proto == IPPROTO_TCP || e->proto == IPPROTO_UDP)
		snprintf(text, 16, "(%u)", source ? e->sport : e->dport);
	else if (icmp && !source)
		snprintf(text, 16, " (%u/%u)", e->sport >> 8, e->sport & 255u);
	return text;
}

/* The words of access lists. */
static const char *protocol(uint8_t proto, char text[static 8])
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "icmp";
	default:
		snprintf(text, 8, "%u", proto);
		return text;
	}
}

void acl_log_event(struct control *c, const struct cv_evt_acl_log *e)
{
	const struct cfg_acl *acl = NULL;
	const struct cfg_acl_line *l = e->counter ? line_of(c->running, e->counter, &acl) : NULL;
	char src[CV_ADDR_STR], dst[CV_ADDR_STR], from[16], to[16], proto[8];

	if (!e->counter)
		cv_notice("control", "%%SEC-6-IPACCESSLOGRL: access-list logging missed %" PRIu64 " packet%s",
			e->packets, e->packets == 1 ? "" : "s");
	if (!l)
		return;
	cv_notice("control", "%%SEC-6-IPACCESSLOG: list %s line %u %s %s %s%s -> %s%s, %" PRIu64 " packet%s", acl->name,
		l->seq, l->permit ? "permitted" : "denied", protocol(e->proto, proto), cv_addr_str(&e->src, src),
		suffix(e, true, from), cv_addr_str(&e->dst, dst), suffix(e, false, to), e->packets,
		e->packets == 1 ? "" : "s");
}
