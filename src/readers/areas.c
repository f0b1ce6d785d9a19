/* SPDX-License-Identifier: MIT
 *
 * Areas are laid in layers, the most certain first; each layer only takes what the ones before have
 * left. So a thread's memory wins over the heap that it may lie in, the heap over the data segment
 * that it may follow, and everything over "some mapping".
 */
#include "readers/areas.h"

#include <stdlib.h>
#include <string.h>

#include "target/arch.h"
#include "target/elf_file.h"

#define PAGE_BYTES 4096u

/* Areas being collected for one layer. */
struct areas_layer {
	struct area *v;
	size_t n, room;
	bool failed; /* out of memory */
};

static void layer_add(struct areas_layer *l, uint64_t start, uint64_t end, enum area_kind kind,
		      uint32_t thread)
{
	struct area *bigger;

	if (start >= end || l->failed)
		return;
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 256;

		bigger = reallocarray(l->v, room, sizeof(*bigger));
		if (!bigger) {
			l->failed = true;
			return;
		}
		l->v = bigger;
		l->room = room;
	}
	l->v[l->n++] = (struct area){ start, end, kind, thread, 0 };
}

static int area_compare(const void *va, const void *vb)
{
	const struct area *a = va, *b = vb;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Add to `out` the parts of `from` that `a` does not cover; *at moves along `a`. */
static void layer_add_uncovered(struct areas_layer *out, const struct areas *a, size_t *at,
				const struct area *from)
{
	uint64_t start = from->start;

	while (*at < a->n && a->v[*at].end <= start)
		(*at)++;
	for (size_t i = *at; start < from->end; i++) {
		uint64_t stop = i < a->n && a->v[i].start < from->end ? a->v[i].start : from->end;

		layer_add(out, start, stop, from->kind, from->thread);
		if (i >= a->n || a->v[i].start >= from->end)
			return;
		start = a->v[i].end > start ? a->v[i].end : start;
	}
}

/* Lay `l` over what is there already; `l` is empty afterwards. */
static int areas_lay(struct areas *a, struct areas_layer *l)
{
	struct areas_layer out = { 0 };
	uint64_t covered = 0;
	size_t at = 0;

	qsort(l->v, l->n, sizeof(*l->v), area_compare);
	for (size_t i = 0; i < l->n; i++) {
		struct area from = l->v[i];

		if (from.start < covered)
			from.start = covered;
		if (from.start >= from.end)
			continue;
		layer_add_uncovered(&out, a, &at, &from);
		covered = from.end;
	}
	for (size_t i = 0; i < a->n; i++)
		layer_add(&out, a->v[i].start, a->v[i].end, a->v[i].kind, a->v[i].thread);
	if (out.failed || l->failed) {
		free(out.v);
		return ERR_NOMEM;
	}
	qsort(out.v, out.n, sizeof(*out.v), area_compare);
	free(a->v);
	a->v = out.v;
	a->n = out.n;
	l->n = 0;
	return 0;
}

/* -- the layers ------------------------------------------------------------------------------- */

static void layer_add_extents(struct areas_layer *l, const struct extent *v, size_t n,
			      enum area_kind kind, uint32_t thread)
{
	for (size_t i = 0; i < n; i++)
		layer_add(l, v[i].start, v[i].end, kind, thread);
}

static void layer_add_nobodys(struct areas_layer *l, const struct thread_memories *t)
{
	layer_add_extents(l, t->cached, t->cached_count, AREA_DEAD, AREA_NO_THREAD);
	layer_add_extents(l, t->lists, t->list_count, AREA_DEAD, AREA_NO_THREAD);
	for (size_t i = 0; i < t->n; i++)
		layer_add_extents(l, t->v[i].links, t->v[i].link_count, AREA_DEAD, AREA_NO_THREAD);
}

static void layer_add_locals(struct areas_layer *l, const struct thread_memory *m)
{
	uint32_t thread = (uint32_t)m->index;

	for (size_t i = 0; i < m->local_count; i++)
		layer_add(l, m->locals[i].at.start, m->locals[i].at.end, AREA_LOCALS, thread);
}

/* What of a stack is in use, frame by frame as far as its frames are known. */
static void layer_add_stack(struct areas_layer *l, const struct thread_memory *m, uint64_t sp)
{
	uint32_t thread = (uint32_t)m->index;
	uint64_t from = m->stack.start;

	if (sp >= m->stack.start && sp < m->stack.end) {
		from = sp - m->stack.start < ARCH_RED_ZONE_BYTES ? m->stack.start
								 : sp - ARCH_RED_ZONE_BYTES;
		if (m->used_below)
			from = m->stack.start;
		layer_add(l, m->stack.start, from, AREA_DEAD, AREA_NO_THREAD);
		for (size_t i = 0; i < m->frame_count; i++) {
			uint64_t end = m->frames[i];

			if (end <= from || end > m->stack.end)
				break;
			layer_add(l, from, end, AREA_STACK, thread);
			from = end;
		}
	}
	layer_add(l, from, m->stack.end, AREA_STACK, thread);
}

static int areas_lay_threads(struct areas *a, struct areas_layer *l, const struct areas_input *in)
{
	const struct thread_memories *t = in->threads;
	int rc;

	layer_add_nobodys(l, t);
	for (size_t i = 0; i < t->n; i++)
		layer_add(l, t->v[i].error_number.start, t->v[i].error_number.end, AREA_LOCALS,
			  (uint32_t)t->v[i].index);
	layer_add(l, in->main_frame.start, in->main_frame.end, AREA_MAIN_FRAME, AREA_NO_THREAD);
	rc = areas_lay(a, l);
	for (size_t i = 0; i < t->n; i++)
		layer_add_locals(l, &t->v[i]);
	if (!rc)
		rc = areas_lay(a, l);
	for (size_t i = 0; i < t->n; i++) {
		const struct thread_memory *m = &t->v[i];
		uint32_t thread = (uint32_t)m->index;

		layer_add(l, m->descriptor.start, m->descriptor.end, AREA_DESCRIPTOR, thread);
		layer_add(l, m->tls.start, m->tls.end, AREA_LOCALS, thread);
	}
	if (!rc)
		rc = areas_lay(a, l);
	for (size_t i = 0; i < t->n; i++)
		layer_add_stack(l, &t->v[i],
				t->v[i].index < in->sp_count ? in->sp[t->v[i].index] : 0);
	return rc ? rc : areas_lay(a, l);
}

/* Memory with no file behind it that may follow other such memory; of the main stack a piece may have
 * been protected. */
static bool mapping_is_plain(const struct mapping *m)
{
	return !m->inode &&
	       (!m->path[0] || !strncmp(m->path, "[anon:", 6) || !strcmp(m->path, "[stack]"));
}

/* May `b` have been made together with `a`? An allocator may well have given a piece of its own region
 * another protection. */
static bool mapping_goes_on(const struct mapping *a, const struct mapping *b)
{
	if (a->end != b->start)
		return false;
	if (!a->inode && !b->inode)
		return !strcmp(a->path, b->path) || (mapping_is_plain(a) && mapping_is_plain(b));
	return a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && a->offset + (a->end - a->start) == b->offset;
}

/* The kernel puts what it is free to put anywhere downwards from where it puts libraries, which is at
 * most so far below the main stack. Room for that much more is left. */
#define BELOW_STACK_MAX	 (UINT64_C(17) << 40)
#define MAPPED_BYTES_MAX (UINT64_C(1) << 40)

/* Beyond there is memory for programs only if they ask for it by address. */
#define FREE_END (UINT64_C(1) << 47)

/* Memory below is at an address of the program's choice: that address may stand in its code alone, or
 * be kept in 32 bits. */
static uint64_t areas_chosen_end(const struct areas_input *in)
{
	uint64_t highest = 0;

	for (size_t i = 0; i < modules_count(in->modules); i++) {
		const struct module *m = modules_get(in->modules, i);

		if (!m->main_program && m->path[0] == '/' && m->start > highest)
			highest = m->start;
	}
	for (size_t i = 0; !highest && i < in->maps->n; i++)
		if (!strcmp(in->maps->v[i].path, "[stack]") &&
		    in->maps->v[i].start > BELOW_STACK_MAX)
			highest = in->maps->v[i].start - BELOW_STACK_MAX;
	return highest > MAPPED_BYTES_MAX ? highest - MAPPED_BYTES_MAX : UINT64_C(1) << 32;
}

static void areas_lay_rest(struct areas_layer *l, const struct areas_input *in)
{
	uint64_t chosen_end = areas_chosen_end(in);

	for (size_t i = 0; i < in->maps->n && !l->failed; i++) {
		const struct mapping *m = &in->maps->v[i];

		if (i && mapping_goes_on(m - 1, m))
			l->v[l->n - 1].end = m->end;
		else
			layer_add(l, m->start, m->end,
				  m->start < chosen_end || m->end > FREE_END ? AREA_STATIC
									     : AREA_WHOLE,
				  AREA_NO_THREAD);
	}
}

/* -- static data ------------------------------------------------------------------------------ */

static size_t areas_count_segments(const struct modules *modules)
{
	size_t total = 0, n;

	for (size_t i = 0; i < modules_count(modules); i++) {
		const struct module *m = modules_get(modules, i);

		n = 2;
		if (m->file)
			elf_file_segments(m->file, &n);
		total += n + 2;
	}
	return total;
}

/* A module without a readable file: what is mapped of it, and the anonymous memory right behind (its
 * zeroed data, by all that is usual). */
static struct extent areas_mapped_module(const struct maps *maps, const struct module *m)
{
	const struct mapping *behind = maps_find(maps, m->end);
	struct extent at = { m->start, m->end };

	if (behind && behind->start == m->end && !behind->inode && !behind->path[0])
		at.end = behind->end;
	return at;
}

static int extent_compare(const void *va, const void *vb)
{
	const struct extent *a = va, *b = vb;

	return a->start < b->start ? -1 : a->start > b->start;
}

struct extent *areas_list_static(const struct maps *maps, const struct modules *modules, size_t *n)
{
	struct extent *v = calloc(areas_count_segments(modules) + 1, sizeof(*v));

	*n = 0;
	for (size_t i = 0; v && i < modules_count(modules); i++) {
		const struct module *m = modules_get(modules, i);
		const Elf64_Phdr *p;
		size_t segments;

		if (!m->file) {
			v[(*n)++] = areas_mapped_module(maps, m);
			continue;
		}
		p = elf_file_segments(m->file, &segments);
		for (size_t k = 0; k < segments; k++) {
			uint64_t start = m->bias + p[k].p_vaddr;
			uint64_t end = start + p[k].p_memsz;

			if (p[k].p_type == PT_LOAD && end > start && end < UINT64_MAX - PAGE_BYTES)
				v[(*n)++] = (struct extent){ start & ~(uint64_t)(PAGE_BYTES - 1),
							     (end + PAGE_BYTES - 1) &
								     ~(uint64_t)(PAGE_BYTES - 1) };
		}
		v[(*n)++] = (struct extent){ m->start, m->end };
	}
	if (v)
		qsort(v, *n, sizeof(*v), extent_compare);
	return v;
}

static int areas_lay_static(struct areas *a, struct areas_layer *l, const struct areas_input *in)
{
	size_t n;
	struct extent *v = areas_list_static(in->maps, in->modules, &n);

	if (!v)
		return ERR_NOMEM;
	layer_add_extents(l, v, n, AREA_STATIC, AREA_NO_THREAD);
	free(v);
	return areas_lay(a, l);
}

/* -- memory that is mapped more than once ----------------------------------------------------- */

struct areas_file {
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	uint32_t area;
	bool shared;
};

static int areas_file_compare(const void *va, const void *vb)
{
	const struct areas_file *a = va, *b = vb;

	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	if (a->dev_major != b->dev_major)
		return a->dev_major < b->dev_major ? -1 : 1;
	if (a->dev_minor != b->dev_minor)
		return a->dev_minor < b->dev_minor ? -1 : 1;
	return a->area < b->area ? -1 : a->area > b->area;
}

static bool areas_file_is_same(const struct areas_file *a, const struct areas_file *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

static uint32_t areas_first(const struct areas *a, uint32_t i)
{
	while (a->v[i].same != i)
		i = a->v[i].same;
	return i;
}

static void areas_unite(struct areas *a, uint32_t i, uint32_t k)
{
	i = areas_first(a, i);
	k = areas_first(a, k);
	a->v[i < k ? k : i].same = i < k ? i : k;
}

static void areas_join_files(struct areas *a, const struct areas_file *f, size_t n)
{
	for (size_t i = 0; i < n;) {
		bool shared = false;
		size_t end = i;

		for (; end < n && areas_file_is_same(&f[i], &f[end]); end++)
			shared |= f[end].shared;
		for (size_t k = i; shared && k < end; k++)
			areas_unite(a, f[i].area, f[k].area);
		i = end;
	}
}

/* Is all between them mapped, and may be of one piece? */
static bool areas_are_one_run(const struct maps *maps, const struct mapping *from,
			      const struct mapping *to)
{
	while (from < to && from + 1 < maps->v + maps->n && mapping_goes_on(from, from + 1))
		from++;
	return from == to;
}

/* What others have taken out of the midst of a run (a thread's stack made of a piece of it) does not
 * part it: the rest is found from either side by offsets. */
static int areas_join(struct areas *a, const struct maps *maps)
{
	struct areas_file *f = calloc(a->n + 1, sizeof(*f));
	const struct mapping *before = NULL;
	size_t n = 0, last = 0;

	if (!f)
		return ERR_NOMEM;
	for (size_t i = 0; i < a->n; i++) {
		const struct mapping *m = maps_find(maps, a->v[i].start);

		a->v[i].same = (uint32_t)i;
		if (a->v[i].kind != AREA_WHOLE || !m)
			continue;
		if (before && areas_are_one_run(maps, before, m))
			areas_unite(a, (uint32_t)last, (uint32_t)i);
		before = m;
		last = i;
		if (m->inode)
			f[n++] = (struct areas_file){ m->inode, m->dev_major, m->dev_minor,
						      (uint32_t)i, m->shared };
	}
	qsort(f, n, sizeof(*f), areas_file_compare);
	areas_join_files(a, f, n);
	for (size_t i = 0; i < a->n; i++)
		a->v[i].same = areas_first(a, (uint32_t)i);
	free(f);
	return 0;
}

int areas_make(const struct areas_input *in, struct areas *out, struct err *e)
{
	struct areas_layer l = { 0 };
	int rc = areas_lay_threads(out, &l, in);

	if (!rc && in->heap) {
		size_t n;
		const struct extent *v = heap_regions(in->heap, &n);

		layer_add_extents(&l, v, n, AREA_BLOCKS, AREA_NO_THREAD);
		rc = areas_lay(out, &l);
	}
	if (!rc)
		rc = areas_lay_static(out, &l, in);
	if (!rc) {
		areas_lay_rest(&l, in);
		rc = areas_lay(out, &l);
	}
	if (!rc)
		rc = areas_join(out, in->maps);
	free(l.v);
	return rc ? err_set(e, rc, "cannot tell the memory of the process apart") : 0;
}

void areas_free(struct areas *a)
{
	free(a->v);
	*a = (struct areas){ 0 };
}

const struct area *areas_find(const struct areas *a, uint64_t address)
{
	size_t low = 0, high = a->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (a->v[mid].end <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low < a->n && a->v[low].start <= address ? &a->v[low] : NULL;
}
