//! Output: data on standard output, messages on standard error.
//!
//! A command's answer is one value with two faces: `Display` for people, serde for programs.
//! Whatever is printed for people goes through [`nodesys_core::text`]: names, symbols and errors are
//! strangers' text.

use std::io::Write as _;
use std::{fmt, io};

use anyhow::Context as _;
use clap::ValueEnum;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Table, TableComponent};
use nodesys_chain::metadata::Token;
use nodesys_core::U256;
use nodesys_core::ids::Amount;
use nodesys_core::message::Status as Health;
use nodesys_core::text::{line, lines};
use nodesys_core::time::Timestamp;
use serde::Serialize;

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// Prints a command's answer.
pub fn print<T: Serialize + fmt::Display>(format: Format, value: &T) -> anyhow::Result<()> {
    match format {
        Format::Table => data(&lines(&value.to_string())),
        Format::Json => json(value),
    }
}

/// Prints JSON, whatever the format: for what another command reads.
pub fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    data(&serde_json::to_string_pretty(value).context("the answer does not serialise")?)
}

/// Prints lines of data. A reader that has gone away has read enough.
pub fn data(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Says something to the person at the terminal; never data.
pub fn say(words: impl fmt::Display) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr().lock(), "{}", lines(&words.to_string()));
}

/// An empty table.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    // A line under the header is enough.
    for line in [
        TableComponent::TopBorder,
        TableComponent::TopBorderIntersections,
        TableComponent::HorizontalLines,
        TableComponent::MiddleIntersections,
        TableComponent::BottomBorder,
        TableComponent::BottomBorderIntersections,
    ] {
        table.remove_style(line);
    }
    table
}

/// A name from the chain, fit for a line: at most 40 characters.
pub(crate) fn clean(text: &str) -> String {
    line(&text.chars().take(40).collect::<String>()).into_owned()
}

/// Text of another program, fit for a line.
pub(crate) fn clean_text(text: &str) -> String {
    line(text).into_owned()
}

/// Words of another program, fit for a line: at most 300 characters.
pub(crate) fn clean_words(text: &str) -> String {
    line(&text.chars().take(300).collect::<String>()).into_owned()
}

/// A workload's health in a word.
pub(crate) const fn health_word(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Starting => "starting",
        Health::Degraded => "degraded",
        Health::Down => "down",
        Health::Updating => "updating",
    }
}

/// A moment in seconds since 1970; some contracts rent "for ever" with the largest number.
pub(crate) fn moment(secs: u64) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    if secs < YEAR_10000 { Timestamp::from_secs(secs).to_string() } else { "(no end)".to_owned() }
}

/// How long ago, in words.
pub(crate) fn ago(now: Timestamp, then: Timestamp) -> String {
    match now.millis_since(then) / 1000 {
        secs @ 0..120 => format!("{secs} s ago"),
        secs @ 120..7200 => format!("{} min ago", secs / 60),
        secs => format!("{} h ago", secs / 3600),
    }
}

/// A number of things: `1 doubt`, `2 doubts`.
pub(crate) fn counted(number: impl fmt::Display, noun: &str) -> String {
    let number = number.to_string();
    format!("{number} {noun}{}", if number == "1" { "" } else { "s" })
}

/// Parts per million as percent, rounded down.
pub(crate) fn percent(ppm: u32) -> String {
    format!("{}.{:02} %", ppm / 10_000, ppm / 100 % 100)
}

/// An amount for people: in the token's own unit where that is known, else in wei.
pub(crate) fn amount(amount: Amount, token: Option<&Token>) -> String {
    match token {
        Some(Token { decimals: Some(decimals), symbol, .. }) => {
            let symbol = symbol.as_deref().map(clean).unwrap_or_else(|| "tokens".to_owned());
            format!("{} {symbol}", decimal(amount.to_u256(), *decimals))
        }
        _ => format!("{amount} wei"),
    }
}

/// `value / 10^decimals`, exact: all digits that are not trailing zeros, at least one.
pub(crate) fn decimal(value: U256, decimals: u8) -> String {
    let digits = value.to_string();
    let decimals = usize::from(decimals);
    let padded = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    format!("{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodesys_core::Address;

    #[test]
    fn amounts_are_exact_in_the_tokens_own_unit() {
        let show = |value: u128, decimals| decimal(U256::from(value), decimals);
        assert_eq!(show(625_000_000_000_000_000_000, 18), "625.0");
        assert_eq!(show(1, 18), "0.000000000000000001");
        assert_eq!(show(1_500_000, 6), "1.5");
        assert_eq!(show(0, 6), "0.0");
        assert_eq!(show(7, 0), "7.0");
        assert_eq!(show(u128::MAX, 18), "340282366920938463463.374607431768211455");
        let token =
            Token { address: Address::ZERO, symbol: Some("ACME".into()), decimals: Some(2) };
        assert_eq!(amount(Amount::new(62_550), Some(&token)), "625.5 ACME");
        assert_eq!(amount(Amount::new(5), None), "5 wei");
        assert_eq!(amount(Amount::new(5), Some(&Token { decimals: None, ..token })), "5 wei");
    }

    #[test]
    fn strangers_cannot_drive_the_terminal() {
        assert_eq!(clean("A\u{1b}[2J\n"), "A\u{fffd}[2J\u{fffd}");
        assert_eq!(clean(&"x".repeat(99)).len(), 40);
    }

    #[test]
    fn a_moment_without_end_is_said_so() {
        assert_eq!(moment(1_767_225_600), "2026-01-01T00:00:00Z");
        assert_eq!(moment(u64::MAX), "(no end)");
    }
}
