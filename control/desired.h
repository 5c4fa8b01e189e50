/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the dataplane is to hold for a configuration: a sorted list of objects, and the way from one such list to the
 * next. Pure data; loop thread.
 */
#ifndef CONTROL_DESIRED_H
#define CONTROL_DESIRED_H

#include "config.h"
#include "cv_msg.h"
#include "ids.h"

/* In the order of creation; deletion goes the other way. */
enum obj_kind {
	OBJ_PLATFORM,
	OBJ_VRF,
	OBJ_PORT,
	OBJ_ACL,
	OBJ_ACL_LINE,
	OBJ_IF,
	OBJ_VLAN,
	OBJ_ADDR,
	OBJ_HOP,
	OBJ_ROUTE,
	OBJ_MROUTE,
	OBJ_SPD,
	OBJ_RULE,
	OBJ_QOS_CLASS,
	OBJ_QOS_RULE,
	OBJ_QOS_ATTACH,
	OBJ_CONNECTIONS,
	OBJ_NAT_RULE,
	OBJ_NAT_STATIC,
	OBJ_KINDS
};

struct dp_obj {
	enum obj_kind kind;
	uint16_t len;
	void *body;  /* the message; its first key bytes (by kind) identify the object */
	char *label; /* YANG path, for errors */
};

/* Which line of which entry a rule came from. Pointers live as long as the configuration. */
struct rule_ref {
	uint32_t rule_id, spd_id;
	uint32_t fvrf, ivrf;
	const struct cfg_map_entry *entry;
	const struct cfg_acl_line *line;
	const struct cfg_interface *local; /* whose address is the tunnel's local end */
	uint32_t tunnel_if;		   /* the tunnel interface whose only rule it is, 0 = none */
	/* a temporary rule (temporary.h): its line, and how many pairs of SAs it serves; else NULL and 0 */
	struct cfg_acl_line *own;
	unsigned users;
};

/* One SPD: a map as it applies to one interface (IPSEC-73), or to all that share its local address (IPSEC-74). */
struct spd_ref {
	uint32_t spd_id, fvrf;
	const struct cfg_crypto_map *map;
	const struct cfg_interface *local; /* whose address IKE uses */
};

struct entry_rule {
	const struct cfg_map_entry *entry;
	uint32_t rule_id;
};

struct desired {
	struct dp_obj *obj; /* sorted by kind and key */
	unsigned n_obj, cap_obj;
	struct rule_ref *rule; /* sorted by rule_id */
	unsigned n_rule, cap_rule;
	struct entry_rule *entry_rule; /* of those that the configuration names: sorted by entry, then rule_id */
	unsigned n_entry_rule;
	struct spd_ref *spd;
	unsigned n_spd;
};

/*
 * Everything cfg asks for; gives out numbers through ids and writes them into cfg (vrf.id, interface.id, acl.id and
 * counters). max_workers: what the dataplane has. NULL with err = "PATH: why".
 */
struct desired *desired_build(
	struct cv_config *cfg, struct ids *ids, uint32_t max_workers, char err[static CFG_ERR_MAX]);
void desired_free(struct desired *d);
/* NULL when there is none. */
const struct rule_ref *desired_rule(const struct desired *d, uint32_t rule_id);
/* The rules of an entry in their order, *n of them, without temporary ones; NULL when there is none. */
const struct entry_rule *desired_rules_of(const struct desired *d, const struct cfg_map_entry *entry, unsigned *n);
/* Add a rule that no configuration names: ref without line and own, which are made from rule; label for errors. Returns
 * the message as it stands in the list. Pointers to other rule_refs are not valid any more. */
const struct cv_spd_rule *desired_add_rule(
	struct desired *d, const struct rule_ref *ref, const struct cv_spd_rule *rule, const char *label);
void desired_remove_rule(struct desired *d, uint32_t rule_id);
/* The interface as the dataplane has it, without port, parent and VLAN; i->id is its number. m is zeroed. */
void desired_interface(struct cv_if *m, const struct cfg_interface *i);
/*
 * A policy map on an interface in one direction, with its slot in *m: i->id is the interface's number, p->id that of
 * the policy, 0 = the configuration has it nowhere. False when no slot is free; the slot's key is then and otherwise
 * in key, for ids_release().
 */
#define DESIRED_SLOT_KEY_MAX 192
bool desired_policy(struct cv_qos_attach *m, struct ids *ids, const struct cfg_interface *i,
	const struct cfg_policy_map *p, enum cv_qos_dir dir, char key[static DESIRED_SLOT_KEY_MAX]);
/* Which one is on an interface in that direction, NULL = none. */
const struct cv_qos_attach *desired_policy_on(const struct desired *d, uint32_t if_id, enum cv_qos_dir dir);
/* Any object that no configuration names; body is copied. Returns it as it stands in the list, where none with its key
 * may be yet. */
const void *desired_put(struct desired *d, enum obj_kind kind, const void *body, size_t len, const char *label);
/* Out with the object whose key body begins with. False = there is none. */
bool desired_take(struct desired *d, enum obj_kind kind, const void *body);
/* The object whose key body begins with, or NULL. */
struct dp_obj *desired_find(const struct desired *d, enum obj_kind kind, const void *body);
/* The objects of a kind in the order of their keys, *n of them. */
const struct dp_obj *desired_of_kind(const struct desired *d, enum obj_kind kind, unsigned *n);
/* The commands that make an object of the kind, and that delete it, whose body is the first key bytes of the object's.
 */
enum cv_msg_type desired_set_command(enum obj_kind kind);
enum cv_msg_type desired_delete_command(enum obj_kind kind, uint16_t *key);

/* One step of a change. */
struct dp_step {
	enum cv_msg_type type;
	uint16_t len;
	const void *body;
	const char *label;
};
struct dp_steps {
	struct dp_step *step;
	unsigned n, cap;
	unsigned n_delete; /* step[0..n_delete) take away, the rest put */
	struct cv_spd **shrunk;
	unsigned n_shrunk;
};

/*
 * The steps from one list to another (from NULL = from nothing). Unchanged objects are not touched; nothing is deleted
 * before what refers to it, nothing is created before what it refers to. The steps point into the lists.
 */
void desired_diff(const struct desired *from, const struct desired *to, struct dp_steps *out);
void dp_steps_free(struct dp_steps *s);

#endif
