//! nodesys: the command line of operators, users and auditors

fn main() {}
