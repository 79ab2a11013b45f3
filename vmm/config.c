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
	"  -d, --disk FILE[,ro][,direct]\n"
	"                       raw disk image or block device; up to 14 "
	"times\n"
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
	"255 guest panic or triple fault.\n"
	"\n"
	"Examples:\n"
	"  mote run -k bzImage -i initrd.cpio -c 2 -m 512M\n"
	"  mote run -k vmlinux -d root.img -a 'root=/dev/vda rw'\n";

#define MAX_TIMEOUT_S 1000000000u /* thirty years */

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
		if (strcmp(flag, "ro") == 0)
			d->read_only = true;
		else if (strcmp(flag, "direct") == 0)
			d->direct = true;
		else
			return refuse(p,
				      "-d %s,%s: after the file name come ro "
				      "and direct, nothing else",
				      word, flag);
	}
	p->config->nr_disks++;
	return true;
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
	OPT_VSOCK,
	OPT_SERIAL,
	OPT_COPY,
	OPT_TIMING,
	OPT_SLOW,
};

static const struct option long_options[] = {
	{ "kernel", required_argument, NULL, 'k' },
	{ "initrd", required_argument, NULL, 'i' },
	{ "cpus", required_argument, NULL, 'c' },
	{ "memory", required_argument, NULL, 'm' },
	{ "append", required_argument, NULL, 'a' },
	{ "disk", required_argument, NULL, 'd' },
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

enum config_result config_parse(struct vm_config *config, int argc, char **argv,
				char *text, size_t len)
{
	struct parse p = { config, text, len };
	int option;

	*config = (struct vm_config){ .nr_vcpus = 1, .memory = MIB(256) };
	optind = 0; /* glibc: start anew, also after an earlier parse */
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:k:i:c:m:a:d:vh",
				     long_options, NULL)) != -1) {
		const char *word = argv[MAX(optind - 1, 1)];

		if (option == 'h')
			return CONFIG_HELP;
		if (option == '?')
			refuse(&p, "%s: no such option; see mote run --help",
			       word);
		else if (option == ':')
			refuse(&p, "%s: needs a value; see mote run --help",
			       word);
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
	else {
		if (!config->cmdline)
			config->cmdline = "";
		return CONFIG_OK;
	}
	return CONFIG_REFUSED;
}

bool config_cmdline_has(const char *cmdline, const char *word)
{
	size_t len = strlen(word);
	const char *at = cmdline;

	while ((at = strstr(at, word))) {
		bool starts = at == cmdline || at[-1] == ' ' || at[-1] == '\t';
		bool ends = word[len - 1] == '=' || at[len] == '\0' ||
			    at[len] == ' ' || at[len] == '\t';

		if (starts && ends)
			return true;
		at++;
	}
	return false;
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
