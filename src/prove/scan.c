/* SPDX-License-Identifier: MIT
 *
 * Memory is searched at every byte offset, so what matters is how soon an offset is given up:
 *
 *   1. sixteen offsets at once: are bytes 5, 4 and 3 of the word (bits 24 to 47) those of a
 *      target? Up to four patterns of three bytes each; where the targets are spread too wide for
 *      that, of two or one, which more words pass;
 *   2. a hashed bitmap says whether a target lies in the granule that the word points into; small
 *      and large targets have their own, of granules that suit them;
 *   3. a binary search among the targets.
 *
 * GCC's vectors of 16 bytes: plain SSE2 on x86-64, without a word of assembly here.
 */
#include "prove/scan.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

#define SCAN_LANES    16
#define SCAN_PATTERNS 4

#define SCAN_FILTER_MIN	  16 /* log2 of the bits of a bitmap; the largest fits a cache */
#define SCAN_FILTER_MAX	  22
#define SCAN_FILTER_ROOM  6 /* log2 of the bits to each one set: passing in vain is costly */
#define SCAN_MAX_GRANULES (UINT64_C(1) << 19)
#define SCAN_SMALL_SHIFT  4 /* the smallest granules: 16 bytes */
#define SCAN_LARGE_SHIFT  16
#define SCAN_LARGE_BYTES  UINT64_C(65536)
#define SCAN_MAX_SHIFT	  47

typedef uint8_t scan_vector __attribute__((vector_size(SCAN_LANES)));
typedef uint64_t scan_halves __attribute__((vector_size(SCAN_LANES)));

struct scan_range {
	uint64_t start, last; /* inclusive */
	uint64_t reach;	      /* the highest `last` up to this one in the order */
	size_t index;
};

struct scan_filter {
	unsigned shift; /* log2 of a granule */
	unsigned size;	/* log2 of the number of bits */
	uint64_t *bits;
};

struct scan_targets {
	struct scan_range *v; /* ascending by start */
	size_t n;
	uint64_t lowest, highest;
	struct scan_filter filters[2]; /* of small ones, of large ones */
	int pattern_bytes;	       /* how many bytes of each count */
	int pattern_count;
	uint8_t patterns[SCAN_PATTERNS][3]; /* bytes 5, 4, 3 of a word */
	bool by_table;			    /* too many patterns even of one byte */
	uint8_t table[256];		    /* does a target have this as byte 5? */
};

/* -- preparation ------------------------------------------------------------------------------ */

static int scan_range_compare(const void *va, const void *vb)
{
	const struct scan_range *a = va, *b = vb;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

static void scan_sort(struct scan_targets *t)
{
	uint64_t reach = 0;

	qsort(t->v, t->n, sizeof(*t->v), scan_range_compare);
	for (size_t i = 0; i < t->n; i++) {
		reach = reach > t->v[i].last ? reach : t->v[i].last;
		t->v[i].reach = reach;
	}
	t->lowest = t->v[0].start;
	t->highest = reach;
}

static inline uint64_t scan_hash(const struct scan_filter *f, uint64_t value)
{
	return (value >> f->shift) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - f->size);
}

static bool scan_is_large(const struct scan_range *r)
{
	return r->last - r->start >= SCAN_LARGE_BYTES;
}

/* The finest granules of which there are few enough. */
static void scan_choose_size(const struct scan_targets *t, bool large, struct scan_filter *f)
{
	uint64_t granules = 0;

	f->size = SCAN_FILTER_MIN;
	f->shift = large ? SCAN_LARGE_SHIFT : SCAN_SMALL_SHIFT;
	for (; f->shift < SCAN_MAX_SHIFT; f->shift++) {
		granules = 0;
		for (size_t i = 0; i < t->n; i++)
			if (scan_is_large(&t->v[i]) == large)
				granules += (t->v[i].last >> f->shift) -
					    (t->v[i].start >> f->shift) + 1;
		if (granules <= SCAN_MAX_GRANULES)
			break;
	}
	while (f->size < SCAN_FILTER_MAX && granules > UINT64_C(1) << (f->size - SCAN_FILTER_ROOM))
		f->size++;
}

