/* SPDX-License-Identifier: MIT
 *
 * What the tables of an ELF file say: symbols, soname, build id.
 *
 * Section headers are believed first; a file without them (the vdso's copy, some stripped
 * programs) still has the dynamic segment, where the number of symbols must be worked out from
 * one of the hash tables.
 */
#include "target/elf_file.h"
#include "target/elf_private.h"

#include <stdlib.h>
#include <string.h>

#define NOTE_BYTES_MAX	  (1u << 20)
#define DYNAMIC_BYTES_MAX (1u << 20)

void elf_tables_free(struct elf_tables *t)
{
	free((void *)t->dynsym.v);
	free((void *)t->dynsym.names);
	free((void *)t->dynsym.versions);
	free((void *)t->symtab.v);
	free((void *)t->symtab.names);
}

const char *elf_symbols_name(const struct elf_symbols *s, size_t i)
{
	uint32_t at = s->v[i].st_name;

	return at < s->names_bytes ? s->names + at : "";
}

/* The section of type `type` and the string table that it names. */
static bool symbols_from_sections(const struct elf_file *f, uint32_t type, struct elf_symbols *out)
{
	const Elf64_Shdr *sh, *str;

	for (size_t i = 1; i < f->section_count; i++) {
		sh = &f->sections[i];
		if (sh->sh_type != type || sh->sh_link >= f->section_count)
			continue;
		str = &f->sections[sh->sh_link];
		out->v = elf_file_load_section(f, sh);
		out->names = elf_file_load_section(f, str);
		if (out->v && out->names) {
			out->n = sh->sh_size / sizeof(Elf64_Sym);
			out->names_bytes = str->sh_size;
			return true;
		}
		free((void *)out->v);
		free((void *)out->names);
		memset(out, 0, sizeof(*out));
	}
	return false;
}

static void versions_from_sections(const struct elf_file *f, struct elf_symbols *s)
{
	for (size_t i = 1; i < f->section_count; i++) {
		const Elf64_Shdr *sh = &f->sections[i];

		if (sh->sh_type != SHT_GNU_versym || sh->sh_size / 2 < s->n)
			continue;
		s->versions = elf_file_load_section(f, sh);
		return;
	}
}

/* The dynamic segment as a malloc'd array that ends with a DT_NULL; NULL if there is none. */
static Elf64_Dyn *load_dynamic(const struct elf_file *f)
{
	const Elf64_Phdr *p;
	Elf64_Dyn *d;
	uint64_t bytes;
	size_t n;

	for (size_t i = 0; i < f->segment_count; i++) {
		p = &f->segments[i];
		if (p->p_type != PT_DYNAMIC)
			continue;
		bytes = p->p_filesz < DYNAMIC_BYTES_MAX ? p->p_filesz : DYNAMIC_BYTES_MAX;
		n = bytes / sizeof(*d);
		d = calloc(n + 1, sizeof(*d));
		if (d)
			elf_file_read(f, p->p_offset, d, n * sizeof(*d));
		return d;
	}
	return NULL;
}

static bool dynamic_value(const Elf64_Dyn *d, int64_t tag, uint64_t *out)
{
	for (; d->d_tag != DT_NULL; d++) {
		if (d->d_tag != tag)
			continue;
		*out = d->d_un.d_val;
		return true;
	}
	return false;
}

/* A malloc'd copy of `bytes` bytes at a virtual address. */
static void *load_at(const struct elf_file *f, uint64_t vaddr, uint64_t bytes)
{
	uint64_t offset, room;

	if (!elf_file_locate(f, vaddr, &offset, &room) || room < bytes)
		return NULL;
	return elf_file_load(f, offset, bytes);
}

static bool read_u32_at(const struct elf_file *f, uint64_t vaddr, uint32_t *out)
{
	uint64_t offset, room;

	return elf_file_locate(f, vaddr, &offset, &room) && room >= sizeof(*out) &&
	       elf_file_read(f, offset, out, sizeof(*out)) == sizeof(*out);
}

/* DT_GNU_HASH has no count: the highest bucket's chain ends with the last symbol. */
static size_t count_by_gnu_hash(const struct elf_file *f, uint64_t hash)
{
	uint32_t head[4], *buckets, last = 0, value;
	uint64_t at, chains;

	for (size_t i = 0; i < 4; i++)
		if (!read_u32_at(f, hash + 4 * i, &head[i]))
			return 0;
	at = hash + 16 + 8ull * head[2];
	buckets = load_at(f, at, 4ull * head[0]);
	if (!buckets)
		return 0;
	for (size_t i = 0; i < head[0]; i++)
		if (buckets[i] > last)
			last = buckets[i];
	free(buckets);
	if (last < head[1])
		return head[1];
	chains = at + 4ull * head[0];
	while (read_u32_at(f, chains + 4ull * (last - head[1]), &value)) {
		last++;
		if (value & 1)
			return last;
	}
	return 0;
}

