/* SPDX-License-Identifier: MIT
 *
 * Headers, segments, sections and bytes of an ELF file, by pread(2) only. Symbol tables and the
 * dynamic segment are in elf_tables.c.
 *
 * Sums of untrusted numbers are never formed: ranges are compared as "offset fits, and the rest
 * fits behind it".
 */
#include "target/elf_file.h"
#include "target/elf_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"

static size_t file_pread(int fd, uint64_t offset, void *buf, size_t bytes)
{
	size_t done = 0;
	ssize_t n;

	while (done < bytes) {
		n = pread(fd, (char *)buf + done, bytes - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static bool file_holds(const struct elf_file *f, uint64_t offset, uint64_t bytes)
{
	return offset <= f->bytes && bytes <= f->bytes - offset;
}

void *elf_file_load(const struct elf_file *f, uint64_t offset, uint64_t bytes)
{
	char *p;

	if (bytes > ELF_LOAD_MAX || !file_holds(f, offset, bytes))
		return NULL;
	p = malloc(bytes + 1);
	if (!p)
		return NULL;
	if (file_pread(f->fd, offset, p, bytes) != bytes) {
		free(p);
		return NULL;
	}
	p[bytes] = 0;
	return p;
}

void *elf_file_load_section(const struct elf_file *f, const Elf64_Shdr *sh)
{
	if (sh->sh_type == SHT_NOBITS || sh->sh_flags & SHF_COMPRESSED)
		return NULL;
	return elf_file_load(f, sh->sh_offset, sh->sh_size);
}

/* The cached block number `i`, read if need be; NULL if it cannot be had. */
static struct elf_block *file_block(struct elf_cache *c, int fd, size_t i)
{
	struct elf_block *b = c->blocks[i];

	if (b)
		return b;
	b = malloc(sizeof(*b));
	if (!b)
		return NULL;
	b->got = file_pread(fd, (uint64_t)i * ELF_BLOCK_BYTES, b->data, ELF_BLOCK_BYTES);
	c->blocks[i] = b;
	return b;
}

size_t elf_file_read(const struct elf_file *f, uint64_t offset, void *buf, size_t bytes)
{
	size_t done = 0, at, n;
	struct elf_block *b;

	if (offset >= f->bytes)
		return 0;
	if (bytes > f->bytes - offset)
		bytes = f->bytes - offset;
	if (!f->cache->blocks)
		return file_pread(f->fd, offset, buf, bytes);
	while (done < bytes) {
		b = file_block(f->cache, f->fd, (offset + done) / ELF_BLOCK_BYTES);
		at = (offset + done) % ELF_BLOCK_BYTES;
		if (!b || at >= b->got)
			break;
		n = b->got - at < bytes - done ? b->got - at : bytes - done;
		memcpy((char *)buf + done, b->data + at, n);
		done += n;
	}
	return done;
}

static bool header_is_ours(const Elf64_Ehdr *h)
{
	return !memcmp(h->e_ident, ELFMAG, SELFMAG) && h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_machine == EM_X86_64 &&
	       (h->e_type == ET_EXEC || h->e_type == ET_DYN || h->e_type == ET_REL);
}

static void file_load_segments(struct elf_file *f)
{
	const Elf64_Ehdr *h = &f->header;

	if (!h->e_phnum || h->e_phentsize != sizeof(Elf64_Phdr))
		return;
	f->segments = elf_file_load(f, h->e_phoff, (uint64_t)h->e_phnum * sizeof(Elf64_Phdr));
	if (f->segments)
		f->segment_count = h->e_phnum;
}

/* Files with very many sections keep the counts in section 0. */
static void file_load_sections(struct elf_file *f)
{
	const Elf64_Ehdr *h = &f->header;
	uint64_t n = h->e_shnum, names = h->e_shstrndx;
	Elf64_Shdr first;

	if (!h->e_shoff || h->e_shentsize != sizeof(Elf64_Shdr) ||
	    !file_holds(f, h->e_shoff, sizeof(first)) ||
	    file_pread(f->fd, h->e_shoff, &first, sizeof(first)) != sizeof(first))
		return;
	if (!n)
		n = first.sh_size;
	if (names == SHN_XINDEX)
		names = first.sh_link;
	if (n > ELF_LOAD_MAX / sizeof(Elf64_Shdr))
		return;
	f->sections = elf_file_load(f, h->e_shoff, n * sizeof(Elf64_Shdr));
	if (!f->sections)
		return;
	f->section_count = n;
	if (names < n)
		f->section_names = elf_file_load_section(f, &f->sections[names]);
	if (f->section_names)
		f->section_names_bytes = f->sections[names].sh_size;
}

int elf_file_open(int fd, struct elf_file **out)
{
	struct elf_file *f;
	struct stat st;
	uint64_t blocks;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(Elf64_Ehdr))
		return ERR_BAD_FORMAT;
	f = calloc(1, sizeof(*f));
	if (!f)
		return ERR_NOMEM;
	f->fd = -1;
	f->bytes = (uint64_t)st.st_size;
	if (file_pread(fd, 0, &f->header, sizeof(f->header)) != sizeof(f->header) ||
	    !header_is_ours(&f->header)) {
		elf_file_close(f);
		return ERR_BAD_FORMAT;
	}
	blocks = (f->bytes + ELF_BLOCK_BYTES - 1) / ELF_BLOCK_BYTES;
	f->cache = calloc(1, sizeof(*f->cache));
	if (f->cache && blocks <= ELF_BLOCKS_MAX) {
		f->cache->blocks = calloc(blocks, sizeof(*f->cache->blocks));
		f->cache->count = blocks;
	}
	if (!f->cache || (blocks <= ELF_BLOCKS_MAX && !f->cache->blocks)) {
		elf_file_close(f);
		return ERR_NOMEM;
	}
	f->fd = fd;
	file_load_segments(f);
	file_load_sections(f);
	*out = f;
	return 0;
}

void elf_file_close(struct elf_file *f)
{
	if (!f)
		return;
	if (f->cache) {
		for (size_t i = 0; f->cache->blocks && i < f->cache->count; i++)
			free(f->cache->blocks[i]);
		free(f->cache->blocks);
		elf_tables_free(&f->cache->tables);
	}
	free(f->cache);
	free(f->segments);
	free(f->sections);
	free(f->section_names);
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

int elf_file_fd(const struct elf_file *f)
{
	return f->fd;
}

const Elf64_Ehdr *elf_file_header(const struct elf_file *f)
{
	return &f->header;
}

const Elf64_Phdr *elf_file_segments(const struct elf_file *f, size_t *n)
{
	*n = f->segment_count;
	return f->segments;
}

const Elf64_Shdr *elf_file_sections(const struct elf_file *f, size_t *n)
{
	*n = f->section_count;
	return f->sections;
}

const char *elf_file_section_name(const struct elf_file *f, const Elf64_Shdr *sh)
{
	return sh->sh_name < f->section_names_bytes ? f->section_names + sh->sh_name : "";
}

const Elf64_Shdr *elf_file_find_section(const struct elf_file *f, const char *name)
{
	for (size_t i = 1; i < f->section_count; i++)
		if (!strcmp(elf_file_section_name(f, &f->sections[i]), name))
			return &f->sections[i];
	return NULL;
}

bool elf_file_locate(const struct elf_file *f, uint64_t vaddr, uint64_t *offset, uint64_t *bytes)
{
	const Elf64_Phdr *p;
	uint64_t into, room;

	for (size_t i = 0; i < f->segment_count; i++) {
		p = &f->segments[i];
		if (p->p_type != PT_LOAD || vaddr < p->p_vaddr)
			continue;
		into = vaddr - p->p_vaddr;
		if (into >= p->p_filesz || p->p_offset >= f->bytes ||
		    into >= f->bytes - p->p_offset)
			continue;
		room = f->bytes - p->p_offset;
		*offset = p->p_offset + into;
		*bytes = (p->p_filesz < room ? p->p_filesz : room) - into;
		return true;
	}
	return false;
}
