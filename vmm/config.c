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
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/tap.h"
#include "vmm/config.h"

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
	"  -d, --disk FILE[,ro][,direct][,cache=MODE][,serial=TEXT]\n"
	"                       raw disk image or block device; up to 14 "
	"times;\n"
	"                       MODE: writeback (stable after a flush) or\n"
	"                       writethrough (each write is)\n"
	"      --balloon SIZE[,stats=SECS]\n"
	"                       ask the guest for SIZE of its memory, and for\n"
	"                       statistics every SECS seconds (--timing)\n"
	"      --rng rate=SIZE  give the guest at most SIZE random bytes a "
	"second\n"
	"      --net tap=NAME|fd=N[,mac=MAC][,mtu=N]\n"
	"                       network interface on a tap; up to 4 times\n"
	"      --vsock [cid=N,]path=SOCKET\n"
	"                       socket device; cid 3 to 4294967294 (3).  Host "
	"clients\n"
	"                       connect to SOCKET and say CONNECT PORT; the "
	"guest's\n"
	"                       connections arrive at SOCKET_PORT\n"
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
	"  -v, --verbose        say more\n"
	"  -h, --help           this text\n"
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
#define MIN_STATS_NS  100000000u

struct parse {
	struct vm_config *config;
	char *text;
	size_t len;
};

static bool refuse(struct parse *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

static bool refuse(struct parse *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(p->text, p->len, fmt, args);
	va_end(args);
	return false;
}

/* Decimal digits only: no sign, no space, no 0x. */
static bool parse_number(const char *word, uint64_t *value, const char **end)
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
		return refuse(p, "-c %s: give a number of CPUs from 1 to %d",
			      word, CONFIG_MAX_VCPUS);
	p->config->nr_vcpus = (unsigned int)n;
	return true;
}

static bool set_memory(struct parse *p, char *word)
{
	uint64_t bytes;

	if (!config_parse_size(word, &bytes))
		return refuse(p, "-m %s: give a size such as 512M or 2G", word);
	if (bytes < CONFIG_MIN_MEMORY || bytes > CONFIG_MAX_MEMORY)
		return refuse(p, "-m %s: give a size from 16M to 512G", word);
	p->config->memory = ALIGN_DOWN(bytes, PAGE_SIZE);
	return true;
}

/* Seconds with up to nine decimals, as nanoseconds. */
static bool parse_seconds(const char *word, uint64_t *ns)
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
		return refuse(p,
			      "--timeout %s: give seconds above 0, e.g. 30 or "
			      "0.5",
			      word);
	return true;
}

/* The argument of FLAG if that is NAME (which ends in '='), or NULL. */
static const char *flag_value(const char *flag, const char *name)
{
	size_t len = strlen(name);

	return strncmp(flag, name, len) == 0 ? flag + len : NULL;
}

static bool is_serial(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return len > 0 && len <= CONFIG_SERIAL_LEN;
}

/* One of the words after a disk's file name. */
static bool set_disk_flag(struct parse *p, struct disk_config *d,
			  const char *flag)
{
	const char *cache = flag_value(flag, "cache=");
	const char *serial = flag_value(flag, "serial=");

	if (strcmp(flag, "ro") == 0)
		d->read_only = true;
	else if (strcmp(flag, "direct") == 0)
		d->direct = true;
	else if (cache && strcmp(cache, "writeback") == 0)
		d->writethrough = false;
	else if (cache && strcmp(cache, "writethrough") == 0)
		d->writethrough = true;
	else if (serial && is_serial(serial))
		d->serial = serial;
	else if (cache)
		return refuse(p, "-d %s,%s: cache is writeback or writethrough",
			      d->path, flag);
	else if (serial)
		return refuse(p,
			      "-d %s,serial=: give 1 to %d printable ASCII "
			      "characters, no comma",
			      d->path, CONFIG_SERIAL_LEN);
	else
		return refuse(p,
			      "-d %s,%s: after the file name come ro, direct, "
			      "cache= and serial=, nothing else",
			      d->path, flag);
	return true;
}

