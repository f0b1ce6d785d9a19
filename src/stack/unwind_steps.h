/* SPDX-License-Identifier: MIT
 *
 * The inside of the unwinder: one step outward is a change of registers, and there are several
 * ways to make one. unwind.c chooses; unwind_cfi.c uses libunwind, unwind_dwfl.c libdwfl,
 * unwind_x86_64.c knows what the kernel saves;
 * unwind_follow.c and unwind_guess.c do without any description.
 */
#ifndef STRAND_STACK_UNWIND_STEPS_H
#define STRAND_STACK_UNWIND_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/cfi.h"
#include "stack/unwind.h"

/* Numbers of DWARF, which libunwind shares. */
enum { UNWIND_RBP = 6, UNWIND_RSP = 7, UNWIND_RIP = 16, UNWIND_REGISTERS = 17 };

struct unwind_regs {
	uint64_t v[UNWIND_REGISTERS];
	bool exact; /* see struct unwind_frame */
};

enum unwind_step {
	UNWIND_OK,	/* regs are those of the caller */
	UNWIND_END,	/* there is no caller: this is the outermost frame */
	UNWIND_UNKNOWN, /* nothing describes this frame */
	UNWIND_FAILED,	/* the description is damaged or leads to unreadable memory */
};

struct unwind_cfi;  /* libunwind's side */
struct unwind_dwfl; /* libdwfl's side */

struct unwinder {
	const struct modules *mods;
	unwind_read_fn *read;
	void *read_ctx;
	struct cfi **tables;	  /* by number of module; NULL: not read yet */
	struct unwind_cfi *cfi;	  /* made when first needed */
	struct unwind_dwfl *dwfl; /* made when first needed */
};

/* All `bytes` at `address`, from the stopped process or else from the modules' files. */
bool unwind_read(const struct unwinder *u, uint64_t address, void *buf, size_t bytes);

/* The address whose description applies: inside the call, for a return address. */
static inline uint64_t unwind_code_address(const struct unwind_regs *r)
{
	return r->v[UNWIND_RIP] - !r->exact;
}

/* Is `ip` the code that a signal handler returns to? */
bool unwind_at_trampoline(const struct unwinder *u, uint64_t ip);

/* From what the kernel saved for a stopped thread, or for a signal handler on the stack. */
void unwind_regs_from_arch(struct unwind_regs *r, const struct arch_regs *a);
enum unwind_step unwind_step_signal(struct unwinder *u, struct unwind_regs *r);

/* By .eh_frame. */
enum unwind_step unwind_step_cfi(struct unwinder *u, struct unwind_regs *r);
void unwind_cfi_free(struct unwind_cfi *c);

/* By .debug_frame. */
enum unwind_step unwind_step_dwfl(struct unwinder *u, struct unwind_regs *r);
void unwind_dwfl_free(struct unwind_dwfl *d);

/* By the code that is still to run in the frame. */
enum unwind_step unwind_step_follow(struct unwinder *u, struct unwind_regs *r);

/* Does a call come just before `ip`, or is it a signal trampoline? */
bool unwind_may_return_to(const struct unwinder *u, uint64_t ip);

/* By what is usual: the outermost frames of C libraries, frame pointers. */
enum unwind_step unwind_step_guess(struct unwinder *u, struct unwind_regs *r, bool *sure);

/* Is `ip` in what a C library runs outermost: _start, or the end of a thread? */
bool unwind_is_outermost(const struct unwinder *u, uint64_t ip);

#endif
