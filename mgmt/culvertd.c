/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * culvertd, the control process: configuration and IKE on one event loop. It starts as root where it may, binds its
 * socket, then gives up everything it does not need, which is everything.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "cv_log.h"
#include "cv_secret.h"
#include "files.h"
#include "privs.h"
#include "server.h"
#include "store.h"

#define DEFAULT_CONFIG_DIR "/etc/culvert"
#define DEFAULT_STATE_DIR "/var/lib/culvert"
#define DEFAULT_RUN_DIR "/run/culvert"

struct options {
	const char *config, *config_dir, *state_dir, *run_dir, *socket, *dataplane_socket, *yang_dir, *user, *group;
	enum cv_log_level level;
	bool syslog;
	/* made from the above */
	char config_path[PATH_MAX], socket_path[PATH_MAX], dataplane_path[PATH_MAX], yang_path[3 * PATH_MAX];
};

struct daemon {
	struct options o;
	uv_loop_t loop;
	uv_signal_t term, intr, hup, pipe;
	struct ly_ctx *ctx;
	struct control *control;
	struct store *store;
	struct server *server;
	struct rpc_env env;
	int listen_fd;
	int exit_code;
	bool stopping;
};

static const char help[] =
	"usage: culvertd [OPTION...]\n"
	"The control process of Culvert: configuration, IKE, management socket. It does not go to the background.\n\n"
	"  --config FILE            startup configuration, JSON or XML (default: startup.json in the config "
	"directory)\n"
	"  --config-dir DIR         directory of the startup configuration (default: " DEFAULT_CONFIG_DIR ")\n"
	"  --state-dir DIR          history of commits (default: " DEFAULT_STATE_DIR
	"; the config directory if --config-dir is given)\n"
	"  --run-dir DIR            state that lives until the next boot (default: " DEFAULT_RUN_DIR ")\n"
	"  --socket PATH            management socket (default: culvertd.sock in the run directory)\n"
	"  --dataplane-socket PATH  socket of culvert-dataplane (default: dataplane.sock in the run directory)\n"
	"  --yang-dir DIR[:DIR...]  search YANG modules here first\n"
	"  --user NAME              run as this user (default: culvert, where it exists)\n"
	"  --group NAME             run as this group (default: the user's)\n"
	"  --log-level LEVEL        error, warning, notice, info or debug (default: notice)\n"
	"  --syslog                 log to syslog\n"
	"  --foreground             log to stderr (the default)\n"
	"  --help                   print this and exit\n"
	"  --version                print the version and exit\n";

enum {
	OPT_CONFIG = 256,
	OPT_CONFIG_DIR,
	OPT_STATE_DIR,
	OPT_RUN_DIR,
	OPT_SOCKET,
	OPT_DATAPLANE,
	OPT_YANG,
	OPT_USER,
	OPT_GROUP,
	OPT_LEVEL,
	OPT_SYSLOG,
	OPT_FOREGROUND,
	OPT_HELP,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, OPT_CONFIG},
	{"config-dir", required_argument, NULL, OPT_CONFIG_DIR},
	{"state-dir", required_argument, NULL, OPT_STATE_DIR},
	{"run-dir", required_argument, NULL, OPT_RUN_DIR},
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"dataplane-socket", required_argument, NULL, OPT_DATAPLANE},
	{"yang-dir", required_argument, NULL, OPT_YANG},
	{"user", required_argument, NULL, OPT_USER},
	{"group", required_argument, NULL, OPT_GROUP},
	{"log-level", required_argument, NULL, OPT_LEVEL},
	{"syslog", no_argument, NULL, OPT_SYSLOG},
	{"foreground", no_argument, NULL, OPT_FOREGROUND},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list ap;

	fputs("culvertd: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static enum cv_log_level log_level(const char *name)
{
	static const struct {
		const char *name;
		enum cv_log_level level;
	} levels[] = {{"error", CV_LOG_ERR}, {"warning", CV_LOG_WARNING}, {"notice", CV_LOG_NOTICE},
		{"info", CV_LOG_INFO}, {"debug", CV_LOG_DEBUG}};

	for (unsigned i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(name, levels[i].name) == 0)
			return levels[i].level;
	die("--log-level %s: valid: error, warning, notice, info, debug", name);
}

static void set_option(struct options *o, int opt, const char *arg)
{
	const char **const texts[] = {&o->config, &o->config_dir, &o->state_dir, &o->run_dir, &o->socket,
		&o->dataplane_socket, &o->yang_dir, &o->user, &o->group};

	switch (opt) {
	case OPT_LEVEL:
		o->level = log_level(arg);
		break;
	case OPT_SYSLOG:
		o->syslog = true;
		break;
	case OPT_FOREGROUND:
		o->syslog = false;
		break;
	case OPT_HELP:
		fputs(help, stdout);
		exit(0);
	case OPT_VERSION:
		puts("culvertd " CULVERT_VERSION);
		exit(0);
	default:
		if (opt < OPT_CONFIG) {
			fputs("Try 'culvertd --help'.\n", stderr);
			exit(2);
		}
		*texts[opt - OPT_CONFIG] = arg;
	}
}

static void in_dir(char out[static PATH_MAX], const char *given, const char *dir, const char *name)
{
	int n = given ? snprintf(out, PATH_MAX, "%s", given) : snprintf(out, PATH_MAX, "%s/%s", dir, name);

	if (n >= PATH_MAX)
		die("a path is too long");
}

/* Modules: what was asked for, then beside the program (a build tree), then where the package installs them. */
static void find_yang(struct options *o)
{
	char exe[PATH_MAX], beside[PATH_MAX + 8] = "";
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n > 0) {
		exe[n] = 0;
		char *slash = strrchr(exe, '/');
		*slash = 0;
		snprintf(beside, sizeof(beside), "%s:", exe);
	}
	snprintf(o->yang_path, sizeof(o->yang_path), "%s%s%s%s", o->yang_dir ? o->yang_dir : "", o->yang_dir ? ":" : "",
		beside, CULVERT_YANG_PATH);
}

