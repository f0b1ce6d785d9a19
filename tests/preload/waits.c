/* SPDX-License-Identifier: MIT
 *
 * Every function that blocks: it blocks and goes on as it should, its wait is recorded with its
 * object, its deadline and the registers of its caller, and what need not block is not recorded.
 *
 * Each is called in a thread of its own, from a piece of assembler that has marks in the callee-saved
 * registers, and let go by the main thread once the thread sleeps.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "trace.h"

#define STACK_LIMIT 512

/* call_marked(function, six arguments), the seventh is -1: the return address and sp are kept. */
long call_marked(void *function, void *arguments[6]);
extern char call_marked_return[];
uintptr_t call_marked_sp;

__asm__(".globl call_marked, call_marked_return\n"
	"call_marked:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	push $-1\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %r10\n"
	"	mov (%r10), %rdi; mov 8(%r10), %rsi; mov 16(%r10), %rdx\n"
	"	mov 24(%r10), %rcx; mov 32(%r10), %r8; mov 40(%r10), %r9\n"
	"	mov $0x1b, %ebx; mov $0x1c, %ebp; mov $0x12, %r12d\n"
	"	mov $0x13, %r13d; mov $0x14, %r14d; mov $0x15, %r15d\n"
	"	mov %rsp, call_marked_sp(%rip)\n"
	"	call *%rax\n"
	"call_marked_return:\n"
	"	add $8, %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_cond_t monotonic_cond;
static pthread_barrier_t barrier;
static sem_t sem;
static mtx_t c11_mutex, c11_cond_mutex;
static cnd_t c11_cond;
static int futex_word;
static pthread_t joined;
static sem_t joined_may_end;
static struct timespec realtime, monotonic;
static const char *failing;

struct blocked {
	const char *name;
	void *function;
	void *arguments[6];
	enum wire_op op;
	void *object, *second;
	int deadline_known; /* -1: there is none */
	void (*take)(void); /* by the main thread, so that the call blocks */
	void (*give)(void);
	long result;
	bool is_cond;
	bool is_c11_cond;
};

static void lock_mutex(void)
{
	pthread_mutex_lock(&mutex);
}

static void unlock_mutex(void)
{
	pthread_mutex_unlock(&mutex);
}

static void lock_c11(void)
{
	mtx_lock(&c11_mutex);
}

static void unlock_c11(void)
{
	mtx_unlock(&c11_mutex);
}

static void lock_write(void)
{
	pthread_rwlock_wrlock(&rwlock);
}

static void lock_read(void)
{
	pthread_rwlock_rdlock(&rwlock);
}

static void unlock_rwlock(void)
{
	pthread_rwlock_unlock(&rwlock);
}

static void nothing(void)
{
}

static void signal_conds(void)
{
	pthread_mutex_lock(&cond_mutex);
	pthread_cond_broadcast(&cond);
	pthread_cond_signal(&monotonic_cond);
	pthread_mutex_unlock(&cond_mutex);
	mtx_lock(&c11_cond_mutex);
	cnd_signal(&c11_cond);
	mtx_unlock(&c11_cond_mutex);
}

static void post(void)
{
	sem_post(&sem);
}

static void arrive(void)
{
	pthread_barrier_wait(&barrier);
}

static void wake_futex(void)
{
	__atomic_store_n(&futex_word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &futex_word, FUTEX_WAKE_PRIVATE, 1);
	__atomic_store_n(&futex_word, 0, __ATOMIC_SEQ_CST);
}

static void *wait_to_end(void *unused)
{
	(void)unused;
	while (sem_wait(&joined_may_end))
		;
	return NULL;
}

static void start_joined(void)
{
	CHECK(!pthread_create(&joined, NULL, wait_to_end, NULL));
}

static void end_joined(void)
{
	sem_post(&joined_may_end);
}

#define FN(name) #name, (void *)(name)
#define NO	 -1
static struct blocked table[] = {
	{ FN(pthread_mutex_lock),
	  { &mutex },
	  WIRE_OP_MUTEX_LOCK,
	  &mutex,
	  NULL,
	  NO,
	  lock_mutex,
	  unlock_mutex,
	  0,
	  0,
	  0 },
	{ FN(pthread_mutex_timedlock),
	  { &mutex, &realtime },
	  WIRE_OP_MUTEX_LOCK,
	  &mutex,
	  NULL,
	  1,
	  lock_mutex,
	  unlock_mutex,
	  0,
	  0,
	  0 },
	{ FN(pthread_mutex_clocklock),
	  { &mutex, (void *)CLOCK_MONOTONIC, &monotonic },
	  WIRE_OP_MUTEX_LOCK,
	  &mutex,
	  NULL,
	  1,
	  lock_mutex,
	  unlock_mutex,
	  0,
	  0,
	  0 },
	{ FN(mtx_lock),
	  { &c11_mutex },
	  WIRE_OP_MUTEX_LOCK,
	  &c11_mutex,
	  NULL,
	  NO,
	  lock_c11,
	  unlock_c11,
	  0,
	  0,
	  0 },
	{ FN(mtx_timedlock),
	  { &c11_mutex, &realtime },
	  WIRE_OP_MUTEX_LOCK,
	  &c11_mutex,
	  NULL,
	  1,
	  lock_c11,
	  unlock_c11,
	  0,
	  0,
	  0 },
	{ FN(pthread_rwlock_rdlock),
	  { &rwlock },
	  WIRE_OP_RWLOCK_RDLOCK,
	  &rwlock,
	  NULL,
	  NO,
	  lock_write,
	  unlock_rwlock,
	  0,
	  0,
	  0 },
	{ FN(pthread_rwlock_timedrdlock),
	  { &rwlock, &realtime },
	  WIRE_OP_RWLOCK_RDLOCK,
	  &rwlock,
	  NULL,
	  1,
	  lock_write,
	  unlock_rwlock,
	  0,
	  0,
	  0 },
	{ FN(pthread_rwlock_clockrdlock),
	  { &rwlock, (void *)CLOCK_MONOTONIC, &monotonic },
	  WIRE_OP_RWLOCK_RDLOCK,
	  &rwlock,
	  NULL,
	  1,
	  lock_write,
	  unlock_rwlock,
	  0,
	  0,
	  0 },
	{ FN(pthread_rwlock_wrlock),
	  { &rwlock },
	  WIRE_OP_RWLOCK_WRLOCK,
	  &rwlock,
	  NULL,
	  NO,
	  lock_read,
	  unlock_rwlock,
	  0,
	  0,
	  0 },
	{ FN(pthread_rwlock_timedwrlock),
	  { &rwlock, &realtime },
	  WIRE_OP_RWLOCK_WRLOCK,
	  &rwlock,
	  NULL,
	  1,
	  lock_read,
	  unlock_rwlock,
	  0,
	  0,
	  0 },
	{ FN(pthread_rwlock_clockwrlock),
	  { &rwlock, (void *)CLOCK_REALTIME, &realtime },
	  WIRE_OP_RWLOCK_WRLOCK,
	  &rwlock,
	  NULL,
	  1,
	  lock_write,
	  unlock_rwlock,
	  0,
	  0,
	  0 },
	{ FN(pthread_cond_wait),
	  { &cond, &cond_mutex },
	  WIRE_OP_COND_WAIT,
	  &cond,
	  &cond_mutex,
	  NO,
	  nothing,
	  signal_conds,
	  0,
	  1,
	  0 },
	{ FN(pthread_cond_timedwait),
	  { &cond, &cond_mutex, &realtime },
	  WIRE_OP_COND_WAIT,
	  &cond,
	  &cond_mutex,
	  1,
	  nothing,
	  signal_conds,
	  0,
	  1,
	  0 },
	{ FN(pthread_cond_timedwait),
	  { &monotonic_cond, &cond_mutex, &monotonic },
	  WIRE_OP_COND_WAIT,
	  &monotonic_cond,
	  &cond_mutex,
	  1,
	  nothing,
	  signal_conds,
	  0,
	  1,
	  0 },
	{ FN(pthread_cond_clockwait),
	  { &cond, &cond_mutex, (void *)CLOCK_MONOTONIC, &monotonic },
	  WIRE_OP_COND_WAIT,
	  &cond,
	  &cond_mutex,
	  1,
	  nothing,
	  signal_conds,
	  0,
	  1,
	  0 },
	{ FN(cnd_wait),
	  { &c11_cond, &c11_cond_mutex },
	  WIRE_OP_COND_WAIT,
	  &c11_cond,
	  &c11_cond_mutex,
	  NO,
	  nothing,
	  signal_conds,
	  0,
	  0,
	  1 },
	{ FN(cnd_timedwait),
	  { &c11_cond, &c11_cond_mutex, &realtime },
	  WIRE_OP_COND_WAIT,
	  &c11_cond,
	  &c11_cond_mutex,
	  1,
	  nothing,
	  signal_conds,
	  0,
	  0,
	  1 },
	{ FN(sem_wait), { &sem }, WIRE_OP_SEM_WAIT, &sem, NULL, NO, nothing, post, 0, 0, 0 },
	{ FN(sem_timedwait),
	  { &sem, &realtime },
	  WIRE_OP_SEM_WAIT,
	  &sem,
	  NULL,
	  1,
	  nothing,
	  post,
	  0,
	  0,
	  0 },
	{ FN(sem_clockwait),
	  { &sem, (void *)CLOCK_MONOTONIC, &monotonic },
	  WIRE_OP_SEM_WAIT,
	  &sem,
	  NULL,
	  1,
	  nothing,
	  post,
	  0,
	  0,
	  0 },
	{ FN(pthread_barrier_wait),
	  { &barrier },
	  WIRE_OP_BARRIER_WAIT,
	  &barrier,
	  NULL,
	  NO,
	  nothing,
	  arrive,
	  0,
	  0,
	  0 },
	{ FN(pthread_join),
	  { &joined },
	  WIRE_OP_JOIN,
	  &joined,
	  NULL,
	  NO,
	  start_joined,
	  end_joined,
	  0,
	  0,
	  0 },
	{ FN(pthread_timedjoin_np),
	  { &joined, NULL, &realtime },
	  WIRE_OP_JOIN,
	  &joined,
	  NULL,
	  1,
	  start_joined,
	  end_joined,
	  0,
	  0,
	  0 },
	{ FN(pthread_timedjoin_np),
	  { &joined, NULL, NULL },
	  WIRE_OP_JOIN,
	  &joined,
	  NULL,
	  NO,
	  start_joined,
	  end_joined,
	  0,
	  0,
	  0 },
	{ FN(pthread_clockjoin_np),
	  { &joined, NULL, (void *)CLOCK_MONOTONIC, &monotonic },
	  WIRE_OP_JOIN,
	  &joined,
	  NULL,
	  1,
	  start_joined,
	  end_joined,
	  0,
	  0,
	  0 },
	{ FN(thrd_join),
	  { &joined },
	  WIRE_OP_JOIN,
	  &joined,
	  NULL,
	  NO,
	  start_joined,
	  end_joined,
	  0,
	  0,
	  0 },
	{ FN(syscall),
	  { (void *)SYS_futex, &futex_word, (void *)FUTEX_WAIT_PRIVATE },
	  WIRE_OP_FUTEX_WAIT,
	  &futex_word,
	  NULL,
	  NO,
	  nothing,
	  wake_futex,
	  0,
	  0,
	  0 },
	{ FN(syscall),
	  { (void *)SYS_futex, &futex_word, (void *)FUTEX_WAIT_BITSET_PRIVATE, NULL, &monotonic,
	    NULL },
	  WIRE_OP_FUTEX_WAIT,
	  &futex_word,
	  NULL,
	  0,
	  nothing,
	  wake_futex,
	  0,
	  0,
	  0 },
};

static int64_t now_ns(clockid_t clock, struct timespec *now)
{
	clock_gettime(clock, now);
	return now->tv_sec * 1000000000ll + now->tv_nsec;
}

/* The same moment on both clocks, though somebody else may run in between. */
static void set_times(void)
{
	struct timespec after;
	int64_t took;

	do {
		took = -now_ns(CLOCK_MONOTONIC, &monotonic);
		clock_gettime(CLOCK_REALTIME, &realtime);
		took += now_ns(CLOCK_MONOTONIC, &after);
	} while (took > 1000000);
	realtime.tv_sec += 50;
	monotonic.tv_sec += 50;
}

static void check_deadline(const struct blocked *b, const struct wire_wait *w)
{
	int64_t expected = monotonic.tv_sec * 1000000000ll + monotonic.tv_nsec;

	CHECK(!!(w->flags & WIRE_WAIT_DEADLINE) == (b->deadline_known >= 0));
	if (b->deadline_known > 0)
		CHECK(llabs((int64_t)w->deadline_ns - expected) < 20000000);
	else
		CHECK(!w->deadline_ns);
}

static void check_record(const struct blocked *b, uintptr_t object)
{
	const struct wire_wait *w = &trace()->last;
	const struct wire_context *c = &w->context;

	CHECK(w->op == b->op);
	CHECK(w->object == object);
	CHECK(w->second == (uintptr_t)b->second);
	CHECK(w->flags & WIRE_WAIT_CALLEE_REGS);
	check_deadline(b, w);
	CHECK(c->ip == (uintptr_t)call_marked_return - 1);
	CHECK(c->sp == call_marked_sp);
	CHECK(c->bx == 0x1b && c->bp == 0x1c);
	CHECK(c->r12 == 0x12 && c->r13 == 0x13 && c->r14 == 0x14 && c->r15 == 0x15);
	CHECK(trace()->stack_bytes < STACK_LIMIT);
}

static pid_t blocked_tid;

static void *call_blocked(void *of)
{
	struct blocked *b = of;
	unsigned begun = trace() ? trace()->begun : 0;
	uintptr_t object = (uintptr_t)b->object;
	void *arguments[6];
	long result;

	memcpy(arguments, b->arguments, sizeof(arguments));
	if (b->op == WIRE_OP_JOIN)
		object = (uintptr_t)(arguments[0] = (void *)joined);
	if (b->is_cond)
		pthread_mutex_lock(&cond_mutex);
	if (b->is_c11_cond)
		mtx_lock(&c11_cond_mutex);
	begun = trace() ? trace()->begun : 0;
	__atomic_store_n(&blocked_tid, gettid(), __ATOMIC_SEQ_CST);
	errno = 4321;
	result = call_marked(b->function, arguments);
	CHECK(errno == 4321);
	CHECK(result == b->result ||
	      (b->op == WIRE_OP_BARRIER_WAIT && result == PTHREAD_BARRIER_SERIAL_THREAD));
	CHECK_TRACE(trace()->begun == begun + 1 && trace()->ended == trace()->begun);
	if (trace())
		check_record(b, object);
	if (b->is_cond)
		pthread_mutex_unlock(&cond_mutex);
	if (b->is_c11_cond)
		mtx_unlock(&c11_cond_mutex);
	if (b->op == WIRE_OP_MUTEX_LOCK)
		pthread_mutex_unlock(arguments[0]);
	if (b->op == WIRE_OP_RWLOCK_RDLOCK || b->op == WIRE_OP_RWLOCK_WRLOCK)
		pthread_rwlock_unlock(&rwlock);
	if (b->op == WIRE_OP_RWLOCK_RDLOCK)
		CHECK_TRACE(trace()->holds_added == 1 && trace()->holds_removed == 1);
	if (b->op == WIRE_OP_JOIN)
		CHECK_TRACE(trace()->finds == 1 && trace()->joins == 1 &&
			    trace()->handle == object);
	return NULL;
}

static void check_blocked(struct blocked *b)
{
	pthread_t thread;

	failing = b->name;
	blocked_tid = 0;
	set_times();
	b->take();
	CHECK(!pthread_create(&thread, NULL, call_blocked, b));
	while (!__atomic_load_n(&blocked_tid, __ATOMIC_SEQ_CST))
		usleep(1000);
	wait_until_asleep(blocked_tid);
	b->give();
	CHECK(!pthread_join(thread, NULL));
	failing = NULL;
}

/* -- what does not block -------------------------------------------------------------------------- */

static void check_free_locks(void)
{
	set_times();
	CHECK_NOT_RECORDED(CHECK(!pthread_mutex_lock(&mutex)); pthread_mutex_unlock(&mutex));
	CHECK_NOT_RECORDED(CHECK(!pthread_mutex_timedlock(&mutex, &realtime));
			   pthread_mutex_unlock(&mutex));
	CHECK_NOT_RECORDED(CHECK(!pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &monotonic));
			   pthread_mutex_unlock(&mutex));
	CHECK_NOT_RECORDED(CHECK(mtx_lock(&c11_mutex) == thrd_success); mtx_unlock(&c11_mutex));
	CHECK_NOT_RECORDED(CHECK(mtx_timedlock(&c11_mutex, &realtime) == thrd_success);
			   mtx_unlock(&c11_mutex));
	sem_post(&sem);
	CHECK_NOT_RECORDED(CHECK(!sem_wait(&sem)));
	sem_post(&sem);
	CHECK_NOT_RECORDED(CHECK(!sem_timedwait(&sem, &realtime)));
	sem_post(&sem);
	CHECK_NOT_RECORDED(CHECK(!sem_clockwait(&sem, CLOCK_MONOTONIC, &monotonic)));
}

