/* SPDX-License-Identifier: MIT
 *
 * The rounds of the search. What can be a root without further ado (static data, the stacks of those
 * who are certainly live, registers, what the kernel holds) is small and comes first in each round: what
 * it reaches need not be looked for in the heap.
 *
 * Invariant: a node whose referrers were all looked for is `expanded`; at the end every node is
 * expanded, or reached from what is certain, or the graph says that it was given up.
 */
#include "prove/search.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "prove/scan.h"

/* What is read at once. */
#define WINDOW_BYTES ((size_t)256 << 10)
#define PAGE_BYTES   4096

/* Memory of less than that is searched by one thread. */
#define ALONE_BYTES ((uint64_t)4 << 20)

/* Windows of one round: roots first, then what leads on. */
struct search_windows {
	struct extent *v;
	size_t n, room;
	uint64_t bytes;
};

struct search {
	const struct search_input *in;
	struct reach *reach;
	struct search_windows roots, rest;
	bool *expanded; /* by node */
	size_t expanded_room;
	uint32_t static_node;
	uint32_t *piece_nodes;
	struct extent *targets; /* of this round */
	uint32_t *target_nodes;
	size_t target_count, target_room;
	struct scan_targets *scan;
};

/* -- windows ---------------------------------------------------------------------------------- */

static int windows_add(struct search_windows *w, uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end; at += WINDOW_BYTES) {
		if (w->n == w->room) {
			size_t room = w->room ? 2 * w->room : 256;
			struct extent *bigger = reallocarray(w->v, room, sizeof(*bigger));

			if (!bigger)
				return ERR_NOMEM;
			w->v = bigger;
			w->room = room;
		}
		w->v[w->n++] =
			(struct extent){ at, end - at < WINDOW_BYTES ? end : at + WINDOW_BYTES };
	}
	w->bytes += end - start;
	return 0;
}

static bool search_thread_is_certain(const struct search *s, uint32_t thread)
{
	return thread < s->in->thread_count && s->in->threads[thread].certain;
}

/* Where the words of an area are looked for; NULL: nowhere. */
static struct search_windows *search_windows_of(struct search *s, const struct area *a)
{
	switch (a->kind) {
	case AREA_DEAD:
		return NULL;
	case AREA_STATIC:
		return &s->roots;
	case AREA_STACK:
	case AREA_LOCALS:
	case AREA_DESCRIPTOR:
		return search_thread_is_certain(s, a->thread) ? &s->roots : &s->rest;
	default:
		return &s->rest;
	}
}

/* Pages cut by areas; neighbours for the same list are joined. */
static int search_list_windows(struct search *s)
{
	const struct areas *areas = s->in->areas;
	size_t at = 0;
	int rc = 0;

	for (size_t i = 0; i < s->in->page_count && !rc; i++) {
		struct extent p = s->in->pages[i];

		while (at < areas->n && areas->v[at].end <= p.start)
			at++;
		for (size_t k = at; k < areas->n && areas->v[k].start < p.end && !rc;) {
			struct search_windows *w = search_windows_of(s, &areas->v[k]);
			uint64_t start = areas->v[k].start > p.start ? areas->v[k].start : p.start;
			uint64_t end = areas->v[k].end;

			for (k++; k < areas->n && areas->v[k].start == end && end < p.end &&
				  search_windows_of(s, &areas->v[k]) == w;
			     k++)
				end = areas->v[k].end;
			if (w)
				rc = windows_add(w, start, end < p.end ? end : p.end);
		}
	}
	return rc;
}

/* -- from a word to its node ------------------------------------------------------------------ */

static uint32_t search_area_node(struct search *s, const struct area *a)
{
	static const enum place_kind kinds[] = {
		[AREA_WHOLE] = PLACE_MAPPING,	      [AREA_STACK] = PLACE_STACK,
		[AREA_LOCALS] = PLACE_LOCALS,	      [AREA_DESCRIPTOR] = PLACE_DESCRIPTOR,
		[AREA_MAIN_FRAME] = PLACE_MAIN_FRAME,
	};
	const struct area *first = &s->in->areas->v[a->same];

	return reach_node(s->reach, kinds[a->kind], first->start, first->end, a->thread);
}

/* The node in which the word at `at` stands. *nowhere: it leads nowhere. */
static uint32_t search_node_at(struct search *s, uint64_t at, bool *nowhere)
{
	const struct area *a = areas_find(s->in->areas, at);
	struct extent block;

	*nowhere = !a || a->kind == AREA_DEAD;
	if (*nowhere)
		return REACH_NONE;
	if (a->kind == AREA_STATIC)
		return s->static_node;
	if (a->kind != AREA_BLOCKS)
		return search_area_node(s, a);
	*nowhere = heap_find(s->in->heap, at, &block) != HEAP_BLOCK;
	return *nowhere ? REACH_NONE
			: reach_node(s->reach, PLACE_BLOCK, block.start, block.end, REACH_NONE);
}

