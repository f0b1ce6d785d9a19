/* SPDX-License-Identifier: MIT
 *
 * A small program that is never run: the unit tests map it, look into it, and damage copies of
 * it. It has an inlined function, static and thread-local data, types that nest, and calls into a library.
 */
#include <stdio.h>

static int sample_lock;
int sample_pool[20];
__thread int sample_own;

int sample_outer(int n);

static inline __attribute__((always_inline)) int sample_inner(int n)
{
	volatile char text[16];

	text[n & 15] = (char)n;
	return text[1] + n;
}

__attribute__((noinline)) int sample_outer(int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", sample_inner(n));
	return text[0] + sample_pool[n & 15] + sample_lock + sample_own;
}

__attribute__((noinline)) static int sample_local(int n)
{
	sample_lock++;
	return sample_outer(n) + 1;
}

int main(int argc, char **argv)
{
	(void)argv;
	return sample_local(argc) + sample_outer(argc);
}

typedef struct {
	long count;
	struct sample_node *free;
} sample_list;

union sample_tag {
	long number;
	struct sample_node *node;
};

struct sample_node {
	char name[24];
	const struct sample_node *volatile next;
	sample_list lists[3];
	union sample_tag tag;
	struct {
		short flags;
		unsigned bits : 3;
	};
	void *anything;
	struct sample_declared *declared;
	struct sample_node *children[];
};

struct sample_node sample_root;
struct sample_node *sample_top = &sample_root;