static size_t count_dynamic_symbols(const struct elf_file *f, const Elf64_Dyn *d)
{
	uint64_t hash;
	uint32_t n;

	if (dynamic_value(d, DT_HASH, &hash) && read_u32_at(f, hash + 4, &n))
		return n;
	if (dynamic_value(d, DT_GNU_HASH, &hash))
		return count_by_gnu_hash(f, hash);
	return 0;
}

static void symbols_from_dynamic(const struct elf_file *f, struct elf_symbols *out)
{
	Elf64_Dyn *d = load_dynamic(f);
	uint64_t symbols, names, bytes, versions;
	size_t n;

	if (!d)
		return;
	if (!dynamic_value(d, DT_SYMTAB, &symbols) || !dynamic_value(d, DT_STRTAB, &names) ||
	    !dynamic_value(d, DT_STRSZ, &bytes))
		goto out;
	n = count_dynamic_symbols(f, d);
	out->v = load_at(f, symbols, (uint64_t)n * sizeof(Elf64_Sym));
	out->names = load_at(f, names, bytes);
	if (!n || !out->v || !out->names) {
		free((void *)out->v);
		free((void *)out->names);
		memset(out, 0, sizeof(*out));
		goto out;
	}
	out->n = n;
	out->names_bytes = bytes;
	if (dynamic_value(d, DT_VERSYM, &versions))
		out->versions = load_at(f, versions, 2ull * n);
out:
	free(d);
}

const struct elf_symbols *elf_file_dynsym(const struct elf_file *f)
{
	struct elf_tables *t = &f->cache->tables;

	if (t->dynsym_loaded)
		return &t->dynsym;
	t->dynsym_loaded = true;
	if (symbols_from_sections(f, SHT_DYNSYM, &t->dynsym))
		versions_from_sections(f, &t->dynsym);
	else
		symbols_from_dynamic(f, &t->dynsym);
	return &t->dynsym;
}

const struct elf_symbols *elf_file_symtab(const struct elf_file *f)
{
	struct elf_tables *t = &f->cache->tables;

	if (!t->symtab_loaded)
		symbols_from_sections(f, SHT_SYMTAB, &t->symtab);
	t->symtab_loaded = true;
	return &t->symtab;
}

char *elf_file_soname(const struct elf_file *f)
{
	Elf64_Dyn *d = load_dynamic(f);
	uint64_t name, names, bytes;
	char *all = NULL, *soname = NULL;

	if (!d)
		return NULL;
	if (dynamic_value(d, DT_SONAME, &name) && dynamic_value(d, DT_STRTAB, &names) &&
	    dynamic_value(d, DT_STRSZ, &bytes) && name < bytes)
		all = load_at(f, names, bytes);
	if (all && all[name])
		soname = strdup(all + name);
	free(all);
	free(d);
	return soname;
}

/* Walk the notes in `n`; true if the build id was among them. */
static bool find_build_id(const unsigned char *n, size_t bytes, size_t align, uint8_t *buf,
			  size_t size, size_t *got)
{
	Elf64_Nhdr h;
	size_t name, desc;

	while (bytes >= sizeof(h)) {
		memcpy(&h, n, sizeof(h));
		n += sizeof(h);
		bytes -= sizeof(h);
		name = ((size_t)h.n_namesz + align - 1) & ~(align - 1);
		desc = ((size_t)h.n_descsz + align - 1) & ~(align - 1);
		if (name > bytes || h.n_descsz > bytes - name)
			return false;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && !memcmp(n, "GNU", 4) &&
		    h.n_descsz && h.n_descsz <= size) {
			memcpy(buf, n + name, h.n_descsz);
			*got = h.n_descsz;
			return true;
		}
		if (desc > bytes - name)
			return false;
		n += name + desc;
		bytes -= name + desc;
	}
	return false;
}

static size_t load_build_id(const struct elf_file *f, uint64_t offset, uint64_t bytes,
			    uint64_t align, uint8_t *buf, size_t size)
{
	unsigned char *notes = bytes <= NOTE_BYTES_MAX ? elf_file_load(f, offset, bytes) : NULL;
	size_t got = 0;

	if (notes)
		find_build_id(notes, bytes, align == 8 ? 8 : 4, buf, size, &got);
	free(notes);
	return got;
}

size_t elf_file_build_id(const struct elf_file *f, uint8_t *buf, size_t size)
{
	size_t got = 0;

	for (size_t i = 0; i < f->segment_count && !got; i++) {
		const Elf64_Phdr *p = &f->segments[i];

		if (p->p_type == PT_NOTE)
			got = load_build_id(f, p->p_offset, p->p_filesz, p->p_align, buf, size);
	}
	for (size_t i = 1; i < f->section_count && !got; i++) {
		const Elf64_Shdr *sh = &f->sections[i];

		if (sh->sh_type == SHT_NOTE)
			got = load_build_id(f, sh->sh_offset, sh->sh_size, sh->sh_addralign, buf,
					    size);
	}
	return got;
}
