/* SPDX-License-Identifier: MIT
 *
 * Any file as an ELF file: everything that strand reads of one, but for DWARF.
 */
#include "fuzz.h"

#include <string.h>
#include <unistd.h>

#include "stack/cfi.h"
#include "stack/symbols_table.h"
#include "target/elf_file.h"

#define SYMBOLS_LOOKED_AT 64

void fuzz_make_seeds(void)
{
	size_t size;
	const uint8_t *image = fuzz_vdso(&size);

	if (image)
		fuzz_seed(image, size);
	fuzz_seed_file("/lib/x86_64-linux-gnu/libpthread.so.0", 65536);
	fuzz_seed_file("/usr/lib/x86_64-linux-gnu/crti.o", 65536);
}

static void read_sections(const struct elf_file *f)
{
	const Elf64_Shdr *v;
	size_t n, length = 0;

	v = elf_file_sections(f, &n);
	for (size_t i = 0; i < n; i++) {
		length += strlen(elf_file_section_name(f, &v[i]));
		free(elf_file_load_section(f, &v[i]));
	}
	FUZZ_CHECK(n == 0 || length < 1u << 30);
	elf_file_find_section(f, ".eh_frame");
}

static void read_segments(const struct elf_file *f)
{
	const Elf64_Phdr *v;
	uint64_t offset, bytes;
	uint8_t buf[64];
	size_t n;

	v = elf_file_segments(f, &n);
	for (size_t i = 0; i < n; i++) {
		if (!elf_file_locate(f, v[i].p_vaddr + v[i].p_filesz / 2, &offset, &bytes))
			continue;
		FUZZ_CHECK(elf_file_read(f, offset, buf, sizeof(buf)) <= sizeof(buf));
		free(elf_file_load(f, offset, bytes));
	}
}

static void read_symbols(const struct elf_file *f, const struct elf_symbols *s)
{
	struct cfi *cfi = cfi_open(f);

	for (size_t i = 0; i < s->n; i++)
		FUZZ_CHECK(strlen(elf_symbols_name(s, i)) <= s->names_bytes);
	for (size_t i = 0; cfi && i < s->n && i < SYMBOLS_LOOKED_AT; i++) {
		struct cfi_entry entry;

		if (cfi_find(cfi, s->v[i].st_value, &entry) == CFI_FOUND)
			FUZZ_CHECK(entry.start <= s->v[i].st_value && s->v[i].st_value < entry.end);
	}
	cfi_free(cfi);
}

static void make_table(const struct elf_file *f, enum symbol_class class)
{
	struct symbol_table t = { 0 };

	if (symbol_table_add(&t, f, class) == 0 && symbol_table_sort(&t, class) == 0)
		for (size_t i = 0; i < t.n && i < SYMBOLS_LOOKED_AT; i++)
			symbol_table_find(&t, t.v[i].start);
	symbol_table_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = fuzz_file(data, size);
	struct elf_file *f;
	uint8_t id[64];

	if (elf_file_open(fd, &f) != 0) {
		close(fd);
		return 0;
	}
	FUZZ_CHECK(elf_file_fd(f) == fd);
	read_sections(f);
	read_segments(f);
	read_symbols(f, elf_file_dynsym(f));
	read_symbols(f, elf_file_symtab(f));
	make_table(f, SYMBOLS_CODE);
	make_table(f, SYMBOLS_DATA);
	free(elf_file_soname(f));
	FUZZ_CHECK(elf_file_build_id(f, id, sizeof(id)) <= sizeof(id));
	elf_file_close(f);
	return 0;
}
