// SPDX-License-Identifier: Apache-2.0
/*
 * namespaces.c - a view of the system in which there is nothing
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/util.h"
#include "seccomp/namespaces.h"
#include "seccomp/privileges.h"

/* <linux/mount.h>, which does not go with every libc's <sys/mount.h>. */
#define OPEN_TREE_CLONE		1
#define MOVE_MOUNT_F_EMPTY_PATH 4
#define FSCONFIG_SET_STRING	1
#define FSCONFIG_CMD_CREATE	6
#define MOUNT_ATTR_RDONLY	1
#define MOUNT_ATTR_NOSUID	2
#define MOUNT_ATTR_NODEV	4
#define MOUNT_ATTR_NOEXEC	8
#define MS_REC			(1 << 14)
#define MS_PRIVATE		(1 << 18)
#define MNT_DETACH		2

struct mount_attributes { /* struct mount_attr */
	uint64_t set, clear, propagation, userns_fd;
};

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -1;
	if (write(fd, text, strlen(text)) < 0)
		ret = -1;
	close(fd);
	return ret;
}

/* One user and one group, by the numbers that they have outside.  Without the
 * capability over the parent's namespace nothing else could be mapped, and only
 * once setgroups(2) is denied: user_namespaces(7).
 */
static void map_ids(struct lockdown *lockdown, uid_t uid, gid_t gid)
{
	char text[32];
	int ret;

	ret = write_file("/proc/self/setgroups", "deny");
	layer_tried(lockdown, LAYER_USER_NS, "/proc/self/setgroups", ret);
	snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	ret = write_file("/proc/self/uid_map", text);
	layer_tried(lockdown, LAYER_USER_NS, "/proc/self/uid_map", ret);
	snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	ret = write_file("/proc/self/gid_map", text);
	layer_tried(lockdown, LAYER_USER_NS, "/proc/self/gid_map", ret);
}

bool namespaces_split(struct lockdown *lockdown)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int ret = unshare(CLONE_NEWPID);

	if (ret == 0) {
		layer_holds(lockdown, LAYER_PID_NS);
		return false;
	}
	ret = unshare(CLONE_NEWUSER | CLONE_NEWPID);
	layer_tried(lockdown, LAYER_PID_NS, "unshare CLONE_NEWPID", ret);
	layer_tried(lockdown, LAYER_USER_NS, "unshare CLONE_NEWUSER", ret);
	if (ret == 0)
		map_ids(lockdown, uid, gid);
	return ret == 0;
}

/* Nobody else who is UID may trace us on the way: until the last step the real
 * user number is root's, and it is root who opens the files below /proc/self,
 * which a process that others may not trace does not own itself.
 */
