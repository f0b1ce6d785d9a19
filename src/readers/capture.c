/* SPDX-License-Identifier: MIT
 *
 * What is copied of each thread: its stack from the red zone up to a bound, the head of its
 * descriptor, the neighbourhood of the futex word it waits for, the timeout. A few KB a thread,
 * read in one batch.
 *
 * Invariant: between stop_begin() and stop_end() nothing is opened that may block, and nothing
 * is computed that could wait.
 */
#include "readers/capture.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "readers/futex.h"
#include "readers/io.h"
#include "target/relatives.h"

/* Stack bytes copied: for all threads together, and at least and at most for each. */
#define STACKS_TOTAL_BYTES (64u << 20)
#define STACK_MIN_BYTES	   (32u << 10)
#define STACK_MAX_BYTES	   (1u << 20)

/* Around a futex word: from the beginning of the largest lock that may hold it (cond: 44 before)
 * to the end of a mutex or rwlock that begins there (56). */
#define WORD_BEFORE_BYTES 48
#define WORD_AFTER_BYTES  64

/* How long to wait for the stop before looking for threads that block an exec. */
#define JOIN_STEP_NS 100000000

/* Where an owner's tid may stand, from the futex word: mutex 8; rwlock 24 - 8 and 24 - 12. */
static const int owner_offsets[] = { 8, 16, 12 };

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static size_t capture_stack_bytes(const struct capture *c, uint64_t sp, size_t threads)
{
	const struct mapping *m = maps_find(&c->maps, sp);
	size_t share = STACKS_TOTAL_BYTES / (threads ? threads : 1);

	if (!m)
		return 0;
	if (share < STACK_MIN_BYTES)
		share = STACK_MIN_BYTES;
	if (share > STACK_MAX_BYTES)
		share = STACK_MAX_BYTES;
	return m->end - sp < share ? (size_t)(m->end - sp) : share;
}

/* An earlier stop hides the number of a restarted futex call behind restart_syscall; reading
 * its arguments as a futex's is harmless if it was another. */
static bool capture_may_be_futex(const struct stop_thread *t)
{
	long number = arch_syscall_number(&t->regs);

	return number == SYS_futex || number == SYS_restart_syscall;
}

/* The neighbourhood of a futex word, as far as it is mapped: a lock may lie at the very beginning
 * of its mapping. */
static int capture_want_lock(struct capture *c, uint64_t word)
{
	const struct mapping *m = maps_find(&c->maps, word);
	uint64_t start = word - WORD_BEFORE_BYTES, end = word + WORD_AFTER_BYTES;

	if (!m)
		return 0;
	if (start < m->start || start > word)
		start = m->start;
	if (end > m->end || end < word)
		end = m->end;
	return snapshot_want(c->memory, start, (size_t)(end - start));
}

static int capture_want_words(struct capture *c, const struct stop_thread *t)
{
	uint64_t word = arch_syscall_argument(&t->regs, 0);
	uint64_t timeout = arch_syscall_argument(&t->regs, 3);
	int rc = snapshot_want(c->memory, arch_thread_pointer(&t->regs), CAPTURE_DESCRIPTOR_BYTES);

	if (!rc && capture_may_be_futex(t)) {
		rc = capture_want_lock(c, word);
		if (!rc && timeout)
			rc = snapshot_want(c->memory, timeout, sizeof(struct timespec));
	} else if (!rc && arch_syscall_number(&t->regs) >= 0) {
		rc = io_want_memory(&t->regs, c->memory);
	}
	return rc;
}

static int capture_want_stack(struct capture *c, const struct stop_thread *t)
{
	uint64_t sp = arch_sp(&t->regs) - ARCH_RED_ZONE_BYTES;
	size_t bytes = capture_stack_bytes(c, arch_sp(&t->regs), stop_count(c->stop));

	return bytes ? snapshot_want(c->memory, sp, bytes + ARCH_RED_ZONE_BYTES) : 0;
}

