/* SPDX-License-Identifier: MIT
 *
 * The ELF symbols of one module, sorted by address. All addresses are virtual addresses of the
 * file. Names point into the files the symbols came from, which must outlive the table.
 */
#ifndef STRAND_STACK_SYMBOLS_TABLE_H
#define STRAND_STACK_SYMBOLS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/elf_file.h"

struct symbol {
	uint64_t start;
	uint64_t bytes; /* 0: the file does not say */
	const char *name;
	uint32_t rank; /* of names for one address the lowest is the best */
};

struct symbol_table {
	struct symbol *v; /* by start, then by rank */
	size_t n, room;
	uint64_t *reach; /* reach[i]: highest end of v[0] .. v[i] */
};

enum symbol_class { SYMBOLS_CODE, SYMBOLS_DATA };

/* Add the symbols of one class from `f`: .symtab, or if there is none .dynsym. A code symbol
 * without a size is taken to reach to the next symbol, but not far; among exported symbols only
 * it is left out, for what follows it may have any name. Returns 0 or ERR_NOMEM. */
int symbol_table_add(struct symbol_table *t, const struct elf_file *f, enum symbol_class class);

/* After the last addition. Returns 0 or ERR_NOMEM. */
int symbol_table_sort(struct symbol_table *t, enum symbol_class class);

/* The symbol that covers `vaddr`, or NULL. Symbols without size cover their first byte. */
const struct symbol *symbol_table_find(const struct symbol_table *t, uint64_t vaddr);

void symbol_table_free(struct symbol_table *t);

#endif
