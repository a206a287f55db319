/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stands in for vitalgate-ecg: does what the file says. A file that has none of the words below is
 * "decoded" to a study without leads. SLEEP takes half a minute over any file.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char file[4 << 20];
static size_t length;

static int says(const char *word)
{
	return memmem(file, length, word, strlen(word)) != NULL;
}

static void eat(void)
{
	/* Whoever lets it have a gigabyte has no limit. */
	for (int i = 0; i < 1024; i++) {
		char *piece = malloc(1 << 20);

		if (!piece)
			abort();
		memset(piece, i, 1 << 20);
	}
}

int main(void)
{
	static const char rubbish[] = "\x00\xff{\"format\":\n[[[[\"\xc3\x28";

	length = fread(file, 1, sizeof(file), stdin);
#ifdef SLEEP
	sleep(30);
#endif
	if (says("FATE-CRASH"))
		raise(SIGSEGV);
	if (says("FATE-HANG"))
		for (;;)
			pause();
	if (says("FATE-SPIN"))
		for (volatile int i = 0;; i++)
			;
	if (says("FATE-MEMORY"))
		eat();
	if (says("FATE-RUBBISH")) {
		fwrite(rubbish, 1, sizeof(rubbish), stdout);
		return 0;
	}
	if (says("FATE-FLOOD"))
		for (;;)
			puts("{\"format\":\"scp\",\"bytes\":1,");
	if (says("FATE-SHAPE")) {
		puts("{\"format\":7,\"bytes\":\"many\",\"patient\":[],\"leads\":{},\"warnings\":1}");
		return 0;
	}
	if (says("FATE-NOTHING"))
		return 0;
	if (says("FATE-FAIL")) {
		puts("{\"format\":\"unknown\",\"bytes\":1,\"patient\":{},\"warnings\":[]}");
		return 3;
	}
	printf("{\"format\":\"scp\",\"bytes\":%zu,\"patient\":{\"id\":\"R-0001\"},"
	       "\"acquired_at\":null,\"tz_source\":\"none\",\"device\":{},\"filters\":{},"
	       "\"leads\":[],\"measurements\":{\"hr\":61},\"warnings\":[\"bad_date\"]}\n",
		length);
	return 0;
}
