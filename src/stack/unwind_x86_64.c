/* SPDX-License-Identifier: MIT
 *
 * Where the x86-64 kernel puts registers: in what ptrace gives, and in the frame that it makes
 * for a signal handler (struct rt_sigframe; its layout is part of the kernel's interface). The
 * trampoline needs no unwind table, then, and musl has none for it.
 */
#include "stack/unwind_steps.h"

void unwind_regs_from_arch(struct unwind_regs *r, const struct arch_regs *a)
{
	const struct user_regs_struct *raw = &a->raw;

	*r = (struct unwind_regs){
		.v = { raw->rax, raw->rdx, raw->rcx, raw->rbx, raw->rsi, raw->rdi, raw->rbp,
		       raw->rsp, raw->r8, raw->r9, raw->r10, raw->r11, raw->r12, raw->r13, raw->r14,
		       raw->r15, raw->rip },
		.exact = true,
	};
}

/* At the trampoline the stack pointer is at the ucontext: the handler's return took the word
 * before it. Its flags, link and stack come first, then the registers. */
enum unwind_step unwind_step_signal(struct unwinder *u, struct unwind_regs *r)
{
	enum { R8, R9, R10, R11, R12, R13, R14, R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP };
	uint64_t at = r->v[UNWIND_RSP] + 40, g[RIP + 1];

	if (u->read(u->read_ctx, at, g, sizeof(g)) != sizeof(g))
		return UNWIND_FAILED;
	*r = (struct unwind_regs){
		.v = { g[RAX], g[RDX], g[RCX], g[RBX], g[RSI], g[RDI], g[RBP], g[RSP], g[R8], g[R9],
		       g[R10], g[R11], g[R12], g[R13], g[R14], g[R15], g[RIP] },
	};
	return UNWIND_OK;
}
