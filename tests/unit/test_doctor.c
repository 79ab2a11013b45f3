// SPDX-License-Identifier: Apache-2.0
/*
 * test_doctor.c - the doctor: made-up hosts, and the command itself
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>
#include <linux/kvm.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/doctor.h"
#include "vmm/host.h"
#include "vmm/report.h"

#define NOBODY 65534

/* A host that lacks nothing. */
static struct host perfect_host(void)
{
	struct host host = {
		.module = "kvm_amd",
		.hardware = true,
		.paging = "NPT",
		.recommended_vcpus = 8,
		.max_vcpus = 1024,
		.minstr_per_s = 3200,
		.landlock = 7,
		.cgroup = 2,
		.thp = "madvise",
		.pool = { { .page_kib = 2048, .total = 64, .free = 60 },
			  { .page_kib = 1048576 } },
		.nr_pools = 2,
		.memory_mib = 16000,
		.available_mib = 12000,
		.cpus = 8,
	};

	for (size_t i = 0; i < kvm_nr_capabilities; i++)
		host.capability[i] = 1;
	return host;
}

static void set_capability(struct host *host, int number, int value)
{
	for (size_t i = 0; i < kvm_nr_capabilities; i++) {
		if (kvm_capabilities[i].number == number)
			host->capability[i] = value;
	}
}

static const struct check_row *find(const struct report *r, const char *name)
{
	for (size_t i = 0; i < r->nr_rows; i++) {
		if (!strcmp(r->row[i].name, name))
			return &r->row[i];
	}
	ck_abort_msg("no row \"%s\"", name);
	return NULL;
}

START_TEST(perfect_host_lacks_nothing)
{
	struct host host = perfect_host();
	struct report r;

	doctor_judge(&host, &r);
	ck_assert(r.ok);
	ck_assert_str_eq(r.verdict,
			 "A stock Linux guest can run here: this host's KVM "
			 "(kvm_amd, NPT paging) runs guest kernel code at "
			 "about 3200 million instructions a second.");
	ck_assert_uint_eq(r.nr_rows, 17 + kvm_nr_capabilities);
	for (size_t i = 0; i < r.nr_rows; i++) {
		ck_assert_msg(r.row[i].state == CHECK_OK, "%s", r.row[i].name);
		ck_assert_str_eq(r.row[i].remedy, "");
		ck_assert_str_ne(r.row[i].value, "");
		ck_assert_str_ne(r.row[i].purpose, "");
	}
	ck_assert_str_eq(find(&r, "hugetlb pools")->value, "60/64 2M, 0/0 1G");
}
END_TEST

/* One lack each, as it changes the perfect host. */
static void no_landlock(struct host *h)
{
	h->landlock = -ENOSYS;
}
static void landlock_off(struct host *h)
{
	h->landlock = -EOPNOTSUPP;
}
static void no_mseal(struct host *h)
{
	h->mseal = -ENOSYS;
}
static void no_cgroup(struct host *h)
{
	h->cgroup = 0;
}
static void no_userns(struct host *h)
{
	h->user_namespaces = -EPERM;
}
static void userns_limit(struct host *h)
{
	h->user_namespaces = -ENOSPC;
}
static void no_uffd(struct host *h)
{
	h->userfaultfd = -EPERM;
}
static void uffd_not_built(struct host *h)
{
	h->userfaultfd = -ENOSYS;
}
static void no_tun(struct host *h)
{
	h->tun = -ENOENT;
}
static void tun_forbidden(struct host *h)
{
	h->tun = -EACCES;
}
static void uring_off(struct host *h)
{
	h->io_uring = -EPERM;
}
static void uring_not_built(struct host *h)
{
	h->io_uring = -ENOSYS;
}
static void thp_never(struct host *h)
{
	strcpy(h->thp, "never");
}
static void thp_not_built(struct host *h)
{
	h->thp[0] = '\0';
}
static void empty_pools(struct host *h)
{
	h->pool[0].total = h->pool[0].free = 0;
}
static void no_pools(struct host *h)
{
	h->nr_pools = 0;
}
static void little_memory(struct host *h)
{
	h->available_mib = 255;
}
static void one_cpu(struct host *h)
{
	h->cpus = 1;
}
static void npt_off(struct host *h)
{
	h->paging = "shadow";
}
static void ept_off(struct host *h)
{
	h->module = "kvm_intel";
	h->paging = "shadow";
}
static void no_quirks(struct host *h)
{
	set_capability(h, KVM_CAP_DISABLE_QUIRKS, 0);
}
static void no_tsc_deadline(struct host *h)
{
	set_capability(h, KVM_CAP_TSC_DEADLINE_TIMER, 0);
}
/* An emulated CPU may be slow and still get a kernel to its init. */
static void slow_hardware(struct host *h)
{
	h->minstr_per_s = 5;
}
static void unknown_module(struct host *h)
{
	h->module = "KVM";
	h->hardware = false;
}

