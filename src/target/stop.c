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
 * still on its way is collected later, in stop_free(), or by the kernel when strand ends.
 *
 * Every wait names its thread: the caller may have other children.
 */
#include "target/stop.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "target/asleep.h"
#include "target/procfs.h"
#include "target/target.h"

/* How long to wait for a thread that has been interrupted and could run, but had no turn. */
#define STOP_STRAGGLER_WAIT_NS 10000000000

/* How many times longer to try while no thread at all has stopped. */
#define STOP_PATIENCE 10

enum slot_phase {
	SLOT_NEW,	  /* seen in /proc, not seized */
	SLOT_SEIZED,	  /* ours, running */
	SLOT_INTERRUPTED, /* ours, its stop is awaited */
	SLOT_STOPPED,	  /* ours, stopped */
	SLOT_LET_GO,	  /* not ours any more */
};

#define SEIZE_TRIES 3

struct slot {
	struct stop_thread thread;
	enum slot_phase phase;
	struct asleep asleep; /* STOP_THREAD_ASLEEP */
	int signal; /* to be delivered at detach: it stopped on the way to receiving this one */
	int64_t interrupted_ns;
};

struct stop {
	pid_t pid;
	struct slot *v; /* ascending by tid */
	size_t n, room;
	int64_t begin_ns, end_ns; /* of the stop; begin 0: not begun */
	int64_t max_pause_ns, thread_wait_ns;
	int refused_errno; /* why a seize was refused */
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void pause_ns(long ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	nanosleep(&ts, NULL);
}

static int slot_compare(const void *a, const void *b)
{
	pid_t x = ((const struct slot *)a)->thread.tid, y = ((const struct slot *)b)->thread.tid;

	return (x > y) - (x < y);
}

static int stop_add(struct stop *s, pid_t tid)
{
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct slot *v = realloc(s->v, room * sizeof(*v));

		if (!v)
			return ERR_NOMEM;
		s->v = v;
		s->room = room;
	}
	memset(&s->v[s->n], 0, sizeof(s->v[0]));
	s->v[s->n].thread.tid = tid;
	s->v[s->n].thread.tid_ns = tid;
	s->n++;
	return 0;
}

static bool stop_knows(const struct stop *s, size_t sorted, pid_t tid)
{
	struct slot key = { .thread = { .tid = tid } };

	return sorted && bsearch(&key, s->v, sorted, sizeof(key), slot_compare) != NULL;
}

/* Append the threads in /proc/PID/task that are not known yet; *added says how many. */
static int stop_list_new(struct stop *s, size_t *added)
{
	char path[64];
	size_t sorted = s->n;
	struct dirent *d;
	DIR *dir;
	int rc = 0;

	*added = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)s->pid);
	dir = opendir(path);
	if (!dir)
		return ERR_GONE;
	while (!rc && (d = readdir(dir))) {
		pid_t tid = (pid_t)atoi(d->d_name);

		if (tid <= 0 || stop_knows(s, sorted, tid))
			continue;
		rc = stop_add(s, tid);
		*added += rc == 0;
	}
	closedir(dir);
	return rc;
}

/* A thread that cannot be seized has ended (also: a main thread that ended before the others
 * stays a zombie), or is none that may be traced. */
static enum stop_thread_state stop_unseizable_state(pid_t pid, pid_t tid)
{
	struct target_thread info;

	if (target_read_thread(pid, tid, &info) || info.state == 'Z' || info.state == 'X')
		return STOP_THREAD_ENDED;
	return STOP_THREAD_DENIED;
}

static bool stop_leaves_asleep(const struct stop *s, struct slot *t)
{
	if (!asleep_is_best_left(s->pid, t->thread.tid, &t->asleep))
		return false;
	t->thread.regs = t->asleep.regs;
	t->phase = SLOT_LET_GO;
	t->thread.state = STOP_THREAD_ASLEEP;
	return true;
}

/* Is it ours already? A thread that calls exec takes over the main thread's number, tracer and
 * all. */
static bool stop_traces(pid_t pid, pid_t tid)
{
	char path[64], buf[1024];
	const char *tracer;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	if (procfs_read_into(path, buf, sizeof(buf)) <= 0)
		return false;
	tracer = procfs_find_field(buf, "TracerPid");
	return tracer && (pid_t)atoi(tracer) == gettid();
}

