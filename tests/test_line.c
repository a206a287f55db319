/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine of line profiles, with the profiles that are shipped and some of its own: what each line tells to
 * the last digit, what a piece of a line tells (nothing), and what scrubbing leaves of it. Runs from the root
 * of the repository: it reads config/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The mock counts samples; here they are written down. */
#define vg_sample(s, x) mock_sample(s, x)
#include "fuzz/vg_mock.h"
#undef vg_sample
void vg_sample(struct vg_session *s, const struct vg_sample *x);

#include "profile.h"
#include "util.h"

#include <vitalgate/line.h>

static struct codes *codes;
static struct profile profile;
static struct vg_session *session;
static char told[8192]; /* what the session was told, in one text */

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
	size_t n = strlen(told);
	va_list args;
	va_start(args, format);
	vsnprintf(told + n, sizeof(told) - n, format, args);
	va_end(args);
	assert_true(strlen(told) < sizeof(told) - 1);
}

static void tell_numbers(const struct vg_quantity *q, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tell(" %s=%lldE%d%s", q[i].kind, (long long)q[i].value.mantissa,
			q[i].value.exponent, q[i].unit);
}

static void tell_flags(const char *const *flags, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tell(" %s", flags[i]);
	tell("; ");
}

void vg_sample(struct vg_session *s, const struct vg_sample *x)
{
	mock_sample(s, x);
	tell("sample %s", x->kind);
	tell_numbers(x->quantities, x->n_quantities);
	tell_flags(x->flags, x->n_flags);
}

static void tell_civil(const struct vg_civil *c)
{
	tell(" %04d-%02d-%02d %02d:%02d:%02d", c->year, c->month, c->day, c->hour, c->minute,
		c->second);
}

static void on_reading(struct vg_session *s, const struct vg_reading *r)
{
	(void)s;
	assert_true(!r->identity_len == !r->taken);
	tell("reading %s", r->kind);
	if (r->taken)
		tell_civil(r->taken);
	tell_numbers(r->quantities, r->n_quantities);
	for (size_t i = 0; i < r->n_notes; i++)
		tell(" %s:%.*s", r->notes[i].key, (int)r->notes[i].len, r->notes[i].text);
	tell("%s", r->live ? " live" : "");
	if (r->patient_len)
		tell(" of <%.*s>", (int)r->patient_len, r->patient);
	tell_flags(r->flags, r->n_flags);
}

static void on_event(struct vg_session *s, const struct vg_event *e)
{
	(void)s;
	tell("event %d", e->type);
	if (e->civil)
		tell_civil(e->civil);
	if (e->detail)
		tell(" %s", e->detail);
	tell("; ");
}

/* life */

static void profile_load(const char *directory, const char *name)
{
	char path[128], error[512] = "";
	struct yamlmap y;
	snprintf(path, sizeof(path), "%s/%s.yaml", directory, name);
	profile = (struct profile){0};
	if (yamlmap_open(&y, path, error, sizeof(error)) < 0 ||
		profile_read(&y, codes, &profile) < 0)
		fail_msg("%s", error);
	yamlmap_close(&y);
}

static void session_open(void)
{
	session = calloc(1, sizeof(*session));
	assert_non_null(session);
	session->on_reading = on_reading;
	session->on_event = on_event;
	session->profile = profile.body;
	mock_open(session, &profile.driver);
	told[0] = 0;
}

static void session_close(void)
{
	mock_close(session);
	free(TAKE(session));
}

static void begin(const char *name)
{
	profile_load("config/profiles", name);
	session_open();
}

/* A profile of its own: this behind the head, in place of what is shipped. */
static void begin_with(const char *yaml)
{
	char directory[] = "/tmp/vg-line-XXXXXX", path[64];
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/own.yaml", directory);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "version: 1\nbus: line\ntitle: O\ntitle_zh: 己\nsource: none\n%s", yaml);
	fclose(f);
	profile_load(directory, "own");
	unlink(path);
	rmdir(directory);
	session_open();
}

static void finish(void)
{
	session_close();
	profile_free(&profile);
}

