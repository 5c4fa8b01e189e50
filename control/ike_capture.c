/* SPDX-License-Identifier: BSD-3-Clause */
#include "ike_capture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cv_addr.h"
#include "cv_log.h"
#include "cv_name.h"
#include "cv_secret.h"
#include "ikecrypto.h"
#include "pcapng.h"
#include "show_priv.h"

#define ROOT_NAME "ike-capture"
#define MESSAGES "ike.pcapng"
#define SAS_MAX 4096u /* whose keys are written; messages of further ones stay encrypted */
#define LINES_MAX 8u  /* of one SA: additional key exchanges change its keys */
#define TABLE_LINE_MAX 1024u
#define PACKETS_MAX 1000000
#define SECONDS_MAX 86400
#define KILOBYTES_MAX 1048576
#define PACKETS_DEFAULT 1000u
#define SECONDS_DEFAULT 600u
#define KILOBYTES_DEFAULT 10240u

const char *const ike_capture_table[2] = {"ikev1_decryption_table", "ikev2_decryption_table"};

struct noted {
	struct ike_sa_name name;
	uint8_t lines;
	uint8_t digest[20]; /* of the keys last written: the keys themselves are not kept */
};

struct ike_capture {
	char name[CV_FILE_NAME_MAX + 1];
	int messages, table[2]; /* descriptors; -1 = none */
	struct cv_prefix peer;	/* only with this one; family 0 = any */
	uint64_t until_ms, bytes, max_bytes;
	uint32_t packets, max_packets;
	unsigned n_noted, n_written, n_unreadable;
	struct noted noted[SAS_MAX];
};

/* ---- the tables ---- */

static const char *encr_word(const struct ike_wire_keys *k, char out[static 64])
{
	static const struct {
		enum ike_encr encr;
		unsigned salt;
		const char *form;
	} word[] = {{IKE_ENCR_AES_CBC, 0, "AES-CBC-%u [RFC3602]"}, {IKE_ENCR_AES_CTR, 4, "AES-CTR-%u [RFC5930]"},
		{IKE_ENCR_AES_GCM8, 4, "AES-GCM-%u with 8 octet ICV [RFC5282]"},
		{IKE_ENCR_AES_GCM12, 4, "AES-GCM-%u with 12 octet ICV [RFC5282]"},
		{IKE_ENCR_AES_GCM16, 4, "AES-GCM-%u with 16 octet ICV [RFC5282]"}};

	if (k->encr == IKE_ENCR_3DES)
		return "3DES [RFC2451]";
	for (unsigned i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		if (word[i].encr == k->encr) {
			snprintf(out, 64, word[i].form, (k->e_len - word[i].salt) * 8u);
			return out;
		}
	return NULL;
}

static const char *integ_word(enum ike_integ integ)
{
	switch (integ) {
	case IKE_INTEG_NONE:
		return "NONE [RFC4306]";
	case IKE_INTEG_HMAC_MD5_96:
		return "HMAC_MD5_96 [RFC2403]";
	case IKE_INTEG_HMAC_SHA1_96:
		return "HMAC_SHA1_96 [RFC2404]";
	case IKE_INTEG_HMAC_SHA256_128:
		return "HMAC_SHA2_256_128 [RFC4868]";
	case IKE_INTEG_HMAC_SHA384_192:
		return "HMAC_SHA2_384_192 [RFC4868]";
	case IKE_INTEG_HMAC_SHA512_256:
		return "HMAC_SHA2_512_256 [RFC4868]";
	default:
		return NULL;
	}
}

struct line {
	char *p;
	size_t len, size;
};

static void put_text(struct line *l, const char *text)
{
	for (; *text && l->len < l->size; text++)
		l->p[l->len++] = *text;
}

static void put_hex(struct line *l, const uint8_t *data, size_t len)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < len && l->len + 2 <= l->size; i++) {
		l->p[l->len++] = digit[data[i] >> 4];
		l->p[l->len++] = digit[data[i] & 15];
	}
}

static void put_fields(struct line *l, const uint8_t *a, const uint8_t *b, size_t len, const char *word)
{
	put_hex(l, a, len);
	put_text(l, ",");
	put_hex(l, b, len);
	put_text(l, ",\"");
	put_text(l, word);
	put_text(l, "\"");
}

