/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection to culvertd, one request at a time, blocking. */
#ifndef MGMT_CLI_CLIENT_H
#define MGMT_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define CLIENT_TIMEOUT_S 120u /* the longest any answer may take */

struct client {
	const char *path;
	int fd; /* -1: not connected */
};

void client_init(struct client *c, const char *path);
void client_close(struct client *c);
/*
 * Send a request and wait for its answer, connecting when there is no connection. Returns {"result": ...} or
 * {"error": ...} as culvertd sent it, or NULL with err filled.
 */
json_t *client_call(struct client *c, const json_t *request, char *err, size_t err_size);

#endif
