/* SPDX-License-Identifier: MIT
 *
 * Unwinding: stacks of this very process against those that the compiler's own unwinder gives,
 * signal frames, code without description, damaged descriptions, corrupt stacks.
 */
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cmocka.h>

#include "sample.h"
#include "stack/unwind.h"
#include "target/elf_file.h"
#include "target/memory.h"

/* A function that keeps its own frame, name and address. */
#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif

/* What one walk is made of and gave. */
struct walk {
	struct maps maps;
	struct modules *mods;
	struct unwinder *u;
	struct unwind_frame v[UNWIND_FRAMES_MAX];
	size_t n;
	bool complete;
	void *expected[UNWIND_FRAMES_MAX]; /* by the compiler's unwinder */
	int expected_n;
	uint64_t patch_at, patch_to; /* a word of memory that reads differently; 0: none */
	bool blind;		     /* no memory can be read */
	bool alone;		     /* do not ask the compiler's unwinder */
};

static struct walk w;
static volatile int sink;

static size_t read_memory(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	size_t n;

	(void)ctx;
	if (w.blind)
		return 0;
	n = memory_read(getpid(), address, buf, bytes);
	if (w.patch_at >= address && w.patch_at - address + 8 <= n)
		memcpy((char *)buf + (w.patch_at - address), &w.patch_to, 8);
	return n;
}

static int setup(void **state)
{
	struct err e;

	(void)state;
	memset(&w, 0, sizeof(w));
	return maps_read(getpid(), &w.maps, &e) || modules_open(getpid(), &w.maps, &w.mods, &e) ||
	       unwinder_create(w.mods, read_memory, NULL, &w.u, &e);
}

static int teardown(void **state)
{
	(void)state;
	unwinder_free(w.u);
	modules_close(w.mods);
	maps_free(&w.maps);
	return 0;
}

static void regs_from_context(struct arch_regs *r, const ucontext_t *c)
{
	const greg_t *g = c->uc_mcontext.gregs;

	memset(r, 0, sizeof(*r));
	r->raw.rip = (uint64_t)g[REG_RIP];
	r->raw.rsp = (uint64_t)g[REG_RSP];
	r->raw.rbp = (uint64_t)g[REG_RBP];
	r->raw.rbx = (uint64_t)g[REG_RBX];
	r->raw.r12 = (uint64_t)g[REG_R12];
	r->raw.r13 = (uint64_t)g[REG_R13];
	r->raw.r14 = (uint64_t)g[REG_R14];
	r->raw.r15 = (uint64_t)g[REG_R15];
}

/* Walk the stack from here. */
static NOINLINE void take_walk(void)
{
	struct arch_regs regs;
	ucontext_t here;

	assert_int_equal(getcontext(&here), 0);
	regs_from_context(&regs, &here);
	if (!w.alone)
		w.expected_n = backtrace(w.expected, UNWIND_FRAMES_MAX);
	unwinder_walk(w.u, &regs, w.v, UNWIND_FRAMES_MAX, &w.n, &w.complete);
	sink++;
}

/* All return addresses above take_walk() itself must be those that were expected. */
static void check_addresses(void)
{
	size_t first = 0;

	/* a sanitizer's own backtrace() adds a frame */
	while (first < (size_t)w.expected_n && (uintptr_t)w.expected[first] != w.v[1].ip)
		first++;
	assert_int_equal(w.expected_n - first, w.n - 1);
	for (size_t i = 1; i < w.n; i++)
		assert_true(w.v[i].ip == (uintptr_t)w.expected[first + i - 1]);
}

static void check_walk(void)
{
	assert_true(w.n >= 3);
	assert_true(w.v[0].exact);
	check_addresses();
	for (size_t i = 1; i < w.n; i++)
		assert_true(w.v[i].sp > w.v[i - 1].sp);
}

static NOINLINE void outer(int depth, char *text)
{
	char more[64];

	memset(more, depth, sizeof(more));
	if (depth)
		outer(depth - 1, more);
	else
		take_walk();
	sink += more[depth % 64] + text[0];
}

static void test_own_stack(void **state)
{
	char text[4] = "";

	(void)state;
	outer(20, text);
	check_walk();
	assert_true(w.n >= 24);
	assert_true(w.complete);
}

static void *thread_walks(void *arg)
{
	(void)arg;
	take_walk();
	sink++;
	return NULL;
}

