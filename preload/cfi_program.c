/* SPDX-License-Identifier: MIT
 *
 * The instructions of call frame information, as far as they are about the frame's address, rbp and
 * the return address. What is not understood makes the register, or the frame, unknown.
 */
#include "cfi_private.h"

#define STATES	 4
#define OP_BREG0 0x70
#define OP_DEREF 0x06

static void set_offset(struct cfi_state *s, uint64_t number, int64_t offset)
{
	if (number == CFI_REGISTER_BP) {
		s->bp = CFI_BP_SAVED;
		s->bp_offset = offset;
	} else if (number == CFI_REGISTER_RA) {
		s->ra_offset = offset;
		s->ra_none = false;
		s->ra_unknown = false;
	}
}

static void set_unknown(struct cfi_state *s, uint64_t number)
{
	if (number == CFI_REGISTER_BP)
		s->bp = CFI_BP_UNKNOWN;
	else if (number == CFI_REGISTER_RA)
		s->ra_unknown = true;
}

static void set_same(struct cfi_state *s, uint64_t number)
{
	if (number == CFI_REGISTER_BP)
		s->bp = CFI_BP_SAME;
	else
		set_unknown(s, number);
}

static void set_undefined(struct cfi_state *s, uint64_t number)
{
	set_unknown(s, number);
	if (number == CFI_REGISTER_RA)
		s->ra_none = true;
}

static void restore(struct cfi_state *s, const struct cfi_state *initial, uint64_t number)
{
	if (number == CFI_REGISTER_BP) {
		s->bp = initial->bp;
		s->bp_offset = initial->bp_offset;
	} else if (number == CFI_REGISTER_RA) {
		s->ra_offset = initial->ra_offset;
		s->ra_none = initial->ra_none;
		s->ra_unknown = initial->ra_unknown;
	}
}

/* `rbp + offset` and nothing more, or with `deref` the word there. */
static bool read_at_bp(struct cfi_bytes block, bool deref, int64_t *offset)
{
	if (cfi_read_u8(&block) != OP_BREG0 + CFI_REGISTER_BP)
		return false;
	*offset = cfi_read_sleb(&block);
	if (deref && cfi_read_u8(&block) != OP_DEREF)
		return false;
	return !block.bad && block.at == block.end;
}

/* Functions that align their stack keep the frame's address and the caller's rbp this way. */
static void set_cfa_expression(struct cfi_state *s, struct cfi_bytes *b)
{
	s->cfa = read_at_bp(cfi_read_block(b), true, &s->cfa_offset) ? CFI_CFA_AT_BP
								     : CFI_CFA_UNKNOWN;
}

static void set_expression(struct cfi_state *s, struct cfi_bytes *b)
{
	uint64_t number = cfi_read_uleb(b);
	struct cfi_bytes block = cfi_read_block(b);
	int64_t offset;

	set_unknown(s, number);
	if (number == CFI_REGISTER_BP && read_at_bp(block, false, &offset)) {
		s->bp = CFI_BP_AT_BP;
		s->bp_offset = offset;
	}
}

static void set_cfa(struct cfi_state *s, uint64_t number, int64_t offset)
{
	s->cfa = CFI_CFA_SP;
	s->cfa_register = (int64_t)number;
	s->cfa_offset = offset;
}

/* The instructions about registers; false for one that is not known. */
static bool run_register(struct cfi_state *s, const struct cfi_state *initial,
			 const struct cfi_cie *c, uint8_t op, struct cfi_bytes *b)
{
	uint64_t number;

	switch (op) {
	case 0x05: /* offset_extended */
		number = cfi_read_uleb(b);
		set_offset(s, number, (int64_t)cfi_read_uleb(b) * c->data_align);
		return true;
	case 0x06: /* restore_extended */
		restore(s, initial, cfi_read_uleb(b));
		return true;
	case 0x07: /* undefined */
		set_undefined(s, cfi_read_uleb(b));
		return true;
	case 0x08: /* same_value */
		set_same(s, cfi_read_uleb(b));
		return true;
	case 0x09: /* register */
	case 0x14: /* val_offset */
		set_unknown(s, cfi_read_uleb(b));
		cfi_read_uleb(b);
		return true;
	case 0x10: /* expression */
		set_expression(s, b);
		return true;
	case 0x11: /* offset_extended_sf */
		number = cfi_read_uleb(b);
		set_offset(s, number, cfi_read_sleb(b) * c->data_align);
		return true;
	case 0x15: /* val_offset_sf */
		set_unknown(s, cfi_read_uleb(b));
		cfi_read_sleb(b);
		return true;
	case 0x16: /* val_expression */
		set_unknown(s, cfi_read_uleb(b));
		cfi_read_block(b);
		return true;
	default:
		return false;
	}
}

static bool run_cfa(struct cfi_state *s, const struct cfi_cie *c, uint8_t op, struct cfi_bytes *b)
{
	uint64_t number;

	switch (op) {
	case 0x0c: /* def_cfa */
		number = cfi_read_uleb(b);
		set_cfa(s, number, (int64_t)cfi_read_uleb(b));
		return true;
	case 0x0d: /* def_cfa_register */
		set_cfa(s, cfi_read_uleb(b), s->cfa_offset);
		return true;
	case 0x0e: /* def_cfa_offset */
		s->cfa_offset = (int64_t)cfi_read_uleb(b);
		return true;
	case 0x0f: /* def_cfa_expression */
		set_cfa_expression(s, b);
		return true;
	case 0x12: /* def_cfa_sf */
		number = cfi_read_uleb(b);
		set_cfa(s, number, cfi_read_sleb(b) * c->data_align);
		return true;
	case 0x13: /* def_cfa_offset_sf */
		s->cfa_offset = cfi_read_sleb(b) * c->data_align;
		return true;
	case 0x2e: /* GNU_args_size */
		cfi_read_uleb(b);
		return true;
	default:
		return false;
	}
}

/* How far the location goes on, in units; 0 for other instructions. */
static uint64_t read_advance(uint8_t op, struct cfi_bytes *b)
{
	if (op >> 6 == 1)
		return op & 0x3f;
	switch (op) {
	case 0x02:
		return cfi_read_u8(b);
	case 0x03:
		return cfi_read_u16(b);
	case 0x04:
		return cfi_read_u32(b);
	default:
		return 0;
	}
}

bool cfi_run(struct cfi_state *s, const struct cfi_state *initial, const struct cfi_cie *c,
	     struct cfi_bytes b, uint64_t target)
{
	struct cfi_state saved[STATES];
	unsigned depth = 0;
	uint64_t location = 0;

	while (b.at < b.end && !b.bad) {
		uint8_t op = cfi_read_u8(&b);

		if (op >> 6 == 1 || (op >= 0x02 && op <= 0x04)) {
			location += read_advance(op, &b) * c->code_align;
			if (location > target)
				break;
		} else if (op >> 6 == 2) {
			set_offset(s, op & 0x3f, (int64_t)cfi_read_uleb(&b) * c->data_align);
		} else if (op >> 6 == 3) {
			restore(s, initial, op & 0x3f);
		} else if (op == 0x0a && depth < STATES) { /* remember_state */
			saved[depth++] = *s;
		} else if (op == 0x0b && depth > 0) { /* restore_state */
			*s = saved[--depth];
		} else if (op != 0 && !run_register(s, initial, c, op, &b) &&
			   !run_cfa(s, c, op, &b)) {
			return false;
		}
	}
	return !b.bad;
}
