/* SPDX-License-Identifier: MIT
 *
 * The inside of struct elf_file, shared by elf_file.c and elf_tables.c only.
 *
 * What is filled in lazily hangs off the cache pointer, so that a const struct elf_file stays
 * const to its users.
 */
#ifndef STRAND_TARGET_ELF_PRIVATE_H
#define STRAND_TARGET_ELF_PRIVATE_H

#include "target/elf_file.h"

#define ELF_BLOCK_BYTES 16384
#define ELF_BLOCKS_MAX	(1u << 20)   /* files above 16 GiB are read without a cache */
#define ELF_LOAD_MAX	(1ull << 30) /* no table of a sane file is larger */

struct elf_block {
	size_t got;
	unsigned char data[ELF_BLOCK_BYTES];
};

struct elf_tables {
	bool dynsym_loaded, symtab_loaded;
	struct elf_symbols dynsym, symtab;
};

struct elf_cache {
	struct elf_block **blocks; /* NULL: no cache */
	size_t count;
	struct elf_tables tables;
};

struct elf_file {
	int fd;
	uint64_t bytes; /* of the file, when it was opened */
	Elf64_Ehdr header;
	Elf64_Phdr *segments;
	size_t segment_count;
	Elf64_Shdr *sections;
	size_t section_count;
	char *section_names;
	size_t section_names_bytes;
	struct elf_cache *cache;
};

void elf_tables_free(struct elf_tables *t);

#endif
