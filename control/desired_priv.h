/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files that make dataplane objects of a configuration. */
#ifndef CONTROL_DESIRED_PRIV_H
#define CONTROL_DESIRED_PRIV_H

#include "desired.h"

#define KEY_MAX 1024

struct build {
	struct cv_config *cfg;
	struct ids *ids;
	struct desired *d;
	char *err;
	uint32_t max_workers;
	char path[384]; /* of the object being made */
};

/* Say which node the objects that follow are for. 0. */
int desired_path(struct build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Write the error for that node; -EINVAL. */
int desired_fail(struct build *b, const char *why);
/* An object of that node with a zeroed body of len bytes. */
void *desired_add(struct build *b, enum obj_kind kind, size_t len);
/* The number of a key (ids.h); 0 or -EINVAL with the error written. */
int desired_number(struct build *b, enum id_kind kind, const char *key, uint32_t *id);

/* desired_qos.c: policy maps that are on interfaces, and where. 0 or -EINVAL. */
int desired_qos(struct build *b);

#endif
