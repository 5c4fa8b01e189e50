/* SPDX-License-Identifier: BSD-3-Clause */
#include "cv_vault.h"
#include "cv_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VAULT_MAGIC 0x4356564cu
#define VAULT_VERSION 2u
#define VAULT_MAX_RECORDS (1u << 20)
#define VAULT_HEADER 4096u

struct vault_header {
	uint32_t magic, version;
	uint32_t max_records, copy_size;
};

/* One of the two copies of a record. seq 0: empty or being written. */
struct vault_copy {
	uint64_t seq;
	uint64_t check;
	uint32_t len;
	uint8_t pad[44];
	uint8_t data[CV_VAULT_RECORD_MAX];
};
_Static_assert(sizeof(struct vault_copy) % 4096 == 0, "whole pages: the rest of a short copy takes no memory");

struct vault_record {
	struct vault_copy copy[2];
};

struct cv_vault {
	int fd;
	uint32_t max_records;
	size_t map_len;
	struct vault_header *header;
	struct vault_record *record;
	uint8_t *used; /* a byte per record. Allocated but never written records are free again for the next process. */
};

/* FNV-1a. Guards against a write cut short by a signal, not against an enemy: who can write here has the keys. */
static uint64_t checksum(const struct vault_copy *c, uint64_t seq)
{
	uint64_t h = 0xcbf29ce484222325u ^ seq ^ ((uint64_t)c->len << 40);
	for (uint32_t i = 0; i < c->len; i++)
		h = (h ^ c->data[i]) * 0x100000001b3u;
	return h;
}

static bool copy_valid(const struct vault_copy *c)
{
	return c->seq != 0 && c->len <= CV_VAULT_RECORD_MAX && c->check == checksum(c, c->seq);
}

/* Index of the newest complete copy, or -1. */
static int newest(const struct vault_record *r)
{
	bool v0 = copy_valid(&r->copy[0]), v1 = copy_valid(&r->copy[1]);
	if (v0 && v1)
		return r->copy[0].seq > r->copy[1].seq ? 0 : 1;
	return v0 ? 0 : v1 ? 1 : -1;
}

static size_t vault_len(uint32_t max_records)
{
	return VAULT_HEADER + (size_t)max_records * sizeof(struct vault_record);
}

