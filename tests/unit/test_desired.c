/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects of a configuration, their stable numbers, and the steps from one configuration to the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cfgbuild.h"
#include "cv_addr.h"
#include "desired.h"

struct fixture {
	struct ids *ids;
	struct cv_config *c[2];
	struct desired *d[2];
	struct dp_steps steps;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->ids = ids_open(NULL);
	f->c[0] = cfgbuild_gateway();
	f->c[1] = cfgbuild_gateway();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dp_steps_free(&f->steps);
	for (int i = 0; i < 2; i++) {
		desired_free(f->d[i]);
		config_unref(f->c[i]);
	}
	ids_close(f->ids);
	free(f);
	return 0;
}

static struct desired *build(struct ids *ids, struct cv_config *c)
{
	char err[CFG_ERR_MAX] = "";
	struct desired *d;

	if (config_resolve(c, err, NULL, NULL))
		fail_msg("%s", err);
	ids_begin(ids);
	d = desired_build(c, ids, 2, err);
	if (!d)
		fail_msg("%s", err);
	ids_commit(ids);
	return d;
}

/* The steps from configuration 0 to configuration 1 as "TYPE TYPE ... | TYPE ...": deletes before the bar. */
static const char *steps(struct fixture *f)
{
	static const char *const name[] = {
		[CV_CMD_PLATFORM_SET] = "platform",
		[CV_CMD_VRF_SET] = "vrf",
		[CV_CMD_VRF_DEL] = "-vrf",
		[CV_CMD_PORT_ATTACH] = "port",
		[CV_CMD_PORT_DETACH] = "-port",
		[CV_CMD_IF_SET] = "if",
		[CV_CMD_IF_DEL] = "-if",
		[CV_CMD_IF_ADDR_ADD] = "addr",
		[CV_CMD_IF_ADDR_DEL] = "-addr",
		[CV_CMD_ROUTE_SET] = "route",
		[CV_CMD_ROUTE_DEL] = "-route",
		[CV_CMD_SPD_SET] = "spd",
		[CV_CMD_SPD_DEL] = "-spd",
		[CV_CMD_SPD_RULE_SET] = "rule",
		[CV_CMD_SPD_RULE_DEL] = "-rule",
		[CV_CMD_ACL_SET] = "acl",
		[CV_CMD_ACL_DEL] = "-acl",
		[CV_CMD_ACL_LINE_SET] = "line",
		[CV_CMD_ACL_LINE_DEL] = "-line",
	};
	static char text[1024];

	f->d[0] = build(f->ids, f->c[0]);
	f->d[1] = build(f->ids, f->c[1]);
	desired_diff(f->d[0], f->d[1], &f->steps);
	text[0] = '\0';
	for (unsigned i = 0; i < f->steps.n; i++) {
		if (i == f->steps.n_delete)
			strcat(text, "| ");
		strcat(text, name[f->steps.step[i].type]);
		strcat(text, " ");
	}
	return text;
}

static void from_nothing(void **state)
{
	struct fixture *f = *state;

	f->d[0] = build(f->ids, f->c[0]);
	desired_diff(NULL, f->d[0], &f->steps);
	assert_int_equal(f->steps.n, 1 + 2 + 2 + 2 + 1 + 1 + 1);
	assert_int_equal(f->steps.n_delete, 0);
	assert_int_equal(f->steps.step[0].type, CV_CMD_PLATFORM_SET);
	assert_int_equal(f->steps.step[f->steps.n - 1].type, CV_CMD_SPD_RULE_SET);
	assert_string_equal(f->steps.step[f->steps.n - 1].label,
		"/culvert-ipsec:ipsec/crypto-map[name='vpn']/entry[sequence='10']/access-list");
}

static void equal_configurations_need_nothing(void **state)
{
	assert_string_equal(steps(*state), "");
}

static void one_more_route(void **state)
{
	struct fixture *f = *state;

	cfgbuild_route(f->c[1], "10.9.0.0/16", "192.0.2.2");
	assert_string_equal(steps(f), "| route ");
}

static void changed_route_is_changed_in_place(void **state)
{
	struct fixture *f = *state;

	f->c[1]->route[0].nh[0].gw.b[3] = 77;
	assert_string_equal(steps(f), "| route ");
}

static void mtu_is_changed_in_place(void **state)
{
	struct fixture *f = *state;

	f->c[1]->interface[0].mtu = 1400;
	assert_string_equal(steps(f), "| port if ");
}

/* The dataplane replaces the device under a port: what hangs on it stays. */
static void another_device(void **state)
{
	struct fixture *f = *state;

	f->c[1]->interface[1].device = "net_null9";
	assert_string_equal(steps(f), "| port ");
}

