/* SPDX-License-Identifier: MIT
 *
 * The descriptors of the process that may hold something: found by the names of their links, of which
 * there may be a hundred thousand. Threads may have tables of their own (CLONE_FILES was not asked
 * for, or undone by unshare(2)).
 *
 * What has a text in fdinfo is read from there; pipes and sockets are asked themselves, through
 * duplicates (pidfd_getfd, Linux 5.6), which leaves the process's own descriptors as they are.
 */
#include "readers/held_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "readers/io_calls.h"
#include "target/procfs.h"

#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202
#endif
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* since Linux 6.9 */
#endif

#define HELD_MAX_TABLES 64
#define HELD_EVERY	1024 /* descriptors between two looks at the clock */

/* Linux's numbers of devices: /dev/pts/N, /dev/ptmx. */
#define HELD_TERMINAL_MAJOR 136
#define HELD_MASTER_MAJOR   5
#define HELD_MASTER_MINOR   2

static int held_compare(const void *va, const void *vb)
{
	const struct held_descriptor *a = va, *b = vb;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

static int held_add_descriptor(struct held_table *t, struct held_descriptor d)
{
	size_t room = t->room ? 2 * t->room : 256;
	struct held_descriptor *bigger;

	if (t->n == t->room) {
		bigger = reallocarray(t->v, room, sizeof(*bigger));
		if (!bigger)
			return ERR_NOMEM;
		t->v = bigger;
		t->room = room;
	}
	t->v[t->n++] = d;
	return 0;
}

static bool held_is_memory(const char *link)
{
	return !strncmp(link, "/memfd:", 7) || !strncmp(link, "/secretmem", 10) ||
	       !strncmp(link, "/dev/shm/", 9);
}

/* A device: one end of a pseudo terminal? */
static bool held_classify_device(const struct statx *st, struct held_descriptor *d)
{
	d->kind = st->stx_rdev_major == HELD_TERMINAL_MAJOR ? HELD_TERMINAL : HELD_MASTER;
	d->inode = st->stx_rdev_minor;
	return d->kind == HELD_TERMINAL ||
	       (st->stx_rdev_major == HELD_MASTER_MAJOR && st->stx_rdev_minor == HELD_MASTER_MINOR);
}

/* What has a path. Does not wait for the server of a network file system. */
static bool held_classify_path(int folder, const char *number, const char *link,
			       struct held_descriptor *d)
{
	struct statx st = { 0 };

	if (statx(folder, number, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &st))
		return false;
	if (S_ISCHR(st.stx_mode))
		return held_classify_device(&st, d);
	d->kind = S_ISFIFO(st.stx_mode) ? HELD_PIPE : HELD_FILE;
	d->device = makedev(st.stx_dev_major, st.stx_dev_minor);
	d->inode = st.stx_ino;
	return d->kind == HELD_PIPE || (S_ISREG(st.stx_mode) && held_is_memory(link));
}

/* Queues live in a file system that has no place in the tree: their paths are "/name". */
static bool held_is_queue(const struct held_table *t, int number, const char *link)
{
	struct statfs fs;
	char path[96];

	if (link[0] != '/' || strchr(link + 1, '/'))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)t->tid, number);
	return !statfs(path, &fs) && fs.f_type == MQUEUE_MAGIC;
}

static bool held_classify(const struct held_table *t, int folder, const char *number,
			  const char *link, struct held_descriptor *d)
{
	*d = (struct held_descriptor){ .number = atoi(number) };
	if (!strncmp(link, "pipe:[", 6)) {
		d->kind = HELD_PIPE;
		d->inode = strtoull(link + 6, NULL, 10);
		return true;
	}
	if (!strncmp(link, "socket:[", 8)) {
		d->kind = HELD_SOCKET;
		d->inode = strtoull(link + 8, NULL, 10);
		return true;
	}
	if (!strncmp(link, "anon_inode:", 11)) {
		d->kind = strstr(link, "eventpoll") ? HELD_EPOLL : HELD_EVENTFD;
		return d->kind == HELD_EPOLL || strstr(link, "eventfd");
	}
	if (held_is_queue(t, d->number, link)) {
		d->kind = HELD_QUEUE;
		return true;
	}
	return link[0] == '/' && held_classify_path(folder, number, link, d);
}

