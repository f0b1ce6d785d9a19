/* SPDX-License-Identifier: MIT
 *
 * Two ways to ask which pages there are. PAGEMAP_SCAN (Linux 6.7) steps over what has no page
 * tables, so that terabytes of reserved addresses cost nothing; plain pagemap has eight bytes for
 * every page, there or not, so mappings beyond PAGES_PLAIN_MAX_BYTES are not looked at, which is
 * said.
 *
 * Neither needs privileges beyond those of looking at the process: page frame numbers, which would,
 * are not used. Both leave page tables as they are.
 */
#include "target/pages_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAGES_REGIONS	      4096u		   /* taken from the kernel at once */
#define PAGES_ENTRIES	      32768u		   /* of pagemap, read at once */
#define PAGES_PLAIN_MAX_BYTES (UINT64_C(64) << 30) /* of one mapping */

/* Entries of pagemap: fs/proc/task_mmu.c. */
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE    (UINT64_C(1) << 61)
#define ENTRY_GUARD   (UINT64_C(1) << 58)

/* Of linux/fs.h since 6.7; older headers lack it. */
struct pages_scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct pages_region {
	uint64_t start, end, categories;
};
#define PAGES_IOCTL_SCAN _IOWR('f', 16, struct pages_scan)
#define SCAN_FILE	 (UINT64_C(1) << 2)
#define SCAN_PRESENT	 (UINT64_C(1) << 3)
#define SCAN_SWAPPED	 (UINT64_C(1) << 4)
#define SCAN_ZERO	 (UINT64_C(1) << 5) /* the kernel's page of zeros */
#define SCAN_GUARD	 (UINT64_C(1) << 8) /* made to fault; since 6.15 */

/* Pages of zeros and guards are left out: nothing is in them, and a guard cannot be read. */
static struct pages_scan pages_scan_request(const struct extent *all, struct pages_region *regions,
					    bool guards)
{
	uint64_t without = SCAN_ZERO | (guards ? SCAN_GUARD : 0);

	return (struct pages_scan){
		.size = sizeof(struct pages_scan),
		.start = all->start,
		.end = all->end,
		.vec = (uintptr_t)regions,
		.vec_len = PAGES_REGIONS,
		.category_inverted = without,
		.category_mask = without,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_FILE,
	};
}

/* The first call tells whether the kernel knows it; then it has filled the vector. */
static int pages_scan_begin(int fd, const struct extent *all, struct pages_scan *scan,
			    struct pages_region *regions)
{
	int n;

	*scan = pages_scan_request(all, regions, true);
	n = ioctl(fd, PAGES_IOCTL_SCAN, scan);
	if (n >= 0 || errno != EINVAL)
		return n;
	*scan = pages_scan_request(all, regions, false);
	return ioctl(fd, PAGES_IOCTL_SCAN, scan);
}

static int pages_scan_on(struct pages_list *l, int fd, struct pages_scan *scan,
			 const struct pages_region *regions, int n, pages_sink *sink, struct err *e)
{
	for (;;) {
		for (int i = 0; i < n; i++) {
			int rc = sink(l, regions[i].start, regions[i].end,
				      regions[i].categories & SCAN_FILE);
			if (rc)
				return rc;
		}
		if (scan->walk_end >= scan->end)
			return 0;
		if (pages_is_expired(l))
			return pages_fail_expired(l, e);
		if (scan->walk_end <= scan->start)
			return err_set(e, ERR_BAD_FORMAT, "cannot list the pages of process %d",
				       (int)l->through);
		scan->start = scan->walk_end;
		n = ioctl(fd, PAGES_IOCTL_SCAN, scan);
		if (n < 0)
			return err_set_errno(e, errno, "cannot list the pages of process %d",
					     (int)l->through);
	}
}

/* -- without PAGEMAP_SCAN --------------------------------------------------------------------- */

static bool pages_entry_counts(uint64_t entry)
{
	return entry & (ENTRY_PRESENT | ENTRY_SWAPPED) && !(entry & ENTRY_GUARD);
}

