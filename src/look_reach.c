/* SPDX-License-Identifier: MIT
 *
 * The second stop of a look: somebody may be stuck, unless somebody live can reach what it waits for.
 * All memory that can hold pointers is copied, or, where that would take too much of our own memory,
 * searched while the process stands still. Everything is read again from this stop. What the first
 * one has seen tells whom to look for where the search is in place; a copy is searched for those whom
 * its own stop makes suspect.
 *
 * What cannot be looked at makes the proof fall back to owners, with a note; nothing here makes the
 * look fail but a lack of memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "look_reach_private.h"
#include "prove/prove.h"

/* More than that is not copied. */
#define COPY_BYTES_MAX	 ((uint64_t)96 << 20)
/* A search in place takes at least that long. */
#define NS_PER_MB	 200000
/* What a copy may take more than was counted before the stop. */
#define COPY_BYTES_SPARE ((uint64_t)2 << 20)

/* The allocator may be in the middle of something: how often to try, and how long to wait. */
#define TRIES	    4
#define TRIES_BUSY  2
/* A tick of an event loop may come later by this once: without the registers of who waits for it
 * nothing could be proved. */
#define TICK_NS	    1000000000
#define TRY_STEP_NS 2000000

/* What vector registers take at most: XSAVE with AVX-512 and AMX tiles. */
#define VECTOR_BYTES_MAX 12288

/* -- what the first stop has seen ------------------------------------------------------------- */

static int suspect_compare(const void *va, const void *vb)
{
	const struct suspect *a = va, *b = vb;

	return (a->tid > b->tid) - (a->tid < b->tid);
}

/* Bare words come last. */
static void references_add_object(struct references *r, const struct object *o)
{
	size_t at = r->object_count++;

	if (o->kind == OBJECT_FUTEX) {
		r->word_count++;
	} else {
		r->objects[at] = r->objects[at - r->word_count];
		at -= r->word_count;
	}
	r->objects[at] = o->address;
}

static void references_forget_suspects(struct references *r)
{
	free(r->suspects);
	free(r->objects);
	free(r->handles);
	r->suspects = NULL;
	r->objects = r->handles = NULL;
	r->suspect_count = r->object_count = r->handle_count = r->word_count = 0;
}

