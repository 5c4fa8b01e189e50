/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands of a control process that has gone mad: any bytes as messages, checked by validate.c, then driven through
 * the transaction engine with modules that believe what was checked. Input: messages one after the other, each a 2-byte
 * type, a 2-byte length of body (both little endian), and so many bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "algo.h"
#include "txn.h"
#include "validate.h"

static void must(bool what)
{
	if (!what)
		abort();
}

static void name(const char *s, size_t size)
{
	must(strnlen(s, size) < size && s[0] != '\0');
}

/* What modules take for granted. */
static void believe(uint16_t type, const void *body)
{
	if (type == CV_CMD_PORT_ATTACH) {
		const struct cv_port *c = body;
		name(c->name, sizeof(c->name));
		name(c->devargs, sizeof(c->devargs));
		must(c->port_id < CV_PORT_MAX);
	} else if (type == CV_CMD_IF_SET) {
		const struct cv_if *c = body;
		name(c->name, sizeof(c->name));
		must(c->if_id > 0 && c->if_id < CV_IF_MAX && c->vrf_id < CV_VRF_MAX);
	} else if (type == CV_CMD_ROUTE_SET) {
		const struct cv_route *c = body;
		must(c->vrf_id < CV_VRF_MAX && c->n_nh >= 1 && c->n_nh <= CV_NH_MAX);
		must(c->prefix.len <= (c->prefix.addr.af == CV_AF_INET ? 32 : 128));
	} else if (type == CV_CMD_MROUTE_SET) {
		const struct cv_mroute *c = body;
		must(c->ref.vrf_id < CV_VRF_MAX && c->if_in > 0 && c->if_in < CV_IF_MAX &&
			c->n_out <= CV_MROUTE_OUT_MAX);
		for (uint32_t i = 0; i < c->n_out; i++)
			must(c->out[i].if_id > 0 && c->out[i].if_id < CV_IF_MAX);
	} else if (type == CV_CMD_SPD_SET) {
		must(((const struct cv_spd *)body)->n_if <= CV_SPD_IF_MAX);
	} else if (type == CV_CMD_SA_ADD) {
		const struct cv_sa *c = body;
		must(c->index > 0 && c->index < CV_SA_MAX && c->key_len <= CV_SA_KEY_MAX && c->n_sel <= CV_SA_SEL_MAX);
		must(algo_pair_wrong(c->ipproto, c->encr, c->integ) == NULL && c->src.af == c->dst.af);
	}
}

static int staged; /* commands in the transaction: abort or publish must bring it back to none */

static int stage(uint16_t type, const void *body, char *text)
{
	(void)text;
	believe(type, body);
	staged++;
	return type % 7 == 0 ? CV_ERR_NOT_FOUND : CV_OK;
}

static int prepare(char *text)
{
	(void)text;
	return staged % 5 == 4 ? CV_ERR_NO_MEMORY : CV_OK;
}

static void done(void)
{
	staged = 0;
}

static int owner(uint16_t type)
{
	return type >= CV_CMD_PLATFORM_SET && type <= CV_CMD_SA_UPDATE ? 0 : -1;
}

static const struct dp_module module = {
	.name = "all", .stage = stage, .prepare = prepare, .publish = done, .abort = done};
static const struct dp_module *const modules[] = {&module, NULL};

static void run(const struct cv_msg *m)
{
	char text[VALIDATE_TEXT] = "";
	enum cv_err err = validate_command(m, 4, text);
	must((err == CV_OK) == (text[0] == '\0'));
	if (err != CV_OK)
		return;
	switch (m->h.type) {
	case CV_CMD_TXN_BEGIN:
		(void)txn_begin(m->body[0] & CV_TXN_SYNC, text);
		break;
	case CV_CMD_TXN_COMMIT:
		if (txn_commit(text) != CV_ERR_STATE || staged != 0)
			must(staged == 0);
		break;
	case CV_CMD_TXN_ABORT:
		(void)txn_abort(text);
		break;
	case CV_CMD_FAIL_AT:
		txn_fail_at(m->body[0]);
		break;
	default:
		if (owner(m->h.type) >= 0)
			(void)txn_command(m->h.type, m->body, text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct txn_ops ops = {modules, owner};
	static struct cv_msg m;
	txn_init(&ops);
	staged = 0;
	while (size >= 4) {
		uint16_t type = (uint16_t)(data[0] | data[1] << 8);
		size_t len = (size_t)(data[2] | data[3] << 8);
		data += 4;
		size -= 4;
		if (len == UINT16_MAX && validate_body_len(type) >= 0)
			len = (size_t)validate_body_len(type);
		if (len > sizeof(m.body))
			len = sizeof(m.body);
		size_t have = len < size ? len : size;
		m.h = (struct cv_msg_hdr){
			.version = CV_MSG_VERSION, .type = type, .len = (uint32_t)(sizeof(m.h) + len)};
		memset(m.body, 0x5a, sizeof(m.body));
		memset(m.body, 0, len);
		memcpy(m.body, data, have);
		run(&m);
		data += have;
		size -= have;
	}
	txn_reset();
	must(staged == 0);
	return 0;
}
