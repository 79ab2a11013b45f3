// SPDX-License-Identifier: Apache-2.0
/*
 * test_jail.c - what the jail is made of, as far as it can be tried in a process
 * that goes on: words, directories, layers, seals
 *
 * The jail itself is tests/jail/run's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/gmem.h"
#include "base/seal.h"
#include "seccomp/cgroup.h"
#include "seccomp/directory.h"
#include "seccomp/layers.h"
#include "seccomp/privileges.h"
#include "tests/unit/unit.h"
#include "vmm/config.h"

#define NOBODY 65534

static char scratch[] = "/tmp/mote-test-jail-XXXXXX";
static struct vm_config config;

static enum config_result parse(char *words)
{
	static char run[] = "run", option[] = "-k", kernel[] = "k";
	char *argv[24] = { run, option, kernel }, *save = NULL, text[320];
	int argc = 3;

	for (char *w = strtok_r(words, " ", &save); w;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return config_parse(&config, argc, argv, text, sizeof(text));
}

START_TEST(words)
{
	char line[] = "--jail=/d --uid 7 --gid 8 --netns new --lockdown-report "
		      "--cgroup /a,memory=2G,cpus=0.5,pids=9 --cgroup /b "
		      "--require root,landlock --require seccomp";
	const struct jail_config *jail = &config.jail;

	ck_assert_int_eq(parse(line), CONFIG_OK);
	ck_assert(jail->wanted && jail->new_net && config.lockdown_report);
	ck_assert_str_eq(jail->dir, "/d");
	ck_assert_uint_eq(jail->uid, 7);
	ck_assert_uint_eq(jail->gid, 8);
	ck_assert_ptr_null(jail->netns);
	ck_assert_uint_eq(jail->nr_cgroups, 2);
	ck_assert_str_eq(jail->cgroup[0].path, "/a");
	ck_assert_uint_eq(jail->cgroup[0].memory, GIB(2));
	ck_assert_uint_eq(jail->cgroup[0].cpu_ns, 500000000);
	ck_assert_uint_eq(jail->cgroup[0].tasks, 9);
	ck_assert_str_eq(jail->cgroup[1].path, "/b");
	ck_assert_uint_eq(jail->cgroup[1].memory, 0);
	ck_assert_uint_eq(config.required, 1u << LAYER_ROOT |
						   1u << LAYER_LANDLOCK |
						   1u << LAYER_SECCOMP);
}
END_TEST

START_TEST(words_alone)
{
	char none[] = "", path[] = "--jail --netns ./n";

	ck_assert_int_eq(parse(none), CONFIG_OK);
	ck_assert(!config.jail.wanted && !config.required);
	ck_assert_int_eq(parse(path), CONFIG_OK);
	ck_assert_ptr_null(config.jail.dir);
	ck_assert_str_eq(config.jail.netns, "./n");
	ck_assert(!config.jail.new_net && !config.jail.has_uid);
}
END_TEST

START_TEST(layer_words)
{
	for (int i = 0; i < NR_LAYERS; i++) {
		const char *name = layer_name((enum layer)i);

		ck_assert_int_eq(layer_find(name, strlen(name)), i);
		ck_assert_int_eq(layer_find(name, strlen(name) - 1), -1);
	}
	ck_assert_int_eq(layer_find("", 0), -1);
}
END_TEST

/* The first failure of a layer stands, whatever comes after it. */
START_TEST(layer_states)
{
	struct lockdown l = { 0 };
	char why[100];

	ck_assert_str_eq(layer_why(&l, LAYER_ROOT, why, sizeof(why)),
			 "not asked for");
	layer_holds(&l, LAYER_ROOT);
	ck_assert(l.layer[LAYER_ROOT].holds);
	layer_lacks(&l, LAYER_ROOT, "one", -EPERM);
	ck_assert(!l.layer[LAYER_ROOT].holds);
	layer_holds(&l, LAYER_ROOT);
	errno = ENOSYS;
	layer_tried(&l, LAYER_ROOT, "two", -1);
	ck_assert(!l.layer[LAYER_ROOT].holds);
	ck_assert_str_eq(layer_why(&l, LAYER_ROOT, why, sizeof(why)),
			 "one: Operation not permitted");
	layer_tried(&l, LAYER_SEAL, "three", 0);
	ck_assert(l.layer[LAYER_SEAL].holds);
}
END_TEST