/* -- one pass over a list of windows ---------------------------------------------------------- */

struct search_hit {
	uint64_t at;
	uint32_t target; /* index */
};

struct search_hits {
	struct search_hit *v;
	size_t n, room;
	size_t most; /* more than that is not kept */
	bool failed, too_many;
};

struct search_pass {
	struct search *s;
	const struct search_windows *windows;
	atomic_size_t next;
	atomic_bool expired, unread;
};

struct search_helper {
	struct search_pass *pass;
	struct search_hits hits;
	pthread_t thread;
	bool started;
};

static int hits_add(void *ctx, uint64_t at, uint64_t value, size_t target)
{
	struct search_hits *h = ctx;

	(void)value;
	h->too_many = h->n >= h->most;
	if (h->too_many) {
		h->failed = true;
		return ERR_NOMEM;
	}
	if (h->n == h->room) {
		size_t room = h->room ? 2 * h->room : 256;
		struct search_hit *bigger = reallocarray(h->v, room, sizeof(*bigger));

		h->failed = !bigger;
		if (!bigger)
			return ERR_NOMEM;
		h->v = bigger;
		h->room = room;
	}
	h->v[h->n++] = (struct search_hit){ at, (uint32_t)target };
	return 0;
}

static void *search_help(void *arg)
{
	struct search_helper *h = arg;
	struct search_pass *p = h->pass;
	const struct search_input *in = p->s->in;
	uint8_t *buf = malloc(WINDOW_BYTES + SCAN_OVERLAP);
	size_t i;

	h->hits.failed = !buf;
	while (buf && (i = atomic_fetch_add(&p->next, 1)) < p->windows->n) {
		const struct extent *w = &p->windows->v[i];
		size_t got;

		if (atomic_load(&p->expired) || h->hits.failed)
			break;
		if (in->expired && in->expired(in->expired_ctx)) {
			atomic_store(&p->expired, true);
			break;
		}
		got = in->memory.read(in->memory.ctx, w->start, buf,
				      (size_t)(w->end - w->start) + SCAN_OVERLAP);
		scan_find(p->s->scan, w->start, buf, got, hits_add, &h->hits);
		if (got < w->end - w->start)
			atomic_store(&p->unread, true);
	}
	free(buf);
	return NULL;
}

/* Is it a word of a descriptor into its own thread's stack (clean-ups, say)? If the thread is live its
 * stack is a root by itself; and a handler that runs in it gets at the thread's data through the
 * descriptor, not at the frames that it interrupts. */
static bool search_is_inward(const struct search *s, uint64_t at, uint32_t to)
{
	const struct area *a = areas_find(s->in->areas, at), *b;
	enum place_kind kind;
	uint64_t start, end;

	if (!a || a->kind != AREA_DESCRIPTOR)
		return false;
	reach_node_extent(s->reach, to, &kind, &start, &end);
	b = kind == PLACE_STACK ? areas_find(s->in->areas, start) : NULL;
	return b && b->kind == AREA_STACK && b->thread == a->thread;
}

static int search_take_hits(struct search *s, const struct search_hits *hits)
{
	int rc = hits->failed ? ERR_NOMEM : 0;

	if (hits->too_many)
		reach_give_up(s->reach, "there are too many references to what is waited for");
	for (size_t i = 0; i < hits->n && !rc; i++) {
		uint32_t to = s->target_nodes[hits->v[i].target];
		bool nowhere;
		uint32_t from = search_node_at(s, hits->v[i].at, &nowhere);

		if (nowhere || search_is_inward(s, hits->v[i].at, to))
			continue;
		rc = from == REACH_NONE ? ERR_NOMEM : reach_edge(s->reach, from, to, hits->v[i].at);
	}
	return rc;
}

static int search_pass_windows(struct search *s, const struct search_windows *w)
{
	unsigned n = w->bytes < ALONE_BYTES ? 1 : s->in->helpers;
	struct search_pass pass = { .s = s, .windows = w };
	struct search_helper *helpers = calloc(n, sizeof(*helpers));
	int rc = 0;

	if (!helpers)
		return ERR_NOMEM;
	for (unsigned i = 0; i < n; i++) {
		helpers[i].pass = &pass;
		helpers[i].hits.most = s->in->limit_bytes / sizeof(struct search_hit) / n;
		helpers[i].started =
			i && !pthread_create(&helpers[i].thread, NULL, search_help, &helpers[i]);
	}
	search_help(&helpers[0]);
	for (unsigned i = 0; i < n; i++) {
		if (helpers[i].started)
			pthread_join(helpers[i].thread, NULL);
		if (!rc)
			rc = search_take_hits(s, &helpers[i].hits);
		free(helpers[i].hits.v);
	}
	free(helpers);
	if (s->in->expired && s->in->expired(s->in->expired_ctx))
		atomic_store(&pass.expired, true);
	if (atomic_load(&pass.expired))
		reach_give_up(s->reach, "the stop reached its bound (--max-pause)");
	if (atomic_load(&pass.unread))
		reach_give_up(s->reach, "some memory could not be read");
	return rc;
}

