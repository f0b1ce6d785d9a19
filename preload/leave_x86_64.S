/* SPDX-License-Identifier: MIT
 *
 * error() and error_at_line() end the process from inside the C library, unless their status is 0,
 * and their arguments can be of any number and kind: a hold, with all registers kept that may carry
 * some, and a jump.
 */
#ifdef __CET__
#include <cet.h>
#endif
#include "real_x86_64.h"

#define VECTORS	 128
#define INTEGERS 56
#define FRAME	 (VECTORS + INTEGERS)

	.macro	ENDS name
	.globl	\name
	.type	\name, @function
	.p2align 4
\name:
	.cfi_startproc
#ifdef _CET_ENDBR
	_CET_ENDBR
#endif
	subq	$FRAME, %rsp
	.cfi_adjust_cfa_offset FRAME
	movups	%xmm0, (%rsp)
	movups	%xmm1, 16(%rsp)
	movups	%xmm2, 32(%rsp)
	movups	%xmm3, 48(%rsp)
	movups	%xmm4, 64(%rsp)
	movups	%xmm5, 80(%rsp)
	movups	%xmm6, 96(%rsp)
	movups	%xmm7, 112(%rsp)
	movq	%rdi, VECTORS(%rsp)
	movq	%rsi, VECTORS + 8(%rsp)
	movq	%rdx, VECTORS + 16(%rsp)
	movq	%rcx, VECTORS + 24(%rsp)
	movq	%r8, VECTORS + 32(%rsp)
	movq	%r9, VECTORS + 40(%rsp)
	movq	%rax, VECTORS + 48(%rsp)
	leaq	FRAME + 8(%rsp), %rsi
	call	leave_by_error
	movups	(%rsp), %xmm0
	movups	16(%rsp), %xmm1
	movups	32(%rsp), %xmm2
	movups	48(%rsp), %xmm3
	movups	64(%rsp), %xmm4
	movups	80(%rsp), %xmm5
	movups	96(%rsp), %xmm6
	movups	112(%rsp), %xmm7
	movq	VECTORS(%rsp), %rdi
	movq	VECTORS + 8(%rsp), %rsi
	movq	VECTORS + 16(%rsp), %rdx
	movq	VECTORS + 24(%rsp), %rcx
	movq	VECTORS + 32(%rsp), %r8
	movq	VECTORS + 40(%rsp), %r9
	movq	VECTORS + 48(%rsp), %rax
	addq	$FRAME, %rsp
	.cfi_adjust_cfa_offset -FRAME
	jmp	*real_\name(%rip)
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.text

	ENDS	error
	ENDS	error_at_line

	.section .note.GNU-stack, "", @progbits