size_t ike_capture_line(const struct ike_wire_keys *k, char *out, size_t size)
{
	struct line l = {.p = out, .size = size};
	char text[64];
	const char *encr = encr_word(k, text), *integ = integ_word(k->integ);

	if (k->version == 1) { /* cookie of the initiator, key */
		put_hex(&l, k->spi_i, sizeof(k->spi_i));
		put_text(&l, ",");
		put_hex(&l, k->ei, k->e_len);
	} else if (encr && integ) { /* SPIs, SK_ei, SK_er, cipher, SK_ai, SK_ar, integrity */
		put_hex(&l, k->spi_i, sizeof(k->spi_i));
		put_text(&l, ",");
		put_hex(&l, k->spi_r, sizeof(k->spi_r));
		put_text(&l, ",");
		put_fields(&l, k->ei, k->er, k->e_len, encr);
		put_text(&l, ",");
		put_fields(&l, k->ai, k->ar, k->a_len, integ);
	} else {
		return 0;
	}
	put_text(&l, "\n");
	return l.len;
}

/* ---- files ---- */

static bool write_whole(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* The directory of all captures, made when it is not there. A descriptor or a negative errno. */
static int open_root(const struct control *c, bool make)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/" ROOT_NAME, c->run_dir);
	if (make && mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_capture(int root, const char *name)
{
	int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int make_file(int dir, const char *name)
{
	return openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_APPEND, 0600);
}

static void close_files(struct ike_capture *k)
{
	for (unsigned i = 0; i < 2; i++)
		if (k->table[i] >= 0)
			close(k->table[i]);
	if (k->messages >= 0)
		close(k->messages);
}

/* 0 or a negative errno; -EEXIST: there is one of this name. */
static int make_files(const struct control *c, struct ike_capture *k)
{
	uint8_t head[PCAPNG_HEADER_MAX];
	int root = open_root(c, true), dir, err = 0;

	if (root < 0)
		return root;
	dir = mkdirat(root, k->name, 0700) ? -errno : open_capture(root, k->name);
	close(root);
	if (dir < 0)
		return dir;
	k->messages = make_file(dir, MESSAGES);
	for (unsigned i = 0; i < 2; i++)
		k->table[i] = make_file(dir, ike_capture_table[i]);
	close(dir);
	k->bytes = pcapng_header(head, "culvertd", "ike");
	if (k->messages < 0 || k->table[0] < 0 || k->table[1] < 0 || !write_whole(k->messages, head, k->bytes))
		err = errno ? -errno : -EIO;
	return err;
}

/* False: it was there and could not be wiped. */
static bool wipe_file(int dir, const char *name)
{
	int err = cv_secret_wipe_file(dir, name);

	return !err || err == -ENOENT;
}

/* ---- running ---- */

void ike_capture_end(struct control *c, const char *why)
{
	struct ike_capture *k = c->ike_capture;

	if (!k)
		return;
	c->ike_capture = NULL;
	cv_warn("ike-capture",
		"'%s' has ended: %s; %u messages, keys of %u IKE SAs; wipe the keys when they are of no "
		"use any more",
		k->name, why, k->packets, k->n_written);
	close_files(k);
	free(k);
}

static void write_keys(struct control *c, struct noted *n)
{
	struct ike_capture *k = c->ike_capture;
	struct ike_wire_keys keys;
	char line[TABLE_LINE_MAX];
	uint8_t digest[20];
	size_t len;

	if (n->lines < LINES_MAX && ike_wire_keys(c->ike, &n->name, &keys) &&
		!ikec_sha1(&(struct ikec_iov){&keys, sizeof(keys)}, 1, digest) &&
		memcmp(digest, n->digest, sizeof(digest))) {
		memcpy(n->digest, digest, sizeof(digest));
		len = ike_capture_line(&keys, line, sizeof(line));
		k->n_written += len && !n->lines;
		k->n_unreadable += !len && !n->lines;
		n->lines++;
		if (len && !write_whole(k->table[keys.version - 1], line, len))
			ike_capture_end(c, strerror(errno));
	}
	cv_secret_zero(line, sizeof(line));
	cv_secret_zero(&keys, sizeof(keys));
}

void ike_capture_seen(struct control *c, const uint8_t *data, size_t len)
{
	struct ike_capture *k = c->ike_capture;
	struct ike_sa_name name;
	unsigned i;

	if (!k || !ike_sa_of_message(c->ike, data, len, &name))
		return;
	for (i = 0; i < k->n_noted; i++)
		if (k->noted[i].name.version == name.version && !memcmp(k->noted[i].name.spi, name.spi, 8))
			break;
	if (i == SAS_MAX)
		return;
	if (i == k->n_noted)
		k->noted[k->n_noted++].name = name;
	write_keys(c, &k->noted[i]);
}

static bool wanted(const struct control *c, const struct ike_path *path, const uint8_t *data, size_t len)
{
	const struct ike_capture *k = c->ike_capture;
	struct ike_sa_brief brief;
	struct debug_ctx ctx;

	if (cv_addr_bits(&k->peer.addr) &&
		(k->peer.addr.af != path->remote.af || !cv_prefix_contains(&k->peer, &path->remote)))
		return false;
	if (!c->debug.n_cond)
		return true;
	debug_message_context(c, path, data, len, &brief, &ctx);
	return debug_matches(&c->debug, &ctx, false);
}

void ike_capture_message(struct control *c, const struct ike_path *path, bool out, const struct cv_pkt *pkt,
	const uint8_t *data, size_t len)
{
	struct ike_capture *k = c->ike_capture;
	uint8_t block[CV_PKT_MAX + PCAPNG_PACKET_OVERHEAD];
	char vrf[PCAPNG_COMMENT_MAX];
	struct timespec now;
	size_t n;

	if (!k || len < 28 || !wanted(c, path, data, len))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(vrf, sizeof(vrf), "front VRF %s", path->vrf ? host_vrf_name(c, path->vrf) : "");
	n = pcapng_packet(block, (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u, out, pkt->data,
		pkt->len, path->vrf ? vrf : NULL);
	if (k->bytes + n > k->max_bytes) {
		ike_capture_end(c, "it is as long as was asked for");
		return;
	}
	if (!write_whole(k->messages, block, n)) {
		ike_capture_end(c, strerror(errno));
		return;
	}
	k->bytes += n;
	k->packets++;
	ike_capture_seen(c, data, len);
	if (c->ike_capture && k->packets >= k->max_packets)
		ike_capture_end(c, "it has as many messages as were asked for");
}

uint64_t ike_capture_run(struct control *c)
{
	struct ike_capture *k = c->ike_capture;
	uint64_t now = host_now_ms(c);

	if (!k)
		return UINT64_MAX;
	if (!c->running || !c->running->ike_capture)
		ike_capture_end(c, "the configuration does not allow it any more");
	else if (now >= k->until_ms)
		ike_capture_end(c, "its time is over");
	else
		return k->until_ms - now;
	return UINT64_MAX;
}

/* ---- operator ---- */

static void set_place(struct show *s, json_t *o, const char *name)
{
	char path[4096];

	set_str(o, "name", name);
	snprintf(path, sizeof(path), "%s/" ROOT_NAME "/%s", s->c->run_dir, name);
	set_str(o, "directory", path);
	set_str(o, "file", MESSAGES);
}

/* A number of the request, dflt when it is not given; 0: answered with an error. */
static uint64_t limit(struct show *s, const char *key, uint64_t dflt, long max)
{
	long n = arg_int(s, key, max);

	if (n == -1)
		return dflt;
	if (n > 0)
		return (uint64_t)n;
	show_error(s, "%s: 1..%ld", key, max);
	return 0;
}

static void start(struct show *s, const char *name)
{
	struct control *c = s->c;
	const char *peer = arg_str(s, "peer"), *caller = arg_str(s, "caller");
	struct ike_capture *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		abort();
	snprintf(k->name, sizeof(k->name), "%s", name);
	k->messages = k->table[0] = k->table[1] = -1;
	if (peer && cv_prefix_parse(peer, &k->peer)) {
		show_error(s, "peer '%s' is no address and no prefix", peer);
		free(k);
		return;
	}
	if (!(k->max_packets = (uint32_t)limit(s, "packets", PACKETS_DEFAULT, PACKETS_MAX)) ||
		!(k->until_ms = 1000 * limit(s, "seconds", SECONDS_DEFAULT, SECONDS_MAX)) ||
		!(k->max_bytes = 1024 * limit(s, "kilobytes", KILOBYTES_DEFAULT, KILOBYTES_MAX))) {
		free(k);
		return;
	}
	k->until_ms += host_now_ms(c);
	err = make_files(c, k);
	if (err) {
		show_error(s, err == -EEXIST ? "there is a capture '%s' already" : "capture '%s' cannot be written: %s",
			name, strerror(-err));
		close_files(k);
		free(k);
		return;
	}
	c->ike_capture = k;
	cv_warn("ike-capture",
		"%s has started '%s': messages of IKE%s%s AND THE KEYS THAT DECRYPT THEM are written to "
		"%s/" ROOT_NAME "/%s",
		caller ? caller : "an administrator", name, peer ? " with " : "", peer ? peer : "", c->run_dir, name);
	set_place(s, s->out, name);
	show_answer(s);
}

static void wipe(struct show *s, const char *name)
{
	struct control *c = s->c;
	const char *caller = arg_str(s, "caller");
	bool all = arg_flag(s, "all"), good = true;
	int root, dir;

	if (c->ike_capture && !strcmp(c->ike_capture->name, name))
		ike_capture_end(c, "it is to be wiped");
	root = open_root(c, false);
	dir = root < 0 ? root : open_capture(root, name);
	if (dir < 0) {
		show_error(s, "there is no capture '%s'", name);
	} else {
		for (unsigned i = 0; i < 2; i++)
			good = wipe_file(dir, ike_capture_table[i]) && good;
		if (all)
			good = wipe_file(dir, MESSAGES) && unlinkat(root, name, AT_REMOVEDIR) == 0 && good;
		cv_warn("ike-capture", "%s has wiped the keys of '%s'%s", caller ? caller : "an administrator", name,
			good ? "" : ", NOT ALL OF THEM");
		close(dir);
		if (good)
			show_answer(s);
		else
			show_error(s, "'%s' could not be wiped whole", name);
	}
	if (root >= 0)
		close(root);
}

/* {"do": "ike capture", "start" | "wipe": NAME or "stop"} */
void do_ike_capture(struct show *s)
{
	const char *name = arg_str(s, "start"), *old = arg_str(s, "wipe");

	if (arg_flag(s, "stop")) {
		if (!s->c->ike_capture) {
			show_error(s, "no capture of IKE is running");
			return;
		}
		ike_capture_end(s->c, "stopped by an administrator");
		show_answer(s);
	} else if (!cv_name_good(name ? name : old)) {
		show_error(
			s, "a capture needs a name of letters, digits, '.', '_' and '-', at most %u", CV_FILE_NAME_MAX);
	} else if (old) {
		wipe(s, old);
	} else if (!s->c->running || !s->c->running->ike_capture) {
		show_error(s, "the configuration does not allow it: ike/allow-decrypted-capture is false");
	} else if (s->c->ike_capture) {
		show_error(s, "the capture '%s' is running", s->c->ike_capture->name);
	} else {
		start(s, name);
	}
}

static json_t *on_disk(struct show *s, int root, const char *name)
{
	json_t *o = json_object();
	struct stat st;
	int dir = open_capture(root, name);
	bool keys = dir >= 0 &&
		    (!faccessat(dir, ike_capture_table[0], F_OK, 0) || !faccessat(dir, ike_capture_table[1], F_OK, 0));

	set_place(s, o, name);
	set_flag(o, "keys", keys);
	if (dir >= 0 && !fstatat(dir, MESSAGES, &st, AT_SYMLINK_NOFOLLOW))
		set_int(o, "bytes", (uint64_t)st.st_size);
	if (dir >= 0)
		close(dir);
	return o;
}

void show_ike_capture(struct show *s)
{
	const struct ike_capture *k = s->c->ike_capture;
	int root = open_root(s->c, false);
	DIR *d = root < 0 ? NULL : fdopendir(root);
	json_t *list = set_array(s->out, "captures"), *run;
	const struct dirent *e;

	set_flag(s->out, "allowed", s->c->running && s->c->running->ike_capture);
	if (k) {
		uint64_t now = host_now_ms(s->c);

		json_object_set_new(s->out, "running", run = json_object());
		set_str(run, "name", k->name);
		set_int(run, "messages", k->packets);
		set_int(run, "messages_left", k->max_packets - k->packets);
		set_int(run, "seconds_left", k->until_ms > now ? (k->until_ms - now) / 1000 : 0);
		set_int(run, "bytes_left", k->max_bytes - k->bytes);
		set_int(run, "ike_sas", k->n_written);
		set_int(run, "ike_sas_unreadable", k->n_unreadable + (k->n_noted == SAS_MAX));
	}
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			json_array_append_new(list, on_disk(s, root, e->d_name));
	if (d)
		closedir(d);
	show_answer(s);
}