static int capture_copy(struct capture *c,
			int (*want)(struct capture *, const struct stop_thread *), struct err *e)
{
	for (size_t i = 0; i < stop_count(c->stop); i++) {
		const struct stop_thread *t = stop_thread(c->stop, i);

		if ((t->state == STOP_THREAD_STOPPED || t->state == STOP_THREAD_ASLEEP) &&
		    want(c, t))
			return err_set(e, ERR_NOMEM, "cannot copy the stacks of process %d",
				       (int)c->pid);
	}
	return snapshot_fetch(c->memory, e);
}

static bool capture_is_asleep(const struct stop_thread *t, struct futex_call *call)
{
	return t->state == STOP_THREAD_STOPPED &&
	       futex_decode(&t->regs, arch_syscall_number(&t->regs), call) && !call->timeout;
}

/* Is `tid_ns` a thread of the process that may still unlock something? */
static bool capture_has_awake(const struct capture *c, uint32_t tid_ns)
{
	struct futex_call call;

	for (size_t i = 0; i < stop_count(c->stop); i++)
		if ((uint32_t)capture_tid_ns(c, i) == tid_ns)
			return !capture_is_asleep(stop_thread(c->stop, i), &call);
	return false;
}

/* Does a thread wait for a lock whose owner is none of the process's threads, or asleep itself?
 * (A process that shares the memory may hold it in that thread's name.) Looks at every place
 * where an owner could stand: a needless yes costs a millisecond. */
static bool capture_owner_is_suspect(const struct capture *c, const struct futex_call *call)
{
	if (futex_names_owner(call))
		return !capture_has_awake(c, call->value & FUTEX_TID_MASK);
	for (size_t i = 0; i < sizeof(owner_offsets) / sizeof(owner_offsets[0]); i++) {
		uint32_t tid;

		if (snapshot_read_whole(c->memory, call->word + (uint64_t)owner_offsets[i], &tid,
					sizeof(tid)) &&
		    tid && tid <= FUTEX_TID_MASK && !capture_has_awake(c, tid))
			return true;
	}
	return false;
}

/* Is a lock held for reading, by the records? A process that shares the memory writes into them, too. */
static bool capture_has_holds(const struct capture *c)
{
	for (size_t i = 0; c->table && i < table_copy_count(c->table); i++)
		for (size_t k = 0; k < WIRE_HOLDS; k++)
			if (table_copy_task(c->table, i)->holds[k])
				return true;
	return false;
}

/* Sharers of the memory matter where a verdict is near: when every thread sleeps on a futex
 * without a deadline, or an owner will do nothing. */
static bool capture_needs_relatives(const struct capture *c)
{
	bool all_asleep = true, owner_suspect = capture_has_holds(c);

	for (size_t i = 0; i < stop_count(c->stop) && !owner_suspect; i++) {
		const struct stop_thread *t = stop_thread(c->stop, i);
		struct futex_call call;

		if (t->state == STOP_THREAD_ENDED)
			continue;
		if (capture_is_asleep(t, &call))
			owner_suspect = capture_owner_is_suspect(c, &call);
		else
			all_asleep = false;
	}
	return all_asleep || owner_suspect;
}

/* The main thread, unless it has ended: any other may end as soon as the process runs again. */
static pid_t capture_find_through(const struct capture *c)
{
	for (size_t i = 0; i < stop_count(c->stop); i++)
		if (stop_thread(c->stop, i)->tid == c->pid &&
		    stop_thread(c->stop, i)->state != STOP_THREAD_ENDED)
			return c->pid;
	for (size_t i = 0; i < stop_count(c->stop); i++)
		if (stop_thread(c->stop, i)->state == STOP_THREAD_STOPPED)
			return stop_thread(c->stop, i)->tid;
	return c->pid;
}

