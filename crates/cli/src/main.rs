//! The thin main; everything is in the library.

use nodesys_cli::commands::Cli;

fn main() -> std::process::ExitCode {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing before the first line of main installs a provider");
    nodesys_cli::main(Cli::of_arguments())
}
