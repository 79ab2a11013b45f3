// SPDX-License-Identifier: Apache-2.0
/*
 * confine.c - a machine's lock-down, from its options to its report
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/fsuid.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/seal.h"
#include "seccomp/directory.h"
#include "seccomp/namespaces.h"
#include "seccomp/privileges.h"
#include "vmm/confine.h"
#include "vmm/sink.h"

#define NOBODY 65534

/* Connections of vsock, and what the machine itself has. */
#define MAX_FILES 2048

/* Beside the vCPUs' threads: main, keeper, KVM's own, the kernel's workers. */
#define MORE_TASKS 64

static const char *directory_remedy(int err)
{
	switch (err) {
	case -EPERM:
		return "others could change it; give it and what is above it "
		       "an owner of their own and mode 755";
	case -ELOOP:
		return "has a symbolic link in it; name the directory itself";
	default:
		return log_errno(err);
	}
}

static int open_directory(struct confine *c, const char *option,
			  const char *path)
{
	int fd = directory_open(path, c->jail.uid);

	if (fd < 0)
		log_error("%s%s: %s", option, path, directory_remedy(fd));
	return fd;
}

static int open_root(struct confine *c)
{
	const char *dir = c->config->jail.dir;
	int ret;

	if (!dir)
		return 0;
	c->jail.root_fd = open_directory(c, "--jail=", dir);
	if (c->jail.root_fd < 0)
		return c->jail.root_fd;
	ret = directory_is_empty(c->jail.root_fd);
	if (ret > 0)
		return 0;
	if (ret == 0)
		ret = -ENOTEMPTY;
	log_error("--jail=%s: %s", dir,
		  ret == -ENOTEMPTY ? "is not empty; give an empty directory"
				    : log_errno(ret));
	return ret;
}

