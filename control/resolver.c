/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "cv_addr.h"
#include "cv_log.h"

#define SERVER_MAX 8u
#define TRY_MS 2000 /* for the first answer of a server; c-ares doubles it */
#define TRIES 2
#define TICK_MS 250 /* how often c-ares is asked for questions that nobody has answered, while there are any */

/* A socket of c-ares. */
struct watched {
	LIST_ENTRY(watched) link;
	uv_poll_t poll;
	struct resolver *r;
	ares_socket_t fd;
};

struct resolver {
	uv_loop_t *loop;
	uv_timer_t tick;
	ares_channel channel; /* NULL = none yet */
	char servers[SERVER_MAX * (CV_ADDR_STR + 16)];
	LIST_HEAD(, watched) watched;
	unsigned open, handles;
	void (*closed)(void *arg);
	void *closed_arg;
};

struct question {
	struct resolver *r;
	resolver_done *done;
	void *arg;
};

static void handle_closed(struct resolver *r)
{
	void (*closed)(void *arg) = r->closed;
	void *arg = r->closed_arg;

	if (--r->handles || !closed)
		return;
	free(r);
	closed(arg);
}

static void poll_closed(uv_handle_t *h)
{
	struct watched *w = h->data;
	struct resolver *r = w->r;

	free(w);
	handle_closed(r);
}

static void on_socket(uv_poll_t *p, int status, int events)
{
	const struct watched *w = p->data;
	bool in = status < 0 || events & UV_READABLE, out = status < 0 || events & UV_WRITABLE;

	ares_process_fd(w->r->channel, in ? w->fd : ARES_SOCKET_BAD, out ? w->fd : ARES_SOCKET_BAD);
}

static struct watched *watch(struct resolver *r, ares_socket_t fd)
{
	struct watched *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL; /* the question runs into its time-out */
	w->r = r;
	w->fd = fd;
	w->poll.data = w;
	if (uv_poll_init(r->loop, &w->poll, fd)) {
		free(w);
		return NULL;
	}
	r->handles++;
	LIST_INSERT_HEAD(&r->watched, w, link);
	return w;
}

/* c-ares wants to know of a socket, or is about to close it (neither direction). */
static void on_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = data;
	struct watched *w;

	LIST_FOREACH(w, &r->watched, link)
	if (w->fd == fd)
		break;
	if (!readable && !writable) {
		if (!w)
			return;
		LIST_REMOVE(w, link);
		uv_poll_stop(&w->poll);
		uv_close((uv_handle_t *)&w->poll, poll_closed);
		return;
	}
	if (w || (w = watch(r, fd)))
		uv_poll_start(&w->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), on_socket);
}

static void on_tick(uv_timer_t *t)
{
	struct resolver *r = t->data;

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	if (!r->open)
		uv_timer_stop(t);
}

struct resolver *resolver_new(uv_loop_t *loop)
{
	struct resolver *r = ares_library_init(ARES_LIB_INIT_ALL) ? NULL : calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->loop = loop;
	LIST_INIT(&r->watched);
	uv_timer_init(loop, &r->tick);
	r->tick.data = r;
	r->handles = 1;
	return r;
}

void resolver_servers(struct resolver *r, const struct cfg_name_server *server, unsigned n)
{
	size_t len = 0;

	r->servers[0] = 0;
	for (unsigned i = 0; i < n && i < SERVER_MAX; i++) {
		char text[CV_ADDR_STR];

		cv_addr_str(&server[i].addr, text);
		len += (size_t)snprintf(r->servers + len, sizeof(r->servers) - len,
			server[i].addr.af == CV_AF_INET6 ? "%s[%s]:%u" : "%s%s:%u", i ? "," : "", text, server[i].port);
	}
}

/* A new one whenever nothing is open: so the host's resolv.conf is read again, and new servers are taken. */
static int renew(struct resolver *r)
{
	struct ares_options o = {.timeout = TRY_MS, .tries = TRIES, .sock_state_cb = on_state, .sock_state_cb_data = r};
	int err;

	if (r->channel)
		ares_destroy(r->channel);
	r->channel = NULL;
	err = ares_init_options(&r->channel, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
	if (err) {
		r->channel = NULL;
		return err;
	}
	return r->servers[0] ? ares_set_servers_ports_csv(r->channel, r->servers) : 0;
}

static unsigned addresses(const struct ares_addrinfo *res, struct cv_addr out[RESOLVER_ADDR_MAX], uint32_t *ttl)
{
	unsigned n = 0;

	*ttl = UINT32_MAX;
	for (const struct ares_addrinfo_node *a = res->nodes; a && n < RESOLVER_ADDR_MAX; a = a->ai_next) {
		struct cv_addr *to = &out[n];

		memset(to, 0, sizeof(*to));
		if (a->ai_family == AF_INET) {
			to->af = CV_AF_INET;
			memcpy(to->b, &((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr, 4);
		} else if (a->ai_family == AF_INET6) {
			to->af = CV_AF_INET6;
			memcpy(to->b, &((const struct sockaddr_in6 *)(const void *)a->ai_addr)->sin6_addr, 16);
		} else {
			continue;
		}
		n++;
		*ttl = a->ai_ttl >= 0 && (uint32_t)a->ai_ttl < *ttl ? (uint32_t)a->ai_ttl : *ttl;
	}
	for (const struct ares_addrinfo_cname *c = res->cnames; c; c = c->next)
		*ttl = c->ttl >= 0 && (uint32_t)c->ttl < *ttl ? (uint32_t)c->ttl : *ttl;
	return n;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *res)
{
	struct question *q = arg;
	struct cv_addr addr[RESOLVER_ADDR_MAX];
	uint32_t ttl = 0;
	unsigned n = status == ARES_SUCCESS && res ? addresses(res, addr, &ttl) : 0;
	const char *err = n ? NULL : ares_strerror(status == ARES_SUCCESS ? ARES_ENODATA : status);

	(void)timeouts;
	if (res)
		ares_freeaddrinfo(res);
	q->r->open--;
	q->done(q->arg, err, addr, n, ttl);
	free(q);
}

void resolver_ask(struct resolver *r, const char *host, resolver_done *done, void *arg)
{
	static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT};
	int err = r->open ? 0 : renew(r);
	struct question *q = err ? NULL : malloc(sizeof(*q));

	if (!q) {
		done(arg, err ? ares_strerror(err) : "out of memory", NULL, 0, 0);
		return;
	}
	*q = (struct question){r, done, arg};
	r->open++;
	ares_getaddrinfo(r->channel, host, NULL, &hints, on_answer, q);
	if (r->open && !uv_is_active((uv_handle_t *)&r->tick))
		uv_timer_start(&r->tick, on_tick, TICK_MS, TICK_MS);
}

static void tick_closed(uv_handle_t *h)
{
	handle_closed(h->data);
}

void resolver_close(struct resolver *r, void (*closed)(void *arg), void *arg)
{
	r->closed = closed;
	r->closed_arg = arg;
	if (r->channel)
		ares_destroy(r->channel);
	r->channel = NULL;
	ares_library_cleanup();
	uv_close((uv_handle_t *)&r->tick, tick_closed);
}
