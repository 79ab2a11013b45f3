// SPDX-License-Identifier: Apache-2.0
/*
 * floor.c - the least that a monitor can do: what start-up is measured against
 *
 *	floor KERNEL [MEMORY-MIB]
 *
 * Makes the KVM calls that mote makes for a machine with one vCPU, in mote's
 * order, around a PVH kernel, and nothing else: no options, no devices, no
 * event loop, no validation.  Bytes that the guest writes to port 0x3f8 go to
 * standard output; ACPI's sleep control register ends it.  Whatever mote takes
 * longer than this is mote's own doing.
 */
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "boot/layout.h"

#define PVH_MAGIC      0x336ec578u
#define PVH_NOTE_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define MAX_CPUID      256
#define NR_DOORBELLS   8 /* console: two queues, rng: one, balloon: five */
#define MMIO_NOTIFY    0x50

struct machine {
	int kvm, vm, vcpu;
	uint8_t *ram;
	size_t ram_size;
	struct kvm_run *run;
	uint32_t entry;
};

static void fail(const char *what)
{
	perror(what);
	exit(125);
}

static int kvm(int fd, unsigned long request, const void *arg, const char *what)
{
	int ret = ioctl(fd, request, arg);

	if (ret < 0)
		fail(what);
	return ret;
}

static uint32_t pvh_entry(const uint8_t *note, size_t len)
{
	size_t off = 0;

	while (off + sizeof(Elf64_Nhdr) <= len) {
		const Elf64_Nhdr *n = (const void *)(note + off);
		size_t desc = off + sizeof(*n) + ((n->n_namesz + 3) & ~3u);

		if (n->n_type == PVH_NOTE_ENTRY)
			return *(const uint32_t *)(const void *)(note + desc);
		off = desc + ((n->n_descsz + 3) & ~3u);
	}
	return 0;
}

/* Trusts the file: it is one of our own guests, a 32-bit ELF. */
static void load_kernel(struct machine *m, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t head[4096];
	const Elf32_Ehdr *e = (const void *)head;
	const Elf32_Phdr *p;

	if (fd < 0 || pread(fd, head, sizeof(head), 0) < (ssize_t)sizeof(*e))
		fail(path);
	p = (const void *)(head + e->e_phoff);
	for (unsigned int i = 0; i < e->e_phnum; i++) {
		uint8_t note[256];

		if (p[i].p_type == PT_LOAD &&
		    pread(fd, m->ram + p[i].p_paddr, p[i].p_filesz,
			  p[i].p_offset) != (ssize_t)p[i].p_filesz)
			fail(path);
		if (p[i].p_type == PT_NOTE && p[i].p_filesz <= sizeof(note) &&
		    pread(fd, note, p[i].p_filesz, p[i].p_offset) > 0)
			m->entry = pvh_entry(note, p[i].p_filesz);
	}
	close(fd);
	memcpy(m->ram + LAYOUT_PVH_INFO, &(uint32_t){ PVH_MAGIC }, 4);
}

static void create_vm(struct machine *m)
{
	struct kvm_userspace_memory_region slot = {
		.memory_size = m->ram_size,
		.userspace_addr = (uintptr_t)m->ram,
	};
	struct kvm_enable_cap lint0 = { .cap = KVM_CAP_DISABLE_QUIRKS,
					.args = { 1 } };

	kvm(m->vm, KVM_SET_USER_MEMORY_REGION, &slot, "memory slot");
	if (ioctl(m->vm, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS) < 0)
		fail("KVM_SET_TSS_ADDR");
	ioctl(m->vm, KVM_ENABLE_CAP, &lint0);
	if (ioctl(m->vm, KVM_CREATE_IRQCHIP, 0) < 0)
		fail("KVM_CREATE_IRQCHIP");
}

static void set_cpuid(struct machine *m)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[MAX_CPUID];
	} cpuid = { .head.nent = MAX_CPUID };

	kvm(m->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid, "supported CPUID");
	kvm(m->vcpu, KVM_SET_CPUID2, &cpuid, "KVM_SET_CPUID2");
}

