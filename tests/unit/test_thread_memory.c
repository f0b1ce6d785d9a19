/* SPDX-License-Identifier: MIT
 *
 * Stacks, thread-locals and descriptors of another process's threads, compared with what those
 * threads say of themselves.
 */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "readers/thread_memory.h"
#include "target/memory.h"
#include "thread_child.h"

static struct board *board;

static struct look {
	pid_t pid;
	struct target *target;
	struct capture *capture;
	struct modules *modules;
	struct libc *libc;
	struct unwinder *unwinder;
	struct memory_source memory;
	struct thread_memories memories;
} look;

static size_t read_process(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	return memory_read(*(pid_t *)ctx, address, buf, bytes);
}

static void read_again(void)
{
	struct threads_input in = { .target = look.target,
				    .capture = look.capture,
				    .modules = look.modules,
				    .libc = look.libc,
				    .unwinder = look.unwinder };
	bool with_frames[64];
	struct err e;

	memset(with_frames, 1, sizeof(with_frames));
	assert_true(stop_count(look.capture->stop) < 64);
	thread_memories_free(&look.memories);
	assert_int_equal(thread_memories_read(&in, &look.memory, with_frames, &look.memories, &e),
			 0);
}

/* Is the thread of this role where it stays? One that is unborn is not waited for. */
static bool is_asleep(enum role role)
{
	pid_t tid = __atomic_load_n(&board->facts[role].tid, __ATOMIC_ACQUIRE);

	return role == ROLE_UNBORN || role == ROLE_RECORDED ||
	       (tid && child_sleeps(tid, SYS_futex));
}

static bool wait_for_child(void)
{
	for (int i = 0; i < 10000; i++) {
		enum role role = 0;

		while (role < ROLES && is_asleep(role))
			role++;
		if (role == ROLES)
			return __atomic_load_n(&board->ready, __ATOMIC_ACQUIRE);
		usleep(1000);
	}
	return false;
}

static int setup(void **state)
{
	/* However busy the machine is: every thread has to stop. */
	struct stop_limits limits = { 20000000000, 2000000000, 3, 0 };
	int fd = memfd_create("board", 0);
	char text[16];
	struct err e;

	(void)state;
	snprintf(text, sizeof(text), "%d", fd);
	if (fd < 0 || ftruncate(fd, sizeof(*board)))
		return -1;
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	look.pid = fork();
	if (!look.pid) {
		execl("/proc/self/exe", "test_thread_memory", text, NULL);
		_exit(1);
	}
	if (!wait_for_child())
		return -1;
	if (target_open(look.pid, &look.target, &e) ||
	    capture_take(look.target, &limits, NULL, NULL, &look.capture, &e) ||
	    modules_open(look.pid, &look.capture->maps, &look.modules, &e) ||
	    libc_identify(look.modules, &look.libc, &e) ||
	    unwinder_create(look.modules, read_process, &look.pid, &look.unwinder, &e))
		return -1;
	look.memory = (struct memory_source){ read_process, &look.pid };
	read_again();
	return 0;
}

static int teardown(void **state)
{
	char path[64];

	(void)state;
	kill(look.pid, SIGKILL);
	waitpid(look.pid, NULL, 0);
	snprintf(path, sizeof(path), THREAD_CHILD_TABLE, (int)look.pid);
	unlink(path);
	thread_memories_free(&look.memories);
	unwinder_free(look.unwinder);
	libc_free(look.libc);
	modules_close(look.modules);
	capture_free(look.capture);
	target_close(look.target);
	return 0;
}

static const struct thread_memory *find_handle(uint64_t handle)
{
	for (size_t i = 0; i < look.memories.n; i++) {
		const struct thread_memory *t = &look.memories.v[i];
		const struct stop_thread *s = stop_thread(look.capture->stop, t->index);

		if (arch_thread_pointer(&s->regs) == handle)
			return t;
	}
	fail_msg("no thread %#llx", (unsigned long long)handle);
	return NULL;
}

static const struct thread_memory *find_role(enum role role)
{
	return find_handle(board->facts[role].handle);
}

