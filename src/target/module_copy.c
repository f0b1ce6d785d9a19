/* SPDX-License-Identifier: MIT
 *
 * A file that is gone (the library was rebuilt while the program hung) can still be had, for the
 * most part, from the memory of the process: its loaded segments, put back where the file had
 * them. That is enough to unwind and for exported names.
 *
 * glibc's loader turns the pointers of the dynamic segment into run-time addresses; they are
 * turned back.
 */
#include "target/memory.h"
#include "target/module_open.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define COPY_BYTES_MAX	    (256ull << 20)
#define COPY_CHUNK_BYTES    (1u << 20)
#define COPY_SEGMENTS_MAX   64
#define DYNAMIC_ENTRIES_MAX 1024

struct copy {
	pid_t pid;
	int fd;
	uint64_t bias;
	Elf64_Ehdr header;
	Elf64_Phdr segments[COPY_SEGMENTS_MAX];
};

/* The mapping that holds the ELF header of the copy that `own` belongs to. */
static const struct mapping *find_head(const struct maps *maps, const struct mapping *own)
{
	for (const struct mapping *map = own; map >= maps->v; map--)
		if (!map->offset && module_same_file(map, own))
			return map;
	return NULL;
}

static bool read_headers(struct copy *c, const struct mapping *head)
{
	const Elf64_Ehdr *h = &c->header;
	size_t bytes;

	if (memory_read(c->pid, head->start, &c->header, sizeof(c->header)) != sizeof(c->header) ||
	    memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum > COPY_SEGMENTS_MAX)
		return false;
	bytes = h->e_phnum * sizeof(Elf64_Phdr);
	if (h->e_phoff > head->end - head->start ||
	    memory_read(c->pid, head->start + h->e_phoff, c->segments, bytes) != bytes)
		return false;
	for (int i = 0; i < h->e_phnum; i++) {
		if (c->segments[i].p_type != PT_LOAD || c->segments[i].p_offset >= 4096)
			continue;
		c->bias = head->start - (c->segments[i].p_vaddr - c->segments[i].p_offset);
		return true;
	}
	return false;
}

static bool copy_range(struct copy *c, uint64_t address, uint64_t offset, uint64_t bytes)
{
	char *chunk = malloc(COPY_CHUNK_BYTES);
	bool fine = chunk != NULL;
	size_t n, got;

	for (uint64_t at = 0; fine && at < bytes; at += n) {
		n = bytes - at < COPY_CHUNK_BYTES ? bytes - at : COPY_CHUNK_BYTES;
		got = memory_read(c->pid, address + at, chunk, n);
		fine = pwrite(c->fd, chunk, got, (off_t)(offset + at)) == (ssize_t)got;
	}
	free(chunk);
	return fine;
}

static bool copy_segments(struct copy *c)
{
	uint64_t total = 0;

	for (int i = 0; i < c->header.e_phnum; i++) {
		const Elf64_Phdr *p = &c->segments[i];

		if (p->p_type != PT_LOAD)
			continue;
		if (p->p_filesz > COPY_BYTES_MAX - total || p->p_offset > COPY_BYTES_MAX)
			return false;
		total += p->p_filesz;
		if (!copy_range(c, p->p_vaddr + c->bias, p->p_offset, p->p_filesz))
			return false;
	}
	return true;
}

static bool is_pointer_tag(int64_t tag)
{
	switch (tag) {
	case DT_PLTGOT:
	case DT_HASH:
	case DT_GNU_HASH:
	case DT_STRTAB:
	case DT_SYMTAB:
	case DT_RELA:
	case DT_JMPREL:
	case DT_VERSYM:
	case DT_VERDEF:
	case DT_VERNEED:
		return true;
	default:
		return false;
	}
}

static void restore_dynamic(struct copy *c, const Elf64_Phdr *p)
{
	Elf64_Dyn d;

	for (size_t i = 0; i < DYNAMIC_ENTRIES_MAX && (i + 1) * sizeof(d) <= p->p_filesz; i++) {
		off_t at = (off_t)(p->p_offset + i * sizeof(d));

		if (pread(c->fd, &d, sizeof(d), at) != sizeof(d) || d.d_tag == DT_NULL)
			return;
		if (!is_pointer_tag(d.d_tag) || !c->bias || d.d_un.d_ptr < c->bias)
			continue;
		d.d_un.d_ptr -= c->bias;
		if (pwrite(c->fd, &d, sizeof(d), at) != sizeof(d))
			return;
	}
}

int module_copy_file(pid_t pid, const struct maps *maps, const struct mapping *map)
{
	struct copy c = { .pid = pid, .fd = -1 };
	const struct mapping *head = find_head(maps, map);

	if (!head || !read_headers(&c, head))
		return -1;
	c.fd = memfd_create("strand-module", MFD_CLOEXEC);
	if (c.fd < 0)
		return -1;
	if (!copy_segments(&c)) {
		close(c.fd);
		return -1;
	}
	for (int i = 0; i < c.header.e_phnum; i++)
		if (c.segments[i].p_type == PT_DYNAMIC && c.segments[i].p_offset < COPY_BYTES_MAX)
			restore_dynamic(&c, &c.segments[i]);
	return c.fd;
}
