/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sheet as a picture: SVG in true millimetres or PNG, in memory and as a file. */
#include "sheet_parts.h"
#include "util.h"

#include <cairo/cairo-svg.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sys/stat.h>

#define DPI 200
#define SVG_UNITS 10.0	/* in a millimetre: cairo rounds to 1/256 of a unit */
#define SVG_COLUMN 0.02 /* finer than any print */

struct buffer {
	FILE *file;
	char *bytes;
	size_t len;
};

static cairo_status_t keep(void *arg, const unsigned char *bytes, unsigned len)
{
	struct buffer *b = arg;
	return !len || fwrite(bytes, len, 1, b->file) == 1 ? CAIRO_STATUS_SUCCESS
							   : CAIRO_STATUS_WRITE_ERROR;
}

/* The cairo surface of a format, drawn; what was written is in `b`, the texts in `words`. */
static int draw_surface(
	const struct sheet *sheet, enum sheet_format format, struct buffer *b, FILE *words)
{
	bool svg = format == SHEET_SVG;
	double scale = svg ? SVG_UNITS : DPI / 25.4;
	cairo_surface_t *surface =
		svg ? cairo_svg_surface_create_for_stream(
			      keep, b, PAGE_WIDTH * scale, PAGE_HEIGHT * scale)
		    : cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(PAGE_WIDTH * scale),
			      (int)ceil(PAGE_HEIGHT * scale));
	cairo_t *cr = cairo_create(surface);
	struct canvas c;
	cairo_scale(cr, scale, scale);
	canvas_open(&c, cr, sheet->chinese, svg ? SVG_COLUMN : 1 / scale, words);
	sheet_page(&c, sheet);
	canvas_close(&c);
	cairo_status_t status = cairo_status(cr);
	cairo_destroy(cr);
	if (!svg && !status)
		status = cairo_surface_write_to_png_stream(surface, keep, b);
	cairo_surface_finish(surface);
	if (!status)
		status = cairo_surface_status(surface);
	cairo_surface_destroy(surface);
	return !status ? 0 : status == CAIRO_STATUS_NO_MEMORY ? -ENOMEM : -EIO;
}

/* The root element in millimetres, and the texts as words, which cairo writes as outlines only. */
static void finish_svg(const struct buffer *in, const char *words, FILE *out)
{
	const char *root = memmem(in->bytes, in->len, "<svg", 4);
	const char *end = root ? memchr(root, '>', in->len - (size_t)(root - in->bytes)) : NULL;
	if (!end)
		return;
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" "
		"width=\"%gmm\" height=\"%gmm\" viewBox=\"0 0 %g %g\" version=\"1.1\">\n"
		"<title>ECG</title>\n<desc>",
		PAGE_WIDTH, PAGE_HEIGHT, PAGE_WIDTH * SVG_UNITS, PAGE_HEIGHT * SVG_UNITS);
	for (const char *p = words; *p; p++)
		if (*p == '<' || *p == '>' || *p == '&')
			fprintf(out, "&#%d;", *p);
		else
			fputc(*p, out);
	fputs("</desc>", out);
	fwrite(end + 1, in->len - (size_t)(end + 1 - in->bytes), 1, out);
}

/* Behind the first chunk: how large a pixel is (PNG 11.3.5.3), 7874 in a metre, with the chunk's CRC. */
static void finish_png(const struct buffer *in, FILE *out)
{
	static const unsigned char size[] = {0, 0, 0, 9, 'p', 'H', 'Y', 's', 0, 0, 0x1e, 0xc2, 0, 0,
		0x1e, 0xc2, 1, 0x6e, 0xd0, 0x75, 0x3e};
	const size_t head = 8 + 25;
	if (in->len < head)
		return;
	fwrite(in->bytes, head, 1, out);
	fwrite(size, sizeof(size), 1, out);
	fwrite(in->bytes + head, in->len - head, 1, out);
}

int sheet_draw(const struct sheet *sheet, enum sheet_format format, char **ret, size_t *ret_len)
{
	struct buffer drawn = {0}, words = {0}, whole = {0};
	int rc = -ENOMEM;
	drawn.file = open_memstream(&drawn.bytes, &drawn.len);
	words.file = open_memstream(&words.bytes, &words.len);
	whole.file = open_memstream(&whole.bytes, &whole.len);
	if (drawn.file && words.file && whole.file)
		rc = draw_surface(sheet, format, &drawn, words.file);
	bool kept = (!drawn.file || !fclose(drawn.file)) & (!words.file || !fclose(words.file));
	if (!rc && kept && format == SHEET_SVG)
		finish_svg(&drawn, words.bytes, whole.file);
	else if (!rc && kept)
		finish_png(&drawn, whole.file);
	if (whole.file && fclose(whole.file))
		kept = false;
	if (!rc && (!kept || !whole.len))
		rc = kept ? -EIO : -ENOMEM;
	free(drawn.bytes);
	free(words.bytes);
	if (rc < 0) {
		free(whole.bytes);
		return rc;
	}
	*ret = whole.bytes;
	*ret_len = whole.len;
	return 0;
}

/* Only what people call a file is replaced: never a device or a directory. */
static int write_whole(const char *path, const char *bytes, size_t len)
{
	struct stat st;
	char name[PATH_MAX];
	mode_t mask = umask(0);
	umask(mask);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (snprintf(name, sizeof(name), "%s.XXXXXX", path) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	_cleanup_(closep) int fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = write(fd, bytes, len);
		if (n <= 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		bytes += n;
		len -= (size_t)n;
	}
	if (!len && fchmod(fd, 0666 & ~mask) == 0 && rename(name, path) == 0)
		return 0;
	int rc = -errno;
	unlink(name);
	return rc;
}

int sheet_write(const struct sheet *sheet, enum sheet_format format, const char *path)
{
	_cleanup_(freep) char *bytes = NULL;
	size_t len;
	int rc = sheet_draw(sheet, format, &bytes, &len);
	if (rc < 0) {
		fprintf(stderr, "vitalgate: %s: %s\n", path,
			sheet->chinese ? "无法绘制（内存不足？）"
				       : "it cannot be drawn (out of memory?)");
		return rc;
	}
	rc = write_whole(path, bytes, len);
	if (rc == -EINVAL)
		fprintf(stderr, "vitalgate: %s: %s\n", path,
			sheet->chinese ? "不是普通文件，请改用文件名"
				       : "is no ordinary file; name a file");
	else if (rc < 0)
		fprintf(stderr, "vitalgate: %s: %s; %s\n", path, strerror(-rc),
			sheet->chinese ? "请选择可写入且有空间的目录"
				       : "name a place that can be written and has room");
	return rc;
}
