// SPDX-License-Identifier: Apache-2.0
/*
 * test_config.c - the words after `mote run`
 */
#include <stdio.h>

#include "tests/unit/unit.h"
#include "vmm/config.h"

#define MAX_WORDS 32

static struct vm_config config;
static char text[320];

/* Parses the words of LINE, which are cut at spaces. */
static enum config_result parse(const char *line)
{
	static char copy[512];
	char *argv[MAX_WORDS] = { NULL }, *save = NULL;
	int argc = 0;

	snprintf(copy, sizeof(copy), "run %s", line);
	for (char *w = strtok_r(copy, " ", &save); w && argc < MAX_WORDS - 1;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	text[0] = '\0';
	return config_parse(&config, argc, argv, text, sizeof(text));
}

START_TEST(defaults)
{
	ck_assert_int_eq(parse("-k vmlinux"), CONFIG_OK);
	ck_assert_str_eq(config.kernel, "vmlinux");
	ck_assert_ptr_null(config.initrd);
	ck_assert_str_eq(config.cmdline, "");
	ck_assert_uint_eq(config.nr_vcpus, 1);
	ck_assert_uint_eq(config.memory, MIB(256));
	ck_assert_uint_eq(config.timeout_ns, 0);
	ck_assert_uint_eq(config.balloon, 0);
	ck_assert_uint_eq(config.rng_rate, 0);
	ck_assert_uint_eq(config.balloon_stats_ns, 0);
	ck_assert(!config.early_serial && !config.timing && !config.copy);
}
END_TEST

START_TEST(everything)
{
	ck_assert_int_eq(parse("-k K -i I -c 4 -m 2G -a words -d a,ro,direct "
			       "-d b --timeout 1.5 "
			       "--balloon 64,stats=2.5 --rng rate=64K "
			       "--early-serial --timing "
			       "--copy --allow-slow --no-seccomp -v"),
			 CONFIG_OK);
	ck_assert_str_eq(config.initrd, "I");
	ck_assert_str_eq(config.cmdline, "words");
	ck_assert_uint_eq(config.nr_vcpus, 4);
	ck_assert_uint_eq(config.memory, GIB(2));
	ck_assert_uint_eq(config.nr_disks, 2);
	ck_assert_str_eq(config.disk[0].path, "a");
	ck_assert(config.disk[0].read_only && config.disk[0].direct);
	ck_assert_str_eq(config.disk[1].path, "b");
	ck_assert(!config.disk[1].read_only && !config.disk[1].direct);
	ck_assert_uint_eq(config.timeout_ns, 1500000000);
	ck_assert_uint_eq(config.balloon, MIB(64));
	ck_assert_uint_eq(config.rng_rate, KIB(64));
	ck_assert_uint_eq(config.balloon_stats_ns, 2500000000);
	ck_assert(config.early_serial && config.timing && config.copy);
	ck_assert(config.allow_slow && config.verbose);
	ck_assert(config.no_seccomp);
	ck_assert_ptr_null(config.vsock.path);
	ck_assert_int_eq(parse("--kernel K --initrd I --cpus 2 --memory 64 "
			       "--append x --disk d --verbose"),
			 CONFIG_OK);
	ck_assert_uint_eq(config.memory, MIB(64));
	ck_assert_int_eq(parse("-k K --balloon 1G,stats=0.1 -m 2G"), CONFIG_OK);
	ck_assert_uint_eq(config.balloon, GIB(1));
	ck_assert_uint_eq(config.balloon_stats_ns, 100000000);
	ck_assert_int_eq(parse("-k K --balloon 0"), CONFIG_OK);
	ck_assert_int_eq(parse("-k K --balloon 255M"), CONFIG_OK);
	ck_assert_int_eq(parse("-k K --help"), CONFIG_HELP);
	ck_assert_int_eq(parse("-h"), CONFIG_HELP);
}
END_TEST

START_TEST(nets)
{
	const struct net_config *n = config.net;

	ck_assert_int_eq(parse("-k K"), CONFIG_OK);
	ck_assert_uint_eq(config.nr_nets, 0);
	ck_assert_int_eq(parse("-k K --net tap=t,mac=52:54:00:aB:Cd:eF,mtu=68 "
			       "--net fd=3 --net tap=a12345678901234 "
			       "--net fd=2147483647,mtu=65535"),
			 CONFIG_OK);
	ck_assert_uint_eq(config.nr_nets, 4);
	ck_assert_str_eq(n[0].tap, "t");
	ck_assert(n[0].has_mac);
	ck_assert_mem_eq(n[0].mac, "\x52\x54\x00\xab\xcd\xef", 6);
	ck_assert_uint_eq(n[0].mtu, 68);
	ck_assert_ptr_null(n[1].tap);
	ck_assert_int_eq(n[1].fd, 3);
	ck_assert(!n[1].has_mac);
	ck_assert_uint_eq(n[1].mtu, 0);
	ck_assert_str_eq(n[2].tap, "a12345678901234");
	ck_assert_int_eq(n[3].fd, 2147483647);
	ck_assert_uint_eq(n[3].mtu, 65535);
}
END_TEST

/* Each is refused, and the one line names what the operator wrote. */
static const struct {
	const char *line;
	const char *named;
} refused[] = {
	{ "", "-k" },
	{ "-k", "-k" },
	{ "-k K -k L", "-k" },
	{ "-k K -i I -i J", "-i" },
	{ "-k K -a a -a b", "-a" },
	{ "-k K --bogus", "--bogus" },
	{ "-k K --rng", "--rng" },
	{ "-k K --rng 64K", "--rng 64K" },
	{ "-k K --rng rate=", "--rng rate=" },
	{ "-k K --rng rate=0", "--rng rate=0" },
	{ "-k K --rng rate=-1", "--rng rate=-1" },
	{ "-k K --rng rate=1K,x", "--rng rate=1K,x" },
	{ "-k K --rng rate=1K --rng rate=2K", "--rng rate=2K" },
	{ "-k K --balloon", "--balloon" },
	{ "-k K --balloon x", "--balloon x" },
	{ "-k K --balloon ,stats=1", "--balloon" },
	{ "-k K --balloon -1", "--balloon -1" },
	{ "-k K --balloon 1 --balloon 2", "--balloon 2" },
	{ "-k K --balloon 256", "--balloon" },
	{ "-k K --balloon 1G -m 1G", "--balloon" },
	{ "-k K --balloon 8,", "--balloon 8" },
	{ "-k K --balloon 8,stats", "--balloon 8,stats" },
	{ "-k K --balloon 8,stats=", "--balloon 8,stats=" },
	{ "-k K --balloon 8,stats=0", "--balloon 8,stats=0" },
	{ "-k K --balloon 8,stats=0.09", "--balloon 8,stats=0.09" },
	{ "-k K --balloon 8,stats=1,ro", "--balloon 8,stats=1,ro" },
	{ "-k K --balloon 8,ro", "--balloon 8,ro" },
	{ "-k K -z", "-z" },
	{ "-k K word", "word" },
	{ "-k K -c 0", "-c 0" },
	{ "-k K -c 65", "-c 65" },
	{ "-k K -c -1", "-c -1" },
	{ "-k K -c 2x", "-c 2x" },
	{ "-k K -c 99999999999999999999", "-c 9999" },
	{ "-k K -m 0", "-m 0" },
	{ "-k K -m 15M", "-m 15M" },
	{ "-k K -m 513G", "-m 513G" },
	{ "-k K -m 1Q", "-m 1Q" },
	{ "-k K -m 1.5G", "-m 1.5G" },
	{ "-k K -m -1G", "-m -1G" },
	{ "-k K -m 18446744073709551616", "-m 184" },
	{ "-k K -m 17179869184G", "-m 171" },
	{ "-k K --timeout 0", "--timeout 0" },
	{ "-k K --timeout -1", "--timeout -1" },
	{ "-k K --timeout x", "--timeout x" },
	{ "-k K --timeout 1.x", "--timeout 1.x" },
	{ "-k K --timeout nan", "--timeout nan" },
	{ "-k K --timeout 99999999999", "--timeout 999" },
	{ "-k K --timeout", "--timeout" },
	{ "-k K -d", "-d" },
	{ "-k K -d ,ro", "-d" },
	{ "-k K -d f,rw", "-d f,rw" },
	{ "-k K -d f,ro,bogus", "-d f,bogus" },
	{ "-k K -d f,cache", "-d f,cache" },
	{ "-k K -d f,cache=", "-d f,cache=" },
	{ "-k K -d f,cache=none", "-d f,cache=none" },
	{ "-k K -d f,cache=writebacks", "-d f,cache=writebacks" },
	{ "-k K -d f,serial", "-d f,serial" },
	{ "-k K -d f,serial=", "-d f,serial=" },
	{ "-k K -d f,serial=012345678901234567890", "-d f,serial=" },
	{ "-k K -d f,serial=a\tb", "-d f,serial=" },
	{ "-k K -d f,serial=a\x7f", "-d f,serial=" },
	{ "-k K -d f,serial=\xc3\xa4", "-d f,serial=" },
	{ "-k K --net", "--net" },
	{ "-k K --net user", "--net user" },
	{ "-k K --net user,publish=80:80", "--net user" },
	{ "-k K --net bridge", "--net 'bridge'" },
	{ "-k K --net ,tap=t", "--net" },
	{ "-k K --net mac=02:00:00:00:00:01", "--net" },
	{ "-k K --net tap=", "--net tap=" },
	{ "-k K --net tap=a123456789012345", "--net tap=a123" },
	{ "-k K --net tap=a/b", "--net tap=a/b" },
	{ "-k K --net tap=t%d", "--net tap=t%d" },
	{ "-k K --net fd=", "--net fd=" },
	{ "-k K --net fd=2", "--net fd=2" },
	{ "-k K --net fd=-1", "--net fd=-1" },
	{ "-k K --net fd=3x", "--net fd=3x" },
	{ "-k K --net fd=2147483648", "--net fd=2147483648" },
	{ "-k K --net tap=t,fd=3", "--net fd=3" },
	{ "-k K --net tap=t,mtu=67", "--net mtu=67" },
	{ "-k K --net tap=t,mtu=65536", "--net mtu=65536" },
	{ "-k K --net tap=t,mtu=", "--net mtu=" },
	{ "-k K --net tap=t,mtu=1500x", "--net mtu=1500x" },
	{ "-k K --net tap=t,mac=", "--net mac=" },
	{ "-k K --net tap=t,mac=00:00:00:00:00:00", "--net mac=" },
	{ "-k K --net tap=t,mac=03:00:00:00:00:00", "--net mac=" },
	{ "-k K --net tap=t,mac=02:00:00:00:00", "--net mac=" },
	{ "-k K --net tap=t,mac=02:00:00:00:00:00:", "--net mac=" },
	{ "-k K --net tap=t,mac=02-00-00-00-00-00", "--net mac=" },
	{ "-k K --net tap=t,mac=02:00:00:00:00:0g", "--net mac=" },
	{ "-k K --net tap=t,mac=02:00:00:00:00:0@", "--net mac=" },
	{ "-k K --net tap=t --net tap=t", "--net tap=t" },
	{ "-k K --net fd=3 --net fd=3", "--net fd=3" },
	{ "-k K --net fd=3,mac=02:00:00:00:00:01 "
	  "--net tap=t,mac=02:00:00:00:00:01",
	  "--net" },
	{ "-k K --net fd=3 --net fd=4 --net fd=5 --net fd=6 --net fd=7",
	  "--net fd=7" },
	/* S1, virtio 1.2 §5.10.4: reserved CIDs */
	{ "-k K --vsock cid=0,path=P", "--vsock cid=0" },
	{ "-k K --vsock cid=1,path=P", "--vsock cid=1" },
	{ "-k K --vsock cid=2,path=P", "--vsock cid=2" },
	{ "-k K --vsock cid=4294967295,path=P", "--vsock cid=4294967295" },
	{ "-k K --vsock cid=4294967296,path=P", "--vsock cid=4294967296" },
	{ "-k K --vsock cid=4294967299,path=P", "--vsock cid=4294967299" },
	{ "-k K --vsock cid=18446744073709551615,path=P", "cid=1844" },
	{ "-k K --vsock cid=18446744073709551619,path=P", "cid=1844" },
	{ "-k K --vsock cid=-3,path=P", "--vsock cid=-3" },
	{ "-k K --vsock cid=0x3,path=P", "--vsock cid=0x3" },
	{ "-k K --vsock cid=,path=P", "--vsock cid=" },
	{ "-k K --vsock cid=3", "path=SOCKET" },
	{ "-k K --vsock path=", "path=SOCKET" },
	{ "-k K --vsock ,", "path=SOCKET" },
	{ "-k K --vsock P", "--vsock P" },
	{ "-k K --vsock path=P,ro", "--vsock ro" },
	{ "-k K --vsock path=P --vsock path=Q", "twice" },
	{ "-k K --vsock", "--vsock" },
};

START_TEST(refusals)
{
	ck_assert_int_eq(parse(refused[_i].line), CONFIG_REFUSED);
	ck_assert_msg(strstr(text, refused[_i].named), "%s: %s",
		      refused[_i].line, text);
	ck_assert_ptr_null(strchr(text, '\n'));
}
END_TEST

START_TEST(disk_options)
{
	ck_assert_int_eq(parse("-k K -d a -d b,cache=writethrough,serial=A-1 "
			       "-d c,cache=writethrough,cache=writeback,"
			       "serial=01234567890123456789"),
			 CONFIG_OK);
	ck_assert(!config.disk[0].writethrough);
	ck_assert_ptr_null(config.disk[0].serial);
	ck_assert_str_eq(config.disk[1].path, "b");
	ck_assert(config.disk[1].writethrough);
	ck_assert_str_eq(config.disk[1].serial, "A-1");
	ck_assert(!config.disk[2].writethrough);
	ck_assert_str_eq(config.disk[2].serial, "01234567890123456789");
}
END_TEST

START_TEST(vsock_words)
{
	ck_assert_int_eq(parse("-k K --vsock path=a/b"), CONFIG_OK);
	ck_assert_str_eq(config.vsock.path, "a/b");
	ck_assert_uint_eq(config.vsock.cid, 3);
	ck_assert_int_eq(parse("-k K --vsock path=P,cid=4294967294"),
			 CONFIG_OK);
	ck_assert_str_eq(config.vsock.path, "P");
	ck_assert_uint_eq(config.vsock.cid, 4294967294);
	ck_assert_int_eq(parse("-k K --vsock cid=5,path=P"), CONFIG_OK);
	ck_assert_uint_eq(config.vsock.cid, 5);
}
END_TEST

START_TEST(too_many_disks)
{
	char line[512] = "-k K";

	for (int i = 0; i < CONFIG_MAX_DISKS; i++)
		strcat(line, " -dx");
	ck_assert_int_eq(parse(line), CONFIG_OK);
	strcat(line, " -dx");
	ck_assert_int_eq(parse(line), CONFIG_REFUSED);
}
END_TEST

static const struct {
	const char *word;
	uint64_t bytes; /* 0: refused */
} sizes[] = {
	{ "512", MIB(512) },  { "512M", MIB(512) },
	{ "512m", MIB(512) }, { "512MB", MIB(512) },
	{ "1GiB", GIB(1) },   { "64K", KIB(64) },
	{ "2T", GIB(2048) },  { "", 0 },
	{ "M", 0 },	      { "5 M", 0 },
	{ "5MX", 0 },	      { "0x10", 0 },
	{ "+5", 0 },	      { "16777216T", 0 },
};

START_TEST(size_words)
{
	uint64_t bytes = 0;

	ck_assert_int_eq(config_parse_size(sizes[_i].word, &bytes),
			 sizes[_i].bytes != 0);
	ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

static const struct {
	const char *words;
	bool serial;
	const char *whole;
} cmdlines[] = {
	{ "", false, "console=hvc0 panic=-1" },
	{ "", true, "console=ttyS0 panic=-1" },
	{ "quiet", false, "console=hvc0 panic=-1 quiet" },
	{ "console=tty0 quiet", false, "panic=-1 console=tty0 quiet" },
	{ "panic=5", false, "console=hvc0 panic=5" },
	{ "noconsole=x mypanic=1", false,
	  "console=hvc0 panic=-1 noconsole=x mypanic=1" },
};

START_TEST(whole_cmdline)
{
	char buf[100];
	struct vm_config c = {
		.cmdline = cmdlines[_i].words,
		.early_serial = cmdlines[_i].serial,
	};

	ck_assert(config_cmdline(&c, buf, sizeof(buf)));
	ck_assert_str_eq(buf, cmdlines[_i].whole);
	ck_assert(!config_cmdline(&c, buf, strlen(cmdlines[_i].whole)));
}
END_TEST

START_TEST(cmdline_words)
{
	ck_assert(config_cmdline_has("a acpi=off b", "acpi=off"));
	ck_assert(config_cmdline_has("acpi=off", "acpi=off"));
	ck_assert(!config_cmdline_has("xacpi=off acpi=offx", "acpi=off"));
	ck_assert(config_cmdline_has("x console=a", "console="));
	ck_assert(!config_cmdline_has("netconsole=a", "console="));
	ck_assert(!config_cmdline_has("", "a"));
	/* As Linux splits them; what follows "--" is init's. */
	ck_assert(!config_cmdline_has("a=\"x acpi=off y\"", "acpi=off"));
	ck_assert(config_cmdline_has("a=\"x y\" acpi=off", "acpi=off"));
	ck_assert(!config_cmdline_has("a -- acpi=off", "acpi=off"));
	ck_assert(!config_cmdline_has("-- console=a", "console="));
	ck_assert(config_cmdline_has("a --b \tacpi=off ", "acpi=off"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("config");
	TCase *tc = tcase_create("config");

	tcase_add_test(tc, defaults);
	tcase_add_test(tc, everything);
	tcase_add_loop_test(tc, refusals, 0, ARRAY_SIZE(refused));
	tcase_add_test(tc, disk_options);
	tcase_add_test(tc, nets);
	tcase_add_test(tc, too_many_disks);
	tcase_add_test(tc, vsock_words);
	tcase_add_loop_test(tc, size_words, 0, ARRAY_SIZE(sizes));
	tcase_add_loop_test(tc, whole_cmdline, 0, ARRAY_SIZE(cmdlines));
	tcase_add_test(tc, cmdline_words);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
