/* SPDX-License-Identifier: MIT
 *
 * glibc's lists of thread stacks: those in use that it made itself, those in use that the program gave,
 * those it keeps for new threads; with the last go the sum of its bytes, a word for a change under
 * way, and a lock.
 *
 * The last list is believed only if nothing is being changed, every link agrees with its neighbours,
 * each stack is a mapping of its own kind whose thread has ended, and the bytes add up exactly. In the
 * first list are threads, too, that have ended and were not joined: their frames are over, but what
 * they returned is in their descriptors.
 * Memory that is wrongly said to be nobody's would hide what it points to.
 */
#include "readers/thread_memory_private.h"

#include <stdlib.h>

#define LIST_BYTES 16
#define PAGE_BYTES 4096ull
#define STACKS_MAX 65536

/* Read the links of the element at `at` if those of its neighbours lead back to it. */
static bool read_links(const struct thread_memory_work *w, uint64_t at, uint64_t links[2])
{
	uint64_t back, forth;

	return source_read(w->memory, at, links, LIST_BYTES) && !(links[0] % 8) &&
	       !(links[1] % 8) && source_read(w->memory, links[0] + 8, &back, sizeof(back)) &&
	       source_read(w->memory, links[1], &forth, sizeof(forth)) && back == at && forth == at;
}

static void add_head(const struct thread_memory_work *w, struct thread_memories *out, uint64_t at)
{
	uint64_t links[2];

	if (at && read_links(w, at, links))
		out->lists[out->list_count++] = (struct extent){ at, at + LIST_BYTES };
}

/* Anonymous memory that only this process has, to read and write, all of one kind. */
static bool is_made_by_libc(const struct maps *maps, const struct extent *stack,
			    uint64_t descriptor)
{
	const struct mapping *m = maps_find(maps, descriptor);

	return m && m->read && m->write && !m->shared && !m->inode && !m->path[0] &&
	       m->end >= stack->end && stack->start % PAGE_BYTES == 0 &&
	       stack->end % PAGE_BYTES == 0;
}

static bool read_cached(const struct thread_memory_work *w, uint64_t descriptor, struct extent *out)
{
	uint8_t *bytes = thread_memory_descriptor(w, descriptor);
	int32_t tid;
	bool ok = false;

	if (bytes) {
		tid = (int32_t)thread_memory_word(bytes, w->layout.tid);
		ok = tid <= 0 && thread_memory_word(bytes, 0) == descriptor &&
		     thread_memory_word(bytes, 16) == descriptor &&
		     thread_memory_stack(w, descriptor, bytes, out) &&
		     is_made_by_libc(&w->in->capture->maps, out, descriptor);
	}
	free(bytes);
	return ok;
}

static bool overlaps(const struct extent *a, const struct extent *b)
{
	return a->start < b->end && b->start < a->end;
}

/* No thread of the process has it: not as its stack, not under its stack pointer, not as its
 * descriptor. */
static bool is_nobodys(const struct thread_memory_work *w, const struct thread_memories *out,
		       const struct extent *stack)
{
	const struct stop *stop = w->in->capture->stop;

	for (size_t i = 0; i < out->n; i++)
		if (overlaps(stack, &out->v[i].stack))
			return false;
	for (size_t i = 0; i < stop_count(stop); i++) {
		const struct stop_thread *t = stop_thread(stop, i);
		uint64_t sp = arch_sp(&t->regs), tp = arch_thread_pointer(&t->regs);

		if (t->state != STOP_THREAD_ENDED && ((sp >= stack->start && sp <= stack->end) ||
						      (tp >= stack->start && tp < stack->end)))
			return false;
	}
	return true;
}

static int add_cached(struct thread_memories *out, const struct extent *stack)
{
	struct extent *v = out->cached;

	if ((out->cached_count & (out->cached_count - 1)) == 0) {
		size_t room = out->cached_count ? 2 * out->cached_count : 1;

		v = realloc(v, room * sizeof(*v));
		if (!v)
			return ERR_NOMEM;
		out->cached = v;
	}
	v[out->cached_count++] = *stack;
	return 0;
}

static int compare_words(const void *va, const void *vb)
{
	uint64_t a = *(const uint64_t *)va, b = *(const uint64_t *)vb;

	return (a > b) - (a < b);
}

