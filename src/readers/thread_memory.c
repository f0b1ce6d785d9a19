/* SPDX-License-Identifier: MIT
 *
 * Descriptors and stacks of threads.
 *
 * A thread pointer is taken for the address of a struct pthread only if what stands there says so
 * three times: it points to itself twice and holds the thread's id; and if no other thread has the
 * same. (A thread made by clone(2) may use its creator's.) The stack is found in the descriptor by
 * what it must be: two adjacent words, a lowest address and a size, with the descriptor at the top.
 *
 * The memory below a thread's stack pointer counts as unused, so whatever is doubtful about a stack
 * means that it is not known: then nothing of it is unused.
 */
#include "readers/thread_memory.h"

#include <stdlib.h>
#include <string.h>

#include "readers/thread_memory_private.h"

/* PTHREAD_STACK_MIN of glibc on x86-64; smaller ones are refused. */
#define STACK_BYTES_MIN 16384

/* Between the end of the descriptor and that of its stack: alignment of thread-locals. */
#define TOP_BYTES_MAX 8192

/* tcbhead_t begins with tcb, dtv, self: the first and the last are its own address. */
#define SELF_OFFSET 16

/* -- descriptors -------------------------------------------------------------------------------- */

uint8_t *thread_memory_descriptor(const struct thread_memory_work *w, uint64_t address)
{
	uint8_t *bytes = malloc(w->layout.bytes);

	if (bytes && !source_read(w->memory, address, bytes, w->layout.bytes)) {
		free(bytes);
		return NULL;
	}
	return bytes;
}

uint64_t thread_memory_word(const uint8_t *descriptor, uint64_t offset)
{
	uint64_t word;

	memcpy(&word, descriptor + offset, sizeof(word));
	return word;
}

static bool is_descriptor_of(const struct thread_memory_work *w, uint64_t tp, const uint8_t *bytes,
			     const struct stop_thread *thread)
{
	return thread_memory_word(bytes, 0) == tp && thread_memory_word(bytes, SELF_OFFSET) == tp &&
	       thread->tid_ns > 0 &&
	       (uint32_t)thread_memory_word(bytes, w->layout.tid) == (uint32_t)thread->tid_ns;
}

/* Does another thread use the same thread pointer? */
static bool is_shared(const struct thread_memory_work *w, size_t index)
{
	const struct stop *stop = w->in->capture->stop;
	uint64_t tp = arch_thread_pointer(&stop_thread(stop, index)->regs);

	for (size_t i = 0; i < stop_count(stop); i++) {
		const struct stop_thread *t = stop_thread(stop, i);

		if (i != index && t->state == STOP_THREAD_STOPPED &&
		    arch_thread_pointer(&t->regs) == tp)
			return true;
	}
	return false;
}

