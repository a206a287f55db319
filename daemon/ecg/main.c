/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vitalgate-ecg [--samples N|all]: the original of an ECG on stdin, what it says as one JSON object on stdout
 * (a pipe, not a file). A program of its own, because originals come from anywhere: it closes itself into a
 * sandbox before it looks at the first byte.
 *
 * Ends with 0 also when the file is rejected; 1 when there was no memory, or nothing could be read or
 * written; 2 when it was called wrongly; 3 when the sandbox could not be closed. Only with 0 there is
 * something on stdout, and it is whole.
 */
#include "ecg.h"
#include "sandbox.h"

#include <errno.h>
#include <signal.h>

#define CHUNK ((size_t)65536)

DEFINE_CLEANUP(struct ecg *, ecg_free)

static void free_ecg(struct ecg **e)
{
	ecg_freep(e);
	free(*e);
}

/* From inside the sandbox: stdio asks the descriptor what it is, write() does not. */
static int fail(const char *sentence)
{
	ssize_t n = write(STDERR_FILENO, sentence, strlen(sentence));
	(void)n;
	return 1;
}

/*
 * All of stdin, `size` bytes of it kept. What is too long is read to its end as well, so that whoever sends it
 * can finish and hear the answer. The length, or -1.
 */
static int64_t read_all(uint8_t *bytes, size_t size)
{
	uint8_t rest[4096];
	int64_t len = 0;
	for (;;) {
		bool kept = len < (int64_t)size;
		ssize_t n = kept ? read(STDIN_FILENO, bytes + len, MIN(size - (size_t)len, CHUNK))
				 : read(STDIN_FILENO, rest, sizeof(rest));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -1 : len;
		len += n;
	}
}

static bool write_all(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static int answer(const struct ecg *e, uint32_t samples)
{
	_cleanup_(json_free) struct json j = {0};
	ecg_json(e, samples, &j);
	const char *text = e->failed ? NULL : json_text(&j);
	if (!text)
		return fail("vitalgate-ecg: out of memory\n");
	if (!write_all(text, j.len) || !write_all("\n", 1))
		return fail("vitalgate-ecg: stdout cannot be written: it has to be a pipe\n");
	return 0;
}

static int work(uint32_t samples)
{
	_cleanup_(freep) uint8_t *bytes = malloc(ECG_BYTES_MAX);
	_cleanup_(free_ecg) struct ecg *e = calloc(1, sizeof(*e));
	if (!bytes || !e)
		return fail("vitalgate-ecg: out of memory\n");
	ecg_init(e);
	int64_t len = read_all(bytes, ECG_BYTES_MAX);
	if (len < 0)
		return fail("vitalgate-ecg: stdin cannot be read\n");
	e->bytes = (size_t)len;
	if (len > ECG_BYTES_MAX)
		ecg_reject(e, "too_long", NULL);
	else
		ecg_read(e, bytes, (size_t)len);
	return answer(e, samples);
}

static bool options(int argc, char **argv, uint32_t *ret_samples)
{
	*ret_samples = 0;
	if (argc == 1)
		return true;
	if (argc != 3 || !streq(argv[1], "--samples"))
		return false;
	if (streq(argv[2], "all")) {
		*ret_samples = UINT32_MAX;
		return true;
	}
	char *end;
	errno = 0;
	unsigned long n = strtoul(argv[2], &end, 10);
	if (errno || *end || argv[2][0] < '0' || argv[2][0] > '9' || n > UINT32_MAX)
		return false;
	*ret_samples = (uint32_t)n;
	return true;
}

int main(int argc, char **argv)
{
	const char *what = NULL;
	uint32_t samples;
	if (!options(argc, argv, &samples)) {
		fputs("usage: vitalgate-ecg [--samples N|all] <original | ...\n", stderr);
		return 2;
	}
	signal(SIGXFSZ, SIG_IGN); /* a file as stdout is an error that can be named */
	ecg_text_init();
	int rc = sandbox_close(&what);
	if (rc < 0) {
		fprintf(stderr, "vitalgate-ecg: the sandbox cannot be closed: %s: %s\n", what,
			strerror(-rc));
		return 3;
	}
	return work(samples);
}