static void set_msrs(struct machine *m)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[2];
	} msrs = {
		.head.nmsrs = 2,
		/* MTRRs on, write-back; IA32_MISC_ENABLE: fast strings */
		.entry = { { .index = 0x2ff, .data = 0x806 },
			   { .index = 0x1a0, .data = 1 } },
	};

	kvm(m->vcpu, KVM_SET_MSRS, &msrs, "KVM_SET_MSRS");
}

static void set_registers(struct machine *m)
{
	struct kvm_segment code = { .limit = 0xffffffff,
				    .selector = 0x08,
				    .type = 11,
				    .present = 1,
				    .s = 1,
				    .db = 1,
				    .g = 1 };
	struct kvm_segment data = code;
	struct kvm_regs regs = { .rip = m->entry,
				 .rbx = LAYOUT_PVH_INFO,
				 .rflags = 2 };
	struct kvm_sregs sregs;

	data.selector = 0x10;
	data.type = 3;
	kvm(m->vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr0 = 0x11; /* PE, ET */
	kvm(m->vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
	kvm(m->vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

static void create_vcpu(struct machine *m)
{
	int size = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
	if (size < 0 || m->vcpu < 0)
		fail("KVM_CREATE_VCPU");
	m->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      m->vcpu, 0);
	if (m->run == MAP_FAILED)
		fail("vCPU area");
	set_cpuid(m);
	set_msrs(m);
	set_registers(m);
}

static void create_doorbells(struct machine *m)
{
	static const struct {
		unsigned int device, queue;
	} bell[NR_DOORBELLS] = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 2, 0 },
				 { 2, 1 }, { 2, 2 }, { 2, 3 }, { 2, 4 } };

	for (unsigned int i = 0; i < NR_DOORBELLS; i++) {
		struct kvm_ioeventfd event = {
			.datamatch = bell[i].queue,
			.addr = LAYOUT_VIRTIO_MMIO + bell[i].device * 0x1000 +
				MMIO_NOTIFY,
			.len = 4,
			.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
		};

		kvm(m->vm, KVM_IOEVENTFD, &event, "KVM_IOEVENTFD");
	}
}

static void *run_vcpu(void *arg)
{
	struct machine *m = arg;
	struct kvm_run *run = m->run;

	for (;;) {
		const uint8_t *data;

		kvm(m->vcpu, KVM_RUN, NULL, "KVM_RUN");
		if (run->exit_reason == KVM_EXIT_MMIO)
			continue;
		if (run->exit_reason != KVM_EXIT_IO) {
			fprintf(stderr, "exit reason %u\n", run->exit_reason);
			_exit(255);
		}
		data = (const uint8_t *)run + run->io.data_offset;
		if (run->io.port == LAYOUT_PORT_SERIAL &&
		    write(STDOUT_FILENO, data, run->io.count) < 0)
			_exit(125);
		if (run->io.port == LAYOUT_PORT_SLEEP_CONTROL)
			_exit(0);
	}
}

int main(int argc, char **argv)
{
	struct machine m = { 0 };
	pthread_t thread;

	if (argc < 2) {
		fprintf(stderr, "usage: floor KERNEL [MEMORY-MIB]\n");
		return 125;
	}
	m.ram_size = (size_t)(argc > 2 ? atoi(argv[2]) : 128) << 20;
	m.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (m.kvm < 0)
		fail("/dev/kvm");
	if (ioctl(m.kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		fail("KVM_GET_API_VERSION");
	m.vm = ioctl(m.kvm, KVM_CREATE_VM, 0);
	if (m.vm < 0)
		fail("KVM_CREATE_VM");
	m.ram = mmap(NULL, m.ram_size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m.ram == MAP_FAILED)
		fail("guest memory");
	load_kernel(&m, argv[1]);
	create_vm(&m);
	create_vcpu(&m);
	create_doorbells(&m);
	if (pthread_create(&thread, NULL, run_vcpu, &m))
		fail("vCPU thread");
	pthread_join(thread, NULL);
	return 0;
}
