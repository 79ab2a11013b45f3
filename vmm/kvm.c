// SPDX-License-Identifier: Apache-2.0
/*
 * kvm.c - /dev/kvm: opening it, what it must offer, and what to say if it fails
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "base/log.h"
#include "base/util.h"
#include "vmm/kvm.h"

/* CPUID.1:ECX (SDM 3C §24.6) and CPUID.80000001:ECX (APM 2 §15.4). */
#define CPUID_1_ECX_VMX	   (1u << 5)
#define CPUID_EXT1_ECX_SVM (1u << 2)

/* Without KVM_CAP_NR_VCPUS there are at most 4 (KVM api.rst, KVM_CREATE_VCPU).
 */
#define FALLBACK_VCPUS 4

/* KVM_CAP_IMMEDIATE_EXIT is the youngest of those below. */
#define HOST_KERNEL "Linux 4.11 or later on the host"

#define REQUIRED(cap, purpose)                                                 \
	{                                                                      \
		KVM_CAP_##cap, #cap, purpose, HOST_KERNEL, true                \
	}
#define OPTIONAL(cap, purpose)                                                 \
	{                                                                      \
		KVM_CAP_##cap, #cap, purpose, HOST_KERNEL, false               \
	}

/* What the code uses today.  Required is only what every KVM since Linux 4.11
 * has.  The rest makes something better, and its absence is said where it is
 * missed.
 */
const struct kvm_capability kvm_capabilities[] = {
	REQUIRED(IRQCHIP, "local APICs and I/O APIC in the kernel"),
	REQUIRED(USER_MEMORY, "guest memory out of the monitor's own"),
	REQUIRED(SYNC_MMU, "files mapped into guest memory"),
	REQUIRED(SET_TSS_ADDR, "real mode on Intel CPUs"),
	REQUIRED(EXT_CPUID, "which CPU the guest sees"),
	REQUIRED(IOEVENTFD, "doorbells that do not stop the vCPU"),
	REQUIRED(IMMEDIATE_EXIT, "stopping a vCPU without a race"),
	OPTIONAL(DISABLE_QUIRKS, "no interrupts from a PIC that nobody set up"),
	OPTIONAL(TSC_DEADLINE_TIMER, "the cheapest guest timer"),
	OPTIONAL(INTERNAL_ERROR_DATA, "details of a KVM internal error"),
};
const size_t kvm_nr_capabilities = ARRAY_SIZE(kvm_capabilities);
static_assert(ARRAY_SIZE(kvm_capabilities) <= KVM_MAX_CAPABILITIES,
	      "arrays parallel to the table have room for all of it");

static void say(struct kvm_error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void say(struct kvm_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
}

int kvm_call_failed(struct kvm_error *err, int ret, const char *call)
{
	say(err, "%s: %s", call, log_errno(ret));
	return ret;
}

/* Name of group GID from /etc/group, or its number.  By hand, because libc's
 * getgrgid() wants NSS's shared libraries even in a static program.
 */
static void group_name(gid_t gid, char *name, size_t size)
{
	FILE *f = fopen("/etc/group", "re");
	char line[1024];

	snprintf(name, size, "%u", (unsigned int)gid);
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		char *rest = line;
		const char *group = strsep(&rest, ":");
		const char *number;

		strsep(&rest, ":"); /* the password */
		number = strsep(&rest, ":");
		if (number && *number && strtoul(number, NULL, 10) == gid) {
			snprintf(name, size, "%s", group);
			break;
		}
	}
	fclose(f);
}

static void look_around(struct kvm_surroundings *around)
{
	unsigned int eax, ebx, ecx, edx;
	struct stat st;

	*around = (struct kvm_surroundings){ 0 };
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
		around->cpu_vmx = ecx & CPUID_1_ECX_VMX;
	if (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx))
		around->cpu_svm = ecx & CPUID_EXT1_ECX_SVM;
	around->in_container = access("/.dockerenv", F_OK) == 0 ||
			       access("/run/.containerenv", F_OK) == 0 ||
			       getenv("container");
	if (stat(KVM_NODE, &st) == 0) {
		around->group_access = (st.st_mode & 060) == 060;
		group_name(st.st_gid, around->group, sizeof(around->group));
	}
}

static void explain_no_device(const struct kvm_surroundings *around,
			      struct kvm_error *err)
{
	if (around->in_container)
		say(err, KVM_NODE " is not in this container; start it with "
				  "--device " KVM_NODE);
	else if (around->cpu_vmx || around->cpu_svm)
		say(err,
		    "no " KVM_NODE ": the KVM module is not loaded; run "
		    "`sudo modprobe %s` (if that fails, enable "
		    "virtualisation in the firmware setup)",
		    around->cpu_vmx ? "kvm_intel" : "kvm_amd");
	else
		say(err, "no " KVM_NODE ": this CPU shows no VT-x or AMD-V; "
			 "enable virtualisation in the firmware setup, or, in "
			 "a virtual machine, nested virtualisation on its "
			 "host");
}

static void explain_no_permission(const struct kvm_surroundings *around,
				  struct kvm_error *err)
{
	if (around->group_access && strcmp(around->group, "root") != 0)
		say(err,
		    "no permission for " KVM_NODE ", which belongs to group "
		    "%s; run `sudo usermod -aG %s $USER` and log in again",
		    around->group, around->group);
	else
		say(err, "no permission for " KVM_NODE ", which is for root "
			 "alone; run `sudo chgrp kvm " KVM_NODE " && sudo "
			 "chmod 660 " KVM_NODE " && sudo usermod -aG kvm "
			 "$USER` and log in again");
}

