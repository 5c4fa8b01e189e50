/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_device.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "cv_log.h"
#include "port_shield.h"

#define DEFAULT_DESC 1024u

static int __attribute__((format(printf, 2, 3))) device_error(char *text, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, 128, fmt, ap);
	va_end(ap);
	return CV_ERR_DEVICE;
}

/* The Ethernet port a device brought. Most carry the device's name; some drivers choose their own. */
static int find_eth(const char *name, uint16_t *eth)
{
	if (rte_eth_dev_get_port_by_name(name, eth) == 0)
		return 0;
	uint16_t p;
	RTE_ETH_FOREACH_DEV(p)
	{
		struct rte_eth_dev_info info;
		if (rte_eth_dev_info_get(p, &info) == 0 && info.device != NULL &&
			strcmp(rte_dev_name(info.device), name) == 0) {
			*eth = p;
			return 0;
		}
	}
	return -ENODEV;
}

/*
 * net_af_packet has the kernel reassemble IPv4 fragments before it hands them over (PACKET_FANOUT_FLAG_DEFRAG), and
 * cuts off what does not fit its frame of 2048 bytes. So give it frames nearly as large as our buffers, unless the
 * operator chose other sizes. The driver takes frames to lie without gaps: a block must be a whole number of frames and
 * of pages.
 */
#define AF_PACKET_FRAME 9216u
#define AF_PACKET_BLOCK (4u * AF_PACKET_FRAME)
_Static_assert(AF_PACKET_FRAME <= CV_PKT_MAX && AF_PACKET_BLOCK % 4096 == 0, "frames of net_af_packet");

static void complete_devargs(const char *devargs, char *out, size_t size)
{
	if (strncmp(devargs, "net_af_packet", strlen("net_af_packet")) == 0 && strstr(devargs, "framesz=") == NULL &&
		strstr(devargs, "blocksz=") == NULL)
		(void)snprintf(out, size, "%s,blocksz=%u,framesz=%u", devargs, AF_PACKET_BLOCK, AF_PACKET_FRAME);
	else
		(void)snprintf(out, size, "%s", devargs);
}

static int probe(const struct cv_port *cfg, struct port *v, char *text)
{
	char name[RTE_ETH_NAME_MAX_LEN], devargs[sizeof(cfg->devargs) + 64];
	size_t n = strcspn(cfg->devargs, ",");
	if (n >= sizeof(name))
		return device_error(text, "device name is too long");
	memcpy(name, cfg->devargs, n);
	name[n] = '\0';
	if (find_eth(name, &v->dpdk_id) == 0) {
		(void)snprintf(text, 128, "device %.60s is in use", name);
		return CV_ERR_EXISTS;
	}
	complete_devargs(cfg->devargs, devargs, sizeof(devargs));
	v->shield = port_shield_open(cfg->devargs);
	int rc = rte_dev_probe(devargs);
	if (rc != 0)
		return device_error(text, "probing %.60s failed: %s", cfg->devargs, strerror(-rc));
	if (find_eth(name, &v->dpdk_id) == 0)
		return CV_OK;
	return device_error(text, "%.60s brought no Ethernet port", cfg->devargs);
}

static void remove_device(uint16_t eth)
{
	struct rte_eth_dev_info info;
	struct rte_device *dev = rte_eth_dev_info_get(eth, &info) == 0 ? info.device : NULL;
	int rc = rte_eth_dev_stop(eth);
	if (rc != 0)
		cv_warn("port", "stopping device %u: %s", eth, strerror(-rc));
	(void)rte_eth_dev_close(eth);
	if (dev != NULL && rte_dev_remove(dev) != 0)
		cv_warn("port", "device %u could not be removed", eth);
}

/*
 * Two drivers need as many queues of one kind as of the other without saying so: net_tap refuses anything else, and the
 * rings of net_memif are agreed with the peer, whose link then never comes up. A memif peer has one pair unless it was
 * told otherwise, so that is the default there.
 */
static void choose_queues(const struct cv_port *cfg, const struct rte_eth_dev_info *info, struct port *v)
{
	bool memif = strcmp(info->driver_name, "net_memif") == 0;
	bool pairs = memif || strcmp(info->driver_name, "net_tap") == 0;
	uint16_t rxq = cfg->rx_queues != 0 ? cfg->rx_queues : memif ? 1 : (uint16_t)dp_n_workers;
	uint16_t txq = pairs ? rxq : (uint16_t)(dp_n_workers + 1);
	v->n_rxq = RTE_MAX(RTE_MIN(rxq, info->max_rx_queues), 1);
	v->n_txq = RTE_MAX(RTE_MIN(txq, info->max_tx_queues), 1);
}

/* Ask for no more than the device says it has: vdevs offer next to nothing, and refuse what they do not offer. */
static void choose(
	const struct cv_port *cfg, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf, struct port *v)
{
	choose_queues(cfg, info, v);
	memset(conf, 0, sizeof(*conf));
	if (v->n_rxq > 1 && info->flow_type_rss_offloads != 0) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf =
			(RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_ESP) &
			info->flow_type_rss_offloads;
	}
	conf->rxmode.offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM & info->rx_offload_capa;
	conf->txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS & info->tx_offload_capa;
	v->rx_ip_checksum = conf->rxmode.offloads != 0;
}

/* Every worker a queue of its own, then main; where there are too few, the first worker (always active) sends for the
 * others. */