/* Asked again if it was refused: meanwhile exec may have put another thread in the place of one
 * that it killed. */
static void stop_seize(struct stop *s, struct slot *t)
{
	int refused = 0;

	for (int i = 0; i < SEIZE_TRIES; i++) {
		if (ptrace(PTRACE_SEIZE, t->thread.tid, NULL, NULL) == 0) {
			t->phase = SLOT_SEIZED;
			return;
		}
		refused = errno;
		if (stop_traces(s->pid, t->thread.tid)) {
			t->phase = SLOT_SEIZED;
			return;
		}
		t->phase = SLOT_LET_GO;
		t->thread.state = refused == ESRCH ? STOP_THREAD_ENDED
						   : stop_unseizable_state(s->pid, t->thread.tid);
		if (t->thread.state == STOP_THREAD_ENDED)
			return;
	}
	s->refused_errno = refused;
}

static void stop_seize_new(struct stop *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].phase == SLOT_NEW && !stop_leaves_asleep(s, &s->v[i]))
			stop_seize(s, &s->v[i]);
}

static void stop_interrupt_seized(struct stop *s)
{
	if (!s->begin_ns)
		s->begin_ns = now_ns();
	for (size_t i = 0; i < s->n; i++) {
		struct slot *t = &s->v[i];

		if (t->phase != SLOT_SEIZED)
			continue;
		if (ptrace(PTRACE_INTERRUPT, t->thread.tid, NULL, NULL)) {
			t->phase = SLOT_LET_GO;
			t->thread.state = STOP_THREAD_ENDED;
			continue;
		}
		t->interrupted_ns = now_ns();
		t->phase = SLOT_INTERRUPTED;
	}
}

static int stop_read_registers(struct slot *t)
{
	struct iovec iov = { &t->thread.regs, sizeof(t->thread.regs) };
	pid_t tid = t->thread.tid;

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &iov))
		return ERR_ENDED;
	if (iov.iov_len == sizeof(t->thread.regs) && arch_undo_interrupt(&t->thread.regs))
		ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &iov);
	return 0;
}

static bool stop_has_pending_signal(pid_t tid, uint64_t blocked)
{
	for (unsigned shared = 0; shared <= PTRACE_PEEKSIGINFO_SHARED; shared++) {
		struct __ptrace_peeksiginfo_args args = { .off = 0, .flags = shared, .nr = 8 };
		siginfo_t info[8];
		long n = ptrace(PTRACE_PEEKSIGINFO, tid, &args, info);

		if (n == 8)
			return true; /* more than fit: take it that one of them counts */
		for (long i = 0; i < n; i++)
			if (!(blocked >> (info[i].si_signo - 1) & 1))
				return true;
	}
	return false;
}

/* A thread that was given up has run while memory was copied: stopped or ended later on, it is
 * still one that ran. */
static void stop_set_state(struct slot *t, enum stop_thread_state state)
{
	if (t->thread.state != STOP_THREAD_RUNS)
		t->thread.state = state;
}

/* The thread has stopped with `status`: take down what it shows. */
static void stop_take_down(struct slot *t, int status)
{
	struct stop_thread *th = &t->thread;

	t->phase = SLOT_STOPPED;
	stop_set_state(t, STOP_THREAD_STOPPED);
	if (status >> 16 != PTRACE_EVENT_STOP)
		t->signal = WSTOPSIG(status);
	if (ptrace(PTRACE_GETSIGMASK, th->tid, (void *)sizeof(th->blocked_signals),
		   &th->blocked_signals))
		th->blocked_signals = 0;
	if (stop_read_registers(t)) {
		t->phase = SLOT_LET_GO;
		stop_set_state(t, STOP_THREAD_ENDED);
	}
}

/* Look once at every awaited thread; returns how many are still awaited. */
static size_t stop_collect_once(struct stop *s, bool *progress)
{
	size_t awaited = 0;

	*progress = false;
	for (size_t i = 0; i < s->n; i++) {
		struct slot *t = &s->v[i];
		int status;
		pid_t got;

		if (t->phase != SLOT_INTERRUPTED)
			continue;
		got = waitpid(t->thread.tid, &status, __WALL | WNOHANG);
		if (got == 0 || (got < 0 && errno == EINTR)) {
			awaited++;
			continue;
		}
		*progress = true;
		if (got > 0 && WIFSTOPPED(status)) {
			stop_take_down(t, status);
		} else {
			t->phase = SLOT_LET_GO;
			stop_set_state(t, STOP_THREAD_ENDED);
		}
	}
	return awaited;
}

