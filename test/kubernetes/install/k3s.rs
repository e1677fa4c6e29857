//! A stand-in for the k3s program: an executable of this machine, as the real one is, that hands over
//! to the script `k3s-server` beside its source. The folder is given when it is compiled.

use std::os::unix::process::CommandExt as _;

fn main() {
    let script = concat!(env!("STAND_IN"), "/k3s-server");
    let error = std::process::Command::new(script).args(std::env::args_os().skip(1)).exec();
    eprintln!("k3s (stand-in): {script}: {error}");
    std::process::exit(127);
}
