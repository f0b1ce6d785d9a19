/* SPDX-License-Identifier: MIT
 *
 * The search for words that point at something: copies of memory on one side, some thousands of
 * ranges of addresses on the other. The innermost loop of reachability, and nothing else: no I/O, no
 * model.
 *
 * A word is eight bytes at any offset, little-endian; its top 16 bits may hold a tag and are cleared.
 * A target is found by any address from its first byte to one past its last, so that an address
 * may find two.
 */
#ifndef STRAND_PROVE_SCAN_H
#define STRAND_PROVE_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "target/source.h"

/* A word that lies across two pieces is seen only in a piece that holds it whole. Let pieces of one
 * memory overlap by that much: then every word is seen, and once. */
#define SCAN_OVERLAP (sizeof(uint64_t) - 1)

#define SCAN_ADDRESS_MASK UINT64_C(0x0000ffffffffffff)

struct scan_targets;

/* Prepare the search for `n` ranges, in any order; they may overlap and are copied. Those that begin
 * above 48 bits are never found. Fails with ERR_NOMEM only. */
int scan_targets_create(const struct extent *ranges, size_t n, struct scan_targets **out);
void scan_targets_free(struct scan_targets *t);

/* The word at `at` points to `value` in range `target`, an index of what was given. Not 0: stop. */
typedef int scan_found(void *ctx, uint64_t at, uint64_t value, size_t target);

/* Search `bytes` bytes at `buf`, a copy of the memory at `address`, in ascending order. Returns 0,
 * or what found() returned. May be called by several threads at once. */
int scan_find(const struct scan_targets *t, uint64_t address, const void *buf, size_t bytes,
	      scan_found *found, void *ctx);

#endif
