/* SPDX-License-Identifier: BSD-3-Clause */
/* The Unix socket of the management protocol, and who may use it. Loop thread. */
#ifndef MGMT_SERVER_H
#define MGMT_SERVER_H

#include <sys/types.h>
#include <uv.h>

#include "rpc.h"

#define SERVER_CLIENTS_MAX 64u
#define SERVER_GROUP_ADMIN "culvert-admin"
#define SERVER_GROUP_VIEW "culvert-view"

struct server;

/*
 * Bind the socket with mode 0660; owner uid (-1 = unchanged) and, where it exists, group culvert-view, which those who
 * administer belong to as well. A stale socket is replaced, one that answers is not. To be called before privileges are
 * dropped. Returns the descriptor or negative errno.
 */
int server_bind(const char *path, uid_t owner);
/* Serve it. env must stay valid until server_stop's callbacks have run. NULL with errno. */
struct server *server_start(uv_loop_t *loop, int fd, const char *path, const struct rpc_env *env);
/* Close everything and remove the socket. Answers still on their way are dropped. */
void server_stop(struct server *s);

/* The role of a peer: root and uid `self` change; members of culvert-admin change; culvert-view looks. */
enum rpc_role server_role(int fd, uid_t self, struct rpc_caller *caller);

#endif