int namespaces_become(struct lockdown *lockdown, uid_t uid, gid_t gid,
		      const char **call)
{
	*call = "setgroups";
	if (setgroups(0, NULL) < 0)
		return -errno;
	*call = "setresgid";
	if (setresgid(gid, gid, gid) < 0)
		return -errno;
	/* The owner of the namespace is who makes it. */
	*call = "setresuid";
	if (setresuid((uid_t)-1, uid, (uid_t)-1) < 0)
		return -errno;
	setfsuid(0);
	layer_tried(lockdown, LAYER_USER_NS, "unshare CLONE_NEWUSER",
		    unshare(CLONE_NEWUSER));
	if (lockdown->layer[LAYER_USER_NS].holds) {
		map_ids(lockdown, uid, gid);
		return setresuid(uid, uid, uid) < 0 ? -errno : 0;
	}
	/* Back to root's powers, and this time they are kept. */
	if (setresuid((uid_t)-1, 0, (uid_t)-1) < 0 ||
	    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -errno;
	*call = "capset";
	return capabilities_keep(~0ull);
}

void namespaces_no_more(const struct lockdown *lockdown)
{
	if (lockdown->layer[LAYER_USER_NS].holds)
		write_file("/proc/sys/user/max_user_namespaces", "0");
}

void namespaces_enter(struct lockdown *lockdown, bool new_net)
{
	const struct {
		enum layer layer;
		int flag;
		const char *call;
	} kinds[] = {
		{ LAYER_MOUNT_NS, CLONE_NEWNS, "unshare CLONE_NEWNS" },
		{ LAYER_IPC_NS, CLONE_NEWIPC, "unshare CLONE_NEWIPC" },
		{ LAYER_UTS_NS, CLONE_NEWUTS, "unshare CLONE_NEWUTS" },
		{ LAYER_CGROUP_NS, CLONE_NEWCGROUP, "unshare CLONE_NEWCGROUP" },
		{ LAYER_NET_NS, CLONE_NEWNET, "unshare CLONE_NEWNET" },
	};
	size_t nr = ARRAY_SIZE(kinds) - (new_net ? 0 : 1);
	int all = 0;
	bool done;

	for (size_t i = 0; i < nr; i++)
		all |= kinds[i].flag;
	/* At once, which is cheaper; one by one to learn which fails. */
	done = unshare(all) == 0;
	for (size_t i = 0; i < nr; i++)
		layer_tried(lockdown, kinds[i].layer, kinds[i].call,
			    done ? 0 : unshare(kinds[i].flag));
	/* The host's names are nobody's business. */
	if (lockdown->layer[LAYER_UTS_NS].holds) {
		sethostname("mote", 4);
		setdomainname("", 0);
	}
}

/* A file system with nothing in it, and no room for anything, as a mount that
 * is nowhere yet; or one of the current directory.  -1 with errno and *CALL.
 */
static int new_root(bool here, const char **call)
{
	int fs, fd = -1;

	*call = "open_tree";
	if (here)
		return (int)syscall(SYS_open_tree, AT_FDCWD, ".",
				    OPEN_TREE_CLONE | O_CLOEXEC);
	*call = "fsopen tmpfs";
	fs = (int)syscall(SYS_fsopen, "tmpfs", 1 /* FSOPEN_CLOEXEC */);
	if (fs < 0)
		return -1;
	*call = "fsconfig";
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "nr_inodes", "1",
		    0) == 0 &&
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0555", 0) ==
		    0 &&
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ==
		    0) {
		*call = "fsmount";
		fd = (int)syscall(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, 0);
	}
	close(fs);
	return fd;
}

/* Makes the mount FD the root; -1 with errno and *CALL.  It is put on top of
 * the current directory; then old and new root change places, and the old one
 * lies on top of the new one until it goes: pivot_root(2).
 */
static int change_root(int fd, const char **call)
{
	struct mount_attributes attr = {
		.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
		       MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	};

	*call = "mount_setattr";
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr,
		    sizeof(attr)) < 0)
		return -1;
	*call = "move_mount";
	if (syscall(SYS_move_mount, fd, "", AT_FDCWD, ".",
		    MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -1;
	*call = "fchdir";
	if (fchdir(fd) < 0)
		return -1;
	*call = "pivot_root";
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		*call = "umount2";
		if (syscall(SYS_umount2, ".", MNT_DETACH) < 0)
			return -1;
	} else if (errno != EINVAL || chroot(".") < 0) {
		/* A host that runs from its initramfs, which stays below every
		 * other root for ever, has chroot(2) for this.
		 */
		return -1;
	}
	*call = "chdir";
	return chdir("/");
}

void namespaces_leave_root(struct lockdown *lockdown, bool here)
{
	const char *call = "unshare CLONE_NEWNS";
	int fd, ret;

	if (!lockdown->layer[LAYER_MOUNT_NS].holds) {
		layer_lacks(lockdown, LAYER_ROOT, call,
			    lockdown->layer[LAYER_MOUNT_NS].err);
		return;
	}
	/* What we mount stays ours, what others mount stays theirs. */
	ret = (int)syscall(SYS_mount, NULL, "/", NULL, MS_REC | MS_PRIVATE,
			   NULL);
	if (ret < 0) {
		layer_lacks(lockdown, LAYER_ROOT, "mount MS_PRIVATE", -errno);
		return;
	}
	fd = new_root(here, &call);
	ret = fd < 0 ? -1 : change_root(fd, &call);
	layer_tried(lockdown, LAYER_ROOT, call, ret);
	if (fd >= 0)
		close(fd);
}
