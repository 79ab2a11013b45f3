// SPDX-License-Identifier: Apache-2.0
/*
 * machine.c - one machine, put together
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "virtio/console.h"
#include "virtio/vsock.h"
#include "vmm/cpuid.h"
#include "vmm/devices.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/sink.h"
#include "vmm/speed.h"

/* A kernel of this size is no test program: it boots within 10^9 instructions,
 * which an interpreting host does not do in a sensible time.
 */
#define REAL_KERNEL_SIZE MIB(1)

/* How long a machine that has ended waits for a disk that does nothing. */
#define DRAIN_WAIT_NS 200000000u

/* Opens a kernel or initrd FILE, which must be a regular file. */
static int open_image(const char *option, const char *file)
{
	struct stat st;
	int fd, ret;

	/* O_NONBLOCK: a FIFO must not hold us; it is refused below. */
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		ret = -errno;
		log_error("%s %s: %s", option, file, log_errno(ret));
		return ret;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	if (S_ISDIR(st.st_mode)) {
		log_error("%s %s: is a directory; name the file in it", option,
			  file);
		return -EISDIR;
	}
	log_error("%s %s: not a regular file", option, file);
	return -EINVAL;
}

static bool without_acpi(const struct vm_config *config)
{
	return config_cmdline_has(config->cmdline, "acpi=off");
}

static void reset_asked(struct i8042 *i8042)
{
	struct machine *m = container_of(i8042, struct machine, i8042);

	vm_end(&m->vm, VM_END_RESET, NULL);
}

/* Everything that is not virtio: off unless asked for, but for the ACPI
 * registers.
 */
static int add_legacy(struct machine *m, const struct machine_ports *ports)
{
	const struct vm_config *config = m->config;
	int ret = power_init(&m->power, &m->vm);

	if (ret == 0 && (config->timing || config->boot_timer))
		ret = boot_timer_init(&m->boot_timer, &m->vm.mmio);
	if (ret == 0 && config->early_serial) {
		vm_irq_init(&m->serial_irq, &m->vm, LAYOUT_GSI_SERIAL);
		ret = serial_init(&m->serial, &m->vm.pio, &m->serial_irq.line,
				  m->loop, ports->serial);
	}
	/* Without ACPI its reset register is not found. */
	if (ret == 0 &&
	    (config->early_serial || config->i8042 || without_acpi(config)))
		ret = i8042_init(&m->i8042, &m->vm.pio, reset_asked);
	if (ret < 0)
		log_error("legacy devices: %s", log_errno(ret));
	return ret;
}

static void report_refusal(const struct vm_config *config,
			   const struct boot_error *err)
{
	if (strcmp(err->what, "kernel") == 0)
		log_error("-k %s: %s", config->kernel, err->text);
	else if (strcmp(err->what, "initrd") == 0)
		log_error("-i %s: %s", config->initrd, err->text);
	else if (strcmp(err->what, "command line") == 0)
		log_error("-a: %s", err->text);
	else
		log_error("%s: %s", err->what, err->text);
}

/* Loads kernel, initrd and tables from open files. */
static int load(struct machine *m, int kernel_fd, int initrd_fd)
{
	const struct vm_config *config = m->config;
	struct boot_device window[LAYOUT_MAX_DEVICES];
	char cmdline[LAYOUT_CMDLINE_MAX];
	struct boot_error err;
	struct boot_config boot = {
		.gm = &m->vm.mem,
		.kernel_fd = kernel_fd,
		.initrd_fd = initrd_fd,
		.cmdline = cmdline,
		.nr_cpus = config->nr_vcpus,
		.device = window,
		.nr_devices = m->nr_devices,
		.serial = config->early_serial,
		.copy = config->copy,
	};
	int ret;

	if (!config_cmdline(config, cmdline, sizeof(cmdline))) {
		log_error("-a: the command line is longer than %u bytes; "
			  "shorten it",
			  LAYOUT_CMDLINE_MAX - 1);
		return -ENOSPC;
	}
	for (unsigned int i = 0; i < m->nr_devices; i++) {
		window[i].base = m->device[i].base;
		window[i].gsi = m->device[i].irq.gsi;
	}
	ret = boot_load(&boot, &m->entry, &err);
	if (ret < 0) {
		report_refusal(config, &err);
		return ret;
	}
	log_info("%s: %s entry at 0x%llx", config->kernel,
		 m->entry.protocol == BOOT_PVH ? "PVH" : "64-bit Linux",
		 (unsigned long long)m->entry.rip);
	log_info("command line: %s", cmdline);
	return 0;
}

