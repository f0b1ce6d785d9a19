/* SPDX-License-Identifier: MIT
 *
 * One ELF file of another process, read through its descriptor.
 *
 * Nothing is mapped: a file that somebody truncates while strand looks would turn any access to
 * a mapping into SIGBUS, whereas pread(2) merely comes back short. Small reads go through a cache
 * of blocks. Every offset and count of the file is checked against its size at the time it was
 * opened; names are returned only if they are terminated inside their table.
 *
 * Only little-endian 64-bit x86-64 files are accepted: programs, libraries, and the relocatable
 * ones that dwz makes. Single-threaded use, also
 * of the functions that take a const pointer: they fill the cache.
 */
#ifndef STRAND_TARGET_ELF_FILE_H
#define STRAND_TARGET_ELF_FILE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file;

/* Takes `fd` over on success; on failure (ERR_BAD_FORMAT, ERR_NOMEM) it stays the caller's. */
int elf_file_open(int fd, struct elf_file **out);
void elf_file_close(struct elf_file *f);

int elf_file_fd(const struct elf_file *f);
const Elf64_Ehdr *elf_file_header(const struct elf_file *f);
const Elf64_Phdr *elf_file_segments(const struct elf_file *f, size_t *n);

/* Section headers; none if the file has lost them. Index 0 is the null section. */
const Elf64_Shdr *elf_file_sections(const struct elf_file *f, size_t *n);
const char *elf_file_section_name(const struct elf_file *f, const Elf64_Shdr *sh);
const Elf64_Shdr *elf_file_find_section(const struct elf_file *f, const char *name);

/* Bytes at `offset` of the file; returns how many could be given. Cached. */
size_t elf_file_read(const struct elf_file *f, uint64_t offset, void *buf, size_t bytes);

/* A malloc'd copy of `bytes` bytes at `offset`, a zero byte behind it; NULL if the file does not
 * hold all of them or they are unreasonably many. Not cached. */
void *elf_file_load(const struct elf_file *f, uint64_t offset, uint64_t bytes);
void *elf_file_load_section(const struct elf_file *f, const Elf64_Shdr *sh);

/* Where the file holds the byte at virtual address `vaddr`, and how many more follow in its
 * segment. False if none of its segments does. */
bool elf_file_locate(const struct elf_file *f, uint64_t vaddr, uint64_t *offset, uint64_t *bytes);

/* A symbol table with its names. */
struct elf_symbols {
	const Elf64_Sym *v;
	size_t n;
	const char *names;
	size_t names_bytes;	  /* names[names_bytes] is 0 */
	const uint16_t *versions; /* NULL: none; bit 15: not the default version */
};

/* .dynsym, found by section header or else by the dynamic segment; loaded once and owned by the
 * file. Empty if there is none. */
const struct elf_symbols *elf_file_dynsym(const struct elf_file *f);

/* The same for .symtab. */
const struct elf_symbols *elf_file_symtab(const struct elf_file *f);

/* The name of symbol `i`, never NULL. */
const char *elf_symbols_name(const struct elf_symbols *s, size_t i);

/* DT_SONAME, malloc'd; NULL if there is none. */
char *elf_file_soname(const struct elf_file *f);

/* The GNU build id into `buf`; returns its length, 0 if there is none (or a longer one). */
size_t elf_file_build_id(const struct elf_file *f, uint8_t *buf, size_t size);

#endif
