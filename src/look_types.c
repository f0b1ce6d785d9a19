/* SPDX-License-Identifier: MIT
 *
 * What the memory is in which an object lies, and what lies on the way to it, as the debug information
 * of the program says: from a static variable or a variable on a stack along the types of pointers,
 * or from a variable of a waiting task that points there.
 *
 * For people only, and after the proof. Few objects and little time; blocks are read from the process as
 * it runs, and whatever does not fit together stays without a name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "look_private.h"
#include "stack/dwarf_types.h"
#include "target/memory.h"
#include "target/source.h"

#define OBJECTS_MAX 64
#define TIME_MAX_NS 500000000

/* How many tasks' stacks are looked at for one object, and how deep. */
#define TASKS_MAX   4
#define FRAMES_MAX  64
#define NAME_BYTES  200
#define VTABLE_WORD "vtable for "

/* The stack of one task, unwound once more with the registers of each frame. */
struct frames {
	const struct task *task;
	size_t n;
	struct unwind_frame v[FRAMES_MAX];
	struct unwind_registers registers[FRAMES_MAX];
};

struct naming {
	struct look *l;
	struct frames frames;
	const struct object *done[OBJECTS_MAX];
	size_t done_count;
	int64_t end_ns;
};

static int64_t naming_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* From the copy, else from the process as it is now. */
static size_t naming_read(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	const struct look *l = ctx;
	size_t n = snapshot_read(l->capture->memory, address, buf, bytes);
	struct memory_source core;

	if (n == bytes)
		return n;
	if (!l->core)
		return memory_read(l->target->through, address, buf, bytes);
	core = core_source(l->core);
	return source_read(&core, address, buf, bytes) ? bytes : 0;
}

static bool naming_read_word(const struct naming *n, uint64_t address, uint64_t *word)
{
	return naming_read(n->l, address, word, sizeof(*word)) == sizeof(*word);
}

/* -- frames ----------------------------------------------------------------------------------- */

static void naming_unwind(struct naming *n, const struct task *task)
{
	const struct stop *stop = n->l->capture->stop;
	struct frames *f = &n->frames;
	bool complete;

	if (f->task == task)
		return;
	f->task = task;
	f->n = 0;
	for (size_t i = 0; stop && i < stop_count(stop); i++) {
		const struct stop_thread *t = stop_thread(stop, i);

		if (t->tid == task->tid && t->state == STOP_THREAD_STOPPED)
			unwinder_walk_registers(n->l->unwinder, &t->regs, f->v, f->registers,
						FRAMES_MAX, &f->n, &complete);
	}
}

static uint64_t frame_code(const struct unwind_frame *f)
{
	return f->exact || !f->ip ? f->ip : f->ip - 1;
}

/* The user's own code? Frames that the report does not show are not, either. */
static bool frame_is_users(const struct task *t, uint64_t code)
{
	for (size_t i = 0; t->stack && i < t->stack->n; i++)
		if (t->stack->v[i].address == code && !t->stack->v[i].system)
			return true;
	return false;
}

/* Where to evaluate what the variables of frame `i` hold; NULL if nothing is known of it. */
static struct dwarf_types *naming_enter_frame(struct naming *n, size_t i,
					      struct dwarf_frame_context *c)
{
	const struct frames *f = &n->frames;
	uint64_t code = frame_code(&f->v[i]), bias = 0;
	struct dwarf_types *types;

	if (!frame_is_users(f->task, code))
		return NULL;
	types = symbols_find_types(n->l->symbols, code, &bias);
	*c = (struct dwarf_frame_context){
		.vaddr = code - bias,
		.bias = bias,
		.cfa = i + 1 < f->n ? f->v[i + 1].sp : 0,
		.registers = &f->registers[i],
		.read = naming_read,
		.read_ctx = n->l,
	};
	return types;
}

/* -- what is known of a place ----------------------------------------------------------------- */

/* A value of this type begins at `base`. */
struct known {
	struct dwarf_type type;
	uint64_t base;
};

static const char *naming_keep(const struct naming *n, const char *text)
{
	return text[0] ? model_string(n->l->model, text) : NULL;
}

/* What shared pointers put around what they share. */
static const char *const shared_by[] = {
	"std::_Sp_counted_ptr_inplace<",
	"alloc::sync::ArcInner<",
};

