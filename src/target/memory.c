/* SPDX-License-Identifier: MIT
 *
 * Reading another process's memory in batches.
 *
 * process_vm_readv(2) takes up to 1024 remote pieces and stops at the first page that it cannot
 * read, telling only how many bytes it copied in all. So a short answer is turned into the piece
 * and byte where it stopped; the rest of that piece is tried page by page, and a new batch
 * begins behind it. After a failure batches start small again: a run of bad pieces must not cost
 * a long batch each.
 */
#include "target/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/uio.h>

#define MEMORY_PAGE	   4096u
#define MEMORY_BATCH_MAX   IOV_MAX
#define MEMORY_BATCH_SMALL 16
/* The kernel copies at most 2 GiB less a page in one call; stay clear of that. */
#define MEMORY_BATCH_BYTES ((size_t)1 << 30)

struct memory_reader {
	pid_t pid;
	struct memory_piece *v;
	size_t n;
	size_t next;  /* the piece to go on with; its `got` says from which byte */
	size_t batch; /* pieces to take at once */
	int failed;
	struct iovec local[MEMORY_BATCH_MAX];
	struct iovec remote[MEMORY_BATCH_MAX];
};

/* A refusal that the next piece would meet as well. */
static bool memory_error_is_final(int error)
{
	return error && error != EFAULT;
}

/* Bytes of a piece that lie below the end of the address space. */
static size_t memory_piece_bytes(const struct memory_piece *p)
{
	uint64_t room = UINT64_MAX - p->address;

	return p->bytes < room ? p->bytes : (size_t)room;
}

static size_t memory_piece_rest(const struct memory_piece *p)
{
	return memory_piece_bytes(p) - p->got;
}

/* Fill the vectors from the next piece on; returns their number, the bytes in *total. */
static size_t memory_fill_batch(struct memory_reader *r, size_t *total)
{
	size_t n = 0;
	size_t i;

	*total = 0;
	for (i = r->next; i < r->n && n < r->batch && *total < MEMORY_BATCH_BYTES; i++) {
		struct memory_piece *p = &r->v[i];
		size_t bytes = memory_piece_rest(p);

		if (bytes > MEMORY_BATCH_BYTES - *total)
			bytes = MEMORY_BATCH_BYTES - *total;
		r->local[n].iov_base = (char *)p->buffer + p->got;
		r->remote[n].iov_base = (void *)(uintptr_t)(p->address + p->got);
		r->local[n].iov_len = r->remote[n].iov_len = bytes;
		*total += bytes;
		n++;
	}
	return n;
}

/* One call; returns the bytes copied, 0 on failure. */
static size_t memory_call(struct memory_reader *r, size_t nlocal, size_t nremote)
{
	ssize_t got = process_vm_readv(r->pid, r->local, nlocal, r->remote, nremote, 0);

	if (got < 0) {
		r->failed = errno;
		return 0;
	}
	return (size_t)got;
}

/* Count `got` bytes towards the pieces from the next one on, step over those that are whole. */
static void memory_advance(struct memory_reader *r, size_t got)
{
	while (r->next < r->n) {
		struct memory_piece *p = &r->v[r->next];
		size_t rest = memory_piece_rest(p);

		if (got < rest) {
			p->got += got;
			return;
		}
		p->got += rest;
		got -= rest;
		r->next++;
	}
}

/* The remote vector as single pages, so that the kernel cannot give up more than one of them. */
static size_t memory_fill_pages(struct memory_reader *r, const struct memory_piece *p)
{
	uint64_t address = p->address + p->got;
	size_t rest = memory_piece_rest(p);
	size_t total = 0;
	size_t n;

	for (n = 0; n < MEMORY_BATCH_MAX && total < rest; n++) {
		size_t bytes = MEMORY_PAGE - (address + total) % MEMORY_PAGE;

		if (bytes > rest - total)
			bytes = rest - total;
		r->remote[n].iov_base = (void *)(uintptr_t)(address + total);
		r->remote[n].iov_len = bytes;
		total += bytes;
	}
	r->local[0].iov_base = (char *)p->buffer + p->got;
	r->local[0].iov_len = total;
	return n;
}

/* Get what can be had of the piece that a batch stopped in, then leave it behind. */
static void memory_finish_piece(struct memory_reader *r)
{
	struct memory_piece *p = &r->v[r->next++];
	size_t pages = memory_fill_pages(r, p);
	size_t want, got;

	if (!r->failed)
		r->failed = EFAULT;
	if (pages == 1)
		return; /* the page that the batch has just failed at */
	do {
		want = r->local[0].iov_len;
		got = memory_call(r, 1, pages);
		p->got += got;
		pages = memory_fill_pages(r, p);
	} while (got == want && pages);
}

size_t memory_read_pieces(pid_t pid, struct memory_piece *v, size_t n, int *failed)
{
	struct memory_reader r;
	size_t whole = 0;
	size_t i;

	r.pid = pid;
	r.v = v;
	r.n = n;
	r.next = 0;
	r.batch = MEMORY_BATCH_MAX;
	r.failed = 0;
	for (i = 0; i < n; i++)
		v[i].got = 0;
	while (r.next < n) {
		size_t total;
		size_t used = memory_fill_batch(&r, &total);
		size_t got = total ? memory_call(&r, used, used) : 0;

		memory_advance(&r, got);
		if (memory_error_is_final(r.failed))
			break;
		if (got == total) {
			r.batch = r.batch > MEMORY_BATCH_MAX / 2 ? MEMORY_BATCH_MAX : r.batch * 2;
			continue;
		}
		memory_finish_piece(&r);
		if (memory_error_is_final(r.failed))
			break;
		r.batch = MEMORY_BATCH_SMALL;
	}
	for (i = 0; i < n; i++)
		whole += v[i].got == v[i].bytes;
	if (failed)
		*failed = r.failed;
	return whole;
}

size_t memory_read(pid_t pid, uint64_t address, void *buffer, size_t bytes)
{
	struct memory_piece p = { .address = address, .buffer = buffer, .bytes = bytes };

	memory_read_pieces(pid, &p, 1, NULL);
	return p.got;
}
