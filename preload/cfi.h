/* SPDX-License-Identifier: MIT
 *
 * How to get from a frame to its caller's, from the call frame information of the module that an
 * address lies in. Takes no lock and allocates nothing: the module comes from the C library's
 * lock-free lookup (glibc 2.35 and later; without it nothing is found).
 *
 * Only what compilers make for calls on x86-64 is understood: a canonical frame address from rsp or
 * rbp, the return address in the frame, rbp saved in it or not. Anything else ends the stack.
 */
#ifndef STRAND_PRELOAD_CFI_H
#define STRAND_PRELOAD_CFI_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

enum cfi_cfa {
	CFI_CFA_UNKNOWN,
	CFI_CFA_SP,    /* rsp + cfa_offset */
	CFI_CFA_BP,    /* rbp + cfa_offset */
	CFI_CFA_AT_BP, /* the word at rbp + cfa_offset */
};

enum cfi_bp {
	CFI_BP_SAME,
	CFI_BP_SAVED,	/* at the frame address + bp_offset */
	CFI_BP_AT_BP,	/* at rbp + bp_offset */
	CFI_BP_UNKNOWN, /* the caller cannot rely on it */
};

enum cfi_ra {
	CFI_RA_SAVED, /* right below the frame address */
	CFI_RA_NONE,  /* the outermost frame */
};

/* 8 bytes, so that one may be read and written at once. */
struct cfi_rule {
	int32_t cfa_offset;
	int16_t bp_offset; /* in words */
	uint8_t cfa : 4, bp : 4;
	uint8_t ra;
};

/* The rule at `pc` (inside the instruction that calls). False: unknown. `stays` is set when the
 * module will not be unloaded, so that the rule holds for ever. */
RECORD_HIDDEN bool cfi_find(uint64_t pc, struct cfi_rule *out, bool *stays);

/* Is there anything to look modules up with? To be asked once, before the others; may change errno. */
RECORD_HIDDEN bool cfi_works(void);

/* The module that `address` lies in was there when the program began: it stays. */
RECORD_HIDDEN void cfi_note_module(uintptr_t address);

#endif
