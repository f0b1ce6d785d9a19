/* SPDX-License-Identifier: MIT */
/*
 * Open addressing with linear probing, at most half full; nothing is ever removed. FNV's low
 * bits are weak for short keys, so the slot is taken from a mixed hash. Values with equal hashes
 * stand side by side and are told apart by the caller's function.
 */
#include "model/hash.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"

#define FNV_PRIME    UINT64_C(0x100000001b3)
#define FIRST_SLOTS  64
#define GOLDEN_RATIO UINT64_C(0x9e3779b97f4a7c15)

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	while (n--)
		hash = (hash ^ *p++) * FNV_PRIME;
	return hash;
}

uint64_t hash_string(uint64_t hash, const char *s)
{
	if (!s)
		s = "";
	return hash_bytes(hash, s, strlen(s) + 1);
}

static size_t hash_first_slot(const struct hash_set *s, uint64_t hash)
{
	return (size_t)((hash * GOLDEN_RATIO) >> 32) & (s->capacity - 1);
}

void *hash_set_find(const struct hash_set *s, uint64_t hash, hash_equal_fn *equal, const void *key)
{
	size_t i;

	if (!s->capacity)
		return NULL;
	for (i = hash_first_slot(s, hash); s->slots[i].value; i = (i + 1) & (s->capacity - 1))
		if (s->slots[i].hash == hash && equal(s->slots[i].value, key))
			return s->slots[i].value;
	return NULL;
}

static void hash_set_put(struct hash_set *s, uint64_t hash, void *value)
{
	size_t i = hash_first_slot(s, hash);

	while (s->slots[i].value)
		i = (i + 1) & (s->capacity - 1);
	s->slots[i] = (struct hash_slot){ hash, value };
	s->count++;
}

static int hash_set_grow(struct hash_set *s)
{
	struct hash_set bigger = { .capacity = s->capacity ? 2 * s->capacity : FIRST_SLOTS };
	size_t i;

	bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
	if (!bigger.slots)
		return ERR_NOMEM;
	for (i = 0; i < s->capacity; i++)
		if (s->slots[i].value)
			hash_set_put(&bigger, s->slots[i].hash, s->slots[i].value);
	free(s->slots);
	*s = bigger;
	return 0;
}

int hash_set_add(struct hash_set *s, uint64_t hash, void *value)
{
	if (2 * (s->count + 1) > s->capacity && hash_set_grow(s) < 0)
		return ERR_NOMEM;
	hash_set_put(s, hash, value);
	return 0;
}

void hash_set_clear(struct hash_set *s)
{
	free(s->slots);
	*s = (struct hash_set){ 0 };
}
