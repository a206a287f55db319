/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "words.h"

#include "util.h"

#include <getopt.h>

static const struct words_command *const tables[] = {
	alert_words, reading_words, visit_words, followup_words, people_words};

const struct words_command *words_find(const char *name)
{
	for (size_t i = 0; i < ELEMENTS(tables); i++)
		for (const struct words_command *c = tables[i]; c->name; c++)
			if (streq(c->name, name))
				return c;
	return NULL;
}

/* On a terminal: a Chinese character takes two. */
static int columns(const char *text)
{
	int n = 0;
	for (const uint8_t *p = (const uint8_t *)text; *p; p++)
		n += *p < 0x80 ? 1 : *p >= 0xe0 ? 2 : 0;
	return n;
}

void words_help(const struct cli *cli, FILE *to)
{
	for (size_t i = 0; i < ELEMENTS(tables); i++)
		for (const struct words_command *c = tables[i]; c->name; c++) {
			const char *takes = cli->chinese ? c->takes_zh : c->takes_en;
			const char *does = cli->chinese ? c->does_zh : c->does_en;
			char line[400];
			snprintf(line, sizeof(line), "%s%s%s", c->name, *takes ? " " : "", takes);
			fprintf(to, "  %s%*s  %.*s\n", line, MAX(30 - columns(line), 0), "",
				(int)strcspn(does, "\n"), does);
		}
}

int words_expected(const struct words *w, const char *en, const char *zh)
{
	const struct words_command *c = w->command;
	bool chinese = w->cli->chinese;
	const char *more = chinese ? zh : en;
	const char *takes = chinese ? c->takes_zh : c->takes_en;
	if (more)
		fprintf(stderr, "vitalgate %s: %s\n", c->name, more);
	fprintf(stderr, chinese ? "用法：vitalgate %s%s%s\n" : "usage: vitalgate %s%s%s\n", c->name,
		*takes ? " " : "", takes);
	const char *lines = strchr(chinese ? c->does_zh : c->does_en, '\n');
	if (!more && lines)
		fprintf(stderr, "%s\n", lines + 1);
	return 2;
}

/* An option that nobody knows, or without what belongs to it. */
static int unknown(const struct words *w, const char *option)
{
	fprintf(stderr,
		w->cli->chinese ? "vitalgate %s：选项 %s 无法识别，或缺少内容\n"
				: "vitalgate %s: option %s is not known, or something is missing\n",
		w->command->name, option);
	return words_expected(w, NULL, NULL);
}

static int help(const struct words *w)
{
	const struct words_command *c = w->command;
	const char *takes = w->cli->chinese ? c->takes_zh : c->takes_en;
	printf(w->cli->chinese ? "用法：vitalgate %s%s%s\n  %s\n"
			       : "usage: vitalgate %s%s%s\n  %s\n",
		c->name, *takes ? " " : "", takes, w->cli->chinese ? c->does_zh : c->does_en);
	return 0;
}

/* Those of the lists of alerts. */
static unsigned take_of_alerts(struct words *w, int c)
{
	const char **texts[] = {['H'] = &w->history,
		['S'] = &w->since,
		['D'] = &w->display,
		['R'] = &w->resident,
		['n'] = &w->limit};
	bool *flags[] = {
		['O'] = &w->open, ['A'] = &w->all, ['M'] = &w->morning, ['F'] = &w->follow};
	if (c < (int)ELEMENTS(texts) && texts[c])
		*texts[c] = optarg;
	else if (c < (int)ELEMENTS(flags) && flags[c])
		*flags[c] = true;
	else
		return 0;
	return WORDS_ALERTS;
}

/* What of the options of all commands was given; 0: one that nobody knows, or its argument is missing. */
static unsigned take_option(struct words *w, int c)
{
	switch (c) {
	case 'b':
		w->cli->by = optarg;
		return WORDS_BY;
	case 'p':
		w->purpose = optarg;
		return WORDS_PURPOSE;
	case 'w':
		w->way = optarg;
		return WORDS_WAY;
	case 'k':
		w->card = true;
		return WORDS_SOURCE;
	case 'B':
		w->barcode = true;
		return WORDS_SOURCE;
	case 'i':
		w->instead = true;
		return WORDS_INSTEAD;
	case 'u':
		w->undo = true;
		return WORDS_UNDO;
	case 'f':
		w->form = optarg;
		return WORDS_FORM;
	case 'a':
		w->at = optarg;
		return WORDS_AT;
	case 'd':
		w->day = optarg;
		return WORDS_DAY;
	case 'r':
		w->reason = optarg;
		return WORDS_REASON;
	case 'x':
		w->text = true;
		return WORDS_TEXT;
	case 'v':
		w->revision = optarg;
		return WORDS_REVISION;
	default:
		return take_of_alerts(w, c);
	}
}

