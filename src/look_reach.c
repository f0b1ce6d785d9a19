/* SPDX-License-Identifier: MIT
 *
 * The second stop of a look: somebody may be stuck, unless somebody live can reach what it waits for.
 * All memory that can hold pointers is copied, or, where that would take too much of our own memory,
 * searched while the process stands still. Then everything is read again from this stop: what the
 * first one has seen only says whom to look for.
 *
 * What cannot be looked at makes the proof fall back to owners, with a note; nothing here makes the
 * look fail but a lack of memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "look_private.h"
#include "prove/search.h"
#include "readers/held.h"
#include "stack/frame_size.h"
#include "target/elf_file.h"
#include "target/pages.h"
#include "target/procfs.h"

/* More than that is not copied. */
#define COPY_BYTES_MAX	 ((uint64_t)96 << 20)
/* What a copy may take more than was counted before the stop. */
#define COPY_BYTES_SPARE ((uint64_t)2 << 20)

/* Of the graph: a constant, and a part of what is searched. */
#define GRAPH_BYTES_MIN	 ((size_t)16 << 20)
#define GRAPH_BYTES_PART 32

#define HELPERS_MAX 8

/* The allocator may be in the middle of something: how often to try, and how long to wait. */
#define TRIES	    4
/* A tick of an event loop may come later by this once: without the registers of who waits for it
 * nothing could be proved. */
#define TICK_NS	    1000000000
#define TRY_STEP_NS 2000000

/* What vector registers take at most: XSAVE with AVX-512 and AMX tiles. */
#define VECTOR_BYTES_MAX 12288

/* Frames of the C library's below one of the program's. */
#define LEAF_FRAMES_MAX 12

/* What the first stop has seen of a thread. */
struct suspect {
	pid_t tid;
	bool candidate, handles;
};

struct references {
	struct look *look;
	struct suspect *suspects; /* ascending by tid */
	size_t suspect_count;
	uint64_t *objects, *handles;
	size_t object_count, handle_count;

	/* of one stop */
	struct stop *stop;
	struct pages pages;
	struct held held;
	struct source_copy *copy;
	struct source_place place;
	bool in_place;
	uint8_t *registers; /* of all threads, one after the other */
	struct search_piece *pieces;
	size_t piece_count;
	struct reach_thread *threads; /* by index in the stop */
	struct thread_memories memories;
	struct heap *heap;
	struct areas areas;
	struct reach *reach;
	char withheld[192]; /* not "": why nothing is proved by references */
};

/* -- what the first stop has seen ------------------------------------------------------------- */

static int suspect_compare(const void *va, const void *vb)
{
	const struct suspect *a = va, *b = vb;

	return (a->tid > b->tid) - (a->tid < b->tid);
}

static int references_list_suspects(struct references *r)
{
	const struct model *m = r->look->model;

	r->suspects = calloc(m->task_count + 1, sizeof(*r->suspects));
	r->objects = calloc(m->task_count + 1, sizeof(*r->objects));
	r->handles = calloc(m->task_count + 1, sizeof(*r->handles));
	if (!r->suspects || !r->objects || !r->handles)
		return ERR_NOMEM;
	for (size_t i = 0; i < m->task_count; i++) {
		const struct task *t = m->tasks[i];
		const struct object *o = t->wait ? t->wait->object : NULL;

		r->suspects[r->suspect_count++] =
			(struct suspect){ t->tid, t->candidate, t->handled_signals != 0 };
		if (!t->candidate)
			continue;
		if (o && o->address && !o->everybodys && o->kind != OBJECT_THREAD)
			r->objects[r->object_count++] = o->address;
		if (t->handle && (m->cancels || m->cancels_async))
			r->handles[r->handle_count++] = t->handle;
	}
	qsort(r->suspects, r->suspect_count, sizeof(*r->suspects), suspect_compare);
	return 0;
}

