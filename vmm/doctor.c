// SPDX-License-Identifier: Apache-2.0
/*
 * doctor.c - `mote doctor`: what this host offers a guest, and what it lacks
 *
 * host_look() finds the facts, the table of checks says what they mean and what
 * to do, report.c prints.  A check sees only the facts, so that a test can make
 * up any host.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "vmm/doctor.h"
#include "vmm/host.h"
#include "vmm/report.h"
#include "vmm/speed.h"

#define EXIT_CANNOT_RUN 1
#define EXIT_REFUSED	125

/* Below this a small guest beside the host's own needs is a squeeze. */
#define LITTLE_MEMORY_MIB 256

static const char usage[] =
	"Usage: mote doctor [--json]\n"
	"\n"
	"Says what this host offers a virtual machine and what it lacks, with\n"
	"the remedy beside every lack.\n"
	"\n"
	"  --json  the same as JSON: ok, verdict, and checks with name, "
	"state,\n"
	"          value, purpose and remedy\n"
	"  --help  this text\n"
	"\n"
	"States: ok; limited (mote runs without it); missing (a stock Linux\n"
	"guest does not run without it); unknown (something else is missing).\n"
	"Exit status: 0 a stock Linux guest can run here, 1 it cannot, 125 "
	"bad\n"
	"arguments or no way to print the report.\n"
	"\n"
	"Example: mote doctor && mote run -k vmlinuz\n";

static bool fast_enough(const struct host *host)
{
	return host->speed == 0 &&
	       (host->hardware || host->minstr_per_s >= SPEED_LINUX_MINIMUM);
}

static void check_node(const struct host *host, struct check_row *row)
{
	if (host->kvm == 0) {
		row_value(row, "opens");
		return;
	}
	row->state = CHECK_MISSING;
	row_value(row, "%s", log_errno(host->kvm));
	row_remedy(row, "%s", host->kvm_error.text);
}

static void check_module(const struct host *host, struct check_row *row)
{
	row_value(row, "%s", host->module);
	if (host->hardware)
		return;
	/* Not missing: what counts is how fast the guest runs, below. */
	row->state = CHECK_LIMITED;
	row_remedy(row, "a host with VT-x (kvm_intel) or AMD-V (kvm_amd)");
}

static void check_paging(const struct host *host, struct check_row *row)
{
	row_value(row, "%s", host->paging);
	if (strcmp(host->paging, "shadow") != 0)
		return;
	row->state = CHECK_LIMITED;
	if (host->hardware)
		row_remedy(row, "load %s with %s=1", host->module,
			   !strcmp(host->module, "kvm_amd") ? "npt" : "ept");
	else
		row_remedy(row, "a host whose CPU has EPT or NPT");
}

static void check_speed(const struct host *host, struct check_row *row)
{
	if (host->speed < 0) {
		row->state = CHECK_MISSING;
		row_value(row, "%s", log_errno(host->speed));
		row_remedy(row, "see `dmesg` for KVM's reason");
		return;
	}
	row_value(row, "%.1f M instr/s", host->minstr_per_s);
	if (host->minstr_per_s >= SPEED_LINUX_MINIMUM)
		return;
	row->state = host->hardware ? CHECK_LIMITED : CHECK_MISSING;
	row_remedy(row, "a host with VT-x or AMD-V (> 1000 M instr/s); `make "
			"demo` shows one emulated");
}

static void check_vcpus(const struct host *host, struct check_row *row)
{
	row_value(row, "%u (advised %u)", host->max_vcpus,
		  host->recommended_vcpus);
}

static void check_landlock(const struct host *host, struct check_row *row)
{
	if (host->landlock > 0) {
		row_value(row, "ABI %d", host->landlock);
		return;
	}
	row->state = CHECK_LIMITED;
	row_value(row, "%s", log_errno(host->landlock));
	/* landlock_create_ruleset(2): built in, but not among the modules. */
	if (host->landlock == -EOPNOTSUPP)
		row_remedy(row, "add landlock to the host kernel's lsm= "
				"parameter");
	else
		row_remedy(row, "Linux 5.13 or later on the host, with "
				"CONFIG_SECURITY_LANDLOCK");
}

