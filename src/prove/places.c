/* SPDX-License-Identifier: MIT
 *
 * Sentences on places. Addresses as everywhere: 0x and hexadecimal; offsets in bytes.
 */
#include "prove/places.h"

#define TASKS_SHOWN_MAX 4
#define NAME_SHOWN_MAX	60

static void places_add_tasks(struct words *w, const struct object *o)
{
	size_t shown = o->referrer_count < TASKS_SHOWN_MAX ? o->referrer_count : TASKS_SHOWN_MAX;

	for (size_t i = 0; i < shown; i++)
		words_add(w, "%s%s",
			  i && i + 1 == o->referrer_count ? " and "
			  : i				  ? ", "
							  : "",
			  o->referrers[i]->id);
	if (shown < o->referrer_count)
		words_add(w, " and %zu more", o->referrer_count - shown);
}

void places_describe_unreached(const struct task *t, struct words *w)
{
	const struct object *o = t->wait->object;

	words_add(w, "no live task can reach the %s", object_kind_name(o->kind));
	if (!o->home)
		return;
	if (!o->referrer_count)
		words_add(w, ": nothing refers to it");
	else if (o->referrer_count == 1 && o->referrers[0] == t)
		words_add(w, ": only %s itself refers to it", t->id);
	else if (o->referrer_count == 1)
		words_add(w, ": only %s refers to it, which is stuck", o->referrers[0]->id);
	else {
		words_add(w, ": only ");
		places_add_tasks(w, o);
		words_add(w, " refer to it, %s stuck", o->referrer_count == 2 ? "both" : "all");
	}
}

static void places_add_quoted(struct words *w, const char *before, const char *name)
{
	if (!name)
		return;
	words_add(w, "%s`", before);
	words_add_name(w, name, NAME_SHOWN_MAX);
	words_add(w, "`");
}

/* Whose, if it is a task's own; it may be one that has no number. */
static const char *places_whose(const struct place *p)
{
	return p->task ? p->task->id : "a thread";
}

/* "it lies 40 bytes into ", "it lies at the start of " */
static void places_add_offset(const struct object *o, struct words *w)
{
	unsigned long long offset = o->address - o->home->start;

	if (offset)
		words_add(w, "it lies %llu bytes into ", offset);
	else
		words_add(w, "it lies at the start of ");
}

void places_describe_home(const struct object *o, struct words *w)
{
	const struct place *p = o->home;

	if (!p)
		return;
	switch (p->kind) {
	case PLACE_BLOCK:
		places_add_offset(o, w);
		words_add(w, "a heap block of %llu at 0x%llx", (unsigned long long)p->bytes,
			  (unsigned long long)p->start);
		break;
	case PLACE_MAPPING:
		places_add_offset(o, w);
		words_add(w, "memory mapped at 0x%llx", (unsigned long long)p->start);
		break;
	case PLACE_STACK:
		words_add(w, "it lies on the stack of %s", places_whose(p));
		places_add_quoted(w, ", ", p->name);
		break;
	case PLACE_LOCALS:
		words_add(w, "it lies in thread-locals of %s", places_whose(p));
		break;
	case PLACE_MAIN_FRAME:
		words_add(w, "it lies in the frame that main had");
		break;
	default:
		return;
	}
	places_add_quoted(w, ", ", p->type);
	places_add_quoted(w, p->type ? ": member " : ", ", p->member);
}

bool places_is_own(const struct place *p)
{
	switch (p->kind) {
	case PLACE_REGISTERS:
	case PLACE_STACK:
	case PLACE_LOCALS:
	case PLACE_DESCRIPTOR:
		return true;
	default:
		return false;
	}
}

/* The root as what does something: "its stack", "static data `the_pool`". */
static void places_add_root(const struct place *p, struct words *w)
{
	switch (p->kind) {
	case PLACE_STATIC:
		words_add(w, "static data");
		places_add_quoted(w, " ", p->name);
		return;
	case PLACE_KERNEL:
		words_add(w, "%s", p->name ? p->name : "something that the kernel holds");
		return;
	case PLACE_REGISTERS:
		words_add(w, "%s", p->name ? p->name : "one of its registers");
		return;
	case PLACE_STACK:
		words_add(w, "its stack");
		return;
	case PLACE_LOCALS:
		words_add(w, "one of its thread-locals");
		return;
	case PLACE_DESCRIPTOR:
		words_add(w, "its thread-specific data");
		return;
	case PLACE_MAIN_FRAME:
		words_add(w, "the frame that main had");
		return;
	case PLACE_HANDLE:
		words_add(w, "a thread's handle");
		return;
	case PLACE_BLOCK:
		words_add(w, "a heap block");
		return;
	case PLACE_MAPPING:
		words_add(w, "memory mapped at 0x%llx", (unsigned long long)p->start);
		return;
	}
}

/* What lies between the root and the object's own place. */
static void places_add_between(const struct object *o, struct words *w)
{
	size_t n = o->path_length - 2, blocks = 0;

	for (size_t i = 1; i + 1 < o->path_length; i++)
		blocks += o->path[i].kind == PLACE_BLOCK;
	words_add(w, " leads to it through ");
	if (n == 1)
		words_add(w, "a%s", blocks ? " heap block" : "nother place");
	else
		words_add(w, "%zu %s", n, blocks == n ? "heap blocks" : "places");
}

void places_describe_reached(const struct object *o, struct words *w)
{
	const struct place *root = o->path;

	if (!o->path_length)
		return;
	if (o->path_length == 1)
		words_add(w, "it lies %s ", root->kind == PLACE_STACK ? "on" : "in");
	places_add_root(root, w);
	if (o->path_length == 2)
		words_add(w, " points to it");
	else if (o->path_length > 2)
		places_add_between(o, w);
}

/* A place on the way, with where it is. */
static void places_add_place(const struct place *p, struct words *w)
{
	switch (p->kind) {
	case PLACE_REGISTERS:
		words_add(w, p->name ? "%s (%s)" : "%s of %s", p->name ? p->name : "a register",
			  places_whose(p));
		return;
	case PLACE_STACK:
		words_add(w, "the stack of %s", places_whose(p));
		return;
	case PLACE_LOCALS:
		words_add(w, "a thread-local of %s", places_whose(p));
		return;
	case PLACE_DESCRIPTOR:
		words_add(w, "thread-specific data of %s", places_whose(p));
		return;
	case PLACE_BLOCK:
		words_add(w, "heap block of %llu at 0x%llx", (unsigned long long)p->bytes,
			  (unsigned long long)p->start);
		return;
	default:
		places_add_root(p, w);
	}
}

void places_describe_step(const struct object *o, size_t i, struct words *w)
{
	const struct place *p = &o->path[i];
	bool inside = p->kind == PLACE_BLOCK || p->kind == PLACE_MAPPING;

	places_add_place(p, w);
	if (p->at && !inside)
		words_add(w, " at 0x%llx", (unsigned long long)p->at);
	places_add_quoted(w, ", ", p->kind == PLACE_STACK ? p->name : NULL);
	places_add_quoted(w, ", ", p->type);
	if (p->at && inside)
		words_add(w, ", +%llu", (unsigned long long)(p->at - p->start));
	places_add_quoted(w, inside || p->type ? ": member " : ", ", p->member);
}
