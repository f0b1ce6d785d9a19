/* SPDX-License-Identifier: MIT
 *
 * x86-64 instructions (Intel SDM, volume 2, chapter 2 and appendix A): prefixes, one to three
 * opcode bytes, ModRM, SIB, displacement, immediate. The lengths of all integer, SSE and AVX
 * instructions; the meaning of the few that move the stack pointer. AVX-512 is not decoded.
 */
#include "stack/code.h"

#include <string.h>

enum { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A };

struct decoder {
	const uint8_t *p, *end;
	bool bad;
	bool narrow; /* prefix 66 */
	uint8_t rex;
	uint8_t map, opcode;
	bool has_modrm;
	uint8_t mod, reg, rm, base; /* reg, rm, base with their REX bits */
	bool has_sib;
	int64_t displacement, immediate;
};

/* Registers as instructions number them, by number of DWARF. */
static const uint8_t dwarf_number[16] = { 0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15 };

enum { RSP = 4, RBP = 5 };

static uint8_t next_byte(struct decoder *d)
{
	if (d->p < d->end)
		return *d->p++;
	d->bad = true;
	return 0;
}

static int64_t next_signed(struct decoder *d, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)next_byte(d) << 8 * i;
	if (bytes == 0 || bytes == 8)
		return (int64_t)v;
	return (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

static void read_prefixes(struct decoder *d)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e,
					    0x36, 0x3e, 0x26, 0x64, 0x65 };

	while (d->p < d->end && memchr(prefixes, *d->p, sizeof(prefixes)))
		d->narrow |= *d->p++ == 0x66;
	if (d->p < d->end && (*d->p & 0xf0) == 0x40)
		d->rex = *d->p++;
}

/* Opcodes behind a VEX prefix are those of the maps it names. */
static void read_vex(struct decoder *d, uint8_t first)
{
	d->map = MAP_0F;
	if (first == 0xc4)
		d->map = next_byte(d) & 0x1f;
	next_byte(d);
	if (d->map < MAP_0F || d->map > MAP_0F3A)
		d->bad = true;
	d->opcode = next_byte(d);
}

static void read_opcode(struct decoder *d)
{
	uint8_t first = next_byte(d);

	if (first == 0xc4 || first == 0xc5) {
		read_vex(d, first);
		return;
	}
	d->opcode = first;
	if (first != 0x0f)
		return;
	d->map = MAP_0F;
	d->opcode = next_byte(d);
	if (d->opcode != 0x38 && d->opcode != 0x3a)
		return;
	d->map = d->opcode == 0x38 ? MAP_0F38 : MAP_0F3A;
	d->opcode = next_byte(d);
}

static bool is_in(uint8_t op, const char *set, size_t n)
{
	return memchr(set, op, n);
}

static bool one_byte_has_modrm(uint8_t op)
{
	if (op < 0x40)
		return (op & 7) < 4;
	return op == 0x63 || op == 0x69 || op == 0x6b || (op & 0xf0) == 0x80 ||
	       (op & 0xfc) == 0xd0 || (op & 0xf8) == 0xd8 ||
	       is_in(op, "\xc0\xc1\xc6\xc7\xf6\xf7\xfe\xff", 8);
}

static bool one_byte_is_invalid(uint8_t op)
{
	static const char invalid[] = "\x06\x07\x0e\x16\x17\x1e\x1f\x27\x2f\x37\x3f\x60\x61\x62"
				      "\x82\x9a\xce\xd4\xd5\xd6\xea";

	return is_in(op, invalid, sizeof(invalid) - 1);
}

static bool two_byte_has_modrm(uint8_t op)
{
	static const char without[] = "\x05\x06\x07\x08\x09\x0b\x77\xa0\xa1\xa2\xa8\xa9\xaa";

	return !(op >= 0x30 && op <= 0x37) && (op & 0xf0) != 0x80 && (op & 0xf8) != 0xc8 &&
	       !is_in(op, without, sizeof(without) - 1);
}