/* The name of a type, in `bytes` bytes of text; of what a shared pointer's block holds only that. */
static const char *naming_keep_type(const struct naming *n, const char *text, size_t bytes)
{
	char name[NAME_BYTES];
	size_t skip, end;
	int depth = 0;

	for (size_t i = 0; i < sizeof(shared_by) / sizeof(shared_by[0]); i++) {
		skip = strlen(shared_by[i]);
		if (strncmp(text, shared_by[i], skip))
			continue;
		for (end = skip; end < bytes && (depth || !strchr(",>", text[end])); end++)
			depth += !!strchr("<([", text[end]) - !!strchr(">)]", text[end]);
		text += skip;
		bytes = end - skip;
	}
	snprintf(name, sizeof(name), "%.*s", (int)bytes, text);
	return naming_keep(n, name);
}

/* Put down what `k` says of the place, and go on to what its word at p->at points to. */
static void naming_apply(const struct naming *n, struct place *p, struct known *k)
{
	char member[NAME_BYTES], name[NAME_BYTES];
	struct dwarf_type target = { 0 };
	uint64_t end = p->start + p->bytes;

	if (!k->type.types)
		return;
	if (k->base < p->start || k->base >= end || p->at < k->base)
		goto unknown;
	dwarf_type_name(&k->type, name, sizeof(name));
	if (!dwarf_type_bytes(&k->type)) { /* declared only */
		if (k->base == p->start)
			p->type = naming_keep_type(n, name, strlen(name));
		goto unknown;
	}
	if (!dwarf_type_find_member(&k->type, p->at - k->base, end - k->base, member,
				    sizeof(member), &target))
		goto unknown;
	p->type = naming_keep_type(n, name, strlen(name));
	p->member = naming_keep(n, member);
	k->type = target;
	if (naming_read_word(n, p->at, &k->base))
		return;
unknown:
	k->type.types = NULL;
}

/* The class of a block that begins with the pointer to a virtual table. */
static void naming_apply_class(const struct naming *n, struct place *p)
{
	const char *symbol, *plus;
	uint64_t word;

	if (p->member || p->kind != PLACE_BLOCK || !naming_read_word(n, p->start, &word))
		return;
	symbol = symbols_find_data(n->l->symbols, word);
	if (!symbol || strncmp(symbol, VTABLE_WORD, strlen(VTABLE_WORD)))
		return;
	symbol += strlen(VTABLE_WORD);
	plus = strrchr(symbol, '+');
	p->type = naming_keep_type(n, symbol, plus ? (size_t)(plus - symbol) : strlen(symbol));
}

/* The variable of `task` that lies at `address`: its name, and what it points to there. */
static void naming_find_local(struct naming *n, const struct task *task, uint64_t address,
			      struct place *p, struct known *k)
{
	struct dwarf_frame_context c;

	if (!task)
		return;
	naming_unwind(n, task);
	for (size_t i = 0; i < n->frames.n; i++) {
		struct dwarf_types *types = naming_enter_frame(n, i, &c);
		const struct symbol_frame *code;
		char member[NAME_BYTES], text[2 * NAME_BYTES];
		struct dwarf_type type;
		const char *name;
		uint64_t offset;
		size_t inlined;

		if (!types || address < n->frames.v[i].sp || address >= c.cfa ||
		    !dwarf_types_find_local(types, &c, address, &name, &type, &offset))
			continue;
		dwarf_type_find_member(&type, offset, dwarf_type_bytes(&type), member,
				       sizeof(member), &k->type);
		if (!naming_read_word(n, address, &k->base))
			k->type.types = NULL;
		inlined = symbols_find_code(n->l->symbols, frame_code(&n->frames.v[i]), &code);
		snprintf(text, sizeof(text), "%s%s%s%s%s",
			 inlined == 1 && code->function ? code->function : "",
			 inlined == 1 && code->function ? "::" : "", name,
			 member[0] && member[0] != '[' ? "." : "", member);
		p->name = naming_keep(n, text);
		return;
	}
}

