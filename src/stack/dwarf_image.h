/* SPDX-License-Identifier: MIT
 *
 * The debug sections of a file as a small ELF image in our own memory, for libdw to work on.
 *
 * It holds only what is asked for (naming code needs no locations, types or macros: most of the
 * bulk), decompressed, and zeros behind each section: libdw follows offsets of damaged files past the
 * end of a section now and then, and finds an end there. Nor can it open files on its own from
 * an image that names none.
 */
#ifndef STRAND_STACK_DWARF_IMAGE_H
#define STRAND_STACK_DWARF_IMAGE_H

#include <stddef.h>

#include "target/elf_file.h"

/* A malloc'd image of up to DWARF_IMAGE_SECTIONS sections of `f`, by name, and its program
 * headers. NULL if one of the first `needed` is missing, they are too large, or cannot be read. */
#define DWARF_IMAGE_SECTIONS 16
char *dwarf_image_make(const struct elf_file *f, const char *const *names, size_t n, size_t needed,
		       size_t *bytes);

/* The contents of section `i` of an image. */
const void *dwarf_image_section(const char *image, size_t i, size_t *bytes);

#endif
