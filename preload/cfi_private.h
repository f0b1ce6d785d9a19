/* SPDX-License-Identifier: MIT
 *
 * Between the two halves of cfi.h: cfi.c finds an entry's instructions, cfi_program.c runs them.
 */
#ifndef STRAND_PRELOAD_CFI_PRIVATE_H
#define STRAND_PRELOAD_CFI_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cfi.h"

#define CFI_REGISTER_BP 6
#define CFI_REGISTER_SP 7
#define CFI_REGISTER_RA 16

/* What lies between two addresses; `bad` once something went beyond. */
struct cfi_bytes {
	const uint8_t *at, *end;
	bool bad;
};

struct cfi_state {
	int64_t cfa_register, cfa_offset;
	enum cfi_cfa cfa; /* UNKNOWN, AT_BP, or SP: by cfa_register */
	int64_t bp_offset;
	enum cfi_bp bp;
	int64_t ra_offset;
	bool ra_none, ra_unknown;
};

struct cfi_cie {
	uint64_t code_align;
	int64_t data_align;
	bool augmented, signal_frame;
	struct cfi_bytes instructions;
};

static inline const uint8_t *cfi_skip(struct cfi_bytes *b, uint64_t n)
{
	const uint8_t *at = b->at;

	if (b->bad || (uint64_t)(b->end - b->at) < n) {
		b->bad = true;
		return NULL;
	}
	b->at += n;
	return at;
}

static inline uint8_t cfi_read_u8(struct cfi_bytes *b)
{
	const uint8_t *at = cfi_skip(b, 1);

	return at ? *at : 0;
}

static inline uint16_t cfi_read_u16(struct cfi_bytes *b)
{
	const uint8_t *at = cfi_skip(b, 2);

	return at ? (uint16_t)(at[0] | at[1] << 8) : 0;
}

static inline uint32_t cfi_read_u32(struct cfi_bytes *b)
{
	uint32_t low = cfi_read_u16(b);

	return low | (uint32_t)cfi_read_u16(b) << 16;
}

static inline uint64_t cfi_read_uleb(struct cfi_bytes *b)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = cfi_read_u8(b);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return value;
}

static inline int64_t cfi_read_sleb(struct cfi_bytes *b)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = cfi_read_u8(b);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (shift < 64 && byte & 0x40)
		value |= ~0ull << shift;
	return (int64_t)value;
}

static inline struct cfi_bytes cfi_read_block(struct cfi_bytes *b)
{
	uint64_t n = cfi_read_uleb(b);
	const uint8_t *at = cfi_skip(b, n);
	struct cfi_bytes block = { .at = at, .end = at ? at + n : NULL, .bad = !at };

	return block;
}

/* Run instructions up to the location `target`, counted from the function's beginning. False: not
 * understood. */
RECORD_HIDDEN bool cfi_run(struct cfi_state *s, const struct cfi_state *initial,
			   const struct cfi_cie *c, struct cfi_bytes b, uint64_t target);

#endif
