/* SPDX-License-Identifier: MIT
 *
 * What the search for references is given: whose memory is whose, where the heap's blocks are, what of
 * the registers counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "look_reach_private.h"
#include "stack/frame_size.h"
#include "target/elf_file.h"
#include "target/procfs.h"

/* Of the graph: a constant, and a part of what is searched. */
#define GRAPH_BYTES_MIN	 ((size_t)16 << 20)
#define GRAPH_BYTES_PART 32

#define HELPERS_MAX 8

/* Frames of the C library's below one of the program's. */
#define LEAF_FRAMES_MAX 12

static int extent_compare(const void *va, const void *vb)
{
	const struct extent *a = va, *b = vb;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Writable data of a module. */
static struct extent references_module_data(const struct module *m)
{
	struct extent at = { 0, 0 };
	const Elf64_Phdr *p;
	size_t n;

	if (!m || !m->file)
		return at;
	p = elf_file_segments(m->file, &n);
	for (size_t i = 0; i < n; i++)
		if (p[i].p_type == PT_LOAD && p[i].p_flags & PF_W)
			at = (struct extent){ m->bias + p[i].p_vaddr,
					      m->bias + p[i].p_vaddr + p[i].p_memsz };
	return at;
}

/* Field 47 of stat, start_brk; 0: not known. */
static uint64_t references_brk(pid_t through)
{
	char path[64], text[1024];
	const char *field;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)through);
	if (procfs_read_into(path, text, sizeof(text)) <= 0)
		return 0;
	field = procfs_find_stat_field(text, 47);
	return field ? strtoull(field, NULL, 10) : 0;
}

/* Memory that is surely no allocator's: stacks, thread-locals and descriptors. */
static struct extent *references_list_taken(const struct thread_memories *t, size_t *n)
{
	struct extent *v = calloc(3 * t->n + t->cached_count + 1, sizeof(*v));

	*n = 0;
	if (!v)
		return NULL;
	for (size_t i = 0; i < t->n; i++) {
		const struct thread_memory *m = &t->v[i];

		v[*n] = m->stack;
		*n += m->stack.end > m->stack.start;
		v[*n] = m->tls;
		*n += m->tls.end > m->tls.start;
		v[*n] = m->descriptor;
		*n += m->descriptor.end > m->descriptor.start;
	}
	if (t->cached_count)
		memcpy(v + *n, t->cached, t->cached_count * sizeof(*v));
	*n += t->cached_count;
	qsort(v, *n, sizeof(*v), extent_compare);
	return v;
}

static int references_walk_heap(struct references *r, const struct capture *c,
				const struct memory_source *memory, struct err *e)
{
	const struct module *libc, *threads;
	struct heap_input in = {
		.memory = *memory,
		.maps = &c->maps,
		.pages = r->pages.v,
		.page_count = r->pages.n,
		.brk_start = r->look->core ? 0 : references_brk(c->through),
	};
	struct extent *tls = calloc(r->memories.n + 1, sizeof(*tls)), *taken;
	int rc = ERR_NOMEM;

	taken = references_list_taken(&r->memories, &in.taken_count);
	if (tls && taken) {
		libc_get_modules(r->look->libc, &libc, &threads);
		if (libc_kind(r->look->libc) == LIBC_GLIBC)
			in.glibc_minor = libc_minor(r->look->libc);
		in.data = references_module_data(libc);
		for (size_t i = 0; i < r->memories.n; i++) {
			tls[in.tls_count] = r->memories.v[i].tls;
			in.tls_count += tls[in.tls_count].end > tls[in.tls_count].start;
		}
		in.tls = tls;
		in.taken = taken;
		rc = heap_walk(&in, &r->heap, e);
	}
	free(tls);
	free(taken);
	return rc;
}

/* The frame that main had when it returned: exactly that, nothing below it; if its size cannot be said,
 * all that is below. */
static struct extent references_main_frame(const struct references *r, const struct capture *c)
{
	const struct wire_table *h = table_copy_header(c->table);
	const struct mapping *m = maps_find(&c->maps, h->exit_sp);
	struct extent at = { 0, 0 };
	uint64_t bytes;

	if (!m || h->exit_kind != WIRE_EXIT_KIND_MAIN)
		return at;
	at = (struct extent){ m->start, h->exit_sp };
	for (size_t i = 0; i < table_copy_count(c->table); i++) {
		const struct wire_task *t = table_copy_task(c->table, i);

		if (t->number == 1 && t->start &&
		    frame_size_bound(r->look->modules, t->start, &bytes) &&
		    bytes < h->exit_sp - m->start)
			at.start = h->exit_sp - bytes;
	}
	return at;
}

static int references_make_areas(struct references *r, const struct capture *c, struct err *e)
{
	size_t n = stop_count(c->stop);
	uint64_t *sp = calloc(n + 1, sizeof(*sp));
	struct areas_input in = {
		.maps = &c->maps,
		.modules = r->look->modules,
		.heap = r->heap,
		.threads = &r->memories,
		.sp = sp,
		.sp_count = n,
	};
	int rc;

	if (!sp)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct stop_thread *t = stop_thread(c->stop, i);

		if (t->state == STOP_THREAD_STOPPED)
			sp[i] = arch_sp(&t->regs);
		if (t->state == STOP_THREAD_STOPPED && references_is_ending(c, t)) {
			/* Above it is what is in use still: no red zone below a caller. */
			sp[i] = table_copy_header(c->table)->exit_sp + ARCH_RED_ZONE_BYTES;
			in.main_frame = references_main_frame(r, c);
		}
	}
	rc = areas_make(&in, &r->areas, e);
	free(sp);
	return rc;
}

