/* SPDX-License-Identifier: MIT
 *
 * How the shim comes to its table: from the environment to the control file, the directory and the
 * file; and again in each forked child. Whatever fails makes it inert for good: the program runs on
 * as if the shim were not there, and the control file says why.
 */
#include "shim.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "births.h"
#include "cfi.h"
#include "libc_threads.h"
#include "stacks.h"
#include "sys.h"
#include "table.h"

#pragma weak gnu_get_libc_version

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

extern const char __ehdr_start[] RECORD_HIDDEN;
extern const char _end[] RECORD_HIDDEN;

static const uint64_t not_alive;

struct shim shim = { .alive = &not_alive };
__thread struct self self;

bool shim_is_known_libc(void)
{
	return gnu_get_libc_version != NULL;
}

bool shim_is_own_process(void)
{
	return shim_alive() && (shim.sandboxed || sys_getpid() == shim.table->pid);
}

void shim_ring(void)
{
	if (!shim.control)
		return;
	__atomic_fetch_add(&shim.control->doorbell, 1, __ATOMIC_RELEASE);
	if (!shim.sandboxed)
		sys_futex_wake(&shim.control->doorbell);
}

/* -- from the environment ------------------------------------------------------------------------ */

static const char *find_variable(const char *name)
{
	char *const *e = shim.environment;
	size_t n = text_length(name);

	for (; e && *e; e++) {
		size_t i = 0;

		while (i < n && (*e)[i] == name[i])
			i++;
		if (i == n && (*e)[n] == '=')
			return *e + n + 1;
	}
	return NULL;
}

static void open_control(const char *path)
{
	struct wire_control *c = NULL;
	struct stat st;
	int fd;

	shim.supervised = true;
	fd = sys_open(path, O_RDWR, 0);
	if (fd < 0)
		return;
	if (sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= (long)sizeof(*c))
		c = sys_map(fd, 0, sizeof(*c), NULL);
	sys_close(fd);
	if (!c)
		return;
	if (text_begins(c->magic, WIRE_CONTROL_MAGIC) && c->version == WIRE_VERSION)
		shim.control = c;
	else
		sys_unmap(c, sizeof(*c));
}

/* What we made ourselves must be ours, and no link to somewhere else; what the user names is to be
 * his, by whatever way. */
static int check_directory(bool named)
{
	struct stat st;
	long uid = sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0);
	int flags = O_RDONLY | O_DIRECTORY | (named ? 0 : O_NOFOLLOW);
	int fd = sys_open(shim.directory, flags, 0);
	int err;

	if (fd < 0)
		return fd;
	err = sys_fstat(fd, &st);
	sys_close(fd);
	if (err)
		return err;
	return (long)st.st_uid == uid ? 0 : -EPERM;
}

static int find_directory(void)
{
	const char *named = find_variable(WIRE_ENV_DIR);
	const char *runtime = find_variable("XDG_RUNTIME_DIR");
	size_t size = sizeof(shim.directory);
	size_t used = 0;

	if (named && *named) {
		text_add(shim.directory, size, &used, named);
	} else if (runtime && *runtime) {
		text_add(shim.directory, size, &used, runtime);
		text_add(shim.directory, size, &used, "/strand");
	} else {
		text_add(shim.directory, size, &used, "/dev/shm/strand-");
		text_add_number(shim.directory, size, &used,
				(uint64_t)sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0));
	}
	if (used == size)
		return -ENAMETOOLONG;
	sys_call(SYS_mkdir, (long)shim.directory, 0700, 0, 0, 0, 0);
	return check_directory(named && *named);
}

/* -- for each table ------------------------------------------------------------------------------ */

/* A page that a forked child, by whatever call, finds empty. */
static int make_alive_page(void)
{
	int err = 0;
	uint64_t *page = sys_map(-1, 0, 4096, &err);

	if (!page)
		return -err;
	err = (int)sys_call(SYS_madvise, (long)page, 4096, MADV_WIPEONFORK, 0, 0, 0);
	if (err) {
		sys_unmap(page, 4096);
		return err;
	}
	shim.alive_page = page;
	return 0;
}

static void find_tid_offset(void)
{
	int32_t tid = sys_gettid();
	const volatile int32_t *its = (const int32_t *)(self_handle() + LIBC_THREAD_TID);

	shim.tid_offset = *its == tid ? LIBC_THREAD_TID : 0;
}

