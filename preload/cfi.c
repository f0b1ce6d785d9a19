/* SPDX-License-Identifier: MIT
 *
 * Call frame information, as far as calls need it: .eh_frame_hdr's sorted table, a CIE, an FDE, and
 * their instructions. The bytes are those that the C++ runtime and pthread_exit() unwind with; they
 * are in memory as long as a frame of their module is on the stack. Still nothing is read behind an
 * entry's end, and whatever is not as expected is unknown.
 */
#include "cfi.h"

#include <stddef.h>

#include "real.h"

#define ENCODING_PCREL_SDATA4	0x1b
#define ENCODING_DATAREL_SDATA4 0x3b
#define ENCODING_UDATA4		0x03
#define ENCODING_OMIT		0xff
#define REGISTER_BP		6
#define REGISTER_SP		7
#define REGISTER_RA		16
#define STATES			4
#define OP_BREG0		0x70
#define OP_DEREF		0x06
#define MODULES			64

/* As glibc's <dlfcn.h> has it from 2.35 on. */
struct found_object {
	unsigned long long flags;
	void *map_begin, *map_end;
	void *link_map;
	const uint8_t *eh_frame_hdr;
	unsigned long long reserved[7];
};

/* What lies between two addresses; `bad` once something went beyond. */
struct bytes {
	const uint8_t *at, *end;
	bool bad;
};

struct state {
	int64_t cfa_register, cfa_offset;
	enum cfi_cfa cfa; /* UNKNOWN, AT_BP, or SP: by cfa_register */
	int64_t bp_offset;
	enum cfi_bp bp;
	int64_t ra_offset;
	bool ra_none, ra_unknown;
};

struct cie {
	uint64_t code_align;
	int64_t data_align;
	bool augmented, signal_frame;
	struct bytes instructions;
};

static struct {
	uintptr_t begin, end;
} staying[MODULES];
static uint32_t staying_count;
static bool works; /* it was found out that modules can be looked up */

static bool find_object(uint64_t pc, struct found_object *out)
{
	return works && real._dl_find_object((void *)pc, out) == 0;
}

/* Of a release that has none, whoever is called in its place says no. */
bool cfi_works(void)
{
	struct found_object object;

	works = true;
	works = find_object((uint64_t)(uintptr_t)cfi_works, &object);
	return works;
}

void cfi_note_module(uintptr_t address)
{
	struct found_object object;
	uint32_t n = staying_count;

	if (n == MODULES || !find_object(address, &object))
		return;
	staying[n].begin = (uintptr_t)object.map_begin;
	staying[n].end = (uintptr_t)object.map_end;
	__atomic_store_n(&staying_count, n + 1, __ATOMIC_RELEASE);
}

static bool is_staying(uint64_t pc)
{
	uint32_t n = __atomic_load_n(&staying_count, __ATOMIC_ACQUIRE);
	uint32_t i;

	for (i = 0; i < n; i++)
		if (pc >= staying[i].begin && pc < staying[i].end)
			return true;
	return false;
}

/* -- bytes --------------------------------------------------------------------------------------- */

static const uint8_t *skip(struct bytes *b, uint64_t n)
{
	const uint8_t *at = b->at;

	if (b->bad || (uint64_t)(b->end - b->at) < n) {
		b->bad = true;
		return NULL;
	}
	b->at += n;
	return at;
}

static uint8_t read_u8(struct bytes *b)
{
	const uint8_t *at = skip(b, 1);

	return at ? *at : 0;
}

static uint16_t read_u16(struct bytes *b)
{
	const uint8_t *at = skip(b, 2);

	return at ? (uint16_t)(at[0] | at[1] << 8) : 0;
}

static uint32_t read_u32(struct bytes *b)
{
	uint32_t low = read_u16(b);

	return low | (uint32_t)read_u16(b) << 16;
}

static uint64_t read_uleb(struct bytes *b)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = read_u8(b);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return value;
}

static int64_t read_sleb(struct bytes *b)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = read_u8(b);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (shift < 64 && byte & 0x40)
		value |= ~0ull << shift;
	return (int64_t)value;
}

