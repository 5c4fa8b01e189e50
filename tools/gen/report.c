/* SPDX-License-Identifier: BSD-3-Clause */
#include "measure.h"

#include <errno.h>
#include <stdio.h>

#include <jansson.h>
#include <rte_common.h>

static uint64_t lost(const struct gen_trial *t)
{
	return t->sent > t->received ? t->sent - t->received : 0;
}

static double ratio_to_plain(const struct gen_result *all, unsigned n, const struct gen_result *r)
{
	for (unsigned i = 0; i < n; i++)
		if (all[i].mode == GEN_PLAIN && all[i].size == r->size && all[i].pps > 0)
			return r->pps / all[i].pps;
	return 0;
}

static double mean_bytes(const struct gen_size *s)
{
	double bytes = 0;
	for (unsigned k = 0; k < s->n; k++)
		bytes += s->ip_len[k];
	return bytes / s->n;
}

/* Each hold of a result with its name; NULL beyond the last. */
static const struct gen_hold *nth_hold(const struct gen_result *r, unsigned i, const char **name)
{
	static const char *const names[] = {"50", "90", "rekey", "tables"};
	const struct gen_hold *h[] = {&r->latency[0], &r->latency[1], &r->rekey, &r->tables};
	if (i >= RTE_DIM(h))
		return NULL;
	*name = names[i];
	return h[i];
}

static json_t *hold_json(const struct gen_gateway *gw, const struct gen_hold *h)
{
	json_t *drops = json_object();
	for (unsigned i = 0; gw && i < CV_DROP_MAX; i++)
		if (h->drops[i])
			json_object_set_new(drops, gen_gateway_drop_name(gw, i), json_integer((json_int_t)h->drops[i]));
	return json_pack("{s:f, s:f, s:I, s:I, s:I, s:i, s:f, s:f, s:f, s:f, s:o}", "offered_pps", h->t.offered_pps,
		"seconds", h->t.seconds, "sent", (json_int_t)h->t.sent, "received", (json_int_t)h->t.received, "lost",
		(json_int_t)lost(&h->t), "changes", (int)h->done, "p50_us", h->p50, "p99_us", h->p99, "p99_99_us",
		h->p9999, "max_us", h->max, "drops", drops);
}

static json_t *row_json(
	const struct gen_opts *o, const struct gen_gateway *gw, const struct gen_result *r, double to_plain)
{
	const struct gen_size *s = &gen_sizes[r->size];
	json_t *row = json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "mode",
		o->no_gateway ? "io" : gen_mode_name[r->mode], "size", s->name, "sas", (int)o->n_sa, "workers",
		(int)o->workers, "pps", r->pps, "inner_bytes", mean_bytes(s), "worker_cycles_per_packet",
		r->cycles_per_packet, "ratio_to_plain", to_plain, "generator_busy", r->last.busy, "sent",
		(json_int_t)r->last.sent, "received", (json_int_t)r->last.received);
	const char *name;
	const struct gen_hold *h;
	for (unsigned i = 0; (h = nth_hold(r, i, &name)) != NULL; i++)
		if (h->ran)
			json_object_set_new(row, name, hold_json(gw, h));
	return row;
}

/* What the gateway dropped meanwhile: a loss that is not in it happened in the ports. */
static void print_drops(const struct gen_gateway *gw, const struct gen_hold *h)
{
	for (unsigned i = 0; gw && i < CV_DROP_MAX; i++)
		if (h->drops[i])
			(void)printf(" %s %llu", gen_gateway_drop_name(gw, i), (unsigned long long)h->drops[i]);
	(void)printf("\n");
}

static void print_holds(const struct gen_opts *o, const struct gen_gateway *gw, const struct gen_result *r, unsigned n)
{
	const char *name;
	const struct gen_hold *h;
	if (o->latency_s <= 0 && o->hold_s <= 0)
		return;
	(void)printf("\n%-8s %-5s %-7s %8s %8s %10s %9s %9s %9s %9s %9s  %s\n", "mode", "size", "load", "Mpps",
		"seconds", "changes", "p50 us", "p99 us", "p99.99", "max", "lost", "dropped by");
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; (h = nth_hold(&r[i], k, &name)) != NULL; k++)
			if (h->ran) {
				(void)printf("%-8s %-5s %-7s %8.3f %8.1f %10u %9.1f %9.1f %9.1f %9.1f %9llu ",
					gen_mode_name[r[i].mode], gen_sizes[r[i].size].name, name,
					h->t.offered_pps / 1e6, h->t.seconds, h->done, h->p50, h->p99, h->p9999, h->max,
					(unsigned long long)lost(&h->t));
				print_drops(gw, h);
			}
}

int gen_report(const struct gen_opts *o, const struct gen_gateway *gw, const struct gen_result *r, unsigned n)
{
	json_t *rows = json_array();
	(void)printf("%-8s %-5s %6s %10s %10s %12s %12s %9s\n", "mode", "size", "SAs",
		o->rate_pps > 0 ? "Mpps" : "NDR Mpps", "Gbit/s", "cycles/pkt", "of plain", "gen busy");
	for (unsigned i = 0; i < n; i++) {
		const struct gen_size *s = &gen_sizes[r[i].size];
		double part = ratio_to_plain(r, n, &r[i]);
		(void)printf("%-8s %-5s %6u %10.3f %10.3f %12.1f %11.1f%% %8.0f%%\n",
			o->no_gateway ? "io" : gen_mode_name[r[i].mode], s->name, o->n_sa, r[i].pps / 1e6,
			r[i].pps * mean_bytes(s) * 8 / 1e9, r[i].cycles_per_packet, part * 100, r[i].last.busy * 100);
		json_array_append_new(rows, row_json(o, gw, &r[i], part));
	}
	print_holds(o, gw, r, n);
	int rc = o->json && json_dump_file(rows, o->json, JSON_INDENT(2)) ? -EIO : 0;
	if (rc)
		(void)fprintf(stderr, "culvert-gen: cannot write %s\n", o->json);
	json_decref(rows);
	return rc;
}