static void assign_tx(struct port *v)
{
	for (uint32_t i = 0; i < CV_WRITERS; i++) {
		uint32_t queue = i == WORKER_MAIN ? dp_n_workers : i - 1;
		bool own = queue < v->n_txq;
		v->tx[i].queue = own ? (uint16_t)queue : 0;
		v->tx[i].owner = own ? (uint16_t)i : WORKER_MAIN + 1;
	}
}

static int setup_queues(const struct cv_port *cfg, const struct rte_eth_dev_info *info, struct port *v, char *text)
{
	uint16_t nrx = cfg->rx_desc, ntx = cfg->tx_desc;
	if (nrx == 0)
		nrx = info->default_rxportconf.ring_size != 0 ? info->default_rxportconf.ring_size : DEFAULT_DESC;
	if (ntx == 0)
		ntx = info->default_txportconf.ring_size != 0 ? info->default_txportconf.ring_size : DEFAULT_DESC;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(v->dpdk_id, &nrx, &ntx);
	if (rc != 0 && rc != -ENOTSUP)
		return device_error(text, "%s: descriptors: %s", v->name, strerror(-rc));
	int socket = rte_eth_dev_socket_id(v->dpdk_id);
	for (uint16_t q = 0; q < v->n_rxq; q++) {
		rc = rte_eth_rx_queue_setup(v->dpdk_id, q, nrx, (unsigned)socket, NULL, dp_pool());
		if (rc != 0)
			return device_error(text, "%s: receive queue %u: %s", v->name, q, strerror(-rc));
	}
	for (uint16_t q = 0; q < v->n_txq; q++) {
		rc = rte_eth_tx_queue_setup(v->dpdk_id, q, ntx, (unsigned)socket, NULL);
		if (rc != 0)
			return device_error(text, "%s: transmit queue %u: %s", v->name, q, strerror(-rc));
	}
	return CV_OK;
}

int port_device_set_mtu(struct port *v, uint16_t mtu, char *text)
{
	uint16_t want = mtu != 0 ? mtu : RTE_ETHER_MTU, now = 0;
	if (rte_eth_dev_get_mtu(v->dpdk_id, &now) == 0 && now == want) {
		v->mtu = now;
		return CV_OK;
	}
	int rc = rte_eth_dev_set_mtu(v->dpdk_id, want);
	if (rc == -EBUSY) { /* some drivers change it only while stopped */
		(void)rte_eth_dev_stop(v->dpdk_id);
		rc = rte_eth_dev_set_mtu(v->dpdk_id, want);
		if (rte_eth_dev_start(v->dpdk_id) != 0)
			return device_error(text, "%s does not start again after a change of MTU", v->name);
	}
	if (rc == 0)
		v->mtu = want;
	else if (rc != -ENOTSUP)
		return device_error(text, "%s does not take an MTU of %u: %s", v->name, want, strerror(-rc));
	return CV_OK;
}

/* Neighbour discovery needs multicast groups we do not program one by one; a device that cannot filter that loosely
 * gets everything, and ether_input drops what is not for us. */
static void open_filters(struct port *v)
{
	int rc = rte_eth_allmulticast_enable(v->dpdk_id);
	if (rc == 0)
		return;
	rc = rte_eth_promiscuous_enable(v->dpdk_id);
	if (rc != 0 && rc != -ENOTSUP)
		cv_warn("port", "%s: neither all multicast nor promiscuous mode: %s", v->name, strerror(-rc));
}

static int configure(const struct cv_port *cfg, struct port *v, char *text)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	struct rte_ether_addr mac;
	struct rte_eth_link link;
	int rc = rte_eth_dev_info_get(v->dpdk_id, &info);
	if (rc != 0)
		return device_error(text, "%s: no device information: %s", v->name, strerror(-rc));
	(void)snprintf(v->driver, sizeof(v->driver), "%s", info.driver_name);
	choose(cfg, &info, &conf, v);
	rc = rte_eth_dev_configure(v->dpdk_id, v->n_rxq, v->n_txq, &conf);
	if (rc != 0)
		return device_error(
			text, "%s: configuring %u+%u queues: %s", v->name, v->n_rxq, v->n_txq, strerror(-rc));
	assign_tx(v);
	int err = setup_queues(cfg, &info, v, text);
	if (err == CV_OK)
		err = port_device_set_mtu(v, cfg->mtu, text);
	if (err != CV_OK)
		return err;
	rc = rte_eth_dev_start(v->dpdk_id);
	if (rc != 0)
		return device_error(text, "%s does not start: %s", v->name, strerror(-rc));
	open_filters(v);
	if (rte_eth_macaddr_get(v->dpdk_id, &mac) == 0)
		memcpy(v->mac, mac.addr_bytes, sizeof(v->mac));
	if (rte_eth_link_get_nowait(v->dpdk_id, &link) == 0) {
		v->up = link.link_status == RTE_ETH_LINK_UP;
		v->speed_mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
	}
	return CV_OK;
}

int port_device_open(const struct cv_port *cfg, struct port **out, char *text)
{
	*out = NULL;
	struct port *v = calloc(1, sizeof(*v));
	if (v == NULL)
		return CV_ERR_NO_MEMORY;
	v->port_id = cfg->port_id;
	memcpy(v->name, cfg->name, sizeof(v->name));
	int err = probe(cfg, v, text);
	if (err == CV_OK) {
		err = configure(cfg, v, text);
		if (err != CV_OK)
			remove_device(v->dpdk_id);
	}
	if (err != CV_OK) {
		port_shield_close(v->shield);
		free(v);
	} else {
		*out = v;
	}
	return err;
}

void port_device_close(struct port *view)
{
	remove_device(view->dpdk_id);
	port_shield_close(view->shield);
	free(view);
}
