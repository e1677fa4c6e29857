//! The thin main; everything is in the library.

use clap::Parser;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    nodesys_backend::main(nodesys_backend::Config::parse()).await
}