static bool same_directory(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* The directory of the socket is the machine's root: it must find those of the
 * guest's connections there.
 */
static int open_socket_directory(struct confine *c)
{
	const char *path = c->config->vsock.path, *slash;
	char dir[PATH_MAX];
	size_t len;

	if (!path)
		return 0;
	slash = strrchr(path, '/');
	c->keeper.socket_name = slash ? slash + 1 : path;
	len = slash ? (size_t)(slash - path) : 0;
	if (len >= sizeof(dir))
		len = 0; /* and making the socket says why */
	memcpy(dir, path, len);
	memcpy(dir + len, slash ? "/" : ".", 2);
	c->keeper.socket_dir =
		open_directory(c, "--vsock: the directory ", dir);
	if (c->keeper.socket_dir < 0)
		return c->keeper.socket_dir;
	if (c->jail.root_fd < 0) {
		c->jail.root_fd =
			fcntl(c->keeper.socket_dir, F_DUPFD_CLOEXEC, 3);
		return c->jail.root_fd < 0 ? -errno : 0;
	}
	if (same_directory(c->jail.root_fd, c->keeper.socket_dir))
		return 0;
	log_error("--vsock path=%s: not in the jail's directory, which is all "
		  "that the machine can reach; put it into %s",
		  path, c->config->jail.dir);
	return -EXDEV;
}

static int open_cgroups(struct confine *c)
{
	const struct jail_config *config = &c->config->jail;

	for (unsigned int i = 0; i < config->nr_cgroups; i++) {
		const char *path = config->cgroup[i].path, *file;
		int ret = cgroup_open(&c->cgroup[i], &config->cgroup[i],
				      c->jail.uid, &file);

		if (ret == 0) {
			c->nr_cgroups++;
			continue;
		}
		if (ret == -ENODEV)
			log_error("--cgroup %s: not in a cgroup file system",
				  path);
		else if (*file && ret == -ENOENT)
			log_error(
				"--cgroup %s: has no %s: this controller is "
				"not there, or not enabled in the group above",
				path, file);
		else
			log_error("--cgroup %s%s%s: %s", path, *file ? "/" : "",
				  file, directory_remedy(ret));
		return ret;
	}
	return 0;
}

static int open_netns(struct confine *c)
{
	const char *path = c->config->jail.netns;

	if (!path)
		return 0;
	c->netns_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (c->netns_fd >= 0)
		return 0;
	log_error("--netns %s: %s", path, log_errno(errno));
	return -errno;
}

static int choose_user(struct confine *c)
{
	const struct jail_config *config = &c->config->jail;
	struct jail *jail = &c->jail;

	jail->change_user = geteuid() == 0;
	jail->uid = config->has_uid ? config->uid : NOBODY;
	jail->gid = config->has_gid ? config->gid : NOBODY;
	if (jail->change_user)
		return 0;
	if (config->has_uid &&
	    (jail->uid != geteuid() || jail->gid != getegid())) {
		log_error("--uid %u: only root can be somebody else; leave it "
			  "out",
			  jail->uid);
		return -EPERM;
	}
	jail->uid = geteuid();
	jail->gid = getegid();
	return 0;
}

/* N of PATH if that is /dev/fd/N or /proc/self/fd/N, else -1. */
static int named_descriptor(const char *path)
{
	static const char *const starts[] = { "/dev/fd/", "/proc/self/fd/" };

	for (size_t i = 0; path && i < ARRAY_SIZE(starts); i++) {
		size_t len = strlen(starts[i]);
		char *end;
		long n;

		if (strncmp(path, starts[i], len) != 0)
			continue;
		errno = 0;
		n = strtol(path + len, &end, 10);
		if (errno == 0 && !*end && n >= 0 && n <= INT_MAX)
			return (int)n;
	}
	return -1;
}

/* A parent may hand over files that mote could not open itself, by name. */
static void list_borrowed(struct confine *c)
{
	const struct vm_config *config = c->config;

	c->borrowed[0] = named_descriptor(config->kernel);
	c->borrowed[1] = named_descriptor(config->initrd);
	c->nr_borrowed = 2;
	for (unsigned int i = 0; i < config->nr_disks; i++)
		c->borrowed[c->nr_borrowed++] =
			named_descriptor(config->disk[i].path);
}

static void close_inherited(struct confine *c)
{
	int keep[CONFIG_MAX_NETS + ARRAY_SIZE(c->borrowed)];
	size_t nr = 0;

	list_borrowed(c);
	for (unsigned int i = 0; i < c->nr_borrowed; i++)
		keep[nr++] = c->borrowed[i];
	for (unsigned int i = 0; i < c->config->nr_nets; i++) {
		if (!c->config->net[i].tap)
			keep[nr++] = c->config->net[i].fd;
	}
	descriptors_close(&c->lockdown, keep, nr);
}

/* They are open under numbers of our own now. */
static void close_borrowed(const struct confine *c)
{
	for (unsigned int i = 0; i < c->nr_borrowed; i++) {
		if (c->borrowed[i] > STDERR_FILENO)
			close(c->borrowed[i]);
	}
}

/* What confine_prepare() made; not in the child. */
static void remove_cgroups(struct confine *c)
{
	while (c->nr_cgroups > 0)
		cgroup_close(&c->cgroup[--c->nr_cgroups]);
}

int confine_prepare(struct confine *c, const struct vm_config *config)
{
	int ret;

	*c = (struct confine){
		.config = config,
		.jail = { .root_fd = -1, .new_net = config->jail.new_net },
		.keeper = { .socket_dir = -1 },
		.netns_fd = -1,
		.control = -1,
	};
	close_inherited(c);
	if (!config->jail.wanted)
		return 0;
	c->jail.nr_files = config->vsock.path ? MAX_FILES : FD_END;
	c->jail.nr_tasks = config->nr_vcpus + MORE_TASKS;
	ret = choose_user(c);
	if (ret == 0)
		ret = open_root(c);
	if (ret == 0)
		ret = open_socket_directory(c);
	if (ret == 0)
		ret = open_netns(c);
	if (ret == 0)
		ret = open_cgroups(c);
	if (ret < 0)
		remove_cgroups(c);
	return ret;
}

/* In the child: what files are opened in, and what they are charged to. */
static int move_in(struct confine *c)
{
	const struct jail_config *config = &c->config->jail;

	for (unsigned int i = 0; i < c->nr_cgroups; i++) {
		int ret = cgroup_join(&c->cgroup[i]);

		if (ret < 0) {
			log_error("--cgroup %s/cgroup.procs: %s",
				  config->cgroup[i].path, log_errno(ret));
			return ret;
		}
		layer_holds(&c->lockdown, LAYER_CGROUP);
	}
	if (c->netns_fd < 0)
		return 0;
	if (setns(c->netns_fd, CLONE_NEWNET) < 0) {
		int ret = -errno;

		log_error("--netns %s: %s", config->netns,
			  ret == -EINVAL ? "not a network namespace"
					 : log_errno(ret));
		return ret;
	}
	layer_holds(&c->lockdown, LAYER_NET_NS);
	return 0;
}

static int split(struct confine *c, int *status)
{
	int ret;

	c->jail.user_ns = namespaces_split(&c->lockdown);
	if (c->jail.user_ns && c->jail.change_user) {
		/* Root without the powers of one, as in a container. */
		if (c->config->jail.has_uid) {
			log_error("--uid %u: needs CAP_SYS_ADMIN; leave it out",
				  c->jail.uid);
			return -EPERM;
		}
		c->jail.change_user = false;
	}
	ret = keeper_fork(&c->keeper, &c->control, &c->background, status);
	if (ret < 0)
		log_error("--jail: %s", log_errno(ret));
	return ret;
}

int confine_split(struct confine *c, int *status)
{
	int ret;

	if (!c->config->jail.wanted)
		return 0;
	ret = split(c, status);
	if (ret == 0)
		return move_in(c);
	remove_cgroups(c);
	return ret;
}

const char *confine_socket(struct confine *c, const char *path)
{
	if (!c)
		return path;
	c->cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->cwd < 0 || fchdir(c->keeper.socket_dir) < 0)
		return path; /* and the socket may not be there later */
	if (c->jail.change_user) {
		setfsgid(c->jail.gid);
		setfsuid(c->jail.uid);
	}
	return c->keeper.socket_name;
}

