/* SPDX-License-Identifier: MIT
 *
 * Finding, seizing and interrupting threads. Seizing stops nobody; a thread that the kernel does
 * not let us have, or that is better left asleep, is marked so and not touched again.
 */
#include "target/stop_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "target/procfs.h"
#include "target/target.h"

/* A refused seize is asked again: see stop_seize(). */
#define SEIZE_TRIES 3

static int slot_compare(const void *a, const void *b)
{
	pid_t x = ((const struct slot *)a)->thread.tid, y = ((const struct slot *)b)->thread.tid;

	return (x > y) - (x < y);
}

void stop_sort(struct stop *s)
{
	qsort(s->v, s->n, sizeof(s->v[0]), slot_compare);
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

int stop_list_new(struct stop *s, size_t *added)
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
	if (!asleep_is_best_left(s->pid, t->thread.tid, s->late_ns, &t->asleep))
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

void stop_seize_new(struct stop *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].phase == SLOT_NEW && !stop_leaves_asleep(s, &s->v[i]))
			stop_seize(s, &s->v[i]);
}

void stop_interrupt_seized(struct stop *s)
{
	if (!s->begin_ns)
		s->begin_ns = stop_now_ns();
	for (size_t i = 0; i < s->n; i++) {
		struct slot *t = &s->v[i];

		if (t->phase != SLOT_SEIZED)
			continue;
		if (ptrace(PTRACE_INTERRUPT, t->thread.tid, NULL, NULL)) {
			t->phase = SLOT_LET_GO;
			t->thread.state = STOP_THREAD_ENDED;
			continue;
		}
		t->interrupted_ns = stop_now_ns();
		t->phase = SLOT_INTERRUPTED;
	}
}