static bool set_disk(struct parse *p, char *word)
{
	struct disk_config *d = &p->config->disk[p->config->nr_disks];
	char *save = NULL, *flag;

	if (p->config->nr_disks == CONFIG_MAX_DISKS)
		return refuse(p, "-d %s: at most %d disks", word,
			      CONFIG_MAX_DISKS);
	*d = (struct disk_config){ .path = word };
	if (*word == ',' || *word == '\0')
		return refuse(p, "-d '%s': give a file name first", word);
	strtok_r(word, ",", &save);
	while ((flag = strtok_r(NULL, ",", &save))) {
		if (!set_disk_flag(p, d, flag))
			return false;
	}
	p->config->nr_disks++;
	return true;
}

/* SIZE[,stats=SECS]; -m may follow, so what there is is checked at the end. */
static bool set_balloon(struct parse *p, char *word)
{
	static const char stats[] = "stats=";
	char *flag = strchr(word, ',');

	if (p->config->balloon_given)
		return refuse(p, "--balloon %s: given twice", word);
	p->config->balloon_given = true;
	if (flag)
		*flag++ = '\0';
	if (!config_parse_size(word, &p->config->balloon))
		return refuse(
			p,
			"--balloon %s: give a size such as 64M, and after "
			"it perhaps ,stats=SECONDS",
			word);
	if (!flag)
		return true;
	if (strncmp(flag, stats, strlen(stats)) != 0 ||
	    !parse_seconds(flag + strlen(stats),
			   &p->config->balloon_stats_ns) ||
	    p->config->balloon_stats_ns < MIN_STATS_NS)
		return refuse(p,
			      "--balloon %s,%s: after the size comes "
			      "stats=SECONDS, 0.1 or more, nothing else",
			      word, flag);
	return true;
}

static bool set_rng(struct parse *p, char *word)
{
	static const char rate[] = "rate=";

	if (p->config->rng_rate > 0)
		return refuse(p, "--rng %s: given twice", word);
	if (strncmp(word, rate, strlen(rate)) != 0 ||
	    !config_parse_size(word + strlen(rate), &p->config->rng_rate) ||
	    p->config->rng_rate == 0)
		return refuse(
			p,
			"--rng %s: give rate= and a size above 0 for each "
			"second, e.g. rate=64K",
			word);
	return true;
}

/* Six pairs of hexadecimal digits; the address of one interface. */
static bool parse_mac(const char *word, uint8_t mac[6])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned int i = 0; i < 17; i++) {
		const char *digit = strchr(digits, word[i] | 0x20);

		if (i % 3 == 2) {
			if (word[i] != ':')
				return false;
			continue;
		}
		if (!word[i] || !digit || !*digit)
			return false;
		mac[i / 3] = (uint8_t)(mac[i / 3] << 4 | (digit - digits));
	}
	return word[17] == '\0' && !(mac[0] & 1) &&
	       memcmp(mac, "\0\0\0\0\0\0", 6) != 0;
}

static bool set_net_tap(struct parse *p, struct net_config *n, const char *word)
{
	size_t len = strlen(word);

	n->tap = word;
	if (len == 0 || len > TAP_MAX_NAME || strpbrk(word, "/%: "))
		return refuse(p,
			      "--net tap=%s: an interface's name has 1 to %d "
			      "characters and no blank, '/', ':' or '%%'",
			      word, TAP_MAX_NAME);
	return true;
}

static bool set_net_fd(struct parse *p, struct net_config *n, const char *word)
{
	const char *end;
	uint64_t fd;

	if (!parse_number(word, &fd, &end) || *end || fd < 3 || fd > INT_MAX)
		return refuse(p,
			      "--net fd=%s: give the number, 3 or more, of an "
			      "open tap descriptor",
			      word);
	n->fd = (int)fd;
	return true;
}