/* What a session is told by these bytes alone. */
static const char *heard(const char *bytes, size_t len)
{
	session_close();
	session_open();
	mock_stream(session, bytes, len);
	return told;
}

#define TELLS(text, wanted) assert_string_equal(heard(text, sizeof(text) - 1), wanted)

/* lines */

#define MASIMO                                                                                \
	"02/22/16 22:47:45 SN=0000056661 SPO2=098% BPM=097 PI=03.60% SPCO=--.-% SPMET=--.-% " \
	"DESAT=-- PIDELTA=+-- ALARM=0000 EXC=000800\r\n"
#define MASIMO_ROOT                                                                         \
	"03/17/16 19:19:36 SN=---------- SPO2=098% BPM=123 PI=00.55 SPCO=--% ALARM=000000 " \
	"EXC=0000C00 EXC1=00000000\r\n"
#define NELLCOR "14-Mar-13 12:34:58    88*    72     48   SL MO\r\n"
#define NONIN "SPO2=097 HR=072 F*\r\n"
#define GTECH  \
	"\x02" \
	"170.5,65.3,0,0,22.5\x03"
#define HBP "2026,07,11,08,30,R-0001              ,0,128,082,072,1\r\n"
#define STATION "W:070.5 H:172.0\r\n"

static const struct {
	const char *profile, *line, *tells;
} lines[] = {
	{"masimo_ascii1", MASIMO,
		"sample spo2 spo2=98E0% spo2.pulse=97E0/min spo2.pi=360E-2%; event 1 2016-02-22 "
		"22:47:45; "},
	{"masimo_ascii1", MASIMO_ROOT,
		"sample spo2 spo2=98E0% spo2.pulse=123E0/min spo2.pi=55E-2% low_signal_iq; event 1 "
		"2016-03-17 19:19:36; "},
	{"nellcor", NELLCOR,
		"sample spo2 spo2=88E0% spo2.pulse=72E0/min motion; event 1 2013-03-14 12:34:58; "},
	{"nonin_ascii", NONIN, "sample spo2 spo2=97E0% spo2.pulse=72E0/min; "},
	{"nonin_ascii", "SPO2=--- HR=072\r\n", "sample spo2; "},
	{"gtech_scale", GTECH, "reading weight weight=653E-1kg height=1705E-1cm; "},
	{"hbp9030", HBP,
		"reading bp 2026-07-11 08:30:00 bp.sbp=128E0mmHg bp.dbp=82E0mmHg bp.pulse=72E0/min "
		"of <R-0001> body_movement; "},
	{"height_weight", STATION, "reading weight weight=705E-1kg height=1720E-1cm live; "},
};

static uint32_t draw(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void test_each_line_tells_its_numbers_however_it_is_split(void **state)
{
	(void)state;
	uint32_t seed = 7;
	for (size_t i = 0; i < ELEMENTS(lines); i++) {
		size_t len = strlen(lines[i].line);
		begin(lines[i].profile);
		for (unsigned round = 0; round < 50; round++) {
			heard("", 0);
			for (size_t at = 0, n; at < len; at += n) {
				n = 1 + draw(&seed) % (round * 4 + 1);
				n = MIN(n, len - at);
				mock_stream(session, lines[i].line + at, n);
			}
			assert_string_equal(told, lines[i].tells);
			assert_int_equal(session->results[VG_MALFORMED], 0);
		}
		finish();
	}
}

static void test_the_clock_of_a_monitor_is_told_once(void **state)
{
	(void)state;
	begin("masimo_ascii1");
	heard(MASIMO MASIMO, sizeof(MASIMO MASIMO) - 1);
	assert_int_equal(session->samples, 2);
	assert_ptr_equal(strstr(strstr(told, "event") + 1, "event"), NULL);
	finish();
}

static void test_a_line_without_its_tail_or_head_tells_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(lines); i++) {
		const char *line = lines[i].line;
		size_t len = strlen(line), text = len;
		char piece[256];
		while (strchr("\r\n\x03", line[text - 1]))
			text--;
		begin(lines[i].profile);
		for (size_t n = 1; n < text; n++) {
			memcpy(piece, line, n);
			heard(piece, n);
			assert_string_equal(told, "");
			piece[n] = line[text]; /* its end comes all the same */
			heard(piece, n + 1);
			/* status words are its last: nobody can tell that they are missing */
			bool words = strcmp(lines[i].profile, "nellcor") == 0 ||
				     strcmp(lines[i].profile, "nonin_ascii") == 0;
			if (!words || strncmp(told, "sample", 6) != 0)
				assert_string_equal(told, "");
			else
				assert_memory_equal(told, lines[i].tells,
					(size_t)(strstr(told, "/min") - told) + 4);
			heard(line + n, len - n);
			assert_string_equal(told, "");
		}
		finish();
	}
}

