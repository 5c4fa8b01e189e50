/* SPDX-License-Identifier: BSD-3-Clause */
/* The control process's side of the channel's socket. */
#include "chan_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define GREETING_TIMEOUT_S 5

static int connect_to(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	struct timeval tv = {.tv_sec = GREETING_TIMEOUT_S};
	(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(sock, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		int err = errno;
		(void)close(sock);
		return -err;
	}
	return sock;
}

static const struct cv_stats_segment *map_stats(int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size != sizeof(struct cv_stats_segment)) {
		errno = EPROTO;
		return NULL;
	}
	void *p = mmap(NULL, sizeof(struct cv_stats_segment), PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	const struct cv_stats_segment *s = p;
	if (s->magic != CV_STATS_MAGIC || s->version != CV_STATS_VERSION) {
		(void)munmap(p, sizeof(*s));
		errno = EPROTO;
		return NULL;
	}
	return s;
}

static int check_greeting(const struct chan_greeting *g, int n, unsigned n_fds)
{
	if (n == 0)
		return -ECONNREFUSED;
	if (n < 0)
		return n == -EAGAIN ? -ETIMEDOUT : n;
	if (n != (int)sizeof(*g) || g->magic != CHAN_MAGIC || g->version != CV_MSG_VERSION)
		return -EPROTO;
	if (g->err != 0)
		return g->err > 0 ? -g->err : -EPROTO;
	return n_fds == (g->vault ? 4u : 3u) ? 0 : -EPROTO;
}

int cv_chan_connect(const char *path, int vault_fd, struct cv_chan **out, int *vault_back)
{
	*vault_back = -1;
	int sock = connect_to(path);
	if (sock < 0)
		return sock;
	struct chan_greeting g;
	int fds[CHAN_FDS_MAX];
	unsigned n_fds = CHAN_FDS_MAX;
	int n = chan_recv_fds(sock, &g, sizeof(g), fds, &n_fds);
	int rc = check_greeting(&g, n, n_fds);
	struct cv_chan *ch = NULL;
	if (rc == 0) {
		ch = chan_map(fds[0], false);
		if (ch == NULL)
			rc = -errno;
	}
	if (rc == 0) {
		ch->stats = map_stats(fds[1]);
		if (ch->stats == NULL)
			rc = -errno;
	}
	if (rc == 0 && !g.vault && vault_fd >= 0) {
		ch->sock = sock;
		rc = cv_chan_leave_vault(ch, vault_fd);
		ch->sock = -1;
	}
	if (rc != 0) {
		cv_chan_close(ch);
		for (unsigned i = 0; i < n_fds; i++)
			(void)close(fds[i]);
		(void)close(sock);
		return rc;
	}
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)fcntl(sock, F_SETFL, O_NONBLOCK);
	ch->sock = sock;
	ch->event_fd = fds[2];
	*vault_back = g.vault ? fds[3] : -1;
	*out = ch;
	return 0;
}

int cv_chan_leave_vault(struct cv_chan *ch, int vault_fd)
{
	struct chan_vault_msg m = {.magic = CHAN_MAGIC, .version = CV_MSG_VERSION};
	int n = chan_send_fds(ch->sock, &m, sizeof(m), &vault_fd, 1);
	return n == (int)sizeof(m) ? 0 : n < 0 ? n : -EIO;
}

int cv_chan_event_fd(const struct cv_chan *ch)
{
	return ch->event_fd;
}

int cv_chan_socket_fd(const struct cv_chan *ch)
{
	return ch->sock;
}

const struct cv_stats_segment *cv_chan_stats(const struct cv_chan *ch)
{
	return ch->stats;
}
