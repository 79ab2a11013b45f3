// SPDX-License-Identifier: Apache-2.0
/*
 * host.c - what this host offers, as plain facts
 *
 * Whatever can be tried is tried, because that alone tells what kernel
 * configuration, sysctls, security modules and containers allow together.
 * What only can be read is read from /proc and /sys; a file that is not there
 * leaves its fact at zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>

#include "base/seal.h"
#include "base/util.h"
#include "vmm/host.h"
#include "vmm/speed.h"

#define THP_ENABLED "/sys/kernel/mm/transparent_hugepage/enabled"
#define HUGEPAGES   "/sys/kernel/mm/hugepages/hugepages-%ukB/%s"

static void look_kvm(struct host *host)
{
	int fd = kvm_open(&host->kvm_error);

	host->kvm = MIN(fd, 0);
	host->speed = -ENODEV;
	host->hardware = kvm_hardware(&host->module);
	host->paging = kvm_paging();
	if (fd < 0)
		return;
	for (size_t i = 0; i < kvm_nr_capabilities; i++)
		host->capability[i] =
			kvm_capability(fd, kvm_capabilities[i].number);
	host->recommended_vcpus = kvm_recommended_vcpus(fd);
	host->max_vcpus = kvm_max_vcpus(fd);
	host->speed = speed_probe(fd, &host->minstr_per_s);
	close(fd);
}

static int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? -errno : (int)abi;
}

static int try_seccomp(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0
		       ? -errno
		       : 0;
}

/* Where systemd and everybody else mount them. */
static int cgroup_version(void)
{
	struct statfs fs;

	if (statfs("/sys/fs/cgroup", &fs) == 0 &&
	    fs.f_type == CGROUP2_SUPER_MAGIC)
		return 2;
	if (statfs("/sys/fs/cgroup/memory", &fs) == 0 &&
	    fs.f_type == CGROUP_SUPER_MAGIC)
		return 1;
	return 0;
}

/* In a child, which alone enters the namespaces.  The second one is what
 * Ubuntu's AppArmor refuses after it has let the first one pass.
 */
static int try_user_namespace(void)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) || unshare(CLONE_NEWNS) ? errno
								     : 0);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPERM;
}

static int try_userfaultfd(void)
{
	long fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	int device, ret = 0;

	if (fd >= 0) {
		close((int)fd);
		return 0;
	}
	ret = -errno;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return ret;
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
	ret = fd < 0 ? -errno : 0;
	if (fd >= 0)
		close((int)fd);
	close(device);
	return ret;
}

static int try_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int try_io_uring(void)
{
	struct io_uring_params params = { 0 };
	long fd = syscall(SYS_io_uring_setup, 1, &params);

	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

void host_bracketed(const char *line, char *word, size_t size)
{
	const char *start = strchr(line, '[');
	const char *end = start ? strchr(start, ']') : NULL;
	size_t len;

	word[0] = '\0';
	if (!end)
		return;
	len = (size_t)(end - start) - 1;
	if (len >= size)
		return;
	memcpy(word, start + 1, len);
	word[len] = '\0';
}

/* The first line of a small file; false when it cannot be read. */
static bool first_line(const char *path, char *line, int size)
{
	FILE *f = fopen(path, "re");
	bool got;

	if (!f)
		return false;
	got = fgets(line, size, f);
	fclose(f);
	return got;
}

static uint64_t pool_number(unsigned int page_kib, const char *file)
{
	char path[128], line[32];

	snprintf(path, sizeof(path), HUGEPAGES, page_kib, file);
	return first_line(path, line, sizeof(line)) ? strtoull(line, NULL, 10)
						    : 0;
}

static void look_pages(struct host *host)
{
	/* The sizes of x86-64, SDM 3A §4.5. */
	static const unsigned int page_kib[] = { 2048, 1048576 };
	char line[128];

	if (first_line(THP_ENABLED, line, sizeof(line)))
		host_bracketed(line, host->thp, sizeof(host->thp));
	for (size_t i = 0; i < ARRAY_SIZE(page_kib); i++) {
		char path[128];

		snprintf(path, sizeof(path), HUGEPAGES, page_kib[i], "");
		if (access(path, F_OK))
			continue;
		host->pool[host->nr_pools++] = (struct host_pool){
			.page_kib = page_kib[i],
			.total = pool_number(page_kib[i], "nr_hugepages"),
			.free = pool_number(page_kib[i], "free_hugepages"),
		};
	}
}

/* Sets *MIB when LINE of /proc/meminfo starts with NAME. */
static void memory_line(const char *line, const char *name, uint64_t *mib)
{
	size_t len = strlen(name);

	if (!strncmp(line, name, len))
		*mib = strtoull(line + len, NULL, 10) / 1024;
}

static void look_memory(struct host *host)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		memory_line(line, "MemTotal:", &host->memory_mib);
		memory_line(line, "MemAvailable:", &host->available_mib);
	}
	fclose(f);
}

static unsigned int usable_cpus(void)
{
	cpu_set_t set;

	/* More CPUs than the set has bits make it fail. */
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	return (unsigned int)CPU_COUNT(&set);
}

void host_look(struct host *host)
{
	*host = (struct host){ 0 };
	look_kvm(host);
	host->seccomp = try_seccomp();
	host->landlock = landlock_abi();
	host->mseal = seal(NULL, 0);
	host->cgroup = cgroup_version();
	host->user_namespaces = try_user_namespace();
	host->userfaultfd = try_userfaultfd();
	host->tun = try_open("/dev/net/tun");
	host->io_uring = try_io_uring();
	look_pages(host);
	look_memory(host);
	host->cpus = usable_cpus();
}
