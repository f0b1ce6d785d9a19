/* SPDX-License-Identifier: MIT
 *
 * Births and ends of threads. The record is there before the thread is, so that neither waits for
 * the other; the thread begins in a start routine of ours that takes its program's from the record,
 * and leaves it, whichever way (return, pthread_exit, cancellation), through births_end().
 *
 * A thread is found by its pthread_t: its `self` lies as far from it as ours from our own. One that
 * has not begun yet has the record as argument in its descriptor.
 */
#include "births.h"

#include "cleanup.h"
#include "clock.h"
#include "libc_threads.h"
#include "real.h"
#include "shim.h"
#include "stacks.h"
#include "sys.h"
#include "table.h"

#define LAST_TRIES   25
#define LAST_STEP_NS 2000000l

/* -- records of threads -------------------------------------------------------------------------- */

int32_t births_own_tid(void)
{
	if (shim.tid_offset)
		return *(const volatile int32_t *)(self_handle() + shim.tid_offset);
	return shim.sandboxed ? 0 : sys_gettid();
}

static void take_record(struct wire_task *task)
{
	self.task = task;
	self.number = task->number;
	self.generation = shim.generation;
	self.ended = false;
	self.lost = false;
	self.leaving = false;
	self.recording = true;
}

void births_first(const struct wire_task *was)
{
	struct wire_task *task = table_claim();
	uint16_t flags = 0;
	uint32_t i;

	task->tid = shim.table->pid;
	task->birth_ns = shim.table->birth_ns;
	if (was) {
		flags = TASK_FLAGS(task_load(was)) & WIRE_TASK_HOLDS_LOST;
		for (i = 0; i < WIRE_HOLDS; i++) {
			task->holds[i] = was->holds[i];
			task->hold_counts[i] = was->hold_counts[i];
		}
	}
	shim.table->tasks_born = 1;
	shim.table->tasks_running = 1;
	task_store(task, TASK_WORD(WIRE_TASK_RUNNING, flags));
	/* What the C library has for an id is the parent's, if it was not called for the fork. */
	if (sys_gettid() == task->tid) {
		task->handle = self_handle();
		take_record(task);
	}
}

static bool is_found(const struct wire_task *task)
{
	uint64_t word = task_load(task);

	return TASK_STATE(word) == WIRE_TASK_RUNNING && TASK_FLAGS(word) & WIRE_TASK_FOUND;
}

/* Such a thread's end is not seen. Where its descriptor was is ours now: it has ended. */
static void end_predecessors(uintptr_t handle)
{
	struct wire_task *task;
	uint32_t i;

	for (i = 0; (task = table_at(i)); i++)
		if (task->handle == handle && is_found(task) &&
		    record_change(task, true, WIRE_TASK_DETACHED))
			__atomic_fetch_sub(&shim.table->tasks_running, 1, __ATOMIC_RELAXED);
}

/* Once births were lost it may be one of those, and has been counted. */
static void count_found(bool lost)
{
	if (__atomic_load_n(&shim.table->lost_tasks, __ATOMIC_RELAXED))
		return;
	__atomic_fetch_add(&shim.table->tasks_born, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&shim.table->tasks_running, 1, __ATOMIC_RELAXED);
	if (lost)
		__atomic_fetch_add(&shim.table->lost_tasks, 1, __ATOMIC_RELAXED);
}

struct wire_task *births_adopt(void)
{
	int32_t tid = births_own_tid();
	struct wire_task *task;

	if (tid == shim.table->pid) {
		task = table_at(0);
		task->handle = self_handle();
		take_record(task);
		return task;
	}
	end_predecessors(self_handle());
	task = table_claim();
	count_found(!task);
	if (!task) {
		self.generation = shim.generation;
		self.recording = false;
		self.ended = false;
		self.lost = true;
		return NULL;
	}
	task->handle = self_handle();
	task->tid = tid;
	task_store(task, TASK_WORD(WIRE_TASK_RUNNING, WIRE_TASK_FOUND));
	take_record(task);
	return task;
}

