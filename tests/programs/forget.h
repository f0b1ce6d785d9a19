/* SPDX-License-Identifier: MIT
 *
 * A way to forget. A pointer that a program has forgotten may still stand in frames it has left,
 * and in registers: then it is not forgotten for anyone who looks from outside. So what makes and
 * hides pointers is done in functions that are not inlined, and reach_forget() is called afterwards
 * where the thread stays: it fills what lies below its frame and clears the registers.
 */
#ifndef FORGET_H
#define FORGET_H

#include "prog.h"

#ifdef __clang__
#define REACH_APART __attribute__((noinline, unused))
#else
#define REACH_APART __attribute__((noipa, unused))
#endif

/* At the end of a function, so that what it called last is no jump: it must be seen as creator. */
#define REACH_STAY() __asm__ volatile("")

enum { REACH_DEAD_BYTES = 64 << 10 };

static REACH_APART void reach_fill_stack(void)
{
	volatile char dead[REACH_DEAD_BYTES];

	for (size_t i = 0; i < sizeof(dead); i++)
		dead[i] = 0;
}

static REACH_APART void reach_clear_vectors(void)
{
	if (__builtin_cpu_supports("avx512f"))
		__asm__ volatile("vpxorq %zmm16, %zmm16, %zmm16\n vpxorq %zmm17, %zmm17, %zmm17\n"
				 "vpxorq %zmm18, %zmm18, %zmm18\n vpxorq %zmm19, %zmm19, %zmm19\n"
				 "vpxorq %zmm20, %zmm20, %zmm20\n vpxorq %zmm21, %zmm21, %zmm21\n"
				 "vpxorq %zmm22, %zmm22, %zmm22\n vpxorq %zmm23, %zmm23, %zmm23\n"
				 "vpxorq %zmm24, %zmm24, %zmm24\n vpxorq %zmm25, %zmm25, %zmm25\n"
				 "vpxorq %zmm26, %zmm26, %zmm26\n vpxorq %zmm27, %zmm27, %zmm27\n"
				 "vpxorq %zmm28, %zmm28, %zmm28\n vpxorq %zmm29, %zmm29, %zmm29\n"
				 "vpxorq %zmm30, %zmm30, %zmm30\n vpxorq %zmm31, %zmm31, %zmm31");
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vzeroall");
	else
		__asm__ volatile("pxor %xmm0, %xmm0\n pxor %xmm1, %xmm1\n pxor %xmm2, %xmm2\n"
				 "pxor %xmm3, %xmm3\n pxor %xmm4, %xmm4\n pxor %xmm5, %xmm5\n"
				 "pxor %xmm6, %xmm6\n pxor %xmm7, %xmm7\n pxor %xmm8, %xmm8\n"
				 "pxor %xmm9, %xmm9\n pxor %xmm10, %xmm10\n pxor %xmm11, %xmm11\n"
				 "pxor %xmm12, %xmm12\n pxor %xmm13, %xmm13\n pxor %xmm14, %xmm14\n"
				 "pxor %xmm15, %xmm15");
}

/* Call it in the function that stays: only there are the callee-saved registers its own. */
static inline __attribute__((always_inline)) void reach_forget(void)
{
	reach_fill_stack();
	reach_clear_vectors();
	__asm__ volatile("xor %%ebx, %%ebx\n xor %%r12d, %%r12d\n xor %%r13d, %%r13d\n"
			 "xor %%r14d, %%r14d\n xor %%r15d, %%r15d" ::
				 : "rbx", "r12", "r13", "r14", "r15", "cc", "memory");
}

#endif