static void check_holds(void)
{
	struct trace before = { 0 };

	if (trace())
		before = *trace();
	set_times();
	CHECK_NOT_RECORDED(CHECK(!pthread_rwlock_rdlock(&rwlock)));
	CHECK_NOT_RECORDED(CHECK(!pthread_rwlock_tryrdlock(&rwlock)));
	CHECK_NOT_RECORDED(CHECK(!pthread_rwlock_timedrdlock(&rwlock, &realtime)));
	CHECK_NOT_RECORDED(
		CHECK(!pthread_rwlock_clockrdlock(&rwlock, CLOCK_MONOTONIC, &monotonic)));
	CHECK_TRACE(trace()->holds_added == before.holds_added + 4);
	for (int i = 0; i < 4; i++)
		pthread_rwlock_unlock(&rwlock);
	CHECK_TRACE(trace()->holds_removed == before.holds_removed + 4);
	CHECK_NOT_RECORDED(CHECK(!pthread_rwlock_wrlock(&rwlock)));
	CHECK(pthread_rwlock_tryrdlock(&rwlock) == EBUSY);
	CHECK(!pthread_rwlock_unlock(&rwlock));
	CHECK_TRACE(trace()->holds_added == before.holds_added + 4);
	CHECK_TRACE(trace()->holds_removed == before.holds_removed + 4);
	CHECK_NOT_RECORDED(CHECK(!pthread_rwlock_timedwrlock(&rwlock, &realtime)));
	CHECK(!pthread_rwlock_unlock(&rwlock));
	CHECK_NOT_RECORDED(
		CHECK(!pthread_rwlock_clockwrlock(&rwlock, CLOCK_MONOTONIC, &monotonic)));
	CHECK(!pthread_rwlock_unlock(&rwlock));
}

