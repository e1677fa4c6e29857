//! Output of the commands: a table for people, JSON for programs.

use std::fmt;
use std::io::Write as _;

use anyhow::Context as _;
use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use nodesys_core::text::lines;
use serde::Serialize;

/// Form of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// Prints a command's result: its `Display` for people, its serde form for programs.
pub(crate) fn print<T: Serialize + fmt::Display>(format: Format, value: &T) -> anyhow::Result<()> {
    let mut text = match format {
        Format::Table => lines(&value.to_string()).into_owned(),
        Format::Json => serde_json::to_string_pretty(value)?,
    };
    text.push('\n');
    print_bytes(text.as_bytes())
}

/// Says something to the person at the terminal; never data.
pub(crate) fn say(words: impl fmt::Display) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(std::io::stderr().lock(), "{}", lines(&words.to_string()));
}

/// Prints bytes as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// An empty table with these headings.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    table
}
