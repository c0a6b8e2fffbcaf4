//! Compiles the `.proto` files with protox, so that no protoc is needed.

const FILES: [&str; 3] = [
    "proto/control.proto",
    "proto/metadata.proto",
    "proto/storage.proto",
];

fn main() {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"]).expect("the .proto files compile");
    prost_build::Config::new()
        .bytes(["."])
        .enable_type_names()
        .include_file("messages.rs")
        .compile_fds(files)
        .expect("Rust is generated");
}
