/* SPDX-License-Identifier: MIT
 *
 * For assembler: real_X is where real.X (real.h) lies, for each X of functions.def. The pointers of
 * struct real are all that is in it, in the table's order.
 */
.set next_real, 0
#define FUNCTION(result, name, parameters, arguments, version) \
	.set real_##name, real + next_real;                    \
	.set next_real, next_real + 8;
#define HELPER FUNCTION
#define OLD_FUNCTION(result, name, parameters, arguments, version) \
	.set real_##name##_old, real + next_real;                  \
	.set next_real, next_real + 8;
#include "functions.def"
