/* SPDX-License-Identifier: BSD-3-Clause */
#define ALLOW_EXPERIMENTAL_API /* rte_pcapng */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_pcapng.h>
#include <rte_ring.h>

#include "cv_log.h"
#include "iface.h"
#include "port.h"

#define CAPTURE_RING 1024u
#define CAPTURE_BURST 64u

struct capture {
	uint32_t if_id, port_id;
	uint16_t dpdk_id;
	uint16_t vlan; /* 0 = every frame of the port */
	uint32_t snaplen;
	int64_t left;	  /* frames still to be taken; workers count it down */
	uint64_t written; /* main */
	struct rte_ring *ring;
	rte_pcapng_t *out;
	char file[64];
};

struct capture *capture_by_port[CV_PORT_MAX];
static int dir_fd = -1;

int capture_init(const char *dir)
{
	if (dir == NULL)
		return 0;
	dir_fd = open(dir, O_DIRECTORY | O_PATH | O_CLOEXEC);
	return dir_fd < 0 ? -errno : 0;
}

static bool wants(const struct capture *c, const struct rte_mbuf *m)
{
	if (c->vlan == 0)
		return true;
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_vlan_hdr *tag = (const struct rte_vlan_hdr *)(eth + 1);
	return rte_pktmbuf_data_len(m) >= sizeof(*eth) + sizeof(*tag) &&
	       eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) && (rte_be_to_cpu_16(tag->vlan_tci) & 0xfff) == c->vlan;
}

void capture_frames(uint32_t port_id, struct rte_mbuf *const *pkts, unsigned n, bool sent)
{
	struct capture *c = __atomic_load_n(&capture_by_port[port_id], __ATOMIC_ACQUIRE);
	if (c == NULL)
		return;
	uint64_t now = rte_rdtsc();
	for (unsigned i = 0; i < n; i++) {
		if (!wants(c, pkts[i]))
			continue;
		if (__atomic_sub_fetch(&c->left, 1, __ATOMIC_RELAXED) < 0)
			return;
		struct rte_mbuf *copy = rte_pcapng_copy(c->dpdk_id, 0, pkts[i], dp_pool(), c->snaplen, now,
			sent ? RTE_PCAPNG_DIRECTION_OUT : RTE_PCAPNG_DIRECTION_IN);
		if (copy != NULL && rte_ring_enqueue(c->ring, copy) != 0)
			rte_pktmbuf_free(copy);
	}
}

static void write_some(struct capture *c)
{
	struct rte_mbuf *m[CAPTURE_BURST];
	unsigned n = rte_ring_dequeue_burst(c->ring, (void **)m, CAPTURE_BURST, NULL);
	if (n == 0)
		return;
	if (rte_pcapng_write_packets(c->out, m, (uint16_t)n) < 0)
		cv_warn("capture", "%s: writing failed", c->file);
	else
		c->written += n;
	rte_pktmbuf_free_bulk(m, n);
}

/* After quiescence: no worker adds to the ring any more. */
static void finish(void *arg)
{
	struct capture *c = arg;
	while (!rte_ring_empty(c->ring))
		write_some(c);
	rte_pcapng_close(c->out);
	rte_ring_free(c->ring);
	cv_notice("capture", "%s: %lu frames written", c->file, (unsigned long)c->written);
	free(c);
}

void capture_stop(uint32_t port_id)
{
	struct capture *c = capture_by_port[port_id];
	if (c == NULL)
		return;
	__atomic_store_n(&capture_by_port[port_id], NULL, __ATOMIC_RELEASE);
	dp_defer(finish, c);
}

void capture_poll(void)
{
	for (uint32_t p = 0; p < CV_PORT_MAX; p++) {
		struct capture *c = capture_by_port[p];
		if (c == NULL)
			continue;
		write_some(c);
		if (__atomic_load_n(&c->left, __ATOMIC_RELAXED) <= 0)
			capture_stop(p);
	}
}

static enum cv_err refuse(char *text, enum cv_err err, const char *why)
{
	(void)snprintf(text, 128, "%s", why);
	return err;
}

static enum cv_err open_file(struct capture *c, char *text)
{
	char name[RTE_RING_NAMESIZE];
	static unsigned serial;
	int fd = openat(dir_fd, c->file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0) {
		(void)snprintf(text, 128, "capture file cannot be written: %s", strerror(errno));
		return CV_ERR_DEVICE;
	}
	(void)snprintf(name, sizeof(name), "capture-%u", serial++);
	c->ring = rte_ring_create(name, CAPTURE_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	c->out = c->ring == NULL ? NULL : rte_pcapng_fdopen(fd, NULL, NULL, "culvert " CULVERT_VERSION, NULL);
	if (c->out != NULL)
		return CV_OK;
	(void)close(fd);
	rte_ring_free(c->ring);
	return refuse(text, CV_ERR_NO_MEMORY, "out of memory");
}

enum cv_err capture_command(const struct cv_cmd_capture *req, char *text)
{
	const struct dp_if *ifp = iface_get(req->if_id);
	const struct port *port = ifp == NULL || !iface_has_port(ifp) ? NULL : port_worker_view(ifp->port_id);
	if (port == NULL)
		return refuse(text, CV_ERR_NOT_FOUND, "no such interface, or it has no port");
	struct capture *running = capture_by_port[port->port_id];
	if (req->n_packets == 0) {
		if (running == NULL || running->if_id != req->if_id)
			return refuse(text, CV_ERR_NOT_FOUND, "nothing is captured on this interface");
		capture_stop(port->port_id);
		return CV_OK;
	}
	if (dir_fd < 0)
		return refuse(text, CV_ERR_UNSUPPORTED, "started without --capture-dir");
	if (running != NULL)
		return refuse(text, CV_ERR_IN_USE, "a capture is running on this port");
	struct capture *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return refuse(text, CV_ERR_NO_MEMORY, "out of memory");
	c->if_id = req->if_id;
	c->port_id = port->port_id;
	c->dpdk_id = port->dpdk_id;
	c->vlan = ifp->vlan_id;
	c->snaplen = req->snaplen == 0 || req->snaplen > CV_PKT_MAX ? CV_PKT_MAX : req->snaplen;
	c->left = req->n_packets;
	memcpy(c->file, req->file, sizeof(c->file));
	enum cv_err err = open_file(c, text);
	if (err != CV_OK) {
		free(c);
		return err;
	}
	__atomic_store_n(&capture_by_port[port->port_id], c, __ATOMIC_RELEASE);
	return CV_OK;
}
