/* SPDX-License-Identifier: MIT
 *
 * The main loop. It sleeps until a signal, the doorbell, the end of a process or a time that is
 * due; then does, in this order: what is held, what was asked by signal, who is quiet, time limits.
 * Whoever is held waits for us, so it comes first; a look blocks the loop, the heartbeats go on.
 */
#include "supervise/supervise.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise/follow.h"
#include "supervise/launch.h"
#include "supervise/program.h"
#include "supervise/results.h"
#include "supervise/signals.h"

#define KILL_AFTER_NS 500000000
#define LIST_EVERY_NS 3000000
#define EVENTS_MAX    64

struct supervisor {
	const struct supervise_options *o;
	struct follow follow;
	struct signals signals;
	char program[PATH_MAX];
	char shim[PATH_MAX];
	char link[PATH_MAX]; /* to the shim, if its own path cannot be preloaded; "" otherwise */
	enum program_shim takes_shim;
	struct results_input input;
	enum supervise_end end;
	int64_t timeout_ns;   /* CLOCK_MONOTONIC; 0: none */
	int64_t tick_ns;      /* next time to ask who is quiet */
	int64_t listed_ns;    /* last time the directory was read */
	bool rung;	      /* the doorbell, since then */
	int64_t last_look_ns; /* for a signal */
};

/* -- ending the program ----------------------------------------------------------------------- */

static void process_signal(const struct process *p, int number)
{
	if (p->pidfd >= 0 && !p->ended)
		syscall(SYS_pidfd_send_signal, p->pidfd, number, NULL, 0);
}

static void process_end(struct process *p)
{
	if (p->kill_ns || p->ended)
		return;
	p->kill_ns = follow_now_ns() + KILL_AFTER_NS;
	process_signal(p, SIGTERM);
}

/* The program and what it started, but for what has left its session (daemons). */
static void supervisor_end_program(struct supervisor *s, enum supervise_end end)
{
	pid_t session = getsid(s->follow.first->pid);

	s->end = end;
	follow_let_go(&s->follow);
	process_end(s->follow.first);
	for (struct process *p = s->follow.processes; p; p = p->next)
		if (!p->ended && session > 0 && getsid(p->pid) == session)
			process_end(p);
}

static int64_t supervisor_kill_late(struct supervisor *s, int64_t now)
{
	int64_t soonest = -1;

	for (struct process *p = s->follow.processes; p; p = p->next) {
		int64_t left = p->kill_ns - now;

		if (!p->kill_ns || p->ended)
			continue;
		if (left <= 0) {
			process_signal(p, SIGKILL);
			left = KILL_AFTER_NS;
		}
		if (soonest < 0 || left < soonest)
			soonest = left;
	}
	return soonest;
}

/* -- quiet programs --------------------------------------------------------------------------- */

static void supervisor_report_now(struct supervisor *s)
{
	struct supervise_result r = { .end = SUPERVISE_ENDED };

	if (!s->o->report || results_gather_now(&s->follow, &s->input, &r))
		return;
	s->o->report(&r, s->o->context);
	results_return(&r);
}

/* Is everybody asleep? A process that hangs while others work may be dealt with by them. */
static bool supervisor_all_are_quiet(const struct supervisor *s)
{
	for (const struct process *p = s->follow.processes; p; p = p->next)
		if (!p->ended && !p->quiet.lasts && !p->quiet.is_over)
			return false;
	return true;
}

/* For a process without a live task: end it, or say so. A child is ended alone, and only when
 * nobody is left who may be about to do it: its parent can then go on. */
static void supervisor_meet_deadlock(struct supervisor *s, struct process *p)
{
	if (s->o->stop_on_deadlock && p->first) {
		supervisor_end_program(s, SUPERVISE_DEADLOCK);
	} else if (s->o->stop_on_deadlock) {
		if (supervisor_all_are_quiet(s))
			process_end(p);
	} else if (!p->reported) {
		p->reported = true;
		supervisor_report_now(s);
	}
}

/* Where every thread waits for good on futexes, a look that does not find a deadlock may have
 * come at a bad moment, as one may that did not see everything. */
static void supervisor_look_at_quiet(struct supervisor *s, struct process *p)
{
	const struct model *m;
	struct err e;
	bool whole;

	p->deadlocked = false;
	follow_look(&s->follow, p, MOMENT_DEADLOCK, &e);
	m = p->image->kept;
	whole = !e.code && m && m->seen == SEEN_FULL;
	quiet_mark_looked(&p->quiet, !whole || (p->quiet.hangs && !p->deadlocked));
}

