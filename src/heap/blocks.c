/* SPDX-License-Identifier: MIT
 *
 * Chunks as bitmaps, with a note for each page. A chunk that holds the first byte of a page is found
 * by the note, any other by the bits of its own page: at most four words are searched backwards
 * for where it begins, and four forwards for where the next one does.
 */
#include "heap/blocks.h"

#include <stdlib.h>

#include "err.h"

#define GRAINS_PER_PAGE (BLOCKS_PAGE / BLOCKS_GRAIN)
#define NONE		UINT64_MAX

int blocks_init(struct blocks *b, uint64_t first, uint64_t end)
{
	uint64_t bytes;

	*b = (struct blocks){ .base = first & ~(BLOCKS_PAGE - 1), .first = first, .filled = first };
	if (first >= end || (first | end) % BLOCKS_GRAIN)
		return ERR_BAD_FORMAT;
	bytes = end - b->base;
	if (bytes / BLOCKS_GRAIN > UINT32_MAX)
		return ERR_BAD_FORMAT;
	b->pages = (bytes + BLOCKS_PAGE - 1) / BLOCKS_PAGE;
	b->words = b->pages * (GRAINS_PER_PAGE / 64);
	b->begins = calloc(b->words, sizeof(*b->begins));
	b->idle = calloc(b->words, sizeof(*b->idle));
	b->cover = calloc(b->pages, sizeof(*b->cover));
	if (b->begins && b->idle && b->cover)
		return 0;
	blocks_free(b);
	return ERR_NOMEM;
}

void blocks_free(struct blocks *b)
{
	free(b->begins);
	free(b->idle);
	free(b->cover);
	*b = (struct blocks){ 0 };
}

size_t blocks_cost(const struct blocks *b)
{
	return b->words * (sizeof(*b->begins) + sizeof(*b->idle)) + b->pages * sizeof(*b->cover);
}

static bool bit_get(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

static void bit_set(uint64_t *bits, uint64_t i)
{
	bits[i / 64] |= UINT64_C(1) << i % 64;
}

void blocks_add(struct blocks *b, uint64_t size, bool idle)
{
	uint64_t start = (b->filled - b->base) / BLOCKS_GRAIN;
	uint64_t end = start + size / BLOCKS_GRAIN;
	uint64_t page;

	if (!size || size % BLOCKS_GRAIN || end < start || end > b->pages * GRAINS_PER_PAGE)
		return;
	bit_set(b->begins, start);
	if (idle)
		bit_set(b->idle, start);
	page = (start + GRAINS_PER_PAGE - 1) / GRAINS_PER_PAGE;
	for (; page * GRAINS_PER_PAGE < end; page++)
		b->cover[page] = (struct blocks_cover){ (uint32_t)start, (uint32_t)end };
	b->filled += size;
}

/* The last chunk of grain i's page that begins at or before i. */
static uint64_t begins_before(const struct blocks *b, uint64_t i)
{
	uint64_t word = i / 64;
	uint64_t bits = b->begins[word] & UINT64_MAX >> (63 - i % 64);

	while (!bits) {
		if (word % (GRAINS_PER_PAGE / 64) == 0)
			return NONE;
		bits = b->begins[--word];
	}
	return word * 64 + 63 - (uint64_t)__builtin_clzll(bits);
}

/* The first chunk of grain i's page that begins after i. */
static uint64_t begins_after(const struct blocks *b, uint64_t i)
{
	uint64_t word = i / 64;
	uint64_t bits = b->begins[word] & (UINT64_MAX << i % 64) << 1;

	while (!bits) {
		word++;
		if (word % (GRAINS_PER_PAGE / 64) == 0)
			return NONE;
		bits = b->begins[word];
	}
	return word * 64 + (uint64_t)__builtin_ctzll(bits);
}

/* Where the chunk that begins at grain `start` ends. */
static uint64_t ends_at(const struct blocks *b, uint64_t start)
{
	uint64_t next = begins_after(b, start);
	uint64_t page = start / GRAINS_PER_PAGE + 1;
	uint64_t filled = (b->filled - b->base) / BLOCKS_GRAIN;

	if (next != NONE)
		return next;
	if (page * GRAINS_PER_PAGE >= filled)
		return filled;
	return b->cover[page].start == start ? b->cover[page].end : page * GRAINS_PER_PAGE;
}

bool blocks_find(const struct blocks *b, uint64_t address, struct extent *chunk, bool *idle)
{
	uint64_t grain;
	uint64_t start;
	uint64_t end;

	if (address < b->first || address >= b->filled)
		return false;
	grain = (address - b->base) / BLOCKS_GRAIN;
	start = begins_before(b, grain);
	if (start != NONE) {
		end = ends_at(b, start);
	} else {
		start = b->cover[grain / GRAINS_PER_PAGE].start;
		end = b->cover[grain / GRAINS_PER_PAGE].end;
	}
	*chunk = (struct extent){ b->base + start * BLOCKS_GRAIN, b->base + end * BLOCKS_GRAIN };
	*idle = bit_get(b->idle, start);
	return true;
}

bool blocks_at(const struct blocks *b, uint64_t address, struct extent *chunk, bool *idle)
{
	if (address < b->first || address >= b->filled || address % BLOCKS_GRAIN ||
	    !bit_get(b->begins, (address - b->base) / BLOCKS_GRAIN))
		return false;
	return blocks_find(b, address, chunk, idle);
}

void blocks_set_idle(struct blocks *b, uint64_t address)
{
	bit_set(b->idle, (address - b->base) / BLOCKS_GRAIN);
}
