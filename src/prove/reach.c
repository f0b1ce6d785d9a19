/* SPDX-License-Identifier: MIT
 *
 * The graph of references: nodes and edges in two arrays, linked by index. Each edge is in two lists,
 * of those into its target and of those out of its source.
 *
 * Marking is a worklist over the edges outwards; the edge by which a node was first reached is kept,
 * so that the way from a root can be told.
 */
#include "prove/reach.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "prove/reach_private.h"

#define KEYS_MIN 1024

struct reach *reach_create(const struct reach_thread *threads, size_t n, size_t limit_bytes)
{
	struct reach *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->limit_bytes = limit_bytes;
	r->thread_count = n;
	r->threads = calloc(n + 1, sizeof(*r->threads));
	r->of_thread = calloc(n + 1, sizeof(*r->of_thread));
	if (!r->threads || !r->of_thread) {
		reach_free(r);
		return NULL;
	}
	memcpy(r->threads, threads, n * sizeof(*threads));
	for (size_t i = 0; i < n; i++)
		r->of_thread[i] = REACH_NONE;
	return r;
}

void reach_free(struct reach *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->node_count; i++)
		free(r->nodes[i].name);
	free(r->threads);
	free(r->of_thread);
	free(r->nodes);
	free(r->edges);
	free(r->keys);
	free(r->objects);
	free(r);
}

/* -- nodes, found by where they begin --------------------------------------------------------- */

static size_t reach_slot(const struct reach *r, uint64_t start, bool handle)
{
	uint64_t h = (start ^ (uint64_t)handle << 63) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(h >> 32) & (r->key_room - 1);
}

static bool reach_is_handle(const struct reach_node *n)
{
	return n->kind == PLACE_HANDLE;
}

static void reach_put_key(struct reach *r, uint32_t node)
{
	const struct reach_node *n = &r->nodes[node];
	size_t at = reach_slot(r, n->start, reach_is_handle(n));

	while (r->keys[at])
		at = (at + 1) & (r->key_room - 1);
	r->keys[at] = node + 1;
}

static int reach_grow_keys(struct reach *r)
{
	size_t room = r->key_room ? 2 * r->key_room : KEYS_MIN;
	uint32_t *keys = calloc(room, sizeof(*keys));

	if (!keys)
		return ERR_NOMEM;
	free(r->keys);
	r->keys = keys;
	r->key_room = room;
	for (size_t i = 0; i < r->node_count; i++)
		if (r->nodes[i].start)
			reach_put_key(r, (uint32_t)i);
	return 0;
}

static uint32_t reach_find_node(const struct reach *r, uint64_t start, bool handle)
{
	for (size_t at = r->key_room ? reach_slot(r, start, handle) : 0; r->key_room && r->keys[at];
	     at = (at + 1) & (r->key_room - 1)) {
		uint32_t node = r->keys[at] - 1;

		if (r->nodes[node].start == start && reach_is_handle(&r->nodes[node]) == handle)
			return node;
	}
	return REACH_NONE;
}

static size_t reach_bytes(const struct reach *r)
{
	return r->node_room * sizeof(*r->nodes) + r->edge_room * sizeof(*r->edges) +
	       r->key_room * sizeof(*r->keys);
}

/* `v` with room for one more, moved if need be; NULL if that cannot be had. */
static void *reach_make_room(struct reach *r, void *v, size_t *room, size_t count, size_t bytes)
{
	size_t bigger = *room ? *room + *room / 2 : 256;
	void *p;

	if (count < *room)
		return v;
	if (bigger >= REACH_NONE)
		return NULL;
	if (reach_bytes(r) + (bigger - *room) * bytes > r->limit_bytes) {
		reach_give_up(r, "there are too many references to what is waited for");
		return NULL;
	}
	p = reallocarray(v, bigger, bytes);
	if (p)
		*room = bigger;
	return p;
}

