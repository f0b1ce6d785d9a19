/* SPDX-License-Identifier: MIT
 *
 * Functions, inlined calls and lines by libdw.
 *
 * libdw's own way from an address to its function walks the whole tree of a unit each time; units
 * of Rust or of link-time optimised programs are too large for that, hence the index. Trees and
 * references are other people's data: walks only go forward and have a bounded depth.
 */
#include "stack/dwarf_lines.h"
#include "stack/debug_file.h"
#include "stack/dwarf_image.h"
#include "stack/dwarf_names.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#define TREE_DEPTH_MAX 24

struct function {
	uint64_t low, high;
	Dwarf_Die die;
};

struct unit {
	Dwarf_Die die;
	bool indexed;
	struct function *functions; /* by low */
	size_t n, room;
};

struct unit_range {
	uint64_t low, high;
	size_t unit;
};

struct dwarf_file {
	char *image;
	Elf *elf;
	Dwarf *dwarf;
};

struct dwarf_lines {
	struct dwarf_file own, shared;
	struct unit *units;
	size_t unit_count, unit_room;
	struct unit_range *ranges; /* by low */
	uint64_t *reach;	   /* reach[i]: highest `high` of ranges[0] .. [i] */
	size_t range_count, range_room;
	struct dwarf_names *names;
};

/* The array `v` with room for one more element; NULL if out of memory, `v` is as it was then. */
static void *make_room(void *v, size_t n, size_t *room, size_t bytes)
{
	void *larger;

	if (n < *room)
		return v;
	larger = realloc(v, (2 * *room + 32) * bytes);
	if (larger)
		*room = 2 * *room + 32;
	return larger;
}

/* What naming code takes; the first two are in any DWARF. What variables take besides comes last. */
static const char *const sections[] = {
	".debug_info", ".debug_abbrev",	     ".debug_line",   ".debug_line_str",
	".debug_str",  ".debug_str_offsets", ".debug_ranges", ".debug_rnglists",
	".debug_addr", ".debug_types",	     ".debug_loc",    ".debug_loclists",
};

#define SECTIONS_OF_CODE 9
#define SECTIONS_OF_ALL	 (sizeof(sections) / sizeof(sections[0]))

static bool file_open(struct dwarf_file *d, const struct elf_file *f, bool whole)
{
	size_t bytes;

	d->image = dwarf_image_make(f, sections, whole ? SECTIONS_OF_ALL : SECTIONS_OF_CODE, 2,
				    &bytes);
	if (!d->image)
		return false;
	elf_version(EV_CURRENT);
	d->elf = elf_memory(d->image, bytes);
	d->dwarf = d->elf ? dwarf_begin_elf(d->elf, DWARF_C_READ, NULL) : NULL;
	return d->dwarf;
}

static void file_close(struct dwarf_file *d)
{
	dwarf_end(d->dwarf);
	elf_end(d->elf);
	free(d->image);
}

/* Load what dwz moved into a file shared by several, which .gnu_debugaltlink names and gives the
 * build id of. False if it is needed and not there. */
static bool attach_shared(struct dwarf_lines *d, const struct elf_file *f, pid_t pid, bool whole)
{
	const Elf64_Shdr *sh = elf_file_find_section(f, ".gnu_debugaltlink");
	struct elf_file *shared = NULL;
	size_t name;
	char *link;

	if (!sh)
		return true;
	link = elf_file_load_section(f, sh);
	if (!link)
		return false;
	name = strlen(link) + 1;
	if (name < sh->sh_size)
		shared = debug_file_open_shared(f, pid, link, link + name, sh->sh_size - name);
	free(link);
	if (shared && file_open(&d->shared, shared, whole))
		dwarf_setalt(d->own.dwarf, d->shared.dwarf);
	elf_file_close(shared);
	return d->shared.dwarf;
}

static bool add_ranges(struct dwarf_lines *d, size_t unit)
{
	struct unit_range *v;
	Dwarf_Addr base, low, high;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(&d->units[unit].die, at, &base, &low, &high)) > 0) {
		/* Linkers leave ranges of discarded functions at 0 or 1. */
		if (low <= 1 || high <= low)
			continue;
		v = make_room(d->ranges, d->range_count, &d->range_room, sizeof(*v));
		if (!v)
			return false;
		d->ranges = v;
		v[d->range_count++] = (struct unit_range){ low, high, unit };
	}
	return true;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct unit_range *x = a, *y = b;

	return x->low < y->low ? -1 : x->low > y->low;
}

