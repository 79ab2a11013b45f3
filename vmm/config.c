// SPDX-License-Identifier: Apache-2.0
/*
 * config.c - `mote run`'s options
 *
 * getopt_long(3) splits the words; every option is one row of a table with its
 * own small setter.  The alternative, one switch, is how option parsers grow to
 * seven hundred lines.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config.h"
#include "vmm/config_parse.h"

const char config_help[] =
	"Usage: mote run -k KERNEL [OPTION]...\n"
	"Boots a Linux or PVH kernel in a virtual machine; one process is one "
	"machine.\n"
	"\n"
	"  -k, --kernel FILE    bzImage, ELF vmlinux, or any PVH kernel\n"
	"  -i, --initrd FILE    initial RAM disk\n"
	"  -c, --cpus N         virtual CPUs, 1 to 64 (1)\n"
	"  -m, --memory SIZE    RAM, e.g. 512M or 2G; a bare number is MiB "
	"(256M)\n"
	"  -a, --append WORDS   kernel command line, after mote's own\n"
	"                       \"console=hvc0 panic=-1\"; naming a console "
	"or\n"
	"                       panic= there replaces that default\n"
	"  -d, --disk "
	"FILE[,ro][,direct][,cache=MODE][,serial=TEXT][,engine=HOW]"
	"\n"
	"     [,queues=N][,LIMIT]\n"
	"                       raw disk image or block device; up to 14 "
	"times;\n"
	"                       MODE: writeback (stable after a flush) or\n"
	"                       writethrough (each write is); HOW: uring, "
	"sync\n"
	"                       or auto; 1 to 8 queues (1)\n"
	"      --balloon SIZE[,stats=SECS]\n"
	"                       ask the guest for SIZE of its memory, and for\n"
	"                       statistics every SECS seconds (--timing)\n"
	"      --rng LIMIT      limit the random bytes that the guest is "
	"given\n"
	"      --console LIMIT  limit the output of the guest's console\n"
	"      --net tap=NAME|fd=N|user[,mac=MAC][,mtu=N][,LIMIT]\n"
	"                       network interface on a tap, or on passt, "
	"which\n"
	"                       needs no privileges; up to 4 times\n"
	"      --net user[,publish=HOST:GUEST[/udp]]...[,loopback]\n"
	"                       the host's port HOST leads to the guest's port "
	"GUEST;\n"
	"                       loopback: the gateway's address is the host\n"
	"      --vsock [cid=N,]path=SOCKET\n"
	"                       socket device; cid 3 to 4294967294 (3).  Host "
	"clients\n"
	"                       connect to SOCKET and say CONNECT PORT; the "
	"guest's\n"
	"                       connections arrive at SOCKET_PORT\n"
	"      --api-sock PATH  answer requests of Firecracker's API on a Unix "
	"socket\n"
	"                       made there, for its owner alone; see mote api "
	"--help\n"
	"      --timeout SECS   end the machine after SECS seconds, status "
	"124\n"
	"      --early-serial   add a 16550 serial port and make it the "
	"console:\n"
	"                       shows messages from before virtio drivers "
	"load\n"
	"      --copy           read kernel and initrd instead of mapping "
	"them\n"
	"      --timing         print one JSON line of times and counts at the "
	"end\n"
	"      --allow-slow     run a big kernel even where KVM interprets it\n"
	"      --jail[=DIR]     run in a process of its own that can reach "
	"nothing but\n"
	"                       what is open; its root is empty, or the empty "
	"DIR\n"
	"      --uid N, --gid N the jail's user and group, for root (65534)\n"
	"      --cgroup PATH[,memory=SIZE][,cpus=N][,pids=N]\n"
	"                       the jail's control group, v1 or v2; made if "
	"not there;\n"
	"                       up to 8 times\n"
	"      --netns new|PATH the jail's network namespace\n"
	"      --lockdown-report  print a JSON line: which layer of the "
	"lock-down holds\n"
	"      --require LAYER[,LAYER]...\n"
	"                       refuse to run without these layers\n"
	"      --no-seccomp     leave the monitor's own system calls "
	"unfiltered: for\n"
	"                       debugging only\n"
	"  -v, --verbose        say more\n"
	"  -h, --help           this text\n"
	"\n"
	"LIMIT: rate=SIZE[,burst=SIZE][,ops=N][,ops-burst=N], or a part of it: "
	"bytes\n"
	"and operations a second, and how many of them once at first, besides. "
	" "
	"With\n"
	"--net the words hold each way, or one way as rx-rate=, tx-ops= and so "
	"on.\n"
	"\n"
	"On a terminal, Ctrl-A x ends the machine and Ctrl-A h helps.  SIGTERM "
	"presses\n"
	"the power button; a second one ends the machine.\n"
	"\n"
	"Exit status: 0 powered off or rebooted, 124 timeout, 125 mote refused "
	"or "
	"failed,\n"
	"255 guest panic or triple fault, 128+N ended by signal N.\n"
	"\n"
	"Examples:\n"
	"  mote run -k bzImage -i initrd.cpio -c 2 -m 512M\n"
	"  mote run -k vmlinux -d root.img -a 'root=/dev/vda rw'\n";

#define MAX_TIMEOUT_S 1000000000u /* thirty years */

