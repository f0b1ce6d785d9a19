/* SPDX-License-Identifier: MIT
 *
 * Types by libdw. References between entries are other people's data and may run in circles: chains
 * and nesting are bounded, lists only go forward.
 */
#include "stack/dwarf_types.h"
#include "stack/dwarf_lines.h"
#include "stack/dwarf_location.h"
#include "stack/dwarf_names.h"

#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX  500000 /* looked at in all */
#define CHAIN_MAX    16	    /* typedefs and qualifiers of one type */
#define NESTING_MAX  24
#define WITHIN_BYTES 256 /* how large a variable may be that holds a pointer somewhere in it */

/* What malloc may round up. */
#define SLACK_BYTES 24

struct dwarf_types {
	struct dwarf_lines *lines;
	struct dwarf_names *names;
	size_t entries_left;
};

struct dwarf_types *dwarf_types_open(const struct elf_file *f, pid_t pid)
{
	struct dwarf_types *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->entries_left = ENTRIES_MAX;
	t->names = dwarf_names_create();
	t->lines = t->names ? dwarf_lines_open_whole(f, pid) : NULL;
	if (t->lines)
		return t;
	dwarf_types_close(t);
	return NULL;
}

void dwarf_types_close(struct dwarf_types *t)
{
	if (!t)
		return;
	dwarf_lines_close(t->lines);
	dwarf_names_free(t->names);
	free(t);
}

static bool first_child(struct dwarf_types *t, Dwarf_Die *parent, Dwarf_Die *out)
{
	return t->entries_left && t->entries_left-- && !dwarf_child(parent, out);
}

/* The next entry of a list; false at its end, or if the file points backwards. */
static bool next_child(struct dwarf_types *t, Dwarf_Die *die)
{
	Dwarf_Off before = dwarf_dieoffset(die);

	return t->entries_left && t->entries_left-- && !dwarf_siblingof(die, die) &&
	       dwarf_dieoffset(die) > before;
}

/* -- types ------------------------------------------------------------------------------------ */

static bool type_of(Dwarf_Die *die, Dwarf_Die *out)
{
	Dwarf_Attribute a;

	return dwarf_attr_integrate(die, DW_AT_type, &a) && dwarf_formref_die(&a, out);
}

/* The type itself, without qualifiers and other names. *alias is the last of those. */
static bool strip(Dwarf_Die *die, const char **alias)
{
	for (int i = 0; i < CHAIN_MAX; i++) {
		Dwarf_Die next;

		switch (dwarf_tag(die)) {
		case DW_TAG_typedef:
			*alias = dwarf_diename(die);
			break;
		case DW_TAG_const_type:
		case DW_TAG_volatile_type:
		case DW_TAG_restrict_type:
		case DW_TAG_atomic_type:
			break;
		default:
			return true;
		}
		if (!type_of(die, &next))
			return false;
		*die = next;
	}
	return false;
}

static bool is_record(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);

	return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

static bool is_pointer(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);

	return tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type ||
	       tag == DW_TAG_rvalue_reference_type;
}

static bool is_c(Dwarf_Die *die)
{
	Dwarf_Die unit;

	if (!dwarf_diecu(die, &unit, NULL, NULL))
		return false;
	switch (dwarf_srclang(&unit)) {
	case DW_LANG_C89:
	case DW_LANG_C:
	case DW_LANG_C99:
	case DW_LANG_C11:
		return true;
	default:
		return false;
	}
}

/* How many elements an array has, 0 if it does not say; all its dimensions in one. */
static uint64_t array_count(struct dwarf_types *t, Dwarf_Die *array)
{
	uint64_t total = 1;
	Dwarf_Die child;

	if (!first_child(t, array, &child))
		return 0;
	do {
		Dwarf_Attribute a;
		Dwarf_Word n = 0;

		if (dwarf_tag(&child) != DW_TAG_subrange_type)
			continue;
		if (dwarf_attr(&child, DW_AT_count, &a)) {
			if (dwarf_formudata(&a, &n))
				return 0;
		} else if (dwarf_attr(&child, DW_AT_upper_bound, &a) && !dwarf_formudata(&a, &n)) {
			n++;
		}
		if (__builtin_mul_overflow(total, n, &total))
			return 0;
	} while (next_child(t, &child));
	return total;
}

static uint64_t stripped_bytes(struct dwarf_types *t, Dwarf_Die *die, int depth)
{
	Dwarf_Die element;
	const char *alias;
	uint64_t bytes;
	int n = dwarf_bytesize(die);

	if (n >= 0)
		return (uint64_t)n;
	if (is_pointer(die))
		return sizeof(uint64_t);
	if (depth > NESTING_MAX || dwarf_tag(die) != DW_TAG_array_type || !type_of(die, &element) ||
	    !strip(&element, &alias) ||
	    __builtin_mul_overflow(array_count(t, die), stripped_bytes(t, &element, depth + 1),
				   &bytes))
		return 0;
	return bytes;
}