/* Another line of the same instrument, with other numbers. */
static const char *other(const char *line)
{
	static char text[256];
	strcpy(text, line);
	for (char *c = text; *c; c++)
		*c = *c == '7' ? '5' : *c == '8' ? '6' : *c;
	return text;
}

static void test_two_lines_in_one_tell_at_most_the_second(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(lines); i++) {
		const char *line = lines[i].line;
		size_t len = strlen(line);
		char both[512];
		begin(lines[i].profile);
		for (size_t n = 1; n < len && !strchr("\r\n\x03", line[n - 1]); n++) {
			memcpy(both, other(line), n);
			memcpy(both + n, line, len);
			heard(both, n + len);
			/* STX begins anew; what stands where a status should puts all in doubt */
			if (line[0] == 2 || (told[0] && !strstr(told, "unknown_status")))
				assert_memory_equal(told, lines[i].tells,
					strchr(lines[i].tells, ';') - lines[i].tells);
			told[0] = 0;
			mock_stream(session, line, len); /* the one behind is heard in any case */
			assert_memory_equal(
				told, lines[i].tells, strchr(lines[i].tells, ';') - lines[i].tells);
		}
		finish();
	}
}

static void test_rubbish_before_and_behind_a_line(void **state)
{
	(void)state;
	uint32_t seed = 20261121;
	for (size_t i = 0; i < ELEMENTS(lines); i++) {
		size_t len = strlen(lines[i].line);
		char bytes[1024];
		begin(lines[i].profile);
		for (unsigned round = 0; round < 200; round++) {
			size_t n = draw(&seed) % 300, behind = draw(&seed) % 300;
			for (size_t k = 0; k < n; k++)
				bytes[k] = (char)draw(&seed);
			bytes[n] = '\r';
			memcpy(bytes + n + 1, lines[i].line, len);
			for (size_t k = 0; k < behind; k++)
				bytes[n + 1 + len + k] = (char)draw(&seed);
			heard(bytes, n + 1 + len + behind);
			assert_string_equal(told, lines[i].tells);
		}
		finish();
	}
}

static void test_a_frame_is_a_line(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		struct vg_frame frame;
	} cases[] = {
		{"abc", 3, {0, false, 0}},
		{"abc\r\n", 5, {0, false, 4}},
		{"\nabc\r", 5, {1, true, 0}},
		{"\0\r\n\x03", 4, {4, true, 0}},
		{"\002abc\x03", 5, {0, false, 5}},
		{"xy\002abc\r", 7, {2, false, 5}},
		{"x\002y\002abc\r", 8, {3, false, 5}},
		{"x\x02", 2, {0, false, 0}},
		{"\x02\x03", 2, {0, false, 2}},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct vg_frame f = vg_line.frame(NULL, (const void *)cases[i].bytes, cases[i].len);
		assert_int_equal(f.skip, cases[i].frame.skip);
		assert_int_equal(f.filler, cases[i].frame.filler);
		assert_int_equal(f.length, cases[i].frame.length);
	}
	uint8_t longest[VG_LINE_MAX + 1];
	memset(longest, 'a', sizeof(longest));
	longest[VG_LINE_MAX - 1] = '\r';
	assert_int_equal(vg_line.frame(NULL, longest, VG_LINE_MAX).length, VG_LINE_MAX);
	longest[VG_LINE_MAX - 1] = 'a';
	longest[VG_LINE_MAX] = '\r'; /* one too long: not a frame even when its end is there */
	assert_int_equal(vg_line.frame(NULL, longest, VG_LINE_MAX + 1).length, 0);
	assert_int_equal(vg_line.frame(NULL, longest, VG_LINE_MAX + 1).skip, 1);
}