static const struct {
	void (*lack)(struct host *host);
	const char *name;
	const char *value;
	const char *remedy; /* part of it */
} limits[] = {
	{ no_landlock, "Landlock", "Function not implemented", "Linux 5.13" },
	{ landlock_off, "Landlock", "Operation not supported", "lsm=" },
	{ no_mseal, "sealed mappings", "Function not implemented",
	  "Linux 6.10" },
	{ no_cgroup, "control groups", "not mounted", "cgroup2" },
	{ no_userns, "user namespaces", "Operation not permitted", "sysctl" },
	{ userns_limit, "user namespaces", "No space left on device",
	  "user.max_user_namespaces" },
	{ no_uffd, "userfaultfd", "Operation not permitted",
	  "vm.unprivileged_userfaultfd=1" },
	{ uffd_not_built, "userfaultfd", "Function not implemented",
	  "CONFIG_USERFAULTFD" },
	{ no_tun, "/dev/net/tun", "No such file or directory", "modprobe tun" },
	{ tun_forbidden, "/dev/net/tun", "Permission denied", "chmod" },
	{ uring_off, "io_uring", "Operation not permitted",
	  "kernel.io_uring_disabled=0" },
	{ uring_not_built, "io_uring", "Function not implemented",
	  "CONFIG_IO_URING" },
	{ thp_never, "transparent huge pages", "never", "echo madvise" },
	{ thp_not_built, "transparent huge pages", "not built in",
	  "CONFIG_TRANSPARENT_HUGEPAGE" },
	{ empty_pools, "hugetlb pools", "0/0 2M, 0/0 1G", "vm.nr_hugepages" },
	{ no_pools, "hugetlb pools", "not built in", "CONFIG_HUGETLBFS" },
	{ little_memory, "memory", "255/16000 MiB", "end other programs" },
	{ one_cpu, "CPUs", "1", "second CPU" },
	{ npt_off, "guest paging", "shadow", "load kvm_amd with npt=1" },
	{ ept_off, "guest paging", "shadow", "load kvm_intel with ept=1" },
	{ no_quirks, "DISABLE_QUIRKS", "0", "Linux 4.11" },
	{ no_tsc_deadline, "TSC_DEADLINE_TIMER", "0", "Linux 4.11" },
	{ slow_hardware, "guest kernel speed", "5.0 M instr/s", "make demo" },
	{ unknown_module, "KVM module", "KVM", "VT-x (kvm_intel)" },
};

START_TEST(one_lack_limits_one_row)
{
	struct host host = perfect_host();
	const struct check_row *row;
	struct report r;

	limits[_i].lack(&host);
	doctor_judge(&host, &r);
	ck_assert(r.ok);
	row = find(&r, limits[_i].name);
	ck_assert_int_eq(row->state, CHECK_LIMITED);
	ck_assert_str_eq(row->value, limits[_i].value);
	ck_assert_msg(strstr(row->remedy, limits[_i].remedy), "%s",
		      row->remedy);
	for (size_t i = 0; i < r.nr_rows; i++) {
		if (&r.row[i] != row)
			ck_assert_int_eq(r.row[i].state, CHECK_OK);
	}
}
END_TEST

START_TEST(interpreting_host)
{
	struct host host = perfect_host();
	struct report r;

	host.module = "kvm_pvm";
	host.hardware = false;
	host.paging = "shadow";
	host.minstr_per_s = 1.1;
	doctor_judge(&host, &r);
	ck_assert(!r.ok);
	ck_assert_str_eq(r.verdict,
			 "A stock Linux guest cannot run here: this host's KVM "
			 "(kvm_pvm) interprets guest kernel code at about 1.1 "
			 "million instructions a second. Use a host with VT-x "
			 "or AMD-V; `make demo` shows one emulated.");
	ck_assert_int_eq(find(&r, "guest kernel speed")->state, CHECK_MISSING);
	ck_assert_int_eq(find(&r, "KVM module")->state, CHECK_LIMITED);
	ck_assert_str_eq(find(&r, "guest paging")->remedy,
			 "a host whose CPU has EPT or NPT");
}
END_TEST

