/* SPDX-License-Identifier: BSD-3-Clause */
/* What inspection and the connection table need. */
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

int config_check_firewall(struct config_check *k)
{
	const struct cfg_connections *c = &k->c->connections;
	int r = 0;

	for (unsigned i = 0; !r && i < k->c->n_interface; i++)
		if (k->c->interface[i].inspect && k->c->interface[i].type == CFG_IF_LOOPBACK)
			r = check_fail(
				k, PATH_IF "/culvert-firewall:inspect: not on a loopback", k->c->interface[i].name);
	(void)(r || (r = check_high_low(k, &c->half_open, "max-incomplete")) ||
		(r = check_high_low(k, &c->one_minute, "one-minute")));
	if (!r)
		warn_useless(k, k->c);
	return r;
}