/* -- instructions -------------------------------------------------------------------------------- */

static void set_offset(struct state *s, uint64_t number, int64_t offset)
{
	if (number == REGISTER_BP) {
		s->bp = CFI_BP_SAVED;
		s->bp_offset = offset;
	} else if (number == REGISTER_RA) {
		s->ra_offset = offset;
		s->ra_none = false;
		s->ra_unknown = false;
	}
}

static void set_unknown(struct state *s, uint64_t number)
{
	if (number == REGISTER_BP)
		s->bp = CFI_BP_UNKNOWN;
	else if (number == REGISTER_RA)
		s->ra_unknown = true;
}

static void set_same(struct state *s, uint64_t number)
{
	if (number == REGISTER_BP)
		s->bp = CFI_BP_SAME;
	else
		set_unknown(s, number);
}

static void set_undefined(struct state *s, uint64_t number)
{
	set_unknown(s, number);
	if (number == REGISTER_RA)
		s->ra_none = true;
}

static void restore(struct state *s, const struct state *initial, uint64_t number)
{
	if (number == REGISTER_BP) {
		s->bp = initial->bp;
		s->bp_offset = initial->bp_offset;
	} else if (number == REGISTER_RA) {
		s->ra_offset = initial->ra_offset;
		s->ra_none = initial->ra_none;
		s->ra_unknown = initial->ra_unknown;
	}
}

static struct bytes read_block(struct bytes *b)
{
	uint64_t n = read_uleb(b);
	const uint8_t *at = skip(b, n);
	struct bytes block = { .at = at, .end = at ? at + n : NULL, .bad = !at };

	return block;
}

/* `rbp + offset` and nothing more, or with `deref` the word there. */
static bool read_at_bp(struct bytes block, bool deref, int64_t *offset)
{
	if (read_u8(&block) != OP_BREG0 + REGISTER_BP)
		return false;
	*offset = read_sleb(&block);
	if (deref && read_u8(&block) != OP_DEREF)
		return false;
	return !block.bad && block.at == block.end;
}

/* Functions that align their stack keep the frame's address and the caller's rbp this way. */
static void set_cfa_expression(struct state *s, struct bytes *b)
{
	s->cfa = read_at_bp(read_block(b), true, &s->cfa_offset) ? CFI_CFA_AT_BP : CFI_CFA_UNKNOWN;
}

static void set_expression(struct state *s, struct bytes *b)
{
	uint64_t number = read_uleb(b);
	struct bytes block = read_block(b);
	int64_t offset;

	set_unknown(s, number);
	if (number == REGISTER_BP && read_at_bp(block, false, &offset)) {
		s->bp = CFI_BP_AT_BP;
		s->bp_offset = offset;
	}
}

static void set_cfa(struct state *s, uint64_t number, int64_t offset)
{
	s->cfa = CFI_CFA_SP;
	s->cfa_register = (int64_t)number;
	s->cfa_offset = offset;
}

/* The instructions about registers; false for one that is not known. */
static bool run_register(struct state *s, const struct state *initial, const struct cie *c,
			 uint8_t op, struct bytes *b)
{
	uint64_t number;

	switch (op) {
	case 0x05: /* offset_extended */
		number = read_uleb(b);
		set_offset(s, number, (int64_t)read_uleb(b) * c->data_align);
		return true;
	case 0x06: /* restore_extended */
		restore(s, initial, read_uleb(b));
		return true;
	case 0x07: /* undefined */
		set_undefined(s, read_uleb(b));
		return true;
	case 0x08: /* same_value */
		set_same(s, read_uleb(b));
		return true;
	case 0x09: /* register */
	case 0x14: /* val_offset */
		set_unknown(s, read_uleb(b));
		read_uleb(b);
		return true;
	case 0x10: /* expression */
		set_expression(s, b);
		return true;
	case 0x11: /* offset_extended_sf */
		number = read_uleb(b);
		set_offset(s, number, read_sleb(b) * c->data_align);
		return true;
	case 0x15: /* val_offset_sf */
		set_unknown(s, read_uleb(b));
		read_sleb(b);
		return true;
	case 0x16: /* val_expression */
		set_unknown(s, read_uleb(b));
		read_block(b);
		return true;
	default:
		return false;
	}
}

