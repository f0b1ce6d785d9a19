/* SPDX-License-Identifier: MIT
 *
 * The debug sections of a file as a small ELF image in our own memory, for libdw to work on.
 *
 * It holds only what naming code needs (no locations, no types, no macros: most of the bulk),
 * decompressed, and zeros behind each section: libdw follows offsets of damaged files past the
 * end of a section now and then, and finds an end there. Nor can it open files on its own from
 * an image that names none.
 */
#ifndef STRAND_STACK_DWARF_IMAGE_H
#define STRAND_STACK_DWARF_IMAGE_H

#include <stddef.h>

#include "target/elf_file.h"

/* A malloc'd image; NULL if the file has no DWARF, too much of it, or it cannot be read. */
char *dwarf_image_make(const struct elf_file *f, size_t *bytes);

#endif
