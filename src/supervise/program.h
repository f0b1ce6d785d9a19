/* SPDX-License-Identifier: MIT
 *
 * The program to be run, before it runs: where it is, whether it can be executed, and whether the
 * shim can come in front of it. What is said here is for people; the kernel decides.
 */
#ifndef STRAND_SUPERVISE_PROGRAM_H
#define STRAND_SUPERVISE_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"

enum program_shim {
	PROGRAM_TAKES_SHIM,
	PROGRAM_IGNORES_SHIM, /* static, setuid: the loader or nobody drops it */
	PROGRAM_BREAKS_SHIM,  /* another C library, another architecture: the loader complains or
			       * gives up, so it must not be offered */
};

/* Find `name` as execvp() would. ERR_NOT_FOUND, ERR_NOT_EXECUTABLE. */
int program_find(const char *name, char *path, size_t size, struct err *e);

/* Can the shim be preloaded into the program at `path`? *why, if not, completes "the shim could
 * not be loaded: " (static string). Scripts are judged by their interpreter. */
enum program_shim program_examine(const char *path, const char **why);

/* Shells and the tools of the Go toolchain, by the path of the program: followed, not judged. */
bool program_is_tool(const char *exe);

/* Where libstrand.so is: beside strand's own program, in ../lib/strand/ of it, or where it was
 * installed. ERR_NOT_FOUND if nowhere. */
int program_find_shim(char *path, size_t size, struct err *e);

#endif