int thread_memory_find_made(struct thread_memory_work *w, size_t threads)
{
	uint64_t head = w->layout.stacks_used, links[2];

	w->made = calloc(threads + 1, sizeof(*w->made));
	if (!w->made)
		return ERR_NOMEM;
	if (!head || !read_links(w, head, links))
		return 0;
	/* Threads that have ended and were not joined are in it, too: some may find no room. */
	while (links[0] != head && w->made_count < threads) {
		uint64_t at = links[0];

		if (!read_links(w, at, links))
			break;
		w->made[w->made_count++] = at - w->layout.list;
	}
	qsort(w->made, w->made_count, sizeof(*w->made), compare_words);
	return 0;
}

bool thread_memory_is_made(const struct thread_memory_work *w, uint64_t descriptor)
{
	return bsearch(&descriptor, w->made, w->made_count, sizeof(*w->made), compare_words);
}

/* Walk the list; *sum is the bytes of its stacks. Returns 1 if it is as it should be, 0 if not. */
static int walk_cache(const struct thread_memory_work *w, uint64_t head,
		      struct thread_memories *out, uint64_t *sum)
{
	uint64_t links[2];
	struct extent stack;

	*sum = 0;
	if (!read_links(w, head, links))
		return 0;
	for (size_t n = 0; links[0] != head; n++) {
		uint64_t at = links[0];

		if (n == STACKS_MAX || !read_links(w, at, links) ||
		    !read_cached(w, at - w->layout.list, &stack) || !is_nobodys(w, out, &stack))
			return 0;
		if (add_cached(out, &stack))
			return ERR_NOMEM;
		*sum += stack.end - stack.start;
	}
	return 1;
}

static int compare_start(const void *va, const void *vb)
{
	uint64_t a = ((const struct extent *)va)->start, b = ((const struct extent *)vb)->start;

	return (a > b) - (a < b);
}

static bool is_disjoint(const struct extent *v, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++)
		if (overlaps(&v[i], &v[i + 1]))
			return false;
	return true;
}

/* Is nothing of the lists being changed? *bytes is how many the cached stacks have together. */
static bool is_at_rest(const struct thread_memory_work *w, uint64_t *bytes)
{
	const struct libc_layout *l = &w->layout;
	uint64_t in_flight;
	uint32_t lock;

	return l->stacks_cached && l->cached_bytes && l->in_flight && l->stacks_lock &&
	       source_read(w->memory, l->cached_bytes, bytes, sizeof(*bytes)) &&
	       source_read(w->memory, l->in_flight, &in_flight, sizeof(in_flight)) && !in_flight &&
	       source_read(w->memory, l->stacks_lock, &lock, sizeof(lock)) && !lock;
}

static bool sort_disjoint(struct thread_memories *out)
{
	if (out->cached_count)
		qsort(out->cached, out->cached_count, sizeof(*out->cached), compare_start);
	return is_disjoint(out->cached, out->cached_count);
}

static int find_cached(const struct thread_memory_work *w, struct thread_memories *out,
		       uint64_t bytes)
{
	uint64_t sum;
	int rc = walk_cache(w, w->layout.stacks_cached, out, &sum);

	if (rc < 0)
		return rc;
	if (!rc || sum != bytes || !sort_disjoint(out))
		out->cached_count = 0;
	return 0;
}

/* A thread that is not born yet looks the same, but has nothing on its stack; its argument is in its
 * descriptor, which is not taken. */
static int find_ended(const struct thread_memory_work *w, struct thread_memories *out)
{
	uint64_t head = w->layout.stacks_used, links[2];
	struct extent stack;

	if (!read_links(w, head, links))
		return 0;
	for (size_t n = 0; links[0] != head && n < STACKS_MAX; n++) {
		uint64_t at = links[0], descriptor = at - w->layout.list;

		if (!read_links(w, at, links))
			break;
		if (!read_cached(w, descriptor, &stack) || !is_nobodys(w, out, &stack))
			continue;
		stack.end = descriptor;
		if (add_cached(out, &stack))
			return ERR_NOMEM;
	}
	if (!sort_disjoint(out))
		out->cached_count = 0;
	return 0;
}

/* A forked process keeps the stacks of its parent's other threads in these lists; what its program
 * still has there is not for us to say. */
static int find_unused(const struct thread_memory_work *w, struct thread_memories *out)
{
	uint64_t bytes;
	int rc;

	if (w->in->target->forked || !is_at_rest(w, &bytes))
		return 0;
	rc = find_cached(w, out, bytes);
	return rc ? rc : find_ended(w, out);
}

int thread_memory_find_lists(const struct thread_memory_work *w, struct thread_memories *out)
{
	add_head(w, out, w->layout.stacks_used);
	add_head(w, out, w->layout.stacks_user);
	if (out->list_count != 2)
		return 0;
	add_head(w, out, w->layout.stacks_cached);
	return out->list_count == 3 ? find_unused(w, out) : 0;
}
