/* SPDX-License-Identifier: MIT
 *
 * A small core made by hand, for the unit tests and the fuzzer: three threads, of which the main one has
 * arguments on its stack, a program of four pages that is mapped from a file, data and a stack. What a test wants
 * otherwise it changes in `shape` before the core is made, or in the bytes afterwards.
 */
#ifndef STRAND_TESTS_SAMPLE_CORE_H
#define STRAND_TESTS_SAMPLE_CORE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#define SAMPLE_CORE_BYTES    65536
#define SAMPLE_CORE_THREADS  3
#define SAMPLE_CORE_SEGMENTS 7
#define SAMPLE_CORE_PID	     4711
#define SAMPLE_CORE_PATH     "/srv/shop"

/* Addresses. */
#define SAMPLE_CORE_PROGRAM 0x400000ull /* head, text, read-only data, data: a page each */
#define SAMPLE_CORE_HEAP    0x500000ull
#define SAMPLE_CORE_STACK   0x7ffc00000000ull
#define SAMPLE_CORE_PAGE    0x1000ull

/* Where the program's file has its build id, 8 bytes. */
#define SAMPLE_CORE_BUILD_ID_AT (sizeof(Elf64_Ehdr) + 5 * sizeof(Elf64_Phdr) + 16)

struct sample_core_shape {
	int tids[SAMPLE_CORE_THREADS];
	uint64_t flags;	    /* of the process: 0x40 is fork without exec */
	bool text_dumped;   /* is there a segment for text, as in a core of the kernel */
	bool damaged_files; /* the list of files has a line that cannot be */
	bool shared_file;   /* the data are those of another file, that may be shared */
};

struct sample_core {
	uint8_t bytes[SAMPLE_CORE_BYTES];
	size_t n;
	size_t notes_at, notes_bytes;
	Elf64_Phdr *segments;
	size_t segment_count;
};

static inline struct sample_core_shape sample_core_usual(void)
{
	return (struct sample_core_shape){ .tids = { SAMPLE_CORE_PID, SAMPLE_CORE_PID + 1,
						     SAMPLE_CORE_PID + 2 },
					   .flags = 0x400000,
					   .text_dumped = true };
}

/* The first page of the program's file. */
static inline void sample_core_head(uint8_t *page)
{
	Elf64_Ehdr h = { .e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_version = 1,
			 .e_entry = SAMPLE_CORE_PROGRAM + 0x1000,
			 .e_phoff = sizeof(h),
			 .e_ehsize = sizeof(h),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 5 };
	static const uint32_t flags[4] = { PF_R, PF_R | PF_X, PF_R, PF_R | PF_W };
	const Elf64_Nhdr note = { 4, 8, NT_GNU_BUILD_ID };
	size_t at = sizeof(h);

	memset(page, 0, SAMPLE_CORE_PAGE);
	memcpy(h.e_ident, ELFMAG "\2\1\1", 7);
	memcpy(page, &h, sizeof(h));
	for (size_t i = 0; i < 5; i++, at += sizeof(Elf64_Phdr)) {
		Elf64_Phdr p = { .p_type = i < 4 ? PT_LOAD : PT_NOTE };

		p.p_flags = i < 4 ? flags[i] : PF_R;
		p.p_offset = i < 4 ? i * SAMPLE_CORE_PAGE : SAMPLE_CORE_BUILD_ID_AT - 16;
		p.p_vaddr = p.p_paddr = SAMPLE_CORE_PROGRAM + p.p_offset;
		p.p_filesz = p.p_memsz = i < 4 ? SAMPLE_CORE_PAGE : 24;
		memcpy(page + at, &p, sizeof(p));
	}
	memcpy(page + at, &note, sizeof(note));
	memcpy(page + at + sizeof(note), "GNU", 4);
	memcpy(page + SAMPLE_CORE_BUILD_ID_AT, "shop-1.0", 8);
}

static inline void sample_core_put(struct sample_core *c, const void *data, size_t n)
{
	memcpy(c->bytes + c->n, data, n);
	c->n += n;
}