static void test_thread(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, thread_walks, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	check_walk();
	assert_true(w.complete);
}

static void test_too_deep(void **state)
{
	char text[4] = "";

	(void)state;
	outer(400, text);
	assert_int_equal(w.n, UNWIND_FRAMES_MAX);
	assert_false(w.complete);
}

static void on_signal(int sig)
{
	(void)sig;
	take_walk();
	sink++;
}

static NOINLINE void raise_here(int sig)
{
	long rax;

	__asm__ volatile("syscall"
			 : "=a"(rax)
			 : "a"(62L), "D"((long)getpid()), "S"((long)sig)
			 : "rcx", "r11", "memory");
	sink += (int)rax;
}

/* The frame below the handler is the trampoline, the one below that was interrupted: both are to
 * be looked up as they are. */
static void check_signal_walk(void)
{
	size_t i = 0;
	uint64_t f = (uintptr_t)&raise_here;

	while (i < w.n && !(w.v[i].exact && w.v[i].ip > f && w.v[i].ip < f + 256))
		i++;
	assert_in_range(i, 3, w.n - 2);
	assert_true(w.v[i - 1].exact);
	assert_false(w.v[i - 2].exact);
	assert_false(w.v[i + 1].exact);
	assert_true(w.complete);
	check_addresses();
}

static void test_signal(void **state)
{
	struct sigaction action = { .sa_handler = on_signal };

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	raise_here(SIGUSR1);
	check_signal_walk();
}

static void test_signal_stack(void **state)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	stack_t own = { .ss_sp = malloc(262144), .ss_size = 262144 }, old;

	(void)state;
	assert_int_equal(sigaltstack(&own, &old), 0);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	raise_here(SIGUSR1);
	check_signal_walk();
	assert_int_equal(sigaltstack(&old, NULL), 0);
	free(own.ss_sp);
}

/* Functions without description: what they do to the stack is in their code only. */
__asm__(".text\n"
	".type bare_pushes, @function\n"
	"bare_pushes:\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	sub $88, %rsp\n"
	"	xor %ebx, %ebx\n"
	"	movabs $0x1234, %r12\n"
	"	call *%rdi\n"
	"	test %ebx, %ebx\n"
	"	jne 1f\n"
	"	add $88, %rsp\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	ret\n"
	"1:	ud2\n"
	".size bare_pushes, . - bare_pushes\n"
	".type bare_frame, @function\n"
	"bare_frame:\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	and $-64, %rsp\n"
	"	sub $64, %rsp\n"
	"	call *%rdi\n"
	"	jmp 3f\n"
	"2:	leave\n"
	"	ret\n"
	"3:	jmp 2b\n"
	".size bare_frame, . - bare_frame\n"
	/* nothing says where this goes, but there is a frame pointer */
	".type bare_lost, @function\n"
	"bare_lost:\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	sub $32, %rsp\n"
	"	lea 4f(%rip), %rax\n"
	"	mov %rax, -8(%rbp)\n"
	"	call *%rdi\n"
	"	jmp *-8(%rbp)\n"
	"	.fill 4, 1, 0x06\n"
	"4:	leave\n"
	"	ret\n"
	".size bare_lost, . - bare_lost\n"
	/* described wrongly: rbx is said to be in register 8191, rsp times a hundred */
	".type described_wrongly, @function\n"
	"described_wrongly:\n"
	"	.cfi_startproc\n"
	"	push %rbx\n"
	"	.cfi_escape 0x0e, 0x10\n"
	"	.cfi_escape 0x09, 0x03, 0xff, 0x3f\n"
	"	call *%rdi\n"
	"	pop %rbx\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size described_wrongly, . - described_wrongly\n"
	/* an expression that divides the least number by -1 */
	".type divides, @function\n"
	"divides:\n"
	"	.cfi_startproc\n"
	"	push %rbx\n"
	"	.cfi_escape 0x0f, 0x0c, 0x0e, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x09, 0xff, 0x1b\n"
	"	call *%rdi\n"
	"	pop %rbx\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size divides, . - divides\n");

void bare_pushes(void (*f)(void));
void bare_frame(void (*f)(void));
void bare_lost(void (*f)(void));
void described_wrongly(void (*f)(void));
void divides(void (*f)(void));