void confine_socket_made(struct confine *c, bool made)
{
	struct keeper_message m = { .kind = KEEPER_SOCKET };
	struct stat st;

	if (!c)
		return;
	if (c->jail.change_user) {
		setfsuid(0);
		setfsgid(0);
	}
	if (made && fstatat(c->keeper.socket_dir, c->keeper.socket_name, &st,
			    AT_SYMLINK_NOFOLLOW) == 0) {
		m.dev = st.st_dev;
		m.ino = st.st_ino;
		if (write(c->control, &m, sizeof(m)) < 0)
			log_warn("--vsock: %s; remove the socket yourself",
				 log_errno(errno));
	}
	if (c->cwd >= 0 && fchdir(c->cwd) < 0)
		log_warn("working directory: %s", log_errno(errno));
	close(c->cwd);
}

static void close_own(struct confine *c)
{
	for (unsigned int i = 0; i < c->nr_cgroups; i++) {
		close(c->cgroup[i].fd);
		if (c->cgroup[i].parent_fd >= 0)
			close(c->cgroup[i].parent_fd);
	}
	if (c->keeper.socket_dir >= 0)
		close(c->keeper.socket_dir);
	if (c->netns_fd >= 0)
		close(c->netns_fd);
}

int confine_lock(struct confine *c)
{
	const char *call;
	int ret;

	close_borrowed(c);
	environment_wipe(&c->lockdown);
	if (!c->config->jail.wanted) {
		no_core(&c->lockdown);
		no_new_privs(&c->lockdown);
		return 0;
	}
	close_own(c);
	ret = jail_lock(&c->jail, &c->lockdown, &call);
	if (ret < 0)
		log_error("--jail: %s: %s", call, log_errno(ret));
	/* The keeper may have died before we asked to die with it. */
	if (ret == 0 && fd_poll(c->control, POLLHUP))
		ret = -EPIPE;
	return ret;
}

void confine_seal(struct confine *c, struct machine *machine)
{
	struct vm *vm = &machine->vm;
	int ret = seal_program();

	for (unsigned int i = 0; i < vm->nr_vcpus && ret == 0; i++)
		ret = seal(vm->vcpu[i].run, vm->vcpu[i].run_size);
	if (ret == 0)
		ret = gmem_seal(&vm->mem);
	if (ret < 0)
		layer_lacks(&c->lockdown, LAYER_SEAL, "mseal", ret);
	else
		layer_holds(&c->lockdown, LAYER_SEAL);
}

static int check_required(const struct confine *c)
{
	char why[120];

	for (int i = 0; i < NR_LAYERS; i++) {
		if (!(c->config->required >> i & 1) ||
		    c->lockdown.layer[i].holds)
			continue;
		log_error("--require=%s: %s", layer_name((enum layer)i),
			  layer_why(&c->lockdown, (enum layer)i, why,
				    sizeof(why)));
		return -ENOTSUP;
	}
	return 0;
}

/* What --jail asks for and is not there is said, required or not. */
static void warn(const struct confine *c)
{
	char why[120];

	for (int i = LAYER_USER_NS; i < NR_LAYERS; i++) {
		if (c->lockdown.layer[i].asked && !c->lockdown.layer[i].holds)
			log_warn("this host does not give the layer %s: %s",
				 layer_name((enum layer)i),
				 layer_why(&c->lockdown, (enum layer)i, why,
					   sizeof(why)));
	}
}

int confine_check(struct confine *c, bool seccomp)
{
	char text[4096];
	size_t len;
	int ret;

	if (seccomp)
		layer_holds(&c->lockdown, LAYER_SECCOMP);
	ret = check_required(c);
	if (ret == 0 && c->config->jail.wanted)
		warn(c);
	if (!c->config->lockdown_report)
		return ret;
	len = lockdown_json(&c->lockdown, text, sizeof(text));
	if (len == 0 || write(STDERR_FILENO, text, len) < 0)
		log_error("--lockdown-report: cannot be written");
	return ret;
}
