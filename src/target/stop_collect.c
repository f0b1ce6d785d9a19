/* SPDX-License-Identifier: MIT
 *
 * Waiting for interrupted threads, taking down what they show, letting them go. Every wait names
 * its thread: the caller may have other children.
 */
#include "target/stop_private.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "target/target.h"

/* How long to wait for a thread that has been interrupted and could run, but had no turn. */
#define STOP_STRAGGLER_WAIT_NS 10000000000

static void pause_ns(long ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	nanosleep(&ts, NULL);
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

/* waitpid() for one thread, not waiting. But what the main thread's end says of the whole process
 * is left where it is: that is for the parent, which strand may be. */
static pid_t stop_wait(const struct stop *s, pid_t tid, int *status)
{
	siginfo_t info = { .si_pid = 0 };

	if (tid != s->pid)
		return waitpid(tid, status, __WALL | WNOHANG);
	if (waitid(P_PID, (id_t)tid, &info, WSTOPPED | WNOHANG | __WALL))
		return -1;
	if (info.si_pid) {
		*status = info.si_status << 8 | 0x7f;
		return tid;
	}
	if (waitid(P_PID, (id_t)tid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL))
		return -1;
	/* To a tracer the kernel tells stops whatever was asked for: it may have stopped since. */
	if (info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED)
		return 0;
	*status = 0; /* it has exited, however */
	return info.si_pid;
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
		got = stop_wait(s, t->thread.tid, &status);
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
	int64_t now = stop_now_ns();

	if (now - last_progress_ns < s->thread_wait_ns)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].phase == SLOT_INTERRUPTED &&
		    now - s->v[i].interrupted_ns >= s->thread_wait_ns)
			return true;
	return false;
}

size_t stop_collect(struct stop *s)
{
	int64_t progress_ns = stop_now_ns();
	long nap_ns = 20000;
	bool progress;
	size_t awaited;

	while ((awaited = stop_collect_once(s, &progress))) {
		if (progress) {
			progress_ns = stop_now_ns();
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

void stop_release(struct stop *s)
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

void stop_drain(struct stop *s, int64_t wait_ns)
{
	int64_t until = stop_now_ns() + wait_ns;
	bool progress;

	while (stop_collect_once(s, &progress)) {
		stop_release(s);
		if (stop_now_ns() >= until || !stop_awaits_runnable(s))
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

/* Once all have stopped: whoever stopped last may have sent a signal to who stopped first. */
void stop_note_signals(struct stop *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct slot *t = &s->v[i];

		if (t->phase == SLOT_STOPPED)
			t->thread.signal_pending =
				t->signal ||
				stop_has_pending_signal(t->thread.tid, t->thread.blocked_signals);
	}
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
