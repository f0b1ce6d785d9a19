/* SPDX-License-Identifier: MIT
 *
 * Decoding machine code as far as the unwinder needs it: how long instructions are, where they
 * may go, and what they do to the stack pointer and to registers that calls preserve. One
 * code_*.c per processor.
 */
#ifndef STRAND_STACK_CODE_H
#define STRAND_STACK_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODE_BYTES_MAX	  15 /* of one instruction */
#define CODE_SIGNAL_BYTES 9  /* of a signal trampoline */

enum code_effect {
	CODE_PLAIN,    /* nothing that matters here; also calls, which come back */
	CODE_PUSH,     /* stack pointer down by a word */
	CODE_POP,      /* `reg` from the stack, stack pointer up by a word */
	CODE_ADJUST,   /* stack pointer plus `value` */
	CODE_SET_FROM, /* stack pointer becomes `reg` plus `value` */
	CODE_LEAVE,    /* stack pointer becomes the frame pointer, which is popped */
	CODE_LOAD,     /* `reg` from the stack pointer plus `value` */
	CODE_JUMP,     /* to `value` bytes behind this instruction */
	CODE_BRANCH,   /* there, or on to the next instruction */
	CODE_RETURN,   /* the word at the stack pointer is where to */
	CODE_FAR_JUMP, /* through a table of imported functions: the end of a function */
	CODE_END,      /* execution does not come past this, or nobody knows where it goes */
};

struct code_instruction {
	size_t bytes;
	enum code_effect effect;
	bool call; /* a call, for which the effect is CODE_PLAIN */
	int reg;   /* number of DWARF */
	int64_t value;
};

/* Decode the instruction at `p`, of which `n` bytes are there. False if it is unknown. */
bool code_decode(const uint8_t *p, size_t n, struct code_instruction *out);

/* Do the bytes before p[n] end in a call? */
bool code_ends_in_call(const uint8_t *p, size_t n);

/* Is this the code that the kernel makes signal handlers return to (the call rt_sigreturn)? */
bool code_is_signal_return(const uint8_t *p, size_t n);

/* Is this what musl's clone() does after a thread's function has returned? */
bool code_is_thread_exit(const uint8_t *p, size_t n);

#endif
