//! `nodesys-manager probe`: tests a pod's network access. Run by `nodesys doctor --isolation` in
//! its own pods, with the manager's image, since every node has that.
//!
//! It either listens, as a target, or tries to connect, and prints one line of JSON per address. A
//! refused connection is no proof: a rule may refuse as well as a host.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use clap::Parser;
use nodesys_render::probe::{Line, Outcome};

/// A silent address is given up after this.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tests which addresses a pod reaches, or listens as such an address.
#[derive(Debug, Parser)]
#[command(
    name = "nodesys-manager probe",
    after_help = "\
Examples:
  nodesys-manager probe --listen 0.0.0.0:9999
  nodesys-manager probe 10.0.0.1:80 169.254.169.254:80"
)]
pub struct ProbeArgs {
    /// Accept connections on this address until stopped.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "targets")]
    pub listen: Option<SocketAddr>,
    /// Addresses to connect to.
    #[arg(value_name = "ADDRESS", required_unless_present = "listen")]
    pub targets: Vec<SocketAddr>,
}

/// Runs to its end; a listener has none.
pub fn run(args: &ProbeArgs) -> std::io::Result<()> {
    if let Some(address) = args.listen {
        let listener = TcpListener::bind(address)?;
        for stream in listener.incoming() {
            drop(stream?);
        }
    }
    for target in &args.targets {
        let line = Line { target: *target, outcome: try_one(*target) };
        println!("{}", serde_json::to_string(&line)?);
    }
    Ok(())
}

fn try_one(target: SocketAddr) -> Outcome {
    match TcpStream::connect_timeout(&target, PATIENCE) {
        Ok(_) => Outcome::Reached,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Outcome::Refused,
        Err(_) => Outcome::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_reached_and_a_closed_port_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        assert_eq!(try_one(target), Outcome::Reached);
        drop(listener);
        assert_eq!(try_one(target), Outcome::Refused);
        let line = serde_json::to_string(&Line { target, outcome: Outcome::Silent }).unwrap();
        assert!(line.contains("\"silent\""), "{line}");
    }
}
