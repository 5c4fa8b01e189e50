/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RSA key pairs that the router makes (IKE-44): files of mode 0600 in the state directory, named in the candidate. Made
 * on the thread pool: large ones take seconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cv_log.h"
#include "cv_name.h"
#include "cv_secret.h"
#include "files.h"
#include "store_priv.h"

#define BITS_LEAST 2048u
#define BITS_MOST 8192u

/* The files a label may have, and the leaf each is named by: the first alone, or the two others. */
static const struct {
	const char *suffix, *leaf;
} kind[] = {{"general", "general-key"}, {"signature", "signature-key"}, {"encryption", "encryption-key"}};
#define KINDS 3

struct rsa_making {
	uv_work_t req;
	struct store *s; /* NULL: the store is gone */
	char name[CV_FILE_NAME_MAX + 1], dir[PATH_MAX], path[KINDS][PATH_MAX];
	bool wanted[KINDS];
	unsigned bits;
	char why[PKI_ERR_MAX]; /* empty = good */
	store_cb cb;
	void *arg;
};

/* "LABEL.KIND.key" in the directory of keys. */
static int file_name(char out[static 2 * CV_FILE_NAME_MAX], const char *name, unsigned k)
{
	return snprintf(out, 2 * CV_FILE_NAME_MAX, "%s.%s.key", name, kind[k].suffix);
}