static int search_pass_pieces(struct search *s)
{
	int rc = 0;

	for (size_t i = 0; i < s->in->piece_count && !rc; i++) {
		const struct search_piece *p = &s->in->pieces[i];
		struct search_hits hits = { .most = SIZE_MAX }; /* they are few */

		scan_find(s->scan, 0, p->bytes, p->count, hits_add, &hits);
		rc = hits.failed ? ERR_NOMEM : 0;
		if (hits.n && s->piece_nodes[i] == REACH_NONE)
			s->piece_nodes[i] = reach_root_node(s->reach, p->kind, p->thread, p->name);
		if (hits.n && s->piece_nodes[i] == REACH_NONE)
			rc = ERR_NOMEM;
		for (size_t k = 0; k < hits.n && !rc; k++)
			rc = reach_edge(s->reach, s->piece_nodes[i],
					s->target_nodes[hits.v[k].target], 0);
		free(hits.v);
	}
	return rc;
}

/* -- targets ---------------------------------------------------------------------------------- */

static int search_add_target(struct search *s, uint64_t start, uint64_t end, uint32_t node)
{
	if (s->target_count == s->target_room) {
		size_t room = s->target_room ? 2 * s->target_room : 64;
		struct extent *v = reallocarray(s->targets, room, sizeof(*v));
		uint32_t *nodes = reallocarray(s->target_nodes, room, sizeof(*nodes));

		s->targets = v ? v : s->targets;
		s->target_nodes = nodes ? nodes : s->target_nodes;
		if (!v || !nodes)
			return ERR_NOMEM;
		s->target_room = room;
	}
	s->targets[s->target_count] = (struct extent){ start, end };
	s->target_nodes[s->target_count++] = node;
	return 0;
}

static int search_prepare_scan(struct search *s)
{
	scan_targets_free(s->scan);
	s->scan = NULL;
	return s->target_count ? scan_targets_create(s->targets, s->target_count, &s->scan) : 0;
}

static bool search_begins_area(const struct search *s, uint64_t address)
{
	const struct area *a = areas_find(s->in->areas, address);

	return a && a->start == address && a->kind != AREA_BLOCKS;
}

/* One past its end is a pointer to a block or mapping, too; but where that is a page on which other
 * memory begins it is a pointer to that. */
static uint64_t search_last_target(const struct search *s, uint64_t end)
{
	return end % PAGE_BYTES == 0 && search_begins_area(s, end) ? end - 1 : end;
}

/* All places where the same memory is mapped. */
static int search_add_mapping(struct search *s, uint64_t start, uint32_t node)
{
	const struct areas *areas = s->in->areas;
	const struct area *a = areas_find(areas, start);
	int rc = 0;

	for (size_t i = a ? (size_t)(a - areas->v) : 0; a && i < areas->n && !rc; i++)
		if (areas->v[i].kind == AREA_WHOLE && areas->v[i].same == a->same)
			rc = search_add_target(s, areas->v[i].start,
					       search_last_target(s, areas->v[i].end), node);
	return rc;
}

static bool search_leads_on(enum place_kind kind)
{
	return kind == PLACE_BLOCK || kind == PLACE_MAPPING || kind == PLACE_STACK ||
	       kind == PLACE_LOCALS || kind == PLACE_MAIN_FRAME || kind == PLACE_HANDLE;
}

static int search_target_node(struct search *s, uint32_t node)
{
	enum place_kind kind;
	uint64_t start, end;

	reach_node_extent(s->reach, node, &kind, &start, &end);
	if (!search_leads_on(kind))
		return 0;
	if (kind == PLACE_BLOCK)
		end = search_last_target(s, end);
	/* Where thread-locals end the descriptor begins: the thread's handle points there. */
	if (kind == PLACE_LOCALS && search_begins_area(s, end))
		end--;
	/* Nothing ends where a frame does: its last word is the return address. */
	if (kind == PLACE_STACK || kind == PLACE_MAIN_FRAME)
		end--;
	return kind == PLACE_MAPPING ? search_add_mapping(s, start, node)
				     : search_add_target(s, start, end, node);
}