bool parse_refuse(struct parse *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(p->text, p->len, fmt, args);
	va_end(args);
	return false;
}

bool parse_number(const char *word, uint64_t *value, const char **end)
{
	char *stop;

	if (*word < '0' || *word > '9')
		return false;
	errno = 0;
	*value = strtoull(word, &stop, 10);
	*end = stop;
	return errno == 0;
}

bool config_parse_size(const char *word, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	unsigned int shift = 20;
	const char *end;
	uint64_t n;

	if (!parse_number(word, &n, &end))
		return false;
	if (*end) {
		const char *unit = strchr(units, *end & ~0x20);

		if (!unit || !*unit)
			return false;
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
		/* "MB" and "MiB" say the same. */
		if (*end == 'i')
			end++;
		if (*end == 'B')
			end++;
		if (*end)
			return false;
	}
	if (n > UINT64_MAX >> shift)
		return false;
	*bytes = n << shift;
	return true;
}

static bool set_cpus(struct parse *p, char *word)
{
	const char *end;
	uint64_t n;

	if (!parse_number(word, &n, &end) || *end || n < 1 ||
	    n > CONFIG_MAX_VCPUS)
		return parse_refuse(p,
				    "-c %s: give a number of CPUs from 1 to %d",
				    word, CONFIG_MAX_VCPUS);
	p->config->nr_vcpus = (unsigned int)n;
	return true;
}

static bool set_memory(struct parse *p, char *word)
{
	uint64_t bytes;

	if (!config_parse_size(word, &bytes))
		return parse_refuse(p, "-m %s: give a size such as 512M or 2G",
				    word);
	if (bytes < CONFIG_MIN_MEMORY || bytes > CONFIG_MAX_MEMORY)
		return parse_refuse(p, "-m %s: give a size from 16M to 512G",
				    word);
	p->config->memory = ALIGN_DOWN(bytes, PAGE_SIZE);
	return true;
}

bool parse_seconds(const char *word, uint64_t *ns)
{
	uint64_t unit = 1000000000, s = 0;
	const char *end;

	if (!parse_number(word, &s, &end) || s > MAX_TIMEOUT_S)
		return false;
	*ns = s * unit;
	if (*end != '.')
		return *end == '\0';
	while (*++end >= '0' && *end <= '9') {
		unit /= 10;
		*ns += (uint64_t)(*end - '0') * unit;
	}
	return *end == '\0';
}

static bool set_timeout(struct parse *p, char *word)
{
	if (!parse_seconds(word, &p->config->timeout_ns) ||
	    p->config->timeout_ns == 0)
		return parse_refuse(
			p,
			"--timeout %s: give seconds above 0, e.g. 30 or "
			"0.5",
			word);
	return true;
}

static bool set_file(struct parse *p, const char **where, const char *option,
		     char *word)
{
	if (*where)
		return parse_refuse(p, "%s %s: given twice; a machine has one",
				    option, word);
	if (!*word)
		return parse_refuse(p, "%s '': give a file name", option);
	*where = word;
	return true;
}

