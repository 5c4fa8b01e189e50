/* SPDX-License-Identifier: BSD-3-Clause */
/* The port table and its transactions. What is done to a device is in port_device.c. */
#include "port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "capture.h"
#include "cv_log.h"
#include "iface.h"
#include "port_device.h"
#include "tx.h"
#include "txn.h"

#define LINK_PERIOD_MS 200u
#define STATS_PERIOD_MS 1000u

enum port_op { PORT_NOTHING, PORT_ATTACH, PORT_REPLACE, PORT_MTU, PORT_DETACH };

struct slot {
	struct cv_port cfg; /* of view */
	struct port *view;  /* attached; same as port_views[] */
	struct rte_eth_stats last;
	enum port_op op;     /* staged */
	bool named;	     /* in this transaction */
	struct cv_port want; /* staged */
	struct port *opened; /* prepared */
	bool closed;	     /* prepared: the old device of a replacement is closed already */
};

const struct port *port_views[CV_PORT_MAX];
static struct slot slots[CV_PORT_MAX];
static bool syncing;
static uint32_t changed_mask; /* ports iface.c must hear of, once no transaction is being applied */

static bool will_exist(const struct slot *s)
{
	switch (s->op) {
	case PORT_ATTACH:
	case PORT_REPLACE:
	case PORT_MTU:
		return true;
	case PORT_DETACH:
		return false;
	default:
		return s->view != NULL && (!syncing || s->named);
	}
}

bool port_exists(uint32_t port_id)
{
	return port_id < CV_PORT_MAX && will_exist(&slots[port_id]);
}

/* ---- receive queues ---- */

static bool has_queue(const struct worker_rxqs *l, const struct worker_rxq *q)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->q[i].eth == q->eth && l->q[i].queue == q->queue)
			return true;
	return false;
}

static void spread(struct worker_rxqs lists[], uint32_t n_active)
{
	uint32_t next = 0;
	for (uint32_t p = 0; p < CV_PORT_MAX; p++) {
		const struct port *v = port_views[p];
		for (uint16_t q = 0; v != NULL && q < v->n_rxq; q++) {
			struct worker_rxqs *l = &lists[1 + next++ % n_active];
			if (l->n < WORKER_RXQ_MAX)
				l->q[l->n++] = (struct worker_rxq){.eth = v->dpdk_id, .queue = q, .port_id = p};
			else
				cv_err("port", "%s queue %u: worker has too many queues, not polled", v->name, q);
		}
	}
}

static void set_list(uint32_t index, const struct worker_rxqs *l)
{
	if (worker_set_rxqs(index, l) != 0)
		cv_err("port", "out of memory for the queue list of worker %u", index - 1);
}

/* Two steps, because no two workers may ever poll one queue: first all let go of what they lose, then they get. */
void port_assign_queues(uint32_t n_active)
{
	static struct worker_rxqs want[CV_WRITERS], both;
	memset(want, 0, sizeof(want));
	if (n_active > 0)
		spread(want, n_active);
	for (uint32_t i = 1; i <= dp_n_workers; i++) {
		const struct worker_rxqs *old = dp_workers[i]->rxqs;
		both.n = 0;
		for (uint32_t k = 0; old != NULL && k < old->n; k++)
			if (has_queue(&want[i], &old->q[k]))
				both.q[both.n++] = old->q[k];
		set_list(i, &both);
	}
	dp_quiesce();
	for (uint32_t i = 1; i <= dp_n_workers; i++)
		set_list(i, &want[i]);
}

/* ---- showing and hiding ---- */

static void show(uint32_t port_id, struct port *view, const struct cv_port *cfg)
{
	struct slot *s = &slots[port_id];
	s->view = view;
	s->cfg = *cfg;
	memset(&s->last, 0, sizeof(s->last));
	__atomic_store_n(&port_views[port_id], view, __ATOMIC_RELEASE);
	changed_mask |= 1u << port_id;
}

/* Take a port away from the workers; afterwards nobody uses the device any more. */
static void hide_and_close(uint32_t port_id)
{
	struct slot *s = &slots[port_id];
	struct port *view = s->view;
	s->view = NULL;
	__atomic_store_n(&port_views[port_id], NULL, __ATOMIC_RELEASE);
	changed_mask |= 1u << port_id;
	tx_flush(worker_main());
	port_assign_queues(workers_active());
	capture_stop(port_id);
	dp_quiesce();
	cv_notice("port", "%s detached", view->name);
	port_device_close(view);
}

/* ---- transaction ---- */

static size_t device_name_len(const char *devargs)
{
	return strcspn(devargs, ",");
}

static bool same_device(const struct cv_port *a, const struct cv_port *b)
{
	size_t n = device_name_len(a->devargs);
	return n == device_name_len(b->devargs) && memcmp(a->devargs, b->devargs, n) == 0;
}

