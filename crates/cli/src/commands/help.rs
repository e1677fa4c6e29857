//! The help of a verb: its own options in full, the global ones by name. `nodesys --help` explains those.

use clap::{Arg, Command};

/// The widest line of names.
const WIDTH: usize = 96;

/// The command line, with the global options folded on every page but the first.
pub(super) fn fold_global_options(mut command: Command) -> Command {
    // Only a built command has the global options in its verbs.
    command.build();
    let names = names(&command);
    command.mut_subcommands(|verb| fold(verb, &names))
}

fn fold(verb: Command, names: &str) -> Command {
    let examples = verb.get_after_help().map(|text| format!("\n\n{text}")).unwrap_or_default();
    let verb = verb.mut_args(|arg| match arg.is_global_set() {
        true => arg.hide(true),
        false => arg,
    });
    verb.after_help(format!("Global options (see nodesys --help):\n{names}{examples}"))
        .mut_subcommands(|verb| fold(verb, names))
}

/// All global options by name, some in a line.
fn names(command: &Command) -> String {
    let mut lines = vec![String::from(" ")];
    for name in command.get_arguments().filter(|arg| arg.is_global_set()).filter_map(name) {
        let full = lines.last().is_some_and(|line| line.len() + 2 + name.len() > WIDTH);
        if full {
            lines.push(String::from(" "));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(&name);
        }
    }
    lines.join("\n")
}

fn name(arg: &Arg) -> Option<String> {
    let long = arg.get_long()?;
    Some(match arg.get_short() {
        Some(short) => format!("-{short}/--{long}"),
        None => format!("--{long}"),
    })
}
