/* SPDX-License-Identifier: MIT
 *
 * Waits and owners. The layouts of glibc's locks (2.31 to 2.41, the same in all) stand here, once;
 * each is checked for plausibility before it is believed, and what does not fit makes the waiter
 * live.
 */
#include "readers/waits.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>

#include "readers/futex.h"

/* struct __pthread_mutex_s, sysdeps/nptl/bits/struct_mutex.h (x86) */
struct glibc_mutex {
	uint32_t lock;
	uint32_t count;
	int32_t owner;
	uint32_t nusers;
	int32_t kind;
};
_Static_assert(offsetof(struct glibc_mutex, owner) == 8, "__owner");
_Static_assert(offsetof(struct glibc_mutex, kind) == 16, "__kind");

/* Bits of __kind, nptl/pthreadP.h */
#define MUTEX_TYPE_MASK	   3
#define MUTEX_RECURSIVE	   1
#define MUTEX_ERRORCHECK   2
#define MUTEX_ADAPTIVE	   3
#define MUTEX_ROBUST	   16
#define MUTEX_PRIO_INHERIT 32
#define MUTEX_ELISION	   256 /* a flag of the kinds that may lock without saying who */
#define MUTEX_KNOWN_BITS   0x3f3

/* struct __pthread_rwlock_arch_t, sysdeps/x86/nptl/bits/struct_rwlock.h */
struct glibc_rwlock {
	uint32_t readers, writers, wrphase_futex, writers_futex, pad3, pad4;
	int32_t cur_writer;
	int32_t shared;
};
_Static_assert(offsetof(struct glibc_rwlock, cur_writer) == 24, "__cur_writer");

/* A joined thread's tid lies within its struct pthread (2304 to 2496 bytes). */
#define DESCRIPTOR_MAX_BYTES 4096

static const struct waits_owner *waits_find_tid(const struct waits_context *c, pid_t tid_ns)
{
	size_t low = 0, high = c->owner_count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (c->owners[mid].tid_ns < tid_ns)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->owner_count && c->owners[low].tid_ns == tid_ns ? &c->owners[low] : NULL;
}

/* The thread whose end a futex wait for this word and value awaits, NULL if it is no join. */
static const struct waits_owner *waits_find_joined(const struct waits_context *c,
						   const struct futex_call *call)
{
	const struct waits_owner *o = waits_find_tid(c, (pid_t)call->value);
	uint64_t offset = libc_tid_offset(c->in->libc);

	if (!o || call->value == 0)
		return NULL;
	/* Not stopped: live, nothing is proved by it. But an ended one has cleared its word: this is
	 * another that holds the same number, a home-made lock perhaps. */
	if (!o->thread_pointer)
		return offset && o->task->state != STATE_ENDED ? o : NULL;
	if (call->word < o->thread_pointer)
		return NULL;
	if (offset ? call->word - o->thread_pointer == offset
		   : call->word - o->thread_pointer < DESCRIPTOR_MAX_BYTES)
		return o;
	return NULL;
}

pid_t waits_read_lock_tid(const struct threads_input *in, const struct stop_thread *t)
{
	uint64_t at = arch_thread_pointer(&t->regs) + libc_tid_offset(in->libc);
	int32_t tid;

	if (t->state != STOP_THREAD_STOPPED || !libc_tid_offset(in->libc) ||
	    !snapshot_read_whole(in->capture->memory, at, &tid, sizeof(tid)))
		return 0;
	return tid;
}

/* A page of a file that the process may only read is the file's own, also if it is mapped as
 * private: others who write to the file change it, and wake. */
static bool waits_is_shared_memory(const struct waits_context *c, uint64_t address)
{
	const struct mapping *m = maps_find(&c->in->capture->maps, address);

	return !m || m->shared || (!m->write && m->inode);
}

/* Some thread that takes locks under the number `tid_ns` that is not its own: one made by clone(2)
 * with its creator's thread pointer, or the main thread of a process so made. */
static const struct task *waits_find_borrower(const struct waits_context *c, pid_t tid_ns)
{
	for (size_t i = 0; i < c->owner_count; i++)
		if (c->owners[i].lock_tid == tid_ns && c->owners[i].tid_ns != tid_ns)
			return c->owners[i].task;
	return NULL;
}

