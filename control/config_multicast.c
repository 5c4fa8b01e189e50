/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of multicast routes. */
#include <stdio.h>

#include "config_priv.h"
#include "cv_addr.h"
#include "cv_msg.h"

const char *config_mroute_path(const struct cfg_mroute *r, char buf[static MROUTE_PATH_MAX])
{
	char group[CV_ADDR_STR], source[CV_ADDR_STR];

	snprintf(buf, MROUTE_PATH_MAX, "/culvert-multicast:multicast-routing/route[vrf='%s'][group='%s'][source='%s']",
		r->vrf ? r->vrf : "global", cv_addr_str(&r->group, group),
		r->source.af ? cv_addr_str(&r->source, source) : "any");
	return buf;
}

static int check_interface(struct config_check *k, const struct cfg_mroute *r, const char *name,
	const struct cfg_interface **ref, const char *leaf)
{
	char path[MROUTE_PATH_MAX];
	const struct cfg_interface *i = check_find(&k->intf, name);

	config_mroute_path(r, path);
	*ref = i;
	if (!i)
		return check_fail(k, "%s/%s: no interface named '%.64s'", path, leaf, name);
	if (i->type == CFG_IF_LOOPBACK || i->type == CFG_IF_TEMPLATE)
		return check_fail(k, "%s/%s: '%.64s' is a %s; an ethernet, VLAN or tunnel interface", path, leaf, name,
			i->type == CFG_IF_LOOPBACK ? "loopback" : "template");
	if (i->vrf_ref != r->vrf_ref)
		return check_fail(k, "%s/%s: '%.64s' is in VRF '%s'; an interface of the route's own", path, leaf, name,
			i->vrf ? i->vrf : "global");
	return 0;
}

static int check_route(struct config_check *k, struct cfg_mroute *r)
{
	char path[MROUTE_PATH_MAX];
	int rc;

	config_mroute_path(r, path);
	if (!cv_addr_is_multicast(&r->group) || cv_multicast_stays_on_link(r->group.af, r->group.b))
		return check_fail(k,
			"%s/group: not a group that is routed; 224.0.1.0 to 239.255.255.255, or an IPv6 group of wider "
			"scope than its link",
			path);
	if (r->source.af &&
		(r->source.af != r->group.af || cv_addr_is_multicast(&r->source) || cv_addr_is_zero(&r->source)))
		return check_fail(k, "%s/source: any, or a host address of the group's family", path);
	r->vrf_ref = r->vrf ? check_find(&k->vrf, r->vrf) : NULL;
	if (r->vrf && !r->vrf_ref)
		return check_fail(k, "%s/vrf: no VRF named '%.64s'", path, r->vrf);
	if (r->n_out > CV_MROUTE_OUT_MAX)
		return check_fail(
			k, "%s/outgoing-interface: %u interfaces; at most %u", path, r->n_out, CV_MROUTE_OUT_MAX);
	rc = check_interface(k, r, r->in, &r->in_ref, "incoming-interface");
	for (unsigned i = 0; !rc && i < r->n_out; i++) {
		rc = check_interface(k, r, r->out[i].interface, &r->out[i].ref, "outgoing-interface");
		if (!rc && r->out[i].ref == r->in_ref)
			rc = check_fail(k, "%s/outgoing-interface: '%.64s' is where the packets come in", path, r->in);
	}
	return rc;
}

int config_check_multicast(struct config_check *k)
{
	int rc = 0;

	if (k->c->n_mroute >= CV_MROUTE_MAX)
		return check_fail(k, "/culvert-multicast:multicast-routing: %u routes; at most %u", k->c->n_mroute,
			CV_MROUTE_MAX - 1);
	for (unsigned i = 0; !rc && i < k->c->n_mroute; i++)
		rc = check_route(k, &k->c->mroute[i]);
	return rc;
}
