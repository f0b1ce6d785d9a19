# Macros of strand's configure.ac.

# STRAND_MISSING(WHAT, DEBIAN-PACKAGE)
# Says what is missing and notes the package; STRAND_STOP_IF_MISSING fails once for all of them.
AC_DEFUN([STRAND_MISSING], [
AC_MSG_NOTICE([$1 not found: apt-get install $2])
strand_missing="$strand_missing $2"
])

# STRAND_LIBRARY(VARIABLE, WHAT, PKG-CONFIG-SPEC, DEBIAN-PACKAGE)
# Sets VARIABLE_CFLAGS and VARIABLE_LIBS by pkg-config.
AC_DEFUN([STRAND_LIBRARY], [
PKG_CHECK_MODULES([$1], [$3], [], [STRAND_MISSING([$2], [$4])])
])

# STRAND_STOP_IF_MISSING
AC_DEFUN([STRAND_STOP_IF_MISSING], [
AS_IF([test -n "$strand_missing"],
      [AC_MSG_ERROR([not everything that strand needs was found; on Debian:
    apt-get install$strand_missing])])
])

# STRAND_WARNINGS(VARIABLE, FLAGS)
# Appends to VARIABLE those of the flags (warnings, mostly) that the compiler knows.
AC_DEFUN([STRAND_WARNINGS], [
AC_MSG_CHECKING([which of the flags $CC knows])
strand_saved_cflags=$CFLAGS
strand_unknown=
for strand_flag in $2; do
	CFLAGS="$strand_saved_cflags -Werror $strand_flag"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
	                  [$1="$$1 $strand_flag"],
	                  [strand_unknown="$strand_unknown $strand_flag"])
done
CFLAGS=$strand_saved_cflags
AS_IF([test -n "$strand_unknown"], [AC_MSG_RESULT([all but$strand_unknown])], [AC_MSG_RESULT([all])])
])
