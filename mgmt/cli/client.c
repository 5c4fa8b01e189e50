/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cv_secret.h"

#define ANSWER_MAX (256u << 20) /* bytes: more than any show can hold */

void client_init(struct client *c, const char *path)
{
	c->path = path;
	c->fd = -1;
}

void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static int connect_to(struct client *c, char *err, size_t err_size)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT_S};

	if (strlen(c->path) >= sizeof(addr.sun_path)) {
		snprintf(err, err_size, "%s: the path is too long", c->path);
		return -1;
	}
	memcpy(addr.sun_path, c->path, strlen(c->path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		snprintf(err, err_size, "%s: %s%s", c->path, strerror(errno),
			errno == ENOENT || errno == ECONNREFUSED ? "; is culvertd running?" : "");
		client_close(c);
		return -1;
	}
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return 0;
}

static int send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_request(struct client *c, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	int rc = text ? send_all(c->fd, text, strlen(text)) : -1;

	if (!rc)
		rc = send_all(c->fd, "\n", 1);
	if (text)
		cv_secret_zero(text, strlen(text));
	free(text);
	return rc;
}

/* One line. errno ETIMEDOUT when nothing comes. */
static char *read_line(int fd, size_t *len)
{
	size_t size = 65536, scanned = 0;
	char *buf = malloc(size);

	for (*len = 0; buf;) {
		char *nl = *len > scanned ? memchr(buf + scanned, '\n', *len - scanned) : NULL;
		if (nl) {
			*len = (size_t)(nl - buf);
			return buf;
		}
		scanned = *len;
		if (*len == size) {
			char *bigger = size < ANSWER_MAX ? realloc(buf, size *= 2) : NULL;
			if (!bigger)
				break;
			buf = bigger;
		}
		ssize_t n = recv(fd, buf + *len, size - *len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? ECONNRESET : errno == EAGAIN ? ETIMEDOUT : errno;
			break;
		}
		*len += (size_t)n;
	}
	free(buf);
	return NULL;
}

json_t *client_call(struct client *c, const json_t *request, char *err, size_t err_size)
{
	size_t len;
	json_error_t where;
	bool fresh = c->fd < 0;

	if (fresh && connect_to(c, err, err_size) < 0)
		return NULL;
	if (send_request(c, request) < 0) {
		client_close(c); /* the shell's connection dies with a culvertd that was restarted: once more */
		if (fresh || connect_to(c, err, err_size) < 0 || send_request(c, request) < 0) {
			snprintf(err, err_size, "%s: the request cannot be sent", c->path);
			return NULL;
		}
	}
	char *line = read_line(c->fd, &len);
	if (!line) {
		snprintf(err, err_size, "%s: no answer: %s", c->path, strerror(errno));
		client_close(c);
		return NULL;
	}
	json_t *answer = json_loadb(line, len, 0, &where);
	free(line);
	if (!json_is_object(answer)) {
		snprintf(err, err_size, "%s: the answer is not understood", c->path);
		json_decref(answer);
		client_close(c);
		return NULL;
	}
	return answer;
}
