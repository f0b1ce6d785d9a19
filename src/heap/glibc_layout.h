/* SPDX-License-Identifier: MIT
 *
 * What glibc's malloc looks like in memory, x86-64, releases 2.31 to 2.41. Everything that
 * depends on the release stands in the table of glibc_layout.c; what has been the same in all of
 * them is here. Names on the right are those of glibc's malloc/malloc.c and malloc/arena.c.
 *
 * 2.42 changed struct tcache_perthread_struct: such a release is not known here.
 */
#ifndef STRAND_HEAP_GLIBC_LAYOUT_H
#define STRAND_HEAP_GLIBC_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

/* A chunk: struct malloc_chunk. */
#define CHUNK_PREV_SIZE	  0  /* mchunk_prev_size: only if the one before is free, or mapped */
#define CHUNK_SIZE	  8  /* mchunk_size */
#define CHUNK_NEXT	  16 /* fd; also the first usable byte */
#define CHUNK_PREV	  24 /* bk */
#define CHUNK_HEADER	  UINT64_C(16)
#define CHUNK_MIN	  UINT64_C(32) /* MINSIZE */
#define CHUNK_FENCE	  UINT64_C(16) /* the size of a fencepost, of nothing else */
#define CHUNK_PREV_IN_USE UINT64_C(1)  /* PREV_INUSE */
#define CHUNK_MAPPED	  UINT64_C(2)  /* IS_MMAPPED */
#define CHUNK_NOT_MAIN	  UINT64_C(4)  /* NON_MAIN_ARENA; free chunks lack it everywhere */
#define CHUNK_FLAGS	  UINT64_C(7)

/* An arena: struct malloc_state. */
#define ARENA_MUTEX	     0	/* int: 0 free, 1 held, 2 held and waited for */
#define ARENA_FLAGS	     4	/* int */
#define ARENA_FAST	     16 /* fastbinsY[NFASTBINS] */
#define ARENA_TOP	     96
#define ARENA_BINS	     112 /* bins[NBINS * 2 - 2]: pairs of fd and bk */
#define ARENA_NEXT	     2160
#define ARENA_SYSTEM_MEM     2184
#define ARENA_MAX_SYSTEM_MEM 2192
#define ARENA_BYTES	     UINT64_C(2200)
#define ARENA_FLAGS_KNOWN    3u /* NONCONTIGUOUS_BIT is 2; 1 was FASTCHUNKS_BIT */
#define ARENA_BIN_COUNT	     127
#define ARENA_FAST_COUNT     10
/* A bin, from 1 on, is a pair made to look like the fd and bk of a chunk. */
#define ARENA_BIN(arena, i)  ((arena) + ARENA_BINS + 16 * ((uint64_t)(i)-1) - CHUNK_NEXT)

/* A heap of an arena that is not the main one: struct heap_info. */
#define HEAP_ALIGNMENT	   (UINT64_C(64) << 20) /* HEAP_MAX_SIZE, without huge pages */
#define HEAP_ARENA	   0			/* ar_ptr */
#define HEAP_PREV	   8			/* prev */
#define HEAP_SIZE	   16			/* size */
#define HEAP_MPROTECT_SIZE 24			/* mprotect_size: of what may be accessed */

/* Each thread's cache of free chunks: struct tcache_perthread_struct. */
#define TCACHE_BINS    64  /* TCACHE_MAX_BINS */
#define TCACHE_COUNTS  0   /* uint16_t counts[] */
#define TCACHE_ENTRIES 128 /* entries[], pointers to usable bytes */
#define TCACHE_BYTES   640
#define TCACHE_CHUNK   UINT64_C(0x290)
#define TCACHE_KEY     8 /* tcache_entry.key, behind tcache_entry.next */

/* What is for all arenas: struct malloc_par mp_; the defaults of what is tuned rarely. */
#define PARAMS_MMAPS_MAX_DEFAULT 65536		/* DEFAULT_MMAP_MAX */
#define PARAMS_TCACHE_BYTES_MAX	 UINT64_C(1032) /* tidx2usize(TCACHE_MAX_BINS - 1) */
#define PARAMS_TCACHE_COUNT	 7		/* TCACHE_FILL_COUNT */

struct glibc_layout {
	int first, last; /* releases 2.first to 2.last */
	uint64_t heap_info_bytes;
	bool safe_linking;   /* PROTECT_PTR in fastbins and thread caches */
	bool key_is_pointer; /* tcache_entry.key is the cache itself, else a random number */
	/* mp_ */
	unsigned params_mmaps;	/* n_mmaps, n_mmaps_max, max_n_mmaps, no_dyn_threshold: ints */
	unsigned params_mapped; /* mmapped_mem, max_mmapped_mem */
	unsigned params_base;	/* sbrk_base */
	unsigned params_tcache; /* tcache_bins, tcache_max_bytes, tcache_count */
	unsigned params_bytes;
};

/* NULL for a release that is not known. */
const struct glibc_layout *glibc_layout_find(int minor);

#endif
