/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * lost: cond-wait
 * load: yes
 * looks: 25
 * looks@vector: 200
 * ends: quit
 * args: saved | scratch | vector | vector_high | wide | mask | mmx | base | red_zone
 * variants: -O2
 * long: -O0
 *
 * What it is: the only pointer to the gate stands in a register of a live thread that is in a
 * system call, and in no memory at all, or below its stack pointer where the ABI lets a leaf
 * function keep it. What a careless prover gets wrong: it takes the general registers for all there
 * are, or the lower halves of the vector registers; it leaves out those that a call may destroy,
 * which a system call does not; it searches stacks from the stack pointer up.
 */
#include "keep.h"
#include <sys/auxv.h>

/*
 * void hold_NAME(void *volatile *box, int answers, int orders): takes the pointer out of the box,
 * hides it, says so, waits for an order, and puts it back.
 */
#define HOLD(name, hide, show)                                                          \
	void hold_##name(void *volatile *box, int answers, int orders);                 \
	__asm__(".text\n"                                                               \
		"hold_" #name ":\n"                                                     \
		".cfi_startproc\n"                                                      \
		"push %rbx\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset rbx, 0\n"       \
		"push %r12\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset r12, 0\n"       \
		"push %r13\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset r13, 0\n"       \
		"push %r14\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset r14, 0\n"       \
		"push $0\n .cfi_adjust_cfa_offset 8\n"                                  \
		"mov %rdi, %r12\n mov %esi, %r13d\n mov %edx, %r14d\n xor %ebx, %ebx\n" \
		"xor %eax, %eax\n xchg %rax, (%r12)\n" hide "xor %eax, %eax\n"          \
		"mov %r13d, %edi\n mov %rsp, %rsi\n mov $1, %edx\n mov $1, %eax\n"      \
		"syscall\n"                                                             \
		"1: mov %r14d, %edi\n mov %rsp, %rsi\n mov $1, %edx\n xor %eax, %eax\n" \
		"syscall\n"                                                             \
		"cmp $1, %rax\n jne 1b\n" show "xchg %rax, (%r12)\n xor %eax, %eax\n"   \
		"add $8, %rsp\n .cfi_adjust_cfa_offset -8\n"                            \
		"pop %r14\n .cfi_adjust_cfa_offset -8\n .cfi_restore r14\n"             \
		"pop %r13\n .cfi_adjust_cfa_offset -8\n .cfi_restore r13\n"             \
		"pop %r12\n .cfi_adjust_cfa_offset -8\n .cfi_restore r12\n"             \
		"pop %rbx\n .cfi_adjust_cfa_offset -8\n .cfi_restore rbx\n"             \
		"ret\n"                                                                 \
		".cfi_endproc\n");                                                      \
	static void *keep_holding_##name(void *arg)                                     \
	{                                                                               \
		hold_##name(&keep_box, keep_answers[1], keep_orders[0]);                \
		reach_forget();                                                         \
		keep_wait();                                                            \
		return arg;                                                             \
	}                                                                               \
	static void keep_##name(struct gate *gate)                                      \
	{                                                                               \
		keep_holder(keep_holding_##name, gate, NULL);                           \
	}

HOLD(saved, "mov %rax, %rbx\n", "mov %rbx, %rax\n xor %ebx, %ebx\n")
HOLD(scratch, "mov %rax, %r9\n", "mov %r9, %rax\n xor %r9d, %r9d\n")
HOLD(vector, "movq %rax, %xmm7\n", "movq %xmm7, %rax\n pxor %xmm7, %xmm7\n")
HOLD(vector_high,
     "vmovq %rax, %xmm7\n vpxor %xmm8, %xmm8, %xmm8\n"
     "vinsertf128 $1, %xmm7, %ymm8, %ymm8\n vpxor %xmm7, %xmm7, %xmm7\n",
     "vextractf128 $1, %ymm8, %xmm7\n vmovq %xmm7, %rax\n vzeroall\n")
HOLD(wide,
     "mov $0x80, %ecx\n kmovw %ecx, %k1\n vpbroadcastq %rax, %zmm20{%k1}{z}\n"
     "kxorw %k1, %k1, %k1\n",
     "valignq $7, %zmm20, %zmm20, %zmm20\n vmovq %xmm20, %rax\n vpxorq %zmm20, %zmm20, %zmm20\n")
HOLD(mask, "kmovq %rax, %k5\n", "kmovq %k5, %rax\n kxorq %k5, %k5, %k5\n")
HOLD(mmx, "movq %rax, %mm3\n", "movq %mm3, %rax\n pxor %mm3, %mm3\n emms\n")
HOLD(base, "wrgsbase %rax\n", "rdgsbase %rax\n xor %ecx, %ecx\n wrgsbase %rcx\n")
HOLD(red_zone, "mov %rax, -64(%rsp)\n", "mov -64(%rsp), %rax\n movq $0, -64(%rsp)\n")

static const struct place places[] = {
	{ "saved", keep_saved, keep_ask_holder, NULL },
	{ "scratch", keep_scratch, keep_ask_holder, NULL },
	{ "vector", keep_vector, keep_ask_holder, NULL },
	{ "vector_high", keep_vector_high, keep_ask_holder, NULL },
	{ "wide", keep_wide, keep_ask_holder, NULL },
	{ "mask", keep_mask, keep_ask_holder, NULL },
	{ "mmx", keep_mmx, keep_ask_holder, NULL },
	{ "base", keep_base, keep_ask_holder, NULL },
	{ "red_zone", keep_red_zone, keep_ask_holder, NULL },
};

enum { FSGSBASE_IN_HWCAP2 = 2 };

static bool is_there(const char *name)
{
	if (strcmp(name, "vector_high") == 0)
		return __builtin_cpu_supports("avx");
	if (strcmp(name, "wide") == 0)
		return __builtin_cpu_supports("avx512f");
	if (strcmp(name, "mask") == 0)
		return __builtin_cpu_supports("avx512bw");
	if (strcmp(name, "base") == 0)
		return getauxval(AT_HWCAP2) & FSGSBASE_IN_HWCAP2;
	return true;
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	if (!is_there(argv[1]))
		return 77;
	return keep_main(argc, argv, places, sizeof(places) / sizeof(*places));
}
