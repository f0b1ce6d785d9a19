#!/bin/sh
# SPDX-License-Identifier: MIT
#
# From a bare Debian to a working strand, in one command, from any folder:
#
#   sh bootstrap.sh              install what is missing, configure in build/
#   sh bootstrap.sh build        the same, and build
#   sh bootstrap.sh demo         the same, and run a small deadlocked program by strand check
#   sh bootstrap.sh check        the same, and run the tests (WHAT to run may follow)
#   sh bootstrap.sh check-long   the same with the long tests
#   sh bootstrap.sh bench        the same, and measure strand beside gdb and eu-stack
#
# Packages are installed as root, or with sudo where there is one, and only if some are missing.
# CONFIGURE_FLAGS is passed on to configure; BUILD names another folder than build/.

set -eu
unset CDPATH
cd "$(dirname "$0")"
src=$(pwd)
BUILD=${BUILD:-build}
CONFIGURE_FLAGS=${CONFIGURE_FLAGS-}
log=
export DEBIAN_FRONTEND=noninteractive

# The alternatives of one need are joined by |.
build_packages='gcc libc6-dev make autoconf automake pkg-config|pkgconf libunwind-dev libdw-dev
libelf-dev libjansson-dev libncurses-dev libiberty-dev libcmocka-dev'
test_packages='python3 g++ gdb strace elfutils binutils procps libc6-dbg musl-tools mandoc clang-format-14
memcached redis-server nginx-light|nginx|nginx-full postgresql pigz xz-utils zstd sqlite3 stress-ng
sysbench valgrind libjemalloc2 libtcmalloc-minimal4 libmimalloc2.0 mariadb-server-core
mariadb-client-core libcap2-bin clang libclang-rt-14-dev'

say() {
	printf 'bootstrap: %s\n' "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# Runs a command quietly; what it printed is shown only if it fails.
quietly() {
	if "$@" >"$log" 2>&1 </dev/null; then
		return 0
	fi
	tail -n 60 "$log" >&2
	die "failed: $*"
}

# Those of the needs given for which no package is installed; the first alternative of each.
missing_packages() {
	installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' |
		sed -n 's/ installed$//p' | tr '\n' ' ')
	for need in "$@"; do
		found=no
		for package in $(echo "$need" | tr '|' ' '); do
			case " $installed" in
			*" $package "*) found=yes ;;
			esac
		done
		[ "$found" = yes ] || echo "${need%%|*}"
	done
}

# Debian starts a server when it is installed; the tests start their own.
install_script='
set -eu
policy=/usr/sbin/policy-rc.d
restore() {
	rm -f "$policy"
	[ ! -e "$policy.before-strand" ] || mv "$policy.before-strand" "$policy"
}
trap restore EXIT
trap "exit 129" HUP
trap "exit 130" INT
trap "exit 143" TERM
[ ! -e "$policy" ] || mv "$policy" "$policy.before-strand"
printf "#!/bin/sh\nexit 101\n" >"$policy"
chmod 755 "$policy"
lock="-o DPkg::Lock::Timeout=600"
apt-get $lock -qq update
known=
for package in "$@"; do
	if apt-cache policy "$package" | grep -q "Candidate: [^(]"; then
		known="$known $package"
	else
		echo "bootstrap: this release has no package $package; going on without it" >&2
	fi
done
[ -z "$known" ] || apt-get $lock -qq -y --no-install-recommends install $known
'

install_missing() {
	command -v dpkg-query >/dev/null || return 0
	command -v apt-get >/dev/null || return 0
	# shellcheck disable=SC2046
	set -- $(missing_packages "$@")
	[ $# -gt 0 ] || return 0
	say "installing $*"
	if [ "$(id -u)" = 0 ]; then
		quietly sh -c "$install_script" sh "$@"
	elif command -v sudo >/dev/null; then
		quietly sudo DEBIAN_FRONTEND=noninteractive sh -c "$install_script" sh "$@"
	else
		die "not root, and no sudo: apt-get install $*"
	fi
}

# A rustc from elsewhere is as good as Debian's.
rust_needed() {
	if command -v rustc >/dev/null || [ -x "${HOME:-/root}/.cargo/bin/rustc" ]; then
		return 0
	fi
	echo rustc
}

configure() {
	if [ ! -x configure ]; then
		say "running autoreconf"
		quietly autoreconf -fi
	fi
	flags=$(cat "$BUILD/.configure-flags" 2>/dev/null || echo none)
	if [ ! -f "$BUILD/Makefile" ] || [ "$flags" != "flags:$CONFIGURE_FLAGS" ]; then
		# Objects made with other flags must not be mixed with new ones.
		[ ! -f "$BUILD/Makefile" ] || quietly make -C "$BUILD" clean
		say "running configure in $BUILD/"
		# shellcheck disable=SC2086
		(cd "$BUILD" && quietly "$src/configure" $CONFIGURE_FLAGS)
		echo "flags:$CONFIGURE_FLAGS" >"$BUILD/.configure-flags"
		sed -n '/^strand [0-9]/,$p' "$log" >&2
	fi
}

jobs_count() {
	getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2
}

build() {
	say "building in $BUILD/"
	quietly make -C "$BUILD" -j"$(jobs_count)" "$@"
}

demo() {
	program=$BUILD/demo_deadlock
	quietly gcc -g -O0 -pthread -fdebug-prefix-map="$src"=. -o "$program" \
		tests/programs/demo_deadlock.c
	say "tests/programs/demo_deadlock.c hangs; $BUILD/strand check --timeout=2 $program says:"
	status=0
	"$BUILD/strand" check --timeout=2 "$program" >/dev/null || status=$?
	say "strand check ended with status $status"
	[ "$status" = 66 ] || die "and should have with 66"
}

usage() {
	sed -n '/^# From/,/^# CONFIGURE/s/^# \{0,1\}//p' "$src/bootstrap.sh"
}

word=${1-}
[ $# -eq 0 ] || shift
case $word in
-h | --help) usage; exit 0 ;;
'' | build | demo) needs=$build_packages ;;
check | check-long | bench) needs="$build_packages $test_packages $(rust_needed)" ;;
*) usage >&2; exit 2 ;;
esac

mkdir -p "$BUILD"
BUILD=$(cd "$BUILD" && pwd)
log=$BUILD/bootstrap.log
# shellcheck disable=SC2086
install_missing $needs
configure
case $word in
'') exit 0 ;;
esac
case $word in
build) build ;;
demo)
	build
	demo
	;;
check | check-long | bench)
	# One after the other: all is a make of its own, and two at once make the same objects.
	build all
	build test-programs
	exec make -s --no-print-directory -C "$BUILD" "$word" T="$*"
	;;
esac