static void test_a_line_that_never_ends_is_noise_once(void **state)
{
	(void)state;
	begin("height_weight");
	heard("", 0);
	for (unsigned i = 0; i < 2000; i++)
		mock_stream(session, "7", 1);
	assert_int_equal(session->results[VG_MALFORMED], 1);
	mock_stream(session, "\r", 1); /* its tail is a line that is none */
	assert_int_equal(session->results[VG_MALFORMED], 2);
	mock_stream(session, STATION, sizeof(STATION) - 1);
	assert_string_equal(told, lines[7].tells);
	finish();
}

static void test_numbers_are_exact(void **state)
{
	(void)state;
	begin_with("mode: reading\nkind: weight\nlayout: columns\nmatch: [\"*\"]\nfields:\n"
		   "  - {at: 1-6, is: quantity, kind: weight, unit: kg, scale: 0.05, "
		   "marks: {\"%\": \"\", \"!\": loud}, missing: [\"\", \"--\"]}\n"
		   "notes: {a: b}\n");
	TELLS("  1411\r", "reading weight weight=7055E-2kg a:b; ");
	TELLS("000001\r", "reading weight weight=5E-2kg a:b; ");
	TELLS(" 14.10\r", "reading weight weight=7050E-4kg a:b; ");
	TELLS("7 !%  \r", "reading weight weight=35E-2kg a:b loud; ");
	TELLS("-1    \r", "reading weight weight=-5E-2kg a:b; ");
	TELLS("   -- \r", "event 0 not measured; ");
	TELLS("1,5   \r", "");
	TELLS("0x12  \r", "");
	TELLS("12\r", ""); /* the column is not there */
	finish();
}

static uint8_t identities[4][VG_IDENTITY_MAX];
static size_t identity_lens[4], n_identities;

static void note_identity(struct vg_session *s, const struct vg_reading *r)
{
	(void)s;
	if (!n_identities)
		assert_memory_equal(r->raw,
			"2026,07,11,08,30,x-xxxx              ,0,128,082,072,1\r", r->raw_len);
	assert_string_equal(r->quantities[0].received, "128");
	identity_lens[n_identities] = r->identity_len;
	memcpy(identities[n_identities++], r->identity, r->identity_len);
}

static bool same_identity(size_t a, size_t b)
{
	return identity_lens[a] == identity_lens[b] &&
	       memcmp(identities[a], identities[b], identity_lens[a]) == 0;
}

static void test_the_same_line_is_the_same_measurement(void **state)
{
	(void)state;
	begin("hbp9030");
	n_identities = 0;
	session->on_reading = note_identity;
	const char text[] = HBP "2026,07,11,08,30,                    ,0,128,082,072,0\r\n"
				"2026,07,11,08,30,R-0001              ,0,128,083,072,1\r\n"
				"2026,07,11,08,31,R-0001              ,0,128,082,072,1\r\n";
	mock_stream(session, text, sizeof(text) - 1);
	assert_int_equal(n_identities, 4);
	assert_true(identity_lens[0] > 0);
	assert_true(same_identity(0, 1)); /* never of a resident */
	assert_false(same_identity(0, 2));
	assert_false(same_identity(0, 3));
	finish();
	begin_with("mode: reading\nkind: weight\nlayout: separated\nseparator: \";\"\n"
		   "match: [\"*\"]\nfields:\n  - {at: 1, is: time, format: \"YYYYMMDDhhmm\"}\n"
		   "  - {at: 2, is: quantity, kind: weight, unit: kg, missing: [\"\"]}\n"
		   "  - {at: 3, is: quantity, kind: height, unit: cm, missing: [\"\"]}\n");
	n_identities = 1;
	session->on_reading = note_identity;
	mock_stream(session, "202607110830;128;\r202607110830;;128\r", 36);
	assert_int_equal(n_identities, 3);
	assert_false(same_identity(1, 2)); /* the same number of another thing */
	finish();
}