static const struct suspect *references_find(const struct references *r, pid_t tid)
{
	struct suspect key = { .tid = tid };

	return bsearch(&key, r->suspects, r->suspect_count, sizeof(key), suspect_compare);
}

/* A process that goes on meanwhile: what is counted now is about what will be there. */
static void references_reserve(struct references *r)
{
	struct pages pages = { 0 };
	struct maps maps = { 0 };
	pid_t through = r->look->target->through;
	struct err e = { 0 };

	if (!maps_read(through, &maps, &e) && !pages_list(through, &maps, NULL, NULL, &pages, &e) &&
	    pages.bytes <= COPY_BYTES_MAX)
		r->copy = source_copy_create(
			(size_t)(pages.bytes + pages.bytes / 8 + COPY_BYTES_SPARE));
	pages_free(&pages);
	maps_free(&maps);
}

/* -- while the process stands still ----------------------------------------------------------- */

static bool references_expired(void *ctx)
{
	return stop_expired(ctx);
}

static void references_withhold(struct references *r, const char *why)
{
	if (!r->withheld[0])
		snprintf(r->withheld, sizeof(r->withheld), "%s", why);
}

/* Whatever may refer to something, and cannot be looked at. */
static void references_find_obstacle(struct references *r, const struct capture *c)
{
	if (c->cut_short)
		references_withhold(r, "the stop reached its bound (--max-pause)");
	if (c->relative)
		references_withhold(r, "another process shares the memory");
	if (c->has_uring)
		references_withhold(r, "io_uring is in use");
	for (size_t i = 0; i < stop_count(c->stop); i++) {
		const struct stop_thread *t = stop_thread(c->stop, i);

		if (t->state == STOP_THREAD_RUNS || t->state == STOP_THREAD_DENIED)
			references_withhold(r, "a thread could not be stopped");
		else if (t->state == STOP_THREAD_ASLEEP)
			references_withhold(r, "the registers of a thread that was left asleep are "
					       "not known");
		else if (t->state == STOP_THREAD_STOPPED && !arch_is_64bit(&t->regs))
			references_withhold(r, "a thread runs 32-bit code");
	}
}

/* Does this thread end the process, held in the shim? Then what it had in registers is over. */
static bool references_is_ending(const struct capture *c, const struct stop_thread *t)
{
	const struct wire_table *h = c->table ? table_copy_header(c->table) : NULL;

	return h && h->exit_state == WIRE_EXIT_HELD && h->exit_tid == t->tid_ns;
}

static int references_add_registers(struct references *r, const struct capture *c)
{
	size_t n = stop_count(c->stop), used = 0;
	size_t room = n * (sizeof(struct arch_regs) + VECTOR_BYTES_MAX);

	/* Room that is not used is not there: it is never touched. */
	r->registers = malloc(room + 1);
	r->threads = calloc(n + 1, sizeof(*r->threads));
	if (!r->registers || !r->threads)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct stop_thread *t = stop_thread(c->stop, i);
		const struct suspect *s = references_find(r, t->tid);
		size_t begin = used;

		r->threads[i] =
			(struct reach_thread){ t->tid, !s || !s->candidate, s && s->handles };
		if (t->state != STOP_THREAD_STOPPED || references_is_ending(c, t))
			continue;
		memcpy(r->registers + used, &t->regs, sizeof(t->regs));
		used += sizeof(t->regs);
		used += stop_read_vector(c->stop, i, r->registers + used, VECTOR_BYTES_MAX);
		r->pieces[r->piece_count++] =
			(struct search_piece){ PLACE_REGISTERS, (uint32_t)i, NULL,
					       r->registers + begin, used - begin };
	}
	return 0;
}

static void references_add_held(struct references *r)
{
	for (size_t i = 0; i < r->held.piece_count; i++) {
		const struct held_piece *p = &r->held.pieces[i];

		r->pieces[r->piece_count++] =
			(struct search_piece){ PLACE_KERNEL, AREA_NO_THREAD, p->what,
					       r->held.bytes + p->offset, p->count };
	}
}