/* Another VRF makes another interface: everything that hangs on it moves, the rules stay. */
static void interface_with_map_into_another_vrf(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++)
		f->c[i]->vrf[f->c[i]->n_vrf++].name = "red";
	f->c[0]->route[0].nh[0].interface = f->c[1]->route[0].nh[0].interface = "wan";
	f->c[0]->map[0].entry[0].ike_profile = f->c[1]->map[0].entry[0].ike_profile = "p";
	for (int i = 0; i < 2; i++)
		f->c[i]->ike_profile[f->c[i]->n_ike_profile++] =
			(struct cfg_ike_profile){.name = "p", .version = CFG_IKEV2, .vrf = "red"};
	f->c[1]->interface[1].vrf = "red";
	f->c[1]->route[0].vrf = "red";
	assert_string_equal(steps(f), "spd -route -addr -if | if addr route spd ");
	assert_int_equal(((const struct cv_spd *)f->steps.step[0].body)->n_if, 0);
	assert_int_equal(((const struct cv_spd *)f->steps.step[f->steps.n - 1].body)->n_if, 1);
}

static void interface_into_another_vrf(void **state)
{
	struct fixture *f = *state;

	f->c[1]->vrf[f->c[1]->n_vrf++].name = "red";
	f->c[1]->interface[0].vrf = "red";
	assert_string_equal(steps(f), "-addr -if | vrf if addr ");
}

/* A changed line is another rule, because SAs of the old flow must not serve the new one. */
static void changed_acl_line(void **state)
{
	struct fixture *f = *state;

	f->c[1]->acl[0].n_line = 0;
	cfgbuild_line(&f->c[1]->acl[0], 10, true, "10.1.0.0/24", "10.3.0.0/24");
	assert_string_equal(steps(f), "-rule | rule ");
}

/* A list is the dataplane's business once an interface filters by it, and a line that changes is another counter. */
static void filtered_interface(void **state)
{
	struct fixture *f = *state;

	f->c[1]->interface[0].acl4.in = "site2";
	assert_string_equal(steps(f), "| acl line if ");
	const struct cv_if *m = f->steps.step[2].body;
	const struct cfg_acl *a = &f->c[1]->acl[0];

	assert_int_equal(m->acl_in[0], a->id);
	assert_int_equal(m->acl_in[1] + m->acl_out[0] + m->acl_out[1], 0);
	assert_true(a->id && a->counter && a->line[0].counter && a->counter != a->line[0].counter);
}

static void filter_removed(void **state)
{
	struct fixture *f = *state;

	f->c[0]->interface[0].acl6.out = "site2";
	assert_string_equal(steps(f), "-line -acl | if ");
}

static void filter_line_changed(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		f->c[i]->interface[0].acl4.out = "site2";
		cfgbuild_line(&f->c[i]->acl[0], 20, i, "10.4.0.0/16", "10.5.0.0/16");
	}
	/* the map's rule of the line goes with it */
	assert_string_equal(steps(f), "-rule -line | line rule ");
	assert_int_equal(f->c[0]->acl[0].line[0].counter, f->c[1]->acl[0].line[0].counter);
	assert_int_not_equal(f->c[0]->acl[0].line[1].counter, f->c[1]->acl[0].line[1].counter);
}

static void map_removed_from_interface(void **state)
{
	struct fixture *f = *state;

	f->c[1]->interface[1].crypto_map = NULL;
	assert_string_equal(steps(f), "-rule -spd ");
}

/* IPSEC-T14, IPSEC-73, 74: two interfaces, two databases; with local-address one, shared. */
static void shared_map(void **state)
{
	struct fixture *f = *state;
	const struct cv_spd *spd = NULL;
	unsigned n_spd = 0;

	f->c[0]->interface[0].crypto_map = f->c[1]->interface[0].crypto_map = "vpn";
	f->c[1]->interface[2] = (struct cfg_interface){.name = "loopback0", .type = CFG_IF_LOOPBACK};
	cfgbuild_addr(f->c[1], &f->c[1]->interface[2], "198.51.100.1/32");
	f->c[1]->n_interface++;
	f->c[1]->map[0].local_address = "loopback0";
	assert_string_equal(steps(f), "-rule -rule -spd -spd | if addr spd rule ");
	assert_int_equal(f->d[0]->n_rule, 2);
	assert_int_equal(f->d[1]->n_rule, 1);
	assert_string_equal(f->d[1]->rule[0].local->name, "loopback0");
	for (unsigned i = 0; i < f->d[1]->n_obj; i++)
		if (f->d[1]->obj[i].kind == OBJ_SPD && ++n_spd)
			spd = f->d[1]->obj[i].body;
	assert_int_equal(n_spd, 1);
	assert_non_null(spd);
	assert_int_equal(spd->n_if, 2);
}

