/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cv_log.h"
#include "cv_secret.h"
#include "server.h"

#define BACKLOG 16

struct client {
	uv_pipe_t pipe;
	struct server *s;
	struct client *next;
	struct rpc_caller caller;
	struct rpc_lines in;
	bool busy;   /* a request is being worked on */
	bool closed; /* the pipe is gone; freed when not busy */
	bool reading;
};

struct server {
	uv_pipe_t pipe;
	uv_loop_t *loop;
	const struct rpc_env *env;
	struct client *clients;
	unsigned n_clients;
	bool stopping, pipe_closed;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* ---- who is it ---- */

static bool group_id(const char *name, gid_t *gid)
{
	const struct group *g = getgrnam(name);

	if (g)
		*gid = g->gr_gid;
	return g != NULL;
}

static bool in_group(const gid_t *gids, size_t n, const char *name)
{
	gid_t gid;

	if (!group_id(name, &gid))
		return false;
	for (size_t i = 0; i < n; i++)
		if (gids[i] == gid)
			return true;
	return false;
}

enum rpc_role server_role(int fd, uid_t self, struct rpc_caller *caller)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	gid_t gids[256];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return RPC_NOBODY;
	const struct passwd *pw = getpwuid(cred.uid);
	if (pw)
		snprintf(caller->name, sizeof(caller->name), "%s", pw->pw_name);
	else
		snprintf(caller->name, sizeof(caller->name), "uid %u", cred.uid);
	if (cred.uid == 0 || cred.uid == self)
		return RPC_ADMIN;
	/* the groups the peer had when it connected, its own one first */
	gids[0] = cred.gid;
	len = sizeof(gids) - sizeof(gids[0]);
	size_t n = 1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids + 1, &len) == 0)
		n += len / sizeof(gids[0]);
	if (in_group(gids, n, SERVER_GROUP_ADMIN))
		return RPC_ADMIN;
	return in_group(gids, n, SERVER_GROUP_VIEW) ? RPC_VIEW : RPC_NOBODY;
}

/* ---- socket ---- */

static bool somebody_answers(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;

	if (fd >= 0)
		close(fd);
	return yes;
}

static int set_owner(const char *path, uid_t owner)
{
	gid_t gid = (gid_t)-1;

	if (!group_id(SERVER_GROUP_VIEW, &gid))
		(void)group_id(SERVER_GROUP_ADMIN, &gid);
	if ((owner != (uid_t)-1 || gid != (gid_t)-1) && chown(path, owner, gid) < 0)
		cv_warn("rpc", "%s: owner not set: %s", path, strerror(errno)); /* its maker can still use it */
	return chmod(path, 0660) < 0 ? -errno : 0;
}

int server_bind(const char *path, uid_t owner)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	if (somebody_answers(&addr))
		return -EADDRINUSE;
	(void)unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	mode_t old = umask(0177); /* closed until its owner and mode are set */
	int rc = bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(old);
	if (!rc)
		rc = set_owner(path, owner);
	if (!rc && listen(fd, BACKLOG) < 0) /* from now on clients wait for the start in place of being refused */
		rc = -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

/* ---- clients ---- */

static void client_next(struct client *c);

static void server_free_if_done(struct server *s)
{
	if (s->stopping && s->pipe_closed && !s->clients)
		free(s);
}