static inline void sample_core_note(struct sample_core *c, const char *name, uint32_t type,
				    const void *data, size_t n)
{
	const Elf64_Nhdr h = { (uint32_t)strlen(name) + 1, (uint32_t)n, type };
	char padded[8] = "";

	memcpy(padded, name, strlen(name));
	sample_core_put(c, &h, sizeof(h));
	sample_core_put(c, padded, sizeof(padded));
	sample_core_put(c, data, n);
	c->n = (c->n + 3) & ~(size_t)3;
}

/* Thread i waits for a word in the data, which has the value 2. */
static inline void sample_core_thread(struct sample_core *c, const struct sample_core_shape *s,
				      size_t i)
{
	struct user_regs_struct regs = { .rip = SAMPLE_CORE_PROGRAM + 0x1010,
					 .rsp = SAMPLE_CORE_STACK + 0x100 + i * 0x100,
					 .rdi = SAMPLE_CORE_HEAP + 64 + i * 64,
					 .rsi = 0x80,
					 .rdx = 2,
					 .rax = (unsigned long long)-512,
					 .orig_rax = 202,
					 .cs = 0x33,
					 .fs_base = SAMPLE_CORE_HEAP + 0x400 + i * 0x100 };
	struct elf_prstatus status = { .pr_pid = s->tids[i], .pr_sighold = i };
	uint8_t vector[832];

	memcpy(&status.pr_reg, &regs, sizeof(regs));
	memset(vector, (int)(0xa0 + i), sizeof(vector));
	sample_core_note(c, "CORE", NT_PRSTATUS, &status, sizeof(status));
	sample_core_note(c, "CORE", NT_FPREGSET, vector, 512);
	sample_core_note(c, "LINUX", NT_X86_XSTATE, vector, sizeof(vector));
}

static inline const uint64_t *sample_core_auxv(size_t *bytes)
{
	static const uint64_t auxv[] = { AT_PHDR,   SAMPLE_CORE_PROGRAM + sizeof(Elf64_Ehdr),
					 AT_ENTRY,  SAMPLE_CORE_PROGRAM + 0x1000,
					 AT_EXECFN, SAMPLE_CORE_STACK + 0xf00,
					 AT_NULL,   0 };

	*bytes = sizeof(auxv);
	return auxv;
}

static inline void sample_core_files(struct sample_core *c, const struct sample_core_shape *s)
{
	uint64_t v[2 + 4 * 3] = { 4, SAMPLE_CORE_PAGE };
	uint8_t note[256];
	size_t n = sizeof(v);

	for (size_t i = 0; i < 4; i++) {
		v[2 + 3 * i] = SAMPLE_CORE_PROGRAM + i * SAMPLE_CORE_PAGE;
		v[3 + 3 * i] = v[2 + 3 * i] + SAMPLE_CORE_PAGE;
		v[4 + 3 * i] = i;
	}
	if (s->damaged_files)
		v[2 + 3 * 2] -= SAMPLE_CORE_PAGE;
	memcpy(note, v, sizeof(v));
	for (size_t i = 0; i < 4; i++) {
		const char *path = i == 3 && s->shared_file ? "/var/shop.db" : SAMPLE_CORE_PATH;

		memcpy(note + n, path, strlen(path) + 1);
		n += strlen(path) + 1;
	}
	sample_core_note(c, "CORE", NT_FILE, note, n);
}

static inline void sample_core_notes(struct sample_core *c, const struct sample_core_shape *s)
{
	struct elf_prpsinfo info = { .pr_pid = SAMPLE_CORE_PID,
				     .pr_ppid = 4000,
				     .pr_flag = s->flags,
				     .pr_fname = "shop",
				     .pr_psargs = "shop --port 80" };
	size_t bytes;
	const uint64_t *auxv = sample_core_auxv(&bytes);

	c->notes_at = c->n;
	sample_core_thread(c, s, 0);
	sample_core_note(c, "CORE", NT_PRPSINFO, &info, sizeof(info));
	sample_core_note(c, "CORE", NT_AUXV, auxv, bytes);
	sample_core_files(c, s);
	for (size_t i = 1; i < SAMPLE_CORE_THREADS; i++)
		sample_core_thread(c, s, i);
	c->notes_bytes = c->n - c->notes_at;
}

