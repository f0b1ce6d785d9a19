/* SPDX-License-Identifier: MIT
 *
 * The monotonic clock straight from the kernel's page: the C library's clock_gettime() may be
 * another's wrapper, and a seccomp filter may forbid the system call. In a sandbox the coarse clock
 * is read: unlike the precise one it never needs the system call, on any machine.
 */
#include <elf.h>

#include "shim.h"
#include "sys.h"

typedef int (*clock_function)(clockid_t clock, struct timespec *out);

static clock_function get_time;

/* The parts of the vDSO's dynamic section that a lookup by name needs. */
struct symbols {
	const Elf64_Sym *table;
	const char *names;
	const uint32_t *hash;
};

static void read_dynamic(const Elf64_Dyn *d, uintptr_t bias, struct symbols *s)
{
	for (; d->d_tag != DT_NULL; d++) {
		uintptr_t at = bias + d->d_un.d_ptr;

		if (d->d_tag == DT_SYMTAB)
			s->table = (const Elf64_Sym *)at;
		else if (d->d_tag == DT_STRTAB)
			s->names = (const char *)at;
		else if (d->d_tag == DT_HASH)
			s->hash = (const uint32_t *)at;
	}
}

void vdso_find(const void *image)
{
	const Elf64_Ehdr *elf = image;
	const Elf64_Phdr *ph;
	const Elf64_Dyn *dynamic = NULL;
	struct symbols s = { .table = NULL };
	uintptr_t bias = 0;
	uint32_t i;

	if (!image)
		return;
	ph = (const Elf64_Phdr *)((uintptr_t)image + elf->e_phoff);
	for (i = 0; i < elf->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD)
			bias = (uintptr_t)image + ph[i].p_offset - ph[i].p_vaddr;
		else if (ph[i].p_type == PT_DYNAMIC)
			dynamic = (const Elf64_Dyn *)((uintptr_t)image + ph[i].p_offset);
	if (dynamic)
		read_dynamic(dynamic, bias, &s);
	if (!s.table || !s.names || !s.hash)
		return;
	for (i = 0; i < s.hash[1]; i++)
		if (text_equal(s.names + s.table[i].st_name, "__vdso_clock_gettime"))
			get_time = (clock_function)(bias + s.table[i].st_value);
}

uint64_t vdso_now_ns(void)
{
	struct timespec now = { .tv_sec = 0 };

	if (get_time)
		get_time(shim.sandboxed ? CLOCK_MONOTONIC_COARSE : CLOCK_MONOTONIC, &now);
	else if (!shim.sandboxed)
		sys_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