static uint64_t die_bytes(struct dwarf_types *t, Dwarf_Die type)
{
	const char *alias;

	return strip(&type, &alias) ? stripped_bytes(t, &type, 0) : 0;
}

uint64_t dwarf_type_bytes(const struct dwarf_type *type)
{
	return type->types ? die_bytes(type->types, type->die) : 0;
}

void dwarf_type_name(const struct dwarf_type *type, char *buf, size_t size)
{
	struct dwarf_frame found = { 0 };
	Dwarf_Die die = type->die;
	const char *alias = NULL, *word = "";

	buf[0] = 0;
	if (!type->types || !strip(&die, &alias))
		return;
	if (!dwarf_diename(&die)) {
		snprintf(buf, size, "%s", alias ? alias : "");
		return;
	}
	dwarf_names_find(type->types->names, &die, &found);
	if (is_c(&die) && is_record(&die))
		word = dwarf_tag(&die) == DW_TAG_union_type ? "union " : "struct ";
	snprintf(buf, size, "%s%s%s%s", word, found.scope ? found.scope : "",
		 found.scope ? "::" : "", found.name ? found.name : "");
}

/* -- members ---------------------------------------------------------------------------------- */

/* A place within a value, on the way inward. */
struct spot {
	struct dwarf_types *t;
	Dwarf_Die type; /* stripped */
	uint64_t offset;
	uint64_t room; /* bytes that there are, which may be more than the type has */
	char *path;
	size_t size, used;
	bool quiet; /* inside a type of a library: its members are nobody's business */
};

static void spot_add(struct spot *s, const char *before, const char *name)
{
	int n;

	if (s->quiet || s->used + 1 >= s->size)
		return;
	n = snprintf(s->path + s->used, s->size - s->used, "%s%s", s->used ? before : "", name);
	if (n > 0)
		s->used += (size_t)n < s->size - s->used ? (size_t)n : s->size - s->used - 1;
}

/* pthread_cond_t and its like, and everything of C++'s and Rust's libraries. */
static bool is_of_library(struct dwarf_types *t, Dwarf_Die *die, const char *alias)
{
	static const char *const roots[] = { "std", "core", "alloc", "__gnu_cxx" };
	struct dwarf_frame found = { 0 };

	if (alias && (!strncmp(alias, "pthread_", 8) || !strcmp(alias, "sem_t") ||
		      !strcmp(alias, "cnd_t") || !strcmp(alias, "mtx_t")))
		return true;
	if (!is_record(die))
		return false;
	dwarf_names_find(t->names, die, &found);
	for (size_t i = 0; found.scope && i < sizeof(roots) / sizeof(roots[0]); i++) {
		size_t n = strlen(roots[i]);

		if (!strncmp(found.scope, roots[i], n) &&
		    (!found.scope[n] || !strncmp(found.scope + n, "::", 2)))
			return true;
	}
	return false;
}

static bool is_of_library_type(const struct dwarf_type *type)
{
	Dwarf_Die die = type->die;
	const char *alias = NULL;

	return strip(&die, &alias) && is_of_library(type->types, &die, alias);
}

static bool spot_enter(struct spot *s, Dwarf_Die *type)
{
	const char *alias = NULL;

	s->type = *type;
	if (!strip(&s->type, &alias))
		return false;
	s->quiet = s->quiet || is_of_library(s->t, &s->type, alias);
	return true;
}

/* Is it a member that lies in the record, and where? */
static bool member_begins(Dwarf_Die *die, uint64_t *at)
{
	Dwarf_Attribute a;
	Dwarf_Word n = 0;
	int tag = dwarf_tag(die);

	if ((tag != DW_TAG_member && tag != DW_TAG_inheritance) ||
	    dwarf_hasattr(die, DW_AT_external) || dwarf_hasattr(die, DW_AT_bit_size))
		return false;
	if (dwarf_attr(die, DW_AT_data_member_location, &a) && dwarf_formudata(&a, &n))
		return false; /* a virtual base */
	*at = n;
	return true;
}

