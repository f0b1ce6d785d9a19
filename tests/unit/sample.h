/* SPDX-License-Identifier: MIT
 *
 * The file "sample" as unit tests use it: read, copied with damage, and put into a made-up memory
 * map as if the loader had mapped it. Include after cmocka.h.
 */
#ifndef STRAND_TESTS_UNIT_SAMPLE_H
#define STRAND_TESTS_UNIT_SAMPLE_H

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "target/maps.h"
#include "target/modules.h"

#define SAMPLE_BASE UINT64_C(0x555500000000)

struct sample {
	unsigned char *bytes;
	size_t size;
	char directory[64]; /* a fresh one, for copies */
	char path[128];	    /* of the copy, with a space in its name */
};

/* The sample lies beside the test program. */
static inline void sample_read(struct sample *s)
{
	char self[PATH_MAX], *slash;
	struct stat st;
	ssize_t n;
	int fd;

	n = readlink("/proc/self/exe", self, sizeof(self) - 8);
	assert_true(n > 0);
	self[n] = 0;
	slash = strrchr(self, '/');
	strcpy(slash + 1, "sample");
	fd = open(self, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	s->size = (size_t)st.st_size;
	s->bytes = malloc(s->size);
	assert_non_null(s->bytes);
	assert_int_equal(read(fd, s->bytes, s->size), (ssize_t)s->size);
	close(fd);
	strcpy(s->directory, "/tmp/strand-unit-XXXXXX");
	assert_non_null(mkdtemp(s->directory));
	snprintf(s->path, sizeof(s->path), "%s/a sample", s->directory);
}

static inline void sample_end(struct sample *s)
{
	unlink(s->path);
	rmdir(s->directory);
	free(s->bytes);
}

static inline void sample_write(const struct sample *s, const void *bytes, size_t size)
{
	int fd = open(s->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

/* A map in which the undamaged sample's segments lie at `base`, all of the file at s->path. */
static inline void sample_map(const struct sample *s, uint64_t base, struct maps *out)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)s->bytes;
	const Elf64_Phdr *p = (const Elf64_Phdr *)(s->bytes + h->e_phoff);
	char *text = malloc(16384);
	struct stat st;
	struct err e;
	size_t n = 0;

	assert_int_equal(stat(s->path, &st), 0);
	for (int i = 0; i < h->e_phnum; i++) {
		uint64_t start = base + (p[i].p_vaddr & ~4095ull);
		uint64_t end = base + ((p[i].p_vaddr + p[i].p_filesz + 4095) & ~4095ull);

		if (p[i].p_type != PT_LOAD)
			continue;
		n += (size_t)sprintf(
			text + n, "%" PRIx64 "-%" PRIx64 " r%c%cp %08" PRIx64 " %02x:%02x %lu %s\n",
			start, end, p[i].p_flags & PF_W ? 'w' : '-',
			p[i].p_flags & PF_X ? 'x' : '-', (uint64_t)(p[i].p_offset & ~4095ull),
			major(st.st_dev), minor(st.st_dev), (unsigned long)st.st_ino, s->path);
	}
	assert_int_equal(maps_parse(text, out, &e), 0);
}

/* The same damage for the same seed, on every machine. */
static inline uint32_t sample_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

/* Write a copy with a few bytes damaged, most of them in the headers and tables. */
static inline void sample_write_damaged(const struct sample *s, uint64_t *seed)
{
	unsigned char *copy = malloc(s->size);
	size_t size = s->size, at, reach;
	unsigned changes = 1 + sample_random(seed) % 8;

	assert_non_null(copy);
	memcpy(copy, s->bytes, size);
	reach = (const size_t[]){ 64, 1024, 4096, size }[sample_random(seed) % 4];
	for (unsigned i = 0; i < changes; i++) {
		at = sample_random(seed) % reach;
		if (reach == 4096)
			at = size - 1 - at; /* section headers */
		switch (sample_random(seed) % 4) {
		case 0:
			copy[at] ^= (unsigned char)(1u << sample_random(seed) % 8);
			break;
		case 1:
			copy[at] = (unsigned char)sample_random(seed);
			break;
		case 2:
			copy[at] = 0xff;
			break;
		default:
			memset(copy + at, 0xff, size - at < 8 ? size - at : 8);
		}
	}
	if (sample_random(seed) % 16 == 0)
		size = sample_random(seed) % size;
	sample_write(s, copy, size);
	free(copy);
}

#endif