/* argc, argv, environment and auxiliary vector, and behind them the strings. */
static inline void sample_core_stack(uint8_t *page)
{
	const uint64_t words[] = { 3,
				   SAMPLE_CORE_STACK + 0xf00,
				   SAMPLE_CORE_STACK + 0xf10,
				   SAMPLE_CORE_STACK + 0xf20,
				   0,
				   SAMPLE_CORE_STACK + 0xf30,
				   0 };
	size_t bytes;
	const uint64_t *auxv = sample_core_auxv(&bytes);

	memcpy(page + 0x800, words, sizeof(words));
	memcpy(page + 0x800 + sizeof(words), auxv, bytes);
	strcpy((char *)page + 0xf00, "./shop");
	strcpy((char *)page + 0xf10, "--port");
	strcpy((char *)page + 0xf20, "8 0");
	strcpy((char *)page + 0xf30, "HOME=/");
}

static inline void sample_core_heap(uint8_t *page, const struct sample_core_shape *s)
{
	const uint32_t two = 2;

	for (size_t i = 0; i < SAMPLE_CORE_THREADS; i++) {
		memcpy(page + 64 + i * 64, &two, sizeof(two));
		memcpy(page + 0x400 + i * 0x100 + 720 % 0x100, &s->tids[i], sizeof(int));
	}
}

static inline void sample_core_memory(uint8_t *page, size_t i, const struct sample_core_shape *s)
{
	memset(page, (int)i, SAMPLE_CORE_PAGE);
	if (i == 0)
		sample_core_head(page);
	else if (i == 4)
		sample_core_heap(page, s);
	else if (i == 5)
		sample_core_stack(page);
}

/* Segments: notes, head, text, read-only data, data, heap, stack; text and read-only data are not
 * dumped. */
static inline void sample_core_make(struct sample_core *c, const struct sample_core_shape *s)
{
	static const uint32_t flags[6] = { PF_R,	PF_R | PF_X, PF_R,
					   PF_R | PF_W, PF_R | PF_W, PF_R | PF_W };
	Elf64_Ehdr h = { .e_type = ET_CORE,
			 .e_machine = EM_X86_64,
			 .e_version = 1,
			 .e_phoff = sizeof(h),
			 .e_ehsize = sizeof(h),
			 .e_phentsize = sizeof(Elf64_Phdr) };

	memset(c, 0, sizeof(*c));
	memcpy(h.e_ident, ELFMAG "\2\1\1", 7);
	c->segments = (Elf64_Phdr *)(void *)(c->bytes + sizeof(h));
	c->n = sizeof(h) + SAMPLE_CORE_SEGMENTS * sizeof(Elf64_Phdr);
	sample_core_notes(c, s);
	c->segments[c->segment_count++] = (Elf64_Phdr){ .p_type = PT_NOTE,
							.p_offset = c->notes_at,
							.p_filesz = c->notes_bytes };
	for (size_t i = 0; i < 6; i++) {
		uint64_t address = i < 4    ? SAMPLE_CORE_PROGRAM + i * SAMPLE_CORE_PAGE
				   : i == 4 ? SAMPLE_CORE_HEAP
					    : SAMPLE_CORE_STACK;
		bool dumped = i != 1 && i != 2;

		if (i == 1 && !s->text_dumped)
			continue;
		c->n = (c->n + SAMPLE_CORE_PAGE - 1) & ~(size_t)(SAMPLE_CORE_PAGE - 1);
		c->segments[c->segment_count++] =
			(Elf64_Phdr){ .p_type = PT_LOAD,
				      .p_flags = flags[i],
				      .p_offset = c->n,
				      .p_vaddr = address,
				      .p_filesz = dumped ? SAMPLE_CORE_PAGE : 0,
				      .p_memsz = SAMPLE_CORE_PAGE,
				      .p_align = SAMPLE_CORE_PAGE };
		if (dumped) {
			sample_core_memory(c->bytes + c->n, i, s);
			c->n += SAMPLE_CORE_PAGE;
		}
	}
	h.e_phnum = (uint16_t)c->segment_count;
	memcpy(c->bytes, &h, sizeof(h));
}

#endif