/* VRF-4, VRF-7: the inside VRF is the profile's, else the front VRF, and is part of the rule. */
static void inside_vrf_of_rules(void **state)
{
	struct fixture *f = *state;

	f->c[1]->vrf[f->c[1]->n_vrf++].name = "red";
	f->c[1]->ike_profile[f->c[1]->n_ike_profile++] =
		(struct cfg_ike_profile){.name = "p", .version = CFG_IKEV2, .vrf = "red"};
	f->c[1]->map[0].entry[0].ike_profile = "p";
	assert_string_equal(steps(f), "-rule | vrf rule ");
	assert_int_equal(f->d[0]->rule[0].ivrf, 0);
	assert_int_equal(f->d[1]->rule[0].ivrf, f->c[1]->vrf[0].id);
	assert_int_equal(f->d[1]->rule[0].fvrf, 0);
	assert_int_not_equal(f->d[0]->rule[0].rule_id, f->d[1]->rule[0].rule_id);
}

/* VRF-5: a map in a front VRF, and no profile that says otherwise: the inside is the same VRF. */
static void inside_vrf_is_the_front_vrf(void **state)
{
	struct fixture *f = *state;
	struct cv_config *c = f->c[0];

	c->vrf[c->n_vrf++].name = "red";
	c->interface[0].vrf = c->interface[1].vrf = c->route[0].vrf = "red";
	f->d[0] = build(f->ids, c);
	assert_int_equal(f->d[0]->n_rule, 1);
	assert_int_not_equal(c->vrf[0].id, 0);
	assert_int_equal(f->d[0]->rule[0].fvrf, c->vrf[0].id);
	assert_int_equal(f->d[0]->rule[0].ivrf, c->vrf[0].id);
}

static unsigned rules_of_by_hand(const struct desired *d, const struct cfg_map_entry *e, uint32_t *id)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n_rule; i++)
		if (d->rule[i].entry == e)
			id[n++] = d->rule[i].rule_id;
	return n;
}

/* IPSEC-36: what a peer asks for is looked for in the rules of its entry: those of one are found, and of no other. */
static void rules_of_an_entry(void **state)
{
	struct fixture *f = *state;
	struct cv_config *c = f->c[0];
	const struct entry_rule *of;
	uint32_t want[8];
	unsigned n;

	cfgbuild_line(&c->acl[0], 20, true, "10.9.0.0/24", "10.2.0.0/24");
	f->d[0] = build(f->ids, c);
	for (unsigned i = 0; i < c->map[0].n_entry; i++) {
		unsigned hand = rules_of_by_hand(f->d[0], &c->map[0].entry[i], want);

		of = desired_rules_of(f->d[0], &c->map[0].entry[i], &n);
		assert_int_equal(n, hand);
		for (unsigned k = 0; k < n; k++)
			assert_int_equal(of[k].rule_id, want[k]);
	}
	assert_int_equal(rules_of_by_hand(f->d[0], &c->map[0].entry[0], want), 2);
	assert_null(desired_rules_of(f->d[0], NULL, &n));
	assert_int_equal(n, 0);
	assert_null(desired_rules_of(NULL, &c->map[0].entry[0], &n));
}

/* IPSEC-27, O1: a deny line leaves its entry only. */
static void deny_line(void **state)
{
	struct fixture *f = *state;
	const struct cv_spd_rule *deny = NULL;

	cfgbuild_line(&f->c[1]->acl[0], 5, false, "10.1.0.7", "10.2.0.0/24");
	f->c[1]->acl[0].line[2] = f->c[1]->acl[0].line[0]; /* ascending order */
	f->c[1]->acl[0].line[0] = f->c[1]->acl[0].line[1];
	f->c[1]->acl[0].line[1] = f->c[1]->acl[0].line[2];
	assert_string_equal(steps(f), "| rule ");
	deny = f->steps.step[0].body;
	assert_int_equal(deny->flags, CV_RULE_SKIP_ENTRY);
	assert_int_equal(deny->action, CV_SPD_BYPASS);
	assert_true(deny->prio == ((uint64_t)10 << 48 | 5));
	assert_null(desired_rule(f->d[1], deny->rule_id)); /* nothing negotiates for it */
}