static NOINLINE void calls(void (*f)(void (*)(void)))
{
	f(take_walk);
	sink++;
}

static bool in_function(uint64_t ip, void (*f)(void (*)(void)))
{
	return ip > (uintptr_t)f && ip < (uintptr_t)f + 128;
}

static void test_undescribed(void **state)
{
	static void (*const v[])(void (*)(void)) = { bare_pushes, bare_frame, bare_lost,
						     described_wrongly, divides };

	(void)state;
	w.alone = true; /* it would crash on the wrong ones */
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		calls(v[i]);
		assert_true(w.n >= 4);
		assert_true(in_function(w.v[1].ip, v[i]));
		assert_true(w.v[2].ip > (uintptr_t)&calls && w.v[2].ip < (uintptr_t)&calls + 256);
		assert_true(w.v[3].ip > (uintptr_t)&test_undescribed &&
			    w.v[3].ip < (uintptr_t)&test_undescribed + 512);
		assert_true(w.complete);
	}
	w.alone = false;
}

/* The same registers, walked again with other memory. */
static NOINLINE void walk_with(uint64_t *patched, uint64_t to)
{
	struct arch_regs regs;
	ucontext_t here;

	assert_int_equal(getcontext(&here), 0);
	regs_from_context(&regs, &here);
	unwinder_walk(w.u, &regs, w.v, UNWIND_FRAMES_MAX, &w.n, &w.complete);
	assert_true(w.complete && w.n > 3);
	/* the slot of the first return address lies just below the caller's stack pointer */
	w.patch_at = w.v[1].sp - 8;
	w.patch_to = to;
	unwinder_walk(w.u, &regs, w.v, UNWIND_FRAMES_MAX, &w.n, &w.complete);
	*patched = w.patch_at;
	w.patch_at = 0;
}

static void test_corrupt(void **state)
{
	static const uint64_t garbage[] = { 0x4141414141414141, 1, UINT64_MAX, 0x7fffffffffff,
					    0xff00000000000000 };
	uint64_t at;

	(void)state;
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		walk_with(&at, garbage[i]);
		assert_true(w.n >= 1 && w.n <= 3);
		assert_true(w.v[1].ip == garbage[i]);
		assert_false(w.complete);
	}
	/* back to where it came from: the stack pointer rises or the walk ends */
	walk_with(&at, (uintptr_t)&walk_with + 8);
	assert_true(w.n < UNWIND_FRAMES_MAX);
	assert_true(at != 0);
}

static void test_no_memory(void **state)
{
	struct arch_regs regs;
	ucontext_t here;

	(void)state;
	assert_int_equal(getcontext(&here), 0);
	regs_from_context(&regs, &here);
	w.blind = true;
	unwinder_walk(w.u, &regs, w.v, UNWIND_FRAMES_MAX, &w.n, &w.complete);
	w.blind = false;
	assert_int_equal(w.n, 1);
	assert_false(w.complete);
	unwinder_walk(w.u, &regs, w.v, 2, &w.n, &w.complete);
	assert_int_equal(w.n, 2);
	assert_false(w.complete);
}

/* A thread about to run its first instruction at `entry`, called from here. */
static void check_entry(uint64_t entry)
{
	uint64_t stack[64] = { 0 };
	struct arch_regs regs;

	memset(&regs, 0, sizeof(regs));
	stack[8] = (uintptr_t)&check_entry + 4;
	regs.raw.rip = entry;
	regs.raw.rsp = (uintptr_t)&stack[8];
	unwinder_walk(w.u, &regs, w.v, 2, &w.n, &w.complete);
	assert_int_equal(w.n, 2);
	assert_true(w.v[0].exact && !w.v[1].exact);
	assert_true(w.v[1].ip == stack[8]);
	assert_true(w.v[1].sp == (uintptr_t)&stack[9]);
}

static void test_vdso(void **state)
{
	const struct module *vdso = modules_find(w.mods, getauxval(AT_SYSINFO_EHDR));
	struct module_symbol sym;

	(void)state;
	if (!vdso)
		skip();
	assert_true(module_find_symbol(vdso, "__vdso_clock_gettime", false, &sym));
	check_entry(sym.address);
}