/* A thing that works or gives an error; true when it works. */
static bool check_status(int status, struct check_row *row)
{
	if (status == 0) {
		row_value(row, "works");
		return true;
	}
	row->state = CHECK_LIMITED;
	row_value(row, "%s", log_errno(status));
	return false;
}

static void check_userns(const struct host *host, struct check_row *row)
{
	if (check_status(host->user_namespaces, row))
		return;
	if (host->user_namespaces == -ENOSPC)
		row_remedy(row, "`sudo sysctl user.max_user_namespaces=1000`");
	else
		row_remedy(row, "`sudo sysctl "
				"kernel.unprivileged_userns_clone=1` (Debian) "
				"or kernel.apparmor_restrict_unprivileged_"
				"userns=0 (Ubuntu)");
}

static void check_seccomp(const struct host *host, struct check_row *row)
{
	if (check_status(host->seccomp, row))
		return;
	row->state = CHECK_MISSING;
	row_remedy(row, "a host kernel with CONFIG_SECCOMP_FILTER; in a "
			"container, a profile that allows seccomp(2)");
}

static void check_mseal(const struct host *host, struct check_row *row)
{
	if (!check_status(host->mseal, row))
		row_remedy(row, "Linux 6.10 or later on the host");
}

static void check_cgroup(const struct host *host, struct check_row *row)
{
	if (host->cgroup) {
		row_value(row, "version %d", host->cgroup);
		return;
	}
	row->state = CHECK_LIMITED;
	row_value(row, "not mounted");
	row_remedy(row, "`sudo mount -t cgroup2 none /sys/fs/cgroup`");
}

static void check_userfaultfd(const struct host *host, struct check_row *row)
{
	if (check_status(host->userfaultfd, row))
		return;
	if (host->userfaultfd == -ENOSYS)
		row_remedy(row, "a host kernel with CONFIG_USERFAULTFD");
	else
		row_remedy(row, "`sudo sysctl vm.unprivileged_userfaultfd=1`, "
				"or permission for /dev/userfaultfd");
}

static void check_tun(const struct host *host, struct check_row *row)
{
	if (check_status(host->tun, row))
		return;
	if (host->tun == -EACCES || host->tun == -EPERM)
		row_remedy(row, "`sudo chmod 666 /dev/net/tun` (a tap still "
				"belongs to its user)");
	else
		row_remedy(row, "`sudo modprobe tun`; in a container, start "
				"it with --device /dev/net/tun");
}

static void check_io_uring(const struct host *host, struct check_row *row)
{
	if (check_status(host->io_uring, row))
		return;
	if (host->io_uring == -ENOSYS)
		row_remedy(row, "Linux 5.1 or later on the host, with "
				"CONFIG_IO_URING");
	else
		row_remedy(row, "`sudo sysctl kernel.io_uring_disabled=0`; in "
				"a container, a seccomp profile that allows "
				"io_uring");
}

static void check_thp(const struct host *host, struct check_row *row)
{
	row_value(row, "%s", host->thp[0] ? host->thp : "not built in");
	if (!strcmp(host->thp, "always") || !strcmp(host->thp, "madvise"))
		return;
	row->state = CHECK_LIMITED;
	if (host->thp[0])
		row_remedy(row, "`echo madvise | sudo tee /sys/kernel/mm/"
				"transparent_hugepage/enabled`");
	else
		row_remedy(row, "a host kernel with "
				"CONFIG_TRANSPARENT_HUGEPAGE");
}

