/* SPDX-License-Identifier: MIT
 *
 * The processor's part of capture.h, and of the wrapper of syscall().
 *
 * On entry of capture_X everything is as the caller of the wrapper left it: arguments in registers,
 * the return address at (%rsp), callee-saved registers untouched. struct wire_context (wire.h) is
 * built on the stack: ip (minus 1), sp as after the return, bp, bx, r12 to r15. Unwind information
 * is exact at each instruction: libgcc unwinds through here, and strand from outside.
 */
#ifdef __CET__
#include <cet.h>
#endif
#include <sys/syscall.h>

#define CONTEXT_BYTES 64

	.macro	SAVE_CONTEXT at, frame
	movq	\frame(%rsp), %rax
	decq	%rax
	movq	%rax, \at(%rsp)
	leaq	\frame + 8(%rsp), %rax
	movq	%rax, \at + 8(%rsp)
	movq	%rbp, \at + 16(%rsp)
	movq	%rbx, \at + 24(%rsp)
	movq	%r12, \at + 32(%rsp)
	movq	%r13, \at + 40(%rsp)
	movq	%r14, \at + 48(%rsp)
	movq	%r15, \at + 56(%rsp)
	.endm

	.macro	BEGIN name
	.hidden	\name
	.globl	\name
	.type	\name, @function
	.p2align 4
\name:
	.cfi_startproc
	.endm

	.macro	END name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	/* `context`: the register of the argument after the last. 0x1b: pc-relative, 4 bytes. */
	.macro	CAPTURE name, context
	BEGIN	capture_\name
	.cfi_personality 0x1b, capture_personality
	subq	$CONTEXT_BYTES + 8, %rsp
	.cfi_adjust_cfa_offset CONTEXT_BYTES + 8
	SAVE_CONTEXT 0, CONTEXT_BYTES + 8
	movq	%rsp, %\context
	call	wait_\name
	addq	$CONTEXT_BYTES + 8, %rsp
	.cfi_adjust_cfa_offset -(CONTEXT_BYTES + 8)
	ret
	END	capture_\name
	.endm

	.text

	CAPTURE	mutex_lock, rsi
	CAPTURE	mutex_timedlock, rdx
	CAPTURE	mutex_clocklock, rcx
	CAPTURE	mtx_lock, rsi
	CAPTURE	mtx_timedlock, rdx
	CAPTURE	rwlock_rdlock, rsi
	CAPTURE	rwlock_timedrdlock, rdx
	CAPTURE	rwlock_clockrdlock, rcx
	CAPTURE	rwlock_wrlock, rsi
	CAPTURE	rwlock_timedwrlock, rdx
	CAPTURE	rwlock_clockwrlock, rcx
	CAPTURE	cond_wait, rdx
	CAPTURE	cond_timedwait, rcx
	CAPTURE	cond_clockwait, r8
	CAPTURE	cnd_wait, rdx
	CAPTURE	cnd_timedwait, rcx
	CAPTURE	sem_wait, rsi
	CAPTURE	sem_timedwait, rdx
	CAPTURE	sem_clockwait, rcx
	CAPTURE	barrier_wait, rsi
	CAPTURE	join, rdx
	CAPTURE	timedjoin, rcx
	CAPTURE	clockjoin, r8
	CAPTURE	thrd_join, rdx

/* syscall() is entered here, not in C: a number that is none of ours must go on by a jump, as that
 * of a vfork returns twice on this stack. real_syscall is real.syscall, of struct real (real.h). */

#include "real_x86_64.h"

	.globl	syscall
	.type	syscall, @function
	.p2align 4
syscall:
	.cfi_startproc
#ifdef _CET_ENDBR
	_CET_ENDBR
#endif
	cmpq	$SYS_futex, %rdi
	je	capture_syscall
	cmpq	$SYS_prctl, %rdi
	je	capture_syscall
	cmpq	$SYS_seccomp, %rdi
	je	capture_syscall
	cmpq	$449, %rdi	/* futex_waitv */
	je	capture_syscall
	cmpq	$455, %rdi	/* futex_wait */
	je	capture_syscall
	jmp	*real_syscall(%rip)
	END	syscall

/* wait_syscall(context, a, b, c, d, e, f, number): the number's register is the context's, so that a
 * to e stay where they are; f, the last of the caller's, is on his stack and copied to ours. */
#define FRAME (CONTEXT_BYTES + 24)

	BEGIN	capture_syscall
	.cfi_personality 0x1b, capture_personality
	subq	$FRAME, %rsp
	.cfi_adjust_cfa_offset FRAME
	movq	FRAME + 8(%rsp), %rax
	movq	%rax, (%rsp)
	movq	%rdi, 8(%rsp)
	SAVE_CONTEXT 16, FRAME
	leaq	16(%rsp), %rdi
	call	wait_syscall
	addq	$FRAME, %rsp
	.cfi_adjust_cfa_offset -FRAME
	ret
	END	capture_syscall

	.section .note.GNU-stack, "", @progbits