static void test_import_stub(void **state)
{
	const struct module *self = modules_find(w.mods, (uintptr_t)&test_import_stub);
	const Elf64_Shdr *plt = elf_file_find_section(self->file, ".plt.sec");

	(void)state;
	if (!plt)
		plt = elf_file_find_section(self->file, ".plt.got");
	if (!plt)
		skip();
	check_entry(self->bias + plt->sh_addr);
}

/* Any registers over any memory. */
static void test_random(void **state)
{
	struct arch_regs regs;
	uint64_t seed = 1, stack[2048];
	const struct module *m;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		m = modules_get(w.mods, sample_random(&seed) % modules_count(w.mods));
		for (size_t i = 0; i < 2048; i++)
			switch (sample_random(&seed) % 4) {
			case 0:
				stack[i] = m->start + sample_random(&seed) % (m->end - m->start);
				break;
			case 1:
				stack[i] = (uintptr_t)&stack[sample_random(&seed) % 2048];
				break;
			default:
				stack[i] = sample_random(&seed);
			}
		memset(&regs, 0, sizeof(regs));
		regs.raw.rip = m->start + sample_random(&seed) % (m->end - m->start);
		regs.raw.rsp = (uintptr_t)&stack[sample_random(&seed) % 512];
		regs.raw.rbp = stack[sample_random(&seed) % 2048];
		unwinder_walk(w.u, &regs, w.v, UNWIND_FRAMES_MAX, &w.n, &w.complete);
		assert_in_range(w.n, 1, UNWIND_FRAMES_MAX);
		assert_true(w.v[0].ip == regs.raw.rip);
	}
}

static void walk_damaged(const struct sample *s, uint64_t *seed)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)s->bytes;
	struct unwind_frame v[UNWIND_FRAMES_MAX];
	struct arch_regs regs;
	struct modules *mods;
	struct unwinder *u;
	uint64_t stack[256];
	struct maps maps;
	bool complete;
	size_t n;

	sample_map(s, SAMPLE_BASE, &maps);
	assert_int_equal(modules_open(getpid(), &maps, &mods, NULL), 0);
	assert_int_equal(unwinder_create(mods, read_memory, NULL, &u, NULL), 0);
	for (int i = 0; i < 30; i++) {
		for (size_t k = 0; k < 256; k++)
			stack[k] = k % 2 ? SAMPLE_BASE + 0x1000 + sample_random(seed) % 0x300
					 : (uintptr_t)&stack[sample_random(seed) % 256];
		memset(&regs, 0, sizeof(regs));
		regs.raw.rip = SAMPLE_BASE + h->e_entry + sample_random(seed) % 0x300;
		regs.raw.rsp = (uintptr_t)&stack[sample_random(seed) % 64];
		regs.raw.rbp = (uintptr_t)&stack[sample_random(seed) % 256];
		unwinder_walk(u, &regs, v, UNWIND_FRAMES_MAX, &n, &complete);
		assert_in_range(n, 1, UNWIND_FRAMES_MAX);
	}
	unwinder_free(u);
	modules_close(mods);
	maps_free(&maps);
}

/* Damage in the file, most of it where the unwind tables are. */
static void test_damaged(void **state)
{
	const Elf64_Ehdr *h;
	const Elf64_Phdr *p;
	uint64_t seed = 1;
	struct sample s;

	(void)state;
	sample_read(&s);
	h = (const Elf64_Ehdr *)s.bytes;
	p = (const Elf64_Phdr *)(s.bytes + h->e_phoff);
	while (p->p_type != PT_GNU_EH_FRAME)
		p++;
	for (int round = 0; round < 1500; round++) {
		unsigned char *copy = malloc(s.size);

		memcpy(copy, s.bytes, s.size);
		for (int k = 0; k < 4; k++)
			copy[p->p_offset + sample_random(&seed) % 0x300] =
				(unsigned char)sample_random(&seed);
		if (round % 4)
			sample_write(&s, copy, s.size);
		else
			sample_write_damaged(&s, &seed);
		free(copy);
		walk_damaged(&s, &seed);
	}
	sample_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_stack),    cmocka_unit_test(test_thread),
		cmocka_unit_test(test_too_deep),     cmocka_unit_test(test_signal),
		cmocka_unit_test(test_signal_stack), cmocka_unit_test(test_undescribed),
		cmocka_unit_test(test_corrupt),	     cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_vdso),	     cmocka_unit_test(test_import_stub),
		cmocka_unit_test(test_random),	     cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