static int scan_make_filter(struct scan_targets *t, bool large)
{
	struct scan_filter *f = &t->filters[large];

	scan_choose_size(t, large, f);
	f->bits = calloc((UINT64_C(1) << f->size) / 64, sizeof(*f->bits));
	if (!f->bits)
		return ERR_NOMEM;
	for (size_t i = 0; i < t->n; i++) {
		const struct scan_range *r = &t->v[i];

		if (scan_is_large(r) != large)
			continue;
		for (uint64_t g = r->start >> f->shift; g <= r->last >> f->shift; g++) {
			uint64_t at = scan_hash(f, g << f->shift);

			f->bits[at / 64] |= UINT64_C(1) << at % 64;
		}
	}
	return 0;
}

/* Add the first `bytes` bytes of an address as a pattern, if they are new. False: no room. */
static bool scan_add_pattern(struct scan_targets *t, uint64_t address, int bytes)
{
	uint8_t p[3] = { (uint8_t)(address >> 40), (uint8_t)(address >> 32),
			 (uint8_t)(address >> 24) };

	for (int i = 0; i < t->pattern_count; i++)
		if (!memcmp(t->patterns[i], p, (size_t)bytes))
			return true;
	if (t->pattern_count == SCAN_PATTERNS)
		return false;
	memcpy(t->patterns[t->pattern_count++], p, sizeof(p));
	return true;
}

/* Do the targets begin with few enough different `bytes` bytes? */
static bool scan_find_patterns(struct scan_targets *t, int bytes)
{
	unsigned shift = 48 - 8 * (unsigned)bytes;

	t->pattern_bytes = bytes;
	t->pattern_count = 0;
	for (size_t i = 0; i < t->n; i++)
		for (uint64_t b = t->v[i].start >> shift; b <= t->v[i].last >> shift; b++)
			if (!scan_add_pattern(t, b << shift, bytes))
				return false;
	/* Repeated up to a number that there is a loop for. */
	while (t->pattern_count == 3) {
		memcpy(t->patterns[3], t->patterns[2], sizeof(t->patterns[3]));
		t->pattern_count = 4;
	}
	return true;
}

static void scan_fill_table(struct scan_targets *t)
{
	t->by_table = true;
	for (size_t i = 0; i < t->n; i++)
		for (uint64_t b = t->v[i].start >> 40; b <= t->v[i].last >> 40; b++)
			t->table[b] = 1;
}

static int scan_copy(struct scan_targets *t, const struct extent *ranges, size_t n)
{
	t->v = calloc(n ? n : 1, sizeof(*t->v));
	if (!t->v)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		uint64_t last = ranges[i].end;

		last = last < SCAN_ADDRESS_MASK ? last : SCAN_ADDRESS_MASK;
		if (ranges[i].start <= last)
			t->v[t->n++] = (struct scan_range){ .start = ranges[i].start,
							    .last = last,
							    .index = i };
	}
	return 0;
}

int scan_targets_create(const struct extent *ranges, size_t n, struct scan_targets **out)
{
	struct scan_targets *t = calloc(1, sizeof(*t));
	int rc = t ? scan_copy(t, ranges, n) : ERR_NOMEM;

	*out = t;
	if (!rc && t->n) {
		scan_sort(t);
		rc = scan_make_filter(t, false);
		if (!rc)
			rc = scan_make_filter(t, true);
		if (!rc && !scan_find_patterns(t, 3) && !scan_find_patterns(t, 2) &&
		    !scan_find_patterns(t, 1))
			scan_fill_table(t);
	}
	if (rc) {
		scan_targets_free(t);
		*out = NULL;
	}
	return rc;
}

void scan_targets_free(struct scan_targets *t)
{
	if (!t)
		return;
	free(t->filters[0].bits);
	free(t->filters[1].bits);
	free(t->v);
	free(t);
}

/* -- one word --------------------------------------------------------------------------------- */

struct scan {
	const struct scan_targets *t;
	const uint8_t *buf;
	uint64_t address;
	scan_found *found;
	void *ctx;
};

static inline bool scan_filter_has(const struct scan_filter *f, uint64_t value)
{
	uint64_t at = scan_hash(f, value);

	return f->bits[at / 64] >> (at % 64) & 1;
}

/* Name every target that holds `value`. */
static __attribute__((noinline)) int scan_look_up(const struct scan *s, size_t offset,
						  uint64_t value)
{
	const struct scan_targets *t = s->t;
	size_t low = 0, high = t->n;

	while (low < high) { /* how many begin at or before it */
		size_t mid = low + (high - low) / 2;

		if (t->v[mid].start <= value)
			low = mid + 1;
		else
			high = mid;
	}
	while (low-- > 0 && t->v[low].reach >= value) {
		int rc;

		if (t->v[low].last < value)
			continue;
		rc = s->found(s->ctx, s->address + offset, value, t->v[low].index);
		if (rc)
			return rc;
	}
	return 0;
}