static uint64_t sp_of(const struct thread_memory *t)
{
	return arch_sp(&stop_thread(look.capture->stop, t->index)->regs);
}

/* The frame that holds `address`, from the innermost on; -1: none. */
static int find_frame(const struct thread_memory *t, uint64_t address)
{
	uint64_t start = sp_of(t);

	for (size_t i = 0; i < t->frame_count; start = t->frames[i++])
		if (address >= start && address < t->frames[i])
			return (int)i;
	return -1;
}

static void check_frames(enum role role)
{
	const struct facts *f = &board->facts[role];
	const struct thread_memory *t = find_role(role);
	uint64_t before = sp_of(t);
	int inner = find_frame(t, f->local), outer = find_frame(t, f->outer_local);

	assert_true(t->frame_count >= 4);
	for (size_t i = 0; i < t->frame_count; before = t->frames[i++])
		assert_true(t->frames[i] > before && t->frames[i] <= t->stack.end);
	assert_true(inner >= 1);
	assert_int_equal(outer, inner + 1);
}

/* A stack that glibc made begins with its guard, which pthread_getattr_np() leaves out. */
static void check_stack(enum role role)
{
	const struct facts *f = &board->facts[role];
	const struct thread_memory *t = find_role(role);

	assert_true(t->stack.start <= f->lowest && f->lowest - t->stack.start <= 65536);
	assert_true(t->stack.end == f->end);
}

static void check_unknown_stack(enum role role)
{
	const struct thread_memory *t = find_role(role);

	assert_true(!t->stack.start && !t->stack.end);
	assert_int_equal(t->frame_count, 0);
	assert_true(t->descriptor.start == board->facts[role].handle);
}

static void check_unknown(enum role role)
{
	const struct thread_memory *t = find_role(role);

	assert_true(!t->stack.end && !t->tls.end && !t->descriptor.end && !t->error_number.end);
	assert_true(!t->frame_count && !t->local_count && !t->link_count);
}

/* -- tests --------------------------------------------------------------------------------------- */

static void test_stacks(void **state)
{
	static const enum role roles[] = { ROLE_PLAIN, ROLE_IN_HEAP, ROLE_IN_STATIC,
					   ROLE_NO_GUARD };

	(void)state;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		check_stack(roles[i]);
		check_frames(roles[i]);
		assert_true(find_role(roles[i])->begun);
	}
}

static void test_main(void **state)
{
	const struct facts *f = &board->facts[ROLE_MAIN];
	const struct thread_memory *t = find_role(ROLE_MAIN);

	(void)state;
	assert_true(t->stack.start <= f->local && f->local < t->stack.end);
	assert_true(t->stack.end >= f->end && t->stack.end - f->end < 65536);
	assert_true(t->begun);
	check_frames(ROLE_MAIN);
}

/* All of it may be in use. */
static void test_elsewhere(void **state)
{
	static const enum role roles[] = { ROLE_ALTERNATE, ROLE_COROUTINE };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct thread_memory *t = find_role(roles[i]);

		check_stack(roles[i]);
		assert_true(sp_of(t) < t->stack.start || sp_of(t) >= t->stack.end);
		assert_int_equal(t->frame_count, 0);
	}
}

static void test_nested(void **state)
{
	(void)state;
	check_unknown_stack(ROLE_NESTED_ALT);
	check_unknown_stack(ROLE_NESTED_CORO);
	check_unknown_stack(ROLE_DEEP);
	check_unknown_stack(ROLE_OUTER);
	check_unknown(ROLE_INNER);
}

/* One's stack that is not known holds another's that is: it must not be parted by that. */
static void test_nested_in_unknown(void **state)
{
	(void)state;
	assert_true(find_role(ROLE_IN_DEEP)->begun);
	check_unknown(ROLE_IN_DEEP);
}

static void test_lent(void **state)
{
	const struct thread_memory *t = find_role(ROLE_BORROWER);

	(void)state;
	check_unknown_stack(ROLE_LENDER);
	check_stack(ROLE_BORROWER);
	assert_true(sp_of(t) < t->stack.start || sp_of(t) >= t->stack.end);
}