/* The argument at p ("iface=eth1,...") as it stands in devargs, too? */
static bool has_argument(const char *devargs, const char *p, size_t n)
{
	for (const char *a = devargs + device_name_len(devargs); *a == ','; a += 1 + strcspn(a + 1, ","))
		if (strcspn(a + 1, ",") == n && memcmp(a + 1, p, n) == 0)
			return true;
	return false;
}

/*
 * Can two devices be open at the same time? Not when they are one, nor when both want the same tap, memif or file: the
 * old one must then be closed before the new one is tried.
 */
static bool can_coexist(const struct cv_port *a, const struct cv_port *b)
{
	static const char *const backing[] = {"iface=", "remote=", "id=", "tx_pcap=", "rx_pcap="};
	if (same_device(a, b))
		return false;
	for (const char *p = a->devargs + device_name_len(a->devargs); *p == ','; p += 1 + strcspn(p + 1, ","))
		for (size_t i = 0; i < RTE_DIM(backing); i++)
			if (strncmp(p + 1, backing[i], strlen(backing[i])) == 0 &&
				has_argument(b->devargs, p + 1, strcspn(p + 1, ",")))
				return false;
	return true;
}

static int stage_attach(const struct cv_port *c, char *text)
{
	struct slot *s = &slots[c->port_id];
	for (uint32_t i = 0; i < CV_PORT_MAX; i++) {
		if (i == c->port_id || !will_exist(&slots[i]))
			continue;
		if (same_device(c, slots[i].op == PORT_NOTHING ? &slots[i].cfg : &slots[i].want)) {
			(void)snprintf(text, 128, "device %.60s is port %u already", c->devargs, i);
			return CV_ERR_EXISTS;
		}
	}
	enum port_op op = PORT_ATTACH;
	if (s->view != NULL) {
		struct cv_port other_mtu = s->cfg;
		other_mtu.mtu = c->mtu;
		op = s->op == PORT_DETACH || memcmp(&other_mtu, c, sizeof(*c)) != 0 ? PORT_REPLACE
		     : s->cfg.mtu != c->mtu					    ? PORT_MTU
										    : PORT_NOTHING;
	}
	s->op = op;
	s->want = *c;
	s->named = true;
	return CV_OK;
}

static int stage_detach(uint32_t port_id, char *text)
{
	struct slot *s = &slots[port_id];
	if (!will_exist(s)) {
		(void)snprintf(text, 128, "there is no port %u", port_id);
		return CV_ERR_NOT_FOUND;
	}
	s->op = s->view != NULL ? PORT_DETACH : PORT_NOTHING;
	return CV_OK;
}

static int stage(uint16_t type, const void *body, char *text)
{
	return type == CV_CMD_PORT_ATTACH ? stage_attach(body, text) : stage_detach(*(const uint32_t *)body, text);
}

static void begin_sync(void)
{
	syncing = true;
}

static int prepare_one(uint32_t port_id, char *text)
{
	struct slot *s = &slots[port_id];
	if (s->op == PORT_MTU)
		return port_device_set_mtu(s->view, s->want.mtu, text);
	if (s->op != PORT_ATTACH && s->op != PORT_REPLACE)
		return CV_OK;
	if (s->op == PORT_REPLACE && !can_coexist(&s->cfg, &s->want)) {
		hide_and_close(port_id);
		s->closed = true;
	}
	return port_device_open(&s->want, &s->opened, text);
}

static int prepare(char *text)
{
	int err = CV_OK;
	for (uint32_t i = 0; i < CV_PORT_MAX && err == CV_OK; i++) {
		if (syncing && !slots[i].named && slots[i].op == PORT_NOTHING && slots[i].view != NULL)
			slots[i].op = PORT_DETACH;
		err = prepare_one(i, text);
		if (err != CV_OK)
			txn_blame(CV_CMD_PORT_ATTACH, i);
	}
	return err;
}

static void forget(struct slot *s)
{
	s->op = PORT_NOTHING;
	s->named = false;
	s->opened = NULL;
	s->closed = false;
}

static void publish(void)
{
	bool assign = false;
	for (uint32_t i = 0; i < CV_PORT_MAX; i++) {
		struct slot *s = &slots[i];
		if (s->op == PORT_DETACH) {
			hide_and_close(i);
		} else if (s->opened != NULL) {
			if (s->view != NULL)
				hide_and_close(i);
			show(i, s->opened, &s->want);
			assign = true;
			cv_notice("port", "%s attached: %s, %s, %u receive and %u transmit queues", s->view->name,
				s->want.devargs, s->view->driver, s->view->n_rxq, s->view->n_txq);
		} else if (s->op == PORT_MTU) {
			s->cfg.mtu = s->want.mtu;
			changed_mask |= 1u << i;
		}
		forget(s);
	}
	syncing = false;
	if (assign)
		port_assign_queues(workers_active());
}

/* Bring back the device that a replacement had closed. Should that fail, the port is gone, and the log says so. */
static void restore(uint32_t port_id)
{
	struct slot *s = &slots[port_id];
	char text[128] = "";
	struct cv_port cfg = s->cfg;
	struct port *view;
	if (port_device_open(&cfg, &view, text) != CV_OK) {
		cv_err("port", "%s could not be brought back: %s", cfg.name, text);
		return;
	}
	show(port_id, view, &cfg);
}

