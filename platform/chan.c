/* SPDX-License-Identifier: BSD-3-Clause */
#include "chan_int.h"
#include "cv_secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAN_PAGE 4096u

static const struct {
	uint32_t slots, elem_size;
} layout[CHAN_RINGS] = {
	[CHAN_CMD] = {CV_CHAN_CMD_SLOTS, sizeof(struct cv_msg)},
	[CHAN_EVT] = {CV_CHAN_EVT_SLOTS, sizeof(struct cv_msg)},
	[CHAN_PKT_UP] = {CV_CHAN_PKT_SLOTS, sizeof(struct cv_pkt)},
	[CHAN_PKT_DOWN] = {CV_CHAN_PKT_SLOTS, sizeof(struct cv_pkt)},
};

_Static_assert(sizeof(struct chan_control) <= CHAN_PAGE, "indexes fit the first page");
_Static_assert(sizeof(struct rte_ring) <= CHAN_PAGE, "ring header fits its private page");

static size_t page_round(size_t len)
{
	return (len + CHAN_PAGE - 1) & ~(size_t)(CHAN_PAGE - 1);
}

static size_t elems_len(enum chan_ring r)
{
	return page_round((size_t)layout[r].slots * layout[r].elem_size);
}

size_t chan_rings_len(void)
{
	size_t len = CHAN_PAGE;
	for (int r = 0; r < CHAN_RINGS; r++)
		len += elems_len((enum chan_ring)r);
	return len;
}

/* Reserve one private page and the elements behind it as one block of addresses. */
static int map_end(struct chan_end *e, enum chan_ring r, int fd, size_t offset, struct chan_control *control)
{
	size_t len = elems_len(r);
	uint8_t *base =
		mmap(NULL, CHAN_PAGE + len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -1;
	e->map = base;
	e->map_len = CHAN_PAGE + len;
	if (mmap(base + CHAN_PAGE, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)offset) ==
		MAP_FAILED)
		return -1;
	e->ring = (struct rte_ring *)(base + CHAN_PAGE - sizeof(struct rte_ring));
	e->ring->size = layout[r].slots;
	e->ring->mask = layout[r].slots - 1;
	e->ring->capacity = layout[r].slots - 1;
	e->ring->prod.sync_type = RTE_RING_SYNC_ST;
	e->ring->cons.sync_type = RTE_RING_SYNC_ST;
	e->elem_size = layout[r].elem_size;
	e->shared = &control->ring[r];
	return 0;
}

struct cv_chan *chan_map(int fd, bool server)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return NULL;
	if ((uint64_t)st.st_size != chan_rings_len()) {
		errno = EPROTO;
		return NULL;
	}
	struct cv_chan *ch = calloc(1, sizeof(*ch));
	if (ch == NULL)
		return NULL;
	ch->sock = -1;
	ch->event_fd = -1;
	ch->tx_msg = server ? CHAN_EVT : CHAN_CMD;
	ch->rx_msg = server ? CHAN_CMD : CHAN_EVT;
	ch->tx_pkt = server ? CHAN_PKT_UP : CHAN_PKT_DOWN;
	ch->rx_pkt = server ? CHAN_PKT_DOWN : CHAN_PKT_UP;
	ch->control = mmap(NULL, CHAN_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ch->control == MAP_FAILED) {
		free(ch);
		return NULL;
	}
	size_t offset = CHAN_PAGE;
	for (int r = 0; r < CHAN_RINGS; r++) {
		if (map_end(&ch->end[r], (enum chan_ring)r, fd, offset, ch->control) != 0) {
			int err = errno;
			cv_chan_close(ch);
			errno = err;
			return NULL;
		}
		offset += elems_len((enum chan_ring)r);
	}
	return ch;
}

void cv_chan_close(struct cv_chan *ch)
{
	if (ch == NULL)
		return;
	for (int r = 0; r < CHAN_RINGS; r++)
		if (ch->end[r].map != NULL)
			(void)munmap(ch->end[r].map, ch->end[r].map_len);
	(void)munmap(ch->control, CHAN_PAGE);
	if (ch->stats != NULL)
		(void)munmap((void *)(uintptr_t)ch->stats, sizeof(*ch->stats));
	if (ch->sock >= 0)
		(void)close(ch->sock);
	if (ch->event_fd >= 0)
		(void)close(ch->event_fd);
	free(ch);
}

/*
 * Take over the peer's consumer index, then reserve one element. An index that would mean more elements in the ring
 * than it can hold is a lie: the channel is unusable from then on.
 */
static int reserve(struct cv_chan *ch, struct chan_end *e, void **elem)
{
	uint32_t cons = __atomic_load_n(&e->shared->cons, __ATOMIC_ACQUIRE);
	if (ch->broken || e->ring->prod.tail - cons > e->ring->capacity) {
		ch->broken = true;
		return -ENOBUFS;
	}
	e->ring->cons.tail = cons;
	struct rte_ring_zc_data zcd;
	if (rte_ring_enqueue_zc_bulk_elem_start(e->ring, e->elem_size, 1, &zcd, NULL) == 0)
		return -ENOBUFS;
	*elem = zcd.ptr1;
	return 0;
}