static uint32_t reach_add_node(struct reach *r, enum place_kind kind, uint64_t start, uint64_t end,
			       uint32_t thread)
{
	struct reach_node *v =
		reach_make_room(r, r->nodes, &r->node_room, r->node_count, sizeof(*v));
	uint32_t node = (uint32_t)r->node_count;

	if (!v)
		return REACH_NONE;
	r->nodes = v;
	if (thread >= r->thread_count)
		thread = REACH_NONE;
	r->nodes[node] = (struct reach_node){
		.start = start,
		.end = end,
		.kind = kind,
		.thread = thread,
		.in = REACH_NONE,
		.out = REACH_NONE,
		.via = REACH_NONE,
		.next_of_thread = thread == REACH_NONE ? REACH_NONE : r->of_thread[thread],
	};
	r->node_count++;
	if (thread != REACH_NONE)
		r->of_thread[thread] = node;
	return node;
}

uint32_t reach_node(struct reach *r, enum place_kind kind, uint64_t start, uint64_t end,
		    uint32_t thread)
{
	uint32_t node = reach_find_node(r, start, kind == PLACE_HANDLE);

	if (node != REACH_NONE)
		return node;
	if (4 * (r->node_count + 1) > 3 * r->key_room && reach_grow_keys(r))
		return REACH_NONE;
	node = reach_add_node(r, kind, start, end, thread);
	if (node != REACH_NONE)
		reach_put_key(r, node);
	return node;
}

uint32_t reach_root_node(struct reach *r, enum place_kind kind, uint32_t thread, const char *name)
{
	uint32_t node = reach_add_node(r, kind, 0, 0, thread);

	if (node == REACH_NONE || !name)
		return node;
	r->nodes[node].name = strdup(name);
	return r->nodes[node].name ? node : REACH_NONE;
}

int reach_edge(struct reach *r, uint32_t from, uint32_t to, uint64_t at)
{
	uint32_t edge = (uint32_t)r->edge_count;
	struct reach_edge *v;

	if (from == to)
		return 0;
	for (uint32_t i = r->nodes[from].out, n = 0; i != REACH_NONE && n < REACH_SAME_MAX;
	     i = r->edges[i].next_out, n++)
		if (r->edges[i].to == to)
			return 0;
	v = reach_make_room(r, r->edges, &r->edge_room, r->edge_count, sizeof(*v));
	if (!v)
		return ERR_NOMEM;
	r->edges = v;
	r->edges[edge] = (struct reach_edge){
		.from = from,
		.to = to,
		.at = at,
		.next_in = r->nodes[to].in,
		.next_out = r->nodes[from].out,
	};
	r->edge_count++;
	r->nodes[to].in = edge;
	r->nodes[from].out = edge;
	return 0;
}

/* -- objects ---------------------------------------------------------------------------------- */

int reach_object(struct reach *r, uint64_t address, uint32_t node)
{
	struct reach_object *bigger =
		reallocarray(r->objects, r->object_count + 1, sizeof(*bigger));
	size_t at = r->object_count;

	if (!bigger)
		return ERR_NOMEM;
	r->objects = bigger;
	while (at > 0 && r->objects[at - 1].address > address)
		at--;
	memmove(&r->objects[at + 1], &r->objects[at], (r->object_count - at) * sizeof(*r->objects));
	r->objects[at] = (struct reach_object){ address, node };
	r->object_count++;
	return 0;
}

const struct reach_object *reach_find_object(const struct reach *r, uint64_t address)
{
	size_t low = 0, high = r->object_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->objects[mid].address < address)
			low = mid + 1;
		else
			high = mid;
	}
	return low < r->object_count && r->objects[low].address == address ? &r->objects[low]
									   : NULL;
}

/* -- what the search asks --------------------------------------------------------------------- */

void reach_give_up(struct reach *r, const char *why)
{
	if (!r->given_up)
		r->given_up = why;
}

const char *reach_given_up(const struct reach *r)
{
	return r->given_up;
}

size_t reach_node_count(const struct reach *r)
{
	return r->node_count;
}