/* The owner is the thread that its lock names by tid, as far as that is certain. */
static void waits_set_owner(const struct waits_context *c, struct object *o, pid_t tid_ns)
{
	const struct waits_owner *owner = waits_find_tid(c, tid_ns);

	o->owner_tid = tid_ns;
	o->owner_state = OWNER_UNKNOWN;
	if (!tid_ns)
		return;
	if (c->in->target->renumbered) {
		o->live_because = "its owner's number may be one of another PID namespace";
	} else if (c->in->capture->relative_unknown) {
		o->live_because = "another process may share the memory";
	} else if (c->in->capture->relative) {
		/* Made by clone(2), it may also hold the lock under the number of a thread here. */
		o->owner_state = OWNER_FOREIGN;
		o->live_because = model_format(c->model, "process %d shares the memory",
					       (int)c->in->capture->relative);
	} else if (c->numbers_borrowed && waits_find_borrower(c, tid_ns)) {
		o->live_because =
			model_format(c->model, "%s takes locks under that thread's number",
				     waits_find_borrower(c, tid_ns)->id);
	} else if (owner && owner->task->state != STATE_ENDED) {
		o->owner_state = OWNER_TASK;
		o->owner = owner->task;
	} else if (owner || c->tids_known) {
		o->owner_state = OWNER_ENDED;
		o->heir = owner ? NULL : c->heir;
	}
}

static const char *waits_mutex_attribute(int32_t kind)
{
	if (kind & MUTEX_ROBUST)
		return "robust";
	if (kind & MUTEX_PRIO_INHERIT)
		return "priority-inheriting";
	switch (kind & MUTEX_TYPE_MASK) {
	case MUTEX_RECURSIVE:
		return "recursive";
	case MUTEX_ERRORCHECK:
		return "errorcheck";
	case MUTEX_ADAPTIVE:
		return "adaptive";
	default:
		return NULL;
	}
}

static void waits_read_mutex(const struct waits_context *c, const struct futex_call *call,
			     struct object *o)
{
	struct glibc_mutex m;
	bool by_word; /* the owner's tid is in the futex word, where the kernel looks for it */

	o->owner_state = OWNER_UNKNOWN;
	if (!snapshot_read_whole(c->in->capture->memory, o->address, &m, sizeof(m)) ||
	    m.kind & ~MUTEX_KNOWN_BITS)
		return;
	by_word = m.kind & (MUTEX_ROBUST | MUTEX_PRIO_INHERIT);
	if (by_word != futex_names_owner(call) || (!by_word && m.lock != call->value))
		return;
	/* Neither set nor cleared with elision: the owner may be one of long ago. And who has locked
	 * is counted as a user: a word without users is the head of something else. */
	if (m.kind & MUTEX_ELISION || (!by_word && (m.owner < 0 || !m.nusers)))
		return;
	o->attribute = waits_mutex_attribute(m.kind);
	waits_set_owner(c, o, by_word ? (pid_t)(m.lock & FUTEX_TID_MASK) : m.owner);
	if (by_word && o->owner_state == OWNER_ENDED)
		o->live_because = "the kernel wakes a waiter when the owner has ended";
}

/* Bits of __readers, nptl/pthread_rwlock_common.c: in the phase of the readers all that are counted
 * hold the lock. */
#define RWLOCK_WRITE_PHASE  1
#define RWLOCK_WRITE_LOCKED 2 /* a writer is the next, or has it */
#define RWLOCK_READER_SHIFT 3
/* … of __writers: beside it those who wait to be the next. */
#define RWLOCK_HAND_OVER    (UINT32_C(1) << 31)

/* Threads that share a descriptor, or a process that shares the memory, take holds for reading in
 * another's name: then nothing is said of who holds it. */
static bool waits_knows_readers(const struct waits_context *c)
{
	return !c->numbers_borrowed && !c->in->capture->relative &&
	       !c->in->capture->relative_unknown;
}

