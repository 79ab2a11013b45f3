// SPDX-License-Identifier: Apache-2.0
/*
 * watch.h - notices that a file which guest memory maps has become shorter
 *
 * Memory behind the end of a file is gone: the monitor gets SIGBUS, KVM_RUN
 * fails, or a vCPU waits for the page for ever, whichever comes first.  So the
 * loop watches the files (inotify) and ends the machine with a message before.
 */
#ifndef MOTE_VMM_WATCH_H
#define MOTE_VMM_WATCH_H

#include <stdint.h>

#include "base/loop.h"
#include "vmm/vm.h"

#define WATCH_MAX_FILES 2

struct watch {
	struct loop_source source; /* an inotify descriptor */
	struct vm *vm;		   /* borrowed */
	struct watch_file {
		const char *option; /* "-k" */
		const char *path;   /* borrowed */
		int fd;		    /* owned */
		uint64_t size;	    /* as it was loaded */
	} file[WATCH_MAX_FILES];
	unsigned int nr_files;
};

/* Readies WATCH for VM's files; -errno. */
int watch_init(struct watch *watch, struct vm *vm);

/* Watches the file FD, now the watch's, that OPTION named PATH.  -errno: it
 * cannot be watched (it is closed then), and the machine does without.
 */
int watch_add(struct watch *watch, const char *option, const char *path,
	      int fd);

/* Closes the files, and leaves the loop.  Harmless when WATCH (all zeros at
 * first) was not made.
 */
void watch_fini(struct watch *watch);

#endif
