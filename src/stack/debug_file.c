/* SPDX-License-Identifier: MIT
 *
 * The search for debug files. Names in ELF files are other people's: only regular files are
 * opened, so that a pipe cannot block strand and a device is not touched.
 */
#include "stack/debug_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEBUG_ROOT     "/usr/lib/debug"
#define LINK_BYTES_MAX (1u << 16)
#define CRC_BYTES_MAX  (1ull << 30)

/* What makes a file the right one. */
struct wanted {
	const uint8_t *build_id;
	size_t build_id_bytes; /* 0: the checksum decides */
	uint32_t crc;
	const struct elf_file * not ; /* the module itself is no debug file of its own */
};

static struct elf_file *open_regular(const char *path)
{
	int look = open(path, O_PATH | O_CLOEXEC), fd = -1;
	struct elf_file *f = NULL;
	struct stat st;
	char self[64];

	if (look < 0)
		return NULL;
	if (!fstat(look, &st) && S_ISREG(st.st_mode)) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
		fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	}
	close(look);
	if (fd >= 0 && elf_file_open(fd, &f))
		close(fd);
	return f;
}

/* The checksum of .gnu_debuglink: the CRC-32 of IEEE 802.3, bit by bit in a table. */
static uint32_t file_crc(const struct elf_file *f)
{
	uint32_t table[256], crc = ~0u;
	uint8_t *buf = malloc(65536);
	uint64_t at = 0;
	ssize_t n;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	}
	while (buf && at < CRC_BYTES_MAX &&
	       (n = pread(elf_file_fd(f), buf, 65536, (off_t)at)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			crc = table[(crc ^ buf[i]) & 0xff] ^ crc >> 8;
		at += (uint64_t)n;
	}
	free(buf);
	return ~crc;
}

static bool same_inode(const struct elf_file *a, const struct elf_file *b)
{
	struct stat x, y;

	return !fstat(elf_file_fd(a), &x) && !fstat(elf_file_fd(b), &y) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static bool is_wanted(const struct elf_file *f, const struct wanted *w)
{
	uint8_t id[MODULE_BUILD_ID_MAX];
	size_t n;

	if (w->not &&same_inode(f, w->not ))
		return false;
	if (!w->build_id_bytes)
		return file_crc(f) == w->crc;
	n = elf_file_build_id(f, id, sizeof(id));
	return n == w->build_id_bytes && !memcmp(id, w->build_id, n);
}

/* `path` in the process's root or else in ours, if it is what is wanted. */
static struct elf_file *try_path(pid_t pid, const char *path, const struct wanted *w)
{
	char inside[PATH_MAX + 64];
	struct elf_file *f;
	int n;

	n = snprintf(inside, sizeof(inside), "/proc/%d/root%s", (int)pid, path);
	for (int own = pid ? 0 : 1; own < 2; own++) {
		if (!own && (n < 0 || (size_t)n >= sizeof(inside)))
			continue;
		f = open_regular(own ? path : inside);
		if (f && is_wanted(f, w))
			return f;
		elf_file_close(f);
	}
	return NULL;
}

static struct elf_file *find_by_build_id(pid_t pid, const struct wanted *w)
{
	char path[sizeof(DEBUG_ROOT) + 32 + 2 * MODULE_BUILD_ID_MAX];
	size_t at;

	if (w->build_id_bytes < 2)
		return NULL;
	at = (size_t)sprintf(path, DEBUG_ROOT "/.build-id/%02x/", w->build_id[0]);
	for (size_t i = 1; i < w->build_id_bytes; i++)
		at += (size_t)sprintf(path + at, "%02x", w->build_id[i]);
	strcpy(path + at, ".debug");
	return try_path(pid, path, w);
}

/* The name and checksum in .gnu_debuglink; the name is malloc'd. */
static char *read_link(const struct elf_file *f, uint32_t *crc)
{
	const Elf64_Shdr *sh = elf_file_find_section(f, ".gnu_debuglink");
	char *all = sh && sh->sh_size <= LINK_BYTES_MAX ? elf_file_load_section(f, sh) : NULL;
	size_t at;

	if (!all)
		return NULL;
	at = (strlen(all) + 4) & ~(size_t)3;
	if (*all && !strchr(all, '/') && at + 4 <= sh->sh_size) {
		memcpy(crc, all + at, 4);
		return all;
	}
	free(all);
	return NULL;
}

static struct elf_file *find_by_link(const struct module *m, pid_t pid, struct wanted *w)
{
	static const char *const forms[] = { "%.*s/%s", "%.*s/.debug/%s", DEBUG_ROOT "%.*s/%s" };
	char *name = read_link(m->file, &w->crc);
	const char *slash = strrchr(m->path, '/');
	struct elf_file *f = NULL;
	char path[PATH_MAX];
	int n;

	for (size_t i = 0; name && slash && !f && i < sizeof(forms) / sizeof(forms[0]); i++) {
		n = snprintf(path, sizeof(path), forms[i], (int)(slash - m->path), m->path, name);
		if (n > 0 && (size_t)n < sizeof(path))
			f = try_path(pid, path, w);
	}
	free(name);
	return f;
}

struct elf_file *debug_file_open(const struct module *m, pid_t pid)
{
	struct wanted w = { m->build_id, m->build_id_bytes, 0, m->file };
	struct elf_file *f;

	if (!m->file || m->path[0] != '/')
		return NULL;
	f = find_by_build_id(pid, &w);
	return f ? f : find_by_link(m, pid, &w);
}

struct elf_file *debug_file_open_shared(const struct elf_file *f, pid_t pid, const char *name,
					const void *build_id, size_t build_id_bytes)
{
	struct wanted w = { build_id, build_id_bytes, 0, f };
	char self[64], own[PATH_MAX], path[2 * PATH_MAX];
	struct elf_file *found;
	char *slash;
	ssize_t n;

	if (!build_id_bytes || build_id_bytes > MODULE_BUILD_ID_MAX)
		return NULL;
	found = find_by_build_id(pid, &w);
	if (found || name[0] == '/')
		return found ? found : try_path(pid, name, &w);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", elf_file_fd(f));
	n = readlink(self, own, sizeof(own) - 1);
	if (n <= 0)
		return NULL;
	own[n] = 0;
	slash = strrchr(own, '/');
	if (!slash || strlen(name) >= PATH_MAX)
		return NULL;
	snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - own), own, name);
	return try_path(pid, path, &w);
}
