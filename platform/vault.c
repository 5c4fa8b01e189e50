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
#define VAULT_VERSION 4u
#define VAULT_MAX_RECORDS (1u << 20)
#define VAULT_HEADER 4096u

struct vault_header {
	uint32_t magic, version;
	uint32_t max_records, record_size;
};

/*
 * The file is the header, a head for each record, and for each record a rest. The head has the beginnings of the two
 * copies, enough for an IKE SA with a child, and there are two heads in a page; what is longer goes on in the rest.
 */
#define PAGE 4096u
#define HEAD_DATA 960u
/* seq 0: empty or being written. */
struct vault_copy {
	uint64_t seq;
	uint64_t check;
	uint32_t len;
	uint8_t pad[44];
	uint8_t data[HEAD_DATA];
};
struct vault_head {
	struct vault_copy copy[2];
};
struct vault_rest {
	uint8_t copy[2][CV_VAULT_RECORD_MAX + 64];
};
_Static_assert(sizeof(struct vault_head) == PAGE / 2, "two in a page");
_Static_assert(sizeof(struct vault_rest) % PAGE == 0, "whole pages: what is not written takes no memory");
/* One record, wherever its parts are. */
struct vault_record {
	struct vault_head *head;
	struct vault_rest *rest;
};

struct cv_vault {
	int fd;
	uint32_t max_records;
	size_t map_len;
	struct vault_header *header;
	struct vault_head *head;
	struct vault_rest *rest;
	uint32_t low;  /* no record below this one is free */
	uint8_t *used; /* a byte per record. Allocated but never written records are free again for the next process. */
};

/* FNV-1a. Guards against a write cut short by a signal, not against an enemy: who can write here has the keys. */
static uint64_t checksum_add(uint64_t h, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

/* Of len bytes of a copy, those in its head. */
static size_t in_head(size_t len)
{
	return len < HEAD_DATA ? len : HEAD_DATA;
}

static uint64_t checksum(struct vault_record r, int i, uint64_t seq)
{
	const struct vault_copy *c = &r.head->copy[i];
	size_t head = in_head(c->len);
	uint64_t h = checksum_add(0xcbf29ce484222325u ^ seq ^ ((uint64_t)c->len << 40), c->data, head);
	return checksum_add(h, r.rest->copy[i], c->len - head);
}

static bool copy_valid(struct vault_record r, int i)
{
	const struct vault_copy *c = &r.head->copy[i];
	return c->seq != 0 && c->len <= CV_VAULT_RECORD_MAX && c->check == checksum(r, i, c->seq);
}

/* Zero what a copy holds from byte `from` up to `to`; touching more would fill it with memory. */
static void zero_bytes(struct vault_record r, int i, size_t from, size_t to)
{
	if (from < in_head(to))
		cv_secret_zero(r.head->copy[i].data + from, in_head(to) - from);
	if (from < HEAD_DATA)
		from = HEAD_DATA;
	if (from < to)
		cv_secret_zero(r.rest->copy[i] + from - HEAD_DATA, to - from);
}

/* Index of the newest complete copy, or -1. */
static int newest(struct vault_record r)
{
	bool v0 = copy_valid(r, 0), v1 = copy_valid(r, 1);
	if (v0 && v1)
		return r.head->copy[0].seq > r.head->copy[1].seq ? 0 : 1;
	return v0 ? 0 : v1 ? 1 : -1;
}

/* Where the heads end, at the end of a page. */
static size_t heads_end(uint32_t max_records)
{
	return VAULT_HEADER + (max_records + 1ul) / 2 * PAGE;
}

static size_t vault_len(uint32_t max_records)
{
	return heads_end(max_records) + (size_t)max_records * sizeof(struct vault_rest);
}

static struct vault_record record(const struct cv_vault *v, uint32_t rec)
{
	return (struct vault_record){&v->head[rec], &v->rest[rec]};
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
	v->head = (struct vault_head *)((uint8_t *)p + VAULT_HEADER);
	v->rest = (struct vault_rest *)((uint8_t *)p + heads_end(max_records));
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
	v->header->record_size = sizeof(struct vault_head) + sizeof(struct vault_rest);
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
		uint32_t page = (uint32_t)(((size_t)at - VAULT_HEADER) / PAGE);
		if (2 * page >= v->max_records)
			return;
		for (uint32_t rec = 2 * page; rec < 2 * page + 2 && rec < v->max_records; rec++)
			v->used[rec] = newest(record(v, rec)) >= 0;
		at = (off_t)(VAULT_HEADER + (page + 1ul) * PAGE);
	}
}

