/* SPDX-License-Identifier: MIT
 *
 * The search against a plain one, over random memory and random targets: of few and of many
 * beginnings, small and large, overlapping, touching, at the edges of what can be addressed and of
 * the memory itself.
 */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "prove/scan.h"

#define BASE UINT64_C(0x700000001000)

struct hit {
	uint64_t at, value;
	size_t target;
};

struct hits {
	struct hit *v;
	size_t n, room, stop_after;
};

static int add_hit(void *ctx, uint64_t at, uint64_t value, size_t target)
{
	struct hits *h = ctx;

	if (h->n == h->room) {
		h->room = h->room ? 2 * h->room : 64;
		h->v = realloc(h->v, h->room * sizeof(*h->v));
		assert_non_null(h->v);
	}
	h->v[h->n++] = (struct hit){ at, value, target };
	return h->n == h->stop_after ? 17 : 0;
}

static int compare_hits(const void *va, const void *vb)
{
	const struct hit *a = va, *b = vb;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return (a->target > b->target) - (a->target < b->target);
}

static void find_plainly(const struct extent *ranges, size_t n, const uint8_t *buf, size_t bytes,
			 struct hits *h)
{
	for (size_t i = 0; i + 8 <= bytes; i++) {
		uint64_t value = 0;

		for (unsigned k = 0; k < 6; k++)
			value |= (uint64_t)buf[i + k] << (8 * k);
		for (size_t r = 0; r < n; r++)
			if (ranges[r].start <= value && value <= ranges[r].end)
				add_hit(h, BASE + i, value, r);
	}
}

/* Search in both ways and compare; returns how many were found. */
static size_t check(const struct extent *ranges, size_t n, const uint8_t *buf, size_t bytes)
{
	struct hits got = { 0 }, expected = { 0 };
	/* A copy of just that size: reading beyond it is seen by a sanitizer. */
	uint8_t *copy = malloc(bytes ? bytes : 1);
	struct scan_targets *t;
	size_t found;

	assert_non_null(copy);
	memcpy(copy, buf, bytes);
	assert_int_equal(scan_targets_create(ranges, n, &t), 0);
	assert_int_equal(scan_find(t, BASE, copy, bytes, add_hit, &got), 0);
	for (size_t i = 1; i < got.n; i++)
		assert_true(got.v[i - 1].at <= got.v[i].at);
	find_plainly(ranges, n, buf, bytes, &expected);
	assert_int_equal(got.n, expected.n);
	found = got.n;
	if (found) {
		qsort(got.v, got.n, sizeof(*got.v), compare_hits);
		qsort(expected.v, expected.n, sizeof(*expected.v), compare_hits);
	}
	for (size_t i = 0; i < found; i++) {
		assert_true(got.v[i].at == expected.v[i].at);
		assert_true(got.v[i].value == expected.v[i].value);
		assert_int_equal(got.v[i].target, expected.v[i].target);
	}
	scan_targets_free(t);
	free(got.v);
	free(expected.v);
	free(copy);
	return found;
}

static uint64_t random_word(void)
{
	static uint64_t x = UINT64_C(88172645463325252);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Targets within 2^spread bytes of `origin`, up to `longest` bytes each. */
static void make_targets(struct extent *v, size_t n, uint64_t origin, unsigned spread,
			 uint64_t longest)
{
	for (size_t i = 0; i < n; i++) {
		v[i].start = origin + (random_word() & ((UINT64_C(1) << spread) - 1));
		v[i].end = v[i].start + random_word() % (longest + 1);
		if (i && random_word() % 4 == 0)
			v[i].start = v[i - 1].end; /* they touch: one address, two targets */
		if (v[i].end < v[i].start)
			v[i].end = v[i].start;
	}
}

/* Random bytes, and among them words that point to targets or just beside them, some tagged. */
static void make_memory(uint8_t *buf, size_t bytes, const struct extent *v, size_t n,
			unsigned spread)
{
	for (size_t i = 0; i < bytes; i++)
		buf[i] = random_word() % 3 ? (uint8_t)random_word() : 0;
	for (size_t i = 0; n && bytes >= 8 && i < bytes / 12; i++) {
		const struct extent *r = &v[random_word() % n];
		uint64_t word = random_word() % 2 ? r->start : r->end;

		word += random_word() % 5 - 2;
		if (random_word() % 4 == 0)
			word = r->start ^ (random_word() & ((UINT64_C(1) << spread) - 1));
		if (random_word() % 2)
			word |= random_word() << 48;
		memcpy(buf + random_word() % (bytes - 7), &word, sizeof(word));
	}
}

static void test_random(void **state)
{
	static const struct {
		uint64_t origin;
		unsigned spread; /* log2 */
		uint64_t longest;
		size_t targets;
	} kinds[] = {
		{ 0x555555550000, 12, 64, 1 },		/* one pattern of three bytes */
		{ 0x555555fff000, 14, 100, 5 },		/* two */
		{ 0x5555fd000000, 26, 3000, 40 },	/* three or four */
		{ 0x7f1234000000, 30, 200, 300 },	/* of two bytes, one */
		{ 0x7f12fffff000, 34, 70000, 60 },	/* more */
		{ 0x7e0000000000, 40, 100000, 200 },	/* of one byte */
		{ 0x7effffff0000, 41, 1ull << 33, 20 }, /* large ones */
		{ 0, 47, 5000, 500 },			/* by table */
		{ 0, 20, 40, 30 },			/* low addresses */
		{ 0xfffffffff000, 11, 4000, 9 },	/* up to the end of 48 bits */
		{ 0x555555550000, 16, 10, 4000 },	/* crowded */
	};
	struct extent *v = calloc(4000, sizeof(*v));
	uint8_t buf[1500];
	size_t found = 0;

	(void)state;
	assert_non_null(v);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		size_t in_kind = 0;

		for (int round = 0; round < 12; round++) {
			size_t bytes = round < 6 ? (size_t)round * 7 : 1000 + random_word() % 500;

			make_targets(v, kinds[k].targets, kinds[k].origin, kinds[k].spread,
				     kinds[k].longest);
			make_memory(buf, bytes, v, kinds[k].targets, kinds[k].spread);
			in_kind += check(v, kinds[k].targets, buf, bytes);
		}
		assert_true(in_kind > 0);
		found += in_kind;
	}
	assert_true(found > 1000);
	free(v);
}

