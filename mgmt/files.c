/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cv_secret.h"
#include "files.h"

static int new_name(const char *path, char out[static PATH_MAX])
{
	return snprintf(out, PATH_MAX, "%s.new", path) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int files_prepare(const char *path, const char *data, size_t len)
{
	char tmp[PATH_MAX];
	int rc = new_name(path, tmp);

	if (rc)
		return rc;
	(void)unlink(tmp); /* left by a crash; O_EXCL then guarantees that nobody else's file or link is written */
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, data, len);
	if (close(fd) < 0 && !rc)
		rc = -errno;
	if (rc)
		(void)unlink(tmp);
	return rc;
}

/* A rename is only durable once its directory is. */
static int sync_dir_of(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;

	if (n >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, n ? path : ".", n ? n : 1);
	dir[n ? n : 1] = 0;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = fsync(fd) < 0 && errno != EINVAL ? -errno : 0; /* EINVAL: a file system without directory sync */
	close(fd);
	return rc;
}

int files_commit(const char *path)
{
	char tmp[PATH_MAX];
	int rc = new_name(path, tmp);

	if (rc)
		return rc;
	if (rename(tmp, path) < 0) {
		rc = -errno;
		(void)unlink(tmp);
		return rc;
	}
	return sync_dir_of(path);
}

void files_abort(const char *path)
{
	char tmp[PATH_MAX];

	if (new_name(path, tmp) == 0)
		(void)unlink(tmp);
}

int files_write(const char *path, const char *data, size_t len)
{
	int rc = files_prepare(path, data, len);

	return rc ? rc : files_commit(path);
}

static int read_all(int fd, char *text, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, text + got, size - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	text[got] = 0;
	return strlen(text) == got ? 0 : -EILSEQ;
}

int files_read(const char *path, char **text)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*text = NULL;
	if (fd < 0)
		return -errno;
	int rc = fstat(fd, &st) < 0 ? -errno : 0;
	if (!rc && !S_ISREG(st.st_mode))
		rc = -EINVAL;
	if (!rc && st.st_size > (off_t)FILES_MAX)
		rc = -EFBIG;
	if (!rc && !(*text = malloc((size_t)st.st_size + 1)))
		rc = -ENOMEM;
	if (!rc)
		rc = read_all(fd, *text, (size_t)st.st_size);
	close(fd);
	if (rc && *text) {
		cv_secret_zero(*text, (size_t)st.st_size);
		free(*text);
		*text = NULL;
	}
	return rc;
}

int files_mkdir(const char *path, unsigned mode)
{
	char part[PATH_MAX];

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	for (char *p = part + 1;; p++) {
		char c = *p;
		if (c && c != '/')
			continue;
		*p = 0;
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return -errno;
		*p = c;
		if (!c)
			return 0;
	}
}
