/* SPDX-License-Identifier: BSD-3-Clause */
/* The dataplane's side of the channel's socket: who may attach, and what is handed over. */
#include "chan_int.h"
#include "cv_log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

struct cv_chan_server {
	int listen_fd, client_fd, stats_fd, event_fd, vault_fd;
	bool has_group;
	gid_t group;
	struct cv_stats_segment *stats;
	struct cv_chan *chan, *last;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* A memfd of a fixed size: without the seals a peer could shrink it, and touching it would kill us with SIGBUS. */
static int sealed_memfd(const char *name, size_t len, int *fd)
{
	*fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return -1;
	if (ftruncate(*fd, (off_t)len) == 0 && fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
		return 0;
	int err = errno;
	(void)close(*fd);
	*fd = -1;
	errno = err;
	return -1;
}

/* Map for writing first: the seal forbids every later writable mapping, also our own. */
static int stats_create(struct cv_chan_server *s)
{
	if (sealed_memfd("culvert-stats", sizeof(*s->stats), &s->stats_fd) != 0)
		return -1;
	void *p = mmap(NULL, sizeof(*s->stats), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, s->stats_fd, 0);
	if (p == MAP_FAILED)
		return -1;
	s->stats = p;
	if (fcntl(s->stats_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0)
		return -1;
	s->stats->version = CV_STATS_VERSION;
	do {
		if (getrandom(&s->stats->instance, sizeof(s->stats->instance), 0) != sizeof(s->stats->instance))
			return -1;
	} while (s->stats->instance == 0);
	__atomic_store_n(&s->stats->magic, CV_STATS_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

/* A socket file that nobody answers on is left over from a killed process. */
static int remove_stale(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	int rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa));
	int err = errno;
	(void)close(fd);
	if (rc == 0) {
		errno = EADDRINUSE;
		return -1;
	}
	if (err == ECONNREFUSED)
		return unlink(sa->sun_path);
	return 0;
}

static int listen_on(struct cv_chan_server *s, const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (remove_stale(&sa) != 0)
		return -1;
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->listen_fd < 0)
		return -1;
	mode_t old = umask(0117);
	int rc = bind(s->listen_fd, (struct sockaddr *)&sa, sizeof(sa));
	(void)umask(old);
	if (rc != 0)
		return -1;
	memcpy(s->path, path, strlen(path) + 1);
	if (s->has_group && chown(path, (uid_t)-1, s->group) != 0)
		return -1;
	return listen(s->listen_fd, 4);
}

struct cv_chan_server *cv_chan_server_open(const char *path, const char *group)
{
	struct cv_chan_server *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->listen_fd = s->client_fd = s->stats_fd = s->event_fd = s->vault_fd = -1;
	int err = 0;
	if (group != NULL) {
		struct group *g = getgrnam(group);
		if (g == NULL) {
			err = ENOENT;
			goto fail;
		}
		s->has_group = true;
		s->group = g->gr_gid;
	}
	if (stats_create(s) != 0 || listen_on(s, path) != 0) {
		err = errno;
		goto fail;
	}
	return s;
fail:
	cv_chan_server_close(s);
	errno = err;
	return NULL;
}

struct cv_stats_segment *cv_chan_server_stats(struct cv_chan_server *s)
{
	return s->stats;
}

static void drop_client(struct cv_chan_server *s)
{
	cv_chan_close(s->chan);
	s->chan = NULL;
	if (s->client_fd >= 0)
		(void)close(s->client_fd);
	if (s->event_fd >= 0)
		(void)close(s->event_fd);
	s->client_fd = s->event_fd = -1;
}

static bool in_group(int sock, const struct ucred *cred, gid_t group)
{
	if (cred->gid == group)
		return true;
	gid_t groups[NGROUPS_MAX > 4096 ? 4096 : NGROUPS_MAX];
	socklen_t len = sizeof(groups);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static bool peer_allowed(const struct cv_chan_server *s, int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	return cred.uid == 0 || cred.uid == geteuid() || (s->has_group && in_group(sock, &cred, s->group));
}

static void refuse(int sock, int err)
{
	struct chan_greeting g = {.magic = CHAN_MAGIC, .version = CV_MSG_VERSION, .err = err};
	(void)chan_send_fds(sock, &g, sizeof(g), NULL, 0);
	(void)close(sock);
}

/* A fresh set of rings for this client. Returns 0 or an errno; then nothing is attached. */
static int attach(struct cv_chan_server *s, int sock)
{
	int rings_fd, rc = 0;
	if (sealed_memfd("culvert-rings", chan_rings_len(), &rings_fd) != 0)
		return errno;
	s->chan = chan_map(rings_fd, true);
	s->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->chan == NULL || s->event_fd < 0) {
		rc = errno;
	} else {
		struct chan_greeting g = {.magic = CHAN_MAGIC, .version = CV_MSG_VERSION, .vault = s->vault_fd >= 0};
		int fds[CHAN_FDS_MAX] = {rings_fd, s->stats_fd, s->event_fd, s->vault_fd};
		int n = chan_send_fds(sock, &g, sizeof(g), fds, s->vault_fd >= 0 ? 4 : 3);
		if (n != (int)sizeof(g))
			rc = n < 0 ? -n : EIO;
	}
	(void)close(rings_fd);
	if (rc == 0)
		s->client_fd = sock;
	else
		drop_client(s);
	return rc;
}

/* What the client says on the socket: its end, or a vault to keep. False: it is gone, or not worth keeping. */
static bool client_alive(struct cv_chan_server *s)
{
	for (;;) {
		struct chan_vault_msg m;
		int fd[1] = {-1};
		unsigned n_fd = 1;
		int n = chan_recv_fds(s->client_fd, &m, sizeof(m), fd, &n_fd);
		if (n == -EAGAIN || n == -EINTR)
			return true;
		bool good = n == (int)sizeof(m) && n_fd == 1 && m.magic == CHAN_MAGIC && m.version == CV_MSG_VERSION;
		if (!good) {
			if (n_fd == 1)
				(void)close(fd[0]);
			return false;
		}
		if (s->vault_fd >= 0)
			(void)close(s->vault_fd);
		s->vault_fd = fd[0];
	}
}

struct cv_chan *cv_chan_server_poll(struct cv_chan_server *s, int *changed)
{
	if (s->chan != NULL) {
		if (cv_chan_broken(s->chan)) {
			cv_warn("channel", "control process wrote impossible ring indexes: detached");
			drop_client(s);
		} else if (!client_alive(s)) {
			drop_client(s);
		}
	}
	bool gone = s->chan != s->last;
	int sock = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (sock >= 0) {
		int err = !peer_allowed(s, sock) ? EACCES : s->chan != NULL ? EBUSY : attach(s, sock);
		if (err != 0)
			refuse(sock, err);
	}
	/* The allocator may give a new client the address of the old one: pointers alone do not tell. */
	*changed = gone || s->chan != s->last;
	s->last = s->chan;
	return s->chan;
}

void cv_chan_server_kick(struct cv_chan_server *s)
{
	if (s->event_fd >= 0)
		(void)eventfd_write(s->event_fd, 1);
}

void cv_chan_server_close(struct cv_chan_server *s)
{
	if (s == NULL)
		return;
	drop_client(s);
	if (s->listen_fd >= 0)
		(void)close(s->listen_fd);
	if (s->path[0] != '\0')
		(void)unlink(s->path);
	if (s->vault_fd >= 0)
		(void)close(s->vault_fd);
	if (s->stats != NULL)
		(void)munmap(s->stats, sizeof(*s->stats));
	if (s->stats_fd >= 0)
		(void)close(s->stats_fd);
	free(s);
}
