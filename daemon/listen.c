/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "listen.h"

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int spare = -1;

static bool somebody_answers(const struct sockaddr_un *a, int type)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0)
		return fd >= 0;
	/* busy, or of another type: alive all the same */
	return errno == EAGAIN || errno == EPROTOTYPE;
}

int listen_unix(const char *path, int type)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (!text_copy(a.sun_path, sizeof(a.sun_path), path, strlen(path)))
		return -ENAMETOOLONG;
	if (somebody_answers(&a, type))
		return -EADDRINUSE;
	unlink(path);
	_cleanup_(closep) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	mode_t mask = umask(0117);
	int rc = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(mask);
	if (rc < 0 || listen(fd, 16) < 0)
		return rc < 0 ? rc : -errno;
	if (spare < 0)
		spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int taken = fd;
	fd = -1;
	return taken;
}

int listen_accept(int fd)
{
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (peer >= 0)
		return peer;
	int rc = -errno;
	if (rc == -EMFILE && spare >= 0) {
		close(spare);
		peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (peer >= 0)
			close(peer);
		spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	return rc;
}

void listen_principal(int fd, char *out, unsigned size)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);
	struct passwd entry, *found = NULL;
	char space[1024];
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	getpwuid_r(peer.uid, &entry, space, sizeof(space), &found);
	if (found)
		snprintf(out, size, "local:%s", found->pw_name);
	else
		snprintf(out, size, "local:uid-%u", peer.uid);
}
