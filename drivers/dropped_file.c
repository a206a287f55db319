/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files that an instrument writes into a directory of ours: by FTP, a network share, a card. Each whole file is a
 * study; what is in it the daemon finds out.
 *
 * Whether a file is whole is seen by its own rules, as far as it has any:
 *   SCP-ECG  u32 record length at 2, "SCPECG" at 16: so many bytes at least
 *   XML      first character '<' (behind a UTF-8 mark and blanks): what comes last is the end tag of the root element,
 *            or the root is the only tag; comments and instructions may stand around it
 *   PDF      "%PDF-" first: "%%EOF" within the last 1024 bytes
 *   others   whatever they are, when there is a byte at all
 * Sources: EN 1064, XML 1.0, PDF 1.7 with its reader's notes. Not confirmed: files of instruments sold in China.
 *
 * A capture has the length of a file and nothing else of it.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/text.h>

#define SCP_HEAD 22
#define PDF_TAIL 1024

#define TEXT(literal) vg_text_of(literal, sizeof(literal) - 1)

static bool begins(struct vg_text t, struct vg_text w)
{
	return t.len >= w.len && memcmp(t.at, w.at, w.len) == 0;
}

static bool ends(struct vg_text t, struct vg_text w)
{
	return t.len >= w.len && memcmp(t.at + t.len - w.len, w.at, w.len) == 0;
}

static struct vg_text without(struct vg_text t, size_t first)
{
	return vg_text_of(t.at + first, t.len - first);
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct vg_text trim(struct vg_text t)
{
	while (t.len && blank(t.at[0]))
		t = without(t, 1);
	while (t.len && blank(t.at[t.len - 1]))
		t.len--;
	return t;
}

/* Where `what` stands first; t.len: nowhere. */
static size_t find(struct vg_text t, struct vg_text what)
{
	for (size_t i = 0; i < t.len; i++) {
		const char *hit = memchr(t.at + i, what.at[0], t.len - i);
		if (!hit)
			break;
		i = (size_t)(hit - t.at);
		if (begins(without(t, i), what))
			return i;
	}
	return t.len;
}

/* Where `what` stands last; t.len: nowhere. */
static size_t find_last(struct vg_text t, struct vg_text what)
{
	for (size_t i = t.len; i-- > 0;)
		if (t.at[i] == what.at[0] && begins(without(t, i), what))
			return i;
	return t.len;
}

/* Behind the declaration, comments, and a document type with what it has in brackets. */
static struct vg_text xml_root(struct vg_text t)
{
	for (t = trim(t); begins(t, TEXT("<?")) || begins(t, TEXT("<!")); t = trim(t)) {
		struct vg_text end = begins(t, TEXT("<?"))     ? TEXT("?>")
				     : begins(t, TEXT("<!--")) ? TEXT("-->")
							       : TEXT(">");
		if (end.len == 1 && find(vg_text_of(t.at, find(t, end)), TEXT("[")) < find(t, end))
			end = TEXT("]>");
		size_t behind = find(t, end) + end.len;
		t = without(t, behind < t.len ? behind : t.len);
	}
	return t;
}

/* Without the comments and instructions at its end. */
static struct vg_text xml_tail(struct vg_text t)
{
	for (t = trim(t); ends(t, TEXT("-->")) || ends(t, TEXT("?>")); t = trim(t)) {
		size_t at = find_last(t, ends(t, TEXT("?>")) ? TEXT("<?") : TEXT("<!--"));
		if (at == t.len)
			break;
		t.len = at;
	}
	return t;
}

static bool xml_whole(struct vg_text t)
{
	struct vg_text root = xml_root(xml_tail(t)), name = without(root, root.len ? 1 : 0);
	size_t len = 0, last = find_last(root, TEXT("<"));
	while (len < name.len && !blank(name.at[len]) && name.at[len] != '>' && name.at[len] != '/')
		len++;
	name.len = len;
	if (!len || !begins(root, TEXT("<")) || !ends(root, TEXT(">")))
		return false;
	if (last == 0)
		return ends(root, TEXT("/>"));
	struct vg_text tag = without(root, last);
	if (!begins(tag, TEXT("</")) || tag.len < len + 3 || memcmp(tag.at + 2, name.at, len) != 0)
		return false;
	return trim(vg_text_of(tag.at + 2 + len, tag.len - len - 3)).len == 0;
}

static bool whole(struct vg_text t)
{
	struct buf b = buf_of(t.at, t.len);
	buf_bytes(&b, 2);
	size_t record = buf_le32(&b);
	if (t.len >= SCP_HEAD && memcmp(t.at + 16, "SCPECG", 6) == 0)
		return record <= t.len;
	if (begins(t, TEXT("%PDF-"))) {
		struct vg_text tail = without(t, t.len > PDF_TAIL ? t.len - PDF_TAIL : 0);
		return find(tail, TEXT("%%EOF")) < tail.len;
	}
	struct vg_text text = trim(without(t, begins(t, TEXT("\xef\xbb\xbf")) ? 3 : 0));
	return begins(text, TEXT("<")) ? xml_whole(text) : t.len > 0;
}

static struct vg_frame dropped_frame(const void *state, const uint8_t *bytes, size_t len)
{
	(void)state;
	return (struct vg_frame){.length = whole(vg_text_of(bytes, len)) ? len : 0};
}

static void dropped_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	(void)channel;
	(void)now;
	vg_study_begin(s);
	bool taken = vg_study_append(s, bytes, len) == 0 && vg_study_end(s, len);
	vg_result(s, taken ? VG_NOTHING : VG_MALFORMED);
}

/* It stays a whole file, of no known kind. */
static void dropped_scrub(
	const struct vg_driver *self, unsigned channel, uint8_t *bytes, size_t len)
{
	(void)self;
	(void)channel;
	memset(bytes, 'x', len);
}

static const struct vg_channel channels[] = {{.use = VG_GATT_READ, .name = "file"}};

const struct vg_driver dropped_file = {
	.name = "dropped_file",
	.version = 1,
	.title = "Files dropped into a directory (ECG carts)",
	.title_zh = "目录中的文件(心电图机)",
	.experimental = true,
	.bus = VG_BUS_FILES,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.heard = dropped_heard,
	.frame = dropped_frame,
	.scrub = dropped_scrub,
};
