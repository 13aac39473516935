//! The shared library has no system below it: what it calls from outside stays open.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-cdylib=-nostdlib");
    println!("cargo::rustc-link-arg-cdylib=-Wl,--unresolved-symbols=ignore-all");
}