static bool run_cfa(struct state *s, const struct cie *c, uint8_t op, struct bytes *b)
{
	uint64_t number;

	switch (op) {
	case 0x0c: /* def_cfa */
		number = read_uleb(b);
		set_cfa(s, number, (int64_t)read_uleb(b));
		return true;
	case 0x0d: /* def_cfa_register */
		set_cfa(s, read_uleb(b), s->cfa_offset);
		return true;
	case 0x0e: /* def_cfa_offset */
		s->cfa_offset = (int64_t)read_uleb(b);
		return true;
	case 0x0f: /* def_cfa_expression */
		set_cfa_expression(s, b);
		return true;
	case 0x12: /* def_cfa_sf */
		number = read_uleb(b);
		set_cfa(s, number, read_sleb(b) * c->data_align);
		return true;
	case 0x13: /* def_cfa_offset_sf */
		s->cfa_offset = read_sleb(b) * c->data_align;
		return true;
	case 0x2e: /* GNU_args_size */
		read_uleb(b);
		return true;
	default:
		return false;
	}
}

/* How far the location goes on, in units; 0 for other instructions. */
static uint64_t read_advance(uint8_t op, struct bytes *b)
{
	if (op >> 6 == 1)
		return op & 0x3f;
	switch (op) {
	case 0x02:
		return read_u8(b);
	case 0x03:
		return read_u16(b);
	case 0x04:
		return read_u32(b);
	default:
		return 0;
	}
}

