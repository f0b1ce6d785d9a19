/* SPDX-License-Identifier: MIT
 *
 * Unwind a register context over copied memory: libunwind with accessors, each module's
 * .eh_frame_hdr looked up once; libdwfl where libunwind fails (no .eh_frame_hdr, .debug_frame
 * only). Needs no process: it works on the snapshot and the ELF files.
 */
#ifndef STRAND_STACK_UNWIND_H
#define STRAND_STACK_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "target/arch.h"
#include "target/modules.h"

#define UNWIND_FRAMES_MAX 256

struct unwind_frame {
	uint64_t ip; /* where the frame is; a return address is given as it is (not minus 1) */
	uint64_t sp; /* the stack pointer in this frame */
	bool exact;  /* ip is the next instruction to run (top frame, or interrupted by a signal);
		       * otherwise it is a return address and the call lies before it */
};

/* Give up to `bytes` bytes of the stopped process at `address`; returns how many. */
typedef size_t unwind_read_fn(void *ctx, uint64_t address, void *buf, size_t bytes);

/* The registers of a frame by their numbers in DWARF, as far as they are known to be its own. */
#define UNWIND_REGISTERS_KEPT 17
struct unwind_registers {
	uint64_t v[UNWIND_REGISTERS_KEPT];
	uint32_t known; /* bit i: v[i] */
};

struct unwinder;

/* `mods` must outlive the unwinder. Single-threaded use. */
int unwinder_create(const struct modules *mods, unwind_read_fn *read, void *read_ctx,
		    struct unwinder **out, struct err *e);
void unwinder_free(struct unwinder *u);

/* Fill `frames` (innermost first) from `regs`; sets *n (at least 1: the top frame itself) and
 * *complete: the stack's end was reached, rather than a frame that could not be unwound. */
void unwinder_walk(struct unwinder *u, const struct arch_regs *regs, struct unwind_frame *frames,
		   size_t max, size_t *n, bool *complete);

/* The same, with the registers of each frame: all in the top frame and in one that a signal interrupted,
 * elsewhere those that functions keep for their callers. */
void unwinder_walk_registers(struct unwinder *u, const struct arch_regs *regs,
			     struct unwind_frame *frames, struct unwind_registers *registers,
			     size_t max, size_t *n, bool *complete);

#endif
