/* SPDX-License-Identifier: MIT
 *
 * Finding the tables of our processes, and telling when these have ended. Tables tell whose they
 * are by the control file's id; a process is known by its number and its start, and watched by a
 * pidfd.
 */
#include "supervise/follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "supervise/program.h"
#include "target/procfs.h"
#include "target/target.h"

/* A thread that has no turn on a busy machine cannot be stopped in time: how often, and for how
 * long, to look again. */
#define LOOK_TRIES    4
#define LOOK_AGAIN_NS 500000000

int64_t follow_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int follow_open(struct follow *f, struct err *e)
{
	f->pid_namespace = tables_own_namespace();
	f->last_judged = &f->judged;
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (f->epoll < 0)
		return err_set_errno(e, errno, "cannot follow processes");
	return 0;
}

static void process_free(struct follow *f, struct process *p)
{
	struct image *next;

	for (struct image *i = p->image; i; i = next) {
		next = i->next;
		image_free(f, i);
	}
	if (p->pidfd >= 0)
		close(p->pidfd);
	free(p);
}

void follow_close(struct follow *f)
{
	struct process *next;
	struct model *m;

	for (struct process *p = f->processes; p; p = next) {
		next = p->next;
		process_free(f, p);
	}
	for (size_t i = 0; i < f->names.capacity; i++)
		free(f->names.slots[i].value);
	hash_set_clear(&f->names);
	while ((m = f->judged)) {
		f->judged = m->next;
		model_free(m);
	}
	if (f->epoll >= 0)
		close(f->epoll);
}

/* -- processes -------------------------------------------------------------------------------- */

static uint64_t process_read_start(pid_t pid)
{
	const char *start = NULL;
	char path[64], buf[1024];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (procfs_read_into(path, buf, sizeof(buf)) > 0)
		start = procfs_find_stat_field(buf, 22);
	return start ? strtoull(start, NULL, 10) : 0;
}

bool process_is_tool(pid_t pid)
{
	char path[64], *exe;
	bool tool;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	exe = procfs_read_link(path);
	tool = program_is_tool(exe);
	free(exe);
	return tool;
}

static struct process *process_add(struct follow *f, pid_t pid, uint64_t start_ticks)
{
	struct process *p = calloc(1, sizeof(*p));
	struct epoll_event event = { .events = EPOLLIN };

	if (!p)
		return NULL;
	p->pid = pid;
	p->start_ticks = start_ticks;
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	event.data.ptr = p;
	if (p->pidfd >= 0 && process_read_start(pid) != start_ticks) {
		close(p->pidfd); /* that is another one by now */
		p->pidfd = -1;
	}
	p->ended = p->pidfd < 0;
	if (p->pidfd >= 0)
		epoll_ctl(f->epoll, EPOLL_CTL_ADD, p->pidfd, &event);
	p->next = f->processes;
	f->processes = p;
	return p;
}

int follow_add_first(struct follow *f, pid_t pid, struct err *e)
{
	struct process *p = process_add(f, pid, process_read_start(pid));

	if (!p || image_create(p, NULL, NULL, &p->image))
		return err_set(e, ERR_NOMEM, "cannot follow process %d", (int)pid);
	p->first = true;
	p->tool = process_is_tool(pid);
	f->first = p;
	return 0;
}

static bool process_has_ended(const struct process *p)
{
	struct pollfd poll_fd = { .fd = p->pidfd, .events = POLLIN };

	return p->pidfd < 0 || poll(&poll_fd, 1, 0) > 0;
}

static struct process *follow_find(const struct follow *f, pid_t pid, uint64_t start_ticks)
{
	struct process *p = f->processes;

	while (p && (p->pid != pid || p->start_ticks != start_ticks))
		p = p->next;
	return p;
}

/* -- tables ----------------------------------------------------------------------------------- */

/* The process of another PID namespace whose number there is `pid_ns`, as we number it; 0 if we do
 * not see it. */