/* A word at each offset of a small memory, in every alignment: found if it lies within. */
static void test_edges(void **state)
{
	const struct extent target = { 0x7f0000001230, 0x7f0000001240 };

	(void)state;
	for (size_t bytes = 0; bytes < 80; bytes++)
		for (size_t at = 0; at < bytes; at++) {
			uint8_t buf[96] = { 0 };
			uint64_t word = 0x7f0000001238;

			memcpy(buf + at, &word, sizeof(word));
			assert_int_equal(check(&target, 1, buf, bytes), at + 8 <= bytes);
		}
}

static void test_ends_of_targets(void **state)
{
	const struct extent targets[] = { { 0x7f0000001000, 0x7f0000001040 },
					  { 0x7f0000001040, 0x7f0000001080 } };
	static const struct {
		uint64_t word;
		size_t found;
	} cases[] = {
		{ 0x7f0000000fff, 0 },	   { 0x7f0000001000, 1 },     { 0x7f000000103f, 1 },
		{ 0x7f0000001040, 2 },	   { 0x7f0000001041, 1 },     { 0x7f0000001080, 1 },
		{ 0x7f0000001081, 0 },	   { 0xffff7f0000001000, 1 }, { 0xbeef7f0000001080, 1 },
		{ 0x00017f0000001040, 2 }, { 0x7e0000001000, 0 },     { 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
			check(targets, 2, (const uint8_t *)&cases[i].word, sizeof(uint64_t)),
			cases[i].found);
}

/* Pieces that overlap as the header says show each word once. */
static void test_pieces(void **state)
{
	const struct extent target = { 0x7f0000001000, 0x7f0000001040 };
	struct scan_targets *t;
	uint8_t buf[4096];
	uint64_t word = 0x7f0000001001;

	(void)state;
	assert_int_equal(scan_targets_create(&target, 1, &t), 0);
	for (size_t piece = 8; piece < 200; piece += 3) {
		struct hits hits = { 0 };

		memset(buf, 0, sizeof(buf));
		for (size_t at = 1; at + 8 <= sizeof(buf); at += 13)
			memcpy(buf + at, &word, sizeof(word));
		for (size_t at = 0; at < sizeof(buf); at += piece - SCAN_OVERLAP) {
			size_t bytes = sizeof(buf) - at < piece ? sizeof(buf) - at : piece;

			assert_int_equal(scan_find(t, BASE + at, buf + at, bytes, add_hit, &hits),
					 0);
		}
		assert_int_equal(hits.n, (sizeof(buf) - 8 - 1) / 13 + 1);
		for (size_t i = 0; i < hits.n; i++)
			assert_true(hits.v[i].at == BASE + 1 + 13 * i);
		free(hits.v);
	}
	scan_targets_free(t);
}

static void test_stop_and_nothing(void **state)
{
	const struct extent none = { UINT64_C(1) << 48, (UINT64_C(1) << 48) + 8 };
	const struct extent all = { 0, UINT64_MAX };
	struct hits hits = { .stop_after = 5 };
	struct scan_targets *t;
	uint8_t buf[64] = { 0 };

	(void)state;
	assert_int_equal(check(NULL, 0, buf, sizeof(buf)), 0);
	assert_int_equal(check(&none, 1, buf, sizeof(buf)), 0);
	assert_int_equal(check(&all, 1, buf, sizeof(buf)), 57);
	assert_int_equal(scan_targets_create(&all, 1, &t), 0);
	assert_int_equal(scan_find(t, BASE, buf, sizeof(buf), add_hit, &hits), 17);
	assert_int_equal(hits.n, 5);
	free(hits.v);
	scan_targets_free(t);
	scan_targets_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),		 cmocka_unit_test(test_edges),
		cmocka_unit_test(test_ends_of_targets),	 cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_stop_and_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
