/* SPDX-License-Identifier: MIT
 *
 * Static thread-locals: which modules have any, and how far below the thread pointer.
 *
 * x86-64 has variant II of thread-local storage: the thread pointer is the address of the
 * descriptor, the modules' blocks lie below it, each at the same distance in all threads. The
 * loader lists the modules (of all namespaces) that have thread-locals, and keeps the distance in
 * struct link_map; a module opened late has its thread-locals elsewhere (in the heap) and no
 * distance. A static program has one module and computes the distance from its program header.
 *
 * A module's entry is believed if its file and memory say the same three times: load address,
 * dynamic section, size of the block.
 */
#include "readers/thread_memory_private.h"

#include <elf.h>
#include <stdlib.h>

#include "target/elf_file.h"

/* Bounds beyond which it is no list of the loader's. */
#define LISTS_MAX   64
#define ENTRIES_MAX 4096

/* A static block further away is none: what is reserved for modules opened late is 2 KB unless it was
 * tuned, programs' own rarely are more. */
#define DISTANCE_MAX (64u << 20)

/* struct link_map begins with these (elf/link.h, an interface). */
#define LINK_MAP_WORDS 3
enum { LINK_MAP_BIAS, LINK_MAP_NAME, LINK_MAP_DYNAMIC };

/* struct link_map has, one after the other, l_tls_blocksize, l_tls_align, l_tls_firstbyte_offset,
 * l_tls_offset: include/link.h, glibc 2.31 to 2.41. */
#define BLOCKSIZE_BEFORE_OFFSET 24

static const Elf64_Phdr *find_segment(const struct module *m, uint32_t type)
{
	const Elf64_Phdr *v;
	size_t n;

	if (!m->file)
		return NULL;
	v = elf_file_segments(m->file, &n);
	for (size_t i = 0; i < n; i++)
		if (v[i].p_type == type)
			return &v[i];
	return NULL;
}

/* The module whose dynamic section is there, loaded with that bias. */
static const struct module *find_module(const struct thread_memory_work *w, uint64_t bias,
					uint64_t dynamic)
{
	const struct modules *mods = w->in->modules;

	for (size_t i = 0; i < modules_count(mods); i++) {
		const struct module *m = modules_get(mods, i);
		const Elf64_Phdr *p = find_segment(m, PT_DYNAMIC);

		if (p && m->bias == bias && p->p_vaddr + bias == dynamic)
			return m;
	}
	return NULL;
}

/* The loader leaves the program's entry in the first place of the list, too, which is unused. */
static bool is_known(const struct thread_memory_work *w, const struct module *m, uint64_t below)
{
	for (size_t i = 0; i < w->local_count; i++)
		if (w->locals[i].module == m && w->locals[i].below == below)
			return true;
	return false;
}

static int add_locals(struct thread_memory_work *w, const struct module *m, uint64_t below,
		      uint64_t bytes)
{
	struct module_locals *v = realloc(w->locals, (w->local_count + 1) * sizeof(*v));

	if (!v)
		return ERR_NOMEM;
	w->locals = v;
	v[w->local_count++] = (struct module_locals){ m, below, bytes };
	return 0;
}

/* The distance of a module's thread-locals; 0: it has none there (0 and -1 are the loader's words
 * for that), or it is not certain. */
static uint64_t read_distance(const struct thread_memory_work *w, uint64_t map,
			      const Elf64_Phdr *tls)
{
	uint64_t at = map + w->layout.tls_offset, below, bytes;

	if (w->layout.tls_offset < BLOCKSIZE_BEFORE_OFFSET ||
	    !source_read(w->memory, at, &below, sizeof(below)) ||
	    !source_read(w->memory, at - BLOCKSIZE_BEFORE_OFFSET, &bytes, sizeof(bytes)))
		return 0;
	if (!below || below > DISTANCE_MAX || !bytes || bytes > below || bytes != tls->p_memsz)
		return 0;
	return below;
}

static int consider_map(struct thread_memory_work *w, uint64_t map)
{
	uint64_t words[LINK_MAP_WORDS], below;
	const struct module *m;
	const Elf64_Phdr *tls;

	if (!source_read(w->memory, map, words, sizeof(words)))
		return 0;
	m = find_module(w, words[LINK_MAP_BIAS], words[LINK_MAP_DYNAMIC]);
	tls = m ? find_segment(m, PT_TLS) : NULL;
	below = tls ? read_distance(w, map, tls) : 0;
	if (!below || is_known(w, m, below))
		return 0;
	return add_locals(w, m, below, tls->p_memsz);
}