static void test_flags_bits_and_errors(void **state)
{
	(void)state;
	begin_with(
		"mode: reading\nkind: bp\nlayout: pairs\nseparator: \",\"\nmatch: [\"*\"]\n"
		"without_value: [bad]\nfields:\n"
		"  - {at: S, is: quantity, kind: bp.sbp, unit: mmHg}\n"
		"  - {at: F, is: flags, words: {A: loud, B: bad, C: \"\"}, other: odd, optional: true}\n"
		"  - {at: G, is: flags, words: {A: loud, D: soft}, optional: true}\n"
		"  - {at: X, is: bits, bits: {0x1: loud, 0x80000000: bad}, optional: true}\n"
		"  - {at: E, is: error, good: [\"00\", OK], optional: true}\n"
		"  - {at: W, is: quantity, kind: weight, unit: kg, scale: 1000, optional: true}\n");
	TELLS("S=120\r", "reading bp bp.sbp=120E0mmHg; ");
	TELLS("s = 120\r", ""); /* a key ends where its sign stands */
	TELLS("S= 120 , F= a  c\r", "reading bp bp.sbp=120E0mmHg loud; ");
	TELLS("F=Q,S=120,G=d A\r", "reading bp bp.sbp=120E0mmHg loud odd soft; ");
	TELLS("S=120,F=B\r", "event 0 bad; ");
	TELLS("S=120,G=B\r", ""); /* an unknown word, and nothing stands for it */
	TELLS("S=120,X=0003\r", "reading bp bp.sbp=120E0mmHg loud; ");
	TELLS("S=120,X=80000000\r", "event 0 bad; ");
	TELLS("S=120,X=080000000\r", "");
	TELLS("S=120,X=\r", "");
	TELLS("S=120,X=0g\r", "");
	TELLS("S=120,E=ok\r", "reading bp bp.sbp=120E0mmHg; ");
	TELLS("E=7,S=xx\r", "event 0 error 7; ");
	TELLS("E=0\r", "event 0 error 0; ");
	TELLS("S=120,E=\r", "");
	TELLS("S=120,S=121\r", "");
	TELLS("F=A\r", "");
	TELLS("S=1,W=9223372036854775\r",
		"reading bp bp.sbp=1E0mmHg weight=9223372036854775000E0kg; ");
	TELLS("S=1,W=9223372036854776\r", ""); /* too long for a number */
	TELLS("S=1,W=1234567890123456789\r", "");
	TELLS("S=1,W=0000000000000000000001\r", "");
	finish();
}

static void test_pieces_have_their_places(void **state)
{
	(void)state;
	begin_with(
		"mode: reading\nkind: bp\nlayout: separated\nseparator: \"|\"\npieces: 3-5\n"
		"match: [\"*\"]\nfields:\n"
		"  - {at: 2, is: quantity, kind: bp.sbp, unit: mmHg}\n"
		"  - {at: 4-, is: flags, words: {A: loud, \"|\": \"\", B: soft}, optional: true}\n");
	TELLS("x|120\r", "");
	TELLS("x|120|\r", "reading bp bp.sbp=120E0mmHg; ");
	TELLS("x| 120 |y|B\r", "reading bp bp.sbp=120E0mmHg soft; ");
	TELLS("x|120|y|B | A\r", "reading bp bp.sbp=120E0mmHg loud soft; ");
	TELLS("x|120|y|||\r", "");
	finish();
}

static void test_what_is_known_and_what_is_not(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		enum vg_result result;
	} cases[] = {{"TIME  %SPO2  BPM  PA  Status\r", VG_NOTHING}, {"  \t \r", VG_NOTHING},
		{"N-595 VERSION 1\r", VG_NOTHING}, {"hello\r", VG_MALFORMED},
		{"14-Mar-13 12:34:58\t88\t72\t48\x01\r", VG_MALFORMED},
		{"TIME\x7f %SPO2 BPM\r", VG_MALFORMED}, {"\x02\x03", VG_NOTHING}};
	begin("nellcor");
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		assert_string_equal(heard(cases[i].line, strlen(cases[i].line)), "");
		for (enum vg_result r = VG_READING; r < VG_RESULTS; r++)
			assert_int_equal(session->results[r], r == cases[i].result);
	}
	TELLS("14-Mar-13 12:34:58 \t88\t72\t48\r",
		"sample spo2 spo2=88E0% spo2.pulse=72E0/min; event 1 2013-03-14 12:34:58; ");
	finish();
}