static void report(int err)
{
	if (!shim.control)
		return;
	__atomic_fetch_add(&shim.control->shims_loaded, 1, __ATOMIC_RELAXED);
	if (err) {
		shim.control->failed_errno = -err;
		__atomic_fetch_add(&shim.control->shims_failed, 1, __ATOMIC_RELEASE);
	}
	shim_ring();
}

static bool children_wanted(void)
{
	return !shim.control || !(shim.control->flags & WIRE_CONTROL_NO_CHILDREN);
}

/* The thread that forked is the child's first one; what it holds for reading it still holds. */
static void keep_record(const struct wire_task *from, struct wire_task *to)
{
	uint32_t i;

	*(uint64_t *)(void *)to = task_load(from);
	for (i = 0; i < WIRE_HOLDS; i++) {
		to->holds[i] = from->holds[i];
		to->hold_counts[i] = from->hold_counts[i];
	}
}

static int make_table(bool forked)
{
	uint32_t flags = forked ? WIRE_TABLE_FORKED : 0;
	bool known = forked && self.task && self.generation == shim.generation && !self.ended;
	struct wire_task was;
	int err;

	if (known)
		keep_record(self.task, &was);
	self.task = NULL;
	self.recording = false;
	if (!children_wanted())
		flags |= WIRE_TABLE_NO_RELATIVES;
	if (!cfi_works())
		flags |= WIRE_TABLE_STACKS_PARTIAL;
	if (shim.sandboxed)
		flags |= WIRE_TABLE_SANDBOXED;
	err = table_make(shim.directory, flags, shim.control ? shim.control->id : 0, &shim.table);
	if (err)
		return err;
	shim.generation++;
	record_holds_reset();
	leave_reset();
	stacks_prepare();
	births_first(known ? &was : NULL);
	modules_write();
	__atomic_store_n(shim.alive_page, 1, __ATOMIC_RELEASE);
	return 0;
}

static int begin_image(void)
{
	const char *control = find_variable(WIRE_ENV_CONTROL);
	int err;

	if (getauxval(AT_SECURE))
		return -EPERM;
	shim.code_begin = (uintptr_t)__ehdr_start;
	shim.code_end = (uintptr_t)_end;
	if (control && *control)
		open_control(control);
	err = shim_is_known_libc() ? find_directory() : -ENOSYS;
	if (!err)
		err = make_alive_page();
	if (!err) {
		find_tid_offset();
		err = make_table(false);
	}
	report(err);
	if (!err)
		__atomic_store_n(&shim.alive, shim.alive_page, __ATOMIC_RELEASE);
	return err;
}

/* A sandbox may not let it. */
static int begin_child(void)
{
	int err;

	if (shim.sandboxed || !children_wanted())
		return -EPERM;
	err = make_table(true);
	report(err);
	return err;
}

void shim_begin(void)
{
	int state = __atomic_load_n(&shim.state, __ATOMIC_ACQUIRE);
	bool forked = state == SHIM_READY;
	int saved = errno;
	int err;

	if (forked ? shim_alive() : state != SHIM_NONE)
		return;
	if (!forked && !shim.environment)
		shim.environment = environ;
	if (!forked && !shim.environment)
		return;
	if (!__atomic_compare_exchange_n(&shim.state, &state, SHIM_MAKING, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return;
	err = forked ? begin_child() : begin_image();
	errno = saved;
	__atomic_store_n(&shim.state, err ? SHIM_INERT : SHIM_READY, __ATOMIC_RELEASE);
}

/* -- a thread ------------------------------------------------------------------------------------ */

struct wire_task *self_find(void)
{
	int state = __atomic_load_n(&shim.state, __ATOMIC_ACQUIRE);

	if (state == SHIM_INERT || state == SHIM_MAKING)
		return NULL;
	if (state == SHIM_NONE || !shim_alive())
		shim_begin();
	if (!shim_alive() || __atomic_load_n(&shim.state, __ATOMIC_ACQUIRE) != SHIM_READY)
		return NULL;
	if (self.generation == shim.generation) {
		if (self.recording)
			return self.task;
		if (self.ended || self.lost)
			return NULL;
	}
	return births_adopt();
}
