/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tty.h"

#include "log.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

static const struct {
	uint32_t baud;
	speed_t speed;
} tty_speeds[] = {{1200, B1200}, {2400, B2400}, {4800, B4800}, {9600, B9600}, {19200, B19200},
	{38400, B38400}, {57600, B57600}, {115200, B115200}, {230400, B230400}};

static speed_t speed_of(uint32_t baud)
{
	for (size_t i = 0; i < ELEMENTS(tty_speeds); i++)
		if (tty_speeds[i].baud == baud)
			return tty_speeds[i].speed;
	return B0;
}

bool tty_speed_known(uint32_t baud)
{
	return speed_of(baud) != B0;
}

/* 0, or 1 when only the speed took. */
static int set_format(const struct config_device *d, int fd)
{
	const speed_t speed = speed_of(d->baud);
	struct termios want, got;
	if (tcgetattr(fd, &want) < 0)
		return -errno;
	/* Not cfmakeraw(): it leaves IXOFF. INPCK makes a byte of bad parity read as 0. */
	want.c_iflag = d->parity == 'N' ? 0 : INPCK;
	want.c_oflag = 0;
	want.c_lflag = 0;
	want.c_cflag &= ~(tcflag_t)(CSIZE | CSTOPB | PARENB | PARODD | CRTSCTS | HUPCL);
	want.c_cflag |= CLOCAL | CREAD | (d->data_bits == 7 ? CS7 : CS8);
	want.c_cflag |= d->stop_bits == 2 ? CSTOPB : 0;
	want.c_cflag |= d->parity == 'N' ? 0 : d->parity == 'O' ? PARENB | PARODD : PARENB;
	want.c_cc[VMIN] = 0;
	want.c_cc[VTIME] = 0;
	cfsetispeed(&want, speed);
	cfsetospeed(&want, speed);
	/* tcsetattr() succeeds when any of it took. */
	if (tcsetattr(fd, TCSANOW, &want) < 0 || tcgetattr(fd, &got) < 0)
		return -errno;
	if (cfgetospeed(&got) != speed || cfgetispeed(&got) != speed)
		return -ERANGE;
	return ((got.c_cflag ^ want.c_cflag) & (CSIZE | PARENB | PARODD | CSTOPB)) != 0;
}

/* Many interface cables are powered from these two lines. Pseudo-terminals have none. */
static void set_lines(const struct config_device *d, int fd)
{
	int on = (d->dtr ? TIOCM_DTR : 0) | (d->rts ? TIOCM_RTS : 0);
	int off = (TIOCM_DTR | TIOCM_RTS) & ~on;
	int r = on ? ioctl(fd, TIOCMBIS, &on) : 0;
	if (off && r >= 0)
		r = ioctl(fd, TIOCMBIC, &off);
	if (r < 0 && errno != ENOTTY && errno != EINVAL)
		log_warn(d->id, "DTR/RTS: %s", strerror(errno));
}

int tty_open(const struct config_device *d, dev_t *ret_rdev, int *ret_fd)
{
	_cleanup_(closep) int fd = open(d->address, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode) || !isatty(fd))
		return -ENOTTY;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (ioctl(fd, TIOCEXCL) < 0)
		return -errno;
	int r = set_format(d, fd);
	if (r < 0)
		return r;
	set_lines(d, fd);
	if (tcflush(fd, TCIFLUSH) < 0)
		return -errno;
	*ret_rdev = st.st_rdev;
	*ret_fd = fd;
	fd = -1;
	return r;
}

void tty_close(int fd, bool all_sent)
{
	tcflush(fd, all_sent ? TCIFLUSH : TCIOFLUSH);
	ioctl(fd, TIOCNXCL);
	close(fd);
}