static bool index_units(struct dwarf_lines *d)
{
	Dwarf_CU *cu = NULL;
	struct unit *v;
	Dwarf_Die die;
	uint8_t type;
	uint64_t reach = 0;

	while (!dwarf_get_units(d->own.dwarf, cu, &cu, NULL, &type, &die, NULL)) {
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		v = make_room(d->units, d->unit_count, &d->unit_room, sizeof(*v));
		if (!v)
			return false;
		d->units = v;
		v[d->unit_count++] = (struct unit){ .die = die };
		if (!add_ranges(d, d->unit_count - 1))
			return false;
	}
	if (d->range_count)
		qsort(d->ranges, d->range_count, sizeof(*d->ranges), compare_ranges);
	d->reach = calloc(d->range_count + 1, sizeof(*d->reach));
	if (!d->reach)
		return false;
	for (size_t i = 0; i < d->range_count; i++) {
		if (d->ranges[i].high > reach)
			reach = d->ranges[i].high;
		d->reach[i] = reach;
	}
	return true;
}

static struct dwarf_lines *lines_open(const struct elf_file *f, pid_t pid, bool whole)
{
	struct dwarf_lines *d;

	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->names = dwarf_names_create();
	if (d->names && file_open(&d->own, f, whole) && attach_shared(d, f, pid, whole) &&
	    index_units(d))
		return d;
	dwarf_lines_close(d);
	return NULL;
}

struct dwarf_lines *dwarf_lines_open(const struct elf_file *f, pid_t pid)
{
	return lines_open(f, pid, false);
}

struct dwarf_lines *dwarf_lines_open_whole(const struct elf_file *f, pid_t pid)
{
	return lines_open(f, pid, true);
}

void dwarf_lines_close(struct dwarf_lines *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->unit_count; i++)
		free(d->units[i].functions);
	free(d->units);
	free(d->ranges);
	free(d->reach);
	dwarf_names_free(d->names);
	file_close(&d->own);
	file_close(&d->shared);
	free(d);
}

static bool add_function(struct unit *u, Dwarf_Die *die)
{
	struct function *v;
	Dwarf_Addr base, low, high;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &low, &high)) > 0) {
		if (low <= 1 || high <= low)
			continue;
		v = make_room(u->functions, u->n, &u->room, sizeof(*v));
		if (!v)
			return false;
		u->functions = v;
		v[u->n++] = (struct function){ low, high, *die };
	}
	return true;
}

/* The next DIE at the same level; false at the end, or if the file points backwards. */
static bool next_sibling(Dwarf_Die *die)
{
	Dwarf_Off before = dwarf_dieoffset(die);

	return !dwarf_siblingof(die, die) && dwarf_dieoffset(die) > before;
}

/* Find the functions below `parent`: they stand in the unit, in namespaces, in types. */
static void index_functions(struct unit *u, Dwarf_Die *parent, int depth)
{
	Dwarf_Die child;

	if (depth > TREE_DEPTH_MAX || dwarf_child(parent, &child))
		return;
	do {
		switch (dwarf_tag(&child)) {
		case DW_TAG_subprogram:
			if (!add_function(u, &child))
				return;
			break;
		case DW_TAG_namespace:
		case DW_TAG_module:
		case DW_TAG_structure_type:
		case DW_TAG_class_type:
		case DW_TAG_union_type:
		case DW_TAG_enumeration_type:
		case DW_TAG_interface_type:
			index_functions(u, &child, depth + 1);
			break;
		}
	} while (next_sibling(&child));
}

static int compare_functions(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	return x->low < y->low ? -1 : x->low > y->low;
}

static struct function *find_function(struct unit *u, uint64_t vaddr)
{
	size_t low = 0, high, mid;

	if (!u->indexed) {
		index_functions(u, &u->die, 0);
		if (u->n)
			qsort(u->functions, u->n, sizeof(*u->functions), compare_functions);
		u->indexed = true;
	}
	high = u->n;
	while (low < high) {
		mid = low + (high - low) / 2;
		if (u->functions[mid].low <= vaddr)
			low = mid + 1;
		else
			high = mid;
	}
	return low && vaddr < u->functions[low - 1].high ? &u->functions[low - 1] : NULL;
}

static struct unit *find_unit(struct dwarf_lines *d, uint64_t vaddr)
{
	size_t low = 0, high = d->range_count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (d->ranges[mid].low <= vaddr)
			low = mid + 1;
		else
			high = mid;
	}
	while (low > 0 && d->reach[low - 1] > vaddr) {
		low--;
		if (vaddr < d->ranges[low].high)
			return &d->units[d->ranges[low].unit];
	}
	return NULL;
}

/* The function's DIE and those of the calls inlined at `vaddr`, with `blocks` also of the blocks,
 * outermost first. */