static void check_recursive(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t again;
	mtx_t c11_again;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	CHECK(!pthread_mutex_init(&again, &attr));
	CHECK_NOT_RECORDED(CHECK(!pthread_mutex_lock(&again)));
	CHECK_NOT_RECORDED(CHECK(!pthread_mutex_lock(&again)));
	CHECK_NOT_RECORDED(CHECK(!pthread_mutex_timedlock(&again, &realtime)));
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_mutex_unlock(&again));
	CHECK(pthread_mutex_unlock(&again) == EPERM);
	CHECK(mtx_init(&c11_again, mtx_recursive) == thrd_success);
	CHECK_NOT_RECORDED(CHECK(mtx_lock(&c11_again) == thrd_success));
	CHECK_NOT_RECORDED(CHECK(mtx_lock(&c11_again) == thrd_success));
	CHECK(mtx_unlock(&c11_again) == thrd_success && mtx_unlock(&c11_again) == thrd_success);
}

/* A deadline that has passed, one out of all bounds, one that is none. */
static void check_deadlines(void)
{
	struct timespec past = { 0, 0 }, far = { INT64_MAX, 999999999 }, bad = { 1, -1 };

	CHECK_RECORDED(SEM_WAIT, &sem, CHECK(sem_timedwait(&sem, &past)));
	CHECK(errno == ETIMEDOUT);
	CHECK_TRACE(trace()->last.deadline_ns == 1);
	CHECK_RECORDED(SEM_WAIT, &sem, CHECK(sem_timedwait(&sem, &bad)));
	CHECK(errno == EINVAL);
	lock_write();
	CHECK_RECORDED(RWLOCK_RDLOCK, &rwlock,
		       CHECK(pthread_rwlock_clockrdlock(&rwlock, CLOCK_BOOTTIME, &far) == EINVAL));
	CHECK_TRACE(trace()->last.deadline_ns == 0);
	CHECK_RECORDED(RWLOCK_RDLOCK, &rwlock,
		       CHECK(pthread_rwlock_timedrdlock(&rwlock, &far) == EDEADLK));
	CHECK_TRACE(trace()->last.deadline_ns > 1ull << 62);
	unlock_rwlock();
}