static void parse_options(struct options *o, int argc, char **argv)
{
	int opt;

	o->level = CV_LOG_NOTICE;
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(o, opt, optarg);
	if (optind < argc)
		die("unexpected argument \"%s\"", argv[optind]);
	if (!o->state_dir)
		o->state_dir = o->config_dir ? o->config_dir : DEFAULT_STATE_DIR;
	if (!o->config_dir)
		o->config_dir = DEFAULT_CONFIG_DIR;
	if (!o->run_dir)
		o->run_dir = DEFAULT_RUN_DIR;
	in_dir(o->config_path, o->config, o->config_dir, "startup.json");
	in_dir(o->socket_path, o->socket, o->run_dir, "culvertd.sock");
	in_dir(o->dataplane_path, o->dataplane_socket, o->run_dir, "dataplane.sock");
	find_yang(o);
}

/* A directory of ours, made and handed to the user we will be. One that exists is left as it is. */
static void own_directory(const char *path, unsigned mode, const struct privs *p)
{
	struct stat st;
	bool existed = stat(path, &st) == 0;
	int rc = files_mkdir(path, mode);

	if (rc)
		die("%s: %s", path, strerror(-rc));
	if (existed)
		return;
	if (chmod(path, mode) < 0) /* the umask took from it */
		die("%s: %s", path, strerror(errno));
	if (p->change && chown(path, p->uid, p->gid) < 0)
		die("%s: %s", path, strerror(errno));
}

/* ---- requests ---- */

static void to_show(void *ctx, const json_t *request, control_answer *cb, void *arg)
{
	struct daemon *d = ctx;

	control_show(d->control, request, cb, arg);
}

static void to_do(void *ctx, const json_t *request, control_answer *cb, void *arg)
{
	struct daemon *d = ctx;

	control_do(d->control, request, cb, arg);
}

static int apply(void *ctx, struct cv_config *cfg, void (*cb)(void *arg, const char *err), void *arg)
{
	struct daemon *d = ctx;

	return control_apply(d->control, cfg, cb, arg);
}

static void warn_of_engine(void *ctx, const struct cv_config *cfg, void (*warn)(void *arg, const char *text), void *arg)
{
	struct daemon *d = ctx;

	control_warn(d->control, cfg, warn, arg);
}

/* ---- start and end ---- */

static void control_stopped(void *arg)
{
	struct daemon *d = arg;

	store_free(d->store);
	uv_close((uv_handle_t *)&d->term, NULL);
	uv_close((uv_handle_t *)&d->intr, NULL);
	uv_close((uv_handle_t *)&d->hup, NULL);
	uv_close((uv_handle_t *)&d->pipe, NULL);
}

static void stop(struct daemon *d, bool graceful)
{
	if (d->stopping)
		return;
	d->stopping = true;
	server_stop(d->server);
	control_stop(d->control, graceful, control_stopped, d);
}

