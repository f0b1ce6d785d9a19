/* SPDX-License-Identifier: MIT
 *
 * The inside of the search for references, for look_reach.c (stops, tries) and look_search.c (what the
 * search is given).
 */
#ifndef STRAND_LOOK_REACH_PRIVATE_H
#define STRAND_LOOK_REACH_PRIVATE_H

#include "look_private.h"
#include "prove/search.h"
#include "readers/held.h"
#include "target/pages.h"

/* What the first stop has seen of a thread. */
struct suspect {
	pid_t tid;
	bool candidate, handles;
};

struct references {
	struct look *look;
	struct suspect *suspects; /* ascending by tid */
	size_t suspect_count;
	uint64_t *objects, *handles;
	size_t object_count, handle_count;
	size_t word_count; /* of the objects, the last: bare words of memory */

	/* of one stop */
	struct stop *stop;
	struct pages pages;
	struct held held;
	struct source_copy *copy;
	struct source_place place;
	bool in_place;
	uint8_t *registers; /* of all threads, one after the other */
	struct search_piece *pieces;
	size_t piece_count;
	struct reach_thread *threads; /* by index in the stop */
	struct thread_memories memories;
	struct heap *heap;
	struct areas areas;
	struct reach *reach;
	char withheld[192]; /* not "": why nothing is proved by references */
	bool passing;	    /* something is in the way that may be over soon */
};

/* Does this thread end the process, held in the shim? Then what it had in registers is over. */
bool references_is_ending(const struct capture *c, const struct stop_thread *t);

/* Search `memory`, which is that of `c`: r->reach. */
int references_search(struct references *r, struct capture *c, const struct memory_source *memory,
		      struct err *e);

bool references_expired(void *stop);

/* Nothing is proved by references, and why (the first reason counts). */
void references_withhold(struct references *r, const char *why);

#endif