struct cv_vault *cv_vault_open(int fd)
{
	struct vault_header h;
	struct stat st;
	struct cv_vault *v = NULL;
	errno = EPROTO;
	if (fstat(fd, &st) == 0 && pread(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h) && h.magic == VAULT_MAGIC &&
		h.version == VAULT_VERSION && h.record_size == sizeof(struct vault_head) + sizeof(struct vault_rest) &&
		h.max_records > 0 && h.max_records <= VAULT_MAX_RECORDS &&
		(uint64_t)st.st_size == vault_len(h.max_records)) {
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
	while (v->low < v->max_records && v->used[v->low])
		v->low++;
	if (v->low == v->max_records)
		return -ENOSPC;
	v->used[v->low] = 1;
	return (int)v->low;
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
	struct vault_record r = record(v, (uint32_t)rec);
	int cur = newest(r);
	uint64_t seq = cur < 0 ? 1 : r.head->copy[cur].seq + 1;
	int i = cur == 0 ? 1 : 0;
	struct vault_copy *c = &r.head->copy[i];
	__atomic_store_n(&c->seq, 0, __ATOMIC_RELAXED);
	order_stores();
	if (c->len > len && c->len <= CV_VAULT_RECORD_MAX)
		zero_bytes(r, i, len, c->len);
	c->len = (uint32_t)len;
	memcpy(c->data, data, in_head(len));
	memcpy(r.rest->copy[i], (const uint8_t *)data + in_head(len), len - in_head(len));
	c->check = checksum(r, i, seq);
	order_stores();
	__atomic_store_n(&c->seq, seq, __ATOMIC_RELEASE);
	return 0;
}

int cv_vault_read(const struct cv_vault *v, int rec, void *buf, size_t size)
{
	if (!in_use(v, rec))
		return -ENOENT;
	struct vault_record r = record(v, (uint32_t)rec);
	int cur = newest(r);
	if (cur < 0)
		return -ENOENT;
	const struct vault_copy *c = &r.head->copy[cur];
	if (c->len > size)
		return -EMSGSIZE;
	memcpy(buf, c->data, in_head(c->len));
	memcpy((uint8_t *)buf + in_head(c->len), r.rest->copy[cur], c->len - in_head(c->len));
	return (int)c->len;
}

static void wipe_copy(struct vault_record r, int i)
{
	struct vault_copy *c = &r.head->copy[i];
	__atomic_store_n(&c->seq, 0, __ATOMIC_RELAXED);
	order_stores();
	zero_bytes(r, i, 0, c->len <= CV_VAULT_RECORD_MAX ? c->len : CV_VAULT_RECORD_MAX);
	order_stores();
	c->len = 0;
	c->check = 0;
}

/* The memory of a free record: its rest, and the page of its head when the other one in it is free, too. */
static void give_back(struct cv_vault *v, uint32_t rec)
{
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	uint32_t other = rec ^ 1;
	(void)fallocate(v->fd, punch, (off_t)((uint8_t *)&v->rest[rec] - (uint8_t *)v->header), sizeof(*v->rest));
	if (other >= v->max_records || !v->used[other])
		(void)fallocate(v->fd, punch, (off_t)(VAULT_HEADER + (size_t)(rec / 2) * PAGE), PAGE);
}

void cv_vault_free(struct cv_vault *v, int rec)
{
	if (!in_use(v, rec))
		return;
	struct vault_record r = record(v, (uint32_t)rec);
	int cur = newest(r);
	/* The older copy first: killed in between, the record is whole as it was, and no old state comes back. */
	int first = cur == 0 ? 1 : 0;
	wipe_copy(r, first);
	order_stores();
	wipe_copy(r, 1 - first);
	v->used[rec] = 0;
	v->low = (uint32_t)rec < v->low ? (uint32_t)rec : v->low;
	give_back(v, (uint32_t)rec);
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