static bool holds(const struct extent *e, uint64_t address)
{
	return address >= e->start && address < e->end;
}

static const struct thread_locals *find_locals(const struct thread_memory *t, uint64_t address)
{
	for (size_t i = 0; i < t->local_count; i++)
		if (address >= t->locals[i].at.start && address < t->locals[i].at.end)
			return &t->locals[i];
	return NULL;
}

static void check_locals(enum role role)
{
	const struct facts *f = &board->facts[role];
	const struct thread_memory *t = find_role(role);
	const struct thread_locals *l = find_locals(t, f->own_locals);
	const struct module *libc, *threads;

	assert_true(t->tls.end == f->handle && t->tls.start == t->locals[0].at.start);
	for (size_t i = 0; i + 1 < t->local_count; i++)
		assert_true(t->locals[i].at.end <= t->locals[i + 1].at.start);
	assert_true(t->locals[t->local_count - 1].at.end <= t->tls.end);
	assert_non_null(l);
	assert_true(l->module->main_program);
	assert_true(f->own_locals + THREAD_CHILD_LOCALS <= l->at.end);
	assert_true(t->error_number.start == f->errno_at);
	assert_true(t->error_number.end == f->errno_at + sizeof(errno));
	l = find_locals(t, f->errno_at);
	assert_non_null(l);
	libc_get_modules(look.libc, &libc, &threads);
	assert_ptr_equal(l->module, libc);
}

static void test_locals(void **state)
{
	(void)state;
	for (enum role role = 0; role < ROLES; role++)
		if (find_role(role)->descriptor.end && role != ROLE_UNBORN && role != ROLE_RECORDED)
			check_locals(role);
}

/* Those of a library that was opened late lie in the heap, unless the loader found room. */
static void test_library_locals(void **state)
{
	(void)state;
	if (!board->facts[ROLE_MAIN].library_locals)
		skip();
	for (enum role role = 0; role <= ROLE_NO_GUARD; role++) {
		const struct thread_memory *t = find_role(role);
		uint64_t at = board->facts[role].library_locals;
		const struct thread_locals *l = find_locals(t, at);

		assert_int_equal(l != NULL, holds(&t->tls, at));
		if (l)
			assert_string_equal(l->module->soname, "libstdc++.so.6");
	}
}

static void test_descriptors(void **state)
{
	uint64_t words[4];

	(void)state;
	for (enum role role = 0; role < ROLES; role++) {
		const struct thread_memory *t;

		if (board->unborn_fails && (role == ROLE_UNBORN || role == ROLE_RECORDED))
			continue;
		t = find_role(role);
		if (!t->descriptor.end)
			continue;
		assert_true(t->descriptor.start == board->facts[role].handle);
		if (t->stack.end && role != ROLE_MAIN)
			assert_true(t->descriptor.end <= t->stack.end &&
				    t->stack.end - t->descriptor.end < 4096);
		assert_int_equal(t->link_count, t->begun ? 2 : 1);
		/* the neighbours in the list lead back */
		assert_true(source_read(&look.memory, t->links[0].start, words, 16));
		assert_true(source_read(&look.memory, words[0], words + 2, 16));
		assert_true(words[3] == t->links[0].start);
	}
}

/* A sanitizer begins threads in a routine of its own. */
#ifdef __SANITIZE_ADDRESS__
#define OTHERS_BEGIN true
#else
#define OTHERS_BEGIN false
#endif

static void test_start_routine(void **state)
{
	const struct thread_memory *t = find_role(ROLE_NO_GUARD);
	uint64_t words[2];

	(void)state;
	if (OTHERS_BEGIN)
		skip();
	assert_int_equal(t->link_count, 2);
	assert_true(source_read(&look.memory, t->links[1].start, words, sizeof(words)));
	assert_int_equal(words[1], ROLE_NO_GUARD);
}