/* Into the member that covers the offset. An array without a size at the end covers all the rest. */
static bool spot_enter_member(struct spot *s)
{
	Dwarf_Die child, type;
	uint64_t at, bytes;

	if (!first_child(s->t, &s->type, &child))
		return false;
	do {
		if (!member_begins(&child, &at) || at > s->offset || !type_of(&child, &type))
			continue;
		bytes = die_bytes(s->t, type);
		if (bytes ? s->offset - at >= bytes : s->offset >= s->room)
			continue;
		if (!bytes && dwarf_tag(&type) != DW_TAG_array_type)
			continue;
		if (dwarf_tag(&child) == DW_TAG_member && dwarf_diename(&child))
			spot_add(s, ".", dwarf_diename(&child));
		s->offset -= at;
		s->room -= at;
		return spot_enter(s, &type);
	} while (next_child(s->t, &child));
	return false;
}

static bool spot_enter_element(struct spot *s)
{
	Dwarf_Die element;
	uint64_t bytes;
	char index[32];

	if (!type_of(&s->type, &element))
		return false;
	bytes = die_bytes(s->t, element);
	if (!bytes)
		return false;
	snprintf(index, sizeof(index), "[%llu]", (unsigned long long)(s->offset / bytes));
	spot_add(s, "", index);
	s->offset %= bytes;
	s->room = bytes;
	return spot_enter(s, &element);
}

/* What a pointer points to, if that is a record. */
static bool find_target(struct dwarf_types *t, Dwarf_Die *pointer, struct dwarf_type *out)
{
	const char *alias;
	Dwarf_Die type, plain;

	if (!is_pointer(pointer) || !type_of(pointer, &type))
		return false;
	plain = type;
	if (!strip(&plain, &alias) || !is_record(&plain))
		return false;
	*out = (struct dwarf_type){ t, type };
	return true;
}

/* Several of the type, one after the other? */
static bool spot_skip_elements(struct spot *s, uint64_t bytes)
{
	char index[32];

	if (!bytes || s->room % bytes >= SLACK_BYTES || s->offset / bytes >= s->room / bytes)
		return false;
	snprintf(index, sizeof(index), "[%llu]", (unsigned long long)(s->offset / bytes));
	spot_add(s, "", index);
	s->offset %= bytes;
	s->room = bytes;
	return true;
}

static bool spot_walk(struct spot *s)
{
	for (int i = 0; i < NESTING_MAX; i++) {
		bool inward;

		if (is_record(&s->type))
			inward = spot_enter_member(s);
		else if (dwarf_tag(&s->type) == DW_TAG_array_type)
			inward = spot_enter_element(s);
		else
			return true;
		if (!inward)
			return i > 0;
	}
	return true;
}

bool dwarf_type_find_member(const struct dwarf_type *type, uint64_t offset, uint64_t bytes,
			    char *buf, size_t size, struct dwarf_type *target)
{
	struct spot s = {
		.t = type->types, .offset = offset, .room = bytes, .path = buf, .size = size
	};
	Dwarf_Die die = type->die;
	uint64_t one;

	buf[0] = 0;
	target->types = NULL;
	if (!s.t || offset >= bytes || !spot_enter(&s, &die))
		return false;
	one = stripped_bytes(s.t, &s.type, 0);
	if (!spot_walk(&s)) {
		if (offset < one) /* between two members */
			return true;
		s = (struct spot){
			.t = type->types, .offset = offset, .room = bytes, .path = buf, .size = size
		};
		if (!spot_enter(&s, &die) || !spot_skip_elements(&s, one))
			return false;
		spot_walk(&s);
	}
	if (!s.offset)
		find_target(s.t, &s.type, target);
	return true;
}

/* -- variables -------------------------------------------------------------------------------- */

static bool is_variable(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);

	return tag == DW_TAG_variable || tag == DW_TAG_formal_parameter;
}

/* What is looked for among the variables of a frame; takes each, true to stop. */
struct hunt {
	struct dwarf_types *t;
	const struct dwarf_frame_context *c;
	uint64_t start, end, inside;
	bool (*take)(struct hunt *h, Dwarf_Die *variable, enum dwarf_place place, uint64_t value);
	const char *name;
	struct dwarf_type found;
	uint64_t found_bytes, found_at;
};

static void hunt_scope(struct hunt *h, Dwarf_Die *scope, Dwarf_Die *function, bool *done)
{
	Dwarf_Die child;

	if (!first_child(h->t, scope, &child))
		return;
	do {
		enum dwarf_place place;
		uint64_t value;

		if (!is_variable(&child))
			continue;
		place = dwarf_location_find(&child, function, h->c, &value);
		*done = place != DWARF_NOWHERE && h->take(h, &child, place, value);
	} while (!*done && next_child(h->t, &child));
}

static void hunt_frame(struct hunt *h)
{
	Dwarf_Die scopes[DWARF_SCOPES_MAX];
	size_t n = dwarf_lines_find_scopes(h->t->lines, h->c->vaddr, scopes);
	bool done = false;

	while (n-- > 0 && !done)
		hunt_scope(h, &scopes[n], &scopes[0], &done);
}

