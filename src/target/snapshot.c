/* SPDX-License-Identifier: MIT
 *
 * Copies of a stopped process's memory, by address.
 *
 * Invariant: `ranges` is sorted and free of overlaps; a byte is copied once, whatever is wanted
 * again later (the process stands still, so an old copy is as good as a new one). Each fetch has
 * one buffer, the ranges point into it.
 *
 * A fetch cuts what is wanted into tiles: a tile runs from one wanted address to the next, or to
 * the end of what is wanted, or to what is copied already. Tiles that touch are read as one
 * piece, which keeps the batch small; where such a piece cannot be read to its end, the tiles
 * behind the bad page are read singly, so that one bad want does not hide its neighbours.
 */
#include "target/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/memory.h"

#define SNAPSHOT_PAGE 4096u

struct snapshot_want {
	uint64_t start, end;
};

struct snapshot_range {
	uint64_t start, end;
	const uint8_t *data;
};

/* The buffer of one fetch. */
struct snapshot_arena {
	struct snapshot_arena *next;
	uint8_t data[];
};

struct snapshot {
	pid_t pid;
	struct memory_source source; /* .read not NULL: stands for all ranges */
	struct snapshot_want *wants;
	size_t want_count, want_size;
	struct snapshot_range *ranges;
	size_t range_count;
	struct snapshot_arena *arenas;
	size_t bytes;
	size_t unread;
};

/* What one fetch works with. */
struct snapshot_work {
	struct snapshot_want *tiles; /* sorted, no overlaps, none copied before */
	size_t tile_count;
	struct memory_piece *pieces; /* room for two a tile */
	size_t piece_count;
	struct snapshot_range *ranges; /* all ranges as they will be */
	struct snapshot_arena *arena;
	int failed; /* errno of the last failure, 0 for none */
};

int snapshot_create(pid_t pid, struct snapshot **out, struct err *e)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	*out = s;
	if (!s)
		return err_set(e, ERR_NOMEM, "cannot copy memory of process %d", (int)pid);
	s->pid = pid;
	return 0;
}

int snapshot_create_over(struct memory_source source, struct snapshot **out, struct err *e)
{
	int rc = snapshot_create(0, out, e);

	if (!rc)
		(*out)->source = source;
	return rc;
}

void snapshot_free(struct snapshot *s)
{
	struct snapshot_arena *a, *next;

	if (!s)
		return;
	for (a = s->arenas; a; a = next) {
		next = a->next;
		free(a);
	}
	free(s->wants);
	free(s->ranges);
	free(s);
}

int snapshot_want(struct snapshot *s, uint64_t address, size_t bytes)
{
	struct snapshot_want *bigger;
	size_t size;

	if (bytes > UINT64_MAX - address)
		bytes = UINT64_MAX - address;
	if (!bytes || s->source.read)
		return 0;
	if (s->want_count == s->want_size) {
		size = s->want_size ? s->want_size * 2 : 64;
		bigger = reallocarray(s->wants, size, sizeof(*bigger));
		if (!bigger)
			return ERR_NOMEM;
		s->wants = bigger;
		s->want_size = size;
	}
	s->wants[s->want_count++] = (struct snapshot_want){ address, address + bytes };
	return 0;
}

