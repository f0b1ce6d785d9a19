/* SPDX-License-Identifier: MIT
 *
 * Symbols of loaded objects. The rules are those of the dynamic linker's own look-up: which of
 * several symbols of one name is meant depends on the version table beside the symbol table.
 */
#include "image.h"

#include <stddef.h>

#define VERSION_HIDDEN 0x8000 /* found only by who asks for this version */
#define VERSION_GLOBAL 1      /* no version at all */

/* In memory the addresses are relocated already, in the vDSO and read-only sections they are not. An
 * object that lies below where it was linked has a negative bias. */
static const void *at(uintptr_t bias, uintptr_t address)
{
	return (const void *)((intptr_t)bias > 0 && address < bias ? address + bias : address);
}

bool image_read(struct image *i, uintptr_t bias, const ElfW(Dyn) * d)
{
	*i = (struct image){ .bias = bias };
	for (; d && d->d_tag != DT_NULL; d++) {
		const void *p = at(bias, d->d_un.d_ptr);

		if (d->d_tag == DT_SYMTAB)
			i->symbols = p;
		else if (d->d_tag == DT_STRTAB)
			i->strings = p;
		else if (d->d_tag == DT_HASH)
			i->hash = p;
		else if (d->d_tag == DT_GNU_HASH)
			i->gnu_hash = p;
		else if (d->d_tag == DT_VERSYM)
			i->versions = p;
		else if (d->d_tag == DT_VERDEF)
			i->definitions = p;
	}
	return i->symbols && i->strings && (i->hash || i->gnu_hash);
}

/* Not strcmp(): it may be the program's own, and not ready yet. */
static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static bool is_version(const struct image *i, unsigned index, const char *version)
{
	const char *d = (const char *)i->definitions;

	while (d) {
		const ElfW(Verdef) *definition = (const void *)d;
		const ElfW(Verdaux) *name = (const void *)(d + definition->vd_aux);

		if (definition->vd_ndx == index)
			return same(i->strings + name->vda_name, version);
		d = definition->vd_next ? d + definition->vd_next : NULL;
	}
	return false;
}

static bool fits(const struct image *i, uint32_t symbol, const char *name, const char *version)
{
	const ElfW(Sym) *s = &i->symbols[symbol];
	unsigned index;

	if (s->st_shndx == SHN_UNDEF || ELF64_ST_BIND(s->st_info) == STB_LOCAL ||
	    !same(i->strings + s->st_name, name))
		return false;
	if (!i->versions)
		return true;
	index = i->versions[symbol];
	if (!version)
		return index >= VERSION_GLOBAL && !(index & VERSION_HIDDEN);
	index &= ~(unsigned)VERSION_HIDDEN;
	return index == VERSION_GLOBAL || is_version(i, index, version);
}

/* The table of the GNU hash: four words, a filter of 64-bit words, buckets, chains. */
static uint32_t find_gnu(const struct image *i, const char *name, const char *version)
{
	const uint32_t *h = i->gnu_hash;
	const uint32_t *buckets = h + 4 + 2 * (size_t)h[2];
	const uint32_t *chains = buckets + h[0];
	uint32_t hash = 5381, symbol;
	const char *c;

	for (c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	symbol = buckets[hash % h[0]];
	if (symbol < h[1])
		return 0;
	for (;; symbol++) {
		uint32_t chain = chains[symbol - h[1]];

		if ((chain | 1) == (hash | 1) && fits(i, symbol, name, version))
			return symbol;
		if (chain & 1)
			return 0;
	}
}

/* An object with the old hash table only is rare: its number of symbols is all we take of it. */
static uint32_t find_linear(const struct image *i, const char *name, const char *version)
{
	uint32_t symbol;

	for (symbol = 1; symbol < i->hash[1]; symbol++)
		if (fits(i, symbol, name, version))
			return symbol;
	return 0;
}

void *image_find(const struct image *i, const char *name, const char *version)
{
	uint32_t symbol = i->gnu_hash ? find_gnu(i, name, version) : find_linear(i, name, version);
	const ElfW(Sym) *s = &i->symbols[symbol];
	void *address = (void *)(i->bias + s->st_value);

	if (!symbol)
		return NULL;
	if (ELF64_ST_TYPE(s->st_info) == STT_GNU_IFUNC)
		return ((void *(*)(void))address)();
	return address;
}