static void test_unborn(void **state)
{
	const struct thread_memory *t;

	(void)state;
	if (board->unborn_fails)
		skip();
	t = find_role(ROLE_UNBORN);
	assert_false(t->begun);
	assert_int_equal(t->link_count, 1);
	assert_true(t->argument == 0);
	t = find_role(ROLE_RECORDED);
	assert_false(t->begun);
	if (!OTHERS_BEGIN)
		assert_true(t->argument && t->argument == board->argument);
}

static void test_cached(void **state)
{
	const struct thread_memories *all = &look.memories;

	(void)state;
	if (look.memories.list_count < 3)
		skip();
	/* the newborns took one each */
	assert_int_equal(all->cached_count,
			 board->unborn_fails ? THREAD_CHILD_CACHED : THREAD_CHILD_CACHED - 2);
	for (size_t i = 0; i < all->cached_count; i++) {
		size_t whose = 0;

		for (size_t k = 0; k < THREAD_CHILD_CACHED; k++)
			whose += holds(&all->cached[i], board->ended[k]) &&
				 holds(&all->cached[i], board->ended_handle[k]);
		assert_int_equal(whose, 1);
		for (size_t k = 0; k < all->n; k++)
			assert_false(holds(&all->v[k].stack, all->cached[i].start));
	}
}

/* A forked process has stacks in the list that are its parent's threads'. */
static void test_cached_forked(void **state)
{
	(void)state;
	if (!look.memories.cached_count)
		skip();
	look.target->forked = true;
	read_again();
	assert_int_equal(look.memories.cached_count, 0);
	assert_true(find_role(ROLE_MAIN)->stack.end);
	assert_true(find_role(ROLE_PLAIN)->stack.end);
}

/* One word of the process's memory that reads differently. */
static struct {
	uint64_t at, value;
} patch;

static size_t read_patched(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	size_t n = read_process(ctx, address, buf, bytes);

	for (size_t i = 0; i < n; i++)
		if (address + i - patch.at < sizeof(patch.value))
			((uint8_t *)buf)[i] = ((uint8_t *)&patch.value)[address + i - patch.at];
	return n;
}

static void look_patched(uint64_t at, uint64_t value)
{
	patch.at = at;
	patch.value = value;
	look.memory.read = read_patched;
	read_again();
}

static uint64_t word_at(uint64_t at)
{
	uint64_t word;

	assert_int_equal(read_process(&look.pid, at, &word, sizeof(word)), sizeof(word));
	return word;
}

static int unpatch(void **state)
{
	(void)state;
	look.memory.read = read_process;
	look.target->forked = false;
	read_again();
	return 0;
}

/* A change that is under way, or has gone wrong: the list is not believed. */
static void test_cache_damaged(void **state)
{
	struct libc_layout layout;
	uint64_t head, first;

	(void)state;
	if (look.memories.list_count < 3)
		skip();
	assert_true(libc_read_layout(look.libc, look.modules, &layout));
	head = look.memories.lists[2].start;
	first = word_at(head);
	look_patched(layout.cached_bytes, word_at(layout.cached_bytes) + 4096);
	assert_int_equal(look.memories.cached_count, 0);
	look_patched(layout.in_flight, first);
	assert_int_equal(look.memories.cached_count, 0);
	look_patched(layout.stacks_lock, 1);
	assert_int_equal(look.memories.cached_count, 0);
	look_patched(first + 8, first); /* a link back */
	assert_int_equal(look.memories.cached_count, 0);
	look_patched(first + 16, 4711); /* its thread is there still */
	assert_int_equal(look.memories.cached_count, 0);
}

/* Another's descriptor, or none. */
static void test_descriptor_damaged(void **state)
{
	uint64_t handle = board->facts[ROLE_PLAIN].handle;

	(void)state;
	look_patched(handle + libc_tid_offset(look.libc), 1);
	assert_true(!find_handle(handle)->descriptor.end && !find_handle(handle)->stack.end);
	assert_int_equal(find_handle(handle)->link_count, 0);
	look_patched(handle + 16, handle + 8);
	assert_true(!find_handle(handle)->descriptor.end && !find_handle(handle)->tls.end);
}