/* -- finding another's --------------------------------------------------------------------------- */

static struct wire_task *find_begun(uintptr_t handle)
{
	uintptr_t distance = (uintptr_t)&self - self_handle();
	const struct self *its = (const struct self *)(handle + distance);
	struct wire_task *task = __atomic_load_n(&its->task, __ATOMIC_ACQUIRE);

	return task && table_has(task) && task->handle == handle ? task : NULL;
}

static struct wire_task *find_unbegun(uintptr_t handle)
{
	uintptr_t at;

	for (at = handle + LIBC_THREAD_ARGUMENT_FIRST; at <= handle + LIBC_THREAD_ARGUMENT_LAST;
	     at += sizeof(uintptr_t)) {
		struct wire_task *task = *(struct wire_task *const volatile *)at;

		if (table_has(task) && TASK_STATE(task_load(task)) == WIRE_TASK_BORN)
			return task;
	}
	return NULL;
}

/* It may begin between the first and the second question. */
struct wire_task *record_thread_find(uintptr_t handle)
{
	struct wire_task *task;

	self_task();
	if (!handle || !shim_alive())
		return NULL;
	task = find_begun(handle);
	if (!task)
		task = find_unbegun(handle);
	return task ? task : find_begun(handle);
}

/* Before it is: the handle may be nobody's afterwards. */
void record_thread_detached(uintptr_t handle)
{
	struct wire_task *task = record_thread_find(handle);

	if (task)
		record_change(task, false, WIRE_TASK_DETACHED);
}

/* -- birth --------------------------------------------------------------------------------------- */

struct birth {
	struct wire_task *task; /* NULL: no table, or no room in it */
	uint32_t generation;	/* of the table that counted it; 0: none did */
};

/* Count it, even if there is no record for it. */
static struct birth conceive(uintptr_t start, const void *argument, bool detached,
			     uint64_t stack_bytes, uintptr_t caller)
{
	struct birth birth = { .generation = 0 };
	struct wire_task *task;

	self_task();
	if (!shim_alive())
		return birth;
	birth.generation = shim.generation;
	table_grow();
	__atomic_fetch_add(&shim.table->tasks_born, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&shim.table->tasks_running, 1, __ATOMIC_RELAXED);
	task = table_claim();
	if (!task) {
		__atomic_fetch_add(&shim.table->lost_tasks, 1, __ATOMIC_RELAXED);
		return birth;
	}
	task->parent = self.generation == shim.generation ? self.number : 0;
	task->start = start;
	task->argument = (uintptr_t)argument;
	task->stack_bytes = stack_bytes;
	task->birth_ns = clock_now_ns();
	task->creator_stack = stacks_capture(caller);
	task_store(task, TASK_WORD(WIRE_TASK_BORN, detached ? WIRE_TASK_DETACHED : 0));
	birth.task = task;
	return birth;
}

/* It was not born after all. */
static void miscarry(struct birth birth)
{
	if (!birth.generation || !shim_alive() || birth.generation != shim.generation)
		return;
	__atomic_fetch_sub(&shim.table->tasks_born, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&shim.table->tasks_running, 1, __ATOMIC_RELAXED);
	if (birth.task)
		table_release(birth.task);
	else
		__atomic_fetch_sub(&shim.table->lost_tasks, 1, __ATOMIC_RELAXED);
}

/* The thread's first steps. The argument stays a root until its start routine is entered. */
static void begin(struct wire_task *task)
{
	uint64_t old = task_load(task);

	task->handle = self_handle();
	task->tid = births_own_tid();
	take_record(task);
	self.stack_end = self_handle();
	self.stack_begin = self.stack_end - task->stack_bytes;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	while (!task_change(task, &old, TASK_WORD(WIRE_TASK_RUNNING, TASK_FLAGS(old))))
		;
}