static void commit(struct chan_end *e)
{
	rte_ring_enqueue_zc_elem_finish(e->ring, 1);
	__atomic_store_n(&e->shared->prod, e->ring->prod.tail, __ATOMIC_RELEASE);
}

static bool peek(struct cv_chan *ch, struct chan_end *e, void **elem)
{
	uint32_t prod = __atomic_load_n(&e->shared->prod, __ATOMIC_ACQUIRE);
	if (ch->broken || prod - e->ring->cons.tail > e->ring->capacity) {
		ch->broken = true;
		return false;
	}
	e->ring->prod.tail = prod;
	struct rte_ring_zc_data zcd;
	if (rte_ring_dequeue_zc_bulk_elem_start(e->ring, e->elem_size, 1, &zcd, NULL) == 0)
		return false;
	*elem = zcd.ptr1;
	return true;
}

static void consume(struct chan_end *e)
{
	rte_ring_dequeue_zc_elem_finish(e->ring, 1);
	__atomic_store_n(&e->shared->cons, e->ring->cons.tail, __ATOMIC_RELEASE);
}

int cv_chan_send(struct cv_chan *ch, struct cv_msg *msg)
{
	if (msg->h.len < sizeof(msg->h) || msg->h.len > CV_MSG_SIZE)
		return -EMSGSIZE;
	struct chan_end *e = &ch->end[ch->tx_msg];
	void *elem;
	int rc = reserve(ch, e, &elem);
	if (rc != 0)
		return rc;
	msg->h.version = CV_MSG_VERSION;
	memcpy(elem, msg, msg->h.len);
	commit(e);
	return 0;
}

int cv_chan_recv(struct cv_chan *ch, struct cv_msg *msg)
{
	struct chan_end *e = &ch->end[ch->rx_msg];
	void *elem;
	if (!peek(ch, e, &elem))
		return 0;
	/* The peer can still write to the element: look at the header only in our own copy of it. */
	memcpy(&msg->h, elem, sizeof(msg->h));
	int rc = -EPROTO;
	if (msg->h.version == CV_MSG_VERSION && msg->h.len >= sizeof(msg->h) && msg->h.len <= CV_MSG_SIZE) {
		memcpy(msg->body, (const uint8_t *)elem + sizeof(msg->h), msg->h.len - sizeof(msg->h));
		rc = 1;
	}
	/* Commands carry keys: they must not stay behind in the ring. */
	cv_secret_zero(elem, rc == 1 ? msg->h.len : CV_MSG_SIZE);
	consume(e);
	return rc;
}

int cv_chan_send_pkt(struct cv_chan *ch, const struct cv_pkt *pkt)
{
	if (pkt->len > CV_PKT_MAX)
		return -EMSGSIZE;
	struct chan_end *e = &ch->end[ch->tx_pkt];
	void *elem;
	int rc = reserve(ch, e, &elem);
	if (rc != 0)
		return rc;
	memcpy(elem, pkt, CV_PKT_HDR + pkt->len);
	commit(e);
	return 0;
}

int cv_chan_recv_pkt(struct cv_chan *ch, struct cv_pkt *pkt)
{
	struct chan_end *e = &ch->end[ch->rx_pkt];
	void *elem;
	if (!peek(ch, e, &elem))
		return 0;
	memcpy(pkt, elem, CV_PKT_HDR);
	int rc = -EPROTO;
	if (pkt->len <= CV_PKT_MAX) {
		memcpy(pkt->data, (const uint8_t *)elem + CV_PKT_HDR, pkt->len);
		rc = 1;
	}
	consume(e);
	return rc;
}

bool cv_chan_broken(const struct cv_chan *ch)
{
	return ch->broken;
}

int chan_send_fds(int sock, const void *data, size_t len, const int *fds, unsigned n_fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * CHAN_FDS_MAX)];
	} c;
	memset(&c, 0, sizeof(c));
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (n_fds > 0) {
		m.msg_control = c.buf;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cm), fds, sizeof(int) * n_fds);
	}
	ssize_t n = sendmsg(sock, &m, MSG_NOSIGNAL);
	return n < 0 ? -errno : (int)n;
}

int chan_recv_fds(int sock, void *data, size_t len, int *fds, unsigned *n_fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * CHAN_FDS_MAX)];
	} c;
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c.buf)};
	unsigned room = *n_fds;
	*n_fds = 0;
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(&m); cm != NULL; cm = CMSG_NXTHDR(&m, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		unsigned k = (unsigned)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned i = 0; i < k; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
			if (*n_fds < room)
				fds[(*n_fds)++] = fd;
			else
				(void)close(fd);
		}
	}
	return (int)n;
}
