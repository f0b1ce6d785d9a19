/* SPDX-License-Identifier: MIT
 *
 * Where a program is and what it is, from the file system alone. ELF headers are read with bounds;
 * a file that is none, or a damaged one, is left to the kernel to refuse.
 */
#include "supervise/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SHIM_NAME	 "libstrand.so"
#define SCRIPT_DEPTH_MAX 4 /* as the kernel has it */
#define HEADERS_MAX	 64

/* -- finding ---------------------------------------------------------------------------------- */

/* 0, or the errno that says why it cannot be executed. */
static int program_check(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS))
		return EACCES;
	return 0;
}

static int program_refuse(const char *name, int why, struct err *e)
{
	bool missing = why == ENOENT;

	err_set_errno(e, why, "cannot run '%.300s'", name);
	if (e && missing)
		e->sys_errno = 0;
	if (e)
		e->code = missing ? ERR_NOT_FOUND : ERR_NOT_EXECUTABLE;
	return missing ? ERR_NOT_FOUND : ERR_NOT_EXECUTABLE;
}

int program_find(const char *name, char *path, size_t size, struct err *e)
{
	const char *dirs = getenv("PATH"), *end;
	int why, refused = ENOENT;

	if (strchr(name, '/') || !*name) {
		why = *name ? program_check(name) : ENOENT;
		if (!why && strlen(name) >= size)
			why = ENAMETOOLONG;
		if (why)
			return program_refuse(name, why, e);
		strcpy(path, name);
		return 0;
	}
	for (dirs = dirs ? dirs : "/bin:/usr/bin";; dirs = end + 1) {
		int n;

		end = strchrnul(dirs, ':');
		n = snprintf(path, size, "%.*s%s%s", (int)(end - dirs), dirs, end > dirs ? "/" : "",
			     name);
		why = n > 0 && (size_t)n < size ? program_check(path) : ENOENT;
		if (!why)
			return 0;
		if (why == EACCES || why == EISDIR)
			refused = why;
		if (!*end)
			return program_refuse(name, refused, e);
	}
}

static bool program_is_readable(const char *path)
{
	return access(path, R_OK) == 0;
}

int program_find_shim(char *path, size_t size, struct err *e)
{
	static const char *const places[] = { "", "../lib/strand/" };
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	own[n > 0 ? n : 0] = '\0';
	slash = strrchr(own, '/');
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		slash[1] = '\0';
		if (snprintf(path, size, "%s%s" SHIM_NAME, own, places[i]) < (int)size &&
		    program_is_readable(path))
			return 0;
	}
	if (snprintf(path, size, "%s/" SHIM_NAME, STRAND_PKGLIBDIR) < (int)size &&
	    program_is_readable(path))
		return 0;
	err_set_errno(e, ENOENT, "cannot find " SHIM_NAME " beside strand or in %s",
		      STRAND_PKGLIBDIR);
	return ERR_SYS;
}

/* -- examining -------------------------------------------------------------------------------- */

/* The interpreter named by a script's first line; false if it is no script. */
static bool program_read_interpreter(const char *head, char *path, size_t size)
{
	const char *p = head;
	size_t n;

	if (p[0] != '#' || p[1] != '!')
		return false;
	p += 2;
	p += strspn(p, " \t");
	n = strcspn(p, " \t\r\n");
	if (!n || n >= size)
		return false;
	memcpy(path, p, n);
	path[n] = '\0';
	return true;
}

