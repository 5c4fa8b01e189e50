/* SPDX-License-Identifier: BSD-3-Clause */
/* What inspection, the connection table and address translation need. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "cv_msg.h"
#include "config_priv.h"

static int check_high_low(struct config_check *k, const struct cfg_high_low *l, const char *name)
{
	if (l->low && !l->high)
		return check_fail(k, PATH_CONNECTIONS "/%s/low: needs high", name);
	if (l->low > l->high)
		return check_fail(k, PATH_CONNECTIONS "/%s/low: %u is above high; 1..%u", name, l->low, l->high);
	return 0;
}

/* What is let in by no list, inspection has nothing to add to. */
static void warn_useless(struct config_check *k, const struct cv_config *c)
{
	bool inspects = false, filters = false;

	for (unsigned i = 0; i < c->n_interface; i++) {
		const struct cfg_interface *f = &c->interface[i];

		inspects |= f->inspect != 0;
		filters |= f->acl4.in || f->acl6.in;
	}
	if (inspects && !filters)
		check_warn(k,
			"/culvert-firewall:firewall: connections are inspected, but no interface has an inbound access "
			"list that answers would have to pass");
}

/* ---- translation ---- */

static int by_seq(const void *a, const void *b)
{
	const struct cfg_nat_rule *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static bool has_ipv4(const struct cfg_interface *i)
{
	for (unsigned j = 0; j < i->n_addr; j++)
		if (i->addr[j].addr.af == CV_AF_INET)
			return true;
	return false;
}

static int find_vrf(struct config_check *k, const char *name, const struct cfg_vrf **ref, const char *path)
{
	*ref = name ? check_find(&k->vrf, name) : NULL;
	return name && !*ref ? check_fail(k, "%s/vrf: no VRF named '%.64s'", path, name) : 0;
}

static int find_interface(struct config_check *k, const char *name, const struct cfg_interface **ref, const char *path)
{
	*ref = name ? check_find(&k->intf, name) : NULL;
	if (name && (!*ref || !has_ipv4(*ref)))
		return check_fail(k, "%s/interface: '%.64s' has no IPv4 address; one that has", path, name);
	return 0;
}

static int check_rule(struct config_check *k, struct cfg_nat_rule *r)
{
	char path[128];
	int rc;

	snprintf(path, sizeof(path), PATH_NAT_RULE, r->seq);
	struct cfg_acl *acl = r->acl ? check_find(&k->acl, r->acl) : NULL;

	if (!acl)
		return check_fail(k, "%s/access-list: no access list named '%.64s'", path, r->acl ? r->acl : "");
	acl->asked = true;
	r->acl_ref = acl;
	if (!r->interface && (r->first.af != CV_AF_INET || cv_addr_cmp(&r->first, &r->last) > 0))
		return check_fail(
			k, "%s/pool: '%.64s' ends before it begins; first at most last", path, r->pool ? r->pool : "");
	(void)((rc = find_vrf(k, r->vrf, &r->vrf_ref, path)) ||
		(rc = find_interface(k, r->interface, &r->if_ref, path)));
	return rc;
}

static bool same_outside(const struct cfg_nat_static *a, const struct cfg_nat_static *b)
{
	const bool same = a->if_ref ? a->if_ref == b->if_ref : !b->if_ref && cv_addr_eq(&a->global, &b->global);

	return same && a->proto == b->proto && a->global_port == b->global_port;
}

static int check_static(struct config_check *k, struct cfg_nat_static *s)
{
	const struct cv_config *c = k->c;
	char path[128];
	int rc;

	snprintf(path, sizeof(path), PATH_NAT_STATIC, s->name);
	(void)((rc = find_vrf(k, s->vrf, &s->vrf_ref, path)) ||
		(rc = find_interface(k, s->interface, &s->if_ref, path)));
	if (rc)
		return rc;
	if (s->proto && !s->local_port)
		return check_fail(k, "%s/protocol: needs a local-port; 1..65535", path);
	if (s->if_ref && !s->proto)
		return check_fail(k,
			"%s/interface: the whole address of an interface cannot be given away; a protocol and ports "
			"can",
			path);
	for (const struct cfg_nat_static *o = c->nat_static; o < s; o++)
		if (same_outside(o, s))
			return check_fail(k, "%s: is known outside by what '%s' is known by", path, o->name);
	return 0;
}

static int check_nat(struct config_check *k)
{
	struct cv_config *c = k->c;
	bool inside = false, outside = false;
	int r = 0;

	if (c->n_nat_rule >= CV_NAT_MAX || c->n_nat_static >= CV_NAT_MAX)
		return check_fail(k, "/culvert-firewall:firewall/nat: at most %u rules and %u static entries",
			CV_NAT_MAX - 1, CV_NAT_MAX - 1);
	if (c->n_nat_rule)
		qsort(c->nat_rule, c->n_nat_rule, sizeof(*c->nat_rule), by_seq);
	for (unsigned i = 0; !r && i < c->n_nat_rule; i++)
		r = check_rule(k, &c->nat_rule[i]);
	for (unsigned i = 0; !r && i < c->n_nat_static; i++)
		r = check_static(k, &c->nat_static[i]);
	for (unsigned i = 0; i < c->n_interface; i++) {
		inside |= c->interface[i].nat == CFG_NAT_INSIDE;
		outside |= c->interface[i].nat == CFG_NAT_OUTSIDE;
	}
	if (!r && (c->n_nat_rule || c->n_nat_static) && !(inside && outside))
		check_warn(k, "/culvert-firewall:firewall/nat: translates nothing without an inside and an outside "
			      "interface");
	return r;
}

int config_check_firewall(struct config_check *k)
{
	const struct cfg_connections *c = &k->c->connections;
	int r = 0;

	for (unsigned i = 0; !r && i < k->c->n_interface; i++)
		if ((k->c->interface[i].inspect || k->c->interface[i].nat) &&
			k->c->interface[i].type == CFG_IF_LOOPBACK)
			r = check_fail(k, PATH_IF "/culvert-firewall:%s: not on a loopback", k->c->interface[i].name,
				k->c->interface[i].nat ? "nat" : "inspect");
	(void)(r || (r = check_high_low(k, &c->half_open, "max-incomplete")) ||
		(r = check_high_low(k, &c->one_minute, "one-minute")) || (r = check_nat(k)));
	if (!r)
		warn_useless(k, k->c);
	return r;
}
