/* SPDX-License-Identifier: MIT
 *
 * Futex calls: decoding of registers, and the classification of the waits of the very C library
 * that the test runs on. Frames are given as addresses inside its exported functions.
 */
#include <linux/futex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "readers/futex.h"
#include "target/maps.h"
#include "target/modules.h"

struct fixture {
	struct maps maps;
	struct modules *mods;
	struct libc *libc;
	const struct module *libc_module;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	*state = f;
	if (!f || maps_read(getpid(), &f->maps, &e) ||
	    modules_open(getpid(), &f->maps, &f->mods, &e) || libc_identify(f->mods, &f->libc, &e))
		return -1;
	for (size_t i = 0; i < modules_count(f->mods); i++)
		if (!strcmp(modules_get(f->mods, i)->name, "libc.so.6"))
			f->libc_module = modules_get(f->mods, i);
	return f->libc_module ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	libc_free(f->libc);
	modules_close(f->mods);
	maps_free(&f->maps);
	free(f);
	return 0;
}

/* An address inside the exported function. */
static uint64_t inside(const struct fixture *f, const char *name)
{
	struct module_symbol sym;

	assert_true(module_find_symbol(f->libc_module, name, false, &sym));
	return sym.address + 1;
}

/* An address in the library's text that belongs to no function that blocks. */
static uint64_t internal(const struct fixture *f)
{
	return inside(f, "getpid");
}

static struct arch_regs in_futex(uint64_t word, int op, uint32_t value, uint64_t timeout)
{
	struct arch_regs r = { 0 };

	r.raw.orig_rax = SYS_futex;
	r.raw.rax = (unsigned long long)-(long)ARCH_ERESTARTSYS;
	r.raw.rdi = word;
	r.raw.rsi = (unsigned long long)op;
	r.raw.rdx = value;
	r.raw.r10 = timeout;
	return r;
}

static struct futex_call call_of(uint64_t word, int op, uint32_t value, uint64_t timeout)
{
	struct arch_regs r = in_futex(word, op, value, timeout);
	struct futex_call c;

	assert_true(futex_decode(&r, SYS_futex, &c));
	return c;
}

static void expect(const struct fixture *f, const struct futex_call *call, const uint64_t *pcs,
		   size_t n, enum futex_meaning_kind kind, uint64_t object)
{
	struct futex_meaning m;

	futex_classify(f->libc, call, pcs, n, false, &m);
	assert_int_equal(m.kind, kind);
	assert_int_equal(m.object, object);
}

#define MUTEX_OP  (FUTEX_WAIT | FUTEX_PRIVATE_FLAG)
#define BITSET_OP (FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)
#define USER_PC	  UINT64_C(0x1000)

static void test_this_libc_is_recognised(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(libc_kind(f->libc), LIBC_GLIBC);
	assert_in_range(libc_minor(f->libc), 31, 41);
	assert_in_range(libc_tid_offset(f->libc), 16, 4096);
	assert_true(libc_has_code(f->libc, internal(f)));
	assert_false(libc_has_code(f->libc, USER_PC));
	assert_int_equal(libc_function_at(f->libc, inside(f, "pthread_mutex_lock")),
			 LIBC_FUNCTION_MUTEX_LOCK);
	assert_int_equal(libc_function_at(f->libc, internal(f)), LIBC_FUNCTION_NONE);
	assert_int_equal(libc_function_at(f->libc, 0), LIBC_FUNCTION_NONE);
	assert_int_equal(libc_function_at(f->libc, UINT64_MAX), LIBC_FUNCTION_NONE);
}

static void test_mutex_and_the_locks_that_look_like_it(void **state)
{
	const struct fixture *f = *state;
	struct futex_call c = call_of(0x8000, MUTEX_OP, 2, 0);
	uint64_t mutex[] = { internal(f), inside(f, "pthread_mutex_lock"), USER_PC };
	uint64_t stdio[] = { inside(f, "__lll_lock_wait_private"), internal(f), USER_PC };
	uint64_t rust[] = { inside(f, "syscall"), USER_PC };
	uint64_t inlined[] = { USER_PC, USER_PC };
	uint64_t nameless[] = { internal(f), USER_PC };

	expect(f, &c, mutex, 3, FUTEX_MEANS_MUTEX, 0x8000);
	expect(f, &c, stdio, 3, FUTEX_MEANS_LIBC_LOCK, 0x8000);
	expect(f, &c, rust, 2, FUTEX_MEANS_RAW, 0x8000);
	expect(f, &c, inlined, 2, FUTEX_MEANS_RAW, 0x8000);
	expect(f, &c, nameless, 2, FUTEX_MEANS_UNKNOWN, 0x8000);
	expect(f, &c, mutex, 0, FUTEX_MEANS_RAW, 0x8000); /* no stack: nothing is claimed */
}

static void test_cond_its_relock_and_its_inner_lock(void **state)
{
	const struct fixture *f = *state;
	struct futex_call wait0 = call_of(0x8028, BITSET_OP, 0, 0);
	struct futex_call wait1 = call_of(0x802c, BITSET_OP, 0, 0);
	struct futex_call lock = call_of(0x9000, MUTEX_OP, 2, 0);
	uint64_t wait[] = { internal(f), inside(f, "pthread_cond_wait"), USER_PC };
	uint64_t relock[] = { internal(f), internal(f), inside(f, "pthread_cond_wait"), USER_PC };
	uint64_t signal[] = { inside(f, "pthread_cond_signal"), USER_PC };
	uint64_t cond = libc_minor(f->libc) >= 41 ? 0x8008 : 0x8000;

	expect(f, &wait0, wait, 3, FUTEX_MEANS_COND, cond);
	expect(f, &wait1, wait, 3, FUTEX_MEANS_COND, cond);
	expect(f, &lock, relock, 4, FUTEX_MEANS_MUTEX, 0x9000);
	expect(f, &lock, wait, 3, FUTEX_MEANS_LIBC_LOCK, 0x9000);
	expect(f, &lock, signal, 2, FUTEX_MEANS_LIBC_LOCK, 0x9000);
}

