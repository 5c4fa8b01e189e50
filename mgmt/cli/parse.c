/* SPDX-License-Identifier: BSD-3-Clause */
/* Words to commands: abbreviation, arguments, completion. */
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "commands.h"
#include "cv_secret.h"

#define WORDS_MAX 4u

/* The i-th word of a command and its length; NULL when it has fewer. */
static const char *word_at(const struct cli_command *c, unsigned i, size_t *len)
{
	const char *p = c->words;

	for (;; i--) {
		*len = strcspn(p, " ");
		if (i == 0)
			return p;
		if (!p[*len])
			return NULL;
		p += *len + 1;
	}
}

struct match {
	unsigned level; /* words matched so far */
	const struct cli_command *cand[256];
	unsigned n;
};

static bool fits(const char *word, size_t len, const char *token)
{
	return strlen(token) <= len && strncmp(word, token, strlen(token)) == 0;
}

static bool same(const char *word, size_t len, const char *token)
{
	return strlen(token) == len && strncmp(word, token, len) == 0;
}

/* Which word token stands for at this level: the exact one, or the only one it abbreviates. ambiguous: more than one.
 */
static const char *choose(const struct match *m, const char *token, size_t *len, bool *ambiguous)
{
	const char *found = NULL;
	size_t found_len = 0;

	*ambiguous = false;
	for (unsigned i = 0; i < m->n; i++) {
		size_t l;
		const char *w = word_at(m->cand[i], m->level, &l);
		if (!w || !*token || !fits(w, l, token))
			continue;
		if (same(w, l, token)) {
			*ambiguous = false;
			*len = l;
			return w;
		}
		if (found && !(l == found_len && strncmp(w, found, l) == 0))
			*ambiguous = true;
		found = w;
		found_len = l;
	}
	*len = found_len;
	return found;
}

static void narrow(struct match *m, const char *word, size_t len)
{
	unsigned n = 0;
	char copy[64];

	memcpy(copy, word, len);
	copy[len] = 0;
	for (unsigned i = 0; i < m->n; i++) {
		size_t l;
		const char *w = word_at(m->cand[i], m->level, &l);
		if (w && same(w, l, copy))
			m->cand[n++] = m->cand[i];
	}
	m->n = n;
	m->level++;
}

static const struct cli_command *complete_command(const struct match *m)
{
	size_t len;

	for (unsigned i = 0; i < m->n; i++)
		if (!word_at(m->cand[i], m->level, &len))
			return m->cand[i];
	return NULL;
}

static void all_commands(struct match *m)
{
	m->level = m->n = 0;
	for (unsigned i = 0; i < cli_n_commands && m->n < sizeof(m->cand) / sizeof(m->cand[0]); i++)
		m->cand[m->n++] = &cli_commands[i];
}