/* The files stay open where guest memory maps them, to be watched. */
static void keep_or_close(struct machine *m, int kernel_fd, int initrd_fd)
{
	const struct vm_config *config = m->config;
	bool watching = !config->copy && watch_init(&m->watch, &m->vm) == 0;

	if (watching)
		watch_add(&m->watch, "-k", config->kernel, kernel_fd);
	else
		close(kernel_fd);
	if (watching && initrd_fd >= 0)
		watch_add(&m->watch, "-i", config->initrd, initrd_fd);
	else if (initrd_fd >= 0)
		close(initrd_fd);
}

static int open_and_load(struct machine *m)
{
	const struct vm_config *config = m->config;
	int kernel_fd, initrd_fd = -1, ret;

	kernel_fd = open_image("-k", config->kernel);
	if (kernel_fd < 0)
		return kernel_fd;
	if (config->initrd) {
		initrd_fd = open_image("-i", config->initrd);
		if (initrd_fd < 0) {
			close(kernel_fd);
			return initrd_fd;
		}
	}
	ret = load(m, kernel_fd, initrd_fd);
	keep_or_close(m, kernel_fd, initrd_fd);
	return ret;
}

int machine_create(struct machine *m, const struct vm_config *config,
		   struct loop *loop, const struct machine_ports *ports)
{
	struct kvm_error err;
	int ret;

	m->config = config;
	m->loop = loop;
	fd_raise_limit(FD_END);
	ret = vm_init(&m->vm, config->memory, loop, &err);
	if (ret < 0) {
		log_error("-m: %s", err.text);
		return ret;
	}
	if (config->vcpu_name)
		m->vm.vcpu_name = config->vcpu_name;
	ret = devices_add(m, ports->console);
	if (ret == 0)
		ret = add_legacy(m, ports);
	if (ret == 0)
		ret = open_and_load(m);
	m->marks.loaded = now_ns();
	return ret;
}

/* Refuses a stock kernel where KVM interprets guest kernel code: it would spin
 * for a minute and then meet an instruction that is not interpreted.
 */
static int check_speed(const struct machine *m, int kvm_fd)
{
	struct kvm_error err;
	const char *module;
	double speed;
	struct stat st;

	if (m->config->allow_slow || !m->entry.linux_kernel ||
	    kvm_hardware(&module) || stat(m->config->kernel, &st) < 0 ||
	    (uint64_t)st.st_size < REAL_KERNEL_SIZE)
		return 0;
	if (speed_probe(kvm_fd, &speed) < 0 || speed >= SPEED_LINUX_MINIMUM)
		return 0;
	speed_explain(module, speed, &err);
	log_error("-k %s: %s (--allow-slow tries all the same)",
		  m->config->kernel, err.text);
	return -ENOTSUP;
}

/* A doorbell for every queue there may be, so that no KVM call is needed when
 * a driver sets one up.
 */
static int add_doorbells(struct machine *m)
{
	for (unsigned int i = 0; i < m->nr_devices; i++) {
		struct machine_device *d = &m->device[i];

		for (unsigned int q = 0; q < d->vdev->nr_queues; q++) {
			int ret = vm_add_ioeventfd(
				&m->vm, d->base + VIRTIO_MMIO_QUEUE_NOTIFY, q,
				d->vdev->doorbell[q].fd);

			if (ret < 0)
				return ret;
		}
	}
	return 0;
}

/* RAM that a guest's CPU cannot address would be in its memory map all the
 * same.
 */
static int check_reach(const struct machine *m, struct cpuid_table *cpuid,
		       struct kvm_error *err)
{
	const struct guest_memory *gm = &m->vm.mem;
	const struct gmem_region *top = &gm->region[gm->nr_regions - 1];
	unsigned int bits = cpuid_physical_bits(cpuid);

	if (top->gpa + top->size <= 1ull << bits)
		return 0;
	snprintf(err->text, sizeof(err->text),
		 "-m: this CPU's guests have %u-bit addresses: use at most "
		 "%lluG",
		 bits, (1ull << (bits - 30)) - 1);
	return -ENOSPC;
}

static int set_vcpu_state(struct machine *m, struct kvm_error *err)
{
	struct cpuid_table cpuid;
	int ret = cpuid_supported(m->vm.kvm_fd, &cpuid);

	if (ret < 0)
		return kvm_call_failed(err, ret, "KVM_GET_SUPPORTED_CPUID");
	ret = check_reach(m, &cpuid, err);
	if (ret < 0)
		return ret;
	for (unsigned int i = 0; i < m->vm.nr_vcpus; i++) {
		ret = vcpu_set_boot_state(&m->vm.vcpu[i], &m->entry, &cpuid,
					  err);
		if (ret < 0)
			return ret;
	}
	ret = add_doorbells(m);
	if (ret < 0)
		kvm_call_failed(err, ret, "KVM_IOEVENTFD");
	return ret;
}

