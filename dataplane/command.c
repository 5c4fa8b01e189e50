/* SPDX-License-Identifier: BSD-3-Clause */
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "acl.h"
#include "capture.h"
#include "conn.h"
#include "cv_log.h"
#include "cv_secret.h"
#include "fib.h"
#include "iface.h"
#include "ipsec.h"
#include "mfib.h"
#include "nat.h"
#include "neigh.h"
#include "port.h"
#include "profile.h"
#include "punt.h"
#include "qos.h"
#include "trace.h"
#include "tunnel_hop.h"
#include "txn.h"
#include "validate.h"
#include "vrf.h"

#define COMMANDS_PER_ROUND 512u

/* Order of prepare and publish: what others refer to comes first. */
const struct dp_module *const dp_modules[] = {&platform_module, &vrf_module, &port_module, &acl_module, &iface_module,
	&tunnel_hop_module, &fib_module, &mfib_module, &spd_module, &sa_module, &qos_module, &conn_module, &nat_module,
	NULL};

static struct command_conf conf;
static struct cv_chan *chan;
static struct cv_msg pending; /* a reply that found the ring full; len 0 = none */

static const struct dp_module *owner_of(uint16_t type)
{
	switch (type) {
	case CV_CMD_PLATFORM_SET:
		return &platform_module;
	case CV_CMD_VRF_SET:
	case CV_CMD_VRF_DEL:
		return &vrf_module;
	case CV_CMD_PORT_ATTACH:
	case CV_CMD_PORT_DETACH:
		return &port_module;
	case CV_CMD_IF_SET:
	case CV_CMD_IF_DEL:
	case CV_CMD_IF_ADDR_ADD:
	case CV_CMD_IF_ADDR_DEL:
		return &iface_module;
	case CV_CMD_TUNNEL_HOP_SET:
	case CV_CMD_TUNNEL_HOP_DEL:
		return &tunnel_hop_module;
	case CV_CMD_ROUTE_SET:
	case CV_CMD_ROUTE_DEL:
		return &fib_module;
	case CV_CMD_MROUTE_SET:
	case CV_CMD_MROUTE_DEL:
		return &mfib_module;
	case CV_CMD_SPD_SET:
	case CV_CMD_SPD_DEL:
	case CV_CMD_SPD_RULE_SET:
	case CV_CMD_SPD_RULE_DEL:
		return &spd_module;
	case CV_CMD_ACL_SET:
	case CV_CMD_ACL_DEL:
	case CV_CMD_ACL_LINE_SET:
	case CV_CMD_ACL_LINE_DEL:
		return &acl_module;
	case CV_CMD_SA_ADD:
	case CV_CMD_SA_DEL:
	case CV_CMD_SA_KEEP:
	case CV_CMD_SA_UPDATE:
		return &sa_module;
	case CV_CMD_QOS_CLASS_SET:
	case CV_CMD_QOS_CLASS_DEL:
	case CV_CMD_QOS_RULE_SET:
	case CV_CMD_QOS_RULE_DEL:
	case CV_CMD_QOS_ATTACH_SET:
	case CV_CMD_QOS_ATTACH_DEL:
		return &qos_module;
	case CV_CMD_CONN_SET:
	case CV_CMD_CONN_DEL:
		return &conn_module;
	case CV_CMD_NAT_RULE_SET:
	case CV_CMD_NAT_RULE_DEL:
	case CV_CMD_NAT_STATIC_SET:
	case CV_CMD_NAT_STATIC_DEL:
		return &nat_module;
	default:
		return NULL;
	}
}

static int owner_index(uint16_t type)
{
	const struct dp_module *m = owner_of(type);
	for (int i = 0; m != NULL && dp_modules[i] != NULL; i++)
		if (dp_modules[i] == m)
			return i;
	return -1;
}

void command_init(const struct command_conf *c)
{
	static const struct txn_ops ops = {.modules = dp_modules, .owner = owner_index};
	conf = *c;
	txn_init(&ops);
}

void command_attach(struct cv_chan *ch)
{
	txn_reset();
	chan = ch;
	pending.h.len = 0;
}

static enum cv_err hello(struct cv_reply *r)
{
	struct cv_hello_info info;
	memset(&info, 0, sizeof(info));
	info.instance = conf.instance;
	info.max_workers = dp_n_workers;
	info.ipsec_caps = CV_CAN_AH | CV_CAN_TRANSPORT | CV_CAN_ESN | CV_CAN_BUNDLE | CV_CAN_IPCOMP;
	ipsec_crypto()->capabilities(&info.encr_caps, &info.integ_caps);
	(void)snprintf(info.version, sizeof(info.version), "%s", CULVERT_VERSION);
	(void)snprintf(info.provider, sizeof(info.provider), "%s", ipsec_crypto()->describe());
	memcpy(r->data, &info, sizeof(info));
	r->data_len = sizeof(info);
	return CV_OK;
}

