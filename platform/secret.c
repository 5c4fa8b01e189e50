/* SPDX-License-Identifier: BSD-3-Clause */
#include "cv_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void cv_secret_zero(void *p, size_t len)
{
	explicit_bzero(p, len);
}

int cv_secret_cmp(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;
	for (size_t i = 0; i < len; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	return diff;
}

static int overwrite(int fd)
{
	static const char zero[4096];
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = write(fd, zero, left < (off_t)sizeof(zero) ? (size_t)left : sizeof(zero));

		if (n < 0 && errno != EINTR)
			return -errno;
		left -= n > 0 ? n : 0;
	}
	return fsync(fd) ? -errno : 0;
}

int cv_secret_wipe_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = overwrite(fd);
	close(fd);
	return unlinkat(dir, name, 0) ? -errno : err;
}
