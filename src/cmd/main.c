/* SPDX-License-Identifier: MIT */
/*
 * The strand program: finds the subcommand named by the first argument and runs it.
 *
 * Whatever is strand's own trouble ends with status 125 and one line on standard error,
 * `strand: what failed: why (what to do)`.
 */
#include <stdio.h>
#include <string.h>
#include "config.h"

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts(PACKAGE_STRING);
		return 0;
	}
	fputs("strand: usage: strand --version\n", stderr);
	return 125;
}