/* -- stacks ------------------------------------------------------------------------------------- */

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
static bool find_main_stack(const struct thread_memory_work *w, const uint8_t *descriptor,
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

/* Old programs may say where a stack ends and not where it begins: glibc then takes its usual size
 * for granted, and the memory below may be anybody's. */
static bool sets_stack_address(const struct threads_input *in)
{
	static const char name[] = "pthread_attr_setstackaddr";

	for (size_t i = 0; i < modules_count(in->modules); i++) {
		const struct module *m = modules_get(in->modules, i);
		struct module_symbol sym;

		if (module_imports(m, name) || (libc_is_static(in->libc) && m->main_program &&
						module_find_symbol(m, name, true, &sym)))
			return true;
	}
	return false;
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

/* A thread's stack may be made of another's: then whose is what cannot be said. */
static int forget_overlapping(struct thread_memories *out)
{
	struct thread_memory **v = calloc(out->n + 1, sizeof(*v)), *furthest = NULL;
	uint64_t reach = 0;
	size_t n = 0;

	if (!v)
		return ERR_NOMEM;
	for (size_t i = 0; i < out->n; i++)
		if (out->v[i].stack.end)
			v[n++] = &out->v[i];
	qsort(v, n, sizeof(*v), compare_stack);
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
	free(v);
	return 0;
}

/* -- arguments ---------------------------------------------------------------------------------- */

static bool is_table(const struct mapping *m)
{
	size_t suffix = strlen(WIRE_TABLE_SUFFIX), length = m ? strlen(m->path) : 0;

	return m && m->shared && length > suffix &&
	       !strcmp(m->path + length - suffix, WIRE_TABLE_SUFFIX);
}

/* libstrand.so begins a thread in a routine of its own, whose argument is the thread's record. From
 * there the program's argument is taken before the record says that it runs. */
static uint64_t find_argument(const struct thread_memory_work *w, uint64_t at, bool begun)
{
	const struct capture *c = w->in->capture;
	const struct mapping *m = maps_find(&c->maps, at);
	const struct wire_task *r = NULL;
	struct wire_task task;

	if (!is_table(m))
		return 0;
	if (source_read(w->memory, at, &task, sizeof(task)))
		r = &task;
	else if (c->table)
		r = table_copy_find_unbegun(c->table, at - m->start + m->offset);
	return r && (!begun || r->state == WIRE_TASK_BORN) ? r->argument : 0;
}

/* -- one thread --------------------------------------------------------------------------------- */

static void set_links(const struct thread_memory_work *w, uint64_t tp, struct thread_memory *t)
{
	uint64_t list = tp + w->layout.list, start = tp + w->layout.start_routine;

	t->links[t->link_count++] = (struct extent){ list, list + 16 };
	if (t->begun)
		t->links[t->link_count++] = (struct extent){ start, start + 16 };
}

static int read_known(const struct thread_memory_work *w, const struct stop_thread *thread,
		      const uint8_t *bytes, bool with_frames, struct thread_memory *t)
{
	uint64_t tp = arch_thread_pointer(&thread->regs);
	int rc;

	t->descriptor = (struct extent){ tp, tp + w->layout.bytes };
	if (!thread_memory_stack(w, tp, bytes, &t->stack)) {
		t->stack = (struct extent){ 0, 0 };
		if (thread->tid == w->in->capture->pid)
			t->begun = find_main_stack(w, bytes, arch_sp(&thread->regs), &t->stack);
	}
	rc = thread_memory_set_locals(w, tp, t);
	if (!rc)
		rc = thread_memory_walk(w, thread, with_frames, t);
	set_links(w, tp, t);
	t->argument =
		find_argument(w, thread_memory_word(bytes, w->layout.start_routine + 8), t->begun);
	return rc;
}

static int read_one(const struct thread_memory_work *w, const struct stop_thread *thread,
		    bool with_frames, struct thread_memory *t)
{
	uint64_t tp = arch_thread_pointer(&thread->regs);
	uint8_t *bytes;
	int rc = 0;

	if (thread->state != STOP_THREAD_STOPPED || !arch_is_64bit(&thread->regs) || tp % 16 ||
	    tp > UINT64_MAX - 2 * w->layout.bytes || is_shared(w, t->index))
		return 0;
	bytes = thread_memory_descriptor(w, tp);
	if (bytes && is_descriptor_of(w, tp, bytes, thread))
		rc = read_known(w, thread, bytes, with_frames, t);
	free(bytes);
	return rc;
}

/* -- all of them -------------------------------------------------------------------------------- */

static int list_threads(const struct threads_input *in, struct thread_memories *out)
{
	const struct stop *stop = in->capture->stop;

	out->v = calloc(stop_count(stop) + 1, sizeof(*out->v));
	if (!out->v)
		return ERR_NOMEM;
	for (size_t i = 0; i < stop_count(stop); i++)
		if (stop_thread(stop, i)->state != STOP_THREAD_ENDED)
			out->v[out->n++].index = i;
	return 0;
}

static int read_all(struct thread_memory_work *w, const bool *with_frames,
		    struct thread_memories *out)
{
	int rc = thread_memory_find_locals(w);

	w->sets_stack_address = sets_stack_address(w->in);
	for (size_t i = 0; i < out->n && !rc; i++) {
		size_t index = out->v[i].index;

		rc = read_one(w, stop_thread(w->in->capture->stop, index), with_frames[index],
			      &out->v[i]);
	}
	if (!rc)
		rc = forget_overlapping(out);
	if (!rc)
		rc = thread_memory_find_lists(w, out);
	return rc;
}

int thread_memories_read(const struct threads_input *in, const struct memory_source *memory,
			 const bool *with_frames, struct thread_memories *out, struct err *e)
{
	struct thread_memory_work w = { .in = in, .memory = memory };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = list_threads(in, out);
	if (!rc && libc_read_layout(in->libc, in->modules, &w.layout))
		rc = read_all(&w, with_frames, out);
	free(w.locals);
	return rc ? err_set(e, rc, "cannot find the stacks of process %d", (int)in->capture->pid)
		  : 0;
}

void thread_memories_free(struct thread_memories *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].locals);
		free(t->v[i].frames);
	}
	free(t->v);
	free(t->cached);
	memset(t, 0, sizeof(*t));
}