/* struct dtv_slotinfo_list { size_t len; struct dtv_slotinfo_list *next; struct { size_t gen; struct
 * link_map *map; } slotinfo[len]; } */
static int read_lists(struct thread_memory_work *w)
{
	uint64_t list, head[2], entry[2];
	int rc = 0;

	if (!w->layout.tls_modules ||
	    !source_read(w->memory, w->layout.tls_modules, &list, sizeof(list)))
		return 0;
	for (size_t n = 0; list && n < LISTS_MAX; n++, list = head[1]) {
		if (!source_read(w->memory, list, head, sizeof(head)) || head[0] > ENTRIES_MAX)
			return 0;
		for (uint64_t i = 0; i < head[0] && !rc; i++)
			if (source_read(w->memory, list + 16 + 16 * i, entry, sizeof(entry)) &&
			    entry[1])
				rc = consider_map(w, entry[1]);
	}
	return rc;
}

/* The one module of a static program: csu/libc-tls.c. */
static int read_static(struct thread_memory_work *w)
{
	const Elf64_Phdr *tls = find_segment(w->layout.libc, PT_TLS);
	uint64_t align;

	if (!tls || !tls->p_memsz || tls->p_memsz > DISTANCE_MAX)
		return 0;
	align = tls->p_align ? tls->p_align : 1;
	if (align & (align - 1) || align > DISTANCE_MAX)
		return 0;
	return add_locals(w, w->layout.libc, (tls->p_memsz + align - 1) & ~(align - 1),
			  tls->p_memsz);
}

static int compare_below(const void *va, const void *vb)
{
	uint64_t a = ((const struct module_locals *)va)->below;
	uint64_t b = ((const struct module_locals *)vb)->below;

	return (a < b) - (a > b);
}

static bool is_plausible(const struct thread_memory_work *w)
{
	for (size_t i = 0; i + 1 < w->local_count; i++)
		if (w->locals[i].below - w->locals[i].bytes < w->locals[i + 1].below)
			return false;
	return true;
}

int thread_memory_find_locals(struct thread_memory_work *w)
{
	int rc = libc_is_static(w->in->libc) ? read_static(w) : read_lists(w);

	if (rc)
		return rc;
	if (w->local_count)
		qsort(w->locals, w->local_count, sizeof(*w->locals), compare_below);
	if (!is_plausible(w))
		w->local_count = 0;
	return 0;
}

static bool is_aligned(const struct module_locals *l, uint64_t tp)
{
	const Elf64_Phdr *tls = find_segment(l->module, PT_TLS);
	uint64_t align = tls->p_align ? tls->p_align : 1;

	return !(align & (align - 1)) && !((tp - l->below - tls->p_vaddr) & (align - 1));
}

/* One that does not fit means that none is understood. They share the stack with the descriptor; the
 * first thread has them elsewhere. */
static bool fits(const struct thread_memory_work *w, uint64_t tp, const struct extent *stack)
{
	for (size_t i = 0; i < w->local_count; i++) {
		const struct module_locals *l = &w->locals[i];

		if (l->below >= tp || !is_aligned(l, tp) ||
		    (tp >= stack->start && tp < stack->end && tp - l->below < stack->start))
			return false;
	}
	return w->local_count > 0;
}

static void set_errno(const struct thread_memory_work *w, uint64_t tp, struct thread_memory *t)
{
	for (size_t i = 0; i < w->local_count; i++) {
		const struct module_locals *l = &w->locals[i];

		if (l->module != w->layout.libc || !w->layout.has_errno || l->bytes < sizeof(int) ||
		    w->layout.error_number > l->bytes - sizeof(int))
			continue;
		t->error_number.start = tp - l->below + w->layout.error_number;
		t->error_number.end = t->error_number.start + sizeof(int);
	}
}

int thread_memory_set_locals(const struct thread_memory_work *w, uint64_t tp,
			     struct thread_memory *t)
{
	if (!fits(w, tp, &t->stack))
		return 0;
	t->locals = calloc(w->local_count, sizeof(*t->locals));
	if (!t->locals)
		return ERR_NOMEM;
	for (size_t i = 0; i < w->local_count; i++) {
		const struct module_locals *l = &w->locals[i];

		t->locals[i].at.start = tp - l->below;
		t->locals[i].at.end = tp - l->below + l->bytes;
		t->locals[i].module = l->module;
	}
	t->local_count = w->local_count;
	t->tls = (struct extent){ tp - w->locals[0].below, tp };
	set_errno(w, tp, t);
	return 0;
}
