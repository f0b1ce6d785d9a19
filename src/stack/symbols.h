/* SPDX-License-Identifier: MIT
 *
 * Names for addresses: functions, files, lines and inlined frames from ELF symbols and DWARF
 * (libdw), separate debug files found by build id and .gnu_debuglink; C++ and Rust names
 * demangled; data symbols for objects. Results are cached by address and live as long as the
 * struct symbols. Never goes to the network. Single-threaded use.
 */
#ifndef STRAND_STACK_SYMBOLS_H
#define STRAND_STACK_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "target/modules.h"

/* One source-level frame; strings are owned by the struct symbols. */
struct symbol_frame {
	const char *function; /* demangled, without parameters' noise; NULL if unknown */
	const char *file;     /* source path as the compiler recorded it, made absolute where the
			       * compilation directory is known; NULL if unknown */
	int line;	      /* 0 if unknown */
	int function_line;    /* line where the function is declared, 0 if unknown */
	uint64_t function_offset; /* of the address in the function's symbol, bytes */
	bool inlined;		  /* the next frame outward is the function it was inlined into */
};

struct symbols;

/* `mods` must outlive it. `pid` is used for debug files inside the process's own root; 0: none. */
int symbols_open(const struct modules *mods, pid_t pid, struct symbols **out, struct err *e);
void symbols_close(struct symbols *s);

/* The frames at code address `pc` (already minus 1 for return addresses), innermost inlined
 * frame first. Returns their number (at least 1; function NULL if nothing is known) and points
 * *out at them. */
size_t symbols_find_code(struct symbols *s, uint64_t pc, const struct symbol_frame **out);

/* "orders_lock", "pool+0x28", demangled; NULL if no data symbol covers the address. */
const char *symbols_find_data(struct symbols *s, uint64_t address);

/* Types and variables of the module at `address`, and what lies between addresses in memory and in its
 * file; read when first asked for. NULL if there are none, or far too many. */
struct dwarf_types;
struct dwarf_types *symbols_find_types(struct symbols *s, uint64_t address, uint64_t *bias);

#endif
