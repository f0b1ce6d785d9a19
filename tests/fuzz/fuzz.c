/* SPDX-License-Identifier: MIT
 *
 * See fuzz.h. Seeds go to the folder $FUZZ_SEEDS before the corpus is read, so that a target can
 * make them with the code that makes the real thing; files that are only there for a moment to
 * $FUZZ_TEMP. Who runs the target removes both: it may end at any moment.
 */
#include "fuzz.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

static void fuzz_die(const char *what)
{
	perror(what);
	exit(2); /* no crash: nothing is to be learned from the input */
}

static void fuzz_write(int fd, const void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, (const char *)data + done, size - done);

		if (n < 0 && errno != EINTR)
			fuzz_die("write");
		if (n > 0)
			done += (size_t)n;
	}
}

void fuzz_seed(const void *data, size_t size)
{
	static unsigned number;
	const char *folder = getenv("FUZZ_SEEDS");
	char path[4096];
	int fd;

	if (!folder)
		return;
	snprintf(path, sizeof(path), "%s/seed-%u", folder, number++);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		fuzz_die(path);
	fuzz_write(fd, data, size);
	close(fd);
}

void fuzz_seed_file(const char *path, size_t most)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *data = malloc(most + 1);
	size_t size = 0;
	ssize_t n = 0;

	while (fd >= 0 && data && size <= most) {
		n = read(fd, data + size, most + 1 - size);
		if (n <= 0)
			break;
		size += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	if (data && n == 0 && size > 0)
		fuzz_seed(data, size);
	free(data);
}

int fuzz_file(const void *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0)
		fuzz_die("memfd_create");
	fuzz_write(fd, data, size);
	return fd;
}

const char *fuzz_path(const void *data, size_t size)
{
	static char path[4096];
	static int fd = -1;
	const char *folder = getenv("FUZZ_TEMP");

	if (fd < 0) {
		snprintf(path, sizeof(path), "%s/input", folder ? folder : ".");
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	}
	if (fd < 0 || ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
		fuzz_die(path);
	fuzz_write(fd, data, size);
	return path;
}

const uint8_t *fuzz_vdso(size_t *size)
{
	const uint8_t *image = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)image;

	*size = image ? header->e_shoff + (size_t)header->e_shnum * header->e_shentsize : 0;
	return image;
}

uint64_t fuzz_take(const uint8_t **data, size_t *size, size_t bytes)
{
	uint64_t value = 0;
	size_t n = bytes < *size ? bytes : *size;

	memcpy(&value, *data, n);
	*data += n;
	*size -= n;
	return value;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (fuzz_make_seeds)
		fuzz_make_seeds();
	return 0;
}
