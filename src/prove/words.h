/* SPDX-License-Identifier: MIT */
/*
 * A sentence under construction in a caller's buffer: always terminated, cut at its end if it
 * gets too long. Long names are cut in their middle, where they differ least. Nothing is allocated
 * and nothing can fail.
 */
#ifndef STRAND_PROVE_WORDS_H
#define STRAND_PROVE_WORDS_H

#include <stddef.h>

struct words {
	char *buf;
	size_t size;
	size_t used;
};

void words_begin(struct words *w, char *buf, size_t size);
void words_add(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A name in at most `max` characters: "operations::detail::…::queue". */
void words_add_name(struct words *w, const char *name, size_t max);

#endif
