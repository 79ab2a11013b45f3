// SPDX-License-Identifier: Apache-2.0
/*
 * speed.c - how fast this host's KVM runs guest kernel code
 *
 * Theory of operation.  One page of guest memory holds a loop of two
 * instructions that counts ECX down and halts.  Flat protected mode without
 * paging is what every KVM enters without help: real mode is emulated on old
 * Intel CPUs, and would be judged too slow there.  The count starts small, so
 * that an interpreter is not held up for long, and grows until a run takes
 * long enough to be told from the cost of entering the guest, which is
 * subtracted: on an emulated CPU it is milliseconds.  Time is the thread's CPU
 * time, so that a busy host is not taken for a slow one; wall-clock time ends
 * the probe.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "base/util.h"
#include "vmm/kvm.h"
#include "vmm/speed.h"

#define CODE_GPA       0x1000u
#define TSS_GPA	       0xfffbd000u /* three pages, where BIOSes used to be */
#define LOOP_LENGTH    2u	   /* instructions */
#define FIRST_COUNT    500u	   /* iterations: 1 ms when interpreted */
#define GROWTH	       8u
#define LONG_ENOUGH_NS 2000000u
#define LAST_START_NS  25000000u
#define RUNS	       3u
#define CR0_PE	       1u

static const uint8_t loop_code[] = {
	0x49,	    /* 1: dec %ecx */
	0x75, 0xfd, /*    jnz 1b */
	0xf4,	    /*    hlt */
};

struct probe {
	int vm_fd;
	int vcpu_fd;
	void *page; /* the guest's memory */
	struct kvm_run *run;
	size_t run_size;
};

static uint64_t cpu_time_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int probe_memory(struct probe *p)
{
	struct kvm_userspace_memory_region slot = {
		.guest_phys_addr = CODE_GPA,
		.memory_size = PAGE_SIZE,
		.userspace_addr = (uintptr_t)p->page,
	};

	memcpy(p->page, loop_code, sizeof(loop_code));
	if (ioctl(p->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return -errno;
	/* Only Intel CPUs that cannot run without paging look at these, and at
	 * the page below them (KVM api.rst, KVM_SET_IDENTITY_MAP_ADDR).
	 */
	if (ioctl(p->vm_fd, KVM_SET_TSS_ADDR, TSS_GPA) < 0)
		return -errno;
	return 0;
}

static int probe_mode(struct probe *p)
{
	struct kvm_sregs sregs;
	struct kvm_segment flat = {
		.limit = 0xffffffff,
		.selector = 8,
		.type = 3, /* data: read, write, accessed (SDM 3A §3.4.5.1) */
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};

	if (ioctl(p->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	sregs.cs = flat;
	sregs.cs.type = 11; /* code: execute, read, accessed */
	sregs.cr0 |= CR0_PE;
	if (ioctl(p->vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return -errno;
	return 0;
}

static int probe_vcpu(struct probe *p, int kvm_fd)
{
	int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	if (size < (int)sizeof(*p->run))
		return size < 0 ? -errno : -EIO;
	p->vcpu_fd = ioctl(p->vm_fd, KVM_CREATE_VCPU, 0);
	if (p->vcpu_fd < 0)
		return -errno;
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   p->vcpu_fd, 0);
	if (run == MAP_FAILED)
		return -errno;
	p->run = run;
	p->run_size = (size_t)size;
	return probe_mode(p);
}

/* Runs COUNT iterations; *NS is the CPU time that they took. */
static int probe_run(struct probe *p, uint32_t count, uint64_t *ns)
{
	struct kvm_regs regs = {
		.rip = CODE_GPA,
		.rcx = count,
		.rflags = 2, /* reserved, always set (SDM 1 §3.4.3) */
	};
	uint64_t start;
	int ret;

	assert(p->run);
	if (ioctl(p->vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	start = cpu_time_ns();
	do {
		ret = ioctl(p->vcpu_fd, KVM_RUN, 0);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	*ns = cpu_time_ns() - start;
	return p->run->exit_reason == KVM_EXIT_HLT ? 0 : -EIO;
}

/* The quickest of a few runs, because on a host whose CPU is emulated or taken
 * away for a while any single one may be much too slow.  Stops early when one
 * is shorter than ENOUGH_NS.
 */
static int probe_best(struct probe *p, uint32_t count, uint64_t enough_ns,
		      uint64_t *best_ns)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int i = 0; i < RUNS && best >= enough_ns; i++) {
		uint64_t ns = 0;
		int ret = probe_run(p, count, &ns);

		if (ret < 0)
			return ret;
		best = MIN(best, ns);
	}
	*best_ns = best;
	return 0;
}

static int probe_measure(struct probe *p, double *minstr_per_s)
{
	uint32_t count = FIRST_COUNT;
	uint64_t entry_ns = 0, ns = 0, began;
	int ret;

	/* Entering and leaving alone; the first of these maps the page, too. */
	ret = probe_best(p, 1, 0, &entry_ns);
	if (ret < 0)
		return ret;
	began = now_ns();
	for (;;) {
		ret = probe_best(p, count, entry_ns + LONG_ENOUGH_NS, &ns);
		if (ret < 0)
			return ret;
		if (ns >= entry_ns + LONG_ENOUGH_NS ||
		    count > UINT32_MAX / GROWTH ||
		    now_ns() - began >= LAST_START_NS)
			break;
		count *= GROWTH;
	}
	/* Too short to tell from an entry: then rather too slow a figure. */
	if (ns > 2 * entry_ns)
		ns -= entry_ns;
	/* Instructions a microsecond are millions a second. */
	*minstr_per_s = (double)LOOP_LENGTH * count * 1000 / (double)MAX(ns, 1);
	return 0;
}

static void probe_end(struct probe *p)
{
	if (p->run)
		munmap(p->run, p->run_size);
	if (p->vcpu_fd >= 0)
		close(p->vcpu_fd);
	if (p->vm_fd >= 0)
		close(p->vm_fd);
	munmap(p->page, PAGE_SIZE);
}

int speed_probe(int kvm_fd, double *minstr_per_s)
{
	struct probe p = { .vm_fd = -1, .vcpu_fd = -1 };
	struct kvm_error err = { "" };
	int ret;

	p.page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p.page == MAP_FAILED)
		return -errno;
	p.vm_fd = kvm_create_vm(kvm_fd, &err);
	if (p.vm_fd < 0) {
		ret = p.vm_fd;
		goto out;
	}
	ret = probe_memory(&p);
	if (ret < 0)
		goto out;
	ret = probe_vcpu(&p, kvm_fd);
	if (ret < 0)
		goto out;
	ret = probe_measure(&p, minstr_per_s);
out:
	probe_end(&p);
	return ret;
}

void speed_explain(const char *module, double minstr_per_s,
		   struct kvm_error *err)
{
	snprintf(err->text, sizeof(err->text),
		 "this host's KVM (%s) interprets guest kernel code at about "
		 "%.1f million instructions a second. Use a host with VT-x or "
		 "AMD-V; `make demo` shows one emulated",
		 module, minstr_per_s);
}