static void supervisor_ask_who_is_quiet(struct supervisor *s, int64_t now)
{
	for (struct process *p = s->follow.processes; p && !s->end; p = p->next) {
		bool free =
			!p->ended && !p->kill_ns && p->image && p->image->state == IMAGE_FOLLOWED;

		if (free && p->tool) /* unless it has become another by exec */
			p->tool = process_is_tool(p->pid);
		if (free && quiet_ask(&p->quiet, p->pid, now) && !p->tool)
			supervisor_look_at_quiet(s, p);
		if (free && p->deadlocked && p->quiet.is_over)
			supervisor_meet_deadlock(s, p);
	}
}

/* -- signals ---------------------------------------------------------------------------------- */

/* One look for several signals that come together. It is the one that counts if the program dies of
 * them, so who is quiet is not asked again at once. */
static void supervisor_take_signals(struct supervisor *s)
{
	struct process *first = s->follow.first;
	struct signals_news news;

	while (signals_read(&s->signals, first->pid, &news)) {
		if (news.asks_to_end && !s->end && follow_now_ns() - s->last_look_ns > QUIET_NS) {
			follow_look_at_all(&s->follow, MOMENT_SIGNAL);
			s->last_look_ns = follow_now_ns();
			for (struct process *p = s->follow.processes; p; p = p->next)
				memset(&p->quiet, 0, sizeof(p->quiet));
		}
		if (news.pass_on)
			process_signal(first, news.number);
	}
}

/* -- the loop --------------------------------------------------------------------------------- */

