// SPDX-License-Identifier: Apache-2.0
/*
 * test_kvm.c - /dev/kvm: messages, capabilities, vendor modules, guest speed
 *
 * Works without /dev/kvm; what needs it is tested only where it opens.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/kvm.h"
#include "vmm/speed.h"

static bool one_line(const char *text)
{
	return text[0] && !strchr(text, '\n');
}

static const struct {
	int error;
	struct kvm_surroundings around;
	const char *cause;
	const char *remedy;
} failures[] = {
	{ ENOENT, { .cpu_vmx = true }, "not loaded", "modprobe kvm_intel" },
	{ ENOENT, { .cpu_svm = true }, "not loaded", "modprobe kvm_amd" },
	{ ENODEV, { .cpu_svm = true }, "not loaded", "modprobe kvm_amd" },
	{ ENXIO, { .cpu_vmx = true }, "not loaded", "modprobe kvm_intel" },
	{ ENOENT, { .group = "" }, "no VT-x or AMD-V", "nested" },
	{ ENOENT,
	  { .cpu_vmx = true, .in_container = true },
	  "container",
	  "--device /dev/kvm" },
	{ EACCES,
	  { .group_access = true, .group = "kvm" },
	  "belongs to group kvm",
	  "usermod -aG kvm $USER" },
	{ EACCES,
	  { .group_access = true, .group = "104" },
	  "belongs to group 104",
	  "usermod -aG 104 $USER" },
	{ EACCES, { .group = "kvm" }, "root alone", "chmod 660" },
	{ EACCES,
	  { .group_access = true, .group = "root" },
	  "root alone",
	  "chgrp kvm" },
	{ EPERM, { .cpu_svm = true }, "forbids", "--device /dev/kvm" },
	{ EBUSY, { .cpu_svm = true }, "another hypervisor", "stop" },
	{ EMFILE, { .cpu_svm = true }, "cannot open", "Too many open files" },
};

START_TEST(open_failure_names_cause_and_remedy)
{
	struct kvm_error err = { "" };

	kvm_explain_open(failures[_i].error, &failures[_i].around, &err);
	ck_assert(one_line(err.text));
	ck_assert_msg(strstr(err.text, failures[_i].cause), "%s", err.text);
	ck_assert_msg(strstr(err.text, failures[_i].remedy), "%s", err.text);
	/* Not cut. */
	ck_assert_uint_lt(strlen(err.text), sizeof(err.text) - 1);
}
END_TEST

START_TEST(open_without_node)
{
	struct kvm_error err = { "" };

	ck_assert_int_eq(kvm_open_at("/nonexistent/kvm", &err), -ENOENT);
	ck_assert(one_line(err.text));
}
END_TEST

START_TEST(open_of_another_device)
{
	struct kvm_error err = { "" };
	int before = dup(0), after;

	close(before);
	ck_assert_int_eq(kvm_open_at("/dev/null", &err), -ENOTTY);
	ck_assert_ptr_nonnull(strstr(err.text, "not KVM's"));
	after = dup(0);
	close(after);
	ck_assert_int_eq(before, after);
}
END_TEST

START_TEST(open_for_real)
{
	struct kvm_error err = { "" };
	int fd = kvm_open(&err);
	int vm;

	if (fd < 0) {
		ck_assert(one_line(err.text));
		return;
	}
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	ck_assert_int_eq(kvm_require(fd, &err), 0);
	ck_assert_uint_ge(kvm_recommended_vcpus(fd), 1);
	ck_assert_uint_ge(kvm_max_vcpus(fd), kvm_recommended_vcpus(fd));
	vm = kvm_create_vm(fd, &err);
	ck_assert_int_ge(vm, 0);
	close(vm);
	close(fd);
}
END_TEST

START_TEST(no_vm_without_kvm)
{
	struct kvm_error err = { "" };

	ck_assert_int_eq(kvm_create_vm(-1, &err), -EBADF);
	ck_assert(one_line(err.text));
}
END_TEST

START_TEST(capability_table_is_sound)
{
	bool optional = false;

	for (size_t i = 0; i < kvm_nr_capabilities; i++) {
		const struct kvm_capability *c = &kvm_capabilities[i];

		ck_assert(one_line(c->name));
		ck_assert(one_line(c->purpose));
		ck_assert(one_line(c->remedy));
		/* Required ones first. */
		ck_assert(!(optional && c->required));
		optional |= !c->required;
		for (size_t j = 0; j < i; j++)
			ck_assert_int_ne(c->number, kvm_capabilities[j].number);
	}
	ck_assert(optional);
}
END_TEST

START_TEST(missing_capability_is_named)
{
	struct kvm_error err = { "" };

	/* A descriptor that knows no capability at all. */
	ck_assert_int_eq(kvm_capability(-1, KVM_CAP_IRQCHIP), 0);
	ck_assert_int_eq(kvm_require(-1, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "KVM_CAP_IRQCHIP"));
	ck_assert_ptr_nonnull(strstr(err.text, "local APICs"));
	ck_assert_ptr_nonnull(strstr(err.text, "Linux 4.11"));
}
END_TEST

START_TEST(vcpus_without_capability)
{
	/* KVM api.rst, KVM_CREATE_VCPU: 4 when neither capability is there. */
	ck_assert_uint_eq(kvm_recommended_vcpus(-1), 4);
	ck_assert_uint_eq(kvm_max_vcpus(-1), 4);
}
END_TEST

