/* SPDX-License-Identifier: MIT
 *
 * Copying and decompressing debug sections. The layout of the image: the ELF header, the
 * sections each with its zeros, the section names, the section headers.
 */
#include "stack/dwarf_image.h"

#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_BYTES_MAX (1ull << 30)
#define ZERO_BYTES	256

static const char *const wanted[] = {
	".debug_info",	      ".debug_abbrev", ".debug_line",	  ".debug_line_str", ".debug_str",
	".debug_str_offsets", ".debug_ranges", ".debug_rnglists", ".debug_addr",
};

enum { WANTED = sizeof(wanted) / sizeof(wanted[0]) };

struct piece {
	const void *data;
	size_t bytes;
	void *owned;
};

struct pieces {
	struct piece v[WANTED];
	Elf *elf; /* owns what was decompressed */
	uint64_t bytes;
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

/* False if a section cannot be read or there is no DWARF at all. */
static bool load_pieces(struct pieces *p, const struct elf_file *f)
{
	size_t n;
	const Elf64_Shdr *sh = elf_file_sections(f, &n);

	for (size_t i = 1; i < n; i++) {
		const char *name = elf_file_section_name(f, &sh[i]);

		if (sh[i].sh_type == SHT_NOBITS)
			continue;
		for (size_t w = 0; w < WANTED; w++)
			if (!strcmp(name, wanted[w]) && !p->v[w].data &&
			    !load_piece(p, f, &sh[i], i, &p->v[w]))
				return false;
	}
	return p->v[0].data && p->v[1].data;
}

static void free_pieces(struct pieces *p)
{
	for (size_t i = 0; i < WANTED; i++)
		free(p->v[i].owned);
	elf_end(p->elf);
}

static size_t piece_room(const struct piece *p)
{
	return (p->bytes + ZERO_BYTES + 15) & ~(size_t)15;
}

/* Write the headers around the sections that lie from `at` on. */
static void write_headers(char *image, const struct pieces *p, size_t names_at)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)image;
	size_t at = sizeof(*h), table_at, name = 1;
	Elf64_Shdr *sh;

	for (size_t i = 0; i < WANTED; i++)
		name += strlen(wanted[i]) + 1;
	table_at = (names_at + name + 15) & ~(size_t)15;
	memcpy(h->e_ident, ELFMAG, SELFMAG);
	h->e_ident[EI_CLASS] = ELFCLASS64;
	h->e_ident[EI_DATA] = ELFDATA2LSB;
	h->e_ident[EI_VERSION] = EV_CURRENT;
	h->e_type = ET_DYN;
	h->e_machine = EM_X86_64;
	h->e_version = EV_CURRENT;
	h->e_ehsize = sizeof(*h);
	h->e_shoff = table_at;
	h->e_shentsize = sizeof(*sh);
	h->e_shnum = WANTED + 2;
	h->e_shstrndx = WANTED + 1;
	sh = (Elf64_Shdr *)(image + table_at);
	sh[h->e_shstrndx] = (Elf64_Shdr){
		.sh_type = SHT_STRTAB, .sh_offset = names_at, .sh_size = name, .sh_addralign = 1
	};
	name = 1;
	for (size_t i = 0; i < WANTED; i++) {
		sh[i + 1] = (Elf64_Shdr){ .sh_name = (Elf64_Word)name,
					  .sh_type = p->v[i].data ? SHT_PROGBITS : SHT_NULL,
					  .sh_offset = at,
					  .sh_size = p->v[i].bytes,
					  .sh_addralign = 1 };
		strcpy(image + names_at + name, wanted[i]);
		name += strlen(wanted[i]) + 1;
		at += piece_room(&p->v[i]);
	}
}

char *dwarf_image_make(const struct elf_file *f, size_t *bytes)
{
	struct pieces p = { 0 };
	size_t at = sizeof(Elf64_Ehdr);
	char *image = NULL;

	if (!load_pieces(&p, f))
		goto out;
	for (size_t i = 0; i < WANTED; i++)
		at += piece_room(&p.v[i]);
	*bytes = at + 512 + (WANTED + 2) * sizeof(Elf64_Shdr);
	image = calloc(1, *bytes);
	if (!image)
		goto out;
	write_headers(image, &p, at);
	at = sizeof(Elf64_Ehdr);
	for (size_t i = 0; i < WANTED; i++) {
		if (p.v[i].data)
			memcpy(image + at, p.v[i].data, p.v[i].bytes);
		at += piece_room(&p.v[i]);
	}
out:
	free_pieces(&p);
	return image;
}
