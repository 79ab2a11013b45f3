// SPDX-License-Identifier: Apache-2.0
/*
 * gmem.h - guest physical memory, and the only way to reach it
 *
 * Theory of operation.  Guest RAM is one region below the hole at 3 GiB and one
 * above 4 GiB.  Regions are added before the first vCPU starts and never change
 * after that, so every function here may be called from any thread without a
 * lock.  Each access names a guest physical address and a length; gmem_ptr() is
 * the one place where the two are checked against a region.  Regions are never
 * merged, so no access crosses the hole, and no address outside RAM (a device
 * window, say) ever becomes a host pointer.
 *
 * The guest may change memory at any moment.  A caller copies a structure once
 * with gmem_read(), validates the copy, and never looks at the original again.
 *
 * Memory goes back to the host with gmem_discard().  Of anonymous memory that
 * is MADV_DONTNEED; where a file is mapped (gmem_load_file()) the same call
 * would bring the file's content back, so fresh anonymous memory replaces the
 * mapping there.  What files are mapped is kept in a table, one row a piece:
 * each hole in a piece costs a row and the host a mapping, so the table bounds
 * how far a guest can split our address space.
 */
#ifndef MOTE_BASE_GMEM_H
#define MOTE_BASE_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GMEM_MAX_REGIONS 2
#define GMEM_MAX_PIECES	 64 /* of mapped files */

struct gmem_region {
	uint64_t gpa;  /* page aligned */
	uint64_t size; /* bytes, page aligned, never 0 */
	uint8_t *hva;  /* page aligned */
	bool mapped;   /* gmem_map() made it: gmem_fini() unmaps it */
};

/* Pages of RAM that a file backs. */
struct gmem_piece {
	uint8_t *hva;
	size_t size;
};

struct guest_memory {
	struct gmem_region region[GMEM_MAX_REGIONS];
	unsigned int nr_regions;
	/* gmem_load_file() and gmem_discard() alone look here. */
	struct gmem_piece piece[GMEM_MAX_PIECES];
	unsigned int nr_pieces;
};

/* Adds a region of anonymous memory: private, not reserved (the host commits
 * pages as the guest touches them), excluded from core dumps, with an
 * inaccessible page on either side.  GPA and SIZE are page aligned, above every
 * region added before.  -EINVAL when they are not, -ENOSPC when the table is
 * full, -ENOMEM when the address space is not to be had.
 */
int gmem_map(struct guest_memory *gm, uint64_t gpa, uint64_t size);

/* Adds memory that the caller owns and outlives GM (unit tests, fuzzers). */
int gmem_add(struct guest_memory *gm, uint64_t gpa, uint64_t size, void *hva);

/* Unmaps what gmem_map() made. */
void gmem_fini(struct guest_memory *gm);

/* Total size in bytes. */
uint64_t gmem_size(const struct guest_memory *gm);

/* Host pointer to [GPA, GPA + LEN), or NULL unless all of it lies in one
 * region.  LEN 0 is valid up to and including the end of a region.  Never read
 * a control field through the pointer twice: the guest may change it.  The
 * _mut form is for memory that the monitor writes.
 */
const void *gmem_ptr(const struct guest_memory *gm, uint64_t gpa, size_t len);
void *gmem_ptr_mut(struct guest_memory *gm, uint64_t gpa, size_t len);

/* Copies LEN bytes.  0, or -EFAULT and nothing copied. */
int gmem_read(const struct guest_memory *gm, uint64_t gpa, void *dst,
	      size_t len);
int gmem_write(struct guest_memory *gm, uint64_t gpa, const void *src,
	       size_t len);

/* Fills with zeros.  0, or -EFAULT and nothing written. */
int gmem_zero(struct guest_memory *gm, uint64_t gpa, size_t len);

/* 16-bit ring indices, single-copy atomic; the caller names the partner of the
 * ordering.  -EFAULT outside RAM or when GPA is odd.
 */
int gmem_load_acquire_le16(const struct guest_memory *gm, uint64_t gpa,
			   uint16_t *value);
int gmem_store_release_le16(struct guest_memory *gm, uint64_t gpa,
			    uint16_t value);

/* Puts LEN bytes of the file FD from OFFSET at GPA, before the guest starts.
 * Whole pages whose alignment agrees are mapped (MAP_PRIVATE: the guest's
 * writes stay its own, many machines share one page cache), the rest is read;
 * COPY reads everything.  The caller has checked that the file holds the bytes.
 * -EFAULT outside RAM, -EIO when the file is shorter than it said, or -errno.
 */
int gmem_load_file(struct guest_memory *gm, uint64_t gpa, int fd,
		   uint64_t offset, uint64_t len, bool copy);

/* Gives whole pages back to the host: [GPA, GPA + LEN) reads as zeros from here
 * on, and takes no memory until it is touched again.  For the loop's thread.
 * -EFAULT outside RAM, -EINVAL when GPA or LEN is not page aligned; -ENOSPC or
 * another -errno when the host does not take some of it, and those pages are as
 * they were.  Memory from gmem_add() is only filled with zeros.
 */
int gmem_discard(struct guest_memory *gm, uint64_t gpa, size_t len);

/* The same for ADDR, a pointer that gmem_ptr_mut() gave out. */
int gmem_discard_ptr(struct guest_memory *gm, void *addr, size_t len);

/* Seals (base/seal.h) what gmem_map() made and its guards, but for pages of
 * files, which gmem_discard() may have to replace.  After gmem_load_file(), and
 * for good: gmem_fini() cannot unmap it.  -errno.
 */
int gmem_seal(struct guest_memory *gm);

/* True when ADDR, a host address as SIGBUS reports it, is guest memory. */
bool gmem_owns_hva(const struct guest_memory *gm, const void *addr);

#endif