void reach_node_extent(const struct reach *r, uint32_t node, enum place_kind *kind, uint64_t *start,
		       uint64_t *end)
{
	*kind = r->nodes[node].kind;
	*start = r->nodes[node].start;
	*end = r->nodes[node].end;
}

bool reach_node_is_reached(const struct reach *r, uint32_t node)
{
	return r->nodes[node].reached;
}

/* -- marking ---------------------------------------------------------------------------------- */

static void reach_push(struct reach *r, uint32_t node, uint32_t via)
{
	if (r->nodes[node].reached)
		return;
	r->nodes[node].reached = true;
	r->nodes[node].via = via;
	r->nodes[node].next_pending = r->first_pending;
	r->first_pending = node;
}

/* A pointer to a descriptor leads nowhere: what is in it is its thread's alone. */
static void reach_spread(struct reach *r)
{
	while (r->first_pending != REACH_NONE) {
		uint32_t node = r->first_pending;

		r->first_pending = r->nodes[node].next_pending;
		for (uint32_t i = r->nodes[node].out; i != REACH_NONE; i = r->edges[i].next_out)
			reach_push(r, r->edges[i].to, i);
	}
}

void reach_begin(struct reach *r, bool with_main_frame)
{
	for (size_t i = 0; i < r->node_count; i++) {
		r->nodes[i].reached = false;
		r->nodes[i].via = REACH_NONE;
	}
	r->first_pending = REACH_NONE;
	r->with_main_frame = with_main_frame;
}

static bool reach_is_everybodys_root(const struct reach *r, const struct reach_node *n)
{
	return n->kind == PLACE_STATIC || n->kind == PLACE_KERNEL ||
	       (n->kind == PLACE_MAIN_FRAME && r->with_main_frame);
}

void reach_add_everybody(struct reach *r)
{
	for (size_t i = 0; i < r->node_count; i++)
		if (reach_is_everybodys_root(r, &r->nodes[i]))
			reach_push(r, (uint32_t)i, REACH_NONE);
	for (size_t t = 0; t < r->thread_count; t++)
		if (r->threads[t].handles)
			reach_add_handler(r, r->threads[t].tid);
	reach_spread(r);
}

size_t reach_find_thread(const struct reach *r, pid_t tid)
{
	size_t low = 0, high = r->thread_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->threads[mid].tid < tid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < r->thread_count && r->threads[low].tid == tid ? low : REACH_NONE;
}

static void reach_add_nodes(struct reach *r, pid_t tid, bool locals_only)
{
	size_t thread = reach_find_thread(r, tid);

	if (thread == REACH_NONE)
		return;
	for (uint32_t i = r->of_thread[thread]; i != REACH_NONE; i = r->nodes[i].next_of_thread)
		if (r->nodes[i].kind != PLACE_HANDLE &&
		    (!locals_only || r->nodes[i].kind == PLACE_LOCALS ||
		     r->nodes[i].kind == PLACE_DESCRIPTOR))
			reach_push(r, i, REACH_NONE);
	reach_spread(r);
}

void reach_add_thread(struct reach *r, pid_t tid)
{
	reach_add_nodes(r, tid, false);
}

void reach_add_handler(struct reach *r, pid_t tid)
{
	reach_add_nodes(r, tid, true);
}

bool reach_is_certain(const struct reach *r, pid_t tid)
{
	size_t thread = reach_find_thread(r, tid);

	return thread == REACH_NONE || r->threads[thread].certain;
}

void reach_mark_certain(struct reach *r)
{
	reach_begin(r, false);
	reach_add_everybody(r);
	for (size_t t = 0; t < r->thread_count; t++)
		if (r->threads[t].certain)
			reach_add_thread(r, r->threads[t].tid);
}

bool reach_has(const struct reach *r, uint64_t address)
{
	const struct reach_object *o = reach_find_object(r, address);

	return r->given_up || !o || o->node == REACH_NONE || r->nodes[o->node].reached;
}

bool reach_is_everybodys(const struct reach *r, uint64_t address)
{
	const struct reach_object *o = reach_find_object(r, address);

	return o && o->node == REACH_NONE;
}