/* scrubbing */

static const char *scrubbed(const char *line)
{
	static uint8_t bytes[512];
	size_t len = strlen(line);
	memcpy(bytes, line, len + 1);
	profile.driver.scrub(&profile.driver, 0, bytes, len);
	assert_int_equal(strlen((char *)bytes), len);
	return (const char *)bytes;
}

static void test_scrubbing_leaves_what_the_profile_knows(void **state)
{
	(void)state;
	static const char *const cases[][3] = {
		{"masimo_ascii1", MASIMO,
			"02/22/16 22:47:45 SN=xxxxxxxxxx SPO2=098% BPM=097 PI=03.60% xxxx=--.-% "
			"xxxxx=--.-% xxxxx=-- xxxxxxx=+-- ALARM=0000 EXC=000800\r\n"},
		{"nellcor", "14-Mar-13 12:34:58    88*    72     48   SL Zhang\r\n",
			"14-Mar-13 12:34:58    88*    72     xx   SL xxxxx\r\n"},
		{"nellcor", "NPB-290 VERSION 1.0 OF R-0001\r\n",
			"xxx-xxx VERSION x.x xx x-xxxx\r\n"},
		{"nonin_ascii", NONIN, NONIN},
		{"nonin_ascii", "NONIN OF R-0001\r\n", "NONIN xx x-xxxx\r\n"},
		{"gtech_scale", "\002170.5,65.3,R-0001,\xd5\xc5,22.5\x03",
			"\002170.5,65.3,x-xxxx,xx,0x.0\x03"},
		{"hbp9030", HBP, "2026,07,11,08,30,x-xxxx              ,0,128,082,072,1\r\n"},
		{"hbp9030", "2026,13,11,08,30,R-0001              ,0,128,082,072,1\r\n",
			"xxxx,xx,xx,xx,xx,x-xxxx              ,0,128,082,072,1\r\n"},
		{"hbp9030", "Zhang San, 138 0013 8000\r\n", "xxxxx xxx, xxx xxxx xxxx\r\n"},
		{"height_weight", STATION, STATION},
		{"height_weight", "W:R.001 H:172.0\r\n", "x:x.xxx x:xxx.x\r\n"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		begin(cases[i][0]);
		const char *once = scrubbed(cases[i][1]);
		assert_string_equal(once, cases[i][2]);
		char before[1024];
		strcpy(before, heard(cases[i][1], strlen(cases[i][1])));
		heard(cases[i][2], strlen(cases[i][2]));
		if (!strstr(before, "R-0001") && !strstr(before, "unknown"))
			assert_string_equal(told, before);
		finish();
	}
}

static int setup(void **state)
{
	char error[256];
	(void)state;
	codes = codes_load("config", error, sizeof(error));
	return codes ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	codes_free(codes);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_line_tells_its_numbers_however_it_is_split),
		cmocka_unit_test(test_the_clock_of_a_monitor_is_told_once),
		cmocka_unit_test(test_a_line_without_its_tail_or_head_tells_nothing),
		cmocka_unit_test(test_two_lines_in_one_tell_at_most_the_second),
		cmocka_unit_test(test_rubbish_before_and_behind_a_line),
		cmocka_unit_test(test_a_frame_is_a_line),
		cmocka_unit_test(test_a_line_that_never_ends_is_noise_once),
		cmocka_unit_test(test_numbers_are_exact),
		cmocka_unit_test(test_the_same_line_is_the_same_measurement),
		cmocka_unit_test(test_flags_bits_and_errors),
		cmocka_unit_test(test_pieces_have_their_places),
		cmocka_unit_test(test_what_is_known_and_what_is_not),
		cmocka_unit_test(test_scrubbing_leaves_what_the_profile_knows),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("line", tests, setup, teardown);
}
