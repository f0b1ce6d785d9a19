/* SPDX-License-Identifier: MIT
 *
 * What the files of the core reader share:
 *   core.c          opens a core, its segments, its bytes
 *   core_notes.c    threads, process, auxiliary vector, list of mapped files
 *   core_files.c    the files themselves: found, compared with what the core holds of them
 *   core_maps.c     the memory map made of segments and files; memory by address; pages
 *   core_process.c  struct target and struct stop
 *   core_modules.c  struct modules
 */
#ifndef STRAND_TARGET_CORE_PRIVATE_H
#define STRAND_TARGET_CORE_PRIVATE_H

#include <elf.h>

#include "target/core.h"

#define CORE_PAGE	  4096u
#define CORE_THREADS_MAX  (1u << 20)
#define CORE_SEGMENTS_MAX 64 /* program headers of a mapped file that are looked at */
#define CORE_REMARKS_MAX  64
#define CORE_NAME_BYTES	  200

/* A PT_LOAD. */
struct core_load {
	uint64_t start, end; /* addresses */
	uint64_t offset;     /* in the core */
	uint64_t dumped;     /* bytes from `start` on that it says it has */
	uint64_t present;    /* … that the file has: fewer if it is cut short */
	bool read, write, exec;
	bool read_unknown; /* of gcore, which gives everything as readable; the kernel aligns */
};

struct core_thread {
	struct stop_thread thread;
	uint64_t vector_offset; /* of the extended registers in the core */
	uint64_t vector_bytes;	/* 0: none */
};

/* A line of NT_FILE. */
struct core_mapped {
	uint64_t start, end, offset;
	const char *path;
	size_t file; /* index of its file */
};

enum core_file_state {
	CORE_FILE_DATA,	   /* no ELF file: of no interest */
	CORE_FILE_FINE,	   /* the very file */
	CORE_FILE_ABSENT,  /* not to be had */
	CORE_FILE_ANOTHER, /* another file has its place */
	CORE_FILE_UNKNOWN, /* the core does not hold enough of it to tell */
};

/* A file that was mapped, whatever of it. */
struct core_file {
	const char *path;		/* in the process, as the kernel gives it */
	const struct core_mapped *head; /* its first mapping from offset 0 on; NULL: none */
	enum core_file_state state;
	int fd; /* CORE_FILE_FINE; else -1 */
	bool main;
	Elf64_Phdr segments[CORE_SEGMENTS_MAX]; /* of the file, or of its head in memory */
	size_t segment_count;			/* 0: not known */
	uint8_t build_id[MODULE_BUILD_ID_MAX];	/* of its head in memory */
	size_t build_id_bytes;
};

/* What stands behind a mapping of `maps`, by index. */
struct core_piece {
	const struct core_load *load; /* NULL: none */
	const struct core_file *file; /* NULL: none */
	bool unchanged;		      /* what was not dumped is as in the file */
};

struct core {
	int fd;
	uint64_t bytes;
	char name[CORE_NAME_BYTES];
	struct core_load *loads; /* ascending, no overlaps */
	size_t load_count;
	uint64_t missing; /* bytes by which it is cut short */

	struct core_thread *threads; /* ascending by tid */
	size_t thread_count, thread_room;
	bool has_info;
	int pid, ppid;	/* 0: unknown */
	uint64_t flags; /* PF_* of the kernel; 0: unknown */
	char comm[17];
	char arguments[81];
	uint64_t entry, program_headers, executable_name, vdso; /* auxiliary vector; 0: unknown */
	uint8_t *auxv;
	size_t auxv_bytes;

	struct core_mapped *mapped; /* ascending, no overlaps */
	size_t mapped_count;
	char *mapped_text; /* what paths point into */
	struct core_file *files;
	size_t file_count;

	struct maps maps;
	struct core_piece *pieces;

	char *remarks[CORE_REMARKS_MAX];
	size_t remark_count;
};

/* Up to `bytes` bytes at `offset` of `fd`; may be called by several threads at once. */
size_t core_pread(int fd, uint64_t offset, void *buf, size_t bytes);

/* Bytes that the core itself holds at an address. */
size_t core_read_dumped(const struct core *c, uint64_t address, void *buf, size_t bytes);

void core_remark(struct core *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int core_read_notes(struct core *c, const Elf64_Phdr *segment, struct err *e);
int core_sort_threads(struct core *c, struct err *e);
int core_find_files(struct core *c, const char *exe, const char *sysroot, struct err *e);
int core_make_maps(struct core *c, struct err *e);

/* Is private memory in the core? By coredump_filter it may be left out. Once there are maps. */
bool core_dumps_anonymous(const struct core *c);

/* What the file says of the segment that a page at `offset` belongs to: PF_R, PF_W, PF_X; 0: nothing. */
uint32_t core_file_flags(const struct core_file *f, uint64_t offset);

#endif
