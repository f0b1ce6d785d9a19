/* SPDX-License-Identifier: MIT
 *
 * What the files of pages share.
 *   pages_walk.c    asks the kernel which pages there are: PAGEMAP_SCAN or plain pagemap
 *   pages_shared.c  what shared memory holds beyond the pages that are mapped in
 *   pages.c         which of them count, put together
 */
#ifndef STRAND_TARGET_PAGES_PRIVATE_H
#define STRAND_TARGET_PAGES_PRIVATE_H

#include "target/pages.h"

#define PAGES_PAGE_BYTES 4096u

/* What of a mapping counts. */
enum pages_kind {
	PAGES_NONE,
	PAGES_ALL,     /* every page that is there */
	PAGES_WRITTEN, /* those that are no longer the file's: of private mappings of files */
	PAGES_SHARED,  /* every page that is there, of memory that may have more behind it */
};

struct pages_list {
	pid_t through;
	const struct maps *maps;
	enum pages_kind *kinds; /* of each mapping */
	size_t next;		/* the mapping at or behind which the walk is */
	size_t last;		/* the mapping of the last extent */
	size_t room;
	bool plain; /* do without PAGEMAP_SCAN */
	bool (*expired)(void *ctx);
	void *ctx;
	struct pages *out;
};

/* A run of pages that hold something; `file`: they are those of a file, or shared. Ascending. */
typedef int pages_sink(struct pages_list *l, uint64_t start, uint64_t end, bool file);

/* Hand all runs within the mappings that count to `sink`. Also runs of other mappings may come. */
int pages_walk(struct pages_list *l, pages_sink *sink, struct err *e);

/* Once all extents are there: is there shared memory that may hold pointers, and is not mapped in?
 * Then out->unread is set. */
int pages_check_shared(struct pages_list *l, struct err *e);

/* pages_list(), if need be as on a kernel without PAGEMAP_SCAN. */
int pages_list_by(bool plain, pid_t through, const struct maps *maps, bool (*expired)(void *ctx),
		  void *ctx, struct pages *out, struct err *e);

bool pages_is_expired(const struct pages_list *l);
int pages_fail_expired(const struct pages_list *l, struct err *e);

/* Is it memory that only looks like a file: of memfd_create(2), SysV, shared by fork, /dev/shm? */
/* A table or control file of strand's own. */
bool pages_is_table(const struct mapping *m);
bool pages_is_memory_file(const struct mapping *m);

#endif