static unsigned one_byte_immediate(const struct decoder *d)
{
	uint8_t op = d->opcode;
	unsigned word = d->narrow ? 2 : 4;

	if (op < 0x40)
		return (op & 7) == 4 ? 1 : (op & 7) == 5 ? word : 0;
	if ((op & 0xf0) == 0x70 || (op & 0xf8) == 0xb0 || (op & 0xf8) == 0xe0)
		return op == 0xe8 ? 4 : 1;
	if ((op & 0xf8) == 0xb8)
		return d->rex & 8 ? 8 : word;
	if (is_in(op, "\x6a\x6b\x80\x83\xa8\xc0\xc1\xc6\xcd\xeb", 10))
		return 1;
	if (is_in(op, "\x68\x69\x81\xa9\xc7", 5))
		return word;
	if (op == 0xe8 || op == 0xe9)
		return 4;
	if (op >= 0xa0 && op <= 0xa3)
		return 8;
	if (op == 0xc2)
		return 2;
	if (op == 0xc8)
		return 3;
	if ((op == 0xf6 || op == 0xf7) && (d->reg & 7) < 2)
		return op == 0xf6 ? 1 : word;
	return 0;
}

static unsigned immediate_bytes(const struct decoder *d)
{
	uint8_t op = d->opcode;

	if (d->map == MAP_ONE)
		return one_byte_immediate(d);
	if (d->map == MAP_0F3A)
		return 1;
	if (d->map == MAP_0F38)
		return 0;
	if ((op & 0xf0) == 0x80)
		return 4;
	return (op >= 0x70 && op <= 0x73) || is_in(op, "\x0f\xa4\xac\xba\xc2\xc4\xc5\xc6", 8);
}

static void read_modrm(struct decoder *d)
{
	uint8_t m = next_byte(d), sib = 0;
	unsigned bytes = 0;

	d->has_modrm = true;
	d->mod = m >> 6;
	d->reg = (m >> 3 & 7) | (d->rex & 4 ? 8 : 0);
	d->rm = (m & 7) | (d->rex & 1 ? 8 : 0);
	d->base = d->rm;
	if (d->mod == 3)
		return;
	d->has_sib = (m & 7) == RSP;
	if (d->has_sib) {
		sib = next_byte(d);
		d->base = (sib & 7) | (d->rex & 1 ? 8 : 0);
	}
	if (d->mod == 1)
		bytes = 1;
	else if (d->mod == 2 || (d->base & 7) == RBP)
		bytes = 4;
	d->displacement = next_signed(d, bytes);
	/* With an index the address is not just base and displacement. */
	if (d->has_sib && (sib >> 3 & 7) != RSP)
		d->base = 0xff;
	else if (d->mod == 0 && (d->base & 7) == RBP)
		d->base = 0xff;
}

static bool read_instruction(struct decoder *d)
{
	read_prefixes(d);
	read_opcode(d);
	if (d->bad || (d->map == MAP_ONE && one_byte_is_invalid(d->opcode)))
		return false;
	if (d->map == MAP_ONE ? one_byte_has_modrm(d->opcode)
			      : d->map != MAP_0F || two_byte_has_modrm(d->opcode))
		read_modrm(d);
	d->immediate = next_signed(d, immediate_bytes(d));
	return !d->bad;
}

/* Opcode ff: calls, jumps and a push by address. */
static void mean_group_five(const struct decoder *d, struct code_instruction *out)
{
	switch (d->reg & 7) {
	case 2:
		out->call = true;
		break;
	case 4:
		/* jmp *offset(%rip) */
		out->effect = d->mod == 0 && (d->rm & 7) == RBP ? CODE_FAR_JUMP : CODE_END;
		break;
	case 6:
		out->effect = CODE_PUSH;
		break;
	}
}

static void set_reg(struct code_instruction *out, enum code_effect effect, uint8_t reg,
		    int64_t value)
{
	out->effect = effect;
	out->reg = dwarf_number[reg & 15];
	out->value = value;
}