static void check_joins(void)
{
	start_joined();
	CHECK(pthread_tryjoin_np(joined, NULL) == EBUSY);
	CHECK_TRACE(trace()->handle == joined);
	CHECK_TRACE(trace()->finds == 1 && trace()->joins == 0);
	end_joined();
	while (pthread_tryjoin_np(joined, NULL))
		usleep(1000);
	CHECK_TRACE(trace()->joins == 1);
	start_joined();
	CHECK(pthread_timedjoin_np(joined, NULL, &(struct timespec){ 1, 0 }) == ETIMEDOUT);
	CHECK_TRACE(trace()->joins == 1);
	CHECK(!pthread_detach(joined));
	CHECK_TRACE(trace()->detaches == 1 && trace()->handle == joined);
	end_joined();
	start_joined();
	CHECK(thrd_detach(joined) == thrd_success);
	CHECK_TRACE(trace()->detaches == 2);
	end_joined();
}

static void say_where(void)
{
	if (failing)
		fprintf(stderr, "in the check of %s\n", failing);
}

static void make_objects(void)
{
	pthread_condattr_t attr;

	CHECK(!pthread_rwlock_init(&rwlock, NULL));
	CHECK_TRACE(trace()->holds_forgotten == 1);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	CHECK(!pthread_cond_init(&monotonic_cond, &attr));
	CHECK(!pthread_barrier_init(&barrier, NULL, 2));
	CHECK(!sem_init(&sem, 0, 0) && !sem_init(&joined_may_end, 0, 0));
	CHECK(mtx_init(&c11_mutex, mtx_timed) == thrd_success);
	CHECK(mtx_init(&c11_cond_mutex, mtx_plain) == thrd_success);
	CHECK(cnd_init(&c11_cond) == thrd_success);
}

int main(void)
{
	atexit(say_where);
	trace_reset();
	make_objects();
	check_free_locks();
	check_holds();
	check_recursive();
	check_deadlines();
	check_joins();
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		check_blocked(&table[i]);
	CHECK(!pthread_cond_destroy(&monotonic_cond));
	CHECK(!pthread_rwlock_destroy(&rwlock));
	CHECK_TRACE(trace()->holds_forgotten == 2);
	puts("ok");
	return 0;
}