static int create_kvm(struct machine *m, int kvm_fd, struct kvm_error *err)
{
	unsigned int max;
	int ret = kvm_require(kvm_fd, err);

	if (ret < 0)
		return ret;
	max = kvm_max_vcpus(kvm_fd);
	if (m->config->nr_vcpus > max) {
		snprintf(err->text, sizeof(err->text),
			 "-c %u: this host's KVM has at most %u vCPUs",
			 m->config->nr_vcpus, max);
		return -ENOSPC;
	}
	m->vm.virtual_wire = without_acpi(m->config);
	ret = vm_create(&m->vm, kvm_fd, m->config->nr_vcpus, err);
	m->marks.vm = now_ns();
	if (ret < 0)
		return ret;
	ret = set_vcpu_state(m, err);
	m->marks.state = now_ns();
	return ret;
}

static int start_vcpus(struct machine *m)
{
	int ret;

	m->vm.confined = !m->config->no_seccomp;
	if (m->vm.confined && fd_misplaced() > 0) {
		log_error("seccomp: %u descriptors did not get the numbers "
			  "that the filters know: let it have %d (ulimit -n), "
			  "and give --net no descriptors of %d to %d",
			  fd_misplaced(), FD_END, FD_VCPUS, FD_END - 1);
		return -EMFILE;
	}
	ret = vm_start(&m->vm);
	if (ret < 0)
		log_error("thread for a vCPU: %s", log_errno(ret));
	return ret;
}

int machine_open_kvm(struct machine *m)
{
	struct kvm_error err;
	int ret;

	m->kvm_fd = kvm_open(&err);
	if (m->kvm_fd < 0) {
		log_error("%s", err.text);
		return m->kvm_fd;
	}
	ret = check_speed(m, m->kvm_fd);
	if (ret < 0)
		close(m->kvm_fd); /* it has said why */
	return ret;
}

int machine_start(struct machine *m)
{
	struct kvm_error err;
	int ret = create_kvm(m, m->kvm_fd, &err);

	if (ret < 0) {
		log_error("%s", err.text);
		goto out;
	}
	ret = start_vcpus(m);
	m->marks.started = now_ns();
	if (ret < 0)
		goto out; /* likewise */
	log_info("%u vCPU%s, %llu MiB: started", m->vm.nr_vcpus,
		 m->vm.nr_vcpus > 1 ? "s" : "",
		 (unsigned long long)(m->config->memory >> 20));
out:
	close(m->kvm_fd);
	return ret;
}

/* Nothing runs yet. */
static void machine_destroy(struct machine *m)
{
	for (unsigned int i = 0; i < m->nr_devices; i++)
		virtio_device_destroy(m->device[i].vdev);
	m->nr_devices = 0;
	if (m->ring)
		disk_ring_destroy(m->ring);
	m->ring = NULL;
}

bool machine_undo(struct machine *m)
{
	if (m->marks.started)
		return false;
	machine_destroy(m);
	/* It is its port's user, once it has been made. */
	if (m->serial.port && m->serial.port->user == &m->serial.user)
		serial_fini(&m->serial);
	watch_fini(&m->watch);
	vm_fini(&m->vm);
	memset(m, 0, sizeof(*m));
	return true;
}

/* What the guest still has to say may be said at once. */
static void lift_console_limit(struct machine *m)
{
	const struct rate_bucket_config none = { 0 };

	for (unsigned int i = 0; i < m->nr_devices; i++) {
		struct virtio_device *vdev = m->device[i].vdev;

		if (vdev->ops->device_id == VIRTIO_ID_CONSOLE)
			virtio_console_set_rate(
				vdev, &(struct rate_change){ &none, &none });
	}
}

bool machine_drain(struct machine *m)
{
	bool rang = false;

	lift_console_limit(m);
	for (unsigned int i = 0; i < m->nr_devices; i++) {
		struct virtio_device *vdev = m->device[i].vdev;

		for (unsigned int q = 0; q < vdev->nr_queues; q++) {
			if (!fd_poll(vdev->doorbell[q].fd, POLLIN))
				continue;
			virtio_doorbell(vdev, q);
			rang = true;
		}
	}
	if (m->ring && disk_ring_busy(m->ring) > 0)
		rang |= disk_ring_wait(m->ring, now_ns() + DRAIN_WAIT_NS) == 0;
	if (m->config->early_serial)
		serial_flush(&m->serial);
	return rang;
}

void machine_leave(struct machine *m)
{
	for (unsigned int i = 0; i < m->nr_devices; i++) {
		struct virtio_device *vdev = m->device[i].vdev;

		if (vdev->ops->device_id == VIRTIO_ID_VSOCK)
			virtio_vsock_leave(vdev);
	}
}
