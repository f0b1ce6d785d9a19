/* SPDX-License-Identifier: MIT
 *
 * Threads' own memory: from the thread pointer to the descriptor, and from there to all else.
 *
 * A thread pointer is taken for the address of a struct pthread only if what stands there says so
 * three times: it points to itself twice and holds the thread's id; and if no other thread has the
 * same. (A thread made by clone(2) may use its creator's.)
 */
#include "readers/thread_memory.h"

#include <stdlib.h>
#include <string.h>

#include "readers/thread_memory_private.h"

/* tcbhead_t begins with tcb, dtv, self: the first and the last are its own address. Further on there
 * is what addresses are hidden with, the same in all threads. */
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

static int compare_words(const void *va, const void *vb)
{
	uint64_t a = *(const uint64_t *)va, b = *(const uint64_t *)vb;

	return (a > b) - (a < b);
}

static int list_pointers(struct thread_memory_work *w)
{
	const struct stop *stop = w->in->capture->stop;

	w->pointers = calloc(stop_count(stop) + 1, sizeof(*w->pointers));
	if (!w->pointers)
		return ERR_NOMEM;
	for (size_t i = 0; i < stop_count(stop); i++)
		if (stop_thread(stop, i)->state == STOP_THREAD_STOPPED)
			w->pointers[w->pointer_count++] =
				arch_thread_pointer(&stop_thread(stop, i)->regs);
	qsort(w->pointers, w->pointer_count, sizeof(*w->pointers), compare_words);
	return 0;
}

/* Do several threads use this thread pointer? */
static bool is_shared(const struct thread_memory_work *w, uint64_t tp)
{
	const uint64_t *at =
		bsearch(&tp, w->pointers, w->pointer_count, sizeof(*w->pointers), compare_words);

	return at && ((at > w->pointers && at[-1] == tp) ||
		      (at + 1 < w->pointers + w->pointer_count && at[1] == tp));
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
			t->begun = thread_memory_main_stack(w, bytes, arch_sp(&thread->regs),
							    &t->stack);
		t->used_below = w->jumps;
	} else {
		/* Programs that make stacks themselves may keep something at the lower end. */
		t->used_below = w->jumps || !(thread_memory_is_made(w, tp) ||
					      thread_memory_has_guard(w, &t->stack));
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
	    tp > UINT64_MAX - 2 * w->layout.bytes || is_shared(w, tp))
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

	if (!rc)
		rc = list_pointers(w);
	if (!rc)
		rc = thread_memory_find_made(w, out->n);
	w->sets_stack_address = thread_memory_sets_address(w->in);
	w->jumps = thread_memory_jumps(w->in);
	for (size_t i = 0; i < out->n && !rc; i++) {
		size_t index = out->v[i].index;

		rc = read_one(w, stop_thread(w->in->capture->stop, index), with_frames[index],
			      &out->v[i]);
	}
	if (!rc)
		rc = thread_memory_forget_doubtful(w, out);
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
	free(w.pointers);
	free(w.made);
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