static int search_make_room(struct search *s)
{
	size_t n = reach_node_count(s->reach), room = 2 * n + 64;
	bool *bigger;

	if (n <= s->expanded_room)
		return 0;
	bigger = reallocarray(s->expanded, room, sizeof(*bigger));
	if (!bigger)
		return ERR_NOMEM;
	memset(bigger + s->expanded_room, 0, (room - s->expanded_room) * sizeof(*bigger));
	s->expanded = bigger;
	s->expanded_room = room;
	return 0;
}

/* The nodes whose referrers are to be looked for now: not looked for yet, and not known to be
 * reached. */
static int search_aim(struct search *s)
{
	size_t n = reach_node_count(s->reach);
	int rc = search_make_room(s);

	s->target_count = 0;
	reach_mark_certain(s->reach);
	for (uint32_t i = 0; i < n && !rc; i++)
		if (!s->expanded[i] && !reach_node_is_reached(s->reach, i))
			rc = search_target_node(s, i);
	return rc ? rc : search_prepare_scan(s);
}

static void search_note_expanded(struct search *s)
{
	for (size_t i = 0; i < s->target_count; i++)
		s->expanded[s->target_nodes[i]] = true;
}

/* Whom the roots have settled is not looked for in the rest. */
static int search_drop_reached(struct search *s)
{
	size_t kept = 0;

	reach_mark_certain(s->reach);
	for (size_t i = 0; i < s->target_count; i++) {
		if (reach_node_is_reached(s->reach, s->target_nodes[i]))
			continue;
		s->targets[kept] = s->targets[i];
		s->target_nodes[kept++] = s->target_nodes[i];
	}
	s->target_count = kept;
	return search_prepare_scan(s);
}

static int search_round(struct search *s)
{
	int rc = search_pass_pieces(s);

	if (!rc)
		rc = search_pass_windows(s, &s->roots);
	if (!rc)
		rc = search_drop_reached(s);
	if (rc || !s->target_count)
		return rc;
	rc = search_pass_windows(s, &s->rest);
	search_note_expanded(s);
	return rc;
}

/* -- the beginning ---------------------------------------------------------------------------- */

static int search_add_object(struct search *s, uint64_t address)
{
	const struct area *a = areas_find(s->in->areas, address);
	uint32_t node = REACH_NONE;
	bool nowhere;

	/* Where blocks are not known an address may be made of anything. */
	if (a && a->kind != AREA_STATIC && a->kind != AREA_DESCRIPTOR && a->kind != AREA_WHOLE) {
		node = search_node_at(s, address, &nowhere);
		if (!nowhere && node == REACH_NONE)
			return ERR_NOMEM;
	}
	return reach_object(s->reach, address, node);
}

static int search_add_handle(struct search *s, uint64_t handle)
{
	uint32_t node = reach_node(s->reach, PLACE_HANDLE, handle, handle, REACH_NONE);

	return node == REACH_NONE ? ERR_NOMEM : reach_object(s->reach, handle, node);
}

static int search_begin(struct search *s)
{
	const struct search_input *in = s->in;
	int rc = search_list_windows(s);

	s->piece_nodes = calloc(in->piece_count + 1, sizeof(*s->piece_nodes));
	s->static_node = reach_root_node(s->reach, PLACE_STATIC, REACH_NONE, NULL);
	if (!s->piece_nodes || s->static_node == REACH_NONE)
		return ERR_NOMEM;
	for (size_t i = 0; i < in->piece_count; i++)
		s->piece_nodes[i] = REACH_NONE;
	for (size_t i = 0; i < in->object_count && !rc; i++)
		rc = search_add_object(s, in->objects[i]);
	for (size_t i = 0; i < in->handle_count && !rc; i++)
		rc = search_add_handle(s, in->handles[i]);
	return rc;
}

int search_run(const struct search_input *in, struct reach **out, struct err *e)
{
	struct search s = { .in = in };
	int rc;

	s.reach = reach_create(in->threads, in->thread_count, in->limit_bytes);
	*out = s.reach;
	rc = s.reach ? search_begin(&s) : ERR_NOMEM;
	while (!rc) {
		rc = search_aim(&s);
		if (rc || !s.target_count || reach_given_up(s.reach))
			break;
		rc = search_round(&s);
	}
	scan_targets_free(s.scan);
	free(s.targets);
	free(s.target_nodes);
	free(s.expanded);
	free(s.piece_nodes);
	free(s.roots.v);
	free(s.rest.v);
	if (!rc || (s.reach && reach_given_up(s.reach)))
		return 0;
	reach_free(s.reach);
	*out = NULL;
	return err_set(e, rc, "cannot search the memory of the process");
}
