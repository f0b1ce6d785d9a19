/* SPDX-License-Identifier: MIT
 *
 * Timers and signals: each may carry a value of the program's choice, which is often a pointer. A timer
 * shows its value in /proc/PID/timers; of a signal that is on its way the whole siginfo is taken.
 */
#include "readers/held_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/procfs.h"

#define SIGNALS_AT_ONCE 32

/* "signal: 10/00005555deadbeef" */
static int held_take_timer(struct held_work *w, long timer, const char *value)
{
	const char *slash = value ? strchr(value, '/') : NULL;
	uint64_t word;

	if (!slash) {
		held_set_unread(w, "the value of timer %ld", timer);
		return 0;
	}
	word = strtoull(slash + 1, NULL, 16);
	return held_add(w, &word, sizeof(word), "value of timer %ld", timer);
}

int held_read_timers(struct held_work *w)
{
	const char *line;
	char path[64];
	char *text;
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/timers", (int)w->c->through);
	text = procfs_read(path, NULL);
	if (!text && errno == ENOMEM)
		return ERR_NOMEM;
	if (!text) {
		held_set_unread(w, "the values of timers, which this kernel does not show");
		return 0;
	}
	for (line = text; !rc && (line = procfs_find_field(line, "ID"));) {
		long timer = strtol(line, NULL, 10);

		line = strchrnul(line, '\n');
		line += *line == '\n';
		rc = held_take_timer(w, timer, procfs_find_field(line, "signal"));
	}
	free(text);
	return rc;
}

/* All of one queue. */
static int held_read_queue(struct held_work *w, size_t thread, bool of_process)
{
	siginfo_t v[SIGNALS_AT_ONCE];
	pid_t tid = stop_thread(w->c->stop, thread)->tid;
	size_t from = 0;
	long n;
	int rc = 0;

	while (!rc && (n = stop_read_signals(w->c->stop, thread, of_process, from, v,
					     SIGNALS_AT_ONCE)) > 0) {
		if (of_process)
			rc = held_add(w, v, (size_t)n * sizeof(v[0]),
				      "signals on their way to the process");
		else
			rc = held_add(w, v, (size_t)n * sizeof(v[0]),
				      "signals on their way to thread %d", (int)tid);
		from += (size_t)n;
		if (n < SIGNALS_AT_ONCE || held_is_over(w))
			break;
	}
	if (!rc && n < 0)
		held_set_unread(w, "signals on their way to thread %d", (int)tid);
	return rc;
}

/* Of a thread that is not stopped the kernel tells only whether there are any. */
static bool held_may_have_signals(const struct held_work *w, pid_t tid, const char *key)
{
	const char *pending;
	char path[64], status[4096];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)w->c->pid, (int)tid);
	if (procfs_read_into(path, status, sizeof(status)) <= 0)
		return errno != ENOENT && errno != ESRCH;
	pending = procfs_find_field(status, key);
	return !pending || strtoull(pending, NULL, 16);
}

static int held_read_thread(struct held_work *w, size_t i, bool *have_process)
{
	const struct stop_thread *t = stop_thread(w->c->stop, i);
	siginfo_t info;
	int rc;

	if (t->state == STOP_THREAD_ENDED)
		return 0;
	if (t->state != STOP_THREAD_STOPPED) {
		if (held_may_have_signals(w, t->tid, "SigPnd"))
			held_set_unread(w, "signals on their way to thread %d", (int)t->tid);
		return 0;
	}
	rc = held_read_queue(w, i, false);
	if (!rc && stop_read_signal_at_hand(w->c->stop, i, &info))
		rc = held_add(w, &info, sizeof(info), "signal that thread %d is getting",
			      (int)t->tid);
	if (!rc && !*have_process) {
		*have_process = true;
		rc = held_read_queue(w, i, true);
	}
	return rc;
}

int held_read_signals(struct held_work *w)
{
	bool have_process = false;
	int rc = 0;

	for (size_t i = 0; i < stop_count(w->c->stop) && !rc && !held_is_over(w); i++)
		rc = held_read_thread(w, i, &have_process);
	if (!rc && !have_process && held_may_have_signals(w, w->c->through, "ShdPnd"))
		held_set_unread(w, "signals on their way to the process");
	return rc;
}
