/* SPDX-License-Identifier: BSD-3-Clause */
/* The channel: attach, hand-over of descriptors, messages both ways, and a peer that writes nonsense. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "chan_int.h"

static char path[64];
static struct cv_chan_server *server;

static int setup(void **state)
{
	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/culvert-test-chan-%d.sock", (int)getpid());
	server = cv_chan_server_open(path, NULL);
	return server == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	cv_chan_server_close(server);
	server = NULL;
	return access(path, F_OK) == 0 ? -1 : 0;
}

struct connect_job {
	int vault_fd, rc, vault_back;
	struct cv_chan *ch;
	int done;
};

static void *connect_thread(void *arg)
{
	struct connect_job *j = arg;
	j->rc = cv_chan_connect(path, j->vault_fd, &j->ch, &j->vault_back);
	__atomic_store_n(&j->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Poll the server until the connecting thread is through. Returns the server's end. */
static struct cv_chan *connect_now(struct connect_job *j, int vault_fd)
{
	pthread_t t;
	int changed;
	memset(j, 0, sizeof(*j));
	j->vault_fd = vault_fd;
	assert_int_equal(pthread_create(&t, NULL, connect_thread, j), 0);
	while (!__atomic_load_n(&j->done, __ATOMIC_ACQUIRE))
		(void)cv_chan_server_poll(server, &changed);
	(void)pthread_join(t, NULL);
	return cv_chan_server_poll(server, &changed);
}

static void poll_until_detached(void)
{
	int changed;
	while (cv_chan_server_poll(server, &changed) != NULL)
		;
}

static void fill(struct cv_msg *m, uint16_t type, uint64_t seq, size_t body)
{
	memset(m, 0, sizeof(*m));
	m->h.type = type;
	m->h.seq = seq;
	m->h.len = (uint32_t)(sizeof(m->h) + body);
	for (size_t i = 0; i < body; i++)
		m->body[i] = (uint8_t)(seq + i);
}

static void messages_arrive_in_order_and_whole(void **state)
{
	(void)state;
	struct connect_job j;
	struct cv_chan *dp = connect_now(&j, -1);
	static struct cv_msg out, in;
	assert_non_null(dp);
	assert_int_equal(j.rc, 0);
	assert_int_equal(j.vault_back, -1);
	/* More than the ring holds in total, so that the indexes wrap. */
	for (uint64_t i = 0; i < 3 * CV_CHAN_CMD_SLOTS; i++) {
		size_t body = (size_t)(i % (sizeof(out.body) + 1));
		fill(&out, CV_CMD_VRF_SET, i, body);
		assert_int_equal(cv_chan_send(j.ch, &out), 0);
		memset(&in, 0xee, sizeof(in));
		assert_int_equal(cv_chan_recv(dp, &in), 1);
		assert_int_equal(in.h.seq, i);
		assert_int_equal(in.h.len, sizeof(in.h) + body);
		assert_memory_equal(in.body, out.body, body);
		if (body < sizeof(in.body))
			assert_int_equal(in.body[body], 0xee);
		assert_int_equal(cv_chan_recv(dp, &in), 0);
	}
	cv_chan_close(j.ch);
}

static void a_full_ring_says_so_and_loses_nothing(void **state)
{
	(void)state;
	struct connect_job j;
	struct cv_chan *dp = connect_now(&j, -1);
	static struct cv_msg m;
	unsigned n = 0;
	fill(&m, CV_EVT_LINK, 0, 8);
	while (cv_chan_send(dp, &m) == 0)
		m.h.seq = ++n;
	assert_int_equal(n, CV_CHAN_EVT_SLOTS - 1);
	assert_int_equal(cv_chan_send(dp, &m), -ENOBUFS);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(cv_chan_recv(j.ch, &m), 1);
		assert_int_equal(m.h.seq, i);
	}
	assert_int_equal(cv_chan_recv(j.ch, &m), 0);
	assert_false(cv_chan_broken(dp));
	assert_false(cv_chan_broken(j.ch));
	cv_chan_close(j.ch);
}

