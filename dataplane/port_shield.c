/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_shield.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "cv_log.h"

#define BATCH_MAX 1024u
#define ANSWER_MAX 4096u
#define TABLE_NAME_MAX 128u

/* The Linux interface of a net_af_packet device string. False: it is of another kind, or names none. */
static bool interface_of(const char *devargs, char name[IFNAMSIZ])
{
	const char *iface = strstr(devargs, ",iface=");

	if (strncmp(devargs, "net_af_packet", strlen("net_af_packet")) != 0 || !iface)
		return false;
	iface += strlen(",iface=");
	size_t n = strcspn(iface, ",");

	if (n == 0 || n >= IFNAMSIZ)
		return false;
	memcpy(name, iface, n);
	name[n] = '\0';
	return true;
}

/* Append a message to a batch. Returns its header; the batch goes on at mnl_nlmsg_get_payload_tail(). */
static struct nlmsghdr *put(void *at, uint16_t type, uint16_t flags, uint8_t family, uint16_t res_id)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(at);

	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(h, sizeof(*nfg));

	*nfg = (struct nfgenmsg){.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(res_id)};
	return h;
}

static struct nlmsghdr *put_nft(void *at, uint16_t message, uint16_t flags)
{
	return put(at, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | message), (uint16_t)(NLM_F_CREATE | flags),
		NFPROTO_NETDEV, 0);
}

/* A chain without rules that drops, in front of whatever else is hooked there. */
static void describe_chain(struct nlmsghdr *h, const char *table, const char *iface)
{
	mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(h, NFTA_CHAIN_NAME, "ingress");
	mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, "filter");
	mnl_attr_put_u32(h, NFTA_CHAIN_POLICY, htonl(NF_DROP));
	struct nlattr *hook = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);

	mnl_attr_put_u32(h, NFTA_HOOK_HOOKNUM, htonl(NF_NETDEV_INGRESS));
	mnl_attr_put_u32(h, NFTA_HOOK_PRIORITY, htonl((uint32_t)INT_MIN));
	mnl_attr_put_strz(h, NFTA_HOOK_DEV, iface);
	mnl_attr_nest_end(h, hook);
}

/* A table that is the socket's own, and the chain, both or none. 0 or -errno. */
static int raise_shield(struct mnl_socket *nl, const char *table, const char *iface)
{
	char batch[BATCH_MAX], answer[ANSWER_MAX];
	struct nlmsghdr *h = put(batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);

	h = put_nft(mnl_nlmsg_get_payload_tail(h), NFT_MSG_NEWTABLE, NLM_F_EXCL);
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, table);
	mnl_attr_put_u32(h, NFTA_TABLE_FLAGS, htonl(NFT_TABLE_F_OWNER));
	h = put_nft(mnl_nlmsg_get_payload_tail(h), NFT_MSG_NEWCHAIN, NLM_F_EXCL | NLM_F_ACK);
	describe_chain(h, table, iface);
	h = put(mnl_nlmsg_get_payload_tail(h), NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	if (mnl_socket_sendto(nl, batch, (size_t)((char *)mnl_nlmsg_get_payload_tail(h) - batch)) < 0)
		return -errno;
	/* The first answer is the first error, or what acknowledges the chain; it is there when sending returns. */
	ssize_t n = mnl_socket_recvfrom(nl, answer, sizeof(answer));

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	return mnl_cb_run(answer, (size_t)n, 0, 0, NULL, NULL) < 0 ? -errno : 0;
}

struct mnl_socket *port_shield_open(const char *devargs)
{
	char iface[IFNAMSIZ], table[TABLE_NAME_MAX];

	/* An interface that is not there is the driver's to report. */
	if (!interface_of(devargs, iface) || if_nametoindex(iface) == 0)
		return NULL;
	/* With the DPDK device: a port may follow another one on the same interface, and is opened first. */
	(void)snprintf(table, sizeof(table), "culvert-%s-%.64s", iface, devargs);
	table[strcspn(table, ",")] = '\0';
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int rc = nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0 ? raise_shield(nl, table, iface) : -errno;

	if (rc == 0)
		return nl;
	port_shield_close(nl);
	cv_warn("port",
		"%s: the kernel's own stack cannot be kept off it (%s): it may answer and forward past the policy",
		iface, strerror(-rc));
	return NULL;
}

void port_shield_close(struct mnl_socket *shield)
{
	if (shield)
		mnl_socket_close(shield);
}
