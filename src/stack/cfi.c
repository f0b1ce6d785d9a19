/* SPDX-License-Identifier: MIT
 *
 * Search tables of unwind descriptions (Linux Standard Base, "DWARF Extensions"; System V ABI
 * for x86-64, 3.7).
 *
 * Entries are kept as the file has them: two signed 32-bit distances from `base`, sorted by the
 * first. A table that is not sorted makes the search miss, nothing worse: the FDE found must
 * cover the address.
 */
#include "stack/cfi.h"
#include "stack/bytes.h"
#include "stack/cfi_check.h"

#include <stdlib.h>

struct cfi_row {
	int32_t start, fde;
};

struct cfi {
	const struct elf_file *file;
	uint64_t base;
	const struct cfi_row *rows;
	size_t n;
	void *owned;
};

#define RECORD_BYTES_MAX (1u << 20)

/* The search table of .eh_frame_hdr; true if there is a usable one. */
static bool use_header(struct cfi *c, const Elf64_Phdr *p)
{
	uint8_t *all = elf_file_load(c->file, p->p_offset, p->p_filesz);
	struct bytes b = { all, all ? all + p->p_filesz : all, p->p_vaddr, false };
	uint8_t version, frame_encoding, count_encoding, table_encoding;
	uint64_t count;

	if (!all)
		return false;
	version = bytes_u8(&b);
	frame_encoding = bytes_u8(&b);
	count_encoding = bytes_u8(&b);
	table_encoding = bytes_u8(&b);
	cfi_read_pointer(&b, frame_encoding, p->p_vaddr);
	count = cfi_read_pointer(&b, count_encoding, p->p_vaddr);
	if (b.bad || version != 1 || table_encoding != (CFI_PE_DATAREL | CFI_PE_SDATA4) ||
	    (uintptr_t)b.p % sizeof(int32_t)) {
		free(all);
		return false;
	}
	c->base = p->p_vaddr;
	c->n = (size_t)(b.end - b.p) / sizeof(struct cfi_row);
	if (count < c->n)
		c->n = count;
	c->rows = (const struct cfi_row *)b.p;
	c->owned = all;
	return c->n > 0;
}

static int compare_rows(const void *a, const void *b)
{
	const struct cfi_row *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static bool add_row(struct cfi *c, size_t *room, uint64_t start, uint64_t fde)
{
	struct cfi_row *rows = c->owned;
	int64_t a = (int64_t)(start - c->base), b = (int64_t)(fde - c->base);

	if (a != (int32_t)a || b != (int32_t)b)
		return true;
	if (c->n == *room) {
		*room = 2 * *room + 256;
		rows = realloc(rows, *room * sizeof(*rows));
		if (!rows)
			return false;
		c->owned = rows;
		c->rows = rows;
	}
	rows[c->n++] = (struct cfi_row){ (int32_t)a, (int32_t)b };
	return true;
}

/* List the frames of an .eh_frame section one after the other. */
static void list_frames(struct cfi *c, const Elf64_Shdr *sh)
{
	uint8_t *all = elf_file_load_section(c->file, sh);
	struct bytes b = { all, all ? all + sh->sh_size : all, sh->sh_addr, false };
	struct cfi_record r;
	size_t room = 0;

	c->base = sh->sh_addr;
	while (all && b.p < b.end) {
		uint64_t at = b.vaddr;

		if (!cfi_next_record(&b, &r))
			break;
		if (!r.is_cie && cfi_parse_fde(c->file, at, &r) && r.end > r.start &&
		    !add_row(c, &room, r.start, at))
			break;
	}
	free(all);
	if (c->n)
		qsort(c->owned, c->n, sizeof(struct cfi_row), compare_rows);
}

struct cfi *cfi_open(const struct elf_file *f)
{
	struct cfi *c = calloc(1, sizeof(*c));
	const Elf64_Shdr *sh;
	const Elf64_Phdr *p;
	size_t n;

	if (!c)
		return NULL;
	c->file = f;
	p = elf_file_segments(f, &n);
	for (size_t i = 0; i < n; i++)
		if (p[i].p_type == PT_GNU_EH_FRAME && use_header(c, &p[i]))
			return c;
	sh = elf_file_find_section(f, ".eh_frame");
	if (sh)
		list_frames(c, sh);
	return c;
}

void cfi_free(struct cfi *c)
{
	if (!c)
		return;
	free(c->owned);
	free(c);
}

enum cfi_answer cfi_find(const struct cfi *c, uint64_t vaddr, struct cfi_entry *out)
{
	int64_t want = (int64_t)(vaddr - c->base);
	size_t low = 0, high = c->n, mid;
	struct cfi_record r;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (c->rows[mid].start <= want)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return CFI_NONE;
	out->fde = c->base + (uint64_t)(int64_t)c->rows[low - 1].fde;
	if (!cfi_parse_fde(c->file, out->fde, &r))
		return CFI_BAD;
	out->start = r.start;
	out->end = r.end;
	if (vaddr < r.start || vaddr >= r.end)
		return CFI_NONE;
	return cfi_check_fde(c->file, out->fde) ? CFI_FOUND : CFI_BAD;
}