static void lengths_out_of_range_are_not_sent(void **state)
{
	(void)state;
	struct connect_job j;
	(void)connect_now(&j, -1);
	static struct cv_msg m;
	static struct cv_pkt p;
	fill(&m, CV_CMD_HELLO, 1, 8);
	m.h.len = sizeof(m.h) - 1;
	assert_int_equal(cv_chan_send(j.ch, &m), -EMSGSIZE);
	m.h.len = CV_MSG_SIZE + 1;
	assert_int_equal(cv_chan_send(j.ch, &m), -EMSGSIZE);
	p.len = CV_PKT_MAX + 1;
	assert_int_equal(cv_chan_send_pkt(j.ch, &p), -EMSGSIZE);
	cv_chan_close(j.ch);
}

static void packets_travel_both_ways(void **state)
{
	(void)state;
	struct connect_job j;
	struct cv_chan *dp = connect_now(&j, -1);
	static struct cv_pkt out, in;
	for (unsigned i = 0; i < sizeof(out.data); i++)
		out.data[i] = (uint8_t)(i * 7);
	for (unsigned len = 0; len <= CV_PKT_MAX; len += 960) {
		out.len = (uint16_t)len;
		out.vrf_id = len;
		struct cv_chan *from[2] = {dp, j.ch}, *to[2] = {j.ch, dp};
		for (int d = 0; d < 2; d++) {
			assert_int_equal(cv_chan_send_pkt(from[d], &out), 0);
			assert_int_equal(cv_chan_recv_pkt(to[d], &in), 1);
			assert_int_equal(in.len, len);
			assert_int_equal(in.vrf_id, len);
			assert_memory_equal(in.data, out.data, len);
			assert_int_equal(cv_chan_recv_pkt(to[d], &in), 0);
		}
	}
	cv_chan_close(j.ch);
}

static void a_consumed_message_leaves_nothing_in_the_ring(void **state)
{
	(void)state;
	static const uint8_t zero[CV_MSG_SIZE];
	struct connect_job j;
	struct cv_chan *dp = connect_now(&j, -1);
	static struct cv_msg m;
	const struct cv_msg *elem = (const struct cv_msg *)(j.ch->end[CHAN_CMD].ring + 1);
	fill(&m, CV_CMD_SA_ADD, 1, sizeof(struct cv_sa));
	assert_int_equal(cv_chan_send(j.ch, &m), 0);
	assert_memory_equal(elem->body, m.body, sizeof(struct cv_sa));
	assert_int_equal(cv_chan_recv(dp, &m), 1);
	assert_memory_equal(elem, zero, sizeof(*elem));
	cv_chan_close(j.ch);
}

static void elements_that_are_no_messages_are_skipped(void **state)
{
	(void)state;
	static const struct {
		uint16_t version;
		uint32_t len;
	} bad[] = {{CV_MSG_VERSION + 1, 24}, {0, 24}, {CV_MSG_VERSION, 0}, {CV_MSG_VERSION, 15},
		{CV_MSG_VERSION, CV_MSG_SIZE + 1}, {CV_MSG_VERSION, UINT32_MAX}};
	struct connect_job j;
	struct cv_chan *dp = connect_now(&j, -1);
	static struct cv_msg m;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fill(&m, CV_CMD_HELLO, i, 8);
		assert_int_equal(cv_chan_send(j.ch, &m), 0);
		struct chan_end *e = &j.ch->end[CHAN_CMD];
		uint32_t at = (e->ring->prod.tail - 1) & e->ring->mask;
		struct cv_msg *elem = (struct cv_msg *)(e->ring + 1) + at;
		elem->h.version = bad[i].version;
		elem->h.len = bad[i].len;
		assert_int_equal(cv_chan_recv(dp, &m), -EPROTO);
		assert_int_equal(cv_chan_recv(dp, &m), 0);
	}
	static struct cv_pkt p;
	p.len = 20;
	assert_int_equal(cv_chan_send_pkt(j.ch, &p), 0);
	((struct cv_pkt *)(j.ch->end[CHAN_PKT_DOWN].ring + 1))->len = 65535;
	assert_int_equal(cv_chan_recv_pkt(dp, &p), -EPROTO);
	assert_int_equal(cv_chan_recv_pkt(dp, &p), 0);
	assert_false(cv_chan_broken(dp));
	cv_chan_close(j.ch);
}