START_TEST(layer_report)
{
	struct lockdown l = { 0 };
	char text[4096];
	size_t len;
	json_t *all, *layers;

	layer_holds(&l, LAYER_ROOT);
	layer_lacks(&l, LAYER_NET_NS, "unshare CLONE_NEWNET", -EPERM);
	len = lockdown_json(&l, text, sizeof(text));
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_int_eq(text[len - 1], '\n');
	all = json_loads(text, 0, NULL);
	layers = json_object_get(all, "lockdown");
	ck_assert_uint_eq(json_object_size(layers), NR_LAYERS);
	ck_assert(json_is_true(
		json_object_get(json_object_get(layers, "root"), "holds")));
	ck_assert_str_eq(json_string_value(json_object_get(
				 json_object_get(layers, "net-ns"), "why")),
			 "unshare CLONE_NEWNET: Operation not permitted");
	json_decref(all);
	/* Room for all of it or for nothing. */
	for (size_t room = 1; room <= len; room++)
		ck_assert_uint_eq(lockdown_json(&l, text, room), 0);
	ck_assert_uint_eq(lockdown_json(&l, text, len + 1), len);
}
END_TEST

static const struct {
	const char *path; /* in the scratch directory */
	int ret;	  /* 0: it opens */
} directories[] = {
	{ "good", 0 },
	{ "good/", 0 },
	{ "good//in", 0 },
	{ "good/in/..", 0 },
	{ "sticky/in", 0 },
	{ "sticky", -EPERM },
	{ "open", -EPERM },
	{ "open/in", -EPERM },
	{ "open/in/../../good", -EPERM },
	{ "group", -EPERM },
	{ "link", -ELOOP },
	{ "link/in", -ELOOP },
	{ "link/../good", -ELOOP },
	{ "loop", -ELOOP },
	{ "file", -ENOTDIR },
	{ "file/in", -ENOTDIR },
	{ "none", -ENOENT },
	{ "none/in", -ENOENT },
};

static const char *in_scratch(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	return path;
}

static void make_directory(const char *name, mode_t mode)
{
	ck_assert_int_eq(mkdir(in_scratch(name), 0755), 0);
	ck_assert_int_eq(chmod(in_scratch(name), mode), 0);
}

START_TEST(directory)
{
	int fd = directory_open(in_scratch(directories[_i].path), NOBODY);

	if (directories[_i].ret < 0) {
		ck_assert_int_eq(fd, directories[_i].ret);
		return;
	}
	ck_assert_int_ge(fd, 3);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}
END_TEST

/* Root's, ours and the given user's; nobody else's. */
START_TEST(directory_owner)
{
	int fd;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(in_scratch("good"), 1234, 0), 0);
	ck_assert_int_eq(directory_open(in_scratch("good/in"), NOBODY), -EPERM);
	fd = directory_open(in_scratch("good/in"), 1234);
	ck_assert_int_ge(fd, 3);
	close(fd);
	ck_assert_int_eq(chown(in_scratch("good"), 0, 0), 0);
}
END_TEST

START_TEST(directory_relative)
{
	int here = open(".", O_PATH | O_DIRECTORY);
	int fd;

	ck_assert_int_eq(chdir(in_scratch("good")), 0);
	fd = directory_open("in", NOBODY);
	ck_assert_int_ge(fd, 3);
	close(fd);
	fd = directory_open(".", NOBODY);
	ck_assert_int_ge(fd, 3);
	ck_assert_int_eq(directory_is_empty(fd), 0);
	close(fd);
	ck_assert_int_eq(chdir(in_scratch("open")), 0);
	ck_assert_int_eq(directory_open("in", NOBODY), -EPERM);
	ck_assert_int_eq(fchdir(here), 0);
	close(here);
}
END_TEST

START_TEST(directory_empty)
{
	int fd = directory_open(in_scratch("good/in"), NOBODY);

	ck_assert_int_eq(directory_is_empty(fd), 1);
	close(fd);
	ck_assert_int_eq(directory_is_empty(-1), -EBADF);
}
END_TEST

/* Not a cgroup: nothing is made there. */
START_TEST(cgroup_elsewhere)
{
	struct cgroup_config c = { .path = in_scratch("good/group") };
	const char *file;
	struct cgroup group;

	ck_assert_int_eq(cgroup_open(&group, &c, NOBODY, &file), -ENODEV);
	ck_assert_int_eq(access(in_scratch("good/group"), F_OK), -1);
	c.path = in_scratch("good/in");
	ck_assert_int_eq(cgroup_open(&group, &c, NOBODY, &file), -ENODEV);
	ck_assert_int_eq(access(in_scratch("good/in"), F_OK), 0);
	c.path = "/";
	ck_assert_int_eq(cgroup_open(&group, &c, NOBODY, &file), -ENODEV);
}
END_TEST

