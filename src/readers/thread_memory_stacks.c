/* SPDX-License-Identifier: MIT
 *
 * Stacks. One is found in its thread's descriptor by what it must be: two adjacent words, a lowest
 * address and a size, with the descriptor at the top.
 *
 * The memory below a thread's stack pointer counts as unused, so whatever is doubtful about a stack
 * means that it is not known: then nothing of it is unused.
 */
#include "readers/thread_memory_private.h"

#include <stdlib.h>
#include <string.h>

/* PTHREAD_STACK_MIN of glibc on x86-64; smaller ones are refused. */
#define STACK_BYTES_MIN 16384

/* Between the end of the descriptor and that of its stack: alignment of thread-locals. */
#define TOP_BYTES_MAX 8192

/* Of one file or of none, or within a module's data, which has both. */
static bool is_one_kind(const struct thread_memory_work *w, const struct mapping *a,
			const struct mapping *b)
{
	const struct module *m = modules_find(w->in->modules, a->start);

	return (a->inode == b->inode && a->dev_major == b->dev_major &&
		a->dev_minor == b->dev_minor) ||
	       (m && b->start < m->end);
}

/* Private memory of one kind without holes; inaccessible pages (guards) only below all others. */
static bool may_be_stack(const struct thread_memory_work *w, const struct extent *stack)
{
	const struct maps *maps = &w->in->capture->maps;
	const struct mapping *first = maps_find(maps, stack->start), *m;
	uint64_t at = stack->start;
	bool writable = false;

	for (m = first; m && m < maps->v + maps->n && at < stack->end; m++) {
		if (m->start > at || m->shared || m->read != m->write ||
		    !is_one_kind(w, first, m) || (writable && !m->write))
			return false;
		writable = m->write;
		at = m->end;
	}
	return at >= stack->end && writable;
}

static bool is_stack(const struct thread_memory_work *w, uint64_t address, uint64_t start,
		     uint64_t bytes)
{
	struct extent stack = { start, start + bytes };
	uint64_t top = address + w->layout.bytes;

	return bytes >= STACK_BYTES_MIN && stack.end > start && start < address &&
	       address - start >= STACK_BYTES_MIN / 2 && top <= stack.end &&
	       stack.end - top < TOP_BYTES_MAX && may_be_stack(w, &stack);
}

bool thread_memory_stack(const struct thread_memory_work *w, uint64_t address,
			 const uint8_t *descriptor, struct extent *out)
{
	size_t found = 0;

	if (w->sets_stack_address)
		return false;
	for (uint64_t at = w->layout.start_routine + 16; at + 16 <= w->layout.bytes; at += 8) {
		uint64_t start = thread_memory_word(descriptor, at);
		uint64_t bytes = thread_memory_word(descriptor, at + 8);

		if (!is_stack(w, address, start, bytes))
			continue;
		*out = (struct extent){ start, start + bytes };
		found++;
	}
	return found == 1;
}

/* The first thread's descriptor has no stack, but an address in it (__libc_stack_end) in place of the
 * size. A forked process's first thread may have another's descriptor: then it must run there. */
bool thread_memory_main_stack(const struct thread_memory_work *w, const uint8_t *descriptor,
			      uint64_t sp, struct extent *out)
{
	for (uint64_t at = w->layout.start_routine + 16; at + 16 <= w->layout.bytes; at += 8) {
		const struct mapping *m =
			maps_find(&w->in->capture->maps, thread_memory_word(descriptor, at + 8));

		if (thread_memory_word(descriptor, at) || !m || strcmp(m->path, "[stack]") ||
		    !m->write || m->shared ||
		    (w->in->target->forked && (sp < m->start || sp >= m->end)))
			continue;
		*out = (struct extent){ m->start, m->end };
		return true;
	}
	return false;
}

/* Does a module of the program use `name`? */
static bool is_used(const struct threads_input *in, const char *name)
{
	for (size_t i = 0; i < modules_count(in->modules); i++) {
		const struct module *m = modules_get(in->modules, i);
		struct module_symbol sym;

		if (module_imports(m, name) || (libc_is_static(in->libc) && m->main_program &&
						module_find_symbol(m, name, true, &sym)))
			return true;
	}
	return false;
}

/* Old programs may say where a stack ends and not where it begins: glibc then takes its usual size
 * for granted, and the memory below may be anybody's. */
bool thread_memory_sets_address(const struct threads_input *in)
{
	return is_used(in, "pthread_attr_setstackaddr");
}

/* Coroutines may be made by calls with a gap below, and left and entered by jumps; or on the part of a
 * thread's own stack that it does not need. */
bool thread_memory_jumps(const struct threads_input *in)
{
	return is_used(in, "longjmp") || is_used(in, "_longjmp") || is_used(in, "siglongjmp") ||
	       is_used(in, "__longjmp_chk") || is_used(in, "swapcontext");
}

bool thread_memory_has_guard(const struct thread_memory_work *w, const struct extent *stack)
{
	const struct mapping *m = maps_find(&w->in->capture->maps, stack->start);

	return m && !m->read && !m->write;
}

