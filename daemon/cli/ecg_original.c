/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The original of an ECG: out of a file, or from the daemon in pieces of base64. */
#include "ecg_parts.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <sha2.h>

void original_free(struct original *o)
{
	free(o->bytes);
	o->bytes = NULL;
}

static int complain(const struct cli *cli, const char *what, const char *en, const char *zh)
{
	fprintf(stderr, "vitalgate: %s: %s\n", what, cli->chinese ? zh : en);
	return -EINVAL;
}

static void sign(struct original *o)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX context;
	SHA256Init(&context);
	SHA256Update(&context, o->bytes, o->len);
	SHA256Final(digest, &context);
	hex(o->sha256, digest, sizeof(digest));
}

int original_read(const struct cli *cli, const char *path, struct original *ret)
{
	_cleanup_(closep) int fd =
		streq(path, "-") ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct original o = {.bytes = fd >= 0 ? malloc(ORIGINAL_MAX + 1) : NULL};
	ssize_t n = o.bytes ? 1 : -1;
	while (n > 0 && o.len <= ORIGINAL_MAX) {
		n = read(fd, o.bytes + o.len, ORIGINAL_MAX + 1 - o.len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			o.len += (size_t)n;
	}
	if (n < 0) {
		int rc = complain(cli, path, strerror(errno), strerror(errno));
		original_free(&o);
		return rc;
	}
	if (o.len > ORIGINAL_MAX) {
		original_free(&o);
		return complain(cli, path,
			"is longer than 4 MiB: no ECG of a cart is; name another file",
			"超过 4 MiB，不是心电图机的文件；请换一个文件");
	}
	sign(&o);
	*ret = o;
	return 0;
}

static int sextet(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'	      ? 62
	       : c == '/'	      ? 63
				      : -1;
}

/* RFC 4648 with padding and nothing else; `out` holds len / 4 * 3 bytes. Bytes, or -EINVAL. */
static ssize_t from_base64(const char *text, size_t len, uint8_t *out)
{
	size_t n = 0;
	if (len % 4)
		return -EINVAL;
	for (size_t i = 0; i < len; i += 4) {
		unsigned pad = i + 4 < len ? 0
					   : (text[i + 3] == '=') +
						     (text[i + 3] == '=' && text[i + 2] == '=');
		uint32_t bits = 0;
		for (unsigned k = 0; k < 4; k++) {
			int v = k < 4 - pad ? sextet(text[i + k]) : 0;
			if (v < 0)
				return -EINVAL;
			bits = bits << 6 | (uint32_t)v;
		}
		if (bits & ((1u << (8 * pad)) - 1)) /* bits that no byte has */
			return -EINVAL;
		for (unsigned k = 0; k < 3 - pad; k++)
			out[n++] = (uint8_t)(bits >> (16 - 8 * k));
	}
	return (ssize_t)n;
}

/* One piece behind what is there. 1: there is more; 0: that was all; -EINVAL: the reply is no piece of it. */
static int take_piece(const json_t *result, struct original *o)
{
	const json_t *data = json_object_get(result, "data");
	json_int_t total = json_integer_value(json_object_get(result, "bytes")),
		   next = json_integer_value(json_object_get(result, "next"));
	size_t len = json_string_length(data);
	if (!json_is_string(data) || total < 0 || total > ORIGINAL_MAX ||
		len / 4 * 3 > (size_t)ORIGINAL_MAX + 2 - o->len)
		return -EINVAL;
	ssize_t n = from_base64(json_string_value(data), len, o->bytes + o->len);
	if (n < 0 || next != (json_int_t)o->len + n || next > total || (n == 0 && next < total))
		return -EINVAL;
	o->len += (size_t)n;
	return next < total;
}

int original_fetch(
	const struct cli *cli, const char *study, const char *sha256, struct original *ret)
{
	struct original o = {.bytes = malloc(ORIGINAL_MAX + 4)};
	int rc = o.bytes ? 1 : -ENOMEM;
	bool asked = true;
	while (rc > 0) {
		json_t *reply = client_ask(cli, "ecg_original",
			json_pack("{s:s,s:I}", "study", study, "from", (json_int_t)o.len));
		json_t *result = client_result(cli, reply);
		asked = result;
		rc = result ? take_piece(result, &o) : -EIO;
		json_decref(reply);
	}
	if (rc == 0) {
		sign(&o);
		if (sha256 && !streq(sha256, o.sha256))
			rc = -EINVAL;
	}
	if (rc == 0) {
		*ret = o;
		return 0;
	}
	original_free(&o);
	if (asked) /* else it was said */
		complain(cli, study, "the original did not come whole; ask again",
			"原始文件未能完整取回，请重试");
	return rc;
}
