//! The thin main; everything is in the library.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    nodesys_backend::main(nodesys_backend::Call::parse()).await
}