static void test_semaphore_barrier_rwlock_once(void **state)
{
	const struct fixture *f = *state;
	struct futex_call sem = call_of(0x8000, BITSET_OP, 0, 0);
	struct futex_call barrier = call_of(0x8004, MUTEX_OP, 7, 0);
	struct futex_call phase = call_of(0x8008, BITSET_OP, 3, 0);
	struct futex_call turn = call_of(0x800c, BITSET_OP, 3, 0);
	struct futex_call writers_first = call_of(0x8000, BITSET_OP, 14, 0);
	struct futex_call once = call_of(0x8000, MUTEX_OP, 1, 0);
	uint64_t nameless[] = { internal(f), internal(f), USER_PC };
	uint64_t in_barrier[] = { inside(f, "pthread_barrier_wait"), USER_PC };
	uint64_t reading[] = { inside(f, "pthread_rwlock_rdlock"), USER_PC };
	uint64_t writing[] = { internal(f), inside(f, "pthread_rwlock_wrlock"), USER_PC };
	uint64_t in_once[] = { internal(f), inside(f, "pthread_once"), USER_PC };

	expect(f, &sem, nameless, 3, FUTEX_MEANS_SEMAPHORE, 0x8000);
	expect(f, &barrier, in_barrier, 2, FUTEX_MEANS_BARRIER, 0x8000);
	expect(f, &phase, reading, 2, FUTEX_MEANS_RWLOCK_READ, 0x8000);
	expect(f, &turn, writing, 3, FUTEX_MEANS_RWLOCK_WRITE, 0x8000);
	expect(f, &writers_first, reading, 2, FUTEX_MEANS_RWLOCK_READ, 0x8000);
	expect(f, &once, in_once, 3, FUTEX_MEANS_ONCE, 0x8000);
}

static void test_join_needs_a_shared_futex(void **state)
{
	const struct fixture *f = *state;
	struct futex_call join = call_of(0x8000, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 4711, 0);
	struct futex_call own = call_of(0x8000, BITSET_OP, 4711, 0);
	uint64_t pcs[] = { internal(f), inside(f, "pthread_join"), USER_PC };
	struct futex_meaning m;

	futex_classify(f->libc, &join, pcs, 3, true, &m);
	assert_int_equal(m.kind, FUTEX_MEANS_JOIN);
	futex_classify(f->libc, &own, pcs, 3, true, &m);
	assert_int_not_equal(m.kind, FUTEX_MEANS_JOIN);
	expect(f, &join, pcs, 3, FUTEX_MEANS_UNKNOWN, 0x8000);
}

static void test_priority_inheritance(void **state)
{
	const struct fixture *f = *state;
	struct futex_call pi = call_of(0x8000, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, 0);
	struct futex_call parked = call_of(0x7ffe1000, BITSET_OP, 0, 0);
	uint64_t pcs[] = { internal(f), inside(f, "pthread_mutex_lock"), USER_PC };

	expect(f, &pi, pcs, 3, FUTEX_MEANS_MUTEX, 0x8000);
	expect(f, &parked, pcs, 3, FUTEX_MEANS_UNKNOWN, 0x7ffe1000);
}

static void test_asleep_means_interrupted_and_unchanged(void **state)
{
	struct arch_regs r = in_futex(0x8000, MUTEX_OP, 2, 0);
	struct futex_call c;

	(void)state;
	assert_true(futex_decode(&r, SYS_futex, &c));
	assert_true(futex_is_asleep(&r, &c, 2));
	assert_false(futex_is_asleep(&r, &c, 0)); /* unlocked meanwhile: it is being woken */
	r.raw.rax = 0;
	assert_false(futex_is_asleep(&r, &c, 2)); /* has been woken */
	r.raw.rax = (unsigned long long)-(long)ARCH_ERESTARTSYS;
	r.raw.orig_rax = (unsigned long long)-1;
	assert_false(futex_is_asleep(&r, &c, 2)); /* in its own code */
	r = in_futex(0x8000, FUTEX_LOCK_PI, 0, 0);
	r.raw.rax = (unsigned long long)-(long)ARCH_ERESTARTNOINTR;
	assert_true(futex_decode(&r, SYS_futex, &c));
	assert_true(futex_is_asleep(&r, &c, FUTEX_WAITERS | 4711));
	assert_false(futex_is_asleep(&r, &c, 4711));
	assert_false(futex_is_asleep(&r, &c, 0));
}

static void test_what_is_no_wait(void **state)
{
	struct arch_regs wake = in_futex(0x8000, FUTEX_WAKE, 1, 0);
	struct arch_regs requeue = in_futex(0x8000, FUTEX_CMP_REQUEUE, 1, 0);
	struct futex_call c;

	(void)state;
	assert_false(futex_decode(&wake, SYS_futex, &c));
	assert_false(futex_decode(&requeue, SYS_futex, &c));
	assert_false(futex_decode(&wake, SYS_read, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_this_libc_is_recognised),
		cmocka_unit_test(test_mutex_and_the_locks_that_look_like_it),
		cmocka_unit_test(test_cond_its_relock_and_its_inner_lock),
		cmocka_unit_test(test_semaphore_barrier_rwlock_once),
		cmocka_unit_test(test_join_needs_a_shared_futex),
		cmocka_unit_test(test_priority_inheritance),
		cmocka_unit_test(test_asleep_means_interrupted_and_unchanged),
		cmocka_unit_test(test_what_is_no_wait),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