START_TEST(fast_without_hardware)
{
	struct host host = perfect_host();
	struct report r;

	/* What counts is the measurement, not the module's name. */
	host.module = "kvm_pvm";
	host.hardware = false;
	doctor_judge(&host, &r);
	ck_assert(r.ok);
	ck_assert_int_eq(find(&r, "guest kernel speed")->state, CHECK_OK);
}
END_TEST

START_TEST(no_kvm)
{
	struct host host = perfect_host();
	size_t unknown = 0;
	struct report r;

	host.kvm = -ENOENT;
	strcpy(host.kvm_error.text, "no /dev/kvm: reason; do this");
	doctor_judge(&host, &r);
	ck_assert(!r.ok);
	ck_assert_str_eq(r.verdict, "A stock Linux guest cannot run here: no "
				    "/dev/kvm: reason; do this.");
	ck_assert_int_eq(find(&r, "/dev/kvm")->state, CHECK_MISSING);
	ck_assert_str_eq(find(&r, "/dev/kvm")->value,
			 "No such file or directory");
	ck_assert_str_eq(find(&r, "/dev/kvm")->remedy, host.kvm_error.text);
	for (size_t i = 0; i < r.nr_rows; i++)
		unknown += r.row[i].state == CHECK_UNKNOWN;
	/* Every capability, paging, speed, vCPUs. */
	ck_assert_uint_eq(unknown, kvm_nr_capabilities + 3);
	ck_assert_int_eq(find(&r, "Landlock")->state, CHECK_OK);
}
END_TEST

START_TEST(required_capability_missing)
{
	struct host host = perfect_host();
	struct report r;

	set_capability(&host, KVM_CAP_IOEVENTFD, 0);
	doctor_judge(&host, &r);
	ck_assert(!r.ok);
	ck_assert_int_eq(find(&r, "IOEVENTFD")->state, CHECK_MISSING);
	ck_assert_str_eq(r.verdict,
			 "A stock Linux guest cannot run here: this host's KVM "
			 "lacks KVM_CAP_IOEVENTFD (doorbells that do not stop "
			 "the vCPU). Use Linux 4.11 or later on the host.");
}
END_TEST

START_TEST(trial_guest_does_not_run)
{
	struct host host = perfect_host();
	struct report r;

	host.speed = -EBUSY;
	doctor_judge(&host, &r);
	ck_assert(!r.ok);
	ck_assert_int_eq(find(&r, "guest kernel speed")->state, CHECK_MISSING);
	ck_assert_str_ne(find(&r, "guest kernel speed")->remedy, "");
	ck_assert_ptr_nonnull(strstr(r.verdict, "Device or resource busy"));
}
END_TEST

START_TEST(no_seccomp)
{
	struct host host = perfect_host();
	struct report r;

	host.seccomp = -ENOSYS;
	doctor_judge(&host, &r);
	ck_assert(!r.ok);
	ck_assert_int_eq(find(&r, "seccomp filters")->state, CHECK_MISSING);
	ck_assert_ptr_nonnull(strstr(r.verdict, "no seccomp filters"));
}
END_TEST

START_TEST(every_lack_has_a_remedy)
{
	struct host host = { .module = "KVM", .paging = "shadow" };
	size_t lacks = 0;
	struct report r;

	host.speed = host.landlock = host.user_namespaces = -EPERM;
	host.userfaultfd = host.tun = host.io_uring = -EPERM;
	host.seccomp = host.mseal = -ENOSYS;
	doctor_judge(&host, &r);
	for (size_t i = 0; i < r.nr_rows; i++) {
		if (r.row[i].state == CHECK_OK)
			continue;
		lacks++;
		ck_assert_str_ne(r.row[i].remedy, "");
		ck_assert_uint_lt(strlen(r.row[i].remedy),
				  sizeof(r.row[i].remedy) - 1);
	}
	/* All but /dev/kvm itself and the number of vCPUs. */
	ck_assert_uint_eq(lacks, r.nr_rows - 2);
}
END_TEST

