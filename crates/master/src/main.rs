//! The thin main; everything is in the library.

use clap::Parser as _;
use nodesys_master::cli::Cli;

fn main() -> std::process::ExitCode {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing before the first line of main installs a provider");
    nodesys_master::main(Cli::parse())
}