/* A pointer `at` that a variable holds: what it points to may be what is looked for. */
static void hunt_consider(struct hunt *h, uint64_t at, const struct dwarf_type *target)
{
	uint64_t bytes = dwarf_type_bytes(target);
	struct dwarf_type next;
	char path[8];

	if (!target->types || (h->found.types && bytes <= h->found_bytes))
		return;
	if (at == h->inside && is_of_library_type(target))
		return; /* that is the object itself */
	if (!dwarf_type_find_member(target, h->inside - at, h->end - at, path, sizeof(path), &next))
		return;
	h->found = *target;
	h->found_bytes = bytes;
	h->found_at = at;
}

static bool hunt_fits(const struct hunt *h, uint64_t at)
{
	return at >= h->start && at <= h->inside;
}

static bool hunt_take_pointer(struct hunt *h, Dwarf_Die *variable, enum dwarf_place place,
			      uint64_t value)
{
	struct dwarf_type type = { h->t, { 0 } }, target = { 0 };
	const char *alias;
	uint64_t bytes, word;
	char path[8];

	if (!type_of(variable, &type.die) || !strip(&type.die, &alias))
		return false;
	if (place == DWARF_VALUE) {
		if (hunt_fits(h, value) && find_target(h->t, &type.die, &target))
			hunt_consider(h, value, &target);
		return false;
	}
	bytes = dwarf_type_bytes(&type);
	for (uint64_t at = 0; at < bytes && at < WITHIN_BYTES; at += sizeof(word)) {
		if (h->c->read(h->c->read_ctx, value + at, &word, sizeof(word)) != sizeof(word) ||
		    !hunt_fits(h, word))
			continue;
		target.types = NULL;
		if (is_pointer(&type.die))
			find_target(h->t, &type.die, &target);
		else
			dwarf_type_find_member(&type, at, bytes, path, sizeof(path), &target);
		hunt_consider(h, word, &target);
	}
	return false;
}

bool dwarf_types_find_pointer(struct dwarf_types *t, const struct dwarf_frame_context *c,
			      uint64_t start, uint64_t end, uint64_t inside, struct dwarf_type *out,
			      uint64_t *base)
{
	struct hunt h = { .t = t, .c = c, .start = start, .end = end, .inside = inside };

	h.take = hunt_take_pointer;
	hunt_frame(&h);
	*out = h.found;
	*base = h.found_at;
	return h.found.types;
}

static bool hunt_take_local(struct hunt *h, Dwarf_Die *variable, enum dwarf_place place,
			    uint64_t value)
{
	struct dwarf_type type = { h->t, { 0 } };

	if (place != DWARF_MEMORY || value > h->inside || !type_of(variable, &type.die) ||
	    h->inside - value >= dwarf_type_bytes(&type))
		return false;
	h->found = type;
	h->found_at = value;
	h->name = dwarf_diename(variable);
	return true;
}

bool dwarf_types_find_local(struct dwarf_types *t, const struct dwarf_frame_context *c,
			    uint64_t address, const char **name, struct dwarf_type *out,
			    uint64_t *offset)
{
	struct hunt h = { .t = t, .c = c, .inside = address };

	h.take = hunt_take_local;
	hunt_frame(&h);
	*name = h.name;
	*out = h.found;
	*offset = address - h.found_at;
	return h.found.types && h.name;
}

/* Among the variables of a unit or a namespace. */
static bool find_static_below(struct dwarf_types *t, Dwarf_Die *parent, uint64_t vaddr, int depth,
			      struct dwarf_type *out, uint64_t *offset)
{
	Dwarf_Die child;
	uint64_t at;

	if (depth > NESTING_MAX || !first_child(t, parent, &child))
		return false;
	do {
		struct dwarf_type type = { t, { 0 } };

		if (dwarf_tag(&child) == DW_TAG_namespace &&
		    find_static_below(t, &child, vaddr, depth + 1, out, offset))
			return true;
		if (dwarf_tag(&child) != DW_TAG_variable ||
		    !dwarf_location_is_static(&child, &at) || at > vaddr ||
		    !type_of(&child, &type.die) || vaddr - at >= dwarf_type_bytes(&type))
			continue;
		*out = type;
		*offset = vaddr - at;
		return true;
	} while (next_child(t, &child));
	return false;
}

bool dwarf_types_find_static(struct dwarf_types *t, uint64_t vaddr, struct dwarf_type *out,
			     uint64_t *offset)
{
	Dwarf_Die unit;

	for (size_t i = 0; dwarf_lines_unit(t->lines, i, &unit); i++)
		if (find_static_below(t, &unit, vaddr, 0, out, offset))
			return true;
	return false;
}
