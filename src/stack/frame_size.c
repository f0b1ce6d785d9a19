/* SPDX-License-Identifier: MIT
 *
 * The unwind description says where a function ends; its code, read from one end to the other, how
 * often it moves the stack pointer down. All moves together are the bound, whatever the order.
 */
#include "stack/frame_size.h"

#include <stdlib.h>

#include "stack/cfi.h"
#include "stack/code.h"
#include "target/arch.h"

#define FUNCTION_BYTES_MAX (1u << 20)

/* A step of this size may be one of a loop (gcc's -fstack-clash-protection). */
#define PROBE_BYTES 4096

#define RETURN_ADDRESS_BYTES 8
#define WORD_BYTES	     8

static uint64_t function_end(const struct module *m, uint64_t entry)
{
	struct cfi *c = m->file ? cfi_open(m->file) : NULL;
	struct cfi_entry found;
	uint64_t end = 0;

	if (c && cfi_find(c, entry - m->bias, &found) == CFI_FOUND &&
	    found.start == entry - m->bias)
		end = found.end + m->bias;
	cfi_free(c);
	return end;
}

/* With a REX prefix that ends what is known it is arithmetic on the stack pointer. */
static bool moves_by_unknown(const uint8_t *p, const struct code_instruction *i)
{
	return i->effect == CODE_END && (p[0] & 0xf8) == 0x48;
}

static bool add_instruction(const uint8_t *p, const struct code_instruction *i, uint64_t *bytes)
{
	enum { DWARF_RSP = 7 };

	if (moves_by_unknown(p, i))
		return false;
	if (i->effect == CODE_PUSH)
		*bytes += WORD_BYTES;
	if (i->value >= 0 ||
	    (i->effect != CODE_ADJUST && (i->effect != CODE_SET_FROM || i->reg != DWARF_RSP)))
		return true;
	*bytes += (uint64_t)-i->value;
	return i->value != -PROBE_BYTES;
}

bool frame_size_bound(const struct modules *mods, uint64_t entry, uint64_t *bytes)
{
	const struct module *m = modules_find(mods, entry);
	uint64_t end = m ? function_end(m, entry) : 0;
	size_t n = end > entry ? (size_t)(end - entry) : 0, at = 0;
	bool known, calls = false;
	struct code_instruction i;
	uint8_t *code;

	*bytes = RETURN_ADDRESS_BYTES;
	if (!n || n > FUNCTION_BYTES_MAX)
		return false;
	code = malloc(n + CODE_BYTES_MAX);
	known = code && modules_read(mods, entry, code, n) == n;
	for (; known && at < n; at += i.bytes) {
		known = code_decode(code + at, n - at, &i) && i.bytes &&
			add_instruction(code + at, &i, bytes);
		calls = calls || (known && i.call);
	}
	free(code);
	/* What calls nobody may use what lies below its stack pointer. */
	if (!calls)
		*bytes += ARCH_RED_ZONE_BYTES;
	return known;
}
