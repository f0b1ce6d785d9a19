/* SPDX-License-Identifier: MIT
 *
 * A step by libdwfl, for modules that describe their frames in .debug_frame only.
 *
 * libdwfl sees images of the modules that hold just that section, and looks for no other files.
 * It unwinds whole threads: it is given one thread, with the registers at hand, and
 * stopped after its second frame.
 */
#include "stack/cfi_check.h"
#include "stack/dwarf_image.h"
#include "stack/unwind_steps.h"

#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

/* A module that has a .debug_frame: what libdwfl sees of it. */
struct described {
	const struct module *module;
	char *image; /* NULL: it has none */
	size_t bytes;
};

struct unwind_dwfl {
	Dwfl *dwfl;
	struct unwinder *u;
	struct described *described;  /* by number of module */
	const struct unwind_regs *in; /* of the step under way */
	struct unwind_regs *out;
	int frames;
	bool found;
};

static int find_elf(Dwfl_Module *mod, void **user, const char *name, Dwarf_Addr base,
		    char **file_name, Elf **elf)
{
	const struct described *m = *user;

	(void)mod;
	(void)name;
	(void)base;
	*elf = elf_memory(m->image, m->bytes);
	*file_name = strdup(m->module->name);
	return -1;
}

static int find_debuginfo(Dwfl_Module *mod, void **user, const char *name, Dwarf_Addr base,
			  const char *file, const char *link, GElf_Word crc, char **out)
{
	(void)mod;
	(void)user;
	(void)name;
	(void)base;
	(void)file;
	(void)link;
	(void)crc;
	(void)out;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = find_elf,
	.find_debuginfo = find_debuginfo,
};

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	(void)dwfl;
	if (*thread_arg)
		return 0;
	*thread_arg = arg;
	return 1;
}

static bool memory_word(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *out, void *arg)
{
	struct unwind_dwfl *d = arg;

	(void)dwfl;
	return unwind_read(d->u, address, out, sizeof(*out));
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	struct unwind_dwfl *d = arg;
	Dwarf_Word v[UNWIND_REGISTERS];

	for (int i = 0; i < UNWIND_REGISTERS; i++)
		v[i] = d->in->v[i];
	/* The first frame's ip is looked up as it is. */
	v[UNWIND_RIP] = unwind_code_address(d->in);
	return dwfl_thread_state_registers(thread, 0, UNWIND_REGISTERS, v);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.memory_read = memory_word,
	.set_initial_registers = set_registers,
};

static int take_frame(Dwfl_Frame *frame, void *arg)
{
	struct unwind_dwfl *d = arg;
	Dwarf_Addr pc;
	Dwarf_Word v;

	if (d->frames++ == 0)
		return DWARF_CB_OK;
	if (!dwfl_frame_pc(frame, &pc, NULL))
		return DWARF_CB_ABORT;
	for (unsigned i = 0; i < UNWIND_RIP; i++)
		d->out->v[i] = dwfl_frame_reg(frame, i, &v) ? 0 : v;
	d->out->v[UNWIND_RIP] = pc;
	d->found = true;
	return DWARF_CB_ABORT;
}

/* Load the module's .debug_frame, if there is one that libdwfl may be given. */
static void load_debug_frame(struct described *d, const struct module *m)
{
	static const char *const names[] = { ".debug_frame" };
	const void *data;
	size_t n;

	d->module = m;
	if (m->file)
		d->image = dwarf_image_make(m->file, names, 1, 1, &d->bytes);
	if (!d->image)
		return;
	data = dwarf_image_section(d->image, 0, &n);
	if (cfi_check_debug_frame(data, n))
		return;
	free(d->image);
	d->image = NULL;
}

/* Tell libdwfl of the modules that have a .debug_frame. */
static bool report_modules(struct unwind_dwfl *d, const struct modules *mods)
{
	size_t n = modules_count(mods);
	Dwfl_Module *mod;
	bool any = false;
	void **user;

	dwfl_report_begin(d->dwfl);
	for (size_t i = 0; i < n; i++) {
		const struct module *m = modules_get(mods, i);

		load_debug_frame(&d->described[i], m);
		if (!d->described[i].image)
			continue;
		mod = dwfl_report_module(d->dwfl, m->name, m->start, m->end);
		if (!mod)
			continue;
		any = true;
		dwfl_module_info(mod, &user, NULL, NULL, NULL, NULL, NULL, NULL);
		*user = &d->described[i];
	}
	return !dwfl_report_end(d->dwfl, NULL, NULL) && any;
}

static struct unwind_dwfl *dwfl_side(struct unwinder *u)
{
	struct unwind_dwfl *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	u->dwfl = d;
	d->u = u;
	d->described = calloc(modules_count(u->mods) + 1, sizeof(*d->described));
	if (!d->described)
		return d;
	elf_version(EV_CURRENT);
	d->dwfl = dwfl_begin(&callbacks);
	if (d->dwfl && (!report_modules(d, u->mods) ||
			!dwfl_attach_state(d->dwfl, NULL, 1, &thread_callbacks, d))) {
		dwfl_end(d->dwfl);
		d->dwfl = NULL;
	}
	return d;
}

void unwind_dwfl_free(struct unwind_dwfl *d)
{
	if (!d)
		return;
	if (d->dwfl)
		dwfl_end(d->dwfl);
	for (size_t i = 0; d->described && i < modules_count(d->u->mods); i++)
		free(d->described[i].image);
	free(d->described);
	free(d);
}

/* Does .debug_frame describe `pc`? Otherwise libdwfl would guess by the frame pointer. */
static bool is_described(struct unwind_dwfl *d, uint64_t pc)
{
	Dwfl_Module *mod = dwfl_addrmodule(d->dwfl, pc);
	Dwarf_Frame *frame;
	Dwarf_Addr bias;
	Dwarf_CFI *cfi;
	bool found;

	cfi = mod ? dwfl_module_dwarf_cfi(mod, &bias) : NULL;
	if (!cfi || dwarf_cfi_addrframe(cfi, pc - bias, &frame))
		return false;
	found = frame != NULL;
	free(frame);
	return found;
}

enum unwind_step unwind_step_dwfl(struct unwinder *u, struct unwind_regs *r)
{
	const struct module *m = modules_find(u->mods, unwind_code_address(r));
	struct unwind_dwfl *d = u->dwfl;
	struct unwind_regs in = *r;

	if (!m)
		return UNWIND_UNKNOWN;
	if (!d)
		d = dwfl_side(u);
	if (!d || !d->dwfl || !d->described[m - modules_get(u->mods, 0)].image ||
	    !is_described(d, in.v[UNWIND_RIP] - !in.exact))
		return UNWIND_UNKNOWN;
	d->in = &in;
	d->out = r;
	d->frames = 0;
	d->found = false;
	dwfl_getthread_frames(d->dwfl, 1, take_frame, d);
	if (d->found)
		return UNWIND_OK;
	*r = in;
	return UNWIND_UNKNOWN;
}
