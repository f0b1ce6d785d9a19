/* SPDX-License-Identifier: MIT
 *
 * Reading numbers out of a piece of untrusted file content. Reading past the end gives zeros and
 * sets `bad`, so a parser may check once at its end.
 */
#ifndef STRAND_STACK_BYTES_H
#define STRAND_STACK_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *p, *end;
	uint64_t vaddr; /* of *p */
	bool bad;
};

static inline bool bytes_take(struct bytes *b, void *out, size_t n)
{
	if ((size_t)(b->end - b->p) < n) {
		memset(out, 0, n);
		b->p = b->end;
		b->bad = true;
		return false;
	}
	memcpy(out, b->p, n);
	b->p += n;
	b->vaddr += n;
	return true;
}

static inline void bytes_skip(struct bytes *b, uint64_t n)
{
	if ((uint64_t)(b->end - b->p) < n) {
		b->p = b->end;
		b->bad = true;
		return;
	}
	b->p += n;
	b->vaddr += n;
}

static inline uint8_t bytes_u8(struct bytes *b)
{
	uint8_t v;

	bytes_take(b, &v, sizeof(v));
	return v;
}

static inline uint16_t bytes_u16(struct bytes *b)
{
	uint16_t v;

	bytes_take(b, &v, sizeof(v));
	return v;
}

static inline uint32_t bytes_u32(struct bytes *b)
{
	uint32_t v;

	bytes_take(b, &v, sizeof(v));
	return v;
}

static inline uint64_t bytes_u64(struct bytes *b)
{
	uint64_t v;

	bytes_take(b, &v, sizeof(v));
	return v;
}

static inline uint64_t bytes_uleb(struct bytes *b)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t c;

	do {
		c = bytes_u8(b);
		if (shift < 64)
			v |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
	} while (c & 0x80 && !b->bad);
	return v;
}

static inline int64_t bytes_sleb(struct bytes *b)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t c;

	do {
		c = bytes_u8(b);
		if (shift < 64)
			v |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
	} while (c & 0x80 && !b->bad);
	if (shift < 64 && c & 0x40)
		v |= ~UINT64_C(0) << shift;
	return (int64_t)v;
}

#endif