static unsigned references_helpers(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > HELPERS_MAX ? HELPERS_MAX : (unsigned)n;
}

/* Does the thread wait in a function of the C library's that the program has called, and that calls
 * nothing of the program's? Then what it has in registers that a call need not keep is over: it is of no
 * use to the function, and lost to its caller. */
static bool references_waits_in_leaf(const struct look *l, const struct stop_thread *t)
{
	struct unwind_frame frames[LEAF_FRAMES_MAX];
	bool complete;
	uint64_t pc = 0;
	size_t n;

	if (arch_syscall_number(&t->regs) < 0 || !arch_syscall_restarts(&t->regs) ||
	    libc_kind(l->libc) != LIBC_GLIBC || libc_is_static(l->libc))
		return false;
	unwinder_walk(l->unwinder, &t->regs, frames, LEAF_FRAMES_MAX, &n, &complete);
	for (size_t i = 0; i < n; i++) {
		uint64_t at = frames[i].ip - !frames[i].exact;

		if (!libc_has_code(l->libc, at))
			return pc && libc_function_is_leaf(l->libc, pc);
		pc = at;
	}
	return false;
}

/* Of the others all registers count: without the vector registers it would not be known what they have. */
static void references_trim_registers(struct references *r, const struct capture *c)
{
	for (size_t i = 0; i < r->piece_count; i++) {
		struct search_piece *p = &r->pieces[i];
		uint64_t kept[ARCH_KEPT_MAX];

		if (p->kind != PLACE_REGISTERS)
			continue;
		if (!references_waits_in_leaf(r->look, stop_thread(c->stop, p->thread))) {
			if (p->count == sizeof(struct arch_regs))
				references_withhold(r, "the vector registers of a thread could "
						       "not be read");
			continue;
		}
		p->count = arch_kept_registers(&stop_thread(c->stop, p->thread)->regs, kept) *
			   sizeof(kept[0]);
		memcpy(r->registers + (p->bytes - r->registers), kept, p->count);
	}
}

/* The argument of a start routine that has not been entered is a root of its thread. */
static void references_add_arguments(struct references *r)
{
	for (size_t i = 0; i < r->memories.n; i++)
		if (r->memories.v[i].argument)
			r->pieces[r->piece_count++] = (struct search_piece){
				PLACE_REGISTERS, (uint32_t)r->memories.v[i].index,
				"the argument of its start routine",
				(const uint8_t *)&r->memories.v[i].argument, sizeof(uint64_t)
			};
}

static int references_read_threads(struct references *r, struct capture *c,
				   const struct memory_source *memory, struct err *e)
{
	struct look *l = r->look;
	struct threads_input in = {
		.target = l->target,
		.capture = c,
		.modules = l->modules,
		.libc = l->libc,
		.unwinder = l->unwinder,
		.stacks = l->stacks,
		.io_names = l->io_names,
	};
	bool *with_frames = calloc(stop_count(c->stop) + 1, sizeof(*with_frames));
	int rc;

	if (!with_frames)
		return ERR_NOMEM;
	for (size_t i = 0; i < stop_count(c->stop); i++)
		with_frames[i] = !r->threads[i].certain;
	rc = thread_memories_read(&in, memory, with_frames, &r->memories, e);
	free(with_frames);
	return rc;
}

/* When a thread ends the kernel clears a word and wakes one who waits there. Those that the C library
 * made have it in their descriptors; where others have it is not known. */
static bool references_has_stranger(const struct references *r)
{
	for (size_t i = 0; i < r->memories.n; i++)
		if (!r->memories.v[i].descriptor.end)
			return true;
	return false;
}

/* A handler finds its thread's locals by the thread pointer alone. Where they are not known, what the
 * thread itself has counts in their place, as if it were live. */
static void references_settle_handlers(struct references *r)
{
	for (size_t i = 0; i < r->memories.n; i++) {
		struct reach_thread *t = &r->threads[r->memories.v[i].index];

		t->certain = t->certain || (t->handles && !r->memories.v[i].descriptor.end);
	}
}

int references_search(struct references *r, struct capture *c, const struct memory_source *memory,
		      struct err *e)
{
	struct capture *before = r->look->capture;
	struct search_input in = {
		.memory = *memory,
		.pages = r->pages.v,
		.page_count = r->pages.n,
		.areas = &r->areas,
		.threads = r->threads,
		.thread_count = stop_count(c->stop),
		.objects = r->objects,
		.object_count = r->object_count,
		.handles = r->handles,
		.handle_count = r->handle_count,
		.expired = r->in_place ? references_expired : NULL,
		.expired_ctx = c->stop,
		.limit_bytes = GRAPH_BYTES_MIN + (size_t)(r->pages.bytes / GRAPH_BYTES_PART),
		.helpers = references_helpers(),
	};
	int rc;

	r->look->capture = c; /* what the unwinder reads */
	rc = references_read_threads(r, c, memory, e);
	if (!rc)
		rc = references_walk_heap(r, c, memory, e);
	if (!rc)
		rc = references_make_areas(r, c, e);
	if (!rc && r->in_place && stop_expired(c->stop)) {
		references_withhold(r, "the stop reached its bound (--max-pause)");
	} else if (!rc) {
		/* What is not asked for is reached by everybody. */
		if (references_has_stranger(r))
			in.object_count -= r->word_count;
		references_settle_handlers(r);
		references_trim_registers(r, c);
		references_add_arguments(r);
		in.heap = r->heap;
		in.pieces = r->pieces;
		in.piece_count = r->piece_count;
		rc = search_run(&in, &r->reach, e);
	}
	r->look->capture = before;
	return rc ? err_set(e, ERR_NOMEM, "cannot search the memory of the process") : 0;
}