static int references_list_suspects(struct references *r)
{
	const struct model *m = r->look->model;

	references_forget_suspects(r);
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
			references_add_object(r, o);
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

bool references_expired(void *ctx)
{
	return stop_expired(ctx);
}

void references_withhold(struct references *r, const char *why)
{
	if (!r->withheld[0])
		snprintf(r->withheld, sizeof(r->withheld), "%s", why);
}

/* Has the process a table that was not found (in another directory, deleted)? What threads that were
 * just made are to work on stands there alone. */
static bool references_lacks_table(const struct capture *c)
{
	for (size_t i = 0; !c->table && i < c->maps.n; i++) {
		const char *name = strrchr(c->maps.v[i].path, '/');

		if (name && c->maps.v[i].shared && strstr(name, WIRE_TABLE_SUFFIX))
			return true;
	}
	return false;
}

/* Whatever may refer to something, and cannot be looked at. */
static void references_find_obstacle(struct references *r, const struct capture *c)
{
	if (c->cut_short)
		references_withhold(r, "the stop reached its bound (--max-pause)");
	if (c->relative || c->relative_unknown)
		references_withhold(r, c->relative ? "another process shares the memory"
						   : "another process may share the memory");
	if (c->has_uring)
		references_withhold(r, "io_uring is in use");
	if (references_lacks_table(c))
		references_withhold(r, "the table of libstrand.so in the process was not found");
	for (size_t i = 0; i < stop_count(c->stop); i++) {
		const struct stop_thread *t = stop_thread(c->stop, i);

		r->passing = r->passing || t->state == STOP_THREAD_RUNS ||
			     t->state == STOP_THREAD_ASLEEP;
		if (t->state == STOP_THREAD_RUNS || t->state == STOP_THREAD_DENIED)
			references_withhold(r, "a thread could not be stopped");
		else if (t->state == STOP_THREAD_ASLEEP)
			references_withhold(r, "the registers of a thread that was left asleep are "
					       "not known");
		else if (t->state == STOP_THREAD_STOPPED && !arch_is_64bit(&t->regs))
			references_withhold(r, "a thread runs 32-bit code");
	}
}

bool references_is_ending(const struct capture *c, const struct stop_thread *t)
{
	const struct wire_table *h = c->table ? table_copy_header(c->table) : NULL;

	return h && h->exit_state == WIRE_EXIT_HELD && h->exit_tid == t->tid_ns;
}

/* Who counts as live whatever comes, by what was seen last. */
static void references_judge_threads(struct references *r, const struct capture *c)
{
	for (size_t i = 0; i < stop_count(c->stop); i++) {
		const struct stop_thread *t = stop_thread(c->stop, i);
		const struct suspect *s = references_find(r, t->tid);

		r->threads[i] =
			(struct reach_thread){ t->tid, !s || !s->candidate, s && s->handles };
	}
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
		size_t begin = used;

		if (t->state != STOP_THREAD_STOPPED)
			continue;
		if (references_is_ending(c, t)) {
			/* Where its stack is in use from is all that counts of it. */
			memcpy(r->registers + used, &table_copy_header(c->table)->exit_sp,
			       sizeof(uint64_t));
			used += sizeof(uint64_t);
			r->pieces[r->piece_count++] =
				(struct search_piece){ PLACE_REGISTERS, (uint32_t)i, NULL,
						       r->registers + begin, used - begin };
			continue;
		}
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

/* Copy, or search in place. */
static int references_take_memory(struct references *r, struct capture *c, struct err *e)
{
	struct memory_source memory;
	int rc = 0;

	if (r->look->core) {
		memory = core_source(r->look->core);
		return references_search(r, c, &memory, e);
	}
	source_place_open(&r->place, c->through);
	memory = source_of_place(&r->place);
	r->in_place = r->pages.bytes > COPY_BYTES_MAX;
	if (r->in_place && stop_left_ns(c->stop) / NS_PER_MB < (int64_t)(r->pages.bytes >> 20)) {
		/* It would stand still for nothing. */
		references_withhold(r,
				    "that would take longer than the stop may last (--max-pause)");
	} else if (r->in_place) {
		struct source_bounded bounded = { memory, references_expired, c->stop };

		memory = source_of_bounded(&bounded);
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

/* Which memory there is, and what the kernel holds. */
static int references_list_memory(struct references *r, struct capture *c, struct err *e)
{
	struct err unread = { 0 };
	int rc;

	if (r->look->core) {
		if (c->held_unknown[0])
			references_withhold(r, c->held_unknown);
		rc = core_list_pages(r->look->core, &r->pages, e);
		if (r->pages.unread)
			references_withhold(r, r->pages.unread);
		return rc;
	}
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
	return rc;
}

static int references_while_stopped(void *ctx, struct capture *c, struct err *e)
{
	struct references *r = ctx;
	int rc;

	references_find_obstacle(r, c);
	if (r->withheld[0])
		return 0;
	rc = references_list_memory(r, c, e);
	if (rc || r->withheld[0])
		return rc;
	r->pieces = calloc(2 * stop_count(c->stop) + r->held.piece_count + 1, sizeof(*r->pieces));
	if (!r->pieces || references_add_registers(r, c))
		return err_set(e, ERR_NOMEM, "cannot copy the registers of the process");
	references_add_held(r);
	references_judge_threads(r, c);
	return references_take_memory(r, c, e);
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
	r->passing = false;
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

static void references_note_withheld(const struct references *r)
{
	model_note(r->look->model, "who can reach what tasks wait for was not looked at: %s",
		   r->withheld);
}

static int references_note_troubles(const struct references *r, struct err *e)
{
	size_t n = 0;
	const char *const *troubles = r->heap ? heap_troubles(r->heap, &n) : NULL;

	for (size_t i = 0; i < n; i++)
		if (model_note(r->look->model, "%s", troubles[i]))
			return err_set(e, ERR_NOMEM, "cannot look at process %d",
				       (int)r->look->target->pid);
	return 0;
}

/* The model of a stop takes the place of the one before. */
static int references_take_over(struct references *r, const struct look_options *o,
				struct capture *c, struct err *e)
{
	struct look *l = r->look;

	stacks_free(l->stacks);
	l->stacks = NULL;
	model_free(l->model);
	l->model = NULL;
	capture_free(l->capture);
	l->capture = c;
	if (model_create(&l->model))
		return err_set(e, ERR_NOMEM, "cannot look at process %d", (int)l->target->pid);
	return look_read(l, o, e);
}

/* Search the copy, for those that this very stop makes suspect. */
static int references_search_copy(struct references *r, struct err *e)
{
	struct memory_source memory = source_of_copy(r->copy);
	bool any;

	if (prove_find_candidates(r->look->model, &any) || references_list_suspects(r))
		return err_set(e, ERR_NOMEM, "cannot look at process %d",
			       (int)r->look->target->pid);
	references_judge_threads(r, r->look->capture);
	return references_search(r, r->look->capture, &memory, e);
}

/* One stop. l->model and l->capture are of this one, and l->reach or r->withheld is set. *gone: nobody
 * could be stopped any more, all is as it was. */
static int references_try(struct references *r, const struct look_options *o,
			  const struct stop_limits *limits, bool *gone, struct err *e)
{
	struct capture_more more = { references_while_stopped, r };
	struct look *l = r->look;
	struct stop_limits own = *limits;
	struct err ended = { 0 };
	struct capture *c;
	int rc;

	own.late_ns = TICK_NS;
	references_reserve(r);
	*gone = capture_take(l->target, &own, o->table, &more, &c, &ended) != 0;
	if (*gone)
		return 0;
	look_note_stop(l, c->pause_ns);
	if (!r->withheld[0] && !references_same_files(&l->capture->maps, &c->maps))
		references_withhold(r, "libraries were loaded or unloaded meanwhile");
	if (r->withheld[0]) {
		capture_free(c);
		return 0;
	}
	rc = references_take_over(r, o, c, e);
	if (!rc && !r->in_place)
		rc = references_search_copy(r, e);
	if (!rc)
		rc = references_note_troubles(r, e);
	if (!rc && r->reach && reach_given_up(r->reach))
		references_withhold(r, reach_given_up(r->reach));
	if (!rc && !r->withheld[0]) {
		l->reach = r->reach;
		r->reach = NULL;
	}
	return rc;
}

/* May another try see more? Where threads allocate all the time one of them is in the middle of it
 * nearly always: then all that is lost is the order in its arena. */
static bool references_may_help(const struct references *r, int tried)
{
	return r->passing || (r->heap && heap_is_busy(r->heap) && tried < TRIES_BUSY);
}

/* All that a second stop would bring is in the core. */
static int references_in_core(struct references *r, struct err *e)
{
	struct look *l = r->look;
	int rc = references_while_stopped(r, l->capture, e);

	if (!rc && r->reach && reach_given_up(r->reach))
		references_withhold(r, reach_given_up(r->reach));
	if (!rc && r->withheld[0]) {
		references_note_withheld(r);
	} else if (!rc) {
		l->reach = r->reach;
		r->reach = NULL;
		rc = references_note_troubles(r, e);
	}
	return rc;
}

/* Stop after stop, until nothing is in the way. */
static int references_in_process(struct references *r, const struct look_options *o,
				 const struct stop_limits *limits, struct err *e)
{
	struct timespec step = { 0, TRY_STEP_NS };
	struct look *l = r->look;
	bool gone = false;
	int rc = 0;

	for (int i = 0; i < TRIES && !rc; i++) {
		if (i)
			nanosleep(&step, NULL);
		references_forget_stop(r);
		reach_free(l->reach);
		l->reach = NULL;
		rc = references_try(r, o, limits, &gone, e);
		if (gone)
			references_withhold(r, "it could not be looked at again");
		if (gone || !references_may_help(r, i + 1))
			break;
	}
	if (!rc && r->withheld[0])
		references_note_withheld(r);
	if (!rc)
		look_describe_stops(l);
	return rc;
}

int look_for_references(struct look *l, const struct look_options *o,
			const struct stop_limits *limits, struct err *e)
{
	struct references r = { .look = l, .place = { .fd = -1 } };
	int rc = references_list_suspects(&r);

	if (rc)
		err_set(e, rc, "cannot look at process %d", (int)l->target->pid);
	else
		rc = l->core ? references_in_core(&r, e) : references_in_process(&r, o, limits, e);
	references_forget_stop(&r);
	references_forget_suspects(&r);
	return rc;
}
