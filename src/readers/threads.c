/* SPDX-License-Identifier: MIT
 *
 * The thread reader. Order: births (so that T1 is main and numbers follow), tasks, stacks, waits,
 * then what makes verdicts milder.
 */
#include "readers/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "readers/futex.h"
#include "readers/milder.h"
#include "readers/waits.h"
#include "target/core.h"
#include "target/memory.h"

struct birth {
	size_t slot; /* in the stop */
	const struct stop_thread *thread;
	struct target_thread info; /* zeroed if it had gone before it was read */
	struct task *task;
};

struct threads_work {
	const struct threads_input *in;
	struct model *model;
	struct birth *births; /* by birth */
	struct waits_owner *owners;
	size_t n;
	const struct table_copy *table; /* of this very process image; NULL: none */
};

/* The main thread first, then by start time; threads of one clock tick by tid. */
static int birth_compare(const void *va, const void *vb)
{
	const struct birth *a = va, *b = vb;
	uint64_t x = a->info.start_ticks, y = b->info.start_ticks;

	if (!a->slot != !b->slot)
		return a->slot ? 1 : -1;
	if (x != y)
		return x < y ? -1 : 1;
	return (a->thread->tid > b->thread->tid) - (a->thread->tid < b->thread->tid);
}

static int owner_compare(const void *va, const void *vb)
{
	pid_t x = ((const struct waits_owner *)va)->tid_ns;
	pid_t y = ((const struct waits_owner *)vb)->tid_ns;

	return (x > y) - (x < y);
}

static int threads_list_births(struct threads_work *w)
{
	const struct capture *c = w->in->capture;

	w->births = calloc(stop_count(c->stop), sizeof(*w->births));
	w->owners = calloc(stop_count(c->stop), sizeof(*w->owners));
	if (!w->births || !w->owners)
		return ERR_NOMEM;
	for (size_t i = 0; i < stop_count(c->stop); i++) {
		const struct stop_thread *t = stop_thread(c->stop, i);
		struct birth *b = &w->births[w->n];

		if (t->state == STOP_THREAD_ENDED && t->tid != c->pid)
			continue;
		b->thread = t;
		b->slot = t->tid == c->pid ? 0 : i + 1;
		if (!c->core)
			target_read_thread(c->pid, t->tid, &b->info);
		else if (t->tid == c->pid)
			snprintf(b->info.name, sizeof(b->info.name), "%s", core_name(c->core));
		w->n++;
	}
	qsort(w->births, w->n, sizeof(*w->births), birth_compare);
	return 0;
}

static int threads_add_task(struct threads_work *w, struct birth *b)
{
	const struct stop_thread *t = b->thread;
	struct task *task = model_add_task(w->model, TASK_THREAD);

	if (!task)
		return ERR_NOMEM;
	b->task = task;
	task->tid = t->tid;
	task->tid_ns = t->tid_ns;
	task->main = t->tid == w->in->capture->pid;
	task->handle = t->state == STOP_THREAD_STOPPED ? arch_thread_pointer(&t->regs) : 0;
	task->name = b->info.name[0] ? model_string(w->model, b->info.name) : NULL;
	task->state = STATE_RUNNING;
	switch (t->state) {
	case STOP_THREAD_ENDED:
		task->state = STATE_ENDED;
		return 0;
	case STOP_THREAD_RUNS:
		task->live_because = "it could not be stopped (an uninterruptible call)";
		model_note(w->model, "%s could not be stopped in time and counts as live",
			   b->info.name[0] ? b->info.name : "a thread");
		w->model->seen = SEEN_PARTIAL;
		return 0;
	case STOP_THREAD_ASLEEP:
		task->handled_signals = milder_handled_signals(w->in->capture->caught_signals, 0);
		return 0;
	case STOP_THREAD_DENIED:
		task->live_because = "the kernel does not let it be stopped";
		task->system = b->info.kernel_worker;
		model_note(w->model, "a kernel worker of the process could not be stopped");
		w->model->seen = SEEN_PARTIAL;
		return 0;
	default:
		break;
	}
	task->handled_signals =
		milder_handled_signals(w->in->capture->caught_signals, t->blocked_signals);
	if (w->in->capture->cut_short)
		task->live_because = "the stop was cut short";
	else if (t->signal_pending)
		task->live_because = "a signal is on its way to it";
	return 0;
}

/* The record that the thread with this descriptor was given as the argument of its start routine, if
 * it has not begun: nothing else tells whose record it is. */
static const struct wire_task *threads_find_unbegun(const struct threads_work *w, uint64_t handle)
{
	static const char suffix[] = WIRE_TABLE_SUFFIX;
	uint64_t words[CAPTURE_DESCRIPTOR_BYTES / 8];
	size_t n = snapshot_read(w->in->capture->memory, handle, words, sizeof(words)) / 8;

	for (size_t i = 0; i < n; i++) {
		const struct mapping *m = maps_find(&w->in->capture->maps, words[i]);
		size_t length = m && m->shared ? strlen(m->path) : 0;
		const struct wire_task *r;

		if (length < sizeof(suffix) ||
		    strcmp(m->path + length + 1 - sizeof(suffix), suffix))
			continue;
		r = table_copy_find_unbegun(w->table, words[i] - m->start + m->offset);
		if (r)
			return r;
	}
	return NULL;
}