static void waits_read_rwlock(const struct waits_context *c, struct object *o)
{
	struct glibc_rwlock rw;

	o->owner_state = OWNER_UNKNOWN;
	if (!snapshot_read_whole(c->in->capture->memory, o->address, &rw, sizeof(rw)))
		return;
	if (rw.cur_writer) {
		waits_set_owner(c, o, rw.cur_writer);
		return;
	}
	o->owner_state = OWNER_NONE;
	o->writers = (rw.writers & ~RWLOCK_HAND_OVER) + !!(rw.readers & RWLOCK_WRITE_LOCKED);
	if (!(rw.readers & RWLOCK_WRITE_PHASE) && waits_knows_readers(c))
		o->readers = rw.readers >> RWLOCK_READER_SHIFT;
}

/* A word this near above its waiter's stack pointer is in a frame of the C library's own. */
#define OWN_FRAME_BYTES 256

/* glibc parks a thread for good on a word of its own frame when the kernel finds that a
 * priority-inheritance lock would deadlock: without the name of the function it looks like a
 * semaphore. */
static bool waits_is_parked(const struct stop_thread *t, const struct futex_call *call)
{
	return call->word >= arch_sp(&t->regs) && call->word - arch_sp(&t->regs) < OWN_FRAME_BYTES;
}

/* What each meaning of a futex becomes in the model. */
static const struct {
	enum wait_op op;
	enum object_kind kind;
	bool cancellation_point, interruptible;
	const char *text; /* for OP_OTHER */
} waits_meanings[] = {
	[FUTEX_MEANS_RAW] = { OP_FUTEX_WAIT, OBJECT_FUTEX, false, true, NULL },
	[FUTEX_MEANS_MUTEX] = { OP_MUTEX_LOCK, OBJECT_MUTEX, false, false, NULL },
	[FUTEX_MEANS_COND] = { OP_COND_WAIT, OBJECT_COND, true, false, NULL },
	[FUTEX_MEANS_SEMAPHORE] = { OP_SEM_WAIT, OBJECT_SEMAPHORE, true, true, NULL },
	[FUTEX_MEANS_BARRIER] = { OP_BARRIER_WAIT, OBJECT_BARRIER, false, false, NULL },
	[FUTEX_MEANS_RWLOCK_READ] = { OP_RWLOCK_RDLOCK, OBJECT_RWLOCK, false, false, NULL },
	[FUTEX_MEANS_RWLOCK_WRITE] = { OP_RWLOCK_WRLOCK, OBJECT_RWLOCK, false, false, NULL },
	[FUTEX_MEANS_JOIN] = { OP_JOIN, OBJECT_THREAD, true, false, NULL },
	[FUTEX_MEANS_ONCE] = { OP_OTHER, OBJECT_OTHER, false, false,
			       "pthread_once, until another thread has run the routine" },
	[FUTEX_MEANS_LIBC_LOCK] = { OP_OTHER, OBJECT_OTHER, false, false,
				    "a lock inside the C library (malloc, stdio, …)" },
	[FUTEX_MEANS_UNKNOWN] = { OP_OTHER, OBJECT_OTHER, false, false,
				  "a futex inside the C library" },
};

static void waits_read_object(const struct waits_context *c, const struct futex_call *call,
			      const struct futex_meaning *meaning, const struct waits_owner *joined,
			      struct object *o)
{
	switch (meaning->kind) {
	case FUTEX_MEANS_MUTEX:
		waits_read_mutex(c, call, o);
		break;
	case FUTEX_MEANS_RWLOCK_READ:
	case FUTEX_MEANS_RWLOCK_WRITE:
		waits_read_rwlock(c, o);
		break;
	case FUTEX_MEANS_JOIN:
		o->owner_state = OWNER_TASK;
		o->owner = joined->task;
		o->owner_tid = joined->tid_ns;
		return;
	default:
		o->owner_state = OWNER_NONE;
	}
	if (!o->live_because && waits_is_shared_memory(c, o->address))
		o->live_because = "it lies in memory that other processes may share";
}

static void waits_read_deadline(const struct waits_context *c, const struct futex_call *call,
				struct wait *w)
{
	const struct capture *cap = c->in->capture;
	struct timespec ts;
	int64_t ns;

	w->deadline_left_ns = w->duration_ns = TIME_UNKNOWN;
	w->has_deadline = call->timeout != 0;
	if (!w->has_deadline || !snapshot_read_whole(cap->memory, call->timeout, &ts, sizeof(ts)) ||
	    ts.tv_sec < 0 || ts.tv_sec > INT64_MAX / 1000000000 - 1)
		return;
	ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	if (!call->is_absolute)
		w->duration_ns = ns;
	else if (!cap->core)
		w->deadline_left_ns =
			ns - (call->is_realtime ? cap->realtime_ns : cap->monotonic_ns);
}