static void abort_txn(void)
{
	bool assign = false;
	for (uint32_t i = 0; i < CV_PORT_MAX; i++) {
		struct slot *s = &slots[i];
		char text[128];
		if (s->opened != NULL)
			port_device_close(s->opened);
		if (s->closed) {
			restore(i);
			assign = true;
		} else if (s->op == PORT_MTU) {
			(void)port_device_set_mtu(s->view, s->cfg.mtu, text);
		}
		forget(s);
	}
	syncing = false;
	if (assign)
		port_assign_queues(workers_active());
}

const struct dp_module port_module = {
	.name = "port",
	.stage = stage,
	.sync = begin_sync,
	.prepare = prepare,
	.publish = publish,
	.abort = abort_txn,
};

/* ---- timers ---- */

static void check_link(uint32_t port_id)
{
	struct slot *s = &slots[port_id];
	struct rte_eth_link link;
	if (rte_eth_link_get_nowait(s->view->dpdk_id, &link) != 0)
		return;
	bool up = link.link_status == RTE_ETH_LINK_UP;
	if (up == s->view->up)
		return;
	struct port *v = malloc(sizeof(*v));
	if (v == NULL)
		return; /* next time */
	*v = *s->view;
	v->up = up;
	v->speed_mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
	struct port *old = s->view;
	s->view = v;
	__atomic_store_n(&port_views[port_id], v, __ATOMIC_RELEASE);
	dp_defer(free, old);
	changed_mask |= 1u << port_id;
	cv_notice("port", "%s: link %s", v->name, up ? "up" : "down");
}

/* Losses that only the device knows of belong to the interface of the port, in main's block. */
static void collect_device_stats(uint32_t port_id)
{
	struct slot *s = &slots[port_id];
	struct rte_eth_stats now;
	const struct iface_port_map *map = iface_view()->port[port_id];
	if (map == NULL || map->untagged == 0 || rte_eth_stats_get(s->view->dpdk_id, &now) != 0)
		return;
	struct cv_if_counters *c = &worker_main()->stats->ifc[map->untagged];
	c->rx_drops += now.imissed - s->last.imissed + now.rx_nombuf - s->last.rx_nombuf;
	c->rx_errors += now.ierrors - s->last.ierrors;
	c->tx_errors += now.oerrors - s->last.oerrors;
	s->last = now;
}

void port_announce(void)
{
	for (uint32_t i = 0; i < CV_PORT_MAX; i++)
		if ((changed_mask & (1u << i)) != 0)
			iface_port_changed(i);
	if (changed_mask != 0)
		iface_refresh();
	changed_mask = 0;
}

void port_tick(uint64_t now_ms)
{
	static uint64_t next_link, next_stats;
	for (uint32_t i = 0; i < CV_PORT_MAX; i++) {
		if (slots[i].view != NULL && now_ms >= next_link)
			check_link(i);
		if (slots[i].view != NULL && now_ms >= next_stats)
			collect_device_stats(i);
	}
	port_announce();
	if (now_ms >= next_link)
		next_link = now_ms + LINK_PERIOD_MS;
	if (now_ms >= next_stats)
		next_stats = now_ms + STATS_PERIOD_MS;
}

int port_want_mtu(uint32_t port_id, uint16_t mtu)
{
	struct slot *s = port_id < CV_PORT_MAX ? &slots[port_id] : NULL;
	char text[128];
	if (s == NULL || s->view == NULL)
		return -ENODEV;
	return port_device_set_mtu(s->view, mtu, text) == CV_OK ? 0 : -EINVAL;
}

void port_worker_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out)
{
	struct cv_worker_entry e;
	out->entry_size = sizeof(e);
	out->n = 0;
	out->next = 0;
	for (uint64_t i = req->cursor + 1; i <= dp_n_workers; i++) {
		if ((out->n + 1) * sizeof(e) > sizeof(out->entries)) {
			out->next = i - 1;
			break;
		}
		const struct worker *w = dp_workers[i];
		memset(&e, 0, sizeof(e));
		e.worker = (uint32_t)i - 1;
		e.lcore = w->lcore;
		e.n_rxq = w->rxqs != NULL ? w->rxqs->n : 0;
		for (uint32_t q = 0; q < e.n_rxq && q < RTE_DIM(e.rxq); q++) {
			e.rxq[q].port_id = (uint16_t)w->rxqs->q[q].port_id;
			e.rxq[q].queue = w->rxqs->q[q].queue;
		}
		memcpy(out->entries + out->n++ * sizeof(e), &e, sizeof(e));
	}
}

void port_close_all(void)
{
	for (uint32_t i = 0; i < CV_PORT_MAX; i++)
		if (slots[i].view != NULL)
			hide_and_close(i);
	changed_mask = 0;
}
