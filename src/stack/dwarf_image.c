/* SPDX-License-Identifier: MIT
 *
 * Copying and decompressing sections. The layout of the image: the ELF header, the program
 * headers, the sections each with its zeros, the section names, the section headers.
 */
#include "stack/dwarf_image.h"

#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_BYTES_MAX (1ull << 30)
#define ZERO_BYTES	256

struct piece {
	const void *data;
	size_t bytes;
	void *owned;
};

struct pieces {
	const char *const *names;
	size_t n;
	struct piece v[DWARF_IMAGE_SECTIONS];
	Elf *elf; /* owns what was decompressed */
	uint64_t bytes;
	const Elf64_Phdr *segments;
	size_t segment_count;
};

/* How large section `sh` is when it is decompressed. */
static uint64_t full_bytes(const struct elf_file *f, const Elf64_Shdr *sh)
{
	Elf64_Chdr head;

	if (!(sh->sh_flags & SHF_COMPRESSED))
		return sh->sh_size;
	if (sh->sh_size < sizeof(head) ||
	    elf_file_read(f, sh->sh_offset, &head, sizeof(head)) != sizeof(head))
		return UINT64_MAX;
	return head.ch_size;
}

static bool load_compressed(struct pieces *p, const struct elf_file *f, size_t index,
			    struct piece *out)
{
	Elf_Data *data;
	Elf_Scn *scn;

	if (!p->elf) {
		elf_version(EV_CURRENT);
		p->elf = elf_begin(elf_file_fd(f), ELF_C_READ, NULL);
	}
	scn = p->elf ? elf_getscn(p->elf, index) : NULL;
	if (!scn || elf_compress(scn, 0, 0) < 0)
		return false;
	data = elf_rawdata(scn, NULL);
	if (!data || !data->d_buf)
		return false;
	out->data = data->d_buf;
	out->bytes = data->d_size;
	return true;
}

static bool load_piece(struct pieces *p, const struct elf_file *f, const Elf64_Shdr *sh,
		       size_t index, struct piece *out)
{
	uint64_t bytes = full_bytes(f, sh);

	if (bytes > IMAGE_BYTES_MAX - p->bytes)
		return false;
	p->bytes += bytes;
	if (sh->sh_flags & SHF_COMPRESSED)
		return load_compressed(p, f, index, out);
	out->owned = elf_file_load_section(f, sh);
	out->data = out->owned;
	out->bytes = sh->sh_size;
	return out->owned;
}

/* False if a section cannot be read or one that is needed is not there. */
static bool load_pieces(struct pieces *p, const struct elf_file *f, size_t needed)
{
	size_t n;
	const Elf64_Shdr *sh = elf_file_sections(f, &n);

	for (size_t i = 1; i < n; i++) {
		const char *name = elf_file_section_name(f, &sh[i]);

		if (sh[i].sh_type == SHT_NOBITS)
			continue;
		for (size_t w = 0; w < p->n; w++)
			if (!strcmp(name, p->names[w]) && !p->v[w].data &&
			    !load_piece(p, f, &sh[i], i, &p->v[w]))
				return false;
	}
	for (size_t w = 0; w < needed; w++)
		if (!p->v[w].data)
			return false;
	return true;
}

static void free_pieces(struct pieces *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].owned);
	elf_end(p->elf);
}

/* Where things are: the program headers at the beginning, then the sections, names, headers. */
struct layout {
	size_t sections, names, table, end;
};

static size_t align_up(size_t n)
{
	return (n + 15) & ~(size_t)15;
}

static size_t piece_room(const struct piece *p)
{
	return align_up(p->bytes + ZERO_BYTES);
}

static void lay_out(const struct pieces *p, struct layout *l)
{
	size_t at = sizeof(Elf64_Ehdr) + p->segment_count * sizeof(Elf64_Phdr);

	l->sections = align_up(at);
	l->names = l->sections;
	l->table = 1;
	for (size_t i = 0; i < p->n; i++) {
		l->names += piece_room(&p->v[i]);
		l->table += strlen(p->names[i]) + 1;
	}
	l->table = align_up(l->names + l->table);
	l->end = l->table + (p->n + 2) * sizeof(Elf64_Shdr);
}

static void write_headers(char *image, const struct pieces *p, const struct layout *l)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)image;
	Elf64_Shdr *names;

	memcpy(h->e_ident, ELFMAG, SELFMAG);
	h->e_ident[EI_CLASS] = ELFCLASS64;
	h->e_ident[EI_DATA] = ELFDATA2LSB;
	h->e_ident[EI_VERSION] = EV_CURRENT;
	h->e_type = ET_DYN;
	h->e_machine = EM_X86_64;
	h->e_version = EV_CURRENT;
	h->e_ehsize = sizeof(*h);
	h->e_phoff = p->segment_count ? sizeof(*h) : 0;
	h->e_phentsize = sizeof(Elf64_Phdr);
	h->e_phnum = (Elf64_Half)p->segment_count;
	h->e_shoff = l->table;
	h->e_shentsize = sizeof(Elf64_Shdr);
	h->e_shnum = (Elf64_Half)(p->n + 2);
	h->e_shstrndx = (Elf64_Half)(p->n + 1);
	if (p->segment_count)
		memcpy(image + sizeof(*h), p->segments, p->segment_count * sizeof(Elf64_Phdr));
	names = (Elf64_Shdr *)(image + l->table) + h->e_shstrndx;
	names->sh_type = SHT_STRTAB;
	names->sh_offset = l->names;
	names->sh_size = l->table - l->names;
	names->sh_addralign = 1;
}

static void write_sections(char *image, const struct pieces *p, const struct layout *l)
{
	Elf64_Shdr *sh = (Elf64_Shdr *)(image + l->table) + 1;
	size_t at = l->sections, name = 1;

	for (size_t i = 0; i < p->n; i++, sh++) {
		sh->sh_name = (Elf64_Word)name;
		sh->sh_type = p->v[i].data ? SHT_PROGBITS : SHT_NULL;
		sh->sh_offset = at;
		sh->sh_size = p->v[i].bytes;
		sh->sh_addralign = 1;
		if (p->v[i].bytes)
			memcpy(image + at, p->v[i].data, p->v[i].bytes);
		strcpy(image + l->names + name, p->names[i]);
		name += strlen(p->names[i]) + 1;
		at += piece_room(&p->v[i]);
	}
}

char *dwarf_image_make(const struct elf_file *f, const char *const *names, size_t n, size_t needed,
		       size_t *bytes)
{
	struct pieces p = { .names = names, .n = n };
	char *image = NULL;
	struct layout l;

	p.segments = elf_file_segments(f, &p.segment_count);
	if (n > DWARF_IMAGE_SECTIONS || !load_pieces(&p, f, needed))
		goto out;
	lay_out(&p, &l);
	image = calloc(1, l.end);
	if (!image)
		goto out;
	write_headers(image, &p, &l);
	write_sections(image, &p, &l);
	*bytes = l.end;
out:
	free_pieces(&p);
	return image;
}

const void *dwarf_image_section(const char *image, size_t i, size_t *bytes)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)image;
	const Elf64_Shdr *sh = (const Elf64_Shdr *)(image + h->e_shoff) + i + 1;

	*bytes = sh->sh_size;
	return image + sh->sh_offset;
}
