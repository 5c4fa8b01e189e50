/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sockets of the AAA client: one connected UDP socket of the kernel for each server, opened when something is first
 * sent there. The kernel lets through nothing but what comes from that server's address and port.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"

struct aaa_socket {
	uv_poll_t poll;
	struct control *c;
	unsigned server;
	int fd;
};

static socklen_t sockaddr_of(const struct cv_addr *a, uint16_t port, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (a->af == CV_AF_INET6) {
		struct sockaddr_in6 *s = (struct sockaddr_in6 *)out;
		s->sin6_family = AF_INET6;
		s->sin6_port = htons(port);
		memcpy(&s->sin6_addr, a->b, 16);
		return sizeof(*s);
	}
	struct sockaddr_in *s = (struct sockaddr_in *)out;
	s->sin_family = AF_INET;
	s->sin_port = htons(port);
	memcpy(&s->sin_addr, a->b, 4);
	return sizeof(*s);
}

/* A descriptor, or a negative errno. */
static int connected(const struct cfg_radius_server *s)
{
	struct sockaddr_storage to, from;
	socklen_t to_len = sockaddr_of(&s->addr, s->port, &to), from_len = sockaddr_of(&s->source, 0, &from);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	if ((s->interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, s->interface,
				     (socklen_t)strnlen(s->interface, IFNAMSIZ))) ||
		(s->source.af && bind(fd, (struct sockaddr *)&from, from_len)) ||
		connect(fd, (struct sockaddr *)&to, to_len)) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct aaa_socket *s = h->data;
	uint8_t data[RADIUS_MSG_MAX];

	(void)status, (void)events;
	for (unsigned burst = 0; burst < 64; burst++) {
		ssize_t n = recv(s->fd, data, sizeof(data), 0);
		if (n < 0 && errno == ECONNREFUSED)
			continue; /* an ICMP error proves nothing: the request runs into its time-out */
		if (n < 0)
			return;
		aaa_input(s->c->aaa, s->server, data, (size_t)n);
	}
}

static struct aaa_socket *socket_for(struct control *c, unsigned server, int *err)
{
	struct aaa_socket *s = c->aaa_socket[server];

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	*err = s ? connected(&c->aaa_config->radius_server[server]) : -ENOMEM;
	if (*err >= 0) {
		*s = (struct aaa_socket){.c = c, .server = server, .fd = *err};
		*err = uv_poll_init(c->loop, &s->poll, s->fd);
		if (*err)
			close(s->fd);
	}
	if (*err < 0) {
		free(s);
		return NULL;
	}
	s->poll.data = s;
	c->handles++;
	uv_poll_start(&s->poll, UV_READABLE, on_readable);
	c->aaa_socket[server] = s;
	return s;
}

static int net_send(void *ctx, unsigned server, const void *data, size_t len)
{
	struct control *c = ctx;
	int err = 0;
	struct aaa_socket *s = socket_for(c, server, &err);

	if (s && send(s->fd, data, len, 0) < 0)
		err = -errno;
	if (err < 0) /* no more often than there are repeats */
		cv_info("aaa", "request to RADIUS server %s: %s", c->aaa_config->radius_server[server].name,
			strerror(-err));
	return err < 0 ? err : 0;
}

const struct aaa_ops aaa_net_ops = {.now_ms = host_now_ms, .send = net_send};

static void closed(uv_handle_t *h)
{
	struct aaa_socket *s = h->data;
	struct control *c = s->c;

	close(s->fd);
	free(s);
	c->handles--;
	control_maybe_free(c);
}

void aaa_net_close(struct control *c)
{
	for (unsigned i = 0; c->aaa_config && i < c->aaa_config->n_radius_server; i++)
		if (c->aaa_socket[i])
			uv_close((uv_handle_t *)&c->aaa_socket[i]->poll, closed);
	free(c->aaa_socket);
	c->aaa_socket = NULL;
	config_unref(c->aaa_config);
	c->aaa_config = NULL;
}

void aaa_net_config(struct control *c, struct cv_config *cfg)
{
	struct aaa_socket **keep = c->aaa_socket;

	if (!aaa_set_config(c->aaa, cfg) && keep) { /* the same servers by the same numbers */
		config_ref(cfg);
		config_unref(c->aaa_config);
		c->aaa_config = cfg;
		return;
	}
	aaa_net_close(c);
	c->aaa_config = config_ref(cfg);
	c->aaa_socket = calloc(cfg->n_radius_server + 1, sizeof(struct aaa_socket *));
	if (!c->aaa_socket)
		abort();
}