static void impossible_indexes_detach_the_client_and_nothing_else(void **state)
{
	(void)state;
	/* Producer: more than the ring holds. Consumer: ahead of the producer, or further behind than the ring is long.
	 */
	static const uint32_t lie[2][5] = {
		{CV_CHAN_CMD_SLOTS, CV_CHAN_CMD_SLOTS + 5, 0x7fffffff, 0x80000000, 0xffffffff},
		{1, 5, 0x7fffffff, 0x80000000, 0u - CV_CHAN_EVT_SLOTS},
	};
	static struct cv_msg m;
	for (size_t i = 0; i < 5; i++) {
		for (int which = 0; which < 2; which++) {
			struct connect_job j;
			struct cv_chan *dp = connect_now(&j, -1);
			assert_non_null(dp);
			fill(&m, CV_CMD_HELLO, 1, 8);
			if (which == 0) {
				j.ch->control->ring[CHAN_CMD].prod = lie[0][i];
				assert_int_equal(cv_chan_recv(dp, &m), 0);
			} else {
				j.ch->control->ring[CHAN_EVT].cons = lie[1][i];
				assert_int_equal(cv_chan_send(dp, &m), -ENOBUFS);
			}
			assert_true(cv_chan_broken(dp));
			poll_until_detached();
			cv_chan_close(j.ch);
		}
	}
	struct connect_job j;
	struct cv_chan *dp = connect_now(&j, -1);
	fill(&m, CV_CMD_HELLO, 1, 8);
	assert_int_equal(cv_chan_send(j.ch, &m), 0);
	assert_int_equal(cv_chan_recv(dp, &m), 1);
	cv_chan_close(j.ch);
}

static void one_client_at_a_time_and_the_next_gets_fresh_rings(void **state)
{
	(void)state;
	struct connect_job first, second;
	static struct cv_msg m;
	struct cv_chan *dp = connect_now(&first, -1);
	assert_int_equal(first.rc, 0);
	fill(&m, CV_CMD_HELLO, 1, 8);
	assert_int_equal(cv_chan_send(first.ch, &m), 0);
	assert_ptr_equal(connect_now(&second, -1), dp);
	assert_int_equal(second.rc, -EBUSY);
	cv_chan_close(first.ch);
	poll_until_detached();
	dp = connect_now(&second, -1);
	assert_int_equal(second.rc, 0);
	assert_int_equal(cv_chan_recv(dp, &m), 0);
	cv_chan_close(second.ch);
	int changed = 0;
	while (!changed)
		dp = cv_chan_server_poll(server, &changed);
	assert_null(dp);
	assert_null(cv_chan_server_poll(server, &changed));
	assert_int_equal(changed, 0);
}

static void change_is_reported_once(void **state)
{
	(void)state;
	struct connect_job j;
	int changed = 7;
	assert_null(cv_chan_server_poll(server, &changed));
	assert_int_equal(changed, 0);
	(void)connect_now(&j, -1);
	assert_non_null(cv_chan_server_poll(server, &changed));
	assert_int_equal(changed, 0);
	cv_chan_close(j.ch);
}

static void a_vault_left_behind_comes_back(void **state)
{
	(void)state;
	struct connect_job j;
	int changed;
	int vault = memfd_create("test-vault", MFD_CLOEXEC);
	assert_int_equal(write(vault, "remember", 8), 8);
	(void)connect_now(&j, vault);
	assert_int_equal(j.rc, 0);
	assert_int_equal(j.vault_back, -1);
	(void)cv_chan_server_poll(server, &changed);
	cv_chan_close(j.ch);
	(void)close(vault);
	poll_until_detached();
	/* Twice: giving it back must not take it away from the dataplane. */
	for (int i = 0; i < 2; i++) {
		char buf[9] = "";
		(void)connect_now(&j, -1);
		assert_int_equal(j.rc, 0);
		assert_true(j.vault_back >= 0);
		assert_int_equal(pread(j.vault_back, buf, 8, 0), 8);
		assert_string_equal(buf, "remember");
		(void)close(j.vault_back);
		cv_chan_close(j.ch);
		poll_until_detached();
	}
	(void)connect_now(&j, -1);
	(void)close(j.vault_back);
	int other = memfd_create("test-vault", MFD_CLOEXEC);
	assert_int_equal(write(other, "replaced", 8), 8);
	assert_int_equal(cv_chan_leave_vault(j.ch, other), 0);
	(void)close(other);
	cv_chan_close(j.ch);
	poll_until_detached();
	char buf[9] = "";
	(void)connect_now(&j, -1);
	assert_int_equal(pread(j.vault_back, buf, 8, 0), 8);
	assert_string_equal(buf, "replaced");
	(void)close(j.vault_back);
	cv_chan_close(j.ch);
}

