//! Lets the binaries and tests of this package find libtorch without LD_LIBRARY_PATH.
fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    // A release has its libraries in lib/ beside bin/ (tools/release.sh).
    println!("cargo::rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    if let Some(root) = std::env::var_os("LIBTORCH") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}/lib", root.to_string_lossy());
    }
}