/* Up to the location `target`, from the function's beginning. False: not understood. */
static bool run(struct state *s, const struct state *initial, const struct cie *c, struct bytes b,
		uint64_t target)
{
	struct state saved[STATES];
	unsigned depth = 0;
	uint64_t location = 0;

	while (b.at < b.end && !b.bad) {
		uint8_t op = read_u8(&b);

		if (op >> 6 == 1 || (op >= 0x02 && op <= 0x04)) {
			location += read_advance(op, &b) * c->code_align;
			if (location > target)
				break;
		} else if (op >> 6 == 2) {
			set_offset(s, op & 0x3f, (int64_t)read_uleb(&b) * c->data_align);
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

/* -- entries ------------------------------------------------------------------------------------- */

/* The entry at `at`, behind its length; empty for what is none. */
static struct bytes entry_at(const uint8_t *at)
{
	struct bytes head = { .at = at, .end = at + 4 };
	uint32_t length = read_u32(&head);
	struct bytes entry = { .at = at + 4, .end = at + 4 };

	if (length && length < 0xfffffff0u)
		entry.end += length;
	return entry;
}

/* What the letters of a CIE's augmentation say; false for one that is not known. */
static bool read_augmentation(const char *letters, struct bytes *b, struct cie *c)
{
	struct bytes data;
	bool known_encoding = false;

	if (*letters != 'z')
		return false;
	data = read_block(b);
	for (letters++; *letters; letters++) {
		uint8_t byte;

		switch (*letters) {
		case 'R':
			known_encoding = read_u8(&data) == ENCODING_PCREL_SDATA4;
			break;
		case 'L':
			read_u8(&data);
			break;
		case 'P':
			byte = read_u8(&data);
			if (byte != ENCODING_OMIT && (byte & 0x70) == 0x50) /* aligned */
				return false;
			skip(&data, (byte & 0x0f) == 0x0b || (byte & 0x0f) == 0x03 ? 4 : 8);
			break;
		case 'S':
			c->signal_frame = true;
			break;
		default:
			return false;
		}
	}
	c->augmented = true;
	return known_encoding && !data.bad;
}

static bool read_cie(const uint8_t *at, struct cie *c)
{
	struct bytes b = entry_at(at);
	const char *letters;
	uint8_t version;

	if (read_u32(&b) != 0)
		return false;
	version = read_u8(&b);
	if (version != 1 && version != 3)
		return false;
	letters = (const char *)b.at;
	while (read_u8(&b))
		;
	c->code_align = read_uleb(&b);
	c->data_align = read_sleb(&b);
	if ((version == 1 ? read_u8(&b) : read_uleb(&b)) != REGISTER_RA)
		return false;
	if (b.bad || !read_augmentation(letters, &b, c))
		return false;
	c->instructions = b;
	return !b.bad;
}

static bool make_rule(const struct state *s, struct cfi_rule *out)
{
	int64_t words = s->bp_offset / 8;

	out->ra = s->ra_none ? CFI_RA_NONE : CFI_RA_SAVED;
	out->cfa = (uint8_t)s->cfa & 0xf;
	out->bp = (uint8_t)s->bp & 0xf;
	out->cfa_offset = (int32_t)s->cfa_offset;
	out->bp_offset = (int16_t)words;
	if (s->ra_none)
		return true;
	if (s->cfa == CFI_CFA_SP && s->cfa_register == REGISTER_BP)
		out->cfa = CFI_CFA_BP;
	else if (s->cfa == CFI_CFA_SP && s->cfa_register != REGISTER_SP)
		return false;
	return s->cfa != CFI_CFA_UNKNOWN && !s->ra_unknown && s->ra_offset == -8 &&
	       out->cfa_offset == s->cfa_offset && out->bp_offset == words && s->bp_offset % 8 == 0;
}

static bool run_entry(const uint8_t *at, uint64_t pc, struct cfi_rule *out)
{
	struct bytes b = entry_at(at);
	const uint8_t *field = b.at;
	uint32_t back = read_u32(&b);
	struct cie c = { .augmented = false };
	struct state s = { .cfa = CFI_CFA_UNKNOWN, .ra_unknown = true };
	struct state initial;
	uint64_t begin;

	if (b.bad || back == 0 || !read_cie(field - back, &c) || c.signal_frame)
		return false;
	begin = (uint64_t)(uintptr_t)b.at;
	begin += (uint64_t)(int64_t)(int32_t)read_u32(&b);
	if (b.bad || pc < begin || pc - begin >= read_u32(&b))
		return false;
	if (c.augmented)
		read_block(&b);
	if (b.bad || !run(&s, &s, &c, c.instructions, UINT64_MAX))
		return false;
	initial = s;
	return run(&s, &initial, &c, b, pc - begin) && make_rule(&s, out);
}

/* -- the table of a module ----------------------------------------------------------------------- */

static int64_t table_word(const uint8_t *table, uint32_t index)
{
	struct bytes b = { .at = table + 4 * (size_t)index, .end = table + 4 * (size_t)index + 4 };

	return (int32_t)read_u32(&b);
}

/* The entry of the last function that begins at or before pc. */
static const uint8_t *search(const uint8_t *hdr, uint64_t pc)
{
	struct bytes b = { .at = hdr, .end = hdr + 12 };
	int64_t wanted = (int64_t)(pc - (uint64_t)(uintptr_t)hdr);
	const uint8_t *table = hdr + 12;
	uint32_t low = 0;
	uint32_t high;

	if (read_u8(&b) != 1 || read_u8(&b) != ENCODING_PCREL_SDATA4 ||
	    read_u8(&b) != ENCODING_UDATA4 || read_u8(&b) != ENCODING_DATAREL_SDATA4)
		return NULL;
	read_u32(&b);
	high = read_u32(&b);
	if (high == 0 || wanted < table_word(table, 0))
		return NULL;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (table_word(table, 2 * middle) <= wanted)
			low = middle;
		else
			high = middle;
	}
	return hdr + table_word(table, 2 * low + 1);
}

bool cfi_find(uint64_t pc, struct cfi_rule *out, bool *stays)
{
	struct found_object object;
	const uint8_t *entry;

	if (!find_object(pc, &object) || !object.eh_frame_hdr)
		return false;
	entry = search(object.eh_frame_hdr, pc);
	*stays = is_staying(pc);
	return entry && run_entry(entry, pc, out);
}
