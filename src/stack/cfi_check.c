/* SPDX-License-Identifier: MIT
 *
 * Records of .eh_frame: a CIE holds what several FDEs have in common, an FDE describes one range
 * of addresses. Both end in a program for a small machine; the check here accepts the
 * instructions and expression operators that compilers and hand-written glibc code use, with
 * register numbers of x86-64, and no jumps and no division in expressions.
 */
#include "stack/cfi_check.h"

#include <dwarf.h>
#include <stdlib.h>

#define RECORD_BYTES_MAX (1u << 16)
#define REGISTERS	 17 /* rax .. r15, return address */

struct record {
	uint8_t *data; /* malloc'd */
	struct bytes b;
	uint64_t id_at; /* virtual address of the CIE pointer field */
	uint64_t id;
};

struct cie {
	struct record r; /* r.b: its instructions */
	uint8_t pointer_encoding;
	bool augmented; /* FDEs have augmentation data */
};

uint64_t cfi_read_pointer(struct bytes *b, uint8_t encoding, uint64_t data)
{
	uint64_t v, at = b->vaddr;

	if (encoding == CFI_PE_OMIT)
		return 0;
	switch (encoding & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		v = bytes_u64(b);
		break;
	case DW_EH_PE_uleb128:
		v = bytes_uleb(b);
		break;
	case DW_EH_PE_sleb128:
		v = (uint64_t)bytes_sleb(b);
		break;
	case DW_EH_PE_udata2:
		v = bytes_u16(b);
		break;
	case DW_EH_PE_sdata2:
		v = (uint64_t)(int64_t)(int16_t)bytes_u16(b);
		break;
	case DW_EH_PE_udata4:
		v = bytes_u32(b);
		break;
	case DW_EH_PE_sdata4:
		v = (uint64_t)(int64_t)(int32_t)bytes_u32(b);
		break;
	default:
		b->bad = true;
		return 0;
	}
	switch (encoding & 0x70) {
	case DW_EH_PE_absptr:
		return v;
	case DW_EH_PE_pcrel:
		return v + at;
	case DW_EH_PE_datarel:
		return v + data;
	default:
		b->bad = true;
		return 0;
	}
}

/* Length and id of a record; leaves `b` behind the id and ending where the record ends. */
static bool read_head(struct bytes *b, struct record *r)
{
	uint64_t length = bytes_u32(b);
	bool wide = length == 0xffffffff;

	if (wide)
		length = bytes_u64(b);
	if (b->bad || length < (wide ? 8u : 4u) || length > (uint64_t)(b->end - b->p))
		return false;
	b->end = b->p + length;
	r->id_at = b->vaddr;
	r->id = wide ? bytes_u64(b) : bytes_u32(b);
	return true;
}

bool cfi_next_record(struct bytes *b, struct cfi_record *r)
{
	struct bytes one = *b;
	struct record rec;

	if (!read_head(&one, &rec))
		return false;
	r->is_cie = !rec.id;
	b->vaddr += (uint64_t)(one.end - b->p);
	b->p = one.end;
	return true;
}

static void record_free(struct record *r)
{
	free(r->data);
	r->data = NULL;
}

/* The record at virtual address `at`, copied. */
static bool record_load(const struct elf_file *f, uint64_t at, struct record *r)
{
	uint64_t offset, room, length;
	uint32_t head[3] = { 0 };

	r->data = NULL;
	if (!elf_file_locate(f, at, &offset, &room) ||
	    elf_file_read(f, offset, head, sizeof(head)) != sizeof(head))
		return false;
	length = head[0] != 0xffffffff ? head[0] + 4ull : ((uint64_t)head[2] << 32 | head[1]);
	if (head[0] == 0xffffffff && length < RECORD_BYTES_MAX)
		length += 12;
	if (length > room || length > RECORD_BYTES_MAX)
		return false;
	r->data = malloc(length);
	if (!r->data || elf_file_read(f, offset, r->data, length) != length) {
		record_free(r);
		return false;
	}
	r->b = (struct bytes){ r->data, r->data + length, at, false };
	if (read_head(&r->b, r))
		return true;
	record_free(r);
	return false;
}

/* The augmentation "zPLRS…": how pointers in FDEs are written. */
static void read_augmentation(struct cie *c, const char *text)
{
	struct bytes *b = &c->r.b, data;
	uint64_t length;

	c->pointer_encoding = DW_EH_PE_absptr;
	c->augmented = *text == 'z';
	if (!*text)
		return;
	if (!c->augmented) {
		b->bad = true; /* "eh" of gcc 2, never on x86-64 */
		return;
	}
	length = bytes_uleb(b);
	data = *b;
	bytes_skip(b, length);
	if (b->bad)
		return;
	data.end = b->p;
	for (text++; *text && !data.bad; text++) {
		if (*text == 'R')
			c->pointer_encoding = bytes_u8(&data);
		else if (*text == 'L')
			bytes_u8(&data);
		else if (*text == 'P')
			cfi_read_pointer(&data, bytes_u8(&data) & 0x0f, 0);
		else if (*text != 'S' && *text != 'B')
			data.bad = true;
	}
	b->bad = data.bad;
}

