// SPDX-License-Identifier: Apache-2.0
/*
 * gmem.c - guest physical memory: regions and checked accessors
 */
#include <errno.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include "base/gmem.h"
#include "base/seal.h"
#include "base/util.h"

static int gmem_insert(struct guest_memory *gm, const struct gmem_region *new)
{
	uint64_t end = 0;

	if (gm->nr_regions == GMEM_MAX_REGIONS)
		return -ENOSPC;
	if (gm->nr_regions > 0) {
		const struct gmem_region *last =
			&gm->region[gm->nr_regions - 1];

		end = last->gpa + last->size;
	}
	if (new->size == 0 || new->gpa < end ||
	    new->gpa + new->size < new->gpa ||
	    !IS_ALIGNED(new->gpa, PAGE_SIZE) ||
	    !IS_ALIGNED(new->size, PAGE_SIZE))
		return -EINVAL;
	gm->region[gm->nr_regions++] = *new;
	return 0;
}

int gmem_map(struct guest_memory *gm, uint64_t gpa, uint64_t size)
{
	struct gmem_region new = { .gpa = gpa, .size = size, .mapped = true };
	uint64_t room = size + 2 * (uint64_t)PAGE_SIZE;
	uint8_t *guard;
	int ret;

	if (room < size)
		return -EINVAL;
	/* One inaccessible mapping, the middle of which is then opened. */
	guard = mmap(NULL, room, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (guard == MAP_FAILED)
		return -ENOMEM;
	new.hva = guard + PAGE_SIZE;
	ret = gmem_insert(gm, &new);
	if (ret < 0)
		goto err_unmap;
	if (mprotect(new.hva, size, PROT_READ | PROT_WRITE) < 0) {
		gm->nr_regions--;
		ret = -ENOMEM;
		goto err_unmap;
	}
	/* Guest secrets stay out of the monitor's core dump; best effort. */
	madvise(new.hva, size, MADV_DONTDUMP);
	return 0;

err_unmap:
	munmap(guard, room);
	return ret;
}

int gmem_add(struct guest_memory *gm, uint64_t gpa, uint64_t size, void *hva)
{
	struct gmem_region new = { .gpa = gpa, .size = size, .hva = hva };

	return gmem_insert(gm, &new);
}

void gmem_fini(struct guest_memory *gm)
{
	for (unsigned int i = 0; i < gm->nr_regions; i++) {
		struct gmem_region *r = &gm->region[i];

		if (r->mapped)
			munmap(r->hva - PAGE_SIZE,
			       r->size + 2 * (uint64_t)PAGE_SIZE);
	}
	gm->nr_regions = 0;
	gm->nr_pieces = 0;
}

uint64_t gmem_size(const struct guest_memory *gm)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < gm->nr_regions; i++)
		sum += gm->region[i].size;
	return sum;
}

/* The one place where an address of the guest becomes a pointer of ours. */
static uint8_t *gmem_hva(const struct guest_memory *gm, uint64_t gpa,
			 size_t len)
{
	for (unsigned int i = 0; i < gm->nr_regions; i++) {
		const struct gmem_region *r = &gm->region[i];

		/* Subtractions only: gpa + len may wrap. */
		if (gpa >= r->gpa && len <= r->size &&
		    gpa - r->gpa <= r->size - len)
			return r->hva + (gpa - r->gpa);
	}
	return NULL;
}

const void *gmem_ptr(const struct guest_memory *gm, uint64_t gpa, size_t len)
{
	return gmem_hva(gm, gpa, len);
}

void *gmem_ptr_mut(struct guest_memory *gm, uint64_t gpa, size_t len)
{
	return gmem_hva(gm, gpa, len);
}

