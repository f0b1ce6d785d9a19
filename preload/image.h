/* SPDX-License-Identifier: MIT
 *
 * What a loaded ELF object exports, read from its dynamic section in memory: the vDSO, for which
 * there is no other way, and the libraries behind the shim. dlsym() would take the loader's lock,
 * allocate in some releases of the C library, and be of a version that older ones do not have.
 *
 * Async-signal-safe, no system call, no call of the C library. The object must stay loaded.
 */
#ifndef STRAND_PRELOAD_IMAGE_H
#define STRAND_PRELOAD_IMAGE_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct image {
	uintptr_t bias;
	const ElfW(Sym) * symbols;
	const char *strings;
	const uint32_t *hash; /* one of the two is there */
	const uint32_t *gnu_hash;
	const uint16_t *versions; /* of each symbol; NULL: none has one */
	const ElfW(Verdef) * definitions;
};

#define IMAGE_HIDDEN __attribute__((visibility("hidden")))

/* False if it exports nothing. */
IMAGE_HIDDEN bool image_read(struct image *i, uintptr_t bias, const ElfW(Dyn) * dynamic);

/* The address of what `name` means to who asks for `version`, or, if that is NULL, to who is linked
 * with the object now; NULL if it has none. A symbol without a version satisfies every version. */
IMAGE_HIDDEN void *image_find(const struct image *i, const char *name, const char *version);

#endif
