// SPDX-License-Identifier: Apache-2.0
/*
 * test_config.c - the words after `mote run`
 */
#include <stdio.h>

#include "tests/unit/unit.h"
#include "vmm/config.h"

#define MAX_WORDS 24

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
	ck_assert(!config.early_serial && !config.timing && !config.copy);
}
END_TEST

START_TEST(everything)
{
	ck_assert_int_eq(parse("-k K -i I -c 4 -m 2G -a words -d a,ro,direct "
			       "-d b --timeout 1.5 --early-serial --timing "
			       "--copy --allow-slow -v"),
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
	ck_assert(config.early_serial && config.timing && config.copy);
	ck_assert(config.allow_slow && config.verbose);
	ck_assert_ptr_null(config.vsock.path);
	ck_assert_int_eq(parse("--kernel K --initrd I --cpus 2 --memory 64 "
			       "--append x --disk d --verbose"),
			 CONFIG_OK);
	ck_assert_uint_eq(config.memory, MIB(64));
	ck_assert_int_eq(parse("-k K --help"), CONFIG_HELP);
	ck_assert_int_eq(parse("-h"), CONFIG_HELP);
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
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("config");
	TCase *tc = tcase_create("config");

	tcase_add_test(tc, defaults);
	tcase_add_test(tc, everything);
	tcase_add_loop_test(tc, refusals, 0, ARRAY_SIZE(refused));
	tcase_add_test(tc, too_many_disks);
	tcase_add_test(tc, vsock_words);
	tcase_add_loop_test(tc, size_words, 0, ARRAY_SIZE(sizes));
	tcase_add_loop_test(tc, whole_cmdline, 0, ARRAY_SIZE(cmdlines));
	tcase_add_test(tc, cmdline_words);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