static int waits_read_futex(const struct waits_context *c, const struct stop_thread *t,
			    const struct futex_call *call, const uint64_t *pcs, size_t n,
			    struct task *task)
{
	const struct waits_owner *joined = waits_find_joined(c, call);
	struct futex_meaning meaning;
	struct wait *w;
	uint32_t word;

	if (!snapshot_read_whole(c->in->capture->memory, call->word, &word, sizeof(word))) {
		task->live_because = "the word it waits for could not be read";
		model_note(c->model, "some lock words could not be read: their waiters are not "
				     "judged");
		return 0;
	}
	if (!futex_is_asleep(&t->regs, call, word))
		return 0; /* it is being woken: running */
	futex_classify(c->in->libc, call, pcs, n, joined != NULL, &meaning);
	if (meaning.kind == FUTEX_MEANS_SEMAPHORE && waits_is_parked(t, call))
		meaning.kind = FUTEX_MEANS_UNKNOWN;
	w = model_alloc(c->model, sizeof(*w));
	if (!w)
		return ERR_NOMEM;
	w->op = waits_meanings[meaning.kind].op;
	w->text = waits_meanings[meaning.kind].text;
	w->cancellation_point = waits_meanings[meaning.kind].cancellation_point;
	w->interruptible = waits_meanings[meaning.kind].interruptible;
	w->since_ns = TIME_UNKNOWN;
	waits_read_deadline(c, call, w);
	if (meaning.kind == FUTEX_MEANS_JOIN)
		meaning.object = joined->thread_pointer ? joined->thread_pointer
							: call->word - libc_tid_offset(c->in->libc);
	w->object = model_object(c->model, waits_meanings[meaning.kind].kind, meaning.object);
	if (!w->object)
		return ERR_NOMEM;
	waits_read_object(c, call, &meaning, joined, w->object);
	task->wait = w;
	task->state = STATE_BLOCKED;
	return 0;
}

static int waits_read_io(const struct waits_context *c, const struct stop_thread *t, long number,
			 struct task *task)
{
	struct io_wait io;
	struct wait *w = model_alloc(c->model, sizeof(*w));

	if (!w)
		return ERR_NOMEM;
	io_describe(c->in->io_names, number, &t->regs, c->in->capture->memory, &io);
	w->op = io.op;
	w->text = model_string(c->model, io.text);
	w->since_ns = TIME_UNKNOWN;
	w->has_deadline = io.has_deadline;
	w->deadline_left_ns = io.deadline_left_ns;
	w->duration_ns = io.duration_ns;
	w->cancellation_point = true;
	if (io.kind != OBJECT_NONE) {
		w->object = model_object(c->model, io.kind, 0);
		if (!w->object)
			return ERR_NOMEM;
	}
	task->wait = w;
	task->state = io.op == OP_SLEEP ? STATE_SLEEPING : STATE_IO;
	return 0;
}

/* After an earlier stop the kernel restarts a timed sleep under another number; the code before
 * the system call still loads the real one, and the arguments are the old ones. */
static long waits_call_number(const struct waits_context *c, const struct arch_regs *regs)
{
	uint8_t code[ARCH_SYSCALL_CODE_BYTES];
	long number = arch_syscall_number(regs);
	uint64_t from = arch_ip(regs) - sizeof(code);

	if (number != SYS_restart_syscall ||
	    modules_read(c->in->modules, from, code, sizeof(code)) != sizeof(code))
		return number;
	return arch_restarted_number(regs, code);
}

int waits_read(const struct waits_context *c, const struct stop_thread *t, const uint64_t *pcs,
	       size_t n, struct task *task)
{
	struct futex_call call;
	long number;

	task->state = STATE_RUNNING;
	if (arch_syscall_number(&t->regs) < 0 || !arch_syscall_restarts(&t->regs))
		return 0; /* in its own code, or on its way out of a call */
	number = waits_call_number(c, &t->regs);
	if (futex_decode(&t->regs, number, &call))
		return waits_read_futex(c, t, &call, pcs, n, task);
	return waits_read_io(c, t, number, task);
}
