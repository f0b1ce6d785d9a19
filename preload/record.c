/* SPDX-License-Identifier: MIT
 *
 * What a thread writes into its own record: waits and read-holds; and what it tells of others:
 * joined, named. A record is over, and used again, when its thread has ended and was joined or
 * detached, and holds nothing for reading any more.
 */
#include "record.h"

#include "births.h"
#include "clock.h"
#include "shim.h"
#include "table.h"

static uint32_t ended_holders; /* threads that have ended and left holds */

/* -- waits --------------------------------------------------------------------------------------- */

/* One instruction: a handler that waits itself, in between, moves the sequence on. */
static void step_sequence(struct wire_wait *wait)
{
	__atomic_fetch_add(&wait->sequence, 1, __ATOMIC_RELEASE);
}

static void copy_wait(struct wire_wait *to, const struct wire_wait *from)
{
	to->op = from->op;
	to->flags = from->flags;
	to->object = from->object;
	to->second = from->second;
	to->since_ns = from->since_ns;
	to->deadline_ns = from->deadline_ns;
	to->context = from->context;
}

static bool is_own_stack(uint64_t sp)
{
	return sp > self.stack_begin && sp < self.stack_end;
}

/* A handler that waits lies below what it interrupts, if both are on the thread's own stack. What was
 * recorded there and is not above was left by a longjmp, and is over. */
static bool was_left(const struct wire_wait *outer, const struct wire_context *context)
{
	return context && is_own_stack(context->sp) && is_own_stack(outer->context.sp) &&
	       outer->context.sp <= context->sp;
}

/* What the record holds is kept even where its sequence is even: a handler may have interrupted
 * this very function. */
void record_wait_begin(struct record_wait *w, enum wire_op op, uint16_t flags,
		       const volatile void *object, const volatile void *second,
		       uint64_t deadline_ns, const struct wire_context *context)
{
	struct wire_task *task = self_task();
	struct wire_wait *wait;

	w->task = task;
	if (!task)
		return;
	wait = &task->wait;
	w->outer.sequence = __atomic_load_n(&wait->sequence, __ATOMIC_RELAXED);
	if (w->outer.sequence & 1)
		step_sequence(wait);
	copy_wait(&w->outer, wait);
	if (was_left(&w->outer, context))
		w->outer.sequence = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	wait->op = (uint16_t)op;
	wait->flags = flags;
	wait->object = (uintptr_t)object;
	wait->second = (uintptr_t)second;
	wait->since_ns = clock_now_ns();
	wait->deadline_ns = deadline_ns;
	if (context)
		wait->context = *context;
	else
		wait->context = (struct wire_context){ .ip = 0 };
	step_sequence(wait);
}

/* In a forked child the thread has another record, and the one it began in is not to be touched. */
void record_wait_end(struct record_wait *w)
{
	struct wire_wait *wait;

	if (!w->task || w->task != self.task || !shim_alive() || self.generation != shim.generation)
		return;
	wait = &w->task->wait;
	if (__atomic_load_n(&wait->sequence, __ATOMIC_RELAXED) & 1)
		step_sequence(wait);
	copy_wait(wait, &w->outer);
	if (w->outer.sequence & 1)
		step_sequence(wait);
	w->task = NULL;
}

/* -- from state to state ------------------------------------------------------------------------- */

static bool is_over(uint64_t word)
{
	return TASK_STATE(word) == WIRE_TASK_ENDING &&
	       TASK_FLAGS(word) & (WIRE_TASK_JOINED | WIRE_TASK_DETACHED);
}

