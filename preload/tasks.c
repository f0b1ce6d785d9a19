/* SPDX-License-Identifier: MIT
 *
 * Records of tasks: taken for births, given back when a task is over, used again in about the order
 * in which they were given back, and not before SLACK others were: a thread that is in its
 * destructors is still found by its record.
 *
 * Two lists: `freed` takes what is given back; when `again` is empty and SLACK or more have
 * gathered, all of them go over to it, oldest first. Both are stacks of indices with a tag that
 * changes with each removal, so that a record that went and came back meanwhile is noticed.
 */
#include "table.h"

#include "shim.h"
#include "table_private.h"

#define SLACK 64u

static uint64_t again;	    /* tag << 32 | index + 1 */
static uint64_t freed;	    /* the same */
static int32_t freed_count; /* roughly */
static uint32_t used;	    /* records ever used: the first ones of the segments */
static uint64_t numbers;    /* births so far */

void tasks_reset(void)
{
	again = 0;
	freed = 0;
	freed_count = 0;
	used = 0;
	numbers = 0;
}

static uint32_t capacity(void)
{
	uint32_t count = __atomic_load_n(&table_tasks.count, __ATOMIC_ACQUIRE);

	return count ? WIRE_TASKS_FIRST + (count - 1) * WIRE_TASKS_MORE : 0;
}

bool tasks_scarce(void)
{
	uint32_t all = capacity();
	uint32_t last = all > WIRE_TASKS_FIRST ? WIRE_TASKS_MORE : WIRE_TASKS_FIRST;

	return all - __atomic_load_n(&used, __ATOMIC_RELAXED) < last / 2;
}

static struct wire_task *record_at(uint32_t index)
{
	uint32_t segment = 0;

	if (index >= WIRE_TASKS_FIRST) {
		index -= WIRE_TASKS_FIRST;
		segment = 1 + index / WIRE_TASKS_MORE;
		index %= WIRE_TASKS_MORE;
	}
	return (struct wire_task *)(void *)table_tasks.list[segment].at + index;
}

struct wire_task *table_at(uint32_t i)
{
	return i < __atomic_load_n(&used, __ATOMIC_ACQUIRE) ? record_at(i) : NULL;
}

/* The index of a record; UINT32_MAX: it is none. */
static uint32_t index_of(const struct wire_task *task)
{
	uint32_t count = __atomic_load_n(&table_tasks.count, __ATOMIC_ACQUIRE);
	uint32_t i, index;

	for (i = 0; i < count; i++) {
		uint64_t offset = (uintptr_t)task - (uintptr_t)table_tasks.list[i].at;
		uint32_t first = i ? WIRE_TASKS_FIRST + (i - 1) * WIRE_TASKS_MORE : 0;

		if (offset >= table_tasks.list[i].bytes)
			continue;
		if (offset % sizeof(*task))
			return UINT32_MAX;
		index = first + (uint32_t)(offset / sizeof(*task));
		return index < __atomic_load_n(&used, __ATOMIC_ACQUIRE) ? index : UINT32_MAX;
	}
	return UINT32_MAX;
}

bool table_has(const struct wire_task *task)
{
	return index_of(task) != UINT32_MAX;
}

/* -- lists --------------------------------------------------------------------------------------- */

static uint32_t next_of(uint32_t index)
{
	return __atomic_load_n(&record_at(index)->next, __ATOMIC_RELAXED);
}

/* Put the chain from `first` to `last` in front. */
static void push(uint64_t *list, uint32_t first, struct wire_task *last)
{
	uint64_t old = __atomic_load_n(list, __ATOMIC_RELAXED);
	uint64_t new;

	do {
		__atomic_store_n(&last->next, (uint32_t)old, __ATOMIC_RELAXED);
		new = (old & ~(uint64_t)UINT32_MAX) | (first + 1);
	} while (!__atomic_compare_exchange_n(list, &old, new, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

/* Take the first, or with `all` the whole chain; NULL if there is none. */
static struct wire_task *take(uint64_t *list, bool all)
{
	uint64_t old = __atomic_load_n(list, __ATOMIC_ACQUIRE);
	uint64_t new;

	do {
		if (!(uint32_t)old)
			return NULL;
		new = ((old >> 32) + 1) << 32;
		if (!all)
			new |= next_of((uint32_t)old - 1);
	} while (!__atomic_compare_exchange_n(list, &old, new, true, __ATOMIC_ACQUIRE,
					      __ATOMIC_ACQUIRE));
	return record_at((uint32_t)old - 1);
}

/* All that were freed, the oldest for the caller, the others for births to come. */
static struct wire_task *take_freed(void)
{
	struct wire_task *newest = take(&freed, true);
	struct wire_task *task = newest;
	uint32_t before = 0; /* index + 1 of the one that was freed after `task` */
	int32_t n = 1;

	if (!task)
		return NULL;
	while (task->next) {
		uint32_t older = task->next;

		__atomic_store_n(&task->next, before, __ATOMIC_RELAXED);
		before = index_of(task) + 1;
		task = record_at(older - 1);
		n++;
	}
	__atomic_fetch_sub(&freed_count, n, __ATOMIC_RELAXED);
	if (before)
		push(&again, before - 1, newest);
	return task;
}

static struct wire_task *take_new(void)
{
	uint32_t index = __atomic_load_n(&used, __ATOMIC_RELAXED);

	do
		if (index >= capacity())
			return NULL;
	while (!__atomic_compare_exchange_n(&used, &index, index + 1, true, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED));
	return record_at(index);
}

/* -- records ------------------------------------------------------------------------------------- */

static void clear(struct wire_task *task)
{
	uint32_t i;

	task_store(task, TASK_WORD(WIRE_TASK_CLAIMED, 0));
	task->parent = 0;
	task->handle = 0;
	task->start = 0;
	task->argument = 0;
	task->birth_ns = 0;
	task->end_ns = 0;
	task->tid = 0;
	task->creator_stack = 0;
	task->next = 0;
	task->stack_bytes = 0;
	for (i = 0; i < WIRE_NAME; i++)
		task->name[i] = '\0';
	for (i = 0; i < WIRE_HOLDS; i++) {
		task->holds[i] = 0;
		task->hold_counts[i] = 0;
	}
	task->wait.sequence = (task->wait.sequence + 1) & ~1u;
	task->wait.op = WIRE_OP_NONE;
}

struct wire_task *table_claim(void)
{
	struct wire_task *task = take(&again, false);

	if (!task && __atomic_load_n(&freed_count, __ATOMIC_RELAXED) >= (int32_t)SLACK)
		task = take_freed();
	if (!task)
		task = take_new();
	if (!task)
		task = take_freed();
	if (!task)
		return NULL;
	clear(task);
	task->number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED);
	return task;
}

void table_release(struct wire_task *task)
{
	uint32_t index = index_of(task);

	task_store(task, TASK_WORD(WIRE_TASK_FREE, 0));
	push(&freed, index, task);
	__atomic_fetch_add(&freed_count, 1, __ATOMIC_RELAXED);
}