static bool cie_load(const struct elf_file *f, uint64_t at, struct cie *c)
{
	char text[8] = { 0 };
	uint8_t version;
	struct bytes *b;
	size_t n = 0;
	uint64_t column;

	if (!record_load(f, at, &c->r))
		return false;
	b = &c->r.b;
	version = bytes_u8(b);
	do {
		text[n] = (char)bytes_u8(b);
	} while (text[n] && ++n < sizeof(text) - 1);
	bytes_uleb(b); /* code alignment */
	bytes_sleb(b); /* data alignment */
	column = version == 1 ? bytes_u8(b) : bytes_uleb(b);
	if (text[n])
		b->bad = true;
	else
		read_augmentation(c, text);
	if (!c->r.id && (version == 1 || version == 3) && column == REGISTERS - 1 && !b->bad)
		return true;
	record_free(&c->r);
	return false;
}

/* Load an FDE and its CIE; leaves both at their instructions. */
static bool fde_load(const struct elf_file *f, uint64_t at, struct record *fde, struct cie *cie,
		     struct cfi_record *out)
{
	uint64_t range;

	if (!record_load(f, at, fde))
		return false;
	if (!fde->id || !cie_load(f, fde->id_at - fde->id, cie)) {
		record_free(fde);
		return false;
	}
	out->is_cie = false;
	out->start = cfi_read_pointer(&fde->b, cie->pointer_encoding, 0);
	range = cfi_read_pointer(&fde->b, cie->pointer_encoding & 0x0f, 0);
	out->end = out->start + range;
	if (cie->augmented)
		bytes_skip(&fde->b, bytes_uleb(&fde->b));
	if (!fde->b.bad && out->end >= out->start)
		return true;
	record_free(fde);
	record_free(&cie->r);
	return false;
}

bool cfi_parse_fde(const struct elf_file *f, uint64_t at, struct cfi_record *r)
{
	struct record fde;
	struct cie cie;

	if (!fde_load(f, at, &fde, &cie, r))
		return false;
	record_free(&fde);
	record_free(&cie.r);
	return true;
}

/* One operator of an expression, with its operands. */
static bool operator_is_fine(struct bytes *b)
{
	uint8_t op = bytes_u8(b);

	if (op >= DW_OP_lit0 && op <= DW_OP_lit31)
		return true;
	if (op >= DW_OP_breg0 && op <= DW_OP_breg16) {
		bytes_sleb(b);
		return true;
	}
	switch (op) {
	case DW_OP_const1u:
	case DW_OP_const1s:
		bytes_u8(b);
		return true;
	case DW_OP_const2u:
	case DW_OP_const2s:
		bytes_u16(b);
		return true;
	case DW_OP_const4u:
	case DW_OP_const4s:
		bytes_u32(b);
		return true;
	case DW_OP_constu:
	case DW_OP_plus_uconst:
		bytes_uleb(b);
		return true;
	case DW_OP_consts:
		bytes_sleb(b);
		return true;
	case DW_OP_deref:
	case DW_OP_dup:
	case DW_OP_drop:
	case DW_OP_swap:
	case DW_OP_over:
	case DW_OP_and:
	case DW_OP_or:
	case DW_OP_xor:
	case DW_OP_minus:
	case DW_OP_plus:
	case DW_OP_mul:
	case DW_OP_neg:
	case DW_OP_not:
	case DW_OP_shl:
	case DW_OP_shr:
	case DW_OP_eq:
	case DW_OP_ne:
	case DW_OP_ge:
	case DW_OP_gt:
	case DW_OP_le:
	case DW_OP_lt:
		return true;
	default:
		return false;
	}
}

static bool expression_is_fine(struct bytes *b)
{
	uint64_t length = bytes_uleb(b);
	struct bytes e = *b;

	bytes_skip(b, length);
	if (b->bad)
		return false;
	e.end = b->p;
	while (e.p < e.end)
		if (!operator_is_fine(&e) || e.bad)
			return false;
	return true;
}