/* Is some awaited thread overdue? Its own interrupt counts, not the whole stop's beginning; and
 * with a long queue of threads the last progress does. */
static bool stop_is_overdue(const struct stop *s, int64_t last_progress_ns)
{
	int64_t now = now_ns();

	if (now - last_progress_ns < s->thread_wait_ns)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].phase == SLOT_INTERRUPTED &&
		    now - s->v[i].interrupted_ns >= s->thread_wait_ns)
			return true;
	return false;
}

/* Collect until nobody is awaited, or one is overdue. Returns how many are still awaited. */
static size_t stop_collect(struct stop *s)
{
	int64_t progress_ns = now_ns();
	long nap_ns = 20000;
	bool progress;
	size_t awaited;

	while ((awaited = stop_collect_once(s, &progress))) {
		if (progress) {
			progress_ns = now_ns();
			nap_ns = 20000;
			continue;
		}
		if (stop_is_overdue(s, progress_ns) || stop_expired(s))
			break;
		pause_ns(nap_ns);
		if (nap_ns < 500000)
			nap_ns *= 2;
	}
	return awaited;
}

/* Let every stopped thread go; those awaited stay ours until they stop. */
static void stop_release(struct stop *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct slot *t = &s->v[i];

		if (t->phase != SLOT_STOPPED)
			continue;
		t->phase = SLOT_LET_GO;
		/* Not stopped after all: killed, or replaced by a thread that called exec and took
		 * over its id. That one is collected like any other. */
		if (ptrace(PTRACE_DETACH, t->thread.tid, NULL, (void *)(long)t->signal))
			t->phase = SLOT_INTERRUPTED;
	}
}

/* Is somebody awaited who will come to a stop once it has its turn? */
static bool stop_awaits_runnable(const struct stop *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct target_thread info;

		if (s->v[i].phase == SLOT_INTERRUPTED &&
		    !target_read_thread(s->pid, s->v[i].thread.tid, &info) && info.state != 'D')
			return true;
	}
	return false;
}

/* Collect stragglers and let them go at once, for at most `wait_ns`. */
static void stop_drain(struct stop *s, int64_t wait_ns)
{
	int64_t until = now_ns() + wait_ns;
	bool progress;

	while (stop_collect_once(s, &progress)) {
		stop_release(s);
		if (now_ns() >= until || !stop_awaits_runnable(s))
			break;
		if (!progress)
			pause_ns(200000);
	}
	stop_release(s);
}

void stop_collect_stragglers(struct stop *s)
{
	stop_drain(s, STOP_STRAGGLER_WAIT_NS);
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
		qsort(s->v, s->n, sizeof(s->v[0]), slot_compare);
	} while (added && !*awaited && !stop_expired(s));
	return 0;
}

/* Once all have stopped: whoever stopped last may have sent a signal to who stopped first. */
static void stop_note_signals(struct stop *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct slot *t = &s->v[i];

		if (t->phase == SLOT_STOPPED)
			t->thread.signal_pending =
				t->signal ||
				stop_has_pending_signal(t->thread.tid, t->thread.blocked_signals);
	}
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
	return s->begin_ns && now_ns() - s->begin_ns >= s->max_pause_ns;
}

size_t stop_read_vector(const struct stop *s, size_t i, void *buf, size_t size)
{
	struct iovec iov = { buf, size };

	if (s->v[i].phase != SLOT_STOPPED ||
	    ptrace(PTRACE_GETREGSET, s->v[i].thread.tid, (void *)NT_X86_XSTATE, &iov))
		return 0;
	return iov.iov_len;
}

int64_t stop_end(struct stop *s)
{
	if (s->end_ns)
		return s->end_ns - s->begin_ns;
	stop_release(s);
	s->end_ns = now_ns();
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

void stop_reap_dead(pid_t pid)
{
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		pid_t tid = (pid_t)atoi(d->d_name);
		struct target_thread info;

		if (tid > 0 && tid != pid && !target_read_thread(pid, tid, &info) &&
		    info.state == 'Z')
			waitpid(tid, NULL, __WALL | WNOHANG);
	}
	if (dir)
		closedir(dir);
}