static void wipe_files(const char *keys_dir, const char *name, unsigned *n, bool *good)
{
	char file[2 * CV_FILE_NAME_MAX];
	int dir = open(keys_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	*n = 0;
	*good = true;
	for (unsigned k = 0; dir >= 0 && k < KINDS; k++) {
		file_name(file, name, k);
		r = cv_secret_wipe_file(dir, file);
		*n += r != -ENOENT;
		*good = *good && (!r || r == -ENOENT);
	}
	if (dir >= 0)
		close(dir);
}

static void work(uv_work_t *req)
{
	struct rsa_making *m = req->data;

	for (unsigned k = 0; k < KINDS && !m->why[0]; k++)
		if (m->wanted[k] && pki_rsa_generate(m->path[k], m->bits, m->why) && !m->why[0])
			snprintf(m->why, sizeof(m->why), "%.200s: failed", m->path[k]);
}

static int into_candidate(struct store *s, const struct rsa_making *m, struct model_err *err)
{
	json_t *pair = json_pack("{s:s}", "name", m->name);
	char *text;
	int r;

	for (unsigned k = 0; k < KINDS; k++)
		if (m->wanted[k])
			json_object_set_new(pair, kind[k].leaf, json_string(m->path[k]));
	pair = json_pack("{s:{s:[o]}}", "culvert-pki:pki", "rsa-key-pair", pair);
	text = json_dumps(pair, JSON_COMPACT);
	r = text ? store_load(s, text, true, err) : model_fail(err, NULL, "out of memory");
	free(text);
	json_decref(pair);
	return r;
}

static void finish(struct rsa_making *m, const struct model_err *err)
{
	json_t *result = err ? NULL : json_pack("{s:s, s:i, s:[]}", "name", m->name, "bits", (int)m->bits, "files");

	for (unsigned k = 0; result && k < KINDS; k++)
		if (m->wanted[k])
			json_array_append_new(json_object_get(result, "files"), json_string(m->path[k]));
	m->cb(m->arg, err, result);
	json_decref(result);
	free(m);
}

static void made(uv_work_t *req, int status)
{
	struct rsa_making *m = req->data;
	struct store *s = m->s;
	struct model_err err;
	unsigned n;
	bool good;
	int r = 0;

	(void)status;
	if (s)
		s->rsa_making = NULL;
	if (!s)
		r = model_fail(&err, NULL, "culvertd is stopping");
	else if (m->why[0])
		r = model_fail(&err, NULL, "%s", m->why);
	else
		r = into_candidate(s, m, &err);
	if (r)
		wipe_files(m->dir, m->name, &n, &good);
	finish(m, r ? &err : NULL);
}

/* 0, or told why not. */
static int prepare(struct store *s, struct rsa_making *m, bool usage_keys, struct model_err *err)
{
	char file[2 * CV_FILE_NAME_MAX];
	struct stat st;
	int r = files_mkdir(s->keys_dir, 0700);

	snprintf(m->dir, sizeof(m->dir), "%s", s->keys_dir);
	if (r)
		return model_fail(err, NULL, "%s: %s", s->keys_dir, strerror(-r));
	for (unsigned k = 0; k < KINDS; k++) {
		m->wanted[k] = usage_keys == (k != 0);
		file_name(file, m->name, k);
		if (snprintf(m->path[k], sizeof(m->path[k]), "%s/%s", s->keys_dir, file) >= (int)sizeof(m->path[k]))
			return model_fail(err, NULL, "the path of the state directory is too long");
		if (!lstat(m->path[k], &st))
			return model_fail(err, NULL, "there are keys \"%s\" already; zeroize them first", m->name);
	}
	return 0;
}

/* The router's name where the operator gives none (IKE-44). */
static const char *default_name(const struct store *s)
{
	return s->running_cfg && s->running_cfg->hostname ? s->running_cfg->hostname : "culvert";
}

void store_generate_rsa(struct store *s, const char *name, bool usage_keys, unsigned bits, store_cb cb, void *arg)
{
	struct rsa_making *m = calloc(1, sizeof(*m));
	struct model_err err;
	int r = 0;

	if (!m)
		abort();
	*m = (struct rsa_making){.s = s, .bits = bits, .cb = cb, .arg = arg};
	m->req.data = m;
	name = name ? name : default_name(s);
	if (!cv_name_good(name))
		r = model_fail(
			&err, NULL, "a label is of letters, digits, '.', '_' and '-', at most %u", CV_FILE_NAME_MAX);
	else if (bits < BITS_LEAST || bits > BITS_MOST)
		r = model_fail(&err, NULL, "modulus; valid: %u..%u bits", BITS_LEAST, BITS_MOST);
	else if (s->rsa_making)
		r = model_fail(&err, NULL, "keys are being made already");
	else
		snprintf(m->name, sizeof(m->name), "%s", name);
	if (r || prepare(s, m, usage_keys, &err)) {
		cb(arg, &err, NULL);
		free(m);
		return;
	}
	s->rsa_making = m;
	uv_queue_work(s->o.loop, &m->req, work, made);
}

void store_rsa_abandon(struct store *s)
{
	if (s->rsa_making)
		s->rsa_making->s = NULL;
}

static bool is_of(const struct store *s, const char *name, const char *path)
{
	char file[2 * CV_FILE_NAME_MAX];
	size_t n = strlen(s->keys_dir);

	for (unsigned k = 0; path && k < KINDS; k++) {
		file_name(file, name, k);
		if (!strncmp(path, s->keys_dir, n) && path[n] == '/' && !strcmp(path + n + 1, file))
			return true;
	}
	return false;
}

static bool in_use(const struct store *s, const char *name)
{
	const struct cv_config *c = s->running_cfg;

	for (unsigned i = 0; c && i < c->n_rsa_pair; i++)
		if (is_of(s, name, c->rsa_pair[i].file) || is_of(s, name, c->rsa_pair[i].signature_file) ||
			is_of(s, name, c->rsa_pair[i].encryption_file))
			return true;
	for (unsigned i = 0; c && i < c->n_trust_point; i++)
		if (is_of(s, name, c->trust_point[i].files.key) ||
			is_of(s, name, c->trust_point[i].files.encryption_key))
			return true;
	return false;
}

int store_zeroize_rsa(struct store *s, const char *name, struct model_err *err)
{
	char path[CV_FILE_NAME_MAX + 64];
	struct model_err ignored;
	unsigned n;
	bool good;

	name = name ? name : default_name(s);
	if (!cv_name_good(name))
		return model_fail(err, NULL, "\"%s\" is no label", name);
	if (in_use(s, name))
		return model_fail(err, NULL,
			"the running configuration uses \"%s\": delete pki/rsa-key-pair[%s] and commit first", name,
			name);
	wipe_files(s->keys_dir, name, &n, &good);
	if (!n)
		return model_fail(err, NULL, "the router has made no keys \"%s\"", name);
	snprintf(path, sizeof(path), "/culvert-pki:pki/rsa-key-pair[name='%s']", name);
	(void)store_delete(s, path, &ignored); /* it may not name them */
	return good ? 0 : model_fail(err, NULL, "the keys \"%s\" could not be wiped whole", name);
}
