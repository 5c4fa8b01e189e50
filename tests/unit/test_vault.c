/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "cv_vault.h"

#define HEADER 4096u
#define COPY_HEADER 64u /* before the data of each copy */
#define COPY_HEAD 1024u /* what each copy has in the head of a record */
#define HEADS(n) (((n) + 1u) / 2 * 4096u)
#define REST (2 * (COPY_HEADER + CV_VAULT_RECORD_MAX))
#define VAULT(n) (HEADER + HEADS(n) + (n)*REST)

static uint8_t buf[CV_VAULT_RECORD_MAX];

/* What a restarted process does: a descriptor of the same memory, a new mapping. */
static struct cv_vault *reopen(const struct cv_vault *v)
{
	return cv_vault_open(dup(cv_vault_fd(v)));
}

static void records_survive_the_process(void **state)
{
	(void)state;
	struct cv_vault *v = cv_vault_create(100);
	assert_non_null(v);
	int a = cv_vault_alloc(v), b = cv_vault_alloc(v), c = cv_vault_alloc(v);
	assert_int_equal(cv_vault_write(v, a, "alpha", 5), 0);
	assert_int_equal(cv_vault_write(v, c, "gamma", 5), 0);
	assert_int_equal(cv_vault_read(v, b, buf, sizeof(buf)), -ENOENT);
	struct cv_vault *w = reopen(v);
	assert_non_null(w);
	cv_vault_close(v, 0);
	assert_int_equal(cv_vault_next(w, -1), a);
	assert_int_equal(cv_vault_next(w, a), c);
	assert_int_equal(cv_vault_next(w, c), -1);
	assert_int_equal(cv_vault_read(w, a, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "alpha", 5);
	assert_int_equal(cv_vault_alloc(w), b); /* allocated but never written: free again */
	cv_vault_close(w, 1);
}

static void every_size_up_to_the_largest(void **state)
{
	(void)state;
	static uint8_t out[CV_VAULT_RECORD_MAX + 1];
	struct cv_vault *v = cv_vault_create(2);
	int r = cv_vault_alloc(v);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 31);
	for (size_t len = 0; len <= CV_VAULT_RECORD_MAX; len += len < 9000 ? 127 : 9973) {
		assert_int_equal(cv_vault_write(v, r, out, len), 0);
		assert_int_equal(cv_vault_read(v, r, buf, sizeof(buf)), len);
		assert_memory_equal(buf, out, len);
		if (len > 0)
			assert_int_equal(cv_vault_read(v, r, buf, len - 1), -EMSGSIZE);
	}
	assert_int_equal(cv_vault_write(v, r, out, CV_VAULT_RECORD_MAX), 0);
	assert_int_equal(cv_vault_write(v, r, out, CV_VAULT_RECORD_MAX + 1), -EMSGSIZE);
	assert_int_equal(cv_vault_read(v, r, buf, sizeof(buf)), CV_VAULT_RECORD_MAX);
	cv_vault_close(v, 1);
}

static void full_and_wrong_records(void **state)
{
	(void)state;
	struct cv_vault *v = cv_vault_create(2);
	assert_int_equal(cv_vault_write(v, 0, "x", 1), -ENOENT);
	int a = cv_vault_alloc(v), b = cv_vault_alloc(v);
	assert_int_equal(cv_vault_alloc(v), -ENOSPC);
	cv_vault_free(v, a);
	assert_int_equal(cv_vault_read(v, a, buf, sizeof(buf)), -ENOENT);
	assert_int_equal(cv_vault_alloc(v), a);
	assert_int_equal(cv_vault_write(v, -1, "x", 1), -ENOENT);
	assert_int_equal(cv_vault_write(v, 2, "x", 1), -ENOENT);
	assert_int_equal(cv_vault_write(v, b, "x", 1), 0);
	cv_vault_close(v, 0);
	assert_null(cv_vault_create(0));
	assert_int_equal(errno, EINVAL);
}

/* A writer killed at any byte of a write: after the file, byte for byte, was cut off half written, the old contents are
 * still there. Done by spoiling each of the two copies in turn. */
static void a_write_cut_short_loses_only_itself(void **state)
{
	(void)state;
	struct cv_vault *v = cv_vault_create(1);
	int r = cv_vault_alloc(v);
	assert_int_equal(cv_vault_write(v, r, "state-1", 7), 0);
	assert_int_equal(cv_vault_write(v, r, "state-2", 7), 0);
	uint8_t *raw = mmap(NULL, VAULT(1), PROT_READ | PROT_WRITE, MAP_SHARED, cv_vault_fd(v), 0);
	assert_ptr_not_equal(raw, MAP_FAILED);
	uint8_t *second = raw + HEADER + COPY_HEAD;
	for (size_t at = 0; at < 64 + 7; at++) {
		if (at >= 20 && at < 64)
			continue; /* padding */
		second[at] ^= 0x5a;
		struct cv_vault *w = reopen(v);
		assert_non_null(w);
		assert_int_equal(cv_vault_next(w, -1), r);
		assert_int_equal(cv_vault_read(w, r, buf, sizeof(buf)), 7);
		assert_memory_equal(buf, "state-1", 7);
		cv_vault_close(w, 0);
		second[at] ^= 0x5a;
	}
	struct cv_vault *w = reopen(v);
	assert_int_equal(cv_vault_read(w, r, buf, sizeof(buf)), 7);
	assert_memory_equal(buf, "state-2", 7);
	/* The next write must replace the spoiled copy, not the good one. */
	second[64] ^= 1;
	assert_int_equal(cv_vault_write(w, r, "state-3", 7), 0);
	assert_int_equal(cv_vault_read(w, r, buf, sizeof(buf)), 7);
	assert_memory_equal(buf, "state-3", 7);
	(void)munmap(raw, VAULT(1));
	cv_vault_close(w, 0);
	cv_vault_close(v, 1);
}