static void check_hugetlb(const struct host *host, struct check_row *row)
{
	size_t used = 0;
	bool any = false;

	for (unsigned int i = 0; i < host->nr_pools; i++) {
		const struct host_pool *pool = &host->pool[i];
		char *end = row->value + used;

		any |= pool->total > 0;
		snprintf(end, sizeof(row->value) - used, "%s%llu/%llu %s",
			 used ? ", " : "", (unsigned long long)pool->free,
			 (unsigned long long)pool->total,
			 pool->page_kib < 1048576 ? "2M" : "1G");
		used += strlen(end);
	}
	if (any)
		return;
	row->state = CHECK_LIMITED;
	if (host->nr_pools)
		row_remedy(row, "`sudo sysctl vm.nr_hugepages=512` sets 1 GiB "
				"aside");
	else {
		row_value(row, "not built in");
		row_remedy(row, "a host kernel with CONFIG_HUGETLBFS");
	}
}

static void check_memory(const struct host *host, struct check_row *row)
{
	row_value(row, "%llu/%llu MiB", (unsigned long long)host->available_mib,
		  (unsigned long long)host->memory_mib);
	if (host->available_mib >= LITTLE_MEMORY_MIB)
		return;
	row->state = CHECK_LIMITED;
	row_remedy(row, "end other programs, or give guests little memory");
}

static void check_cpus(const struct host *host, struct check_row *row)
{
	row_value(row, "%u", host->cpus);
	if (host->cpus > 1)
		return;
	row->state = CHECK_LIMITED;
	row_remedy(row, "a second CPU, so that devices and guest run at once");
}

/* Whether a check needs an open /dev/kvm. */
enum check_need { ALWAYS, KVM };

struct check {
	const char *name;
	const char *purpose;
	enum check_need need;
	void (*judge)(const struct host *host, struct check_row *row);
};

static const struct check kvm_checks[] = {
	{ "/dev/kvm", "any guest at all", ALWAYS, check_node },
	{ "KVM module", "the CPU itself runs the guest", ALWAYS, check_module },
	{ "guest paging", "page tables without exits", KVM, check_paging },
	{ "guest kernel speed", "a stock Linux kernel", KVM, check_speed },
	{ "vCPUs", "the most that one guest may have", KVM, check_vcpus },
};

static const struct check host_checks[] = {
	{ "seccomp filters", "confinement to known calls", ALWAYS,
	  check_seccomp },
	{ "Landlock", "confinement to known files", ALWAYS, check_landlock },
	{ "user namespaces", "confinement without root", ALWAYS, check_userns },
	{ "control groups", "limits of a jail (--cgroup)", ALWAYS,
	  check_cgroup },
	{ "sealed mappings", "memory that stays mapped", ALWAYS, check_mseal },
	{ "userfaultfd", "snapshots restored by page", ALWAYS,
	  check_userfaultfd },
	{ "/dev/net/tun", "network devices", ALWAYS, check_tun },
	{ "io_uring", "disk I/O beside the devices", ALWAYS, check_io_uring },
	{ "transparent huge pages", "fewer guest page faults", ALWAYS,
	  check_thp },
	{ "hugetlb pools", "huge pages (free/all)", ALWAYS, check_hugetlb },
	{ "memory", "for guests (available/all)", ALWAYS, check_memory },
	{ "CPUs", "vCPUs and devices at once", ALWAYS, check_cpus },
};

static struct check_row *add_row(struct report *report, const char *prefix,
				 const char *name, const char *purpose)
{
	struct check_row *row = &report->row[report->nr_rows++];

	*row = (struct check_row){ .prefix = prefix,
				   .name = name,
				   .purpose = purpose };
	return row;
}

static void add_checks(struct report *report, const struct host *host,
		       const struct check *check, size_t nr)
{
	for (size_t i = 0; i < nr; i++, check++) {
		struct check_row *row =
			add_row(report, "", check->name, check->purpose);

		if (check->need == KVM && host->kvm < 0)
			row->state = CHECK_UNKNOWN;
		else
			check->judge(host, row);
	}
}