static bool supervisor_dispatch(struct supervisor *s, const struct epoll_event *v, int n)
{
	bool rung = false;

	for (int i = 0; i < n; i++) {
		if (v[i].data.ptr == &s->signals)
			continue; /* read at every turn */
		if (v[i].data.ptr == s->follow.control)
			rung = true;
		else
			follow_mark_ended(&s->follow, v[i].data.ptr);
	}
	return rung;
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Not at every ring when there are many: each costs a reading of the whole directory. */
static int64_t supervisor_discover(struct supervisor *s, int64_t now)
{
	if (!s->rung && now < s->tick_ns)
		return -1;
	if (now - s->listed_ns < LIST_EVERY_NS)
		return LIST_EVERY_NS;
	follow_discover(&s->follow);
	s->rung = false;
	s->listed_ns = now;
	return -1;
}

/* One turn; returns for how long nothing is due. */
static int64_t supervisor_turn(struct supervisor *s, bool rung)
{
	int64_t now = follow_now_ns(), due;

	if (rung)
		control_clear(s->follow.control);
	s->rung = s->rung || rung;
	due = supervisor_discover(s, now);
	due = sooner(due, follow_step(&s->follow));
	supervisor_take_signals(s);
	if (now >= s->tick_ns) {
		supervisor_ask_who_is_quiet(s, now);
		s->tick_ns = follow_now_ns() + QUIET_TICK_NS;
	}
	now = follow_now_ns();
	if (s->timeout_ns && now >= s->timeout_ns && !s->end) {
		follow_look_at_all(&s->follow, MOMENT_TIMEOUT);
		supervisor_end_program(s, SUPERVISE_TIMEOUT);
	}
	due = sooner(due, supervisor_kill_late(s, now));
	due = sooner(due, s->tick_ns > now ? s->tick_ns - now : 0);
	if (s->timeout_ns && !s->end)
		due = sooner(due, s->timeout_ns > now ? s->timeout_ns - now : 0);
	return due;
}

/* Is somebody left who has been told to end? */
static bool supervisor_is_ending(const struct supervisor *s)
{
	for (const struct process *p = s->follow.processes; p; p = p->next)
		if (p->kill_ns && !p->ended)
			return true;
	return false;
}

static void supervisor_loop(struct supervisor *s)
{
	struct epoll_event v[EVENTS_MAX];
	int64_t due = 0;

	while (!s->follow.first->ended || supervisor_is_ending(s)) {
		int n = epoll_wait(s->follow.epoll, v, EVENTS_MAX, (int)((due + 999999) / 1000000));
		bool rung = supervisor_dispatch(s, v, n);

		if (!s->follow.first->ended || supervisor_is_ending(s))
			due = supervisor_turn(s, rung);
	}
}

static int supervisor_listen(struct supervisor *s, struct err *e)
{
	struct epoll_event signals = { .events = EPOLLIN, .data.ptr = &s->signals };
	struct epoll_event bell = { .events = EPOLLIN, .data.ptr = s->follow.control };

	if (epoll_ctl(s->follow.epoll, EPOLL_CTL_ADD, s->signals.fd, &signals) ||
	    epoll_ctl(s->follow.epoll, EPOLL_CTL_ADD, control_descriptor(s->follow.control), &bell))
		return err_set_errno(e, errno, "cannot follow processes");
	return control_start(s->follow.control, e);
}

/* -- beginning and end ------------------------------------------------------------------------ */

/* The loader splits LD_PRELOAD at spaces and colons: a path with one needs another name. */
static int supervisor_link_shim(struct supervisor *s, struct err *e)
{
	if (!strpbrk(s->shim, " :\t\n"))
		return 0;
	snprintf(s->link, sizeof(s->link), "%.3000s/%d.libstrand.so", s->follow.directory,
		 (int)getpid());
	if (strpbrk(s->link, " :\t\n"))
		errno = EINVAL;
	else if (unlink(s->link), symlink(s->shim, s->link) == 0)
		return 0;
	s->link[0] = '\0';
	return err_set_errno(e, errno,
			     "cannot preload '%.300s': a space or colon is in its path, and no "
			     "link to it could be made in '%.300s'",
			     s->shim, s->follow.directory);
}

static int supervisor_prepare(struct supervisor *s, struct err *e)
{
	struct follow *f = &s->follow;
	int rc = program_find(s->o->argv[0], s->program, sizeof(s->program), e);

	if (!rc)
		rc = program_find_shim(s->shim, sizeof(s->shim), e);
	if (!rc)
		rc = tables_make_directory(f->directory, sizeof(f->directory), e);
	if (rc)
		return rc;
	tables_remove_stale(f->directory);
	s->takes_shim = program_examine(s->program, &s->input.why_no_shim);
	rc = supervisor_link_shim(s, e);
	if (!rc)
		rc = control_create(f->directory, s->o->children, &f->control, e);
	if (!rc)
		rc = follow_open(f, e);
	return rc ? rc : supervisor_listen(s, e);
}

static int supervisor_start(struct supervisor *s, struct err *e)
{
	struct launch l = { .o = s->o,
			    .path = s->program,
			    .shim = s->link[0] ? s->link : s->shim,
			    .control = control_path(s->follow.control),
			    .directory = s->follow.directory,
			    .sigmask = &s->signals.before };
	pid_t pid = 0;
	int rc;

	if (s->takes_shim == PROGRAM_BREAKS_SHIM)
		l.shim = NULL;
	rc = launch_start(&l, &pid, e);
	if (rc)
		return rc;
	s->input = (struct results_input){ .argv = s->o->argv,
					   .exe = s->program,
					   .why_no_shim = s->input.why_no_shim,
					   .control = control_header(s->follow.control) };
	control_header(s->follow.control)->first_pid = pid;
	if (s->o->timeout_ns)
		s->timeout_ns = follow_now_ns() + s->o->timeout_ns;
	return follow_add_first(&s->follow, pid, e);
}

/* The children of others are not ours to wait for: only the first program. */
static int supervisor_reap(const struct supervisor *s)
{
	int status = 0;

	while (waitpid(s->follow.first->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int supervisor_conclude(struct supervisor *s, struct supervise_result *out, struct err *e)
{
	out->end = s->end;
	follow_finish(&s->follow);
	out->wait_status = supervisor_reap(s);
	return results_gather(&s->follow, &s->input, out, e);
}

int supervise_run(const struct supervise_options *o, struct supervise_result *out, struct err *e)
{
	struct supervisor s = { .o = o,
				.follow = { .epoll = -1,
					    .grace_ns = o->grace_ns,
					    .max_pause_ns = o->max_pause_ns,
					    .children = o->children } };
	int rc;

	*out = (struct supervise_result){ 0 };
	rc = signals_begin(&s.signals, e);
	if (rc)
		return rc;
	rc = supervisor_prepare(&s, e);
	if (!rc)
		rc = supervisor_start(&s, e);
	if (!rc) {
		supervisor_loop(&s);
		rc = supervisor_conclude(&s, out, e);
	}
	follow_close(&s.follow);
	control_free(s.follow.control);
	if (s.link[0])
		unlink(s.link);
	signals_end(&s.signals);
	return rc;
}

void supervise_free(struct supervise_result *r)
{
	struct model *next;

	for (struct model *m = r->models; m; m = next) {
		next = m->next;
		model_free(m);
	}
	free(r->blind);
	*r = (struct supervise_result){ 0 };
}