static int snapshot_compare_wants(const void *a, const void *b)
{
	const struct snapshot_want *x = a;
	const struct snapshot_want *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The first range that ends behind `address`; range_count if there is none. */
static size_t snapshot_find(const struct snapshot *s, uint64_t address)
{
	size_t low = 0;
	size_t high = s->range_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->ranges[mid].end <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool snapshot_covers(const struct snapshot *s, uint64_t address)
{
	size_t i = snapshot_find(s, address);

	return i < s->range_count && s->ranges[i].start <= address;
}

/* Add the parts of start..end that are not copied yet; *r is the first range that may matter. */
static void snapshot_add_tiles(const struct snapshot *s, struct snapshot_work *w, size_t *r,
			       uint64_t start, uint64_t end)
{
	while (start < end) {
		uint64_t stop = end;

		while (*r < s->range_count && s->ranges[*r].end <= start)
			(*r)++;
		if (*r < s->range_count && s->ranges[*r].start <= start) {
			start = s->ranges[*r].end;
			continue;
		}
		if (*r < s->range_count && s->ranges[*r].start < end)
			stop = s->ranges[*r].start;
		w->tiles[w->tile_count++] = (struct snapshot_want){ start, stop };
		start = stop;
	}
}

/* Cut the wants into tiles. Each want ends at most one, each range splits at most one. */
static int snapshot_make_tiles(struct snapshot *s, struct snapshot_work *w)
{
	size_t max = s->want_count + s->range_count;
	uint64_t covered = 0; /* the furthest end of any want so far */
	size_t r, i;

	qsort(s->wants, s->want_count, sizeof(*s->wants), snapshot_compare_wants);
	w->tiles = reallocarray(NULL, max, sizeof(*w->tiles));
	if (!w->tiles)
		return ERR_NOMEM;
	r = snapshot_find(s, s->wants[0].start);
	for (i = 0; i < s->want_count; i++) {
		uint64_t start = s->wants[i].start;
		uint64_t end;

		if (covered < s->wants[i].end)
			covered = s->wants[i].end;
		end = covered;
		if (i + 1 < s->want_count && s->wants[i + 1].start < end)
			end = s->wants[i + 1].start;
		snapshot_add_tiles(s, w, &r, start, end);
	}
	return 0;
}

/* One buffer for all pieces, laid out one behind the other. */
static int snapshot_make_arena(struct snapshot_work *w, size_t total)
{
	uint8_t *to;
	size_t i;

	if (total > SIZE_MAX / 2)
		return ERR_NOMEM;
	w->arena = malloc(sizeof(*w->arena) + total);
	if (!w->arena)
		return ERR_NOMEM;
	to = w->arena->data;
	for (i = 0; i < w->piece_count; to += w->pieces[i++].bytes)
		w->pieces[i].buffer = to;
	return 0;
}

/* One piece for each run of tiles that touch. */
static int snapshot_make_pieces(struct snapshot_work *w)
{
	struct memory_piece *p = NULL;
	size_t total = 0;
	size_t i;

	w->pieces = reallocarray(NULL, w->tile_count, 2 * sizeof(*w->pieces));
	if (!w->pieces)
		return ERR_NOMEM;
	for (i = 0; i < w->tile_count; i++) {
		const struct snapshot_want *t = &w->tiles[i];

		if (__builtin_add_overflow(total, (size_t)(t->end - t->start), &total))
			return ERR_NOMEM;
		if (!p || p->address + p->bytes != t->start) {
			p = &w->pieces[w->piece_count++];
			*p = (struct memory_piece){ .address = t->start };
		}
		p->bytes += (size_t)(t->end - t->start);
	}
	return snapshot_make_arena(w, total);
}

/* Make the tiles of piece `p` that begin behind the page where it failed pieces of their own. */
static void snapshot_split_piece(struct snapshot_work *w, struct memory_piece *p, size_t *tile)
{
	uint64_t end = p->address + p->bytes;
	uint64_t bad = (p->address + p->got) / SNAPSHOT_PAGE;

	for (; *tile < w->tile_count && w->tiles[*tile].start < end; (*tile)++) {
		const struct snapshot_want *t = &w->tiles[*tile];

		if (t->start < p->address || t->start / SNAPSHOT_PAGE <= bad)
			continue;
		if (p->bytes > t->start - p->address)
			p->bytes = (size_t)(t->start - p->address);
		w->pieces[w->piece_count++] = (struct memory_piece){
			.address = t->start,
			.buffer = (uint8_t *)p->buffer + (t->start - p->address),
			.bytes = (size_t)(t->end - t->start),
		};
	}
}

/* Read all pieces; what is behind a bad page in a second go. */
static void snapshot_read_pieces(const struct snapshot *s, struct snapshot_work *w)
{
	size_t first = w->piece_count;
	size_t tile = 0;
	size_t i;

	memory_read_pieces(s->pid, w->pieces, first, &w->failed);
	if (w->failed != EFAULT)
		return;
	for (i = 0; i < first; i++)
		if (w->pieces[i].got < w->pieces[i].bytes)
			snapshot_split_piece(w, &w->pieces[i], &tile);
	if (w->piece_count > first)
		memory_read_pieces(s->pid, w->pieces + first, w->piece_count - first, &w->failed);
}

static int snapshot_compare_pieces(const void *a, const void *b)
{
	const struct memory_piece *x = a;
	const struct memory_piece *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* Merge what was read into the ranges. */
static void snapshot_keep(struct snapshot *s, struct snapshot_work *w)
{
	size_t old = 0;
	size_t n = 0;
	size_t i;

	qsort(w->pieces, w->piece_count, sizeof(*w->pieces), snapshot_compare_pieces);
	for (i = 0; i < w->piece_count; i++) {
		const struct memory_piece *p = &w->pieces[i];

		if (!p->got)
			continue;
		while (old < s->range_count && s->ranges[old].start < p->address)
			w->ranges[n++] = s->ranges[old++];
		w->ranges[n++] =
			(struct snapshot_range){ p->address, p->address + p->got, p->buffer };
		s->bytes += p->got;
	}
	while (old < s->range_count)
		w->ranges[n++] = s->ranges[old++];
	free(s->ranges);
	s->ranges = w->ranges;
	s->range_count = n;
	w->arena->next = s->arenas;
	s->arenas = w->arena;
	w->ranges = NULL;
	w->arena = NULL;
	for (i = 0; i < w->tile_count; i++)
		s->unread += !snapshot_covers(s, w->tiles[i].start);
}

static int snapshot_explain(const struct snapshot *s, int error, struct err *e)
{
	switch (error) {
	case 0:
	case EFAULT:
		return 0;
	case ESRCH:
		return err_set(e, ERR_ENDED, "cannot copy memory of process %d", (int)s->pid);
	case ENOMEM:
		return err_set(e, ERR_NOMEM, "cannot copy memory of process %d", (int)s->pid);
	default:
		return err_set_errno(e, error, "cannot copy memory of process %d", (int)s->pid);
	}
}

int snapshot_fetch(struct snapshot *s, struct err *e)
{
	struct snapshot_work w = { 0 };
	int rc = 0;

	if (!s->want_count)
		return 0;
	if (snapshot_make_tiles(s, &w) < 0)
		goto nomem;
	s->want_count = 0;
	if (!w.tile_count)
		goto out;
	w.ranges = reallocarray(NULL, s->range_count + 2 * w.tile_count, sizeof(*w.ranges));
	if (!w.ranges || snapshot_make_pieces(&w) < 0)
		goto nomem;
	snapshot_read_pieces(s, &w);
	snapshot_keep(s, &w);
	rc = snapshot_explain(s, w.failed, e);
	goto out;
nomem:
	rc = snapshot_explain(s, ENOMEM, e);
out:
	free(w.tiles);
	free(w.pieces);
	free(w.ranges);
	free(w.arena);
	return rc;
}

size_t snapshot_read(const struct snapshot *s, uint64_t address, void *buf, size_t bytes)
{
	size_t i = snapshot_find(s, address);
	size_t done = 0;

	if (s->source.read)
		return s->source.read(s->source.ctx, address, buf, bytes);
	for (; i < s->range_count && done < bytes; i++) {
		const struct snapshot_range *r = &s->ranges[i];
		uint64_t at = address + done;
		size_t take;

		if (r->start > at)
			break;
		take = (size_t)(r->end - at);
		if (take > bytes - done)
			take = bytes - done;
		memcpy((uint8_t *)buf + done, r->data + (at - r->start), take);
		done += take;
	}
	return done;
}

bool snapshot_read_whole(const struct snapshot *s, uint64_t address, void *buf, size_t bytes)
{
	return snapshot_read(s, address, buf, bytes) == bytes;
}

size_t snapshot_bytes(const struct snapshot *s)
{
	return s->bytes;
}

size_t snapshot_unread_pieces(const struct snapshot *s)
{
	return s->unread;
}
