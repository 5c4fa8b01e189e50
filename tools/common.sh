# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What quickstart, check and .ci/run share: saying what is done, and installing what is missing. To be sourced.
source_dir=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")

if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold='' plain=''; fi
say() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

need_root() {
	[ "$(id -u)" = 0 ] || die "has to run as root: it installs packages and makes network namespaces (sudo $0 $*)"
}

need_debian() {
	[ -r /etc/debian_version ] && command -v apt-get >/dev/null ||
		die "made for Debian 12; on another system install what tools/packages lists, and build with meson"
}

# packages GROUP...: the packages of these groups in tools/packages, one per line.
packages() {
	local group
	for group; do sed -n "s/^$group  *//p" "$source_dir/tools/packages"; done
}

# install_packages GROUP...: install what is missing of these groups; says what, and is silent when nothing is.
install_packages() {
	local missing=() package
	for package in $(packages "$@"); do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "Installing from Debian: ${missing[*]}"
	local log
	log=$(mktemp)
	export DEBIAN_FRONTEND=noninteractive
	# wireshark-common asks a question that is nothing to us; no package of the list starts a service.
	{ apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 ||
		{ tail -n 30 "$log" >&2; rm -f "$log"; die "apt-get failed; the lines above say why"; }
	rm -f "$log"
}

# build DIRECTORY [meson options]: configure if needed, and compile; only what is in the array wanted, where there is one.
build() {
	local directory=$1
	shift
	if [ ! -f "$directory/build.ninja" ]; then
		say "Configuring in $directory"
		meson setup "$directory" "$source_dir" "$@" >"$directory.log" 2>&1 || { tail -n 30 "$directory.log" >&2; die "meson failed"; }
		rm -f "$directory.log"
	fi
	say "Building"
	ninja -C "$directory" ${wanted[@]+"${wanted[@]}"} >"$directory/build.log" 2>&1 || { tail -n 40 "$directory/build.log" >&2; die "the build failed"; }
	tail -n 1 "$directory/build.log"
}