/* Instructions with an operand in ModRM. */
static void mean_modrm(const struct decoder *d, struct code_instruction *out)
{
	bool wide = d->rex & 8;

	switch (d->opcode) {
	case 0x01: /* add or sub, a register to it: nobody knows how much */
	case 0x29:
		if (wide && d->mod == 3 && d->rm == RSP)
			out->effect = CODE_END;
		break;
	case 0x03:
	case 0x2b:
		if (wide && d->reg == RSP)
			out->effect = CODE_END;
		break;
	case 0x81:
	case 0x83: /* add or sub, to a register */
		if (wide && d->mod == 3 && d->rm == RSP && (d->reg & 7) == 0)
			set_reg(out, CODE_ADJUST, RSP, d->immediate);
		else if (wide && d->mod == 3 && d->rm == RSP && (d->reg & 7) == 5)
			set_reg(out, CODE_ADJUST, RSP, -d->immediate);
		else if (wide && d->mod == 3 && d->rm == RSP && (d->reg & 7) == 4)
			out->effect = CODE_END; /* and: nobody knows from where */
		break;
	case 0x89: /* mov reg, rsp */
		if (wide && d->mod == 3 && d->rm == RSP)
			set_reg(out, CODE_SET_FROM, d->reg, 0);
		break;
	case 0x8b: /* mov …, reg */
		if (wide && d->mod == 3 && d->reg == RSP)
			set_reg(out, CODE_SET_FROM, d->rm, 0);
		else if (wide && d->mod != 3 && d->base == RSP)
			set_reg(out, CODE_LOAD, d->reg, d->displacement);
		break;
	case 0x8d: /* lea …, rsp */
		if (wide && d->reg == RSP && d->base != 0xff)
			set_reg(out, CODE_SET_FROM, d->base, d->displacement);
		break;
	case 0x8f:
		out->effect = CODE_ADJUST;
		out->value = 8;
		break;
	case 0xff:
		mean_group_five(d, out);
		break;
	}
}

static void mean_one_byte(const struct decoder *d, struct code_instruction *out)
{
	uint8_t op = d->opcode;

	if (d->has_modrm) {
		mean_modrm(d, out);
	} else if ((op & 0xf8) == 0x50 || op == 0x68 || op == 0x6a || op == 0x9c) {
		out->effect = CODE_PUSH;
	} else if ((op & 0xf8) == 0x58) {
		set_reg(out, CODE_POP, (op & 7) | (d->rex & 1 ? 8 : 0), 0);
	} else if ((op & 0xf0) == 0x70 || (op >= 0xe0 && op <= 0xe3)) {
		out->effect = CODE_BRANCH;
		out->value = d->immediate;
	} else if (op == 0xe9 || op == 0xeb) {
		out->effect = CODE_JUMP;
		out->value = d->immediate;
	} else if (op == 0xe8) {
		out->call = true;
	} else if (op == 0xc3 || op == 0xc2) {
		out->effect = CODE_RETURN;
	} else if (op == 0xc9) {
		out->effect = CODE_LEAVE;
	} else if (op == 0x9d) {
		out->effect = CODE_ADJUST;
		out->value = 8;
	} else if (op == 0xcc || op == 0xf4 || op == 0xc8 || op == 0xcf || op == 0xcb ||
		   op == 0xca) {
		out->effect = CODE_END;
	}
}

bool code_decode(const uint8_t *p, size_t n, struct code_instruction *out)
{
	struct decoder d = { .p = p, .end = p + (n < CODE_BYTES_MAX ? n : CODE_BYTES_MAX) };

	memset(out, 0, sizeof(*out));
	if (!read_instruction(&d))
		return false;
	out->bytes = (size_t)(d.p - p);
	if (d.map == MAP_ONE) {
		mean_one_byte(&d, out);
	} else if (d.map == MAP_0F && (d.opcode & 0xf0) == 0x80) {
		out->effect = CODE_BRANCH;
		out->value = d.immediate;
	} else if (d.map == MAP_0F && d.opcode == 0x0b) {
		out->effect = CODE_END;
	}
	return true;
}

/* e8 rel32, or ff /2 with whatever operand. */
bool code_ends_in_call(const uint8_t *p, size_t n)
{
	struct code_instruction i;

	for (size_t length = 2; length <= 8 && length <= n; length++)
		if (code_decode(p + n - length, length, &i) && i.bytes == length && i.call)
			return true;
	return false;
}

/* mov $15, %rax (or %eax); syscall: the same in glibc and musl. */
bool code_is_signal_return(const uint8_t *p, size_t n)
{
	static const uint8_t wide[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
	static const uint8_t narrow[] = { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 };

	return (n >= sizeof(wide) && !memcmp(p, wide, sizeof(wide))) ||
	       (n >= sizeof(narrow) && !memcmp(p, narrow, sizeof(narrow)));
}

/* mov %eax, %edi; xor %eax, %eax; mov $60, %al; syscall */
bool code_is_thread_exit(const uint8_t *p, size_t n)
{
	static const uint8_t want[] = { 0x89, 0xc7, 0x31, 0xc0, 0xb0, 0x3c, 0x0f, 0x05 };

	return n >= sizeof(want) && !memcmp(p, want, sizeof(want));
}
