/* SPDX-License-Identifier: MIT
 *
 * Stop and go. How a stop is taken:
 *
 *   1. seize every thread in /proc/PID/task: this stops nobody. Threads asleep in a call that
 *      cannot be interrupted without a trace are left alone (target/asleep.h);
 *   2. interrupt all of them, then collect: a thread that has stopped gives its registers at
 *      once, and a call that would show the interruption is mended at once, so that strand's own
 *      death at any moment leaves nothing behind;
 *   3. list the threads again: new ones are seized and stopped likewise, until none is new.
 *
 * A thread that does not stop in time means: let all go, wait, try again; at the last try it is
 * left running and marked so. Only a stopped thread can be detached; one whose interrupt is
 * still on its way is collected later (stop_collect_stragglers), or by the kernel when the thread
 * that took the stop ends.
 */
#include "target/stop_private.h"

#include <elf.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <time.h>

#include "target/target.h"

/* How many times longer to try while no thread at all has stopped. */
#define STOP_PATIENCE 10

int64_t stop_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Stop all threads, new ones included. Returns 0 with *awaited threads that did not stop. */
static int stop_attempt(struct stop *s, size_t *awaited, struct err *e)
{
	size_t added;
	int rc;

	*awaited = 0;
	do {
		rc = stop_list_new(s, &added);
		if (rc == ERR_GONE && s->begin_ns)
			return err_set(e, ERR_ENDED, "cannot look at process %d", (int)s->pid);
		if (rc)
			return err_set(e, rc, "cannot look at process %d", (int)s->pid);
		stop_seize_new(s);
		stop_interrupt_seized(s);
		*awaited = stop_collect(s);
		stop_sort(s);
	} while (added && !*awaited && !stop_expired(s));
	return 0;
}

/* Forget what is not ours, so that the next attempt begins anew; stragglers stay awaited. */
static void stop_forget(struct stop *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].phase == SLOT_INTERRUPTED)
			s->v[kept++] = s->v[i];
	s->n = kept;
	s->begin_ns = 0;
}

static void stop_mark_unstopped(struct stop *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].phase == SLOT_INTERRUPTED)
			s->v[i].thread.state = STOP_THREAD_RUNS;
}

static size_t stop_count_stopped(const struct stop *s)
{
	size_t stopped = 0;

	for (size_t i = 0; i < s->n; i++)
		stopped +=
			s->v[i].phase == SLOT_STOPPED || s->v[i].thread.state == STOP_THREAD_ASLEEP;
	return stopped;
}

static bool stop_have_ended(const struct stop *s)
{
	size_t ended = 0;

	for (size_t i = 0; i < s->n; i++)
		ended += s->v[i].thread.state == STOP_THREAD_ENDED;
	return ended == s->n;
}

static int stop_judge(const struct stop *s, struct err *e)
{
	if (stop_count_stopped(s))
		return 0;
	if (stop_have_ended(s))
		return err_set(e, ERR_ENDED, "cannot look at process %d", (int)s->pid);
	if (s->refused_errno)
		return target_explain_refusal(s->pid, s->refused_errno, e);
	return err_set(e, ERR_UNSTOPPABLE, "cannot look at process %d", (int)s->pid);
}

/* As often as the limits say; and longer while nobody at all has stopped, for then nobody is held
 * up: a process in the middle of exec, say. */
static bool stop_should_try(const struct stop *s, const struct stop_limits *limits, int tried)
{
	return tried < limits->tries ||
	       (!stop_count_stopped(s) && tried < limits->tries * STOP_PATIENCE);
}

int stop_begin(pid_t pid, const struct stop_limits *limits, struct stop **out, struct err *e)
{
	struct stop *s = calloc(1, sizeof(*s));
	size_t awaited = 0;
	int rc = 0;

	*out = NULL;
	if (!s)
		return err_set(e, ERR_NOMEM, "cannot look at process %d", (int)pid);
	s->pid = pid;
	s->max_pause_ns = limits->max_pause_ns;
	s->thread_wait_ns = limits->thread_wait_ns;
	s->late_ns = limits->late_ns;
	for (int i = 0; stop_should_try(s, limits, i); i++) {
		if (i) {
			stop_release(s);
			stop_drain(s, limits->thread_wait_ns);
			stop_forget(s);
		}
		rc = stop_attempt(s, &awaited, e);
		/* All ended, and yet there is the process: exec has replaced them. */
		if (rc || (!awaited && !stop_have_ended(s)))
			break;
	}
	if (!rc) {
		stop_mark_unstopped(s);
		stop_note_signals(s);
		rc = stop_judge(s, e);
	}
	if (rc) {
		stop_end(s);
		stop_collect_stragglers(s);
		stop_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

size_t stop_count(const struct stop *s)
{
	return s->n;
}

const struct stop_thread *stop_thread(const struct stop *s, size_t i)
{
	return &s->v[i].thread;
}

bool stop_sleepers_slept(const struct stop *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].thread.state == STOP_THREAD_ASLEEP &&
		    !asleep_still_is(s->pid, s->v[i].thread.tid, &s->v[i].asleep))
			return false;
	return true;
}

void stop_translate_tids(struct stop *s)
{
	for (size_t i = 0; i < s->n; i++)
		s->v[i].thread.tid_ns = target_read_tid_ns(s->pid, s->v[i].thread.tid);
}

bool stop_expired(const struct stop *s)
{
	return s->begin_ns && stop_now_ns() - s->begin_ns >= s->max_pause_ns;
}

int64_t stop_left_ns(const struct stop *s)
{
	return s->begin_ns ? s->max_pause_ns - (stop_now_ns() - s->begin_ns) : INT64_MAX;
}

size_t stop_read_vector(const struct stop *s, size_t i, void *buf, size_t size)
{
	struct iovec iov = { buf, size };

	if (s->read_vector)
		return s->read_vector(s->read_vector_ctx, s->v[i].thread.tid, buf, size);
	if (s->v[i].phase != SLOT_STOPPED ||
	    ptrace(PTRACE_GETREGSET, s->v[i].thread.tid, (void *)NT_X86_XSTATE, &iov))
		return 0;
	return iov.iov_len;
}

long stop_read_signals(const struct stop *s, size_t i, bool of_process, size_t from, siginfo_t *v,
		       size_t n)
{
	struct __ptrace_peeksiginfo_args args = {
		.off = from,
		.flags = of_process ? PTRACE_PEEKSIGINFO_SHARED : 0,
		.nr = (int32_t)n,
	};

	if (s->v[i].phase != SLOT_STOPPED)
		return -1;
	return ptrace(PTRACE_PEEKSIGINFO, s->v[i].thread.tid, &args, v);
}

bool stop_read_signal_at_hand(const struct stop *s, size_t i, siginfo_t *out)
{
	return s->v[i].phase == SLOT_STOPPED && s->v[i].signal &&
	       !ptrace(PTRACE_GETSIGINFO, s->v[i].thread.tid, NULL, out);
}

int64_t stop_end(struct stop *s)
{
	if (s->end_ns)
		return s->end_ns - s->begin_ns;
	stop_release(s);
	s->end_ns = stop_now_ns();
	if (!s->begin_ns)
		s->begin_ns = s->end_ns;
	return s->end_ns - s->begin_ns;
}

void stop_free(struct stop *s)
{
	if (!s)
		return;
	stop_end(s);
	free(s->v);
	free(s);
}
