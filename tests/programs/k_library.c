/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * lost: cond-wait
 * load: yes
 * looks: 25
 * ends: quit
 * args: data | locals | locals_main | far_locals | other_data | other_block | other_locals
 * library: lib_keep
 * variants: -O2
 * long: -O0
 *
 * What it is: the only pointer to the gate is in the data of a library that was loaded while the
 * program ran, in the thread-locals that it has in one thread, or, loaded once more in a namespace of
 * its own, in a block of the other C library's. What a careless prover gets wrong: it knows static
 * thread-locals only; those of such a library lie in a block that only the thread's own vector,
 * itself a block, refers to; it knows one malloc, and takes what another one keeps for free.
 */
#include "keep.h"
#include <dlfcn.h>
#include <limits.h>

static void **(*place_of)(void);

/* The library lies beside the program. */
static void *load(bool apart)
{
	char path[PATH_MAX + 16];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
	void *library;

	PROG_CHECK(n > 0);
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, "lib_keep.so");
	library = dlmopen(apart ? LM_ID_NEWLM : LM_ID_BASE, path, RTLD_NOW);
	if (!library)
		fprintf(stderr, "%s\n", dlerror());
	PROG_CHECK(library);
	return library;
}

static void *symbol(bool apart, const char *name)
{
	void *address = dlsym(load(apart), name);

	PROG_CHECK(address);
	return address;
}

static void **data;

static void keep_data(struct gate *gate)
{
	data = symbol(false, "lib_global");
	*data = gate;
}

static void keep_other_data(struct gate *gate)
{
	data = symbol(true, "lib_global");
	*data = gate;
}

static void keep_other_block(struct gate *gate)
{
	place_of = (void **(*)(void))symbol(true, "lib_block_place");
	*place_of() = gate;
}

static struct gate *give_data(void)
{
	struct gate *gate = *data;

	*data = NULL;
	return gate;
}

static struct gate *give_from_place(void)
{
	struct gate *gate = *place_of();

	*place_of() = NULL;
	return gate;
}

/* Each thread has its own. */
static REACH_APART void take_to_place(void)
{
	*place_of() = keep_take();
}

static REACH_APART void give_own_place(void)
{
	keep_box = give_from_place();
}

static void *hold_in_place(void *arg)
{
	take_to_place();
	reach_forget();
	keep_wait();
	give_own_place();
	reach_forget();
	keep_wait();
	return arg;
}

static void keep_locals(struct gate *gate)
{
	place_of = (void **(*)(void))symbol(false, "lib_local_place");
	keep_holder(hold_in_place, gate, NULL);
}

static void keep_far_locals(struct gate *gate)
{
	place_of = (void **(*)(void))symbol(false, "lib_far_local_place");
	keep_holder(hold_in_place, gate, NULL);
}

static void keep_other_locals(struct gate *gate)
{
	place_of = (void **(*)(void))symbol(true, "lib_local_place");
	keep_holder(hold_in_place, gate, NULL);
}

static void keep_locals_main(struct gate *gate)
{
	place_of = (void **(*)(void))symbol(false, "lib_local_place");
	*place_of() = gate;
}

static const struct place places[] = {
	{ "data", keep_data, give_data, NULL },
	{ "locals", keep_locals, keep_ask_holder, NULL },
	{ "locals_main", keep_locals_main, give_from_place, NULL },
	{ "far_locals", keep_far_locals, keep_ask_holder, NULL },
	{ "other_data", keep_other_data, give_data, NULL },
	{ "other_block", keep_other_block, give_from_place, NULL },
	{ "other_locals", keep_other_locals, keep_ask_holder, NULL },
};

KEEP_MAIN(places)