static void threads_match_unbegun(struct threads_work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct task *t = w->births[i].task;
		const struct wire_task *r = NULL;

		if (t->handle && !table_copy_find_thread(w->table, t->tid_ns, t->handle))
			r = threads_find_unbegun(w, t->handle);
		if (r)
			t->number = r->number;
	}
}

/* A join marks the descriptor of the thread that has ended, also one that was not seen; afterwards
 * it is another thread's, or gone. */
static bool threads_is_unjoined(const struct threads_work *w, const struct task *t)
{
	uint64_t at = t->handle + libc_tid_offset(w->in->libc);
	int32_t tid;

	if (!t->handle || !libc_tid_offset(w->in->libc))
		return true;
	return memory_read(w->in->capture->through, at, &tid, sizeof(tid)) == sizeof(tid) && !tid;
}

static void threads_spare_joined(const struct threads_work *w)
{
	for (size_t i = 0; i < w->model->task_count; i++) {
		struct task *t = w->model->tasks[i];

		if (t->ended_unjoined && !threads_is_unjoined(w, t))
			t->ended_unjoined = false;
	}
}

static int threads_use_table(struct threads_work *w)
{
	int rc;

	threads_match_unbegun(w);
	rc = table_enrich_tasks(w->table, w->in->capture->monotonic_ns, w->in->stacks, w->model);
	threads_spare_joined(w);
	return rc;
}

/* What the recording side knows of them; without it they are numbered in order. */
static int threads_name_tasks(struct threads_work *w)
{
	const struct capture *c = w->in->capture;
	char why[700];

	if (c->table && table_copy_is_of(c->table, w->in->target->start_ticks, w->births[0].task))
		w->table = c->table;
	if (w->table)
		return threads_use_table(w);
	if (c->table)
		model_note(w->model, "the table found is that of another program: it is not used");
	if (c->table_error.code) {
		err_format(&c->table_error, why, sizeof(why));
		model_note(w->model, "%s", why);
	}
	model_number_tasks(w->model);
	return 0;
}

static int threads_add_tasks(struct threads_work *w)
{
	int rc = 0;

	for (size_t i = 0; i < w->n && !rc; i++) {
		rc = threads_add_task(w, &w->births[i]);
		w->owners[i].tid_ns = w->births[i].thread->tid_ns;
		w->owners[i].lock_tid = waits_read_lock_tid(w->in, w->births[i].thread);
		w->owners[i].task = w->births[i].task;
		w->owners[i].thread_pointer = arch_thread_pointer(&w->births[i].thread->regs);
	}
	if (!rc)
		rc = threads_name_tasks(w);
	qsort(w->owners, w->n, sizeof(*w->owners), owner_compare);
	return rc;
}

static bool threads_tids_known(const struct threads_work *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (!w->births[i].thread->tid_ns)
			return false;
	return true;
}

/* A thread that went on during the stop may have made others that are not in the list. */
static bool threads_all_stopped(const struct threads_work *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->births[i].thread->state == STOP_THREAD_RUNS ||
		    (w->births[i].thread->state == STOP_THREAD_DENIED &&
		     !w->births[i].info.kernel_worker) ||
		    (w->births[i].thread->state == STOP_THREAD_ASLEEP &&
		     !w->in->capture->sleepers_slept))
			return false;
	return true;
}

/* The library's word on where a descriptor holds its tid, tested on the process at hand. */
static bool threads_layout_is_plausible(const struct threads_work *w)
{
	bool misfit = false;

	if (libc_kind(w->in->libc) != LIBC_GLIBC || !libc_tid_offset(w->in->libc))
		return true;
	for (size_t i = 0; i < w->n; i++) {
		const struct stop_thread *t = w->births[i].thread;

		if (t->tid_ns && waits_read_lock_tid(w->in, t) == t->tid_ns)
			return true;
		misfit = misfit || t->state == STOP_THREAD_STOPPED;
	}
	return !misfit;
}

/* A thread made by clone(2) with its creator's thread pointer takes locks in its creator's name. */
static bool threads_borrow_numbers(const struct threads_work *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->owners[i].lock_tid && w->owners[i].lock_tid != w->owners[i].tid_ns)
			return true;
	return false;
}

/* In code of the shim's own: it is on its way, or waits, with the one that ends the process, for
 * the look at the exit to be over. That is all that the shim ever waits for. */
static void threads_read_in_shim(const struct stop_thread *t, struct task *task)
{
	struct futex_call call;

	task->ends_process =
		task->ends_process || futex_decode(&t->regs, arch_syscall_number(&t->regs), &call);
	if (!task->ends_process)
		task->live_because = "it is about to go on";
}