/* 0; 1: asks for help; 2: wrong use, which was said. */
static int take(struct words *w, int argc, char **argv)
{
	static const struct option options[] = {{"by", required_argument, NULL, 'b'},
		{"purpose", required_argument, NULL, 'p'}, {"way", required_argument, NULL, 'w'},
		{"card", no_argument, NULL, 'k'}, {"barcode", no_argument, NULL, 'B'},
		{"instead", no_argument, NULL, 'i'}, {"undo", no_argument, NULL, 'u'},
		{"form", required_argument, NULL, 'f'}, {"at", required_argument, NULL, 'a'},
		{"day", required_argument, NULL, 'd'}, {"reason", required_argument, NULL, 'r'},
		{"text", no_argument, NULL, 'x'}, {"open", no_argument, NULL, 'O'},
		{"all", no_argument, NULL, 'A'}, {"morning", no_argument, NULL, 'M'},
		{"history", required_argument, NULL, 'H'}, {"follow", no_argument, NULL, 'F'},
		{"since", required_argument, NULL, 'S'}, {"display", required_argument, NULL, 'D'},
		{"resident", required_argument, NULL, 'R'}, {"limit", required_argument, NULL, 'n'},
		{"revision", required_argument, NULL, 'v'}, {"json", no_argument, NULL, 'j'},
		{"lang", required_argument, NULL, 'l'}, {"config", required_argument, NULL, 'c'},
		{"socket", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'}, {0}};
	int c;
	optind = opterr = 0; /* GNU: anew; it speaks English only */
	while ((c = getopt_long(argc, argv, "jhc:", options, NULL)) >= 0)
		if (c == 'j')
			w->cli->json = true;
		else if (c == 'l')
			w->cli->chinese = streq(optarg, "zh");
		else if (c == 'c')
			w->cli->config = optarg;
		else if (c == 's')
			w->cli->socket = optarg;
		else if (c == 'h')
			return 1;
		else if (c == '?')
			return unknown(w, argv[optind - 1]);
		else if (!(take_option(w, c) & w->command->options))
			return words_expected(w, NULL, NULL);
	while (optind < argc && w->n < WORDS_MAX)
		w->word[w->n++] = argv[optind++];
	bool few = w->n < w->command->min, many = optind < argc || w->n > w->command->max;
	return few || many ? words_expected(w, NULL, NULL) : 0;
}

int words_main(struct cli *cli, int argc, char **argv)
{
	static struct words w;
	w = (struct words){.cli = cli, .command = words_find(argv[0])};
	int rc = take(&w, argc, argv);
	return rc == 1 ? help(&w) : rc ? rc : w.command->run(&w);
}

int words_ask(const struct words *w, const char *command, json_t *args,
	void (*show)(const struct cli *, const json_t *))
{
	const struct cli *cli = w->cli;
	if (!args) {
		fprintf(stderr, "vitalgate: %s\n",
			cli->chinese ? "文字不是UTF-8；请使用UTF-8终端"
				     : "a text is not UTF-8; use a terminal that is");
		return 1;
	}
	return words_show(w, client_ask(cli, command, args), show);
}

int words_show(
	const struct words *w, json_t *reply, void (*show)(const struct cli *, const json_t *))
{
	return client_show(w->cli, reply, show);
}

void words_put(json_t *args, const char *key, const char *text)
{
	if (text)
		json_object_set_new(args, key, json_string(text));
}

const char *words_pair(const char *word, char *key, size_t size)
{
	const char *equals = strchr(word, '=');
	if (!equals || equals == word || !text_copy(key, size, word, (size_t)(equals - word)))
		return NULL;
	return equals + 1;
}

char *words_joined(const struct words *w, int first)
{
	size_t len = 1;
	for (int i = first; i < w->n; i++)
		len += strlen(w->word[i]) + 1;
	char *text = calloc(1, len);
	for (int i = first; text && i < w->n; i++) {
		if (i > first)
			strcat(text, " ");
		strcat(text, w->word[i]);
	}
	return text;
}

char *words_line(const struct words *w, const char *en, const char *zh)
{
	char *line = NULL;
	size_t size = 0;
	if (isatty(0))
		fprintf(stderr, "%s\n", w->cli->chinese ? zh : en);
	ssize_t n = getline(&line, &size, stdin);
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = 0;
	if (n > 0)
		return line;
	free(line);
	fprintf(stderr, "vitalgate: %s\n",
		w->cli->chinese ? "未读到内容" : "nothing was read from standard input");
	return NULL;
}