static int held_list_table(struct held_work *w, struct held_table *t)
{
	struct held_descriptor d;
	struct dirent *entry;
	char path[64], link[64];
	size_t seen = 0;
	DIR *dir;
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)t->tid);
	dir = opendir(path);
	if (!dir) {
		held_set_unread(w, "what is in the descriptors, which cannot be listed");
		return 0;
	}
	while (!rc && (entry = readdir(dir))) {
		ssize_t n;

		if (entry->d_name[0] == '.')
			continue;
		if (++seen % HELD_EVERY == 0 && held_is_over(w))
			break;
		n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		if (held_classify(t, dirfd(dir), entry->d_name, link, &d))
			rc = held_add_descriptor(t, d);
	}
	closedir(dir);
	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), held_compare);
	return rc;
}

/* -- what has a text -------------------------------------------------------------------------- */

static char *held_read_info(struct held_work *w, const struct held_table *t, int number,
			    const char *folder)
{
	char path[96];
	char *text;

	snprintf(path, sizeof(path), "/proc/%d/%s/%d", (int)t->tid, folder, number);
	text = procfs_read(path, NULL);
	if (!text)
		held_set_unread(w, "what descriptor %d holds", number);
	return text;
}

/* The number behind each "key" in hexadecimal, as words: "tfd: 5 events: 19 data: 7f0012345678". */
static int held_take_words(struct held_work *w, const char *text, const char *key, const char *what,
			   int number)
{
	size_t n = 0, length = strlen(key);
	const char *p;
	uint8_t *to;

	for (p = text; (p = strstr(p, key)); p += length)
		n++;
	to = held_make_room(w, n * sizeof(uint64_t));
	if (!to) {
		held_set_unread(w, "%s %d", what, number);
		return 0;
	}
	for (p = text; (p = strstr(p, key)); p += length, to += sizeof(uint64_t)) {
		uint64_t word = strtoull(p + length, NULL, 16);

		memcpy(to, &word, sizeof(word));
	}
	return held_add_filled(w, n * sizeof(uint64_t), "%s %d", what, number);
}

/* "QSIZE:8 NOTIFY:0 SIGNO:0 NOTIFY_PID:0": reading the queue as a file takes nothing from it. What it
 * holds could only be had by taking it; nor is the value shown that comes with a notification. */
static void held_check_queue(struct held_work *w, const char *text, int number)
{
	const char *pid = strstr(text, "NOTIFY_PID:");

	if (strncmp(text, "QSIZE:", 6) != 0 || strtoull(text + 6, NULL, 10))
		held_set_unread(w, "messages of the queue at descriptor %d", number);
	else if (!pid || atoi(pid + strlen("NOTIFY_PID:")))
		held_set_unread(w, "the notification of the queue at descriptor %d", number);
}

static bool held_has_text(const struct held_descriptor *d)
{
	return d->kind == HELD_EPOLL || d->kind == HELD_EVENTFD || d->kind == HELD_QUEUE;
}

static int held_take_text(struct held_work *w, const struct held_table *t,
			  const struct held_descriptor *d)
{
	char *text = held_read_info(w, t, d->number, d->kind == HELD_QUEUE ? "fd" : "fdinfo");
	int rc = 0;

	if (!text)
		return 0;
	if (d->kind == HELD_EPOLL)
		rc = held_take_words(w, text, " data:", "epoll data of descriptor", d->number);
	else if (d->kind == HELD_EVENTFD)
		rc = held_take_words(w, text, "eventfd-count:", "count of eventfd", d->number);
	else
		held_check_queue(w, text, d->number);
	free(text);
	return rc;
}

