/* SPDX-License-Identifier: MIT
 *
 * Windows over a process's memory. A window that begins soon behind the last one is twice as long
 * as that; after a leap it begins small again, so that big chunks are skipped unread.
 */
#include "heap/window.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_MIN 4096u
#define SOON	   (16u << 10) /* less than this is rather read than skipped */

int window_init(struct window *w, const struct memory_source *memory, const struct extent *pages,
		size_t page_count)
{
	memset(w, 0, sizeof(*w));
	w->memory = *memory;
	w->pages = pages;
	w->page_count = page_count;
	w->ahead = WINDOW_MIN;
	w->bytes = malloc(WINDOW_MAX);
	w->line_bytes = malloc((size_t)WINDOW_LINES * WINDOW_LINE);
	if (w->bytes && w->line_bytes)
		return 0;
	window_free(w);
	return -1;
}

void window_free(struct window *w)
{
	free(w->bytes);
	free(w->line_bytes);
	w->bytes = NULL;
	w->line_bytes = NULL;
}

/* How much from `address` on, at most `bytes`, is in pages that hold something. */
static size_t window_present(const struct window *w, uint64_t address, size_t bytes)
{
	size_t low = 0;
	size_t high = w->page_count;
	uint64_t end = address;

	if (!w->pages)
		return bytes;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (w->pages[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < w->page_count && w->pages[low].start <= end && end - address < bytes; low++)
		end = w->pages[low].end;
	return end - address < bytes ? (size_t)(end - address) : bytes;
}

const uint8_t *window_fill(struct window *w, uint64_t address, size_t bytes, size_t *have)
{
	uint64_t ahead = address - w->at;
	size_t want;

	if (w->have && ahead <= w->have + SOON)
		w->ahead = w->ahead < WINDOW_MAX / 2 ? w->ahead * 2 : WINDOW_MAX;
	else
		w->ahead = WINDOW_MIN;
	/* To the end of a page: the last one costs the same, read in part or whole. */
	want = w->ahead - (size_t)(address % WINDOW_MIN);
	if (want < bytes)
		want = w->ahead < WINDOW_MAX ? want + WINDOW_MIN : WINDOW_MAX;
	w->at = address;
	want = window_present(w, address, want);
	w->have = w->memory.read(w->memory.ctx, address, w->bytes, want);
	if (w->have > want)
		w->have = 0;
	*have = w->have;
	return w->have < bytes ? NULL : w->bytes;
}

_Bool window_word(struct window *w, uint64_t address, uint64_t *out)
{
	size_t i = (size_t)(address / WINDOW_LINE % WINDOW_LINES);
	struct window_line *line = &w->lines[i];
	uint8_t *bytes = w->line_bytes + i * WINDOW_LINE;
	uint64_t at = address & ~(uint64_t)(WINDOW_LINE - 1);
	size_t offset = (size_t)(address - at);

	if (line->at != at || !line->have) {
		w->line_reads++;
		line->at = at;
		line->have = w->memory.read(w->memory.ctx, at, bytes,
					    window_present(w, at, WINDOW_LINE));
		if (line->have > WINDOW_LINE)
			line->have = 0;
	}
	if (line->have < offset + sizeof(*out))
		return 0;
	memcpy(out, bytes + offset, sizeof(*out));
	return 1;
}
