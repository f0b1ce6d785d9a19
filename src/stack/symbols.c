/* SPDX-License-Identifier: MIT
 *
 * Names for addresses, put together from ELF symbols and DWARF.
 *
 * Per module everything is looked for once, when the first of its addresses is asked for. What
 * was found for an address is kept; strings are kept once.
 */
#include "stack/symbols.h"
#include "stack/code.h"
#include "stack/debug_file.h"
#include "stack/demangle.h"
#include "stack/dwarf_lines.h"
#include "stack/dwarf_types.h"
#include "stack/symbols_table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/hash.h"

/* Of debug information; more is not read for the sake of types. */
#define TYPES_BYTES_MAX ((uint64_t)128 << 20)

struct module_symbols {
	bool loaded;
	struct elf_file *debug; /* separate debug file, NULL: none */
	struct symbol_table code, data;
	struct dwarf_lines *lines; /* NULL: no DWARF */
	bool types_loaded;
	struct dwarf_types *types;
};

struct answer {
	uint64_t pc;
	size_t n;
	struct symbol_frame v[];
};

struct symbols {
	const struct modules *mods;
	pid_t pid;
	struct module_symbols *modules; /* by number of module */
	struct hash_set strings;
	struct hash_set answers;
};

/* Given where memory has run out. */
static const struct symbol_frame nothing;

int symbols_open(const struct modules *mods, pid_t pid, struct symbols **out, struct err *e)
{
	struct symbols *s = calloc(1, sizeof(*s));

	if (s)
		s->modules = calloc(modules_count(mods) + 1, sizeof(*s->modules));
	if (!s || !s->modules) {
		free(s);
		return err_set(e, ERR_NOMEM, "cannot read symbols");
	}
	s->mods = mods;
	s->pid = pid;
	*out = s;
	return 0;
}

static void free_values(struct hash_set *set)
{
	for (size_t i = 0; i < set->capacity; i++)
		free(set->slots[i].value);
	hash_set_clear(set);
}

void symbols_close(struct symbols *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < modules_count(s->mods); i++) {
		struct module_symbols *m = &s->modules[i];

		dwarf_lines_close(m->lines);
		dwarf_types_close(m->types);
		symbol_table_free(&m->code);
		symbol_table_free(&m->data);
		elf_file_close(m->debug);
	}
	free(s->modules);
	free_values(&s->strings);
	free_values(&s->answers);
	free(s);
}

static bool equal_string(const void *value, const void *key)
{
	return !strcmp(value, key);
}

/* The one copy of a malloc'd string, which is taken over; NULL for NULL. */
static const char *keep_string(struct symbols *s, char *text)
{
	uint64_t hash;
	char *kept;

	if (!text)
		return NULL;
	hash = hash_string(HASH_START, text);
	kept = hash_set_find(&s->strings, hash, equal_string, text);
	if (kept || hash_set_add(&s->strings, hash, text)) {
		free(text);
		return kept;
	}
	return text;
}

static int load_tables(struct module_symbols *ms, const struct elf_file *f)
{
	int code = symbol_table_add(&ms->code, f, SYMBOLS_CODE);

	return code ? code : symbol_table_add(&ms->data, f, SYMBOLS_DATA);
}

/* Is the debug file laid out like the file it belongs to? */
static bool same_layout(const struct elf_file *a, const struct elf_file *b)
{
	const Elf64_Phdr *p, *q;
	size_t n, m, j = 0;

	p = elf_file_segments(a, &n);
	q = elf_file_segments(b, &m);
	for (size_t i = 0; i < n; i++) {
		if (p[i].p_type != PT_LOAD)
			continue;
		while (j < m && q[j].p_type != PT_LOAD)
			j++;
		if (j == m || q[j].p_vaddr != p[i].p_vaddr || q[j].p_memsz != p[i].p_memsz)
			return false;
		j++;
	}
	return true;
}

static struct module_symbols *load_module(struct symbols *s, const struct module *m)
{
	struct module_symbols *ms = &s->modules[m - modules_get(s->mods, 0)];

	if (ms->loaded)
		return ms;
	ms->loaded = true;
	if (!m->file)
		return ms;
	ms->lines = dwarf_lines_open(m->file, s->pid);
	if (!ms->lines || !elf_file_symtab(m->file)->n)
		ms->debug = debug_file_open(m, s->pid);
	if (ms->debug && !same_layout(m->file, ms->debug)) {
		elf_file_close(ms->debug);
		ms->debug = NULL;
	}
	if (ms->debug && !ms->lines)
		ms->lines = dwarf_lines_open(ms->debug, s->pid);
	/* Out of memory leaves fewer names. */
	if (load_tables(ms, m->file) || (ms->debug && load_tables(ms, ms->debug)) ||
	    symbol_table_sort(&ms->code, SYMBOLS_CODE) ||
	    symbol_table_sort(&ms->data, SYMBOLS_DATA)) {
		symbol_table_free(&ms->code);
		symbol_table_free(&ms->data);
	}
	return ms;
}

/* A symbol's name without the version that linkers append ("pthread_join@GLIBC_2.34"). */
static char *symbol_name(const char *name)
{
	const char *at = strchr(name, '@');
	char *plain, *readable;

	if (!at || at == name)
		return demangle_name(name);
	plain = strndup(name, (size_t)(at - name));
	readable = plain ? demangle_name(plain) : NULL;
	free(plain);
	return readable;
}

static char *join(const char *a, const char *between, const char *b)
{
	char *s = NULL;

	return asprintf(&s, "%s%s%s", a, between, b) < 0 ? NULL : s;
}

/* The name of a function by its DWARF. What is no mangled name is an assembler's label
 * ("__GI_qsort"), less telling than the name in the source. A library's internal name gives way
 * to one of the symbols for the same code: pthread_mutex_lock is ___pthread_mutex_lock there. */
