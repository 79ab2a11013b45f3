// SPDX-License-Identifier: Apache-2.0
/*
 * init.c - PID 1 of the Linux guests that the tests boot
 *
 * What it does is on the kernel's command line:
 *
 *	mote.mark		tell the monitor that init was reached
 *	mote.run=SCRIPT		run SCRIPT with busybox's shell; without it, an
 *				interactive shell
 *	mote.end=HOW		then poweroff (default), reboot, panic or halt
 *
 * The script's standard streams are the virtio console where there is one and
 * the kernel's console elsewhere, in raw mode: every byte passes as it is.  Its
 * exit status reaches the host as the line "mote-guest: exit N".
 *
 * It is also two helpers for scripts, in the guest and on the host:
 *
 *	init highmem MIB	prove that memory above 4 GiB holds what is
 *				written to it
 *	init exec0 COMMAND...	run COMMAND with the time just before its exec
 *				in MOTE_T0_NS, where mote --timing looks for it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* Where mote --timing watches for a byte, and which. */
#define BOOT_TIMER_GPA	 0xc0000000
#define BOOT_TIMER_VALUE 123

#define PAGE 4096ul

/* In the order of their dependencies; a kernel that has them built in, or an
 * initrd without them, is as good.
 */
static const char *const modules[] = {
	"virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "virtio_console",
};

static char cmdline[4096];

static void note(const char *what, int error)
{
	char text[160];
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	snprintf(text, sizeof(text), "mote-guest: %s: %s\n", what,
		 strerror(error));
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fputs(text, stderr);
	if (fd >= 0)
		close(fd);
}

/* The value of the command line's word NAME or NAME=VALUE, NULL without it. */
static const char *option(const char *name)
{
	static const char blank[] = " \t\n";
	static char value[256];
	size_t len = strlen(name);

	for (const char *p = cmdline; *p; p += strcspn(p, blank)) {
		p += strspn(p, blank);
		if (strncmp(p, name, len) != 0)
			continue;
		if (p[len] == '=')
			p++;
		else if (p[len] && !strchr(blank, p[len]))
			continue;
		snprintf(value, sizeof(value), "%.*s",
			 (int)strcspn(p + len, blank), p + len);
		return value;
	}
	return NULL;
}

static void read_cmdline(void)
{
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, cmdline, sizeof(cmdline) - 1) < 0)
		cmdline[0] = '\0';
	close(fd);
}

static void mark(void)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
	volatile uint8_t *page;

	if (fd < 0)
		return;
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    BOOT_TIMER_GPA);
	if (page == MAP_FAILED)
		note("boot timer", errno);
	else
		*page = BOOT_TIMER_VALUE;
	close(fd);
}

static void load_modules(void)
{
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/modules/%s.ko", modules[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (syscall(SYS_finit_module, fd, "", 0) < 0 &&
		    errno != EEXIST && errno != ENOSYS)
			note(path, errno);
		close(fd);
	}
}

static void open_console(void)
{
	bool virtio = access("/sys/bus/virtio/devices/virtio0", F_OK) == 0;
	struct termios tio;
	int fd;

	/* The port appears when the device has answered: asynchronously. */
	fd = open("/dev/hvc0", O_RDWR);
	for (int i = 0; fd < 0 && virtio && i < 500; i++) {
		usleep(10000);
		fd = open("/dev/hvc0", O_RDWR);
	}
	if (fd < 0)
		fd = open("/dev/console", O_RDWR);
	if (fd < 0) {
		note("console", errno);
		return;
	}
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
	if (tcgetattr(0, &tio) == 0) {
		cfmakeraw(&tio);
		tcsetattr(0, TCSANOW, &tio);
	}
}

/* Job control and line editing for a person.  A script must not have this: the
 * console is hung up when its session ends, before init wrote the status.
 */
static void become_interactive(void)
{
	struct termios tio;

	setsid();
	ioctl(0, TIOCSCTTY, 0);
	if (tcgetattr(0, &tio) < 0)
		return;
	tio.c_iflag |= ICRNL | IXON;
	tio.c_oflag |= OPOST | ONLCR;
	tio.c_lflag |= ICANON | ECHO | ECHOE | ECHOK | ISIG | IEXTEN;
	tcsetattr(0, TCSANOW, &tio);
}

static int run(const char *script)
{
	const char *const argv[] = { "sh", script, NULL };
	int status = 0;
	pid_t child, pid;

	child = fork();
	if (child < 0)
		return 125;
	if (child == 0) {
		if (!script)
			become_interactive();
		setenv("PATH", "/bin", 1);
		execv("/bin/busybox", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	do
		pid = wait(&status);
	while (pid != child && (pid > 0 || errno == EINTR));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int end(const char *how)
{
	sync();
	if (how && strcmp(how, "panic") == 0)
		return 1; /* the kernel panics when PID 1 ends */
	if (how && strcmp(how, "reboot") == 0)
		return reboot(RB_AUTOBOOT);
	if (how && strcmp(how, "halt") == 0)
		return reboot(RB_HALT_SYSTEM);
	return reboot(RB_POWER_OFF);
}

/* Whether the page at P lies above 4 GiB: Linux pagemap, bits 0 to 54. */
static bool above_4g(int pagemap, const void *p)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry),
		  (off_t)((uintptr_t)p / PAGE * sizeof(entry))) < 0)
		return false;
	return (entry & ((1ull << 55) - 1)) * PAGE >= 1ull << 32;
}

/* A pattern that is different in every page and at every word. */
static uint64_t pattern(const uint64_t *word)
{
	return ((uintptr_t)word + 1) * 0x9e3779b97f4a7c15ull;
}

static int highmem(size_t mib)
{
	size_t len = mib << 20, high = 0;
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pagemap < 0 || mem == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < len / sizeof(*mem); i++)
		mem[i] = pattern(&mem[i]);
	for (size_t i = 0; i < len / sizeof(*mem); i++) {
		if (mem[i] != pattern(&mem[i])) {
			printf("highmem: wrong content at byte %zu\n",
			       i * sizeof(*mem));
			return 1;
		}
	}
	for (size_t i = 0; i < len; i += PAGE)
		high += above_4g(pagemap, (char *)mem + i);
	printf("highmem: %zu of %zu pages above 4 GiB\n", high, len / PAGE);
	return high < len / PAGE / 2;
}

static int exec0(char **argv)
{
	struct timespec now;
	char text[32];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "%lld",
		 now.tv_sec * 1000000000ll + now.tv_nsec);
	setenv("MOTE_T0_NS", text, 1);
	execvp(argv[0], argv);
	perror(argv[0]);
	return errno == ENOENT ? 127 : 126;
}

int main(int argc, char **argv)
{
	const char *script;
	int status;

	if (argc == 3 && strcmp(argv[1], "highmem") == 0)
		return highmem(strtoul(argv[2], NULL, 10));
	if (argc > 2 && strcmp(argv[1], "exec0") == 0)
		return exec0(argv + 2);
	if (getpid() != 1)
		return 2;

	mount("proc", "/proc", "proc", 0, NULL);
	read_cmdline();
	if (option("mote.mark"))
		mark();
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	load_modules();
	open_console();

	script = option("mote.run");
	status = run(script);
	if (script) {
		printf("mote-guest: exit %d\n", status);
		fflush(stdout);
		tcdrain(STDOUT_FILENO);
	}
	return end(option("mote.end"));
}
