/* SPDX-License-Identifier: MIT
 *
 * A step by libunwind over our accessors.
 *
 * The library is asked for a single step at a time, from registers in a struct to registers in a
 * struct; a return address is handed in minus 1, so that the description of the call applies.
 * Its cache of parsed descriptions, kept by address, makes equal stacks cheap. The search for
 * the description is ours: the library is shown a table with the one entry that was found, at an
 * address where no program can have memory.
 */
#include "stack/unwind_steps.h"

#include <libunwind.h>
#include <stdlib.h>
#include <string.h>

/* In the hole of the address space that the processor leaves. */
#define TABLE_ADDRESS UINT64_C(0xff00000000000000)

struct table_entry {
	int32_t start, fde;
};

struct unwind_cfi {
	unw_addr_space_t space;
	struct unwinder *u;
	const struct unwind_regs *regs;
	struct table_entry entry;
	enum cfi_answer answer; /* of the last search */
};

/* Exported by libunwind for its own ptrace and core file readers, in no header. */
extern int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t, unw_word_t, unw_dyn_info_t *,
					      unw_proc_info_t *, int, void *);

static struct cfi *module_table(struct unwinder *u, const struct module *m)
{
	size_t i = (size_t)(m - modules_get(u->mods, 0));

	if (!u->tables[i] && m->file)
		u->tables[i] = cfi_open(m->file);
	return u->tables[i];
}

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *pi, int need,
			  void *arg)
{
	struct unwind_cfi *c = arg;
	const struct module *m = modules_find(c->u->mods, ip);
	struct cfi *table = m ? module_table(c->u, m) : NULL;
	struct cfi_entry found;
	unw_dyn_info_t di;
	int64_t distance;

	c->answer = table ? cfi_find(table, ip - m->bias, &found) : CFI_NONE;
	if (c->answer != CFI_FOUND)
		return -UNW_ENOINFO;
	distance = (int64_t)(found.fde - found.start);
	if (distance != (int32_t)distance) {
		c->answer = CFI_BAD;
		return -UNW_ENOINFO;
	}
	c->entry = (struct table_entry){ 0, (int32_t)distance };
	memset(&di, 0, sizeof(di));
	di.format = UNW_INFO_FORMAT_REMOTE_TABLE;
	di.start_ip = found.start + m->bias;
	di.end_ip = found.end + m->bias;
	di.u.rti.segbase = di.start_ip;
	di.u.rti.table_data = TABLE_ADDRESS;
	di.u.rti.table_len = sizeof(c->entry) / sizeof(unw_word_t);
	return UNW_OBJ(dwarf_search_unwind_table)(space, ip, &di, pi, need, arg);
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *pi, void *arg)
{
	(void)space;
	(void)pi;
	(void)arg;
}

static int get_dyn_info(unw_addr_space_t space, unw_word_t *out, void *arg)
{
	(void)space;
	(void)out;
	(void)arg;
	return -UNW_ENOINFO;
}

static int access_mem(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int write,
		      void *arg)
{
	struct unwind_cfi *c = arg;

	(void)space;
	if (write)
		return -UNW_EREADONLYREG;
	if (address == TABLE_ADDRESS) {
		memcpy(value, &c->entry, sizeof(*value));
		return 0;
	}
	return unwind_read(c->u, address, value, sizeof(*value)) ? 0 : -UNW_EINVAL;
}

static int access_reg(unw_addr_space_t space, unw_regnum_t reg, unw_word_t *value, int write,
		      void *arg)
{
	struct unwind_cfi *c = arg;

	(void)space;
	if (write)
		return -UNW_EREADONLYREG;
	if (reg < 0 || reg >= UNWIND_REGISTERS)
		return -UNW_EBADREG;
	*value = c->regs->v[reg];
	return 0;
}

static int access_fpreg(unw_addr_space_t space, unw_regnum_t reg, unw_fpreg_t *value, int write,
			void *arg)
{
	(void)space;
	(void)reg;
	(void)value;
	(void)write;
	(void)arg;
	return -UNW_EBADREG;
}

static int resume(unw_addr_space_t space, unw_cursor_t *cursor, void *arg)
{
	(void)space;
	(void)cursor;
	(void)arg;
	return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t space, unw_word_t address, char *buf, size_t size,
			 unw_word_t *offset, void *arg)
{
	(void)space;
	(void)address;
	(void)buf;
	(void)size;
	(void)offset;
	(void)arg;
	return -UNW_ENOINFO;
}

static unw_accessors_t accessors = {
	.find_proc_info = find_proc_info,
	.put_unwind_info = put_unwind_info,
	.get_dyn_info_list_addr = get_dyn_info,
	.access_mem = access_mem,
	.access_reg = access_reg,
	.access_fpreg = access_fpreg,
	.resume = resume,
	.get_proc_name = get_proc_name,
};

static struct unwind_cfi *cfi_side(struct unwinder *u)
{
	struct unwind_cfi *c;

	if (u->cfi)
		return u->cfi;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->space = unw_create_addr_space(&accessors, 0);
	if (!c->space) {
		free(c);
		return NULL;
	}
	unw_set_caching_policy(c->space, UNW_CACHE_GLOBAL);
	c->u = u;
	u->cfi = c;
	return c;
}

void unwind_cfi_free(struct unwind_cfi *c)
{
	if (!c)
		return;
	unw_destroy_addr_space(c->space);
	free(c);
}

enum unwind_step unwind_step_cfi(struct unwinder *u, struct unwind_regs *r)
{
	struct unwind_cfi *c = cfi_side(u);
	struct unwind_regs in = *r;
	unw_cursor_t cursor;
	int got;

	if (!c)
		return UNWIND_FAILED;
	in.v[UNWIND_RIP] = unwind_code_address(r);
	c->regs = &in;
	c->answer = CFI_FOUND; /* stays so if the library has it in its cache */
	if (unw_init_remote(&cursor, c->space, c) < 0)
		return UNWIND_FAILED;
	got = unw_step(&cursor);
	if (c->answer == CFI_NONE)
		return UNWIND_UNKNOWN;
	if (c->answer == CFI_BAD || got < 0)
		return UNWIND_FAILED;
	if (got == 0)
		return UNWIND_END;
	for (int i = 0; i < UNWIND_REGISTERS; i++)
		if (unw_get_reg(&cursor, i, &r->v[i]) < 0)
			r->v[i] = 0;
	return UNWIND_OK;
}
