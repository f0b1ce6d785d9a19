/* SPDX-License-Identifier: MIT
 *
 * Where glibc keeps what it knows of threads, in its own words: the constants that it exports for
 * libthread_db (nptl_db/structs.def). Each is { size in bits, number of elements, offset in bytes };
 * the size of a structure is a word alone. They say what the library was built with, so no table of
 * releases is needed; they are compared with the process by whoever uses them.
 */
#include "readers/libc.h"

#include <elf.h>
#include <string.h>

#include "target/elf_file.h"

/* Beyond these nothing is believed: the descriptor has 2304 bytes in 2.31 and 2368 in 2.36, struct
 * link_map about 1200, _rtld_global about 4400. */
#define DESCRIPTOR_BYTES_MIN 1024
#define DESCRIPTOR_BYTES_MAX 16384
#define OFFSET_MAX	     65536

struct layout_work {
	const struct libc *libc;
	const struct modules *mods;
	const struct module *threads; /* the library's part that knows of threads */
};

static bool layout_read_words(const struct layout_work *w, const char *name, uint32_t *words,
			      size_t n)
{
	struct module_symbol sym;

	return module_find_symbol(w->threads, name, true, &sym) &&
	       modules_read(w->mods, sym.address, words, n * sizeof(*words)) == n * sizeof(*words);
}

/* A field of `bits` bits; 0 if it is not known. Nothing that is asked for is the first field of its
 * structure. */
static uint64_t layout_read_field(const struct layout_work *w, const char *name, uint32_t bits)
{
	uint32_t field[3];

	if (!layout_read_words(w, name, field, 3) || field[0] != bits || field[1] != 1 ||
	    field[2] > OFFSET_MAX || field[2] % 8)
		return 0;
	return field[2];
}

static bool layout_read_descriptor(const struct layout_work *w, struct libc_layout *out)
{
	uint32_t bytes = 0;

	layout_read_words(w, "_thread_db_sizeof_pthread", &bytes, 1);
	out->tid = libc_tid_offset(w->libc);
	out->list = layout_read_field(w, "_thread_db_pthread_list", 128);
	out->start_routine = layout_read_field(w, "_thread_db_pthread_start_routine", 64);
	if (bytes < DESCRIPTOR_BYTES_MIN || bytes > DESCRIPTOR_BYTES_MAX || bytes % 8)
		return false;
	out->bytes = bytes;
	return out->tid && out->list && out->start_routine > out->list + 16 &&
	       out->start_routine + 32 < bytes;
}

/* The lists of stacks have been in the loader's data since 2.34: the third follows the second, and all
 * that belongs to it comes behind (sysdeps/generic/ldsodefs.h). */
static void layout_read_lists(const struct layout_work *w, uint64_t global, struct libc_layout *out)
{
	uint64_t used = layout_read_field(w, "_thread_db_rtld_global__dl_stack_used", 128);
	uint64_t user = layout_read_field(w, "_thread_db_rtld_global__dl_stack_user", 128);

	if (!used || user != used + 16)
		return;
	out->stacks_used = global + used;
	out->stacks_user = global + user;
	out->stacks_cached = out->stacks_user + 16;
	out->cached_bytes = out->stacks_cached + 16;
	out->in_flight = out->cached_bytes + 8;
	out->stacks_lock = out->in_flight + 8;
}

/* Before that they are variables of libpthread (nptl/allocatestack.c), in static programs of the program;
 * its file may name them. */
static void layout_find_lists(const struct layout_work *w, struct libc_layout *out)
{
	const struct {
		const char *name, *static_name;
		uint64_t *at;
	} variables[] = {
		{ "stack_used", "_dl_stack_used", &out->stacks_used },
		{ "__stack_user", "_dl_stack_user", &out->stacks_user },
		{ "stack_cache", "_dl_stack_cache", &out->stacks_cached },
		{ "stack_cache_actsize", "_dl_stack_cache_actsize", &out->cached_bytes },
		{ "in_flight_stack", "_dl_in_flight_stack", &out->in_flight },
		{ "stack_cache_lock", "_dl_stack_cache_lock", &out->stacks_lock },
	};
	bool is_static = libc_is_static(w->libc);

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *name = is_static ? variables[i].static_name : variables[i].name;
		struct module_symbol sym;

		if (module_find_symbol(w->threads, name, true, &sym))
			*variables[i].at = sym.address;
	}
}

/* What is in the loader's data; nothing of it in a static program. */
static void layout_read_loader(const struct layout_work *w, struct libc_layout *out)
{
	uint64_t at;

	out->tls_offset = layout_read_field(w, "_thread_db_link_map_l_tls_offset", 64);
	for (size_t i = 0; i < modules_count(w->mods); i++) {
		const struct module *m = modules_get(w->mods, i);
		struct module_symbol global;

		if (!m->soname || strcmp(m->soname, "ld-linux-x86-64.so.2") ||
		    !module_find_symbol(m, "_rtld_global", false, &global))
			continue;
		out->loader = m;
		at = layout_read_field(w, "_thread_db_rtld_global__dl_tls_dtv_slotinfo_list", 64);
		out->tls_modules = at ? global.address + at : 0;
		layout_read_lists(w, global.address, out);
		return;
	}
}

/* The library's own thread-local, which it exports for its other parts. */
static void layout_read_errno(const struct libc *l, struct libc_layout *out)
{
	const struct module *m = out->libc;
	const struct elf_symbols *t;

	if (!m->file)
		return;
	t = libc_is_static(l) ? elf_file_symtab(m->file) : elf_file_dynsym(m->file);
	for (size_t i = 1; i < t->n; i++) {
		const Elf64_Sym *s = &t->v[i];

		if (ELF64_ST_TYPE(s->st_info) != STT_TLS || s->st_shndx == SHN_UNDEF ||
		    s->st_size != sizeof(int) || strcmp(elf_symbols_name(t, i), "errno"))
			continue;
		out->has_errno = true;
		out->error_number = s->st_value;
		return;
	}
}

bool libc_read_layout(const struct libc *l, const struct modules *mods, struct libc_layout *out)
{
	struct layout_work w = { .libc = l, .mods = mods };

	memset(out, 0, sizeof(*out));
	if (libc_kind(l) != LIBC_GLIBC)
		return false;
	libc_get_modules(l, &out->libc, &w.threads);
	if (!layout_read_descriptor(&w, out))
		return false;
	if (!libc_is_static(l))
		layout_read_loader(&w, out);
	if (libc_is_static(l) || w.threads != out->libc)
		layout_find_lists(&w, out);
	layout_read_errno(l, out);
	return true;
}
