/* SPDX-License-Identifier: MIT
 *
 * The scope of a function is found by a walk from the unit's root, which costs; it is needed only
 * where there is no mangled name, in languages that have scopes, and is remembered per function.
 */
#include "stack/dwarf_names.h"
#include "stack/dwarf_lines.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "model/hash.h"

#define ORIGINS_MAX 16

struct scope {
	const void *die; /* its address in the section identifies it */
	char text[];	 /* "" for none */
};

struct dwarf_names {
	struct hash_set scopes;
};

struct dwarf_names *dwarf_names_create(void)
{
	return calloc(1, sizeof(struct dwarf_names));
}

void dwarf_names_free(struct dwarf_names *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->scopes.capacity; i++)
		free(n->scopes.slots[i].value);
	hash_set_clear(&n->scopes);
	free(n);
}

static bool has_scopes(Dwarf_Die *die)
{
	Dwarf_Die unit;

	if (!dwarf_diecu(die, &unit, NULL, NULL))
		return false;
	switch (dwarf_srclang(&unit)) {
	case DW_LANG_C89:
	case DW_LANG_C:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case DW_LANG_Mips_Assembler:
	case DW_LANG_Go:
		return false;
	default:
		return true;
	}
}

/* Follow the references from a copy of a function to where it was declared. */
static void find_origin(Dwarf_Die *die)
{
	Dwarf_Attribute a;
	Dwarf_Die next;

	for (int i = 0; i < ORIGINS_MAX; i++) {
		if (!dwarf_attr(die, DW_AT_abstract_origin, &a) &&
		    !dwarf_attr(die, DW_AT_specification, &a))
			return;
		if (!dwarf_formref_die(&a, &next))
			return;
		*die = next;
	}
}

static const char *scope_name(Dwarf_Die *die)
{
	const char *name;

	switch (dwarf_tag(die)) {
	case DW_TAG_namespace:
		name = dwarf_diename(die);
		return name ? name : "(anonymous namespace)";
	case DW_TAG_module:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_interface_type:
		return dwarf_diename(die);
	default:
		return NULL;
	}
}

/* The names of the scopes around `die`, outermost first, joined by "::". */
static struct scope *make_scope(Dwarf_Die *die)
{
	Dwarf_Die *v = NULL;
	int n = dwarf_getscopes_die(die, &v);
	struct scope *s;
	size_t bytes = 1;
	const char *name;

	for (int i = 1; i < n; i++)
		if ((name = scope_name(&v[i])))
			bytes += strlen(name) + 2;
	s = malloc(sizeof(*s) + bytes);
	if (s) {
		s->die = die->addr;
		s->text[0] = 0;
		for (int i = n - 1; i > 0; i--) {
			if (!(name = scope_name(&v[i])))
				continue;
			if (s->text[0])
				strcat(s->text, "::");
			strcat(s->text, name);
		}
	}
	free(v);
	return s;
}

static bool is_scope_of(const void *value, const void *key)
{
	return ((const struct scope *)value)->die == key;
}

static const char *find_scope(struct dwarf_names *n, Dwarf_Die *die)
{
	Dwarf_Die origin = *die;
	struct scope *s;
	uint64_t hash;

	if (!has_scopes(die))
		return NULL;
	find_origin(&origin);
	hash = hash_bytes(HASH_START, &origin.addr, sizeof(origin.addr));
	s = hash_set_find(&n->scopes, hash, is_scope_of, origin.addr);
	if (!s) {
		s = make_scope(&origin);
		if (s && hash_set_add(&n->scopes, hash, s)) {
			free(s);
			s = NULL;
		}
	}
	return s && s->text[0] ? s->text : NULL;
}

void dwarf_names_find(struct dwarf_names *n, Dwarf_Die *die, struct dwarf_frame *out)
{
	Dwarf_Attribute a;

	out->linkage = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &a));
	if (!out->linkage)
		out->linkage =
			dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &a));
	out->name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &a));
	if (!out->linkage && out->name)
		out->scope = find_scope(n, die);
}