/* The dynamic loader of an ELF program, "" if it has none; false if its headers are no good. */
static bool program_read_loader(int fd, const Elf64_Ehdr *h, char *loader, size_t size)
{
	Elf64_Phdr ph;

	loader[0] = '\0';
	if (h->e_phentsize != sizeof(ph) || h->e_phnum > HEADERS_MAX)
		return false;
	for (unsigned i = 0; i < h->e_phnum; i++) {
		off_t at = (off_t)(h->e_phoff + i * sizeof(ph));
		ssize_t n;

		if (pread(fd, &ph, sizeof(ph), at) != (ssize_t)sizeof(ph))
			return false;
		if (ph.p_type != PT_INTERP)
			continue;
		n = pread(fd, loader, ph.p_filesz < size ? ph.p_filesz : size - 1,
			  (off_t)ph.p_offset);
		loader[n > 0 ? n : 0] = '\0';
		return n > 0;
	}
	return true;
}

static enum program_shim program_examine_elf(int fd, const char **why)
{
	char loader[256];
	const char *base;
	Elf64_Ehdr h;

	*why = "it is a program for another architecture";
	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) ||
	    h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_machine != EM_X86_64)
		return PROGRAM_BREAKS_SHIM;
	*why = "its program headers are not what they should be";
	if (!program_read_loader(fd, &h, loader, sizeof(loader)))
		return PROGRAM_IGNORES_SHIM;
	*why = "the program is statically linked";
	if (!*loader)
		return PROGRAM_IGNORES_SHIM;
	base = strrchr(loader, '/');
	base = base ? base + 1 : loader;
	*why = "the program uses another C library than glibc (musl)";
	if (!strncmp(base, "ld-musl", 7))
		return PROGRAM_BREAKS_SHIM;
	*why = NULL;
	return PROGRAM_TAKES_SHIM;
}

/* Does the kernel raise privileges? Then the loader drops every preloaded library. */
static const char *program_raises(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return NULL;
	if ((st.st_mode & S_ISUID && st.st_uid != getuid()) ||
	    ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getgid()))
		return "the program is setuid or setgid, and the loader preloads nothing into those";
	if (fgetxattr(fd, "security.capability", NULL, 0) > 0 && getuid() != 0)
		return "the program has file capabilities, and the loader preloads nothing into "
		       "those";
	return NULL;
}

enum program_shim program_examine(const char *path, const char **why)
{
	char head[256], next[256];
	enum program_shim answer = PROGRAM_TAKES_SHIM;
	const char *raises;
	ssize_t n;

	*why = NULL;
	for (int depth = 0; depth <= SCRIPT_DEPTH_MAX; depth++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (fd < 0) /* executable but not readable */
			return PROGRAM_TAKES_SHIM;
		n = pread(fd, head, sizeof(head) - 1, 0);
		head[n > 0 ? n : 0] = '\0';
		raises = program_raises(fd);
		if (n >= 4 && !memcmp(head, ELFMAG, SELFMAG))
			answer = program_examine_elf(fd, why);
		close(fd);
		if (!program_read_interpreter(head, next, sizeof(next)))
			break;
		path = next;
		raises = NULL;
	}
	if (answer == PROGRAM_TAKES_SHIM && raises) {
		*why = raises;
		answer = PROGRAM_IGNORES_SHIM;
	}
	return answer;
}

bool program_is_tool(const char *exe)
{
	static const char *const shells[] = { "sh",   "bash", "dash", "ash",  "zsh",  "ksh",
					      "mksh", "fish", "csh",  "tcsh", "yash", "busybox" };
	static const char *const go_tools[] = { "go",  "compile", "link", "asm",     "cgo",
						"vet", "cover",	  "pack", "buildid", "gofmt" };
	const char *base = exe ? strrchr(exe, '/') : NULL;
	bool of_go = exe && (strstr(exe, "/go/") || strstr(exe, "/go-") || strstr(exe, "/go1"));

	base = base ? base + 1 : exe;
	for (size_t i = 0; base && i < sizeof(shells) / sizeof(shells[0]); i++)
		if (!strcmp(base, shells[i]))
			return true;
	for (size_t i = 0; of_go && i < sizeof(go_tools) / sizeof(go_tools[0]); i++)
		if (!strcmp(base, go_tools[i]))
			return true;
	return false;
}