void kvm_explain_open(int error, const struct kvm_surroundings *around,
		      struct kvm_error *err)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		explain_no_device(around, err);
		break;
	case EACCES:
		explain_no_permission(around, err);
		break;
	case EPERM:
		say(err,
		    "the device policy of this container or service "
		    "forbids " KVM_NODE "; start it with --device " KVM_NODE
		    " (systemd: DeviceAllow=" KVM_NODE " rw)");
		break;
	case EBUSY:
		say(err,
		    KVM_NODE " is busy: another hypervisor (VirtualBox, "
			     "VMware) holds the CPU's virtualisation; stop its "
			     "machines");
		break;
	default:
		say(err, "cannot open " KVM_NODE ": %s", log_errno(error));
		break;
	}
}

int kvm_open_at(const char *node, struct kvm_error *err)
{
	struct kvm_surroundings around;
	int fd, version, ret;

	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		look_around(&around);
		kvm_explain_open(-ret, &around, err);
		return ret;
	}
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version < 0) {
		say(err, KVM_NODE " is not KVM's device node; remove it and "
				  "run `sudo modprobe kvm`");
		ret = -ENOTTY;
		goto err_close;
	}
	if (version != KVM_API_VERSION) {
		say(err,
		    KVM_NODE " speaks API version %d, mote %d; use a kernel "
			     "from after 2007",
		    version, KVM_API_VERSION);
		ret = -ENOTSUP;
		goto err_close;
	}
	return fd;

err_close:
	close(fd);
	return ret;
}

int kvm_open(struct kvm_error *err)
{
	return kvm_open_at(KVM_NODE, err);
}

int kvm_create_vm(int kvm_fd, struct kvm_error *err)
{
	int fd;

	/* A signal during the allocation of the VM makes it EINTR. */
	do {
		fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	} while (fd < 0 && errno == EINTR);
	if (fd >= 0)
		return fd;

	fd = -errno;
	if (fd == -EBUSY)
		say(err, "another hypervisor (VirtualBox, VMware) holds the "
			 "CPU's virtualisation; stop its machines");
	else if (fd == -ENOMEM)
		say(err, "no memory for a virtual machine in the kernel; "
			 "free some, or raise the limit of this cgroup");
	else
		say(err,
		    "KVM cannot create a virtual machine: %s; see "
		    "`dmesg` for KVM's reason",
		    log_errno(fd));
	return fd;
}

int kvm_capability(int fd, int cap)
{
	int value = ioctl(fd, KVM_CHECK_EXTENSION, cap);

	return MAX(value, 0);
}

int kvm_require(int kvm_fd, struct kvm_error *err)
{
	for (size_t i = 0; i < kvm_nr_capabilities; i++) {
		const struct kvm_capability *c = &kvm_capabilities[i];

		if (!c->required || kvm_capability(kvm_fd, c->number))
			continue;
		say(err, "this host's KVM lacks KVM_CAP_%s (%s); use %s",
		    c->name, c->purpose, c->remedy);
		return -ENOTSUP;
	}
	return 0;
}

unsigned int kvm_recommended_vcpus(int kvm_fd)
{
	int n = kvm_capability(kvm_fd, KVM_CAP_NR_VCPUS);

	return n ? (unsigned int)n : FALLBACK_VCPUS;
}

unsigned int kvm_max_vcpus(int kvm_fd)
{
	int n = kvm_capability(kvm_fd, KVM_CAP_MAX_VCPUS);

	/* KVM api.rst: without it the recommended number is the maximum. */
	return n ? (unsigned int)n : kvm_recommended_vcpus(kvm_fd);
}

static bool module_there(const char *root, const char *module)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, module);
	return access(path, F_OK) == 0;
}

bool kvm_hardware_at(const char *root, const char **module)
{
	/* A vendor module that is built into the kernel shows up here even when
	 * it found no hardware, so the one that needs none is asked for first.
	 */
	static const char *const hardware[] = { "kvm_amd", "kvm_intel" };

	if (module_there(root, "kvm_pvm")) {
		*module = "kvm_pvm";
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(hardware); i++) {
		if (!module_there(root, hardware[i]))
			continue;
		*module = hardware[i];
		return true;
	}
	*module = "KVM";
	return false;
}

bool kvm_hardware(const char **module)
{
	return kvm_hardware_at("/sys/module", module);
}

static bool parameter_on(const char *root, const char *parameter)
{
	char path[256], value;
	bool on;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, parameter);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	/* Older kernels give npt as a number. */
	on = read(fd, &value, 1) == 1 && (value == 'Y' || value == '1');
	close(fd);
	return on;
}

const char *kvm_paging_at(const char *root)
{
	const char *module;

	kvm_hardware_at(root, &module);
	if (!strcmp(module, "kvm_intel") &&
	    parameter_on(root, "kvm_intel/parameters/ept"))
		return "EPT";
	if (!strcmp(module, "kvm_amd") &&
	    parameter_on(root, "kvm_amd/parameters/npt"))
		return "NPT";
	return "shadow";
}

const char *kvm_paging(void)
{
	return kvm_paging_at("/sys/module");
}
