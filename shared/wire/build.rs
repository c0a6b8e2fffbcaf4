//! Compiles the `.proto` files with protox, so that no protoc is needed.

fn main() {
    println!("cargo:rerun-if-changed=proto");
    let files =
        protox::compile(["proto/metadata.proto"], ["proto"]).expect("the .proto files compile");
    prost_build::Config::new()
        .bytes(["."])
        .enable_type_names()
        .compile_fds(files)
        .expect("Rust is generated");
}
