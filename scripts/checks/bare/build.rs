//! The shared library has no operating system beneath it: external symbols stay undefined.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-cdylib=-nostdlib");
    println!("cargo::rustc-link-arg-cdylib=-Wl,--unresolved-symbols=ignore-all");
}