static int in_child(int (*function)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(function());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int close_some(void)
{
	static const int keep[] = { 40, 7, 2, 1000000 };
	struct lockdown l = { 0 };

	for (int fd = 3; fd < 50; fd++)
		if (dup2(2, fd) != fd)
			return 1;
	descriptors_close(&l, keep, 4);
	for (int fd = 0; fd < 60; fd++) {
		bool kept = fd <= 2 || fd == 7 || fd == 40;

		if ((fcntl(fd, F_GETFD) >= 0) != kept)
			return fd + 10;
	}
	return l.layer[LAYER_DESCRIPTORS].holds ? 0 : 2;
}

START_TEST(descriptors)
{
	ck_assert_int_eq(in_child(close_some), 0);
}
END_TEST

static int wipe(void)
{
	struct lockdown l = { 0 };
	char *word;

	setenv("WORD", "secret", 1);
	word = getenv("WORD");
	environment_wipe(&l);
	if (getenv("WORD") || getenv("PATH") || *word)
		return 1;
	return l.layer[LAYER_ENVIRONMENT].holds ? 0 : 2;
}

START_TEST(environment)
{
	ck_assert_int_eq(in_child(wipe), 0);
}
END_TEST

/* Memory stays where it is, its content can be written and given back; what is
 * a file's can be replaced.
 */
START_TEST(sealed_memory)
{
	static uint8_t content[4 * PAGE_SIZE];
	struct guest_memory gm = { 0 };
	FILE *file = tmpfile();
	uint8_t *ram, byte;
	int ret;

	memset(content, 7, sizeof(content));
	ck_assert_uint_eq(fwrite(content, 1, sizeof(content), file),
			  sizeof(content));
	fflush(file);
	ck_assert_int_eq(gmem_map(&gm, 0, 16 * PAGE_SIZE), 0);
	ck_assert_int_eq(gmem_load_file(&gm, 4 * PAGE_SIZE, fileno(file), 0,
					sizeof(content), false),
			 0);
	fclose(file);
	ck_assert_uint_eq(gm.nr_pieces, 1);
	ret = gmem_seal(&gm);
	if (ret == -ENOSYS)
		return; /* a kernel before 6.10 */
	ck_assert_int_eq(ret, 0);
	ram = gmem_ptr_mut(&gm, 0, PAGE_SIZE);
	ck_assert_int_eq(mprotect(ram, PAGE_SIZE, PROT_READ), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(munmap(ram - PAGE_SIZE, PAGE_SIZE), -1);
	ck_assert_int_eq(mprotect(ram + 16 * PAGE_SIZE, PAGE_SIZE, PROT_READ),
			 -1);
	ck_assert_int_eq(mprotect(ram + 15 * PAGE_SIZE, PAGE_SIZE, PROT_READ),
			 -1);
	memset(ram, 9, PAGE_SIZE);
	ck_assert_int_eq(gmem_discard(&gm, 0, PAGE_SIZE), 0);
	ck_assert_uint_eq(ram[0], 0);
	ck_assert_int_eq(gmem_discard(&gm, 5 * PAGE_SIZE, PAGE_SIZE), 0);
	ck_assert_int_eq(gmem_read(&gm, 5 * PAGE_SIZE, &byte, 1), 0);
	ck_assert_uint_eq(byte, 0);
	ck_assert_int_eq(gmem_read(&gm, 6 * PAGE_SIZE, &byte, 1), 0);
	ck_assert_uint_eq(byte, 7);
}
END_TEST

static void make_scratch(void)
{
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	ck_assert_int_eq(chmod(scratch, 0755), 0);
	make_directory("good", 0755);
	make_directory("good/in", 0700);
	make_directory("sticky", 01777);
	make_directory("sticky/in", 0755);
	make_directory("open", 0755);
	make_directory("open/in", 0755);
	ck_assert_int_eq(chmod(in_scratch("open"), 0777), 0);
	make_directory("group", 0775);
	ck_assert_int_eq(symlink("good", in_scratch("link")), 0);
	ck_assert_int_eq(symlink("loop", in_scratch("loop")), 0);
	close(open(in_scratch("file"), O_CREAT | O_WRONLY, 0644));
}

static void remove_scratch(void)
{
	char line[200];

	snprintf(line, sizeof(line), "rm -rf %s", scratch);
	ck_assert_int_eq(system(line), 0);
}

static Suite *suite(void)
{
	Suite *s = suite_create("jail");
	TCase *tc = tcase_create("jail");

	tcase_add_unchecked_fixture(tc, make_scratch, remove_scratch);
	tcase_add_test(tc, words);
	tcase_add_test(tc, words_alone);
	tcase_add_test(tc, layer_words);
	tcase_add_test(tc, layer_states);
	tcase_add_test(tc, layer_report);
	tcase_add_loop_test(tc, directory, 0, ARRAY_SIZE(directories));
	tcase_add_test(tc, directory_owner);
	tcase_add_test(tc, directory_relative);
	tcase_add_test(tc, directory_empty);
	tcase_add_test(tc, cgroup_elsewhere);
	tcase_add_test(tc, descriptors);
	tcase_add_test(tc, environment);
	tcase_add_test(tc, sealed_memory);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
