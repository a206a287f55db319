/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Labels at rest: what is sealed says nothing without its key, the key is made once and is ours alone. */
#include "gateway_rig.h"

#include "label.h"

#include <dirent.h>
#include <fcntl.h>

static char directory[64], key[LABEL_PATH_MAX];

static int setup(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/vitalgate-label-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(key, sizeof(key), "%s/label.key", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nftw(directory, rig_remove, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void seal(int64_t resident, const char *text, uint8_t out[static LABEL_SEALED])
{
	assert_int_equal(label_seal(key, resident, text, out), 0);
}

static void put_file(const char *path, const void *bytes, size_t len, mode_t mode)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static size_t get_file(const char *path, uint8_t *out, size_t size)
{
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	ssize_t n = read(fd, out, size);
	assert_true(n >= 0);
	close(fd);
	return (size_t)n;
}

static void test_there_and_back(void **state)
{
	(void)state;
	static const char *const labels[] = {"A", "大张", "小张 (东头)",
		"0123456789012345678901234567890123456789012345678901234567890123"};
	uint8_t sealed[LABEL_SEALED], again[LABEL_SEALED];
	char text[LABEL_MAX + 1];
	for (size_t i = 0; i < ELEMENTS(labels); i++) {
		seal((int64_t)i + 1, labels[i], sealed);
		assert_int_equal(label_open(key, (int64_t)i + 1, sealed, sizeof(sealed), text), 0);
		assert_string_equal(text, labels[i]);
		/* nothing of it is to be seen, and the same label looks another way each time */
		if (strlen(labels[i]) > 3)
			assert_null(memmem(sealed, sizeof(sealed), labels[i], strlen(labels[i])));
		seal((int64_t)i + 1, labels[i], again);
		assert_memory_not_equal(sealed, again, 24);
		assert_memory_not_equal(sealed + 24, again + 24, LABEL_SEALED - 24);
	}
}

static void test_key_is_made_once(void **state)
{
	(void)state;
	uint8_t sealed[LABEL_SEALED] = {0}, before[64], after[64];
	char text[LABEL_MAX + 1], fresh[LABEL_PATH_MAX + 8];
	struct stat st;
	/* looking makes none */
	assert_int_equal(label_open(key, 1, sealed, sizeof(sealed), text), -ENOKEY);
	assert_int_equal(access(key, F_OK), -1);
	/* what a crash left of another is no key */
	snprintf(fresh, sizeof(fresh), "%s.new", key);
	put_file(fresh, "half", 4, 0600);
	mode_t mask = umask(0);
	seal(1, "A", sealed);
	umask(mask);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 32);
	assert_int_equal(access(fresh, F_OK), -1);
	assert_int_equal(get_file(key, before, sizeof(before)), 32);
	seal(2, "B", sealed);
	assert_int_equal(get_file(key, after, sizeof(after)), 32);
	assert_memory_equal(before, after, 32);
	assert_int_equal(label_open(key, 2, sealed, sizeof(sealed), text), 0);
}

/* Another key, another resident, another byte: nothing is read, and nothing is written into what the caller has. */
static void test_not_ours(void **state)
{
	(void)state;
	uint8_t sealed[LABEL_SEALED], was[64];
	char text[LABEL_MAX + 1] = "untouched";
	seal(1, "大张", sealed);
	assert_int_equal(label_open(key, 2, sealed, sizeof(sealed), text), -EBADMSG);
	assert_int_equal(label_open(key, 1, sealed, sizeof(sealed) - 1, text), -EBADMSG);
	assert_int_equal(label_open(key, 1, sealed, 0, text), -EBADMSG);
	for (size_t i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 1;
		assert_int_equal(label_open(key, 1, sealed, sizeof(sealed), text), -EBADMSG);
		sealed[i] ^= 1;
	}
	get_file(key, was, sizeof(was));
	unlink(key);
	assert_int_equal(label_open(key, 1, sealed, sizeof(sealed), text), -ENOKEY);
	seal(2, "B", (uint8_t[LABEL_SEALED]){0}); /* a new key */
	assert_int_equal(label_open(key, 1, sealed, sizeof(sealed), text), -EBADMSG);
	assert_string_equal(text, "untouched");
	put_file(key, was, 32, 0600); /* found again */
	assert_int_equal(label_open(key, 1, sealed, sizeof(sealed), text), 0);
	assert_string_equal(text, "大张");
}

static void test_texts_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "a\nb", "a\tb", "\x1b[2J", "\xff", "\xe5\xbc",
		"a\x7f", "a\xc2\x85",
		"01234567890123456789012345678901234567890123456789012345678901234"};
	uint8_t sealed[LABEL_SEALED];
	for (size_t i = 0; i < ELEMENTS(bad); i++)
		assert_int_equal(label_seal(key, 1, bad[i], sealed), -EINVAL);
	assert_int_equal(access(key, F_OK), -1);
}

/* A key that others can read, or that is none, is said, and never replaced. */
static void test_bad_keys(void **state)
{
	(void)state;
	uint8_t bytes[40] = {7}, sealed[LABEL_SEALED] = {0}, after[64];
	char text[LABEL_MAX + 1], elsewhere[LABEL_PATH_MAX + 8];
	static const struct {
		size_t len;
		mode_t mode;
	} bad[] = {{32, 0640}, {32, 0604}, {31, 0600}, {33, 0600}, {0, 0600}};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		put_file(key, bytes, bad[i].len, bad[i].mode);
		assert_int_equal(label_seal(key, 1, "A", sealed), -EPERM);
		assert_int_equal(label_open(key, 1, sealed, sizeof(sealed), text), -EPERM);
		assert_int_equal(get_file(key, after, sizeof(after)), bad[i].len);
	}
	snprintf(elsewhere, sizeof(elsewhere), "%s.real", key);
	put_file(elsewhere, bytes, 32, 0600);
	unlink(key);
	assert_int_equal(symlink(elsewhere, key), 0);
	assert_int_equal(label_seal(key, 1, "A", sealed), -ELOOP);
	unlink(key);
	assert_int_equal(mkdir(key, 0700), 0);
	assert_int_equal(label_seal(key, 1, "A", sealed), -EPERM);
	rmdir(key);
	assert_int_equal(label_seal("/nowhere/label.key", 1, "A", sealed), -ENOENT);
}

static void test_where(void **state)
{
	(void)state;
	static struct config c;
	char path[LABEL_PATH_MAX];
	snprintf(c.store, sizeof(c.store), "/var/lib/x");
	label_key_path(&c, path);
	assert_string_equal(path, "/var/lib/x/label.key");
	snprintf(c.label_key, sizeof(c.label_key), "/etc/keys/l");
	label_key_path(&c, path);
	assert_string_equal(path, "/etc/keys/l");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_there_and_back),
		T(test_key_is_made_once),
		T(test_not_ours),
		T(test_texts_refused),
		T(test_bad_keys),
		T(test_where),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
