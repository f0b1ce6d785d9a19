/* SPDX-License-Identifier: MIT */
/*
 * A set of pointers found by hash, and the hash itself (FNV-1a, 64 bits: the same on every
 * machine and in every version, because fingerprints that people keep are made with it).
 *
 * The set does not own what its pointers point to. Single-threaded use. A zeroed struct is an
 * empty set.
 */
#ifndef STRAND_MODEL_HASH_H
#define STRAND_MODEL_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* Go on with `hash` (HASH_START at first) over some bytes, or a string with its NUL ("" for
 * NULL). */
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n);
uint64_t hash_string(uint64_t hash, const char *s);

struct hash_slot {
	uint64_t hash;
	void *value; /* NULL: free */
};

struct hash_set {
	struct hash_slot *slots;
	size_t capacity; /* 0 or a power of two */
	size_t count;
};

/* Is this value the one that `key` asks for? */
typedef bool hash_equal_fn(const void *value, const void *key);

/* The value of this hash for which equal() holds, NULL if there is none. */
void *hash_set_find(const struct hash_set *s, uint64_t hash, hash_equal_fn *equal, const void *key);

/* Add a value (not NULL, not in the set yet). Returns 0 or ERR_NOMEM. */
int hash_set_add(struct hash_set *s, uint64_t hash, void *value);

/* Free the set's own memory; it is empty then. */
void hash_set_clear(struct hash_set *s);

#endif