static size_t find_inlined(Dwarf_Die *function, uint64_t vaddr, bool blocks, Dwarf_Die *v,
			   size_t max)
{
	Dwarf_Die at = *function, child;
	size_t n = 0;
	bool deeper = true;

	v[n++] = at;
	for (int depth = 0; deeper && depth < 2 * DWARF_FRAMES_MAX; depth++) {
		deeper = false;
		if (dwarf_child(&at, &child))
			break;
		do {
			int tag = dwarf_tag(&child);

			if ((tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block &&
			     tag != DW_TAG_try_block && tag != DW_TAG_catch_block) ||
			    dwarf_haspc(&child, vaddr) <= 0)
				continue;
			if ((blocks || tag == DW_TAG_inlined_subroutine) && n < max)
				v[n++] = child;
			at = child;
			deeper = true;
		} while (!deeper && next_sibling(&child));
	}
	return n;
}

static int attribute_number(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute a;
	Dwarf_Word v;

	if (!dwarf_attr_integrate(die, name, &a) || dwarf_formudata(&a, &v) || v > INT32_MAX)
		return 0;
	return (int)v;
}

static const char *unit_directory(Dwarf_Die *unit)
{
	Dwarf_Attribute a;

	return dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &a));
}

/* File and line of the code at `vaddr`; lines of 0 mean "of no line", the one before counts. */
static void find_line(struct unit *u, uint64_t vaddr, uint64_t from, struct dwarf_frame *out)
{
	size_t n, low = 0, high, mid;
	Dwarf_Addr address;
	Dwarf_Lines *lines;
	Dwarf_Line *line;
	bool end = true;
	int number = 0;

	if (dwarf_getsrclines(&u->die, &lines, &n))
		return;
	high = n;
	while (low < high) {
		mid = low + (high - low) / 2;
		if (!dwarf_lineaddr(dwarf_onesrcline(lines, mid), &address) && address <= vaddr)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low > 0 && !number; low--) {
		line = dwarf_onesrcline(lines, low - 1);
		if (dwarf_lineendsequence(line, &end) || end || dwarf_lineaddr(line, &address) ||
		    address < from || dwarf_lineno(line, &number))
			return;
		out->file = dwarf_linesrc(line, NULL, NULL);
	}
	out->line = number;
}

/* File and line of the call that `inlined` stands for. */
static void find_call(struct unit *u, Dwarf_Die *inlined, struct dwarf_frame *out)
{
	int file = attribute_number(inlined, DW_AT_call_file);
	Dwarf_Files *files;
	size_t n;

	out->line = attribute_number(inlined, DW_AT_call_line);
	if (!dwarf_getsrcfiles(&u->die, &files, &n) && file >= 0 && (size_t)file < n)
		out->file = dwarf_filesrc(files, (size_t)file, NULL, NULL);
}

size_t dwarf_lines_find(struct dwarf_lines *d, uint64_t vaddr, struct dwarf_frame *v)
{
	struct unit *u = find_unit(d, vaddr);
	struct function *f = u ? find_function(u, vaddr) : NULL;
	Dwarf_Die dies[DWARF_FRAMES_MAX];
	Dwarf_Addr start = 0;
	size_t n = 1;

	if (!u)
		return 0;
	memset(v, 0, DWARF_FRAMES_MAX * sizeof(*v));
	if (f) {
		n = find_inlined(&f->die, vaddr, false, dies, DWARF_FRAMES_MAX);
		if (dwarf_entrypc(&f->die, &start))
			start = f->low;
	}
	for (size_t i = 0; i < n; i++) {
		struct dwarf_frame *out = &v[i];

		if (i == 0)
			find_line(u, vaddr, f ? f->low : 0, out);
		else
			find_call(u, &dies[n - i], out);
		out->directory = unit_directory(&u->die);
		out->function_start = start;
		if (!f)
			continue;
		out->function_line = attribute_number(&dies[n - 1 - i], DW_AT_decl_line);
		dwarf_names_find(d->names, &dies[n - 1 - i], out);
	}
	return n;
}

size_t dwarf_lines_find_scopes(struct dwarf_lines *d, uint64_t vaddr, Dwarf_Die *v)
{
	struct unit *u = find_unit(d, vaddr);
	struct function *f = u ? find_function(u, vaddr) : NULL;

	return f ? find_inlined(&f->die, vaddr, true, v, DWARF_SCOPES_MAX) : 0;
}

bool dwarf_lines_unit(const struct dwarf_lines *d, size_t i, Dwarf_Die *out)
{
	if (i >= d->unit_count)
		return false;
	*out = d->units[i].die;
	return true;
}
