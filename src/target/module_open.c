/* SPDX-License-Identifier: MIT
 *
 * Opening the files of another process without being fooled by it: a path is first opened with
 * O_PATH (no side effects, no blocking on a pipe), must be the regular file of the mapping by
 * device and inode, and only then is opened for reading.
 */
#include "target/module_open.h"
#include "target/elf_file.h"
#include "target/memory.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define VDSO_BYTES_MAX	  (1u << 20)
#define COMPARE_BYTES	  65536
#define COMPARE_BYTES_MAX (1u << 20)

static uint64_t read_entry(pid_t pid)
{
	Elf64_auxv_t v[64];
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, v, sizeof(v));
	close(fd);
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(v[0]); i++)
		if (v[i].a_type == AT_ENTRY)
			return v[i].a_un.a_val;
	return 0;
}

void module_opener_init(struct module_opener *o, pid_t pid)
{
	char path[64];
	struct stat st;

	memset(o, 0, sizeof(*o));
	o->pid = pid;
	o->entry = read_entry(pid);
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	if (!stat(path, &st)) {
		o->exe_dev = st.st_dev;
		o->exe_inode = st.st_ino;
	}
}

/* `path` opened for reading if it is a regular file, else -1. */
static int open_regular(const char *path, struct stat *st)
{
	int fd = -1, look = open(path, O_PATH | O_CLOEXEC);
	char self[64];

	if (look < 0)
		return -1;
	if (!fstat(look, st) && S_ISREG(st->st_mode)) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
		fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	}
	close(look);
	return fd;
}

/* Does the file hold what is mapped? */
static bool same_bytes(pid_t pid, const struct mapping *map, int fd)
{
	uint64_t bytes = map->end - map->start, at, n;
	char *a = malloc(2 * COMPARE_BYTES), *b = a + COMPARE_BYTES;
	bool same = a != NULL;

	if (bytes > COMPARE_BYTES_MAX)
		bytes = COMPARE_BYTES_MAX;
	for (at = 0; same && at < bytes; at += n) {
		n = bytes - at < COMPARE_BYTES ? bytes - at : COMPARE_BYTES;
		memset(b, 0, n); /* the rest of a file's last page */
		same = pread(fd, b, n, (off_t)(map->offset + at)) > 0 &&
		       memory_read(pid, map->start + at, a, n) == n && !memcmp(a, b, n);
	}
	free(a);
	return same;
}

/* `path` opened for reading if that is the file that `map` maps, else -1. Some file systems
 * (btrfs, overlays) show another device or inode in stat than in maps: then the bytes decide. */
static int open_checked(pid_t pid, const struct mapping *map, const char *path)
{
	struct stat st;
	int fd = open_regular(path, &st);

	if (fd < 0 ||
	    (st.st_ino == map->inode && st.st_dev == makedev(map->dev_major, map->dev_minor)) ||
	    same_bytes(pid, map, fd))
		return fd;
	close(fd);
	return -1;
}

static int open_mapped_file(const struct module_opener *o, const struct mapping *map)
{
	char path[PATH_MAX + 64];
	struct stat st;
	int fd, n;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)o->pid,
		 (unsigned long long)map->start, (unsigned long long)map->end);
	fd = open_regular(path, &st);
	if (fd >= 0)
		return fd;
	n = snprintf(path, sizeof(path), "/proc/%d/root%s", (int)o->pid, map->path);
	fd = n > 0 && (size_t)n < sizeof(path) ? open_checked(o->pid, map, path) : -1;
	if (fd >= 0 || map->inode != o->exe_inode)
		return fd;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)o->pid);
	return open_checked(o->pid, map, path);
}

static size_t read_process(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	return memory_read(((const struct module_opener *)ctx)->pid, address, buf, bytes);
}

int module_open_vdso(const struct memory_source *memory, const struct mapping *map)
{
	size_t bytes = map->end - map->start;
	void *copy;
	int fd = -1;

	if (bytes > VDSO_BYTES_MAX)
		return -1;
	copy = malloc(bytes);
	if (copy && source_read(memory, map->start, copy, bytes))
		fd = memfd_create("strand-vdso", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, copy, bytes) != (ssize_t)bytes) {
		close(fd);
		fd = -1;
	}
	free(copy);
	return fd;
}

bool module_same_file(const struct mapping *a, const struct mapping *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && !strcmp(a->path, b->path);
}

int module_open_file(const struct module_opener *o, const struct maps *maps,
		     const struct mapping *map, struct elf_file **out)
{
	const struct memory_source memory = { read_process, (void *)o };
	int fd, code;

	*out = NULL;
	fd = map->inode ? open_mapped_file(o, map) : module_open_vdso(&memory, map);
	if (fd < 0 && map->inode)
		fd = module_copy_file(o->pid, maps, map);
	if (fd < 0)
		return 0;
	code = elf_file_open(fd, out);
	if (code)
		close(fd);
	return code;
}

bool module_is_executable_file(const struct module_opener *o, const struct module *m)
{
	struct stat st;

	return o->exe_inode && m->fd >= 0 && !fstat(m->fd, &st) && st.st_ino == o->exe_inode &&
	       st.st_dev == o->exe_dev;
}