static void kick_wakes_the_client(void **state)
{
	(void)state;
	struct connect_job j;
	uint64_t n = 0;
	(void)connect_now(&j, -1);
	assert_int_equal(read(cv_chan_event_fd(j.ch), &n, sizeof(n)), -1);
	cv_chan_server_kick(server);
	assert_int_equal(read(cv_chan_event_fd(j.ch), &n, sizeof(n)), sizeof(n));
	cv_chan_close(j.ch);
}

static void client_sees_the_dataplane_go(void **state)
{
	(void)state;
	struct connect_job j;
	char c;
	(void)connect_now(&j, -1);
	cv_chan_server_close(server);
	server = NULL;
	assert_int_equal(read(cv_chan_socket_fd(j.ch), &c, 1), 0);
	cv_chan_close(j.ch);
	struct cv_chan *ch;
	int back;
	assert_int_equal(cv_chan_connect(path, -1, &ch, &back), -ENOENT);
}

/* A client that does not play by the header: takes the raw descriptors and tries to do damage with them. */
static void descriptors_cannot_be_shrunk_and_statistics_not_written(void **state)
{
	(void)state;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct chan_greeting g;
	int fds[CHAN_FDS_MAX], changed;
	unsigned n_fds = CHAN_FDS_MAX;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_non_null(cv_chan_server_poll(server, &changed));
	assert_int_equal(changed, 1);
	assert_int_equal(chan_recv_fds(sock, &g, sizeof(g), fds, &n_fds), sizeof(g));
	assert_int_equal(n_fds, 3);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ftruncate(fds[i], 0), -1);
		assert_int_equal(errno, EPERM);
	}
	struct cv_stats_segment *s = cv_chan_server_stats(server);
	assert_ptr_equal(
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fds[1], 0), MAP_FAILED);
	assert_int_equal(pwrite(fds[1], "x", 1, 0), -1);
	const struct cv_stats_segment *ro = mmap(NULL, sizeof(*s), PROT_READ, MAP_SHARED, fds[1], 0);
	assert_ptr_not_equal(ro, MAP_FAILED);
	s->writer[0].drops[3] = 42; /* the dataplane itself goes on writing */
	assert_int_equal(ro->writer[0].drops[3], 42);
	assert_int_not_equal(ro->instance, 0);
	(void)munmap((void *)(uintptr_t)ro, sizeof(*s));
	/* Rubbish on the socket ends the attachment. */
	assert_int_equal(write(sock, "hello", 5), 5);
	poll_until_detached();
	for (unsigned i = 0; i < n_fds; i++)
		(void)close(fds[i]);
	(void)close(sock);
}

static void socket_file_is_private_and_a_live_one_is_respected(void **state)
{
	(void)state;
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_null(cv_chan_server_open(path, NULL));
	assert_int_equal(errno, EADDRINUSE);
	assert_null(cv_chan_server_open(path, "no-such-group-here"));
	assert_int_equal(access(path, F_OK), 0);
	/* A leftover of a killed process is replaced. */
	char stale[80];
	(void)snprintf(stale, sizeof(stale), "%s.stale", path);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	memcpy(sa.sun_path, stale, strlen(stale) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)close(fd);
	struct cv_chan_server *other = cv_chan_server_open(stale, NULL);
	assert_non_null(other);
	cv_chan_server_close(other);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(messages_arrive_in_order_and_whole),
		T(a_full_ring_says_so_and_loses_nothing),
		T(lengths_out_of_range_are_not_sent),
		T(packets_travel_both_ways),
		T(a_consumed_message_leaves_nothing_in_the_ring),
		T(elements_that_are_no_messages_are_skipped),
		T(impossible_indexes_detach_the_client_and_nothing_else),
		T(one_client_at_a_time_and_the_next_gets_fresh_rings),
		T(change_is_reported_once),
		T(a_vault_left_behind_comes_back),
		T(kick_wakes_the_client),
		T(client_sees_the_dataplane_go),
		T(descriptors_cannot_be_shrunk_and_statistics_not_written),
		T(socket_file_is_private_and_a_live_one_is_respected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