static int capture_while_stopped(struct capture *c, const struct target *t, struct table *table,
				 const struct capture_more *more, struct err *e)
{
	int rc;

	c->monotonic_ns = clock_ns(CLOCK_MONOTONIC);
	c->realtime_ns = clock_ns(CLOCK_REALTIME);
	/* Another process may have taken over the number since it was examined. */
	if (!target_is_there(t))
		return err_set(e, ERR_ENDED, "cannot look at process %d", (int)c->pid);
	c->caught_signals = target_read_caught_signals(t);
	c->through = capture_find_through(c);
	rc = maps_read(c->through, &c->maps, e);
	if (!rc)
		rc = snapshot_create(c->through, &c->memory, e);
	if (!rc)
		rc = capture_copy(c, capture_want_words, e);
	c->cut_short = stop_expired(c->stop);
	if (!rc && !c->cut_short)
		rc = capture_copy(c, capture_want_stack, e);
	if (!rc && t->pid_namespace_depth)
		stop_translate_tids(c->stop);
	/* The look goes without, if need be. */
	if (!rc && table)
		table_copy_take(table, &c->table, &c->table_error);
	c->sleepers_slept = stop_sleepers_slept(c->stop);
	if (!rc && (more || capture_needs_relatives(c))) {
		c->relative = relatives_find(c->pid, c->through);
		c->has_uring = target_has_uring(c->through);
	}
	return rc || !more ? rc : more->run(more->ctx, c, e);
}

struct capture_job {
	struct capture *capture;
	const struct target *target;
	const struct stop_limits *limits;
	struct table *table;
	const struct capture_more *more;
	struct err *e;
	int rc;
};

static void *capture_run(void *arg)
{
	struct capture_job *job = arg;
	struct capture *c = job->capture;

	/* The process stands still until this thread has had its turn: on a loaded machine that
	 * made stops ten times longer. Needs privileges; without them nothing changes. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), -20);
	job->rc = stop_begin(job->target->pid, job->limits, &c->stop, job->e);
	if (job->rc)
		return NULL;
	job->rc = capture_while_stopped(c, job->target, job->table, job->more, job->e);
	c->pause_ns = stop_end(c->stop);
	stop_collect_stragglers(c->stop);
	return NULL;
}

static void capture_join(pthread_t thread, pid_t pid)
{
	for (;;) {
		int64_t until = clock_ns(CLOCK_MONOTONIC) + JOIN_STEP_NS;
		struct timespec ts = { until / 1000000000, until % 1000000000 };

		if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &ts) != ETIMEDOUT)
			return;
		stop_reap_dead(pid);
	}
}

/* The stop is taken in a thread of its own: when it ends, the kernel lets go whatever is still
 * traced, even threads that could not be stopped and so could not be detached. */
int capture_take(const struct target *t, const struct stop_limits *limits, struct table *table,
		 const struct capture_more *more, struct capture **out, struct err *e)
{
	struct capture *c = calloc(1, sizeof(*c));
	struct capture_job job = { c, t, limits, table, more, e, 0 };
	sigset_t job_control, before;
	pthread_t thread;
	int rc;

	*out = NULL;
	if (!c)
		return err_set(e, ERR_NOMEM, "cannot look at process %d", (int)t->pid);
	c->pid = t->pid;
	/* Ctrl-Z in the middle of a stop would leave the process stopped with us. */
	sigemptyset(&job_control);
	sigaddset(&job_control, SIGTSTP);
	sigaddset(&job_control, SIGTTIN);
	sigaddset(&job_control, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &job_control, &before);
	rc = pthread_create(&thread, NULL, capture_run, &job);
	if (rc) {
		rc = err_set_errno(e, rc, "cannot look at process %d", (int)t->pid);
	} else {
		capture_join(thread, t->pid);
		rc = job.rc;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		capture_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void capture_free(struct capture *c)
{
	if (!c)
		return;
	stop_free(c->stop);
	snapshot_free(c->memory);
	table_copy_free(c->table);
	if (!c->core)
		maps_free(&c->maps);
	free(c);
}

pid_t capture_tid_ns(const struct capture *c, size_t i)
{
	return stop_thread(c->stop, i)->tid_ns;
}