static bool set_append(struct parse *p, char *word)
{
	for (const char *c = word; *c; c++) {
		if ((unsigned char)*c < ' ' && *c != '\t')
			return parse_refuse(
				p,
				"-a: the command line holds a control "
				"character (0x%02x); remove it",
				(unsigned char)*c);
	}
	if (p->config->cmdline)
		return parse_refuse(
			p, "-a %.40s: given twice; put all words into one",
			word);
	p->config->cmdline = word;
	return true;
}

enum long_only {
	OPT_TIMEOUT = 256,
	OPT_BALLOON,
	OPT_RNG,
	OPT_CONSOLE,
	OPT_NET,
	OPT_VSOCK,
	OPT_API,
	OPT_SERIAL,
	OPT_COPY,
	OPT_TIMING,
	OPT_SLOW,
	OPT_NO_SECCOMP,
	OPT_JAIL,
	OPT_UID,
	OPT_GID,
	OPT_CGROUP,
	OPT_NETNS,
	OPT_REPORT,
	OPT_REQUIRE,
};

static const char short_options[] = "+:k:i:c:m:a:d:vh";

static const struct option long_options[] = {
	{ "kernel", required_argument, NULL, 'k' },
	{ "initrd", required_argument, NULL, 'i' },
	{ "cpus", required_argument, NULL, 'c' },
	{ "memory", required_argument, NULL, 'm' },
	{ "append", required_argument, NULL, 'a' },
	{ "disk", required_argument, NULL, 'd' },
	{ "balloon", required_argument, NULL, OPT_BALLOON },
	{ "rng", required_argument, NULL, OPT_RNG },
	{ "console", required_argument, NULL, OPT_CONSOLE },
	{ "net", required_argument, NULL, OPT_NET },
	{ "vsock", required_argument, NULL, OPT_VSOCK },
	{ "api-sock", required_argument, NULL, OPT_API },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "early-serial", no_argument, NULL, OPT_SERIAL },
	{ "copy", no_argument, NULL, OPT_COPY },
	{ "timing", no_argument, NULL, OPT_TIMING },
	{ "allow-slow", no_argument, NULL, OPT_SLOW },
	{ "no-seccomp", no_argument, NULL, OPT_NO_SECCOMP },
	{ "jail", optional_argument, NULL, OPT_JAIL },
	{ "uid", required_argument, NULL, OPT_UID },
	{ "gid", required_argument, NULL, OPT_GID },
	{ "cgroup", required_argument, NULL, OPT_CGROUP },
	{ "netns", required_argument, NULL, OPT_NETNS },
	{ "lockdown-report", no_argument, NULL, OPT_REPORT },
	{ "require", required_argument, NULL, OPT_REQUIRE },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* One option that has an argument; false after a refusal. */
static bool set_value(struct parse *p, int option, char *word)
{
	switch (option) {
	case 'k':
		return set_file(p, &p->config->kernel, "-k", word);
	case 'i':
		return set_file(p, &p->config->initrd, "-i", word);
	case 'c':
		return set_cpus(p, word);
	case 'm':
		return set_memory(p, word);
	case 'a':
		return set_append(p, word);
	case 'd':
		return parse_disk(p, word);
	case OPT_BALLOON:
		return parse_balloon(p, word);
	case OPT_RNG:
		return parse_rng(p, word);
	case OPT_CONSOLE:
		return parse_console(p, word);
	case OPT_NET:
		return parse_net(p, word);
	case OPT_VSOCK:
		return parse_vsock(p, word);
	case OPT_API:
		return set_file(p, &p->config->api_socket, "--api-sock", word);
	case OPT_JAIL:
		return parse_jail(p, word);
	case OPT_UID:
		return parse_uid(p, word);
	case OPT_GID:
		return parse_gid(p, word);
	case OPT_CGROUP:
		return parse_cgroup(p, word);
	case OPT_NETNS:
		return parse_netns(p, word);
	case OPT_REQUIRE:
		return parse_require(p, word);
	default:
		return set_timeout(p, word);
	}
}

