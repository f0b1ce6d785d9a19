/* SPDX-License-Identifier: MIT
 *
 * What fuzz targets share. A target is fuzz_NAME.c with LLVMFuzzerTestOneInput(), which must come
 * back with 0 from any input, having freed what it took; run by clang's libFuzzer, or else by
 * plain.c. What must hold whatever the input says is stated with FUZZ_CHECK.
 */
#ifndef STRAND_TESTS_FUZZ_FUZZ_H
#define STRAND_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define FUZZ_CHECK(condition)                                                             \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A target may define this: it gives inputs to begin with by fuzz_seed(). */
void fuzz_make_seeds(void) __attribute__((weak));
void fuzz_seed(const void *data, size_t size);
/* The same with what a file holds, if it can be read and has at most `most` bytes. */
void fuzz_seed_file(const char *path, size_t most);

/* A file in memory with these bytes; the caller's to close. */
int fuzz_file(const void *data, size_t size);

/* The same for what wants a name: the path of a file, good until the next call. */
const char *fuzz_path(const void *data, size_t size);

/* The image of the vdso, a small ELF file that every process has; NULL if there is none. */
const uint8_t *fuzz_vdso(size_t *size);

/* Takes numbers off the front of an input; zeros when there is no more. */
uint64_t fuzz_take(const uint8_t **data, size_t *size, size_t bytes);

#endif
