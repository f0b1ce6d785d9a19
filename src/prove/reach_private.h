/* SPDX-License-Identifier: MIT
 *
 * The inside of the graph of references, for reach.c and reach_describe.c.
 */
#ifndef STRAND_PROVE_REACH_PRIVATE_H
#define STRAND_PROVE_REACH_PRIVATE_H

#include "prove/reach.h"

/* How many edges of a node are looked through for an equal one before another is made. */
#define REACH_SAME_MAX 16

struct reach_node {
	uint64_t start, end; /* 0, 0: no memory */
	enum place_kind kind;
	uint32_t thread;  /* index; REACH_NONE */
	uint32_t in, out; /* first edge of each list */
	uint32_t via;	  /* the edge by which it was reached; REACH_NONE: a root, or not reached */
	uint32_t next_of_thread, next_pending;
	bool reached;
	char *name;
};

struct reach_edge {
	uint32_t from, to;
	uint32_t next_in, next_out;
	uint64_t at;
};

struct reach_object {
	uint64_t address;
	uint32_t node; /* REACH_NONE: everybody reaches it */
};

struct reach {
	struct reach_thread *threads; /* ascending by tid */
	uint32_t *of_thread;	      /* first node of each */
	size_t thread_count;
	struct reach_node *nodes;
	size_t node_count, node_room;
	struct reach_edge *edges;
	size_t edge_count, edge_room;
	uint32_t *keys;		      /* node + 1 by hash of its start; 0: free */
	size_t key_room;	      /* a power of two, or 0 */
	struct reach_object *objects; /* ascending by address */
	size_t object_count;
	uint32_t first_pending;
	bool with_main_frame;
	size_t limit_bytes;
	const char *given_up;
};

/* The index of thread `tid`; REACH_NONE if it is not known. */
size_t reach_find_thread(const struct reach *r, pid_t tid);

/* NULL if nobody looked for it. */
const struct reach_object *reach_find_object(const struct reach *r, uint64_t address);

#endif