static void on_signal(uv_signal_t *s, int number)
{
	struct daemon *d = s->data;

	cv_notice("main", "signal %d: %s", number,
		number == SIGHUP ? "ending, the tunnels are left to the next culvertd"
				 : "ending, the tunnels are taken down");
	stop(d, number != SIGHUP);
}

static void ignore_signal(uv_signal_t *s, int number)
{
	(void)s;
	(void)number;
}

static void started(void *arg, const struct model_err *err, const json_t *result)
{
	struct daemon *d = arg;
	char text[sizeof(err->path) + sizeof(err->text) + 4];
	size_t i;
	json_t *w;

	if (err) {
		cv_err("config", "%s: %s", d->o.config_path, model_err_str(err, text, sizeof(text)));
		d->exit_code = 1;
		close(d->listen_fd);
		(void)unlink(d->o.socket_path);
		stop(d, false);
		return;
	}
	json_array_foreach (json_object_get(result, "warnings"), i, w)
		cv_warn("config", "%s", json_string_value(w));
	cv_notice("main", "running the %s", json_string_value(json_object_get(result, "from")));
	d->server = server_start(&d->loop, d->listen_fd, d->o.socket_path, &d->env);
	if (!d->server) {
		cv_err("rpc", "%s: %s", d->o.socket_path, strerror(errno));
		d->exit_code = 1;
		stop(d, false);
	}
}

/* Everything that may need root. */
static void prepare(struct daemon *d)
{
	struct options *o = &d->o;
	struct privs p;
	int rc = privs_lookup(o->user, o->group, &p);

	if (rc)
		die("user %s or group %s does not exist", o->user ? o->user : "-", o->group ? o->group : "-");
	privs_protect_memory();
	own_directory(o->run_dir, 0755, &p);
	own_directory(o->state_dir, 0700, &p);
	d->listen_fd = server_bind(o->socket_path, p.change ? p.uid : (uid_t)-1);
	if (d->listen_fd < 0)
		die("%s: %s", o->socket_path, strerror(-d->listen_fd));
	if (geteuid() == 0 && !p.change)
		cv_notice("main", "user culvert does not exist: running as root without capabilities");
	rc = privs_drop(&p);
	if (rc)
		die("privileges cannot be dropped: %s", strerror(-rc));
}

static void catch_signal(struct daemon *d, uv_signal_t *s, int number, uv_signal_cb cb)
{
	uv_signal_init(&d->loop, s);
	s->data = d;
	uv_signal_start(s, cb, number);
}

static void create(struct daemon *d)
{
	struct options *o = &d->o;
	struct model_err err;
	const struct control_opts co = {.dataplane_socket = o->dataplane_path, .run_dir = o->run_dir};

	uv_loop_init(&d->loop);
	catch_signal(d, &d->term, SIGTERM, on_signal);
	catch_signal(d, &d->intr, SIGINT, on_signal);
	catch_signal(d, &d->hup, SIGHUP, on_signal);
	catch_signal(d, &d->pipe, SIGPIPE, ignore_signal); /* a client that went away is no reason to end */
	d->ctx = model_load(o->yang_path, &err);
	if (!d->ctx)
		die("%s", err.text);
	d->control = control_new(&d->loop, &co);
	if (!d->control)
		die("control: %s", strerror(errno));
	const struct store_opts so = {.loop = &d->loop,
		.ctx = d->ctx,
		.startup_path = o->config_path,
		.state_dir = o->state_dir,
		.run_dir = o->run_dir,
		.apply = apply,
		.warn = warn_of_engine,
		.apply_ctx = d};
	d->store = store_new(&so, &err);
	if (!d->store)
		die("%s", err.text);
	d->env = (struct rpc_env){.store = d->store, .ctx = d, .show = to_show, .act = to_do};
}

/* Requests and answers pass through jansson, and some carry keys: its memory is zeroed when freed. */
static void free_zeroed(void *p)
{
	if (p)
		cv_secret_zero(p, malloc_usable_size(p));
	free(p);
}

int main(int argc, char **argv)
{
	static struct daemon d;

	parse_options(&d.o, argc, argv);
	json_set_alloc_funcs(malloc, free_zeroed);
	umask(0077);
	cv_log_open("culvertd", d.o.syslog, d.o.level);
	prepare(&d);
	create(&d);
	store_start(d.store, started, &d);
	uv_run(&d.loop, UV_RUN_DEFAULT);
	uv_loop_close(&d.loop);
	ly_ctx_destroy(d.ctx);
	return d.exit_code;
}
