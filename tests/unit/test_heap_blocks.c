/* SPDX-License-Identifier: MIT
 *
 * Chunks as bitmaps: whatever they are cut into, every address finds its chunk. Windows: what
 * is read through them is what is there, and what never held anything is not asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "heap/blocks.h"
#include "heap/window.h"
#include "unit.h"

#define START UINT64_C(0x7f0000000230)

static void check_chunk(const struct blocks *b, uint64_t at, uint64_t size, bool idle)
{
	uint64_t places[5] = { at, at + 1, at + size / 2, at + size - 1, at + size - 16 };
	struct extent chunk;
	bool is_idle;
	size_t i;

	for (i = 0; i < 5; i++) {
		assert_true(blocks_find(b, places[i], &chunk, &is_idle));
		assert_true(chunk.start == at && chunk.end == at + size);
		assert_int_equal(is_idle, idle);
		assert_int_equal(blocks_at(b, places[i], &chunk, &is_idle), places[i] == at);
	}
}

/* Chunks of sizes from `sizes`, in turn by chance. */
static void check_cuts(const uint64_t *sizes, size_t n, uint64_t total, unsigned seed)
{
	uint64_t *chosen = test_malloc(total / 16 * sizeof(*chosen));
	struct blocks b;
	struct extent chunk;
	uint64_t at, end = START;
	size_t count = 0;
	size_t i;
	bool idle;

	assert_int_equal(blocks_init(&b, START, START + total), 0);
	while (end < START + total) {
		uint64_t size = sizes[(unsigned)rand_r(&seed) % n];

		if (size > START + total - end)
			size = START + total - end;
		blocks_add(&b, size, size / 16 % 3 == 0);
		chosen[count++] = size;
		end += size;
	}
	for (i = 0, at = START; i < count; at += chosen[i++])
		check_chunk(&b, at, chosen[i], chosen[i] / 16 % 3 == 0);
	assert_true(b.filled == end && at == end);
	assert_false(blocks_find(&b, START - 1, &chunk, &idle));
	assert_false(blocks_find(&b, end, &chunk, &idle));
	assert_true(blocks_cost(&b) <= total * 18 / 1000 + 1024);
	blocks_free(&b);
	test_free(chosen);
}

static void test_cuts(void **state)
{
	static const uint64_t small[] = { 32, 48, 64, 128 };
	static const uint64_t pages[] = { 4096, 4096 - 16, 4096 + 16, 32, 8192, 3536 };
	static const uint64_t large[] = { 1 << 20, 32, 100000, (1 << 20) + 48 };

	(void)state;
	check_cuts(small, 4, 1 << 20, 1);
	check_cuts(pages, 6, 1 << 20, 2);
	check_cuts(large, 4, 1 << 26, 3);
	check_cuts(small, 1, 32, 4);
	check_cuts(large, 1, 1 << 16, 5);
}

static void test_idle_later(void **state)
{
	struct blocks b;
	struct extent chunk;
	bool idle;

	(void)state;
	assert_int_equal(blocks_init(&b, START, START + 8192), 0);
	blocks_add(&b, 64, false);
	blocks_add(&b, 6000, false);
	blocks_set_idle(&b, START + 64);
	check_chunk(&b, START, 64, false);
	check_chunk(&b, START + 64, 6000, true);
	/* Not filled to the end; and what does not fit is not added. */
	assert_false(blocks_find(&b, START + 6064, &chunk, &idle));
	blocks_add(&b, 1 << 20, false);
	blocks_add(&b, 24, false);
	blocks_add(&b, 0, false);
	assert_true(b.filled == START + 6064);
	blocks_free(&b);
}

static void test_what_cannot_be(void **state)
{
	struct blocks b;

	(void)state;
	assert_int_equal(blocks_init(&b, START, START), ERR_BAD_FORMAT);
	assert_int_equal(blocks_init(&b, START, START - 16), ERR_BAD_FORMAT);
	assert_int_equal(blocks_init(&b, START + 8, START + 4096), ERR_BAD_FORMAT);
	assert_int_equal(blocks_init(&b, START, START + (UINT64_C(1) << 40)), ERR_BAD_FORMAT);
}

#define MEMORY (8u << 20)

struct reads {
	const struct extent *allowed;
	size_t allowed_count;
	size_t calls, bytes;
};

static uint8_t byte_at(uint64_t address)
{
	return (uint8_t)(address ^ address >> 8 ^ address >> 16);
}

static size_t read_counted(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	struct reads *r = ctx;
	size_t i;

	for (i = 0; bytes && i < r->allowed_count; i++)
		if (address >= r->allowed[i].start && address + bytes <= r->allowed[i].end)
			break;
	if (bytes && r->allowed_count && i == r->allowed_count)
		fail_msg("%zu bytes at %#llx are read", bytes, (long long)address);
	r->calls++;
	r->bytes += bytes;
	for (i = 0; i < bytes; i++)
		((uint8_t *)buf)[i] = byte_at(address + i);
	return bytes;
}

static void check_bytes(const uint8_t *p, uint64_t address, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] != byte_at(address + i))
			fail_msg("byte %#llx differs", (long long)address + (long long)i);
}

static void test_windows_grow(void **state)
{
	struct reads r = { 0 };
	struct memory_source source = { read_counted, &r };
	struct window w;
	uint64_t at;
	size_t have;

	(void)state;
	assert_int_equal(window_init(&w, &source, NULL, 0), 0);
	for (at = 0x10008; at < 0x10008 + MEMORY; at += 48) {
		const uint8_t *p = window_forward(&w, at, 16, &have);

		assert_non_null(p);
		assert_true(have >= 16);
		check_bytes(p, at, 16);
	}
	assert_true(r.calls < 48 && r.bytes < MEMORY * 5 / 4);
	r = (struct reads){ 0 };
	for (; at < UINT64_C(1) << 40; at += UINT64_C(1) << 30)
		check_bytes(window_forward(&w, at, 16, &have), at, 16);
	assert_true(r.calls <= 1100 && r.bytes <= r.calls * 8192);
	window_free(&w);
}

static void test_windows_keep_to_pages(void **state)
{
	static const struct extent pages[] = { { 0x10000, 0x13000 },
					       { 0x13000, 0x14000 },
					       { 0x20000, 0x21000 } };
	static const struct extent allowed[] = { { 0x10000, 0x14000 }, { 0x20000, 0x21000 } };
	struct reads r = { allowed, 2, 0, 0 };
	struct memory_source source = { read_counted, &r };
	struct window w;
	uint64_t word, expected;
	size_t have, i;

	(void)state;
	assert_int_equal(window_init(&w, &source, pages, 3), 0);
	assert_null(window_forward(&w, 0xfff8, 16, &have));
	assert_null(window_forward(&w, 0x14000, 16, &have));
	assert_null(window_forward(&w, 0x13ff8, 16, &have));
	assert_non_null(window_forward(&w, 0x12ff8, 16, &have));
	assert_non_null(window_forward(&w, 0x13ff0, 16, &have));
	assert_non_null(window_forward(&w, 0x20000, 4096, &have));
	assert_false(window_word(&w, 0x14000, &word));
	assert_false(window_word(&w, 0x1fff8, &word));
	assert_true(window_word(&w, 0x20ff8, &word));
	for (i = 0; i < 8; i++)
		((uint8_t *)&expected)[i] = byte_at(0x20ff8 + i);
	assert_true(word == expected);
	window_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_idle_later),
		cmocka_unit_test(test_what_cannot_be),
		cmocka_unit_test(test_windows_grow),
		cmocka_unit_test(test_windows_keep_to_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
