/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitalgate: the companion program for engineers, nurses and scripts. */
#include "cli.h"
#include "fault.h"
#include "policy.h"
#include "udev.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>

#define FOLLOW_MS 300

static const char help_en[] =
	"usage: vitalgate [--config FILE] [--json] [--lang zh|en] COMMAND\n"
	"  status                          how the gateway is; what the platform refused\n"
	"  devices                         instruments, whose they are, what they delivered\n"
	"  readings [--resident R] [--follow] [--limit N]\n"
	"  unassigned                      readings that belong to nobody yet, and why\n"
	"  assign READING RESIDENT|-       say whose reading it is (-: nobody's)\n"
	"  import FILE.csv                 the roster, all or nothing\n"
	"  bind DEVICE RESIDENT|- [--slot N] [--from T] [--to T]\n"
	"  handover DEVICE RESIDENT|- [--slot N]   to the next one, as soon as its memory is told\n"
	"  enrol [ADDRESS|NUMBER] [OPTIONS]   find, pair and add a BLE instrument; enrol --help\n"
	"  unenrol DEVICE                  remove it, and its pairing\n"
	"  ecg [FILE|ID] [OPTIONS]         ECGs: decode, draw the sheet, reports; ecg --help\n"
	"  events                          what happened that is not a measurement\n"
	"  resend ID|all                   send again what the platform refused\n"
	"  capture DEVICE [--seconds N] [--output FILE]   what it says, without names\n"
	"  decode [DRIVER CHANNEL HEX...]  run a driver on bytes\n"
	"  rules test FILE [--history|CSV] what alerts another rule file would have made\n"
	"  check-config [FILE]             check vitalgate.yaml and the tables\n"
	"  udev-rules                      udev rules for the configured serial ports\n";
static const char help_zh[] =
	"用法：vitalgate [--config 文件] [--json] [--lang zh|en] 命令\n"
	"  status                          网关状态；平台拒收的内容\n"
	"  devices                         设备、绑定居民、解码统计\n"
	"  readings [--resident 居民] [--follow] [--limit N]\n"
	"  unassigned                      尚未归属的读数及原因\n"
	"  assign 读数 居民|-              指定读数归属（-：不属于任何人）\n"
	"  import 文件.csv                 导入名册，全部成功或全部不导入\n"
	"  bind 设备 居民|- [--slot N] [--from 时间] [--to 时间]\n"
	"  handover 设备 居民|- [--slot N]  转交下一位：设备内存读完后生效\n"
	"  enrol [地址|序号] [选项]        查找、配对并添加BLE设备；enrol --help\n"
	"  unenrol 设备                    移除设备及其配对\n"
	"  ecg [文件|编号] [选项]          心电图：解码、绘制、报告；ecg --help\n"
	"  events                          非测量事件\n"
	"  resend 编号|all                 重新发送被平台拒收的内容\n"
	"  capture 设备 [--seconds N] [--output 文件]     记录设备通信，不含个人信息\n"
	"  decode [驱动 通道 HEX...]       用驱动解码字节\n"
	"  rules test 文件 [--history|CSV] 用另一规则文件重放读数，比较警报数量\n"
	"  check-config [文件]             检查配置与表格\n"
	"  udev-rules                      已配置串口的 udev 规则\n";

struct arguments {
	const char *words[3];
	int n;
	const char *resident, *from, *to, *output;
	long long slot, limit, seconds;
	bool follow;
};

static void show_reading_list(const struct cli *cli, const json_t *result)
{
	show_readings(cli, result, true);
}

