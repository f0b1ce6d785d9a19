/* SPDX-License-Identifier: MIT
 *
 * The memory map of a core: its segments, and the files that the list of mapped files names, cut so
 * that each piece has one of each at most. The kernel writes a segment for every mapping; gcore leaves out
 * those that it need not dump, such as text.
 *
 * Not dumped means: as in the file (a module's own, unchanged), never touched, or kept out of cores. What
 * is read from a file here could not differ: neither the mapping nor the file's segment is writable.
 */
#include <stdlib.h>
#include <string.h>

#include "target/core_private.h"
#include "target/pages_private.h"

#define HEAP_DISTANCE_MAX (UINT64_C(2) << 30) /* from the program's end: 1 GB at random, x86-64 */

size_t core_read_dumped(const struct core *c, uint64_t address, void *buf, size_t bytes)
{
	size_t low = 0, high = c->load_count, done = 0;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (c->loads[mid].end <= address)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < c->load_count && done < bytes; low++) {
		const struct core_load *l = &c->loads[low];
		uint64_t into = address + done - l->start, room;
		size_t n;

		if (address + done < l->start || into >= l->present)
			break;
		room = l->present - into;
		n = room < bytes - done ? (size_t)room : bytes - done;
		if (core_pread(c->fd, l->offset + into, (char *)buf + done, n) != n)
			break;
		done += n;
		if (address + done < l->end)
			break;
	}
	return done;
}

/* -- the map ------------------------------------------------------------------------------------ */

static bool core_is_kernel_shared(const char *path)
{
	static const char *const heads[] = { "/dev/",	    "/memfd:", "/SYSV",
					     "anon_inode:", "/[aio]",  "/dmabuf:" };

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		if (!strncmp(path, heads[i], strlen(heads[i])))
			return true;
	return false;
}

/* May somebody else write to it? The map's own word, "s" or "p", is not in a core. */
static bool core_may_be_shared(const struct core_file *f, const struct mapping *m)
{
	if (!f)
		return false;
	if (core_is_kernel_shared(f->path))
		return true;
	return m->write && !(core_file_flags(f, m->offset) & PF_W);
}

static void core_describe_file(const struct core *c, const struct core_file *f, struct mapping *m,
			       const struct core_load *l)
{
	uint32_t flags = core_file_flags(f, m->offset);

	m->path = f->path;
	m->inode = (uint64_t)(f - c->files) + 1;
	if (l)
		return;
	/* Left out by gcore. Where nothing tells what it is, it may be text. */
	m->read = true;
	m->exec = f->segment_count ? flags & PF_X : f->state != CORE_FILE_DATA;
}

static void core_add_piece(struct core *c, uint64_t start, uint64_t end, const struct core_load *l,
			   const struct core_mapped *from)
{
	struct mapping *m = &c->maps.v[c->maps.n];
	struct core_piece *p = &c->pieces[c->maps.n++];

	*m = (struct mapping){ .start = start, .end = end, .path = "" };
	p->load = l;
	if (l) {
		/* What is neither written nor a file's is made inaccessible, as guards are. */
		m->read = l->read && (from || l->write || l->exec || !l->read_unknown);
		m->write = l->write;
		m->exec = l->exec;
	}
	if (from) {
		p->file = &c->files[from->file];
		m->offset = from->offset + (start - from->start);
		core_describe_file(c, p->file, m, l);
		m->shared = core_may_be_shared(p->file, m);
		p->unchanged = p->file->state == CORE_FILE_FINE && !m->write &&
			       core_file_flags(p->file, m->offset) &&
			       !(core_file_flags(p->file, m->offset) & PF_W);
	}
}

/* Both lists are ascending and free of overlaps; a piece ends where anything begins or ends. */
static void core_cut_pieces(struct core *c)
{
	size_t i = 0, k = 0;
	uint64_t at = 0;

	while (i < c->load_count || k < c->mapped_count) {
		const struct core_load *l = i < c->load_count ? &c->loads[i] : NULL;
		const struct core_mapped *f = k < c->mapped_count ? &c->mapped[k] : NULL;
		uint64_t start, end;

		if (l && l->end <= at) {
			i++;
			continue;
		}
		if (f && f->end <= at) {
			k++;
			continue;
		}
		start = l && (!f || l->start < f->start) ? l->start : f->start;
		if (start < at)
			start = at;
		end = UINT64_MAX;
		if (l)
			end = start < l->start ? l->start : l->end;
		if (f && (start < f->start ? f->start : f->end) < end)
			end = start < f->start ? f->start : f->end;
		core_add_piece(c, start, end, l && start >= l->start ? l : NULL,
			       f && start >= f->start ? f : NULL);
		at = end;
	}
}

/* Names that the kernel gives to mappings without a file, and that a core does not have. */
static void core_name_pieces(struct core *c)
{
	uint64_t program_end = 0;

	for (size_t i = 0; i < c->maps.n; i++) {
		struct mapping *m = &c->maps.v[i];

		if (c->pieces[i].file && c->pieces[i].file->main)
			program_end = m->end;
		if (m->inode)
			continue;
		if (c->vdso && m->start == c->vdso)
			m->path = "[vdso]";
		else if (c->executable_name >= m->start && c->executable_name < m->end)
			m->path = "[stack]";
		/* The first one behind the program that does not touch it, as its zeroed data does. */
		else if (program_end && m->start > program_end && m->write && !m->exec &&
			 m->start - program_end <= HEAP_DISTANCE_MAX) {
			m->path = "[heap]";
			program_end = 0;
		} else if (m->start == program_end) {
			program_end = m->end;
		}
	}
}

