/* SPDX-License-Identifier: MIT
 *
 * A machine with a small stack. Expressions are other people's data: what is not known, or takes more
 * room than there is, ends in "nowhere".
 */
#include "stack/dwarf_location.h"

#include <dwarf.h>

#define OPERATIONS_MAX 32
#define STACK_MAX      8

struct machine {
	const struct dwarf_frame_context *c;
	Dwarf_Die *function; /* for DW_OP_fbreg; NULL: there is no frame base */
	uint64_t stack[STACK_MAX];
	size_t n;
	bool is_value; /* what is on top is the value, not its address */
};

static bool machine_push(struct machine *m, uint64_t value)
{
	if (m->n == STACK_MAX)
		return false;
	m->stack[m->n++] = value;
	return true;
}

static bool machine_push_register(struct machine *m, uint64_t number, int64_t offset)
{
	const struct unwind_registers *r = m->c->registers;

	if (!r || number >= UNWIND_REGISTERS_KEPT || !(r->known >> number & 1))
		return false;
	return machine_push(m, r->v[number] + (uint64_t)offset);
}

static bool machine_push_frame_base(struct machine *m, int64_t offset);

static bool machine_dereference(struct machine *m)
{
	uint64_t word;

	if (!m->n ||
	    m->c->read(m->c->read_ctx, m->stack[m->n - 1], &word, sizeof(word)) != sizeof(word))
		return false;
	m->stack[m->n - 1] = word;
	return true;
}

/* The two upper words become one. */
static bool machine_combine(struct machine *m, int sign)
{
	if (m->n < 2)
		return false;
	m->n--;
	m->stack[m->n - 1] += sign * m->stack[m->n];
	return true;
}

static bool machine_run_one(struct machine *m, const Dwarf_Op *op)
{
	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31)
		return machine_push_register(m, op->atom - DW_OP_breg0, (int64_t)op->number);
	if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31)
		return machine_push(m, op->atom - DW_OP_lit0);
	switch (op->atom) {
	case DW_OP_addr:
		return machine_push(m, op->number + m->c->bias);
	case DW_OP_fbreg:
		return machine_push_frame_base(m, (int64_t)op->number);
	case DW_OP_call_frame_cfa:
		return m->c->cfa && machine_push(m, m->c->cfa);
	case DW_OP_bregx:
		return machine_push_register(m, op->number, (int64_t)op->number2);
	case DW_OP_const1u:
	case DW_OP_const2u:
	case DW_OP_const4u:
	case DW_OP_const8u:
	case DW_OP_const1s:
	case DW_OP_const2s:
	case DW_OP_const4s:
	case DW_OP_const8s:
	case DW_OP_constu:
	case DW_OP_consts:
		return machine_push(m, op->number);
	case DW_OP_plus_uconst:
		return machine_push(m, op->number) && machine_combine(m, 1);
	case DW_OP_plus:
		return machine_combine(m, 1);
	case DW_OP_minus:
		return machine_combine(m, -1);
	case DW_OP_deref:
		return machine_dereference(m);
	default:
		return false;
	}
}

static bool machine_run(struct machine *m, const Dwarf_Op *v, size_t n)
{
	if (!n || n > OPERATIONS_MAX)
		return false;
	if (n == 1 && v[0].atom >= DW_OP_reg0 && v[0].atom <= DW_OP_reg31) {
		m->is_value = true;
		return machine_push_register(m, v[0].atom - DW_OP_reg0, 0);
	}
	for (size_t i = 0; i < n; i++) {
		if (v[i].atom == DW_OP_stack_value && i + 1 == n)
			m->is_value = true;
		else if (!machine_run_one(m, &v[i]))
			return false;
	}
	return m->n > 0;
}

/* The expression of an attribute that applies at vaddr. */
static bool machine_run_attribute(struct machine *m, Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute a;
	Dwarf_Op *ops;
	size_t n;

	return dwarf_attr_integrate(die, name, &a) &&
	       dwarf_getlocation_addr(&a, m->c->vaddr, &ops, &n, 1) == 1 && machine_run(m, ops, n);
}

static bool machine_push_frame_base(struct machine *m, int64_t offset)
{
	struct machine base = { .c = m->c };

	return m->function && machine_run_attribute(&base, m->function, DW_AT_frame_base) &&
	       machine_push(m, base.stack[base.n - 1] + (uint64_t)offset);
}

enum dwarf_place dwarf_location_find(Dwarf_Die *die, Dwarf_Die *function,
				     const struct dwarf_frame_context *c, uint64_t *value)
{
	struct machine m = { .c = c, .function = function };

	if (!machine_run_attribute(&m, die, DW_AT_location))
		return DWARF_NOWHERE;
	*value = m.stack[m.n - 1];
	return m.is_value ? DWARF_VALUE : DWARF_MEMORY;
}

bool dwarf_location_is_static(Dwarf_Die *die, uint64_t *vaddr)
{
	Dwarf_Attribute a;
	Dwarf_Op *ops;
	size_t n;

	if (!dwarf_attr(die, DW_AT_location, &a) || dwarf_getlocation(&a, &ops, &n) || n != 1 ||
	    ops[0].atom != DW_OP_addr)
		return false;
	*vaddr = ops[0].number;
	return true;
}