static bool set_net_option(struct parse *p, struct net_config *n,
			   const char *flag)
{
	const char *end;
	uint64_t mtu;

	if (strncmp(flag, "mac=", 4) == 0) {
		n->has_mac = parse_mac(flag + 4, n->mac);
		return n->has_mac ||
		       refuse(p,
			      "--net %s: give the address of one interface, "
			      "such as 52:54:00:12:34:56",
			      flag);
	}
	if (strncmp(flag, "mtu=", 4) == 0) {
		if (!parse_number(flag + 4, &mtu, &end) || *end ||
		    mtu < NET_MIN_MTU || mtu > NET_MAX_MTU)
			return refuse(p, "--net %s: give an MTU from %u to %u",
				      flag, NET_MIN_MTU, NET_MAX_MTU);
		n->mtu = (uint16_t)mtu;
		return true;
	}
	return refuse(p,
		      "--net %s: after tap=NAME or fd=N come mac= and mtu=, "
		      "nothing else",
		      flag);
}

/* Whether an earlier --net has what may be there once only. */
static bool check_net(struct parse *p, const struct net_config *n)
{
	for (const struct net_config *o = p->config->net; o < n; o++) {
		if (n->tap && o->tap && strcmp(n->tap, o->tap) == 0)
			return refuse(p, "--net tap=%s: given twice", n->tap);
		if (!n->tap && !o->tap && n->fd == o->fd)
			return refuse(p, "--net fd=%d: given twice", n->fd);
		if (n->has_mac && o->has_mac && !memcmp(n->mac, o->mac, 6))
			return refuse(p, "--net: two interfaces have the same "
					 "mac=; give each its own");
	}
	return true;
}

static bool set_net(struct parse *p, char *word)
{
	struct net_config *n = &p->config->net[p->config->nr_nets];
	char *save = NULL, *flag;
	bool ok;

	if (p->config->nr_nets == CONFIG_MAX_NETS)
		return refuse(p, "--net %s: at most %d interfaces", word,
			      CONFIG_MAX_NETS);
	*n = (struct net_config){ .fd = -1 };
	flag = *word == ',' ? NULL : strtok_r(word, ",", &save);
	if (flag && strncmp(flag, "tap=", 4) == 0)
		ok = set_net_tap(p, n, flag + 4);
	else if (flag && strncmp(flag, "fd=", 3) == 0)
		ok = set_net_fd(p, n, flag + 3);
	else if (flag && strcmp(flag, "user") == 0)
		ok = refuse(p, "--net user: is not there yet; give tap=NAME or "
			       "fd=N");
	else
		ok = refuse(p, "--net '%s': give tap=NAME or fd=N first", word);
	while (ok && (flag = strtok_r(NULL, ",", &save)))
		ok = set_net_option(p, n, flag);
	ok = ok && check_net(p, n);
	p->config->nr_nets += ok;
	return ok;
}

static bool set_cid(struct parse *p, const char *word)
{
	const char *end;
	uint64_t cid;

	/* virtio 1.2 §5.10.4: the others are reserved */
	if (!parse_number(word, &cid, &end) || *end || cid < 3 ||
	    cid >= UINT32_MAX)
		return refuse(p,
			      "--vsock cid=%s: give a number from 3 to "
			      "4294967294",
			      word);
	p->config->vsock.cid = (uint32_t)cid;
	return true;
}

static bool set_vsock(struct parse *p, char *word)
{
	struct vsock_config *vsock = &p->config->vsock;
	char *save = NULL, *part;

	if (vsock->path)
		return refuse(p, "--vsock %s: given twice; a machine has one",
			      word);
	vsock->cid = CONFIG_CID;
	for (part = strtok_r(word, ",", &save); part;
	     part = strtok_r(NULL, ",", &save)) {
		if (strncmp(part, "cid=", 4) == 0) {
			if (!set_cid(p, part + 4))
				return false;
		} else if (strncmp(part, "path=", 5) == 0 && part[5]) {
			vsock->path = part + 5;
		} else {
			return refuse(p,
				      "--vsock %s: give path=SOCKET and "
				      "perhaps cid=N, nothing else",
				      part);
		}
	}
	if (!vsock->path)
		return refuse(p, "--vsock: path=SOCKET is missing");
	return true;
}