/* New rows as they come, oldest first; survives a restart of the daemon. */
static void follow(struct cli *cli)
{
	json_int_t after = 0;
	bool head = true;
	while (true) {
		json_t *reply = client_ask(
			cli, "readings", json_pack("{s:I,s:i}", "after", after, "limit", 100));
		json_t *result = client_result(cli, reply);
		cli->quiet = !reply;
		const json_t *list = json_object_get(result, "readings");
		size_t i, n = json_array_size(list);
		const json_t *r;
		json_array_foreach(list, i, r) after =
			MAX(after, json_integer_value(json_object_get(r, "seq")));
		if (n && cli->json)
			json_array_foreach(list, i, r)
			{
				json_dumpf(r, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
				putchar('\n');
			}
		else if (n)
			show_readings(cli, result, head);
		head &= n == 0;
		fflush(stdout);
		json_decref(reply);
		if (n < 100)
			usleep(FOLLOW_MS * 1000);
	}
}

static int run_readings(struct cli *cli, const struct arguments *a)
{
	if (a->follow)
		follow(cli);
	json_t *args = json_pack("{s:I}", "limit", (json_int_t)a->limit);
	if (a->resident)
		json_object_set_new(args, "resident", json_string(a->resident));
	return client_show(cli, client_ask(cli, "readings", args), show_reading_list);
}

static int run_import(const struct cli *cli, const char *path)
{
	_cleanup_(fclosep) FILE *f = streq(path, "-") ? fdopen(dup(0), "r") : fopen(path, "re");
	size_t size = 4 * 1024 * 1024, n = 0;
	_cleanup_(freep) char *text = malloc(size);
	if (!f || !text) {
		fprintf(stderr, "vitalgate: %s: %s\n", path, strerror(errno));
		return 1;
	}
	n = fread(text, 1, size, f);
	json_t *csv = json_stringn(text, n);
	if (!csv || n == size) {
		fprintf(stderr, "vitalgate: %s: expected a UTF-8 file of at most 4 MiB%s\n", path,
			csv ? "" : "; save it as \"CSV UTF-8\"");
		json_decref(csv);
		return 1;
	}
	return client_show(cli, client_ask(cli, "import", json_pack("{s:o}", "csv", csv)), NULL);
}

/* bind or handover */
static int run_bind(const struct cli *cli, const char *command, const struct arguments *a)
{
	json_t *args = json_pack("{s:s,s:s}", "device", a->words[0], "resident", a->words[1]);
	if (a->slot >= 0)
		json_object_set_new(args, "slot", json_integer(a->slot));
	if (a->from)
		json_object_set_new(args, "from", json_string(a->from));
	if (a->to)
		json_object_set_new(args, "to", json_string(a->to));
	return client_show(cli, client_ask(cli, command, args), NULL);
}

static int run_capture(const struct cli *cli, const struct arguments *a)
{
	_cleanup_(fclosep) FILE *own = a->output ? fopen(a->output, "we") : NULL;
	if (!a->output || own)
		return capture_main(cli, a->words[0], a->seconds, own ? own : stdout);
	fprintf(stderr, "vitalgate: %s: %s\n", a->output, strerror(errno));
	return 1;
}

static int check_config(const struct cli *cli, const char *path)
{
	char error[CONFIG_ERROR_MAX];
	fault_chinese = cli->chinese;
	struct policy *p = policy_load(path, error, sizeof(error));
	if (!p) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	unsigned enrolled = 0;
	char those[64] = "";
	for (unsigned i = 0; i < p->config.n_devices; i++)
		enrolled += p->config.devices[i].enrolled;
	if (enrolled)
		snprintf(those, sizeof(those),
			cli->chinese ? "，其中 %u 台为登记设备" : ", %u of them enrolled",
			enrolled);
	printf(cli->chinese ? "%s：正确（%u 台设备%s，%u 个平台；表 %s，规则 %s）\n"
			    : "%s: good (%u devices%s, %u sinks; tables %s, rules %s)\n",
		path, p->config.n_devices, those, p->config.n_sinks, codes_version(p->codes),
		alert_rules_version(p->rules));
	const char *hint = config_hint(&p->config, cli->chinese);
	if (hint)
		printf(cli->chinese ? "提示：%s\n" : "hint: %s\n", hint);
	policy_free(p);
	return 0;
}

static int usage(const struct cli *cli, int status)
{
	fputs(cli->chinese ? help_zh : help_en, status ? stderr : stdout);
	words_help(cli, status ? stderr : stdout);
	return status;
}

static int dispatch(struct cli *cli, const char *command, const struct arguments *a)
{
	static const struct {
		const char *name;
		void (*show)(const struct cli *, const json_t *);
	} plain[] = {{"status", show_status}, {"devices", show_devices},
		{"unassigned", show_reading_list}, {"events", show_events}};
	for (size_t i = 0; i < ELEMENTS(plain); i++)
		if (streq(command, plain[i].name))
			return client_show(cli,
				client_ask(cli, command,
					json_pack("{s:I}", "limit", (json_int_t)a->limit)),
				plain[i].show);
	if (streq(command, "readings"))
		return run_readings(cli, a);
	if (streq(command, "assign") && a->n == 2)
		return client_show(cli,
			client_ask(cli, "assign",
				json_pack("{s:s,s:s}", "reading", a->words[0], "resident",
					a->words[1])),
			NULL);
	if (streq(command, "resend") && a->n == 1)
		return client_show(cli,
			client_ask(cli, "resend", json_pack("{s:s}", "id", a->words[0])), NULL);
	if (streq(command, "unenrol") && a->n == 1)
		return client_show(cli,
			client_ask(cli, "unenrol", json_pack("{s:s}", "device", a->words[0])),
			NULL);
	if (streq(command, "import") && a->n == 1)
		return run_import(cli, a->words[0]);
	if ((streq(command, "bind") || streq(command, "handover")) && a->n == 2)
		return run_bind(cli, command, a);
	if (streq(command, "capture") && a->n == 1)
		return run_capture(cli, a);
	if (streq(command, "check-config") && a->n <= 1)
		return check_config(cli, a->n ? a->words[0] : cli->config);
	if (streq(command, "udev-rules") && a->n == 0)
		return udev_rules(cli);
	return usage(cli, streq(command, "help") ? 0 : 2);
}

static bool wants_chinese(void)
{
	const char *lang = getenv("LC_ALL");
	if (!lang || !*lang)
		lang = getenv("LANG");
	return lang && strncmp(lang, "zh", 2) == 0;
}

/* Options up to the first word ("+") or between all words (""). -1: go on; else the exit status, and all was said. */
static int take_options(
	struct cli *cli, struct arguments *a, const char *where, int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"socket", required_argument, NULL, 's'}, {"tables", required_argument, NULL, 't'},
		{"json", no_argument, NULL, 'j'}, {"lang", required_argument, NULL, 'l'},
		{"resident", required_argument, NULL, 'r'}, {"follow", no_argument, NULL, 'f'},
		{"by", required_argument, NULL, 'b'}, {"slot", required_argument, NULL, 'S'},
		{"from", required_argument, NULL, 'F'}, {"to", required_argument, NULL, 'T'},
		{"limit", required_argument, NULL, 'n'}, {"seconds", required_argument, NULL, 'w'},
		{"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'}, {0}};
	char letters[32];
	int c;
	snprintf(letters, sizeof(letters), "%sc:jl:r:fn:o:hV", where);
	optind = 0; /* GNU: anew */
	while ((c = getopt_long(argc, argv, letters, options, NULL)) >= 0)
		switch (c) {
		case 'c':
			cli->config = optarg;
			break;
		case 's':
			cli->socket = optarg;
			break;
		case 't':
			cli->tables = optarg;
			break;
		case 'j':
			cli->json = true;
			break;
		case 'l':
			cli->chinese = streq(optarg, "zh");
			break;
		case 'r':
			a->resident = optarg;
			break;
		case 'f':
			a->follow = true;
			break;
		case 'b':
			cli->by = optarg;
			break;
		case 'S':
			a->slot = atoll(optarg);
			break;
		case 'F':
			a->from = optarg;
			break;
		case 'T':
			a->to = optarg;
			break;
		case 'n':
			a->limit = atoll(optarg);
			break;
		case 'w':
			a->seconds = atoll(optarg);
			break;
		case 'o':
			a->output = optarg;
			break;
		case 'V':
			puts("vitalgate " VITALGATE_VERSION);
			return 0;
		default:
			return usage(cli, c == 'h' ? 0 : 2);
		}
	return -1;
}

int main(int argc, char **argv)
{
	const char *env = getenv("VITALGATE_CONFIG");
	struct cli cli = {
		.config = env ? env : "/etc/vitalgate/vitalgate.yaml", .chinese = wants_chinese()};
	struct arguments a = {.slot = -1, .limit = 50, .seconds = 60};
	if (!setlocale(LC_CTYPE, ""))
		setlocale(LC_CTYPE, "C.UTF-8");
	int status = take_options(&cli, &a, "+", argc, argv);
	if (status >= 0)
		return status;
	if (optind >= argc)
		return usage(&cli, 2);
	argc -= optind;
	argv += optind;
	/* everything behind these is their own */
	if (words_find(argv[0]))
		return words_main(&cli, argc, argv);
	if (streq(argv[0], "enrol"))
		return enrol_main(&cli, argc, argv);
	if (streq(argv[0], "rules"))
		return rules_main(&cli, argc, argv);
	if (streq(argv[0], "ecg"))
		return ecg_main(&cli, argc, argv);
	if (streq(argv[0], "decode"))
		return decode_main(&cli, argc - 1, argv + 1);
	status = take_options(&cli, &a, "", argc, argv);
	if (status >= 0)
		return status;
	while (optind < argc && a.n < 3)
		a.words[a.n++] = argv[optind++];
	return dispatch(&cli, argv[0], &a);
}
