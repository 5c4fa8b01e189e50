/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cv_log.h"
#include "files.h"
#include "history.h"
#include "model.h"

struct history {
	char dir[PATH_MAX - 32];
	unsigned serial[HISTORY_MAX + 1]; /* ascending */
	unsigned n;
};

char *record_format(const json_t *facts, const char *config)
{
	char *line = json_dumps(facts, JSON_COMPACT), *out = NULL;

	if (!line || asprintf(&out, "%s\n%s", line, config) < 0)
		out = NULL;
	free(line);
	return out;
}

int record_read(const char *path, json_t **facts, char **text, const char **config)
{
	int rc = files_read(path, text);

	if (rc)
		return rc;
	char *eol = strchr(*text, '\n');
	*facts = eol ? json_loadb(*text, (size_t)(eol - *text), JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (!*facts) {
		model_text_free(*text);
		*text = NULL;
		return -EBADMSG;
	}
	*config = eol + 1;
	return 0;
}

static void name_of(const struct history *h, unsigned serial, char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%08u.cfg", h->dir, serial);
}

static int ascending(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

static void remove_oldest(struct history *h)
{
	char path[PATH_MAX];

	name_of(h, h->serial[0], path);
	(void)unlink(path);
	memmove(h->serial, h->serial + 1, --h->n * sizeof(h->serial[0]));
}

struct history *history_open(const char *dir)
{
	struct history *h = calloc(1, sizeof(*h));
	int rc = h ? files_mkdir(dir, 0700) : -ENOMEM;

	if (!rc && snprintf(h->dir, sizeof(h->dir), "%s", dir) >= (int)sizeof(h->dir))
		rc = -ENAMETOOLONG;
	DIR *d = rc ? NULL : opendir(dir);
	if (!d) {
		free(h);
		errno = rc ? -rc : errno;
		return NULL;
	}
	for (struct dirent *e; (e = readdir(d));) {
		char *end;
		unsigned long serial = strtoul(e->d_name, &end, 10);
		if (end == e->d_name || strcmp(end, ".cfg") != 0 || !serial || serial > 99999999)
			continue;
		if (h->n > HISTORY_MAX) {
			qsort(h->serial, h->n, sizeof(h->serial[0]), ascending);
			if (serial < h->serial[0])
				continue;
			remove_oldest(h);
		}
		h->serial[h->n++] = (unsigned)serial;
	}
	closedir(d);
	qsort(h->serial, h->n, sizeof(h->serial[0]), ascending);
	while (h->n > HISTORY_MAX)
		remove_oldest(h);
	return h;
}

void history_close(struct history *h)
{
	free(h);
}

static unsigned next_serial(const struct history *h)
{
	return h->n ? h->serial[h->n - 1] + 1 : 1;
}

int history_prepare(struct history *h, const json_t *facts, const char *config)
{
	char path[PATH_MAX], *text = record_format(facts, config);

	if (!text)
		return -ENOMEM;
	name_of(h, next_serial(h), path);
	int rc = files_prepare(path, text, strlen(text));
	model_text_free(text);
	return rc;
}

int history_commit(struct history *h)
{
	char path[PATH_MAX];

	name_of(h, next_serial(h), path);
	int rc = files_commit(path);
	if (rc)
		return rc;
	h->serial[h->n] = next_serial(h);
	h->n++;
	if (h->n > HISTORY_MAX)
		remove_oldest(h);
	return 0;
}

void history_abort(struct history *h)
{
	char path[PATH_MAX];

	name_of(h, next_serial(h), path);
	files_abort(path);
}

void history_undo(struct history *h)
{
	char path[PATH_MAX];

	if (!h->n)
		return;
	name_of(h, h->serial[--h->n], path);
	(void)unlink(path);
}

unsigned history_count(const struct history *h)
{
	return h->n;
}

int history_read(const struct history *h, unsigned n, json_t **facts, char **text, const char **config)
{
	char path[PATH_MAX];

	if (n >= h->n)
		return -ENOENT;
	name_of(h, h->serial[h->n - 1 - n], path);
	return record_read(path, facts, text, config);
}

int history_rewrite(const struct history *h, unsigned n, const json_t *facts, const char *config)
{
	char path[PATH_MAX], *text = n < h->n ? record_format(facts, config) : NULL;

	if (!text)
		return n < h->n ? -ENOMEM : -ENOENT;
	name_of(h, h->serial[h->n - 1 - n], path);
	int rc = files_write(path, text, strlen(text));
	model_text_free(text);
	return rc;
}
