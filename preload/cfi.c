/* SPDX-License-Identifier: MIT
 *
 * Call frame information, as far as calls need it: .eh_frame_hdr's sorted table, a CIE, an FDE, and
 * their instructions. The bytes are those that the C++ runtime and pthread_exit() unwind with; they
 * are in memory as long as a frame of their module is on the stack. Still nothing is read behind an
 * entry's end, and whatever is not as expected is unknown.
 */
#include "cfi_private.h"

#include "real.h"

#define ENCODING_PCREL_SDATA4	0x1b
#define ENCODING_DATAREL_SDATA4 0x3b
#define ENCODING_UDATA4		0x03
#define ENCODING_OMIT		0xff
#define MODULES			256

/* As glibc's <dlfcn.h> has it from 2.35 on. */
struct found_object {
	unsigned long long flags;
	void *map_begin, *map_end;
	void *link_map;
	const uint8_t *eh_frame_hdr;
	unsigned long long reserved[7];
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

/* -- entries ------------------------------------------------------------------------------------- */

/* The entry at `at`, behind its length; empty for what is none. */
static struct cfi_bytes entry_at(const uint8_t *at)
{
	struct cfi_bytes head = { .at = at, .end = at + 4 };
	uint32_t length = cfi_read_u32(&head);
	struct cfi_bytes entry = { .at = at + 4, .end = at + 4 };

	if (length && length < 0xfffffff0u)
		entry.end += length;
	return entry;
}

/* What the letters of a CIE's augmentation say; false for one that is not known. */
static bool read_augmentation(const char *letters, struct cfi_bytes *b, struct cfi_cie *c)
{
	struct cfi_bytes data;
	bool known_encoding = false;

	if (*letters != 'z')
		return false;
	data = cfi_read_block(b);
	for (letters++; *letters; letters++) {
		uint8_t byte;

		switch (*letters) {
		case 'R':
			known_encoding = cfi_read_u8(&data) == ENCODING_PCREL_SDATA4;
			break;
		case 'L':
			cfi_read_u8(&data);
			break;
		case 'P':
			byte = cfi_read_u8(&data);
			if (byte != ENCODING_OMIT && (byte & 0x70) == 0x50) /* aligned */
				return false;
			cfi_skip(&data, (byte & 0x0f) == 0x0b || (byte & 0x0f) == 0x03 ? 4 : 8);
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

static bool read_cie(const uint8_t *at, struct cfi_cie *c)
{
	struct cfi_bytes b = entry_at(at);
	const char *letters;
	uint8_t version;

	if (cfi_read_u32(&b) != 0)
		return false;
	version = cfi_read_u8(&b);
	if (version != 1 && version != 3)
		return false;
	letters = (const char *)b.at;
	while (cfi_read_u8(&b))
		;
	c->code_align = cfi_read_uleb(&b);
	c->data_align = cfi_read_sleb(&b);
	if ((version == 1 ? cfi_read_u8(&b) : cfi_read_uleb(&b)) != CFI_REGISTER_RA)
		return false;
	if (b.bad || !read_augmentation(letters, &b, c))
		return false;
	c->instructions = b;
	return !b.bad;
}

static bool make_rule(const struct cfi_state *s, struct cfi_rule *out)
{
	int64_t words = s->bp_offset / 8;

	out->ra = s->ra_none ? CFI_RA_NONE : CFI_RA_SAVED;
	out->cfa = (uint8_t)s->cfa & 0xf;
	out->bp = (uint8_t)s->bp & 0xf;
	out->cfa_offset = (int32_t)s->cfa_offset;
	out->bp_offset = (int16_t)words;
	if (s->ra_none)
		return true;
	if (s->cfa == CFI_CFA_SP && s->cfa_register == CFI_REGISTER_BP)
		out->cfa = CFI_CFA_BP;
	else if (s->cfa == CFI_CFA_SP && s->cfa_register != CFI_REGISTER_SP)
		return false;
	return s->cfa != CFI_CFA_UNKNOWN && !s->ra_unknown && s->ra_offset == -8 &&
	       out->cfa_offset == s->cfa_offset && out->bp_offset == words && s->bp_offset % 8 == 0;
}

static bool run_entry(const uint8_t *at, uint64_t pc, struct cfi_rule *out)
{
	struct cfi_bytes b = entry_at(at);
	const uint8_t *field = b.at;
	uint32_t back = cfi_read_u32(&b);
	struct cfi_cie c = { .augmented = false };
	struct cfi_state s = { .cfa = CFI_CFA_UNKNOWN, .ra_unknown = true };
	struct cfi_state initial;
	uint64_t begin;

	if (b.bad || back == 0 || !read_cie(field - back, &c) || c.signal_frame)
		return false;
	begin = (uint64_t)(uintptr_t)b.at;
	begin += (uint64_t)(int64_t)(int32_t)cfi_read_u32(&b);
	if (b.bad || pc < begin || pc - begin >= cfi_read_u32(&b))
		return false;
	if (c.augmented)
		cfi_read_block(&b);
	if (b.bad || !cfi_run(&s, &s, &c, c.instructions, UINT64_MAX))
		return false;
	initial = s;
	return cfi_run(&s, &initial, &c, b, pc - begin) && make_rule(&s, out);
}

/* -- the table of a module ----------------------------------------------------------------------- */

static int64_t table_word(const uint8_t *table, uint32_t index)
{
	struct cfi_bytes b = { .at = table + 4 * (size_t)index,
			       .end = table + 4 * (size_t)index + 4 };

	return (int32_t)cfi_read_u32(&b);
}

/* The entry of the last function that begins at or before pc. */
static const uint8_t *search(const uint8_t *hdr, uint64_t pc)
{
	struct cfi_bytes b = { .at = hdr, .end = hdr + 12 };
	int64_t wanted = (int64_t)(pc - (uint64_t)(uintptr_t)hdr);
	const uint8_t *table = hdr + 12;
	uint32_t low = 0;
	uint32_t high;

	if (cfi_read_u8(&b) != 1 || cfi_read_u8(&b) != ENCODING_PCREL_SDATA4 ||
	    cfi_read_u8(&b) != ENCODING_UDATA4 || cfi_read_u8(&b) != ENCODING_DATAREL_SDATA4)
		return NULL;
	cfi_read_u32(&b);
	high = cfi_read_u32(&b);
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