static struct cv_vault *vault_map(int fd, uint32_t max_records)
{
	struct cv_vault *v = calloc(1, sizeof(*v));
	if (v == NULL)
		return NULL;
	v->map_len = vault_len(max_records);
	v->max_records = max_records;
	v->fd = fd;
	v->used = calloc(max_records, 1);
	void *p = mmap(NULL, v->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (v->used == NULL || p == MAP_FAILED) {
		if (p != MAP_FAILED)
			(void)munmap(p, v->map_len);
		free(v->used);
		free(v);
		return NULL;
	}
	(void)madvise(p, v->map_len, MADV_DONTDUMP); /* no keys in core files */
	v->header = p;
	v->record = (struct vault_record *)((uint8_t *)p + VAULT_HEADER);
	return v;
}

struct cv_vault *cv_vault_create(uint32_t max_records)
{
	if (max_records == 0 || max_records > VAULT_MAX_RECORDS) {
		errno = EINVAL;
		return NULL;
	}
	int fd = memfd_create("culvert-vault", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return NULL;
	struct cv_vault *v = NULL;
	if (ftruncate(fd, (off_t)vault_len(max_records)) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		v = vault_map(fd, max_records);
	if (v == NULL) {
		int err = errno;
		(void)close(fd);
		errno = err;
		return NULL;
	}
	v->header->version = VAULT_VERSION;
	v->header->max_records = max_records;
	v->header->copy_size = sizeof(struct vault_copy);
	__atomic_store_n(&v->header->magic, VAULT_MAGIC, __ATOMIC_RELEASE);
	return v;
}

/* Only the parts of the file that were ever written are looked at: reading a hole would fill it with memory. */
static void find_used(struct cv_vault *v)
{
	off_t at = (off_t)VAULT_HEADER;
	for (;;) {
		at = lseek(v->fd, at, SEEK_DATA);
		if (at < (off_t)VAULT_HEADER)
			return;
		size_t rec = ((size_t)at - VAULT_HEADER) / sizeof(struct vault_record);
		if (rec >= v->max_records)
			return;
		v->used[rec] = newest(&v->record[rec]) >= 0;
		at = (off_t)(VAULT_HEADER + (rec + 1) * sizeof(struct vault_record));
	}
}

struct cv_vault *cv_vault_open(int fd)
{
	struct vault_header h;
	struct stat st;
	struct cv_vault *v = NULL;
	errno = EPROTO;
	if (fstat(fd, &st) == 0 && pread(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h) && h.magic == VAULT_MAGIC &&
		h.version == VAULT_VERSION && h.copy_size == sizeof(struct vault_copy) && h.max_records > 0 &&
		h.max_records <= VAULT_MAX_RECORDS && (uint64_t)st.st_size == vault_len(h.max_records)) {
		v = vault_map(fd, h.max_records);
	} else {
		errno = EPROTO;
	}
	if (v == NULL) {
		int err = errno;
		(void)close(fd);
		errno = err;
		return NULL;
	}
	find_used(v);
	return v;
}

int cv_vault_fd(const struct cv_vault *v)
{
	return v->fd;
}

int cv_vault_alloc(struct cv_vault *v)
{
	for (uint32_t i = 0; i < v->max_records; i++) {
		if (!v->used[i]) {
			v->used[i] = 1;
			return (int)i;
		}
	}
	return -ENOSPC;
}

static bool in_use(const struct cv_vault *v, int rec)
{
	return rec >= 0 && (uint32_t)rec < v->max_records && v->used[rec];
}

/* The compiler must not move stores over this line; a killed process's earlier stores are in the page. */
static void order_stores(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

int cv_vault_write(struct cv_vault *v, int rec, const void *data, size_t len)
{
	if (!in_use(v, rec))
		return -ENOENT;
	if (len > CV_VAULT_RECORD_MAX)
		return -EMSGSIZE;
	struct vault_record *r = &v->record[rec];
	int cur = newest(r);
	uint64_t seq = cur < 0 ? 1 : r->copy[cur].seq + 1;
	struct vault_copy *c = &r->copy[cur == 0 ? 1 : 0];
	__atomic_store_n(&c->seq, 0, __ATOMIC_RELAXED);
	order_stores();
	if (c->len > len && c->len <= CV_VAULT_RECORD_MAX)
		cv_secret_zero(c->data + len, c->len - len);
	c->len = (uint32_t)len;
	memcpy(c->data, data, len);
	c->check = checksum(c, seq);
	order_stores();
	__atomic_store_n(&c->seq, seq, __ATOMIC_RELEASE);
	return 0;
}

int cv_vault_read(const struct cv_vault *v, int rec, void *buf, size_t size)
{
	if (!in_use(v, rec))
		return -ENOENT;
	int cur = newest(&v->record[rec]);
	if (cur < 0)
		return -ENOENT;
	const struct vault_copy *c = &v->record[rec].copy[cur];
	if (c->len > size)
		return -EMSGSIZE;
	memcpy(buf, c->data, c->len);
	return (int)c->len;
}

/* As far as it was ever written: touching the rest would fill it with memory. */
static void wipe_copy(struct vault_copy *c)
{
	__atomic_store_n(&c->seq, 0, __ATOMIC_RELAXED);
	order_stores();
	cv_secret_zero(c->data, c->len <= CV_VAULT_RECORD_MAX ? c->len : CV_VAULT_RECORD_MAX);
	order_stores();
	c->len = 0;
	c->check = 0;
}

void cv_vault_free(struct cv_vault *v, int rec)
{
	if (!in_use(v, rec))
		return;
	struct vault_record *r = &v->record[rec];
	int cur = newest(r);
	/* The older copy first: killed in between, the record is whole as it was, and no old state comes back. */
	int first = cur == 0 ? 1 : 0;
	wipe_copy(&r->copy[first]);
	order_stores();
	wipe_copy(&r->copy[1 - first]);
	off_t at = (off_t)(VAULT_HEADER + (size_t)rec * sizeof(*r));
	(void)fallocate(v->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, (off_t)sizeof(*r));
	v->used[rec] = 0;
}

int cv_vault_next(const struct cv_vault *v, int after)
{
	for (uint32_t i = (uint32_t)(after + 1); i < v->max_records; i++)
		if (v->used[i])
			return (int)i;
	return -1;
}

void cv_vault_close(struct cv_vault *v, int wipe)
{
	if (v == NULL)
		return;
	if (wipe)
		for (int r = cv_vault_next(v, -1); r >= 0; r = cv_vault_next(v, r))
			cv_vault_free(v, r);
	(void)munmap(v->header, v->map_len);
	(void)close(v->fd);
	free(v->used);
	free(v);
}