static int compare_stack(const void *va, const void *vb)
{
	uint64_t a = (*(struct thread_memory *const *)va)->stack.start;
	uint64_t b = (*(struct thread_memory *const *)vb)->stack.start;

	return (a > b) - (a < b);
}

static void forget_stack(struct thread_memory *t)
{
	t->stack = (struct extent){ 0, 0 };
	t->frame_count = 0;
}

/* A thread's stack may be made of another's: then whose is what cannot be said. `v` is ascending. */
static void forget_nested(struct thread_memory **v, size_t n)
{
	struct thread_memory *furthest = NULL;
	uint64_t reach = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t end = v[i]->stack.end;

		if (v[i]->stack.start < reach) {
			forget_stack(v[i]);
			forget_stack(furthest);
		}
		if (end > reach) {
			reach = end;
			furthest = v[i];
		}
	}
}

/* The stack that holds `sp`, by its place in `v`; n: none. */
static size_t find_holder(struct thread_memory *const *v, size_t n, uint64_t sp)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (v[mid]->stack.start <= sp)
			low = mid + 1;
		else
			high = mid;
	}
	return low && sp < v[low - 1]->stack.end ? low - 1 : n;
}

/* A thread may run on a part of another's stack, in a coroutine that the other made. */
static void mark_lent(const struct stop *stop, struct thread_memory *const *v, size_t n, bool *lent)
{
	for (size_t i = 0; i < stop_count(stop); i++) {
		const struct stop_thread *t = stop_thread(stop, i);
		size_t at = find_holder(v, n, arch_sp(&t->regs));

		if (at < n && t->state != STOP_THREAD_ENDED && v[at]->index != i)
			lent[at] = true;
	}
}

static size_t list_stacks(const struct thread_memories *out, struct thread_memory **v)
{
	size_t n = 0;

	for (size_t i = 0; i < out->n; i++)
		if (out->v[i].stack.end)
			v[n++] = &out->v[i];
	return n;
}

/* Memory from `sp` upwards that may be the rest of the stack there. */
static struct extent find_rest(const struct maps *maps, uint64_t sp)
{
	const struct mapping *m = maps_find(maps, sp);
	struct extent rest = { sp, sp };

	for (; m && m < maps->v + maps->n && m->start <= rest.end && m->write; m++)
		rest.end = m->end;
	return rest;
}

static bool overlaps(const struct extent *a, const struct extent *b)
{
	return a->start < b->end && b->start < a->end;
}

/* May its stack be a piece of another's? Not if glibc made it; nor is the first thread's, whose
 * thread-locals the loader made. */
static bool may_be_piece(const struct thread_memory_work *w, const struct thread_memory *t)
{
	const struct capture *c = w->in->capture;

	return t->descriptor.end && !thread_memory_is_made(w, t->descriptor.start) &&
	       (stop_thread(c->stop, t->index)->tid != c->pid || w->in->target->forked);
}

static bool forget_within(const struct thread_memory_work *w, const struct extent *rest,
			  size_t index, struct thread_memories *out)
{
	bool changed = false;

	for (size_t i = 0; i < out->n; i++) {
		struct thread_memory *t = &out->v[i];

		if (t->index == index || !may_be_piece(w, t) ||
		    (!overlaps(rest, &t->stack) && !overlaps(rest, &t->tls) &&
		     !overlaps(rest, &t->descriptor)))
			continue;
		forget_stack(t);
		t->tls = t->descriptor = t->error_number = (struct extent){ 0, 0 };
		t->local_count = t->link_count = 0;
		changed = true;
	}
	return changed;
}

/* A thread runs on memory of which only this end is known. What is said to be others' above may be a
 * piece of it (another's stack made of an array in a frame), and would part it: then it is nobody's
 * for certain, and all of that memory stays one. */
static void forget_cutting(const struct thread_memory_work *w, struct thread_memories *out)
{
	const struct capture *c = w->in->capture;
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < out->n; i++) {
			const struct thread_memory *t = &out->v[i];
			uint64_t sp = arch_sp(&stop_thread(c->stop, t->index)->regs);
			struct extent rest;

			if (sp >= t->stack.start && sp < t->stack.end)
				continue;
			rest = find_rest(&c->maps, sp);
			changed = forget_within(w, &rest, t->index, out) || changed;
		}
	}
}

int thread_memory_forget_doubtful(const struct thread_memory_work *w, struct thread_memories *out)
{
	struct thread_memory **v = calloc(out->n + 1, sizeof(*v));
	bool *lent = calloc(out->n + 1, sizeof(*lent));
	size_t n = v ? list_stacks(out, v) : 0;

	if (v && lent) {
		qsort(v, n, sizeof(*v), compare_stack);
		forget_nested(v, n);
		n = list_stacks(out, v);
		qsort(v, n, sizeof(*v), compare_stack);
		mark_lent(w->in->capture->stop, v, n, lent);
		for (size_t i = 0; i < n; i++)
			if (lent[i])
				forget_stack(v[i]);
		forget_cutting(w, out);
	}
	free(v);
	free(lent);
	return v && lent ? 0 : ERR_NOMEM;
}