/* The record of an IKE SA with a child: half a page, both copies in it. */
static void short_records_take_half_a_page(void **state)
{
	(void)state;
	enum { N = 64 };
	static const uint8_t data[960] = {1};
	struct stat st;
	struct cv_vault *v = cv_vault_create(N);
	for (int i = 0; i < N; i++) {
		int r = cv_vault_alloc(v);
		for (int k = 0; k < 4; k++)
			assert_int_equal(cv_vault_write(v, r, data, sizeof(data)), 0);
	}
	assert_int_equal(fstat(cv_vault_fd(v), &st), 0);
	assert_true(st.st_blocks * 512 <= (N / 2 + 1) * 4096);
	cv_vault_close(v, 1);
}

/* Freeing one of the two records in a page leaves the other as it was, also for the next process. */
static void two_records_share_a_page(void **state)
{
	(void)state;
	struct stat st;
	struct cv_vault *v = cv_vault_create(3);
	int r[3];
	for (int i = 0; i < 3; i++) {
		r[i] = cv_vault_alloc(v);
		assert_int_equal(cv_vault_write(v, r[i], &i, sizeof(i)), 0);
	}
	cv_vault_free(v, r[1]);
	struct cv_vault *w = reopen(v);
	for (int i = 0, got; i < 3; i += 2) {
		assert_int_equal(cv_vault_read(w, r[i], &got, sizeof(got)), sizeof(got));
		assert_int_equal(got, i);
	}
	assert_int_equal(cv_vault_next(w, r[0]), r[2]);
	cv_vault_close(w, 0);
	assert_int_equal(cv_vault_alloc(v), r[1]);
	for (int i = 0; i < 3; i++)
		cv_vault_free(v, r[i]);
	assert_int_equal(fstat(cv_vault_fd(v), &st), 0);
	assert_int_equal(st.st_blocks * 512, 4096); /* the header */
	cv_vault_close(v, 1);
}

static void freed_secrets_are_gone_from_memory(void **state)
{
	(void)state;
	static const char secret[] = "the pre-shared secret of a test";
	struct cv_vault *v = cv_vault_create(4);
	int fd = dup(cv_vault_fd(v));
	int r = cv_vault_alloc(v), s = cv_vault_alloc(v);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(cv_vault_write(v, r, secret, sizeof(secret)), 0);
		assert_int_equal(cv_vault_write(v, s, secret, sizeof(secret)), 0);
	}
	/* and at the end of a long one, which a shorter one follows */
	static char longer[9000];
	memcpy(longer + sizeof(longer) - sizeof(secret), secret, sizeof(secret));
	assert_int_equal(cv_vault_write(v, s, longer, sizeof(longer)), 0);
	assert_int_equal(cv_vault_write(v, r, longer, sizeof(longer)), 0);
	assert_int_equal(cv_vault_write(v, r, "x", 1), 0);
	assert_int_equal(cv_vault_write(v, r, "x", 1), 0);
	static uint8_t all[VAULT(4)];
	assert_int_equal(pread(fd, all, sizeof(all), 0), sizeof(all));
	assert_non_null(memmem(all, sizeof(all), secret, sizeof(secret)));
	cv_vault_free(v, r);
	cv_vault_close(v, 1);
	assert_int_equal(pread(fd, all, sizeof(all), 0), sizeof(all));
	assert_null(memmem(all, sizeof(all), secret, sizeof(secret)));
	(void)close(fd);
}

static void what_is_no_vault_is_refused(void **state)
{
	(void)state;
	int fd = memfd_create("no-vault", MFD_CLOEXEC);
	assert_int_equal(write(fd, "LVVC but not really a vault", 27), 27);
	assert_null(cv_vault_open(fd));
	assert_int_equal(errno, EPROTO);
	struct cv_vault *v = cv_vault_create(3);
	uint32_t many = 1000; /* a header that claims more records than the file has */
	assert_int_equal(pwrite(cv_vault_fd(v), &many, sizeof(many), 8), sizeof(many));
	assert_null(reopen(v));
	assert_int_equal(errno, EPROTO);
	cv_vault_close(v, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_survive_the_process),
		cmocka_unit_test(every_size_up_to_the_largest),
		cmocka_unit_test(full_and_wrong_records),
		cmocka_unit_test(a_write_cut_short_loses_only_itself),
		cmocka_unit_test(short_records_take_half_a_page),
		cmocka_unit_test(two_records_share_a_page),
		cmocka_unit_test(freed_secrets_are_gone_from_memory),
		cmocka_unit_test(what_is_no_vault_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