static pid_t follow_translate(pid_t pid_ns, uint64_t pid_namespace, uint64_t start_ticks)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	pid_t found = 0;

	while (dir && !found && (d = readdir(dir))) {
		pid_t pid = (pid_t)atoi(d->d_name);
		char path[64];
		struct stat st;

		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
		if (!stat(path, &st) && st.st_ino == pid_namespace &&
		    target_read_tid_ns(pid, pid) == pid_ns &&
		    process_read_start(pid) == start_ticks)
			found = pid;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* What is read of a file before it is known to be one of ours. */
enum table_kind { TABLE_UNKNOWN, TABLE_FOREIGN, TABLE_OURS };

static enum table_kind follow_peek(const struct follow *f, const char *name, struct wire_table *t)
{
	const size_t bytes = offsetof(struct wire_table, exe);
	char path[PATH_MAX + 100];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return TABLE_UNKNOWN;
	n = pread(fd, t, bytes, 0);
	close(fd);
	if (n != (ssize_t)bytes || memcmp(t->magic, WIRE_TABLE_MAGIC, sizeof(t->magic)) != 0)
		return TABLE_UNKNOWN; /* in the making, perhaps */
	return t->control_id == control_header(f->control)->id ? TABLE_OURS : TABLE_FOREIGN;
}

static bool follow_same_name(const void *value, const void *key)
{
	return !strcmp(value, key);
}

/* Names that need not be opened again: tables that we have, or that others have. */
static bool follow_knows(const struct follow *f, const char *name)
{
	return hash_set_find(&f->names, hash_string(HASH_START, name), follow_same_name, name);
}

static void follow_remember(struct follow *f, const char *name)
{
	char *copy = strdup(name);

	if (copy && hash_set_add(&f->names, hash_string(HASH_START, name), copy))
		free(copy);
}

/* A process without one, a child that is not to be followed: its table is nothing to us. */
static struct process *follow_find_process(struct follow *f, const struct wire_table *t)
{
	bool ours = !t->pid_namespace || t->pid_namespace == f->pid_namespace;
	struct process *p;
	pid_t pid = t->pid;

	if (!ours)
		pid = follow_translate(t->pid, t->pid_namespace, t->start_ticks);
	p = follow_find(f, pid, t->start_ticks);
	if (!f->children)
		return p && p->first && !p->image->table ? p : NULL;
	return p || (!pid && !ours) ? p : process_add(f, pid, t->start_ticks);
}

static void follow_take(struct follow *f, const char *name, const struct wire_table *t)
{
	struct process *p = follow_find_process(f, t);
	struct image *i;

	if (!p || image_create(p, f->directory, name, &i))
		return;
	if (control_follow(f->control, i->table)) {
		image_free(f, i);
		return;
	}
	p->had_table = true;
	if (p->image && !p->image->name[0]) { /* the same image, before its table was found */
		i->kept = p->image->kept;
		p->image->kept = NULL;
	}
	if (p->image)
		image_finish(f, p->image);
	i->next = p->image;
	p->image = i;
	p->tool = process_is_tool(p->pid);
	memset(&p->quiet, 0, sizeof(p->quiet));
}

void follow_discover(struct follow *f)
{
	struct tables_entry *v;
	struct wire_table t;
	size_t n;

	if (tables_list(f->directory, &v, &n, NULL))
		return;
	for (size_t i = 0; i < n; i++) {
		enum table_kind kind;

		if (v[i].control || follow_knows(f, v[i].name))
			continue;
		kind = follow_peek(f, v[i].name, &t);
		if (kind != TABLE_UNKNOWN)
			follow_remember(f, v[i].name);
		if (kind == TABLE_OURS)
			follow_take(f, v[i].name, &t);
	}
	free(v);
}

/* -- what is due ------------------------------------------------------------------------------ */

/* Hand the reports of a process over, oldest image first. */
static void follow_collect(struct follow *f, struct image *i)
{
	if (!i)
		return;
	follow_collect(f, i->next);
	if (!i->kept)
		return;
	*f->last_judged = i->kept;
	f->last_judged = &i->kept->next;
	i->kept = NULL;
}

static void process_finish(struct follow *f, struct process *p)
{
	for (struct image *i = p->image; i; i = i->next) {
		image_finish(f, i);
		image_remove_file(f, i);
	}
}

int64_t follow_step(struct follow *f)
{
	struct process **at = &f->processes, *p;
	int64_t soonest = -1;

	while ((p = *at)) {
		int64_t due = p->image ? image_step(f, p->image) : -1;

		if (due >= 0 && (soonest < 0 || due < soonest))
			soonest = due;
		if (!p->first && p->ended) {
			process_finish(f, p);
			follow_collect(f, p->image);
			*at = p->next;
			process_free(f, p);
		} else {
			at = &p->next;
		}
	}
	return soonest;
}

void follow_mark_ended(struct follow *f, struct process *p)
{
	p->ended = true;
	if (p->pidfd >= 0)
		epoll_ctl(f->epoll, EPOLL_CTL_DEL, p->pidfd, NULL);
}

/* Nobody is left who could do anything: every task is stuck, and nothing beside them acts. */
static bool follow_is_deadlock(const struct model *m)
{
	size_t stuck = 0;

	for (size_t i = 0; i < m->task_count; i++) {
		const struct task *t = m->tasks[i];

		if (t->state == STATE_ENDED)
			continue;
		if (t->verdict != VERDICT_STUCK)
			return false;
		stuck++;
	}
	return stuck && !m->pseudo_tasks && m->seen == SEEN_FULL;
}

int follow_take_look(pid_t pid, const struct look_options *o, struct model **out, struct err *e)
{
	int64_t until = follow_now_ns() + LOOK_AGAIN_NS;
	int rc = look_at_process(pid, o, out, e);

	for (int i = 1; i < LOOK_TRIES && follow_now_ns() < until; i++) {
		struct model *better;

		if (rc != ERR_UNSTOPPABLE && (rc || (*out)->seen == SEEN_FULL))
			break;
		if (look_at_process(pid, o, &better, rc ? e : NULL))
			continue;
		model_free(*out);
		*out = better;
		rc = 0;
	}
	return rc;
}

bool follow_look(struct follow *f, struct process *p, enum moment moment, struct err *e)
{
	struct look_options o = { .max_pause_ns = f->max_pause_ns,
				  .moment = moment,
				  .table = image_current_table(p->image) };
	struct model *m;

	e->code = 0;
	if (follow_take_look(p->pid, &o, &m, e))
		return false;
	p->deadlocked = follow_is_deadlock(m);
	if (moment == MOMENT_DEADLOCK && !p->deadlocked)
		m->moment = MOMENT_KILLED; /* reported only if it is */
	model_free(p->image->kept);
	p->image->kept = m;
	return p->deadlocked;
}

void follow_look_at_all(struct follow *f, enum moment moment)
{
	struct err e;

	follow_discover(f); /* the news of a table may still be on its way */
	for (struct process *p = f->processes; p; p = p->next) {
		bool held = p->image && p->image->state != IMAGE_FOLLOWED;

		if (!p->ended && !p->tool && p->image && !held &&
		    (p->first || image_is_worth_a_look(p->image) || quiet_may_be_stuck(p->pid)))
			follow_look(f, p, moment, &e);
	}
}

void follow_let_go(struct follow *f)
{
	f->letting_go = true;
	for (struct process *p = f->processes; p; p = p->next)
		if (p->image && p->image->table)
			image_release(p->image);
}

/* A child that is still there: what was seen of it stays true, and it stays as it is. */
static void process_leave(struct follow *f, struct process *p)
{
	struct model *m = p->image ? p->image->kept : NULL;

	f->left_running++;
	if (p->image && p->image->table) /* nobody is here any more when it will end */
		table_header(p->image->table)->exit_state = WIRE_EXIT_RELEASED;
	if (!m)
		return;
	if (m->moment == MOMENT_KILLED)
		m->moment = MOMENT_ATTACH;
	if (m->finding_count)
		follow_collect(f, p->image);
}

void follow_finish(struct follow *f)
{
	follow_discover(f);
	follow_let_go(f);
	for (struct process *p = f->processes; p; p = p->next) {
		if (!p->first && !process_has_ended(p)) {
			process_leave(f, p);
			continue;
		}
		process_finish(f, p);
		if (!p->first)
			follow_collect(f, p->image);
	}
}
