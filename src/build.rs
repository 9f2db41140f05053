//! Build script: lets C rocks (`.so`) find Lua's C API in the binary.

fn main() {
    println!("cargo:rerun-if-changed=src/build.rs");
    println!("cargo:rustc-link-arg-bins=-rdynamic");
}
