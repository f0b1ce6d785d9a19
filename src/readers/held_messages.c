/* SPDX-License-Identifier: MIT
 *
 * Message queues and shared memory of System V. They belong to no descriptor, so all of the process's
 * namespace are looked at. MSG_COPY (which kernels have that can checkpoint processes) shows each message without
 * taking it; where that cannot be had, a queue that the process has used last is unread. So is shared
 * memory that the process has made or used last and has not attached at the moment: attaching it
 * would be seen.
 *
 * The kernel shows the queues of the namespace of the thread that asks: for a process in another one
 * a thread is sent there.
 */
#include "readers/held_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <unistd.h>

#include "target/procfs.h"

#define HELD_MESSAGE_BYTES 65536

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

struct held_queue {
	int id;
	unsigned long count;
	pid_t sender, receiver; /* the last ones */
};

/* Copy all messages; false with errno set if one could not be had. The number that stands in place of
 * a message's type may be a pointer, too. */
static bool held_copy_messages(struct held_work *w, const struct held_queue *q, int *rc)
{
	for (unsigned long i = 0; i < q->count && !*rc && !held_is_over(w); i++) {
		uint8_t *to = held_make_room(w, sizeof(long) + HELD_MESSAGE_BYTES);
		ssize_t got;

		if (!to) {
			errno = ENOMEM;
			return false;
		}
		got = msgrcv(q->id, to, HELD_MESSAGE_BYTES, (long)i, IPC_NOWAIT | MSG_COPY);
		if (got < 0)
			return errno == ENOMSG;
		*rc = held_add_filled(w, sizeof(long) + (size_t)got, "message of queue %d", q->id);
	}
	return true;
}

static int held_read_messages_of(struct held_work *w, const struct held_queue *q)
{
	bool own = q->sender == w->c->pid || q->receiver == w->c->pid;
	int rc = 0;

	/* What the process may not read (nor strand, with its rights) does not come back to it. */
	if (q->count && !held_copy_messages(w, q, &rc) && (own || errno != EACCES))
		held_set_unread(w, "messages of queue %d", q->id);
	return rc;
}

/* The lines of a table, but for its head. */
static int held_read_lines(struct held_work *w, const char *path,
			   int (*take)(struct held_work *w, const char *line))
{
	char *text = procfs_read(path, NULL);
	const char *line = text;
	int rc = 0;

	if (!text)
		return errno == ENOMEM ? ERR_NOMEM : 0; /* a kernel that has none of it */
	while (!rc && !held_is_over(w) && (line = strchr(line, '\n')) && *++line)
		rc = take(w, line);
	free(text);
	return rc;
}

/* "key msqid perms cbytes qnum lspid lrpid ..." */
static int held_take_queue(struct held_work *w, const char *line)
{
	struct held_queue q;

	if (sscanf(line, "%*d %d %*o %*u %lu %d %d", &q.id, &q.count, &q.sender, &q.receiver) == 4)
		return held_read_messages_of(w, &q);
	held_set_unread(w, "messages of a queue that is not known");
	return 0;
}

static bool held_is_attached(const struct held_work *w, uint64_t id)
{
	const struct maps *maps = &w->c->maps;

	for (size_t i = 0; i < maps->n; i++)
		if (maps->v[i].inode == id && !strncmp(maps->v[i].path, "/SYSV", 5))
			return true;
	return false;
}

/* "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap" */
static int held_take_segment(struct held_work *w, const char *line)
{
	unsigned long rss, swap;
	int id, maker, user;

	if (sscanf(line, "%*d %d %*o %*u %d %d %*u %*u %*u %*u %*u %*u %*u %*u %lu %lu", &id,
		   &maker, &user, &rss, &swap) != 5)
		held_set_unread(w, "shared memory that is not known");
	else if ((maker == w->c->pid || user == w->c->pid) && (rss || swap) &&
		 !held_is_attached(w, (uint64_t)id))
		held_set_unread(w, "shared memory %d, which is not attached", id);
	return 0;
}

static int held_read_namespace(struct held_work *w)
{
	int rc = held_read_lines(w, "/proc/sysvipc/msg", held_take_queue);

	return rc ? rc : held_read_lines(w, "/proc/sysvipc/shm", held_take_segment);
}

/* -- namespaces ------------------------------------------------------------------------------- */

struct held_visit {
	struct held_work *w;
	int fd; /* of the namespace */
	int rc;
};

static void *held_run_visit(void *arg)
{
	struct held_visit *v = arg;

	if (setns(v->fd, CLONE_NEWIPC))
		held_set_unread(v->w, "messages of queues in another namespace");
	else
		v->rc = held_read_namespace(v->w);
	return NULL;
}

static int held_visit_namespace(struct held_work *w, const char *path)
{
	struct held_visit visit = { .w = w, .fd = open(path, O_RDONLY | O_CLOEXEC) };
	pthread_t thread;

	if (visit.fd < 0 || pthread_create(&thread, NULL, held_run_visit, &visit))
		held_set_unread(w, "messages of queues in another namespace");
	else
		pthread_join(thread, NULL);
	if (visit.fd >= 0)
		close(visit.fd);
	return visit.rc;
}

int held_read_messages(struct held_work *w)
{
	char path[64], own[64], other[64];
	ssize_t n, m;

	snprintf(path, sizeof(path), "/proc/%d/ns/ipc", (int)w->c->through);
	n = readlink("/proc/thread-self/ns/ipc", own, sizeof(own));
	m = readlink(path, other, sizeof(other));
	if (m < 0 && errno == ENOENT)
		return 0; /* no such namespaces, no such queues */
	if (n > 0 && n == m && !memcmp(own, other, (size_t)n))
		return held_read_namespace(w);
	return held_visit_namespace(w, path);
}