int core_make_maps(struct core *c, struct err *e)
{
	size_t room = 2 * (c->load_count + c->mapped_count) + 1;

	c->maps.v = calloc(room, sizeof(*c->maps.v));
	c->pieces = calloc(room, sizeof(*c->pieces));
	if (!c->maps.v || !c->pieces)
		return err_set(e, ERR_NOMEM, "cannot look at '%s'", c->name);
	core_cut_pieces(c);
	core_name_pieces(c);
	return 0;
}

const struct maps *core_maps(const struct core *c)
{
	return &c->maps;
}

/* -- memory ------------------------------------------------------------------------------------- */

/* What one piece has at `address`, which lies in it. */
static size_t core_read_piece(const struct core *c, size_t i, uint64_t address, void *buf,
			      size_t bytes)
{
	const struct mapping *m = &c->maps.v[i];
	const struct core_piece *p = &c->pieces[i];
	size_t done = 0;

	if (bytes > m->end - address)
		bytes = (size_t)(m->end - address);
	if (p->load) {
		uint64_t into = address - p->load->start;

		if (into < p->load->dumped) {
			uint64_t room = into < p->load->present ? p->load->present - into : 0;
			uint64_t dumped = p->load->dumped - into;

			done = core_pread(c->fd, p->load->offset + into, buf,
					  room < bytes ? (size_t)room : bytes);
			if (done == bytes || done < dumped)
				return done;
		}
	}
	if (p->unchanged)
		done += core_pread(p->file->fd, m->offset + (address + done - m->start),
				   (char *)buf + done, bytes - done);
	return done;
}

static size_t core_read(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	const struct core *c = ctx;
	const struct mapping *m = maps_find(&c->maps, address);
	size_t i = m ? (size_t)(m - c->maps.v) : c->maps.n, done = 0;

	for (; i < c->maps.n && done < bytes && c->maps.v[i].start <= address + done; i++) {
		size_t n = core_read_piece(c, i, address + done, (char *)buf + done, bytes - done);

		done += n;
		if (address + done < c->maps.v[i].end)
			break;
	}
	return done;
}

struct memory_source core_source(const struct core *c)
{
	return (struct memory_source){ .read = core_read, .ctx = (void *)c };
}

/* -- pages -------------------------------------------------------------------------------------- */

/* Can it hold pointers of the program's? As with a process: not what the kernel shows or a file says. */
static bool core_holds_pointers(const struct core *c, size_t i)
{
	const struct mapping *m = &c->maps.v[i];
	const struct core_piece *p = &c->pieces[i];

	if (!p->load || p->unchanged || !strcmp(m->path, "[vdso]") ||
	    m->start >= UINT64_C(1) << 56 || !strncmp(m->path, "anon_inode:", 11) ||
	    pages_is_table(m))
		return false;
	return m->write || p->load->dumped;
}

bool core_dumps_anonymous(const struct core *c)
{
	for (size_t i = 0; i < c->maps.n; i++)
		if (!c->pieces[i].file && c->maps.v[i].write && c->pieces[i].load &&
		    c->pieces[i].load->dumped)
			return true;
	return false;
}

bool core_has_gaps(const struct core *c)
{
	for (size_t i = 0; i < c->maps.n; i++)
		if (!c->pieces[i].file && core_holds_pointers(c, i) && !c->pieces[i].load->dumped)
			return true;
	return false;
}

/* A file's mapping that was not dumped whole: could it hold the program's pointers all the same? A file
 * that is mapped for reading only is taken for its content, unless it is mere memory. What gcore leaves out
 * it does not describe: only of the system's own files is it known that they are that. */
static bool core_may_lack(const struct core *c, size_t i)
{
	const struct mapping *m = &c->maps.v[i];
	const struct core_piece *p = &c->pieces[i];

	if (p->unchanged || pages_is_table(m) || !strncmp(m->path, "anon_inode:", 11) ||
	    (p->load && p->load->dumped == p->load->end - p->load->start))
		return false;
	if (pages_is_memory_file(m) || m->write)
		return true;
	return !p->load && p->file->state == CORE_FILE_DATA && strncmp(m->path, "/usr/", 5);
}

/* Why memory that could hold pointers is not in the core; NULL: there is none. */
static const char *core_find_unread(const struct core *c)
{
	if (c->missing)
		return "the core is cut short";
	if (!core_dumps_anonymous(c))
		return "the core lacks private memory";
	for (size_t i = 0; i < c->maps.n; i++) {
		const struct core_load *l = c->pieces[i].load;

		if (c->pieces[i].file && core_may_lack(c, i))
			return "the core lacks mappings of files that may have been written to";
		if (!c->pieces[i].file && core_holds_pointers(c, i) && l->dumped &&
		    l->dumped < l->end - l->start)
			return "the core lacks a part of a mapping";
	}
	return NULL;
}

int core_list_pages(const struct core *c, struct pages *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	out->v = calloc(c->maps.n + 1, sizeof(*out->v));
	if (!out->v)
		return err_set(e, ERR_NOMEM, "cannot look at '%s'", c->name);
	for (size_t i = 0; i < c->maps.n; i++) {
		const struct mapping *m = &c->maps.v[i];
		const struct core_load *l = c->pieces[i].load;
		uint64_t end;

		if (!core_holds_pointers(c, i) || l->start + l->present <= m->start)
			continue;
		end = l->start + l->present < m->end ? l->start + l->present : m->end;
		out->v[out->n++] = (struct extent){ m->start, end };
		out->bytes += end - m->start;
	}
	out->unread = core_find_unread(c);
	return 0;
}
