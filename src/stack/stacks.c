/* SPDX-License-Identifier: MIT
 *
 * Interning and naming. An open-addressed table of stacks by the hash of their addresses; frames
 * are allocated from the model, so nothing is freed here but the table.
 */
#include "stack/stacks.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"

#define SHIM_NAME "libstrand.so"

struct stacks {
	struct model *model;
	const struct modules *mods;
	struct stack **table; /* `room` places, a power of two; NULL: free */
	size_t n, room;
};

static const char *const system_modules[] = {
#define SYSTEM_MODULE(prefix) prefix,
#define SYSTEM_FUNCTION(prefix)
#include "stack/system.def"
#undef SYSTEM_MODULE
#undef SYSTEM_FUNCTION
};

static const char *const system_functions[] = {
#define SYSTEM_MODULE(prefix)
#define SYSTEM_FUNCTION(prefix) prefix,
#include "stack/system.def"
#undef SYSTEM_MODULE
#undef SYSTEM_FUNCTION
};

int stacks_create(struct model *m, const struct modules *mods, struct stacks **out)
{
	struct stacks *s = calloc(1, sizeof(*s));

	*out = s;
	if (!s)
		return ERR_NOMEM;
	s->model = m;
	s->mods = mods;
	s->room = 256;
	s->table = calloc(s->room, sizeof(*s->table));
	if (s->table)
		return 0;
	stacks_free(s);
	*out = NULL;
	return ERR_NOMEM;
}

void stacks_free(struct stacks *s)
{
	if (!s)
		return;
	free(s->table);
	free(s);
}

static uint64_t code_address(const struct unwind_frame *f)
{
	return f->exact || !f->ip ? f->ip : f->ip - 1;
}

bool stacks_is_shim(const struct stacks *s, uint64_t pc)
{
	const struct module *m = modules_find(s->mods, pc);

	return m && !strcmp(m->soname ? m->soname : m->name, SHIM_NAME);
}

size_t stacks_drop_shim(const struct stacks *s, struct unwind_frame *frames, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!stacks_is_shim(s, code_address(&frames[i])))
			frames[kept++] = frames[i];
	return kept;
}

static uint64_t hash_step(uint64_t h, uint64_t value)
{
	return (h ^ value) * 0x9e3779b97f4a7c15ULL + (h >> 29);
}

static uint64_t hash_stack(const struct stack *st)
{
	uint64_t h = st->n;

	for (size_t i = 0; i < st->n; i++)
		h = hash_step(h, st->v[i].address);
	return h;
}

static bool stack_has_frames(const struct stack *st, const struct unwind_frame *frames, size_t n,
			     bool complete)
{
	if (st->n != n || st->complete != complete)
		return false;
	for (size_t i = 0; i < n; i++)
		if (st->v[i].address != code_address(&frames[i]))
			return false;
	return true;
}

/* The place of the stack with these frames, or the free one where it belongs. */
static struct stack **stacks_find(const struct stacks *s, uint64_t hash,
				  const struct unwind_frame *frames, size_t n, bool complete)
{
	size_t i = hash & (s->room - 1);

	while (s->table[i] && !stack_has_frames(s->table[i], frames, n, complete))
		i = (i + 1) & (s->room - 1);
	return &s->table[i];
}

static int stacks_grow(struct stacks *s)
{
	size_t room = 2 * s->room;
	struct stack **table = calloc(room, sizeof(*table));

	if (!table)
		return ERR_NOMEM;
	for (size_t i = 0; i < s->room; i++) {
		size_t at;

		if (!s->table[i])
			continue;
		at = hash_stack(s->table[i]) & (room - 1);
		while (table[at])
			at = (at + 1) & (room - 1);
		table[at] = s->table[i];
	}
	free(s->table);
	s->table = table;
	s->room = room;
	return 0;
}

static bool has_prefix(const char *name, const char *const *prefixes, size_t n)
{
	for (size_t i = 0; name && i < n; i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static void frame_place(const struct stacks *s, struct frame *f, uint64_t address)
{
	const struct module *m = modules_find(s->mods, address);

	f->address = address;
	if (!m)
		return;
	f->module = model_string(s->model, m->name);
	f->module_offset = address - m->start;
	f->system = has_prefix(m->name, system_modules,
			       sizeof(system_modules) / sizeof(system_modules[0]));
}

static struct stack *stacks_make(struct stacks *s, const struct unwind_frame *frames, size_t n,
				 bool complete)
{
	struct stack *st = model_alloc(s->model, sizeof(*st));

	if (!st)
		return NULL;
	st->n = n;
	st->complete = complete;
	st->v = model_alloc(s->model, n * sizeof(*st->v));
	if (!st->v)
		return NULL;
	for (size_t i = 0; i < n; i++)
		frame_place(s, &st->v[i], code_address(&frames[i]));
	return st;
}

struct stack *stacks_intern(struct stacks *s, const struct unwind_frame *frames, size_t n,
			    bool complete)
{
	uint64_t hash = n;
	struct stack **place;

	if (s->n * 2 >= s->room && stacks_grow(s))
		return NULL;
	for (size_t i = 0; i < n; i++)
		hash = hash_step(hash, code_address(&frames[i]));
	place = stacks_find(s, hash, frames, n, complete);
	if (!*place) {
		*place = stacks_make(s, frames, n, complete);
		s->n += *place != NULL;
	}
	return *place;
}

static void frame_name(const struct stacks *s, struct frame *f, const struct symbol_frame *sym)
{
	f->function = model_string(s->model, sym->function);
	f->file = model_string(s->model, sym->file);
	f->line = sym->line;
	f->function_line = sym->function_line;
	f->function_offset = sym->function_offset;
	f->inlined = sym->inlined;
	f->system = f->system || has_prefix(f->function, system_functions,
					    sizeof(system_functions) / sizeof(system_functions[0]));
}

static int stack_name(const struct stacks *s, struct stack *st, struct symbols *symbols)
{
	const struct symbol_frame *sym;
	size_t total = 0, at = 0;
	struct frame *v;

	for (size_t i = 0; i < st->n; i++)
		total += symbols_find_code(symbols, st->v[i].address, &sym);
	v = model_alloc(s->model, total * sizeof(*v));
	if (!v)
		return ERR_NOMEM;
	for (size_t i = 0; i < st->n; i++) {
		size_t n = symbols_find_code(symbols, st->v[i].address, &sym);

		for (size_t k = 0; k < n && at < total; k++, at++) {
			v[at] = st->v[i];
			frame_name(s, &v[at], &sym[k]);
		}
	}
	st->v = v;
	st->n = at;
	return 0;
}

int stacks_name(struct stacks *s, struct symbols *symbols)
{
	for (size_t i = 0; i < s->room; i++)
		if (s->table[i] && stack_name(s, s->table[i], symbols))
			return ERR_NOMEM;
	return 0;
}