/* True when OPTION is a switch, which is then set. */
static bool set_switch(struct vm_config *config, int option)
{
	switch (option) {
	case OPT_SERIAL:
		config->early_serial = true;
		return true;
	case OPT_COPY:
		config->copy = true;
		return true;
	case OPT_TIMING:
		config->timing = true;
		return true;
	case OPT_SLOW:
		config->allow_slow = true;
		return true;
	case OPT_NO_SECCOMP:
		config->no_seccomp = true;
		return true;
	case OPT_REPORT:
		config->lockdown_report = true;
		return true;
	case 'v':
		config->verbose = true;
		return true;
	default:
		return false;
	}
}

/* What getopt_long(3) does not know.  Of a long option it leaves WORD behind;
 * of a short one the letter, and WORD may be anything.
 */
static void refuse_option(struct parse *p, const char *word)
{
	if (optopt == 0)
		parse_refuse(p, "%s: no such option; see mote run --help",
			     word);
	else if (optopt >= OPT_TIMEOUT || strchr(short_options, optopt))
		parse_refuse(p, "%s: takes no value; see mote run --help",
			     word);
	else
		parse_refuse(p, "-%c: no such option; see mote run --help",
			     optopt);
}

enum config_result config_parse(struct vm_config *config, int argc, char **argv,
				char *text, size_t len)
{
	struct parse p = { config, text, len };
	int option;

	*config = (struct vm_config){ .nr_vcpus = 1, .memory = MIB(256) };
	optind = 0; /* start anew, also after an earlier parse */
	opterr = 0;
	while ((option = getopt_long(argc, argv, short_options, long_options,
				     NULL)) != -1) {
		if (option == 'h')
			return CONFIG_HELP;
		if (option == '?')
			refuse_option(&p, argv[MAX(optind - 1, 1)]);
		else if (option == ':')
			parse_refuse(&p,
				     "%s: needs a value; see mote run --help",
				     argv[argc - 1]); /* only the last can */
		else if (set_switch(config, option) ||
			 set_value(&p, option, optarg))
			continue;
		return CONFIG_REFUSED;
	}
	if (optind < argc)
		parse_refuse(&p,
			     "%s: mote run takes options only; see mote run "
			     "--help",
			     argv[optind]);
	else if (!config->kernel)
		parse_refuse(&p, "-k KERNEL is missing; see mote run --help");
	else if (config->balloon >= config->memory)
		parse_refuse(
			&p,
			"--balloon: the machine has %llu MiB; ask for less "
			"or give it more (-m)",
			(unsigned long long)(config->memory >> 20));
	else if (parse_jail_check(&p)) {
		if (!config->cmdline)
			config->cmdline = "";
		return CONFIG_OK;
	}
	return CONFIG_REFUSED;
}

bool config_cmdline_has(const char *cmdline, const char *word)
{
	size_t len = strlen(word), n;
	bool found;

	for (const char *at = cmdline;; at += n) {
		bool quoted = false;

		at += strspn(at, " \t");
		for (n = 0; at[n] && (quoted || !strchr(" \t", at[n])); n++)
			quoted ^= at[n] == '"';
		if (n == 0 || (n == 2 && memcmp(at, "--", 2) == 0))
			return false;
		found = n >= len && memcmp(at, word, len) == 0;
		if (found && (n == len || word[len - 1] == '='))
			return true;
	}
}

bool config_cmdline(const struct vm_config *config, char *buf, size_t len)
{
	const char *words = config->cmdline;
	const char *console = "";
	const char *panic = "";
	int n;

	if (!config->cmdline_whole && !config_cmdline_has(words, "console="))
		console = config->early_serial ? "console=ttyS0 "
					       : "console=hvc0 ";
	if (!config->cmdline_whole && !config_cmdline_has(words, "panic="))
		panic = "panic=-1 ";
	n = snprintf(buf, len, "%s%s%s", console, panic, words);
	while (n > 0 && (size_t)n < len && buf[n - 1] == ' ')
		buf[--n] = '\0';
	return n >= 0 && (size_t)n < len;
}
