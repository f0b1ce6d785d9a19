/* SPDX-License-Identifier: MIT
 *
 * Sentences on places. Addresses as everywhere: 0x and hexadecimal; offsets in bytes.
 */
#include "prove/places.h"

#define TASKS_SHOWN_MAX 4
#define NAME_SHOWN_MAX	60

/* The word of a kind as a person says it. */
static const char *places_object_word(enum object_kind kind)
{
	switch (kind) {
	case OBJECT_COND:
		return "condition";
	case OBJECT_FUTEX:
		return "futex word";
	default:
		return object_kind_name(kind);
	}
}

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

	words_add(w, "no live task can reach the %s", places_object_word(o->kind));
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
		words_add(w, " refer to it, which are stuck");
	}
}

static void places_add_type(const struct place *p, struct words *w)
{
	if (!p->type)
		return;
	words_add(w, ", `");
	words_add_name(w, p->type, NAME_SHOWN_MAX);
	words_add(w, "`");
}

void places_describe_home(const struct object *o, struct words *w)
{
	const struct place *p = o->home;
	unsigned long long start, bytes, offset;

	if (!p)
		return;
	start = p->start;
	bytes = p->bytes;
	offset = o->address - p->start;
	switch (p->kind) {
	case PLACE_BLOCK:
		words_add(w, "it lies %llu bytes into a heap block of %llu at 0x%llx", offset,
			  bytes, start);
		break;
	case PLACE_MAPPING:
		words_add(w, "it lies %llu bytes into memory mapped at 0x%llx", offset, start);
		break;
	case PLACE_STACK:
	case PLACE_LOCALS:
		words_add(w, "it lies %s of %s",
			  p->kind == PLACE_STACK ? "on the stack" : "in thread-locals",
			  p->task ? p->task->id : "a thread");
		break;
	case PLACE_MAIN_FRAME:
		words_add(w, "it lies where main had its frame");
		break;
	default:
		break;
	}
	places_add_type(p, w);
}

static void places_add_root(const struct place *p, struct words *w)
{
	const char *whose = p->task ? p->task->id : "a thread";

	switch (p->kind) {
	case PLACE_STATIC:
		words_add(w, "static data");
		if (p->name) {
			words_add(w, " `");
			words_add_name(w, p->name, NAME_SHOWN_MAX);
			words_add(w, "`");
		}
		return;
	case PLACE_KERNEL:
		words_add(w, "%s", p->name ? p->name : "something that the kernel holds");
		return;
	case PLACE_REGISTERS:
		words_add(w, "a register of %s", whose);
		return;
	case PLACE_STACK:
		words_add(w, "the stack of %s", whose);
		return;
	case PLACE_LOCALS:
		words_add(w, "a thread-local of %s", whose);
		return;
	case PLACE_DESCRIPTOR:
		words_add(w, "thread-specific data of %s", whose);
		return;
	case PLACE_MAIN_FRAME:
		words_add(w, "the frame that main had");
		return;
	case PLACE_HANDLE:
		words_add(w, "a thread's handle");
		return;
	case PLACE_BLOCK:
	case PLACE_MAPPING:
		words_add(w, "%s 0x%llx of %llu bytes",
			  p->kind == PLACE_BLOCK ? "block" : "memory mapped at",
			  (unsigned long long)p->start, (unsigned long long)p->bytes);
		return;
	}
}

void places_describe_reached(const struct object *o, struct words *w)
{
	if (!o->path_length)
		return;
	if (o->path_length == 1) {
		words_add(w, "it lies in ");
		places_add_root(&o->path[0], w);
		return;
	}
	places_add_root(&o->path[0], w);
	words_add(w, o->path_length == 2 ? " points to it" : " leads to it, over %zu more",
		  o->path_length - 2);
}

void places_describe_step(const struct object *o, size_t i, struct words *w)
{
	const struct place *p = &o->path[i];

	places_add_root(p, w);
	places_add_type(p, w);
	if (!p->at)
		return;
	if (p->kind == PLACE_BLOCK || p->kind == PLACE_MAPPING)
		words_add(w, ", at +%llu", (unsigned long long)(p->at - p->start));
	else
		words_add(w, ", at 0x%llx", (unsigned long long)p->at);
}