static enum cv_err dump(const struct cv_cmd_dump *req, struct cv_reply *r)
{
	static struct cv_dump_reply out;
	memset(&out, 0, sizeof(out));
	switch ((enum cv_dump_kind)req->kind) {
	case CV_DUMP_NEIGH:
		neigh_dump(req, &out);
		break;
	case CV_DUMP_FIB:
		fib_dump(req, &out);
		break;
	case CV_DUMP_SA:
		sa_dump(req, &out);
		break;
	case CV_DUMP_IF:
		iface_dump(req, &out);
		break;
	case CV_DUMP_SPD:
		spd_dump(req, &out);
		break;
	case CV_DUMP_WORKER:
		port_worker_dump(req, &out);
		break;
	case CV_DUMP_CONN:
		conn_dump(req, &out);
		break;
	case CV_DUMP_MROUTE:
		mfib_dump(req, &out);
		break;
	}
	r->data_len = (uint32_t)(offsetof(struct cv_dump_reply, entries) + (size_t)out.n * out.entry_size);
	memcpy(r->data, &out, r->data_len);
	return CV_OK;
}

static enum cv_err clear(const struct cv_cmd_clear *c, struct cv_reply *r)
{
	if (c->what == CV_CLEAR_COUNTERS) {
		(void)snprintf(r->text, sizeof(r->text), "counters are cleared by their readers (cv_stats.h)");
		return CV_ERR_UNSUPPORTED;
	}
	if (c->what == CV_CLEAR_CONN)
		r->value = conn_clear((uint16_t)c->if_id);
	else
		neigh_clear(c->if_id);
	return CV_OK;
}

static enum cv_err fail_at(const struct cv_cmd_fail_at *c, char *text)
{
	if (!conf.test_faults) {
		(void)snprintf(text, 128, "fault injection needs --test-faults");
		return CV_ERR_UNSUPPORTED;
	}
	txn_fail_at(c->nth);
	return CV_OK;
}

static enum cv_err commit(struct cv_reply *r)
{
	enum cv_err err = txn_commit(r->text);
	r->value = txn_blamed();
	return err;
}

static enum cv_err run(const struct cv_msg *msg, struct cv_reply *r)
{
	switch (msg->h.type) {
	case CV_CMD_HELLO:
		return hello(r);
	case CV_CMD_TXN_BEGIN:
		return txn_begin((((const struct cv_cmd_txn *)msg->body)->flags & CV_TXN_SYNC) != 0, r->text);
	case CV_CMD_TXN_COMMIT:
		return commit(r);
	case CV_CMD_TXN_ABORT:
		return txn_abort(r->text);
	case CV_CMD_DUMP:
		return dump((const struct cv_cmd_dump *)msg->body, r);
	case CV_CMD_TRACE:
		return (enum cv_err)trace_start((const struct cv_cmd_trace *)msg->body);
	case CV_CMD_CAPTURE:
		return capture_command((const struct cv_cmd_capture *)msg->body, r->text);
	case CV_CMD_PROFILE:
		profile_switch(((const struct cv_cmd_profile *)msg->body)->on != 0);
		return CV_OK;
	case CV_CMD_CLEAR:
		return clear((const struct cv_cmd_clear *)msg->body, r);
	case CV_CMD_HOLD_DROP:
		hold_drop(worker_main(), ((const struct cv_cmd_hold_drop *)msg->body)->rule_id);
		return CV_OK;
	case CV_CMD_FAIL_AT:
		return fail_at((const struct cv_cmd_fail_at *)msg->body, r->text);
	default:
		return txn_command(msg->h.type, msg->body, r->text);
	}
}

void command_run(const struct cv_msg *msg, struct cv_reply *r)
{
	memset(r, 0, sizeof(*r));
	r->cmd = msg->h.type;
	enum cv_err err = validate_command(msg, dp_n_workers, r->text);
	if (err == CV_OK)
		err = run(msg, r);
	port_announce(); /* before the answer: whoever looks next sees interfaces on their new ports */
	r->err = err;
	if (err == CV_OK)
		r->text[0] = '\0';
	else
		cv_info("command", "command %u refused: error %u %s", msg->h.type, err, r->text);
}

/* Answer, or keep the answer: every command gets exactly one, so the next command waits for room. */
static bool answer(struct cv_msg *reply)
{
	if (punt_send(reply) == 0)
		return true;
	if (reply != &pending)
		pending = *reply;
	return false;
}

unsigned command_poll(void)
{
	static struct cv_msg msg, reply;
	unsigned n = 0;
	if (chan == NULL)
		return 0;
	if (pending.h.len != 0) {
		if (!answer(&pending))
			return 0;
		pending.h.len = 0;
	}
	while (n < COMMANDS_PER_ROUND) {
		int rc = cv_chan_recv(chan, &msg);
		if (rc == 0)
			break;
		n++;
		struct cv_reply *r = (struct cv_reply *)reply.body;
		if (rc < 0) { /* not even a header: say so, though there may be no sequence number to it */
			memset(r, 0, sizeof(*r));
			r->err = CV_ERR_VERSION;
			(void)snprintf(r->text, sizeof(r->text), "not a message of version %u", CV_MSG_VERSION);
		} else {
			command_run(&msg, r);
		}
		reply.h.type = CV_REPLY;
		reply.h.seq = msg.h.seq;
		reply.h.len = (uint32_t)(sizeof(reply.h) + offsetof(struct cv_reply, data) + r->data_len);
		if (msg.h.type == CV_CMD_SA_ADD)
			cv_secret_zero(&msg, sizeof(msg));
		if (!answer(&reply))
			break;
	}
	return n;
}
