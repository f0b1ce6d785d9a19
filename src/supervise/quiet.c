/* SPDX-License-Identifier: MIT
 *
 * Three steps, each taken only if the one before found nothing: the CPU time of the whole process
 * (one file), then, at the beginning and at the end of the second, what each thread has run and in
 * which call it sleeps (three small files for each).
 *
 * A look wakes every thread for a moment. So what they have run cannot tell whether the spell went
 * on; where they sleep can, if what the kernel shows of a restarted call is left out: its number,
 * and the arguments of calls with a time limit.
 */
#include "supervise/quiet.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "model/hash.h"
#include "target/procfs.h"

#define QUIET_FUTEX_WAITV 449 /* newer than some headers */

/* A look on a busy machine may miss something; one that finds a deadlock must not be missed. */
#define QUIET_LOOKS_MAX 4

/* What all threads together do. */
struct signature {
	uint64_t ran, where;
	size_t threads;
	size_t futexes; /* those that may wait on a futex for ever */
	bool awake;
};

static bool quiet_read(pid_t pid, const char *tid, const char *name, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", (int)pid, tid, name);
	return procfs_read_into(path, buf, size) > 0;
}

/* "202 0xaddr 0x80 0x0 0x0 …  0xsp 0xpc": the call in which the thread sleeps. */
static void signature_add_call(struct signature *s, const char *call)
{
	unsigned long number, a[6], sp, pc;
	int n = sscanf(call, "%lu %lx %lx %lx %lx %lx %lx %lx %lx", &number, &a[0], &a[1], &a[2],
		       &a[3], &a[4], &a[5], &sp, &pc);
	bool futex = n == 9 && (number == SYS_futex || number == QUIET_FUTEX_WAITV);

	if (n != 9) {
		s->futexes++; /* not for us to see: it may be one */
		return;
	}
	s->where = hash_bytes(s->where, &sp, sizeof(sp));
	s->where = hash_bytes(s->where, &pc, sizeof(pc));
	if (futex && !a[3]) {
		s->where = hash_bytes(s->where, a, 3 * sizeof(a[0]));
		s->futexes++;
	}
}

static void signature_add_thread(struct signature *s, pid_t pid, const char *tid)
{
	char buf[1024];
	const char *state;

	if (!quiet_read(pid, tid, "stat", buf, sizeof(buf)))
		return;
	state = procfs_find_stat_field(buf, 3);
	if (!state || *state == 'Z' || *state == 'X')
		return;
	s->awake = s->awake || *state != 'S';
	s->threads++;
	s->ran = hash_string(s->ran, tid);
	s->where = hash_string(s->where, tid);
	if (quiet_read(pid, tid, "schedstat", buf, sizeof(buf)))
		s->ran = hash_string(s->ran, buf);
	if (quiet_read(pid, tid, "syscall", buf, sizeof(buf)))
		signature_add_call(s, buf);
	else
		s->futexes++;
}

/* With `at_once` no more once somebody is awake. */
static struct signature signature_take(pid_t pid, bool at_once)
{
	struct signature s = { .ran = HASH_START, .where = HASH_START };
	struct dirent *d;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	s.awake = !dir;
	while (dir && !(s.awake && at_once) && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			signature_add_thread(&s, pid, d->d_name);
	if (dir)
		closedir(dir);
	return s;
}

/* CPU time and threads as they are now; true if they are as before. */
static bool quiet_is_idle(struct quiet *q, pid_t pid)
{
	char path[64], buf[1024];
	const char *user, *system, *threads;
	uint64_t cpu, n;
	bool same;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (procfs_read_into(path, buf, sizeof(buf)) <= 0)
		return false;
	user = procfs_find_stat_field(buf, 14);
	system = procfs_find_stat_field(buf, 15);
	threads = procfs_find_stat_field(buf, 20);
	if (!user || !system || !threads)
		return false;
	cpu = strtoull(user, NULL, 10) + strtoull(system, NULL, 10);
	n = strtoull(threads, NULL, 10);
	same = cpu == q->cpu_ticks && n == q->threads;
	q->cpu_ticks = cpu;
	q->threads = n;
	return same;
}

static void quiet_begin(struct quiet *q, const struct signature *s, int64_t now_ns)
{
	q->phase = s->awake ? QUIET_BUSY : QUIET_TIMING;
	q->since_ns = now_ns;
	q->ran = s->ran;
	q->where = s->where;
}

bool quiet_ask(struct quiet *q, pid_t pid, int64_t now_ns)
{
	bool idle = quiet_is_idle(q, pid), same;
	struct signature s;

	if (!idle && q->phase != QUIET_LOOKED) {
		q->phase = QUIET_BUSY;
		q->is_over = q->lasts = q->hangs = false;
		q->looks = 0;
		return false;
	}
	if (q->phase == QUIET_TIMING && now_ns - q->since_ns < QUIET_NS)
		return false;
	s = signature_take(pid, true);
	same = !s.awake && s.where == q->where && (s.ran == q->ran || q->phase == QUIET_LOOKED);
	q->lasts = same && q->phase != QUIET_BUSY;
	q->hangs = q->lasts && s.futexes == s.threads;
	if (q->phase == QUIET_BUSY || !same) {
		q->is_over = false;
		q->looks = 0;
	}
	if (q->phase == QUIET_TIMING && same && !q->is_over && s.futexes)
		return true;
	quiet_begin(q, &s, now_ns);
	return false;
}

void quiet_mark_looked(struct quiet *q, bool again)
{
	q->looks++;
	q->is_over = !again || q->looks >= QUIET_LOOKS_MAX;
	q->phase = QUIET_LOOKED;
}

bool quiet_may_be_stuck(pid_t pid)
{
	return signature_take(pid, false).futexes > 0;
}