/* IPSEC-59, IPSEC-60: an access list without lines drops everything. */
static void empty_list_drops(void **state)
{
	struct fixture *f = *state;

	f->c[1]->acl[0].n_line = 0;
	assert_string_equal(steps(f), "-rule | rule rule ");
	for (unsigned i = 1; i < 3; i++) {
		const struct cv_spd_rule *r = f->steps.step[i].body;

		assert_int_equal(r->action, CV_SPD_DISCARD);
		assert_int_equal(r->sel.src.lo.af, i == 1 ? CV_AF_INET : CV_AF_INET6);
		assert_true(cv_addr_is_zero(&r->sel.src.lo) && cv_addr_is_zero(&r->sel.dst.lo));
	}
}

static void workers_are_clamped(void **state)
{
	struct fixture *f = *state;
	const struct cv_platform *p;

	f->c[0]->workers = 9;
	f->d[0] = build(f->ids, f->c[0]);
	p = f->d[0]->obj[0].body;
	assert_int_equal(p->workers, 2);
	f->c[1]->workers = 1;
	f->d[1] = build(f->ids, f->c[1]);
	p = f->d[1]->obj[0].body;
	assert_int_equal(p->workers, 1);
}

/* ---- numbers ---- */

static void numbers_survive_a_restart(void **state)
{
	char path[] = "/tmp/culvert-ids-XXXXXX";
	struct ids *ids;
	uint32_t a, b, c;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	ids = ids_open(path);
	ids_begin(ids);
	assert_int_equal(ids_get(ids, ID_VRF, "red", &a), 0);
	assert_int_equal(ids_get(ids, ID_VRF, "blue", &b), 0);
	assert_int_equal(ids_get(ids, ID_PORT, "net_null0", &c), 0);
	assert_int_not_equal(a, b);
	assert_int_equal(ids_save(ids), 0); /* before the push; the process dies here */
	ids_close(ids);

	ids = ids_open(path);
	ids_begin(ids);
	assert_int_equal(ids_get(ids, ID_VRF, "blue", &c), 0);
	assert_int_equal(c, b);
	ids_commit(ids); /* red is gone */
	ids_begin(ids);
	assert_int_equal(ids_get(ids, ID_VRF, "green", &c), 0);
	assert_int_not_equal(c, a); /* a freed number rests */
	assert_int_not_equal(c, b);
	ids_rollback(ids);
	ids_close(ids);
	unlink(path);
}

static void numbers_run_out(void **state)
{
	struct ids *ids = ids_open(NULL);
	char key[16];
	uint32_t id;

	(void)state;
	ids_begin(ids);
	for (unsigned i = 0; i < CV_PORT_MAX; i++) {
		snprintf(key, sizeof(key), "p%u", i);
		assert_int_equal(ids_get(ids, ID_PORT, key, &id), 0);
		assert_true(id < CV_PORT_MAX);
	}
	assert_int_equal(ids_get(ids, ID_PORT, "one more", &id), -28);
	ids_rollback(ids);
	ids_begin(ids);
	assert_int_equal(ids_get(ids, ID_PORT, "one more", &id), 0);
	ids_close(ids);
}

static void broken_file_is_survived(void **state)
{
	char path[] = "/tmp/culvert-ids-XXXXXX";
	int fd = mkstemp(path);
	struct ids *ids;
	uint32_t a, b;
	const char *text = "{\"vrf\": {\"a\": 1, \"b\": 1, \"c\": -4, \"d\": \"x\", \"e\": 99999999}}";

	(void)state;
	assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	ids = ids_open(path);
	ids_begin(ids);
	assert_int_equal(ids_get(ids, ID_VRF, "a", &a), 0);
	assert_int_equal(ids_get(ids, ID_VRF, "b", &b), 0);
	assert_int_equal(a, 1);
	assert_int_not_equal(b, 1);
	ids_close(ids);
	unlink(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(from_nothing),
		TEST(equal_configurations_need_nothing),
		TEST(one_more_route),
		TEST(changed_route_is_changed_in_place),
		TEST(mtu_is_changed_in_place),
		TEST(another_device),
		TEST(interface_with_map_into_another_vrf),
		TEST(interface_into_another_vrf),
		TEST(changed_acl_line),
		TEST(filtered_interface),
		TEST(filter_removed),
		TEST(filter_line_changed),
		TEST(map_removed_from_interface),
		TEST(shared_map),
		TEST(inside_vrf_of_rules),
		TEST(inside_vrf_is_the_front_vrf),
		TEST(rules_of_an_entry),
		TEST(deny_line),
		TEST(empty_list_drops),
		TEST(workers_are_clamped),
		cmocka_unit_test(numbers_survive_a_restart),
		cmocka_unit_test(numbers_run_out),
		cmocka_unit_test(broken_file_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