static bool has_holds(const struct wire_task *task)
{
	uint32_t i;

	for (i = 0; i < WIRE_HOLDS; i++)
		if (__atomic_load_n(&task->holds[i], __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* Whoever sees that it is over tries; one succeeds. */
static void release_if_over(struct wire_task *task)
{
	uint64_t word = task_load(task);

	if (is_over(word) && !has_holds(task) &&
	    task_change(task, &word, TASK_WORD(WIRE_TASK_CLAIMED, 0)))
		table_release(task);
}

bool record_change(struct wire_task *task, bool ends, uint16_t flags)
{
	uint64_t old = task_load(task);
	uint64_t new;
	bool begins_to_end;

	do {
		uint32_t state = TASK_STATE(old);

		if (state == WIRE_TASK_FREE || state == WIRE_TASK_CLAIMED)
			return false;
		begins_to_end = ends && state != WIRE_TASK_ENDING;
		new = TASK_WORD(ends ? WIRE_TASK_ENDING : state, TASK_FLAGS(old) | flags);
	} while (!task_change(task, &old, new));
	if (begins_to_end && has_holds(task))
		__atomic_fetch_add(&ended_holders, 1, __ATOMIC_RELAXED);
	release_if_over(task);
	return begins_to_end;
}

/* -- read-holds ---------------------------------------------------------------------------------- */

/* On the way of every lock for reading: the first place that fits, though a later one may be of the
 * same lock. Both count. */
void record_hold_add(const void *rwlock)
{
	struct wire_task *task = self_task();
	uint32_t i;

	if (!task)
		return;
	for (i = 0; i < WIRE_HOLDS; i++) {
		if (!task->holds[i]) {
			task->hold_counts[i] = 1;
			__atomic_store_n(&task->holds[i], (uintptr_t)rwlock, __ATOMIC_RELEASE);
			return;
		}
		if (task->holds[i] == (uintptr_t)rwlock && task->hold_counts[i] < UINT8_MAX) {
			task->hold_counts[i]++;
			return;
		}
	}
	record_change(task, false, WIRE_TASK_HOLDS_LOST);
}

static inline __attribute__((always_inline)) bool remove_one(struct wire_task *task,
							     const void *rwlock)
{
	uint32_t i;

	for (i = 0; i < WIRE_HOLDS; i++) {
		if (__atomic_load_n(&task->holds[i], __ATOMIC_RELAXED) != (uintptr_t)rwlock)
			continue;
		if (--task->hold_counts[i] == 0)
			__atomic_store_n(&task->holds[i], 0, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

static void remove_all(struct wire_task *task, const void *rwlock)
{
	uint32_t i;

	for (i = 0; i < WIRE_HOLDS; i++) {
		uint64_t held = (uintptr_t)rwlock;

		__atomic_compare_exchange_n(&task->holds[i], &held, 0, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
	}
}

/* Holds that threads left behind when they ended: one of them, or `all`. */
static void forget_ended(const void *rwlock, bool all)
{
	struct wire_task *task;
	uint32_t i;

	if (!__atomic_load_n(&ended_holders, __ATOMIC_RELAXED) || !shim_alive())
		return;
	for (i = 0; (task = table_at(i)); i++) {
		if (TASK_STATE(task_load(task)) != WIRE_TASK_ENDING || !has_holds(task))
			continue;
		if (!all && !remove_one(task, rwlock))
			continue;
		if (all)
			remove_all(task, rwlock);
		if (!has_holds(task))
			__atomic_fetch_sub(&ended_holders, 1, __ATOMIC_RELAXED);
		release_if_over(task);
		if (!all)
			return;
	}
}

void record_hold_remove(const void *rwlock)
{
	struct wire_task *task = self_task();

	if (task && remove_one(task, rwlock))
		return;
	forget_ended(rwlock, false);
}

void record_hold_forget(const void *rwlock)
{
	forget_ended(rwlock, true);
}

void record_holds_reset(void)
{
	ended_holders = 0;
}

/* -- other threads ------------------------------------------------------------------------------- */

/* The thread may have ended, and its handle be another's by now: of those that fit, the one that was
 * born first. */
static struct wire_task *find_ended(uintptr_t handle)
{
	struct wire_task *found = NULL;
	struct wire_task *task;
	uint32_t i;

	for (i = 0; (task = table_at(i)); i++) {
		uint64_t word = task_load(task);

		if (TASK_STATE(word) == WIRE_TASK_ENDING && !is_over(word) &&
		    task->handle == handle && (!found || task->number < found->number))
			found = task;
	}
	return found;
}

void record_thread_joined(struct wire_task *task, uintptr_t handle)
{
	if (!shim_alive())
		return;
	if (!task)
		task = find_ended(handle);
	if (task && table_has(task) && record_change(task, true, WIRE_TASK_JOINED))
		__atomic_fetch_sub(&shim.table->tasks_running, 1, __ATOMIC_RELAXED);
}

void record_thread_named(uintptr_t handle, const char *name)
{
	struct wire_task *task;
	uint32_t i;
	bool over = false;

	task = handle == self_handle() ? self_task() : record_thread_find(handle);
	if (!task || !name)
		return;
	for (i = 0; i < WIRE_NAME; i++) {
		over = over || i == WIRE_NAME - 1 || !name[i];
		task->name[i] = over ? '\0' : name[i];
	}
}

/* -- the process --------------------------------------------------------------------------------- */

void record_handler(int signal, bool restarts)
{
	uint64_t bit = signal >= 1 && signal <= 64 ? 1ull << (signal - 1) : 0;
	uint64_t *word;

	self_task();
	if (!shim_alive() || !bit)
		return;
	word = restarts ? &shim.table->restarting_signals : &shim.table->interrupting_signals;
	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
		__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
}

void record_sandboxed(void)
{
	shim.sandboxed = true;
	clock_sandboxed();
	if (shim_alive())
		__atomic_fetch_or(&shim.table->flags, WIRE_TABLE_SANDBOXED, __ATOMIC_RELAXED);
}