/* A made-up /sys/module. */
struct tree {
	char root[32];
	char parameter[96];
	char made[2][80];
};

static void tree_make(struct tree *t, const char *first, const char *second,
		      const char *parameter, const char *value)
{
	const char *const module[] = { first, second };
	FILE *f;

	*t = (struct tree){ .root = "/tmp/test_kvm.XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(t->root));
	for (size_t i = 0; i < ARRAY_SIZE(module); i++) {
		if (!module[i])
			continue;
		snprintf(t->made[i], sizeof(t->made[i]), "%s/%s", t->root,
			 module[i]);
		ck_assert_int_eq(mkdir(t->made[i], 0700), 0);
	}
	if (!parameter)
		return;
	snprintf(t->parameter, sizeof(t->parameter), "%s/parameters",
		 t->made[0]);
	ck_assert_int_eq(mkdir(t->parameter, 0700), 0);
	snprintf(t->parameter, sizeof(t->parameter), "%s/parameters/%s",
		 t->made[0], parameter);
	f = fopen(t->parameter, "we");
	ck_assert_ptr_nonnull(f);
	fputs(value, f);
	fclose(f);
}

static void tree_remove(struct tree *t)
{
	if (t->parameter[0]) {
		unlink(t->parameter);
		*strrchr(t->parameter, '/') = '\0';
		rmdir(t->parameter);
	}
	for (size_t i = 0; i < ARRAY_SIZE(t->made); i++) {
		if (t->made[i][0])
			rmdir(t->made[i]);
	}
	ck_assert_int_eq(rmdir(t->root), 0);
}

static const struct {
	const char *module[2];
	const char *parameter;
	const char *value;
	bool hardware;
	const char *named;
	const char *paging;
} vendors[] = {
	{ { "kvm_amd" }, "npt", "Y\n", true, "kvm_amd", "NPT" },
	{ { "kvm_amd" }, "npt", "1\n", true, "kvm_amd", "NPT" },
	{ { "kvm_amd" }, "npt", "0\n", true, "kvm_amd", "shadow" },
	{ { "kvm_amd" }, "npt", "", true, "kvm_amd", "shadow" },
	{ { "kvm_amd" }, "ept", "Y\n", true, "kvm_amd", "shadow" },
	{ { "kvm_intel" }, "ept", "Y\n", true, "kvm_intel", "EPT" },
	{ { "kvm_intel" }, "ept", "N\n", true, "kvm_intel", "shadow" },
	{ { "kvm_intel" }, NULL, NULL, true, "kvm_intel", "shadow" },
	/* Built-in modules are listed without hardware, too. */
	{ { "kvm_intel", "kvm_pvm" }, "ept", "Y", false, "kvm_pvm", "shadow" },
	{ { "kvm_pvm" }, NULL, NULL, false, "kvm_pvm", "shadow" },
	{ { "kvm" }, NULL, NULL, false, "KVM", "shadow" },
	{ { NULL }, NULL, NULL, false, "KVM", "shadow" },
};

START_TEST(vendor_module)
{
	const char *module = NULL;
	struct tree t;

	tree_make(&t, vendors[_i].module[0], vendors[_i].module[1],
		  vendors[_i].parameter, vendors[_i].value);
	ck_assert(kvm_hardware_at(t.root, &module) == vendors[_i].hardware);
	ck_assert_str_eq(module, vendors[_i].named);
	ck_assert_str_eq(kvm_paging_at(t.root), vendors[_i].paging);
	tree_remove(&t);
}
END_TEST

START_TEST(speed_for_real)
{
	struct kvm_error err;
	int fd = kvm_open(&err);
	int before = dup(0), after;
	double speed = 0;

	close(before);
	if (fd < 0)
		return;
	ck_assert_int_eq(speed_probe(fd, &speed), 0);
	/* Whatever runs this, neither a snail nor a thousand GHz. */
	ck_assert_double_gt(speed, 0.01);
	ck_assert_double_lt(speed, 1e6);
	after = dup(0);
	close(after);
	ck_assert_int_eq(before, after);
	close(fd);
}
END_TEST

START_TEST(speed_without_kvm)
{
	double speed = 0;

	ck_assert_int_eq(speed_probe(-1, &speed), -EBADF);
}
END_TEST

START_TEST(speed_message)
{
	struct kvm_error err = { "" };

	speed_explain("kvm_pvm", 1.13, &err);
	ck_assert_str_eq(err.text,
			 "this host's KVM (kvm_pvm) interprets guest kernel "
			 "code at about 1.1 million instructions a second. Use "
			 "a host with VT-x or AMD-V; `make demo` shows one "
			 "emulated");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("kvm");
	TCase *tc = tcase_create("kvm");

	tcase_add_loop_test(tc, open_failure_names_cause_and_remedy, 0,
			    ARRAY_SIZE(failures));
	tcase_add_test(tc, open_without_node);
	tcase_add_test(tc, open_of_another_device);
	tcase_add_test(tc, open_for_real);
	tcase_add_test(tc, no_vm_without_kvm);
	tcase_add_test(tc, capability_table_is_sound);
	tcase_add_test(tc, missing_capability_is_named);
	tcase_add_test(tc, vcpus_without_capability);
	tcase_add_loop_test(tc, vendor_module, 0, ARRAY_SIZE(vendors));
	tcase_add_test(tc, speed_for_real);
	tcase_add_test(tc, speed_without_kvm);
	tcase_add_test(tc, speed_message);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