/* Is no other thread left, of those that were not created through the shim (the C library's own, for
 * its timers, among them)? Others may be on their way out still. A link of the folder is a thread;
 * the main one is there until the process ends. */
static bool is_last(void)
{
	unsigned long wanted = births_own_tid() == shim.table->pid ? 3 : 4;
	struct timespec step = { .tv_nsec = LAST_STEP_NS };
	int tries = LAST_TRIES;
	struct stat st;

	if (shim.sandboxed)
		return true;
	while (sys_stat("/proc/self/task", &st) == 0 && st.st_nlink > wanted) {
		if (--tries == 0)
			return false;
		sys_call(SYS_nanosleep, (long)&step, 0, 0, 0, 0, 0);
	}
	return true;
}

void births_end(void *unused)
{
	struct wire_task *task = self.task;

	(void)unused;
	if (!self.recording || !shim_alive() || self.generation != shim.generation)
		return;
	if (__atomic_sub_fetch(&shim.table->tasks_running, 1, __ATOMIC_ACQ_REL) == 0 && is_last())
		leave_hold(WIRE_EXIT_KIND_LAST, 0, (uintptr_t)__builtin_frame_address(0));
	self.recording = false;
	self.ended = true;
	task->end_ns = clock_now_ns();
	record_change(task, true, 0);
}

static void *begin_thread(void *argument)
{
	struct wire_task *task = argument;
	void *(*start)(void *) = (void *(*)(void *))task->start;
	void *volatile result;
	void *own = (void *)task->argument;

	begin(task);
	pthread_cleanup_push(births_end, NULL);
	result = start(own);
	pthread_cleanup_pop(1);
	return result;
}

static int begin_c11(void *argument)
{
	struct wire_task *task = argument;
	thrd_start_t start = (thrd_start_t)task->start;
	void *own = (void *)task->argument;
	volatile int result;

	begin(task);
	pthread_cleanup_push(births_end, NULL);
	result = start(own);
	pthread_cleanup_pop(1);
	return result;
}

static bool is_detached(const pthread_attr_t *attr)
{
	int state = PTHREAD_CREATE_JOINABLE;

	return attr && real.pthread_attr_getdetachstate(attr, &state) == 0 &&
	       state == PTHREAD_CREATE_DETACHED;
}

/* The C library's own default is asked for once: a program that changes it later has stacks of which
 * a page is believed, no more. */
void births_prepare(void)
{
	pthread_attr_t attr;
	size_t bytes = 0;

	if (real.pthread_attr_init(&attr) != 0)
		return;
	if (real.pthread_attr_getstacksize(&attr, &bytes) == 0)
		shim.stack_bytes = bytes;
	real.pthread_attr_destroy(&attr);
}

static uint64_t stack_bytes_of(const pthread_attr_t *attr)
{
	size_t bytes = 0;

	if (!attr)
		return shim.stack_bytes;
	return real.pthread_attr_getstacksize(attr, &bytes) == 0 ? bytes : 0;
}

WRAPPER int pthread_create(pthread_t *handle, const pthread_attr_t *attr, void *(*start)(void *),
			   void *argument)
{
	struct birth birth = conceive((uintptr_t)start, argument, is_detached(attr),
				      stack_bytes_of(attr), (uintptr_t)__builtin_return_address(0));
	int result;

	if (birth.task)
		result = real.pthread_create(handle, attr, begin_thread, birth.task);
	else
		result = real.pthread_create(handle, attr, start, argument);
	if (result != 0)
		miscarry(birth);
	return result;
}

WRAPPER int thrd_create(thrd_t *handle, thrd_start_t start, void *argument)
{
	struct birth birth = conceive((uintptr_t)start, argument, false, shim.stack_bytes,
				      (uintptr_t)__builtin_return_address(0));
	int result;

	if (birth.task)
		result = real.thrd_create(handle, begin_c11, birth.task);
	else
		result = real.thrd_create(handle, start, argument);
	if (result != thrd_success)
		miscarry(birth);
	return result;
}