/* The runs among `n` entries, whose first one is of the page at `address`. */
static int pages_take_entries(struct pages_list *l, uint64_t address, const uint64_t *v, size_t n,
			      pages_sink *sink)
{
	int rc = 0;

	for (size_t i = 0, first; i < n && !rc; i++) {
		if (!pages_entry_counts(v[i]))
			continue;
		for (first = i; i + 1 < n && pages_entry_counts(v[i + 1]) &&
				!((v[i + 1] ^ v[first]) & ENTRY_FILE);)
			i++;
		rc = sink(l, address + first * PAGES_PAGE_BYTES,
			  address + (i + 1) * PAGES_PAGE_BYTES, v[first] & ENTRY_FILE);
	}
	return rc;
}

static int pages_walk_mapping(struct pages_list *l, int fd, const struct mapping *m,
			      uint64_t *entries, pages_sink *sink, struct err *e)
{
	uint64_t at = m->start;
	int rc = 0;

	while (at < m->end && !rc) {
		size_t want = (size_t)((m->end - at) / PAGES_PAGE_BYTES);
		ssize_t got;

		if (pages_is_expired(l))
			return pages_fail_expired(l, e);
		want = want < PAGES_ENTRIES ? want : PAGES_ENTRIES;
		got = pread(fd, entries, want * sizeof(*entries),
			    (off_t)(at / PAGES_PAGE_BYTES * sizeof(*entries)));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < (ssize_t)sizeof(*entries))
			return err_set_errno(e, got < 0 ? errno : ENODATA,
					     "cannot list the pages of process %d",
					     (int)l->through);
		got /= (ssize_t)sizeof(*entries);
		rc = pages_take_entries(l, at, entries, (size_t)got, sink);
		at += (uint64_t)got * PAGES_PAGE_BYTES;
	}
	return rc;
}

static int pages_walk_plain(struct pages_list *l, int fd, pages_sink *sink, struct err *e)
{
	uint64_t *entries = calloc(PAGES_ENTRIES, sizeof(*entries));
	int rc = 0;

	if (!entries)
		return err_set(e, ERR_NOMEM, "cannot list pages");
	for (size_t i = 0; i < l->maps->n && !rc; i++) {
		const struct mapping *m = &l->maps->v[i];

		if (l->kinds[i] == PAGES_NONE)
			continue;
		if (m->end - m->start > PAGES_PLAIN_MAX_BYTES)
			l->out->unread = "a mapping is too large to be examined on this kernel";
		else
			rc = pages_walk_mapping(l, fd, m, entries, sink, e);
	}
	free(entries);
	return rc;
}

/* --------------------------------------------------------------------------------------------- */

/* From the first mapping that counts to the last. */
static struct extent pages_find_span(const struct pages_list *l)
{
	struct extent all = { 0, 0 };

	for (size_t i = 0; i < l->maps->n; i++) {
		if (l->kinds[i] == PAGES_NONE)
			continue;
		if (!all.end)
			all.start = l->maps->v[i].start;
		all.end = l->maps->v[i].end;
	}
	return all;
}

int pages_walk(struct pages_list *l, pages_sink *sink, struct err *e)
{
	struct pages_region *regions = calloc(PAGES_REGIONS, sizeof(*regions));
	struct extent all = pages_find_span(l);
	struct pages_scan scan;
	char path[64];
	int fd, n, rc;

	if (!regions)
		return err_set(e, ERR_NOMEM, "cannot list pages");
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)l->through);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		rc = err_set_errno(e, errno, "cannot open %s", path);
		goto out;
	}
	n = l->plain ? -1 : pages_scan_begin(fd, &all, &scan, regions);
	if (n >= 0)
		rc = pages_scan_on(l, fd, &scan, regions, n, sink, e);
	else
		rc = pages_walk_plain(l, fd, sink, e);
	close(fd);
out:
	free(regions);
	return rc;
}