/* One instruction that has its operands behind it; *defines: it says what the CFA is. */
static bool instruction_is_fine(struct bytes *b, uint8_t op, uint8_t encoding, bool *defines)
{
	switch (op) {
	case DW_CFA_nop:
	case DW_CFA_remember_state:
	case DW_CFA_restore_state:
		return true;
	case DW_CFA_set_loc:
		cfi_read_pointer(b, encoding, 0);
		return true;
	case DW_CFA_advance_loc1:
		bytes_u8(b);
		return true;
	case DW_CFA_advance_loc2:
		bytes_u16(b);
		return true;
	case DW_CFA_advance_loc4:
		bytes_u32(b);
		return true;
	case DW_CFA_def_cfa:
	case DW_CFA_def_cfa_sf:
		*defines = true;
		/* fall through */
	case DW_CFA_offset_extended:
	case DW_CFA_offset_extended_sf:
	case DW_CFA_GNU_negative_offset_extended:
		if (bytes_uleb(b) >= REGISTERS)
			return false;
		bytes_uleb(b);
		return true;
	case DW_CFA_restore_extended:
	case DW_CFA_undefined:
	case DW_CFA_same_value:
	case DW_CFA_def_cfa_register:
		return bytes_uleb(b) < REGISTERS;
	case DW_CFA_register:
		return bytes_uleb(b) < REGISTERS && bytes_uleb(b) < REGISTERS;
	case DW_CFA_def_cfa_offset:
	case DW_CFA_def_cfa_offset_sf:
	case DW_CFA_GNU_args_size:
		bytes_uleb(b);
		return true;
	case DW_CFA_def_cfa_expression:
		*defines = true;
		return expression_is_fine(b);
	case DW_CFA_expression:
	case DW_CFA_val_expression:
		return bytes_uleb(b) < REGISTERS && expression_is_fine(b);
	default:
		return false;
	}
}

/* Does the instruction need the CFA to be known: ends a row, or keeps it for later? */
static bool ends_row(uint8_t op)
{
	return (op & 0xc0) == DW_CFA_advance_loc || op == DW_CFA_set_loc ||
	       op == DW_CFA_advance_loc1 || op == DW_CFA_advance_loc2 ||
	       op == DW_CFA_advance_loc4 || op == DW_CFA_remember_state;
}

static bool program_is_fine(struct bytes b, uint8_t encoding, bool *defines)
{
	bool fine = true;
	uint8_t op;

	while (fine && b.p < b.end) {
		op = bytes_u8(&b);
		if (ends_row(op) && !*defines)
			return false;
		if ((op & 0xc0) == DW_CFA_advance_loc)
			continue;
		if (op & 0xc0) {
			fine = (op & 0x3f) < REGISTERS;
			if ((op & 0xc0) == DW_CFA_offset)
				bytes_uleb(&b);
			continue;
		}
		fine = instruction_is_fine(&b, op, encoding, defines);
	}
	return fine && !b.bad;
}

bool cfi_check_fde(const struct elf_file *f, uint64_t at)
{
	struct cfi_record r;
	struct record fde;
	bool fine, defines = false;
	struct cie cie;

	if (!fde_load(f, at, &fde, &cie, &r))
		return false;
	fine = program_is_fine(cie.r.b, cie.pointer_encoding, &defines) &&
	       program_is_fine(fde.b, cie.pointer_encoding, &defines) && defines;
	record_free(&fde);
	record_free(&cie.r);
	return fine;
}

/* A CIE of .debug_frame: no augmentation, and from version 4 on the sizes of addresses. */
static bool debug_cie_is_fine(struct bytes *b)
{
	uint8_t version = bytes_u8(b);
	bool defines = false;

	if (bytes_u8(b) != 0)
		return false;
	if (version == 4 && (bytes_u8(b) != 8 || bytes_u8(b) != 0))
		return false;
	bytes_uleb(b); /* code alignment */
	bytes_sleb(b); /* data alignment */
	if ((version == 1 ? bytes_u8(b) : bytes_uleb(b)) != REGISTERS - 1)
		return false;
	return (version == 1 || version == 3 || version == 4) && !b->bad &&
	       program_is_fine(*b, DW_EH_PE_absptr, &defines) && defines;
}

bool cfi_check_debug_frame(const uint8_t *data, size_t n)
{
	struct bytes b = { data, data + n, 0, false }, one;
	bool defines = true, wide;
	struct record r;

	while (b.p < b.end) {
		wide = b.end - b.p >= 4 && !memcmp(b.p, "\xff\xff\xff\xff", 4);
		one = b;
		if (!read_head(&one, &r))
			return false;
		b.p = one.end;
		if (r.id == (wide ? UINT64_MAX : UINT32_MAX)) {
			if (!debug_cie_is_fine(&one))
				return false;
			continue;
		}
		bytes_skip(&one, 16); /* the addresses covered */
		if (one.bad || !program_is_fine(one, DW_EH_PE_absptr, &defines))
			return false;
	}
	return true;
}