int gmem_read(const struct guest_memory *gm, uint64_t gpa, void *dst,
	      size_t len)
{
	const void *src = gmem_ptr(gm, gpa, len);

	if (!src)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

int gmem_write(struct guest_memory *gm, uint64_t gpa, const void *src,
	       size_t len)
{
	void *dst = gmem_ptr_mut(gm, gpa, len);

	if (!dst)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

int gmem_zero(struct guest_memory *gm, uint64_t gpa, size_t len)
{
	void *dst = gmem_ptr_mut(gm, gpa, len);

	if (!dst)
		return -EFAULT;
	memset(dst, 0, len);
	return 0;
}

int gmem_load_acquire_le16(const struct guest_memory *gm, uint64_t gpa,
			   uint16_t *value)
{
	const uint16_t *p = gmem_ptr(gm, gpa, sizeof(*p));

	/* Regions are page aligned on both sides: even gpa, even hva. */
	if (!p || !IS_ALIGNED(gpa, sizeof(*p)))
		return -EFAULT;
	*value = __atomic_load_n(p, __ATOMIC_ACQUIRE);
	return 0;
}

int gmem_store_release_le16(struct guest_memory *gm, uint64_t gpa,
			    uint16_t value)
{
	uint16_t *p = gmem_ptr_mut(gm, gpa, sizeof(*p));

	if (!p || !IS_ALIGNED(gpa, sizeof(*p)))
		return -EFAULT;
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
	return 0;
}

static int read_all(int fd, uint8_t *dst, uint64_t len, uint64_t offset)
{
	while (len > 0) {
		ssize_t got =
			pread(fd, dst, MIN(len, MIB(1024)), (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO;
		dst += got;
		offset += (uint64_t)got;
		len -= (uint64_t)got;
	}
	return 0;
}

/* Whole pages of the file that lie in the range, as a mapping over RAM.  After
 * an error the range is RAM again, whatever it held: -errno.
 */
static int map_pages(struct guest_memory *gm, uint8_t *hva, int fd,
		     uint64_t offset, uint64_t len)
{
	void *p;
	int ret;

	if (gm->nr_pieces == GMEM_MAX_PIECES)
		return -ENOSPC;
	p = mmap(hva, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, (off_t)offset);
	ret = p == MAP_FAILED ? -errno : 0;
	/* mmap(2) with MAP_FIXED may fail with the old mapping gone already. */
	if (ret < 0 &&
	    mmap(hva, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
		 0) == MAP_FAILED)
		return -errno;
	madvise(hva, len, MADV_DONTDUMP);
	if (ret == 0)
		gm->piece[gm->nr_pieces++] = (struct gmem_piece){ hva, len };
	return ret;
}

int gmem_load_file(struct guest_memory *gm, uint64_t gpa, int fd,
		   uint64_t offset, uint64_t len, bool copy)
{
	uint8_t *hva = gmem_ptr_mut(gm, gpa, len);
	uint64_t head, body;
	struct stat st;
	int ret;

	if (!hva)
		return -EFAULT;
	/* A page past the end of a file cannot be mapped, only faulted on. */
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || offset > (uint64_t)st.st_size ||
	    len > (uint64_t)st.st_size - offset)
		return -EIO;
	if (copy || !IS_ALIGNED((uint64_t)(uintptr_t)hva ^ offset, PAGE_SIZE))
		return read_all(fd, hva, len, offset);

	head = MIN(len, -offset & (PAGE_SIZE - 1));
	body = ALIGN_DOWN(len - head, PAGE_SIZE);
	ret = read_all(fd, hva, head, offset);
	if (ret < 0)
		return ret;
	/* A file system without mmap: what cannot be mapped is read. */
	if (body > 0 && map_pages(gm, hva + head, fd, offset + head, body) < 0)
		body = 0;
	return read_all(fd, hva + head + body, len - head - body,
			offset + head + body);
}

/* How many bytes at ADDR, at most LEN, are alike: of one piece, which is then
 * *PIECE, or of none.
 */
static size_t like_bytes(struct guest_memory *gm, const uint8_t *addr,
			 size_t len, struct gmem_piece **piece)
{
	*piece = NULL;
	for (unsigned int i = 0; i < gm->nr_pieces; i++) {
		struct gmem_piece *p = &gm->piece[i];

		if (addr >= p->hva && addr < p->hva + p->size) {
			*piece = p;
			return MIN(len, (size_t)(p->hva + p->size - addr));
		}
		if (p->hva > addr)
			len = MIN(len, (size_t)(p->hva - addr));
	}
	return len;
}

/* Replaces LEN bytes at ADDR of the piece P by anonymous memory. */
static int punch(struct guest_memory *gm, struct gmem_piece *p, uint8_t *addr,
		 size_t len)
{
	size_t head = (size_t)(addr - p->hva);
	size_t tail = p->size - head - len;

	if (head > 0 && tail > 0 && gm->nr_pieces == GMEM_MAX_PIECES)
		return -ENOSPC;
	/* One call: a vCPU that touches the page meets the old or the new. */
	if (mmap(addr, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
		 0) == MAP_FAILED)
		return -errno;
	madvise(addr, len, MADV_DONTDUMP);
	if (tail > 0 && head > 0)
		gm->piece[gm->nr_pieces++] =
			(struct gmem_piece){ addr + len, tail };
	if (head > 0)
		p->size = head;
	else if (tail > 0)
		*p = (struct gmem_piece){ addr + len, tail };
	else
		*p = gm->piece[--gm->nr_pieces];
	return 0;
}

int gmem_discard_ptr(struct guest_memory *gm, void *addr, size_t len)
{
	const struct gmem_region *r = gm->region;
	uint8_t *at = addr;
	int kept = 0;

	if (!IS_ALIGNED((uintptr_t)addr | len, PAGE_SIZE))
		return -EINVAL;
	if (len == 0)
		return 0;
	while (r < gm->region + gm->nr_regions &&
	       (at < r->hva || at >= r->hva + r->size))
		r++;
	if (r == gm->region + gm->nr_regions ||
	    len > r->size - (size_t)(at - r->hva))
		return -EFAULT;
	if (!r->mapped) {
		memset(addr, 0, len);
		return 0;
	}
	while (len > 0) {
		struct gmem_piece *piece;
		size_t run = like_bytes(gm, at, len, &piece);
		int ret;

		if (piece)
			ret = punch(gm, piece, at, run);
		else
			ret = madvise(at, run, MADV_DONTNEED) < 0 ? -errno : 0;
		if (ret < 0)
			kept = ret;
		at += run;
		len -= run;
	}
	return kept;
}

int gmem_discard(struct guest_memory *gm, uint64_t gpa, size_t len)
{
	void *addr = gmem_ptr_mut(gm, gpa, len);

	return addr ? gmem_discard_ptr(gm, addr, len) : -EFAULT;
}

int gmem_seal(struct guest_memory *gm)
{
	int ret = 0;

	for (unsigned int i = 0; i < gm->nr_regions && ret == 0; i++) {
		const struct gmem_region *r = &gm->region[i];
		const uint8_t *at = r->hva - PAGE_SIZE;
		size_t left = r->size + 2 * (size_t)PAGE_SIZE;

		if (!r->mapped)
			continue;
		while (left > 0 && ret == 0) {
			struct gmem_piece *piece;
			size_t n = like_bytes(gm, at, left, &piece);

			if (!piece)
				ret = seal(at, n);
			at += n;
			left -= n;
		}
	}
	return ret;
}

bool gmem_owns_hva(const struct guest_memory *gm, const void *addr)
{
	const uint8_t *p = addr;

	for (unsigned int i = 0; i < gm->nr_regions; i++) {
		const struct gmem_region *r = &gm->region[i];

		if (p >= r->hva && p < r->hva + r->size)
			return true;
	}
	return false;
}