/* What a thread does is told by the frames inside of the shim's, which stand where the program
 * called. */
static int threads_read_wait(struct threads_work *w, const struct waits_context *ctx,
			     struct birth *b, const struct unwind_frame *frames, size_t n)
{
	uint64_t pcs[UNWIND_FRAMES_MAX];
	size_t inner;

	for (inner = 0; inner < n; inner++) {
		const struct unwind_frame *f = &frames[inner];

		pcs[inner] = f->exact || !f->ip ? f->ip : f->ip - 1;
		if (stacks_is_shim(w->in->stacks, pcs[inner]))
			break;
	}
	if (!inner && n)
		threads_read_in_shim(b->thread, b->task);
	if ((!inner && n) || b->task->ends_process)
		return 0;
	return waits_read(ctx, b->thread, pcs, inner, b->task);
}

/* A thread that the C library keeps for itself (timers, asynchronous I/O): the recording side has
 * seen all births but those within the library, and nothing but its code is on the stack. */
static bool threads_is_library_own(const struct threads_work *w, const struct task *t)
{
	if (!w->table || t->recorded || t->main || !t->stack->n || !t->stack->complete ||
	    table_copy_header(w->table)->lost_tasks ||
	    (t->state == STATE_BLOCKED && !t->wait->has_deadline))
		return false;
	for (size_t i = 0; i < t->stack->n; i++)
		if (!t->stack->v[i].system)
			return false;
	return true;
}

static int threads_read_one(struct threads_work *w, const struct waits_context *ctx,
			    struct birth *b)
{
	struct unwind_frame frames[UNWIND_FRAMES_MAX];
	bool complete;
	size_t n;
	int rc;

	if (b->thread->state != STOP_THREAD_STOPPED && b->thread->state != STOP_THREAD_ASLEEP)
		return 0;
	if (!arch_is_64bit(&b->thread->regs)) {
		b->task->live_because = "it runs 32-bit code";
		model_note(w->model, "threads that run 32-bit code are not judged");
		return 0;
	}
	unwinder_walk(w->in->unwinder, &b->thread->regs, frames, UNWIND_FRAMES_MAX, &n, &complete);
	rc = threads_read_wait(w, ctx, b, frames, n);
	n = stacks_drop_shim(w->in->stacks, frames, n);
	b->task->stack = stacks_intern(w->in->stacks, frames, n, complete);
	if (!b->task->stack)
		return ERR_NOMEM;
	b->task->system = b->task->system || threads_is_library_own(w, b->task);
	return rc;
}

static int threads_read_waits(struct threads_work *w)
{
	struct waits_context ctx = {
		.in = w->in,
		.model = w->model,
		.owners = w->owners,
		.owner_count = w->n,
		.heir = w->in->target->forked ? w->births[0].task : NULL,
		.numbers_borrowed = threads_borrow_numbers(w),
		.tids_known = threads_tids_known(w) && threads_all_stopped(w),
	};
	int rc = 0;

	if (!threads_tids_known(w))
		model_note(w->model, "the process's own thread ids are not known: an owner that is "
				     "not found is not taken for ended");
	for (size_t i = 0; i < w->n && !rc; i++)
		rc = threads_read_one(w, &ctx, &w->births[i]);
	return rc;
}

/* What lies where main had its frame when it returned. */
static void threads_mark_main_frame(const struct threads_work *w)
{
	const struct wire_table *h = table_copy_header(w->table);
	const struct mapping *m = maps_find(&w->in->capture->maps, h->exit_sp);

	if (w->model->moment != MOMENT_EXIT || h->exit_kind != WIRE_EXIT_KIND_MAIN || !m)
		return;
	for (size_t i = 0; i < w->model->task_count; i++) {
		const struct wait *wait = w->model->tasks[i]->wait;
		struct object *o = wait ? wait->object : NULL;

		if (o && o->address >= m->start && o->address < h->exit_sp)
			o->in_main_frame = true;
	}
}

int threads_read(const struct threads_input *in, struct model *m, struct err *e)
{
	struct threads_work w = { .in = in, .model = m };
	int rc = threads_list_births(&w);

	if (!rc)
		rc = threads_add_tasks(&w);
	if (!rc && !threads_layout_is_plausible(&w))
		libc_distrust(in->libc);
	if (!rc)
		rc = threads_read_waits(&w);
	if (!rc && w.table)
		rc = table_enrich_waits(w.table, in->capture->monotonic_ns, in->stacks, m);
	if (!rc && w.table)
		threads_mark_main_frame(&w);
	if (!rc)
		rc = milder_apply(in, m);
	if (in->capture->cut_short) {
		m->seen = SEEN_PARTIAL;
		model_note(m, "the stop reached its bound (--max-pause): stacks were not copied, "
			      "their threads are not judged");
	}
	if (in->capture->core && core_is_partial(in->capture->core))
		m->seen = SEEN_PARTIAL;
	free(w.births);
	free(w.owners);
	return rc ? err_set(e, rc, "cannot read the threads of process %d", (int)m->pid) : 0;
}