/* The stack's place in the descriptor: a size that does not fit, and two that do. */
static void test_stack_damaged(void **state)
{
	uint64_t handle = board->facts[ROLE_PLAIN].handle, at = handle;
	struct extent stack = find_handle(handle)->stack;

	(void)state;
	while (word_at(at) != stack.start || word_at(at + 8) != stack.end - stack.start)
		at += 8;
	look_patched(at + 8, stack.end - stack.start + 65536);
	assert_true(!find_handle(handle)->stack.end);
	assert_true(find_handle(handle)->descriptor.end);
	look_patched(at, stack.start - (512 << 20));
	assert_true(!find_handle(handle)->stack.end);
}

/* Distances that overlap, or lead nowhere: no module's thread-locals are believed. */
static void test_locals_damaged(void **state)
{
	uint64_t handle = board->facts[ROLE_PLAIN].handle;
	uint64_t below = handle - find_handle(handle)->locals[0].at.start, map = 0;
	struct libc_layout layout;
	uint64_t list, entry;

	(void)state;
	assert_true(libc_read_layout(look.libc, look.modules, &layout));
	list = word_at(layout.tls_modules);
	for (uint64_t i = 1; i < word_at(list) && !map; i++) {
		entry = word_at(list + 16 + 16 * i + 8);
		if (entry && word_at(entry + layout.tls_offset) == below)
			map = entry;
	}
	assert_true(map);
	look_patched(map + layout.tls_offset, below - 8);
	assert_true(!find_handle(handle)->tls.end && !find_handle(handle)->local_count);
	assert_true(find_handle(handle)->stack.end);
	look_patched(map + layout.tls_offset, UINT64_MAX);
	assert_true(find_handle(handle)->tls.start > handle - below);
	look_patched(map, 0x1000);
	assert_true(find_handle(handle)->tls.start > handle - below);
}

/* Every now and then a word of what is read is anything. */
static uint64_t seed;

static uint32_t draw(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33);
}

static size_t read_garbage(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	size_t n = read_process(ctx, address, buf, bytes);
	uint64_t word = draw();

	if (n < sizeof(word) || draw() % 4)
		return draw() % 64 ? n : n / 2;
	if (draw() % 2)
		word = address + word % 65536;
	if (draw() % 4 == 0)
		word = UINT64_MAX - word % 4096;
	memcpy((uint8_t *)buf + draw() % (n - sizeof(word) + 1), &word, sizeof(word));
	return n;
}

static void check_sane(const struct thread_memory *t)
{
	assert_true(t->stack.start <= t->stack.end && t->tls.start <= t->tls.end);
	for (size_t i = 0; i < t->local_count; i++)
		assert_true(t->locals[i].at.start >= t->tls.start &&
			    t->locals[i].at.end <= t->tls.end);
	for (size_t i = 0; i < t->frame_count; i++)
		assert_true(t->frames[i] > t->stack.start && t->frames[i] <= t->stack.end);
	assert_true(t->link_count <= 2);
}

static void test_garbage(void **state)
{
	(void)state;
	look.memory.read = read_garbage;
	for (seed = 1; seed < 1000; seed += 7) {
		uint64_t now = seed;

		read_again();
		for (size_t i = 0; i < look.memories.n; i++)
			check_sane(&look.memories.v[i]);
		seed = now;
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stacks),
		cmocka_unit_test(test_main),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_nested_in_unknown),
		cmocka_unit_test(test_lent),
		cmocka_unit_test(test_locals),
		cmocka_unit_test(test_library_locals),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_start_routine),
		cmocka_unit_test(test_unborn),
		cmocka_unit_test(test_cached),
		cmocka_unit_test_teardown(test_cached_forked, unpatch),
		cmocka_unit_test_teardown(test_cache_damaged, unpatch),
		cmocka_unit_test_teardown(test_descriptor_damaged, unpatch),
		cmocka_unit_test_teardown(test_stack_damaged, unpatch),
		cmocka_unit_test_teardown(test_locals_damaged, unpatch),
		cmocka_unit_test_teardown(test_garbage, unpatch),
	};

	if (argc > 1)
		return thread_child_run(argv[1]);
	return cmocka_run_group_tests(tests, setup, teardown);
}
