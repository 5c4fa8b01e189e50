/* SPDX-License-Identifier: BSD-3-Clause */
/* do trace: ask the dataplane to record the next packets and collect what comes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "show_priv.h"

#define TRACE_MAX 1000
#define TRACE_WAIT_MS 10000

/* One trace at a time; it ends when it is full, when nothing comes any more, or when the dataplane goes. */
struct trace {
	struct show *s;
	unsigned want;
	uv_timer_t timer;
};

static void trace_closed(uv_handle_t *h)
{
	struct trace *t = h->data;
	struct control *c = t->s->c;

	show_answer(t->s);
	free(t);
	c->handles--;
	control_maybe_free(c);
}

void trace_end(struct control *c)
{
	struct trace *t = c->trace;
	struct cv_cmd_trace stop = {0};

	if (!t)
		return;
	c->trace = NULL;
	dpclient_command(c->dp, CV_CMD_TRACE, &stop, sizeof(stop), NULL, NULL);
	uv_close((uv_handle_t *)&t->timer, trace_closed);
}

static void trace_timeout(uv_timer_t *timer)
{
	trace_end(((struct trace *)timer->data)->s->c);
}

static json_t *step_object(uint64_t tsc, const char *stage, size_t stage_len, const char *note, size_t note_len)
{
	json_t *o = json_object();
	char text[64];

	snprintf(text, sizeof(text), "%.*s", (int)stage_len, stage);
	set_str(o, "stage", text);
	snprintf(text, sizeof(text), "%.*s", (int)note_len, note);
	set_str(o, "text", text);
	set_int(o, "cycles", tsc);
	return o;
}

static void set_hex(json_t *o, const char *key, const uint8_t *data, size_t len)
{
	char text[2 * 128 + 1] = "";

	for (size_t i = 0; i < len && i < 128; i++)
		snprintf(text + 2 * i, 3, "%02x", data[i]);
	set_str(o, key, text);
}

void do_trace_record(struct control *c, const struct cv_evt_trace *rec)
{
	const struct cfg_interface *i = if_by_id(c, rec->if_id);
	struct trace *t = c->trace;
	json_t *o, *steps, *last;

	if (!t)
		return;
	/* further parts of the packet that came last carry its id again */
	last = json_array_get(t->s->list, json_array_size(t->s->list) - 1);
	if (last && (uint32_t)json_integer_value(json_object_get(last, "id")) == rec->id) {
		o = last;
		steps = json_object_get(o, "steps");
	} else {
		if (json_array_size(t->s->list) >= t->want) {
			trace_end(c);
			return;
		}
		o = json_object();
		set_int(o, "id", rec->id);
		set_str(o, "interface", i ? i->name : NULL);
		set_int(o, "length", rec->pkt_len);
		set_hex(o, "head", rec->head, rec->pkt_len);
		steps = set_array(o, "steps");
		json_array_append_new(t->s->list, o);
	}
	for (uint32_t n = 0; n < rec->n_steps && n < CV_TRACE_STEPS; n++)
		json_array_append_new(
			steps, step_object(rec->step[n].tsc, rec->step[n].stage, sizeof(rec->step[n].stage),
				       rec->step[n].note, sizeof(rec->step[n].note)));
	/* wait a moment after the last packet for its further parts */
	if (json_array_size(t->s->list) >= t->want)
		uv_timer_start(&t->timer, trace_timeout, 50, 0);
}

static void trace_started(void *arg, int err, const struct cv_reply *rep)
{
	struct control *c = arg;

	if (!err || !c->trace)
		return;
	json_object_clear(c->trace->s->out);
	set_str(c->trace->s->out, "error",
		rep ? (rep->text[0] ? rep->text : dp_err_str(rep->err)) : "the dataplane went away");
	trace_end(c);
}

void do_trace(struct show *s)
{
	long n = arg_int(s, "packets", TRACE_MAX);
	const struct cfg_interface *ifc;
	struct cv_cmd_trace cmd;
	struct trace *t;

	if (arg_interface(s, &ifc))
		return;
	if (n == -2 || n == 0 || s->c->trace || s->c->stopping) {
		show_error(s, s->c->trace ? "a trace is running" : "packets: 1..%d", TRACE_MAX);
		return;
	}
	cmd = (struct cv_cmd_trace){.n_packets = n > 0 ? (uint32_t)n : 1, .if_id = ifc ? ifc->id : 0};
	if (dpclient_command(s->c->dp, CV_CMD_TRACE, &cmd, sizeof(cmd), trace_started, s->c)) {
		show_error(s, "the dataplane is not there");
		return;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	t->s = s;
	t->want = cmd.n_packets;
	s->list = set_array(s->out, "packets");
	uv_timer_init(s->c->loop, &t->timer);
	t->timer.data = t;
	s->c->handles++;
	s->c->trace = t;
	uv_timer_start(&t->timer, trace_timeout, TRACE_WAIT_MS, 0);
}