static int references_search(struct references *r, struct capture *c,
			     const struct memory_source *memory, struct err *e);

/* Copy, or search in place. */
static int references_take_memory(struct references *r, struct capture *c, struct err *e)
{
	struct memory_source memory;
	int rc = 0;

	source_place_open(&r->place, c->through);
	memory = source_of_place(&r->place);
	r->in_place = r->pages.bytes > COPY_BYTES_MAX;
	if (r->in_place) {
		rc = references_search(r, c, &memory, e);
	} else {
		if (r->copy && source_copy_room(r->copy) < r->pages.bytes) {
			source_copy_free(r->copy);
			r->copy = NULL;
		}
		if (!r->copy)
			r->copy = source_copy_create((size_t)r->pages.bytes + 1);
		if (!r->copy)
			rc = err_set(e, ERR_NOMEM, "cannot copy the memory of the process");
		else if (!source_copy_fill(r->copy, &memory, r->pages.v, r->pages.n,
					   references_expired, c->stop))
			references_withhold(r, stop_expired(c->stop)
						       ? "the stop reached its bound (--max-pause)"
						       : "some memory could not be read");
	}
	source_place_close(&r->place);
	return rc;
}

static int references_while_stopped(void *ctx, struct capture *c, struct err *e)
{
	struct references *r = ctx;
	struct err unread = { 0 };
	int rc;

	references_find_obstacle(r, c);
	if (r->withheld[0])
		return 0;
	if (pages_list(c->through, &c->maps, references_expired, c->stop, &r->pages, &unread))
		references_withhold(r, stop_expired(c->stop)
					       ? "the stop reached its bound (--max-pause)"
					       : "it is not known which memory is in use");
	if (r->pages.unread)
		references_withhold(r, r->pages.unread);
	if (r->withheld[0])
		return 0;
	rc = held_read(c, &r->held, e);
	if (!rc && r->held.unread[0])
		references_withhold(r, r->held.unread);
	if (rc || r->withheld[0])
		return rc;
	r->pieces = calloc(2 * stop_count(c->stop) + r->held.piece_count + 1, sizeof(*r->pieces));
	if (!r->pieces || references_add_registers(r, c))
		return err_set(e, ERR_NOMEM, "cannot copy the registers of the process");
	references_add_held(r);
	return references_take_memory(r, c, e);
}

/* -- the search ------------------------------------------------------------------------------- */

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
		.brk_start = references_brk(c->through),
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