static void client_free(struct client *c)
{
	struct server *s = c->s;

	for (struct client **p = &s->clients; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	s->n_clients--;
	rpc_lines_free(&c->in);
	free(c);
	server_free_if_done(s);
}

static void client_closed(uv_handle_t *h)
{
	struct client *c = h->data;

	c->closed = true;
	if (!c->busy)
		client_free(c);
}

static void client_close(struct client *c)
{
	if (!uv_is_closing((uv_handle_t *)&c->pipe))
		uv_close((uv_handle_t *)&c->pipe, client_closed);
}

struct out {
	uv_write_t req;
	struct client *c;
	struct rpc_more *more;
	size_t len;
	char data[];
};

static void written(uv_write_t *req, int status)
{
	struct out *o = req->data;
	struct client *c = o->c;
	struct rpc_more *more = o->more;

	cv_secret_zero(o->data, o->len);
	free(o);
	if (more && !c->closed && status >= 0 && !uv_is_closing((uv_handle_t *)&c->pipe)) {
		rpc_next(more);
		return;
	}
	if (more)
		rpc_abandon(more);
	c->busy = false;
	if (c->closed) {
		client_free(c);
	} else if (status < 0) {
		client_close(c);
	} else {
		client_next(c);
	}
}

/* The answer to the client's one outstanding request. It is busy until the bytes are out, those of all pieces. */
static void reply(void *arg, const char *text, size_t len, struct rpc_more *more)
{
	struct client *c = arg;
	struct out *o = c->closed || uv_is_closing((uv_handle_t *)&c->pipe) ? NULL : malloc(sizeof(*o) + len);

	if (!o) {
		if (more)
			rpc_abandon(more);
		c->busy = false;
		if (c->closed)
			client_free(c);
		else
			client_close(c);
		return;
	}
	*o = (struct out){.c = c, .more = more, .len = len};
	memcpy(o->data, text, len);
	o->req.data = o;
	uv_buf_t buf = uv_buf_init(o->data, (unsigned)len);
	if (uv_write(&o->req, (uv_stream_t *)&c->pipe, &buf, 1, written) < 0) {
		free(o);
		if (more)
			rpc_abandon(more);
		c->busy = false;
		client_close(c);
	}
}

static void got_room(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct client *c = h->data;
	size_t room = 0;

	(void)suggested;
	buf->base = rpc_lines_room(&c->in, &room);
	buf->len = room; /* 0 = UV_ENOBUFS in got_data: the line is too long */
}

static void got_data(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *c = stream->data;

	(void)buf;
	if (n < 0) {
		client_close(c);
		return;
	}
	rpc_lines_added(&c->in, (size_t)n);
	if (!c->busy)
		client_next(c);
}

/* Work on the next complete line, or read on. Reading rests while a request is worked on: that is the flow control. */
static void client_next(struct client *c)
{
	long len = rpc_lines_first(&c->in);

	if (len < 0) {
		if (!c->reading && uv_read_start((uv_stream_t *)&c->pipe, got_room, got_data) < 0)
			client_close(c);
		c->reading = true;
		return;
	}
	uv_read_stop((uv_stream_t *)&c->pipe);
	c->reading = false;
	c->busy = true;
	char *line = malloc((size_t)len + 1);
	if (!line) {
		c->busy = false;
		client_close(c);
		return;
	}
	memcpy(line, c->in.buf, (size_t)len);
	rpc_lines_drop(&c->in, (size_t)len);
	rpc_handle(c->s->env, &c->caller, line, (size_t)len, reply, c);
	cv_secret_zero(line, (size_t)len);
	free(line);
}

static void connected(uv_stream_t *stream, int status)
{
	struct server *s = stream->data;
	struct client *c = status < 0 ? NULL : calloc(1, sizeof(*c));
	uv_os_fd_t fd;

	if (!c)
		return;
	c->s = s;
	c->next = s->clients;
	s->clients = c;
	s->n_clients++;
	uv_pipe_init(s->loop, &c->pipe, 0);
	c->pipe.data = c;
	if (uv_accept(stream, (uv_stream_t *)&c->pipe) < 0 || s->n_clients > SERVER_CLIENTS_MAX ||
		uv_fileno((uv_handle_t *)&c->pipe, &fd) < 0) {
		client_close(c);
		return;
	}
	c->caller.role = server_role(fd, geteuid(), &c->caller);
	c->in.max = c->caller.role == RPC_ADMIN ? RPC_LINE_MAX : RPC_LINE_MAX_VIEW;
	client_next(c);
}

struct server *server_start(uv_loop_t *loop, int fd, const char *path, const struct rpc_env *env)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop;
	s->env = env;
	snprintf(s->path, sizeof(s->path), "%s", path);
	uv_pipe_init(loop, &s->pipe, 0);
	s->pipe.data = s;
	int rc = uv_pipe_open(&s->pipe, fd);
	if (!rc)
		rc = uv_listen((uv_stream_t *)&s->pipe, BACKLOG, connected);
	if (rc) {
		server_stop(s);
		errno = -rc;
		return NULL;
	}
	return s;
}

static void server_closed(uv_handle_t *h)
{
	struct server *s = h->data;

	s->pipe_closed = true;
	server_free_if_done(s);
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	s->stopping = true;
	(void)unlink(s->path);
	for (struct client *c = s->clients; c; c = c->next)
		client_close(c);
	uv_close((uv_handle_t *)&s->pipe, server_closed);
}
