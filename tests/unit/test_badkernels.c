// SPDX-License-Identifier: Apache-2.0
/*
 * test_badkernels.c - boot_load() refuses every file of tests/bad-kernels, each
 * in its own words
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "boot/boot.h"
#include "tests/unit/unit.h"

enum { NAME, WHAT, RAM, KERNEL, INITRD, WORDS, TEXT, NR_FIELDS };

static char dir[] = "/tmp/mote-bad-XXXXXX";
static char words[100000];

static int open_file(const char *path)
{
	return strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

static void read_words(const char *path)
{
	int fd = open_file(path);
	ssize_t len = 0;

	if (fd >= 0) {
		len = read(fd, words, sizeof(words) - 1);
		ck_assert_int_gt(len, 0);
		close(fd);
	}
	words[len] = '\0';
}

static void check(char *field[NR_FIELDS])
{
	struct guest_memory gm = { 0 };
	struct boot_config config = { .gm = &gm, .cmdline = words };
	struct boot_entry entry;
	struct boot_error err = { 0 };
	int ret;

	read_words(field[WORDS]);
	ck_assert_int_eq(gmem_map(&gm, 0, MIB(strtoul(field[RAM], NULL, 10))),
			 0);
	config.kernel_fd = open_file(field[KERNEL]);
	config.initrd_fd = open_file(field[INITRD]);
	config.nr_cpus = 1;
	ck_assert_int_ge(config.kernel_fd, 0);
	ret = boot_load(&config, &entry, &err);
	ck_assert_msg(ret == -EBADMSG || ret == -ENOSPC || ret == -ENOTSUP,
		      "%s: boot_load() gave %d", field[NAME], ret);
	ck_assert_msg(!strcmp(err.what, field[WHAT]) &&
			      strstr(err.text, field[TEXT]),
		      "%s: %s: %s", field[NAME], err.what, err.text);
	close(config.kernel_fd);
	if (config.initrd_fd >= 0)
		close(config.initrd_fd);
	gmem_fini(&gm);
}

/* V28: a corpus of files that are no kernels */
START_TEST(test_every_bad_kernel)
{
	char path[100], line[512];
	unsigned int n = 0;
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "tests/bad-kernels %s", dir);
	ck_assert_int_eq(system(path), 0);
	snprintf(path, sizeof(path), "%s/manifest", dir);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		char *field[NR_FIELDS], *rest = line;

		for (unsigned int i = 0; i < NR_FIELDS; i++) {
			field[i] = strsep(&rest, "\t\n");
			ck_assert_ptr_nonnull(field[i]);
		}
		check(field);
		n++;
	}
	fclose(f);
	ck_assert_uint_ge(n, 80);
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	ck_assert_int_eq(system(path), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("badkernels");
	TCase *tc = tcase_create("badkernels");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_every_bad_kernel);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