struct text {
	char *buf;
	size_t len;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(t->buf + t->len, CLI_ERR_MAX - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len = t->len + (size_t)n < CLI_ERR_MAX ? t->len + (size_t)n : CLI_ERR_MAX - 1;
}

/* The words at this level that start with token, each once. */
static void list_words(struct text *t, const struct match *m, const char *token)
{
	const char *seen[64];
	size_t seen_len[64];
	unsigned n = 0;

	for (unsigned i = 0; i < m->n; i++) {
		size_t l;
		const char *w = word_at(m->cand[i], m->level, &l);
		bool known = !w || !fits(w, l, token) || m->cand[i]->hidden;
		for (unsigned k = 0; k < n && !known; k++)
			known = seen_len[k] == l && strncmp(seen[k], w, l) == 0;
		if (known)
			continue;
		add(t, "%s%.*s", n ? ", " : "", (int)l, w);
		seen[n] = w;
		seen_len[n++] = l;
	}
}

/* Find the command; *used words of token belong to it. */
static const struct cli_command *find_command(const char *const *token, unsigned n, unsigned *used, struct text *err)
{
	struct match m;

	all_commands(&m);
	for (*used = 0; *used < n; (*used)++) {
		size_t len;
		bool ambiguous;
		const char *w = choose(&m, token[*used], &len, &ambiguous);
		const struct cli_command *done = complete_command(&m);
		if (!w && done)
			return done;
		if (!w || ambiguous) {
			add(err, "%s \"%s\"; valid: ", w ? "ambiguous" : "unknown word", token[*used]);
			list_words(err, &m, w ? token[*used] : "");
			return NULL;
		}
		narrow(&m, w, len);
	}
	const struct cli_command *done = complete_command(&m);
	if (!done) {
		add(err, "incomplete; next: ");
		list_words(err, &m, "");
	}
	return done;
}

/* ---- arguments ---- */

static const struct cli_arg no_args[] = {{0}};

static bool is_last(const struct cli_arg *a)
{
	return !a->word && !a->what;
}

static const char *key_of(const struct cli_arg *a)
{
	return a->key ? a->key : a->word;
}

/* The keyword argument token stands for, exact or abbreviated; ambiguous as in choose(). */
static const struct cli_arg *find_keyword(const struct cli_command *c, const char *token, bool *ambiguous)
{
	const struct cli_arg *found = NULL;

	*ambiguous = false;
	for (const struct cli_arg *a = c->args ? c->args : no_args; !is_last(a); a++) {
		if (!a->word || !*token || strncmp(a->word, token, strlen(token)) != 0)
			continue;
		if (strcmp(a->word, token) == 0) {
			*ambiguous = false;
			return a;
		}
		*ambiguous = found != NULL;
		found = a;
	}
	return found;
}

static const struct cli_arg *next_positional(const struct cli_command *c, const json_t *request)
{
	for (const struct cli_arg *a = c->args ? c->args : no_args; !is_last(a); a++)
		if (!a->word && !json_object_get(request, key_of(a)))
			return a;
	return NULL;
}

static bool is_number(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && n < 20 && !s[n];
}

static bool take_value(json_t *request, const struct cli_arg *a, const char *value, struct text *err)
{
	if ((a->type == CLI_NUMBER || a->type == CLI_OPT_NUMBER) && !is_number(value)) {
		add(err, "\"%s\" is not valid for %s; valid: a number", value, a->word ? a->word : a->what);
		return false;
	}
	json_t *text = json_string(value);
	if (!text) {
		add(err, "%s is not UTF-8", a->word ? a->word : a->what);
		return false;
	}
	json_object_set_new(request, key_of(a), text);
	return true;
}

static bool take_rest(
	json_t *request, const struct cli_arg *a, const char *const *token, unsigned n, unsigned *i, struct text *err)
{
	char text[512];
	size_t len = 0;

	for (; *i < n; (*i)++) {
		int more = snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", token[*i]);
		if (more < 0 || (len += (size_t)more) >= sizeof(text)) {
			add(err, "%s is too long", a->what);
			return false;
		}
	}
	bool ok = take_value(request, a, text, err);
	cv_secret_zero(text, sizeof(text));
	return ok;
}

/* A positional argument comes before the abbreviation of a keyword, but not before the keyword itself. */
static const struct cli_arg *keyword_or_positional(
	const struct cli_command *c, const json_t *request, const char *token, bool *ambiguous)
{
	const struct cli_arg *kw = find_keyword(c, token, ambiguous), *pos = next_positional(c, request);

	if (kw && !*ambiguous && (!pos || strcmp(kw->word, token) == 0))
		return kw;
	return pos ? pos : kw;
}

/* One argument at token[*i]; advances. */
static bool take_arg(const struct cli_command *c, json_t *request, const char *const *token, unsigned n, unsigned *i,
	struct text *err)
{
	bool ambiguous;
	const struct cli_arg *a = keyword_or_positional(c, request, token[*i], &ambiguous);