static char *function_name(const struct dwarf_frame *f, const struct symbol *symbol, bool inlined)
{
	bool mangled =
		f->linkage && (!strncmp(f->linkage, "_Z", 2) || !strncmp(f->linkage, "_R", 2));
	const char *name = f->name && !mangled ? f->name : f->linkage;

	if (!name)
		return NULL;
	if (!mangled && name[0] == '_' && !inlined && symbol && symbol->start == f->function_start)
		return symbol_name(symbol->name);
	if (!mangled && f->scope)
		return join(f->scope, "::", name);
	return demangle_name(name);
}

static char *file_name(const struct dwarf_frame *f)
{
	if (!f->file)
		return NULL;
	if (f->file[0] == '/' || !f->directory)
		return strdup(f->file);
	return join(f->directory, "/", f->file);
}

static void fill_frame(struct symbols *s, struct symbol_frame *out, const struct dwarf_frame *f,
		       const struct symbol *symbol, uint64_t vaddr, bool inlined)
{
	out->function = keep_string(s, function_name(f, symbol, inlined));
	out->file = keep_string(s, file_name(f));
	out->line = f->line;
	out->function_line = f->function_line;
	out->inlined = inlined;
	if (f->function_start && f->function_start <= vaddr)
		out->function_offset = vaddr - f->function_start;
}

/* The code that signal handlers return to has no symbol in most C libraries. */
static const char *trampoline_name(struct symbols *s, uint64_t pc)
{
	uint8_t code[CODE_SIGNAL_BYTES];
	size_t n = modules_read(s->mods, pc, code, sizeof(code));

	return code_is_signal_return(code, n) ? "__restore_rt" : NULL;
}

/* What is known of `pc`; a malloc'd answer with at least one frame. */
static struct answer *make_answer(struct symbols *s, uint64_t pc)
{
	const struct module *m = modules_find(s->mods, pc);
	struct module_symbols *ms = m ? load_module(s, m) : NULL;
	struct dwarf_frame frames[DWARF_FRAMES_MAX];
	uint64_t vaddr = m ? pc - m->bias : 0;
	const struct symbol *symbol = ms ? symbol_table_find(&ms->code, vaddr) : NULL;
	size_t n = ms && ms->lines ? dwarf_lines_find(ms->lines, vaddr, frames) : 0;
	struct answer *a = calloc(1, sizeof(*a) + (n ? n : 1) * sizeof(a->v[0]));

	if (!a)
		return NULL;
	a->pc = pc;
	a->n = n ? n : 1;
	for (size_t i = 0; i < n; i++)
		fill_frame(s, &a->v[i], &frames[i], symbol, vaddr, i + 1 < n);
	if (!n)
		a->v[0].function = trampoline_name(s, pc);
	if (symbol && !a->v[a->n - 1].function) {
		a->v[a->n - 1].function = keep_string(s, symbol_name(symbol->name));
		a->v[a->n - 1].function_offset = vaddr - symbol->start;
	}
	return a;
}

static bool answers_pc(const void *value, const void *key)
{
	return ((const struct answer *)value)->pc == *(const uint64_t *)key;
}

size_t symbols_find_code(struct symbols *s, uint64_t pc, const struct symbol_frame **out)
{
	uint64_t hash = hash_bytes(HASH_START, &pc, sizeof(pc));
	struct answer *a = hash_set_find(&s->answers, hash, answers_pc, &pc);

	if (!a) {
		a = make_answer(s, pc);
		if (a && hash_set_add(&s->answers, hash, a)) {
			free(a);
			a = NULL;
		}
	}
	*out = a ? a->v : &nothing;
	return a ? a->n : 1;
}

/* Compilers number the static variables of functions: "count.3" is what the source calls count. */
static void cut_number(char *name)
{
	char *dot = strrchr(name, '.'), *c;

	if (!dot || dot == name || !dot[1])
		return;
	for (c = dot + 1; *c; c++)
		if (!isdigit((unsigned char)*c))
			return;
	*dot = 0;
}

const char *symbols_find_data(struct symbols *s, uint64_t address)
{
	const struct module *m = modules_find(s->mods, address);
	const struct symbol *symbol;
	char *name, *text = NULL;
	uint64_t offset;

	if (!m)
		return NULL;
	symbol = symbol_table_find(&load_module(s, m)->data, address - m->bias);
	if (!symbol)
		return NULL;
	name = symbol_name(symbol->name);
	if (!name)
		return NULL;
	cut_number(name);
	offset = address - m->bias - symbol->start;
	if (!offset)
		return keep_string(s, name);
	if (asprintf(&text, "%s+0x%llx", name, (unsigned long long)offset) < 0)
		text = NULL;
	free(name);
	return keep_string(s, text);
}

static bool has_moderate_types(const struct elf_file *f)
{
	const Elf64_Shdr *sh = f ? elf_file_find_section(f, ".debug_info") : NULL;

	return sh && sh->sh_size <= TYPES_BYTES_MAX;
}

struct dwarf_types *symbols_find_types(struct symbols *s, uint64_t address, uint64_t *bias)
{
	const struct module *m = modules_find(s->mods, address);
	struct module_symbols *ms = m ? load_module(s, m) : NULL;

	if (!ms)
		return NULL;
	*bias = m->bias;
	if (ms->types_loaded)
		return ms->types;
	ms->types_loaded = true;
	if (has_moderate_types(m->file))
		ms->types = dwarf_types_open(m->file, s->pid);
	if (!ms->types && has_moderate_types(ms->debug))
		ms->types = dwarf_types_open(ms->debug, s->pid);
	return ms->types;
}