static void references_trim_registers(struct references *r, const struct capture *c)
{
	for (size_t i = 0; i < r->piece_count; i++) {
		struct search_piece *p = &r->pieces[i];
		uint64_t kept[ARCH_KEPT_MAX];

		if (p->kind != PLACE_REGISTERS ||
		    !references_waits_in_leaf(r->look, stop_thread(c->stop, p->thread)))
			continue;
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

static int references_search(struct references *r, struct capture *c,
			     const struct memory_source *memory, struct err *e)
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
	if (!rc) {
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

/* -- one try and the next --------------------------------------------------------------------- */

static void references_forget_stop(struct references *r)
{
	reach_free(r->reach);
	areas_free(&r->areas);
	heap_free(r->heap);
	thread_memories_free(&r->memories);
	free(r->threads);
	free(r->pieces);
	free(r->registers);
	source_copy_free(r->copy);
	held_free(&r->held);
	pages_free(&r->pages);
	r->reach = NULL;
	r->heap = NULL;
	r->threads = NULL;
	r->pieces = NULL;
	r->piece_count = 0;
	r->registers = NULL;
	r->copy = NULL;
	r->withheld[0] = '\0';
}

/* Are the files mapped that were mapped before? Then what is known of modules holds still. */
static bool references_same_files(const struct maps *a, const struct maps *b)
{
	size_t i = 0, k = 0;

	for (;; i++, k++) {
		while (i < a->n && (!a->v[i].inode || a->v[i].shared))
			i++;
		while (k < b->n && (!b->v[k].inode || b->v[k].shared))
			k++;
		if (i == a->n || k == b->n)
			return i == a->n && k == b->n;
		if (a->v[i].start != b->v[k].start || a->v[i].end != b->v[k].end ||
		    a->v[i].inode != b->v[k].inode || a->v[i].offset != b->v[k].offset)
			return false;
	}
}

/* One stop. *c is the capture, the caller's; r->reach or r->withheld is set. */
static int references_try(struct references *r, const struct look_options *o,
			  const struct stop_limits *limits, struct capture **c, struct err *e)
{
	struct capture_more more = { references_while_stopped, r };
	struct stop_limits own = *limits;
	int rc;

	own.late_ns = TICK_NS;
	references_reserve(r);
	rc = capture_take(r->look->target, &own, o->table, &more, c, e);
	if (rc)
		return rc;
	look_note_stop(r->look, (*c)->pause_ns);
	if (!r->withheld[0] && !references_same_files(&r->look->capture->maps, &(*c)->maps))
		references_withhold(r, "libraries were loaded or unloaded meanwhile");
	if (!r->withheld[0] && !r->in_place) {
		struct memory_source memory = source_of_copy(r->copy);

		rc = references_search(r, *c, &memory, e);
	}
	if (!rc && r->reach && reach_given_up(r->reach))
		references_withhold(r, reach_given_up(r->reach));
	return rc;
}

/* Take over what the last stop brought. */
static int references_take_over(struct references *r, const struct look_options *o,
				struct capture *c, struct err *e)
{
	struct look *l = r->look;
	size_t n = 0;
	const char *const *troubles;
	int rc;

	stacks_free(l->stacks);
	l->stacks = NULL;
	model_free(l->model);
	l->model = NULL;
	capture_free(l->capture);
	l->capture = c;
	if (model_create(&l->model))
		return err_set(e, ERR_NOMEM, "cannot look at process %d", (int)l->target->pid);
	rc = look_read(l, o, e);
	troubles = heap_troubles(r->heap, &n);
	for (size_t i = 0; i < n && !rc; i++)
		if (model_note(l->model, "%s", troubles[i]))
			rc = err_set(e, ERR_NOMEM, "cannot look at process %d",
				     (int)l->target->pid);
	l->reach = r->reach;
	r->reach = NULL;
	return rc;
}

/* The allocator was in the middle of something. */
static bool references_may_help(const struct references *r)
{
	return r->heap && heap_is_busy(r->heap);
}

int look_for_references(struct look *l, const struct look_options *o,
			const struct stop_limits *limits, struct err *e)
{
	struct references r = { .look = l, .place = { .fd = -1 } };
	struct timespec step = { 0, TRY_STEP_NS };
	struct capture *c = NULL;
	struct err ended = { 0 };
	int rc = references_list_suspects(&r);

	if (rc)
		err_set(e, rc, "cannot look at process %d", (int)l->target->pid);
	for (int i = 0; i < TRIES && !rc; i++) {
		if (i)
			nanosleep(&step, NULL);
		references_forget_stop(&r);
		capture_free(c);
		c = NULL;
		if (references_try(&r, o, limits, &c, &ended)) {
			references_withhold(&r, "it could not be looked at again");
			break;
		}
		if (!references_may_help(&r))
			break;
	}
	if (!rc && !r.withheld[0]) {
		rc = references_take_over(&r, o, c, e);
		c = NULL;
	} else if (!rc) {
		model_note(l->model, "who could wake a task through memory was not looked at: %s",
			   r.withheld);
		look_describe_stops(l);
	}
	references_forget_stop(&r);
	capture_free(c);
	free(r.suspects);
	free(r.objects);
	free(r.handles);
	return rc;
}