static void add_capabilities(struct report *report, const struct host *host)
{
	for (size_t i = 0; i < kvm_nr_capabilities; i++) {
		const struct kvm_capability *c = &kvm_capabilities[i];
		struct check_row *row =
			add_row(report, "KVM_CAP_", c->name, c->purpose);

		if (host->kvm < 0) {
			row->state = CHECK_UNKNOWN;
			continue;
		}
		row_value(row, "%d", host->capability[i]);
		if (host->capability[i])
			continue;
		row->state = c->required ? CHECK_MISSING : CHECK_LIMITED;
		row_remedy(row, "%s", c->remedy);
	}
}

static const struct kvm_capability *first_lack(const struct host *host)
{
	for (size_t i = 0; i < kvm_nr_capabilities; i++) {
		if (kvm_capabilities[i].required && !host->capability[i])
			return &kvm_capabilities[i];
	}
	return NULL;
}

/* Fills in WHY, without a full stop, when no stock Linux guest can run. */
static bool can_run(const struct host *host, struct kvm_error *why)
{
	const struct kvm_capability *lack;

	if (host->kvm < 0) {
		*why = host->kvm_error;
		return false;
	}
	lack = first_lack(host);
	if (lack) {
		snprintf(why->text, sizeof(why->text),
			 "this host's KVM lacks KVM_CAP_%s (%s). Use %s",
			 lack->name, lack->purpose, lack->remedy);
		return false;
	}
	if (host->seccomp < 0) {
		snprintf(why->text, sizeof(why->text),
			 "this host has no seccomp filters (%s), which every "
			 "machine is under (--no-seccomp is for debugging)",
			 log_errno(host->seccomp));
		return false;
	}
	if (host->speed < 0) {
		snprintf(why->text, sizeof(why->text),
			 "this host's KVM (%s) did not run the trial guest "
			 "(%s). See `dmesg` for its reason",
			 host->module, log_errno(host->speed));
		return false;
	}
	if (!fast_enough(host)) {
		speed_explain(host->module, host->minstr_per_s, why);
		return false;
	}
	return true;
}

void doctor_judge(const struct host *host, struct report *report)
{
	struct kvm_error why;

	report->nr_rows = 0;
	add_checks(report, host, kvm_checks, ARRAY_SIZE(kvm_checks));
	add_capabilities(report, host);
	add_checks(report, host, host_checks, ARRAY_SIZE(host_checks));

	report->ok = can_run(host, &why);
	if (report->ok)
		snprintf(report->verdict, sizeof(report->verdict),
			 "A stock Linux guest can run here: this host's KVM "
			 "(%s, %s paging) runs guest kernel code at about "
			 "%.0f million instructions a second.",
			 host->module, host->paging, host->minstr_per_s);
	else
		snprintf(report->verdict, sizeof(report->verdict),
			 "A stock Linux guest cannot run here: %s.", why.text);
}

static bool want_colour(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term &&
	       strcmp(term, "dumb") != 0;
}

int doctor_main(int argc, char **argv)
{
	struct report report;
	struct host host;
	bool json = false;
	int ret = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			json = true;
		} else if (!strcmp(argv[i], "--help") ||
			   !strcmp(argv[i], "-h")) {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		} else {
			log_error("doctor: unknown argument \"%s\"; see `mote "
				  "doctor --help`",
				  argv[i]);
			return EXIT_REFUSED;
		}
	}
	host_look(&host);
	doctor_judge(&host, &report);
	if (json)
		ret = report_json(&report, stdout);
	else
		report_text(&report, stdout, want_colour());
	if (ret < 0 || fflush(stdout) || ferror(stdout)) {
		log_error("doctor: cannot write the report to stdout; is the "
			  "disk full or the pipe closed?");
		return EXIT_REFUSED;
	}
	return report.ok ? EXIT_SUCCESS : EXIT_CANNOT_RUN;
}
