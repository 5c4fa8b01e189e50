/* SPDX-License-Identifier: BSD-3-Clause */
#include "host_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cv_log.h"

#define ANSWER_MAX 8192u

struct host_ns *host_ns_all;

int host_ns_enter(const struct host_ns *ns)
{
	char path[CV_NAME_MAX + 16];

	if (!ns->name[0])
		return -1;
	(void)snprintf(path, sizeof(path), "/run/netns/%s", ns->name);
	int back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open(path, O_RDONLY | O_CLOEXEC);
	int rc = back < 0 || there < 0 ? -1 : setns(there, CLONE_NEWNET), err = errno;

	if (there >= 0)
		close(there);
	if (rc == 0)
		return back;
	if (back >= 0)
		close(back);
	errno = err;
	return -2;
}

void host_ns_leave(int back)
{
	if (back < 0)
		return;
	if (setns(back, CLONE_NEWNET) != 0)
		cv_err("host", "back to the own network namespace: %s", strerror(errno));
	close(back);
}

struct mnl_socket *host_ns_socket(const struct host_ns *ns, int flags)
{
	int back = host_ns_enter(ns);
	struct mnl_socket *nl = NULL;

	if (back == -2)
		return NULL;
	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
	host_ns_leave(back);
	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0)
		return nl;
	if (nl)
		mnl_socket_close(nl);
	return NULL;
}

struct host_ns *host_ns_get(const char *name)
{
	struct host_ns *ns;

	for (ns = host_ns_all; ns; ns = ns->next)
		if (strcmp(ns->name, name) == 0) {
			ns->users++;
			return ns;
		}
	ns = calloc(1, sizeof(*ns));
	if (!ns)
		return NULL;
	(void)snprintf(ns->name, sizeof(ns->name), "%s", name);
	ns->users = 1;
	ns->nl = host_ns_socket(ns, 0);
	if (!ns->nl) {
		int err = errno;
		free(ns);
		errno = err;
		return NULL;
	}
	ns->next = host_ns_all;
	host_ns_all = ns;
	return ns;
}

void host_ns_put(struct host_ns *ns)
{
	struct host_ns **p = &host_ns_all;

	if (--ns->users)
		return;
	while (*p != ns)
		p = &(*p)->next;
	*p = ns->next;
	if (ns->events)
		mnl_socket_close(ns->events);
	if (ns->walk)
		mnl_socket_close(ns->walk);
	mnl_socket_close(ns->nl);
	free(ns);
}

int host_ns_ask(struct host_ns *ns, struct nlmsghdr *request)
{
	char answer[ANSWER_MAX];
	ssize_t n;

	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = ++ns->seq;
	if (mnl_socket_sendto(ns->nl, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(ns->nl, answer, sizeof(answer));
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		n = mnl_cb_run(answer, (size_t)n, ns->seq, mnl_socket_get_portid(ns->nl), NULL, NULL);
	} while (n > 0);
	return n < 0 ? -errno : 0;
}