/* "service.pool" in the place of "service+0x8". */
static void naming_name_static(const struct naming *n, struct place *p, const char *member)
{
	size_t symbol = p->name ? strcspn(p->name, "+") : 0;
	char name[2 * NAME_BYTES];

	if (!symbol || !member[0])
		return;
	snprintf(name, sizeof(name), "%.*s%s%s", (int)symbol, p->name, member[0] == '[' ? "" : ".",
		 member);
	p->name = naming_keep(n, name);
}

static void naming_find_static(const struct naming *n, struct place *p, struct known *k)
{
	uint64_t bias = 0, offset;
	struct dwarf_types *types = symbols_find_types(n->l->symbols, p->at, &bias);
	struct dwarf_type type;
	char member[NAME_BYTES];

	if (!types || !dwarf_types_find_static(types, p->at - bias, &type, &offset))
		return;
	dwarf_type_find_member(&type, offset, dwarf_type_bytes(&type), member, sizeof(member),
			       &k->type);
	if (!naming_read_word(n, p->at, &k->base))
		k->type.types = NULL;
	naming_name_static(n, p, member);
}

/* From the root along the pointers. */
static void naming_follow_path(struct naming *n, struct object *o)
{
	struct known k = { 0 };
	struct place *root = &o->path[0];

	if (root->kind == PLACE_STATIC)
		naming_find_static(n, root, &k);
	else if (root->kind == PLACE_STACK)
		naming_find_local(n, root->task, root->at, root, &k);
	for (size_t i = 1; i < o->path_length; i++) {
		if (o->path[i].kind == PLACE_BLOCK || o->path[i].kind == PLACE_MAPPING)
			naming_apply(n, &o->path[i], &k);
		else
			k.type.types = NULL;
		naming_apply_class(n, &o->path[i]);
	}
}

/* Does a variable of `task` point to where the object lies? */
static bool naming_ask_task(struct naming *n, const struct task *task, struct place *home)
{
	struct dwarf_frame_context c;
	struct known best = { 0 };

	naming_unwind(n, task);
	for (size_t i = 0; i < n->frames.n; i++) {
		struct dwarf_types *types = naming_enter_frame(n, i, &c);
		struct known k;

		if (types &&
		    dwarf_types_find_pointer(types, &c, home->start, home->start + home->bytes,
					     home->at, &k.type, &k.base) &&
		    (!best.type.types || dwarf_type_bytes(&k.type) > dwarf_type_bytes(&best.type)))
			best = k;
	}
	naming_apply(n, home, &best);
	return home->type;
}

static void naming_name_home(struct naming *n, const struct task *waiter, struct object *o)
{
	struct place *home = o->home;
	struct known k = { 0 };

	if (o->path_length)
		*home = o->path[o->path_length - 1];
	if (home->kind == PLACE_STACK)
		naming_find_local(n, home->task, o->address, home, &k);
	if (home->kind != PLACE_BLOCK && home->kind != PLACE_MAPPING)
		return;
	if (!home->member && !naming_ask_task(n, waiter, home))
		for (size_t i = 0; i < o->referrer_count && i < TASKS_MAX; i++)
			if (naming_ask_task(n, o->referrers[i], home))
				break;
	naming_apply_class(n, home);
	if (o->path_length)
		o->path[o->path_length - 1] = *home;
}

static bool naming_begin(struct naming *n, const struct object *o)
{
	if (!o || !o->home || n->done_count == OBJECTS_MAX || naming_now_ns() > n->end_ns)
		return false;
	for (size_t i = 0; i < n->done_count; i++)
		if (n->done[i] == o)
			return false;
	n->done[n->done_count++] = o;
	return true;
}

static void naming_name_all(struct naming *n, bool stuck)
{
	const struct model *m = n->l->model;

	for (size_t i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];
		struct object *o = t->wait ? t->wait->object : NULL;

		if ((t->verdict == VERDICT_STUCK) != stuck || !naming_begin(n, o))
			continue;
		if (o->path_length)
			naming_follow_path(n, o);
		naming_name_home(n, t, o);
	}
}

void look_name_types(struct look *l)
{
	struct naming *n = calloc(1, sizeof(*n));

	if (!n)
		return;
	n->l = l;
	n->end_ns = naming_now_ns() + TIME_MAX_NS;
	naming_name_all(n, true);
	naming_name_all(n, false);
	free(n);
}