/* -- tables ----------------------------------------------------------------------------------- */

/* A thread may still wait by an epoll descriptor that another has closed. */
static void held_check_closed(struct held_work *w, const struct held_table *t, size_t thread)
{
	const struct stop_thread *th = stop_thread(w->c->stop, thread);
	int number;

	if ((th->state != STOP_THREAD_STOPPED && th->state != STOP_THREAD_ASLEEP) ||
	    io_call_find(arch_syscall_number(&th->regs))->class != IO_CLASS_EPOLL)
		return;
	number = (int)arch_syscall_argument(&th->regs, 0);
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].kind == HELD_EPOLL && t->v[i].number == number)
			return;
	held_set_unread(w, "epoll data by which thread %d waits though descriptor %d is closed",
			(int)th->tid, number);
}

static bool held_shares_table(const struct held_table *t, pid_t tid)
{
	return t->tid == tid || syscall(SYS_kcmp, t->tid, tid, KCMP_FILES, 0, 0) <= 0;
}

static int held_open_process(const struct held_work *w, pid_t tid)
{
	return (int)syscall(SYS_pidfd_open, tid, tid == w->c->pid ? 0 : PIDFD_THREAD);
}

static int held_read_table(struct held_work *w, struct held_table *t)
{
	int rc = held_list_table(w, t);

	t->pidfd = held_open_process(w, t->tid);
	for (size_t i = 0; i < t->n && !rc && !held_is_over(w); i++)
		if (held_has_text(&t->v[i]))
			rc = held_take_text(w, t, &t->v[i]);
	for (size_t i = 0; i < stop_count(w->c->stop); i++)
		if (!rc && held_shares_table(t, stop_thread(w->c->stop, i)->tid))
			held_check_closed(w, t, i);
	if (!rc && !held_is_over(w))
		rc = held_read_pipes(w, t);
	if (!rc && !held_is_over(w))
		rc = held_read_sockets(w, t);
	if (!rc && !held_is_over(w))
		rc = held_read_files(w, t);
	if (!rc && !held_is_over(w))
		held_check_terminals(w, t);
	if (t->pidfd >= 0)
		close(t->pidfd);
	free(t->v);
	return rc;
}

/* A thread that is inside a call may hold a lock of a pipe, for which one would wait. */
static bool held_have_all_stopped(struct held_work *w)
{
	for (size_t i = 0; i < stop_count(w->c->stop); i++) {
		const struct stop_thread *t = stop_thread(w->c->stop, i);

		if (t->state == STOP_THREAD_RUNS)
			held_set_unread(w, "what the descriptors hold while thread %d runs",
					(int)t->tid);
	}
	return !w->out->unread[0];
}

/* The tables are compared with those known; not being told (kcmp(2) refused) means the same one. */
int held_read_descriptors(struct held_work *w)
{
	struct held_table tables[HELD_MAX_TABLES] = { { .tid = w->c->through } };
	size_t n = 1, known;
	int rc = held_have_all_stopped(w) ? held_read_table(w, &tables[0]) : 0;

	for (size_t i = 0; i < stop_count(w->c->stop) && !rc && !held_is_over(w); i++) {
		const struct stop_thread *t = stop_thread(w->c->stop, i);

		if (t->state == STOP_THREAD_ENDED || t->state == STOP_THREAD_DENIED)
			continue;
		for (known = 0; known < n && !held_shares_table(&tables[known], t->tid);)
			known++;
		if (known < n)
			continue;
		if (n == HELD_MAX_TABLES) {
			held_set_unread(w, "what is in the descriptors of thread %d", (int)t->tid);
			break;
		}
		tables[n] = (struct held_table){ .tid = t->tid };
		rc = held_read_table(w, &tables[n++]);
	}
	return rc;
}
