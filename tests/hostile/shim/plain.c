/* SPDX-License-Identifier: MIT
 *
 * Threads that work, and a little on the heap: what is built or started in unusual ways. It says
 * its argument on standard error; it ends with status 3, or 0 if the argument is `zero`.
 */
#include "work.h"

int main(int argc, char **argv)
{
	char *text = (char *)malloc(100);

	PROG_CHECK(text);
	snprintf(text, 100, "the sum is %d\n", work(0));
	if (argc > 1)
		fprintf(stderr, "%s\n", argv[1]);
	fputs(text, stdout);
	free(text);
	return argc > 1 && strcmp(argv[1], "zero") == 0 ? 0 : 3;
}