static bool set_file(struct parse *p, const char **where, const char *option,
		     char *word)
{
	if (*where)
		return refuse(p, "%s %s: given twice; a machine has one",
			      option, word);
	if (!*word)
		return refuse(p, "%s '': give a file name", option);
	*where = word;
	return true;
}

static bool set_append(struct parse *p, char *word)
{
	for (const char *c = word; *c; c++) {
		if ((unsigned char)*c < ' ' && *c != '\t')
			return refuse(p,
				      "-a: the command line holds a control "
				      "character (0x%02x); remove it",
				      (unsigned char)*c);
	}
	if (p->config->cmdline)
		return refuse(p,
			      "-a %.40s: given twice; put all words into one",
			      word);
	p->config->cmdline = word;
	return true;
}

enum long_only {
	OPT_TIMEOUT = 256,
	OPT_BALLOON,
	OPT_RNG,
	OPT_NET,
	OPT_VSOCK,
	OPT_SERIAL,
	OPT_COPY,
	OPT_TIMING,
	OPT_SLOW,
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
	{ "net", required_argument, NULL, OPT_NET },
	{ "vsock", required_argument, NULL, OPT_VSOCK },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "early-serial", no_argument, NULL, OPT_SERIAL },
	{ "copy", no_argument, NULL, OPT_COPY },
	{ "timing", no_argument, NULL, OPT_TIMING },
	{ "allow-slow", no_argument, NULL, OPT_SLOW },
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
		return set_disk(p, word);
	case OPT_BALLOON:
		return set_balloon(p, word);
	case OPT_RNG:
		return set_rng(p, word);
	case OPT_NET:
		return set_net(p, word);
	case OPT_VSOCK:
		return set_vsock(p, word);
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
		refuse(p, "%s: no such option; see mote run --help", word);
	else if (optopt >= OPT_TIMEOUT || strchr(short_options, optopt))
		refuse(p, "%s: takes no value; see mote run --help", word);
	else
		refuse(p, "-%c: no such option; see mote run --help", optopt);
}

enum config_result config_parse(struct vm_config *config, int argc, char **argv,
				char *text, size_t len)
{
	struct parse p = { config, text, len };
	int option;

	*config = (struct vm_config){ .nr_vcpus = 1, .memory = MIB(256) };
	optind = 0; /* glibc: start anew, also after an earlier parse */
	opterr = 0;
	while ((option = getopt_long(argc, argv, short_options, long_options,
				     NULL)) != -1) {
		if (option == 'h')
			return CONFIG_HELP;
		if (option == '?')
			refuse_option(&p, argv[MAX(optind - 1, 1)]);
		else if (option == ':')
			refuse(&p, "%s: needs a value; see mote run --help",
			       argv[MAX(optind - 1, 1)]);
		else if (set_switch(config, option) ||
			 set_value(&p, option, optarg))
			continue;
		return CONFIG_REFUSED;
	}
	if (optind < argc)
		refuse(&p,
		       "%s: mote run takes options only; see mote run "
		       "--help",
		       argv[optind]);
	else if (!config->kernel)
		refuse(&p, "-k KERNEL is missing; see mote run --help");
	else if (config->balloon >= config->memory)
		refuse(&p,
		       "--balloon: the machine has %llu MiB; ask for less "
		       "or give it more (-m)",
		       (unsigned long long)(config->memory >> 20));
	else {
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

	if (!config_cmdline_has(words, "console="))
		console = config->early_serial ? "console=ttyS0 "
					       : "console=hvc0 ";
	if (!config_cmdline_has(words, "panic="))
		panic = "panic=-1 ";
	n = snprintf(buf, len, "%s%s%s", console, panic, words);
	while (n > 0 && (size_t)n < len && buf[n - 1] == ' ')
		buf[--n] = '\0';
	return n >= 0 && (size_t)n < len;
}