/* Runs doctor_main(), as nobody where that is possible, in a child whose output
 * goes to OUT; its exit status.
 */
static int run_doctor(char **argv, int argc, bool nobody, int out)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (dup2(out, STDOUT_FILENO) < 0 ||
		    dup2(out, STDERR_FILENO) < 0)
			_exit(99);
		if (nobody && geteuid() == 0 &&
		    (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)))
			_exit(98);
		status = doctor_main(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The same; TEXT is what it printed. */
static int doctor_says(const char *argument, bool nobody, char *text,
		       size_t size)
{
	char command[] = "doctor", word[32] = "";
	char *argv[] = { command, word, NULL };
	FILE *out = tmpfile();
	size_t got;
	int status;

	ck_assert_ptr_nonnull(out);
	snprintf(word, sizeof(word), "%s", argument);
	status = run_doctor(argv, *argument ? 2 : 1, nobody, fileno(out));
	rewind(out);
	got = fread(text, 1, size - 1, out);
	text[got] = '\0';
	fclose(out);
	return status;
}

START_TEST(command_prints_a_table)
{
	static char text[16384];
	int status = doctor_says("", _i, text, sizeof(text));
	const char *verdict = strstr(text, "\n\nA stock Linux guest can");

	ck_assert_msg(status == 0 || status == 1, "%d: %s", status, text);
	ck_assert_ptr_nonnull(strstr(text, "/dev/kvm"));
	ck_assert_ptr_null(strchr(text, '\033'));
	/* The verdict is the last paragraph and agrees with the status. */
	ck_assert_ptr_nonnull(verdict);
	ck_assert_ptr_null(strstr(verdict + 2, "\n\n"));
	ck_assert_int_eq(strstr(verdict, "cannot") != NULL, status);
	/* But for a command, which is there to be copied. */
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_msg(strlen(line) <= 80 || strchr(line, '`'), "%s",
			      line);
}
END_TEST

START_TEST(command_prints_json)
{
	static char text[32768];
	int status = doctor_says("--json", _i, text, sizeof(text));
	json_t *root = json_loads(text, 0, NULL);

	ck_assert_ptr_nonnull(root);
	ck_assert_int_eq(json_is_true(json_object_get(root, "ok")),
			 status == 0);
	json_decref(root);
}
END_TEST

START_TEST(command_refuses)
{
	char text[4096];

	ck_assert_int_eq(doctor_says("--jsn", false, text, sizeof(text)), 125);
	ck_assert_ptr_nonnull(strstr(text, "\"--jsn\""));
	ck_assert_ptr_nonnull(strstr(text, "--help"));
	/* One line. */
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

START_TEST(command_helps)
{
	char text[4096];

	ck_assert_int_eq(doctor_says("--help", false, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "Usage: mote doctor"));
	ck_assert_ptr_nonnull(strstr(text, "Example: "));
}
END_TEST

START_TEST(command_notices_a_full_disk)
{
	char command[] = "doctor", option[] = "--json";
	char *argv[] = { command, option, NULL };
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(full, 0);
	ck_assert_int_eq(run_doctor(argv, 1, false, full), 125);
	ck_assert_int_eq(run_doctor(argv, 2, false, full), 125);
	close(full);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("doctor");
	TCase *judge = tcase_create("judge");
	TCase *command = tcase_create("command");

	tcase_add_test(judge, perfect_host_lacks_nothing);
	tcase_add_loop_test(judge, one_lack_limits_one_row, 0,
			    ARRAY_SIZE(limits));
	tcase_add_test(judge, interpreting_host);
	tcase_add_test(judge, fast_without_hardware);
	tcase_add_test(judge, no_kvm);
	tcase_add_test(judge, required_capability_missing);
	tcase_add_test(judge, trial_guest_does_not_run);
	tcase_add_test(judge, no_seccomp);
	tcase_add_test(judge, every_lack_has_a_remedy);
	suite_add_tcase(s, judge);

	/* As this user and as nobody. */
	tcase_add_loop_test(command, command_prints_a_table, 0, 2);
	tcase_add_loop_test(command, command_prints_json, 0, 2);
	tcase_add_test(command, command_refuses);
	tcase_add_test(command, command_helps);
	tcase_add_test(command, command_notices_a_full_disk);
	suite_add_tcase(s, command);
	return s;
}

UNIT_MAIN(suite)