static inline int scan_word(const struct scan *s, size_t offset)
{
	const struct scan_targets *t = s->t;
	uint64_t value;

	memcpy(&value, s->buf + offset, sizeof(value));
	value &= SCAN_ADDRESS_MASK;
	if (value - t->lowest > t->highest - t->lowest)
		return 0;
	if (!scan_filter_has(&t->filters[0], value) && !scan_filter_has(&t->filters[1], value))
		return 0;
	return scan_look_up(s, offset, value);
}

/* -- sixteen at once -------------------------------------------------------------------------- */

static inline scan_vector scan_load(const uint8_t *p)
{
	scan_vector v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline scan_vector scan_spread(uint8_t byte)
{
	return byte - (scan_vector){ 0 };
}

/* The words whose lanes are set in half a vector. */
static inline int scan_take_half(const struct scan *s, size_t offset, uint64_t lanes)
{
	int rc = 0;

	while (lanes && !rc) {
		unsigned lane = (unsigned)__builtin_ctzll(lanes) / 8;

		rc = scan_word(s, offset + lane);
		lanes &= ~(UINT64_C(0xff) << (8 * lane));
	}
	return rc;
}

/* All whole blocks of sixteen offsets from *offset on. `bytes` and `count` are constants where it is
 * called, so that each pair of them becomes a loop of its own. */
static inline __attribute__((always_inline)) int scan_blocks(const struct scan *s, size_t *offset,
							     size_t end, int bytes, int count)
{
	scan_vector wanted[SCAN_PATTERNS][3];
	int rc = 0;

	for (int i = 0; i < count; i++)
		for (int k = 0; k < bytes; k++)
			wanted[i][k] = scan_spread(s->t->patterns[i][k]);
	for (; end - *offset >= SCAN_LANES && !rc; *offset += SCAN_LANES) {
		scan_vector any = { 0 };
		scan_vector have[3];
		scan_halves halves;

		for (int k = 0; k < bytes; k++)
			have[k] = scan_load(s->buf + *offset + 5 - k);
		for (int i = 0; i < count; i++) {
			scan_vector equal = (scan_vector)(have[0] == wanted[i][0]);

			for (int k = 1; k < bytes; k++)
				equal &= (scan_vector)(have[k] == wanted[i][k]);
			any |= equal;
		}
		halves = (scan_halves)any;
		if (!(halves[0] | halves[1]))
			continue;
		rc = scan_take_half(s, *offset, halves[0]);
		if (!rc)
			rc = scan_take_half(s, *offset + 8, halves[1]);
	}
	return rc;
}

static int scan_by_patterns(const struct scan *s, size_t *offset, size_t end)
{
	switch (s->t->pattern_bytes * 10 + s->t->pattern_count) {
	case 31:
		return scan_blocks(s, offset, end, 3, 1);
	case 32:
		return scan_blocks(s, offset, end, 3, 2);
	case 34:
		return scan_blocks(s, offset, end, 3, 4);
	case 21:
		return scan_blocks(s, offset, end, 2, 1);
	case 22:
		return scan_blocks(s, offset, end, 2, 2);
	case 24:
		return scan_blocks(s, offset, end, 2, 4);
	case 11:
		return scan_blocks(s, offset, end, 1, 1);
	case 12:
		return scan_blocks(s, offset, end, 1, 2);
	default:
		return scan_blocks(s, offset, end, 1, 4);
	}
}

int scan_find(const struct scan_targets *t, uint64_t address, const void *buf, size_t bytes,
	      scan_found *found, void *ctx)
{
	struct scan s = { t, buf, address, found, ctx };
	size_t offset = 0, end;
	int rc = 0;

	if (!t->n || bytes < sizeof(uint64_t))
		return 0;
	end = bytes - SCAN_OVERLAP; /* offsets at which a whole word begins */
	if (!t->by_table)
		rc = scan_by_patterns(&s, &offset, end);
	for (; offset < end && !rc; offset++)
		if (!t->by_table || t->table[s.buf[offset + 5]])
			rc = scan_word(&s, offset);
	return rc;
}
