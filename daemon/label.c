/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "label.h"

#include "config.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>

#define KEY crypto_secretbox_KEYBYTES
#define NONCE crypto_secretbox_NONCEBYTES
#define MAC crypto_secretbox_MACBYTES
#define PLAIN (8 + LABEL_MAX) /* whose it is: a sealed label in another row is nobody's */

_Static_assert(LABEL_SEALED == NONCE + MAC + PLAIN, "label: size of what is stored");

void label_key_path(const struct config *c, char out[static LABEL_PATH_MAX])
{
	if (c->label_key[0])
		snprintf(out, LABEL_PATH_MAX, "%s", c->label_key);
	else
		snprintf(out, LABEL_PATH_MAX, "%s/label.key", c->store);
}

/* the key */

static int read_key(const char *path, uint8_t key[static KEY])
{
	uint8_t more;
	struct stat st;
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT ? -ENOKEY : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077))
		return -EPERM;
	return read(fd, key, KEY) == KEY && read(fd, &more, 1) == 0 ? 0 : -EPERM;
}

/* The directory, so that the name survives a power cut, too. */
static int sync_directory(const char *path)
{
	char directory[LABEL_PATH_MAX];
	const char *slash = strrchr(path, '/');
	text_copy(directory, sizeof(directory), path, slash > path ? (size_t)(slash - path) : 1);
	_cleanup_(closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Whole and on disk before it has its name: half a key would be one that no label can be read with again. */
static int make_key(const char *path, uint8_t key[static KEY])
{
	char fresh[LABEL_PATH_MAX + 8];
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	unlink(fresh);
	_cleanup_(closep) int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	randombytes_buf(key, KEY);
	bool good = fchmod(fd, 0600) == 0 && write(fd, key, KEY) == KEY && fsync(fd) == 0 &&
		    link(fresh, path) == 0; /* never over one that is there */
	int rc = good ? 0 : errno ? -errno : -EIO;
	unlink(fresh);
	return good ? sync_directory(path) : rc;
}

/* labels */

/* Text for a line on a screen: UTF-8 without what moves a cursor. */
static bool printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = utf8_length(text + i, len - i);
		uint8_t c = (uint8_t)text[i];
		if (!n || c < ' ' || c == 0x7f || (c == 0xc2 && (uint8_t)text[i + 1] < 0xa0))
			return false;
		i += n;
	}
	return true;
}

static void put_resident(uint8_t out[static 8], int64_t resident)
{
	for (unsigned i = 0; i < 8; i++)
		out[i] = (uint8_t)((uint64_t)resident >> 8 * i);
}

int label_seal(
	const char *key_path, int64_t resident, const char *text, uint8_t out[static LABEL_SEALED])
{
	uint8_t key[KEY], plain[PLAIN] = {0};
	size_t len = strlen(text);
	if (!len || len > LABEL_MAX || !printable(text, len))
		return -EINVAL;
	if (sodium_init() < 0)
		return -EIO;
	int rc = read_key(key_path, key);
	if (rc == -ENOKEY)
		rc = make_key(key_path, key);
	if (rc < 0)
		return rc;
	put_resident(plain, resident);
	memcpy(plain + 8, text, len);
	randombytes_buf(out, NONCE);
	rc = crypto_secretbox_easy(out + NONCE, plain, sizeof(plain), out, key) ? -EIO : 0;
	sodium_memzero(key, sizeof(key));
	sodium_memzero(plain, sizeof(plain));
	return rc;
}

int label_open(const char *key_path, int64_t resident, const void *sealed, size_t len,
	char out[static LABEL_MAX + 1])
{
	uint8_t key[KEY], plain[PLAIN], whose[8];
	const uint8_t *box = sealed;
	if (sodium_init() < 0)
		return -EIO;
	int rc = read_key(key_path, key);
	if (rc < 0)
		return rc;
	put_resident(whose, resident);
	rc = len != LABEL_SEALED ||
			     crypto_secretbox_open_easy(
				     plain, box + NONCE, MAC + PLAIN, box, key) ||
			     memcmp(plain, whose, sizeof(whose)) != 0
		     ? -EBADMSG
		     : 0;
	if (rc >= 0)
		text_copy(out, LABEL_MAX + 1, (const char *)plain + 8, LABEL_MAX);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(plain, sizeof(plain));
	return rc;
}