	if (!a || (a->word && ambiguous)) {
		add(err, "%s \"%s\" after \"%s\"", a ? "ambiguous" : "unexpected", token[*i], c->words);
		return false;
	}
	if (!a->word && a->type == CLI_REST)
		return take_rest(request, a, token, n, i, err);
	if (!a->word)
		return take_value(request, a, token[(*i)++], err);
	(*i)++;
	if (a->type == CLI_FLAG) {
		json_object_set_new(request, key_of(a), json_true());
		return true;
	}
	if (a->type == CLI_OPT_NUMBER && (*i >= n || !is_number(token[*i])))
		return take_value(request, a, a->dflt, err);
	if (*i >= n) {
		add(err, "%s needs a value: %s", a->word, a->what);
		return false;
	}
	return take_value(request, a, token[(*i)++], err);
}

static bool check_required(const struct cli_command *c, const json_t *request, struct text *err)
{
	for (const struct cli_arg *a = c->args ? c->args : no_args; !is_last(a); a++)
		if (a->required && !json_object_get(request, key_of(a))) {
			add(err, "\"%s\" needs %s%s%s: %s", c->words, a->word ? a->word : "", a->word ? " " : "",
				a->what, a->help);
			return false;
		}
	return true;
}

const struct cli_command *cli_parse(
	const char *const *token, unsigned n, json_t **request, char err[static CLI_ERR_MAX])
{
	struct text t = {.buf = err};
	unsigned i;

	err[0] = 0;
	*request = NULL;
	const struct cli_command *c = find_command(token, n, &i, &t);
	if (!c)
		return NULL;
	*request = json_object();
	bool ok = true;
	while (ok && i < n)
		ok = take_arg(c, *request, token, n, &i, &t);
	if (ok)
		ok = check_required(c, *request, &t);
	if (!ok) {
		json_decref(*request);
		*request = NULL;
		return NULL;
	}
	if (c->verb)
		json_object_set_new(*request, c->verb, json_string(c->name));
	if (c->flag)
		json_object_set_new(*request, c->flag, json_true());
	return c;
}

/* ---- completion ---- */

/* Help for the group that the first words of a command, up to end, make. */
static const char *group_help(const char *words, const char *end)
{
	for (unsigned i = 0; i < cli_n_groups; i++)
		if (same(words, (size_t)(end - words), cli_groups[i].words))
			return cli_groups[i].help;
	return "";
}

static unsigned follow_words(const struct match *m, struct cli_next *out, unsigned max)
{
	static char names[64][32]; /* words are slices of the table: completion wants strings; one shell, one thread */
	unsigned n = 0;

	for (unsigned i = 0; i < m->n && n < max && n < 64; i++) {
		size_t l, more;
		const char *w = word_at(m->cand[i], m->level, &l);
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the first n candidates are set */
		bool known = !w || m->cand[i]->hidden;
		for (unsigned k = 0; k < n && !known; k++)
			known = same(w, l, out[k].word);
		if (known)
			continue;
		snprintf(names[n], sizeof(names[n]), "%.*s", (int)l, w);
		bool leaf = !word_at(m->cand[i], m->level + 1, &more);
		out[n] = (struct cli_next){
			.word = names[n], .help = leaf ? m->cand[i]->help : group_help(m->cand[i]->words, w + l)};
		n++;
	}
	return n;
}

static unsigned follow_args(const struct cli_command *c, const char *const *token, unsigned n, unsigned i,
	struct cli_next *out, unsigned max)
{
	char err[CLI_ERR_MAX];
	struct text t = {.buf = err};
	json_t *request = json_object();
	unsigned count = 0;
	bool ambiguous, ok = true;

	while (ok && i < n) {
		const struct cli_arg *a = keyword_or_positional(c, request, token[i], &ambiguous);
		if (a && a->word && a->type != CLI_FLAG && !ambiguous && i + 1 == n) {
			out[count++] = (struct cli_next){a->what, a->help, true, a->type, a->type == CLI_OPT_NUMBER};
			break;
		}
		ok = take_arg(c, request, token, n, &i, &t);
	}
	const struct cli_arg *pos = ok && i >= n ? next_positional(c, request) : NULL;
	if (pos && count < max)
		out[count++] = (struct cli_next){pos->what, pos->help, true, pos->type, !pos->required};
	if (ok && i >= n)
		for (const struct cli_arg *a = c->args ? c->args : no_args; !is_last(a) && count < max; a++)
			if (a->word && !json_object_get(request, key_of(a)))
				out[count++] = (struct cli_next){.word = a->word, .help = a->help};
	if (ok && i >= n && count < max && check_required(c, request, &t))
		out[count++] = (struct cli_next){.word = "<cr>", .help = c->help, .value = true, .end = true};
	json_decref(request);
	return count;
}

unsigned cli_follow(const char *const *token, unsigned n, struct cli_next *out, unsigned max)
{
	struct match m;

	all_commands(&m);
	for (unsigned i = 0; i < n; i++) {
		size_t len;
		bool ambiguous;
		const char *w = choose(&m, token[i], &len, &ambiguous);
		const struct cli_command *done = complete_command(&m);
		if (!w && done)
			return follow_args(done, token, n, i, out, max);
		if (!w || ambiguous)
			return 0;
		narrow(&m, w, len);
	}
	const struct cli_command *done = complete_command(&m);
	return done ? follow_args(done, token, n, n, out, max) : follow_words(&m, out, max);
}

int cli_split(char *line, const char **token)
{
	char *in = line, *out = line;
	int n = 0;

	for (;;) {
		while (isspace((unsigned char)*in))
			in++;
		if (!*in || *in == '#')
			return n;
		if (n == (int)CLI_TOKENS_MAX)
			return -1;
		token[n++] = out;
		char quote = 0;
		while (*in && (quote || !isspace((unsigned char)*in))) {
			if (quote && *in == quote) {
				quote = 0;
				in++;
			} else if (!quote && (*in == '"' || *in == '\'')) {
				quote = *in++;
			} else if (quote != '\'' && *in == '\\' && in[1]) {
				*out++ = in[1];
				in += 2;
			} else {
				*out++ = *in++;
			}
		}
		if (quote)
			return -1;
		bool last = !*in;
		in += !last;
		*out++ = 0; /* never overtakes in: a separator or the end was there */
		if (last)
			return n;
	}
}
