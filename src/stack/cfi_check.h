/* SPDX-License-Identifier: MIT
 *
 * Parsing and checking records of .eh_frame and .debug_frame, before a library is let loose on
 * them.
 */
#ifndef STRAND_STACK_CFI_CHECK_H
#define STRAND_STACK_CFI_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/bytes.h"
#include "target/elf_file.h"

/* Pointer encodings (DW_EH_PE_*). */
#define CFI_PE_SDATA4  0x0b
#define CFI_PE_PCREL   0x10
#define CFI_PE_DATAREL 0x30
#define CFI_PE_OMIT    0xff

/* An encoded pointer; `data` is what data-relative ones count from. Unsupported encodings set
 * `bad`. */
uint64_t cfi_read_pointer(struct bytes *b, uint8_t encoding, uint64_t data);

struct cfi_record {
	bool is_cie;
	uint64_t start, end; /* set by cfi_parse_fde() */
};

/* Step over the record at `b`; false at the end of the list or when it is damaged. */
bool cfi_next_record(struct bytes *b, struct cfi_record *r);

/* Which addresses the FDE at `fde` covers. False if it or its CIE is damaged. */
bool cfi_parse_fde(const struct elf_file *f, uint64_t fde, struct cfi_record *r);

/* May the FDE at `fde` be given to the unwinding library? */
bool cfi_check_fde(const struct elf_file *f, uint64_t fde);

/* The same for a whole .debug_frame section, which libdwfl reads by itself. */
bool cfi_check_debug_frame(const uint8_t *data, size_t n);

#endif
