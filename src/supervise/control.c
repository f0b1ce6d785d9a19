/* SPDX-License-Identifier: MIT
 *
 * Control file, doorbell and heartbeats. The thread waits on the doorbell (a futex in the shared
 * file) for at most one heartbeat's time, passes a ring on to an eventfd, and beats. Only the list
 * of tables is shared between the two threads; the mutex guards it.
 */
#include "supervise/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "target/procfs.h"

#define CONTROL_BEAT_NS (WIRE_HEARTBEAT_NS / 2)

struct control {
	char path[PATH_MAX];		   /* "" without a file */
	volatile struct wire_control *map; /* the file, or a page of our own */
	int lock;			   /* the file, locked: others see that it is in use */
	int event;
	bool running;
	pthread_t thread;
	pthread_mutex_t mutex; /* guards tables, count, room */
	struct table **tables;
	size_t count, room;
	bool stop; /* atomic; set before the doorbell is rung for the last time */
};

static long control_futex(volatile uint32_t *word, int op, uint32_t value,
			  const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

static void control_beat(struct control *c)
{
	pthread_mutex_lock(&c->mutex);
	for (size_t i = 0; i < c->count; i++)
		__atomic_fetch_add(&table_header(c->tables[i])->heartbeat, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&c->mutex);
}

static void *control_run(void *arg)
{
	static const struct timespec beat = { .tv_nsec = CONTROL_BEAT_NS };
	struct control *c = arg;
	uint32_t seen = __atomic_load_n(&c->map->doorbell, __ATOMIC_ACQUIRE), now;
	uint64_t one = 1;

	while (!__atomic_load_n(&c->stop, __ATOMIC_ACQUIRE)) {
		control_futex(&c->map->doorbell, FUTEX_WAIT, seen, &beat);
		now = __atomic_load_n(&c->map->doorbell, __ATOMIC_ACQUIRE);
		if (now != seen && write(c->event, &one, sizeof(one)) < 0)
			continue; /* tried again at the next beat */
		seen = now;
		control_beat(c);
	}
	return NULL;
}

static int control_fail(struct err *e, int sys_errno, const char *path)
{
	return err_set_errno(e, sys_errno, "cannot make the control file %.300s", path);
}

static int control_open_file(struct control *c, const char *directory, struct err *e)
{
	char stat[1024];
	const char *start = NULL;
	int n;

	if (procfs_read_into("/proc/self/stat", stat, sizeof(stat)) > 0)
		start = procfs_find_stat_field(stat, 22);
	n = snprintf(c->path, sizeof(c->path), "%s/%d.%llu" WIRE_CONTROL_SUFFIX, directory,
		     (int)getpid(), start ? strtoull(start, NULL, 10) : 0);
	if (n < 0 || (size_t)n >= sizeof(c->path)) {
		c->path[0] = '\0';
		return control_fail(e, ENAMETOOLONG, directory);
	}
	unlink(c->path); /* of an earlier process with this number */
	c->lock = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->lock < 0) {
		n = control_fail(e, errno, c->path);
		c->path[0] = '\0';
		return n;
	}
	flock(c->lock, LOCK_EX | LOCK_NB);
	if (fallocate(c->lock, 0, 0, sizeof(struct wire_control)))
		return control_fail(e, errno, c->path);
	return 0;
}

static int control_map(struct control *c, struct err *e)
{
	int flags = c->lock < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
	void *map = mmap(NULL, sizeof(*c->map), PROT_READ | PROT_WRITE, flags, c->lock, 0);

	if (map == MAP_FAILED)
		return control_fail(e, errno, c->path);
	c->map = map;
	c->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->event < 0)
		return control_fail(e, errno, c->path);
	return 0;
}

static void control_fill(volatile struct wire_control *w, bool children)
{
	uint64_t id = 0;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != (ssize_t)sizeof(id) || !id)
		id = (uint64_t)getpid() << 32 | 1;
	for (size_t i = 0; i < sizeof(w->magic); i++)
		w->magic[i] = WIRE_CONTROL_MAGIC[i];
	w->version = WIRE_VERSION;
	w->flags = children ? 0 : WIRE_CONTROL_NO_CHILDREN;
	w->id = id;
}

static int control_make(const char *directory, bool children, struct control **out, struct err *e)
{
	struct control *c = calloc(1, sizeof(*c));
	int rc = 0;

	*out = NULL;
	if (!c)
		return err_set(e, ERR_NOMEM, "the control file");
	c->lock = c->event = -1;
	pthread_mutex_init(&c->mutex, NULL);
	if (directory)
		rc = control_open_file(c, directory, e);
	if (!rc)
		rc = control_map(c, e);
	if (rc) {
		control_free(c);
		return rc;
	}
	control_fill(c->map, children);
	*out = c;
	return 0;
}

int control_create(const char *directory, bool children, struct control **out, struct err *e)
{
	return control_make(directory, children, out, e);
}

int control_create_bare(struct control **out, struct err *e)
{
	return control_make(NULL, false, out, e);
}

/* No signal may come to the thread: one that stops strand must find the thread that takes a look
 * ready for it. */
int control_start(struct control *c, struct err *e)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&c->thread, NULL, control_run, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return err_set_errno(e, rc, "cannot start a thread");
	c->running = true;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	if (c->running) {
		__atomic_store_n(&c->stop, true, __ATOMIC_RELEASE);
		__atomic_fetch_add(&c->map->doorbell, 1, __ATOMIC_RELEASE);
		control_futex(&c->map->doorbell, FUTEX_WAKE, INT_MAX, NULL);
		pthread_join(c->thread, NULL);
	}
	if (c->path[0])
		unlink(c->path);
	if (c->map)
		munmap((void *)c->map, sizeof(*c->map));
	if (c->lock >= 0)
		close(c->lock);
	if (c->event >= 0)
		close(c->event);
	pthread_mutex_destroy(&c->mutex);
	free(c->tables);
	free(c);
}

const char *control_path(const struct control *c)
{
	return c->path;
}

volatile struct wire_control *control_header(const struct control *c)
{
	return c->map;
}

int control_descriptor(const struct control *c)
{
	return c->event;
}

void control_clear(struct control *c)
{
	uint64_t rings;

	while (read(c->event, &rings, sizeof(rings)) < 0 && errno == EINTR)
		;
}

int control_follow(struct control *c, struct table *t)
{
	int rc = 0;

	pthread_mutex_lock(&c->mutex);
	if (c->count == c->room) {
		size_t room = c->room ? 2 * c->room : 16;
		struct table **v = reallocarray(c->tables, room, sizeof(*v));

		if (v) {
			c->tables = v;
			c->room = room;
		} else {
			rc = ERR_NOMEM;
		}
	}
	if (!rc)
		c->tables[c->count++] = t;
	pthread_mutex_unlock(&c->mutex);
	return rc;
}

void control_forget(struct control *c, struct table *t)
{
	pthread_mutex_lock(&c->mutex);
	for (size_t i = 0; i < c->count; i++)
		if (c->tables[i] == t)
			c->tables[i--] = c->tables[--c->count];
	pthread_mutex_unlock(&c->mutex);
}
